"""The ladder of `benchmarks/replay.py` in backtesting.py, as near as that comes: `python replay_peer.py CANDLES.npz N`.

Runs in an environment that has backtesting.py and nothing of ours; `benchmarks/replay.py --peer` makes it. It prints
one JSON object. Prices are in units of a hundred-millionth of a coin, which is how that library trades parts of one.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Strategy, __version__
from backtesting.lib import FractionalBacktest

FEE, TARGET, FIRST, STEP, STEP_GROWS, GROWS, LEVELS = 0.001, 1.01, 100.0, 1.0, 1.2, 1.5, 6


class Ladder(Strategy):
    """A market order with its target and six limit orders below, all for the next candle; the target follows fills."""

    def init(self) -> None:
        self.held = self.deals = self.fills = 0
        away, gap = 0.0, STEP
        self.levels: list[tuple[float, float]] = []
        for level in range(LEVELS):
            away, gap = away + gap, gap * STEP_GROWS
            self.levels.append((1 - away / 100, FIRST * GROWS**level))

    def next(self) -> None:
        held = len(self.trades)
        if held == self.held and held:
            return
        if held > self.held:
            self.fills += held - self.held
            amount = sum(trade.size for trade in self.trades)
            cost = sum(trade.size * trade.entry_price for trade in self.trades)
            target = cost * (1 + FEE) / amount / (1 - FEE) * TARGET
            for trade in self.trades:
                trade.tp = target
        if not held:
            self.deals += self.held > 0
            for order in self.orders:
                order.cancel()
            price = self.data.Close[-1]  # the next candle opens there
            self.buy(size=round(FIRST / price), tp=price * (1 + FEE) / (1 - FEE) * TARGET)
            for share, size in self.levels:
                self.buy(size=round(size / (price * share)), limit=price * share)
        self.held = held


def main() -> None:
    warnings.simplefilter("ignore")  # a target in the candle of an add-on, told each time
    candles = np.load(sys.argv[1])
    columns = {name.title(): candles[name] for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(candles["time"], unit="s"))
    took: list[float] = []
    found: Any = None
    for _ in range(int(sys.argv[2])):
        bench = FractionalBacktest(frame, Ladder, cash=10_000, commission=FEE)
        begun = time.process_time()
        found = bench.run()
        took.append((time.process_time() - begun) * 1000)
    ladder = found["_strategy"]
    profit = float(found["_trades"]["PnL"].sum())
    print(json.dumps({"version": __version__, "ms": took, "found": [ladder.deals, ladder.fills, profit]}))


if __name__ == "__main__":
    main()
