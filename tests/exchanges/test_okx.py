"""OKX against what it documents: signatures, key reports, refusals, entities, demo trading, account modes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bfai import diagnosis
from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, CountedFrom, Role, Tick
from bfai.model import (
    Advice,
    Cause,
    CheckName,
    Credentials,
    Diagnosis,
    Environment,
    GrantState,
    KeyReport,
    Market,
    Outcome,
    Permission,
    Status,
    Target,
)
from bfai.paste import read_paste
from bfai.simulator import Simulator
from bfai.transport import Client, Gateway
from tests.exchanges.common import (
    ask,
    call_of,
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
    present,
    report_lines,
    verdicts,
)
from tests.helpers import run_once, sample

OKX = get_exchange("okx")
KEY = "37c541a1-1234-4abc-8def-10fe7a038418"


def refusal(code: str, msg: str = "", status: int = 200, role: str = "any", **more: Any) -> Diagnosis:
    body = json.dumps({"code": code, "msg": msg, "data": [], **more})
    return diagnosed(Answer(role=role, status=status, body=body), OKX)


# -- signing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(frozen_clock: None) -> Client:
    return client_of(OKX, "APIKEYEXAMPLE01", "SECRETEXAMPLE02", "PassPhrase03")


def test_golden_signature_of_the_key_report(client: Client) -> None:
    url, headers, body = client._sign(call_of(OKX, Role.KEY_INFO), "www.okx.com")
    assert (str(url), body) == ("https://www.okx.com/api/v5/account/config", None)
    assert headers["OK-ACCESS-SIGN"] == "Ylp7P+B9fuPLmG+JmdhQaITFz9W3AR6EHql4hxggVGc="
    assert headers["OK-ACCESS-TIMESTAMP"] == "2023-11-14T22:13:20.000Z"
    assert (headers["OK-ACCESS-KEY"], headers["OK-ACCESS-PASSPHRASE"]) == ("APIKEYEXAMPLE01", "PassPhrase03")
    assert "x-simulated-trading" not in headers


@pytest.mark.parametrize(
    ("implicit", "params", "signature"),
    [
        ("privateGetAccountBalance", {"ccy": "BTC,USDT"}, "8R3vjYH0M/AXVjO0OTrZQ/Y6v1cAELfAvdGgWMkN5rw="),
        (
            "privatePostTradeOrderPrecheck",
            {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1", "sz": "1"},
            "fydOhN1u7e/5BN3PgT1EI3vWhaeOGIjqp2EqGB7rK/M=",
        ),
    ],
)
def test_golden_signatures_with_query_and_body(
    client: Client, implicit: str, params: dict[str, str], signature: str
) -> None:
    assert getattr(client._signer, implicit)(params)["headers"]["OK-ACCESS-SIGN"] == signature


@pytest.mark.parametrize("market", list(Market))
def test_the_dry_run_is_the_documented_one(client: Client, market: Market) -> None:
    call = call_of(OKX, Role.DRY_RUN, market)
    url, _, body = client._sign(call, "eea.okx.com")
    assert (call.method, str(url)) == ("POST", "https://eea.okx.com/api/v5/trade/order-precheck")
    assert json.loads(body or "")["instId"] == ("BTC-USDT" if market is Market.SPOT else "BTC-USDT-SWAP")
    assert {call.method for call in OKX.calls if call.role is not Role.DRY_RUN} == {"GET"}


def test_demo_trading_is_a_header_on_the_same_hosts() -> None:
    client = client_of(OKX, KEY, "A" * 32, "Pass-phrase1", region="eea", environment=Environment.DEMO)
    assert client.site.hosts == OKX.region("eea").hosts
    _, headers, _ = client._sign(call_of(OKX, Role.KEY_INFO), "eea.okx.com")
    assert headers["x-simulated-trading"] == "1"


def test_entities() -> None:
    assert {region.id: region.hosts["api"] for region in OKX.regions} == {
        "global": "www.okx.com",
        "eea": "eea.okx.com",
        "us": "us.okx.com",
    }
    assert OKX.serves("eea", Market.FUTURES) and OKX.serves("eea", Market.SPOT, Environment.DEMO)
    assert OKX.serves("us", Market.SPOT) and not OKX.serves("us", Market.FUTURES)
    assert Environment.TESTNET not in OKX.environments


def test_what_is_told_once_in_five_seconds_is_shared() -> None:
    assert call_of(OKX, Role.SERVICE).share_seconds >= 5
    assert all(not call.share_seconds for call in OKX.calls if call.signed)


# -- key reports -------------------------------------------------------------------------------------------------------


def report(**changes: Any) -> KeyReport | None:
    fields: dict[str, Any] = {
        "uid": "44705892343619584",
        "mainUid": "44705892343619584",
        "type": "0",
        "label": "bot-1",
        "ip": "203.0.113.7,203.0.113.8",
        "perm": "read_only,trade",
        "acctLv": "2",
        **changes,
    }
    return OKX.read_report({"code": "0", "msg": "", "data": [present(fields)]})


def told(**changes: Any) -> KeyReport:
    found = report(**changes)
    assert found is not None
    return found


@pytest.mark.parametrize("line", report_lines("okx"))
def test_documented_reports(line: dict[str, Any]) -> None:
    found = checked_report(line, OKX)
    assert found.expires_at is None


def test_a_whole_report() -> None:
    found = told()
    assert (found.label, found.account_id, found.is_sub) == ("bot-1", "44705892343619584", False)
    assert found.ip_restriction.addresses == ("203.0.113.7", "203.0.113.8")
    assert found.words == ("read_only", "trade")
    assert found.state(Permission.WITHDRAW) is GrantState.DENIED


@pytest.mark.parametrize("perm", ["withdraw", "read_only,withdraw,trade", "trade, withdraw", "WITHDRAW,read_only"])
def test_withdrawal_in_any_order(perm: str) -> None:
    assert told(perm=perm).state(Permission.WITHDRAW) is GrantState.GRANTED


@pytest.mark.parametrize(
    "perm", ["", ",", "read_only,", "read_only,,trade", "read_only,vault", None, 7, {}, ["read_only", 1]]
)
def test_withdrawal_is_unknown_unless_every_word_is_known(perm: Any) -> None:
    assert told(perm=perm).state(Permission.WITHDRAW) is GrantState.UNKNOWN


def test_trade_cannot_be_parted() -> None:
    found = told(perm="read_only,trade")
    for permission in (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN, Permission.TRANSFER):
        assert found.state(permission) is GrantState.GRANTED
        assert found.grant(permission).words == ("trade",)
    assert {Permission.TRANSFER, Permission.MARGIN} <= OKX.inseparable(Permission.SPOT_TRADE, found.words)
    assert told(perm="read_only").state(Permission.FUTURES_TRADE) is GrantState.DENIED


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "perm",
        {},
        {"code": "0", "data": []},
        {"code": "0", "data": [None]},
        {"code": "0", "data": {"perm": "read_only"}},
        {"code": "0", "data": [{"totalEq": "1", "details": []}]},
        {"code": "50119", "msg": "API key doesn't exist"},
        {"code": "1", "data": [{"perm": "read_only"}]},
        {"perm": "read_only"},
    ],
)
def test_what_is_no_key_report(body: Any) -> None:
    assert OKX.read_report(body) is None


@pytest.mark.parametrize(
    ("ip", "state"),
    [
        ("", GrantState.DENIED),
        ("203.0.113.7", GrantState.GRANTED),
        ("203.0.113.0/24,2001:db8::7", GrantState.GRANTED),
        ("0.0.0.0/0", GrantState.DENIED),
        ("203.0.113.7,anywhere", GrantState.UNKNOWN),
        (..., GrantState.UNKNOWN),
        (None, GrantState.UNKNOWN),
        (["203.0.113.7"], GrantState.UNKNOWN),
    ],
)
def test_addresses(ip: Any, state: GrantState) -> None:
    assert told(ip=ip).ip_restriction.state is state


@pytest.mark.parametrize(
    ("fields", "is_sub"),
    [
        ({}, False),
        ({"uid": "44705892343619585"}, True),
        ({"mainUid": ...}, False),
        ({"mainUid": ..., "type": "1"}, True),
        ({"mainUid": "", "type": "12"}, True),
        ({"mainUid": ..., "type": "77"}, None),
        ({"mainUid": ..., "type": ...}, None),
    ],
)
def test_main_or_sub_account(fields: dict[str, Any], is_sub: bool | None) -> None:
    assert told(**fields).is_sub is is_sub


@pytest.mark.parametrize(
    ("mode", "market", "cause"),
    [
        ("1", Market.FUTURES, Cause.ACCOUNT_RESTRICTED),
        ("1", Market.SPOT, None),
        ("2", Market.FUTURES, None),
        ("4", Market.FUTURES, None),
        (None, Market.FUTURES, None),
    ],
)
def test_spot_mode_has_no_futures(mode: str | None, market: Market, cause: Cause | None) -> None:
    assert OKX.state_cause({"code": "0", "data": [{"perm": "trade", "acctLv": mode}]}, market) is cause
    assert OKX.state_cause("<html>", market) is None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", error_lines("okx"), ids=lambda line: line["truth"])
def test_answers_seen_live(line: dict[str, Any]) -> None:
    check_error(line, OKX)


CODES: dict[Cause, str] = {
    Cause.INVALID_KEY: "50119 50111 50103 60032 60005",
    Cause.INVALID_SECRET: "50113 50106 60007",
    Cause.INVALID_PASSPHRASE: "50105 50104 60024",
    Cause.IP_NOT_ALLOWED: "50110 50035 50118",
    Cause.PERMISSION_MISSING: "50120 50030 50114",
    Cause.WRONG_ENVIRONMENT: "50101 50038 50053",
    Cause.CLOCK_SKEW: "50102 50112 50107 60004 60006",
    Cause.LOCATION_RESTRICTED: "50121 50051 50052 50067 51155 51734",
    Cause.ACCOUNT_RESTRICTED: "50007 50008 50009 50012 50022 50027 50029 50033 50060 50100 51009 51024 4088 58004",
    Cause.RATE_LIMITED: "50011 50040 50061",
    Cause.EXCHANGE_UNAVAILABLE: "50001 50004 50005 50013 50026 50046 500",
    Cause.AMBIGUOUS: "60009",
    Cause.UNEXPECTED_RESPONSE: "50014 50044 50122 51000 99999",
}


@pytest.mark.parametrize(("cause", "code"), [(cause, code) for cause, codes in CODES.items() for code in codes.split()])
def test_codes(cause: Cause, code: str) -> None:
    assert refusal(code).cause is cause
    item = refusal("1", "All operations failed", data=[{"sCode": code, "sMsg": "no"}])
    assert item.cause is cause, "the code may be in the item"


def test_no_code_has_two_meanings() -> None:
    plain = [code for rule in OKX.error_rules if rule.pattern is None for code in rule.codes]
    assert len(plain) == len(set(plain))


def test_an_unknown_key_may_belong_to_another_entity_or_have_ended() -> None:
    found = refusal("50119", "API key doesn't exist", 401)
    assert found.candidates == (Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT, Cause.EXPIRED_KEY)


def test_a_refused_address_is_told_and_the_key_is_not() -> None:
    words = f"Your IP 203.0.113.7 is not included in your API key's {KEY} IP whitelist."
    found = refusal("50110", words, 401)
    assert (found.cause, found.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.7")
    assert found.exchange_said is not None
    assert KEY not in found.exchange_said
    assert "203.0.113.7" in found.exchange_said


def test_a_blocked_country_is_no_refused_address() -> None:
    found = refusal("50121", "You can't access our services through the IP address (203.0.113.7)")
    assert (found.cause, found.seen_ip) == (Cause.LOCATION_RESTRICTED, None)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Trading account is blocked.", Cause.ACCOUNT_RESTRICTED),
        ("This product isn't available in your country or region", Cause.LOCATION_RESTRICTED),
        ("Your account has triggered risk control.", Cause.ACCOUNT_RESTRICTED),
    ],
)
def test_one_code_for_many_reasons(words: str, cause: Cause) -> None:
    assert refusal("51024", words).cause is cause


def test_an_item_says_more_than_the_answer() -> None:
    item = {"sCode": "51008_1000", "sMsg": "Insufficient USDT balance"}
    found = refusal("1", "All operations failed", data=[item])
    assert found.exchange_said == "51008 Insufficient USDT balance"


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, "", Cause.RATE_LIMITED),
        (403, "<html><title>ERROR: The request could not be satisfied</title></html>", Cause.LOCATION_RESTRICTED),
        (451, "<html></html>", Cause.LOCATION_RESTRICTED),
        (503, "<html></html>", Cause.EXCHANGE_UNAVAILABLE),
        (200, "<html>Log in to this network</html>", Cause.UNEXPECTED_RESPONSE),
        (200, '{"code":"0","msg":"","data":[]}', Cause.UNEXPECTED_RESPONSE),
        (200, '{"code":0,"msg":"","data":[{"perm":"read_only"}]}', Cause.UNEXPECTED_RESPONSE),
        (401, '{"code":"0","msg":"","data":[{"perm":"read_only"}]}', Cause.UNEXPECTED_RESPONSE),
    ],
)
def test_what_is_no_success(status: int, body: str, cause: Cause) -> None:
    assert diagnosed(Answer(role=Role.KEY_INFO, status=status, body=body), OKX).cause is cause


@pytest.mark.parametrize(
    ("role", "data", "good"),
    [
        (Role.TIME, [{"ts": "1700000000000"}], True),
        (Role.TIME, [], False),
        (Role.SERVICE, [], True),
        (Role.SERVICE, {}, False),
        (Role.BALANCE, [{"details": []}], True),
        (Role.BALANCE, [{"totalEq": "1"}], False),
        (Role.ORDERS, [], True),
        (Role.ORDERS, None, False),
        (Role.DRY_RUN, [{"adjEq": "1"}], True),
        (Role.DRY_RUN, [], False),
        (Role.DRY_RUN, [{"sCode": "51008"}], False),
    ],
)
def test_the_shape_of_a_success(role: Role, data: Any, good: bool) -> None:
    assert OKX.succeeded(Answer(role=role, status=200, body=json.dumps({"code": "0", "data": data}))) is good


def judged(code: str) -> tuple[bool, bool]:
    answer = Answer(role=Role.DRY_RUN, status=200, body=json.dumps({"code": "1", "data": [{"sCode": code}]}))
    return OKX.dry_run_proves(answer), OKX.dry_run_says_nothing(answer)


@pytest.mark.parametrize("code", "51001 51006 51008 51008_1000 51020 51121 51127 51137".split())
def test_an_order_that_was_judged_proves_the_right(code: str) -> None:
    assert judged(code) == (True, False)


@pytest.mark.parametrize("code", "51010 51070 51000 50014 50038".split())
def test_the_account_mode_says_nothing_about_the_key(code: str) -> None:
    assert judged(code) == (False, True)


@pytest.mark.parametrize("code", "50120 50114 51009 51024 51155 51734 50001 50119 1".split())
def test_a_refused_key_or_account_proves_nothing(code: str) -> None:
    assert judged(code) == (False, False)


def test_service_status() -> None:
    def is_open(*items: dict[str, str]) -> bool | None:
        return OKX.service_open(Answer(status=200, body=json.dumps({"code": "0", "msg": "", "data": list(items)})))

    ongoing = {"state": "ongoing", "serviceType": "5", "env": "1"}
    planned = {**ongoing, "state": "scheduled"}
    assert is_open() is True
    assert is_open(planned) is True
    assert is_open(ongoing, planned) is False, "what is planned does not end what goes on"
    assert is_open({**ongoing, "state": "pre_open"}) is True
    assert is_open({**ongoing, "serviceType": "7"}) is True, "trading bots alone"
    assert is_open({**ongoing, "env": "2"}) is True, "demo trading alone"
    assert OKX.service_open(Answer(status=503, body='{"code":"50001","msg":"","data":[]}')) is None


# -- recognising and pasting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'okx {"msg":"API key doesn\'t exist","code":"50119"}',
        '{"msg":"Invalid Sign","code":"50113"}',
        'myokx GET https://eea.okx.com/api/v5/account/balance 401 {"code":"50119","msg":"x"}',
        "OK-ACCESS-SIGN",
        '{"code":"1","data":[{"sCode":"51155","sMsg":"x"}],"msg":""}',
    ],
)
def test_recognised(text: str) -> None:
    check_recognised(text, OKX)


def test_paste() -> None:
    secret, phrase = "0123456789ABCDEF0123456789ABCDEF", "Pass-phrase1"
    check_paste(
        read_paste(OKX, f"apikey = '{KEY}'\nsecretkey = '{secret}'\nPassphrase: {phrase}\nIP = '203.0.113.7'"),
        KEY,
        secret,
        phrase,
    )
    assert read_paste(OKX, f"{KEY}\n{secret}").missing == ("passphrase",)
    swapped = read_paste(OKX, json.dumps({"apiKey": secret, "secret": KEY, "passphrase": phrase}))
    assert any("swapped" in problem.text for problem in swapped.problems)
    assert read_paste(OKX, json.dumps({"apiKey": KEY[:-1], "secret": secret, "passphrase": phrase})).doubts


def test_the_key_page_is_told_as_it_is() -> None:
    ticks = {right.box: right.tick(Market.FUTURES) for right in OKX.rights}
    assert ticks == {"Read": Tick.NEEDED, "Trade": Tick.NEEDED, "Withdraw": Tick.NEVER}
    assert OKX.guide.max_ips == 20
    (rule,) = OKX.expiry_rules
    assert (rule.days, rule.counted) == (14, CountedFrom.LAST_USE)
    assert not rule.concerns(told()), "a bound key stays"
    assert rule.concerns(told(ip=""))
    assert not rule.concerns(told(ip="", perm="read_only")), "a key that only reads stays"


# -- whole tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "account", "verdict"), verdicts("okx"), ids=lambda value: str(value)[:14])
def test_verdicts(simulator: Simulator, gateway: Gateway, market: str, account: str, verdict: dict[str, Any]) -> None:
    run = run_once(gateway, "okx", sample(simulator, "okx", account), market=market)
    check_verdict(run, verdict)
    if account == "expired":
        assert run.diagnosis is not None
        assert Cause.EXPIRED_KEY in run.diagnosis.candidates
    if account == "sub_account":
        assert run.key_report is not None
        assert run.key_report.is_sub is True


def test_a_good_key_is_online_although_trade_gives_more(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "okx", sample(simulator, "okx", "good"))
    assert (run.status, run.advice) == (Status.ONLINE, ())


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize("mode", ["1", "2", "3", "4"])
def test_account_modes(simulator: Simulator, gateway: Gateway, market: str, mode: str) -> None:
    simulator.change_account("okx", "good", mode=mode)
    run = run_once(gateway, "okx", sample(simulator, "okx", "good"), market=market)
    trade = run.check(CheckName.TRADE)
    assert trade is not None
    assert trade.outcome is Outcome.PASS
    assert ("dry-run" in trade.detail.text) is (mode in "34")
    if (market, mode) == ("futures", "1"):
        assert run.status is Status.FAILED
        assert run.diagnosis is not None
        assert (run.diagnosis.cause, run.diagnosis.check) == (Cause.ACCOUNT_RESTRICTED, CheckName.FUTURES)
        assert "mode" in diagnosis.sentence(run.diagnosis, OKX, Market.FUTURES).text
        told_by = diagnosis.remedy(run.diagnosis, OKX, Market.FUTURES, run.key_report, stored=False)
        assert len(told_by.steps) == 3
    else:
        assert run.status is Status.ONLINE


def test_a_key_without_trade_is_refused_the_dry_run(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("okx", "read_only", mode="3")
    run = run_once(gateway, "okx", sample(simulator, "okx", "read_only"))
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, Permission.SPOT_TRADE)
    assert "Trade" in str(diagnosis.sentence(run.diagnosis, OKX, Market.SPOT, run.key_report).params["q_boxes"])


@pytest.mark.parametrize("site", ["eea", "us"])
def test_the_entity_that_knows_the_key_is_found(simulator: Simulator, gateway: Gateway, site: str) -> None:
    simulator.change_account("okx", "good", site=site)
    keys = sample(simulator, "okx", "good")
    here = ask(OKX, gateway, keys, Target(exchange="okx"))
    check_cause(here, Cause.INVALID_KEY)
    assert diagnosis.other_regions(here, OKX) == ("eea.okx.com", "us.okx.com")
    run = ask(OKX, gateway, keys, Target(exchange="okx"), try_regions=True)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, site)
    assert ask(OKX, gateway, keys, Target(exchange="okx", region=site)).status is Status.ONLINE


def test_demo_trading(simulator: Simulator, gateway: Gateway) -> None:
    live = sample(simulator, "okx", "good")
    mixed = run_once(gateway, "okx", live, environment=Environment.DEMO)
    check_cause(mixed, Cause.WRONG_ENVIRONMENT)
    simulator.change_account("okx", "withdraw", site="demo")
    run = run_once(gateway, "okx", sample(simulator, "okx", "withdraw"), environment=Environment.DEMO)
    assert run.status.ok, "no money can leave a demo account"
    assert run_once(gateway, "okx", sample(simulator, "okx", "withdraw")).status is Status.FAILED


def test_wrong_credentials_are_told_apart(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "okx", "good")
    wrong = {
        Cause.INVALID_SECRET: Credentials(good.api_key, good.secret[::-1], good.passphrase),
        Cause.INVALID_PASSPHRASE: Credentials(good.api_key, good.secret, "Other.phrase1"),
        Cause.INVALID_KEY: Credentials(KEY, good.secret, good.passphrase),
    }
    check_wrong_keys(gateway, "okx", wrong)


def test_a_foreign_address_is_shown_and_no_secret_with_it(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address("203.0.113.77")
    keys = sample(simulator, "okx", "good")
    run = run_once(gateway, "okx", keys)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.77")
    assert not any(secret in run.model_dump_json() for secret in keys.secrets())


@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, "okx", sample(simulator, "okx", "good"))
    assert (run.status, run.advice) == (Status.CONNECTED, (Advice.CLOCK_CORRECTED,))


def test_maintenance(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "okx", "kind": "maintenance"}])
    run = run_once(gateway, "okx", sample(simulator, "okx", "good"))
    check_cause(run, Cause.EXCHANGE_UNAVAILABLE)
