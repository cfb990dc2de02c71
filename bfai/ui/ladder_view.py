"""The preview of a ladder: its figures, its table, three charts and a price to try out.

    draw(ladder, quote="USDT", base="BTC", price_now=Decimal("59800"), limit_quote=Decimal(3000), key="preview")

What the charts show is worked out by functions without Streamlit. Numbers in them are written here, because the chart
library writes them in English only; marks keep one palette for both themes, and each has a shape or a dash of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from typing import Any, Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bfai.i18n import N_, Translator
from bfai.strategy.ladder import (
    Ladder,
    Level,
    ViolationCode,
    formula,
    margin_ratio_at,
    profit_at,
)
from bfai.ui.charts import BLUE, GRAY, GREEN, ORANGE, RED
from bfai.ui.language import _, n_, plain, words
from bfai.ui.pieces import calm, part

VIOLATION_NAMES: Final[Mapping[ViolationCode, str]] = {
    "duplicate_price": N_("same price as a level before"),
    "price_not_positive": N_("price at or below zero"),
    "below_min_amount": N_("below the smallest amount"),
    "above_max_amount": N_("above the largest amount"),
    "below_min_cost": N_("below the smallest order value"),
    "above_max_cost": N_("above the largest order value"),
    "margin_limit_exceeded": N_("above the margin limit"),
    "liquidated_before_level": N_("liquidated before this level"),
    "stop_inside_ladder": N_("stopped before this level"),
    "tp_not_above_fees": N_("target does not cover the fees"),
}

_ESTIMATE: Final = N_("An estimate: mark price, funding and risk limits decide.")
_NONE: Final = "–"
_LETTER: Final = 6.3  # pixels that a digit of the charts takes, on the safe side
_LINE: Final = 14.0  # pixels that a line of text takes there
_PRICES_HEIGHT, _CAPITAL_HEIGHT, _PROFIT_HEIGHT = 400, 260, 320
_FAR: Final = Decimal("1.75")  # how many spans of the ladder away a line may lie and still be drawn
_HUNDRED: Final = Decimal(100)

Spec = dict[str, Any]


# -- words and numbers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes the figures of one market in the reader's language."""

    words: Translator
    quote: str
    base: str
    price_digits: int
    amount_digits: int

    @classmethod
    def of(cls, ladder: Ladder, translator: Translator, quote: str, base: str) -> Pen:
        market = ladder.market
        return cls(
            translator, quote, base, digits_of(market.tick_size), digits_of(market.step_size * market.contract_size)
        )

    def price(self, value: Decimal | None) -> str:
        return _NONE if value is None else self.words.number(value, self.price_digits)

    def money(self, value: Decimal | None) -> str:
        """Quote currency without its name."""
        return _NONE if value is None else self.words.money(value, self.quote).removesuffix(f"\u00a0{self.quote}")

    def sum(self, value: Decimal | None) -> str:
        """Quote currency with its name."""
        return _NONE if value is None else self.words.money(value, self.quote)

    def amount(self, value: Decimal | None, more: int = 0) -> str:
        return _NONE if value is None else self.words.number(value, self.amount_digits + more)

    def percent(self, value: Decimal | None, digits: int = 2) -> str:
        """Of a figure that is percent already. Rounded, so that -0.004 is nothing."""
        if value is None:
            return _NONE
        if abs(value) >= 10**9:
            return self.words.number(value, 0)
        return self.words.percent(value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN) / 100, digits)


def digits_of(unit: Decimal) -> int:
    exponent = unit.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def held(ladder: Ladder) -> list[Level]:
    """The levels that can be filled."""
    return [level for level in ladder.levels if level.reachable]


def _sign(ladder: Ladder) -> int:
    return 1 if ladder.plan.side == "long" else -1


def recovery_begins(ladder: Ladder, recovery: Ladder) -> int:
    """The last level that both ladders share: after it has filled, the second one begins."""
    shared = -1
    for one, other in zip(ladder.levels, recovery.levels, strict=False):
        if (one.price, one.contracts, one.order_quote_target) != (
            other.price,
            other.contracts,
            other.order_quote_target,
        ):
            break
        shared = one.level
    return max(0, min(shared, len(held(recovery)) - 1))


# -- axes --------------------------------------------------------------------------------------------------------------


def ticks(low: Decimal, high: Decimal, most: int = 6) -> list[Decimal]:
    """Round numbers between these two, at most `most` of them and their neighbours outside left away."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most)
    power = Decimal(1).scaleb(raw.adjusted())
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = (low / step).to_integral_value(rounding="ROUND_CEILING")
    count = int((high / step).to_integral_value(rounding="ROUND_FLOOR") - first) + 1
    return [(first + index) * step for index in range(max(0, count))]


def fit(places: Sequence[float], least: float) -> set[int]:
    """Which of these labels can stand without touching, those that come first being preferred."""
    kept: list[int] = []
    for index, place in enumerate(places):
        if all(abs(place - places[other]) >= least for other in kept):
            kept.append(index)
    return set(kept)


def faint(colour: str, share: float) -> str:
    """The colour let through. Not by `opacity`, which a line's label would share."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def label_width(texts: Sequence[str]) -> int:
    return round(max((len(text) for text in texts), default=0) * _LETTER) + 12


def axis_numbers(axis: str, places: Sequence[Decimal], texts: Sequence[str], *, lines: bool = True) -> Spec:
    """The numbers of an axis, and the thin lines that belong to them."""
    style: Spec = {"color": faint(GRAY, 0.25 if lines else 0), "type": "solid", "width": 1}
    return {
        "type": "line",
        "data": [],
        "silent": True,
        "tooltip": {"show": False},
        "markLine": {
            **ACROSS,
            "lineStyle": style,
            "label": {"position": "start", "distance": 6},
            "data": [
                {axis: float(place), "label": {"formatter": text}} for place, text in zip(places, texts, strict=True)
            ],
        },
    }


def bare_axis(low: Decimal, high: Decimal) -> Spec:
    """An axis whose numbers are drawn by `axis_numbers`."""
    hidden = {"show": False}
    return {
        "type": "value",
        "min": float(low),
        "max": float(high),
        "axisLabel": hidden,
        "axisTick": hidden,
        "splitLine": hidden,
        "axisLine": hidden,
        "axisPointer": {"label": hidden},
    }


def _named(axis: Spec, name: str, gap: int) -> Spec:
    return {**axis, "name": name, "nameLocation": "middle", "nameGap": gap}


# The room for numbers is worked out here; the chart library would add its own to it.
GRID: Final[Spec] = {"outerBoundsMode": "none", "containLabel": False}
# Without `precision` the chart library rounds places to cents and loses small prices.
ACROSS: Final[Spec] = {"silent": True, "animation": False, "symbol": "none", "precision": 15}
TOOLTIP: Final[Spec] = {
    "trigger": "axis",
    "confine": True,
    "formatter": "{b0}",
    "extraCssText": "white-space: pre-line",
    "axisPointer": {"type": "line", "label": {"show": False}},
}


# -- how the lines look ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Style:
    """How a line looks: never its colour alone."""

    colour: str
    symbol: str
    dash: tuple[int, ...] = ()
    width: float = 2.0
    hollow: bool = False


