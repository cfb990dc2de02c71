"""The store: one contract for every database, then what is SQLite's own.

The contract takes its database from `store` and `make_store`, which give one of each kind. What is PostgreSQL's own is
in test_store_postgres.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bfai.store.sqlite
from bfai.model import (
    Advice,
    AuditEntry,
    BfaiError,
    Cause,
    Check,
    CheckName,
    Connection,
    Diagnosis,
    Environment,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Message,
    Outcome,
    Permission,
    Revision,
    Sent,
    Status,
    Strategy,
    StrategyState,
    Target,
    TestRun,
    utc_now,
)
from bfai.store import (
    AccountFacts,
    BadName,
    MarketData,
    NameTaken,
    Resealed,
    RunExists,
    Sealed,
    Store,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreTooNew,
    StoreUnreachable,
    StrategyChanged,
    StrategyNameTaken,
    SurroundingsChanged,
    UnknownConnection,
    UnknownStrategy,
    VaultExists,
    VaultRow,
    Wrap,
    connection_deleted,
    migrations,
    open_store,
)
from bfai.store.sql import ADDRESSES_KEPT

T0 = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)

MakeStore = Callable[..., Store]


@contextlib.contextmanager
def stores_at(url: str) -> Iterator[MakeStore]:
    """Stores on one and the same database, for any owner."""
    opened: list[Store] = []

    def make(owner: str = "local") -> Store:
        opened.append(open_store(url, owner=owner))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def url_for(kind: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database of this kind."""
    if kind == "postgresql":
        return request.getfixturevalue("postgres_url")
    return "sqlite://:memory:" if kind == "memory" else f"sqlite:///{request.getfixturevalue('tmp_path')}/bfai.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def make_store(request: pytest.FixtureRequest) -> Iterator[MakeStore]:
    with stores_at(url_for(request.param, request)) as make:
        yield make


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with stores_at(url_for(request.param, request)) as make:
        yield make()


def a_connection(name: str = "Main", **more: Any) -> Connection:
    values = {"id": uuid.uuid4().hex, "key_hint": "TEST", "created_at": T0, "key_since": T0, **more}
    return Connection(name=name, target=values.pop("target", Target(exchange="mexc")), **values)


def sealed(mark: bytes = b"x") -> dict[str, Sealed]:
    return {field: Sealed(1, mark * 12, mark + field.encode()) for field in ("api_key", "secret")}


def a_report(label: str = "one", withdraw: GrantState = GrantState.DENIED) -> KeyReport:
    return KeyReport(
        grants={Permission.WITHDRAW: Grant(state=withdraw, evidence=Evidence.DECLARED, words=("enableWithdrawals",))},
        ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",)),
        label=label,
        expires_at=T0 + timedelta(days=90),
        pairs=("BTCUSDT",),
    )


def a_run(connection: Connection | None, after: float = 0.0, status: Status = Status.ONLINE, **more: Any) -> TestRun:
    at = T0 + timedelta(seconds=after)
    cause = more.pop("cause", Cause.IP_NOT_ALLOWED if status is Status.FAILED else None)
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection_id": connection and connection.id,
        "exchange": "mexc",
        "region": "global",
        "environment": Environment.LIVE,
        "market": Market.SPOT,
        "status": status,
        "diagnosis": cause and Diagnosis(cause=cause, candidates=(cause,), exchange_said="no", retry_after_s=1.5),
        "checks": (
            Check(name=CheckName.REACH, outcome=Outcome.PASS, latency_ms=41.2),
            Check(name=CheckName.EXPIRY, outcome=Outcome.WARN, detail=Message(text="{n} days", params={"n": 30})),
            Check(name=CheckName.BALANCE, outcome=Outcome.PASS, latency_ms=99.125, detail=Message(text="Seen")),
        ),
        "advice": (Advice.EXPIRES_SOON,),
        "balances": {"USDT": "4210.00", "": "1"},
        "clock_offset_ms": -12.25,
        "seen_ip": "203.0.113.7",
        "receipt": (Sent(method="GET", host="api.mexc.com", path="/api/v3/time", purpose="clock", at=at, status=200),),
        "started_at": at,
        "duration_ms": 312.0,
        **more,
    }
    return TestRun(**values)


def add(store: Store, name: str = "Main", **more: Any) -> Connection:
    return store.add_connection(a_connection(name, **more), sealed(), name.encode())


def a_strategy(connection: Connection | None = None, name: str = "Grid", **more: Any) -> Strategy:
    values = {"id": uuid.uuid4().hex, "created_at": T0, "updated_at": T0, "connection_name": "", **more}
    if connection is not None:
        values |= {"connection_name": connection.name}
    return Strategy(name=name, connection_id=connection and connection.id, **values)


def a_revision(strategy: Strategy, number: int = 1, text: str = '{"a":1}', **more: Any) -> Revision:
    values = {"digest": hashlib.sha256(text.encode()).hexdigest(), "created_at": T0 + number * SECOND, **more}
    return Revision(strategy_id=strategy.id, number=number, parameters=text, **values)


def plan(store: Store, connection: Connection | None = None, name: str = "Grid") -> Strategy:
    strategy = a_strategy(connection, name)
    return store.add_strategy(strategy, a_revision(strategy))


def save(store: Store, strategy: Strategy, expected: int, text: str) -> Strategy:
    return store.save_revision(strategy.id, expected, a_revision(strategy, expected + 1, text))


def enable(store: Store, strategy: Strategy, **more: Any) -> Strategy:
    action = more.pop("action", "strategy_enabled")
    return store.set_strategy_state(strategy.id, strategy.state, StrategyState.ENABLED, action=action, **more)


OFFLINE = Message(text="{name} is {status}.", params={"name": "Main {x}", "status": "offline", "n": 1, "f": 1.0})


def suspend(store: Store, strategy: Strategy, **more: Any) -> Strategy:
    more = {"reasons": (OFFLINE,), "action": "strategy_suspended", **more}
    return store.set_strategy_state(strategy.id, strategy.state, StrategyState.SUSPENDED, **more)


def actions(store: Store) -> list[str]:
    return [entry.action for entry in reversed(store.audit_entries())]


# Connections


def test_a_connection_comes_back_as_it_was_added(store: Store) -> None:
    target = Target(exchange="okx", market=Market.FUTURES, region="eea", environment=Environment.DEMO)
    full = a_connection(
        "Čačak ₿",
        target=target.model_copy(update={"egress_proxy": "socks5://127.0.0.1:1080"}),
        used_by="a bot",
        note="two\nlines",
        confirmed_at=T0 + SECOND,
        confirmed_hash="abc",
    )
    assert store.add_connection(full, sealed(), b"print") == full
    assert store.connection(full.id) == full
    assert store.connections() == [full]
    assert store.sealed(full.id) == sealed()
    assert store.connection_by_fingerprint(b"print") == full
    assert store.connection_by_fingerprint(b"other") is None
    assert store.connection("nobody") is None
    assert actions(store) == ["added"]


def test_names_are_one_of_a_kind_whatever_their_case(store: Store) -> None:
    first = add(store, "Straße ﬁne")
    for same in ("STRASSE FINE", "strasse  fine", "Straße ﬁne"):
        assert store.connection_by_name(same) == first
        with pytest.raises(NameTaken, match="exists already"):
            add(store, same)
    second = add(store, "Other")
    with pytest.raises(NameTaken):
        store.update_connection(second.id, name="straße fine")
    assert store.connection(second.id) == second
    assert store.update_connection(first.id, name="STRASSE fine").name == "STRASSE fine"
    assert store.connection_by_name("nothing") is None
    assert actions(store) == ["added", "added", "renamed"]


def test_a_name_with_curly_brackets_is_only_a_name(store: Store) -> None:
    add(store, "{0} {name}")
    with pytest.raises(NameTaken, match=r"named \{0\} \{NAME\} exists"):
        add(store, "{0} {NAME}")


def test_connections_are_listed_by_name(store: Store) -> None:
    for name in ("b", "C", "a"):
        add(store, name)
    assert [connection.name for connection in store.connections()] == ["a", "b", "C"]


def test_what_is_given_is_changed_and_nothing_else(store: Store) -> None:
    made = add(store)
    changed = store.update_connection(made.id, used_by="a grid bot", egress_proxy="http://127.0.0.1:3128")
    assert changed.used_by == "a grid bot"
    assert changed.target.egress_proxy == "http://127.0.0.1:3128"
    assert store.update_connection(made.id, note="n", used_by="").target.egress_proxy == "http://127.0.0.1:3128"
    assert store.update_connection(made.id, note="", egress_proxy=None) == made
    assert store.update_connection(made.id, name=" Main ", note="") == made
    assert store.connection(made.id) == made
    assert actions(store) == ["added", "changed", "changed", "changed"]
    assert store.audit_entries(1)[0].detail["what"] == "note, egress_proxy"
    for bad in ("", "   ", "x" * 61):
        with pytest.raises(BadName):
            store.update_connection(made.id, name=bad, note="lost")
    assert store.connection(made.id) == made


