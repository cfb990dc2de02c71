"""Freqtrade's backtest of the exported bundle and the replay agree: deals, fills of each level, profit.

Slow, and only where Freqtrade is installed in an environment of its own (`python3 run.py parity` does both). The
candles are made here, the same ones each time; nothing is asked of any network. The table in the docs has to say
what comes out.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bfai.model import Market, Target
from bfai.strategy.candles import Candles
from bfai.strategy.export import freqtrade
from bfai.strategy.ladder import LadderMarket, Tier
from bfai.strategy.parameters import Parameters, read
from bfai.strategy.recovery import Exit
from bfai.strategy.replay import replay
from tests.engines import PYTHON, parity

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs/engine.md"
BEGIN = 1_767_225_600  # 2026-01-01
AGREED = 1e-4
FEE = Decimal("0.001")


pytestmark = parity


@dataclass(frozen=True)
class Case:
    """One strategy, and the candles that it is played on. `swing` is the walk's step in millionths of the price."""

    name: str
    changes: dict[str, Any]
    minutes: int = 5
    count: int = 4_000
    swing: int = 900
    exchange: str = "binance"
    market: Market = Market.SPOT
    pairs: tuple[tuple[str, str, str, str], ...] = (("BTC/USDT", "60000", "0.1", "0.00000001"),)
    """Pair, first price, tick, step."""
    seed: int = 1
    balance: str = "10000"


SPOT = {"first_entry_size": "100", "margin_limit_total": "90%", "deposit_load_max": "95", "max_daily_loss_pct": None}
PLAIN = {
    "addon_step_pct": "1",
    "addon_step_multiplier": "1.2",
    "addon_multiplier": "1.5",
    "addon_max_count": 6,
    "addon_cooldown": 0,
    "take_profit_pct": "1",
    "cooldown_after_close": 0,
    "recovery": {"enabled": False},
}
TWO = (("BTC/USDT", "60000", "0.1", "0.00001"), ("ETH/USDT", "3000", "0.01", "0.0001"))
FUTURES = {"market": "futures", "amount_basis": "margin", "first_entry_size": "50"}
RECOVERY = {
    "enabled": True,
    "drawdown_pct": "3",
    "addons_left": 2,
    "margin_used_pct": "90",
    "step_factor": "1.5",
    "size_factor": "0.5",
    "take_profit_pct": "0.3",
}
TRIM = {"trim": True, "trim_pct": "10", "trim_every_h": 6, "loss_allowance_pct": "20"}
BTC_SWAP = (("BTC/USDT", "60000", "0.1", "0.001"),)
SWAP: Any = {"market": Market.FUTURES, "pairs": BTC_SWAP}
CASES = (
    Case("spot long, 1 minute", {}, minutes=1, seed=22),
    Case("spot long, 2 pairs under one limit", {"max_groups": 2}, pairs=TWO, seed=4),
    Case(
        "spot long, cooldowns, a limit that blocks add-ons",
        {
            "max_groups": 2,
            "addon_cooldown": 1800,
            "cooldown_after_close": 3600,
            "reserve_mode": "filled",
            "margin_limit_total": "1500",
            "margin_limit_pair": "600",
        },
        pairs=TWO,
        seed=3,
    ),
    Case(
        "spot long, steps from the order before, trailing",
        {"addon_step_reference": "previous", "trailing": {"activation_pct": "1", "delta_pct": "0.4"}},
        seed=15,
    ),
    Case(
        "spot long, steps from the average, stop 5 %, daily loss",
        {
            "addon_step_reference": "average",
            "stop_loss_pct": "5",
            "max_daily_loss_pct": "0.5",
            "addon_max_count": 3,
        },
        seed=5,
    ),
    Case("futures short 3x", FUTURES | {"directions": ["short"], "leverage": 3}, seed=2, **SWAP),
    Case(
        "futures long 5x, stop 6 %",
        FUTURES | {"leverage": 5, "stop_loss_pct": "6", "addon_max_count": 4},
        seed=5,
        **SWAP,
    ),
    Case("spot long, Recovery Mode", {"recovery": RECOVERY}, pairs=TWO, seed=5),
    Case(
        "spot long, Recovery Mode with trims",
        {"first_entry_size": "300", "max_groups": 1, "recovery": RECOVERY | TRIM},
        seed=1,
    ),
    Case(
        "futures long 3x, Recovery Mode with trims, stop 12 %",
        FUTURES | {"leverage": 3, "stop_loss_pct": "12", "recovery": RECOVERY | TRIM},
        seed=5,
        **SWAP,
    ),
)


