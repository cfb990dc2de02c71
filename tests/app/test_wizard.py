"""The way of a key into the workbench: nothing secret stays in the session, and a refused key cannot be saved."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from bfai.simulator import Simulator
from bfai.ui.session import keeper
from tests.app.conftest import (
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

Keys = dict[str, str | None]
BOXES = ("secret_paste", "secret_api_key", "secret_secret", "secret_passphrase")


@pytest.fixture
def at_home(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The app at home, its exchanges simulated."""
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    return simulator


def pasted(keys: Keys) -> str:
    lines = [f"Access Key: {keys['apiKey']}", f"Secret Key: {keys['secret']}"]
    return "\n".join(lines if keys["password"] is None else [*lines, f"Passphrase: {keys['password']}"])


def secrets(keys: Keys) -> list[str]:
    return [value for value in keys.values() if value]


def at_paste_step(at: AppTest, exchange: str = "mexc") -> AppTest:
    choose(at, "wizard_exchange", exchange)
    assert "Step 2 of" in texts(at)
    return at


def add(at: AppTest, keys: Keys) -> AppTest:
    """From the paste step to the result of the test."""
    at.text_input(key="secret_paste").set_value(pasted(keys))
    press(at, "test_key")
    assert_no_secret(at, keys)
    return settle(at)


def assert_no_secret(at: AppTest, keys: Keys) -> None:
    state = repr(at.session_state)
    for value in secrets(keys):
        assert value not in state
        assert value not in texts(at)
    for box in BOXES:
        if box in at.session_state:
            assert at.session_state[box] == ""


def wizard_at_home() -> AppTest:
    return at_paste_step(press(opened_vault(), "add_first"))


def test_a_good_key_is_tested_named_and_saved(at_home: Simulator) -> None:
    keys = at_home.accounts["mexc"]["no_futures"]
    at = add(wizard_at_home(), keys)
    assert "Step 4 of 4" in texts(at)
    assert at.text_input(key="connection_name").value == "MEXC Spot Main"
    at.text_input(key="connection_used_by").set_value("grid bot")
    press(at, "save_connection")
    assert not problems(at)
    assert_no_secret(at, keys)
    assert "**MEXC Spot Main**" in texts(at)
    assert "grid bot" in texts(at)


def test_a_key_that_can_withdraw_is_refused(at_home: Simulator) -> None:
    keys = at_home.accounts["mexc"]["withdraw"]
    at = add(wizard_at_home(), keys)
    assert "withdraw" in at.error[0].value
    assert "nothing was saved" in at.error[0].value
    assert "save_failed" not in [item.key for item in at.button]
    assert {"I changed it, test again", "Paste a new key", "Forget it now"} <= set(labels(at))
    assert any("Then it is forgotten" in text for text in captions(at))
    assert_no_secret(at, keys)
    press(at, "forget")
    go(at, "pages/connections.py")
    assert not [key for key in (item.key for item in at.button) if key and key.startswith("resume_")]


def test_a_refused_key_that_is_left_waits_on_connections(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["withdraw"])
    press(at, "paste_new")
    press(at, "wizard_back")
    press(at, "wizard_leave")
    waiting = [item.key for item in at.button if item.key and item.key.startswith("resume_")]
    assert len(waiting) == 1
    press(at, waiting[0])
    settle(at)
    assert "withdraw" in at.error[0].value


def test_a_wrong_address_may_be_saved_as_failed(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["ip_blocked"])
    assert at.warning
    press(at, "save_failed")
    press(at, "save_connection")
    assert "MEXC Spot Main" in texts(at)
    assert "Failed" in texts(at)


