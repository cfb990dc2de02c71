"""What each check concludes and says, situation by situation: the whole of what a trader reads after a test."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bfai.connection_test import Confirmation, Facts, confirm, expected_checks, judge, rejudged
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Role
from bfai.model import (
    Advice,
    Cause,
    Check,
    CheckName,
    Credentials,
    Diagnosis,
    Environment,
    Grant,
    GrantState,
    KeyReport,
    Market,
    Outcome,
    Permission,
    Status,
    Target,
    TestRun,
)
from bfai.simulator import Simulator
from bfai.simulator.core import Call
from tests.direct import Change, Direct, run_directly
from tests.helpers import sample

SAID = Path(__file__).parent / "data" / "situations.md"
VERDICTS: dict[str, Any] = json.loads((SAID.parent / "accounts.json").read_text())["verdicts"]
Situation = Callable[..., TestRun]
"""Makes the run in a simulator; takes the options of `run_test` too."""


def key(exchange: str, account: str, market: str = "spot", change: Change | None = None, **options: Any) -> Situation:
    """A sample key, with what happens to the answers on their way."""
    return lambda simulator, **more: run_directly(
        simulator, exchange, sample(simulator, exchange, account), market=market, change=change, **options, **more
    )


def after(
    exchange: str,
    account: str,
    market: str = "spot",
    environment: Environment = Environment.LIVE,
    region: str | None = None,
    change: Change | None = None,
    **changes: Any,
) -> Situation:
    """A sample key that was changed at the exchange before."""

    def run(simulator: Simulator, **more: Any) -> TestRun:
        simulator.change_account(exchange, account, **changes)
        return key(exchange, account, market, change, environment=environment, region=region)(simulator, **more)

    return run


def typed(credentials: Credentials, **options: Any) -> Situation:
    """A key that no account has."""
    return lambda simulator, **more: run_directly(simulator, "mexc", credentials, **options, **more)


def at(path: str, status: int | None = 200, body: Any = "", *, error: str | None = None, **headers: str) -> Change:
    """Another answer to every call whose path ends so."""
    text = body if isinstance(body, str) else json.dumps(body)
    other = Answer(status=status, body=text, headers=headers, transport_error=error)
    return lambda call, answer: other if call.path.endswith(path) else answer


def both(one: Change, other: Change) -> Change:
    return lambda call, answer: other(call, one(call, answer))


def all_signed(status: int, body: Any, below: str = "/") -> Change:
    """The same answer to every call with a key whose path begins so."""
    other = Answer(status=status, body=body if isinstance(body, str) else json.dumps(body))

    def change(call: Call, answer: Answer) -> Answer:
        return other if call.route and call.route.private and call.path.startswith(below) else answer

    return change


def silent(*hosts: str) -> Change:
    """No answer, from hosts that end so; without any, from nowhere."""
    nothing = Answer(transport_error="connect_timeout")
    return lambda call, answer: nothing if not hosts or call.host.endswith(hosts) else answer


def clock(seconds: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + timedelta(seconds=seconds)


def others() -> list[Any]:
    return [all_exchanges()[name] for name in ("okx", "htx")]


REPORT, UID, BINGX_LIST = "/apiKeyInfo", "/api/v3/uid", "/apiKey/query"
NO_RIGHT = {"code": 700007, "msg": "No permission to access the endpoint."}
LATE = {"code": 700003, "msg": "Timestamp for this request is outside of the recvWindow."}
GONE = {"code": "400007", "msg": "Access denied--> Incorrect permission."}
NO_KEY = {"code": "40006", "msg": "Invalid ACCESS_KEY"}
CLOSED = {"code": "200000", "data": {"status": "close", "msg": "upgrade"}}
SITUATIONS: dict[str, Situation] = {
    "a good key": key("mexc", "good"),
    "a good key for futures": key("mexc", "good", "futures"),
    "a key with no right too many": key("mexc", "no_futures"),
    "futures without the right": key("mexc", "no_futures", "futures"),
    "a key that can withdraw": key("kucoin", "withdraw"),
    "a key that can withdraw and nothing else": after("kucoin", "read_only", permissions="General,Transfer"),
    "a word that no document explains": key("mexc", "unknown_right"),
    "a key that may only read": key("mexc", "read_only"),
    "a key that may not even read": after("mexc", "read_only", permissions="SPOT_DEAL_WRITE"),
    "a key that ended": key("kucoin", "expired"),
    "a key that ends soon": key("kucoin", "expiring"),
    "an account that is frozen": key("kucoin", "frozen"),
    "an account that is frozen, by an answer of its own": key("binance", "frozen"),
    "a frozen account for futures": key("gate", "frozen", "futures"),
    "futures where the time has a host of its own": key("binance", "good", "futures"),
    "an address that is not on the list": key("mexc", "ip_blocked"),
    "a key that is bound to nothing": key("kucoin", "ip_open"),
    "a binding that nobody tells": key("bitget", "ip_open"),
    "a key for futures that nobody knows": typed(Credentials("mx0" + "a" * 20, "b" * 32), market="futures"),
    "futures, with a key report that is refused": key("mexc", "good", "futures", change=at(REPORT, 400, NO_RIGHT)),
    "a unified account": after("bitget", "good", mode="unified"),
    "a unified account for futures": after("bitget", "good", "futures", mode="unified"),
    "a unified account and an address that is not on the list": after("bitget", "ip_blocked", mode="unified"),
    "a unified account whose key call alone is refused": after(
        "bitget",
        "good",
        mode="unified",
        change=at("/v3/account/info", 400, {"code": "40006", "msg": "Invalid ACCESS_KEY"}),
    ),
    "a unified account that is refused": after(
        "bitget",
        "good",
        mode="unified",
        change=all_signed(400, NO_KEY, below="/api/v3/"),
    ),
    "a classic account whose key call alone is refused": key(
        "bitget", "good", change=at("/v2/spot/account/info", 400, {"code": "40018", "msg": "Invalid IP"})
    ),
    "a classic account that is refused": key(
        "bitget", "good", change=all_signed(400, {"code": "40018", "msg": "Invalid IP"}, below="/api/v2/")
    ),
    "an account of a third kind": key(
        "bitget", "good", change=all_signed(400, {"code": "40085", "msg": "Another mode"})
    ),
    "a key of another region": after("binance", "good", site="us"),
    "a key of this region": after("binance", "good", region="us", site="us"),
    "a right to withdraw that only a harmless call shows": key(
        "bybit", "good", change=at("/query-address", 200, {"retCode": 0, "retMsg": "success", "result": {"rows": []}})
    ),
    "a right to withdraw that is told and shown": key("bybit", "withdraw"),
    "a right to withdraw that a harmless call shows where nothing is told": key(
        "bybit",
        "good",
        change=both(
            at("/query-address", 200, {"retCode": 0, "retMsg": "success", "result": {"rows": []}}),
            at("/query-api", 200, {"retCode": 10005, "retMsg": "Permission denied"}),
        ),
    ),
    "a right to withdraw in two words": after("kucoin", "withdraw", permissions="General,Spot,Transfer,Withdrawal"),
    "words that no document explains": after(
        "mexc", "good", permissions=f"SPOT_ACCOUNT_READ,SPOT_DEAL_WRITE,SPOT_VAULT_WRITE,SPOT_{'MAGIC' * 30}_WRITE"
    ),
    "addresses that are not told in full": after("mexc", "good", mask_ips=True),
    "an account without money": key("mexc", "good", change=at("/api/v3/account", 200, {"balances": []})),
    "a trial order that is refused without the name of the right": key(
        "coinbase",
        "good",
        change=at("/preview", 403, {"error": "PERMISSION_DENIED", "message": "Missing scopes"}),
    ),
    "a right to trade that only a harmless call denies": key(
        "mexc", "good", change=both(at(REPORT, 400, NO_RIGHT), at("/order/test", 400, NO_RIGHT))
    ),
    "a sub-account": key("bybit", "sub_account"),
    "an exchange that never tells of withdrawal": key("gate", "good"),
    "an exchange whose rights cannot be separated": key("okx", "good", "futures"),
    "an account in a mode without futures": after("okx", "good", "futures", mode="1"),
    "a test account": key("mexc", "withdraw", environment=Environment.TESTNET),
    "a demo account of its own": after("binance", "withdraw", environment=Environment.DEMO, site="demo"),
    "a demo account that takes live keys": key("bingx", "withdraw", "futures", environment=Environment.DEMO),
    "not a whole key": typed(Credentials("mx0 short", "b" * 32)),
    "a key that nobody knows": typed(Credentials("mx0" + "a" * 20, "b" * 32)),
    "a clock that is behind": key("mexc", "good", clock=clock(-90)),
    "a clock that is ahead": key("kucoin", "good", clock=clock(+90)),
    "a clock that is a little off": key("mexc", "no_futures", clock=clock(-0.6)),
    "a clock that is behind where nothing is said of it": key("coinbase", "good", clock=clock(-90)),
    "a time that comes with an error": key("mexc", "good", change=at("/api/v3/time", 500, {"serverTime": 1})),
    "a time that is refused although the clocks agree": key("mexc", "good", change=at("/openOrders", 400, LATE)),
    "a refusal without a reason": key("coinbase", "good", change=all_signed(401, "Unauthorized")),
    "a refusal without a reason, and a clock that is off": key(
        "coinbase", "good", change=all_signed(401, "Unauthorized"), clock=clock(-90)
    ),
    "a refusal for three reasons": key("binance", "good", change=all_signed(401, {"code": -2015, "msg": "Invalid"})),
    "a key report that is refused for three reasons": key(
        "binance", "good", change=at("/apiRestrictions", 401, {"code": -2015, "msg": "Invalid"})
    ),
    "a key report that is refused": key("mexc", "good", change=at(REPORT, 400, NO_RIGHT)),
    "a key report that does not come": key("mexc", "good", change=at(REPORT, None, error="read_timeout")),
    "a key report that no document describes": key("mexc", "good", change=at(REPORT, 200, {"code": 0, "data": []})),
    "a part of a report that could not be asked for": key(
        "bingx", "good", change=at("/v1/uid", None, error="read_timeout")
    ),
    "a part of a report that may not be asked for": key(
        "bingx",
        "good",
        change=at("/v1/uid", 200, {"code": 100004, "msg": "Permission denied, this api need Read permission"}),
    ),
    "a part of a report that is lost": key("bingx", "good", change=at(BINGX_LIST, 502, "<html>Bad gateway</html>")),
    "a part of a report that arrives in pieces": key("bingx", "good", change=at(BINGX_LIST, 200, '{"code":0,"da')),
    "a part of a report that breaks off": key("bingx", "good", change=at(BINGX_LIST, None, error="truncated")),
    "a part of a report that is lost, and the rest lists withdrawal": key(
        "bingx", "withdraw", change=at(BINGX_LIST, 502, "<html>Bad gateway</html>")
    ),
    "a part of a report that is elsewhere": key("bingx", "good", change=at(BINGX_LIST, 300, "<html>There</html>")),
    "a part of a report that is not there": key("bingx", "good", change=at(BINGX_LIST, 404, "no such page")),
    "a balance that is refused": key("mexc", "good", change=at("/api/v3/account", 400, NO_RIGHT)),
    "a balance that no document describes": key("mexc", "good", change=at("/api/v3/account", 200, {"balances": 7})),
    "orders that are refused": key("mexc", "good", change=at("/openOrders", 400, NO_RIGHT)),
    "orders that no document describes": key("mexc", "good", change=at("/openOrders", 200, {"orders": 7})),
    "a dry run that is refused": key("mexc", "good", change=at("/order/test", 400, NO_RIGHT)),
    "a dry run that no document describes": key("mexc", "good", change=at("/order/test", 200, "what?")),
    "too many requests": key("kucoin", "good", change=at("/accounts", 429, {"code": "429000", "msg": "Too many"})),
    "an exchange that is closed": key("kucoin", "good", change=at("/status", 200, CLOSED)),
    "an exchange that is silent": key("mexc", "good", change=silent("mexc.com"), others=others()),
    "nobody answers": key("mexc", "good", change=silent(), others=others()),
    "a clock that no document describes": key("mexc", "good", change=at("/api/v3/time", 200, {"time": "noon"})),
    "a location that is not served": key("mexc", "good", change=at("/api/v3/time", 403, "<html>Access Denied</html>")),
}


def told(run: TestRun) -> list[str]:
    """A run as lines: the verdict, what it rests on, and each check with its words."""
    lines = [f"status: {run.status.value}", f"advice: {', '.join(one.value for one in run.advice) or '-'}"]
    if run.diagnosis is not None:
        found = run.diagnosis.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        lines.append("diagnosis: " + json.dumps(found, sort_keys=True, ensure_ascii=False))
    grants = sorted(run.key_report.grants.items()) if run.key_report else []
    known = [f"{right.value} {grant.state.value} ({grant.evidence.value})" for right, grant in grants]
    lines.append(f"report: {', '.join(one for one in known if 'unknown' not in one) if run.key_report else 'none'}")
    if run.key_report is not None:
        ends = run.key_report.expires_at and (run.key_report.expires_at - run.started_at).days
        lines.append(f"account: {run.key_report.account_id}, ends in days: {ends} ({run.key_report.expiry_evidence})")
    lines.append(f"balances: {dict(sorted(run.balances.items()))}, pairs with orders: {run.order_pairs}")
    for check in run.checks:
        lines.append(f"{check.name.value}: {check.outcome.value}, {check.detail.text.format(**check.detail.params)}")
    return lines


def sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in SAID.read_text(encoding="utf-8").split("## ")[1:]:
        title, *lines = part.strip().splitlines()
        found[title] = [line.removeprefix("- ") for line in lines if line]
    return found


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_said_in_each_situation(simulator: Simulator, name: str) -> None:
    assert told(SITUATIONS[name](simulator)) == sections()[name]


def test_every_situation_that_is_written_down_is_looked_at() -> None:
    assert list(sections()) == list(SITUATIONS)


# -- as the exchange tells it ------------------------------------------------------------------------------------------


def heard(
    simulator: Simulator, exchange: str, account: str, market: str = "spot", change: Change | None = None
) -> tuple[Facts, list[Answer]]:
    """Facts without an answer yet, and the answers."""
    answers: list[Answer] = []
    key(exchange, account, market, change, on_answer=answers.append)(simulator)
    adapter = all_exchanges()[exchange]
    target = Target(exchange=exchange, market=Market(market), region=adapter.regions[0].id)
    return Facts(adapter, target, sample(simulator, exchange, account)), answers


def knowing(
    simulator: Simulator,
    exchange: str,
    account: str,
    market: str = "spot",
    change: Change | None = None,
    judged: Callable[[Answer, str], Answer | None] = lambda answer, _: answer,
) -> Facts:
    """Facts with the answers, and clocks that agree; `judged` gives another answer, by its path, or None for none."""
    facts, answers = heard(simulator, exchange, account, market, change)
    for answer in answers:
        assert answer.call is not None
        taken = judged(answer, answer.call.path)
        if taken is not None:
            facts.take(answer.call, taken)
    facts.offset_ms = 0.0
    return facts


@pytest.mark.parametrize(
    ("exchange", "account", "change"),
    [
        ("kucoin", "good", None),
        ("kucoin", "read_only", None),
        ("kucoin", "good", at("/user/api-key", 400, GONE)),
        ("kucoin", "good", at("/user/api-key", 503, "<html>Bad gateway</html>")),
        ("kucoin", "good", at("/account-overview", 400, GONE)),
        ("kucoin", "good", at("/account-overview", 200, {"code": "200000", "data": {}})),
        ("kucoin", "good", at("/orders", 400, GONE)),
        ("kucoin", "good", at("/orders", 200, {"code": "200000", "data": {}})),
        ("kucoin", "good", at("/orders/test", 503, "<html>Bad gateway</html>")),
        ("kucoin", "good", at("/orders/test", 200, "what?")),
        ("kucoin", "good", at("/api/v1/timestamp", 503, "<html>Bad gateway</html>")),
        ("kucoin", "good", all_signed(400, {"code": "400003", "msg": "The API key does not exist"})),
        ("binance", "frozen", None),
        ("kucoin", "unknown_right", None),
        ("bingx", "good", at(BINGX_LIST, 502, "<html>Bad gateway</html>")),
        ("bingx", "good", at(BINGX_LIST, 404, "no such page")),
    ],
)
@pytest.mark.parametrize("offset", [0.0, 5000.0])
def test_how_long_each_check_took_is_that_of_its_call(
    simulator: Simulator, exchange: str, account: str, change: Change | None, offset: float
) -> None:
    """Passed, warned or failed; those that rest on what is known already took no time of their own."""
    times = {role: 10.0 * number for number, role in enumerate(Role, 1)}

    def timed(answer: Answer, _: str) -> Answer:
        return replace(answer, latency_ms=times[Role(answer.role)])

    facts = knowing(simulator, exchange, account, "futures", change, timed)
    facts.offset_ms = offset
    checks = judge(facts).checks
    taken = {check.name.value: check.latency_ms for check in checks if check.outcome is not Outcome.SKIP}
    expected = {
        "reach": times[Role.TIME],
        "clock": times[Role.TIME],
        "key": times[Role.KEY_INFO],
        "permissions": times[Role.KEY_INFO],
        "withdraw_off": None,
        "balance": times[Role.BALANCE],
        "status": times[Role.ORDERS],
        "trade": times[Role.DRY_RUN],
        "futures": None,
        "ip_restriction": None,
        "expiry": None,
        "least_privilege": None,
        "sub_account": None,
    }
    assert taken == {name: expected[name] for name in taken}
    assert {"reach", "clock", "key"} <= taken.keys()


def test_a_closed_exchange_and_a_key_of_elsewhere_took_as_long_as_their_calls(simulator: Simulator) -> None:
    def timed(answer: Answer, _: str) -> Answer:
        return replace(answer, latency_ms=7.0 if answer.role == Role.SERVICE else 3.0)

    facts = knowing(simulator, "kucoin", "good", change=at("/status", 200, CLOSED), judged=timed)
    facts.owner = "eu"
    taken = {check.name: (check.outcome, check.latency_ms) for check in judge(facts).checks}
    assert taken[CheckName.STATUS] == (Outcome.FAIL, 7.0)
    assert taken[CheckName.KEY] == (Outcome.FAIL, 3.0)


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_check_is_told_once_and_as_it_stands_in_the_end(simulator: Simulator, name: str) -> None:
    heard: list[Check] = []
    run = SITUATIONS[name](simulator, on_check=heard.append)
    assert {check.name: (check.outcome, check.detail) for check in heard} == {
        check.name: (check.outcome, check.detail) for check in run.checks
    }
    assert len(heard) == len(run.checks)


def test_a_run_says_what_was_tested_and_when(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator._world, "clock", NOW.timestamp)
    ours = NOW + timedelta(microseconds=123_456)
    run = run_directly(
        simulator,
        "bybit",
        sample(simulator, "bybit", "good"),
        market="futures",
        clock=lambda: ours,
        connection_id="c" * 32,
    )
    assert (run.exchange, run.region, run.market, run.environment) == ("bybit", "global", "futures", "live")
    assert (run.connection_id, run.started_at, run.confirmed_at, run.seen_ip) == ("c" * 32, ours, None, None)
    assert run.clock_offset_ms == -123.5
    assert len(run.id) == 32
    assert {sent.path for sent in run.receipt} >= {"/v5/market/time", "/v5/user/query-api"}


def test_lengths_are_in_tenths_of_a_millisecond(simulator: Simulator) -> None:
    lengths = [key("mexc", "good")(simulator).duration_ms for _ in range(8)]
    assert all(0 < length < 60_000 for length in lengths)
    assert any(length % 1 for length in lengths)
    assert all(round(length, 1) == length for length in lengths)


def test_the_address_that_the_exchange_saw_is_kept(simulator: Simulator) -> None:
    assert SITUATIONS["an address that is not on the list"](simulator).seen_ip == "127.0.0.1"


def test_a_key_of_another_region_is_looked_for_where_that_is_wanted_only(simulator: Simulator) -> None:
    simulator.change_account("okx", "good", site="us")
    credentials = sample(simulator, "okx", "good")
    for wanted in (False, True):
        transport = Direct(simulator)
        run = run_directly(simulator, "okx", credentials, transport=transport, try_regions=wanted)
        hosts = [path.partition("/")[0] for path, _ in transport.asked]
        assert run.diagnosis is not None
        assert hosts.count("eea.okx.com") == hosts.count("us.okx.com") == int(wanted)
        assert (run.diagnosis.cause, run.diagnosis.region) == (
            (Cause.WRONG_ENVIRONMENT, "us") if wanted else (Cause.INVALID_KEY, None)
        )
        assert len(run.receipt) == len(transport.asked)
    found = run.check(CheckName.KEY)
    assert found is not None
    assert found.detail.text.format(**found.detail.params) == "refused here; OKX US knows this key"


def test_a_region_that_finds_the_key_and_refuses_it_knows_it(simulator: Simulator) -> None:
    """Bound to another address, the key is known all the same; the first that knows it ends the search."""
    simulator.change_account("okx", "ip_blocked", site="eea")
    transport = Direct(simulator)
    run = run_directly(simulator, "okx", sample(simulator, "okx", "ip_blocked"), transport=transport, try_regions=True)
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, "eea")
    assert not any(path.startswith("us.okx.com") for path, _ in transport.asked)


def test_a_region_that_is_down_does_not_know_the_key(simulator: Simulator) -> None:
    simulator.change_account("okx", "good", site="us")
    page = Answer(status=503, body="<html>Service unavailable</html>")
    run = run_directly(
        simulator,
        "okx",
        sample(simulator, "okx", "good"),
        change=lambda call, answer: page if call.host == "eea.okx.com" else answer,
        try_regions=True,
    )
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, "us")


def test_no_other_region_is_asked_about_a_key_that_this_one_knows(simulator: Simulator) -> None:
    transport = Direct(simulator)
    run_directly(simulator, "okx", sample(simulator, "okx", "good"), transport=transport, try_regions=True)
    assert {path.partition("/")[0] for path, _ in transport.asked} == {"www.okx.com"}
    transport = Direct(simulator)
    wrong = Credentials("mx0" + "a" * 20, "b" * 32)
    run_directly(simulator, "mexc", wrong, transport=transport, try_regions=True)
    assert {path.partition("/")[0] for path, _ in transport.asked} == {"api.mexc.com"}, "there is no other"


@pytest.mark.parametrize(
    ("code", "asked"), [(-2015, True), (-1021, False), (-2014, False)], ids=["no reason", "the time", "no key"]
)
def test_a_second_opinion_is_asked_where_a_refusal_has_no_reason(simulator: Simulator, code: int, asked: bool) -> None:
    refusal = at("/apiRestrictions", 401, {"code": code, "msg": "refused"})
    transport = Direct(simulator, refusal)
    run_directly(simulator, "binance", sample(simulator, "binance", "good"), transport=transport)
    opinions = all_exchanges()["binance"].second_opinions(Target(exchange="binance"))
    paths = {path.partition("/")[2] for path, _ in transport.asked}
    assert opinions
    assert all((call.path[1:] in paths) is asked for call in opinions)


def test_what_an_exchange_says_of_a_secret_is_not_kept(simulator: Simulator) -> None:
    credentials = sample(simulator, "kucoin", "good")
    echo = {"code": "400004", "msg": f"{credentials.passphrase} is not the passphrase"}
    run = key("kucoin", "good", change=all_signed(400, echo))(simulator)
    assert run.diagnosis is not None
    assert (run.diagnosis.exchange_said or "").endswith(" is not the passphrase")
    assert (credentials.passphrase or "?") not in run.model_dump_json()


def test_an_end_is_counted_from_the_answer_that_tells_it(simulator: Simulator) -> None:
    """MEXC tells whole days that are left."""
    run = key("mexc", "expiring")(simulator)
    assert run.key_report is not None
    assert run.key_report.expires_at is not None
    left = run.key_report.expires_at - run.started_at
    assert timedelta(days=3) < left < timedelta(days=6)


def test_the_money_comes_first_and_of_the_rest_only_names_are_kept(simulator: Simulator) -> None:
    names = [f"A{number:02}" for number in range(40)]
    rows = [{"asset": name, "free": "0.00000001", "locked": "0"} for name in (*names, "BTC", "EUR", "USDT", "USD")]
    run = key("mexc", "good", change=at("/api/v3/account", 200, {"canTrade": True, "balances": rows}))(simulator)
    assert list(run.balances) == ["USDT", "USD", "EUR", "BTC", *names[:26]]
    assert run.other_assets == tuple(names[26:])
    assert set(run.balances.values()) == {"0.00000001"}


def test_nothing_is_read_from_a_refusal(simulator: Simulator) -> None:
    """Whatever else it holds."""
    rows = {**NO_RIGHT, "balances": [{"asset": "USDT", "free": "5", "locked": "0"}]}
    assert not key("mexc", "good", change=at("/api/v3/account", 400, rows))(simulator).balances
    orders = [{"symbol": "BTCUSDT", "orderId": "1"}]
    assert key("mexc", "good", change=at("/openOrders", 200, orders))(simulator).order_pairs == ("BTCUSDT",)
    assert key("mexc", "good", change=at("/openOrders", 400, orders))(simulator).order_pairs is None


def test_a_later_answer_stands_in_place_of_an_earlier_one(simulator: Simulator) -> None:
    facts, answers = heard(simulator, "kucoin", "good")
    (report,) = [answer for answer in answers if answer.role == Role.KEY_INFO]
    assert report.call is not None
    facts.take(report.call, report)
    assert facts.report() is not None
    facts.take(report.call, replace(report, status=429, body="{}"))
    assert facts.report() is None
    assert facts.problem(Role.KEY_INFO) is not None


UNAUTHORIZED = (
    Cause.INVALID_KEY,
    Cause.INVALID_SECRET,
    Cause.IP_NOT_ALLOWED,
    Cause.CLOCK_SKEW,
    Cause.PERMISSION_MISSING,
)
IN_TIME = tuple(cause for cause in UNAUTHORIZED if cause is not Cause.CLOCK_SKEW)


@pytest.mark.parametrize(
    ("offset", "error", "told", "left"),
    [
        (None, 0.0, False, UNAUTHORIZED),
        (0.0, 0.0, False, IN_TIME),
        (999.9, 0.0, False, IN_TIME),
        (1000.0, 0.0, False, UNAUTHORIZED),
        (-1000.0, 0.1, False, IN_TIME),
        (1400.0, 500.0, False, IN_TIME),
        (-1600.0, 500.0, False, UNAUTHORIZED),
        (None, 0.0, True, (Cause.PERMISSION_MISSING,)),
        (0.0, 0.0, True, (Cause.PERMISSION_MISSING,)),
    ],
)
def test_a_refusal_without_a_reason_loses_what_the_rest_rules_out(
    simulator: Simulator, offset: float | None, error: float, told: bool, left: tuple[Cause, ...]
) -> None:
    """Coinbase refuses with one word. Clocks that agree rule out the time, a key report all that is about the key."""

    def refused(answer: Answer, _: str) -> Answer | None:
        if answer.role == Role.ORDERS:
            return replace(answer, status=401, body="Unauthorized")
        return answer if answer.role == Role.KEY_INFO and told else None

    facts = knowing(simulator, "coinbase", "good", judged=refused)
    facts.offset_ms, facts.offset_error_ms = offset, error
    found = facts.problem(Role.ORDERS)
    assert found is not None
    alone = len(left) == 1
    assert (found.cause, found.candidates) == (left[0] if alone else Cause.AMBIGUOUS, left)
    assert found.permission is (Permission.READ if alone else None)


def test_where_every_reason_is_ruled_out_all_stay(simulator: Simulator) -> None:
    """OKX names three, none of which can be once the key report has come: nobody knows, and nothing is invented."""

    def refused(answer: Answer, _: str) -> Answer:
        odd = replace(answer, status=401, body='{"code":"60009","msg":"Login failed"}')
        return odd if answer.role == Role.ORDERS else answer

    facts = knowing(simulator, "okx", "good", judged=refused)
    found = facts.problem(Role.ORDERS)
    assert found is not None
    assert found.cause is Cause.AMBIGUOUS
    assert found.candidates == (Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.INVALID_PASSPHRASE)


def test_of_two_kinds_of_account_the_own_one_answers(simulator: Simulator) -> None:
    simulator.change_account("bitget", "good", mode="unified")

    def refused(answer: Answer, path: str) -> Answer:
        gone = replace(answer, status=400, body=json.dumps(NO_KEY))
        return gone if path == "/api/v3/account/info" else answer

    facts = knowing(simulator, "bitget", "good", judged=refused)
    counts = facts.answer(Role.KEY_INFO)
    assert counts is not None
    assert counts.call is not None
    assert counts.call.path == "/api/v3/account/info"


def test_nothing_is_concluded_from_nothing(simulator: Simulator) -> None:
    """Before an answer has come, and where only some have."""
    facts, _ = heard(simulator, "kucoin", "good")
    checks = {check.name: check for check in judge(facts).checks}
    assert checks[CheckName.KEY].outcome is Outcome.FAIL
    assert checks[CheckName.KEY].detail.text == "skipped, nothing was asked"
    assert checks[CheckName.KEY].latency_ms is None
    assert judge(facts).status is Status.FAILED
    some = (Role.TIME, Role.KEY_INFO)
    verdict = judge(
        knowing(simulator, "kucoin", "good", judged=lambda answer, _: answer if answer.role in some else None)
    )
    assert verdict.diagnosis is not None
    assert (verdict.status, verdict.diagnosis.cause) == (Status.FAILED, Cause.UNEXPECTED_RESPONSE)
    left = {check.name for check in verdict.checks if check.outcome is Outcome.FAIL}
    assert left == {CheckName.BALANCE, CheckName.STATUS}


@pytest.mark.parametrize(
    ("left", "outcome", "days"),
    [
        (timedelta(days=30, hours=1), Outcome.PASS, 30),
        (timedelta(days=14, seconds=1), Outcome.PASS, 14),
        (timedelta(days=14), Outcome.WARN, 14),
        (timedelta(hours=12), Outcome.WARN, 0),
    ],
)
def test_an_end_is_told_in_days(simulator: Simulator, left: timedelta, outcome: Outcome, days: int) -> None:
    facts = knowing(simulator, "kucoin", "expiring")
    report = facts.report()
    assert report is not None
    assert report.expires_at is not None
    facts.at = report.expires_at - left
    verdict = judge(facts)
    (check,) = [check for check in verdict.checks if check.name is CheckName.EXPIRY]
    assert (check.outcome, check.detail.text, check.detail.params) == (outcome, "days left: {days}", {"days": days})
    assert (Advice.EXPIRES_SOON in verdict.advice) is (outcome is Outcome.WARN)


@pytest.mark.parametrize(("days", "ended"), [(-1, False), (400, True)])
def test_a_key_has_ended_by_the_time_of_the_test(simulator: Simulator, days: int, ended: bool) -> None:
    facts = knowing(simulator, "kucoin", "expiring")
    facts.at += timedelta(days=days)
    found = judge(facts).diagnosis
    assert (found is not None and found.cause is Cause.EXPIRED_KEY) is ended


@pytest.mark.parametrize(("age", "ends"), [(89, True), (91, False)])
def test_a_rule_gives_an_end_that_is_still_ahead_of_the_test(simulator: Simulator, age: int, ends: bool) -> None:
    """Gate.io ends a key without an address ninety days after it was made; one that works later is under no rule."""
    facts = knowing(simulator, "gate", "ip_open")
    report = facts.report()
    assert report is not None
    assert report.created_at is not None
    facts.at = report.created_at + timedelta(days=age)
    counted = facts.report()
    assert counted is not None
    assert counted.expires_at == (report.created_at + timedelta(days=90) if ends else None)


@pytest.mark.parametrize(
    ("ahead", "trip", "outcome", "seconds"),
    [
        (0.0, 0.0, Outcome.PASS, 0.0),
        (0.999, 0.0, Outcome.PASS, 1.0),
        (1.0, 0.0, Outcome.WARN, 1.0),
        (1.34, 0.0, Outcome.WARN, 1.3),
        (0.9, 0.8, Outcome.PASS, 1.3),
        (0.5, 0.8, Outcome.PASS, 0.9),
        (1.5, 2.0, Outcome.WARN, 2.5),
    ],
)
def test_a_clock_is_wrong_by_more_than_the_way_to_it_explains(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    ahead: float,
    trip: float,
    outcome: Outcome,
    seconds: float,
) -> None:
    """The exchange's time was told at some moment between the question and its answer, `trip` seconds apart."""
    ours = [NOW + timedelta(seconds=ahead)]

    def change(call: Call, answer: Answer) -> Answer:
        if call.path == "/api/v5/public/time":
            ours[0] += timedelta(seconds=trip)
        return answer

    monkeypatch.setattr(simulator._world, "clock", NOW.timestamp)
    run = key("okx", "good", change=change, clock=lambda: ours[0])(simulator)
    check = run.check(CheckName.CLOCK)
    assert check is not None
    assert (check.outcome, check.detail.params) == (outcome, {"seconds": seconds})
    assert run.status.ok


