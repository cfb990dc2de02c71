"""Pictures as data: strips, calendar and sparklines as SVG text, time series and bars as echarts descriptions.

Pure functions without Streamlit, over rows as a data frame's `itertuples()` gives them. One palette serves the light
and the dark theme, grounds are transparent, and no mark relies on its colour: every state has a shape of its own.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from bfai.model import Status
from bfai.workbench import RunRow

GREEN, BLUE, ORANGE, RED, GRAY = "#12906B", "#3B7DD0", "#CC6510", "#B8224E", "#737E8B"
VIOLET = "#7D66C4"
HEIGHT = 26.0
_STEP, _WIDTH = 8.6, 6.0
_MARGIN = 5.0  # Streamlit rounds the corners of pictures, and would round the outer bars with them


class Beat(StrEnum):
    """What one place of the strip says."""

    ONLINE = "online"
    CONNECTED = "connected"
    FAILED = "failed"
    BLOCKED = "blocked"
    OWN_NETWORK = "own_network"
    HELD = "held"
    NO_TEST = "no_test"


_OF_STATUS = {
    Status.ONLINE: Beat.ONLINE,
    Status.CONNECTED: Beat.CONNECTED,
    Status.FAILED: Beat.FAILED,
    Status.BLOCKED: Beat.BLOCKED,
    Status.UNTESTED: Beat.NO_TEST,
}


def beat(run: RunRow) -> Beat:
    return Beat.OWN_NETWORK if run.local_network else _OF_STATUS[run.status]


def last_beats(runs: Sequence[RunRow], places: int = 40) -> list[Beat]:
    """One place a test, the newest at the right; the places before the first test are empty."""
    beats = [beat(run) for run in runs[-places:]]
    return [Beat.NO_TEST] * (places - len(beats)) + beats


def beats_of(rows: Iterable[Any]) -> list[Beat]:
    """One place an equal stretch of time, from rows with `worst` and the seconds of each state.

    The worst test of a stretch stands for it: no failure is averaged away. A stretch without a test is `held` while the
    result from before it still holds, and `no_test` where nothing is known.
    """
    return [_beat_of(row) for row in rows]


def _beat_of(row: Any) -> Beat:
    worst = Beat(row.worst)
    if worst is not Beat.NO_TEST:
        return worst
    if row.online_s + row.failed_s + row.blocked_s > 0:
        return Beat.HELD
    return Beat.OWN_NETWORK if row.own_network_s > 0 else Beat.NO_TEST


def strip_svg(beats: Sequence[Beat], *, headroom: float = 0.0) -> str:
    """The heartbeat strip. `headroom` is empty space above and below, for a table that fills the height of its rows."""
    width = len(beats) * _STEP - (_STEP - _WIDTH) + 2 * _MARGIN
    names = {state: f"b{number}" for number, state in enumerate(Beat)}
    shapes = "".join(f"<g id='{names[state]}'>{_mark(state)}</g>" for state in Beat if state in beats)
    marks = "".join(
        f"<use href='#{names[state]}' x='{_MARGIN + index * _STEP:.1f}'/>" for index, state in enumerate(beats)
    )
    height = HEIGHT + 2 * headroom
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 {-headroom:.0f} {width:.1f} {height:.0f}' "
        f"width='{width:.1f}' height='{height:.0f}'><defs>{shapes}</defs>{marks}</svg>"
    )


def legend_svg(state: Beat) -> str:
    """Three bars of one kind, for the legend."""
    return strip_svg([state] * 3)


def _mark(state: Beat) -> str:
    match state:
        case Beat.ONLINE:
            return _bar(0, HEIGHT, GREEN)
        case Beat.CONNECTED:
            return _bar(HEIGHT * 0.25, HEIGHT * 0.75, BLUE)
        case Beat.FAILED:
            dot = f"<circle cx='{_WIDTH / 2:.1f}' cy='5' r='3' fill='{ORANGE}'/>"
            return dot + _bar(HEIGHT * 0.5, HEIGHT * 0.5, ORANGE)
        case Beat.BLOCKED:
            return _bar(0, HEIGHT * 0.42, RED) + _bar(HEIGHT * 0.58, HEIGHT * 0.42, RED)
        case Beat.OWN_NETWORK:
            return (
                f"<rect x='0.8' y='{HEIGHT - 10:.1f}' width='{_WIDTH - 1.6:.1f}' height='9.2' rx='1' "
                f"fill='none' stroke='{GRAY}' stroke-width='1.4'/>"
            )
        case Beat.HELD:
            return _bar(HEIGHT - 3, 3, GRAY)
        case Beat.NO_TEST:
            return f"<circle cx='{_WIDTH / 2:.1f}' cy='{HEIGHT - 1.6:.1f}' r='1.4' fill='{GRAY}'/>"


def _bar(y: float, height: float, colour: str) -> str:
    return f"<rect y='{y:.1f}' width='{_WIDTH:.1f}' height='{height:.1f}' rx='1.5' fill='{colour}'/>"


# -- the calendar ------------------------------------------------------------------------------------------------------


class DayClass(StrEnum):
    """How much of the known time of a day was online. The least share of each class is in `DAY_FROM`."""

    WHOLE = "whole"
    NEARLY = "nearly"
    MOST = "most"
    HALF = "half"
    LITTLE = "little"
    UNKNOWN = "unknown"


DAY_FROM: Mapping[DayClass, float] = {
    DayClass.WHOLE: 1.0,
    DayClass.NEARLY: 0.99,
    DayClass.MOST: 0.95,
    DayClass.HALF: 0.5,
    DayClass.LITTLE: 0.0,
}
_CELL, _GAP = 18.0, 4.0
_FILL = {
    DayClass.WHOLE: (1.0, GREEN),
    DayClass.NEARLY: (0.8, GREEN),
    DayClass.MOST: (0.6, BLUE),
    DayClass.HALF: (0.4, ORANGE),
}


def day_class(share: float | None) -> DayClass:
    """`share` from 0 to 1, or missing where nothing is known of the day."""
    if share is None or math.isnan(share):
        return DayClass.UNKNOWN
    return next(kind for kind, least in DAY_FROM.items() if share >= least or kind is DayClass.LITTLE)


def day_classes(rows: Iterable[Any]) -> dict[date, DayClass]:
    """From rows with `day` and `share`."""
    return {_day(row.day): day_class(float(row.share)) for row in rows}


def month_svg(year: int, month: int, days: Mapping[date, DayClass]) -> str:
    """A month as squares, a line a week, Monday first. The fill of a square says its class; days not in `days` are
    left out.
    """
    lead, length = calendar.monthrange(year, month)
    marks = "".join(
        _square(days[day], (lead + number) % 7 * (_CELL + _GAP), (lead + number) // 7 * (_CELL + _GAP))
        for number in range(length)
        if (day := date(year, month, number + 1)) in days
    )
    return _squares_svg(marks, columns=7, lines=6)


def day_svg(kind: DayClass) -> str:
    """One square, for the legend."""
    return _squares_svg(_square(kind, 0, 0), columns=1, lines=1)


def _squares_svg(marks: str, columns: int, lines: int) -> str:
    width, height = (count * (_CELL + _GAP) - _GAP + 4 for count in (columns, lines))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-2 -2 {width:.0f} {height:.0f}' width='{width:.0f}' "
        f"height='{height:.0f}'>{marks}</svg>"
    )


def _square(kind: DayClass, x: float, y: float) -> str:
    def frame(colour: str, extra: str = "") -> str:
        return (
            f"<rect x='{x + 0.7:.1f}' y='{y + 0.7:.1f}' width='{_CELL - 1.4:.1f}' height='{_CELL - 1.4:.1f}' rx='2.5' "
            f"fill='none' stroke='{colour}' stroke-width='1.4'{extra}/>"
        )

    if kind is DayClass.UNKNOWN:
        return frame(GRAY, " stroke-dasharray='3 2.6'")
    if kind is DayClass.LITTLE:
        low, high = 5.5, _CELL - 5.5
        cross = (
            f"<path d='M{x + low:.1f} {y + low:.1f}L{x + high:.1f} {y + high:.1f}M{x + high:.1f} {y + low:.1f}"
            f"L{x + low:.1f} {y + high:.1f}' stroke='{RED}' stroke-width='2.4' stroke-linecap='round'/>"
        )
        return frame(RED) + cross
    share, colour = _FILL[kind]
    fill = _CELL * share
    full = f"<rect x='{x:.1f}' y='{y + _CELL - fill:.1f}' width='{_CELL:.0f}' height='{fill:.1f}' rx='2.5' "
    return full + f"fill='{colour}'/>" + (frame(colour) if share < 1 else "")


# -- small multiples ---------------------------------------------------------------------------------------------------


def spark_svg(usual: Sequence[float | None], high: Sequence[float | None], top: float) -> str:
    """Two lines over the same time: the median, drawn through, and the 95th percentile, dotted. `top` is the value at
    the upper edge, so that several pictures share a scale; what is higher is cut. The lines break over silence.
    """
    width, height = 220.0, 48.0
    lines = _polyline(high, top, width, height, f"stroke='{GRAY}' stroke-width='1.5' stroke-dasharray='1 3'")
    lines += _polyline(usual, top, width, height, f"stroke='{BLUE}' stroke-width='2'")
    floor = f"<path d='M0 {height - 0.5}H{width}' stroke='{GRAY}' stroke-width='1' opacity='.5'/>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-2 -2 {width + 4:.0f} {height + 4:.0f}' "
        f"width='{width + 4:.0f}' height='{height + 4:.0f}' fill='none' stroke-linecap='round'>{floor}{lines}</svg>"
    )


def _polyline(values: Sequence[float | None], top: float, width: float, height: float, pen: str) -> str:
    step = width / max(1, len(values) - 1)
    path, broken = "", True
    for index, value in enumerate(values):
        if value is not None:
            y = height - 1 - (height - 2) * min(1.0, max(0.0, value) / top if top > 0 else 0.0)
            path += f"{'M' if broken else 'L'}{index * step:.0f} {y:.1f}"
            alone = broken and (index + 1 == len(values) or values[index + 1] is None)
            path += "h.1" if alone else ""
        broken = value is None
    return f"<path d='{path}' {pen}/>" if path else ""


# -- series over time --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bucket:
    """Response times of a stretch of time that begins at `at`, in milliseconds; None over silence."""

    at: datetime
    lo: float | None
    median: float | None
    hi: float | None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class ChartWords:
    """The names of the lines, and what the button to zoom says, in the reader's language."""

    lo: str
    median: str
    hi: str
    failures: str = ""
    zoom: str = ""