LEVEL = Style(GRAY, "rect", width=1.2)
AVERAGE = Style(BLUE, "circle", width=2.5)
TARGET = Style(GREEN, "triangle")
STOP = Style(ORANGE, "rect", (2, 3))
LIQUIDATION = Style(RED, "diamond")
NOW = Style(GRAY, "none", (2, 3), 1.6)
CAPITAL = Style(BLUE, "circle", width=2.5)
LIMIT = Style(RED, "none", (9, 3, 2, 3))
FREE = Style(ORANGE, "none", (2, 3))
TRIED = Style(BLUE, "none", (6, 3), 1.6)
CURVES = (
    Style(GRAY, "none", (2, 3), 1.6),
    Style(ORANGE, "none", (9, 3, 2, 3), 1.8),
    Style(GREEN, "none", (7, 4), 1.8),
)
REACHED = Style(BLUE, "none", width=3.0)
_DASHED: Final = (6, 4)


def after(style: Style) -> Style:
    """The same line in the ladder of Recovery Mode: dashed, its marks hollow."""
    return Style(style.colour, style.symbol, _DASHED, max(1.4, style.width - 0.5), hollow=True)


def stroke_of(style: Style, share: float = 1.0) -> Spec:
    colour = style.colour if share == 1 else faint(style.colour, share)
    return {"color": colour, "width": style.width, "type": list(style.dash) or "solid"}


def sample_svg(style: Style) -> str:
    """A piece of the line, for the legend."""
    c, y = style.colour, 7
    dash = f" stroke-dasharray='{' '.join(map(str, style.dash))}'" if style.dash else ""
    fill = f"fill='none' stroke='{c}' stroke-width='1.4'" if style.hollow else f"fill='{c}'"
    marks = {
        "circle": f"<circle cx='16' cy='{y}' r='3.4' {fill}/>",
        "triangle": f"<path d='M16 2.6 L20.4 10.6 H11.6 Z' {fill}/>",
        "rect": f"<rect x='12.8' y='{y - 3.2}' width='6.4' height='6.4' {fill}/>",
        "diamond": f"<path d='M16 2 L20.4 7 L16 12 L11.6 7 Z' {fill}/>",
    }
    if style.symbol == "rect" and style.colour == GRAY:  # a level: a flat mark
        marks["rect"] = f"<rect x='9' y='{y - 1.8}' width='14' height='3.6' {fill}/>"
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 14' width='32' height='14'>"
        f"<path d='M0 {y} H32' stroke='{c}' stroke-width='{style.width}'{dash}/>{marks.get(style.symbol, '')}</svg>"
    )


def _line(style: Style, data: Sequence[Any], **more: Any) -> Spec:
    series: Spec = {
        "type": "line",
        "data": list(data),
        "symbol": style.symbol,
        "symbolSize": 8 if style.symbol in ("diamond", "triangle") else 6,
        "showSymbol": style.symbol != "none",
        "showAllSymbol": True,
        "lineStyle": stroke_of(style),
        "itemStyle": {"color": faint(style.colour, 0), "borderColor": style.colour, "borderWidth": 1.5}
        if style.hollow
        else {"color": style.colour},
        "color": style.colour,
        "emphasis": {"disabled": True},
    }
    return series | more


# -- chart A: prices ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The prices between which a chart is drawn, and the lines that lie outside it."""

    low: Decimal
    high: Decimal
    outside: tuple[tuple[str, Decimal], ...] = ()


def price_window(ladder: Ladder, recovery: Ladder | None = None, now: Decimal | None = None) -> Window:
    """Room for every level, average and target; for stop, liquidation and the price of now where they lie near.

    The names of what lies outside: "stop", "liquidation", "recovery_liquidation" and "now".
    """
    core: list[Decimal] = []
    near: dict[str, list[Decimal]] = {"stop": [], "liquidation": [], "recovery_liquidation": [], "now": []}
    for one in (ladder, recovery):
        if one is None:
            continue
        for level in held(one):
            core += [
                value for value in (level.price, level.average_price, level.take_profit_price) if value is not None
            ]
    levels = held(ladder)
    if levels:
        near["stop"] = [level.stop_loss_price for level in levels if level.stop_loss_price is not None]
        near["liquidation"] = [level.liquidation_price for level in levels if level.liquidation_price is not None]
    if recovery is not None:
        rest = held(recovery)[recovery_begins(ladder, recovery) :]
        near["recovery_liquidation"] = [
            level.liquidation_price for level in rest if level.liquidation_price is not None
        ]
    if now is not None:
        near["now"] = [now]
    if not core:
        return Window(Decimal(0), Decimal(1))
    low, high = min(core), max(core)
    room = max((high - low) * _FAR, high / 1000)
    drawn = list(core)
    outside: list[tuple[str, Decimal]] = []
    for name, values in near.items():
        if values and low - room <= values[-1] <= high + room:
            drawn += values
        elif values:
            outside.append((name, values[-1]))
    low, high = min(drawn), max(drawn)
    edge = max((high - low) * Decimal("0.05"), high / 10000)
    return Window(max(Decimal(0), low - edge), high + edge, tuple(outside))


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def prices_spec(ladder: Ladder, pen: Pen, *, now: Decimal | None = None, recovery: Ladder | None = None) -> Spec:
    """Prices over the number of add-ons filled: the levels as marks, average, target, stop and liquidation as steps."""
    t = pen.words.t
    levels = held(ladder)
    rest = held(recovery) if recovery is not None else []
    begins = recovery_begins(ladder, recovery) if recovery is not None else 0
    window = price_window(ladder, recovery, now)
    places = range(max(len(levels), len(rest)))
    height = _PRICES_HEIGHT - 70
    pixels = height / float(window.high - window.low)

    # -- the numbers at the left, the levels' own at the right: first the two ends, then what fits between them
    scale = ticks(window.low, window.high, 7)
    scale_texts = [pen.words.number(place) for place in scale]
    later = [level for level in rest if level.level > begins]
    labels = [(level, t(N_("{level}: {price}"), level=level.level, price=pen.price(level.price))) for level in levels]
    second = [(level, t(N_("R{level}: {price}"), level=level.level, price=pen.price(level.price))) for level in later]
    ordered = [*labels[:1], *labels[-1:], *second[-1:], *labels[1:-1], *second[:-1]]
    shown = fit([float(level.price or 0) * pixels for level, _text in ordered], _LINE)
    kept = {text for index, (_level, text) in enumerate(ordered) if index in shown}

    def across(found: Sequence[tuple[Level, str]]) -> list[Spec]:
        return [
            {"yAxis": float(level.price or 0), "label": {"formatter": text, "show": text in kept}}
            for level, text in found
        ]

    now_line: list[Spec] = []
    if now is not None and window.low <= now <= window.high:
        now_line.append({"yAxis": float(now), "lineStyle": stroke_of(NOW), "label": {"show": False}})

    # -- what the ladder comes to after each fill
    words_of = {level.level: _after_fill(level, pen) for level in levels}
    for level in later:
        name = t(N_("With Recovery Mode"))
        before = words_of.get(level.level)
        words_of[level.level] = "\n\n".join(
            part for part in (before, f"{name}\n{_after_fill(level, pen, head=before is None)}") if part
        )

    def steps(found: Sequence[Level], figure: Callable[[Level], Decimal | None], since: int = 0) -> list[float | None]:
        by_place = {level.level: _number(figure(level)) for level in found if level.level >= since}
        return [by_place.get(place) for place in places]

    hover = [
        {"value": _number(_hovered(levels, rest, place)), "name": words_of.get(place, str(place))} for place in places
    ]
    series: list[Spec] = [
        # It says what stands under the pointer; its marks are the levels.
        _line(
            LEVEL,
            hover,
            symbolSize=[18, 4],
            lineStyle={"opacity": 0},
            z=3,
            markLine={
                **ACROSS,
                "label": {"position": "end", "distance": 6},
                "lineStyle": stroke_of(LEVEL, 0.6),
                "data": [*across(labels), *now_line],
            },
        ),
        axis_numbers("yAxis", scale, scale_texts, lines=False),
        _line(AVERAGE, steps(levels, lambda level: level.average_price), step="middle", z=5),
        _line(TARGET, steps(levels, lambda level: level.take_profit_price), step="middle", z=4),
    ]
    if any(level.stop_loss_price is not None for level in levels):
        series.append(_line(STOP, steps(levels, lambda level: level.stop_loss_price), step="middle", z=4))
    if any(level.liquidation_price is not None for level in levels):
        series.append(_line(LIQUIDATION, steps(levels, lambda level: level.liquidation_price), step="middle", z=4))

    # -- the second ladder
    if recovery is not None and rest:
        series.append(
            _line(
                after(LEVEL),
                steps(rest, lambda level: level.price, begins + 1),
                symbolSize=[18, 5],
                lineStyle={"opacity": 0},
                z=3,
                markLine={
                    **ACROSS,
                    "label": {"position": "end", "distance": 6},
                    "lineStyle": stroke_of(after(LEVEL), 0.6),
                    "data": across(second),
                },
            )
        )
        figures: list[tuple[Style, Callable[[Level], Decimal | None]]] = [
            (AVERAGE, lambda level: level.average_price),
            (TARGET, lambda level: level.take_profit_price),
            (LIQUIDATION, lambda level: level.liquidation_price),
        ]
        for style, figure in figures:
            data = steps(rest, figure, begins)
            if any(value is not None for value in data):
                series.append(_line(after(style), data, step="middle", z=4))

    return {
        "animation": False,
        "grid": {
            **GRID,
            "left": label_width(scale_texts),
            "right": label_width([text for _level, text in (*labels, *second)]),
            "top": 14,
            "bottom": 50,
        },
        "tooltip": TOOLTIP,
        "xAxis": _named(
            {
                "type": "category",
                "data": [str(place) for place in places],
                "axisTick": {"show": False},
                "axisLabel": {"hideOverlap": True},
                "axisLine": {"onZero": False},
            },
            t(N_("add-ons filled")),
            28,
        ),
        "yAxis": bare_axis(window.low, window.high),
        "series": series,
    }


