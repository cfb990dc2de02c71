"""The audit page, the vault's new key, everything deleted, and the wait at the lock, as pages show them."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.model import utc_now
from bfai.monitor import Monitor
from bfai.simulator import Simulator
from bfai.ui.session import Keeper, Times, keeper
from bfai.vault import Vault, WrongPassword
from bfai.workbench import Mode, VaultState, Workbench
from tests.app.conftest import (
    PASSWORD,
    captions,
    choose,
    go,
    labels,
    open_app,
    opened_vault,
    press,
    problems,
    texts,
    toured,
)
from tests.app.test_settings_page import connect

PAGE, SETTINGS = "pages/audit.py", "pages/settings.py"


@pytest.fixture
def filled(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """An opened vault with two connections, one of them renamed."""
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    at = opened_vault()
    bench = keeper().workbench
    first, _second = (connect(bench, simulator, account) for account in ("good", "no_futures"))
    bench.rename(first, "Grid *bot*")
    return at


def lines(at: AppTest) -> list[str]:
    return [str(one) for one in at.table[0].value["What"].tolist()] if at.table else []


def test_lines_stand_there_newest_first_and_are_filtered_searched_and_turned(filled: AppTest) -> None:
    at, bench = go(filled, PAGE), keeper().workbench
    assert not problems(at)
    assert lines(at)[0] == r"MEXC Spot good is called Grid \*bot\* now."
    assert lines(at)[-1] == "The vault was made."
    assert any("no secret is in them" in text for text in captions(at))
    choose(at, "trail_kinds", ["vault"])  # type: ignore[arg-type]
    assert lines(at) == ["The vault was made."]
    choose(at, "trail_kinds", [])  # type: ignore[arg-type]
    at.text_input(key="trail_search").set_value("GRID").run()
    assert len(lines(at)) == 1
    at.text_input(key="trail_search").set_value("nothing like it").run()
    assert lines(at) == []
    assert "Nothing fits" in texts(at)
    at.text_input(key="trail_search").set_value("").run()
    first = next(one for one in bench.connections() if one.name.startswith("Grid"))
    choose(at, "trail_about", first.id)
    assert all("Grid" in line or "good" in line for line in lines(at))
    assert at.query_params["about"] in (first.id, [first.id])
    bench.delete(first.id)
    at.run()
    assert lines(at)[0] == r"Grid \*bot\* was deleted with its key and its history."
    names = next(box for box in at.selectbox if str(box.key).startswith("trail_about")).options
    assert "Deleted: Grid *bot*" in names
    choose(at, "trail_about", "")
    for number in range(60):
        bench.change_settings(lock_minutes=5 + number)
    at.run()
    assert len(lines(at)) == 50
    assert lines(at)[0].endswith("63 became 64.")
    shown = next(text for text in captions(at) if text.startswith("1 to 50 of"))
    assert bench.trail_names()
    assert shown.split()[4].rstrip(".").isdigit()


def test_it_is_found_from_the_settings_and_from_a_connection(filled: AppTest) -> None:
    (first, _second) = keeper().workbench.connections()
    at = go(filled, SETTINGS)
    links = [item.proto.label for item in at.get("page_link")]
    assert "To the audit trail" in links
    at.query_params["settings"] = first.id
    go(at, "pages/connections.py")
    assert "What was done to this connection" in [item.proto.label for item in at.get("page_link")]
    assert "Audit trail" not in [item.proto.label for item in at.sidebar.get("page_link")]


@pytest.mark.parametrize("language", ["en", "nl", "hr", "de"])
def test_the_tour_has_a_trail_of_its_own(language: str) -> None:
    at = go(toured(language), PAGE)
    assert not problems(at)
    assert len(at.table[0].value) > 10
    assert "delete_everything" not in [item.key for item in go(at, SETTINGS).button]


# -- a new key ---------------------------------------------------------------------------------------------------------


def test_the_key_is_renewed_with_the_password_and_keys_still_open(filled: AppTest) -> None:
    at, bench = go(filled, SETTINGS), keeper().workbench
    assert bench._vault is not None
    before = bench._vault.key_check
    at.text_input(key="renew_password").set_value("not the password")
    press(at, "renew_key")
    assert "That is not the password" in at.warning[0].value
    assert bench._vault.key_check == before
    at.text_input(key="renew_password").set_value(PASSWORD)
    press(at, "renew_key")
    assert "2 connections are sealed anew" in at.success[0].value
    assert at.session_state["renew_password"] == ""
    assert PASSWORD not in repr(at.session_state)
    assert bench._vault.key_check != before
    job = bench.start_test(bench.connections()[0].id)
    assert job.wait(30).status.ok
    with pytest.raises(WrongPassword):
        Vault.unlock(bench._store, "not the password")


# -- everything deleted ------------------------------------------------------------------------------------------------


def test_everything_is_deleted_after_the_word_was_typed(filled: AppTest) -> None:
    at, kept = go(filled, SETTINGS), keeper()
    press(at, "delete_everything")
    shown = texts(at)
    assert "What goes on working until you delete it there" in shown
    assert "Key list at MEXC" in shown
    assert "backups and exports" in shown
    at.text_input(key="delete_word").set_value("delete")
    press(at, "delete_all_yes")
    assert kept.workbench.vault_state is VaultState.OPEN
    press(at, "delete_everything")
    at.text_input(key="delete_word").set_value("DELETE")
    press(at, "delete_all_yes")
    assert kept.workbench.vault_state is VaultState.NONE
    assert kept.workbench.connections() == []
    at.run()
    assert not problems(at)
    assert "Look around with the simulator" in labels(at)
    assert not kept._monitor.started


# -- the lock ----------------------------------------------------------------------------------------------------------


def unlock(at: AppTest, password: str) -> AppTest:
    at.text_input(key="master_password").set_value(password)
    return press(at, "unlock_button")


def warned(at: AppTest) -> str:
    return " ".join(item.value for item in at.warning)


def test_the_wait_is_told_in_every_window_and_after_a_reload() -> None:
    at = press(opened_vault(), "lock_now")
    for _ in range(2):
        unlock(at, "not the password")
        assert "Check Caps Lock" in warned(at)
    store = keeper().workbench._store
    assert store.set_unlock_failures(2, 12, utc_now()), "others, in other windows, in the same moment"
    other = open_app()
    assert "Too many attempts with a wrong password. Next try in" in warned(other)
    assert other.button(key="unlock_button").disabled
    assert store.set_unlock_failures(12, 2, utc_now())
    other.run()
    assert not other.warning
    assert not other.button(key="unlock_button").disabled
    unlock(other, PASSWORD)
    assert keeper().workbench.is_open
    assert not problems(other)


# -- the lock that closes by itself ------------------------------------------------------------------------------------


class Clocks:
    def __init__(self) -> None:
        self.now = Times(1000.0, 5000.0)

    def __call__(self) -> Times:
        return self.now

    def go_on(self, steady: float, day: float) -> None:
        self.now = Times(self.now.steady + steady, self.now.day + day)


def kept_at(tmp_path: Any, clocks: Clocks) -> Keeper:
    workbench = Workbench.local(f"sqlite:///{tmp_path}/idle.db")
    workbench.create_vault(PASSWORD)
    kept = Keeper(workbench, 0, clock=clocks)  # nobody watches beside this test
    kept._idle_minutes = 15.0
    return kept


@pytest.mark.parametrize(("steady", "day"), [(901.0, 901.0), (5.0, 8 * 3600.0), (901.0, -3600.0)])
def test_a_click_that_comes_too_late_finds_a_locked_vault(tmp_path: Any, steady: float, day: float) -> None:
    """After idle minutes, after a computer slept with the page on its screen, and with a clock that was set back."""
    clocks = Clocks()
    kept = kept_at(tmp_path, clocks)
    vault = kept.workbench._vault
    assert vault is not None
    clocks.go_on(899.0, 899.0)
    kept.touch()
    assert kept.workbench.is_open
    clocks.go_on(steady, day)
    kept.touch()
    assert kept.workbench.vault_state is VaultState.LOCKED
    assert vault.locked
    assert (kept.locked_by_itself, kept.locked_after) == (True, 15)
    kept.close()


@pytest.mark.parametrize("hangs", [(Keeper, "idle_minutes"), (Monitor, "settle")])
def test_a_database_that_does_not_answer_keeps_no_vault_open(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, hangs: tuple[type, str]
) -> None:
    answers = threading.Event()

    def hang(*_: object) -> float:
        assert answers.wait(30)
        return 15.0

    clocks = Clocks()
    kept = kept_at(tmp_path, clocks)
    kept.run_tests()
    monkeypatch.setattr(*hangs, property(hang) if hangs[1] == "idle_minutes" else hang)
    clocks.go_on(901.0, 901.0)
    watch = threading.Thread(target=kept._lock_if_idle)
    watch.start()
    try:
        for _ in range(500):
            if not kept.workbench.is_open:
                break
            time.sleep(0.01)
        assert kept.workbench.vault_state is VaultState.LOCKED
        assert watch.is_alive(), "it still waits"
    finally:
        answers.set()
        watch.join()
        kept.close()


def test_a_visit_that_ends_takes_its_key_along() -> None:
    at = toured()
    (kept,) = (one for one in gc.get_objects() if isinstance(one, Keeper) and one.workbench.mode is Mode.DEMO)
    vault = kept.workbench._vault
    assert vault is not None
    assert not vault.locked
    press(at, "leave_tour")
    assert vault.locked
    assert vault._key is None
