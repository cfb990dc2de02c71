"""Bitget: signatures, each refusal, each sample account, both kinds of account and demo trading (Bitget documents)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from typing import Any

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.bitget import signature

HOST = "api.bitget.com"
INFO = "/api/v2/spot/account/info"
UNIFIED_INFO = "/api/v3/account/info"
ASSETS = "/api/v2/spot/account/assets"
FUTURES = "/api/v2/mix/account/accounts?productType=USDT-FUTURES"
ORDERS = "/api/v2/spot/trade/unfilled-orders"
FUTURES_ORDERS = "/api/v2/mix/order/orders-pending?productType=USDT-FUTURES"
POSITIONS = "/api/v2/mix/position/all-position?productType=USDT-FUTURES"
ORDER = '{"symbol":"BTCUSDT"}'


def bitget(
    client: Client, keys: Keys, method: str, target: str, body: str = "", *, host: str = HOST, shift_ms: int = 0,
    stamp: str | None = None, signed: str | None = None, drop: str = "", demo: str | None = None,
) -> Answer:  # fmt: skip
    """Time, method, target (query not percent-encoded) and body are signed; everything travels in headers."""
    stamp = stamp or str(int(time.time() * 1000) + shift_ms)
    text = stamp + method + (signed or target) + body
    mac = hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256)
    head = {
        "ACCESS-KEY": str(keys["apiKey"]),
        "ACCESS-SIGN": base64.b64encode(mac.digest()).decode(),
        "ACCESS-TIMESTAMP": stamp,
        "ACCESS-PASSPHRASE": str(keys["password"]),
        **({"Content-Type": "application/json"} if body else {}),
        **({} if demo is None else {"PAPTRADING": demo}),
    }
    return client.call(method, host, target, {k: v for k, v in head.items() if k != drop}, body or None)


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


FINE, DENIED = (200, "00000"), (400, "40014")
CLASSIC, UNIFIED = (400, "40084"), (400, "40085")


@pytest.mark.parametrize(
    ("method", "target", "body", "right"),
    [
        ("GET", INFO, "", "1eumIrspz8vacGYLCf4DVI/Jh185Kib6JQpiAFFg044="),
        ("GET", UNIFIED_INFO, "", "6KKjE+q6yPxtQDAEamJfu5zI8EvYgYlv9HOyWM1tP6o="),
        ("GET", FUTURES, "", "4oynY8b9ZDqkUeJiAH55RuT0A71pFPCwZoCHnMcqEJA="),
        ("POST", "/api/v2/spot/trade/place-order", ORDER, "dc+tot5A63dMY8tASzHyTdgN189pcgwJGr10wjnXwdU="),
    ],
)
def test_golden_signatures(method: str, target: str, body: str, right: str) -> None:
    assert signature("SECRETEXAMPLE02", "1700000000000", method, target, body) == right


AUTHORITIES = {
    "good": "stor,stow,coor,coow,cpor,cpow", "withdraw": "stor,stow,coor,coow,cpor,cpow,wwow",
    "read_only": "stor,coor,cpor", "no_futures": "stor,stow", "ip_open": "stor,stow,coor,coow,cpor,cpow",
    "sub_account": "stor,stow,coor,coow,cpor,cpow", "unknown_right": "stor,stow,coor,coow,cpor,cpow,vaow",
}  # fmt: skip


def test_sample_keys_have_the_form_of_real_ones(client: Client) -> None:
    accounts = client.sim.accounts["bitget"]
    assert set(accounts) == {*AUTHORITIES, "ip_blocked", "expired", "frozen"}
    for keys in accounts.values():
        assert re.fullmatch(r"bg_0{8}[0-9a-f]{24}", str(keys["apiKey"]))
        assert re.fullmatch(r"0{8}[0-9a-f]{56}", str(keys["secret"]))
        assert re.fullmatch(r"[A-Za-z0-9]{8,32}", str(keys["password"]))
    assert len({keys["apiKey"] for keys in accounts.values()}) == len(accounts)


@pytest.mark.parametrize("host", [HOST, "capi.bitget.com"])
def test_public(client: Client, host: str) -> None:
    answer = client.call("GET", host, "/api/v2/public/time")
    assert (answer.code, answer.json["msg"]) == ("00000", "success")
    assert answer.json["data"] == {"serverTime": str(answer.json["requestTime"])}
    assert abs(answer.json["requestTime"] - time.time() * 1000) < 2000
    assert answer.headers["x-mbx-used-remain-limit"].isdigit()
    assert said(client.call("GET", host, "/api/v2/public/annoucements?language=en_US")) == FINE
    assert client.call("GET", host, "/api/v2/public/announcements").status == 404


@pytest.mark.parametrize(("account", "authorities"), AUTHORITIES.items())
def test_key_reports(client: Client, account: str, authorities: str) -> None:
    keys = client.keys("bitget", account)
    answer = bitget(client, keys, "GET", INFO)
    assert said(answer) == FINE and answer.json["msg"] == "success"
    report = answer.json["data"]
    assert report["authorities"] == authorities.split(",")
    assert report["ips"] == ("" if account == "ip_open" else "127.0.0.1")
    assert (report["userId"] == str(report["parentId"])) is (account != "sub_account")
    assert not [name for name in report if "expir" in name.lower()], "Bitget tells no end of a key"
    wrong = bitget(client, keys, "GET", UNIFIED_INFO)
    assert said(wrong) == CLASSIC and wrong.json["data"] is None
    assert wrong.json["msg"].startswith("You are in Classic Account mode, and the Unified Account API")


@pytest.mark.parametrize("account", AUTHORITIES)
def test_scopes_gate_the_calls(client: Client, account: str) -> None:
    keys, words = client.keys("bitget", account), AUTHORITIES[account].split(",")
    balance = bitget(client, keys, "GET", ASSETS).json["data"]
    assert [(row["coin"], row["available"]) for row in balance] == [("USDT", "4210.00"), ("BTC", "0.0125")]
    assert bitget(client, keys, "GET", ORDERS).json["data"] == []
    for target in ("deposit-records", "withdrawal-records"):
        assert bitget(client, keys, "GET", f"/api/v2/spot/wallet/{target}").json["data"] == []
    futures = FINE if "coor" in words else DENIED
    for target in (FUTURES, FUTURES_ORDERS, POSITIONS):
        answer = bitget(client, keys, "GET", target)
        assert said(answer) == futures
        assert (answer.json["data"] is None) is (futures == DENIED)
    assert said(bitget(client, keys, "GET", "/api/v2/margin/crossed/account/assets")) == DENIED
    assert client.sim.violations == []


@pytest.mark.parametrize(
    ("target", "gates", "area"),
    [
        (ASSETS, "stor stow", "spot order read"),
        (ORDERS, "stor stow", "spot order read"),
        (FUTURES, "coor coow cpor cpow", "contract order read"),
        (FUTURES_ORDERS, "coor coow", "contract order read"),
        (POSITIONS, "cpor cpow", "contract position read"),
    ],
)
def test_any_one_word_opens_a_call(client: Client, target: str, gates: str, area: str) -> None:
    keys = client.keys("bitget", "good")
    for word in ("stor", "stow", "coor", "coow", "cpor", "cpow", "smor", "wtor", "wwow"):
        client.sim.change_account("bitget", "good", permissions=word)
        answer = bitget(client, keys, "GET", target)
        assert said(answer) == (FINE if word in gates.split() else DENIED)
        if word not in gates.split():
            assert answer.json["msg"] == f"Incorrect permissions, need {area} permissions"
        assert said(bitget(client, keys, "GET", INFO)) == FINE


def test_futures_balance(client: Client) -> None:
    keys = client.keys("bitget", "good")
    (row,) = bitget(client, keys, "GET", FUTURES).json["data"]
    assert (row["marginCoin"], row["available"], row["accountEquity"]) == ("USDT", "1500.00", "1500.00")
    bare = "/api/v2/mix/account/accounts"
    assert bitget(client, keys, "GET", f"{bare}?productType=COIN-FUTURES").json["data"] == []
    assert said(bitget(client, keys, "GET", bare)) == (400, "40019")
    assert said(bitget(client, keys, "GET", f"{bare}?productType=EGGS")) == (400, "40020")
    assert bitget(client, keys, "GET", FUTURES_ORDERS).json["data"] == {"entrustedList": None, "endId": None}


@pytest.mark.parametrize(
    ("given", "told", "kind"),
    [
        ("uta_mgt,uta_trade", "uta_mgt,uta_trade", "read-and-write"),
        ("uta_mgt,uta_trade,withdraw", "uta_mgt,uta_trade,withdraw", "read-and-write"),
        ("uta_mgt", "uta_mgt", "read-only"),
        ("uta_mgt,uta_magic", "uta_mgt,uta_magic", "read-and-write"),
        (AUTHORITIES["good"], "uta_mgt,uta_trade", "read-and-write"),
        (AUTHORITIES["withdraw"], "uta_mgt,uta_trade,withdraw", "read-and-write"),
        (AUTHORITIES["read_only"], "uta_mgt", "read-only"),
        (AUTHORITIES["unknown_right"], "uta_mgt,uta_trade,vaow", "read-and-write"),
    ],
)
def test_reports_of_unified_accounts(client: Client, given: str, told: str, kind: str) -> None:
    client.sim.change_account("bitget", "good", mode="unified", permissions=given)
    keys = client.keys("bitget", "good")
    report = bitget(client, keys, "GET", UNIFIED_INFO).json["data"]
    assert (report["permType"], report["permissions"]) == (kind, told.split(","))
    assert report["ips"] == "127.0.0.1" and report["parentId"] == ""
    wrong = bitget(client, keys, "GET", INFO)
    assert said(wrong) == UNIFIED
    assert (
        wrong.json["msg"]
        == "You are in Unified Account mode, and the Classic Account API is not supported at this time"
    )


def test_unified_accounts(client: Client) -> None:
    client.sim.change_account("bitget", "sub_account", mode="unified", permissions="uta_mgt,uta_trade")
    keys = client.keys("bitget", "sub_account")

    def get(target: str) -> Any:
        return bitget(client, keys, "GET", target).json["data"]

    assert int(get(UNIFIED_INFO)["userId"]) == int(get(UNIFIED_INFO)["parentId"]) + 1
    assert get("/api/v3/account/settings")["accountMode"] == "unified"
    assert [(row["coin"], row["available"]) for row in get("/api/v3/account/assets")["assets"]] == [
        ("USDT", "4210.00"),
        ("BTC", "0.0125"),
    ]
    assert get("/api/v3/trade/unfilled-orders") == {"list": [], "cursor": None}
    assert get("/api/v3/account/withdrawal-records") == get("/api/v3/account/withdraw-address") == []
    for target in (ASSETS, FUTURES, ORDERS, FUTURES_ORDERS, POSITIONS):
        assert said(bitget(client, keys, "GET", target)) == UNIFIED
    client.sim.change_account("bitget", "sub_account", permissions="uta_trade")
    denied = bitget(client, keys, "GET", "/api/v3/account/settings")
    assert (*said(denied), denied.json["msg"]) == (
        *DENIED,
        "Incorrect permissions, need UTA mgt. read permissions",
    )
    assert said(bitget(client, keys, "GET", "/api/v3/account/assets")) == DENIED
    assert said(bitget(client, keys, "GET", "/api/v3/trade/unfilled-orders")) == FINE
    assert said(bitget(client, keys, "GET", UNIFIED_INFO)) == FINE, "needs no right"


@pytest.mark.parametrize(
    ("header", "code"),
    [("KEY", "40001"), ("SIGN", "40002"), ("TIMESTAMP", "40003"), ("PASSPHRASE", "40011")],
)
def test_missing_headers(client: Client, header: str, code: str) -> None:
    assert said(bitget(client, client.keys("bitget", "good"), "GET", INFO, drop=f"ACCESS-{header}")) == (400, code)


def test_refusals_in_their_order(client: Client) -> None:
    """Each call is wrong in one more way than the call after it; the first thing judged is what is told."""
    client.sim.change_account("bitget", "frozen", permissions="", ip_whitelist="198.51.100.7", mode="unified")
    right = client.keys("bitget", "frozen")
    keys: Keys = {**right, "password": "Wrongphrase1", "secret": "0" * 64}
    past = -40_000

    def ask(keys: Keys, **more: Any) -> tuple[int, str]:
        return said(bitget(client, keys, "GET", ASSETS, **more))

    assert ask({**keys, "apiKey": "short"}, shift_ms=past, demo="1") == (400, "40006")
    assert ask({**keys, "apiKey": f"bg_{'0' * 32}"}, shift_ms=past, demo="1") == (400, "40037")
    assert ask(keys, shift_ms=past, demo="1") == (400, "40099")
    assert ask(keys, stamp="2023-11-14T22:13:20.000Z") == (400, "40005")
    assert ask(keys, shift_ms=past) == (400, "40008")
    assert ask(keys) == (400, "40012")
    assert ask({**keys, "password": right["password"]}) == (400, "40009")
    assert ask(right) == (400, "40018")
    client.sim.change_account("bitget", "frozen", ip_whitelist="127.0.0.1")
    assert ask(right) == (400, "40013")
    client.sim.change_account("bitget", "frozen", status="active")
    assert ask(right) == UNIFIED
    client.sim.change_account("bitget", "frozen", mode="")
    assert ask(right) == DENIED
    client.sim.change_account("bitget", "frozen", permissions="stor")
    assert ask(right) == FINE


def test_the_words_of_refusals(client: Client) -> None:
    keys = client.keys("bitget", "good")
    sign = bitget(client, {**keys, "secret": "0" * 64}, "GET", INFO).json
    assert list(sign) == ["code", "msg", "requestTime", "data"]
    assert (sign["msg"], sign["data"]) == ("sign signature error", None)
    phrase = bitget(client, {**keys, "password": "Wrongphrase1"}, "GET", INFO)
    assert phrase.json["msg"] == "apikey/password is incorrect"


@pytest.mark.parametrize(
    ("shift_ms", "code"), [(-29_000, "00000"), (29_000, "00000"), (-31_000, "40008"), (31_000, "40008")]
)
def test_the_window(client: Client, shift_ms: int, code: str) -> None:
    assert bitget(client, client.keys("bitget", "good"), "GET", INFO, shift_ms=shift_ms).code == code


def test_the_query_is_signed_unencoded(client: Client) -> None:
    keys, plain = client.keys("bitget", "good"), f"{ASSETS}?coin=USDT"
    target = f"{ASSETS}?coin=%55SDT"
    assert said(bitget(client, keys, "GET", plain)) == FINE
    assert said(bitget(client, keys, "GET", target, signed=plain)) == FINE
    assert said(bitget(client, keys, "GET", target, signed=target)) == (400, "40009")
    assert said(bitget(client, keys, "GET", plain, signed=ASSETS)) == (400, "40009")


@pytest.mark.parametrize(
    ("account", "refusal"),
    [
        ("expired", (400, "40037", "Apikey does not exist")),
        ("frozen", (400, "40013", "User status is abnormal")),
        ("ip_blocked", (400, "40018", "Invalid IP")),
    ],
)
@pytest.mark.parametrize("target", [INFO, UNIFIED_INFO, ASSETS, FUTURES, ORDERS, FUTURES_ORDERS])
def test_accounts_that_fail(client: Client, account: str, refusal: tuple[int, str, str], target: str) -> None:
    answer = bitget(client, client.keys("bitget", account), "GET", target)
    assert (answer.status, answer.code, answer.json["msg"]) == refusal


def test_keys_belong_to_an_environment(client: Client) -> None:
    keys = client.keys("bitget", "good")
    for site, live, demo in (("global", "00000", "40099"), ("demo", "40099", "00000")):
        client.sim.change_account("bitget", "good", site=site)
        for host in (HOST, "capi.bitget.com"):
            assert bitget(client, keys, "GET", INFO, host=host).code == live
            assert bitget(client, keys, "GET", INFO, host=host, demo="0").code == live
            assert bitget(client, keys, "GET", INFO, host=host, demo="1").code == demo


@pytest.mark.parametrize(("mode", "target"), [("", INFO), ("unified", UNIFIED_INFO)])
def test_fields_of_the_report_can_be_changed_and_left_out(client: Client, mode: str, target: str) -> None:
    keys = client.keys("bitget", "good")
    client.sim.change_account("bitget", "good", mode=mode, report={"parentId": None, "permType": "odd"}, omit="ips")
    report = bitget(client, keys, "GET", target).json["data"]
    assert report["parentId"] is None and report["permType"] == "odd" and "ips" not in report


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/api/v2/spot/wallet/withdrawal", "moves money"),
        ("/api/v2/spot/wallet/transfer", "moves money"),
        ("/api/v3/account/withdrawal", "moves money"),
        ("/api/v3/account/transfer", "moves money"),
        ("/api/v3/account/set-leverage", "changes the account"),
        ("/api/v2/user/create-virtual-subaccount-apikey", "edits a key"),
        ("/api/v2/spot/trade/place-order", "places or cancels an order"),
        ("/api/v2/mix/order/place-order", "places or cancels an order"),
        ("/api/v3/trade/place-order", "places or cancels an order"),
        ("/api/v2/nothing", "is no documented dry run"),
    ],
)
def test_writes_are_refused_and_kept(client: Client, path: str, what: str) -> None:
    assert said(bitget(client, client.keys("bitget", "withdraw"), "POST", path, ORDER)) == DENIED
    assert [(seen["violation"], seen["account"]) for seen in client.sim.violations] == [(what, "withdraw")]


def test_out_of_order(client: Client) -> None:
    keys = client.keys("bitget", "good")
    with client.sim.faults({"kind": "maintenance"}):
        answer = bitget(client, keys, "GET", INFO)
        assert (*said(answer), answer.json["msg"]) == (400, "40200", "Server upgrade, please try again later")
    with client.sim.faults({"status": 429}):
        answer = bitget(client, keys, "GET", INFO)
        assert (*said(answer), answer.json["msg"]) == (429, "429", "Too Many Requests")


def test_what_is_left_of_a_second(client: Client) -> None:
    keys, fills = client.keys("bitget", "good"), "/api/v2/spot/trade/fills"
    left = [int(bitget(client, keys, "GET", fills).headers["x-mbx-used-remain-limit"]) for _ in range(2)]
    assert left in ([19, 18], [19, 19]), "the second may turn in between"
    assert bitget(client, keys, "GET", INFO).headers["x-mbx-used-remain-limit"] == "1", "it never runs dry"


def test_markets(client: Client) -> None:
    def get(target: str) -> Any:
        return client.call("GET", HOST, target).json

    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "LTCUSDT", "LUNCUSDT"]
    assert [row["symbol"] for row in get("/api/v2/spot/public/symbols")["data"]] == names
    assert [row["symbol"] for row in get("/api/v2/spot/public/symbols?symbol=ETHUSDT")["data"]] == ["ETHUSDT"]
    contracts = "/api/v2/mix/market/contracts"
    assert [row["symbol"] for row in get(f"{contracts}?productType=usdt-futures")["data"]] == names
    assert get(f"{contracts}?productType=USDC-FUTURES")["data"] == []
    assert get(contracts)["code"] == "40019"
    assert [row["symbol"] for row in get("/api/v3/market/instruments?category=SPOT")["data"]] == names
    assert get("/api/v2/spot/market/tickers?symbol=NONO")["code"] == "40034"
    hour, start = 3_600_000, 1_700_002_800_000
    window = f"startTime={start}&endTime={start + 2 * hour}"
    rows = get(f"/api/v2/spot/market/candles?symbol=ETHUSDT&granularity=1h&{window}")["data"]
    assert [int(row[0]) for row in rows] == [start + hour, start + 2 * hour], "oldest first"
    futures = get(f"/api/v2/mix/market/candles?symbol=ETHUSDT&productType=USDT-FUTURES&granularity=1H&{window}")["data"]
    unified = get(f"/api/v3/market/candles?category=SPOT&symbol=ETHUSDT&interval=1H&{window}")["data"]
    assert futures == [row[:7] for row in rows] == unified[-2::-1]
    assert get("/api/v2/spot/market/candles?symbol=ETHUSDT&granularity=7h")["code"] == "40020"


FEES, UNIFIED_FEES = "/api/v2/common/trade-rate", "/api/v3/account/fee-rate"


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("bitget", "read_only")
    spot = bitget(client, reader, "GET", f"{FEES}?symbol=BTCUSDT&businessType=spot")
    mix = bitget(client, reader, "GET", f"{FEES}?symbol=BTCUSDT&businessType=mix")
    assert spot.json["data"] == {"makerFeeRate": "0.0007", "takerFeeRate": "0.0009"}
    assert mix.json["data"] == {"makerFeeRate": "0.00016", "takerFeeRate": "0.00045"}
    assert spot.headers["x-mbx-used-remain-limit"] == "9"
    client.sim.change_account("bitget", "read_only", mode="unified")
    assert said(bitget(client, reader, "GET", f"{FEES}?symbol=BTCUSDT&businessType=mix")) == UNIFIED
    for category, told in (("SPOT", spot), ("USDT-FUTURES", mix)):
        target = f"{UNIFIED_FEES}?category={category}&symbol=BTCUSDT"
        assert bitget(client, reader, "GET", target).json["data"] == told.json["data"]


def test_refusals_of_fees(client: Client) -> None:
    keys, target = client.keys("bitget", "good"), f"{FEES}?symbol=BTCUSDT&businessType=mix"
    assert said(bitget(client, keys, "GET", f"{FEES}?businessType=mix")) == (400, "40019")
    assert said(bitget(client, keys, "GET", f"{FEES}?symbol=BTCUSDT")) == (400, "40019")
    assert said(bitget(client, keys, "GET", f"{FEES}?symbol=BTCUSDT&businessType=no")) == (400, "40020")
    assert said(bitget(client, keys, "GET", f"{FEES}?symbol=NONO&businessType=mix")) == (400, "40034")
    assert said(bitget(client, keys, "GET", target, signed=FEES)) == (400, "40009")
    assert said(bitget(client, keys, "GET", f"{UNIFIED_FEES}?category=SPOT&symbol=BTCUSDT")) == CLASSIC
    client.sim.change_account("bitget", "good", permissions="wwow")
    assert said(bitget(client, keys, "GET", target)) == DENIED
