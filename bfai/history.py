"""What many test runs say together: tables, the share of time online, the heartbeat strip, response-time bands.

Pure functions over the run rows of a store. They take rows in any order. Durations are milliseconds, times aware UTC.

Two rules hold everywhere. A run that failed because our own network was down (`local_network`) says nothing about the
exchange. And silence is not good news: what nobody tested is unknown, and is shown as a gap.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

from bfai.model import Cause, CheckName, Status
from bfai.store import RunRow

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - only for the name of its DataFrame

LONGEST_HOLD: Final = timedelta(hours=24)  # a result says nothing about the time after this
SILENCE_FACTOR: Final = 3.0  # a pause of more than so many usual ones is a gap

COLUMNS: Final = ("id", "connection_id", "started_at", "status", "cause", "duration_ms", "local_network")
_LATENCY_COLUMNS: Final = tuple(f"{name.value}_ms" for name in CheckName)


def failed(row: RunRow) -> bool:
    """Whether the exchange could not be used. `blocked` is no failure: the key works, and may do too much. Nor is a
    test from the wrong place (`set_aside`).
    """
    return row.status is Status.FAILED and not row.local_network and not row.set_aside


def _in_order(rows: Iterable[RunRow]) -> list[RunRow]:
    return sorted(rows, key=lambda row: row.started_at)


def _pandas() -> Any:
    """Imported only where a table is asked for: it takes a third of a second."""
    return importlib.import_module("pandas")


# Tables


def frame(rows: Iterable[RunRow]) -> pd.DataFrame:
    """One row a run, oldest first.

    Columns: `id`, `connection_id` (text), `started_at` (datetime64, UTC, microseconds), `status`, `cause` (text; cause
    is missing where there is none), `duration_ms` (float), `local_network` (bool), and for each check of a test its
    latency in milliseconds, `reach_ms`, `clock_ms` … (float, missing where no request belongs to it).
    """
    pd = _pandas()
    ordered = _in_order(rows)
    columns: dict[str, Any] = {
        "id": [row.id for row in ordered],
        "connection_id": [row.connection_id for row in ordered],
        "started_at": pd.to_datetime([row.started_at for row in ordered], utc=True).as_unit("us"),
        "status": [row.status.value for row in ordered],
        "cause": pd.Series([row.cause.value if row.cause else None for row in ordered], dtype="object"),
        "duration_ms": pd.Series([row.duration_ms for row in ordered], dtype="float64"),
        "local_network": pd.Series([row.local_network for row in ordered], dtype="bool"),
    }
    for name in CheckName:
        latencies = [row.latencies.get(name) for row in ordered]
        columns[f"{name.value}_ms"] = pd.Series(latencies, dtype="float64")
    return pd.DataFrame(columns)


def to_csv(rows: Iterable[RunRow]) -> str:
    """The same table as comma-separated text with a head line. Times are ISO 8601 UTC; what is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *_LATENCY_COLUMNS])
    for row in _in_order(rows):
        latencies = [row.latencies.get(name, "") for name in CheckName]
        cause = row.cause.value if row.cause else ""
        network = "true" if row.local_network else "false"
        started_at = iso(row.started_at)
        writer.writerow(
            [row.id, row.connection_id, started_at, row.status.value, cause, row.duration_ms, network, *latencies]
        )
    return out.getvalue()


