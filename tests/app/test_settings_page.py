"""The settings page: what is chosen there holds at once, on every page, and a password is never kept."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.model import Target
from bfai.simulator import Simulator
from bfai.ui.session import Keeper, Times, keeper
from bfai.vault import Vault, WrongPassword
from bfai.workbench import Settings, Workbench
from tests.app.conftest import PASSWORD, captions, go, open_app, opened_vault, press, problems, texts, toured
from tests.helpers import sample

PAGE = "pages/settings.py"
NEW_PASSWORD = "tall green lamp post"
BOXES = ("settings_password", "settings_new_password", "settings_new_password_again")


def box(at: AppTest, name: str) -> Any:
    return next(item for item in at.selectbox if str(item.key).startswith(f"setting_{name}"))


def pick(at: AppTest, name: str, value: object) -> AppTest:
    box(at, name).set_value(value).run()
    assert not problems(at)
    return at


def test_numbers_are_kept_when_they_are_chosen() -> None:
    at = go(opened_vault(), PAGE)
    for name, value in (("schedule_minutes", 15), ("freshness_hours", 6), ("lock_minutes", 30)):
        assert box(at, name).value == getattr(Settings(), name)
        pick(at, name, value)
        assert box(at, name).value == value
    kept = keeper()
    assert kept.workbench.settings == Settings(schedule_minutes=15, freshness_hours=6, lock_minutes=30)
    assert any("Locks after 30 minutes without a click" in text for text in captions(at))
    pick(at, "lock_minutes", 0)
    assert kept.idle_minutes == 0
    assert any("until you lock it or end the program" in text for text in captions(at))


def test_the_lock_and_a_new_vault_name_the_minutes_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_LOCK_AFTER_MINUTES", "1")
    at = press(open_app(), "door_2")
    assert any("locks after 1 minute without a click" in text for text in captions(at))
    monkeypatch.delenv("BFAI_LOCK_AFTER_MINUTES")
    at = pick(go(opened_vault(), PAGE), "lock_minutes", 5)
    kept = keeper()
    kept._used = Times(time.monotonic() - 6 * 60, time.time() - 6 * 60)
    deadline = time.monotonic() + 15
    while kept.workbench.is_open and time.monotonic() < deadline:
        time.sleep(0.05)
    at.run()
    assert any("nobody clicked for 5 minutes" in text for text in captions(at))


def test_what_the_environment_says_is_shown_and_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_TEST_HOLDS_HOURS", "5")
    monkeypatch.setenv("BFAI_MASTER_PASSWORD", "hidden lamp post")
    at = go(opened_vault(), PAGE)
    assert box(at, "freshness_hours").disabled
    assert box(at, "freshness_hours").value == 5
    assert not box(at, "lock_minutes").disabled
    assert any("`BFAI_TEST_HOLDS_HOURS` says this" in text for text in captions(at))
    shown = texts(at)
    assert "`BFAI_TEST_HOLDS_HOURS` = `5`" in shown
    assert "`BFAI_MASTER_PASSWORD` = `…`" in shown
    assert "hidden lamp" not in shown


def test_the_time_zone_is_that_of_every_page(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    at = opened_vault()
    connect(keeper().workbench, simulator, "good")
    pick(go(at, PAGE), "zone", "Asia/Kathmandu")
    for page in ("app.py", "pages/history.py", "pages/strategies.py", "pages/alerts.py"):
        go(at, page)
        assert not problems(at)
        assert any("times in Asia/Kathmandu" in text for text in captions(at)), page
    assert keeper().workbench.alerts.zone == "Asia/Kathmandu"
    pick(go(at, PAGE), "zone", "")
    assert keeper().workbench.settings.time_zone is None


def test_a_language_is_remembered_for_the_next_visit() -> None:
    at = go(opened_vault(), PAGE)
    pick(at, "language", "nl")
    assert at.title[0].value == "Instellingen"
    assert keeper().workbench.settings.language == "nl"
    visit = AppTest.from_file("../../app.py", default_timeout=30)
    visit.context = {"locale": "hr-HR"}
    visit.run()
    assert visit.session_state["language"] == "nl"
    at.segmented_control(key="language_sidebar_nl").set_value("hr").run()
    assert keeper().workbench.settings.language == "hr"


def test_shorter_keeping_is_asked_first() -> None:
    at = go(opened_vault(), PAGE)
    settings = keeper().workbench
    pick(at, "keep_runs_days", 7)
    assert settings.settings.keep_runs_days == 90
    assert "No test is older than 7 days yet." in texts(at)
    press(at, "keep_longer")
    assert settings.settings.keep_runs_days == 90
    assert box(at, "keep_runs_days").value == 90
    press(pick(at, "keep_runs_days", 7), "keep_shorter_yes")
    assert settings.history.keep == timedelta(days=7)
    pick(at, "keep_runs_days", 365)
    assert settings.history.keep == timedelta(days=365), "longer deletes nothing, so it is not asked"


# -- the password ------------------------------------------------------------------------------------------------------


def connect(workbench: Workbench, simulator: Simulator, account: str) -> str:
    draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", account))
    workbench.start_draft_test(draft.id).wait(30)
    return workbench.save_draft(draft.id, name=f"MEXC Spot {account}").id


def fill(at: AppTest, *values: str) -> AppTest:
    for key, value in zip(BOXES, values, strict=True):
        at.text_input(key=key).set_value(value)
    return press(at, "change_password")


def test_the_password_is_changed_and_every_key_opens_with_the_new_one(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    at = go(opened_vault(), PAGE)
    workbench = keeper().workbench
    ids = {connect(workbench, simulator, account): account for account in ("good", "no_futures")}
    at.text_input(key=BOXES[1]).set_value("abc").run()
    assert at.get("progress")[0].proto.text.endswith("Four or five unrelated words are good.")
    for values, said in (
        ((PASSWORD, NEW_PASSWORD, NEW_PASSWORD + "!"), "not the same"),
        ((PASSWORD, "short", "short"), "at least 10 characters"),
        (("not the password", NEW_PASSWORD, NEW_PASSWORD), "That is not the password"),
    ):
        fill(at, *values)
        assert said in at.warning[0].value
        assert [at.session_state[key] for key in BOXES] == ["", "", ""]
    fill(at, PASSWORD, NEW_PASSWORD, NEW_PASSWORD)
    assert "The master password is changed" in at.success[0].value
    assert not any(word in repr(at.session_state) for word in (PASSWORD, NEW_PASSWORD))
    store = workbench._store
    with pytest.raises(WrongPassword):
        Vault.unlock(store, PASSWORD)
    opened = Vault.unlock(store, NEW_PASSWORD)
    for connection_id, account in ids.items():
        assert opened.open(connection_id, store.sealed(connection_id)) == sample(simulator, "mexc", account)
    assert [entry.action for entry in workbench.audit_entries()].count("password_changed") == 1
    press(at, "lock_now")
    at.text_input(key="master_password").set_value(NEW_PASSWORD)
    press(at, "unlock_button")
    assert workbench.is_open


# -- what it shows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "nl", "hr"])
def test_the_page_in_the_tour_keeps_nothing_and_asks_no_password(language: str) -> None:
    at = go(toured(language), PAGE)
    assert not problems(at)
    assert not [item for item in at.text_input if item.key in BOXES]
    assert not [item for item in at.selectbox if str(item.key).startswith("setting_lock")]


def test_it_says_where_the_data_lies_and_what_it_is_made_with() -> None:
    at = go(opened_vault(), PAGE)
    place = keeper().workbench.place()
    assert place is not None
    assert place.name in [item.value for item in at.code]
    said = texts(at)
    assert "nobody hears of anything" in said
    assert "0.1.0" in said
    assert "streamlit" in at.dataframe[0].value["Package"].tolist()
    hosts = "\n".join(item.value.to_csv() for item in at.table)
    assert "api.mexc.com" in hosts


def test_the_minutes_of_a_keeper_follow_the_setting_of_another_program(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/idle.db"
    kept = Keeper(Workbench.local(url))
    with Workbench.local(url) as other:
        other.change_settings(lock_minutes=7)
    assert kept.idle_minutes == 7
    kept.close()
