"""The nouns of the workbench. This module imports nothing else of bfai.

All values are immutable. Times are aware and in UTC, durations in milliseconds, money is `Decimal`.
Nothing here but `Credentials` ever holds a secret, and `Credentials` never shows what it holds.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from html import escape
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.types import AwareDatetime

AWAY_HOLDS = timedelta(hours=24)
"""How long a test from where the bot runs outranks tests from here that fail for being made here."""


class Market(StrEnum):
    SPOT = "spot"
    FUTURES = "futures"


class Environment(StrEnum):
    LIVE = "live"
    TESTNET = "testnet"
    DEMO = "demo"
    SIMULATOR = "simulator"

    @property
    def touches_money(self) -> bool:
        """Whether a withdrawal there could move real money. The simulator behaves like a live account on purpose."""
        return self in (Environment.LIVE, Environment.SIMULATOR)


class Permission(StrEnum):
    READ = "read"
    SPOT_TRADE = "spot_trade"
    FUTURES_TRADE = "futures_trade"
    MARGIN = "margin"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"


class GrantState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    DECLARED = "declared"  # the exchange's own report on this key says so
    PROBED = "probed"  # a harmless call gated by that right worked, or was refused for that right
    NONE = "none"


class Outcome(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Status(StrEnum):
    ONLINE = "online"
    CONNECTED = "connected"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNTESTED = "untested"

    @property
    def ok(self) -> bool:
        return self in (Status.ONLINE, Status.CONNECTED)


class Cause(StrEnum):
    INVALID_KEY = "invalid_key"
    INVALID_SECRET = "invalid_secret"
    INVALID_PASSPHRASE = "invalid_passphrase"
    MALFORMED_CREDENTIALS = "malformed_credentials"
    EXPIRED_KEY = "expired_key"
    WRONG_ENVIRONMENT = "wrong_environment"
    IP_NOT_ALLOWED = "ip_not_allowed"
    PERMISSION_MISSING = "permission_missing"
    WITHDRAW_ENABLED = "withdraw_enabled"
    WITHDRAW_UNKNOWN = "withdraw_unknown"
    CLOCK_SKEW = "clock_skew"
    RATE_LIMITED = "rate_limited"
    EXCHANGE_UNAVAILABLE = "exchange_unavailable"
    LOCATION_RESTRICTED = "location_restricted"
    ACCOUNT_RESTRICTED = "account_restricted"
    LOCAL_NETWORK = "local_network"
    AMBIGUOUS = "ambiguous"
    UNEXPECTED_RESPONSE = "unexpected_response"

    @property
    def passes_by_itself(self) -> bool:
        return self in _PASSING

    @property
    def may_be_saved(self) -> bool:
        """Whether a new connection that failed for this cause may be stored, to be mended later."""
        return self in _PASSING or self in _MENDABLE


_PASSING = frozenset(
    {
        Cause.EXCHANGE_UNAVAILABLE,
        Cause.LOCAL_NETWORK,
        Cause.RATE_LIMITED,
        Cause.CLOCK_SKEW,
        Cause.LOCATION_RESTRICTED,
    }
)
_PLACES = frozenset({Cause.IP_NOT_ALLOWED, Cause.LOCATION_RESTRICTED, Cause.LOCAL_NETWORK})
_MENDABLE = frozenset({Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED})


class CheckName(StrEnum):
    REACH = "reach"
    CLOCK = "clock"
    KEY = "key"
    PERMISSIONS = "permissions"
    WITHDRAW_OFF = "withdraw_off"
    BALANCE = "balance"
    STATUS = "status"
    TRADE = "trade"
    FUTURES = "futures"
    IP_RESTRICTION = "ip_restriction"
    EXPIRY = "expiry"
    LEAST_PRIVILEGE = "least_privilege"
    SUB_ACCOUNT = "sub_account"


REQUIRED_CHECKS = (
    CheckName.REACH,
    CheckName.CLOCK,
    CheckName.KEY,
    CheckName.PERMISSIONS,
    CheckName.WITHDRAW_OFF,
    CheckName.BALANCE,
    CheckName.STATUS,
    CheckName.TRADE,
    CheckName.FUTURES,
)
ADVICE_CHECKS = (CheckName.IP_RESTRICTION, CheckName.EXPIRY, CheckName.LEAST_PRIVILEGE, CheckName.SUB_ACCOUNT)


class Advice(StrEnum):
    """Why a working connection is `connected` and not `online`."""

    NO_IP_RESTRICTION = "no_ip_restriction"
    IP_RESTRICTION_UNKNOWN = "ip_restriction_unknown"
    EXPIRES_SOON = "expires_soon"
    TRANSFER_ALLOWED = "transfer_allowed"
    FUTURES_NOT_NEEDED = "futures_not_needed"
    MARGIN_NOT_NEEDED = "margin_not_needed"
    CLOCK_CORRECTED = "clock_corrected"
    ESCALATION = "escalation"
    WITHDRAW_CONFIRMED = "withdraw_confirmed"
    RIGHT_UNKNOWN = "right_unknown"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(_Frozen):
    """A sentence to be shown: an English text that is a gettext message id, and its parameters.

    Rendered by `bfai.i18n`, so that a stored result speaks the language of whoever reads it.
    """

    text: str
    params: dict[str, str | int | float] = {}


class Grant(_Frozen):
    """One permission's state, how it is known, and the exchange's own words that say so."""

    state: GrantState = GrantState.UNKNOWN
    evidence: Evidence = Evidence.NONE
    words: tuple[str, ...] = ()


class IpRestriction(_Frozen):
    """`granted`: the key is bound to addresses; `denied`: it is not; `addresses` holds the readable ones."""

    state: GrantState = GrantState.UNKNOWN
    addresses: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class ExpiryEvidence(StrEnum):
    FIELD = "field"
    RULE = "rule"
    NONE = "none"


class KeyReport(_Frozen):
    """What a key may do, as far as it is known, with evidence for each claim. Never holds the key."""

    grants: dict[Permission, Grant] = {}
    words: tuple[str, ...] = ()
    unknown_words: tuple[str, ...] = ()
    escalations: tuple[str, ...] = ()
    ip_restriction: IpRestriction = IpRestriction()
    expires_at: AwareDatetime | None = None
    expiry_evidence: ExpiryEvidence = ExpiryEvidence.NONE
    account_id: str | None = None
    is_sub: bool | None = None
    label: str | None = None
    pairs: tuple[str, ...] | None = None
    created_at: AwareDatetime | None = None

    def grant(self, permission: Permission) -> Grant:
        return self.grants.get(permission, Grant())

    def state(self, permission: Permission) -> GrantState:
        return self.grant(permission).state

    def with_grant(self, permission: Permission, grant: Grant) -> KeyReport:
        return self.model_copy(update={"grants": {**self.grants, permission: grant}})

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each right, the gravest first, then address list and end."""
        order = (Permission.WITHDRAW, *(one for one in Permission if one is not Permission.WITHDRAW))
        rows = [[one.value, (g := self.grant(one)).state.value, g.evidence.value, ", ".join(g.words)] for one in order]
        bound = self.ip_restriction
        rows.append(["ip_restriction", bound.state.value, "", ", ".join((*bound.addresses, *bound.masked))])
        rows.append(["expires_at", "", self.expiry_evidence.value, str(self.expires_at or "")])
        return html_table(("right", "state", "evidence", "in the exchange's words"), rows)

    def content_hash(self) -> str:
        """Hex SHA-256 of the canonical JSON: equal reports are stored once."""
        return _digest(self.model_dump(mode="json"))

    def rights_hash(self) -> str:
        """Hex SHA-256 of what the key may do and from where: a confirmation by the trader holds only while it is
        equal.
        """
        dumped = self.model_dump(mode="json", include={"grants", "words", "unknown_words", "escalations"})
        return _digest({**dumped, "ip": self.ip_restriction.model_dump(mode="json")})


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for notebooks. Every cell is escaped: labels and words come from outside."""
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Diagnosis(_Frozen):
    """Why a test failed. `candidates` holds every cause that the answer fits, likeliest first.

    `exchange_said` is redacted. `permission` is the right that is missing for what the trader wants, never `withdraw`.
    `retry_after_s` is how long to wait where waiting is the remedy. `region` is the one that knows the key, where the
    others were asked. The remedy is derived (`bfai.diagnosis.remedy`).
    """

    cause: Cause
    candidates: tuple[Cause, ...]
    permission: Permission | None = None
    exchange_said: str | None = None
    seen_ip: str | None = None
    retry_after_s: float | None = None
    region: str | None = None
    check: CheckName | None = None


class Check(_Frozen):
    """One step of a test. `latency_ms` is None where no request belongs to it."""

    name: CheckName
    outcome: Outcome
    latency_ms: float | None = None
    detail: Message = Message(text="")


class Sent(_Frozen):
    """One line of the receipt: what was sent, without query, headers or body."""

    method: str
    host: str
    path: str
    purpose: str
    at: AwareDatetime
    status: int | None = None
    latency_ms: float | None = None
    dry_run: bool = False


class TestRun(_Frozen):
    """One connection test, finished."""

    __test__ = False  # not a test class, whatever its name suggests to pytest

    id: str
    connection_id: str | None = None
    exchange: str
    region: str
    environment: Environment
    market: Market
    status: Status
    diagnosis: Diagnosis | None = None
    checks: tuple[Check, ...] = ()
    advice: tuple[Advice, ...] = ()
    key_report: KeyReport | None = None
    confirmed_at: AwareDatetime | None = None
    balances: dict[str, str] = {}
    seen_ip: str | None = None
    clock_offset_ms: float | None = None
    answered_at: AwareDatetime | None = None
    """When the exchange was asked, where that is not `started_at`: a confirmation repeats what an older test saw."""
    other_assets: tuple[str, ...] = ()
    """The names of assets with a free balance that `balances` has no room for."""
    order_pairs: tuple[str, ...] | None = None
    """The pairs with open orders, as the exchange writes them and as far as the test asked; None: not read."""
    stranger_assets: tuple[str, ...] = ()
    """What the tripwire found (`bfai.tripwire`): assets that nobody listed, and that were not always there."""
    stranger_orders: tuple[str, ...] = ()
    """Pairs with open orders, likewise."""
    tested_from: str | None = None
    """The address from which it was tested where that was not here; empty where nobody could tell it."""
    set_aside: bool = False
    """It failed for the place where it was made, while a fresh test from where the bot runs says more about the key."""
    receipt: tuple[Sent, ...] = ()
    started_at: AwareDatetime
    duration_ms: float

    def check(self, name: CheckName) -> Check | None:
        return next((check for check in self.checks if check.name is name), None)

    @property
    def counts(self) -> bool:
        """Whether it says something about the exchange: our own dead network does not, nor what was set aside."""
        return not self.set_aside and (self.diagnosis is None or self.diagnosis.cause is not Cause.LOCAL_NETWORK)

    @property
    def asked_at(self) -> datetime:
        """When the exchange gave the answers that this run judges."""
        return self.answered_at or self.started_at

    @property
    def about_this_place(self) -> bool:
        """Whether it failed here for where "here" is, and read nothing of the key: its address, country or network."""
        if self.tested_from is not None or self.key_report is not None or self.status is not Status.FAILED:
            return False
        found = self.diagnosis
        if found is None:
            return False
        return found.cause in _PLACES or (found.cause is Cause.AMBIGUOUS and Cause.IP_NOT_ALLOWED in found.candidates)

    def yields_to(self, other: TestRun) -> bool:
        """Whether it says less about the key than `other`, a test from where the bot runs that is still fresh.

        Where that test saw a key that works from any address, a refused address is news and yields to nothing.
        """
        if other.tested_from is None or not self.about_this_place or self.asked_at - other.asked_at >= AWAY_HOLDS:
            return False
        if self.diagnosis is not None and self.diagnosis.cause in _PLACES - {Cause.IP_NOT_ALLOWED}:
            return True
        return other.key_report is None or other.key_report.ip_restriction.state is not GrantState.DENIED


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class Target(_Frozen):
    """What a test is about, apart from the key: which exchange, where, and for which market."""

    exchange: str
    market: Market = Market.SPOT
    region: str = "global"
    environment: Environment = Environment.LIVE
    egress_proxy: str | None = None


class Connection(_Frozen):
    """A named link to one account on one exchange through one API key. `key_hint` is the key's last four characters."""

    id: str
    name: Name
    target: Target
    used_by: str = ""
    note: str = ""
    key_hint: str
    created_at: AwareDatetime
    key_since: AwareDatetime
    status: Status = Status.UNTESTED
    last_run_id: str | None = None
    last_tested_at: AwareDatetime | None = None
    confirmed_at: AwareDatetime | None = None
    confirmed_hash: str | None = None


