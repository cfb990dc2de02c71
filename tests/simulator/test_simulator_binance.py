"""Binance: signatures of three kinds, each refusal in its order, each sample account, each site (Binance documents)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from simulator_client import Answer, Client, Keys

from bfai.simulator.binance import payload, signature

REPORT = "/sapi/v1/account/apiRestrictions"
ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=10000"


def binance(
    client: Client, keys: Keys, method: str, path: str, query: str = "", body: str = "", *,
    host: str = "api.binance.com", time_ms: int | None = None, window: int | None = 5000, sign: str | None = None,
    key: str | None = None,
) -> Answer:  # fmt: skip
    """Query and body are signed together; the signature ends whichever was given."""
    stamp = int(time.time() * 1000) if time_ms is None else time_ms
    more = f"timestamp={stamp}" + (f"&recvWindow={window}" if window is not None else "")
    query, body = (query, f"{body}&{more}") if body else ("&".join(filter(None, (query, more))), "")
    mac = hmac.new(str(keys["secret"]).encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    given = f"&signature={mac if sign is None else sign}"
    head = {"X-MBX-APIKEY": str(keys["apiKey"]) if key is None else key}
    if body:
        head["Content-Type"] = "application/x-www-form-urlencoded"
        return client.call(method, host, path + (f"?{query}" if query else ""), head, body + given)
    return client.call(method, host, f"{path}?{query}{given}", head)


def said(answer: Answer) -> tuple[int, int]:
    return answer.status, answer.json["code"]


@pytest.mark.parametrize(
    ("secret", "text", "right"),
    [
        (
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
            "&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "b" * 64,
            "timestamp=1700000000000&recvWindow=10000",
            "5334c90ba4ee43e1609824f4bdb92aada9ad583dfe582cc2cab19c1643d982b5",
        ),
        (
            "b" * 64,
            "timestamp=1700000000000&symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=10000"
            "&recvWindow=10000",
            "733819128124f5877f0c9c29855291924275b7dcab76fd258988d51c0ca08fa5",
        ),
    ],
)
def test_published_signatures(secret: str, text: str, right: str) -> None:
    assert signature(secret, text) == right
    assert payload(f"{text}&signature={right}", "") == (text, right)
    head, _, tail = text.rpartition("&")
    assert payload(head, f"{tail}&signature={right}") == (head + tail, right), "no separator between query and body"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"key": ""}, 400, -2014),
        ({"key": "short"}, 401, -2014),
        ({"key": "0" * 64}, 401, -2008),
        ({"time_ms": 1}, 400, -1021),
        ({"sign": "0" * 64}, 400, -1022),
        ({"window": 70_000}, 400, -1131),
    ],
)
def test_refusals(client: Client, changes: dict[str, Any], status: int, code: int) -> None:
    assert said(binance(client, client.keys("binance", "good"), "GET", REPORT, **changes)) == (status, code)


def test_a_second_ahead_is_refused_and_five_behind_are_not(client: Client) -> None:
    keys, now = client.keys("binance", "good"), int(time.time() * 1000)
    assert said(binance(client, keys, "GET", REPORT, time_ms=now + 3000)) == (400, -1021)
    assert binance(client, keys, "GET", REPORT, time_ms=now - 3000).status == 200


def test_the_time_may_be_in_microseconds(client: Client) -> None:
    keys, now = client.keys("binance", "good"), int(time.time() * 1_000_000)
    assert binance(client, keys, "GET", REPORT, time_ms=now).status == 200
    for wrong in (now - 6_000_000, now + 3_000_000):
        assert said(binance(client, keys, "GET", REPORT, time_ms=wrong)) == (400, -1021)


@pytest.mark.parametrize("missing", ["timestamp", "signature"])
def test_parameters_that_every_signed_call_has(client: Client, missing: str) -> None:
    keys = client.keys("binance", "good")
    query = f"timestamp={int(time.time() * 1000)}" if missing == "signature" else "recvWindow=5000"
    mac = hmac.new(str(keys["secret"]).encode(), query.encode(), hashlib.sha256).hexdigest()
    target = f"{REPORT}?{query}" + (f"&signature={mac}" if missing == "timestamp" else "")
    answer = client.call("GET", "api.binance.com", target, {"X-MBX-APIKEY": str(keys["apiKey"])})
    assert said(answer) == (400, -1102) and f"'{missing}'" in answer.json["msg"]


def test_the_order_of_refusals(client: Client) -> None:
    """Each call has all the faults of the calls after it."""
    client.sim.change_account("binance", "frozen", ip_whitelist="198.51.100.7", permissions="enableReading")
    keys, path = client.keys("binance", "frozen"), "/api/v3/order/test"

    def order(**changes: Any) -> tuple[int, int]:
        return said(binance(client, keys, "POST", path, body="symbol=NOSUCH", **changes))

    assert order(key="short", time_ms=1, sign="0") == (401, -2014)
    assert order(key="0" * 64, time_ms=1, sign="0") == (401, -2008)
    assert order(time_ms=1, sign="0") == (400, -1021)
    assert order(sign="0") == (400, -1022)
    assert order() == (401, -2015)
    client.sim.change_account("binance", "frozen", ip_whitelist="")
    assert order() == (401, -2015)
    client.sim.change_account("binance", "frozen", permissions="enableSpotAndMarginTrading")
    assert order() == (400, -2010)
    client.sim.change_account("binance", "frozen", status="active")
    assert order() == (400, -1121)
    client.sim.change_account("binance", "frozen", status="deleted")
    assert order(time_ms=1, sign="0") == (401, -2015)


def test_one_code_for_address_and_right_and_only_futures_tells_the_address(client: Client) -> None:
    blocked = client.keys("binance", "ip_blocked")
    assert said(binance(client, blocked, "GET", REPORT)) == (400, -2015)
    assert said(binance(client, blocked, "GET", "/api/v3/account")) == (401, -2015)
    futures = binance(client, blocked, "GET", "/fapi/v3/balance", host="fapi.binance.com")
    assert said(futures) == (401, -2015) and futures.json["msg"].endswith("request ip: 127.0.0.1")
    reader = client.keys("binance", "read_only")
    assert said(binance(client, reader, "POST", "/api/v3/order/test", body=ORDER)) == (401, -2015)


@pytest.mark.parametrize(
    ("account", "true"),
    [
        ("good", {"enableReading", "enableSpotAndMarginTrading", "enableFutures"}),
        ("withdraw", {"enableReading", "enableSpotAndMarginTrading", "enableFutures", "enableWithdrawals"}),
        ("read_only", {"enableReading"}),
        ("no_futures", {"enableReading", "enableSpotAndMarginTrading"}),
        ("unknown_right", {"enableReading", "enableSpotAndMarginTrading", "enableFutures", "enableVaultAccess"}),
    ],
)
def test_reports(client: Client, account: str, true: set[str]) -> None:
    report = binance(client, client.keys("binance", account), "GET", REPORT).json
    assert {name for name, value in report.items() if value is True and name != "ipRestrict"} == true
    assert report["ipRestrict"] is True
    assert "tradingAuthorityExpirationTime" not in report


@pytest.mark.parametrize(
    ("account", "bound"), [("good", True), ("ip_open", False), ("sub_account", True), ("frozen", True)]
)
def test_the_report_tells_whether_addresses_are_bound_and_not_which(client: Client, account: str, bound: bool) -> None:
    answer = binance(client, client.keys("binance", account), "GET", REPORT)
    assert answer.json["ipRestrict"] is bound and b"127.0.0.1" not in answer.body


def test_variants_of_the_report(client: Client) -> None:
    keys = client.keys("binance", "good")
    client.sim.change_account(
        "binance", "good", expires_in_days=5, omit="enableWithdrawals", report={"enableFutures": 1}
    )
    report = binance(client, keys, "GET", REPORT).json
    days_left = (report["tradingAuthorityExpirationTime"] / 1000 - time.time()) / 86_400
    assert 4.9 < days_left < 5.1  # counted from the simulator's start, some minutes ago
    assert "enableWithdrawals" not in report and report["enableFutures"] == 1


def test_futures_money_needs_the_right_for_futures(client: Client) -> None:
    def ask(account: str, path: str) -> Answer:
        return binance(client, client.keys("binance", account), "GET", path, host="fapi.binance.com")

    assert [(row["asset"], row["balance"]) for row in ask("good", "/fapi/v3/balance").json] == [("USDT", "1500.00")]
    assert ask("good", "/fapi/v3/account").json["totalWalletBalance"] == "1500.00"
    assert ask("good", "/fapi/v1/openOrders").json == ask("good", "/fapi/v3/positionRisk").json == []
    for path in ("/fapi/v3/balance", "/fapi/v1/openOrders", "/fapi/v1/accountConfig"):
        assert said(ask("no_futures", path)) == (401, -2015)


@pytest.mark.parametrize(
    ("host", "path"),
    [("api.binance.com", "/api/v3/"), ("data-api.binance.vision", "/api/v3/"), ("fapi.binance.com", "/fapi/v1/"),
     ("dapi.binance.com", "/dapi/v1/"), ("api-gcp.binance.com", "/api/v3/"), ("api4.binance.com", "/api/v3/")],
)  # fmt: skip
def test_public(client: Client, host: str, path: str) -> None:
    told = client.call("GET", host, f"{path}time")
    assert abs(told.json["serverTime"] - time.time() * 1000) < 2000 and int(told.headers["x-mbx-used-weight-1m"]) > 0
    names = [row["symbol"] for row in client.call("GET", host, f"{path}exchangeInfo").json["symbols"]]
    assert names == (
        [] if host.startswith("dapi") else ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "LTCUSDT", "LUNCUSDT"]
    )
    if names:
        start = 1_700_002_800_000
        span = f"symbol=BTCUSDT&interval=1h&startTime={start}&endTime={start + 7_200_000}"
        rows = client.call("GET", host, f"{path}klines?{span}").json
        assert [row[0] for row in rows] == [start, start + 3_600_000, start + 7_200_000]


def test_the_account_says_that_it_can_withdraw_whatever_the_key(client: Client) -> None:
    told = binance(client, client.keys("binance", "read_only"), "GET", "/api/v3/account").json
    assert told["canTrade"] is told["canWithdraw"] is True
    assert {row["asset"]: row["free"] for row in told["balances"]}["USDT"] == "4210.00"


def test_a_frozen_account(client: Client) -> None:
    keys = client.keys("binance", "frozen")
    assert binance(client, keys, "GET", "/sapi/v1/account/apiTradingStatus").json["data"]["isLocked"] is True
    order = binance(client, keys, "POST", "/api/v3/order/test", body=ORDER)
    assert said(order) == (400, -2010)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ORDER, None),
        (ORDER.replace("BTCUSDT", "NOSUCH"), -1121),
        (ORDER.replace("BUY", "KEEP"), -1117),
        (ORDER.replace("price=10000", "price=1"), -1013),
        (ORDER.replace("&timeInForce=GTC", ""), -1102),
    ],
)
@pytest.mark.parametrize("place", ["query", "body"])
def test_the_dry_run_judges_an_order(client: Client, order: str, code: int | None, place: str) -> None:
    keys = client.keys("binance", "good")
    for host, path in (("api.binance.com", "/api/v3/order/test"), ("fapi.binance.com", "/fapi/v1/order/test")):
        query, body = (order, "") if place == "query" else ("", order)
        answer = binance(client, keys, "POST", path, query, body, host=host)
        assert (answer.status, answer.json.get("code")) == ((200, None) if code is None else (400, code))
    assert client.sim.violations == []


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_self_made_keys(client: Client, kind: str) -> None:
    if kind == "rsa":
        made: Any = rsa.generate_private_key(65537, 2048)
    else:
        made = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    client.sim.change_account("binance", "good", secret=pem)
    keys = client.keys("binance", "good")
    query = f"timestamp={int(time.time() * 1000)}"
    raw = made.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256()) if kind == "rsa" else made.sign(query.encode())
    head = {"X-MBX-APIKEY": str(keys["apiKey"])}

    def ask(signed: bytes) -> Answer:
        given = quote(base64.b64encode(signed).decode(), safe="")
        return client.call("GET", "api.binance.com", f"{REPORT}?{query}&signature={given}", head)

    assert ask(raw).status == 200
    assert said(ask(bytes([raw[0] ^ 1]) + raw[1:])) == (400, -1022)


def test_sites_have_keys_of_their_own(client: Client) -> None:
    keys = client.keys("binance", "good")
    for host in ("api.binance.us", "testnet.binance.vision", "demo-api.binance.com"):
        assert said(binance(client, keys, "GET", "/api/v3/account", host=host)) == (401, -2008)
    client.sim.change_account("binance", "good", site="testnet")
    assert binance(client, keys, "GET", "/api/v3/account", host="testnet.binance.vision").status == 200
    assert binance(client, keys, "GET", REPORT, host="testnet.binance.vision").status == 404, "no wallet calls there"
    assert said(binance(client, keys, "GET", REPORT)) == (401, -2008)
    client.sim.change_account("binance", "good", site="us")
    assert binance(client, keys, "GET", REPORT, host="api.binance.us").status == 200
    assert said(binance(client, keys, "GET", "/fapi/v3/balance", host="fapi.binance.com")) == (401, -2008)
    client.sim.change_account("binance", "good", site="demo")
    assert binance(client, keys, "GET", "/api/v3/account", host="demo-api.binance.com").status == 200
    assert binance(client, keys, "GET", "/fapi/v3/balance", host="demo-fapi.binance.com").status == 200
    for host in ("demo-api.binance.com", "demo-fapi.binance.com", "data-api.binance.vision"):
        assert binance(client, keys, "GET", REPORT, host=host).status == 404


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", "/sapi/v1/capital/withdraw/apply", "moves money"),
        ("POST", "/sapi/v1/asset/transfer", "moves money"),
        ("POST", "/api/v3/order", "places or cancels an order"),
        ("DELETE", "/api/v3/openOrders", "cancels orders"),
        ("POST", "/sapi/v1/account/apiRestrictions/ipRestriction", "edits a key"),
    ],
)
def test_writes_are_refused_and_remembered(client: Client, method: str, path: str, what: str) -> None:
    assert binance(client, client.keys("binance", "withdraw"), method, path, ORDER).status >= 400
    assert [call["violation"] for call in client.sim.violations] == [what]


def test_maintenance_and_limits(client: Client) -> None:
    keys = client.keys("binance", "good")
    client.sim.set_faults([{"exchange": "binance", "kind": "maintenance"}])
    assert client.call("GET", "api.binance.com", "/sapi/v1/system/status").json["status"] == 1
    assert said(binance(client, keys, "GET", REPORT)) == (503, -1008)
    client.sim.set_faults([{"exchange": "binance", "kind": "status", "status": 429}])
    assert said(binance(client, keys, "GET", REPORT)) == (429, -1003)


COMMISSION, FUTURES_COMMISSION = "/api/v3/account/commission", "/fapi/v1/commissionRate"
BRACKETS = "/fapi/v1/leverageBracket"


def fapi(client: Client, account: str, path: str, query: str = "", **more: Any) -> Answer:
    return binance(client, client.keys("binance", account), "GET", path, query, host="fapi.binance.com", **more)


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("binance", "read_only")
    told = binance(client, reader, "GET", COMMISSION, "symbol=BTCUSDT")
    none = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
    assert told.json == {
        "symbol": "BTCUSDT", "standardCommission": {**none, "maker": "0.00070000", "taker": "0.00090000"},
        "specialCommission": none, "taxCommission": none,
        "discount": {
            "enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75000000"
        },
    }  # fmt: skip
    assert told.headers["x-mbx-used-weight-1m"] == "20"
    account = binance(client, reader, "GET", "/api/v3/account").json
    assert account["commissionRates"] == told.json["standardCommission"] and account["takerCommission"] == 9
    futures = fapi(client, "good", FUTURES_COMMISSION, "symbol=BTCUSDT").json
    assert (futures["makerCommissionRate"], futures["takerCommissionRate"]) == ("0.00016", "0.00045")
    assert futures["symbol"] == "BTCUSDT"
    client.sim.change_account("binance", "good", futures_fees=["-0.00005", "0.0003"])
    assert fapi(client, "good", FUTURES_COMMISSION, "symbol=BTCUSDT").json["makerCommissionRate"] == "-0.00005"


def test_margin_tiers_are_a_list_even_for_one_symbol(client: Client) -> None:
    (row,) = fapi(client, "good", BRACKETS, "symbol=BTCUSDT").json
    assert row["symbol"] == "BTCUSDT" and "notionalCoef" not in row
    first, second, *_ = tiers = row["brackets"]
    assert first == {
        "bracket": 1, "initialLeverage": 125, "notionalCap": 50_000, "notionalFloor": 0, "maintMarginRatio": 0.004,
        "cum": 0.0,
    }  # fmt: skip
    assert [tier["cum"] for tier in tiers] == [0, 50, 3050, 48_050] and second["notionalFloor"] == 50_000
    rows = {row["symbol"]: row for row in fapi(client, "good", BRACKETS).json}
    assert len(rows) == 6 and rows["ETHUSDT"]["notionalCoef"] == 1.5
    assert rows["LUNCUSDT"]["brackets"][0]["initialLeverage"] == 20


def test_refusals_of_fees_and_tiers(client: Client) -> None:
    keys = client.keys("binance", "good")
    assert said(binance(client, keys, "GET", COMMISSION)) == (400, -1102)
    assert said(binance(client, keys, "GET", COMMISSION, "symbol=NONO")) == (400, -1121)
    assert said(binance(client, keys, "GET", COMMISSION, "symbol=BTCUSDT", sign="0" * 64)) == (400, -1022)
    assert said(fapi(client, "good", FUTURES_COMMISSION)) == (400, -1102)
    for path in (FUTURES_COMMISSION, BRACKETS):
        assert said(fapi(client, "good", path, "symbol=NONO")) == (400, -1121)
        assert said(fapi(client, "good", path, "symbol=BTCUSDT", sign="0" * 64)) == (400, -1022)
        assert said(fapi(client, "read_only", path, "symbol=BTCUSDT")) == (401, -2015)
