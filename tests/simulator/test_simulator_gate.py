"""Gate: signatures, each refusal in its order, each sample account (Gate documents)."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from simulator_client import Answer, Client, Keys

from bfai.simulator.gate import signature

V4 = "/api/v4"
MAIN, FUTURES, EU, TESTNET = "api.gateio.ws", "fx-api.gateio.ws", "api.gateeu.com", "api-testnet.gateapi.io"
DETAIL, KEYS, SPOT, MARGINED = "/account/detail", "/account/main_keys", "/spot/accounts", "/futures/usdt/accounts"
ORDERS = "/futures/usdt/orders"


def gate(
    client: Client, keys: Keys, target: str, *, method: str = "GET", body: str = "", host: str = MAIN,
    age: float = 0, stamp: str | None = None, sign: str | None = None, signed_query: str | None = None,
    without: str = "",
) -> Answer:  # fmt: skip
    """Method, path, query, SHA-512 of the body and the time in seconds are signed with line breaks between."""
    path, _, query = (V4 + target).partition("?")
    stamp = str(int(time.time() - age)) if stamp is None else stamp
    digest = hashlib.sha512(body.encode()).hexdigest()
    text = "\n".join((method, path, query if signed_query is None else signed_query, digest, stamp))
    mac = hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha512).hexdigest()
    head = {"KEY": str(keys["apiKey"]), "Timestamp": stamp, "SIGN": mac if sign is None else sign}
    head.pop(without, None)
    return client.call(method, host, V4 + target, head, body or None)


def said(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.json["label"], answer.json["message"]


def own_key(client: Client, account: str) -> dict[str, Any]:
    """The calling key's entry among all keys, by the part of its name that is shown."""
    keys = client.keys("gate", account)
    rows = gate(client, keys, KEYS).json
    (own,) = (row for row in rows if row["key"] == f"{str(keys['apiKey'])[:12]}*****")
    assert len(rows) == 3 and len({row["key"] for row in rows}) == 3
    return own


BAD_KEY = (401, "INVALID_KEY", "Invalid key provided")
BAD_SIGN = (401, "INVALID_SIGNATURE", "Signature mismatch")
LATE = (403, "REQUEST_EXPIRED", "gap between request Timestamp and server time exceeds 60")
BLOCKED = (403, "FORBIDDEN", "Request IP not in whitelist: 127.0.0.1")


def lacks(group: str) -> tuple[int, str, str]:
    return 403, "FORBIDDEN", f"Request API key does not have {group} permission"


@pytest.mark.parametrize(
    ("secret", "method", "path", "query", "body", "stamp", "right"),
    [
        (
            "secret", "GET", "/api/v4/futures/orders", "contract=BTC_USD&status=finished&limit=50", b"", "1541993715",
            "55f84ea195d6fe57ce62464daaa7c3c02fa9d1dde954e4c898289c9a2407a3d6"
            "fb3faf24deff16790d726b66ac9f74526668b13bd01029199cc4fcc522418b8a",
        ),
        (
            "secret", "POST", "/api/v4/futures/orders", "",
            b'{"contract":"BTC_USD","type":"limit","size":100,"price":6800,"time_in_force":"gtc"}', "1541993715",
            "eae42da914a590ddf727473aff25fc87d50b64783941061f47a3fdb92742541f"
            "c4c2c14017581b4199a1418d54471c269c03a38d788d802e2c306c37636389f0",
        ),
        (
            "b" * 64, "GET", "/api/v4/account/detail", "", b"", "1700000000",
            "c7c994dcc980ccf93f801b6ef9e9bb502f80641d4d5813a83e920cd829d0d062"
            "0fb3a433e86c8a40bcd4b8069a89088fc6915d64d04bef7ef90c4ecceb973cff",
        ),
    ],
)  # fmt: skip
def test_golden_signatures(
    secret: str, method: str, path: str, query: str, body: bytes, stamp: str, right: str
) -> None:
    assert signature(secret, method, path, query, body, stamp) == right
    assert signature(secret, method, path.removeprefix(V4), query, body, stamp) != right


def test_time(client: Client) -> None:
    for host in (MAIN, TESTNET):
        assert abs(client.call("GET", host, f"{V4}/spot/time").json["server_time"] - time.time() * 1000) < 2000
    unsigned = client.call("GET", EU, f"{V4}/spot/time")
    assert said(unsigned) == (401, "INVALID_KEY", "Missing required header: Timestamp")
    signed = gate(client, client.keys("gate", "good"), "/spot/time", host=EU, age=3600)
    assert abs(signed.json["server_time"] - time.time() * 1000) < 2000


