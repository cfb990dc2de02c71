"""A test run in few bytes.

Runs of one connection differ in their numbers and hardly in anything else. So a run is split into a *pattern* (which
checks, which outcomes, which requests, all without their numbers), which is stored once, and the run's own *numbers*
and *texts*. Put together again they give a run that is equal to the one that was split.

In a pattern every string stands behind `=`; a bare letter is a hole: `f` a float, `i` an integer, `t` a time in
milliseconds after the start, `x` a text. The first number is the duration, then come the latencies of the checks.

Most numbers take two bytes: a number that is a whole multiple of 1, 1/10 or 1/1000 is that multiple, with its unit and
sign in the lowest two bits, in groups of seven bits, the lowest first, the last one below 128. The first byte of all
is `\\x02`; it is `\\x03` where a number needs all its eight bytes, and then all have them. Texts that are those of the
first run with this pattern are left out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

from bfai.model import Cause, Status, TestRun, id_head, id_time
from bfai.store import PatternFacts
from bfai.store.rollups import CHECKS, CLOCK_OFFSET, Measures, np

# Their strings differ from run to run.
_TEXT_KEYS = {
    "balances",
    "exchange_said",
    "seen_ip",
    "params",
    "order_pairs",
    "stranger_assets",
    "stranger_orders",
    "tested_from",
}
_OWN_COLUMNS = {"id", "connection_id", "started_at", "key_report"}
_BEFORE_THE_PATTERN = {"duration_ms"}
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT, _DOUBLES = b"\x02", b"\x03"
_TENTHS, _THOUSANDTHS, _WHOLE, _NEGATIVE = range(4)
_EXACT = 2**53
_MOST = 2**45  # the largest multiple that is written short: eight bytes would hold it as well
_METRICS = {name.value: number for number, name in enumerate(CHECKS)}
_T = TypeVar("_T")


class Packed(NamedTuple):
    """`pattern` is JSON."""

    pattern: str
    numbers: bytes
    texts: list[str]


def pack(run: TestRun) -> Packed:
    """Split a run. What stands in columns of its own (id, connection, start, key report) is left out."""
    tree = run.model_dump(mode="json", exclude=_OWN_COLUMNS | _BEFORE_THE_PATTERN)
    latencies = [check.pop("latency_ms") for check in tree["checks"]]
    for sent, line in zip(tree["receipt"], run.receipt, strict=True):
        sent["at"] = (line.at - run.started_at) / _MICROSECOND / 1000
    numbers = [run.duration_ms]
    texts: list[str] = []
    ordered = {"latencies": latencies, "clock_offset_ms": tree.pop("clock_offset_ms"), **tree}
    pattern = _split(ordered, "", numbers, texts)
    return Packed(_json(pattern), pack_numbers(numbers), texts)


def unpack(packed: Packed, columns: dict[str, Any]) -> TestRun:
    """Put a run together again. `columns` holds what `pack` left out."""
    started_at: datetime = columns["started_at"]
    numbers = iter(unpack_numbers(packed.numbers))
    duration_ms = next(numbers)
    tree = _join(json.loads(packed.pattern), numbers, iter(packed.texts))
    for check, latency in zip(tree["checks"], tree.pop("latencies"), strict=True):
        check["latency_ms"] = latency
    for sent in tree["receipt"]:
        sent["at"] = started_at + timedelta(microseconds=round(sent["at"] * 1000))
    return TestRun.model_validate({**tree, **columns, "duration_ms": duration_ms})


def shorten_texts(texts: Sequence[str], usual: str | None) -> str | None:
    """What of a run's texts is another than usual, as JSON; None for nothing. `usual` is the JSON of as many texts."""
    known: list[str] = json.loads(usual) if usual else []
    if len(known) != len(texts):
        return _json(list(texts))
    other = {place: text for place, text in enumerate(texts) if text != known[place]}
    return _json(other) if other else None


def whole_texts(kept: str | None, usual: str | None) -> list[str]:
    """The texts that `shorten_texts` was given."""
    known: list[str] = json.loads(usual) if usual else []
    if kept and kept.startswith("["):
        return json.loads(kept)
    other: dict[str, str] = json.loads(kept) if kept else {}
    return [other.get(str(place), text) for place, text in enumerate(known)]


def timed_checks(pattern: str) -> tuple[str, ...]:
    """The names of the checks whose latencies are the first numbers of a run with this pattern, in their order."""
    tree = json.loads(pattern)
    pairs = zip(tree["checks"], tree["latencies"], strict=True)
    return tuple(check["name"][1:] for check, latency in pairs if latency is not None)


def is_set_aside(pattern: str) -> bool:
    """Whether runs with this pattern were set aside."""
    return json.loads(pattern).get("set_aside", False)


