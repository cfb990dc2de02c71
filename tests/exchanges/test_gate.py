"""Gate.io against what it documents: signatures, the two calls about a key, refusals, Gate EU, the testnet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bfai import explain
from bfai.connection_test import Confirmation, confirm
from bfai.exchanges import all_exchanges, get_exchange
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
    KeyReport,
    Market,
    Outcome,
    Permission,
    Status,
    utc_now,
)
from bfai.paste import judge_fields, read_paste
from bfai.simulator import Simulator
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    DENIED,
    GRANTED,
    UNKNOWN,
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
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

GATE = get_exchange("gate")
KEY, SECRET = "a" * 32, "b" * 64
OWN = "c5dcfbf1f3a7" + "0" * 20


def refusal(label: str, message: str = "", status: int = 403, **answer: Any) -> Diagnosis:
    body = json.dumps({"label": label, "message": message})
    return diagnosed(Answer(status=status, body=body, **answer), GATE)


# -- signing -----------------------------------------------------------------------------------------------------------


def client(key: str = KEY, secret: str = SECRET, **target: Any) -> Client:
    return client_of(GATE, key, secret, **target)


@pytest.mark.usefixtures("frozen_clock")
def test_golden_signature_of_the_key_call() -> None:
    url, headers, body = client()._sign(call_of(GATE, Role.KEY_INFO), "api.gateio.ws")
    assert (str(url), body) == ("https://api.gateio.ws/api/v4/account/detail", None)
    assert (headers["KEY"], headers["Timestamp"]) == (KEY, "1700000000")
    assert headers["SIGN"] == (
        "c7c994dcc980ccf93f801b6ef9e9bb502f80641d4d5813a83e920cd829d0d062"
        "0fb3a433e86c8a40bcd4b8069a89088fc6915d64d04bef7ef90c4ecceb973cff"
    )


def test_signed_text_of_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, path with its prefix, query, hash of an empty body, seconds: as the documents join them."""
    import hashlib
    import hmac

    monkeypatch.setattr("bfai.transport.time.time", lambda: 1_541_993_715.0)
    url, headers, _ = client("key", "secret")._sign(call_of(GATE, Role.ORDERS, Market.FUTURES), "api.gateio.ws")
    assert (url.path, url.raw_query_string) == ("/api/v4/futures/usdt/orders", "status=open")
    text = f"GET\n{url.path}\n{url.raw_query_string}\n{hashlib.sha512(b'').hexdigest()}\n1541993715"
    assert headers["SIGN"] == hmac.new(b"secret", text.encode(), hashlib.sha512).hexdigest()


def test_nothing_but_reads_is_declared() -> None:
    assert {call.method for call in GATE.calls} == {"GET"}
    assert not any("withdraw" in call.path for call in GATE.calls)


# -- sites -------------------------------------------------------------------------------------------------------------


def test_gate_eu_is_a_company_of_its_own() -> None:
    assert not GATE.serves("eu", Market.FUTURES)
    for market in Market:
        hosts = {GATE.region("eu").hosts[call.host] for call in GATE.plan(market, "eu")}
        assert hosts == {"api.gateeu.com"}
        assert not any("/futures/" in call.path for call in GATE.plan(market, "eu"))
    signed, _, _ = client(region="eu")._sign(call_of(GATE, Role.BALANCE, region="eu"), "api.gateeu.com")
    assert signed.host == "api.gateeu.com"


def test_testnet() -> None:
    for market in Market:
        assert GATE.serves("global", market, Environment.TESTNET)
        site = GATE.site("global", Environment.TESTNET)
        hosts = {site.hosts[call.host] for call in GATE.plan(market, "global", Environment.TESTNET)}
        assert hosts == {"api-testnet.gateapi.io"}
    assert not GATE.serves("eu", Market.SPOT, Environment.TESTNET)
    assert Environment.DEMO not in GATE.environments


# -- key reports -------------------------------------------------------------------------------------------------------