def test_new_credentials_take_the_place_of_the_old(store: Store) -> None:
    made = add(store)
    store.add_run(a_run(made, 1, key_report=a_report()))
    store.confirm_withdraw_off(made.id, T0, "hash")
    rotated = store.replace_credentials(made.id, sealed(b"y"), b"new", "NEW!", T0 + 10 * SECOND)
    assert (rotated.status, rotated.key_hint, rotated.key_since) == (Status.UNTESTED, "NEW!", T0 + 10 * SECOND)
    assert (rotated.last_run_id, rotated.last_tested_at, rotated.confirmed_at, rotated.confirmed_hash) == (None,) * 4
    assert store.sealed(made.id) == sealed(b"y")
    assert store.connection_by_fingerprint(b"new") == rotated
    assert store.connection_by_fingerprint(b"Main") is None
    assert store.key_report(made.id) is None
    assert store.count_runs(made.id) == 1
    tested = a_run(made, 5, Status.CONNECTED)  # before it is put in, so before `key_since`
    again = store.replace_credentials(made.id, sealed(b"z"), b"z", "ZZZZ", T0 + 20 * SECOND, tested)
    assert (again.status, again.last_run_id) == (Status.CONNECTED, tested.id)
    assert actions(store) == ["added", "tested", "confirmed", "rotated", "rotated", "tested"]


def test_a_deleted_connection_takes_its_runs_along_and_leaves_the_trail(store: Store) -> None:
    made, other = add(store), add(store, "Other")
    gone, kept = a_run(made, 1, key_report=a_report()), a_run(other, 2, key_report=a_report())
    store.add_run(gone)
    store.add_run(kept)
    store.delete_connection(made.id)
    assert store.connections() == [store.connection(other.id)]
    assert store.run(gone.id) is None
    assert store.run(kept.id) == kept
    assert [row.id for row in store.runs()] == [kept.id]
    assert list(store.recent_runs()) == [other.id]
    assert [entry.action for entry in store.audit_entries() if entry.subject == made.id] == [
        "deleted",
        "tested",
        "added",
    ]
    assert store.audit_entries(1)[0].detail == {"name": "Main", "exchange": "mexc"}
    add(store)  # the name is free again


def test_a_confirmation_is_kept_and_cleared(store: Store) -> None:
    made = add(store)
    confirmed = store.confirm_withdraw_off(made.id, T0 + SECOND, "hash")
    assert (confirmed.confirmed_at, confirmed.confirmed_hash) == (T0 + SECOND, "hash")
    assert store.clear_confirmation(made.id) == store.clear_confirmation(made.id) == made
    assert actions(store) == ["added", "confirmed", "confirmation_cleared"]
    assert store.audit_entries()[1].at == T0 + SECOND


def test_what_is_gone_is_named(store: Store) -> None:
    for act in (
        lambda: store.sealed("x"),
        lambda: store.update_connection("x", note="n"),
        lambda: store.replace_credentials("x", sealed(), b"", "", T0),
        lambda: store.delete_connection("x"),
        lambda: store.confirm_withdraw_off("x", T0, ""),
        lambda: store.clear_confirmation("x"),
        lambda: store.add_run(a_run(None)),
        lambda: store.add_run(a_run(a_connection())),
    ):
        with pytest.raises(UnknownConnection, match="does not exist any more"):
            act()
    assert store.audit_entries() == []
    assert store.key_report("x") is None
    assert store.run("x") is None
    assert store.runs("x") == []
    assert store.count_runs("x") == 0


def test_a_connection_is_added_whole_or_not_at_all(store: Store) -> None:
    made = add(store)
    store.add_run(a_run(made, 1, id="twice"))
    broken: dict[str, Any] = {"api_key": Sealed(1, b"n", b"c"), "secret": Sealed(1, b"n", None)}  # pyright: ignore
    with pytest.raises(StoreError):
        store.add_connection(a_connection("Broken"), broken, b"")
    with pytest.raises(StoreError):
        store.add_connection(a_connection("Broken"), sealed(), b"", a_run(None, 2, id="twice"))
    with pytest.raises(StoreError):
        store.replace_credentials(made.id, broken, b"", "", T0)
    assert [connection.name for connection in store.connections()] == ["Main"]
    assert store.sealed(made.id) == sealed()
    assert store.count_runs() == 1
    assert actions(store) == ["added", "tested"]


# Runs


def test_a_run_comes_back_equal(store: Store) -> None:
    made = add(store)
    for number, run in enumerate(
        (
            a_run(made, 1, key_report=a_report()),
            a_run(made, 2, Status.FAILED, duration_ms=0.1 + 0.2, clock_offset_ms=1e300, checks=()),
            a_run(made, 3, Status.FAILED, id="any text; not hex ", cause=Cause.AMBIGUOUS, balances={}, receipt=()),
            a_run(made, 4, id="A" * 32, confirmed_at=T0 + SECOND / 3, seen_ip=None, clock_offset_ms=None),
        )
    ):
        connection = store.add_run(run)
        assert connection.last_run_id == run.id
        assert store.run(run.id) == run, number
        assert store.runs(limit=1)[0].id == run.id


milliseconds = st.none() | st.floats(0, 1e6) | st.integers(0, 10**6).map(lambda n: n / 1000)
params = st.dictionaries(
    st.text(max_size=5), st.text(max_size=5) | st.integers() | st.floats(allow_nan=False), max_size=3
)
messages = st.builds(Message, text=st.text(max_size=8), params=params)
checks = st.builds(Check, name=st.sampled_from(CheckName), outcome=st.sampled_from(Outcome), latency_ms=milliseconds)
detailed = st.builds(lambda check, detail: check.model_copy(update={"detail": detail}), checks, messages)
times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants them
sent = st.builds(
    Sent,
    method=st.sampled_from(["GET", "POST"]),
    host=st.text(max_size=5),
    path=st.text(max_size=5),
    purpose=st.text(max_size=5),
    at=times,
    status=st.none() | st.integers(0, 999),
    latency_ms=milliseconds,
    dry_run=st.booleans(),
)
MEMORY = open_store("sqlite://:memory:")
KEPT = add(MEMORY)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_run_comes_back_equal(data: st.DataObject) -> None:
    run = a_run(
        KEPT,
        id=data.draw(st.text(max_size=4)) + uuid.uuid4().hex,
        checks=tuple(data.draw(st.lists(detailed, max_size=4))),
        receipt=tuple(data.draw(st.lists(sent, max_size=3))),
        balances=data.draw(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)),
        clock_offset_ms=data.draw(st.none() | st.floats(allow_nan=False)),
        started_at=data.draw(times),
        duration_ms=data.draw(st.floats(0, 1e9)),
    )
    MEMORY.add_run(run)
    kept = MEMORY.run(run.id)
    assert kept == run
    assert kept is not None
    for before, after in zip(run.checks, kept.checks, strict=True):
        assert {name: (type(value), value) for name, value in before.detail.params.items()} == {
            name: (type(value), value) for name, value in after.detail.params.items()
        }
    row = next(row for row in MEMORY.runs(KEPT.id, since=run.started_at, limit=None) if row.id == run.id)
    assert row.latencies == {check.name: check.latency_ms for check in run.checks if check.latency_ms is not None}


def test_a_run_row_is_a_run_made_light(store: Store) -> None:
    made = add(store)
    store.add_run(a_run(made, 1, key_report=a_report()))
    down = a_run(made, 2, Status.FAILED, cause=Cause.LOCAL_NETWORK)
    store.add_run(down)
    row, first = store.runs()
    assert (row.id, row.connection_id, row.started_at) == (down.id, made.id, down.started_at)
    assert (row.status, row.cause, row.duration_ms) == (Status.FAILED, Cause.LOCAL_NETWORK, 312.0)
    assert row.latencies == {"reach": 41.2, "balance": 99.125}
    assert row.local_network
    assert not first.local_network
    assert (first.status_changed, first.report_changed) == (True, True)
    assert (row.status_changed, row.report_changed) == (True, False)


def test_runs_are_filtered_and_counted_alike(store: Store) -> None:
    one, two = add(store, "One"), add(store, "Two")
    runs = [a_run(one, n, Status.FAILED if n % 3 == 0 else Status.ONLINE) for n in range(1, 10)]
    runs += [a_run(two, 5.5, Status.FAILED, cause=Cause.LOCAL_NETWORK), a_run(two, 7.5, Status.BLOCKED)]
    for run in sorted(runs, key=lambda run: run.started_at):
        store.add_run(run)

    def after(seconds: float) -> datetime:
        return T0 + timedelta(seconds=seconds)

    cases: list[tuple[dict[str, Any], list[float]]] = [
        ({}, [9, 8, 7.5, 7, 6, 5.5, 5, 4, 3, 2, 1]),
        ({"connection_id": two.id}, [7.5, 5.5]),
        ({"since": after(7.5)}, [9, 8, 7.5]),
        ({"until": after(2)}, [1]),
        ({"since": after(2), "until": after(4)}, [3, 2]),
        ({"statuses": [Status.FAILED]}, [9, 6, 5.5, 3]),
        ({"statuses": {Status.BLOCKED, Status.FAILED}, "connection_id": two.id}, [7.5, 5.5]),
        ({"causes": [Cause.LOCAL_NETWORK]}, [5.5]),
        ({"causes": [Cause.IP_NOT_ALLOWED], "statuses": [Status.FAILED], "since": after(4)}, [9, 6]),
        ({"statuses": []}, []),
        ({"changes_only": True}, [9, 7.5, 7, 6, 5.5, 4, 3, 1]),
    ]
    for filters, expected in cases:
        found = [(row.started_at - T0).total_seconds() for row in store.runs(**filters)]
        assert found == expected, filters
        assert store.count_runs(**filters) == len(expected)
        forward = store.runs(**filters, newest_first=False)
        assert [row.id for row in forward] == [row.id for row in reversed(store.runs(**filters))]
    assert [(row.started_at - T0).total_seconds() for row in store.runs(limit=2, offset=3)] == [7, 6]
    assert len(store.runs(offset=3)) == 8


