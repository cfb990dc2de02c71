"""A test run in few bytes.

Runs of one connection differ in their numbers and hardly in anything else. So a run is split into a *pattern* (which
checks, which outcomes, which requests, all without their numbers), which is stored once, and the run's own *numbers*
and *texts*. Put together again they give a run that is equal to the one that was split.

In a pattern every string stands behind `=`; a bare letter is a hole: `f` a float, `i` an integer, `t` a time in
milliseconds after the start, `x` a text. The latencies of the checks are the first numbers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

from bfai.model import TestRun

_OWN_COLUMNS = {"id", "connection_id", "started_at", "duration_ms", "key_report"}
_TEXT_KEYS = {"balances", "exchange_said", "seen_ip", "params"}  # their strings differ from run to run
_MICROSECOND = timedelta(microseconds=1)
_THOUSANDTHS, _DOUBLES = b"\x00", b"\x01"
_EXACT = 2**53
_T = TypeVar("_T")


class Packed(NamedTuple):
    """`pattern` and `texts` are JSON; `texts` is None when there are none."""

    pattern: str
    numbers: bytes
    texts: str | None


def pack(run: TestRun) -> Packed:
    """Split a run. What stands in columns of its own (id, connection, start, duration, key report) is left out."""
    tree = run.model_dump(mode="json", exclude=_OWN_COLUMNS)
    latencies = [check.pop("latency_ms") for check in tree["checks"]]
    for sent, line in zip(tree["receipt"], run.receipt, strict=True):
        sent["at"] = (line.at - run.started_at) / _MICROSECOND / 1000
    numbers: list[float] = []
    texts: list[str] = []
    pattern = _split({"latencies": latencies, **tree}, "", numbers, texts)
    return Packed(_json(pattern), _pack_numbers(numbers), _json(texts) if texts else None)


def unpack(packed: Packed, columns: dict[str, Any]) -> TestRun:
    """Put a run together again. `columns` holds what `pack` left out."""
    started_at: datetime = columns["started_at"]
    numbers = iter(_unpack_numbers(packed.numbers))
    texts: Iterator[str] = iter(json.loads(packed.texts) if packed.texts else ())
    tree = _join(json.loads(packed.pattern), numbers, texts)
    for check, latency in zip(tree["checks"], tree.pop("latencies"), strict=True):
        check["latency_ms"] = latency
    for sent in tree["receipt"]:
        sent["at"] = started_at + timedelta(microseconds=round(sent["at"] * 1000))
    return TestRun.model_validate({**tree, **columns})


def timed_checks(pattern: str) -> tuple[str, ...]:
    """The names of the checks whose latencies are the first numbers of a run with this pattern, in their order."""
    tree = json.loads(pattern)
    pairs = zip(tree["checks"], tree["latencies"], strict=True)
    return tuple(check["name"][1:] for check, latency in pairs if latency is not None)


def clock_place(pattern: str) -> int | None:
    """Which of a run's numbers is the clock offset; None where it was not measured."""
    found = 0
    for name, node in json.loads(pattern).items():
        if name == "clock_offset_ms":
            return found if node == "f" else None
        found += _count(node)
    return None


def repeats(pattern: str) -> bool:
    """Whether such a run repeats what an older test saw: the trader confirmed something, and nothing was asked."""
    return json.loads(pattern).get("answered_at") is not None


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


def _pack_numbers(numbers: list[float]) -> bytes:
    """Four bytes a number when all of them are whole thousandths within 32 bits, else eight."""
    if not numbers:
        return b""
    try:
        thousandths = [round(number * 1000) for number in numbers]
        if all(whole / 1000 == number for whole, number in zip(thousandths, numbers, strict=True)):
            return _THOUSANDTHS + _layout("i", len(numbers)).pack(*thousandths)
    except (OverflowError, ValueError, struct.error):  # infinite, not a number, or more than 32 bits
        pass
    return _DOUBLES + _layout("d", len(numbers)).pack(*numbers)


def _unpack_numbers(packed: bytes) -> list[float]:
    if packed[:1] == _DOUBLES:
        return list(_layout("d", (len(packed) - 1) // 8).unpack_from(packed, 1))
    return [number / 1000 for number in _layout("i", (len(packed) - 1) // 4).unpack_from(packed, 1)] if packed else []


def unpack_latencies(names: tuple[str, ...], packed: bytes) -> dict[str, float]:
    """The first numbers of a run, by the names that `timed_checks` gives. Made for many rows."""
    if not names:
        return {}
    if packed[0]:
        return dict(zip(names, _layout("d", len(names)).unpack_from(packed, 1), strict=True))
    thousandths = _layout("i", len(names)).unpack_from(packed, 1)
    return {name: number / 1000 for name, number in zip(names, thousandths, strict=True)}


def unpack_number(packed: bytes, place: int) -> float:
    """One of a run's numbers."""
    return _unpack_numbers(packed)[place]


@cache
def _layout(kind: str, count: int) -> struct.Struct:
    return struct.Struct(f"<{count}{kind}")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