DETAIL: dict[str, Any] = {
    "user_id": 1667201533,
    "ip_whitelist": ["127.0.0.1"],
    "currency_pairs": ["USDT_BTC"],
    "key": {"mode": 1},
    "tier": 2,
    "tier_expire_time": "0001-01-01T00:00:00Z",
    "copy_trading_role": 1,
}
ROW: dict[str, Any] = {
    "state": 1,
    "mode": 1,
    "name": "bot",
    "user_id": 1,
    "perms": [{"name": "account", "read_only": False}, {"name": "spot", "read_only": True}],
    "ip_whitelist": [],
    "currency_pairs": ["BTC_USDT"],
    "key": "c5dcfbf1f3a7*****",
    "created_at": 1753030929,
    "update_at": 1756300567,
    "last_access": 1753030929,
}


def entries(*words: str) -> list[dict[str, Any]]:
    """`spot` may write, `spot:r` only reads."""
    return [{"name": word.removesuffix(":r"), "read_only": word.endswith(":r")} for word in words]


def told(perms: Any, api_key: str | None = None, **changes: Any) -> KeyReport:
    found = GATE.read_report([{**ROW, "perms": perms, **changes}], api_key=api_key)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("gate"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, GATE)
    assert found.expires_at is None


def test_the_first_call_proves_reading_and_tells_addresses_and_pairs() -> None:
    found = GATE.read_report(DETAIL)
    assert found is not None
    assert found.grant(Permission.READ).evidence is Evidence.PROBED
    assert {found.state(right) for right in Permission if right is not Permission.READ} == {UNKNOWN}
    assert (found.account_id, found.pairs) == ("1667201533", ("USDT_BTC",))
    assert found.ip_restriction.addresses == ("127.0.0.1",)
    short = GATE.read_report({"user_id": 1, "key": {"mode": 1}})
    assert short is not None
    assert short.ip_restriction.state is UNKNOWN


def test_the_documented_list() -> None:
    found = GATE.read_report([ROW], api_key=OWN)
    assert found is not None
    assert found.words == ("account", "spot (read only)")
    assert (found.label, found.pairs) == ("bot", ("BTC_USDT",))
    assert found.created_at == datetime(2025, 7, 20, 17, 2, 9, tzinfo=UTC)
    assert found.ip_restriction.state is DENIED
    assert found.grant(Permission.READ).state is GRANTED
    for right in (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN, Permission.TRANSFER):
        assert found.state(right) is DENIED
    assert found.state(Permission.WITHDRAW) is UNKNOWN


def test_the_other_documented_shape() -> None:
    lone = {**ROW, "key": {"mode": 1}, "created_at": "1753030929", "updated_at": "1756300567"}
    found = GATE.read_report(lone, api_key=KEY)
    assert found is not None
    assert found.created_at == datetime(2025, 7, 20, 17, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "granted"),
    [
        ("spot", {Permission.SPOT_TRADE, Permission.MARGIN}),
        ("spot:r", set[Permission]()),
        ("futures", {Permission.FUTURES_TRADE}),
        ("futures:r", set[Permission]()),
        ("wallet", {Permission.TRANSFER}),
        ("wallet:r", set[Permission]()),
        ("margin", {Permission.MARGIN}),
        ("account", set[Permission]()),
        ("unified options earn loan copy custody pilot otc alpha crossx quant rebate", set[Permission]()),
        ("sub_accounts:r", set[Permission]()),
        ("Spot FUTURES", {Permission.SPOT_TRADE, Permission.MARGIN, Permission.FUTURES_TRADE}),
    ],
)
def test_groups(words: str, granted: set[Permission]) -> None:
    found = told(entries(*words.split()))
    assert not found.unknown_words
    assert {right for right in Permission if found.state(right) is GRANTED} == {Permission.READ, *granted}
    denied = {right for right in Permission if found.state(right) is DENIED}
    assert denied == set(Permission) - {Permission.READ, Permission.WITHDRAW} - granted


def test_spot_and_margin_cannot_be_parted() -> None:
    found = told(entries("spot", "account:r"))
    assert GATE.inseparable(Permission.SPOT_TRADE, found.words) == {Permission.MARGIN}


def test_sub_account_rights_are_an_escalation() -> None:
    assert told(entries("spot", "sub_accounts")).escalations
    assert not told(entries("spot", "sub_accounts:r")).escalations