class Sighting(_Frozen):
    """An address by which exchanges saw the requests of one `way`, from `first_at` to `last_at` without a break.

    `way` is the text of `bfai.addresses.way`, `source` the id of the exchange that told it last.
    """

    way: str
    address: str
    source: str
    first_at: AwareDatetime
    last_at: AwareDatetime

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


class StrategyState(StrEnum):
    DRAFT = "draft"
    ENABLED = "enabled"
    SUSPENDED = "suspended"  # it was enabled, and what it needs is not there any more


class Revision(_Frozen):
    """One saved state of a strategy's parameters; it never changes. Numbers count from 1 without gaps.

    `parameters` is their canonical JSON, `digest` the hex SHA-256 of that text.
    """

    strategy_id: str
    number: int
    digest: str
    parameters: str
    created_at: AwareDatetime
    note: str = ""


class Strategy(_Frozen):
    """Parameters bound to a connection. `revision` is the number of the newest, `enabled_revision` of the one in force.

    `connection_id` is None once the connection was deleted; `connection_name` still names it. `reasons` say why it is
    suspended, and `needs_person` that it does not resume by itself. `enabled_at` is when `enabled_revision` was.
    """

    id: str
    name: Name
    connection_id: str | None
    connection_name: str
    state: StrategyState = StrategyState.DRAFT
    reasons: tuple[Message, ...] = ()
    needs_person: bool = False
    revision: int = 1
    enabled_revision: int | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    enabled_at: AwareDatetime | None = None