def _hovered(levels: Sequence[Level], rest: Sequence[Level], place: int) -> Decimal | None:
    found = levels if place < len(levels) else rest
    return found[place].price if place < len(found) else None


def _after_fill(level: Level, pen: Pen, *, head: bool = True) -> str:
    """What is true after this fill, a line each."""
    t = pen.words.t
    lines = [pen.words.n("After {count} add-on", "After {count} add-ons", level.level)] if head and level.level else []
    if head and not level.level:
        lines = [t(N_("After the first order"))]
    lines.append(t(N_("Filled at {price}"), price=pen.price(level.price)))
    if level.average_price is not None:
        lines.append(t(N_("Average {price}"), price=pen.price(level.average_price)))
    if level.take_profit_price is not None:
        lines.append(t(N_("Target {price}"), price=pen.price(level.take_profit_price)))
    if level.stop_loss_price is not None:
        lines.append(t(N_("Stop {price}"), price=pen.price(level.stop_loss_price)))
    if level.liquidation_price is not None:
        lines.append(t(N_("Liquidation {price}"), price=pen.price(level.liquidation_price)))
    return "\n".join(lines)


# -- chart B: capital --------------------------------------------------------------------------------------------------


def capital_points(ladder: Ladder) -> list[tuple[Decimal, Decimal, int]]:
    """Distance from the first price in percent, capital after that fill, level."""
    return [
        (level.effective_deviation_pct, level.capital_used_quote, level.level)
        for level in held(ladder)
        if level.effective_deviation_pct is not None and level.capital_used_quote is not None
    ]


def limit_fits(ladder: Ladder, limit: Decimal | None, recovery: Ladder | None = None) -> bool:
    """Whether the limit is near enough to be drawn; otherwise the capital would be a flat line below it."""
    points = capital_points(ladder) + (capital_points(recovery) if recovery is not None else [])
    return limit is not None and limit <= 3 * max((capital for _away, capital, _level in points), default=Decimal(0))


def capital_spec(
    ladder: Ladder,
    pen: Pen,
    *,
    limit: Decimal | None = None,
    free: Decimal | None = None,
    recovery: Ladder | None = None,
) -> Spec:
    """Capital over the distance from the first price; the limit and what is free on the account as lines across."""
    t = pen.words.t
    points = capital_points(ladder)
    rest = capital_points(recovery) if recovery is not None else []
    begins = recovery_begins(ladder, recovery) if recovery is not None else 0
    rest = [point for point in rest if point[2] >= begins]
    bounds = [
        (limit, LIMIT, t(N_("limit {amount}"), amount=pen.sum(limit)), "insideStartTop"),
        (free, FREE, t(N_("free {amount}"), amount=pen.sum(free)), "insideEndTop"),
    ]
    drawn = [
        (bound, style, text, place)
        for bound, style, text, place in bounds
        if bound is not None and limit_fits(ladder, bound, recovery)
    ]
    highest = max(
        [capital for _away, capital, _level in (*points, *rest)] + [bound for bound, _style, _text, _place in drawn]
    )
    widest = max([away for away, _capital, _level in (*points, *rest)]) or Decimal(1)
    high, wide = highest * Decimal("1.12") or Decimal(1), widest * Decimal("1.04")
    up, along = ticks(Decimal(0), high, 4), ticks(Decimal(0), wide, 5)
    texts = [pen.words.number(place) for place in up]

    def item(point: tuple[Decimal, Decimal, int]) -> Spec:
        away, capital, level = point
        text = t(
            N_("Level {level}, {away} from the first price\n{capital} in use"),
            level=level,
            away=pen.percent(away),
            capital=pen.sum(capital),
        )
        return {"value": [float(away), float(capital)], "name": text}

    end = [{"value": [float(wide), float(points[-1][1])], "name": item(points[-1])["name"], "symbol": "none"}]
    series = [
        _line(
            CAPITAL,
            [*map(item, points), *end],
            step="end",
            areaStyle={"color": BLUE, "opacity": 0.12},
            z=3,
        ),
        axis_numbers("yAxis", up, texts),
        axis_numbers("xAxis", along, [pen.words.number(place) for place in along]),
    ]
    if rest:
        series.append(_line(after(CAPITAL), list(map(item, rest)), step="end", z=4))
    if drawn:
        series[0]["markLine"] = {
            **ACROSS,
            "data": [
                {
                    "yAxis": float(bound),
                    "lineStyle": stroke_of(style),
                    "label": {"formatter": text, "position": place, "distance": 3},
                }
                for bound, style, text, place in drawn
            ],
        }
    return {
        "animation": False,
        "grid": {**GRID, "left": label_width(texts), "right": 14, "top": 14, "bottom": 50},
        "tooltip": TOOLTIP,
        "xAxis": _named(bare_axis(Decimal(0), wide), _away_name(ladder, pen.words), 30),
        "yAxis": bare_axis(Decimal(0), high),
        "series": series,
    }


