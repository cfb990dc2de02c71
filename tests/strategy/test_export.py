"""Exports: what Freqtrade and the exchanges' own ladders get, what they cannot do, and that no key is in them."""

from __future__ import annotations

import ast
import json
import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bfai.model import Environment, Market, Target
from bfai.strategy.export import FUTURES, NAMES, STRATEGY_FILE, engine_name, freqtrade, refused, unsupported
from bfai.strategy.export.hosted import hosted, hosted_unsupported
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Parameters, Severity, StrategyError, preset

MARKET = LadderMarket(
    "spot",
    Decimal("0.1"),
    Decimal("0.00001"),
    Decimal("0.0008"),
    Decimal("0.001"),
    min_amount=Decimal("0.00001"),
    min_cost=Decimal(5),
)
SWAP = LadderMarket("linear_swap", Decimal("0.1"), Decimal("0.001"), Decimal("0.0002"), Decimal("0.0005"))


def spot(**changes: Any) -> Parameters:
    return preset("balanced", Market.SPOT, ["BTC/USDT"], "100").changed(**changes)


def futures(**changes: Any) -> Parameters:
    return preset("balanced", Market.FUTURES, ["BTC/USDT"], "100").changed(**changes)


def codes(parameters: Parameters, exchange: str = "binance", **where: Any) -> set[str]:
    target = Target(exchange=exchange, market=parameters.market, **where)
    return {problem.code for problem in unsupported(parameters, target)}


def config(parameters: Parameters, exchange: str = "binance") -> dict[str, Any]:
    market = SWAP if parameters.market is Market.FUTURES else MARKET
    target = Target(exchange=exchange, market=parameters.market)
    markets = dict.fromkeys(parameters.pairs, market)
    return freqtrade(parameters, markets, target, balance=Decimal(1000), name="Grid", revision=7).config


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"addon_resting": 2}, "engine_resting"),
        ({"addon_mode": "zones"}, "engine_zones"),
        ({"addon_mode": "strict"}, "engine_zones"),
        ({"start_condition": "signal"}, "engine_signal"),
    ],
)
def test_what_freqtrade_cannot_do_is_refused_before_anything_is_written(changes: dict[str, Any], code: str) -> None:
    parameters = spot(**changes)
    problems = unsupported(parameters, Target(exchange="binance"))
    assert code in {problem.code for problem in refused(problems)}
    with pytest.raises(StrategyError) as error:
        freqtrade(parameters, {"BTC/USDT": MARKET}, Target(exchange="binance"), balance=Decimal(1000))
    assert code in {problem.code for problem in error.value.problems}
    for problem in refused(problems):
        for fix in problem.fixes:  # the suggested change mends it
            mended = parameters.changed(**{fix.field.replace(".", "__"): fix.value})
            assert problem.code not in codes(mended)


def test_both_directions_are_refused() -> None:
    assert "engine_two_directions" in codes(futures(directions=["long", "short"]))


@pytest.mark.parametrize(
    ("exchange", "region", "market", "name"),
    [
        ("mexc", "global", Market.FUTURES, None),
        ("kucoin", "global", Market.FUTURES, None),
        ("htx", "global", Market.FUTURES, None),
        ("bingx", "global", Market.FUTURES, None),
        ("okx", "eea", Market.FUTURES, None),
        ("bybit", "nl", Market.SPOT, None),
        ("mexc", "global", Market.SPOT, "mexc"),
        ("okx", "eea", Market.SPOT, "myokx"),
        ("okx", "global", Market.FUTURES, "okx"),
        ("binance", "us", Market.SPOT, "binanceus"),
    ],
)
def test_where_freqtrade_trades(exchange: str, region: str, market: Market, name: str | None) -> None:
    target = Target(exchange=exchange, region=region, market=market)
    assert engine_name(target, market) == name
    parameters = futures() if market is Market.FUTURES else spot()
    problems = {problem.code: problem.severity for problem in unsupported(parameters, target)}
    wrong = {code for code in problems if code in ("engine_no_futures", "engine_region")}
    assert bool(wrong) == (name is None)


def test_futures_names_are_among_all_names() -> None:
    assert set(NAMES.values()) >= FUTURES


