"""What an exchange must answer: facts as data, and code only where something has to be decided.

An adapter is one file beside this one that ends in `EXCHANGE = TheClass()`; the registry finds it by itself.
ccxt signs requests and nothing more, because its exception classes are no diagnosis and its unified methods load
whole markets.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, cast

from bfai.i18n import N_
from bfai.model import (
    Cause,
    Credentials,
    Environment,
    Evidence,
    ExpiryEvidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Message,
    Permission,
    Sent,
    Target,
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
    PROBE = "withdraw_probe"
    SECOND_OPINION = "second_opinion"
    FEES = "fees"
    TIERS = "maintenance_tiers"


_ASKED_APART = frozenset({Role.ADDRESS, Role.SECOND_OPINION, Role.FEES, Role.TIERS})


_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""Half of a letter, as JSON writes it or as it is. It can be neither shown nor stored: no text at all."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_OWN_VALUES = frozenset({"api_key", "nonce"})


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

    `host` is a logical name that the site resolves; where a site has no such host, the call is not made there.
    `implicit` is the ccxt method whose signing rules apply; empty for a public call that ccxt does not know, which is
    sent as it stands. `right` is the permission that gates the call and `word` the exchange's own name of it. The call
    costs `weight` of the exchange's `limits[pool]`.

    `{api_key}` and `{nonce}` in a parameter are filled in; any other `{name}`, in `path` or a parameter, is a value
    that another answer of the same test gives (`Exchange.values`), and the call waits for it.

    A public answer may serve other tests for `share_seconds`: OKX tells its state once in five seconds.
    """

    role: Role
    method: str
    host: str
    path: str
    implicit: str
    purpose: str
    market: Market | None = None
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    signed: bool = True
    right: Permission | None = None
    word: str | None = None
    dry_run: bool = False
    pool: str = ""
    weight: int = 1
    share_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.implicit and (self.signed or self.params):
            raise ValueError(f"{self.method} {self.path}: only a public call without parameters goes without ccxt")
        if self.method != "GET" and not self.dry_run:
            raise ValueError(f"{self.method} {self.path}: only documented dry-run orders may be other than GET")
        if self.share_seconds and self.signed:
            raise ValueError(f"{self.method} {self.path}: only a public answer may be shared")

    @property
    def name(self) -> str:
        """Tells the calls of one plan apart."""
        return f"{self.host} {self.path}"

    @property
    def in_test(self) -> bool:
        """Whether a test of the connection makes it."""
        return self.role not in _ASKED_APART

    @property
    def needs(self) -> frozenset[str]:
        """The values of other answers that must be known before this call can be made."""
        texts = (self.path, *(value for value in self.params.values() if isinstance(value, str)))
        return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text)) - _OWN_VALUES


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
            found = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_once)
            if _HALF.search(text):
                json.dumps(found, ensure_ascii=False, default=str).encode()
            return found
        except (ValueError, RecursionError, InvalidOperation):  # the last for an exponent with some twenty digits
            return None

    @property
    def readable(self) -> str:
        """The body with what JSON wrote as `\\u6821` in its own script, so that words of any language are found."""
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), self.body) if "\\u" in self.body else self.body

    @property
    def object(self) -> dict[str, Any]:
        """The parsed body if it is a JSON object, else an empty dict."""
        parsed = self.json
        return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names a field twice says two things: it cannot be read."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


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
        return self.pattern is None or re.search(self.pattern, answer.readable, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Fees:
    """What an account pays, as shares of an order's worth. Below zero is a rebate."""

    maker: Decimal
    taker: Decimal


MarginUnit = Literal["quote", "contracts"]


@dataclass(frozen=True, slots=True)
class Tier:
    """Maintenance margin of positions from `floor` to `cap` (None: no end), counted in `unit`.

    `mmr` is a share of the position's worth, `cum` the amount in quote that is taken off; None where the exchange does
    not tell one, which makes the estimate the more careful one. `leverage` is set where a tier is for positions opened
    with that leverage only (HTX).
    """

    floor: Decimal
    cap: Decimal | None
    unit: MarginUnit
    mmr: Decimal
    cum: Decimal | None = None
    max_leverage: Decimal | None = None
    leverage: Decimal | None = None

    def min_notional(self, contract_size: Decimal, price: Decimal) -> Decimal:
        """Where it begins in quote, at this price."""
        return self.floor if self.unit == "quote" else self.floor * contract_size * price


class Tick(StrEnum):
    NEEDED = "needed"
    EMPTY = "empty"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Right:
    """One box of the exchange's key page. `word` is how its key report spells it, `box` how its page words it.

    `grants` is what it allows of the permissions this project tells apart: none for a right of no consequence to a bot,
    several where the exchange cannot part them. `kind` is the kind of account that has this box, where there is more
    than one.
    `escalation` is a message id that says how such a key can reach beyond what the boxes promise, and `exposes` is True
    where a thief could lift the key's own limits with it.
    """

    word: str
    box: str
    grants: tuple[Permission, ...] = ()
    needed_for: tuple[Market, ...] = ()
    aliases: tuple[str, ...] = ()
    escalation: str | None = None
    exposes: bool = False
    shown: bool = True
    kind: str = ""

    def tick(self, market: Market) -> Tick:
        if Permission.WITHDRAW in self.grants:
            return Tick.NEVER
        return Tick.NEEDED if market in self.needed_for else Tick.EMPTY


@dataclass(frozen=True, slots=True)
class Field:
    """One credential: its name, what the exchange calls it, and the form that it usually has.

    `pem` is True where it may be a private key of several lines.
    """

    name: str
    label: str
    pattern: str
    shape: str
    pem: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """A legal entity of an exchange with keys of its own: its hosts by logical name, and the markets that it serves."""

    id: str
    name: str
    hosts: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    markets: tuple[Market, ...] = (Market.SPOT, Market.FUTURES)


class CountedFrom(StrEnum):
    CREATION = "creation"
    LAST_USE = "last_use"
    PASSWORD_CHANGE = "password_change"


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """How keys end there although nobody ends them: `days` after what it is `counted` from.

    `only_open`: only keys that are bound to no address. `rights`: only keys with one of these; empty for all. `text` is
    a message id, `source` where the fact is from.
    """

    days: int
    counted: CountedFrom
    text: str
    source: str
    only_open: bool = True
    rights: tuple[Permission, ...] = ()

    def concerns(self, report: KeyReport) -> bool:
        """Whether a key with this report may end by this rule. What is not told counts as possible."""
        if self.only_open and report.ip_restriction.state is GrantState.GRANTED:
            return False
        return not self.rights or any(report.state(right) is not GrantState.DENIED for right in self.rights)

    def end(self, report: KeyReport, last_use: datetime | None) -> datetime | None:
        """When the key ends as far as it is known; None where the rule does not concern it or nothing tells."""
        since = {CountedFrom.CREATION: report.created_at, CountedFrom.LAST_USE: last_use}.get(self.counted)
        return since + timedelta(days=self.days) if since is not None and self.concerns(report) else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that a key often gets there, as the exchange words it. What it means is worked out from it.

    `hint` is a message id that is said in place of the usual remedy.
    """

    status: int
    body: str
    hint: str = ""


OTHER_SITE = N_(
    "Copy the key again. A key of another site of {exchange} is refused in the same words: choose its region here."
)


@dataclass(frozen=True, slots=True)
class Guide:
    """What the trader must know to make a key there. Texts are message ids; None stands where nobody tells.

    `asked` is what its page asks for beside a name, the boxes, a passphrase and the usual codes. `max_ips` addresses
    fit on a key's list, IPv6 ones if `takes_ipv6`; an account may have `max_keys` keys. `refusals` are the common ones,
    the commonest first.
    """

    key_page: str
    steps: tuple[str, ...]
    ip_step: str
    shown_once: str
    max_ips: int | None
    sub_accounts: str
    max_keys: int | None = None
    takes_ipv6: bool | None = None
    asked: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Exchange(ABC):
    """One exchange: data, and the few decisions that data cannot make."""

    id: str
    name: str
    ccxt_id: str
    fields: tuple[Field, ...]
    regions: tuple[Region, ...]
    tests: Mapping[Environment, Region] = MappingProxyType({})
    """Testnet and demo: hosts (empty: the live ones) and headers instead of the region's."""
    markets: tuple[Market, ...] = (Market.SPOT, Market.FUTURES)
    calls: tuple[Call, ...]
    limits: Mapping[str, Limit]
    rights: tuple[Right, ...]
    error_rules: tuple[ErrorRule, ...]
    guide: Guide
    expiry_rules: tuple[ExpiryRule, ...] = ()
    host_pattern: str
    """Finds the exchange in a pasted text: its hosts, names and headers."""
    body_pattern: str = r"(?!)"
    """Finds it by the shape of its JSON, where that is its own."""
    fee_fields: Mapping[Market, tuple[str, str]] = MappingProxyType({})
    """Where the answer to its `Role.FEES` call tells the maker's and the taker's rate, as `only` reads it."""
    order_pair_fields: Mapping[Market, str] = MappingProxyType({})
    """The field of an open order that names its pair, where that is not `symbol`."""
    rights_fields: frozenset[str] = frozenset()
    """The documented fields of its key report that tell of rights or sound like it. Empty: a field for each right."""
    tests_take_live_keys: bool = False
    """Whether a key of a test environment works on the live exchange too, so that it must not withdraw either."""
    confirmed_live: str | None = None
    """The day on which its key report was last seen live in the documented shape."""

    # -- facts ---------------------------------------------------------------------------------------------------------

    def region(self, region_id: str) -> Region:
        for region in self.regions:
            if region.id == region_id:
                return region
        raise KeyError(region_id)

    @property
    def environments(self) -> tuple[Environment, ...]:
        return (Environment.LIVE, *self.tests, Environment.SIMULATOR)

    def site(self, region_id: str, environment: Environment = Environment.LIVE) -> Region:
        """The hosts and headers of a region, or of its testnet or demo. Raises KeyError for what does not exist."""
        region = self.region(region_id)
        test = self.tests.get(environment)
        if test is None:
            return region
        return replace(
            region,
            hosts=test.hosts or region.hosts,
            headers={**region.headers, **test.headers},
            markets=tuple(market for market in region.markets if market in test.markets),
        )

    def serves(self, region_id: str, market: Market, environment: Environment = Environment.LIVE) -> bool:
        """Whether this market can be tested there: KuCoin EU, for one, has no futures, and no region but the first has
        a testnet with hosts of its own.
        """
        test = self.tests.get(environment)
        if test is not None and test.hosts and region_id != self.regions[0].id:
            return False
        return market in self.markets and market in self.site(region_id, environment).markets

    def plan(
        self, market: Market, region_id: str | None = None, environment: Environment = Environment.LIVE
    ) -> tuple[Call, ...]:
        """The calls of one test for this market there (in the first region if none is named)."""
        hosts = self.site(region_id or self.regions[0].id, environment).hosts
        return tuple(
            call for call in self.calls if call.in_test and call.market in (None, market) and call.host in hosts
        )

    def second_opinions(self, target: Target) -> tuple[Call, ...]:
        """Calls that may tell more where the key call was refused without a reason."""
        hosts = self.site(target.region, target.environment).hosts
        return tuple(call for call in self.calls if call.role is Role.SECOND_OPINION and call.host in hosts)

    def account_calls(self, target: Target) -> tuple[Call, ...]:
        """The calls that tell what this account pays for orders, and what margin it must keep, for one pair."""
        hosts = self.site(target.region, target.environment).hosts
        return tuple(
            call
            for call in self.calls
            if call.role in (Role.FEES, Role.TIERS) and call.market in (None, target.market) and call.host in hosts
        )

    def inseparable(self, right: Permission, words: Sequence[str]) -> set[Permission]:
        """What each of these words that gives this right gives as well: nobody can take it away alone."""
        giving = [set(known.grants) for word in words if (known := self.right(word)) and right in known.grants]
        return set[Permission]().union(*giving) - {right}

    @property
    def expiry_rule(self) -> str | None:
        """The message id of the rule by which most of its keys end, or None where none is documented."""
        return self.expiry_rules[0].text if self.expiry_rules else None

    def right(self, word: str) -> Right | None:
        return self._rights_by_word.get(word.strip().upper())

    def boxes(self, permission: Permission) -> tuple[str, ...]:
        """The exchange's own names of the boxes that give this permission."""
        return tuple(dict.fromkeys(right.box for right in self.rights if permission in right.grants))

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

    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        """The key report in the parsed body of the key-info call, or None where it is not one.

        `received_at` is when it came (UTC): needed to turn "days left" into a date; without it such a date stays
        unknown. A report that names another key than `api_key` is none. Where an answer tells of rights at a second
        place, or in words of its own, withdrawal is not denied: nobody knows which of them is the whole.
        """
        outer = as_object(body)
        if outer.get("success") is False or outer.get("status") in ("error", "fail", "failed"):
            return None
        if not all(may_be(key, api_key) for key in _keys_named(body)):
            return None
        report = self.report_in(body, received_at, api_key)
        if report is None or report.state(Permission.WITHDRAW) is not GrantState.DENIED:
            return report
        second = self._second_telling(body)
        if second is None:
            return report
        report = report.with_grant(Permission.WITHDRAW, Grant())
        return report.model_copy(update={"unknown_words": (*report.unknown_words, second)})

    @abstractmethod
    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        """What `read_report` gives, as far as it is the adapter's to know."""

    def _second_telling(self, body: object) -> str | None:
        """A field that tells of rights beside the documented ones, or at another place than they; None if none does."""
        documented = self.rights_fields or frozenset(right.word for right in self.rights)
        spellings = {name.casefold() for name in documented}
        withdrawing = {
            word.casefold()
            for right in self.rights
            if Permission.WITHDRAW in right.grants
            for word in (right.word, *right.aliases)
            if len(word) > 3
        }
        places: set[tuple[str, ...]] = set()
        for place, name, value in _fields_of(body, documented):
            if name in documented:
                places.add(place)
                continue
            low = name.casefold()
            says_no = value is False and ("withdraw" in low or low in spellings)
            speaks = low in spellings or _SPEAKS_OF_RIGHTS.search(name) is not None
            if low not in _FREE_TEXT and not withdrawing.isdisjoint(_words_in(value)):
                speaks = True
            if speaks and not says_no:
                return name[:40]
        return None if len(places) < 2 else ".".join(max(places)) or "?"

    def with_counted_end(self, report: KeyReport, at: datetime | None = None) -> KeyReport:
        """The report with the end that a documented rule gives, where the exchange itself tells none. `at` is the time
        (UTC), without it now.

        Where nobody tells whether the key is bound to addresses, the rule is shown elsewhere and not counted.
        """
        told = report.expires_at is not None or report.expiry_evidence is not ExpiryEvidence.NONE
        if told or report.ip_restriction.state is GrantState.UNKNOWN:
            return report
        rules = (rule for rule in self.expiry_rules if rule.counted is CountedFrom.CREATION)
        ends = (rule.end(report, None) for rule in rules)
        # A key that still works after the end that its rule gives is not under that rule.
        end = next((end for end in ends if end is not None and end > (at or datetime.now(UTC))), None)
        update = {"expires_at": end, "expiry_evidence": ExpiryEvidence.RULE}
        return report.model_copy(update=update) if end is not None else report

    @abstractmethod
    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        """Free balances above zero by asset, or None where the answer is not the documented shape."""

    @abstractmethod
    def read_orders(self, market: Market, answer: Answer) -> int | None:
        """The number of open orders in the answer, or None where it is not the documented shape."""

    def order_pairs(self, market: Market, answer: Answer) -> tuple[str, ...] | None:
        """The pairs with open orders in the answer, in the exchange's own words, sorted, each once; None where it does
        not tell.
        """
        count = self.read_orders(market, answer)
        name = self.order_pair_fields.get(market, "symbol")
        found = {value for _, field, value in _fields_of(answer.json) if field == name and isinstance(value, str)}
        return None if count is None or (count > 0 and not found) else tuple(sorted(found - {""}))

    def one_pair_asked(self, target: Target) -> str | None:
        """The only pair whose open orders a test asks for, by the exchange's own name; None where it asks for all."""
        calls = self.plan(target.market, target.region, target.environment)
        return next((call.params.get("symbol") for call in calls if call.role is Role.ORDERS), None)

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

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """Whether a refused dry-run order tells nothing about the key: OKX offers it in some account modes only."""
        return False

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        """A cause that the answer to the key-info or account call names itself: deleted, frozen, expired, or an account
        that cannot trade this market whatever its key may do. `at` is the time (UTC), without it now.
        """
        return None

    def values(self, answer: Answer) -> Mapping[str, str]:
        """Values in a successful answer that other calls of the test need; `uid` is the account's number."""
        return {}

    def pair_values(self, pair_id: str) -> Mapping[str, str]:
        """What fills the placeholders of `account_calls` for a pair, by the exchange's own name of it."""
        return {"pair": pair_id}

    def read_fees(self, market: Market, quote: str, answer: Answer) -> Fees | None:
        """The fees in the answer to the `Role.FEES` call about one pair, or None where it does not tell them in the
        documented form.
        """
        del quote
        names = self.fee_fields.get(market)
        return None if names is None else fees(*(decimal(only(answer.json, name)) for name in names))

    def read_tiers(self, answer: Answer) -> tuple[Tier, ...] | None:
        """The maintenance tiers in the answer to the `Role.TIERS` call, ascending, or None where it does not tell them
        in the documented form.
        """
        del answer
        return None

    def of_other_kind(self, answer: Answer) -> bool:
        """Whether a refusal says no more than that the call is for another kind of account (Bitget has two).

        Such a call does not count where another of the same role succeeded.
        """
        return False

    def prepare_signer(self, signer: Any, site: Region) -> None:
        """Tells ccxt's instance what it must know before it signs, such as a host that is part of the signed text."""
        del signer, site

    # -- pasted credentials --------------------------------------------------------------------------------------------

    def normalise(self, credentials: Credentials) -> Credentials:
        """The credentials as they are sent and stored: private keys with real line ends, without quotes."""
        return Credentials.from_fields(
            {
                name: normalise_pem(value) if self._may_be_pem(name) and "-----BEGIN" in value else value
                for name, value in credentials.fields().items()
            }
        )

    def _may_be_pem(self, name: str) -> bool:
        return any(spec.pem for spec in self.fields if spec.name == name)

    def check_credentials(self, credentials: Credentials) -> tuple[Message, ...]:
        """What is visibly wrong with these credentials, before any call."""
        problems: list[Message] = []
        values = credentials.fields()
        for spec in self.fields:
            value = values.get(spec.name, "")
            if not value:
                problems.append(Message(text=N_("{field} is empty."), params={"field": spec.label}))
            elif spec.pem and "-----BEGIN" in value:
                problems.extend(pem_problems(spec, value))
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
                text=N_("{field} looks unusual. {exchange} shows: {shape}. Is it complete?"),
                params={"field": spec.label, "exchange": self.name, "shape": spec.shape},
            )
            for spec in self.fields
            if values.get(spec.name)
            and not (spec.pem and "-----BEGIN" in values[spec.name])
            and not re.fullmatch(spec.pattern, values[spec.name])
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
    offered = {permission for right in exchange.rights for permission in right.grants}
    grants: dict[Permission, Grant] = {}
    for permission in Permission:
        giving = tuple(word for word, right in known if right is not None and permission in right.grants)
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


