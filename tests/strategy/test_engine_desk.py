"""From the workbench and the command line: the gate before an engine starts, and what the engine is told."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bfai import cli
from bfai.model import Market, Strategy, StrategyState, Target
from bfai.simulator import Simulator
from bfai.strategy.parameters import RiskLevel, StrategyError, preset
from bfai.strategy.running import EngineError, EngineState, read_state
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")

WORD = "correct horse battery staple"
STAND_IN = """
    import os, time
    from pathlib import Path
    Path("seen.txt").write_text("\\n".join(os.environ))
    Path("state-at-start.json").write_bytes(Path("state.json").read_bytes())
    Path("ready").touch()
    while True:
        time.sleep(0.05)
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bfai.db"


@pytest.fixture
def workbench(database: str, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(STAND_IN))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}"\n')
    python.chmod(0o755)
    monkeypatch.setenv("BFAI_FREQTRADE_PYTHON", str(python))
    with Workbench.local(database, gateway=gateway) as found:
        found.create_vault(WORD)
        yield found
        for strategy_id in found.engines.known():
            found.engines.stop(strategy_id, seconds=1)


def made(
    workbench: Workbench, simulator: Simulator, exchange: str = "binance", market: Market = Market.SPOT
) -> Strategy:
    target = Target(exchange=exchange, market=market)
    draft = workbench.draft(target, sample(simulator, exchange, "good"))
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    connection = workbench.save_draft(draft.id, name="Mine")
    size = "12" if market is Market.SPOT else "10"
    parameters = preset(RiskLevel.BALANCED, market, ["SOL/USDT"], size)
    return workbench.strategies.create("Grid", connection.id, parameters)


def ready(workbench: Workbench, strategy: Strategy) -> Path:
    folder = workbench.engines.folder(strategy.id)
    end = time.monotonic() + 20
    while not (folder / "ready").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return folder


def test_only_an_enabled_strategy_runs_and_the_engine_knows_what_it_may(
    workbench: Workbench, simulator: Simulator
) -> None:
    strategy = made(workbench, simulator)
    with pytest.raises(StrategyError, match="not enabled"):
        workbench.run_strategy(strategy.id)
    workbench.strategies.enable(strategy.id)
    found = workbench.run_strategy(strategy.id)
    assert found.runs and not found.live and found.revision == 1 and found.may_open
    folder = ready(workbench, strategy)
    at_start = json.loads((folder / "state-at-start.json").read_text())
    assert (at_start["connection_ok"], at_start["may_open"]) == (True, True)
    assert not [name for name in (folder / "seen.txt").read_text().split() if name.startswith(("BFAI", "FREQTRADE__"))]
    actions = [entry.action for entry in workbench.audit_entries()]
    assert "engine_started" in actions
    with pytest.raises(EngineError, match="already"):
        workbench.run_strategy(strategy.id)
    with pytest.raises(EngineError, match="Stop it first"):
        workbench.strategies.delete(strategy.id)

    # Disabled: no new groups, and the engine goes on with what it holds.
    workbench.strategies.disable(strategy.id)
    told = read_state(folder)
    assert told is not None and told["connection_ok"] is True and told["may_open"] is False
    assert workbench.engine_status(strategy.id).runs
    workbench.strategies.enable(strategy.id)
    assert workbench.engine_status(strategy.id).may_open

    # A test that finds the key gone suspends it, and the engine hears of it at once.
    simulator.change_account("binance", "good", status="deleted")
    workbench.start_test(strategy.connection_id or "").wait(20)
    assert workbench.strategies.get(strategy.id).state is StrategyState.SUSPENDED
    told = read_state(folder)
    assert told is not None and (told["connection_ok"], told["may_open"]) == (False, False)
    assert workbench.stop_strategy(strategy.id).state is EngineState.STOPPED
    with pytest.raises(StrategyError):
        workbench.run_strategy(strategy.id)
    assert "engine_stopped" in [entry.action for entry in workbench.audit_entries()]


def test_every_test_renews_what_the_engine_is_told(workbench: Workbench, simulator: Simulator) -> None:
    strategy = made(workbench, simulator)
    workbench.strategies.enable(strategy.id)
    workbench.run_strategy(strategy.id)
    folder = ready(workbench, strategy)
    before = read_state(folder)
    run = workbench.start_test(strategy.connection_id or "").wait(20)
    after = read_state(folder)
    assert before is not None and after is not None
    assert after["at"] == run.started_at.isoformat() != before["at"]


def test_simulated_exchanges_are_never_live(workbench: Workbench, simulator: Simulator) -> None:
    strategy = made(workbench, simulator)
    workbench.strategies.enable(strategy.id)
    with pytest.raises(EngineError, match="real account"):
        workbench.run_strategy(strategy.id, live=True, typed="Grid")
    assert not workbench.engine_status(strategy.id).runs


