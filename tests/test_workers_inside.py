"""Workers as threads of this process, on one PostgreSQL: what one of them, or one owner, must not do to the others."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bfai.worker
from bfai import addresses
from bfai.delegation import FORMAT, WorkerKey, seal_to
from bfai.model import Cause, Connection, Target, utc_now
from bfai.monitor import place
from bfai.simulator import Simulator
from bfai.store import Delegation, Pause, RunEnd, Worker
from bfai.workbench import Workbench
from bfai.worker import Worker as Process
from tests.helpers import sample
from tests.postgres import Server
from tests.test_store import a_run
from tests.test_workers import EVERY, of

pytestmark = pytest.mark.timeout(90)


class Floor:
    """Where workers work. `give` makes a connection and delegates it, `due` is from now on."""

    def __init__(self, url: str, simulator: Simulator, postgres: Server, folder: Path) -> None:
        self.url = url
        self._simulator = simulator
        self._postgres = postgres
        self._folder = folder
        self._stops: dict[int | None, Callable[[int, object], None]] = {}
        self._threads: list[threading.Thread] = []
        self._made: list[Process] = []

    def signal(self, _: int, stop: Any) -> None:
        """In the place of signal.signal, which is the main thread's alone."""
        self._stops.setdefault(threading.get_ident(), stop)

    def worker(self, name: str, **more: Any) -> Process:
        """One with a key of this name. Those of one name share it."""
        file = self._folder / name
        key = WorkerKey.read(file) if file.exists() else WorkerKey.make(file)
        self._made.append(Process(self.url, key, name=name, **more))
        return self._made[-1]

    def start(self, worker: Process) -> threading.Thread:
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def stop(self, thread: threading.Thread) -> None:
        self.wait(lambda: thread.ident in self._stops)
        self._stops[thread.ident](signal.SIGTERM, None)
        thread.join(40)
        assert not thread.is_alive()
        self._threads.remove(thread)

    def close(self) -> None:
        for thread in list(self._threads):
            self.stop(thread)
        for worker in self._made:
            worker.close()

    def give(self, owner: str, name: str, worker: Process, exchange: str = "mexc", proxy: str | None = None) -> None:
        key = worker._key
        with of(self.url, owner) as store:
            keys, now = sample(self._simulator, exchange, "good"), utc_now()
            if store.connection(name) is None:
                target = Target(exchange=exchange, egress_proxy=proxy)
                new = Connection(id=name, name=name, target=target, key_hint=keys.hint, created_at=now, key_since=now)
                store.add_connection(new, {}, name.encode())
            to = Worker(key.id, "", key.public, now)
            store.delegate(name, Delegation(key.id, FORMAT, seal_to(to, owner, name, keys), now))

    def due(self, owner: str, *names: str, every: timedelta = EVERY) -> datetime:
        now = utc_now()
        with of(self.url, owner) as store:
            for name in names:
                store.set_schedule(name, every, now, now)
        return now

    def tested(self, owner: str, since: datetime | None = None) -> list[str]:
        with of(self.url, owner) as store:
            return sorted(run.connection_id for run in store.runs() if since is None or run.started_at > since)

    def jobs(self) -> list[tuple[str, str, str]]:
        """Queue, connection and state of each."""
        query = "SELECT queue_name, args->>'connection', status::text FROM procrastinate_jobs ORDER BY id"
        return list(self.ask(query))

    def ask(self, query: str) -> Any:
        with self._postgres.admin("shared") as god:
            god.execute("SET search_path = bfai_jobs")
            done = god.execute(query)
            return done.fetchall() if done.description else []

    def wait(self, done: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.jobs()
            time.sleep(0.05)


@pytest.fixture
def floor(
    postgres: Server, postgres_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Floor]:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    for name, value in {"TICK_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.5, "DEAD_AFTER_SECONDS": 2.0}.items():
        monkeypatch.setattr(bfai.worker, name, value)
    monkeypatch.setattr(bfai.worker, "AGAIN_SECONDS", 0.5)
    found = Floor(postgres_url, simulator, postgres, tmp_path)
    if found.ask("SELECT to_regclass('bfai_jobs.procrastinate_jobs')")[0][0]:
        found.ask("TRUNCATE bfai_jobs.procrastinate_jobs, bfai_jobs.procrastinate_workers CASCADE")
    monkeypatch.setattr(signal, "signal", found.signal)
    try:
        yield found
    finally:
        found.close()


def test_what_waits_in_the_queue_of_a_retired_key_stops_nobody(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = floor.worker("old", at_once=1), floor.worker("new")
    for name in ("one", "two"):
        floor.give("ann", name, old)
    floor.give("bob", "bobs", new)
    gate = threading.Event()
    monkeypatch.setattr(old, "_test", lambda *_: gate.wait(60))
    try:
        floor.due("ann", "one", "two")
        floor.start(old)
        floor.wait(lambda: {job[2] for job in floor.jobs()} == {"doing", "todo"})
        for name in ("one", "two"):
            floor.give("ann", name, new)
        floor.due("ann", "one", "two")
        floor.due("bob", "bobs")  # last, behind those of ann
        floor.start(new)
        floor.wait(lambda: floor.tested("ann") == ["one", "two"] and floor.tested("bob") == ["bobs"])
    finally:
        gate.set()


def test_two_that_queue_the_same_at_once_queue_it_once(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = floor.worker("one", at_once=1)
    names = [f"c{number}" for number in range(3)]
    for name in names:
        floor.give("ann", name, worker)
    floor.due("ann", *names)
    # As if somebody else had queued the first two since this one looked.
    found = [("ann", name) for name in names]
    monkeypatch.setattr(worker._desk, "due", lambda *_: [found[0], found[1], found[0], found[1], found[2]])
    gate = threading.Event()
    monkeypatch.setattr(worker, "_test", lambda *_: gate.wait(60))
    try:
        floor.start(worker)
        floor.wait(lambda: {job[1] for job in floor.jobs()} == set(names))
    finally:
        gate.set()


def test_jobs_that_nobody_will_do_are_cleared_away(floor: Floor) -> None:
    old = floor.worker("old")
    for name in ("kept", "taken"):
        floor.give("ann", name, old)
    for name in ("kept", "taken"):
        for state in ("todo", "doing"):
            values = f"'{old._key.id}', 'test', '{{\"owner\": \"ann\", \"connection\": \"{name}\"}}', '{state}'"
            floor.ask(f"INSERT INTO procrastinate_jobs (queue_name, task_name, args, status) VALUES ({values})")
    with of(floor.url, "ann") as store:
        store.revoke_delegation("taken")
    floor.worker("new")
    assert [job[1:] for job in floor.jobs()] == [("kept", "todo"), ("kept", "doing")]


def test_a_job_whose_end_could_not_be_written_does_not_stay(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    from procrastinate.exceptions import ConnectorException
    from procrastinate.manager import JobManager

    finish, lost = JobManager.finish_job, list[object]()

    async def finish_but_once(self: Any, job: Any, **more: Any) -> None:
        if not lost:
            lost.append(job)
            raise ConnectorException
        await finish(self, job, **more)

    monkeypatch.setattr(JobManager, "finish_job", finish_but_once)
    worker = floor.worker("one")
    floor.give("ann", "main", worker)
    floor.due("ann", "main")
    floor.start(worker)
    floor.wait(lambda: lost)
    again = floor.due("ann", "main")
    floor.wait(lambda: floor.tested("ann", again) == ["main"])
    floor.wait(lambda: not floor.jobs())


def test_a_heartbeat_that_failed_once_goes_on(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    from procrastinate.exceptions import ConnectorException
    from procrastinate.manager import JobManager

    beat, failed = JobManager.update_heartbeat, list[datetime]()

    async def beat_but_once(self: Any, worker_id: int) -> None:
        if not failed:
            failed.append(utc_now())
            raise ConnectorException
        await beat(self, worker_id)

    monkeypatch.setattr(JobManager, "update_heartbeat", beat_but_once)
    floor.start(floor.worker("one"))
    last = "SELECT max(last_heartbeat) FROM procrastinate_workers"
    floor.wait(lambda: failed and floor.ask(last)[0][0] > failed[0])


def test_an_owner_whose_rows_are_locked_keeps_nobody_else_waiting(floor: Floor, postgres: Server) -> None:
    worker = floor.worker("one")
    names = [f"c{number:02}" for number in range(12)]
    for name in names:
        floor.give("ann", name, worker)
    floor.give("bob", "bobs", worker)
    with postgres.admin("shared") as god, god.transaction():
        floor.due("ann", *names)
        god.execute("SELECT 1 FROM bfai.owner WHERE name = 'ann' FOR NO KEY UPDATE")
        floor.start(worker)
        floor.wait(lambda: sum(job[2] == "doing" for job in floor.jobs()) >= 4)
        floor.due("bob", "bobs")
        floor.wait(lambda: floor.tested("bob") == ["bobs"])
        assert sum(job[1] in names and job[2] == "doing" for job in floor.jobs()) == 4, "half of the places"
    floor.wait(lambda: floor.tested("ann") == names)


def test_due_work_is_queued_by_turns_of_the_owners(floor: Floor) -> None:
    worker = floor.worker("one")
    for owner, names in (("ann", ("a1", "a2", "a3")), ("bob", ("b1",))):
        for name in names:
            floor.give(owner, name, worker)
            floor.due(owner, name)
    found = worker._desk.due(utc_now(), 9)
    assert found == [("ann", "a1"), ("bob", "b1"), ("ann", "a2"), ("ann", "a3")]
    assert worker._desk.due(utc_now(), 2) == found[:2]


def test_a_way_out_that_is_down_stops_nobody_else(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    worker = floor.worker("one")
    for number in range(3):
        floor.give("ann", f"ann{number}", worker, proxy="socks5://127.0.0.1:1")
    floor.give("bob", "bobs", worker)
    floor.due("ann", *(f"ann{number}" for number in range(3)))
    floor.due("bob", "bobs")
    with monkeypatch.context() as direct:  # behind a gateway no way out is used
        direct.delenv("BFAI_GATEWAY")
        direct.delenv("BFAI_GATEWAY_CA")
        for number in range(3):
            worker._test("ann", f"ann{number}")
    with of(floor.url, "ann") as store:
        assert {run.cause for run in store.runs()} == {Cause.LOCAL_NETWORK}
    worker._test("bob", "bobs")
    assert floor.tested("bob") == ["bobs"]


def test_workers_whose_clocks_differ_test_as_often_as_one(floor: Floor) -> None:
    workers = [floor.worker("one"), floor.worker("one", clock=lambda: utc_now() + timedelta(minutes=6))]
    floor.give("ann", "main", workers[0])
    floor.due("ann", "main")  # every five minutes
    for worker in workers * 2:
        worker._test("ann", "main")
    assert floor.tested("ann") == ["main"]


def test_a_worker_sets_its_clock_again(floor: Floor) -> None:
    wrong = [timedelta(minutes=-6)]
    worker = floor.worker("one", clock=lambda: utc_now() + wrong[0])
    floor.start(worker)
    wrong[0] = timedelta(minutes=-20)
    floor.wait(lambda: abs(worker._now() - utc_now()) < timedelta(seconds=5))


def test_failures_side_by_side_are_one_failure_of_the_exchange(floor: Floor, simulator: Simulator) -> None:
    worker = floor.worker("one")
    names = [f"c{number}" for number in range(6)]
    for name in names:
        floor.give("ann", name, worker, "kucoin")
    floor.due("ann", *names)
    simulator.set_faults([{"exchange": "kucoin", "latency_ms": 700, "status": 503}])
    threads = [threading.Thread(target=worker._test, args=("ann", name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with of(floor.url, "ann") as store:
        assert len(store.runs()) > 1, "side by side"
        (pause,) = store.pauses().values()
    assert pause.failures == 1 and pause.until - pause.since <= timedelta(minutes=1)


def test_nothing_is_put_off_to_the_end_of_a_pause_that_is_over(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = floor.worker("one")
    floor.give("ann", "main", worker)
    now = floor.due("ann", "main")
    with of(floor.url, "ann") as store, Workbench.hosted(floor.url, "ann") as bench:
        (connection,) = store.connections()
        where, until = place(connection.target), now + timedelta(minutes=32)
        store.take_lease("main", "somebody", now, now + timedelta(seconds=90))
        down = RunEnd("somebody", now, EVERY, now, where, Pause(6, now, until))
        store.add_run(a_run(connection, 1), end=down)
        put_off = bench._store.put_off_delegated

        def put_off_too_late(*given: Any) -> None:
            store.add_run(a_run(connection, 2), end=down._replace(pause=None))  # a test there went well
            put_off(*given)

        monkeypatch.setattr(bench._store, "put_off_delegated", put_off_too_late)
        assert bench.start_delegated_test("main", worker._key) is None
        assert store.pauses() == {}
    assert worker._desk.due(utc_now(), 9) == [("ann", "main")]


def test_a_worker_without_network_leaves_jobs_to_others(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, looks = floor.worker("one"), list[datetime]()
    floor.give("ann", "main", worker)
    floor.due("ann", "main")
    clock = worker._desk.clock
    monkeypatch.setattr(worker._desk, "clock", lambda: looks.append(utc_now()) or clock())
    worker._offline = Pause(1, utc_now(), utc_now() + timedelta(hours=1))
    values = f"""'{worker._key.id}', 'test', '{{"owner": "ann", "connection": "main"}}'"""
    floor.ask(f"INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ({values})")
    floor.start(worker)
    floor.wait(lambda: len(looks) >= 20)
    assert [job[1:] for job in floor.jobs()] == [("main", "todo")]
    worker._offline = None
    floor.wait(lambda: floor.tested("ann") == ["main"])