def grants_from_fields(exchange: Exchange, fields: Mapping[str, object]) -> KeyReport:
    """Grants from a report with a field for each right, each true or false.

    A permission is granted where one of its fields says so, denied where at least one says no and none is unreadable.
    A missing field says nothing. Fields that no document names count only if they are true: those are unknown words.
    """
    yes = [name for name, value in fields.items() if value is True]
    known = {name: right for name in fields if (right := exchange.right(name)) is not None}
    unreadable = {name for name in known if not isinstance(fields[name], bool)}
    unknown = tuple(name for name in yes if name not in known) + tuple(sorted(unreadable))
    grants: dict[Permission, Grant] = {}
    for permission in Permission:
        named = [name for name, right in known.items() if permission in right.grants]
        giving = tuple(name for name in named if fields[name] is True)
        if giving:
            grants[permission] = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=giving)
        elif named and not unreadable.intersection(named):
            grants[permission] = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED, words=tuple(named))
        else:
            grants[permission] = Grant()
    granted = [known[name] for name in yes if name in known]
    escalations = tuple(dict.fromkeys(right.escalation for right in granted if right.escalation is not None))
    return KeyReport(grants=grants, words=tuple(yes), unknown_words=unknown, escalations=escalations)


def merge_reports(reports: Sequence[KeyReport]) -> KeyReport | None:
    """One report from several of the same key: what any of them grants is granted.

    A right is denied only if one of them denies it and none of them leaves it open because of something unknown in it.
    """
    if len(reports) < 2:
        return reports[0] if reports else None
    grants: dict[Permission, Grant] = {}
    for permission in Permission:
        states = {state: report.grant(permission) for report in reports for state in [report.state(permission)]}
        doubt = any(report.unknown_words and report.state(permission) is GrantState.UNKNOWN for report in reports)
        if GrantState.GRANTED in states:
            grants[permission] = states[GrantState.GRANTED]
        elif GrantState.DENIED in states and not doubt:
            grants[permission] = states[GrantState.DENIED]
        else:
            grants[permission] = Grant()
    known_lists = [report.ip_restriction for report in reports if report.ip_restriction.state is not GrantState.UNKNOWN]
    bindings = {restriction.state for restriction in known_lists}
    restriction = max(known_lists, key=lambda one: len(one.addresses) + len(one.masked), default=IpRestriction())
    if len(bindings) > 1:  # they contradict each other: nobody can rely on a binding
        restriction = IpRestriction()
    first = {
        name: next((value for report in reports if (value := getattr(report, name)) is not None), None)
        for name in ("account_id", "is_sub", "label", "pairs", "created_at")
    }
    ending = next((report for report in reports if report.expiry_evidence is not ExpiryEvidence.NONE), reports[0])
    return KeyReport(
        grants=grants,
        words=tuple(dict.fromkeys(word for report in reports for word in report.words)),
        unknown_words=tuple(dict.fromkeys(word for report in reports for word in report.unknown_words)),
        escalations=tuple(dict.fromkeys(text for report in reports for text in report.escalations)),
        ip_restriction=restriction,
        expires_at=ending.expires_at,
        expiry_evidence=ending.expiry_evidence,
        **first,
    )


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
    masked = tuple(item for item in items if _MASKED.fullmatch(item))
    if any(_is_anywhere(item) for item in readable):
        return IpRestriction(state=GrantState.DENIED, addresses=readable)
    if len(readable) + len(masked) != len(items):
        return IpRestriction(addresses=readable, masked=masked)
    return IpRestriction(state=GrantState.GRANTED, addresses=readable, masked=masked)


