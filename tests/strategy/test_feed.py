"""Candles of all ten exchanges, from the simulator over real sockets into a real store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfai.engine import Engine
from bfai.exchanges import get_exchange
from bfai.model import BfaiError, Cause, Environment, Market, Target
from bfai.simulator import Simulator
from bfai.simulator.markets import BEIJING_MS, PAIRS, candles
from bfai.store import Store, open_store
from bfai.strategy.candles import INTERVALS, Candles, CandlesError
from bfai.strategy.feed import SETTLED, SPAN, CandlesStopped, Feed, merged, pack, stretches, unpack
from bfai.strategy.limits import DESKS, CandlePage, Markets, MarketsError, PairRules, PairUnknown
from bfai.transport import Gateway
from bfai.workbench import Mode, Workbench

EVERYWHERE = [(exchange, market) for exchange, desk in DESKS.items() for market in desk.markets]
everywhere = pytest.mark.parametrize(("exchange", "market"), EVERYWHERE)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAIR = "BTC/USDT"
Window = tuple[int, int]


def target(exchange: str, market: Market = Market.SPOT) -> Target:
    return Target(exchange=exchange, market=market, region=get_exchange(exchange).regions[0].id)


@dataclass
class Bench:
    """A feed with a store and a way out of its own, and what it was asked and waited for."""

    engine: Engine
    store: Store
    windows: list[Window] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    behind: timedelta = timedelta(0)
    known: dict[str, PairRules] = field(default_factory=dict)
    patient: bool = False
    at: datetime | None = None

    def freeze(self) -> datetime:
        """From now on it is now."""
        self.at = datetime.now(UTC)
        return self.at

    def feed(self) -> Feed:
        return Feed(
            self.store, self.ask, self.rules, now=lambda: (self.at or datetime.now(UTC)) - self.behind, wait=self.wait
        )

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.patient:
            time.sleep(seconds)

    def ask(
        self, where: Target, rules: PairRules, interval: str, windows: Sequence[Window]
    ) -> list[CandlePage | MarketsError]:
        self.windows += windows
        return self.engine.ask(lambda transport: Markets(transport).candles(where, rules, interval, windows))

    def rules(self, where: Target, pair: str) -> PairRules:
        return self.known.get(pair) or self.engine.ask(lambda transport: Markets(transport).pair(where, pair))

    def candles(
        self, where: Target, interval: str, since: datetime, until: datetime | None = None, **more: Any
    ) -> Candles:
        return self.feed().candles(where, more.pop("pair", PAIR), interval, since, until, **more)


@pytest.fixture
def bench(gateway: Gateway) -> Iterator[Bench]:
    engine, store = Engine(gateway), open_store("sqlite://:memory:")
    yield Bench(engine, store)
    engine.close()
    store.close()


def path(exchange: str, interval: str, since: datetime, until: datetime) -> list[tuple[float, ...]]:
    """What the simulator's path of prices gives for the candles that had closed."""
    step = INTERVALS[interval] // timedelta(milliseconds=1)
    east = BEIJING_MS if exchange == "htx" else 0
    begin, end = (int(at.timestamp() * 1000) for at in (since, until))
    found = candles(PAIRS[0], step, end, start_ms=begin, end_ms=None, limit=100_000, east_ms=east)
    return [
        (one.open_ms // 1000, *map(float, (one.open, one.high, one.low, one.close)))
        for one in found
        if one.open_ms + step <= end
    ]


def rows(found: Candles) -> list[tuple[float, ...]]:
    return list(zip(*(column.tolist() for column in found.columns[:5]), strict=True))


# -- all markets -------------------------------------------------------------------------------------------------------


@everywhere
def test_several_pages_then_nothing_more(exchange: str, market: Market, bench: Bench, simulator: Simulator) -> None:
    where, shelf = target(exchange, market), DESKS[exchange].markets[market].candles
    count = 2 * shelf.most + 50
    now = bench.freeze()
    told: list[Window] = []
    found = bench.candles(
        where, "1m", now - count * MINUTE, now, on_progress=lambda done, total: told.append((done, total))
    )
    assert rows(found) == path(exchange, "1m", now - count * MINUTE, now - timedelta(seconds=SETTLED))
    assert found.gaps == 0 and (found.pair, found.interval, found.source) == (PAIR, MINUTE, exchange)
    assert told[0][0] == 0 and told[-1] == (len(found), len(found)) and told == sorted(told)
    declared = {ask.where(bench.rules(where, PAIR).id) for ask in shelf.asks}
    pages = [seen for seen in simulator.seen if seen["path"] in declared]
    assert len(pages) == len(bench.windows) >= 3
    assert {seen["status"] for seen in pages} == {200} and {seen["account"] for seen in pages} == {None}
    assert all(end - begin <= shelf.most * 60 for begin, end in bench.windows)
    simulator.forget()
    again = bench.candles(where, "1m", now - count * MINUTE, now)
    assert again.digest == found.digest and not simulator.seen
    assert simulator.errors == []


@everywhere
def test_every_interval(exchange: str, market: Market, bench: Bench) -> None:
    now = bench.freeze()
    feed = bench.feed()
    for interval in feed.intervals(target(exchange, market)):
        since = now - 30 * INTERVALS[interval]
        found = bench.candles(target(exchange, market), interval, since, now)
        assert rows(found) == path(exchange, interval, since, now - timedelta(seconds=SETTLED)), interval
        assert len(found) in (28, 29, 30) and found.step == INTERVALS[interval].total_seconds()


@everywhere
def test_volume_is_in_coins(exchange: str, market: Market, bench: Bench) -> None:
    now = bench.freeze()
    found = bench.candles(target(exchange, market), "1h", now - 5 * HOUR, now)
    told = candles(
        PAIRS[0], 3_600_000, int(now.timestamp() * 1000), start_ms=int(found.time[0]) * 1000, end_ms=None, limit=5
    )
    contract = float(PAIRS[0].contract_size)
    for volume, one in zip(found.volume.tolist(), told, strict=False):
        assert volume == pytest.approx(float(one.volume), abs=contract)


@everywhere
def test_a_pair_that_does_not_exist(exchange: str, market: Market, bench: Bench) -> None:
    """Neither one that is asked for its rules first, nor one whose rules are known from better days."""
    where, since = target(exchange, market), bench.freeze() - HOUR
    with pytest.raises(PairUnknown, match="NOPE/USDT"):
        bench.candles(where, "5m", since, pair="NOPE/USDT")
    assert bench.windows == []
    rules = bench.rules(where, PAIR)
    gone = rules.id.replace("XBT", "BTC").replace("BTC", "NOPE").replace("btc", "nope")
    bench.known["NOPE/USDT"] = replace(
        rules, pair="NOPE/USDT", id=gone, ccxt_symbol=rules.ccxt_symbol.replace("BTC", "NOPE")
    )
    with pytest.raises(PairUnknown, match="NOPE/USDT"):
        bench.candles(where, "5m", since, pair="NOPE/USDT")
    assert bench.windows and bench.waits == []


@everywhere
def test_an_exchange_that_is_down(exchange: str, market: Market, bench: Bench, simulator: Simulator) -> None:
    where, since = target(exchange, market), bench.freeze() - HOUR
    bench.known[PAIR] = bench.rules(where, PAIR)
    for fault in ({"kind": "maintenance"}, {"kind": "html", "status": 502}, {"kind": "reset"}):
        with simulator.faults(fault), pytest.raises(MarketsError, match="candles") as caught:
            bench.candles(where, "1m", since)
        assert caught.value.diagnosis is not None and caught.value.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE
        assert get_exchange(exchange).name in str(caught.value)
    assert len(bench.windows) == 9 and sum(bench.waits) == pytest.approx(12), "three tries each, and pauses between"
    assert len(bench.candles(where, "1m", since)) >= 58


@everywhere
def test_answers_that_no_document_describes(exchange: str, market: Market, bench: Bench, simulator: Simulator) -> None:
    where, since = target(exchange, market), bench.freeze() - 2 * HOUR
    bench.known[PAIR] = bench.rules(where, PAIR)
    bodies = ["", "null", "[]", "{}", "7", '"x"', '{"data":"x"}', "[[]]", "[[[1]]]", "{", "NaN", "[" * 9000]
    bodies += [
        '[["x","y","z","1","2","3"]]',
        '{"code":"0","data":[[1e999,1,1,1,1,1]]}',
        '{"code":"0","data":[["1700000000000","0","0","0","0","0"]]}',
        '{"code":0,"success":true,"data":{"time":[1],"open":[],"close":[2]}}',
        '{"retCode":0,"result":{"list":[["1","nan","inf","-1","0",""],["2"],[]]}}',
    ]
    for body in bodies:
        with simulator.faults({"kind": "body", "body": body}), pytest.raises(BfaiError) as caught:
            bench.candles(where, "1m", since)
        assert isinstance(caught.value, MarketsError | CandlesError) and get_exchange(exchange).name in str(
            caught.value
        )
    assert len(bench.candles(where, "1m", since)) >= 118, "none of it was kept"


# -- what is kept ------------------------------------------------------------------------------------------------------


def asked(windows: Sequence[Window]) -> list[Window]:
    """The time that was asked for; fails where some was asked for twice."""
    together = merged(windows)
    assert sum(end - begin for begin, end in together) == sum(end - begin for begin, end in windows)
    return together


def test_only_what_is_missing_is_asked_for(bench: Bench) -> None:
    where, now = target("binance"), bench.freeze().replace(second=30, microsecond=0)
    begin = now.replace(second=0) - 10 * HOUR
    bench.candles(where, "1m", begin + 3 * HOUR, begin + 4 * HOUR)
    bench.candles(where, "1m", begin + 6 * HOUR, begin + 7 * HOUR)
    bench.windows.clear()
    found = bench.candles(where, "1m", begin, begin + 8 * HOUR)
    first = int(begin.timestamp())
    assert asked(bench.windows) == [
        (first, first + 10800),
        (first + 14400, first + 21600),
        (first + 25200, first + 28800),
    ]
    assert rows(found) == path("binance", "1m", begin, begin + 8 * HOUR)
    bench.windows.clear()
    inner = bench.candles(where, "1m", begin + 5 * HOUR, begin + 6 * HOUR)
    assert len(inner) == 60 and bench.windows == []
    bench.candles(where, "5m", begin, begin + HOUR)
    bench.candles(target("binance", Market.FUTURES), "1m", begin, begin + HOUR)
    bench.candles(where, "1m", begin, begin + HOUR, pair="ETH/USDT")
    assert len(bench.windows) == 3, "another interval, market or pair is another series"


def test_the_last_candle_is_asked_for_once_it_has_closed(bench: Bench) -> None:
    where, now = target("okx"), bench.freeze()
    since, bench.behind = now - 3 * HOUR, HOUR
    early = bench.candles(where, "5m", since)
    assert early.ends <= now - HOUR - timedelta(seconds=SETTLED) < early.ends + 2 * early.interval
    bench.behind = timedelta(0)
    bench.windows.clear()
    late = bench.candles(where, "5m", since)
    assert asked(bench.windows) == [(int(early.time[-1]) + 300, int(late.time[-1]) + 300)]
    assert rows(late)[: len(early)] == rows(early)
    assert rows(late) == path("okx", "5m", since, now - timedelta(seconds=SETTLED))


@pytest.mark.parametrize("exchange", ["binance", "htx"])
def test_a_clock_that_is_ahead_keeps_no_half_candle(exchange: str, bench: Bench) -> None:
    """The exchange's answer says what time it is there. HTX's days begin in the afternoon."""
    where, now = target(exchange), bench.freeze()
    since = now - 20 * DAY
    for interval in ("15m", "1d", "5m"):
        bench.behind = -2 * DAY
        ahead = bench.candles(where, interval, since)
        assert ahead.ends <= datetime.now(UTC)
        bench.behind = timedelta(0)
        found = bench.candles(where, interval, since)
        assert rows(found) == path(exchange, interval, since, now - timedelta(seconds=SETTLED))


@pytest.mark.parametrize("hour", [3, 15, 17, 23])
def test_days_that_begin_in_the_afternoon(hour: int, bench: Bench) -> None:
    """Whatever the time of day is: all days that open within what was asked for, and no other."""
    bench.at = datetime.now(UTC).replace(hour=hour, minute=10, second=0, microsecond=0) - 2 * DAY
    since, until = bench.at - 20 * DAY, bench.at - 10 * DAY
    found = bench.candles(target("htx"), "1d", since, until)
    assert rows(found) == [row for row in path("htx", "1d", since, bench.at) if row[0] < until.timestamp()]
    assert len(found) == 10


def test_a_rate_limit_in_between(bench: Bench, simulator: Simulator) -> None:
    slow = {"path": "/api/v3/klines", "status": 429, "retry_after": 0, "count": 1}
    now, bench.patient = bench.freeze(), True
    with simulator.faults(slow):
        found = bench.candles(target("binance"), "1m", now - 3 * DAY, now)
    assert rows(found) == path("binance", "1m", now - 3 * DAY, now - timedelta(seconds=SETTLED))
    assert sum(bench.waits) in (1.0, 4.0)


def test_a_long_rate_limit_is_told_at_once(bench: Bench, simulator: Simulator) -> None:
    def after_one_page(done: int, _total: int) -> None:
        if done:
            simulator.set_faults([{"status": 429, "retry_after": 300}])

    now = bench.freeze()
    with pytest.raises(MarketsError, match="Wait 300 seconds") as caught:
        bench.candles(target("gate"), "1m", now - 5 * DAY, now, on_progress=after_one_page)
    assert caught.value.diagnosis is not None and caught.value.diagnosis.cause is Cause.RATE_LIMITED
    assert bench.waits == []


def test_the_line_drops_and_the_reading_goes_on_from_there(bench: Bench, simulator: Simulator) -> None:
    where, now = target("bybit"), bench.freeze()
    since, kept = now - 7 * DAY, list[int]()

    def drop(done: int, _total: int) -> None:
        kept.append(done)
        if done:
            simulator.set_faults([{"kind": "reset"}])

    with pytest.raises(MarketsError, match="What came is kept") as caught:
        bench.candles(where, "1m", since, now, on_progress=drop)
    assert caught.value.diagnosis is not None and caught.value.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE
    simulator.set_faults([])
    bench.windows.clear()
    begun: list[int] = []
    found = bench.candles(where, "1m", since, now, on_progress=lambda done, _: begun.append(done))
    assert begun[0] == kept[-1] > 3000, "it begins where it broke off"
    assert sum(end - begin for begin, end in asked(bench.windows)) == (len(found) - begun[0]) * 60
    assert rows(found) == path("bybit", "1m", since, now - timedelta(seconds=SETTLED))


def test_it_can_be_stopped_and_goes_on(bench: Bench) -> None:
    where, now = target("coinbase"), bench.freeze()
    since, done = now - 2 * DAY, [0]

    def progress(count: int, _total: int) -> None:
        done[0] = count

    with pytest.raises(CandlesStopped):
        bench.candles(where, "1m", since, now, on_progress=progress, stopped=lambda: done[0] > 0)
    assert 0 < done[0] < 2878
    before = len(bench.windows)
    assert len(bench.candles(where, "1m", since, now, on_progress=progress)) == done[0] >= 2878
    assert len(bench.windows) <= 10 and before == 4
    asked(bench.windows)


def test_a_pause_can_be_stopped(bench: Bench, simulator: Simulator) -> None:
    with simulator.faults({"path": "/v5/market/kline", "kind": "reset"}), pytest.raises(CandlesStopped):
        bench.candles(target("bybit"), "1m", bench.freeze() - HOUR, stopped=lambda: bool(bench.waits))
    assert bench.waits == [0.25]


def test_two_at_once(bench: Bench) -> None:
    where, now, found = target("kucoin"), bench.freeze(), list[str]()
    threads = [
        threading.Thread(target=lambda: found.append(bench.candles(where, "1m", now - 3 * DAY, now).digest))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len(set(found)) == 1
    bench.windows.clear()
    assert bench.candles(where, "1m", now - 3 * DAY, now).digest == found[0]


def test_another_program_that_keeps_something_else_costs_no_candle(bench: Bench) -> None:
    """It read a chunk before we wrote into it, and wrote after us."""
    where, now = target("binance"), bench.freeze()
    put = bench.store.put_candle_chunks

    def overwritten(series: str, chunks: Mapping[int, bytes], at: datetime, most: int) -> None:
        begin = {number: number * SPAN * 60 for number in chunks}
        empty = (np.empty(0, dtype=np.int64), *(np.empty(0) for _ in range(5)))
        put(series, {number: pack([], empty, begin[number]) for number in chunks}, at, most)

    bench.store.put_candle_chunks = overwritten  # type: ignore[method-assign]
    found = bench.candles(where, "1m", now - 2 * DAY, now)
    assert rows(found) == path("binance", "1m", now - 2 * DAY, now - timedelta(seconds=SETTLED))
    bench.store.put_candle_chunks = put  # type: ignore[method-assign]
    assert bench.candles(where, "1m", now - 2 * DAY, now).digest == found.digest


# -- what an exchange does not have ------------------------------------------------------------------------------------


def binance_rows(
    keep: Callable[[int, int], bool], most: int | None = None, newest: bool = True
) -> Callable[..., bytes]:
    """A change of Binance's candles: only those for which `keep(opening time, step)` holds, at most so many."""

    def mutate(_exchange: str, name: str, body: bytes) -> bytes:
        if name != "/api/v3/klines":
            return body
        told = [row for row in json.loads(body) if keep(row[0] // 1000, (row[6] + 1 - row[0]) // 1000)]
        return json.dumps(told if most is None else told[-most:] if newest else told[:most]).encode()

    return mutate


def test_before_a_pair_was_listed_nothing_is_asked_for(bench: Bench, simulator: Simulator) -> None:
    now = bench.freeze()
    listed = int((now - 10 * DAY).timestamp()) // 60 * 60
    simulator.set_mutator(binance_rows(lambda at, step: at + step > listed))
    found = bench.candles(target("binance"), "1m", now - 200 * DAY, now)
    assert found.time[0] == listed and found.gaps == 0
    assert len(bench.windows) < 30, "ten days are fifteen pages; two hundred were three hundred"
    bench.windows.clear()
    assert bench.candles(target("binance"), "1m", now - 200 * DAY, now).digest == found.digest
    assert bench.windows == []


def test_old_candles_that_are_not_told_are_not_asked_for_for_ever(bench: Bench, simulator: Simulator) -> None:
    now = bench.freeze()
    oldest = int((now - 5 * DAY).timestamp()) // 60 * 60
    simulator.set_mutator(binance_rows(lambda at, step: step == 86_400 or at >= oldest))
    found = bench.candles(target("binance"), "1m", now - 100 * DAY, now)
    assert found.time[0] == oldest and found.gaps == 0
    assert len(bench.windows) < 20
    simulator.set_mutator(None)
    whole = bench.candles(target("binance"), "1m", now - 20 * DAY, now)
    assert len(whole) + whole.gaps >= 28_798 and whole.gaps < 1000, "silence is not taken for a market that was shut"


def test_a_market_that_was_shut_for_a_day(bench: Bench, simulator: Simulator) -> None:
    now = bench.freeze()
    shut = int((now - 6 * DAY).timestamp()) // 86_400 * 86_400 + 3600
    simulator.set_mutator(binance_rows(lambda at, step: step == 86_400 or not shut <= at < shut + 80 * 3600))
    found = bench.candles(target("binance"), "1m", now - 12 * DAY, now)
    assert found.gaps == 80 * 60 and found.begins < now - 12 * DAY + 2 * MINUTE
    gap = int(np.argmax(np.diff(found.time)))
    assert (found.time[gap] + 60, found.time[gap + 1]) == (shut, shut + 80 * 3600)


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("most", [100, 499])
def test_pages_that_are_cut_short_are_asked_for_again(
    newest: bool, most: int, bench: Bench, simulator: Simulator
) -> None:
    now = bench.freeze()
    simulator.set_mutator(binance_rows(lambda at, step: True, most, newest))
    found = bench.candles(target("binance"), "1m", now - 2 * DAY, now)
    assert rows(found) == path("binance", "1m", now - 2 * DAY, now - timedelta(seconds=SETTLED))
    assert len(bench.windows) < 3 * 2880 / most + 10


def test_a_candle_that_always_lacks_at_the_edge_is_fetched(bench: Bench, simulator: Simulator) -> None:
    """Were an exchange to leave the last minute of every page out, each page would cost one request more, no candle."""

    def without_last(_exchange: str, name: str, body: bytes) -> bytes:
        told = json.loads(body) if name == "/api/v3/klines" else []
        return json.dumps(told[:-2] if len(told) > 3 else told).encode() if told else body

    now = bench.freeze().replace(second=0, microsecond=0) - 3 * HOUR
    simulator.set_mutator(without_last)
    found = bench.candles(target("binance"), "1m", now - 2 * DAY, now)
    assert rows(found) == path("binance", "1m", now - 2 * DAY, now)


def test_a_thin_market(bench: Bench, simulator: Simulator) -> None:
    """Minutes without a trade have no candle: holes, and few requests more."""
    now = bench.freeze()
    simulator.set_mutator(binance_rows(lambda at, step: step > 60 or at // 60 * 7919 % 10 < 3))
    found = bench.candles(target("binance"), "1m", now - 4 * DAY, now)
    wanted = [
        row
        for row in path("binance", "1m", now - 4 * DAY, now - timedelta(seconds=SETTLED))
        if row[0] // 60 * 7919 % 10 < 3
    ]
    assert rows(found) == wanted and found.gaps > 3000
    assert len(bench.windows) <= 8
    bench.windows.clear()
    bench.candles(target("binance"), "1m", now - 4 * DAY, now - 2 * HOUR)
    assert bench.windows == []


def test_rows_that_are_no_candles_leave_holes(bench: Bench, simulator: Simulator) -> None:
    begin = int((bench.freeze() - 5 * HOUR).timestamp()) // 3600 * 3600
    bad = {begin + 600: "0", begin + 1200: "nan", begin + 1800: None}

    def spoil(_exchange: str, name: str, body: bytes) -> bytes:
        told = json.loads(body) if name == "/api/v3/klines" else None
        for row in told or ():
            if row[0] // 1000 in bad:
                row[3] = bad[row[0] // 1000]
            if row[0] // 1000 == begin + 2400:
                row[2] = row[3]  # the high falls short of open and close
        return body if told is None else json.dumps(told).encode()

    simulator.set_mutator(spoil)
    found = bench.candles(
        target("binance"), "5m", datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(begin + 3600, UTC)
    )
    assert [int(at - begin) // 300 for at in found.time] == [0, 1, 3, 5, 7, 8, 9, 10, 11]
    assert (found.high >= np.maximum(found.open, found.close)).all()


def test_the_last_ten_thousand_of_gate(bench: Bench) -> None:
    where, now = target("gate", Market.FUTURES), bench.freeze()
    assert bench.feed().intervals(where)["5m"] == 9990 * 5 * MINUTE
    assert bench.feed().intervals(target("bybit"))["5m"] is None
    with pytest.raises(CandlesError, match="only the last 9990 candles of 1m") as caught:
        bench.candles(where, "1m", now - 20 * DAY, now)
    assert bench.windows == []
    since = datetime.fromisoformat(str(caught.value.message.params["since"])).replace(tzinfo=UTC)
    found = bench.candles(where, "1m", since, now)
    assert found.begins == since and found.gaps == 0


def test_what_cannot_be_asked_for(bench: Bench) -> None:
    now = bench.freeze()
    with pytest.raises(CandlesError, match=r"Coinbase has no candles of 4h. Choose one of 1m, 5m, 15m, 1h, 1d"):
        bench.candles(target("coinbase"), "4h", now - DAY)
    with pytest.raises(CandlesError, match="has no candles of 7m"):
        bench.feed().candles(target("okx"), PAIR, timedelta(minutes=7), now - DAY)
    for since, until in ((now, None), (now - MINUTE, None), (now - DAY, now - 2 * DAY), (now + DAY, now + 2 * DAY)):
        with pytest.raises(CandlesError, match="No candle of 1h begins and ends"):
            bench.candles(target("okx"), "1h", since, until)
    with pytest.raises(CandlesError, match="at most 3000000 are taken"):
        bench.candles(target("okx"), "1m", now - 2200 * DAY)
    with pytest.raises(MarketsError, match="no futures"):
        bench.candles(target("coinbase", Market.FUTURES), "1h", now - DAY)
    assert bench.windows == []


def test_a_pair_without_candles(bench: Bench, simulator: Simulator) -> None:
    simulator.set_mutator(binance_rows(lambda at, step: False))
    now = bench.freeze()
    with pytest.raises(CandlesError, match="tells no candles of BTC/USDT between"):
        bench.candles(target("binance"), "1m", now - 100 * DAY, now)
    assert len(bench.windows) < 12
    simulator.set_mutator(None)
    assert len(bench.candles(target("binance"), "1m", now - DAY, now)) >= 1438, "silence is not kept"


# -- the workbench -----------------------------------------------------------------------------------------------------


def test_the_workbench_on_true_exchanges_and_in_the_tour(gateway: Gateway, simulator: Simulator) -> None:
    now = datetime.now(UTC) - 2 * HOUR
    with Workbench(open_store("sqlite://:memory:"), mode=Mode.LOCAL, gateway=gateway) as workbench:
        here = workbench.candles(target("okx", Market.FUTURES), "ETH/USDT", HOUR, now - DAY, now)
        assert len(here) == 24 and simulator.seen
        assert "read the candles of one pair" in {made.purpose for made in workbench.requests_made()}
    simulator.forget()
    with Workbench.tour() as tour:
        told: list[Window] = []
        found = tour.candles(
            target("okx", Market.FUTURES), "ETH/USDT", "1h", now - DAY, now, on_progress=lambda *one: told.append(one)
        )
        assert rows(found) == rows(here) and told[-1] == (len(found), len(found))
        assert tour.candle_intervals(target("coinbase")) == dict.fromkeys(("1m", "5m", "15m", "1h", "1d"))
        simulated = target("okx", Market.FUTURES).model_copy(update={"environment": Environment.SIMULATOR})
        assert rows(tour.candles(simulated, "ETH/USDT", "1h", now - DAY, now)) == rows(here)
    assert not simulator.seen, "the tour has exchanges of its own"


# -- chunks ------------------------------------------------------------------------------------------------------------

PRICES = st.one_of(
    st.integers(1, 10**9).map(lambda whole: whole / 100),
    st.integers(1, 10**12).map(lambda whole: whole / 10**8),
    st.floats(1e-12, 1e12, allow_nan=False),
)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[tuple[Any, ...], int]:
    begin, step = draw(st.integers(0, 40_000)) * SPAN * 60, draw(st.sampled_from([60, 3600, 86_400]))
    places = sorted(draw(st.sets(st.integers(0, SPAN - 1), max_size=12)))
    kind = draw(st.sampled_from([st.integers(1, 10**7).map(lambda whole: whole / 100), PRICES]))
    columns = [
        np.array(draw(st.lists(kind, min_size=len(places), max_size=len(places))), dtype=np.float64) for _ in range(5)
    ]
    return (np.array([begin + place * step for place in places], dtype=np.int64), *columns), begin


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks(), st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40)), max_size=5))
def test_a_chunk_comes_back_as_it_was(given_chunk: tuple[tuple[Any, ...], int], known: list[Window]) -> None:
    columns, begin = given_chunk
    blob = pack(known, columns, begin)
    assert stretches(blob) == known
    told, found = unpack(blob, begin)
    assert told == known and all(np.array_equal(one, other) for one, other in zip(columns, found, strict=True))
    assert [column.dtype for column in found] == [np.dtype("int64"), *[np.dtype("float64")] * 5]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_chunk_is_refused(blob: bytes) -> None:
    for text in (blob, b"\1\0\0" + blob):
        with pytest.raises(ValueError, match=r"these candles|this is no"):
            unpack(text, 0)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@settings(deadline=None)
@given(SPANS)
def test_stretches_together(spans: list[Window]) -> None:
    found = merged(spans)
    inside = {second for begin, end in spans for second in range(begin, end)}
    assert {second for begin, end in found for second in range(begin, end)} == inside
    assert all(one[1] < other[0] for one, other in pairwise(found)), "none touches another"


def a_year(begin: int) -> Mapping[str, Any]:
    """Minutes as an exchange with a fine grid tells them."""
    dice, count = np.random.default_rng(7), 525_600
    close = np.rint(60_000 * np.exp(np.cumsum(dice.standard_t(3, count) * 0.0006)) * 100) / 100
    first = np.concatenate([[60_000.0], close[:-1]])
    high = np.rint(np.maximum(first, close) * (1 + np.abs(dice.normal(0, 3e-4, count))) * 100) / 100
    low = np.rint(np.minimum(first, close) * (1 - np.abs(dice.normal(0, 3e-4, count))) * 100) / 100
    volume = np.rint(dice.lognormal(2, 1.2, count) * 1e5) / 1e5
    return {"columns": (begin + 60 * np.arange(count), first, high, np.minimum(low, high), close, volume)}


def test_a_year_of_minutes_takes_less_than_fifteen_megabytes() -> None:
    columns = a_year(1_735_689_600)["columns"]
    total = 0
    for place in range(0, 525_600, SPAN):
        part = tuple(column[place : place + SPAN] for column in columns)
        total += len(pack([(int(part[0][0]), int(part[0][-1]) + 60)], part, int(part[0][0])))
    assert total < 8_000_000
