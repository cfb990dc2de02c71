"""Coinbase against what it documents: tokens, forms of a private key, key reports, refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, Call, Role, Tick
from bfai.model import (
    Advice,
    Cause,
    CheckName,
    Credentials,
    Diagnosis,
    Environment,
    ExpiryEvidence,
    GrantState,
    KeyReport,
    Market,
    Outcome,
    Permission,
    Status,
)
from bfai.paste import read_paste
from bfai.simulator import Simulator
from bfai.simulator.coinbase import holds
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    DENIED,
    GRANTED,
    UNKNOWN,
    call_of,
    check_cause,
    check_error,
    check_recognised,
    check_text,
    check_verdict,
    checked_report,
    client_of,
    diagnosed,
    error_lines,
    pem_of,
    present,
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

COINBASE = get_exchange("coinbase")
UUID = "55555555-6666-4777-8888-999999999999"
NAME = f"organizations/00000000-1111-4222-8333-444444444444/apiKeys/{UUID}"
NOW = 1_700_000_000

EC = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
PEM = EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
PKCS8 = pem_of(EC)
EDWARDS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = EDWARDS.private_bytes_raw() + EDWARDS.public_key().public_bytes_raw()
BASE64 = base64.b64encode(RAW).decode()
SEED = base64.b64encode(RAW[:32]).decode()
EDWARDS_PEM = pem_of(EDWARDS)


def refusal(body: Any, status: int = 401, role: str = "any") -> Diagnosis:
    text = body if isinstance(body, str) else json.dumps(body)
    return diagnosed(Answer(role=role, status=status, body=text), COINBASE)


# -- tokens ------------------------------------------------------------------------------------------------------------


def decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token_of(client: Client, call: Call) -> list[str]:
    _, headers, _ = client._sign(call, "api.coinbase.com")
    scheme, _, token = headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert not any(name.startswith("CB-ACCESS") for name in headers)
    return token.split(".")


@pytest.mark.parametrize(
    ("key", "secret", "algorithm", "issuer", "uris"),
    [
        (NAME, PEM, "ES256", "coinbase-cloud", False),
        (UUID, PEM, "ES256", "coinbase-cloud", False),
        (UUID, BASE64, "EdDSA", "cdp", True),
        (NAME, BASE64, "EdDSA", "cdp", True),
        (UUID, SEED, "EdDSA", "cdp", True),
    ],
)
@pytest.mark.parametrize("offset_ms", [0, 3_600_000, -90_000])
@pytest.mark.usefixtures("frozen_clock")
def test_tokens(key: str, secret: str, algorithm: str, issuer: str, uris: bool, offset_ms: int) -> None:
    client = client_of(COINBASE, key, secret, clock_offset_ms=offset_ms)
    call = call_of(COINBASE, Role.BALANCE)
    header, claims, signature = token_of(client, call)
    head, told = decoded(header), decoded(claims)
    assert (head["alg"], head["kid"], told["sub"], told["iss"]) == (algorithm, key, key, issuer)
    where = f"GET api.coinbase.com{call.path}"  # without the query
    assert told["uris" if uris else "uri"] == ([where] if uris else where)
    now = NOW + offset_ms // 1000
    assert now - 5 <= told["nbf"] <= now, "by the exchange's clock, and never in its future"
    assert told["exp"] - told["nbf"] == 120
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    assert holds(secret, algorithm, f"{header}.{claims}".encode(), raw)


def test_the_dry_run_is_the_documented_preview() -> None:
    call = call_of(COINBASE, Role.DRY_RUN)
    assert (call.method, call.path) == ("POST", "/api/v3/brokerage/orders/preview")
    client = client_of(COINBASE, NAME, PEM)
    url, headers, body = client._sign(call, "api.coinbase.com")
    assert str(url) == "https://api.coinbase.com/api/v3/brokerage/orders/preview"
    assert json.loads(body or "")["product_id"] == "BTC-USD"
    assert decoded(headers["Authorization"].split(".")[1])["uri"] == f"POST api.coinbase.com{call.path}"
    assert {call.method for call in COINBASE.calls if call.role is not Role.DRY_RUN} == {"GET"}


def test_spot_only_and_no_sandbox() -> None:
    assert COINBASE.markets == (Market.SPOT,)
    assert not COINBASE.serves("global", Market.FUTURES)
    assert COINBASE.environments == (Environment.LIVE, Environment.SIMULATOR)


# -- what copying makes of a private key -------------------------------------------------------------------------------

WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    "no last line end": lambda pem: pem.rstrip(),
    "windows": lambda pem: pem.replace("\n", "\r\n"),
    "old mac": lambda pem: pem.replace("\n", "\r"),
    "escapes": lambda pem: pem.replace("\n", "\\n"),
    "windows escapes": lambda pem: pem.replace("\n", "\\r\\n"),
    "quotes": lambda pem: f'"{pem}"',
    "quoted escapes": lambda pem: '"' + pem.replace("\n", "\\n") + '"',
    "one line": lambda pem: pem.replace("\n", ""),
    "blanks": lambda pem: pem.replace("\n", " "),
    "indented": lambda pem: "    " + pem.replace("\n", "\n    "),
    "blank lines": lambda pem: pem.replace("\n", "\n\n"),
    "without its outer lines": lambda pem: "\n".join(pem.splitlines()[1:-1]),
    "one line without its outer lines": lambda pem: "".join(pem.splitlines()[1:-1]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "sent"), [(PEM, PEM), (PKCS8, PEM), (EDWARDS_PEM, BASE64)], ids=["SEC1", "PKCS8", "Ed25519"]
)
def test_every_way_of_copying_gives_what_ccxt_signs_with(given: str, sent: str, way: str) -> None:
    credentials = Credentials(f' "{NAME}" ', WAYS[way](given))
    assert COINBASE.check_credentials(credentials) == ()
    assert COINBASE.normalise(credentials) == Credentials(NAME, sent)
    assert COINBASE.normalise(COINBASE.normalise(credentials)) == Credentials(NAME, sent)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (BASE64, BASE64),
        (SEED, SEED),
        (f' "{BASE64}"\n', BASE64),
        (f"{BASE64}\\n", BASE64),
        (BASE64[:44] + "\n" + BASE64[44:], BASE64),
        (BASE64.rstrip("="), BASE64),
        (SEED.rstrip("="), SEED),
        (base64.urlsafe_b64encode(bytes([255] * 32)).decode(), base64.b64encode(bytes([255] * 32)).decode()),
    ],
)
def test_every_form_of_an_ed25519_key(given: str, sent: str) -> None:
    assert COINBASE.check_credentials(Credentials(UUID, given)) == ()
    assert COINBASE.normalise(Credentials(UUID, given)).secret == sent


def _damaged(raw: bytes) -> str:
    return base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()


OTHER_CURVE = ec.generate_private_key(ec.SECP256K1())
NO_KEYS: dict[str, str] = {
    "empty": "",
    "cut": PEM[:80],
    "cut at its head": PEM[40:],
    "changed": PEM.replace("MHcC", "MHcD"),
    "one line lost": "\n".join([*PEM.splitlines()[:1], *PEM.splitlines()[2:]]),
    "locked": EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
    "public": EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "other curve": pem_of(OTHER_CURVE),
    "RSA": pem_of(rsa.generate_private_key(65537, 2048)),
    "damaged end": _damaged(RAW),
    "short": base64.b64encode(RAW[:30]).decode(),
    "lost sign": BASE64[1:],
    "no base64": "!" * 88,
    "old secret": "abcdefghij0123456789ABCDEFGHIJKL",
    "a uuid": UUID,
    "letters of elsewhere": "ключ" * 11,
}


@pytest.mark.parametrize("kind", NO_KEYS)
@pytest.mark.parametrize("key", [NAME, UUID, "AbCdEfGh01234567"])
def test_what_is_no_private_key_is_told_before_any_call(kind: str, key: str) -> None:
    assert COINBASE.check_credentials(Credentials(key, NO_KEYS[kind]))


def test_a_key_in_the_box_of_its_name_is_told() -> None:
    (problem,) = COINBASE.check_credentials(Credentials(PEM, NAME))
    assert "swapped" in problem.text
    assert any("swapped" in p.text for p in COINBASE.check_credentials(Credentials(BASE64, UUID)))


def test_a_key_of_an_older_product_is_named() -> None:
    (problem,) = COINBASE.check_credentials(Credentials("AbCdEfGh01234567", "abcdefghij0123456789ABCDEFGHIJKL"))
    assert "older Coinbase product" in problem.text


def test_no_secret_that_passes_makes_ccxt_raise() -> None:
    call = call_of(COINBASE, Role.KEY_INFO)
    for way in WAYS.values():
        for given in (PEM, PKCS8, EDWARDS_PEM):
            for key in (NAME, UUID):
                client = client_of(COINBASE, key, way(given))
                assert len(token_of(client, call)) == 3


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": NAME, "privateKey": PEM}),
        json.dumps({"name": NAME, "privateKey": PEM}, indent=3).replace("\n", "\r\n"),
        f"{NAME}\n{PEM}",
        f"API key name\n{NAME}\nPrivate key\n{PEM}",
    ],
)
def test_paste_of_an_ec_key(text: str) -> None:
    pasted = read_paste(COINBASE, text)
    assert (pasted.credentials, pasted.problems, pasted.doubts) == (Credentials(NAME, PEM), (), ())


@pytest.mark.parametrize(
    "text",
    [json.dumps({"id": UUID, "privateKey": BASE64}), f"{UUID}\n{BASE64}", f"API Key ID: {UUID}\nSecret: {BASE64}"],
)
def test_paste_of_an_ed25519_key(text: str) -> None:
    pasted = read_paste(COINBASE, text)
    assert (pasted.credentials, pasted.problems, pasted.doubts) == (Credentials(UUID, BASE64), (), ())


def test_the_file_of_a_key_is_no_report_and_no_other_exchanges_key() -> None:
    assert read_paste(get_exchange("mexc"), json.dumps({"name": NAME, "privateKey": PEM})).credentials is None
    assert COINBASE.read_report({"name": NAME, "privateKey": PEM}) is None


# -- key reports -------------------------------------------------------------------------------------------------------

REPORT: dict[str, Any] = {
    "can_view": True,
    "can_trade": True,
    "can_transfer": False,
    "portfolio_uuid": "8bfc20d7-f7c6-4422-bf07-8243ca4169fe",
    "portfolio_type": "DEFAULT",
}


def report(**changes: Any) -> KeyReport:
    body = present({**REPORT, **changes})
    found = COINBASE.read_report(body, api_key=NAME)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("coinbase"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, COINBASE)
    assert found.ip_restriction.state is UNKNOWN
    assert (found.expires_at, found.expiry_evidence) == (None, ExpiryEvidence.NONE)


def test_a_whole_report() -> None:
    found = report()
    assert found.account_id == "8bfc20d7-f7c6-4422-bf07-8243ca4169fe"
    assert found.words == ("can_view", "can_trade")
    assert found.state(Permission.SPOT_TRADE) is found.state(Permission.FUTURES_TRADE) is GRANTED
    assert found.state(Permission.WITHDRAW) is found.state(Permission.TRANSFER) is DENIED
    assert found.grant(Permission.WITHDRAW).words == ("can_transfer",)
    assert found.state(Permission.MARGIN) is UNKNOWN
    assert (found.is_sub, found.ip_restriction.state) == (None, UNKNOWN)


def test_transfer_is_withdrawal() -> None:
    found = report(can_transfer=True)
    assert found.state(Permission.WITHDRAW) is found.state(Permission.TRANSFER) is GRANTED
    alone = COINBASE.read_report({"can_transfer": True})
    assert alone is not None
    assert alone.state(Permission.WITHDRAW) is GRANTED


@pytest.mark.parametrize("value", [..., None, "false", 0, [], {}])
def test_what_is_not_plainly_off_is_not_off(value: Any) -> None:
    assert report(can_transfer=value).state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize(("value", "state"), [(False, UNKNOWN), (None, UNKNOWN), ("no", UNKNOWN), (True, GRANTED)])
def test_a_spelling_that_no_document_has_never_denies(value: Any, state: GrantState) -> None:
    assert report(can_transfer=..., can_withdraw=value).state(Permission.WITHDRAW) is state
    beside = report(can_withdraw=value).state(Permission.WITHDRAW)
    assert beside is (DENIED if value is False else state), "anything but a plain no leaves it open"


def test_an_unknown_field_is_named_only_where_it_says_yes() -> None:
    assert report(can_vault=True).unknown_words == ("can_vault",)
    assert report(can_vault=True).state(Permission.WITHDRAW) is DENIED
    assert report(can_vault=False).unknown_words == ()


@pytest.mark.parametrize(
    "body", [None, [], "can_view", {}, {"accounts": []}, {"error": "PERMISSION_DENIED"}, {"portfolio_uuid": "x"}]
)
def test_what_is_no_key_report(body: Any) -> None:
    assert COINBASE.read_report(body) is None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("coinbase"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, COINBASE)


def v2(error: str, message: str) -> dict[str, Any]:
    return {"errors": [{"id": error, "message": message}]}


def v3(error: str, details: str) -> dict[str, Any]:
    return {"error": error, "error_details": details, "message": details}


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (401, "Unauthorized", Cause.AMBIGUOUS),
        (401, "", Cause.AMBIGUOUS),
        (401, "<html><title>401 Authorization Required</title></html>", Cause.AMBIGUOUS),
        (401, v3("UNAUTHENTICATED", "unauthenticated"), Cause.AMBIGUOUS),
        (401, {"code": 16, "message": "unauthenticated"}, Cause.AMBIGUOUS),
        (401, v2("authentication_error", "something new"), Cause.AMBIGUOUS),
        (401, v2("authentication_error", "request timestamp expired"), Cause.CLOCK_SKEW),
        (401, {"message": "request timestamp expired"}, Cause.CLOCK_SKEW),
        (401, {"error": "unauthorized", "message": "JWT is expired"}, Cause.CLOCK_SKEW),
        (401, v2("authentication_error", "invalid api key"), Cause.INVALID_KEY),
        (401, {"message": "Invalid API Key"}, Cause.INVALID_KEY),
        (401, v2("revoked_token", "The access token was revoked"), Cause.INVALID_KEY),
        (401, v2("expired_token", "The access token expired"), Cause.EXPIRED_KEY),
        (401, v2("authentication_error", "invalid signature"), Cause.INVALID_SECRET),
        (401, v2("authentication_error", "IP blocked"), Cause.IP_NOT_ALLOWED),
        (401, v3("unauthorized", "IP address not in allowlist"), Cause.IP_NOT_ALLOWED),
        (401, v2("invalid_authentication_method", "deleted user"), Cause.ACCOUNT_RESTRICTED),
        (403, v3("PERMISSION_DENIED", "Missing required scopes"), Cause.PERMISSION_MISSING),
        (403, v3("unknown", "missing required scopes"), Cause.PERMISSION_MISSING),
        (403, v2("invalid_scope", "Invalid scope"), Cause.PERMISSION_MISSING),
        (403, v3("PERMISSION_DENIED", ""), Cause.PERMISSION_MISSING),
        (403, {"code": 7, "message": "no"}, Cause.PERMISSION_MISSING),
        (403, v3("PERMISSION_DENIED", "User is not allowed to convert crypto"), Cause.ACCOUNT_RESTRICTED),
        (400, v2("identity_verification_required", "x"), Cause.ACCOUNT_RESTRICTED),
        (400, v2("jumio_face_match_verification_required", "x"), Cause.ACCOUNT_RESTRICTED),
        (402, v2("two_factor_required", "x"), Cause.ACCOUNT_RESTRICTED),
        (400, v3("INVALID_ARGUMENT", "account is not available"), Cause.EXCHANGE_UNAVAILABLE),
        (400, v3("INVALID_ARGUMENT", "target is not enabled for trading"), Cause.LOCATION_RESTRICTED),
        (403, v3("PERMISSION_DENIED", "This is not available in your region"), Cause.LOCATION_RESTRICTED),
        (400, v3("INVALID_ARGUMENT", "order_status is wrong"), Cause.UNEXPECTED_RESPONSE),
        (429, v3("rate_limit_exceeded", "Too many requests"), Cause.RATE_LIMITED),
        (429, v2("rate_limit_exceeded", "Too many requests"), Cause.RATE_LIMITED),
        (429, "Too many requests", Cause.RATE_LIMITED),
        (200, v3("RESOURCE_EXHAUSTED", ""), Cause.RATE_LIMITED),
        (500, v3("internal_server_error", "x"), Cause.EXCHANGE_UNAVAILABLE),
        (503, "Service Unavailable", Cause.EXCHANGE_UNAVAILABLE),
        (403, "Forbidden", Cause.LOCATION_RESTRICTED),
        (451, "<html></html>", Cause.LOCATION_RESTRICTED),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_refusals(status: int, body: Any, cause: Cause) -> None:
    assert refusal(body, status).cause is cause


def test_a_plain_refusal_lists_its_causes_likeliest_first() -> None:
    assert refusal("Unauthorized").candidates == (
        Cause.INVALID_KEY,
        Cause.INVALID_SECRET,
        Cause.IP_NOT_ALLOWED,
        Cause.CLOCK_SKEW,
        Cause.PERMISSION_MISSING,
    )


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("coinbase GET https://api.coinbase.com/api/v3/brokerage/accounts 401 Unauthorized ", Cause.AMBIGUOUS),
        ("HTTP Error: 401 Client Error: Unauthorized (coinbase)", Cause.AMBIGUOUS),
        (
            'coinbase {"error":"unknown","error_details":"missing required scopes","message":"missing required"}',
            Cause.PERMISSION_MISSING,
        ),
        ('{"errors":[{"id":"authentication_error","message":"invalid api key"}]}', Cause.INVALID_KEY),
    ],
)
def test_what_bots_print(text: str, cause: Cause) -> None:
    check_text(text, COINBASE, cause)


@pytest.mark.parametrize(
    ("role", "body", "good"),
    [
        (Role.TIME, {"iso": "x", "epochSeconds": "1", "epochMillis": "1000"}, True),
        (Role.TIME, {"iso": "x"}, False),
        (Role.KEY_INFO, REPORT, True),
        (Role.KEY_INFO, {"portfolio_uuid": "x"}, False),
        (Role.KEY_INFO, {}, False),
        (Role.BALANCE, {"accounts": []}, True),
        (Role.BALANCE, {"accounts": None}, False),
        (Role.ORDERS, {"orders": []}, True),
        (Role.ORDERS, {"orders": [], "error": "unknown"}, False),
        (Role.DRY_RUN, {"order_total": "1", "errs": []}, True),
        (Role.DRY_RUN, {"errs": ["PREVIEW_INSUFFICIENT_FUND"]}, True),
        (Role.DRY_RUN, {"success": True}, False),
    ],
)
def test_the_shape_of_a_success(role: Role, body: Any, good: bool) -> None:
    assert COINBASE.succeeded(Answer(role=role, status=200, body=json.dumps(body))) is good
    assert not COINBASE.succeeded(Answer(role=role, status=403, body=json.dumps(body)))


@pytest.mark.parametrize(
    ("status", "body", "nothing"),
    [
        (400, v3("INVALID_ARGUMENT", "account is not available"), True),
        (400, v3("INVALID_ARGUMENT", "product is not supported"), True),
        (404, v3("NOT_FOUND", "product not found"), True),
        (403, v3("PERMISSION_DENIED", "Missing required scopes"), False),
        (401, "Unauthorized", False),
        (429, "", False),
    ],
)
def test_a_complaint_about_the_pair_says_nothing_about_the_key(status: int, body: Any, nothing: bool) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Answer(role=Role.DRY_RUN, status=status, body=text)
    assert COINBASE.dry_run_says_nothing(answer) is nothing
    assert not COINBASE.dry_run_proves(answer), "whether the preview needs the right to trade is not documented"


def test_balances() -> None:
    def of(*rows: Any) -> dict[str, Decimal] | None:
        answer = Answer(role=Role.BALANCE, status=200, body=json.dumps({"accounts": list(rows)}))
        return COINBASE.read_balances(Market.SPOT, answer)

    def row(currency: str, value: Any) -> dict[str, Any]:
        return {"currency": currency, "available_balance": {"value": value, "currency": currency}}

    assert of(row("BTC", "0.1"), row("EUR", "0"), row("BTC", "0.2")) == {"BTC": Decimal("0.3")}
    assert of() == {}
    assert of(row("BTC", "some")) is None
    assert of({"currency": "BTC"}) is None
    assert of("BTC") is None


# -- recognising -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v3/brokerage/accounts 401",
        "COINBASE_API_KEY is wrong",
        f"key {NAME}",
        "CB-ACCESS-SIGN",
        '{"can_view":true,"can_trade":false,"can_transfer":false}',
        '{"error":"PERMISSION_DENIED","error_details":"x","message":"x"}',
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, COINBASE)


def test_the_key_page_is_told_as_it_is() -> None:
    ticks = {right.box: right.tick(Market.SPOT) for right in COINBASE.rights}
    assert ticks == {"View": Tick.NEEDED, "Trade": Tick.NEEDED, "Transfer": Tick.NEVER}
    assert (COINBASE.guide.max_ips, COINBASE.expiry_rules) == (None, ())


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("coinbase"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", account), market=market)
    check_verdict(run, verdict)


def test_trade_gives_more_and_nobody_is_told_to_untick_it(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.IP_RESTRICTION_UNKNOWN,))


def test_a_refused_address_is_one_of_the_causes(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "ip_blocked"))
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.AMBIGUOUS
    assert Cause.IP_NOT_ALLOWED in run.diagnosis.candidates
    assert Cause.CLOCK_SKEW not in run.diagnosis.candidates, "the clocks agree"


@pytest.mark.parametrize("account", ["good", "ip_open"])
@pytest.mark.parametrize("offset_ms", [-600_000, -90_000, 90_000, 600_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, account: str, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", account))
    assert run.status is Status.CONNECTED
    assert Advice.CLOCK_CORRECTED in run.advice


@pytest.mark.parametrize("offset_ms", [-900, -400, 900])
def test_a_clock_that_is_nearly_right_is_not_refused(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.IP_RESTRICTION_UNKNOWN,))


@pytest.mark.parametrize(
    ("status", "error", "details"),
    [
        (400, "INVALID_ARGUMENT", "account is not available"),
        (400, "INVALID_ARGUMENT", "target is not enabled for trading"),
        (404, "NOT_FOUND", "product not found"),
    ],
)
def test_a_pair_that_is_not_sold_here_is_no_fault_of_the_key(
    simulator: Simulator, gateway: Gateway, status: int, error: str, details: str
) -> None:
    body = v3(error, details)
    simulator.set_faults([{"path": "/api/v3/brokerage/orders/preview", "status": status, "body": body}])
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert run.status.ok


def test_a_preview_is_no_proof_of_the_right_to_trade(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("coinbase", "good", omit="can_trade")
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert run.status is Status.CONNECTED
    assert Advice.RIGHT_UNKNOWN in run.advice
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert trade.outcome is Outcome.WARN


def test_a_missing_field_leaves_withdrawal_open(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("coinbase", "good", omit="can_transfer", report={"can_withdraw": False})
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert run.diagnosis is not None
    assert (run.status, run.diagnosis.cause) == (Status.BLOCKED, Cause.WITHDRAW_UNKNOWN)


def test_wrong_credentials_and_no_secret_in_the_run(simulator: Simulator, gateway: Gateway) -> None:
    good, other = sample(simulator, "coinbase", "good"), sample(simulator, "coinbase", "withdraw")
    run = run_once(gateway, "coinbase", Credentials(good.api_key, other.secret))
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.AMBIGUOUS
    assert {Cause.INVALID_KEY, Cause.INVALID_SECRET} <= {*run.diagnosis.candidates}
    assert not any(secret in run.model_dump_json() for secret in other.secrets())


@pytest.mark.parametrize("way", WAYS)
def test_a_mangled_key_works(simulator: Simulator, gateway: Gateway, way: str) -> None:
    good = sample(simulator, "coinbase", "good")
    run = run_once(gateway, "coinbase", Credentials(good.api_key, WAYS[way](good.secret)))
    assert run.status.ok


def test_what_is_no_key_is_not_sent(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "coinbase", "good")
    run = run_once(gateway, "coinbase", Credentials(good.api_key, good.secret[:90]))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, simulator.seen, run.receipt) == (Cause.MALFORMED_CREDENTIALS, [], ())


def test_maintenance(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "coinbase", "kind": "maintenance"}])
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    check_cause(run, Cause.EXCHANGE_UNAVAILABLE)