def address_list(value: object) -> IpRestriction:
    """The same from a JSON array. `["*"]`, `[""]` and `[]` are no restriction."""
    if not isinstance(value, list):
        return IpRestriction()
    items = cast("list[object]", value)
    if not all(isinstance(item, str) for item in items):
        return IpRestriction()
    texts = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    return IpRestriction(state=GrantState.DENIED) if not texts or "*" in texts else addresses(",".join(texts))


_MASKED = re.compile(r"(?=.*\*)[0-9a-fA-FxX*.:/]{1,45}")


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


def may_be(shown: object, api_key: str | None) -> bool:
    """Whether a key that an answer shows in whole, in part (`abc****xyz`) or not at all may be this one."""
    if api_key is None or shown is None or shown == "":
        return True
    if not isinstance(shown, str):
        return False
    first, _, last = shown.partition("*")
    return shown == api_key if "*" not in shown else api_key.startswith(first) and api_key.endswith(last.lstrip("*"))


_SPEAKS_OF_RIGHTS = re.compile(
    r"(?i)perm|authorit|auths?$|scope|rights?(?:_?list)?$|withdraw|roles?$|grants?$|privilege|capabilit|abilities"
)
_FREE_TEXT = frozenset({"label", "note", "remark", "name", "msg", "message"})
_KEY_NAMES = frozenset({"apikey", "api_key", "accesskey", "access_key"})


