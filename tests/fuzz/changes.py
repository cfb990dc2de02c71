"""What can happen to an input on its way: to its bytes, and to the JSON in it, also where that is a text in JSON."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

LONGEST = 300_000  # bytes; some readers refuse more, and their limits are among what is tried

# ruff: noqa: E501

JUNK: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"\n", b"\r\n", b"\t", b" " * 3000, b'"', b"'",
    b"\\", b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", "é“”\u202e🙂\u200b²٣".encode(), b"{", b"}", b"[", b"]", b"[" * 3000,
    b'{"a":' * 3000, b"{" * 500, b"}" * 500, b"(" * 300, b"null", b"true", b"NaN", b"Infinity", b"-Infinity", b"-0", b"0",
    b"-1", b"1e999", b"1e-999", b"1e999999999", b"-1e-999999999", b"0e999999999", b"9" * 30, b"9" * 5000, b"0." + b"0" * 400 + b"1", b"18446744073709551616", b"{}", b"[]",
    b'""', b"%s%n{0}{x}%(a)s", b"{{x!r:>99}}", b"<html><body>", b"=" * 2000, b":" * 2000, b"/*", b"a" * 5000, b"A1b2" * 30,
    b"-----BEGIN ", b"#", b"---\n", b"x: &a [*a]", b"key" * 700, b"secret=" * 300, b'"' * 999, b"\\" * 999, b"'" * 999,
    b"0000-00-00", b"9999-12-31T23:59:60Z", b"+99:99", b"::1", b"999.999.999.999", b"0x10", b"1_000",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 10**30, 10**400, -(10**18), 0.1, 1e308, 5e-324, "", " ", "0", "-1", "1e400", "1e999999999", "1e-999999999", "NaN",
    "Infinity", "\x00", "\ud800", "²", "٣", "x" * 3000, "1" * 4500, "null", "true", "[]", "{}", [], {}, [[]], [None], [{}],
    {"": None}, {"a": {}}, [1, "a", None], {"data": []}, "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00",
    1e300, 253402300800, 253402300800000, -62135596801, "253402300800000", "255.255.255.255", "::ffff:1.2.3.4", "{x}", "%s",
)  # fmt: skip


def changed(dice: random.Random, inputs: Sequence[bytes], words: Sequence[str]) -> bytes:
    """One of the inputs after one to six changes."""
    data = dice.choice(inputs)
    for _ in range(dice.randint(1, 6)):
        data = _json(dice, data) if dice.random() < 0.5 else _bytes(dice, data, inputs, words)
        data = data[:LONGEST]
    return data


def _bytes(dice: random.Random, data: bytes, inputs: Sequence[bytes], words: Sequence[str]) -> bytes:
    start, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    if dice.random() < 0.5:
        end = min(end, start + dice.randint(0, 8))
    match dice.randint(0, 7):
        case 0:
            return data[:start] + dice.randbytes(dice.randint(0, 4)) + data[start + 1 :]
        case 1:
            return data[:start] + dice.choice(JUNK) + data[start:]
        case 2 if words:
            return data[:start] + dice.choice(words).encode() + data[start:]
        case 3:
            return data[:start] + dice.choice(JUNK) + data[end:]
        case 4:
            return data[:start] + data[end:]
        case 5:
            return data[:start]
        case 6:
            return (
                data[:end] + data[start:end] * min(2 ** dice.randint(0, 12), LONGEST // (end - start + 1)) + data[end:]
            )
        case _:
            other = dice.choice(inputs)
            return data[:start] + other[dice.randint(0, len(other)) :]


def _json(dice: random.Random, data: bytes) -> bytes:
    """A value somewhere in the JSON of the input; what stands before its first brace stays."""
    at = next((place for place, letter in enumerate(data) if letter in b"{["), len(data))
    try:
        tree = json.loads(data[at:])
        found = json.dumps(_in_tree(dice, tree), ensure_ascii=dice.random() < 0.5)
    except (ValueError, RecursionError):
        return data
    return data[:at] + found.encode("utf-8", "surrogatepass")


def _in_tree(dice: random.Random, tree: Any) -> Any:
    names: list[Any] = []
    if isinstance(tree, (dict, list)):
        names = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    elif isinstance(tree, str) and tree.lstrip().startswith(("{", "[")) and dice.random() < 0.8:
        try:
            return json.dumps(_in_tree(dice, json.loads(tree)))
        except (ValueError, RecursionError):
            return tree
    if not names or dice.random() < 0.1:
        return copy.deepcopy(dice.choice(VALUES))
    held: Any = tree
    name = dice.choice(names)
    match dice.randint(0, 9):
        case 0:
            del held[name]
        case 1:
            held[name] = copy.deepcopy(dice.choice(VALUES))
        case 2 if isinstance(tree, dict):
            held[dice.choice(("", "data", "code", "x" * 300, "\ud800", str(name).upper()))] = held[name]
        case 2 if isinstance(tree, list):
            held *= dice.randint(2, 50)
        case 3:
            held[name] = [held[name]]
        case _:
            held[name] = _in_tree(dice, held[name])
    return held


def smaller(data: bytes, still: Callable[[bytes], bool], seconds: float = 60) -> bytes:
    """The smallest input that is found in this time by leaving out parts, for which `still` holds."""
    size, until = len(data), time.monotonic() + seconds
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            shorter = data[:at] + data[at + size :]
            if still(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data
