"""Everything of one owner, from one place to another, as it is: what is sealed stays sealed; or gone.

Between databases of either kind, and from a backup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, Final, NamedTuple, Protocol

from bfai.i18n import N_
from bfai.model import Message
from bfai.store import VISITS, Store, StoreError
from bfai.store.sql import SqlStore

_BATCH = 2000


class Table(NamedTuple):
    """`order` is what tells its rows apart, and `points` which columns hold numbers of rows of which table."""

    name: str
    order: str
    points: Mapping[str, str] = {}


_OF = {"connection": "connection"}
TABLES: Final = (
    Table("vault", "id"),
    Table("wrap", "kind"),
    Table("setting", "name"),
    Table("connection", "pk", {"report": "key_report"}),
    Table("secret", "connection, field", _OF),
    Table("key_report", "pk", _OF),
    Table("pattern", "pk", _OF),
    Table("run", "connection, started_at, seq", {**_OF, "pattern": "pattern", "report": "key_report"}),
    Table("rollup", "connection, day", _OF),
    Table("rollup_hours", "connection, metric, day", _OF),
    Table("rollup_day", "connection, day", _OF),
    Table("schedule", "connection", _OF),
    Table("pause", "place"),
    Table("strategy", "pk", _OF),
    Table("revision", "strategy, number", {"strategy": "strategy"}),
    Table("event", "pk", _OF),
    Table("channel", "pk"),
    Table("delivery", "pk", {"event": "event", "channel": "channel"}),
    Table("market_data", "name"),
    Table("candle_series", "pk"),
    Table("candle_chunk", "series, number", {"series": "candle_series"}),
    Table("address", "pk"),
    Table("audit", "pk"),
)
"""All that belong to an owner, each after those that its rows cannot be without.

Delegations are not among them: they are sealed to a worker of one database, and one that was taken back must not return
with a backup from before. They go with the connections that are replaced.
"""
CANDLES: Final = frozenset({"candle_series", "candle_chunk"})
"""What was fetched from exchanges and can be fetched again."""
POINTED_AT: Final = frozenset(table for one in TABLES for table in one.points.values())
"""The tables whose rows others point at, by their number `pk`."""


class Rows(Protocol):
    """Where rows come from. They are asked for table by table in the order of `TABLES`, several times over."""

    def columns(self, table: str) -> list[str]: ...

    def all_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[tuple[Any, ...]]: ...


class MoveRefused(StoreError):
    """Nothing was moved."""


class TargetUsed(MoveRefused):
    """The target holds something of its owner."""


def move(source: Store, target: Store) -> int:
    """Put everything of the source's owner into the target, for the target's owner. How many rows.

    In one transaction there, and compared row by row before it ends. Nobody changes the source meanwhile, and it stays
    as it is. Raises `MoveRefused` where the target holds more of its owner than settings and a trail, and `StoreError`.
    """
    if not isinstance(source, SqlStore) or not isinstance(target, SqlStore):
        raise TypeError("only what speaks SQL can be moved")
    _refuse_used(target, TABLES)  # also where both are the same: they would wait for each other
    with source.together(), target.together():
        count = put(source, target)
        _carry_log_outs(source, target)
    return count


def erase(store: Store) -> None:
    """Delete everything of the store's owner, the trail too, in one transaction, but for the mark of the log-outs. The
    store can be used afterwards.
    """
    if not isinstance(store, SqlStore):
        raise TypeError("only what speaks SQL can be erased")
    with store.together():
        for table in (TABLES[0], *reversed(TABLES)):  # the trail lasts as long as the vault
            store.remove_rows(table.name)
    store.forget_all()


def put(source: Rows, target: SqlStore, *, replace: bool = False, tables: Sequence[Table] = TABLES) -> int:
    """Put everything of the source into the target, for its owner, in one transaction, and compare it row by row before
    that ends. How many rows.

    With `replace` what the owner has there goes first. Two things stay in any case: the mark of the log-outs, which is
    not taken from the source, and the audit trail, to which is added what it does not have yet. Raises `MoveRefused`,
    and `TargetUsed` without `replace` where there is more than settings and a trail, as before there is a vault.
    """
    with target.together():
        if replace:
            target.clear([table.name for table in reversed(tables) if table.name != "audit"])
        else:
            _refuse_used(target, tables)
            target.remove_rows("setting")
        adds = replace or _holds(target, "audit")
        for table in tables:
            if set(_columns(source, table)) != set(_columns(target, table)):
                raise _differs(table)
        numbers: dict[str, dict[int, int]] = {name: {} for name in POINTED_AT}
        for table in tables:
            if adds and table.name == "audit":
                _add_missing(source, target, table)
            else:
                _copy(source, target, table, numbers)
        if any(table.name == "key_report" for table in tables):
            _point_at_reports(source, target, numbers)
        compared = (
            _all_there(source, target, table)
            if adds and table.name == "audit"
            else _compare(source, target, table, numbers)
            for table in tables
        )
        return sum(compared)


def _refuse_used(target: SqlStore, tables: Sequence[Table]) -> None:
    with target.together():
        for table in tables:
            if table.name not in ("setting", "audit") and _holds(target, table.name):
                text = N_(
                    "The other database already holds a vault, or other data of this owner. Nothing is moved. Choose an"
                    " empty one."
                )
                raise TargetUsed(Message(text=text))


def _holds(target: SqlStore, table: str) -> bool:
    return next(target.all_rows(table, ["owner"], "owner"), None) is not None


def _carry_log_outs(source: SqlStore, target: SqlStore) -> None:
    """Whoever was logged out in one of the two stays logged out."""
    marks: list[dict[str, float]] = [store.setting(VISITS, {}) for store in (source, target)]
    newest, ended = (max(mark.get(name, 0.0) for mark in marks) for name in ("newest", "ended"))
    if newest:
        target.set_setting(VISITS, {"newest": newest, "ended": ended})


def carried(source: Rows, table: Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows, without the mark of the log-outs: it is true of one database, at one time."""
    rows = source.all_rows(table.name, columns, table.order)
    if table.name != "setting":
        return rows
    name = columns.index("name")
    return (row for row in rows if row[name] != VISITS)