def _fields_of(body: object, closed: Container[str] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Every field of an answer with its place, in which `*` stands for the items of a list. What `closed` names is not
    looked into.
    """
    waiting: list[tuple[tuple[str, ...], object]] = [((), body)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(((*place, "*"), item) for item in cast("list[object]", value))
            continue
        for name, inner in as_object(value).items():
            yield place, name, inner
            if name not in closed:
                waiting.append(((*place, name), inner))


def _words_in(value: object) -> set[str]:
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    return {word.strip().casefold() for text in texts if isinstance(text, str) for word in text.split(",")}


def _keys_named(body: object) -> Iterator[object]:
    """The keys that an answer says it is about. Those in a list are the adapter's to tell apart."""
    return (value for place, name, value in _fields_of(body) if name.casefold() in _KEY_NAMES and "*" not in place)


def time_ms(value: object) -> datetime | None:
    """A time from milliseconds since 1970 as JSON text or number, or None."""
    milliseconds = positive_int(value)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def normalise_pem(text: str) -> str:
    """A private key in PEM with one line end after each line, from whatever copying and JSON made of it."""
    text = text.strip().strip("\"'").replace("\\r", "").replace("\\n", "\n").replace("\r", "\n").strip()
    match = re.fullmatch(r"-----BEGIN ([A-Z0-9 ]+)-----(.*)-----END \1-----", text, re.DOTALL)
    if match is None:
        return text
    base64_text = re.sub(r"\s+", "", match[2])
    lines = [base64_text[at : at + 64] for at in range(0, len(base64_text), 64)]
    return "\n".join((f"-----BEGIN {match[1]}-----", *lines, f"-----END {match[1]}-----", ""))


def pem_problems(spec: Field, text: str) -> list[Message]:
    """What is wrong with a private key in PEM before any call: it must load, unencrypted."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(normalise_pem(text).encode("ascii", "replace"), None)
    except Exception:  # the library raises many kinds; what they say may hold parts of the key
        return [
            Message(
                text=N_("{field} is no whole private key. Copy everything, from -----BEGIN to the last line."),
                params={"field": spec.label},
            )
        ]
    return []


_MOST_DIGITS = 60
"""On either side of the point. More have no meaning as money or time, and 1e999999999 written out fills the memory."""


def decimal(value: object) -> Decimal | None:
    """A finite decimal of at most 60 digits on either side of the point from JSON text or number, or None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return None
    if isinstance(value, str) and len(value) > 2 * _MOST_DIGITS + 2:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS:
        return None
    return number if cast("int", number.as_tuple().exponent) >= -_MOST_DIGITS else None


def positive_int(value: object) -> int | None:
    """A positive whole number from JSON text or number, or None."""
    number = decimal(value)
    return int(number) if number is not None and number > 0 and number == number.to_integral_value() else None


_HIGHEST_FEE = Decimal("0.05")


def fees(maker: Decimal | None, taker: Decimal | None) -> Fees | None:
    """The two rates, if both are told. A rate above 5 % is no share: nobody knows what it is counted in."""
    if maker is None or taker is None or max(abs(maker), abs(taker)) > _HIGHEST_FEE:
        return None
    return Fees(maker, taker)


def only(body: object, path: str) -> Any:
    """What stands at `path`, names joined by dots: `*` is the one item of a list or object. None where nothing does."""
    value: Any = body
    for name in path.split("."):
        if name != "*":
            value = as_object(value).get(name)
            continue
        items = list(cast("dict[str, Any]", value).values()) if isinstance(value, dict) else value
        value = cast("list[Any]", items)[0] if isinstance(items, list) and len(cast("list[Any]", items)) == 1 else None
    return value


def tiers(
    rows: Sequence[Mapping[str, Any]], floor: str, cap: str, mmr: str, cum: str, leverage: str = ""
) -> tuple[Tier, ...] | None:
    """Tiers in quote from objects with these names, or None where one is not whole: half a table would pick a wrong
    tier.
    """
    found: list[Tier] = []
    for row in rows:
        begins, rate, amount = (decimal(row.get(name)) for name in (floor, mmr, cum))
        if begins is None or rate is None or amount is None or not 0 < rate < 1:
            return None
        most = decimal(row.get(leverage)) if leverage else None
        found.append(Tier(begins, decimal(row.get(cap)), "quote", rate, amount, most))
    found.sort(key=lambda tier: tier.floor)
    whole = bool(found) and found[0].floor == 0
    whole = whole and all(one.cap == following.floor for one, following in itertools.pairwise(found))
    return tuple(found) if whole else None


def objects(value: object) -> list[dict[str, Any]]:
    """The items of a list as `as_object` gives them; nothing where it is no list."""
    return [as_object(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def as_object(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty dict."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


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