@pytest.mark.parametrize(("offset", "agrees"), [(12.0, True), (-999.0, True), (1000.0, False), (-1300.0, False)])
def test_a_clock_that_agrees_is_not_called_wrong_where_a_request_was_refused_for_its_time(
    simulator: Simulator, offset: float, agrees: bool
) -> None:
    facts = knowing(simulator, "okx", "good")
    facts.offset_ms, facts.offset_error_ms, facts.clock_corrected = offset, 0.0, True
    verdict = judge(facts)
    (check,) = [check for check in verdict.checks if check.name is CheckName.CLOCK]
    assert check.outcome is Outcome.WARN
    assert check.latency_ms is not None
    assert check.detail.text.startswith("{seconds} s apart; asked again, as") is agrees
    assert check.detail.params == {"seconds": round(abs(offset) / 1000, 1)} | ({"exchange": "OKX"} if agrees else {})
    assert (Advice.CLOCK_CORRECTED in verdict.advice) is not agrees


@pytest.mark.parametrize(
    ("exchange", "name", "told"),
    [
        ("bingx", "withdraw", "5 (Withdraw)"),
        ("kucoin", "withdraw", "Transfer (Withdrawal)"),
        ("bybit", "withdraw", "Withdraw (Assets: Withdrawal)"),
        ("binance", "withdraw", "enableWithdrawals (Enable Withdrawals)"),
    ],
)
def test_a_right_is_told_with_its_box_where_that_has_another_name(
    simulator: Simulator, exchange: str, name: str, told: str
) -> None:
    check = key(exchange, name)(simulator).check(CheckName.WITHDRAW_OFF)
    assert check is not None
    assert check.detail.params["words"] == told


