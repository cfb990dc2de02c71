"""What an exchange file of the simulator is made of: accounts, calls, replies, routes and the `Exchange` base.

A new exchange is one new file in this package with a subclass of `Exchange` in it and `EXCHANGE = ThatClass`.
The subclass names its hosts, its sample accounts and, with `@route`, what it answers; it verifies a signed call in
`verify` and words its own refusals. Nothing else needs an edit: the package finds the file by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

DAY_MS: Final = 86_400_000
JSON_TYPE: Final = "application/json"
BAL_SPOT: Final[Mapping[str, str]] = {"USDT": "4210.00", "BTC": "0.0125"}
BAL_FUTURES: Final[Mapping[str, str]] = {"USDT": "1500.00"}
WRITE: Final = "is no documented dry run"
"""What is wrong with a write that the exchange file has no stronger word for."""
STATUSES: Final = ("active", "frozen", "expired", "deleted")
SPOT_FEES: Final = ("0.0007", "0.0009")
FUTURES_FEES: Final = ("0.00016", "0.00045")


@dataclass
class Account:
    """One sample key and the account behind it, as the exchange knows them."""

    name: str
    api_key: str
    secret: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    permissions: tuple[str, ...] = ()
    ip_whitelist: tuple[str, ...] = ()
    status: str = "active"
    """One of `STATUSES`."""
    expires_in_days: float | None = None
    """Counted from the start of the simulator; None never ends."""
    uid: int = 0
    is_sub: bool = False
    label: str = "bot-1"
    pairs: tuple[str, ...] = ()
    """The pairs this key may trade, as the exchange writes them; empty: all."""
    seen_address: str | None = None
    """Pretend that calls with this key come from there."""
    site: str = "global"
    """Where the key was made, in the words of the exchange's file: a region, a testnet, a demo account."""
    mode: str = ""
    """The kind of account behind the key where the exchange has several; empty: its usual one."""
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the key report that are put over the usual ones as they are."""
    mask_ips: bool = False
    """Show addresses as `203.**.154` in the key report."""
    omit: tuple[str, ...] = ()
    """Fields left out of the key report."""
    spot: Mapping[str, str] = field(default_factory=lambda: BAL_SPOT)
    futures: Mapping[str, str] = field(default_factory=lambda: BAL_FUTURES)
    spot_orders: tuple[str, ...] = ()
    """Pairs, as the exchange writes them, with one open order in each; none on any sample account."""
    futures_orders: tuple[str, ...] = ()
    spot_fees: tuple[str, str] = SPOT_FEES
    """What this account pays as a maker and as a taker, as fractions: not what market lists say of everybody."""
    futures_fees: tuple[str, str] = FUTURES_FEES

    def allows(self, address: str) -> bool:
        """Whether the key may be used from this address."""
        return not self.ip_whitelist or address in self.ip_whitelist


_FIXED: Final = frozenset({"name", "api_key"})
_FEES: Final = frozenset({"spot_fees", "futures_fees"})
_LISTS: Final = frozenset({"permissions", "ip_whitelist", "pairs", "omit", "spot_orders", "futures_orders"}) | _FEES
_RATE: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_CHANGEABLE: Final = frozenset(f.name for f in fields(Account)) - _FIXED


def changed(account: Account, changes: Mapping[str, Any]) -> Account:
    """A copy with the changes; lists may be text with commas, `passphrase` means `password`. ValueError if unknown."""
    wanted: dict[str, Any] = {}
    for key, value in changes.items():
        name = "password" if key == "passphrase" else key
        if name not in _CHANGEABLE:
            raise ValueError(f"unknown change {key!r}; known: {', '.join(sorted(_CHANGEABLE))}")
        if name in _LISTS:
            items: Iterable[Any] = value.split(",") if isinstance(value, str) else (value or ())
            wanted[name] = rates = tuple(text for item in items if (text := str(item).strip()))
            if name in _FEES and (len(rates) != 2 or not all(map(_RATE.fullmatch, rates))):
                raise ValueError(f"{name} are two rates, maker and taker: {value!r}")
            continue
        if name == "status" and value not in STATUSES:
            raise ValueError(f"unknown status {value!r}; known: {', '.join(STATUSES)}")
        wanted[name] = value
    return replace(account, **wanted)


def sample_hex(length: int, *words: str) -> str:
    """The same hexadecimal text at every start, with eight zeros in front so that nobody takes it for a real one."""
    return ("0" * 8 + hashlib.sha512(" ".join(("bfai simulator", *words)).encode()).hexdigest())[:length]


@dataclass(slots=True)
class Reply:
    """What goes back: status, body and headers."""

    status: int
    body: bytes
    headers: dict[str, str]


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON reply, written as compactly as the exchanges write it."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


Handler = Callable[[Any, "Call"], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One documented endpoint. Any one of `scopes` opens it; `dry_run`: a documented order test, the only write."""

    method: str
    path: str
    handler: Handler
    groups: tuple[str, ...] = ()
    private: bool = False
    scopes: tuple[str, ...] = ()
    refusal: int = 0
    weight: int = 1
    dry_run: bool = False


def route(
    method: str,
    path: str,
    *,
    groups: tuple[str, ...] = (),
    private: bool = False,
    scopes: tuple[str, ...] = (),
    refusal: int = 0,
    weight: int = 1,
    dry_run: bool = False,
) -> Callable[[Handler], Handler]:
    """Marks a method of an `Exchange` as the answer to this path; one `{}` stands for one segment of any text.

    `groups` are those of the exchange's hosts that serve it (empty: all); `refusal` is the code for a missing scope.
    """

    def mark(handler: Handler) -> Handler:
        made = Route(method, path, handler, groups, private or bool(scopes), scopes, refusal, weight, dry_run)
        vars(handler).setdefault("routes", []).append(made)
        return handler

    return mark


