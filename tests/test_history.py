"""What many runs say together, against slow and plain computations of the same."""

from __future__ import annotations

import csv
import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.history import (
    COLUMNS,
    LONGEST_HOLD,
    Share,
    beats,
    failed,
    failures,
    frame,
    latency_buckets,
    share_online,
    to_csv,
    usual_pause,
)
from bfai.model import Cause, CheckName, Status
from bfai.store import RunRow

T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
CAUSES = {Status.FAILED: [Cause.LOCAL_NETWORK, Cause.INVALID_KEY, Cause.EXCHANGE_UNAVAILABLE]}


def a_row(hours: float, status: Status = Status.ONLINE, cause: Cause | None = None, **more: Any) -> RunRow:
    values: dict[str, Any] = {"id": f"r{hours}", "connection_id": "c", "latencies": {}, "duration_ms": 10.0, **more}
    return RunRow(started_at=T0 + hours * HOUR, status=status, cause=cause, **values)


@st.composite
def rows(draw: st.DrawFn, size: int = 30) -> list[RunRow]:
    found: list[RunRow] = []
    for number in range(draw(st.integers(0, size))):
        status = draw(st.sampled_from([Status.ONLINE, Status.CONNECTED, Status.BLOCKED, Status.FAILED]))
        cause = draw(st.sampled_from(CAUSES.get(status, [None])))
        latency = draw(st.none() | st.integers(1, 10**6).map(lambda n: n / 1000))
        hours = draw(st.integers(0, 200 * 60)) / 60
        latencies = {} if latency is None else {"reach": latency}
        connection = draw(st.sampled_from(["a", "b"]))
        found.append(a_row(hours, status, cause, id=f"r{number}", latencies=latencies, connection_id=connection))
    return found


# The share of time online


def test_the_share_is_one_of_time_and_not_of_tests() -> None:
    few = [a_row(0), *(a_row(9 + n / 100, Status.FAILED, Cause.INVALID_KEY) for n in range(100))]
    assert share_online(few, T0 + 10 * HOUR).share == 0.9


def test_nothing_known_is_no_share() -> None:
    assert share_online([], T0).share is None
    assert share_online([a_row(0)], T0).share is None
    only = [a_row(0, Status.FAILED, Cause.LOCAL_NETWORK)]
    assert share_online(only, T0 + HOUR) == Share(timedelta(), timedelta(), HOUR)


def test_a_result_holds_for_a_day_at_most() -> None:
    assert share_online([a_row(0)], T0 + 100 * HOUR) == Share(24 * HOUR, 24 * HOUR, 76 * HOUR)
    assert share_online([a_row(0)], T0 + 100 * HOUR, longest_hold=HOUR).unknown == 99 * HOUR


def test_our_own_dead_network_is_neither_up_nor_down() -> None:
    mixed = [a_row(0), a_row(1, Status.FAILED, Cause.LOCAL_NETWORK), a_row(3, Status.BLOCKED)]
    assert share_online(mixed, T0 + 4 * HOUR) == Share(HOUR, 2 * HOUR, 2 * HOUR)


def test_a_span_may_begin_within_what_is_known() -> None:
    both = [a_row(0), a_row(10, Status.FAILED, Cause.INVALID_KEY)]
    assert share_online(both, T0 + 12 * HOUR, since=T0 + 8 * HOUR) == Share(2 * HOUR, 4 * HOUR, timedelta())


MINUTE = timedelta(minutes=1)


