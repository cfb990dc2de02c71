"""Where connections, sealed secrets, test runs, strategies and the audit trail are kept.

`Store` is the protocol that every database keeps, `open_store` gives one for an address. A store is bound to one owner
when it is opened; none of its methods takes an owner, so nothing can be asked about anybody else's rows. It may be used
from several threads at once, and several processes may have the same database open.

Every method that changes something does so in one transaction, together with its line in the audit trail; several of
them are one transaction within `Store.together()`.
Any of them may raise a `StoreError`; nothing is half written when it does.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, ParamSpec, Protocol, TypeVar

from bfai.i18n import N_
from bfai.model import (
    AuditEntry,
    Before,
    BfaiError,
    Cause,
    Channel,
    Connection,
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    KeyReport,
    Message,
    Revision,
    Sighting,
    Status,
    Strategy,
    StrategyState,
    TestRun,
    utc_now,
)


class Sealed(NamedTuple):
    """One sealed secret: format version, 12-byte nonce, ciphertext with its 16-byte tag. Useless without the vault."""

    format: int
    nonce: bytes
    ciphertext: bytes


class Wrap(NamedTuple):
    """The vault's data key, wrapped by what `kind` says. `memory_kib`, `passes` and `lanes` are Argon2id's cost."""

    kind: str
    format: int
    salt: bytes
    memory_kib: int
    passes: int
    lanes: int
    nonce: bytes
    ciphertext: bytes
    checksum: bytes


class VaultRow(NamedTuple):
    """The vault of this owner. `failures` counts the unlocks that failed in a row, the last of them at `failed_at`.

    `key_check` tells which data key seals what is stored, None where it was not written down yet.
    """

    id: str
    format: int
    created_at: datetime
    failures: int
    failed_at: datetime | None
    wraps: Mapping[str, Wrap]
    key_check: bytes | None = None


class Resealed(NamedTuple):
    """What a connection holds that hangs on the vault's data key."""

    secrets: Mapping[str, Sealed]
    fingerprint: bytes


class Worker(NamedTuple):
    """Who may be given keys. `id` is made from the public key (`bfai.delegation.worker_id`), 32 bytes of X25519."""

    id: str
    name: str
    public_key: bytes
    registered_at: datetime


class Delegation(NamedTuple):
    """A connection's key, sealed to a worker's. Useless without the worker's private key."""

    worker_id: str
    format: int
    sealed: bytes
    given_at: datetime


class RunRow(NamedTuple):
    """A test run, light enough for lists and charts. `Store.run(id)` gives the whole.

    `latencies` maps a check's name to milliseconds, only for checks that sent a request. `status_changed` and
    `report_changed` say that the connection's status, or its key report, was another one before this run. `set_aside`
    is that of the run: it says nothing about the exchange.
    """

    id: str
    connection_id: str
    started_at: datetime
    status: Status
    cause: Cause | None
    duration_ms: float
    latencies: Mapping[str, float]
    status_changed: bool = False
    report_changed: bool = False
    set_aside: bool = False

    @property
    def local_network(self) -> bool:
        """Our own network was down: the run says nothing about the exchange."""
        return self.cause is Cause.LOCAL_NETWORK


class Track(NamedTuple):
    """How far the history of one connection is rolled up. Times are whole microseconds since 1970 UTC.

    `key` is the connection's number in this database. Every run since `kept_from` is there; of the time before, only
    roll-ups and what is kept for ever. Roll-ups are complete until `rolled_until`, a whole hour.
    """

    key: int
    connection_id: str
    exchange: str
    kept_from: int = 0
    rolled_until: int = 0


class PatternFacts(NamedTuple):
    """What a pattern of runs says by itself: status, cause, the checks whose latencies follow on a run's duration, the
    place of the clock offset among its numbers; for a confirmation, which repeats what an older test saw, when that
    test asked, in microseconds since 1970; and whether it was set aside (`TestRun.set_aside`) and counts nowhere.
    """

    status: Status
    cause: Cause | None
    timed: tuple[str, ...]
    clock: int | None = None
    repeats: int | None = None
    set_aside: bool = False


