"""What an exchange must answer: facts as data, and code only where something has to be decided.

An adapter is one file beside this one that ends in `EXCHANGE = TheClass()`; the registry finds it by itself.
ccxt signs requests and nothing more, because its exception classes are no diagnosis and its unified methods load
whole markets.
"""

from __future__ import annotations

import ipaddress
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, cast

from bfai.i18n import N_
from bfai.model import (
    Cause,
    Credentials,
    Environment,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Message,
    Permission,
    Sent,
)


class Role(StrEnum):
    """What a call is for in a test. The words are those in which `explain` is told what was called."""

    TIME = "public_time"
    SERVICE = "public_status"
    KEY_INFO = "key_info"
    ACCOUNT = "account"
    BALANCE = "balance"
    ORDERS = "orders"
    DRY_RUN = "order_test"
    ADDRESS = "own_address"


@dataclass(frozen=True, slots=True)
class Limit:
    """A published rate: so much weight in so many seconds, counted by address or by account.

    `each` is True where every endpoint is counted by itself and not all of the pool together.
    """

    weight: int
    seconds: float
    by: Literal["address", "account"] = "address"
    each: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request that an adapter may make. Anything not declared as a `Call` is refused by the transport.

    `host` is a logical name that the region resolves. `implicit` is the ccxt method whose signing rules apply; empty
    for a public call that ccxt does not know, which is sent as it stands. `in_test` is False for a call that no test
    makes. `right` is the permission that gates the call and `word` the exchange's own name of it. The call costs
    `weight` of the exchange's `limits[pool]`.
    """

    role: Role
    method: str
    host: str
    path: str
    implicit: str
    purpose: str
    market: Market | None = None
    params: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    signed: bool = True
    right: Permission | None = None
    word: str | None = None
    dry_run: bool = False
    in_test: bool = True
    pool: str = ""
    weight: int = 1

    def __post_init__(self) -> None:
        if not self.implicit and (self.signed or self.params):
            raise ValueError(f"{self.method} {self.path}: only a public call without parameters goes without ccxt")
        if self.method != "GET" and not self.dry_run:
            raise ValueError(f"{self.method} {self.path}: only documented dry-run orders may be other than GET")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, before anybody judged it. Either `status` and `body`, or `transport_error`."""

    role: str = "any"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str = ""
    transport_error: str | None = None
    error_text: str = ""
    sent: Sent | None = None
    latency_ms: float | None = None
    call: Call | None = None

    @property
    def json(self) -> Any:
        """The parsed body, or None where it is not JSON. Parsed with exact decimals."""
        text = self.body.lstrip("\ufeff \t\r\n")
        if not text.startswith(("{", "[")):
            return None
        try:
            return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None

    @property
    def object(self) -> dict[str, Any]:
        """The parsed body if it is a JSON object, else an empty dict."""
        parsed = self.json
        return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """An answer that fits means `causes`, likeliest first.

    `codes` are compared as text with the exchange's error code, `pattern` (regular expression, any case) is searched
    in the
    whole body; where both are given both must fit. `clear` is False where no cause is clearly likelier than the next.
    `permission` names the right that such a refusal is about where it is always the same one.
    """

    causes: tuple[Cause, ...]
    codes: tuple[str, ...] = ()
    pattern: str | None = None
    statuses: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    clear: bool = True
    permission: Permission | None = None

    def fits(self, code: str | None, answer: Answer) -> bool:
        if self.codes and code not in self.codes:
            return False
        if self.statuses and answer.status not in self.statuses:
            return False
        if self.roles and answer.role not in self.roles:
            return False
        if self.hosts and (answer.call is None or answer.call.host not in self.hosts):
            return False
        return self.pattern is None or re.search(self.pattern, answer.body, re.IGNORECASE) is not None


class Tick(StrEnum):
    NEEDED = "needed"
    EMPTY = "empty"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Right:
    """One box of the exchange's key page. `word` is how its key report spells it, `box` how its page words it.

    `grants` is what it allows of the permissions this project tells apart; None for a right of no consequence to a bot.
    `escalation` is a message id that says how such a key can reach beyond what the boxes promise, and `exposes` is True
    where a thief could lift the key's own limits with it.
    """

    word: str
    box: str
    grants: Permission | None
    needed_for: tuple[Market, ...] = ()
    aliases: tuple[str, ...] = ()
    escalation: str | None = None
    exposes: bool = False
    shown: bool = True

    def tick(self, market: Market) -> Tick:
        if self.grants is Permission.WITHDRAW:
            return Tick.NEVER
        return Tick.NEEDED if market in self.needed_for else Tick.EMPTY


@dataclass(frozen=True, slots=True)
class Field:
    """One credential: its name, what the exchange calls it, and the form that it usually has."""

    name: str
    label: str
    pattern: str
    shape: str


