"""The stretch of time that a history page shows: read from the address, written to it, moved and zoomed.

`?range=7d` is a stretch that ends now. `?from=2026-11-14T08:00Z&to=2026-11-15T08:00Z` is any other; without `to` it
ends now. Addresses are in UTC, so a link says the same to everybody. Pure functions, to the minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PRESETS: Mapping[str, timedelta | None] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
    "all": None,
}
DEFAULT = "7d"
SHORTEST = timedelta(minutes=10)
_MINUTE = timedelta(minutes=1)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `since` to before `until`. `preset` is its name in `PRESETS`, empty for a stretch of one's own; `open`
    says that it ends now and moves on.
    """

    since: datetime
    until: datetime
    preset: str = ""
    open: bool = True

    @property
    def span(self) -> timedelta:
        return self.until - self.since

    @property
    def address(self) -> dict[str, str]:
        """The parameters of the address that lead here again."""
        if self.preset:
            return {"range": self.preset}
        end = {} if self.open else {"to": _text(self.until)}
        return {"from": _text(self.since), **end}


def read(params: Mapping[str, str], now: datetime, first: datetime | None) -> TimeRange:
    """The stretch that an address asks for; the usual one where it asks for none, or for nonsense. `first` is the time
    of the oldest test, with which `all` begins.
    """
    end = _up(now)
    since, until = _moment(params.get("from")), _moment(params.get("to"))
    if since is not None:
        return own(since, until, now)
    return preset(params.get("range", DEFAULT), end, first)


def preset(name: str, now: datetime, first: datetime | None) -> TimeRange:
    """The stretch of that name, or the usual one."""
    name, end = name if name in PRESETS else DEFAULT, _up(now)
    span = PRESETS[name]
    since = end - span if span is not None else _down(first or end)
    return TimeRange(min(since, end - SHORTEST), end, name)


def own(since: datetime, until: datetime | None, now: datetime) -> TimeRange:
    """Any stretch, put right: it is at least ten minutes long and ends now at the latest."""
    end = _up(now)
    last = end if until is None else min(max(_up(until), _EARLIEST + SHORTEST), end)
    first = max(min(_down(since), last - SHORTEST), _EARLIEST)
    return TimeRange(first, last, open=last == end)


def closer(shown: TimeRange, now: datetime) -> TimeRange:
    """Half of it: the newest half of a stretch that ends now, else the middle."""
    half = max(shown.span / 2, SHORTEST)
    if shown.open:
        return own(shown.until - half, None, now)
    middle = shown.since + shown.span / 2
    return own(middle - half / 2, middle + half / 2, now)


def wider(shown: TimeRange, now: datetime) -> TimeRange:
    """Twice of it, around the same middle as far as there is time."""
    until = min(shown.until + shown.span / 2, _up(now))
    return own(until - shown.span * 2, until, now)


def earlier(shown: TimeRange, now: datetime) -> TimeRange:
    """The stretch of the same length that overlaps its first half."""
    return own(shown.since - shown.span / 2, shown.until - shown.span / 2, now)


def later(shown: TimeRange, now: datetime) -> TimeRange:
    until = min(shown.until + shown.span / 2, _up(now))
    return own(until - shown.span, until, now)


def _moment(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC) if at else None
    except (ValueError, OverflowError):
        return None


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _down(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _up(at: datetime) -> datetime:
    low = _down(at)
    return low if low == at else low + _MINUTE
