"""Figures from roll-ups against the slow and plain computation of the same, on random histories."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from history_oracle import Oracle, histories, neighbours, quantile, scopes, spans
from history_store import T0, Past, a_run, hours, past
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from test_kill import killed_while_working

from bfai.history import ALL, History
from bfai.model import CheckName, Connection, KeyReport, Target, TestRun, id_time, new_run_id
from bfai.store import RunExists, open_store
from bfai.store.packing import number_columns, pack_numbers, run_id, run_key, unpack_numbers
from bfai.store.rollups import RELATIVE_ERROR
from tests.postgres import Server

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
__all__ = ["past"]  # a fixture

# Many runs: what PostgreSQL does otherwise shows with fewer.
in_memory = pytest.mark.parametrize("past", ["memory"], indirect=True)

ZONES = ["UTC", "Europe/Zagreb", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_ALL = datetime(2020, 1, 1, tzinfo=UTC)

slowly = settings(
    deadline=None,
    max_examples=int(os.environ.get("BFAI_EXAMPLES", "30")),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Kept:
    """A history in a store, rolled up now and then while it was made; perhaps old runs were deleted as well."""

    def __init__(self, oracle: Oracle, data: st.DataObject, *, delete: bool, url: str = "sqlite://:memory:") -> None:
        self.oracle = oracle
        self.store = open_store(url)
        self.deleted = 0
        self.times_are_exact = True
        for link in oracle.connections:
            target = Target(exchange=link.exchange)
            made = Connection(
                id=link.id, name=link.id, target=target, key_hint="", created_at=BEFORE_ALL, key_since=BEFORE_ALL
            )
            self.store.add_connection(made, {}, link.id.encode())
        often = data.draw(st.sampled_from([5, 30, 1000]), label="rolled up after so many runs")
        limit = data.draw(st.sampled_from([1, 5, 1000]), label="so many runs at a time")
        for number, run in enumerate(oracle.runs, 1):
            self.notice_late(run.connection_id, run.started_at)
            self.store.add_run(oracle.test_run(run))
            if number % often == 0:
                self.maintain(run.started_at, limit, delete)
        self.maintain(oracle.now, limit, delete)
        exact = data.draw(st.sampled_from([5000, 0]), label="runs of which percentiles are exact")
        self.exact = exact > 0 and not self.deleted
        self.history = History(self.store, lambda: oracle.now, exact_runs=exact)

    def maintain(self, now: datetime, limit: int, delete: bool) -> None:
        while self.store.roll_up(now, limit):
            pass
        if delete:
            self.deleted += self.store.retain(now, timedelta(days=2), 3, limit=limit, pause=0)

    def notice_late(self, connection_id: str, started_at: datetime) -> None:
        """A run from before the time of which all runs are kept is counted, and no more than that."""
        (track,) = self.store.tracks([connection_id])
        if started_at < EPOCH + timedelta(microseconds=track.kept_from):
            self.times_are_exact = False

    def span(self, data: st.DataObject) -> tuple[datetime, datetime]:
        """Any range; whole hours where runs were deleted, because an hour is all that is known of them then."""
        since, until = data.draw(spans(self.oracle), label="range")
        if self.deleted:
            since, until = (at.replace(minute=0, second=0, microsecond=0) for at in (since, until))
        return since, until


def records(frame: Any) -> list[dict[str, Any]]:
    """A frame as the oracle writes it."""
    found: list[dict[str, Any]] = []
    for row in frame.astype(object).to_dict("records"):
        found.append({name: None if value is None or value != value else value for name, value in row.items()})
    return found


def about(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value


def same(found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> None:
    assert list(map(dict, found)) == [{name: about(value) for name, value in row.items()} for row in expected]


def close(found: float | None, values: Sequence[float], share: float, *, exact: bool) -> None:
    """A percentile as it must be, or as near as a histogram comes."""
    expected = quantile(values, share)
    if expected is None or found is None:
        assert found == expected
        return
    largest = max(map(abs, neighbours(values, share)))
    assert abs(found - expected) <= (1e-9 if exact else RELATIVE_ERROR * (1 + 1e-9)) * largest + (0 if exact else 0.001)


PERCENTILES = ("p50", "p95", "p99")


@pytest.mark.timeout(600)
@slowly
@given(st.data())
def test_figures_are_those_of_the_plain_computation(data: st.DataObject) -> None:
    kept = Kept(data.draw(histories()), data, delete=False)
    compare(kept, data)


@pytest.mark.timeout(600)
@slowly
@given(st.data())
def test_figures_stay_when_their_runs_are_deleted(data: st.DataObject) -> None:
    kept = Kept(data.draw(histories()), data, delete=True)
    compare(kept, data)


@pytest.mark.timeout(600)
@settings(slowly, max_examples=8)
@given(st.data())
def test_figures_are_the_same_from_postgresql(postgres: Server, data: st.DataObject) -> None:
    postgres.empty("shared")
    kept = Kept(data.draw(histories()), data, delete=data.draw(st.booleans()), url=postgres.url("shared"))
    try:
        compare(kept, data)
    finally:
        kept.store.close()


def compare(kept: Kept, data: st.DataObject) -> None:
    oracle, history = kept.oracle, kept.history
    scope: Any = data.draw(scopes(oracle), label="scope")
    since, until = kept.span(data)
    assert history.extent(scope) == oracle.extent(scope)
    compare_counts(kept, scope, since, until, data)
    if kept.times_are_exact:
        compare_times(kept, scope, since, until, data)
    compare_percentiles(kept, scope, since, until)
    compare_bands(kept, scope, since, until, data.draw(st.sampled_from([1, 2, 7, 40, 1000]), label="buckets"))
    compare_changes(kept, scope, since, until)


def compare_counts(kept: Kept, scope: Any, since: datetime, until: datetime, data: st.DataObject) -> None:
    oracle, history = kept.oracle, kept.history
    found, expected = history.summary(scope, since, until), oracle.summary(scope, since, until)
    assert (found.runs, found.failures) == (expected["runs"], expected["failures"])
    places = 1 if kept.deleted else data.draw(st.integers(1, 9), label="places")
    strip = records(history.timeline(scope, since, until, places))
    for row, plain in zip(strip, oracle.timeline(scope, since, until, places), strict=True):
        for name in ("t", "end", "runs", "worst"):
            assert row[name] == plain[name], name
    zone = "Europe/Zagreb" if kept.deleted else data.draw(st.sampled_from(ZONES), label="zone")
    same(records(history.causes(scope, since, until, zone)), oracle.causes(scope, since, until, zone))
    limit = data.draw(st.sampled_from([0, 1, 3, 2000]), label="failures")
    failures, plain = records(history.failures(scope, since, until, limit)), oracle.failures(scope, since, until, limit)
    if kept.deleted:
        there = {row.id for row in kept.store.runs()}
        all_of_them = oracle.failures(scope, since, until)
        plain = [row for row in all_of_them if row["id"] in there][-limit:] if limit else []
    assert sorted(failures, key=lambda row: row["id"]) == sorted(plain, key=lambda row: row["id"])
    assert [row["t"] for row in failures] == [row["t"] for row in plain]


def compare_times(kept: Kept, scope: Any, since: datetime, until: datetime, data: st.DataObject) -> None:
    oracle, history = kept.oracle, kept.history
    found, expected = history.summary(scope, since, until), oracle.summary(scope, since, until)
    for name in ("online", "known", "unknown", "own_network", "share"):
        assert getattr(found, name) == expected[name], name
    places = 1 if kept.deleted else data.draw(st.integers(1, 9), label="places")
    same(records(history.timeline(scope, since, until, places)), oracle.timeline(scope, since, until, places))
    zone = "America/New_York" if kept.deleted else data.draw(st.sampled_from(ZONES), label="zone")
    same(records(history.calendar(scope, since, until, zone)), oracle.calendar(scope, since, until, zone))
    ids = [link.id for link in oracle.connections][::-1]
    for row, plain in zip(records(history.compare(ids, since, until)), oracle.compare(ids, since, until), strict=True):
        for name in plain.keys() - set(PERCENTILES):
            assert row[name] == about(plain[name]), name
        values = measured_first(oracle, type(scope)(row["connection_id"]), since, until)
        for name in PERCENTILES:
            close(row[name], values, int(name[1:]) / 100, exact=kept.exact)


def measured_first(oracle: Oracle, scope: Any, since: datetime, until: datetime) -> list[float]:
    return oracle.measured(scope, "key", since, until) or oracle.measured(scope, "reach", since, until)


def compare_percentiles(kept: Kept, scope: Any, since: datetime, until: datetime) -> None:
    oracle, history = kept.oracle, kept.history
    found = records(history.percentiles(scope, since, until))
    expected = oracle.percentiles(scope, since, until)
    assert [(row["check"], row["n"]) for row in found] == [(row["check"], row["n"]) for row in expected]
    for row in found:
        values = oracle.measured(scope, row["check"], since, until)
        for name in PERCENTILES:
            close(row[name], values, int(name[1:]) / 100, exact=kept.exact)
    summary, values = history.summary(scope, since, until), measured_first(oracle, scope, since, until)
    for name in PERCENTILES:
        close(getattr(summary, name), values, int(name[1:]) / 100, exact=kept.exact)


def compare_bands(kept: Kept, scope: Any, since: datetime, until: datetime, buckets: int) -> None:
    assume(until - since >= timedelta(seconds=1))  # bands of a microsecond count runs of the next one
    oracle, history = kept.oracle, kept.history
    frame = history.latency(scope, "reach", since, until, buckets)
    found = records(frame)
    if kept.exact:
        same(found, oracle.latency(scope, "reach", since, until, buckets))
    assert len([row for row in found if row["n"] or row["failures"]]) <= buckets
    assert sum(row["n"] for row in found) == len(oracle.measured(scope, "reach", since, until))
    assert sum(row["failures"] for row in found) == oracle.failures_within(scope, since, until)
    for row, (first, last) in zip(found, stretches(frame, since, until, hours=not kept.exact), strict=True):
        values = oracle.measured(scope, "reach", first, last)
        assert (row["n"], row["failures"]) == (len(values), oracle.failures_within(scope, first, last))
        for name in ("p5", "p50", "p95"):
            close(row[name], values, int(name[1:]) / 100, exact=kept.exact)
    frame = history.clock(scope, since, until, buckets)
    for row, (first, last) in zip(records(frame), stretches(frame, since, until, hours=not kept.exact), strict=True):
        values = oracle.offsets(scope, first, last)
        for name in ("p5", "p50", "p95"):
            close(row[name], values, int(name[1:]) / 100, exact=kept.exact)


def stretches(frame: Any, since: datetime, until: datetime, *, hours: bool) -> list[tuple[datetime, datetime]]:
    """From when until when each row of bands is. In whole hours only the first may be cut, by the range."""
    width = timedelta(seconds=frame.attrs["stretch_s"])
    found: list[tuple[datetime, datetime]] = []
    for t in frame["t"]:
        first = t.to_pydatetime()
        end = first + width
        if hours and first == since:
            end = EPOCH + (first - EPOCH) // HOUR * HOUR + width
            later = [at.to_pydatetime() for at in frame["t"] if at.to_pydatetime() > first]
            if later:  # in whole days the first one ends where the grid of the others says
                end = later[0] - (later[0] - first) // width * width
                end = end if end > first else first + width
        found.append((max(first, since), min(end, until)))
    return found


def compare_changes(kept: Kept, scope: Any, since: datetime, until: datetime) -> None:
    oracle, history = kept.oracle, kept.history
    outages = records(history.outages(scope, since, until))
    plain = oracle.outages(scope, since, until)
    assert sorted(outages, key=lambda row: (row["began"], row["connection_id"])) == [
        {name: about(value) for name, value in row.items()}
        for row in sorted(plain, key=lambda row: (row["began"], row["connection_id"]))
    ]
    found, expected = history.summary(scope, since, until), oracle.summary(scope, since, until)
    assert (found.outages, found.longest_outage) == (expected["outages"], expected["longest_outage"])
    assert (found.time_to_recover is None) == (expected["time_to_recover"] is None)
    if found.time_to_recover is not None:
        assert abs(found.time_to_recover - expected["time_to_recover"]) <= timedelta(microseconds=1)
    drift = records(history.drift(scope, since, until))
    key = lambda row: (row["t"], row["run_id"])  # noqa: E731
    assert sorted(drift, key=key) == sorted(oracle.drift(scope, since, until), key=key)
    for row in records(history.expiry(scope, since, until)):
        at = row["t"].to_pydatetime()
        around = [oracle.days_left(row["connection_id"], at - SECOND / 1e6), oracle.days_left(row["connection_id"], at)]
        assert any(row["days_left"] == about(left) for left in around)


# The parts


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_a_bin_is_two_percent_around_its_middle_and_bins_sort_as_values_do(values: list[float]) -> None:
    import numpy as np

    from bfai.store.rollups import bins, middle

    numbers = bins(np.array(values))
    for value, near in zip(values, middle(numbers).tolist(), strict=True):
        assert abs(near - value) <= RELATIVE_ERROR * (1 + 1e-9) * abs(value) or (abs(value) < 0.001 and near == 0)
    order = np.argsort(values, kind="stable")
    assert (np.diff(numbers[order]) >= 0).all()


def test_every_status_cause_and_check_has_its_number_for_ever() -> None:
    from bfai.model import Cause, CheckName, Status
    from bfai.store.rollups import CAUSES, CHECKS, CLOCK_OFFSET, STATUSES, cause_of, code, status_of

    assert set(STATUSES) == set(Status)
    assert set(CAUSES) == {None, *Cause}
    assert set(CHECKS) == set(CheckName)
    assert len(CHECKS) <= CLOCK_OFFSET
    assert (STATUSES[3], CAUSES[16], CHECKS[2]) == (Status.FAILED, Cause.LOCAL_NETWORK, CheckName.KEY)
    for status in Status:
        for cause in (None, *Cause):
            assert (status_of(code(status, cause)), cause_of(code(status, cause))) == (status, cause)


# Roll-ups and retention, case by case


def days_of(past: Past, count: int, name: str = "a", per_day: int = 4, says: str = "online", **more: Any) -> None:
    """So many days of runs, evenly spread, that end at `past.now`."""
    first = (past.now - T0) / HOUR - 24 * count
    past.tests((first + 24 / per_day * number for number in range(count * per_day)), says, name, **more)


def tables(past: Past) -> list[list[Any]]:
    keys = [track.key for track in past.store.tracks()]
    return [table(keys, 0, 10**6) for table in (past.store.rolled, past.store.rolled_hours, past.store.rolled_days)]


def test_old_runs_go_and_their_figures_stay(past: Past) -> None:
    days_of(past, 400, reach=20.0)
    before = past.history.summary(), past.history.timeline(places=400)
    past.history.maintain(pause=0)
    assert past.store.count_runs() == 502, "five hundred, the first, and the one before them"
    assert past.history.summary().runs == 1600
    after = past.history.summary(), past.history.timeline(places=400)
    for name in ("online", "known", "unknown", "runs", "failures"):
        assert getattr(after[0], name) == getattr(before[0], name)
    assert after[0].p50 == pytest.approx(20.0, rel=RELATIVE_ERROR)
    assert list(after[1]["runs"]) == list(before[1]["runs"])
    assert past.history.extent() == (T0 + 1000 * HOUR - 400 * 24 * HOUR, T0 + 994 * HOUR)


@in_memory
def test_ninety_days_stay_whatever_their_number_and_the_time_is_a_setting(past: Past) -> None:
    days_of(past, 100, per_day=24)
    past.history.maintain(pause=0)
    assert past.history.keep == timedelta(days=90)
    kept = past.store.count_runs()
    assert 90 * 24 <= kept <= 91 * 24 + 2
    past.store.set_setting("keep_runs_days", 30)
    past.history.maintain(pause=0)
    assert 30 * 24 <= past.store.count_runs() <= 31 * 24 + 2
    assert past.history.summary().runs == 2400
    past.store.set_setting("keep_runs_days", 0)
    assert past.history.keep == timedelta(days=90)


@in_memory
def test_runs_that_changed_something_stay_for_ever(past: Past) -> None:
    past.test(-4800 * 2, "failed")
    failing = past.test(-4700 * 2, "network")  # no change of status, and no outage of theirs
    days_of(past, 300)
    report = KeyReport(label="old")
    changed = [past.test(-4600 * 2 + hour, report=report.model_copy(update={"label": str(hour)})) for hour in (0, 5)]
    past.history.maintain(pause=0)
    assert past.store.run(failing) is None
    outages = past.history.outages()
    assert list(outages["cause"]) == ["exchange_unavailable"]
    assert list(outages["began"]) == [T0 - 9600 * HOUR]
    assert not pd.isna(outages["ended"].iloc[0])
    assert all(past.store.run(run) is None for run in changed), "older than what set the status: no change"


def test_a_run_that_comes_late_is_rolled_up_again(past: Past) -> None:
    days_of(past, 3)
    past.history.maintain(pause=0)
    past.test(1000 - 30, "failed")
    assert past.history.summary().failures == 1
    found = past.history.timeline(ALL, hours(1000 - 31), hours(1000 - 25), 6)
    assert list(found["failed_s"]) == [0, 3600] + [0] * 4 or found["failed_s"].sum() > 0
    strip = past.history.timeline(ALL, hours(1000 - 30), hours(1000), 30)
    past.history.maintain(pause=0)
    assert past.history.timeline(ALL, hours(1000 - 30), hours(1000), 30).equals(strip)


@in_memory
def test_a_run_that_comes_too_late_is_counted_and_no_more(past: Past) -> None:
    days_of(past, 400, reach=20.0)
    past.history.maintain(pause=0)
    online = past.history.summary().online
    at = 1000 - 390 * 24 + 0.5
    past.test(at, "failed", reach=300.0)
    past.test(at + 0.1, "failed")
    past.test(1000 - 500 * 24, "key", reach=300.0)  # on a day of which nothing was known
    found = past.history.summary()
    assert (found.runs, found.failures, found.online) == (1603, 3, online)
    strip = past.history.timeline(ALL, hours(at - 0.5), hours(at + 0.5), 1)
    assert list(strip["runs"]) == [3]
    past.history.maintain(pause=0)
    past.history.maintain(pause=0)
    found = past.history.summary()
    assert (found.runs, found.failures, found.online) == (1603, 3, online)
    n = past.history.percentiles().set_index("check").loc["reach", "n"]
    assert n == 1602


@in_memory
def test_an_hour_whose_runs_are_gone_is_parted_in_proportion(past: Past) -> None:
    days_of(past, 400)
    past.history.maintain(pause=0)
    since = past.now - 380 * 24 * HOUR
    found = past.history.timeline(ALL, since + HOUR / 4, since + HOUR, 3)
    assert list(found["online_s"]) == [900, 900, 900]
    assert past.history.summary(ALL, since + HOUR / 4, since + HOUR / 2).online == HOUR / 4


def test_rolling_up_twice_changes_nothing(past: Past) -> None:
    days_of(past, 20, reach=20.0, clock_offset_ms=-3.0)
    past.history.maintain(pause=0)
    before = tables(past)
    assert all(before)
    past.history.maintain(pause=0)
    assert tables(past) == before
    assert not past.store.roll_up(past.now)


def test_nothing_is_rolled_up_of_an_hour_that_is_not_over() -> None:
    past = Past(now=hours(2.5))
    past.tests([0, 1, 2.1, 2.4])
    past.history.maintain(pause=0)
    (track,) = past.store.tracks()
    assert track.rolled_until == (hours(2) - EPOCH) // timedelta(microseconds=1)
    assert past.history.summary().online == 2.5 * HOUR


def test_a_clock_that_was_set_back_does_not_count_the_future() -> None:
    past = Past(now=hours(10))
    past.tests(range(10))
    past.history.maintain(pause=0)
    past.now = hours(4.5)
    found = past.history.summary(ALL, hours(0), hours(20))
    assert (found.online, found.unknown, found.runs) == (4.5 * HOUR, timedelta(), 10)


def test_an_empty_history_needs_no_maintenance(past: Past) -> None:
    past.history.maintain()
    past.connect()
    past.history.maintain()
    assert tables(past) == [[], [], []]


def test_a_deleted_connection_takes_its_roll_ups_along(past: Past) -> None:
    days_of(past, 3, reach=1.0)
    days_of(past, 3, name="b", reach=1.0)
    past.history.maintain(pause=0)
    rows = [len(table) for table in tables(past)]
    past.store.delete_connection("a")
    assert [2 * len(table) for table in tables(past)] == rows
    assert past.history.summary().runs == 12


def test_one_owner_never_sees_or_deletes_what_another_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    mine, yours = Past(open_store(url, owner="me")), Past(open_store(url, owner="you"))
    days_of(mine, 400)
    days_of(yours, 400)
    mine.history.maintain(pause=0)
    (key,) = (track.key for track in mine.store.tracks())
    assert mine.store.count_runs() < 1000
    assert yours.store.count_runs() == 1600
    assert yours.store.rolled([key], 0, 10**6) == []
    assert yours.store.readings([(key, 0, 2**62)]) == []
    assert yours.store.ends([key]) == {}
    assert yours.history.summary().runs == 1600
    mine.store.close()
    yours.store.close()


def test_a_run_is_kept_once(past: Past) -> None:
    past.connect()
    for name in (new_run_id(T0), "f" * 32, "a run of its own name"):
        run = a_run("a", T0, id=name)
        past.store.add_run(run)
        with pytest.raises(RunExists, match="kept already"):
            past.store.add_run(run)
        assert past.store.run(name) == run
        assert past.history.runs_frame()["id"].tolist().count(name) == 1
    assert past.store.run(new_run_id(T0)) is None


@given(st.integers(0, 2**53))
def test_an_id_tells_when_its_run_started(micros: int) -> None:
    at = EPOCH + timedelta(microseconds=micros)
    found = new_run_id(at)
    assert uuid.UUID(found).version == 7
    assert id_time(found) == micros
    assert run_id(run_key(found, micros), micros) == found
    assert len(run_key(found, micros)) == 8
    assert len(run_key(found, micros + 1)) == 16
    assert new_run_id(at) != found
    assert (found < new_run_id(at + timedelta(milliseconds=1))) is True


@given(
    st.lists(
        st.floats(allow_nan=False)
        | st.integers(-(2**60), 2**60).map(float)
        | st.integers(-(10**7), 10**7).map(lambda n: n / 1000)
    )
)
def test_numbers_come_back_as_they_were(numbers: list[float]) -> None:
    packed = pack_numbers(numbers)
    assert unpack_numbers(packed) == numbers
    assert unpack_numbers(packed, 2) == numbers[:2]
    if numbers:
        places = [0, len(numbers) - 1]
        assert number_columns([packed] * 3, places).tolist() == [[numbers[place] for place in places]] * 3


# Killed at any moment

KEEP, NEWEST = timedelta(days=3), 20


def run_number(number: int) -> TestRun:
    """Every tenth run comes a day late; a pure function, so that the history can be made again."""
    late = timedelta(days=1) if number % 10 == 9 else timedelta(0)
    says = ("online", "online", "failed", "network", "connected", "blocked")[number // 5 % 6]
    at = T0 + number * timedelta(minutes=40) - late
    return a_run("a", at, says, {CheckName.REACH: 10.0 + number % 7}, id=f"{number * 2:032x}")


def maintained(url: str, say: Callable[[str], object]) -> None:
    """Keep runs, roll them up and delete them, for ever; say which are kept."""
    store = open_store(url)
    say("began")
    past = Past(store)
    past.connect()
    number = max((int(row.id, 16) // 2 + 1 for row in store.runs("a", limit=100)), default=0)
    while True:
        for _ in range(15):
            store.add_run(run_number(number))
            say(f"run {number}")
            number += 1
        now = run_number(number).started_at
        while store.roll_up(now, 20):
            pass
        store.retain(now, KEEP, NEWEST, limit=7, pause=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kill_9_while_rolling_up_and_deleting_loses_and_doubles_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    open_store(url).close()
    sure, there, deleted = -1, 0, 0
    later = T0 + 100_000 * HOUR  # than the last run, however many a quick machine makes
    for _ in range(25):
        for line in killed_while_working(url, random.uniform(0.02, 0.4), maintained):
            word, *rest = line.split()
            assert word != "failed", line
            if word == "run":
                sure = int(rest[0])
        store = open_store(url)
        kept = {int(row.id, 16) // 2 for row in store.runs("a")}
        there = sure + 2 if sure + 1 in kept else sure + 1  # the last one may be there although nobody was told
        sure = there - 1
        found = Past(store, now=later).history.summary()
        assert found.runs == there
        deleted = there - len(kept)
        store.close()
    assert deleted > 0
    file, plain = Past(open_store(url), now=later), Past(now=later)
    plain.connect()
    for number in range(there):
        plain.store.add_run(run_number(number))
    file.history.maintain(pause=0)
    since, until = T0 - 30 * HOUR, run_number(there).started_at.replace(minute=0)
    places = (until - since) // HOUR
    assert file.history.timeline(ALL, since, until, places).equals(plain.history.timeline(ALL, since, until, places))
    assert file.history.outages().equals(plain.history.outages())
    assert file.history.percentiles()["n"].equals(plain.history.percentiles()["n"])
    file.store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "bfai.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
