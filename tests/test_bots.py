"""Keys in the files of other bots: every format, what is no key, doubles, and that nothing is ever shown or sent."""

from __future__ import annotations

import codecs
import json
import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from bfai import bots
from bfai import cli as command_line
from bfai.bots import Kept, exchange_of, find_in_texts, find_keys, keys_in
from bfai.model import BfaiError, Environment, Market
from bfai.simulator import Simulator
from tests.commands import run_bfai

TOO_MANY = "Not every file was looked at"
PEM = (
    "-----BEGIN EC PRIVATE KEY-----\n"
    + "MHcCAQEEIDummyDummyDummyDummyDummyDummy1234oAoGCCqGSM49=="
    + "\n-----END EC PRIVATE KEY-----"
)
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
    ("text", "exchange"),
    [
        (f"API_KEY_BYBIT={KEY}\nAPI_SECRET_BYBIT={SECRET}", "bybit"),
        (f"API_KEY_OKX={KEY}\nSECRET_KEY_OKX={SECRET}\nPASSPHRASE_OKX={PHRASE}", "okx"),
        (f"KEY_BYBIT={KEY}\nSECRET_BYBIT={SECRET}", "bybit"),
        (f"BYBIT_API_KEY_MAIN={KEY}\nBYBIT_API_SECRET_MAIN={SECRET}\nBYBIT_API_KEY_2=\n", "bybit"),
        (f"BYBIT_API_KEY={KEY}\nBYBIT_API_KEY_SECRET={SECRET}", "bybit"),
        (f"bybitApiKey={KEY}\nbybitApiSecret={SECRET}", "bybit"),
        (f"BYBIT_KEY=your_key\nBYBIT_API_KEY={KEY}\r\nBYBIT_API_SECRET={SECRET}\r\n", "bybit"),
    ],
)
def test_environment_files_in_other_styles(text: str, exchange: str) -> None:
    key = one(".env", text)
    assert (key.exchange, values(key)[:2]) == (exchange, (KEY, SECRET))


@pytest.mark.parametrize("quote", ['"', "'", "", '"\n'])
def test_a_key_over_several_lines(quote: str) -> None:
    name = "organizations/11111111-2222/apiKeys/33333333-4444"
    text = f"COINBASE_API_KEY={name}\nCOINBASE_PRIVATE_KEY={quote}{PEM}{quote[:1]} # old\n"
    text += f"BYBIT_KEY={KEY}\nBYBIT_SECRET={SECRET}"
    first, second = keys_in(".env", text)
    assert (first.exchange, values(first)) == ("coinbase", (name, PEM, None))
    assert (second.exchange, values(second)[:2]) == ("bybit", (KEY, SECRET))


def test_a_key_that_never_ends_takes_nothing_else_with_it() -> None:
    text = f'A_SECRET="-----BEGIN EC PRIVATE KEY-----\nBYBIT_KEY="{KEY}"\nBYBIT_SECRET="{SECRET}"'
    assert values(one(".env", text))[:2] == (KEY, SECRET)


COMPOSE = "services:\n  bot:\n    image: x\n    environment:\n"


@pytest.mark.parametrize(
    ("text", "bot", "exchange"),
    [
        (f"{COMPOSE}      - FREQTRADE__EXCHANGE__NAME=okx\n      - FREQTRADE__EXCHANGE__KEY={KEY}\n"
         f"      - FREQTRADE__EXCHANGE__SECRET={SECRET}\n", "Freqtrade", "okx"),
        (f"{COMPOSE}      FREQTRADE__EXCHANGE__NAME: okx\n      FREQTRADE__EXCHANGE__KEY: {KEY}\n"
         f"      FREQTRADE__EXCHANGE__SECRET: {SECRET}\n", "Freqtrade", "okx"),
        (f"{COMPOSE}      - BINANCE_API_KEY={KEY}\n      - 'BINANCE_API_SECRET={SECRET}'\n", "compose.yml", "binance"),
        (f"{COMPOSE}      BINANCE_API_KEY: {KEY}\n      BINANCE_API_SECRET: '{SECRET}'\n", "compose.yml", "binance"),
        (f"{COMPOSE}      EXCHANGE: okx\n      API_KEY: {KEY}\n      API_SECRET: '{SECRET}'\n", "compose.yml", "okx"),
        (f"x-env: &env\n  - BINANCE_API_KEY={KEY}\n  - BINANCE_API_SECRET={SECRET}\n{COMPOSE[:-1]} *env\n",
         "compose.yml", "binance"),
        (f"spec:\n- env:\n  - {{name: OKX_KEY, value: {KEY}}}\n  - {{name: OKX_SECRET, value: {SECRET}}}\n",
         "compose.yml", "okx"),
        (f"{COMPOSE}      - BINANCE_API_KEY={KEY}\n      - BINANCE_API_SECRET={SECRET}\n{{{{ end }}}}: [",
         "compose.yml", "binance"),
    ],
)  # fmt: skip
def test_docker_compose(text: str, bot: str, exchange: str) -> None:
    key = one("compose.yml", text)
    assert (key.bot, key.exchange, values(key)[:2]) == (bot, exchange, (KEY, SECRET))


