"""The real Freqtrade runs an enabled strategy dry on a simulated exchange, from the gate to the stop button.

Freqtrade has its own HTTP stack: a `sitecustomize` in its environment sends it to the simulator, in tests only.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bfai.model import Market, Status, Strategy, Target
from bfai.simulator import Simulator
from bfai.strategy.parameters import StrategyError, preset
from bfai.strategy.running import EngineError, EngineState
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample
from tests.parity.test_parity import PYTHON

pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(PYTHON is None, reason="needs Freqtrade: python3 run.py parity installs it and runs this"),
    pytest.mark.skipif(sys.platform == "win32", reason="the redirect is a shell script"),
]
FAST = {"exchange": {"enable_ws": False}, "internals": {"process_throttle_secs": 1}}


class Price:
    """What the simulated exchange asks and bids, set by the test."""

    def __init__(self, simulator: Simulator, first: str) -> None:
        self.now = Decimal(first)
        simulator.set_mutator(self)

    def __call__(self, exchange: str, path: str, body: bytes) -> bytes:
        bid, ask = str(self.now), str(self.now + Decimal("0.1"))
        if path.endswith("/depth"):
            rows = {"lastUpdateId": 1, "bids": [[bid, "50"]], "asks": [[ask, "50"]]}
            return json.dumps(rows).encode()
        if "/ticker/" in path and body.startswith(b"{"):
            told = {**json.loads(body), "bidPrice": bid, "askPrice": ask, "lastPrice": bid, "price": bid}
            return json.dumps(told).encode()
        return body


@pytest.fixture
def redirected(tmp_path: Path, simulator: Simulator) -> Path:
    """Freqtrade's Python, every host of which is the simulator."""
    place = tmp_path / "shim"
    place.mkdir()
    shutil.copy(Path(__file__).parents[1] / "redirect.py", place / "redirect.py")
    code = f"import redirect; redirect.install({simulator.gateway!r}, {str(simulator.ca_file)!r})\n"
    (place / "sitecustomize.py").write_text(code)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{PYTHON}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def workbench(
    tmp_path: Path, gateway: Gateway, redirected: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workbench]:
    monkeypatch.setenv("BFAI_FREQTRADE_PYTHON", str(redirected))
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        yield found
        for strategy_id in found.engines.known():
            found.engines.stop(strategy_id, seconds=5)


def enabled(workbench: Workbench, simulator: Simulator) -> Strategy:
    draft = workbench.draft(Target(exchange="binance"), sample(simulator, "binance", "good"))
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    connection = workbench.save_draft(draft.id, name="Binance")
    parameters = preset("balanced", Market.SPOT, ["BTC/USDT"], "50").changed(
        addon_step_pct="0.5", addon_step_multiplier="1", addon_max_count=3, addon_multiplier="1.5", addon_cooldown=0,
        take_profit_pct="0.3", recovery__enabled=False, margin_limit_total="60%", deposit_load_max="90", max_groups=1,
        cooldown_after_close=0,
    )  # fmt: skip
    strategy = workbench.strategies.create("Dry", connection.id, parameters)
    return workbench.strategies.enable(strategy.id)


def test_a_group_opens_adds_and_closes_without_a_key(workbench: Workbench, simulator: Simulator) -> None:
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
    for path in workbench.engines.folder(strategy.id).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert key.api_key.encode() not in content and key.secret.encode() not in content, path
    sys.stderr.write(f"\nengine: {time.perf_counter() - began:.0f} s\n")