class EventKind(StrEnum):
    """What can happen to a connection, a strategy or the backups that somebody may want to hear of."""

    STATUS_FAILED = "status_failed"
    RECOVERED = "recovered"
    WITHDRAW_APPEARED = "withdraw_appeared"
    BLOCKED = "blocked"
    IP_LIST_EMPTIED = "ip_list_emptied"
    IP_LIST_CHANGED = "ip_list_changed"
    RIGHT_VANISHED = "right_vanished"
    RIGHT_APPEARED = "right_appeared"
    UNKNOWN_RIGHT = "unknown_right"
    EXPIRY_30 = "expiry_30"
    EXPIRY_7 = "expiry_7"
    EXPIRY_1 = "expiry_1"
    EXPIRED = "expired"
    STRATEGY_SUSPENDED = "strategy_suspended"
    STRATEGY_RESUMED = "strategy_resumed"
    STRANGER_ASSET = "stranger_asset"
    STRANGER_ORDER = "stranger_order"
    BACKUP_FAILED = "backup_failed"
    BACKUP_WORKS = "backup_works"

    @property
    def security(self) -> bool:
        """Whether a thief may be behind it: neither a grace nor quiet hours hold such an alarm back."""
        return self in _SECURITY


_SECURITY = frozenset(
    {
        EventKind.WITHDRAW_APPEARED,
        EventKind.BLOCKED,
        EventKind.IP_LIST_EMPTIED,
        EventKind.IP_LIST_CHANGED,
        EventKind.RIGHT_APPEARED,
        EventKind.UNKNOWN_RIGHT,
        EventKind.STRANGER_ASSET,
        EventKind.STRANGER_ORDER,
    }
)