def _away_name(ladder: Ladder, translator: Translator) -> str:
    if ladder.plan.side == "long":
        return translator.t(N_("fall from the first price, %"))
    return translator.t(N_("rise from the first price, %"))


# -- a price to try ----------------------------------------------------------------------------------------------------


class End(StrEnum):
    """How a group ends on the way to a price."""

    OPEN = "open"
    TARGET = "target"
    STOP = "stop"
    LIQUIDATION = "liquidation"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What has happened when the price goes straight from the first order to `price`.

    `result_quote` is what closing brings after all fees: at `price` while the group is open, else at the price of its
    end. A liquidation is counted as the loss of margin and fees.
    """

    price: Decimal
    fills: int
    end: End
    end_price: Decimal | None
    unrealized_quote: Decimal | None
    result_quote: Decimal
    margin_ratio_pct: Decimal | None


def what_if(ladder: Ladder, price: Decimal) -> WhatIf:
    """Add-ons filled, and profit, when the price goes straight to `price`. The ladder needs a level that can fill."""
    sign, levels = _sign(ladder), held(ladder)
    fills = 0
    while True:
        level = levels[fills]
        below = levels[fills + 1].price if fills + 1 < len(levels) else None
        reaches = below is not None and sign * (below - price) >= 0
        bound = below if below is not None and reaches else price
        ends = [
            (sign * found, end, found)
            for end, found in ((End.STOP, level.stop_loss_price), (End.LIQUIDATION, level.liquidation_price))
            if found is not None and sign * (found - bound) >= 0
        ]
        if ends:
            _order, end, found = max(ends)
            lost = (
                -(level.capital_used_quote or Decimal(0)) if end is End.LIQUIDATION else profit_at(ladder, fills, found)
            )
            if end is End.STOP and level.loss_at_stop_quote is not None:
                lost = level.loss_at_stop_quote
            return WhatIf(price, fills, end, found, None, lost, None)
        if not reaches:
            break
        fills += 1
    target = levels[0].take_profit_price
    if not fills and target is not None and sign * (price - target) >= 0:
        return WhatIf(price, 0, End.TARGET, target, None, profit_at(ladder, 0, target), None)
    level = levels[fills]
    with localcontext(prec=60):
        amount, cost = level.total_amount_base or Decimal(0), level.total_cost_quote or Decimal(0)
        unrealized = sign * (amount * price - cost)
    return WhatIf(
        price, fills, End.OPEN, None, unrealized, profit_at(ladder, fills, price), margin_ratio_at(ladder, fills, price)
    )


@dataclass(frozen=True, slots=True)
class Range:
    """The prices that can be tried."""

    low: Decimal
    high: Decimal
    step: Decimal


def price_range(ladder: Ladder, now: Decimal | None = None) -> Range:
    """From beyond the deepest level to beyond the first target, in some hundred steps on the tick grid."""
    window = price_window(ladder, None, now)
    span = window.high - window.low
    tick = ladder.market.tick_size
    raw = max(span / 400, tick)
    power = Decimal(1).scaleb(raw.adjusted())
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    step = max(tick, (step / tick).to_integral_value(rounding="ROUND_HALF_UP") * tick)
    low = max(step, (window.low / step).to_integral_value(rounding="ROUND_FLOOR") * step)
    high = (window.high / step).to_integral_value(rounding="ROUND_CEILING") * step
    return Range(low, max(high, low + step), step)


# -- chart C: profit ---------------------------------------------------------------------------------------------------


def curve_fills(ladder: Ladder, reached: int) -> list[int]:
    """None, half and all add-ons filled, and as many as the tried price fills."""
    last = len(held(ladder)) - 1
    return sorted({0, last // 2 if last > 2 else 0, last, min(reached, last)})


def profit_curve(ladder: Ladder, fills: int, prices: Sequence[Decimal]) -> list[tuple[Decimal, Decimal]]:
    """Profit after fees at each of these prices. The curve ends where the position is liquidated."""
    sign, limit = _sign(ladder), held(ladder)[fills].liquidation_price
    alive = [price for price in prices if limit is None or sign * (price - limit) > 0]
    if limit is not None and len(alive) < len(prices) and prices[0] <= limit <= prices[-1]:
        alive = sorted([*alive, limit])
    return [(price, profit_at(ladder, fills, price)) for price in alive]


_SAMPLES: Final = 32


def profit_spec(ladder: Ladder, pen: Pen, tried: WhatIf, *, now: Decimal | None = None) -> Spec:
    """Profit or loss of the group by price, a curve for each number of add-ons filled, with the line of no profit."""
    t, n = pen.words.t, pen.words.n
    area = price_range(ladder, now)
    prices = [area.low + (area.high - area.low) * index / _SAMPLES for index in range(_SAMPLES + 1)]
    fills = curve_fills(ladder, tried.fills)
    curves = {number: profit_curve(ladder, number, prices) for number in fills}
    values = [value for curve in curves.values() for _price, value in curve] or [Decimal(0)]
    low, high = min(*values, Decimal(0)), max(*values, Decimal(0))
    edge = (high - low) * Decimal("0.06") or Decimal(1)
    low, high = low - edge, high + edge
    up, along = ticks(low, high, 7), ticks(area.low, area.high, 4)
    up_texts = [pen.words.number(place) for place in up]
    along_texts = [pen.words.number(place) for place in along]
    styles = dict(zip([number for number in fills if number != tried.fills], CURVES, strict=False))

    levels = held(ladder)
    spoken: dict[Decimal, list[str]] = {}
    for number, curve in curves.items():
        for price, value in curve:
            text = n("{count} add-on: {profit}", "{count} add-ons: {profit}", number, profit=pen.sum(value))
            spoken.setdefault(price, [t(N_("At {price}"), price=pen.price(price))]).append(text)
    hover = [
        {"value": [float(price), float(low)], "name": "\n".join(spoken[price]), "symbol": "none"}
        for price in sorted(spoken)
    ]
    series: list[Spec] = [
        {"type": "line", "data": hover, "lineStyle": {"opacity": 0}, "symbol": "none", "silent": True},
        axis_numbers("yAxis", up, up_texts),
        axis_numbers("xAxis", along, along_texts, lines=False),
    ]
    pixels = (_PROFIT_HEIGHT - 74) / float(high - low)
    ends = sorted((number for number in fills if curves[number]), key=lambda number: (number != tried.fills, -number))
    shown = fit([float(curves[number][-1][1]) * pixels for number in ends], _LINE)
    named = {ends[index] for index in shown}
    for number, curve in curves.items():
        style = REACHED if number == tried.fills else styles[number]
        end: Spec = {"show": number in named, "formatter": "{a}", "distance": 8, "color": "inherit"}
        series.append(
            _line(
                style,
                [[float(price), float(value)] for price, value in curve],
                name=str(number),
                z=5 if style is REACHED else 4,
                endLabel=end | {"fontWeight": "bold"},
            )
        )

    upright: list[Any] = []
    if now is not None and apart(now, tried, area):
        upright.append(
            {
                "xAxis": float(now),
                "lineStyle": stroke_of(NOW),
                "label": {"formatter": t(N_("now")), "position": "insideEndTop"},
            }
        )
    upright.append(
        {
            "xAxis": float(tried.price),
            "lineStyle": stroke_of(TRIED),
            "label": {"formatter": pen.price(tried.price), "position": "end", "distance": 4},
        }
    )
    zero: Spec = {
        "yAxis": 0,
        "lineStyle": {"color": GRAY, "width": 1.6, "type": "solid"},
        "label": {"show": False},
    }
    series[0]["markLine"] = {**ACROSS, "data": [zero, *upright]}

    for style, points in (
        (TARGET, _on_curves(ladder, fills, lambda level: level.take_profit_price, area)),
        (LIQUIDATION, _on_curves(ladder, fills, lambda level: level.liquidation_price, area)),
    ):
        if points:
            series.append(
                {
                    "type": "scatter",
                    "symbol": style.symbol,
                    "symbolSize": 11,
                    "itemStyle": {"color": style.colour},
                    "data": points,
                    "silent": True,
                    "tooltip": {"show": False},
                    "z": 6,
                }
            )
    if tried.end is End.OPEN and levels:
        here = [float(tried.price), float(tried.result_quote)]
        dot = {"color": BLUE, "borderColor": "#FFFFFF", "borderWidth": 2}
        series.append(
            {"type": "scatter", "symbol": "circle", "symbolSize": 13, "itemStyle": dot, "data": [here], "z": 7}
            | {"silent": True, "tooltip": {"show": False}}
        )
    return {
        "animation": False,
        "grid": {**GRID, "left": label_width(up_texts), "right": 30, "top": 24, "bottom": 50},
        "tooltip": TOOLTIP,
        "xAxis": _named(bare_axis(area.low, area.high), t(N_("price, {quote}"), quote=pen.quote), 30),
        "yAxis": bare_axis(low, high),
        "series": series,
    }


def apart(now: Decimal, tried: WhatIf, area: Range) -> bool:
    """Whether the price of now has a place of its own beside the tried one."""
    return area.low <= now <= area.high and abs(now - tried.price) >= area.step


def _on_curves(
    ladder: Ladder, fills: Sequence[int], figure: Callable[[Level], Decimal | None], area: Range
) -> list[list[float]]:
    levels = held(ladder)
    found = ((number, figure(levels[number])) for number in fills)
    return [
        [float(price), float(profit_at(ladder, number, price))]
        for number, price in found
        if price is not None and area.low <= price <= area.high
    ]


# -- the table ---------------------------------------------------------------------------------------------------------


def asked_prices(ladder: Ladder) -> list[Decimal | None]:
    """The prices that the plan asks for, before they are put on the exchange's grid.

    Gaps are measured as the ladder measures them: from the first order, from the order before (as rounded) or from the
    average.
    """
    plan, sign = ladder.plan, _sign(ladder)
    reference = "base" if plan.custom_steps is not None else plan.step_reference
    asked: list[Decimal | None] = []
    with localcontext(prec=60):
        before: Level | None = None
        for level in ladder.levels:
            origin: Decimal | None
            gap = level.step_pct
            if before is None:
                origin, gap = plan.entry_price, Decimal(0)
            elif reference == "base":
                origin, gap = ladder.levels[0].price, level.cumulative_step_pct
            elif reference == "average" and before.average_price is not None:
                origin = before.average_price
            else:
                origin = before.price
            found = origin * (_HUNDRED - sign * gap) / _HUNDRED if origin is not None else None
            asked.append(found if found is not None and found > 0 else None)
            before = level
    return asked


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its name, its cells, and the figure whose formula says how it comes about."""

    name: str
    cells: list[str]
    figure: str = ""


