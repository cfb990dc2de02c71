"""The real Freqtrade runs an enabled strategy dry on a simulated exchange, from the gate to the stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bfai.model import Status, Strategy, Target, utc_now
from bfai.simulator import Simulator
from bfai.strategy.parameters import StrategyError
from bfai.strategy.running import EngineError, EngineState, write_state
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.engines import Price, holding, in_no_file, needs_shell, parity, quick, redirected
from tests.helpers import sample

pytestmark = [*parity, needs_shell]
FAST = {"exchange": {"enable_ws": False}, "internals": {"process_throttle_secs": 1}}


@pytest.fixture
def workbench(
    tmp_path: Path, gateway: Gateway, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workbench]:
    monkeypatch.setenv("BFAI_FREQTRADE_PYTHON", str(redirected(tmp_path, simulator)))
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        yield found
        for strategy_id in found.engines.known():
            found.engines.stop(strategy_id, seconds=5)


def enabled(workbench: Workbench, simulator: Simulator) -> Strategy:
    draft = workbench.draft(Target(exchange="binance"), sample(simulator, "binance", "good"))
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    connection = workbench.save_draft(draft.id, name="Binance")
    parameters = quick("BTC/USDT")
    strategy = workbench.strategies.create("Dry", connection.id, parameters)
    return workbench.strategies.enable(strategy.id)


def test_a_group_opens_adds_and_closes_without_a_key(
    workbench: Workbench, simulator: Simulator, tmp_path: Path
) -> None:
    strategy = enabled(workbench, simulator)
    price = Price(simulator, "64000.0")
    began = time.perf_counter()

    def until(holds: Callable[[], bool], seconds: float = 150) -> None:
        end = time.monotonic() + seconds
        while not holds():
            found = workbench.engine_status(strategy.id)
            log = workbench.engines.log(strategy.id, 40)
            assert time.monotonic() < end and found.runs, f"{found}\n{log}"
            time.sleep(0.3)

    with pytest.raises(EngineError, match="real account"):
        workbench.run_strategy(strategy.id, live=True, typed="Dry")
    workbench.run_strategy(strategy.id, extra=FAST, interval=timedelta(minutes=1))
    until(lambda: bool(workbench.engine_status(strategy.id).groups))
    (group,) = workbench.engine_status(strategy.id).groups
    assert (group.pair, group.fills) == ("BTC/USDT", 1)

    price.now = Decimal("63600.0")  # below the first add-on
    until(lambda: workbench.engine_status(strategy.id).groups[0].fills == 2)

    # A suspended strategy opens nothing new, and its group still closes with profit.
    simulator.change_account("binance", "good", status="deleted")
    assert workbench.start_test(strategy.connection_id or "").wait(20).status is Status.FAILED
    assert workbench.engine_status(strategy.id).may_open is False
    price.now = Decimal("65000.0")
    until(lambda: workbench.engine_status(strategy.id).closed_groups == 1)
    # Freqtrade leaves a pair alone for the rest of the candle on which its group closed.
    until(lambda: "blocked connection" in workbench.engines.log(strategy.id))
    found = workbench.engine_status(strategy.id)
    assert found.groups == () and found.profit is not None and found.profit > 0
    with pytest.raises(StrategyError):
        workbench.run_strategy(strategy.id)

    # It works again, and the engine goes on by itself.
    simulator.change_account("binance", "good", status="active")
    assert workbench.start_test(strategy.connection_id or "").wait(20).status.ok
    assert workbench.engine_status(strategy.id).may_open is True
    until(lambda: bool(workbench.engine_status(strategy.id).groups))
    stopped = workbench.stop_strategy(strategy.id)
    assert stopped.state is EngineState.STOPPED

    key = sample(simulator, "binance", "good")
    in_no_file(tmp_path, [key.api_key, key.secret])
    sys.stderr.write(f"\nengine: {time.perf_counter() - began:.0f} s\n")


def test_a_live_one_has_its_key_in_its_own_environment_and_nowhere_else(
    workbench: Workbench, simulator: Simulator, tmp_path: Path
) -> None:
    """The key works at once, so it did arrive. It is told to open nothing: not even a simulated order is sent."""
    strategy, key = enabled(workbench, simulator), sample(simulator, "binance", "good")
    secrets, engines = [key.api_key, key.secret], workbench.engines

    def asked() -> set[object]:
        return {seen["path"] for seen in simulator.seen if seen["account"] == "good" and not seen["fault"]}

    simulator.forget()
    engines.start(
        strategy.id,
        workbench.strategies.freqtrade(strategy.id, interval=timedelta(minutes=1), watched=True),
        revision=1,
        credentials=key,
        extra=FAST,
        prepared=lambda: write_state(engines.folder(strategy.id), connection_ok=True, may_open=False, at=utc_now()),
    )
    end = time.monotonic() + 60
    while "/api/v3/account" not in asked() or "blocked connection" not in engines.log(strategy.id):
        assert time.monotonic() < end and engines.runs(strategy.id), engines.log(strategy.id)
        time.sleep(0.2)
    assert holding("environ", secrets) == {engines.status(strategy.id).pid}
    assert holding("cmdline", secrets) == set()
    in_no_file(tmp_path, secrets)
    engines.stop(strategy.id)
    assert holding("environ", secrets) == set()
    in_no_file(tmp_path, secrets)