def test_two_reasons_may_be_left(simulator: Simulator) -> None:
    refusal = {"label": "FORBIDDEN", "message": "Request forbidden"}

    def refused(answer: Answer, _: str) -> Answer:
        return answer if answer.role == Role.KEY_INFO else replace(answer, status=403, body=json.dumps(refusal))

    facts = knowing(simulator, "gate", "good", judged=refused)
    found = facts.problem(Role.ORDERS)
    assert found is not None
    assert (found.cause, found.permission) == (Cause.AMBIGUOUS, None)
    assert found.candidates == (Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED)


def test_a_refused_key_call_is_not_told_apart_by_another(simulator: Simulator) -> None:
    """Why a part of the report was refused stays open: the key is fine for the other part."""

    def refused(answer: Answer, path: str) -> Answer:
        unclear = replace(answer, status=400, body='{"code":-2015,"msg":"Invalid API-key, IP, or permissions"}')
        return unclear if path.endswith(BINGX_LIST) else answer

    facts = knowing(simulator, "bingx", "good", judged=refused)
    ((problem, _),) = facts.untold()
    assert problem.cause is Cause.AMBIGUOUS
    (kept,) = [found for call, _, found in facts.heard(Role.KEY_INFO) if call.path.endswith(BINGX_LIST)]
    assert kept is not None
    assert Cause.INVALID_KEY in kept.candidates


