"""Inputs that are kept: one file a reader, a line for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

PLACE = Path(__file__).parent.parent / "data" / "fuzz"


class Entry(NamedTuple):
    """`found_by` is what it did when it was found; nothing where it is kept for its kind of outcome."""

    data: bytes
    found_by: str = ""


def read(name: str) -> list[Entry]:
    file = PLACE / f"{name}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Entry(line["input"].encode("latin-1"), line.get("found_by", "")) for line in map(json.loads, lines)]


def keep(name: str, data: bytes, *, found_by: str = "") -> Path:
    """Adds one. Bytes are written as the letters that they are in Latin-1, so that texts can be read."""
    PLACE.mkdir(exist_ok=True)
    file = PLACE / f"{name}.jsonl"
    line = {"input": data.decode("latin-1")} | ({"found_by": found_by} if found_by else {})
    with file.open("a", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps(line) + "\n")
    return file