@pytest.mark.parametrize("name", ["withdrawal", "withdraw", "withdrawals", "WITHDRAWAL", "fast_withdraw"])
def test_withdrawal_is_believed_where_a_word_names_it(name: str) -> None:
    assert told(entries("spot", name)).state(Permission.WITHDRAW) is GRANTED
    assert told(entries("spot", f"{name}:r")).state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize(
    "perms",
    [
        [],
        None,
        {},
        "spot",
        entries("spot:r", "vault"),
        [*entries("spot:r"), None],
        [*entries("spot:r"), {"name": "wallet"}],
        [*entries("spot:r"), {"name": "wallet", "read_only": "true"}],
        [*entries("spot:r"), {"name": "", "read_only": False}],
        [*entries("spot:r"), {"name": 7, "read_only": False}],
        [*entries("spot:r"), {"name": "withdrawal", "read_only": None}],
    ],
)
def test_what_is_unknown_or_unreadable_leaves_everything_open(perms: Any) -> None:
    found = told(perms)
    for right in (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER, Permission.WITHDRAW):
        assert found.state(right) is UNKNOWN
    assert found.state(Permission.READ) is GRANTED, "the call itself was a read"


@pytest.mark.parametrize("read_only", [None, "false", 0, ...])
def test_an_unreadable_switch_grants_nothing(read_only: Any) -> None:
    entry = {"name": "spot"} if read_only is ... else {"name": "spot", "read_only": read_only}
    found = told([*entries("account:r"), entry])
    assert found.state(Permission.SPOT_TRADE) is UNKNOWN
    assert found.unknown_words == ("spot (?)",)


def test_an_unknown_word_leaves_open_what_no_other_word_grants() -> None:
    found = told(entries("spot", "vault"))
    assert found.state(Permission.SPOT_TRADE) is GRANTED
    assert found.state(Permission.FUTURES_TRADE) is UNKNOWN
    assert found.unknown_words == ("vault",)


def test_only_the_own_row_counts() -> None:
    others = [{**ROW, "key": "d5dcfbf1f3a7*****", "perms": entries("futures"), "name": "other"}]
    found = GATE.read_report([*others, ROW], api_key=OWN)
    assert found is not None
    assert found.label == "bot"
    assert GATE.read_report(others, api_key=OWN) is None
    assert GATE.read_report([ROW, ROW], api_key=OWN) is None, "two rows that fit tell nothing"
    assert GATE.read_report([*others, ROW]) is None
    assert GATE.read_report([{**ROW, "key": "c5*****"}], api_key=OWN) is None, "too short to be sure"
    assert GATE.read_report([{**ROW, "key": None}], api_key=OWN) is None
    assert GATE.read_report([{**ROW, "key": OWN}], api_key=OWN) is not None
    assert GATE.read_report({**ROW, "key": "d5dcfbf1f3a7*****"}, api_key=OWN) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "perms",
        {},
        [None],
        {"label": "FORBIDDEN", "message": "Request API key does not have account permission"},
        {"label": "FORBIDDEN", "perms": entries("spot")},
        [{"currency": "USDT", "available": "10", "locked": "0"}],
        {"user": 1, "currency": "USDT", "available": "9.7"},
        {"server_time": 1},
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert GATE.read_report(body) is None


def test_both_calls_together() -> None:
    detail, listed = GATE.read_report(DETAIL), GATE.read_report([{**ROW, "ip_whitelist": ["127.0.0.1"]}])
    assert detail is not None and listed is not None
    for pair in ((detail, listed), (listed, detail)):
        merged = merge_reports(pair)
        assert merged is not None
        assert merged.state(Permission.SPOT_TRADE) is DENIED
        assert merged.state(Permission.WITHDRAW) is UNKNOWN
        assert merged.ip_restriction.addresses == ("127.0.0.1",)
        assert merged.label == "bot"
    contradicting = merge_reports((detail, told(entries("spot"))))
    assert contradicting is not None
    assert contradicting.ip_restriction.state is UNKNOWN


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (1, None),
        (2, Cause.ACCOUNT_RESTRICTED),
        (3, Cause.ACCOUNT_RESTRICTED),
        ("3", Cause.ACCOUNT_RESTRICTED),
        (..., None),
        (None, None),
        (True, None),
    ],
)
def test_a_locked_or_frozen_key(state: Any, cause: Cause | None) -> None:
    row = {**ROW, "state": state} if state is not ... else {k: v for k, v in ROW.items() if k != "state"}
    assert GATE.state_cause([row]) is cause
    assert GATE.state_cause({**row, "key": {"mode": 1}}) is cause
    assert GATE.state_cause([row, ROW]) is None, "it may be another key"


