"""Binance against what it documents: signatures of three kinds of key, key reports, refusals, Binance.US, testnet."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bfai import explain
from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, CountedFrom, Role, Tick
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
    Target,
)
from bfai.paste import judge_fields, read_paste
from bfai.simulator import Simulator
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    call_of,
    check_cause,
    check_error,
    check_paste,
    check_recognised,
    check_shapes,
    check_text,
    check_verdict,
    check_wrong_keys,
    checked_report,
    client_of,
    diagnosed,
    error_lines,
    granted,
    pem_of,
    present,
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

BINANCE = get_exchange("binance")
KEY, SECRET = "a" * 64, "b" * 64
WORDS_2015 = "Invalid API-key, IP, or permissions for action."


def refusal(code: int, msg: str = "", status: int = 400, **answer: Any) -> Diagnosis:
    body = json.dumps({"code": code, "msg": msg})
    return diagnosed(Answer(status=status, body=body, **answer), BINANCE)


# -- signing -----------------------------------------------------------------------------------------------------------


def client(secret: str = SECRET, **target: Any) -> Client:
    return client_of(BINANCE, KEY, secret, **target)


@pytest.mark.usefixtures("frozen_clock")
def test_golden_signature_of_the_key_report() -> None:
    url, headers, body = client()._sign(call_of(BINANCE, Role.KEY_INFO), "api.binance.com")
    assert str(url) == (
        "https://api.binance.com/sapi/v1/account/apiRestrictions?timestamp=1700000000000&recvWindow=10000"
        "&signature=5334c90ba4ee43e1609824f4bdb92aada9ad583dfe582cc2cab19c1643d982b5"
    )
    assert (headers["X-MBX-APIKEY"], body) == (KEY, None)


@pytest.mark.usefixtures("frozen_clock")
def test_golden_signature_of_a_body() -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
    signed = client()._signer.privatePostOrderTest({**order, "price": "10000"})
    assert signed["url"] == "https://api.binance.com/api/v3/order/test"
    assert signed["body"] == (
        "timestamp=1700000000000&symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=10000"
        "&recvWindow=10000&signature=733819128124f5877f0c9c29855291924275b7dcab76fd258988d51c0ca08fa5"
    )


ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SPOILED = {
    "as it is": lambda pem: pem,
    "with the line ends of Windows": lambda pem: pem.replace("\n", "\r\n"),
    "with blank lines": lambda pem: "\n\n" + pem.replace("\n", "\n\n"),
    "in one line": lambda pem: pem.replace("\n", "\\n"),
    "in quotes": lambda pem: f'"{pem}"',
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("key", [ED25519, RSA], ids=["Ed25519", "RSA"])
def test_a_private_key_signs_whatever_copying_made_of_it(key: Any, spoil: Any) -> None:
    url, _, _ = client(spoil(pem_of(key)))._sign(call_of(BINANCE, Role.KEY_INFO), "api.binance.com")
    text, _, signature = url.raw_query_string.partition("&signature=")
    given = base64.b64decode(url.query["signature"].replace(" ", "+"))
    assert "+" not in signature and "/" not in signature, "percent-encoded"
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(given, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        key.public_key().verify(given, text.encode())


@pytest.mark.parametrize(
    ("market", "host", "path"),
    [
        (Market.SPOT, "api.binance.com", "/api/v3/order/test"),
        (Market.FUTURES, "fapi.binance.com", "/fapi/v1/order/test"),
    ],
)
def test_the_dry_run_is_the_documented_one(market: Market, host: str, path: str) -> None:
    call = call_of(BINANCE, Role.DRY_RUN, market)
    url, _, body = client()._sign(call, host)
    assert (call.method, str(url)) == ("POST", f"https://{host}{path}")
    assert "symbol=BTCUSDT" in (body or "")
    assert {call.method for call in BINANCE.calls if call.role is not Role.DRY_RUN} == {"GET"}


def test_every_call_signs_as_declared() -> None:
    for market in Market:
        for call in BINANCE.plan(market):
            url, _, _ = client()._sign(call, client().site.hosts[call.host])
            assert url.path == call.path


# -- sites -------------------------------------------------------------------------------------------------------------


def roles(environment: Environment, market: Market = Market.SPOT, region: str = "global") -> set[Role]:
    return {call.role for call in BINANCE.plan(market, region, environment)}


def test_binance_us_is_a_company_of_its_own() -> None:
    assert not BINANCE.serves("us", Market.FUTURES)
    hosts = BINANCE.region("us").hosts
    assert set(hosts.values()) == {"api.binance.us"}
    assert {hosts[call.host] for call in BINANCE.plan(Market.SPOT, "us")} == {"api.binance.us"}
    assert Role.KEY_INFO in roles(Environment.LIVE, region="us")
    assert not BINANCE.second_opinions(Target(exchange="binance", region="us")), "no futures host there"


def test_testnet_and_demo_tell_nothing_about_a_key() -> None:
    for environment, market in [
        (Environment.TESTNET, Market.SPOT),
        (Environment.DEMO, Market.SPOT),
        (Environment.DEMO, Market.FUTURES),
    ]:
        assert roles(environment, market) == {Role.TIME, Role.BALANCE, Role.ORDERS, Role.DRY_RUN}
    assert not BINANCE.serves("global", Market.FUTURES, Environment.TESTNET)
    assert not BINANCE.serves("us", Market.SPOT, Environment.TESTNET), "its ccxt class has the other company's"
    live = set(BINANCE.region("global").hosts.values())
    for test in BINANCE.tests.values():
        assert not live & set(test.hosts.values())


# -- key reports -------------------------------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "ipRestrict": True,
    "createTime": 1_698_645_219_000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": False,
    "enableSpotAndMarginTrading": True,
    "enablePortfolioMarginTrading": False,
}


def told(**changes: Any) -> KeyReport:
    body = present({**WHOLE, **changes})
    found = BINANCE.read_report(body)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("binance"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, BINANCE)
    end = line["expected"]["expires_at"]
    assert found.expires_at == (datetime.fromisoformat(end) if end else None)


@pytest.mark.parametrize(
    ("field", "permission"),
    [
        ("enableReading", Permission.READ),
        ("enableSpotAndMarginTrading", Permission.SPOT_TRADE),
        ("enableFutures", Permission.FUTURES_TRADE),
        ("enableMargin", Permission.MARGIN),
        ("permitsUniversalTransfer", Permission.TRANSFER),
        ("enableInternalTransfer", Permission.TRANSFER),
        ("enableWithdrawals", Permission.WITHDRAW),
        ("enableVanillaOptions", None),
        ("enablePortfolioMarginTrading", None),
        ("enableFixApiTrade", None),
        ("enableFixReadOnly", None),
    ],
)
def test_one_field_one_right(field: str, permission: Permission | None) -> None:
    none = dict.fromkeys((name for name in WHOLE if name not in ("ipRestrict", "createTime")), False)
    found = told(**{**none, field: True})
    assert granted(found) == ({permission} if permission else set())
    assert found.words == (field,)
    assert not found.unknown_words
    denied = {one for one in Permission if found.state(one) is GrantState.DENIED}
    assert denied == set(Permission) - granted(found)


@pytest.mark.parametrize("value", [..., None, "false", "true", 0, 1, []])
@pytest.mark.parametrize("right", [right for right in BINANCE.rights if len(right.grants) == 1], ids=lambda r: r.word)
def test_what_is_missing_or_unreadable_is_unknown(right: Any, value: Any) -> None:
    transfer = {"permitsUniversalTransfer": value, "enableInternalTransfer": value}
    fields = transfer if Permission.TRANSFER in right.grants else {right.word: value}
    assert told(**fields).state(right.grants[0]) is GrantState.UNKNOWN


def test_an_unknown_field_is_told_and_withdrawal_stays_denied() -> None:
    found = told(enableVaultAccess=True, enableSomethingElse=False)
    assert found.unknown_words == ("enableVaultAccess",)
    assert found.state(Permission.WITHDRAW) is GrantState.DENIED


def test_an_unknown_field_that_names_withdrawal_opens_it() -> None:
    assert told(enableFiatWithdraw=True).state(Permission.WITHDRAW) is GrantState.UNKNOWN
    assert told(enableFiatWithdraw=False).state(Permission.WITHDRAW) is GrantState.DENIED
    assert told(enableFiatWithdraw=True, enableWithdrawals=True).state(Permission.WITHDRAW) is GrantState.GRANTED


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (True, GrantState.GRANTED),
        (False, GrantState.DENIED),
        (..., GrantState.UNKNOWN),
        (None, GrantState.UNKNOWN),
        ("true", GrantState.UNKNOWN),
        (1, GrantState.UNKNOWN),
    ],
)
def test_address_binding_is_told_without_its_list(value: Any, state: GrantState) -> None:
    restriction = told(ipRestrict=value).ip_restriction
    assert (restriction.state, restriction.addresses) == (state, ())


def test_the_end_is_that_of_the_right_to_trade() -> None:
    ending = told(tradingAuthorityExpirationTime=1_705_391_199_999)
    assert ending.expires_at is not None
    assert ending.expires_at.date().isoformat() == "2024-01-16"
    assert ending.expiry_evidence is ExpiryEvidence.FIELD
    assert BINANCE.state_cause({**WHOLE, "tradingAuthorityExpirationTime": 1_705_391_199_999}) is None, (
        "the key goes on"
    )
    for value in (..., None, 0, "soon", 10**30):
        assert told(tradingAuthorityExpirationTime=value).expires_at is None
    assert told().created_at == datetime(2023, 10, 30, 5, 53, 39, tzinfo=UTC)


def test_no_end_is_counted_by_rule() -> None:
    made = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1000)
    report = told(ipRestrict=False, createTime=made)
    assert any(rule.counted is CountedFrom.CREATION and rule.concerns(report) for rule in BINANCE.expiry_rules)
    assert BINANCE.with_counted_end(report).expires_at is None, "the days run from when the right was ticked"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "enableReading",
        {},
        {"code": -2015, "msg": WORDS_2015},
        {"code": -1022, "msg": "x", "enableReading": True},
        {"canTrade": True, "canWithdraw": True, "canDeposit": True, "permissions": ["SPOT"], "balances": []},
        {"ipRestrict": "true", "ipList": ["69.210.67.14"], "updateTime": 1636371437000, "apiKey": "k"},
        {"data": "Normal"},
        {"serverTime": 1},
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert BINANCE.read_report(body) is None


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"data": "Normal"}, None),
        ({"data": "Unlocked"}, None),
        ({"data": "Locked"}, Cause.ACCOUNT_RESTRICTED),
        ({"data": "Account suspended"}, Cause.ACCOUNT_RESTRICTED),
        ({"data": {"isLocked": False, "plannedRecoverTime": 0}}, None),
        ({"data": {"isLocked": True, "plannedRecoverTime": 1}}, Cause.ACCOUNT_RESTRICTED),
        ({"data": {"isLocked": "true"}}, None),
        ({"data": None}, None),
        ([], None),
        (None, None),
        (WHOLE, None),
    ],
)
def test_what_names_a_locked_account(body: Any, cause: Cause | None) -> None:
    assert BINANCE.state_cause(body) is cause


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("binance"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, BINANCE)


CODES: dict[Cause, str] = {
    Cause.AMBIGUOUS: "-2015 -1099",
    Cause.INVALID_KEY: "-2014 -2008",
    Cause.INVALID_SECRET: "-1022",
    Cause.CLOCK_SKEW: "-1021 -5028",
    Cause.PERMISSION_MISSING: "-1002",
    Cause.IP_NOT_ALLOWED: "-1005 -1011",
    Cause.ACCOUNT_RESTRICTED: "-2017 -2023 -3022 -4109 -4192 -4400 -4401 200003903",
    Cause.LOCATION_RESTRICTED: "-4402 -4403",
    Cause.RATE_LIMITED: "-1003 -1015 -1034",
    Cause.EXCHANGE_UNAVAILABLE: "-1000 -1001 -1004 -1006 -1007 -1008 -1016",
    Cause.UNEXPECTED_RESPONSE: "-1013 -1100 -1102 -1121 -1131 -2010 -2011 -2013 -9999",
}


@pytest.mark.parametrize(("cause", "code"), [(cause, code) for cause, codes in CODES.items() for code in codes.split()])
def test_codes(cause: Cause, code: str) -> None:
    assert refusal(int(code)).cause is cause


def test_no_code_has_two_meanings() -> None:
    plain = [code for rule in BINANCE.error_rules if rule.pattern is None for code in rule.codes]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        (-2010, "This account may not place or cancel orders.", Cause.ACCOUNT_RESTRICTED),
        (-2010, "This action is disabled on this account.", Cause.ACCOUNT_RESTRICTED),
        (-2011, "This action is disabled on this account.", Cause.ACCOUNT_RESTRICTED),
        (-2010, "This action disabled is on this account.", Cause.ACCOUNT_RESTRICTED),
        (-2010, "This symbol is not permitted for this account.", Cause.ACCOUNT_RESTRICTED),
        (-2010, "Symbol not whitelisted for API key.", Cause.PERMISSION_MISSING),
        (-2010, "Account has insufficient balance for requested action.", Cause.UNEXPECTED_RESPONSE),
        (-4088, "User can not place order currently", Cause.ACCOUNT_RESTRICTED),
        (-4087, "User can only place reduce only order", Cause.ACCOUNT_RESTRICTED),
        (-4087, "Invalid pair", Cause.UNEXPECTED_RESPONSE),
        (-4044, "This is a blacklist country.", Cause.LOCATION_RESTRICTED),
        (-4044, "Balance Type is invalid.", Cause.UNEXPECTED_RESPONSE),
        (-4005, "Too many new requests.", Cause.RATE_LIMITED),
        (-4005, "Quantity greater than max quantity.", Cause.UNEXPECTED_RESPONSE),
        (-3001, "Please enable 2FA first.", Cause.ACCOUNT_RESTRICTED),
        (-4046, "Agreement not confirmed.", Cause.ACCOUNT_RESTRICTED),
        (-4046, "No need to change margin type.", Cause.UNEXPECTED_RESPONSE),
        (-4056, "Invalid api key type.", Cause.INVALID_KEY),
        (-4402, "this feature is currently not available in your region.", Cause.LOCATION_RESTRICTED),
        (0, "Service unavailable from a restricted location according to 'b. Eligibility'", Cause.LOCATION_RESTRICTED),
        (1, "System is under maintenance.", Cause.EXCHANGE_UNAVAILABLE),
        (-1000, "System abnormality", Cause.EXCHANGE_UNAVAILABLE),
        (-1003, "Way too much request weight used; IP banned until 1660090423228.", Cause.RATE_LIMITED),
        (-1131, "recvWindow must be less than 60000", Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_one_code_for_many_reasons(code: int, words: str, cause: Cause) -> None:
    assert refusal(code, words).cause is cause


@pytest.mark.parametrize(
    "words", [WORDS_2015, "Invalid API-key, IP, or permissions for action, request ip: 203.0.113.9", ""]
)
def test_one_code_for_three_reasons(words: str) -> None:
    found = refusal(-2015, words, 401)
    assert found.cause is Cause.AMBIGUOUS
    assert {Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING, Cause.INVALID_KEY} <= set(found.candidates)
    assert found.seen_ip == ("203.0.113.9" if "203" in words else None)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"success": False, "msg": "You don't have permission."}, Cause.PERMISSION_MISSING),
        ({"msg": "You are not authorized to execute this request."}, Cause.PERMISSION_MISSING),
        ({"success": False, "msg": '{"code":-2015,"msg":"Invalid API-key"}'}, Cause.AMBIGUOUS),
        ({"id": "1", "status": 401, "error": {"code": -2014, "msg": "API-key format invalid."}}, Cause.INVALID_KEY),
        ({"status": "FAIL", "code": "400002", "errorMessage": "Signature for this request is not valid."}, "secret"),
    ],
)
def test_other_wrappings(body: Any, cause: Cause | str) -> None:
    found = diagnosed(Answer(status=401, body=json.dumps(body)), BINANCE)
    assert found.cause is (Cause.INVALID_SECRET if cause == "secret" else cause)
    assert found.exchange_said


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (f"binance.exceptions.BinanceAPIException: APIError(code=-2015): {WORDS_2015}", Cause.AMBIGUOUS),
        ("APIError(code=-1022): Signature for this request is not valid.", Cause.INVALID_SECRET),
        ("APIError(code=-2014): API-key format invalid.", Cause.INVALID_KEY),
        ("APIError(code=-2008): Invalid Api-Key ID.", Cause.INVALID_KEY),
        ("APIError(code=-1021): Timestamp for this request is outside of the recvWindow.", Cause.CLOCK_SKEW),
        (
            "APIError(code=-1021): Timestamp for this request was 1000ms ahead of the server's time.",
            Cause.CLOCK_SKEW,
        ),
        ("APIError(code=-1003): Too much request weight used; current limit is 6000", Cause.RATE_LIMITED),
        ('binance {"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', Cause.AMBIGUOUS),
        ('binanceusdm {"code":-2008,"msg":"Invalid Api-Key ID."}', Cause.INVALID_KEY),
        ('{"code":-2010,"msg":"This action is disabled on this account."}', Cause.ACCOUNT_RESTRICTED),
        ("binance GET https://api.binance.com/api/v3/time 451 ", Cause.LOCATION_RESTRICTED),
    ],
)
def test_pasted_texts(text: str, cause: Cause) -> None:
    check_text(text, BINANCE, cause)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, '{"code":-1003,"msg":"Too much request weight used"}', Cause.RATE_LIMITED),
        (418, "", Cause.RATE_LIMITED),
        (451, "", Cause.LOCATION_RESTRICTED),
        (403, "<html><title>ERROR: The request could not be satisfied</title></html>", Cause.LOCATION_RESTRICTED),
        (403, "<h1>Access Denied</h1>You don't have permission to access this server.", Cause.LOCATION_RESTRICTED),
        (502, "<html></html>", Cause.EXCHANGE_UNAVAILABLE),
        (503, '{"code":-1008,"msg":"Server is currently overloaded"}', Cause.EXCHANGE_UNAVAILABLE),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
        (200, '{"code":-2015,"msg":"x"}', Cause.AMBIGUOUS),
        (200, '"ok"', Cause.UNEXPECTED_RESPONSE),
        (200, "", Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_what_is_no_success(status: int, body: str, cause: Cause) -> None:
    assert diagnosed(Answer(status=status, body=body, call=call_of(BINANCE, Role.KEY_INFO)), BINANCE).cause is cause


ERROR = {"code": -2015, "msg": WORDS_2015}


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("/api/v3/time", [{"serverTime": 1}], [{}, {"serverTime": "x"}, [], ERROR]),
        ("/fapi/v1/time", [{"serverTime": 1}], [{}, ERROR]),
        ("/sapi/v1/system/status", [{"status": 0, "msg": "normal"}], [{"status": 1, "msg": "system_maintenance"}, {}]),
        ("/sapi/v1/account/apiRestrictions", [WHOLE, {"enableReading": True}], [{}, [], {"canTrade": True}, ERROR]),
        ("/sapi/v1/account/status", [{"data": "Normal"}], [{}, {"data": {}}, ERROR]),
        ("/sapi/v1/account/apiTradingStatus", [{"data": {"isLocked": False}}], [{}, {"data": "Normal"}, ERROR]),
        ("/api/v3/account", [{"balances": []}], [{}, [], {"balances": {}}, ERROR]),
        ("/api/v3/openOrders", [[], [{"orderId": 1}]], [{}, [ERROR], [1], ERROR]),
        ("/api/v3/order/test", [{}, {"standardCommissionForOrder": {}}], [[], {"success": False}, {"a": 1}, ERROR]),
        ("/fapi/v3/balance", [[], [{"asset": "USDT"}]], [{}, [ERROR], ERROR]),
        ("/fapi/v1/openOrders", [[]], [{}, ERROR]),
        ("/fapi/v1/order/test", [{}, {"orderId": 0}], [[], ERROR]),
        ("/fapi/v1/accountConfig", [{"canTrade": True}], [{}, [], ERROR]),
    ],
)
def test_the_shape_of_a_success(path: str, good: list[Any], bad: list[Any]) -> None:
    check_shapes(BINANCE, path, good, bad)


def test_every_declared_call_has_a_shape_of_success() -> None:
    answers = {"": {}, "/fapi/v3/balance": [], "/api/v3/openOrders": [], "/fapi/v1/openOrders": []}
    odd = {"nothing": "known"}
    for call in BINANCE.calls:
        answer = Answer(role=call.role, status=200, body=json.dumps(answers.get(call.path, odd)), call=call)
        assert BINANCE.succeeded(answer) is (call.path in answers), call.path


@pytest.mark.parametrize(
    ("code", "words", "proves", "nothing"),
    [
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", True, False),
        (-2010, "Account has insufficient balance for requested action.", True, False),
        (-2019, "Margin is insufficient.", True, False),
        (-4024, "Price is lower than mark price multiplier floor.", True, False),
        (-4061, "Order's position side does not match user's setting.", True, False),
        (-4164, "Order's notional must be no smaller than 100.0 (unless you choose reduce only)", True, False),
        (-2010, "This action is disabled on this account.", False, False),
        (-2010, "Symbol not whitelisted for API key.", False, True),
        (-2010, "This symbol is not permitted for this account.", False, True),
        (-2015, WORDS_2015, False, False),
        (-1102, "Mandatory parameter 'price' was not sent", False, False),
        (-1022, "Signature for this request is not valid.", False, False),
    ],
)
def test_what_a_refused_trial_order_tells(code: int, words: str, proves: bool, nothing: bool) -> None:
    answer = Answer(role=Role.DRY_RUN, status=400, body=json.dumps({"code": code, "msg": words}))
    assert (BINANCE.dry_run_proves(answer), BINANCE.dry_run_says_nothing(answer)) == (proves, nothing)


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'binanceus {"code":-2015,"msg":"x"}',
        "GET https://fapi.binance.com/fapi/v3/balance",
        '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}',
        "X-MBX-USED-WEIGHT-1M: 12",
        json.dumps(WHOLE),
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, BINANCE)


def test_paste() -> None:
    check_paste(read_paste(BINANCE, f"API Key\n{KEY}\nSecret Key\n{SECRET}\n"), KEY, SECRET)
    assert judge_fields(BINANCE, {"api_key": KEY[:-1], "secret": SECRET}).doubts
    assert judge_fields(BINANCE, {"api_key": KEY, "secret": KEY}).problems
    for key in (ED25519, RSA):
        assert judge_fields(BINANCE, {"api_key": KEY, "secret": pem_of(key)}).credentials is not None


def test_a_public_or_cut_key_in_pem_is_refused_before_any_call() -> None:
    public = ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    cut = pem_of(ED25519).replace("-----END PRIVATE KEY-----", "")
    for secret in (public, cut):
        assert judge_fields(BINANCE, {"api_key": KEY, "secret": secret}).problems


def test_the_key_page_is_told_as_it_is() -> None:
    def ticked(market: Market) -> set[str]:
        return {right.box for right in BINANCE.rights if right.tick(market) is Tick.NEEDED}

    assert ticked(Market.SPOT) == {"Enable Reading", "Enable Spot & Margin Trading"}
    assert ticked(Market.FUTURES) == {"Enable Reading", "Enable Futures"}
    assert [right.box for right in BINANCE.rights if right.tick(Market.SPOT) is Tick.NEVER] == ["Enable Withdrawals"]
    rules = {rule.counted: rule for rule in BINANCE.expiry_rules}
    assert "ncertain" in rules[CountedFrom.LAST_USE].source
    assert not any(rule.concerns(told()) for rule in BINANCE.expiry_rules), "a bound key stays"


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("binance"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "binance", sample(simulator, "binance", account), market=market)
    check_verdict(run, verdict)
    if account == "ip_blocked":
        assert run.diagnosis is not None
        assert Cause.IP_NOT_ALLOWED in run.diagnosis.candidates


def test_the_account_number_comes_from_another_call(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"))
    assert (run.status, run.advice) == (Status.ONLINE, ())
    assert run.key_report is not None
    assert (run.key_report.account_id or "").startswith("354")
    binding = run.check(CheckName.IP_RESTRICTION)
    assert binding is not None
    assert "does not tell to which addresses" in binding.detail.text, "bound, by a report without the list"


@pytest.mark.parametrize(("market", "asked"), [("spot", 1), ("futures", 1)])
def test_the_futures_host_is_asked_for_the_address_only_where_nothing_else_tells(
    simulator: Simulator, gateway: Gateway, market: str, asked: int
) -> None:
    simulator.set_address("203.0.113.9")
    run = run_once(gateway, "binance", sample(simulator, "binance", "ip_blocked"), market=market)
    assert run.diagnosis is not None
    assert run.diagnosis.seen_ip == "203.0.113.9"
    assert sum(sent.path == "/fapi/v1/accountConfig" for sent in run.receipt) == asked
    simulator.set_address("127.0.0.1")
    good = run_once(gateway, "binance", sample(simulator, "binance", "good"), market=market)
    assert not any(sent.path == "/fapi/v1/accountConfig" for sent in good.receipt)


@pytest.mark.parametrize("key", [ED25519, RSA], ids=["Ed25519", "RSA"])
@pytest.mark.parametrize("market", ["spot", "futures"])
def test_keys_that_the_trader_made(simulator: Simulator, gateway: Gateway, key: Any, market: str) -> None:
    pem = pem_of(key)
    simulator.change_account("binance", "good", secret=pem)
    api_key = sample(simulator, "binance", "good").api_key
    run = run_once(gateway, "binance", Credentials(api_key, pem.replace("\n", "\r\n")), market=market)
    assert run.status.ok
    assert not any(line in run.model_dump_json() for line in pem.splitlines()[1:-1])
    other = pem_of(ed25519.Ed25519PrivateKey.generate())
    wrong = run_once(gateway, "binance", Credentials(api_key, other), market=market)
    check_cause(wrong, Cause.INVALID_SECRET)


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "binance", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1]),
        Cause.INVALID_KEY: Credentials(KEY, good.secret),
    }
    check_wrong_keys(gateway, "binance", wrong)
    simulator.change_account("binance", "good", status="deleted")
    gone = run_once(gateway, "binance", good)
    assert gone.diagnosis is not None
    assert gone.diagnosis.cause is Cause.AMBIGUOUS
    assert Cause.INVALID_KEY in gone.diagnosis.candidates


def test_a_portfolio_margin_key_trades_no_usual_futures(simulator: Simulator, gateway: Gateway) -> None:
    words = ("enableReading", "enableSpotAndMarginTrading", "enablePortfolioMarginTrading")
    simulator.change_account("binance", "good", permissions=words)
    run = run_once(gateway, "binance", sample(simulator, "binance", "good"), market="futures")
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, Permission.FUTURES_TRADE)


@pytest.mark.parametrize("omitted", ["enableWithdrawals", "enableReading", "ipRestrict"])
def test_a_missing_field_is_never_good_news(simulator: Simulator, gateway: Gateway, omitted: str) -> None:
    simulator.change_account("binance", "no_futures", omit=(omitted,))
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"))
    assert run.key_report is not None
    if omitted == "enableWithdrawals":
        check_cause(run, Cause.WITHDRAW_UNKNOWN)
    elif omitted == "ipRestrict":
        assert Advice.IP_RESTRICTION_UNKNOWN in run.advice
    else:
        assert run.key_report.grant(Permission.READ).evidence == "probed"


def test_the_end_of_the_right_to_trade_is_shown(simulator: Simulator, gateway: Gateway) -> None:
    soon = int((datetime.now(UTC) + timedelta(days=5, hours=1)).timestamp() * 1000)
    simulator.change_account("binance", "no_futures", report={"tradingAuthorityExpirationTime": soon})
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.EXPIRES_SOON,))


def test_binance_us(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("binance", "no_futures", site="us")
    keys = sample(simulator, "binance", "no_futures")
    run = run_once(gateway, "binance", keys, region="us")
    assert run.status is Status.ONLINE
    assert {sent.host for sent in run.receipt} == {"api.binance.us"}
    here = run_once(gateway, "binance", keys)
    assert here.diagnosis is not None
    assert (here.diagnosis.cause, here.diagnosis.region) == (Cause.INVALID_KEY, None)
    assert not any(sent.host == "api.binance.us" for sent in here.receipt), "nobody asked for that"
    found = run_once(gateway, "binance", keys, try_regions=True)
    assert found.diagnosis is not None
    assert (found.diagnosis.cause, found.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, "us")


def test_binance_us_without_a_key_report_is_no_dead_key(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("binance", "no_futures", site="us")
    page = {"path": "/sapi/v1/account/apiRestrictions", "status": 404, "body": "<html>Not Found</html>"}
    simulator.set_faults([page])
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"), region="us")
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN, "the key works, and nobody tells what else it may do"
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert trade.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("environment", "market"),
    [(Environment.TESTNET, "spot"), (Environment.DEMO, "spot"), (Environment.DEMO, "futures")],
)
def test_testnet_and_demo(simulator: Simulator, gateway: Gateway, environment: Environment, market: str) -> None:
    simulator.change_account("binance", "good", site=environment.value)
    keys = sample(simulator, "binance", "good")
    run = run_once(gateway, "binance", keys, market=market, environment=environment)
    assert run.status is Status.CONNECTED
    assert run.advice[0] is Advice.RIGHT_UNKNOWN
    live = {"api.binance.com", "fapi.binance.com"}
    assert not live & {sent.host for sent in run.receipt}
    mixed = run_once(gateway, "binance", keys, market=market)
    assert mixed.diagnosis is not None
    assert Cause.WRONG_ENVIRONMENT in mixed.diagnosis.candidates
    simulator.change_account("binance", "read_only", site=environment.value)
    reads = run_once(
        gateway, "binance", sample(simulator, "binance", "read_only"), market=market, environment=environment
    )
    assert reads.status is Status.FAILED


@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.CLOCK_CORRECTED,))


def test_maintenance(simulator: Simulator, gateway: Gateway) -> None:
    body = {"status": 1, "msg": "system_maintenance"}
    simulator.set_faults([{"path": "/sapi/v1/system/status", "status": 200, "body": json.dumps(body)}])
    run = run_once(gateway, "binance", sample(simulator, "binance", "good"))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.check) == (Cause.EXCHANGE_UNAVAILABLE, CheckName.STATUS)
    simulator.set_faults([{"exchange": "binance", "kind": "maintenance"}])
    closed = run_once(gateway, "binance", sample(simulator, "binance", "good"))
    check_cause(closed, Cause.EXCHANGE_UNAVAILABLE)
    told = explain.explain(Answer(role="public_status", status=200, body=json.dumps(body)), BINANCE)
    assert told.cause is Cause.EXCHANGE_UNAVAILABLE
