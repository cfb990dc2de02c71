"""The market rules of all ten exchanges, read from the simulator over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple, cast

import pytest
from yarl import URL

from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer
from bfai.model import Cause, Diagnosis, Environment, Market, Target, utc_now
from bfai.simulator import Simulator
from bfai.simulator.markets import LISTED, PAIRS, Pair, candles
from bfai.strategy.candles import INTERVALS
from bfai.strategy.limits import (
    DESKS,
    Ask,
    CandlePage,
    Family,
    FeesFrom,
    Markets,
    MarketsError,
    PairRules,
    PairUnknown,
    Shelf,
    Skip,
    Source,
    Tier,
    _Asking,
    _asks,
    _candle,
    _judge,
    _mexc_tiers,
    _read,
    _served_at,
    _shelf,
    _source,
    declared,
    liquidation_rule,
    source_of,
)
from bfai.transport import Gateway, Transport, UndeclaredRequest

EVERYWHERE = [(exchange, market) for exchange, desk in DESKS.items() for market in desk.markets]
FUTURES = [exchange for exchange, market in EVERYWHERE if market is Market.FUTURES]
TIERLESS = ("binance", "bingx")
NAMES = {
    "mexc": ("BTCUSDT", "BTC_USDT"),
    "kucoin": ("BTC-USDT", "XBTUSDTM"),
    "binance": ("BTCUSDT", "BTCUSDT"),
    "okx": ("BTC-USDT", "BTC-USDT-SWAP"),
    "bitget": ("BTCUSDT", "BTCUSDT"),
    "gate": ("BTC_USDT", "BTC_USDT"),
    "htx": ("btcusdt", "BTC-USDT"),
    "bingx": ("BTC-USDT", "BTC-USDT"),
    "coinbase": ("BTC-USDT", ""),
    "bybit": ("BTCUSDT", "BTCUSDT"),
}
everywhere = pytest.mark.parametrize(("exchange", "market"), EVERYWHERE)


class Recording(Transport):
    """The true transport, with a look at what leaves."""

    def __init__(self, gateway: Gateway | None, **more: Any) -> None:
        super().__init__(gateway, **more)
        self.sent: list[tuple[str, URL, Mapping[str, str], str | None]] = []

    async def fetch(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None = None,
        *,
        max_body: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> Answer:
        self.sent.append((method, url, headers, body))
        return await super().fetch(method, url, headers, body, proxy, max_body=max_body, family=family)


def reading(gateway: Gateway | None, work: Callable[[Markets, Recording], Awaitable[Any]], **more: Any) -> Any:
    async def run() -> Any:
        transport = Recording(gateway, **more)
        async with transport:
            return await work(Markets(transport), transport)

    return asyncio.run(run())


def target(exchange: str, market: Market, region: str | None = None, **more: Any) -> Target:
    return Target(exchange=exchange, market=market, region=region or get_exchange(exchange).regions[0].id, **more)


def grid(exchange: str, market: Market, pair: Pair) -> tuple[Decimal, Decimal, Decimal]:
    """Price step, amount step and contract size as the simulator's documents have them."""
    one = Decimal(1)
    if market is Market.SPOT or exchange in ("binance", "bingx"):
        return pair.price_step, pair.size_step, one
    if exchange in ("bitget", "bybit"):
        return pair.price_step, pair.contract_size, one
    return pair.price_step, Decimal("0.01") if exchange == "okx" else one, pair.contract_size


# -- what is read ------------------------------------------------------------------------------------------------------


@everywhere
def test_all_pairs_in_one_request(exchange: str, market: Market, gateway: Gateway, simulator: Simulator) -> None:
    async def work(markets: Markets, transport: Recording) -> tuple[PairRules, ...]:
        found = await markets.pairs(target(exchange, market))
        assert len(transport.sent) == len(markets.receipt) == 1
        return found

    found = {rules.pair: rules for rules in reading(gateway, work)}
    assert len(simulator.seen) == 1 and simulator.errors == []
    assert list(found) == [pair.join("/") for pair in LISTED]
    assert found["BTC/USDT"].id == NAMES[exchange][market is Market.FUTURES]
    for pair in LISTED:
        rules = found[pair.join("/")]
        assert (rules.tick_size, rules.step_size, rules.contract_size) == grid(exchange, market, pair), pair
        assert (rules.exchange, rules.market, rules.base, rules.quote) == (exchange, market, pair.base, "USDT")
        futures = market is Market.FUTURES
        assert rules.settle == ("USDT" if futures else None) and rules.linear is (True if futures else None)
        assert rules.ccxt_symbol == f"{pair.base}/USDT{':USDT' if futures else ''}"
        assert rules.active is (pair.open and (pair.by_api or exchange != "coinbase"))
        for limit in (rules.min_amount, rules.max_amount, rules.min_cost, rules.max_cost, rules.max_leverage):
            assert limit is None or limit > 0
        assert rules.maker is not None and rules.taker is not None and 0 <= rules.maker <= rules.taker < Decimal("0.02")
        assert rules.fetched_at.utcoffset() is not None


@everywhere
def test_a_minimum_that_is_not_told_is_unknown(exchange: str, market: Market, gateway: Gateway) -> None:
    found = {rules.base: rules for rules in reading(gateway, lambda m, _: m.pairs(target(exchange, market)))}
    assert found["BTC"].min_amount is not None or found["BTC"].min_cost is not None
    assert found["DOGE"].min_cost is None
    # A contract cannot be halved where the step is one whole contract.
    whole = market is Market.FUTURES and exchange in ("kucoin", "htx")
    assert found["DOGE"].min_amount == (Decimal(1) if whole else None)


SMALLEST: Mapping[tuple[str, Market], tuple[str | None, str | None]] = {
    ("mexc", Market.SPOT): ("0.00001", "1"),
    ("mexc", Market.FUTURES): ("1", None),
    ("kucoin", Market.SPOT): ("0.00001", "0.1"),
    ("kucoin", Market.FUTURES): ("1", None),
    ("binance", Market.SPOT): ("0.00001", "5"),
    ("binance", Market.FUTURES): ("0.00001", "5"),
    ("okx", Market.SPOT): ("0.00001", None),
    ("okx", Market.FUTURES): ("0.01", None),
    ("bitget", Market.SPOT): (None, "1"),
    ("bitget", Market.FUTURES): ("0.001", "5"),
    ("gate", Market.SPOT): ("0.00001", "3"),
    ("gate", Market.FUTURES): ("1", None),
    ("htx", Market.SPOT): ("0.00001", "10"),
    ("htx", Market.FUTURES): ("1", None),
    ("bingx", Market.SPOT): (None, "1"),
    ("bingx", Market.FUTURES): ("0.00001", "2"),
    ("coinbase", Market.SPOT): ("0.00001", "1"),
    ("bybit", Market.SPOT): ("0.00001", "5"),
    ("bybit", Market.FUTURES): ("0.001", "5"),
}


@everywhere
def test_the_smallest_order(exchange: str, market: Market, gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.pair(target(exchange, market), "BTC/USDT"))
    amount, cost = SMALLEST[exchange, market]
    assert rules.min_amount == (None if amount is None else Decimal(amount))
    assert rules.min_cost == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("exchange", "market"),
    [
        ("mexc", Market.SPOT),
        ("mexc", Market.FUTURES),
        ("htx", Market.SPOT),
        ("bingx", Market.SPOT),
        ("bingx", Market.FUTURES),
    ],
)
def test_a_pair_that_is_closed_to_the_api(exchange: str, market: Market, gateway: Gateway) -> None:
    found = {rules.base: rules for rules in reading(gateway, lambda m, _: m.pairs(target(exchange, market)))}
    assert found["LTC"].api_tradable is False and found["LTC"].active is True
    assert found["LTC"].why_not is not None and "{pair}" in found["LTC"].why_not
    assert found["BTC"].api_tradable is True and found["BTC"].why_not is None


class Told(NamedTuple):
    """What the simulator's documents say of BTC beside the grid and the smallest order."""

    max_amount: str | None
    max_cost: str | None
    maker: str
    taker: str
    fees_from: FeesFrom
    price: bool = False


TOLD: Mapping[tuple[str, Market], Told] = {
    ("mexc", Market.SPOT): Told(None, "2000000", "0", "0.0005", FeesFrom.EXCHANGE),
    ("mexc", Market.FUTURES): Told("1000000", None, "0.0001", "0.0004", FeesFrom.EXCHANGE),
    ("kucoin", Market.SPOT): Told("10000000000", "99999999", "0.001", "0.001", FeesFrom.TABLE),
    ("kucoin", Market.FUTURES): Told("1000000", None, "0.0002", "0.0006", FeesFrom.EXCHANGE, True),
    ("binance", Market.SPOT): Told("9000", "9000000", "0.001", "0.001", FeesFrom.TABLE),
    ("binance", Market.FUTURES): Told("9000", None, "0.0002", "0.0005", FeesFrom.TABLE),
    ("okx", Market.SPOT): Told("100000000", "1000000", "0.001", "0.0015", FeesFrom.TABLE),
    ("okx", Market.FUTURES): Told("100000000", None, "0.0002", "0.0005", FeesFrom.TABLE),
    ("bitget", Market.SPOT): Told("900000000000", None, "0.001", "0.001", FeesFrom.EXCHANGE),
    ("bitget", Market.FUTURES): Told("1200", None, "0.0002", "0.0006", FeesFrom.EXCHANGE),
    ("gate", Market.SPOT): Told(None, "5000000", "0.002", "0.002", FeesFrom.EXCHANGE),
    ("gate", Market.FUTURES): Told("1000000", None, "0.0002", "0.0005", FeesFrom.TABLE, True),
    ("htx", Market.SPOT): Told("10000", None, "0.002", "0.002", FeesFrom.TABLE),
    ("htx", Market.FUTURES): Told(None, None, "0.0002", "0.0005", FeesFrom.TABLE),
    ("bingx", Market.SPOT): Told(None, "1000000", "0.001", "0.001", FeesFrom.TABLE),
    ("bingx", Market.FUTURES): Told(None, None, "0.0002", "0.0005", FeesFrom.TABLE),
    ("coinbase", Market.SPOT): Told("3400", "50000000", "0.006", "0.012", FeesFrom.TABLE, True),
    ("bybit", Market.SPOT): Told("9000", "4000000", "0.001", "0.001", FeesFrom.TABLE),
    ("bybit", Market.FUTURES): Told("1190", None, "0.0001", "0.0006", FeesFrom.TABLE),
}


