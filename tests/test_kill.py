"""Nothing that was reported as saved is lost, and nothing is half saved, when the program is killed at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock  # noqa: F401 - imported here, so that the children that are forked need not
import pytest
import sqlite_utils  # noqa: F401

from bfai.alerts import Alerts
from bfai.model import (
    Check,
    CheckName,
    Connection,
    Credentials,
    Environment,
    EventKind,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Outcome,
    Revision,
    Status,
    Strategy,
    StrategyState,
    Target,
    TestRun,
)
from bfai.store import Pause, RunEnd, Store, open_store
from bfai.store import migrations as _migrations  # noqa: F401
from bfai.vault import Cost, Vault, WrongPassword
from bfai.workbench import Mode, Workbench
from tests.test_store import a_connection, a_report, a_run, enable, plan, sealed

KILLS = 50
CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall green lamp post"
OTHER_PASSWORD = "short blue lamp post"
PASSWORD_KILLS = 25
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def credentials_of(connection_id: str) -> Credentials:
    return Credentials(f"key-{connection_id}", f"secret-{connection_id}", f"passphrase-{connection_id}")


def run_of(connection_id: str | None, number: int) -> TestRun:
    return TestRun(
        id=uuid.uuid4().hex,
        connection_id=connection_id,
        exchange="mexc",
        region="global",
        environment=Environment.LIVE,
        market=Market.SPOT,
        status=random.choice([Status.ONLINE, Status.CONNECTED, Status.BLOCKED]),
        checks=(Check(name=CheckName.REACH, outcome=Outcome.PASS, latency_ms=number / 8),),
        key_report=KeyReport(label=f"report {number % 7}"),
        started_at=T0 + timedelta(seconds=number),
        duration_ms=number / 4,
    )


def add_strategy(store: Store, connection: Connection, say: Callable[[str], object]) -> None:
    """A strategy on this connection, changed once and enabled; it has the connection's id."""

    def revision(number: int) -> Revision:
        text = f'{{"n":{number}}}'
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Revision(strategy_id=connection.id, number=number, digest=digest, parameters=text, created_at=T0)

    strategy = Strategy(
        id=connection.id,
        name=connection.name,
        connection_id=connection.id,
        connection_name=connection.name,
        created_at=T0,
        updated_at=T0,
    )
    store.add_strategy(strategy, revision(1))
    say(f"revision {strategy.id} 1")
    store.save_revision(strategy.id, 1, revision(2))
    say(f"revision {strategy.id} 2")
    states = (StrategyState.DRAFT, StrategyState.ENABLED)
    store.set_strategy_state(strategy.id, *states, action="strategy_enabled", revision=2)
    say(f"enabled {strategy.id}")


def work(url: str, say: Callable[[str], object]) -> None:
    """Add connections and runs, rotate and delete, for ever; say what is saved once it is."""
    store = open_store(url)
    vault = Vault.unlock(store, PASSWORD, cost=CHEAP) if store.vault() else Vault.create(store, PASSWORD, cost=CHEAP)
    say("vault")
    number = store.count_runs()
    while True:
        connection_id = uuid.uuid4().hex
        credentials = credentials_of(connection_id)
        connection = Connection(
            id=connection_id,
            name=connection_id,
            target=Target(exchange="mexc"),
            key_hint=credentials.hint,
            created_at=T0,
            key_since=T0,
        )
        fingerprint = vault.fingerprint("mexc", credentials.api_key)
        first = run_of(None, number)
        store.add_connection(connection, vault.seal(connection_id, credentials), fingerprint, first)
        say(f"connection {connection_id} {first.id}")
        add_strategy(store, connection, say)
        for _ in range(5):
            number += 1
            run = run_of(connection_id, number)
            store.add_run(run)
            say(f"run {connection_id} {run.id}")
        if number % 3 == 0:
            sealed = vault.seal(connection_id, credentials)
            store.replace_credentials(connection_id, sealed, fingerprint, credentials.hint, T0)
            say(f"rotated {connection_id}")
        if number % 4 == 0:
            say(f"deleting {connection_id}")
            store.delete_connection(connection_id)
            say(f"deleted {connection_id}")


