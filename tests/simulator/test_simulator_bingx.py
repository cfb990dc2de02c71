"""BingX: signatures, each refusal, each sample account as three endpoints tell it, funds that are virtual."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.bingx import signature, texts

LIVE, VST = "open-api.bingx.com", "open-api-vst.bingx.com"
HOSTS = (LIVE, "open-api.bingx.pro", "open-api.bingx.io", VST, "open-api-vst.bingx.pro")
A, B, C = (
    "/openApi/v1/account/apiRestrictions",
    "/openApi/v1/account/apiPermissions",
    "/openApi/account/v1/apiKey/query",
)
UID, TEST = "/openApi/account/v1/uid", "/openApi/swap/v2/trade/order/test"
SPOT, FUTURES = "/openApi/spot/v1/account/balance", "/openApi/swap/v3/user/balance"
ORDERS = "/openApi/spot/v1/trade/openOrders", "/openApi/swap/v2/trade/openOrders"
ORDER = "symbol=BTC-USDT&side=BUY&positionSide=LONG&type=LIMIT&quantity=0.001&price=10000"
SECRET = "UuGuyEGt6ZEkpUObCYCmIfh0elYsZVh80jlYwpJuRZEw70t6vomMH7Sjmf94ztSI"  # the documents' own sample


def sign(keys: Keys, text: str) -> str:
    return hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256).hexdigest()


def bingx(
    client: Client, keys: Keys, path: str, query: str = "", *, method: str = "GET", host: str = LIVE,
    time_ms: int | None = None, signed: str | None = None, sort: bool = False,
) -> Answer:  # fmt: skip
    """The decoded query is signed, in the order sent or sorted, and the signature comes last."""
    stamp = int(time.time() * 1000) if time_ms is None else time_ms
    query = "&".join(part for part in (query, f"timestamp={stamp}") if part)
    plain = unquote(query) if signed is None else signed
    mac = sign(keys, "&".join(sorted(plain.split("&"))) if sort else plain)
    head = {"X-BX-APIKEY": str(keys["apiKey"])}
    return client.call(method, host, f"{path}?{query}&signature={mac}", head)


def with_body(client: Client, keys: Keys, body: str, signed: str, query: str = "", *, as_json: bool = False) -> Answer:
    mac = sign(keys, signed)
    if as_json:
        body, kind = json.dumps({**json.loads(body), "signature": mac}), "application/json"
    else:
        body, kind = f"{body}&signature={mac}", "application/x-www-form-urlencoded"
    head = {"X-BX-APIKEY": str(keys["apiKey"]), "Content-Type": kind}
    return client.call("POST", LIVE, TEST + (f"?{query}" if query else ""), head, body)


def told(client: Client, account: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What A, B and C tell about a key."""
    keys = client.keys("bingx", account)
    uid = bingx(client, keys, UID).json["data"]["uid"]
    third = bingx(client, keys, C, f"apiKey={keys['apiKey']}&uid={uid}").json
    return bingx(client, keys, A).json, bingx(client, keys, B).json, third


def now() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize(
    ("secret", "query", "body", "right"),
    [
        ("SECRET", "timestamp=1700000000000", "", "19b46ad9a1e9fa824812324598aa7d97b82085e0e522018efc9cc29f4f00d59f"),
        (
            "SECRET", "apiKey=KEY&timestamp=1700000000000&uid=1", "",
            "26bff97c630202ba7cab4a3fb2a694bbb5892537a6108f25003d633d9ba92b25",
        ),
        (
            SECRET, "quoteOrderQty=20&side=BUY&symbol=ETHUSDT&timestamp=1649404670162&type=MARKET", "",
            "428a3c383bde514baff0d10d3c20e5adfaacaf799e324546dafe5ccc480dd827",
        ),
        (
            SECRET, "", "quoteOrderQty=20&side=BUY&symbol=ETHUSDT&timestamp=1649404670162&type=MARKET",
            "428a3c383bde514baff0d10d3c20e5adfaacaf799e324546dafe5ccc480dd827",
        ),
        (
            SECRET, "quoteOrderQty=20&side=BUY&symbol=ETHUSDT", "timestamp=1649404670162&type=MARKET",
            "94e0b4925060a615e1e372d4c929015d4b59d3c89067dc0beeafcfb33a6d8d10",
        ),
    ],
)  # fmt: skip
def test_golden_signatures(secret: str, query: str, body: str, right: str) -> None:
    assert right in {signature(secret, text) for text in texts(f"{query}&signature=x", body, None)}
    assert right not in {signature(secret, text) for text in texts(f"{query}&more=1", body, None)}


