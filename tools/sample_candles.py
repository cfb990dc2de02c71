"""Makes the sample candles in data/: `python tools/sample_candles.py [check]`.

They are made up: no market ever did this. Sixty days of five-minute candles of BTC/USDT and ETH/USDT with what a
strategy may meet: swings, a rise, a slide, a crash within a day and a half, days of fear, a recovery that does not come
all the way back, and calm. ETH does mostly what BTC does, only more of it.

The same numbers come out on every computer: nothing but addition and multiplication of seeded random numbers, then
rounding to the exchange's steps. `check` changes nothing; exit 1 where a file is not what this makes.
"""

from __future__ import annotations

import gzip
import math
import random
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
BEGIN = 1_767_225_600  # 2026-01-01 00:00 UTC
STEP = 300
A_DAY = 86_400 // STEP
DAYS = 60

# Days, change over them in per cent, unrest (1: usual).
CHAPTERS = (
    (9, 1.5, 1.0),
    (8, 14.0, 1.0),
    (3, -4.0, 1.2),
    (6, 5.0, 0.9),
    (5, -7.5, 1.1),
    (1.5, -21.0, 3.0),
    (4.5, 3.0, 2.0),
    (10, 16.0, 1.2),
    (6, -4.0, 0.9),
    (7, 5.0, 0.7),
)
UNREST = 0.0013
"""Of the close of five minutes, as a share of the price."""


def noise(dice: random.Random) -> float:
    """About normal, with a spread of 1 and now and then a leap."""
    total = math.fsum(dice.random() for _ in range(6)) - 3.0
    return total * 1.414 * (3.0 if dice.random() < 0.01 else 1.0)


def path(seed: str) -> list[tuple[float, float]]:
    """The change of every candle in BTC and how restless the market is."""
    dice = random.Random(seed)  # nosec B311 # made-up data, the same each time
    found: list[tuple[float, float]] = []
    for days, change, unrest in CHAPTERS:
        count = int(days * A_DAY)
        raw = [noise(dice) * UNREST * unrest for _ in range(count)]
        # What the chapter says comes about, whatever the dice say: a part of their drift is taken back.
        drift = (change / 100 - math.fsum(raw) * 0.9) / count
        found += [(value + drift, unrest) for value in raw]
    return found


def candles(base: str, price: float, tick: int, share: float, own: float, volume: float) -> list[str]:
    """Lines of a file. `tick`: decimals of a price; `share`: of BTC's changes; `own`: changes that are not BTC's."""
    dice = random.Random(f"candles of {base}")  # nosec B311 # made-up data, the same each time
    lines = ["# Made up by tools/sample_candles.py: no market ever did this", "time,open,high,low,close,volume"]
    close = round(price, tick)
    for place, (change, unrest) in enumerate(path("the market")):
        first = close
        price *= 1 + change * share + noise(dice) * UNREST * own * unrest
        close = round(price, tick)
        reach = UNREST * unrest * price
        high = max(first, close, round(max(first, close) + reach * dice.random() * dice.random(), tick))
        low = min(first, close, round(min(first, close) - reach * dice.random() * dice.random(), tick))
        busy = 1 + 400 * abs(close - first) / first
        traded = volume * busy * unrest * (0.3 + dice.random() + dice.random())
        numbers = (f"{value:.{tick}f}" for value in (first, high, low, close))
        lines.append(f"{BEGIN + place * STEP},{','.join(numbers)},{traded:.1f}")
    return lines


def files() -> dict[Path, bytes]:
    made = {
        "sample_btc_usdt_5m.csv.gz": candles("BTC", 60_000.0, 1, 1.0, 0.0, 12.0),
        "sample_eth_usdt_5m.csv.gz": candles("ETH", 2_400.0, 2, 1.2, 0.5, 160.0),
    }
    return {
        DATA / name: gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=9, mtime=0)
        for name, lines in made.items()
    }


def main() -> int:
    stale = [file for file, data in files().items() if not file.exists() or unpacked(file) != gzip.decompress(data)]
    if sys.argv[1:] == ["check"]:
        for file in stale:
            print(f"{file.name} is not what tools/sample_candles.py makes")
        return 1 if stale else 0
    for file, data in files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        print(f"{file.name}: {len(data)} bytes")
    return 0


def unpacked(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