@pytest.mark.parametrize(
    ("parameters", "exchange", "code"),
    [
        (spot(trailing={"activation_pct": "1", "delta_pct": "0.5"}), "binance", "engine_trailing"),
        (spot(recovery__separate_connection_id="x"), "binance", "engine_separate"),
        (spot(addon_order_type="market"), "binance", "engine_addon_market"),
        (spot(on_stop="close"), "binance", "engine_on_stop"),
        (spot(recovery__return_mode="manual"), "binance", "engine_manual_return"),
        (spot(stop_loss_pct="20"), "mexc", "engine_stop_watched"),
        (spot(), "kucoin", "engine_unofficial"),
    ],
)
def test_differences_are_told_and_do_not_refuse(parameters: Parameters, exchange: str, code: str) -> None:
    problems = unsupported(parameters, Target(exchange=exchange))
    assert {problem.code: problem.severity for problem in problems}[code] is Severity.WARNING
    assert not refused(problems)


def test_a_test_account_is_told_apart() -> None:
    assert "engine_environment" in codes(spot(), environment=Environment.TESTNET)
    assert not codes(spot())


def test_a_first_order_that_freqtrade_would_refuse_is_found() -> None:
    target = Target(exchange="binance")
    small = spot(first_entry_size="7.4")
    assert "engine_minimum" in {problem.code for problem in unsupported(small, target, {"BTC/USDT": MARKET})}
    assert not unsupported(spot(first_entry_size="7.5"), target, {"BTC/USDT": MARKET})


def test_the_config_is_dry_and_holds_what_the_strategy_file_needs() -> None:
    found = config(futures(leverage=5, stop_loss_pct="8"))
    assert found["dry_run"] is True
    assert found["exchange"] == {"name": "binance", "pair_whitelist": ["BTC/USDT:USDT"], "pair_blacklist": []}
    assert (found["trading_mode"], found["margin_mode"], found["liquidation_buffer"]) == ("futures", "isolated", 0.0)
    assert found["max_entry_position_adjustment"] == 6 and found["unfilledtimeout"]["entry"] == 525_600
    assert found["stoploss"] == -5.0 and found["use_custom_stoploss"] is True
    assert found["order_types"]["stoploss_on_exchange"] is True
    assert found["custom_price_max_distance_ratio"] > 0.9
    assert found["cancel_open_orders_on_exit"] is True
    assert found["available_capital"] == 300.0  # 30 % of 1000
    block = found["bfai"]
    assert (block["name"], block["revision"], block["balance"], block["total_limit"]) == ("Grid", 7, "1000", "300")
    assert block["pair_limit"] == "100" and block["digest"] == futures(leverage=5, stop_loss_pct="8").digest
    assert block["markets"]["BTC/USDT:USDT"]["tick_size"] == "0.1" and "state_file" not in block


def test_the_stop_is_never_left_to_freqtrades_own_rule() -> None:
    found = config(spot(stop_loss_pct=None))
    assert found["stoploss"] == -1.0 and found["use_custom_stoploss"] is False
    assert found["order_types"]["stoploss_on_exchange"] is False
    assert found["max_open_trades"] == 3 and found["use_exit_signal"] is False


def test_a_watched_one_names_its_state_file() -> None:
    target = Target(exchange="binance")
    bundle = freqtrade(spot(), {"BTC/USDT": MARKET}, target, balance=Decimal(1000), state_max_age=timedelta(hours=24))
    assert bundle.config["bfai"]["state_file"] == "state.json"
    assert bundle.config["bfai"]["state_max_age_s"] == 86_400


