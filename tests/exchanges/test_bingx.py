"""BingX against what it documents: three reports on one key, numbers for rights, codes that mean several things."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bfai import explain
from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, CountedFrom, Role, Tick, merge_reports
from bfai.model import (
    Advice,
    Cause,
    CheckName,
    Credentials,
    Diagnosis,
    Environment,
    Evidence,
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
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    DENIED,
    GRANTED,
    UNKNOWN,
    call_to,
    check_cause,
    check_error,
    check_paste,
    check_recognised,
    check_verdict,
    check_wrong_keys,
    checked_report,
    client_of,
    diagnosed,
    error_lines,
    heard,
    present,
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

BINGX = get_exchange("bingx")
KEY, SECRET = "zF" + "a1B2" * 15 + "zQ", "x9Y8" * 16
RESTRICTIONS, PERMISSIONS, QUERY = (
    "/openApi/v1/account/apiRestrictions",
    "/openApi/v1/account/apiPermissions",
    "/openApi/account/v1/apiKey/query",
)


def refused(code: Any, msg: str = "", role: str = "any", **more: Any) -> Diagnosis:
    body = json.dumps({"code": code, "msg": msg, "timestamp": 1702351994615, **more})
    return diagnosed(Answer(role=role, status=200, body=body), BINGX)


# -- signing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(frozen_clock: None) -> Client:
    made = client_of(BINGX, "KEY", "SECRET")
    made.values["uid"] = "1"
    return made


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (
            RESTRICTIONS,
            "timestamp=1700000000000&signature=19b46ad9a1e9fa824812324598aa7d97b82085e0e522018efc9cc29f4f00d59f",
        ),
        (
            QUERY,
            "apiKey=KEY&timestamp=1700000000000&uid=1"
            "&signature=26bff97c630202ba7cab4a3fb2a694bbb5892537a6108f25003d633d9ba92b25",
        ),
    ],
)
def test_golden_signatures(client: Client, path: str, query: str) -> None:
    url, headers, body = client._sign(call_to(BINGX, path), "open-api.bingx.com")
    assert str(url) == f"https://open-api.bingx.com{path}?{query}"
    assert (headers["X-BX-APIKEY"], body) == ("KEY", None)


def test_the_signature_of_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """BingX documents, authentication: the sample of a query string."""
    secret = "UuGuyEGt6ZEkpUObCYCmIfh0elYsZVh80jlYwpJuRZEw70t6vomMH7Sjmf94ztSI"
    client = client_of(BINGX, "KEY", secret)
    monkeypatch.setattr("bfai.transport.time.time", lambda: 1649404670.162)
    order = {"quoteOrderQty": "20", "side": "BUY", "symbol": "ETHUSDT", "type": "MARKET"}
    signed = client._signer.swapV2PrivatePostTradeOrderTest(order)
    assert signed["url"].endswith("&signature=428a3c383bde514baff0d10d3c20e5adfaacaf799e324546dafe5ccc480dd827")


def test_the_dry_run_is_the_documented_one_and_for_futures_alone(client: Client) -> None:
    (call,) = [call for call in BINGX.calls if call.role is Role.DRY_RUN]
    assert (call.market, call.path) == (Market.FUTURES, "/openApi/swap/v2/trade/order/test")
    url, _, body = client._sign(call, "open-api.bingx.com")
    assert (url.path, url.query["symbol"], body) == (call.path, "BTC-USDT", None)
    assert {call.method for call in BINGX.calls if call.role is not Role.DRY_RUN} == {"GET"}


def test_three_calls_report_on_the_key() -> None:
    reports = [call for call in BINGX.plan(Market.SPOT) if call.role is Role.KEY_INFO]
    assert [(call.path, call.needs) for call in reports] == [
        (RESTRICTIONS, set()),
        (PERMISSIONS, set()),
        (QUERY, {"uid"}),
    ]


def test_demo_has_hosts_of_its_own() -> None:
    assert [region.id for region in BINGX.regions] == ["global"]
    assert Environment.DEMO in BINGX.environments
    assert Environment.TESTNET not in BINGX.environments
    client = client_of(BINGX, KEY, SECRET, environment=Environment.DEMO)
    assert {*client.site.hosts.values()} == {"open-api-vst.bingx.com"}
    assert {*BINGX.region("global").hosts.values()} == {"open-api.bingx.com"}
    assert all(BINGX.serves("global", market, Environment.DEMO) for market in Market)


# -- key reports -------------------------------------------------------------------------------------------------------

SHORT: dict[str, Any] = {
    "ipRestrict": True,
    "createTime": 1671262117327,
    "permitsUniversalTransfer": False,
    "enableReading": True,
    "enableFutures": True,
    "enableSpotAndMarginTrading": True,
}
LONG: dict[str, Any] = {
    **SHORT,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableVanillaOptions": False,
}


def numbers(*rights: Any, **more: Any) -> dict[str, Any]:
    fields = {"apiKey": KEY, "permissions": list(rights), "ipAddresses": ["203.0.113.7"], "note": "bot", **more}
    return present(fields)


def row(*rights: Any, **more: Any) -> dict[str, Any]:
    created = {"status": 0, "createTime": 1702289687211, "updateTime": 1702289687000}
    return numbers(*rights, **{"apiKey": "zF*******zQ", "ipAddresses": [""], **created, **more})


def listed(*rows: Any, name: str = "apiInfos") -> dict[str, Any]:
    return {"code": 0, "timestamp": 1702351994615, "data": {name: list(rows)}}


def told(body: Any, api_key: str | None = KEY) -> KeyReport:
    found = BINGX.read_report(body, api_key=api_key)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("bingx"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, BINGX)
    assert found.expires_at is None


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"code": 0, "msg": "", "data": body}])
@pytest.mark.parametrize("path", [RESTRICTIONS, PERMISSIONS])
def test_either_form_on_either_path_wrapped_or_flat(path: str, wrap: Any) -> None:
    for body, withdraw in (
        (LONG, DENIED),
        ({**LONG, "enableWithdrawals": True}, GRANTED),
        (SHORT, UNKNOWN),
        (numbers(1, 2, 3), DENIED),
        (numbers(1, 2, 5), GRANTED),
        (numbers(1, 2, 6), UNKNOWN),
        ({**SHORT, **numbers(1, 2, 3)}, DENIED),
        ({**LONG, **numbers(1, 2, 3, 5)}, GRANTED),
        ({**LONG, "enableWithdrawals": True, **numbers(1, 2, 3)}, GRANTED),
    ):
        found = explain.report_in(f"GET {path}", json.dumps(wrap(body)), BINGX)
        assert found is not None
        assert found.state(Permission.WITHDRAW) is withdraw, body
        answer = Answer(role=Role.KEY_INFO, status=200, body=json.dumps(wrap(body)), call=call_to(BINGX, path))
        assert BINGX.succeeded(answer)


def test_the_form_with_fields() -> None:
    found = told(LONG)
    assert found.created_at == datetime(2022, 12, 17, 7, 28, 37, 327000, tzinfo=UTC)
    assert (found.ip_restriction.state, found.ip_restriction.addresses) == (GRANTED, ())
    assert {permission: found.state(permission) for permission in Permission} == {
        Permission.READ: GRANTED,
        Permission.SPOT_TRADE: GRANTED,
        Permission.FUTURES_TRADE: GRANTED,
        Permission.MARGIN: UNKNOWN,
        Permission.TRANSFER: DENIED,
        Permission.WITHDRAW: DENIED,
    }
    assert found.grant(Permission.WITHDRAW).evidence is Evidence.DECLARED
    assert (found.expires_at, found.expiry_evidence) == (None, ExpiryEvidence.NONE)
    assert told({**LONG, "ipRestrict": False}).ip_restriction.state is DENIED
    assert told({**LONG, "ipRestrict": "no"}).ip_restriction.state is UNKNOWN
    assert told({**LONG, "enableInternalTransfer": True}).state(Permission.TRANSFER) is GRANTED
    assert told({**LONG, "enableInternalTransfer": True}).escalations


@pytest.mark.parametrize("value", ["false", 0, None, [], {}])
def test_an_unreadable_field_is_not_off(value: Any) -> None:
    found = told({**LONG, "enableWithdrawals": value})
    assert found.state(Permission.WITHDRAW) is UNKNOWN
    joined = merge_reports([found, told(numbers(1, 2, 3))])
    assert joined is not None
    assert joined.state(Permission.WITHDRAW) is UNKNOWN


def test_the_form_with_numbers() -> None:
    found = told(numbers(1, 2, 3, 4, 7))
    assert (found.label, found.ip_restriction.addresses) == ("bot", ("203.0.113.7",))
    assert {found.state(permission) for permission in Permission} == {GRANTED, DENIED, UNKNOWN}
    assert found.state(Permission.TRANSFER) is GRANTED
    assert found.state(Permission.WITHDRAW) is DENIED
    assert told(numbers(1, 2)).state(Permission.FUTURES_TRADE) is DENIED
    assert told(numbers("1", "2", " 3 ")).state(Permission.FUTURES_TRADE) is GRANTED


@pytest.mark.parametrize("rights", [[6], [1, 6], [0], [1, 8], [1, 55], [1, ""], [1, True], [1, None], [1, [5]], []])
def test_a_number_that_nobody_knows_leaves_all_open(rights: list[Any]) -> None:
    assert told(numbers(*rights)).state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize("rights", [None, "1,2,3", 123, {"1": True}])
def test_an_unreadable_list_leaves_all_open(rights: Any) -> None:
    assert told({**numbers(), "permissions": rights}).state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize("name", ["apiInfos", "apiKeyList"])
def test_the_row_of_this_key_in_a_list(name: str) -> None:
    other = row(2, 5, apiKey="aa*******bb")
    found = told(listed(other, row(1, 2, 3), name=name))
    assert (found.state(Permission.WITHDRAW), found.ip_restriction.state) == (DENIED, DENIED)
    assert told(listed(row(1, 2, 3, apiKey=KEY), other)).state(Permission.WITHDRAW) is DENIED
    assert told(listed(row(1, 2, 3)), None).state(Permission.WITHDRAW) is DENIED
    for rows in ([other], [row(1), row(2)], [row(1, 2, 3, apiKey=...)], [row(1, 2, 3, apiKey="")], [], ["x"], [None]):
        assert BINGX.read_report(listed(*rows, name=name), api_key=KEY) is None, rows
    assert BINGX.read_report(listed(other, row(1, 2, 3), name=name)) is None, "nobody told which of them"


def test_a_report_on_another_key_is_none() -> None:
    assert BINGX.read_report(numbers(1, 2, 3, apiKey="b" * 64), api_key=KEY) is None
    assert BINGX.read_report(numbers(1, 2, 3, apiKey="aa***bb"), api_key=KEY) is None
    assert BINGX.read_report({**LONG, "apiKey": "b" * 64}, api_key=KEY) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "enableReading",
        {},
        {"code": 0, "msg": ""},
        {"code": 0, "data": None},
        {"code": 0, "data": {"uid": 16844999}},
        {"code": 0, "data": {"balances": []}},
        {"code": 0, "data": [LONG]},
        {"code": 100413, "msg": "Incorrect apiKey", "data": LONG},
        {**LONG, "code": 100004},
        {"code": None, **LONG},
        {"ipRestrict": True, "createTime": 1},
        {"canTrade": True, "canWithdraw": True, "permissions": ["SPOT"], "balances": []},
        {"error": "not found"},
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert BINGX.read_report(body) is None
    if isinstance(body, dict):
        answer = Answer(role=Role.KEY_INFO, status=200, body=json.dumps(body), call=call_to(BINGX, RESTRICTIONS))
        assert not BINGX.succeeded(answer) or body.get("canTrade"), "any unknown JSON looks like a success to ccxt"


@pytest.mark.parametrize(
    ("addresses", "state"),
    [
        ([""], DENIED),
        ([], DENIED),
        (["203.0.113.7"], GRANTED),
        (["0.0.0.0/0"], DENIED),
        (["203.0.113.7", "anywhere"], UNKNOWN),
        (..., UNKNOWN),
        (None, UNKNOWN),
        ("203.0.113.7", UNKNOWN),
        ([7], UNKNOWN),
    ],
)
def test_addresses(addresses: Any, state: GrantState) -> None:
    assert told(numbers(1, 2, ipAddresses=addresses)).ip_restriction.state is state


@pytest.mark.parametrize(
    ("bodies", "withdraw"),
    [
        ((LONG, numbers(1, 2, 3), listed(row(1, 2, 3))), DENIED),
        ((SHORT, numbers(1, 2, 3)), DENIED),
        ((SHORT,), UNKNOWN),
        ((LONG, numbers(1, 2, 3, 5)), GRANTED),
        ((LONG, numbers(1, 2, 3), listed(row(1, 2, 3, 5))), GRANTED),
        (({**LONG, "enableWithdrawals": True}, numbers(1, 2, 3)), GRANTED),
        ((LONG, numbers(1, 2, 3, 6)), UNKNOWN),
        ((LONG, numbers(1, 2, 3), listed(row(1, 2, 3, "x"))), UNKNOWN),
    ],
)
def test_the_reports_are_cross_checked(bodies: tuple[Any, ...], withdraw: GrantState) -> None:
    for order in (bodies, bodies[::-1]):
        joined = merge_reports([told(body) for body in order])
        assert joined is not None
        assert joined.state(Permission.WITHDRAW) is withdraw


def test_addresses_that_contradict_each_other_are_no_binding() -> None:
    joined = merge_reports([told(LONG), told(numbers(1, 2, 3, ipAddresses=[""]))])
    assert joined is not None
    assert joined.ip_restriction.state is UNKNOWN


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("bingx"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, BINGX)


CODES: dict[Cause, str] = {
    Cause.INVALID_KEY: "100413 -2014 401",
    Cause.INVALID_SECRET: "100001 100412 -1022",
    Cause.IP_NOT_ALLOWED: "100419",
    Cause.PERMISSION_MISSING: "100004 100403",
    Cause.CLOCK_SKEW: "100421 -1021",
    Cause.RATE_LIMITED: "100410 109429 429 418 -1003",
    Cause.ACCOUNT_RESTRICTED: "100414 109403 100441 101210 101402 101483 104414",
    Cause.LOCATION_RESTRICTED: "101484",
    Cause.EXCHANGE_UNAVAILABLE: "100500 109500 110500 100503 500",
    Cause.AMBIGUOUS: "-2015",
    Cause.UNEXPECTED_RESPONSE: "109400 80014 100400 80012 101204 100202 109425 999999",
}


@pytest.mark.parametrize(("cause", "code"), [(cause, code) for cause, codes in CODES.items() for code in codes.split()])
def test_codes(cause: Cause, code: str) -> None:
    assert refused(int(code)).cause is cause
    assert refused(code).cause is cause, "as text"


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        (100421, "Null timestamp or timestamp mismatch, try to run our sample code", Cause.CLOCK_SKEW),
        (100421, "This pair is currently restricted from API trading", Cause.PERMISSION_MISSING),
        (109400, "timestamp is invalid", Cause.CLOCK_SKEW),
        (109400, "Invalid parameters, err:recvWindow: must be less than 5000", Cause.CLOCK_SKEW),
        (109400, "Invalid parameters, err:startTs: This field is required", Cause.UNEXPECTED_RESPONSE),
        (80014, "Invalid parameters, err:Key: 'Timestamp' Error:Field validation", Cause.CLOCK_SKEW),
        (80014, "signature not match", Cause.INVALID_SECRET),
        (80014, "Invalid parameters, err:Key: 'GetTickerRequest.Symbol' Error", Cause.UNEXPECTED_RESPONSE),
        (100410, "The current system is busy, please try again later", Cause.RATE_LIMITED),
        (100410, "code:100410:The endpoint trigger frequency limit rule is currently disabled", Cause.RATE_LIMITED),
        (109403, "rate too high or cancellation rate exceeded", Cause.RATE_LIMITED),
        (101484, "Please complete advanced identity verification (KYC)", Cause.ACCOUNT_RESTRICTED),
        (101210, "Your account belongs to a restricted region", Cause.LOCATION_RESTRICTED),
        (100414, "Code: 100414, Msg: risk control check fail,code(1)", Cause.ACCOUNT_RESTRICTED),
        (80012, '{"Code":101253,"Msg":"margin is not enough"}', Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_words_count_where_a_code_means_several_things(code: int, words: str, cause: Cause) -> None:
    assert refused(code, words).cause is cause


def test_the_field_that_every_refusal_has_is_no_complaint_about_time() -> None:
    body = '{"code":109400,"msg":"Invalid parameters","timestamp":1702351994615}'
    assert diagnosed(Answer(status=200, body=body), BINGX).cause is Cause.UNEXPECTED_RESPONSE


def test_risk_control_of_a_public_call_is_not_about_the_account() -> None:
    assert refused(80020, "risk forbidden", role="public_time").cause is Cause.EXCHANGE_UNAVAILABLE
    assert refused(80020, "risk forbidden", role="balance").cause is Cause.ACCOUNT_RESTRICTED


@pytest.mark.parametrize(
    ("right", "permission"),
    [
        ("Spot Trading", Permission.SPOT_TRADE),
        ("Perpetual Futures Trading", Permission.FUTURES_TRADE),
        ("Read", Permission.READ),
        ("Universal Transfer", Permission.TRANSFER),
        ("Withdraw", None),
    ],
)
def test_a_missing_right_is_named(right: str, permission: Permission | None) -> None:
    words = (
        "Permission denied as the API key was created without the permission，this api need "
        f"{right} permission， please config it in https://bingx.com/en/account/api"
    )
    found = refused(100004, words)
    assert (found.cause, found.permission) == (Cause.PERMISSION_MISSING, permission)


def test_the_refused_address_is_told() -> None:
    words = "your current request IP is 2001:db8::7 does not match IP whitelist , please go to https://bingx.com"
    assert refused(100419, words).seen_ip == "2001:db8::7"
    assert refused(100419, "IP does not match IP whitelist").seen_ip is None
    assert refused(999998, words).cause is Cause.IP_NOT_ALLOWED, "whatever its code"


def test_an_unknown_key_may_have_been_deleted_for_idleness() -> None:
    assert refused(100413, "Incorrect apiKey").candidates == (Cause.INVALID_KEY, Cause.EXPIRED_KEY)


def test_no_plain_code_has_two_meanings() -> None:
    plain = [code for rule in BINGX.error_rules if rule.pattern is None and not rule.roles for code in rule.codes]
    assert len(plain) == len(set(plain))


def test_the_list_of_keys_is_for_main_accounts_only() -> None:
    body = '{"code":100403,"msg":"not main account","timestamp":1}'
    assert BINGX.of_other_kind(Answer(role=Role.KEY_INFO, status=200, body=body, call=call_to(BINGX, QUERY)))
    assert not BINGX.of_other_kind(Answer(role=Role.KEY_INFO, status=200, body=body, call=call_to(BINGX, PERMISSIONS)))
    assert not BINGX.of_other_kind(Answer(status=200, body=body))


# -- successes and the dry run -----------------------------------------------------------------------------------------

SWAP = "/openApi/swap/v3/user/balance"
GOOD: list[tuple[str, Any]] = [
    ("/openApi/spot/v1/server/time", {"code": 0, "msg": "", "data": {"serverTime": 1675319535362}}),
    ("/openApi/swap/v2/server/time", {"code": 0, "msg": "", "data": {"serverTime": 1675319535362}}),
    ("/openApi/account/v1/uid", {"code": 0, "timestamp": 1, "data": {"uid": 16844999}}),
    ("/openApi/account/v1/uid", {"code": 0, "timestamp": 1, "data": {"uid": "16844999"}}),
    (QUERY, listed(row(1, 2, 3))),
    ("/openApi/spot/v1/account/balance", {"code": 0, "msg": "", "debugMsg": "", "data": {"balances": []}}),
    ("/openApi/spot/v1/trade/openOrders", {"code": 0, "msg": "", "data": {"orders": []}}),
    (SWAP, {"code": 0, "data": []}),
    ("/openApi/swap/v2/trade/openOrders", {"code": 0, "msg": "", "data": {"orders": []}}),
    ("/openApi/swap/v2/trade/order/test", {"code": 0, "msg": "", "data": {"order": {"symbol": "BTC-USDT"}}}),
    ("/openApi/swap/v2/trade/order/test", {"code": 0, "msg": "", "data": {"symbol": "BTC-USDT", "orderId": 1}}),
]


@pytest.mark.parametrize(("path", "body"), GOOD, ids=lambda value: value if isinstance(value, str) else "")
def test_the_shape_of_a_success(path: str, body: dict[str, Any]) -> None:
    assert BINGX.succeeded(heard(BINGX, path, body))
    for other in (
        {**body, "code": 100413},
        {**body, "code": False},
        {**body, "data": None},
        {**body, "data": {}},
        {**body, "data": "text"},
        {name: value for name, value in body.items() if name != "data"},
        [body],
        "ok",
        None,
    ):
        assert not BINGX.succeeded(heard(BINGX, path, other)), other
    assert not BINGX.succeeded(heard(BINGX, path, body, 403))
    assert not BINGX.succeeded(Answer(role=call_to(BINGX, path).role, status=200, body="<html></html>"))


def test_balances_and_orders() -> None:
    path = "/openApi/spot/v1/account/balance"
    rows = [{"asset": "USDT", "free": "16.5", "locked": "0"}, {"asset": "BTC", "free": "0", "locked": "1"}]
    free = BINGX.read_balances(Market.SPOT, heard(BINGX, path, {"code": 0, "data": {"balances": rows}}))
    assert {name: str(amount) for name, amount in (free or {}).items()} == {"USDT": "16.5"}
    rows.append({"asset": "ETH", "free": "much", "locked": "0"})
    assert BINGX.read_balances(Market.SPOT, heard(BINGX, path, {"code": 0, "data": {"balances": rows}})) is None
    margin = [{"asset": "VST", "balance": "9", "availableMargin": "8"}]
    swap = BINGX.read_balances(Market.FUTURES, heard(BINGX, SWAP, {"code": 0, "data": margin}))
    assert {name: str(amount) for name, amount in (swap or {}).items()} == {"VST": "8"}
    for data, count in (({"orders": [{}, {}]}, 2), ([], 0), ([{}], 1), ({}, None), ({"orders": None}, None)):
        assert (
            BINGX.read_orders(Market.SPOT, heard(BINGX, "/openApi/spot/v1/trade/openOrders", {"data": data})) == count
        )


def dry_run(code: int, msg: str = "") -> Answer:
    body = {"code": code, "msg": msg, "data": {}, "timestamp": 1702351994615}
    return heard(BINGX, "/openApi/swap/v2/trade/order/test", body)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (101204, ""),
        (101205, "No position to close"),
        (101211, ""),
        (101253, ""),
        (101400, "The minimum order amount is 0.0001 BTC."),
        (110424, ""),
        (110425, ""),
        (109400, "In the One-way mode, the 'PositionSide' field can only be set to BOTH."),
        (80014, "In the Hedge mode, the 'PositionSide' field can only be set to LONG or SHORT."),
        (80012, '{"Code":101253,"Msg":"margin is not enough"}'),
    ],
)
def test_an_order_that_was_judged_proves_the_right(code: int, words: str) -> None:
    assert BINGX.dry_run_proves(dry_run(code, words))


@pytest.mark.parametrize(
    ("code", "words", "says_nothing"),
    [
        (109400, "Invalid parameters, err:quantity", True),
        (109425, "BTC-USDT not exist", True),
        (100400, "this api is not exist", True),
        (109400, "timestamp is invalid", False),
        (80014, "signature not match", False),
        (100004, "this api need Perpetual Futures Trading permission", False),
        (100413, "Incorrect apiKey", False),
        (100419, "", False),
        (100410, "", False),
        (101484, "", False),
        (110500, "", False),
    ],
)
def test_what_proves_nothing(code: int, words: str, says_nothing: bool) -> None:
    assert not BINGX.dry_run_proves(dry_run(code, words))
    assert BINGX.dry_run_says_nothing(dry_run(code, words)) is says_nothing


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'bingx {"code":100413,"msg":"Incorrect apiKey","timestamp":1718551786654}',
        '{"code":100001,"msg":"Signature verification failed","timestamp":1}',
        '{"code":100004,"msg":"Permission denied","timestamp":1}',
        '{"code":109400,"msg":"Invalid parameters","data":{}}',
        '{"code":101204,"msg":"","data":{}}',
        "GET https://open-api-vst.bingx.com/openApi/swap/v2/user/balance",
        "X-BX-APIKEY",
        json.dumps(listed(row(1, 2, 3))),
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, BINGX)


def test_paste() -> None:
    check_paste(read_paste(BINGX, f"API Key: {KEY}\nSecret Key: {SECRET}\nIP: 203.0.113.7"), KEY, SECRET)
    assert read_paste(BINGX, f"{KEY}\n{SECRET}").credentials == Credentials(KEY, SECRET), "key first, as it is shown"
    assert not read_paste(BINGX, f"{KEY + 'a' * 19}\n{SECRET}").doubts, "keys of 83 characters are seen as well"
    assert read_paste(BINGX, KEY).missing == ("secret",)
    assert read_paste(BINGX, json.dumps({"apiKey": KEY, "secret": KEY})).problems
    assert read_paste(BINGX, json.dumps({"apiKey": KEY, "secret": SECRET[:20]})).doubts
    assert read_paste(BINGX, json.dumps({"apiKey": "zF*******zQ", "secret": SECRET})).problems


def test_the_key_page_is_told_as_it_is() -> None:
    ticks = {right.box: right.tick(Market.FUTURES) for right in BINGX.rights if right.shown}
    assert ticks == {
        "Read": Tick.NEEDED,
        "Spot Trading": Tick.EMPTY,
        "Perpetual Futures Trading": Tick.NEEDED,
        "Universal Transfer": Tick.EMPTY,
        "Manage Subaccounts": Tick.EMPTY,
        "Withdraw": Tick.NEVER,
    }
    assert BINGX.guide.max_ips == 20
    (rule,) = BINGX.expiry_rules
    assert (rule.days, rule.counted) == (14, CountedFrom.LAST_USE)
    assert not rule.concerns(told(numbers(1, 2, 3))), "a bound key stays"
    assert rule.concerns(told(numbers(1, 2, 3, ipAddresses=[""])))
    assert not rule.concerns(told(numbers(2, ipAddresses=[""]))), "a key that only reads stays"


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("bingx"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "bingx", sample(simulator, "bingx", account), market=market)
    check_verdict(run, verdict)


@pytest.mark.parametrize(("account", "market"), [("no_futures", "spot"), ("good", "futures")])
def test_a_good_key(simulator: Simulator, gateway: Gateway, account: str, market: str) -> None:
    run = run_once(gateway, "bingx", sample(simulator, "bingx", account), market=market)
    assert (run.status, run.advice) == (Status.ONLINE, ())
    assert run.key_report is not None
    assert run.key_report.account_id, "from a call of its own"
    assert run.key_report.ip_restriction.addresses == ("127.0.0.1",), "from the form that lists them"
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert (trade.outcome, "dry-run" in trade.detail.text) == (Outcome.PASS, market == "futures")


@pytest.mark.parametrize("mode", ["", "short", "wrapped", "short wrapped"])
@pytest.mark.parametrize("market", ["spot", "futures"])
def test_forms_over_the_wire(simulator: Simulator, gateway: Gateway, market: str, mode: str) -> None:
    for account, ok in (("good", True), ("withdraw", False), ("unknown_right", False)):
        simulator.change_account("bingx", account, mode=mode)
        run = run_once(gateway, "bingx", sample(simulator, "bingx", account), market=market)
        assert run.status.ok is ok, (account, mode)
        assert ok or run.status is Status.BLOCKED


@pytest.mark.parametrize(
    ("report", "cause"),
    [
        ({"A": {"enableWithdrawals": True}}, Cause.WITHDRAW_ENABLED),
        ({"B": {"permissions": [1, 2, 3, 5]}}, Cause.WITHDRAW_ENABLED),
        ({"C": {"permissions": [1, 2, 3, 5]}}, Cause.WITHDRAW_ENABLED),
        ({"B": {"permissions": [1, 2, 3, 6]}}, Cause.WITHDRAW_UNKNOWN),
        ({"C": {"permissions": [1, 2, 3, 9]}}, Cause.WITHDRAW_UNKNOWN),
    ],
)
def test_reports_that_disagree_block(
    simulator: Simulator, gateway: Gateway, report: dict[str, Any], cause: Cause
) -> None:
    simulator.change_account("bingx", "good", report=report)
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"))
    assert run.status is Status.BLOCKED
    check_cause(run, cause)


def test_the_short_form_alone_does_not_deny_withdrawal(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bingx", "good", mode="short")
    gone = {"code": 100404, "msg": "this api is not exist"}
    simulator.set_faults([{"exchange": "bingx", "path": path, "body": gone} for path in (PERMISSIONS, QUERY)])
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"))
    check_cause(run, Cause.WITHDRAW_UNKNOWN)


def test_any_one_report_is_enough(simulator: Simulator, gateway: Gateway) -> None:
    paths = (RESTRICTIONS, PERMISSIONS, QUERY)
    for kept in paths:
        gone = [{"exchange": "bingx", "path": path, "body": {"surprise": 1}} for path in paths if path != kept]
        simulator.set_faults(gone)
        assert run_once(gateway, "bingx", sample(simulator, "bingx", "good")).status.ok, kept
    simulator.set_faults([{"exchange": "bingx", "path": path, "body": {"surprise": 1}} for path in paths])
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"))
    assert run.status is Status.BLOCKED, "any JSON is a success to ccxt"


def test_a_sub_account_has_no_list_of_keys(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "sub_account"), market="futures")
    assert run.status.ok
    permissions = run.check(CheckName.PERMISSIONS)
    assert permissions is not None
    assert permissions.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"code": 109400, "msg": "In the One-way mode, the 'PositionSide' field can only be set to BOTH."}, True),
        ({"code": 101204, "msg": "Insufficient margin"}, True),
        ({"code": 109425, "msg": "BTC-USDT not exist"}, False),
    ],
)
def test_a_dry_run_that_is_refused_for_the_order(
    simulator: Simulator, gateway: Gateway, body: dict[str, Any], outcome: bool
) -> None:
    simulator.set_faults([{"exchange": "bingx", "path": "/openApi/swap/v2/trade/order/test", "body": body}])
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"), market="futures")
    assert (run.status, run.diagnosis, run.advice) == (Status.ONLINE, None, ())
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert (trade.outcome, "dry-run" in trade.detail.text) == (Outcome.PASS, outcome)


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "bingx", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1]),
        Cause.INVALID_KEY: Credentials(KEY, good.secret),
    }
    for market in ("spot", "futures"):
        check_wrong_keys(gateway, "bingx", wrong, market)


def test_a_foreign_address_is_shown_and_no_secret_with_it(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address("203.0.113.77")
    keys = sample(simulator, "bingx", "good")
    run = run_once(gateway, "bingx", keys)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.77")
    assert not any(secret in run.model_dump_json() for secret in keys.secrets())


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_virtual_funds(simulator: Simulator, gateway: Gateway, market: str) -> None:
    """The same key works there and on the live exchange, so it must not withdraw there either."""
    for account, ok in (("good", True), ("withdraw", False)):
        keys = sample(simulator, "bingx", account)
        run = run_once(gateway, "bingx", keys, market=market, environment=Environment.DEMO)
        assert run.status.ok is ok
        assert {sent.host for sent in run.receipt} == {"open-api-vst.bingx.com"}
        assert "VST" in run.balances


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, market: str, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    account = "no_futures" if market == "spot" else "good"
    run = run_once(gateway, "bingx", sample(simulator, "bingx", account), market=market)
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.CLOCK_CORRECTED,))


@pytest.mark.parametrize(
    ("fault", "cause"), [({"kind": "maintenance"}, Cause.EXCHANGE_UNAVAILABLE), ({"status": 429}, Cause.RATE_LIMITED)]
)
def test_what_passes_by_itself(simulator: Simulator, gateway: Gateway, fault: dict[str, Any], cause: Cause) -> None:
    simulator.set_faults([{"exchange": "bingx", **fault}])
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"))
    check_cause(run, cause)


def test_a_frozen_account(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bingx", "good", status="frozen")
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "good"))
    check_cause(run, Cause.ACCOUNT_RESTRICTED)
