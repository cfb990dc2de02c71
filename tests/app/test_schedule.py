"""Scheduled tests in the app: they run while the vault is open, and the pages say when, how often and how long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bfai.i18n import LANGUAGES
from bfai.model import Target
from bfai.simulator import Simulator
from bfai.ui.pieces import REDRAWN
from bfai.ui.session import Keeper, Times, keeper
from bfai.workbench import VaultState, Workbench
from tests.app.conftest import PASSWORD, captions, choose, go, opened_vault, press, problems, toured
from tests.helpers import sample


def runs_tests(kept: Keeper) -> bool:
    return kept._monitor.started


def test_tests_run_from_the_opening_of_the_vault_to_its_lock() -> None:
    at = opened_vault()
    kept = keeper()
    assert runs_tests(kept)
    press(at, "lock_now")
    assert not runs_tests(kept)
    assert kept.workbench.vault_state is VaultState.LOCKED
    at.text_input(key="master_password").set_value(PASSWORD)
    press(at, "unlock_button")
    assert runs_tests(kept)
    kept.close()
    assert not runs_tests(kept)
    kept.run_tests()
    assert not runs_tests(kept)


def test_a_locked_vault_tests_nothing() -> None:
    press(opened_vault(), "lock_now")
    kept = keeper()
    kept.run_tests()
    assert not runs_tests(kept)


def test_they_end_when_the_vault_locks_by_itself(tmp_path: Path) -> None:
    workbench = Workbench.local(f"sqlite:///{tmp_path}/idle.db")
    workbench.create_vault("correct horse battery staple")
    now = [0.0]
    kept = Keeper(workbench, idle_minutes=0.5 / 60, clock=lambda: Times(now[0], now[0]))
    kept.run_tests()
    assert runs_tests(kept)
    now[0] = 1.0
    deadline = time.monotonic() + 10
    while not kept.locked_by_itself and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs_tests(kept)
    kept.close()


def test_a_page_that_draws_itself_anew_is_no_click() -> None:
    at = opened_vault()
    kept = keeper()
    kept._used = before = Times(kept._used.steady - 60, kept._used.day - 60)
    at.session_state[REDRAWN] = True
    at.run()
    assert kept._used == before
    at.run()
    assert kept._used > before


def test_the_tour_tests_on_schedule_while_it_lasts() -> None:
    at = toured()
    assert any("Next test in" in text for text in captions(at))
    go(at, "pages/history.py")
    assert any("while this page is open" in text for text in captions(at))
    assert not problems(at)


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_the_interval_of_a_connection_is_chosen_on_its_page(language: str) -> None:
    at = go(toured(language), "pages/history.py")
    box = next(item for item in at.selectbox if str(item.key).startswith("schedule_"))
    assert len(box.options) == 8
    connection_id = str(box.key).split("_")[1]
    for seconds in (900, 0, 7 * 24 * 3600):
        choose(at, f"schedule_{connection_id}", seconds)  # pyright: ignore[reportArgumentType]
        assert not problems(at)
        box = next(item for item in at.selectbox if str(item.key).startswith("schedule_"))
        assert (box.key, box.value) == (f"schedule_{connection_id}_{seconds}", seconds)


def test_an_hour_is_the_interval_of_a_new_connection() -> None:
    at = go(toured(), "pages/history.py")
    box = next(item for item in at.selectbox if str(item.key).startswith("schedule_"))
    assert box.value == 3600
    assert "1\u00a0h" in box.options


def test_the_overview_says_when_nothing_is_tested_automatically(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    at = opened_vault()
    workbench = keeper().workbench
    draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "good"))
    workbench.start_draft_test(draft.id).wait(30)
    connection = workbench.save_draft(draft.id, name="Main")
    at.run()
    assert any("Next test in" in text and "Main" in text for text in captions(at))
    workbench.set_schedule(connection.id, None)
    at.run()
    assert any("No connection is tested automatically" in text for text in captions(at))
    go(at, "pages/history.py")
    assert any("locks after 15 minutes without a click" in text for text in captions(at))
