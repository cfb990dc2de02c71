"""What an account pays and must keep, read with its key: on every exchange, over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, Fees, only
from bfai.model import Connection, Market, Status, Target, utc_now
from bfai.simulator import Simulator
from bfai.strategy import desk
from bfai.strategy.limits import FeesFrom, PairRules
from bfai.strategy.parameters import RiskLevel, StrategyError, preset
from bfai.strategy.terms import Terms
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

ALL = [(exchange.id, market) for exchange in all_exchanges().values() for market in exchange.markets]
TOLD = [pair for pair in ALL if pair != ("htx", Market.FUTURES)]
HOUR = timedelta(hours=1)


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        yield found


def connect(workbench: Workbench, simulator: Simulator, exchange: str, market: Market) -> Connection:
    region = get_exchange(exchange).regions[0].id
    target = Target(exchange=exchange, market=market, region=region)
    draft = workbench.draft(target, sample(simulator, exchange, "good"))
    if workbench.start_draft_test(draft.id).wait(20).status is Status.BLOCKED:
        workbench.confirm_draft(draft.id)
    return workbench.save_draft(draft.id, name=f"{exchange} {market.value}")


def rules_of(workbench: Workbench, connection: Connection, pair: str = "BTC/USDT") -> PairRules:
    parameters = preset(RiskLevel.BALANCED, connection.target.market, [pair], "100")
    found = workbench.strategies.facts(connection.id, parameters).rules[pair]
    assert found is not None
    return found


def asked(simulator: Simulator, connection: Connection) -> list[str]:
    """The calls about the account's terms that the exchange saw."""
    paths = {call.path for call in get_exchange(connection.target.exchange).account_calls(connection.target)}
    return [str(seen["path"]) for seen in simulator.seen if seen["path"] in paths]


@pytest.mark.parametrize(("exchange", "market"), TOLD)
def test_the_fees_are_those_of_the_account(
    workbench: Workbench, simulator: Simulator, exchange: str, market: Market
) -> None:
    own = ["0.0011", "0.0013"] if market is Market.SPOT else ["0.00021", "0.00043"]
    simulator.change_account(exchange, "good", **{f"{market.value}_fees": own})
    connection = connect(workbench, simulator, exchange, market)
    rules = rules_of(workbench, connection)
    assert (rules.maker, rules.taker, rules.fees_from) == (Decimal(own[0]), Decimal(own[1]), FeesFrom.ACCOUNT)
    strategy = workbench.strategies.create("S", connection.id, preset(RiskLevel.BALANCED, market, ["BTC/USDT"], "100"))
    (ladder,) = workbench.strategies.review(strategy.id).ladders.values()
    assert (ladder.market.maker, ladder.market.taker) == (Decimal(own[0]), Decimal(own[1]))
    assert simulator.violations == []


def test_a_rebate_is_below_zero(workbench: Workbench, simulator: Simulator) -> None:
    for exchange in ("okx", "binance"):
        simulator.change_account(exchange, "good", futures_fees=["-0.00005", "0.0003"])
        assert rules_of(workbench, connect(workbench, simulator, exchange, Market.FUTURES)).maker == Decimal("-0.00005")


def test_htx_tells_nobody_by_a_get_request_what_futures_cost(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "htx", Market.FUTURES)
    assert rules_of(workbench, connection).fees_from is FeesFrom.TABLE
    assert asked(simulator, connection) == []


@pytest.mark.parametrize("exchange", ["binance", "bingx"])
def test_tiers_that_need_a_key_give_a_liquidation_price(
    workbench: Workbench, simulator: Simulator, exchange: str
) -> None:
    connection = connect(workbench, simulator, exchange, Market.FUTURES)
    parameters = preset(RiskLevel.BALANCED, Market.FUTURES, ["BTC/USDT"], "100")
    strategy = workbench.strategies.create("S", connection.id, parameters)
    told = workbench.strategies.review(strategy.id)
    (ladder,) = told.ladders.values()
    assert "liquidation_unknown" not in {problem.code for problem in told.problems}
    assert ladder.levels[0].liquidation_price is not None
    # Amounts of tiers that Binance adjusts for one account are not documented, so they are not guessed.
    if exchange == "binance":
        assert rules_of(workbench, connection, "ETH/USDT").tiers is None


