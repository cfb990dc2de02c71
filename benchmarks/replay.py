"""How long a replay of one pair takes on a year of one-minute candles, beside a plain loop and backtesting.py.

    python benchmarks/replay.py [--json] [--rounds 9] [--peer [FOLDER]]

The obvious way is a loop over lists of floats that knows the ladder and its target, and nothing of limits, reasons,
Recovery Mode, exact sums or an equity curve. With `--peer` the same candles and the same ladder are also given to
backtesting.py, in an environment of its own that is made in FOLDER (in the system's folder for temporary files where
none is told) and found there again. What is measured is computing time, so that neighbours on the machine count less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, spread, table

from bfai.strategy.candles import Candles
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import read
from bfai.strategy.replay import replay

MINUTES = 525_600
TARGET_MS = 100
PEER = "backtesting==0.6.6"
PEER_ROUNDS = 3
MARKET = LadderMarket(
    type="spot",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.00000001"),
    maker=Decimal("0.001"),
    taker=Decimal("0.001"),
)


def year(seed: int = 1) -> Candles:
    """A random walk with fat tails and 80 % volatility a year, seeded."""
    r = np.random.default_rng(seed)
    minute = 0.8 / np.sqrt(MINUTES)
    closes = 60_000 * np.exp(np.cumsum(r.standard_t(4, MINUTES) * minute / np.sqrt(2)))
    opens = np.concatenate([[60_000.0], closes[:-1]])
    reach = 1 + np.abs(r.normal(size=MINUTES)) * minute / 2
    highs, lows = np.maximum(opens, closes) * reach, np.minimum(opens, closes) / reach
    times = 1_767_225_600 + 60 * np.arange(MINUTES, dtype=np.int64)
    prices = (np.round(column, 1) for column in (opens, highs, lows, closes))
    return Candles("BTC/USDT", timedelta(minutes=1), times, *prices, np.ones(MINUTES), source="sample")


def parameters(*, recovery: bool) -> Any:
    return read(
        {
            "pairs": ["BTC/USDT"],
            "first_entry_size": "100",
            "addon_multiplier": "1.5",
            "addon_step_pct": "1",
            "addon_step_multiplier": "1.2",
            "addon_max_count": 6,
            "take_profit_pct": "1",
            "addon_cooldown": 0,
            "margin_limit_total": "100000",
            "deposit_load_max": "100",
            "max_daily_loss_pct": None,
            "recovery": {"enabled": recovery},
        }
    )


def plain(candles: Candles) -> tuple[int, int, float]:
    """Deals, purchases and profit."""
    opens, highs, lows, closes = (
        column.tolist() for column in (candles.open, candles.high, candles.low, candles.close)
    )
    gaps, sizes, away, gap = [], [100 * 1.5**level for level in range(6)], 0.0, 1.0
    for _ in range(6):
        away += gap
        gaps.append(away / 100)
        gap *= 1.2
    fee, is_open, deals, buys, profit = 0.001, False, 0, 0, 0.0
    first = amount = cost = fees = target = 0.0
    level = 0
    for place, opened in enumerate(opens):
        if not is_open:
            first, amount, cost, fees, level, is_open = opened, 100 / opened, 100.0, 100 * fee, 0, True
            buys += 1
            target = (cost + fees) / amount / (1 - fee) * 1.01
        added, low = False, lows[place]
        while level < 6 and low <= (wanted := first * (1 - gaps[level])):
            price, bought = min(opened, wanted), sizes[level] / wanted
            amount, cost, fees = amount + bought, cost + bought * price, fees + bought * price * fee
            level, added, buys = level + 1, True, buys + 1
            target = (cost + fees) / amount / (1 - fee) * 1.01
        if highs[place] >= target and (not added or closes[place] >= target):
            profit += amount * max(opened, target) * (1 - fee) - cost - fees
            deals, is_open = deals + 1, False
    return deals, buys, profit


def peer_python(folder: Path) -> Path:
    """The Python of an environment with the peer, made where there is none."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "complete").exists():
        print(f"Installing {PEER} in {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PEER]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return python


def peer(folder: Path, candles: Candles, rounds: int) -> tuple[list[float], tuple[int, int, float]]:
    """Milliseconds of each round, and deals, purchases and profit of the peer."""
    python = peer_python(folder)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "candles.npz"
        names = ("time", "open", "high", "low", "close", "volume")
        np.savez(path, **{name: getattr(candles, name) for name in names})
        command = [python, Path(__file__).with_name("replay_peer.py"), path, str(rounds)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told["ms"], tuple(told["found"])


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--json", action="store_true")
    told.add_argument("--rounds", type=int, default=9)
    usual = Path(tempfile.gettempdir()) / "bfai-benchmark-peer"
    told.add_argument("--peer", type=Path, nargs="?", const=usual, metavar="FOLDER")
    chosen = told.parse_args()
    candles = year()
    took: dict[str, list[float]] = {"plain loop": [], "replay": [], "replay with Recovery Mode": []}
    outcome: dict[str, Any] = {}
    for _ in range(chosen.rounds):
        for name, times in took.items():
            begun = time.process_time()
            if name == "plain loop":
                found: Any = plain(candles)
            else:
                p = parameters(recovery=name.endswith("Mode"))
                summary = replay(p, {"BTC/USDT": MARKET}, {"BTC/USDT": candles}, balance=Decimal(10_000)).summary
                found = (summary.deals, sum(summary.fills_by_level), float(summary.profit))
            times.append((time.process_time() - begun) * 1000)
            outcome[name] = found
    if chosen.peer is not None:
        took[PEER], outcome[PEER] = peer(chosen.peer, candles, min(chosen.rounds, PEER_ROUNDS))
    if chosen.json:
        print(json.dumps({"machine": machine(), "ms": {name: spread(times) for name, times in took.items()}}))
        return
    print(machine(), "\n")
    rows = [
        [name, f"{min(times):.0f}", f"{sorted(times)[len(times) // 2]:.0f}", *(f"{value:g}" for value in outcome[name])]
        for name, times in took.items()
    ]
    print(table(["525,600 candles", "least, ms", "median, ms", "deals", "fills", "profit"], rows))
    print("\nTarget:", TARGET_MS, "ms")


if __name__ == "__main__":
    main()
