"""The pictures of a replay as data: candles with what was done, equity and capital on one time axis, levels, grids.

Pure functions without Streamlit. However many candles there are, a picture has at most `MOST_BARS` places: what a place
stands for is worked out here, and looking closer asks again. No mark relies on its colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple

from bfai.i18n import N_
from bfai.strategy.candles import Candles, np
from bfai.strategy.replay import Replay
from bfai.strategy.replays import Cell, Grid, Stretch
from bfai.ui.charts import BLUE, GRAY, GREEN, ORANGE, RED, VIOLET
from bfai.ui.ladder_view import (
    ACROSS,
    GRID,
    LIMIT,
    TOOLTIP,
    Pen,
    Spec,
    Style,
    axis_numbers,
    bare_axis,
    faint,
    label_width,
    stroke_of,
    ticks,
)

MOST_BARS: Final = 180
FEWEST_CANDLES: Final = 12
"""Nobody looks closer than this."""
MOST_LINES: Final = 60
"""With more groups in view, averages and targets are a thicket, and left away."""
HEIGHT: Final = 620
_PRICES, _EQUITY, _CAPITAL = (26, 290), (348, 120), (500, 80)
"""Where each part begins, and how high it is, in pixels."""
LEVELS_HEIGHT: Final = 220

AVERAGE = Style(BLUE, "none", width=2.0)
TARGET = Style(GREEN, "none", (6, 4), 1.6)
AVERAGE_SHORT = Style(BLUE, "none", (2, 3), 2.0)
TARGET_SHORT = Style(GREEN, "none", (9, 3, 2, 3), 1.6)
"""Where there are groups of both directions."""
EQUITY = Style(BLUE, "none", width=2.0)
OTHER = Style(ORANGE, "none", (6, 4), 2.0)
CAPITAL = Style(GRAY, "none", width=1.4)
RECOVERY = Style(VIOLET, "none", width=6.0)


@dataclass(frozen=True, slots=True)
class Look:
    """A mark on the candles: `symbol` is the chart library's, `turn` in degrees, hollow ones are outlines."""

    colour: str
    symbol: str
    size: int = 10
    turn: int = 0
    hollow: bool = False


MARKS: Final[Mapping[str, Look]] = {
    "opened": Look(BLUE, "triangle", 11),
    "add_on": Look(BLUE, "circle", 7, hollow=True),
    "take_profit": Look(GREEN, "triangle", 11, 180),
    "stop": Look(ORANGE, "rect", 9),
    "equity_stop": Look(ORANGE, "rect", 10, 45, hollow=True),
    "liquidation": Look(RED, "diamond", 13),
    "manual": Look(GRAY, "rect", 9, hollow=True),
    "trimmed": Look(GRAY, "roundRect", 8, hollow=True),
}
MARK_NAMES: Final[Mapping[str, str]] = {
    "opened": N_("first entry"),
    "add_on": N_("add-on"),
    "take_profit": N_("closed at the target"),
    "stop": N_("closed at the stop"),
    "equity_stop": N_("closed by the equity stop"),
    "liquidation": N_("liquidated"),
    "manual": N_("closed by hand"),
    "trimmed": N_("trimmed"),
}


def mark_svg(look: Look) -> str:
    """The mark, for the legend."""
    fill = f"fill='none' stroke='{look.colour}' stroke-width='1.6'" if look.hollow else f"fill='{look.colour}'"
    shapes = {
        "triangle": f"<path d='M8 2.2 L13.4 12 H2.6 Z' {fill}/>",
        "circle": f"<circle cx='8' cy='7' r='4' {fill}/>",
        "rect": f"<rect x='3.6' y='2.6' width='8.8' height='8.8' {fill}/>",
        "roundRect": f"<rect x='3.6' y='2.6' width='8.8' height='8.8' rx='2.6' {fill}/>",
        "diamond": f"<path d='M8 0.8 L13 7 L8 13.2 L3 7 Z' {fill}/>",
    }
    turned = f"<g transform='rotate({look.turn} 8 7)'>{shapes[look.symbol]}</g>" if look.turn else shapes[look.symbol]
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 14' width='16' height='14'>{turned}</svg>"


def candle_svg() -> str:
    """A rising and a falling candle, for the legend."""
    pen = f"stroke='{GRAY}' stroke-width='1.4'"
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 14' width='32' height='14'>"
        f"<path d='M9 0.5 V3 M9 11 V13.5' {pen}/><rect x='6' y='3' width='6' height='8' fill='none' {pen}/>"
        f"<path d='M23 0.5 V13.5' {pen}/><rect x='20' y='3' width='6' height='8' fill='{GRAY}' {pen}/></svg>"
    )


