"""KuCoin: signatures, each refusal, each sample account (KuCoin documents and official SDK)."""

from __future__ import annotations

import time

import pytest
from simulator_client import Answer, Client

from bfai.simulator.kucoin import passphrase, signature

KEY_INFO = "/api/v1/user/api-key"
SPOT_TEST = '{"symbol":"BTC-USDT","side":"buy","type":"limit","size":"1","price":"1"}'
FUTURES_TEST = '{"clientOid":"a","symbol":"XBTUSDTM","side":"buy","leverage":3,"type":"limit","size":1,"price":"1"}'


@pytest.mark.parametrize(
    ("method", "endpoint", "body", "right"),
    [
        ("GET", KEY_INFO, "", "dKwCncqL4pk3PV5DOGXt0NDq3dg2wODMCvkInViBBCc="),
        ("GET", "/api/v1/accounts?type=trade", "", "yFUWEohocqwkbWNtlaGvK6Z5VYIbgt8/ivWaN+9QgG8="),
        ("POST", "/api/v1/hf/orders/test", SPOT_TEST, "CyYGmDKyPyJidZx6Yy5Uf/3J4mYccLwTvFibmcm+zXM="),
        ("GET", "/api/v1/account-overview?currency=USDT", "", "fve+v25TJVBuoLgpmCUZ84/LqjrUWSSEURITFCxNr0o="),
        ("GET", "/api/ua/v1/account/mode", "", "NN4MGas8iMdRJ4f3VHaFj+NEwcDzEd16wE23y+F///U="),
    ],
)
def test_golden_signatures(method: str, endpoint: str, body: str, right: str) -> None:
    assert signature("SECRETEXAMPLE02", "1700000000000", method, endpoint, body) == right


def test_golden_passphrase() -> None:
    assert passphrase("SECRETEXAMPLE02", "PassPhrase03") == "x0xsXOdYb9ZCk2+MgHcPJt/jaLUq3SFRvFdvuzSK938="


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def test_public(client: Client) -> None:
    for host in ("api.kucoin.com", "api.kucoin.eu", "api-futures.kucoin.com"):
        assert abs(client.call("GET", host, "/api/v1/timestamp").json["data"] - time.time() * 1000) < 2000
        assert client.call("GET", host, "/api/v1/status").json["data"] == {"status": "open", "msg": ""}
    ip = client.call("GET", "api.kucoin.com", "/api/v1/my-ip")
    assert ip.json["data"] == "127.0.0.1"
    assert {"gw-ratelimit-limit", "gw-ratelimit-remaining", "gw-ratelimit-reset"} <= set(ip.headers)
    assert said(client.call("GET", "api.kucoin.com", "/api/v1/nothing")) == (404, "404000")


PERMISSION = {
    "good": "General,Spot,Futures", "withdraw": "General,Spot,Futures,Transfer", "read_only": "General",
    "no_futures": "General,Spot", "ip_open": "General,Spot,Futures", "expiring": "General,Spot,Futures",
    "sub_account": "General,Spot,Futures", "unknown_right": "General,Spot,Futures,VaultAccess",
}  # fmt: skip


@pytest.mark.parametrize(("account", "permission"), PERMISSION.items())
@pytest.mark.parametrize("version", ["1", "2", "3", None])
def test_key_reports(client: Client, account: str, permission: str, version: str | None) -> None:
    keys = client.keys("kucoin", account)
    answer = client.kucoin(keys, "GET", KEY_INFO, version=version)
    assert said(answer) == (200, "200000")
    report = answer.json["data"]
    assert report["apiKey"] == keys["apiKey"]
    assert report["permission"] == permission
    assert report["ipWhitelist"] == ("" if account == "ip_open" else "127.0.0.1")
    assert report["isMaster"] is (account != "sub_account")
    assert ("subName" in report) is (account == "sub_account")
    assert (report["parentUid"] is None) is (account != "sub_account")
    if account == "expiring":
        assert 4.9 < (report["expiredAt"] / 1000 - time.time()) / 86400 <= 5
    else:
        assert report["expiredAt"] is None


