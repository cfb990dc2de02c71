"""The simulator's candles: one path of prices for every interval, and each exchange's own paging."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from simulator_client import Client

from bfai.simulator.markets import BEIJING_MS, LISTED, MINUTE_MS, Pair, candles, price_at

NOW = 1_767_225_723_456
DAY = 1440 * MINUTE_MS


@pytest.mark.parametrize("pair", LISTED, ids=lambda pair: pair.base)
def test_a_long_candle_is_what_its_minutes_are_together(pair: Pair) -> None:
    minutes = candles(pair, MINUTE_MS, NOW, start_ms=NOW - 2 * DAY, end_ms=None, limit=9999)
    assert len(minutes) == 2880 and minutes[-1].open_ms == NOW // MINUTE_MS * MINUTE_MS
    assert minutes[-1].close == price_at(pair, NOW), "the last one goes on until now"
    for one, after in pairwise(minutes):
        assert one.open == price_at(pair, one.open_ms) and one.close == after.open
        assert one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high and one.volume > 0
    for step in (5, 15, 60, 240, 1440):
        found = candles(pair, step * MINUTE_MS, NOW, start_ms=NOW - DAY, end_ms=None, limit=9999)
        assert found
        for candle in found:
            inside = [one for one in minutes if 0 <= one.open_ms - candle.open_ms < step * MINUTE_MS]
            assert (candle.open, candle.close) == (inside[0].open, inside[-1].close)
            assert (candle.high, candle.low) == (max(one.high for one in inside), min(one.low for one in inside))
            assert abs(candle.volume - sum(one.volume for one in inside)) <= pair.size_step * len(inside)


def test_a_candle_is_the_same_whenever_it_is_asked_for() -> None:
    pair = LISTED[0]
    (then,) = candles(pair, 60 * MINUTE_MS, NOW, start_ms=None, end_ms=NOW - DAY, limit=1)
    (later,) = candles(pair, 60 * MINUTE_MS, NOW + 30 * DAY, start_ms=then.open_ms, end_ms=None, limit=1)
    assert then == later
    (young,) = candles(pair, DAY, NOW, start_ms=None, end_ms=None, limit=1)
    (grown,) = candles(pair, DAY, NOW + 3600_000, start_ms=None, end_ms=None, limit=1)
    assert young.open_ms == grown.open_ms and young.volume < grown.volume


def test_days_of_beijing() -> None:
    found = candles(LISTED[0], DAY, NOW, start_ms=NOW - 3 * DAY, end_ms=None, limit=9, east_ms=BEIJING_MS)
    assert [one.open_ms % DAY for one in found] == [16 * 60 * MINUTE_MS] * 3
    four = candles(LISTED[0], 240 * MINUTE_MS, NOW, start_ms=NOW - DAY, end_ms=None, limit=9, east_ms=BEIJING_MS)
    assert four == candles(LISTED[0], 240 * MINUTE_MS, NOW, start_ms=NOW - DAY, end_ms=None, limit=9)


MS, S = "{since}000", "{since}"
SPAN_MS = f"startTime={MS}&endTime={{now}}000&limit=9999"
HTX = f"period=1min&from={S}&to={{now}}"
MOST: list[tuple[str, str, tuple[str, ...], int]] = [
    ("api.binance.com", f"/api/v3/klines?symbol=BTCUSDT&interval=1m&{SPAN_MS}", (), 1000),
    ("fapi.binance.com", f"/fapi/v1/klines?symbol=BTCUSDT&interval=1m&{SPAN_MS}", (), 1500),
    ("api.mexc.com", f"/api/v3/klines?symbol=BTCUSDT&interval=1m&{SPAN_MS}", (), 500),
    (
        "contract.mexc.com",
        f"/api/v1/contract/kline/BTC_USDT?interval=Min1&start={S}&end={{now}}",
        ("data", "time"),
        2000,
    ),
    ("api.kucoin.com", f"/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt={S}&endAt={{now}}", ("data",), 1500),
    ("api-futures.kucoin.com", f"/api/v1/kline/query?symbol=XBTUSDTM&granularity=1&from={MS}", ("data",), 500),
    ("www.okx.com", "/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=999", ("data",), 300),
    ("www.okx.com", "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&limit=999", ("data",), 100),
    ("api.bitget.com", "/api/v2/spot/market/candles?symbol=BTCUSDT&granularity=1min&limit=9999", ("data",), 1000),
    (
        "api.bitget.com",
        "/api/v2/mix/market/history-candles?symbol=BTCUSDT&productType=USDT-FUTURES&granularity=1m&limit=9999"
        "&endTime={now}000",
        ("data",),
        200,
    ),
    ("api.gateio.ws", "/api/v4/spot/candlesticks?currency_pair=BTC_USDT&interval=1m&limit=1000", (), 1000),
    ("api.gateio.ws", "/api/v4/futures/usdt/candlesticks?contract=BTC_USDT&interval=1m&limit=2000", (), 2000),
    ("api.huobi.pro", f"/market/history/kline?symbol=btcusdt&size=9999&{HTX}", ("data",), 2000),
    ("api.huobi.pro", f"/market/history/candles?symbol=btcusdt&size=9999&{HTX}", ("data",), 1000),
    ("api.hbdm.com", f"/linear-swap-ex/market/history/kline?contract_code=BTC-USDT&{HTX}", ("data",), 2000),
    ("open-api.bingx.com", f"/openApi/spot/v1/market/kline?symbol=BTC-USDT&interval=1m&{SPAN_MS}", ("data",), 1440),
    ("open-api.bingx.com", f"/openApi/swap/v3/quote/klines?symbol=BTC-USDT&interval=1m&{SPAN_MS}", ("data",), 1440),
    (
        "api.bybit.com",
        f"/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start={MS}&limit=9999",
        ("result", "list"),
        1000,
    ),
    (
        "api.coinbase.com",
        "/api/v3/brokerage/market/products/BTC-USDT/candles?granularity=ONE_MINUTE&start={edge}&end={now}",
        ("candles",),
        350,
    ),
]


@pytest.mark.parametrize(("host", "target", "path", "most"), MOST)
def test_how_many_come_when_more_are_asked_for(
    client: Client, host: str, target: str, path: tuple[str, ...], most: int
) -> None:
    now = int(time.time()) // 60 * 60
    told: Any = client.call("GET", host, target.format(since=now - 5000 * 60, edge=now - 349 * 60, now=now)).json
    for step in path:
        told = told[step]
    assert len(told) == most


def test_what_each_exchange_makes_of_the_edges(client: Client) -> None:
    hour, now = 3600, int(time.time())
    since = now // hour * hour - 20 * hour
    until = since + 3 * hour

    mexc = "/api/v3/klines?symbol=BTCUSDT&interval=60m"
    told = client.call("GET", "api.mexc.com", f"{mexc}&startTime={since * 1000}&endTime={until * 1000}").json
    assert [row[0] // 1000 for row in told] == [since, since + hour, since + 2 * hour], "the end is not included"
    told = client.call("GET", "api.mexc.com", f"{mexc}&startTime={since * 1000}").json
    assert len(told) == 500 and told[-1][0] // 1000 == now // hour * hour, "a begin alone is not heard"

    okx = "/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=300"
    assert client.call("GET", "www.okx.com", f"{okx}&after={(now - 1500 * 60) * 1000}").json["data"] == []
    old = okx.replace("candles", "history-candles")
    assert len(client.call("GET", "www.okx.com", f"{old}&after={(now - 1500 * 60) * 1000}").json["data"]) == 100
    days = "/api/v5/market/candles?instId=BTC-USDT&limit=2&bar=1D"
    for zone, clock in (("", 16), ("utc", 0)):
        row = client.call("GET", "www.okx.com", days + zone).json["data"][0]
        assert int(row[0]) // 1000 % 86_400 == clock * hour

    bitget = "/api/v2/spot/market/history-candles?symbol=BTCUSDT&granularity=1h&limit=3"
    assert client.call("GET", "api.bitget.com", bitget).json["code"] == "40019"
    rows = client.call("GET", "api.bitget.com", f"{bitget}&startTime=1&endTime={until * 1000}").json["data"]
    assert [int(row[0]) // 1000 for row in rows] == [since, since + hour, since + 2 * hour]
    for kind, clock in (("1day", 16), ("1Dutc", 0)):
        row = client.call("GET", "api.bitget.com", f"/api/v2/spot/market/candles?symbol=BTCUSDT&granularity={kind}")
        assert int(row.json["data"][0][0]) // 1000 % 86_400 == clock * hour

    product = "/api/v3/brokerage/market/products/BTC-USDT/candles?granularity=ONE_MINUTE"
    assert client.call("GET", "api.coinbase.com", f"{product}&start={now - 60 * 400}&end={now}").status == 400

    gate = "/api/v4/futures/usdt/candlesticks?contract=BTC_USDT&interval=1m"
    far = client.call("GET", "api.gateio.ws", f"{gate}&from={now - 60 * 10_005}&to={now - 60 * 9_900}")
    assert far.status == 400 and "too long ago" in far.json["message"]
    wide = client.call("GET", "api.gateio.ws", f"{gate}&from={now - 60 * 2_005}&to={now}")
    assert wide.status == 400 and "too broad" in wide.json["message"]

    swap = "/linear-swap-ex/market/history/kline?contract_code=BTC-USDT&period=1day"
    rows = client.call("GET", "api.hbdm.com", f"{swap}&size=2&from=1700000000&to=1700900000").json["data"]
    assert len(rows) == 2 and rows[-1]["id"] > now - 2 * 86_400 and rows[-1]["id"] % 86_400 == 16 * hour

    bingx = "/openApi/spot/v1/market/kline?symbol=BTC-USDT&interval=1d&limit=2"
    for zone, clock in (("", 16), ("&timeZone=0", 0), ("&timeZone=8", 16)):
        rows = client.call("GET", "open-api.bingx.com", bingx + zone).json["data"]
        assert rows[0][0] // 1000 % 86_400 == clock * hour
    edge = f"/openApi/swap/v3/quote/klines?symbol=BTC-USDT&interval=1h&startTime={since * 1000}&endTime={until * 1000}"
    rows = client.call("GET", "open-api.bingx.com", edge).json["data"]
    assert [row["time"] // 1000 for row in rows] == [until, until - hour, since + hour], "the begin is not included"


def test_volume_counts_what_each_exchange_counts(client: Client) -> None:
    now = int(time.time()) // 3600 * 3600
    (one,) = candles(LISTED[0], 3600_000, now * 1000, start_ms=(now - 7200) * 1000, end_ms=None, limit=1)
    span = f"start={now - 7200}&end={now - 7200}"
    told = client.call("GET", "contract.mexc.com", f"/api/v1/contract/kline/BTC_USDT?interval=Min60&{span}").json[
        "data"
    ]
    assert told["vol"] == [float((one.volume / LISTED[0].contract_size).quantize(Decimal(1)))]
    span = f"from={now - 7200}&to={now - 7200}"
    (told,) = client.call(
        "GET", "api.gateio.ws", f"/api/v4/futures/usdt/candlesticks?contract=BTC_USDT&interval=1h&{span}"
    ).json
    assert told["v"] == int(one.volume / LISTED[0].contract_size)