def test_an_open_key_ends_by_rule() -> None:
    (rule,) = GATE.expiry_rules
    assert (rule.days, rule.counted) == (90, CountedFrom.CREATION)
    made = utc_now() - timedelta(days=30)
    fresh = GATE.with_counted_end(told(entries("spot"), created_at=int(made.timestamp())))
    assert fresh.expires_at is not None
    assert (fresh.expires_at - utc_now()).days in (59, 60)
    assert fresh.expiry_evidence is ExpiryEvidence.RULE
    assert GATE.with_counted_end(told(entries("spot"))).expires_at is None, "it lives longer than the rule allows"
    bound = told(entries("spot"), created_at=int(made.timestamp()), ip_whitelist=["203.0.113.7"])
    assert GATE.with_counted_end(bound).expires_at is None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("gate"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, GATE)


LABELS: dict[Cause, str] = {
    Cause.INVALID_KEY: "INVALID_KEY MISSING_REQUIRED_HEADER INVALID_CREDENTIALS AUTHENTICATION_FAILED UNAUTHORIZED",
    Cause.INVALID_SECRET: "INVALID_SIGNATURE",
    Cause.IP_NOT_ALLOWED: "IP_FORBIDDEN",
    Cause.PERMISSION_MISSING: "READ_ONLY",
    Cause.AMBIGUOUS: "FORBIDDEN",
    Cause.CLOCK_SKEW: "REQUEST_EXPIRED",
    Cause.ACCOUNT_RESTRICTED: "ACCOUNT_LOCKED SUB_ACCOUNT_LOCKED USER_NOT_FOUND ACCOUNT_EXCEPTION KYC_REQUIRED "
    "RISK_CONTROL INELIGIBLE API_WITHDRAW_DISABLED",
    Cause.RATE_LIMITED: "TOO_MANY_REQUESTS TOO_FAST",
    Cause.EXCHANGE_UNAVAILABLE: "INTERNAL SERVER_ERROR TOO_BUSY",
    Cause.UNEXPECTED_RESPONSE: "INVALID_PARAM_VALUE INVALID_CURRENCY_PAIR BALANCE_NOT_ENOUGH NOT_FOUND NO_SUCH_LABEL",
}


@pytest.mark.parametrize(
    ("cause", "label"), [(cause, label) for cause, labels in LABELS.items() for label in labels.split()]
)
def test_labels(cause: Cause, label: str) -> None:
    assert refusal(label, status=400).cause is cause


@pytest.mark.parametrize(
    ("label", "words", "cause"),
    [
        ("FORBIDDEN", "Request IP not in whitelist: 203.0.113.7", Cause.IP_NOT_ALLOWED),
        ("FORBIDDEN", "Request API key does not have spot permission", Cause.PERMISSION_MISSING),
        ("FORBIDDEN", "Request API key does not have quant permission", Cause.PERMISSION_MISSING),
        ("FORBIDDEN", "API key is read-only", Cause.PERMISSION_MISSING),
        ("FORBIDDEN", "Your account has been frozen", Cause.ACCOUNT_RESTRICTED),
        ("FORBIDDEN", "Please complete KYC first", Cause.ACCOUNT_RESTRICTED),
        ("FORBIDDEN", "This service is not available in your country", Cause.LOCATION_RESTRICTED),
        ("FORBIDDEN", "Forbidden", Cause.AMBIGUOUS),
        ("INVALID_KEY", "Invalid key provided", Cause.INVALID_KEY),
        ("INVALID_KEY", "Missing required header: Timestamp", Cause.INVALID_KEY),
        ("INVALID_KEY", "API key has expired", Cause.EXPIRED_KEY),
        ("USER_NOT_FOUND", "please transfer funds first to create futures account", Cause.ACCOUNT_RESTRICTED),
        ("SERVER_ERROR", "System is under maintenance", Cause.EXCHANGE_UNAVAILABLE),
    ],
)
def test_one_label_for_many_reasons(label: str, words: str, cause: Cause) -> None:
    assert refusal(label, words).cause is cause


