"""The DCA ladder calculated a second time, slowly and in exact fractions, to catch mistakes of the real calculation.

Written from the formulas alone, in another way on purpose: totals are summed afresh from all fills for every row, and
the liquidation price is found from the meaning of liquidation (what is left of the margin equals the maintenance
margin), never from a solved formula. It knows nothing of `bfai`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Fill:
    price: Fraction
    ordered: Fraction  # coins
    fee_quote: Fraction
    fee_base: Fraction


# -- numbers in and out ------------------------------------------------------------------------------------------------


def number(value: Any, absent: str | None = None) -> Fraction:
    chosen = absent if value is None else value
    if chosen is None:
        raise ValueError("a number is missing")
    return Fraction(str(chosen))


def eight(value: Fraction) -> str:
    """Eight decimals, half to even."""
    units = round(value * 10**8)
    sign, digits = "-" if units < 0 else "", f"{abs(units):09d}"
    return f"{sign}{digits[:-8]}.{digits[-8:]}"


def plain(value: Fraction) -> str:
    """Every decimal that the number has and no zero behind them."""
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
        assert places < 200, f"{value} has no end in decimals"
    units = int(value * 10**places)
    sign, digits = "-" if units < 0 else "", str(abs(units)).rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def down(value: Fraction, grid: Fraction) -> Fraction:
    return (value / grid).__floor__() * grid


def up(value: Fraction, grid: Fraction) -> Fraction:
    return (value / grid).__ceil__() * grid


# -- liquidation -------------------------------------------------------------------------------------------------------


def tier_of(market: Json, cost: Fraction) -> Json | None:
    """The last tier that begins at or below the position's entry cost; a smaller position is in the first."""
    tiers: list[Json] = market.get("tiers") or []
    found = tiers[0] if tiers else None
    for tier in tiers[1:]:
        if number(tier["min_notional"]) <= cost:
            found = tier
    return found


class Position:
    """What an isolated position has left at a price, and how much of it must stay there."""

    def __init__(self, market: Json, tier: Json, side: int, cost: Fraction, amount: Fraction, margin: Fraction) -> None:
        self.at_mark = market["liquidation_model"] == "mark_maintenance"
        self.rate, self.cum = number(tier["mmr"]), number(tier.get("cum"), "0")
        self.fee = number(market.get("liquidation_fee"), "0")
        self.side, self.cost, self.amount, self.margin = side, cost, amount, margin

    def equity(self, price: Fraction) -> Fraction:
        return self.margin + self.side * (self.amount * price - self.cost)

    def maintenance(self, price: Fraction) -> Fraction:
        if self.at_mark:
            return self.amount * price * (self.rate + self.fee) - self.cum
        return self.cost * self.rate - self.cum

    def spare(self, price: Fraction) -> Fraction:
        return self.equity(price) - self.maintenance(price)

    def liquidation_price(self) -> Fraction | None:
        """Where nothing is spare. Nowhere (None) if that price is not positive: such a position is never liquidated."""
        at_zero = self.spare(Fraction(0))
        slope = self.spare(Fraction(1)) - at_zero  # the spare is a straight line in the price
        exact = -at_zero / slope
        if exact <= 0:
            return None
        low, high = Fraction(0), self.cost / self.amount * 4
        assert (self.spare(low) > 0) != (self.spare(high) > 0)
        for _ in range(64):
            middle = (low + high) / 2
            if (self.spare(middle) > 0) == (self.spare(low) > 0):
                low = middle
            else:
                high = middle
        assert low <= exact <= high, "algebra and bisection disagree"
        return exact


# -- the ladder --------------------------------------------------------------------------------------------------------