@dataclass(frozen=True, slots=True)
class Region:
    id: str
    name: str
    hosts: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Guide:
    """What the trader must know to make a key there. Texts are message ids."""

    key_page: str
    steps: tuple[str, ...]
    ip_step: str
    shown_once: str
    expiry_rule: str | None
    max_ips: int
    sub_accounts: str


class Exchange(ABC):
    """One exchange: data, and the few decisions that data cannot make."""

    id: str
    name: str
    ccxt_id: str
    fields: tuple[Field, ...]
    regions: tuple[Region, ...]
    environments: tuple[Environment, ...] = (Environment.LIVE, Environment.SIMULATOR)
    markets: tuple[Market, ...] = (Market.SPOT, Market.FUTURES)
    calls: tuple[Call, ...]
    limits: Mapping[str, Limit]
    rights: tuple[Right, ...]
    error_rules: tuple[ErrorRule, ...]
    guide: Guide
    host_pattern: str
    reports_rights: bool = True

    # -- facts ---------------------------------------------------------------------------------------------------------

    def region(self, region_id: str) -> Region:
        for region in self.regions:
            if region.id == region_id:
                return region
        raise KeyError(region_id)

    def serves(self, region_id: str, market: Market) -> bool:
        """Whether this market can be tested in this region: KuCoin EU, for one, has no futures."""
        hosts = self.region(region_id).hosts
        return market in self.markets and all(call.host in hosts for call in self.plan(market))

    def plan(self, market: Market) -> tuple[Call, ...]:
        """The calls of one test for this market, all independent of each other."""
        return tuple(call for call in self.calls if call.in_test and call.market in (None, market))

    def right(self, word: str) -> Right | None:
        return self._rights_by_word.get(word.strip().upper())

    def boxes(self, permission: Permission) -> tuple[str, ...]:
        """The exchange's own names of the boxes that give this permission."""
        return tuple(dict.fromkeys(right.box for right in self.rights if right.grants is permission))

    @cached_property
    def _rights_by_word(self) -> dict[str, Right]:
        return {word.upper(): right for right in self.rights for word in (right.word, *right.aliases)}

    # -- answers -------------------------------------------------------------------------------------------------------

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        """The exchange's error code as text, or None where the body has none."""
        code = body.get("code")
        return str(code) if isinstance(code, (int, str)) and not isinstance(code, bool) else None

    def error_words(self, body: Mapping[str, Any]) -> str:
        """The exchange's own sentence about an error, or nothing."""
        for name in ("msg", "message", "error_message"):
            value = body.get(name)
            if isinstance(value, str) and value:
                return value
        return ""

    @abstractmethod
    def succeeded(self, answer: Answer) -> bool:
        """Whether the answer has the documented form of a success. Anything else is a failure to be diagnosed."""

    @abstractmethod
    def server_time_ms(self, answer: Answer) -> int | None:
        """The exchange's clock in the answer to its time call, in milliseconds since 1970, or None."""

    @abstractmethod
    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        """The key report in the parsed body of the key-info call, or None where it is not one.

        `received_at` is when it came (UTC): needed to turn "days left" into a date; without it such a date stays
        unknown.
        A report that names another key than `api_key` is none.
        """

    @abstractmethod
    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        """Free balances above zero by asset, or None where the answer is not the documented shape."""

    @abstractmethod
    def read_orders(self, market: Market, answer: Answer) -> int | None:
        """The number of open orders in the answer, or None where it is not the documented shape."""

    def service_open(self, answer: Answer) -> bool | None:
        """Whether the exchange says that trading is open. None where it does not tell."""
        return None

    def seen_address(self, answer: Answer) -> str | None:
        """The address that the exchange saw, from the answer to its `Role.ADDRESS` call where it has one."""
        return None

    def dry_run_proves(self, answer: Answer) -> bool:
        """Whether a refused dry-run order still proves the right to trade (it was judged by its price, not by its
        key).
        """
        return False

    def report_cause(self, body: object) -> Cause | None:
        """A cause that the key report itself names: deleted, frozen, expired."""
        return None

    # -- pasted credentials --------------------------------------------------------------------------------------------

    def check_credentials(self, credentials: Credentials) -> tuple[Message, ...]:
        """What is visibly wrong with these credentials, before any call."""
        problems: list[Message] = []
        values = credentials.fields()
        for spec in self.fields:
            value = values.get(spec.name, "")
            if not value:
                problems.append(Message(text=N_("{field} is empty."), params={"field": spec.label}))
            elif not value.isascii() or not value.isprintable() or " " in value:
                problems.append(
                    Message(
                        text=N_("{field} holds a blank or a character that no key has. Copy it again."),
                        params={"field": spec.label},
                    )
                )
        problems.extend(self._swapped(values))
        return tuple(problems)

    def doubts(self, credentials: Credentials) -> tuple[Message, ...]:
        """What looks unusual but may be right: shown, and the test may go on."""
        values = credentials.fields()
        return tuple(
            Message(
                text=N_("{field} looks unusual: {exchange} shows {shape}. Is it complete?"),
                params={"field": spec.label, "exchange": self.name, "shape": spec.shape},
            )
            for spec in self.fields
            if values.get(spec.name) and not re.fullmatch(spec.pattern, values[spec.name])
        )

    def _swapped(self, values: Mapping[str, str]) -> Sequence[Message]:
        key_spec, secret_spec = self.fields[0], self.fields[1]
        key, secret = values.get("api_key", ""), values.get("secret", "")
        if not key or not secret:
            return ()
        if key == secret:
            return (Message(text=N_("The key and the secret are the same text. One of them was pasted twice.")),)
        fits_swapped = re.fullmatch(key_spec.pattern, secret) and re.fullmatch(secret_spec.pattern, key)
        fits_as_is = re.fullmatch(key_spec.pattern, key)
        if fits_swapped and not fits_as_is:
            return (Message(text=N_("The key and the secret seem to be swapped.")),)
        return ()