class Keep(Enum):
    """Stands for "leave it as it is" where None is a value of its own."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class Schedule(NamedTuple):
    """When a connection is tested by itself, and whether somebody tests it now.

    `every` is None where it is off. `next_at` was set at `set_at`. `holder` tests it, and has said at `held_at` that it
    will be through by `held_until`; afterwards it counts as dead.
    """

    connection_id: str
    every: timedelta | None
    set_at: datetime
    next_at: datetime
    holder: str | None = None
    held_at: datetime | None = None
    held_until: datetime | None = None

    def is_held(self, now: datetime) -> bool:
        return self.held_until is not None and self.held_until > now


class Pause(NamedTuple):
    """An exchange that has failed so often in a row is left alone from `since` until `until`."""

    failures: int
    since: datetime
    until: datetime

    def holds(self, now: datetime) -> bool:
        return now < self.until


class RunEnd(NamedTuple):
    """What a finished test means for the schedule of its connection, and for its exchange.

    `next_at` holds only if `every` is still the connection's and `holder` still holds it. `pause` takes the place of
    that of `place`; None ends it.
    """

    holder: str
    at: datetime
    every: timedelta | None
    next_at: datetime
    place: str
    pause: Pause | Literal[Keep.KEEP] | None


class AccountFacts(NamedTuple):
    """Whose account a key belongs to, as its last report tells: its number there, and whether it is a sub-account."""

    account_id: str | None
    is_sub: bool | None


class Place(NamedTuple):
    """Where a database lies, and how many bytes it takes there."""

    name: str
    size: int


class MarketData(NamedTuple):
    """What an exchange published, as JSON, and when it was asked."""

    rows: str
    fetched_at: datetime


Judge = Callable[[Before], Sequence[Event]]
"""Says which events a run means, from what was known before it. Called within the transaction that keeps the run, so
that two programs which test at the same time never judge by the same past.
"""


def no_events(before: Before) -> Sequence[Event]:
    del before
    return ()


SET_BACK: Final = timedelta(seconds=10)
"""What was set by a clock that is further ahead than this was set before the clock was set back. Up to this it was set
while somebody who had looked at the time already waited for the database.
"""
VISITS: Final = "visits"
"""The setting that holds when the owner signed in last, and up to when no sign-in counts any more."""
MARKET_DATA_KEPT: Final = timedelta(days=30)


def account_data(connection_id: str) -> str:
    """How the names of market data begin that an exchange tells to this connection's key alone: deleted with it."""
    return f"account/{connection_id}/"


def connection_deleted(name: str) -> Message:
    """Why a strategy is suspended whose connection was deleted."""
    text = N_("The connection {name} was deleted. Duplicate this strategy for another connection.")
    return Message(text=text, params={"name": name})


class StoreError(BfaiError):
    """The database cannot do what was asked."""


class StoreDamaged(StoreError):
    """The file is no database, or a broken one. It is left as it is."""


class RowDamaged(StoreDamaged):
    """A row means nothing, or not what it did when it was written."""

    def __init__(self) -> None:
        text = N_("Something in the database is damaged, so it is not used. Put a backup in its place.")
        super().__init__(Message(text=text))


_P = ParamSpec("_P")
_T = TypeVar("_T")


def sound(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """What a row holds means something, or it is damage and said so: an error of a parser is not for a trader's eyes,
    and its text could hold the row.
    """

    @functools.wraps(read)
    def reading(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return read(*args, **kwargs)
        except (
            ValueError,
            TypeError,
            LookupError,
            ArithmeticError,
            StopIteration,
            RecursionError,
            zlib.error,
            struct.error,
        ):
            raise RowDamaged from None

    return reading


class StoreForeign(StoreError):
    """A sound database, but another program's. It is left as it is."""


class StoreTooNew(StoreError):
    """Written by a newer version of this program."""


class StoreReadOnly(StoreError):
    """The file or its directory may not be written."""


class StoreFull(StoreError):
    """No space is left."""


class StoreLocked(StoreError):
    """Another process held the database longer than we wait."""


class StoreUnreachable(StoreError):
    """The address names no database that can be opened, created or reached."""


class StoreClosed(StoreError):
    """Used after `close()`."""


class NameTaken(StoreError):
    """Another connection of this owner has that name; upper and lower case count as equal."""

    def __init__(self, name: str) -> None:
        text = N_("A connection named {name} exists already. Choose another name.")
        super().__init__(Message(text=text, params={"name": name}))


class BadName(StoreError):
    """The name is empty or too long."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("A name has 1 to 60 characters. Choose another name.")))


class UnknownConnection(StoreError):
    """There is no such connection, or it is gone."""

    def __init__(self) -> None:
        super().__init__(
            Message(text=N_("This connection does not exist any more. Open the list of connections again."))
        )


class RunExists(StoreError):
    """A run is kept once."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This test is kept already.")))