def test_only_a_key_call_tells_of_the_key(simulator: Simulator) -> None:
    """Whatever another answer looks like."""
    facts, answers = heard(simulator, "binance", "good")
    (report,) = [answer for answer in answers if answer.role == Role.KEY_INFO]
    (balance,) = [answer for answer in answers if answer.role == Role.BALANCE]
    assert balance.call is not None
    facts.take(balance.call, replace(balance, body=json.dumps(json.loads(balance.body) | json.loads(report.body))))
    assert facts.balances()
    assert facts.report() is None


def test_the_receipt_is_in_the_order_of_sending(simulator: Simulator) -> None:
    ticks = iter(range(1000))
    began = datetime.now(UTC)
    run = key("bingx", "good", clock=lambda: began + timedelta(milliseconds=next(ticks)))(simulator)
    moments = [sent.at for sent in run.receipt]
    assert moments == sorted(moments)
    assert len(set(moments)) > 5


def test_checks_are_told_in_their_order_where_they_are_known_together(simulator: Simulator) -> None:
    told: list[CheckName] = []
    key("htx", "good", "futures", on_check=lambda check: told.append(check.name))(simulator)
    together = told[told.index(CheckName.KEY) :]
    assert together == [name for name in expected_checks(Market.FUTURES) if name in together]
    assert CheckName.FUTURES in together


