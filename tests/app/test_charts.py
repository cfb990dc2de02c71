"""Pictures as data: shapes, gaps, and that no failure is averaged away."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from bfai.model import Cause, Status
from bfai.ui.charts import (
    DAY_FROM,
    MOST_BARS,
    MOST_CAUSES,
    OTHERS,
    Beat,
    Bucket,
    ChartWords,
    DayClass,
    band_spec,
    bars_spec,
    beats_of,
    buckets_of,
    day_class,
    day_classes,
    day_svg,
    days_left_spec,
    last_beats,
    legend_svg,
    month_svg,
    spark_svg,
    stacked,
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


def shapes_of(svg: str) -> str:
    """What is drawn, without its colour."""
    return re.sub(r"#[0-9A-Fa-f]{6}", "", svg)


def test_every_shape_is_different_without_its_colour() -> None:
    assert len({shapes_of(strip_svg([beat])).replace(f"b{number}", "") for number, beat in enumerate(Beat)}) == len(
        Beat
    )


def test_a_strip_is_sound_and_small() -> None:
    svg = strip_svg(list(Beat) * 14)
    marks = [mark.get("href") for mark in ElementTree.fromstring(svg) if mark.tag.endswith("use")]
    assert Counter(marks) == dict.fromkeys((f"#b{number}" for number in range(len(Beat))), 14)
    assert len(svg) < 5000


@pytest.mark.parametrize("beat", list(Beat))
def test_the_legend_draws_the_same_bars(beat: Beat) -> None:
    assert legend_svg(beat) == strip_svg([beat] * 3)


def stretch(worst: str, online: float = 0, failed: float = 0, own: float = 0) -> SimpleNamespace:
    return SimpleNamespace(worst=worst, online_s=online, failed_s=failed, blocked_s=0.0, own_network_s=own)


def test_the_worst_test_of_a_stretch_stands_for_it() -> None:
    assert beats_of([stretch("failed", online=3000, failed=1), stretch("connected")]) == [Beat.FAILED, Beat.CONNECTED]


def test_a_stretch_without_a_test_says_whether_the_last_result_still_holds() -> None:
    rows = [
        stretch("no_test", online=60),
        stretch("no_test", failed=60),
        stretch("no_test"),
        stretch("no_test", own=60),
    ]
    assert beats_of(rows) == [Beat.HELD, Beat.HELD, Beat.NO_TEST, Beat.OWN_NETWORK]


def bucket(minute: int, median: float | None, failures: int = 0) -> Bucket:
    low, high = (None, None) if median is None else (median - 10, median + 30)
    return Bucket(NOON + timedelta(minutes=minute), low, median, high, failures)


HOUR = (NOON, NOON + timedelta(hours=1))


def test_the_line_breaks_over_silence_and_failures_are_triangles() -> None:
    spec = band_spec([bucket(0, 100), bucket(1, None), bucket(2, 120, failures=2)], WORDS, *HOUR)
    rows = spec["dataset"]["source"]
    assert [row[3] for row in rows] == [100, None, 120]
    assert rows[0][2] == 40  # the band is as high as the distance from lo to hi
    assert all(series["connectNulls"] is False for series in spec["series"][:3])
    triangles = spec["series"][3]
    assert triangles["symbol"] == "triangle"
    assert [point[2] for point in triangles["data"]] == [2]


def test_the_description_is_plain_json() -> None:
    spec = band_spec([bucket(minute, 100) for minute in range(1000)], WORDS, *HOUR)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert len(json.dumps(spec)) < 100_000


def test_a_stretch_can_be_chosen_where_zooming_is_named() -> None:
    spec = band_spec([bucket(0, 1)], ChartWords("lo", "median", "hi", "failed", "look closer"), *HOUR)
    assert spec["brush"]["xAxisIndex"] == 0
    assert spec["toolbox"]["feature"]["brush"] == {"type": ["lineX"], "title": {"lineX": "look closer"}}
    assert "brush" not in band_spec([bucket(0, 1)], WORDS, *HOUR)


def test_silence_at_the_edges_is_seen() -> None:
    axis = band_spec([bucket(20, 1)], WORDS, *HOUR)["xAxis"]
    assert (axis["min"], axis["max"]) == tuple(at.timestamp() * 1000 for at in HOUR)


def test_a_band_below_zero_is_stacked_all_the_same() -> None:
    spec = band_spec([bucket(0, -5)], ChartWords("lo", "median", "hi"), *HOUR, from_zero=False)
    assert "min" not in spec["yAxis"]
    assert [series.get("stackStrategy") for series in spec["series"]] == ["all", "all", None]


def test_dates_are_written_in_numbers() -> None:
    formats = band_spec([bucket(0, 1)], WORDS, *HOUR)["xAxis"]["axisLabel"]["formatter"]
    assert not any("{MMM" in text for text in formats.values())


def test_missing_numbers_become_nothing() -> None:
    row = SimpleNamespace(
        t=SimpleNamespace(to_pydatetime=lambda: NOON), p5=float("nan"), p50=float("nan"), p95=float("nan"), failures=1
    )
    assert buckets_of([row]) == [Bucket(NOON, None, None, None, 1)]


def test_days_left_break_where_no_end_is_told() -> None:
    rows = [
        SimpleNamespace(t=SimpleNamespace(to_pydatetime=lambda: NOON), days_left=left) for left in (7.04, float("nan"))
    ]
    series = days_left_spec(rows, "days", *HOUR)["series"][0]
    assert [point[1] for point in series["data"]] == [7.0, None]
    assert series["connectNulls"] is False


# -- the calendar ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "kind"),
    [
        (1.0, DayClass.WHOLE),
        (0.9999, DayClass.NEARLY),
        (0.99, DayClass.NEARLY),
        (0.9899, DayClass.MOST),
        (0.5, DayClass.HALF),
        (0.4999, DayClass.LITTLE),
        (0.0, DayClass.LITTLE),
        (float("nan"), DayClass.UNKNOWN),
        (None, DayClass.UNKNOWN),
    ],
)
def test_only_the_whole_day_is_whole(share: float | None, kind: DayClass) -> None:
    assert day_class(share) is kind


def test_classes_go_down() -> None:
    assert list(DAY_FROM.values()) == sorted(DAY_FROM.values(), reverse=True)


def test_every_square_is_different_without_its_colour() -> None:
    assert len({shapes_of(day_svg(kind)) for kind in DayClass}) == len(DayClass)


def test_a_month_has_its_days_where_the_week_puts_them() -> None:
    days = {date(2026, 11, 1): DayClass.WHOLE, date(2026, 11, 2): DayClass.WHOLE, date(2026, 12, 1): DayClass.WHOLE}
    squares = [(mark.get("x"), mark.get("y")) for mark in ElementTree.fromstring(month_svg(2026, 11, days))]
    assert squares == [("132.0", "0.0"), ("0.0", "22.0")]  # the first was a Sunday; December is another month's


def test_days_may_come_as_dates_or_as_times() -> None:
    rows = [SimpleNamespace(day=date(2026, 11, 1), share=1.0), SimpleNamespace(day=datetime(2026, 11, 2), share=0.2)]  # noqa: DTZ001
    assert day_classes(rows) == {date(2026, 11, 1): DayClass.WHOLE, date(2026, 11, 2): DayClass.LITTLE}


# -- small multiples ---------------------------------------------------------------------------------------------------


def test_a_sparkline_breaks_over_silence_and_keeps_lonely_values() -> None:
    svg = spark_svg([10, 20, None, 30], [None] * 4, 40)
    path = next(mark.get("d") for mark in ElementTree.fromstring(svg) if mark.get("stroke") == "#3B7DD0")
    assert path is not None
    assert path.count("M") == 2
    assert path.endswith("h.1")


def test_a_sparkline_cuts_what_is_above_its_scale() -> None:
    svg = spark_svg([5, 1000], [None, None], 10)
    assert "L220 1.0" in svg


# -- causes ------------------------------------------------------------------------------------------------------------


def cause(day: date, name: str, runs: int) -> SimpleNamespace:
    return SimpleNamespace(day=day, cause=name, runs=runs)


FIRST = date(2026, 11, 1)


def test_causes_are_stacked_by_day_the_commonest_first() -> None:
    found = stacked([cause(FIRST, "a", 1), cause(FIRST + timedelta(days=2), "b", 5)], FIRST, FIRST + timedelta(days=3))
    assert found.days == 1
    assert found.causes == (("b", (0, 0, 5, 0)), ("a", (1, 0, 0, 0)))


def test_rare_causes_are_summed_up_and_none_is_lost() -> None:
    rows = [cause(FIRST, str(number), 10 - number) for number in range(9)]
    found = stacked(rows, FIRST, FIRST)
    assert len(found.causes) == MOST_CAUSES
    assert found.causes[-1] == (OTHERS, (sum(10 - number for number in range(5, 9)),))
    assert sum(counts[0] for _, counts in found.causes) == sum(row.runs for row in rows)


@pytest.mark.parametrize(("total", "days"), [(MOST_BARS, 1), (MOST_BARS + 1, 7), (731, 28), (4000, 28)])
def test_long_times_are_stacked_by_week_and_four_weeks(total: int, days: int) -> None:
    last = FIRST + timedelta(days=total - 1)
    found = stacked([cause(FIRST, "a", 1), cause(last, "a", 2)], FIRST, last)
    assert found.days == days
    assert sum(found.causes[0][1]) == 3
    assert found.starts[-1] <= last < found.starts[-1] + timedelta(days=days)


def test_every_cause_has_a_pattern_of_its_own() -> None:
    spec = bars_spec(["1.11."], [(str(number), [1]) for number in range(MOST_CAUSES)])
    patterns = [json.dumps(series["itemStyle"].get("decal")) for series in spec["series"]]
    assert len(set(patterns)) == MOST_CAUSES
    assert all(series["selectedMode"] == "single" for series in spec["series"])