def test_public(client: Client) -> None:
    for host in HOSTS:
        for path in ("/openApi/swap/v2/server/time", "/openApi/spot/v1/server/time"):
            told_ms = client.call("GET", host, path).json["data"]["serverTime"]
            assert abs(told_ms - now()) < 2000
    notices = client.call("GET", LIVE, "/openApi/content/v1/announcement?contentType=SystemMaintenance")
    assert notices.json["data"]["list"] == []
    assert {"x-ratelimit-requests-remain", "x-ratelimit-requests-expire"} <= set(notices.headers)
    nothing = client.call("GET", LIVE, "/openApi/nothing")
    assert (nothing.status, nothing.code) == (200, 100400)
    assert client.call("GET", LIVE, "/nothing").status == 404


RIGHTS = {
    "good": [1, 2, 3], "withdraw": [1, 2, 3, 5], "read_only": [2], "no_futures": [1, 2], "ip_open": [1, 2, 3],
    "sub_account": [1, 2, 3], "unknown_right": [1, 2, 3, 6],
}  # fmt: skip


def test_the_sample_accounts(client: Client) -> None:
    accounts = client.sim.accounts["bingx"]
    assert set(accounts) == {*RIGHTS, "ip_blocked"}
    assert {len(str(keys["apiKey"])) for keys in accounts.values()} == {64, 83}
    assert all(len(str(keys["apiKey"])) == len(str(keys["secret"])) for keys in accounts.values())


@pytest.mark.parametrize("account", RIGHTS)
def test_three_reports_agree(client: Client, account: str) -> None:
    rights, bound, key = RIGHTS[account], account != "ip_open", client.keys("bingx", account)["apiKey"]
    first, second, third = told(client, account)
    assert first.pop("createTime") > 0
    assert first == {
        "ipRestrict": bound, "permitsUniversalTransfer": False, "enableReading": True, "enableFutures": 3 in rights,
        "enableSpotAndMarginTrading": 1 in rights, "enableWithdrawals": 5 in rights, "enableInternalTransfer": False,
        "enableVanillaOptions": False,
    }  # fmt: skip
    assert second == {"apiKey": key, "permissions": rights, "ipAddresses": ["127.0.0.1"] * bound, "note": "bot-1"}
    if account == "sub_account":
        assert third["code"] == 100403
    else:
        (row,) = third["data"]["apiInfos"]
        assert (row["apiKey"], row["permissions"], row["status"]) == (key, rights, 0)
        assert row["ipAddresses"] == (["127.0.0.1"] if bound else [""])


@pytest.mark.parametrize("account", RIGHTS)
def test_scopes_gate_the_calls(client: Client, account: str) -> None:
    keys = client.keys("bingx", account)
    spot = bingx(client, keys, SPOT).json["data"]["balances"]
    assert spot[0] == {"asset": "USDT", "free": "4210.00", "locked": "0"}
    futures = bingx(client, keys, FUTURES).json["data"]
    assert (futures[0]["asset"], futures[0]["availableMargin"]) == ("USDT", "1500.00"), "reading needs Read alone"
    for path in ORDERS:
        assert bingx(client, keys, path, "symbol=BTC-USDT").json["data"] == {"orders": []}
    order = bingx(client, keys, TEST, ORDER, method="POST").json
    if 3 in RIGHTS[account]:
        assert order["code"] == 0 and order["data"]["order"]["symbol"] == "BTC-USDT"
    else:
        assert order["code"] == 100004 and "need Perpetual Futures Trading permission" in order["msg"]
    assert client.sim.violations == []


def test_key_query_is_for_main_accounts_and_gives_all_keys(client: Client) -> None:
    keys = client.keys("bingx", "good")
    uid = bingx(client, keys, UID).json["data"]["uid"]
    rows = bingx(client, keys, C, f"uid={uid}").json["data"]["apiInfos"]
    assert [row["apiKey"] == keys["apiKey"] for row in rows] == [False, True]
    assert bingx(client, keys, C).code == bingx(client, keys, C, "uid=1").code == 100400
    assert bingx(client, keys, C, f"uid={uid}&apiKey=x").json["data"] == {"apiInfos": []}
    assert bingx(client, client.keys("bingx", "sub_account"), C, f"uid={uid}").code == 100403