def test_a_check_is_told_as_soon_as_its_answers_are_in(simulator: Simulator) -> None:
    transport, told = Direct(simulator), dict[str, list[str]]()

    def hear(check: Check) -> None:
        last, _ = transport.asked[-1]
        told.setdefault(last.rpartition("/api/")[2], []).append(check.name.value)

    run_directly(simulator, "kucoin", sample(simulator, "kucoin", "good"), transport=transport, on_check=hear)
    assert told == {
        "v1/timestamp": ["reach"],
        "v1/user/api-key": [
            "key",
            "permissions",
            "withdraw_off",
            "ip_restriction",
            "expiry",
            "least_privilege",
            "sub_account",
        ],
        "v1/accounts": ["balance"],
        "v1/hf/orders/active": ["status"],
        "v1/hf/orders/test": ["clock", "trade"],
    }


# -- is it them or us? -------------------------------------------------------------------------------------------------


def asked_elsewhere(simulator: Simulator, others: list[Any], proxy: str | None = None) -> tuple[TestRun, set[Any]]:
    """A test at an exchange that is silent; and what was asked of the others."""
    transport = Direct(simulator, silent("mexc.com"))
    run = run_directly(
        simulator, "mexc", sample(simulator, "mexc", "good"), transport=transport, others=others, egress_proxy=proxy
    )
    return run, {(asked, through) for asked, through in transport.asked if "mexc" not in asked}