def _problems(ladder: Ladder, translator: Translator) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for broken in ladder.violations:
        found.setdefault(broken.level, []).append(translator.t(VIOLATION_NAMES[broken.code]))
    return {level: "; ".join(names) for level, names in found.items()}


def rounded_table(ladder: Ladder, pen: Pen) -> list[Column]:
    """Every level as the exchange would fill it."""
    t, levels = pen.words.t, ladder.levels
    columns = [
        Column(t(N_("Level")), [str(level.level) for level in levels]),
        Column(t(N_("Price")), [pen.price(level.price) for level in levels], "price"),
        Column(t(N_("Amount")), [pen.amount(level.amount_base) for level in levels], "amount_base"),
        Column(t(N_("Cost")), [pen.money(level.cost_quote) for level in levels], "cost_quote"),
        Column(t(N_("Total cost")), [pen.money(level.total_cost_quote) for level in levels], "total_cost_quote"),
        Column(t(N_("Average")), [pen.price(level.average_price) for level in levels], "average_price"),
        Column(t(N_("Break-even")), [pen.price(level.break_even_price) for level in levels], "break_even_price"),
        Column(t(N_("Target")), [pen.price(level.take_profit_price) for level in levels], "take_profit_price"),
    ]
    if ladder.market.type == "linear_swap":
        contracts = [_NONE if level.contracts is None else pen.words.number(level.contracts) for level in levels]
        columns.insert(2, Column(t(N_("Contracts")), contracts, "contracts"))
    if ladder.plan.stop_loss_pct is not None:
        columns.append(Column(t(N_("Stop")), [pen.price(level.stop_loss_price) for level in levels], "stop_loss_price"))
    if ladder.market.tells_liquidation:
        prices = [pen.price(level.liquidation_price) for level in levels]
        columns.append(Column(t(N_("Liquidation")), prices, "liquidation_price"))
    columns += [
        Column(t(N_("Capital")), [pen.money(level.capital_used_quote) for level in levels], "capital_used_quote"),
        Column(
            t(N_("Distance")),
            [pen.percent(level.effective_deviation_pct) for level in levels],
            "effective_deviation_pct",
        ),
    ]
    if ladder.market.tells_liquidation:
        room = [pen.percent(level.distance_to_liquidation_pct) for level in levels]
        columns.append(Column(t(N_("To liquidation")), room, "distance_to_liquidation_pct"))
    problems = _problems(ladder, pen.words)
    if problems:
        columns.append(Column(t(N_("Errors")), [problems.get(level.level, "") for level in levels]))
    return columns


def asked_table(ladder: Ladder, pen: Pen) -> list[Column]:
    """What the plan asks for, beside what is left of it on the exchange's grid."""
    t, levels, prices = pen.words.t, ladder.levels, asked_prices(ladder)
    amounts: list[Decimal | None] = []
    lost: list[Decimal | None] = []
    total = Decimal(0)
    totals: list[Decimal] = []
    with localcontext(prec=60):
        for level, price in zip(levels, prices, strict=True):
            amounts.append(level.order_quote_target / price if price is not None else None)
            lost.append(level.order_quote_target - level.cost_quote if level.cost_quote is not None else None)
            total += level.order_quote_target
            totals.append(total)
    finer = Pen(pen.words, pen.quote, pen.base, pen.price_digits + 2, pen.amount_digits)
    return [
        Column(t(N_("Level")), [str(level.level) for level in levels]),
        Column(t(N_("Price asked")), [finer.price(price) for price in prices]),
        Column(t(N_("Price sent")), [pen.price(level.price) for level in levels], "price"),
        Column(t(N_("Amount asked")), [pen.amount(amount, 2) for amount in amounts]),
        Column(t(N_("Amount sent")), [pen.amount(level.amount_base) for level in levels], "amount_base"),
        Column(t(N_("Size asked")), [pen.money(level.order_quote_target) for level in levels], "order_quote_target"),
        Column(t(N_("Cost")), [pen.money(level.cost_quote) for level in levels], "cost_quote"),
        Column(t(N_("Not spent")), [pen.money(amount) for amount in lost]),
        Column(t(N_("Total asked")), [pen.money(amount) for amount in totals]),
    ]


