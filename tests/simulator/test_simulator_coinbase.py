"""Coinbase: tokens of both kinds, each refusal, each sample account (Coinbase documents and official SDK)."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from simulator_client import Answer, Client, Keys

from bfai.simulator.coinbase import holds

HOST = "api.coinbase.com"
V3 = "/api/v3/brokerage"
REPORT = f"{V3}/key_permissions"
PREVIEW = f"{V3}/orders/preview"
ORDER: dict[str, Any] = {
    "product_id": "BTC-USDT",
    "side": "BUY",
    "order_configuration": {"limit_limit_gtc": {"base_size": "0.001", "limit_price": "60000", "post_only": False}},
}


def packed(raw: bytes | dict[str, Any]) -> str:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(keys: Keys, uri: str, head: dict[str, Any], claims: dict[str, Any]) -> str:
    """A JWT by whichever kind of key it is. A claim that is None is left out."""
    key, secret, now = str(keys["apiKey"]), str(keys["secret"]), int(time.time())
    edwards = "BEGIN" not in secret
    header = {"alg": "EdDSA" if edwards else "ES256", "typ": "JWT", "kid": key, "nonce": "0" * 32, **head}
    said = {"sub": key, "iss": "cdp", "nbf": now, "exp": now + 120, "uri": uri, **claims}
    signed = f"{packed(header)}.{packed({k: v for k, v in said.items() if v is not None})}"
    if edwards:
        signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32]).sign(signed.encode())
    else:
        private = load_pem_private_key(secret.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{signed}.{packed(signature)}"


def coinbase(
    client: Client, keys: Keys, method: str, target: str, body: str | None = None, *, uri: str | None = None,
    head: dict[str, Any] | None = None, **claims: Any,
) -> Answer:  # fmt: skip
    uri = f"{method} {HOST}{target.partition('?')[0]}" if uri is None else uri
    bearer = f"Bearer {token(keys, uri, head or {}, claims)}"
    return client.call(method, HOST, target, {"Authorization": bearer}, body)


def is_refused(answer: Answer) -> bool:
    plain = answer.headers["content-type"].startswith("text/plain")
    return (answer.status, answer.body, plain) == (401, b"Unauthorized", True)


def lacks_a_right(answer: Answer) -> bool:
    words = "Missing required scopes"
    denied = {"error": "PERMISSION_DENIED", "error_details": words, "message": words}
    return answer.status == 403 and answer.json == denied


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_signatures_of_the_standards() -> None:
    """RFC 7515, A.3 (ES256), and RFC 8037, A.4 (EdDSA)."""
    private = ec.derive_private_key(
        int.from_bytes(unpacked("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), "big"), ec.SECP256R1()
    )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    signed = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
        b"Ijp0cnVlfQ"
    )
    right = unpacked("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
    assert holds(pem, "ES256", signed, right)
    assert not holds(pem, "ES256", signed + b".", right)
    assert not holds(pem, "EdDSA", signed, right)
    assert not holds("no key", "ES256", signed, right)

    seed = base64.b64encode(unpacked("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")).decode()
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    right = unpacked("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
    assert holds(seed, "EdDSA", signed, right)
    assert not holds(seed, "EdDSA", signed, right[:-1] + b"\0")
    assert not holds(seed, "ES256", signed, right)


def test_keys_look_like_keys_of_the_portal(client: Client) -> None:
    uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    keys = client.sim.accounts["coinbase"]
    assert list(keys) == ["good", "ip_open", "withdraw", "read_only", "ip_blocked", "unknown_right"]
    for name, key in keys.items():
        if name == "ip_open":
            assert re.fullmatch(uuid, str(key["apiKey"]))
            assert len(base64.b64decode(str(key["secret"]))) == 64
        else:
            assert re.fullmatch(f"organizations/{uuid}/apiKeys/{uuid}", str(key["apiKey"]))
            assert str(key["secret"]).startswith("-----BEGIN EC PRIVATE KEY-----\n")


def test_public(client: Client) -> None:
    answer = client.call("GET", HOST, f"{V3}/time")
    assert abs(int(answer.json["epochMillis"]) - time.time() * 1000) < 2000
    assert answer.json["iso"].endswith("Z")
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)
    assert client.call("GET", HOST, f"{V3}/nothing").status == 404
    assert client.call("GET", HOST, "/v2/nothing").json["errors"][0]["id"] == "not_found"


REPORTS = {
    "good": (True, False), "ip_open": (True, False), "withdraw": (True, True), "read_only": (False, False),
    "unknown_right": (True, False),
}  # fmt: skip


@pytest.mark.parametrize(("account", "rights"), REPORTS.items())
def test_key_reports(client: Client, account: str, rights: tuple[bool, bool]) -> None:
    answer = coinbase(client, client.keys("coinbase", account), "GET", REPORT)
    assert answer.status == 200
    report = answer.json
    assert report.pop("portfolio_uuid")
    trade, transfer = rights
    assert report == {
        "can_view": True, "can_trade": trade, "can_transfer": transfer, "portfolio_type": "DEFAULT",
        **({"can_vault": True} if account == "unknown_right" else {}),
    }  # fmt: skip


@pytest.mark.parametrize("account", REPORTS)
def test_rights_gate_the_calls(client: Client, account: str) -> None:
    keys = client.keys("coinbase", account)
    wallets = coinbase(client, keys, "GET", f"{V3}/accounts").json["accounts"]
    assert {row["currency"]: row["available_balance"]["value"] for row in wallets} == {
        "USDT": "4210.00", "BTC": "0.0125",
    }  # fmt: skip
    assert coinbase(client, keys, "GET", f"{V3}/orders/historical/batch?order_status=OPEN").json["orders"] == []
    preview = coinbase(client, keys, "POST", PREVIEW, json.dumps(ORDER))
    assert lacks_a_right(preview) if account == "read_only" else preview.json["errs"] == []
    assert client.sim.violations == []


def test_a_key_without_view(client: Client) -> None:
    keys = client.keys("coinbase", "good")
    client.sim.change_account("coinbase", "good", permissions="trade")
    assert coinbase(client, keys, "GET", REPORT).json["can_view"] is False
    for path in ("accounts", "orders/historical/batch", "orders/historical/fills", "portfolios", "products"):
        assert lacks_a_right(coinbase(client, keys, "GET", f"{V3}/{path}")), path
    old = coinbase(client, keys, "GET", "/v2/accounts")
    assert (old.status, old.json["errors"][0]["id"]) == (403, "invalid_scope")


NOW = int(time.time())
WRONG: dict[str, dict[str, Any]] = {
    "another path": {"uri": f"GET {HOST}{V3}/accounts"},
    "another method": {"uri": f"POST {HOST}{REPORT}"},
    "another host": {"uri": f"GET api-sandbox.coinbase.com{REPORT}"},
    "with https": {"uri": f"GET https://{HOST}{REPORT}"},
    "no path": {"uri": None},
    "not among them": {"uri": None, "uris": [f"GET {HOST}{V3}/accounts"]},
    "no life": {"nbf": None},
    "no end": {"exp": None},
    "too long a life": {"nbf": NOW, "exp": NOW + 7200},
    "over": {"nbf": NOW - 240, "exp": NOW - 120},
    "to come": {"nbf": NOW + 3600, "exp": NOW + 3720},
    "end as text": {"exp": str(NOW + 60)},
    "another key": {"sub": "organizations/0/apiKeys/0"},
    "no subject": {"sub": None},
    "unknown key": {"head": {"kid": "organizations/0/apiKeys/0"}},
    "no key": {"head": {"kid": None}},
    "another algorithm": {"head": {"alg": "HS256"}},
    "no algorithm": {"head": {"alg": "none"}},
}


@pytest.mark.parametrize("account", ["good", "ip_open"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_tokens(client: Client, account: str, wrong: str) -> None:
    keys, how = client.keys("coinbase", account), dict(WRONG[wrong])
    if "uri" in how and how["uri"] is None:
        how["uri"] = ""
    assert is_refused(coinbase(client, keys, "GET", REPORT, **how))
    assert coinbase(client, keys, "GET", REPORT).status == 200


@pytest.mark.parametrize("account", ["good", "ip_open"])
def test_right_tokens(client: Client, account: str) -> None:
    keys, uri, now = client.keys("coinbase", account), f"GET {HOST}{REPORT}", int(time.time())
    tokens: list[dict[str, Any]] = [
        {"iss": "coinbase-cloud", "aud": ["retail_rest_api_proxy"], "iat": now},
        {"uris": [uri], "aud": ["cdp_service"], "iat": now},
        {"uris": [f"GET {HOST}{V3}/accounts", uri]},
        {"nbf": now - 60, "exp": now + 60},
    ]
    for claims in tokens:
        assert coinbase(client, keys, "GET", REPORT, **claims).status == 200, claims
    target = f"{V3}/accounts?limit=1"
    assert coinbase(client, keys, "GET", target).status == 200, "the query is not signed"
    assert is_refused(coinbase(client, keys, "GET", target, uri=f"GET {HOST}{target}"))


def test_wrong_credentials(client: Client) -> None:
    good, other, edwards = (client.keys("coinbase", name) for name in ("good", "withdraw", "ip_open"))
    for keys in ({**good, "secret": other["secret"]}, {**good, "secret": edwards["secret"]},
                 {**edwards, "secret": good["secret"]}, {**good, "apiKey": "organizations/0/apiKeys/0"}):  # fmt: skip
        assert is_refused(coinbase(client, keys, "GET", REPORT))
    for headers in (
        {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic YTpi"},
        {"Authorization": f"Bearer {token(good, f'GET {HOST}{REPORT}', {}, {}).rpartition('.')[0]}."},
        {"CB-ACCESS-KEY": "a", "CB-ACCESS-SIGN": "b", "CB-ACCESS-TIMESTAMP": str(NOW)},
    ):  # fmt: skip
        assert is_refused(client.call("GET", HOST, REPORT, headers)), headers


@pytest.mark.parametrize(
    "change",
    [{"ip_whitelist": "198.51.100.7"}, {"status": "expired"}, {"status": "deleted"}, {"expires_in_days": -1.0},
     {"site": "international"}],
)  # fmt: skip
def test_everything_else_is_the_same_plain_refusal(client: Client, change: dict[str, Any]) -> None:
    client.sim.change_account("coinbase", "good", **change)
    assert is_refused(coinbase(client, client.keys("coinbase", "good"), "GET", REPORT))


def test_address_and_clock(client: Client) -> None:
    blocked = client.keys("coinbase", "ip_blocked")
    assert is_refused(coinbase(client, blocked, "GET", REPORT))
    client.sim.set_address("198.51.100.7")
    assert coinbase(client, blocked, "GET", REPORT).status == 200
    assert is_refused(coinbase(client, client.keys("coinbase", "good"), "GET", REPORT))
    assert coinbase(client, client.keys("coinbase", "ip_open"), "GET", REPORT).status == 200
    for offset in (-600_000, 600_000):
        client.sim.set_clock(offset)
        assert is_refused(coinbase(client, blocked, "GET", REPORT))


def test_a_frozen_account_is_told_apart_from_a_missing_right(client: Client) -> None:
    client.sim.change_account("coinbase", "good", status="frozen")
    answer = coinbase(client, client.keys("coinbase", "good"), "GET", REPORT)
    assert (answer.status, answer.json["error"]) == (403, "PERMISSION_DENIED")
    assert not lacks_a_right(answer)


def test_the_older_api(client: Client) -> None:
    keys = client.keys("coinbase", "withdraw")
    assert coinbase(client, keys, "GET", "/v2/user/auth").json["data"]["scopes"] == [
        "rat#view", "rat#trade", "rat#transfer",
    ]  # fmt: skip
    rows = coinbase(client, keys, "GET", "/v2/accounts").json["data"]
    assert [row["balance"]["amount"] for row in rows] == ["4210.00", "0.0125"]
    for kind in ("deposits", "withdrawals", "transactions"):
        assert coinbase(client, keys, "GET", f"/v2/accounts/{rows[0]['id']}/{kind}").json["data"] == []

    def words(**claims: Any) -> tuple[int, Any]:
        answer = coinbase(client, {**keys, **claims.pop("keys", {})}, "GET", "/v2/user/auth", **claims)
        return answer.status, answer.json["errors"]

    wrong = [{"id": "authentication_error", "message": "invalid api key"}]
    assert words(keys={"secret": client.keys("coinbase", "good")["secret"]}) == (401, wrong)
    late = [{"id": "authentication_error", "message": "request timestamp expired"}]
    assert words(nbf=NOW - 240, exp=NOW - 120) == (401, late)


def test_variants_of_the_report(client: Client) -> None:
    keys = client.keys("coinbase", "good")
    client.sim.change_account(
        "coinbase", "good", mode="CONSUMER", omit="can_transfer", report={"can_withdraw": False, "can_view": None}
    )
    report = coinbase(client, keys, "GET", REPORT).json
    assert report.keys() == {"can_view", "can_trade", "can_withdraw", "portfolio_uuid", "portfolio_type"}
    assert (report["can_view"], report["portfolio_type"]) == (None, "CONSUMER")
    portfolio = coinbase(client, keys, "GET", f"{V3}/portfolios").json["portfolios"]
    assert [(row["uuid"], row["type"]) for row in portfolio] == [(report["portfolio_uuid"], "CONSUMER")]


def test_wallets_come_in_pages(client: Client) -> None:
    keys = client.keys("coinbase", "good")
    first = coinbase(client, keys, "GET", f"{V3}/accounts?limit=1").json
    assert (first["has_next"], first["size"], first["accounts"][0]["currency"]) == (True, 1, "USDT")
    last = coinbase(client, keys, "GET", f"{V3}/accounts?limit=1&cursor={first['cursor']}").json
    assert (last["has_next"], last["cursor"], last["accounts"][0]["currency"]) == (False, "", "BTC")
    uuid = last["accounts"][0]["uuid"]
    assert coinbase(client, keys, "GET", f"{V3}/accounts/{uuid}").json["account"]["currency"] == "BTC"
    assert coinbase(client, keys, "GET", f"{V3}/accounts/none").status == 404


def test_preview_validates(client: Client) -> None:
    keys = client.keys("coinbase", "good")

    def preview(terms: dict[str, str] | None = None, kind: str = "limit_limit_gtc", **changes: object) -> Answer:
        order = ORDER if terms is None else {**ORDER, "order_configuration": {kind: terms}}
        return coinbase(client, keys, "POST", PREVIEW, json.dumps({**order, **changes}))

    done = preview().json
    assert (done["errs"], done["order_total"], bool(done["preview_id"])) == ([], "60.3900000", True)
    assert preview({"quote_size": "100"}, "market_market_ioc").json["errs"] == []
    assert preview({"base_size": "0.01"}, "market_market_ioc", side="SELL").json["errs"] == []
    broken: list[dict[str, Any]] = [
        {"product_id": "NO-NO"}, {"side": "LONG"}, {"order_configuration": {}}, {"order_configuration": None},
        {"order_configuration": {"odd": {}}},
    ]  # fmt: skip
    for changes in broken:
        answer = preview(**changes)
        assert (answer.status, answer.json["error"]) == (400, "INVALID_ARGUMENT"), changes
    assert coinbase(client, keys, "POST", PREVIEW, "[]").status == 400
    for terms, wrong in (
        ({"base_size": "0.001"}, "PREVIEW_INVALID_LIMIT_PRICE"),
        ({"base_size": "0.001", "limit_price": "60000.01"}, "PREVIEW_INVALID_PRICE_PRECISION"),
        ({"limit_price": "60000"}, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
        ({"base_size": "1", "limit_price": "60000"}, "PREVIEW_INSUFFICIENT_FUND"),
    ):
        answer = preview(terms)
        assert (answer.status, answer.json["errs"], answer.json["preview_id"]) == (200, [wrong], ""), terms
    assert client.sim.violations == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (f"{V3}/orders", "places or cancels an order"), (f"{V3}/orders/batch_cancel", "places or cancels an order"),
        (f"{V3}/portfolios/move_funds", "moves money"), (f"{V3}/portfolios", "edits a portfolio"),
        (f"{V3}/convert/quote", "moves money"), (f"{V3}/cfm/sweeps/schedule", "moves money"),
        ("/v2/accounts/0/transactions", "moves money"), ("/v2/user", "edits the account"),
        (f"{V3}/anything", "is no documented dry run"),
    ],
)  # fmt: skip
def test_writes_are_refused_and_remembered(client: Client, path: str, what: str) -> None:
    answer = coinbase(client, client.keys("coinbase", "withdraw"), "POST", path, "{}")
    assert answer.status == 403
    assert [seen["violation"] for seen in client.sim.violations] == [what]


def test_the_static_sandbox(client: Client) -> None:
    sandbox = "api-sandbox.coinbase.com"
    assert len(client.call("GET", sandbox, f"{V3}/accounts").json["accounts"]) == 1
    assert client.call("GET", sandbox, f"{V3}/orders/historical/batch").json["orders"] == []
    for path in (REPORT, f"{V3}/time", "/v2/user/auth"):
        assert client.call("GET", sandbox, path).status == 404
    client.call("POST", sandbox, PREVIEW, body="{}")
    assert len(client.sim.violations) == 1


def test_out_of_order(client: Client) -> None:
    keys = client.keys("coinbase", "good")
    with client.sim.faults({"status": 429}):
        answer = coinbase(client, keys, "GET", REPORT)
        assert (answer.status, answer.json["error"]) == (429, "rate_limit_exceeded")
        assert coinbase(client, keys, "GET", "/v2/user").json["errors"][0]["id"] == "rate_limit_exceeded"
    with client.sim.faults({"kind": "maintenance"}):
        assert coinbase(client, keys, "GET", REPORT).status == 503


def test_markets(client: Client) -> None:
    keys = client.keys("coinbase", "good")
    names = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "DOGE-USDT", "LTC-USDT", "LUNC-USDT"]
    for rows in (
        client.call("GET", HOST, f"{V3}/market/products").json["products"],
        coinbase(client, keys, "GET", f"{V3}/products").json["products"],
    ):
        assert [row["product_id"] for row in rows] == names
    assert is_refused(client.call("GET", HOST, f"{V3}/products"))
    assert is_refused(client.call("GET", HOST, f"{V3}/products/BTC-USDT/ticker"))
    assert client.call("GET", HOST, f"{V3}/market/products/NO-NO").status == 400
    assert client.call("GET", HOST, f"{V3}/market/products/NO-NO/ticker").status == 400
    assert client.call("GET", HOST, f"{V3}/market/products/BTC-USDT/ticker").json["trades"][0]["product_id"] == names[0]
    target = f"{V3}/market/products/ETH-USDT/candles?granularity=ONE_HOUR&start=1700000000&end=1700040000"
    rows = client.call("GET", HOST, target).json["candles"]
    assert len(rows) == 11
    assert int(rows[0]["start"]) > int(rows[-1]["start"]), "newest first"


def test_fees_of_this_account(client: Client) -> None:
    target = f"{V3}/transaction_summary?product_type=SPOT"
    answer = coinbase(client, client.keys("coinbase", "read_only"), "GET", target)
    tier = answer.json["fee_tier"]
    assert (tier["maker_fee_rate"], tier["taker_fee_rate"]) == ("0.0035", "0.0065")
    assert tier["volume_types_and_range"][0]["vol_from"] == "0" and answer.json["has_promo_fee"] is False
    assert answer.headers["x-ratelimit-limit"] == "30"
    keys = client.keys("coinbase", "good")
    wrong = coinbase(client, keys, "GET", f"{V3}/transaction_summary?product_type=NONO")
    assert (wrong.status, wrong.json["error"]) == (400, "INVALID_ARGUMENT")
    strange = {**keys, "secret": client.keys("coinbase", "withdraw")["secret"]}
    assert is_refused(coinbase(client, strange, "GET", target))
    client.sim.change_account("coinbase", "good", permissions="trade")
    assert lacks_a_right(coinbase(client, keys, "GET", target))
