"""What many test runs say together: time online, outages, response times, causes, what changed on a key.

`History` answers for one connection, for an exchange, or for all, over any range of time. Its figures are pandas frames
whose columns are documented with each method; a frame without rows has the same columns and types. Times are UTC
(`datetime64[us, UTC]`), durations in seconds (`…_s`) or milliseconds (`…_ms`), texts of type `str`.

Three rules hold everywhere. Silence is not good news: a result holds until the next test of its connection, at most for
24 hours, and what comes after is unknown. A run that failed because our own network was down (`local_network`) is no
failure of the exchange, and the time after it is unknown. A confirmation by the trader changes the status, but measured
nothing.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, TypeVar
from zoneinfo import ZoneInfo

from bfai import drift as drifting
from bfai import settings
from bfai.model import CheckName, KeyReport, Status, utc_now
from bfai.record import Flow, Outage, Record, ints, micros, ranks, summed
from bfai.store import RunRow, Store, Track
from bfai.store import rollups as up
from bfai.store.rollups import np, pd

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] - only for its name

NEWEST_KEPT: Final = 500
EXACT_RUNS: Final = 5000
SUMMARY_METRICS: Final = tuple(up.CHECKS.index(check) for check in (CheckName.KEY, CheckName.REACH))
SHARES: Final = (0.5, 0.95, 0.99)

RUN_COLUMNS: Final = ("id", "connection_id", "started_at", "status", "cause", "duration_ms", "local_network")
_LATENCY_COLUMNS: Final = tuple(f"{name.value}_ms" for name in CheckName)

_SECOND = 1_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a figure is about: one connection, the connections of one exchange, or, with neither, all of them."""

    connection_id: str | None = None
    exchange: str | None = None


