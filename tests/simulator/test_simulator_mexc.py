"""MEXC: signatures, each refusal, each sample account (MEXC spot v3 and contract v1 documents)."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from simulator_client import Answer, Client

from bfai.simulator import Simulator
from bfai.simulator.mexc import contract_params, contract_signature, spot_signature, without_signature

ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11"
DOC_SECRET = "45d0b3c26f2644f19bfb98b07741b2f5"
KEY, SECRET, TIME = "APIKEYEXAMPLE01", "SECRETEXAMPLE02", "1700000000000"


@pytest.mark.parametrize(
    ("secret", "query", "body", "right"),
    [
        (DOC_SECRET, f"{ORDER}&recvWindow=5000&timestamp=1644489390087", "",
         "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a"),
        (DOC_SECRET, "symbol=BTCUSDT&side=BUY&type=LIMIT",
         "quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
         "d1a676610ceb39174c8039b3f548357994b2a34139a8addd33baadba65684592"),
        (SECRET, f"accessKey={KEY}&timestamp={TIME}&recvWindow=5000", "",
         "38e4aa0d559961ac3d31de1154de73d08aa8106ebf0167c73d1d28a7670a8558"),
        (SECRET, f"{ORDER}&timestamp={TIME}&recvWindow=5000", "",
         "014b050b8ce9af6f10478cec33654e560859ac7f952fd73b2597c94b922c385d"),
    ],
)  # fmt: skip
def test_golden_spot_signatures(secret: str, query: str, body: str, right: str) -> None:
    assert spot_signature(secret, query, body) == right


@pytest.mark.parametrize(
    ("params", "right"),
    [
        ("", "578f114128c1d47fc7b7eac9e25c2b6bf5ced5efb3fbd139fc6b0ca64303bf54"),
        (
            contract_params("page_size=20&page_num=1"),
            "41b7e16bfae6085396f3b5b77f3ba64ebf46275d1046df15e419775b9ca706fb",
        ),
        ('{"symbol":"BTC_USDT","vol":1}', "dc14d29b19281a8f8f32e0d3d38975065258e3a69eec8611cbc29bc1a5ac56b9"),
    ],
)
def test_golden_contract_signatures(params: str, right: str) -> None:
    assert contract_signature(SECRET, KEY, TIME, params) == right


def test_signature_parameter_is_taken_out() -> None:
    assert without_signature("a=1&signature=ff&b=2") == ("a=1&b=2", "ff")
    assert without_signature("a=1") == ("a=1", None)


def test_public(client: Client) -> None:
    assert client.call("GET", "api.mexc.com", "/api/v3/ping").json == {}
    assert abs(client.call("GET", "api.mexc.com", "/api/v3/time").json["serverTime"] - time.time() * 1000) < 2000
    for host in ("api.mexc.com", "contract.mexc.com"):
        ping = client.call("GET", host, "/api/v1/contract/ping").json
        assert ping["success"] is True
        assert ping["code"] == 0
    assert client.call("GET", "contract.mexc.com", "/api/v3/ping").status == 404
    assert client.call("GET", "api.mexc.com", "/api/v3/nothing").status == 404


RIGHTS = {
    "good": (True, True, False), "withdraw": (True, True, True), "read_only": (False, False, False),
    "no_futures": (True, False, False), "ip_open": (True, True, False), "expiring": (True, True, False),
    "sub_account": (True, True, False), "unknown_right": (True, True, False),
}  # fmt: skip


@pytest.mark.parametrize(("account", "rights"), RIGHTS.items())
def test_key_reports(client: Client, account: str, rights: tuple[bool, bool, bool]) -> None:
    keys = client.keys("mexc", account)
    answer = client.mexc(keys, "GET", "/api/v3/apiKeyInfo", f"accessKey={keys['apiKey']}")
    report = answer.json
    assert answer.status == 200
    assert report["accessKey"] == keys["apiKey"]
    words = report["permissions"].split(",")
    assert tuple(w in words for w in ("SPOT_DEAL_WRITE", "CONTRACT_DEAL_WRITE", "SPOT_WITHDRAW_WRITE")) == rights
    assert report["remainingValidity"] == {"ip_open": 82, "expiring": 5}.get(account, -999)
    assert report["ipWhiteList"] == ("" if account in ("ip_open", "expiring") else "127.0.0.1")
    assert report["status"] == "VALID"
    assert ("SPOT_VAULT_WRITE" in words) is (account == "unknown_right")
    assert "SPOT_ACCOUNT_WRITE" not in words


@pytest.mark.parametrize(("account", "rights"), RIGHTS.items())
def test_scopes_gate_the_calls(client: Client, account: str, rights: tuple[bool, bool, bool]) -> None:
    keys = client.keys("mexc", account)
    balance = client.mexc(keys, "GET", "/api/v3/account").json
    assert balance["balances"][0] == {"asset": "USDT", "free": "4210.00", "locked": "0"}
    assert balance["canWithdraw"] is True, "an account flag, true for every key"
    assert client.mexc(keys, "GET", "/api/v3/openOrders", "symbol=BTCUSDT").json == []
    test = client.mexc(keys, "POST", "/api/v3/order/test", ORDER)
    assert (test.status, test.json) == ((200, {}) if rights[0] else (400, _denied()))
    assets = client.contract(keys, "/api/v1/private/account/assets").json
    orders = client.contract(keys, "/api/v1/private/order/list/open_orders", "page_num=1&page_size=20").json
    if account == "no_futures":
        assert (assets["code"], orders["code"]) == (701, 703)
    else:
        assert assets["data"][0]["availableBalance"] == 1500.0
        assert orders == {"success": True, "code": 0, "data": []}
    assert client.sim.violations == []


def _denied() -> dict[str, object]:
    return {"code": 700007, "msg": "No permission to access the endpoint."}


def test_order_test_takes_a_form_body(client: Client) -> None:
    keys = client.keys("mexc", "good")
    head = {"X-MEXC-APIKEY": str(keys["apiKey"])}
    answer = client.mexc(
        keys, "POST", "/api/v3/order/test", "symbol=BTCUSDT&side=BUY", "type=LIMIT&quantity=1&price=11", headers=head
    )
    assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ("symbol=BTCUSDT&side=BUY", 700004), ("symbol=NOPE&side=BUY&type=MARKET&quantity=1", 10007),
        ("symbol=BTCUSDT&side=UP&type=LIMIT&quantity=1&price=9", -1128),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.00001&price=11", 30002),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=x&price=11", 700004),
    ],
)  # fmt: skip
def test_order_test_validates(client: Client, order: str, code: int) -> None:
    answer = client.mexc(client.keys("mexc", "good"), "POST", "/api/v3/order/test", order)
    assert (answer.status, answer.code) == (400, code)


def test_pair_limited_key(client: Client) -> None:
    client.sim.change_account("mexc", "good", pairs="ETHUSDT")
    keys = client.keys("mexc", "good")
    assert client.mexc(keys, "POST", "/api/v3/order/test", ORDER).code == 30020
    assert client.mexc(keys, "GET", "/api/v3/selfSymbols").json["data"] == ["ETHUSDT"]


def test_spot_refusals(client: Client) -> None:
    keys = client.keys("mexc", "good")
    now = int(time.time() * 1000)
    path, get = "/api/v3/account", "GET"

    def said(answer: Answer) -> tuple[int, int]:
        return answer.status, answer.code

    assert said(client.mexc(keys, get, path, headers={})) == (400, 400)
    assert said(client.call(get, "api.mexc.com", path, {"X-MEXC-APIKEY": str(keys["apiKey"])})) == (400, 700004)
    assert said(client.mexc({**keys, "apiKey": "mx0vNoSuchKey00001"}, get, path)) == (400, 10072)
    assert said(client.mexc({**keys, "apiKey": "hello"}, get, path)) == (400, 700001)
    assert said(client.mexc({**keys, "apiKey": "a" * 32}, get, path)) == (401, 700002)
    assert said(client.mexc({**keys, "secret": "0" * 32}, get, path)) == (401, 700002)
    assert said(client.mexc(keys, get, path, time_ms=now - 6000)) == (400, 700003)
    assert said(client.mexc(keys, get, path, time_ms=now + 2500)) == (400, 700003)
    assert said(client.mexc(keys, get, path, time_ms=now - 6000, window=10000)) == (200, None)
    assert said(client.mexc(keys, get, path, window=60001)) == (400, 700005)
    assert said(client.mexc(keys, get, path, "x=%2f")) == (401, 700002)
    assert said(client.mexc(keys, get, path, "x=%2F")) == (200, None)
    assert said(client.mexc(keys, get, "/api/v3/apiKeyInfo")) == (400, 730707)
    other = client.keys("mexc", "withdraw")["apiKey"]
    assert said(client.mexc(keys, get, "/api/v3/apiKeyInfo", f"accessKey={other}")) == (400, 730706)
    assert said(client.mexc(keys, get, "/api/v3/openOrders")) == (400, 700004)


def test_upper_case_signature_is_refused(client: Client) -> None:
    keys = client.keys("mexc", "good")
    stamp = int(time.time() * 1000)
    mac = spot_signature(str(keys["secret"]), f"timestamp={stamp}")
    assert client.mexc(keys, "GET", "/api/v3/uid", time_ms=stamp, sign=mac).status == 200
    assert client.mexc(keys, "GET", "/api/v3/uid", time_ms=stamp, sign=mac.upper()).code == 700002


def test_contract_refusals(client: Client) -> None:
    keys = client.keys("mexc", "good")
    path = "/api/v1/private/account/assets"
    now = int(time.time() * 1000)
    assert client.call("GET", "api.mexc.com", path).code == 401
    assert client.contract({**keys, "apiKey": "mx0vNoSuchKey00001"}, path).code == 401
    assert client.contract({**keys, "secret": "0" * 32}, path).code == 602
    assert client.contract(keys, path, time_ms=now - 11_000).code == 513
    assert client.contract(keys, path, time_ms=now - 11_000, window="30").code == 0
    answer = client.contract(client.keys("mexc", "ip_blocked"), path)
    assert answer.status == 200
    assert answer.json == {"success": False, "code": 406, "message": "IP [127.0.0.1] not in the ip white list"}


@pytest.mark.parametrize(
    ("account", "spot", "futures"),
    [
        ("ip_blocked", (400, 700006), 406),
        ("expired", (400, 10072), 402),
        ("frozen", (400, 730100), 6001),
    ],
)
def test_accounts_that_fail(client: Client, account: str, spot: tuple[int, int], futures: int) -> None:
    keys = client.keys("mexc", account)
    answer = client.mexc(keys, "GET", "/api/v3/account")
    assert (answer.status, answer.code) == spot
    assert client.contract(keys, "/api/v1/private/account/assets").code == futures
    report = client.mexc(keys, "GET", "/api/v3/apiKeyInfo", f"accessKey={keys['apiKey']}")
    assert report.json["status"] == "FROZEN" if account == "frozen" else report.code == spot[1]


def test_sub_account(client: Client) -> None:
    path = "/api/v3/sub-account/list"
    assert client.mexc(client.keys("mexc", "sub_account"), "GET", path).code == 140002
    assert client.mexc(client.keys("mexc", "good"), "GET", path).status == 200


def test_markets(client: Client) -> None:
    def get(target: str) -> Any:
        return client.call("GET", "api.mexc.com", target).json

    hour = "/api/v3/klines?symbol=BTCUSDT&interval=60m&startTime=1700000000000&endTime=1700040000000"
    rows: list[list[Any]] = get(hour)
    assert rows == get(hour)
    assert len(rows) == 11
    for opened, start, high, low, close, *_ in rows:
        assert opened % 3_600_000 == 0
        assert float(low) <= min(float(start), float(close)) <= max(float(start), float(close)) <= float(high)
    assert all(before[4] == after[1] for before, after in pairwise(rows)), "no gaps"
    kline = client.call(
        "GET", "contract.mexc.com", "/api/v1/contract/kline/BTC_USDT?interval=Min60&start=1700000000&end=1700040000"
    )
    assert len(kline.json["data"]["time"]) == 11
    assert {row["symbol"] for row in get("/api/v3/exchangeInfo")["symbols"]} == {
        "BTCUSDT",
        "ETHUSDT",
        "SOLUSDT",
        "DOGEUSDT",
        "LTCUSDT",
        "LUNCUSDT",
    }


def test_same_credentials_at_every_start(sim: Simulator) -> None:
    again = Simulator()
    assert again.accounts == sim.accounts
    assert again.accounts["mexc"]["good"]["apiKey"] == "mx0vSAMPLEXZdAyY8n"


FEE, OLD_FEE = "/api/v3/tradeFee", "/api/v1/private/account/tiered_fee_rate"
NEW_FEE = f"{OLD_FEE}/v2"


def test_fees_of_this_account(client: Client) -> None:
    keys = client.keys("mexc", "read_only")
    spot = client.mexc(keys, "GET", FEE, "symbol=BTCUSDT").json
    assert spot["data"] == {"makerCommission": 0.0007, "takerCommission": 0.0009} and spot["code"] == 0
    old, new = (client.contract(keys, path, "symbol=BTC_USDT").json for path in (OLD_FEE, NEW_FEE))
    assert (old["success"], old["data"]["makerFee"], old["data"]["takerFee"]) == (True, 0.00016, 0.00045)
    assert (new["data"]["realMakerFee"], new["data"]["realTakerFee"]) == (0.00016, 0.00045)
    assert (new["data"]["originalMakerFee"], new["data"]["originalTakerFee"]) == (0.00032, 0.0009)
    assert new["data"]["symbol"] == "BTC_USDT" and new["data"]["feeRateMode"] == "NORMAL"
    assert "symbol" not in client.contract(keys, NEW_FEE).json["data"]


def test_refusals_of_fees(client: Client) -> None:
    keys, wrong = client.keys("mexc", "good"), client.keys("mexc", "good", secret="0" * 32)
    assert client.mexc(keys, "GET", FEE).code == 700004
    assert client.mexc(keys, "GET", FEE, "symbol=NONO").code == 10007
    assert client.mexc(wrong, "GET", FEE, "symbol=BTCUSDT").code == 700002
    assert client.contract(keys, OLD_FEE).code == 600
    for path in (OLD_FEE, NEW_FEE):
        assert client.contract(keys, path, "symbol=NO_NO").code == 1001
        assert client.contract(wrong, path, "symbol=BTC_USDT").code == 602
        assert client.contract(client.keys("mexc", "no_futures"), path, "symbol=BTC_USDT").code == 703