class StrategyNameTaken(StoreError):
    """Another strategy of this owner has that name; upper and lower case count as equal."""

    def __init__(self, name: str) -> None:
        text = N_("A strategy named {name} exists already. Choose another name.")
        super().__init__(Message(text=text, params={"name": name}))


class UnknownStrategy(StoreError):
    """There is no such strategy, or it is gone."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This strategy does not exist any more. Open the list of strategies again.")))


class StrategyChanged(StoreError):
    """Somebody else changed it since the caller looked. `strategy` is what it is now."""

    def __init__(self, strategy: Strategy) -> None:
        text = N_(
            "{name} was changed elsewhere in the meantime. Nothing of your change is stored."
            " Look at what it is now, then try again."
        )
        super().__init__(Message(text=text, params={"name": strategy.name}))
        self.strategy = strategy


class SurroundingsChanged(StoreError):
    """What a strategy was judged by has changed since: its connection, or a strategy beside it. Judge it again."""

    def __init__(self, name: str) -> None:
        text = N_("The connection of {name}, or another strategy there, changed in the meantime. Try again.")
        super().__init__(Message(text=text, params={"name": name}))


class ChannelNameTaken(StoreError):
    """Another channel of this owner has that name; upper and lower case count as equal."""

    def __init__(self, name: str) -> None:
        text = N_("A channel named {name} exists already. Choose another name.")
        super().__init__(Message(text=text, params={"name": name}))


class UnknownChannel(StoreError):
    """There is no such channel, or it is gone."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This channel does not exist any more. Open the list of channels again.")))


class UnknownWorker(StoreError):
    """There is no such worker, or it is gone."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This worker is not registered any more. Open the page again.")))


class KeyReplaced(StoreError):
    """The vault has another data key now than the caller's, or is gone."""

    def __init__(self) -> None:
        text = N_(
            "The vault's key was renewed elsewhere in the meantime. Nothing is stored. Unlock again, then repeat it."
        )
        super().__init__(Message(text=text))