@dataclass(slots=True)
class Call:
    """One request exactly as it arrived: the raw target and the raw body are what signatures are computed over."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    host: str
    group: str
    address: str
    now_ms: int
    path: str = ""
    query: str = ""
    segment: str = ""
    """What stood for `{}` in the route's path."""
    account: Account | None = None
    """Whose key came with the call; known before anything is verified."""
    route: Route | None = None
    violation: str | None = None

    def __post_init__(self) -> None:
        self.path, _, self.query = self.target.partition("?")

    @property
    def params(self) -> dict[str, str]:
        """Decoded parameters of the query, and of the body where that is a form."""
        found = dict(parse_qsl(self.query, keep_blank_values=True))
        if self.body and not self.body.startswith((b"{", b"[")):
            found.update(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        return found

    @property
    def data(self) -> dict[str, Any] | None:
        """The JSON object in the body; None if there is none."""
        try:
            value: Any = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]

    @property
    def who(self) -> Account:
        """The verified account of a private call."""
        assert self.account is not None
        return self.account


class Exchange(ABC):
    """One simulated exchange. Subclasses say who it is and what it answers; the rules for writes are here."""

    name: ClassVar[str]
    hosts: ClassVar[Mapping[str, str]]
    """Host name -> group (which of the exchange's APIs answers there)."""
    forbidden: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(start of a path, what a write there would do): the words of a violation."""

    def __init__(self, started_ms: int) -> None:
        self.started_ms = started_ms
        self._samples = {account.name: account for account in self.sample_accounts()}
        self.accounts: dict[str, Account] = {}
        self.by_key: dict[str, Account] = {}
        self._exact: dict[tuple[str, str, str], Route] = {}
        self._open: dict[tuple[str, str, str], Route] = {}
        groups = tuple(dict.fromkeys(self.hosts.values()))
        for kind in reversed(type(self).__mro__):
            for member in vars(kind).values():
                for made in getattr(member, "routes", ()):
                    table = self._open if "{}" in made.path else self._exact
                    for group in made.groups or groups:
                        table[group, made.method, made.path] = made
        self.reset_accounts()

    @abstractmethod
    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts, the same at every start."""

    @abstractmethod
    def key_of(self, call: Call) -> str:
        """The API key that came with the call, or an empty text."""

    @abstractmethod
    def verify(self, call: Call, route: Route) -> Reply | None:
        """None lets a private call in; otherwise the refusal, in the exchange's own words."""

    @abstractmethod
    def not_found(self, call: Call) -> Reply:
        """The answer to a path that does not exist."""

    @abstractmethod
    def refuse_write(self, call: Call) -> Reply:
        """The error that a forbidden write gets. It never succeeds."""

    @abstractmethod
    def rate_limited(self, call: Call) -> Reply:
        """The exchange's own words for too many requests."""

    @abstractmethod
    def maintenance(self, call: Call) -> Reply:
        """The exchange's own words for maintenance."""

    def finish(self, call: Call, reply: Reply) -> Reply:
        """A last hand on every answer (rate headers); as it is by default."""
        del call
        return reply

    def find(self, call: Call) -> Route | None:
        """The documented endpoint for a call, or None."""
        key = (call.group, call.method, call.path)
        if (exact := self._exact.get(key)) is not None:
            return exact
        if self._open:
            head, _, call.segment = call.path.rpartition("/")
            return self._open.get((call.group, call.method, f"{head}/{{}}"))
        return None

    def answer(self, call: Call) -> Reply:
        """Judges and answers one call; marks any write that is no documented dry run as a violation."""
        call.account = account = self.by_key.get(self.key_of(call))
        if account is not None and account.seen_address:
            call.address = account.seen_address
        call.route = found = self.find(call)
        if call.method != "GET" and (found is None or not found.dry_run):
            call.violation = next((what for start, what in self.forbidden if call.path.startswith(start)), WRITE)
            return self.finish(call, self.refuse_write(call))
        if found is None:
            return self.finish(call, self.not_found(call))
        if found.private and (refusal := self.verify(call, found)) is not None:
            return self.finish(call, refusal)
        return self.finish(call, found.handler(self, call))

    def change_account(self, name: str, changes: Mapping[str, Any]) -> None:
        """Changes a sample key at the exchange. KeyError for an unknown account, ValueError for an unknown change."""
        new = changed(self.accounts[name], changes)
        self.accounts[name] = self.by_key[new.api_key] = new

    def reset_accounts(self, name: str | None = None) -> None:
        """Puts one account, or all, back as they were at the start."""
        for sample in self._samples.values() if name is None else (self._samples[name],):
            self.accounts[sample.name] = self.by_key[sample.api_key] = sample

    def expires_ms(self, account: Account) -> int | None:
        """When the key ends, ms since 1970; None never."""
        days = account.expires_in_days
        return None if days is None else self.started_ms + int(days * DAY_MS)

    def expired(self, account: Account, now_ms: int) -> bool:
        """Whether the key is past its life."""
        end = self.expires_ms(account)
        return account.status == "expired" or (end is not None and now_ms >= end)


def hmac_sha256(secret: str, text: str | bytes) -> bytes:
    """HMAC-SHA256 of a text, keyed with a text."""
    return hmac.digest(secret.encode(), text.encode() if isinstance(text, str) else text, "sha256")


def same(given: str, right: str) -> bool:
    """Compares without telling how much was right; survives any text."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape"))
