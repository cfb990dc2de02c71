"""What the runs and roll-ups of a store say together, as columns of numbers. `bfai.history` makes frames of them.

Roll-ups are taken where whole hours (or days) lie within what is asked for, runs for the rest: hours that an edge cuts,
and what is not rolled up yet. Times are whole microseconds since 1970 UTC; a connection is named by its place among the
tracks that were asked about. The rules of `bfai.store.rollups` hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar, cast

from bfai.model import Cause, KeyReport
from bfai.store import RowDamaged, Store, Track, sound
from bfai.store import rollups as up
from bfai.store.packing import measures
from bfai.store.rollups import np

SILENCE_FACTOR: Final = 3.0  # a pause of more than so many usual ones is a gap
TOLD: Final = (up.ONLINE, up.FAILED, up.BLOCKED)
"""States that say something about the exchange."""

_TRIES = 5
_MOST_KEPT = 64
_HALF_A_DAY = 12
_T = TypeVar("_T")

Window = tuple[int, int, int]
"""Place of the track, since, until."""


class Counts(NamedTuple):
    """Columns: place of the track, space between edges, code, how many runs."""

    track: Any
    space: Any
    code: Any
    runs: Any

    @property
    def failed(self) -> Counts:
        taken = np.array(up.STATE_OF)[self.code] == up.FAILED
        return Counts(*(column[taken] for column in self))


class Flow(NamedTuple):
    """What happened in each space between edges.

    `held`: microseconds by track, space and state. `lasted`: how long each space was, over all tracks together.
    """

    tracks: tuple[Track, ...]
    edges: Any
    held: Any
    counts: Counts
    lasted: Any


class Events(NamedTuple):
    """Columns of runs: place of the track, when, code, how many, and how long from `at` on they may have started."""

    track: Any
    at: Any
    code: Any
    runs: Any
    span: Any


class Outage(NamedTuple):
    """Place of the track, its ends (None while it lasts), and the code of the run with which it began."""

    track: int
    began: int
    ended: int | None
    code: int


class Bands(NamedTuple):
    """Columns: when a stretch begins, p5, p50 and p95 by stretch, how many measured, how many failed; and how long
    (microseconds) a stretch is.
    """

    at: Any
    values: Any
    n: Any
    failures: Any
    width: int


class _Runs(NamedTuple):
    """Columns of runs by window and time, and the place of each window's track."""

    window: Any
    track_of: Any
    started_at: Any
    asked_at: Any
    code: Any
    state: Any


class _Days(NamedTuple):
    """Rolled-up days, row by row: place of the track, day, when its hours begin, microseconds by hour and state,
    counts.
    """

    track: Any
    day: Any
    begin: Any
    held: Any
    counts: up.Counts


