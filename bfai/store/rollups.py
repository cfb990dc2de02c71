"""The arithmetic of roll-ups and of figures: what a run counts as, how long it holds, how histograms are merged.

Works on whole columns (numpy) and knows no database. Times are whole microseconds since 1970 UTC, durations whole
microseconds, response times milliseconds.

Two rules hold everywhere. A result holds until the next test of its connection, at most for `LONGEST_HOLD` after the
exchange was asked; what comes after is unknown. A run that failed because our own network was down (`local_network`)
says nothing about the exchange.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bfai.model import Cause, CheckName, Status


class _Late:
    """A module that is imported when it is first used: numpy takes a tenth of a second, pandas a third."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


np: Any = _Late("numpy")
pd: Any = _Late("pandas")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
LONGEST_HOLD: Final = DAY
FOREVER: Final = 2**62

# What is written into roll-ups: nothing here may change its number, new ones are added at the end.
STATUSES: Final = (Status.ONLINE, Status.CONNECTED, Status.BLOCKED, Status.FAILED, Status.UNTESTED)
CAUSES: Final[tuple[Cause | None, ...]] = (
    None,
    Cause.INVALID_KEY,
    Cause.INVALID_SECRET,
    Cause.INVALID_PASSPHRASE,
    Cause.MALFORMED_CREDENTIALS,
    Cause.EXPIRED_KEY,
    Cause.WRONG_ENVIRONMENT,
    Cause.IP_NOT_ALLOWED,
    Cause.PERMISSION_MISSING,
    Cause.WITHDRAW_ENABLED,
    Cause.WITHDRAW_UNKNOWN,
    Cause.CLOCK_SKEW,
    Cause.RATE_LIMITED,
    Cause.EXCHANGE_UNAVAILABLE,
    Cause.LOCATION_RESTRICTED,
    Cause.ACCOUNT_RESTRICTED,
    Cause.LOCAL_NETWORK,
    Cause.AMBIGUOUS,
    Cause.UNEXPECTED_RESPONSE,
)
CHECKS: Final = (
    CheckName.REACH,
    CheckName.CLOCK,
    CheckName.KEY,
    CheckName.PERMISSIONS,
    CheckName.WITHDRAW_OFF,
    CheckName.BALANCE,
    CheckName.STATUS,
    CheckName.TRADE,
    CheckName.FUTURES,
    CheckName.IP_RESTRICTION,
    CheckName.EXPIRY,
    CheckName.LEAST_PRIVILEGE,
    CheckName.SUB_ACCOUNT,
)
CLOCK_OFFSET: Final = 15
"""The number of the metric that is no check: by how much the two clocks differ. A check's number is its place above."""
_CAUSES_MOST: Final = 32

ONLINE, FAILED, BLOCKED, OWN_NETWORK, NOTHING = range(5)
"""States that time is spent in. `NOTHING` is no state: such a run says nothing, and nothing is known after it."""
STATES: Final = 4
WORST_FIRST: Final = ("blocked", "failed", "connected", "online", "own_network", "no_test")


def code(status: Status, cause: Cause | None) -> int:
    """Status and cause in one byte."""
    return STATUSES.index(status) * _CAUSES_MOST + CAUSES.index(cause)


