"""What an exchange allows and publishes: the grid, limits, fees and maintenance margin of its pairs, and their candles.
No key is ever used.

    async with Transport() as transport:
        rules = await Markets(transport).complete(Target(exchange="okx", market=Market.FUTURES), "BTC/USDT")

ccxt reads the answers and this module sends: a parser of ccxt gets our way out in place of its own, and that way lets
through only the public requests that are declared below, to the hosts of the region, through the shared transport.
Where ccxt reads a row otherwise than the exchange means it, a function beside the declaration sets it right and says
why.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from yarl import URL

from bfai.diagnosis import diagnose
from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, Exchange, MarginUnit, Tier, as_object, decimal, objects
from bfai.i18n import N_
from bfai.model import BfaiError, Cause, Diagnosis, Environment, Market, Message, Sent, Target
from bfai.strategy.candles import INTERVALS
from bfai.transport import Transport, UndeclaredRequest, retry_after_seconds

FORMAT = "bfai.rules/2"
MAX_LIST = 32 * 1024 * 1024  # bytes; Binance's list of spot pairs is the longest, with some megabytes
IN_THREAD = 256 * 1024  # characters; parsing more than that would hold up the event loop
IN_ERRORS = 2000  # characters that are searched for words about a pair
PAGES = 20
RECEIPT = 200

T = TypeVar("T")


# -- the nouns ---------------------------------------------------------------------------------------------------------


class FeesFrom(StrEnum):
    """Who told them: the exchange to this account, the exchange to everybody, or ccxt's table of its global company."""

    ACCOUNT = "account"
    EXCHANGE = "exchange"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class PairRules:
    """What one pair's orders must keep to. None is what the exchange does not tell: unknown, never zero.

    Amounts are in coins on spot and in contracts on futures; `contract_size` is coins in one contract, 1 on spot.
    Prices and costs are in quote. `maker` and `taker` are rates (negative: a rebate) from where `fees_from` says,
    without discounts unless they are this account's own. `api_tradable` is False where the exchange lists the pair but
    takes no orders for it by API, with `why_not`, a message id about `{exchange}` and `{pair}`. `tiers` and `price` are
    set where the same answer told them, or by `Markets.complete`.
    """

    pair: str
    id: str
    """The exchange's own name of the pair."""
    ccxt_symbol: str
    exchange: str
    region: str
    environment: Environment
    market: Market
    base: str
    quote: str
    settle: str | None
    linear: bool | None
    active: bool | None
    api_tradable: bool | None
    why_not: str | None
    tick_size: Decimal
    step_size: Decimal
    contract_size: Decimal
    min_amount: Decimal | None
    max_amount: Decimal | None
    min_cost: Decimal | None
    max_cost: Decimal | None
    maker: Decimal | None
    taker: Decimal | None
    fees_from: FeesFrom
    liquidation_fee: Decimal | None
    max_leverage: Decimal | None
    tiers: tuple[Tier, ...] | None
    price: Decimal | None
    fetched_at: datetime

    def tiers_at(self, leverage: Decimal) -> tuple[Tier, ...]:
        """The tiers that hold for a position opened with this leverage, ascending; none where they are unknown."""
        tiers = self.tiers or ()
        rates = sorted({tier.leverage for tier in tiers if tier.leverage is not None})
        # A leverage between two that are told is judged by the higher one.
        rate = next((rate for rate in rates if rate >= leverage), None)
        return tuple(tier for tier in tiers if tier.leverage in (None, rate))

    def to_json(self) -> dict[str, Any]:
        """For a cache: numbers as text, the time in ISO 8601, None as it is."""
        values = {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}
        tiers = None if self.tiers is None else [tier_json(tier) for tier in self.tiers]
        return {"format": FORMAT, **values, "tiers": tiers}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Raises ValueError for anything else."""
        if stored.get("format") != FORMAT:
            raise ValueError(f"these are no {FORMAT}")
        try:
            values = {name: stored[name] for name in cls.__dataclass_fields__}
            for name in _NUMBERS:
                values[name] = None if values[name] is None else Decimal(values[name])
            values["environment"], values["market"] = Environment(values["environment"]), Market(values["market"])
            values["fees_from"] = FeesFrom(values["fees_from"])
            values["fetched_at"] = datetime.fromisoformat(values["fetched_at"])
            tiers = values["tiers"]
            values["tiers"] = None if tiers is None else tuple(tier_from(row) for row in tiers)
            return cls(**values)
        except (KeyError, TypeError, InvalidOperation) as error:
            raise ValueError(f"these are no whole rules: {type(error).__name__}") from error


_NUMBERS = (
    "tick_size",
    "step_size",
    "contract_size",
    "min_amount",
    "max_amount",
    "min_cost",
    "max_cost",
    "maker",
    "taker",
    "liquidation_fee",
    "max_leverage",
    "price",
)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value


def tier_json(tier: Tier) -> dict[str, object]:
    return {name: _plain(getattr(tier, name)) for name in Tier.__dataclass_fields__}


def tier_from(row: Mapping[str, Any]) -> Tier:
    numbers = {
        name: None if row[name] is None else Decimal(row[name]) for name in Tier.__dataclass_fields__ if name != "unit"
    }
    return Tier(**{**numbers, "unit": row["unit"]})  # pyright: ignore[reportArgumentType] # from our own cache


class CandlePage(NamedTuple):
    """What an exchange told of the time from `begin` until `end`, in seconds since 1970 UTC.

    Rows, the oldest first: when the candle opens, open, high, low, close, volume in coins. `told_at` is the exchange's
    own time where its answer says it, ours otherwise: a candle that ends later is not closed.
    """

    begin: int
    end: int
    rows: Sequence[tuple[int, float, float, float, float, float]]
    told_at: float


# -- errors ------------------------------------------------------------------------------------------------------------


class MarketsError(BfaiError):
    """The rules cannot be read: why, and what to do. `diagnosis` is set where an answer was judged."""

    def __init__(self, message: Message, diagnosis: Diagnosis | None = None) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis


class PairUnknown(MarketsError):
    """The exchange has no such pair on this market."""


_UNDOCUMENTED = N_("{exchange} told its market rules in a form that no document describes. Try again in a while.")
_WORDS: Mapping[Cause, str] = {
    Cause.EXCHANGE_UNAVAILABLE: N_(
        "{exchange} does not answer, so its market rules cannot be read. Wait some minutes and try again."
    ),
    Cause.RATE_LIMITED: N_(
        "{exchange} asks us to slow down. Wait {seconds} seconds, then read its market rules again."
    ),
    Cause.LOCATION_RESTRICTED: N_(
        "{exchange} does not tell its market rules to the place from which this program asks. Run it where {exchange} "
        "serves you."
    ),
    Cause.LOCAL_NETWORK: N_(
        "There is no way from here to {exchange}, so its market rules cannot be read. Check your own connection."
    ),
}
_CANDLE_WORDS: Mapping[Cause, str] = {
    Cause.EXCHANGE_UNAVAILABLE: N_(
        "{exchange} does not answer, so its candles cannot be read. What came is kept. Wait some minutes and try again."
    ),
    Cause.RATE_LIMITED: N_(
        "{exchange} asks us to slow down. What came of its candles is kept. Wait {seconds} seconds, then go on."
    ),
    Cause.LOCATION_RESTRICTED: N_(
        "{exchange} does not tell its candles to the place from which this program asks. Run it where {exchange} "
        "serves you."
    ),
    Cause.LOCAL_NETWORK: N_(
        "There is no way from here to {exchange}, so its candles cannot be read. What came is kept. Check your own "
        "connection, then go on."
    ),
}
_UNDOCUMENTED_CANDLES = N_(
    "{exchange} told candles in a form that no document describes. What came before is kept. Try again in a while."
)
_NO_PAIR: Mapping[Market, str] = {
    Market.SPOT: N_("{exchange} has no spot pair {pair}. Choose another pair, or futures."),
    Market.FUTURES: N_("{exchange} has no perpetual futures of {pair}. Choose another pair, or spot."),
}
_NO_MARKET: Mapping[Market, str] = {
    Market.SPOT: N_("{region} has no spot market. Choose another region or environment."),
    Market.FUTURES: N_("{region} has no futures that bots can trade. Choose spot, or another region or environment."),
}
_NO_GRID = N_("{exchange} does not tell in which steps prices and amounts of {pair} go. Choose another pair.")
_NOT_BY_API = N_("{exchange} lists {pair} but takes no orders for it by API. Choose another pair.")


# -- what may be asked -------------------------------------------------------------------------------------------------

_ALL, _ONE = N_("read the market rules of all pairs"), N_("read the market rules of one pair")
_TIERS, _PRICE = N_("read the maintenance margin of one pair"), N_("read the last price of one pair")
_CANDLES = N_("read the candles of one pair")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ask:
    """One public GET request. `{id}` in path and parameters is the exchange's name of the pair.

    `host` is a logical name of the region's hosts and `pool` one of the adapter's limits, of which it takes `weight`.
    `adds` is put over the parameters of ccxt, which may be those named in `takes`, and in `drops`, which are left out.
    """

    purpose: str
    host: str
    path: str
    pool: str
    weight: int = 1
    adds: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    takes: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        return "GET"

    def where(self, pair_id: str) -> str:
        return self.path.replace("{id}", quote(pair_id, safe=""))


@dataclass(frozen=True, slots=True)
class Skip:
    """A request that ccxt makes although nobody needs it: it gets this answer and is not sent."""

    path: str
    answer: str
    params: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    unlike: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    def fits(self, path: str, query: Mapping[str, str]) -> bool:
        return (
            path == self.path
            and all(query.get(name) == value for name, value in self.params.items())
            and all(name in query and query[name] != value for name, value in self.unlike.items())
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """How candles are asked for: by one of `asks` (ccxt knows which one serves old candles), at most `most` at once.

    `{from_s}` and `{to_s}` in what they add, or `{from_ms}` and `{to_ms}`, are the time that is asked for. `intervals`
    are names of `INTERVALS`. `reach`: only so many of the latest candles are told; `widest`: one request may not ask
    for more time. `contracts`: the volume counts contracts.
    """

    asks: tuple[Ask, ...]
    most: int
    intervals: tuple[str, ...] = tuple(INTERVALS)
    reach: int | None = None
    widest: timedelta | None = None
    contracts: bool = False

    def window(self, step: int) -> int:
        """How many seconds one request may ask for, with room for a candle too many at either end."""
        count = self.most - 2
        return (count if self.widest is None else min(count, self.widest // timedelta(seconds=step) - 1)) * step


@dataclass(slots=True)
class _Draft:
    """A pair as ccxt read it, before it is set right."""

    active: bool | None
    tick_size: Decimal | None
    step_size: Decimal | None
    contract_size: Decimal | None
    min_amount: Decimal | None
    max_amount: Decimal | None
    min_cost: Decimal | None
    max_cost: Decimal | None
    maker: Decimal | None
    taker: Decimal | None
    max_leverage: Decimal | None
    api_tradable: bool | None = None
    liquidation_fee: Decimal | None = None
    tiers: tuple[Tier, ...] | None = None
    price: Decimal | None = None


Mend = Callable[[_Draft, Mapping[str, Any]], None]


def _as_it_is(draft: _Draft, row: Mapping[str, Any]) -> None:
    del draft, row


@dataclass(frozen=True, slots=True)
class Source:
    """How one market of one exchange is read.

    `many` lists all pairs; `one` stands in its place for a single pair, whose object is put into a list at `shape`
    where ccxt expects a list (`data[]`: as the only item of `data`; `[]`: as the whole). `tiers` is None where they
    need a key, are not told at all, or come with the pair (`tiers_with_pair`). `deduction` is the field that tells a
    tier's `cum`, and `tier_per_cent` says that rates may be meant in per cent. `fees_told`: whether the answer, and not
    ccxt alone, names the fees.
    """

    symbol: str
    types: object
    many: Ask
    price: Ask
    candles: Shelf
    one: Ask | None = None
    shape: str = ""
    tiers: Ask | None = None
    tiers_with_pair: bool = False
    tier_unit: MarginUnit = "quote"
    tier_params: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    tier_per_cent: bool = False
    tier_by_leverage: bool = False
    deduction: str = ""
    skips: tuple[Skip, ...] = ()
    coins: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    mend: Mend = _as_it_is
    fees_told: bool = False

    def asks(self) -> tuple[Ask, ...]:
        told = (self.many, self.one, self.tiers, self.price, *self.candles.asks)
        return tuple(ask for ask in told if ask is not None)


@dataclass(frozen=True, slots=True)
class Desk:
    """What may be asked of one exchange. `hosts` are those that ccxt would send to; the region's own take their place.

    `unknown` are its codes for a pair that does not exist.
    """

    hosts: tuple[str, ...]
    markets: Mapping[Market, Source]
    unknown: tuple[str, ...] = ()


# -- reading rows ------------------------------------------------------------------------------------------------------


def _number(value: object) -> Decimal | None:
    """A finite number from text, an integer or ccxt's own constants, or None."""
    return decimal(str(value))