ALL: Final = Scope()


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a range of time, over all connections of the scope together.

    `online` of the `known` time the connections could be used; the rest of the range is `unknown`, and of that,
    `own_network` because our own network was down. `share` is online / known, None where nothing is known. `outages`
    are those that touch the range; `time_to_recover` is the mean length of those that ended. `p50`, `p95`, `p99` are
    milliseconds of the check `key`, or of `reach` where that was not measured.
    """

    online: timedelta
    known: timedelta
    unknown: timedelta
    own_network: timedelta
    share: float | None
    runs: int
    failures: int
    outages: int
    longest_outage: timedelta | None
    time_to_recover: timedelta | None
    p50: float | None
    p95: float | None
    p99: float | None


class History:
    """The figures of one owner's test runs. `now` is the clock: what comes after it is not counted as time."""

    def __init__(self, store: Store, now: Callable[[], datetime] = utc_now, *, exact_runs: int = EXACT_RUNS) -> None:
        """Percentiles of more than `exact_runs` runs, or of runs that are not kept any more, come from histograms."""
        self._store = store
        self._now = now
        self._record = Record(store, now, exact_runs)

    # What is there

    def extent(self, scope: Scope = ALL) -> tuple[datetime, datetime] | None:
        """When the first and the last run started; None without one."""
        found = self._store.ends([track.key for track in self._tracks(scope)]).values()
        return (_time(min(first for first, _ in found)), _time(max(last for _, last in found))) if found else None

    def maintain(self, pause: float = 0.002) -> None:
        """Roll up what is past, and delete old runs (see `keep`). In short steps: a test that ends meanwhile is stored.

        To be called when a program starts, and daily. It may be killed at any moment. `pause` is how many seconds
        others get between two steps. Raises `StoreError`.
        """
        while self._store.roll_up(self._now()):
            time.sleep(pause)
        self._store.retain(self._now(), self.keep, NEWEST_KEPT, pause=pause)

    @property
    def keep(self) -> timedelta:
        """How long a run is kept that changed nothing and is not among the newest of its connection; a setting."""
        return timedelta(days=settings.read(self._store).keep_runs_days)

    def _tracks(self, scope: Scope) -> tuple[Track, ...]:
        return self._record.tracks(None if scope.connection_id is None else [scope.connection_id], scope.exchange)

    def _steady(self, scope: Scope, read: Callable[[tuple[Track, ...]], _T]) -> _T:
        return self._record.steady(lambda: self._tracks(scope), read)

    def _range(self, scope: Scope, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        end = self._now() if until is None else until
        if since is None:
            found = self.extent(scope)
            since = min(found[0], end) if found else end
        return micros(since), micros(end)

    # Time and counts

    def summary(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> Summary:
        """See `Summary`. Without `since` the range begins with the first run, without `until` it ends now."""
        start, end = self._range(scope, since, until)
        flow = self._flow(scope, np.array([start, max(start, end)]))
        states = flow.held.sum(axis=(0, 1))
        online, known = int(states[up.ONLINE]), int(states[: up.OWN_NETWORK].sum())
        outages = self._record.outages(flow.tracks, start, end)
        over = [one.ended - one.began for one in outages if one.ended is not None]
        now = self._record.now()
        lengths = [_lasted(one, now) for one in outages]
        n, percentiles = self._percentiles(flow.tracks, start, end)
        check = next((metric for metric in SUMMARY_METRICS if n[metric]), SUMMARY_METRICS[0])
        p50, p95, p99 = (None if value != value else value for value in _floats_of(percentiles[check]))
        return Summary(
            online=_span(online),
            known=_span(known),
            unknown=_span(int(flow.lasted.sum()) - known),
            own_network=_span(int(states[up.OWN_NETWORK])),
            share=online / known if known else None,
            runs=int(flow.counts.runs.sum()),
            failures=int(flow.counts.failed.runs.sum()),
            outages=len(outages),
            longest_outage=_span(max(lengths)) if lengths else None,
            time_to_recover=_span(sum(over)) / len(over) if over else None,
            p50=p50,
            p95=p95,
            p99=p99,
        )

    def timeline(
        self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None, places: int = 96
    ) -> DataFrame:
        """`places` equal stretches of time, for the heartbeat strip.

        `t`, `end` (its ends), `runs` (int), `online_s`, `failed_s`, `blocked_s`, `unknown_s`, `own_network_s` (seconds,
        the last a part of the one before, over all connections), `worst` (what the worst run in it says: `blocked`,
        `failed`, `connected`, `online`, `own_network`; `no_test` without a run).
        """
        start, end = self._range(scope, since, until)
        edges = _places(start, end, places)
        flow = self._flow(scope, edges)
        states = flow.held.sum(axis=0)
        worst = _worst(flow.counts.space, flow.counts.code, places)
        unknown = flow.lasted - states[:, : up.OWN_NETWORK].sum(axis=1)
        return _frame(
            t=_times(edges[:-1]),
            end=_times(edges[1:]),
            runs=summed(flow.counts.space, flow.counts.runs, places),
            online_s=states[:, up.ONLINE] / _SECOND,
            failed_s=states[:, up.FAILED] / _SECOND,
            blocked_s=states[:, up.BLOCKED] / _SECOND,
            unknown_s=unknown / _SECOND,
            own_network_s=states[:, up.OWN_NETWORK] / _SECOND,
            worst=_texts(up.WORST_FIRST[place] for place in ints(worst)),
        )

    def timelines(self, connection_ids: Collection[str], since: datetime, until: datetime, places: int) -> DataFrame:
        """The strips of several connections at once: `connection_id`, `t`, `runs`, `online_s`, `known_s`, `worst`.

        One row for each connection, in the order given, and each of `places` equal stretches. See `timeline`.
        """
        order = {connection_id: place for place, connection_id in enumerate(connection_ids)}
        edges = _places(micros(since), micros(until), places)
        flow = self._flow_of(order, edges)
        rows = sorted(range(len(flow.tracks)), key=lambda place: order[flow.tracks[place].connection_id])
        slot = flow.counts.track * places + flow.counts.space
        size = len(rows) * places
        runs = summed(slot, flow.counts.runs, size).reshape(len(rows), places)[rows]
        worst = _worst(slot, flow.counts.code, size).reshape(len(rows), places)[rows]
        return _frame(
            connection_id=_texts(flow.tracks[row].connection_id for row in rows for _ in range(places)),
            t=_times(np.tile(edges[:-1], len(rows))),
            runs=runs.ravel(),
            online_s=flow.held[rows, :, up.ONLINE].ravel() / _SECOND,
            known_s=flow.held[rows, :, : up.OWN_NETWORK].sum(axis=2).ravel() / _SECOND,
            worst=_texts(up.WORST_FIRST[place] for place in ints(worst.ravel())),
        )

    def shares(self, connection_ids: Collection[str], since: datetime, until: datetime) -> dict[str, float | None]:
        """The share of time online of each connection that exists, 0 to 1; None where nothing is known."""
        flow = self._flow_of(connection_ids, np.array([micros(since), max(micros(since), micros(until))]))
        found: dict[str, float | None] = {}
        for track, held in zip(flow.tracks, flow.held[:, 0].tolist(), strict=True):
            known = sum(held[: up.OWN_NETWORK])
            found[track.connection_id] = held[up.ONLINE] / known if known else None
        return found

    def calendar(
        self, scope: Scope, since: datetime | None, until: datetime | None, tz: tzinfo | str = UTC
    ) -> DataFrame:
        """Each day of the viewer's zone that the range touches, up to now. `tz` may be a name such as `Europe/Zagreb`.

        `day` (date), `online_s`, `known_s` (seconds, over all connections), `share` (online / known, missing where
        nothing is known). A day has 23 or 25 hours where clocks change.
        """
        start, end = self._range(scope, since, until)
        days, edges = _days(start, min(end, self._record.now()), tz)
        flow = self._flow(scope, edges)
        states = flow.held.sum(axis=0)
        online, known = states[:, up.ONLINE], states[:, : up.OWN_NETWORK].sum(axis=1)
        with np.errstate(invalid="ignore"):
            share = np.where(known > 0, online / known, np.nan)
        return _frame(day=_objects(days), online_s=online / _SECOND, known_s=known / _SECOND, share=share)

    def causes(self, scope: Scope, since: datetime | None, until: datetime | None, tz: tzinfo | str = UTC) -> DataFrame:
        """How often what went wrong: failed runs by day and cause, without `local_network`.

        `day` (date in the viewer's zone), `cause` (text), `runs` (int); no row where there was none.
        """
        days, edges = _days(*self._range(scope, since, until), tz)
        counts = self._flow(scope, edges).counts
        failed = counts.failed
        slots, place = ranks(failed.space * 256 + failed.code)
        found: list[tuple[int, str, int]] = []
        for slot, runs in zip(ints(slots), ints(summed(place, failed.runs, len(slots))), strict=True):
            cause = up.cause_of(slot % 256)
            found.append((slot // 256, cause.value if cause else "", runs))
        found.sort()
        return _frame(
            day=_objects(days[day] for day, _, _ in found),
            cause=_texts(cause or None for _, cause, _ in found),
            runs=_ints(runs for _, _, runs in found),
        )

    def compare(self, connection_ids: Collection[str], since: datetime, until: datetime) -> DataFrame:
        """Connections side by side, in the order given; one that does not exist has no row.

        `connection_id`, `share` (0 to 1, missing where nothing is known), `known_s`, `runs`, `failures`, `outages`
        (ints), `p50`, `p95`, `p99` (ms of the check `key`, else `reach`; missing where neither was measured).
        """
        order = {connection_id: place for place, connection_id in enumerate(connection_ids)}
        start, end = micros(since), micros(until)
        flow = self._flow_of(order, np.array([start, max(start, end)]))
        tracks, failed = flow.tracks, flow.counts.failed
        online, known = flow.held[:, 0, up.ONLINE], flow.held[:, 0, : up.OWN_NETWORK].sum(axis=1)
        runs = summed(flow.counts.track, flow.counts.runs, len(tracks))
        failures = summed(failed.track, failed.runs, len(tracks))
        outages = Counter(one.track for one in self._record.outages(tracks, start, end))
        n, percentiles = self._record.percentiles(tracks, start, end, SUMMARY_METRICS, SHARES, apart=True)
        values = np.where((n[:, 0] > 0)[:, None], percentiles[:, 0], percentiles[:, 1])
        with np.errstate(invalid="ignore"):
            share = np.where(known > 0, online / known, np.nan)
        rows = sorted(range(len(tracks)), key=lambda place: order[tracks[place].connection_id])
        return _frame(
            connection_id=_texts(tracks[row].connection_id for row in rows),
            share=share[rows],
            known_s=known[rows] / _SECOND,
            runs=runs[rows],
            failures=failures[rows],
            outages=_ints(outages[row] for row in rows),
            p50=values[rows, 0],
            p95=values[rows, 1],
            p99=values[rows, 2],
        )

    def _flow_of(self, connection_ids: Collection[str], edges: Any) -> Flow:
        return self._record.steady(
            lambda: self._record.tracks(list(connection_ids)), lambda tracks: self._record.flow(tracks, edges)
        )

    def _flow(self, scope: Scope, edges: Any) -> Flow:
        return self._steady(scope, lambda tracks: self._record.flow(tracks, edges))

    # Outages

    def outages(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """Each time that the exchange could not be used, where it touches the range, by beginning.

        `connection_id`, `began`, `ended` (missing while it lasts), `seconds` (until now while it lasts), `cause` (of
        its first run). An outage begins with a change of the status to failed and ends with the first run that did not
        fail; both are when it was seen. Runs with `local_network` neither begin nor end one, nor does silence, nor do
        runs that started before the one that last set the status.
        """
        start, end = self._range(scope, since, until)
        tracks = self._tracks(scope)
        rows = sorted(self._record.outages(tracks, start, end), key=lambda one: (one.began, one.track))
        now = self._record.now()
        return _frame(
            connection_id=_texts(tracks[one.track].connection_id for one in rows),
            began=_times([one.began for one in rows]),
            ended=_times([one.ended for one in rows]),
            seconds=_floats(_lasted(one, now) / _SECOND for one in rows),
            cause=_texts(cause.value if (cause := up.cause_of(one.code)) else None for one in rows),
        )

    # Response times

    def latency(
        self,
        scope: Scope,
        check: str,
        since: datetime | None = None,
        until: datetime | None = None,
        buckets: int = 1000,
    ) -> DataFrame:
        """Response times of one check in at most `buckets` equal stretches of time, for a chart that stays light.

        `t` (start of the stretch), `p5`, `p50`, `p95` (ms, missing where nothing was measured), `n` (runs that measured
        it), `failures` (runs in which the exchange could not be used, none left out). Percentiles are interpolated
        between neighbours.

        A stretch without a run has no row. Where no run was made for more than three usual pauses, and for longer than
        one stretch, a row without values (`n` and `failures` 0) breaks the line. Runs with `local_network` and
        confirmations are left out.

        Stretches begin with the first such run of the range. Where percentiles come from histograms, they begin and end
        with whole hours, or days. `attrs["stretch_s"]` is how many seconds one is long.
        """
        return self._bands(scope, up.CHECKS.index(CheckName(check)), since, until, buckets)

    def clock(
        self, scope: Scope, since: datetime | None = None, until: datetime | None = None, buckets: int = 1000
    ) -> DataFrame:
        """By how much the exchange's clock was ahead of ours: `t`, `p5`, `p50`, `p95` (ms), as `latency` has them."""
        bands: Any = self._bands(scope, up.CLOCK_OFFSET, since, until, buckets)
        return bands[["t", "p5", "p50", "p95"]]

    def percentiles(
        self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None
    ) -> DataFrame:
        """Response times of every check that was measured: `check` (text), `n` (int), `p50`, `p95`, `p99` (ms)."""
        start, end = self._range(scope, since, until)
        n, found = self._steady(scope, lambda tracks: self._percentiles(tracks, start, end))
        measured = np.flatnonzero(n)
        return _frame(
            check=_texts(up.CHECKS[metric].value for metric in ints(measured)),
            n=n[measured],
            p50=found[measured, 0],
            p95=found[measured, 1],
            p99=found[measured, 2],
        )

    def _percentiles(self, tracks: tuple[Track, ...], since: int, until: int) -> tuple[Any, Any]:
        """By check: how many, and p50, p95, p99."""
        return self._record.percentiles(tracks, since, until, tuple(range(len(up.CHECKS))), SHARES)

    def _bands(self, scope: Scope, metric: int, since: datetime | None, until: datetime | None, buckets: int) -> Any:
        start, end = self._range(scope, since, until)
        found = self._steady(scope, lambda tracks: self._record.bands(tracks, metric, start, end, buckets))
        p5, p50, p95 = found.values.T
        frame = _frame(t=_times(found.at), p5=p5, p50=p50, p95=p95, n=found.n, failures=found.failures)
        frame.attrs["stretch_s"] = found.width / _SECOND
        return frame

    # Single runs

    def failures(
        self,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 2000,
    ) -> DataFrame:
        """The newest `limit` runs in which the exchange could not be used, oldest first.

        `t`, `connection_id`, `cause` (text), `duration_ms`, `id`. Only runs that are still kept; those that are not are
        counted in `latency`.
        """
        rows = self._steady(scope, lambda tracks: self._failed(tracks, *self._range(scope, since, until), limit))
        return _frame(
            t=_times([micros(row.started_at) for row in rows]),
            connection_id=_texts(row.connection_id for row in rows),
            cause=_texts(row.cause.value if row.cause else None for row in rows),
            duration_ms=_floats(row.duration_ms for row in rows),
            id=_texts(row.id for row in rows),
        )

    def _failed(self, tracks: tuple[Track, ...], since: int, until: int, limit: int) -> list[RunRow]:
        """The newest failed runs, looked for only where there are some."""
        events = self._record.events(tracks, since, until)
        places = np.flatnonzero(np.array(up.STATE_OF)[events.code] == up.FAILED)
        places = places[np.argsort(-events.at[places], kind="stable")]
        enough = np.cumsum(events.runs[places])
        found: list[RunRow] = []
        done = 0
        while done < len(places) and len(found) < limit:
            reached = int(enough[done - 1]) if done else 0
            until_place = int(np.searchsorted(enough, reached + limit - len(found), "left")) + 1
            now, done = places[done:until_place], until_place
            begin, end = np.maximum(events.at[now], since), np.minimum(events.at[now] + events.span[now], until)
            columns = (ints(column) for column in (events.track[now], begin, end))
            wanted: set[tuple[int, int, int]] = set(zip(*columns, strict=True))
            windows = sorted((tracks[place].key, first, last) for place, first, last in wanted)
            found += [row for row in self._store.runs_within(windows, [Status.FAILED]) if failed(row)]
        return sorted(found, key=lambda row: row.started_at)[-limit:] if limit > 0 else []

    def _rows(self, scope: Scope, since: datetime | None, until: datetime | None) -> Iterator[list[RunRow]]:
        """The runs that are kept, by time, in portions."""
        tracks = self._tracks(scope)
        begin = 0 if since is None else micros(since)
        end = up.FOREVER if until is None else micros(until)
        while ends := self._store.ends([track.key for track in tracks], begin):
            begin = max(begin, min(first for first, _ in ends.values()))
            if begin >= end:
                break
            windows = [(track.key, begin, min(begin + up.DAY, end)) for track in tracks]
            yield sorted(self._store.runs_within(windows), key=lambda row: row.started_at)
            begin += up.DAY

    # What changed on keys

    def drift(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """What was another on a key than in its key report before, by time; kept for ever.

        `t`, `connection_id`, `run_id` (of the run that saw it), `kind`, `what`, `before`, `after` (texts, as
        `bfai.drift.Drift` has them; missing where there was nothing), `worse` (bool), `text` (a `Message`).
        """
        rows: list[tuple[int, str, str, drifting.Drift]] = []
        for track, at, run_id, before, after in self._reports(scope, since, until):
            if before is not None:
                rows += [(at, track.connection_id, run_id, one) for one in drifting.drift(before, after)]
        rows.sort(key=lambda row: row[0])
        found = [row[3] for row in rows]
        return _frame(
            t=_times([row[0] for row in rows]),
            connection_id=_texts(row[1] for row in rows),
            run_id=_texts(row[2] for row in rows),
            kind=_texts(one.kind.value for one in found),
            what=_texts(one.what for one in found),
            before=_texts(one.before for one in found),
            after=_texts(one.after for one in found),
            worse=np.array([one.worse for one in found], dtype=bool),
            text=_objects(one.sentence for one in found),
        )

    def expiry(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """Days left to the end of each key over time, as corners of a line that falls by one a day.

        `t`, `connection_id`, `days_left` (missing where no end is told, which breaks the line): where the range begins,
        before and after each change of the key report, and where the range ends, or now.
        """
        start, end = self._range(scope, since, until)
        end = min(end, self._record.now())
        rows: list[tuple[str, int, float]] = []
        reports = self._reports(scope, _time(start), _time(end), first=True)
        for place, (track, at, _, _, report) in enumerate(reports):
            ends = micros(report.expires_at) if report.expires_at else None
            later = reports[place + 1] if place + 1 < len(reports) else None
            last = later[1] if later is not None and later[0] == track else end
            if later is not None and later[0] == track and last <= max(at, start):
                continue  # nothing of its time is in the range
            if ends is None:
                rows += [(track.connection_id, max(at, start), np.nan)]
            else:
                rows += [(track.connection_id, when, (ends - when) / up.DAY) for when in (max(at, start), last)]
        if rows and all(np.isnan(row[2]) for row in rows):
            rows = []
        return _frame(
            t=_times([row[1] for row in rows]),
            connection_id=_texts(row[0] for row in rows),
            days_left=_floats(row[2] for row in rows),
        )

    def _reports(
        self, scope: Scope, since: datetime | None, until: datetime | None, *, first: bool = False
    ) -> list[tuple[Track, int, str, KeyReport | None, KeyReport]]:
        """Track, time, run, report before and report, of each change in the range; with `first`, of the last before."""
        start, end = self._range(scope, since, until)
        found: list[tuple[Track, int, str, KeyReport | None, KeyReport]] = []
        last: tuple[Track, KeyReport] | None = None
        for track, at, run_id, report in self._record.reports(self._tracks(scope), start, end):
            if at >= start or first:
                found.append((track, at, run_id, last[1] if last and last[0] == track else None, report))
            last = track, report
        return found

    # Exports

    def runs_frame(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """Every run that is kept, as a row, oldest first.

        `id`, `connection_id`, `started_at`, `status`, `cause` (missing where there is none), `duration_ms` (float),
        `local_network` (bool), and for each check its latency in milliseconds, `reach_ms`, `clock_ms` … (float, missing
        where no request belongs to it).
        """
        return run_frame(row for rows in self._rows(scope, since, until) for row in rows)

    def write_csv(
        self,
        file: TextIO,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        statuses: Collection[Status] | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        """The columns of `runs_frame` as comma-separated text. Times are ISO 8601 UTC; what is missing is empty.

        With a `zone` there is one more column, `local_time`: when the run started by the clocks there.
        """
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*RUN_COLUMNS, *_LATENCY_COLUMNS, *(("local_time",) if zone else ())])
        for rows in self._rows(scope, since, until):
            for row in rows:
                if statuses is None or row.status in statuses:
                    writer.writerow([*_csv_line(row), *((_local(row, zone),) if zone else ())])

    def to_csv(
        self,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        statuses: Collection[Status] | None = None,
        zone: tzinfo | None = None,
    ) -> str:
        """What `write_csv` writes, as one text."""
        file = io.StringIO()
        self.write_csv(file, scope, since, until, statuses=statuses, zone=zone)
        return file.getvalue()

    def write_json(
        self,
        file: TextIO,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        zone: tzinfo | None = None,
    ) -> None:
        """`{"format":"bfai.history/1","runs":[…]}`, oldest first, one line a run.

        A run has `id`, `connection` (its name), `connection_id`, `started_at` (ISO 8601 UTC), `status`, `cause` (or
        null), `duration_ms`, `local_network`, `latencies_ms` (by check); with a `zone` also `local_time`.
        """
        names = {connection.id: connection.name for connection in self._store.connections()}
        file.write('{"format":"bfai.history/1","runs":[')
        between = "\n"
        for rows in self._rows(scope, since, until):
            for row in rows:
                run = {"connection": names.get(row.connection_id), **_json_run(row)}
                local = {"local_time": _local(row, zone)} if zone else {}
                file.write(between + json.dumps({**run, **local}, separators=(",", ":")))
                between = ",\n"
        file.write("\n]}\n")

    def to_json(
        self,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        zone: tzinfo | None = None,
    ) -> str:
        """What `write_json` writes, as one text."""
        file = io.StringIO()
        self.write_json(file, scope, since, until, zone=zone)
        return file.getvalue()

    def write_parquet(
        self, file: BinaryIO, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """The frame of `runs_frame` as a Parquet file."""
        import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs] - comes with Streamlit
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

        arrow: Any = pa
        schema = arrow.Table.from_pandas(run_frame([]), preserve_index=False).schema
        parquet: Any = pq
        with parquet.ParquetWriter(file, schema) as writer:
            for rows in self._rows(scope, since, until):
                if rows:
                    writer.write_table(arrow.Table.from_pandas(run_frame(rows), schema=schema, preserve_index=False))

    def to_parquet(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> bytes:
        """What `write_parquet` writes."""
        file = io.BytesIO()
        self.write_parquet(file, scope, since, until)
        return file.getvalue()


def failed(row: RunRow) -> bool:
    """Whether the exchange could not be used. `blocked` is no failure: the key works, and may do too much."""
    return row.status is Status.FAILED and not row.local_network and not row.set_aside


def run_frame(rows: Iterable[RunRow]) -> DataFrame:
    """The frame of `History.runs_frame` for these rows, in their order."""
    rows = list(rows)
    columns: dict[str, Any] = {
        "id": _texts(row.id for row in rows),
        "connection_id": _texts(row.connection_id for row in rows),
        "started_at": _times([micros(row.started_at) for row in rows]),
        "status": _texts(row.status.value for row in rows),
        "cause": _texts(row.cause.value if row.cause else None for row in rows),
        "duration_ms": _floats(row.duration_ms for row in rows),
        "local_network": np.array([row.local_network for row in rows], dtype=bool),
    }
    for name in CheckName:
        columns[f"{name.value}_ms"] = _floats(row.latencies.get(name, np.nan) for row in rows)
    return _frame(**columns)


def iso(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2026-11-21T09:00:00.000000Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _csv_line(row: RunRow) -> list[Any]:
    latencies = [row.latencies.get(name, "") for name in CheckName]
    cause = row.cause.value if row.cause else ""
    plain = [row.id, row.connection_id, iso(row.started_at), row.status.value, cause, row.duration_ms]
    return [*plain, "true" if row.local_network else "false", *latencies]


def _local(row: RunRow, zone: tzinfo) -> str:
    return row.started_at.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _json_run(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "connection_id": row.connection_id,
        "started_at": iso(row.started_at),
        "status": row.status.value,
        "cause": row.cause.value if row.cause else None,
        "duration_ms": row.duration_ms,
        "local_network": row.local_network,
        "latencies_ms": dict(row.latencies),
    }


def _days(since: int, until: int, tz: tzinfo | str) -> tuple[list[Any], Any]:
    """The days of a zone that a range touches, and the range cut where they begin."""
    if until <= since:
        return [], np.array([since], dtype=np.int64)
    tz = ZoneInfo(tz) if isinstance(tz, str) else tz
    first, last = _time(since).astimezone(tz).date(), _time(until - 1).astimezone(tz).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    starts = [micros(datetime(day.year, day.month, day.day, tzinfo=tz)) for day in days[1:]]
    return days, np.array([since, *starts, until], dtype=np.int64)


def _time(at: int) -> datetime:
    return up.EPOCH + timedelta(microseconds=at)


def _span(length: int) -> timedelta:
    return timedelta(microseconds=length)


def _lasted(one: Outage, now: int) -> int:
    return max((now if one.ended is None else one.ended) - one.began, 0)


def _places(since: int, until: int, places: int) -> Any:
    """The edges of equal stretches."""
    return since + (until - since) * np.arange(places + 1, dtype=np.int64) // max(places, 1)


def _worst(place: Any, code: Any, places: int) -> Any:
    """The badness of the worst run of each place."""
    found = np.full(places, up.WORST_FIRST.index("no_test"))
    np.minimum.at(found, place, np.array(up.BADNESS_OF)[code])
    return found


# Frames


def _frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


def _times(at: Any) -> Any:
    """Microseconds as times in UTC; None is none."""
    if isinstance(at, list):
        found: list[int | None] = [*at]  # pyright: ignore[reportUnknownArgumentType]
        at = np.array([np.iinfo(np.int64).min if one is None else one for one in found], dtype=np.int64)
    return pd.DatetimeIndex(at.astype("datetime64[us]")).tz_localize("UTC")


def _texts(values: Iterable[str | None]) -> Any:
    return pd.array(list(values), dtype="str")


def _floats(values: Iterable[float]) -> Any:
    return np.array(list(values), dtype=np.float64)


def _ints(values: Iterable[int]) -> Any:
    return np.array(list(values), dtype=np.int64)


def _floats_of(column: Any) -> list[float]:
    return column.tolist()


def _objects(values: Iterable[Any] | Iterator[Any]) -> Any:
    return pd.Series(list(values), dtype="object")
