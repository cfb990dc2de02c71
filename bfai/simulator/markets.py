"""The same markets and candles for every simulated exchange: exact integer arithmetic, no randomness between starts."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

MINUTE_MS: Final = 60_000
_POINT_MS: Final = 15_000
"""How far apart the prices are that candles are made of."""
_AT_ONCE: Final = 250_000
BEIJING_MS: Final = 8 * 60 * MINUTE_MS
"""How much earlier the days of Beijing begin than those of UTC; Hong Kong's are the same."""
_WAVES: Final = ((604_800_000, 45_000), (86_400_000, 14_000), (13_020_000, 5_000), (2_460_000, 2_200), (420_000, 700))
"""Triangle waves that make the price: (period in ms, height in millionths)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A market against USDT."""

    base: str
    title: str
    middle: Decimal
    price_step: Decimal
    size_step: Decimal
    contract_size: Decimal
    max_leverage: int
    phase_ms: int
    quote: str = "USDT"
    open: bool = True
    """False: listed, but trading is halted."""
    terse: bool = False
    """True: its row leaves the smallest amounts out."""
    by_api: bool = True
    """False: for people only, where the exchange's documents have a word for that."""

    def join(self, between: str) -> str:
        """`BTC`, `-` and `USDT` as the exchange glues them."""
        return f"{self.base}{between}{self.quote}"


PAIRS: Final = (
    Pair("BTC", "Bitcoin", Decimal(64000), Decimal("0.1"), Decimal("0.00001"), Decimal("0.001"), 125, 0),
    Pair("ETH", "Ethereum", Decimal(3200), Decimal("0.01"), Decimal("0.0001"), Decimal("0.01"), 100, 9_000_000),
    Pair("SOL", "Solana", Decimal(150), Decimal("0.01"), Decimal("0.001"), Decimal("0.1"), 75, 47_000_000),
)
LISTED: Final = (
    *PAIRS,
    Pair(
        "DOGE", "Dogecoin", Decimal("0.16"), Decimal("0.00001"), Decimal("0.1"), Decimal(100), 50, 5_000_000, terse=True
    ),
    Pair(
        "LTC", "Litecoin", Decimal(85), Decimal("0.01"), Decimal("0.001"), Decimal("0.1"), 50, 13_000_000, by_api=False
    ),
    Pair(
        "LUNC",
        "Terra Classic",
        Decimal("0.00006"),
        Decimal("1e-8"),
        Decimal(1),
        Decimal(10000),
        20,
        29_000_000,
        open=False,
    ),
)
"""What market lists hold: `PAIRS`, which the sample accounts trade, and one of every kind that needs care."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; `open_ms` in ms since 1970, volume in the base coin."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def turnover(self) -> Decimal:
        """Volume in the quote coin."""
        return (self.volume * (self.open + self.close) / 2).quantize(Decimal("0.01"))


def _wave(at: int, period: int, height: int) -> int:
    part = at % period * 4 * height // period
    if part <= height:
        return part
    return 2 * height - part if part <= 3 * height else part - 4 * height


def price_at(pair: Pair, at_ms: int) -> Decimal:
    """The price at a time (ms since 1970), on the price grid."""
    millionths = 1_000_000 + sum(_wave(at_ms + pair.phase_ms, period, height) for period, height in _WAVES)
    return (pair.middle * millionths / 1_000_000).quantize(pair.price_step)


def candles(
    pair: Pair,
    step_ms: int,
    now_ms: int,
    *,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
    east_ms: int = 0,
) -> list[Candle]:
    """Candles oldest first: the last `limit` up to `end_ms` (now), or the first `limit` from `start_ms`.

    All are made of one path of prices, so that a long candle is what its minutes are together. The last one goes on
    until now. `east_ms`: their days begin so much earlier than those of UTC.
    """
    last = (min(end_ms if end_ms is not None else now_ms, now_ms) + east_ms) // step_ms * step_ms - east_ms
    first = last - (limit - 1) * step_ms
    if start_ms is not None:
        first = -(-(max(start_ms, 0) + east_ms) // step_ms) * step_ms - east_ms
        last = min(last, first + (limit - 1) * step_ms)
    found: list[Candle] = []
    part = max(1, _AT_ONCE * _POINT_MS // step_ms) * step_ms
    for begin in range(first, last + 1, part):
        found += _candles(pair, begin, min(begin + part, last + step_ms), step_ms, now_ms)
    return found


def _candles(pair: Pair, begin: int, end: int, step_ms: int, now_ms: int) -> list[Candle]:
    np: Any = importlib.import_module("numpy")  # a day of a thousand candles has millions of prices
    at = np.arange(begin, end + 1, _POINT_MS, dtype=np.int64)
    heights = _heights(np, np.minimum(at, now_ms) + pair.phase_ms)
    each = step_ms // _POINT_MS
    # The price at the end of a candle is the first one of the next.
    rows = np.lib.stride_tricks.sliding_window_view(heights, each + 1)[::each]
    minutes = np.arange(begin // MINUTE_MS, end // MINUTE_MS, dtype=np.int64)
    hundredths = 50 + (minutes * 1_103_515_245 + 12_345 + pair.phase_ms) % 2_147_483_648 % 950
    hundredths = np.where(minutes * MINUTE_MS <= now_ms, hundredths, 0).reshape(len(rows), -1).sum(axis=1)
    size = (64000 / pair.middle).quantize(Decimal("0.01")) / 100
    ends = (rows[:, 0], rows.max(axis=1), rows.min(axis=1), rows[:, -1])
    found: list[Candle] = []
    columns = (part.tolist() for part in (hundredths, *ends))
    for place, (traded, *prices) in enumerate(zip(*columns, strict=True)):
        first, high, low, last = ((pair.middle * height / 1_000_000).quantize(pair.price_step) for height in prices)
        volume = (traded * size).quantize(pair.size_step)
        found.append(Candle(begin + place * step_ms, first, high, low, last, volume))
    return found


def _heights(np: Any, at: Any) -> Any:
    """What `price_at` multiplies the middle with, in millionths, at many times."""
    found = np.full(len(at), 1_000_000, dtype=np.int64)
    for period, height in _WAVES:
        part = (at - at // period * period) * (4 * height) // period
        # The same triangle as in `_wave`: h − |(part + h) mod 4h − 2h|.
        part += height
        part[part >= 4 * height] -= 4 * height
        part -= 2 * height
        found += height - np.abs(part)
    return found


def by_symbol(between: str, pairs: Iterable[Pair] = LISTED) -> dict[str, Pair]:
    """Pairs by the exchange's spelling."""
    return {pair.join(between): pair for pair in pairs}
