"""The app itself, with its vault open in a browser, beside `python -m bfai monitor`: both killed at any moment."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bfai.simulator import Simulator
from bfai.store import open_store
from bfai.vault import Vault
from tests.app.conftest import PASSWORD
from tests.browser.conftest import LOOPBACK, ROOT, Server
from tests.kills import OUTAGES, Weather, dice, furnish, look, newest, open_deliveries
from tests.test_alerts import Receiver, receiver

__all__ = ["receiver"]  # a fixture

BOTH = ("app", "monitor")
KILLS = [
    ("while a message is not answered", BOTH),
    ("while a message is not answered", BOTH),
    ("while the vault is opened", ("app",)),
    ("after a test", ("app",)),
    ("after a test", ("monitor",)),
    ("any time", ("monitor",)),
    ("any time", ("monitor",)),
    ("any time", BOTH),
]
SECONDS = 5.0  # how long a lease and a claim hold
EVERY = timedelta(seconds=7)
SCHEDULED = ("mexc", "kucoin", "bybit", "okx", "bingx")
BY_HAND = "htx"
SCHEDULES = {**dict.fromkeys(SCHEDULED, EVERY), BY_HAND: None}
STARTER = (str(ROOT / "tests" / "short_times.py"), str(SECONDS))
LINE = re.compile(r'^(\S+)Z connection="(\w+)" status=(\w+) ms=(\d+)')
_log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]


def wait_until(done: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Programs:
    """The app and the monitor on one store, as often as they are started again."""

    def __init__(self, environment: dict[str, str], directory: Path, page: Page) -> None:
        self.page = page
        self.killed = 0
        self._environment = environment
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[Path] = []

    def _log(self, kind: str) -> Path:
        self._logs.append(self._directory / f"{kind}{len(self._logs)}.log")
        return self._logs[-1]

    def start(self, *kinds: str) -> None:
        """The app with its vault open and a test by hand that has begun; the monitor begins to start."""
        if "monitor" in kinds:
            command = [sys.executable, *STARTER, "bfai", "monitor"]
            environment = {**os.environ, **self._environment}
            with self._log("monitor").open("wb") as log:
                self._running["monitor"] = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        if "app" in kinds:
            self.start_app()
            self.page.get_by_role("button", name=re.compile(r"\bTest$")).click()

    def start_app(self) -> None:
        """Up to the click that opens the vault."""
        server = Server(self._environment, *LOOPBACK, log=self._log("app"), starter=STARTER)
        self._running["app"] = server._process
        self.page.goto(f"{server.address}/history?connection={BY_HAND}&view=history")
        self.page.get_by_label("Master password", exact=True).fill(PASSWORD)
        unlock = self.page.get_by_role("button", name="Unlock")
        expect(unlock).to_be_enabled()
        unlock.click()

    def kill(self, *kinds: str) -> None:
        for kind in kinds:
            assert self._running[kind].poll() is None, f"the {kind} ended by itself: {self.said()}"
            self._running[kind].kill()
        for kind in kinds:
            self._running.pop(kind).wait(10)
        self.killed += len(kinds)

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(10)

    def said(self) -> str:
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in self._logs)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bfai.db"


@pytest.fixture
def programs(
    browser: Browser, simulator: Simulator, receiver: Receiver, url: str, tmp_path: Path
) -> Iterator[Programs]:
    with closing(open_store(url)) as store:
        furnish(store, Vault.create(store, PASSWORD), simulator, receiver, SCHEDULES)
    environment = {
        "BFAI_DATABASE_URL": url,
        "BFAI_GATEWAY": simulator.gateway,
        "BFAI_GATEWAY_CA": str(simulator.ca_file),
        "BFAI_MASTER_PASSWORD": PASSWORD,
        "BFAI_LANGUAGE": "en",
        "PYTHONPATH": str(ROOT),
    }
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    found = Programs(environment, tmp_path, context.new_page())
    yield found
    found.close()
    context.close()
    assert "Traceback" not in found.said(), found.said()


def stored(url: str) -> set[str]:
    with closing(open_store(url)) as store:
        return {row.id for row in store.runs()}


def look_at_lines(url: str, said: str) -> int:
    """For each test that a monitor told of, one is stored. How many lines there were."""
    with closing(open_store(url)) as store:
        left = store.runs()
    lines = [found for line in said.splitlines() if (found := LINE.match(line))]
    for line in lines:
        told, (connection, status, ms) = datetime.fromisoformat(f"{line[1]}+00:00"), line.groups()[1:]
        fitting = (
            row
            for row in left
            if (row.connection_id, row.status.value, f"{row.duration_ms:.0f}") == (connection, status, ms)
            and timedelta(0) <= told - row.started_at < timedelta(seconds=20)
        )
        row = next(fitting, None)
        assert row is not None, f"lost: {line[0]}"
        left.remove(row)
    return len(lines)


def test_kill_9_of_the_app_in_a_browser_and_of_the_monitor(
    programs: Programs, url: str, simulator: Simulator, receiver: Receiver
) -> None:
    chance, seen = dice(), set[str]()
    weather = Weather(simulator, SCHEDULES, chance)
    programs.start("app")
    wait_until(lambda: all(newest(url)[one] for one in SCHEDULED))  # the app alone, while its vault is open
    programs.start("monitor")
    for moment, kinds in chance.sample(KILLS, len(KILLS)):
        for exchange in chance.sample(SCHEDULED, 2):
            weather.change(exchange)
        weather.change(BY_HAND, OUTAGES)
        if moment == "while a message is not answered":
            receiver.release.clear()
            receiver.answer, before = 0, len(receiver.messages)
            wait_until(lambda before=before: len(receiver.messages) > before)
        elif moment == "while the vault is opened":
            programs.kill("app")
            programs.start_app()
            time.sleep(chance.uniform(0.0, 0.5))
        elif moment == "after a test":
            before = newest(url)
            wait_until(lambda before=before: newest(url) != before)
            time.sleep(chance.uniform(0.0, 0.3))
        else:
            time.sleep(chance.uniform(0.0, 3.0))
        programs.kill(*kinds)
        receiver.answer = 200
        receiver.release.set()
        seen |= stored(url)
        programs.start(*kinds)
    weather.clear()
    programs.kill("app")
    before = newest(url)
    wait_until(lambda: all(newest(url)[one] != before[one] for one in SCHEDULED) and not open_deliveries(url))
    programs.kill("monitor")
    found = look(url, seen, SCHEDULES, receiver)
    lines = look_at_lines(url, programs.said())
    _log.warning("%d kills: %s, %d lines of monitors", programs.killed, found, lines)
    assert lines
    assert found.repetitions, "of those that were killed while a message was not answered"