def _positive(value: object) -> Decimal | None:
    """Exchanges write 0, an empty text or nothing at all where they set no limit or do not tell it."""
    number = _number(value)
    return number if number is not None and number > 0 else None


def _larger(*values: Decimal | None) -> Decimal | None:
    return max((value for value in values if value is not None), default=None)


def _flag(value: object) -> bool | None:
    return (
        {True: True, False: False, "true": True, "false": False}.get(value) if isinstance(value, (bool, str)) else None
    )


def _both(*values: bool | None) -> bool | None:
    return None if None in values else all(values)


def _mexc_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    # ccxt calls a pair inactive when it is only closed to the API.
    draft.active = str(row.get("status")) in ("1", "ENABLED")
    draft.api_tradable = _flag(row.get("isSpotTradingAllowed"))


def _mexc_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.api_tradable = _flag(row.get("apiAllowed"))
    draft.liquidation_fee = _positive(row.get("liquidationFeeRate"))
    draft.tiers = _mexc_tiers(row)


def _mexc_tiers(row: Mapping[str, Any]) -> tuple[Tier, ...] | None:
    """ccxt leaves `riskBaseVol` and the mode CUSTOM out, which makes levels too wide and the estimate too bold."""
    unit: MarginUnit = "quote" if row.get("riskLimitType") == "BY_VALUE" else "contracts"
    if row.get("riskLimitMode") == "CUSTOM":
        levels = [
            (_positive(level.get("maxVol")), _positive(level.get("mmr")), _positive(level.get("maxLeverage")))
            for level in objects(row.get("riskLimitCustom"))
        ]
        return _ascending(levels, unit)
    names = ("maintenanceMarginRate", "initialMarginRate", "riskIncrVol", "riskIncrMmr", "riskIncrImr")
    mmr, imr, step, more_mmr, more_imr = (_positive(row.get(name)) for name in names)
    count = _number(row.get("riskLevelLimit"))
    if mmr is None or imr is None:
        return None
    if step is None:  # one level for all sizes is what is left to know
        return (Tier(Decimal(0), None, unit, mmr, None, 1 / imr),)
    if more_mmr is None or more_imr is None or count is None:
        return None
    base = _positive(row.get("riskBaseVol")) or step
    levels = [
        (base + step * level, mmr + more_mmr * level, 1 / (imr + more_imr * level))
        for level in range(max(1, min(int(count), 200)))
    ]
    return _ascending(levels, unit)