@pytest.mark.parametrize(
    ("group", "permission"),
    [
        ("spot", Permission.SPOT_TRADE),
        ("futures", Permission.FUTURES_TRADE),
        ("delivery", Permission.FUTURES_TRADE),
        ("margin", Permission.MARGIN),
        ("account", Permission.READ),
        ("wallet", None),
        ("withdrawal", None),
        ("sub_accounts", None),
    ],
)
def test_the_sentence_names_the_missing_group(group: str, permission: Permission | None) -> None:
    found = refusal("FORBIDDEN", f"Request API key does not have {group} permission")
    assert (found.cause, found.permission) == (Cause.PERMISSION_MISSING, permission)


def test_an_unknown_key_may_belong_elsewhere_or_have_ended() -> None:
    found = refusal("INVALID_KEY", "Invalid key provided", 401)
    assert found.candidates == (Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT)


@pytest.mark.parametrize("label", ["FORBIDDEN", "IP_FORBIDDEN"])
@pytest.mark.parametrize("address", ["142.163.85.117", "2001:db8::7"])
def test_a_refused_address_is_told(label: str, address: str) -> None:
    assert refusal(label, f"Request IP not in whitelist: {address}").seen_ip == address


def test_futures_say_detail_instead_of_message() -> None:
    body = '{"label":"USER_NOT_FOUND","detail":"please transfer funds first to create futures account"}'
    found = diagnosed(Answer(status=400, body=body), GATE)
    assert found.exchange_said == "USER_NOT_FOUND please transfer funds first to create futures account"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('gate {"label":"INVALID_KEY","message":"Invalid key provided"}', Cause.INVALID_KEY),
        (
            'gateio {"message":"Request API key does not have wallet permission","label":"FORBIDDEN"}',
            Cause.PERMISSION_MISSING,
        ),
        ('gateeu GET https://api.gateeu.com/api/v4/spot/time 401 {"label":"INVALID_KEY"}', Cause.INVALID_KEY),
        ("gate_api.exceptions.GateApiException: Signature mismatch", Cause.INVALID_SECRET),
        ("gateio: Request IP not in whitelist: 203.0.113.7", Cause.IP_NOT_ALLOWED),
        ("gate.io: gap between request Timestamp and server time exceeds 60", Cause.CLOCK_SKEW),
    ],
)
def test_pasted_texts(text: str, cause: Cause) -> None:
    check_text(text, GATE, cause)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, "", Cause.RATE_LIMITED),
        (403, "<html><title>Attention Required! | Cloudflare</title></html>", Cause.LOCATION_RESTRICTED),
        (403, "<h1>Access Denied</h1>You don't have permission to access this server.", Cause.LOCATION_RESTRICTED),
        (451, "<html></html>", Cause.LOCATION_RESTRICTED),
        (502, "Bad Gateway", Cause.EXCHANGE_UNAVAILABLE),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
        (200, '{"label":"INVALID_KEY","message":"Invalid key provided"}', Cause.INVALID_KEY),
        (200, "[]", Cause.UNEXPECTED_RESPONSE),
        (200, "", Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_what_is_no_success(status: int, body: str, cause: Cause) -> None:
    answer = Answer(role=Role.KEY_INFO, status=status, body=body, call=call_of(GATE, Role.KEY_INFO))
    assert diagnosed(answer, GATE).cause is cause


ERROR = {"label": "FORBIDDEN", "message": "no"}


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("/api/v4/spot/time", [{"server_time": 1}], [{}, [], {"server_time": "soon"}, ERROR]),
        ("/api/v4/account/detail", [DETAIL], [{}, [], [ROW, ROW], {"a": 1}, ERROR]),
        ("/api/v4/account/main_keys", [ROW, [ROW], [ROW, ROW]], [{}, [], [1], [{"a": 1}], ERROR]),
        ("/api/v4/spot/accounts", [[], [{"currency": "USDT", "available": "1"}]], [{}, [1], [{"a": 1}], ERROR]),
        ("/api/v4/spot/open_orders", [[], [{"total": 1, "orders": []}]], [{}, [1], ERROR]),
        ("/api/v4/futures/usdt/accounts", [{"available": "1", "currency": "USDT"}], [{}, ERROR]),
        ("/api/v4/futures/usdt/orders", [[], [{"id": 1}]], [{}, [1], ERROR]),
    ],
)
def test_the_shape_of_a_success(path: str, good: list[Any], bad: list[Any]) -> None:
    check_shapes(GATE, path, good, bad)