class Event(_Frozen):
    """Something that happened once. It never changes.

    `text` names the connection or the strategy in its parameter `name`, which a backup has not; `details` are further
    sentences, `todo` says what to do. None of them holds a key or an amount. `facts` are plain texts for programs: a
    cause, an end, the strategy's id. `connection_id` is None for a backup, and for a strategy whose connection was
    deleted.
    """

    id: str
    connection_id: str | None
    kind: EventKind
    at: AwareDatetime
    run_id: str | None = None
    text: Message
    details: tuple[Message, ...] = ()
    todo: tuple[Message, ...] = ()
    facts: dict[str, str] = {}

    @property
    def security(self) -> bool:
        return self.kind.security


class Before(_Frozen):
    """What was known of a connection when a run came in.

    `connection` is its row, `status` the one of the last run that counts (our own dead network does not), `reports` the
    last key reports of the present key, newest first: the last one, and where it changes now those before it. `told`
    are the events about the present key's end.
    """

    connection: Connection
    status: Status
    reports: tuple[KeyReport, ...] = ()
    told: tuple[Event, ...] = ()


class Channel(_Frozen):
    """Somewhere that alerts are sent to. Its address is sealed in the vault; `hint` is what may be shown of it.

    `muted` are the kinds that it does not hear. From `quiet_from` to `quiet_until`, in the owner's time zone, whatever
    is no security alarm waits. `grace_minutes` is how long a failure may last before it is told; `repeat_hours` after
    how long it is told again while it lasts, None for never.
    """

    id: str
    name: Name
    hint: str
    muted: frozenset[EventKind] = frozenset()
    quiet_from: time | None = None
    quiet_until: time | None = None
    grace_minutes: int = Field(default=10, ge=0, le=24 * 60)
    repeat_hours: int | None = Field(default=None, ge=1, le=24 * 7)
    created_at: AwareDatetime

    def hears(self, kind: EventKind) -> bool:
        return kind not in self.muted

    def quiet_for(self, local: datetime) -> timedelta | None:
        """How long its quiet hours still last at this local time, None outside of them. Equal ends are no quiet."""
        if self.quiet_from is None or self.quiet_until is None or self.quiet_from == self.quiet_until:
            return None
        now, start, end = (
            timedelta(hours=one.hour, minutes=one.minute, seconds=one.second)
            for one in (local.time(), self.quiet_from, self.quiet_until)
        )
        within = start <= now < end if start < end else now >= start or now < end
        return (end - now) % timedelta(days=1) if within else None


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    FAILED = "failed"  # it is tried again at `due_at`
    SENT = "sent"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"  # there was nothing to tell any more

    @property
    def open(self) -> bool:
        return self in (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.FAILED)


