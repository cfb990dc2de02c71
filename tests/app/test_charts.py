"""Pictures as data: shapes, gaps, and that no failure is averaged away."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from bfai.model import Cause, Status
from bfai.ui.charts import (
    Beat,
    Bucket,
    ChartWords,
    beats_over_time,
    buckets_of,
    last_beats,
    latency_spec,
    legend_svg,
    strip_svg,
)
from bfai.workbench import RunRow

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WORDS = ChartWords("lo", "median", "hi", "failed")


def run(status: Status, minutes: float = 0, cause: Cause | None = None) -> RunRow:
    return RunRow("r", "c", NOON + timedelta(minutes=minutes), status, cause, 100.0, {})


def test_the_newest_test_stands_at_the_right() -> None:
    beats = last_beats([run(Status.ONLINE), run(Status.FAILED)], 5)
    assert beats == [Beat.NO_TEST] * 3 + [Beat.ONLINE, Beat.FAILED]


def test_only_the_last_places_are_shown() -> None:
    assert last_beats([run(Status.FAILED), *[run(Status.ONLINE)] * 40]) == [Beat.ONLINE] * 40


def test_our_own_network_is_no_failure() -> None:
    assert last_beats([run(Status.FAILED, cause=Cause.LOCAL_NETWORK)], 1) == [Beat.OWN_NETWORK]


def test_every_shape_is_different_without_its_colour() -> None:
    shapes = set[str]()
    for beat in Beat:
        picture = ElementTree.fromstring(strip_svg([beat]))
        shapes.add(
            "|".join(
                f"{mark.tag} {[mark.get(name) for name in ('x', 'y', 'height', 'width', 'cy', 'r', 'stroke-width')]}"
                for mark in picture
            )
        )
    assert len(shapes) == len(Beat)


@pytest.mark.parametrize("beat", list(Beat))
def test_the_legend_draws_the_same_bars(beat: Beat) -> None:
    assert legend_svg(beat) == strip_svg([beat] * 3)


def test_the_worst_test_of_a_stretch_stands_for_it() -> None:
    runs = [run(Status.ONLINE, minute) for minute in range(1000)]
    runs[500] = run(Status.FAILED, 500)
    beats = beats_over_time(runs, NOON, NOON + timedelta(minutes=1000), 10)
    assert beats.count(Beat.FAILED) == 1
    assert beats[5] is Beat.FAILED


def test_silence_is_no_test() -> None:
    beats = beats_over_time([run(Status.ONLINE, 1)], NOON, NOON + timedelta(minutes=100), 10)
    assert beats == [Beat.ONLINE] + [Beat.NO_TEST] * 9


def test_no_span_is_no_error() -> None:
    assert beats_over_time([run(Status.ONLINE)], NOON, NOON, 4) == [Beat.NO_TEST] * 4


def bucket(minute: int, median: float | None, failures: int = 0) -> Bucket:
    low, high = (None, None) if median is None else (median - 10, median + 30)
    return Bucket(NOON + timedelta(minutes=minute), low, median, high, failures)


def test_the_line_breaks_over_silence_and_failures_are_triangles() -> None:
    spec = latency_spec([bucket(0, 100), bucket(1, None), bucket(2, 120, failures=2)], WORDS)
    rows = spec["dataset"]["source"]
    assert [row[3] for row in rows] == [100, None, 120]
    assert rows[0][2] == 40  # the band is as high as the distance from lo to hi
    assert all(series["connectNulls"] is False for series in spec["series"][:3])
    triangles = spec["series"][3]
    assert triangles["symbol"] == "triangle"
    assert [point[2] for point in triangles["data"]] == [2]


def test_the_description_is_plain_json() -> None:
    spec = latency_spec([bucket(minute, 100) for minute in range(1000)], WORDS)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert len(json.dumps(spec)) < 100_000
    assert "dataZoom" in spec


def test_dates_are_written_in_numbers() -> None:
    formats = latency_spec([bucket(0, 1)], WORDS)["xAxis"]["axisLabel"]["formatter"]
    assert not any("{MMM" in text for text in formats.values())


def test_missing_numbers_become_nothing() -> None:
    row = SimpleNamespace(
        t=SimpleNamespace(to_pydatetime=lambda: NOON), p5=float("nan"), p50=float("nan"), p95=float("nan"), failures=1
    )
    assert buckets_of([row]) == [Bucket(NOON, None, None, None, 1)]