@everywhere
def test_the_largest_order_the_fees_and_the_price(exchange: str, market: Market, gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.pair(target(exchange, market), "BTC/USDT"))
    told = TOLD[exchange, market]
    for found, text in ((rules.max_amount, told.max_amount), (rules.max_cost, told.max_cost)):
        assert found == (None if text is None else Decimal(text))
    assert (rules.maker, rules.taker, rules.fees_from) == (Decimal(told.maker), Decimal(told.taker), told.fees_from)
    assert (rules.price is not None) is told.price
    with_pair = (exchange, market) == ("mexc", Market.FUTURES)
    assert (rules.liquidation_fee is not None, rules.tiers is not None) == (with_pair, with_pair)


def test_a_pair_is_told_in_full(gateway: Gateway) -> None:
    before = utc_now()
    spot = reading(gateway, lambda m, _: m.pair(target("mexc", Market.SPOT), "LTC/USDT"))
    assert before <= spot.fetched_at <= utc_now()
    none: dict[str, Any] = dict.fromkeys(
        ("settle", "linear", "max_amount", "liquidation_fee", "max_leverage", "tiers", "price")
    )
    assert spot == PairRules(
        **none,
        pair="LTC/USDT",
        id="LTCUSDT",
        ccxt_symbol="LTC/USDT",
        exchange="mexc",
        region="global",
        environment=Environment.LIVE,
        market=Market.SPOT,
        base="LTC",
        quote="USDT",
        active=True,
        api_tradable=False,
        why_not="{exchange} lists {pair} but takes no orders for it by API. Choose another pair.",
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.001"),
        contract_size=Decimal(1),
        min_amount=Decimal("0.001"),
        min_cost=Decimal(1),
        max_cost=Decimal(2_000_000),
        maker=Decimal(0),
        taker=Decimal("0.0005"),
        fees_from=FeesFrom.EXCHANGE,
        fetched_at=spot.fetched_at,
    )


# -- what exchanges may say of a pair ----------------------------------------------------------------------------------


@contextmanager
def edited(simulator: Simulator, name: str, **changes: object) -> Iterator[None]:
    """Every object about the pair of this name is told with these fields; `...`: without it."""

    def edit(told: Any) -> Any:
        if isinstance(told, list):
            return [edit(item) for item in cast("list[Any]", told)]
        if not isinstance(told, dict):
            return told
        row = {key: edit(value) for key, value in cast("dict[str, Any]", told).items()}
        more = changes if name in row.values() else {}
        return {key: value for key, value in {**row, **more}.items() if value is not ...}

    simulator.set_mutator(lambda _exchange, _path, body: json.dumps(edit(json.loads(body))).encode())
    try:
        yield
    finally:
        simulator.set_mutator(None)


SPOT, SWAP = Market.SPOT, Market.FUTURES
ROWS: list[tuple[str, Market, dict[str, object], dict[str, object]]] = [
    ("mexc", SPOT, {"status": "2"}, {"active": False, "api_tradable": True}),
    ("mexc", SPOT, {"status": "ENABLED"}, {"active": True}),
    ("mexc", SPOT, {"isSpotTradingAllowed": ...}, {"api_tradable": None, "why_not": None}),
    ("mexc", SWAP, {"liquidationFeeRate": 0}, {"liquidation_fee": None}),
    ("mexc", SWAP, {"apiAllowed": 1}, {"api_tradable": None}),
    ("mexc", SWAP, {"apiAllowed": []}, {"api_tradable": None}),
    ("kucoin", SPOT, {"quoteMinSize": "0.1", "minFunds": "0.7"}, {"min_cost": "0.7"}),
    ("kucoin", SPOT, {"quoteMinSize": "0.7", "minFunds": "0.1"}, {"min_cost": "0.7"}),
    ("kucoin", SPOT, {"quoteMinSize": ..., "minFunds": "0.1"}, {"min_cost": "0.1"}),
    ("kucoin", SPOT, {"feeCategory": 3, "makerFeeCoefficient": "0.5", "takerFeeCoefficient": "0.8"},
     {"maker": "0.0015", "taker": "0.0024"}),
    ("kucoin", SPOT, {"feeCategory": 2, "makerFeeCoefficient": None}, {"maker": None, "taker": "0.002"}),
    ("kucoin", SPOT, {"feeCategory": 2, "takerFeeCoefficient": None}, {"maker": "0.002", "taker": None}),
    ("kucoin", SPOT, {"feeCategory": 4}, {"maker": None, "taker": None}),
    ("kucoin", SWAP, {"lastTradePrice": 61234.5}, {"price": "61234.5"}),
    ("kucoin", SWAP, {"lastTradePrice": 0}, {"price": None}),
    ("binance", SPOT, {"isSpotTradingAllowed": False}, {"active": False}),
    ("okx", SWAP, {"ctVal": "0.01", "ctMult": "10"}, {"contract_size": "0.1"}),
    ("okx", SWAP, {"ctVal": "0.01", "ctMult": ""}, {"contract_size": "0.01"}),
    ("bitget", SWAP, {"maxOrderQty": "77"}, {"max_amount": "77"}),
    ("gate", SPOT, {"trade_status": "sellable"}, {"active": False}),
    ("gate", SPOT, {"min_base_amount": "0.3", "max_quote_amount": "9"}, {"min_amount": "0.3", "max_cost": "9"}),
    ("gate", SWAP, {"last_price": "61234.5"}, {"price": "61234.5"}),
    ("gate", SWAP, {"in_delisting": True}, {"active": False}),
    ("htx", SPOT, {"api-trading": ...}, {"api_tradable": None}),
    ("bingx", SPOT, {"apiStateBuy": False}, {"api_tradable": False}),
    ("bingx", SPOT, {"apiStateSell": False}, {"api_tradable": False}),
    ("bingx", SPOT, {"apiStateSell": ...}, {"api_tradable": None}),
    ("bingx", SPOT, {"status": 5}, {"active": False}),
    ("bingx", SWAP, {"apiStateOpen": "false"}, {"api_tradable": False}),
    ("bingx", SWAP, {"apiStateClose": "false"}, {"api_tradable": False}),
    ("bingx", SWAP, {"maxLongLeverage": 20, "maxShortLeverage": 50}, {"max_leverage": "20"}),
    ("bingx", SWAP, {"maxLongLeverage": 50, "maxShortLeverage": 20}, {"max_leverage": "20"}),
    ("bingx", SWAP, {"maxLongLeverage": ..., "maxShortLeverage": 20}, {"max_leverage": "20"}),
    ("bingx", SWAP, {"maxLongLeverage": 0, "maxShortLeverage": ...}, {"max_leverage": None}),
    ("coinbase", SPOT, {"price": "61234.5"}, {"price": "61234.5", "active": True}),
    ("coinbase", SPOT, {"status": "delisted"}, {"active": False}),
    ("coinbase", SPOT, {"status": ""}, {"active": True}),
    ("coinbase", SPOT, {"status": ...}, {"active": True}),
    ("coinbase", SPOT, {"is_disabled": True}, {"active": False}),
    ("coinbase", SPOT, {"trading_disabled": True}, {"active": False}),
    ("coinbase", SPOT, {"view_only": True}, {"active": False}),
    ("coinbase", SPOT, {"cancel_only": True}, {"active": False}),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "market", "told", "meant"), ROWS)
def test_a_row_says_what_the_exchange_means_by_it(
    exchange: str,
    market: Market,
    told: dict[str, object],
    meant: dict[str, object],
    gateway: Gateway,
    simulator: Simulator,
) -> None:
    with edited(simulator, NAMES[exchange][market is Market.FUTURES], **told):
        rules = reading(gateway, lambda m, _: m.pair(target(exchange, market), "BTC/USDT"))
    for name, value in meant.items():
        assert getattr(rules, name) == (Decimal(value) if isinstance(value, str) else value), name


@pytest.mark.parametrize(
    ("exchange", "market", "told"),
    [
        ("okx", Market.FUTURES, {"ctVal": ""}),
        ("okx", Market.FUTURES, {"lotSz": ""}),
        ("okx", Market.SPOT, {"tickSz": "0"}),
    ],
)
def test_without_its_grid_a_pair_is_not_to_be_traded(
    exchange: str, market: Market, told: dict[str, object], gateway: Gateway, simulator: Simulator
) -> None:
    words = "^OKX does not tell in which steps prices and amounts of BTC/USDT go. Choose another pair.$"
    with (
        edited(simulator, NAMES[exchange][market is Market.FUTURES], **told),
        pytest.raises(MarketsError, match=words) as caught,
    ):
        reading(gateway, lambda m, _: m.pair(target(exchange, market), "BTC/USDT"))
    assert not isinstance(caught.value, PairUnknown)