def _ascending(
    levels: Iterable[tuple[Decimal | None, Decimal | None, Decimal | None]], unit: MarginUnit
) -> tuple[Tier, ...] | None:
    floor, found = Decimal(0), list[Tier]()
    for cap, mmr, leverage in levels:
        if cap is None or mmr is None or cap <= floor:
            return None
        found.append(Tier(floor, cap, unit, mmr, None, leverage))
        floor = cap
    return tuple(found) or None


_KUCOIN_BASIC = Decimal("0.001")  # of its class A, maker and taker; B pays two and C three times as much


def _kucoin_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    # Both are smallest worths of an order, and an order must keep to both.
    draft.min_cost = _larger(draft.min_cost, _positive(row.get("minFunds")))
    level = _number(row.get("feeCategory"))
    if level in (1, 2, 3):
        maker, taker = (_number(row.get(f"{side}FeeCoefficient")) for side in ("maker", "taker"))
        draft.maker = None if maker is None else _KUCOIN_BASIC * level * maker
        draft.taker = None if taker is None else _KUCOIN_BASIC * level * taker


def _kucoin_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.price = _positive(row.get("lastTradePrice"))


def _binance_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    if row.get("isSpotTradingAllowed") is False:  # listed for margin only
        draft.active = False


def _okx_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    times = _positive(row.get("ctMult"))
    if draft.contract_size is not None and times is not None:
        draft.contract_size *= times


def _bitget_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.max_amount = draft.max_amount or _positive(row.get("maxOrderQty"))


def _gate_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    # ccxt puts the amount step where no minimum is told, and reads the largest worth of margin pairs only.
    draft.active = row.get("trade_status") == "tradable"
    draft.min_amount = _positive(row.get("min_base_amount"))
    draft.max_cost = _positive(row.get("max_quote_amount"))


def _gate_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.active = draft.active is True and row.get("in_delisting") is not True
    draft.price = _positive(row.get("last_price"))


def _htx_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.api_tradable = {"enabled": True, "disabled": False}.get(str(row.get("api-trading")))


def _htx_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    # Orders count whole contracts; ccxt names the contract's size in coins as the smallest number of contracts.
    del row
    draft.min_amount, draft.max_leverage = Decimal(1), None


def _bingx_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.active = str(row.get("status")) == "1"
    draft.api_tradable = _both(_flag(row.get("apiStateBuy")), _flag(row.get("apiStateSell")))


def _bingx_futures(draft: _Draft, row: Mapping[str, Any]) -> None:
    draft.active = str(row.get("status")) == "1"
    draft.api_tradable = _both(_flag(row.get("apiStateOpen")), _flag(row.get("apiStateClose")))
    sides = [_positive(row.get(name)) for name in ("maxLongLeverage", "maxShortLeverage")]
    draft.max_leverage = min((side for side in sides if side is not None), default=None)


def _coinbase_spot(draft: _Draft, row: Mapping[str, Any]) -> None:
    shut = ("is_disabled", "trading_disabled", "view_only", "cancel_only")
    draft.active = row.get("status") in ("online", None, "") and not any(row.get(name) is True for name in shut)
    draft.price = _positive(row.get("price"))


# -- the ten exchanges -------------------------------------------------------------------------------------------------


def _asks(
    host: str,
    pool: str,
    many: str,
    price: str,
    *,
    name: str = "symbol",
    fixed: Mapping[str, str] = _NOTHING,
    weights: tuple[int, int, int] = (1, 1, 1),
    one: str | None = None,
    takes: tuple[str, ...] = (),
) -> tuple[Ask, Ask, Ask]:
    """The requests for all pairs, for one (`one`, or the same path with the pair's name) and for its price."""
    both = (*takes, *fixed)
    by_name = {} if one else {name: "{id}"}
    return (
        Ask(_ALL, host, many, pool, weights[0], fixed, both),
        Ask(_ONE, host, one or many, pool, weights[1], {**fixed, **by_name}, both),
        Ask(_PRICE, host, price, pool, weights[2], takes=(*both, *(() if "{id}" in price else (name,)))),
    )


def _source(asks: tuple[Ask, Ask | None, Ask], symbol: str, types: object, **more: Any) -> Source:
    many, one, price = asks
    return Source(symbol=symbol, types=types, many=many, one=one, price=price, **more)


def _shelf(
    host: str,
    pool: str,
    paths: str | tuple[str, ...],
    names: str,
    *,
    most: int,
    unit: Literal["s", "ms"] = "ms",
    weight: int = 1,
    fixed: Mapping[str, str] = _NOTHING,
    takes: tuple[str, ...] = (),
    drops: tuple[str, ...] = (),
    **more: Any,
) -> Shelf:
    """`names` are the parameters for pair, interval, begin, end and, where there is one, number of candles.

    The begin is asked for a moment too early and the end as it is: whether either is included is not told everywhere,
    and what is too much is left out.
    """
    pair, interval, begin, end, *limit = names.split()
    adds = {begin: f"{{from_{unit}}}", end: f"{{to_{unit}}}", **{name: str(most) for name in limit}, **fixed}
    takes = (interval, begin, end, *limit, *fixed, *takes, *(() if pair == "-" else (pair,)))
    told = (paths,) if isinstance(paths, str) else paths
    asks = tuple(Ask(_CANDLES, host, path, pool, weight, adds, takes, drops) for path in told)
    return Shelf(asks, most, **more)


_NO_DATA = '{"code":"0","data":[]}'
_GATE = "/api/v4"
_PRODUCTS = "/api/v3/brokerage/market/products"
_HTX_SPOT = _asks("spot", "public", "/v1/common/symbols", "/market/detail/merged")
_GATE_REACH = 9_990  # it refuses what is older than 10,000 candles
_OKX_CANDLES = _shelf(
    "api",
    "candles",
    ("/api/v5/market/candles", "/api/v5/market/history-candles"),
    "instId bar before after limit",
    most=300,
)
_HTX_TYPES = {"spot": False, "linear": False, "inverse": False}

