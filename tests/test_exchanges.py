"""The adapters against what the exchanges document: signatures, key reports, refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bfai import diagnosis, explain
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, Call, Role
from bfai.model import (
    Advice,
    Cause,
    Credentials,
    Evidence,
    ExpiryEvidence,
    GrantState,
    Market,
    Permission,
    Target,
)
from bfai.transport import Client, Transport, UndeclaredRequest

DATA = Path(__file__).parent / "data"
GOLDEN_KEY = Credentials("APIKEYEXAMPLE01", "SECRETEXAMPLE02", "PassPhrase03")
GOLDEN_MS = 1_700_000_000_000


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def golden_client(exchange_id: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client(Transport(), get_exchange(exchange_id), Target(exchange=exchange_id), GOLDEN_KEY)
    monkeypatch.setattr("bfai.transport.time.time", lambda: GOLDEN_MS / 1000)
    return client


def call_of(exchange_id: str, role: Role, market: Market) -> Call:
    return next(call for call in get_exchange(exchange_id).plan(market) if call.role is role)


@pytest.mark.parametrize(
    ("role", "market", "where", "signature"),
    [
        (Role.KEY_INFO, Market.SPOT, "query", "38e4aa0d559961ac3d31de1154de73d08aa8106ebf0167c73d1d28a7670a8558"),
        (Role.BALANCE, Market.FUTURES, "header", "578f114128c1d47fc7b7eac9e25c2b6bf5ced5efb3fbd139fc6b0ca64303bf54"),
        (Role.ORDERS, Market.FUTURES, "header", "41b7e16bfae6085396f3b5b77f3ba64ebf46275d1046df15e419775b9ca706fb"),
    ],
)
def test_mexc_golden_signatures(
    role: Role, market: Market, where: str, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = golden_client("mexc", monkeypatch)
    url, headers, _ = client._sign(call_of("mexc", role, market), "api.mexc.com")
    assert (url.query.get("signature") if where == "query" else headers["Signature"]) == signature


@pytest.mark.parametrize(
    ("role", "market", "signature"),
    [
        (Role.KEY_INFO, Market.SPOT, "dKwCncqL4pk3PV5DOGXt0NDq3dg2wODMCvkInViBBCc="),
        (Role.BALANCE, Market.SPOT, "yFUWEohocqwkbWNtlaGvK6Z5VYIbgt8/ivWaN+9QgG8="),
        (Role.BALANCE, Market.FUTURES, "fve+v25TJVBuoLgpmCUZ84/LqjrUWSSEURITFCxNr0o="),
    ],
)
def test_kucoin_golden_signatures(role: Role, market: Market, signature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = golden_client("kucoin", monkeypatch)
    _, headers, _ = client._sign(call_of("kucoin", role, market), "api.kucoin.com")
    assert headers["KC-API-SIGN"] == signature
    assert headers["KC-API-PASSPHRASE"] == "x0xsXOdYb9ZCk2+MgHcPJt/jaLUq3SFRvFdvuzSK938="


@pytest.mark.parametrize("line", lines("error_responses.jsonl"), ids=lambda line: f"{line['exchange']}-{line['truth']}")
def test_refusals_name_their_cause(line: dict[str, Any]) -> None:
    answer = explain.answer_from_line(line)
    found = explain.explain(answer, all_exchanges().get(line["exchange"]))
    assert found.cause in (line["truth"], *line.get("also_acceptable", []))
    assert found.cause in found.candidates or found.cause is Cause.AMBIGUOUS


@pytest.mark.parametrize("line", lines("key_reports.jsonl"))
def test_key_reports_give_the_right_grants(line: dict[str, Any]) -> None:
    report = explain.report_in(line["endpoint"], line["body"], get_exchange(line["exchange"]))
    assert report is not None
    expected, accepted = line["expected"], line.get("also_acceptable", {})
    word = {GrantState.GRANTED: True, GrantState.DENIED: False, GrantState.UNKNOWN: None}
    for permission in Permission:
        state = word[report.state(permission)]
        assert state is expected[permission.value] or state in accepted.get(permission.value, []), permission
    restricted = word[report.ip_restriction.state]
    assert restricted is expected["ip_restricted"] or restricted in accepted.get("ip_restricted", [])
    assert [*report.ip_restriction.addresses, *report.ip_restriction.masked] == expected["ips"]
    assert (f"{report.expires_at:%Y-%m-%dT%H:%M:%SZ}" if report.expires_at else None) == expected["expires_at"]


# -- MEXC --------------------------------------------------------------------------------------------------------------

MEXC_REPORT: dict[str, Any] = {
    "note": "bot-1",
    "accessKey": "mx0vEXAMPLEKEY0001",
    "createTime": "2026-09-14T18:53:36.000+00:00",
    "permissions": "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE",
    "remainingValidity": 82,
    "ipWhiteList": "203.0.113.7,203.0.113.8",
    "status": "VALID",
}
RECEIVED = datetime(2026, 9, 22, 12, tzinfo=UTC)


def mexc_report(**changes: Any) -> Any:
    body = {**MEXC_REPORT, **changes}
    return get_exchange("mexc").read_report({k: v for k, v in body.items() if v is not ...}, received_at=RECEIVED)


def test_mexc_withdrawal_is_denied_only_by_a_whole_list_of_known_words() -> None:
    assert mexc_report().state(Permission.WITHDRAW) is GrantState.DENIED
    assert mexc_report().grant(Permission.WITHDRAW).evidence is Evidence.DECLARED
    for permissions in (
        "",
        "SPOT_ACCOUNT_READ,",
        "SPOT_ACCOUNT_READ,,SPOT_DEAL_READ",
        "SPOT_ACCOUNT_READ,SPOT_NEW_WRITE",
        None,
        7,
    ):
        assert mexc_report(permissions=permissions).state(Permission.WITHDRAW) is GrantState.UNKNOWN, permissions
    assert mexc_report(permissions=...) is None


@pytest.mark.parametrize("word", ["SPOT_WITHDRAW_WRITE", "SPOT_WITHDRAW_W", "spot_withdraw_write"])
def test_mexc_withdrawal_is_granted_in_every_spelling(word: str) -> None:
    assert mexc_report(permissions=f"SPOT_ACCOUNT_READ,{word}").state(Permission.WITHDRAW) is GrantState.GRANTED


def test_mexc_reading_withdrawals_is_not_withdrawing() -> None:
    report = mexc_report(permissions="SPOT_ACCOUNT_READ,SPOT_WITHDRAW_READ")
    assert report.state(Permission.WITHDRAW) is GrantState.DENIED


def test_mexc_escalation_is_named() -> None:
    assert mexc_report(permissions="SPOT_ACCOUNT_READ,SPOT_ACCOUNT_WRITE").escalations
    assert not mexc_report().escalations


def test_mexc_end_date_stays_the_same_from_day_to_day() -> None:
    exchange = get_exchange("mexc")
    dates = {
        exchange.read_report(
            {**MEXC_REPORT, "remainingValidity": 82 - day}, received_at=RECEIVED.replace(day=22 + day)
        ).expires_at  # type: ignore[union-attr]
        for day in range(5)
    }
    assert dates == {datetime(2026, 12, 13, 18, 53, 36, tzinfo=UTC)}


def test_mexc_no_end_is_told_apart_from_an_unknown_one() -> None:
    assert mexc_report(remainingValidity=-999).expiry_evidence is ExpiryEvidence.FIELD
    assert mexc_report(remainingValidity=...).expiry_evidence is ExpiryEvidence.NONE
    assert mexc_report(remainingValidity="soon").expires_at is None


def test_mexc_counts_by_its_rule_where_no_days_are_told() -> None:
    """Without a linked address a key ends 90 days after it was made."""
    mexc, created = get_exchange("mexc"), datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
    unbound = mexc_report(remainingValidity=..., ipWhiteList="", createTime=created.isoformat())
    by_rule = mexc.with_counted_end(unbound)
    assert by_rule.expires_at == created + timedelta(days=90)
    assert by_rule.expiry_evidence is ExpiryEvidence.RULE
    bound = mexc.with_counted_end(mexc_report(remainingValidity=..., ipWhiteList="203.0.113.7"))
    assert bound.expires_at is None, "bound to an address it does not end"
    old = (created - timedelta(days=200)).isoformat()
    outlived = mexc.with_counted_end(mexc_report(remainingValidity=..., ipWhiteList="", createTime=old))
    assert outlived.expires_at is None, "a key that works after the end of its rule is not under that rule"
    assert mexc.with_counted_end(unbound, created + timedelta(days=91)).expires_at is None, "at that time"


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"status": "FROZEN"}, Cause.ACCOUNT_RESTRICTED),
        ({"status": "DELETE"}, Cause.INVALID_KEY),
        ({"remainingValidity": 0}, Cause.EXPIRED_KEY),
        ({}, None),
        ({"remainingValidity": -999}, None),
    ],
)
def test_mexc_report_names_a_dead_key(fields: dict[str, Any], cause: Cause | None) -> None:
    assert get_exchange("mexc").state_cause({**MEXC_REPORT, **fields}) is cause


def test_a_report_on_another_key_is_none() -> None:
    exchange = get_exchange("mexc")
    assert exchange.read_report(MEXC_REPORT, api_key="mx0vSOMEBODYELSES1") is None
    assert exchange.read_report(MEXC_REPORT, api_key="mx0vEXAMPLEKEY0001") is not None


def test_mexc_account_flags_are_never_a_grant() -> None:
    body = {"canTrade": True, "canWithdraw": True, "permissions": ["SPOT"], "balances": []}
    assert get_exchange("mexc").read_report(body) is None


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("", GrantState.DENIED),
        ("203.0.113.7", GrantState.GRANTED),
        ("203.0.113.7, 2001:db8::1", GrantState.GRANTED),
        ("203.**.154", GrantState.GRANTED),
        ("0.0.0.0/0", GrantState.DENIED),
        ("anywhere", GrantState.UNKNOWN),
        (None, GrantState.UNKNOWN),
        (["203.0.113.7"], GrantState.UNKNOWN),
    ],
)
def test_ip_lists(value: Any, state: GrantState) -> None:
    assert mexc_report(ipWhiteList=value).ip_restriction.state is state


# -- KuCoin ------------------------------------------------------------------------------------------------------------


def kucoin_report(permission: Any = "General,Spot", **fields: Any) -> Any:
    body = {"code": "200000", "data": {"permission": permission, "apiKey": "6705f5c311545b000157d3eb", **fields}}
    return get_exchange("kucoin").read_report(body)


@pytest.mark.parametrize("word", ["Transfer", "Withdrawal"])
def test_kucoin_transfer_is_the_right_to_withdraw(word: str) -> None:
    report = kucoin_report(f"General,{word}")
    assert report.state(Permission.WITHDRAW) is GrantState.GRANTED
    assert report.state(Permission.TRANSFER) is GrantState.DENIED


@pytest.mark.parametrize("word", ["InnerTransfer", "FlexTransfers"])
def test_kucoin_inner_transfer_is_a_transfer(word: str) -> None:
    report = kucoin_report(f"General,{word}")
    assert report.state(Permission.TRANSFER) is GrantState.GRANTED
    assert report.state(Permission.WITHDRAW) is GrantState.DENIED


def test_kucoin_expiry_missing_is_unknown_and_null_is_none() -> None:
    assert kucoin_report().expiry_evidence is ExpiryEvidence.NONE
    assert kucoin_report(expiredAt=None).expiry_evidence is ExpiryEvidence.FIELD
    assert kucoin_report(expiredAt=1_800_000_000_000).expires_at == datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_kucoin_wrong_secret_shows_as_passphrase() -> None:
    answer = Answer(status=401, body='{"code":"400004","msg":"Invalid KC-API-PASSPHRASE"}')
    found = diagnosis.diagnose(answer, get_exchange("kucoin"))
    assert found is not None
    assert found.candidates == (Cause.INVALID_PASSPHRASE, Cause.INVALID_SECRET)


def test_kucoin_version_complaint_is_no_missing_right() -> None:
    answer = Answer(status=400, body='{"code":"400007","msg":"Invalid KC-API-KEY-VERSION"}')
    found = diagnosis.diagnose(answer, get_exchange("kucoin"))
    assert found is not None
    assert found.cause is Cause.INVALID_KEY


def test_a_masked_address_counts_as_a_restriction_that_cannot_be_read() -> None:
    restriction = kucoin_report(ipWhitelist="203.**.154,203.0.113.9").ip_restriction
    assert restriction.state is GrantState.GRANTED
    assert (restriction.addresses, restriction.masked) == (("203.0.113.9",), ("203.**.154",))


@pytest.mark.parametrize(
    ("body", "ip"),
    [
        ('{"code":"400006","msg":"Invalid request ip, the current clientIp is:203.0.113.9"}', "203.0.113.9"),
        ('{"code":"400006","msg":"Invalid request ip, the current clientIp is:2001:db8::7"}', "2001:db8::7"),
        ('{"code":"400006","msg":"Invalid request ip"}', None),
    ],
)
def test_an_ip_refusal_names_the_address_that_was_seen(body: str, ip: str | None) -> None:
    found = diagnosis.diagnose(Answer(status=403, body=body), get_exchange("kucoin"))
    assert found is not None
    assert (found.cause, found.seen_ip) == (Cause.IP_NOT_ALLOWED, ip)


# -- what may be sent --------------------------------------------------------------------------------------------------


DRY_RUNS = {
    "/api/v3/order/test",
    "/fapi/v1/order/test",
    "/api/v1/hf/orders/test",
    "/api/v1/orders/test",
    "/api/v5/trade/order-precheck",
    "/v5/order/pre-check",
    "/openApi/swap/v2/trade/order/test",
    "/api/v3/brokerage/orders/preview",
}
"""Every dry-run order that an exchange documents. Nothing else may be other than a GET."""


def test_no_declared_call_can_change_anything() -> None:
    for exchange in all_exchanges().values():
        for call in exchange.calls:
            assert call.method == "GET" or (call.method == "POST" and call.dry_run and call.path in DRY_RUNS), call


def test_what_each_exchange_must_say_is_there() -> None:
    for exchange in all_exchanges().values():
        for market in exchange.markets:
            roles = {call.role for call in exchange.plan(market)}
            assert {Role.TIME, Role.KEY_INFO, Role.BALANCE, Role.ORDERS} <= roles, (exchange.id, market)
            assert any(market in right.needed_for for right in exchange.rights), (exchange.id, market)
        assert exchange.boxes(Permission.WITHDRAW), exchange.id
        assert exchange.guide.key_page.startswith("https://") and len(exchange.guide.steps) >= 3
        assert all(call.pool in exchange.limits for call in exchange.calls), exchange.id
        names = [call.name for market in exchange.markets for call in exchange.plan(market)]
        for market in exchange.markets:
            planned = [call.name for call in exchange.plan(market)]
            assert len(set(planned)) == len(planned), (exchange.id, names)
        for rule in exchange.expiry_rules:
            assert rule.days > 0 and rule.text and rule.source


def test_whatever_reads_the_account_names_its_right() -> None:
    """Where it is refused, the trader is told which box to tick."""
    for exchange in all_exchanges().values():
        for call in exchange.calls:
            if call.role in (Role.BALANCE, Role.ORDERS):
                assert call.right is not None, (exchange.id, call.path)


def test_a_call_that_is_no_dry_run_cannot_even_be_declared() -> None:
    with pytest.raises(ValueError, match="dry-run"):
        Call(Role.KEY_INFO, "POST", "spot", "/api/v3/apiKeyInfo", "spotPrivatePostApiKeyInfo", "edit the key")


async def test_what_is_not_declared_is_refused() -> None:
    call = Call(Role.ORDERS, "GET", "spot", "/api/v3/allOrders", "spotPrivateGetAllOrders", "read")
    client = Client(Transport(), get_exchange("mexc"), Target(exchange="mexc"), GOLDEN_KEY)
    with pytest.raises(UndeclaredRequest):
        await client.ask(call)


async def test_a_declaration_that_ccxt_would_send_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = get_exchange("mexc")
    call = Call(Role.ORDERS, "GET", "spot", "/api/v3/openOrders", "spotPrivateDeleteOpenOrders", "read", pool="spot")
    monkeypatch.setattr(exchange, "calls", (call,), raising=False)
    with pytest.raises(UndeclaredRequest):
        await Client(Transport(), exchange, Target(exchange="mexc"), GOLDEN_KEY).ask(call)


def test_every_advice_has_words() -> None:
    from bfai.words import _ADVICE

    assert set(Advice) - {Advice.ESCALATION} == set(_ADVICE)