@pytest.mark.parametrize("account", PERMISSION)
def test_scopes_gate_the_calls(client: Client, account: str) -> None:
    keys, words = client.keys("kucoin", account), PERMISSION[account].split(",")
    balance = client.kucoin(keys, "GET", "/api/v1/accounts?type=trade").json["data"]
    assert (balance[0]["currency"], balance[0]["available"]) == ("USDT", "4210.00")
    assert client.kucoin(keys, "GET", "/api/v1/hf/orders/active?symbol=BTC-USDT").json["data"] == []
    refused, fine = (403, "400007"), (200, "200000")
    spot = fine if "Spot" in words else refused
    assert said(client.kucoin(keys, "GET", "/api/v1/hf/orders/active/symbols")) == spot
    assert said(client.kucoin(keys, "POST", "/api/v1/hf/orders/test", SPOT_TEST)) == spot
    assert said(client.kucoin(keys, "POST", "/api/v1/orders/test", SPOT_TEST)) == spot
    assert said(client.kucoin(keys, "POST", "/api/v3/hf/margin/order/test", SPOT_TEST)) == refused
    futures = fine if "Futures" in words else refused
    assert said(client.futures(keys, "GET", "/api/v1/account-overview?currency=USDT")) == futures
    assert said(client.futures(keys, "GET", "/api/v1/positions")) == futures
    assert said(client.futures(keys, "POST", "/api/v1/orders/test", FUTURES_TEST)) == futures
    assert said(client.futures(keys, "GET", "/api/v1/orders?status=active")) == fine, "needs only General"
    assert client.sim.violations == []


def test_refusals(client: Client) -> None:
    keys = client.keys("kucoin", "good")
    now = int(time.time() * 1000)
    assert said(client.call("GET", "api.kucoin.com", KEY_INFO)) == (400, "400001")
    assert said(client.kucoin({**keys, "apiKey": "0" * 24}, "GET", KEY_INFO)) == (401, "400003")
    assert said(client.kucoin({**keys, "password": "wrong-one"}, "GET", KEY_INFO)) == (401, "400004")
    wrong_secret = {**keys, "secret": "11111111-1111-4111-8111-111111111111"}
    assert said(client.kucoin(wrong_secret, "GET", KEY_INFO)) == (401, "400004"), "the passphrase is judged first"
    assert said(client.kucoin(wrong_secret, "GET", KEY_INFO, version="1")) == (401, "400005")
    assert said(client.kucoin(keys, "GET", KEY_INFO, signed="/api/v1/other")) == (401, "400005")
    assert said(client.kucoin(keys, "GET", KEY_INFO, time_ms=now - 6000)) == (400, "400002")
    assert said(client.kucoin(keys, "GET", KEY_INFO, time_ms=now + 6000)) == (400, "400002")
    version = client.kucoin(keys, "GET", KEY_INFO, version="9")
    assert (*said(version), version.json["msg"]) == (400, "400007", "Invalid KC-API-KEY-VERSION")


def test_query_is_signed_unencoded_and_a_bare_question_mark_is_forgiven(client: Client) -> None:
    keys = client.keys("kucoin", "good")
    target, plain = "/api/v1/accounts?type=trade&currency=%55SDT", "/api/v1/accounts?type=trade&currency=USDT"
    assert said(client.kucoin(keys, "GET", target, signed=plain)) == (200, "200000")
    assert said(client.kucoin(keys, "GET", target, signed=target)) == (401, "400005")
    assert said(client.kucoin(keys, "GET", f"{KEY_INFO}?", signed=KEY_INFO)) == (200, "200000")


@pytest.mark.parametrize(
    ("account", "refusal"),
    [
        ("ip_blocked", (403, "400006", "Invalid request ip, the current clientIp is:127.0.0.1")),
        ("expired", (401, "400003", "The API key does not exist or site mismatch.")),
        ("frozen", (200, "411100", "User are frozen")),
    ],
)
def test_accounts_that_fail(client: Client, account: str, refusal: tuple[int, str, str]) -> None:
    keys = client.keys("kucoin", account)
    for answer in (client.kucoin(keys, "GET", KEY_INFO), client.futures(keys, "GET", "/api/v1/orders?status=active")):
        assert (answer.status, answer.code, answer.json["msg"]) == refusal


