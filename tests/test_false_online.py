"""Never call a key safe that is not.

Whatever happens to an exchange's answers, no status better than `blocked` comes out unless the answer, as it then
stands, denies withdrawal. What "denies" means is written here a second time, on purpose.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfai.connection_test import Facts, judge
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Role
from bfai.model import Credentials, Environment, GrantState, Market, Permission, Status, Target
from bfai.simulator import Simulator
from bfai.transport import Gateway
from tests.helpers import run_once, sample

DATA = Path(__file__).parent / "data"
BOUNDS: dict[str, Any] = json.loads((DATA / "accounts.json").read_text())["verdicts"]
SAMPLES = ("good", "withdraw", "unknown_right", "ip_open")
CASES = [
    (exchange, market, account)
    for exchange, markets in BOUNDS.items()
    for market, accounts in markets.items()
    for account in SAMPLES
    if account in accounts
]

# -- what denies withdrawal: written here a second time, from the exchanges' documents ---------------------------------

_MEXC_AREAS = ("SPOT_ACCOUNT", "SPOT_DEAL", "CONTRACT_ACCOUNT", "CONTRACT_DEAL", "SPOT_TRANSFER", "SPOT_WITHDRAW")
WORDS: dict[str, tuple[set[str], set[str]]] = {
    # exchange: (every documented word, the withdrawing ones), in capitals
    "mexc": (
        {f"{area}_{verb}" for area in (*_MEXC_AREAS, "SPOT_DEPOSIT") for verb in ("READ", "WRITE", "R", "W")},
        {"SPOT_WITHDRAW_WRITE", "SPOT_WITHDRAW_W"},
    ),
    "kucoin": (
        set(
            "GENERAL SPOT MARGIN FUTURES INNERTRANSFER TRANSFER EARN WITHDRAWAL FLEXTRANSFERS LEADTRADEFUTURES".split()
        ),
        {"TRANSFER", "WITHDRAWAL"},
    ),
    "okx": ({"READ_ONLY", "TRADE", "WITHDRAW"}, {"WITHDRAW"}),
    "htx": ({"READONLY", "TRADE", "WITHDRAW"}, {"WITHDRAW"}),
    "bitget": (
        set(
            "COOR COOW CPOR CPOW STOR STOW SMOR SMOW TTOR TTOW WTOR WTOW WWOW TAXR TAXW CHOR CHOW P2PR P2P PLLR PLLW"
            " UTA_MGT UTA_TRADE WITHDRAW COPY_FUTURES_POSITION COPY_FUTURES_ORDER".split()
        ),
        {"WWOW", "WITHDRAW"},
    ),
    "bybit": (
        set(
            "ORDER POSITION SPOTTRADE DERIVATIVESTRADE OPTIONSTRADE ACCOUNTTRANSFER SUBMEMBERTRANSFER WITHDRAW"
            " SUBMEMBERTRANSFERLIST EXCHANGEHISTORY EARN FIATP2PORDER ADVERTISING FAITPAYORDER FIATBITPAYORDER"
            " FIATCONVERTBROKERORDER FIATGLOBALPAYORDER BITCARD BYXPOST AFFILIATE BLOCKTRADE NFTQUERYPRODUCTLIST"
            " COPYTRADING".split()
        ),
        {"WITHDRAW"},
    ),
}


def denies_withdrawal(exchange: str, status: int | None, body: str, api_key: str) -> bool:
    """Whether this answer to a key call is a whole and documented one that denies withdrawal."""
    parsed = _read(body)
    if not isinstance(parsed, dict) or status is None or not 200 <= status < 300:
        return False
    match exchange:
        case "binance" | "coinbase":
            denying = "enableWithdrawals" if exchange == "binance" else "can_transfer"
            others = [value for name, value in _speaking(parsed) if "withdraw" in name.lower()]
            return parsed.get(denying) is False and all(value is False for value in others)
        case "gate":
            return False  # it names no right to withdraw at all
        case "bingx":
            return _bingx_denies(parsed, api_key)
        case _:
            fields, rights, key = _listed(exchange, parsed, api_key)
    if fields is None or (isinstance(key, str) and key and "*" not in key and key != api_key):
        return False
    outside = {name: value for name, value in parsed.items() if name != "data"} if exchange == "htx" else {}
    telling = [*_speaking(fields if exchange == "htx" else parsed), *_speaking(outside)]
    saying = [name for name, value in telling if not (value is False and "withdraw" in name.lower())]
    if len([name for name in saying if name != "permType"]) != 1:
        return False  # a second list: neither is known to be the whole
    if isinstance(rights, str):
        rights = rights.split(",")
    if not isinstance(rights, list) or not rights or not all(isinstance(word, str) for word in rights):
        return False
    named = {word.strip().upper() for word in rights}
    known, withdrawing = WORDS[exchange]
    return named <= known and not named & withdrawing


def _read(body: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        return json.loads(body, object_pairs_hook=once)
    except ValueError:
        return None


def _speaking(value: Any) -> list[tuple[str, Any]]:
    """Every field, at any depth, whose name speaks of rights. What stands in such a field is not looked into."""
    found: list[tuple[str, Any]] = []
    for name, item in value.items() if isinstance(value, dict) else ():
        low = name.lower()
        about_rights = ("perm" in low and "permits" not in low) or "authorit" in low or "scope" in low
        if about_rights or "withdraw" in low or low.endswith(("right", "rights")) or low in ("auths", "roles"):
            found.append((name, item))
        else:
            found += _speaking(item)
    return found + [one for item in value for one in _speaking(item)] if isinstance(value, list) else found


def _listed(exchange: str, parsed: dict[str, Any], api_key: str) -> tuple[Any, Any, Any]:
    """The object that reports on the key, its rights, and the key that it names."""
    data = parsed.get("data")
    if exchange == "mexc":
        fields = data if isinstance(data, dict) and "permissions" not in parsed else parsed
        return fields, fields.get("permissions"), fields.get("accessKey", fields.get("apikey", fields.get("apiKey")))
    if exchange == "kucoin" and parsed.get("code") == "200000" and isinstance(data, dict):
        return data, data.get("permission"), data.get("apiKey")
    if exchange == "okx" and parsed.get("code") == "0" and isinstance(data, list) and len(data) == 1:
        return data[0], data[0].get("perm") if isinstance(data[0], dict) else None, None
    if exchange == "htx" and parsed.get("code") == 200 and isinstance(data, list):
        own = [row for row in data if isinstance(row, dict) and _may_be_own(row.get("accessKey"), api_key)]
        return (own[0], own[0].get("permission"), own[0].get("accessKey")) if len(own) == 1 else (None, None, None)
    if exchange == "bitget" and parsed.get("code") == "00000" and isinstance(data, dict):
        return data, data.get("authorities", data.get("permissions")), None
    result = parsed.get("result")
    if exchange == "bybit" and parsed.get("retCode") == 0 and isinstance(result, dict):
        groups = result.get("permissions")
        if isinstance(groups, dict) and all(isinstance(words, list) for words in groups.values()):
            return result, [word for words in groups.values() for word in words], result.get("apiKey")
    return None, None, None


def _may_be_own(key: Any, api_key: str) -> bool:
    return not isinstance(key, str) or not key or "*" in key or key == api_key


def _bingx_denies(parsed: dict[str, Any], api_key: str) -> bool:
    if parsed.get("code", 0) != 0:
        return False
    data = parsed.get("data")
    fields: dict[str, Any] = data if isinstance(data, dict) else parsed
    rows = fields.get("apiInfos", fields.get("apiKeyList", [fields]))
    if not isinstance(rows, list):
        return False
    own = [row for row in rows if isinstance(row, dict) and _may_be_own(row.get("apiKey"), api_key)]
    row = own[0] if len(own) == 1 else {}
    if any(name not in ("permissions", "enableWithdrawals") for name, _ in _speaking(row)):
        return False
    numbers, field = row.get("permissions"), row.get("enableWithdrawals")
    listed = isinstance(numbers, list) and bool(numbers) and set(map(str, numbers)) <= set("12347")
    if "permissions" in row and "enableWithdrawals" in row:
        return listed and field is False
    return listed or field is False


# -- answers, once over real sockets -----------------------------------------------------------------------------------

Heard = dict[str, Answer]
Answers = dict[tuple[str, str, str], tuple[Credentials, Heard]]


@pytest.fixture(scope="module")
def answers(_simulator: Simulator) -> Answers:
    """The true answers of some accounts, as they came over the wire, by the name of the call."""
    _simulator.reset()
    gateway = Gateway.parse(_simulator.gateway, _simulator.ca_file)
    found: Answers = {}
    for exchange, market, account in CASES:
        credentials = sample(_simulator, exchange, account)
        heard: list[Answer] = []
        run_once(gateway, exchange, credentials, market=market, on_answer=heard.append)
        found[exchange, market, account] = credentials, {answer.call.name: answer for answer in heard if answer.call}
    return found


def verdict(exchange: str, market: str, credentials: Credentials, heard: Heard) -> Status:
    adapter = all_exchanges()[exchange]
    target = Target(
        exchange=exchange, market=Market(market), region=adapter.regions[0].id, environment=Environment.LIVE
    )
    facts = Facts(adapter, target, adapter.normalise(credentials))
    for call in facts.asked():
        if call.name in heard:
            facts.take(call, heard[call.name])
    facts.offset_ms = 0.0
    return judge(facts).status


def names(exchange: str, role: Role, heard: Heard) -> list[str]:
    return [call.name for call in all_exchanges()[exchange].calls if call.role is role and call.name in heard]


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
A_WORD = st.sampled_from(
    [*sorted({word for known, _ in WORDS.values() for word in known}), "General", "read_only", "wwow", "New", "", " "]
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


KINDS = [
    "drop", "retype", "rename", "truncate", "words", "replace", "wrap", "flip", "twice", "row", "beside",
]  # fmt: skip
SECOND_NAMES = st.sampled_from(
    "permissions permission perm authorities scopes rights withdraw canWithdraw enableWithdrawals enableReading"
    " can_transfer permission_list status id auths roles CAN_TRANSFER Permission apiKey accessKey success".split()
)
A_LIST = st.lists(A_WORD, max_size=4)
A_TELLING = st.one_of(JUNK, A_LIST, A_LIST.map(",".join))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def mutations(draw: st.DrawFn, body: str) -> tuple[str, int | None]:
    """The body after one to three accidents, and its HTTP status."""
    status = draw(st.sampled_from([200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 429, 500, 503]))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(KINDS))
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
        elif kind == "twice":
            names_in = [path[-1] for path in paths(parsed) if isinstance(path[-1], str)]
            if names_in:
                name = json.dumps(draw(st.sampled_from(names_in)))
                second = f"{name}: {json.dumps(draw(A_TELLING))}, {name}:"
                body = json.dumps(parsed).replace(f"{name}:", second, 1)
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
    if kind in ("row", "beside"):
        holders = [parsed, *(_at(parsed, path) for path in known)]
        wanted = [one for one in holders if isinstance(one, dict if kind == "beside" else list) and one]
        if wanted and kind == "beside":
            beside: Any = draw(st.sampled_from(wanted))
            beside[draw(SECOND_NAMES)] = draw(A_TELLING)
        elif wanted:
            rows = draw(st.sampled_from(wanted))
            rows.append(_mutated(draw, copy.deepcopy(rows[0]), "words") if isinstance(rows[0], dict) else draw(A_WORD))
        return parsed
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
        words = draw(st.lists(A_WORD, max_size=6))
        holder[path[-1]] = words if draw(st.booleans()) else ",".join(words)
    return parsed


@settings(max_examples=4000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), which=st.sampled_from(CASES))
def test_no_accident_to_the_key_report_makes_a_key_look_safe(
    answers: Answers, data: st.DataObject, which: tuple[str, str, str]
) -> None:
    exchange, market, _ = which
    credentials, true_answers = answers[which]
    reports = names(exchange, Role.KEY_INFO, true_answers)
    heard = dict(true_answers)
    for name in data.draw(st.sets(st.sampled_from(reports), min_size=1)):
        body, status = data.draw(mutations(true_answers[name].body))
        heard[name] = changed(true_answers[name], body=body, status=status)
    if verdict(exchange, market, credentials, heard).ok:
        told = [(heard[name].status, heard[name].body) for name in reports]
        assert any(denies_withdrawal(exchange, status, body, credentials.api_key) for status, body in told), told


@settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), which=st.sampled_from(CASES))
def test_no_accident_to_another_answer_helps_a_key_that_can_withdraw(
    answers: Answers, data: st.DataObject, which: tuple[str, str, str]
) -> None:
    exchange, market, account = which
    credentials, true_answers = answers[which]
    others = [name for name, answer in true_answers.items() if answer.role != Role.KEY_INFO]
    name = data.draw(st.sampled_from(others))
    original = true_answers[name]
    body, status = data.draw(mutations(original.body))
    found = verdict(exchange, market, credentials, {**true_answers, name: changed(original, body=body, status=status)})
    if "blocked" in BOUNDS[exchange][market][account]["status"]:
        assert not found.ok


@pytest.mark.parametrize("role", list(Role))
def test_an_answer_that_never_came_never_helps(answers: Answers, role: Role) -> None:
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        heard = dict(true_answers)
        for name in names(exchange, role, true_answers):
            heard[name] = changed(true_answers[name], body="", status=None, transport_error="read_timeout")
        if role in (Role.KEY_INFO, Role.BALANCE, Role.ORDERS, Role.TIME):
            assert not verdict(exchange, market, credentials, heard).ok, (exchange, market, account)


LOST: dict[str, dict[str, Any]] = {
    "no answer": {"body": "", "status": None, "transport_error": "read_timeout"},
    "cut": {"body": '{"code":0,"data":{"apiInfos":[{"perm', "status": 200},
    "half sent": {"body": "", "status": None, "transport_error": "truncated"},
    "no page": {"body": "", "status": 200},
    "busy": {"body": '{"code":100410,"msg":"rate limited"}', "status": 429},
    "down": {"body": "<html>Bad gateway</html>", "status": 502},
}
PARTS = [
    (exchange, path)
    for exchange, adapter in all_exchanges().items()
    for path in [call.path for call in adapter.plan(Market.SPOT) if call.role is Role.KEY_INFO]
    if sum(call.role is Role.KEY_INFO for call in adapter.plan(Market.SPOT)) > 1
]
"""Where an exchange tells of one key in several places."""


def without_part(exchange: str, path: str, heard: Heard, **fields: Any) -> Heard | None:
    """The answers with another to the call of this path; None where it is not for this kind of account."""
    (name,) = [name for name, answer in heard.items() if answer.call and answer.call.path == path]
    if all_exchanges()[exchange].of_other_kind(heard[name]):
        return None
    return {**heard, name: changed(heard[name], **fields)}


@pytest.mark.parametrize("trouble", LOST)
@pytest.mark.parametrize(("exchange", "path"), PARTS)
def test_a_part_of_a_report_that_was_lost_fails_the_test(
    answers: Answers, exchange: str, path: str, trouble: str
) -> None:
    """The part that arrived may deny withdrawal, and the lost one name a right that no document explains."""
    for (of, market, account), (credentials, true_answers) in answers.items():
        heard = without_part(of, path, true_answers, **LOST[trouble]) if of == exchange else None
        if heard is not None:
            assert not verdict(of, market, credentials, heard).ok, (market, account)


@pytest.mark.parametrize(
    ("status", "body"), [(404, "Not found"), (200, '{"code":0,"data":{}}'), (200, '{"code":77,"msg":"gone"}')]
)
@pytest.mark.parametrize(("exchange", "path"), PARTS)
def test_a_part_of_a_report_that_is_told_otherwise_is_never_online(
    answers: Answers, exchange: str, path: str, status: int, body: str
) -> None:
    """An exchange may take a place away: the rest counts, and the trader is told that something is missing."""
    for (of, market, account), (credentials, true_answers) in answers.items():
        heard = without_part(of, path, true_answers, status=status, body=body) if of == exchange else None
        if heard is not None:
            assert verdict(of, market, credentials, heard) is not Status.ONLINE, (market, account)


@pytest.mark.parametrize("trouble", LOST)
def test_a_part_that_could_not_be_asked_for_is_lost_too(answers: Answers, trouble: str) -> None:
    """BingX's list of keys is asked with the account's number, which another answer tells."""
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        if exchange == "bingx":
            (uid,) = names(exchange, Role.ACCOUNT, true_answers)
            heard = {name: answer for name, answer in true_answers.items() if "apiKey" not in name}
            assert len(heard) == len(true_answers) - 1
            heard[uid] = changed(true_answers[uid], **LOST[trouble])
            assert not verdict(exchange, market, credentials, heard).ok, (market, account)


def test_a_part_that_was_never_asked_for_is_never_online(answers: Answers) -> None:
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        if exchange == "bingx":
            heard = {name: answer for name, answer in true_answers.items() if "apiKey" not in name}
            assert verdict(exchange, market, credentials, heard) is not Status.ONLINE, (market, account)


def test_the_true_answers_are_judged_as_they_stand(answers: Answers) -> None:
    """So that the properties above are not true for the trivial reason that nothing is ever online."""
    for (exchange, market, account), (credentials, true_answers) in answers.items():
        assert verdict(exchange, market, credentials, true_answers) in BOUNDS[exchange][market][account]["status"]


@pytest.mark.parametrize(
    ("exchange", "old", "new"),
    [
        ("mexc", ",SPOT_WITHDRAW_WRITE", ""),
        ("kucoin", ",Transfer", ""),
        ("okx", ",withdraw", ""),
        ("htx", ",withdraw", ""),
        ("bitget", ',"wwow"', ""),
        ("bybit", '"Withdraw"', ""),
        ("binance", '"enableWithdrawals":true', '"enableWithdrawals":false'),
        ("coinbase", '"can_transfer":true', '"can_transfer":false'),
    ],
)
def test_taking_the_withdrawing_word_away_is_a_whole_report_that_denies(
    answers: Answers, exchange: str, old: str, new: str
) -> None:
    credentials, true_answers = answers[exchange, "spot", "withdraw"]
    heard = dict(true_answers)
    found = 0
    for name in names(exchange, Role.KEY_INFO, true_answers):
        found += old in heard[name].body
        heard[name] = changed(heard[name], body=heard[name].body.replace(old, new))
    if exchange == "bybit":  # its probe for withdrawal is an answer of its own
        heard = {name: answer for name, answer in heard.items() if answer.role != Role.PROBE}
    assert found == 1
    assert verdict(exchange, "spot", credentials, heard).ok


def test_a_probe_that_works_outweighs_a_report_that_denies(answers: Answers) -> None:
    credentials, true_answers = answers["bybit", "spot", "withdraw"]
    (report,) = names("bybit", Role.KEY_INFO, true_answers)
    body = true_answers[report].body.replace('"Withdraw"', "")
    heard = {**true_answers, report: changed(true_answers[report], body=body)}
    assert verdict("bybit", "spot", credentials, heard) is Status.BLOCKED


@pytest.mark.parametrize("exchange", list(BOUNDS))
def test_over_the_wire_too(simulator: Simulator, gateway: Gateway, exchange: str) -> None:
    """A handful of accidents through real sockets, to show that the transport adds nothing."""
    paths = [call.path for call in all_exchanges()[exchange].calls if call.role is Role.KEY_INFO]
    for fault in (
        {"kind": "truncate"},
        {"kind": "cut"},
        {"kind": "empty"},
        {"kind": "html", "status": 200, "page": "portal"},
        {"kind": "replace", "find": "permission", "with": "permisson"},
        {"kind": "replace", "find": "[A-Za-z_]*(Spot|SPOT_DEAL_WRITE|trade|stow)", "with": "Unheard", "regex": True},
    ):
        simulator.set_faults([{"exchange": exchange, "path": path, **fault} for path in paths])
        run = run_once(gateway, exchange, sample(simulator, exchange, "withdraw"))
        assert not run.status.ok, fault


@pytest.mark.parametrize("exchange", [*WORDS, "bingx", "binance", "coinbase"])
@pytest.mark.parametrize("name", ["permissionList", "scopes", "withdraw"])
def test_a_second_telling_of_rights_leaves_withdrawal_open(answers: Answers, exchange: str, name: str) -> None:
    """Beside the documented one, inside the report or around it: neither is known to be the whole."""
    credentials, true_answers = answers[exchange, "spot", "good"]
    adapter = all_exchanges()[exchange]
    for call in names(exchange, Role.KEY_INFO, true_answers):
        body = true_answers[call].body
        named = [path for path in paths(json.loads(body)) if isinstance(path[-1], str)]
        places = [path for path in named if path[-1] == "data"] if exchange == "mexc" else []
        inner = next((path[:-1] for path in named if _speaking({path[-1]: 0})), ())
        before = adapter.read_report(json.loads(body), api_key=credentials.api_key)
        if before is None or before.state(Permission.WITHDRAW) is not GrantState.DENIED:
            continue
        for place in (inner, *places):
            parsed = json.loads(body)
            holder = _at(parsed, place)
            (holder[0] if isinstance(holder, list) else holder)[name] = ["withdraw"]
            report = adapter.read_report(parsed, api_key=credentials.api_key)
            denied = report is not None and report.state(Permission.WITHDRAW) is GrantState.DENIED
            assert not denied or (exchange in ("binance", "coinbase") and name != "withdraw")


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        ("coinbase", {"can_view": True, "can_transfer": False, "scopes": ["wallet:withdrawals:create"]}),
        ("coinbase", {"can_view": True, "can_transfer": False, "CAN_TRANSFER": True}),
        ("coinbase", {"can_view": True, "can_transfer": False, "rows": [{"can_transfer": True}]}),
        ("coinbase", {"can_transfer": False}),
        ("binance", {"enableReading": True, "enableWithdrawals": False, "permissions": ["WITHDRAW"]}),
        ("binance", {"enableWithdrawals": False}),
        ("bingx", {"code": 0, "permissions": [5], "data": {"enableReading": True, "enableWithdrawals": False}}),
        ("bingx", {"code": 0, "data": {"enableReading": True, "enableWithdrawals": False, "EnableWithdrawals": True}}),
        ("bingx", {"code": 0, "data": {"apiInfos": [{"apiKey": "k", "permissions": [1]}], "enableWithdrawals": True}}),
        ("htx", {"code": 200, "canWithdraw": True, "data": [{"accessKey": "k", "permission": "readOnly"}]}),
        ("htx", {"code": 200, "data": [{"accessKey": "other", "permission": "trade"}, {"permission": "readOnly"}]}),
        ("htx", {"code": 200, "status": "error", "data": [{"accessKey": "k", "permission": "readOnly"}]}),
        ("okx", {"code": "0", "data": [{"perm": "read_only", "auths": ["withdraw"]}]}),
        ("okx", {"code": "0", "data": [{"perm": "read_only", "more": "withdraw"}]}),
        ("kucoin", {"code": "200000", "data": {"apiKey": "zz****yy", "permission": "General"}}),
        ("kucoin", {"code": "200000", "data": {"apiKey": ["other"], "permission": "General"}}),
        ("kucoin", {"code": "200000", "apiKey": "other", "data": {"permission": "General"}}),
        ("mexc", {"accessKey": "", "apiKey": "other", "permissions": "SPOT_ACCOUNT_READ"}),
        ("mexc", {"success": False, "code": 602, "data": {"permissions": "SPOT_ACCOUNT_READ"}}),
        ("mexc", {"code": 700006, "permissions": "SPOT_ACCOUNT_READ"}),
    ],
)
def test_what_contradicts_itself_denies_nothing(exchange: str, body: Any) -> None:
    report = all_exchanges()[exchange].read_report(body, api_key="k")
    assert report is None or report.state(Permission.WITHDRAW) is not GrantState.DENIED


def test_two_wrappers_of_one_report_are_two_lists() -> None:
    mexc = all_exchanges()["mexc"]
    outer = {"permissions": "SPOT_ACCOUNT_READ,SPOT_DEAL_WRITE", "data": {"permissions": "SPOT_WITHDRAW_WRITE"}}
    report = mexc.read_report(outer)
    assert report is not None
    assert report.state(Permission.WITHDRAW) is GrantState.UNKNOWN


def test_a_list_that_cannot_be_read_outweighs_one_that_denies() -> None:
    bingx = all_exchanges()["bingx"]
    fields = {"apiKey": "k", "enableReading": True, "enableSpotAndMarginTrading": True, "enableWithdrawals": False}
    report = bingx.read_report({**fields, "permissions": "1,2,5"}, api_key="k")
    assert report is not None
    assert report.state(Permission.WITHDRAW) is GrantState.UNKNOWN