def buckets_of(rows: Iterable[Any]) -> list[Bucket]:
    """Rows with `t`, `p5`, `p50`, `p95` and, if counted, `failures`."""
    return [
        Bucket(
            row.t.to_pydatetime(), _known(row.p5), _known(row.p50), _known(row.p95), int(getattr(row, "failures", 0))
        )
        for row in rows
    ]


def _known(value: float) -> float | None:
    """To a tenth; None for what is missing."""
    return None if math.isnan(value) else round(float(value), 1)


def band_spec(
    buckets: Sequence[Bucket], names: ChartWords, since: datetime, until: datetime, *, from_zero: bool = True
) -> dict[str, Any]:
    """Median line, band from the 5th to the 95th percentile, a triangle for each stretch with failures.

    The line breaks over silence. Dates are written in numbers, because the chart library knows month names in English
    only; it shows times in the reader's own zone. With `names.zoom` a button in the chart lets a stretch be chosen by
    drawing over it, which comes back as a selection.
    """
    highest = max((bucket.hi for bucket in buckets if bucket.hi is not None), default=100.0)
    source = [
        [
            _milliseconds(bucket.at),
            bucket.lo,
            None if bucket.hi is None or bucket.lo is None else round(bucket.hi - bucket.lo, 1),
            bucket.median,
            bucket.hi,
        ]
        for bucket in buckets
    ]
    line: dict[str, Any] = {"type": "line", "connectNulls": False, "showSymbol": len(buckets) < 30, "symbolSize": 5}
    hidden: dict[str, Any] = {
        **line,
        "showSymbol": False,
        "stack": "band",
        "stackStrategy": "all",
        "lineStyle": {"opacity": 0},
    }
    spec = _over_time(since, until, zoom=names.zoom)
    spec["yAxis"] = {"type": "value", "min": 0} if from_zero else {"type": "value"}
    spec["dataset"] = {"dimensions": ["t", "lo", "band", "median", "hi"], "source": source}
    spec["series"] = [
        {**hidden, "name": names.lo, "encode": {"x": "t", "y": "lo", "tooltip": ["lo"]}, "color": BLUE},
        {
            **hidden,
            "name": names.hi,
            "encode": {"x": "t", "y": "band", "tooltip": ["hi"]},
            "areaStyle": {"opacity": 0.2, "color": BLUE},
            "color": BLUE,
        },
        {
            **line,
            "name": names.median,
            "encode": {"x": "t", "y": "median", "tooltip": ["median"]},
            "lineStyle": {"width": 2, "color": BLUE},
            "itemStyle": {"color": BLUE},
            "z": 3,
        },
    ]
    if names.failures:
        spec["series"].append(
            {
                "type": "scatter",
                "name": names.failures,
                "symbol": "triangle",
                "symbolSize": 10,
                "itemStyle": {"color": ORANGE},
                "data": [[_milliseconds(b.at), round(highest * 0.03, 1), b.failures] for b in buckets if b.failures],
                "encode": {"x": 0, "y": 1, "tooltip": [2]},
                "z": 4,
            }
        )
    return spec


