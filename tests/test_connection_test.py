"""Whole tests against the simulator: rights, clocks, every fault, and what the trader is told."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bfai.connection_test import CONFIRMATION_HOLDS, Confirmation, confirm, expected_checks
from bfai.model import (
    Advice,
    Cause,
    Check,
    CheckName,
    Credentials,
    Environment,
    GrantState,
    Market,
    Outcome,
    Permission,
    Status,
    TestRun,
    utc_now,
)
from bfai.simulator import Simulator
from bfai.transport import Gateway
from tests.helpers import run_once, sample

VERDICTS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "accounts.json").read_text())["verdicts"]
ALL = [
    (exchange, market, account, verdict)
    for exchange, markets in VERDICTS.items()
    for market, accounts in markets.items()
    for account, verdict in accounts.items()
]


def test_a_good_key_with_no_right_too_many_is_online(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "mexc", sample(simulator, "mexc", "no_futures"))
    assert (run.status, run.advice, run.diagnosis) == (Status.ONLINE, (), None)
    assert all(check.outcome in (Outcome.PASS, Outcome.SKIP) for check in run.checks)


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
@pytest.mark.parametrize("market", ["spot", "futures"])
def test_one_round_of_calls_is_enough(simulator: Simulator, gateway: Gateway, exchange: str, market: str) -> None:
    simulator.set_faults([{"latency_ms": 150}])
    credentials = sample(simulator, exchange, "good")
    run = run_once(gateway, exchange, credentials, market=market)
    assert run.status.ok
    first = min(sent.at for sent in run.receipt)
    assert all(sent.at - first < timedelta(milliseconds=140) for sent in run.receipt), "a call waited for another"


def test_nothing_is_sent_but_what_is_declared(simulator: Simulator, gateway: Gateway) -> None:
    for exchange in ("mexc", "kucoin"):
        for market in ("spot", "futures"):
            run_once(gateway, exchange, sample(simulator, exchange, "good"), market=market)
    methods = {(seen["method"], seen["path"]) for seen in simulator.seen}
    assert {path for method, path in methods if method != "GET"} == {
        "/api/v3/order/test",
        "/api/v1/hf/orders/test",
        "/api/v1/orders/test",
    }


def test_the_receipt_lists_what_was_sent_and_no_secret(simulator: Simulator, gateway: Gateway) -> None:
    credentials = sample(simulator, "mexc", "good")
    run = run_once(gateway, "mexc", credentials)
    assert len(run.receipt) == len(simulator.seen)
    assert {(sent.host, sent.path) for sent in run.receipt} == {(seen["host"], seen["path"]) for seen in simulator.seen}
    dumped = run.model_dump_json()
    assert not any(secret in dumped for secret in credentials.secrets())


def test_checks_are_told_as_they_come(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"path": "/api/v1/accounts", "latency_ms": 400}])
    told: list[tuple[float, Check]] = []
    run = run_once(
        gateway,
        "kucoin",
        sample(simulator, "kucoin", "good"),
        on_check=lambda check: told.append((time.perf_counter(), check)),
    )
    assert {check.name for _, check in told} == set(expected_checks(Market.SPOT))
    moments = {check.name: at for at, check in told}
    assert moments[CheckName.BALANCE] - moments[CheckName.WITHDRAW_OFF] > 0.2
    assert run.status.ok


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
@pytest.mark.parametrize("offset_ms", [-90_000, 90_000])
def test_a_wrong_clock_is_corrected(simulator: Simulator, gateway: Gateway, exchange: str, offset_ms: int) -> None:
    simulator.set_clock(offset_ms)
    run = run_once(gateway, exchange, sample(simulator, exchange, "good"))
    assert run.status is Status.CONNECTED
    assert Advice.CLOCK_CORRECTED in run.advice
    assert run.clock_offset_ms == pytest.approx(offset_ms, abs=500)
    check = run.check(CheckName.CLOCK)
    assert check is not None
    assert check.detail.params["seconds"] in (90.0, 89.9, 90.1)


def test_mexc_futures_clock(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_clock(-90_000)
    run = run_once(gateway, "mexc", sample(simulator, "mexc", "good"), market="futures")
    assert run.status is Status.CONNECTED


# -- withdrawal --------------------------------------------------------------------------------------------------------


def test_a_key_that_fails_and_can_withdraw_is_blocked(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("kucoin", "read_only", permissions="General,Transfer")
    run = run_once(gateway, "kucoin", sample(simulator, "kucoin", "read_only"))
    assert run.status is Status.BLOCKED
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.WITHDRAW_ENABLED


def test_a_refused_key_report_leaves_withdrawal_unknown(simulator: Simulator, gateway: Gateway) -> None:
    body = {"code": 700007, "msg": "No permission to access the endpoint."}
    simulator.set_faults([{"path": "/api/v3/apiKeyInfo", "body": body, "status": 400}])
    run = run_once(gateway, "mexc", sample(simulator, "mexc", "good"))
    assert run.status is Status.BLOCKED
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN
    assert run.key_report is not None
    assert run.key_report.state(Permission.WITHDRAW) is GrantState.UNKNOWN
    assert run.key_report.state(Permission.SPOT_TRADE) is GrantState.GRANTED
    assert run.key_report.grant(Permission.SPOT_TRADE).evidence == "probed"


def confirmation_for(run: TestRun, age: timedelta = timedelta()) -> Confirmation:
    assert run.key_report is not None
    return Confirmation(utc_now() - age, run.key_report.rights_hash())


def test_a_confirmation_counts_for_this_very_key_and_ends(simulator: Simulator, gateway: Gateway) -> None:
    credentials = sample(simulator, "mexc", "unknown_right")
    blocked = run_once(gateway, "mexc", credentials)
    assert blocked.status is Status.BLOCKED
    again = run_once(gateway, "mexc", credentials, confirmation=confirmation_for(blocked))
    assert again.status is Status.CONNECTED
    assert Advice.WITHDRAW_CONFIRMED in again.advice
    old = confirmation_for(blocked, CONFIRMATION_HOLDS + timedelta(minutes=1))
    assert run_once(gateway, "mexc", credentials, confirmation=old).status is Status.BLOCKED
    simulator.change_account("mexc", "unknown_right", ip_whitelist="")
    changed = run_once(gateway, "mexc", credentials, confirmation=confirmation_for(blocked))
    assert changed.status is Status.BLOCKED, "the key report changed, so the trader is asked again"


def test_a_confirmation_never_helps_a_key_that_can_withdraw(simulator: Simulator, gateway: Gateway) -> None:
    credentials = sample(simulator, "kucoin", "withdraw")
    blocked = run_once(gateway, "kucoin", credentials)
    assert run_once(gateway, "kucoin", credentials, confirmation=confirmation_for(blocked)).status is Status.BLOCKED
    assert confirm(blocked, utc_now()) == blocked


def test_on_a_testnet_withdrawal_is_not_required(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "mexc", sample(simulator, "mexc", "withdraw"), environment=Environment.TESTNET)
    assert run.status is not Status.BLOCKED
    check = run.check(CheckName.WITHDRAW_OFF)
    assert check is not None
    assert check.outcome is Outcome.SKIP


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
@pytest.mark.parametrize(
    ("fault", "causes"),
    [
        ({"kind": "maintenance"}, {Cause.EXCHANGE_UNAVAILABLE}),
        ({"kind": "html", "status": 502}, {Cause.EXCHANGE_UNAVAILABLE}),
        ({"kind": "html", "status": 503}, {Cause.EXCHANGE_UNAVAILABLE}),
        ({"kind": "html", "status": 451}, {Cause.LOCATION_RESTRICTED}),
        ({"kind": "html", "status": 403, "page": "cloudfront"}, {Cause.LOCATION_RESTRICTED}),
        ({"kind": "html", "status": 403, "page": "akamai"}, {Cause.LOCATION_RESTRICTED}),
        ({"kind": "html", "status": 429, "page": "rate"}, {Cause.RATE_LIMITED}),
        ({"kind": "status", "status": 429, "retry_after": 7}, {Cause.RATE_LIMITED}),
        ({"kind": "status", "status": 429}, {Cause.RATE_LIMITED}),
        ({"kind": "html", "status": 200, "page": "portal"}, {Cause.UNEXPECTED_RESPONSE}),
        ({"kind": "empty"}, {Cause.UNEXPECTED_RESPONSE}),
        ({"kind": "truncate"}, {Cause.UNEXPECTED_RESPONSE}),
        ({"kind": "huge", "megabytes": 10}, {Cause.UNEXPECTED_RESPONSE}),
        ({"kind": "reset"}, {Cause.EXCHANGE_UNAVAILABLE}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_broken_exchange_is_named(
    simulator: Simulator, gateway: Gateway, exchange: str, fault: dict[str, Any], causes: set[Cause]
) -> None:
    simulator.set_faults([{"exchange": exchange, **fault}])
    run = run_once(gateway, exchange, sample(simulator, exchange, "good"))
    assert run.status is Status.FAILED
    assert run.diagnosis is not None
    assert run.diagnosis.cause in causes
    assert run.diagnosis.cause.may_be_saved or run.diagnosis.cause is Cause.UNEXPECTED_RESPONSE
    if "retry_after" in fault:
        assert run.diagnosis.retry_after_s == pytest.approx(7, abs=1)


def test_our_own_network_is_told_apart_from_theirs(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "mexc", "kind": "reset"}])
    theirs = run_once(gateway, "mexc", sample(simulator, "mexc", "good"))
    simulator.set_faults([{"kind": "reset"}])
    ours = run_once(gateway, "mexc", sample(simulator, "mexc", "good"))
    assert theirs.diagnosis is not None
    assert ours.diagnosis is not None
    assert (theirs.diagnosis.cause, theirs.counts) == (Cause.EXCHANGE_UNAVAILABLE, True)
    assert (ours.diagnosis.cause, ours.counts) == (Cause.LOCAL_NETWORK, False)


@pytest.mark.parametrize("exchange", VERDICTS)
@pytest.mark.parametrize("here", [True, False])
def test_who_reaches_nobody_reads_no_key_report(
    simulator: Simulator, gateway: Gateway, exchange: str, here: bool
) -> None:
    """One that says nothing would be a change of every right, and of the list of addresses."""
    simulator.set_faults([{"exchange": "*" if here else exchange, "kind": "reset"}])
    run = run_once(gateway, exchange, sample(simulator, exchange, "good"))
    assert (run.status, run.key_report) == (Status.FAILED, None)
    assert run.about_this_place is here


def test_a_hanging_check_ends_by_itself_and_the_others_report(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"path": "/api/v3/openOrders", "kind": "hang"}])
    run = run_once(gateway, "mexc", sample(simulator, "mexc", "no_futures"), call_seconds=0.7)
    assert run.duration_ms < 2500
    outcomes = {check.name: check.outcome for check in run.checks}
    assert outcomes[CheckName.STATUS] is Outcome.FAIL
    assert outcomes[CheckName.BALANCE] is outcomes[CheckName.WITHDRAW_OFF] is Outcome.PASS
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_a_wrong_secret_is_named(simulator: Simulator, gateway: Gateway, exchange: str) -> None:
    good = sample(simulator, exchange, "good")
    run = run_once(gateway, exchange, Credentials(good.api_key, good.secret[:-1] + "0", good.passphrase))
    assert run.diagnosis is not None
    assert Cause.INVALID_SECRET in run.diagnosis.candidates
    assert run.diagnosis.cause in (Cause.INVALID_SECRET, Cause.INVALID_PASSPHRASE)


def test_a_wrong_passphrase_is_named(simulator: Simulator, gateway: Gateway) -> None:
    good = sample(simulator, "kucoin", "good")
    run = run_once(gateway, "kucoin", Credentials(good.api_key, good.secret, "not-the-one"))
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.INVALID_PASSPHRASE


def test_the_address_that_the_exchange_saw_is_shown(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address("203.0.113.77")
    for exchange in ("mexc", "kucoin"):
        run = run_once(gateway, exchange, sample(simulator, exchange, "good"))
        assert run.diagnosis is not None
        assert (run.diagnosis.cause, run.diagnosis.seen_ip) == (Cause.IP_NOT_ALLOWED, "203.0.113.77")


@pytest.mark.parametrize(
    "credentials",
    [Credentials("", "s" * 32), Credentials("mx0vABCDEFGH123456", ""), Credentials("with blank", "s" * 32)],
)
def test_what_cannot_be_a_key_is_not_sent(simulator: Simulator, gateway: Gateway, credentials: Credentials) -> None:
    run = run_once(gateway, "mexc", credentials)
    assert run.diagnosis is not None
    assert (run.status, run.diagnosis.cause) == (Status.FAILED, Cause.MALFORMED_CREDENTIALS)
    assert simulator.seen == []
    assert run.receipt == ()


def test_trading_closed_is_unavailable(simulator: Simulator, gateway: Gateway) -> None:
    body = {"code": "200000", "data": {"status": "cancelonly", "msg": "upgrade"}}
    simulator.set_faults([{"path": "/api/v1/status", "body": body}])
    run = run_once(gateway, "kucoin", sample(simulator, "kucoin", "good"))
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE


def test_after_429_the_exchange_is_left_alone(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_faults([{"exchange": "kucoin", "kind": "status", "status": 429, "retry_after": 30}])
    first = run_once(gateway, "kucoin", sample(simulator, "kucoin", "good"))
    assert first.diagnosis is not None
    assert first.diagnosis.cause is Cause.RATE_LIMITED
    assert first.diagnosis.retry_after_s == pytest.approx(30, abs=1)
