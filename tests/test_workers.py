"""Several worker processes on one PostgreSQL: every due test is done once, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from bfai import cli as command_line
from bfai.delegation import FORMAT, WorkerKey, fingerprint, seal_to
from bfai.model import Connection, Target, utc_now
from bfai.simulator import Simulator
from bfai.store import Delegation, Store, Worker, open_store
from bfai.vault import Vault
from tests.helpers import sample
from tests.monitor_children import CHEAP
from tests.postgres import PASSWORD as DATABASE_PASSWORD

ROOT = Path(__file__).parent.parent
SECONDS = 6.0  # how long a lease holds
OWNERS = ("ann", "bob", "cyd")
EXCHANGES = ("mexc", "kucoin", "bybit", "okx")
EVERY = timedelta(minutes=5)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals"),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


class Crew:
    """Processes of `python -m bfai worker` with one key, and what they said."""

    def __init__(self, url: str, simulator: Simulator, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "BFAI_DATABASE_URL": url,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "BFAI_LANGUAGE": "en",
            "BFAI_WORKER_KEY_FILE": str(folder / "key"),
            "PYTHONPATH": str(ROOT),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        made = self.run("-m", "bfai", "worker", "--new-key", str(folder / "key"), "--name", "The server")
        assert made.returncode == 0, made.stderr
        self.key = WorkerKey.read(folder / "key")
        assert made.stdout.strip() == fingerprint(self.key.id)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def start(self, name: str) -> None:
        command = [sys.executable, str(ROOT / "tests" / "short_times.py"), str(SECONDS), "bfai", "worker"]
        with (self._folder / name).open("wb") as log:
            self._running[name] = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        self.wait(lambda: "Works with the key" in self.said(name))

    def said(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    def tested(self, *names: str) -> list[str]:
        """The connections that they say they have tested."""
        return [one for name in names for one in re.findall(r"connection=(\w+) status=", self.said(name))]

    def wait(self, done: Callable[[], object], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, {name: self.said(name)[-2000:] for name in self._running}
            time.sleep(0.05)

    def end(self, name: str, number: int) -> int:
        self._running[name].send_signal(number)
        return self._running[name].wait(60)

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@pytest.fixture
def crew(postgres_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Crew]:
    found = Crew(postgres_url, simulator, tmp_path)
    yield found
    found.close()


@contextlib.contextmanager
def of(url: str, owner: str) -> Iterator[Store]:
    with contextlib.closing(open_store(url, owner=owner)) as store:
        yield store


def furnish(url: str, owner: str, worker: Worker, simulator: Simulator) -> list[Connection]:
    """A vault with a connection at each exchange, all of them delegated and not due."""
    with of(url, owner) as store:
        vault, now = Vault.create(store, "correct horse", cost=CHEAP), utc_now()
        for exchange in EXCHANGES:
            keys = sample(simulator, exchange, "good")
            connection = Connection(
                id=f"{owner}{exchange}",
                name=f"{exchange} of {owner}",
                target=Target(exchange=exchange),
                key_hint=keys.hint,
                created_at=now,
                key_since=now,
            )
            store.add_connection(connection, vault.seal(connection.id, keys), f"{owner}{exchange}".encode())
            sealed = seal_to(worker, owner, connection.id, keys)
            store.delegate(connection.id, Delegation(worker.id, FORMAT, sealed, now))
        return store.connections()


def make_due(url: str, connections: dict[str, list[Connection]]) -> datetime:
    """All of them, from now on, every five minutes."""
    now = utc_now()
    for owner, theirs in connections.items():
        with of(url, owner) as store:
            for connection in theirs:
                store.set_schedule(connection.id, EVERY, now, now)
    return now


def runs(url: str) -> dict[str, list[datetime]]:
    """When each connection was tested."""
    found: dict[str, list[datetime]] = {}
    for owner in OWNERS:
        with of(url, owner) as store:
            for run in store.runs(newest_first=False):
                assert run.status.ok, run
                found.setdefault(run.connection_id, []).append(run.started_at)
    return found


def test_each_due_test_is_done_once_and_none_is_lost_with_who_is_killed(
    crew: Crew, postgres_url: str, simulator: Simulator
) -> None:
    worker = Worker(crew.key.id, "The server", crew.key.public, utc_now())
    theirs = {owner: furnish(postgres_url, owner, worker, simulator) for owner in OWNERS}
    everything = sorted(one.id for those in theirs.values() for one in those)
    for name in ("one", "two"):
        crew.start(name)

    # Everything is due at once, twice: each is tested once each time.
    asked: list[Counter[tuple[object, object]]] = []
    for turn in (1, 2):
        simulator.forget()
        make_due(postgres_url, theirs)
        crew.wait(lambda turn=turn: len(crew.tested("one", "two")) >= turn * len(everything))
        assert Counter(crew.tested("one", "two")) == dict.fromkeys(everything, turn)
        asked.append(Counter((one["exchange"], one["path"]) for one in simulator.seen if one["account"] == "good"))
    assert asked[0] == asked[1] and {exchange for exchange, _ in asked[0]} == set(EXCHANGES)
    assert all(count % len(OWNERS) == 0 for count in asked[0].values()), "as many requests with a key as tests"
    assert {name: len(times) for name, times in runs(postgres_url).items()} == dict.fromkeys(everything, 2)

    # What was taken back is not tested, although a job for it waits, and that is no error.
    with of(postgres_url, "cyd") as store:
        for one in theirs.pop("cyd"):
            assert store.revoke_delegation(one.id)

    # One is killed while its tests are under way: the other does them when their leases end.
    simulator.set_faults([{"exchange": one, "latency_ms": 800} for one in EXCHANGES])
    began = make_due(postgres_url, theirs)

    def held() -> set[str]:
        return {
            one.connection_id for owner in theirs for one in schedules(postgres_url, owner) if one.is_held(utc_now())
        }

    crew.wait(lambda: len(held()) >= 4)
    crew.end("one", signal.SIGKILL)
    simulator.set_faults([])
    left = {one.id for those in theirs.values() for one in those}
    crew.wait(lambda: all(times[-1] > began for name, times in runs(postgres_url).items() if name in left))
    third = {name: [at for at in times if at > began] for name, times in runs(postgres_url).items()}
    assert {name for name, times in third.items() if times} == left, "what was taken back is left alone"
    assert all(len(times) == 1 for name, times in third.items() if name in left), third
    for times in runs(postgres_url).values():
        assert all(later > earlier for earlier, later in pairwise(times))

    # The last one ends when it is asked to, and nothing that it wrote is anybody's but the owners'.
    assert crew.end("two", signal.SIGTERM) == 0
    for name in ("one", "two"):
        said = crew.said(name)
        assert "Traceback" not in said and "could not be tested" not in said, said
        for secret in (DATABASE_PASSWORD, "correct horse", " of ann", *secrets(simulator)):
            assert secret not in said, name


def schedules(url: str, owner: str) -> list:
    with of(url, owner) as store:
        return store.schedules()


def secrets(simulator: Simulator) -> list[str]:
    return [secret for one in EXCHANGES for secret in sample(simulator, one, "good").secrets()]


def test_what_is_missing_is_said_in_words(tmp_path: Path) -> None:
    address, file = "postgresql://bfai@127.0.0.1/nobody", str(tmp_path / "nothing")
    for url, key, code, words in (
        ("sqlite:///x.db", file, 2, "Workers share a PostgreSQL database."),
        (address, "", 2, "Set BFAI_WORKER_KEY_FILE"),
        (address, file, 1, "There is no worker's key in"),
    ):
        given = {"BFAI_DATABASE_URL": url, "BFAI_WORKER_KEY_FILE": key, "BFAI_LANGUAGE": "en"}
        done = CliRunner().invoke(command_line.main, ["worker"], env=given)
        assert (done.exit_code, words in done.stderr, done.stdout) == (code, True, ""), done.stderr