def test_they_are_asked_once_a_day_and_not_while_the_vault_is_locked(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(workbench, simulator, "bybit", Market.SPOT)
    workbench.lock()
    assert rules_of(workbench, connection).fees_from is FeesFrom.TABLE
    assert asked(simulator, connection) == []
    workbench.unlock("correct horse battery staple")
    for _ in range(3):
        assert rules_of(workbench, connection).fees_from is FeesFrom.ACCOUNT
    assert len(asked(simulator, connection)) == 1
    workbench.lock()
    assert rules_of(workbench, connection).fees_from is FeesFrom.ACCOUNT, "what was told is kept"
    workbench.unlock("correct horse battery staple")
    later = utc_now() + desk.TERMS_HOLD + HOUR
    monkeypatch.setattr(desk, "utc_now", lambda: later)
    rules_of(workbench, connection)
    assert len(asked(simulator, connection)) == 2


def test_a_refusal_is_no_obstacle_and_is_tried_again_after_an_hour(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    simulator.set_faults([{"exchange": "mexc", "path": "/api/v3/tradeFee", "kind": "html", "status": 403}])
    for _ in range(3):
        assert rules_of(workbench, connection).fees_from is FeesFrom.EXCHANGE
    assert len(asked(simulator, connection)) == 1
    simulator.set_faults([])
    later = utc_now() + desk.TERMS_ASKED_AGAIN + HOUR
    monkeypatch.setattr(desk, "utc_now", lambda: later)
    assert rules_of(workbench, connection).fees_from is FeesFrom.ACCOUNT


def test_a_hanging_call_does_not_hold_up_the_page(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    rules_of(workbench, connection)
    monkeypatch.setattr("bfai.workbench.TERMS_SECONDS", 0.3)
    simulator.set_faults([{"exchange": "mexc", "path": "/api/v3/tradeFee", "kind": "hang"}])
    assert rules_of(workbench, connection, "ETH/USDT").fees_from is FeesFrom.EXCHANGE


def test_another_key_is_asked_anew_and_a_deleted_connection_leaves_nothing(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "kucoin", Market.SPOT)
    rules_of(workbench, connection)
    draft = workbench.draft(connection.target, sample(simulator, "kucoin", "sub_account"), replaces=connection.id)
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    workbench.save_draft(draft.id, name=connection.name)
    simulator.change_account("kucoin", "sub_account", spot_fees=["0.0003", "0.0004"])
    again = workbench.connection(connection.id)
    assert again is not None
    assert rules_of(workbench, again).maker == Decimal("0.0003")
    store: Any = workbench._store
    kept = "SELECT count(*) FROM market_data WHERE name LIKE 'account/%'"
    assert store._db.execute(kept).fetchone()[0] == 1
    workbench.delete(connection.id)
    assert store._db.execute(kept).fetchone()[0] == 0


def test_a_confirmation_makes_no_test_younger(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(workbench, simulator, "gate", Market.SPOT)
    run = workbench.latest_run(connection.id)
    assert run is not None
    store: Any = workbench._store
    blocked = Status.BLOCKED
    aged = run.model_copy(
        update={"id": "f" * 32, "started_at": utc_now(), "answered_at": utc_now() - 25 * HOUR, "status": blocked}
    )
    store.add_run(aged)
    strategy = workbench.strategies.create(
        "S", connection.id, preset(RiskLevel.BALANCED, Market.SPOT, ["SOL/USDT"], "12")
    )
    with pytest.raises(StrategyError) as refused:
        workbench.strategies.enable(strategy.id)
    assert "connection_stale" in {problem.code for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("exchange", "market", "body"),
    [
        ("bybit", Market.SPOT, {"result": {"list": [{"makerFeeRate": "0.1", "takerFeeRate": "0.1"}]}}),
        ("bybit", Market.SPOT, {"result": {"list": []}}),
        ("bybit", Market.SPOT, {"result": {"list": [{"makerFeeRate": "1"}, {"makerFeeRate": "2"}]}}),
        ("kucoin", Market.FUTURES, {"data": {"makerFeeRate": "NaN", "takerFeeRate": "0.001"}}),
        ("binance", Market.SPOT, {"standardCommission": {"maker": "0.001", "taker": None}}),
        ("binance", Market.FUTURES, {"makerCommissionRate": "0.0002"}),
        ("okx", Market.SPOT, {"data": [{"maker": "", "taker": ""}]}),
        ("mexc", Market.SPOT, {"data": None}),
        ("gate", Market.FUTURES, {"A": {"maker_fee": "0"}, "B": {"maker_fee": "0"}}),
    ],
)
def test_what_is_not_told_as_documented_is_not_told(exchange: str, market: Market, body: object) -> None:
    answer = Answer(status=200, body=json.dumps(body))
    assert get_exchange(exchange).read_fees(market, "USDT", answer) is None


def test_binance_adds_up_the_parts_of_a_fee() -> None:
    parts = {
        "standardCommission": {"maker": "0.0007", "taker": "0.0009", "buyer": "0.0001", "seller": "0.0002"},
        "specialCommission": {"maker": "0.00001", "taker": "0.00001", "buyer": "0", "seller": "0"},
        "taxCommission": {"maker": "0.0001", "taker": "0.0001", "buyer": "0", "seller": "0"},
    }
    found = get_exchange("binance").read_fees(Market.SPOT, "USDT", Answer(status=200, body=json.dumps(parts)))
    assert found == Fees(Decimal("0.00101"), Decimal("0.00121"))


@pytest.mark.parametrize(
    "row",
    [
        {"notionalFloor": 10, "notionalCap": 50, "maintMarginRatio": 0.01, "cum": 0},
        {"notionalFloor": 0, "notionalCap": 50, "maintMarginRatio": 0, "cum": 0},
        {"notionalFloor": 0, "notionalCap": 50, "maintMarginRatio": 0.01},
    ],
)
def test_half_a_table_of_tiers_is_none(row: object) -> None:
    answer = Answer(status=200, body=json.dumps([{"symbol": "BTCUSDT", "brackets": [row]}]))
    assert get_exchange("binance").read_tiers(answer) is None
    gap = [
        {"notionalFloor": 0, "notionalCap": 50, "maintMarginRatio": 0.01, "cum": 0},
        {"notionalFloor": 60, "notionalCap": 90, "maintMarginRatio": 0.02, "cum": 1},
    ]
    answer = Answer(status=200, body=json.dumps([{"symbol": "BTCUSDT", "brackets": gap}]))
    assert get_exchange("binance").read_tiers(answer) is None


def test_only_finds_the_one_item() -> None:
    assert only({"a": [{"b": 1}]}, "a.*.b") == 1
    assert only({"a": {"x": {"b": 1}}}, "a.*.b") == 1
    assert only({"a": [1, 2]}, "a.*") is None
    assert only({"a": []}, "a.*") is None
    assert only(None, "a.*.b") is None


def test_terms_survive_the_cache() -> None:
    tiers = get_exchange("bingx").read_tiers(
        Answer(
            status=200,
            body='{"data":[{"minPositionVal":"0","maxPositionVal":"9","maintMarginRatio":"0.01","maintAmount":"0"}]}',
        )
    )
    terms = Terms(Fees(Decimal("-0.0001"), Decimal("0.0005")), tiers)
    assert tiers
    assert Terms.from_json(json.loads(json.dumps(terms.to_json()))) == terms
    for stored in ({}, {"format": "bfai.terms/1"}, {"format": "bfai.terms/1", "fees": ["x", "y"], "tiers": None}):
        with pytest.raises(ValueError, match="these are no"):
            Terms.from_json(stored)
