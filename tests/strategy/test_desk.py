"""Strategies on real connections: set up, judged by the exchange's own limits, enabled, refused, suspended, resumed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from bfai import cli
from bfai.exchanges import all_exchanges, get_exchange
from bfai.model import (
    Connection,
    IpRestriction,
    Market,
    Status,
    Strategy,
    StrategyState,
    Target,
    new_run_id,
    utc_now,
)
from bfai.simulator import Simulator
from bfai.store import BadName, StrategyChanged
from bfai.strategy import desk
from bfai.strategy.gate import gate
from bfai.strategy.parameters import Parameters, RiskLevel, StrategyError, preset
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

ALL = [(exchange.id, market) for exchange in all_exchanges().values() for market in exchange.markets]
VERDICTS = json.loads((Path(__file__).parent.parent / "data" / "accounts.json").read_text(encoding="utf-8"))["verdicts"]
PARTS_FUTURES = [exchange for exchange, found in VERDICTS.items() if "no_futures" in found.get("futures", {})]
"""Where a key may trade spot and not futures."""


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bfai.db"


@pytest.fixture
def workbench(database: str, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(database, gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        yield found


def connect(
    workbench: Workbench, simulator: Simulator, exchange: str, market: Market, account: str = "good"
) -> Connection:
    region = get_exchange(exchange).regions[0].id
    draft = workbench.draft(
        Target(exchange=exchange, market=market, region=region), sample(simulator, exchange, account)
    )
    run = workbench.start_draft_test(draft.id).wait(20)
    if run.status is Status.BLOCKED:
        workbench.confirm_draft(draft.id)
    return workbench.save_draft(draft.id, name=f"{exchange} {market.value}")


def again_tested(workbench: Workbench, connection: Connection) -> Status:
    return workbench.start_test(connection.id).wait(20).status


def small(market: Market) -> Parameters:
    """A strategy that a new account carries: SOL has the smallest contracts."""
    return preset(RiskLevel.BALANCED, market, ["SOL/USDT"], "12" if market is Market.SPOT else "10")


def made(workbench: Workbench, connection: Connection, name: str = "S") -> Strategy:
    return workbench.strategies.create(name, connection.id, small(connection.target.market))


def reasons(workbench: Workbench, strategy: Strategy) -> set[str]:
    """Why the page's object refuses to enable it."""
    with pytest.raises(StrategyError) as refused:
        workbench.strategies.enable(strategy.id)
    assert workbench.strategies.get(strategy.id).state is not StrategyState.ENABLED
    return {problem.code for problem in refused.value.problems}


@pytest.mark.parametrize(("exchange", "market"), ALL)
def test_from_a_preset_to_enabled(workbench: Workbench, simulator: Simulator, exchange: str, market: Market) -> None:
    connection = connect(workbench, simulator, exchange, market)
    strategy = made(workbench, connection)
    review = workbench.strategies.review(strategy.id)
    (ladder,) = review.ladders.values()
    assert ladder.summary.orders == 7
    rules = workbench.strategies.rules(connection.target, "SOL/USDT")
    assert ladder.market.tick_size == rules.tick_size
    assert review.ok, [problem.code for problem in review.errors]
    enabled = workbench.strategies.enable(strategy.id)
    assert (enabled.state, enabled.enabled_revision) == (StrategyState.ENABLED, 1)


def test_a_gate_key_needs_the_traders_word(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "gate", Market.SPOT)
    assert connection.confirmed_at is not None


@pytest.mark.parametrize(("exchange", "market"), ALL)
def test_a_key_that_may_not_trade_is_refused(
    workbench: Workbench, simulator: Simulator, exchange: str, market: Market
) -> None:
    connection = connect(workbench, simulator, exchange, market, "read_only")
    found = reasons(workbench, made(workbench, connection))
    right = "no_futures_permission" if market is Market.FUTURES else "no_trade_permission"
    assert {"connection_failed", right} <= found