def days_left_spec(rows: Iterable[Any], name: str, since: datetime, until: datetime) -> dict[str, Any]:
    """How many days a key had left, from rows with `t` and `days_left` (missing breaks the line)."""
    spec = _over_time(since, until)
    spec["yAxis"] = {"type": "value", "min": 0}
    spec["series"] = [
        {
            "type": "line",
            "name": name,
            "connectNulls": False,
            "symbolSize": 5,
            "lineStyle": {"width": 2, "color": BLUE},
            "itemStyle": {"color": BLUE},
            "data": [[_milliseconds(row.t.to_pydatetime()), _known(row.days_left)] for row in rows],
        }
    ]
    return spec


_CLOCK_FORMATS = {
    "year": "{yyyy}",
    "month": "{d}.{M}.",
    "day": "{d}.{M}.",
    "hour": "{HH}:{mm}",
    "minute": "{HH}:{mm}",
    "second": "{HH}:{mm}:{ss}",
    "millisecond": "{HH}:{mm}:{ss}",
}


def _over_time(since: datetime, until: datetime, *, zoom: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 40 if zoom else 16, "bottom": 16, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "time",
            "min": _milliseconds(since),
            "max": _milliseconds(until),
            "axisLabel": {"hideOverlap": True, "formatter": _CLOCK_FORMATS},
        },
    }
    if zoom:
        spec["brush"] = {"xAxisIndex": 0, "brushMode": "single", "throttleType": "debounce", "throttleDelay": 150}
        spec["toolbox"] = {
            "right": 16,
            "top": 2,
            "itemSize": 20,
            "showTitle": False,
            "tooltip": {"show": True},
            "iconStyle": {"borderColor": GRAY, "borderWidth": 1.5},
            "emphasis": {"iconStyle": {"borderColor": BLUE}},
            "feature": {"brush": {"type": ["lineX"], "title": {"lineX": zoom}}},
        }
    return spec


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# -- causes ------------------------------------------------------------------------------------------------------------