FLAT = f"exchange: okx\nkey: {KEY}\nsecret: '{SECRET}'\npassword: {PHRASE}\n"
NESTED = {"exchange": "okx", "apiKey": KEY, "secret": SECRET, "password": PHRASE}


@pytest.mark.parametrize(
    ("name", "text", "entry"),
    [
        ("bot.yml", FLAT, "okx"),
        ("bot.yml", "main:\n  " + FLAT.replace("\n", "\n  "), "main"),
        ("bot.yml", "accounts:\n- " + FLAT.replace("\n", "\n  "), "accounts / #1"),
        ("bot.yml", "---\nnothing: 1\n---\n" + FLAT, "#2"),
        ("bot.yml", f"base: &base\n  exchange: okx\nmain:\n  <<: *base\n  key: {KEY}\n  secret: {SECRET}\n"
         f"  password: {PHRASE}\n", "main"),
        ("bot.yml", f"exchange: okx\napi:\n  key: {KEY}\n  secret: {SECRET}\n  password: {PHRASE}\n", "api"),
        ("bot.json", json.dumps({"accounts": {"a": NESTED}}), "accounts / a"),
        ("bot.json", json.dumps({"accounts": [NESTED]}), "accounts / #1"),
        ("bot.json", json.dumps([{"name": "x"}, NESTED]), "#2"),
        ("bot.json", json.dumps({"exchange": "okx", "credentials": {**NESTED, "exchange": ""}}), "credentials"),
        ("bot.json", json.dumps({"okx": {"main": {**NESTED, "exchange": None}}}), "okx / main"),
        ("bot.json", json.dumps({"OKX_API_KEY": KEY, "OKX_SECRET": SECRET, "OKX_PASSPHRASE": PHRASE}), "OKX"),
        ("bot.json", json.dumps({"a": NESTED})[:-1] + ', "b": {', "a"),
    ],
)  # fmt: skip
def test_keys_wherever_they_stand(name: str, text: str, entry: str) -> None:
    key = one(name, text)
    assert (key.exchange, key.entry, values(key)) == ("okx", entry, (KEY, SECRET, PHRASE))


def test_the_keys_of_another_service_belong_to_no_exchange() -> None:
    """Or a test would show them to it."""
    config = {"exchange": "okx", "twitter": {"key": KEY, "secret": SECRET}, "list": [{"key": KEY, "secret": SECRET}]}
    assert keys_in("bot.json", json.dumps(config)) == []
    assert keys_in("bot.yml", f"okx_api_key: !vault {KEY}\nokx_secret: !vault {SECRET}") == []


def test_numbers_in_yaml_stay_as_they_are_written() -> None:
    key = one("bot.yml", "exchange: okx\nkey: 0012345678901234\nsecret: 1e99999999\npassword: 007\n")
    assert values(key) == ("0012345678901234", "1e99999999", "007")


def test_yaml_that_names_itself_over_and_over() -> None:
    lines = [f"a0: &a0\n  {FLAT.replace(chr(10), chr(10) + '  ')}\n"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 50)]
    assert one("bombs.yml", "".join(lines)).entry == "a0"
    assert one("self.yml", "a: &a [*a, {" + FLAT[:-1].replace("\n", ", ") + "}]").entry == "a / #2"


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


ENCODINGS = [
    ("utf-8", codecs.BOM_UTF8),
    ("utf-16-le", codecs.BOM_UTF16_LE),
    ("utf-16-be", codecs.BOM_UTF16_BE),
    ("utf-32-le", codecs.BOM_UTF32_LE),
]


