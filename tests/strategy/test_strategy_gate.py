"""The gate: every reason, and that what is suggested mends it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.i18n import translator
from bfai.model import (
    Cause,
    Connection,
    Diagnosis,
    Environment,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    Target,
    TestRun,
)
from bfai.strategy import limits
from bfai.strategy.gate import (
    Facts,
    engine,
    gate,
    planned_total,
    review,
    smallest_first_entry,
    suggest_first_entry,
    suspension,
)
from bfai.strategy.limits import FeesFrom, PairRules
from bfai.strategy.parameters import Parameters, Problem, Severity, preset

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPOT = preset("balanced", "spot", ["BTC/USDT"], "50")
FUTURES = preset("balanced", "futures", ["BTC/USDT"], "30")


def rules(market: Market = Market.SPOT, **changes: Any) -> PairRules:
    futures = market is Market.FUTURES
    tiers = (
        limits.Tier(Decimal(0), Decimal(50_000), "quote", Decimal("0.004"), Decimal(0), Decimal(100)),
        limits.Tier(Decimal(50_000), None, "quote", Decimal("0.01"), Decimal(300), Decimal(50)),
    )
    found = PairRules(
        pair="BTC/USDT",
        id="BTCUSDT",
        ccxt_symbol="BTC/USDT:USDT" if futures else "BTC/USDT",
        exchange="okx",
        region="global",
        environment=Environment.LIVE,
        market=market,
        base="BTC",
        quote="USDT",
        settle="USDT" if futures else None,
        linear=True if futures else None,
        active=True,
        api_tradable=True,
        why_not=None,
        tick_size=Decimal("0.1"),
        step_size=Decimal(1) if futures else Decimal("0.00001"),
        contract_size=Decimal("0.0001") if futures else Decimal(1),
        min_amount=Decimal(1) if futures else Decimal("0.00001"),
        max_amount=Decimal(1_000_000),
        min_cost=None if futures else Decimal(5),
        max_cost=None,
        maker=Decimal("0.001"),
        taker=Decimal("0.001"),
        fees_from=FeesFrom.EXCHANGE,
        liquidation_fee=None,
        max_leverage=Decimal(100) if futures else None,
        tiers=tiers if futures else None,
        price=Decimal(60_000),
        fetched_at=NOW,
    )
    return replace(found, **changes)


def granted(*permissions: Permission) -> KeyReport:
    told = {one: Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED) for one in Permission}
    told |= {one: Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED) for one in permissions}
    return KeyReport(grants=told, ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",)))


def because(cause: Cause) -> Diagnosis:
    return Diagnosis(cause=cause, candidates=(cause,))


UNKNOWN_KEY = because(Cause.INVALID_KEY)
GOOD = granted(Permission.READ, Permission.SPOT_TRADE, Permission.FUTURES_TRADE)


def facts(
    market: Market = Market.SPOT,
    *,
    status: Status = Status.ONLINE,
    report: KeyReport | None = GOOD,
    diagnosis: Diagnosis | None = None,
    age: timedelta = timedelta(hours=1),
    key_age: timedelta = timedelta(days=9),
    told: dict[str, PairRules | None] | None = None,
    **changes: Any,
) -> Facts:
    target = Target(exchange="okx", market=market)
    run = TestRun(
        id="r",
        exchange="okx",
        region="global",
        environment=Environment.LIVE,
        market=market,
        status=status,
        diagnosis=diagnosis,
        key_report=report,
        started_at=NOW - age,
        duration_ms=1.0,
    )
    connection = Connection(
        id="c",
        name="OKX Main",
        target=target,
        key_hint="abcd",
        created_at=NOW - key_age,
        key_since=NOW - key_age,
        status=status,
        last_run_id="r",
    )
    found = Facts(
        connection=connection,
        run=run,
        rules={"BTC/USDT": rules(market)} if told is None else told,
        now=NOW,
        free=Decimal(10_000),
    )
    return replace(found, **changes)


def codes(parameters: Parameters, given: Facts) -> set[str]:
    return {problem.code for problem in gate(parameters, given)}


def warnings(parameters: Parameters, given: Facts) -> set[str]:
    found = review(parameters, given, fixes=False).problems
    return {problem.code for problem in found if problem.severity is Severity.WARNING}


def test_nothing_stands_against_a_good_strategy() -> None:
    assert codes(SPOT, facts()) == set()
    assert codes(FUTURES, facts(Market.FUTURES)) == set()
    found = review(SPOT, facts())
    assert found.required_per_group == found.required_total
    assert found.groups == 1
    assert set(found.recovery) == set(found.ladders) == {("BTC/USDT", "long")}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (replace(facts(), connection=None), "connection_missing"),
        (replace(facts(), run=None), "connection_not_tested"),
        (facts(status=Status.UNTESTED), "connection_not_tested"),
        (facts(age=timedelta(hours=25)), "connection_stale"),
        (facts(key_age=timedelta(minutes=5)), "connection_stale"),
        (facts(status=Status.BLOCKED, report=granted(*Permission)), "withdraw_enabled"),
        (facts(status=Status.BLOCKED, report=KeyReport()), "withdraw_unknown"),
        (
            facts(
                status=Status.FAILED,
                report=None,
                diagnosis=UNKNOWN_KEY,
            ),
            "connection_failed",
        ),
        (facts(report=granted(Permission.READ)), "no_trade_permission"),
        (facts(Market.FUTURES), "market_mismatch"),
        (facts(told={"BTC/USDT": None}), "pair_unknown"),
        (facts(told={}), "market_data_missing"),
        (facts(told={"BTC/USDT": rules(price=None)}), "market_data_missing"),
        (facts(told={"BTC/USDT": rules(fetched_at=NOW - timedelta(hours=7))}), "market_data_stale"),
        (facts(told={"BTC/USDT": rules(active=False)}), "pair_inactive"),
        (facts(told={"BTC/USDT": rules(api_tradable=False)}), "pair_not_api_tradable"),
        (facts(report=GOOD.model_copy(update={"pairs": ("ETH-USDT",)})), "pair_not_allowed"),
    ],
)
def test_what_the_connection_and_the_market_hold_against_it(given: Facts, code: str) -> None:
    assert code in codes(SPOT, given)


def test_futures_needs_its_right() -> None:
    given = facts(Market.FUTURES, report=granted(Permission.READ, Permission.SPOT_TRADE))
    assert "no_futures_permission" in codes(FUTURES, given)


def test_all_reasons_are_told_at_once() -> None:
    given = facts(
        status=Status.FAILED,
        report=granted(Permission.READ),
        diagnosis=because(Cause.PERMISSION_MISSING),
        age=timedelta(days=3),
        told={"BTC/USDT": rules(active=False, min_cost=Decimal(60))},
        free=Decimal(10),
    )
    wanted = {"connection_stale", "connection_failed", "no_trade_permission", "pair_inactive", "below_min_cost"}
    assert wanted | {"margin_limit_exceeded", "insufficient_balance"} <= codes(SPOT, given)


FINE: dict[str, PairRules | None] = {"BTC/USDT": rules(step_size=Decimal("0.00000001"))}
FIVE_TIMES: dict[str, PairRules | None] = {"BTC/USDT": rules(Market.FUTURES, max_leverage=Decimal(5))}
MENDABLE: list[tuple[Parameters, Facts, str]] = [
    (SPOT.changed(first_entry_size="4"), facts(), "below_min_cost"),
    (SPOT.changed(addon_size="4"), facts(), "below_min_cost"),
    (SPOT.changed(first_entry_size="0.5"), facts(told={"BTC/USDT": rules(min_cost=None)}), "below_min_amount"),
    (SPOT, facts(told={"BTC/USDT": rules(max_amount=Decimal("0.001"))}), "above_max_amount"),
    (SPOT, facts(told={"BTC/USDT": rules(max_cost=Decimal(60))}), "above_max_cost"),
    (SPOT.changed(first_entry_size="500"), facts(), "margin_limit_exceeded"),
    (SPOT.changed(margin_limit_total="90000"), facts(free=Decimal(300)), "insufficient_balance"),
    (SPOT, facts(committed=Decimal(4800)), "deposit_load_exceeded"),
    (SPOT.changed(addon_step_pct="20"), facts(), "price_not_positive"),
    (SPOT.changed(addon_step_pct="0.1"), facts(told={"BTC/USDT": rules(tick_size=Decimal(1000))}), "duplicate_price"),
    (SPOT.changed(stop_loss_pct="2"), facts(), "stop_inside_ladder"),
    (FUTURES.changed(leverage=20, stop_loss_pct=None), facts(Market.FUTURES), "liquidated_before_level"),
    (FUTURES.changed(leverage=9), facts(Market.FUTURES, told=FIVE_TIMES), "leverage_above_limit"),
    (SPOT.changed(take_profit_pct="0.1", take_profit_basis="average_gross"), facts(), "tp_not_above_fees"),
    (SPOT.changed(leverage=2), facts(), "leverage_above_limit"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "given", "code"), MENDABLE, ids=[case[2] for case in MENDABLE])
def test_what_a_number_can_mend_is_mended_by_what_is_suggested(parameters: Parameters, given: Facts, code: str) -> None:
    problems = [problem for problem in gate(parameters, given) if problem.code == code]
    assert problems
    for problem in problems:
        assert problem.fixes, "a number can mend this"
        for fix in problem.fixes:
            mended = parameters.changed(**{fix.field: fix.value})
            assert not _has(mended, given, problem), fix


def test_the_suggested_change_is_the_smallest() -> None:
    parameters, given = SPOT.changed(first_entry_size="500"), facts()
    (problem,) = (one for one in gate(parameters, given) if one.code == "margin_limit_exceeded" and one.pair)
    fix = next(fix for fix in problem.fixes if fix.field == "first_entry_size")
    assert not _has(parameters.changed(first_entry_size=fix.value), given, problem)
    assert _has(parameters.changed(first_entry_size=str(Decimal(fix.value) + Decimal("0.01"))), given, problem)
    fewer = next(fix for fix in problem.fixes if fix.field == "addon_max_count")
    assert not _has(parameters.changed(addon_max_count=fewer.value), given, problem)
    assert _has(parameters.changed(addon_max_count=fewer.value + 1), given, problem)


def _has(parameters: Parameters, given: Facts, problem: Problem) -> bool:
    return any((one.code, one.pair) == (problem.code, problem.pair) for one in gate(parameters, given))


@pytest.mark.parametrize(
    ("parameters", "given", "code"),
    [
        (SPOT, facts(told={"BTC/USDT": rules(min_amount=None, min_cost=None)}), "min_unknown"),
        (SPOT, facts(told={"BTC/USDT": rules(maker=None)}), "fees_unknown"),
        (SPOT, facts(free=None), "balance_unknown"),
        (SPOT, facts(report=None), "none"),
        (SPOT, facts(report=KeyReport()), "trade_unknown"),
        (SPOT.changed(first_entry_size="68"), facts(), "near_limit"),
        (SPOT.changed(max_groups=1, first_entry_size="200"), facts(), "group_large"),
        (SPOT.changed(addon_step_pct="0.1"), facts(told={"BTC/USDT": rules(tick_size=Decimal(50))}), "step_few_ticks"),
        (SPOT.changed(first_entry_size="5.1"), facts(told=FINE), "min_close"),
        (SPOT.changed(addon_multiplier="0.5", addon_step_pct="4"), facts(), "rebound_far"),
        (FUTURES, facts(Market.FUTURES, told={"BTC/USDT": rules(Market.FUTURES, tiers=None)}), "liquidation_unknown"),
        (FUTURES.changed(leverage=7, stop_loss_pct=None), facts(Market.FUTURES), "liquidation_close"),
        (FUTURES.changed(stop_loss_pct="30"), facts(Market.FUTURES), "stop_costly"),
        (SPOT.changed(reserve_mode="filled", first_entry_size="60", pairs=["BTC/USDT"]), facts(free=Decimal(500)),
         "filled_without_money"),
    ],
)  # fmt: skip
def test_what_is_unwise_is_said_and_does_not_stop(parameters: Parameters, given: Facts, code: str) -> None:
    found = warnings(parameters, given)
    assert code in found if code != "none" else "trade_unknown" not in found


def test_a_suggested_first_order_fits_and_a_larger_one_does_not() -> None:
    given = facts()
    size = suggest_first_entry(SPOT, given)
    assert size is not None
    assert codes(SPOT.changed(first_entry_size=str(size)), given) == set()
    assert codes(SPOT.changed(first_entry_size=str(size * 2)), given)
    assert suggest_first_entry(SPOT, facts(free=None)) is None
    assert suggest_first_entry(SPOT, facts(told={})) is None
    least = smallest_first_entry(SPOT, given)
    assert least is not None
    assert "below_min_cost" not in codes(SPOT.changed(first_entry_size=str(least)), given)
    assert "below_min_cost" in codes(SPOT.changed(first_entry_size=str(least - Decimal("0.01"))), given)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "first_entry_size": st.sampled_from(["0.01", "5", "50", "500", "5000"]),
        "addon_size": st.sampled_from([None, "1", "40", "400"]),
        "addon_multiplier": st.sampled_from(["0.1", "1", "1.6", "10"]),
        "addon_step_pct": st.sampled_from(["0.1", "1.5", "9", "50"]),
        "addon_step_multiplier": st.sampled_from(["0.1", "1", "2"]),
        "addon_step_reference": st.sampled_from(["base", "previous", "average"]),
        "addon_max_count": st.integers(0, 20),
        "take_profit_pct": st.sampled_from(["0.1", "0.3", "1.2"]),
        "take_profit_basis": st.sampled_from(["average_net", "average_gross", "margin_net"]),
        "stop_loss_pct": st.sampled_from([None, "0.5", "10", "60"]),
        "stop_loss_basis": st.sampled_from(["average", "base"]),
        "leverage": st.integers(1, 20),
        "max_groups": st.integers(1, 5),
        "directions": st.sampled_from([["long"], ["short"], ["long", "short"]]),
        "reserve_mode": st.sampled_from(["full", "filled"]),
        "addon_mode": st.sampled_from(["off", "ladder"]),
    },
)


@settings(max_examples=120, deadline=None)
@given(st.lists(CHANGES, max_size=4), st.sampled_from([SPOT, FUTURES]))
def test_no_edits_open_the_gate_while_something_is_wrong(edits: list[dict[str, Any]], start: Parameters) -> None:
    given = facts(start.market)
    parameters = start
    for edit in edits:
        parameters = parameters.changed(**edit)
    errors = [
        problem for problem in review(parameters, given, fixes=False).problems if problem.severity is Severity.ERROR
    ]
    stopped = gate(parameters, given)
    assert [problem.code for problem in stopped] == [problem.code for problem in errors]
    for problem in stopped:
        for fix in problem.fixes:
            assert not _has(parameters.changed(**{fix.field: fix.value}), given, problem)


def test_what_can_run_it_is_known_before_it_is_set_up() -> None:
    assert engine("binance", Market.FUTURES).name == "Freqtrade"
    for exchange in ("mexc", "kucoin"):
        assert engine(exchange, Market.SPOT).name == "Freqtrade"
        assert engine(exchange, Market.FUTURES).name is None


def test_what_a_test_means_for_what_is_enabled() -> None:
    good = facts()
    assert good.connection and good.run
    assert suspension(good.connection, good.run) is None
    blocked = facts(status=Status.BLOCKED, report=granted(*Permission))
    failed = facts(
        status=Status.FAILED,
        diagnosis=because(Cause.EXCHANGE_UNAVAILABLE),
    )
    for tested, person in ((blocked, True), (failed, False), (facts(status=Status.UNTESTED), False)):
        assert tested.connection
        found = suspension(tested.connection, tested.run)
        assert found is not None
        assert found.needs_person is person
    unbound = GOOD.model_copy(update={"ip_restriction": IpRestriction(state=GrantState.DENIED)})
    strange = GOOD.model_copy(update={"unknown_words": ("NewRight",)})
    for report in (unbound, strange):
        after = good.run.model_copy(update={"id": "later", "key_report": report})
        found = suspension(good.connection, after, good.run.key_report)
        assert found is not None
        assert found.needs_person


def test_a_review_is_quick() -> None:
    """Not a measurement: only that nothing in it grows out of hand. `benchmarks/ladder.py` measures."""
    parameters = SPOT.changed(addon_max_count=20, addon_multiplier="1", addon_step_pct="0.5")
    began = time.perf_counter()
    for _ in range(20):
        review(parameters, facts(), fixes=False)
    assert time.perf_counter() - began < 5


# -- what a balance, a quote currency or a ladder may be like ----------------------------------------------------------


def test_an_empty_account_is_refused_in_words_that_offer_no_smaller_order() -> None:
    found = gate(SPOT, facts(free=Decimal(0)))
    assert {problem.code for problem in found} == {"margin_limit_exceeded", "insufficient_balance"}
    assert not any(problem.fixes for problem in found)
    assert all("add money" in problem.text.text for problem in found)


def test_no_smaller_order_is_suggested_than_the_exchange_takes() -> None:
    poor = facts(free=Decimal(40))
    for problem in gate(SPOT.changed(first_entry_size="6", addon_mode="off", margin_limit_total="5"), poor):
        assert problem.code == "margin_limit_exceeded"
        for fix in problem.fixes:
            assert codes(SPOT.changed(first_entry_size="6", addon_mode="off", **{fix.field: fix.value}), poor) == set()


def test_money_in_bitcoin_is_counted_in_satoshi() -> None:
    ether = rules(
        pair="ETH/BTC",
        base="ETH",
        quote="BTC",
        tick_size=Decimal("0.00001"),
        step_size=Decimal("0.0001"),
        min_amount=Decimal("0.0001"),
        min_cost=Decimal("0.0001"),
        price=Decimal("0.05"),
    )
    given = facts(told={"ETH/BTC": ether}, free=Decimal("0.5"))
    large = preset("balanced", "spot", ["ETH/BTC"], "0.009")
    (problem,) = gate(large, given)
    fix = next(fix for fix in problem.fixes if fix.field == "first_entry_size")
    assert Decimal("0.003") < Decimal(fix.value) < Decimal("0.005")
    assert codes(large.changed(first_entry_size=fix.value), given) == set()
    size = suggest_first_entry(large, given)
    assert size is not None
    assert codes(large.changed(first_entry_size=str(size)), given) == set()
    least = smallest_first_entry(large, given)
    assert least is not None
    assert codes(large.changed(first_entry_size=str(least)), given) == set()


def test_what_is_too_large_is_what_is_reduced() -> None:
    parameters = SPOT.changed(first_entry_size="5000", addon_size="10")
    problem = next(problem for problem in gate(parameters, facts()) if problem.pair)
    assert [fix.field for fix in problem.fixes] == ["first_entry_size"]
    parameters = SPOT.changed(addon_size="5000")
    problem = next(problem for problem in gate(parameters, facts()) if problem.pair)
    assert [fix.field for fix in problem.fixes] == ["addon_size", "addon_max_count"]


def test_steps_of_ones_own_are_shortened() -> None:
    steps = [{"deviation_pct": "1", "size": "20"}, {"deviation_pct": "2", "size": "5000"}]
    parameters = SPOT.changed(custom_steps=steps)
    for problem in gate(parameters, facts()):
        (fix,) = problem.fixes
        assert (fix.field, fix.value) == ("custom_steps", steps[:1])
    parameters = SPOT.changed(custom_steps=steps[1:])
    assert {(fix.field, fix.value) for problem in gate(parameters, facts()) for fix in problem.fixes} == {
        ("addon_mode", "off")
    }


def test_steps_that_do_not_rise_are_said_and_draw_no_ladder() -> None:
    steps = [{"deviation_pct": "3", "size": "20"}, {"deviation_pct": "2", "size": "20"}]
    assert codes(SPOT.changed(custom_steps=steps), facts()) == {"steps_not_rising"}


def test_sums_beyond_all_measure_are_still_written() -> None:
    parameters = FUTURES.changed(
        directions=["short"], addon_multiplier="10", addon_step_multiplier="10", addon_max_count=100
    )
    found = gate(parameters, facts(Market.FUTURES))
    assert {"margin_limit_exceeded", "insufficient_balance"} <= {problem.code for problem in found}


def test_what_is_needed_is_never_written_as_what_there_is() -> None:
    parameters = SPOT.changed(margin_limit_total="9000", margin_limit_pair="50.05", addon_mode="off")
    just = parameters.changed(first_entry_size="50.004")
    (problem,) = gate(just, facts(told={"BTC/USDT": rules(step_size=Decimal("0.000000001"))}))
    assert (problem.text.params["m_needed"], problem.text.params["m_limit"]) == ("50.06 USDT", "50.05 USDT")


def test_one_group_is_one_group() -> None:
    (problem,) = (one for one in gate(SPOT, facts(free=Decimal(600), committed=Decimal(590))) if "balance" in one.code)
    said = translator("en").render(problem.text)
    assert said.startswith(("1 group needs", "All groups together need"))


def test_many_pairs_that_are_all_wrong_are_judged_in_a_moment() -> None:
    pairs = [f"COIN{number}/USDT" for number in range(50)]
    told: dict[str, PairRules | None] = {
        pair: rules(pair=pair, price=Decimal(3 + number)) for number, pair in enumerate(pairs)
    }
    began = time.perf_counter()
    found = gate(SPOT.changed(pairs=pairs, first_entry_size="0.5"), facts(told=told))
    assert all(problem.fixes for problem in found if problem.code == "below_min_cost")
    assert time.perf_counter() - began < 10


# -- leverage, stops, rules --------------------------------------------------------------------------------------------


def test_a_large_position_is_allowed_less_leverage() -> None:
    tiers = (
        limits.Tier(Decimal(0), Decimal(1000), "quote", Decimal("0.004"), Decimal(0), Decimal(20)),
        limits.Tier(Decimal(1000), None, "quote", Decimal("0.01"), Decimal(6), Decimal(2)),
    )
    given = facts(Market.FUTURES, told={"BTC/USDT": rules(Market.FUTURES, tiers=tiers)})
    (problem,) = gate(FUTURES, given)
    assert problem.code == "leverage_above_limit"
    assert {fix.field for fix in problem.fixes} >= {"leverage", "first_entry_size"}
    for fix in problem.fixes:
        assert not _has(FUTURES.changed(**{fix.field: fix.value}), given, problem)


def test_a_leverage_without_tiers_of_its_own_is_above_the_limit() -> None:
    tiers = (limits.Tier(Decimal(0), None, "quote", Decimal("0.004"), None, None, Decimal(2)),)
    given = facts(Market.FUTURES, told={"BTC/USDT": rules(Market.FUTURES, tiers=tiers, max_leverage=None)})
    (problem,) = gate(FUTURES, given)
    assert (problem.code, [fix.value for fix in problem.fixes if fix.field == "leverage"]) == (
        "leverage_above_limit",
        [2],
    )


def test_a_stop_behind_the_liquidation_is_no_stop() -> None:
    given = facts(Market.FUTURES)
    alone = FUTURES.changed(addon_mode="off", leverage=20)
    assert "stop_behind_liquidation" in warnings(alone, given)
    assert "stop_behind_liquidation" not in warnings(alone.changed(stop_loss_pct="3"), given)
    assert "stop_behind_liquidation" in warnings(alone.changed(directions=["short"]), given)


def test_an_unknown_fee_never_makes_the_liquidation_look_further_away() -> None:
    told = rules(Market.FUTURES)
    known = review(FUTURES, facts(Market.FUTURES, told={"BTC/USDT": told}))
    guessed = review(FUTURES, facts(Market.FUTURES, told={"BTC/USDT": replace(told, taker=None)}))
    pair = ("BTC/USDT", "long")
    near, far = (found.ladders[pair].summary.liquidation_price for found in (guessed, known))
    assert near is not None
    assert far is not None
    assert near > far


def test_why_rules_could_not_be_read_is_said() -> None:
    why = Message(text="OKX asks us to slow down.")
    (problem,) = gate(SPOT, facts(told={}, rules_error=why))
    assert (problem.code, problem.text) == ("market_data_missing", why)


def test_steps_of_ones_own_are_what_is_compared_with_the_ticks() -> None:
    coarse = facts(told={"BTC/USDT": rules(tick_size=Decimal(50))})
    near = SPOT.changed(custom_steps=[{"deviation_pct": "2", "size": "20"}, {"deviation_pct": "2.1", "size": "20"}])
    assert "step_few_ticks" in warnings(near, coarse)
    wide = SPOT.changed(addon_step_pct="0.1", custom_steps=[{"deviation_pct": "2", "size": "20"}])
    assert "step_few_ticks" not in warnings(wide, coarse)


# -- withdrawal and what follows a test --------------------------------------------------------------------------------


def test_a_report_that_tells_of_withdrawal_closes_the_gate_whatever_the_status_says() -> None:
    assert "withdraw_enabled" in codes(SPOT, facts(report=granted(*Permission)))
    told = facts(report=granted(*Permission))
    assert told.connection
    demo = told.connection.target.model_copy(update={"environment": Environment.DEMO})
    assert codes(SPOT, replace(told, connection=told.connection.model_copy(update={"target": demo}))) == set()


def test_a_failed_run_closes_the_gate_whatever_the_status_says() -> None:
    given = facts()
    assert given.run
    for status, code in ((Status.FAILED, "connection_failed"), (Status.BLOCKED, "withdraw_unknown")):
        assert codes(SPOT, replace(given, run=given.run.model_copy(update={"status": status}))) == {code}


def test_a_key_that_lost_its_addresses_while_the_exchange_failed_needs_a_person() -> None:
    good = facts()
    failed = facts(status=Status.FAILED, diagnosis=because(Cause.EXCHANGE_UNAVAILABLE))
    assert good.run
    assert failed.connection
    assert failed.run
    unbound = GOOD.model_copy(update={"ip_restriction": IpRestriction(state=GrantState.DENIED)})
    found = suspension(
        failed.connection, failed.run.model_copy(update={"id": "later", "key_report": unbound}), good.run.key_report
    )
    assert found is not None
    assert found.needs_person


# -- anything at all ---------------------------------------------------------------------------------------------------

SIZES = st.decimals(Decimal("0.00000001"), Decimal(10**8), places=8)
PERCENT = st.decimals(Decimal("0.1"), Decimal(50), places=2)
TIMES = st.decimals(Decimal("0.1"), Decimal(10), places=2)
ANYTHING = st.fixed_dictionaries(
    {},
    optional={
        "pairs": st.sampled_from([["BTC/USDT"], ["BTC/USDT", "ETH/USDT"], ["ETH/USDT", "XRP/USDT"]]),
        "first_entry_size": SIZES,
        "addon_size": st.none() | SIZES,
        "addon_multiplier": TIMES,
        "addon_step_pct": PERCENT,
        "addon_step_multiplier": TIMES,
        "addon_step_reference": st.sampled_from(["base", "previous", "average"]),
        "addon_max_count": st.integers(0, 100),
        "custom_steps": st.none() | st.lists(
            st.fixed_dictionaries({"deviation_pct": PERCENT, "size": SIZES}), min_size=1, max_size=4
        ),
        "take_profit_pct": st.decimals(Decimal("0.1"), Decimal(100), places=2),
        "take_profit_basis": st.sampled_from(["average_net", "average_gross", "margin_net"]),
        "stop_loss_pct": st.none() | PERCENT,
        "stop_loss_basis": st.sampled_from(["average", "base"]),
        "leverage": st.integers(1, 20),
        "max_groups": st.integers(1, 199),
        "directions": st.sampled_from([["long"], ["short"], ["long", "short"]]),
        "reserve_mode": st.sampled_from(["full", "filled"]),
        "amount_basis": st.sampled_from(["notional", "margin"]),
        "margin_limit_total": st.sampled_from(["1", "30%", "5000"]),
        "margin_limit_pair": st.sampled_from([None, "1", "10%", "500"]),
        "recovery": st.fixed_dictionaries({"addons_left": st.integers(0, 20)}),
    },
)  # fmt: skip
MONEY = st.none() | st.sampled_from([Decimal(0), Decimal("0.00000001"), Decimal(40), Decimal(10_000), Decimal(10**9)])


@settings(max_examples=60, deadline=None)
@given(ANYTHING, st.sampled_from([SPOT, FUTURES]), MONEY, st.sampled_from([Decimal(0), Decimal(50), Decimal(10**6)]))
def test_anything_is_judged_and_what_is_suggested_mends_it(
    edit: dict[str, Any], start: Parameters, free: Decimal | None, committed: Decimal
) -> None:
    prices = {"BTC/USDT": Decimal(60_000), "ETH/USDT": Decimal("2000.5"), "XRP/USDT": Decimal("0.05")}
    told: dict[str, PairRules | None] = {
        pair: rules(start.market, pair=pair, price=price) for pair, price in prices.items()
    }
    given = facts(start.market, told=told, free=free, committed=committed)
    parameters = start.changed(**edit)
    english = translator("en")
    for problem in review(parameters, given).problems:
        assert "{" not in english.render(problem.text)
        for fix in problem.fixes:
            mended = parameters.changed(**{fix.field: fix.value})
            assert not _has(mended, given, problem), (problem.code, fix)
            assert "{" not in english.render(fix.text)
    assert {(one.code, one.pair) for one in gate(parameters, given)} == {
        (one.code, one.pair) for one in review(parameters, given, fixes=False).errors
    }
    for size in (suggest_first_entry(parameters, given), smallest_first_entry(parameters, given)):
        assert size is None or size > 0


def test_an_order_that_is_too_small_in_two_ways_is_mended_in_both() -> None:
    told: dict[str, PairRules | None] = {"BTC/USDT": rules(min_amount=Decimal("0.001"), min_cost=Decimal(5))}
    tiny = SPOT.changed(first_entry_size="0.5", margin_limit_total="100000")
    found = [
        problem for problem in gate(tiny, facts(told=told)) if problem.code in ("below_min_amount", "below_min_cost")
    ]
    assert {problem.code for problem in found} == {"below_min_amount", "below_min_cost"}
    for problem in found:
        (fix,) = (fix for fix in problem.fixes if fix.field == "first_entry_size")
        left = {one.code for one in gate(tiny.changed(first_entry_size=fix.value), facts(told=told))}
        assert left.isdisjoint({"below_min_amount", "below_min_cost"})


def test_a_suggestion_counts_in_words() -> None:
    just_one = SPOT.changed(first_entry_size="240", margin_limit_total="600", margin_limit_pair="600")
    said = {
        translator("en").render(fix.text)
        for problem in gate(just_one, facts(free=Decimal(100_000)))
        for fix in problem.fixes
        if fix.field == "addon_max_count"
    }
    assert said == {"At most 1 add-on"}


def test_another_market_than_the_connections_is_set_right_by_a_suggestion() -> None:
    told = next(problem for problem in gate(FUTURES, facts()) if problem.code == "market_mismatch")
    (fix,) = told.fixes
    assert (fix.field, fix.value) == ("market", "spot")
    changed = FUTURES.changed(market="spot")
    assert "market_mismatch" not in {problem.code for problem in gate(changed, facts())}
    while errors := gate(changed, facts(free=Decimal(100_000))):
        (fix, *_) = next(problem.fixes for problem in errors if problem.fixes)
        changed = changed.changed(**{fix.field: fix.value})


def test_the_other_connection_is_there_and_another_one() -> None:
    def codes(other: str | None, **more: Any) -> set[str]:
        chosen = SPOT.changed(recovery__separate_connection_id=other, **more)
        return {problem.code for problem in gate(chosen, facts(connections=frozenset({"c", "d"})))}

    assert codes("d") == codes(None) == set()
    assert codes("c") == {"separate_same"}
    assert codes("nothing") == {"separate_missing"}
    assert codes("nothing", recovery__enabled=False) == set()
    (problem,) = gate(SPOT.changed(recovery__separate_connection_id="c"), facts())
    assert problem.fixes[0].value is None


@pytest.mark.parametrize(
    ("parameters", "needed"),
    [
        (SPOT.changed(addon_multiplier="2", addon_max_count=2), 50 + 50 + 100),
        (SPOT.changed(addon_size="10", addon_multiplier="1", addon_max_count=2, pairs=["A/USDT", "B/USDT"]), 140),
        (SPOT.changed(addon_mode="off"), 50),
        (SPOT.changed(reserve_mode="filled"), 50),
        (SPOT.changed(custom_steps=[{"deviation_pct": "1", "size": "7"}]), 57),
        (FUTURES.changed(addon_mode="off", leverage=3), 30),
        (FUTURES.changed(addon_mode="off", leverage=3, amount_basis="notional"), 10),
    ],
)
def test_what_is_planned_is_known_without_the_market(parameters: Parameters, needed: int) -> None:
    assert planned_total(parameters) == needed


def test_numbers_in_sentences_are_written_as_the_language_does() -> None:
    told = review(SPOT.changed(stop_loss_pct="5"), facts())
    (problem,) = (problem for problem in told.errors if problem.code == "stop_inside_ladder")
    assert re.search(r"\d,\d\s%", translator("hr").render(problem.fixes[0].text))