def killed_while_working(
    url: str, after: float, work: Callable[[str, Callable[[str], object]], object] = work
) -> list[str]:
    """What a child said before it was killed, `after` seconds from its first word."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(url, lambda line: os.write(writing, f"{line}\n".encode()))
        except BaseException:  # a child of pytest must end here, whatever happens
            os.write(writing, b"failed " + traceback.format_exc().replace("\n", " ").encode() + b"\n")
        finally:
            os._exit(1)
    os.close(writing)
    said = b""
    deadline = time.monotonic() + after
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            said += os.read(reading, 1 << 16)
    os.kill(child, signal.SIGKILL)
    while part := os.read(reading, 1 << 16):
        said += part
    os.close(reading)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), said.decode()[-2000:]
    return said.decode().splitlines()


class Told:
    """What has to be there, by all that was ever said."""

    def __init__(self) -> None:
        self.connections: set[str] = set()
        self.runs: dict[str, str] = {}
        self.maybe_gone: set[str] = set()
        self.gone: set[str] = set()
        self.revisions: dict[str, int] = {}
        self.enabled: set[str] = set()
        self.vault = False

    def hear(self, lines: list[str]) -> None:
        for line in lines:
            word, *names = line.split()
            assert word != "failed", line
            if word == "vault":
                self.vault = True
            elif word in ("connection", "run"):
                self.connections.add(names[0])
                self.runs[names[1]] = names[0]
            elif word == "revision":
                self.revisions[names[0]] = int(names[1])
            elif word == "enabled":
                self.enabled.add(names[0])
            elif word == "deleting":
                self.maybe_gone.add(names[0])
            elif word == "deleted":
                self.gone.add(names[0])


def look_whole(file: Path, url: str, told: Told) -> None:
    """The database is sound, all that was told is there, and no row is half there."""
    store = open_store(url)  # first of all, so that it is this program that meets what the killed one left
    try:
        if told.vault or store.vault():
            look_at_rows(store, told)
    finally:
        store.close()
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def look_at_rows(store: Store, told: Told) -> None:
    vault = Vault.unlock(store, PASSWORD, cost=CHEAP)
    present = {connection.id: connection for connection in store.connections()}
    assert told.connections - told.maybe_gone <= set(present)
    assert told.gone.isdisjoint(present)
    for connection_id, connection in present.items():
        credentials = credentials_of(connection_id)
        assert vault.open(connection_id, store.sealed(connection_id)) == credentials
        assert store.connection_by_fingerprint(vault.fingerprint("mexc", credentials.api_key)) == connection
    runs = {row.id: row for row in store.runs()}
    assert {run for run, connection in told.runs.items() if connection not in told.maybe_gone} <= set(runs)
    for row in runs.values():
        assert row.connection_id in present
    trail = [entry.action for entry in store.audit_entries() if entry.action in ("added", "deleted")]
    assert trail.count("added") - trail.count("deleted") == len(present)
    look_at_strategies(store, told, set(present))
    for row in random.sample(sorted(runs.values()), min(20, len(runs))):
        run = store.run(row.id)
        assert run is not None
        assert run.key_report is not None
        assert run.duration_ms / 2 == row.latencies["reach"]
    for connection_id, last in store.recent_runs(1).items():
        connection = present[connection_id]
        if connection.last_run_id is not None:
            assert [row.id for row in last] == [connection.last_run_id]
            assert last[0].status is connection.status


def look_at_strategies(store: Store, told: Told, connections: set[str]) -> None:
    strategies = {strategy.id: strategy for strategy in store.strategies()}
    assert set(told.revisions) <= set(strategies)
    trail = [(entry.action, entry.subject) for entry in store.audit_entries()]
    for strategy in strategies.values():
        assert strategy.revision >= told.revisions.get(strategy.id, 1)
        assert [kept.number for kept in store.revisions(strategy.id)] == list(range(strategy.revision, 0, -1))
        assert trail.count(("strategy_saved", strategy.id)) == strategy.revision - 1
        assert (strategy.connection_id is not None) == (strategy.id in connections)
        enabled = ("strategy_enabled", strategy.id) in trail
        assert enabled or strategy.id not in told.enabled
        assert (strategy.enabled_revision is not None) == enabled == (strategy.state is not StrategyState.DRAFT)
        if enabled:
            assert (strategy.state is StrategyState.SUSPENDED) == (strategy.connection_id is None)
            assert (("strategy_suspended", strategy.id) in trail) == (strategy.connection_id is None)


def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    random.seed()
    told, said = Told(), 0
    file, url = tmp_path, ""
    for number in range(KILLS):
        if number % 10 == 0:  # begin anew now and then: the making of the tables is a moment like any other
            told, directory = Told(), tmp_path / str(number)
            file, url = directory / "bfai.db", f"sqlite:///{directory}/bfai.db"
        lines = killed_while_working(url, random.uniform(0.001, 0.02 if number % 10 == 0 else 0.2))
        said += len(lines)
        told.hear(lines)
        if file.exists() and file.stat().st_size:
            look_whole(file, url, told)
        else:
            assert not lines
    assert said > 2 * KILLS  # else it was killed before it did anything


def change_passwords(url: str, say: Callable[[str], object]) -> None:
    """Change the master password back and forth, for ever; say which one holds once it is kept."""
    store = open_store(url)
    now, new = PASSWORD, OTHER_PASSWORD
    try:
        vault = Vault.unlock(store, now, cost=CHEAP)
    except WrongPassword:
        now, new = new, now
        vault = Vault.unlock(store, now, cost=CHEAP)
    say("begun")
    while True:
        vault.change_password(store, now, new, cost=CHEAP)
        say("first" if new == PASSWORD else "second")
        now, new = new, now


def test_a_change_of_the_password_that_is_killed_leaves_one_of_the_two_and_every_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    store = open_store(url)
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    ids = ["one", "two", "three"]
    for id_ in ids:
        store.add_connection(
            a_connection(id_, id=id_), vault.seal(id_, credentials_of(id_)), vault.fingerprint("mexc", id_)
        )
    changes, kills, seen = 0, 0, set[str]()
    while kills < PASSWORD_KILLS or changes < PASSWORD_KILLS or len(seen) < 2:  # a slow machine is killed more often
        kills += 1
        assert kills < 20 * PASSWORD_KILLS, "too few changes to have been killed in one"
        said = killed_while_working(url, random.uniform(0.02, 0.12), change_passwords)
        assert not [line for line in said if line.startswith("failed")], said
        changes += len([line for line in said if line != "begun"])
        holding = []
        for password in (PASSWORD, OTHER_PASSWORD):
            store.unlock_succeeded()  # a killed attempt counts as a failed one
            with contextlib.suppress(WrongPassword):
                holding.append((password, Vault.unlock(store, password, cost=CHEAP)))
        assert len(holding) == 1, "the old one or the new one, never both or none"
        store.unlock_succeeded()
        password, opened = holding[0]
        seen.add(password)
        assert [opened.open(id_, store.sealed(id_)) for id_ in ids] == [credentials_of(id_) for id_ in ids]
    store.close()


def test_a_fresh_process_is_killed_and_a_fresh_process_finds_all(tmp_path: Path) -> None:
    """The same once without fork, as it happens to a trader."""
    url = f"sqlite:///{tmp_path}/bfai.db"
    code = f"import test_kill; test_kill.work({url!r}, lambda line: print(line, flush=True))"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(40)]
        child.kill()
        lines += child.stdout.read().splitlines()
    told = Told()
    told.hear(lines)
    look_whole(tmp_path / "bfai.db", url, told)


# -- what a test means for strategies ----------------------------------------------------------------------------------


def killed_before_statement(number: int, url: str, act: Callable[[Workbench], object]) -> bool:
    """Does it in a child that dies before the writing statement of this number. False if it had fewer of them."""
    child = os.fork()
    if child == 0:
        try:
            store, written = open_store(url), 0

            def watch(statement: str) -> None:
                nonlocal written
                written += not statement.startswith("SELECT")
                if written == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            workbench = Workbench(store, mode=Mode.LOCAL, gateway=None)
            store._db.set_trace_callback(watch)
            act(workbench)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


UNBOUND = a_report().model_copy(update={"ip_restriction": IpRestriction(state=GrantState.DENIED)})


def killed_at_each_statement(
    directory: Path, prepare: Callable[[Store], object], act: Callable[[Workbench], object]
) -> Iterator[tuple[bool, Store]]:
    """Whether it was killed, and what it left: before its first writing statement, its second, … at last never."""
    file, first = directory / "bfai.db", directory / "first.db"
    with contextlib.closing(open_store(f"sqlite:///{first}")) as store:
        prepare(store)
    killed, number = True, 0
    while killed:
        number += 1
        for left in directory.glob("bfai.db*"):
            left.unlink()
        shutil.copy(first, file)
        killed = killed_before_statement(number, f"sqlite:///{file}", act)
        with contextlib.closing(open_store(f"sqlite:///{file}")) as store:
            yield killed, store
    assert number > 10


@pytest.mark.parametrize(
    ("status", "report"),
    [(Status.FAILED, None), (Status.BLOCKED, a_report(withdraw=GrantState.GRANTED)), (Status.CONNECTED, UNBOUND)],
    ids=["outage", "thief", "addresses lost"],
)
def test_a_test_is_stored_with_all_that_it_means_or_not_at_all(
    tmp_path: Path, status: Status, report: KeyReport | None
) -> None:
    """Events and who is told of them, the end of the lease and the next test, the pause, and the strategy."""
    connection, hour = a_connection(), timedelta(hours=1)
    run = a_run(connection, 60, status, key_report=report)
    end = RunEnd("me", T0, hour, T0 + 2 * hour, "mexc/global", Pause(1, T0, T0 + hour))

    def prepare(store: Store) -> None:
        store.add_connection(connection, sealed(), b"f", a_run(connection, key_report=a_report()))
        store.set_schedule(connection.id, hour, T0, T0 + hour)
        store.take_lease(connection.id, "me", T0, T0 + hour)
        enable(store, plan(store, connection))
        Alerts(store, lambda: Vault("v", bytes(32))).add("Hook", "json://127.0.0.1:9/x")

    for killed, store in killed_at_each_statement(tmp_path, prepare, lambda bench: bench._keep(run, end)):
        (strategy,), schedule = store.strategies(), store.schedule(connection.id)
        stored = store.run(run.id) is not None
        assert stored or killed
        assert (strategy.state is StrategyState.SUSPENDED) == stored
        assert strategy.needs_person == (stored and status is not Status.FAILED)
        events = store.events()
        assert sum(event.facts.get("strategy") == strategy.id for event in events) == stored
        assert sum(event.kind is not EventKind.STRATEGY_SUSPENDED for event in events) == stored
        assert {delivery.event.id for delivery in store.deliveries()} == {event.id for event in events}
        assert schedule is not None
        assert (schedule.next_at, schedule.holder) == ((T0 + 2 * hour, None) if stored else (T0 + hour, "me"))
        assert len(store.pauses()) == stored


def test_a_connection_is_deleted_with_all_that_belongs_to_it_or_not_at_all(tmp_path: Path) -> None:
    connection = a_connection()

    def prepare(store: Store) -> None:
        store.add_connection(connection, sealed(), b"f", a_run(connection))
        enable(store, plan(store, connection))
        bench = Workbench(store, mode=Mode.LOCAL, gateway=None)
        bench.set_tripwire(connection.id, on=True, assets="USDT", pairs="")

    for killed, store in killed_at_each_statement(tmp_path, prepare, lambda bench: bench.delete(connection.id)):
        (strategy,) = store.strategies()
        gone = store.connection(connection.id) is None
        assert (strategy.state is StrategyState.SUSPENDED) == gone
        assert len(store.events()) == gone
        assert (store.setting(f"tripwire/{connection.id}") is None) == gone
        assert gone or killed