def test_recent_runs_are_the_last_of_every_connection_oldest_first(store: Store) -> None:
    one, two, three = (add(store, name) for name in ("one", "two", "three"))
    for n in range(10):
        store.add_run(a_run(one, n))
    store.add_run(a_run(two, 3))
    recent = store.recent_runs(4)
    assert set(recent) == {one.id, two.id, three.id}
    assert [(row.started_at - T0).total_seconds() for row in recent[one.id]] == [6, 7, 8, 9]
    assert len(recent[two.id]) == 1
    assert recent[three.id] == []


def test_a_run_sets_the_status_of_its_connection(store: Store) -> None:
    made = add(store)
    run = a_run(made, 1)
    assert store.add_run(run) == store.connection(made.id)
    now = store.connection(made.id)
    assert now is not None
    assert (now.status, now.last_run_id, now.last_tested_at) == (Status.ONLINE, run.id, run.started_at)
    store.add_run(a_run(made, 2))
    store.add_run(a_run(made, 3, Status.FAILED))
    assert actions(store) == ["added", "tested", "tested"]
    assert store.audit_entries(1)[0].detail == {
        "name": "Main",
        "old": "online",
        "new": "failed",
        "cause": "ip_not_allowed",
    }


def test_a_late_run_is_kept_and_sets_nothing(store: Store) -> None:
    made = add(store)
    for late in (a_run(made, -1, Status.ONLINE), a_run(made, -2, Status.BLOCKED, key_report=a_report())):
        assert store.add_run(late) == made  # tested with the key before
        assert store.run(late.id) == late
    newest = store.add_run(a_run(made, 10, Status.FAILED))
    assert store.add_run(a_run(made, 5, Status.ONLINE)) == newest  # two tests at once; the one that began last counts
    assert store.count_runs() == 4
    assert store.count_runs(changes_only=True) == 1
    assert store.key_report(made.id) is None


def test_the_first_run_comes_with_its_connection(store: Store) -> None:
    run = a_run(None, -3, Status.CONNECTED, key_report=a_report())  # tested before it is saved
    made = store.add_connection(a_connection(), sealed(), b"", run)
    assert (made.status, made.last_run_id, made.last_tested_at) == (Status.CONNECTED, run.id, run.started_at)
    assert store.run(run.id) == run.model_copy(update={"connection_id": made.id})
    assert store.key_report(made.id) == run.key_report


def test_whose_account_each_key_belongs_to(store: Store) -> None:
    known, unknown, untested = add(store, "known"), add(store, "unknown"), add(store, "untested")
    tells = a_report().model_copy(update={"account_id": "4711", "is_sub": True})
    store.add_run(a_run(known, 1, key_report=tells))
    store.add_run(a_run(unknown, 1, key_report=a_report()))
    assert store.account_facts() == {known.id: AccountFacts("4711", True), unknown.id: AccountFacts(None, None)}
    assert untested.id not in store.account_facts()


def test_where_the_rows_lie(store: Store) -> None:
    place = store.place()
    if store.ephemeral:
        assert place is None
    else:
        assert place is not None
        assert place.size > 10_000
        assert place.name.endswith(("bfai.db", "/shared"))
        assert "@" not in place.name


def test_changes_of_the_key_report_are_marked(store: Store) -> None:
    made = add(store)
    reports = [a_report("a"), a_report("a"), None, a_report("a"), a_report("b"), a_report("a")]
    for n, report in enumerate(reports):
        store.add_run(a_run(made, n, key_report=report))
    assert [row.report_changed for row in store.runs(newest_first=False)] == [True, False, False, False, True, True]
    assert store.key_report(made.id) == a_report("a")


# Strategies


def test_a_strategy_comes_back_as_it_was_added(store: Store) -> None:
    made = add(store)
    strategy = a_strategy(made, "Čičak ₿", updated_at=T0 + SECOND)
    first = a_revision(strategy, 1, '{"pair":"BTC/USDT €"}', note="two\nlines")
    assert store.add_strategy(strategy, first) == strategy
    assert (strategy.state, strategy.revision, strategy.enabled_revision) == (StrategyState.DRAFT, 1, None)
    assert store.strategy(strategy.id) == store.strategy_by_name(" ČIČAK  ₿") == strategy
    assert store.strategies() == store.strategies_of(made.id) == [strategy]
    assert store.revisions(strategy.id) == [first]
    assert store.revision(strategy.id, 1) == first
    entry = store.audit_entries(1)[0]
    assert (entry.action, entry.subject) == ("strategy_added", strategy.id)
    assert entry.detail == {"name": "Čičak ₿", "connection": "Main", "revision": 1, "digest": first.digest}


def test_a_new_strategy_is_a_draft_with_one_revision_whatever_is_said(store: Store) -> None:
    bold = a_strategy(
        name="Bold",
        state=StrategyState.ENABLED,
        reasons=(OFFLINE,),
        needs_person=True,
        revision=7,
        enabled_revision=7,
        enabled_at=T0,
        connection_name="Gone",
    )
    added = store.add_strategy(bold, a_revision(bold, 7).model_copy(update={"strategy_id": "another"}))
    assert added == store.strategy(bold.id) == a_strategy(id=bold.id, name="Bold", connection_name="Gone")
    assert [(kept.strategy_id, kept.number) for kept in store.revisions(bold.id)] == [(bold.id, 1)]


def test_a_strategy_needs_the_connection_that_it_names(store: Store) -> None:
    with pytest.raises(UnknownConnection):
        plan(store, a_connection())
    assert store.strategies() == []
    assert store.audit_entries() == []


def test_strategies_are_listed_by_name_and_by_connection(store: Store) -> None:
    one, two = add(store, "One"), add(store, "Two")
    for name, connection in (("b", one), ("C", two), ("a", one), ("D", None)):
        plan(store, connection, name)
    assert [strategy.name for strategy in store.strategies()] == ["a", "b", "C", "D"]
    assert [strategy.name for strategy in store.strategies_of(one.id)] == ["a", "b"]
    assert [strategy.name for strategy in store.strategies_of(two.id)] == ["C"]
    assert store.strategies_of("x") == []


def test_names_of_strategies_are_one_of_a_kind_whatever_their_case(store: Store) -> None:
    add(store, "Straße")  # a connection of that name is no matter
    first, second = plan(store, name="Straße"), plan(store, name="Other")
    with pytest.raises(StrategyNameTaken, match="A strategy named STRASSE exists already"):
        plan(store, name="STRASSE")
    with pytest.raises(StrategyNameTaken):
        store.rename_strategy(second.id, "strasse")
    for bad in ("", "  ", "x" * 61):
        with pytest.raises(BadName):
            store.rename_strategy(second.id, bad)
    assert store.strategy(second.id) == second
    assert store.rename_strategy(second.id, " Other ") == second
    renamed = store.rename_strategy(first.id, " STRASSE ")
    assert (renamed.name, renamed.revision) == ("STRASSE", 1)
    assert renamed.updated_at != T0
    assert store.strategy_by_name("straße") == store.strategy(first.id) == renamed
    assert store.strategy_by_name("nothing") is None
    assert actions(store) == ["added", "strategy_added", "strategy_added", "strategy_renamed"]
    assert store.audit_entries(1)[0].detail == {"old": "Straße", "new": "STRASSE"}


def test_every_saved_change_is_a_revision(store: Store) -> None:
    made = plan(store)
    second = a_revision(made, 2, "{}", note="empty")
    saved = store.save_revision(made.id, 1, second)
    assert saved == store.strategy(made.id) == made.model_copy(update={"revision": 2, "updated_at": second.created_at})
    third = a_revision(made, 99, '{"a":1}')  # back to what the first was; the number is not the caller's
    assert store.save_revision(made.id, 2, third).revision == 3
    assert store.revisions(made.id) == [third.model_copy(update={"number": 3}), second, a_revision(made)]
    assert store.revision(made.id, 2) == second
    assert store.revision(made.id, 4) is None
    assert actions(store) == ["strategy_added", "strategy_saved", "strategy_saved"]
    assert store.audit_entries(1)[0].detail == {"name": "Grid", "revision": 3, "digest": third.digest}


def test_saving_what_is_there_changes_nothing(store: Store) -> None:
    made = plan(store)
    saved = save(store, made, 1, "{}")
    for expected in (2, 1, 0):  # also for a window that has not seen that somebody saved the same
        assert save(store, made, expected, "{}") == saved
    assert len(store.revisions(made.id)) == 2
    assert actions(store) == ["strategy_added", "strategy_saved"]


def test_a_revision_on_top_of_one_that_is_not_the_newest_is_refused(store: Store) -> None:
    made = plan(store)
    saved = save(store, made, 1, '{"mine":1}')
    for expected in (0, 1, 3):
        with pytest.raises(StrategyChanged, match=r"Grid was changed elsewhere .* Nothing of your change") as refused:
            save(store, made, expected, '{"yours":1}')
        assert refused.value.strategy == saved
    assert [kept.parameters for kept in store.revisions(made.id)] == ['{"mine":1}', '{"a":1}']
    assert save(store, made, 2, '{"yours":1}').revision == 3


