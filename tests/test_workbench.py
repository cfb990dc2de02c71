"""The rules that stand behind the one object: what is stored, what is refused, what is ever shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bfai.model import Cause, Credentials, Environment, Market, Status, StrategyState, Target, utc_now
from bfai.simulator import Simulator
from bfai.store import NameTaken
from bfai.strategy.parameters import RiskLevel
from bfai.transport import Gateway
from bfai.workbench import AlreadyConnected, DraftGone, Mode, NotSavable, Scope, VaultIsLocked, VaultState, Workbench
from tests.helpers import sample

PASSWORD = "correct horse battery staple"


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault(PASSWORD)
        yield found


def make_draft(workbench: Workbench, simulator: Simulator, account: str, exchange: str = "mexc", **options: str) -> str:
    target = Target(exchange=exchange, market=Market(options.get("market", "spot")))
    draft = workbench.draft(target, sample(simulator, exchange, account), replaces=options.get("replaces"))
    workbench.start_draft_test(draft.id).wait(10)
    return draft.id


def test_add_test_and_see(workbench: Workbench, simulator: Simulator) -> None:
    draft_id = make_draft(workbench, simulator, "no_futures")
    connection = workbench.save_draft(draft_id, name="MEXC Spot Main", used_by="grid bot")
    assert connection.status is Status.ONLINE
    assert connection.key_hint == sample(simulator, "mexc", "no_futures").api_key[-4:]
    assert workbench.drafts() == []
    run = workbench.start_test(connection.id).wait(10)
    assert run.status is Status.ONLINE
    assert workbench.count_runs(connection.id) == 2
    latest = workbench.latest_run(connection.id)
    assert latest is not None
    assert latest.id == run.id
    assert workbench.remedy(run) is None
    assert "Nothing to do" in workbench.next_step(connection, run).text
    assert workbench.history.summary(Scope(connection.id)).share == 1.0


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_a_key_that_can_withdraw_is_never_stored(workbench: Workbench, simulator: Simulator, exchange: str) -> None:
    draft_id = make_draft(workbench, simulator, "withdraw", exchange)
    with pytest.raises(NotSavable):
        workbench.save_draft(draft_id, name="Nope")
    with pytest.raises(NotSavable):
        workbench.confirm_draft(draft_id)
        workbench.save_draft(draft_id, name="Nope")
    assert workbench.connections() == []
    simulator.change_account(
        exchange,
        "withdraw",
        permissions="General,Spot" if exchange == "kucoin" else "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE",
    )
    run = workbench.start_draft_test(draft_id).wait(10)
    assert run.status.ok
    assert workbench.save_draft(draft_id, name="Mended").status.ok


def test_an_untold_right_needs_the_trader(workbench: Workbench, simulator: Simulator) -> None:
    draft_id = make_draft(workbench, simulator, "unknown_right")
    with pytest.raises(NotSavable):
        workbench.save_draft(draft_id, name="Unknown")
    assert workbench.confirm_draft(draft_id).status is Status.CONNECTED
    connection = workbench.save_draft(draft_id, name="Confirmed")
    assert workbench.start_test(connection.id).wait(10).status is Status.CONNECTED
    simulator.change_account(
        "mexc", "unknown_right", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE,SPOT_OTHER_WRITE"
    )
    assert workbench.start_test(connection.id).wait(10).status is Status.BLOCKED, "asked again: the report changed"


def test_a_failed_test_is_stored_only_for_a_harmless_cause(workbench: Workbench, simulator: Simulator) -> None:
    harmless = make_draft(workbench, simulator, "ip_blocked")
    assert workbench.save_draft(harmless, name="Server").status is Status.FAILED
    good = sample(simulator, "kucoin", "good")
    wrong = workbench.draft(Target(exchange="kucoin"), Credentials(good.api_key, good.secret, "wrong-pass"))
    run = workbench.start_draft_test(wrong.id).wait(10)
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.INVALID_PASSPHRASE
    with pytest.raises(NotSavable):
        workbench.save_draft(wrong.id, name="Wrong")


def test_an_untested_key_is_not_stored(workbench: Workbench, simulator: Simulator) -> None:
    draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "good"))
    with pytest.raises(NotSavable):
        workbench.save_draft(draft.id, name="Early")


def test_one_key_is_for_one_connection(workbench: Workbench, simulator: Simulator) -> None:
    workbench.save_draft(make_draft(workbench, simulator, "good"), name="First")
    with pytest.raises(AlreadyConnected) as refused:
        workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "good"))
    assert refused.value.name == "First"


def test_a_name_in_use_keeps_what_was_typed(workbench: Workbench, simulator: Simulator) -> None:
    workbench.save_draft(make_draft(workbench, simulator, "good"), name="Main")
    draft_id = make_draft(workbench, simulator, "no_futures")
    with pytest.raises(Exception, match="exists already"):
        workbench.save_draft(draft_id, name="main")
    assert workbench.get_draft(draft_id) is not None, "the key is not lost"
    other = workbench.save_draft(draft_id, name="Other")
    with pytest.raises(NameTaken):
        workbench.rename(other.id, "MAIN")


def test_rotation_keeps_the_old_key_until_the_new_one_passed(workbench: Workbench, simulator: Simulator) -> None:
    connection = workbench.save_draft(make_draft(workbench, simulator, "good"), name="Main")
    failing = make_draft(workbench, simulator, "ip_blocked", replaces=connection.id)
    with pytest.raises(NotSavable):
        workbench.save_draft(failing, name="ignored")
    assert workbench.start_test(connection.id).wait(10).status.ok
    passing = make_draft(workbench, simulator, "no_futures", replaces=connection.id)
    rotated = workbench.save_draft(passing, name="ignored")
    assert (rotated.id, rotated.name) == (connection.id, "Main")
    assert rotated.key_hint == sample(simulator, "mexc", "no_futures").api_key[-4:]
    assert workbench.start_test(connection.id).wait(10).status is Status.ONLINE
    assert workbench.count_runs(connection.id) >= 3, "the history stays"


def test_a_draft_ends_by_itself(workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    draft_id = make_draft(workbench, simulator, "withdraw")
    monkeypatch.setattr("bfai.workbench.utc_now", lambda: utc_now() + timedelta(minutes=10, seconds=1))
    assert workbench.drafts() == []
    with pytest.raises(DraftGone):
        workbench.start_draft_test(draft_id)


def test_a_draft_can_be_forgotten_now(workbench: Workbench, simulator: Simulator) -> None:
    draft_id = make_draft(workbench, simulator, "withdraw")
    workbench.forget_draft(draft_id)
    assert workbench.get_draft(draft_id) is None


def test_a_locked_vault_tests_nothing(workbench: Workbench, simulator: Simulator) -> None:
    connection = workbench.save_draft(make_draft(workbench, simulator, "good"), name="Main")
    workbench.lock()
    assert workbench.vault_state is VaultState.LOCKED
    with pytest.raises(VaultIsLocked):
        workbench.start_test(connection.id)
    workbench.unlock(PASSWORD)
    assert workbench.start_test(connection.id).wait(10).status.ok


def test_one_key_can_be_checked_without_a_vault(tmp_path: Path, gateway: Gateway, simulator: Simulator) -> None:
    with Workbench.local(f"sqlite:///{tmp_path}/none.db", gateway=gateway) as workbench:
        draft_id = make_draft(workbench, simulator, "good")
        draft = workbench.get_draft(draft_id)
        assert draft is not None
        assert draft.run is not None
        assert draft.run.status.ok
        with pytest.raises(VaultIsLocked):
            workbench.save_draft(draft_id, name="x")
        assert workbench.vault_state is VaultState.NONE


def test_two_clicks_are_one_test(workbench: Workbench, simulator: Simulator) -> None:
    connection = workbench.save_draft(make_draft(workbench, simulator, "good"), name="Main")
    simulator.set_faults([{"latency_ms": 300}])
    jobs = {workbench.start_test(connection.id).id for _ in range(5)}
    assert len(jobs) == 1
    assert list(workbench.running()) == [connection.id]


def test_many_at_once(workbench: Workbench, simulator: Simulator) -> None:
    accounts = ("good", "no_futures", "sub_account", "expiring", "ip_open")
    ids = [
        workbench.save_draft(make_draft(workbench, simulator, account, exchange), name=f"{exchange} {account}").id
        for exchange in ("mexc", "kucoin")
        for account in accounts
    ]
    runs = [job.wait(20) for job in workbench.start_tests(ids)]
    assert all(run.status.ok for run in runs)
    assert [run.connection_id for run in runs] == ids


def test_two_windows_share_one_database(tmp_path: Path, gateway: Gateway, simulator: Simulator) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    with Workbench.local(url, gateway=gateway) as first, Workbench.local(url, gateway=gateway) as second:
        first.create_vault(PASSWORD)
        second.unlock(PASSWORD)
        connection = first.save_draft(make_draft(first, simulator, "good"), name="Main")
        assert second.start_test(connection.id).wait(10).status.ok
        second.delete(connection.id)
        with pytest.raises(Exception, match="does not exist any more"):
            first.start_test(connection.id)


def test_deleted_while_tested(workbench: Workbench, simulator: Simulator) -> None:
    connection = workbench.save_draft(make_draft(workbench, simulator, "good"), name="Main")
    simulator.set_faults([{"latency_ms": 200}])
    job = workbench.start_test(connection.id)
    workbench.delete(connection.id)
    with pytest.raises(Exception, match="does not exist any more"):
        job.wait(10)
    assert job.error is not None


def test_unlocking_costs_one_derivation(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in ("good", "no_futures", "ip_open"):
        workbench.save_draft(make_draft(workbench, simulator, account), name=account)
    workbench.lock()
    from bfai import vault

    derived: list[int] = []
    derive = vault._derive
    monkeypatch.setattr(vault, "_derive", lambda *arguments: (derived.append(1), derive(*arguments))[1])
    workbench.unlock(PASSWORD)
    [job.wait(10) for job in workbench.start_tests([connection.id for connection in workbench.connections()])]
    assert len(derived) == 1


# -- the tour ----------------------------------------------------------------------------------------------------------


def test_the_tour_needs_nothing_and_keeps_nothing() -> None:
    with Workbench.tour() as tour:
        assert (tour.mode, tour.vault_state) == (Mode.DEMO, VaultState.OPEN)
        runs = [job.wait(20) for job in tour.add_samples()]
        statuses = {run.status for run in runs}
        assert {Status.ONLINE, Status.CONNECTED, Status.BLOCKED, Status.FAILED} <= statuses
        assert all(run.environment is Environment.SIMULATOR for run in runs)
        assert {connection.target.exchange for connection in tour.connections()} == set(tour.exchanges())
        assert len(tour.recent_runs()) == len(runs)
        futures = [found for found in tour.connections() if found.target.market is Market.FUTURES]
        assert futures and all(found.status.ok for found in futures)
        parameters = tour.strategies.suggested(futures[0].id, RiskLevel.BALANCED, ["BTC/USDT"])
        strategy = tour.strategies.create("Dips", futures[0].id, parameters)
        assert tour.strategies.enable(strategy.id).state is StrategyState.ENABLED, "futures can be tried"
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("Timer")]
    assert threads == []


def test_a_real_key_typed_in_the_tour_goes_nowhere() -> None:
    with Workbench.tour() as tour:
        draft = tour.draft(Target(exchange="mexc"), Credentials("mx0vREALLOOKING12345", "0" * 32))
        assert draft.target.environment is Environment.SIMULATOR
        run = tour.start_draft_test(draft.id).wait(10)
        assert run.diagnosis is not None
        assert run.diagnosis.cause is Cause.INVALID_KEY


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_thief_is_told_in_one_breath(workbench: Workbench, simulator: Simulator) -> None:
    run = workbench.check(Target(exchange="mexc"), sample(simulator, "mexc", "ip_open"))
    first, second = workbench.thief_view(run)
    assert first.text.startswith("From any address")
    assert str(first.params["m_amount"]).endswith("USDT")
    assert second.text == "They could not withdraw it."


def test_exposed_is_said_of_a_key_that_a_thief_could_use_or_widen(workbench: Workbench, simulator: Simulator) -> None:
    rights = "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE"
    cases = [
        ("mexc", "ip_open", {}, True),
        ("mexc", "no_futures", {}, False),
        ("mexc", "no_futures", {"permissions": f"{rights},SPOT_ACCOUNT_WRITE"}, True),
        ("kucoin", "no_futures", {}, False),
    ]
    for exchange, account, changes, exposed in cases:
        if changes:
            simulator.change_account(exchange, account, **changes)
        run = workbench.check(Target(exchange=exchange), sample(simulator, exchange, account))
        assert run.status.ok
        assert workbench.is_exposed(run) is exposed, (exchange, account)


def test_the_rights_table_puts_withdrawal_first_and_names_the_boxes(workbench: Workbench, simulator: Simulator) -> None:
    run = workbench.check(Target(exchange="mexc"), sample(simulator, "mexc", "withdraw"))
    rows = workbench.rights_table(run)
    assert rows[0].permission == "withdraw"
    assert rows[0].evidence.params["words"] == "`SPOT_WITHDRAW_WRITE`"
    assert rows[0].boxes == ("Withdraw",)
    assert [row.permission for row in rows[-2:]] == [None, None]


def test_a_bound_key_whose_addresses_are_not_told_quotes_nothing(workbench: Workbench, simulator: Simulator) -> None:
    run = workbench.check(Target(exchange="binance"), sample(simulator, "binance", "good"))
    addresses = workbench.rights_table(run)[-2]
    assert (addresses.shown_state.text, addresses.evidence.params) == ("bound", {"exchange": "Binance"})


def test_the_remedy_names_exactly_the_missing_boxes(workbench: Workbench, simulator: Simulator) -> None:
    run = workbench.check(Target(exchange="mexc"), sample(simulator, "mexc", "read_only"))
    remedy = workbench.remedy(run)
    assert remedy is not None
    assert remedy.steps[1].params["q_boxes"] == "Spot: Trade"


def test_names(workbench: Workbench, simulator: Simulator) -> None:
    target = Target(exchange="kucoin", market=Market.FUTURES)
    assert workbench.suggest_name(target) == "KuCoin Futures Main"
    workbench.save_draft(
        make_draft(workbench, simulator, "good", "kucoin", market="futures"), name="kucoin futures main"
    )
    assert workbench.suggest_name(target) == "KuCoin Futures Main 2"
    assert workbench.name_problem("  ") is not None
    assert workbench.name_problem("x" * 61) is not None
    assert workbench.name_problem("KuCoin Futures MAIN") is not None
    assert workbench.name_hint("a", target) is not None
    assert workbench.name_hint("KuCoin Grid", target) is None


def test_our_address_is_asked_of_an_exchange(workbench: Workbench, simulator: Simulator) -> None:
    simulator.set_address("203.0.113.50")
    assert workbench.own_address() == "203.0.113.50"
    assert workbench.own_address() == "203.0.113.50"
    assert len(simulator.seen) == 1, "asked once in five minutes"