def test_reports_that_contradict_are_short_or_wrapped(client: Client) -> None:
    over = {"A": {"enableWithdrawals": True}, "C": {"permissions": ["2"], "status": 1}}
    client.sim.change_account("bingx", "good", report=over)
    first, second, third = told(client, "good")
    assert first["enableWithdrawals"] is True and second["permissions"] == [1, 2, 3]
    assert third["data"]["apiInfos"][0]["permissions"] == ["2"] and third["data"]["apiInfos"][0]["status"] == 1

    client.sim.change_account("bingx", "good", report={"note": "x"}, mode="short", omit="ipRestrict,ipAddresses")
    first, second, third = told(client, "good")
    assert set(first) == {"createTime", "permitsUniversalTransfer", "enableReading", "enableFutures",
                          "enableSpotAndMarginTrading", "note"}  # fmt: skip
    assert set(second) == {"apiKey", "permissions", "note"} and second["note"] == "x"

    client.sim.change_account("bingx", "good", report={}, mode="wrapped", omit="")
    first, second, _ = told(client, "good")
    assert first["data"]["enableWithdrawals"] is False and second["data"]["permissions"] == [1, 2, 3]
    assert first["code"] == second["code"] == 0


def test_refusals(client: Client) -> None:
    keys = client.keys("bingx", "good")
    stamp = now()
    query = f"{A}?timestamp={stamp}"
    key = {"X-BX-APIKEY": str(keys["apiKey"])}
    assert client.call("GET", LIVE, f"{query}&signature=x").code == 100413
    assert client.call("GET", LIVE, query, key).code == 100412
    assert client.call("GET", LIVE, f"{A}?signature={sign(keys, '')}", key).code == 100421
    unknown = bingx(client, {**keys, "apiKey": "S" * 64}, A).json
    assert (unknown["code"], unknown["msg"]) == (100413, "Incorrect apiKey")
    wrong = bingx(client, {**keys, "secret": "S" * 64}, A)
    assert (wrong.status, wrong.code) == (200, 100001)
    assert wrong.json["msg"].startswith("Signature verification failed due to signature mismatch")
    assert abs(wrong.json["timestamp"] - now()) < 5000
    for skew in (-6000, 6000):
        late = bingx(client, keys, A, time_ms=now() + skew).json
        assert late["code"] == 100421 and "timestamp mismatch" in late["msg"]
    assert bingx(client, keys, A, "recvWindow=20000", time_ms=now() - 6000).status == 200
    assert "enableReading" in bingx(client, keys, A, "recvWindow=20000", time_ms=now() - 6000).json
    assert bingx(client, keys, A, "recvWindow=900000", time_ms=now() - 90_000).code == 100421
    assert "enableReading" in bingx(client, keys, A, "recvWindow=0").json


def test_the_address_is_told(client: Client) -> None:
    for host in HOSTS:
        refusal = bingx(client, client.keys("bingx", "ip_blocked"), A, host=host).json
        assert refusal["code"] == 100419
        assert refusal["msg"].startswith("your current request IP is 127.0.0.1 does not match IP whitelist")


def test_the_order_of_the_checks(client: Client) -> None:
    keys = client.keys("bingx", "ip_blocked")
    client.sim.change_account("bingx", "ip_blocked", status="frozen", permissions="1")
    bad = {**keys, "secret": "x"}
    assert bingx(client, {**bad, "apiKey": "x"}, A, time_ms=1).code == 100413
    assert bingx(client, bad, A, time_ms=1).code == 100421
    assert bingx(client, bad, A).code == 100001
    assert bingx(client, keys, A).code == 100419
    client.sim.change_account("bingx", "ip_blocked", ip_whitelist="127.0.0.1")
    assert bingx(client, keys, A).code == 100414
    client.sim.change_account("bingx", "ip_blocked", status="active")
    denied = bingx(client, keys, A).json
    assert denied["code"] == 100004 and "need Read permission" in denied["msg"]
    for gone in ({"status": "deleted"}, {"status": "active", "site": "elsewhere"}):
        client.sim.change_account("bingx", "ip_blocked", **gone)
        assert bingx(client, keys, A).code == 100413