def test_a_strategy_is_enabled_suspended_resumed_and_disabled(store: Store) -> None:
    made = plan(store, add(store))
    before = utc_now()
    enabled = enable(store, made, revision=1, reasons=(OFFLINE,), needs_person=True)  # those are for suspended ones
    assert (enabled.state, enabled.enabled_revision, enabled.reasons) == (StrategyState.ENABLED, 1, ())
    assert not enabled.needs_person
    assert enabled.enabled_at is not None
    assert before <= enabled.enabled_at == enabled.updated_at <= utc_now()
    suspended = suspend(store, enabled)
    assert (suspended.state, suspended.reasons, suspended.needs_person) == (StrategyState.SUSPENDED, (OFFLINE,), False)
    assert {name: type(value) for name, value in suspended.reasons[0].params.items()} == {
        name: type(value) for name, value in OFFLINE.params.items()
    }
    worse = suspend(store, suspended, reasons=(OFFLINE, Message(text="Worse.")), needs_person=True)
    assert (len(worse.reasons), worse.needs_person) == (2, True)
    assert (worse.enabled_revision, worse.enabled_at) == (1, enabled.enabled_at)
    resumed = enable(store, worse, action="strategy_resumed")
    assert resumed.model_copy(update={"updated_at": enabled.updated_at}) == enabled
    assert store.strategy(made.id) == resumed
    drafted = store.set_strategy_state(made.id, resumed.state, StrategyState.DRAFT, action="strategy_disabled")
    assert drafted.model_copy(update={"updated_at": T0}) == made
    digest = a_revision(made).digest
    entries = [entry for entry in store.audit_entries() if entry.subject == made.id][-2::-1]
    assert [(entry.action, entry.detail["old"], entry.detail["new"]) for entry in entries] == [
        ("strategy_enabled", "draft", "enabled"),
        ("strategy_suspended", "enabled", "suspended"),
        ("strategy_suspended", "suspended", "suspended"),
        ("strategy_resumed", "suspended", "enabled"),
        ("strategy_disabled", "enabled", "draft"),
    ]
    assert all((entry.detail["revision"], entry.detail["digest"]) == (1, digest) for entry in entries)
    assert ["Worse." in str(entry.detail.get("reasons")) for entry in entries] == [False, False, True, False, False]


def test_the_enabled_revision_stays_in_force_until_another_is_enabled(store: Store) -> None:
    made = plan(store)
    enabled = enable(store, made)
    assert enabled.enabled_revision == 1
    edited = save(store, enabled, 1, "{}")
    assert (edited.state, edited.revision, edited.enabled_revision) == (StrategyState.ENABLED, 2, 1)
    suspended = suspend(store, edited)
    assert store.audit_entries(1)[0].detail["digest"] == a_revision(made).digest
    resumed = enable(store, suspended, action="strategy_resumed")  # by itself: nobody has looked at the second
    assert (resumed.enabled_revision, resumed.enabled_at) == (1, enabled.enabled_at)
    assert enable(store, resumed).enabled_revision == 2
    assert store.audit_entries(1)[0].detail["digest"] == a_revision(made, 2, "{}").digest
    third = suspend(store, save(store, resumed, 2, "[]"))
    by_person = enable(store, third, revision=3, action="strategy_resumed")
    assert by_person.enabled_revision == 3
    save(store, by_person, 3, '"not in force"')
    store.set_strategy_state(made.id, by_person.state, StrategyState.DRAFT, action="strategy_disabled")
    assert store.audit_entries(1)[0].detail["revision"] == 3


def test_a_state_that_somebody_changed_meanwhile_is_left_as_it_is(store: Store) -> None:
    made = plan(store)
    edited = save(store, made, 1, "{}")
    with pytest.raises(StrategyChanged) as refused:
        enable(store, made, revision=1)  # what was looked at is not what would be enabled
    assert refused.value.strategy == store.strategy(made.id) == edited
    enabled = enable(store, made, revision=2)
    for act in (lambda: enable(store, made), lambda: suspend(store, made)):
        with pytest.raises(StrategyChanged):
            act()
    assert store.strategy(made.id) == enabled
    assert actions(store) == ["strategy_added", "strategy_saved", "strategy_enabled"]


def test_a_state_is_not_changed_when_what_it_was_judged_by_changed(store: Store) -> None:
    connection = add(store)
    made, beside = plan(store, connection), plan(store, connection, name="Beside")
    seen = store.surroundings(made.id)
    assert store.surroundings(made.id) == seen
    enabled = enable(store, beside, revision=1)
    with pytest.raises(SurroundingsChanged):
        enable(store, made, revision=1, surroundings=seen)
    assert store.strategy(made.id) == made
    seen = store.surroundings(made.id)
    store.set_strategy_state(beside.id, enabled.state, StrategyState.DRAFT, action="strategy_disabled")
    assert store.surroundings(made.id) != seen
    seen = store.surroundings(made.id)
    store.confirm_withdraw_off(connection.id, T0, "hash")
    with pytest.raises(SurroundingsChanged):
        enable(store, made, revision=1, surroundings=seen)
    assert enable(store, made, surroundings=store.surroundings(made.id)).state is StrategyState.ENABLED


def test_what_is_changed_together_is_kept_together_or_not_at_all(make_store: MakeStore) -> None:
    store, other = make_store(), make_store()
    connection = add(store)
    strategy = enable(store, plan(store, connection))
    first, second = a_run(connection), a_run(connection, 60, Status.FAILED)

    def turn(run: TestRun) -> None:
        store.add_run(run)
        with contextlib.suppress(RunExists):  # a part that fails takes nothing else back
            store.add_run(run)
        suspend(store, strategy)
        assert store.runs(connection.id)[0].id == run.id, "whoever changes it sees it already"
        assert other.runs(connection.id) == []

    with pytest.raises(ZeroDivisionError), store.together():
        turn(first)
        store.delete_strategy(strategy.id)
        raise ZeroDivisionError
    assert store.strategy(strategy.id) == strategy
    assert store.runs() == []
    with store.together():
        turn(second)
        with pytest.raises(StrategyChanged), store.together():
            store.rename_strategy(strategy.id, "Other")
            suspend(store, strategy)
    for one in (store, other):
        assert [row.id for row in one.runs()] == [second.id]
        (kept,) = one.strategies()
        assert (kept.name, kept.state) == (strategy.name, StrategyState.SUSPENDED)


