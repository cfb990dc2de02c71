"""What a worker may open, and what it sees of a database: its delegations, of all owners, and nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bfai.delegation import (
    FORMAT,
    BadWorkerKey,
    DelegationDamaged,
    NotDelegated,
    WorkerKey,
    fingerprint,
    is_genuine,
    seal_to,
    worker_id,
)
from bfai.hosting import owner_of
from bfai.model import BfaiError, Connection, Credentials, Status, Target
from bfai.simulator import Simulator
from bfai.store import (
    Delegation,
    Pause,
    RunEnd,
    Store,
    StoreTooNew,
    UnknownConnection,
    UnknownWorker,
    Worker,
    migrations,
    open_store,
)
from bfai.store import postgres as database
from bfai.store.postgres import WorkerDesk
from bfai.transport import Gateway
from bfai.vault import Vault, VaultTooNew
from bfai.workbench import Mode, NotSavable, Workbench
from bfai.worker import Worker as Process
from tests.helpers import sample
from tests.monitor_children import CHEAP
from tests.postgres import Server
from tests.test_store import SECOND, T0, a_run, actions, add, sealed
from tests.test_store_postgres import as_owner, fill, fresh, name_of, statements_of_the_docs, tables

__all__ = ["fresh"]

ROOT = Path(__file__).parent.parent
KEYS = Credentials("the-api-key", "the-secret", "the-passphrase")
PASSWORD = "correct horse battery staple"
HOUR = timedelta(hours=1)


@pytest.fixture
def key(tmp_path: Path) -> WorkerKey:
    return WorkerKey.make(tmp_path / "worker.pem")


@pytest.fixture
def worker(key: WorkerKey, postgres_url: str) -> Worker:
    """The registered worker of `key`, with a queue."""
    return registered(postgres_url, key)


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with contextlib.closing(open_store(postgres_url, owner="ann", clock=lambda: T0)) as found:
        yield found


@pytest.fixture
def desk(postgres_url: str, worker: Worker) -> Iterator[WorkerDesk]:
    with contextlib.closing(WorkerDesk(postgres_url, worker.id)) as found:
        yield found


def registered(url: str, key: WorkerKey) -> Worker:
    Process(url, key, name="server", clock=lambda: T0).close()
    return Worker(key.id, "server", key.public, T0)


def given(store: Store, connection: Connection, worker: Worker) -> Delegation:
    found = Delegation(worker.id, FORMAT, seal_to(worker, store.owner, connection.id, KEYS), T0)
    store.delegate(connection.id, found)
    return found


# What is sealed


def test_only_this_worker_opens_it_for_this_owner_and_connection(tmp_path: Path) -> None:
    key, other = (WorkerKey.make(tmp_path / name) for name in ("one", "two"))
    worker = Worker(key.id, "server", key.public, T0)
    found = Delegation(key.id, FORMAT, seal_to(worker, "ann", "c1", KEYS), T0)
    assert key.open("ann", "c1", found) == KEYS
    assert seal_to(worker, "ann", "c1", KEYS) != found.sealed, "each time under a fresh key"
    assert all(secret.encode() not in found.sealed for secret in KEYS.secrets())
    for owner, connection in (("bob", "c1"), ("ann", "c2"), ("ann1", "c"), ("", "annc1")):
        with pytest.raises(DelegationDamaged):
            key.open(owner, connection, found)
    with pytest.raises(NotDelegated):
        other.open("ann", "c1", found)
    with pytest.raises(DelegationDamaged):
        other.open("ann", "c1", found._replace(worker_id=other.id))
    with pytest.raises(NotDelegated):
        key.open("ann", "c1", None)
    with pytest.raises(VaultTooNew):
        key.open("ann", "c1", found._replace(format=FORMAT + 1))


def test_a_flipped_bit_or_a_cut_is_refused(key: WorkerKey) -> None:
    found = Delegation(key.id, FORMAT, seal_to(Worker(key.id, "server", key.public, T0), "ann", "c1", KEYS), T0)
    whole = found.sealed
    for bit in range(8 * len(whole)):  # the one too that means nothing to the curve: HPKE binds the bytes
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DelegationDamaged):
            key.open("ann", "c1", found._replace(sealed=bytes(flipped)))
    for length in (0, 31, 32, len(whole) - 1):
        with pytest.raises(DelegationDamaged):
            key.open("ann", "c1", found._replace(sealed=whole[:length]))


def test_nothing_is_sealed_to_a_key_that_is_not_the_one_shown(key: WorkerKey, tmp_path: Path) -> None:
    thief = WorkerKey.make(tmp_path / "thief")
    swapped = Worker(key.id, "server", thief.public, T0)
    assert is_genuine(swapped._replace(public_key=key.public)) and not is_genuine(swapped)
    with pytest.raises(BadWorkerKey, match="changed from outside"):
        seal_to(swapped, "ann", "c1", KEYS)
    assert worker_id(key.public) == key.id and fingerprint(key.id).replace(" ", "") == key.id


def test_a_key_file_is_its_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "worker.pem"
    key = WorkerKey.make(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert WorkerKey.read(file).id == key.id
    with pytest.raises(BadWorkerKey, match="exists already"):
        WorkerKey.make(file)
    with pytest.raises(BadWorkerKey, match="cannot be written"):
        WorkerKey.make(tmp_path / "nowhere" / "key")
    if os.name == "posix":
        file.chmod(0o640)
        with pytest.raises(BadWorkerKey, match="Others may read"):
            WorkerKey.read(file)
    for words in (b"", b"not a key", file.read_bytes()[:60]):
        other = tmp_path / "other"
        other.write_bytes(words)
        with pytest.raises(BadWorkerKey, match="no worker's key"):
            WorkerKey.read(other)
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert repr(key) == f"WorkerKey({key.id}, …)"


# What is kept


def test_a_delegation_comes_back_and_is_taken_back(store: Store, worker: Worker) -> None:
    connection = add(store)
    assert store.workers() == [worker] and store.delegation(connection.id) is None
    found = given(store, connection, worker)
    assert store.delegation(connection.id) == found and store.delegations() == {connection.id: found}
    again = given(store, connection, worker)
    assert store.delegations() == {connection.id: again}, "one at most"
    assert store.revoke_delegation(connection.id) and not store.revoke_delegation(connection.id)
    assert store.delegations() == {}
    assert actions(store)[-3:] == ["delegated", "delegated", "delegation_revoked"]
    assert store.audit_entries()[1].detail == {"name": "Main", "worker": "server", "key": worker.id}
    with pytest.raises(UnknownConnection):
        store.delegate("nobody", found)
    with pytest.raises(UnknownWorker):
        store.delegate(connection.id, found._replace(worker_id="another"))


def test_it_goes_with_the_key_that_was_sealed_and_with_the_connection(store: Store, worker: Worker) -> None:
    connection = add(store)
    given(store, connection, worker)
    store.replace_credentials(connection.id, sealed(b"y"), b"other", "wxyz", T0)
    assert store.delegations() == {} and actions(store)[-2:] == ["delegation_revoked", "rotated"]
    given(store, connection, worker)
    store.delete_connection(connection.id)
    assert store.delegations() == {}


# What is left


def queue(god: Any, worker: Worker, owner: str, connection_id: str, status: str = "todo") -> None:
    """A job as workers queue it."""
    god.execute("SET search_path = bfai_jobs")
    god.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args, lock, queueing_lock, status)"
        " VALUES (%s, 'test', %s, %s, %s, %s)",
        (worker.id, json.dumps({"owner": owner, "connection": connection_id}), connection_id, connection_id, status),
    )


def queued(god: Any) -> set[tuple[str, str]]:
    """The owners and connections of all jobs."""
    jobs = god.execute("SELECT args ->> 'owner', args ->> 'connection' FROM bfai_jobs.procrastinate_jobs")
    return set(jobs.fetchall())


def test_the_job_that_waits_goes_with_the_delegation(
    fresh: str, postgres: Server, key: WorkerKey, tmp_path: Path
) -> None:
    worker, second = registered(fresh, key), registered(fresh, WorkerKey.make(tmp_path / "second"))
    with postgres.admin(name_of(fresh)) as god:
        for owner in ("ann", "bob"):
            with contextlib.closing(open_store(fresh, owner=owner)) as store:
                for name in ("one", "two", "three", "four"):
                    connection = add(store, name)
                    given(store, connection, worker)
                    queue(god, worker, owner, connection.id, "doing" if name == "four" else "todo")
        everything = queued(god)
        with contextlib.closing(open_store(fresh, owner="ann", clock=lambda: T0)) as store:
            one, two, three, four = (store.connection_by_name(name) for name in ("one", "two", "three", "four"))
            assert one and two and three and four
            store.revoke_delegation(one.id)
            store.replace_credentials(two.id, sealed(b"y"), b"other", "wxyz", T0)
            given(store, three, second)  # whose job could not be queued beside the first one's
            with store.together():
                store.delete_connection(four.id)
                store.set_setting("s", 1)  # the transaction is still its owner's
            assert store.setting("s") == 1
            under_way = ("ann", four.id)
            assert queued(god) == {job for job in everything if job[0] == "bob"} | {under_way}, "its worker ends it"


def test_nothing_of_an_owner_is_left_who_deleted_everything(fresh: str, postgres: Server, key: WorkerKey) -> None:
    """In any table of both schemas, by a user who may neither change the tables nor see the queue."""
    worker, people = registered(fresh, key), {who: owner_of("issuer", who) for who in ("ann", "bob")}
    with postgres.admin(name_of(fresh)) as god:
        for owner in people.values():
            with contextlib.closing(open_store(fresh, owner=owner)) as store:
                fill(store)
                for connection in store.connections():
                    given(store, connection, worker)
                    queue(god, worker, owner, connection.id)
        known = {who: rows_of(god, owner) for who, owner in people.items()}
        nobodys = {"bfai.migration", "bfai.worker"}
        nobodys |= {f"bfai_jobs.procrastinate_{name}" for name in ("workers", "periodic_defers")}
        assert {table for table, rows in known["ann"].items() if not rows} == nobodys
        try:
            for statement in statements_of_the_docs()[1]:
                god.execute(statement)
            url = postgres.url(name_of(fresh), "bfai_app", "another-password")
            with Workbench.hosted(url, people["ann"]) as ann:
                assert ann.begin_visit(T0)
                ann.end_visits()
                ann.delete_everything()
            left = {table: rows for table, rows in rows_of(god, people["ann"]).items() if rows}
            (number, name, changes) = god.execute(
                "SELECT pk, name, changes FROM bfai.owner WHERE name = %s", (people["ann"],)
            ).fetchone()
            visits = [f'({number},visits,"{{""newest"":{T0.timestamp()},""ended"":{T0.timestamp()}}}")']
            mine = {"bfai.owner": [f"({number},{name},{changes})"], "bfai.setting": visits}
            assert left == mine, "docs/postgresql.md says what this is"
            assert rows_of(god, people["bob"]) == known["bob"]
            guide = (ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8")
            for statement in re.findall(r"^    (DELETE .*);$", guide, re.MULTILINE):
                assert god.execute(statement.replace("oidc-…", people["ann"])).rowcount == 1
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                god.execute("DELETE FROM bfai.owner WHERE name = %s", (people["bob"],))
            with Workbench.hosted(url, people["ann"]) as ann:
                assert ann.connections() == []
        finally:
            god.execute("DROP OWNED BY bfai_app")
            god.execute("DROP ROLE bfai_app")


def rows_of(god: Any, owner: str) -> dict[str, list[str]]:
    """What is left of an owner in each table of both schemas: rows with their number, name or connections."""
    (number,) = god.execute("SELECT pk FROM bfai.owner WHERE name = %s", (owner,)).fetchone()
    found: dict[str, list[str]] = {}
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('bfai', 'bfai_jobs') ORDER BY 1, 2"
    for schema, table in god.execute(query).fetchall():
        columns = (
            "SELECT 1 FROM information_schema.columns WHERE (table_schema, table_name, column_name) = (%s, %s, %s)"
        )
        has_owner = god.execute(columns, (schema, table, "owner")).fetchone()
        is_theirs = f"t.owner = {number} OR t::text LIKE %s" if has_owner else "t::text LIKE %s"
        if table == "procrastinate_events":
            is_theirs = "t.job_id IN (SELECT id FROM bfai_jobs.procrastinate_jobs j WHERE j::text LIKE %s)"
        rows = god.execute(f"SELECT t::text FROM {schema}.{table} t WHERE {is_theirs} ORDER BY 1", (f"%{owner}%",))
        found[f"{schema}.{table}"] = [row[0] for row in rows]
    return found


# What a worker sees


def test_a_worker_finds_what_is_due_and_the_schedule_says_when(store: Store, worker: Worker, desk: WorkerDesk) -> None:
    connection, other = add(store), add(store, "Other")
    store.set_schedule(connection.id, HOUR, T0, T0)
    given(store, connection, worker)
    me, now = ("ann", connection.id), T0 + SECOND
    assert desk.due(T0 - SECOND, 9) == [] and desk.due(now, 9) == [me], "the other one is not delegated"
    assert store.take_lease(connection.id, "somebody", T0, T0 + 90 * SECOND, due_at="mexc")
    assert desk.due(now, 9) == [] and desk.due(T0 + 90 * SECOND, 9) == [me], "whoever has the lease is left alone"
    end = RunEnd("somebody", now, HOUR, now + HOUR, "mexc", Pause(1, now, now + 2 * HOUR))
    store.add_run(a_run(connection, 1), end=end)
    assert desk.due(now + HOUR - SECOND, 9) == [] and desk.due(now + HOUR, 9) == [me]
    store.put_off_delegated(connection.id, "another place")
    assert desk.due(now + HOUR, 9) == [me]
    store.put_off_delegated(connection.id, "mexc")
    assert desk.due(now + HOUR, 9) == [] and desk.due(now + 2 * HOUR, 9) == [me]
    store.add_run(a_run(other, 2), end=end._replace(pause=None))  # the exchange is back
    assert desk.due(now + HOUR, 9) == [me]
    store.set_schedule(connection.id, None, T0, T0)
    assert desk.due(now + 9 * HOUR, 9) == [], "off"
    store.set_schedule(connection.id, HOUR, now + 99 * HOUR, now + 100 * HOUR)
    assert desk.due(now, 9) == [me], "a clock that was set back: whoever acts for the owner mends it"
    store.revoke_delegation(connection.id)
    assert desk.due(now, 9) == []


def test_a_worker_sees_its_delegations_of_all_owners_and_nothing_else(
    postgres: Server, postgres_url: str, worker: Worker, tmp_path: Path
) -> None:
    second = registered(postgres_url, WorkerKey.make(tmp_path / "second"))
    theirs: dict[str, str] = {}
    for owner, whose in (("ann", worker), ("bob", worker), ("eve", second)):
        with contextlib.closing(open_store(postgres_url, owner=owner)) as store:
            connection = add(store)
            store.set_schedule(connection.id, HOUR, T0, T0)
            add(store, "Mine alone")
            given(store, connection, whose)
            theirs[owner] = connection.id
    with postgres.admin("shared") as god, psycopg.connect(postgres_url, autocommit=True) as db:
        app: Any = db
        god.execute("SET search_path = bfai")
        numbers = dict(god.execute("SELECT name, pk FROM owner").fetchall())
        with as_owner(app, None):
            app.execute(f"SET LOCAL bfai.worker = '{worker.id}'")
            seen = {table for table in tables(god) if app.execute(f"SELECT count(*) FROM {table}").fetchone()[0]}
            assert seen == {"delegation", "owner"}
            assert dict(app.execute("SELECT o.name, d.id FROM delegation d JOIN owner o ON o.pk = d.owner")) == {
                "ann": theirs["ann"],
                "bob": theirs["bob"],
            }
            for change in ("UPDATE delegation SET due_at = 0", "DELETE FROM delegation", "UPDATE owner SET name = 'x'"):
                assert app.execute(change).rowcount == 0, change
            assert app.execute("UPDATE worker SET name = name").rowcount == 1
        with as_owner(app, numbers["ann"]):  # the app
            assert [row[0] for row in app.execute("SELECT id FROM delegation")] == [theirs["ann"]]
            assert app.execute("SELECT name FROM owner").fetchall() == [("ann",)]
            assert app.execute("SELECT count(*) FROM worker").fetchone() == (2,)
            for change in ("DELETE FROM worker", "UPDATE worker SET public_key = 'x'"):
                assert app.execute(change).rowcount == 0, change
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(app, numbers["ann"]):
            app.execute("INSERT INTO worker VALUES ('me', 'me', 'x', 1)")
        # A worker beside an owner is nobody: what it would see is not this owner's.
        for owner in ("ann", "eve"):
            with as_owner(app, numbers[owner]):
                app.execute(f"SET LOCAL bfai.worker = '{worker.id}'")
                assert app.execute("SELECT id FROM delegation").fetchall() == [(theirs[owner],)]
                assert app.execute("SELECT name FROM owner").fetchall() == [(owner,)]
                assert app.execute("UPDATE worker SET name = name").rowcount == 0
                for table in tables(god):
                    assert not others_rows(app, table, numbers[owner]), table
        # The queue is no window either.
        god.execute("SET search_path = bfai_jobs")
        god.execute(
            "INSERT INTO bfai_jobs.procrastinate_jobs (queue_name, task_name, args) VALUES (%s, 'test', '{}')",
            (worker.id,),
        )
        count = "SELECT count(*) FROM bfai_jobs.procrastinate_jobs"
        for setting, jobs in (("", 0), (f"SET LOCAL bfai.worker = '{second.id}'", 0), ("me", 1)):
            with as_owner(app, numbers["ann"] if not setting else None):
                if setting:
                    app.execute(setting.replace("me", f"SET LOCAL bfai.worker = '{worker.id}'"))
                assert app.execute(count).fetchone() == (jobs,), setting
        with as_owner(app, numbers["ann"]):
            app.execute(f"SET LOCAL bfai.worker = '{worker.id}'")
            assert app.execute(count).fetchone() == (0,)
        god.execute("DELETE FROM bfai_jobs.procrastinate_jobs")


def others_rows(app: Any, table: str, owner: int) -> int:
    key = "pk" if table == "owner" else "owner"
    return app.execute(f"SELECT count(*) FROM {table} WHERE {key} <> {owner}").fetchone()[0]


def test_a_database_from_before_gets_the_wall_between_owner_and_worker(
    fresh: str, postgres: Server, key: WorkerKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:9])
        past.setattr(database, "_WALLS", 1)
        worker = registered(fresh, key)
        for owner in ("ann", "bob"):
            with contextlib.closing(open_store(fresh, owner=owner)) as store:
                given(store, add(store), worker)
    beside = f"SET LOCAL bfai.worker = '{worker.id}'"
    queue = "SELECT count(*) FROM pg_policies WHERE schemaname = 'bfai_jobs' AND policyname = 'workers'"
    with psycopg.connect(fresh, autocommit=True) as db:
        app: Any = db
        (before,) = app.execute(queue).fetchone()
        with as_owner(app, 1):
            app.execute(beside)
            assert others_rows(app, "delegation", 1) and others_rows(app, "owner", 1), "it was open"
        assert registered(fresh, key) == worker
        with as_owner(app, 1):
            app.execute(beside)
            assert not others_rows(app, "delegation", 1) and not others_rows(app, "owner", 1)
        with as_owner(app, None):
            app.execute(beside)
            assert app.execute("SELECT count(*) FROM delegation").fetchone() == (2,), "delegations stay"
        assert app.execute(queue).fetchone() == (before,)
        new = app.execute(f"{queue} AND qual LIKE '%bfai.owner%'").fetchone()
        assert new == (before,), "the queue was made anew"
    # The program from before is told so.
    monkeypatch.setattr(database, "_WALLS", 1)
    with pytest.raises(StoreTooNew):
        Process(fresh, key, name="server", clock=lambda: T0)


# What it may do


@contextlib.contextmanager
def bench(url: str, person: str = "ann") -> Iterator[Workbench]:
    """A hosted workbench whose vault is open. It is made where there is none."""
    store = open_store(url, owner=owner_of("issuer", person))
    vault = Vault.unlock(store, PASSWORD, cost=CHEAP) if store.vault() else Vault.create(store, PASSWORD, cost=CHEAP)
    with Workbench(store, mode=Mode.HOSTED, gateway=Gateway.from_environment(), vault=vault) as found:
        yield found


def put_in(workbench: Workbench, simulator: Simulator, account: str, replaces: str | None = None) -> Connection:
    draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", account), replaces=replaces)
    workbench.start_draft_test(draft.id).wait(20)
    return workbench.save_draft(draft.id, name="Main")


@pytest.fixture
def url(postgres_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    return postgres_url


def last_actions(workbench: Workbench, count: int) -> list[str]:
    return [entry.action for entry in reversed(workbench.audit_entries(count))]


def test_a_worker_tests_what_was_delegated_while_the_vault_is_locked(
    url: str, simulator: Simulator, key: WorkerKey, worker: Worker, tmp_path: Path
) -> None:
    with bench(url) as ann:
        connection = put_in(ann, simulator, "no_futures")
        other = WorkerKey.make(tmp_path / "other")
        ann.delegate(connection.id, worker.id)
        assert ann.delegated_to(connection.id) == (worker, ann.delegated_to(connection.id)[1])  # pyright: ignore
        assert last_actions(ann, 1) == ["delegated"]
        rotated = ann.rotate_vault(PASSWORD)
        assert rotated.connections == 1 and ann.delegated_to(connection.id), "it is not under the vault's key"
        later = ann.schedule(connection.id).next_at  # pyright: ignore
    with Workbench.hosted(url, owner_of("issuer", "ann")) as locked:
        assert not locked.is_open
        clock = lambda: later + SECOND  # noqa: E731
        assert locked.start_delegated_test(connection.id, other, clock) is None, "another worker's"
        assert locked.start_delegated_test(connection.id, key) is None, "not due"
        job = locked.start_delegated_test(connection.id, key, clock)
        assert job is not None and job.wait(20).status is Status.ONLINE
        assert locked.start_delegated_test(connection.id, key, clock) is None, "once"
        assert locked.count_runs() == 2
        locked.revoke_delegation(connection.id)
        assert locked.start_delegated_test(connection.id, key, lambda: later + 9 * HOUR) is None
        assert locked.count_runs() == 2 and last_actions(locked, 1) == ["delegation_revoked"]


def test_a_new_key_is_sealed_anew_and_a_changed_row_stays_sealed(
    url: str, simulator: Simulator, key: WorkerKey, worker: Worker, postgres: Server
) -> None:
    with bench(url) as ann, bench(url, "bob") as bob:
        mine, theirs = put_in(ann, simulator, "no_futures"), put_in(bob, simulator, "good")
        ann.delegate(mine.id, worker.id)
        bob.delegate(theirs.id, worker.id)
        with open_as(url, "ann") as store:
            assert key.open(store.owner, mine.id, store.delegation(mine.id)) == sample(simulator, "mexc", "no_futures")
            put_in(ann, simulator, "good", replaces=mine.id)
            assert last_actions(ann, 4) == ["delegation_revoked", "rotated", "tested", "delegated"]
            fresh = sample(simulator, "mexc", "good")
            assert key.open(store.owner, mine.id, store.delegation(mine.id)) == fresh
        with postgres.admin("shared") as god:  # each other's key
            god.execute("SET search_path = bfai")
            swap = "UPDATE delegation d SET sealed = (SELECT sealed FROM delegation e WHERE e.id <> d.id)"
            assert god.execute(swap).rowcount == 2
        job_at = lambda: mine.created_at + 9 * HOUR  # noqa: E731
        with pytest.raises(DelegationDamaged):
            ann.start_delegated_test(mine.id, key, job_at)
        assert ann.start_delegated_test(mine.id, key, job_at) is None, "it waits for its next turn"
        ann.delete_everything()
        assert [one.id for one in bob.connections() if bob.delegated_to(one.id)] == [theirs.id]


@contextlib.contextmanager
def open_as(url: str, person: str) -> Iterator[Store]:
    with contextlib.closing(open_store(url, owner=owner_of("issuer", person))) as store:
        yield store


def test_only_an_open_vault_delegates_and_only_a_key_that_cannot_withdraw(
    url: str, simulator: Simulator, worker: Worker
) -> None:
    with bench(url) as ann:
        connection = put_in(ann, simulator, "no_futures")
        with pytest.raises(UnknownWorker):
            ann.delegate(connection.id, "another")
        simulator.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_WITHDRAW_WRITE")
        ann.start_test(connection.id).wait(20)
        with pytest.raises(NotSavable, match="can withdraw"):
            ann.delegate(connection.id, worker.id)
        ann.lock()
        with pytest.raises(BfaiError):
            ann.delegate(connection.id, worker.id)
        assert ann.delegated_to(connection.id) is None


def test_a_key_that_no_exchange_told_of_is_not_delegated(url: str, simulator: Simulator, worker: Worker) -> None:
    """It is stored while the exchange is closed, and may be one that can withdraw."""
    with bench(url) as ann:
        draft = ann.draft(Target(exchange="mexc"), sample(simulator, "mexc", "withdraw"))
        with simulator.faults({"exchange": "mexc", "kind": "maintenance"}):
            ann.start_draft_test(draft.id).wait(20)
        connection = ann.save_draft(draft.id, name="Main")
        assert connection.status is Status.FAILED
        with pytest.raises(NotSavable, match="last test passed"):
            ann.delegate(connection.id, worker.id)
        assert ann.delegated_to(connection.id) is None


def test_a_delegation_ends_with_the_test_that_finds_the_right_to_withdraw(
    url: str, simulator: Simulator, worker: Worker
) -> None:
    with bench(url) as ann:
        connection = put_in(ann, simulator, "no_futures")
        ann.delegate(connection.id, worker.id)
        with simulator.faults({"exchange": "mexc", "kind": "maintenance"}):
            ann.start_test(connection.id).wait(20)
        assert ann.delegated_to(connection.id) is not None
        simulator.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_WITHDRAW_WRITE")
        ann.start_test(connection.id).wait(20)
        assert ann.delegated_to(connection.id) is None
        assert "delegation_revoked" in last_actions(ann, 3)


def test_what_was_taken_back_does_not_return_with_a_backup(url: str, simulator: Simulator, worker: Worker) -> None:
    with bench(url) as ann:
        connection = put_in(ann, simulator, "no_futures")
        ann.delegate(connection.id, worker.id)
        found, _ = ann.backups.open(io.BytesIO(ann.backups.download().content), PASSWORD)
        ann.restore_backup(found, replace=True)
        assert ann.connection(connection.id) is not None and ann.delegated_to(connection.id) is None
        assert last_actions(ann, 1) == ["delegation_revoked"]
