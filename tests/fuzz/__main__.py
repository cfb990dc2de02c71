"""`python -m tests.fuzz [READER…]`: looks for inputs that surprise a reader, FUZZ_SECONDS (600) for each.

Begins with good inputs and those of the corpus, changes them, and goes on from every one that gave a new kind of
outcome. What surprises is made as small as it gets and kept in tests/data/fuzz, where the tests replay it.
FUZZ_KEEP=1 also keeps a small input of every new kind of outcome.
"""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from functools import partial

from tests.fuzz import corpus
from tests.fuzz.changes import changed, smaller
from tests.fuzz.targets import READERS, Reader, attempt

LARGEST_KEPT = 1500
MOST_KEPT = 40


def fuzz(name: str, reader: Reader, seconds: float) -> bool:
    """Whether nothing surprised it."""
    kept = corpus.read(name)
    inputs = [*reader.seeds(), *(entry.data for entry in kept)]
    kinds: dict[str, bytes] = {}
    start = random.SystemRandom().randrange(2**32)
    dice = random.Random(start)
    print(f"{name}: {len(inputs)} inputs to begin with, seed {start}", flush=True)
    fresh, count, began = deque(inputs), 0, time.monotonic()
    while fresh or time.monotonic() - began < seconds:
        data = fresh.popleft() if fresh else changed(dice, inputs, reader.words)
        count += 1
        try:
            kind = attempt(reader, data).kind
        except Exception as error:
            traceback.print_exc(limit=-4)
            found = smaller(data, partial(_same, reader, error))
            where = corpus.keep(name, found, found_by=f"{type(error).__name__}: {error}"[:200])
            print(f"{name}: input {count}, {found[:300]!r}, kept in {where}", flush=True)
            return False
        if kind not in kinds:
            inputs.append(data)
        if kind not in kinds or len(data) < len(kinds[kind]):
            kinds[kind] = data
    if os.environ.get("FUZZ_KEEP") == "1":
        known = {entry.data for entry in kept}
        small = sorted((data for data in kinds.values() if len(data) <= LARGEST_KEPT and data not in known), key=len)
        for data in small[: max(0, MOST_KEPT - len(known))]:
            corpus.keep(name, data)
    print(f"{name}: {count} inputs in {time.monotonic() - began:.0f} s, {len(kinds)} kinds of outcome", flush=True)
    return True


def _same(reader: Reader, error: Exception, data: bytes) -> bool:
    """Whether this input surprises in the same place."""
    try:
        attempt(reader, data)
    except Exception as other:
        return type(other) is type(error) and _place(other) == _place(error)
    return False


def _place(error: Exception) -> tuple[str, int]:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return frame.filename, frame.lineno or 0


def main(names: Sequence[str]) -> int:
    unknown = set(names) - set(READERS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(READERS)}", file=sys.stderr)
        return 2
    seconds = float(os.environ.get("FUZZ_SECONDS", "600"))
    good = [fuzz(name, READERS[name], seconds) for name in names or READERS]
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
