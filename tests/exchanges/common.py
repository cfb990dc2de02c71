"""What the tests of the exchanges share: answers and verdicts on file, clients that sign, and how each is judged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bfai import diagnosis, explain
from bfai.connection_test import run_test
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Call, Exchange, Role
from bfai.model import Cause, Credentials, Diagnosis, GrantState, KeyReport, Market, Permission, Target, TestRun
from bfai.paste import Pasted
from bfai.transport import Client, Gateway, Transport
from tests.helpers import run_once

DATA = Path(__file__).parent.parent / "data"
GRANTED, DENIED, UNKNOWN = GrantState.GRANTED, GrantState.DENIED, GrantState.UNKNOWN
WORD = {GRANTED: True, DENIED: False, UNKNOWN: None}


# -- on file -----------------------------------------------------------------------------------------------------------


def _lines(name: str, exchange: str) -> list[dict[str, Any]]:
    every = map(json.loads, (DATA / name).read_text(encoding="utf-8").splitlines())
    found = [line for line in every if line["exchange"] == exchange]
    assert found, f"{name} has no line on {exchange}"
    return found


def error_lines(exchange: str) -> list[dict[str, Any]]:
    return _lines("error_responses.jsonl", exchange)


def report_lines(exchange: str) -> list[dict[str, Any]]:
    return _lines("key_reports.jsonl", exchange)


def verdicts(exchange: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Market, sample account, and what is expected of it."""
    markets = json.loads((DATA / "accounts.json").read_text(encoding="utf-8"))["verdicts"][exchange]
    return [(market, account, verdict) for market, accounts in markets.items() for account, verdict in accounts.items()]


# -- making ------------------------------------------------------------------------------------------------------------


def call_of(exchange: Exchange, role: Role, market: Market = Market.SPOT, region: str = "global") -> Call:
    return next(call for call in exchange.plan(market, region) if call.role is role)


def call_to(exchange: Exchange, path: str) -> Call:
    return next(call for call in exchange.calls if call.path == path)


def client_of(exchange: Exchange, *keys: str, clock_offset_ms: float = 0.0, **target: Any) -> Client:
    chosen = Target(exchange=exchange.id, **target)
    return Client(Transport(), exchange, chosen, Credentials(*keys), clock_offset_ms=clock_offset_ms)


def heard(exchange: Exchange, path: str, body: Any, status: int = 200) -> Answer:
    """What the exchange says when this path is asked."""
    call = call_to(exchange, path)
    return Answer(role=call.role, status=status, body=json.dumps(body), call=call)


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Without the fields whose value is `...`: that is how a test leaves one out."""
    return {name: value for name, value in fields.items() if value is not ...}


def pem_of(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def ask(
    exchange: Exchange, gateway: Gateway, keys: Credentials, target: Target, *, try_regions: bool = False
) -> TestRun:
    """One test that knows of no other exchange."""

    async def run() -> TestRun:
        async with Transport(gateway) as transport:
            return await run_test(exchange, target, keys, transport, try_regions=try_regions)

    return asyncio.run(run())


# -- judging -----------------------------------------------------------------------------------------------------------


def diagnosed(answer: Answer, exchange: Exchange, **more: Any) -> Diagnosis:
    found = diagnosis.diagnose(answer, exchange, **more)
    assert found is not None
    return found


def granted(report: KeyReport) -> set[Permission]:
    return {permission for permission in Permission if report.state(permission) is GRANTED}


def check_shapes(exchange: Exchange, path: str, good: list[Any], bad: list[Any]) -> None:
    """Which bodies are a success, and that none is with a status of failure."""

    def succeeded(body: Any, status: int = 200) -> bool:
        return exchange.succeeded(heard(exchange, path, body, status))

    assert all(succeeded(body) for body in good)
    assert not any(succeeded(body, status) for body in good for status in (301, 400, 401, 503))
    assert not any(succeeded(body) for body in bad)


def check_error(line: dict[str, Any], exchange: Exchange) -> None:
    found = explain.explain(explain.answer_from_line(line), exchange)
    assert found.cause in (line["truth"], *line.get("also_acceptable", []))


def checked_report(line: dict[str, Any], exchange: Exchange) -> KeyReport:
    found = explain.report_in(line["endpoint"], line["body"], exchange)
    assert found is not None
    expected, accepted = line["expected"], line.get("also_acceptable", {})
    for permission in Permission:
        state = WORD[found.state(permission)]
        assert state is expected[permission.value] or state in accepted.get(permission.value, []), permission
    restricted = WORD[found.ip_restriction.state]
    assert restricted is expected["ip_restricted"] or restricted in accepted.get("ip_restricted", [])
    assert list(found.ip_restriction.addresses) == expected["ips"]
    return found


def check_text(text: str, exchange: Exchange, cause: Cause) -> None:
    """A text that a trader pastes names the exchange and the cause."""
    found = explain.explain_text(text, all_exchanges().values())
    assert found.exchange is exchange
    assert found.diagnosis is not None
    assert found.diagnosis.cause is cause


def check_recognised(text: str, exchange: Exchange) -> None:
    assert explain.recognise(text, all_exchanges().values()) is exchange


def check_paste(pasted: Pasted, *keys: str) -> None:
    assert pasted.credentials == Credentials(*keys)
    assert not pasted.doubts


def check_verdict(run: TestRun, verdict: dict[str, Any]) -> None:
    assert run.status in verdict["status"]
    assert (run.diagnosis.cause if run.diagnosis else None) in verdict.get("causes", [None])
    assert (run.diagnosis.permission if run.diagnosis else None) == verdict.get("permission")


def check_cause(run: TestRun, cause: Cause) -> None:
    assert run.diagnosis is not None
    assert run.diagnosis.cause is cause


def check_wrong_keys(gateway: Gateway, exchange: str, wrong: dict[Cause, Credentials], market: str = "spot") -> None:
    for cause, keys in wrong.items():
        run = run_once(gateway, exchange, keys, market=market)
        check_cause(run, cause)
        assert not any(secret in run.model_dump_json() for secret in keys.secrets())
