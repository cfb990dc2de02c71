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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TextIO, TypeVar
from zoneinfo import ZoneInfo

from bfai import drift as drifting
from bfai.model import Cause, CheckName, KeyReport, Status, utc_now
from bfai.store import RunRow, Store, Track
from bfai.store import rollups as up
from bfai.store.packing import measures
from bfai.store.rollups import np, pd

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] - only for its name

KEEP_DAYS: Final = 90
NEWEST_KEPT: Final = 500
EXACT_RUNS: Final = 5000
SILENCE_FACTOR: Final = 3.0  # a pause of more than so many usual ones is a gap
SUMMARY_CHECKS: Final = (CheckName.KEY, CheckName.REACH)

RUN_COLUMNS: Final = ("id", "connection_id", "started_at", "status", "cause", "duration_ms", "local_network")
_LATENCY_COLUMNS: Final = tuple(f"{name.value}_ms" for name in CheckName)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_KEEP_SETTING = "keep_runs_days"
_TRIES = 5
_TOLD = (up.ONLINE, up.FAILED, up.BLOCKED)  # states that say something about the exchange
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


class _Flow(NamedTuple):
    """What happened in each space between edges.

    `held`: microseconds by connection, space and state. `counts`: rows of connection, space, code, runs. `lasted`: how
    long each space was, over all connections together.
    """

    tracks: Sequence[Track]
    edges: Any
    held: Any
    counts: Any
    lasted: Any


class _Rolled(NamedTuple):
    """The part of a flow that comes from roll-ups: columns of time held, and rows of counts."""

    track: Any
    space: Any
    state: Any
    held: Any
    counts: Any


class _Runs(NamedTuple):
    """Columns of runs by window and time, and the place of each window's connection among the tracks."""

    window: Any
    track_of: Any
    started_at: Any
    asked_at: Any
    code: Any
    state: Any


class _Events(NamedTuple):
    """Columns of runs: place of the track, when, code, how many, and how long from `at` on they may have started."""

    track: Any
    at: Any
    code: Any
    runs: Any
    span: Any


class _Values(NamedTuple):
    """Columns of what was measured: place of the track, when, metric, value, how often.

    `value` is milliseconds where `exact`, else the number of a bin.
    """

    track: Any
    at: Any
    metric: Any
    value: Any
    runs: Any
    exact: bool = False

    @classmethod
    def joined(cls, parts: Sequence[_Values]) -> _Values:
        return cls(
            *(np.concatenate([np.empty(0, dtype=np.int64), *part]) for part in _columns([p[:5] for p in parts], 5))
        )

    @classmethod
    def of_spaces(cls, space: Any, value: Any, runs: Any, *, exact: bool) -> _Values:
        """Values of which only the space is known that they are in; it stands for the metric."""
        return cls(space, space, space, value, runs, exact)

    def where(self, taken: Any) -> _Values:
        one, two, three, four, five = (column[taken] for column in self[:5])
        return _Values(one, two, three, four, five, self.exact)

    def of(self, metrics: Collection[int]) -> _Values:
        return self.where(np.isin(self.metric, list(metrics)))

    def binned(self) -> _Values:
        return self._replace(value=up.bins(self.value), exact=False)

    def ranked(self, group: Any, shares: Sequence[float]) -> tuple[Any, Any, Any]:
        """The groups that have values, ascending, how many each has, and its percentiles."""
        groups, place = _ranks(group)
        n = np.bincount(place, weights=self.runs, minlength=len(groups)).astype(np.int64)
        if not self.exact:
            numbers, column = _ranks(self.value)
            cells = np.bincount(place * len(numbers) + column, weights=self.runs, minlength=len(groups) * len(numbers))
            return groups, n, up.quantiles(cells.reshape(len(groups), len(numbers)), up.middle(numbers), shares)
        values = self.value[np.lexsort((self.value, place))]
        first = np.cumsum(n) - n
        found = np.empty((len(groups), len(shares)))
        for number, share in enumerate(shares):
            low = np.floor((n - 1) * share)
            below = values[first + low.astype(np.int64)]
            above = values[first + np.minimum(low + 1, n - 1).astype(np.int64)]
            found[:, number] = below + (above - below) * ((n - 1) * share - low)
        return groups, n, found