class Record:
    """Reads the history of one owner. `now` is the clock: what comes after it is not counted as time.

    Percentiles of more than `exact_runs` runs, or of runs that are not kept any more, come from histograms.
    """

    def __init__(self, store: Store, now: Callable[[], datetime], exact_runs: int) -> None:
        self._store = store
        self._clock = now
        self._exact_runs = exact_runs
        self._version: Hashable = None
        self._kept: dict[Hashable, Any] = {}

    def now(self) -> int:
        return micros(self._clock())

    @sound
    def tracks(self, connection_ids: Collection[str] | None, exchange: str | None = None) -> tuple[Track, ...]:
        """Roll-ups of hours that are not over yet are not looked at: the clock was set back."""
        past = self.now() // up.HOUR * up.HOUR
        tracks = self._store.tracks(connection_ids, exchange)
        return tuple(track._replace(rolled_until=min(track.rolled_until, past)) for track in tracks)

    def steady(self, tracks: Callable[[], tuple[Track, ...]], read: Callable[[tuple[Track, ...]], _T]) -> _T:
        """What `read` makes of the tracks, read again where somebody rolled up or cleared away in the meantime."""
        read, known = sound(read), tracks()
        for _ in range(_TRIES):
            before, damage = known, None
            try:
                found = read(known)
            except RowDamaged as error:  # or what it points at was just deleted
                found, damage = None, error
            known = tracks()
            if known == before:
                if damage is not None:
                    raise damage
                return cast("_T", found)
        return read(known)

    def _once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once while nobody writes: the figures of a page share much of what they read."""
        version, kept = self._store.version(), self._kept
        if version != self._version or len(kept) >= _MOST_KEPT:
            self._version, self._kept = version, (kept := {})
        if key not in kept:
            found = make()
            if self._store.version() != version:
                return found
            kept[key] = found
        return kept[key]

    # Time and counts

    def flow(self, tracks: tuple[Track, ...], edges: Any) -> Flow:
        """What happened between these edges.

        Of hours whose runs are not kept any more, what an edge cuts is parted in proportion, and their runs count where
        the hour begins.
        """
        spaces, now = len(edges) - 1, self.now()
        shape = len(tracks), spaces, up.STATES
        if not tracks or edges[-1] <= edges[0]:
            nothing = np.zeros(0, dtype=np.int64)
            return Flow(tracks, edges, np.zeros(shape, dtype=np.int64), Counts(*[nothing] * 4), np.zeros(spaces, int))
        held, rolled, even = self._rolled_flow(tracks, edges)
        windows = [window for window in _raw_windows(tracks, edges) if window not in even]
        runs = self._read(tracks, windows, before=True)
        begin, end = (np.array([window[place] for window in windows], dtype=np.int64) for place in (1, 2))
        lasting = up.hold(runs.window, runs.started_at, runs.asked_at, runs.state, begin, np.minimum(end, now))
        pieces, space = up.split(lasting, edges)
        slots = (runs.track_of[pieces.window] * spaces + space) * up.STATES + pieces.state
        held += summed(slots, pieces.end - pieces.begin, held.size).reshape(shape)
        within = runs.started_at >= begin[runs.window]
        space = np.searchsorted(edges, runs.started_at[within], "right") - 1
        raw = (runs.track_of[runs.window[within]], space, runs.code[within], np.ones(len(space), dtype=np.int64))
        counts = Counts(*(np.concatenate(columns) for columns in zip(rolled, raw, strict=True)))
        ends = self._store.ends(_keys(tracks))
        tested = sum(first < min(int(edges[-1]), now) for first, _ in ends.values())
        lasted = np.maximum(np.minimum(edges[1:], now) - edges[:-1], 0) * tested
        return Flow(tracks, edges, held, counts, lasted)

    def _rolled_flow(self, tracks: tuple[Track, ...], edges: Any) -> tuple[Any, Counts, set[Window]]:
        """Time and counts from roll-ups, and which of the hours that an edge cuts are settled with that."""
        since, until, spaces = int(edges[0]), int(edges[-1]), len(edges) - 1
        days = self._days(tracks, since, until)
        begin = days.begin
        first = np.searchsorted(edges, begin, "right") - 1
        last = np.searchsorted(edges, begin + up.HOUR, "left") - 1
        kept_from, rolled_until = (column[:, None] for column in _limits(tracks, days.track))
        touched = (begin < until) & (begin + up.HOUR > since) & (begin < rolled_until)
        whole = touched & (first == last) & (first >= 0) & (last < spaces)
        gone = touched & ~whole & (begin < kept_from)
        # Where nothing but one result was seen in an hour, its time can be parted, and only the runs need counting.
        even = touched & ~whole & ~gone
        codes = summed(days.counts.row * 24 + days.counts.hour, None, begin.size).reshape(begin.shape)
        even[even] = (codes[even] < 2) & (days.held[even].max(axis=1, initial=0) == up.HOUR)
        slots = (days.track[:, None] * spaces + first)[whole]
        taken = days.held[whole]
        size = len(tracks) * spaces
        held = np.stack([summed(slots, taken[:, state], size) for state in range(up.STATES)], axis=1)
        if (gone | even).any():
            held += _parted(days, gone | even, edges, size)
        counts = days.counts
        chosen = (whole | (gone & (begin >= since)))[counts.row, counts.hour]
        entries = (days.track[counts.row], first[counts.row, counts.hour], counts.code, counts.runs)
        columns = [[column[chosen] for column in entries], self._count_even(tracks, days, even, edges)]
        joined = Counts(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
        row, hour = np.nonzero(even)
        ends = np.maximum(begin[row, hour], since), np.minimum(begin[row, hour] + up.HOUR, until)
        settled = set(zip(*(ints(column) for column in (days.track[row], *ends)), strict=True))
        return held.reshape(len(tracks), spaces, up.STATES), joined, settled

    def _count_even(self, tracks: Sequence[Track], days: _Days, even: Any, edges: Any) -> list[Any]:
        """Columns as in `Counts`: the runs of hours that edges cut, and which have one code."""
        chosen = even[days.counts.row, days.counts.hour]
        row, hour, code, total = (column[chosen] for column in days.counts)
        begin, track = days.begin[row, hour], days.track[row]
        since, until = np.maximum(begin, edges[0]), np.minimum(begin + up.HOUR, edges[-1])
        first = np.searchsorted(edges, since, "right") - 1
        pieces = np.searchsorted(edges, until, "left") - first
        which, space = up.spread(first, pieces)
        ends = np.maximum(since[which], edges[space]), np.minimum(until[which], edges[space + 1])
        # The last piece of an hour that is wholly asked for has what the others leave.
        last = space - first[which] == pieces[which] - 1
        rest = last & (until - since == up.HOUR)[which]
        windows = zip(*(ints(column[~rest]) for column in (track[which], *ends)), strict=True)
        runs = np.zeros(len(which), dtype=np.int64)
        runs[~rest] = self._store.counts_within(_keyed(tracks, list(windows)))
        runs[rest] = (total - summed(which, runs, len(total)))[which[rest]]
        return [column[runs > 0] for column in (track[which], space, code[which], runs)]

    def _days(self, tracks: tuple[Track, ...], since: int, until: int) -> _Days:
        """The roll-ups of the days that a range touches."""
        first, last = since // up.DAY, max(until - 1, since) // up.DAY

        def read() -> _Days:
            rows = self._store.rolled(_keys(tracks), first, last)
            track, day = _places_and_days(tracks, rows)
            held, counts = up.read_held([row[2] for row in rows]), up.read_counts([row[3] for row in rows])
            return _Days(track, day, _hours(day), held, counts)

        return self._once(("days", tracks, first, last), read)

    def _read(self, tracks: Sequence[Track], windows: Sequence[Window], *, before: bool = False) -> _Runs:
        """The runs of windows, by window and time."""
        rows = self._store.readings(_keyed(tracks, windows), before=before)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        code, asked_at = self._codes(columns[:, 2])
        track_of = np.array([window[0] for window in windows], dtype=np.int64)
        asked_at = np.minimum(columns[:, 1], asked_at)
        return _Runs(columns[:, 0], track_of, columns[:, 1], asked_at, code, np.array(up.STATE_OF)[code])

    def _codes(self, patterns: Any) -> tuple[Any, Any]:
        """The code of each run, and for confirmations when the exchange was asked, else for ever after."""
        known, place = ranks(patterns)
        facts = self._store.pattern_facts(known.tolist())
        found = [facts[number] for number in known.tolist()]
        codes = np.array([up.code(one.status, one.cause) for one in found], dtype=np.int64)
        asked = np.array([up.FOREVER if one.repeats is None else one.repeats for one in found], dtype=np.int64)
        return codes[place], asked[place]

    def events(self, tracks: tuple[Track, ...], since: int, until: int) -> Events:
        """How many runs of which code, by hour where they are rolled up, else one by one."""
        if not tracks or until <= since:
            return Events(*[np.zeros(0, dtype=np.int64)] * 5)

        def read() -> Events:
            days = self._days(tracks, since, until)
            taken = _whole_hours(tracks, days.track, days.begin, since, until)[days.counts.row, days.counts.hour]
            row, hour, code, n = (column[taken] for column in days.counts)
            span = np.full(len(row), up.HOUR)
            rolled = days.track[row], (days.day[row] * 24 + hour) * up.HOUR, code.astype(np.int64), n, span
            runs = self._read(tracks, _raw_windows(tracks, np.array([since, until])))
            one = np.ones(len(runs.code), dtype=np.int64)
            raw = runs.track_of[runs.window], runs.started_at, runs.code, one, one
            return Events(*(np.concatenate(columns) for columns in zip(rolled, raw, strict=True)))

        return self._once(("events", tracks, since, until), read)

    def outages(self, tracks: tuple[Track, ...], since: int, until: int) -> list[Outage]:
        """Those that touch the range, by track and time."""
        return self._once(("outages", tracks, since, until), lambda: self._outages(tracks, since, until))

    def _outages(self, tracks: tuple[Track, ...], since: int, until: int) -> list[Outage]:
        place_of = {track.key: place for place, track in enumerate(tracks)}
        edges = self._store.outage_edges([*place_of], since)
        codes: list[int] = self._codes(np.array([row[2] for row in edges], dtype=np.int64))[0].tolist()
        found: list[Outage] = []
        last: Outage | None = None
        for (key, at, _), code in zip(edges, codes, strict=True):
            track, down = place_of[key], up.STATE_OF[code] == up.FAILED
            if last is not None and (track != last.track or not down):
                found.append(Outage(last.track, last.began, at if track == last.track else None, last.code))
                last = None
            if down and last is None:
                last = Outage(track, at, None, code)
        found += [] if last is None else [last]
        return [one for one in found if one.began < until and (one.ended is None or one.ended > since)]

    def reports(self, tracks: tuple[Track, ...], since: int, until: int) -> list[tuple[Track, int, str, KeyReport]]:
        """Track, time, run and key report of each run whose report was another one than before, and the last before."""
        track_of = {track.key: track for track in tracks}

        def read() -> list[tuple[Track, int, str, KeyReport]]:
            rows = self._store.report_changes([*track_of], since, until)
            return [(track_of[row[0]], row[1], row[2], KeyReport.model_validate_json(row[3])) for row in rows]

        return self._once(("reports", tracks, since, until), read)

    # What was measured

    def percentiles(
        self,
        tracks: tuple[Track, ...],
        since: int,
        until: int,
        metrics: tuple[int, ...],
        shares: tuple[float, ...],
        *,
        apart: bool = False,
    ) -> tuple[Any, Any]:
        """How many values there are, and their percentiles, by metric; with `apart` by track and metric."""

        def read() -> tuple[Any, Any]:
            groups = len(tracks) if apart else 1
            n, found = self._percentiles(tracks, since, until, metrics, shares, groups, int(apart))
            if not apart:
                return n, found
            return n.reshape(groups, len(metrics)), found.reshape(groups, len(metrics), len(shares))

        return self._once(("percentiles", tracks, since, until, metrics, shares, apart), read)

    def _percentiles(
        self,
        tracks: tuple[Track, ...],
        since: int,
        until: int,
        metrics: tuple[int, ...],
        shares: tuple[float, ...],
        groups: int,
        apart: int,
    ) -> tuple[Any, Any]:
        def group(track: Any, _: Any) -> Any:
            return track * apart

        if until <= since or self._exactly(tracks, since, until):
            windows = [(place, since, until) for place in range(len(tracks))] if until > since else []
            track, at, metric, value = self._measured(tracks, windows, metrics)
            place = np.full(up.CLOCK_OFFSET + 1, -1)
            place[list(metrics)] = np.arange(len(metrics))
            place = place[metric]
            return exact_quantiles(group(track, at) * len(metrics) + place, value, groups * len(metrics), shares)
        histograms = _Histograms(groups, metrics)
        self._fill(histograms, tracks, since, until, group, hourly=False)
        return histograms.quantiles(shares)

    def _exactly(self, tracks: Sequence[Track], since: int, until: int) -> bool:
        """Whether the runs themselves are few enough to be looked at, and are all there."""
        windows = [(track.key, since, until) for track in tracks]
        return all(track.kept_from <= since for track in tracks) and (
            self._store.count_runs_within(windows, self._exact_runs + 1) <= self._exact_runs
        )

    def _measured(
        self, tracks: Sequence[Track], windows: Sequence[Window], metrics: Collection[int]
    ) -> tuple[Any, Any, Any, Any]:
        """What the runs of windows measured: columns of track, when, metric, milliseconds."""
        rows = self._store.readings(_keyed(tracks, windows), numbers=True)
        window, started_at, pattern, numbers = _columns(rows, 4)
        found = measures(pattern, numbers, self._store.pattern_facts(set(pattern)), metrics)
        track = np.array([windows[number][0] for number in window], dtype=np.int64)[found.row]
        return track, np.array(started_at, dtype=np.int64)[found.row], found.metric, found.value

    def _fill(
        self,
        histograms: _Histograms,
        tracks: tuple[Track, ...],
        since: int,
        until: int,
        group: Callable[[Any, Any], Any],
        *,
        hourly: bool,
    ) -> None:
        """Add what was measured in a range. `group` tells the groups of columns of tracks and times.

        With `hourly` the histograms of hours are added; without, those of days, and those of hours only where the range
        cuts a day.
        """
        metrics = histograms.metrics
        windows = _raw_windows(tracks, np.array([since, until]))
        track, at, metric, value = self._measured(tracks, windows, metrics)
        histograms.add_values(group(track, at), metric, value)
        first, last = since // up.DAY, (until - 1) // up.DAY
        if not hourly:
            rows = self._store.rolled_days(_keys(tracks), -(-since // up.DAY), until // up.DAY - 1)
            track, day = _places_and_days(tracks, rows)
            whole = (day + 1) * up.DAY <= _limits(tracks, track)[1]
            rows = [row for row, taken in zip(rows, whole.tolist(), strict=True) if taken]
            histograms.add_days([row[2] for row in rows], group(track[whole], day[whole] * up.DAY))
        for begin, end in [(first, last)] if hourly else _edge_days(tracks, since, until):
            for metric in metrics if hourly or len(metrics) < 3 else [None]:
                rows = self._store.rolled_hours(_keys(tracks), begin, end, metric)
                track, day = _places_and_days(tracks, [(row[0], row[2]) for row in rows])
                hours = _hours(day)
                taken = _whole_hours(tracks, track, hours, since, until)
                if not hourly:
                    inside = (day * up.DAY >= since) & ((day + 1) * up.DAY <= until)
                    taken &= ~(inside & ((day + 1) * up.DAY <= _limits(tracks, track)[1]))[:, None]
                groups = np.where(taken, group(np.repeat(track[:, None], 24, axis=1), hours), -1)
                histograms.add_hours([row[3] for row in rows], [row[1] for row in rows], groups)

    def bands(self, tracks: tuple[Track, ...], metric: int, since: int, until: int, buckets: int) -> Bands:
        """Percentiles of one metric in at most so many equal stretches, and empty rows over silence."""
        if not tracks or until <= since:
            return _no_bands()
        if self._exactly(tracks, since, until):
            return self._exact_bands(tracks, metric, since, until, max(buckets, 1))
        return self._rolled_bands(tracks, metric, since, until, max(buckets, 1))

    def _exact_bands(self, tracks: Sequence[Track], metric: int, since: int, until: int, buckets: int) -> Bands:
        rows = self._store.readings([(track.key, since, until) for track in tracks], numbers=True)
        facts = self._store.pattern_facts({row[2] for row in rows})
        tests = [
            row
            for row in sorted(rows, key=lambda row: row[1])
            if facts[row[2]].repeats is None and facts[row[2]].cause is not Cause.LOCAL_NETWORK
        ]
        if not tests:
            return _no_bands()
        _, at, pattern, numbers = _columns(tests, 4)
        started_at = np.array(at, dtype=np.int64)
        failed = np.array(up.STATE_OF)[self._codes(np.array(pattern, dtype=np.int64))[0]] == up.FAILED
        start = int(started_at[0])
        width = (int(started_at[-1]) - start) // buckets + 1
        space = (started_at - start) // width
        found = measures(pattern, numbers, facts, [metric])
        n, values = exact_quantiles(space[found.row], found.value, int(space[-1]) + 1, (0.05, 0.5, 0.95))
        pauses = np.diff(started_at)
        usual = np.sort(pauses)[len(pauses) // 2] if len(pauses) else 0
        silent = (pauses > usual * SILENCE_FACTOR) & (space[1:] > space[:-1] + 1)
        return _banded(start, width, n, values, space, failed.astype(np.int64), space[:-1][silent] + 1)

    def _rolled_bands(self, tracks: tuple[Track, ...], metric: int, since: int, until: int, buckets: int) -> Bands:
        """Bands whose stretches are whole hours, or whole days."""
        events = self.events(tracks, since, until)
        state = np.array(up.STATE_OF)[events.code]
        told = np.isin(state, TOLD)
        if not told.any():
            return _no_bands()
        at, runs = events.at[told], events.runs[told]
        first, last = int(at.min()) // up.HOUR, int(at.max()) // up.HOUR + 1
        width = -(-(last - first) // buckets)
        if width > _HALF_A_DAY:
            width, first = -(-width // 24) * 24, first // 24 * 24
            width += 24 * (-(-(last - first) // width) > buckets)
        spaces = -(-(last - first) // width)

        def group(_: Any, when: Any) -> Any:
            return (when // up.HOUR - first) // width

        histograms = _Histograms(spaces, (metric,))
        self._fill(histograms, tracks, since, until, group, hourly=width % 24 != 0)
        n, values = histograms.quantiles((0.05, 0.5, 0.95))
        space = group(None, at)
        failures = runs * (state[told] == up.FAILED)
        gaps = _silences(at // up.HOUR, runs, first, width)
        bands = _banded(first * up.HOUR, width * up.HOUR, n, values, space, failures, gaps)
        return bands._replace(at=np.maximum(bands.at, since))


class _Histograms:
    """Histograms by group and metric, as they are added up. A group below zero is thrown away."""

    def __init__(self, groups: int, metrics: tuple[int, ...]) -> None:
        self.metrics = metrics
        self._groups = groups
        self._slots = np.full(32 * up.BINS, -1)
        for place, metric in enumerate(metrics):
            self._slots[metric * up.BINS : (metric + 1) * up.BINS] = np.arange(up.BINS) + place * up.BINS
        self._parts: list[tuple[Any, Any, Any]] = []

    def _add(self, group: Any, slot: Any, runs: Any) -> None:
        kept = (group >= 0) & (slot >= 0)
        self._parts.append((group, slot, runs) if kept.all() else (group[kept], slot[kept], runs[kept]))

    def add_values(self, group: Any, metric: Any, value: Any) -> None:
        slot = self._slots[metric * up.BINS + up.bins(value) + up.BINS // 2]
        self._add(group, slot, np.ones(len(slot), dtype=np.int64))

    def add_days(self, blobs: Sequence[bytes], group: Any) -> None:
        """Histograms of days, each of a group."""
        sizes, what, runs = up.read_entries(blobs)
        if self._groups == 1:  # nothing needs to be known of an entry but what it is
            table = np.bincount(what, weights=runs, minlength=len(self._slots))
            self._add(np.zeros(len(table), dtype=np.int64), self._slots, table)
        else:
            self._add(np.repeat(group, sizes), self._slots[what], runs)

    def add_hours(self, blobs: Sequence[bytes], metrics: Sequence[int], group: Any) -> None:
        """The 24 histograms of days, each day of one metric, each hour of a group."""
        sizes, what, runs = up.read_entries(blobs)
        group = group.ravel()[np.repeat(np.arange(len(blobs)) * 24, sizes) + (what >> up.BIN_BITS)]
        begin = self._slots[np.array(metrics, dtype=np.int64) * up.BINS]  # where the metric's bins begin
        group[np.repeat(begin < 0, sizes)] = -1
        self._add(group, np.repeat(begin, sizes) + (what & (up.BINS - 1)), runs)

    def quantiles(self, shares: Sequence[float]) -> tuple[Any, Any]:
        """How many values, and percentiles, by group and metric."""
        first, width = 0, len(self.metrics) * up.BINS
        if len(self.metrics) == 1 and any(len(slot) for _, slot, _ in self._parts):
            first = min(int(slot.min()) for _, slot, _ in self._parts if len(slot))
            width = max(int(slot.max()) for _, slot, _ in self._parts if len(slot)) + 1 - first
        cells = np.zeros(self._groups * width)
        for group, slot, runs in self._parts:
            cells += np.bincount(group * width + slot - first, weights=runs, minlength=len(cells))
        table = cells.reshape(self._groups * len(self.metrics), -1)
        used = np.flatnonzero(table.any(axis=0))
        table = table[:, used]
        return table.sum(axis=1).astype(np.int64), up.quantiles(table, up.middle(used + first - up.BINS // 2), shares)


def exact_quantiles(group: Any, value: Any, groups: int, shares: Sequence[float]) -> tuple[Any, Any]:
    """How many values each group has, and their percentiles, interpolated between neighbours."""
    n = np.bincount(group, minlength=groups)
    found = np.full((groups, len(shares)), np.nan)
    values = value[np.lexsort((value, group))]
    full = np.flatnonzero(n)
    first = (np.cumsum(n) - n)[full]
    for number, share in enumerate(shares):
        place = (n[full] - 1) * share
        low = np.floor(place).astype(np.int64)
        below, above = values[first + low], values[first + np.minimum(low + 1, n[full] - 1)]
        found[full, number] = below + (above - below) * (place - low)
    return n, found


def _banded(start: int, width: int, n: Any, values: Any, space: Any, failures: Any, gaps: Any) -> Bands:
    """Bands of the spaces in which there were runs, and of gaps. `space` and `failures` are columns of runs."""
    spaces = np.flatnonzero(np.bincount(space, minlength=len(n)))
    failed = summed(space, failures, len(n))
    order = np.argsort(np.concatenate([spaces, gaps]), kind="stable")
    nothing = np.zeros(len(gaps), dtype=np.int64)
    return Bands(
        at=start + width * np.concatenate([spaces, gaps])[order],
        values=np.concatenate([values[spaces], np.full((len(gaps), 3), np.nan)])[order],
        n=np.concatenate([n[spaces], nothing])[order],
        failures=np.concatenate([failed[spaces], nothing])[order],
        width=width,
    )


def _no_bands() -> Bands:
    nothing = np.zeros(0, dtype=np.int64)
    return Bands(nothing, np.zeros((0, 3)), nothing, nothing, 0)


def _silences(hours: Any, runs: Any, first: int, width: int) -> Any:
    """The stretches (of `width` hours from `first` on) with which a silence begins, by how many runs an hour had.

    The runs of an hour are taken to be spread evenly, which is all that is known of them.
    """
    hour, place = np.unique(hours, return_inverse=True)
    n = np.bincount(place, weights=runs)
    even = 1 / n
    last = np.diff(hour) - (1 - even[:-1])
    pauses, weights = np.concatenate([even, last]), np.concatenate([n - 1, np.ones(len(last))])
    order = np.argsort(pauses)
    reached = np.cumsum(weights[order])
    usual = pauses[order][np.searchsorted(reached, reached[-1] / 2)] if reached[-1] else 0.0
    space = (hour - first) // width
    return space[:-1][(last > usual * SILENCE_FACTOR) & (space[1:] > space[:-1] + 1)] + 1


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - up.EPOCH) // timedelta(microseconds=1)


def ranks(numbers: Any) -> tuple[Any, Any]:
    """The different numbers of a column, ascending, and the place of each row's number among them.

    As `np.unique` gives them, without sorting: these are whole numbers that lie near each other.
    """
    if not len(numbers):
        return numbers, numbers
    lowest = numbers.min()
    there = np.bincount(numbers - lowest) > 0
    return np.flatnonzero(there) + lowest, (np.cumsum(there) - 1)[numbers - lowest]


def ints(column: Any) -> list[int]:
    return column.tolist()


def summed(place: Any, n: Any, places: int) -> Any:
    """The sum of the numbers at each place."""
    return np.bincount(place, weights=n, minlength=places).astype(np.int64)


# Where a figure is read


def _keys(tracks: Sequence[Track]) -> list[int]:
    return [track.key for track in tracks]


def _keyed(tracks: Sequence[Track], windows: Sequence[Window]) -> list[Window]:
    """Windows with the connection's key in the place of its track's place."""
    return [(tracks[place].key, since, until) for place, since, until in windows]


def _raw_windows(tracks: Sequence[Track], edges: Any) -> list[Window]:
    """Where runs must be read: hours that an edge cuts, and what is not rolled up yet."""
    since, until = int(edges[0]), int(edges[-1])
    cut: list[int] = np.unique(edges[edges % up.HOUR != 0] // up.HOUR * up.HOUR).tolist()
    hours = [(hour, max(hour, since), min(hour + up.HOUR, until)) for hour in cut]
    found: list[Window] = []
    for place, track in enumerate(tracks):
        kept_from, rolled_until = track.kept_from, track.rolled_until
        found += [(place, begin, end) for hour, begin, end in hours if kept_from <= hour < rolled_until]
        if max(rolled_until, since) < until:
            found.append((place, max(rolled_until, since), until))
    return found


def _limits(tracks: Sequence[Track], track: Any) -> tuple[Any, Any]:
    """`kept_from` and `rolled_until` of a column of places of tracks."""
    kept_from = np.array([one.kept_from for one in tracks], dtype=np.int64)
    rolled_until = np.array([one.rolled_until for one in tracks], dtype=np.int64)
    return kept_from[track], rolled_until[track]


def _hours(day: Any) -> Any:
    """When the hours of days begin."""
    return (day[:, None] * 24 + np.arange(24)) * up.HOUR


def _whole_hours(tracks: Sequence[Track], track: Any, begin: Any, since: int, until: int) -> Any:
    """Which hours are taken from roll-ups. One that the range cuts is where its runs are gone, if it begins within."""
    kept_from, rolled_until = (column[:, None] for column in _limits(tracks, track))
    within = (begin >= since) & (begin < until) & (begin < rolled_until)
    return within & ((begin + up.HOUR <= until) | (begin < kept_from))


def _edge_days(tracks: Sequence[Track], since: int, until: int) -> list[tuple[int, int]]:
    """First and last of the days that the range cuts, or that are rolled up in part."""
    first, last = since // up.DAY, (until - 1) // up.DAY
    ends = min([last, *(track.rolled_until // up.DAY for track in tracks if track.rolled_until > since)])
    return [(first, last)] if ends <= first + 1 else [(first, first), (ends, last)]


def _parted(days: _Days, cut: Any, edges: Any, size: int) -> Any:
    """The time of hours that edges cut, in proportion: microseconds by track and space, and state."""
    row, hour = np.nonzero(cut)
    begin = days.begin[row, hour]
    since, until = np.maximum(begin, edges[0]), np.minimum(begin + up.HOUR, edges[-1])
    first = np.searchsorted(edges, since, "right") - 1
    which, space = up.spread(first, np.searchsorted(edges, until, "left") - first)
    lasted = np.minimum(until[which], edges[space + 1]) - np.maximum(since[which], edges[space])
    parts = np.rint(days.held[row, hour][which] * (lasted / up.HOUR)[:, None])
    slots = days.track[row][which] * (len(edges) - 1) + space
    return np.stack([summed(slots, parts[:, state], size) for state in range(up.STATES)], axis=1)


def _places_and_days(tracks: Sequence[Track], rows: Sequence[tuple[Any, ...]]) -> tuple[Any, Any]:
    """Columns of places of tracks and days, of rows that begin with a connection's key and a day."""
    keys = np.array([row[0] for row in rows], dtype=np.int64)
    days = np.array([row[1] for row in rows], dtype=np.int64)
    return np.searchsorted(np.array(_keys(tracks), dtype=np.int64), keys), days


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """The columns of rows, also of none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
