"""The ladder: worked cases figure by figure, what must hold for every ladder, bad input, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.strategy.ladder import (
    FORMULAS,
    Ladder,
    LadderError,
    LadderMarket,
    LadderPlan,
    Level,
    Tier,
    after_recovery,
    build,
    formula,
    from_json,
    liquidation,
    margin_ratio_at,
    profit_at,
    unknown_fields,
)

ROOT = Path(__file__).parent.parent.parent
D = Decimal
CASES = json.loads((ROOT / "tests" / "data" / "ladder_fixture.json").read_text(encoding="utf-8"))["cases"]

SPOT = LadderMarket(type="spot", tick_size=D("0.1"), step_size=D("0.00000001"), maker=D("0.001"), taker=D("0.001"))
SWAP = LadderMarket(
    type="linear_swap",
    tick_size=D("0.1"),
    step_size=D(1),
    contract_size=D("0.001"),
    maker=D("0.0002"),
    taker=D("0.0006"),
    liquidation_model="mark_maintenance",
    liquidation_fee=D("0.0006"),
    tiers=(Tier(D(0), D("0.004")),),
)
PLAN = LadderPlan(
    side="long",
    entry_price=D(60000),
    base_order_quote=D(100),
    safety_order_quote=D(100),
    volume_scale=D("1.5"),
    step_pct=D(1),
    step_scale=D("1.2"),
    max_safety_orders=6,
    take_profit_pct=D(1),
)


def codes(ladder: Ladder) -> list[tuple[str, int]]:
    return [(broken.code, broken.level) for broken in ladder.violations]


def prices(ladder: Ladder) -> list[Decimal | None]:
    return [level.price for level in ladder.levels]


def number(value: Decimal | None) -> Decimal:
    assert value is not None
    return value


def near(one: Decimal | None, other: Decimal | str, within: str = "1e-8") -> bool:
    return abs(number(one) - D(other)) <= D(within)


# -- worked cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_worked_case(case: dict[str, Any]) -> None:
    assert build(*from_json(case["input"])).as_json() == case["expected"]


def test_steps_from_the_average() -> None:
    """Ten equal steps of 1 % with equal sizes reach 2.91 %, where steps from the first order reach 10 %."""
    fine = replace(SPOT, tick_size=D("0.000001"))
    plan = replace(PLAN, volume_scale=D(1), step_scale=D(1), max_safety_orders=10)
    reached = {
        reference: build(fine, replace(plan, step_reference=reference)).summary.max_deviation_covered_pct
        for reference in ("base", "previous", "average")
    }
    assert {name: round(value, 2) for name, value in reached.items()} == {
        "base": D(10),
        "previous": D("9.56"),
        "average": D("2.91"),
    }


@pytest.mark.parametrize("tick", ["0.1", "0.7", "10"])
def test_prices_from_averages_that_never_end_are_put_on_the_grid_exactly(tick: str) -> None:
    """As fractions say: 1659.36 ÷ 0.028 has no last digit, 2 % below it is 58077.6."""
    market = replace(SWAP, tick_size=D(tick), maker=D(0), taker=D(0))
    plan = replace(PLAN, base_order_quote=D(480), safety_order_quote=D(500), max_safety_orders=3, step_pct=D(2))
    plan = replace(plan, step_reference="average", step_scale=D(1), take_profit_basis="average_gross")
    unit = Fraction(tick)
    for entry in range(59000, 60000, 10):
        for level, deeper in pairwise(build(market, replace(plan, entry_price=D(entry))).levels):
            average = Fraction(number(level.total_cost_quote)) / Fraction(number(level.total_amount_base))
            assert Fraction(number(deeper.price)) == average * 49 / 50 // unit * unit
            assert Fraction(number(level.take_profit_price)) == -(-average * 101 / 100 // unit) * unit


def test_coarse_tick_collapses_levels() -> None:
    plan = replace(PLAN, entry_price=D(100), step_scale=D(1), step_pct=D("0.4"), max_safety_orders=4)
    ladder = build(replace(SPOT, tick_size=D(1)), plan)
    assert prices(ladder) == [100, 99, 99, 98, 98]
    assert codes(ladder) == [("duplicate_price", 2), ("duplicate_price", 4)]
    assert not ladder.summary.valid and ladder.summary.orders == 5


def test_entry_is_put_on_the_grid_never_more_aggressively() -> None:
    plan = replace(PLAN, entry_price=D("100.07"), max_safety_orders=0)
    assert prices(build(SPOT, plan)) == [100]
    assert prices(build(SWAP, replace(plan, side="short"))) == [D("100.1")]


def test_short_with_tiers() -> None:
    tiers = (Tier(D(0), D("0.004")), Tier(D(1000), D("0.01"), D(6)), Tier(D(3000), D("0.02"), D(36)))
    plan = replace(PLAN, side="short", leverage=D(3), amount_basis="margin", margin_limit_quote=D(1000))
    ladder = build(replace(SWAP, tiers=tiers), plan)
    assert prices(ladder)[:3] == [60000, 60600, 61320]
    assert [level.maintenance_margin_rate for level in ladder.levels] == [
        next(tier.mmr for tier in reversed(tiers) if tier.min_notional <= number(level.total_cost_quote))
        for level in ladder.levels
    ]
    assert {level.maintenance_margin_rate for level in ladder.levels} == {tier.mmr for tier in tiers}
    last = ladder.levels[-1]
    cost, amount = number(last.total_cost_quote), number(last.total_amount_base)
    assert near(last.liquidation_price, (cost + cost / 3 + 36) / (amount * D("1.0206")), "1e-7")
    assert number(last.liquidation_price) > number(last.price)
    assert codes(ladder) == [
        ("margin_limit_exceeded", level.level) for level in ladder.levels if number(level.margin_limit_use_pct) > 100
    ]
    assert number(last.margin_limit_use_pct) > 100


def test_ten_times_is_liquidated_inside_the_ladder() -> None:
    plan = replace(PLAN, leverage=D(10), amount_basis="margin", step_pct=D(3), step_scale=D("1.5"), max_safety_orders=4)
    ladder = build(SWAP, plan)
    found = [level for code, level in codes(ladder) if code == "liquidated_before_level"]
    assert found and found == [
        level.level
        for before, level in pairwise(ladder.levels)
        if number(before.liquidation_price) >= number(level.price)
    ]
    assert ladder.summary.orders == 5


def test_ladder_below_zero() -> None:
    plan = replace(PLAN, step_pct=D(30), step_scale=D(1), max_safety_orders=5)
    ladder = build(SPOT, plan)
    assert prices(ladder) == [60000, 42000, 24000, 6000, None, None]
    assert codes(ladder) == [("price_not_positive", 4), ("price_not_positive", 5)]
    assert ladder.summary.orders == 4 and ladder.summary.max_deviation_covered_pct == 90
    assert ladder.summary.total_cost_quote == ladder.levels[3].total_cost_quote
    assert ladder.as_json()["rows"][4] == {
        "level": 4,
        "kind": "safety",
        "step_pct": "30.00000000",
        "cumulative_step_pct": "120.00000000",
        "order_quote_target": "337.50000000",
        "price": None,
        "reachable": False,
    }


def test_fee_taken_in_coins() -> None:
    market = replace(SPOT, fee_side="base", step_size=D("0.0001"))
    ladder = build(market, replace(PLAN, base_order_quote=D(1000), safety_order_quote=D(1000), max_safety_orders=1))
    first, last = ladder.levels
    assert (first.contracts, first.fee_base, first.fee_quote) == (D("0.0166"), D("0.0000166"), 0)
    assert (first.total_amount_base, first.sellable_amount_base) == (D("0.0165834"), D("0.0165"))
    assert first.average_price == first.average_price_with_fees
    assert near(first.average_price, D(60000) / D("0.999"))
    assert last.total_amount_base == number(last.contracts) * D("0.999") + D("0.0165834")
    assert last.total_fee_quote == 0 and last.capital_used_quote == last.total_cost_quote
    assert build(market, replace(PLAN, side="short")).levels[0].fee_base == 0


def test_short_with_shrinking_steps() -> None:
    plan = replace(PLAN, side="short", step_pct=D(2), step_scale=D("0.5"), max_safety_orders=3)
    ladder = build(replace(SWAP, step_size=D("0.001")), plan)
    assert prices(ladder) == [60000, 61200, 61800, 62100]
    level = ladder.levels[-1]
    assert number(level.average_price_with_fees) < number(level.average_price)
    assert number(level.take_profit_price) < number(level.break_even_price) < number(level.average_price)


def test_rebate_and_return_on_margin() -> None:
    market = replace(SWAP, maker=D("-0.0001"))
    plan = replace(PLAN, amount_basis="margin", leverage=D(5), take_profit_basis="margin_net", take_profit_pct=D(5))
    ladder = build(market, plan)
    last = ladder.levels[-1]
    assert number(last.fee_quote) < 0
    assert number(ladder.levels[-1].total_fee_quote) < number(ladder.levels[0].total_fee_quote)
    exact = number(last.average_price_with_fees) / D("1.0001") * D("1.01")
    assert exact <= number(last.take_profit_price) < exact + market.tick_size


def test_return_on_margin_of_a_third_is_not_rounded_on_the_way() -> None:
    plan = replace(PLAN, leverage=D(3), take_profit_basis="margin_net", take_profit_pct=D(3), max_safety_orders=0)
    free = replace(SWAP, maker=D(0), taker=D(0))
    assert build(free, plan).levels[0].take_profit_price == 60600


@pytest.mark.parametrize(
    ("basis", "percent", "levels"), [("base", "2", [2, 3]), ("average", "1.5", [2, 3]), ("average", "2", [])]
)
def test_stop_inside_ladder(basis: Any, percent: str, levels: list[int]) -> None:
    """A stop of 2 % from the first order lies on the second add-on at 2 %: too near as well."""
    plan = replace(PLAN, stop_loss_pct=D(percent), stop_loss_basis=basis, step_scale=D(1), max_safety_orders=3)
    ladder = build(SPOT, plan)
    assert codes(ladder) == [("stop_inside_ladder", level) for level in levels]
    assert all(number(level.loss_at_stop_quote) < 0 for level in ladder.levels)


def test_target_not_above_fees() -> None:
    plan = replace(PLAN, take_profit_basis="average_gross", take_profit_pct=D("0.1"), max_safety_orders=1)
    ladder = build(SPOT, plan)
    assert codes(ladder) == [("tp_not_above_fees", 0), ("tp_not_above_fees", 1)]
    assert number(ladder.levels[1].profit_at_take_profit_quote) < 0


def test_limits_of_the_exchange() -> None:
    market = replace(SPOT, min_amount=D("0.002"), max_amount=D("0.01"), min_cost=D(150), max_cost=D(500))
    assert codes(build(market, PLAN)) == [
        ("below_min_amount", 0),
        ("below_min_cost", 0),
        ("below_min_amount", 1),
        ("below_min_cost", 1),
        ("below_min_cost", 2),
        ("above_max_cost", 5),
        ("above_max_amount", 6),
        ("above_max_cost", 6),
    ]
    assert codes(build(SPOT, PLAN)) == []


def test_an_order_of_nothing_is_told_though_the_minimum_is_unknown() -> None:
    ladder = build(replace(SPOT, step_size=D(1)), PLAN)
    assert codes(ladder) == [("below_min_amount", level) for level in range(7)]
    row = ladder.as_json()["rows"][0]
    assert row["contracts"] == "0" and row["average_price"] is None and row["take_profit_price"] is None


def test_custom_steps_take_the_place_of_the_scales() -> None:
    plan = replace(PLAN, custom_steps=((D(1), D(50)), (D(5), D(200))), step_reference="previous")
    ladder = build(SPOT, plan)
    assert prices(ladder) == [60000, 59400, 57000]
    assert [level.order_quote_target for level in ladder.levels] == [100, 50, 200]
    assert [level.step_pct for level in ladder.levels] == [0, 1, 4]
    assert formula(SPOT, plan, "price") == FORMULAS["price.base"]


# -- liquidation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "model", "share"),
    [
        ("long", "entry_maintenance", "0.9040"),
        ("long", "mark_maintenance", "0.903614"),
        ("long", "worse", "0.9040"),
        ("short", "entry_maintenance", "1.0960"),
        ("short", "mark_maintenance", "1.095618"),
        ("short", "worse", "1.095618"),
    ],
)
def test_liquidation_models(side: Any, model: Any, share: str) -> None:
    """10x with 0.4 %, as a share of the entry price."""
    market = replace(SWAP, liquidation_model=model, liquidation_fee=D(0))
    found = liquidation(market, side, cost_quote=D(1000), amount_base=D(1000), leverage=D(10))
    assert near(found, share, "1e-6")


def test_no_liquidation_figures_where_the_exchange_tells_none() -> None:
    for market in (replace(SWAP, liquidation_model=None), replace(SWAP, tiers=()), SPOT):
        ladder = build(market, PLAN)
        assert "liquidation_price" not in ladder.as_json()["summary"]
        assert not {"liquidation_price", "margin_ratio_pct"} & set(ladder.as_json()["rows"][0])
        assert margin_ratio_at(ladder, 0, D(60000)) is None


def test_what_cannot_be_liquidated_has_no_such_price() -> None:
    ladder = build(SWAP, PLAN)
    assert ladder.as_json()["rows"][0]["liquidation_price"] is None
    assert ladder.levels[0].margin_ratio_pct is not None


@pytest.mark.parametrize("model", ["mark_maintenance", "entry_maintenance", "worse"])
def test_maintenance_of_everything_does_not_divide_by_zero(model: Any) -> None:
    market = replace(SWAP, tiers=(Tier(D(0), D("0.9994")),), liquidation_model=model)
    build(market, replace(PLAN, leverage=D(5)))


# -- what must hold for every ladder -----------------------------------------------------------------------------------


def decimals(least: str, most: str, places: int = 2) -> st.SearchStrategy[Decimal]:
    return st.decimals(D(least), D(most), places=places, allow_nan=False)


fees = st.sampled_from([D("-0.0001"), D(0), D("0.0002"), D("0.001")])
markets = st.builds(
    replace,
    st.just(SWAP),
    type=st.sampled_from(["spot", "linear_swap"]),
    step_size=st.sampled_from([D("0.001"), D(1)]),
    tick_size=st.sampled_from([D("0.01"), D("0.1"), D(5)]),
    maker=fees,
    taker=fees,
    liquidation_model=st.sampled_from(["mark_maintenance", "entry_maintenance"]),
    tiers=st.sampled_from(
        [SWAP.tiers, (Tier(D(0), D("0.004")), Tier(D(2000), D("0.01"), D(12)), Tier(D(50000), D("0.05"), D(2012)))]
    ),
)
plans = st.builds(
    LadderPlan,
    side=st.sampled_from(["long", "short"]),
    entry_price=decimals("900", "100000"),
    base_order_quote=decimals("100", "5000"),
    safety_order_quote=decimals("100", "5000"),
    volume_scale=decimals("0.5", "2"),
    step_pct=decimals("0.8", "8"),
    step_scale=decimals("0.8", "1.5"),
    step_reference=st.sampled_from(["base", "previous", "average"]),
    max_safety_orders=st.integers(0, 8),
    take_profit_pct=decimals("0.1", "20"),
    take_profit_basis=st.sampled_from(["average_net", "average_gross", "margin_net"]),
    stop_loss_pct=st.none() | decimals("1", "30"),
    amount_basis=st.sampled_from(["notional", "margin"]),
    leverage=st.sampled_from([D(2), D(3), D(10)]),
    exit_order_type=st.sampled_from(["market", "limit"]),
)
ladders = st.builds(build, markets, plans)
quick = settings(max_examples=60, deadline=None)


def held_levels(ladder: Ladder) -> list[Level]:
    return [level for level in ladder.levels if level.reachable and level.total_amount_base]


@quick
@given(ladders)
def test_a_resting_ladder_always_improves_the_average(ladder: Ladder) -> None:
    sign = 1 if ladder.plan.side == "long" else -1
    held = held_levels(ladder)
    for before, after in pairwise(held):
        if after.amount_base and after.price != before.price and ladder.plan.step_reference != "average":
            assert sign * (number(before.average_price) - number(after.average_price)) > 0


@quick
@given(ladders)
def test_totals_are_sums_and_prices_lie_on_the_grid(ladder: Ladder) -> None:
    cost = fee = amount = D(0)
    for level in ladder.levels:
        if level.reachable:
            cost += number(level.cost_quote)
            fee += number(level.fee_quote)
            amount += number(level.amount_base)
            assert near(level.total_cost_quote, cost) and near(level.total_fee_quote, fee)
            assert near(level.total_amount_base, amount)
            assert number(level.cost_quote) <= level.order_quote_target
            for price in (level.price, level.take_profit_price, level.stop_loss_price):
                assert price is None or price % ladder.market.tick_size == 0
            assert number(level.contracts) % ladder.market.step_size == 0
    assert near(ladder.summary.total_cost_quote, cost)


@quick
@given(ladders)
def test_closing_at_a_price_gives_what_the_row_says(ladder: Ladder) -> None:
    taking_stop = build(ladder.market, replace(ladder.plan, exit_order_type="market"))
    for level, other in zip(ladder.levels, taking_stop.levels, strict=True):
        if level.take_profit_price is not None:
            assert near(profit_at(ladder, level.level, level.take_profit_price), str(level.profit_at_take_profit_quote))
            assert near(profit_at(ladder, level.level, number(level.break_even_price)), "0")
        if other.stop_loss_price is not None:
            assert near(profit_at(taking_stop, level.level, other.stop_loss_price), str(other.loss_at_stop_quote))


@quick
@given(ladders)
def test_a_net_target_earns_at_least_what_was_asked(ladder: Ladder) -> None:
    plan = replace(ladder.plan, take_profit_basis="average_net", side="long")
    for level in build(ladder.market, plan).levels:
        if level.take_profit_price is not None:
            paid = number(level.total_cost_quote) + number(level.total_fee_quote)
            assert number(level.profit_at_take_profit_quote) >= paid * plan.take_profit_pct / 100 - D("1e-8")


@quick
@given(ladders)
def test_liquidation_is_where_the_margin_is_used_up(ladder: Ladder) -> None:
    """Found by halving: the price at which maintenance equals what is left of the margin."""
    if not ladder.market.tells_liquidation:
        return
    sign = 1 if ladder.plan.side == "long" else -1
    for level in held_levels(ladder):
        if level.liquidation_price is None:
            continue
        tier = next(t for t in reversed(ladder.market.tiers) if t.min_notional <= number(level.total_cost_quote))
        cost, amount = number(level.total_cost_quote), number(level.total_amount_base)

        def balance(price: Decimal, tier: Tier = tier, cost: Decimal = cost, amount: Decimal = amount) -> Decimal:
            at_mark = amount * price * (tier.mmr + ladder.market.liquidation_fee)
            kept = cost * tier.mmr if ladder.market.liquidation_model == "entry_maintenance" else at_mark
            return cost / ladder.plan.leverage + sign * (amount * price - cost) - kept + tier.cum

        low, high = D(0), D(1_000_000)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if sign * balance(middle) > 0 else (middle, high)
        assert near(level.liquidation_price, low, "1e-7")
        ratio = margin_ratio_at(ladder, level.level, level.liquidation_price)
        assert ratio is None or near(ratio, "100", "1e-6")
        assert near(level.margin_ratio_pct, str(margin_ratio_at(ladder, level.level, number(level.price))))


WILD = st.decimals(D("1e-30"), D("1e30"), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(replace, st.just(PLAN), entry_price=WILD, base_order_quote=WILD, safety_order_quote=WILD),
    st.sampled_from(["long", "short"]),
    st.sampled_from(["base", "previous", "average"]),
    st.sampled_from([D("0.01"), D(1), D(100)]),
    st.builds(replace, st.sampled_from([SPOT, SWAP]), tick_size=WILD, step_size=WILD),
)
def test_numbers_that_make_no_sense_together_are_told_not_raised(
    plan: LadderPlan, side: Any, reference: Any, scale: Decimal, market: LadderMarket
) -> None:
    plan = replace(
        plan, side=side, step_reference=reference, step_scale=scale, volume_scale=scale, max_safety_orders=60
    )
    json.dumps(build(market, plan).as_json())


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_after_recovery() -> None:
    plan = replace(PLAN, amount_basis="margin", leverage=D(5), step_scale=D(1), volume_scale=D(2))
    before = build(SWAP, plan)
    after = after_recovery(before, 2, step_factor=D("1.5"), size_factor=D("0.5"), take_profit_pct=D("0.3"))
    assert prices(after) == [60000, 59400, 58800, 57900, 57000, 56100, 55200]
    sizes = [level.order_quote_target for level in after.levels]
    assert sizes == [500, 500, 1000, 1000, 2000, 4000, 8000]
    assert after.levels[2].liquidation_price == before.levels[2].liquidation_price
    assert number(after.summary.liquidation_price) < number(before.summary.liquidation_price)
    last = after.levels[-1]
    exact = number(last.break_even_price) * D("1.003")
    assert exact <= number(last.take_profit_price) < exact + D("0.1")


def test_after_recovery_tells_only_of_what_remains() -> None:
    market = replace(SPOT, min_cost=D(120))
    before = build(market, PLAN)
    assert codes(before) == [("below_min_cost", 0), ("below_min_cost", 1)]
    factors = {"step_factor": D(1), "take_profit_pct": D(0)}
    assert after_recovery(before, 3, size_factor=D(1), **factors).summary.valid
    assert codes(after_recovery(before, 3, size_factor=D("0.3"), **factors)) == [("below_min_cost", 4)]
    free = build(replace(SPOT, maker=D(0), taker=D(0)), replace(PLAN, volume_scale=D(1), max_safety_orders=2))
    assert after_recovery(free, 0, size_factor=D(0), **factors).violations[0].code == "below_min_amount"


def test_break_even_is_enough_in_recovery() -> None:
    free = replace(SPOT, maker=D(0), taker=D(0), tick_size=D("0.001"), step_size=D("0.001"))
    plan = replace(PLAN, entry_price=D(100), step_scale=D(1), volume_scale=D(1), max_safety_orders=1, step_pct=D(50))
    before = build(free, replace(plan, base_order_quote=D(100), safety_order_quote=D(50)))
    assert codes(build(free, replace(before.plan, take_profit_pct=D(0))))[-1] == ("tp_not_above_fees", 1)
    assert after_recovery(before, 0, step_factor=D(1), size_factor=D(1), take_profit_pct=D(0)).summary.valid


@pytest.mark.parametrize("level", [-1, 4, 7])
def test_a_level_that_cannot_be_filled(level: int) -> None:
    ladder = build(SPOT, replace(PLAN, step_pct=D(30), step_scale=D(1)))
    for ask in (
        lambda: profit_at(ladder, level, D(1)),
        lambda: margin_ratio_at(ladder, level, D(1)),
        lambda: after_recovery(ladder, level, step_factor=D(1), size_factor=D(1), take_profit_pct=D(0)),
    ):
        with pytest.raises(LadderError, match="level"):
            ask()


# -- tables and words --------------------------------------------------------------------------------------------------


def test_frame() -> None:
    plan = replace(PLAN, step_pct=D(30), step_scale=D(1))
    frame = build(SPOT, plan).frame()
    assert list(frame.index) == list(range(7)) and frame.index.name == "level"
    assert frame["price"].dropna().tolist() == [60000.0, 42000.0, 24000.0, 6000.0]
    assert frame["reachable"].tolist() == [True] * 4 + [False] * 3
    assert frame["average_price"].dtype == "float64" and "stop_loss_price" not in frame


def test_every_figure_has_a_formula() -> None:
    plan = replace(PLAN, stop_loss_pct=D(1), margin_limit_quote=D(1))
    for market in (SPOT, SWAP, replace(SWAP, liquidation_model="worse")):
        ladder = build(market, plan)
        shown = {name for row in ladder.as_json()["rows"] for name in row} - {"level", "kind", "reachable"}
        assert [name for name in shown if formula(market, plan, name) is None] == []
    assert formula(SPOT, plan, "average_price") == "average = total cost ÷ amount held"
    assert formula(SPOT, plan, "liquidation_price") is None


# -- bad input ---------------------------------------------------------------------------------------------------------


def changed(**changes: Any) -> dict[str, Any]:
    """A worked input; `market__` and `strategy__` name what is changed, None what is taken away."""
    both = json.loads(json.dumps(CASES[2]["input"]))
    for name, value in changes.items():
        part, _, field = name.partition("__")
        both[part][field] = value
    return both


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"market__tick_size": "-0.1"}, "tick_size must be more than zero"),
        ({"market__tick_size": None}, "tick_size is missing"),
        ({"market__step_size": 0}, "step_size must be more than zero"),
        ({"market__contract_size": "0"}, "contract_size must be more than zero"),
        ({"market__type": "inverse"}, "type must be one of: spot, linear_swap"),
        ({"market__maker": "1"}, "maker is out of all proportion"),
        ({"market__tiers": {}}, "tiers must be a list"),
        ({"market__tiers": [{"min_notional": "0"}]}, "tiers.mmr must be a number"),
        ({"market__tiers": [{"min_notional": "0", "mmr": "0.1"}] * 2}, "tiers must rise"),
        ({"market__liquidation_model": ["x"]}, "liquidation_model must be one of"),
        ({"strategy__side": "up"}, "side must be one of: long, short"),
        ({"strategy__entry_price": "NaN"}, "entry_price must be a number"),
        ({"strategy__entry_price": float("inf")}, "entry_price must be a number"),
        ({"strategy__entry_price": "sixty"}, "entry_price must be a number"),
        ({"strategy__entry_price": True}, "entry_price must be a number"),
        ({"strategy__entry_price": "1e999999"}, "out of all proportion"),
        ({"strategy__base_order_quote": "-1"}, "base_order_quote must not be below zero"),
        ({"strategy__step_pct": "-1"}, "step_pct must not be below zero"),
        ({"strategy__step_pct": None}, "step_pct is missing"),
        ({"strategy__step_scale": "0"}, "step_scale must be more than zero"),
        ({"strategy__volume_scale": "1000"}, "volume_scale is out of all proportion"),
        ({"strategy__max_safety_orders": "2.5"}, "must be a whole number"),
        ({"strategy__max_safety_orders": 501}, "from 0 to 500"),
        ({"strategy__leverage": "0.5"}, "at least 1"),
        ({"strategy__stop_loss_pct": "0"}, "stop_loss_pct must be more than zero"),
        ({"strategy__custom_steps": [["1"]]}, "pair"),
        ({"strategy__custom_steps": [["2", "1"], ["1", "1"]]}, "further"),
    ],
)
def test_nonsense_is_told_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LadderError, match=words) as error:
        from_json(changed(**changes))
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("given", [None, [], {}, {"market": {}}, {"market": [], "strategy": {}}])
def test_no_input_at_all(given: object) -> None:
    with pytest.raises(LadderError):
        from_json(given)


def test_numbers_may_be_numbers() -> None:
    given = changed(strategy__entry_price=60000, strategy__take_profit_pct=1.0, strategy__stop_loss_pct=None)
    assert build(*from_json(given)).as_json() == CASES[2]["expected"]


def test_custom_steps_are_read() -> None:
    given = changed(strategy__custom_steps=[["1", "50"], ["2.5", "75"]], strategy__max_safety_orders=None)
    assert from_json(given)[1].custom_steps == ((D(1), D(50)), (D("2.5"), D(75)))


def test_fields_typed_wrong_are_named() -> None:
    assert unknown_fields(changed(market__tick="1", strategy__stop_pct="1")) == ["market.tick", "strategy.stop_pct"]
    assert unknown_fields(changed()) == []


# -- the command -------------------------------------------------------------------------------------------------------


def ladder_command(stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bfai", "ladder"],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "BFAI_LANGUAGE": "en", "PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_command() -> None:
    done = ladder_command(json.dumps(CASES[3]["input"]))
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout) == CASES[3]["expected"]


def test_command_names_what_it_left_out() -> None:
    done = ladder_command(json.dumps(changed(strategy__stop_pct="1")))
    assert done.returncode == 0 and "strategy.stop_pct" in done.stderr
    assert json.loads(done.stdout) == CASES[2]["expected"]


@pytest.mark.parametrize("stdin", ["", "[]", "{", json.dumps(changed(market__tick_size="-1"))])
def test_command_refuses_nonsense(stdin: str) -> None:
    done = ladder_command(stdin)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.strip() and "Traceback" not in done.stderr
