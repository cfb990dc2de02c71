"""Monitors and apps on one store that are killed at any moment: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from bfai.exchanges import get_exchange
from bfai.model import Connection, Target, utc_now
from bfai.simulator import Simulator
from bfai.store import RunRow, Store, open_store
from bfai.vault import Vault
from tests.helpers import sample
from tests.monitor_children import CHEAP, PASSWORD

KILLS = 50
LEASE_SECONDS = 2.5
EVERY = timedelta(seconds=4)  # longer than a lease: a run that is stored and not counted would show
SCHEDULED = ("mexc", "kucoin", "bybit", "okx", "bitget", "bingx", "gate")
BY_HAND = ("binance", "htx")
ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


@pytest.fixture
def url(tmp_path: Path, simulator: Simulator) -> str:
    """A store with connections that are tested every four seconds, and two that are tested by hand."""
    found = f"sqlite:///{tmp_path}/bfai.db"
    with contextlib.closing(open_store(found)) as store:
        vault, now = Vault.create(store, PASSWORD, cost=CHEAP), utc_now()
        for exchange in (*SCHEDULED, *BY_HAND):
            credentials = sample(simulator, exchange, "good")
            target = Target(exchange=exchange, region=get_exchange(exchange).regions[0].id)
            connection = Connection(
                id=exchange,
                name=exchange,
                target=target,
                key_hint=credentials.hint,
                created_at=now,
                key_since=now,
            )
            store.add_connection(connection, vault.seal(exchange, credentials), os.urandom(16))
            store.set_schedule(exchange, EVERY if exchange in SCHEDULED else None, now, now)
    return found


class Children:
    """Programs on one store, what they said, and the way to kill them."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        environment = {
            **os.environ,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, str(ROOT / "tests" / "monitor_children.py"), url, str(LEASE_SECONDS)]
        self._mother = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
        )
        self.pids: dict[str, int] = {}
        self.runs: list[tuple[str, str, str]] = []
        self._lines: queue.Queue[list[str]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._mother.stdout is not None
        for line in self._mother.stdout:
            self._lines.put(line.split())

    def hear(self, seconds: float) -> None:
        """Listens so long to what they say."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                word, *rest = self._lines.get(timeout=left)
                assert word != "failed", " ".join(rest)
                if word == "pid":
                    self.pids[rest[0]] = int(rest[1])
                else:
                    self.runs.append((rest[0], rest[1], rest[2]))

    def hear_until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.pids, Counter(name for name, *_ in self.runs))
            self.hear(0.05)

    def count(self, name: str) -> int:
        """How many results it has told."""
        return sum(who == name for who, *_ in self.runs)

    def start(self, kind: str, name: str) -> None:
        assert self._mother.stdin is not None
        self._mother.stdin.write(f"{kind} {name}\n")
        self.hear_until(lambda: name in self.pids)

    def kill(self, name: str) -> None:
        os.kill(self.pids.pop(name), signal.SIGKILL)

    def close(self) -> None:
        for name in list(self.pids):
            with contextlib.suppress(ProcessLookupError):
                self.kill(name)
        self._mother.kill()
        self._mother.wait()
        self.hear(0.2)


@pytest.fixture
def children(url: str, simulator: Simulator) -> Iterator[Children]:
    found = Children(url, simulator)
    yield found
    found.close()


def look(url: str, children: Children) -> None:
    """All that was said is stored once, and no connection was tested twice in its interval, or twice at a time."""
    with contextlib.closing(open_store(url)) as store:
        stored = {row.id: row for row in store.runs()}
        said = [run for _, _, run in children.runs]
        assert set(said) <= set(stored), "a result that was told is lost"
        for connection_id in (*SCHEDULED, *BY_HAND):
            rows = sorted((row for row in stored.values() if row.connection_id == connection_id), key=_start)
            for before, row in pairwise(rows):
                gap = row.started_at - before.started_at
                assert gap >= timedelta(milliseconds=before.duration_ms), f"{connection_id}: two at a time"
                if connection_id in SCHEDULED:
                    assert gap >= EVERY, f"{connection_id} twice in {gap}"
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def _start(row: RunRow) -> datetime:
    return row.started_at


def newest(store: Store) -> dict[str, str]:
    return {connection.id: connection.last_run_id or "" for connection in store.connections()}


def test_two_programs_on_one_store_divide_the_work(url: str, children: Children) -> None:
    children.start("monitor", "one")
    children.start("monitor", "two")
    children.hear_until(lambda: {name for name, *_ in children.runs} == {"one", "two"} and len(children.runs) >= 25)
    children.close()
    look(url, children)
    assert {name for _, name, _ in children.runs} == set(SCHEDULED), "what is off stays off"


def test_kill_9_of_monitor_and_app_at_any_moment(url: str, children: Children) -> None:
    random.seed()
    kinds = ("monitor", "app")
    for kind in kinds:
        children.start(kind, kind)
    for number in range(KILLS):
        kind = random.choice(kinds)
        if number % 2:  # one that has done something, however slow this machine is
            before, kind = children.count("app"), "app"
            children.hear_until(lambda before=before: children.count("app") > before)
        children.hear(random.uniform(0.02, 0.8))
        children.kill(kind)
        children.start(kind, kind)
    for kind in kinds:
        children.kill(kind)
    children.hear(0.2)
    look(url, children)
    assert len(children.runs) >= KILLS // 2
    # A fresh one finds everything free again when the leases of the killed ones have ended.
    with contextlib.closing(open_store(url)) as store:
        before = newest(store)
        children.start("app", "last")
        children.hear_until(lambda: all(newest(store)[one] != before[one] for one in before))
    children.close()
    look(url, children)
