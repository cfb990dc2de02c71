"""Which stretch of time an address asks for, and where zooming leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bfai.ui.time_range import PRESETS, SHORTEST, TimeRange, closer, earlier, later, own, preset, read, wider

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
END = datetime(2026, 11, 21, 12, 1, tzinfo=UTC)
FIRST = datetime(2026, 3, 1, 8, 15, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_usual_stretches_end_now(name: str) -> None:
    shown = read({"range": name}, NOW, FIRST)
    assert (shown.until, shown.open, shown.address) == (END, True, {"range": name})
    assert shown.since == (END - PRESETS[name] if PRESETS[name] else FIRST.replace(second=0))  # type: ignore[operator]


@pytest.mark.parametrize(
    "params", [{}, {"range": "3w"}, {"range": ""}, {"from": "yesterday"}, {"from": "9999-12-31T23:59+14:00", "to": "x"}]
)
def test_nonsense_gives_a_stretch_that_can_be_drawn(params: dict[str, str]) -> None:
    shown = read(params, NOW, FIRST)
    assert shown.until <= END
    assert shown.span >= SHORTEST


def test_without_a_test_all_is_a_stretch_too() -> None:
    assert preset("all", NOW, None).span == SHORTEST


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-14T08:00Z", "2026-11-15T08:00Z"),
        ("2026-11-14T09:00+01:00", "2026-11-15T09:00+01:00"),
        ("2026-11-14T08:00", "2026-11-15T08:00"),
    ],
)
def test_an_address_says_the_same_in_every_zone(since: str, until: str) -> None:
    shown = read({"from": since, "to": until, "range": "7d"}, NOW, FIRST)
    assert shown == TimeRange(datetime(2026, 11, 14, 8, tzinfo=UTC), datetime(2026, 11, 15, 8, tzinfo=UTC), open=False)
    assert read(shown.address, NOW, FIRST) == shown


def test_without_an_end_it_goes_on_until_now() -> None:
    shown = read({"from": "2026-11-14T08:00Z"}, NOW, FIRST)
    assert (shown.until, shown.open) == (END, True)
    assert read(shown.address, NOW + DAY, FIRST).until == END + DAY


@pytest.mark.parametrize(
    ("since", "until"),
    [(NOW + DAY, None), (NOW, NOW - DAY), (datetime(1, 1, 1, tzinfo=UTC), datetime(2, 1, 1, tzinfo=UTC))],
)
def test_what_cannot_be_is_put_right(since: datetime, until: datetime | None) -> None:
    shown = own(since, until, NOW)
    assert shown.until <= END
    assert shown.span >= SHORTEST


PAST = own(END - 10 * DAY, END - 6 * DAY, NOW)


def test_closer_and_wider_keep_the_middle() -> None:
    assert closer(PAST, NOW).span == pytest.approx(PAST.span / 2, abs=timedelta(minutes=2))  # type: ignore[call-overload]
    assert closer(PAST, NOW).since > PAST.since
    assert closer(PAST, NOW).until < PAST.until
    assert wider(PAST, NOW).since < PAST.since
    assert wider(PAST, NOW).until > PAST.until


def test_what_ends_now_stays_at_now() -> None:
    shown = preset("7d", NOW, FIRST)
    assert closer(shown, NOW).open
    assert closer(shown, NOW).span == timedelta(days=3.5)
    assert wider(shown, NOW).open
    assert wider(shown, NOW).span == timedelta(days=14)


def test_it_moves_by_half_and_never_beyond_now() -> None:
    back = earlier(PAST, NOW)
    assert (back.since, back.until) == (PAST.since - 2 * DAY, PAST.until - 2 * DAY)
    shown = PAST
    for _ in range(9):
        shown = later(shown, NOW)
    assert shown.until == END
    assert shown.open


def test_zooming_ends_at_ten_minutes() -> None:
    shown = PAST
    for _ in range(20):
        shown = closer(shown, NOW)
    assert SHORTEST <= shown.span <= SHORTEST + timedelta(minutes=2)