@pytest.mark.parametrize(("encoding", "mark"), ENCODINGS)
def test_a_byte_order_mark_is_heeded(encoding: str, mark: bytes, tmp_path: Path) -> None:
    data = mark + f"BYBIT_API_KEY={KEY}\r\nBYBIT_API_SECRET={SECRET}\r\n".encode(encoding)
    (tmp_path / ".env").write_bytes(data)
    (in_folder,) = find_keys(tmp_path).keys
    (uploaded,) = find_in_texts([(".env", data.decode("utf-8", "surrogateescape"))]).keys
    assert values(in_folder) == values(uploaded) == (KEY, SECRET, None)


def test_what_cannot_be_read_is_listed(tmp_path: Path) -> None:
    files = {
        ".env": f"BYBIT_API_KEY={KEY}\n".encode("utf-16-le"),
        "broken.json": b'{"exchange": {"name": "okx" "key": "',
        "broken.yml": b"secret: [",
        "harmless.json": b"{",
        "secret.json": b'{"client_secret": "x"}',
    }
    files["broken.json"] += SECRET.encode() + b'", "secret"'
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    uploads = [(name, data.decode("utf-8", "surrogateescape")) for name, data in files.items()]
    for found in (find_keys(tmp_path), find_in_texts(uploads)):
        assert (found.keys, found.files, found.unread) == ((), 2, (".env", "broken.json", "broken.yml"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may open everything")
def test_a_closed_folder_is_listed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    try:
        assert find_keys(tmp_path).unread == ("closed",)
    finally:
        (tmp_path / "closed").chmod(0o700)


BACKUPS = ["config.json.bak", ".env.bak", "config.json~", ".env.old", "config.json.save", "config_copy.json.orig"]
BACKUPS += ["config.json.bak2", "bot.env.backup", ".env~", ".env-old", "bot.yml.1", "config.json.2024-01-31"]


@pytest.mark.parametrize("name", BACKUPS)
def test_backups_are_looked_at(name: str, tmp_path: Path) -> None:
    lines = f"BYBIT_API_KEY={KEY}\nBYBIT_API_SECRET={SECRET}\n"
    text = lines if "env" in name else json.dumps({"bybit": {"apiKey": KEY, "secret": SECRET}})
    (tmp_path / name).write_text(text)
    (tmp_path / "photo.bak").write_text(text)
    (key,) = find_keys(tmp_path).keys
    assert (key.file, key.exchange) == (name, "bybit")


def test_two_files_of_one_name_have_keys_of_their_own() -> None:
    text = json.dumps({"bybit": {"apiKey": KEY, "secret": SECRET}})
    first, second = find_in_texts([("keys.json", text), ("keys.json", text)]).keys
    assert first.id != second.id and first.same_as == (second.id,)


# -- nothing that was found is shown -----------------------------------------------------------------------------------


def run_audit(path: Path, *options: str) -> Result:
    environment = {"BFAI_LANGUAGE": "en", "BFAI_MASTER_PASSWORD": None}
    return CliRunner().invoke(command_line.main, ["audit", str(path), *options], env=environment)


HEX, BASE64 = "9f86d081884c7d659a2feaa0c55ad015", "Zm9vYmFyYmF6+cXV4/1234567890abcdEFGH=="
MISPLACED = [
    ("a.json", {"x": {"exchange": KEY, "key": KEY, "secret": SECRET}}),
    ("a.json", {"x": {"exchange": BASE64, "key": KEY, "secret": SECRET}}),
    ("a.json", {"x": {"exchange": PEM, "key": KEY, "secret": SECRET}}),
    ("a.json", {HEX: {"exchange": "okx", "key": KEY, "secret": SECRET, "password": PHRASE}}),
    ("a.json", {PHRASE: {"exchange": "okx", "key": KEY, "secret": SECRET, "password": PHRASE}}),
    ("a.json", {f"my {PHRASE} 2": {"exchange": "okx", "key": KEY, "secret": SECRET, "password": PHRASE}}),
    ("a.json", {"accounts": {BASE64: {"okx": {"key": KEY, "secret": SECRET}}}}),
    ("a.json", {"exchange": {"name": SECRET, "key": KEY, "secret": SECRET}}),
    ("a.json", {"exchange": SECRET, "key": KEY, "secret": SECRET}),
    ("a.json", {"exchanges": {KEY.upper(): {"api-key": KEY, "api-secret": SECRET}}}),
    ("a.yml", f"connector: {KEY}\n{KEY}_api_key: {KEY}\n{KEY}_api_secret: {SECRET}\n"),
    ("a.yml", f"services: {{{HEX}: {{environment: {{OKX_{HEX}_KEY: {KEY}, OKX_{HEX}_SECRET: {SECRET}}}}}}}"),
    (".env", f"{HEX}_API_KEY={KEY}\n{HEX}_API_SECRET={SECRET}"),
    (".env", f"EXCHANGE={SECRET}\nA_KEY={KEY}\nA_SECRET={SECRET}"),
    (f"{KEY}.json", {"okx": {"key": KEY, "secret": SECRET}}),
    (f"{KEY}.json", f'{{"okx": {{"key": "{KEY}", "secret": "{SECRET}"}}}} broken'),
]


@pytest.mark.parametrize(("name", "content"), MISPLACED)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_secret_in_the_place_of_a_name(
    name: str, content: str | dict[str, Any], options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    (tmp_path / "other.json").write_text(json.dumps({"mexc": {"key": HEX, "secret": BASE64}}))
    done = run_audit(tmp_path, *options)
    assert done.exit_code == 0 and done.stdout.count("other.json") in (1, 2)
    assert len(find_keys(tmp_path).keys) == 2
    for secret in (KEY, SECRET, PHRASE, HEX, BASE64, PEM, *PEM.splitlines()):
        assert secret.lower() not in done.output.lower()


def test_names_that_are_none_are_shown_as_places() -> None:
    accounts = {
        "my_binance_futures_account_01": NESTED,
        HEX: NESTED,
        "\x1b[31mred": NESTED,
        "Sparkonto für Zoë": NESTED,
    }
    entries = [key.entry for key in keys_in("a.json", json.dumps({"x": accounts}))]
    assert entries == ["x / my_binance_futures_account_01", "x / #2", "x / #3", "x / Sparkonto für Zoë"]
    unknown = one("a.json", {"x": {"exchange": HEX, "key": KEY, "secret": SECRET}})
    assert (unknown.exchange, unknown.exchange_name) == (None, "?")
    assert one("a.json", {"x": {"exchange": "kraken", "key": KEY, "secret": SECRET}}).exchange_name == "kraken"


ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRETS = st.one_of(
    st.text(ALPHABET + "-_/+=", min_size=8, max_size=90),
    st.text("0123456789abcdef", min_size=16, max_size=64),
    st.text(min_size=8, max_size=30),
).map(lambda value: f"Q7{value}")


@settings(max_examples=150, deadline=None)
@given(SECRETS, SECRETS, SECRETS, st.integers(0, 2), st.integers(0, 7))
def test_no_value_is_ever_shown(key: str, secret: str, phrase: str, which: int, shape: int) -> None:
    name = (key, secret, phrase)[which]
    entry = {"key": key, "secret": secret, "password": phrase}
    shapes: list[tuple[str, object]] = [
        ("a.json", {"exchange": {**entry, "name": name}}),
        ("a.json", {"exchanges": {name: {**entry, "exchange": name}}}),
        ("a.json", {name: {**entry, "exchange": name}}),
        ("a.json", {"accounts": {f"x{name}": [{name: {**entry, "exchange": "okx"}}]}}),
        ("a.yml", {"connector": name, **{f"{name}_{field}": value for field, value in entry.items()}}),
        ("a.yml", {"environment": {f"{name}_{field}": value for field, value in entry.items()}}),
        (f"{name}.json", {"okx": entry}),
        (".env", "".join(f"{name}_{field}='{value}'\n" for field, value in entry.items())),
    ]
    file, content = shapes[shape]
    found = find_in_texts([(file, content if isinstance(content, str) else json.dumps(content))])
    shown = json.dumps(command_line._audit_json(found, {}), ensure_ascii=False) + repr(found)
    shown += "".join(f"{one.file} {one.entry} {one.exchange_name} {one.bot}" for one in found.keys)
    for one_key in found.keys:
        assert one_key.credentials is not None
        for value in one_key.credentials.secrets():
            assert value not in shown and value.lower() not in shown.lower()


# -- large and hostile files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_search_that_ends_early_says_so(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(3):
        (tmp_path / f"{at}.json").write_text("{}")
    for most, limited in ((3, False), (2, True)):
        monkeypatch.setattr(bots, "MAX_FILES", most)
        assert (find_keys(tmp_path).limited, find_keys(tmp_path).files) == (limited, most)
        done = run_audit(tmp_path, *options)
        assert json.loads(done.stdout)["limited"] is limited if options else (TOO_MANY in done.stderr) is limited


def limited_page() -> None:
    import streamlit

    from bfai.ui.importer import Importer, draw_importer

    streamlit.session_state["importer"] = Importer(files=2, limited=True, looked=True)
    draw_importer(None)  # type: ignore[arg-type]


def test_the_page_says_so_too() -> None:
    at = AppTest.from_function(limited_page).run(timeout=20)
    assert not at.exception and TOO_MANY in at.warning[0].value


HOSTILE: dict[str, str] = {
    "slashes": "/" * 50_000,
    "newlines": "\n" * 40_000 + "x",
    "lists": "[" * 40_000,
    "objects": '{"a":' * 40_000,
    "quotes": '"' * 40_000,
    "escaped quotes": '"' + '\\"' * 40_000,
    "open comments": "/*" * 40_000,
    "commas": ",\n" * 40_000,
    "one comma": "," + "\n" * 40_000 + "x",
    "one long comment": "#" * 50_000,
    "comments": "# x\n" * 40_000,
    "spaces": "A=x" + " " * 50_000 + "y",
    "underscores": "_" * 50_000 + "=1",
    "open values": 'A="\n' * 40_000,
    "open keys": "A=-----BEGIN\n" * 20_000,
    "one open key": "A=" + "-----BEGIN" * 20_000,
    "long names": ("A_" * 49 + "KEY=x\n") * 800,
    "question marks": "[? " * 40_000,
    "merged": "a: &a {" + "".join(f"k{at}: 1, " for at in range(5_000)) + "}\n" + "".join(
        f"b{at}: {{<<: [{', '.join(['*a'] * 30)}]}}\n" for at in range(1_000)
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", [".env", "a.json", "a.yml", "a.txt"])
def test_no_file_takes_long(name: str, text: str) -> None:
    for before in ("", '{"secret": ', "secret: 1\n", "connector: x\nx_secret: "):
        began = time.process_time()
        assert keys_in(name, before + text) == []
        assert time.process_time() - began < 3


def test_many_keys_in_one_file_take_no_longer_each() -> None:
    many = {f"a{at}": {"exchange": "okx", "key": f"{at:020}", "secret": f"{at:032x}"} for at in range(4_000)}
    began = time.process_time()
    assert len(keys_in("a.json", json.dumps(many))) == 4_000
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", [".env", "a.json", "a.yml"])
def test_random_bytes_hold_no_keys(name: str, tmp_path: Path) -> None:
    data = random.Random(name).randbytes(bots.MAX_FILE)
    for content in (data, data.replace(b"\0", b" secret:"), codecs.BOM_UTF16_LE + data, b'{"secret": "' + data):
        (tmp_path / name).write_bytes(content[: bots.MAX_FILE])
        assert find_keys(tmp_path).keys == ()
        assert find_in_texts([(name, content[: bots.MAX_FILE].decode("utf-8", "surrogateescape"))]).keys == ()


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
    return run_bfai("audit", str(path), *options, env=environment, cwd=Path.cwd(), timeout=90)


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
    assert run_bfai("vault", "init", env=environment, cwd=tmp_path).returncode == 0
    done = audit(simulator, bot_files(simulator, tmp_path), "--import", database=database)
    nothing_shown(simulator, done)
    listed = run_bfai("connections", "list", "--json", env=environment, cwd=tmp_path)
    names = [connection["name"] for connection in json.loads(listed.stdout)["connections"]]
    assert sorted(names) == ["KuCoin Futures passivbot", "MEXC Futures passivbot"]
    again = audit(simulator, tmp_path / "api-keys.json", "--import", database=database)
    assert "connected already" in again.stderr


def test_the_key_of_another_service_is_not_taken_for_the_exchanges() -> None:
    text = f"EXCHANGE=mexc\nTWITTER_API_KEY={KEY}\nTWITTER_API_SECRET={SECRET}\nBOT_API_KEY={KEY}x\nBOT_SECRET={SECRET}"
    assert {(key.exchange, key.testable) for key in bots.keys_in(".env", text)} == {(None, False), ("mexc", True)}
