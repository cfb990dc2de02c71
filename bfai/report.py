"""A test run as the JSON that scripts and other programs rely on: `bfai.report/1`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bfai.diagnosis import sentence
from bfai.exchanges.base import Exchange
from bfai.i18n import Translator
from bfai.model import Diagnosis, GrantState, KeyReport, Permission, TestRun

FORMAT = "bfai.report/1"
MANY_FORMAT = "bfai.reports/1"


def report(run: TestRun, exchange: Exchange, translator: Translator, *, name: str | None = None) -> dict[str, Any]:
    """The run as a JSON object. Times are ISO 8601 in UTC, durations milliseconds; `name` is None for an unstored
    key.
    """
    rule = exchange.expiry_rule
    key = run.key_report or KeyReport()
    return {
        "format": FORMAT,
        "connection": name,
        "exchange": run.exchange,
        "region": run.region,
        "market": run.market.value,
        "environment": run.environment.value,
        "status": run.status.value,
        "diagnosis": diagnosis(run.diagnosis, exchange, translator, run) if run.diagnosis else None,
        "permissions": permissions(key),
        "ip_restriction": ip_restriction(key),
        "escalations": [translator.t(text) for text in key.escalations],
        "unknown_rights": list(key.unknown_words),
        "expires_at": iso(key.expires_at) if key.expires_at else None,
        "expiry_rule": translator.t(rule) if rule else None,
        "account": {"id": key.account_id, "is_sub": key.is_sub, "label": key.label},
        "checks": [
            {
                "name": check.name.value,
                "outcome": check.outcome.value,
                "latency_ms": check.latency_ms,
                "detail": translator.render(check.detail),
            }
            for check in run.checks
        ],
        "advice": [item.value for item in run.advice],
        "started_at": iso(run.started_at),
        "duration_ms": run.duration_ms,
    }


def diagnosis(
    found: Diagnosis, exchange: Exchange | None, translator: Translator, run: TestRun | None = None
) -> dict[str, Any]:
    remedy = sentence(found, exchange, run.market, run.key_report) if run else sentence(found, exchange)
    return {
        "cause": found.cause.value,
        "candidates": [cause.value for cause in found.candidates],
        "permission": found.permission.value if found.permission else None,
        "exchange_said": found.exchange_said,
        "remedy": translator.render(remedy),
        "seen_ip": found.seen_ip,
        "retry_after_s": found.retry_after_s,
        "region": found.region,
    }


def permissions(key: KeyReport) -> dict[str, dict[str, Any]]:
    return {
        permission.value: {
            "state": key.grant(permission).state.value,
            "evidence": key.grant(permission).evidence.value,
        }
        for permission in Permission
    }


def ip_restriction(key: KeyReport) -> dict[str, Any]:
    """`granted`: bound to addresses. `masked` holds entries that the exchange shows only in part."""
    restriction = key.ip_restriction
    state = restriction.state if restriction else GrantState.UNKNOWN
    return {"state": state.value, "addresses": list(restriction.addresses), "masked": list(restriction.masked)}


def iso(at: datetime) -> str:
    """`2026-11-21T09:00:00Z`, with milliseconds only where there are any."""
    moment = at.astimezone(UTC)
    return (
        moment.strftime("%Y-%m-%dT%H:%M:%S")
        + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")
        + "Z"
    )