def test_no_more_than_three_others_are_asked_for_their_time(simulator: Simulator) -> None:
    proxy = "http://192.0.2.1:3128"
    names = ("okx", "htx", "gate", "bybit")
    run, asked = asked_elsewhere(simulator, [all_exchanges()[name] for name in names], proxy)
    assert asked == {
        ("www.okx.com/api/v5/public/time", proxy),
        ("api.huobi.pro/v1/common/timestamp", proxy),
        ("api.gateio.ws/api/v4/spot/time", proxy),
    }
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE


def test_another_is_asked_where_it_is(simulator: Simulator) -> None:
    okx = copy.copy(all_exchanges()["okx"])
    okx.regions = okx.regions[1:]
    _, asked = asked_elsewhere(simulator, [okx])
    assert asked == {("eea.okx.com/api/v5/public/time", None)}


def test_with_nobody_else_to_ask_it_is_them(simulator: Simulator) -> None:
    run, asked = asked_elsewhere(simulator, [])
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, asked) == (Cause.EXCHANGE_UNAVAILABLE, set())


# -- confirmed by the trader -------------------------------------------------------------------------------------------


NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "holds"),
    [
        (timedelta(), True),
        (timedelta(days=30), True),
        (timedelta(days=30, microseconds=1), False),
        (-timedelta(microseconds=1), False),
    ],
)
def test_a_confirmation_holds_from_its_moment_for_thirty_days(before: timedelta, holds: bool) -> None:
    report = KeyReport()
    assert Confirmation(NOW - before, report.rights_hash()).holds(report, NOW) is holds
    assert not Confirmation(NOW - before, "another").holds(report, NOW)


def test_what_is_confirmed_is_connected_and_nothing_else_changes(simulator: Simulator) -> None:
    run = key("gate", "good")(simulator)
    confirmed = confirm(run, NOW)
    assert (confirmed.status, confirmed.diagnosis, confirmed.confirmed_at) == (Status.CONNECTED, None, NOW)
    assert confirmed.advice == (*run.advice, Advice.WITHDRAW_CONFIRMED)
    for before, now in zip(run.checks, confirmed.checks, strict=True):
        if before.name is CheckName.WITHDRAW_OFF:
            assert (now.name, now.outcome) == (before.name, Outcome.WARN)
            assert now.detail.text == "not told by the exchange; you confirmed that it is off"
        else:
            assert now == before
    same = {"status", "diagnosis", "checks", "advice", "confirmed_at"}
    assert confirmed.model_dump(exclude=same) == run.model_dump(exclude=same)
    assert confirm(confirmed, NOW) is confirmed


@pytest.mark.parametrize("name", ["a good key", "a key that can withdraw", "a key that may not even read"])
def test_what_is_not_blocked_for_an_untold_right_alone_cannot_be_confirmed(simulator: Simulator, name: str) -> None:
    run = SITUATIONS[name](simulator)
    assert confirm(run, NOW) is run


