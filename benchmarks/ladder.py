"""How long the preview of a ladder takes to work out, against the obvious exact way: fractions.

    python benchmarks/ladder.py [--json] [--add-ons 20] [--seconds 2]

Both work out the same rows of a 5x swap in turn, in one process; the figures are compared first.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from common import machine, spread, table

from bfai.strategy.ladder import Ladder, LadderMarket, LadderPlan, Tier, build

TARGETS = {"build ms": 1.5}
MARKET = LadderMarket(
    type="linear_swap",
    tick_size=Decimal("0.1"),
    step_size=Decimal(1),
    contract_size=Decimal("0.001"),
    min_amount=Decimal(1),
    maker=Decimal("0.0002"),
    taker=Decimal("0.0006"),
    liquidation_model="mark_maintenance",
    liquidation_fee=Decimal("0.0006"),
    tiers=(Tier(Decimal(0), Decimal("0.004")), Tier(Decimal(50_000), Decimal("0.005"), Decimal(50))),
)
ROUNDED = Decimal("1e-8")


def plan_of(add_ons: int) -> LadderPlan:
    return LadderPlan(
        side="long",
        entry_price=Decimal(60_000),
        base_order_quote=Decimal(100),
        safety_order_quote=Decimal(100),
        volume_scale=Decimal("1.15"),
        step_pct=Decimal(1),
        step_scale=Decimal("1.05"),
        max_safety_orders=add_ons,
        take_profit_pct=Decimal(1),
        stop_loss_pct=Decimal(40),
        amount_basis="margin",
        leverage=Decimal(5),
        margin_limit_quote=Decimal(100_000),
    )


def obvious(market: LadderMarket, plan: LadderPlan) -> list[dict[str, Fraction]]:
    """The same figures, formula by formula in fractions, for a long ladder with steps from the first order."""
    tick, step, size = Fraction(market.tick_size), Fraction(market.step_size), Fraction(market.contract_size)
    first, leverage = math.floor(Fraction(plan.entry_price) / tick) * tick, Fraction(plan.leverage)
    maker, taker, extra = Fraction(market.maker), Fraction(market.taker), Fraction(market.liquidation_fee)
    target_share, stop_share = Fraction(plan.take_profit_pct) / 100, Fraction(plan.stop_loss_pct or 0) / 100
    gap, order = Fraction(plan.step_pct) / 100, Fraction(plan.safety_order_quote)
    deviation = amount = cost = fees = Fraction(0)
    rows: list[dict[str, Fraction]] = []
    for number in range(plan.max_safety_orders + 1):
        if number:
            deviation += gap
            price, notional, fee = math.floor(first * (1 - deviation) / tick) * tick, order * leverage, maker
            gap, order = gap * Fraction(plan.step_scale), order * Fraction(plan.volume_scale)
        else:
            price, notional, fee = first, Fraction(plan.base_order_quote) * leverage, taker
        contracts = math.floor(notional / (price * size) / step) * step
        spent = price * contracts * size
        amount, cost, fees = amount + contracts * size, cost + spent, fees + spent * fee
        average, with_fees, margin = cost / amount, (cost + fees) / amount, cost / leverage
        break_even = with_fees / (1 - maker)
        target = math.ceil(break_even * (1 + target_share) / tick) * tick
        stop = math.ceil(average * (1 - stop_share) / tick) * tick
        tier = [tier for tier in market.tiers if tier.min_notional <= cost][-1]
        rate, cum = Fraction(tier.mmr) + extra, Fraction(tier.cum)
        liquidation = (cost - margin - cum) / (amount * (1 - rate))
        profit = amount * price - cost
        rows.append(
            {
                "price": price,
                "effective_deviation_pct": abs(price / first - 1) * 100,
                "contracts": contracts,
                "cost_quote": spent,
                "total_amount_base": amount,
                "total_cost_quote": cost,
                "total_fee_quote": fees,
                "average_price": average,
                "average_price_with_fees": with_fees,
                "break_even_price": break_even,
                "take_profit_price": target,
                "rebound_to_break_even_pct": (break_even / price - 1) * 100,
                "rebound_to_take_profit_pct": (target / price - 1) * 100,
                "profit_at_take_profit_quote": amount * target - cost - fees - amount * target * maker,
                "unrealized_pnl_quote": profit,
                "margin_quote": margin,
                "capital_used_quote": margin + fees,
                "margin_limit_use_pct": (margin + fees) / Fraction(plan.margin_limit_quote or 1) * 100,
                "stop_loss_price": stop,
                "loss_at_stop_quote": amount * stop - cost - fees - amount * stop * taker,
                "liquidation_price": liquidation,
                "distance_to_liquidation_pct": (1 - liquidation / price) * 100,
                "margin_ratio_pct": (amount * price * rate - cum) / (margin + profit) * 100,
            }
        )
    return rows


def differing(ladder: Ladder, rows: list[dict[str, Fraction]]) -> list[str]:
    return [
        f"{name} of level {level.level}"
        for level, row in zip(ladder.levels, rows, strict=True)
        for name, value in row.items()
        if abs(Fraction(getattr(level, name)) - value) > Fraction(ROUNDED)
    ]


def timed(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each call, the ways in turn, so that a busy machine slows all of them."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - began) * 1000)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--add-ons", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    plan = plan_of(chosen.add_ons)
    ladder = build(MARKET, plan)
    wrong = differing(ladder, obvious(MARKET, plan))
    if wrong:
        raise SystemExit(f"Not the same figures: {', '.join(wrong[:5])}")
    ways: dict[str, Callable[[], object]] = {
        "build": lambda: build(MARKET, plan),
        "as_json": ladder.as_json,
        "fractions": lambda: obvious(MARKET, plan),
    }
    result: dict[str, Any] = {name: spread(took, 3) for name, took in timed(ways, chosen.seconds).items()}
    ratio = round(result["fractions"]["median"] / result["build"]["median"], 1)
    missed = ["build"] if result["build"]["median"] > TARGETS["build ms"] else []
    result |= {"machine": machine(), "add_ons": chosen.add_ons, "ratio": ratio, "missed": missed}
    if chosen.json:
        print(json.dumps(result))
        return
    rows = [(name, *(result[name][key] for key in ("median", "min", "max", "n"))) for name in ways]
    print(result["machine"], "", table(("ms", "median", "least", "most", "n"), rows), "", sep="\n")
    print(f"{chosen.add_ons} add-ons; fractions take {ratio} times as long as build. Target {TARGETS['build ms']} ms.")
    print("Missed: " + (", ".join(missed) or "nothing"))


if __name__ == "__main__":
    main()
