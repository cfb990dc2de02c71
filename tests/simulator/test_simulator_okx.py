"""OKX: signatures, each refusal, each sample account, each entity and demo trading (OKX documents)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.okx import signature

CONFIG = "/api/v5/account/config"
BALANCE = "/api/v5/account/balance"
PENDING = "/api/v5/trade/orders-pending"
PRECHECK = "/api/v5/trade/order-precheck"
ORDER = '{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"1","sz":"1"}'
HOSTS = {"www.okx.com": "global", "openapi.okx.com": "global", "eea.okx.com": "eea", "us.okx.com": "us"}


def okx(
    client: Client, keys: Keys, method: str, target: str, body: str = "", *, host: str = "www.okx.com",
    shift_ms: int = 0, stamp: str | None = None, signed: str | None = None, drop: str = "", demo: str | None = None,
) -> Answer:  # fmt: skip
    """Time, method, target with its query as sent, and body are signed; everything travels in headers."""
    now = datetime.fromtimestamp(time.time() + shift_ms / 1000, UTC)
    stamp = stamp or now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = stamp + method + (signed or target) + body
    mac = hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256)
    head = {
        "OK-ACCESS-KEY": str(keys["apiKey"]),
        "OK-ACCESS-SIGN": base64.b64encode(mac.digest()).decode(),
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-PASSPHRASE": str(keys["password"]),
        **({"Content-Type": "application/json"} if body else {}),
        **({} if demo is None else {"x-simulated-trading": demo}),
    }
    return client.call(method, host, target, {k: v for k, v in head.items() if k != drop}, body or None)


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


FINE, DENIED = (200, "0"), (401, "50120")


@pytest.mark.parametrize(
    ("method", "target", "body", "right"),
    [
        ("GET", CONFIG, "", "Ylp7P+B9fuPLmG+JmdhQaITFz9W3AR6EHql4hxggVGc="),
        ("GET", f"{BALANCE}?ccy=BTC%2CUSDT", "", "8R3vjYH0M/AXVjO0OTrZQ/Y6v1cAELfAvdGgWMkN5rw="),
        ("POST", PRECHECK, ORDER, "fydOhN1u7e/5BN3PgT1EI3vWhaeOGIjqp2EqGB7rK/M="),
    ],
)
def test_golden_signatures(method: str, target: str, body: str, right: str) -> None:
    assert signature("SECRETEXAMPLE02", "2023-11-14T22:13:20.000Z", method, target, body) == right


def test_sample_keys_have_the_form_of_real_ones(client: Client) -> None:
    accounts = client.sim.accounts["okx"]
    assert set(accounts) == {*PERM, "ip_blocked", "expired", "frozen"}
    for keys in accounts.values():
        assert re.fullmatch(r"00000000-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", str(keys["apiKey"]))
        assert re.fullmatch(r"0{8}[0-9A-F]{24}", str(keys["secret"]))
        assert re.fullmatch(r"Sample\.[0-9a-f]{11}", str(keys["password"]))
    assert len({keys["apiKey"] for keys in accounts.values()}) == len(accounts)


@pytest.mark.parametrize("host", HOSTS)
def test_public(client: Client, host: str) -> None:
    now = client.call("GET", host, "/api/v5/public/time").json
    assert (now["code"], now["msg"]) == ("0", "") and abs(int(now["data"][0]["ts"]) - time.time() * 1000) < 2000
    assert client.call("GET", host, "/api/v5/system/status").json == {"code": "0", "data": [], "msg": ""}
    assert client.call("GET", host, "/api/v5/nothing").status == 404


PERM = {
    "good": "read_only,trade", "withdraw": "read_only,trade,withdraw", "read_only": "read_only",
    "ip_open": "read_only,trade", "sub_account": "read_only,trade", "unknown_right": "read_only,trade,vault",
}  # fmt: skip


@pytest.mark.parametrize(("account", "perm"), PERM.items())
def test_key_reports(client: Client, account: str, perm: str) -> None:
    answer = okx(client, client.keys("okx", account), "GET", CONFIG)
    assert said(answer) == FINE
    (report,) = answer.json["data"]
    assert report["perm"] == perm
    assert report["ip"] == ("" if account == "ip_open" else "127.0.0.1")
    assert (report["uid"] == report["mainUid"]) is (account != "sub_account")
    assert report["type"] == ("1" if account == "sub_account" else "0")
    assert report["acctLv"] == "2" and report["label"] == "bot-1"
    assert not [name for name in report if "expir" in name.lower()], "OKX tells no end of a key"


@pytest.mark.parametrize("account", PERM)
def test_scopes_gate_the_calls(client: Client, account: str) -> None:
    keys = client.keys("okx", account)
    (balance,) = okx(client, keys, "GET", f"{BALANCE}?ccy=BTC%2CUSDT").json["data"]
    assert [(row["ccy"], row["availBal"]) for row in balance["details"]] == [("USDT", "4210.00"), ("BTC", "0.0125")]
    for target in (PENDING, "/api/v5/asset/balances", "/api/v5/account/positions", "/api/v5/asset/withdrawal-history"):
        assert okx(client, keys, "GET", target).json == {"code": "0", "data": [], "msg": ""}
    client.sim.change_account("okx", account, mode="3")
    precheck = okx(client, keys, "POST", PRECHECK, ORDER)
    assert said(precheck) == (DENIED if account == "read_only" else FINE)
    if account == "read_only":
        assert precheck.json["msg"] == "This API key doesn't have permission to use this function"
    assert client.sim.violations == []


def test_a_key_without_the_right_to_read(client: Client) -> None:
    client.sim.change_account("okx", "good", permissions="trade", mode="4")
    keys = client.keys("okx", "good")
    for target in (CONFIG, BALANCE, PENDING, "/api/v5/asset/balances"):
        assert said(okx(client, keys, "GET", target)) == DENIED
    assert said(okx(client, keys, "POST", PRECHECK, ORDER)) == FINE


@pytest.mark.parametrize("mode", ["", "1", "2"])
def test_precheck_needs_a_margin_mode_after_the_right(client: Client, mode: str) -> None:
    for account, answer in (("good", (200, "51010")), ("read_only", DENIED)):
        client.sim.change_account("okx", account, mode=mode)
        assert said(okx(client, client.keys("okx", account), "POST", PRECHECK, ORDER)) == answer
        (report,) = okx(client, client.keys("okx", account), "GET", CONFIG).json["data"]
        assert report["acctLv"] == (mode or "2")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "0"),
        ({"instId": "BTC-USDT-SWAP", "tdMode": "cross"}, "0"),
        ({"ordType": "market", "px": ""}, "0"),
        ({"instId": ""}, "50014"),
        ({"instId": "NO-NO"}, "51001"),
        ({"side": "up"}, "51000"),
        ({"tdMode": "free"}, "51000"),
        ({"ordType": "wish"}, "51000"),
        ({"px": ""}, "51000"),
        ({"px": "-1"}, "51000"),
        ({"px": "NaN"}, "51000"),
        ({"sz": "0"}, "51000"),
    ],
)
def test_precheck_validates(client: Client, change: dict[str, str], code: str) -> None:
    client.sim.change_account("okx", "good", mode="3")
    body = json.dumps({**json.loads(ORDER), **change})
    answer = okx(client, client.keys("okx", "good"), "POST", PRECHECK, body)
    assert answer.code == code
    assert bool(answer.json["data"]) is (code == "0")
    assert client.sim.violations == []


@pytest.mark.parametrize("body", ["", "[]", "{"])
def test_precheck_needs_json(client: Client, body: str) -> None:
    client.sim.change_account("okx", "good", mode="3")
    assert said(okx(client, client.keys("okx", "good"), "POST", PRECHECK, body)) == (400, "50002")


@pytest.mark.parametrize(
    ("header", "code"),
    [("KEY", "50103"), ("PASSPHRASE", "50104"), ("SIGN", "50106"), ("TIMESTAMP", "50107")],
)
def test_missing_headers(client: Client, header: str, code: str) -> None:
    answer = okx(client, client.keys("okx", "good"), "GET", CONFIG, drop=f"OK-ACCESS-{header}")
    assert said(answer) == (401, code)
    assert answer.json["msg"] == f"Request header OK-ACCESS-{header} can not be empty."


def test_refusals_in_their_order(client: Client) -> None:
    """Each call is wrong in one more way than the call after it; the first thing judged is what is told."""
    client.sim.change_account("okx", "frozen", permissions="", ip_whitelist="198.51.100.7")
    right = client.keys("okx", "frozen")
    keys: Keys = {**right, "password": "Wrong.1phrase", "secret": "0" * 32}
    stranger, past = {**keys, "apiKey": "00000000-0000-4000-8000-000000000000"}, -40_000

    def ask(keys: Keys, **more: Any) -> tuple[int, str]:
        return said(okx(client, keys, "GET", CONFIG, **more))

    assert ask({**keys, "apiKey": "short"}, shift_ms=past, demo="1") == (401, "50111")
    assert ask(stranger, shift_ms=past, demo="1") == (401, "50119")
    assert ask(keys, shift_ms=past, demo="1") == (401, "50101")
    assert ask(keys, stamp="1700000000") == (401, "50112")
    assert ask(keys, shift_ms=past) == (401, "50102")
    assert ask(keys) == (401, "50105")
    assert ask({**keys, "password": right["password"]}) == (401, "50113")
    assert ask(right) == (401, "50110")
    client.sim.change_account("okx", "frozen", ip_whitelist="127.0.0.1")
    assert ask(right) == (200, "50007")
    client.sim.change_account("okx", "frozen", status="active")
    assert ask(right) == (401, "50120")
    client.sim.change_account("okx", "frozen", permissions="read_only")
    assert ask(right) == FINE


def test_the_words_of_refusals(client: Client) -> None:
    keys = client.keys("okx", "good")
    assert okx(client, {**keys, "secret": "0" * 32}, "GET", CONFIG).json == {"msg": "Invalid Sign", "code": "50113"}
    phrase = okx(client, {**keys, "password": "Wrong.1phrase"}, "GET", CONFIG).json
    assert phrase == {"msg": "Request header OK-ACCESS-PASSPHRASE incorrect.", "code": "50105"}


@pytest.mark.parametrize(("shift_ms", "code"), [(-29_000, "0"), (29_000, "0"), (-31_000, "50102"), (31_000, "50102")])
def test_the_window(client: Client, shift_ms: int, code: str) -> None:
    assert okx(client, client.keys("okx", "good"), "GET", CONFIG, shift_ms=shift_ms).code == code


@pytest.mark.parametrize("stamp", ["2023-11-14T22:13:20Z", "2023-13-14T22:13:20.000Z", "1700000000000", "now"])
def test_malformed_times(client: Client, stamp: str) -> None:
    assert said(okx(client, client.keys("okx", "good"), "GET", CONFIG, stamp=stamp)) == (401, "50112")


def test_the_target_is_signed_as_sent(client: Client) -> None:
    keys, target = client.keys("okx", "good"), f"{BALANCE}?ccy=BTC%2CUSDT"
    assert said(okx(client, keys, "GET", target)) == FINE
    assert said(okx(client, keys, "GET", target, signed=f"{BALANCE}?ccy=BTC,USDT")) == (401, "50113")
    assert said(okx(client, keys, "GET", target, signed=BALANCE)) == (401, "50113")


@pytest.mark.parametrize(
    ("account", "refusal"),
    [
        ("expired", (401, "50119", "API key doesn't exist")),
        ("frozen", (200, "50007", "Account blocked.")),
        ("ip_blocked", (401, "50110", "Your IP 127.0.0.1 is not included in your API key's {} IP whitelist.")),
    ],
)
def test_accounts_that_fail(client: Client, account: str, refusal: tuple[int, str, str]) -> None:
    keys = client.keys("okx", account)
    for target in (CONFIG, BALANCE, PENDING, "/api/v5/asset/balances"):
        answer = okx(client, keys, "GET", target)
        assert (answer.status, answer.code, answer.json["msg"]) == (*refusal[:2], refusal[2].format(keys["apiKey"]))
    assert said(okx(client, keys, "POST", PRECHECK, ORDER)) == refusal[:2]


def test_segments_of_addresses(client: Client) -> None:
    keys = client.keys("okx", "good")
    client.sim.change_account("okx", "good", ip_whitelist="203.0.113.0/24,2001:db8::/64")
    for address, code in (("203.0.113.9", "0"), ("2001:db8::7", "0"), ("203.0.114.9", "50110"), ("::1", "50110")):
        client.sim.set_address(address)
        assert okx(client, keys, "GET", CONFIG).code == code


@pytest.mark.parametrize("site", ["global", "eea", "us", "demo", "eea-demo", "us-demo"])
@pytest.mark.parametrize("host", HOSTS)
def test_keys_belong_to_an_entity_and_an_environment(client: Client, host: str, site: str) -> None:
    keys = client.keys("okx", "good")
    client.sim.change_account("okx", "good", site=site)
    entity = "global" if site == "demo" else site.removesuffix("-demo")
    for demo in (None, "0", "1"):
        right = "0" if (demo == "1") is site.endswith("demo") else "50101"
        expected = right if HOSTS[host] == entity else "50119"
        assert okx(client, keys, "GET", CONFIG, host=host, demo=demo).code == expected


def test_fields_of_the_report_can_be_changed_and_left_out(client: Client) -> None:
    keys = client.keys("okx", "good")
    client.sim.change_account("okx", "good", report={"perm": "trade", "type": "5"}, omit="ip,perm")
    (report,) = okx(client, keys, "GET", CONFIG).json["data"]
    assert report["type"] == "5" and "ip" not in report and "perm" not in report


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/api/v5/asset/withdrawal", "moves money"),
        ("/api/v5/asset/transfer", "moves money"),
        ("/api/v5/users/subaccount/modify-apikey", "edits a key"),
        ("/api/v5/trade/order", "places or cancels an order"),
        ("/api/v5/trade/cancel-order", "places or cancels an order"),
        ("/api/v5/account/set-leverage", "changes the account"),
        ("/api/v5/nothing", "is no documented dry run"),
    ],
)
def test_writes_are_refused_and_kept(client: Client, path: str, what: str) -> None:
    client.sim.change_account("okx", "withdraw", mode="3")
    assert said(okx(client, client.keys("okx", "withdraw"), "POST", path, ORDER)) == DENIED
    assert [(seen["violation"], seen["account"]) for seen in client.sim.violations] == [(what, "withdraw")]


def test_sub_accounts_are_listed_for_main_accounts(client: Client) -> None:
    target = "/api/v5/users/subaccount/apikey"
    main = client.keys("okx", "good")
    assert okx(client, main, "GET", f"{target}?subAcct=a").json["data"] == []
    assert said(okx(client, main, "GET", target)) == (400, "50014")
    assert said(okx(client, client.keys("okx", "sub_account"), "GET", f"{target}?subAcct=a")) == DENIED


def test_out_of_order(client: Client) -> None:
    keys = client.keys("okx", "good")
    with client.sim.faults({"kind": "maintenance"}):
        answer = okx(client, keys, "GET", CONFIG)
        assert said(answer) == (503, "50001")
        (planned,) = client.call("GET", "www.okx.com", "/api/v5/system/status").json["data"]
        assert planned["state"] == "ongoing" and int(planned["begin"]) < time.time() * 1000 < int(planned["end"])
    with client.sim.faults({"status": 429}):
        answer = okx(client, keys, "GET", CONFIG)
        assert (answer.status, answer.json) == (429, {"msg": "Too Many Requests", "code": "50011"})


def test_markets(client: Client) -> None:
    def get(target: str, host: str = "www.okx.com") -> Any:
        return client.call("GET", host, target).json

    spot = get("/api/v5/public/instruments?instType=SPOT")["data"]
    assert [row["instId"] for row in spot] == ["BTC-USDT", "ETH-USDT", "SOL-USDT", "DOGE-USDT", "LTC-USDT", "LUNC-USDT"]
    swap = get("/api/v5/public/instruments?instType=SWAP", "eea.okx.com")["data"]
    assert [row["instId"] for row in swap] == [
        "BTC-USDT-SWAP",
        "ETH-USDT-SWAP",
        "SOL-USDT-SWAP",
        "DOGE-USDT-SWAP",
        "LTC-USDT-SWAP",
        "LUNC-USDT-SWAP",
    ]
    assert get("/api/v5/public/instruments?instType=SWAP", "us.okx.com")["data"] == []
    assert get("/api/v5/public/instruments")["code"] == "50014"
    assert get("/api/v5/market/ticker?instId=NO-NO")["code"] == "51001"
    assert len(get("/api/v5/market/tickers?instType=SPOT")["data"]) == 6
    hour, start = 3_600_000, 1_700_002_800_000
    target = f"/api/v5/market/history-candles?instId=ETH-USDT&bar=1H&after={start + 3 * hour}&before={start}"
    rows = get(target)["data"]
    assert [int(row[0]) for row in rows] == [start + 2 * hour, start + hour], "newest first, ends not included"
    assert all(len(row) == 9 and row[8] == "1" for row in rows)
    assert get("/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=2")["data"][0][8] == "0"
    assert len(get("/api/v5/market/candles?instId=BTC-USDT&limit=999")["data"]) == 300


FEES = "/api/v5/account/trade-fee"


def test_fees_of_this_account(client: Client) -> None:
    """Negative is paid; the group of an instrument tells its rate, and deprecated fields speak of other contracts."""
    reader = client.keys("okx", "read_only")

    def fees(query: str) -> dict[str, Any]:
        answer = okx(client, reader, "GET", f"{FEES}?{query}")
        assert said(answer) == FINE
        (row,) = answer.json["data"]
        return row

    spot = fees("instType=SPOT&instId=BTC-USDT")
    assert spot["feeGroup"] == [{"elpMaker": "-0.0007", "groupId": "1", "maker": "-0.0007", "taker": "-0.0009"}]
    assert (spot["maker"], spot["taker"], spot["makerU"], spot["level"]) == ("-0.0007", "-0.0009", "", "Lv1")
    for family in ("instFamily", "uly"):
        swap = fees(f"instType=SWAP&{family}=BTC-USDT")
        assert swap["feeGroup"] == [{"elpMaker": "", "groupId": "1", "maker": "-0.00016", "taker": "-0.00045"}]
        assert (swap["makerU"], swap["takerU"]) == ("-0.00016", "-0.00045")
        assert (swap["maker"], swap["taker"]) == ("-0.0002", "-0.0005")
    assert [group["groupId"] for group in fees("instType=SWAP")["feeGroup"]] == ["1", "2"]
    assert [group["taker"] for group in fees("instType=SPOT&groupId=1")["feeGroup"]] == ["-0.0009"]


def test_refusals_of_fees(client: Client) -> None:
    keys, target = client.keys("okx", "good"), f"{FEES}?instType=SPOT&instId=BTC-USDT"
    assert said(okx(client, keys, "GET", FEES)) == (400, "50014")
    assert said(okx(client, keys, "GET", f"{FEES}?instType=NO")) == (400, "51000")
    assert said(okx(client, keys, "GET", f"{target}&groupId=1")) == (400, "51000")
    assert said(okx(client, keys, "GET", f"{FEES}?instType=SPOT&instId=NO-NO")) == (200, "51001")
    assert said(okx(client, keys, "GET", f"{FEES}?instType=SWAP&instFamily=NO-NO")) == (200, "51001")
    assert said(okx(client, keys, "GET", target, signed=FEES)) == (401, "50113")