READS = {"account": True, "wallet": True, "unified": True}
TRADES = {**READS, "spot": False, "futures": False}
REPORTS: dict[str, tuple[dict[str, bool], list[str]]] = {
    "good": (TRADES, ["127.0.0.1"]),
    "ip_open": (TRADES, []),
    "withdraw": (TRADES, ["127.0.0.1"]),
    "read_only": ({**READS, "spot": True, "futures": True}, ["127.0.0.1"]),
    "sub_account": (TRADES, ["127.0.0.1"]),
    "no_futures": ({**READS, "spot": False}, ["127.0.0.1"]),
}


def test_the_sample_accounts(client: Client) -> None:
    accounts = client.sim.accounts["gate"]
    assert set(accounts) == {*REPORTS, "ip_blocked", "frozen"}
    for keys in accounts.values():
        assert len(bytes.fromhex(str(keys["apiKey"]))) == 16 and len(bytes.fromhex(str(keys["secret"]))) == 32
        assert keys["password"] is None


@pytest.mark.parametrize("account", REPORTS)
def test_key_reports(client: Client, account: str) -> None:
    rights, addresses = REPORTS[account]
    own = own_key(client, account)
    assert {row["name"]: row["read_only"] for row in own["perms"]} == rights
    detail = gate(client, client.keys("gate", account), DETAIL).json
    assert own["ip_whitelist"] == detail["ip_whitelist"] == addresses
    assert own["user_id"] == detail["user_id"] > 0
    assert own["state"] == own["mode"] == detail["key"]["mode"] == 1
    assert "perms" not in detail


def test_the_keys_beside_the_own_one_have_other_rights(client: Client) -> None:
    rows = gate(client, client.keys("gate", "good"), KEYS).json
    assert [row["state"] for row in rows] == [1, 1, 2]
    rights = [{perm["name"]: perm["read_only"] for perm in row["perms"]} for row in rows]
    assert rights[1] == TRADES and rights[0] != TRADES and rights[2]["wallet"] is False


def test_variants_of_the_report(client: Client) -> None:
    keys = client.keys("gate", "good")
    client.sim.change_account("gate", "good", mode="object", pairs="BTC_USDT")
    alone = gate(client, keys, KEYS).json
    assert (alone["key"], alone["currency_pairs"], alone["updated_at"]) == ({"mode": 1}, ["BTC_USDT"], "1756300567")
    assert "update_at" not in alone
    perms = [{"name": "withdraw", "read_only": False}]
    report = {"perms": perms, "state": 3, "detail.tier": 9}
    client.sim.change_account("gate", "good", report=report, mode="", omit="last_access,detail.key")
    own = own_key(client, "good")
    assert (own["perms"], own["state"]) == (perms, 3) and "last_access" not in own and "tier" not in own
    detail = gate(client, keys, DETAIL).json
    assert detail["tier"] == 9 and "key" not in detail and "perms" not in detail


@pytest.mark.parametrize("account", REPORTS)
def test_reading(client: Client, account: str) -> None:
    keys = client.keys("gate", account)
    spot = gate(client, keys, SPOT).json
    assert {row["currency"]: row["available"] for row in spot} == {"USDT": "4210.00", "BTC": "0.0125"}
    assert [row["currency"] for row in gate(client, keys, f"{SPOT}?currency=BTC").json] == ["BTC"]
    for path in ("/spot/open_orders?limit=1", "/wallet/withdrawals", "/wallet/deposits"):
        assert gate(client, keys, path).json == []
    assert float(gate(client, keys, "/wallet/total_balance").json["total"]["amount"]) > 5710
    assert gate(client, keys, "/unified/unified_mode").json["mode"] == "classic"
    for host in (MAIN, FUTURES):
        money = gate(client, keys, MARGINED, host=host)
        if account == "no_futures":
            assert said(money) == lacks("futures")
            continue
        assert (money.json["currency"], money.json["available"]) == ("USDT", "1500.00")
        assert gate(client, keys, f"{ORDERS}?status=open", host=host).json == []
        assert gate(client, keys, "/futures/usdt/positions", host=host).json == []
    assert client.sim.violations == []


