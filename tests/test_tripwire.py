"""The tripwire: what it calls a stranger, on every exchange, and what it never does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bfai import tripwire
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer
from bfai.model import (
    BfaiError,
    Check,
    CheckName,
    Environment,
    Market,
    Outcome,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.tripwire import Tripwire, news, read_names, same_pair, strangers
from bfai.workbench import Workbench
from tests.helpers import run_once, sample

# For each exchange and market: how it writes DOGE against USDT and what else it asks for by default.
STRANGE = {
    ("mexc", "spot"): "DOGEUSDT",
    ("mexc", "futures"): "DOGE_USDT",
    ("binance", "spot"): "DOGEUSDT",
    ("binance", "futures"): "DOGEUSDT",
    ("bybit", "spot"): "DOGEUSDT",
    ("bybit", "futures"): "DOGEUSDT",
    ("gate", "spot"): "DOGE_USDT",
    ("gate", "futures"): "DOGE_USDT",
    ("okx", "spot"): "DOGE-USDT",
    ("okx", "futures"): "DOGE-USDT-SWAP",
    ("kucoin", "spot"): "DOGE-USDT",
    ("kucoin", "futures"): "DOGEUSDTM",
    ("htx", "spot"): "dogeusdt",
    ("htx", "futures"): "DOGE-USDT",
    ("bitget", "spot"): "DOGEUSDT",
    ("bitget", "futures"): "DOGEUSDT",
    ("bingx", "spot"): "DOGE-USDT",
    ("bingx", "futures"): "DOGE-USDT",
    ("coinbase", "spot"): "DOGE-USDT",
}
ONE_PAIR = {("mexc", "spot"), ("binance", "spot"), ("binance", "futures"), ("kucoin", "spot")}
"""Where a test asks for the orders of one pair, BTC against USDT, and cannot see any other."""


ONE_COIN = {("gate", "futures"), ("kucoin", "futures")}
"""Where the balance that a test reads is that of one coin."""


def test_every_exchange_and_market_is_here() -> None:
    assert set(STRANGE) == {(e.id, market.value) for e in all_exchanges().values() for market in e.markets}


@pytest.mark.parametrize(("exchange", "market"), STRANGE)
def test_a_strange_order_is_seen_in_the_answers_of_a_test(
    exchange: str, market: str, simulator: Simulator, gateway: Gateway
) -> None:
    keys, field = sample(simulator, exchange, "good"), f"{market}_orders"
    strange = STRANGE[exchange, market]
    bitcoin = strange.replace("DOGE", "XBT" if exchange == "kucoin" and market == "futures" else "BTC")
    bitcoin = bitcoin.replace("doge", "btc")
    listed = Tripwire(True, pairs=("BTC/USDT",))
    quiet = run_once(gateway, exchange, keys, market=market)
    assert quiet.order_pairs == ()
    calls = len(simulator.seen)
    simulator.change_account(exchange, "good", **{field: (bitcoin,)})
    own = run_once(gateway, exchange, keys, market=market)
    assert len(simulator.seen) == 2 * calls, "it asks nothing more"
    assert own.order_pairs == (bitcoin,)
    assert strangers(listed, quiet, own) == ((), ())
    assert strangers(Tripwire(True, pairs=("ETH/USDT",)), quiet, own) == ((), (bitcoin,))
    simulator.change_account(exchange, "good", **{field: (bitcoin, strange)})
    both = run_once(gateway, exchange, keys, market=market)
    target = Target(exchange=exchange, market=Market(market), region=all_exchanges()[exchange].regions[0].id)
    blind = tripwire.blind_spots(all_exchanges()[exchange], target)
    if (exchange, market) in ONE_PAIR:
        assert both.order_pairs == (bitcoin,)
        assert same_pair(str(blind.params["pair"])) == "BTCUSDT"
    else:
        assert set(both.order_pairs or ()) == {bitcoin, strange}
        assert strangers(listed, own, both) == ((), (strange,))
        assert "pair" not in blind.params
    assert both.status == quiet.status


@pytest.mark.parametrize(("exchange", "market"), STRANGE)
def test_a_strange_asset_is_seen_in_the_balance(
    exchange: str, market: str, simulator: Simulator, gateway: Gateway
) -> None:
    keys = sample(simulator, exchange, "good")
    quiet = run_once(gateway, exchange, keys, market=market)
    had = tripwire.assets_seen(quiet)
    assert had
    unified = "spot" if exchange in ("okx", "bybit") else market  # one balance for both markets
    simulator.change_account(exchange, "good", **{unified: {"USDT": "10", "DOGE": "7"}})
    after = run_once(gateway, exchange, keys, market=market)
    if (exchange, market) in ONE_COIN:
        assert tripwire.assets_seen(after) == {"USDT"}
        return
    assert strangers(Tripwire(True, ("USDT", "BTC")), quiet, after) == (("DOGE",), ())
    assert strangers(Tripwire(True, ("USDT", "DOGE")), quiet, after) == ((), ())
    assert strangers(Tripwire(True, (), ("DOGE/USDT",)), quiet, after) == ((), ())
    assert strangers(Tripwire(False, ("USDT",)), quiet, after) == ((), ())


@pytest.mark.parametrize("exchange", sorted(all_exchanges()))
def test_an_answer_that_names_no_pair_tells_of_none(exchange: str) -> None:
    """An order without its pair, an error or a page of HTML is not the same as no open order."""
    adapter = all_exchanges()[exchange]
    for market in adapter.markets:
        for body in ("", "<html>", "{}", "null", '{"code":500}', '[{"x":1}]', '{"orders":[{}],"data":[{}]}'):
            assert not adapter.order_pairs(market, Answer(role="orders", status=200, body=body))


# -- by itself ---------------------------------------------------------------------------------------------------------


def run_with(assets: Any = (), pairs: Any = (), **changes: Any) -> TestRun:
    read = Outcome.PASS if assets is not None else Outcome.FAIL
    return TestRun(
        id="x",
        exchange="mexc",
        region="global",
        environment=Environment.LIVE,
        market=Market.SPOT,
        status=Status.ONLINE,
        checks=(Check(name=CheckName.BALANCE, outcome=read),),
        balances=dict.fromkeys(assets or (), "1"),
        order_pairs=None if pairs is None else tuple(pairs),
        started_at=utc_now(),
        duration_ms=1.0,
        **changes,
    )


ON = Tripwire(True, ("USDT",), ("BTC/USDT",))


def test_what_was_there_before_is_no_stranger_and_nothing_before_is_no_measure() -> None:
    now = run_with(("USDT", "DOGE"), ("DOGEUSDT",))
    assert strangers(ON, run_with(("DOGE",), ("DOGE-USDT",)), now) == ((), ())
    assert strangers(ON, run_with(None, None), now) == ((), ())
    assert strangers(ON, None, now) == ((), ())
    assert strangers(ON, run_with(), now) == (("DOGE",), ("DOGEUSDT",))
    assert strangers(ON, run_with(), run_with(None, None)) == ((), ())


def test_a_test_that_read_nothing_between_hides_nothing() -> None:
    now = run_with(("DOGE",), ("DOGEUSDT",))
    assert strangers(ON, [run_with(None, ()), run_with((), None), run_with()], now) == (("DOGE",), ("DOGEUSDT",))
    assert strangers(ON, iter([run_with(None, None), run_with()]), now) == (("DOGE",), ("DOGEUSDT",))


def test_a_stranger_stays_one_until_it_is_gone_or_listed_and_is_news_once() -> None:
    before = run_with(("USDT",), ())
    first = run_with(("USDT", "DOGE"), ("DOGEUSDT",))
    found = strangers(ON, before, first)
    first = first.model_copy(update={"stranger_assets": found[0], "stranger_orders": found[1]})
    assert news(before, first) == (("DOGE",), ("DOGEUSDT",))
    second = run_with(("USDT", "DOGE", "PEPE"), ("DOGEUSDT",))
    found = strangers(ON, first, second)
    assert found == (("DOGE", "PEPE"), ("DOGEUSDT",))
    second = second.model_copy(update={"stranger_assets": found[0], "stranger_orders": found[1]})
    assert news(first, second) == (("PEPE",), ())
    assert news([run_with(None, None), first], second) == (("PEPE",), ())
    listed = Tripwire(True, ("USDT", "DOGE", "PEPE"), ("BTC/USDT", "DOGE/USDT"))
    assert strangers(listed, second, second) == ((), ())
    assert strangers(ON, second, run_with(("USDT",), ())) == ((), ())


NAMES = some.sampled_from(["USDT", "BTC", "DOGE", "PEPE", "ETH"])
PAIRS = some.sampled_from(["BTCUSDT", "DOGE-USDT", "ETH_USDT", "PEPEUSDTM", "SOL-USDT-SWAP"])


@settings(deadline=None)
@given(some.sets(NAMES), some.sets(NAMES), some.sets(NAMES), some.sets(PAIRS), some.sets(PAIRS), some.sets(PAIRS))
def test_strangers_are_exactly_what_is_new_and_not_listed(
    listed: set[str], then: set[str], now: set[str], known: set[str], had: set[str], has: set[str]
) -> None:
    wire = Tripwire(True, tuple(listed), tuple(known))
    whole = {pair.upper().partition(":")[0] for pair in known}
    implied = {part for pair in whole for part in pair.replace("_", "-").split("-")}
    assets, pairs = strangers(wire, run_with(then, had), run_with(now, has))
    assert set(assets) == now - then - listed - implied
    assert set(pairs) == {pair for pair in has if pair not in had and pair not in known}


@pytest.mark.parametrize(
    "name",
    ["BTC/USDT", "btcusdt", "BTC-USDT", "BTC_USDT", "BTC/USDT:USDT", "BTC-USDT-SWAP", "XBTUSDTM", "XBT/USDT"],
)
def test_one_pair_by_all_its_names(name: str) -> None:
    assert same_pair(name) == "BTCUSDT"


def test_other_pairs_stay_others() -> None:
    names = ["BTCUSDT", "BTCUSDC", "BTC-USD", "ETHBTC", "BTC-USDT-250926", "XBTUSDCM", "ATOM-USDT", "USDTM-USDT"]
    keys = [same_pair(name) for name in names]
    assert len(set(keys)) == len(names) - 1, "BTCUSDC and XBTUSDCM are one"


def test_lists_as_people_type_them() -> None:
    assert read_names("usdt, btc;ETH\n  btc ", pairs=False) == ("USDT", "BTC", "ETH")
    assert read_names("btc/usdt BTC/USDT:USDT\tdoge-usdt-swap", pairs=True) == (
        "BTC/USDT",
        "BTC/USDT:USDT",
        "DOGE-USDT-SWAP",
    )
    assert read_names(" , ", pairs=True) == ()
    for text in ("USDT!", "<b>", "ün", "x" * 31, "BTC/USDT"):
        with pytest.raises(BfaiError, match="no asset or pair"):
            read_names(text, pairs=False)
    with pytest.raises(BfaiError, match="up to 200"):
        read_names(",".join(f"A{number}" for number in range(201)), pairs=False)


@settings(deadline=None)
@given(some.one_of(some.none(), some.text(), some.dictionaries(some.text(), some.none() | some.lists(some.integers()))))
def test_a_setting_that_is_no_tripwire_is_one_that_is_off(value: Any) -> None:
    assert Tripwire.from_json(value) == Tripwire()


# -- in the workbench --------------------------------------------------------------------------------------------------


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        yield found


@pytest.fixture
def id_(workbench: Workbench, simulator: Simulator) -> str:
    draft = workbench.draft(Target(exchange="bybit"), sample(simulator, "bybit", "good"))
    workbench.start_draft_test(draft.id).wait(10)
    return workbench.save_draft(draft.id, name="Bybit Spot Grid").id


def test_it_is_off_until_it_is_set(workbench: Workbench, simulator: Simulator, id_: str) -> None:
    assert workbench.tripwire(id_) == Tripwire()
    simulator.change_account("bybit", "good", spot_orders=("DOGEUSDT",), spot={"USDT": "5", "DOGE": "9"})
    run = workbench.start_test(id_).wait(10)
    assert (run.stranger_assets, run.stranger_orders) == ((), ())
    assert run.order_pairs == ("DOGEUSDT",)


def test_it_raises_the_alarm_and_changes_no_status(workbench: Workbench, simulator: Simulator, id_: str) -> None:
    with pytest.raises(BfaiError, match="List what the bot may touch"):
        workbench.set_tripwire(id_, on=True, assets=" ", pairs="")
    workbench.set_tripwire(id_, on=True, assets="", pairs="btc/usdt")
    before = workbench.start_test(id_).wait(10)
    assert workbench.alarms(before) == ()
    simulator.change_account("bybit", "good", spot_orders=("DOGEUSDT", "BTCUSDT"), spot={"USDT": "5", "DOGE": "9"})
    run = workbench.start_test(id_).wait(10)
    assert (run.stranger_assets, run.stranger_orders) == (("DOGE",), ("DOGEUSDT",))
    assert workbench.run(run.id) == run
    assert run.status is before.status
    assert [alarm.params["names"] for alarm in workbench.alarms(run)] == ["DOGE", "DOGEUSDT"]
    connection = workbench.connection(id_)
    assert connection is not None
    assert workbench.next_step(connection, run) == workbench.alarms(run)[0]
    simulator.set_faults([{"path": "/v5/order/realtime", "kind": "status", "status": 503}])
    blind = workbench.start_test(id_).wait(10)
    assert (blind.order_pairs, blind.stranger_orders) == (None, ())
    simulator.set_faults([])
    again = workbench.start_test(id_).wait(10)
    assert again.stranger_orders == ("DOGEUSDT",), "it is still there, and still not listed"
    workbench.set_tripwire(id_, on=True, assets="doge", pairs="BTC/USDT, DOGE/USDT")
    assert workbench.alarms(workbench.start_test(id_).wait(10)) == ()


def test_an_account_of_many_assets_has_no_false_strangers(workbench: Workbench, simulator: Simulator, id_: str) -> None:
    """More than a run keeps the balances of: what is pushed out by a newcomer did not come back when it goes."""
    many = {f"A{number:03}": "1" for number in range(100)}
    simulator.change_account("bybit", "good", spot={"USDT": "5", **many})
    workbench.set_tripwire(id_, on=True, assets="USDT", pairs="")
    workbench.start_test(id_).wait(10)
    first = workbench.start_test(id_).wait(10)
    assert len(tripwire.assets_seen(first) or ()) == 101
    assert len(first.balances) == 30
    simulator.change_account("bybit", "good", spot={"USDT": "5", "A0": "1", **many})
    second = workbench.start_test(id_).wait(10)
    new = set(second.stranger_assets) - set(first.stranger_assets)
    assert new == {"A0"}
    simulator.change_account("bybit", "good", spot={"USDT": "5", **many})
    third = workbench.start_test(id_).wait(10)
    assert set(third.stranger_assets) <= set(first.stranger_assets)


def test_it_suggests_what_is_there_and_goes_with_its_connection(
    workbench: Workbench, simulator: Simulator, id_: str
) -> None:
    simulator.change_account("bybit", "good", spot_orders=("BTCUSDT",))
    workbench.start_test(id_).wait(10)
    suggested = workbench.suggest_tripwire(id_)
    assert (suggested.on, suggested.pairs) == (False, ("BTCUSDT",))
    assert set(suggested.assets) == {"BTC", "USDT"}
    workbench.set_tripwire(id_, on=True, assets="USDT", pairs="")
    workbench.pair(id_)
    workbench.delete(id_)
    assert workbench._store.setting(f"tripwire/{id_}") is None
    assert workbench._store.setting(f"pairing/{id_}") is None
