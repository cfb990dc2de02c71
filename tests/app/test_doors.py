"""The doors beside the wizard: import from a bot, the other regions, and the box that explains an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bfai.simulator import Simulator
from tests.app.conftest import choose, go, labels, opened_vault, press, problems, settle, texts, toured


@pytest.fixture
def at_home(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    return simulator


def nothing_leaked(at: AppTest, simulator: Simulator) -> None:
    shown = texts(at) + repr(at.session_state)
    for accounts in simulator.accounts.values():
        for keys in accounts.values():
            assert not any(value and value in shown for value in keys.values())


# -- import from a bot -------------------------------------------------------------------------------------------------


def bot_file(simulator: Simulator, folder: Path) -> Path:
    def entry(exchange: str, account: str) -> dict[str, str]:
        keys = simulator.accounts[exchange][account]
        return {"exchange": exchange, "key": keys["apiKey"] or "", "secret": keys["secret"] or "",
                "passphrase": keys["password"] or ""}  # fmt: skip

    accounts = {
        "safe": entry("kucoin", "good"),
        "thief": entry("mexc", "withdraw"),
        "far": {"exchange": "kraken", "key": "k" * 20, "secret": "s" * 40},
    }
    file = folder / "api-keys.json"
    file.write_text(json.dumps(accounts))
    return file


def looked(simulator: Simulator, folder: Path) -> AppTest:
    at = go(opened_vault(), "pages/connections.py")
    press(at, "import")
    at.text_input(key="import_path").set_value(str(bot_file(simulator, folder)))
    return press(at, "look_folder")


def test_what_lies_in_a_bots_file_is_named_and_nothing_is_sent(at_home: Simulator, tmp_path: Path) -> None:
    at = looked(at_home, tmp_path)
    assert not problems(at)
    shown = texts(at)
    assert "3 keys were found." in shown
    assert shown.count("in plain text") == 3
    assert "This exchange is not supported." in shown
    assert at_home.seen == []
    nothing_leaked(at, at_home)


def test_only_the_chosen_are_tested_and_only_what_passed_is_stored(at_home: Simulator, tmp_path: Path) -> None:
    at = looked(at_home, tmp_path)
    assert "Test 2 keys" in labels(at)
    at = settle(press(at, "import_test"))
    shown = texts(at)
    assert "This key can withdraw your money." in shown
    assert "Store 1 key that passed" in labels(at)
    nothing_leaked(at, at_home)
    press(at, "import_store")
    assert "take the keys out" in " ".join(item.value for item in at.toast) + texts(at)
    press(at, "import_leave")
    assert "**KuCoin Futures passivbot**" in texts(at)
    assert "MEXC" not in texts(at)
    nothing_leaked(at, at_home)


def test_a_key_that_was_not_chosen_is_not_sent(at_home: Simulator, tmp_path: Path) -> None:
    at = looked(at_home, tmp_path)
    at.checkbox[1].uncheck().run()
    settle(press(at, "import_test"))
    assert {call["exchange"] for call in at_home.seen if call["account"]} == {"kucoin"}


def test_a_wrong_path_says_so(at_home: Simulator, tmp_path: Path) -> None:
    at = go(opened_vault(), "pages/connections.py")
    press(at, "import")
    at.text_input(key="import_path").set_value(str(tmp_path / "nothing"))
    press(at, "look_folder")
    assert "There is no file or folder" in texts(at)
    assert not problems(at)


# -- another region ----------------------------------------------------------------------------------------------------


def test_the_other_regions_are_asked_only_on_request(at_home: Simulator) -> None:
    at_home.change_account("kucoin", "no_futures", site="europe")
    keys = at_home.accounts["kucoin"]["no_futures"]
    at = press(opened_vault(), "add_first")
    choose(at, "wizard_exchange", "kucoin")
    at.text_input(key="secret_paste").set_value(
        f"API Key: {keys['apiKey']}\nAPI Secret: {keys['secret']}\nAPI Passphrase: {keys['password']}"
    )
    at = settle(press(at, "test_key"))
    assert "Made in another region?" in texts(at)
    assert "api.kucoin.eu" in texts(at)
    assert not any(call["host"] == "api.kucoin.eu" for call in at_home.seen)

    at = settle(press(at, "try_regions"))
    assert "KuCoin EU" in texts(at)
    at = settle(press(at, "move"))
    assert "Step 4 of 4" in texts(at)
    press(at, "save_connection")
    assert "KuCoin EU" in texts(at)
    nothing_leaked(at, at_home)


# -- explain an error --------------------------------------------------------------------------------------------------


def explained(text: str, exchange: str | None = None) -> AppTest:
    at = go(toured(), "pages/guide.py")
    at.text_area(key="explain_text").set_value(text)
    if exchange:
        at.selectbox(key="explain_exchange").set_value(exchange)
    press(at, "explain_button")
    assert not problems(at)
    assert at.session_state["explain_text"] == "", "a log may hold a key: it is not kept"
    return at


def test_an_exception_is_explained(simulator: Simulator) -> None:
    del simulator
    at = explained(
        "ccxt.base.errors.PermissionDenied: kucoin "
        '{"code":"400006","msg":"Invalid request ip, the current clientIp is:203.0.113.9"}'
    )
    assert "KuCoin does not accept your address" in texts(at)
    assert "203.0.113.9" in texts(at)


def test_an_exchange_may_be_named(simulator: Simulator) -> None:
    del simulator
    at = explained('{"code":10072,"msg":"Api key info invalid"}', "mexc")
    assert "MEXC does not know this key" in texts(at)


def test_a_key_report_is_read(simulator: Simulator) -> None:
    del simulator
    at = explained('{"code":"200000","data":{"apiKey":"x","permission":"General,Transfer","ipWhitelist":""}}')
    assert "A report on a key of KuCoin" in texts(at)


@pytest.mark.parametrize("junk", ["hello", "{", "<html><title>502 Bad Gateway</title></html>", "\x00\x01", "{}" * 5000])
def test_junk_gets_a_calm_answer(simulator: Simulator, junk: str) -> None:
    del simulator
    at = explained(junk)
    assert at.header