def parameters_of(case: Case) -> Parameters:
    data: dict[str, Any] = {"pairs": [pair for pair, *_ in case.pairs], **SPOT, **PLAIN, **case.changes}
    return read(data)


def markets_of(case: Case) -> dict[str, LadderMarket]:
    swap = case.market is Market.FUTURES
    return {
        pair: LadderMarket(
            type="linear_swap" if swap else "spot",
            tick_size=Decimal(tick),
            step_size=Decimal(step),
            min_amount=Decimal(step),
            min_cost=Decimal(5),
            maker=FEE,
            taker=FEE,
            liquidation_model="mark_maintenance" if swap else None,
            tiers=(Tier(Decimal(0), Decimal("0.004")),) if swap else (),
        )
        for pair, _, tick, step in case.pairs
    }


def walk(case: Case, number: int) -> Candles:
    """Continuous candles on the tick grid: each opens where the last one closed. Fat tails, no gaps."""
    pair, first, tick, _ = case.pairs[number]
    chance = random.Random(f"{case.seed}/{number}")
    unit, now = float(tick), round(float(first) / float(tick))
    rows: list[tuple[int, int, int, int]] = []
    for _ in range(case.count):
        path = [now]
        for _ in range(4):
            shock = chance.gauss(0, 1) * (2.5 if chance.random() < 0.03 else 1)
            path.append(max(1, path[-1] + round(path[-1] * shock * case.swing / 1_000_000)))
        now = path[-1]
        rows.append((path[0], max(path), min(path), now))
    prices = np.round(np.array(rows, dtype=np.float64) * unit, 8)
    times = BEGIN + np.arange(case.count, dtype=np.int64) * case.minutes * 60
    opens, highs, lows, closes = prices.T
    return Candles(pair, timedelta(minutes=case.minutes), times, opens, highs, lows, closes, np.ones(case.count))


def later(candles: Candles) -> Candles:
    """Without the first candle: Freqtrade needs it for the first signal."""
    names = ("time", "open", "high", "low", "close", "volume")
    return replace(candles, **{name: getattr(candles, name)[1:] for name in names})