def test_parameters_that_are_missing_or_wrong(client: Client) -> None:
    keys = client.keys("gate", "good")
    assert gate(client, keys, ORDERS).json["label"] == "MISSING_REQUIRED_PARAM"
    assert gate(client, keys, "/spot/orders?status=open").json["label"] == "MISSING_REQUIRED_PARAM"
    assert gate(client, keys, "/spot/orders?status=open&currency_pair=X_Y").json["label"] == "INVALID_CURRENCY_PAIR"
    assert gate(client, keys, f"{ORDERS}?status=open&contract=X_Y").json["label"] == "CONTRACT_NOT_FOUND"


def test_a_futures_account_that_was_never_opened(client: Client) -> None:
    client.sim.change_account("gate", "good", futures={})
    answer = gate(client, client.keys("gate", "good"), MARGINED)
    assert said(answer) == (400, "USER_NOT_FOUND", "please transfer funds first to create futures account")


@pytest.mark.parametrize("group", ["account", "wallet", "spot", "futures", "unified"])
def test_a_missing_group_is_named(client: Client, group: str) -> None:
    paths = {DETAIL: "account", KEYS: "account", SPOT: "spot", MARGINED: "futures", "/wallet/total_balance": "wallet",
             "/wallet/withdrawals": "wallet", "/unified/unified_mode": "unified"}  # fmt: skip
    client.sim.change_account("gate", "good", permissions=[name for name in TRADES if name != group])
    keys = client.keys("gate", "good")
    for path, needed in paths.items():
        answer = gate(client, keys, path)
        assert said(answer) == lacks(group) if needed == group else answer.status == 200, path


@pytest.mark.parametrize("header", ["KEY", "Timestamp", "SIGN"])
def test_missing_headers(client: Client, header: str) -> None:
    answer = gate(client, client.keys("gate", "good"), DETAIL, without=header)
    assert said(answer) == (401, "MISSING_REQUIRED_HEADER", f"Missing required header: {header}")


def test_the_order_of_refusals(client: Client) -> None:
    """Each call has all the faults of the calls after it."""
    client.sim.change_account("gate", "frozen", ip_whitelist="198.51.100.7", permissions="")
    keys = client.keys("gate", "frozen")
    wrong = {**keys, "secret": "1" * 64}
    assert said(gate(client, {**wrong, "apiKey": "0" * 32}, DETAIL, age=90)) == BAD_KEY
    assert said(gate(client, wrong, DETAIL, age=90)) == LATE
    assert said(gate(client, wrong, DETAIL)) == BAD_SIGN
    assert said(gate(client, keys, DETAIL)) == BLOCKED
    client.sim.change_account("gate", "frozen", ip_whitelist="")
    assert said(gate(client, keys, DETAIL))[:2] == (403, "ACCOUNT_LOCKED")
    client.sim.change_account("gate", "frozen", status="active")
    assert said(gate(client, keys, DETAIL)) == lacks("account")


@pytest.mark.parametrize("path", [DETAIL, KEYS, SPOT, MARGINED, "/wallet/total_balance"])
def test_accounts_that_fail(client: Client, path: str) -> None:
    assert said(gate(client, client.keys("gate", "ip_blocked"), path)) == BLOCKED
    assert said(gate(client, client.keys("gate", "frozen"), path))[:2] == (403, "ACCOUNT_LOCKED")
    client.sim.change_account("gate", "sub_account", status="frozen")
    assert said(gate(client, client.keys("gate", "sub_account"), path))[:2] == (403, "SUB_ACCOUNT_LOCKED")
    client.sim.change_account("gate", "good", seen_address="203.0.113.7")
    blocked = said(gate(client, client.keys("gate", "good"), path))
    assert blocked == (403, "FORBIDDEN", "Request IP not in whitelist: 203.0.113.7")
    assert gate(client, client.keys("gate", "ip_open"), path).status == 200
    client.sim.change_account("gate", "ip_open", status="deleted")
    assert said(gate(client, client.keys("gate", "ip_open"), path)) == BAD_KEY


@pytest.mark.parametrize(
    ("age", "late"), [(0, False), (57, False), (-57, False), (63, True), (-63, True), (-1.6e12, True)]
)
def test_the_clock(client: Client, age: float, late: bool) -> None:
    answer = gate(client, client.keys("gate", "good"), DETAIL, age=age)
    assert said(answer) == LATE if late else answer.status == 200


def test_the_clock_of_the_exchange(client: Client) -> None:
    assert client.control("POST", "/clock", {"exchange": "gate", "offset_ms": 120_000})[0] == 200
    assert said(gate(client, client.keys("gate", "good"), DETAIL)) == LATE