def test_balances_and_orders() -> None:
    def answer(body: Any) -> Answer:
        return Answer(status=200, body=json.dumps(body))

    spot = [{"currency": "USDT", "available": "10", "locked": "0"}, {"currency": "GT", "available": "0", "locked": "1"}]
    assert {k: str(v) for k, v in (GATE.read_balances(Market.SPOT, answer(spot)) or {}).items()} == {"USDT": "10"}
    futures = {"currency": "USDT", "available": "9.7", "total": "9.7"}
    assert str((GATE.read_balances(Market.FUTURES, answer(futures)) or {})["USDT"]) == "9.7"
    assert GATE.read_balances(Market.FUTURES, answer({"label": "x"})) is None
    pairs = [{"currency_pair": "BTC_USDT", "total": 2, "orders": []}, {"currency_pair": "GT_USDT", "total": 1}]
    assert GATE.read_orders(Market.SPOT, answer(pairs)) == 3
    assert GATE.read_orders(Market.FUTURES, answer([{}, {}])) == 2
    assert GATE.read_orders(Market.SPOT, answer({})) is None


# -- the clock of Gate EU ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "good"),
    [("Tue, 14 Nov 2023 22:13:20 GMT", True), ("", False), ("soon", False), (None, False)],
)
def test_a_refused_clock_still_has_a_date(date: str | None, good: bool) -> None:
    body = '{"label":"INVALID_KEY","message":"Missing required header: Timestamp"}'
    headers = {"date": date} if date is not None else {}
    answer = Answer(role=Role.TIME, status=401, headers=headers, body=body, call=call_of(GATE, Role.TIME))
    assert GATE.succeeded(answer) is good
    assert GATE.server_time_ms(answer) == (1_700_000_000_500 if good else None)
    key_call = Answer(role=Role.KEY_INFO, status=401, headers=headers, body=body, call=call_of(GATE, Role.KEY_INFO))
    assert not GATE.succeeded(key_call), "any other call is refused by such an answer"


@pytest.mark.parametrize("offset_ms", [0, -90_000, 90_000])
def test_gate_eu_with_a_wrong_clock(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.change_account("gate", "good", site="eu")
    simulator.set_clock(offset_ms)
    served = datetime.now(UTC) + timedelta(milliseconds=offset_ms)
    body = {"label": "INVALID_KEY", "message": "Missing required header: Timestamp"}
    date = {"Date": format_datetime(served, usegmt=True)}
    simulator.set_faults([{"path": "/api/v4/spot/time", "kind": "body", "status": 401, "body": body, "headers": date}])
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"), region="eu")
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN, "all else is well"
    assert (Advice.CLOCK_CORRECTED in run.advice) is (offset_ms != 0)


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'gateio {"label":"x","message":"y"}',
        "GET https://api.gateeu.com/api/v4/spot/accounts",
        '{"message":"Signature mismatch","label":"INVALID_SIGNATURE"}',
        "X-Gate-RateLimit-Limit: 200",
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, GATE)


@pytest.mark.parametrize("text", ["504 Gateway Time-out", "502 Bad Gateway", "aggregate", "investigate this"])
def test_not_taken_for_gate(text: str) -> None:
    assert explain.recognise(text, all_exchanges().values()) is None


def test_paste() -> None:
    key, secret = "0123456789abcdef" * 2, "fedcba9876543210" * 4
    check_paste(read_paste(GATE, f"API Key: {key}\nAPI Secret: {secret}"), key, secret)
    assert any("swapped" in one.text for one in judge_fields(GATE, {"api_key": secret, "secret": key}).problems)
    assert judge_fields(GATE, {"api_key": key[:-1], "secret": secret}).doubts


