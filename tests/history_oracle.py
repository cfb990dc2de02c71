"""The figures of a history once more, slowly and plainly, for comparison with `bfai.history`.

Lists, loops and whole microseconds; nothing is kept from one question to the next, nothing is summed up beforehand,
nothing is approximate. Times are aware UTC, percentiles come from sorted values with interpolation between neighbours.
Frames are lists of dicts with the columns' names, `None` where the frame has NaN, NaT or None.

Where the words of the contract leave something open, this is what was chosen. A comparison that fails is either a
mistake or another choice, and the choices have numbers so that they can be talked about.

Runs and their order
 1. `since` is inclusive, `until` exclusive. What is counted in runs goes by `started_at` alone.
 2. Runs are ordered by `started_at`, those of the same moment as they were stored. After the clock was set back a run
    that was stored later stands earlier. Of several runs of one connection at one moment the last stored one holds.
 3. A run *sets* the connection's status and key report unless it started before the run that last set it. Own-network
    runs and confirmations set it as well. Outages and drift look at these runs only, in the order in which they were
    stored (which is then that of time), because they are what the store marks as changes. Everything else looks at all
    runs. Keys are never replaced here, so that no run is older than its key.
 4. `runs` counts every run: also own-network ones and confirmations.
 5. A failure is a run with status `failed` that is not `local_network`. `blocked` is none.
 6. A connection is in a scope when it fits all that the scope names; one that does not exist is an empty scope.

Time
 7. A result holds until the next run of its connection, and at most until 24 h after the exchange was asked: for a
    confirmation that is the `answered_at` of the test that it repeats, not the moment of the confirmation. (Were the
    clock set back between the two: 24 h after the earlier one.)
 8. The time that an own-network run holds, by the same rule, is `own_network`; it ends the run before. After its 24 h
    it is plain unknown.
 9. Nothing is known of what is after `now`, and it is not called unknown either: spans are cut there. So known +
    unknown is min(until, now) - since, for each connection that takes part.
10. A connection takes part from `since` when it has a run before min(until, now), be that before or after `since`:
    the time before its first run is unknown. A connection without such a run adds nothing. A timeline asks this
    of its whole span and not of each stretch.
11. online + failed + blocked = known. Several connections: each for itself, then added up; the share is that of the
    sums.

Outages
12. An outage begins with a setting run (3) that is a failure (5) and follows no outage that lasts. It ends with the
    next setting run that is online, connected or blocked (the exchange answered, and the key works), a confirmation
    too. Own-network runs neither begin nor end it, silence does not end it. `cause` is that of the run that began it.
13. Listed are those that overlap [since, until), with their true begin and end and their whole length, also where these
    lie outside, even after `until`. `seconds` of one that lasts count until `now`, or 0 when it began after `now`.
14. `outages`, `longest_outage` (one that lasts included) and `time_to_recover` of a summary are made of this list.

Latencies and clock
15. Measured are runs that are neither own-network nor confirmations, failed ones included.
16. `latency` is as it was: `t` begins with the first such run within [since, until), whether it measured this check or
    not, the width is the span to the last one over `buckets` in whole microseconds plus one. The runs of several
    connections are one sequence; a silence is one of that sequence. An implementation with other stretches is compared
    through `measured`, `failures_within` and `neighbours`.
17. The percentiles of a summary are those of `key` if any run in the span measured it, else those of `reach`: decided
    once for the scope, not for each run.
18. `percentiles` has a row for each check that was measured at all, in the order of `CheckName`.
19. `clock` has stretches like those of `latency`, from the first to the last run that told an offset, and none without
    an offset: it breaks nowhere.

Lists
20. Lists are oldest first. `failures` keeps the newest `limit`. Ties: by the order of storing.
21. `causes` counts failures (5) by the viewer's day on which the run started; a failure without a cause has None.
    By day, then cause.
22. `calendar` has a row for each of the viewer's days that overlaps [since, min(until, now)), also where nothing is
    known (share None). A day lasts from its first moment to that of the next, so 23 or 25 h now and then; only the part
    within the span counts.
23. `drift` compares the report of each setting run with the last one told before, also from before `since`. The first
    report is no drift. `t` is the run's `started_at`.
24. `expiry` has a row for each run in the span whose report tells an end, in days with fractions from `started_at`,
    negative after the end. What is left at any other moment is `days_left`.
25. `worst` of a timeline's stretch is by runs that started in it, not by what holds; the edges are since + (until -
    since) * i // places.
26. `compare` keeps the given order and has a row for a connection without runs: share None, zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from bfai.drift import drift
from bfai.model import (
    Cause,
    Check,
    CheckName,
    Diagnosis,
    Environment,
    Evidence,
    ExpiryEvidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Outcome,
    Permission,
    Status,
    TestRun,
)

HOLD = timedelta(hours=24)
NOTHING = timedelta()
MICROSECOND = timedelta(microseconds=1)
WORST_FIRST = ("blocked", "failed", "connected", "online", "own_network", "no_test")


class Link(NamedTuple):
    """What a figure needs to know of a connection."""

    id: str
    exchange: str


class Scope(NamedTuple):
    connection_id: str | None = None
    exchange: str | None = None


class Run(NamedTuple):
    """A test run: the fields of a `RunRow` without what the store finds out, and two more of a `TestRun`."""

    id: str
    connection_id: str
    started_at: datetime
    status: Status
    cause: Cause | None = None
    duration_ms: float = 0.0
    latencies: Mapping[str, float] = {}
    clock_offset_ms: float | None = None
    answered_at: datetime | None = None

    @property
    def own_network(self) -> bool:
        return self.cause is Cause.LOCAL_NETWORK

    @property
    def confirmation(self) -> bool:
        return self.answered_at is not None

    @property
    def failed(self) -> bool:
        return self.status is Status.FAILED and not self.own_network


class Segment(NamedTuple):
    """A stretch of one connection's time in which one result holds: `online`, `failed`, `blocked`, `own_network`."""

    began: datetime
    ended: datetime
    kind: str