# -- drawing -----------------------------------------------------------------------------------------------------------


def draw(
    ladder: Ladder,
    *,
    quote: str,
    base: str,
    price_now: Decimal | None,
    limit_quote: Decimal | None,
    recovery: Ladder | None = None,
    groups: int | None = None,
    free_quote: Decimal | None = None,
    beside: DeltaGenerator | None = None,
    key: str,
) -> None:
    """Draws the preview of a ladder: figures and prices in `beside`, under it table, charts, and a price to try.

    `limit_quote` is the most that one group may use, None where it is a share of a balance that is not known;
    `free_quote` is what is free on the account, `groups` how many may be open at once, `recovery` what `after_recovery`
    gives. What is inside draws itself anew without the rest of the page.
    """
    pen = Pen.of(ladder, words(), quote, base)
    if limit_quote is None:
        limit_quote = ladder.plan.margin_limit_quote
    some = bool(held(ladder))
    with beside or st.container():
        _figures(ladder, pen, limit_quote, groups, free_quote)
        if recovery is not None:
            _recovery_sentence(ladder, recovery, pen)
        if some:
            _prices_chart(ladder, recovery, pen, price_now, key)
        else:
            st.warning(_("No level can be filled: the first price is at or below zero."))
    _table(ladder, recovery, pen, key)
    if some:
        left, right = st.columns(2, gap="medium")
        with left:
            _capital_chart(ladder, recovery, pen, limit_quote, free_quote, key)
        with right:
            _try_a_price(ladder, pen, price_now, key)


def _how(ladder: Ladder, *figures: str, more: str = "") -> str:
    """The formulas of these figures, and a sentence behind them."""
    found = [formula(ladder.market, ladder.plan, figure) for figure in figures]
    lines = [plain(_(text)) for text in found if text is not None]
    return "\n\n".join([*lines, *([more] if more else [])])


def _metric(label: str, value: str, how: str) -> None:
    """A figure whose label may take two lines: in a narrow card `st.metric` would cut it off."""
    with st.container(gap=None):
        st.markdown(f":small[{label}]", help=how)
        st.metric(label, value, label_visibility="collapsed")


def figure_card(label: str, value: str, how: str, *captions: str) -> None:
    with st.container(border=True, height="stretch", gap="xsmall"):
        _metric(label, value, how)
        for caption in captions:
            st.caption(caption)


def _figures(ladder: Ladder, pen: Pen, limit: Decimal | None, groups: int | None, free: Decimal | None = None) -> None:
    summary, levels = ladder.summary, held(ladder)
    last = levels[-1] if levels else None
    capital = summary.required_capital_quote
    long = ladder.plan.side == "long"
    quote = plain(pen.quote)
    with st.grid(columns=4, min_column_width=150):
        figure_card(
            _("Covers a fall of") if long else _("Covers a rise of"),
            pen.percent(summary.max_deviation_covered_pct),
            _how(ladder, "max_deviation_covered_pct"),
            _("to {price}", price=pen.price(last.price) if last else _NONE),
        )
        several = [_("{groups} groups: {sum}", groups=groups, sum=plain(pen.sum(capital * groups)))] if groups else []
        figure_card(
            _("Capital, {quote}", quote=quote),
            pen.money(capital),
            _how(ladder, "required_capital_quote"),
            _("needed when all fill"),
            *several,
            *(
                [_("{share} of what is free", share=pen.percent(capital * (groups or 1) / free * 100, 1))]
                if free
                else []
            ),
        )
        if limit is not None:
            share = capital / limit * 100 if limit else None
            over = capital > limit
            caption = _("of {limit}", limit=plain(pen.sum(limit)))
            above = _(":orange[:material/warning:] above {limit}", limit=plain(pen.sum(limit)))
            figure_card(
                _("Share of the limit"),
                pen.percent(share, 1),
                _how(ladder, "margin_limit_use_pct"),
                above if over else caption,
            )
        else:
            figure_card(
                _("Share of the limit"),
                _("unknown"),
                _how(ladder, "margin_limit_use_pct"),
                _("as the balance is not known"),
            )
        _liquidation_figure(ladder, pen, last)
        figure_card(
            _("Break-even, {quote}", quote=quote),
            pen.price(summary.break_even_price),
            _how(ladder, "break_even_price"),
            _("after the last fill"),
        )
        figure_card(
            _("Rebound to target"),
            pen.percent(last.rebound_to_take_profit_pct if last else None),
            _how(ladder, "rebound_to_take_profit_pct", "take_profit_price"),
            _("to {price}", price=pen.price(summary.take_profit_price)),
        )
        if ladder.plan.stop_loss_pct is None:
            figure_card(_("Loss at stop, {quote}", quote=quote), _("no stop"), _how(ladder, "loss_at_stop_quote"))
        else:
            figure_card(
                _("Loss at stop, {quote}", quote=quote),
                pen.money(last.loss_at_stop_quote if last else None),
                _how(ladder, "loss_at_stop_quote", "stop_loss_price"),
                _("stop at {price}", price=pen.price(last.stop_loss_price if last else None)),
            )
        _verdict_figure(ladder)


def _liquidation_figure(ladder: Ladder, pen: Pen, last: Level | None) -> None:
    label = _("Liquidation, {quote}", quote=plain(pen.quote))
    if ladder.market.type == "spot":
        figure_card(label, _("none"), _("On spot nothing is borrowed, so nothing is liquidated."), _("spot"))
    elif not ladder.market.tells_liquidation:
        figure_card(
            label,
            _("unknown"),
            _("The exchange's maintenance rates or its rule are not known here, so no figure is given."),
        )
    elif last is None or last.liquidation_price is None:
        figure_card(label, _("none"), _how(ladder, "liquidation_price", more=_(_ESTIMATE)), _("no price liquidates it"))
    else:
        figure_card(
            label,
            pen.price(last.liquidation_price),
            _how(ladder, "liquidation_price", "distance_to_liquidation_pct", more=_(_ESTIMATE)),
            _("estimate; {distance} from the last level", distance=pen.percent(last.distance_to_liquidation_pct, 1)),
        )


def _verdict_figure(ladder: Ladder) -> None:
    """Valid, or how many errors; the first of them in words."""
    how = _("Each level is held against the exchange's rules, the limit, the stop and the liquidation before it.")
    if ladder.summary.valid:
        figure_card(_("Errors"), _("none"), how, _(":green[:material/check_circle:] valid"))
        return
    count = len(ladder.violations)
    codes: list[ViolationCode] = list(dict.fromkeys(broken.code for broken in ladder.violations))
    captions: list[str] = []
    for code in codes[:2]:
        numbers = [broken.level for broken in ladder.violations if broken.code == code]
        captions.append(
            _(
                ":orange[:material/warning:] {levels}: {problem}",
                levels=_runs(numbers),
                problem=_(VIOLATION_NAMES[code]),
            )
        )
    if len(codes) > 2:
        captions.append(n_("and {count} more kind", "and {count} more kinds", len(codes) - 2))
    figure_card(_("Errors"), words().number(count), how, *captions)