def plain_share(found: list[RunRow], until: int, since: int | None, hold: int) -> Share:
    """Minute by minute."""
    online = known = unknown = 0
    for connection in sorted({row.connection_id for row in found}):
        runs = [row for row in found if row.connection_id == connection and row.started_at < T0 + until * MINUTE]
        if not runs:
            continue
        start = since if since is not None else (min(row.started_at for row in runs) - T0) // MINUTE
        for minute in range(start, until):
            before = [row for row in runs if row.started_at <= T0 + minute * MINUTE]
            last = max(before, key=lambda row: row.started_at, default=None)
            if last is None or last.local_network or T0 + minute * MINUTE - last.started_at >= hold * MINUTE:
                unknown += 1
                continue
            known += 1
            online += last.status in (Status.ONLINE, Status.CONNECTED)
    return Share(online * MINUTE, known * MINUTE, unknown * MINUTE)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.sampled_from(["on", "off", "net"])),
        max_size=12,
        unique_by=lambda drawn: drawn[:2],
    ),
    st.integers(0, 350),
    st.none() | st.integers(0, 350),
    st.integers(1, 120),
)
def test_the_share_is_that_of_every_minute(
    drawn: list[tuple[str, int, str]], until: int, since: int | None, hold: int
) -> None:
    status = {"on": Status.CONNECTED, "off": Status.BLOCKED, "net": Status.FAILED}
    cause = {"net": Cause.LOCAL_NETWORK}
    found = [a_row(minute / 60, status[kind], cause.get(kind), connection_id=name) for name, minute, kind in drawn]
    found = [row._replace(started_at=T0 + minute * MINUTE) for row, (_, minute, _) in zip(found, drawn, strict=True)]
    start = None if since is None else T0 + since * MINUTE
    fast = share_online(found, T0 + until * MINUTE, since=start, longest_hold=hold * MINUTE)
    assert fast == plain_share(found, until, since, hold)
    assert LONGEST_HOLD == 24 * HOUR


# The strip


@settings(deadline=None)
@given(rows(), st.integers(0, 10))
def test_beats_are_the_last_runs_oldest_first(found: list[RunRow], n: int) -> None:
    strip = beats(found, n)
    assert len(strip) == min(n, len(found))
    assert strip == sorted(strip, key=lambda beat: beat.started_at)
    shown = {beat.run_id for beat in strip}
    earliest = min((beat.started_at for beat in strip), default=None)
    for row in found:
        if row.id not in shown and earliest is not None:
            assert row.started_at <= earliest
    assert all(beat.counts is (beat.cause is not Cause.LOCAL_NETWORK) for beat in strip)


# Tables


@settings(deadline=None)  # the first to ask for a table imports pandas
@given(rows())
def test_the_table_holds_every_run(found: list[RunRow]) -> None:
    table = frame(found)
    assert list(table.columns) == [*COLUMNS, *(f"{name.value}_ms" for name in CheckName)]
    assert str(table["started_at"].dtype) == "datetime64[us, UTC]"
    ordered = sorted(found, key=lambda row: row.started_at)
    assert list(table["id"]) == [row.id for row in ordered]
    assert [time.to_pydatetime() for time in table["started_at"]] == [row.started_at for row in ordered]
    assert list(table["local_network"]) == [row.local_network for row in ordered]
    for value, row in zip(table["reach_ms"], ordered, strict=True):
        assert value == row.latencies["reach"] if "reach" in row.latencies else math.isnan(value)


@settings(deadline=None)  # the first to ask for a table imports pandas
@given(rows())
def test_the_text_holds_every_run(found: list[RunRow]) -> None:
    read = list(csv.DictReader(to_csv(found).splitlines()))
    ordered = sorted(found, key=lambda row: row.started_at)
    assert [line["id"] for line in read] == [row.id for row in ordered]
    for line, row in zip(read, ordered, strict=True):
        assert line["started_at"].endswith("Z")
        assert datetime.fromisoformat(line["started_at"]) == row.started_at
        assert line["cause"] == (row.cause.value if row.cause else "")
        assert float(line["duration_ms"]) == row.duration_ms
        assert line["reach_ms"] == str(row.latencies.get("reach", ""))
        assert line["clock_ms"] == ""


def test_the_text_of_nothing_is_its_head() -> None:
    assert to_csv([]).count("\n") == 1
    assert to_csv([a_row(0)]).splitlines()[1].startswith("r0,c,2026-11-21T09:00:00.000000Z,online,,10.0,false,")