# -- what is in view ---------------------------------------------------------------------------------------------------


class View(NamedTuple):
    """A stretch of time in `places` of `step` seconds, the first at `begin` (seconds since 1970)."""

    begin: int
    step: int
    places: int

    @property
    def end(self) -> int:
        return self.begin + self.step * self.places

    def place(self, at: datetime | float) -> int:
        """Where a moment is drawn; below 0 or from `places` on it is out of view."""
        seconds = at.timestamp() if isinstance(at, datetime) else at
        return int((seconds - self.begin) // self.step)

    def moment(self, place: float) -> datetime:
        return datetime.fromtimestamp(self.begin + round(place * self.step), UTC)


def view_of(candles: Candles, since: datetime | None = None, until: datetime | None = None) -> View:
    """What is drawn of a stretch of these candles; without one, all of them. Whole candles, and some at least."""
    step = candles.step
    first, last = int(candles.time[0]), int(candles.time[-1]) + step
    begin = first if since is None else first + max(0, int(since.timestamp()) - first) // step * step
    end = last if until is None else min(last, first - (first - int(until.timestamp())) // step * step)
    least = min(FEWEST_CANDLES * step, last - first)
    if end - begin < least:
        middle = (begin + end) // 2
        begin = min(max(first, first + (middle - least // 2 - first) // step * step), last - least)
        end = begin + least
    candles_in_view = (end - begin) // step
    each = -(-candles_in_view // MOST_BARS)
    return View(begin, step * each, -(-candles_in_view // each))


class Bars(NamedTuple):
    """Candles of the places of a view, NaN where there is none."""

    open: Any
    high: Any
    low: Any
    close: Any


def bars_of(candles: Candles, view: View) -> Bars:
    edges = np.searchsorted(candles.time, view.begin + view.step * np.arange(view.places + 1))
    first, last = edges[:-1], edges[1:]
    there = last > first
    columns = [np.full(view.places, np.nan) for _ in range(4)]
    if there.any():
        begins, ends = first[there], last[there]
        columns[0][there] = candles.open[begins]
        columns[1][there] = _reduced(np.maximum, candles.high, begins, ends)
        columns[2][there] = _reduced(np.minimum, candles.low, begins, ends)
        columns[3][there] = candles.close[ends - 1]
    return Bars(*columns)


def _reduced(how: Any, values: Any, begins: Any, ends: Any) -> Any:
    """The largest or smallest of each stretch. The stretches follow one another without overlap."""
    return how.reduceat(values[: int(ends[-1])], begins)


class Curve(NamedTuple):
    """Lowest, highest and last value of each place, NaN where nothing is known."""

    low: Any
    high: Any
    last: Any


def curve_of(times: Any, values: Any, view: View) -> Curve:
    edges = np.searchsorted(times, view.begin + view.step * np.arange(view.places + 1))
    first, last = edges[:-1], edges[1:]
    there = last > first
    columns = [np.full(view.places, np.nan) for _ in range(3)]
    if there.any():
        begins, ends = first[there], last[there]
        columns[0][there] = _reduced(np.minimum, values, begins, ends)
        columns[1][there] = _reduced(np.maximum, values, begins, ends)
        columns[2][there] = values[ends - 1]
    return Curve(*columns)


class Mark(NamedTuple):
    """What was done in one place of the view: `kind` of `MARKS`, at about this price, so many times."""

    kind: str
    place: int
    price: Decimal
    times: int


def marks_of(found: Replay, pair: str, view: View) -> list[Mark]:
    """Entries, add-ons, exits and trims of a pair. Many in one place become one mark, at the last price."""
    kept: dict[tuple[str, int], tuple[Decimal, int]] = {}

    def add(kind: str, at: datetime, price: Decimal) -> None:
        place = view.place(at)
        if 0 <= place < view.places:
            kept[kind, place] = (price, kept.get((kind, place), (price, 0))[1] + 1)

    for deal in found.deals:
        if deal.pair != pair:
            continue
        for fill in deal.fills:
            add("add_on" if fill.level else "opened", fill.at, fill.price)
        if deal.closed_at is not None and deal.exit is not None and deal.exit_price is not None:
            add(deal.exit.value, deal.closed_at, deal.exit_price)
    for line in found.log:
        if line.trimmed is not None and line.pair == pair and line.price is not None:
            add("trimmed", line.at, line.price)
    return [Mark(kind, place, price, count) for (kind, place), (price, count) in kept.items()]


class Lines(NamedTuple):
    """Average, target and whether it was in Recovery Mode, a value each place; None where no group was open."""

    average: list[float | None]
    target: list[float | None]
    recovering: list[bool]


def lines_of(found: Iterable[Stretch], view: View) -> Lines:
    average: list[float | None] = [None] * view.places
    target: list[float | None] = [None] * view.places
    recovering = [False] * view.places
    for one in found:
        first, last = max(0, view.place(one.since)), min(view.places - 1, view.place(one.until))
        for place in range(first, last + 1):
            average[place], target[place] = float(one.average), float(one.target)
            recovering[place] = recovering[place] or one.recovering
    return Lines(average, target, recovering)


# -- candles, equity and capital ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the large picture shows of one pair. `sides` are the groups' lines, long and short apart."""

    view: View
    bars: Bars
    marks: Sequence[Mark]
    sides: Sequence[Lines]
    equity: Curve
    committed: Curve
    limit: float | None = None
    other: Curve | None = None
    zone: tzinfo = UTC

    @property
    def limit_fits(self) -> bool:
        """Whether the limit is near enough to be drawn; otherwise the capital would be a flat line below it."""
        return self.limit is not None and self.limit <= 3 * max([*_known(self.committed.high), 0.0])

    @property
    def recovering(self) -> list[bool]:
        return [any(side.recovering[place] for side in self.sides) for place in range(self.view.places)]


def picture_spec(shown: Picture, pen: Pen, zoom: str) -> Spec:
    """Candles with marks and lines above, equity in the middle, committed capital below; one time axis."""
    view, bars = shown.view, shown.bars
    prices = [value for side in shown.sides for value in (*side.average, *side.target) if value is not None]
    low, high = _ends([*_known(bars.low), *_known(bars.high), *prices])
    money = [*_known(shown.equity.low), *_known(shown.equity.high)]
    if shown.other is not None:
        money += [*_known(shown.other.low), *_known(shown.other.high)]
    poor, rich = _ends(money)
    most = max([*_known(shown.committed.high), 0.0]) or 1.0
    limit = shown.limit if shown.limit_fits else None
    top = max(most, limit or 0.0) * 1.12
    scales = [ticks(Decimal(str(low)), Decimal(str(high)), 6), ticks(Decimal(str(poor)), Decimal(str(rich)), 4)]
    scales.append(ticks(Decimal(0), Decimal(str(top)), 2))
    texts = [[pen.words.number(place) for place in scale] for scale in scales]
    left = label_width([text for scale in texts for text in scale])

    series: list[Spec] = [*_hover(shown, pen), *_numbers(scales, texts), _candlesticks(bars)]
    for side, (average, target) in zip(shown.sides, ((AVERAGE, TARGET), (AVERAGE_SHORT, TARGET_SHORT)), strict=False):
        series.append(_step(average, side.average, 0, z=4))
        series.append(_step(target, side.target, 0, z=4))
    series.append(_ribbon(shown.recovering, low))
    series += _mark_series(shown.marks)
    series += _equity(shown.equity, EQUITY)
    if shown.other is not None:
        series += _equity(shown.other, OTHER, band=False)
    series.append(_committed(shown.committed, limit))
    labels = [time_label(view.moment(place), view, shown.zone) for place in range(view.places)]
    return {
        "animation": False,
        "grid": [
            {**GRID, "left": left, "right": 12, "top": at, "height": height}
            for at, height in (_PRICES, _EQUITY, _CAPITAL)
        ],
        "tooltip": TOOLTIP,
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [_time_axis(number, labels, bottom=number == 2) for number in range(3)],
        "yAxis": [
            {**bare_axis(Decimal(str(floor)), Decimal(str(ceiling))), "gridIndex": number}
            for number, (floor, ceiling) in enumerate(((low, high), (poor, rich), (0.0, top)))
        ],
        "series": series,
        **_brush(zoom),
    }


def _brush(zoom: str) -> Spec:
    """A button in the picture, and drawing over it then chooses a stretch, which comes back as a selection."""
    return {
        "brush": {"xAxisIndex": "all", "brushMode": "single", "throttleType": "debounce", "throttleDelay": 150},
        "toolbox": {
            "right": 8,
            "top": 0,
            "itemSize": 20,
            "showTitle": False,
            "tooltip": {"show": True},
            "iconStyle": {"borderColor": GRAY, "borderWidth": 1.5},
            "emphasis": {"iconStyle": {"borderColor": BLUE}},
            "feature": {"brush": {"type": ["lineX"], "title": {"lineX": zoom}}},
        },
    }


def _known(values: Any) -> list[float]:
    return values[~np.isnan(values)].tolist()


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the lowest and the highest."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.06 or abs(high) * 0.001 or 1.0
    return low - room, high + room


def _points(values: Iterable[float | None]) -> list[Any]:
    """For the chart library: "-" is nothing; seven digits are more than a screen can show."""
    return ["-" if value is None or value != value else float(f"{value:.7g}") for value in values]


def _on(number: int) -> Spec:
    return {"xAxisIndex": number, "yAxisIndex": number}


def _numbers(scales: Sequence[Sequence[Decimal]], texts: Sequence[Sequence[str]]) -> list[Spec]:
    return [
        {**axis_numbers("yAxis", scale, text), **_on(number)}
        for number, (scale, text) in enumerate(zip(scales, texts, strict=True))
    ]


def _candlesticks(bars: Bars) -> Spec:
    data = [
        ["-"] * 4 if one[0] == "-" else one
        for one in (_points(row) for row in zip(bars.open, bars.close, bars.low, bars.high, strict=True))
    ]
    style = {"color": "rgba(0,0,0,0)", "color0": faint(GRAY, 0.75), "borderColor": GRAY, "borderColor0": GRAY}
    return {
        "type": "candlestick",
        "data": data,
        "itemStyle": {**style, "borderWidth": 1},
        "barMaxWidth": 14,
        "silent": True,
        "z": 2,
        **_on(0),
    }


def _step(style: Style, values: Sequence[float | None], number: int, **more: Any) -> Spec:
    return {
        "type": "line",
        "data": _points(values),
        "step": "end",
        "symbol": "none",
        "connectNulls": False,
        "silent": True,
        "lineStyle": stroke_of(style),
        "itemStyle": {"color": style.colour},
        **_on(number),
        **more,
    }


def _ribbon(recovering: Sequence[bool], floor: float) -> Spec:
    """A band at the foot of the prices where a group was in Recovery Mode, and a tint above it."""
    spans: list[tuple[int, int]] = []
    for place, is_on in enumerate(recovering):
        if is_on and spans and spans[-1][1] == place - 1:
            spans[-1] = (spans[-1][0], place)
        elif is_on:
            spans.append((place, place))
    tint = [[{"xAxis": begin}, {"xAxis": end}] for begin, end in spans]
    return {
        "type": "line",
        "data": _points(floor if one else None for one in recovering),
        "symbol": "rect",
        "symbolSize": 5,
        "showAllSymbol": True,
        "silent": True,
        "lineStyle": {"color": VIOLET, "width": 6},
        "itemStyle": {"color": VIOLET},
        "markArea": {"silent": True, "itemStyle": {"color": faint(VIOLET, 0.12)}, "data": tint},
        "z": 1,
        **_on(0),
    }


def _mark_series(marks: Sequence[Mark]) -> list[Spec]:
    return [
        {
            "type": "scatter",
            "data": [[mark.place, float(f"{mark.price:.7g}")] for mark in marks if mark.kind == kind],
            "symbol": look.symbol,
            "symbolSize": look.size,
            "symbolRotate": look.turn,
            "itemStyle": {"color": "rgba(0,0,0,0)", "borderColor": look.colour, "borderWidth": 1.8}
            if look.hollow
            else {"color": look.colour},
            "silent": True,
            "z": 6,
            **_on(0),
        }
        for kind, look in MARKS.items()
        if any(mark.kind == kind for mark in marks)
    ]


def _equity(curve: Curve, style: Style, *, band: bool = True) -> list[Spec]:
    """The line, and the band from lowest to highest of each place: no dip is averaged away."""
    line = {
        "type": "line",
        "data": _points(curve.last),
        "symbol": "none",
        "silent": True,
        "lineStyle": stroke_of(style),
        "itemStyle": {"color": style.colour},
        "z": 3,
        **_on(1),
    }
    if not band:
        return [line]
    hidden = {**line, "stack": "range", "stackStrategy": "all", "lineStyle": {"opacity": 0}, "z": 2}
    spread = curve.high - curve.low
    return [
        {**hidden, "data": _points(curve.low)},
        {**hidden, "data": _points(spread), "areaStyle": {"opacity": 0.25, "color": style.colour}},
        line,
    ]


def _committed(curve: Curve, limit: float | None) -> Spec:
    made = _step(CAPITAL, list(curve.high), 2, z=3, areaStyle={"opacity": 0.25, "color": GRAY})
    if limit is not None:
        made["markLine"] = {
            **ACROSS,
            "label": {"show": False},
            "lineStyle": stroke_of(LIMIT),
            "data": [{"yAxis": limit}],
        }
    return made


def _time_axis(number: int, labels: Sequence[str], *, bottom: bool) -> Spec:
    return {
        "type": "category",
        "gridIndex": number,
        "data": list(labels),
        "boundaryGap": True,
        "axisTick": {"show": False},
        "axisLine": {"onZero": False, "lineStyle": {"color": faint(GRAY, 0.5)}},
        "axisLabel": {"show": bottom, "hideOverlap": True, "interval": max(0, len(labels) // 6 - 1)},
        "axisPointer": {"label": {"show": False}},
    }


def time_label(at: datetime, view: View, zone: tzinfo) -> str:
    """In numbers, as the other charts write them: the day, and the clock where days are long."""
    local = at.astimezone(zone)
    if view.step * view.places > 4 * 86_400:
        return f"{local.day}.{local.month}."
    return f"{local.day}.{local.month}. {local:%H:%M}"


def _hover(shown: Picture, pen: Pen) -> list[Spec]:
    """What stands under the pointer, in the reader's language: for each of the three parts, and drawn as nothing."""
    view, bars, t = shown.view, shown.bars, pen.words.t
    done: dict[int, list[str]] = {}
    for mark in shown.marks:
        what, price = t(MARK_NAMES[mark.kind]), pen.price(mark.price)
        text = t(N_("{what}: {price}"), what=what, price=price)
        if mark.times > 1:
            text = t(N_("{what}, {count} times, last: {price}"), what=what, count=mark.times, price=price)
        done.setdefault(mark.place, []).append(text)
    prices: list[Any] = []
    sums: list[tuple[str, float | None, float | None]] = []
    recovering = shown.recovering
    for place in range(view.places):
        head = pen.words.datetime(view.moment(place), shown.zone)
        close = float(bars.close[place])
        lines = [head, t(N_("no candle"))]
        if close == close:
            told = {name: pen.price(_exact(column[place])) for name, column in zip(Bars._fields, bars, strict=True)}
            lines = [head, t(N_("Open {open}, high {high}, low {low}, close {close}"), **told)]
        lines += done.get(place, ())
        if recovering[place]:
            lines.append(t(N_("Recovery Mode")))
        worth, used = float(shown.equity.last[place]), float(shown.committed.high[place])
        short: list[str] = []
        if worth == worth:
            short.append(t(N_("Equity {sum}"), sum=pen.sum(_cents(worth))))
            short.append(t(N_("In use {sum}"), sum=pen.sum(_cents(used))))
        if shown.other is not None and (other := float(shown.other.last[place])) == other:
            short.append(t(N_("Equity of the other {sum}"), sum=pen.sum(_cents(other))))
        prices.append({"value": _points([close])[0], "name": "\n".join((*lines, *short))})
        sums.append(("\n".join((head, *short)), worth, used))
    equity = [{"value": _points([worth])[0], "name": text} for text, worth, _used in sums]
    capital = [{"value": _points([used])[0], "name": text} for text, _worth, used in sums]
    return [
        {
            "type": "line",
            "data": data,
            "symbol": "none",
            "lineStyle": {"opacity": 0},
            "itemStyle": {"opacity": 0},
            "emphasis": {"disabled": True},
            **_on(number),
        }
        for number, data in enumerate((prices, equity, capital))
    ]


def _exact(value: float) -> Decimal:
    return Decimal(f"{value:.12g}")


def _cents(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


# -- fills by level ----------------------------------------------------------------------------------------------------


def levels_spec(counts: Sequence[int], pen: Pen) -> Spec:
    """How often each level was filled; the number stands above its bar."""
    names = [pen.words.t(N_("first entry")), *(str(level) for level in range(1, len(counts)))]
    return {
        "animation": False,
        "grid": {**GRID, "left": 8, "right": 8, "top": 24, "bottom": 26},
        "xAxis": {
            "type": "category",
            "data": names,
            "axisTick": {"show": False},
            "axisLabel": {"interval": 0 if len(counts) < 14 else "auto", "hideOverlap": True},
        },
        "yAxis": {
            "type": "value",
            "axisLabel": {"show": False},
            "splitLine": {"show": False},
            "axisLine": {"show": False},
        },
        "series": [
            {
                "type": "bar",
                "data": list(counts),
                "barMaxWidth": 36,
                "silent": True,
                "itemStyle": {"color": faint(BLUE, 0.75), "borderRadius": [3, 3, 0, 0]},
                "label": {"show": True, "position": "top"},
            }
        ],
    }


# -- a grid of two parameters ------------------------------------------------------------------------------------------

_LOSS, _EVEN, _GAIN, _INK = "#F0A76B", "#F4F5F7", "#86B3EA", "#0C131C"
"""Opaque, with dark numbers on them: they read the same in the light and in the dark theme."""


def grid_height(grid: Grid) -> int:
    return 70 + 44 * len(grid.down.values)


def grid_spec(
    grid: Grid,
    values: Sequence[Decimal | None],
    pen: Pen,
    names: tuple[str, str],
    *,
    now: tuple[Decimal, Decimal] | None = None,
    best: Cell | None = None,
    chosen: Cell | None = None,
    choosing: bool = False,
) -> Spec:
    """A field for each pair of values, its number in it: blue is a gain, orange a loss, the more the stronger. The best
    one has a thick frame, that of the present values a dashed one, the chosen one a dotted one. With `choosing` a click
    on a field comes back as a selection; `cell_at` tells of which cell.
    """
    top = max((abs(value) for value in values if value is not None), default=Decimal(1)) or Decimal(1)
    columns = len(grid.across.values)
    digits = 0 if top >= 1000 else 1 if top >= 100 else 2
    data: list[Spec] = []
    for number, (cell, value) in enumerate(zip(grid.cells, values, strict=True)):
        style: Spec = {"borderWidth": 1, "borderColor": "#FFFFFF"}
        text = "×" if value is None else pen.words.number(value, digits)
        if now is not None and (cell.across, cell.down) == now:
            style |= {"borderWidth": 2, "borderColor": _INK, "borderType": "dashed"}
        if best is not None and (cell.across, cell.down) == (best.across, best.down):
            style |= {"borderWidth": 3, "borderColor": _INK, "borderType": "solid"}
        if chosen is not None and (cell.across, cell.down) == (chosen.across, chosen.down):
            style |= {"borderWidth": 4, "borderColor": _INK, "borderType": "dotted"}
        data.append(
            {
                "value": [number % columns, number // columns, 0.0 if value is None else float(value)],
                "itemStyle": style,
                "label": {"formatter": text},
            }
        )
    data.sort(key=lambda item: item["itemStyle"]["borderWidth"])  # a frame lies above its neighbours
    down_labels = [pen.words.number(value) for value in grid.down.values]
    axis = {"type": "category", "axisTick": {"show": False}, "axisLine": {"show": False}, "splitArea": {"show": False}}
    return {
        "animation": False,
        "grid": {**GRID, "left": label_width(down_labels) + 22, "right": 8, "top": 8, "bottom": 48},
        "xAxis": {
            **axis,
            "data": [pen.words.number(value) for value in grid.across.values],
            "name": names[0],
            "nameLocation": "middle",
            "nameGap": 28,
        },
        "yAxis": {
            **axis,
            "data": down_labels,
            "name": names[1],
            "nameLocation": "middle",
            "nameGap": label_width(down_labels) + 4,
            "inverse": True,
        },
        "visualMap": {
            "show": False,
            "min": -float(top),
            "max": float(top),
            "dimension": 2,
            "inRange": {"color": [_LOSS, _EVEN, _GAIN]},
        },
        "series": [
            {
                "type": "heatmap",
                "data": data,
                "silent": not choosing,
                **({"selectedMode": "single", "cursor": "pointer"} if choosing else {}),
                "label": {"show": True, "color": _INK, "textBorderWidth": 0},
                "emphasis": {"disabled": True},
            }
        ],
    }


def cell_at(grid: Grid, spec: Spec, index: int) -> Cell:
    """The cell of a drawn field, by its place in the series."""
    place: list[Any] = spec["series"][0]["data"][index]["value"]
    return grid.cells[int(place[1]) * len(grid.across.values) + int(place[0])]
