"""HTX against what it documents: the host in the signature, three styles of refusals, key reports, days left."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bfai import explain
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, Call, CountedFrom, Region, Tick
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
    Permission,
    Status,
)
from bfai.paste import read_paste
from bfai.simulator import Simulator
from bfai.simulator.htx import signature
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    call_to,
    check_cause,
    check_error,
    check_paste,
    check_recognised,
    check_verdict,
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

HTX = get_exchange("htx")
KEY = "4ba5cdf2-4a92c5da-718ba144-dbuqg6hkte"
SECRET = "c405c550-6fa0583b-fb4bc38e-d317e"
RECEIVED = datetime(2026, 9, 22, 12, tzinfo=UTC)


def refused(body: Any, status: int = 200, role: str = "any") -> Diagnosis:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return diagnosed(Answer(role=role, status=status, body=text), HTX)


def spot(code: str, msg: str = "") -> dict[str, Any]:
    return {"status": "error", "err-code": code, "err-msg": msg, "data": None}


def contract(code: int, msg: str = "") -> dict[str, Any]:
    return {"status": "error", "err_code": code, "err_msg": msg, "ts": 1652774224344}


def number(code: int, msg: str = "") -> dict[str, Any]:
    return {"code": code, "message": msg}


# -- signing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(frozen_clock: None) -> Client:
    return client_of(HTX, "ak-0001", "sk-0001")


def test_golden_signature_of_the_account_number(client: Client) -> None:
    url, headers, body = client._sign(call_to(HTX, "/v2/user/uid"), "api.huobi.pro")
    assert str(url) == (
        "https://api.huobi.pro/v2/user/uid?AccessKeyId=ak-0001&SignatureMethod=HmacSHA256&SignatureVersion=2"
        "&Timestamp=2023-11-14T22%3A13%3A20&Signature=2l8hUYJScKfarAqm0e%2FCZipsx%2F1UGZbfQTeiTYxPebM%3D"
    )
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body is None


def test_golden_signature_of_the_key_report(client: Client) -> None:
    client.values["uid"] = "123"
    url, _, _ = client._sign(call_to(HTX, "/v2/user/api-key"), "api.huobi.pro")
    assert url.query["Signature"] == "zxAaHpaAMFrjbd0rWdEVQkLQRIiKIU35leLD14yrN3s="
    assert (url.query["uid"], url.query["accessKey"]) == ("123", "ak-0001")


@pytest.mark.parametrize("call", [call for call in HTX.calls if call.signed], ids=lambda call: call.path)
def test_the_host_that_is_asked_is_signed(client: Client, call: Call) -> None:
    """Every parameter is signed, and so is the host: futures are signed with theirs."""
    client.values.update(uid="123", account_id="456")
    host = client.site.hosts[call.host]
    url, _, _ = client._sign(call, host)
    right = signature("sk-0001", "GET", host, url.raw_path, url.raw_query_string)
    assert url.query["Signature"] == right
    other = signature("sk-0001", "GET", "api.htx.com", url.raw_path, url.raw_query_string)
    assert right != other


def test_another_site_is_signed_as_such() -> None:
    client = client_of(HTX, "ak-0001", "sk-0001")
    HTX.prepare_signer(client._signer, Region("x", "X", {"spot": "api-aws.huobi.pro", "futures": "api.hbdm.com"}))
    url, _, _ = client._sign(call_to(HTX, "/v5/account/balance"), "api.hbdm.com")
    assert url.query["Signature"] == signature(
        "sk-0001", "GET", "api.hbdm.com", "/v5/account/balance", url.raw_query_string
    )
    fresh = client_of(HTX, "ak-0001", "sk-0001")
    assert fresh._signer.urls["hostnames"]["contract"] == "api.hbdm.vn", "one test's hosts are no other's"


def test_what_is_asked_and_what_waits() -> None:
    assert {call.method for call in HTX.calls} == {"GET"}, "there is no dry-run order"
    needs = {call.path: call.needs for call in HTX.calls if call.needs and call.in_test}
    assert needs == {
        "/v2/user/api-key": {"uid"},
        "/v1/account/accounts/{account_id}/balance": {"account_id"},
    }
    hosts = {call.path: HTX.regions[0].hosts[call.host] for call in HTX.plan(Market.FUTURES)}
    assert hosts["/v5/account/balance"] == "api.hbdm.vn"
    assert hosts["/v2/user/api-key"] == "api.huobi.pro", "the key report is asked for on the spot host"
    assert "/v1/account/accounts" not in hosts


def test_one_entity_and_no_test_environment() -> None:
    assert [region.id for region in HTX.regions] == ["global"]
    assert not {Environment.TESTNET, Environment.DEMO} & {*HTX.environments}


# -- key reports -------------------------------------------------------------------------------------------------------

ROW: dict[str, Any] = {
    "accessKey": KEY,
    "status": "normal",
    "note": "bot",
    "permission": "readOnly,trade",
    "ipAddresses": "203.0.113.7,203.0.113.8",
    "validDays": -1,
    "createTime": 1615192704000,
    "updateTime": 1623030338000,
}


def row(**changes: Any) -> dict[str, Any]:
    return present({**ROW, **changes})


def listed(*rows: Any, **outer: Any) -> dict[str, Any]:
    return {"code": 200, "message": "success", "data": list(rows), "ok": True, **outer}


def told(**changes: Any) -> KeyReport:
    found = HTX.read_report(listed(row(**changes)), received_at=RECEIVED, api_key=KEY)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("htx"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, HTX)
    assert found.expires_at is None


def test_a_whole_report() -> None:
    found = told()
    assert found.label == "bot"
    assert found.ip_restriction.addresses == ("203.0.113.7", "203.0.113.8")
    assert found.created_at == datetime(2021, 3, 8, 8, 38, 24, tzinfo=UTC)
    assert (found.words, found.unknown_words) == (("readOnly", "trade"), ())
    assert found.is_sub is None, "nothing tells a sub-user from its parent"
    assert found.state(Permission.WITHDRAW) is GrantState.DENIED
    assert found.grant(Permission.WITHDRAW).evidence is Evidence.DECLARED


@pytest.mark.parametrize("words", ["withdraw", "readOnly,withdraw,trade", "trade, readOnly, withdraw"])
def test_withdrawal_in_any_order(words: str) -> None:
    assert told(permission=words).state(Permission.WITHDRAW) is GrantState.GRANTED


@pytest.mark.parametrize(
    "words", ["", ",", "readOnly,", "readOnly,,trade", "readOnly,vault", None, 7, {}, ["trade", 1]]
)
def test_withdrawal_is_unknown_unless_every_word_is_known(words: Any) -> None:
    assert told(permission=words).state(Permission.WITHDRAW) is GrantState.UNKNOWN


def test_trade_cannot_be_parted() -> None:
    found = told()
    wider = {Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER}
    assert all(found.state(permission) is GrantState.GRANTED for permission in wider)
    assert HTX.inseparable(Permission.SPOT_TRADE, found.words) == wider - {Permission.SPOT_TRADE}
    assert all(told(permission="readOnly").state(permission) is GrantState.DENIED for permission in wider)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "permission",
        {},
        listed(),
        listed(None),
        listed("readOnly"),
        listed({"accessKey": KEY}),
        listed(row(permission=...)),
        {"code": 200, "data": 63628520},
        {"code": 200, "data": ROW},
        {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]},
        {"code": 1002, "message": "forbidden", "data": [ROW]},
        {"code": 401, "message": "Incorrect IP address [IP地址错误]"},
        {"data": [ROW]},
        ROW,
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert HTX.read_report(body) is None


def test_the_report_must_be_about_this_key() -> None:
    other = row(accessKey="another-key0-0000000-00000", permission="readOnly")
    assert HTX.read_report(listed(ROW), api_key="somebody-elses00-0000000-00000") is None
    both = HTX.read_report(listed(other, row(permission="readOnly,withdraw")), api_key=KEY)
    assert both is not None
    assert both.state(Permission.WITHDRAW) is GrantState.GRANTED
    assert HTX.read_report(listed(other, ROW)) is None, "nobody told which of them"
    assert HTX.read_report(listed(ROW, ROW), api_key=KEY) is None
    assert HTX.read_report(listed(other, "garbage", ROW), api_key=KEY) is None, "the list did not arrive whole"


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("", GrantState.DENIED),
        ("203.0.113.7", GrantState.GRANTED),
        ("202.106.96.0/24, 2001:db8::7", GrantState.GRANTED),
        ("0.0.0.0/0", GrantState.DENIED),
        ("203.0.113.7,anywhere", GrantState.UNKNOWN),
        (..., GrantState.UNKNOWN),
        (None, GrantState.UNKNOWN),
        (["203.0.113.7"], GrantState.UNKNOWN),
    ],
)
def test_addresses(value: Any, state: GrantState) -> None:
    assert told(ipAddresses=value).ip_restriction.state is state


@pytest.mark.parametrize(
    ("days", "end", "evidence"),
    [
        (-1, None, ExpiryEvidence.FIELD),
        ("-1", None, ExpiryEvidence.FIELD),
        (5, datetime(2026, 9, 27, tzinfo=UTC), ExpiryEvidence.FIELD),
        ("90", datetime(2026, 12, 21, tzinfo=UTC), ExpiryEvidence.FIELD),
        (0, datetime(2026, 9, 23, tzinfo=UTC), ExpiryEvidence.FIELD),
        (..., None, ExpiryEvidence.NONE),
        (None, None, ExpiryEvidence.NONE),
        ("soon", None, ExpiryEvidence.NONE),
        (-7, None, ExpiryEvidence.NONE),
        (10**9, None, ExpiryEvidence.NONE),
        (True, None, ExpiryEvidence.NONE),
    ],
)
def test_days_left(days: Any, end: datetime | None, evidence: ExpiryEvidence) -> None:
    found = told(validDays=days)
    assert (found.expires_at, found.expiry_evidence) == (end, evidence)


def test_days_left_need_a_day_to_count_from() -> None:
    found = HTX.read_report(listed(row(validDays=5)))
    assert found is not None
    assert found.expires_at is None


@pytest.mark.parametrize(
    ("body", "market", "cause"),
    [
        (listed(row(status="expired")), Market.SPOT, Cause.EXPIRED_KEY),
        (listed(row(status=..., validDays=0)), Market.SPOT, Cause.EXPIRED_KEY),
        (listed(row(validDays=0)), Market.SPOT, None),
        (listed(row()), Market.SPOT, None),
        ({"status": "ok", "data": [{"id": 1, "type": "spot", "state": "lock"}]}, Market.SPOT, Cause.ACCOUNT_RESTRICTED),
        ({"status": "ok", "data": [{"id": 1, "type": "spot", "state": "lock"}]}, Market.FUTURES, None),
        ({"status": "ok", "data": [{"id": 1, "type": "otc", "state": "lock"}]}, Market.SPOT, None),
        ({"code": 200, "data": 7}, Market.SPOT, None),
        ("<html>", Market.SPOT, None),
    ],
)
def test_what_an_answer_says_of_key_and_account(body: Any, market: Market, cause: Cause | None) -> None:
    assert HTX.state_cause(body, market) is cause


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("htx"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, HTX)


WORDS: dict[str, Cause] = {
    "Incorrect Access key [Access key错误]": Cause.INVALID_KEY,
    "Access key错误": Cause.INVALID_KEY,
    "Verification failure [校验失败]": Cause.INVALID_SECRET,
    "API签名无效: 校验失败": Cause.INVALID_SECRET,
    "Incorrect signature version [错误的签名版本]": Cause.INVALID_SECRET,
    "Incorrect signature method [错误的签名方法]": Cause.INVALID_SECRET,
    "Incorrect Private Key signature [Private Key签名错误]": Cause.INVALID_SECRET,
    "Incorrect Public key [Public key错误]": Cause.INVALID_KEY,
    "Incorrect IP address [IP地址错误]:119.81.237.3": Cause.IP_NOT_ALLOWED,
    "incorrect ip address": Cause.IP_NOT_ALLOWED,
    "ip地址错误": Cause.IP_NOT_ALLOWED,
    "API key has expired [API Key已经过期]": Cause.EXPIRED_KEY,
    "APIkey has expired": Cause.EXPIRED_KEY,
    "API Key已经过期": Cause.EXPIRED_KEY,
    "API key has no permission [API Key没有权限]": Cause.PERMISSION_MISSING,
    "API Key没有权限": Cause.PERMISSION_MISSING,
    "Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]": Cause.CLOCK_SKEW,
    "时间格式错误": Cause.CLOCK_SKEW,
    "Submission time is required [提交时间不能为空]": Cause.CLOCK_SKEW,
    "Abnormal user status [用户状态不正常]": Cause.ACCOUNT_RESTRICTED,
    "": Cause.AMBIGUOUS,
}


@pytest.mark.parametrize(("words", "cause"), WORDS.items())
def test_one_code_many_causes_in_every_style(words: str, cause: Cause) -> None:
    bodies = [
        spot("api-signature-not-valid", f"Signature not valid: {words}"),
        contract(403, words),
        number(401, words),
        number(403, words),
    ]
    for body in bodies:
        assert refused(body).cause is cause, body
        escaped = refused(json.dumps(body))
        assert escaped.cause is cause, "as JSON that writes other scripts as numbers"


CODES: dict[Cause, tuple[str, str]] = {
    # words of spot, numbers of v2 and v5
    Cause.INVALID_KEY: ("login-required", "12007 12011"),
    Cause.INVALID_SECRET: ("", "12002 12003 12008 12010 1003"),
    Cause.IP_NOT_ALLOWED: ("", "12005 2000"),
    Cause.EXPIRED_KEY: ("", "12004"),
    Cause.CLOCK_SKEW: ("", "12001 12006"),
    Cause.PERMISSION_MISSING: ("base-user-request-not-allowed", "1002"),
    Cause.ACCOUNT_RESTRICTED: ("account-api-trading-banned-error", "12009 1220"),
    Cause.RATE_LIMITED: ("rate-too-many-requests base-request-exceed-frequency-limit too-many-requests", "429"),
    Cause.EXCHANGE_UNAVAILABLE: ("system-maintenance gateway-internal-error timeout", "500"),
    Cause.AMBIGUOUS: ("api-signature-not-valid api-signature-check-failed", "401 403"),
    Cause.UNEXPECTED_RESPONSE: (
        "invalid-parameter bad-request account-frozen-balance-insufficient-error order-value-min-error",
        "2001 2002 2003 3002",
    ),
}
CONTRACT_CODES: dict[Cause, str] = {
    Cause.INVALID_SECRET: "1253",
    Cause.INVALID_KEY: "1200",
    Cause.ACCOUNT_RESTRICTED: "1010 1012 1084 1113 1220 1221 1222 1223 1227 1228 1230 1231 1254",
    Cause.LOCATION_RESTRICTED: "1224",
    Cause.RATE_LIMITED: "1032",
    Cause.EXCHANGE_UNAVAILABLE: "1000 1001 1002 1003 1004 1046 1077 1108 1431",
    Cause.AMBIGUOUS: "403",
    Cause.UNEXPECTED_RESPONSE: "1013 1017 1030 1047 1332",
}


@pytest.mark.parametrize(
    ("cause", "code"), [(cause, code) for cause, (words, _) in CODES.items() for code in words.split()]
)
def test_codes_of_spot(cause: Cause, code: str) -> None:
    assert refused(spot(code)).cause is cause


@pytest.mark.parametrize(
    ("cause", "code"), [(cause, code) for cause, (_, codes) in CODES.items() for code in codes.split()]
)
def test_codes_of_v2_and_v5(cause: Cause, code: str) -> None:
    assert refused(number(int(code))).cause is cause
    assert refused({"code": code, "message": ""}).cause is cause, "as text"


@pytest.mark.parametrize(
    ("cause", "code"), [(cause, code) for cause, codes in CONTRACT_CODES.items() for code in codes.split()]
)
def test_codes_of_contracts(cause: Cause, code: str) -> None:
    assert refused(contract(int(code))).cause is cause


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (spot("invalid-parameter", "request limit"), Cause.RATE_LIMITED),
        (spot("bad-request", "429 too many request"), Cause.RATE_LIMITED),
        (number(4000, "too.many.request"), Cause.RATE_LIMITED),
        (contract(1032, "The number of access exceeded the limit."), Cause.RATE_LIMITED),
        (number(1004, "System is in maintenance!"), Cause.EXCHANGE_UNAVAILABLE),
        (contract(1030, "Service error. Please try again later."), Cause.EXCHANGE_UNAVAILABLE),
        (contract(1224, "Your country/region can't meet the requirements."), Cause.LOCATION_RESTRICTED),
        (spot("base-msg", "You don’t have access permission as you have not opened contracts trading."),
         Cause.ACCOUNT_RESTRICTED),
        ({"op": "auth", "type": "api", "err-code": 2003, "err-msg": "Incorrect Access key [Access key错误]"},
         Cause.INVALID_KEY),
        ({"op": "auth", "type": "api", "err-code": 2003, "err-msg": "Verification failure [校验失败]"},
         Cause.INVALID_SECRET),
        ({"op": "auth", "err-code": 2002, "err-msg": "auth.fail"}, Cause.AMBIGUOUS),
        (number(1003, "invalid signature"), Cause.INVALID_SECRET),
    ],
)  # fmt: skip
def test_words_count_where_codes_do_not(body: dict[str, Any], cause: Cause) -> None:
    assert refused(body).cause is cause


@pytest.mark.parametrize(
    "text",
    [
        "[Executing] api-signature-not-valid: Signature not valid: Incorrect IP address [IP地址错误]:203.0.113.7",
        'htx {"status":"error","err-code":"api-signature-not-valid",'
        '"err-msg":"Signature not valid: Incorrect IP address [IP地址错误]:203.0.113.7","data":null}',
    ],
)
def test_the_refused_address_is_told(text: str) -> None:
    found = explain.explain_text(text, all_exchanges().values())
    assert found.exchange is HTX
    assert found.diagnosis is not None
    assert (found.diagnosis.cause, found.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.7")


def test_a_refusal_without_a_reason_names_every_candidate() -> None:
    found = refused(spot("api-signature-not-valid", "Signature not valid"))
    assert {Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.IP_NOT_ALLOWED, Cause.EXPIRED_KEY, Cause.CLOCK_SKEW} < {
        *found.candidates
    }


def test_no_plain_code_has_two_meanings() -> None:
    plain = [code for rule in HTX.error_rules if rule.pattern is None and not rule.roles for code in rule.codes]
    assert len(plain) == len(set(plain))


# -- successes ---------------------------------------------------------------------------------------------------------

GOOD: list[tuple[str, Any]] = [
    ("/v1/common/timestamp", {"status": "ok", "data": 1494900087029}),
    ("/api/v1/timestamp", {"status": "ok", "ts": 1494900087029}),
    ("/v2/market-status", {"code": 200, "message": "success", "data": {"marketStatus": 1}}),
    ("/heartbeat/", {"status": "ok", "data": {"heartbeat": 1, "linear_swap_heartbeat": 1}, "ts": 1}),
    ("/v2/user/uid", {"code": 200, "data": 63628520}),
    ("/v2/user/api-key", listed(ROW)),
    ("/v1/account/accounts", {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]}),
    ("/v1/account/accounts/{account_id}/balance", {"status": "ok", "data": {"id": 1, "type": "spot", "list": []}}),
    ("/v1/order/openOrders", {"status": "ok", "data": []}),
    ("/v5/account/balance", {"code": 200, "message": "Success", "data": {"state": "normal", "details": []}, "ts": 1}),
    ("/v5/trade/order/opens", {"code": 200, "message": "Success", "data": [], "ts": 1}),
    ("/v5/trade/order/opens", {"code": 200, "message": "Success", "data": {"orders": []}, "ts": 1}),
]


@pytest.mark.parametrize(("path", "body"), GOOD, ids=lambda value: value if isinstance(value, str) else "")
def test_the_shape_of_a_success(path: str, body: dict[str, Any]) -> None:
    assert HTX.succeeded(heard(HTX, path, body))
    bad: list[Any] = [
        {**body, "code": 401, "message": "Incorrect IP address [IP地址错误]"},
        {**body, "status": "error"},
        {**body, "err-code": "login-required"},
        {**body, "err_code": 403},
        {name: value for name, value in body.items() if name not in ("data", "ts")},
        {**body, "data": "text", "ts": "text"},
        {**body, "data": {}, "ts": {}},
        {name: value for name, value in body.items() if name not in ("status", "code")},
        [body],
        "ok",
        None,
    ]
    for other in bad:
        if path in ("/v2/market-status", "/heartbeat/") and other is bad[6]:
            continue
        assert not HTX.succeeded(heard(HTX, path, other)), other
    assert not HTX.succeeded(heard(HTX, path, body, 401))
    assert not HTX.succeeded(Answer(role=call_to(HTX, path).role, status=200, body="<html></html>"))


def test_values() -> None:
    accounts = [{"id": 11, "type": "point"}, {"id": 22, "type": "spot", "state": "working"}, {"id": 33, "type": "otc"}]
    assert HTX.values(heard(HTX, "/v2/user/uid", {"code": 200, "data": 63628520})) == {"uid": "63628520"}
    assert HTX.values(heard(HTX, "/v1/account/accounts", {"status": "ok", "data": accounts})) == {"account_id": "22"}
    for body in ({"code": 200, "data": "../../x"}, {"code": 200, "data": None}, {"code": 200, "data": [{"type": []}]}):
        assert HTX.values(heard(HTX, "/v2/user/uid", body)) == {}
    assert HTX.values(heard(HTX, "/v1/common/timestamp", {"status": "ok", "data": 1494900087029})) == {}


def test_the_server_time_of_both_hosts() -> None:
    assert (
        HTX.server_time_ms(heard(HTX, "/v1/common/timestamp", {"status": "ok", "data": 1494900087029})) == 1494900087029
    )
    assert HTX.server_time_ms(heard(HTX, "/api/v1/timestamp", {"status": "ok", "ts": 1494900087029})) == 1494900087029
    assert HTX.server_time_ms(heard(HTX, "/v1/common/timestamp", {"status": "ok", "data": "soon"})) is None


@pytest.mark.parametrize(
    ("data", "is_open"),
    [
        ({"marketStatus": 1}, True),
        ({"marketStatus": 2, "affectedSymbols": "all"}, False),
        ({"marketStatus": 3}, False),
        ({"marketStatus": 2, "affectedSymbols": "abcusdt,defusdt"}, True),
        ({"marketStatus": 9}, None),
        ({"marketStatus": []}, None),
        ({"linear_swap_heartbeat": 1, "heartbeat": 0}, True),
        ({"linear_swap_heartbeat": 0, "heartbeat": 1}, False),
        ({"linear_swap_heartbeat": {}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_service_status(data: Any, is_open: bool | None) -> None:
    assert HTX.service_open(Answer(status=200, body=json.dumps({"code": 200, "data": data}))) is is_open


def test_balances_and_orders() -> None:
    rows = [
        {"currency": "usdt", "type": "trade", "balance": "12.5", "seq-num": "1"},
        {"currency": "usdt", "type": "frozen", "balance": "7", "seq-num": "1"},
        {"currency": "btc", "type": "trade", "balance": "0", "seq-num": "1"},
    ]
    path = "/v1/account/accounts/{account_id}/balance"
    free = HTX.read_balances(Market.SPOT, heard(HTX, path, {"status": "ok", "data": {"list": rows}}))
    assert {name: str(amount) for name, amount in (free or {}).items()} == {"USDT": "12.5"}
    rows.append({"currency": "eth", "type": "trade", "balance": "much"})
    assert HTX.read_balances(Market.SPOT, heard(HTX, path, {"status": "ok", "data": {"list": rows}})) is None
    details = [{"currency": "USDT", "equity": "9", "available": "8"}]
    swap = HTX.read_balances(
        Market.FUTURES, heard(HTX, "/v5/account/balance", {"code": 200, "data": {"details": details}})
    )
    assert {name: str(amount) for name, amount in (swap or {}).items()} == {"USDT": "8"}
    refusal = heard(HTX, "/v5/account/balance", {"code": 401, "message": "Incorrect IP address [IP地址错误]"})
    assert HTX.read_balances(Market.FUTURES, refusal) is None, "ccxt takes this for an empty account"
    for data, count in (([], 0), ([{}], 1), ({"orders": [{}, {}]}, 2), ({}, None), ("x", None)):
        answer = heard(HTX, "/v5/trade/order/opens", {"code": 200, "data": data})
        assert HTX.read_orders(Market.FUTURES, answer) == count


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'huobi {"status":"error","err-code":"login-required","err-msg":"Login required"}',
        '{"status":"error","err_code":1220,"err_msg":"You don’t have access permission","ts":1}',
        '{"code":401,"message":"Incorrect IP address [IP地址错误]"}',
        '{"code":401,"message":"API key has no permission [API Key没有权限]"}',
        "GET https://api.hbdm.com/v5/account/balance?AccessKeyId=x",
        "api-signature-not-valid",
        json.dumps(listed(ROW)),
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, HTX)


def test_paste() -> None:
    check_paste(read_paste(HTX, f"Access Key: {KEY}\nSecret Key: {SECRET}\nIP: 203.0.113.7"), KEY, SECRET)
    assert read_paste(HTX, f"{KEY}\n{SECRET}").credentials == Credentials(KEY, SECRET), "key first, as it is shown"
    assert read_paste(HTX, KEY).missing == ("secret",)
    same = read_paste(HTX, json.dumps({"apiKey": KEY, "secret": KEY}))
    assert same.problems and same.credentials is None
    assert read_paste(HTX, json.dumps({"apiKey": KEY[:9], "secret": SECRET})).doubts
    assert read_paste(HTX, json.dumps({"apiKey": KEY[:20] + "…", "secret": SECRET})).problems


def test_the_key_page_is_told_as_it_is() -> None:
    for market in Market:
        ticks = {right.box: right.tick(market) for right in HTX.rights}
        assert ticks == {"Read": Tick.NEEDED, "Trade": Tick.NEEDED, "Withdraw": Tick.NEVER}
    assert HTX.guide.max_ips == 20
    (rule,) = HTX.expiry_rules
    assert (rule.days, rule.counted) == (90, CountedFrom.LAST_USE)
    assert not rule.concerns(told()), "a bound key stays"
    assert rule.concerns(told(ipAddresses=""))
    assert not rule.concerns(told(ipAddresses="", permission="readOnly")), "a key that only reads stays"


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("htx"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "htx", sample(simulator, "htx", account), market=market)
    check_verdict(run, verdict)
    if account == "expiring":
        assert run.advice == (Advice.EXPIRES_SOON,)


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_good_key_is_online_although_trade_gives_more(simulator: Simulator, gateway: Gateway, market: str) -> None:
    run = run_once(gateway, "htx", sample(simulator, "htx", "good"), market=market)
    assert (run.status, run.advice) == (Status.ONLINE, ())
    assert run.key_report is not None
    assert run.key_report.account_id, "the number that the first call told"
    assert run.balances


@pytest.mark.parametrize("mode", ["", "v1_errors", "bare_errors"])
@pytest.mark.parametrize("market", ["spot", "futures"])
def test_wrong_credentials_in_every_style(simulator: Simulator, gateway: Gateway, market: str, mode: str) -> None:
    simulator.change_account("htx", "good", mode=mode)
    good = sample(simulator, "htx", "good")
    run = run_once(gateway, "htx", Credentials(good.api_key, good.secret[::-1]), market=market)
    check_cause(run, Cause.INVALID_SECRET)
    run = run_once(gateway, "htx", Credentials(KEY, good.secret), market=market)
    check_cause(run, Cause.INVALID_KEY)


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_foreign_address_is_shown_and_no_secret_with_it(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.set_address("203.0.113.77")
    simulator.change_account("htx", "good", mode="v1_errors")
    keys = sample(simulator, "htx", "good")
    run = run_once(gateway, "htx", keys, market=market)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.77")
    assert not any(secret in run.model_dump_json() for secret in keys.secrets())


def test_a_key_that_ends_today_works_today(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("htx", "good", report={"validDays": 0})
    run = run_once(gateway, "htx", sample(simulator, "htx", "good"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.EXPIRES_SOON,))
    simulator.change_account("htx", "good", report={"status": "expired"})
    run = run_once(gateway, "htx", sample(simulator, "htx", "good"))
    check_cause(run, Cause.EXPIRED_KEY)


def test_account_states(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("htx", "good", mode="locked")
    keys = sample(simulator, "htx", "good")
    locked = run_once(gateway, "htx", keys)
    check_cause(locked, Cause.ACCOUNT_RESTRICTED)
    simulator.change_account("htx", "good", mode="no_contract")
    assert run_once(gateway, "htx", keys).status is Status.ONLINE
    closed = run_once(gateway, "htx", keys, market="futures")
    assert closed.diagnosis is not None
    assert (closed.diagnosis.cause, closed.diagnosis.check) == (Cause.ACCOUNT_RESTRICTED, CheckName.BALANCE)


def test_a_report_that_is_refused_leaves_withdrawal_open(simulator: Simulator, gateway: Gateway) -> None:
    """As it may be for keys of sub-users: nothing says whether they can read the report on themselves."""
    for body in (number(1002, "forbidden"), number(403, ""), number(2002, "invalid field value in `uid`"), listed()):
        simulator.set_faults([{"exchange": "htx", "path": "/v2/user/api-key", "body": body}])
        run = run_once(gateway, "htx", sample(simulator, "htx", "sub_account"))
        assert run.status is Status.BLOCKED
        check_cause(run, Cause.WITHDRAW_UNKNOWN)


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize("offset_ms", [-600_000, 600_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, market: str, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "htx", sample(simulator, "htx", "good"), market=market)
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.CLOCK_CORRECTED,))


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_maintenance(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.set_faults([{"exchange": "htx", "kind": "maintenance"}])
    run = run_once(gateway, "htx", sample(simulator, "htx", "good"), market=market)
    check_cause(run, Cause.EXCHANGE_UNAVAILABLE)