def _runs(numbers: Sequence[int]) -> str:
    """Such as "1–4, 6"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts)


def _recovery_sentence(ladder: Ladder, recovery: Ladder, pen: Pen) -> None:
    level, summary = recovery_begins(ladder, recovery), recovery.summary
    texts = [
        n_(
            "If Recovery Mode begins after {count} add-on, all of it needs {sum} and covers {away}.",
            "If Recovery Mode begins after {count} add-ons, all of it needs {sum} and covers {away}.",
            level,
            sum=plain(pen.sum(summary.required_capital_quote)),
            away=pen.percent(summary.max_deviation_covered_pct),
        )
    ]
    if summary.liquidation_price is not None:
        texts.append(
            _(
                "Its liquidation is then at {price} instead of {other}.",
                price=pen.price(summary.liquidation_price),
                other=pen.price(ladder.summary.liquidation_price),
            )
        )
    if not summary.valid:
        texts.append(
            n_(
                "With Recovery Mode the ladder has {count} error.",
                "With Recovery Mode the ladder has {count} errors.",
                len(recovery.violations),
            )
        )
    st.markdown(":material/healing: " + " ".join(texts))


def draw_legend(entries: Sequence[tuple[Style, str]]) -> None:
    """Pieces of the lines, and what they mean."""
    with st.container(horizontal=True, gap="small"):
        for style, name in entries:
            with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
                st.image(sample_svg(style), width=32, alt="")
                st.caption(name, width="content")


OUTSIDE_NAMES: Final[Mapping[str, str]] = {
    "stop": N_("The stop ({price}) lies outside this picture."),
    "liquidation": N_("The liquidation ({price}) lies outside this picture."),
    "recovery_liquidation": N_("The liquidation in Recovery Mode ({price}) lies outside this picture."),
    "now": N_("The price of now ({price}) lies outside this picture."),
}


def _prices_chart(ladder: Ladder, recovery: Ladder | None, pen: Pen, now: Decimal | None, key: str) -> None:
    levels = held(ladder)
    with st.container(border=True, key=f"{key}_levels"):
        st.markdown(
            _(
                "**Levels and prices** ({quote}, after each fill)",
                quote=plain(pen.quote),
            )
        )
        st.echarts_chart(
            prices_spec(ladder, pen, now=now, recovery=recovery),
            height=_PRICES_HEIGHT,
            key=f"{key}_prices",
            alt=prices_alt(ladder, pen, now, recovery),
        )
        entries = [(LEVEL, _("level")), (AVERAGE, _("average")), (TARGET, _("target"))]
        if any(level.stop_loss_price is not None for level in levels):
            entries.append((STOP, _("stop")))
        if any(level.liquidation_price is not None for level in levels):
            entries.append((LIQUIDATION, _("liquidation, estimated")))
        if now is not None:
            entries.append((NOW, _("price now, {price}", price=pen.price(now))))
        if recovery is not None:
            entries.append((after(AVERAGE), _("dashed, hollow, R: with Recovery Mode")))
        draw_legend(entries)
        outside = price_window(ladder, recovery, now).outside
        if outside:
            st.caption(" ".join(_(OUTSIDE_NAMES[name], price=pen.price(price)) for name, price in outside))


def prices_alt(ladder: Ladder, pen: Pen, now: Decimal | None = None, recovery: Ladder | None = None) -> str:
    """The first chart in words."""
    t, n, levels = pen.words.t, pen.words.n, held(ladder)
    first, last = levels[0], levels[-1]
    texts = [
        n(
            "A ladder of {count} add-on: the first order at {first}, the last level at {last} {quote}.",
            "A ladder of {count} add-ons: the first order at {first}, the last level at {last} {quote}.",
            last.level,
            first=pen.price(first.price),
            last=pen.price(last.price),
            quote=pen.quote,
        ),
        t(
            N_("After the last fill the average is {average} and the target {target}."),
            average=pen.price(last.average_price),
            target=pen.price(last.take_profit_price),
        ),
    ]
    if last.stop_loss_price is not None:
        texts.append(t(N_("The stop is at {price}."), price=pen.price(last.stop_loss_price)))
    if last.liquidation_price is not None:
        texts.append(t(N_("The liquidation is estimated at {price}."), price=pen.price(last.liquidation_price)))
    if now is not None:
        texts.append(t(N_("The price is {price} now."), price=pen.price(now)))
    if recovery is not None and held(recovery):
        final = held(recovery)[-1]
        texts.append(
            n(
                "With Recovery Mode after {count} add-on the last level is at {last} and the target at {target}.",
                "With Recovery Mode after {count} add-ons the last level is at {last} and the target at {target}.",
                recovery_begins(ladder, recovery),
                last=pen.price(final.price),
                target=pen.price(final.take_profit_price),
            )
        )
        if final.liquidation_price is not None:
            texts.append(
                t(N_("The liquidation is then estimated at {price}."), price=pen.price(final.liquidation_price))
            )
    return " ".join(texts)


def _table(ladder: Ladder, recovery: Ladder | None, pen: Pen, key: str) -> None:
    @part()
    def draw() -> None:
        with calm():
            _level_table(ladder, recovery, pen, key)

    draw()


def _level_table(ladder: Ladder, recovery: Ladder | None, pen: Pen, key: str) -> None:
    views = {"rounded": _("After rounding"), "asked": _("As asked")}
    ladders = {"normal": _("Normal"), "recovery": _("With Recovery Mode")}
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**" + _("Every level") + "**", width="content")
        which = "normal"
        if recovery is not None:
            which = st.segmented_control(
                _("Ladder"),
                list(ladders),
                default="normal",
                required=True,
                format_func=lambda name: ladders[name],
                key=f"{key}_which",
                label_visibility="collapsed",
            )
        view = st.segmented_control(
            _("Rounding"),
            list(views),
            default="rounded",
            required=True,
            format_func=lambda name: views[name],
            key=f"{key}_view",
            label_visibility="collapsed",
        )
    shown = recovery if recovery is not None and which == "recovery" else ladder
    columns = asked_table(shown, pen) if view == "asked" else rounded_table(shown, pen)
    config: dict[str, Any] = {}
    for index, column in enumerate(columns):
        text = column.name == _("Errors")
        config[column.name] = st.column_config.TextColumn(
            column.name,
            help=_how(shown, column.figure) or None,
            alignment="left" if text else "right",
            pinned=index == 0,
            width=min(18 + 8 * max(map(len, (column.name, *column.cells))), 400),
        )
    st.dataframe(  # pyright: ignore[reportUnknownMemberType]
        {column.name: column.cells for column in columns},
        hide_index=True,
        height=min(len(shown.levels), 12) * 35 + 38,
        column_config=config,
        alt=n_(
            "A table of {count} level, with price, amount and what they come to",
            "A table of {count} levels, with price, amount and what they come to",
            len(shown.levels),
        ),
    )
    st.caption(
        _(
            "Prices and costs in {quote}, amounts in {base}. Distance is from the first price.",
            quote=plain(pen.quote),
            base=plain(pen.base),
        )
        if view != "asked"
        else _(
            "The exchange takes prices and amounts in whole steps only. Orders are never larger than asked, and never"
            " nearer to the market."
        )
    )


def _capital_chart(
    ladder: Ladder, recovery: Ladder | None, pen: Pen, limit: Decimal | None, free: Decimal | None, key: str
) -> None:
    with st.container(border=True):
        st.markdown(_("**Capital in use** ({quote})", quote=plain(pen.quote)))
        st.echarts_chart(
            capital_spec(ladder, pen, limit=limit, free=free, recovery=recovery),
            height=_CAPITAL_HEIGHT,
            key=f"{key}_capital",
            alt=capital_alt(ladder, pen, limit, recovery, free),
        )
        entries = [(CAPITAL, _("capital in use"))]
        if limit_fits(ladder, limit, recovery):
            entries.append((LIMIT, _("limit")))
        if limit_fits(ladder, free, recovery):
            entries.append((FREE, _("free on the account")))
        if recovery is not None:
            entries.append((after(CAPITAL), _("with Recovery Mode")))
        if len(entries) > 1:
            draw_legend(entries)
        if limit is not None and not limit_fits(ladder, limit, recovery):
            st.caption(_("The limit ({limit}) lies far above this picture.", limit=plain(pen.sum(limit))))


def capital_alt(
    ladder: Ladder,
    pen: Pen,
    limit: Decimal | None = None,
    recovery: Ladder | None = None,
    free: Decimal | None = None,
) -> str:
    """The second chart in words."""
    t = pen.words.t
    points = capital_points(ladder)
    texts = [
        t(
            N_("Capital in use rises from {first} at the first order to {last} at {away} from the first price."),
            first=pen.sum(points[0][1]),
            last=pen.sum(points[-1][1]),
            away=pen.percent(points[-1][0]),
        )
    ]
    if limit is not None:
        texts.append(t(N_("The limit is {limit}."), limit=pen.sum(limit)))
    if free is not None:
        texts.append(t(N_("{amount} is free on the account."), amount=pen.sum(free)))
    if recovery is not None:
        final = capital_points(recovery)[-1]
        texts.append(
            t(
                N_("With Recovery Mode it rises to {last} at {away} from the first price."),
                last=pen.sum(final[1]),
                away=pen.percent(final[0]),
            )
        )
    return " ".join(texts)


def _try_a_price(ladder: Ladder, pen: Pen, now: Decimal | None, key: str) -> None:
    @part()
    def draw() -> None:
        with calm():
            _what_if(ladder, pen, now, key)

    draw()


def _what_if(ladder: Ladder, pen: Pen, now: Decimal | None, key: str) -> None:
    area = price_range(ladder, now)
    kept = st.session_state.get(f"{key}_tried")
    start = kept if isinstance(kept, Decimal) else now if now is not None else held(ladder)[-1].price
    start = min(max(start or area.low, area.low), area.high)
    start = area.low + ((start - area.low) / area.step).to_integral_value() * area.step
    digits = digits_of(area.step)
    with st.container(border=True):
        st.markdown(_("**Profit and loss by price** ({quote}, after fees)", quote=plain(pen.quote)))
        chosen = st.slider(
            _("What if the price goes straight to"),
            min_value=float(area.low),
            max_value=float(area.high),
            value=float(min(start, area.high)),
            step=float(area.step),
            format=f"%.{digits}f",
            key=f"{key}_price_{area.low}_{area.high}",
        )
        price = Decimal(str(chosen)).quantize(Decimal(1).scaleb(-digits))
        st.session_state[f"{key}_tried"] = price
        tried = what_if(ladder, price)
        _tried_figures(ladder, pen, tried)
        st.echarts_chart(
            profit_spec(ladder, pen, tried, now=now),
            height=_PROFIT_HEIGHT,
            key=f"{key}_profit",
            alt=profit_alt(ladder, pen, tried),
        )
        fills = curve_fills(ladder, tried.fills)
        others = dict(zip([number for number in fills if number != tried.fills], CURVES, strict=False))
        entries = [
            (others.get(number, REACHED), n_("{count} add-on filled", "{count} add-ons filled", number))
            for number in fills
        ]
        entries.append((Style(GREEN, "triangle", width=0), _("target")))
        if any(held(ladder)[number].liquidation_price is not None for number in fills):
            entries.append((Style(RED, "diamond", width=0), _("liquidation, estimated")))
        entries.append((TRIED, _("tried price")))
        if now is not None and apart(now, tried, area):
            entries.append((NOW, _("price now")))
        draw_legend(entries)


def _tried_figures(ladder: Ladder, pen: Pen, tried: WhatIf) -> None:
    last = len(held(ladder)) - 1
    quote = plain(pen.quote)
    sentence = tried_sentence(pen, tried)
    icon = {
        End.OPEN: ":blue[:material/info:]",
        End.TARGET: ":green[:material/check_circle:]",
        End.STOP: ":orange[:material/warning:]",
        End.LIQUIDATION: ":red[:material/dangerous:]",
    }[tried.end]
    st.markdown(f"{icon} {plain(sentence)}")
    with st.grid(columns=4, min_column_width=150):
        _metric(
            _("Add-ons filled"),
            _("{count} of {all}", count=tried.fills, all=last),
            _("The levels that the price passes on its way, as long as neither stop nor liquidation comes first."),
        )
        _metric(
            _("Unrealised, {quote}", quote=quote),
            pen.money(tried.unrealized_quote),
            plain(_("±(amount × this price − total cost): long +, short −")),
        )
        _metric(
            _("If closed, {quote}", quote=quote) if tried.end is End.OPEN else _("Result, {quote}", quote=quote),
            pen.money(tried.result_quote),
            plain(_("±(amount × this price − total cost) − fees − amount × this price × exit fee: long +, short −")),
        )
        if ladder.market.type == "linear_swap":
            told = ladder.market.tells_liquidation
            _metric(
                _("Margin ratio"),
                pen.percent(tried.margin_ratio_pct, 1) if told else _("unknown"),
                _how(ladder, "margin_ratio_pct", more=_(_ESTIMATE)),
            )
        else:
            level = held(ladder)[tried.fills]
            _metric(_("Average, {quote}", quote=quote), pen.price(level.average_price), _how(ladder, "average_price"))


def tried_sentence(pen: Pen, tried: WhatIf) -> str:
    """What happens on the way to the price that is tried."""
    t, n = pen.words.t, pen.words.n
    price, at = pen.price(tried.price), pen.price(tried.end_price)
    if tried.end is End.TARGET:
        return t(N_("The target at {price} comes first: the group closes with its first order alone."), price=at)
    if tried.end is End.STOP:
        return n(
            "The stop at {price} comes first: the group closes with {count} add-on filled.",
            "The stop at {price} comes first: the group closes with {count} add-ons filled.",
            tried.fills,
            price=at,
        )
    if tried.end is End.LIQUIDATION:
        return n(
            "The liquidation, estimated at {price}, comes first, with {count} add-on filled: margin and fees go.",
            "The liquidation, estimated at {price}, comes first, with {count} add-ons filled: margin and fees go.",
            tried.fills,
            price=at,
        )
    return n(
        "At {price} the group is open with {count} add-on filled.",
        "At {price} the group is open with {count} add-ons filled.",
        tried.fills,
        price=price,
    )


def profit_alt(ladder: Ladder, pen: Pen, tried: WhatIf) -> str:
    """The third chart in words."""
    t = pen.words.t
    numbers = ", ".join(str(number) for number in curve_fills(ladder, tried.fills))
    last = held(ladder)[-1]
    return " ".join(
        [
            t(N_("Profit after fees by price, a line for each number of add-ons filled: {numbers}."), numbers=numbers),
            t(
                N_("With all filled there is neither profit nor loss at {price}."),
                price=pen.price(last.break_even_price),
            ),
            tried_sentence(pen, tried),
            t(N_("That comes to {sum}."), sum=pen.sum(tried.result_quote)),
        ]
    )