# -- helpers for adapters ----------------------------------------------------------------------------------------------


def grants_from_words(exchange: Exchange, words: Sequence[str], *, whole: bool) -> KeyReport:
    """Grants from a report that lists rights by name.

    A permission is granted where a documented word gives it. It is denied only if the list arrived whole and every
    word in
    it is documented: an unknown word could mean anything, so it makes every right that is not granted unknown.
    """
    known = [(word, exchange.right(word)) for word in words]
    unknown = tuple(word for word, right in known if right is None)
    complete = whole and not unknown and bool(words)
    offered = {right.grants for right in exchange.rights if right.grants is not None}
    grants: dict[Permission, Grant] = {}
    for permission in Permission:
        giving = tuple(word for word, right in known if right is not None and right.grants is permission)
        if giving:
            grants[permission] = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=giving)
        elif complete and permission in offered:
            grants[permission] = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED)
        else:
            grants[permission] = Grant()
    escalations = tuple(
        dict.fromkeys(right.escalation for _, right in known if right is not None and right.escalation is not None)
    )
    return KeyReport(grants=grants, words=tuple(words), unknown_words=unknown, escalations=escalations)


def split_words(value: object) -> list[str] | None:
    """A list of rights from comma-separated text or a JSON array of texts, or None where it is neither.

    Every item must be a non-empty text: a gap in the list means that it did not arrive whole.
    """
    if isinstance(value, str):
        items: list[object] = [item.strip() for item in value.split(",")]
    elif isinstance(value, list):
        items = [item.strip() if isinstance(item, str) else item for item in cast("list[object]", value)]
    else:
        return None
    return [item for item in items if isinstance(item, str)] if all(isinstance(i, str) and i for i in items) else None


def addresses(value: object) -> IpRestriction:
    """An IP list from comma-separated text. Masked entries count as a restriction that cannot be read.

    An empty text is no restriction; a missing or unreadable value says nothing.
    """
    if not isinstance(value, str):
        return IpRestriction()
    items = [item.strip() for item in value.split(",") if item.strip()]
    if not items:
        return IpRestriction(state=GrantState.DENIED if not value.strip() else GrantState.UNKNOWN)
    readable = tuple(item for item in items if _is_address(item))
    masked = tuple(item for item in items if "*" in item)
    if any(_is_anywhere(item) for item in readable):
        return IpRestriction(state=GrantState.DENIED, addresses=readable)
    if len(readable) + len(masked) != len(items):
        return IpRestriction(addresses=readable, masked=masked)
    return IpRestriction(state=GrantState.GRANTED, addresses=readable, masked=masked)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_anywhere(text: str) -> bool:
    return (
        ipaddress.ip_network(text, strict=False).prefixlen == 0
        or ipaddress.ip_network(text, strict=False).network_address.is_unspecified
    )


def same_key(reported: object, api_key: str | None) -> bool:
    """Whether a report is about this key, as far as it tells."""
    return api_key is None or not isinstance(reported, str) or not reported or "*" in reported or reported == api_key


def decimal(value: object) -> Decimal | None:
    """A finite decimal from JSON text or number, or None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def positive_int(value: object) -> int | None:
    """A positive whole number from JSON text or number, or None."""
    number = decimal(value)
    return int(number) if number is not None and number > 0 and number == number.to_integral_value() else None


def text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def free_balances(rows: object, asset_name: str, free_name: str) -> dict[str, Decimal] | None:
    """Free balances above zero from a list of objects, or None where one row is not of that shape."""
    if not isinstance(rows, list):
        return None
    free: dict[str, Decimal] = {}
    for row in cast("list[object]", rows):
        if not isinstance(row, dict):
            return None
        item = cast("dict[str, Any]", row)
        asset, amount = item.get(asset_name), decimal(item.get(free_name))
        if not isinstance(asset, str) or not asset or amount is None:
            return None
        if amount > 0:
            free[asset] = free.get(asset, Decimal(0)) + amount
    return free