def test_virtual_funds_of_the_same_key(client: Client) -> None:
    keys = client.keys("bingx", "good")
    for host in HOSTS[3:]:
        assert bingx(client, keys, FUTURES, host=host).json["data"][0]["asset"] == "VST"
        assert bingx(client, keys, TEST, ORDER, method="POST", host=host).code == 0


def test_queries_are_signed_decoded_in_either_order(client: Client) -> None:
    keys = client.keys("bingx", "good")
    query = f"{ORDER}&stopLoss={quote(json.dumps({'type': 'STOP_MARKET', 'stopPrice': 9000}))}"
    assert bingx(client, keys, TEST, query, method="POST").code == 0
    assert bingx(client, keys, TEST, query, method="POST", sort=True).code == 0
    assert bingx(client, keys, TEST, query, method="POST", signed=ORDER).code == 100001
    stamp = now()
    encoded = f"{query}&timestamp={stamp}"
    assert bingx(client, keys, TEST, query, method="POST", time_ms=stamp, signed=encoded).code == 100001


def test_bodies_are_signed_too(client: Client) -> None:
    keys = client.keys("bingx", "good")
    form = f"{ORDER}&stopLoss={quote(json.dumps({'stopPrice': 9000}))}&timestamp={now()}"
    ordered = "&".join(sorted(unquote(form).split("&")))
    assert with_body(client, keys, form, ordered).code == 0
    assert with_body(client, keys, form, form).code == 0, "seen: the bytes as sent are accepted"
    assert with_body(client, keys, form, ORDER).code == 100001
    stamp = f"timestamp={now()}"
    assert with_body(client, keys, ORDER, stamp + ORDER, stamp).code == 0, "no separator between query and body"
    for half in (stamp, ORDER):
        assert with_body(client, keys, ORDER, half, stamp).code == 100001, "nothing stays unsigned"
    fields: dict[str, Any] = {**dict(parse_qsl(ORDER)), "timestamp": now(), "reduceOnly": False}
    plain = "&".join(sorted(f"{name}={str(value).replace('False', 'false')}" for name, value in fields.items()))
    assert with_body(client, keys, json.dumps(fields), plain, as_json=True).code == 0
    assert with_body(client, keys, json.dumps(fields), plain + "0", as_json=True).code == 100001


@pytest.mark.parametrize(
    ("was", "becomes", "code"),
    [
        ("symbol=BTC-USDT", "symbol=BTCUSDT", 109425),
        ("symbol=BTC-USDT&", "", 109400),
        ("side=BUY", "side=HOLD", 109400),
        ("type=LIMIT", "type=WISH", 109400),
        ("price=10000", "price=0", 109400),
        ("quantity=0.001", "quantity=nan", 109400),
        ("positionSide=LONG", "positionSide=UP", 109400),
    ],
)
def test_order_test_validates(client: Client, was: str, becomes: str, code: int) -> None:
    keys = client.keys("bingx", "good")
    assert bingx(client, keys, TEST, ORDER.replace(was, becomes), method="POST").code == code


@pytest.mark.parametrize(
    ("method", "path", "what", "right"),
    [
        ("POST", "/openApi/swap/v2/trade/order", "places or cancels an order", "Perpetual Futures Trading"),
        ("DELETE", "/openApi/swap/v2/trade/order", "places or cancels an order", "Perpetual Futures Trading"),
        ("POST", "/openApi/swap/v2/trade/leverage", "changes a position", "Perpetual Futures Trading"),
        ("POST", "/openApi/spot/v1/trade/order", "places or cancels an order", "Spot Trading"),
        ("POST", "/openApi/wallets/v1/capital/withdraw/apply", "moves money", "Withdraw"),
        ("POST", "/openApi/api/v3/post/asset/transfer", "moves money", "Universal Transfer"),
        ("POST", "/openApi/subAccount/v1/apiKey/create", "edits a key", "Sub-account internal transfer"),
        ("POST", "/openApi/spot/v1/trade/order/test", "places or cancels an order", "Spot Trading"),
    ],
)
def test_writes_are_refused_and_remembered(client: Client, method: str, path: str, what: str, right: str) -> None:
    answer = bingx(client, client.keys("bingx", "withdraw"), path, ORDER, method=method).json
    assert answer["code"] == 100004 and f"need {right} permission" in answer["msg"]
    assert [(seen["path"], seen["violation"]) for seen in client.sim.violations] == [(path, what)]