def test_a_name_in_use_is_said_before_saving(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    press(at, "save_connection")
    press(at, "add")
    at_paste_step(at)
    add(at, at_home.accounts["mexc"]["ip_open"])
    at.text_input(key="connection_name").set_value("mexc spot main").run()
    assert "exists already" in texts(at)
    assert at.button(key="save_connection").disabled


def test_names_are_suggested_and_a_name_that_says_little_gets_a_gentle_word(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    at.text_input(key="connection_name").set_value("key1").run()
    assert any("A clear name says" in text and "MEXC Spot Main" in text for text in captions(at))
    assert not at.button(key="save_connection").disabled
    at.get("pills")[0].set_value("MEXC Spot Grid").run()
    assert at.text_input(key="connection_name~1").value == "MEXC Spot Grid"
    at.text_input(key="connection_name~1").set_value("KuCoin Grid").run()
    assert any("The name says KuCoin, but this key is for MEXC." in text for text in captions(at))
    at.get("pills")[0].set_value("MEXC Spot Grid").run()
    press(at, "save_connection")
    assert not problems(at)
    assert "**MEXC Spot Grid**" in texts(at)


def test_a_second_key_of_one_account_is_said_on_result_list_and_overview(at_home: Simulator) -> None:
    for account in ("good", "no_futures"):
        at_home.change_account("bybit", account, uid=1448001)
    at = add(at_paste_step(press(opened_vault(), "add_first"), "bybit"), at_home.accounts["bybit"]["good"])
    press(at, "save_connection")
    at = add(at_paste_step(press(at, "add"), "bybit"), at_home.accounts["bybit"]["no_futures"])
    assert "the same Bybit account as “Bybit Spot Main”" in texts(at)
    press(at, "save_connection")
    for page in ("pages/connections.py", "app.py"):
        said = " ".join(captions(settle(go(at, page))))
        assert "same account as “Bybit Spot Main”" in said
        assert "same account as “Bybit Spot Main 2”" in said
    at.query_params["connection"] = keeper().workbench.connections()[0].id
    assert "the same Bybit account as" in texts(go(at, "pages/history.py"))


def test_rotation_replaces_the_key_and_keeps_the_name(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    press(at, "save_connection")
    press(at, next(item.key for item in at.button if item.key and item.key.startswith("rotate_")))
    assert at.title[0].value == "Rotate key"
    fresh = at_home.accounts["mexc"]["sub_account"]
    at = add(at, fresh)
    press(at, "replace")
    assert "**MEXC Spot Main**" in texts(at)
    assert f"…{str(fresh['apiKey'])[-4:]}" in texts(at)


def test_a_key_of_the_same_account_that_is_online_replaces_the_old_one_at_once(at_home: Simulator) -> None:
    for account in ("no_futures", "sub_account"):
        at_home.change_account("bybit", account, uid=1448001, permissions="SpotTrade")
    at = press(opened_vault(), "add_first")
    at = press(add(at_paste_step(at, "bybit"), at_home.accounts["bybit"]["no_futures"]), "save_connection")
    press(at, next(item.key for item in at.button if item.key and item.key.startswith("rotate_")))
    fresh = at_home.accounts["bybit"]["sub_account"]
    at = add(at, fresh)
    assert at.title[0].value == "Connections"
    assert "Bybit Spot Main has its new key. Delete the old one at Bybit." in texts(at)
    assert f"…{str(fresh['apiKey'])[-4:]}" in texts(at)


def test_market_and_region_are_chosen_beside_what_they_change(at_home: Simulator) -> None:
    at = at_paste_step(press(opened_vault(), "add_first"), "kucoin")
    keys = at_home.accounts["kucoin"]["no_futures"]
    choose(at, "wizard_region_kucoin", "eu")
    choose(at, "wizard_environment_kucoin", "simulator")
    add(at, keys)
    press(at, "paste_new")
    assert at.segmented_control(key="wizard_region_kucoin").value == "eu"
    assert at.segmented_control(key="wizard_environment_kucoin").value == "simulator"
    assert "Futures Trading" in texts(at)
    at.segmented_control(key="wizard_region_kucoin").set_value("global").run()
    choose(at, "wizard_market_kucoin", "futures")
    assert at.segmented_control(key="wizard_market_kucoin").value == "futures"
    assert at.segmented_control(key="wizard_region_kucoin").value == "global"
    press(at, "wizard_back")
    at_paste_step(at, "mexc")
    assert "Make the key at MEXC" in texts(at)


def test_an_exchange_chosen_on_the_empty_overview_leads_to_its_key(at_home: Simulator) -> None:
    at = choose(opened_vault(), "first_exchange", "okx")
    assert "Make the key at OKX" in texts(at)


def test_the_separate_boxes_do_the_same(at_home: Simulator) -> None:
    at, keys = wizard_at_home(), at_home.accounts["mexc"]["no_futures"]
    at.text_input(key="secret_api_key").set_value(str(keys["apiKey"]))
    at.text_input(key="secret_secret").set_value(str(keys["secret"]))
    press(at, "test_key")
    assert_no_secret(at, keys)
    assert "Step 4 of 4" in texts(settle(at))


def test_half_a_key_is_not_tested_and_not_kept(at_home: Simulator) -> None:
    at, keys = wizard_at_home(), at_home.accounts["mexc"]["no_futures"]
    at.text_input(key="secret_paste").set_value(str(keys["apiKey"]))
    press(at, "test_key")
    assert "Step 2 of 4" in texts(at)
    assert "**Secret Key** not found" in texts(at)
    assert_no_secret(at, keys)


def test_an_unusual_key_is_tested_only_after_a_second_look(at_home: Simulator) -> None:
    at = wizard_at_home()
    at.text_input(key="secret_paste").set_value("Access Key: mx0short9Ab\nSecret Key: 0123456789abcdef")
    press(at, "test_key")
    assert "looks unusual" in texts(at)
    assert "Nothing has been sent yet." in captions(at)
    assert "0123456789abcdef" not in repr(at.session_state)
    press(at, "test_anyway")
    settle(at)
    assert at.warning


def test_check_one_key_never_offers_to_save(at_home: Simulator) -> None:
    at = at_paste_step(press(open_app(), "door_1"))
    keys = at_home.accounts["mexc"]["no_futures"]
    at = add(at, keys)
    assert "Step 3 of 3" in texts(at)
    assert not [item for item in at.button if item.key in ("save_connection", "save_failed", "replace")]
    press(at, "forget_end")
    assert at.button(key="door_2")
    assert_no_secret(at, keys)
    assert "add_first" in [item.key for item in opened_again(at).button], "something was kept"


def opened_again(at: AppTest) -> AppTest:
    from tests.app.conftest import PASSWORD

    press(at, "door_2")
    at.text_input(key="new_password").set_value(PASSWORD)
    at.text_input(key="new_password_again").set_value(PASSWORD)
    return press(at, "create_vault")


def test_deleting_asks_and_names_the_exchange(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    press(at, "save_connection")
    press(at, next(item.key for item in at.button if item.key and item.key.startswith("delete_")))
    assert "delete it there as well" in texts(at)
    press(at, "delete_yes")
    assert not problems(at)
    assert "Nothing here yet" in texts(at)


def test_editing_changes_name_use_and_note(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    press(at, "save_connection")
    press(at, next(item.key for item in at.button if item.key and item.key.startswith("edit_")))
    name = next(box for box in at.text_input if box.key and box.key.startswith("name_"))
    name.set_value("MEXC Spot [Grid]")
    press(at, "save_edit")
    assert "MEXC Spot \\[Grid\\]" in texts(at)


def test_an_untold_withdrawal_right_needs_a_look(at_home: Simulator) -> None:
    at = add(wizard_at_home(), at_home.accounts["mexc"]["unknown_right"])
    assert at.button(key="confirm_draft").disabled
    assert "save_connection" not in [item.key for item in at.button]
    at.checkbox(key="looked").check().run()
    press(at, "confirm_draft")
    assert "Step 4 of 4" in texts(at)
    press(at, "save_connection")
    assert "**MEXC Spot Main**" in texts(at)


def test_where_waiting_helps_the_button_waits(at_home: Simulator) -> None:
    at_home.set_faults([{"exchange": "mexc", "kind": "maintenance"}])
    at = add(wizard_at_home(), at_home.accounts["mexc"]["no_futures"])
    assert at.button(key="again").disabled
    assert any("Waiting helps here" in text for text in captions(at))


def test_the_tour_has_keys_to_paste() -> None:
    at = press(toured(), "add")
    at_paste_step(at)
    sample = next(item.value for item in at.code if "Secret Key" in item.value)
    at.text_input(key="secret_paste").set_value(sample)
    press(at, "test_key")
    assert "Step 4 of 4" in texts(settle(at))