@settings(deadline=None)  # the first to ask for a table imports pandas
@given(rows())
def test_every_failure_is_a_point(found: list[RunRow]) -> None:
    points = failures(found)
    assert sorted(points["id"]) == sorted(row.id for row in found if failed(row))


# Response times


def quantile(values: list[float], share: float) -> float:
    """Between neighbours, in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


@settings(max_examples=150, deadline=None)
@given(rows(60), st.integers(1, 20))
def test_buckets_say_what_their_runs_say(found: list[RunRow], count: int) -> None:
    table = latency_buckets(found, "reach", buckets=count)
    counted = sorted((row for row in found if not row.local_network), key=lambda row: row.started_at)
    full = table[(table["n"] > 0) | (table["failures"] > 0) | table["t"].isin(_starts(counted, count))]
    assert table["n"].sum() == sum("reach" in row.latencies for row in counted)
    assert table["failures"].sum() == sum(map(failed, counted))
    assert table["t"].is_monotonic_increasing
    assert table["t"].is_unique
    starts = _starts(counted, count)
    assert len(set(starts)) <= count
    assert sorted(set(starts)) == [time.to_pydatetime() for time in full["t"]]
    for line in full.itertuples():
        mine = [row for row, start in zip(counted, starts, strict=True) if start == line.t]
        values = [row.latencies["reach"] for row in mine if "reach" in row.latencies]
        assert (line.n, line.failures) == (len(values), sum(map(failed, mine)))
        if not values:
            assert all(map(math.isnan, (line.lo, line.median, line.hi)))
            continue
        assert line.median == pytest.approx(statistics.median(values))
        assert line.lo == pytest.approx(quantile(values, 0.05))
        assert line.hi == pytest.approx(quantile(values, 0.95))


def _starts(counted: list[RunRow], count: int) -> list[datetime]:
    if not counted:
        return []
    first, width = counted[0].started_at, (counted[-1].started_at - counted[0].started_at) // count
    width += timedelta(microseconds=1)
    return [first + width * int((row.started_at - first) / width) for row in counted]


def test_silence_breaks_the_line() -> None:
    found = [a_row(n / 10, latencies={"reach": 20.0}) for n in range(50)]
    found += [a_row(20 + n / 10, latencies={"reach": 30.0}) for n in range(50)]
    table = latency_buckets(found, "reach", buckets=250)
    gaps = table[table["n"] == 0]
    assert len(gaps) == 1
    assert gaps["median"].isna().all()
    assert T0 + 4.9 * HOUR < gaps["t"].iloc[0] < T0 + 20 * HOUR
    steady = latency_buckets(found[:50], "reach", buckets=1000)
    assert (steady["n"] > 0).all()


def test_an_outage_of_ours_is_silence() -> None:
    found = [a_row(n / 10, latencies={"reach": 20.0}) for n in range(100)]
    found = [
        row._replace(status=Status.FAILED, cause=Cause.LOCAL_NETWORK, latencies={}) if 30 < number < 60 else row
        for number, row in enumerate(found)
    ]
    table = latency_buckets(found, "reach", buckets=100)
    assert (table["n"] == 0).sum() == 1
    assert table["failures"].sum() == 0


def test_many_runs_become_few_buckets_quickly() -> None:
    found = [
        a_row(n / 60, Status.FAILED if n % 997 == 0 else Status.ONLINE, latencies={"reach": 20 + n % 13})
        for n in range(50_000)
    ]
    table = latency_buckets(found, "reach")
    assert 900 < len(table) <= 1000
    assert table["failures"].sum() == len(range(0, 50_000, 997))


def test_nothing_makes_an_empty_table_with_its_columns() -> None:
    table = latency_buckets([], "reach")
    assert list(table.columns) == ["t", "lo", "median", "hi", "n", "failures"]
    assert table.empty
    assert frame([]).empty
    assert failures([]).empty
    assert usual_pause([a_row(0)]) is None
