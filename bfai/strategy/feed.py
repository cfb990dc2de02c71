"""Candles from exchanges: asked for page by page, kept, and asked for only once.

What came is kept page by page, so that whatever breaks a reading off (a dropped line, a rate limit, the trader) costs
nothing: the next one asks only for what is missing. A candle is asked for once it has closed, and never again. Candles
that an exchange does not have stay missing.

They are kept in chunks of `SPAN` candles, as one blob a chunk: `pack` and `unpack`.
"""

from __future__ import annotations

import math
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bfai.exchanges import get_exchange
from bfai.i18n import N_
from bfai.model import BfaiError, Cause, Message, Target, utc_now
from bfai.store import Store
from bfai.strategy.candles import INTERVALS, MAX_CANDLES, Candles, CandlesError, as_text, interval_name, np
from bfai.strategy.limits import CandlePage, MarketsError, PairRules, Shelf, source_of

SPAN: Final = 1440
"""Candles in a chunk: a day of minutes."""
KEPT_BYTES: Final = 400 * 1024 * 1024
"""So much is kept of all candles together, packed: some eighty years of minutes."""
KEPT_IN_MEMORY: Final = 32 * 1024 * 1024
AT_ONCE: Final = 4
SETTLED: Final = 5
"""So many seconds after its end a candle is asked for: late trades are counted by then."""
RECENT: Final = 3600
"""Seconds for which silence after the last candle may still be filled by the exchange."""
PAUSES: Final = (1.0, 3.0)
"""Seconds to wait before asking again after a failure that can pass."""
LONGEST_PAUSE: Final = 60.0
SILENT: Final = 3
"""After so many pages without candles, at times when the pair was traded, older ones are not asked for."""
_PASSING = (Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK, Cause.RATE_LIMITED)

Columns = tuple[Any, ...]
Window = tuple[int, int]
Row = tuple[int, float, float, float, float, float]
Progress = Callable[[int, int], None]

_NO_INTERVAL = N_("{exchange} has no candles of {interval}. Choose one of {choices}.")
_NONE_CLOSED = N_("No candle of {interval} begins and ends between {since} and {until} (UTC). Choose a longer time.")
_TOO_MANY = N_("That would be {count} candles; at most {most} are taken. Choose a longer interval or a shorter time.")
_NO_CANDLES = N_(
    "{exchange} tells no candles of {pair} between {since} and {until} (UTC). Choose a later time, or another pair."
)
_TOO_FAR = N_(
    "{exchange} tells only the last {count} candles of {interval}. Begin at {since} (UTC) or later, or choose a longer"
    " interval."
)
_IN_PARTS = N_("{exchange} tells its candles only in small parts. What came is kept: try again to go on.")
_STOPPED = N_("The reading was stopped. What came is kept: it goes on from there.")


class CandlesStopped(BfaiError):
    """Somebody asked to stop."""

    def __init__(self) -> None:
        super().__init__(Message(text=_STOPPED))


# -- chunks ------------------------------------------------------------------------------------------------------------

_DAY = 86_400
_RAW = 255
_KINDS = ("<i1", "<i2", "<i4", "<i8")


def pack(known: Sequence[Window], columns: Columns, begin: int) -> bytes:
    """A chunk that begins at `begin` (seconds since 1970 UTC): the stretches of time that were asked for, and the
    candles, as time, open, high, low, close, volume.

    A byte 1; the number of stretches in two bytes; each as two of eight, all of them little-endian. Then, deflated: the
    number of candles in four bytes, the decimals of prices and those of volumes in one byte each (255: none help), and
    the six columns. Prices and volumes are whole multiples of their smallest decimal, or the bits of a float, and told
    as differences: times from the one before (the first from `begin`), closes from the close before, opens from the
    close before (the first ones from 0), highs from the higher and lows from the lower of open and close. Each column
    is a byte, how many bytes a number takes (1, 2, 4, 8), and its numbers: all lowest bytes first, all highest last.
    """
    times, *prices, volumes = columns
    decimals, (first, high, low, last) = _whole(prices)
    volume_decimals, (volume,) = _whole([volumes])
    if decimals != _RAW:
        before = np.concatenate([[0], last[:-1]]) if len(last) else last
        high, low = high - np.maximum(first, last), np.minimum(first, last) - low
        first, last = first - before, last - before
    steps = np.diff(times, prepend=begin)
    body = struct.pack("<IBB", len(times), decimals, volume_decimals)
    body += b"".join(map(_packed, (steps, first, high, low, last, volume)))
    head = struct.pack("<BH", 1, len(known)) + b"".join(struct.pack("<qq", *stretch) for stretch in known)
    return head + zlib.compress(body, 6)