def test_own_words_for_faults(client: Client) -> None:
    keys = client.keys("bingx", "good")
    client.control("POST", "/faults", {"faults": [{"exchange": "bingx", "status": 429}]})
    limited = bingx(client, keys, A)
    assert (limited.status, limited.code) == (429, 100410) and "will be unblocked after" in limited.json["msg"]
    client.control("POST", "/faults", {"faults": [{"exchange": "bingx", "kind": "maintenance"}]})
    assert bingx(client, keys, A).code == 100500
    assert client.call("GET", LIVE, "/openApi/content/v1/announcement").json["data"]["total"] == 1


def test_markets(client: Client) -> None:
    spot = client.call("GET", LIVE, "/openApi/spot/v2/market/kline?symbol=ETH-USDT&interval=1h&limit=5").json["data"]
    swap = client.call("GET", LIVE, "/openApi/swap/v3/quote/klines?symbol=ETH-USDT&interval=1h&limit=5").json["data"]
    assert [row[0] for row in spot] == [row["time"] for row in swap] and spot[0][0] - spot[4][0] == 4 * 3_600_000
    assert client.call("GET", LIVE, "/openApi/swap/v2/quote/ticker?symbol=NO-NO").code == 109425
    assert client.call("GET", LIVE, "/openApi/spot/v2/market/kline?symbol=ETH-USDT&interval=9h").code == 100400
    listed = client.call("GET", LIVE, "/openApi/swap/v2/quote/contracts").json["data"]
    assert [row["symbol"] for row in listed] == [
        "BTC-USDT",
        "ETH-USDT",
        "SOL-USDT",
        "DOGE-USDT",
        "LTC-USDT",
        "LUNC-USDT",
    ]


SPOT_FEES, FUTURES_FEES = "/openApi/spot/v1/user/commissionRate", "/openApi/swap/v2/user/commissionRate"
TIERS = "/openApi/swap/v1/maintMarginRatio"


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("bingx", "read_only")
    for host in (LIVE, VST):
        spot = bingx(client, reader, SPOT_FEES, "symbol=BTC-USDT", host=host).json
        assert spot["data"] == {"takerCommissionRate": 0.0009, "makerCommissionRate": 0.0007}
        futures = bingx(client, reader, FUTURES_FEES, host=host).json
        assert futures["data"] == {"commission": {"takerCommissionRate": 0.00045, "makerCommissionRate": 0.00016}}


def test_margin_tiers(client: Client) -> None:
    told = bingx(client, client.keys("bingx", "read_only"), TIERS, "symbol=BTC-USDT").json
    assert told["code"] == 0 and abs(told["timestamp"] - now()) < 5000
    assert told["data"][1] == {
        "tier": "2", "symbol": "BTC-USDT", "minPositionVal": "150000", "maxPositionVal": "900000",
        "maintMarginRatio": "0.004000", "maintAmount": "30.000000",
    }  # fmt: skip
    assert [row["maintAmount"] for row in told["data"]] == ["0.000000", "30.000000", "930.000000"]


def test_refusals_of_fees_and_tiers(client: Client) -> None:
    keys = client.keys("bingx", "good")
    assert bingx(client, keys, SPOT_FEES).code == 100400 and bingx(client, keys, TIERS).code == 109400
    assert bingx(client, keys, SPOT_FEES, "symbol=NO-NO").code == 100204
    assert bingx(client, keys, TIERS, "symbol=NO-NO").code == 109425
    for path in (SPOT_FEES, FUTURES_FEES, TIERS):
        assert bingx(client, keys, path, "symbol=BTC-USDT", signed="symbol=ETH-USDT").code == 100001
    client.sim.change_account("bingx", "good", permissions="1,3")
    for path in (SPOT_FEES, FUTURES_FEES, TIERS):
        assert bingx(client, keys, path, "symbol=BTC-USDT").code == 100004, "they need Read, not trading"