_PALETTE = (ORANGE, BLUE, RED, VIOLET, GREEN, GRAY)
_DECALS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 4], "rotation": 0.785},
    {"symbol": "circle", "symbolSize": 0.7, "dashArrayX": [[6, 6], [0, 6, 6, 0]], "dashArrayY": [5, 0]},
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5]},
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 4], "rotation": -0.785},
    {"symbol": "triangle", "symbolSize": 0.8, "dashArrayX": [[8, 8], [0, 8, 8, 0]], "dashArrayY": [7, 0]},
)


MOST_BARS = 100
MOST_CAUSES = 6
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Stacks:
    """Runs by cause and stretch: `starts` are the first days of stretches of `days` days each; the causes are ordered
    by how often they came, the rare ones summed up as `OTHERS`.
    """

    days: int
    starts: tuple[date, ...]
    causes: tuple[tuple[str, tuple[int, ...]], ...]


def stacked(rows: Iterable[Any], first: date, last: date) -> Stacks:
    """Rows with `day`, `cause` and `runs`, from the day `first` to the day `last`. One stretch is a day where there are
    few enough to be seen, else a week or four; days without a run are there as zeros.
    """
    total = (last - first).days + 1
    days = next((days for days in (1, 7, 28) if total <= MOST_BARS * days), 28)
    starts = tuple(first + timedelta(days=at) for at in range(0, total, days))
    found: dict[str, list[int]] = {}
    for row in rows:
        place = (_day(row.day) - first).days // days
        if 0 <= place < len(starts):
            found.setdefault(str(row.cause), [0] * len(starts))[place] += int(row.runs)
    often = sorted(found.items(), key=lambda item: (-sum(item[1]), item[0]))
    if len(often) > MOST_CAUSES:
        rare = [values for _, values in often[MOST_CAUSES - 1 :]]
        often = [*often[: MOST_CAUSES - 1], (OTHERS, [sum(values) for values in zip(*rare, strict=True)])]
    return Stacks(days, starts, tuple((cause, tuple(values)) for cause, values in often))


def _day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


def bars_spec(labels: Sequence[str], stacks: Sequence[tuple[str, Sequence[int]]]) -> dict[str, Any]:
    """Stacked bars, one place a label, at most six kinds. Each kind has a colour and a pattern; a bar can be chosen."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 16, "bottom": 44, "containLabel": True},
        "legend": {"type": "scroll", "bottom": 0, "left": 8, "itemWidth": 22, "itemHeight": 14, "icon": "rect"},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "shadow"}},
        "xAxis": {"type": "category", "data": list(labels), "axisLabel": {"hideOverlap": True}},
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [
            {
                "type": "bar",
                "stack": "causes",
                "name": name,
                "barMaxWidth": 40,
                "selectedMode": "single",
                "itemStyle": {
                    "color": _PALETTE[number % len(_PALETTE)],
                    **({"decal": {**decal, "color": "rgba(255,255,255,0.75)"}} if decal else {}),
                },
                "data": [value or None for value in values],
            }
            for number, (name, values) in enumerate(stacks)
            for decal in (_DECALS[number % len(_DECALS)],)
        ],
    }