def unpack(blob: bytes, begin: int) -> tuple[list[Window], Columns]:
    """What `pack` was given. Raises ValueError for anything else."""
    known, at = _head(blob)
    try:
        body = zlib.decompress(blob[at:])
        count, decimals, volume_decimals = struct.unpack_from("<IBB", body)
        at, columns = 6, list[Any]()
        for _ in range(6):
            size = body[at]
            end = at + 1 + size * count
            planes = np.frombuffer(body, np.uint8, size * count, at + 1).reshape(size, count)
            columns.append(np.ascontiguousarray(planes.T).view(f"<i{size}").reshape(count).astype(np.int64))
            at = end
    except (zlib.error, struct.error, IndexError) as error:
        raise ValueError("this is no whole chunk of candles") from error
    steps, first, high, low, last, volume = columns
    if decimals != _RAW:
        last = np.cumsum(last)
        first = first + np.concatenate([[0], last[:-1]]) if count else first
        high, low = np.maximum(first, last) + high, np.minimum(first, last) - low
    prices = [_floats(column, decimals) for column in (first, high, low, last)]
    return known, (begin + np.cumsum(steps), *prices, _floats(volume, volume_decimals))


def stretches(blob: bytes) -> list[Window]:
    """The stretches of time in what `pack` gave."""
    return _head(blob)[0]


def _head(blob: bytes) -> tuple[list[Window], int]:
    try:
        kind, count = struct.unpack_from("<BH", blob)
        if kind != 1:
            raise ValueError("these candles are packed in another way")
        return [struct.unpack_from("<qq", blob, 3 + 16 * place) for place in range(count)], 3 + 16 * count
    except struct.error as error:
        raise ValueError("this is no chunk of candles") from error


def _whole(columns: Sequence[Any]) -> tuple[int, list[Any]]:
    """The fewest decimals with which all numbers are whole, and those numbers; else their bits."""
    for decimals in range(16):
        scaled = [np.rint(column * 10.0**decimals) for column in columns]
        if any(np.abs(column).max(initial=0) >= 2**53 for column in scaled):
            break
        if all(np.array_equal(whole / 10.0**decimals, column) for whole, column in zip(scaled, columns, strict=True)):
            return decimals, [column.astype(np.int64) for column in scaled]
    return _RAW, [np.ascontiguousarray(column, dtype="<f8").view("<i8") for column in columns]


def _floats(whole: Any, decimals: int) -> Any:
    return whole.view(np.float64) if decimals == _RAW else whole / 10.0**decimals


