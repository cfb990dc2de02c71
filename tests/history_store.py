"""Histories made up for tests: a store, connections, runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bfai.history import History
from bfai.model import (
    Cause,
    Check,
    CheckName,
    Connection,
    Diagnosis,
    Environment,
    KeyReport,
    Market,
    Outcome,
    Status,
    Target,
    TestRun,
)
from bfai.store import Store, open_store

T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

SAYS: dict[str, tuple[Status, Cause | None]] = {
    "online": (Status.ONLINE, None),
    "connected": (Status.CONNECTED, None),
    "blocked": (Status.BLOCKED, Cause.WITHDRAW_ENABLED),
    "failed": (Status.FAILED, Cause.EXCHANGE_UNAVAILABLE),
    "key": (Status.FAILED, Cause.INVALID_KEY),
    "network": (Status.FAILED, Cause.LOCAL_NETWORK),
}


def a_run(
    connection_id: str,
    at: datetime,
    says: str = "online",
    latencies: dict[CheckName, float] | None = None,
    *,
    report: KeyReport | None = None,
    **more: Any,
) -> TestRun:
    status, cause = SAYS[says]
    checks = [Check(name=name, outcome=Outcome.PASS, latency_ms=latency) for name, latency in (latencies or {}).items()]
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection_id": connection_id,
        "exchange": "mexc",
        "region": "global",
        "environment": Environment.SIMULATOR,
        "market": Market.SPOT,
        "status": status,
        "diagnosis": cause and Diagnosis(cause=cause, candidates=(cause,)),
        "checks": tuple(checks),
        "key_report": report,
        "started_at": at,
        "duration_ms": 10.0,
        **more,
    }
    return TestRun(**values)


@dataclass
class Past:
    """A store and its history, at a time of its own."""

    store: Store = field(default_factory=lambda: open_store("sqlite://:memory:"))
    now: datetime = T0 + 1000 * HOUR

    @property
    def history(self) -> History:
        return History(self.store, lambda: self.now)

    def connect(self, name: str = "a", exchange: str = "mexc") -> str:
        if self.store.connection(name) is None:
            target = Target(exchange=exchange, environment=Environment.SIMULATOR)
            began = T0 - 10_000 * HOUR
            made = Connection(id=name, name=name, target=target, key_hint="", created_at=began, key_since=began)
            self.store.add_connection(made, {}, name.encode())
        return name

    def test(self, hours: float, says: str = "online", name: str = "a", **more: Any) -> str:
        """A run, so many hours after `T0`. `reach=20.0` and the like are its latencies."""
        latencies = {check: more.pop(check.value) for check in CheckName if check.value in more}
        at = T0 + timedelta(microseconds=round(hours * 3_600_000_000))
        run = a_run(self.connect(name), at, says, latencies, **more)
        self.store.add_run(run)
        return run.id

    def tests(self, hours: Iterable[float], says: str = "online", name: str = "a", **more: Any) -> None:
        for at in hours:
            self.test(at, says, name, **more)


def hours(count: float) -> datetime:
    return T0 + count * HOUR


@pytest.fixture(params=["memory", "postgresql"])
def past(request: pytest.FixtureRequest) -> Iterator[Past]:
    """An empty one in either database."""
    url = "sqlite://:memory:" if request.param == "memory" else request.getfixturevalue("postgres_url")
    found = Past(open_store(url))
    yield found
    found.store.close()