def test_a_confirmation_counts_in_a_test(simulator: Simulator) -> None:
    blocked = key("gate", "good")(simulator)
    assert blocked.key_report is not None
    hash_ = blocked.key_report.rights_hash()
    given = Confirmation(datetime.now(UTC) - timedelta(days=1), hash_)
    told: list[Check] = []
    run = key("gate", "good", confirmation=given)(simulator, on_check=told.append)
    assert {check.name: check.outcome for check in told} == {check.name: check.outcome for check in run.checks}
    assert (run.status, run.confirmed_at, run.diagnosis) == (Status.CONNECTED, given.at, None)
    assert set(run.advice) == {*blocked.advice, Advice.WITHDRAW_CONFIRMED}
    ended = Confirmation(datetime.now(UTC) - timedelta(days=31), hash_)
    run = key("gate", "good", confirmation=ended)(simulator)
    assert (run.status, run.confirmed_at) == (Status.BLOCKED, None)
    unneeded = key("mexc", "good", confirmation=given)(simulator)
    assert (unneeded.confirmed_at, Advice.WITHDRAW_CONFIRMED in unneeded.advice) == (None, False)


# -- judged again, as a report from elsewhere --------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", sorted(all_exchanges()))
def test_an_honest_run_keeps_its_verdict(exchange: str, simulator: Simulator) -> None:
    adapter = all_exchanges()[exchange]
    for market, accounts in VERDICTS[exchange].items():
        for account in accounts:
            run = key(exchange, account, market)(simulator)
            assert rejudged(run, adapter) == run, (market, account)


@pytest.mark.parametrize("name", SITUATIONS)
def test_in_every_situation_too(simulator: Simulator, name: str) -> None:
    run = SITUATIONS[name](simulator)
    assert rejudged(run, all_exchanges()[run.exchange]) == run


@pytest.fixture
def honest(simulator: Simulator) -> TestRun:
    return key("mexc", "no_futures")(simulator)


def _with_report(run: TestRun, **changes: Any) -> TestRun:
    assert run.key_report is not None
    return run.model_copy(update={"key_report": run.key_report.model_copy(update=changes)})


def test_words_count_more_than_what_a_report_makes_of_them(honest: TestRun) -> None:
    """As from a server with an older program that did not know a word."""
    mexc = all_exchanges()["mexc"]
    assert honest.status is Status.ONLINE
    assert honest.key_report is not None
    words = honest.key_report.words
    for lie, status, cause in (
        (_with_report(honest, words=(*words, "SPOT_WITHDRAW_W")), Status.BLOCKED, Cause.WITHDRAW_ENABLED),
        (_with_report(honest, words=(*words, "SPOT_MAGIC_WRITE")), Status.BLOCKED, Cause.WITHDRAW_UNKNOWN),
        (_with_report(honest, grants={}), Status.BLOCKED, Cause.WITHDRAW_UNKNOWN),
    ):
        judged = rejudged(lie, mexc)
        assert judged is not None
        assert judged.diagnosis is not None
        assert (judged.status, judged.diagnosis.cause) == (status, cause)
        check = judged.check(CheckName.WITHDRAW_OFF)
        assert check is not None
        assert check.outcome is Outcome.FAIL


def test_what_contradicts_itself_is_refused(honest: TestRun) -> None:
    mexc = all_exchanges()["mexc"]
    failed = tuple(
        check.model_copy(update={"outcome": Outcome.FAIL}) if check.name is CheckName.BALANCE else check
        for check in honest.checks
    )
    skipped = tuple(check.model_copy(update={"outcome": Outcome.SKIP}) for check in honest.checks)

    def with_one(name: CheckName, outcome: Outcome) -> tuple[Check, ...]:
        return tuple(
            check.model_copy(update={"outcome": outcome}) if check.name is name else check for check in honest.checks
        )

    found = Diagnosis(cause=Cause.WITHDRAW_UNKNOWN, candidates=(Cause.WITHDRAW_UNKNOWN,))
    report_ = honest.key_report
    assert report_ is not None
    no_trade = report_.with_grant(Permission.SPOT_TRADE, Grant(state=GrantState.DENIED))
    for update in (
        {"checks": failed},
        {"checks": skipped},
        {"checks": with_one(CheckName.BALANCE, Outcome.SKIP)},
        {"checks": with_one(CheckName.KEY, Outcome.WARN)},
        {"checks": with_one(CheckName.EXPIRY, Outcome.FAIL)},
        {"diagnosis": Diagnosis(cause=Cause.RATE_LIMITED, candidates=(Cause.RATE_LIMITED,))},
        {"checks": honest.checks[:-1]},
        {"checks": (*honest.checks, honest.checks[0])},
        {"checks": ()},
        {"market": Market.FUTURES},
        {"key_report": None},
        {"key_report": no_trade},
        {"status": Status.UNTESTED},
        {"status": Status.FAILED},
        {"status": Status.BLOCKED, "diagnosis": found},
        {"checks": failed, "status": Status.FAILED, "diagnosis": found},
    ):
        assert rejudged(honest.model_copy(update=update), mexc) is None, update


def test_advice_is_worked_out_again(honest: TestRun) -> None:
    mexc = all_exchanges()["mexc"]
    assert honest.key_report is not None
    loose = honest.key_report.ip_restriction.model_copy(update={"state": GrantState.DENIED, "addresses": ()})
    judged = rejudged(_with_report(honest, ip_restriction=loose), mexc)
    assert judged is not None
    assert (judged.status, judged.advice) == (Status.CONNECTED, (Advice.NO_IP_RESTRICTION,))
    judged = rejudged(_with_report(honest, expires_at=datetime.now(UTC) + timedelta(days=3)), mexc)
    assert judged is not None
    assert (judged.status, judged.advice) == (Status.CONNECTED, (Advice.EXPIRES_SOON,))


def test_a_confirmation_is_the_workbenchs_own(simulator: Simulator) -> None:
    """Gate never tells of withdrawal. A server cannot confirm anything; the trader's own confirmation still holds."""
    gate = all_exchanges()["gate"]
    run = key("gate", "good")(simulator)
    assert run.key_report is not None
    own = Confirmation(datetime.now(UTC) - timedelta(days=1), run.key_report.rights_hash())
    claimed = key("gate", "good", confirmation=own)(simulator)
    assert claimed.status is Status.CONNECTED
    judged = rejudged(claimed, gate)
    assert judged is not None
    assert (judged.status, judged.confirmed_at) == (Status.BLOCKED, None)
    judged = rejudged(claimed, gate, own)
    assert judged is not None
    assert (judged.status, judged.confirmed_at) == (Status.CONNECTED, own.at)
    assert Advice.WITHDRAW_CONFIRMED in judged.advice
    assert judged.advice.count(Advice.WITHDRAW_CONFIRMED) == 1
    ended = Confirmation(datetime.now(UTC) - timedelta(days=31), own.rights_hash)
    judged = rejudged(claimed, gate, ended)
    assert judged is not None
    assert judged.status is Status.BLOCKED


