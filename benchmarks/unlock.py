"""What one attempt at the master password costs, and how many a guesser gets in a day.

    python benchmarks/unlock.py

Computing time is what the processor worked, in all lanes together; a guesser pays it whatever the number of cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from common import machine, spread, table

from bfai.store import open_store
from bfai.vault import DEFAULT_COST, FREE_FAILURES, LONGEST_WAIT_S, Vault, WrongPassword, wait_after

TARGET_MS = 100.0
PASSWORD, WRONG = "tall green lamp post", "not the password"


def attempts(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of wall clock and of computing of wrong attempts, each on a vault whose wait is over."""
    wall, work = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'bfai.db'}")
        Vault.create(store, PASSWORD)
        for _ in range(rounds):
            started, worked = time.perf_counter(), time.process_time()
            try:
                Vault.unlock(store, WRONG)
            except WrongPassword:
                wall.append((time.perf_counter() - started) * 1000)
                work.append((time.process_time() - worked) * 1000)
            store.unlock_succeeded()
        store.close()
    return wall, work


def in_a_day(day: float = 86_400.0) -> int:
    """How many attempts fit into one day at the lock, from the first on."""
    count, spent = 0, 0.0
    while spent <= day:
        count += 1
        spent += wait_after(count)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wall, work = attempts(options.rounds)
    found = {
        "machine": machine(),
        "cost": DEFAULT_COST._asdict(),
        "wall_ms": spread(wall),
        "work_ms": spread(work),
        "free": FREE_FAILURES - 1,
        "longest_wait_s": LONGEST_WAIT_S,
        "guesses_in_a_day": in_a_day(),
    }
    if options.json:
        print(json.dumps(found))
    else:
        print(found["machine"])
        rows = [
            (name, f"{one['median']} ({one['min']}-{one['max']})", TARGET_MS)
            for name, one in (("wall clock, ms", found["wall_ms"]), ("computing, ms", found["work_ms"]))
        ]
        print(table(("one attempt", "median (min-max)", "at least"), rows))
        print(f"guesses at the lock in a day: {found['guesses_in_a_day']}; cores here: {os.cpu_count()}")
    sys.exit(0 if spread(work)["min"] >= TARGET_MS else 1)


if __name__ == "__main__":
    main()
