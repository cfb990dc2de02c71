"""HTX: signatures, each refusal in each of its styles, each sample account (HTX documents)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.htx import signature

SPOT_HOSTS = ("api.huobi.pro", "api-aws.huobi.pro", "api.htx.com")
CONTRACT_HOSTS = ("api.hbdm.vn", "api.hbdm.com")
UID, KEY, ACCOUNTS, ORDERS = "/v2/user/uid", "/v2/user/api-key", "/v1/account/accounts", "/v1/order/openOrders"
BALANCE, OPENS, COIN_BALANCE = "/v5/account/balance", "/v5/trade/order/opens", "/api/v1/contract_account_info"


def htx(
    client: Client, keys: Keys, path: str, params: dict[str, str] | None = None, *, method: str = "GET",
    host: str | None = None, body: str | None = None, age: float = 0, signed_host: str = "", lower: bool = False,
    **changes: str | None,
) -> Answer:  # fmt: skip
    """Method, host, path and sorted parameters are signed with line breaks between, and travel in the query."""
    contract = path.startswith(("/v5/", "/api/v1/", "/swap-api/", "/linear-swap"))
    host = host or ("api.hbdm.vn" if contract else "api.huobi.pro")
    named: dict[str, str | None] = {
        "AccessKeyId": str(keys["apiKey"]),
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - age)),
        **(params or {}),
        **changes,
    }
    query = urlencode(sorted((name, value) for name, value in named.items() if value is not None), quote_via=quote)
    if lower:
        query = query.replace("%3A", "%3a")
    text = "\n".join((method, signed_host or host, path, query))
    mac = base64.b64encode(hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256).digest()).decode()
    return client.call(method, host, f"{path}?{query}&Signature={quote(mac, safe='')}", {}, body)


def report(client: Client, account: str, **more: str) -> dict[str, Any]:
    keys = client.keys("htx", account)
    uid = htx(client, keys, UID).json["data"]
    rows = htx(client, keys, KEY, {"uid": str(uid), "accessKey": str(keys["apiKey"]), **more}).json["data"]
    assert len(rows) == 1
    return rows[0]


def words(text: str) -> dict[str, object]:
    """How spot v1 says it."""
    return {"status": "error", "err-code": "api-signature-not-valid", "err-msg": f"Signature not valid: {text}",
            "data": None}  # fmt: skip


def all_styles(client: Client, keys: Keys, **more: Any) -> tuple[Any, Any, Any, Any]:
    """The same refusal as spot v1, v2, contract v1 and v5 say it; always with status 200."""
    answers = (
        htx(client, keys, ACCOUNTS, **more),
        htx(client, keys, UID, **more),
        htx(client, keys, COIN_BALANCE, method="POST", body="{}", **more),
        htx(client, keys, BALANCE, **more),
    )
    assert [answer.status for answer in answers] == [200] * 4
    found = [answer.json for answer in answers]
    for timed in found[2:]:
        assert abs(timed.pop("ts") / 1000 - time.time()) < 5
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize(
    ("path", "more", "right"),
    [
        (UID, "", "2l8hUYJScKfarAqm0e/CZipsx/1UGZbfQTeiTYxPebM="),
        (KEY, "&uid=123&accessKey=ak-0001", "zxAaHpaAMFrjbd0rWdEVQkLQRIiKIU35leLD14yrN3s="),
    ],
)
def test_golden_signatures(path: str, more: str, right: str) -> None:
    query = "SignatureMethod=HmacSHA256&AccessKeyId=ak-0001&Timestamp=2023-11-14T22%3A13%3A20&SignatureVersion=2"
    assert signature("sk-0001", "GET", "api.huobi.pro", path, query + more) == right
    assert signature("sk-0001", "GET", "API.huobi.pro", path, f"{query}{more}&Signature=x") == right
    assert signature("sk-0001", "GET", "api.htx.com", path, query + more) != right


def test_public(client: Client) -> None:
    for host in SPOT_HOSTS:
        assert abs(client.call("GET", host, "/v1/common/timestamp").json["data"] - time.time() * 1000) < 2000
        assert client.call("GET", host, "/v2/market-status").json["data"] == {"marketStatus": 1}
    for host in CONTRACT_HOSTS:
        assert abs(client.call("GET", host, "/api/v1/timestamp").json["ts"] - time.time() * 1000) < 2000
        assert client.call("GET", host, "/heartbeat/").json["data"]["linear_swap_heartbeat"] == 1
    assert client.call("GET", SPOT_HOSTS[0], "/api/v1/timestamp").status == 404, "a path of the other hosts"
    assert client.call("GET", SPOT_HOSTS[0], "/v2/nothing").status == 404
    assert client.call("GET", CONTRACT_HOSTS[0], COIN_BALANCE).status == 405


REPORTS = {
    "good": ("readOnly,trade", "127.0.0.1", -1), "withdraw": ("readOnly,trade,withdraw", "127.0.0.1", -1),
    "read_only": ("readOnly", "127.0.0.1", -1), "ip_open": ("readOnly,trade", "", 90),
    "expiring": ("readOnly,trade", "127.0.0.1", 5), "sub_account": ("readOnly,trade", "127.0.0.1", -1),
    "unknown_right": ("readOnly,trade,vault", "127.0.0.1", -1),
}  # fmt: skip


def test_the_sample_accounts(client: Client) -> None:
    assert set(client.sim.accounts["htx"]) == {*REPORTS, "ip_blocked", "expired"}


@pytest.mark.parametrize("account", REPORTS)
def test_key_reports(client: Client, account: str) -> None:
    found = report(client, account)
    assert found["accessKey"] == client.keys("htx", account)["apiKey"]
    assert (found["permission"], found["ipAddresses"], found["validDays"]) == REPORTS[account]
    assert found["status"] == "normal"


@pytest.mark.parametrize("account", REPORTS)
def test_reading_needs_one_right_on_all_hosts(client: Client, account: str) -> None:
    keys = client.keys("htx", account)
    for host in SPOT_HOSTS:
        kinds = htx(client, keys, ACCOUNTS, host=host).json["data"]
        assert [row["type"] for row in kinds] == ["point", "spot"]
        spot = htx(client, keys, f"{ACCOUNTS}/{kinds[1]['id']}/balance", host=host).json["data"]
        assert {"currency": "usdt", "type": "trade", "balance": "4210.00", "seq-num": "477"} in spot["list"]
        assert htx(client, keys, ORDERS, {"size": "1"}, host=host).json == {"status": "ok", "data": []}
    for host in CONTRACT_HOSTS:
        futures = htx(client, keys, BALANCE, host=host).json
        assert (futures["code"], futures["data"]["details"][0]["available_margin"]) == (200, "1500.00")
        assert htx(client, keys, OPENS, host=host).json["data"] == []
        for path in (COIN_BALANCE, "/swap-api/v1/swap_account_info"):
            assert htx(client, keys, path, method="POST", host=host, body="{}").json["status"] == "ok"
    assert client.sim.violations == []


def test_wrong_secret_and_wrong_host(client: Client) -> None:
    keys = client.keys("htx", "good")
    text = "Verification failure [校验失败]"
    right = (
        words(text),
        {"code": 12008, "message": text},
        {"status": "error", "err_code": 403, "err_msg": text},
        {"code": 401, "message": text},
    )
    assert all_styles(client, {**keys, "secret": "1" * 8}) == right
    assert all_styles(client, keys, signed_host="api.huobi.com") == right
    assert all_styles(client, keys, lower=True) == right, "the digits of what is encoded are upper-case"
    assert all_styles(client, keys, SignatureMethod="Ed25519") == right
    assert htx(client, keys, UID, host="api.htx.com", signed_host="api.huobi.pro").json["code"] == 12008


@pytest.mark.parametrize(
    ("account", "number", "text"),
    [
        ("expired", 12004, "API key has expired [API Key已经过期]"),
        ("unknown", 12007, "Incorrect Access key [Access key错误]"),
        ("elsewhere", 12007, "Incorrect Access key [Access key错误]"),
    ],
)
def test_keys_that_fail(client: Client, account: str, number: int, text: str) -> None:
    keys = client.keys("htx", "expired" if account == "expired" else "good")
    if account == "unknown":
        keys = {**keys, "apiKey": "00000000-11111111-22222222-3333333333"}
    if account == "elsewhere":
        client.sim.change_account("htx", "good", site="japan")
    assert all_styles(client, keys) == (
        words(text),
        {"code": number, "message": text},
        {"status": "error", "err_code": 403, "err_msg": text},
        {"code": 401, "message": text},
    )


def test_an_address_is_told_by_v1_alone(client: Client) -> None:
    text = "Incorrect IP address [IP地址错误]"
    assert all_styles(client, client.keys("htx", "ip_blocked")) == (
        words(f"{text}:127.0.0.1"),
        {"code": 12005, "message": text},
        {"status": "error", "err_code": 403, "err_msg": text},
        {"code": 401, "message": text},
    )


@pytest.mark.parametrize("age", [330, -330])
def test_the_clock(client: Client, age: float) -> None:
    keys, text = client.keys("htx", "good"), "Invalid submission time or incorrect time format"
    v1, v2, contract, v5 = all_styles(client, keys, age=age)
    assert v1["err-msg"].startswith(f"Signature not valid: {text}") and contract["err_msg"].startswith(text)
    assert v2["code"] == 12001 and v5["code"] == 401
    assert htx(client, keys, UID, age=age * 0.8).json["code"] == 200
    assert htx(client, keys, UID, Timestamp="1700000000").json["code"] == 12001


def test_a_missing_right(client: Client) -> None:
    client.sim.change_account("htx", "good", permissions="trade")
    text = "API key has no permission [API Key没有权限]"
    assert all_styles(client, client.keys("htx", "good")) == (
        words(text),
        {"code": 1002, "message": "forbidden"},
        {"status": "error", "err_code": 403, "err_msg": text},
        {"code": 401, "message": text},
    )


@pytest.mark.parametrize("name", ["AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp"])
def test_missing_parameters(client: Client, name: str) -> None:
    v1, v2, *_ = all_styles(client, client.keys("htx", "good"), **{name: None})
    assert v1["err-code"] == "login-required"
    assert v2["code"] == {"Timestamp": 12006, "AccessKeyId": 12007}.get(name, 12008)


def test_the_order_of_the_checks(client: Client) -> None:
    """Key, time, signature, address, account, right."""
    blocked = client.keys("htx", "ip_blocked")
    client.sim.change_account("htx", "ip_blocked", status="frozen", permissions="trade")

    def code(keys: Keys, **more: Any) -> int:
        return htx(client, keys, UID, **more).json["code"]

    bad = {**blocked, "secret": "1"}
    assert code({**bad, "apiKey": "0"}, age=999) == 12007
    assert code(bad, age=999) == 12001
    assert code(bad) == 12008
    assert code(blocked) == 12005
    client.sim.change_account("htx", "ip_blocked", ip_whitelist="127.0.0.1")
    assert code(blocked) == 12009
    assert htx(client, blocked, ACCOUNTS).json["err-code"] == "account-api-trading-banned-error"
    client.sim.change_account("htx", "ip_blocked", status="active")
    assert code(blocked) == 1002


def test_styles_of_v2_that_no_document_settles(client: Client) -> None:
    keys = {**client.keys("htx", "good"), "secret": "1"}
    client.sim.change_account("htx", "good", mode="bare_errors")
    assert htx(client, keys, UID).json == {"code": 1003, "message": "invalid signature"}
    client.sim.change_account("htx", "good", mode="v1_errors")
    assert htx(client, keys, UID).json == words("Verification failure [校验失败]")


def test_accounts_that_are_locked_or_without_contracts(client: Client) -> None:
    keys = client.keys("htx", "good")
    client.sim.change_account("htx", "good", mode="locked no_contract")
    assert {row["state"] for row in htx(client, keys, ACCOUNTS).json["data"]} == {"lock"}
    assert htx(client, keys, BALANCE).json["code"] == 1220
    assert htx(client, keys, COIN_BALANCE, method="POST").json["err_code"] == 1220


def test_key_query_asks_for_a_user_and_gives_all_keys_of_it(client: Client) -> None:
    keys = client.keys("htx", "good")
    uid = str(htx(client, keys, UID).json["data"])
    assert htx(client, keys, KEY).json["code"] == 2003
    assert htx(client, keys, KEY, {"uid": "1"}).json == {"code": 1002, "message": "forbidden"}
    rows = htx(client, keys, KEY, {"uid": uid}).json["data"]
    assert [row["accessKey"] == keys["apiKey"] for row in rows] == [False, True]
    assert htx(client, keys, KEY, {"uid": uid, "accessKey": "other"}).json["data"] == []


def test_reports_can_be_changed(client: Client) -> None:
    client.sim.change_account("htx", "good", report={"permission": "trade, READONLY"}, omit="validDays")
    found = report(client, "good")
    assert found["permission"] == "trade, READONLY" and "validDays" not in found


def test_another_account_is_none_of_ours(client: Client) -> None:
    keys = client.keys("htx", "good")
    other = htx(client, keys, f"{ACCOUNTS}/1/balance").json
    assert other["err-code"] == "account-get-balance-account-inexistent-error"
    assert htx(client, keys, ORDERS, {"account-id": "1"}).json["err-code"] == "invalid-parameter"
    assert htx(client, keys, ORDERS, {"symbol": "nonono"}).json["err-code"] == "invalid-parameter"


def test_rate_headers_and_own_words_for_faults(client: Client) -> None:
    keys = client.keys("htx", "good")
    names = {"x-hb-ratelimit-requests-remain", "x-hb-ratelimit-requests-expire"}
    assert names <= set(htx(client, keys, UID).headers)
    client.control("POST", "/faults", {"faults": [{"exchange": "htx", "status": 429}]})
    v1, v5 = htx(client, keys, ACCOUNTS), htx(client, keys, BALANCE)
    assert (v1.status, v1.json["err-code"], v5.status, v5.code) == (429, "rate-too-many-requests", 429, 429)
    client.control("POST", "/faults", {"faults": [{"exchange": "htx", "kind": "maintenance"}]})
    assert htx(client, keys, ACCOUNTS).json["err-code"] == "system-maintenance"
    assert client.call("GET", "api.huobi.pro", "/v2/market-status").json["data"]["marketStatus"] == 2
    assert client.call("GET", "api.hbdm.vn", "/heartbeat/").json["data"]["heartbeat"] == 0


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/v1/order/orders/place", "places or cancels an order"),
        ("/v1/dw/withdraw/api/create", "moves money"),
        ("/v1/dw/withdraw-virtual/1/cancel", "moves money"),
        ("/v1/futures/transfer", "moves money"),
        ("/v2/sub-user/api-key-modification", "edits a key"),
        ("/v5/trade/order", "places or cancels an order"),
        ("/v5/position/lever", "changes a position"),
        ("/api/v1/contract_order", "places or cancels an order"),
        ("/v2/user/uid", "is no documented dry run"),
    ],
)
def test_writes_are_refused_and_remembered(client: Client, path: str, what: str) -> None:
    answer = htx(client, client.keys("htx", "withdraw"), path, method="POST", body=json.dumps({"symbol": "btcusdt"}))
    assert "permission" in answer.body.decode() or answer.json == {"code": 1002, "message": "forbidden"}
    assert [(seen["path"], seen["violation"]) for seen in client.sim.violations] == [(path, what)]


def test_markets(client: Client) -> None:
    target = "/market/history/kline?symbol=ethusdt&period=60min&size=5"
    rows = client.call("GET", "api.huobi.pro", target).json["data"]
    assert len(rows) == 5 and rows[0]["id"] - rows[-1]["id"] == 4 * 3600, "newest first"
    contract = "/linear-swap-ex/market/history/kline?contract_code=ETH-USDT&period=60min&from=1700000000&to=1700040000"
    assert len(client.call("GET", "api.hbdm.vn", contract).json["data"]) == 11
    wrong = client.call("GET", "api.huobi.pro", "/market/history/kline?symbol=no&period=60min").json
    assert wrong["err-code"] == "invalid-parameter"
    listed = client.call("GET", "api.hbdm.vn", "/linear-swap-api/v1/swap_contract_info").json["data"]
    assert [row["contract_code"] for row in listed] == [
        "BTC-USDT",
        "ETH-USDT",
        "SOL-USDT",
        "DOGE-USDT",
        "LTC-USDT",
        "LUNC-USDT",
    ]


FEES, CONTRACT_FEES = "/v2/reference/transact-fee-rate", "/linear-swap-api/v1/swap_fee"


def contract_fees(client: Client, keys: Keys, asked: dict[str, str]) -> dict[str, Any]:
    return htx(client, keys, CONTRACT_FEES, method="POST", body=json.dumps(asked)).json


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("htx", "read_only")
    told = htx(client, reader, FEES, {"symbols": "ethusdt,btcusdt"}).json
    assert (told["code"], told["success"]) == (200, True)
    assert [row["symbol"] for row in told["data"]] == ["ethusdt", "btcusdt"]
    assert (told["data"][0]["actualMakerRate"], told["data"][0]["actualTakerRate"]) == ("0.0007", "0.0009")
    assert (told["data"][0]["makerFeeRate"], told["data"][0]["takerFeeRate"]) == ("0.002", "0.002")
    (row,) = contract_fees(client, reader, {"contract_code": "BTC-USDT"})["data"]
    assert row["contract_code"] == "BTC-USDT" and row["fee_asset"] == "USDT"
    for side in ("open", "close"):
        assert (row[f"{side}_maker_fee"], row[f"{side}_taker_fee"]) == ("0.00016", "0.00045")
    assert len(contract_fees(client, reader, {})["data"]) == 6
    assert contract_fees(client, reader, {"business_type": "futures"})["data"] == []
    assert client.sim.violations == [], "it reads, though it is asked with POST"


def test_refusals_of_fees(client: Client) -> None:
    keys = client.keys("htx", "good")
    wrong = {**keys, "secret": "0" * 29}
    assert htx(client, keys, FEES).json["code"] == 2003
    for symbols in ("nono", ",".join(["btcusdt"] * 11)):
        assert htx(client, keys, FEES, {"symbols": symbols}).json["code"] == 2002
    assert htx(client, wrong, FEES, {"symbols": "btcusdt"}).json["code"] == 12008
    assert contract_fees(client, keys, {"contract_code": "NO-NO"})["err_code"] == 1332
    assert contract_fees(client, wrong, {"contract_code": "BTC-USDT"})["err_code"] == 403
    client.sim.change_account("htx", "good", permissions="trade")
    assert htx(client, keys, FEES, {"symbols": "btcusdt"}).json["code"] == 1002
