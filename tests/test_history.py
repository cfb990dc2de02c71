"""What many runs say together, on small histories worked out by hand."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from history_store import HOUR, T0, Past, a_run, hours, past

from bfai.history import ALL, RUN_COLUMNS, Scope, failed
from bfai.model import (
    Cause,
    CheckName,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Permission,
    Status,
)

__all__ = ["past"]  # a fixture

A = Scope("a")


def summary(past: Past, since: float, until: float, scope: Scope = ALL) -> Any:
    return past.history.summary(scope, hours(since), hours(until))


# The share of time online


def test_the_share_is_one_of_time_and_not_of_tests(past: Past) -> None:
    past.test(0)
    past.tests((9 + n / 100 for n in range(100)), "key")
    found = summary(past, 0, 10)
    assert (found.share, found.runs, found.failures) == (0.9, 101, 100)


def test_nothing_known_is_no_share(past: Past) -> None:
    assert summary(past, 0, 1).share is None
    past.connect()
    assert summary(past, 0, 1).unknown == timedelta()
    past.test(0, "network")
    found = summary(past, 0, 1)
    assert (found.share, found.known, found.unknown, found.own_network) == (None, timedelta(), HOUR, HOUR)


def test_a_result_holds_for_a_day_at_most(past: Past) -> None:
    past.test(0)
    found = summary(past, 0, 100)
    assert (found.online, found.known, found.unknown) == (24 * HOUR, 24 * HOUR, 76 * HOUR)


def test_our_own_dead_network_is_neither_up_nor_down(past: Past) -> None:
    past.test(0)
    past.test(1, "network")
    past.test(3, "blocked")
    found = summary(past, 0, 4)
    assert (found.online, found.known, found.unknown, found.own_network) == (HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR)
    assert (found.runs, found.failures, found.outages) == (3, 0, 0)


def test_a_range_may_begin_within_what_is_known(past: Past) -> None:
    past.test(0)
    past.test(10, "key")
    found = summary(past, 8, 12)
    assert (found.online, found.known, found.unknown) == (2 * HOUR, 4 * HOUR, timedelta())


def test_what_comes_after_now_is_not_counted() -> None:
    past = Past(now=hours(2))
    past.test(0)
    past.test(3)  # the clock was set back after it
    found = summary(past, 0, 10)
    assert (found.online, found.unknown) == (2 * HOUR, timedelta())


def test_connections_are_added_up_and_scopes_part_them(past: Past) -> None:
    past.connect("b", "okx")
    past.test(0)
    past.test(0, "key", name="b")
    past.test(1, name="b")
    assert summary(past, 0, 2).share == 0.75
    assert summary(past, 0, 2, A).share == 1.0
    assert summary(past, 0, 2, Scope(exchange="okx")).share == 0.5
    assert summary(past, 0, 2, Scope("nobody")).runs == 0
    side = past.history.compare(["b", "nobody", "a"], hours(0), hours(2))
    assert list(side["connection_id"]) == ["b", "a"]
    assert list(side["share"]) == [0.5, 1.0]
    assert list(side["known_s"]) == [7200.0, 7200.0]
    assert list(side["runs"]) == [2, 1]
    assert list(side["failures"]) == [1, 0]
    assert list(side["outages"]) == [1, 0]


# The strip


def test_the_worst_of_a_stretch_stands_for_it() -> None:
    past = Past(now=hours(6))
    past.tests([0, 0.1])
    past.test(0.2, "connected")
    past.test(1.5, "key")
    past.test(1.6)
    past.test(2.5, "network")
    past.test(4.5, "blocked")
    past.test(4.6, "failed")
    strip = past.history.timeline(A, hours(0), hours(6), 6)
    assert list(strip["worst"]) == ["connected", "failed", "own_network", "no_test", "blocked", "no_test"]
    assert list(strip["runs"]) == [3, 2, 1, 0, 2, 0]
    assert list(strip["online_s"]) == [3600, 3240, 1800, 0, 0, 0]
    assert list(strip["failed_s"]) == [0, 360, 0, 0, 1440, 3600]
    assert list(strip["blocked_s"]) == [0, 0, 0, 0, 360, 0]
    assert list(strip["own_network_s"]) == [0, 0, 1800, 3600, 1800, 0]
    assert list(strip["unknown_s"]) == [0, 0, 1800, 3600, 1800, 0]
    assert strip["t"].iloc[0] == T0
    assert list(strip["t"][1:]) == list(strip["end"][:-1])


# Days


def test_days_are_the_viewers_and_have_23_or_25_hours() -> None:
    past = Past(now=datetime(2026, 12, 1, tzinfo=UTC))
    began = (datetime(2026, 10, 24, tzinfo=UTC) - T0) / HOUR
    past.tests(began + n for n in range(80))
    zone = ZoneInfo("Europe/Amsterdam")
    days = past.history.calendar(A, datetime(2026, 10, 25, tzinfo=zone), datetime(2026, 10, 26, tzinfo=zone), zone)
    assert list(days["day"]) == [date(2026, 10, 25)]
    assert list(days["known_s"]) == [25 * 3600]
    assert list(days["share"]) == [1.0]
    in_india = past.history.calendar(A, hours(began), hours(began + 24), ZoneInfo("Asia/Kolkata"))
    assert list(in_india["known_s"]) == [18.5 * 3600, 5.5 * 3600]


def test_causes_by_day(past: Past) -> None:
    past.tests([0, 1], "key")
    past.test(2, "failed")
    past.test(3, "network")
    past.test(4, "blocked")
    past.test(16, "key")
    found = past.history.causes(A, hours(0), hours(24), ZoneInfo("Europe/Zagreb"))
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        (date(2026, 11, 21), "exchange_unavailable", 1),
        (date(2026, 11, 21), "invalid_key", 2),
        (date(2026, 11, 22), "invalid_key", 1),
    ]


# Outages


def test_an_outage_lasts_from_the_first_failed_run_to_the_first_that_did_not_fail() -> None:
    past = Past(now=hours(30))
    past.test(0)
    past.test(1, "failed")
    past.test(2, "key")
    past.test(3, "network")
    past.test(4, "blocked")
    past.tests([5, 6], "network")
    past.test(7)
    past.test(20, "key")
    found = past.history.outages(A, hours(0), hours(30))
    assert list(found["began"]) == [hours(1), hours(20)]
    assert found["ended"].iloc[0] == hours(4)
    assert pd.isna(found["ended"].iloc[1])
    assert list(found["seconds"]) == [3 * 3600, 10 * 3600]
    assert list(found["cause"]) == ["exchange_unavailable", "invalid_key"]
    said = summary(past, 0, 30)
    assert (said.outages, said.longest_outage, said.time_to_recover) == (2, 10 * HOUR, 3 * HOUR)
    assert len(past.history.outages(A, hours(2), hours(3))) == 1
    assert len(past.history.outages(A, hours(4), hours(20))) == 0


# Response times


def test_percentiles_lie_between_neighbours(past: Past) -> None:
    for n in range(5):
        past.test(n, reach=float(10 * n))
    past.test(5, key=7.0)
    past.test(6, "network", reach=9999.0)
    past.test(7, "connected", reach=9999.0, answered_at=hours(0))
    found = past.history.percentiles(A, hours(0), hours(10)).set_index("check")
    assert found.loc["reach"].to_dict() == {"n": 5, "p50": 20.0, "p95": 38.0, "p99": pytest.approx(39.6)}
    said = summary(past, 0, 10)
    assert (said.p50, said.p95) == (7.0, 7.0)
    assert summary(past, 0, 4).p50 == 15.0


def test_bands_of_response_times(past: Past) -> None:
    for n in range(11):
        past.test(n / 10, reach=float(n))
    past.test(1.1, "key", reach=5.0)
    found = past.history.latency(A, "reach", hours(0), hours(2), 1)
    (row,) = found.to_dict("records")
    assert row == {"t": T0, "p5": 0.55, "p50": 5.0, "p95": pytest.approx(9.45), "n": 12, "failures": 1}


def test_silence_breaks_the_line(past: Past) -> None:
    past.tests((n / 10 for n in range(50)), reach=20.0)
    past.tests((20 + n / 10 for n in range(50)), reach=30.0)
    table = past.history.latency(A, "reach", hours(0), hours(30), 250)
    gaps = table[table["n"] == 0]
    assert len(gaps) == 1
    assert gaps["p50"].isna().all()
    assert hours(4.9) < gaps["t"].iloc[0] < hours(20)
    assert (past.history.latency(A, "reach", hours(0), hours(10))["n"] > 0).all()


def test_an_outage_of_ours_is_silence(past: Past) -> None:
    for number in range(100):
        dead = 30 < number < 60
        measured: dict[str, Any] = {} if dead else {"reach": 20.0}
        past.test(number / 10, "network" if dead else "online", **measured)
    table = past.history.latency(A, CheckName.REACH, hours(0), hours(20), 100)
    assert (table["n"] == 0).sum() == 1
    assert table["failures"].sum() == 0


def test_the_clock_has_a_sign(past: Past) -> None:
    for n, offset in enumerate((-100.0, 0.0, 50.0)):
        past.test(n, clock_offset_ms=offset)
    past.test(3)
    found = past.history.clock(A, hours(0), hours(10), 1)
    assert list(found.columns) == ["t", "p5", "p50", "p95"]
    assert found.iloc[0]["p5"] == -90.0
    assert found.iloc[0]["p50"] == 0.0


# Keys


def a_report(withdraw: GrantState = GrantState.DENIED, addresses: tuple[str, ...] = (), **more: Any) -> KeyReport:
    grants = {Permission.WITHDRAW: Grant(state=withdraw, evidence=Evidence.DECLARED)}
    bound = IpRestriction(state=GrantState.GRANTED if addresses else GrantState.DENIED, addresses=addresses)
    return KeyReport(grants=grants, ip_restriction=bound, **more)


def test_drift_tells_what_appeared_and_when(past: Past) -> None:
    past.test(0, report=a_report(addresses=("203.0.113.7",)))
    past.test(1, report=a_report(addresses=("203.0.113.7",)))
    past.test(2, "failed")
    run = past.test(3, "blocked", report=a_report(GrantState.GRANTED, ("203.0.113.7", "203.0.113.8")))
    past.test(4, report=a_report(), name="b")
    found = past.history.drift(A, hours(0.5), hours(10))
    assert list(found["t"]) == [hours(3)] * 2
    assert set(found["run_id"]) == {run}
    assert [tuple(row) for row in found[["kind", "what", "worse"]].itertuples(index=False)] == [
        ("right", "withdraw", True),
        ("address", "203.0.113.8", True),
    ]
    assert [message.text for message in found["text"]][1] == "{what} was added to the key's addresses."
    assert len(past.history.drift(ALL, hours(0), hours(10))) == 2
    assert past.history.drift(A, hours(3.5), hours(10)).empty


def test_days_left_fall_by_one_a_day_and_jump_with_a_new_end() -> None:
    past = Past(now=hours(96))
    past.test(0, report=a_report(expires_at=hours(240)))
    past.test(48, report=a_report(expires_at=hours(480)))
    found = past.history.expiry(A, hours(24), hours(72))
    assert list(found["t"]) == [hours(24), hours(48), hours(48), hours(72)]
    assert list(found["days_left"]) == [9.0, 8.0, 18.0, 17.0]
    assert past.history.expiry(Scope("nobody")).empty


# Tables and exports


def some() -> Past:
    past = Past()
    past.test(0, reach=41.2, key=99.125)
    past.test(1, "failed", id="text " * 8)
    past.test(2, "network")
    past.test(0.5, "blocked", name="b")
    return past


def test_the_frame_holds_every_run() -> None:
    past = some()
    table = past.history.runs_frame()
    assert list(table.columns) == [*RUN_COLUMNS, *(f"{name.value}_ms" for name in CheckName)]
    assert str(table["started_at"].dtype) == "datetime64[us, UTC]"
    assert {str(table[name].dtype) for name in ("id", "connection_id", "status", "cause")} == {"str"}
    assert list(table["started_at"]) == [hours(0), hours(0.5), hours(1), hours(2)]
    assert list(table["local_network"]) == [False, False, False, True]
    assert table["key_ms"].iloc[0] == 99.125
    assert math.isnan(table["key_ms"].iloc[1])
    assert len(past.history.runs_frame(A, hours(0.1), hours(2))) == 1


def test_the_exports_say_the_same_as_the_frame() -> None:
    past = some()
    table = past.history.runs_frame()
    assert pd.read_parquet(io.BytesIO(past.history.to_parquet())).equals(table)
    lines = list(csv.DictReader(past.history.to_csv().splitlines()))
    runs = json.loads(past.history.to_json())["runs"]
    for line, run, row in zip(lines, runs, table.itertuples(), strict=True):
        assert line["id"] == run["id"] == row.id
        assert line["started_at"] == run["started_at"]
        assert datetime.fromisoformat(line["started_at"]) == row.started_at
        assert line["cause"] == (run["cause"] or "")
        assert line["local_network"] == str(row.local_network).lower()
        assert run["latencies_ms"] == {
            name.value: float(line[f"{name.value}_ms"]) for name in CheckName if line[f"{name.value}_ms"]
        }
    zone = ZoneInfo("Asia/Kathmandu")
    local = list(csv.DictReader(past.history.to_csv(zone=zone).splitlines()))
    assert local[0]["local_time"] == table["started_at"][0].tz_convert(zone).strftime("%Y-%m-%d %H:%M:%S+05:45")
    assert [{**line, "local_time": there["local_time"]} for line, there in zip(lines, local, strict=True)] == local
    told = json.loads(past.history.to_json(zone=zone))["runs"]
    assert [run["local_time"] for run in told] == [line["local_time"] for line in local]
    assert past.history.to_csv(A, statuses=[Status.FAILED]).count("\n") == 3
    assert past.history.to_csv(Scope("nobody")).count("\n") == 1


def test_every_failure_is_a_point() -> None:
    past = some()
    points = past.history.failures()
    assert list(points["cause"]) == ["exchange_unavailable"]
    past.tests([5, 6, 7], "key")
    assert list(past.history.failures(limit=2)["t"]) == [hours(6), hours(7)]
    run = a_run("a", T0, "network")
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.LOCAL_NETWORK
    assert [failed(row) for row in past.store.runs(causes=[Cause.LOCAL_NETWORK])] == [False]


EMPTY = {
    "timeline": "t end runs online_s failed_s blocked_s unknown_s own_network_s worst",
    "latency": "t p5 p50 p95 n failures",
    "percentiles": "check n p50 p95 p99",
    "failures": "t connection_id cause duration_ms id",
    "causes": "day cause runs",
    "calendar": "day online_s known_s share",
    "outages": "connection_id began ended seconds cause",
    "drift": "t connection_id run_id kind what before after worse text",
    "expiry": "t connection_id days_left",
    "clock": "t p5 p50 p95",
    "compare": "connection_id share known_s runs failures outages p50 p95 p99",
}


def every_frame(past: Past, since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    history = past.history
    return {
        "timeline": history.timeline(ALL, since, until, 4),
        "latency": history.latency(ALL, "reach", since, until),
        "percentiles": history.percentiles(ALL, since, until),
        "failures": history.failures(ALL, since, until),
        "causes": history.causes(ALL, since, until, UTC),
        "calendar": history.calendar(ALL, since, until, UTC),
        "outages": history.outages(ALL, since, until),
        "drift": history.drift(ALL, since, until),
        "expiry": history.expiry(ALL, since, until),
        "clock": history.clock(ALL, since, until),
        "compare": history.compare([connection.id for connection in past.store.connections()], since, until),
    }


def test_frames_without_rows_have_the_columns_and_types_of_those_with_rows(past: Past) -> None:
    past.test(0, "failed", reach=1.0, clock_offset_ms=2.0, report=a_report(expires_at=hours(100)))
    past.test(1, report=a_report(GrantState.GRANTED))
    full, empty = every_frame(past, hours(0), hours(2)), every_frame(Past(), hours(0), hours(2))
    for name, columns in EMPTY.items():
        assert list(full[name].columns) == columns.split(), name
        assert not full[name].empty, name
        assert full[name].dtypes.to_dict() == empty[name].dtypes.to_dict(), name
        times = [str(kind) for column, kind in full[name].dtypes.items() if column in ("t", "end", "began", "ended")]
        assert set(times) <= {"datetime64[us, UTC]"}, name
    assert list(empty["timeline"]["worst"]) == ["no_test"] * 4
    assert Past().history.extent() is None
    assert past.history.extent() == (hours(0), hours(1))


def test_a_clock_that_once_stood_at_1970_makes_nothing_slow(past: Past) -> None:
    past.connect()
    past.store.add_run(a_run("a", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)))
    past.tests(range(5), reach=20.0)
    past.history.maintain(pause=0)
    assert past.history.runs_frame()["started_at"].dt.year.tolist() == [1970] + [2026] * 5
    assert past.history.summary().online == 24 * HOUR + 28 * HOUR
    assert list(past.history.latency(A, "reach", buckets=2)["n"]) == [0, 5]
    assert past.history.to_csv().count("\n") == 7