def test_files_are_their_owners_alone_and_hold_no_key(tmp_path: Path) -> None:
    bundle = freqtrade(spot(), {"BTC/USDT": MARKET}, Target(exchange="binance"), balance=Decimal(1000))
    bundle.write(tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "out").as_posix() for path in files} == set(bundle.files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    exchange = json.loads((tmp_path / "out" / "config.json").read_text())["exchange"]
    assert not {"key", "secret", "password", "apiKey", "uid"} & set(exchange)


def test_intervals_that_freqtrade_does_not_know_and_pairs_without_rules_are_refused() -> None:
    target = Target(exchange="binance")
    with pytest.raises(StrategyError, match="candles"):
        freqtrade(spot(), {"BTC/USDT": MARKET}, target, balance=Decimal(1), interval=timedelta(minutes=7))
    with pytest.raises(StrategyError, match="BTC/USDT"):
        freqtrade(spot(), {}, target, balance=Decimal(1))


def test_the_strategy_file_imports_nothing_of_ours_and_never_opens_the_network() -> None:
    bundle = freqtrade(spot(), {"BTC/USDT": MARKET}, Target(exchange="binance"), balance=Decimal(1000))
    tree = ast.parse(bundle.files[STRATEGY_FILE])
    roots: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    allowed = {"collections", "dataclasses", "datetime", "decimal", "freqtrade", "json", "logging", "math", "pandas"}
    assert roots <= allowed | {"pathlib", "typing"}


# -- what exchanges run themselves -------------------------------------------------------------------------------------


def fitting_bybit(**changes: Any) -> Parameters:
    base = {
        "addon_step_reference": "average",
        "addon_step_multiplier": "1",
        "addon_multiplier": "1.1",
        "addon_size": "110",
        "stop_loss_pct": "10",
        "leverage": 3,
    }
    return futures(**(base | changes))


def test_bybits_own_ladder() -> None:
    found = hosted(fitting_bybit(), "bybit", {"BTC/USDT": Decimal("1000")})
    (body,) = found.bodies
    assert body == {
        "symbol": "BTCUSDT",
        "martingale_mode": 1,
        "leverage": "3",
        "price_float_percent": "0.015",
        "add_position_percent": "1.1",
        "add_position_num": 6,
        "init_margin": "1000",
        "round_tp_percent": "0.012",
        "auto_cycle_toggle": 1,
        "sl_percent": "0.3",
    }
    assert "hosted_recovery" in {problem.code for problem in found.problems}
    assert json.loads(found.text)["request"].startswith("POST /v5/")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"addon_step_reference": "base"}, "hosted_reference"),
        ({"addon_step_multiplier": "1.2"}, "hosted_multiplier"),
        ({"addon_size": "100"}, "hosted_size"),
        ({"addon_mode": "zones"}, "hosted_zones"),
        ({"start_condition": "rsi", "start_rsi": 30}, "hosted_start"),
    ],
)
def test_what_bybits_ladder_cannot_do(changes: dict[str, Any], code: str) -> None:
    assert code in {problem.code for problem in hosted_unsupported(fitting_bybit(**changes), "bybit")}
    with pytest.raises(StrategyError):
        hosted(fitting_bybit(**changes), "bybit", {"BTC/USDT": Decimal(1)})


def test_okxs_own_ladder() -> None:
    parameters = futures(leverage=3, stop_loss_pct="20", directions=["short"], start_condition="rsi", start_rsi=30)
    (body,) = hosted(parameters, "okx", {"BTC/USDT": Decimal(1)}).bodies
    assert body["instId"] == "BTC-USDT-SWAP" and body["direction"] == "short" and body["allowReinvest"] == "false"
    assert (body["pxSteps"], body["pxStepsMult"], body["volMult"]) == ("0.015", "1.2", "1.3")
    assert body["triggerParams"][0] | {} == {
        "triggerAction": "start", "triggerStrategy": "rsi", "timeframe": "15m", "timePeriod": "14", "thold": "70",
        "triggerCond": "above",
    }  # fmt: skip
    (plain,) = hosted(spot(), "okx", {"BTC/USDT": Decimal(1)}).bodies
    assert "lever" not in plain and plain["algoOrdType"] == "spot_dca" and plain["tpPct"] == "0.012"


def test_okxs_stop_lies_deeper_than_all_steps() -> None:
    assert "hosted_stop" in {problem.code for problem in hosted_unsupported(spot(stop_loss_pct="10"), "okx")}
    assert "hosted_stop" not in {problem.code for problem in hosted_unsupported(spot(stop_loss_pct="20"), "okx")}


def test_other_exchanges_run_none() -> None:
    (problem, *_) = hosted_unsupported(spot(), "kucoin")
    assert problem.code == "hosted_exchange"