DESKS: Mapping[str, Desk] = MappingProxyType(
    {
        "mexc": Desk(
            ("api.mexc.com", "contract.mexc.com"),
            {
                Market.SPOT: _source(
                    _asks("spot", "spot", "/api/v3/exchangeInfo", "/api/v3/ticker/24hr", weights=(10, 10, 1)),
                    "{base}{quote}",
                    ["spot"],
                    # Its documents say 1000; 500 come.
                    candles=_shelf(
                        "spot", "spot", "/api/v3/klines", "symbol interval startTime endTime limit", most=500
                    ),
                    skips=(Skip("/api/v1/contract/detail", _NO_DATA),),
                    mend=_mexc_spot,
                    fees_told=True,
                ),
                Market.FUTURES: _source(
                    _asks("futures", "futures", "/api/v1/contract/detail", "/api/v1/contract/ticker"),
                    "{base}_{quote}",
                    ["swap"],
                    candles=_shelf(
                        "futures",
                        "futures",
                        "/api/v1/contract/kline/{id}",
                        "- interval start end",
                        unit="s",
                        most=2000,
                        contracts=True,
                    ),
                    shape="data[]",
                    skips=(Skip("/api/v3/exchangeInfo", '{"symbols":[]}'),),
                    mend=_mexc_futures,
                    tiers_with_pair=True,
                    fees_told=True,
                ),
            },
            ("10007", "-1121", "1001"),
        ),
        "kucoin": Desk(
            ("api.kucoin.com", "api-futures.kucoin.com"),
            {
                Market.SPOT: _source(
                    _asks(
                        "spot",
                        "public",
                        "/api/v2/symbols",
                        "/api/v1/market/stats",
                        weights=(4, 4, 15),
                        one="/api/v2/symbols/{id}",
                    ),
                    "{base}-{quote}",
                    ["spot"],
                    candles=_shelf(
                        "spot",
                        "public",
                        "/api/v1/market/candles",
                        "symbol type startAt endAt",
                        unit="s",
                        most=1500,
                        weight=3,
                    ),
                    shape="data[]",
                    mend=_kucoin_spot,
                ),
                Market.FUTURES: _source(
                    _asks(
                        "futures",
                        "public",
                        "/api/v1/contracts/active",
                        "/api/v1/ticker",
                        weights=(3, 3, 2),
                        one="/api/v1/contracts/{id}",
                    ),
                    "{base}{quote}M",
                    ["swap"],
                    candles=_shelf(
                        "futures",
                        "public",
                        "/api/v1/kline/query",
                        "symbol granularity from to",
                        most=500,
                        weight=3,
                        contracts=True,
                    ),
                    shape="data[]",
                    tiers=Ask(_TIERS, "futures", "/api/v1/contracts/risk-limit/{id}", "public", 5),
                    coins={"BTC": "XBT"},
                    mend=_kucoin_futures,
                    fees_told=True,
                ),
            },
            ("900001", "100001", "404000"),
        ),
        "binance": Desk(
            ("api.binance.com", "fapi.binance.com"),
            {
                Market.SPOT: _source(
                    _asks(
                        "spot",
                        "spot",
                        "/api/v3/exchangeInfo",
                        "/api/v3/ticker/24hr",
                        fixed={"showPermissionSets": "false"},
                        weights=(20, 20, 2),
                    ),
                    "{base}{quote}",
                    ["spot"],
                    candles=_shelf(
                        "spot", "spot", "/api/v3/klines", "symbol interval startTime endTime limit", most=1000, weight=2
                    ),
                    mend=_binance_spot,
                ),
                # Tiers and the highest leverage need a key. One contract cannot be asked for alone.
                Market.FUTURES: _source(
                    (
                        Ask(_ALL, "futures", "/fapi/v1/exchangeInfo", "futures"),
                        None,
                        Ask(_PRICE, "futures", "/fapi/v1/ticker/24hr", "futures", takes=("symbol",)),
                    ),
                    "{base}{quote}",
                    ["linear"],
                    candles=_shelf(
                        "futures",
                        "futures",
                        "/fapi/v1/klines",
                        "symbol interval startTime endTime limit",
                        most=1000,
                        weight=5,
                    ),
                ),
            },
            ("-1121",),
        ),
        "okx": Desk(
            ("www.okx.com",),
            {
                Market.SPOT: _source(
                    _asks(
                        "api",
                        "public",
                        "/api/v5/public/instruments",
                        "/api/v5/market/ticker",
                        name="instId",
                        fixed={"instType": "SPOT"},
                    ),
                    "{base}-{quote}",
                    ["spot"],
                    candles=_OKX_CANDLES,
                ),
                Market.FUTURES: _source(
                    _asks(
                        "api",
                        "public",
                        "/api/v5/public/instruments",
                        "/api/v5/market/ticker",
                        name="instId",
                        fixed={"instType": "SWAP"},
                    ),
                    "{base}-{quote}-SWAP",
                    ["swap"],
                    candles=_OKX_CANDLES,
                    tiers=Ask(
                        _TIERS,
                        "api",
                        "/api/v5/public/position-tiers",
                        "public",
                        takes=("instType", "tdMode", "instFamily"),
                    ),
                    tier_unit="contracts",
                    tier_params={"tdMode": "isolated"},
                    mend=_okx_futures,
                ),
            },
            ("51001",),
        ),
        "bitget": Desk(
            ("api.bitget.com",),
            {
                Market.SPOT: _source(
                    _asks("api", "public", "/api/v2/spot/public/symbols", "/api/v2/spot/market/tickers"),
                    "{base}{quote}",
                    ["spot"],
                    candles=_shelf(
                        "api",
                        "public",
                        ("/api/v2/spot/market/candles", "/api/v2/spot/market/history-candles"),
                        "symbol granularity startTime endTime limit",
                        most=200,
                    ),
                    skips=(Skip("/api/v2/margin/currencies", '{"code":"00000","data":[]}'),),
                    fees_told=True,
                ),
                Market.FUTURES: _source(
                    _asks(
                        "api",
                        "public",
                        "/api/v2/mix/market/contracts",
                        "/api/v2/mix/market/ticker",
                        fixed={"productType": "USDT-FUTURES"},
                    ),
                    "{base}{quote}",
                    ["swap"],
                    candles=_shelf(
                        "api",
                        "public",
                        ("/api/v2/mix/market/candles", "/api/v2/mix/market/history-candles"),
                        "symbol granularity startTime endTime limit",
                        most=200,
                        fixed={"productType": "USDT-FUTURES"},
                        widest=timedelta(days=90),
                    ),
                    skips=(
                        Skip(
                            "/api/v2/mix/market/contracts",
                            '{"code":"00000","data":[]}',
                            unlike={"productType": "USDT-FUTURES"},
                        ),
                    ),
                    tiers=Ask(
                        _TIERS,
                        "api",
                        "/api/v2/mix/market/query-position-lever",
                        "public",
                        takes=("symbol", "productType"),
                    ),
                    mend=_bitget_futures,
                    fees_told=True,
                ),
            },
            ("40034", "40309", "45001"),
        ),
        "gate": Desk(
            ("api.gateio.ws",),
            {
                Market.SPOT: _source(
                    _asks(
                        "api",
                        "public",
                        f"{_GATE}/spot/currency_pairs",
                        f"{_GATE}/spot/tickers",
                        name="currency_pair",
                        one=f"{_GATE}/spot/currency_pairs/{{id}}",
                    ),
                    "{base}_{quote}",
                    ["spot"],
                    candles=_shelf(
                        "api",
                        "public",
                        f"{_GATE}/spot/candlesticks",
                        "currency_pair interval from to",
                        unit="s",
                        most=1000,
                        reach=_GATE_REACH,
                    ),
                    shape="[]",
                    skips=(Skip(f"{_GATE}/margin/currency_pairs", "[]"),),
                    mend=_gate_spot,
                    fees_told=True,
                ),
                Market.FUTURES: _source(
                    _asks(
                        "futures",
                        "public",
                        f"{_GATE}/futures/usdt/contracts",
                        f"{_GATE}/futures/usdt/tickers",
                        name="contract",
                        one=f"{_GATE}/futures/usdt/contracts/{{id}}",
                    ),
                    "{base}_{quote}",
                    ["swap"],
                    candles=_shelf(
                        "futures",
                        "public",
                        f"{_GATE}/futures/usdt/candlesticks",
                        "contract interval from to",
                        unit="s",
                        most=1000,
                        reach=_GATE_REACH,
                        contracts=True,
                    ),
                    shape="[]",
                    skips=(Skip(f"{_GATE}/futures/btc/contracts", "[]"),),
                    tiers=Ask(
                        _TIERS, "futures", f"{_GATE}/futures/usdt/risk_limit_tiers", "public", takes=("contract",)
                    ),
                    deduction="deduction",
                    mend=_gate_futures,
                ),
            },
            ("INVALID_CURRENCY_PAIR", "INVALID_CURRENCY", "CONTRACT_NOT_FOUND"),
        ),
        "htx": Desk(
            ("api.huobi.pro", "api.hbdm.com"),
            {
                # One spot pair cannot be asked for alone.
                Market.SPOT: _source(
                    (_HTX_SPOT[0], None, _HTX_SPOT[2]),
                    "{base}{quote}",
                    {**_HTX_TYPES, "spot": True},
                    candles=_shelf(
                        "spot", "public", "/market/history/candles", "symbol period from to size", unit="s", most=1000
                    ),
                    mend=_htx_spot,
                ),
                Market.FUTURES: _source(
                    _asks(
                        "futures",
                        "public",
                        "/linear-swap-api/v1/swap_contract_info",
                        "/linear-swap-ex/market/detail/merged",
                        name="contract_code",
                        takes=("business_type",),
                    ),
                    "{base}-{quote}",
                    {**_HTX_TYPES, "linear": True},
                    # With a size it leaves the times out of account.
                    candles=_shelf(
                        "futures",
                        "public",
                        "/linear-swap-ex/market/history/kline",
                        "contract_code period from to",
                        unit="s",
                        most=2000,
                        drops=("size",),
                    ),
                    tiers=Ask(
                        _TIERS, "futures", "/linear-swap-api/v1/swap_adjustfactor", "public", takes=("contract_code",)
                    ),
                    tier_unit="contracts",
                    tier_by_leverage=True,
                    tier_params={"contract_code": "{id}"},
                    mend=_htx_futures,
                ),
            },
            ("1332", "invalid-parameter"),
        ),
        "bingx": Desk(
            ("open-api.bingx.com",),
            {
                Market.SPOT: _source(
                    _asks(
                        "api",
                        "public",
                        "/openApi/spot/v1/common/symbols",
                        "/openApi/spot/v1/ticker/24hr",
                        takes=("timestamp",),
                    ),
                    "{base}-{quote}",
                    None,
                    # Its days begin in Beijing unless it is told otherwise.
                    candles=_shelf(
                        "api",
                        "public",
                        "/openApi/spot/v1/market/kline",
                        "symbol interval startTime endTime limit",
                        most=1440,
                        fixed={"timeZone": "0"},
                        takes=("timestamp",),
                    ),
                    skips=(
                        Skip("/openApi/swap/v2/quote/contracts", _NO_DATA),
                        Skip("/openApi/cswap/v1/market/contracts", _NO_DATA),
                    ),
                    mend=_bingx_spot,
                ),
                # Tiers need a key.
                Market.FUTURES: _source(
                    _asks(
                        "api",
                        "public",
                        "/openApi/swap/v2/quote/contracts",
                        "/openApi/swap/v2/quote/ticker",
                        takes=("timestamp",),
                    ),
                    "{base}-{quote}",
                    None,
                    candles=_shelf(
                        "api",
                        "public",
                        "/openApi/swap/v3/quote/klines",
                        "symbol interval startTime endTime limit",
                        most=1440,
                        takes=("timestamp",),
                    ),
                    skips=(
                        Skip("/openApi/spot/v1/common/symbols", '{"code":0,"data":{"symbols":[]}}'),
                        Skip("/openApi/cswap/v1/market/contracts", _NO_DATA),
                    ),
                    mend=_bingx_futures,
                ),
            },
            ("109425", "100204", "109415"),
        ),
        "coinbase": Desk(
            ("api.coinbase.com",),
            {
                Market.SPOT: _source(
                    _asks(
                        "api",
                        "public",
                        _PRODUCTS,
                        f"{_PRODUCTS}/{{id}}/ticker",
                        one=f"{_PRODUCTS}/{{id}}",
                        takes=("limit",),
                    ),
                    "{base}-{quote}",
                    None,
                    candles=_shelf(
                        "api",
                        "public",
                        f"{_PRODUCTS}/{{id}}/candles",
                        "- granularity start end",
                        unit="s",
                        most=300,
                        intervals=("1m", "5m", "15m", "1h", "1d"),
                    ),
                    shape="products[]",
                    skips=(Skip(_PRODUCTS, '{"products":[]}', params={"product_type": "FUTURE"}),),
                    mend=_coinbase_spot,
                )
            },
            ("NOT_FOUND",),
        ),
        "bybit": Desk(
            ("api.bybit.com",),
            {
                Market.SPOT: _source(
                    _asks(
                        "api",
                        "address",
                        "/v5/market/instruments-info",
                        "/v5/market/tickers",
                        fixed={"category": "spot"},
                    ),
                    "{base}{quote}",
                    ["spot"],
                    candles=_shelf(
                        "api",
                        "address",
                        "/v5/market/kline",
                        "symbol interval start end limit",
                        most=1000,
                        fixed={"category": "spot"},
                    ),
                ),
                Market.FUTURES: _source(
                    _asks(
                        "api",
                        "address",
                        "/v5/market/instruments-info",
                        "/v5/market/tickers",
                        fixed={"category": "linear"},
                        takes=("limit", "cursor"),
                    ),
                    "{base}{quote}",
                    ["linear"],
                    candles=_shelf(
                        "api",
                        "address",
                        "/v5/market/kline",
                        "symbol interval start end limit",
                        most=1000,
                        fixed={"category": "linear"},
                    ),
                    skips=(
                        Skip(
                            "/v5/market/instruments-info",
                            '{"retCode":0,"result":{"list":[]}}',
                            params={"status": "PreLaunch"},
                        ),
                    ),
                    tiers=Ask(_TIERS, "api", "/v5/market/risk-limit", "address", takes=("category", "symbol")),
                    tier_per_cent=True,  # its documents show per cent, its answers fractions
                    deduction="mmDeduction",
                ),
            },
        ),
    }
)


