"""Bitget against what it documents: signatures, both kinds of account, cryptic words, refusals, demo trading."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bfai import diagnosis, explain
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
    granted,
    heard,
    pem_of,
    present,
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

BITGET = get_exchange("bitget")
KEY = "bg_0123456789abcdef0123456789abcdef"
INFO, UNIFIED_INFO = "/api/v2/spot/account/info", "/api/v3/account/info"
CLASSIC = ("/api/v2/spot/account/info", "/api/v2/spot/account/assets", "/api/v2/spot/trade/unfilled-orders")
UNIFIED = ("/api/v3/account/info", "/api/v3/account/assets", "/api/v3/trade/unfilled-orders")


def answer(code: str, msg: str = "", status: int = 400, role: str = "any") -> Answer:
    body = {"code": code, "msg": msg, "requestTime": 1695808949356, "data": None}
    return Answer(role=role, status=status, body=json.dumps(body))


def refusal(code: str, msg: str = "") -> Diagnosis:
    return diagnosed(answer(code, msg), BITGET)


# -- signing -----------------------------------------------------------------------------------------------------------


def golden(secret: str = "SECRETEXAMPLE02") -> Client:
    return client_of(BITGET, "APIKEYEXAMPLE01", secret, "PassPhrase03")


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize(
    ("path", "query", "signature"),
    [
        (INFO, "", "1eumIrspz8vacGYLCf4DVI/Jh185Kib6JQpiAFFg044="),
        (UNIFIED_INFO, "", "6KKjE+q6yPxtQDAEamJfu5zI8EvYgYlv9HOyWM1tP6o="),
        (
            "/api/v2/mix/account/accounts",
            "productType=USDT-FUTURES",
            "4oynY8b9ZDqkUeJiAH55RuT0A71pFPCwZoCHnMcqEJA=",
        ),
    ],
)
def test_golden_signatures(path: str, query: str, signature: str) -> None:
    call = call_to(BITGET, path)
    url, headers, body = golden()._sign(call, "api.bitget.com")
    assert (url.host, url.path, url.query_string, body) == ("api.bitget.com", path, query, None)
    assert headers["ACCESS-SIGN"] == signature
    assert headers["ACCESS-TIMESTAMP"] == "1700000000000"
    assert (headers["ACCESS-KEY"], headers["ACCESS-PASSPHRASE"]) == ("APIKEYEXAMPLE01", "PassPhrase03")
    assert "PAPTRADING" not in headers


@pytest.mark.usefixtures("frozen_clock")
def test_golden_signature_of_a_body() -> None:
    signed = golden()._signer.privateSpotPostV2SpotTradePlaceOrder({"symbol": "BTCUSDT"})
    assert signed["headers"]["ACCESS-SIGN"] == "dc+tot5A63dMY8tASzHyTdgN189pcgwJGr10wjnXwdU="


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.usefixtures("frozen_clock")
def test_a_key_that_the_trader_made_signs_with_rsa(rsa_key: rsa.RSAPrivateKey) -> None:
    call = call_to(BITGET, INFO)
    _, headers, _ = golden(pem_of(rsa_key).replace("\n", "\\n"))._sign(call, "api.bitget.com")
    raw = base64.b64decode(headers["ACCESS-SIGN"])
    text = f"1700000000000GET{INFO}".encode()
    rsa_key.public_key().verify(raw, text, padding.PKCS1v15(), hashes.SHA256())
    assert not BITGET.check_credentials(Credentials(KEY, pem_of(rsa_key), "Phrase123"))


def test_the_kind_of_account_is_never_left_to_ccxt() -> None:
    client = golden()
    assert client._signer.options["uta"] is False
    import ccxt

    assert cast("Any", ccxt.bitget()).options["uta"] is None, "other instances stay as they were"


def test_demo_trading_is_a_header_on_the_same_host() -> None:
    client = client_of(BITGET, KEY, "a" * 64, "Phrase123", environment=Environment.DEMO)
    for call in BITGET.plan(Market.FUTURES):
        url, headers, _ = client._sign(call, client.site.hosts[call.host])
        assert (url.host, headers["PAPTRADING"]) == ("api.bitget.com", "1")
    assert [region.id for region in BITGET.regions] == ["global"]


@pytest.mark.parametrize("market", list(Market))
def test_both_kinds_of_account_are_asked(market: Market) -> None:
    for role in (Role.KEY_INFO, Role.BALANCE, Role.ORDERS):
        kinds = [call.path[:8] for call in BITGET.plan(market) if call.role is role]
        assert sorted(kinds) == ["/api/v2/", "/api/v3/"]
    assert all(call.method == "GET" for call in BITGET.calls), "there is no documented dry run"


# -- key reports -------------------------------------------------------------------------------------------------------


def classic(authorities: Any, **fields: Any) -> KeyReport:
    data = {"userId": "1234567890", "ips": "203.0.113.7", "authorities": authorities, **fields}
    found = BITGET.read_report({"code": "00000", "msg": "success", "requestTime": 1, "data": data})
    assert found is not None
    return found


def unified(permissions: Any, kind: Any = "read-and-write", **fields: Any) -> KeyReport:
    data = {"userId": "123456789", "parentId": "", "ips": "", "permType": kind, "permissions": permissions, **fields}
    data = present(data)
    found = BITGET.read_report({"code": "00000", "msg": "success", "requestTime": 1, "data": data})
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("bitget"))
def test_reports_seen(line: dict[str, Any]) -> None:
    found = checked_report(line, BITGET)
    assert found.expires_at is None


TABLE = "stor stow smor smow coor coow cpor cpow ttor ttow wtor wtow taxr taxw chor chow p2pr p2p pllr pllw".split()


@pytest.mark.parametrize(
    ("words", "rights"),
    [
        ("stor", "read"),
        ("stow", "read spot_trade"),
        ("coow cpow", "read futures_trade"),
        ("cpow", "read"),
        ("smow", "read margin"),
        ("wtow", "read transfer"),
        ("wwow", "withdraw"),
        ("stor wwow", "read withdraw"),
        ("taxw p2p pllw ttow chor", "read"),
        (" ".join(TABLE), "read spot_trade futures_trade margin transfer"),
    ],
)
def test_words_of_classic_accounts(words: str, rights: str) -> None:
    report = classic(words.split())
    assert granted(report) == set(rights.split())
    assert all(report.state(right) is GrantState.DENIED for right in Permission if right.value not in rights + " read")
    assert not report.unknown_words


def test_only_one_word_withdraws() -> None:
    assert classic(TABLE).state(Permission.WITHDRAW) is GrantState.DENIED
    assert classic([*TABLE, "wwow"]).grant(Permission.WITHDRAW).words == ("wwow",)
    assert classic(["wtow"]).state(Permission.WITHDRAW) is GrantState.DENIED, "it moves money inside the account"


@pytest.mark.parametrize(
    "authorities", [[], "", None, 7, {}, ["trade", "readonly"], ["stor", "vaow"], ["stor", ""], ["stor", 1], ["wtow "]]
)
def test_withdrawal_is_unknown_unless_every_word_is_known(authorities: Any) -> None:
    data = {"userId": "1", "ips": "203.0.113.7", "authorities": authorities}
    report = BITGET.read_report({"code": "00000", "msg": "success", "data": data}) or KeyReport()
    wanted = GrantState.DENIED if authorities == ["wtow "] else GrantState.UNKNOWN
    assert report.state(Permission.WITHDRAW) is wanted


def test_words_of_older_keys_are_not_understood() -> None:
    report = classic(["trade", "readonly"])
    assert report.unknown_words == ("trade", "readonly")
    assert report.state(Permission.SPOT_TRADE) is GrantState.UNKNOWN


def test_sub_account_management_reaches_further() -> None:
    assert classic(["stor", "chow"]).escalations
    assert not classic(["stor", "chor"]).escalations
    right = BITGET.right("chow")
    assert right is not None
    assert right.exposes


@pytest.mark.parametrize(
    ("permissions", "kind", "rights"),
    [
        (["uta_mgt", "uta_trade"], "read-and-write", "read spot_trade futures_trade margin transfer"),
        (["uta_trade"], "read-and-write", "read spot_trade futures_trade margin"),
        (["uta_mgt"], "read-and-write", "read transfer"),
        (["uta_mgt"], "read-only", "read"),
        (["uta_mgt", "uta_trade"], "read-only", "read"),
        (["uta_mgt", "withdraw"], "read-and-write", "read transfer withdraw"),
        (["uta_mgt", "withdraw"], "read-only", "read withdraw"),
        (["copy_futures_position", "copy_futures_order"], "read-and-write", "read"),
    ],
)
def test_words_of_unified_accounts(permissions: list[str], kind: str, rights: str) -> None:
    report = unified(permissions, kind)
    assert granted(report) == set(rights.split())
    for right in set(Permission) - {Permission.READ}:
        if right.value not in rights.split():
            assert report.state(right) is GrantState.DENIED, right
            assert report.grant(right).evidence is Evidence.DECLARED


@pytest.mark.parametrize("kind", [..., None, "", "admin", 1, ["read-only"]])
def test_a_kind_of_key_that_cannot_be_read_leaves_everything_open(kind: Any) -> None:
    report = unified(["uta_mgt", "uta_trade"], kind)
    assert granted(report) == {"read"}
    assert all(report.state(right) is GrantState.UNKNOWN for right in set(Permission) - {Permission.READ})
    assert report.unknown_words
    assert granted(unified(["withdraw", "uta_mgt"], kind)) == {"read", "withdraw"}


def test_a_unified_word_that_no_document_names() -> None:
    report = unified(["uta_mgt", "uta_vault"])
    assert report.state(Permission.WITHDRAW) is GrantState.UNKNOWN
    assert report.unknown_words == ("uta_vault",)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"code": "00000", "data": None},
        {"code": "00000", "data": []},
        {"code": "00000", "data": {"assets": []}},
        {"code": "00000", "data": {"authorities": None}},
        {"code": "40018", "msg": "Invalid IP", "data": {"authorities": ["stor"]}},
        {"code": 0, "data": {"authorities": ["stor"]}},
        {"authorities": ["stor"]},
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert BITGET.read_report(body) is None


@pytest.mark.parametrize(
    ("ips", "state"),
    [
        ("203.0.113.7,203.0.113.8", GrantState.GRANTED),
        ("2001:db8::7", GrantState.GRANTED),
        ("", GrantState.UNKNOWN),
        (None, GrantState.UNKNOWN),
        ("anywhere", GrantState.UNKNOWN),
        (["203.0.113.7"], GrantState.UNKNOWN),
        ("0.0.0.0/0", GrantState.DENIED),
    ],
)
def test_how_an_unbound_key_reads_is_not_documented(ips: Any, state: GrantState) -> None:
    assert classic(["stor"], ips=ips).ip_restriction.state is state


@pytest.mark.parametrize(
    ("parent", "is_sub"),
    [(1234567890, False), ("1234567890", False), (1111, True), (None, None), ("", None), (0, None)],
)
def test_classic_parents(parent: Any, is_sub: bool | None) -> None:
    report = classic(["stor"], parentId=parent)
    assert (report.is_sub, report.account_id) == (is_sub, "1234567890")


def test_unified_parents() -> None:
    assert unified(["uta_mgt"]).is_sub is False
    assert unified(["uta_mgt"], parentId="77").is_sub is True
    assert unified(["uta_mgt"], parentId=...).is_sub is None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("bitget"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, BITGET)


CODES: dict[Cause, str] = {
    Cause.INVALID_KEY: "40006 40037 40001 40041",
    Cause.INVALID_SECRET: "40009 40010 40002 40003",
    Cause.INVALID_PASSPHRASE: "40012 40011 40036",
    Cause.IP_NOT_ALLOWED: "40018 40038 22010",
    Cause.PERMISSION_MISSING: "40014 40025 40040 40061 40068 40301 25620",
    Cause.WRONG_ENVIRONMENT: "40099 40081 40110",
    Cause.CLOCK_SKEW: "40004 40005 40008 40078",
    Cause.LOCATION_RESTRICTED: "40000 40024 40100",
    Cause.ACCOUNT_RESTRICTED: "40084 40085 25245 40013 40016 40022 40023 40026 40031 40035 40101 40710 40760 50010",
    Cause.RATE_LIMITED: "429 50009 70228",
    Cause.EXCHANGE_UNAVAILABLE: "40015 40200 40725 45001 40604",
    Cause.UNEXPECTED_RESPONSE: "40017 40019 40020 40034 40404 40808 40757 43012 99999",
}


@pytest.mark.parametrize(("cause", "code"), [(cause, code) for cause, codes in CODES.items() for code in codes.split()])
def test_codes(cause: Cause, code: str) -> None:
    assert refusal(code).cause is cause


def test_no_code_has_two_meanings_without_a_text() -> None:
    plain = [code for rule in BITGET.error_rules if rule.pattern is None for code in rule.codes]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        ("40003", "Signature cannot be empty", Cause.INVALID_SECRET),
        ("40003", "ACCESS_TIMESTAMP cannot be empty", Cause.CLOCK_SKEW),
        ("40010", "sign signature error", Cause.INVALID_SECRET),
        ("40010", "Request timed out", Cause.EXCHANGE_UNAVAILABLE),
        ("40024", "Account has been frozen", Cause.ACCOUNT_RESTRICTED),
        ("40024", "The currency is a regional currency and does not meet the conditions.", Cause.LOCATION_RESTRICTED),
        ("40103", "based on your IP address, it appears that you are located in a country", Cause.LOCATION_RESTRICTED),
        ("40103", "Request method cannot be empty", Cause.UNEXPECTED_RESPONSE),
        ("30007", "request over limit", Cause.RATE_LIMITED),
        ("30014", "request too frequent", Cause.RATE_LIMITED),
        ("30014", "Request timestamp expired", Cause.CLOCK_SKEW),
        ("30011", "invalid IP", Cause.IP_NOT_ALLOWED),
        ("30011", "Invalid ACCESS_KEY", Cause.INVALID_KEY),
        ("30012", "Invalid ACCESS_PASSPHRASE", Cause.INVALID_PASSPHRASE),
        ("30012", "invalid authorization", Cause.PERMISSION_MISSING),
        ("30015", "Invalid signature", Cause.INVALID_SECRET),
        ("30005", "Login failed", Cause.AMBIGUOUS),
        ("30007", "invalid Content_Type", Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_codes_with_more_than_one_meaning(code: str, words: str, cause: Cause) -> None:
    assert refusal(code, words).cause is cause


@pytest.mark.parametrize(
    ("words", "permission"),
    [
        ("Incorrect permissions, need spot order write permissions", Permission.SPOT_TRADE),
        ("Incorrect permissions, need spot order read or spot order write permissions", Permission.READ),
        ("Incorrect permissions, need future order read or future order write permissions", Permission.READ),
        ("Incorrect permissions, need future order write permissions", Permission.FUTURES_TRADE),
        ("Incorrect permissions, need contract position write permissions", Permission.FUTURES_TRADE),
        ("incorrect permissions, need uta manage read or uta manage write permissions", Permission.READ),
        ("Incorrect permissions, need transfer write permissions", Permission.TRANSFER),
        ("Incorrect permissions, need withdraw write permissions", None),
        ("", None),
    ],
)
def test_the_missing_right_is_named(words: str, permission: Permission | None) -> None:
    found = refusal("40014", words)
    assert (found.cause, found.permission) == (Cause.PERMISSION_MISSING, permission)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("illegal sign invalid", Cause.INVALID_SECRET),
        ("accesskey not null", Cause.INVALID_KEY),
        ("illegal accesskey", Cause.INVALID_KEY),
        ("req_time is too much difference from server time", Cause.CLOCK_SKEW),
        ("permissions not right", Cause.PERMISSION_MISSING),
        ("user locked", Cause.ACCOUNT_RESTRICTED),
        ("Request Frequency Is Too High", Cause.RATE_LIMITED),
        ("系统异常，请稍后重试", Cause.EXCHANGE_UNAVAILABLE),
        ("gateway internal error", Cause.EXCHANGE_UNAVAILABLE),
    ],
)
def test_the_oldest_answers(words: str, cause: Cause) -> None:
    body = {"status": "error", "ts": 1595684716042, "err_code": "invalid-parameter", "err_msg": words}
    found = diagnosed(Answer(status=200, body=json.dumps(body, ensure_ascii=False)), BITGET)
    assert found.cause is cause
    assert words in (found.exchange_said or "")


def test_the_wrong_kind_of_account_is_no_missing_right() -> None:
    for code in ("40084", "40085"):
        assert BITGET.of_other_kind(answer(code))
        assert refusal(code).cause is Cause.ACCOUNT_RESTRICTED
    assert not BITGET.of_other_kind(answer("40014"))
    assert not BITGET.of_other_kind(Answer(status=200, body="<html>"))


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, "", Cause.RATE_LIMITED),
        (403, "<html><title>Forbidden</title></html>", Cause.LOCATION_RESTRICTED),
        (451, "<html></html>", Cause.LOCATION_RESTRICTED),
        (503, "<html></html>", Cause.EXCHANGE_UNAVAILABLE),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
        (200, '{"code":"00000","msg":"success","data":null}', Cause.UNEXPECTED_RESPONSE),
        (200, '{"code":"00000","msg":"System error","data":{"authorities":["stor"]}}', Cause.EXCHANGE_UNAVAILABLE),
        (400, '{"code":"00000","msg":"success","data":{"authorities":["stor"]}}', Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_what_is_no_success(status: int, body: str, cause: Cause) -> None:
    assert diagnosed(Answer(role=Role.KEY_INFO, status=status, body=body), BITGET).cause is cause


@pytest.mark.parametrize(
    ("path", "data", "good"),
    [
        ("/api/v2/public/time", {"serverTime": "1"}, True),
        ("/api/v2/public/time", {}, False),
        ("/api/v2/spot/account/assets", [], True),
        ("/api/v2/spot/account/assets", {}, False),
        ("/api/v3/account/assets", {"assets": []}, True),
        ("/api/v3/account/assets", {"accountEquity": "1"}, False),
        ("/api/v3/account/assets", [], False),
        ("/api/v2/spot/trade/unfilled-orders", [], True),
        ("/api/v2/spot/trade/unfilled-orders", "", False),
        ("/api/v2/mix/order/orders-pending", {"entrustedList": None, "endId": None}, True),
        ("/api/v3/trade/unfilled-orders", {"list": [], "cursor": None}, True),
        ("/api/v3/trade/unfilled-orders", [], False),
    ],
)
def test_the_shape_of_a_success(path: str, data: Any, good: bool) -> None:
    body = {"code": "00000", "msg": "success", "requestTime": 1, "data": data}
    assert BITGET.succeeded(heard(BITGET, path, body)) is good


def test_reading_orders_and_balances() -> None:
    def of(data: Any) -> Answer:
        return Answer(status=200, body=json.dumps({"code": "00000", "msg": "success", "data": data}))

    assert BITGET.read_orders(Market.FUTURES, of({"entrustedList": None, "endId": None})) == 0
    assert BITGET.read_orders(Market.FUTURES, of({"list": [{}, {}], "cursor": "1"})) == 2
    assert BITGET.read_orders(Market.SPOT, of([{}])) == 1
    assert BITGET.read_orders(Market.SPOT, of({"list": "none"})) is None
    spot = BITGET.read_balances(Market.SPOT, of([{"coin": "USDT", "available": "10"}]))
    futures = BITGET.read_balances(Market.FUTURES, of([{"marginCoin": "USDT", "available": "10"}]))
    wallet = BITGET.read_balances(Market.FUTURES, of({"assets": [{"coin": "USDT", "available": "10"}]}))
    assert spot == futures == wallet
    assert BITGET.read_balances(Market.SPOT, of([{"coin": "USDT"}])) is None


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'bitget {"code":"40037","msg":"Apikey does not exist","requestTime":1698871811447,"data":null}',
        '{"code":"40018","msg":"Invalid IP","requestTime":1698871811447,"data":null}',
        '{"code":"50010","msg":"x","requestTime":1698871811447,"data":null}',
        '{"requestTime":1698871811447,"code":"40009","msg":"sign signature error","data":null}',
        "https://api.bitget.com/api/v2/spot/account/info",
        "ACCESS-PASSPHRASE header is missing",
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, BITGET)


@pytest.mark.parametrize("text", ["OK-ACCESS-SIGN", "CB-ACCESS-KEY", '{"msg":"Invalid Sign","code":"50113"}'])
def test_not_mistaken_for_others(text: str) -> None:
    found = explain.recognise(text, all_exchanges().values())
    assert found is None or found.id != "bitget"


def test_paste(rsa_key: rsa.RSAPrivateKey) -> None:
    secret, phrase = "0123456789abcdef" * 4, "Phrase123"
    check_paste(read_paste(BITGET, f"API Key: {KEY}\nSecret Key: {secret}\nPassphrase: {phrase}"), KEY, secret, phrase)
    assert read_paste(BITGET, f"{KEY}\n{secret}").missing == ("passphrase",)
    swapped = read_paste(BITGET, json.dumps({"apiKey": secret, "secret": KEY, "passphrase": phrase}))
    assert swapped.problems or swapped.doubts
    assert read_paste(BITGET, json.dumps({"apiKey": KEY[:-1], "secret": secret, "passphrase": phrase})).doubts
    own = read_paste(BITGET, json.dumps({"apiKey": KEY, "secret": pem_of(rsa_key), "passphrase": phrase}))
    assert own.credentials is not None
    assert not own.doubts


def test_the_key_page_is_told_as_it_is() -> None:
    never = [right.box for right in BITGET.rights if right.tick(Market.SPOT) is Tick.NEVER]
    assert set(never) == {"Withdraw"}
    needed = {right.word for right in BITGET.rights if right.tick(Market.SPOT) is Tick.NEEDED}
    assert needed == {"stow", "uta_trade", "uta_mgt"}
    assert BITGET.expiry_rules == (), "no end without an address is documented"


@pytest.mark.parametrize(
    ("words", "boxes"),
    [
        (["stor"], "Spot"),
        (["uta_mgt"], "UTA trade (unified account)"),
        (["uta_trade"], "UTA management (unified account)"),
    ],
)
def test_only_the_boxes_of_this_kind_of_account_are_named(words: list[str], boxes: str) -> None:
    missing = diagnosis.Diagnosis(
        cause=Cause.PERMISSION_MISSING, candidates=(Cause.PERMISSION_MISSING,), permission=Permission.SPOT_TRADE
    )
    report = unified(words) if words[0].startswith("uta") else classic(words)
    assert diagnosis.sentence(missing, BITGET, Market.SPOT, report).params["q_boxes"] == boxes


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["", "unified"])
@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("bitget"), ids=lambda value: str(value)[:14])
def test_verdicts(
    simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any], mode: str
) -> None:
    """The same of both kinds of account, but that a unified key trades everything or nothing."""
    simulator.change_account("bitget", account, mode=mode)
    run = run_once(gateway, "bitget", sample(simulator, "bitget", account), market=market)
    if mode and account == "no_futures":
        assert run.status.ok
        return
    check_verdict(run, verdict)
    if account == "expired":
        assert run.diagnosis is not None
        assert Cause.EXPIRED_KEY in run.diagnosis.candidates
    if account == "sub_account":
        assert run.key_report is not None
        assert run.key_report.is_sub is True


def test_the_best_verdict_is_within_reach(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "no_futures"))
    assert (run.status, run.advice) == (Status.ONLINE, ())
    simulator.change_account("bitget", "good", mode="unified", permissions="uta_trade,uta_mgt")
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"), market="futures")
    assert run.status.ok
    assert all(check.outcome is not Outcome.FAIL for check in run.checks)


def test_an_unbound_key_is_no_better_than_connected(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "ip_open"))
    assert run.status is Status.CONNECTED
    assert Advice.IP_RESTRICTION_UNKNOWN in run.advice


@pytest.mark.parametrize("account", ["good", "withdraw"])
def test_a_key_that_every_call_takes_for_another_kind_is_not_called_safe(
    simulator: Simulator, gateway: Gateway, account: str
) -> None:
    body = {"code": "40085", "msg": "You are in Unified Account mode", "requestTime": 1, "data": None}
    simulator.set_faults([{"path": path, "status": 400, "body": body} for path in (*CLASSIC, *UNIFIED)])
    run = run_once(gateway, "bitget", sample(simulator, "bitget", account))
    assert run.status is Status.FAILED
    check_cause(run, Cause.ACCOUNT_RESTRICTED)


def test_a_unified_key_without_management_is_told_what_it_lacks(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bitget", "good", mode="unified", permissions="uta_trade")
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, Permission.READ)
    assert run.diagnosis.check is CheckName.BALANCE


def test_a_read_only_kind_that_lists_trading(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account(
        "bitget", "good", mode="unified", permissions="uta_mgt,uta_trade", report={"permType": "read-only"}
    )
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, Permission.SPOT_TRADE)


def test_demo_trading(simulator: Simulator, gateway: Gateway) -> None:
    mixed = run_once(gateway, "bitget", sample(simulator, "bitget", "good"), environment=Environment.DEMO)
    check_cause(mixed, Cause.WRONG_ENVIRONMENT)
    simulator.change_account("bitget", "withdraw", site="demo")
    keys = sample(simulator, "bitget", "withdraw")
    assert run_once(gateway, "bitget", keys, environment=Environment.DEMO).status.ok
    assert run_once(gateway, "bitget", keys).status is Status.FAILED


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "bitget", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1], good.passphrase),
        Cause.INVALID_PASSPHRASE: Credentials(good.api_key, good.secret, "Other1234"),
        Cause.INVALID_KEY: Credentials(KEY, good.secret, good.passphrase),
    }
    check_wrong_keys(gateway, "bitget", wrong)


@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"))
    assert (run.status, run.advice[0]) == (Status.CONNECTED, Advice.CLOCK_CORRECTED)


def test_maintenance(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "bitget", "kind": "maintenance"}])
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"))
    check_cause(run, Cause.EXCHANGE_UNAVAILABLE)
