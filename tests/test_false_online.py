"""Never call a key safe that is not: whatever happens to an exchange's answers, no status better than `blocked` comes
out
unless the answer, as it then stands, denies withdrawal. What "denies" means is written here a second time, on
purpose."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfai.connection_test import Facts, judge
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Role
from bfai.model import Credentials, Environment, Market, Status, Target
from bfai.simulator import Simulator
from bfai.transport import Gateway
from tests.helpers import run_once, sample

MEXC_WORDS = {
    f"{area}_{verb}"
    for area in (
        "SPOT_ACCOUNT",
        "SPOT_DEAL",
        "CONTRACT_ACCOUNT",
        "CONTRACT_DEAL",
        "SPOT_TRANSFER",
        "SPOT_WITHDRAW",
        "SPOT_DEPOSIT",
    )
    for verb in ("READ", "WRITE", "R", "W")
}
MEXC_WITHDRAWING = {"SPOT_WITHDRAW_WRITE", "SPOT_WITHDRAW_W"}
KUCOIN_WORDS = {
    "GENERAL",
    "SPOT",
    "MARGIN",
    "FUTURES",
    "INNERTRANSFER",
    "TRANSFER",
    "EARN",
    "WITHDRAWAL",
    "FLEXTRANSFERS",
    "LEADTRADEFUTURES",
}
KUCOIN_WITHDRAWING = {"TRANSFER", "WITHDRAWAL"}


def denies_withdrawal(exchange: str, status: int | None, body: str, api_key: str) -> bool:
    """Whether this answer to the key call is a whole and documented one that denies withdrawal."""
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        return False
    if not isinstance(parsed, dict) or status is None or not 200 <= status < 300:
        return False
    if exchange == "kucoin":
        if parsed.get("code") != "200000" or not isinstance(parsed.get("data"), dict):
            return False
        fields, listed, words, withdrawing = parsed["data"], "permission", KUCOIN_WORDS, KUCOIN_WITHDRAWING
        key = fields.get("apiKey")
    else:
        fields = parsed["data"] if isinstance(parsed.get("data"), dict) and "permissions" not in parsed else parsed
        listed, words, withdrawing = "permissions", MEXC_WORDS, MEXC_WITHDRAWING
        key = fields.get("accessKey", fields.get("apikey", fields.get("apiKey")))
    if isinstance(key, str) and key and "*" not in key and key != api_key:
        return False
    rights = fields.get(listed)
    if isinstance(rights, str):
        rights = rights.split(",")
    if not isinstance(rights, list) or not rights or not all(isinstance(word, str) for word in rights):
        return False
    named = {word.strip().upper() for word in rights}
    return named <= words and not named & withdrawing


# -- answers, once over real sockets -----------------------------------------------------------------------------------

Answers = dict[tuple[str, str, str], tuple[Credentials, dict[Role, Answer]]]


@pytest.fixture(scope="module")
def answers(_simulator: Simulator) -> Answers:
    """The true answers of some accounts, as they came over the wire."""
    _simulator.reset()
    gateway = Gateway.parse(_simulator.gateway, _simulator.ca_file)
    found: Answers = {}
    for exchange in ("mexc", "kucoin"):
        for market in ("spot", "futures"):
            for account in ("good", "withdraw", "unknown_right", "ip_open"):
                credentials = sample(_simulator, exchange, account)
                heard: list[Answer] = []
                run_once(gateway, exchange, credentials, market=market, on_answer=heard.append)
                found[exchange, market, account] = credentials, {Role(answer.role): answer for answer in heard}
    return found


def verdict(exchange: str, market: str, credentials: Credentials, heard: dict[Role, Answer]) -> Status:
    adapter = all_exchanges()[exchange]
    target = Target(exchange=exchange, market=Market(market), environment=Environment.LIVE)
    facts = Facts(adapter, target, credentials)
    for call in adapter.plan(target.market):
        if call.role in heard:
            facts.take(call, heard[call.role])
    facts.offset_ms = 0.0
    return judge(facts).status


def changed(answer: Answer, **fields: Any) -> Answer:
    values = {name: getattr(answer, name) for name in Answer.__dataclass_fields__}
    return Answer(**{**values, **fields})


# -- what can happen to an answer --------------------------------------------------------------------------------------

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**15),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.lists(st.text(max_size=8), max_size=3),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
WORDS = st.sampled_from(
    [*sorted(MEXC_WORDS), "General", "Spot", "Futures", "Transfer", "Withdrawal", "FlexTransfers", "NewRight", "", " "]
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [prefix] if prefix else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*prefix, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:3]):
            found += paths(item, (*prefix, index))
    return found


@st.composite
def mutations(draw: st.DrawFn, body: str) -> tuple[str, int | None]:
    """The body after one to three accidents, and its HTTP status."""
    status = draw(st.sampled_from([200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 429, 500, 503]))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["drop", "retype", "rename", "truncate", "words", "replace", "wrap", "flip"]))
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        if kind == "truncate" or parsed is None:
            body = body[: draw(st.integers(0, len(body)))]
        elif kind == "replace":
            body = draw(st.sampled_from(["", "null", "[]", "{}", "<html>ok</html>", '"online"', "0", "true"]))
        elif kind == "wrap":
            body = json.dumps(
                draw(
                    st.sampled_from(
                        [{"data": parsed}, [parsed], {"result": parsed}, {"code": "200000", "data": parsed}]
                    )
                )
            )
        elif kind == "flip":
            place = draw(st.integers(0, max(0, len(body) - 1)))
            body = body[:place] + draw(st.characters(min_codepoint=32, max_codepoint=126)) + body[place + 1 :]
        else:
            body = json.dumps(_mutated(draw, copy.deepcopy(parsed), kind))
    return body, status


def _mutated(draw: st.DrawFn, parsed: Any, kind: str) -> Any:
    known = paths(parsed)
    if not known:
        return draw(JUNK)
    path = draw(st.sampled_from(known))
    holder = parsed
    for step in path[:-1]:
        holder = holder[step]
    if kind == "drop":
        del holder[path[-1]]
    elif kind == "retype":
        holder[path[-1]] = draw(JUNK)
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw(st.text(min_size=1, max_size=12))] = holder.pop(path[-1])
    else:
        holder[path[-1]] = ",".join(draw(st.lists(WORDS, max_size=6)))
    return parsed


ACCOUNTS = st.tuples(
    st.sampled_from(["mexc", "kucoin"]),
    st.sampled_from(["spot", "futures"]),
    st.sampled_from(["good", "withdraw", "unknown_right", "ip_open"]),
)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), which=ACCOUNTS)
def test_no_accident_to_the_key_report_makes_a_key_look_safe(
    answers: Answers, data: st.DataObject, which: tuple[str, str, str]
) -> None:
    exchange, market, _ = which
    credentials, true_answers = answers[which]
    original = true_answers[Role.KEY_INFO]
    body, status = data.draw(mutations(original.body))
    heard = {**true_answers, Role.KEY_INFO: changed(original, body=body, status=status)}
    found = verdict(exchange, market, credentials, heard)
    if found.ok:
        assert denies_withdrawal(exchange, status, body, credentials.api_key), (body, status)


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), which=ACCOUNTS, role=st.sampled_from([role for role in Role if role is not Role.KEY_INFO]))
def test_no_accident_to_another_answer_helps_a_key_that_can_withdraw(
    answers: Answers, data: st.DataObject, which: tuple[str, str, str], role: Role
) -> None:
    exchange, market, account = which
    credentials, true_answers = answers[which]
    if role not in true_answers:
        return
    original = true_answers[role]
    body, status = data.draw(mutations(original.body))
    found = verdict(exchange, market, credentials, {**true_answers, role: changed(original, body=body, status=status)})
    if account in ("withdraw", "unknown_right"):
        assert not found.ok


@pytest.mark.parametrize("role", list(Role))
def test_an_answer_that_never_came_never_helps(answers: Answers, role: Role) -> None:
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        if role in true_answers:
            lost = changed(true_answers[role], body="", status=None, transport_error="read_timeout")
            found = verdict(exchange, market, credentials, {**true_answers, role: lost})
            if role in (Role.KEY_INFO, Role.BALANCE, Role.ORDERS, Role.TIME):
                assert not found.ok, (exchange, market, account)


def test_the_true_answers_are_judged_as_they_stand(answers: Answers) -> None:
    """So that the properties above are not true for the trivial reason that nothing is ever online."""
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        assert verdict(exchange, market, credentials, true_answers).ok is (account in ("good", "ip_open"))


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_dropping_the_withdrawing_word_is_a_whole_list_that_denies(answers: Answers, exchange: str) -> None:
    credentials, true_answers = answers[exchange, "spot", "withdraw"]
    original = true_answers[Role.KEY_INFO]
    for word in (",SPOT_WITHDRAW_WRITE", ",Transfer", ",Withdrawal"):
        body = original.body.replace(word, "")
        if body != original.body:
            heard = {**true_answers, Role.KEY_INFO: changed(original, body=body)}
            assert verdict(exchange, "spot", credentials, heard).ok


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_over_the_wire_too(simulator: Simulator, gateway: Gateway, exchange: str) -> None:
    """A handful of accidents through real sockets, to show that the transport adds nothing."""
    path = {"mexc": "/api/v3/apiKeyInfo", "kucoin": "/api/v1/user/api-key"}[exchange]
    for fault in (
        {"kind": "truncate"},
        {"kind": "cut"},
        {"kind": "empty"},
        {"kind": "html", "status": 200, "page": "portal"},
        {"kind": "replace", "find": "permission", "with": "permisson"},
        {"kind": "replace", "find": "[A-Za-z_]*(Spot|SPOT_DEAL_WRITE)", "with": "Unheard", "regex": True},
    ):
        simulator.set_faults([{"path": path, **fault}])
        run = run_once(gateway, exchange, sample(simulator, exchange, "withdraw"))
        assert not run.status.ok, fault
