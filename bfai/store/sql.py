"""The store on a database that speaks SQL: everything but how it is reached.

The statements here are written once, in what SQLite and PostgreSQL both understand, with `:name` for a value. Where the
two have no words in common they are SQLite's, which knows no other way, and few: `json_each`, `json_extract`,
`INDEXED BY`, `IS :value`, `x'00'`. `bfai.store.postgres` translates those.
"""

from __future__ import annotations

import hashlib
import json
import threading
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, time, timedelta
from time import sleep
from typing import Any, Final, Literal, Protocol, cast

from pydantic import TypeAdapter, ValidationError

from bfai.model import (
    AuditEntry,
    Before,
    Cause,
    Channel,
    Connection,
    Delivery,
    DeliveryState,
    Environment,
    Event,
    EventKind,
    KeyReport,
    Market,
    Message,
    Name,
    Revision,
    Sighting,
    Status,
    Strategy,
    StrategyState,
    Target,
    TestRun,
    id_time,
)
from bfai.store import (
    KEEP,
    MARKET_DATA_KEPT,
    SET_BACK,
    VISITS,
    AccountFacts,
    BadName,
    ChannelNameTaken,
    Delegation,
    Judge,
    Keep,
    KeyReplaced,
    MarketData,
    NameTaken,
    PatternFacts,
    Pause,
    Resealed,
    RowDamaged,
    RunEnd,
    RunExists,
    RunRow,
    Schedule,
    Sealed,
    StrategyChanged,
    StrategyNameTaken,
    SurroundingsChanged,
    Track,
    UnknownChannel,
    UnknownConnection,
    UnknownStrategy,
    UnknownWorker,
    VaultExists,
    VaultRow,
    Worker,
    Wrap,
    account_data,
    connection_deleted,
    no_events,
    sound,
)
from bfai.store import rollups as up
from bfai.store.migrations import WHEN_DUE
from bfai.store.packing import (
    Packed,
    clock_place,
    is_set_aside,
    is_short,
    measures,
    pack,
    repeats,
    run_id,
    run_key,
    shorten_texts,
    timed_checks,
    unpack,
    unpack_light,
    whole_texts,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATUS_CHANGED, _REPORT_CHANGED, _OUTAGE_EDGE = 1, 2, 4
_MICROS_A_DAY, _MICROS_AN_HOUR = 86_400_000_000, 3_600_000_000
_USED_AGAIN = timedelta(hours=1)  # so much later it is written down again that candles were used
ADDRESSES_KEPT: Final = 100
_ALL = 2**62  # more rows than there can be
_WHOLE_ID = "NOT (length(id) = 8 AND id < x'C0')"  # in the words of the index run_by_id
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_REASONS: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Message, ...])