def declared() -> list[tuple[str, Market, str, str, str]]:
    """Every request that this module can make: exchange, market, method, path and purpose (a message id)."""
    return [
        (exchange, market, ask.method, ask.path, ask.purpose)
        for exchange, desk in DESKS.items()
        for market, source in desk.markets.items()
        for ask in source.asks()
    ]


def source_of(target: Target) -> Source:
    """How this market is read. Raises MarketsError where the region has no such market."""
    exchange, source = get_exchange(target.exchange), DESKS[target.exchange].markets.get(target.market)
    if source is None or not exchange.serves(target.region, target.market, target.environment):
        name = exchange.region(target.region).name
        raise MarketsError(Message(text=_NO_MARKET[target.market], params={"region": name}))
    return source


# -- liquidation -------------------------------------------------------------------------------------------------------


class Family(StrEnum):
    """Of what the maintenance margin is a share: the worth at the mark price, or at the entry price.

    `WORSE`: nobody knows for certain, so the figure that is reached first is shown.
    """

    MARK = "mark_maintenance"
    ENTRY = "entry_maintenance"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class LiquidationRule:
    """How an exchange's isolated liquidation price is estimated. `fee` is what is added to the maintenance rate."""

    family: Family
    fee: Literal["none", "taker", "liquidation"]
    certain: bool
    source: str

    def fee_rate(self, rules: PairRules) -> Decimal | None:
        """The rate that is added, or None where it is not known."""
        if self.fee == "none":
            return Decimal(0)
        return rules.taker if self.fee == "taker" else rules.liquidation_fee or rules.taker


