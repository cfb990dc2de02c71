"""Other people's clients talk to the simulator as to the exchange: it is no mirror of ccxt, which signs for us.

Each client runs unchanged in a process of its own, in which the exchanges' hosts lead to the simulator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bfai.simulator import Simulator
from bfai.simulator.htx import Htx
from tests.redirect import environment

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def ask(simulator: Simulator, client: str, *keys: dict[str, str | None]) -> list[dict[str, Any]]:
    """What the client gives for each call with each of these keys."""
    done = subprocess.run(
        [sys.executable, HERE / "redirect.py", HERE / "clients" / "ask.py", client],
        input=json.dumps(keys),
        env=environment(simulator.gateway, simulator.ca_file),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def good_and_wrong(simulator: Simulator, exchange: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    good = simulator.accounts[exchange]["good"]
    secret = good["secret"] or ""
    return good, {**good, "secret": secret[:-1] + ("0" if secret[-1] != "0" else "1")}


def need(module: str) -> None:
    if find_spec(module) is None and not os.environ.get("CI"):
        pytest.skip(f"{module} is not installed: pip install -r requirements-dev.txt")


def is_now(milliseconds: int) -> bool:
    return abs(milliseconds - time.time() * 1000) < 60_000


def refused(answers: dict[str, Any]) -> dict[str, str]:
    return {call: given["refused"] for call, given in answers.items() if isinstance(given, dict) and "refused" in given}


def paths(simulator: Simulator, status: int) -> set[tuple[object, object, object]]:
    return {(call["method"], call["host"], call["path"]) for call in simulator.seen if call["status"] == status}


def test_kucoins_own_sdk(simulator: Simulator) -> None:
    need("kucoin_universal_sdk")
    good, wrong = ask(simulator, "kucoin_universal_sdk", *good_and_wrong(simulator, "kucoin"))

    assert refused(good) == {}
    assert is_now(good["spot time"]) and is_now(good["futures time"])
    assert good["spot service"] == "open"
    key = good["key"]
    assert key["api_key"] == simulator.accounts["kucoin"]["good"]["apiKey"]
    assert key["permission"] == "General,Spot,Futures" and key["ip_whitelist"] == "127.0.0.1"
    assert key["api_version"] == 3 and key["is_master"] is True and key["uid"] > 0 and key["created_at"] > 0
    assert good["account"]["level"] is not None
    assert ("USDT", "4210.00") in {(row["currency"], row["available"]) for row in good["spot accounts"]}
    assert good["futures account"]["currency"] == "USDT" and good["futures account"]["available_balance"] == 1500
    assert [row["taker_fee_rate"] for row in good["spot fees"]] == ["0.0009"]
    assert good["futures fees"]["maker_fee_rate"] == "0.00016"
    assert good["spot orders"] == good["futures orders"] == good["futures positions"] == []

    no = refused(wrong)
    assert no.keys() == good.keys() - {"spot time", "spot service", "futures time"}
    assert all('"code":"400004"' in words for words in no.values()), no  # the secret also signs the passphrase

    passphrase, unknown = ask(
        simulator,
        "kucoin_universal_sdk",
        {**simulator.accounts["kucoin"]["good"], "password": "not-the-passphrase"},
        {**simulator.accounts["kucoin"]["good"], "apiKey": "0" * 24},
    )
    assert all('"code":"400004"' in words for words in refused(passphrase).values())
    assert len(refused(unknown)) == 9 and all('"code":"400003"' in words for words in refused(unknown).values())


def test_mexc_api_for_spot(simulator: Simulator) -> None:
    need("mexc_api")
    good, wrong = ask(simulator, "mexc_api", *good_and_wrong(simulator, "mexc"))

    assert refused(good) == {}
    assert is_now(good["time"])
    assert ("USDT", "4210.00") in {(row["asset"], row["free"]) for row in good["account"]["balances"]}
    assert good["orders"] == good["withdrawals"] == []

    no = refused(wrong)
    assert no.keys() == good.keys() - {"time"}
    assert all("Signature for this request is not valid." in words for words in no.values()), no  # it drops the code


def test_pymexc_for_spot_and_futures(simulator: Simulator) -> None:
    need("pymexc")
    good, wrong = ask(simulator, "pymexc", *good_and_wrong(simulator, "mexc"))

    assert refused(good) == {}
    assert is_now(good["spot time"]["serverTime"]) and is_now(good["futures time"]["data"])
    assert ("USDT", "4210.00") in {(row["asset"], row["free"]) for row in good["spot account"]["balances"]}
    assert [row["availableBalance"] for row in good["futures assets"]["data"] if row["currency"] == "USDT"] == [1500.0]
    assert good["futures asset"]["data"]["currency"] == "USDT"
    assert good["futures fees"]["data"]["takerFee"] == 0.00045
    assert good["futures orders"]["data"] == good["futures positions"]["data"] == good["spot orders"] == []

    spot = refused(wrong)
    assert spot.keys() == {"spot account", "spot orders"}
    assert all("code=700002" in words for words in spot.values()), spot
    futures = {call: wrong[call] for call in wrong if call.startswith("futures") and call != "futures time"}
    assert len(futures) == 5 and all(not said["success"] and said["code"] == 602 for said in futures.values()), futures


@pytest.mark.parametrize(
    ("client", "exchange", "free", "code"),
    [
        ("ccxt_kucoin", "kucoin", 4210.0, '"code":"400004"'),
        ("ccxt_kucoinfutures", "kucoin", 1500.0, '"code":"400004"'),
        ("ccxt_mexc", "mexc", 4210.0, '"code":700002'),
        ("ccxt_bybit", "bybit", 4210.0, '"retCode":10004'),
        ("ccxt_bybit_futures", "bybit", 4210.0, '"retCode":10004'),
        ("ccxt_okx", "okx", 4210.0, '"code":"50113"'),
        ("ccxt_okx_futures", "okx", 4210.0, '"code":"50113"'),
        ("ccxt_bitget", "bitget", 4210.0, '"code":"40009"'),
        ("ccxt_bitget_futures", "bitget", 4210.0, '"code":"40009"'),
        ("ccxt_htx", "htx", 4210.0, '"err-code":"api-signature-not-valid"'),
        ("ccxt_bingx", "bingx", 4210.0, '"code":100001'),
        ("ccxt_bingx_futures", "bingx", 1500.0, '"code":100001'),
        ("ccxt_binance", "binance", 4210.0, '"code":-1022'),
        ("ccxt_binance_futures", "binance", 1500.0, '"code":-1022'),
        ("ccxt_gate", "gate", 4210.0, '"label":"INVALID_SIGNATURE"'),
        ("ccxt_gate_futures", "gate", 1500.0, '"label":"INVALID_SIGNATURE"'),
    ],
)
def test_plain_synchronous_ccxt(simulator: Simulator, client: str, exchange: str, free: float, code: str) -> None:
    good, wrong = ask(simulator, client, *good_and_wrong(simulator, exchange))

    assert refused(good) == {}
    assert is_now(good["time"]) and good["balance"]["USDT"] == free and good["orders"] == []

    no = refused(wrong)
    assert no.keys() == {"balance", "orders"}
    assert all("AuthenticationError" in words and code in words for words in no.values()), no


def test_bybits_own_pybit(simulator: Simulator) -> None:
    need("pybit")
    good, wrong = ask(simulator, "pybit", *good_and_wrong(simulator, "bybit"))

    assert refused(good) == {}
    assert is_now(good["time"]["time"])
    key = good["key"]
    assert key["apiKey"] == simulator.accounts["bybit"]["good"]["apiKey"]
    assert key["permissions"]["Spot"] == ["SpotTrade"] and key["ips"] == ["127.0.0.1"] and key["readOnly"] == 0
    assert ("USDT", "4210.00") in {(row["coin"], row["walletBalance"]) for row in good["wallet"]}
    assert good["spot orders"] == good["futures orders"] == []
    assert [row["takerFeeRate"] for row in good["fees"]] == ["0.00045"]
    assert good["order check"]["orderId"] and good["order check"]["postImrE4"] > 0

    no = refused(wrong)
    assert no.keys() == good.keys() - {"time"}
    assert all("ErrCode: 10004" in words for words in no.values()), no

    (expired,) = ask(simulator, "pybit", simulator.accounts["bybit"]["expired"])
    assert "Your api key has expired. (ErrCode: 33004)" in expired["key"]["refused"]


@pytest.mark.parametrize("account", ["good", "ip_open"], ids=["ES256", "Ed25519"])
def test_coinbases_own_sdk(simulator: Simulator, account: str) -> None:
    need("coinbase")
    keys, blocked = simulator.accounts["coinbase"][account], simulator.accounts["coinbase"]["ip_blocked"]
    strange = {**keys, "apiKey": simulator.accounts["coinbase"]["withdraw"]["apiKey"]}
    good, *wrong = ask(simulator, "coinbase_advanced_py", keys, strange, blocked)

    assert refused(good) == {}
    assert is_now(int(good["time"]["epoch_millis"]))
    assert good["key"]["can_trade"] is True and good["key"]["can_transfer"] is False
    assert good["key"]["portfolio_type"] == "DEFAULT"
    assert {row["currency"]: row["available_balance"]["value"] for row in good["accounts"]}["USDT"] == "4210.00"
    assert good["orders"] == [] and good["futures"]["available_margin"]["value"] == "0"
    assert good["fees"]["maker_fee_rate"] == "0.0035"
    assert good["preview"]["errs"] == [] and good["preview"]["order_total"].startswith("60.39")

    for no in map(refused, wrong):
        assert no.keys() == good.keys() - {"time"}
        assert all("401 Client Error" in words and "Unauthorized" in words for words in no.values()), no

    (reader,) = ask(simulator, "coinbase_advanced_py", simulator.accounts["coinbase"]["read_only"])
    assert refused(reader).keys() == {"preview"} and "Missing Required Scopes" in reader["preview"]["refused"]


@pytest.mark.parametrize("account", ["good", "ip_open"], ids=["ES256", "Ed25519"])
def test_plain_synchronous_ccxt_on_coinbase(simulator: Simulator, account: str) -> None:
    """Both kinds of key, each with a secret that is well-formed and not its own."""
    keys, other = simulator.accounts["coinbase"][account], simulator.accounts["coinbase"]["withdraw"]
    good, wrong = ask(simulator, "ccxt_coinbase", keys, {**keys, "apiKey": other["apiKey"]})

    assert refused(good) == {}
    assert is_now(good["time"]) and good["balance"]["USDT"] == 4210.0 and good["orders"] == []

    no = refused(wrong)
    assert no.keys() == {"balance", "orders"}
    assert all("AuthenticationError" in words and "401 Unauthorized" in words for words in no.values()), no


def test_okxs_own_sdk(simulator: Simulator) -> None:
    need("okx")
    right, wrong = good_and_wrong(simulator, "okx")
    blocked, phrase = simulator.accounts["okx"]["ip_blocked"], {**right, "password": "Not.The1Passphrase"}
    good, *others = ask(simulator, "python_okx", right, wrong, phrase, blocked)

    assert {call: given["code"] for call, given in good.items()} == dict.fromkeys(good, "0")
    assert is_now(int(good["time"]["data"][0]["ts"])) and good["status"]["data"] == []
    key = good["key"]["data"][0]
    assert key["perm"] == "read_only,trade" and key["ip"] == "127.0.0.1" and key["uid"] == key["mainUid"]
    assert {row["ccy"]: row["availBal"] for row in good["balance"]["data"][0]["details"]}["USDT"] == "4210.00"
    assert good["orders"]["data"] == good["positions"]["data"] == good["withdrawals"]["data"] == []
    takers = [good[f"{market} fees"]["data"][0]["feeGroup"][0]["taker"] for market in ("spot", "futures")]
    assert takers == ["-0.0009", "-0.00045"]

    for answers, code in zip(others, ("50113", "50105", "50110"), strict=True):
        assert {call: given["code"] for call, given in answers.items() if given["code"] != "0"} == dict.fromkeys(
            good.keys() - {"time", "status"}, code
        )


def test_a_client_for_both_kinds_of_bitget_accounts(simulator: Simulator) -> None:
    """Bitget has no client of its own on PyPI. This one drops the words of a refusal."""
    need("bitget_api_client")
    keys = good_and_wrong(simulator, "bitget")
    good, wrong = ask(simulator, "bitget_api_client", *keys)

    assert refused(good) == {}
    assert is_now(int(good["time"]["serverTime"]))
    assert good["key"]["authorities"] == ["stor", "stow", "coor", "coow", "cpor", "cpow"]
    assert good["key"]["ips"] == "127.0.0.1"
    assert {row["coin"]: row["available"] for row in good["spot"]}["USDT"] == "4210.00"
    assert [(row["marginCoin"], row["available"]) for row in good["futures"]] == [("USDT", "1500.00")]
    assert good["spot orders"] == good["positions"] == []
    assert [good[f"{market} fees"]["makerFeeRate"] for market in ("spot", "futures")] == ["0.0007", "0.00016"]
    assert good["futures orders"] == {"entrustedList": None, "endId": None}
    no = refused(wrong)
    assert no.keys() == good.keys() - {"time"} and all("400" in words for words in no.values()), no
    (classic,) = ask(simulator, "bitget_api_client_unified", keys[0])
    assert refused(classic).keys() == classic.keys()

    simulator.change_account("bitget", "good", mode="unified", permissions="uta_mgt,uta_trade")
    unified, wrong = ask(simulator, "bitget_api_client_unified", *keys)
    assert refused(unified) == {}
    assert unified["settings"]["accountMode"] == "unified"
    assert {row["coin"]: row["available"] for row in unified["wallet"]["assets"]}["USDT"] == "4210.00"
    assert unified["orders"] == {"list": [], "cursor": None}
    assert refused(wrong).keys() == unified.keys()
    (asked,) = ask(simulator, "bitget_api_client", keys[0])
    assert refused(asked).keys() == asked.keys() - {"time"}


def test_huobis_own_sdk(simulator: Simulator) -> None:
    need("huobi")
    pair = good_and_wrong(simulator, "htx")
    good, wrong = ask(simulator, "huobi_sdk", *({**keys, "uid": str(Htx(0).accounts["good"].uid)} for keys in pair))

    assert refused(good) == {}
    assert is_now(good["time"])
    (key,) = good["key"]
    assert key["accessKey"] == pair[0]["apiKey"]
    assert key["permission"] == "readOnly,trade" and key["ipAddresses"] == "127.0.0.1" and key["validDays"] == -1
    assert good["accounts"] == ["point", "spot"] and good["orders"] == []
    assert [(row["symbol"], row["actualTakerRate"]) for row in good["fees"]] == [("btcusdt", "0.0009")]
    assert {"currency": "usdt", "type": "trade", "balance": "4210.00"} in good["balance"]

    no = refused(wrong)
    assert no.keys() == good.keys() - {"time"}
    assert all("Verification failure [校验失败]" in words for words in no.values()), no


def test_ccxt_takes_a_refusal_of_htx_contracts_for_an_empty_account(simulator: Simulator) -> None:
    """Status 200 and a number that ccxt does not know: why an adapter has to look at `code` itself."""
    good, wrong = ask(simulator, "ccxt_htx_futures", *good_and_wrong(simulator, "htx"))
    assert refused(good) == {} and good["balance"] == {"USDT": 1500.0} and good["orders"] == []
    assert "balance" not in refused(wrong) and wrong["balance"] == {}


def test_bingx_py(simulator: Simulator) -> None:
    need("bingx_py")
    pair = good_and_wrong(simulator, "bingx")
    good, wrong, demo = ask(simulator, "bingx_py", *pair, {**pair[0], "demo": "yes"})

    assert refused(good) == {}
    told = good["restrictions"]
    assert told["enable_reading"] and told["enable_futures"] and told["enable_spot_and_margin_trading"]
    assert told["ip_restrict"] is True and told["permits_universal_transfer"] is False
    for key in (good["permissions"], good["key"][0]):
        assert key["api_key"] == pair[0]["apiKey"]
        assert key["permissions"] == [1, 2, 3] and key["ip_addresses"] == ["127.0.0.1"]
    assert ("USDT", "4210.00") in {(row["asset"], row["free"]) for row in good["spot"]}
    assert ("USDT", "1500.00") in {(row["asset"], row["available_margin"]) for row in good["futures"]}
    assert good["spot orders"] == good["futures orders"] == []

    assert good["spot fees"]["taker_commission_rate"] == 0.0009
    assert good["futures fees"]["commission"]["taker_commission_rate"] == 0.00045
    assert good["tiers"][0]["maint_margin_ratio"] == "0.003800"

    assert refused(demo) == {} and demo["futures"][0]["asset"] == "VST"

    no = refused(wrong)
    assert no.keys() == good.keys()
    assert all("API Error 100001: Signature verification failed" in words for words in no.values()), no


@pytest.mark.parametrize("whole", [True, False], ids=["object", "list"])
def test_gates_own_sdk(simulator: Simulator, whole: bool) -> None:
    """It knows the key report as one object only, and makes nothing of the list that the documents show."""
    need("gate_api")
    if whole:
        simulator.change_account("gate", "good", mode="object")
    good, wrong = ask(simulator, "gate_api", *good_and_wrong(simulator, "gate"))

    assert refused(good) == {}
    assert is_now(good["time"]) and good["mode"] == "classic"
    assert good["detail"]["ip_whitelist"] == ["127.0.0.1"] and good["detail"]["user_id"] > 0
    if whole:
        assert good["key"]["state"] == 1 and good["key"]["ip_whitelist"] == ["127.0.0.1"]
        assert {"name": "futures", "read_only": False} in good["key"]["perms"]
        assert {"name": "wallet", "read_only": True} in good["key"]["perms"]
    else:
        assert set(good["key"].values()) == {None}
    assert ("USDT", "4210.00") in {(row["currency"], row["available"]) for row in good["spot"]}
    assert good["futures"]["currency"] == "USDT" and good["futures"]["available"] == "1500.00"
    assert float(good["total"]["amount"]) > 5710
    assert good["fees"]["taker_fee"] == good["spot fees"]["taker_fee"] == "0.0009"
    assert good["fees"]["futures_taker_fee"] == good["futures fees"]["BTC_USDT"]["taker_fee"] == "0.00045"
    assert good["spot orders"] == good["futures orders"] == good["positions"] == good["withdrawals"] == []

    no = refused(wrong)
    assert no.keys() == good.keys() - {"time"}
    assert all('"label":"INVALID_SIGNATURE"' in words for words in no.values()), no


def test_binances_own_sdks(simulator: Simulator) -> None:
    need("binance_sdk_wallet")
    accounts = simulator.accounts["binance"]
    names = ("ip_blocked", "read_only", "frozen")
    good, wrong, blocked, reader, frozen = ask(
        simulator, "binance_sdk", *good_and_wrong(simulator, "binance"), *(accounts[name] for name in names)
    )

    assert refused(good) == {}
    assert is_now(good["spot time"]["serverTime"]) and is_now(good["futures time"]["serverTime"])
    assert good["system status"] == {"status": 0, "msg": "normal"} and good["status"] == {"data": "Normal"}
    on = {name for name, value in good["key"].items() if value is True}
    assert on == {"ipRestrict", "enableReading", "enableSpotAndMarginTrading", "enableFutures"}
    assert good["key"]["enableWithdrawals"] is False and good["trading status"]["data"]["isLocked"] is False
    assert {row["asset"]: row["free"] for row in good["spot"]["balances"]} == {"USDT": "4210.00", "BTC": "0.0125"}
    assert [(row["asset"], row["balance"]) for row in good["futures"]] == [("USDT", "1500.00")]
    assert good["futures account"]["totalWalletBalance"] == "1500.00"
    assert good["withdrawals"] == good["spot orders"] == good["futures orders"] == []
    assert good["spot order test"] == {} and good["futures order test"]["orderId"] == 0
    assert good["spot fees"]["standardCommission"]["taker"] == "0.00090000"
    assert good["futures fees"]["takerCommissionRate"] == "0.00045"
    assert [row["symbol"] for row in good["tiers"]] == ["BTCUSDT"]

    private = good.keys() - {"spot time", "futures time", "system status"}
    for no, code in ((refused(wrong), "-1022"), (refused(blocked), "-2015")):
        assert no.keys() == private and all(f"({code}, " in words for words in no.values()), no
    told = {call for call, words in refused(blocked).items() if "request ip: 127.0.0.1" in words}
    futures = {"futures", "futures account", "futures orders", "futures order test", "futures fees", "tiers"}
    assert told == futures
    assert refused(reader).keys() == futures | {"spot order test"}
    assert frozen["trading status"]["data"]["isLocked"] is True
    assert refused(frozen).keys() == {"spot order test", "futures order test"}
    assert all("This action is disabled on this account." in words for words in refused(frozen).values())


@pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
def test_binances_own_sdks_with_a_self_made_key(simulator: Simulator, kind: str) -> None:
    need("binance_sdk_wallet")
    mine, other = (self_made(kind) for _ in range(2))
    simulator.change_account("binance", "good", secret=mine)
    keys = simulator.accounts["binance"]["good"]
    good, wrong = ask(simulator, "binance_sdk", keys, {**keys, "secret": other})
    assert refused(good) == {} and good["key"]["enableReading"] is True
    no = refused(wrong)
    assert no.keys() >= {"key", "spot order test", "futures"} and all("(-1022, " in words for words in no.values())


def self_made(kind: str) -> str:
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_no_client_asked_for_more_than_it_was_told_to(simulator: Simulator) -> None:
    """All of it is reading, and reached the hosts that the clients' authors wrote down."""
    need("pymexc")
    ask(simulator, "pymexc", simulator.accounts["mexc"]["good"])
    assert {method for method, _, _ in paths(simulator, 200)} == {"GET"}
    assert {host for _, host, _ in paths(simulator, 200)} == {"api.mexc.com", "contract.mexc.com"}
    assert not simulator.errors


def test_the_redirect_lets_nothing_leave(simulator: Simulator) -> None:
    (answers,) = ask(simulator, "elsewhere", {})
    assert "certificate" in answers["page"]["refused"].lower(), answers
