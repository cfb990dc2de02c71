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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TextIO

from bfai import drift as drifting
from bfai.model import CheckName, KeyReport, Status, utc_now
from bfai.store import PatternFacts, RunRow, Store, Track
from bfai.store import rollups as up
from bfai.store.packing import unpack_latencies, unpack_number
from bfai.store.rollups import np, pd

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] - only for its name

SILENCE_FACTOR: Final = 3.0  # a pause of more than so many usual ones is a gap
SUMMARY_CHECKS: Final = (CheckName.KEY, CheckName.REACH)

RUN_COLUMNS: Final = ("id", "connection_id", "started_at", "status", "cause", "duration_ms", "local_network")
_LATENCY_COLUMNS: Final = tuple(f"{name.value}_ms" for name in CheckName)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_NOTHING = float("nan")


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


class _Flow(NamedTuple):
    """What happened in each space between edges.

    `held`: microseconds by connection, space and state. `counts`: rows of (connection, space, code, runs).
    """

    tracks: Sequence[Track]
    edges: Any
    held: Any
    counts: Any


class _Runs(NamedTuple):
    """Columns of runs by connection and time. `track` is the place of the connection among the tracks."""

    track: Any
    started_at: Any
    pattern: Any
    code: Any
    state: Any


class History:
    """The figures of one owner's test runs. `now` is the clock: what comes after it is not counted as time."""

    def __init__(self, store: Store, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._now = now

    # What is there

    def extent(self, scope: Scope = ALL) -> tuple[datetime, datetime] | None:
        """When the first and the last run started; None without one."""
        found = self._store.ends([track.key for track in self._tracks(scope)])
        return None if found is None else (_time(found[0]), _time(found[1]))

    def _tracks(self, scope: Scope) -> list[Track]:
        ids = None if scope.connection_id is None else [scope.connection_id]
        return self._store.tracks(ids, scope.exchange)

    def _range(self, scope: Scope, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        end = self._now() if until is None else until
        if since is None:
            found = self.extent(scope)
            since = min(found[0], end) if found else end
        return _micros(since), _micros(end)

    # Time and counts

    def summary(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> Summary:
        """See `Summary`. Without `since` the range begins with the first run, without `until` it ends now."""
        start, end = self._range(scope, since, until)
        flow = self._flow(self._tracks(scope), np.array([start, max(start, end)]))
        states = flow.held.sum(axis=(0, 1))
        lasted = self._spans(flow, start, end)
        online, known = int(states[up.ONLINE]), int(states[: up.OWN_NETWORK].sum())
        outages = self._outages(flow.tracks, start, end)
        over = [ended - began for _, began, ended, _ in outages if ended is not None]
        lengths = [_lasted(began, ended, self._micros_now()) for _, began, ended, _ in outages]
        values: Any = self.percentiles(scope, _time(start), _time(end))
        values = values.set_index("check")
        check = next((name.value for name in SUMMARY_CHECKS if name.value in values.index), None)
        latencies: list[float | None] = [None] * 3
        if check is not None:
            latencies = [float(values.loc[check, name]) for name in ("p50", "p95", "p99")]
        return Summary(
            online=_span(online),
            known=_span(known),
            unknown=_span(int(lasted.sum()) - known),
            own_network=_span(int(states[up.OWN_NETWORK])),
            share=online / known if known else None,
            runs=int(flow.counts[:, 3].sum()),
            failures=int(_failed(flow.counts)[:, 3].sum()),
            outages=len(outages),
            longest_outage=_span(max(lengths)) if lengths else None,
            time_to_recover=_span(sum(over)) / len(over) if over else None,
            p50=latencies[0],
            p95=latencies[1],
            p99=latencies[2],
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
        edges = start + (end - start) * np.arange(places + 1, dtype=np.int64) // max(places, 1)
        flow = self._flow(self._tracks(scope), edges)
        states = flow.held.sum(axis=0)
        worst = np.full(places, up.WORST_FIRST.index("no_test"))
        badness = np.array(up.BADNESS_OF)
        np.minimum.at(worst, flow.counts[:, 1], badness[flow.counts[:, 2]])
        unknown = self._spans(flow, start, end) - states[:, : up.OWN_NETWORK].sum(axis=1)
        return _frame(
            t=_times(edges[:-1]),
            end=_times(edges[1:]),
            runs=_summed(flow.counts[:, 1], flow.counts[:, 3], places),
            online_s=states[:, up.ONLINE] / _SECOND,
            failed_s=states[:, up.FAILED] / _SECOND,
            blocked_s=states[:, up.BLOCKED] / _SECOND,
            unknown_s=unknown / _SECOND,
            own_network_s=states[:, up.OWN_NETWORK] / _SECOND,
            worst=_texts(up.WORST_FIRST[place] for place in _ints_of(worst)),
        )

    def calendar(self, scope: Scope, since: datetime | None, until: datetime | None, tz: tzinfo = UTC) -> DataFrame:
        """Each day of the viewer's zone that the range touches.

        `day` (date), `online_s`, `known_s` (seconds, over all connections), `share` (online / known, missing where
        nothing is known). A day has 23 or 25 hours where clocks change.
        """
        days, edges = _days(*self._range(scope, since, until), tz)
        flow = self._flow(self._tracks(scope), edges)
        states = flow.held.sum(axis=0)
        online, known = states[:, up.ONLINE], states[:, : up.OWN_NETWORK].sum(axis=1)
        with np.errstate(invalid="ignore"):
            share = np.where(known > 0, online / known, np.nan)
        return _frame(day=_objects(days), online_s=online / _SECOND, known_s=known / _SECOND, share=share)

    def causes(self, scope: Scope, since: datetime | None, until: datetime | None, tz: tzinfo = UTC) -> DataFrame:
        """How often what went wrong: failed and blocked runs by day and cause, without `local_network`.

        `day` (date in the viewer's zone), `cause` (text), `runs` (int); no row where there was none.
        """
        days, edges = _days(*self._range(scope, since, until), tz)
        counts = self._flow(self._tracks(scope), edges).counts
        wrong = np.isin(np.array(up.STATE_OF)[counts[:, 2]], (up.FAILED, up.BLOCKED))
        found: dict[tuple[int, str], int] = {}
        for _, place, code, runs in counts[wrong].tolist():
            cause = up.cause_of(code)
            if cause is not None:
                found[place, cause.value] = found.get((place, cause.value), 0) + runs
        rows = sorted(found.items())
        return _frame(
            day=_objects(days[place] for (place, _), _ in rows),
            cause=_texts(cause for (_, cause), _ in rows),
            runs=_ints(runs for _, runs in rows),
        )

    def compare(self, connection_ids: Collection[str], since: datetime, until: datetime) -> DataFrame:
        """Connections side by side, in the order given; one that does not exist has no row.

        `connection_id`, `share` (0 to 1, missing where nothing is known), `known_s`, `runs`, `failures`, `outages`
        (ints), `p50`, `p95`, `p99` (ms of the check `key`, else `reach`; missing where neither was measured).
        """
        order = {connection_id: place for place, connection_id in enumerate(connection_ids)}
        tracks = self._store.tracks(list(order))
        start, end = _micros(since), _micros(until)
        flow = self._flow(tracks, np.array([start, max(start, end)]))
        online, known = flow.held[:, 0, up.ONLINE], flow.held[:, 0, : up.OWN_NETWORK].sum(axis=1)
        runs = _summed(flow.counts[:, 0], flow.counts[:, 3], len(tracks))
        failed = _failed(flow.counts)
        failures = _summed(failed[:, 0], failed[:, 3], len(tracks))
        outages = [track for track, _, _, _ in self._outages(tracks, start, end)]
        values = self._percentiles_by_track(tracks, start, end)
        with np.errstate(invalid="ignore"):
            share = np.where(known > 0, online / known, np.nan)
        rows = sorted(range(len(tracks)), key=lambda place: order[tracks[place].connection_id])
        return _frame(
            connection_id=_texts(tracks[row].connection_id for row in rows),
            share=share[rows],
            known_s=known[rows] / _SECOND,
            runs=runs[rows],
            failures=failures[rows],
            outages=_ints(outages.count(row) for row in rows),
            p50=values[rows, 0],
            p95=values[rows, 1],
            p99=values[rows, 2],
        )

    def _spans(self, flow: _Flow, start: int, end: int) -> Any:
        """Microseconds of each space up to now, once for each connection that had a run before the range ended."""
        tested = sum(self._store.ends([track.key]) is not None for track in flow.tracks)
        now = self._micros_now()
        return np.maximum(np.minimum(flow.edges[1:], now) - flow.edges[:-1], 0) * tested

    def _micros_now(self) -> int:
        return _micros(self._now())

    def _flow(self, tracks: Sequence[Track], edges: Any) -> _Flow:
        spaces, since, until = len(edges) - 1, int(edges[0]), int(edges[-1])
        runs = self._read(tracks, [(place, since, until) for place in range(len(tracks))], before=True)
        ends = np.full(len(tracks), min(until, self._micros_now()))
        pieces, space = up.split(
            up.hold(runs.track, runs.started_at, runs.state, np.full(len(tracks), since), ends), edges
        )
        slots = (pieces.window * spaces + space) * up.STATES + pieces.state
        held = np.bincount(slots, weights=pieces.end - pieces.begin, minlength=len(tracks) * spaces * up.STATES)
        within = runs.started_at >= since
        place = np.searchsorted(edges, runs.started_at[within], "right") - 1
        counts = np.column_stack([runs.track[within], place, runs.code[within], np.ones(len(place), dtype=np.int64)])
        return _Flow(tracks, edges, held.astype(np.int64).reshape(len(tracks), spaces, up.STATES), counts)

    def _read(self, tracks: Sequence[Track], windows: Sequence[tuple[int, int, int]], *, before: bool = False) -> _Runs:
        """The runs of windows (place of the track, since, until), which are sorted by track and time."""
        keyed = [(tracks[place].key, since, until) for place, since, until in windows]
        rows = self._store.readings(keyed, before=before)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        track = np.array([window[0] for window in windows], dtype=np.int64)[columns[:, 0]]
        code = self._codes(columns[:, 2])
        return _Runs(track, columns[:, 1], columns[:, 2], code, np.array(up.STATE_OF)[code])

    def _codes(self, patterns: Any) -> Any:
        known, place = np.unique(patterns, return_inverse=True)
        facts = self._store.pattern_facts(known.tolist())
        codes = [up.code(facts[number].status, facts[number].cause) for number in known.tolist()]
        return np.array(codes, dtype=np.int64)[place]

    # Outages

    def outages(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """Each time that the exchange could not be used, where it touches the range, by beginning.

        `connection_id`, `began`, `ended` (missing while it lasts), `seconds` (until now while it lasts), `cause` (of
        its first run). An outage begins with the first failed run and ends with the first that did not fail; both are
        when it was seen. Runs with `local_network` neither begin nor end one.
        """
        start, end = self._range(scope, since, until)
        tracks = self._tracks(scope)
        rows = sorted(self._outages(tracks, start, end), key=lambda row: (row[1], row[0]))
        now = self._micros_now()
        return _frame(
            connection_id=_texts(tracks[row[0]].connection_id for row in rows),
            began=_times([row[1] for row in rows]),
            ended=_times([row[2] for row in rows]),
            seconds=_floats(_lasted(row[1], row[2], now) / _SECOND for row in rows),
            cause=_texts(cause.value if (cause := up.cause_of(row[3])) else None for row in rows),
        )

    def _outages(self, tracks: Sequence[Track], since: int, until: int) -> list[tuple[int, int, int | None, int]]:
        """Place of the track, beginning, end, code of the first run; of those that touch the range."""
        runs = self._read(tracks, [(place, 0, up.FOREVER) for place in range(len(tracks))])
        told = np.isin(runs.state, (up.ONLINE, up.FAILED, up.BLOCKED))
        found: list[tuple[int, int, int | None, int]] = []
        last: tuple[int, int, int] | None = None
        columns = (column[told].tolist() for column in (runs.track, runs.started_at, runs.state, runs.code))
        for track, at, state, code in zip(*columns, strict=True):
            if last is not None and (track != last[0] or state != up.FAILED):
                found.append((last[0], last[1], at if track == last[0] else None, last[2]))
                last = None
            if state == up.FAILED and last is None:
                last = track, at, code
        if last is not None:
            found.append((last[0], last[1], None, last[2]))
        return [row for row in found if row[1] < until and (row[2] is None or row[2] > since)]

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
        found: list[tuple[Any, ...]] = []
        tracks = self._tracks(scope)
        for place, name in enumerate(up.CHECKS):
            values = np.sort(self._values(tracks, place, start, end)[1])
            if len(values):
                found.append((name.value, len(values), *np.quantile(values, [0.5, 0.95, 0.99])))
        return _frame(
            check=_texts(row[0] for row in found),
            n=_ints(row[1] for row in found),
            **{name: _floats(row[place] for row in found) for place, name in enumerate(("p50", "p95", "p99"), 2)},
        )

    def _percentiles_by_track(self, tracks: Sequence[Track], since: int, until: int) -> Any:
        found = np.full((len(tracks), 3), np.nan)
        for place, track in enumerate(tracks):
            for check in SUMMARY_CHECKS:
                values = self._values([track], up.CHECKS.index(check), since, until)[1]
                if len(values):
                    found[place] = np.quantile(values, [0.5, 0.95, 0.99])
                    break
        return found

    def _values(self, tracks: Sequence[Track], metric: int, since: int, until: int) -> tuple[Any, Any]:
        """Start and value of every run that measured it."""
        started_at, values, _ = self._measured(tracks, metric, since, until)
        known = ~np.isnan(values)
        return started_at[known], values[known]

    def _measured(self, tracks: Sequence[Track], metric: int, since: int, until: int) -> tuple[Any, Any, Any]:
        """Start, value (or not a number) and whether it failed, of every run that tested the exchange, by time."""
        rows = self._store.readings([(track.key, since, until) for track in tracks], whole=True)
        facts = self._store.pattern_facts({row[2] for row in rows})
        found: list[tuple[int, float, bool]] = []
        for _, at, pattern, numbers, _, _ in rows:
            known = facts[pattern]
            state = up.STATE_OF[up.code(known.status, known.cause)]
            if known.repeats or state == up.OWN_NETWORK:
                continue
            found.append((at, _value(known, numbers, metric), state == up.FAILED))
        found.sort(key=lambda row: row[0])
        at, value, failed = zip(*found, strict=True) if found else ((), (), ())
        return np.array(at, dtype=np.int64), np.array(value, dtype=float), np.array(failed, dtype=bool)

    def _bands(
        self, scope: Scope, metric: int, since: datetime | None, until: datetime | None, buckets: int
    ) -> DataFrame:
        started_at, values, failed = self._measured(self._tracks(scope), metric, *self._range(scope, since, until))
        if not len(started_at):
            return _band_frame(np.empty((0, 6)), 0, 1)
        start = int(started_at[0])
        width = (int(started_at[-1]) - start) // max(buckets, 1) + 1
        place = (started_at - start) // width
        rows: list[tuple[float, ...]] = []
        firsts = np.flatnonzero(np.diff(place, prepend=-1))
        for first, last in zip(firsts.tolist(), [*firsts[1:].tolist(), len(place)], strict=True):
            mine = values[first:last]
            mine = mine[~np.isnan(mine)]
            bands = np.quantile(mine, [0.05, 0.5, 0.95]) if len(mine) else [np.nan] * 3
            rows.append((float(place[first]), *bands, len(mine), int(failed[first:last].sum())))
        pauses = np.diff(started_at)
        usual = int(np.sort(pauses)[len(pauses) // 2]) if len(pauses) else 0
        silent = (pauses > usual * SILENCE_FACTOR) & (place[1:] > place[:-1] + 1)
        rows += [(gap + 1.0, *[np.nan] * 3, 0, 0) for gap in place[:-1][silent].tolist()]
        return _band_frame(np.array(sorted(rows, key=lambda row: row[0])), start, width)

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
        rows = [row for row in self._rows(scope, since, until) if failed(row)][-limit:]
        return _frame(
            t=_times([_micros(row.started_at) for row in rows]),
            connection_id=_texts(row.connection_id for row in rows),
            cause=_texts(row.cause.value if row.cause else None for row in rows),
            duration_ms=_floats(row.duration_ms for row in rows),
            id=_texts(row.id for row in rows),
        )

    def _rows(self, scope: Scope, since: datetime | None, until: datetime | None) -> list[RunRow]:
        if scope == ALL:
            return self._store.runs(since=since, until=until, newest_first=False)
        found = [
            row
            for track in self._tracks(scope)
            for row in self._store.runs(track.connection_id, since=since, until=until, newest_first=False)
        ]
        return sorted(found, key=lambda row: row.started_at)

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
        end = min(end, self._micros_now())
        rows: list[tuple[str, int, float]] = []
        reports = self._reports(scope, _time(start), _time(end), first=True)
        for place, (track, at, _, _, report) in enumerate(reports):
            ends = _micros(report.expires_at) if report.expires_at else None
            later = reports[place + 1] if place + 1 < len(reports) else None
            last = later[1] if later is not None and later[0] == track else end
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
        tracks = {track.key: track for track in self._tracks(scope)}
        found: list[tuple[Track, int, str, KeyReport | None, KeyReport]] = []
        last: tuple[int, KeyReport] | None = None
        for key, at, run_id, body in self._store.report_changes(list(tracks), start, end):
            report = KeyReport.model_validate_json(body)
            if at >= start or first:
                found.append((tracks[key], at, run_id, last[1] if last and last[0] == key else None, report))
            last = key, report
        return found

    # Exports

    def runs_frame(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> DataFrame:
        """Every run that is kept, as a row, oldest first.

        `id`, `connection_id`, `started_at`, `status`, `cause` (missing where there is none), `duration_ms` (float),
        `local_network` (bool), and for each check its latency in milliseconds, `reach_ms`, `clock_ms` … (float, missing
        where no request belongs to it).
        """
        return run_frame(self._rows(scope, since, until))

    def write_csv(
        self,
        file: TextIO,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        statuses: Collection[Status] | None = None,
    ) -> None:
        """The columns of `runs_frame` as comma-separated text. Times are ISO 8601 UTC; what is missing is empty."""
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*RUN_COLUMNS, *_LATENCY_COLUMNS])
        for row in self._rows(scope, since, until):
            if statuses is None or row.status in statuses:
                latencies = [row.latencies.get(name, "") for name in CheckName]
                cause = row.cause.value if row.cause else ""
                network = "true" if row.local_network else "false"
                plain = [row.id, row.connection_id, iso(row.started_at), row.status.value, cause, row.duration_ms]
                writer.writerow([*plain, network, *latencies])

    def to_csv(
        self,
        scope: Scope = ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        statuses: Collection[Status] | None = None,
    ) -> str:
        """What `write_csv` writes, as one text."""
        file = io.StringIO()
        self.write_csv(file, scope, since, until, statuses=statuses)
        return file.getvalue()

    def write_json(
        self, file: TextIO, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """`{"format":"bfai.history/1","runs":[…]}`, oldest first, one line a run.

        A run has `id`, `connection` (its name), `connection_id`, `started_at` (ISO 8601 UTC), `status`, `cause` (or
        null), `duration_ms`, `local_network`, `latencies_ms` (by check).
        """
        names = {connection.id: connection.name for connection in self._store.connections()}
        file.write('{"format":"bfai.history/1","runs":[')
        for place, row in enumerate(self._rows(scope, since, until)):
            run: dict[str, Any] = {
                "id": row.id,
                "connection": names.get(row.connection_id),
                "connection_id": row.connection_id,
                "started_at": iso(row.started_at),
                "status": row.status.value,
                "cause": row.cause.value if row.cause else None,
                "duration_ms": row.duration_ms,
                "local_network": row.local_network,
                "latencies_ms": dict(row.latencies),
            }
            file.write((",\n" if place else "\n") + json.dumps(run, separators=(",", ":")))
        file.write("\n]}\n")

    def to_json(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> str:
        """What `write_json` writes, as one text."""
        file = io.StringIO()
        self.write_json(file, scope, since, until)
        return file.getvalue()

    def write_parquet(
        self, file: BinaryIO, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """The frame of `runs_frame` as a Parquet file."""
        frame: Any = self.runs_frame(scope, since, until)
        frame.to_parquet(file, index=False)

    def to_parquet(self, scope: Scope = ALL, since: datetime | None = None, until: datetime | None = None) -> bytes:
        """What `write_parquet` writes."""
        file = io.BytesIO()
        self.write_parquet(file, scope, since, until)
        return file.getvalue()


def failed(row: RunRow) -> bool:
    """Whether the exchange could not be used. `blocked` is no failure: the key works, and may do too much."""
    return row.status is Status.FAILED and not row.local_network


def run_frame(rows: Iterable[RunRow]) -> DataFrame:
    """The frame of `History.runs_frame` for these rows, in their order."""
    rows = list(rows)
    columns: dict[str, Any] = {
        "id": _texts(row.id for row in rows),
        "connection_id": _texts(row.connection_id for row in rows),
        "started_at": _times([_micros(row.started_at) for row in rows]),
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


def _value(facts: PatternFacts, numbers: bytes, metric: int) -> float:
    if metric != up.CLOCK_OFFSET:
        return unpack_latencies(facts.timed, numbers).get(up.CHECKS[metric].value, _NOTHING)
    return _NOTHING if facts.clock is None else unpack_number(numbers, facts.clock)


def _days(since: int, until: int, tz: tzinfo) -> tuple[list[Any], Any]:
    """The days of a zone that a range touches, and the range cut where they begin."""
    first, last = _time(since).astimezone(tz).date(), _time(max(since, until - 1)).astimezone(tz).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    starts = [_micros(datetime(day.year, day.month, day.day, tzinfo=tz)) for day in days[1:]]
    return days, np.array([since, *starts, max(since, until)], dtype=np.int64)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _span(micros: int) -> timedelta:
    return timedelta(microseconds=micros)


def _lasted(began: int, ended: int | None, now: int) -> int:
    return max((now if ended is None else ended) - began, 0)


def _failed(counts: Any) -> Any:
    return counts[np.array(up.STATE_OF)[counts[:, 2]] == up.FAILED]


def _summed(place: Any, n: Any, places: int) -> Any:
    return np.bincount(place, weights=n, minlength=places).astype(np.int64)


# Frames


def _frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


def _band_frame(rows: Any, start: int, width: int) -> Any:
    return _frame(
        t=_times(start + width * rows[:, 0].astype(np.int64)),
        p5=rows[:, 1],
        p50=rows[:, 2],
        p95=rows[:, 3],
        n=rows[:, 4].astype(np.int64),
        failures=rows[:, 5].astype(np.int64),
    )


def _times(micros: Any) -> Any:
    """Microseconds as times in UTC; None is none."""
    if isinstance(micros, list):
        found: list[int | None] = [*micros]  # pyright: ignore[reportUnknownArgumentType]
        micros = np.array([np.iinfo(np.int64).min if at is None else at for at in found], dtype=np.int64)
    return pd.DatetimeIndex(micros.astype("datetime64[us]")).tz_localize("UTC")


def _texts(values: Iterable[str | None]) -> Any:
    return pd.array(list(values), dtype="str")


def _floats(values: Iterable[float]) -> Any:
    return np.array(list(values), dtype=np.float64)


def _ints(values: Iterable[int]) -> Any:
    return np.array(list(values), dtype=np.int64)


def _ints_of(column: Any) -> list[int]:
    return column.tolist()


def _objects(values: Iterable[Any] | Iterator[Any]) -> Any:
    return pd.Series(list(values), dtype="object")