@pytest.mark.parametrize("exchange", FUTURES)
def test_the_highest_leverage(exchange: str, gateway: Gateway) -> None:
    """Binance tells it with a key only, HTX with the tiers."""
    rules = reading(gateway, lambda m, _: m.pair(target(exchange, Market.FUTURES), "SOL/USDT"))
    assert rules.max_leverage == (None if exchange in ("binance", "htx") else Decimal(75))
    whole = reading(gateway, lambda m, _: m.complete(target(exchange, Market.FUTURES), "SOL/USDT"))
    assert whole.max_leverage == {"binance": None, "htx": Decimal(20)}.get(exchange, Decimal(75))


@everywhere
def test_one_pair_is_what_the_list_says(exchange: str, market: Market, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        where = target(exchange, market)
        listed = {rules.pair: rules for rules in await markets.pairs(where)}
        for pair in ("BTC/USDT", "DOGE/USDT", "LTC/USDT", "LUNC/USDT"):
            transport.sent.clear()
            alone = await markets.pair(where, pair)
            assert len(transport.sent) == 1
            same = {"fetched_at": None, "price": None}
            assert {**alone.to_json(), **same} == {**listed[pair].to_json(), **same}
            url = transport.sent[0][1]
            if DESKS[exchange].markets[market].one is not None:
                assert alone.id in f"{url.path}?{url.query_string}"

    reading(gateway, work)


@everywhere
def test_the_price_is_on_the_grid(exchange: str, market: Market, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        where = target(exchange, market)
        for pair in (LISTED[0], LISTED[3], LISTED[5]):
            rules = await markets.pair(where, pair.join("/"))
            transport.sent.clear()
            price = await markets.price(where, pair.join("/"))
            assert len(transport.sent) == 1
            assert price % rules.tick_size == 0 and pair.middle / 2 < price < pair.middle * 2

    reading(gateway, work)


TIERS: Mapping[str, list[tuple[str, str | None, str, str | None, int]]] = {
    "kucoin": [("0", "100000", "0.004", None, 125), ("100000", "500000", "0.01", None, 50)],
    "okx": [("0", "500", "0.004", None, 100), ("500.01", "2000", "0.01", None, 50)],
    "bitget": [("0", "150000", "0.004", None, 125), ("150000", "900000", "0.006", None, 75)],
    "gate": [("0", "1000000", "0.005", "0", 100), ("1000000", "2000000", "0.01", "5000", 50)],
    "bybit": [("0", "2000000", "0.005", "0", 100)],
    "mexc": [("0", "10000", "0.004", None, 125)],
    "htx": [("0", "9999", "0.4", None, 1), ("10000", "49999", "0.5", None, 1), ("50000", None, "0.6", None, 1)],
}


@pytest.mark.parametrize("exchange", FUTURES)
def test_maintenance_tiers(exchange: str, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> tuple[Tier, ...] | None:
        where = target(exchange, Market.FUTURES)
        await markets.pair(where, "BTC/USDT")
        transport.sent.clear()
        found = await markets.tiers(where, "BTC/USDT")
        assert len(transport.sent) == (0 if exchange in TIERLESS else 1)
        return found

    found = reading(gateway, work)
    if exchange in TIERLESS:
        assert found is None
        return
    assert found is not None
    for tier, (floor, cap, mmr, cum, leverage) in zip(found, TIERS[exchange], strict=False):
        assert tier.floor == Decimal(floor) and tier.mmr == Decimal(mmr) and tier.max_leverage == leverage
        assert tier.cap == (None if cap is None else Decimal(cap))
        assert tier.cum == (None if cum is None else Decimal(cum))
        assert tier.unit == ("contracts" if exchange in ("okx", "htx", "mexc") else "quote")
    for one, after in pairwise(found):
        assert (one.leverage, one.floor) != (after.leverage, after.floor)
        assert one.leverage != after.leverage or (one.floor < after.floor and one.mmr < after.mmr)


@pytest.mark.parametrize(
    ("exchange", "query"),
    [
        ("kucoin", {}),
        ("okx", {"instType": "SWAP", "tdMode": "isolated", "instFamily": "BTC-USDT"}),
        ("bitget", {"productType": "USDT-FUTURES", "symbol": "BTCUSDT"}),
        ("gate", {"contract": "BTC_USDT"}),
        ("htx", {"contract_code": "BTC-USDT"}),
        ("bybit", {"symbol": "BTCUSDT", "category": "linear"}),
    ],
)
def test_the_tiers_of_isolated_positions_in_this_pair_are_asked_for(
    exchange: str, query: dict[str, str], gateway: Gateway
) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        await markets.tiers(target(exchange, Market.FUTURES), "BTC/USDT")
        assert transport.sent[-1][1].query == query

    reading(gateway, work)


def test_the_parser_neither_waits_nor_reckons_by_itself(gateway: Gateway) -> None:
    for exchange, market in EVERYWHERE:
        asking = _Asking(Transport(gateway), deque(), target(exchange, market), None, None)
        parser = asyncio.run(asking._parser())
        assert parser.enableRateLimit is False and parser.number is str
        assert _judge(asking.exchange.ccxt_id).enableRateLimit is False


def test_a_pair_is_known_by_whatever_way_it_was_asked_for(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        await markets.pair(target("okx", Market.SPOT), "BTC/USDT")
        transport.sent.clear()
        await markets.price(target("okx", Market.SPOT, egress_proxy="http://127.0.0.1:9"), "BTC/USDT")
        assert [url.path for _, url, _, _ in transport.sent] == ["/api/v5/market/ticker"]

    reading(gateway, work)


CCXT_ROW: Mapping[str, Any] = {
    "swap": True, "spot": True, "linear": True, "base": "A", "quote": "B", "settle": "B", "id": "AB", "symbol": "A/B",
    "active": True, "precision": {"price": "0.1", "amount": "1"}, "contractSize": "1",
    "limits": {"leverage": {"max": "5"}}, "info": {},
}  # fmt: skip


def test_only_linear_swaps_are_futures_and_only_futures_have_leverage(gateway: Gateway) -> None:
    def read(market: Market, **more: object) -> PairRules | None:
        asking = _Asking(Transport(gateway), deque(), target("bybit", market), None, None)
        found = asking._rules_of({**CCXT_ROW, **more}, utc_now())
        no_grid = {"precision", "contractSize"} & more.keys() and market is Market.FUTURES
        assert asking.without_grid == ({"A/B"} if no_grid else set())
        return found

    futures, spot = read(Market.FUTURES), read(Market.SPOT)
    assert futures is not None and spot is not None
    assert (futures.max_leverage, futures.settle, futures.linear) == (5, "B", True)
    assert (spot.max_leverage, spot.settle, spot.linear) == (None, None, None)
    for more in (
        {"linear": False},
        {"swap": False},
        {"precision": {"price": None, "amount": "1"}},
        {"precision": {"price": "0.1", "amount": None}},
        {"contractSize": None},
    ):
        assert read(Market.FUTURES, **more) is None
    assert read(Market.SPOT, spot=False) is None
    assert read(Market.SPOT, linear=None, contractSize=None) is not None
    odd = read(Market.FUTURES, active="yes", settle=7)
    assert odd is not None and (odd.active, odd.settle) == (None, None)


def test_a_request_that_nobody_needs_is_known_by_its_path_and_parameters() -> None:
    skip = Skip("/all", "[]", params={"kind": "a"}, unlike={"coin": "USDT"})
    assert skip.fits("/all", {"kind": "a", "coin": "USDC", "more": "x"})
    for path, query in (
        ("/one", {"kind": "a", "coin": "USDC"}),
        ("/all", {"kind": "b", "coin": "USDC"}),
        ("/all", {"coin": "USDC"}),
        ("/all", {"kind": "a", "coin": "USDT"}),
        ("/all", {"kind": "a"}),
    ):
        assert not skip.fits(path, query)


def test_a_name_cannot_leave_its_place_in_a_path() -> None:
    assert Ask("", "h", "/of/{id}/now", "p").where("../A?b") == "/of/..%2FA%3Fb/now"


def test_spot_has_no_tiers_and_costs_no_request_for_them(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        assert await markets.tiers(target("coinbase", Market.SPOT), "BTC/USDT") is None
        assert transport.sent == []

    reading(gateway, work)


def test_tiers_in_contracts_in_quote() -> None:
    tier = Tier(Decimal(500), None, "contracts", Decimal("0.01"))
    assert tier.min_notional(Decimal("0.001"), Decimal(60_000)) == 30_000
    assert Tier(Decimal(500), None, "quote", Decimal("0.01")).min_notional(Decimal("0.001"), Decimal(60_000)) == 500


def test_htx_has_tiers_for_every_leverage(gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.complete(target("htx", Market.FUTURES), "BTC/USDT"))
    assert [tier.mmr for tier in rules.tiers_at(Decimal(10))] == [Decimal("0.04"), Decimal("0.05"), Decimal("0.06")]
    assert {tier.leverage for tier in rules.tiers_at(Decimal(7))} == {Decimal(10)}, "judged by the higher one"
    assert [tier.leverage for tier in rules.tiers or ()] == [leverage for leverage in (1, 5, 10, 20) for _ in range(3)]
    assert rules.tiers_at(Decimal(50)) == ()


def test_mexc_levels_one_by_one(gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.pair(target("mexc", Market.FUTURES), "ETH/USDT"))
    assert rules.tiers is not None and {tier.unit for tier in rules.tiers} == {"contracts"}
    assert [(int(tier.floor), tier.mmr, tier.max_leverage) for tier in rules.tiers] == [
        (0, Decimal("0.004"), 100),
        (50_000, Decimal("0.01"), 50),
        (200_000, Decimal("0.025"), 20),
    ]
    assert rules.liquidation_fee == Decimal("0.0004")


def test_mexc_levels_that_cannot_be_read_are_unknown() -> None:
    row = {
        "riskLimitType": "BY_VALUE",
        "maintenanceMarginRate": "0.004",
        "initialMarginRate": "0.008",
        "riskBaseVol": 100,
        "riskIncrVol": 50,
        "riskIncrMmr": "0.004",
        "riskIncrImr": "0.004",
        "riskLevelLimit": 2,
    }
    levels = [
        Tier(Decimal(0), Decimal(100), "quote", Decimal("0.004"), None, Decimal(125)),
        Tier(Decimal(100), Decimal(150), "quote", Decimal("0.008"), None, 1 / Decimal("0.012")),
    ]
    assert _mexc_tiers(row) == tuple(levels)
    assert _mexc_tiers({**row, "riskBaseVol": 0}) == (
        replace(levels[0], cap=Decimal(50)),
        replace(levels[1], floor=Decimal(50), cap=Decimal(100)),
    )
    for name in ("maintenanceMarginRate", "initialMarginRate", "riskIncrMmr", "riskIncrImr", "riskLevelLimit"):
        for value in (None, ""):
            assert _mexc_tiers({**row, name: value}) is None
    for count in (0, 1):
        assert _mexc_tiers({**row, "riskLevelLimit": count}) == tuple(levels[:1])
    endless = _mexc_tiers({**row, "riskLevelLimit": 10**9})
    assert endless is not None and len(endless) == 200
    assert _mexc_tiers({**row, "riskIncrVol": 0}) == (replace(levels[0], cap=None),)
    by_volume = _mexc_tiers({**row, "riskLimitType": "BY_VOLUME"})
    assert by_volume is not None and {tier.unit for tier in by_volume} == {"contracts"}


def test_mexc_levels_of_its_own_making_must_be_whole_and_ascend() -> None:
    first, second = {"maxVol": 5, "mmr": "0.1", "maxLeverage": 8}, {"maxVol": 9, "mmr": "0.2"}
    row = {"riskLimitMode": "CUSTOM", "riskLimitType": "BY_VALUE"}
    assert _mexc_tiers({**row, "riskLimitCustom": [first, second]}) == (
        Tier(Decimal(0), Decimal(5), "quote", Decimal("0.1"), None, Decimal(8)),
        Tier(Decimal(5), Decimal(9), "quote", Decimal("0.2")),
    )
    for wrong in ({"maxVol": 5}, {"maxVol": 4}, {"maxVol": None}, {"mmr": None}):
        assert _mexc_tiers({**row, "riskLimitCustom": [first, {**second, **wrong}]}) is None
    assert _mexc_tiers({**row, "riskLimitCustom": []}) is None


def test_bybit_per_cent_is_not_fifty_times_too_much(gateway: Gateway, simulator: Simulator) -> None:
    where = target("bybit", Market.FUTURES)
    per_cent = {
        "path": "/v5/market/risk-limit",
        "find": '"maintenanceMargin":"0.005"',
        "with": '"maintenanceMargin":"0.5"',
    }
    with simulator.faults(per_cent):
        tiers = reading(gateway, lambda m, _: m.tiers(where, "BTC/USDT"))
    assert tiers is not None and tiers[0].mmr == Decimal("0.005")


TIER_ROWS: list[tuple[str, dict[str, object], dict[str, str | None] | None]] = [
    ("gate", {}, {"floor": "0", "cap": "1000", "mmr": "0.01", "cum": "0", "max_leverage": "50", "leverage": None}),
    ("gate", {"minNotional": "9", "info": {"deduction": "4"}}, {"floor": "9", "cum": "4"}),
    ("gate", {"minNotional": "9"}, {"cum": None}),
    ("okx", {"info": {"deduction": "4"}}, {"cum": None}),
    ("bybit", {"info": {"mmDeduction": "4"}}, {"cum": "4"}),
    ("htx", {}, {"cum": None, "max_leverage": "50", "leverage": "50"}),
    ("gate", {"maintenanceMarginRate": "0.02"}, {"mmr": "0.02"}),
    ("gate", {"maintenanceMarginRate": "0.021"}, None),
    ("gate", {"maintenanceMarginRate": "0.6", "maxLeverage": None}, {"mmr": "0.6", "max_leverage": None}),
    ("gate", {"maintenanceMarginRate": "1.1", "maxLeverage": None}, None),
    ("gate", {"maintenanceMarginRate": "0"}, None),
    ("gate", {"minNotional": None}, None),
    ("gate", {"maxNotional": None}, {"cap": None}),
    ("bybit", {"maintenanceMarginRate": "0.02"}, {"mmr": "0.02"}),
    ("bybit", {"maintenanceMarginRate": "0.03"}, {"mmr": "0.0003"}),
    ("bybit", {"maintenanceMarginRate": "0.5", "maxLeverage": None}, {"mmr": "0.5"}),
    ("bybit", {"maintenanceMarginRate": "2.1"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "told", "meant"), TIER_ROWS)
def test_a_tier_is_read_or_none_is(
    exchange: str, told: dict[str, object], meant: dict[str, str | None] | None, gateway: Gateway
) -> None:
    """What must be kept is never more than what a position at its highest leverage begins with."""
    row = {"minNotional": "0", "maxNotional": "1000", "maintenanceMarginRate": "0.01", "maxLeverage": "50", "info": {}}
    asking = _Asking(Transport(gateway), deque(), target(exchange, Market.FUTURES), "BTC/USDT", None)
    found = asking._tiers_of([{**row, **told}])
    if meant is None:
        assert found is None
        return
    assert found is not None
    (tier,) = found
    assert tier.unit == ("contracts" if exchange in ("okx", "htx") else "quote")
    for name, value in meant.items():
        assert getattr(tier, name) == (None if value is None else Decimal(value)), name


def test_half_a_table_of_tiers_is_none(gateway: Gateway, simulator: Simulator) -> None:
    broken = {"path": "/api/v2/mix/market/query-position-lever", "find": '"keepMarginRate":"0.006"', "with": '"x":1'}
    with simulator.faults(broken):
        assert reading(gateway, lambda m, _: m.tiers(target("bitget", Market.FUTURES), "BTC/USDT")) is None


def test_kucoin_fees_follow_the_class_of_the_coin(gateway: Gateway, simulator: Simulator) -> None:
    where = target("kucoin", Market.SPOT)
    with simulator.faults({"path": "/api/v2/symbols/*", "find": '"feeCategory":1', "with": '"feeCategory":2'}):
        rules = reading(gateway, lambda m, _: m.pair(where, "BTC/USDT"))
    assert (rules.maker, rules.taker) == (Decimal("0.002"), Decimal("0.002"))


def test_gate_puts_nothing_in_the_place_of_a_minimum(gateway: Gateway) -> None:
    """ccxt gives the amount step, which is no minimum."""
    rules = reading(gateway, lambda m, _: m.pair(target("gate", Market.SPOT), "DOGE/USDT"))
    assert rules.min_amount is None and rules.step_size == Decimal("0.1") and rules.max_cost == 5_000_000


def test_a_pair_without_a_grid_is_left_out(gateway: Gateway, simulator: Simulator) -> None:
    where = target("okx", Market.SPOT)
    with simulator.faults({"path": "/api/v5/public/instruments", "find": '"tickSz":"0.1"', "with": '"tickSz":""'}):
        found = reading(gateway, lambda m, _: m.pairs(where))
        assert [rules.base for rules in found] == ["ETH", "SOL", "DOGE", "LTC", "LUNC"]
        with pytest.raises(MarketsError, match="in which steps") as caught:
            reading(gateway, lambda m, _: m.pair(where, "BTC/USDT"))
    assert not isinstance(caught.value, PairUnknown)


def test_a_pair_whose_name_would_lead_elsewhere_is_left_out(gateway: Gateway, simulator: Simulator) -> None:
    where = target("okx", Market.SPOT)
    odd = {"path": "/api/v5/public/instruments", "find": '"instId":"BTC-USDT"', "with": '"instId":"BTC-USDT?x=1"'}
    with simulator.faults(odd):
        found = reading(gateway, lambda m, _: m.pairs(where))
    assert [rules.base for rules in found] == ["ETH", "SOL", "DOGE", "LTC", "LUNC"]


@everywhere
def test_rules_survive_a_cache(exchange: str, market: Market, gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.complete(target(exchange, market), "BTC/USDT"))
    text = json.dumps(rules.to_json())
    assert PairRules.from_json(json.loads(text)) == rules
    assert rules.price is not None


def test_what_is_no_rules_is_refused() -> None:
    for stored in ({}, {"format": "bfai.rules/1"}, {"format": "bfai.rules/2", "pair": "BTC/USDT"}):
        with pytest.raises(ValueError, match="these are no"):
            PairRules.from_json(stored)
    with pytest.raises(ValueError, match=r"^these are no bfai\.rules/2$"):
        PairRules.from_json({})
    with pytest.raises(ValueError, match=r"^these are no whole rules: KeyError$"):
        PairRules.from_json({"format": "bfai.rules/2"})


def test_a_cache_keeps_the_digits_as_they_are(gateway: Gateway) -> None:
    rules = reading(gateway, lambda m, _: m.pair(target("mexc", Market.FUTURES), "LUNC/USDT"))
    stored = rules.to_json()
    kept = {name: value for name, value in stored.items() if name in ("tick_size", "maker", "max_cost", "fetched_at")}
    assert kept == {
        "tick_size": "0.00000001",
        "maker": "0.0001",
        "max_cost": None,
        "fetched_at": rules.fetched_at.isoformat(),
    }
    assert stored["tiers"][0] == {
        "floor": "0",
        "cap": "10000",
        "unit": "contracts",
        "mmr": "0.004",
        "cum": None,
        "max_leverage": "125",
        "leverage": None,
    }


@everywhere
def test_complete_is_the_pair_with_its_tiers_and_price(exchange: str, market: Market, gateway: Gateway) -> None:
    """And nothing is asked for that the pair's own answer told."""

    async def work(markets: Markets, transport: Recording) -> None:
        where, source = target(exchange, market), DESKS[exchange].markets[market]
        alone = await markets.pair(where, "BTC/USDT")
        tiers = await markets.tiers(where, "BTC/USDT")
        transport.sent.clear()
        whole = await markets.complete(where, "BTC/USDT")
        asks = [source.one or source.many]
        asks += [source.tiers] if source.tiers else []
        asks += [] if alone.price else [source.price]
        assert sorted(url.path for _, url, _, _ in transport.sent) == sorted(ask.where(alone.id) for ask in asks)
        highest = max((tier.max_leverage or Decimal(0) for tier in tiers or ()), default=None)
        wanted = {"tiers": tiers, "max_leverage": alone.max_leverage or highest}
        assert whole.price is not None and LISTED[0].middle / 2 < whole.price < LISTED[0].middle * 2
        assert replace(whole, price=None, fetched_at=alone.fetched_at) == replace(alone, price=None, **wanted)
        sent = list(markets.receipt)[-len(asks) :]
        assert {(row.method, row.host, row.path, row.status) for row in sent} == {
            ("GET", url.host, url.path, 200) for _, url, _, _ in transport.sent
        }
        assert {row.purpose for row in sent} == {ask.purpose for ask in asks}
        assert all(row.latency_ms is not None and row.latency_ms > 0 and row.at <= utc_now() for row in sent)

    reading(gateway, work)


def test_the_receipt_does_not_grow_for_ever(gateway: Gateway) -> None:
    assert Markets(Transport(gateway)).receipt.maxlen == 200


def test_complete_costs_three_requests_at_most(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        for exchange, market in EVERYWHERE:
            transport.sent.clear()
            await markets.complete(target(exchange, market), "ETH/USDT")
            assert 1 <= len(transport.sent) <= 3, exchange

    reading(gateway, work)


# -- candles -----------------------------------------------------------------------------------------------------------


@everywhere
def test_a_page_has_the_candles_of_its_window(exchange: str, market: Market, gateway: Gateway) -> None:
    """Those that open within it and no others, the oldest first, asked for by the path that still has them."""
    shelf = DESKS[exchange].markets[market].candles

    async def work(markets: Markets, transport: Recording) -> None:
        where = target(exchange, market)
        rules = await markets.pair(where, "BTC/USDT")
        now = int(time.time()) // 300 * 300
        for end, ask in ((now - 3600, shelf.asks[0]), (now - (shelf.reach or 20_000) * 300 + 3600, shelf.asks[-1])):
            begin = end - 1800
            transport.sent.clear()
            (page,) = await markets.candles(where, rules, "5m", [(begin, end)])
            assert isinstance(page, CandlePage) and (page.begin, page.end) == (begin, end)
            path = candles(PAIRS[0], 300_000, now * 1000, start_ms=begin * 1000, end_ms=None, limit=6)
            rows = [(one.open_ms // 1000, *map(float, (one.open, one.high, one.low, one.close))) for one in path]
            assert [row[:5] for row in page.rows] == rows
            rounded = rules.contract_size if shelf.contracts or exchange == "htx" else rules.step_size
            assert [row[5] for row in page.rows] == pytest.approx(
                [float(one.volume) for one in path], abs=float(rounded)
            )
            assert now <= page.told_at <= time.time()
            ((_, url, _, _),) = transport.sent
            assert url.path == ask.where(rules.id)
            times = {"from_s": begin - 1, "from_ms": begin * 1000 - 1, "to_s": end, "to_ms": end * 1000}
            assert {name: value.format(**times) for name, value in ask.adds.items()}.items() <= url.query.items()

    reading(gateway, work)


@pytest.mark.parametrize(
    ("row", "candle"),
    [
        ([1_700_000_000_999, 2, 3, 1, 2.5, 4], (1_700_000_000, 2, 3, 1, 2.5, 40)),
        ([1_700_000_000_000, "2", "3", "1", "2.5", "4"], (1_700_000_000, 2, 3, 1, 2.5, 40)),
        ([0, 2, 2.4, 2.1, 2.5, 0.5, "more"], (0, 2, 2.5, 2, 2.5, 5)),
        ([0, 0.2, 0.3, 0.1, 0.25, None], (0, 0.2, 0.3, 0.1, 0.25, 0)),
        ([0, 2, 3, 1, 2.5, 0], (0, 2, 3, 1, 2.5, 0)),
        ([0, 2, 3, 0, 2.5, 4], None),
        ([0, 2, 3, -1, 2.5, 4], None),
        ([0, 2, 3, 1, 2.5, -1], None),
        ([0, 2, 3, 1, 2.5, "Infinity"], None),
        ([0, 2, "NaN", 1, 2.5, 4], None),
        ([0, 2, None, 1, 2.5, 4], None),
        ([0, 2, 3, 1, 2.5], None),
        (["x", 2, 3, 1, 2.5, 4], None),
        ([None, 2, 3, 1, 2.5, 4], None),
        ([float("inf"), 2, 3, 1, 2.5, 4], None),
        ([], None),
    ],
)
def test_a_candle_is_whole_or_none(row: list[Any], candle: tuple[float, ...] | None) -> None:
    assert _candle(row, 10) == candle


UNDOCUMENTED = Diagnosis(
    cause=Cause.UNEXPECTED_RESPONSE, candidates=(Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE)
)


def test_candles_that_no_document_describes(gateway: Gateway, simulator: Simulator) -> None:
    where = target("okx", Market.SPOT)
    at = int(time.time()) // 60 * 60 - 600
    row = [str(at * 1000), "2", "3", "1", "2.5", "4"]
    wrong = [str(at * 1000), "x", "3", "1", "2.5", "4"]

    def told(*rows: list[str]) -> CandlePage | MarketsError:
        async def work(markets: Markets, _: Recording) -> CandlePage | MarketsError:
            rules = await markets.pair(where, "BTC/USDT")
            (page,) = await markets.candles(where, rules, "1m", [(at, at + 60)])
            return page

        with simulator.faults({"path": "/api/v5/market/candles", "body": {"code": "0", "data": rows}}):
            return reading(gateway, work)

    for rows in ([wrong, wrong, row], [row, row, row]):
        page = told(*rows)
        assert isinstance(page, CandlePage) and page.rows == [(at, 2, 3, 1, 2.5, 4)]
    page = told(wrong, wrong)
    assert isinstance(page, CandlePage) and page.rows == [], "one or two may be broken"
    page = told(wrong, wrong, wrong)
    assert isinstance(page, MarketsError) and str(page).startswith("OKX told candles in a form that no document")
    assert page.diagnosis == UNDOCUMENTED


def test_candles_that_cannot_even_be_asked_for_are_spoken_of_as_candles(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        where = target("okx", Market.SPOT)
        rules = await markets.pair(where, "BTC/USDT")
        transport.sent.clear()
        (page,) = await markets.candles(where, rules, "no interval", [(0, 60)])
        assert isinstance(page, MarketsError) and "OKX told candles" in str(page) and transport.sent == []

    reading(gateway, work)


def test_candles_of_a_pair_that_is_gone(gateway: Gateway) -> None:
    async def work(markets: Markets, _: Recording) -> None:
        where = target("okx", Market.SPOT)
        rules = await markets.pair(where, "BTC/USDT")
        gone = replace(rules, pair="NOPE/USDT", id="NOPE-USDT", ccxt_symbol="NOPE/USDT")
        now = int(time.time()) // 60 * 60
        (page,) = await markets.candles(where, gone, "1m", [(now - 600, now)])
        assert isinstance(page, PairUnknown)
        assert str(page) == "OKX has no spot pair NOPE/USDT. Choose another pair, or futures."

    reading(gateway, work)


@everywhere
def test_a_window_is_as_wide_as_one_request_may_be(exchange: str, market: Market) -> None:
    """With room for a candle too many at either end."""
    shelf = DESKS[exchange].markets[market].candles
    for name in shelf.intervals:
        step = INTERVALS[name] // timedelta(seconds=1)
        count = shelf.window(step) // step
        assert shelf.window(step) == count * step > 0
        widest = shelf.widest or timedelta.max
        assert count + 2 <= shelf.most and (count + 1) * INTERVALS[name] <= widest
        assert count + 3 > shelf.most or (count + 2) * INTERVALS[name] > widest


def test_a_window_is_no_wider_than_the_exchange_lets_it_be() -> None:
    narrow = replace(DESKS["bitget"].markets[Market.FUTURES].candles, widest=timedelta(hours=11))
    assert narrow.window(4 * 3600) == 4 * 3600


def test_what_is_declared_in_few_words() -> None:
    fixed = {"kind": "x"}
    many, one, price = _asks("h", "p", "/all", "/price", fixed=fixed, weights=(2, 3, 4), takes=("limit",))
    all_pairs, one_pair, last_price = (ask.purpose for ask in (many, one, price))
    assert many == Ask(all_pairs, "h", "/all", "p", 2, fixed, ("limit", "kind"))
    assert one == Ask(one_pair, "h", "/all", "p", 3, {"kind": "x", "symbol": "{id}"}, ("limit", "kind"))
    assert price == Ask(last_price, "h", "/price", "p", 4, takes=("limit", "kind", "symbol"))
    assert _asks("h", "p", "/all", "/{id}/price", name="pair", one="/all/{id}") == (
        Ask(all_pairs, "h", "/all", "p"),
        Ask(one_pair, "h", "/all/{id}", "p"),
        Ask(last_price, "h", "/{id}/price", "p"),
    )
    assert _asks("h", "p", "/all", "/price", name="pair")[1:] == (
        Ask(one_pair, "h", "/all", "p", adds={"pair": "{id}"}),
        Ask(last_price, "h", "/price", "p", takes=("pair",)),
    )
    assert (all_pairs, one_pair, last_price) == (
        "read the market rules of all pairs",
        "read the market rules of one pair",
        "read the last price of one pair",
    )
    shelf = _shelf("h", "p", "/old", "symbol step from to size", most=9, contracts=True)
    assert _source((many, one, price), "{base}", ["spot"], candles=shelf, shape="[]") == Source(
        symbol="{base}", types=["spot"], many=many, one=one, price=price, candles=shelf, shape="[]"
    )
    words = "read the candles of one pair"
    adds = {"from": "{from_ms}", "to": "{to_ms}", "size": "9"}
    asks = (Ask(words, "h", "/old", "p", 1, adds, ("step", "from", "to", "size", "symbol")),)
    assert shelf == Shelf(asks, 9, contracts=True)
    more: dict[str, Any] = {"unit": "s", "weight": 5, "fixed": fixed, "takes": ("stamp",), "drops": ("size",)}
    adds = {"from": "{from_s}", "to": "{to_s}", "kind": "x"}
    asks = tuple(
        Ask(words, "h", path, "p", 5, adds, ("step", "from", "to", "kind", "stamp"), ("size",))
        for path in ("/new", "/old")
    )
    assert _shelf("h", "p", ("/new", "/old"), "- step from to", most=9, **more) == Shelf(asks, 9)


# -- what leaves -------------------------------------------------------------------------------------------------------


@everywhere
def test_no_key_and_no_signature_ever_leaves(exchange: str, market: Market, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        where = target(exchange, market)
        await markets.pairs(where)
        rules = await markets.complete(where, "BTC/USDT")
        now = int(time.time()) // 60 * 60
        for at in (now - 600, now - 86_400 * 90):
            (page,) = await markets.candles(where, rules, "5m", [(at, at + 600)])
            assert isinstance(page, CandlePage if exchange != "gate" or at > now - 6000 else MarketsError)
        site = get_exchange(exchange).site(where.region)
        allowed = """
            symbol instId instType tdMode instFamily category limit productType contract currency_pair contract_code
            business_type timestamp showPermissionSets
            interval startTime endTime start end type startAt endAt granularity from to bar before after period size
            timeZone
        """.split()
        for method, url, headers, body in transport.sent:
            assert method == "GET" and body is None and url.scheme == "https"
            assert dict(headers) == dict(site.headers)
            assert url.host in site.hosts.values()
            assert set(url.query) <= set(allowed)

    reading(gateway, work)


@everywhere
def test_a_request_that_is_not_declared_is_refused(exchange: str, market: Market, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        rules = await markets.pair(target(exchange, market), "BTC/USDT")
        transport.sent.clear()
        markets.receipt.clear()
        asking = _Asking(transport, markets.receipt, target(exchange, market), "BTC/USDT", rules)
        host, path = DESKS[exchange].hosts[0], asking.source.many.path
        candles = asking.source.candles.asks[0].where(rules.id)
        with pytest.raises(UndeclaredRequest, match=rf"^GET {re.escape(candles)} is not declared by {exchange}'s"):
            await asking._fetch(f"https://{host}{candles}", "GET")  # not while rules are read
        asking._allow(*asking.source.candles.asks)
        with pytest.raises(UndeclaredRequest):
            await asking._fetch(f"https://{host}{candles}?signature=00", "GET")
        with pytest.raises(UndeclaredRequest):
            await asking._fetch(f"https://{host}{candles}", "POST")
        asking._paths = {path: asking.source.many}
        for url, method, body in (
            (f"https://{host}{path}", "POST", None),
            (f"https://{host}{path}", "DELETE", None),
            (f"https://{host}{path}", "GET", "a=1"),
            (f"http://{host}{path}", "GET", None),
            (f"https://evil.example{path}", "GET", None),
            (f"https://{host}.evil.example{path}", "GET", None),
            (f"https://{host}{path}/../account", "GET", None),
            (f"https://{host}/api/v3/account", "GET", None),
            (f"https://{host}{path}?signature=00", "GET", None),
            (f"https://{host}{path}?apiKey=00", "GET", None),
            (f"https://{host}{path}?apiKey=", "GET", None),
        ):
            with pytest.raises(UndeclaredRequest, match=rf"(is not declared by|is no host of) {exchange}'s markets"):
                await asking._fetch(url, method, {"X-Key": "k"}, body)
        assert transport.sent == [] and not markets.receipt

    reading(gateway, work)


def test_every_market_that_is_served_has_its_hosts() -> None:
    for exchange, market in EVERYWHERE:
        adapter = get_exchange(exchange)
        for region in adapter.regions:
            for environment in adapter.environments:
                if adapter.serves(region.id, market, environment):
                    asks = source_of(target(exchange, market, region.id, environment=environment)).asks()
                    assert {ask.host for ask in asks} <= adapter.site(region.id, environment).hosts.keys()


def test_a_region_that_does_not_exist_is_named(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match=r"^okx has no region nowhere$"):
        reading(gateway, lambda m, _: m.pairs(target("okx", Market.SPOT, "nowhere")))


def test_the_declaration_names_every_request() -> None:
    rows = declared()
    assert {row[0] for row in rows} == set(all_exchanges())
    assert all(method == "GET" and path.startswith("/") and purpose for _, _, method, path, purpose in rows)
    private = ("account", "order", "wallet", "private", "asset", "withdraw", "position/")
    assert not [path for _, _, _, path, _ in rows for word in private if word in path.lower()]
    for exchange, desk in DESKS.items():
        for source in desk.markets.values():
            for ask in source.asks():
                assert ask.pool in get_exchange(exchange).limits
                assert get_exchange(exchange).limits[ask.pool].by == "address"
                assert any(ask.host in region.hosts for region in get_exchange(exchange).regions)


@pytest.mark.parametrize(
    ("exchange", "region", "market", "host"),
    [
        ("kucoin", "eu", Market.SPOT, "api.kucoin.eu"),
        ("okx", "eea", Market.SPOT, "eea.okx.com"),
        ("okx", "eea", Market.FUTURES, "eea.okx.com"),
        ("okx", "us", Market.SPOT, "us.okx.com"),
        ("bybit", "eu", Market.SPOT, "api.bybit.eu"),
        ("bybit", "nl", Market.FUTURES, "api.bybit.nl"),
        ("gate", "eu", Market.SPOT, "api.gateeu.com"),
        ("binance", "us", Market.SPOT, "api.binance.us"),
    ],
)
def test_a_region_has_hosts_of_its_own(
    exchange: str, region: str, market: Market, host: str, gateway: Gateway, simulator: Simulator
) -> None:
    async def work(markets: Markets, _: Recording) -> None:
        where = target(exchange, market, region)
        assert (await markets.complete(where, "BTC/USDT")).region == region
        assert await markets.pairs(where)

    reading(gateway, work)
    assert {seen["host"] for seen in simulator.seen} == {host}


def test_a_demo_is_asked_with_its_headers_and_hosts(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        await markets.pair(target("okx", Market.FUTURES, environment=Environment.DEMO), "BTC/USDT")
        await markets.pair(target("binance", Market.FUTURES, environment=Environment.DEMO), "BTC/USDT")
        assert dict(transport.sent[0][2]) == {"x-simulated-trading": "1"}
        assert transport.sent[1][1].host == "demo-fapi.binance.com"

    reading(gateway, work)


def test_simulator_and_live_are_asked_alike(gateway: Gateway) -> None:
    where = target("mexc", Market.SPOT, environment=Environment.SIMULATOR)
    rules = reading(gateway, lambda m, _: m.pair(where, "BTC/USDT"))
    assert rules.environment is Environment.SIMULATOR


def test_the_limiter_counts_with_the_tests(gateway: Gateway) -> None:
    """The weight of a list is taken from the pool that the adapter's calls use."""

    async def work(markets: Markets, transport: Recording) -> None:
        await markets.pairs(target("binance", Market.SPOT))
        window = transport.limiter._windows["binance", "spot", "direct"]
        assert window._counted == 20

    reading(gateway, work)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@everywhere
def test_a_pair_that_does_not_exist(exchange: str, market: Market, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        where = target(exchange, market)
        for ask in (markets.pair, markets.price, markets.complete):
            transport.sent.clear()
            with pytest.raises(PairUnknown) as caught:
                await ask(where, "NOPE/USDT")
            assert len(transport.sent) == 1
            assert "NOPE/USDT" in str(caught.value) and get_exchange(exchange).name in str(caught.value)

    reading(gateway, work)


@pytest.mark.parametrize(
    "pair", ["", "BTC", "BTC/", "/USDT", "BTC/USDT:USDT", "../../x/y", "BTC/US DT", "a?b/c", "%2e/x"]
)
def test_what_is_no_pair_is_never_asked_for(pair: str, gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        for exchange, market in EVERYWHERE:
            with pytest.raises(PairUnknown):
                await markets.pair(target(exchange, market), pair)
        assert transport.sent == []

    reading(gateway, work)


def test_coins_that_ccxt_renames_are_asked_for_by_their_own_name(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        for pair, name in (("TON/USDT", "TONCOINUSDT"), ("BCH/USDT", "BCHUSDT"), ("BSV/USDT", "BSVUSDT")):
            transport.sent.clear()
            with pytest.raises(PairUnknown):
                await markets.pair(target("bitget", Market.SPOT), pair)
            assert transport.sent[0][1].query["symbol"] == name

    reading(gateway, work)


@pytest.mark.parametrize(
    ("exchange", "region", "market"),
    [("coinbase", "global", Market.FUTURES), ("kucoin", "eu", Market.FUTURES), ("binance", "us", Market.FUTURES)],
)
def test_a_region_without_futures(exchange: str, region: str, market: Market, gateway: Gateway) -> None:
    with pytest.raises(MarketsError, match="no futures"):
        reading(gateway, lambda m, _: m.pairs(target(exchange, market, region)))
    with pytest.raises(MarketsError, match=f"^{re.escape(get_exchange(exchange).region(region).name)} has no futures"):
        source_of(target(exchange, market, region))


def test_a_testnet_without_the_market() -> None:
    with pytest.raises(MarketsError, match=r"^Binance has no futures"):
        source_of(target("binance", Market.FUTURES, environment=Environment.TESTNET))
    assert source_of(target("binance", Market.SPOT, environment=Environment.TESTNET))


@everywhere
def test_an_exchange_that_is_down(exchange: str, market: Market, gateway: Gateway, simulator: Simulator) -> None:
    where = target(exchange, market)
    for fault in ({"kind": "maintenance"}, {"kind": "html", "status": 502}, {"kind": "reset"}):
        with simulator.faults(fault), pytest.raises(MarketsError) as caught:
            reading(gateway, lambda m, _: m.pairs(where))
        assert not isinstance(caught.value, PairUnknown)
        assert get_exchange(exchange).name in str(caught.value) and caught.value.diagnosis is not None
        assert caught.value.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE, fault
        assert "Wait some minutes" in str(caught.value)


def test_slow_down_and_be_silent(gateway: Gateway, simulator: Simulator) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        slow = {"kind": "status", "status": 429, "retry_after": 7}
        with simulator.faults(slow), pytest.raises(MarketsError, match="Wait 7 seconds"):
            await markets.pairs(target("gate", Market.SPOT))
        with pytest.raises(MarketsError, match=r"slow down\. Wait [67] seconds"):
            await markets.pair(target("gate", Market.FUTURES), "BTC/USDT")
        assert len(transport.sent) == 1, "the exchange asked for silence"
        assert transport.limiter.closed_for("gate|direct") > 6, "and whoever tests a key there is silent too"
        elsewhere = target("gate", Market.SPOT, egress_proxy="http://192.0.2.1:3128")
        assert await markets.pairs(elsewhere), "another address was not asked"
        transport.limiter.close("mexc|direct", 0.5)
        with pytest.raises(MarketsError, match="slow down"):
            await markets.pairs(target("mexc", Market.SPOT))
        transport.limiter.close("gate|http://192.0.2.1:3128", 9)
        with pytest.raises(MarketsError, match="slow down"):
            await markets.pairs(elsewhere)
        assert len(transport.sent) == 2

    reading(gateway, work)


@pytest.mark.parametrize(("status", "after", "least", "most"), [(418, 7, 6, 7), (429, 7, 6, 7), (429, None, 0, 1)])
def test_for_how_long_an_exchange_is_left_alone(
    gateway: Gateway, simulator: Simulator, status: int, after: int | None, least: int, most: int
) -> None:
    """As long as it asks for, or a second. Binance says 418 to who did not listen."""

    async def work(markets: Markets, transport: Recording) -> None:
        with simulator.faults({"kind": "status", "status": status, "retry_after": after}), pytest.raises(MarketsError):
            await markets.pairs(target("binance", Market.SPOT))
        assert least < transport.limiter.closed_for("binance|direct") <= most

    reading(gateway, work)


def test_the_receipt_tells_how_long_each_answer_took(gateway: Gateway) -> None:
    async def work(markets: Markets, _: Recording) -> list[float]:
        for exchange in ("okx", "mexc", "kucoin"):
            await markets.complete(target(exchange, Market.SPOT), "BTC/USDT")
        return [sent.latency_ms for sent in markets.receipt if sent.latency_ms is not None]

    lengths = reading(gateway, work)
    assert len(lengths) > 4
    assert all(0 < length < 60_000 and round(length, 1) == length for length in lengths)
    assert any(length % 1 for length in lengths)


def test_what_each_path_may_be_asked_is_counted_for_itself_where_the_exchange_counts_so(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        for exchange in ("bingx", "okx"):
            await markets.complete(target(exchange, Market.FUTURES), "BTC/USDT")
        counted = {(key[0], key[1]) for key in transport.limiter._windows}
        paths = {(url.host, url.path) for _, url, _, _ in transport.sent}
        for host, path in paths:
            assert (host == "open-api.bingx.com") is (("bingx", f"{host}{path}") in counted)

    reading(gateway, work)


UNDESCRIBED = "in a form that no document describes."
REFUSED: list[tuple[dict[str, Any], Cause, str, str]] = [
    (
        {"kind": "html", "status": 502},
        Cause.EXCHANGE_UNAVAILABLE,
        "OKX does not answer, so its market rules cannot be read. Wait some minutes and try again.",
        "OKX does not answer, so its candles cannot be read. What came is kept. Wait some minutes and try again.",
    ),
    (
        {"kind": "status", "status": 429, "retry_after": 7},
        Cause.RATE_LIMITED,
        "OKX asks us to slow down. Wait 7 seconds, then read its market rules again.",
        "OKX asks us to slow down. What came of its candles is kept. Wait 7 seconds, then go on.",
    ),
    (
        {"kind": "status", "status": 429},
        Cause.RATE_LIMITED,
        "OKX asks us to slow down. Wait 30 seconds, then read its market rules again.",
        "OKX asks us to slow down. What came of its candles is kept. Wait 30 seconds, then go on.",
    ),
    (
        {"body": {"code": "50011", "msg": "Too Many Requests"}},
        Cause.RATE_LIMITED,
        "OKX asks us to slow down. Wait 30 seconds, then read its market rules again.",
        "OKX asks us to slow down. What came of its candles is kept. Wait 30 seconds, then go on.",
    ),
    (
        {"kind": "html", "status": 451},
        Cause.LOCATION_RESTRICTED,
        "OKX does not tell its market rules to the place from which this program asks. Run it where OKX serves you.",
        "OKX does not tell its candles to the place from which this program asks. Run it where OKX serves you.",
    ),
    (
        {"body": "{"},
        Cause.UNEXPECTED_RESPONSE,
        f"OKX told its market rules {UNDESCRIBED} Try again in a while.",
        f"OKX told candles {UNDESCRIBED} What came before is kept. Try again in a while.",
    ),
]


@pytest.mark.parametrize(("fault", "cause", "of_rules", "of_candles"), REFUSED)
def test_a_refusal_is_told_with_what_to_do(
    fault: dict[str, Any], cause: Cause, of_rules: str, of_candles: str, gateway: Gateway, simulator: Simulator
) -> None:
    where = target("okx", Market.SPOT)
    known = reading(gateway, lambda m, _: m.pair(where, "BTC/USDT"))
    now = int(time.time()) // 60 * 60
    with simulator.faults(fault):
        with pytest.raises(MarketsError) as caught:
            reading(gateway, lambda m, _: m.pairs(where))
        (page,) = reading(gateway, lambda m, _: m.candles(where, known, "1m", [(now - 600, now)]))
    assert isinstance(page, MarketsError)
    assert (str(caught.value), str(page)) == (of_rules, of_candles)
    for error in (caught.value, page):
        assert error.diagnosis is not None and error.diagnosis.cause is cause
        # What is no JSON at all may come from anybody on the way.
        assert (Cause.LOCAL_NETWORK in error.diagnosis.candidates) is (cause is Cause.UNEXPECTED_RESPONSE)


def test_a_list_of_no_pair_at_all_is_not_believed(gateway: Gateway, simulator: Simulator) -> None:
    with simulator.faults({"body": {"code": "0", "data": []}}), pytest.raises(MarketsError) as caught:
        reading(gateway, lambda m, _: m.pairs(target("okx", Market.SPOT)))
    assert str(caught.value) == f"OKX told its market rules {UNDESCRIBED} Try again in a while."
    assert caught.value.diagnosis == UNDOCUMENTED


def test_a_status_that_is_no_success_is_refused_whatever_stands_below_it(
    gateway: Gateway, simulator: Simulator
) -> None:
    for status in (300, 404, 500):
        with simulator.faults({"find": "tickSz", "with": "tickSz", "status": status}), pytest.raises(MarketsError):
            reading(gateway, lambda m, _: m.pairs(target("okx", Market.SPOT)))


def test_no_way_to_the_exchange() -> None:
    where = target("okx", Market.SPOT, egress_proxy="http://127.0.0.1:9")
    words = "^There is no way from here to OKX, so its market rules cannot be read. Check your own connection.$"
    with pytest.raises(MarketsError, match=words) as caught:
        reading(None, lambda m, _: m.pairs(where))
    assert caught.value.diagnosis is not None and caught.value.diagnosis.cause is Cause.LOCAL_NETWORK


@pytest.mark.parametrize(
    ("status", "body", "unknown"),
    [
        (200, {"code": "51001", "data": []}, True),
        (200, {"code": "1", "data": [{"sCode": "51001"}]}, True),
        (400, {"code": "7", "msg": "Invalid symbol."}, True),
        (404, {"code": "7", "msg": "The symbol was not found"}, True),
        (200, {"code": "7", "msg": "symbol does not exist"}, True),
        (503, {"code": "7", "msg": "symbol does not exist"}, False),
        (200, {"code": "7", "msg": "please slow down"}, False),
        (200, {"code": "7", "more": "." * 4000, "msg": "symbol does not exist"}, False),
    ],
)
def test_what_says_that_there_is_no_such_pair(
    status: int, body: object, unknown: bool, gateway: Gateway, simulator: Simulator
) -> None:
    """What is said of one pair by a request about it, and never by one about all pairs."""
    where = target("okx", Market.FUTURES)
    known = reading(gateway, lambda m, _: m.pair(where, "BTC/USDT"))

    async def work(markets: Markets, _: Recording) -> None:
        now = int(time.time()) // 60 * 60
        markets._known[where, "BTC/USDT"] = known
        for ask in (markets.tiers, markets.price, markets.pair):
            with pytest.raises(PairUnknown if unknown else MarketsError) as caught:
                await ask(where, "BTC/USDT")
            assert isinstance(caught.value, PairUnknown) is unknown
            if unknown:
                words = "OKX has no perpetual futures of BTC/USDT. Choose another pair, or spot."
                assert str(caught.value) == words
        (page,) = await markets.candles(where, known, "1m", [(now - 600, now)])
        assert isinstance(page, MarketsError) and isinstance(page, PairUnknown) is unknown
        with pytest.raises(MarketsError) as caught:
            await markets.pairs(where)
        assert not isinstance(caught.value, PairUnknown)

    with simulator.faults({"kind": "body", "status": status, "body": body}):
        reading(gateway, work)


@pytest.mark.parametrize(
    ("exchange", "market", "path", "body"),
    [
        ("binance", Market.FUTURES, "/fapi/v1/exchangeInfo", {"code": -1121, "msg": "Invalid symbol."}),
        ("htx", Market.SPOT, "/v1/common/symbols", {"status": "error", "err-code": "invalid-parameter"}),
    ],
)
def test_a_list_that_is_refused_says_nothing_of_a_pair(
    exchange: str, market: Market, path: str, body: object, gateway: Gateway, simulator: Simulator
) -> None:
    fault = {"kind": "body", "path": path, "status": 400, "body": body}
    with simulator.faults(fault), pytest.raises(MarketsError) as caught:
        reading(gateway, lambda m, _: m.pair(target(exchange, market), "BTC/USDT"))
    assert not isinstance(caught.value, PairUnknown)


def test_nothing_told_of_a_pair_is_no_such_pair(gateway: Gateway, simulator: Simulator) -> None:
    for exchange, market in (("kucoin", Market.SPOT), ("kucoin", Market.FUTURES), ("mexc", Market.FUTURES)):
        where = target(exchange, market)
        for body in ({"code": "200000", "success": True, "data": None}, {"code": "200000", "success": True}):
            with simulator.faults({"body": body}), pytest.raises(PairUnknown):
                reading(gateway, lambda m, _, where=where: m.pair(where, "BTC/USDT"))


def test_tiers_of_what_is_no_pair_are_never_asked_for(gateway: Gateway) -> None:
    async def work(markets: Markets, transport: Recording) -> None:
        for exchange, market in EVERYWHERE:
            with pytest.raises(PairUnknown):
                await markets.tiers(target(exchange, market), "BTC")
        assert transport.sent == []

    reading(gateway, work)


@pytest.mark.parametrize(
    ("told", "early"),
    [
        ({"Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 1_700_000_000),
        ({"DATE": "Tue, 14 Nov 2023 22:13:20 GMT"}, 1_700_000_000),
        ({"X-Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, None),
        ({"Date": "Tue, 14 Nov 2999 22:13:20 GMT"}, None),
        ({"Date": "Tue, 14 Nov 99999 22:13:20 GMT"}, None),
        ({"Date": "yesterday"}, None),
        ({}, None),
    ],
)
def test_an_answer_is_as_old_as_the_exchange_says(told: dict[str, str], early: float | None) -> None:
    before = time.time()
    at = _served_at(Answer(status=200, headers=told))
    assert at == early if early is not None else before <= at <= time.time()


def test_a_place_that_is_not_served(gateway: Gateway, simulator: Simulator) -> None:
    with (
        simulator.faults({"kind": "html", "status": 451}),
        pytest.raises(MarketsError, match="does not tell") as caught,
    ):
        reading(gateway, lambda m, _: m.pairs(target("binance", Market.SPOT)))
    assert caught.value.diagnosis is not None and caught.value.diagnosis.cause is Cause.LOCATION_RESTRICTED


@everywhere
def test_answers_that_no_document_describes(
    exchange: str, market: Market, gateway: Gateway, simulator: Simulator
) -> None:
    where = target(exchange, market)
    for body in ("", "null", "[]", "{}", "7", '"x"', '{"data":"x"}', '{"symbols":[1]}', "[[]]", "{", "NaN", "[" * 9000):
        with simulator.faults({"kind": "body", "body": body}):
            with pytest.raises(MarketsError):
                reading(gateway, lambda m, _: m.pairs(where))
            with pytest.raises(MarketsError):
                reading(gateway, lambda m, _: m.complete(where, "BTC/USDT"))


def test_numbers_stay_the_text_that_the_exchange_wrote() -> None:
    assert _read('{"a": [0.10000000000000000001, 7, 1e-8]}') == {"a": ["0.10000000000000000001", 7, "1e-8"]}
    for body in ("[NaN]", "[Infinity]", "[-Infinity]", "[0", "", "[" * 100_000):
        assert _read(body) is None
    for vast in ("[1e999]", '["1e999999999"]', '{"a": "-1.5E+1000"}'):  # ccxt would calculate with it for hours
        assert _read(vast) is None
    assert _read('["7d01e1234", "1e99", 1e-99]') == ["7d01e1234", "1e99", "1e-99"]


def test_a_list_of_several_megabytes(gateway: Gateway, simulator: Simulator) -> None:
    """Binance's is longer than any answer of a test may be."""

    def longer(_exchange: str, path: str, body: bytes) -> bytes:
        if path != "/api/v3/exchangeInfo":
            return body
        told = json.loads(body)
        row = told["symbols"][0]
        told["symbols"] = [{**row, "symbol": f"X{n}USDT", "baseAsset": f"X{n}"} for n in range(4000)]
        return json.dumps(told).encode()

    simulator.set_mutator(longer)
    try:
        found = reading(gateway, lambda m, _: m.pairs(target("binance", Market.SPOT)))
    finally:
        simulator.set_mutator(None)
    assert len(found) == 4000


def test_bybit_pages_end(gateway: Gateway, simulator: Simulator) -> None:
    """A cursor that never ends must not keep us asking."""
    endless = {"path": "/v5/market/instruments-info", "find": '"nextPageCursor":""', "with": '"nextPageCursor":"x"'}

    async def work(markets: Markets, transport: Recording) -> None:
        with pytest.raises(MarketsError):
            await markets.pairs(target("bybit", Market.FUTURES))
        assert len(transport.sent) == 20

    with simulator.faults(endless):
        reading(gateway, work)


# -- liquidation -------------------------------------------------------------------------------------------------------


def test_liquidation_rules(gateway: Gateway) -> None:
    assert liquidation_rule("coinbase") is None
    for exchange in FUTURES:
        rule = liquidation_rule(exchange)
        assert rule is not None and rule.source
        assert (rule.family is Family.WORSE) is not rule.certain, "an uncertain family shows the worse of the two"
    rules = reading(gateway, lambda m, _: m.pair(target("mexc", Market.FUTURES), "BTC/USDT"))
    rules = replace(rules, liquidation_fee=Decimal("0.001"))
    rates = {
        name: rule.fee_rate(rules)
        for name in ("binance", "okx", "mexc")
        if (rule := liquidation_rule(name)) is not None
    }
    assert rates == {"binance": 0, "okx": Decimal("0.0004"), "mexc": Decimal("0.001")}
    rule = liquidation_rule("mexc")
    assert rule is not None and rule.fee_rate(replace(rules, liquidation_fee=None)) == Decimal("0.0004")
