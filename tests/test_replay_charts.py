"""The replay's pictures as data: what a place stands for, nothing lost, always small, told apart by shape."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from bfai.i18n import LANGUAGES, translator
from bfai.model import Market
from bfai.strategy.candles import Candles, sample
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import preset
from bfai.strategy.replays import GridPlan, Question, axis_of, result_of, stretches
from bfai.ui import replay_charts as charts
from bfai.ui.ladder_view import Pen

MARKET = LadderMarket(
    type="spot",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.00000001"),
    maker=Decimal("0.001"),
    taker=Decimal("0.001"),
)
BTC = "BTC/USDT"
PARAMETERS = preset("balanced", Market.SPOT, [BTC], "30")
QUESTION = Question(PARAMETERS, {BTC: MARKET}, {BTC: sample(BTC)}, Decimal(10_000))
FOUND = QUESTION.answer()
MOST_BYTES = 300_000


def pen(language: str = "en") -> Pen:
    return Pen(translator(language), "USDT", "BTC", 1, 8)


def picture(candles: Candles, question: Question = QUESTION, **more: Any) -> charts.Picture:
    found = question.answer()
    view = charts.view_of(candles)
    return charts.Picture(
        view,
        charts.bars_of(candles, view),
        charts.marks_of(found, candles.pair, view),
        [charts.lines_of(stretches(question, found), view)],
        charts.curve_of(found.times, found.values, view),
        charts.curve_of(found.times, found.capital, view),
        **more,
    )


# -- what a place stands for -------------------------------------------------------------------------------------------


def test_a_place_has_the_open_the_close_and_both_extremes_of_its_candles() -> None:
    candles = sample(BTC)
    view = charts.view_of(candles)
    assert view.places <= charts.MOST_BARS and view.begin == candles.time[0] and view.end >= candles.ends.timestamp()
    bars = charts.bars_of(candles, view)
    each = view.step // candles.step
    for place in (0, 7, view.places - 1):
        own = slice(place * each, (place + 1) * each)
        assert bars.open[place] == candles.open[own][0] and bars.close[place] == candles.close[own][-1]
        assert bars.high[place] == candles.high[own].max() and bars.low[place] == candles.low[own].min()
    assert np.nanmax(bars.high) == candles.high.max() and np.nanmin(bars.low) == candles.low.min()


def test_a_hole_in_the_candles_stays_a_hole() -> None:
    whole = sample(BTC)
    keep = np.ones(len(whole), dtype=bool)
    keep[3000:6000] = False
    holed = Candles(BTC, whole.interval, *(column[keep] for column in whole.columns))
    view = charts.view_of(holed)
    assert view == charts.view_of(whole), "time goes on where there are no candles"
    bars = charts.bars_of(holed, view)
    missing = np.isnan(bars.close)
    assert 20 < missing.sum() < 40 and not missing[0] and not missing[-1]
    spec = charts.picture_spec(picture(holed, replace(QUESTION, candles={BTC: holed})), pen(), "zoom")
    data = next(one["data"] for one in spec["series"] if one["type"] == "candlestick")
    assert [row == ["-"] * 4 for row in data] == missing.tolist()


def test_no_dip_is_averaged_away() -> None:
    view = charts.view_of(sample(BTC))
    curve = charts.curve_of(FOUND.times, FOUND.values, view)
    assert np.nanmin(curve.low) == FOUND.values.min() and np.nanmax(curve.high) == FOUND.values.max()
    assert curve.last[-1] == FOUND.values[-1]
    capital = charts.curve_of(FOUND.times, FOUND.capital, view)
    assert np.nanmax(capital.high) == pytest.approx(float(FOUND.summary.peak_capital))


def test_every_entry_add_on_and_exit_is_counted_once() -> None:
    view = charts.view_of(sample(BTC))
    marks = charts.marks_of(FOUND, BTC, view)
    counted = {kind: sum(mark.times for mark in marks if mark.kind == kind) for kind in charts.MARKS}
    fills = FOUND.summary.fills_by_level
    assert counted["opened"] == fills[0] and counted["add_on"] == sum(fills[1:])
    assert counted["take_profit"] == FOUND.summary.deals
    assert all(0 <= mark.place < view.places for mark in marks)
    assert charts.marks_of(FOUND, "ETH/USDT", view) == []


def test_looking_closer_shows_whole_candles_and_some_at_least() -> None:
    candles = sample(BTC)
    middle = datetime(2026, 1, 20, 12, 2, tzinfo=UTC)
    view = charts.view_of(candles, middle, middle + timedelta(hours=5))
    assert view.step == 300 and (view.begin - candles.time[0]) % 300 == 0
    assert view.begin <= middle.timestamp() and view.end >= (middle + timedelta(hours=5)).timestamp() - 300
    for since, until in (
        (middle, middle),
        (candles.ends + timedelta(days=3), candles.ends + timedelta(days=4)),
        (candles.begins - timedelta(days=3), candles.begins - timedelta(days=2)),
    ):
        near = charts.view_of(candles, since, until)
        assert near.places == charts.FEWEST_CANDLES
        assert candles.time[0] <= near.begin and near.end <= candles.ends.timestamp()
    few = candles.between(until=candles.begins + timedelta(minutes=15))
    assert charts.view_of(few, middle).places == 3


def test_average_and_target_break_where_no_group_is_open() -> None:
    candles = sample(BTC)
    told = stretches(QUESTION, FOUND, FOUND.deals[:1])
    begin = candles.begins
    end = FOUND.deals[0].closed_at
    assert end is not None
    view = charts.view_of(candles, begin, end + timedelta(hours=3))
    lines = charts.lines_of(told, view)
    open_until = view.place(end)
    assert all(value is not None for value in lines.average[: open_until + 1])
    assert all(value is None for value in (*lines.average[open_until + 1 :], *lines.target[open_until + 1 :]))
    assert all(
        target > average
        for average, target in zip(lines.average, lines.target, strict=True)
        if average is not None and target is not None
    )


# -- the picture -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_it_is_small_and_written_in_the_readers_language(language: str) -> None:
    spec = charts.picture_spec(picture(sample(BTC), limit=500.0), pen(language), "zoom")
    text = json.dumps(spec, allow_nan=False)
    assert len(text) < MOST_BYTES
    scale = [
        entry["label"]["formatter"]
        for one in spec["series"]
        for entry in one.get("markLine", {}).get("data", ())
        if "formatter" in entry.get("label", {})
    ]
    assert any(("60,000" if language == "en" else "60.000") in entry for entry in scale)


def test_however_many_candles_it_stays_small() -> None:
    one = sample(BTC)
    times = one.time[0] + 60 * np.arange(525_600)
    path = 60_000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.0006, len(times))))
    minutes = Candles(BTC, timedelta(minutes=1), times, path, path * 1.0003, path * 0.9997, path, np.ones(len(times)))
    shown = picture(minutes, replace(QUESTION, candles={BTC: minutes}))
    assert shown.view.places <= charts.MOST_BARS
    assert len(json.dumps(charts.picture_spec(shown, pen(), "zoom"), allow_nan=False)) < MOST_BYTES


def test_the_three_parts_share_their_times_and_the_pointer_says_what_was_done() -> None:
    shown = picture(sample(BTC))
    spec = charts.picture_spec(shown, pen(), "zoom")
    labels = [axis["data"] for axis in spec["xAxis"]]
    assert len(labels) == 3 and labels[0] == labels[1] == labels[2] and len(labels[0]) == shown.view.places
    assert {one.get("xAxisIndex", 0) for one in spec["series"]} == {0, 1, 2}
    for number in range(3):
        first = next(one for one in spec["series"] if one["xAxisIndex"] == number)
        names = [item["name"] for item in first["data"]]
        assert len(names) == shown.view.places and "Equity" in names[0], "the pointer reads the first one of each part"
    prices = [item["name"] for item in spec["series"][0]["data"]]
    assert any("add-on: " in name for name in prices) and any("Recovery Mode" in name for name in prices)
    opened = next(mark for mark in shown.marks if mark.kind == "opened")
    assert f"first entry: {pen().price(opened.price)}" in prices[opened.place]


def test_the_limit_is_drawn_only_where_it_leaves_room_for_the_capital() -> None:
    def limits(limit: float) -> list[Any]:
        spec = charts.picture_spec(picture(sample(BTC), limit=limit), pen(), "zoom")
        return [
            entry
            for one in spec["series"]
            if one["xAxisIndex"] == 2
            for entry in one.get("markLine", {}).get("data", ())
        ]

    most = float(FOUND.summary.peak_capital)
    assert any(entry["yAxis"] == most * 2 for entry in limits(most * 2))
    assert all(entry["yAxis"] < most * 3 for entry in limits(most * 20))


def test_nothing_relies_on_its_colour() -> None:
    for one, other in combinations(charts.MARKS.values(), 2):
        assert (one.symbol, one.turn, one.hollow, one.size) != (other.symbol, other.turn, other.hollow, other.size)
    together = (
        (charts.AVERAGE, charts.TARGET, charts.AVERAGE_SHORT, charts.TARGET_SHORT, charts.RECOVERY),
        (charts.EQUITY, charts.OTHER),
    )
    for styles in together:
        for one, other in combinations(styles, 2):
            assert (one.dash, one.width) != (other.dash, other.width)
    spec = charts.picture_spec(picture(sample(BTC)), pen(), "zoom")
    style = next(one["itemStyle"] for one in spec["series"] if one["type"] == "candlestick")
    assert style["color"] == "rgba(0,0,0,0)" != style["color0"], "rising candles are hollow, falling ones filled"
    assert all("<svg" in charts.mark_svg(look) for look in charts.MARKS.values())


def test_another_equity_is_dashed_beside_ours() -> None:
    shown = picture(sample(BTC))
    both = replace(shown, other=shown.equity)
    spec = charts.picture_spec(both, pen(), "zoom")
    dashed = [
        one for one in spec["series"] if one["xAxisIndex"] == 1 and one.get("lineStyle", {}).get("type") == [6, 4]
    ]
    assert len(dashed) == 1
    assert "Equity of the other" in spec["series"][0]["data"][0]["name"]


def test_a_replay_in_which_nothing_happened_can_be_drawn() -> None:
    asked = replace(QUESTION, parameters=PARAMETERS.changed(first_entry_size="5000"))
    spec = charts.picture_spec(picture(sample(BTC), asked), pen(), "zoom")
    assert json.dumps(spec, allow_nan=False)
    assert not [one for one in spec["series"] if one["type"] == "scatter"]


# -- levels and grids --------------------------------------------------------------------------------------------------


def test_levels_show_their_numbers() -> None:
    spec = charts.levels_spec(FOUND.summary.fills_by_level, pen())
    assert spec["series"][0]["data"] == list(FOUND.summary.fills_by_level)
    assert spec["xAxis"]["data"][:3] == ["first entry", "1", "2"] and spec["series"][0]["label"]["show"]


def test_a_grid_has_its_number_in_every_field_and_marks_best_and_present() -> None:
    axes = [axis_of(PARAMETERS, name, 3) for name in ("take_profit_pct", "addon_step_pct")]
    grid = GridPlan(QUESTION, axes[0], axes[1]).answer()
    values: list[Decimal | None] = [result_of(cell.tried) if cell.tried else None for cell in grid.cells]
    values[1] = None
    best = grid.ranked()[0]
    now = (PARAMETERS.take_profit_pct, PARAMETERS.addon_step_pct)
    spec = charts.grid_spec(grid, values, pen("nl"), ("across", "down"), now=now, best=best)
    drawn = spec["series"][0]["data"]
    widths = [cell["itemStyle"]["borderWidth"] for cell in drawn]
    assert widths == sorted(widths), "a frame lies above its neighbours"
    cells = sorted(drawn, key=lambda cell: (cell["value"][1], cell["value"][0]))
    assert [tuple(cell["value"][:2]) for cell in cells] == [(column, row) for row in range(3) for column in range(3)]
    assert cells[1]["label"]["formatter"] == "×"
    assert all(cell["label"]["formatter"] for cell in cells) and "," in cells[0]["label"]["formatter"]
    thick = [cell for cell in cells if cell["itemStyle"]["borderWidth"] == 3]
    assert len(thick) == 1 and thick[0] is cells[grid.cells.index(best)]
    dashed = [cell for cell in cells if cell["itemStyle"].get("borderType") == "dashed"]
    assert [tuple(cell["value"][:2]) for cell in dashed] in ([(1, 1)], [])
    assert json.dumps(spec, allow_nan=False)
    assert spec["series"][0]["silent"]


def test_a_field_that_is_clicked_is_that_cell() -> None:
    axes = [axis_of(PARAMETERS, name, 3) for name in ("take_profit_pct", "addon_step_pct")]
    grid = GridPlan(QUESTION, axes[0], axes[1]).answer()
    texts = [Decimal(place) for place in range(len(grid.cells))]
    chosen = grid.cells[5]
    spec = charts.grid_spec(grid, texts, pen(), ("across", "down"), best=grid.cells[2], chosen=chosen, choosing=True)
    assert not spec["series"][0]["silent"] and spec["series"][0]["selectedMode"] == "single"
    for place, field in enumerate(spec["series"][0]["data"]):
        assert charts.cell_at(grid, spec, place) is grid.cells[int(float(field["label"]["formatter"]))]
    dotted = [field for field in spec["series"][0]["data"] if field["itemStyle"].get("borderType") == "dotted"]
    assert [field["label"]["formatter"] for field in dotted] == ["5.00"]