def backtest(case: Case, parameters: Parameters, candles: dict[str, Candles], folder: Path) -> list[dict[str, Any]]:
    markets = markets_of(case)
    bundle = freqtrade(
        parameters,
        markets,
        Target(exchange=case.exchange, market=case.market),
        balance=Decimal(case.balance),
        interval=timedelta(minutes=case.minutes),
    )
    bundle.write(folder)
    told: list[dict[str, Any]] = []
    for pair, market in markets.items():
        path = folder / f"{pair.replace('/', '_')}.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["time", "open", "high", "low", "close", "volume"])
            found = candles[pair]
            columns = (found.time, found.open, found.high, found.low, found.close, found.volume)
            rows.writerows(zip(*(column.tolist() for column in columns), strict=True))
        names = "tick_size step_size contract_size min_amount max_amount min_cost max_cost maker taker".split()
        values = {name: getattr(market, name) for name in names}
        text = {name: None if value is None else str(value) for name, value in values.items()}
        told.append({"pair": pair, "candles": str(path), **text})
    job = folder / "job.json"
    out = folder / "trades.json"
    job.write_text(json.dumps({"folder": str(folder), "markets": told, "fee": float(FEE), "out": str(out)}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FREQTRADE__")}
    assert PYTHON is not None
    done = subprocess.run(
        [str(PYTHON), str(HERE / "backtest.py"), str(job)],
        env=environment, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    (folder / "log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


@dataclass(frozen=True)
class Outcome:
    """What both sides can tell: closed deals in order, fills by level, profit, and what is open at the end."""

    deals: list[tuple[str, int, int, int]]
    """Pair, opened, closed, fills."""
    exits: Counter[str]
    levels: Counter[int]
    profit: float
    per_deal: list[float]
    trims: int


def ours(case: Case, parameters: Parameters, candles: dict[str, Candles]) -> Outcome:
    kept = {pair: later(found) for pair, found in candles.items()}
    found = replay(parameters, markets_of(case), kept, balance=Decimal(case.balance))
    closed = [deal for deal in found.deals if deal.closed_at is not None]
    closed.sort(key=lambda deal: (deal.opened_at, deal.pair))
    last = int(max(times.time[-1] for times in kept.values()))
    # Freqtrade opens nothing on its very last candle.
    fills = [fill for deal in found.deals for fill in deal.fills if deal.opened_at.timestamp() < last]
    return Outcome(
        [(deal.pair, int(deal.opened_at.timestamp()), int(deal.closed_at.timestamp()), len(deal.fills))
         for deal in closed if deal.closed_at],
        Counter(str(deal.exit) for deal in closed),
        Counter(fill.level for fill in fills),
        float(sum((deal.profit for deal in closed if deal.profit is not None), Decimal(0))),
        [float(deal.profit or 0) for deal in closed],
        found.summary.trims,
    )  # fmt: skip


def theirs(trades: list[dict[str, Any]]) -> Outcome:
    closed = [trade for trade in trades if trade["exit"] != "force_exit" and trade["closed_at"]]
    closed.sort(key=lambda trade: (trade["opened_at"], trade["pair"]))
    words = {
        "roi": Exit.TAKE_PROFIT,
        "stop_loss": Exit.STOP,
        "liquidation": Exit.LIQUIDATION,
        "trailing": Exit.TAKE_PROFIT,
    }

    def entries(trade: dict[str, Any]) -> list[dict[str, Any]]:
        return [order for order in trade["orders"] if str(order["tag"]).startswith("so")]

    return Outcome(
        [(trade["pair"], trade["opened_at"], trade["closed_at"], len(entries(trade))) for trade in closed],
        Counter(str(words.get(trade["exit"], trade["exit"])) for trade in closed),
        Counter(int(order["tag"][2:]) for trade in trades for order in entries(trade)),
        sum(trade["profit"] for trade in closed),
        [trade["profit"] for trade in closed],
        sum(order["tag"] == "trim" for trade in trades for order in trade["orders"]),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_freqtrade_and_the_replay_agree(case: Case, tmp_path: Path) -> None:
    parameters = parameters_of(case)
    candles = {pair: walk(case, number) for number, (pair, *_) in enumerate(case.pairs)}
    mine = ours(case, parameters, candles)
    engine = theirs(backtest(case, parameters, candles, tmp_path))
    assert mine.deals == engine.deals
    assert mine.levels == engine.levels
    assert mine.trims == engine.trims
    assert len(mine.deals) >= 15
    scale = max(abs(mine.profit), 1.0)
    assert abs(mine.profit - engine.profit) / scale < AGREED
    for one, other in zip(mine.per_deal, engine.per_deal, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=2e-3)
    line = row(case, mine, engine)
    assert line in TABLE.read_text(encoding="utf-8"), f"{TABLE.name} has to say: {line}"


def row(case: Case, mine: Outcome, engine: Outcome) -> str:
    """Its line in the table."""
    levels = " / ".join(str(mine.levels[level]) for level in sorted(mine.levels))
    exits = ", ".join(f"{count} {name}" for name, count in sorted(mine.exits.items())).replace("take_profit", "target")
    return (
        f"| {case.name} | {len(mine.deals)} = {len(engine.deals)} | {exits} | {levels}, equal |"
        f" {mine.trims} = {engine.trims} | {mine.profit:.4f} | {engine.profit:.4f} |"
    )
