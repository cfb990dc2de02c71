"""Keys in the files of other bots: every format, what is no key, doubles, and that nothing is ever shown or sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bfai import bots
from bfai.bots import Kept, exchange_of, find_keys, keys_in
from bfai.model import BfaiError, Environment, Market
from bfai.simulator import Simulator

KEY, SECRET, PHRASE = "mx0vTESTKEY000000001", "0123456789abcdef0123456789abcdef", "correct-horse"


def one(name: str, text: str | dict[str, Any]) -> bots.BotKey:
    (found,) = keys_in(name, text if isinstance(text, str) else json.dumps(text))
    return found


def values(key: bots.BotKey) -> tuple[str, str, str | None]:
    assert key.credentials is not None
    return key.credentials.api_key, key.credentials.secret, key.credentials.passphrase


def test_freqtrade_with_comments_and_last_commas() -> None:
    text = """{
        // my bot
        "trading_mode": "futures", /* perpetual */
        "exchange": {"name": "mexc", "key": "%s", "secret": "%s", "ccxt_config": {"a": "http://x"},},
    }""" % (KEY, SECRET)  # noqa: UP031
    key = one("config.json", text)
    assert (key.bot, key.exchange, key.market, values(key)) == (
        "Freqtrade",
        "mexc",
        Market.FUTURES,
        (KEY, SECRET, None),
    )


def test_freqtrade_keeps_keys_in_the_ccxt_settings_too() -> None:
    inner = {"apiKey": KEY, "secret": SECRET, "password": PHRASE}
    config = {"exchange": {"name": "kucoin", "key": "", "secret": "", "ccxt_config": inner}}
    assert keys_in("config.json", json.dumps(config)) == [], "empty boxes win there: the bot runs dry"
    config["exchange"] = {"name": "kucoin", "ccxt_config": inner}
    assert values(one("config.json", config)) == (KEY, SECRET, PHRASE)


def test_octobot_in_clear_and_sealed_with_its_public_key() -> None:
    clear = {"exchanges": {"kucoin": {"api-key": KEY, "api-secret": SECRET, "api-password": PHRASE}}}
    assert values(one("user/config.json", clear)) == (KEY, SECRET, PHRASE)
    fernet = "gAAAAA" + "Bk3-_x0" * 15
    sealed = {"exchanges": {"mexc": {"api-key": fernet, "api-secret": fernet, "exchange-type": "future"}}}
    key = one("user/config.json", sealed)
    assert (key.bot, key.kept, key.credentials, key.market) == ("OctoBot", Kept.PUBLIC_KEY, None, Market.FUTURES)
    assert not key.testable


def test_hummingbot_is_sealed_with_its_password() -> None:
    sealed = b'{"crypto": {"cipher": "aes-128-ctr"}}'.hex() * 4
    key = one(
        "conf/connectors/kucoin.yml", f"connector: kucoin\n\nkucoin_api_key: {sealed}\nkucoin_secret_key: {sealed}\n"
    )
    assert (key.bot, key.exchange, key.kept, key.credentials) == ("Hummingbot", "kucoin", Kept.PASSWORD, None)


def test_passivbot_has_many_accounts() -> None:
    accounts = {
        "referrals": {},
        "mexc_01": {"exchange": "mexc", "key": KEY, "secret": SECRET},
        "kucoin_02": {"exchange": "kucoin", "key": KEY[::-1], "secret": SECRET, "passphrase": PHRASE},
        "hyperliquid_01": {
            "exchange": "hyperliquid",
            "wallet_address": "0x",
            "private_key": "k" * 30,
            "is_vault": False,
        },
    }
    first, second = keys_in("api-keys.json", json.dumps(accounts))
    assert (first.bot, first.entry, first.market) == ("passivbot", "mexc_01", Market.FUTURES)
    assert second.credentials is not None and second.credentials.passphrase == PHRASE


def test_keys_by_exchange_and_single_key_files() -> None:
    by_exchange = one("keys.json", {"mexc": {"apiKey": KEY, "secret": SECRET}})
    assert (by_exchange.bot, by_exchange.exchange) == ("keys.json", "mexc")
    single = one("my.json", {"exchange": "kucoin", "apiKey": KEY, "secret": SECRET, "password": PHRASE})
    assert (single.exchange, values(single)) == ("kucoin", (KEY, SECRET, PHRASE))


@pytest.mark.parametrize(
    ("text", "exchange", "market"),
    [
        (f"MEXC_API_KEY={KEY}\nMEXC_API_SECRET='{SECRET}'\n", "mexc", Market.SPOT),
        (f"export MY_MEXC_KEY={KEY}  # bot\nexport MY_MEXC_SECRET={SECRET} # secret", "mexc", Market.SPOT),
        (f"EXCHANGE=mexc\nAPI_KEY={KEY}\nAPI_SECRET={SECRET}", "mexc", Market.SPOT),
        (f"FREQTRADE__EXCHANGE__NAME=mexc\nFREQTRADE__EXCHANGE__KEY={KEY}\nFREQTRADE__EXCHANGE__SECRET={SECRET}\n"
         "FREQTRADE__TRADING_MODE=futures", "mexc", Market.FUTURES),
        (f"KUCOIN_ACCESS_KEY={KEY}\nKUCOIN_SECRET_KEY={SECRET}\nKUCOIN_PASSPHRASE={PHRASE}", "kucoin", Market.SPOT),
    ],
)  # fmt: skip
def test_environment_files(text: str, exchange: str, market: Market) -> None:
    key = one(".env", text)
    assert (key.exchange, key.market, values(key)[:2]) == (exchange, market, (KEY, SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[1, 2]",
        '{"exchange": {"name": "mexc", "key": "your_exchange_key", "secret": "your_exchange_secret"}}',
        '{"exchange": {"name": "mexc", "key": "", "secret": ""}}',
        '{"exchange": {"name": "mexc", "key": 17, "secret": ["a"]}}',
        '{"exchanges": {"mexc": {"api-key": "<your key>", "api-secret": "${SECRET}"}}}',
        '{"a": ' * 5000,
    ],
)
def test_what_is_no_key(text: str) -> None:
    assert keys_in("config.json", text) == []


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("MEXC", "mexc"),
        ("kucoinfutures", "kucoin"),
        ("kucoin_perpetual", "kucoin"),
        ("okex", "okx"),
        ("huobi", "htx"),
        ("gate_io_perpetual", "gate"),
        ("binance_us", "binance"),
        ("coinbase_advanced_trade", "coinbase"),
        ("kraken", None),
        ("mexcellent", None),
        ("", None),
    ],
)
def test_names_of_exchanges(name: str, exchange: str | None) -> None:
    assert exchange_of(name) == exchange


@pytest.mark.parametrize(
    ("name", "region"), [("binanceus", "us"), ("gateeu", "eu"), ("myokx", "eea"), ("mexc", "global")]
)
def test_regions_in_names(name: str, region: str) -> None:
    key = one("keys.json", {"a": {"exchange": name, "apiKey": KEY, "secret": SECRET}})
    assert key.target.region == region


def test_a_testnet_key_is_tested_there() -> None:
    key = one(".env", "BYBIT_TESTNET_API_KEY=abcdefgh12345678ab\nBYBIT_TESTNET_API_SECRET=" + "s" * 36)
    assert (key.exchange, key.environment) == ("bybit", Environment.TESTNET)


def folder(root: Path) -> Path:
    bot = root / "bots" / "freqtrade"
    bot.mkdir(parents=True)
    (bot / "config.json").write_text(json.dumps({"exchange": {"name": "mexc", "key": KEY, "secret": SECRET}}))
    (root / "bots" / ".env").write_text(f"MEXC_API_KEY={KEY}\nMEXC_API_SECRET={SECRET}\n")
    (root / "bots" / "node_modules").mkdir()
    (root / "bots" / "node_modules" / "x.json").write_text(json.dumps({"mexc": {"apiKey": KEY, "secret": SECRET}}))
    (root / "bots" / "huge.json").write_text(" " * (bots.MAX_FILE + 1))
    (bot / "link.json").symlink_to(bot / "config.json")
    (bot / "config.json").chmod(0o600)
    (root / "bots" / ".env").chmod(0o644)
    return root / "bots"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_folder_its_doubles_and_its_open_files(tmp_path: Path) -> None:
    found = find_keys(folder(tmp_path))
    assert [key.file for key in found.keys] == [".env", str(Path("freqtrade") / "config.json")]
    first, second = found.keys
    assert (first.same_as, second.same_as) == ((second.id,), (first.id,))
    assert (first.open_to_others, second.open_to_others) == (True, False)
    assert found.unread == ("huge.json",)
    assert KEY not in repr(found) and SECRET not in repr(found)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(BfaiError, match="no file or folder"):
        find_keys(tmp_path / "nothing")


# -- the command -------------------------------------------------------------------------------------------------------


def audit(
    simulator: Simulator, path: Path, *options: str, database: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "BFAI_GATEWAY": simulator.gateway,
        "BFAI_GATEWAY_CA": str(simulator.ca_file),
        "BFAI_LANGUAGE": "en",
        "BFAI_MASTER_PASSWORD": "a long test password",
        **({"BFAI_DATABASE_URL": f"sqlite:///{database}"} if database else {}),
    }
    command = [sys.executable, "-m", "bfai", "audit", str(path), *options]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL
    )


def bot_files(simulator: Simulator, root: Path) -> Path:
    def entry(exchange: str, account: str) -> dict[str, Any]:
        keys = simulator.accounts[exchange][account]
        return {
            "exchange": exchange,
            "key": keys["apiKey"],
            "secret": keys["secret"],
            "passphrase": keys["password"] or "",
        }

    accounts = {"safe": entry("kucoin", "good"), "open": entry("mexc", "ip_open"), "thief": entry("mexc", "withdraw")}
    file = root / "api-keys.json"
    file.write_text(json.dumps(accounts))
    return file


def nothing_shown(simulator: Simulator, done: subprocess.CompletedProcess[str]) -> None:
    for accounts in simulator.accounts.values():
        for keys in accounts.values():
            for secret in (keys["apiKey"], keys["secret"], keys["password"]):
                assert not secret or secret not in done.stdout + done.stderr


def test_without_consent_nothing_is_sent(simulator: Simulator, tmp_path: Path) -> None:
    done = audit(simulator, bot_files(simulator, tmp_path))
    assert done.returncode == 0
    assert done.stdout.count("in plain text") == 3
    assert simulator.seen == []
    nothing_shown(simulator, done)


def test_with_consent_each_is_tested(simulator: Simulator, tmp_path: Path) -> None:
    done = audit(simulator, bot_files(simulator, tmp_path), "--test", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    statuses = {key["entry"]: key["report"]["status"] for key in result["keys"]}
    assert (
        statuses["thief"] == "blocked"
        and statuses["safe"] in ("online", "connected")
        and statuses["open"] == "connected"
    )
    advice = {key["entry"]: key["report"]["advice"] for key in result["keys"]}
    assert "no_ip_restriction" in advice["open"]
    nothing_shown(simulator, done)
    assert not simulator.violations


def test_import_stores_what_passed_and_nothing_else(simulator: Simulator, tmp_path: Path) -> None:
    database = tmp_path / "vault.db"
    environment = {
        **os.environ,
        "BFAI_DATABASE_URL": f"sqlite:///{database}",
        "BFAI_MASTER_PASSWORD": "a long test password",
    }
    subprocess.run([sys.executable, "-m", "bfai", "vault", "init"], env=environment, check=True, capture_output=True)
    done = audit(simulator, bot_files(simulator, tmp_path), "--import", database=database)
    nothing_shown(simulator, done)
    listed = subprocess.run(
        [sys.executable, "-m", "bfai", "connections", "list", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [connection["name"] for connection in json.loads(listed.stdout)["connections"]]
    assert sorted(names) == ["KuCoin Futures passivbot", "MEXC Futures passivbot"]
    again = audit(simulator, tmp_path / "api-keys.json", "--import", database=database)
    assert "connected already" in again.stderr