@pytest.mark.parametrize(
    ("stamp", "good"), [("{:.6f}", True), ("{:.0f}000", False), ("now", False), ("-{:.0f}", False), ("{:.0f}e0", False)]
)
def test_how_the_time_is_written(client: Client, stamp: str, good: bool) -> None:
    answer = gate(client, client.keys("gate", "good"), DETAIL, stamp=stamp.format(time.time()))
    assert answer.status == 200 if good else said(answer) == LATE


def test_what_is_signed(client: Client) -> None:
    keys = client.keys("gate", "good")
    coded, plain = "/spot/orders?currency_pair=BTC%5FUSDT&status=open", "currency_pair=BTC_USDT&status=open"
    assert gate(client, keys, coded).json == gate(client, keys, coded, signed_query=plain).json == []
    for other in ("", "status=open&currency_pair=BTC_USDT"):
        assert said(gate(client, keys, coded, signed_query=other)) == BAD_SIGN
    for sign in ("0" * 128, "é", "x"):
        assert said(gate(client, keys, DETAIL, sign=sign)) == BAD_SIGN
    assert said(gate(client, {**keys, "secret": client.keys("gate", "ip_open")["secret"]}, DETAIL)) == BAD_SIGN


@pytest.mark.parametrize(("site", "home"), [("global", MAIN), ("eu", EU), ("testnet", TESTNET)])
def test_regions(client: Client, site: str, home: str) -> None:
    client.sim.change_account("gate", "good", site=site)
    keys = client.keys("gate", "good")
    for host in (MAIN, EU, TESTNET):
        answer = gate(client, keys, DETAIL, host=host)
        assert answer.status == 200 if host == home else said(answer) == BAD_KEY
    assert gate(client, keys, MARGINED, host=FUTURES).status == (200 if site == "global" else 401)
    assert gate(client, keys, MARGINED, host=EU).status == 404, "Gate EU has no futures"
    assert gate(client, keys, SPOT, host=FUTURES).status == 404


@pytest.mark.parametrize(
    ("method", "path", "what", "group"),
    [
        ("POST", "/withdrawals", "moves money", "withdrawal"),
        ("DELETE", "/withdrawals/none", "moves money", "withdrawal"),
        ("POST", "/wallet/transfers", "moves money", None),
        ("POST", "/spot/orders", "places or cancels an order", None),
        ("POST", ORDERS, "places or cancels an order", None),
        ("POST", "/futures/usdt/positions/BTC_USDT/leverage", "changes a position", None),
        ("PUT", "/unified/unified_mode", "changes the account", None),
        ("POST", "/sub_accounts/1/keys", "edits a key", "sub_accounts"),
        ("POST", "/sub_accounts", "edits a sub-account", "sub_accounts"),
        ("POST", "/anything", "is no documented dry run", "anything"),
    ],
)
def test_writes_are_refused_and_remembered(
    client: Client, method: str, path: str, what: str, group: str | None
) -> None:
    answer = gate(client, client.keys("gate", "withdraw"), path, method=method, body=json.dumps({"amount": "1"}))
    assert said(answer) == (lacks(group) if group else (403, "READ_ONLY", "API key is read-only"))
    assert [seen["violation"] for seen in client.sim.violations] == [what]
    if path == ORDERS:
        assert said(gate(client, client.keys("gate", "no_futures"), path, method=method)) == lacks("futures")


def test_headers_and_out_of_order(client: Client) -> None:
    keys = client.keys("gate", "good")
    for path, limit in ((DETAIL, 150), (SPOT, 200), ("/wallet/total_balance", 80)):
        headers = gate(client, keys, path).headers
        assert int(headers["x-gate-ratelimit-limit"]) == limit > int(headers["x-gate-ratelimit-requests-remain"])
        assert 0 < int(headers["x-gate-ratelimit-reset-timestamp"]) - time.time() + 1 < 12
        assert abs(int(headers["x-in-time"]) / 1e6 - time.time()) < 2
    assert said(gate(client, keys, "/account/nothing"))[:2] == (404, "NOT_FOUND")
    with client.sim.faults({"status": 429}):
        assert said(gate(client, keys, DETAIL))[:2] == (429, "TOO_MANY_REQUESTS")
    with client.sim.faults({"kind": "maintenance"}):
        assert said(gate(client, keys, DETAIL))[:2] == (503, "SERVER_ERROR")


