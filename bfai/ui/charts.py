"""Pictures as data: the heartbeat strip as SVG text and the response-time chart as an echarts description.

Pure functions without Streamlit. One palette serves the light and the dark theme, grounds are transparent, and no mark
relies on its colour: every state has a shape of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bfai.model import Status
from bfai.workbench import RunRow

GREEN, BLUE, ORANGE, RED, GRAY = "#12906B", "#3B7DD0", "#CC6510", "#B8224E", "#737E8B"
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
    NO_TEST = "no_test"


_WORST_FIRST = (Beat.BLOCKED, Beat.FAILED, Beat.CONNECTED, Beat.ONLINE, Beat.OWN_NETWORK, Beat.NO_TEST)
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


def beats_over_time(runs: Iterable[RunRow], since: datetime, until: datetime, places: int) -> list[Beat]:
    """One place an equal stretch of time. The worst test of a stretch stands for it: no failure is averaged away."""
    found = [Beat.NO_TEST] * places
    span = (until - since).total_seconds()
    for run in runs:
        if span <= 0 or not since <= run.started_at <= until:
            continue
        place = min(int((run.started_at - since).total_seconds() / span * places), places - 1)
        found[place] = min(found[place], beat(run), key=_WORST_FIRST.index)
    return found


def strip_svg(beats: Sequence[Beat], *, headroom: float = 0.0) -> str:
    """The heartbeat strip. `headroom` is empty space above and below, for a table that fills the height of its rows."""
    width = len(beats) * _STEP - (_STEP - _WIDTH) + 2 * _MARGIN
    marks = "".join(_mark(state, _MARGIN + index * _STEP) for index, state in enumerate(beats))
    height = HEIGHT + 2 * headroom
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 {-headroom:.0f} {width:.1f} {height:.0f}' "
        f"width='{width:.1f}' height='{height:.0f}'>{marks}</svg>"
    )


def legend_svg(state: Beat) -> str:
    """Three bars of one kind, for the legend."""
    return strip_svg([state] * 3)


def _mark(state: Beat, x: float) -> str:
    match state:
        case Beat.ONLINE:
            return _bar(x, 0, HEIGHT, GREEN)
        case Beat.CONNECTED:
            return _bar(x, HEIGHT * 0.25, HEIGHT * 0.75, BLUE)
        case Beat.FAILED:
            dot = f"<circle cx='{x + _WIDTH / 2:.1f}' cy='5' r='3' fill='{ORANGE}'/>"
            return dot + _bar(x, HEIGHT * 0.5, HEIGHT * 0.5, ORANGE)
        case Beat.BLOCKED:
            return _bar(x, 0, HEIGHT * 0.42, RED) + _bar(x, HEIGHT * 0.58, HEIGHT * 0.42, RED)
        case Beat.OWN_NETWORK:
            return (
                f"<rect x='{x + 0.8:.1f}' y='{HEIGHT - 10:.1f}' width='{_WIDTH - 1.6:.1f}' height='9.2' rx='1' "
                f"fill='none' stroke='{GRAY}' stroke-width='1.4'/>"
            )
        case Beat.NO_TEST:
            return f"<circle cx='{x + _WIDTH / 2:.1f}' cy='{HEIGHT - 1.6:.1f}' r='1.4' fill='{GRAY}'/>"


def _bar(x: float, y: float, height: float, colour: str) -> str:
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{_WIDTH:.1f}' height='{height:.1f}' rx='1.5' fill='{colour}'/>"


# -- response times ----------------------------------------------------------------------------------------------------


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
    """The names of the lines, in the reader's language."""

    lo: str
    median: str
    hi: str
    failures: str


def buckets_of(rows: Iterable[Any]) -> list[Bucket]:
    """Rows with `t`, `p5`, `p50`, `p95` and `failures`, as a data frame's `itertuples()` gives them."""
    return [
        Bucket(row.t.to_pydatetime(), _known(row.p5), _known(row.p50), _known(row.p95), int(row.failures))
        for row in rows
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 1)


def latency_spec(buckets: Sequence[Bucket], names: ChartWords) -> dict[str, Any]:
    """Median line, band from the 5th to the 95th percentile, a triangle for each stretch with failures.

    The line breaks over silence. Dates are written in numbers, because the chart library knows month names in English
    only; it shows times in the reader's own zone.
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
    hidden: dict[str, Any] = {**line, "showSymbol": False, "stack": "band", "lineStyle": {"opacity": 0}}
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 16, "bottom": 64 if len(buckets) > 60 else 16, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "time",
            "axisLabel": {
                "hideOverlap": True,
                "formatter": {
                    "year": "{yyyy}",
                    "month": "{d}.{M}.",
                    "day": "{d}.{M}.",
                    "hour": "{HH}:{mm}",
                    "minute": "{HH}:{mm}",
                    "second": "{HH}:{mm}:{ss}",
                    "millisecond": "{HH}:{mm}:{ss}",
                },
            },
        },
        "yAxis": {"type": "value", "min": 0},
        "dataset": {"dimensions": ["t", "lo", "band", "median", "hi"], "source": source},
        "series": [
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
            {
                "type": "scatter",
                "name": names.failures,
                "symbol": "triangle",
                "symbolSize": 10,
                "itemStyle": {"color": ORANGE},
                "data": [[_milliseconds(b.at), round(highest * 0.03, 1), b.failures] for b in buckets if b.failures],
                "encode": {"x": 0, "y": 1, "tooltip": [2]},
                "z": 4,
            },
        ],
    }
    if len(buckets) > 60:
        spec["dataZoom"] = [{"type": "inside"}, {"type": "slider", "height": 22, "bottom": 12, "showDetail": False}]
    return spec


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
