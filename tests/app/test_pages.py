"""Every page starts in every language, shows nothing while locked, and says that the tour is a tour."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bfai.i18n import LANGUAGES
from bfai.ui.session import Keeper, Times
from bfai.workbench import VaultState, Workbench
from tests.app.conftest import (
    PAGES,
    PASSWORD,
    captions,
    choose,
    go,
    labels,
    open_app,
    opened_vault,
    press,
    problems,
    settle,
    texts,
    toured,
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_starts_in_the_tour(language: str) -> None:
    at = toured(language)
    for page in PAGES:
        go(at, page)
        assert not problems(at), page
        assert at.title, page
        badges = [item.value for item in at.markdown if "material/science" in item.value]
        assert badges, f"{page} does not say that it is simulated"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_starts_with_an_empty_vault(language: str) -> None:
    at = opened_vault(language)
    for page in PAGES:
        go(at, page)
        assert not problems(at), page
        assert len(at.title) == 1, page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_locked_page_shows_the_lock_only(language: str) -> None:
    at = press(opened_vault(language), "lock_now")
    for page in PAGES:
        go(at, page)
        assert not problems(at), page
        assert at.text_input(key="master_password")
        assert [item.key for item in at.button if item.key != "unlock_button"] == []
        assert not at.sidebar.get("page_link")


def test_language_is_changed_with_one_click_and_stays() -> None:
    at = toured("en")
    choose(at, "language_sidebar_en", "nl")
    assert at.session_state["language"] == "nl"
    go(at, "pages/guide.py")
    assert at.session_state["language"] == "nl"
    assert at.query_params["lang"] == "nl" or at.query_params["lang"] == ["nl"]


def test_language_comes_from_the_browser() -> None:
    at = AppTest.from_file("../../app.py", default_timeout=30)
    at.context = {"locale": "hr-HR"}
    at.run()
    assert at.session_state["language"] == "hr"


# -- the first start -----------------------------------------------------------------


def test_first_start_has_three_doors_and_no_sidebar() -> None:
    at = open_app()
    assert [at.button(key=f"door_{number}").label for number in range(3)] == [
        "Look around with the simulator",
        "Check one key, store nothing",
        "Open a vault",
    ]
    assert not at.sidebar.children


def test_the_tour_shows_samples_worst_first_and_can_be_left() -> None:
    at = toured()
    names = [item.value for item in at.markdown if item.value.startswith("**") and "Spot" in item.value]
    assert "Old Key" in names[0]  # it can withdraw
    assert any("How to fix" in label for label in labels(at))
    press(at, "leave_tour")
    assert at.button(key="door_0")


def test_a_vault_needs_the_same_password_twice() -> None:
    at = press(open_app(), "door_2")
    at.text_input(key="new_password").set_value(PASSWORD)
    at.text_input(key="new_password_again").set_value(PASSWORD + "!")
    press(at, "create_vault")
    assert "not the same" in at.warning[0].value
    assert at.session_state["new_password"] == at.session_state["new_password_again"] == ""


def test_a_short_password_is_refused_and_strength_is_shown() -> None:
    at = press(open_app(), "door_2")
    at.text_input(key="new_password").set_value("abc").run()
    assert at.get("progress")
    at.text_input(key="new_password").set_value("abc")
    at.text_input(key="new_password_again").set_value("abc")
    press(at, "create_vault")
    assert at.warning


def test_an_open_vault_without_connections_leads_to_the_wizard() -> None:
    at = opened_vault()
    assert PASSWORD not in repr(at.session_state)
    press(at, "add_first")
    assert at.title[0].value == "Add a connection"
    assert "Step 1 of 4" in texts(at)


# -- the lock -----------------------------------------------------------------


def test_the_lock_counts_failures_and_backs_off() -> None:
    at = press(opened_vault(), "lock_now")
    waited = False
    for _ in range(6):
        if at.button(key="unlock_button").disabled:
            waited = True
            break
        at.text_input(key="master_password").set_value("wrong password")
        press(at, "unlock_button")
        assert at.session_state["master_password"] == ""
        assert "not the password" in at.warning[0].value
    assert waited, "no back-off after six wrong passwords"
    assert "Next try in" in at.warning[0].value


def test_the_right_password_opens() -> None:
    at = press(opened_vault(), "lock_now")
    at.text_input(key="master_password").set_value(PASSWORD)
    press(at, "unlock_button")
    assert at.title[0].value == "Overview"
    assert PASSWORD not in repr(at.session_state)


def test_a_damaged_database_is_said_calmly(tmp_path: Path) -> None:
    (tmp_path / "bfai.db").write_bytes(b"this is no database, and it is long enough to look at" * 40)
    at = open_app()
    assert not at.exception
    assert at.title[0].value == "The workbench cannot open its database"
    assert at.warning


# -- hosted -----------------------------------------------------------------


@pytest.mark.usefixtures("hosted")
def test_hosted_is_the_demo_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_DATABASE_URL", "sqlite:////srv/of-the-keeper.db")
    at = settle(open_app())
    assert any("Never type a real key here" in text for text in captions(at))
    assert [item.value for item in at.code] == ["python3 run.py"]
    for page in PAGES:
        go(at, page)
        assert not problems(at)
        assert any("Never type a real key here" in text for text in captions(at)), page
        shown = [*captions(at), *(item.value for item in (*at.markdown, *at.code))]
        assert not any(word in text for text in shown for word in ("BFAI_", "server.address", "of-the-keeper")), page


# -- results -----------------------------------------------------------------


def test_a_refused_connection_says_what_to_do_and_opens_its_receipt() -> None:
    at = go(toured(), "pages/history.py")
    assert "withdraw" in at.error[0].value
    assert any("0 orders, 0 changes" in item.label for item in at.expander)
    rights = at.table[-1].value if len(at.table) < 3 else at.table[1].value
    assert "Withdraw" in str(rights.iloc[0, 0])


def test_history_reads_well_with_few_runs() -> None:
    at = toured()
    go(at, "pages/history.py")
    choose(at, "choose_view", "history")
    assert not problems(at)
    assert len(at.metric) == 4
    assert at.get("download_button")
    choose(at, "connection", "all")
    assert not problems(at)


def test_rotating_from_a_result_opens_the_wizard_for_that_connection() -> None:
    at = go(toured(), "pages/history.py")
    go(at, "pages/history.py")  # a second visit keeps nothing of the first
    assert not problems(at)
    press(at, "rotate")
    assert at.title[0].value == "Rotate key"
    assert "Step 2 of 4" in texts(at)


def test_an_older_run_opens_by_its_address() -> None:
    at = go(toured(), "pages/history.py")
    press(at, "again")
    settle(at)
    choose(at, "choose_view", "history")
    assert at.dataframe[0].value.shape[0] == 2
    go(at, "pages/history.py")
    assert not problems(at)


def test_a_filter_of_the_overview_keeps_only_that_status() -> None:
    at = toured()
    item = at.get("pills")[0]
    item.set_value(["online"]).run()  # pyright: ignore[reportAttributeAccessIssue]
    chips = [text.value for text in at.markdown if "-badge[" in text.value and "Simulator" not in text.value]
    assert chips
    assert all("Online" in chip for chip in chips)


# -- the idle lock -----------------------------------------------------------------------------------------------------


def test_a_vault_in_use_stays_open_and_an_idle_one_locks_by_itself(tmp_path: Path) -> None:
    workbench = Workbench.local(f"sqlite:///{tmp_path}/idle.db")
    workbench.create_vault(PASSWORD)
    now = [1000.0]
    keeper = Keeper(workbench, idle_minutes=10, clock=lambda: Times(now[0], now[0]))
    for _ in range(8):
        now[0] += 599
        keeper.touch()
    assert workbench.vault_state is VaultState.OPEN
    now[0] += 600
    keeper.touch()
    assert workbench.vault_state is VaultState.LOCKED
    assert keeper.locked_by_itself
    keeper.close()


def test_an_idle_vault_locks_without_a_click(tmp_path: Path) -> None:
    """The watch wakes by the computer's own clock, and looks at the one that was given."""
    workbench = Workbench.local(f"sqlite:///{tmp_path}/idle.db")
    workbench.create_vault(PASSWORD)
    now, looked = [1000.0], threading.Semaphore(0)

    def clock() -> Times:
        looked.release()
        return Times(now[0], now[0])

    keeper = Keeper(workbench, idle_minutes=0.2 / 60, clock=clock)
    for _ in range(4):
        assert looked.acquire(timeout=60)
    assert workbench.vault_state is VaultState.OPEN, "no time has passed, however long that took"
    now[0] += 1
    while not keeper.locked_by_itself:
        assert looked.acquire(timeout=60)
    assert workbench.vault_state is VaultState.LOCKED
    keeper.close()


def test_a_broken_page_says_one_calm_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at, detail = opened_vault(), "-".join(("secret", "detail"))

    def break_down(_: Workbench) -> None:
        raise RuntimeError(detail)

    monkeypatch.setattr(Workbench, "connections", break_down)
    at.run()
    assert not at.exception
    assert "did not work" in at.error[0].value
    assert detail not in texts(at) + caplog.text
    caplog.clear()
