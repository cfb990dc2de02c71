"""The same markets and candles for every simulated exchange: exact integer arithmetic, no randomness between starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

MINUTE_MS: Final = 60_000
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


def candle_at(pair: Pair, open_ms: int, step_ms: int) -> Candle:
    """The candle that opens at a time."""
    points = [price_at(pair, open_ms + step_ms * part // 8) for part in range(9)]
    seed = (open_ms // MINUTE_MS * 1_103_515_245 + 12_345 + pair.phase_ms) % 2_147_483_648
    volume = Decimal(50 + seed % 950) * (step_ms // MINUTE_MS) / 100 * (64000 / pair.middle).quantize(Decimal("0.01"))
    return Candle(open_ms, points[0], max(points), min(points), points[-1], volume.quantize(pair.size_step))


def candles(
    pair: Pair, step_ms: int, now_ms: int, *, start_ms: int | None, end_ms: int | None, limit: int
) -> list[Candle]:
    """Candles oldest first: the last `limit` up to `end_ms` (now), or the first `limit` from `start_ms`."""
    last = min(end_ms if end_ms is not None else now_ms, now_ms) // step_ms * step_ms
    first = last - (limit - 1) * step_ms
    if start_ms is not None:
        first = -(-max(start_ms, 0) // step_ms) * step_ms
        last = min(last, first + (limit - 1) * step_ms)
    return [candle_at(pair, at, step_ms) for at in range(first, last + 1, step_ms)]


def by_symbol(between: str, pairs: Iterable[Pair] = LISTED) -> dict[str, Pair]:
    """Pairs by the exchange's spelling."""
    return {pair.join(between): pair for pair in pairs}