_LIQUIDATION: Mapping[str, LiquidationRule] = {
    "binance": LiquidationRule(Family.MARK, "none", True, "Freqtrade 2026.9, its formula for Binance"),
    "kucoin": LiquidationRule(
        Family.MARK, "liquidation", True, "KuCoin announcement of 20 May 2025; support article 26694703491737"
    ),
    "mexc": LiquidationRule(
        Family.WORSE, "liquidation", False, "MEXC blog, “liquidation in futures”: from the entry; today perhaps marked"
    ),
    "bybit": LiquidationRule(Family.ENTRY, "none", True, "Freqtrade 2026.9, after Bybit's help"),
    "okx": LiquidationRule(Family.MARK, "taker", True, "Freqtrade 2026.9, its general formula"),
    "gate": LiquidationRule(Family.MARK, "taker", True, "Freqtrade 2026.9, its general formula"),
    "bitget": LiquidationRule(Family.MARK, "taker", True, "Freqtrade 2026.9, after Bitget article 12560603808759"),
    "htx": LiquidationRule(Family.WORSE, "taker", False, "not checked against a document"),
    "bingx": LiquidationRule(Family.WORSE, "taker", False, "not checked against a document"),
}


def liquidation_rule(exchange_id: str) -> LiquidationRule | None:
    """The rule of this exchange, or None where no liquidation figure is shown (Coinbase tells no tiers)."""
    return _LIQUIDATION.get(exchange_id)


# -- asking ------------------------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\{(\w+)\}")
_PAIR = re.compile(r"[^\s/?#&%\\:]{1,40}/[^\s/?#&%\\:]{1,20}")
_ID = re.compile(r"[^\s?#&%\\]{1,80}")
_NO_SUCH = re.compile(
    r"(?:symbol|instrument|contract|product|pair)\b[^\"{}]{0,40}(?:not exist|n't exist|not found|not provided|invalid)"
    r"|(?:bad|invalid|unknown|no such) (?:symbol|instrument|contract|product|currency.pair)"
    r"|valid product_id is required",
    re.IGNORECASE,
)