class Oracle:
    """All figures of a history. `runs` in the order in which they were stored, `reports` by the id of their run.

    A scope is anything with `connection_id` and `exchange`.
    """

    def __init__(
        self, connections: Sequence[Link], runs: Sequence[Run], reports: Mapping[str, KeyReport], now: datetime
    ) -> None:
        self.connections = list(connections)
        self.runs = list(runs)
        self.reports = dict(reports)
        self.now = now

    def __repr__(self) -> str:
        """One line a run, with what its figures depend on: what a failing example shows."""
        lines = [f"{', '.join(f'{link.id} on {link.exchange}' for link in self.connections)}; now {self.now}"]
        for run in self.runs:
            report = self.reports.get(run.id)
            told = f" report {report.content_hash()[:6]} until {report.expires_at}" if report else ""
            asked = f" confirms {run.answered_at}" if run.answered_at else ""
            said = f"{run.status} {run.cause or ''} {dict(run.latencies)} offset {run.clock_offset_ms}{told}{asked}"
            lines.append(f"  {run.id[-3:]} {run.connection_id} {run.started_at} {said}")
        return "\n".join(lines)

    # -- which runs ----------------------------------------------------------------------------------------------------

    def links(self, scope: Any) -> list[Link]:
        found: list[Link] = []
        for link in self.connections:
            if scope.connection_id is not None and link.id != scope.connection_id:
                continue
            if scope.exchange is not None and link.exchange != scope.exchange:
                continue
            found.append(link)
        return found

    def stored(self, scope: Any) -> list[Run]:
        """In the order of storing."""
        ids = [link.id for link in self.links(scope)]
        return [run for run in self.runs if run.connection_id in ids]

    def within(self, scope: Any, since: datetime, until: datetime) -> list[Run]:
        """In the order of time."""
        found = [run for run in self.stored(scope) if since <= run.started_at < until]
        return sorted(found, key=lambda run: run.started_at)  # stable: ties stay as they were stored

    def setting(self, connection_id: str) -> list[Run]:
        """The runs that set the connection's status."""
        found: list[Run] = []
        for run in self.runs:
            if run.connection_id == connection_id and (not found or run.started_at >= found[-1].started_at):
                found.append(run)
        return found

    def extent(self, scope: Any) -> tuple[datetime, datetime] | None:
        times = [run.started_at for run in self.stored(scope)]
        return (min(times), max(times)) if times else None

    # -- time ----------------------------------------------------------------------------------------------------------

    def segments(self, connection_id: str, since: datetime, until: datetime) -> list[Segment]:
        """What is known of this connection between the two, and when our own network was down."""
        end = min(until, self.now)
        runs = [run for run in self.runs if run.connection_id == connection_id]
        runs.sort(key=lambda run: run.started_at)
        found: list[Segment] = []
        for number, run in enumerate(runs):
            asked = run.started_at if run.answered_at is None else min(run.answered_at, run.started_at)
            ended = asked + HOLD
            if number + 1 < len(runs):
                ended = min(ended, runs[number + 1].started_at)
            if run.own_network:
                kind = "own_network"
            elif run.status in (Status.ONLINE, Status.CONNECTED):
                kind = "online"
            else:
                kind = run.status.value
            segment = Segment(max(run.started_at, since), min(ended, end), kind)
            if segment.began < segment.ended:
                found.append(segment)
        return found

    def taking_part(self, scope: Any, until: datetime) -> list[str]:
        end = min(until, self.now)
        found: list[str] = []
        for link in self.links(scope):
            if any(run.connection_id == link.id and run.started_at < end for run in self.runs):
                found.append(link.id)
        return found

    def times(self, connection_ids: Sequence[str], since: datetime, until: datetime) -> dict[str, timedelta]:
        """`online`, `failed`, `blocked`, `known`, `unknown` and its part `own_network`, added up."""
        total: dict[str, timedelta] = {}
        for name in ("online", "failed", "blocked", "own_network", "known", "unknown"):
            total[name] = NOTHING
        span = max(min(until, self.now) - since, NOTHING)
        for connection_id in connection_ids:
            known = NOTHING
            for segment in self.segments(connection_id, since, until):
                length = segment.ended - segment.began
                total[segment.kind] += length
                if segment.kind != "own_network":
                    known += length
            total["known"] += known
            total["unknown"] += span - known
        return total

    def summary(self, scope: Any, since: datetime, until: datetime) -> dict[str, Any]:
        times = self.times(self.taking_part(scope, until), since, until)
        runs = self.within(scope, since, until)
        outages = self.outages(scope, since, until)
        lengths = [timedelta(seconds=1) * outage["seconds"] for outage in outages]
        ended = [outage["ended"] - outage["began"] for outage in outages if outage["ended"] is not None]
        values = self.measured(scope, "key", since, until) or self.measured(scope, "reach", since, until)
        return {
            "online": times["online"],
            "known": times["known"],
            "unknown": times["unknown"],
            "own_network": times["own_network"],
            "share": times["online"] / times["known"] if times["known"] else None,
            "runs": len(runs),
            "failures": sum(run.failed for run in runs),
            "outages": len(outages),
            "longest_outage": max(lengths) if lengths else None,
            "time_to_recover": sum(ended, NOTHING) / len(ended) if ended else None,
            "p50": quantile(values, 0.50),
            "p95": quantile(values, 0.95),
            "p99": quantile(values, 0.99),
        }

    def timeline(self, scope: Any, since: datetime, until: datetime, places: int) -> list[dict[str, Any]]:
        ids = self.taking_part(scope, until)
        found: list[dict[str, Any]] = []
        for place in range(places):
            t = since + (until - since) * place // places
            end = since + (until - since) * (place + 1) // places
            found.append(self._stretch(scope, ids, t, end))
        return found

    def stretches(self, scope: Any, until: datetime, edges: Sequence[datetime]) -> list[dict[str, Any]]:
        """A timeline with stretches between the given edges."""
        ids = self.taking_part(scope, until)
        return [self._stretch(scope, ids, edges[at], edges[at + 1]) for at in range(len(edges) - 1)]

    def _stretch(self, scope: Any, ids: Sequence[str], t: datetime, end: datetime) -> dict[str, Any]:
        times = self.times(ids, t, end)
        runs = self.within(scope, t, end)
        seen = ["own_network" if run.own_network else run.status.value for run in runs]
        return {
            "t": t,
            "end": end,
            "runs": len(runs),
            "online_s": seconds(times["online"]),
            "failed_s": seconds(times["failed"]),
            "blocked_s": seconds(times["blocked"]),
            "unknown_s": seconds(times["unknown"]),
            "own_network_s": seconds(times["own_network"]),
            "worst": next((word for word in WORST_FIRST if word in seen), "no_test"),
        }

    def calendar(self, scope: Any, since: datetime, until: datetime, tz: tzinfo | str) -> list[dict[str, Any]]:
        zone = zone_of(tz)
        ids = self.taking_part(scope, until)
        end = min(until, self.now)
        found: list[dict[str, Any]] = []
        day = since.astimezone(zone).date()
        while midnight(day, zone) < end:
            first, last = max(midnight(day, zone), since), min(midnight(day + timedelta(days=1), zone), end)
            if first < last:
                times = self.times(ids, first, last)
                found.append(
                    {
                        "day": day,
                        "online_s": seconds(times["online"]),
                        "known_s": seconds(times["known"]),
                        "share": times["online"] / times["known"] if times["known"] else None,
                    }
                )
            day += timedelta(days=1)
        return found

    # -- outages and failures ------------------------------------------------------------------------------------------

    def outages(self, scope: Any, since: datetime, until: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for link in self.links(scope):
            found += [outage for outage in self._outages_of(link.id) if _overlaps(outage, since, until)]
        return sorted(found, key=lambda outage: outage["began"])

    def _outages_of(self, connection_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        lasting: dict[str, Any] | None = None
        for run in self.setting(connection_id):
            if run.own_network:
                continue
            if not run.failed:
                if lasting is not None:
                    lasting["ended"] = run.started_at
                    lasting["seconds"] = seconds(run.started_at - lasting["began"])
                lasting = None
            elif lasting is None:
                lasting = {
                    "connection_id": connection_id,
                    "began": run.started_at,
                    "ended": None,
                    "seconds": seconds(max(self.now - run.started_at, NOTHING)),
                    "cause": text_of(run.cause),
                }
                found.append(lasting)
        return found

    def failures(self, scope: Any, since: datetime, until: datetime, limit: int = 2000) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for run in self.within(scope, since, until):
            if run.failed:
                found.append(
                    {
                        "t": run.started_at,
                        "connection_id": run.connection_id,
                        "cause": text_of(run.cause),
                        "duration_ms": run.duration_ms,
                        "id": run.id,
                    }
                )
        return found[max(len(found) - limit, 0) :]

    def failures_within(self, scope: Any, since: datetime, until: datetime) -> int:
        return sum(run.failed for run in self.within(scope, since, until))

    def causes(self, scope: Any, since: datetime, until: datetime, tz: tzinfo | str) -> list[dict[str, Any]]:
        zone = zone_of(tz)
        counted: dict[tuple[date, str | None], int] = {}
        for run in self.within(scope, since, until):
            if run.failed:
                place = (run.started_at.astimezone(zone).date(), text_of(run.cause))
                counted[place] = counted.get(place, 0) + 1
        ordered = sorted(counted, key=lambda place: (place[0], place[1] or ""))
        return [{"day": day, "cause": cause, "runs": counted[day, cause]} for day, cause in ordered]

    # -- latencies and clock -------------------------------------------------------------------------------------------

    def tests(self, scope: Any, since: datetime, until: datetime) -> list[Run]:
        """The runs that measure."""
        return [run for run in self.within(scope, since, until) if not run.own_network and not run.confirmation]

    def measured(self, scope: Any, check: str, since: datetime, until: datetime) -> list[float]:
        """The response times of a check, from the shortest to the longest."""
        tests = self.tests(scope, since, until)
        return sorted(run.latencies[check] for run in tests if check in run.latencies)

    def offsets(self, scope: Any, since: datetime, until: datetime) -> list[float]:
        """The clock offsets, sorted."""
        tests = self.tests(scope, since, until)
        return sorted(run.clock_offset_ms for run in tests if run.clock_offset_ms is not None)

    def percentiles(self, scope: Any, since: datetime, until: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for check in CheckName:
            values = self.measured(scope, check.value, since, until)
            if values:
                p50, p95, p99 = (quantile(values, share) for share in (0.50, 0.95, 0.99))
                found.append({"check": check.value, "n": len(values), "p50": p50, "p95": p95, "p99": p99})
        return found

    def latency(
        self, scope: Any, check: str, since: datetime, until: datetime, buckets: int = 1000
    ) -> list[dict[str, Any]]:
        tests = self.tests(scope, since, until)
        if not tests:
            return []
        start, width = tests[0].started_at, _width(tests, buckets)
        numbers = [(run.started_at - start) // width for run in tests]
        found: list[dict[str, Any]] = []
        for number in sorted(set(numbers)):
            mine = [run for run, of_run in zip(tests, numbers, strict=True) if of_run == number]
            values = sorted(run.latencies[check] for run in mine if check in run.latencies)
            found.append(
                {
                    "t": start + width * number,
                    "p5": quantile(values, 0.05),
                    "p50": quantile(values, 0.50),
                    "p95": quantile(values, 0.95),
                    "n": len(values),
                    "failures": sum(run.failed for run in mine),
                }
            )
        pauses = [tests[at + 1].started_at - tests[at].started_at for at in range(len(tests) - 1)]
        for at, pause in enumerate(pauses):
            usual = sorted(pauses)[len(pauses) // 2]
            if pause > 3 * usual and numbers[at + 1] > numbers[at] + 1:
                empty = {"p5": None, "p50": None, "p95": None, "n": 0, "failures": 0}
                found.append({"t": start + width * (numbers[at] + 1), **empty})
        return sorted(found, key=lambda row: row["t"])

    def clock(self, scope: Any, since: datetime, until: datetime, buckets: int) -> list[dict[str, Any]]:
        tests = [run for run in self.tests(scope, since, until) if run.clock_offset_ms is not None]
        if not tests:
            return []
        start, width = tests[0].started_at, _width(tests, buckets)
        numbers = [(run.started_at - start) // width for run in tests]
        found: list[dict[str, Any]] = []
        for number in sorted(set(numbers)):
            t = start + width * number
            values = self.offsets(scope, max(t, since), min(t + width, until))
            p5, p50, p95 = (quantile(values, share) for share in (0.05, 0.50, 0.95))
            found.append({"t": t, "p5": p5, "p50": p50, "p95": p95})
        return found

    # -- what changed on the key ---------------------------------------------------------------------------------------

    def drift(self, scope: Any, since: datetime, until: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for link in self.links(scope):
            last: KeyReport | None = None
            for run in self.setting(link.id):
                report = self.reports.get(run.id)
                if report is None:
                    continue
                if last is not None and since <= run.started_at < until:
                    for one in drift(last, report):
                        found.append(
                            {
                                "t": run.started_at,
                                "connection_id": link.id,
                                "run_id": run.id,
                                "kind": one.kind.value,
                                "what": one.what,
                                "before": one.before,
                                "after": one.after,
                                "worse": one.worse,
                                "text": one.sentence,
                            }
                        )
                last = report
        return sorted(found, key=lambda row: row["t"])

    def expiry(self, scope: Any, since: datetime, until: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for run in self.within(scope, since, until):
            report = self.reports.get(run.id)
            if report is not None and report.expires_at is not None:
                left = (report.expires_at - run.started_at) / timedelta(days=1)
                found.append({"t": run.started_at, "connection_id": run.connection_id, "days_left": left})
        return found

    def days_left(self, connection_id: str, at: datetime) -> float | None:
        """By the last report that a setting run told until then, None where there is none or it tells no end."""
        last: KeyReport | None = None
        for run in self.setting(connection_id):
            if run.started_at <= at and run.id in self.reports:
                last = self.reports[run.id]
        return None if last is None or last.expires_at is None else (last.expires_at - at) / timedelta(days=1)

    # -- connections side by side --------------------------------------------------------------------------------------

    def compare(self, connection_ids: Sequence[str], since: datetime, until: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for connection_id in connection_ids:
            summary = self.summary(Scope(connection_id), since, until)
            row: dict[str, Any] = {"connection_id": connection_id, "known_s": seconds(summary["known"])}
            for name in ("share", "runs", "failures", "outages", "p50", "p95", "p99"):
                row[name] = summary[name]
            found.append(row)
        return found

    # -- for a store ---------------------------------------------------------------------------------------------------

    def test_run(self, run: Run) -> TestRun:
        """The run as it is put into a store."""
        exchange = next(link.exchange for link in self.connections if link.id == run.connection_id)
        return TestRun(
            id=run.id,
            connection_id=run.connection_id,
            exchange=exchange,
            region="global",
            environment=Environment.LIVE,
            market=Market.SPOT,
            status=run.status,
            diagnosis=Diagnosis(cause=run.cause, candidates=(run.cause,)) if run.cause else None,
            checks=tuple(
                Check(name=check, outcome=Outcome.PASS, latency_ms=run.latencies.get(check.value))
                for check in CheckName
            ),
            key_report=self.reports.get(run.id),
            confirmed_at=run.started_at if run.confirmation else None,
            clock_offset_ms=run.clock_offset_ms,
            answered_at=run.answered_at,
            started_at=run.started_at,
            duration_ms=run.duration_ms,
        )


def _overlaps(outage: Mapping[str, Any], since: datetime, until: datetime) -> bool:
    if outage["began"] >= until:
        return False
    return outage["began"] >= since or outage["ended"] is None or outage["ended"] > since


def _width(tests: Sequence[Run], buckets: int) -> timedelta:
    return (tests[-1].started_at - tests[0].started_at) // max(buckets, 1) + MICROSECOND


def quantile(values: Sequence[float], share: float) -> float | None:
    """Between neighbours, in proportion. `values` are sorted; None where there are none."""
    if not values:
        return None
    place = (len(values) - 1) * share
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def neighbours(values: Sequence[float], share: float) -> tuple[float, float]:
    """The two measured values that a percentile lies between: what an approximation has to keep to, give or take the
    width of its classes.
    """
    place = (len(values) - 1) * share
    return values[math.floor(place)], values[math.ceil(place)]


def seconds(length: timedelta) -> float:
    return length / timedelta(seconds=1)


def text_of(cause: Cause | None) -> str | None:
    return cause.value if cause else None


def zone_of(tz: tzinfo | str) -> tzinfo:
    return ZoneInfo(tz) if isinstance(tz, str) else tz


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day, in UTC. Where clocks skip midnight it is the moment in which they do."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


# -- random histories --------------------------------------------------------------------------------------------------

MOST_RUNS = 200
_STARTS = (
    datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC),
    datetime(2026, 3, 28, 12, tzinfo=UTC),  # the day before Europe's clocks go forward
    datetime(2026, 10, 24, 12, tzinfo=UTC),  # and back
    datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
)
_SHORT = (NOTHING, MICROSECOND, timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=15, microseconds=7))
_LONG = (
    timedelta(hours=1),
    timedelta(hours=5, minutes=59),
    HOLD - MICROSECOND,
    HOLD,
    HOLD + MICROSECOND,
    timedelta(hours=40),
    timedelta(days=6),
)
_BACK = (-MICROSECOND, -timedelta(minutes=10), -timedelta(hours=5), -timedelta(days=2))
_RESULTS: tuple[tuple[Status, Cause | None], ...] = (
    (Status.ONLINE, None),
    (Status.CONNECTED, None),
    (Status.FAILED, Cause.EXCHANGE_UNAVAILABLE),
    (Status.FAILED, Cause.LOCAL_NETWORK),
    (Status.FAILED, Cause.INVALID_KEY),
    (Status.FAILED, Cause.LOCATION_RESTRICTED),
    (Status.BLOCKED, Cause.WITHDRAW_ENABLED),
    (Status.BLOCKED, Cause.WITHDRAW_UNKNOWN),
)
_CHECKS = ((), ("reach",), ("reach", "key"), ("reach", "clock", "key", "balance", "trade"))
_WITHDRAW = (GrantState.DENIED, GrantState.GRANTED, GrantState.UNKNOWN)
_ADDRESSES = (("203.0.113.7",), (), ("198.51.100.9", "203.0.113.7"))


class _Spell(NamedTuple):
    """Some runs of one connection, evenly spaced, which have much in common."""

    connection: int
    length: int  # in runs
    lead: timedelta  # from the run before, whichever connection that was of
    pause: timedelta
    result: tuple[Status, Cause | None]
    checks: tuple[str, ...]
    base_us: int
    missing: int  # each so-manieth run measures nothing, 0: all measure
    offset: int | None  # tenths of a millisecond
    report: KeyReport | None
    days: int | None  # the report tells an end in so many days from each run, as exchanges do that count days
    confirmed: bool


@st.composite
def _spells(draw: st.DrawFn, connections: int) -> _Spell:
    state = draw(st.sampled_from(_WITHDRAW))
    addresses = draw(st.sampled_from(_ADDRESSES))
    report = KeyReport(
        grants={
            Permission.READ: Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED),
            Permission.SPOT_TRADE: Grant(state=draw(st.sampled_from(_WITHDRAW[1::-1])), evidence=Evidence.DECLARED),
            Permission.WITHDRAW: Grant(state=state, evidence=Evidence.DECLARED),
        },
        unknown_words=draw(st.sampled_from([(), ("CRYPTIC",)])),
        ip_restriction=IpRestriction(state=GrantState.GRANTED if addresses else GrantState.DENIED, addresses=addresses),
        expires_at=draw(st.sampled_from([None, datetime(2026, 9, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])),
        expiry_evidence=ExpiryEvidence.FIELD,
        label=draw(st.sampled_from(["bot", "other bot"])),
    )
    return _Spell(
        connection=draw(st.integers(0, connections - 1)),
        length=draw(st.integers(1, 20)),
        lead=draw(st.sampled_from((*_SHORT, *_LONG, *_BACK))),
        pause=draw(st.sampled_from((*_SHORT, *_LONG[:2]))) + draw(st.integers(0, 10**6)) * MICROSECOND,
        result=draw(st.sampled_from(_RESULTS)),
        checks=draw(st.sampled_from(_CHECKS)),
        base_us=draw(st.integers(1, 2_000_000)),
        missing=draw(st.integers(0, 3)),
        offset=draw(st.none() | st.integers(-50_000, 50_000)),
        report=draw(st.sampled_from([None, report])),
        days=draw(st.sampled_from([None, None, 30, 90])),
        confirmed=draw(st.booleans()),
    )


@st.composite
def histories(draw: st.DrawFn) -> Oracle:
    """One to three connections and up to 200 runs: clustered, with gaps, over days on which clocks change, some stored
    after this computer's clock was set back. `now` is not before the last stored run, but may be before others.
    """
    links = [Link(f"c{number}", draw(st.sampled_from(["mexc", "kucoin"]))) for number in range(draw(st.integers(1, 3)))]
    clock = draw(st.sampled_from(_STARTS))
    runs: list[Run] = []
    reports: dict[str, KeyReport] = {}
    for _ in range(draw(st.integers(0, 20))):
        spell = draw(_spells(len(links)))
        clock += spell.lead
        for number in range(spell.length):
            clock += spell.pause if number else NOTHING
            _add(runs, reports, spell, number, links[spell.connection].id, clock)
        if spell.confirmed and spell.report and spell.result[1] is Cause.WITHDRAW_UNKNOWN:
            last = runs[-1]
            clock += draw(st.sampled_from((*_SHORT, *_LONG, *_BACK)))
            runs.append(_confirmation(last, f"{len(runs):032x}", clock))
            reports[runs[-1].id] = reports[last.id]
        if len(runs) >= MOST_RUNS:
            break
    runs = runs[:MOST_RUNS]
    kept = {run.id for run in runs}
    last_at = runs[-1].started_at if runs else clock
    now = last_at + draw(st.sampled_from((*_SHORT, *_LONG)))
    return Oracle(links, runs, {key: report for key, report in reports.items() if key in kept}, now)


def _add(
    runs: list[Run], reports: dict[str, KeyReport], spell: _Spell, number: int, connection_id: str, at: datetime
) -> None:
    """One run of a spell: its numbers differ a little from those of its neighbours, whole microseconds all."""
    status, cause = spell.result
    silent = cause is Cause.LOCAL_NETWORK or (spell.missing and number % spell.missing == spell.missing - 1)
    latencies = {
        check: (spell.base_us * (10 + (number * 7 + place * 3) % 11) // 10) / 1000
        for place, check in enumerate(() if silent else spell.checks)
    }
    offset = None if silent or spell.offset is None else (spell.offset + number % 5) / 10
    run = Run(f"{len(runs):032x}", connection_id, at, status, cause, sum(latencies.values()) + 1, latencies, offset)
    runs.append(run)
    if spell.report is not None and cause is not Cause.LOCAL_NETWORK:
        report = spell.report
        if spell.days is not None:
            report = report.model_copy(update={"expires_at": at + timedelta(days=spell.days)})
        reports[run.id] = report


def _confirmation(last: Run, run_id: str, at: datetime) -> Run:
    """What the workbench stores when the trader says that withdrawal is off: the same answers, another verdict."""
    return last._replace(
        id=run_id, started_at=at, status=Status.CONNECTED, cause=None, duration_ms=0.0, answered_at=last.started_at
    )


@st.composite
def scopes(draw: st.DrawFn, history: Oracle) -> Scope:
    """Everything, an exchange, a connection, or what does not exist."""
    choices = [Scope(), Scope(exchange="mexc"), Scope(exchange="kucoin"), Scope("nobody")]
    choices += [Scope(link.id) for link in history.connections]
    return draw(st.sampled_from(choices))


@st.composite
def spans(draw: st.DrawFn, history: Oracle) -> tuple[datetime, datetime]:
    """`since` and `until`: on runs, just beside them, on the ends of what holds, on `now`, or anywhere around."""
    marks = [history.now, *(run.started_at for run in history.runs)]
    steps = (NOTHING, -MICROSECOND, MICROSECOND, HOLD, timedelta(hours=-3), timedelta(days=-9), timedelta(days=9))
    one, other = (draw(st.sampled_from(marks)) + draw(st.sampled_from(steps)) for _ in range(2))
    return (min(one, other), max(one, other))
