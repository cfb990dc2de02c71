"""The ladder's charts as data: places, labels that do not touch, lines that are told apart without their colour."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bfai.i18n import LANGUAGES, translator
from bfai.strategy.ladder import (
    Ladder,
    LadderMarket,
    LadderPlan,
    Tier,
    after_recovery,
    build,
    from_json,
    margin_ratio_at,
)
from bfai.ui import ladder_view as view
from bfai.ui.ladder_view import End, Pen

D = Decimal
CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "ladder_cases.json").read_text(encoding="utf-8")
)["cases"]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])

SPOT = LadderMarket(
    type="spot", tick_size=D("0.1"), step_size=D("0.00000001"), maker=D("0.001"), taker=D("0.001"), min_cost=D(5)
)
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
ON_MARGIN = replace(PLAN, amount_basis="margin", leverage=D(5))
LONG = build(SPOT, PLAN)
FUTURES = build(SWAP, ON_MARGIN)
SHORT = build(SWAP, replace(ON_MARGIN, side="short"))
RECOVERY = after_recovery(FUTURES, 3, step_factor=D("1.5"), size_factor=D("0.5"), take_profit_pct=D("0.3"))


def pen(ladder: Ladder, language: str = "en") -> Pen:
    return Pen.of(ladder, translator(language), "USDT", "BTC")


def of_case(case: dict[str, Any]) -> Ladder:
    return build(*from_json(case["input"]))


def series(spec: dict[str, Any], style: view.Style) -> list[dict[str, Any]]:
    """The lines that are drawn in this style, told by colour, symbol and dash."""
    return [
        line
        for line in spec["series"]
        if line.get("color") == style.colour
        and line.get("symbol") == style.symbol
        and ("borderColor" in line["itemStyle"]) == style.hollow
    ]


def lines_across(spec: dict[str, Any]) -> list[tuple[float, str]]:
    return [
        (mark["yAxis"], mark["label"].get("formatter", ""))
        for line in spec["series"]
        for mark in line.get("markLine", {}).get("data", [])
        if "yAxis" in mark and mark["label"].get("show", True)
    ]


def values(line: dict[str, Any]) -> list[Any]:
    return [item["value"] if isinstance(item, dict) else item for item in line["data"]]


# -- axes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        ("0", "2200", ["0", "500", "1000", "1500", "2000"]),
        ("50900", "61000", ["52000", "54000", "56000", "58000", "60000"]),
        ("0.0000031", "0.0000119", ["0.000004", "0.000006", "0.000008", "0.00001"]),
        ("-0.3", "0.2", ["-0.3", "-0.2", "-0.1", "0", "0.1", "0.2"]),
        ("5", "5", ["5"]),
    ],
)
def test_ticks_are_round_numbers_within(low: str, high: str, wanted: list[str]) -> None:
    assert view.ticks(D(low), D(high)) == [D(number) for number in wanted]


def test_labels_do_not_touch_and_the_first_ones_are_preferred() -> None:
    assert view.fit([0, 100, 5, 50, 60, 93], 14) == {0, 1, 3}
    assert view.fit([], 14) == set()
    assert view.fit([7, 7], 14) == {0}


def test_there_is_room_for_what_lies_near_and_a_word_on_what_does_not() -> None:
    far = build(SWAP, replace(ON_MARGIN, leverage=D(2)))
    window = view.price_window(far, None, D(59000))
    assert [name for name, _price in window.outside] == ["liquidation"]
    assert window.low > (far.summary.liquidation_price or 0)
    near = view.price_window(FUTURES, RECOVERY, D(59000))
    assert near.outside == ()
    assert near.low < (RECOVERY.summary.liquidation_price or 0) < near.high
    assert view.price_window(LONG, None, D(30000)).outside == (("now", D(30000)),)


# -- prices ------------------------------------------------------------------------------------------------------------


def test_every_level_average_and_target_stands_at_its_price() -> None:
    spec = view.prices_spec(LONG, pen(LONG), now=D(59800))
    assert values(series(spec, view.LEVEL)[0]) == [float(level.price or 0) for level in LONG.levels]
    assert values(series(spec, view.AVERAGE)[0]) == [float(level.average_price or 0) for level in LONG.levels]
    assert values(series(spec, view.TARGET)[0]) == [float(level.take_profit_price or 0) for level in LONG.levels]
    assert not series(spec, view.LIQUIDATION)
    across = dict(lines_across(spec))
    assert across[60000.0] and across[54042.0] == "6: 54,042.0"
    assert spec["xAxis"]["data"] == [str(number) for number in range(7)]


def test_a_futures_ladder_shows_its_liquidation_after_each_fill_and_its_stop() -> None:
    ladder = build(SWAP, replace(ON_MARGIN, stop_loss_pct=D(8)))
    spec = view.prices_spec(ladder, pen(ladder))
    assert values(series(spec, view.LIQUIDATION)[0]) == [float(level.liquidation_price or 0) for level in ladder.levels]
    assert values(series(spec, view.STOP)[0]) == [float(level.stop_loss_price or 0) for level in ladder.levels]


def test_the_second_ladder_is_dashed_and_begins_where_recovery_does() -> None:
    assert view.recovery_begins(FUTURES, RECOVERY) == 3
    spec = view.prices_spec(FUTURES, pen(FUTURES), recovery=RECOVERY)
    for style, since in ((view.LEVEL, 4), (view.AVERAGE, 3), (view.TARGET, 3), (view.LIQUIDATION, 3)):
        (line,) = series(spec, view.after(style))
        assert [value is None for value in values(line)] == [place < since for place in range(7)]
    assert series(spec, view.after(view.AVERAGE))[0]["lineStyle"]["type"] == list(view.after(view.AVERAGE).dash)
    assert any(text.startswith("R6: ") for _place, text in lines_across(spec))


def test_recovery_that_changes_nothing_begins_at_the_last_level() -> None:
    same = after_recovery(FUTURES, 2, step_factor=D(1), size_factor=D(1), take_profit_pct=D(1))
    assert view.recovery_begins(FUTURES, same) == 6


def test_what_stands_under_the_pointer_is_written_in_the_readers_language() -> None:
    spec = view.prices_spec(LONG, pen(LONG, "hr"))
    assert spec["tooltip"]["formatter"] == "{b0}"
    names = [item["name"] for item in spec["series"][0]["data"]]
    assert "58.685,1" in names[3] and "59.390,6" in names[3]
    assert "6: 54.042,0" in [text for _place, text in lines_across(spec)]


def test_labels_of_many_levels_do_not_touch() -> None:
    ladder = build(SPOT, replace(PLAN, max_safety_orders=40, step_pct=D("0.1"), step_scale=D("1.1")))
    spec = view.prices_spec(ladder, pen(ladder))
    axis = spec["yAxis"]
    pixels = (400 - 70) / (axis["max"] - axis["min"])
    places = sorted(place * pixels for place, text in lines_across(spec) if ":" in text)
    assert len(places) > 5
    assert all(other - one > 13.9 for one, other in pairwise(places))


def test_no_two_lines_differ_by_colour_alone() -> None:
    styles = (view.LEVEL, view.AVERAGE, view.TARGET, view.STOP, view.LIQUIDATION, view.NOW)
    styles += tuple(view.after(style) for style in styles[:3])
    shapes = {(style.symbol, style.dash, style.hollow) for style in styles}
    assert len(shapes) == len(styles)
    curves = {(style.dash, style.width) for style in (*view.CURVES, view.REACHED)}
    assert len(curves) == 4


@pytest.mark.parametrize("style", [view.LEVEL, view.STOP, view.after(view.TARGET), view.NOW])
def test_the_legend_shows_the_same_line(style: view.Style) -> None:
    picture = view.sample_svg(style)
    assert style.colour in picture
    assert ("stroke-dasharray" in picture) == bool(style.dash)


# -- capital -----------------------------------------------------------------------------------------------------------


def test_capital_rises_with_the_distance_and_the_limit_is_a_line() -> None:
    spec = view.capital_spec(LONG, pen(LONG), limit=D(2000))
    points = values(series(spec, view.CAPITAL)[0])[:-1]
    assert points == [
        [float(level.effective_deviation_pct or 0), float(level.capital_used_quote or 0)] for level in LONG.levels
    ]
    assert (2000.0, "limit 2,000.00\u00a0USDT") in lines_across(spec)
    assert spec["yAxis"]["max"] > 2180


def test_what_is_free_on_the_account_is_a_line_of_its_own() -> None:
    spec = view.capital_spec(LONG, pen(LONG), limit=D(2000), free=D(3000))
    assert (3000.0, "free 3,000.00\u00a0USDT") in lines_across(spec)
    assert (2000.0, "limit 2,000.00\u00a0USDT") in lines_across(spec)
    assert spec["yAxis"]["max"] > 3000
    first, second = series(spec, view.CAPITAL)[0]["markLine"]["data"]
    assert first["lineStyle"]["type"] != second["lineStyle"]["type"]
    assert "3,000.00" in view.capital_alt(LONG, pen(LONG), D(2000), None, D(3000))


def test_a_limit_far_above_does_not_flatten_the_chart() -> None:
    assert view.limit_fits(LONG, D(6000)) and not view.limit_fits(LONG, D(7000)) and not view.limit_fits(LONG, None)
    spec = view.capital_spec(LONG, pen(LONG), limit=D(70000))
    assert spec["yAxis"]["max"] < 3000


# -- a price to try ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ladder", [LONG, FUTURES, SHORT], ids=["spot", "long", "short"])
def test_at_the_price_of_a_level_it_has_filled_and_its_figures_hold(ladder: Ladder) -> None:
    for level in ladder.levels:
        assert level.price is not None
        tried = view.what_if(ladder, level.price)
        assert (tried.fills, tried.end) == (level.level, End.OPEN)
        assert tried.unrealized_quote == level.unrealized_pnl_quote
        if level.margin_ratio_pct is None:
            assert tried.margin_ratio_pct is None
        else:
            assert abs((tried.margin_ratio_pct or D(0)) - level.margin_ratio_pct) < D("1e-8")
        nearer = level.price + ladder.market.tick_size * (1 if ladder.plan.side == "long" else -1)
        assert view.what_if(ladder, nearer).fills == max(0, level.level - 1)


def test_the_stop_comes_before_what_lies_beyond_it() -> None:
    ladder = build(SPOT, replace(PLAN, stop_loss_pct=D(3)))
    tried = view.what_if(ladder, D(50000))
    level = ladder.levels[tried.fills]
    assert tried.end is End.STOP and tried.end_price == level.stop_loss_price
    assert tried.result_quote == level.loss_at_stop_quote
    assert tried.unrealized_quote is None
    assert (ladder.levels[tried.fills + 1].price or 0) <= (tried.end_price or 0)


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_liquidation_takes_margin_and_fees(side: Any) -> None:
    ladder = build(SWAP, replace(ON_MARGIN, side=side, leverage=D(20)))
    tried = view.what_if(ladder, D(45000) if side == "long" else D(90000))
    level = ladder.levels[tried.fills]
    assert tried.end is End.LIQUIDATION and tried.end_price == level.liquidation_price
    assert tried.result_quote == -(level.capital_used_quote or 0)
    assert tried.fills < 6


def test_of_stop_and_liquidation_the_nearer_one_comes_first() -> None:
    ladder = build(SWAP, replace(ON_MARGIN, max_safety_orders=0, stop_loss_pct=D(50)))
    assert view.what_if(ladder, D(20000)).end is End.LIQUIDATION
    ladder = build(SWAP, replace(ON_MARGIN, max_safety_orders=0, stop_loss_pct=D(5)))
    assert view.what_if(ladder, D(20000)).end is End.STOP


def test_above_the_first_target_the_group_has_closed_there() -> None:
    tried = view.what_if(LONG, D(65000))
    assert (tried.end, tried.end_price) == (End.TARGET, D("60721.4"))
    assert tried.result_quote == LONG.levels[0].profit_at_take_profit_quote
    assert view.what_if(SHORT, D(50000)).end is End.TARGET


def test_the_range_lies_on_the_tick_grid_and_holds_every_level() -> None:
    for ladder in (LONG, FUTURES, SHORT, build(SPOT, replace(PLAN, max_safety_orders=0))):
        found = view.price_range(ladder, None)
        assert found.step % ladder.market.tick_size == 0
        assert found.low % found.step == 0 and found.high % found.step == 0
        assert all(found.low <= (level.price or 0) <= found.high for level in ladder.levels)
        assert (found.high - found.low) / found.step <= 900


# -- profit ------------------------------------------------------------------------------------------------------------


def test_a_curve_crosses_nothing_at_break_even() -> None:
    prices = [level.break_even_price for level in LONG.levels if level.break_even_price is not None]
    for fills, price in enumerate(prices):
        ((_price, profit),) = view.profit_curve(LONG, fills, [price])
        assert abs(profit) < D("1e-20")


@pytest.mark.parametrize("ladder", [FUTURES, SHORT], ids=["long", "short"])
def test_a_curve_ends_at_its_liquidation(ladder: Ladder) -> None:
    area = view.price_range(ladder)
    prices = [area.low, (area.low + area.high) / 2, area.high]
    curve = [price for price, _profit in view.profit_curve(ladder, 6, prices)]
    at = ladder.summary.liquidation_price
    assert at is not None
    assert (curve[0] if ladder.plan.side == "long" else curve[-1]) == at
    assert abs((margin_ratio_at(ladder, 6, at) or 0) - 100) < D("1e-6")


def test_the_price_of_now_is_not_drawn_over_a_tried_one_beside_it() -> None:
    now = D("59812.3")
    area = view.price_range(LONG, now)
    assert not view.apart(now, view.what_if(LONG, now + area.step / 2), area)
    assert view.apart(now, view.what_if(LONG, now - area.step), area)
    assert not view.apart(area.high + 1, view.what_if(LONG, now), area)


def test_the_curves_are_none_half_all_and_what_the_tried_price_fills() -> None:
    assert view.curve_fills(LONG, 0) == [0, 3, 6]
    assert view.curve_fills(LONG, 5) == [0, 3, 5, 6]
    assert view.curve_fills(build(SPOT, replace(PLAN, max_safety_orders=0)), 0) == [0]
    spec = view.profit_spec(LONG, pen(LONG), view.what_if(LONG, D(55535)), now=D(59800))
    assert [line["name"] for line in spec["series"] if "endLabel" in line] == ["0", "3", "5", "6"]
    assert 0 in [mark.get("yAxis") for mark in spec["series"][0]["markLine"]["data"]]
    assert [mark["xAxis"] for mark in spec["series"][0]["markLine"]["data"][1:]] == [59800.0, 55535.0]


# -- tables ------------------------------------------------------------------------------------------------------------


@each_case
def test_what_was_asked_is_within_a_tick_of_what_is_sent(case: dict[str, Any]) -> None:
    ladder = of_case(case)
    sign = 1 if ladder.plan.side == "long" else -1
    for level, asked in zip(ladder.levels, view.asked_prices(ladder), strict=True):
        if level.price is not None:
            assert asked is not None
            assert 0 <= sign * (asked - level.price) + D("1e-40") <= ladder.market.tick_size


def test_the_table_says_what_is_wrong_and_only_then() -> None:
    columns = {column.name: column.cells for column in view.rounded_table(LONG, pen(LONG))}
    assert "Errors" not in columns and "Liquidation" not in columns and "Contracts" not in columns
    assert columns["Price"][6] == "54,042.0" and columns["Capital"][6] == "2,180.30"
    broken = build(SPOT, replace(PLAN, base_order_quote=D(1), margin_limit_quote=D(2000)))
    columns = {column.name: column.cells for column in view.rounded_table(broken, pen(broken))}
    assert columns["Errors"][0] == "below the smallest order value"
    assert columns["Errors"][6] == "above the margin limit"


def test_beside_what_was_asked_stands_what_is_not_spent() -> None:
    columns = {column.name: column.cells for column in view.asked_table(FUTURES, pen(FUTURES))}
    assert columns["Size asked"][0] == "500.00"
    assert columns["Cost"][0] == "480.00"
    assert columns["Not spent"][0] == "20.00"
    assert columns["Price asked"][0] == "60,000.000"


# -- everything --------------------------------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_case_can_be_drawn_and_told(case: dict[str, Any], language: str) -> None:
    ladder = of_case(case)
    writer = pen(ladder, language)
    now = ladder.plan.entry_price
    tried = view.what_if(ladder, now)
    recovery = after_recovery(ladder, 0, step_factor=D(2), size_factor=D("0.5"), take_profit_pct=D(0))
    texts = [
        view.prices_alt(ladder, writer, now, recovery),
        view.capital_alt(ladder, writer, D(1000), recovery),
        view.profit_alt(ladder, writer, tried),
    ]
    for spec in (
        view.prices_spec(ladder, writer, now=now, recovery=recovery),
        view.capital_spec(ladder, writer, limit=D(1000), recovery=recovery),
        view.profit_spec(ladder, writer, tried, now=now),
    ):
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec
        texts.append(json.dumps(spec["series"]).replace('"formatter": "{a}"', ""))
    assert not [text for text in texts[:3] if "{" in text or not text]
    for columns in (view.rounded_table(ladder, writer), view.asked_table(ladder, writer)):
        assert {len(column.cells) for column in columns} == {len(ladder.levels)}
        assert len({column.name for column in columns}) == len(columns)


def test_small_prices_keep_their_place() -> None:
    """The chart library would round a line across to cents."""
    ladder = build(
        replace(SPOT, tick_size=D("0.00000001"), step_size=D(1), min_cost=None),
        replace(PLAN, entry_price=D("0.00001234"), base_order_quote=D("0.01"), safety_order_quote=D("0.01")),
    )
    spec = view.prices_spec(ladder, pen(ladder))
    assert all(line["markLine"]["precision"] == 15 for line in spec["series"] if "markLine" in line)
    assert "0: 0.00001234" in [text for _place, text in lines_across(spec)]