def _columns(source: Rows, table: Table) -> list[str]:
    """Those that are copied: numbers of rows and of owners are the database's own."""
    return [name for name in source.columns(table.name) if name not in ("pk", "owner")]


def _add_missing(source: Rows, target: SqlStore, table: Table) -> None:
    columns = _columns(source, table)
    there = Counter(target.all_rows(table.name, columns, table.order))
    for row in source.all_rows(table.name, columns, table.order):
        if there[row] > 0:
            there[row] -= 1
        else:
            target.put_rows(table.name, [dict(zip(columns, row, strict=True))])


def _all_there(source: Rows, target: SqlStore, table: Table) -> int:
    """How many rows the source has; raises where one of them is not in the target."""
    columns = _columns(source, table)
    sent = Counter(source.all_rows(table.name, columns, table.order))
    if sent - Counter(target.all_rows(table.name, columns, table.order)):
        raise _differs(table)
    return sent.total()


def _copy(source: Rows, target: SqlStore, table: Table, numbers: dict[str, dict[int, int]]) -> None:
    if table.name == "schedule":  # those that every new connection has
        target.remove_rows(table.name)
    columns = _columns(source, table)
    if table.name in POINTED_AT:
        for number, *values in source.all_rows(table.name, ["pk", *columns], table.order):
            row = _pointing(table, dict(zip(columns, values, strict=True)), numbers)
            numbers[table.name][number] = target.put_row(table.name, row)
        return
    rows = (
        _pointing(table, dict(zip(columns, values, strict=True)), numbers) for values in carried(source, table, columns)
    )
    while batch := list(islice(rows, _BATCH)):
        target.put_rows(table.name, batch)


def _pointing(table: Table, row: dict[str, Any], numbers: dict[str, dict[int, int]]) -> dict[str, Any]:
    """The row with the numbers that other rows have in the target; none where those are not there yet."""
    for column, other in table.points.items():
        row[column] = numbers[other].get(row[column])
    return row


def _point_at_reports(source: Rows, target: SqlStore, numbers: dict[str, dict[int, int]]) -> None:
    """A connection and its last key report point at each other."""
    for number, report in source.all_rows("connection", ["pk", "report"], "pk"):
        if report is not None:
            target.point_at_report(numbers["connection"][number], numbers["key_report"].get(report))


def _compare(source: Rows, target: SqlStore, table: Table, numbers: dict[str, dict[int, int]]) -> int:
    """How many rows the table has in both; raises where one is not the other."""
    columns, count = _columns(source, table), 0
    sent: Iterator[Any] = carried(source, table, columns)
    arrived: Iterator[Any] = carried(target, table, columns)
    for one, other in zip_longest(sent, arrived):
        if one is None or other is None:
            raise _differs(table)
        if _pointing(table, dict(zip(columns, one, strict=True)), numbers) != dict(zip(columns, other, strict=True)):
            raise _differs(table)
        count += 1
    return count


def _differs(table: Table) -> MoveRefused:
    text = N_("What arrived is not what was sent, in {table}. Nothing is moved. Try again, or choose another database.")
    return MoveRefused(Message(text=text, params={"table": table.name}))