def status_of(code: int) -> Status:
    return STATUSES[code // _CAUSES_MOST]


def cause_of(code: int) -> Cause | None:
    return CAUSES[code % _CAUSES_MOST]


def _state(code: int) -> int:
    status, cause = code // _CAUSES_MOST, code % _CAUSES_MOST
    if status >= len(STATUSES) or cause >= len(CAUSES) or STATUSES[status] is Status.UNTESTED:
        return NOTHING
    if CAUSES[cause] is Cause.LOCAL_NETWORK:
        return OWN_NETWORK
    return {Status.FAILED: FAILED, Status.BLOCKED: BLOCKED}.get(STATUSES[status], ONLINE)


def _badness(code: int) -> int:
    """The place in `WORST_FIRST`."""
    if _state(code) == NOTHING:
        return WORST_FIRST.index("no_test")
    return WORST_FIRST.index("own_network" if _state(code) == OWN_NETWORK else status_of(code).value)


STATE_OF: Final = tuple(_state(number) for number in range(256))
BADNESS_OF: Final = tuple(_badness(number) for number in range(256))


class Held(NamedTuple):
    """Stretches of time with one state each: which window, from when, until when (microseconds), `state`."""

    window: Any
    begin: Any
    end: Any
    state: Any


def hold(window: Any, started_at: Any, asked_at: Any, state: Any, since: Any, until: Any) -> Held:
    """How long each run holds within its window.

    `window`, `started_at`, `asked_at` (when the exchange was asked) and `state` are columns of runs, sorted by window
    and time; a window's first run may have started before it. `since` and `until` are the windows' ends.
    """
    following = np.full(len(started_at), FOREVER, dtype=np.int64)
    same = window[1:] == window[:-1]
    following[:-1][same] = started_at[1:][same]
    begin = np.maximum(started_at, since[window])
    end = np.minimum(np.minimum(following, asked_at + LONGEST_HOLD), until[window])
    kept = (end > begin) & (state < STATES)
    return Held(window[kept], begin[kept], end[kept], state[kept])


def split(held: Held, edges: Any) -> tuple[Held, Any]:
    """The same stretches cut at `edges` (sorted), and into which of the spaces between edges each piece falls.

    All of them lie between the first edge and the last.
    """
    first = np.searchsorted(edges, held.begin, "right") - 1
    which, space = spread(first, np.searchsorted(edges, held.end, "left") - first)
    begin = np.maximum(held.begin[which], edges[space])
    end = np.minimum(held.end[which], edges[space + 1])
    return Held(held.window[which], begin, end, held.state[which]), space


def split_hours(held: Held) -> tuple[Held, Any]:
    """The same stretches cut where hours begin, and the hour (since 1970) of each piece."""
    first = held.begin // HOUR
    which, hour = spread(first, (held.end - 1) // HOUR - first + 1)
    begin = np.maximum(held.begin[which], hour * HOUR)
    end = np.minimum(held.end[which], (hour + 1) * HOUR)
    return Held(held.window[which], begin, end, held.state[which]), hour


def spread(first: Any, pieces: Any) -> tuple[Any, Any]:
    """Which of the rows, and the numbers from its `first` on, for rows that fall into so many pieces."""
    which = np.repeat(np.arange(len(pieces)), pieces)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + first[which]


# Histograms

RELATIVE_ERROR: Final = 0.02
_SMALLEST: Final = 0.001  # milliseconds; what is nearer to zero is zero
_LARGEST: Final = 1023
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
BIN_BITS: Final = 11
BINS: Final = 2048
"""Bins are numbered from -1023 to 1023, and written with 1024 more."""


def bins(values: Any) -> Any:
    """The bins of finite values, as numbers that sort as the values do.

    Bin 0 is everything below a thousandth; every further one is 4 % wider than the one before, so that `middle` is at
    most 2 % away from any value in it. Negative values have negative bins.
    """
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        number = np.ceil(np.log(size / _SMALLEST) / np.log(_GROWTH)) + 1
    number = np.where(size < _SMALLEST, 0, np.clip(number, 1, _LARGEST))
    return (np.sign(values) * number).astype(np.int64)


def middle(numbers: Any) -> Any:
    """The value that stands for a bin."""
    size = _SMALLEST * _GROWTH ** (np.abs(numbers) - 1.0) * 2 / (_GROWTH + 1)
    return np.where(numbers == 0, 0.0, np.sign(numbers) * size)


def quantiles(table: Any, middles: Any, shares: Any) -> Any:
    """Percentiles of the histograms in the rows of `table`, whose columns are the bins with these `middles`, ascending.

    Interpolated between neighbours as of the values themselves, so that the error of both is that of the result. A
    histogram without values has none.
    """
    reached = np.cumsum(table, axis=1)
    total = reached[:, -1] if table.shape[1] else np.zeros(len(table))
    found = np.full((len(table), len(shares)), np.nan)
    full = np.flatnonzero(total > 0)
    if not len(full):
        return found
    for column, share in enumerate(shares):
        place = (total[full] - 1) * share
        low = np.floor(place)
        below = middles[(reached[full] > low[:, None]).argmax(axis=1)]
        above = middles[(reached[full] > np.minimum(low + 1, total[full] - 1)[:, None]).argmax(axis=1)]
        found[full, column] = below + (above - below) * (place - low)
    return found


# What stands in the database. Numbers are little-endian.
#
# rollup.held: 24 hours of four unsigned 32-bit numbers, the microseconds online, failed, blocked and without network.
# rollup.counts: entries of hour (8 bits), code (8 bits), runs (16 bits).
# rollup_hours.histograms, of one metric: entries of hour (5 bits) and bin + 1024 (11 bits), runs (8 bits).
# rollup_day.histograms, of all metrics: entries of metric (5 bits) and bin + 1024 (11 bits), runs (8 bits).
#
# Entries for the same thing are added up, so that more of them can be put behind.

_COUNT: Final = [("hour", "u1"), ("code", "u1"), ("runs", "<u2")]
_ENTRY: Final = [("what", "<u2"), ("runs", "u1")]


class Day(NamedTuple):
    """The roll-ups of one connection and day. `hours` are histograms by metric."""

    day: int
    held: bytes
    counts: bytes
    hours: dict[int, bytes]
    histograms: bytes


class Measures(NamedTuple):
    """What runs measured: the row of the run, which metric, the value in milliseconds."""

    row: Any
    metric: Any
    value: Any


def roll(started_at: Any, asked_at: Any, code: Any, measures: Measures, since: int, until: int) -> list[Day]:
    """The roll-ups of the days from `since`, where one begins, to `until`.

    Columns of runs (see `hold`) are sorted by time and those of one connection; the first may have started before
    `since`. Days of which nothing is known and in which no run was made are left out.
    """
    one = np.zeros(len(started_at), dtype=np.int64)
    state = np.array(STATE_OF)[code]
    pieces, hour = split_hours(hold(one, started_at, asked_at, state, np.array([since]), np.array([until])))
    run_hour = started_at // HOUR
    days = np.unique(np.concatenate([hour, run_hour[started_at >= since]]) // 24)
    held = np.zeros((len(days), 24, STATES), dtype=np.uint32)
    place = np.searchsorted(days, hour // 24)
    np.add.at(held, (place, hour % 24, pieces.state), (pieces.end - pieces.begin).astype(np.uint32))
    within = started_at >= since
    counts = _entries(_COUNT, 0xFFFF, run_hour[within] // 24, run_hour[within] % 24, code[within])
    taken = within[measures.row]
    at, metric, value = run_hour[measures.row[taken]], measures.metric[taken], bins(measures.value[taken])
    daily = _entries(_ENTRY, 0xFF, at // 24, metric * BINS + value + BINS // 2)
    hourly = _entries(_ENTRY, 0xFF, at // 24 * 32 + metric, at % 24 * BINS + value + BINS // 2)
    found: list[Day] = []
    for row, day in enumerate(days.tolist()):
        hours = {key % 32: blob for key, blob in hourly.items() if key // 32 == day}
        found.append(Day(day, held[row].tobytes(), counts.get(day, b""), hours, daily.get(day, b"")))
    return found


def _entries(kind: list[tuple[str, str]], most: int, group: Any, *columns: Any) -> dict[int, bytes]:
    """By group, how often each combination of the columns occurs, in entries of `kind`."""
    if not len(group):
        return {}
    order = np.lexsort((*reversed(columns), group))
    sorted_columns = [column[order] for column in (group, *columns)]
    new = np.zeros(len(order), dtype=bool)
    new[0] = True
    for column in sorted_columns:
        new[1:] |= column[1:] != column[:-1]
    first = np.flatnonzero(new)
    runs = np.diff(np.append(first, len(order)))
    # An entry holds only so many: what is more goes into further ones.
    which, part = spread(np.zeros(len(runs), dtype=np.int64), -(-runs // most))
    entries = np.empty(len(which), dtype=kind)
    for (name, _), column in zip(kind, sorted_columns[1:], strict=False):
        entries[name] = column[first[which]]
    entries["runs"] = np.minimum(runs[which] - part * most, most)
    groups = sorted_columns[0][first[which]]
    cuts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    return {
        int(groups[begin]): entries[begin:end].tobytes()
        for begin, end in zip(cuts.tolist(), [*cuts[1:].tolist(), len(groups)], strict=True)
    }


class Counts(NamedTuple):
    """Of which row of the roll-ups, hour of the day, code, runs."""

    row: Any
    hour: Any
    code: Any
    runs: Any


def read_held(blobs: Sequence[bytes]) -> Any:
    """Microseconds by row, hour of the day, state."""
    return np.frombuffer(b"".join(blobs), dtype="<u4").reshape(-1, 24, STATES)


def read_counts(blobs: Sequence[bytes]) -> Counts:
    sizes, entries = _read(_COUNT, blobs)
    row = np.repeat(np.arange(len(blobs)), sizes)
    return Counts(row, entries["hour"].astype(np.int64), entries["code"], entries["runs"].astype(np.int64))


def read_entries(blobs: Sequence[bytes]) -> tuple[Any, Any, Any]:
    """Entries of histograms: how many each blob has, and columns of `what` and runs."""
    sizes, entries = _read(_ENTRY, blobs)
    return sizes, entries["what"], entries["runs"]


def _read(kind: list[tuple[str, str]], blobs: Sequence[bytes]) -> tuple[Any, Any]:
    entries = np.frombuffer(b"".join(blobs), dtype=kind)
    return np.array([len(blob) for blob in blobs], dtype=np.int64) // entries.itemsize, entries