class VaultExists(StoreError):
    """This owner has a vault already."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("There is a vault already. Unlock it with its password.")))


class Store(Protocol):
    """The rows of one owner. See the module for what holds for all methods. Times are aware and come back in UTC."""

    @property
    def owner(self) -> str: ...

    @property
    def ephemeral(self) -> bool:
        """Whether everything is gone when the store is closed."""
        ...

    def now(self) -> datetime:
        """What all who share this database go by when they wait together: its server's clock where it has one."""
        ...

    @property
    def overwrites(self) -> bool:
        """Whether what is deleted is overwritten where it lay, as far as a program can tell."""
        ...

    def place(self) -> Place | None:
        """Where the rows of all owners lie; None where they are gone when the store is closed."""
        ...

    def close(self) -> None: ...

    def together(self) -> AbstractContextManager[None]:
        """All that this thread changes within it is kept at its end, or nothing of it: also when the program is killed,
        and where an error leaves it. Nobody else changes anything meanwhile, so do not wait for anybody in it.
        """
        ...

    # The vault. What the values mean is the business of `bfai.vault`.

    def vault(self) -> VaultRow | None: ...

    def create_vault(self, row: VaultRow) -> None:
        """Raises `VaultExists`. Audited as `vault_created`."""
        ...

    def replace_wrap(self, wrap: Wrap, *, action: str, key_check: bytes | None = None) -> None:
        """Put `wrap` in the place of the one of its kind. Audited as `action`.

        Raises `KeyReplaced` where the vault's data key is not that of `key_check` any more.
        """
        ...

    def remove_wrap(self, kind: str, *, action: str) -> None:
        """Nothing that it wrapped opens with it any more. Audited as `action`."""
        ...

    def set_unlock_failures(self, expected: int, count: int, at: datetime) -> bool:
        """Set count and time if the count is still `expected`; False if somebody else was quicker. Not audited."""
        ...

    def unlock_failed(self, at: datetime) -> None:
        """The attempt that was counted has failed. Its time never becomes earlier. Audited as `unlock_failed`."""
        ...

    def unlock_succeeded(self, key_check: bytes | None = None) -> None:
        """Forget the failures, and write down which data key it is where that is not known yet. Not audited."""
        ...

    def replace_key(
        self,
        wrap: Wrap,
        key_check: bytes,
        connections: Mapping[str, Resealed],
        addresses: Mapping[str, Sealed],
        *,
        was: bytes,
    ) -> list[str]:
        """Put `wrap` in the place of all wraps, and what is sealed anew in the place of what was, by the ids of
        connections and channels. The kinds of wrap that are gone. Audited as `vault_rotated`.

        Raises `KeyReplaced` where the vault's data key is not that of `was` any more.
        """
        ...

    # Connections

    def connections(self) -> list[Connection]:
        """All, by name."""
        ...

    def connection(self, connection_id: str) -> Connection | None: ...

    def connection_by_name(self, name: str) -> Connection | None:
        """Upper and lower case, compatible characters and runs of blanks count as equal."""
        ...

    def connection_by_fingerprint(self, fingerprint: bytes) -> Connection | None:
        """The oldest connection whose API key has this fingerprint."""
        ...

    def add_connection(
        self, connection: Connection, sealed: Mapping[str, Sealed], fingerprint: bytes, run: TestRun | None = None
    ) -> Connection:
        """Add it with its secrets and, if given, the run that tested these very credentials, which sets its status.

        The run's `connection_id` may still be None. Gives the connection as stored. Raises `NameTaken`.
        Audited as `added`.
        """
        ...

    def update_connection(
        self,
        connection_id: str,
        *,
        name: str | None = None,
        used_by: str | None = None,
        note: str | None = None,
        egress_proxy: str | Literal[Keep.KEEP] | None = KEEP,
    ) -> Connection:
        """Change what is given. Raises `UnknownConnection`, `NameTaken`, `BadName`. Audited as `renamed`, `changed`."""
        ...

    def replace_credentials(
        self,
        connection_id: str,
        sealed: Mapping[str, Sealed],
        fingerprint: bytes,
        key_hint: str,
        key_since: datetime,
        run: TestRun | None = None,
        judge: Judge = no_events,
    ) -> Connection:
        """Put new secrets in the place of the old ones, which are gone afterwards.

        The status becomes `untested`, or that of `run`, which tested these very credentials and is judged by what was
        known of the connection, not by the old key's reports. A confirmation that withdrawal is off ends, and so does a
        delegation: they were for the old key. Raises `UnknownConnection`. Audited as `rotated`.
        """
        ...

    def sealed(self, connection_id: str) -> dict[str, Sealed]:
        """Raises `UnknownConnection`."""
        ...

    def delete_connection(self, connection_id: str, *, events: Sequence[Event] = ()) -> None:
        """Delete it with its secrets, runs and events; `events` are about its strategies and stay.

        Raises `UnknownConnection`. Audited as `deleted`; the trail stays. Its strategies stay, without a connection.
        Those that were enabled become suspended, audited as `strategy_suspended`; those that were suspended get one
        more reason. Either needs a person then. A strategy that was not enabled is audited as `strategy_unbound`.
        """
        ...

    # Which connections workers may test while the vault is locked. A connection has one delegation at most. It goes
    # with its connection, and with the key that was sealed: `replace_credentials` revokes it.

    def workers(self) -> list[Worker]:
        """Those of this database, which are everybody's, by name."""
        ...

    def delegation(self, connection_id: str) -> Delegation | None: ...

    def delegations(self) -> dict[str, Delegation]:
        """All, by the ids of their connections."""
        ...

    def delegate(self, connection_id: str, given: Delegation) -> None:
        """In the place of an earlier one. Raises `UnknownConnection`, `UnknownWorker`. Audited as `delegated`."""
        ...

    def revoke_delegation(self, connection_id: str) -> bool:
        """False where there is none. Audited as `delegation_revoked`."""
        ...

    def put_off_delegated(self, connection_id: str, place: str) -> None:
        """Its worker need not look before the end of the pause of this place, if there is one, unless the schedule or a
        pause changes. Not audited.
        """
        ...

    def confirm_withdraw_off(self, connection_id: str, at: datetime, rights_hash: str) -> Connection:
        """Raises `UnknownConnection`. Audited as `confirmed`."""
        ...

    def clear_confirmation(self, connection_id: str) -> Connection:
        """Raises `UnknownConnection`. Audited as `confirmation_cleared`."""
        ...

    def key_report(self, connection_id: str) -> KeyReport | None:
        """The last key report that a run of the connection's present key brought."""
        ...

    def account_facts(self) -> dict[str, AccountFacts]:
        """Of every connection whose present key brought a report."""
        ...

    # Runs

    def add_run(self, run: TestRun, judge: Judge = no_events, end: RunEnd | None = None) -> Connection:
        """Keep a run, and with it what follows for the schedule and the events that it means. Raises
        `UnknownConnection`, `RunExists`. Gives the connection as it is now.

        It sets the connection's status unless it started before the present key was put in, or before the run that
        last set it; such a late run is not judged. A run that does begins an outage if it failed, and ends one if it
        did not, except where our own network was down. Of a run from where the bot runs and one from here that yields
        to it (`TestRun.yields_to`), the former counts, and the latter is kept as `set_aside`. Audited as `tested` only
        when the status changes.
        """
        ...

    def run(self, run_id: str) -> TestRun | None:
        """Equal to what was added."""
        ...

    def runs(
        self,
        connection_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Collection[Status] | None = None,
        causes: Collection[Cause] | None = None,
        changes_only: bool = False,
        limit: int | None = None,
        offset: int = 0,
        newest_first: bool = True,
    ) -> list[RunRow]:
        """Runs that started in [`since`, `until`) and fit every filter given."""
        ...

    def count_runs(
        self,
        connection_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Collection[Status] | None = None,
        causes: Collection[Cause] | None = None,
        changes_only: bool = False,
    ) -> int: ...

    def recent_runs(self, n: int = 40) -> dict[str, list[RunRow]]:
        """The last `n` runs of every connection, oldest first, by connection id. A connection without runs has []."""
        ...

    # Schedules. Every connection has one from the beginning: an hour, until the trader says otherwise.

    def schedules(self) -> list[Schedule]:
        """All, the one that is due first first."""
        ...

    def schedule(self, connection_id: str) -> Schedule | None: ...

    def set_schedule(self, connection_id: str, every: timedelta | None, at: datetime, next_at: datetime) -> None:
        """Raises `UnknownConnection`. Audited as `scheduled`."""
        ...

    def pauses(self) -> dict[str, Pause]:
        """The exchanges that failed in their last test, by place; their pause may be over."""
        ...

    def mend_clock(self, now: datetime) -> None:
        """Where the clock was set back to `now` by more than `SET_BACK`: what was set later waits as long as it had
        to, from now on.
        """
        ...

    def take_lease(
        self, connection_id: str, holder: str, now: datetime, until: datetime, *, due_at: str | None = None
    ) -> bool:
        """Become the one who tests this connection. False where somebody else does.

        With `due_at`, a place, also False unless its test is due and no pause holds there. Where a pause is over it
        holds again until `until`, so that one test at a time tries whether the exchange is back. Not audited.
        """
        ...

    def renew_lease(self, connection_id: str, holder: str, now: datetime, until: datetime) -> bool:
        """False where it is not this holder's any more."""
        ...

    def free_lease(self, connection_id: str, holder: str, at: datetime, next_at: datetime | None = None) -> None:
        """No test came of it, and the next is due at `next_at`, or when it was. Does nothing for another holder."""
        ...

    def free_leases(self, holder: str) -> None:
        """All that this holder still has."""
        ...

    # Columns for figures. Times are whole microseconds since 1970 UTC, connections their `Track.key`.

    def tracks(self, connection_ids: Collection[str] | None = None, exchange: str | None = None) -> list[Track]:
        """One for each connection that fits, in the order of their keys."""
        ...

    def readings(
        self, windows: Sequence[tuple[int, int, int]], *, before: bool = False, numbers: bool = False
    ) -> list[tuple[Any, ...]]:
        """The runs of each window (key, since, until), by window and time: number of the window, start, pattern.

        Those that were set aside are left out.

        `before` adds the last run before each window, `numbers` the run's numbers as the store has packed them.
        """
        ...

    def runs_within(
        self, windows: Sequence[tuple[int, int, int]], statuses: Collection[Status] | None = None
    ) -> list[RunRow]:
        """The runs of these windows (key, since, until), by window and time."""
        ...

    def counts_within(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        """How many runs each of these windows (key, since, until) has, without those that were set aside."""
        ...

    def count_runs_within(self, windows: Sequence[tuple[int, int, int]], most: int) -> int:
        """How many runs these windows have in all; `most` where there are as many or more."""
        ...

    def version(self) -> Hashable:
        """Another value after anything was written, by whomever."""
        ...

    def pattern_facts(self, patterns: Collection[int]) -> Mapping[int, PatternFacts]: ...

    def ends(self, keys: Collection[int], since: int = 0) -> dict[int, tuple[int, int]]:
        """When the first and the last run since then of each of these connections started; nothing of one without."""
        ...

    def outage_edges(self, keys: Collection[int], since: int) -> list[tuple[int, int, int]]:
        """The runs with which an outage began or ended, by connection and time: key, start, pattern. The last one
        before `since` comes along. See `add_run`.
        """
        ...

    def report_changes(self, keys: Collection[int], since: int, until: int) -> list[tuple[int, int, str, str]]:
        """The runs whose key report was another one than before, by connection and time: key, start, id, JSON of the
        report. The last one before `since` comes along.
        """
        ...

    # Roll-ups. What the blobs hold is told in `bfai.store.rollups`. Days are counted from 1970, in UTC.

    def rolled(self, keys: Collection[int], first_day: int, last_day: int) -> list[tuple[int, int, bytes, bytes]]:
        """Key, day, `held`, `counts`, of the days from `first_day` to `last_day`, by connection and day."""
        ...

    def rolled_hours(
        self, keys: Collection[int], first_day: int, last_day: int, metric: int | None = None
    ) -> list[tuple[int, int, int, bytes]]:
        """Key, metric, day and its 24 histograms, of one metric or of all."""
        ...

    def rolled_days(self, keys: Collection[int], first_day: int, last_day: int) -> list[tuple[int, int, bytes]]:
        """Key, day and its histograms of all metrics."""
        ...

    def roll_up(self, now: datetime, limit: int = 1000) -> bool:
        """Turn past hours of one connection into roll-ups, at most about `limit` runs (but whole days) in one short
        transaction. Whether there is more to do.
        """
        ...

    def retain(self, now: datetime, keep: timedelta, newest: int, *, limit: int = 500, pause: float = 0.002) -> int:
        """Delete runs that are older than `keep` and not among the `newest` of their connection. How many.

        Only runs that are rolled up, in transactions of at most `limit` runs with `pause` seconds between them. What
        changed something, a connection's first run, and the last one before the time of which every run is kept, stay
        for ever.
        """
        ...

    # Strategies

    def strategies(self) -> list[Strategy]:
        """All, by name. A strategy's `connection_name` is the connection's present name, or its last one."""
        ...

    def strategy(self, strategy_id: str) -> Strategy | None: ...

    def strategy_by_name(self, name: str) -> Strategy | None:
        """Names count as equal as those of connections do."""
        ...

    def strategies_of(self, connection_id: str) -> list[Strategy]:
        """Those of this connection, by name."""
        ...

    def add_strategy(self, strategy: Strategy, revision: Revision) -> Strategy:
        """Add it as a draft, with its first revision, whatever state and numbers are given.

        Gives the strategy as stored. Raises `StrategyNameTaken`, `UnknownConnection`. Audited as `strategy_added`.
        """
        ...

    def save_revision(self, strategy_id: str, expected: int, revision: Revision) -> Strategy:
        """Add a revision with the number after `expected`, whatever number is given. The enabled one stays in force.

        Nothing happens where the newest revision has this digest already. Raises `UnknownStrategy`, and
        `StrategyChanged` where the newest is not `expected` any more. Audited as `strategy_saved`.
        """
        ...

    def rename_strategy(self, strategy_id: str, name: str) -> Strategy:
        """Raises `UnknownStrategy`, `StrategyNameTaken`, `BadName`. Audited as `strategy_renamed`."""
        ...

    def delete_strategy(self, strategy_id: str) -> None:
        """Delete it with its revisions. Raises `UnknownStrategy`. Audited as `strategy_deleted`; the trail stays."""
        ...

    def surroundings(self, strategy_id: str) -> str:
        """A word for what a strategy is judged by, apart from itself: its connection's test, key and confirmation, and
        which revisions of the other strategies there are in force. Another word once one of them changes.
        """
        ...

    def set_strategy_state(
        self,
        strategy_id: str,
        expected_state: StrategyState,
        state: StrategyState,
        *,
        action: str,
        revision: int | None = None,
        reasons: Sequence[Message] = (),
        needs_person: bool = False,
        surroundings: str | None = None,
        events: Sequence[Event] = (),
    ) -> Strategy:
        """Change the state if it is still `expected_state`, and the newest revision still `revision` if that is given.

        With `surroundings`, only if these are still what `surroundings()` gave: `SurroundingsChanged` otherwise.
        `events`, which say so, are kept with it.

        A strategy that becomes enabled has `revision` in force from then on; without it a suspended one resumes with
        the revision that was in force, any other takes the newest. A draft has none in force. `reasons` and
        `needs_person` are kept for a suspended strategy only. Raises `UnknownStrategy`, `StrategyChanged`. Audited as
        `action`, with the number and digest of the revision in force.
        """
        ...

    def revisions(self, strategy_id: str) -> list[Revision]:
        """Newest first. A strategy that does not exist has none."""
        ...

    def revision(self, strategy_id: str, number: int) -> Revision | None: ...

    # Events, channels and deliveries. What the states of a delivery mean is the business of `bfai.alerts`.

    def events(
        self,
        *,
        connection_id: str | None = None,
        kinds: Collection[EventKind] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        after: str | None = None,
        newest_first: bool = True,
        limit: int | None = None,
    ) -> list[Event]:
        """Those that were at or after `since` and before `until`, in the order in which they were kept. `before` and
        `after` are ids: only events that were kept before that one, or after it.

        An event is kept once, whoever finds it, together with a delivery to each channel that hears its kind. It goes
        with its connection.
        """
        ...

    def add_events(self, events: Sequence[Event]) -> None:
        """Keep events of which no test and no strategy's change of state tells."""
        ...

    def channels(self) -> list[Channel]:
        """All, by name."""
        ...

    def add_channel(self, channel: Channel, address: Sealed) -> Channel:
        """It hears of what happens from now on. Raises `ChannelNameTaken`. Audited as `channel_added`."""
        ...

    def change_channel(self, channel: Channel, address: Sealed | None = None) -> Channel:
        """Put it in the place of the one with its id; without `address` that stays.

        Raises `UnknownChannel`, `ChannelNameTaken`. Audited as `channel_changed`.
        """
        ...

    def remove_channel(self, channel_id: str) -> None:
        """With its deliveries. Raises `UnknownChannel`. Audited as `channel_removed`."""
        ...

    def channel_address(self, channel_id: str) -> Sealed:
        """Raises `UnknownChannel`."""
        ...

    def deliveries(
        self,
        *,
        channel_id: str | None = None,
        event_ids: Collection[str] | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Delivery]:
        """The newest first."""
        ...

    def repeat_delivery(self, delivery: Delivery, at: datetime) -> bool:
        """One more delivery of the same event to the same channel, with the next number; False if it exists already."""
        ...

    def move_delivery(
        self,
        delivery: Delivery,
        state: DeliveryState,
        at: datetime,
        *,
        holder: str | None = None,
        due_at: datetime | None = None,
        doubtful: bool | None = None,
        reason: Message | None = None,
    ) -> Delivery | None:
        """Change the state if nobody else did since `delivery` was read; None if somebody did.

        To `SENDING` is one attempt more, begun at `at`; to a state that is not open, `at` is when it was done. What is
        not given stays as it is, but `reason`.
        """
        ...

    # What exchanges publish, kept to be asked less

    def put_market_data(self, key: str, rows: str, fetched_at: datetime) -> None:
        """Put it in the place of what is there, and forget what was fetched 30 days before it. Not audited."""
        ...

    def market_data(self, key: str) -> MarketData | None: ...

    # Candles of exchanges, in numbered chunks of a series. What is in them is the business of `bfai.strategy.feed`.

    def candle_chunks(self, series: str, first: int, last: int, at: datetime) -> list[tuple[int, bytes]]:
        """Number and content of the chunks from `first` to `last`, by number. The series counts as used at `at`."""
        ...

    def put_candle_chunks(self, series: str, chunks: Mapping[int, bytes], at: datetime, most: int) -> None:
        """Put them in the place of those with their numbers; the series counts as used at `at`. Not audited.

        Where all series together take more than `most` bytes afterwards, those that were used longest ago go, but never
        this one.
        """
        ...

    # By which addresses exchanges see this computer

    def see_address(self, way: str, address: str, source: str, at: datetime) -> None:
        """An exchange told this address, IPv4 or IPv6, of a request that went this way. Not audited.

        One row for as long as it stays the same; of each kind the newest 100 are kept.
        """
        ...

    def sightings(self, way: str) -> list[Sighting]:
        """What exchanges saw of this way, the newest first."""
        ...

    # The audit trail and settings

    def audit(self, entry: AuditEntry) -> None: ...

    def audit_entries(
        self,
        limit: int | None = None,
        offset: int = 0,
        *,
        actions: Collection[str] | None = None,
        subjects: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[AuditEntry]:
        """Newest first; those that fit all that is given, at or after `since` and before `until`."""
        ...

    def count_audit_entries(
        self,
        *,
        actions: Collection[str] | None = None,
        subjects: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int: ...

    def setting(self, name: str, default: Any = None) -> Any: ...

    def settings(self, names: Collection[str]) -> dict[str, Any]:
        """Those of them that were set, in one question."""
        ...

    def set_setting(self, name: str, value: Any) -> None:
        """`value` is anything that JSON can say."""
        ...


def open_store(
    url: str, *, owner: str = "local", clock: Callable[[], datetime] = utc_now, discreet: bool = False
) -> Store:
    """Open the database at `url` for `owner`; create it, and its directory, where there is none. `clock` tells the
    time of audit entries and of changes to strategies.

    `sqlite:///data/bfai.db` is a path relative to the working directory, `sqlite:////var/lib/bfai.db` an absolute one,
    `sqlite://:memory:` a database of its own that is gone when closed, `postgresql://user:password@host/database` a
    database of PostgreSQL, with what libpq understands behind a `?`. Raises `StoreError`, never with a password, or an
    address that could hold one, in its text; a `discreet` PostgreSQL tells nothing about itself, but in the log.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from bfai.store.postgres import open_postgres

        return open_postgres(url, owner=owner, clock=clock, discreet=discreet)
    if not url.startswith("sqlite://") or len(url) == len("sqlite://"):
        text = N_(
            "This is no address of a database. Set BFAI_DATABASE_URL to a file, such as sqlite:///data/bfai.db, or to"
            " a PostgreSQL database, such as postgresql://user:password@host/database."
        )
        raise StoreUnreachable(Message(text=text))
    from bfai.store.sqlite import open_sqlite

    place = url.removeprefix("sqlite://").removeprefix("/")
    return open_sqlite(None if place == ":memory:" else place, owner=owner, clock=clock)
