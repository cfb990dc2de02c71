"""A connection's settings: a report from where the bot runs is taken in, and the tripwire is set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bfai import pairing, report
from bfai.exchanges import all_exchanges
from bfai.i18n import LANGUAGES, translator
from bfai.model import Connection, Status, Target, utc_now
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.ui.session import Times, keeper
from bfai.workbench import VaultState, Workbench
from tests.app.conftest import go, labels, opened_vault, press, problems, texts
from tests.helpers import run_once, sample

CONNECTIONS, HISTORY = "pages/connections.py", "pages/history.py"
SERVER = "198.51.100.7"


@pytest.fixture(autouse=True)
def _gateway(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))


def at_home(
    simulator: Simulator, language: str = "en", exchange: str = "mexc"
) -> tuple[AppTest, Workbench, Connection]:
    """An open vault with one key that is bound to a server."""
    at = opened_vault(language)
    workbench = keeper().workbench
    draft = workbench.draft(Target(exchange=exchange), sample(simulator, exchange, "ip_blocked"))
    workbench.start_draft_test(draft.id).wait(10)
    connection = workbench.save_draft(draft.id, name="Server Grid")
    return at, workbench, connection


def at_settings(at: AppTest, connection: Connection) -> AppTest:
    go(at, CONNECTIONS)
    press(at, f"settings_{connection.id}")
    assert at.title[0].value == "Server Grid"
    return at


def printed(workbench: Workbench, connection: Connection, simulator: Simulator, gateway: Gateway) -> str:
    """What the command prints on the server."""
    waiting = workbench.pairing(connection.id)
    assert waiting is not None
    exchange = all_exchanges()[connection.target.exchange]
    keys = sample(simulator, exchange.id, "ip_blocked")
    simulator.set_address(SERVER)
    run = run_once(gateway, exchange.id, keys).model_copy(update={"tested_from": SERVER})
    simulator.set_address(None)
    plain = report.report(run, exchange, translator("en"))
    code = pairing.Code.read(waiting.code)
    return json.dumps(pairing.with_pairing(plain, run, code, keys, exchange, utc_now()), indent=1)


def test_the_result_leads_to_the_test_on_the_server(simulator: Simulator) -> None:
    at, _, connection = at_home(simulator)
    go(at, HISTORY)
    press(at, "away")
    assert at.title[0].value == "Server Grid"
    assert "Test it where the bot runs" in texts(at)
    at.query_params["settings"] = connection.id
    press(go(at, CONNECTIONS), "leave_settings")
    assert f"edit_{connection.id}" in [button.key for button in at.button]


@pytest.mark.parametrize("by_file", [False, True])
def test_a_report_is_taken_in(simulator: Simulator, gateway: Gateway, by_file: bool) -> None:
    at, workbench, connection = at_home(simulator)
    press(at_settings(at, connection), "pair")
    made = workbench.pairing(connection.id)
    assert made is not None
    assert made.command in [block.value for block in at.code]
    at.run()
    assert made.command in [block.value for block in at.code], "a rerun keeps the code"
    text = printed(workbench, connection, simulator, gateway)
    if by_file:
        at.file_uploader(key="report_file").upload("report.json", text.encode(), "application/json").run()
    else:
        at.text_area(key="report_text").set_value(text)
    press(at, "take_report")
    assert not problems(at)
    assert at.header[0].value == "Server Grid"
    said = texts(at)
    assert f"tested from {SERVER}" in said
    assert "The report is taken in" in said
    stored = workbench.connection(connection.id)
    assert stored is not None
    assert stored.status is Status.CONNECTED
    workbench.start_test(connection.id).wait(10)
    go(at, HISTORY)
    assert "A test from here failed since then" in texts(at)
    press(at, "newer_here")
    assert "the status stays" in texts(at)
    at_settings(at, connection)
    assert "bring a new report" in texts(at)


def test_a_refused_report_says_why_in_one_sentence_and_stays_to_be_looked_at(
    simulator: Simulator, gateway: Gateway
) -> None:
    at, workbench, connection = at_home(simulator)
    press(at_settings(at, connection), "pair")
    press(at, "take_report")
    assert [item.value for item in at.warning] == ["Paste the report, or choose its file."]
    text = printed(workbench, connection, simulator, gateway)
    forged = text.replace('"connected"', '"online"')
    at.text_area(key="report_text").set_value(forged)
    press(at, "take_report")
    assert "changed after it was made" in at.warning[0].value
    assert at.text_area(key="report_text").value == forged
    at.text_area(key="report_text").set_value("x" * 300_000)
    press(at, "take_report")
    assert "too long" in at.warning[0].value
    assert at.text_area(key="report_text").value == ""
    at.text_area(key="report_text").set_value("<script>alert(1)</script>")
    press(at, "take_report")
    assert "no report" in at.warning[0].value
    assert not problems(at)
    assert workbench.count_runs(connection.id) == 1
    old = workbench.pairing(connection.id)
    press(at, "pair_again")
    new = workbench.pairing(connection.id)
    assert old is not None
    assert new is not None
    assert old.code not in texts(at)
    assert new.code in texts(at)


def test_the_code_is_shown_to_an_open_vault_only(simulator: Simulator) -> None:
    at, workbench, connection = at_home(simulator)
    press(at_settings(at, connection), "pair")
    made = workbench.pairing(connection.id)
    assert made is not None
    press(at, "lock_now")
    assert made.code not in texts(at)
    assert made.code not in repr(at.session_state)


def test_the_tripwire_is_set_and_its_alarm_shown(simulator: Simulator) -> None:
    at, workbench, connection = at_home(simulator, exchange="bybit")
    simulator.change_account("bybit", "ip_blocked", ip_whitelist=("127.0.0.1",))
    workbench.start_test(connection.id).wait(10)
    at_settings(at, connection)
    id_ = connection.id
    assert at.text_area(key=f"tripwire_assets_{id_}").value == "BTC, USDT"
    assert not workbench.tripwire(id_).on
    at.toggle(key=f"tripwire_on_{id_}").set_value(True)
    at.text_area(key=f"tripwire_pairs_{id_}").set_value("BTC/USDT, <b>")
    press(at, "save_tripwire")
    assert "is no asset or pair" in at.warning[0].value
    assert not workbench.tripwire(id_).on
    at.text_area(key=f"tripwire_pairs_{id_}").set_value("BTC/USDT")
    press(at, "save_tripwire")
    assert workbench.tripwire(id_).on
    assert "The tripwire of Server Grid is on." in texts(at)
    simulator.change_account("bybit", "ip_blocked", spot_orders=("DOGEUSDT",))
    workbench.start_test(id_).wait(10)
    go(at, HISTORY)
    assert [item.value for item in at.error] == ["An order is open in a pair that you did not list: DOGEUSDT."]
    assert not problems(at)


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_it_is_there_in_every_language(simulator: Simulator, language: str, tmp_path: Path) -> None:
    at, _, connection = at_home(simulator, language)
    go(at, CONNECTIONS)
    press(at, f"settings_{connection.id}")
    press(at, "pair")
    assert not problems(at)
    assert len(at.header) == 3
    if language != "en":
        assert "Make a new code" not in labels(at)
        assert "Test it where the bot runs" not in texts(at)


# -- a page that outlived its open vault -------------------------------------------------------------------------------


def test_a_window_that_outlived_the_lock_deletes_nothing(simulator: Simulator) -> None:
    at, workbench, connection = at_home(simulator)
    go(at, CONNECTIONS)
    press(at, f"delete_{connection.id}")
    keeper().lock()
    press(at, "delete_yes")
    assert [one.id for one in workbench.connections()] == [connection.id]
    assert at.title[0].value == "The vault is locked"
    assert "The vault is locked. Unlock it with the master password." in " ".join(one.value for one in at.warning)


def test_the_first_click_after_a_sleep_changes_nothing(simulator: Simulator) -> None:
    """The computer woke up with the page on its screen, and the watch has not looked yet."""
    at, workbench, _ = at_home(simulator)
    go(at, "pages/settings.py")
    kept = keeper()
    clock = kept._clock
    kept._clock = lambda: Times(clock().steady, clock().day + 8 * 3600)
    (minutes,) = [box for box in at.selectbox if str(box.key).startswith("setting_lock_minutes")]
    minutes.set_value(0).run()
    assert workbench.vault_state is VaultState.LOCKED
    assert workbench.settings.lock_minutes == 15
    assert at.title[0].value == "The vault is locked"
