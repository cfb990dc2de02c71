"""`python -m tests.chaos [--tests N] [--store sqlite|postgresql] [--seed N] [--minutes M]`: prints what it counted.

Ends with 1 where anything was lost, crashed, told or falsely called usable.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from functools import partial
from pathlib import Path

from tests.chaos.chaos import Plan, run, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--tests", type=int, default=20_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=600.0, help="end after so long, also with fewer tests")
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, for a look at what is left")
    given = parser.parse_args()
    print(f"{given.tests} tests on {given.store}, seed {given.seed}, {os.cpu_count()} processors", flush=True)
    plan = Plan(given.tests, given.store, given.seed, given.minutes)
    found = run(plan, given.folder, partial(print, flush=True))
    print(table(found))
    return int(bool(found.wrong))


if __name__ == "__main__":
    sys.exit(main())