def test_the_key_page_is_told_as_it_is() -> None:
    def ticked(market: Market) -> set[str]:
        return {right.box for right in GATE.rights if right.shown and right.tick(market) is Tick.NEEDED}

    assert ticked(Market.SPOT) == {"Account: Read Only", "Spot/Margin: Read And Write"}
    assert ticked(Market.FUTURES) == {"Account: Read Only", "Perpetual Futures: Read And Write"}
    never = [right.box for right in GATE.rights if right.shown and right.tick(Market.SPOT) is Tick.NEVER]
    assert never == ["Withdraw"]
    assert GATE.guide.max_ips == 20


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("gate"), ids=lambda value: str(value)[:14])
@pytest.mark.parametrize("mode", ["", "object"])
def test_verdicts(
    simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any], mode: str
) -> None:
    simulator.change_account("gate", account, mode=mode)
    run = run_once(gateway, "gate", sample(simulator, "gate", account), market=market)
    check_verdict(run, verdict)


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_the_trader_may_confirm_that_withdrawal_is_off(simulator: Simulator, gateway: Gateway, market: str) -> None:
    keys = sample(simulator, "gate", "good")
    first = run_once(gateway, "gate", keys, market=market)
    assert confirm(first, utc_now()).status is Status.CONNECTED
    assert first.key_report is not None
    confirmation = Confirmation(utc_now(), first.key_report.rights_hash())
    again = run_once(gateway, "gate", keys, market=market, confirmation=confirmation)
    assert (again.status, again.diagnosis) == (Status.CONNECTED, None)
    assert Advice.WITHDRAW_CONFIRMED in again.advice
    groups = ("account:r", "wallet", "spot", "futures")
    simulator.change_account("gate", "good", permissions=groups)
    assert run_once(gateway, "gate", keys, market=market, confirmation=confirmation).status is Status.BLOCKED


def test_a_group_that_names_withdrawal_blocks_for_good(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("gate", "good", permissions=("account:r", "spot", "withdrawal"))
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"))
    check_cause(run, Cause.WITHDRAW_ENABLED)
    assert confirm(run, utc_now()).status is Status.BLOCKED


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_key_without_the_account_group_is_no_dead_key(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.change_account("gate", "good", permissions=("spot", "futures"))
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"), market=market)
    check_cause(run, Cause.WITHDRAW_UNKNOWN)
    checks = {check.name: check.outcome for check in run.checks}
    assert (checks[CheckName.KEY], checks[CheckName.BALANCE]) == (Outcome.PASS, Outcome.PASS)
    assert checks[CheckName.PERMISSIONS] is Outcome.WARN


def test_a_key_of_another_group_is_told_the_right_one(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("gate", "good", permissions=("account:r", "wallet:r"))
    for market, permission in (("spot", Permission.SPOT_TRADE), ("futures", Permission.FUTURES_TRADE)):
        run = run_once(gateway, "gate", sample(simulator, "gate", "good"), market=market)
        assert run.diagnosis is not None
        assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, permission)


def test_a_futures_account_that_was_never_opened(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("gate", "good", futures={})
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"), market="futures")
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.check) == (Cause.ACCOUNT_RESTRICTED, CheckName.BALANCE)
    assert "transfer funds first" in (run.diagnosis.exchange_said or "")


def test_the_region_that_knows_the_key_is_found(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("gate", "good", site="eu")
    keys = sample(simulator, "gate", "good")
    here = run_once(gateway, "gate", keys)
    check_cause(here, Cause.INVALID_KEY)
    assert {sent.host for sent in here.receipt} == {"api.gateio.ws"}
    found = run_once(gateway, "gate", keys, try_regions=True)
    assert found.diagnosis is not None
    assert (found.diagnosis.cause, found.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, "eu")


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_testnet_key(simulator: Simulator, gateway: Gateway, market: str) -> None:
    simulator.change_account("gate", "good", site="testnet")
    keys = sample(simulator, "gate", "good")
    run = run_once(gateway, "gate", keys, market=market, environment=Environment.TESTNET)
    assert run.status.ok, "no money can leave a testnet"
    assert {sent.host for sent in run.receipt} == {"api-testnet.gateapi.io"}
    live = run_once(gateway, "gate", keys, market=market)
    assert live.diagnosis is not None
    assert Cause.WRONG_ENVIRONMENT in live.diagnosis.candidates


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "gate", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1]),
        Cause.INVALID_KEY: Credentials(KEY, good.secret),
    }
    check_wrong_keys(gateway, "gate", wrong)


def test_a_foreign_address_is_shown(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address("203.0.113.77")
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.77")


@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"))
    check_cause(run, Cause.WITHDRAW_UNKNOWN)
    assert Advice.CLOCK_CORRECTED in run.advice


def test_maintenance(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "gate", "kind": "maintenance"}])
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"))
    check_cause(run, Cause.EXCHANGE_UNAVAILABLE)