@pytest.mark.parametrize("exchange", PARTS_FUTURES)
def test_a_key_without_futures_is_refused_on_futures(workbench: Workbench, simulator: Simulator, exchange: str) -> None:
    connection = connect(workbench, simulator, exchange, Market.FUTURES, "no_futures")
    assert "connection_failed" in reasons(workbench, made(workbench, connection))


def test_a_key_that_learns_to_withdraw_is_refused_and_suspends(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "kucoin", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.change_account("kucoin", "good", permissions=["General", "Spot", "Futures", "Transfer"])
    assert again_tested(workbench, connection) is Status.BLOCKED
    suspended = workbench.strategies.get(strategy.id)
    assert (suspended.state, suspended.needs_person) == (StrategyState.SUSPENDED, True)
    assert suspended.reasons
    assert "withdraw_enabled" in reasons(workbench, strategy)
    simulator.reset()
    assert again_tested(workbench, connection).ok
    assert workbench.strategies.get(strategy.id).state is StrategyState.SUSPENDED, "a person has to look"
    assert workbench.strategies.enable(strategy.id).state is StrategyState.ENABLED


def test_what_passes_by_itself_resumes_by_itself(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    assert again_tested(workbench, connection) is Status.FAILED
    suspended = workbench.strategies.get(strategy.id)
    assert (suspended.state, suspended.needs_person) == (StrategyState.SUSPENDED, False)
    assert "connection_failed" in reasons(workbench, strategy)
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    resumed = workbench.strategies.get(strategy.id)
    assert (resumed.state, resumed.reasons) == (StrategyState.ENABLED, ())
    actions = [entry.action for entry in workbench.audit_entries()]
    assert {"strategy_enabled", "strategy_suspended", "strategy_resumed"} <= set(actions)


def test_our_own_dead_network_neither_suspends_nor_resumes(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    for exchange, state in (("*", StrategyState.ENABLED), ("mexc", StrategyState.SUSPENDED)):
        simulator.set_faults([{"exchange": exchange, "kind": "reset"}])
        assert again_tested(workbench, connection) is Status.FAILED
        assert workbench.strategies.get(strategy.id).state is state
    simulator.set_faults([{"kind": "reset"}])
    assert again_tested(workbench, connection) is Status.FAILED
    last = workbench.latest_run(connection.id)
    assert last is not None and not last.counts
    (listed,) = workbench.strategies.list()
    assert (listed.state, listed.needs_person) == (StrategyState.SUSPENDED, False)
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    assert workbench.strategies.get(strategy.id).state is StrategyState.ENABLED
    told = [event.kind.value for event in workbench.alerts.events()]
    assert [kind for kind in reversed(told) if kind.startswith("strategy")] == [
        "strategy_suspended",
        "strategy_resumed",
    ]


def test_a_lost_address_list_needs_a_person(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.change_account("mexc", "good", ip_whitelist=[])
    assert again_tested(workbench, connection) is Status.CONNECTED
    suspended = workbench.strategies.get(strategy.id)
    assert (suspended.state, suspended.needs_person) == (StrategyState.SUSPENDED, True)


def test_addresses_that_were_lost_during_an_outage_need_a_person_too(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    assert again_tested(workbench, connection) is Status.FAILED
    simulator.set_faults([])
    simulator.change_account("mexc", "good", ip_whitelist=[])
    assert again_tested(workbench, connection) is Status.CONNECTED
    suspended = workbench.strategies.get(strategy.id)
    assert (suspended.state, suspended.needs_person) == (StrategyState.SUSPENDED, True)


def test_addresses_that_were_lost_behind_half_an_answer_need_a_person_too(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    last = workbench.latest_run(connection.id)
    assert last is not None and last.key_report is not None
    half = last.key_report.model_copy(update={"ip_restriction": IpRestriction()})
    workbench._store.add_run(
        last.model_copy(update={"id": new_run_id(utc_now()), "started_at": utc_now(), "key_report": half})
    )
    simulator.change_account("mexc", "good", ip_whitelist=[])
    assert again_tested(workbench, connection) is Status.CONNECTED
    suspended = workbench.strategies.get(strategy.id)
    assert (suspended.state, suspended.needs_person) == (StrategyState.SUSPENDED, True)


def test_a_stale_test_is_refused(workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    later = utc_now() + timedelta(hours=25)
    monkeypatch.setattr(desk, "utc_now", lambda: later)
    assert "connection_stale" in reasons(workbench, strategy)


@pytest.mark.parametrize(("hours", "fresh"), [("1", False), ("3", True), ("0", True), ("nonsense", True)])
def test_how_old_a_test_may_be_is_a_setting(
    simulator: Simulator, database: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, hours: str, fresh: bool
) -> None:
    monkeypatch.setenv("BFAI_TEST_HOLDS_HOURS", hours)
    with Workbench.local(database, gateway=gateway) as workbench:
        workbench.create_vault("correct horse battery staple")
        connection = connect(workbench, simulator, "mexc", Market.SPOT)
        strategy = made(workbench, connection)
        later = utc_now() + timedelta(hours=2)
        facts = workbench.strategies.facts(connection.id, workbench.strategies.parameters(strategy.id), now=later)
        assert ("connection_stale" not in {problem.code for problem in gate(small(Market.SPOT), facts)}) is fresh


def test_another_key_that_passed_its_own_test_goes_on(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    draft = workbench.draft(connection.target, sample(simulator, "mexc", "ip_open"), replaces=connection.id)
    assert workbench.start_draft_test(draft.id).wait(10).status.ok
    workbench.save_draft(draft.id, name=connection.name)
    assert [one.state for one in workbench.strategies.list()] == [StrategyState.ENABLED]


def test_another_key_that_passes_resumes_at_once(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.change_account("mexc", "good", ip_whitelist=["198.51.100.9"])
    assert again_tested(workbench, connection) is Status.FAILED
    assert workbench.strategies.get(strategy.id).state is StrategyState.SUSPENDED
    draft = workbench.draft(connection.target, sample(simulator, "mexc", "sub_account"), replaces=connection.id)
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    workbench.save_draft(draft.id, name=connection.name)
    assert workbench.strategies.get(strategy.id).state is StrategyState.ENABLED


def test_the_sum_of_all_strategies_must_fit(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    names: list[str] = []
    for number in range(60):
        parameters = small(Market.SPOT).changed(first_entry_size="30", max_groups=1)
        strategy = workbench.strategies.create(f"S{number}", connection.id, parameters)
        try:
            workbench.strategies.enable(strategy.id)
        except StrategyError as error:
            assert {problem.code for problem in error.problems} == {"deposit_load_exceeded"}
            break
        names.append(strategy.name)
    assert 2 <= len(names) < 59


def test_strategies_that_are_enabled_at_the_same_moment_count_each_other(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    parameters = small(Market.SPOT).changed(first_entry_size="30", max_groups=1, deposit_load_max=25)
    made = [workbench.strategies.create(f"S{number}", connection.id, parameters) for number in range(6)]
    workbench.strategies.review(made[0].id)  # the market's rules are known
    together = threading.Barrier(len(made))

    def enable(strategy: Strategy) -> bool:
        together.wait()
        try:
            workbench.strategies.enable(strategy.id)
        except StrategyError as error:
            assert {problem.code for problem in error.problems} == {"deposit_load_exceeded"}
            return False
        return True

    with ThreadPoolExecutor(len(made)) as pool:
        enabled = sum(pool.map(enable, made))
    assert 0 < enabled < len(made)
    for strategy in made:
        if workbench.strategies.get(strategy.id).state is StrategyState.ENABLED:
            assert workbench.strategies.review(strategy.id).ok


@pytest.mark.parametrize("down", [False, True])
def test_what_others_need_counts_when_their_rules_are_forgotten(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, down: bool
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    other = small(Market.SPOT).changed(pairs=["ETH/USDT"])
    before = workbench.strategies.facts(connection.id, other).committed
    known = workbench.strategies._store.market_data  # pyright: ignore[reportPrivateUsage]
    gone = lambda key: None if "SOL" in key else known(key)  # noqa: E731
    monkeypatch.setattr(workbench.strategies._store, "market_data", gone)  # pyright: ignore[reportPrivateUsage]
    if down:
        simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 502, "page": "nginx"}])
    after = workbench.strategies.facts(connection.id, other).committed
    assert 0 < before <= after * Decimal("1.01")


def test_what_was_saved_while_suspended_does_not_resume_by_itself(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    again_tested(workbench, connection)
    good = workbench.strategies.parameters(strategy.id)
    assert workbench.strategies.save(strategy.id, 1, good.changed(first_entry_size="100000")).revision == 2
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    left = workbench.strategies.list()[0]
    assert (left.state, left.needs_person) == (StrategyState.SUSPENDED, True)
    assert left.reasons[0].params["number"] == 2
    assert "margin_limit_exceeded" in reasons(workbench, strategy)
    workbench.strategies.restore(strategy.id, 1)
    enabled = workbench.strategies.enable(strategy.id)
    assert (enabled.state, enabled.enabled_revision) == (StrategyState.ENABLED, 3)


def test_what_was_taken_back_while_suspended_resumes_by_itself(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    again_tested(workbench, connection)
    good = workbench.strategies.parameters(strategy.id)
    workbench.strategies.save(strategy.id, 1, good.changed(take_profit_pct="2"))
    workbench.strategies.restore(strategy.id, 1)
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    assert workbench.strategies.get(strategy.id).state is StrategyState.ENABLED


def test_a_copy_for_another_market_can_be_set_right(workbench: Workbench, simulator: Simulator) -> None:
    strategy = made(workbench, connect(workbench, simulator, "mexc", Market.SPOT))
    futures = connect(workbench, simulator, "okx", Market.FUTURES)
    copy = workbench.strategies.duplicate(strategy.id, "Copy", connection_id=futures.id)
    (problem,) = workbench.strategies.review(copy.id).errors
    (fix,) = problem.fixes
    changed = workbench.strategies.parameters(copy.id).changed(**{fix.field: fix.value})
    workbench.strategies.save(copy.id, 1, changed)
    assert workbench.strategies.enable(copy.id).state is StrategyState.ENABLED


def test_the_other_connection_may_not_be_the_same_nor_gone(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    other = connect(workbench, simulator, "kucoin", Market.SPOT)
    parameters = small(Market.SPOT).changed(recovery__separate_connection_id=other.id)
    strategy = workbench.strategies.create("S", connection.id, parameters)
    assert workbench.strategies.review(strategy.id).ok
    workbench.delete(other.id)
    assert reasons(workbench, strategy) == {"separate_missing"}


def test_a_pair_that_is_not_there_is_said_before_a_first_order_is_asked_for(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    with pytest.raises(StrategyError) as refused:
        workbench.strategies.suggested(connection.id, RiskLevel.BALANCED, ["NONE/USDT"])
    assert {problem.code for problem in refused.value.problems} == {"pair_unknown"}


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
def test_a_name_that_cannot_be_is_said(workbench: Workbench, name: str) -> None:
    with pytest.raises(BadName):
        workbench.strategies.create(name, None, small(Market.SPOT))


def test_a_deleted_connection_is_said_and_nothing_is_lost(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    workbench.delete(connection.id)
    left = workbench.strategies.get(strategy.id)
    assert (left.state, left.connection_id, left.connection_name) == (StrategyState.SUSPENDED, None, connection.name)
    assert workbench.strategies.parameters(strategy.id) == small(Market.SPOT)
    with pytest.raises(StrategyError) as refused:
        workbench.strategies.enable(strategy.id)
    assert refused.value.message.params["name"] == connection.name


def test_revisions_are_kept_compared_and_restored(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    desk_of = workbench.strategies
    changed = desk_of.parameters(strategy.id).changed(take_profit_pct="2", recovery__trim=True)
    assert desk_of.save(strategy.id, 1, changed).revision == 2
    assert desk_of.save(strategy.id, 2, changed).revision == 2, "the same again is no new revision"
    with pytest.raises(StrategyChanged):
        desk_of.save(strategy.id, 1, changed.changed(take_profit_pct="3"))
    assert desk_of.compare(strategy.id, 1, 2) == [("take_profit_pct", "1.2", "2"), ("recovery.trim", False, True)]
    assert desk_of.restore(strategy.id, 1).revision == 3
    assert desk_of.parameters(strategy.id) == desk_of.parameters(strategy.id, 1)


def test_an_enabled_strategy_takes_no_edit_that_the_gate_refuses(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    good = workbench.strategies.parameters(strategy.id)
    with pytest.raises(StrategyError):
        workbench.strategies.save(strategy.id, 1, good.changed(first_entry_size="100000"))
    assert workbench.strategies.get(strategy.id).revision == 1
    saved = workbench.strategies.save(strategy.id, 1, good.changed(take_profit_pct="2"))
    assert (saved.revision, saved.enabled_revision) == (2, 2)


def test_unknown_halted_and_closed_pairs(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    expected = {"NONE/USDT": "pair_unknown", "LUNC/USDT": "pair_inactive", "LTC/USDT": "pair_not_api_tradable"}
    for number, (pair, code) in enumerate(expected.items()):
        parameters = small(Market.SPOT).changed(pairs=[pair])
        strategy = workbench.strategies.create(f"P{number}", connection.id, parameters)
        assert code in reasons(workbench, strategy)


def test_rules_that_cannot_be_fetched_are_said(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "kucoin", Market.SPOT)
    strategy = made(workbench, connection)
    simulator.set_faults([{"exchange": "kucoin", "kind": "html", "status": 502, "page": "nginx"}])
    assert "market_data_missing" in reasons(workbench, strategy)


def test_a_file_goes_out_and_comes_in(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    for as_yaml in (False, True):
        text = workbench.strategies.export(strategy.id, as_yaml=as_yaml)
        assert connection.name not in text
        again = workbench.strategies.import_file(text, connection.id)
        assert again.name != strategy.name
        assert workbench.strategies.parameters(again.id) == workbench.strategies.parameters(strategy.id)
    with pytest.raises(StrategyError):
        workbench.strategies.import_file("{", connection.id)
    copy = workbench.strategies.duplicate(strategy.id, "Copy", pairs=["ETH/USDT"])
    assert workbench.strategies.parameters(copy.id).pairs == ("ETH/USDT",)


# -- the command line and the notebook ---------------------------------------------------------------------------------


def run(database: str, gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    environment = {"BFAI_DATABASE_URL": database, "BFAI_GATEWAY": f"{gateway.host}:{gateway.port}"}
    environment |= {"BFAI_GATEWAY_CA": str(gateway.ca_file), "BFAI_LANGUAGE": "en"}
    result = CliRunner().invoke(cli.main, ["strategy", *arguments], env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_line_sets_up_checks_and_enables(
    workbench: Workbench, simulator: Simulator, database: str, gateway: Gateway
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    code, out, err = run(database, gateway, "new", "Sol", "--connection", connection.name, "--pair", "SOL/USDT")
    assert (code, out) == (0, ""), err
    code, out, err = run(database, gateway, "edit", "Sol", "--set", "take_profit_pct=2", "--set", "recovery.trim=true")
    assert (code, "2" in err) == (0, True), err
    assert run(database, gateway, "validate", "Sol")[0] == 0
    code, out, err = run(database, gateway, "enable", "Sol", "--json")
    assert (code, json.loads(out)["state"]) == (0, "enabled")
    code, out, err = run(database, gateway, "list", "--json")
    assert [row["state"] for row in json.loads(out)["strategies"]] == ["enabled"]
    code, out, err = run(database, gateway, "export", "Sol")
    assert json.loads(out)["parameters"]["take_profit_pct"] == "2"
    assert run(database, gateway, "disable", "Sol")[0] == 0
    assert workbench.strategies.list()[0].state is StrategyState.DRAFT


def test_the_command_line_refuses_with_all_reasons(
    workbench: Workbench, simulator: Simulator, database: str, gateway: Gateway, tmp_path: Path
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT, "read_only")
    arguments = ("new", "Big", "--connection", connection.name, "--pair", "SOL/USDT", "--first", "90000")
    assert run(database, gateway, *arguments)[0] == 0
    code, out, _ = run(database, gateway, "enable", "Big", "--json")
    found = {problem["code"] for problem in json.loads(out)["problems"]}
    assert code == 1
    assert {"connection_failed", "no_trade_permission"} <= found
    code, out, err = run(database, gateway, "enable", "Big")
    assert (code, out) == (1, "")
    assert "Tick" in err
    assert run(database, gateway, "edit", "Big", "--set", "leverage=500")[0] == 1
    assert run(database, gateway, "edit", "Big", "--set", "nonsense")[0] == 2
    code, _, err = run(database, gateway, "edit", "Big", "--set", "no.such=1")
    assert (code, "no.such" in err) == (1, True), err
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff\xfe\x00\x80")
    code, _, err = run(database, gateway, "edit", "Big", "--file", str(garbage))
    assert (code, "neither JSON nor YAML" in err) == (1, True), err
    assert run(database, gateway, "enable", "Nobody")[0] == 1


@pytest.mark.parametrize("trouble", ["withdraw", "down", "stale"])
def test_the_command_line_refuses_what_the_workbench_refuses(
    workbench: Workbench,
    simulator: Simulator,
    database: str,
    gateway: Gateway,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = connect(workbench, simulator, "kucoin", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.review(strategy.id)  # its rules are known before the trouble begins
    code = {"withdraw": "withdraw_enabled", "down": "connection_failed", "stale": "connection_stale"}[trouble]
    if trouble == "stale":
        later = utc_now() + timedelta(hours=25)
        monkeypatch.setattr(desk, "utc_now", lambda: later)
    elif trouble == "withdraw":
        simulator.change_account("kucoin", "good", permissions=["General", "Spot", "Transfer"])
        again_tested(workbench, connection)
    else:
        simulator.set_faults([{"exchange": "kucoin", "kind": "html", "status": 503, "page": "nginx"}])
        again_tested(workbench, connection)
    status, out, _ = run(database, gateway, "enable", strategy.name, "--json")
    told = {problem["code"] for problem in json.loads(out)["problems"]}
    assert status == 1
    assert code in told
    assert told == reasons(workbench, strategy)


def test_the_schema_is_printed(database: str, gateway: Gateway) -> None:
    status, out, _ = run(database, gateway, "schema")
    assert status == 0
    assert json.loads(out)["properties"]["pairs"]["maxItems"] == 50


def test_a_ladder_in_a_notebook() -> None:
    import bfai

    market = {"type": "spot", "tick_size": "0.1", "step_size": "0.00001", "maker": "0.001", "taker": "0.001"}
    plan = {
        "side": "long",
        "entry_price": "60000",
        "base_order_quote": "100",
        "safety_order_quote": "100",
        "step_pct": "1",
    }
    frame = bfai.ladder(market, {**plan, "max_safety_orders": 3, "take_profit_pct": "1.2"})
    assert list(frame.index) == [0, 1, 2, 3]
    assert list(frame["price"]) == [60000.0, 59400.0, 58800.0, 58200.0]