def clock_place(pattern: str) -> int | None:
    """Which of a run's numbers is the clock offset; None where it was not measured."""
    found = 1
    for name, node in json.loads(pattern).items():
        if name == "clock_offset_ms":
            return found if node == "f" else None
        found += _count(node)
    return None


def repeats(pattern: str) -> int | None:
    """For a run that repeats what an older test saw, because the trader confirmed something: when that test asked."""
    asked_at = json.loads(pattern).get("answered_at")
    return None if asked_at is None else (datetime.fromisoformat(asked_at[1:]) - _EPOCH) // _MICROSECOND


def _count(node: Any) -> int:
    """How many numbers are below."""
    if isinstance(node, dict):
        return sum(map(_count, node.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
    if isinstance(node, list):
        return sum(map(_count, node))  # pyright: ignore[reportUnknownArgumentType] - JSON
    return int(node in ("f", "i", "t"))


def _split(node: Any, key: str, numbers: list[float], texts: list[str]) -> Any:
    if isinstance(node, dict):
        # The keys of these two are data of their own, such as names of coins: what is below them is all text.
        items: list[tuple[str, Any]] = list(node.items())  # pyright: ignore[reportUnknownArgumentType] - JSON
        return {name: _split(value, key if key in _TEXT_KEYS else name, numbers, texts) for name, value in items}
    if isinstance(node, list):
        entries: list[Any] = list(node)  # pyright: ignore[reportUnknownArgumentType] - JSON
        return [_split(value, key, numbers, texts) for value in entries]
    if isinstance(node, str):
        return _hole("x", node, texts) if key in _TEXT_KEYS else "=" + node
    if isinstance(node, float):
        return _hole("t" if key == "at" else "f", node, numbers)
    if isinstance(node, int) and not isinstance(node, bool) and key == "params" and abs(node) < _EXACT:
        return _hole("i", node, numbers)
    return node


def _hole(kind: str, value: _T, values: list[_T]) -> str:
    values.append(value)
    return kind


def _join(node: Any, numbers: Iterator[float], texts: Iterator[str]) -> Any:
    if isinstance(node, dict):
        items: list[tuple[str, Any]] = list(node.items())  # pyright: ignore[reportUnknownArgumentType] - JSON
        return {name: _join(value, numbers, texts) for name, value in items}
    if isinstance(node, list):
        entries: list[Any] = list(node)  # pyright: ignore[reportUnknownArgumentType] - JSON
        return [_join(value, numbers, texts) for value in entries]
    if not isinstance(node, str):
        return node
    if node[0] == "=":
        return node[1:]
    if node == "x":
        return next(texts)
    return round(next(numbers)) if node == "i" else next(numbers)


def pack_numbers(numbers: Sequence[float]) -> bytes:
    """As the head of this module says."""
    found = bytearray(_SHORT)
    try:
        for number in numbers:
            value = _multiple(number)
            while value > 127:
                found.append(value & 127 | 128)
                value >>= 7
            found.append(value)
    except (OverflowError, ValueError):  # infinite, not a number, no multiple, or too large
        return _DOUBLES + _doubles(len(numbers)).pack(*numbers)
    return bytes(found)


def _multiple(number: float) -> int:
    """The number as a whole multiple of its unit, with the unit in the lowest two bits."""
    for unit, scale in ((_WHOLE, 1), (_TENTHS, 10), (_THOUSANDTHS, 1000)):
        whole = round(number * scale)
        if whole / scale == number and abs(whole) < _MOST:
            return whole << 2 | unit if whole >= 0 else -whole * (1000 // scale) << 2 | _NEGATIVE
    raise ValueError


def unpack_numbers(packed: bytes, count: int = -1) -> list[float]:
    """All numbers, or the first `count`."""
    if packed[:1] == _DOUBLES:
        return list(_doubles((len(packed) - 1) // 8).unpack_from(packed, 1))[: None if count < 0 else count]
    found: list[float] = []
    value = shift = 0
    for byte in memoryview(packed)[1:]:
        if byte > 127:
            value |= (byte & 127) << shift
            shift += 7
            continue
        value |= byte << shift
        unit, whole = value & 3, value >> 2
        found.append(
            whole / 10
            if unit == _TENTHS
            else whole / 1000
            if unit == _THOUSANDTHS
            else float(whole)
            if unit == _WHOLE
            else -whole / 1000
        )
        if len(found) == count:
            break
        value = shift = 0
    return found


def number_columns(packed: Sequence[bytes], places: Sequence[int]) -> Any:
    """The numbers at these places of many runs, each of which has them: an array with one row a run."""
    found = np.empty((len(packed), len(places)))
    short = np.array([one[0] for one in packed], dtype=np.uint8) == _SHORT[0]
    wide: list[int] = np.flatnonzero(~short).tolist()
    for row in wide:
        numbers = unpack_numbers(packed[row])
        found[row] = [numbers[place] for place in places]
    if not short.any():
        return found
    blobs = [one for one in packed if one[0] == _SHORT[0]] if wide else packed
    data = np.frombuffer(b"".join(blobs), dtype=np.uint8)
    ends = np.flatnonzero(data < 128)  # of each number, and the first byte of each run
    sizes = np.array([len(one) for one in blobs], dtype=np.int64)
    heads = np.searchsorted(ends, np.cumsum(sizes) - sizes)
    wanted = heads[:, None] + np.array(places)
    begin, end = ends[wanted] + 1, ends[wanted + 1]
    values = np.zeros(begin.shape, dtype=np.int64)
    for place in range(int((end - begin).max()) + 1):
        byte = data[np.minimum(begin + place, end)].astype(np.int64) & 127
        values |= np.where(begin + place <= end, byte << (7 * place), 0)
    unit, whole = values & 3, values >> 2
    found[short] = np.select(
        [unit == _TENTHS, unit == _THOUSANDTHS, unit == _WHOLE], [whole / 10, whole / 1000, whole], -whole / 1000
    )
    return found


def unpack_light(names: tuple[str, ...], packed: bytes) -> tuple[float, dict[str, float]]:
    """A run's duration, and its latencies by the names that `timed_checks` gives. Made for many rows."""
    duration, *latencies = unpack_numbers(packed, len(names) + 1)
    return duration, dict(zip(names, latencies, strict=True))


def repacked(duration_ms: float, numbers: bytes) -> bytes:
    """The numbers of a run as they were written before durations joined them: four or eight bytes each."""
    wide = numbers[:1] == b"\x01"
    count = max(len(numbers) - 1, 0) // (8 if wide else 4)
    old = struct.unpack_from(f"<{count}{'d' if wide else 'i'}", numbers, 1) if count else ()
    return pack_numbers([duration_ms, *(old if wide else (whole / 1000 for whole in old))])


@cache
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def measures(
    patterns: Sequence[int],
    packed: Sequence[bytes],
    facts: Mapping[int, PatternFacts],
    metrics: Collection[int] | None = None,
) -> Measures:
    """What runs with these patterns and numbers measured, all or some metrics, row by row in no order.

    Runs that say nothing of the exchange are left out, and so is what is no finite number.
    """
    # Patterns that have the same metrics at the same places are read together.
    layout_of: dict[int, int] = {}
    layouts: dict[tuple[tuple[int, int], ...], int] = {}
    for pattern in set(patterns):
        known = facts[pattern]
        wanted: list[tuple[int, int]] = []
        if known.repeats is None and known.cause is not Cause.LOCAL_NETWORK and known.status is not Status.UNTESTED:
            places = [(_METRICS[name], place) for place, name in enumerate(known.timed, 1) if name in _METRICS]
            places += [] if known.clock is None else [(CLOCK_OFFSET, known.clock)]
            wanted = [one for one in places if metrics is None or one[0] in metrics]
        layout_of[pattern] = layouts.setdefault(tuple(wanted), len(layouts))
    layout = np.array([layout_of[pattern] for pattern in patterns], dtype=np.int64)
    found: list[tuple[Any, Any, Any]] = []
    for wanted_there, number in layouts.items():
        if not wanted_there:
            continue
        rows = np.flatnonzero(layout == number)
        places_of: list[int] = rows.tolist()
        values = number_columns([packed[row] for row in places_of], [place for _, place in wanted_there])
        finite = np.isfinite(values)
        row, column = np.nonzero(finite)
        found.append((rows[row], np.array([metric for metric, _ in wanted_there])[column], values[finite]))
    columns = zip(*found, strict=True) if found else ([np.empty(0, dtype=np.int64)],) * 2 + ([np.empty(0)],)
    return Measures(*(np.concatenate(list(column)) for column in columns))


# Names of runs


def run_key(run_id: str, started_at: int) -> bytes:
    """A run's id in few bytes: eight where `started_at` (microseconds) says the rest, as for ids of `new_run_id`.

    Other ids of 32 hexadecimal digits take sixteen, anything else stands between two bytes that no text has.
    """
    try:
        key = bytes.fromhex(run_id)
    except ValueError:
        key = b""
    if len(key) == 16 and key.hex() == run_id:
        return key[8:] if id_time(run_id) == started_at else key
    return b"\xff" + run_id.encode("utf-8", "surrogatepass") + b"\xff"


def run_id(key: bytes, started_at: int) -> str:
    """The id that `run_key` was given."""
    if is_short(key):
        return id_head(started_at) + key.hex()
    return key.hex() if len(key) == 16 else key[1:-1].decode("utf-8", "surrogatepass")


def is_short(key: bytes) -> bool:
    """Whether it is a key only together with the run's start."""
    return len(key) == 8 and 0x80 <= key[0] < 0xC0