def test_what_is_deleted_together_with_something_leaves_no_trace(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    connection = add(store)
    mark = connection.name.encode() * 50
    store.replace_credentials(connection.id, {"api_key": Sealed(1, b"x" * 12, mark)}, b"f", "TEST", T0)
    with store.together():
        store.delete_connection(connection.id)
        add(store, "Other")
    for file in tmp_path.glob("*"):
        assert mark not in file.read_bytes()


def test_a_deleted_strategy_takes_its_revisions_along_and_leaves_the_trail(store: Store) -> None:
    made, other = plan(store), plan(store, name="Other")
    save(store, made, 1, "{}")
    store.delete_strategy(made.id)
    assert store.strategies() == [other]
    assert store.revisions(made.id) == []
    assert store.revision(made.id, 1) is None
    assert len(store.revisions(other.id)) == 1
    entry = store.audit_entries(1)[0]
    assert (entry.action, entry.subject) == ("strategy_deleted", made.id)
    assert entry.detail == {
        "name": "Grid",
        "revision": 2,
        "digest": a_revision(made, 2, "{}").digest,
        "state": "draft",
    }
    plan(store)  # the name is free again


def test_what_is_gone_is_named_for_strategies(store: Store) -> None:
    gone = a_strategy()
    for act in (
        lambda: save(store, gone, 1, "{}"),
        lambda: store.rename_strategy(gone.id, "x"),
        lambda: store.delete_strategy(gone.id),
        lambda: enable(store, gone),
    ):
        with pytest.raises(UnknownStrategy, match="does not exist any more"):
            act()
    assert store.audit_entries() == []
    assert store.strategy(gone.id) is None
    assert store.revisions(gone.id) == []


def test_a_strategy_is_added_and_saved_whole_or_not_at_all(store: Store) -> None:
    made = plan(store)
    broken = a_revision(made, 2).model_copy(update={"parameters": None, "digest": "new"})
    with pytest.raises(StoreError):
        store.save_revision(made.id, 1, broken)
    with pytest.raises(StoreError):
        store.add_strategy(a_strategy(name="Broken"), broken)
    with pytest.raises(StoreError):
        store.add_strategy(a_strategy(id=made.id, name="Twice"), a_revision(made))
    assert store.strategies() == [made]
    assert len(store.revisions(made.id)) == 1
    assert actions(store) == ["strategy_added"]


def test_a_strategy_names_its_connection_as_it_is_called_now(store: Store) -> None:
    connection = add(store)
    made = plan(store, connection)
    store.update_connection(connection.id, name="Second")
    named = store.strategy(made.id)
    assert named == made.model_copy(update={"connection_name": "Second"})
    store.delete_connection(connection.id)
    left = store.strategy(made.id)
    assert left is not None
    assert (left.connection_id, left.connection_name) == (None, "Second")


def test_a_deleted_connection_suspends_its_strategies_and_leaves_them_whole(store: Store) -> None:
    connection, other = add(store), add(store, "Other")
    draft, enabled, suspended = (plan(store, connection, name) for name in ("a draft", "b enabled", "c suspended"))
    enabled = save(store, enable(store, enabled), 1, "{}")
    suspended = suspend(store, enable(store, suspended))
    unconcerned = enable(store, plan(store, other, "unconcerned"))
    before = len(store.audit_entries())
    store.delete_connection(connection.id)
    unbound = {"connection_id": None, "connection_name": "Main"}
    reason = connection_deleted("Main")
    expected = [
        draft.model_copy(update=unbound),
        enabled.model_copy(
            update={**unbound, "state": StrategyState.SUSPENDED, "reasons": (reason,), "needs_person": True}
        ),
        suspended.model_copy(update={**unbound, "reasons": (OFFLINE, reason), "needs_person": True}),
        unconcerned,
    ]
    found = store.strategies()
    assert [
        kept.model_copy(update={"updated_at": past.updated_at}) for kept, past in zip(found, expected, strict=True)
    ] == expected
    assert all(kept.updated_at != T0 for kept in found[:3])
    assert store.strategies_of(connection.id) == []
    assert [kept.parameters for kept in store.revisions(enabled.id)] == ["{}", '{"a":1}']
    assert actions(store)[before:] == ["strategy_unbound", "strategy_suspended", "strategy_unbound", "deleted"]
    entry = store.audit_entries()[2]
    assert entry.subject == enabled.id
    assert (entry.detail["connection"], entry.detail["revision"]) == ("Main", 1)
    assert entry.detail["digest"] == a_revision(enabled).digest
    assert "Main was deleted" in reason.text.format_map(reason.params)
    assert save(store, found[1], 2, "[]").revision == 3  # a strategy without a connection can still be changed
    add(store)  # the same name again is another connection
    assert store.strategies_of(connection.id) == []


def test_what_an_exchange_published_is_kept_for_thirty_days(store: Store) -> None:
    day = timedelta(days=1)
    assert store.market_data("mexc/spot") is None
    store.put_market_data("mexc/spot", '["€"]', T0)
    assert store.market_data("mexc/spot") == MarketData('["€"]', T0) == ('["€"]', T0)
    store.put_market_data("mexc/spot", "[]", T0 + SECOND)
    assert store.market_data("mexc/spot") == ("[]", T0 + SECOND)
    store.put_market_data("okx/spot", "[1]", T0 + 30 * day + SECOND)
    assert store.market_data("mexc/spot") == ("[]", T0 + SECOND)  # thirty days to the microsecond
    store.put_market_data("htx/spot", "[2]", T0 + 30 * day + 2 * SECOND)
    assert store.market_data("mexc/spot") is None
    assert store.market_data("okx/spot") == ("[1]", T0 + 30 * day + SECOND)
    assert store.audit_entries() == []


# Candles of exchanges


def kept(store: Store, series: str, at: datetime = T0) -> list[tuple[int, bytes]]:
    return store.candle_chunks(series, -(2**40), 2**40, at)


def test_chunks_of_candles_come_back_by_number(store: Store) -> None:
    assert kept(store, "okx/BTC") == []
    store.put_candle_chunks("okx/BTC", {7: b"seven", -2: b"minus two", 20_000_000: b""}, T0, 1000)
    store.put_candle_chunks("okx/ETH", {7: b"of another"}, T0, 1000)
    store.put_candle_chunks("okx/BTC", {7: b"\0new", 8: b"eight"}, T0, 1000)
    store.put_candle_chunks("okx/SOL", {}, T0, 1000)
    assert kept(store, "okx/BTC") == [(-2, b"minus two"), (7, b"\0new"), (8, b"eight"), (20_000_000, b"")]
    assert store.candle_chunks("okx/BTC", 7, 8, T0) == [(7, b"\0new"), (8, b"eight")]
    assert kept(store, "okx/ETH") == [(7, b"of another")]
    assert kept(store, "okx/SOL") == [] == store.candle_chunks("okx/BTC", 8, 7, T0)
    assert store.audit_entries() == []


def test_candles_that_were_used_longest_ago_go_first(store: Store) -> None:
    hour = timedelta(hours=1)
    for place, name in enumerate("abcd"):
        store.put_candle_chunks(name, {1: b"x" * 100, 2: b"y" * 100}, T0 + place * SECOND, 800)
    assert len(kept(store, "a", T0 + 2 * hour)) == 2  # that is a use
    store.put_candle_chunks("b", {2: b"y" * 90}, T0 + 3 * hour, 800)  # and so is that
    store.put_candle_chunks("e", {1: b"z" * 120}, T0 + 4 * hour, 800)
    assert [name for name in "abcde" if kept(store, name, T0)] == ["a", "b", "d", "e"]
    store.put_candle_chunks("f", {1: b"z" * 10_000}, T0, 800)
    assert [name for name in "abcdef" if kept(store, name, T0)] == ["f"]  # its own are never too many
    store.put_candle_chunks("a", {1: b"x" * 100}, T0, 800)
    assert [name for name in "abcdef" if kept(store, name, T0)] == ["a"]


def test_owners_never_meet_over_candles(make_store: MakeStore) -> None:
    ann, bob = make_store("ann"), make_store("bob")
    ann.put_candle_chunks("okx/BTC", {1: b"of ann"}, T0, 100)
    assert kept(bob, "okx/BTC") == []
    bob.put_candle_chunks("okx/BTC", {1: b"of bob" * 100}, T0, 100)
    assert (kept(ann, "okx/BTC"), kept(bob, "okx/BTC")) == ([(1, b"of ann")], [(1, b"of bob" * 100)])


# The vault's row, the trail, settings

WRAP = Wrap("password", 1, b"s" * 16, 64, 1, 1, b"n" * 12, b"c" * 48, b"k" * 8)


def test_the_vault_row_comes_back(store: Store) -> None:
    assert store.vault() is None
    row = VaultRow("id", 1, T0, 0, None, {"password": WRAP})
    store.create_vault(row)
    assert store.vault() == row
    with pytest.raises(VaultExists):
        store.create_vault(row)
    other = WRAP._replace(salt=b"t" * 16)
    store.replace_wrap(other, action="password_changed")
    assert store.vault() == row._replace(wraps={"password": other})
    assert actions(store) == ["vault_created", "password_changed"]


def test_unlock_failures_are_counted_one_by_one(store: Store) -> None:
    store.create_vault(VaultRow("id", 1, T0, 0, None, {}))
    assert store.set_unlock_failures(0, 1, T0)
    assert not store.set_unlock_failures(0, 1, T0)
    assert store.set_unlock_failures(1, 2, T0)
    store.unlock_failed(T0 + SECOND)
    store.unlock_failed(T0)  # one who was told of it late
    row = store.vault()
    assert row is not None
    assert (row.failures, row.failed_at) == (2, T0 + SECOND)
    assert store.audit_entries()[:-1] == [
        AuditEntry(at=T0, action="unlock_failed"),
        AuditEntry(at=T0 + SECOND, action="unlock_failed"),
    ]
    store.unlock_succeeded()
    assert store.vault() == VaultRow("id", 1, T0, 0, None, {})


def test_audit_entries_come_back_newest_first(store: Store) -> None:
    entries = [
        AuditEntry(at=T0 - n * SECOND, action=f"a{n}", subject="s", detail={"n": n, "x": None, "t": True, "f": 0.5})
        for n in range(5)
    ]
    for entry in entries:
        store.audit(entry)
    assert store.audit_entries() == entries[::-1]
    assert store.audit_entries(2) == entries[:2:-1]


def test_settings_keep_what_json_can_say(store: Store) -> None:
    assert store.setting("idle_minutes") is None
    assert store.setting("idle_minutes", 15) == 15
    for value in (None, 0, "čć", [1, {"a": None}], 1.5, False):
        store.set_setting("idle_minutes", value)
        assert store.setting("idle_minutes", 15) == value
    store.set_setting("time_zone", None)
    assert store.settings(["idle_minutes", "time_zone", "never"]) == {
        "idle_minutes": store.setting("idle_minutes"),
        "time_zone": None,
    }


# Owners, threads, processes


def test_owners_never_meet(make_store: MakeStore) -> None:
    ann, bob = make_store("ann"), make_store("bob")
    made = add(ann)
    mine = add(bob)  # the same name and the same fingerprint are no matter
    run = a_run(made, 1)
    ann.add_run(run)
    ann.create_vault(VaultRow("id", 1, T0, 0, None, {"password": WRAP}))
    ann.set_setting("s", 1)
    assert bob.connections() == [mine]
    assert bob.connection(made.id) is None
    assert bob.connection_by_fingerprint(b"Main") == mine
    assert bob.run(run.id) is None
    assert bob.runs() == bob.runs(made.id) == []
    assert bob.count_runs() == 0
    assert bob.recent_runs() == {mine.id: []}
    assert bob.vault() is None
    assert bob.setting("s") is None and bob.settings(["s"]) == {}
    assert actions(bob) == ["added"]
    assert not bob.set_unlock_failures(0, 5, T0)
    for act in (
        lambda: bob.sealed(made.id),
        lambda: bob.delete_connection(made.id),
        lambda: bob.update_connection(made.id, name="x"),
        lambda: bob.replace_credentials(made.id, {}, b"", "", T0),
        lambda: bob.add_run(a_run(made, 2)),
    ):
        with pytest.raises(UnknownConnection):
            act()
    bob.add_run(a_run(mine, 2, id=run.id))  # ids are each owner's own
    assert ann.run(run.id) == run
    bob.unlock_failed(T0)
    row = ann.vault()
    assert row is not None
    assert row.failed_at is None


def test_owners_never_meet_over_strategies(make_store: MakeStore) -> None:
    ann, bob = make_store("ann"), make_store("bob")
    connection = add(ann)
    made = enable(ann, plan(ann, connection))
    ann.put_market_data("mexc", "[1]", T0)
    mine = plan(bob)  # the same name is no matter
    assert bob.strategies() == [mine]
    assert bob.strategy(made.id) is None
    assert bob.strategy_by_name("grid") == mine
    assert bob.strategies_of(connection.id) == []
    assert bob.revisions(made.id) == []
    assert bob.revision(made.id, 1) is None
    assert bob.market_data("mexc") is None
    for act in (
        lambda: save(bob, made, 1, "{}"),
        lambda: bob.rename_strategy(made.id, "x"),
        lambda: bob.delete_strategy(made.id),
        lambda: suspend(bob, made),
    ):
        with pytest.raises(UnknownStrategy):
            act()
    with pytest.raises(UnknownConnection):
        plan(bob, connection, "On a connection of somebody else")
    with pytest.raises(UnknownConnection):
        bob.delete_connection(connection.id)
    bob.put_market_data("mexc", "[2]", T0 + timedelta(days=90))  # forgets only what is bob's
    assert ann.market_data("mexc") == ("[1]", T0)
    bob.add_strategy(made.model_copy(update={"connection_id": None, "name": "Same id"}), a_revision(made))
    save(bob, made, 1, '{"of":"bob"}')  # ids are each owner's own
    bob.delete_strategy(made.id)
    assert ann.strategy(made.id) == made
    assert len(ann.revisions(made.id)) == 1
    assert actions(ann) == ["added", "strategy_added", "strategy_enabled"]


def test_two_windows_do_not_overwrite_each_other(make_store: MakeStore) -> None:
    one, two = make_store(), make_store()
    connection = add(one)
    made = plan(one, connection)
    (seen,) = two.strategies()
    assert seen == made
    mine = save(one, made, 1, '{"one":1}')
    with pytest.raises(StrategyChanged) as refused:
        save(two, seen, seen.revision, '{"two":1}')
    assert refused.value.strategy == mine
    enabled = enable(two, mine, revision=2)
    with pytest.raises(StrategyChanged):
        enable(one, mine)
    two.delete_connection(connection.id)
    with pytest.raises(StrategyChanged):
        one.set_strategy_state(made.id, enabled.state, StrategyState.DRAFT, action="strategy_disabled")
    two.delete_strategy(made.id)
    with pytest.raises(UnknownStrategy):
        save(one, made, 2, "[]")
    assert one.strategies() == []


def test_of_many_who_save_at_once_each_loses_or_is_kept_whole(make_store: MakeStore) -> None:
    """Threads on two stores of one file: every revision that was accepted is there, numbered without a gap."""
    stores = [make_store(), make_store()]
    made = plan(stores[0])
    accepted: list[str] = []
    refused: list[int] = []
    errors: list[BaseException] = []

    def work(store: Store, who: int) -> None:
        try:
            for n in range(10):
                now = store.strategy(made.id)
                assert now is not None
                text = f'{{"who":{who},"n":{n}}}'
                try:
                    save(store, made, now.revision, text)
                    accepted.append(text)
                except StrategyChanged:
                    refused.append(who)
        except BaseException as error:  # whatever it is, the test is to show it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(stores[who % 2], who)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    kept = stores[1].revisions(made.id)
    assert len(accepted) + len(refused) == 60
    assert sorted(revision.parameters for revision in kept[:-1]) == sorted(accepted)
    assert [revision.number for revision in kept] == list(range(len(kept), 0, -1))
    assert actions(stores[0]).count("strategy_saved") == len(accepted)


def test_of_two_who_enable_at_once_one_wins(make_store: MakeStore) -> None:
    stores = [make_store() for _ in range(4)]
    barrier = threading.Barrier(len(stores))
    made = plan(stores[0])
    outcomes: list[str] = []

    def work(store: Store) -> None:
        barrier.wait()
        try:
            enable(store, made, revision=1)
            outcomes.append("enabled")
        except StrategyChanged:
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["enabled", "refused", "refused", "refused"]
    assert actions(stores[0]) == ["strategy_added", "strategy_enabled"]


def test_two_windows_see_each_other(make_store: MakeStore) -> None:
    one, two = make_store(), make_store()
    made = add(one)
    assert two.connections() == [made]
    two.add_run(a_run(made, 1))
    two.delete_connection(made.id)
    again = add(one)
    one.add_run(a_run(again, 2, Status.BLOCKED))
    assert [row.status for row in two.runs()] == [row.status for row in one.runs()] == [Status.BLOCKED]


def test_threads_share_a_store(store: Store) -> None:
    made = [add(store, f"c{n}") for n in range(4)]
    errors: list[BaseException] = []

    def work(connection: Connection) -> None:
        try:
            for n in range(25):
                store.add_run(a_run(connection, n))
                store.recent_runs(5)
                store.runs(connection.id, limit=3)
        except BaseException as error:  # whatever it is, the test is to show it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(connection,)) for connection in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.count_runs() == 100


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    for act in (store.connections, store.unlock_succeeded):
        with pytest.raises(StoreClosed, match="closed"):
            act()


def test_the_last_runs_of_many_connections(store: Store) -> None:
    made = [add(store, f"c{n}") for n in range(20)]
    for n in range(45):
        for connection in made:
            store.add_run(a_run(connection, n))
    recent = store.recent_runs()
    assert {id_: len(rows) for id_, rows in recent.items()} == dict.fromkeys((one.id for one in made), 40)
    assert recent[made[7].id] == store.runs(made[7].id, limit=40)[::-1]


# By which addresses exchanges see this computer


def test_one_row_for_as_long_as_it_stays_the_same(make_store: MakeStore) -> None:
    at = datetime(2026, 11, 3, 12, tzinfo=UTC)
    store, bob = make_store(), make_store("bob")
    seen = ["203.0.113.7", "203.0.113.7", "2001:db8::7", "203.0.113.77", "203.0.113.7"]
    for hours, address in enumerate(seen):
        store.see_address("direct", address, "kucoin", at + timedelta(hours=hours))
    store.see_address("proxy/1", "203.0.113.77", "kucoin", at)
    found = store.sightings("direct")
    assert [one.address for one in found] == ["203.0.113.7", "203.0.113.77", "2001:db8::7", "203.0.113.7"]
    assert (found[-1].first_at, found[-1].last_at) == (at, at + timedelta(hours=1))
    assert [one.version for one in found] == [4, 4, 6, 4]
    assert bob.sightings("direct") == []
    for number in range(ADDRESSES_KEPT + 5):
        store.see_address("direct", f"198.51.100.{number}", "kucoin", at + timedelta(days=1, hours=number))
    kept = store.sightings("direct")
    assert len(kept) == ADDRESSES_KEPT + 1
    assert "2001:db8::7" in {one.address for one in kept}


# Addresses of databases


@pytest.mark.parametrize("url", ["", "bfai.db", "sqlite://", "mysql://user:hidden@host/x", "postgresql:user:hidden"])
def test_an_address_that_means_nothing_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(StoreUnreachable, match="Set BFAI_DATABASE_URL to a file") as refused:
        open_store(url)
    assert "hidden" not in str(refused.value)


def test_relative_and_absolute_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///data/here.db").close()
    open_store(f"sqlite:///{tmp_path}/there.db").close()
    assert (tmp_path / "data" / "here.db").is_file()
    assert (tmp_path / "there.db").is_file()


def test_databases_in_memory_are_each_their_own() -> None:
    one, two = open_store("sqlite://:memory:"), open_store("sqlite:///:memory:")
    add(one)
    assert two.connections() == []
    assert one.ephemeral
    assert two.ephemeral


# SQLite's own


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data" / "bfai.db"


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def plain(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file)


@pytest.mark.skipif(os.name != "posix", reason="rights work otherwise here")
def test_nobody_else_may_read_the_files(file: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(url_of(file))
        add(store)
        for name in ("bfai.db", "bfai.db-wal", "bfai.db-shm"):
            assert stat.S_IMODE((file.parent / name).stat().st_mode) == 0o600, name
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        store.close()
        file.chmod(0o644)
        open_store(url_of(file)).close()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_the_file_is_set_up_as_meant(file: Path) -> None:
    store = open_store(url_of(file))
    assert isinstance(store, bfai.store.sqlite.SqliteStore)
    db = store._db
    wanted = {"journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1, "synchronous": 2, "busy_timeout": 5000}
    assert {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
    tables = {row[1]: row[5] for row in db.execute("PRAGMA table_list") if row[0] == "main" and row[2] == "table"}
    ours = {name: strict for name, strict in tables.items() if not name.startswith(("sqlite_", "_sqlite"))}
    assert set(ours.values()) == {1}
    owned = {name for name in ours if "owner" in {row[1] for row in db.execute(f"PRAGMA table_info({name})")}}
    assert set(ours) - owned == {"owner", "worker"}, "workers are of a database, not of an owner"


def test_the_trail_is_append_only(file: Path) -> None:
    store = open_store(url_of(file))
    store.create_vault(VaultRow("id", 1, T0, 0, None, {}))
    add(store)
    db = plain(file)
    for statement in ("UPDATE audit SET action = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)


def test_a_revision_is_never_changed(file: Path) -> None:
    plan(open_store(url_of(file)))
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        plain(file).execute("UPDATE revision SET parameters = 'x'")


def test_a_statement_without_an_owner_is_not_run(file: Path) -> None:
    store = open_store(url_of(file))
    assert isinstance(store, bfai.store.sqlite.SqliteStore)
    with pytest.raises(AssertionError):
        store._do("SELECT * FROM connection")


def test_the_number_of_migrations_is_told(file: Path) -> None:
    open_store(url_of(file)).close()
    assert plain(file).execute("PRAGMA user_version").fetchone()[0] == len(migrations.MIGRATIONS)
    names = [row[0] for row in plain(file).execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
    assert names == [migration.name for migration in migrations.MIGRATIONS]


DATA = Path(__file__).parent / "data"
BEFORE_STRATEGIES = """
    DROP TABLE strategy; DROP TABLE revision; DROP TABLE market_data;
    DELETE FROM _sqlite_migrations WHERE name = '0002_strategies'; PRAGMA user_version = 1;
"""


@pytest.fixture(params=[1, 2])
def old_file(file: Path, request: pytest.FixtureRequest) -> Path:
    """A database as an earlier version left it: two connections, six runs, a setting. Its programs are gone."""
    file.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript((DATA / "store_2.sql").read_text(encoding="utf-8"))
        db.execute(f"PRAGMA application_id = {bfai.store.sqlite.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 2")
        db.execute("PRAGMA journal_mode = WAL")
        if request.param == 1:
            db.executescript(BEFORE_STRATEGIES)
    return file


def test_a_database_of_a_version_before_is_brought_up_with_all_it_holds(old_file: Path) -> None:
    store = open_store(url_of(old_file))
    main, second = store.connections()
    assert (main.name, main.status, second.name) == ("Main", Status.CONNECTED, "Second")
    assert store.sealed(main.id) == sealed()
    assert store.key_report(main.id) == a_report("two")
    kept = json.loads((DATA / "store_2_runs.json").read_text(encoding="utf-8"))
    for run in map(TestRun.model_validate, kept):
        assert store.run(run.id) == run
    runs = store.runs(main.id, newest_first=False)
    assert [row.id[-2:] for row in runs] == ["01", "02", "02", "06"]
    assert [row.status_changed for row in runs] == [True, True, False, True]
    assert [row.report_changed for row in runs] == [True, False, False, True]
    assert store.setting("idle_minutes") == 15
    assert actions(store)[:2] == ["added", "added"]
    assert store.strategies() == []
    made = enable(store, plan(store, main))
    store.put_market_data("mexc", "[]", T0)
    with pytest.raises(RunExists):
        store.add_run(a_run(main, 99, id="run-02"))
    store.add_run(a_run(main, 5))
    assert store.roll_up(T0 + 3600 * SECOND)
    store.close()
    again = open_store(url_of(old_file))
    assert again.strategies() == [made]
    assert again.count_runs(main.id) == 5
    again.delete_connection(main.id)
    assert again.count_runs() == 2
    again.close()
    with contextlib.closing(plain(old_file)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(migrations.MIGRATIONS)
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_old_database_has_the_same_tables_as_a_new_one(old_file: Path) -> None:
    new_file = old_file.parent / "new.db"
    schemas: list[list[Any]] = []
    for path in (old_file, new_file):
        open_store(url_of(path)).close()
        with contextlib.closing(plain(path)) as db:
            rows = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
            schemas.append([(kind, name, sql and sql.replace('"', "")) for kind, name, sql in rows])
    assert schemas[0] == schemas[1]


def cut_short(monkeypatch: pytest.MonkeyPatch, name: str, after: int = -1) -> None:
    """Let the migration of that name fail after so many statements."""
    cut = [
        one._replace(statements=(*one.statements[:after], "CREATE nonsense")) if one.name == name else one
        for one in migrations.MIGRATIONS
    ]
    monkeypatch.setattr(migrations, "MIGRATIONS", tuple(cut))


@pytest.mark.parametrize("name", ["0002_strategies", "0003_history"])
def test_a_later_migration_that_was_cut_short_is_finished(
    old_file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with contextlib.closing(plain(old_file)) as db:
        before = db.execute("PRAGMA user_version").fetchone()[0]
    cut_short(monkeypatch, name)
    if not (name == "0002_strategies" and before == 2):
        with pytest.raises(StoreError):
            open_store(url_of(old_file))
    with contextlib.closing(plain(old_file)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == {"0002_strategies": before, "0003_history": 2}[name]
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name IN ('new_run', 'rollup')").fetchone()
    monkeypatch.undo()
    store = open_store(url_of(old_file))
    plan(store, store.connections()[0])
    assert store.count_runs() == 6


def test_opening_a_database_that_is_there_takes_neither_pandas_nor_sqlite_utils(file: Path) -> None:
    open_store(url_of(file)).close()
    code = (
        "import sys; from bfai.store import open_store; import bfai.vault, bfai.history;"
        f"open_store({url_of(file)!r}).connections();"
        "print([name for name in ('pandas', 'sqlite_utils', 'streamlit') if name in sys.modules])"
    )
    assert run_python(code) == "[]"


def run_python(code: str) -> str:
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_key_report_and_a_pattern_are_stored_once(file: Path) -> None:
    store = open_store(url_of(file))
    made = add(store)
    for n in range(200):
        reading = Check(name=CheckName.REACH, outcome=Outcome.PASS, latency_ms=40 + n / 1000)
        store.add_run(a_run(made, n, key_report=a_report(), checks=(reading,), balances={"USDT": str(n)}))
    db = plain(file)
    counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("key_report", "pattern", "run")]
    assert counts == [1, 1, 200]


def test_what_was_deleted_is_not_in_the_files_any_more(file: Path) -> None:
    store = open_store(url_of(file))
    made = store.add_connection(a_connection(note="find-this-note"), sealed(b"\xc3"), b"")
    kept = sum(b"find-this-note" in path.read_bytes() for path in file.parent.iterdir())
    assert kept > 0
    store.delete_connection(made.id)
    for path in file.parent.iterdir():
        assert b"find-this-note" not in path.read_bytes(), path
        assert b"\xc3" * 12 not in path.read_bytes(), path


def test_a_strategy_that_was_deleted_is_not_in_the_files_any_more(file: Path) -> None:
    store = open_store(url_of(file))
    made = plan(store)
    save(store, made, 1, '"find-these-parameters"')
    assert any(b"find-these-parameters" in path.read_bytes() for path in file.parent.iterdir())
    store.delete_strategy(made.id)
    assert all(b"find-these-parameters" not in path.read_bytes() for path in file.parent.iterdir())


def test_credentials_that_were_replaced_are_not_in_the_files_any_more(file: Path) -> None:
    store = open_store(url_of(file))
    made = store.add_connection(a_connection(), sealed(b"\xc3"), b"")
    store.replace_credentials(made.id, sealed(b"\xc5"), b"", "", T0)
    assert all(b"\xc3" * 12 not in path.read_bytes() for path in file.parent.iterdir())


MARK = b"\xc3" * 12


def marked(file: Path) -> Store:
    """A store with a key, of which MARK is in the files."""
    store = open_store(url_of(file))
    store.add_connection(a_connection(), sealed(MARK[:1]), b"")
    assert is_left(file)
    return store


def is_left(file: Path) -> bool:
    return any(MARK in path.read_bytes() for path in file.parent.iterdir())


@contextlib.contextmanager
def reading(file: Path) -> Iterator[None]:
    """Another program reads, and goes on."""
    with contextlib.closing(plain(file)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM connection").fetchone()
        yield


@pytest.mark.parametrize("way", ["delete", "replace", "rotate", "together"])
def test_what_somebody_still_read_when_it_was_deleted_goes_with_the_next_change(
    file: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bfai.store.sqlite, "BUSY_SECONDS", 1.0)
    store = marked(file)
    (made,) = store.connections()
    with reading(file):
        if way == "delete":
            store.delete_connection(made.id)
        elif way == "replace":
            store.replace_credentials(made.id, sealed(b"y"), b"", "", T0)
        elif way == "rotate":
            store.create_vault(VaultRow("id", 1, T0, 0, None, {}, b"was"))
            store.replace_key(WRAP, b"is", {made.id: Resealed(sealed(b"y"), b"")}, {}, was=b"was")
        else:
            with store.together():
                store.delete_connection(made.id)
        assert is_left(file), "the docs say so"
        began = time.monotonic()
        for n in range(5):
            store.set_setting("n", n)
        assert time.monotonic() - began < 4, "nobody waits for the reader again and again"
    store.set_setting("n", 5)
    assert not is_left(file)
    store.close()


def test_what_a_program_could_not_erase_before_it_ended_others_erase(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bfai.store.sqlite, "BUSY_SECONDS", 0.2)
    for erase in ("close", "open", "maintain", "look"):
        other, store = open_store(url_of(file)), marked(file)
        (made,) = store.connections()
        with reading(file):
            store.delete_connection(made.id)
            if erase != "close":
                store.close()
        assert is_left(file), erase
        if erase == "close":
            store.close()
        elif erase == "open":
            open_store(url_of(file)).close()
        elif erase == "maintain":
            other.retain(T0, timedelta(days=90), 100)
        else:
            assert isinstance(other, bfai.store.sqlite.SqliteStore)
            with other.long_look():
                pass
        assert not is_left(file), erase
        other.close()


def test_what_was_deleted_during_a_backup_is_gone_when_it_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfai.store.sqlite, "BUSY_SECONDS", 0.2)
    store, other = marked(file), open_store(url_of(file))
    assert isinstance(other, bfai.store.sqlite.SqliteStore)
    with other.long_look() as look:
        assert look.count_runs() == 0
        store.delete_connection(store.connections()[0].id)
        assert is_left(file)
    assert not is_left(file)
    store.close()
    other.close()


def test_two_processes_that_start_together_make_one_database(file: Path) -> None:
    code = (
        "import sys, time, filelock, bfai.store.sqlite, bfai.store.migrations\n"
        "print('ready', flush=True)\n"
        "start = float(sys.stdin.readline())\n"
        "while time.time() < start: pass\n"
        f"bfai.store.open_store({url_of(file)!r}).set_setting(sys.argv[1], 1)\n"
        "print('done')"
    )
    root = Path(__file__).parent.parent
    for attempt in range(3):
        for leftover in file.parent.glob("*") if file.parent.exists() else ():
            leftover.unlink()
        command = [sys.executable, "-c", code]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        children = [subprocess.Popen([*command, str(n)], cwd=root, text=True, **pipes) for n in range(3)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        start = time.time() + 0.05
        for child in children:
            assert child.stdin is not None
            child.stdin.write(f"{start}\n")
            child.stdin.flush()
        for child in children:
            out, errors = child.communicate(timeout=60)
            assert out == "done\n", (attempt, errors)
        store = open_store(url_of(file))
        assert [store.setting(str(n)) for n in range(3)] == [1, 1, 1]
        store.close()


# What can go wrong with a file: each is named, and nothing is lost


def contents(file: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}


@pytest.mark.parametrize("junk", [b"x", b"not a database, but some text of mine" * 100, b"\x00" * 5000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, junk: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(junk)
    with pytest.raises(StoreDamaged, match=r"notes\.txt is not a database, or a damaged one\. It is left as it is\."):
        open_store(url_of(file))
    assert contents(file) == {"notes.txt": junk}


def test_a_damaged_database_is_named_and_left_alone(file: Path) -> None:
    store = open_store(url_of(file))
    for n in range(50):
        add(store, f"c{n}")
    store.close()
    good = file.read_bytes()
    for spoiled in (good[:100] + b"\xff" * 4000 + good[4100:], good[:5000], good[:20000]):
        file.write_bytes(spoiled)
        with pytest.raises(StoreDamaged):
            open_store(url_of(file)).connections()
        assert file.read_bytes() == spoiled
    file.write_bytes(good)
    assert len(open_store(url_of(file)).connections()) == 50


def test_damage_that_shows_later_is_named(file: Path) -> None:
    store = open_store(url_of(file))
    for n in range(50):
        add(store, f"c{n}", note="n" * 500)
    store.close()
    with contextlib.closing(plain(file)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'connection'").fetchone()[0]
    with file.open("r+b") as raw:
        raw.seek((page - 1) * 4096)
        raw.write(b"\xff" * 4096)
    with pytest.raises(StoreDamaged):
        open_store(url_of(file)).connections()


@pytest.mark.parametrize("wal", [False, True])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, wal: bool) -> None:
    file = tmp_path / "firefox.db"
    db = plain(file)
    if wal:
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE bookmarks (x)")
    db.execute("INSERT INTO bookmarks VALUES (1)")
    db.commit()
    db.close()
    before = contents(file)
    with pytest.raises(StoreForeign, match="another program"):
        open_store(url_of(file))
    assert contents(file) == before


def test_an_empty_database_with_somebody_elses_mark_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    db = plain(file)
    db.execute("PRAGMA application_id = 1234")
    db.close()
    with pytest.raises(StoreForeign):
        open_store(url_of(file))


@pytest.mark.parametrize(
    "newer",
    [
        "PRAGMA user_version = 99",
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('bfai', '0099_later', '')",
    ],
)
def test_a_newer_database_is_refused_as_newer(file: Path, newer: str) -> None:
    open_store(url_of(file)).close()
    db = plain(file)
    db.execute(newer)
    db.commit()
    db.close()
    before = contents(file)
    with pytest.raises(StoreTooNew, match="Update the program"):
        open_store(url_of(file))
    assert contents(file) == before


def test_a_migration_that_was_cut_short_is_finished(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_short(monkeypatch, "0001_first", 5)
    with pytest.raises(StoreError):
        open_store(url_of(file))
    monkeypatch.undo()
    add(open_store(url_of(file)))


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A directory to work in without the rights of root, who may write anything."""
    if os.name != "posix":
        pytest.skip("rights work otherwise here")
    place = tmp_path / "mine"
    place.mkdir()
    if os.geteuid() != 0:
        yield place
        return
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        place = Path(directory) / "mine"
        place.mkdir()
        os.chown(place, 65534, 65534)
        os.seteuid(65534)
        try:
            yield place
        finally:
            os.seteuid(0)


def test_a_read_only_file_is_named(nobody: Path) -> None:
    file = nobody / "bfai.db"
    open_store(url_of(file)).close()
    file.chmod(0o400)
    with pytest.raises(StoreReadOnly, match="may not write to"):
        open_store(url_of(file))
    file.chmod(0o600)
    open_store(url_of(file))


def test_a_read_only_directory_is_named(nobody: Path) -> None:
    file = nobody / "bfai.db"
    store = open_store(url_of(file))
    add(store)
    store.close()
    empty = nobody / "empty"
    empty.mkdir()
    for directory in (nobody, empty):
        directory.chmod(0o500)
    try:
        for place in (file, empty / "new.db", empty / "deep" / "new.db"):
            with pytest.raises((StoreReadOnly, StoreUnreachable)) as refused:
                open_store(url_of(place))
            assert str(place) in str(refused.value)
    finally:
        for directory in (nobody, empty):
            directory.chmod(0o700)
    assert len(open_store(url_of(file)).connections()) == 1


def test_a_directory_that_may_not_be_entered_is_named(nobody: Path) -> None:
    nobody.chmod(0o000)
    try:
        with pytest.raises(StoreReadOnly):
            open_store(url_of(nobody / "bfai.db"))
    finally:
        nobody.chmod(0o700)


def test_a_full_disk_is_named_and_nothing_is_half_written(file: Path) -> None:
    store = open_store(url_of(file))
    assert isinstance(store, bfai.store.sqlite.SqliteStore)
    made = add(store)
    store._db.execute("PRAGMA max_page_count = 50")

    def fill() -> None:
        for n in range(10_000):
            store.add_run(a_run(made, n, balances={"USDT": str(n) * 100}))

    with pytest.raises(StoreFull, match=r"no space left .* Nothing of this change is stored"):
        fill()
    held = store.count_runs()
    assert held > 0
    with pytest.raises(StoreFull):
        store.add_connection(a_connection("Other", note="n" * 100_000), sealed(), b"")
    assert [connection.name for connection in store.connections()] == ["Main"]
    store._db.execute("PRAGMA max_page_count = 5000")
    add(store, "Other")
    store.close()
    again = open_store(url_of(file))
    assert again.count_runs() == held
    assert plain(file).execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit")
def test_a_disk_that_is_full_at_the_opening_is_named(file: Path) -> None:
    """By a file that may not grow: SQLite makes its index of the log before anything else."""
    import resource

    open_store(url_of(file)).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(StoreFull, match="no space left"):
            open_store(url_of(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    open_store(url_of(file)).close()


def test_a_database_that_is_held_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfai.store.sqlite, "BUSY_SECONDS", 0.1)
    store = open_store(url_of(file))
    made = add(store)
    holder = plain(file)
    holder.isolation_level = None
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="Another program holds"):
        add(store, "Other")
    with pytest.raises(StoreLocked):
        open_store(url_of(file))
    assert store.connections() == [made]  # reading goes on
    holder.execute("ROLLBACK")
    add(store, "Other")


def test_a_migration_lock_that_is_held_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(bfai.store.sqlite, "MIGRATION_SECONDS", 0.1)
    file.parent.mkdir(parents=True)
    with FileLock(f"{file}.lock"), pytest.raises(StoreLocked):
        open_store(url_of(file))
    open_store(url_of(file))


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "bfai.db", tmp_path, tmp_path / ("x" * 300), tmp_path / "zero\0"):
        with pytest.raises(StoreUnreachable, match="cannot be opened or created"):
            open_store(url_of(place))


def test_every_error_says_what_to_do() -> None:
    file = Path("data/bfai.db")
    made: list[BfaiError] = [
        maker(file)
        for maker in (
            bfai.store.sqlite._damaged,
            bfai.store.sqlite._foreign,
            bfai.store.sqlite._too_new,
            bfai.store.sqlite._read_only,
            bfai.store.sqlite._full,
            bfai.store.sqlite._locked,
            bfai.store.sqlite._unreachable,
        )
    ]
    for error in made:
        assert error.message.params == {"file": str(file)}
    made += [StrategyNameTaken("Grid"), UnknownStrategy(), StrategyChanged(a_strategy())]
    for error in made:
        assert len(str(error).split(". ")) >= 2, str(error)
        assert "!" not in str(error)