def test_a_lie_about_withdrawal_is_taken_apart(honest: TestRun) -> None:
    """Nothing that went with the better verdict stays."""
    mexc = all_exchanges()["mexc"]
    assert honest.key_report is not None
    claimed = honest.model_copy(
        update={"advice": (Advice.WITHDRAW_CONFIRMED, Advice.NO_IP_RESTRICTION), "confirmed_at": NOW}
    )
    for words, cause, candidates, says in (
        ("SPOT_WITHDRAW_W", Cause.WITHDRAW_ENABLED, (Cause.WITHDRAW_ENABLED,), "says that this key can withdraw"),
        (
            "SPOT_MAGIC_WRITE",
            Cause.WITHDRAW_UNKNOWN,
            (Cause.WITHDRAW_UNKNOWN, Cause.WITHDRAW_ENABLED),
            "does not tell whether this key can withdraw",
        ),
    ):
        judged = rejudged(_with_report(claimed, words=(*honest.key_report.words, words)), mexc)
        assert judged is not None
        assert judged.diagnosis == Diagnosis(cause=cause, candidates=candidates, check=CheckName.WITHDRAW_OFF)
        assert (judged.advice, judged.confirmed_at) == ((Advice.NO_IP_RESTRICTION,), None)
        changed = [check for check, before in zip(judged.checks, honest.checks, strict=True) if check != before]
        assert [(check.name, check.outcome) for check in changed] == [(CheckName.WITHDRAW_OFF, Outcome.FAIL)]
        assert changed[0].detail.text == f"its list of rights {says}"


@pytest.mark.parametrize("status", [Status.ONLINE, Status.FAILED, Status.BLOCKED])
@pytest.mark.parametrize("cause", [None, Cause.WITHDRAW_UNKNOWN, Cause.WITHDRAW_ENABLED])
def test_a_key_that_can_withdraw_is_blocked_for_that_whatever_is_claimed(
    simulator: Simulator, status: Status, cause: Cause | None
) -> None:
    run = SITUATIONS["a key that can withdraw"](simulator)
    claimed = Diagnosis(cause=cause, candidates=(cause,)) if cause else None
    judged = rejudged(run.model_copy(update={"status": status, "diagnosis": claimed}), all_exchanges()["kucoin"])
    assert judged is not None
    assert judged.diagnosis is not None
    assert (judged.status, judged.diagnosis.cause) == (Status.BLOCKED, Cause.WITHDRAW_ENABLED)


def test_where_no_money_can_leave_a_right_to_withdraw_blocks_nothing(simulator: Simulator) -> None:
    run = SITUATIONS["a test account"](simulator)
    judged = rejudged(run, all_exchanges()["mexc"])
    assert judged is not None
    assert judged.status is Status.CONNECTED
    run = SITUATIONS["a demo account that takes live keys"](simulator)
    claimed = run.model_copy(update={"status": Status.ONLINE, "diagnosis": None})
    judged = rejudged(claimed, all_exchanges()["bingx"])
    assert judged is not None
    assert judged.status is Status.BLOCKED


@pytest.mark.parametrize(("left", "soon"), [(14, True), (14.0001, False)])
def test_an_end_is_near_two_weeks_before(honest: TestRun, left: float, soon: bool) -> None:
    judged = rejudged(_with_report(honest, expires_at=NOW + timedelta(days=left)), all_exchanges()["mexc"], None, NOW)
    assert judged is not None
    assert (Advice.EXPIRES_SOON in judged.advice) is soon


def test_all_advice_that_a_report_calls_for_is_given_once(honest: TestRun) -> None:
    mexc = all_exchanges()["mexc"]
    assert honest.key_report is not None
    nobody = honest.key_report.ip_restriction.model_copy(update={"state": GrantState.UNKNOWN, "addresses": ()})
    judged = rejudged(_with_report(honest, ip_restriction=nobody, escalations=("more",)), mexc)
    assert judged is not None
    assert judged.advice == (Advice.IP_RESTRICTION_UNKNOWN, Advice.ESCALATION)
    again = rejudged(judged, mexc)
    assert again is not None
    assert again.advice == judged.advice
    assert rejudged(honest.model_copy(update={"advice": (Advice.CLOCK_CORRECTED,)}), mexc) is not None


def test_a_word_that_nobody_explains_is_told_where_withdrawal_is_denied_by_a_word_of_its_own(
    simulator: Simulator,
) -> None:
    run = key("binance", "no_futures")(simulator)
    assert Advice.RIGHT_UNKNOWN not in run.advice
    judged = rejudged(_with_report(run, unknown_words=("enableMagic",)), all_exchanges()["binance"])
    assert judged is not None
    assert (judged.status, Advice.RIGHT_UNKNOWN in judged.advice) == (Status.CONNECTED, True)


def test_nobody_else_confirms(honest: TestRun) -> None:
    judged = rejudged(honest.model_copy(update={"confirmed_at": NOW}), all_exchanges()["mexc"])
    assert judged is not None
    assert judged.confirmed_at is None


def test_a_warning_is_never_online(honest: TestRun) -> None:
    warned = tuple(
        check.model_copy(update={"outcome": Outcome.WARN}) if check.name is CheckName.CLOCK else check
        for check in honest.checks
    )
    judged = rejudged(honest.model_copy(update={"checks": warned}), all_exchanges()["mexc"])
    assert judged is not None
    assert judged.status is Status.CONNECTED


@pytest.mark.parametrize("amount", ["0", "-1", "much", "", "-0.5"])
def test_a_balance_that_can_be_none_is_refused(honest: TestRun, amount: str) -> None:
    mexc = all_exchanges()["mexc"]
    assert rejudged(honest.model_copy(update={"balances": {"USDT": "1", "BTC": amount}}), mexc) is None
    assert rejudged(honest.model_copy(update={"balances": {"BTC": "0.5"}}), mexc) is not None


def test_what_failed_without_a_cause_or_for_another_is_refused(honest: TestRun) -> None:
    mexc = all_exchanges()["mexc"]
    failed = tuple(
        check.model_copy(update={"outcome": Outcome.FAIL}) if check.name is CheckName.BALANCE else check
        for check in honest.checks
    )
    found = Diagnosis(cause=Cause.PERMISSION_MISSING, candidates=(Cause.PERMISSION_MISSING,))
    for status, diagnosis, good in (
        (Status.FAILED, found, True),
        (Status.FAILED, None, False),
        (Status.CONNECTED, found, False),
        (Status.FAILED, found.model_copy(update={"cause": Cause.WITHDRAW_ENABLED}), False),
    ):
        run = honest.model_copy(update={"checks": failed, "status": status, "diagnosis": diagnosis})
        judged = rejudged(run, mexc)
        assert (judged is run) is good
        assert good or judged is None


def write() -> None:
    """Writes down what is said today: `python -m tests.test_judge`, and then read what changed."""
    head, _, _ = SAID.read_text(encoding="utf-8").partition("## ")
    parts: list[str] = []
    with Simulator() as simulator:
        for name, situation in SITUATIONS.items():
            simulator.reset()
            parts.append("\n".join([f"## {name}", "", *(f"- {line}" for line in told(situation(simulator))), ""]))
    SAID.write_text(head + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    write()