def _packed(numbers: Any) -> bytes:
    least, most = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    kind = next(kind for kind in _KINDS if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
    size = np.dtype(kind).itemsize
    return bytes([size]) + numbers.astype(kind).view(np.uint8).reshape(len(numbers), size).T.tobytes()


def merged(stretches: Iterable[Window]) -> list[Window]:
    """The same time in as few stretches as possible, the earliest first."""
    found: list[Window] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif begin < end:
            found.append((begin, end))
    return found


def _without(window: Window, known: Iterable[Window]) -> list[Window]:
    """What of a window is not known, the earliest first."""
    left, (begin, end) = list[Window](), window
    for one, other in merged(known):
        if other > begin and one < end:
            if one > begin:
                left.append((begin, one))
            begin = max(begin, other)
    return [*left, (begin, end)] if begin < end else left


@dataclass(frozen=True, slots=True)
class _Series:
    """The kept candles of one pair and interval."""

    store: Store
    name: str
    step: int

    @property
    def size(self) -> int:
        """Seconds in a chunk."""
        return SPAN * self.step

    def chunks(self, window: Window) -> dict[int, bytes]:
        begin, end = window
        found = self.store.candle_chunks(self.name, begin // self.size, (end - 1) // self.size, utc_now())
        return {number: blob for number, blob in found if blob[:1] == b"\1"}

    def columns(self, window: Window, chunks: Mapping[int, bytes]) -> Columns:
        parts = [unpack(blob, number * self.size)[1] for number, blob in chunks.items()]
        if not parts:
            return _as_columns(())
        columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        begin, end = np.searchsorted(columns[0], window)
        return tuple(column[begin:end] for column in columns)

    def keep(self, known: Iterable[Window], new: Columns | None = None) -> None:
        """Add candles, and the time for which there are no others."""
        stretches = merged(known)
        if not stretches:
            return
        begin, end = stretches[0][0], stretches[-1][1]
        there = self.chunks((begin, end))
        new = new or _as_columns(())
        chunks: dict[int, bytes] = {}
        for number in range(begin // self.size, (end - 1) // self.size + 1):
            first, last = number * self.size, (number + 1) * self.size
            inside = [(max(one, first), min(other, last)) for one, other in stretches if one < last and other > first]
            if not inside:
                continue
            low, high = np.searchsorted(new[0], (first, last))
            found = tuple(column[low:high] for column in new)
            if number in there:
                before, old = unpack(there[number], first)
                inside, found = inside + before, _joined(old, found)
            chunks[number] = pack(merged(inside), found, first)
        most = KEPT_IN_MEMORY if self.store.ephemeral else KEPT_BYTES
        self.store.put_candle_chunks(self.name, chunks, utc_now(), most)


def _as_columns(rows: Sequence[Row]) -> Columns:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 6)  # a time has far fewer digits than a float holds
    return (table[:, 0].astype(np.int64), *(table[:, place].copy() for place in range(1, 6)))


def _joined(old: Columns, new: Columns) -> Columns:
    """Both, by time; of two candles at the same time the new one."""
    columns = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    times = columns[0][order]
    kept = order[np.concatenate([times[1:] != times[:-1], [True]])] if len(order) else order
    return tuple(column[kept] for column in columns)


# -- reading -----------------------------------------------------------------------------------------------------------

Ask = Callable[[Target, PairRules, str, Sequence[Window]], list[CandlePage | MarketsError]]
"""Asks an exchange for some windows of candles at once."""


class Feed:
    """The candles of exchanges for one person. Thread-safe."""

    def __init__(
        self,
        store: Store,
        ask: Ask,
        rules: Callable[[Target, str], PairRules],
        *,
        now: Callable[[], datetime] = utc_now,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use `Workbench.candles`. `rules` gives those of a pair, however old they are."""
        self._store = store
        self.ask = ask
        self.rules = rules
        self.now = now
        self.wait = wait

    def intervals(self, target: Target) -> Mapping[str, timedelta | None]:
        """The intervals of this market by name, and how far back each of them is told; None: nobody says.

        Raises MarketsError where there is no such market.
        """
        shelf = source_of(target).candles
        return {name: None if shelf.reach is None else INTERVALS[name] * shelf.reach for name in shelf.intervals}

    def candles(
        self,
        target: Target,
        pair: str,
        interval: str | timedelta,
        since: datetime,
        until: datetime | None = None,
        *,
        on_progress: Progress | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Candles:
        """The closed candles that open at or after `since` and before `until` (now), from what is kept and, for the
        rest, from the exchange. Blocks while it asks; `on_progress(done, total)` counts candles.

        It may begin later than asked, where the exchange has nothing before, and may have holes: see `Candles.begins`
        and `Candles.gaps`. Raises CandlesError, MarketsError, PairUnknown, and CandlesStopped once `stopped()` is true;
        what came until then is kept.
        """
        if since.tzinfo is None or (until is not None and until.tzinfo is None):
            raise ValueError("a time without its zone")
        name = interval if isinstance(interval, str) else interval_name(interval)
        shelf, exchange = source_of(target).candles, get_exchange(target.exchange).name
        if name not in shelf.intervals:
            choices = ", ".join(shelf.intervals)
            raise CandlesError.of(_NO_INTERVAL, exchange=exchange, interval=name, choices=choices)
        step, now = INTERVALS[name] // timedelta(seconds=1), self.now()
        begin = math.ceil(since.timestamp() / step) * step
        # Not everywhere do days begin at midnight UTC: that of the beginning may hold one that opens after `since`.
        if step == _DAY and (shelf.reach is None or begin - step >= now.timestamp() - shelf.reach * step):
            begin -= step
        closed = math.floor((now.timestamp() - SETTLED) / step) * step
        end = min(math.ceil((until or now).timestamp() / step) * step, closed)
        if end <= begin:
            times = {"since": as_text(int(since.timestamp())), "until": as_text(int((until or now).timestamp()))}
            raise CandlesError.of(_NONE_CLOSED, interval=name, **times)
        if (end - begin) // step > MAX_CANDLES:
            raise CandlesError.of(_TOO_MANY, count=(end - begin) // step, most=MAX_CANDLES)
        place = (target.exchange, target.region, target.environment.value, target.market.value, pair, name)
        series = _Series(self._store, "/".join(place), step)
        reading = _Reading(self, target, pair, name, shelf, series, (begin, end), on_progress, stopped)
        columns = reading.columns()
        first, last = np.searchsorted(columns[0], (math.ceil(since.timestamp()), math.ceil((until or now).timestamp())))
        columns = tuple(column[first:last] for column in columns)
        if not len(columns[0]):
            times = {"since": as_text(begin), "until": as_text(end)}
            raise CandlesError.of(_NO_CANDLES, exchange=exchange, pair=pair, **times)
        return Candles(pair, INTERVALS[name], *columns, source=target.exchange)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Time to be asked for. `edge`: a page came for more than this, and had nothing here."""

    begin: int
    end: int
    edge: bool = False


class _Reading:
    """One reading: what is left to ask for, newest first."""

    def __init__(
        self,
        feed: Feed,
        target: Target,
        pair: str,
        interval: str,
        shelf: Shelf,
        series: _Series,
        window: Window,
        on_progress: Progress | None,
        stopped: Callable[[], bool] | None,
    ) -> None:
        self._feed, self._target, self._pair, self._interval = feed, target, pair, interval
        self._shelf, self._series, self._step, self._window = shelf, series, series.step, window
        self._on_progress, self._stopped = on_progress, stopped
        self._now = int(feed.now().timestamp())
        self._left: deque[_Piece] = deque()
        self._came: list[Columns] = []
        self._traded: tuple[Any, int] | None = None
        self._silent = 0
        self._far_back = False

    def columns(self) -> Columns:
        chunks = self._series.chunks(self._window)
        missing = _without(self._window, [stretch for blob in chunks.values() for stretch in stretches(blob)])
        if missing:
            self._fill(missing)
            chunks = self._series.chunks(self._window)
        self._left.clear()
        self._tell()
        columns = self._series.columns(self._window, chunks)
        for came in self._came:  # another program may have kept something else in their place
            if not np.isin(came[0], columns[0]).all():
                columns = _joined(columns, came)
        return columns

    def _fill(self, missing: Sequence[Window]) -> None:
        self._refuse_too_far(missing[0][0])
        size = self._shelf.window(self._step)
        for begin, end in reversed(missing):
            self._left += [_Piece(max(begin, at - size), at) for at in range(end, begin, -size)]
        rules = self._feed.rules(self._target, self._pair)
        failures, most = 0, 10 * len(self._left) + 200
        while self._left:
            self._tell()
            self._look_up()
            batch = [self._left.popleft() for _ in range(min(AT_ONCE, len(self._left)))]
            windows = [(piece.begin, piece.end) for piece in batch]
            pages = self._feed.ask(self._target, rules, self._interval, windows)
            problem: MarketsError | None = None
            again, empty = list[_Piece](), list[_Piece]()
            for piece, page in zip(batch, pages, strict=True):
                if isinstance(page, MarketsError):
                    again.append(piece)
                    problem = page
                    continue
                failures = 0
                self._now = min(self._now, int(page.told_at))
                rows, end = self._closed(piece, page)
                if rows:
                    again += self._take(piece, rows, end)
                else:
                    empty.append(_Piece(piece.begin, end, piece.edge))
            for piece in empty:
                self._nothing(piece)
            self._left.extendleft(reversed(again))
            most -= len(batch)
            if problem is not None:
                failures += 1
                self._pause(problem, failures)
            elif most < 0:
                name = get_exchange(self._target.exchange).name
                raise CandlesError.of(_IN_PARTS, exchange=name)

    def _refuse_too_far(self, begin: int) -> None:
        reach = self._shelf.reach
        if reach is None or begin >= self._now - reach * self._step:
            return
        earliest = math.ceil((self._now - reach * self._step) / self._step + 1) * self._step
        name = get_exchange(self._target.exchange).name
        since = as_text(earliest)
        raise CandlesError.of(_TOO_FAR, exchange=name, count=reach, interval=self._interval, since=since)

    def _closed(self, piece: _Piece, page: CandlePage) -> tuple[Sequence[Row], int]:
        """The candles of a page that had closed, and until when there are no others."""
        rows = [row for row in page.rows if row[0] + self._step <= page.told_at]
        return rows, page.rows[len(rows)][0] if len(rows) < len(page.rows) else piece.end

    def _take(self, piece: _Piece, rows: Sequence[Row], end: int) -> list[_Piece]:
        """Keep what came. Gives what is to be asked for again."""
        self._silent = 0
        first, last = rows[0][0], rows[-1][0] + self._step
        known, again = [(first, last)], list[_Piece]()
        dense = (last - first) // self._step == len(rows)
        for begin, until in ((last, end), (piece.begin, first)):
            gap = (until - begin) // self._step
            # Where a page has no holes but ends early it was cut, unless nothing was traded: asking again tells.
            if gap * 8 >= (piece.end - piece.begin) // self._step or (dense and gap and not self._is_recent(until)):
                again.append(_Piece(begin, until, edge=True))
            elif begin < until and not self._is_recent(until):
                known.append((begin, until))
        self._came.append(_as_columns(rows))
        self._series.keep(known, self._came[-1])
        return again

    def _is_recent(self, at: int) -> bool:
        return at > self._now - max(RECENT, 2 * self._step)

    def _nothing(self, piece: _Piece) -> None:
        """A page without candles: the pair was not traded, or the exchange does not tell."""
        if self._is_recent(piece.end):
            return
        if piece.edge:
            self._series.keep([(piece.begin, piece.end)])
            return
        if self._interval == "1d":
            return
        days, told_until = self._days()
        dead = {one for one in (piece, *self._left) if one.end <= told_until and not _touches(days, one)}
        self._series.keep([(one.begin, one.end) for one in dead])
        self._left = deque(one for one in self._left if one not in dead)
        if piece in dead:
            return
        if len(days) and self._window[0] < days[0] and piece.end <= days[0] + _DAY:  # the day on which it was listed
            self._series.keep([(piece.begin, piece.end)])
            return
        self._silent += 1
        if self._silent >= SILENT and self._left and not self._far_back:
            self._far_back = self._tells(self._left[-1])
            if not self._far_back:
                self._left.clear()

    def _days(self) -> tuple[Any, int]:
        """The days on which the pair was traded, and until when that is known."""
        if self._traded is None:
            begin, until = self._window[0] // _DAY * _DAY - _DAY, self._now // _DAY * _DAY - _DAY
            try:
                found = self._feed.candles(
                    self._target, self._pair, "1d", _at(begin), _at(until), stopped=self._stopped
                )
                self._traded = found.time, until
            except CandlesError:  # none at all: then nothing is known
                self._traded = np.empty(0, dtype=np.int64), 0
        return self._traded

    def _tells(self, piece: _Piece) -> bool:
        """Whether the exchange has the oldest candles that were asked for, although it has none of later ones."""
        self._left.pop()
        rules = self._feed.rules(self._target, self._pair)
        (page,) = self._feed.ask(self._target, rules, self._interval, [(piece.begin, piece.end)])
        if isinstance(page, MarketsError):
            self._left.append(piece)
            return True
        rows, end = self._closed(piece, page)
        if rows:
            self._left += self._take(piece, rows, end)
        return bool(rows)

    def _look_up(self) -> None:
        if self._stopped is not None and self._stopped():
            raise CandlesStopped

    def _tell(self) -> None:
        if self._on_progress is not None:
            begin, end = self._window
            left = sum(piece.end - piece.begin for piece in self._left)
            self._on_progress((end - begin - left) // self._step, (end - begin) // self._step)

    def _pause(self, problem: MarketsError, failures: int) -> None:
        """Wait for what can pass by itself, but not for long. Raises the problem otherwise."""
        found = problem.diagnosis
        if found is None or found.cause not in _PASSING or failures > len(PAUSES):
            raise problem
        left = PAUSES[failures - 1]
        if found.cause is Cause.RATE_LIMITED:
            left = max(left, found.retry_after_s or 0.0)
        if left > LONGEST_PAUSE:
            raise problem
        while left > 0:
            self._look_up()
            self._feed.wait(min(left, 0.25))
            left -= 0.25


def _touches(days: Any, piece: _Piece) -> bool:
    place = int(np.searchsorted(days, piece.end))
    return place > 0 and int(days[place - 1]) + _DAY > piece.begin


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


__all__ = ["CandlesStopped", "Feed", "merged", "pack", "stretches", "unpack"]