class Markets:
    """The market rules of all exchanges, read without a key through one shared transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[tuple[Target, str], PairRules] = {}
        self.receipt: deque[Sent] = deque(maxlen=RECEIPT)
        """The latest requests that were sent."""

    async def pairs(self, target: Target) -> tuple[PairRules, ...]:
        """All pairs of this market, in one request. Raises MarketsError.

        Pairs whose grid the exchange does not tell are left out.
        """
        asking = self._asking(target)
        found = await asking.rules(asking.source.many)
        if not found:
            raise asking.undocumented()
        return found

    async def pair(self, target: Target, pair: str) -> PairRules:
        """One pair such as "BTC/USDT", in one request: that pair alone where the exchange offers it.

        Raises PairUnknown, or MarketsError where it cannot be read.
        """
        asking = self._asking(target, pair)
        found = await asking.rules(asking.source.one or asking.source.many)
        rules = next((rules for rules in found if rules.pair == pair), None)
        if rules is None:
            raise asking.no_grid() if pair in asking.without_grid else asking.unknown()
        self._known[_place(target), pair] = rules
        return rules

    async def tiers(self, target: Target, pair: str) -> tuple[Tier, ...] | None:
        """The maintenance tiers of one pair, ascending; None where the exchange tells them to nobody without a key.

        On spot there are none. Raises PairUnknown or MarketsError.
        """
        source = self._asking(target, pair).source
        if source.tiers_with_pair:
            return (await self.pair(target, pair)).tiers
        if source.tiers is None:
            return None
        return await self._asking(target, pair, await self._rules(target, pair)).tiers(source.tiers)

    async def price(self, target: Target, pair: str) -> Decimal:
        """The last price of one pair, in quote. Raises PairUnknown or MarketsError."""
        return await self._asking(target, pair, await self._rules(target, pair)).price()

    async def complete(self, target: Target, pair: str) -> PairRules:
        """One pair with its tiers and price: three requests at most, two of them at once."""
        rules = await self.pair(target, pair)
        told = source_of(target).tiers_with_pair
        tiers, price = await asyncio.gather(
            _given(rules.tiers) if told else self.tiers(target, pair),
            _given(rules.price) if rules.price is not None else self.price(target, pair),
        )
        highest = _larger(*(tier.max_leverage for tier in tiers or ()))
        return replace(rules, tiers=tiers, price=price, max_leverage=rules.max_leverage or highest)

    async def candles(
        self, target: Target, rules: PairRules, interval: str, windows: Sequence[tuple[int, int]]
    ) -> list[CandlePage | MarketsError]:
        """The candles that open within each of these windows (seconds since 1970 UTC, the end not included), all asked
        for at once; for a window that could not be read, why. `interval` is a name of `INTERVALS`.
        """

        async def page(begin: int, end: int) -> CandlePage | MarketsError:
            try:
                return await self._asking(target, rules.pair, rules).candles(interval, begin, end)
            except MarketsError as error:
                return error

        return await asyncio.gather(*(page(begin, end) for begin, end in windows))

    async def _rules(self, target: Target, pair: str) -> PairRules:
        return self._known.get((_place(target), pair)) or await self.pair(target, pair)

    def _asking(self, target: Target, pair: str | None = None, rules: PairRules | None = None) -> _Asking:
        return _Asking(self._transport, self.receipt, target, pair, rules)


async def _given(value: T) -> T:
    return value


def _place(target: Target) -> Target:
    return target.model_copy(update={"egress_proxy": None})


class _Asking:
    """One reading of one exchange: a fresh parser, and the only way out that it has."""

    def __init__(
        self, transport: Transport, receipt: deque[Sent], target: Target, pair: str | None, rules: PairRules | None
    ) -> None:
        self._transport = transport
        self._receipt = receipt
        self._target = target
        self._pair = pair
        self._known = rules
        self.exchange: Exchange = get_exchange(target.exchange)
        try:
            self._site = self.exchange.site(target.region, target.environment)
        except KeyError as error:
            raise ValueError(f"{target.exchange} has no region {target.region}") from error
        self._desk = DESKS[target.exchange]
        self.source: Source = source_of(target)
        if pair is not None and not _PAIR.fullmatch(pair):
            raise self.unknown()
        self.without_grid: set[str] = set()
        self._ask = self.source.many
        self._paths: Mapping[str, Ask] = {self._ask.path: self._ask}
        """What ccxt would send to, and what is sent in its place."""
        self._values = {"id": rules.id if rules is not None else ""}
        self._told_at = 0.0
        self._pages = 0

    # -- what is read

    async def rules(self, ask: Ask) -> tuple[PairRules, ...]:
        parser = await self._parser()
        if self._pair is not None:
            self._values["id"] = self._id_of(self._pair, parser)
        self._paths = {self.source.many.path: ask}
        rows: list[Mapping[str, Any]] = await self._parsed(parser.fetch_markets())
        at = self._transport.now()
        found = (self._rules_of(row, at) for row in rows)
        return tuple(rules for rules in found if rules is not None)

    async def tiers(self, ask: Ask) -> tuple[Tier, ...] | None:
        parser, rules = await self._known_parser()
        self._allow(ask)
        params = {name: value.replace("{id}", rules.id) for name, value in self.source.tier_params.items()}
        if parser.has["fetchMarketLeverageTiers"] is True:
            rows = await self._parsed(parser.fetch_market_leverage_tiers(rules.ccxt_symbol, params))
        else:
            found = await self._parsed(parser.fetch_leverage_tiers(None, params))
            rows = as_object(found).get(rules.ccxt_symbol)
        return self._tiers_of(objects(rows))

    async def price(self) -> Decimal:
        parser, rules = await self._known_parser()
        self._allow(self.source.price)
        ticker = await self._parsed(parser.fetch_ticker(rules.ccxt_symbol))
        price = _positive(as_object(ticker).get("last"))
        if price is None:
            raise self.undocumented()
        return price

    async def candles(self, interval: str, begin: int, end: int) -> CandlePage:
        parser, rules = await self._known_parser()
        shelf = self.source.candles
        self._allow(*shelf.asks)
        self._values |= {"from_s": str(begin - 1), "from_ms": str(begin * 1000 - 1)}
        self._values |= {"to_s": str(end), "to_ms": str(end * 1000)}
        asked = parser.fetch_ohlcv(rules.ccxt_symbol, interval, begin * 1000, shelf.most)
        size = float(rules.contract_size) if shelf.contracts else 1.0
        told: list[list[Any]] = await self._parsed(asked)
        candles = [candle for row in told if (candle := _candle(row, size)) is not None]
        if len(told) > 2 and not candles:
            raise self.undocumented()
        rows = {candle[0]: candle for candle in candles if begin <= candle[0] < end}
        return CandlePage(begin, end, [rows[at] for at in sorted(rows)], self._told_at)

    def _allow(self, *asks: Ask) -> None:
        self._ask = asks[0]
        self._paths = {unquote(ask.where(self._values["id"])): ask for ask in asks}

    def _rules_of(self, row: Mapping[str, Any], at: datetime) -> PairRules | None:
        futures = self._target.market is Market.FUTURES
        if row.get("swap" if futures else "spot") is not True or (futures and row.get("linear") is not True):
            return None
        if not _ID.fullmatch(str(row["id"])):  # it is a part of addresses
            return None
        base, quote_coin, settle = str(row["base"]), str(row["quote"]), row.get("settle")
        pair = f"{base}/{quote_coin}"
        limits, precision = as_object(row.get("limits")), as_object(row.get("precision"))
        amount, cost = as_object(limits.get("amount")), as_object(limits.get("cost"))
        draft = _Draft(
            active=row.get("active") if isinstance(row.get("active"), bool) else None,
            tick_size=_positive(precision.get("price")),
            step_size=_positive(precision.get("amount")),
            contract_size=_positive(row.get("contractSize")) if futures else Decimal(1),
            min_amount=_positive(amount.get("min")),
            max_amount=_positive(amount.get("max")),
            min_cost=_positive(cost.get("min")),
            max_cost=_positive(cost.get("max")),
            maker=_number(row.get("maker")),
            taker=_number(row.get("taker")),
            max_leverage=_positive(as_object(limits.get("leverage")).get("max")) if futures else None,
        )
        self.source.mend(draft, as_object(row.get("info")))
        if draft.tick_size is None or draft.step_size is None or draft.contract_size is None:
            self.without_grid.add(pair)
            return None
        return PairRules(
            pair=pair,
            id=str(row["id"]),
            ccxt_symbol=str(row["symbol"]),
            exchange=self.exchange.id,
            region=self._target.region,
            environment=self._target.environment,
            market=self._target.market,
            base=base,
            quote=quote_coin,
            settle=settle if futures and isinstance(settle, str) else None,
            linear=True if futures else None,
            active=draft.active,
            api_tradable=draft.api_tradable,
            why_not=_NOT_BY_API if draft.api_tradable is False else None,
            tick_size=draft.tick_size,
            step_size=draft.step_size,
            contract_size=draft.contract_size,
            min_amount=draft.min_amount,
            max_amount=draft.max_amount,
            min_cost=draft.min_cost,
            max_cost=draft.max_cost,
            maker=draft.maker,
            taker=draft.taker,
            fees_from=FeesFrom.EXCHANGE if self.source.fees_told else FeesFrom.TABLE,
            liquidation_fee=draft.liquidation_fee,
            max_leverage=draft.max_leverage,
            tiers=draft.tiers,
            price=draft.price,
            fetched_at=at,
        )

    def _tiers_of(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Tier, ...] | None:
        """None where one row is not to be trusted: half a table would pick a wrong tier."""
        found: list[Tier] = []
        for row in rows:
            floor, mmr = _number(row.get("minNotional")), _positive(row.get("maintenanceMarginRate"))
            highest, told = _positive(row.get("maxLeverage")), as_object(row.get("info"))
            if floor is None or mmr is None:
                return None
            # A position at its highest leverage begins with a margin of 1 / leverage; what must be kept is less.
            if self.source.tier_per_cent and highest is not None and mmr * highest > 1:
                mmr /= 100
            if mmr * (highest or 1) > 1:
                return None
            cum = _number(told.get(self.source.deduction))
            if self.source.deduction and cum is None and floor == 0:
                cum = Decimal(0)
            own = highest if self.source.tier_by_leverage else None
            found.append(Tier(floor, _positive(row.get("maxNotional")), self.source.tier_unit, mmr, cum, highest, own))
        return tuple(sorted(found, key=lambda tier: (tier.leverage or 0, tier.floor))) or None

    # -- ccxt

    async def _parser(self) -> Any:
        kind = await asyncio.to_thread(_kind, self.exchange.ccxt_id)
        types = self.source.types
        options = {} if types is None else {"fetchMarkets": {"types": types, "fetchTickersFees": False}}
        parser = kind({"enableRateLimit": False, "options": options})
        parser.number = str  # every number stays the text that the exchange wrote
        parser.fetch = self._fetch
        return parser

    async def _known_parser(self) -> tuple[Any, PairRules]:
        """A parser that knows this one pair, so that it asks for no list."""
        assert self._known is not None
        parser, rules = await self._parser(), self._known
        futures = rules.market is Market.FUTURES
        market = {
            "id": rules.id,
            "symbol": rules.ccxt_symbol,
            "settle": rules.settle,
            "settleId": rules.settle and rules.settle.lower(),  # as Gate, which alone is asked by it, writes it
            "type": "swap" if futures else "spot",
            "spot": not futures,
            "swap": futures,
            "contract": futures,
            "linear": True if futures else None,
            "info": {"instFamily": rules.id.removesuffix("-SWAP")},
        }
        parser.set_markets([parser.safe_market_structure(market)])
        return parser, rules

    def _id_of(self, pair: str, parser: Any) -> str:
        """The exchange's name of a pair: ccxt renames coins whose tickers clash, and some exchanges spell them."""
        common: Mapping[str, str] = parser.commonCurrencies
        spelt = {code: name for name, code in common.items() if name not in ("XBT", "BCHSV")}
        base, quote_coin = (self.source.coins.get(coin) or spelt.get(coin, coin) for coin in pair.split("/"))
        return self.source.symbol.format(base=base, quote=quote_coin)

    async def _parsed(self, reading: Awaitable[Any]) -> Any:
        try:
            return await reading
        except (UndeclaredRequest, BfaiError):
            raise
        except Exception as error:  # ccxt stumbles in many ways over an answer that it does not expect
            raise self.undocumented() from error

    # -- the way out

    async def _fetch(self, url: str, method: str = "GET", headers: object = None, body: object = None) -> Any:
        """Stands where ccxt would send: its headers are left behind, its address is compared with the declaration."""
        del headers
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if method != "GET" or body or parts.scheme != "https":
            raise UndeclaredRequest(f"{method} {parts.path} is not declared by {self.exchange.id}'s markets")
        if parts.hostname not in (*self._desk.hosts, *self._site.hosts.values()):
            raise UndeclaredRequest(f"{parts.hostname} is no host of {self.exchange.id}'s markets")
        for skip in self.source.skips:
            if skip.fits(parts.path, query):
                return json.loads(skip.answer)
        ask = self._paths.get(unquote(parts.path))  # ccxt escapes some names, and some not
        if ask is None or not query.keys() <= {*ask.takes, *ask.drops}:
            raise UndeclaredRequest(f"GET {parts.path} is not declared by {self.exchange.id}'s markets here")
        self._ask = ask
        self._pages += 1
        if self._pages > PAGES:  # a list that never ends
            raise self.undocumented()
        kept = {name: value for name, value in query.items() if name not in ask.drops}
        adds = {name: _PLACE.sub(lambda found: self._values[found[1]], value) for name, value in ask.adds.items()}
        answer = await self._send(ask.where(self._values["id"]), {**kept, **adds})
        self._told_at = _served_at(answer)
        return await self._judged(answer, url)

    async def _send(self, path: str, query: Mapping[str, str]) -> Answer:
        ask, proxy = self._ask, self._target.egress_proxy
        host = self._site.hosts[ask.host]
        limiter, limit = self._transport.limiter, self.exchange.limits[ask.pool]
        silence_key = f"{self.exchange.id}|{proxy or 'direct'}"
        counted = f"{host}{ask.path}" if limit.each else ask.pool
        async with limiter.slot((self.exchange.id, counted, proxy or "direct"), limit, ask.weight):
            silence = limiter.closed_for(silence_key)
            if silence > 0:
                return Answer(status=429, headers={"Retry-After": f"{silence:.0f}"})
            address = f"https://{host}{path}{'?' + urlencode(query) if query else ''}"
            at, began = self._transport.now(), time.perf_counter()
            answer = await self._transport.fetch(
                "GET", URL(address, encoded=True), self._site.headers, None, proxy, max_body=MAX_LIST
            )
            latency = round((time.perf_counter() - began) * 1000, 1)
        self._receipt.append(
            Sent(
                method="GET", host=host, path=path, purpose=ask.purpose, at=at, status=answer.status, latency_ms=latency
            )
        )
        if answer.status in (418, 429):
            limiter.close(silence_key, retry_after_seconds(answer.headers) or 1.0)
        return answer

    async def _judged(self, answer: Answer, url: str) -> Any:
        """The answer's JSON with its numbers as text, or the error that it is."""
        told = await asyncio.to_thread(_read, answer.body) if len(answer.body) > IN_THREAD else _read(answer.body)
        if answer.status is None or not 200 <= answer.status < 300 or told is None:
            raise self._refused(answer, told)
        if self._ask is self.source.one and self.source.shape:
            told = _in_list(told, self.source.shape)
        parser = _judge(self.exchange.ccxt_id)
        try:
            parser.handle_errors(answer.status, "", url, "GET", {}, answer.body, told, {}, None)
        except Exception:  # ccxt's class for it is no diagnosis
            raise self._refused(answer, told) from None
        return told

    def _refused(self, answer: Answer, told: object) -> MarketsError:
        fields = as_object(told)
        one_pair = self._pair is not None and self._ask is not self.source.many
        code = self.exchange.error_code(fields)
        said = answer.status in (200, 400, 404) and _NO_SUCH.search(json.dumps(fields)[:IN_ERRORS])
        if one_pair and (code in self._desk.unknown or said):
            return self.unknown()
        found = diagnose(answer, self.exchange)
        if found is None:
            return self.undocumented()
        wait = int(found.retry_after_s or 30)
        words, other = (_CANDLE_WORDS, _UNDOCUMENTED_CANDLES) if self._about_candles() else (_WORDS, _UNDOCUMENTED)
        text = words.get(found.cause, other)
        return MarketsError(Message(text=text, params={"exchange": self.exchange.name, "seconds": wait}), found)

    # -- errors

    def unknown(self) -> PairUnknown:
        return PairUnknown(self._about_pair(_NO_PAIR[self._target.market]))

    def no_grid(self) -> MarketsError:
        return MarketsError(self._about_pair(_NO_GRID))

    def _about_pair(self, text: str) -> Message:
        return Message(text=text, params={"exchange": self.exchange.name, "pair": str(self._pair)})

    def undocumented(self) -> MarketsError:
        causes = (Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE)
        found = Diagnosis(cause=causes[0], candidates=causes)
        text = _UNDOCUMENTED_CANDLES if self._about_candles() else _UNDOCUMENTED
        return MarketsError(Message(text=text, params={"exchange": self.exchange.name}), found)

    def _about_candles(self) -> bool:
        return self._ask in self.source.candles.asks