class Delivery(_Frozen):
    """One event on its way to one channel. `number` counts repetitions that the channel asked for, from 0.

    `attempts` have begun, the last one at `claimed_at` by the program `holder`. `doubtful`: an earlier attempt may have
    arrived although nothing says so. `reason` says why it failed, was given up or dropped.
    """

    id: int
    event: Event
    channel_id: str
    channel_name: str
    number: int = 0
    state: DeliveryState = DeliveryState.WAITING
    due_at: AwareDatetime
    attempts: int = 0
    holder: str | None = None
    claimed_at: AwareDatetime | None = None
    done_at: AwareDatetime | None = None
    doubtful: bool = False
    reason: Message | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """API key, secret, and the passphrase where the exchange has one. Shows nothing; lives in memory only while
    used.
    """

    api_key: str
    secret: str
    passphrase: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    __str__ = __repr__

    @property
    def hint(self) -> str:
        """The last four characters of the key, or nothing where the key is too short to hide the rest."""
        return self.api_key[-4:] if len(self.api_key) >= 12 else ""

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be printed."""
        return tuple(value for value in (self.api_key, self.secret, self.passphrase) if value)

    def fields(self) -> dict[str, str]:
        return {
            name: value
            for name, value in (("api_key", self.api_key), ("secret", self.secret), ("passphrase", self.passphrase))
            if value is not None
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Credentials:
        return cls(fields["api_key"], fields["secret"], fields.get("passphrase"))

    def __reduce__(self) -> Any:
        raise TypeError("Credentials are never pickled")


class AuditEntry(_Frozen):
    """One append-only line: who did what to which thing. `detail` never holds a secret."""

    at: AwareDatetime
    action: str
    subject: str = ""
    detail: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


def utc_now() -> datetime:
    return datetime.now(UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_7 = "7"


def new_run_id(started_at: datetime) -> str:
    """An id for a test run: a UUID of version 7 (RFC 9562) whose time is the run's start to the microsecond.

    Any other text serves as well, but takes more room in the database.
    """
    rest = secrets.randbits(62) | 1 << 63
    return f"{id_head((started_at - _EPOCH) // timedelta(microseconds=1))}{rest:016x}"


def id_head(micros: int) -> str:
    """The first half of the id of a run that started then: milliseconds since 1970, version, 4096ths of one more."""
    milliseconds, rest = divmod(micros, 1000)
    return f"{milliseconds:012x}{_VERSION_7}{rest * 4096 // 1000:03x}"


def id_time(run_id: str) -> int | None:
    """The time in an id of `new_run_id`, in microseconds since 1970; None for any other text."""
    if len(run_id) != 32 or run_id[12] != _VERSION_7 or run_id[16] not in "89ab":
        return None
    try:
        milliseconds, part = int(run_id[:12], 16), int(run_id[13:16], 16)
    except ValueError:
        return None
    micros = milliseconds * 1000 - (-part * 1000 // 4096)
    return micros if id_head(micros) == run_id[:16] else None


def worst_first(statuses: Iterable[Status]) -> list[Status]:
    """Statuses in the order in which they ask for attention."""
    order = (Status.BLOCKED, Status.FAILED, Status.UNTESTED, Status.CONNECTED, Status.ONLINE)
    return sorted(statuses, key=order.index)


class BfaiError(Exception):
    """Anything that the workbench refuses, in words for the trader: what is wrong and what to do."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.text.format_map(message.params))
        self.message = message
