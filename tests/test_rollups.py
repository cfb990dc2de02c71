"""Figures from roll-ups against the slow and plain computation of the same, on random histories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from history_oracle import Oracle, histories, neighbours, quantile, scopes, spans
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bfai.history import History
from bfai.model import Connection, Target
from bfai.store import Store, open_store
from bfai.store.rollups import RELATIVE_ERROR

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
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

    def __init__(self, oracle: Oracle, data: st.DataObject, *, delete: bool) -> None:
        self.oracle = oracle
        self.store = open_store("sqlite://:memory:")
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


@slowly
@given(st.data())
def test_figures_are_those_of_the_plain_computation(data: st.DataObject) -> None:
    kept = Kept(data.draw(histories()), data, delete=False)
    compare(kept, data)


@slowly
@given(st.data())
def test_figures_stay_when_their_runs_are_deleted(data: st.DataObject) -> None:
    kept = Kept(data.draw(histories()), data, delete=True)
    compare(kept, data)


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
        assert abs(near - value) <= RELATIVE_ERROR * (1 + 1e-9) * abs(value) or abs(value) < 0.001 == (near == 0)
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


def whole(store: Store) -> list[Any]:
    keys = [track.key for track in store.tracks()]
    return [store.rolled(keys, 0, 10**6), store.rolled_hours(keys, 0, 10**6), store.rolled_days(keys, 0, 10**6)]