def _candle(row: Sequence[Any], contract_size: float) -> tuple[int, float, float, float, float, float] | None:
    """A row of ccxt in seconds and coins; None where it is no candle, which leaves a gap.

    Some exchanges let high and low fall short of open or close by a tick: they are widened.
    """
    try:
        at = int(row[0]) // 1000
        numbers = [float(cell) for cell in (*row[1:5], row[5] or 0)]
    except (TypeError, ValueError, LookupError, OverflowError):
        return None
    *prices, volume = numbers
    if not all(map(math.isfinite, numbers)) or min(prices) <= 0 or volume < 0:
        return None
    return at, prices[0], max(prices), min(prices), prices[3], volume * contract_size


def _served_at(answer: Answer) -> float:
    """The time of an answer in seconds since 1970 UTC: the exchange's, where it is the earlier one."""
    now = time.time()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    try:
        return min(now, parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError, TypeError, OverflowError):
        return now


@cache
def _kind(ccxt_id: str) -> Any:
    """ccxt's asynchronous class. The first import takes a second: not for an event loop."""
    import ccxt.async_support  # pyright: ignore[reportMissingTypeStubs]

    return getattr(ccxt.async_support, ccxt_id)


@cache
def _judge(ccxt_id: str) -> Any:
    """An instance that only tells errors from answers; it never sends and holds nothing of a reading."""
    return _kind(ccxt_id)({"enableRateLimit": False})


_VAST = re.compile(r"(?<![\w.])\d[\d.]*[eE][+-]?\d{3,}(?![\w.])")
"""A number that no price or amount is, and with which ccxt would calculate for hours."""


def _read(body: str) -> Any:
    if _VAST.search(body):
        return None
    try:
        return json.loads(body, parse_float=str, parse_constant=int)  # NaN and Infinity are not JSON: int refuses them
    except (ValueError, RecursionError):
        return None


def _in_list(told: object, shape: str) -> Any:
    """The answer about one pair as the list of one that ccxt expects."""
    name = shape.removesuffix("[]")
    if name != "data":
        return {name: [told]} if name else [told]
    fields = as_object(told)
    return {**fields, "data": [fields.get("data")]}  # ccxt passes over null


__all__ = [
    "DESKS",
    "Ask",
    "CandlePage",
    "Desk",
    "Family",
    "LiquidationRule",
    "Markets",
    "MarketsError",
    "PairRules",
    "PairUnknown",
    "Shelf",
    "Tier",
    "declared",
    "liquidation_rule",
    "source_of",
]
