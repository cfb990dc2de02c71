"""Monitors and apps on one store that are killed at any moment: nothing is lost, nothing is done or told twice."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bfai.simulator import Simulator
from bfai.store import open_store
from bfai.vault import Vault
from tests.kills import OUTAGES, Weather, dice, furnish, look, newest, open_deliveries
from tests.monitor_children import CHEAP, PASSWORD
from tests.test_alerts import Receiver, receiver

__all__ = ["receiver"]  # a fixture

ROUNDS = 40
SECONDS = 4.0  # how long a lease and a claim hold; a busy computer stands still for two
EVERY = timedelta(seconds=5)  # longer than a lease: a run that is stored and not counted would show
SCHEDULED = ("mexc", "kucoin", "bybit", "okx", "bitget", "bingx", "gate")
BY_HAND = ("binance", "htx")
SCHEDULES = {**dict.fromkeys(SCHEDULED, EVERY), **dict.fromkeys(BY_HAND)}
ROOT = Path(__file__).parent.parent
_log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


@pytest.fixture
def url(tmp_path: Path, simulator: Simulator, receiver: Receiver) -> str:
    """A store with connections that are tested every five seconds, and two that are tested by hand."""
    found = f"sqlite:///{tmp_path}/bfai.db"
    with contextlib.closing(open_store(found)) as store:
        furnish(store, Vault.create(store, PASSWORD, cost=CHEAP), simulator, receiver, SCHEDULES)
    return found


class Children:
    """Programs on one store, what they said, and the way to kill them."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        environment = {
            **os.environ,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "BFAI_LANGUAGE": "en",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, str(ROOT / "tests" / "monitor_children.py"), url, str(SECONDS)]
        self._mother = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
        )
        self.pids: dict[str, int] = {}
        self.runs: list[tuple[str, str, str]] = []
        self.killed = 0
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

    def hear_until(self, done: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.pids, Counter(name for name, *_ in self.runs))
            self.hear(0.05)

    def count(self, name: str) -> int:
        """How many results it has told."""
        return sum(who == name for who, *_ in self.runs)

    @property
    def told(self) -> set[str]:
        """The runs of which they said that they are stored."""
        return {run for *_, run in self.runs}

    def start(self, *kinds: str) -> None:
        """One of each kind, called by it."""
        for kind in kinds:
            self.start_named(kind, kind)

    def start_named(self, kind: str, name: str) -> None:
        assert self._mother.stdin is not None
        self._mother.stdin.write(f"{kind} {name}\n")
        self.hear_until(lambda: name in self.pids)

    def kill(self, *names: str) -> None:
        for name in names:
            os.kill(self.pids.pop(name), signal.SIGKILL)
        self.killed += len(names)

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


def test_two_programs_on_one_store_divide_the_work(url: str, children: Children) -> None:
    children.start_named("monitor", "one")
    children.start_named("monitor", "two")
    twice = 2 * len(SCHEDULED)
    children.hear_until(lambda: {name for name, *_ in children.runs} == {"one", "two"} and len(children.runs) >= twice)
    children.close()
    look(url, children.told, SCHEDULES, None)
    assert {name for _, name, _ in children.runs} == set(SCHEDULED), "what is off stays off"


def test_kill_9_of_monitor_and_app_at_any_moment(
    url: str, children: Children, simulator: Simulator, receiver: Receiver
) -> None:
    """Every fifth time the power fails: both are killed when a message has arrived, which is answered or not."""
    chance = dice()
    weather = Weather(simulator, SCHEDULES, chance)
    kinds = ("monitor", "app")
    children.start(*kinds)
    for number in range(ROUNDS):
        weather.change(chance.choice(SCHEDULED))
        weather.change(chance.choice(BY_HAND), OUTAGES)
        if number % 5 == 0:
            receiver.release.clear()
            receiver.answer = chance.choice((0, 200))
            before = len(receiver.messages)
            children.hear_until(lambda before=before: len(receiver.messages) > before)
            children.kill(*kinds)
            receiver.answer = 200
            receiver.release.set()
            children.start(*kinds)
            continue
        kind = chance.choice(kinds)
        if number % 2:  # one that has done something, however slow this machine is
            before, kind = children.count("app"), "app"
            children.hear_until(lambda before=before: children.count("app") > before)
        children.hear(chance.uniform(0.02, 0.8))
        children.kill(kind)
        children.start(kind)
    weather.clear()
    children.kill(*kinds)
    children.hear(0.2)
    assert len(children.runs) >= ROUNDS
    # A fresh one finds everything free again when the leases and claims of the killed ones have ended.
    before = newest(url)
    children.start("app")
    children.hear_until(lambda: all(newest(url)[one] != before[one] for one in before) and not open_deliveries(url))
    children.close()
    found = look(url, children.told, SCHEDULES, receiver)
    _log.warning("%d kills: %s", children.killed, found)
    assert found.repetitions, "of those that were killed while a message was not answered"
    assert found.events["strategy_suspended"] and found.events["strategy_resumed"]