class History:
    """The figures of one owner's test runs. `now` is the clock: what comes after it is not counted as time."""

    def __init__(self, store: Store, now: Callable[[], datetime] = utc_now, *, exact_runs: int = EXACT_RUNS) -> None:
        """Percentiles of more than `exact_runs` runs, or of runs that are not kept any more, come from histograms."""
        self._store = store
        self._now = now
        self._exact_runs = exact_runs

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
        return timedelta(days=max(1, int(self._store.setting(_KEEP_SETTING, KEEP_DAYS))))

    @keep.setter
    def keep(self, keep: timedelta) -> None:
        self._store.set_setting(_KEEP_SETTING, max(1, keep.days))

    def _tracks(self, scope: Scope) -> list[Track]:
        return self._tracks_of(None if scope.connection_id is None else [scope.connection_id], scope.exchange)

    def _tracks_of(self, connection_ids: Collection[str] | None, exchange: str | None = None) -> list[Track]:
        """Roll-ups of hours that are not over yet are not looked at: the clock was set back."""
        past = self._micros_now() // up.HOUR * up.HOUR
        tracks = self._store.tracks(connection_ids, exchange)
        return [track._replace(rolled_until=min(track.rolled_until, past)) for track in tracks]

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
        flow = self._flow_of(scope, np.array([start, max(start, end)]))
        states = flow.held.sum(axis=(0, 1))
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
            unknown=_span(int(flow.lasted.sum()) - known),
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
        edges = _places(start, end, places)
        flow = self._flow_of(scope, edges)
        states = flow.held.sum(axis=0)
        worst = _worst(flow.counts[:, 1], flow.counts[:, 2], places)
        unknown = flow.lasted - states[:, : up.OWN_NETWORK].sum(axis=1)
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

    def timelines(self, connection_ids: Collection[str], since: datetime, until: datetime, places: int) -> DataFrame:
        """The strips of several connections at once: `connection_id`, `t`, `runs`, `online_s`, `known_s`, `worst`.

        One row for each connection, in the order given, and each of `places` equal stretches. See `timeline`.
        """
        order = {connection_id: place for place, connection_id in enumerate(connection_ids)}
        edges = _places(_micros(since), _micros(until), places)
        flow = self._steady(lambda: self._tracks_of(list(order)), lambda tracks: self._flow(tracks, edges))
        rows = sorted(range(len(flow.tracks)), key=lambda place: order[flow.tracks[place].connection_id])
        slot = flow.counts[:, 0] * places + flow.counts[:, 1]
        size = len(rows) * places
        runs = _summed(slot, flow.counts[:, 3], size).reshape(len(rows), places)[rows]
        worst = _worst(slot, flow.counts[:, 2], size).reshape(len(rows), places)[rows]
        return _frame(
            connection_id=_texts(flow.tracks[row].connection_id for row in rows for _ in range(places)),
            t=_times(np.tile(edges[:-1], len(rows))),
            runs=runs.ravel(),
            online_s=flow.held[rows, :, up.ONLINE].ravel() / _SECOND,
            known_s=flow.held[rows, :, : up.OWN_NETWORK].sum(axis=2).ravel() / _SECOND,
            worst=_texts(up.WORST_FIRST[place] for place in _ints_of(worst.ravel())),
        )

    def shares(self, connection_ids: Collection[str], since: datetime, until: datetime) -> dict[str, float | None]:
        """The share of time online of each connection that exists, 0 to 1; None where nothing is known."""
        edges = np.array([_micros(since), max(_micros(since), _micros(until))])
        flow = self._steady(lambda: self._tracks_of(connection_ids), lambda tracks: self._flow(tracks, edges))
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
        days, edges = _days(start, min(end, self._micros_now()), tz)
        flow = self._flow_of(scope, edges)
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
        counts = self._flow_of(scope, edges).counts
        found: dict[tuple[int, str], int] = {}
        for _, place, code, runs in _failed(counts).tolist():
            cause = up.cause_of(code)
            key = place, cause.value if cause else ""
            found[key] = found.get(key, 0) + runs
        rows = sorted(found.items())
        return _frame(
            day=_objects(days[place] for (place, _), _ in rows),
            cause=_texts(cause or None for (_, cause), _ in rows),
            runs=_ints(runs for _, runs in rows),
        )

    def compare(self, connection_ids: Collection[str], since: datetime, until: datetime) -> DataFrame:
        """Connections side by side, in the order given; one that does not exist has no row.

        `connection_id`, `share` (0 to 1, missing where nothing is known), `known_s`, `runs`, `failures`, `outages`
        (ints), `p50`, `p95`, `p99` (ms of the check `key`, else `reach`; missing where neither was measured).
        """
        order = {connection_id: place for place, connection_id in enumerate(connection_ids)}
        start, end = _micros(since), _micros(until)
        edges = np.array([start, max(start, end)])
        flow = self._steady(lambda: self._tracks_of(list(order)), lambda tracks: self._flow(tracks, edges))
        tracks = flow.tracks
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

    def _flow_of(self, scope: Scope, edges: Any) -> _Flow:
        return self._steady(lambda: self._tracks(scope), lambda tracks: self._flow(tracks, edges))

    def _micros_now(self) -> int:
        return _micros(self._now())

    def _steady(self, tracks: Callable[[], list[Track]], read: Callable[[list[Track]], _T]) -> _T:
        """What `read` makes of the tracks, read again where somebody rolled up or cleared away in the meantime."""
        known = tracks()
        found = read(known)
        for _ in range(_TRIES - 1):
            before, known = known, tracks()
            if known == before:
                break
            found = read(known)
        return found

    def _flow(self, tracks: Sequence[Track], edges: Any) -> _Flow:
        """What happened between these edges: from roll-ups where whole hours lie between two of them, else from runs.

        Of hours whose runs are not kept any more, what an edge cuts is parted in proportion, and their runs count
        where the hour begins.
        """
        spaces, now = len(edges) - 1, self._micros_now()
        if not tracks or edges[-1] <= edges[0]:
            held, counts = np.zeros((len(tracks), spaces, up.STATES), dtype=np.int64), np.empty((0, 4), dtype=np.int64)
            return _Flow(tracks, edges, held, counts, np.zeros(spaces, dtype=np.int64))
        held = np.zeros(len(tracks) * spaces * up.STATES, dtype=np.int64)
        rolled = self._rolled_hours(tracks, edges)
        slots = (rolled.track * spaces + rolled.space) * up.STATES + rolled.state
        held += np.bincount(slots, weights=rolled.held, minlength=len(held)).astype(np.int64)
        windows = _raw_windows(tracks, edges)
        runs = self._read(tracks, windows, before=True)
        begin, end = (np.array([window[place] for window in windows], dtype=np.int64) for place in (1, 2))
        pieces, space = up.split(
            up.hold(runs.window, runs.started_at, runs.asked_at, runs.state, begin, np.minimum(end, now)), edges
        )
        slots = (runs.track_of[pieces.window] * spaces + space) * up.STATES + pieces.state
        held += np.bincount(slots, weights=pieces.end - pieces.begin, minlength=len(held)).astype(np.int64)
        within = runs.started_at >= begin[runs.window]
        place = np.searchsorted(edges, runs.started_at[within], "right") - 1
        track = runs.track_of[runs.window[within]]
        counts = np.column_stack([track, place, runs.code[within], np.ones(len(place), dtype=np.int64)])
        counts = np.concatenate([rolled.counts, counts])
        return _Flow(tracks, edges, held.reshape(len(tracks), spaces, up.STATES), counts, self._lasted(tracks, edges))

    def _lasted(self, tracks: Sequence[Track], edges: Any) -> Any:
        """Microseconds of each space up to now, once for each connection that had a run before its end."""
        ends = self._store.ends([track.key for track in tracks])
        tested = sum(first < min(int(edges[-1]), self._micros_now()) for first, _ in ends.values())
        return np.maximum(np.minimum(edges[1:], self._micros_now()) - edges[:-1], 0) * tested

    def _rolled_hours(self, tracks: Sequence[Track], edges: Any) -> _Rolled:
        since, until = int(edges[0]), int(edges[-1])
        place_of = {track.key: place for place, track in enumerate(tracks)}
        rows = self._store.rolled([*place_of], since // up.DAY, max(until - 1, since) // up.DAY)
        track = np.array([place_of[row[0]] for row in rows], dtype=np.int64)
        day = np.array([row[1] for row in rows], dtype=np.int64)
        hours = day[:, None] * 24 + np.arange(24)
        begin = hours * up.HOUR
        first = np.searchsorted(edges, begin, "right") - 1
        last = np.searchsorted(edges, begin + up.HOUR, "left") - 1
        rolled_until, kept_from = (
            np.array([getattr(one, name) for one in tracks], dtype=np.int64)[track][:, None]
            for name in ("rolled_until", "kept_from")
        )
        touched = (begin < until) & (begin + up.HOUR > since) & (begin < rolled_until)
        whole = touched & (first == last) & (first >= 0) & (last < len(edges) - 1)
        cut = touched & ~whole & (begin < kept_from)
        held = up.read_held([row[2] for row in rows])
        row, hour = np.nonzero(whole)
        state = np.tile(np.arange(up.STATES), len(row))
        columns = [
            (np.repeat(track[row], up.STATES), np.repeat(first[row, hour], up.STATES), state, held[row, hour].ravel())
        ]
        if cut.any():
            columns.append(_parted(track, begin, held, np.nonzero(cut), edges))
        counts = up.read_counts([row[3] for row in rows])
        taken = (whole | (cut & (begin >= since)))[counts.row, counts.hour]
        entries = (track[counts.row], first[counts.row, counts.hour], counts.code, counts.runs)
        one, two, three, four = (np.concatenate(column) for column in zip(*columns, strict=True))
        return _Rolled(
            one,
            two,
            three,
            four,
            np.column_stack([column[taken] for column in entries]).astype(np.int64),
        )

    def _read(self, tracks: Sequence[Track], windows: Sequence[tuple[int, int, int]], *, before: bool = False) -> _Runs:
        """The runs of windows (place of the track, since, until), by window and time."""
        rows = self._store.readings(_keyed(tracks, windows), before=before)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        code, repeats = self._codes(columns[:, 2]), self._asked(columns[:, 2])
        asked_at = np.minimum(columns[:, 1], repeats)
        track_of = np.array([window[0] for window in windows], dtype=np.int64)
        return _Runs(columns[:, 0], track_of, columns[:, 1], asked_at, code, np.array(up.STATE_OF)[code])

    def _asked(self, patterns: Any) -> Any:
        """When the exchange was asked, of confirmations; of all others, for ever after."""
        known, place = np.unique(patterns, return_inverse=True)
        facts = self._store.pattern_facts(known.tolist())
        asked = [facts[number].repeats for number in known.tolist()]
        return np.array([up.FOREVER if at is None else at for at in asked], dtype=np.int64)[place]

    def _codes(self, patterns: Any) -> Any:
        known, place = np.unique(patterns, return_inverse=True)
        facts = self._store.pattern_facts(known.tolist())
        codes = [up.code(facts[number].status, facts[number].cause) for number in known.tolist()]
        return np.array(codes, dtype=np.int64)[place]

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
        place_of = {track.key: place for place, track in enumerate(tracks)}
        edges = self._store.outage_edges([*place_of], since)
        codes: list[int] = self._codes(np.array([row[2] for row in edges], dtype=np.int64)).tolist()
        found: list[tuple[int, int, int | None, int]] = []
        last: tuple[int, int, int] | None = None
        for (key, at, _), code in zip(edges, codes, strict=True):
            track, failed = place_of[key], up.STATE_OF[code] == up.FAILED
            if last is not None and (track != last[0] or not failed):
                found.append((last[0], last[1], at if track == last[0] else None, last[2]))
                last = None
            if failed and last is None:
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
        metrics = range(len(up.CHECKS))
        values = self._steady(lambda: self._tracks(scope), lambda tracks: self._values(tracks, start, end, metrics))
        groups, n, found = values.ranked(values.metric, (0.5, 0.95, 0.99))
        measured: list[int] = groups.tolist()
        return _frame(
            check=_texts(up.CHECKS[metric].value for metric in measured),
            n=n,
            p50=found[:, 0],
            p95=found[:, 1],
            p99=found[:, 2],
        )

    def _percentiles_by_track(self, tracks: Sequence[Track], since: int, until: int) -> Any:
        """The percentiles of each track, of the first of `SUMMARY_CHECKS` that was measured."""
        metrics = [up.CHECKS.index(check) for check in SUMMARY_CHECKS]
        values = self._values(tracks, since, until, metrics)
        found = np.full((len(tracks), 3), np.nan)
        groups, _, percentiles = values.ranked(values.track * 32 + values.metric, (0.5, 0.95, 0.99))
        for metric in reversed(metrics):
            mine = groups % 32 == metric
            found[groups[mine] // 32] = percentiles[mine]
        return found

    def _exactly(self, tracks: Sequence[Track], since: int, until: int) -> bool:
        """Whether the runs themselves are few enough to be looked at, and are all there."""
        windows = [(track.key, since, until) for track in tracks]
        return all(track.kept_from <= since for track in tracks) and (
            self._store.count_runs_within(windows, self._exact_runs + 1) <= self._exact_runs
        )

    def _values(self, tracks: Sequence[Track], since: int, until: int, metrics: Collection[int]) -> _Values:
        """What was measured in a range: exactly for few runs, else by histograms."""
        if until <= since:
            return _Values.joined([])
        if self._exactly(tracks, since, until):
            return self._measured(tracks, [(place, since, until) for place in range(len(tracks))], metrics)
        edges = np.array([since, until])
        found = [self._measured(tracks, _raw_windows(tracks, edges), metrics).binned()]
        days = self._store.rolled_days(_keys(tracks), -(-since // up.DAY), until // up.DAY - 1)
        found.append(_day_values(tracks, days, metrics))
        for first, last in _edge_days(tracks, since, until):
            for metric in [None] if len(metrics) > 2 else metrics:
                rows = self._store.rolled_hours(_keys(tracks), first, last, metric)
                found.append(_hour_values(tracks, rows, since, until, whole_days=False))
        return _Values.joined(found).of(metrics)

    def _measured(
        self, tracks: Sequence[Track], windows: Sequence[tuple[int, int, int]], metrics: Collection[int]
    ) -> _Values:
        """What the runs of windows (place of the track, since, until) measured."""
        rows = self._store.readings(_keyed(tracks, windows), numbers=True)
        window, started_at, pattern, numbers = (list(part) for part in zip(*rows, strict=True)) if rows else ([],) * 4
        found = measures(pattern, numbers, self._store.pattern_facts(set(pattern)), metrics)
        track = np.array([windows[number][0] for number in window], dtype=np.int64)[found.row]
        at = np.array(started_at, dtype=np.int64)[found.row]
        return _Values(track, at, found.metric, found.value, np.ones(len(at), dtype=np.int64), exact=True)

    def _events(self, tracks: Sequence[Track], since: int, until: int) -> _Events:
        """How many runs of which code, by hour where they are rolled up, else one by one."""
        edges = np.array([since, max(since, until)])
        place_of = {track.key: place for place, track in enumerate(tracks)}
        found: list[tuple[Any, ...]] = []
        if until > since:
            rows = self._store.rolled([*place_of], since // up.DAY, (until - 1) // up.DAY)
            counts = up.read_counts([row[3] for row in rows])
            track = np.array([place_of[row[0]] for row in rows], dtype=np.int64)[counts.row]
            at = (np.array([row[1] for row in rows], dtype=np.int64)[counts.row] * 24 + counts.hour) * up.HOUR
            taken = _whole_hours(tracks, track, at, since, until)
            columns = (track, at, counts.code.astype(np.int64), counts.runs, np.full(len(at), up.HOUR))
            found.append(tuple(column[taken] for column in columns))
            runs = self._read(tracks, _raw_windows(tracks, edges))
            one = np.ones(len(runs.code), dtype=np.int64)
            found.append((runs.track_of[runs.window], runs.started_at, runs.code, one, one))
        return _Events(*(np.concatenate([np.empty(0, dtype=np.int64), *part]) for part in _columns(found, 5)))

    def _bands(
        self, scope: Scope, metric: int, since: datetime | None, until: datetime | None, buckets: int
    ) -> DataFrame:
        start, end = self._range(scope, since, until)

        def read(tracks: list[Track]) -> Any:
            if self._exactly(tracks, start, end):
                return self._exact_bands(tracks, metric, start, end, max(buckets, 1))
            return self._rolled_bands(tracks, metric, start, end, max(buckets, 1))

        return self._steady(lambda: self._tracks(scope), read)

    def _exact_bands(self, tracks: Sequence[Track], metric: int, since: int, until: int, buckets: int) -> Any:
        windows = [(place, since, until) for place in range(len(tracks))]
        rows = self._store.readings(_keyed(tracks, windows), numbers=True)
        facts = self._store.pattern_facts({row[2] for row in rows})
        rows = [row for row in rows if facts[row[2]].repeats is None and facts[row[2]].cause is not Cause.LOCAL_NETWORK]
        if not rows:
            return _band_frame(np.empty((0, 6)), np.empty(0, dtype=np.int64))
        _, at, pattern, numbers = (list(part) for part in zip(*rows, strict=True))
        started_at = np.array(at, dtype=np.int64)
        found = measures(pattern, numbers, facts, [metric])
        failed = np.array(up.STATE_OF)[self._codes(np.array(pattern, dtype=np.int64))] == up.FAILED
        start = int(started_at.min())
        width = (int(started_at.max()) - start) // buckets + 1
        space = (started_at - start) // width
        values = _Values.of_spaces(space[found.row], found.value, np.ones(len(found.row), dtype=np.int64), exact=True)
        order = np.argsort(started_at, kind="stable")
        pauses = np.diff(started_at[order])
        usual = np.sort(pauses)[len(pauses) // 2] if len(pauses) else 0
        before, after = space[order][:-1], space[order][1:]
        gaps = before[(pauses > usual * SILENCE_FACTOR) & (after > before + 1)] + 1
        return _banded(values, space, failed.astype(np.int64), gaps, start + width * np.arange(buckets + 1))

    def _rolled_bands(self, tracks: Sequence[Track], metric: int, since: int, until: int, buckets: int) -> Any:
        """Bands whose stretches are whole hours, or whole days."""
        events = self._events(tracks, since, until)
        state = np.array(up.STATE_OF)[events.code]
        told = np.isin(state, _TOLD)
        if not told.any():
            return _band_frame(np.empty((0, 6)), np.empty(0, dtype=np.int64))
        first, last = int(events.at[told].min()) // up.HOUR, int(events.at[told].max()) // up.HOUR + 1
        width = -(-(last - first) // buckets)
        if width > 12:
            width, first = -(-width // 24) * 24, first // 24 * 24
            width = width if -(-(last - first) // width) <= buckets else width + 24
        edges = (first + width * np.arange(-(-(last - first) // width) + 1)) * up.HOUR
        found = [self._measured(tracks, _raw_windows(tracks, np.array([since, until])), [metric]).binned()]
        if width % 24:
            rows = self._store.rolled_hours(_keys(tracks), since // up.DAY, (until - 1) // up.DAY, metric)
            found.append(_hour_values(tracks, rows, since, until, whole_days=True))
        else:
            days = self._store.rolled_days(_keys(tracks), -(-since // up.DAY), until // up.DAY - 1)
            found.append(_day_values(tracks, days, [metric]))
            for day, until_day in _edge_days(tracks, since, until):
                rows = self._store.rolled_hours(_keys(tracks), day, until_day, metric)
                found.append(_hour_values(tracks, rows, since, until, whole_days=False))
        joined = _Values.joined(found)
        space = np.searchsorted(edges, joined.at, "right") - 1
        values = _Values.of_spaces(space, joined.value, joined.runs, exact=False)
        gaps = _silences(events.at[told] // up.HOUR, events.runs[told], first, width)
        place = np.searchsorted(edges, events.at[told], "right") - 1
        return _banded(values, place, events.runs[told] * (state[told] == up.FAILED), gaps, np.maximum(edges, since))

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
        rows = self._steady(
            lambda: self._tracks(scope), lambda tracks: self._failed(tracks, *self._range(scope, since, until), limit)
        )
        return _frame(
            t=_times([_micros(row.started_at) for row in rows]),
            connection_id=_texts(row.connection_id for row in rows),
            cause=_texts(row.cause.value if row.cause else None for row in rows),
            duration_ms=_floats(row.duration_ms for row in rows),
            id=_texts(row.id for row in rows),
        )

    def _failed(self, tracks: Sequence[Track], since: int, until: int, limit: int) -> list[RunRow]:
        """The newest failed runs, looked for only where there are some."""
        events = self._events(tracks, since, until)
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
            columns = zip(events.track[now].tolist(), begin.tolist(), end.tolist(), strict=True)
            windows = sorted(set(_keyed(tracks, list(columns))))
            found += [row for row in self._store.runs_within(windows, [Status.FAILED]) if failed(row)]
        return sorted(found, key=lambda row: row.started_at)[-limit:] if limit > 0 else []

    def _rows(self, scope: Scope, since: datetime | None, until: datetime | None) -> Iterator[list[RunRow]]:
        """The runs that are kept, by time, in portions."""
        tracks = self._tracks(scope)
        found = self._store.ends(_keys(tracks)).values()
        if not found:
            return
        begin = max(min(first for first, _ in found), _micros(since) if since else 0)
        end = min(max(last for _, last in found) + 1, _micros(until) if until else up.FOREVER)
        for start in range(begin, end, up.DAY):
            windows = [(track.key, start, min(start + up.DAY, end)) for track in tracks]
            yield sorted(self._store.runs_within(windows), key=lambda row: row.started_at)

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
        return run_frame(row for rows in self._rows(scope, since, until) for row in rows)

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
        for rows in self._rows(scope, since, until):
            writer.writerows(_csv_line(row) for row in rows if statuses is None or row.status in statuses)

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
        between = "\n"
        for rows in self._rows(scope, since, until):
            for row in rows:
                run = {"connection": names.get(row.connection_id), **_json_run(row)}
                file.write(between + json.dumps(run, separators=(",", ":")))
                between = ",\n"
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


def _csv_line(row: RunRow) -> list[Any]:
    latencies = [row.latencies.get(name, "") for name in CheckName]
    cause = row.cause.value if row.cause else ""
    plain = [row.id, row.connection_id, iso(row.started_at), row.status.value, cause, row.duration_ms]
    return [*plain, "true" if row.local_network else "false", *latencies]


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


# Where a figure is read


def _keys(tracks: Sequence[Track]) -> list[int]:
    return [track.key for track in tracks]


def _keyed(tracks: Sequence[Track], windows: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Windows with the connection's key in the place of its track's place."""
    return [(tracks[place].key, since, until) for place, since, until in windows]


def _raw_windows(tracks: Sequence[Track], edges: Any) -> list[tuple[int, int, int]]:
    """Where runs must be read: hours that an edge cuts, and what is not rolled up yet. Place of the track and ends."""
    since, until = int(edges[0]), int(edges[-1])
    cut = np.unique(edges[edges % up.HOUR != 0] // up.HOUR * up.HOUR).tolist()
    found: list[tuple[int, int, int]] = []
    for place, track in enumerate(tracks):
        hours = [hour for hour in cut if track.kept_from <= hour < track.rolled_until]
        found += [(place, max(hour, since), min(hour + up.HOUR, until)) for hour in hours]
        if max(track.rolled_until, since) < until:
            found.append((place, max(track.rolled_until, since), until))
    return found


def _limits(tracks: Sequence[Track], track: Any) -> tuple[Any, Any]:
    """`kept_from` and `rolled_until` of a column of places of tracks."""
    names = ("kept_from", "rolled_until")
    kept_from, rolled_until = (np.array([getattr(one, name) for one in tracks], dtype=np.int64) for name in names)
    return kept_from[track], rolled_until[track]


def _whole_hours(tracks: Sequence[Track], track: Any, begin: Any, since: int, until: int) -> Any:
    """Which hours are taken from roll-ups. One that the range cuts is where its runs are gone, if it begins within."""
    kept_from, rolled_until = _limits(tracks, track)
    within = (begin >= since) & (begin < until) & (begin < rolled_until)
    return within & ((begin + up.HOUR <= until) | (begin < kept_from))


def _whole_days(tracks: Sequence[Track], track: Any, day: Any) -> Any:
    """Which days are rolled up to their end."""
    return (day + 1) * up.DAY <= _limits(tracks, track)[1]


def _edge_days(tracks: Sequence[Track], since: int, until: int) -> list[tuple[int, int]]:
    """First and last of the days that the range cuts, or that are rolled up in part."""
    first, last = since // up.DAY, (until - 1) // up.DAY
    ends = min([last, *(track.rolled_until // up.DAY for track in tracks if track.rolled_until > since)])
    return [(first, last)] if ends <= first + 1 else [(first, first), (ends, last)]


def _parted(track: Any, begin: Any, held: Any, cut: tuple[Any, Any], edges: Any) -> tuple[Any, Any, Any, Any]:
    """The time of hours that edges cut, in proportion: track, space, state, microseconds."""
    since = np.maximum(begin[cut], edges[0])
    until = np.minimum(begin[cut] + up.HOUR, edges[-1])
    first = np.searchsorted(edges, since, "right") - 1
    which, space = up.spread(first, np.searchsorted(edges, until, "left") - first)
    lasted = np.minimum(until[which], edges[space + 1]) - np.maximum(since[which], edges[space])
    parts = np.rint(held[cut][which] * (lasted / up.HOUR)[:, None]).astype(np.int64)
    state = np.tile(np.arange(up.STATES), len(which))
    return np.repeat(track[cut[0]][which], up.STATES), np.repeat(space, up.STATES), state, parts.ravel()


def _day_values(tracks: Sequence[Track], rows: Sequence[tuple[int, int, bytes]], metrics: Collection[int]) -> _Values:
    """The histograms of days that are rolled up to their end."""
    place_of = {track.key: place for place, track in enumerate(tracks)}
    found = up.read_histograms([row[2] for row in rows])
    track = np.array([place_of[row[0]] for row in rows], dtype=np.int64)[found.row]
    day = np.array([row[1] for row in rows], dtype=np.int64)[found.row]
    return (
        _Values(track, day * up.DAY, found.key, found.bin, found.runs)
        .where(_whole_days(tracks, track, day))
        .of(metrics)
    )


def _hour_values(
    tracks: Sequence[Track], rows: Sequence[tuple[int, int, int, bytes]], since: int, until: int, *, whole_days: bool
) -> _Values:
    """The histograms of whole hours; without `whole_days`, of those that are not in a whole day of the range."""
    place_of = {track.key: place for place, track in enumerate(tracks)}
    found = up.read_histograms([row[3] for row in rows])
    track, metric, day = (np.array(column, dtype=np.int64) for column in _columns([row[:3] for row in rows], 3))
    track = np.array([place_of[key] for key in track.tolist()], dtype=np.int64)[found.row]
    day = day[found.row]
    begin = (day * 24 + found.key) * up.HOUR
    taken = _whole_hours(tracks, track, begin, since, until)
    if not whole_days:
        inside = (day * up.DAY >= since) & ((day + 1) * up.DAY <= until)
        taken &= ~(inside & _whole_days(tracks, track, day))
    return _Values(track, begin, metric[found.row], found.bin, found.runs).where(taken)


def _silences(hours: Any, runs: Any, first: int, width: int) -> Any:
    """The stretches (of `width` hours from `first` on) with which a silence begins, by how many runs an hour had.

    The runs of an hour are taken to be spread evenly, which is all that is known of them.
    """
    hour, place = _ranks(hours)
    n = np.bincount(place, weights=runs)
    even = 1 / n
    last = np.diff(hour) - (1 - even[:-1])
    pauses, weights = np.concatenate([even, last]), np.concatenate([n - 1, np.ones(len(last))])
    order = np.argsort(pauses)
    reached = np.cumsum(weights[order])
    usual = pauses[order][np.searchsorted(reached, reached[-1] / 2)] if reached[-1] else 0.0
    space = (hour - first) // width
    return space[:-1][(last > usual * SILENCE_FACTOR) & (space[1:] > space[:-1] + 1)] + 1


def _ranks(numbers: Any) -> tuple[Any, Any]:
    """The different numbers of a column, ascending, and the place of each row's number among them.

    As `np.unique` gives them, without sorting: these are whole numbers that lie near each other.
    """
    if not len(numbers):
        return numbers, numbers
    lowest = numbers.min()
    there = np.bincount(numbers - lowest) > 0
    return np.flatnonzero(there) + lowest, (np.cumsum(there) - 1)[numbers - lowest]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """The columns of rows, also of none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _days(since: int, until: int, tz: tzinfo | str) -> tuple[list[Any], Any]:
    """The days of a zone that a range touches, and the range cut where they begin."""
    if until <= since:
        return [], np.array([since], dtype=np.int64)
    tz = ZoneInfo(tz) if isinstance(tz, str) else tz
    first, last = _time(since).astimezone(tz).date(), _time(until - 1).astimezone(tz).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    starts = [_micros(datetime(day.year, day.month, day.day, tzinfo=tz)) for day in days[1:]]
    return days, np.array([since, *starts, until], dtype=np.int64)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _span(micros: int) -> timedelta:
    return timedelta(microseconds=micros)


def _lasted(began: int, ended: int | None, now: int) -> int:
    return max((now if ended is None else ended) - began, 0)


def _places(since: int, until: int, places: int) -> Any:
    """The edges of equal stretches."""
    return since + (until - since) * np.arange(places + 1, dtype=np.int64) // max(places, 1)


def _worst(place: Any, code: Any, places: int) -> Any:
    """The badness of the worst run of each place."""
    found = np.full(places, up.WORST_FIRST.index("no_test"))
    np.minimum.at(found, place, np.array(up.BADNESS_OF)[code])
    return found


def _failed(counts: Any) -> Any:
    return counts[np.array(up.STATE_OF)[counts[:, 2]] == up.FAILED]


def _summed(place: Any, n: Any, places: int) -> Any:
    return np.bincount(place, weights=n, minlength=places).astype(np.int64)


# Frames


def _frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


def _banded(values: _Values, space: Any, failures: Any, gaps: Any, edges: Any) -> Any:
    """Bands of the values by space. `space` and `failures` are columns of runs, `gaps` the spaces of empty rows."""
    spaces = np.unique(space)
    rows = np.zeros((len(spaces), 6))
    rows[:, 0], rows[:, 1:4] = spaces, np.nan
    groups, n, bands = values.ranked(values.metric, (0.05, 0.5, 0.95))
    mine = np.searchsorted(spaces, groups)
    rows[mine, 1:4], rows[mine, 4] = bands, n
    rows[:, 5] = np.bincount(np.searchsorted(spaces, space), weights=failures, minlength=len(spaces))
    empty = np.zeros((len(gaps), 6))
    empty[:, 0], empty[:, 1:4] = gaps, np.nan
    rows = np.concatenate([rows, empty])
    return _band_frame(rows[np.argsort(rows[:, 0], kind="stable")], edges)


def _band_frame(rows: Any, edges: Any) -> Any:
    frame = _frame(
        t=_times(edges[rows[:, 0].astype(np.int64)]),
        p5=rows[:, 1],
        p50=rows[:, 2],
        p95=rows[:, 3],
        n=rows[:, 4].astype(np.int64),
        failures=rows[:, 5].astype(np.int64),
    )
    frame.attrs["stretch_s"] = float(edges[-1] - edges[-2]) / _SECOND if len(edges) > 1 else 0.0
    return frame


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
