"""The slow computation of a history's figures against cases that were worked out by hand.

Hours count from Monday 2026-06-01, 00:00 UTC, where nothing else is said. Every expected number follows from the lines
above it, on paper.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from history_oracle import (
    HOLD,
    MICROSECOND,
    MOST_RUNS,
    NOTHING,
    Link,
    Oracle,
    Run,
    Scope,
    histories,
    midnight,
    neighbours,
    quantile,
    scopes,
    seconds,
    spans,
    zone_of,
)
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from bfai.model import (
    Cause,
    Connection,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Permission,
    Status,
    Target,
)
from bfai.store import Sealed, open_store

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
ALL = Scope()
ZAGREB = "Europe/Zagreb"

ONLINE, CONNECTED, FAILED, BLOCKED = Status.ONLINE, Status.CONNECTED, Status.FAILED, Status.BLOCKED
DOWN, OURS = Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK


def h(hours: float) -> datetime:
    return MONDAY + hours * HOUR


def a_run(at: float | datetime, status: Status = ONLINE, cause: Cause | None = None, **more: Any) -> Run:
    values = {"id": f"r{at}", "connection_id": "c", **more}
    return Run(started_at=at if isinstance(at, datetime) else h(at), status=status, cause=cause, **values)


def one(runs: list[Run], now: float | datetime, reports: dict[str, KeyReport] | None = None) -> Oracle:
    """A history of one connection."""
    return Oracle([Link("c", "mexc")], runs, reports or {}, now if isinstance(now, datetime) else h(now))


def parts(summary: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(summary[name] for name in names)


def in_hours(summary: dict[str, Any]) -> tuple[float, ...]:
    return tuple(summary[name] / HOUR for name in ("online", "known", "unknown", "own_network"))


def listed(outages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(outage["began"], outage["ended"], outage["seconds"], outage["cause"]) for outage in outages]


def test_a_gap_of_40_hours() -> None:
    # online at 0, connected at 40, now 45: the first holds to 24, then 16 h of silence, then 5 h known.
    history = one([a_run(0), a_run(40, CONNECTED)], 45)
    whole = history.summary(ALL, h(0), h(45))
    assert in_hours(whole) == (29, 29, 16, 0)
    assert parts(whole, "share", "runs", "failures", "outages", "longest_outage") == (1.0, 2, 0, 0, None)
    # From 10 to 42: 14 h of the first and 2 h of the second; the first run is outside.
    part = history.summary(ALL, h(10), h(42))
    assert in_hours(part) == (16, 16, 16, 0)
    assert part["runs"] == 1
    assert history.summary(ALL, h(0), h(40))["runs"] == 1
    # The 5 h before the first run are unknown as well; what is after now is not counted at all.
    assert in_hours(history.summary(ALL, h(-5), h(99))) == (29, 29, 21, 0)
    assert history.extent(ALL) == (h(0), h(40))


def test_a_result_holds_for_exactly_a_day() -> None:
    # 24 h apart: no gap. A microsecond more: a gap of a microsecond.
    assert one([a_run(0), a_run(24)], 25).summary(ALL, h(0), h(25))["unknown"] == NOTHING
    late = one([a_run(0), a_run(h(24) + MICROSECOND)], 25).summary(ALL, h(0), h(25))
    assert parts(late, "known", "unknown") == (25 * HOUR - MICROSECOND, MICROSECOND)


def test_an_outage_of_our_own_network() -> None:
    # 0 online, 1 and 2 ours, 3 online, 5 down, 6 ours, 9 online, now 10.
    # Online 0-1, 3-5, 9-10: 4 h. Down 5-6: 1 h. Ours 1-3 and 6-9: 5 h, all that is unknown.
    history = one(
        [
            a_run(0),
            a_run(1, FAILED, OURS),
            a_run(2, FAILED, OURS),
            a_run(3),
            a_run(5, FAILED, DOWN),
            a_run(6, FAILED, OURS),
            a_run(9),
        ],
        10,
    )
    summary = history.summary(ALL, h(0), h(10))
    assert in_hours(summary) == (4, 5, 5, 5)
    assert parts(summary, "share", "runs", "failures", "outages") == (0.8, 7, 1, 1)
    # Ours began none, and did not end the one of theirs: 5 to 9.
    assert listed(history.outages(ALL, h(0), h(10))) == [(h(5), h(9), 4 * 3600.0, "exchange_unavailable")]
    assert parts(summary, "longest_outage", "time_to_recover") == (4 * HOUR, 4 * HOUR)
    assert [row["id"] for row in history.failures(ALL, h(0), h(10))] == ["r5"]
    # Ours and then nothing for 30 h: 24 h are ours, 6 h plain silence, nothing is known.
    alone = one([a_run(0, FAILED, OURS)], 30).summary(ALL, h(0), h(30))
    assert in_hours(alone) == (0, 0, 30, 24)
    assert parts(alone, "share", "failures", "outages") == (None, 0, 0)


def test_a_confirmation() -> None:
    # 0 blocked, confirmed at 2 (the exchange was asked at 0), 30 online, now 32.
    # Blocked 0-2; online 2-24, no longer, for nobody asked since 0; unknown 24-30; online 30-32.
    history = one(
        [
            a_run(0, BLOCKED, Cause.WITHDRAW_UNKNOWN, latencies={"reach": 20.0, "key": 100.0}, clock_offset_ms=5.0),
            a_run(2, CONNECTED, latencies={"reach": 20.0, "key": 100.0}, clock_offset_ms=5.0, answered_at=h(0)),
            a_run(30, latencies={"reach": 40.0, "key": 200.0}, clock_offset_ms=7.0),
        ],
        32,
    )
    summary = history.summary(ALL, h(0), h(32))
    assert in_hours(summary) == (24, 26, 6, 0)
    assert parts(summary, "share", "runs", "failures", "outages") == (24 / 26, 3, 0, 0)
    # It measured nothing: 100 and 200 ms only. p95: 100 + 0.95 x 100; p99: 100 + 0.99 x 100.
    assert parts(summary, "p50", "p95", "p99") == pytest.approx((150, 195, 199))
    assert sum(row["n"] for row in history.latency(ALL, "key", h(0), h(32))) == 2
    assert history.offsets(ALL, h(0), h(32)) == [5.0, 7.0]


def test_runs_after_the_clock_was_set_back() -> None:
    # Stored in this order: 10 online, 8 failed, 9 online (the clock was set back), 12 failed, 13 online; now 14.
    # In time: failed 8-9, online 9-12, failed 12-13, online 13-14. Nothing is known from 7 to 8.
    key = Cause.INVALID_KEY
    runs = [a_run(10), a_run(8, FAILED, key), a_run(9), a_run(12, FAILED, DOWN), a_run(13)]
    history = one(runs, 14)
    summary = history.summary(ALL, h(7), h(14))
    assert in_hours(summary) == (4, 6, 1, 0)
    assert parts(summary, "share", "runs", "failures") == (4 / 6, 5, 2)
    # The runs at 8 and 9 did not set the status, so the only outage is that of 12.
    assert listed(history.outages(ALL, h(7), h(14))) == [(h(12), h(13), 3600.0, "exchange_unavailable")]
    assert history.extent(ALL) == (h(8), h(13))
    assert [row["id"] for row in history.failures(ALL, h(7), h(14))] == ["r8", "r12"]
    assert [row["id"] for row in history.failures(ALL, h(7), h(14), limit=1)] == ["r12"]
    # Asked at 9:30 by the clock that was set back: failed 8-9, online 9-9:30; the run at 10 counts as a run.
    early = one(runs[:3], 9.5).summary(ALL, h(7), h(20))
    assert in_hours(early) == (0.5, 1.5, 1, 0)
    assert early["runs"] == 3


def test_the_last_of_two_runs_at_one_moment_holds() -> None:
    history = one([a_run(0), a_run(0, FAILED, DOWN, id="second")], 1)
    assert in_hours(history.summary(ALL, h(0), h(1))) == (0, 1, 0, 0)
    assert listed(history.outages(ALL, h(0), h(1))) == [(h(0), None, 3600.0, "exchange_unavailable")]


def test_an_outage_of_no_length() -> None:
    # Down and up again at one moment: listed where it began, and not in the span that ends there.
    history = one([a_run(0), a_run(5, FAILED, DOWN), a_run(5, id="again")], 6)
    assert listed(history.outages(ALL, h(5), h(6))) == [(h(5), h(5), 0.0, "exchange_unavailable")]
    assert history.outages(ALL, h(0), h(5)) == []
    assert parts(history.summary(ALL, h(0), h(6)), "failures", "share") == (1, 1.0)


def test_an_outage_that_lasts() -> None:
    # 0 online, 5 down, 6 limited, 7 own network, now 50. Failed 5-7; own network 7-31; unknown 7-50.
    history = one(
        [
            a_run(0),
            a_run(5, FAILED, DOWN),
            a_run(6, FAILED, Cause.RATE_LIMITED),
            a_run(7, FAILED, OURS),
        ],
        50,
    )
    summary = history.summary(ALL, h(0), h(50))
    assert in_hours(summary) == (5, 7, 43, 24)
    assert parts(summary, "share", "failures", "outages") == (5 / 7, 2, 1)
    assert parts(summary, "longest_outage", "time_to_recover") == (45 * HOUR, None)
    lasting = [(h(5), None, 45 * 3600.0, "exchange_unavailable")]
    assert listed(history.outages(ALL, h(0), h(50))) == lasting
    assert listed(history.outages(ALL, h(20), h(40))) == lasting
    assert history.outages(ALL, h(0), h(5)) == []


def test_the_time_to_recover_is_a_mean_over_the_outages_that_ended() -> None:
    # 1-2 down; 4-6 down, then blocked, which is an answer; from 10 down; now 11. (1 h + 2 h) / 2.
    history = one(
        [
            a_run(0),
            a_run(1, FAILED, DOWN),
            a_run(2),
            a_run(4, FAILED, Cause.RATE_LIMITED),
            a_run(5, FAILED, DOWN),
            a_run(6, BLOCKED, Cause.WITHDRAW_ENABLED),
            a_run(7, CONNECTED),
            a_run(10, FAILED, DOWN),
        ],
        11,
    )
    summary = history.summary(ALL, h(0), h(11))
    assert parts(summary, "outages", "time_to_recover", "longest_outage") == (3, 1.5 * HOUR, 2 * HOUR)
    # Within [2, 10): the first ended as it begins, the last begins as it ends.
    middle = history.outages(ALL, h(2), h(10))
    assert listed(middle) == [(h(4), h(6), 7200.0, "rate_limited")]


def test_a_day_of_23_hours() -> None:
    # Zagreb: the 28th is 27 Mar 23:00 to 28 Mar 23:00 UTC, the 29th ends at 22:00 UTC already.
    def t(day: int, hour: int) -> datetime:
        return datetime(2026, 3, day, hour, tzinfo=UTC)

    runs = [a_run(t(28, 0)), a_run(t(28, 12)), a_run(t(29, 6), FAILED, DOWN), a_run(t(29, 20)), a_run(t(30, 10))]
    history = one(runs, t(30, 12))
    # 28th: 1 h unknown, 23 h online. 29th: online 23-06 (7 h) and 20-22 (2 h), failed 06-20 (14 h).
    # 30th, until now: 22-12, 14 h. (The run of the 28th at 12 holds 18 h, to the 29th at 6.)
    assert history.calendar(ALL, t(27, 23), t(31, 0), ZAGREB) == [
        {"day": date(2026, 3, 28), "online_s": 23 * 3600.0, "known_s": 23 * 3600.0, "share": 1.0},
        {"day": date(2026, 3, 29), "online_s": 9 * 3600.0, "known_s": 23 * 3600.0, "share": 9 / 23},
        {"day": date(2026, 3, 30), "online_s": 14 * 3600.0, "known_s": 14 * 3600.0, "share": 1.0},
    ]


def test_a_day_of_25_hours() -> None:
    # Zagreb: the 25th is 24 Oct 22:00 to 25 Oct 23:00 UTC.
    def t(day: int, hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 10, day, hour, minute, tzinfo=UTC)

    limited = Cause.RATE_LIMITED
    runs = [a_run(t(24, 22)), a_run(t(25, 22, 30), FAILED, DOWN), a_run(t(25, 23, 15), FAILED, limited)]
    history = one(runs, t(26, 0))
    # Online 24 h, then 30 min unknown, then 30 min failed to the end of the 25th; 1 h failed on the 26th.
    days = history.calendar(ALL, t(24, 22), t(26, 0), ZAGREB)
    assert [(row["day"].day, row["online_s"], row["known_s"]) for row in days] == [
        (25, 24 * 3600.0, 24.5 * 3600),
        (26, 0.0, 3600.0),
    ]
    assert days[0]["share"] == 48 / 49
    # 23:15 UTC is 0:15 on the 26th in Zagreb.
    by_day = history.causes(ALL, t(24, 22), t(26, 0), ZAGREB)
    assert by_day == [
        {"day": date(2026, 10, 25), "cause": "exchange_unavailable", "runs": 1},
        {"day": date(2026, 10, 26), "cause": "rate_limited", "runs": 1},
    ]
    assert [row["day"].day for row in history.causes(ALL, t(24, 22), t(26, 0), "UTC")] == [25, 25]
    zone = zone_of(ZAGREB)
    assert midnight(date(2026, 10, 26), zone) - midnight(date(2026, 10, 25), zone) == 25 * HOUR


def test_days_of_which_nothing_is_known_have_a_row() -> None:
    # One run on Monday at 0, asked on Thursday at 12: 24 h known, then nothing.
    days = one([a_run(0)], 84).calendar(ALL, h(0), h(84), "UTC")
    assert [(row["day"].day, row["known_s"], row["share"]) for row in days] == [
        (1, 86400.0, 1.0),
        (2, 0.0, None),
        (3, 0.0, None),
        (4, 0.0, None),
    ]


def test_several_connections_are_added_up() -> None:
    # a (mexc): online from 0. b (kucoin): failed from 2. c (mexc): never tested. Now 4.
    # Online 4 h, known 4 + 2 h, unknown the first 2 h of b; c adds nothing.
    links = [Link("a", "mexc"), Link("b", "kucoin"), Link("c", "mexc")]
    runs = [
        a_run(0, connection_id="a", latencies={"reach": 10.0, "key": 30.0}),
        a_run(2, FAILED, DOWN, connection_id="b", latencies={"reach": 50.0}),
    ]
    history = Oracle(links, runs, {}, h(4))
    assert in_hours(history.summary(ALL, h(0), h(4))) == (4, 6, 2, 0)
    assert in_hours(history.summary(Scope(exchange="mexc"), h(0), h(4))) == (4, 4, 0, 0)
    assert in_hours(history.summary(Scope("b", "mexc"), h(0), h(4))) == (0, 0, 0, 0)
    # Both: `key` was measured somewhere, so that it stands for the scope. b alone has only `reach`.
    assert history.summary(ALL, h(0), h(4))["p50"] == 30.0
    nothing = {"failures": 0, "outages": 0, "p50": None, "p95": None, "p99": None}
    assert history.compare(["b", "a", "c"], h(0), h(4)) == [
        {
            "connection_id": "b",
            "share": 0.0,
            "known_s": 7200.0,
            "runs": 1,
            "failures": 1,
            "outages": 1,
            "p50": 50.0,
            "p95": 50.0,
            "p99": 50.0,
        },
        {
            "connection_id": "a",
            "share": 1.0,
            "known_s": 14400.0,
            "runs": 1,
            "failures": 0,
            "outages": 0,
            "p50": 30.0,
            "p95": 30.0,
            "p99": 30.0,
        },
        {"connection_id": "c", "share": None, "known_s": 0.0, "runs": 0, **nothing},
    ]


def test_a_timeline() -> None:
    # 0 online, 3 ours, 5 blocked, now 7; four places of 2 h up to 8. The last hour is still to come.
    history = one([a_run(0), a_run(3, FAILED, OURS), a_run(5, BLOCKED, Cause.WITHDRAW_ENABLED)], 7)
    names = ("runs", "online_s", "failed_s", "blocked_s", "unknown_s", "own_network_s", "worst")
    line = history.timeline(ALL, h(0), h(8), 4)
    assert [(row["t"], row["end"]) for row in line] == [(h(0), h(2)), (h(2), h(4)), (h(4), h(6)), (h(6), h(8))]
    assert [parts(row, *names) for row in line] == [
        (1, 7200, 0, 0, 0, 0, "online"),
        (1, 3600, 0, 0, 3600, 3600, "own_network"),
        (1, 0, 0, 3600, 3600, 3600, "blocked"),
        (0, 0, 0, 3600, 0, 0, "no_test"),
    ]
    # All in one place: blocked is the worst that was seen.
    assert parts(history.timeline(ALL, h(0), h(8), 1)[0], *names) == (3, 10800, 0, 7200, 7200, 7200, "blocked")
    # 10 s in three: the edges are whole microseconds, rounded down.
    thirds = history.timeline(ALL, h(0), h(0) + timedelta(seconds=10), 3)
    assert [(row["t"] - h(0)) / MICROSECOND for row in thirds] == [0, 3_333_333, 6_666_666]


def test_response_times() -> None:
    # Minutes 0-3: 10, 20, 30, 40 ms; ours at 30; 60: 50 ms; 61: failed, nothing measured.
    # Six buckets of 61 min / 6 = 610 s and a microsecond: minutes 0-3 in the first, 60 and 61 (3600 s, 3660 s) in the
    # sixth. The pauses are 1, 1, 1, 57, 1 min: 57 is more than three usual ones, and buckets lie between.
    minutes: list[tuple[float, float | None]] = [(0, 10), (1, 20), (2, 30), (3, 40), (60, 50), (61, None)]
    runs = [
        a_run(
            h(0) + at * MINUTE,
            FAILED if ms is None else ONLINE,
            DOWN if ms is None else None,
            latencies={} if ms is None else {"reach": float(ms)},
        )
        for at, ms in minutes
    ]
    history = one([*runs, a_run(0.5, FAILED, OURS)], 2)
    width = timedelta(seconds=610, microseconds=1)
    rows = history.latency(ALL, "reach", h(0), h(2), buckets=6)
    names = ("t", "n", "failures")
    assert [parts(row, *names) for row in rows] == [(h(0), 4, 0), (h(0) + width, 0, 0), (h(0) + 5 * width, 1, 1)]
    # 5 %: place 0.15 between 10 and 20. 95 %: place 2.85, between 30 and 40.
    assert parts(rows[0], "p5", "p50", "p95") == pytest.approx((11.5, 25, 38.5))
    assert parts(rows[1], "p5", "p50", "p95") == (None, None, None)
    assert parts(rows[2], "p5", "p50", "p95") == (50, 50, 50)
    # 10 to 50 ms. 95 %: place 3.8, 40 + 8. 99 %: place 3.96, 40 + 9.6.
    (row,) = history.percentiles(ALL, h(0), h(2))
    assert parts(row, "check", "n") == ("reach", 5)
    assert parts(row, "p50", "p95", "p99") == pytest.approx((30, 48, 49.6))
    assert neighbours(history.measured(ALL, "reach", h(0), h(2)), 0.95) == (40, 50)
    assert history.failures_within(ALL, h(1), h(2)) == 1
    # Two buckets of half an hour lie side by side: the silence is in them and needs no row.
    assert [row["n"] for row in history.latency(ALL, "reach", h(0), h(2), buckets=2)] == [4, 1]


def test_the_clock() -> None:
    # -10, 10 and 30 ms within two minutes; ours told none. 5 %: place 0.1, -10 + 2. 95 %: place 1.9, 10 + 18.
    runs = [a_run(h(0) + n * MINUTE, clock_offset_ms=20.0 * n - 10) for n in range(3)]
    (row,) = one([*runs, a_run(1, FAILED, OURS)], 2).clock(ALL, h(0), h(2), 1)
    assert row["t"] == h(0)
    assert parts(row, "p5", "p50", "p95") == pytest.approx((-8, 10, 28))


def a_report(withdraw: GrantState, expires_at: datetime, *addresses: str) -> KeyReport:
    return KeyReport(
        grants={Permission.WITHDRAW: Grant(state=withdraw, evidence=Evidence.DECLARED)},
        ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=addresses),
        expires_at=expires_at,
    )


def test_what_changed_on_the_key_and_how_long_it_lasts() -> None:
    # Each exchange's day counts anew: at 0 and at 24 the key ends 90 days later; a move of 24 h is none.
    # At 48 withdrawal is on. Stored last, but of 30, when the clock was set back: another address.
    off, on = GrantState.DENIED, GrantState.GRANTED
    reports = {
        "r0": a_report(off, h(0) + 90 * DAY, "203.0.113.7"),
        "r24": a_report(off, h(24) + 90 * DAY, "203.0.113.7"),
        "r48": a_report(on, h(24) + 90 * DAY, "203.0.113.7"),
        "r30": a_report(off, h(30) + 10 * DAY, "198.51.100.9"),
    }
    blocked = a_run(48, BLOCKED, Cause.WITHDRAW_ENABLED)
    history = one([a_run(0), a_run(24), a_run(36, FAILED, DOWN), blocked, a_run(30)], 60, reports)
    (row,) = history.drift(ALL, h(0), h(60))
    assert parts(row, "t", "run_id", "kind", "what") == (h(48), "r48", "right", "withdraw")
    assert parts(row, "before", "after", "worse") == ("denied", "granted", True)
    assert history.drift(ALL, h(48), h(60)) == [row]
    assert history.drift(ALL, h(0), h(48)) == []
    # Days left: 90, 90, 10 (in the order of time), and 24 h + 90 d - 48 h = 89.
    left = history.expiry(ALL, h(0), h(60))
    assert [(line["t"], line["days_left"]) for line in left] == [(h(0), 90), (h(24), 90), (h(30), 10), (h(48), 89)]
    # At 60, by the report of 48: 24 h + 90 d - 60 h.
    assert history.days_left("c", h(60)) == 88.5
    assert history.days_left("c", h(-1)) is None


def test_an_empty_history() -> None:
    history = one([], 10)
    summary = history.summary(ALL, h(0), h(10))
    assert in_hours(summary) == (0, 0, 0, 0)
    assert parts(summary, "share", "runs", "outages", "longest_outage", "p50") == (None, 0, 0, None, None)
    assert history.extent(ALL) is None
    assert [row["worst"] for row in history.timeline(ALL, h(0), h(10), 2)] == ["no_test", "no_test"]
    for figure in (history.percentiles, history.failures, history.outages, history.drift, history.expiry):
        assert figure(ALL, h(0), h(10)) == []
    assert history.latency(ALL, "key", h(0), h(10)) == []
    assert history.clock(ALL, h(0), h(10), 5) == []


# -- the random histories ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_figures_of_one_history_agree_with_each_other(data: st.DataObject) -> None:
    history = data.draw(histories())
    scope = data.draw(scopes(history))
    since, until = data.draw(spans(history))
    whole = history.summary(scope, since, until)
    line = history.timeline(scope, since, until, 7)
    days = history.calendar(scope, since, until, ZAGREB)
    for name in ("online", "unknown", "own_network"):
        assert sum(row[f"{name}_s"] for row in line) == pytest.approx(seconds(whole[name]))
    known = sum(row[f"{name}_s"] for row in line for name in ("online", "failed", "blocked"))
    assert known == pytest.approx(seconds(whole["known"]))
    assert sum(row["known_s"] for row in days) == pytest.approx(seconds(whole["known"]))
    span = max(min(until, history.now) - since, NOTHING)
    assert whole["known"] + whole["unknown"] == span * len(history.taking_part(scope, until))
    assert whole["own_network"] <= whole["unknown"]
    assert sum(row["runs"] for row in line) == whole["runs"]
    failures = history.latency(scope, "key", since, until, 9)
    assert sum(row["failures"] for row in failures) == whole["failures"]
    assert sum(row["runs"] for row in history.causes(scope, since, until, ZAGREB)) == whole["failures"]
    assert len(history.failures(scope, since, until)) == whole["failures"]
    values = history.measured(scope, "reach", since, until)
    if values:
        low, high = neighbours(values, 0.95)
        assert low <= (quantile(values, 0.95) or 0) <= high


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_a_store_takes_them_and_says_what_the_rules_say(history: Oracle) -> None:
    """A store keeps every run as it was drawn, and marks as changes of status what the setting runs change."""
    store = open_store("sqlite://:memory:")
    try:
        created = datetime(2026, 1, 1, tzinfo=UTC)
        for link in history.connections:
            of_link = {"id": link.id, "name": link.id, "key_hint": "TEST", "created_at": created, "key_since": created}
            sealed = {"api_key": Sealed(1, b"n" * 12, b"c")}
            added = Connection(target=Target(exchange=link.exchange), **of_link)
            store.add_connection(added, sealed, link.id.encode())
        for run in history.runs:
            store.add_run(history.test_run(run))
        rows = store.runs(newest_first=False)
        assert [row.started_at for row in rows] == sorted(run.started_at for run in history.runs)
        for link in history.connections:
            stored = [row.id for row in rows if row.connection_id == link.id]
            assert stored == [
                run.id for run in history.within(Scope(link.id), created, datetime(2028, 1, 1, tzinfo=UTC))
            ]
        by_id = {run.id: run for run in history.runs}
        for row in rows:
            run = by_id[row.id]
            assert (row.started_at, row.status, row.cause) == (run.started_at, run.status, run.cause)
            assert (row.duration_ms, row.latencies) == (run.duration_ms, run.latencies)
        assert {row.id for row in rows if row.status_changed} == set(_changing(history))
        for run in history.runs[-3:]:
            whole = store.run(run.id)
            assert whole is not None
            assert (whole.answered_at, whole.clock_offset_ms) == (run.answered_at, run.clock_offset_ms)
            assert whole.key_report == history.reports.get(run.id)
    finally:
        store.close()


def _changing(history: Oracle) -> Iterator[str]:
    for link in history.connections:
        before = Status.UNTESTED
        for run in history.setting(link.id):
            if run.status is not before:
                yield run.id
            before = run.status


def _has_gap(history: Oracle) -> bool:
    times = sorted(run.started_at for run in history.runs)
    return any(after - before > HOLD for before, after in itertools.pairwise(times))


@pytest.mark.parametrize(
    "wanted",
    [
        lambda history: len(history.runs) > MOST_RUNS // 2,
        lambda history: not history.runs,
        _has_gap,
        lambda history: any(run.confirmation for run in history.runs),
        lambda history: any(len(history.setting(link.id)) < _count(history, link) for link in history.connections),
        lambda history: any(run.started_at > history.now for run in history.runs),
        lambda history: len(history.drift(ALL, datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))) > 2,
        lambda history: any(run.own_network for run in history.runs) and any(run.failed for run in history.runs),
    ],
    ids=["many", "none", "gap", "confirmation", "clock set back", "runs to come", "drift", "ours and theirs"],
)
def test_the_random_histories_have(wanted: Any) -> None:
    unhurried = settings(
        max_examples=2000,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    find(histories(), wanted, settings=unhurried)


def _count(history: Oracle, link: Link) -> int:
    return sum(run.connection_id == link.id for run in history.runs)