def iso(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2026-11-21T09:00:00.000000Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# The share of time online


@dataclass(frozen=True, slots=True)
class Share:
    """`online` of the `known` time; the rest of the span is `unknown`."""

    online: timedelta
    known: timedelta
    unknown: timedelta

    @property
    def share(self) -> float | None:
        """From 0 to 1; None when nothing is known."""
        return self.online / self.known if self.known else None


def share_online(
    rows: Iterable[RunRow], now: datetime, *, since: datetime | None = None, longest_hold: timedelta = LONGEST_HOLD
) -> Share:
    """The share of *time* in which a connection was online or connected.

    A result holds until the next test, at most for `longest_hold`; the time after that is unknown, and so is the time
    from a `local_network` run to the next test. Nothing unknown is counted. A run that was set aside is left out: what
    the test from where the bot runs found goes on holding. The span reaches from `since`, or from the
    first run, to `now`; runs from before `since` may reach into it. Rows of several connections are counted each for
    itself, then added up.
    """
    none = timedelta()
    online = known = span = none
    by_connection = sorted(rows, key=lambda row: (row.connection_id, row.started_at))
    for _, group in groupby(by_connection, key=lambda row: row.connection_id):
        runs = [row for row in group if row.started_at < now and not row.set_aside]
        if not runs:
            continue
        start = runs[0].started_at if since is None else since
        span += max(now - start, none)
        ends = [*(row.started_at for row in runs[1:]), now]
        for run, end in zip(runs, ends, strict=True):
            if run.local_network:
                continue
            held = max(min(end, run.started_at + longest_hold) - max(run.started_at, start), none)
            known += held
            online += held if run.status.ok else none
    return Share(online, known, span - known)


# The heartbeat strip


@dataclass(frozen=True, slots=True)
class Beat:
    """One bar of the strip."""

    run_id: str
    started_at: datetime
    status: Status
    cause: Cause | None
    duration_ms: float

    @property
    def counts(self) -> bool:
        """Whether it says something about the exchange."""
        return self.cause is not Cause.LOCAL_NETWORK


def beats(rows: Iterable[RunRow], n: int = 40) -> list[Beat]:
    """The last `n` runs, oldest first; fewer where there are not as many."""
    last = _in_order(rows)[-n:] if n > 0 else []
    return [Beat(row.id, row.started_at, row.status, row.cause, row.duration_ms) for row in last]


# Response times


def usual_pause(rows: Iterable[RunRow]) -> timedelta | None:
    """The median time between two runs, None for fewer than two."""
    pauses = sorted(after.started_at - before.started_at for before, after in pairwise(_in_order(rows)))
    return pauses[len(pauses) // 2] if pauses else None


def latency_buckets(rows: Iterable[RunRow], check: str, *, buckets: int = 1000) -> pd.DataFrame:
    """Response times of one check in at most `buckets` equal stretches of time, for a chart that stays light.

    Columns: `t` (start of the stretch, datetime64 UTC), `lo` (5th percentile), `median`, `hi` (95th percentile; all
    three in milliseconds, missing where nothing was measured), `n` (runs that measured it), `failures` (runs in which
    the exchange could not be used, none left out). Percentiles are interpolated between neighbours.

    A stretch without a run has no row. Where no run was made for more than three usual pauses, and for longer than one
    stretch, a row without values (`n` and `failures` 0) breaks the line. Runs with `local_network` are left out, so
    that our own outages are gaps as well.
    """
    pd = _pandas()
    counted = [row for row in _in_order(rows) if not row.local_network]
    if not counted:
        return _bucket_frame([])
    start, width = counted[0].started_at, _width(counted, buckets)
    numbers = [(row.started_at - start) // width for row in counted]
    table = pd.DataFrame(
        {
            "bucket": numbers,
            "value": pd.Series([row.latencies.get(check) for row in counted], dtype="float64"),
            "failed": [failed(row) for row in counted],
        }
    )
    grouped = table.groupby("bucket")
    quantiles = grouped["value"].quantile([0.05, 0.5, 0.95]).unstack()
    counts, failures = grouped["value"].count(), grouped["failed"].sum()
    rows_out: list[tuple[Any, ...]] = [
        (start + width * int(number), *quantiles.loc[number], int(counts[number]), int(failures[number]))
        for number in quantiles.index
    ]
    return _bucket_frame(sorted([*rows_out, *_gaps(counted, numbers, start, width)]))


def _width(counted: Sequence[RunRow], buckets: int) -> timedelta:
    """Such that the last run falls into the last stretch. Whole microseconds, at least one."""
    span = counted[-1].started_at - counted[0].started_at
    return span // max(buckets, 1) + timedelta(microseconds=1)


def _gaps(
    counted: Sequence[RunRow], numbers: Sequence[int], start: datetime, width: timedelta
) -> list[tuple[Any, ...]]:
    """An empty row in each silence, at the start of the first whole stretch of it."""
    pause = usual_pause(counted) or timedelta()
    nothing = float("nan")
    return [
        (start + width * (number + 1), nothing, nothing, nothing, 0, 0)
        for (before, number), (after, next_number) in pairwise(zip(counted, numbers, strict=True))
        if after.started_at - before.started_at > pause * SILENCE_FACTOR and next_number > number + 1
    ]


def _bucket_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    pd = _pandas()
    columns: dict[str, Any] = {"t": pd.to_datetime([row[0] for row in rows], utc=True).as_unit("us")}
    for place, name in enumerate(("lo", "median", "hi"), start=1):
        columns[name] = pd.Series([row[place] for row in rows], dtype="float64")
    for place, name in enumerate(("n", "failures"), start=4):
        columns[name] = pd.Series([row[place] for row in rows], dtype="int64")
    return pd.DataFrame(columns)


def failures(rows: Iterable[RunRow]) -> pd.DataFrame:
    """Every run in which the exchange could not be used, as points: `t`, `cause` (text), `duration_ms`, `id`."""
    pd = _pandas()
    points = [row for row in _in_order(rows) if failed(row)]
    columns: dict[str, Any] = {
        "t": pd.to_datetime([row.started_at for row in points], utc=True).as_unit("us"),
        "cause": pd.Series([row.cause.value if row.cause else None for row in points], dtype="object"),
        "duration_ms": pd.Series([row.duration_ms for row in points], dtype="float64"),
        "id": pd.Series([row.id for row in points], dtype="object"),
    }
    return pd.DataFrame(columns)