def test_markets(client: Client) -> None:
    def public(target: str) -> Answer:
        return client.call("GET", MAIN, V4 + target)

    names = ["BTC_USDT", "ETH_USDT", "SOL_USDT", "DOGE_USDT", "LTC_USDT", "LUNC_USDT"]
    assert [row["id"] for row in public("/spot/currency_pairs").json] == names
    assert [row["name"] for row in public("/futures/usdt/contracts").json] == names
    assert [row["currency_pair"] for row in public("/spot/tickers").json] == names
    assert [row["contract"] for row in public("/futures/usdt/tickers?contract=ETH_USDT").json] == names[1:2]
    assert public("/spot/currency_pairs/SOL_USDT").json["amount_precision"] == 3
    assert public("/futures/usdt/contracts/BTC_USDT").json["quanto_multiplier"] == "0.001"
    for path in ("/spot/currency_pairs/NO_NO", "/spot/tickers?currency_pair=NO_NO", "/spot/candlesticks"):
        assert (public(path).status, public(path).json["label"]) == (400, "INVALID_CURRENCY_PAIR")
    for path in ("contracts/NO_NO", "tickers?contract=NO_NO", "candlesticks?contract=NO_NO"):
        assert public(f"/futures/usdt/{path}").json["label"] == "CONTRACT_NOT_FOUND"
    until = int(time.time()) // 3600 * 3600
    span = f"from={until - 36000 + 1}&to={until}"
    spot = public(f"/spot/candlesticks?currency_pair=BTC_USDT&interval=1h&{span}").json
    futures = public(f"/futures/usdt/candlesticks?contract=BTC_USDT&interval=1h&{span}").json
    hours = list(range(until - 32400, until + 1, 3600))
    assert [int(row[0]) for row in spot] == [row["t"] for row in futures] == hours
    closed = [row[2:6] for row in spot][:-1]  # the open one moves between two questions
    assert closed == [[row[word] for word in "chlo"] for row in futures][:-1]
    last = public("/spot/candlesticks?currency_pair=BTC_USDT&interval=1m&limit=5").json
    assert [row[7] for row in last] == ["true"] * 4 + ["false"], "the last one is still open"
    for wrong in ("interval=2m", "limit=1001", "limit=5&from=1700000000"):
        answer = public(f"/spot/candlesticks?currency_pair=BTC_USDT&{wrong}")
        assert (answer.status, answer.json["label"]) == (400, "INVALID_PARAM_VALUE"), wrong


SPOT_FEE, WALLET_FEE, FUTURES_FEE = "/spot/fee", "/wallet/fee", "/futures/usdt/fee"


def test_fees_of_this_account(client: Client) -> None:
    reader = client.keys("gate", "read_only")
    spot, wallet = (gate(client, reader, f"{path}?currency_pair=ETH_USDT").json for path in (SPOT_FEE, WALLET_FEE))
    for told in (spot, wallet):
        assert (told["maker_fee"], told["taker_fee"]) == ("0.0007", "0.0009")
        assert (told["gt_discount"], told["gt_taker_fee"], told["debit_fee"]) == (False, "0", 3)
    assert spot["currency_pair"] == "ETH_USDT" and "currency_pair" not in wallet
    assert (wallet["futures_maker_fee"], wallet["futures_taker_fee"]) == ("0.00016", "0.00045")
    rates = {"taker_fee": "0.00045", "maker_fee": "0.00016"}
    assert gate(client, reader, f"{FUTURES_FEE}?contract=ETH_USDT").json == {"ETH_USDT": rates}
    every = gate(client, reader, FUTURES_FEE, host=FUTURES).json
    assert len(every) == 6 and every["BTC_USDT"] == rates


def test_refusals_of_fees(client: Client) -> None:
    keys = client.keys("gate", "good")
    for path, label in ((SPOT_FEE, "INVALID_CURRENCY_PAIR"), (WALLET_FEE, "INVALID_CURRENCY_PAIR")):
        assert said(gate(client, keys, f"{path}?currency_pair=NO_NO"))[:2] == (400, label)
    assert said(gate(client, keys, f"{FUTURES_FEE}?contract=NO_NO"))[:2] == (400, "CONTRACT_NOT_FOUND")
    for path in (SPOT_FEE, WALLET_FEE, FUTURES_FEE):
        assert said(gate(client, keys, path, sign="0" * 128)) == BAD_SIGN
    assert said(gate(client, client.keys("gate", "no_futures"), FUTURES_FEE)) == lacks("futures")
    client.sim.change_account("gate", "good", permissions="futures")
    assert said(gate(client, keys, WALLET_FEE)) == lacks("wallet")
    assert said(gate(client, keys, SPOT_FEE)) == lacks("spot")