def test_what_freqtrade_cannot_do_is_said_before_it_starts(workbench: Workbench, simulator: Simulator) -> None:
    strategy = made(workbench, simulator, "kucoin", Market.FUTURES)
    workbench.strategies.enable(strategy.id)
    assert "engine_no_futures" in {problem.code for problem in workbench.strategies.unsupported(strategy.id)}
    with pytest.raises(StrategyError) as refused:
        workbench.run_strategy(strategy.id)
    assert {problem.code for problem in refused.value.problems} == {"engine_no_futures"}


def test_the_tour_keeps_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BFAI_ENGINE_HOME", str(tmp_path))  # for the owner's engines, not for visitors
    with Workbench.tour() as workbench:
        with pytest.raises(EngineError, match="your own computer"):
            _ = workbench.engines
        assert workbench.engine_status("x").state is EngineState.NONE


def test_the_command_line_runs_shows_and_stops(
    workbench: Workbench, simulator: Simulator, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = made(workbench, simulator)
    monkeypatch.setenv("BFAI_DATABASE_URL", database)
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    monkeypatch.setenv("BFAI_LANGUAGE", "en")
    run = CliRunner()
    refused = run.invoke(cli.main, ["run", "Grid"])
    assert refused.exit_code == cli.NOT_OK and "Enable it first" in refused.output
    assert run.invoke(cli.main, ["run", "Grid", "--status"]).exit_code == cli.NOT_OK
    workbench.strategies.enable(strategy.id)
    started = run.invoke(cli.main, ["run", "Grid", "--json"])
    assert started.exit_code == cli.OK, started.output
    told = json.loads(started.stdout)
    assert (told["format"], told["state"], told["live"], told["may_open"]) == ("bfai.engine/1", "running", False, True)
    ready(workbench, strategy)
    shown = run.invoke(cli.main, ["run", "Grid", "--status"])
    assert shown.exit_code == cli.OK and "paper money" in shown.output
    ended = run.invoke(cli.main, ["run", "Grid", "--stop", "--json"])
    assert json.loads(ended.stdout)["state"] == "stopped"

    written = run.invoke(cli.main, ["strategy", "engine-export", "Grid", "--to", str(tmp_path / "out")])
    assert written.exit_code == cli.OK and json.loads((tmp_path / "out" / "config.json").read_text())["dry_run"] is True
    hosted = run.invoke(cli.main, ["strategy", "engine-export", "Grid", "--hosted"])
    assert hosted.exit_code == cli.NOT_OK and "Bybit and OKX" in hosted.output


def test_nothing_is_replaced_or_deleted_while_an_engine_runs(
    workbench: Workbench, simulator: Simulator, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = workbench.backups.make()
    assert saved.path is not None
    strategy = made(workbench, simulator)
    workbench.strategies.enable(strategy.id)
    workbench.run_strategy(strategy.id)
    ready(workbench, strategy)
    with saved.path.open("rb") as file:
        found, _ = workbench.backups.open(file, WORD)
        for act in (workbench.delete_everything, lambda: workbench.restore_backup(found, replace=True)):
            with pytest.raises(EngineError, match=r"An engine runs\. Stop every engine first, on the page"):
                act()
    assert workbench.strategies.get(strategy.id) and workbench.is_open

    monkeypatch.setenv("BFAI_DATABASE_URL", database)
    monkeypatch.setenv("BFAI_LANGUAGE", "en")
    monkeypatch.setenv("BFAI_MASTER_PASSWORD", WORD)
    run = CliRunner()
    refused = run.invoke(cli.main, ["backup", "restore", "--replace", str(saved.path)])
    assert refused.exit_code == cli.NOT_OK and "Stop every engine first" in refused.output

    # One whose strategy went all the same.
    workbench._store.delete_strategy(strategy.id)
    with pytest.raises(EngineError, match=f"strategy is not here any more.*run {strategy.id} --stop"):
        workbench.delete_everything()
    assert [*workbench.lost_engines()] == [strategy.id]
    assert run.invoke(cli.main, ["run", "Grid", "--stop"]).exit_code == cli.NOT_OK
    stopped = run.invoke(cli.main, ["run", strategy.id, "--stop"])
    assert stopped.exit_code == cli.OK and "Stopped" in stopped.output, stopped.output
    assert not workbench.engines.runs(strategy.id) and not workbench.lost_engines()
    restored = run.invoke(cli.main, ["backup", "restore", "--replace", str(saved.path)])
    assert restored.exit_code == cli.OK, restored.output
    workbench.delete_everything()
    assert workbench.engines.known() == ()


def test_without_freqtrade_the_command_line_says_how_to_get_it(
    workbench: Workbench, simulator: Simulator, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = made(workbench, simulator)
    workbench.strategies.enable(strategy.id)
    monkeypatch.delenv("BFAI_FREQTRADE_PYTHON")
    monkeypatch.setenv("BFAI_DATABASE_URL", database)
    monkeypatch.setenv("BFAI_LANGUAGE", "en")
    found = CliRunner().invoke(cli.main, ["run", "Grid"])
    assert found.exit_code == cli.NOT_OK and "--install" in found.output
