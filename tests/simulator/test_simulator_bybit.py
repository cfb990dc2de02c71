"""Bybit: signatures, each refusal, each sample account, each site (Bybit documents)."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import datetime
from typing import Any

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.bybit import signature

REPORT = "/v5/user/query-api"
PROBE = "/v5/asset/withdraw/query-address"
WALLET = "/v5/account/wallet-balance?accountType=UNIFIED"
PRE_CHECK = "/v5/order/pre-check"
ORDER = '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.01","price":"28000"}'
ORDERS = {
    "spot": "/v5/order/realtime?category=spot",
    "futures": "/v5/order/realtime?category=linear&settleCoin=USDT",
    "positions": "/v5/position/list?category=linear&settleCoin=USDT",
}


def bybit(
    client: Client, keys: Keys, method: str, target: str, body: str = "", *, host: str = "api.bybit.com",
    time_ms: int | None = None, window: str | None = "5000", signed: str | None = None, drop: str = "",
) -> Answer:  # fmt: skip
    """Time, key, window and the query (or body) as sent are signed, and travel in headers."""
    stamp = str(int(time.time() * 1000) if time_ms is None else time_ms)
    payload = (body if method == "POST" else target.partition("?")[2]) if signed is None else signed
    text = stamp + str(keys["apiKey"]) + (window or "") + payload
    head = {
        "X-BAPI-API-KEY": str(keys["apiKey"]),
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-SIGN": hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256).hexdigest(),
        **({} if window is None else {"X-BAPI-RECV-WINDOW": window}),
        **({"Content-Type": "application/json"} if body else {}),
    }
    return client.call(method, host, target, {k: v for k, v in head.items() if k != drop}, body or None)


def said(answer: Answer) -> tuple[int, int]:
    return answer.status, answer.json["retCode"]


FINE, DENIED = (200, 0), (200, 10005)


@pytest.mark.parametrize(
    ("payload", "right"),
    [
        ("", "6a2381931736f530ca38d937e966834e149946fcdb52bf3b638f4589cdbf08fa"),
        ("accountType=UNIFIED", "2963017dd0d99e6b43a813a730e477efe785a91a20b6c6a25f589efa02b89571"),
        (
            '{"category":"linear","symbol":"BTCUSDT"}',
            "56e3769e477421d2ff05d27a2d6164eca1a715f8aec0008717da1a41b5ea915f",
        ),
    ],
)
def test_golden_signatures(payload: str, right: str) -> None:
    assert signature("SECRETEXAMPLE02", "1700000000000", "APIKEYEXAMPLE01", "5000", payload) == right


def test_public(client: Client) -> None:
    for host in ("api.bybit.com", "api.bytick.com", "api-testnet.bybit.com", "api-demo.bybit.com"):
        answer = client.call("GET", host, "/v5/market/time")
        assert said(answer) == FINE
        assert abs(int(answer.json["result"]["timeNano"]) / 1e6 - time.time() * 1000) < 2000
        assert client.call("GET", host, "/v5/system/status").json["result"] == {"list": []}
    assert client.call("GET", "api.bybit.com", "/v5/nothing").json["retCode"] == 10017
    assert client.call("GET", "api.bybit.com", "/nothing").status == 404


SPOT, ALL = ["SpotTrade"], {"Spot": ["SpotTrade"], "ContractTrade": ["Order", "Position"],
                            "Derivatives": ["DerivativesTrade"]}  # fmt: skip
PERMISSION = {
    "good": ALL, "withdraw": {**ALL, "Wallet": ["Withdraw"]}, "read_only": ALL, "no_futures": {"Spot": SPOT},
    "ip_open": ALL, "expiring": ALL, "sub_account": ALL, "unknown_right": {**ALL, "Vault": ["VaultAccess"]},
}  # fmt: skip


@pytest.mark.parametrize(("account", "permissions"), PERMISSION.items())
def test_key_reports(client: Client, account: str, permissions: dict[str, list[str]]) -> None:
    keys = client.keys("bybit", account)
    answer = bybit(client, keys, "GET", REPORT)
    assert said(answer) == FINE
    assert {"x-bapi-limit", "x-bapi-limit-status", "x-bapi-limit-reset-timestamp"} <= set(answer.headers)
    report = answer.json["result"]
    assert report["apiKey"] == keys["apiKey"]
    assert report["secret"] == ""
    assert {group: words for group, words in report["permissions"].items() if words} == permissions
    assert {"Wallet", "Exchange", "FiatP2P", "NFT"} <= report["permissions"].keys(), "empty groups are listed too"
    assert report["readOnly"] == (account == "read_only")
    assert report["ips"] == (["*"] if account == "ip_open" else ["127.0.0.1"])
    assert report["isMaster"] is (account != "sub_account")
    assert (report["parentUid"] == "0") is (account != "sub_account")
    assert report["uta"] == 1
    days = {"expiring": 5, "ip_open": 90}.get(account)
    if days is None:
        assert (report["deadlineDay"], report["expiredAt"]) == (-2, "1970-01-01T00:00:00Z")
    else:
        assert report["deadlineDay"] == days - 1
        ahead = datetime.fromisoformat(report["expiredAt"]).timestamp() - time.time()
        assert days - 0.1 < ahead / 86400 <= days


@pytest.mark.parametrize("account", PERMISSION)
def test_rights_gate_the_calls(client: Client, account: str) -> None:
    keys, futures = client.keys("bybit", account), account != "no_futures"
    wallet = bybit(client, keys, "GET", WALLET)
    assert said(wallet) == FINE
    coins = {row["coin"]: row["walletBalance"] for row in wallet.json["result"]["list"][0]["coin"]}
    assert coins == {"USDT": "4210.00", "BTC": "0.0125"}
    assert bybit(client, keys, "GET", ORDERS["spot"]).json["result"] == {
        "list": [], "nextPageCursor": "", "category": "spot",
    }  # fmt: skip
    assert said(bybit(client, keys, "GET", ORDERS["futures"])) == (FINE if futures else DENIED)
    assert said(bybit(client, keys, "GET", ORDERS["positions"])) == (FINE if futures else DENIED)
    trades = futures and account != "read_only"
    assert said(bybit(client, keys, "POST", PRE_CHECK, ORDER)) == (FINE if trades else DENIED)
    probe = bybit(client, keys, "GET", PROBE)
    assert said(probe) == (FINE if account == "withdraw" else DENIED)
    if account != "withdraw":
        assert probe.json["retMsg"] == "Permission denied, please check your API key permissions."
    assert said(bybit(client, keys, "GET", "/v5/asset/withdraw/query-record")) == FINE, "has no such gate"
    assert client.sim.violations == []


def test_refusals(client: Client) -> None:
    keys = client.keys("bybit", "good")
    now = int(time.time() * 1000)
    assert said(client.call("GET", "api.bybit.com", REPORT)) == (200, 10007)
    for header in ("X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN"):
        assert said(bybit(client, keys, "GET", REPORT, drop=header)) == (200, 10001), header
    assert said(bybit(client, keys, "GET", REPORT, window="long")) == (200, 10001)
    unknown = bybit(client, {**keys, "apiKey": "0" * 18}, "GET", REPORT)
    assert (*said(unknown), unknown.json["retMsg"]) == (401, 10003, "API key is invalid.")
    for shift in (-6000, 1500):
        late = bybit(client, keys, "GET", REPORT, time_ms=now + shift)
        assert said(late) == (200, 10002), shift
        assert f"req_timestamp[{now + shift}]" in late.json["retMsg"]
        assert "recv_window[5000]" in late.json["retMsg"]
    assert said(bybit(client, keys, "GET", REPORT, time_ms=now - 6000, window="20000")) == FINE
    assert said(bybit(client, keys, "GET", REPORT, window=None)) == FINE, "5000 when none is named"
    wrong = bybit(client, {**keys, "secret": "x" * 36}, "GET", WALLET)
    assert said(wrong) == (200, 10004)
    assert wrong.json["retMsg"].startswith("error sign! origin_string[")
    assert f"{keys['apiKey']}5000accountType=UNIFIED]" in wrong.json["retMsg"]
    assert "x" * 36 not in wrong.json["retMsg"]


def test_what_is_checked_first(client: Client) -> None:
    """Key, time, signature, end of life, address, ban, right."""
    keys, wrong = client.keys("bybit", "good"), client.keys("bybit", "good", secret="x" * 36)
    late = int(time.time() * 1000) - 60_000
    change = {"permissions": "SpotTrade", "status": "frozen", "ip_whitelist": "198.51.100.7", "expires_in_days": -1.0}
    client.sim.change_account("bybit", "good", **change, site="nl")
    assert said(bybit(client, wrong, "GET", PROBE, time_ms=late)) == (401, 10003)
    client.sim.change_account("bybit", "good", site="global")
    assert said(bybit(client, wrong, "GET", PROBE, time_ms=late)) == (200, 10002)
    assert said(bybit(client, wrong, "GET", PROBE)) == (200, 10004)
    assert said(bybit(client, keys, "GET", PROBE)) == (200, 33004)
    client.sim.change_account("bybit", "good", expires_in_days=None)
    assert said(bybit(client, keys, "GET", PROBE)) == (200, 10010)
    client.sim.change_account("bybit", "good", ip_whitelist="")
    assert said(bybit(client, keys, "GET", PROBE)) == (200, 10008)
    client.sim.change_account("bybit", "good", status="active")
    assert said(bybit(client, keys, "GET", PROBE)) == DENIED


def test_the_query_and_the_body_are_signed_as_sent(client: Client) -> None:
    keys = client.keys("bybit", "good")
    target = "/v5/account/wallet-balance?accountType=UNIFIED&coin=%55SDT"
    assert said(bybit(client, keys, "GET", target)) == FINE
    assert said(bybit(client, keys, "GET", target, signed="accountType=UNIFIED&coin=USDT")) == (200, 10004)
    assert said(bybit(client, keys, "GET", f"{REPORT}?", signed="")) == FINE, "a bare question mark is nothing"
    assert said(bybit(client, keys, "POST", PRE_CHECK, ORDER, signed=ORDER.replace(",", ", "))) == (200, 10004)


@pytest.mark.parametrize(
    ("account", "code", "words"),
    [
        ("ip_blocked", 10010, "Unmatched IP, please check your API key's bound IP addresses."),
        ("expired", 33004, "Your api key has expired."),
        ("frozen", 10008, "Common banned, please check your account mode"),
    ],
)
def test_accounts_that_fail(client: Client, account: str, code: int, words: str) -> None:
    keys = client.keys("bybit", account)
    for target in (REPORT, PROBE, WALLET, *ORDERS.values()):
        answer = bybit(client, keys, "GET", target)
        assert (*said(answer), answer.json["retMsg"]) == (200, code, words)


@pytest.mark.parametrize(
    ("site", "hosts"),
    {
        "global": ["api.bybit.com", "api.bytick.com"], "nl": ["api.bybit.nl"], "kz": ["api.bybit.kz"],
        "tr": ["api.bybit.tr", "api.bybit-tr.com"], "ge": ["api.bybitgeorgia.ge"], "ae": ["api.bybit.ae"],
        "eu": ["api.bybit.eu"], "id": ["api.bybit.id"], "testnet": ["api-testnet.bybit.com"],
    }.items(),
)  # fmt: skip
def test_keys_belong_to_a_site(client: Client, site: str, hosts: list[str]) -> None:
    keys = client.keys("bybit", "good")
    client.sim.change_account("bybit", "good", site=site)
    for host in (host for host, exchange in client.sim.hosts.items() if exchange == "bybit"):
        right = FINE if host in hosts else (401, 10003)
        assert said(bybit(client, keys, "GET", WALLET, host=host)) == right, host
    for host in hosts:
        assert said(bybit(client, keys, "GET", REPORT, host=host)) == FINE


@pytest.mark.parametrize("site", ["demo", "demo-testnet"])
def test_demo_trading_tells_no_rights(client: Client, site: str) -> None:
    keys, host = client.keys("bybit", "good"), f"api-{site}.bybit.com"
    assert said(bybit(client, keys, "GET", WALLET, host=host)) == (401, 10003)
    client.sim.change_account("bybit", "good", site=site, permissions="SpotTrade,Order,Withdraw")
    assert said(bybit(client, keys, "GET", WALLET, host=host)) == FINE
    assert said(bybit(client, keys, "GET", ORDERS["spot"], host=host)) == FINE
    for target in (REPORT, PROBE, "/v5/asset/withdraw/query-record"):
        assert said(bybit(client, keys, "GET", target, host=host)) == (200, 10017)


def test_variants_of_the_report(client: Client) -> None:
    keys = client.keys("bybit", "withdraw")
    client.sim.change_account(
        "bybit", "withdraw", mode="read_only classic", omit="ips", report={"vipLevel": "PRO-1", "type": 2}
    )
    report = bybit(client, keys, "GET", REPORT).json["result"]
    assert (report["readOnly"], report["uta"], report["vipLevel"], report["type"]) == (1, 0, "PRO-1", 2)
    assert "ips" not in report
    assert report["permissions"]["Wallet"] == ["Withdraw"], "the lists stay under the switch"
    client.sim.change_account("bybit", "withdraw", permissions="AccountTransfer,NewWord,FiatP2P:FiatP2POrder")
    client.sim.change_account("bybit", "withdraw", omit="", mask_ips=True)
    report = bybit(client, keys, "GET", REPORT).json["result"]
    assert report["permissions"]["Wallet"] == ["AccountTransfer", "NewWord"]
    assert report["permissions"]["FiatP2P"] == ["FiatP2POrder"]
    assert report["ips"] == ["127.**.1"]


def test_a_sub_account_has_no_address_book(client: Client) -> None:
    client.sim.change_account("bybit", "withdraw", is_sub=True)
    assert said(bybit(client, client.keys("bybit", "withdraw"), "GET", PROBE)) == DENIED


def test_wallets_of_each_kind_of_account(client: Client) -> None:
    keys = client.keys("bybit", "good")

    def coins(kind: str, path: str = "/v5/account/wallet-balance") -> object:
        answer = bybit(client, keys, "GET", f"{path}?accountType={kind}")
        rows = answer.json["result"].get("list") or [{"coin": answer.json["result"].get("balance")}]
        return {row["coin"]: row["walletBalance"] for row in rows[0]["coin"]} if said(answer) == FINE else said(answer)

    funding = "/v5/asset/transfer/query-account-coins-balance"
    assert coins("FUND", funding) == {"USDT": "0"}
    assert coins("UNIFIED", funding) == {"USDT": "4210.00", "BTC": "0.0125"}
    assert coins("SPOT") == coins("CONTRACT", funding) == (200, 10001)
    client.sim.change_account("bybit", "good", mode="classic")
    assert coins("UNIFIED") == (200, 10001)
    assert coins("SPOT") == {"USDT": "4210.00", "BTC": "0.0125"}
    assert coins("CONTRACT") == coins("CONTRACT", funding) == {"USDT": "1500.00"}
    assert said(bybit(client, keys, "POST", PRE_CHECK, ORDER)) == (200, 10028)


@pytest.mark.parametrize(
    "target",
    ["/v5/order/realtime", "/v5/order/realtime?category=linear", "/v5/order/realtime?category=spot&symbol=NONO",
     "/v5/position/list?category=spot", "/v5/account/wallet-balance"],
)  # fmt: skip
def test_reads_validate(client: Client, target: str) -> None:
    assert said(bybit(client, client.keys("bybit", "good"), "GET", target)) == (200, 10001)


def test_pre_check_validates(client: Client) -> None:
    keys = client.keys("bybit", "good")

    def code(**changes: str | None) -> int:
        order = {name: value for name, value in {**json.loads(ORDER), **changes}.items() if value is not None}
        return bybit(client, keys, "POST", PRE_CHECK, json.dumps(order)).json["retCode"]

    assert code() == 0
    assert code(orderType="Market", price=None) == 0
    for name in ("category", "symbol", "side", "orderType", "qty", "price"):
        assert code(**{name: None}) == 10001, name
    assert code(category="spot") == code(category="inverse") == code(symbol="NOUSDT") == code(qty="0") == 10001
    assert code(triggerPrice="1") == 10001
    short = bybit(client, keys, "POST", PRE_CHECK, ORDER.replace('"0.01"', '"100"')).json
    assert (short["retCode"], short["result"]) == (110007, {})
    assert short["retExtInfo"]["future_order_id"]
    client.sim.change_account("bybit", "good", mode="isolated")
    assert code() == 10001
    client.sim.change_account("bybit", "good", mode="", permissions="SpotTrade")
    assert code() == 10005
    assert client.sim.violations == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/v5/user/update-api", "edits a key"), ("/v5/user/update-sub-api", "edits a key"),
        ("/v5/user/delete-api", "edits a key"), ("/v5/user/create-sub-member", "edits a sub-account"),
        ("/v5/asset/withdraw/create", "moves money"), ("/v5/asset/transfer/inter-transfer", "moves money"),
        ("/v5/order/create", "places or cancels an order"), ("/v5/order/cancel-all", "places or cancels an order"),
        ("/v5/position/set-leverage", "changes a position"), ("/v5/account/set-margin-mode", "changes the account"),
        ("/v5/anything", "is no documented dry run"),
    ],
)  # fmt: skip
def test_writes_are_refused_and_remembered(client: Client, path: str, what: str) -> None:
    assert said(bybit(client, client.keys("bybit", "withdraw"), "POST", path, "{}")) == DENIED
    assert [seen["violation"] for seen in client.sim.violations] == [what]


def test_a_dry_run_is_one_only_where_it_exists(client: Client) -> None:
    client.sim.change_account("bybit", "good", site="demo")
    keys = client.keys("bybit", "good")
    assert said(bybit(client, keys, "POST", PRE_CHECK, ORDER, host="api-demo.bybit.com")) == DENIED
    assert len(client.sim.violations) == 1


def test_out_of_order(client: Client) -> None:
    keys = client.keys("bybit", "good")
    with client.sim.faults({"exchange": "bybit", "kind": "html"}):
        page = bybit(client, keys, "GET", REPORT)
        assert page.status == 403
        assert page.headers["server"] == "CloudFront"
        assert b"The Amazon CloudFront distribution is configured to block access from your country" in page.body
    text = {"kind": "body", "status": 403, "body": "access too frequent", "content_type": "text/plain"}
    with client.sim.faults(text):
        answer = bybit(client, keys, "GET", REPORT)
        assert (answer.status, answer.body) == (403, b"access too frequent")
    with client.sim.faults({"status": 429}):
        assert bybit(client, keys, "GET", REPORT).json["retCode"] == 10006
    with client.sim.faults({"kind": "maintenance"}):
        assert said(bybit(client, keys, "GET", REPORT)) == (200, 10016)
        (row,) = client.call("GET", "api.bybit.com", "/v5/system/status").json["result"]["list"]
        assert (row["state"], row["env"]) == ("ongoing", 1)
        assert int(row["begin"]) < time.time() * 1000 < int(row["end"])


def test_markets(client: Client) -> None:
    def get(target: str) -> Any:
        return client.call("GET", "api.bybit.com", target).json["result"].get("list")

    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "LTCUSDT", "LUNCUSDT"]
    for category in ("spot", "linear"):
        assert [row["symbol"] for row in get(f"/v5/market/instruments-info?category={category}")] == names
        assert [row["symbol"] for row in get(f"/v5/market/tickers?category={category}")] == names
        assert len(get(f"/v5/market/tickers?category={category}&symbol=BTCUSDT")) == 1
    assert get("/v5/market/tickers?category=spot&symbol=NONO") is None
    target = "/v5/market/kline?category=spot&symbol=ETHUSDT&interval=60&start=1700000000000&end=1700040000000"
    rows = get(target)
    assert len(rows) == 11
    assert int(rows[0][0]) > int(rows[-1][0]), "newest first"


FEES = "/v5/account/fee-rate"


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("bybit", "read_only")
    spot = bybit(client, reader, "GET", f"{FEES}?category=spot&symbol=BTCUSDT")
    rates = {"takerFeeRate": "0.0009", "makerFeeRate": "0.0007"}
    assert spot.json["result"] == {"category": "spot", "list": [{"symbol": "BTCUSDT", **rates}]}
    assert spot.headers["x-bapi-limit"] == "5"
    linear = bybit(client, reader, "GET", f"{FEES}?category=linear&symbol=BTCUSDT").json["result"]
    assert linear == {"list": [{"symbol": "BTCUSDT", "takerFeeRate": "0.00045", "makerFeeRate": "0.00016"}]}
    assert len(bybit(client, reader, "GET", f"{FEES}?category=linear").json["result"]["list"]) == 6
    assert bybit(client, reader, "GET", f"{FEES}?category=inverse").json["result"] == {"list": []}


def test_refusals_of_fees(client: Client) -> None:
    keys, target = client.keys("bybit", "good"), f"{FEES}?category=linear&symbol=BTCUSDT"
    assert said(bybit(client, keys, "GET", FEES)) == (200, 10001)
    assert said(bybit(client, keys, "GET", f"{FEES}?category=no")) == (200, 10001)
    assert said(bybit(client, keys, "GET", f"{FEES}?category=linear&symbol=NONO")) == (200, 10001)
    assert said(bybit(client, keys, "GET", target, signed="category=linear")) == (200, 10004)
    assert bybit(client, keys, "GET", target, host="api-demo.bybit.com").json["retCode"] != 0, "not in demo trading"
