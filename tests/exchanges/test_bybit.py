"""Bybit against what it documents: signatures, key reports, refusals, sites, testnet, demo trading, maintenance."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bfai import diagnosis, explain
from bfai.connection_test import run_test
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, Role, Tick
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
    Sent,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.paste import read_paste
from bfai.simulator import Simulator
from bfai.transport import Client, Gateway, Transport
from tests.exchanges.common import (
    DENIED,
    GRANTED,
    UNKNOWN,
    ask,
    call_of,
    check_cause,
    check_error,
    check_paste,
    check_recognised,
    check_text,
    check_verdict,
    check_wrong_keys,
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

BYBIT = get_exchange("bybit")
KEY, SECRET = "Ab3dEf6hIj9lMn2pQr", "Zy8xWv5uTs2rQp9oNm6lKj3iHg0fEd7cBa4Z"


def refusal(code: int, msg: str = "", status: int = 200, role: str = "any", **more: Any) -> Diagnosis:
    body = json.dumps({"retCode": code, "retMsg": msg, "result": {}, "retExtInfo": {}, "time": 1, **more})
    return diagnosed(Answer(role=role, status=status, body=body), BYBIT)


# -- signing -----------------------------------------------------------------------------------------------------------


def client_with(secret: str) -> Client:
    return client_of(BYBIT, "APIKEYEXAMPLE01", secret)


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize(
    ("role", "url", "signature"),
    [
        (
            Role.KEY_INFO,
            "https://api.bybit.com/v5/user/query-api",
            "6a2381931736f530ca38d937e966834e149946fcdb52bf3b638f4589cdbf08fa",
        ),
        (
            Role.BALANCE,
            "https://api.bybit.com/v5/account/wallet-balance?accountType=UNIFIED",
            "2963017dd0d99e6b43a813a730e477efe785a91a20b6c6a25f589efa02b89571",
        ),
    ],
)
def test_golden_signatures(role: Role, url: str, signature: str) -> None:
    sent, headers, body = client_with("SECRETEXAMPLE02")._sign(call_of(BYBIT, role), "api.bybit.com")
    assert (str(sent), body) == (url, None)
    assert headers["X-BAPI-SIGN"] == signature
    assert (headers["X-BAPI-API-KEY"], headers["X-BAPI-TIMESTAMP"]) == ("APIKEYEXAMPLE01", "1700000000000")
    assert headers["X-BAPI-RECV-WINDOW"] == "5000"


@pytest.mark.usefixtures("frozen_clock")
def test_golden_signature_of_a_body() -> None:
    signer = client_with("SECRETEXAMPLE02")._signer
    signed = signer.privatePostV5OrderPreCheck({"category": "linear", "symbol": "BTCUSDT"})
    assert signed["body"] == '{"category":"linear","symbol":"BTCUSDT"}'
    assert signed["headers"]["X-BAPI-SIGN"] == "56e3769e477421d2ff05d27a2d6164eca1a715f8aec0008717da1a41b5ea915f"


def rsa_pem() -> tuple[rsa.RSAPrivateKey, str]:
    key = rsa.generate_private_key(65537, 2048)
    return key, pem_of(key)


@pytest.mark.usefixtures("frozen_clock")
def test_a_self_generated_key_signs_with_rsa() -> None:
    key, pem = rsa_pem()
    _, headers, _ = client_with(pem.replace("\n", "\\n"))._sign(call_of(BYBIT, Role.BALANCE), "api.bybit.com")
    signed = b"1700000000000APIKEYEXAMPLE015000accountType=UNIFIED"
    signature = base64.b64decode(headers["X-BAPI-SIGN"])
    key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


def test_the_dry_run_is_the_documented_one_and_for_futures_only() -> None:
    call = call_of(BYBIT, Role.DRY_RUN, Market.FUTURES)
    assert (call.method, call.path, call.params["category"]) == ("POST", "/v5/order/pre-check", "linear")
    assert not any(call.role is Role.DRY_RUN for call in BYBIT.plan(Market.SPOT))
    assert {call.method for call in BYBIT.calls if call.role is not Role.DRY_RUN} == {"GET"}


def test_only_the_address_book_is_asked_about_withdrawal() -> None:
    probes = [call for call in BYBIT.calls if call.right is Permission.WITHDRAW]
    assert [(call.role, call.path) for call in probes] == [(Role.PROBE, "/v5/asset/withdraw/query-address")]


# -- sites -------------------------------------------------------------------------------------------------------------


def test_sites() -> None:
    assert {region.id: region.hosts["api"] for region in BYBIT.regions} == {
        "global": "api.bybit.com",
        "eu": "api.bybit.eu",
        "nl": "api.bybit.nl",
        "tr": "api.bybit.tr",
        "kz": "api.bybit.kz",
        "ge": "api.bybitgeorgia.ge",
        "ae": "api.bybit.ae",
        "id": "api.bybit.id",
        "jp": "api.manepa.jp",
    }
    assert BYBIT.regions[0].id == "global"
    assert not BYBIT.serves("eu", Market.FUTURES) and BYBIT.serves("nl", Market.FUTURES)
    assert BYBIT.site("global", Environment.TESTNET).hosts["user"] == "api-testnet.bybit.com"


@pytest.mark.parametrize("market", list(Market))
def test_demo_accounts_lack_report_withdrawal_and_dry_run(market: Market) -> None:
    roles = [call.role for call in BYBIT.plan(market, "global", Environment.DEMO)]
    assert sorted(roles) == sorted([Role.TIME, Role.SERVICE, Role.BALANCE, Role.ORDERS])


# -- key reports -------------------------------------------------------------------------------------------------------

GROUPS: dict[str, Any] = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Wallet": [],
    "Options": [],
    "Derivatives": ["DerivativesTrade"],
    "Exchange": [],
    "Earn": [],
    "CopyTrading": [],
    "BlockTrade": [],
    "NFT": [],
    "Affiliate": [],
    "FiatP2P": [],
}


def body_of(groups: Any = None, **changes: Any) -> dict[str, Any]:
    """A report with these groups in place of the usual ones (a dict is merged into them), and these fields."""
    merged = {**GROUPS, **groups} if isinstance(groups, dict) else (GROUPS if groups is None else groups)
    kept = {name: words for name, words in merged.items() if words is not ...} if isinstance(merged, dict) else merged
    fields: dict[str, Any] = {
        "note": "bot-1",
        "apiKey": KEY,
        "readOnly": 0,
        "permissions": kept,
        "ips": ["203.0.113.7"],
        "deadlineDay": -2,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": "2025-10-13T03:20:45Z",
        "uta": 1,
        "userID": 1448939,
        "isMaster": True,
        "parentUid": "0",
        **changes,
    }
    result = present(fields)
    return {"retCode": 0, "retMsg": "", "result": result, "retExtInfo": {}, "time": 1776149990532}


def report(groups: Any = None, **changes: Any) -> KeyReport:
    found = BYBIT.read_report(body_of(groups, **changes), api_key=KEY)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("bybit"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, BYBIT)
    assert (found.expires_at, found.expiry_evidence) == (None, ExpiryEvidence.FIELD)
    assert found.unknown_words == ()


def test_a_whole_report() -> None:
    found = report()
    assert (found.label, found.account_id, found.is_sub) == ("bot-1", "1448939", False)
    assert found.created_at == datetime(2025, 10, 13, 3, 20, 45, tzinfo=UTC)
    assert found.state(Permission.WITHDRAW) is found.state(Permission.TRANSFER) is DENIED
    assert found.grant(Permission.FUTURES_TRADE).words == ("Order", "DerivativesTrade")
    assert report(isMaster=False, parentUid="24617703").is_sub is True
    assert report(isMaster=...).is_sub is None


@pytest.mark.parametrize(
    ("groups", "right", "state"),
    [
        ({"Spot": []}, Permission.SPOT_TRADE, DENIED),
        ({"ContractTrade": [], "Derivatives": []}, Permission.FUTURES_TRADE, DENIED),
        ({"ContractTrade": ["Position"], "Derivatives": []}, Permission.FUTURES_TRADE, DENIED),
        ({"ContractTrade": ["Order"], "Derivatives": []}, Permission.FUTURES_TRADE, GRANTED),
        ({"ContractTrade": []}, Permission.FUTURES_TRADE, GRANTED),
        ({"Wallet": ["AccountTransfer"]}, Permission.TRANSFER, GRANTED),
        ({"Wallet": ["SubMemberTransfer"]}, Permission.TRANSFER, GRANTED),
        ({"Wallet": ["SubMemberTransferList"]}, Permission.TRANSFER, GRANTED),
        ({"Wallet": ["Withdraw"]}, Permission.WITHDRAW, GRANTED),
        ({"Wallet": ["withdraw "]}, Permission.WITHDRAW, GRANTED),
        ({"Wallet": ["AccountTransfer"]}, Permission.WITHDRAW, DENIED),
    ],
)
def test_what_a_word_gives(groups: dict[str, Any], right: Permission, state: GrantState) -> None:
    assert report(groups).state(right) is state


@pytest.mark.parametrize(
    "groups",
    [
        [],
        "Spot",
        7,
        {name: [] for name in GROUPS},
        {"Wallet": ...},
        {"Wallet": None},
        {"Wallet": "AccountTransfer"},
        {"Wallet": {"Withdraw": False}},
        {"Wallet": ["AccountTransfer", None]},
        {"Wallet": [""]},
        {"Wallet": ["NewRight"]},
        {"Vault": ["VaultAccess"]},
        {"Vault": ["Order"]},
        {"Vault": "VaultAccess"},
    ],
)
def test_withdrawal_is_unknown_unless_every_group_is_whole_and_every_word_is_known(groups: Any) -> None:
    assert report(groups).state(Permission.WITHDRAW) is UNKNOWN


def test_an_empty_unknown_group_and_a_known_one_without_words_are_nothing() -> None:
    found = report({"Vault": [], "FiatGlobalPay": []})
    assert (found.state(Permission.WITHDRAW), found.unknown_words) == (DENIED, ())
    assert report({"Vault": ["VaultAccess"]}).unknown_words == ("VaultAccess",)
    assert report({"Vault": ["Order"]}).unknown_words == ("Vault: Order",)
    assert report({"Vault": ["Withdraw"]}).state(Permission.WITHDRAW) is GRANTED


def test_read_only_outweighs_what_is_listed_beside_it() -> None:
    found = report({"Wallet": ["AccountTransfer"]}, readOnly=1)
    for right in (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER, Permission.WITHDRAW):
        assert found.state(right) is DENIED, right
    assert found.state(Permission.READ) is GRANTED
    assert found.escalations == ()
    assert report({"Wallet": ["Withdraw"]}, readOnly=1).state(Permission.WITHDRAW) is GRANTED
    assert report({"Wallet": ["NewRight"]}, readOnly=1).state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize("switch", [..., None, "1", "0", 2, [], {}])
def test_a_missing_or_unreadable_switch_denies_nothing(switch: Any) -> None:
    found = report({"Spot": []}, readOnly=switch)
    assert found.state(Permission.WITHDRAW) is found.state(Permission.SPOT_TRADE) is UNKNOWN
    assert found.unknown_words == ("readOnly",)


@pytest.mark.parametrize("word", ["AccountTransfer", "SubMemberTransfer"])
@pytest.mark.parametrize("master", [True, False, ...])
def test_a_right_to_transfer_is_named_as_what_it_is(word: str, master: Any) -> None:
    (text,) = report({"Wallet": [word]}, isMaster=master).escalations
    assert "may change its own rights" in text
    assert ("its list of addresses" in text) is (master is False)
    right = BYBIT.right(word)
    assert right is not None
    assert right.exposes


@pytest.mark.parametrize(
    "groups",
    [
        {"FiatP2P": ["FiatP2POrder", "Advertising"]},
        {"FiatBitPay": ["FaitPayOrder"]},
        {"FiatConvertBroker": ["FiatConvertBrokerOrder"]},
        {"BitCard": ["BitCard"]},
    ],
)
def test_other_ways_out_are_named(groups: dict[str, Any]) -> None:
    found = report(groups)
    assert found.state(Permission.WITHDRAW) is DENIED
    assert len(found.escalations) == 1
    assert "without a withdrawal" in found.escalations[0]


@pytest.mark.parametrize(
    ("ips", "state"),
    [
        (["*"], DENIED),
        ([], DENIED),
        ([""], DENIED),
        (["203.0.113.7", "2001:db8::7"], GRANTED),
        (["203.**.7"], GRANTED),
        (["0.0.0.0/0"], DENIED),
        (["anywhere"], UNKNOWN),
        (None, UNKNOWN),
        (..., UNKNOWN),
        ("203.0.113.7", UNKNOWN),
        ([7], UNKNOWN),
    ],
)
def test_addresses(ips: Any, state: GrantState) -> None:
    assert report(ips=ips).ip_restriction.state is state


@pytest.mark.parametrize(
    ("value", "end", "evidence"),
    [
        ("1970-01-01T00:00:00Z", None, ExpiryEvidence.FIELD),
        ("0001-01-01T00:00:00Z", None, ExpiryEvidence.FIELD),
        ("2027-01-02T03:04:05Z", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC), ExpiryEvidence.FIELD),
        ("soon", None, ExpiryEvidence.NONE),
        ("", None, ExpiryEvidence.NONE),
        (None, None, ExpiryEvidence.NONE),
        (1_800_000_000_000, None, ExpiryEvidence.NONE),
        (..., None, ExpiryEvidence.NONE),
    ],
)
def test_end(value: Any, end: datetime | None, evidence: ExpiryEvidence) -> None:
    found = report(expiredAt=value)
    assert (found.expires_at, found.expiry_evidence) == (end, evidence)


def test_the_rule_is_counted_only_where_no_end_is_told() -> None:
    made = utc_now().replace(microsecond=0) - timedelta(days=80)
    young = {"createdAt": made.isoformat()}
    unbound = BYBIT.with_counted_end(report(expiredAt=..., ips=["*"], **young))
    assert unbound.expires_at == made + timedelta(days=90)
    assert unbound.expiry_evidence is ExpiryEvidence.RULE
    assert BYBIT.with_counted_end(report(expiredAt=..., **young)).expires_at is None, "bound keys stay"
    assert BYBIT.with_counted_end(report(ips=["*"], **young)).expires_at is None, "the field outweighs the rule"


def test_a_key_past_its_end_by_the_exchanges_clock() -> None:
    assert BYBIT.state_cause(body_of(expiredAt="2026-04-01T00:00:00Z")) is Cause.EXPIRED_KEY
    assert BYBIT.state_cause(body_of(expiredAt="2036-04-01T00:00:00Z")) is None
    assert BYBIT.state_cause(body_of()) is None
    assert BYBIT.state_cause({**body_of(expiredAt="2026-04-01T00:00:00Z"), "time": None}) is None
    assert BYBIT.state_cause("<html>") is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "query-api",
        {},
        {"result": body_of()["result"]},
        {**body_of(), "retCode": 10003},
        {**body_of(), "result": None},
        {**body_of(), "result": [body_of()["result"]]},
        {"retCode": 0, "result": {"list": [{"accountType": "UNIFIED", "coin": []}]}},
        {"retCode": 0, "result": {"rows": []}},
        body_of()["result"],
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert BYBIT.read_report(body) is None


def test_a_report_on_another_key_is_none() -> None:
    assert BYBIT.read_report(body_of(apiKey="Xy3dEf6hIj9lMn2pQr"), api_key=KEY) is None
    assert BYBIT.read_report(body_of(apiKey="Ab3d****2pQr"), api_key=KEY) is not None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("bybit"), ids=lambda line: line["truth"])
def test_documented_answers(line: dict[str, Any]) -> None:
    check_error(line, BYBIT)


CODES: dict[Cause, str] = {
    Cause.INVALID_KEY: "10003 10007",
    Cause.INVALID_SECRET: "10004",
    Cause.IP_NOT_ALLOWED: "10010",
    Cause.PERMISSION_MISSING: "10005 10029",
    Cause.EXPIRED_KEY: "33004 -2015",
    Cause.CLOCK_SKEW: "10002 -1021",
    Cause.RATE_LIMITED: "10006 10018 10429 20003 429 170222 170005",
    Cause.LOCATION_RESTRICTED: "10009 10024 110132 170209 170358",
    Cause.WRONG_ENVIRONMENT: "10032 170348",
    Cause.ACCOUNT_RESTRICTED: "10008 10027 10028 100028 131004 20096 131092 141004 110088 110124 3100197",
    Cause.EXCHANGE_UNAVAILABLE: "10000 10016 10019 5004 110066 170001 170007 170234 131200 3400214",
    Cause.UNEXPECTED_RESPONSE: "10001 10014 10017 110001 110007 170124 131085 181017 3100116 3500402 99999",
}


@pytest.mark.parametrize(("cause", "code"), [(cause, code) for cause, codes in CODES.items() for code in codes.split()])
def test_codes(cause: Cause, code: str) -> None:
    assert refusal(int(code)).cause is cause
    legacy = Answer(status=200, body=json.dumps({"ret_code": int(code), "ret_msg": "", "result": None}))
    assert diagnosed(legacy, BYBIT).cause is cause


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        (10001, "empty value: apiTimestamp[] apiKey[] apiSignature[x]: openapi sign params error!", Cause.INVALID_KEY),
        (10001, "accountType only support SPOT, CONTRACT.", Cause.ACCOUNT_RESTRICTED),
        (10003, "Too many sessions under the same UID", Cause.RATE_LIMITED),
        (10009, "IP has been banned.", Cause.LOCATION_RESTRICTED),
        (-1, "request expired: o_req_timestamp[1], now[2] diff[3]", Cause.CLOCK_SKEW),
        (-2015, "Invalid API-key, IP, or permissions for action.", Cause.AMBIGUOUS),
        (170201, "Your account has been restricted for trades.", Cause.ACCOUNT_RESTRICTED),
        (170201, "Invalid orderFilter parameter", Cause.UNEXPECTED_RESPONSE),
        (403, "access too frequent", Cause.RATE_LIMITED),
        (403, "Forbidden", Cause.LOCATION_RESTRICTED),
    ],
)
def test_one_code_for_many_reasons(code: int, words: str, cause: Cause) -> None:
    assert refusal(code, words).cause is cause


def test_no_code_has_two_meanings() -> None:
    plain = [code for rule in BYBIT.error_rules if rule.pattern is None for code in rule.codes]
    assert len(plain) == len(set(plain))


def test_an_unknown_key_may_belong_to_another_site_or_environment() -> None:
    found = refusal(10003, "API key is invalid.", 401)
    assert found.candidates == (Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT)


def test_a_refused_signature_echoes_the_key_and_it_is_not_told() -> None:
    body = {"retCode": 10004, "retMsg": f"error sign! origin_string[1700000000000{KEY}5000accountType=UNIFIED]"}
    found = diagnosed(Answer(status=200, body=json.dumps(body)), BYBIT, secrets=(KEY, SECRET))
    assert found.exchange_said is not None
    assert (found.cause, KEY in found.exchange_said) == (Cause.INVALID_SECRET, False)


PYBIT = "pybit.exceptions.InvalidRequestError: {} (ErrCode: {}) (ErrTime: 11:01:13).\nRequest → GET {}"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (PYBIT.format("API key is invalid.", 10003, "https://api.bybit.com/v5/user/query-api"), Cause.INVALID_KEY),
        (PYBIT.format("Your api key has expired.", 33004, "https://api.bybit.com/v5/x"), Cause.EXPIRED_KEY),
        (PYBIT.format("Unmatched IP, please check", 10010, "https://api.bybit.com/v5/x"), Cause.IP_NOT_ALLOWED),
        (
            PYBIT.format("Permission denied", 10005, 'POST https://api.bybit.com/v5/order/create: {"qty": "1"}'),
            Cause.PERMISSION_MISSING,
        ),
        ("bybit: retCode=10005, retMsg=Permission denied", Cause.PERMISSION_MISSING),
        ("BYBIT {'retCode': 10006, 'retMsg': 'Too many visits.', 'result': {}}", Cause.RATE_LIMITED),
        ('bybit {"retCode":10024,"retMsg":"…","result":{}}', Cause.LOCATION_RESTRICTED),
        (
            "bybit GET https://api.bybit.com/v5/user/query-api? 403 Forbidden <html><TITLE>ERROR: The request could not"
            " be satisfied</TITLE>The Amazon CloudFront distribution is configured to block access from your country.",
            Cause.LOCATION_RESTRICTED,
        ),
    ],
)
def test_what_bots_print(text: str, cause: Cause) -> None:
    check_text(text, BYBIT, cause)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (403, "access too frequent", Cause.RATE_LIMITED),
        (403, "<html><title>ERROR: The request could not be satisfied</title></html>", Cause.LOCATION_RESTRICTED),
        (403, "", Cause.LOCATION_RESTRICTED),
        (401, "", Cause.AMBIGUOUS),
        (429, "", Cause.RATE_LIMITED),
        (502, "<html></html>", Cause.EXCHANGE_UNAVAILABLE),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
        (200, '{"retCode":0,"retMsg":"","result":{}}', Cause.UNEXPECTED_RESPONSE),
        (200, '{"retCode":0,"retMsg":"","result":[]}', Cause.UNEXPECTED_RESPONSE),
        (200, '{"result":{"readOnly":0}}', Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_what_is_no_success(status: int, body: str, cause: Cause) -> None:
    assert diagnosed(Answer(role=Role.KEY_INFO, status=status, body=body), BYBIT).cause is cause


@pytest.mark.parametrize(
    ("role", "result", "good"),
    [
        (Role.TIME, {"timeSecond": "1", "timeNano": "1000000000"}, True),
        (Role.TIME, {}, False),
        (Role.SERVICE, {"list": []}, True),
        (Role.SERVICE, {}, False),
        (Role.BALANCE, {"list": []}, True),
        (Role.BALANCE, {"list": None}, False),
        (Role.ORDERS, {"list": []}, True),
        (Role.ORDERS, {}, False),
        (Role.DRY_RUN, {"orderId": "x"}, True),
        (Role.DRY_RUN, {}, False),
        (Role.PROBE, {"rows": []}, True),
        (Role.PROBE, {}, True),
        (Role.PROBE, None, False),
    ],
)
def test_the_shape_of_a_success(role: Role, result: Any, good: bool) -> None:
    assert BYBIT.succeeded(Answer(role=role, status=200, body=json.dumps({"retCode": 0, "result": result}))) is good


def judged(code: int) -> tuple[bool, bool]:
    answer = Answer(role=Role.DRY_RUN, status=200, body=json.dumps({"retCode": code, "retMsg": "", "result": {}}))
    return BYBIT.dry_run_proves(answer), BYBIT.dry_run_says_nothing(answer)


@pytest.mark.parametrize("code", [110003, 110007, 110012, 110023, 110094, 110121, 30208])
def test_an_order_that_was_judged_proves_the_right(code: int) -> None:
    assert judged(code) == (True, False)


@pytest.mark.parametrize("code", [10001, 10017, 10028, 110077, 110079, 3200403])
def test_the_account_mode_says_nothing_about_the_key(code: int) -> None:
    assert judged(code) == (False, True)


@pytest.mark.parametrize("code", [10003, 10005, 10008, 10010, 10016, 10027, 33004, 110066, 110069, 110124, 110132, 99])
def test_a_refused_key_or_account_proves_nothing(code: int) -> None:
    assert judged(code) == (False, False)


# -- service, balance, orders ------------------------------------------------------------------------------------------


def is_open(*items: dict[str, Any], market: Market = Market.SPOT, host: str = "api.bybit.com") -> bool | None:
    call = call_of(BYBIT, Role.SERVICE, market)
    sent = Sent(method="GET", host=host, path=call.path, purpose=call.purpose, at=utc_now())
    body = json.dumps({"retCode": 0, "retMsg": "", "result": {"list": list(items)}})
    return BYBIT.service_open(Answer(role=call.role, status=200, body=body, call=call, sent=sent))


ONGOING: dict[str, Any] = {
    "state": "ongoing",
    "serviceTypes": [1, 2, 3],
    "product": [1, 2],
    "uidSuffix": [],
    "maintainType": 1,
    "env": 1,
}


@pytest.mark.parametrize(
    ("changes", "spot", "futures"),
    [
        ({}, False, False),
        ({"state": "scheduled"}, True, True),
        ({"state": "completed"}, True, True),
        ({"product": [1]}, True, False),
        ({"product": [2]}, False, True),
        ({"product": [3, 4]}, True, True),
        ({"product": []}, False, False),
        ({"product": None, "serviceTypes": None}, False, False),
        ({"serviceTypes": [3, 4]}, True, True),
        ({"serviceTypes": [5]}, True, True),
        ({"uidSuffix": [3, 7]}, True, True),
        ({"env": 2}, True, True),
        ({"env": "1"}, False, False),
        ({"env": None}, False, False),
    ],
)
def test_maintenance_counts_where_it_stops_this_trader(changes: dict[str, Any], spot: bool, futures: bool) -> None:
    assert is_open({**ONGOING, **changes}) is spot
    assert is_open({**ONGOING, **changes}, market=Market.FUTURES) is futures


def test_demo_trading_has_maintenance_of_its_own() -> None:
    assert is_open({**ONGOING, "env": 2}, host="api-demo.bybit.com") is False
    assert is_open(ONGOING, host="api-demo.bybit.com") is True
    assert is_open() is True
    assert BYBIT.service_open(Answer(status=200, body='{"retCode":10016,"result":{}}')) is None


def balances(*coins: dict[str, Any]) -> dict[str, Decimal] | None:
    rows = [{"accountType": "UNIFIED", "coin": list(coins)}]
    body = json.dumps({"retCode": 0, "result": {"list": rows}})
    return BYBIT.read_balances(Market.SPOT, Answer(role=Role.BALANCE, status=200, body=body))


def test_balances_are_what_no_order_holds() -> None:
    usdt = {"coin": "USDT", "equity": "100", "walletBalance": "100.5", "locked": "40"}
    assert balances(usdt, {"coin": "BTC", "walletBalance": "0", "locked": "0"}) == {"USDT": Decimal("60.5")}
    assert balances() == {}
    assert balances({"coin": "USDT", "equity": "100"}) is None
    assert balances({"coin": "USDT", "walletBalance": "many"}) is None
    empty = Answer(role=Role.BALANCE, status=200, body='{"retCode":0,"result":{"list":[]}}')
    assert BYBIT.read_balances(Market.SPOT, empty) == {}
    assert BYBIT.read_balances(Market.SPOT, Answer(status=200, body='{"retCode":0,"result":{"list":[1]}}')) is None


def test_time_in_nanoseconds_or_from_the_envelope() -> None:
    exact = Answer(status=200, body='{"retCode":0,"result":{"timeNano":"1688639403423213947"},"time":1}')
    assert BYBIT.server_time_ms(exact) == 1_688_639_403_423
    assert BYBIT.server_time_ms(Answer(status=200, body='{"retCode":0,"result":{},"time":1688639403423}')) is not None


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"retCode":10003,"retMsg":"API key is invalid."}',
        '{"ret_code":10003,"ret_msg":"invalid api_key"}',
        'bybiteu {"x":1}',
        "BYBIT_API_KEY is wrong",
        "GET https://api.manepa.jp/v5/user/query-api",
        "GET /v5/order/realtime failed",
        "X-BAPI-SIGN",
        "Permission denied (ErrCode: 10005)",
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, BYBIT)


def test_paths_of_okx_are_not_taken_for_its_own() -> None:
    found = explain.recognise("GET /api/v5/account/balance", all_exchanges().values())
    assert found is not BYBIT


def test_paste() -> None:
    check_paste(
        read_paste(BYBIT, f"API Key\n{KEY}\nAPI Secret\n{SECRET}\nPermission\nContract - Orders Positions"), KEY, SECRET
    )
    assert read_paste(BYBIT, KEY).missing == ("secret",)
    swapped = read_paste(BYBIT, json.dumps({"apiKey": SECRET, "secret": KEY}))
    assert any("swapped" in problem.text for problem in swapped.problems)
    assert read_paste(BYBIT, json.dumps({"apiKey": KEY[:-1], "secret": SECRET})).doubts
    short = read_paste(BYBIT, json.dumps({"apiKey": KEY, "secret": SECRET[:8] + "******"}))
    assert any("shortened" in problem.text for problem in short.problems)


def test_a_private_key_of_ones_own_is_taken() -> None:
    _, pem = rsa_pem()
    check_paste(read_paste(BYBIT, json.dumps({"apiKey": KEY, "secret": pem.replace("\n", " ")})), KEY, pem)
    assert read_paste(BYBIT, json.dumps({"apiKey": KEY, "secret": pem[:200]})).credentials is None


def test_the_key_page_is_told_as_it_is() -> None:
    spot = {right.box for right in BYBIT.rights if right.tick(Market.SPOT) is Tick.NEEDED}
    futures = {right.box for right in BYBIT.rights if right.tick(Market.FUTURES) is Tick.NEEDED}
    assert (spot, futures) == ({"SPOT: Trade"}, {"Unified Trading: Orders", "Unified Trading: Positions"})
    assert BYBIT.boxes(Permission.WITHDRAW) == ("Assets: Withdrawal",)
    assert BYBIT.guide.max_ips is None
    assert [rule.days for rule in BYBIT.expiry_rules] == [90, 7]


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("bybit"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "bybit", sample(simulator, "bybit", account), market=market)
    check_verdict(run, verdict)
    if account == "sub_account":
        assert run.key_report is not None
        assert run.key_report.is_sub is True
    if account == "expiring":
        assert Advice.EXPIRES_SOON in run.advice


def test_a_spot_key_with_no_right_too_many_is_online(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "no_futures"))
    assert (run.status, run.advice) == (Status.ONLINE, ())


def test_the_dry_run_is_let_through(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), market="futures")
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert trade.outcome is Outcome.PASS
    assert "dry-run" in trade.detail.text


@pytest.mark.parametrize("money", ["0", "0.5"])
def test_a_poor_account_is_no_missing_right(simulator: Simulator, gateway: Gateway, money: str) -> None:
    simulator.change_account("bybit", "good", spot={"USDT": money})
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), market="futures")
    assert run.status.ok


def test_isolated_margin_has_no_dry_run_and_is_fine(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bybit", "good", mode="isolated")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), market="futures")
    assert run.status.ok
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert "dry-run" not in trade.detail.text


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_classic_account_is_told_apart_from_a_bad_key(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.change_account("bybit", "good", mode="classic")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), market=market)
    check_cause(run, Cause.ACCOUNT_RESTRICTED)


def test_the_probe_finds_what_a_report_hides(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bybit", "withdraw", report={"permissions": {**GROUPS, "Wallet": []}})
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "withdraw"))
    assert run.diagnosis is not None
    assert (run.status, run.diagnosis.cause) == (Status.BLOCKED, Cause.WITHDRAW_ENABLED)
    assert run.key_report is not None
    assert run.key_report.grant(Permission.WITHDRAW).evidence is Evidence.PROBED


def test_a_refused_probe_does_not_replace_the_report(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bybit", "good", omit="permissions")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"))
    assert run.status in (Status.BLOCKED, Status.FAILED)
    simulator.reset()
    page = {"path": "/v5/asset/withdraw/query-address", "kind": "html", "status": 403, "page": "cloudfront"}
    simulator.set_faults([page])
    assert run_once(gateway, "bybit", sample(simulator, "bybit", "good")).status.ok


def test_a_read_only_key_with_withdraw_is_blocked(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bybit", "withdraw", mode="read_only")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "withdraw"))
    assert run.status is Status.BLOCKED


@pytest.mark.parametrize("site", ["eu", "nl", "tr", "kz", "ge", "ae", "id", "jp"])
def test_the_site_that_knows_the_key_is_found(simulator: Simulator, gateway: Gateway, site: str) -> None:
    simulator.change_account("bybit", "good", site=site)
    keys = sample(simulator, "bybit", "good")
    here = ask(BYBIT, gateway, keys, Target(exchange="bybit"))
    check_cause(here, Cause.INVALID_KEY)
    assert BYBIT.region(site).hosts["user"] in diagnosis.other_regions(here, BYBIT)
    run = ask(BYBIT, gateway, keys, Target(exchange="bybit"), try_regions=True)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, site)
    assert ask(BYBIT, gateway, keys, Target(exchange="bybit", region=site)).status.ok


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_testnet(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.change_account("bybit", "withdraw", site="testnet")
    keys = sample(simulator, "bybit", "withdraw")
    run = run_once(gateway, "bybit", keys, market=market, environment=Environment.TESTNET)
    assert run.status.ok, "no money can leave a testnet account"
    assert {sent.host for sent in run.receipt} == {"api-testnet.bybit.com"}
    live = run_once(gateway, "bybit", keys)
    assert live.diagnosis is not None
    assert live.diagnosis.candidates == (Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT)


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_demo_trading(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.change_account("bybit", "good", site="demo")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), market=market, environment=Environment.DEMO)
    assert run.status is Status.CONNECTED
    assert Advice.RIGHT_UNKNOWN in run.advice
    assert {sent.path for sent in run.receipt} == {
        "/v5/market/time",
        "/v5/system/status",
        "/v5/account/wallet-balance",
        "/v5/order/realtime",
    }


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "bybit", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1]),
        Cause.INVALID_KEY: Credentials(KEY, good.secret),
    }
    check_wrong_keys(gateway, "bybit", wrong)


@pytest.mark.parametrize("offset_ms", [-90_000, 90_000, -1_500])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "no_futures"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.CLOCK_CORRECTED,))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"kind": "maintenance"}, Cause.EXCHANGE_UNAVAILABLE),
        ({"kind": "html", "status": 403, "page": "cloudfront"}, Cause.LOCATION_RESTRICTED),
        (
            {"kind": "body", "status": 403, "body": "access too frequent", "content_type": "text/plain"},
            Cause.RATE_LIMITED,
        ),
    ],
    ids=["maintenance", "country", "too frequent"],
)
def test_what_is_no_fault_of_the_key(
    simulator: Simulator, gateway: Gateway, fault: dict[str, Any], cause: Cause
) -> None:
    simulator.set_faults([{"exchange": "bybit", **fault}])
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"))
    check_cause(run, cause)


def test_a_shared_status_is_judged_for_the_market_of_each_test(simulator: Simulator, gateway: Gateway) -> None:
    """One answer serves the tests of both markets, and only one of them is closed."""
    body = {"retCode": 0, "retMsg": "", "result": {"list": [{**ONGOING, "product": [1]}]}, "retExtInfo": {}, "time": 1}
    simulator.set_faults([{"path": "/v5/system/status", "body": body}])
    keys = sample(simulator, "bybit", "good")

    async def both() -> list[TestRun]:
        async with Transport(gateway) as transport:
            targets = [Target(exchange="bybit", market=market) for market in Market]
            return [await run_test(BYBIT, target, keys, transport) for target in targets]

    spot, futures = asyncio.run(both())
    assert (spot.market, futures.market) == (Market.SPOT, Market.FUTURES)
    assert spot.status.ok
    check_cause(futures, Cause.EXCHANGE_UNAVAILABLE)
    assert sum(seen["path"] == "/v5/system/status" for seen in simulator.seen) == 1