def ladder(given: Json) -> Json:
    market, plan = given["market"], given["strategy"]
    side = 1 if plan["side"] == "long" else -1
    swap = market["type"] == "linear_swap"
    tick, step = number(market["tick_size"]), number(market["step_size"])
    contract = number(market.get("contract_size"), "1")
    leverage = number(plan.get("leverage"), "1") if swap else Fraction(1)
    fee_of = {"market": number(market["taker"]), "limit": number(market["maker"])}
    exit_fee = fee_of[plan["exit_order_type"]]
    target = number(plan["take_profit_pct"]) / 100
    stop = None if plan.get("stop_loss_pct") is None else number(plan["stop_loss_pct"]) / 100
    limit = None if plan.get("margin_limit_quote") is None else number(plan["margin_limit_quote"])

    def entry_grid(price: Fraction) -> Fraction:
        return down(price, tick) if side > 0 else up(price, tick)

    def exit_grid(price: Fraction) -> Fraction:
        return up(price, tick) if side > 0 else down(price, tick)

    base = entry_grid(number(plan["entry_price"]))
    rows: list[Json] = []
    violations: list[Json] = []
    fills: list[Fill] = []
    summary: Json = {}
    farthest = Fraction(0)
    liquidation: Fraction | None = None  # after the fill before
    stop_price: Fraction | None = None  # after the fill before
    average = base
    over = False  # a level could not be reached, so nothing below it can

    for level in range(plan["max_safety_orders"] + 1):
        gaps = [number(plan["step_pct"]) * number(plan["step_scale"]) ** k for k in range(level)]  # percent
        wanted = number(plan["base_order_quote"])
        if level:
            wanted = number(plan["safety_order_quote"]) * number(plan["volume_scale"]) ** (level - 1)
        notional = wanted * leverage if plan.get("amount_basis") == "margin" else wanted
        row: Json = {
            "level": level,
            "kind": "safety" if level else "base",
            "step_pct": eight(gaps[-1] if gaps else Fraction(0)),
            "cumulative_step_pct": eight(sum(gaps, Fraction(0))),
            "order_quote_target": eight(notional),
        }
        rows.append(row)

        def violated(code: str, level: int = level) -> None:
            violations.append({"code": code, "level": level})

        # price
        price = base
        if level and not over:
            asked = {
                "base": base * (1 - side * sum(gaps) / 100),
                "previous": fills[-1].price * (1 - side * gaps[-1] / 100),
                "average": average * (1 - side * gaps[-1] / 100),
            }
            price = entry_grid(asked[plan["step_reference"]])
        if over or price <= 0:
            over = True
            row.update(price=None, reachable=False)
            violated("price_not_positive")
            continue
        deviation = abs(price / base - 1) * 100
        farthest = max(farthest, deviation)
        if level and price in [fill.price for fill in fills]:
            violated("duplicate_price")

        # the order
        contracts = down(notional / (price * contract), step)
        ordered = contracts * contract
        fee = fee_of[plan["safety_order_type"] if level else plan["base_order_type"]]
        in_coins = market.get("fee_side") == "base" and side > 0
        cost = price * ordered
        fills.append(
            Fill(price, ordered, Fraction(0) if in_coins else cost * fee, ordered * fee if in_coins else Fraction(0))
        )
        if contracts < number(market.get("min_amount"), "0") or contracts == 0:
            violated("below_min_amount")
        if market.get("max_amount") is not None and contracts > number(market["max_amount"]):
            violated("above_max_amount")
        if cost < number(market.get("min_cost"), "0"):
            violated("below_min_cost")

        # the group, from all its fills
        amount = sum((fill.ordered - fill.fee_base for fill in fills), Fraction(0))
        paid = sum((fill.price * fill.ordered for fill in fills), Fraction(0))
        fees = sum((fill.fee_quote for fill in fills), Fraction(0))
        average = paid / amount
        assert sum((fill.ordered - fill.fee_base) * average for fill in fills) == paid
        with_fees = (paid + side * fees) / amount
        break_even = with_fees / (1 - side * exit_fee)
        received = side * amount * break_even * (1 - side * exit_fee)  # a short pays this back
        assert received - side * paid - fees == 0, "who leaves at break-even has neither won nor lost"
        goal = exit_grid(
            {
                "average_net": break_even * (1 + side * target),
                "average_gross": average * (1 + side * target),
                "margin_net": break_even * (1 + side * target / leverage),
            }[plan["take_profit_basis"]]
        )
        margin = paid / leverage if swap else paid
        capital = margin + fees

        def leaving(at: Fraction, rate: Fraction, q: Fraction = amount, c: Fraction = paid, f: Fraction = fees) -> str:
            return eight(side * (q * at - c) - f - q * at * rate)

        row.update(
            price=plain(price),
            reachable=True,
            effective_deviation_pct=eight(deviation),
            contracts=plain(contracts),
            amount_base=plain(ordered),
            cost_quote=eight(cost),
            fee_quote=eight(fills[-1].fee_quote),
            fee_base=eight(fills[-1].fee_base),
            total_amount_base=plain(amount),
            sellable_amount_base=plain(down(amount / contract, step) * contract),
            total_cost_quote=eight(paid),
            total_fee_quote=eight(fees),
            average_price=eight(average),
            average_price_with_fees=eight(with_fees),
            break_even_price=eight(break_even),
            take_profit_price=plain(goal),
            rebound_to_break_even_pct=eight(side * (break_even / price - 1) * 100),
            rebound_to_take_profit_pct=eight(side * (goal / price - 1) * 100),
            profit_at_take_profit_quote=leaving(goal, exit_fee),
            unrealized_pnl_quote=eight(side * (amount * price - paid)),
            margin_quote=eight(margin),
            capital_used_quote=eight(capital),
        )
        if limit is not None:
            row["margin_limit_use_pct"] = eight(capital / limit * 100)
            if capital > limit:
                violated("margin_limit_exceeded")

        # what ends the group before this level, judged by the state after the level before
        if liquidation is not None and side * (liquidation - price) >= 0:
            violated("liquidated_before_level")
        if stop_price is not None and side * (stop_price - price) >= 0:
            violated("stop_inside_ladder")
        if side * (goal - break_even) <= 0:
            violated("tp_not_above_fees")

        tier = tier_of(market, paid) if swap else None
        if tier is not None:
            position = Position(market, tier, side, paid, amount, margin)
            liquidation = position.liquidation_price()
            equity = position.equity(price)
            row.update(
                maintenance_margin_rate=plain(position.rate),
                maintenance_cum=plain(position.cum),
                liquidation_price=None if liquidation is None else eight(liquidation),
                distance_to_liquidation_pct=None
                if liquidation is None
                else eight(side * (price - liquidation) / price * 100),
                margin_ratio_pct=None if equity == 0 else eight(position.maintenance(price) / equity * 100),
            )
        if stop is not None:
            measured_from = base if plan.get("stop_loss_basis") == "base" else average
            stop_price = exit_grid(measured_from * (1 - side * stop))
            row.update(
                stop_loss_price=plain(stop_price), loss_at_stop_quote=leaving(stop_price, number(market["taker"]))
            )
        summary = {
            "orders": len(fills),
            "max_deviation_covered_pct": eight(farthest),
            "total_cost_quote": eight(paid),
            "total_fee_quote": eight(fees),
            "required_capital_quote": eight(capital),
            "average_price": eight(average),
            "break_even_price": eight(break_even),
            "take_profit_price": plain(goal),
            "valid": False,
        }
        if tier is not None:
            summary["liquidation_price"] = row["liquidation_price"]

    summary["valid"] = not violations
    return {"rows": rows, "violations": violations, "summary": summary}