def test_keys_belong_to_a_site(client: Client) -> None:
    keys = client.keys("kucoin", "good")
    assert client.kucoin(keys, "GET", KEY_INFO, host="api.kucoin.eu").code == "400003"
    assert client.kucoin(keys, "GET", KEY_INFO, more={"X-SITE-TYPE": "australia"}).code == "400003"
    client.sim.change_account("kucoin", "good", site="europe")
    assert client.kucoin(keys, "GET", KEY_INFO, host="api.kucoin.eu").json["data"]["siteType"] == "europe"
    assert client.kucoin(keys, "GET", KEY_INFO).code == "400003"


def test_masked_addresses_and_left_out_fields(client: Client) -> None:
    keys = client.keys("kucoin", "good")
    client.sim.change_account("kucoin", "good", mask_ips=True, ip_whitelist="203.0.113.154,127.0.0.1", omit="expiredAt")
    report = client.kucoin(keys, "GET", KEY_INFO).json["data"]
    assert report["ipWhitelist"] == "203.**.154,127.**.1"
    assert "expiredAt" not in report


@pytest.mark.parametrize("body", ["", "[]", '{"symbol":"X"}', '{"symbol":"BTC-USDT"}', SPOT_TEST.replace('"1"', '"0"')])
def test_order_test_validates(client: Client, body: str) -> None:
    answer = client.kucoin(client.keys("kucoin", "good"), "POST", "/api/v1/hf/orders/test", body)
    assert answer.status == 400
    assert answer.code != "200000"


def test_markets(client: Client) -> None:
    target = "/api/v1/market/candles?symbol=ETH-USDT&type=1hour&startAt=1700000000&endAt=1700040000"
    rows = client.call("GET", "api.kucoin.com", target).json["data"]
    assert len(rows) == 11
    assert int(rows[0][0]) > int(rows[-1][0]), "newest first"
    assert client.call("GET", "api.kucoin.com", "/api/v1/market/orderbook/level1?symbol=NO-NO").json["data"] is None
    active = client.call("GET", "api-futures.kucoin.com", "/api/v1/contracts/active").json["data"]
    assert [row["symbol"] for row in active] == [
        "XBTUSDTM",
        "ETHUSDTM",
        "SOLUSDTM",
        "DOGEUSDTM",
        "LTCUSDTM",
        "LUNCUSDTM",
    ]


FEES = "/api/v1/trade-fees"


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("kucoin", "read_only")
    spot = client.kucoin(reader, "GET", f"{FEES}?symbols=ETH-USDT,BTC-USDT").json["data"]
    rates = {"takerFeeRate": "0.0009", "makerFeeRate": "0.0007"}
    assert spot == [{"symbol": "ETH-USDT", **rates}, {"symbol": "BTC-USDT", **rates}]
    futures = client.futures(reader, "GET", f"{FEES}?symbol=XBTUSDTM").json["data"]
    assert futures == {"symbol": "XBTUSDTM", "takerFeeRate": "0.00045", "makerFeeRate": "0.00016"}


def test_refusals_of_fees(client: Client) -> None:
    keys, wrong = client.keys("kucoin", "good"), client.keys("kucoin", "good", secret="0" * 36)
    assert said(client.kucoin(keys, "GET", FEES)) == (400, "400100")
    assert said(client.kucoin(keys, "GET", f"{FEES}?symbols={','.join(['BTC-USDT'] * 11)}")) == (400, "400100")
    assert said(client.kucoin(keys, "GET", f"{FEES}?symbols=BTC-USDT,NO-NO")) == (200, "900001")
    assert said(client.futures(keys, "GET", FEES)) == (400, "100001")
    assert said(client.futures(keys, "GET", f"{FEES}?symbol=NONO")) == (200, "100001")
    assert said(client.kucoin(keys, "GET", f"{FEES}?symbols=BTC-USDT", signed=FEES)) == (401, "400005")
    assert said(client.futures(wrong, "GET", f"{FEES}?symbol=XBTUSDTM"))[0] == 401