class Row(Protocol):
    """A row, by number or name of the column."""

    def __getitem__(self, key: int | str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Found(Protocol):
    """What a statement found or did."""

    @property
    def rowcount(self) -> int: ...

    @property
    def description(self) -> Sequence[Any] | None: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


# Values


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _maybe_time(micros: int | None) -> datetime | None:
    return None if micros is None else _time(micros)


def _maybe_micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def name_key(name: str) -> str:
    """What names are compared by: compatible characters, case and runs of blanks count as equal."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _seconds(every: timedelta | None) -> int | None:
    return None if every is None else every // timedelta(seconds=1)


def _refuse_changed(body: str, digest: bytes) -> None:
    """A pattern is what it was when it was kept: one that differs in a bit could tell another verdict."""
    if hashlib.sha256(body.encode()).digest() != digest:
        raise RowDamaged()


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _exactly(values: Sequence[Any], *kinds: type) -> None:
    """A damaged row may hold another kind of value than its column does."""
    if any(type(value) is not kind for value, kind in zip(values, kinds, strict=True)):
        raise RowDamaged()


def _sealed(row: Row) -> Sealed:
    sealed = Sealed(row["format"], row["nonce"], row["ciphertext"])
    _exactly(sealed, int, bytes, bytes)
    return sealed


def _wrap(row: Row) -> Wrap:
    wrap = Wrap(*(row[name] for name in Wrap._fields))
    _exactly(wrap, str, int, bytes, int, int, int, bytes, bytes, bytes)
    return wrap


@sound
def _connection(row: Row) -> Connection:
    return Connection(
        id=row["id"],
        name=row["name"],
        target=Target(
            exchange=row["exchange"],
            market=Market(row["market"]),
            region=row["region"],
            environment=Environment(row["environment"]),
            egress_proxy=row["egress_proxy"],
        ),
        used_by=row["used_by"],
        note=row["note"],
        key_hint=row["key_hint"],
        created_at=_time(row["created_at"]),
        key_since=_time(row["key_since"]),
        status=Status(row["status"]),
        last_run_id=row["last_run_id"],
        last_tested_at=_maybe_time(row["last_tested_at"]),
        confirmed_at=_maybe_time(row["confirmed_at"]),
        confirmed_hash=row["confirmed_hash"],
    )


def _columns(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "name": connection.name,
        "name_key": name_key(connection.name),
        "exchange": connection.target.exchange,
        "market": connection.target.market.value,
        "region": connection.target.region,
        "environment": connection.target.environment.value,
        "egress_proxy": connection.target.egress_proxy,
        "used_by": connection.used_by,
        "note": connection.note,
        "key_hint": connection.key_hint,
        "created_at": micros(connection.created_at),
        "key_since": micros(connection.key_since),
        "status": connection.status.value,
        "last_run_id": connection.last_run_id,
        "last_tested_at": _maybe_micros(connection.last_tested_at),
        "confirmed_at": _maybe_micros(connection.confirmed_at),
        "confirmed_hash": connection.confirmed_hash,
    }


@sound
def _strategy(row: Row) -> Strategy:
    return Strategy(
        id=row["id"],
        name=row["name"],
        connection_id=row["connection_id"],
        connection_name=row["connection_now"] or row["connection_name"],
        state=StrategyState(row["state"]),
        reasons=_REASONS.validate_json(row["reasons"]),
        needs_person=bool(row["needs_person"]),
        revision=row["revision"],
        enabled_revision=row["enabled_revision"],
        created_at=_time(row["created_at"]),
        updated_at=_time(row["updated_at"]),
        enabled_at=_maybe_time(row["enabled_at"]),
    )


@sound
def _revision(row: Row) -> Revision:
    return Revision(
        strategy_id=row["strategy_id"],
        number=row["number"],
        digest=row["digest"],
        parameters=row["parameters"],
        created_at=_time(row["created_at"]),
        note=row["note"],
    )


@sound
def _schedule(row: Row) -> Schedule:
    return Schedule(
        connection_id=row["connection_id"],
        every=None if row["every_s"] is None else timedelta(seconds=row["every_s"]),
        set_at=_time(row["set_at"]),
        next_at=_time(row["next_at"]),
        holder=row["holder"],
        held_at=_maybe_time(row["held_at"]),
        held_until=_maybe_time(row["held_until"]),
    )


def _reasons(messages: Sequence[Message]) -> str:
    return _json([message.model_dump(mode="json") for message in messages])


def _checked(name: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise BadName() from None


_FITTING = "r.owner = :owner AND r.connection = :connection AND r.started_at >= :since AND r.started_at < :until"
_BY_WHOLE_ID = f"SELECT {{}} FROM run WHERE owner = :owner AND id = :id AND {_WHOLE_ID}"
_KEY, _SINCE, _UNTIL = (f"json_extract(w.value, '$[{place}]')" for place in range(3))
_OF_WINDOWS = (
    f"FROM json_each(:windows) w CROSS JOIN run r WHERE r.owner = :owner AND r.connection = {_KEY}"
    f" AND r.started_at >= {{}} AND r.started_at < {_UNTIL}"
)
_COUNTS = "pattern NOT IN (SELECT value FROM json_each(:aside))"  # it was not set aside
_IN_ORDER = "ORDER BY w.key, r.started_at, r.seq"


def _fitting(statuses: object, causes: object, changes_only: bool) -> str:
    """Which runs of one connection fit filters that are given; the values are those of `SqlStore._filters`."""
    among = "" if statuses is None and causes is None else " AND r.pattern IN (SELECT value FROM json_each(:patterns))"
    return f"{_FITTING}{among}{' AND r.change > 0' if changes_only else ''}"


@sound
def _event(row: Row) -> Event:
    columns = {name: row[name] for name in ("connection_id", "kind", "run_id")}
    return Event.model_validate({**json.loads(row["body"]), **columns, "id": row["event_id"], "at": _time(row["at"])})


# Those about a key's end, which are told once for a key.
_ENDINGS = [kind.value for kind in EventKind if kind.value.startswith("expir")]
_KINDS = frozenset(kind.value for kind in EventKind)


def _clock_time(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)


def _muted(text: str) -> list[object]:
    """The kinds that a channel does not hear. A damaged one hears all: an alarm too many is better than a lost test."""
    try:
        found: object = json.loads(text)
    except (ValueError, TypeError):
        return []
    return cast("list[object]", found) if isinstance(found, list) else []


@sound
def _channel(row: Row) -> Channel:
    return Channel(
        id=row["id"],
        name=row["name"],
        hint=row["hint"],
        muted=frozenset(EventKind(kind) for kind in json.loads(row["muted"]) if kind in _KINDS),
        quiet_from=_clock_time(row["quiet_from"]),
        quiet_until=_clock_time(row["quiet_until"]),
        grace_minutes=row["grace_minutes"],
        repeat_hours=row["repeat_hours"],
        created_at=_time(row["created_at"]),
    )


def _channel_columns(channel: Channel) -> dict[str, Any]:
    return {
        "name": _checked(channel.name),
        "name_key": name_key(channel.name),
        "hint": channel.hint,
        "muted": _json(sorted(kind.value for kind in channel.muted)),
        "quiet_from": channel.quiet_from and f"{channel.quiet_from:%H:%M}",
        "quiet_until": channel.quiet_until and f"{channel.quiet_until:%H:%M}",
        "grace_minutes": channel.grace_minutes,
        "repeat_hours": channel.repeat_hours,
    }


_DELIVERIES = (
    "SELECT d.*, h.id AS channel_id, h.name AS channel_name, e.id AS event_id, e.kind, e.at, e.run_id, e.body,"
    " c.id AS connection_id FROM delivery d JOIN event e ON e.pk = d.event JOIN channel h ON h.pk = d.channel"
    " LEFT JOIN connection c ON c.pk = e.connection WHERE d.owner = :owner"
)


@sound
def _audit_entry(row: Sequence[Any]) -> AuditEntry:
    at, action, subject, detail = row
    return AuditEntry(at=_time(at), action=action, subject=subject, detail=json.loads(detail))


@sound
def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["pk"],
        event=_event(row),
        channel_id=row["channel_id"],
        channel_name=row["channel_name"],
        number=row["number"],
        state=DeliveryState(row["state"]),
        due_at=_time(row["due_at"]),
        attempts=row["attempts"],
        holder=row["holder"],
        claimed_at=_maybe_time(row["claimed_at"]),
        done_at=_maybe_time(row["done_at"]),
        doubtful=bool(row["doubtful"]),
        reason=row["reason"] and Message.model_validate_json(row["reason"]),
    )


_STRATEGIES = (
    "SELECT s.*, c.id AS connection_id, c.name AS connection_now FROM strategy s"
    " LEFT JOIN connection c ON c.pk = s.connection WHERE s.owner = :owner"
)
_REVISIONS = (
    "SELECT r.*, s.id AS strategy_id FROM revision r JOIN strategy s ON s.pk = r.strategy"
    " WHERE s.owner = :owner AND s.id = :id"
)
_SCHEDULES = (
    "SELECT s.*, c.id AS connection_id FROM schedule s JOIN connection c ON c.pk = s.connection WHERE s.owner = :owner"
)
_OF_CONNECTION = "connection = (SELECT pk FROM connection WHERE owner = :owner AND id = :id)"
_LIGHT = "r.id, r.connection, r.started_at, r.change, r.pattern, r.numbers"


class SqlStore(ABC):
    """`bfai.store.Store` on a database of SQL. What a database does in its own way is abstract here."""

    def __init__(self, owner: str, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._owner_name = owner
        self._owner = 0  # the owner's number, which who makes a store looks up
        self._lock = threading.RLock()
        self._patterns: dict[int, PatternFacts] = {}
        self._aside: list[int] = []

    @property
    def owner(self) -> str:
        return self._owner_name

    @property
    @abstractmethod
    def ephemeral(self) -> bool: ...

    def now(self) -> datetime:
        return self._clock()

    @property
    @abstractmethod
    def overwrites(self) -> bool: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def version(self) -> Hashable: ...

    # Statements

    @abstractmethod
    def _writing(self) -> AbstractContextManager[None]:
        """One transaction: all of it, or nothing. Within another one of this thread it is a part of that. Nobody else
        writes the owner's rows meanwhile.
        """

    @abstractmethod
    def _reading(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see the same rows."""

    @abstractmethod
    def _execute(self, sql: str, values: dict[str, Any], *, plain: bool = False) -> Found:
        """Within `_reading` or the like. `plain`: rows are tuples, which is quicker where they are many."""

    @abstractmethod
    def _list(self, values: Collection[Any]) -> Any:
        """A value for `json_each`."""

    @abstractmethod
    def _erase_traces(self) -> None:
        """What was overwritten or deleted does not live on where this program can help it."""

    def together(self) -> AbstractContextManager[None]:
        return self._writing()

    def _do(self, sql: str, **values: Any) -> Found:
        """The one way to the rows. A statement that does not name the owner is a mistake and is not run."""
        if ":owner" not in sql:
            raise AssertionError("a statement without its owner")
        values["owner"] = self._owner
        return self._execute(sql, values)

    def _rows(self, query: str, **values: Any) -> list[Any]:
        """Plain tuples."""
        if ":owner" not in query:
            raise AssertionError("a statement without its owner")
        values["owner"] = self._owner
        return self._execute(query, values, plain=True).fetchall()

    def _insert(self, table: str, **values: Any) -> None:
        self._do(insertion(table, values), **values)

    def _insert_numbered(self, table: str, **values: Any) -> int:
        """The number of the new row."""
        return self._do(f"{insertion(table, values)} RETURNING pk", **values).fetchone()[0]

    def _forget(self) -> None:
        """After what was taken back: some patterns may be gone now, and their numbers are given again."""
        self._patterns, self._aside = {}, []

    def _write_audit(self, action: str, subject: str, **detail: str | int | None) -> None:
        self._put_audit(AuditEntry(at=self._clock(), action=action, subject=subject, detail={**detail}))

    def _put_audit(self, entry: AuditEntry) -> None:
        detail = _json(entry.detail)
        self._insert("audit", at=micros(entry.at), action=entry.action, subject=entry.subject, detail=detail)

    # Whole tables, for `bfai.store.move`. Within `together()`.

    @abstractmethod
    def all_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[tuple[Any, ...]]:
        """The owner's rows, few at a time."""

    @abstractmethod
    def put_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows that all have the same columns."""

    def columns(self, table: str) -> list[str]:
        found = self._do(f"SELECT * FROM {table} WHERE owner = :owner LIMIT 0")
        return [column[0] for column in found.description or ()]

    def put_row(self, table: str, row: dict[str, Any]) -> int:
        """Add one, and give its number."""
        return self._insert_numbered(table, **row)

    def remove_rows(self, table: str) -> None:
        """All of the owner's, but for the mark of the log-outs: without it cookies from before would count again."""
        if table == "setting":
            self._do("DELETE FROM setting WHERE owner = :owner AND name <> :kept", kept=VISITS)
        else:
            self._do(f"DELETE FROM {table} WHERE owner = :owner")

    def clear(self, tables: Sequence[str]) -> None:
        """Take all rows of the owner out of these tables, which come before those that they point at."""
        with self._writing():
            self._do("UPDATE connection SET report = NULL WHERE owner = :owner")
            for table in tables:
                self.remove_rows(table)
            self._forget()
        self._erase_traces()

    def doubt_deliveries(self) -> None:
        """What is still to be told was perhaps told since these rows were written."""
        self._do("UPDATE delivery SET doubtful = 1 WHERE owner = :owner AND state IN ('waiting', 'sending', 'failed')")

    @abstractmethod
    def long_look(self) -> AbstractContextManager[SqlStore]:
        """The owner's rows as they are now, for as long as it takes, while others read and write on."""

    def forget_all(self) -> None:
        """After all rows of the owner were removed: nothing of them is left where this program can help it."""
        self._forget()
        self._erase_traces()

    def point_at_report(self, connection: int, report: int | None) -> None:
        self._set(connection, report=report)

    # The vault

    @sound
    def vault(self) -> VaultRow | None:
        with self._reading():
            # One statement, so that a password change in between cannot give half of each.
            rows = self._do(
                "SELECT v.id AS vault_id, v.format AS vault_format, created_at, failures, failed_at, key_check, w.*"
                " FROM vault v LEFT JOIN wrap w ON w.owner = v.owner WHERE v.owner = :owner"
            ).fetchall()
        if not rows:
            return None
        wraps = {row["kind"]: _wrap(row) for row in rows if row["kind"] is not None}
        head = rows[0]
        _exactly([head["vault_id"], head["vault_format"], head["failures"]], str, int, int)
        return VaultRow(
            id=head["vault_id"],
            format=head["vault_format"],
            created_at=_time(head["created_at"]),
            failures=head["failures"],
            failed_at=_maybe_time(head["failed_at"]),
            wraps=wraps,
            key_check=head["key_check"],
        )

    def create_vault(self, row: VaultRow) -> None:
        with self._writing():
            if self._do("SELECT 1 FROM vault WHERE owner = :owner").fetchone():
                raise VaultExists()
            self._insert(
                "vault",
                id=row.id,
                format=row.format,
                created_at=micros(row.created_at),
                failures=row.failures,
                failed_at=_maybe_micros(row.failed_at),
                key_check=row.key_check,
            )
            for wrap in row.wraps.values():
                self._insert("wrap", **wrap._asdict())
            self._write_audit("vault_created", row.id)

    def replace_wrap(self, wrap: Wrap, *, action: str, key_check: bytes | None = None) -> None:
        with self._writing():
            if key_check is not None:
                self._refuse_other_key(key_check)
            self._do("DELETE FROM wrap WHERE owner = :owner AND kind = :kind", kind=wrap.kind)
            self._insert("wrap", **wrap._asdict())
            self._write_audit(action, wrap.kind)
        self._erase_traces()

    def remove_wrap(self, kind: str, *, action: str) -> None:
        with self._writing():
            self._do("DELETE FROM wrap WHERE owner = :owner AND kind = :kind", kind=kind)
            self._write_audit(action, kind)
        self._erase_traces()

    def _refuse_other_key(self, key_check: bytes) -> None:
        row = self._do("SELECT key_check FROM vault WHERE owner = :owner").fetchone()
        if row is None or row["key_check"] not in (None, key_check):
            raise KeyReplaced()

    def set_unlock_failures(self, expected: int, count: int, at: datetime) -> bool:
        with self._writing():
            changed = self._do(
                "UPDATE vault SET failures = :count, failed_at = :at WHERE owner = :owner AND failures = :expected",
                expected=expected,
                count=count,
                at=micros(at),
            )
            return changed.rowcount == 1

    def unlock_failed(self, at: datetime) -> None:
        with self._writing():
            self._do(
                "UPDATE vault SET failed_at = CASE WHEN failed_at > :at THEN failed_at ELSE :at END"
                " WHERE owner = :owner",
                at=micros(at),
            )
            self._put_audit(AuditEntry(at=at, action="unlock_failed"))

    def unlock_succeeded(self, key_check: bytes | None = None) -> None:
        with self._writing():
            self._do(
                "UPDATE vault SET failures = 0, failed_at = NULL, key_check = coalesce(key_check, :key_check)"
                " WHERE owner = :owner",
                key_check=key_check,
            )

    def replace_key(
        self,
        wrap: Wrap,
        key_check: bytes,
        connections: Mapping[str, Resealed],
        addresses: Mapping[str, Sealed],
        *,
        was: bytes,
    ) -> list[str]:
        with self._writing():
            self._refuse_other_key(was)
            kinds = [row["kind"] for row in self._do("SELECT kind FROM wrap WHERE owner = :owner ORDER BY kind")]
            self._do("DELETE FROM wrap WHERE owner = :owner")
            self._insert("wrap", **wrap._asdict())
            self._do("UPDATE vault SET key_check = :key_check WHERE owner = :owner", key_check=key_check)
            for connection_id, resealed in connections.items():
                pk = self._row(connection_id)["pk"]
                for field, secret in resealed.secrets.items():
                    # In place: a row of the same length leaves nothing of what it was in the page that holds it.
                    self._do(
                        "UPDATE secret SET format = :format, nonce = :nonce, ciphertext = :ciphertext"
                        " WHERE owner = :owner AND connection = :pk AND field = :field",
                        pk=pk,
                        field=field,
                        **secret._asdict(),
                    )
                self._set(pk, fingerprint=resealed.fingerprint)
            for channel_id, address in addresses.items():
                self._do(
                    "UPDATE channel SET format = :format, nonce = :nonce, ciphertext = :ciphertext"
                    " WHERE owner = :owner AND id = :id",
                    id=channel_id,
                    **address._asdict(),
                )
            gone = [kind for kind in kinds if kind != wrap.kind]
            detail = {"connections": len(connections), "channels": len(addresses), "gone": ", ".join(gone)}
            self._write_audit("vault_rotated", wrap.kind, **detail)
        self._erase_traces()
        return gone

    # Connections

    def connections(self) -> list[Connection]:
        with self._reading():
            rows = self._do("SELECT * FROM connection WHERE owner = :owner ORDER BY name_key").fetchall()
        return [_connection(row) for row in rows]

    def connection(self, connection_id: str) -> Connection | None:
        return self._one_connection("id = :value", connection_id)

    def connection_by_name(self, name: str) -> Connection | None:
        return self._one_connection("name_key = :value", name_key(name))

    def connection_by_fingerprint(self, fingerprint: bytes) -> Connection | None:
        return self._one_connection("fingerprint = :value ORDER BY pk LIMIT 1", fingerprint)

    def _one_connection(self, condition: str, value: str | bytes) -> Connection | None:
        with self._reading():
            row = self._do(f"SELECT * FROM connection WHERE owner = :owner AND {condition}", value=value).fetchone()
        return None if row is None else _connection(row)

    def _row(self, connection_id: str) -> Row:
        row = self._do("SELECT * FROM connection WHERE owner = :owner AND id = :id", id=connection_id).fetchone()
        if row is None:
            raise UnknownConnection()
        return row

    def _set(self, pk: int, **values: Any) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self._do(f"UPDATE connection SET {changes} WHERE owner = :owner AND pk = :pk", pk=pk, **values)

    def _refuse_taken(self, name: str, *, but: int | None = None) -> None:
        query = "SELECT pk FROM connection WHERE owner = :owner AND name_key = :name_key"
        row = self._do(query, name_key=name_key(name)).fetchone()
        if row is not None and row["pk"] != but:
            raise NameTaken(name)

    def add_connection(
        self, connection: Connection, sealed: Mapping[str, Sealed], fingerprint: bytes, run: TestRun | None = None
    ) -> Connection:
        with self._writing():
            self._refuse_taken(connection.name)
            pk = self._insert_numbered("connection", fingerprint=fingerprint, **_columns(connection))
            self._put_secrets(pk, sealed)
            detail = {"name": connection.name, "exchange": connection.target.exchange}
            self._write_audit("added", connection.id, **detail)
            if run is not None:
                self._put_run(run, self._row(connection.id), own=True)
            return _connection(self._row(connection.id))

    def _put_secrets(self, connection: int, sealed: Mapping[str, Sealed]) -> None:
        for field, secret in sealed.items():
            self._insert("secret", connection=connection, field=field, **secret._asdict())

    def update_connection(
        self,
        connection_id: str,
        *,
        name: str | None = None,
        used_by: str | None = None,
        note: str | None = None,
        egress_proxy: str | Literal[Keep.KEEP] | None = KEEP,
    ) -> Connection:
        with self._writing():
            row = self._row(connection_id)
            if name is not None:
                self._rename(row, name)
            given = {"used_by": used_by, "note": note}
            changes: dict[str, str | None] = {key: value for key, value in given.items() if value is not None}
            if egress_proxy is not KEEP:
                changes["egress_proxy"] = egress_proxy
            changes = {key: value for key, value in changes.items() if value != row[key]}
            if changes:
                self._set(row["pk"], **changes)
                self._write_audit("changed", connection_id, name=row["name"], what=", ".join(changes))
            return _connection(self._row(connection_id))

    def _rename(self, row: Row, name: str) -> None:
        name = _checked(name)
        if name == row["name"]:
            return
        self._refuse_taken(name, but=row["pk"])
        self._set(row["pk"], name=name, name_key=name_key(name))
        self._write_audit("renamed", row["id"], old=row["name"], new=name)

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
        with self._writing():
            row = self._row(connection_id)
            was = self._counting_status(row)
            self._do("DELETE FROM secret WHERE owner = :owner AND connection = :pk", pk=row["pk"])
            self._put_secrets(row["pk"], sealed)
            self._revoke(row)
            self._set(
                row["pk"],
                fingerprint=fingerprint,
                key_hint=key_hint,
                key_since=micros(key_since),
                report=None,
                last_run_id=None,
                last_tested_at=None,
                confirmed_at=None,
                confirmed_hash=None,
                **({} if run else {"status": Status.UNTESTED.value}),
            )
            self._write_audit("rotated", connection_id, name=row["name"], key_hint=key_hint)
            if run is not None:
                self._put_run(run, self._row(connection_id), own=True)
                self._do(
                    "UPDATE schedule SET set_at = :at, next_at = :at + every_s * 1000000"
                    " WHERE owner = :owner AND connection = :pk AND every_s IS NOT NULL",
                    pk=row["pk"],
                    at=micros(run.started_at),
                )
                before = Before(connection=_connection(self._row(connection_id)), status=was)
                self._put_events(judge(before))
            changed = _connection(self._row(connection_id))
        self._erase_traces()
        return changed

    def sealed(self, connection_id: str) -> dict[str, Sealed]:
        with self._reading():
            rows = self._do(
                "SELECT s.field, s.format, s.nonce, s.ciphertext FROM connection c"
                " LEFT JOIN secret s ON s.connection = c.pk WHERE c.owner = :owner AND c.id = :id",
                id=connection_id,
            ).fetchall()
        if not rows:
            raise UnknownConnection()
        return {row["field"]: _sealed(row) for row in rows if row["field"]}

    def delete_connection(self, connection_id: str, *, events: Sequence[Event] = ()) -> None:
        with self._writing():
            row = self._row(connection_id)
            self._unbind(row)
            self._put_events(events)
            self._do("DELETE FROM connection WHERE owner = :owner AND pk = :pk", pk=row["pk"])
            of_it = f"{account_data(connection_id)}%"
            self._do("DELETE FROM market_data WHERE owner = :owner AND name LIKE :of_it", of_it=of_it)
            self._write_audit("deleted", connection_id, name=row["name"], exchange=row["exchange"])
        self._erase_traces()

    # Delegations

    @sound
    def workers(self) -> list[Worker]:
        with self._reading():  # they have no owner
            rows = self._execute("SELECT * FROM worker ORDER BY name, id", {}).fetchall()
        found: list[Worker] = []
        for row in rows:
            _exactly((row["id"], row["name"], row["public_key"]), str, str, bytes)
            found.append(Worker(row["id"], row["name"], row["public_key"], _time(row["registered_at"])))
        return found

    def delegation(self, connection_id: str) -> Delegation | None:
        return self._delegations("id = :id", id=connection_id).get(connection_id)

    def delegations(self) -> dict[str, Delegation]:
        return self._delegations("TRUE")

    @sound
    def _delegations(self, condition: str, **values: Any) -> dict[str, Delegation]:
        with self._reading():
            rows = self._do(f"SELECT * FROM delegation WHERE owner = :owner AND {condition}", **values).fetchall()
        found: dict[str, Delegation] = {}
        for row in rows:
            _exactly((row["id"], row["worker"], row["format"], row["sealed"]), str, str, int, bytes)
            found[row["id"]] = Delegation(row["worker"], row["format"], row["sealed"], _time(row["given_at"]))
        return found

    def delegate(self, connection_id: str, given: Delegation) -> None:
        with self._writing():
            row = self._row(connection_id)
            worker = next((one for one in self.workers() if one.id == given.worker_id), None)
            if worker is None:
                raise UnknownWorker()
            self._do("DELETE FROM delegation WHERE owner = :owner AND connection = :pk", pk=row["pk"])
            self._do(
                "INSERT INTO delegation (connection, owner, worker, id, format, sealed, given_at, due_at, set_at)"
                f" SELECT connection, owner, :worker, :id, :format, :sealed, :given_at, {WHEN_DUE}, set_at"
                " FROM schedule WHERE owner = :owner AND connection = :pk",
                pk=row["pk"],
                id=connection_id,
                worker=worker.id,
                format=given.format,
                sealed=given.sealed,
                given_at=micros(given.given_at),
            )
            self._write_audit("delegated", connection_id, name=row["name"], worker=worker.name, key=worker.id)
        self._erase_traces()

    def revoke_delegation(self, connection_id: str) -> bool:
        with self._writing():
            revoked = self._revoke(self._row(connection_id))
        self._erase_traces()
        return revoked

    def _revoke(self, connection: Row) -> bool:
        """Whether there was a delegation. The traces of what was sealed are the caller's business."""
        gone = self._do("DELETE FROM delegation WHERE owner = :owner AND connection = :pk", pk=connection["pk"])
        if gone.rowcount > 0:
            self._write_audit("delegation_revoked", connection["id"], name=connection["name"])
        return gone.rowcount > 0

    def put_off_delegated(self, connection_id: str, place: str) -> None:
        until = "(SELECT until FROM pause WHERE owner = :owner AND place = :place)"
        with self._writing():
            query = f"UPDATE delegation SET due_at = {until} WHERE owner = :owner AND id = :id AND due_at < {until}"
            self._do(query, id=connection_id, place=place)

    def confirm_withdraw_off(self, connection_id: str, at: datetime, rights_hash: str) -> Connection:
        with self._writing():
            row = self._row(connection_id)
            self._set(row["pk"], confirmed_at=micros(at), confirmed_hash=rights_hash)
            detail = {"name": row["name"], "rights_hash": rights_hash}
            self._put_audit(AuditEntry(at=at, action="confirmed", subject=connection_id, detail=detail))
            return _connection(self._row(connection_id))

    def clear_confirmation(self, connection_id: str) -> Connection:
        with self._writing():
            row = self._row(connection_id)
            if row["confirmed_at"] is not None:
                self._set(row["pk"], confirmed_at=None, confirmed_hash=None)
                self._write_audit("confirmation_cleared", connection_id, name=row["name"])
            return _connection(self._row(connection_id))

    @sound
    def key_report(self, connection_id: str) -> KeyReport | None:
        with self._reading():
            row = self._do(
                "SELECT k.body FROM connection c JOIN key_report k ON k.pk = c.report"
                " WHERE c.owner = :owner AND c.id = :id",
                id=connection_id,
            ).fetchone()
        return None if row is None else KeyReport.model_validate_json(row["body"])

    @sound
    def account_facts(self) -> dict[str, AccountFacts]:
        with self._reading():
            rows = self._do(
                "SELECT c.id, k.body FROM connection c JOIN key_report k ON k.pk = c.report WHERE c.owner = :owner"
            ).fetchall()
        bodies = {row["id"]: json.loads(row["body"]) for row in rows}
        return {id_: AccountFacts(body.get("account_id"), body.get("is_sub")) for id_, body in bodies.items()}

    # Runs

    def add_run(self, run: TestRun, judge: Judge = no_events, end: RunEnd | None = None) -> Connection:
        with self._writing():
            row = self._row(run.connection_id or "")
            before = self._before(row, run) if judge is not no_events else None
            if self._put_run(run, row, own=False) and before is not None:
                self._put_events(judge(before))
            if end is not None:
                self._put_end(row["pk"], end)
            return _connection(self._row(row["id"]))

    @sound
    def _before(self, row: Row, run: TestRun) -> Before:
        """What is known of the connection before `run` is kept."""
        bodies: list[str] = []
        if row["report"] is not None:
            of_key = {"connection": row["pk"], "since": row["key_since"]}
            last = "SELECT hash, body FROM key_report WHERE owner = :owner AND pk = :pk"
            (digest, body) = self._do(last, pk=row["report"]).fetchone()
            bodies.append(body)
            if run.key_report is not None and digest.hex() != run.key_report.content_hash():
                earlier = (
                    "SELECT k.body FROM run r JOIN key_report k ON k.pk = r.report"
                    " WHERE r.owner = :owner AND r.change > 0 AND (r.change & 2) > 0 AND r.connection = :connection"
                    " AND r.started_at >= :since ORDER BY r.started_at DESC, r.seq DESC LIMIT 11"
                )
                bodies += [one["body"] for one in self._do(earlier, **of_key)]
        told = self._read_events(
            "e.connection = :connection AND e.kind IN (SELECT value FROM json_each(:kinds)) AND e.at >= :since"
            " ORDER BY e.pk",
            connection=row["pk"],
            kinds=self._list(_ENDINGS),
            since=row["key_since"],
        )
        return Before(
            connection=_connection(row),
            status=self._counting_status(row),
            reports=tuple(KeyReport.model_validate_json(body) for body in bodies),
            told=tuple(told),
        )

    def _counting_status(self, row: Row) -> Status:
        """The connection's status, or the one before while our own network is down."""
        if row["status"] != Status.FAILED.value:
            return Status(row["status"])
        found = self._do(
            "SELECT p.status FROM run r JOIN pattern p ON p.pk = r.pattern WHERE r.owner = :owner"
            " AND r.connection = :pk AND p.cause IS NOT :own_network ORDER BY r.started_at DESC, r.seq DESC LIMIT 1",
            pk=row["pk"],
            own_network=Cause.LOCAL_NETWORK.value,
        ).fetchone()
        return Status(found["status"]) if found else Status.UNTESTED

    def _put_run(self, run: TestRun, connection: Row, *, own: bool) -> bool:
        """Keep a run of this connection. `own`: it surely tested the credentials that are stored now.

        Whether it set the connection's status.
        """
        pk, started_at = connection["pk"], micros(run.started_at)
        sets, aside = (True, False) if own else self._weighed(run, connection)
        run = run if run.set_aside == aside else run.model_copy(update={"set_aside": aside})
        report = None if run.key_report is None else self._report_row(pk, run.key_report)
        status_changed = sets and run.status.value != connection["status"]
        report_changed = sets and report is not None and report != connection["report"]
        failed = run.status is Status.FAILED
        outage_edge = sets and run.counts and failed != bool(connection["down"])
        packed = pack(run)
        pattern, usual = self._pattern_row(pk, run, packed)
        self._insert(
            "run",
            connection=pk,
            started_at=started_at,
            seq=self._refuse_double(pk, started_at, run.id),
            id=run_key(run.id, started_at),
            change=(_STATUS_CHANGED * status_changed | _REPORT_CHANGED * report_changed | _OUTAGE_EDGE * outage_edge),
            pattern=pattern,
            report=report,
            numbers=packed.numbers,
            texts=shorten_texts(packed.texts, usual),
        )
        if started_at < connection["rolled_until"] and not run.set_aside:
            self._roll_up_late(connection, started_at, pattern, packed.numbers)
        if not sets:
            return False
        self._set(pk, status=run.status.value, last_run_id=run.id, last_tested_at=started_at)
        if report_changed:
            self._set(pk, report=report)
        if outage_edge:
            self._set(pk, down=int(failed))
        if status_changed:
            cause = run.diagnosis.cause.value if run.diagnosis else None
            detail = {"name": connection["name"], "old": connection["status"], "new": run.status.value, "cause": cause}
            self._write_audit("tested", connection["id"], **detail)
        return True

    def _weighed(self, run: TestRun, connection: Row) -> tuple[bool, bool]:
        """Whether this run sets the connection's status, and whether it is set aside: the later one counts, but for
        one from here that yields to a fresh one from where the bot runs, whichever of the two came in first.
        """
        started_at = micros(run.started_at)
        if started_at < connection["key_since"]:
            return False, False
        later = started_at >= (connection["last_tested_at"] or 0)
        counted = None
        if connection["last_run_id"] and (run.tested_from is not None or run.about_this_place):
            counted = self.run(connection["last_run_id"])
        if counted is None:
            return later, False
        if later:
            aside = run.yields_to(counted)
            return not aside, aside
        return counted.yields_to(run), False

    def _refuse_double(self, connection: int, started_at: int, run_id: str) -> int:
        """The number of a run among those of the same microsecond. Raises `RunExists`."""
        query = "SELECT id FROM run WHERE owner = :owner AND connection = :connection AND started_at = :at ORDER BY seq"
        kept = [row["id"] for row in self._do(query, connection=connection, at=started_at)]
        key = run_key(run_id, started_at)
        if key in kept or (not is_short(key) and self._do(_BY_WHOLE_ID.format("1"), id=key).fetchone()):
            raise RunExists()
        return len(kept)

    def _report_row(self, connection: int, report: KeyReport) -> int:
        digest = bytes.fromhex(report.content_hash())
        body = report.model_dump_json(exclude_defaults=True)
        query = "SELECT pk FROM key_report WHERE owner = :owner AND connection = :connection AND hash = :hash"
        row = self._do(query, connection=connection, hash=digest).fetchone()
        return row["pk"] if row else self._insert_numbered("key_report", connection=connection, hash=digest, body=body)

    def _pattern_row(self, connection: int, run: TestRun, packed: Packed) -> tuple[int, str | None]:
        """The run's pattern, and its usual texts."""
        digest = hashlib.sha256(packed.pattern.encode()).digest()
        query = "SELECT pk, usual FROM pattern WHERE owner = :owner AND connection = :connection AND hash = :hash"
        row = self._do(query, connection=connection, hash=digest).fetchone()
        if row is not None:
            return row["pk"], row["usual"]
        pattern = self._insert_numbered(
            "pattern",
            connection=connection,
            hash=digest,
            status=run.status.value,
            cause=run.diagnosis.cause.value if run.diagnosis else None,
            body=packed.pattern,
            usual=_json(packed.texts) if packed.texts else None,
        )
        return pattern, _json(packed.texts)

    @sound
    def run(self, run_id: str) -> TestRun | None:
        with self._reading():
            row = self._run_row(run_id)
        if row is None:
            return None
        _refuse_changed(row["pattern_body"], row["pattern_hash"])
        columns: dict[str, Any] = {
            "id": run_id,
            "connection_id": row["connection_id"],
            "started_at": _time(row["started_at"]),
            "key_report": row["report_body"] and KeyReport.model_validate_json(row["report_body"]),
        }
        texts = whole_texts(row["texts"], row["usual"])
        return unpack(Packed(row["pattern_body"], row["numbers"], texts), columns)

    def _run_row(self, run_id: str) -> Row | None:
        what = (
            "r.*, c.id AS connection_id, p.body AS pattern_body, p.hash AS pattern_hash, p.usual,"
            " k.body AS report_body FROM {}"
            " JOIN pattern p ON p.pk = r.pattern LEFT JOIN key_report k ON k.pk = r.report WHERE r.owner = :owner"
        )
        started_at = id_time(run_id)
        if started_at is not None:
            query = (
                f"SELECT {what.format('connection c CROSS JOIN run r')} AND c.owner = :owner AND r.connection = c.pk"
                " AND r.started_at = :at AND r.id = :id"
            )
            row = self._do(query, at=started_at, id=run_key(run_id, started_at)).fetchone()
            if row is not None:
                return row
        tables = f"(SELECT * FROM run WHERE owner = :owner AND id = :id AND {_WHOLE_ID}) r JOIN connection c"
        query = f"SELECT {what.format(tables + ' ON c.pk = r.connection')}"
        return self._do(query, id=run_key(run_id, -1)).fetchone()

    @sound
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
        order = "DESC" if newest_first else "ASC"
        query = (
            f"SELECT {_LIGHT} FROM run r WHERE {_fitting(statuses, causes, changes_only)}"
            f" ORDER BY r.started_at {order}, r.seq {order} LIMIT :most"
        )
        most = _ALL if limit is None else limit + offset
        found: list[Any] = []
        with self._snapshot():
            names = self._names(connection_id)
            for values in self._filters(names, since, until, statuses, causes):
                found += self._rows(query, most=most, **values)
            if len(names) > 1:
                found.sort(key=lambda row: row[2], reverse=newest_first)
            return self._light(found[offset : None if limit is None else offset + limit], names)

    def _filters(
        self,
        keys: Collection[int],
        since: datetime | None,
        until: datetime | None,
        statuses: Collection[Status] | None,
        causes: Collection[Cause] | None,
    ) -> list[dict[str, Any]]:
        """The values of `_fitting` for each connection that can have runs which fit."""
        ends = {"since": 0 if since is None else micros(since), "until": micros(until) if until else up.FOREVER}
        if statuses is None and causes is None:
            return [{"connection": key, **ends} for key in keys]
        query, values = "SELECT connection, pk FROM pattern WHERE owner = :owner", dict[str, Any]()
        if statuses is not None:
            query += " AND status IN (SELECT value FROM json_each(:statuses))"
            values["statuses"] = self._list([status.value for status in statuses])
        if causes is not None:
            query += " AND cause IN (SELECT value FROM json_each(:causes))"
            values["causes"] = self._list([cause.value for cause in causes])
        rows = self._do(query, **values).fetchall()
        fitting: dict[int, list[int]] = {key: [] for key in keys}
        for row in rows:
            fitting.get(row[0], []).append(row[1])
        return [{"connection": key, "patterns": self._list(found), **ends} for key, found in fitting.items() if found]

    def _names(self, connection_id: str | None = None) -> dict[int, str]:
        """The ids of connections by their numbers, in the order of their names."""
        only = "" if connection_id is None else "AND id = :id"
        query = f"SELECT pk, id FROM connection WHERE owner = :owner {only} ORDER BY name_key"
        return {row["pk"]: row["id"] for row in self._do(query, id=connection_id)}

    def count_runs(
        self,
        connection_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Collection[Status] | None = None,
        causes: Collection[Cause] | None = None,
        changes_only: bool = False,
    ) -> int:
        query = f"SELECT count(*) FROM run r WHERE {_fitting(statuses, causes, changes_only)}"
        with self._snapshot():
            filters = self._filters(self._names(connection_id), since, until, statuses, causes)
            return sum(self._do(query, **values).fetchone()[0] for values in filters)

    @sound
    def recent_runs(self, n: int = 40) -> dict[str, list[RunRow]]:
        query = (
            f"SELECT {_LIGHT} FROM run r WHERE r.owner = :owner AND r.connection = :connection"
            " ORDER BY r.started_at DESC, r.seq DESC LIMIT :n"
        )
        with self._snapshot():
            names = self._names()
            return {
                name: self._light(self._rows(query, connection=key, n=n)[::-1], names) for key, name in names.items()
            }

    @sound
    def _light(self, rows: Sequence[Any], names: Mapping[int, str]) -> list[RunRow]:
        """Run rows for rows of `_LIGHT` columns. Within `_reading` or the like."""
        patterns = self._facts({row[4] for row in rows})
        found: list[RunRow] = []
        for key, connection, micros, change, pattern, numbers in rows:
            facts = patterns[pattern]
            duration_ms, latencies = unpack_light(facts.timed, numbers)
            found.append(
                RunRow(
                    run_id(key, micros),
                    names[connection],
                    _EPOCH + timedelta(0, 0, micros),
                    facts.status,
                    facts.cause,
                    duration_ms,
                    latencies,
                    change & _STATUS_CHANGED != 0,
                    change & _REPORT_CHANGED != 0,
                    facts.set_aside,
                )
            )
        return found

    def _facts(self, patterns: Collection[int]) -> dict[int, PatternFacts]:
        """What is known of patterns, at least of these. Within `_reading` or the like."""
        known = self._patterns
        return known if known.keys() >= set(patterns) else self._read_patterns()

    @sound
    def _read_patterns(self) -> dict[int, PatternFacts]:
        """Those that came since: a pattern never changes, and never gets the number of another one."""
        query = "SELECT pk, status, cause, body, hash FROM pattern WHERE owner = :owner AND pk > :last"
        with self._lock:
            known, aside = self._patterns, self._aside
            for row in self._do(query, last=max(known, default=0)):
                _refuse_changed(row["body"], row["hash"])
                facts = known[row["pk"]] = pattern_facts(row["status"], row["cause"], row["body"])
                if facts.set_aside:
                    aside.append(row["pk"])
            return known

    def _aside_now(self) -> list[int]:
        """The patterns of runs that were set aside. Within `_reading` or the like."""
        with self._lock:
            self._read_patterns()
            return self._aside.copy()

    # Columns for figures

    def tracks(self, connection_ids: Collection[str] | None = None, exchange: str | None = None) -> list[Track]:
        query = "SELECT pk, id, exchange, kept_from, rolled_until FROM connection WHERE owner = :owner"
        if connection_ids is not None:
            query += " AND id IN (SELECT value FROM json_each(:ids))"
        if exchange is not None:
            query += " AND exchange = :exchange"
        with self._reading():
            ids = self._list(connection_ids or ())
            rows = self._do(f"{query} ORDER BY pk", ids=ids, exchange=exchange).fetchall()
        return [Track(*row) for row in rows]

    def readings(
        self, windows: Sequence[tuple[int, int, int]], *, before: bool = False, numbers: bool = False
    ) -> list[tuple[Any, ...]]:
        last = f"SELECT max(b.started_at) FROM run b WHERE b.connection = {_KEY} AND b.started_at < {_SINCE}"
        start = f"coalesce(({last} AND b.{_COUNTS}), {_SINCE})" if before else _SINCE
        more = ", r.numbers" if numbers else ""
        query = f"SELECT w.key, r.started_at, r.pattern{more} {_OF_WINDOWS.format(start)} AND r.{_COUNTS} {_IN_ORDER}"
        with self._reading():
            return self._rows(query, windows=_windows(windows), aside=self._list(self._aside_now()))

    def runs_within(
        self, windows: Sequence[tuple[int, int, int]], statuses: Collection[Status] | None = None
    ) -> list[RunRow]:
        query, values = f"SELECT {_LIGHT} {_OF_WINDOWS.format(_SINCE)}", dict[str, Any]()
        if statuses is not None:
            query += (
                " AND r.pattern IN (SELECT pk FROM pattern WHERE owner = :owner"
                " AND status IN (SELECT value FROM json_each(:statuses)))"
            )
            values["statuses"] = self._list([status.value for status in statuses])
        with self._snapshot():
            rows = self._rows(f"{query} {_IN_ORDER}", windows=_windows(windows), **values)
            return self._light(rows, self._names())

    def counts_within(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        within = f"r.connection = {_KEY} AND r.started_at >= {_SINCE} AND r.started_at < {_UNTIL}"
        count = f"SELECT count(*) FROM run r WHERE r.owner = :owner AND {within}"
        with self._reading():
            aside = self._aside_now()
            count += f" AND r.{_COUNTS}" if aside else ""
            query = f"SELECT ({count}) FROM json_each(:windows) w ORDER BY w.key"
            return [row[0] for row in self._rows(query, windows=_windows(windows), aside=self._list(aside))]

    def count_runs_within(self, windows: Sequence[tuple[int, int, int]], most: int) -> int:
        query = f"SELECT count(*) FROM (SELECT 1 {_OF_WINDOWS.format(_SINCE)} LIMIT :most) AS them"
        with self._reading():
            return self._do(query, windows=_windows(windows), most=most).fetchone()[0]

    def pattern_facts(self, patterns: Collection[int]) -> Mapping[int, PatternFacts]:
        with self._reading():
            known = self._facts(patterns)
        if not known.keys() >= set(patterns):
            raise RowDamaged()
        return known

    def ends(self, keys: Collection[int], since: int = 0) -> dict[int, tuple[int, int]]:
        with self._reading():
            rows = self._rows(
                "SELECT c.pk, (SELECT min(started_at) FROM run WHERE connection = c.pk AND started_at >= :since),"
                " (SELECT max(started_at) FROM run WHERE connection = c.pk) FROM connection c"
                " WHERE c.owner = :owner AND c.pk IN (SELECT value FROM json_each(:keys))",
                keys=self._list(sorted(keys)),
                since=since,
            )
        found = {key: (first, last) for key, first, last in rows if first is not None}
        for first, last in found.values():
            _exactly((first, last), int, int)
        return found

    def outage_edges(self, keys: Collection[int], since: int) -> list[tuple[int, int, int]]:
        what = "r.connection, r.started_at, r.pattern FROM json_each(:keys) w CROSS JOIN run r INDEXED BY run_by_change"
        return self._changes(f"SELECT {what}", "true", keys, since, _OUTAGE_EDGE)

    def report_changes(self, keys: Collection[int], since: int, until: int) -> list[tuple[int, int, str, str]]:
        what = (
            "r.connection, r.started_at, r.id, k.body FROM json_each(:keys) w CROSS JOIN run r INDEXED BY run_by_change"
        )
        join = "JOIN key_report k ON k.pk = r.report"
        rows = self._changes(
            f"SELECT {what} {join}", "r.started_at < :until", keys, since, _REPORT_CHANGED, until=until
        )
        return [(row[0], row[1], run_id(row[2], row[1]), row[3]) for row in rows]

    def _changes(
        self, select: str, condition: str, keys: Collection[int], since: int, change: int, **values: Any
    ) -> list[Any]:
        """Rows of runs that changed something, from the last one before `since` on."""
        last = (
            "SELECT max(b.started_at) FROM run b INDEXED BY run_by_change WHERE b.connection = w.value AND b.change > 0"
            " AND (b.change & :change) > 0 AND b.started_at < :since"
        )
        with self._reading():
            return self._rows(
                f"{select} WHERE r.owner = :owner AND r.connection = w.value AND r.change > 0"
                f" AND (r.change & :change) > 0 AND r.started_at >= coalesce(({last}), :since) AND {condition}"
                " ORDER BY 1, 2, r.seq",
                keys=self._list(sorted(keys)),
                change=change,
                since=since,
                **values,
            )

    # Roll-ups

    def rolled(self, keys: Collection[int], first_day: int, last_day: int) -> list[tuple[int, int, bytes, bytes]]:
        return self._rolled("rollup", "day, held, counts", keys, first_day, last_day)

    def rolled_hours(
        self, keys: Collection[int], first_day: int, last_day: int, metric: int | None = None
    ) -> list[tuple[int, int, int, bytes]]:
        metrics = range(32) if metric is None else [metric]
        condition = "metric IN (SELECT value FROM json_each(:metrics))"
        what, numbers = "metric, day, histograms", self._list(metrics)
        return self._rolled("rollup_hours", what, keys, first_day, last_day, condition, metrics=numbers)

    def rolled_days(self, keys: Collection[int], first_day: int, last_day: int) -> list[tuple[int, int, bytes]]:
        return self._rolled("rollup_day", "day, histograms", keys, first_day, last_day)

    def _rolled(
        self,
        table: str,
        columns: str,
        keys: Collection[int],
        first_day: int,
        last_day: int,
        condition: str = "true",
        **values: Any,
    ) -> list[Any]:
        with self._reading():
            return self._rows(
                f"SELECT connection, {columns} FROM json_each(:keys) w CROSS JOIN {table} r WHERE r.owner = :owner"
                f" AND connection = w.value AND {condition} AND day BETWEEN :first AND :last",
                keys=self._list(sorted(keys)),
                first=first_day,
                last=last_day,
                **values,
            )

    def roll_up(self, now: datetime, limit: int = 1000) -> bool:
        until = micros(now) // _MICROS_AN_HOUR * _MICROS_AN_HOUR
        with self._writing():
            # A connection that has a run which is not rolled up, or one that still holds in hours that are not.
            row = self._do(
                "SELECT * FROM connection c WHERE owner = :owner AND rolled_until < :until AND"
                " (SELECT max(started_at) FROM run WHERE connection = c.pk AND started_at < :until)"
                " > rolled_until - :hold LIMIT 1",
                until=until,
                hold=up.LONGEST_HOLD,
            ).fetchone()
            if row is not None:
                self._roll_up(row, until, limit)
            return row is not None

    def _roll_up(self, connection: Row, until: int, limit: int) -> None:
        """Roll up the next days of a connection; the last of them may end within the day."""
        key, rolled = connection["pk"], connection["rolled_until"]
        last = self._do(
            "SELECT max(started_at) FROM run WHERE owner = :owner AND connection = :key AND started_at < :rolled",
            key=key,
            rolled=rolled,
        ).fetchone()[0]
        if last is None or last + up.LONGEST_HOLD <= rolled:  # nothing is known until the next run
            rolled = self._do(
                "SELECT min(started_at) FROM run WHERE owner = :owner AND connection = :key AND started_at >= :rolled",
                key=key,
                rolled=rolled,
            ).fetchone()[0]
        since = max(rolled // _MICROS_A_DAY * _MICROS_A_DAY, connection["kept_from"])
        row = self._do(
            "SELECT started_at FROM run WHERE owner = :owner AND connection = :key AND started_at >= :since"
            " ORDER BY started_at LIMIT 1 OFFSET :limit",
            key=key,
            since=since,
            limit=limit,
        ).fetchone()
        if row is not None:
            until = min(until, max(row[0] // _MICROS_A_DAY, since // _MICROS_A_DAY + 1) * _MICROS_A_DAY)
        runs = self.readings([(key, since, until)], before=True, numbers=True)
        _, started_at, pattern, numbers = (list(column) for column in zip(*runs, strict=True)) if runs else ([],) * 4
        days = up.roll(*self._columns(started_at, pattern, numbers), since, until)
        self._replace_days(key, since // _MICROS_A_DAY, (until - 1) // _MICROS_A_DAY, days)
        self._set(key, rolled_until=until)

    def _columns(
        self, started_at: Sequence[int], pattern: Sequence[int], numbers: Sequence[bytes]
    ) -> tuple[Any, Any, Any, up.Measures]:
        """Runs as `up.roll` takes them."""
        facts = self._facts(set(pattern))
        start = up.np.array(started_at, dtype="int64")
        known = [facts[one] for one in pattern]
        asked = [at if one.repeats is None else one.repeats for at, one in zip(started_at, known, strict=True)]
        codes = up.np.array([up.code(one.status, one.cause) for one in known], dtype="int64")
        return start, up.np.minimum(start, asked), codes, measures(pattern, numbers, facts)

    def _replace_days(self, key: int, first: int, last: int, days: Sequence[up.Day]) -> None:
        for table in ("rollup", "rollup_hours", "rollup_day"):
            query = f"DELETE FROM {table} WHERE owner = :owner AND connection = :key AND day BETWEEN :first AND :last"
            if table == "rollup_hours":
                query += " AND metric IN (SELECT value FROM json_each(:metrics))"
            self._do(query, key=key, first=first, last=last, metrics=self._list(range(32)))
        for day in days:
            self._put_day(key, day)

    def _put_day(self, key: int, day: up.Day) -> None:
        self._insert("rollup", connection=key, day=day.day, held=day.held, counts=day.counts)
        if day.histograms:
            self._insert("rollup_day", connection=key, day=day.day, histograms=day.histograms)
        for metric, histograms in day.hours.items():
            self._insert("rollup_hours", connection=key, metric=metric, day=day.day, histograms=histograms)

    def _roll_up_late(self, connection: Row, started_at: int, pattern: int, numbers: bytes) -> None:
        """See to a run that started in hours that are rolled up already.

        They are rolled up again. Where not all of their runs are kept any more, it is only counted.
        """
        key, kept_from = connection["pk"], connection["kept_from"]
        hour = started_at // _MICROS_AN_HOUR * _MICROS_AN_HOUR
        self._set(key, rolled_until=min(connection["rolled_until"], max(hour, kept_from)))
        if started_at >= kept_from:
            return
        day = started_at // _MICROS_A_DAY
        (late,) = up.roll(*self._columns([started_at], [pattern], [numbers]), day * _MICROS_A_DAY, hour + 1)
        nothing = up.np.zeros((24, up.STATES), dtype="<u4").tobytes()
        _, _, held, counts = next(iter(self.rolled([key], day, day)), (0, 0, nothing, b""))
        _, _, histograms = next(iter(self.rolled_days([key], day, day)), (0, 0, b""))
        hours = {metric: blob for _, metric, _, blob in self.rolled_hours([key], day, day)}
        hours |= {metric: hours.get(metric, b"") + blob for metric, blob in late.hours.items()}
        more = up.Day(day, held, counts + late.counts, hours, histograms + late.histograms)
        self._replace_days(key, day, day, [more])

    def retain(self, now: datetime, keep: timedelta, newest: int, *, limit: int = 500, pause: float = 0.002) -> int:
        oldest, deleted = micros(now - keep), 0
        with self._reading():
            keys = list(self._names())
        for key in keys:
            after = 0
            while after is not None:
                with self._writing():
                    after, more = self._retain(key, oldest, newest, limit, after)
                deleted += more
                sleep(pause)  # a lock that is taken again at once lets nobody else in
        self._erase_traces()  # also what other programs left that have ended
        return deleted

    def _retain(self, key: int, oldest: int, newest: int, limit: int, after: int) -> tuple[int | None, int]:
        """Delete a batch of one connection's runs, from `after` on. Where the next one begins, and how many."""
        row = self._do("SELECT * FROM connection WHERE owner = :owner AND pk = :key", key=key).fetchone()
        among = self._do(
            "SELECT started_at FROM run WHERE owner = :owner AND connection = :key"
            " ORDER BY started_at DESC, seq DESC LIMIT 1 OFFSET :newest",
            key=key,
            newest=newest - 1,
        ).fetchone()
        if row is None or among is None:
            return None, 0
        until = max(row["kept_from"], min(oldest, among[0], row["rolled_until"]) // _MICROS_A_DAY * _MICROS_A_DAY)
        counted = f"SELECT max(started_at) FROM run WHERE connection = :key AND started_at < :until AND {_COUNTS}"
        first, last = self._do(
            f"SELECT min(started_at), ({counted}) FROM run WHERE owner = :owner AND connection = :key",
            key=key,
            until=until,
            aside=self._list(self._aside_now()),
        ).fetchone()
        gone = (
            "FROM run WHERE owner = :owner AND connection = :key AND started_at >= :after AND started_at < :until"
            " AND change = 0 AND started_at IS NOT :first AND started_at IS NOT :last"
        )
        values: dict[str, Any] = {"key": key, "after": after, "first": first, "last": last}
        end = self._do(
            f"SELECT started_at {gone} ORDER BY started_at LIMIT 1 OFFSET :limit", until=until, limit=limit, **values
        ).fetchone()
        deleted = self._do(f"DELETE {gone}", until=until if end is None else end[0] + 1, **values).rowcount
        if deleted and until > row["kept_from"]:
            self._set(key, kept_from=until)
        return None if end is None else end[0] + 1, deleted

    # Schedules

    def schedules(self) -> list[Schedule]:
        with self._reading():
            rows = self._do(f"{_SCHEDULES} ORDER BY s.next_at, s.connection").fetchall()
        return [_schedule(row) for row in rows]

    def schedule(self, connection_id: str) -> Schedule | None:
        with self._reading():
            row = self._do(f"{_SCHEDULES} AND c.id = :id", id=connection_id).fetchone()
        return None if row is None else _schedule(row)

    def set_schedule(self, connection_id: str, every: timedelta | None, at: datetime, next_at: datetime) -> None:
        with self._writing():
            row = self._row(connection_id)
            self._do(
                "UPDATE schedule SET every_s = :every, set_at = :at, next_at = :next_at"
                " WHERE owner = :owner AND connection = :pk",
                pk=row["pk"],
                every=_seconds(every),
                at=micros(at),
                next_at=micros(next_at),
            )
            self._write_audit("scheduled", connection_id, name=row["name"], every_s=_seconds(every))

    @sound
    def pauses(self) -> dict[str, Pause]:
        with self._reading():
            rows = self._do("SELECT * FROM pause WHERE owner = :owner").fetchall()
        return {row["place"]: Pause(row["failures"], _time(row["since"]), _time(row["until"])) for row in rows}

    def mend_clock(self, now: datetime) -> None:
        with self._writing():
            self._mend_clock(micros(now))

    def _mend_clock(self, now: int) -> None:
        times = {"now": now, "later": now + SET_BACK // _MICROSECOND}
        self._do(
            "UPDATE schedule SET set_at = :now,"
            " next_at = CASE WHEN next_at > set_at THEN :now + next_at - set_at ELSE :now END"
            " WHERE owner = :owner AND set_at > :later",
            **times,
        )
        self._do(
            "UPDATE schedule SET held_at = :now, held_until = :now + (held_until - held_at)"
            " WHERE owner = :owner AND held_at > :later",
            **times,
        )
        self._do(
            "UPDATE pause SET since = :now, until = :now + (until - since) WHERE owner = :owner AND since > :later",
            **times,
        )

    def take_lease(
        self, connection_id: str, holder: str, now: datetime, until: datetime, *, due_at: str | None = None
    ) -> bool:
        times: dict[str, Any] = {"now": micros(now), "until": micros(until)}
        due = (
            " AND every_s IS NOT NULL AND next_at <= :now AND NOT EXISTS"
            " (SELECT 1 FROM pause WHERE owner = :owner AND place = :place AND until > :now)"
        )
        with self._writing():
            self._mend_clock(micros(now))
            taken = self._do(
                "UPDATE schedule SET holder = :holder, held_at = :now, held_until = :until"
                f" WHERE owner = :owner AND {_OF_CONNECTION} AND (held_until IS NULL OR held_until <= :now)"
                f"{due if due_at is not None else ''}",
                id=connection_id,
                holder=holder,
                place=due_at,
                **times,
            )
            if taken.rowcount == 1 and due_at is not None:
                query = "UPDATE pause SET since = :now, until = :until WHERE owner = :owner AND place = :place"
                self._do(query, place=due_at, **times)
            return taken.rowcount == 1

    def renew_lease(self, connection_id: str, holder: str, now: datetime, until: datetime) -> bool:
        with self._writing():
            changed = self._do(
                "UPDATE schedule SET held_at = :now, held_until = :until"
                f" WHERE owner = :owner AND {_OF_CONNECTION} AND holder = :holder",
                id=connection_id,
                holder=holder,
                now=micros(now),
                until=micros(until),
            )
            return changed.rowcount == 1

    def free_lease(self, connection_id: str, holder: str, at: datetime, next_at: datetime | None = None) -> None:
        later = "" if next_at is None else ", set_at = :at, next_at = :next_at"
        with self._writing():
            self._do(
                f"UPDATE schedule SET holder = NULL, held_at = NULL, held_until = NULL{later}"
                f" WHERE owner = :owner AND {_OF_CONNECTION} AND holder = :holder",
                id=connection_id,
                holder=holder,
                at=micros(at),
                next_at=_maybe_micros(next_at),
            )

    def free_leases(self, holder: str) -> None:
        with self._writing():
            self._do(
                "UPDATE schedule SET holder = NULL, held_at = NULL, held_until = NULL"
                " WHERE owner = :owner AND holder = :holder",
                holder=holder,
            )

    def _put_end(self, connection: int, end: RunEnd) -> None:
        values: dict[str, Any] = {"pk": connection, "holder": end.holder}
        self._do(
            "UPDATE schedule SET set_at = :at, next_at = :next_at"
            " WHERE owner = :owner AND connection = :pk AND holder = :holder AND every_s IS :every",
            at=micros(end.at),
            next_at=micros(end.next_at),
            every=_seconds(end.every),
            **values,
        )
        self._do(
            "UPDATE schedule SET holder = NULL, held_at = NULL, held_until = NULL"
            " WHERE owner = :owner AND connection = :pk AND holder = :holder",
            **values,
        )
        if end.pause is None:
            self._do("DELETE FROM pause WHERE owner = :owner AND place = :place", place=end.place)
        elif end.pause is not KEEP:
            self._do(
                "INSERT INTO pause (owner, place, failures, since, until)"
                " VALUES (:owner, :place, :failures, :since, :until) ON CONFLICT (owner, place) DO UPDATE"
                " SET failures = excluded.failures, since = excluded.since, until = excluded.until",
                place=end.place,
                failures=end.pause.failures,
                since=micros(end.pause.since),
                until=micros(end.pause.until),
            )

    # Strategies

    def strategies(self) -> list[Strategy]:
        return self._strategies("")

    def strategy(self, strategy_id: str) -> Strategy | None:
        return next(iter(self._strategies("AND s.id = :value", strategy_id)), None)

    def strategy_by_name(self, name: str) -> Strategy | None:
        return next(iter(self._strategies("AND s.name_key = :value", name_key(name))), None)

    def strategies_of(self, connection_id: str) -> list[Strategy]:
        return self._strategies("AND c.id = :value", connection_id)

    def _strategies(self, condition: str, value: str = "") -> list[Strategy]:
        with self._reading():
            rows = self._do(f"{_STRATEGIES} {condition} ORDER BY s.name_key", value=value).fetchall()
        return [_strategy(row) for row in rows]

    def _strategy_row(self, strategy_id: str) -> Row:
        row = self._do(f"{_STRATEGIES} AND s.id = :id", id=strategy_id).fetchone()
        if row is None:
            raise UnknownStrategy()
        return row

    def _set_strategy(self, pk: int, **values: Any) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self._do(f"UPDATE strategy SET {changes} WHERE owner = :owner AND pk = :pk", pk=pk, **values)

    def _refuse_strategy_name(self, name: str, *, but: int | None = None) -> None:
        query = "SELECT pk FROM strategy WHERE owner = :owner AND name_key = :name_key"
        row = self._do(query, name_key=name_key(name)).fetchone()
        if row is not None and row["pk"] != but:
            raise StrategyNameTaken(name)

    def add_strategy(self, strategy: Strategy, revision: Revision) -> Strategy:
        with self._writing():
            self._refuse_strategy_name(strategy.name)
            connection = None if strategy.connection_id is None else self._row(strategy.connection_id)
            pk = self._insert_numbered(
                "strategy",
                id=strategy.id,
                name=strategy.name,
                name_key=name_key(strategy.name),
                connection=connection and connection["pk"],
                connection_name=connection["name"] if connection else strategy.connection_name,
                state=StrategyState.DRAFT.value,
                reasons="[]",
                needs_person=0,
                revision=1,
                created_at=micros(strategy.created_at),
                updated_at=micros(strategy.updated_at),
            )
            self._put_revision(pk, 1, revision)
            row = self._strategy_row(strategy.id)
            self._audit_strategy("strategy_added", row, connection=row["connection_now"])
            return _strategy(row)

    def _put_revision(self, strategy: int, number: int, revision: Revision) -> None:
        self._insert(
            "revision",
            strategy=strategy,
            number=number,
            digest=revision.digest,
            parameters=revision.parameters,
            created_at=micros(revision.created_at),
            note=revision.note,
        )

    def _audit_strategy(self, action: str, row: Row, number: int | None = None, **detail: str | None) -> None:
        """What was done, and with which revision: the newest unless `number` is given."""
        number = number or row["revision"]
        query = "SELECT digest FROM revision WHERE owner = :owner AND strategy = :strategy AND number = :number"
        digest = self._do(query, strategy=row["pk"], number=number).fetchone()["digest"]
        self._write_audit(action, row["id"], name=row["name"], revision=number, digest=digest, **detail)

    def save_revision(self, strategy_id: str, expected: int, revision: Revision) -> Strategy:
        with self._writing():
            row = self._strategy_row(strategy_id)
            newest = self._do(f"{_REVISIONS} AND r.number = s.revision", id=strategy_id).fetchone()
            if newest["digest"] == revision.digest:
                return _strategy(row)
            if row["revision"] != expected:
                raise StrategyChanged(_strategy(row))
            self._put_revision(row["pk"], expected + 1, revision)
            self._set_strategy(row["pk"], revision=expected + 1, updated_at=micros(revision.created_at))
            row = self._strategy_row(strategy_id)
            self._audit_strategy("strategy_saved", row)
            return _strategy(row)

    def rename_strategy(self, strategy_id: str, name: str) -> Strategy:
        with self._writing():
            row = self._strategy_row(strategy_id)
            name = _checked(name)
            if name != row["name"]:
                self._refuse_strategy_name(name, but=row["pk"])
                self._set_strategy(row["pk"], name=name, name_key=name_key(name), updated_at=micros(self._clock()))
                self._write_audit("strategy_renamed", strategy_id, old=row["name"], new=name)
            return _strategy(self._strategy_row(strategy_id))

    def delete_strategy(self, strategy_id: str) -> None:
        with self._writing():
            row = self._strategy_row(strategy_id)
            self._audit_strategy("strategy_deleted", row, state=row["state"])
            self._do("DELETE FROM strategy WHERE owner = :owner AND pk = :pk", pk=row["pk"])
        self._erase_traces()

    def surroundings(self, strategy_id: str) -> str:
        with self._reading():
            return self._surroundings(strategy_id)

    def _surroundings(self, strategy_id: str) -> str:
        rows = self._do(
            "SELECT c.status, c.last_run_id, c.key_since, c.confirmed_at, o.id, o.enabled_revision FROM strategy s"
            " JOIN connection c ON c.pk = s.connection"
            " LEFT JOIN strategy o ON o.connection = c.pk AND o.pk != s.pk AND o.state != :draft"
            " WHERE s.owner = :owner AND s.id = :id ORDER BY o.id",
            id=strategy_id,
            draft=StrategyState.DRAFT.value,
        ).fetchall()
        return repr([tuple(row) for row in rows])

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
        with self._writing():
            row = self._strategy_row(strategy_id)
            if row["state"] != expected_state.value or revision not in (None, row["revision"]):
                raise StrategyChanged(_strategy(row))
            if surroundings is not None and surroundings != self._surroundings(strategy_id):
                raise SurroundingsChanged(row["name"])
            now, before = micros(self._clock()), row["enabled_revision"]
            in_force, since = before, row["enabled_at"]
            if state is StrategyState.DRAFT:
                in_force = since = None
            elif state is StrategyState.ENABLED and (
                revision is not None or before is None or expected_state is not StrategyState.SUSPENDED
            ):
                in_force, since = row["revision"], now
            suspended = state is StrategyState.SUSPENDED
            kept = _reasons(reasons if suspended else ())
            self._set_strategy(
                row["pk"],
                state=state.value,
                reasons=kept,
                needs_person=int(needs_person and suspended),
                enabled_revision=in_force,
                enabled_at=since,
                updated_at=now,
            )
            detail = {"old": row["state"], "new": state.value, **({"reasons": kept} if suspended else {})}
            self._audit_strategy(action, row, in_force or before, **detail)
            self._put_events(events)
            return _strategy(self._strategy_row(strategy_id))

    def _unbind(self, connection: Row) -> None:
        """Take the connection, which is about to be deleted, from its strategies."""
        now, reason = micros(self._clock()), connection_deleted(connection["name"])
        for row in self._do(f"{_STRATEGIES} AND c.pk = :pk ORDER BY s.name_key", pk=connection["pk"]).fetchall():
            changes: dict[str, Any] = {"connection": None, "connection_name": connection["name"], "updated_at": now}
            detail = {"connection": connection["name"], "old": row["state"], "new": row["state"]}
            if row["state"] != StrategyState.DRAFT.value:  # also where it was suspended: it must not resume by itself
                reasons = _reasons((*_REASONS.validate_json(row["reasons"]), reason))
                detail |= {"new": StrategyState.SUSPENDED.value, "reasons": reasons}
                changes |= {"state": StrategyState.SUSPENDED.value, "reasons": reasons, "needs_person": 1}
            self._set_strategy(row["pk"], **changes)
            action = "strategy_suspended" if row["state"] == StrategyState.ENABLED.value else "strategy_unbound"
            self._audit_strategy(action, row, row["enabled_revision"], **detail)

    def revisions(self, strategy_id: str) -> list[Revision]:
        with self._reading():
            rows = self._do(f"{_REVISIONS} ORDER BY r.number DESC", id=strategy_id).fetchall()
        return [_revision(row) for row in rows]

    def revision(self, strategy_id: str, number: int) -> Revision | None:
        with self._reading():
            row = self._do(f"{_REVISIONS} AND r.number = :number", id=strategy_id, number=number).fetchone()
        return None if row is None else _revision(row)

    # Events, channels, deliveries

    def _put_events(self, events: Sequence[Event]) -> None:
        """Keep each once, with a delivery to each channel that hears it."""
        if not events:
            return
        channels = self._do("SELECT pk, muted FROM channel WHERE owner = :owner").fetchall()
        for event in events:
            found = self._do(
                "INSERT INTO event (owner, id, connection, kind, at, run_id, body) VALUES (:owner, :id,"
                " (SELECT pk FROM connection WHERE owner = :owner AND id = :connection), :kind, :at, :run_id, :body)"
                " ON CONFLICT DO NOTHING RETURNING pk",
                id=event.id,
                connection=event.connection_id,
                kind=event.kind.value,
                at=micros(event.at),
                run_id=event.run_id,
                body=event.model_dump_json(include={"text", "details", "todo", "facts"}),
            ).fetchone()
            if found is None:
                continue
            for channel in channels:
                if event.kind.value not in _muted(channel["muted"]):
                    state = DeliveryState.WAITING.value
                    values = {"event": found[0], "channel": channel["pk"], "number": 0, "state": state}
                    self._insert("delivery", **values, due_at=micros(event.at))

    def add_events(self, events: Sequence[Event]) -> None:
        with self._writing():
            self._put_events(events)

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
        conditions, values = ["true"], dict[str, Any]()
        if connection_id is not None:
            conditions.append("e.connection = (SELECT pk FROM connection WHERE owner = :owner AND id = :connection)")
            values["connection"] = connection_id
        if kinds is not None:
            conditions.append("e.kind IN (SELECT value FROM json_each(:kinds))")
            values["kinds"] = self._list([kind.value for kind in kinds])
        for name, sign, at in (("since", ">=", since), ("until", "<", until)):
            if at is not None:
                conditions.append(f"e.at {sign} :{name}")
                values[name] = micros(at)
        for name, sign, event in (("before", "<", before), ("after", ">", after)):
            if event is not None:
                conditions.append(f"e.pk {sign} (SELECT pk FROM event WHERE owner = :owner AND id = :{name})")
                values[name] = event
        where, order = " AND ".join(conditions), "DESC" if newest_first else "ASC"
        with self._reading():
            return self._read_events(
                f"{where} ORDER BY e.pk {order} LIMIT :limit", **values, limit=_ALL if limit is None else limit
            )

    def _read_events(self, rest: str, **values: Any) -> list[Event]:
        query = (
            "SELECT e.id AS event_id, e.kind, e.at, e.run_id, e.body, c.id AS connection_id FROM event e"
            f" LEFT JOIN connection c ON c.pk = e.connection WHERE e.owner = :owner AND {rest}"
        )
        return [_event(row) for row in self._do(query, **values)]

    def channels(self) -> list[Channel]:
        with self._reading():
            rows = self._do("SELECT * FROM channel WHERE owner = :owner ORDER BY name_key").fetchall()
        return [_channel(row) for row in rows]

    def _channel_row(self, channel_id: str) -> Row:
        row = self._do("SELECT * FROM channel WHERE owner = :owner AND id = :id", id=channel_id).fetchone()
        if row is None:
            raise UnknownChannel()
        return row

    def _refuse_channel_name(self, name: str, *, but: int | None = None) -> None:
        query = "SELECT pk FROM channel WHERE owner = :owner AND name_key = :name_key"
        row = self._do(query, name_key=name_key(name)).fetchone()
        if row is not None and row["pk"] != but:
            raise ChannelNameTaken(name)

    def add_channel(self, channel: Channel, address: Sealed) -> Channel:
        with self._writing():
            self._refuse_channel_name(channel.name)
            created = micros(channel.created_at)
            self._insert("channel", id=channel.id, created_at=created, **_channel_columns(channel), **address._asdict())
            self._write_audit("channel_added", channel.id, name=channel.name, hint=channel.hint)
            return _channel(self._channel_row(channel.id))

    def change_channel(self, channel: Channel, address: Sealed | None = None) -> Channel:
        with self._writing():
            row = self._channel_row(channel.id)
            self._refuse_channel_name(channel.name, but=row["pk"])
            values = {**_channel_columns(channel), **(address._asdict() if address else {})}
            changes = ", ".join(f"{name} = :{name}" for name in values)
            self._do(f"UPDATE channel SET {changes} WHERE owner = :owner AND pk = :pk", pk=row["pk"], **values)
            self._write_audit("channel_changed", channel.id, name=channel.name, hint=channel.hint)
            changed = _channel(self._channel_row(channel.id))
        if address is not None:
            self._erase_traces()
        return changed

    def remove_channel(self, channel_id: str) -> None:
        with self._writing():
            row = self._channel_row(channel_id)
            self._do("DELETE FROM channel WHERE owner = :owner AND pk = :pk", pk=row["pk"])
            self._write_audit("channel_removed", channel_id, name=row["name"], hint=row["hint"])
        self._erase_traces()

    def channel_address(self, channel_id: str) -> Sealed:
        with self._reading():
            row = self._channel_row(channel_id)
        return _sealed(row)

    def deliveries(
        self,
        *,
        channel_id: str | None = None,
        event_ids: Collection[str] | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Delivery]:
        conditions, values = ["true"], dict[str, Any]()
        if channel_id is not None:
            conditions.append("h.id = :channel_id")
            values["channel_id"] = channel_id
        if event_ids is not None:
            conditions.append("e.id IN (SELECT value FROM json_each(:event_ids))")
            values["event_ids"] = self._list(event_ids)
        if open_only:
            conditions.append("d.state IN ('waiting', 'sending', 'failed')")
        where = " AND ".join(conditions)
        with self._reading():
            query = f"{_DELIVERIES} AND {where} ORDER BY d.pk DESC LIMIT :limit"
            return [_delivery(row) for row in self._do(query, **values, limit=_ALL if limit is None else limit)]

    def repeat_delivery(self, delivery: Delivery, at: datetime) -> bool:
        with self._writing():
            added = self._do(
                "INSERT INTO delivery (owner, event, channel, number, state, due_at)"
                " SELECT :owner, event, channel, :number, 'waiting', :at FROM delivery"
                " WHERE owner = :owner AND pk = :pk ON CONFLICT DO NOTHING",
                number=delivery.number + 1,
                at=micros(at),
                pk=delivery.id,
            )
            return added.rowcount == 1

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
        changes: dict[str, Any] = {"state": state.value, "reason": reason and reason.model_dump_json()}
        if state is DeliveryState.SENDING:
            changes |= {"attempts": delivery.attempts + 1, "holder": holder, "claimed_at": micros(at)}
        elif not state.open:
            changes["done_at"] = micros(at)
        if due_at is not None:
            changes["due_at"] = micros(due_at)
        if doubtful is not None:
            changes["doubtful"] = int(doubtful)
        setting = ", ".join(f"{name} = :{name}" for name in changes)
        with self._writing():
            # The number of attempts only grows, so whoever claimed it meanwhile is noticed.
            moved = self._do(
                f"UPDATE delivery SET {setting} WHERE owner = :owner AND pk = :pk AND state = :was AND attempts = :had",
                **{"attempts": delivery.attempts, **changes},
                pk=delivery.id,
                was=delivery.state.value,
                had=delivery.attempts,
            )
            if moved.rowcount != 1:
                return None
            return _delivery(self._do(f"{_DELIVERIES} AND d.pk = :pk", pk=delivery.id).fetchone())

    # What exchanges publish

    def put_market_data(self, key: str, rows: str, fetched_at: datetime) -> None:
        with self._writing():
            self._do(
                "INSERT INTO market_data (owner, name, body, fetched_at) VALUES (:owner, :name, :body, :fetched_at)"
                " ON CONFLICT (owner, name) DO UPDATE SET body = excluded.body, fetched_at = excluded.fetched_at",
                name=key,
                body=rows,
                fetched_at=micros(fetched_at),
            )
            old = micros(fetched_at - MARKET_DATA_KEPT)
            self._do("DELETE FROM market_data WHERE owner = :owner AND fetched_at < :old", old=old)

    @sound
    def market_data(self, key: str) -> MarketData | None:
        with self._reading():
            query = "SELECT body, fetched_at FROM market_data WHERE owner = :owner AND name = :name"
            row = self._do(query, name=key).fetchone()
        return None if row is None else MarketData(row["body"], _time(row["fetched_at"]))

    # Candles

    def candle_chunks(self, series: str, first: int, last: int, at: datetime) -> list[tuple[int, bytes]]:
        with self._snapshot():
            rows = self._do(
                "SELECT c.number, c.body, s.used_at FROM candle_series s JOIN candle_chunk c ON c.series = s.pk"
                " WHERE s.owner = :owner AND s.name = :name AND c.number BETWEEN :first AND :last ORDER BY c.number",
                name=series,
                first=first,
                last=last,
            ).fetchall()
        if rows and rows[0]["used_at"] < micros(at - _USED_AGAIN):
            with self._writing():
                query = "UPDATE candle_series SET used_at = :at WHERE owner = :owner AND name = :name AND used_at < :at"
                self._do(query, name=series, at=micros(at))
        return [(row["number"], row["body"]) for row in rows]

    def put_candle_chunks(self, series: str, chunks: Mapping[int, bytes], at: datetime, most: int) -> None:
        with self._writing():
            (pk,) = self._do(
                "INSERT INTO candle_series (owner, name, used_at, bytes) VALUES (:owner, :name, :at, 0)"
                " ON CONFLICT (owner, name) DO UPDATE SET used_at = CASE WHEN candle_series.used_at < excluded.used_at"
                " THEN excluded.used_at ELSE candle_series.used_at END RETURNING pk",
                name=series,
                at=micros(at),
            ).fetchone()
            for number, body in chunks.items():
                self._do(
                    "INSERT INTO candle_chunk (owner, series, number, body) VALUES (:owner, :series, :number, :body)"
                    " ON CONFLICT (series, number) DO UPDATE SET body = excluded.body",
                    series=pk,
                    number=number,
                    body=body,
                )
            self._do(
                "UPDATE candle_series SET bytes ="
                " (SELECT coalesce(sum(length(body)), 0) FROM candle_chunk WHERE series = :pk)"
                " WHERE owner = :owner AND pk = :pk",
                pk=pk,
            )
            total = self._do("SELECT sum(bytes) FROM candle_series WHERE owner = :owner").fetchone()[0]
            others = "SELECT pk, bytes FROM candle_series WHERE owner = :owner AND pk <> :pk ORDER BY used_at, pk"
            for other, size in self._do(others, pk=pk).fetchall() if total > most else ():
                self._do("DELETE FROM candle_series WHERE owner = :owner AND pk = :other", other=other)
                total -= size
                if total <= most:
                    break

    # By which addresses exchanges see this computer

    def see_address(self, way: str, address: str, source: str, at: datetime) -> None:
        seen = {"way": way, "version": 6 if ":" in address else 4}
        of_kind = "owner = :owner AND way = :way AND version = :version"
        with self._writing():
            newest = self._do(
                f"SELECT pk, address FROM address WHERE {of_kind} ORDER BY pk DESC LIMIT 1", **seen
            ).fetchone()
            if newest is not None and newest["address"] == address:
                self._do(
                    "UPDATE address SET source = :source, last_at = CASE WHEN last_at < :at THEN :at ELSE last_at END"
                    " WHERE owner = :owner AND pk = :pk",
                    pk=newest["pk"],
                    source=source,
                    at=micros(at),
                )
                return
            self._insert("address", **seen, address=address, source=source, first_at=micros(at), last_at=micros(at))
            self._do(
                f"DELETE FROM address WHERE {of_kind} AND pk NOT IN"
                f" (SELECT pk FROM address WHERE {of_kind} ORDER BY pk DESC LIMIT :most)",
                **seen,
                most=ADDRESSES_KEPT,
            )

    @sound
    def sightings(self, way: str) -> list[Sighting]:
        with self._reading():
            rows = self._do(
                "SELECT * FROM address WHERE owner = :owner AND way = :way ORDER BY pk DESC", way=way
            ).fetchall()
        return [
            Sighting(
                way=way,
                address=row["address"],
                source=row["source"],
                first_at=_time(row["first_at"]),
                last_at=_time(row["last_at"]),
            )
            for row in rows
        ]

    # The audit trail and settings

    def audit(self, entry: AuditEntry) -> None:
        with self._writing():
            self._put_audit(entry)

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
        fitting, values = self._of_audit(actions, subjects, since, until)
        with self._reading():
            rows = self._rows(
                f"SELECT at, action, subject, detail {fitting} ORDER BY pk DESC LIMIT :limit OFFSET :offset",
                limit=_ALL if limit is None else limit,
                offset=offset,
                **values,
            )
        return [_audit_entry(row) for row in rows]

    def count_audit_entries(
        self,
        *,
        actions: Collection[str] | None = None,
        subjects: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        fitting, values = self._of_audit(actions, subjects, since, until)
        with self._reading():
            return self._do(f"SELECT count(*) {fitting}", **values).fetchone()[0]

    def _of_audit(
        self,
        actions: Collection[str] | None,
        subjects: Collection[str] | None,
        since: datetime | None,
        until: datetime | None,
    ) -> tuple[str, dict[str, Any]]:
        """Which lines of the trail fit filters that are given, and the values that this takes."""
        fitting, values = "FROM audit WHERE owner = :owner", dict[str, Any]()
        for column, among in (("action", actions), ("subject", subjects)):
            if among is not None:
                fitting += f" AND {column} IN (SELECT value FROM json_each(:{column}))"
                values[column] = self._list(among)
        for name, sign, at in (("since", ">=", since), ("until", "<", until)):
            if at is not None:
                fitting += f" AND at {sign} :{name}"
                values[name] = micros(at)
        return fitting, values

    @sound
    def setting(self, name: str, default: Any = None) -> Any:
        with self._reading():
            row = self._do("SELECT value FROM setting WHERE owner = :owner AND name = :name", name=name).fetchone()
        return default if row is None else json.loads(row["value"])

    @sound
    def settings(self, names: Collection[str]) -> dict[str, Any]:
        with self._reading():
            rows = self._do(
                "SELECT name, value FROM setting WHERE owner = :owner"
                " AND name IN (SELECT value FROM json_each(:names))",
                names=self._list(names),
            ).fetchall()
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def set_setting(self, name: str, value: Any) -> None:
        with self._writing():
            self._do(
                "INSERT INTO setting (owner, name, value) VALUES (:owner, :name, :value)"
                " ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value",
                name=name,
                value=_json(value),
            )


def insertion(table: str, values: Collection[str]) -> str:
    """A statement that adds a row with these columns and its owner."""
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    return f"INSERT INTO {table} (owner, {names}) VALUES (:owner, {marks})"


def _windows(windows: Sequence[tuple[int, int, int]]) -> str:
    return _json([list(window) for window in windows])


def pattern_facts(status: str, cause: str | None, body: str) -> PatternFacts:
    return PatternFacts(
        Status(status),
        Cause(cause) if cause else None,
        timed_checks(body),
        clock_place(body),
        repeats(body),
        is_set_aside(body),
    )
