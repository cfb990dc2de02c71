"""One run: troubled exchanges, four monitors on one database, and somebody who kills them, fills the disk, and restarts
the database. Then the look at all of it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bfai.model import Connection, Status, Target, utc_now
from bfai.simulator import Simulator
from bfai.store import Store, open_store
from bfai.vault import Vault
from tests.chaos import judge
from tests.chaos.monitors import CHEAP, NOT_NOW, PASSWORD
from tests.chaos.trouble import VERDICTS, Trouble, connections, credentials
from tests.postgres import PASSWORD as DATABASE_PASSWORD
from tests.postgres import Server, binaries

ROOT = Path(__file__).parent.parent.parent
NAMES: tuple[str, ...] = ("north", "east", "south", "west")
EVERY = timedelta(seconds=1)
DISK_MEGABYTES = 256
DATABASE = "chaos"
FULL = ("no space left", "StoreFull")


@dataclass(frozen=True)
class Plan:
    """What is to be done. `most` connections at each exchange; `minutes` is when it ends even with fewer tests."""

    tests: int
    store: str
    seed: int
    minutes: float = 600.0
    most: int | None = None
    kill_every: tuple[float, float] = (1.5, 4.0)
    attacks: int = 12
    """How often the disk is filled, or the database restarted."""
    lease_seconds: float = 8.0


class Monitors:
    """Four programs that are started again whenever they end, and what they say."""

    def __init__(self, url: str, folder: Path, simulator: Simulator, lease_seconds: float) -> None:
        temporary = folder / "tmp"
        temporary.mkdir()
        environment = {
            **os.environ,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "BFAI_LANGUAGE": "en",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
        }
        self._folder = folder
        command = [sys.executable, "-m", "tests.chaos.monitors", url, str(lease_seconds), str(folder)]
        self._mother = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "mother.log").open("wb"),
            text=True,
            bufsize=1,
            env=environment,
            cwd=folder,
            preexec_fn=_with_cores,  # noqa: PLW1509 - no thread of ours holds a lock that it needs
        )
        self.pids: dict[str, int] = {}
        self.codes: Counter[int] = Counter()
        self.told: list[tuple[str, str, Status]] = []
        self.full = 0
        self.killed = 0
        self.wanted = True
        self._offsets = dict.fromkeys(NAMES, 0)
        self._again: dict[str, float] = {}
        self._lines: queue.Queue[list[str]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._mother.stdout is not None
        for line in self._mother.stdout:
            self._lines.put(line.split())

    def start(self, name: str) -> None:
        assert self._mother.stdin is not None
        self._mother.stdin.write(f"{name}\n")

    def kill(self, name: str) -> None:
        if (pid := self.pids.pop(name, None)) is not None:
            os.kill(pid, signal.SIGKILL)
            self.killed += 1

    def step(self) -> None:
        """Hears who began and who ended, starts those again, and reads the logs."""
        with contextlib.suppress(queue.Empty):
            while True:
                word, name, number = self._lines.get_nowait()
                if word == "pid":
                    self.pids[name] = int(number)
                    continue
                self.codes[int(number)] += 1
                self.pids.pop(name, None)
                self._again[name] = time.monotonic() + (0.5 if int(number) >= 0 else 0.0)
        assert self._mother.poll() is None, (self._folder / "mother.log").read_text()
        for name, when in list(self._again.items()):
            if self.wanted and time.monotonic() >= when:
                del self._again[name]
                self.start(name)
        for name in NAMES:
            self._read_log(name)

    def _read_log(self, name: str) -> None:
        log = self._folder / f"{name}.log"
        if not log.exists():
            return
        with log.open("rb") as content:
            content.seek(self._offsets[name])
            whole, end, _ = content.read().rpartition(b"\n")
        self._offsets[name] += len(whole) + len(end)
        for line in whole.decode("utf-8", "replace").splitlines():
            self.full += any(word in line for word in FULL)
            if line.startswith("run "):
                _, connection_id, run_id, status = line.split()
                self.told.append((connection_id, run_id, Status(status)))

    def end(self, seconds: float) -> None:
        """Asks all of them to end, and waits."""
        self.wanted = False
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.pids and time.monotonic() < deadline:
            time.sleep(0.1)
            self.step()

    def close(self) -> None:
        self.wanted = False
        for name in list(self.pids):
            with contextlib.suppress(ProcessLookupError):
                self.kill(name)
        self._mother.kill()
        self._mother.wait()


def _with_cores() -> None:
    import resource  # not on Windows, where only the look is tested

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


class Disk:
    """A small disk that can be filled to its last byte, where this user may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=700", "chaos", str(folder)]
        self.mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while filler.write(b"\0" * size):
                        pass

    def relieve(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=False)


@contextlib.contextmanager
def _database(kind: str, folder: Path) -> Iterator[tuple[str, Disk | None, Server | None]]:
    if kind == "sqlite":
        disk = Disk(folder / "disk")
        try:
            yield f"sqlite:///{disk.folder}/bfai.db", disk, None
        finally:
            disk.close()
        return
    programs = binaries()
    if programs is None:
        raise SystemExit("no PostgreSQL is installed (apt-get install postgresql)")
    server = Server(programs)
    try:
        with server.admin() as db:
            db.execute(f"CREATE DATABASE {DATABASE} OWNER bfai")
        yield server.url(DATABASE), None, server
    finally:
        server.remove()


class Run:
    """A run of chaos. `say` hears how it goes."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], object]) -> None:
        self._plan, self._folder, self._say = plan, folder, say
        self._chance = random.Random(plan.seed)
        self.found = judge.Findings()
        self.attacks: Counter[str] = Counter()

    def go(self) -> judge.Findings:
        began = time.monotonic()
        with Simulator() as simulator, _database(self._plan.store, self._folder) as (url, disk, server):
            targets = connections(simulator, self._plan.most)
            journal = self._folder / "journal.jsonl"
            trouble = Trouble(simulator, targets, journal, self._plan.seed)
            with contextlib.closing(open_store(url)) as store:
                _furnish(store, simulator, targets)
            monitors = Monitors(url, self._folder, simulator, self._plan.lease_seconds)
            try:
                for name in NAMES:
                    monitors.start(name)
                trouble.calm = False
                self._attack(monitors, disk, server)
                trouble.rest()
                self._calm_down(monitors, url, trouble)
                monitors.end(60)
            finally:
                monitors.close()
                trouble.close()
            self.found.hold(not simulator.violations, f"dangerous requests: {simulator.violations[:3]}")
            self.found.hold(not simulator.errors, f"the simulator itself: {simulator.errors[:3]}")
            self.found.counts |= {
                "seconds": round(time.monotonic() - began),
                "kill -9": monitors.killed,
                **dict(self.attacks),
                "refusals for a full disk": monitors.full,
                **{
                    name: trouble.count[name]
                    for name in sorted(trouble.count, key=lambda name: ("fault" in name, name))
                },
            }
            self._judge(monitors, url, trouble, simulator, server)
        return self.found

    # -- the attack

    def _attack(self, monitors: Monitors, disk: Disk | None, server: Server | None) -> None:
        plan, chance = self._plan, self._chance
        deadline = time.monotonic() + plan.minutes * 60
        next_kill = time.monotonic() + chance.uniform(*plan.kill_every)
        said, began = 0.0, time.monotonic()
        done = 0
        while len(monitors.told) < plan.tests and time.monotonic() < deadline:
            time.sleep(0.05)
            monitors.step()
            if time.monotonic() >= next_kill:
                monitors.kill(chance.choice(NAMES))
                next_kill = time.monotonic() + chance.uniform(*plan.kill_every)
            share = max(len(monitors.told) / plan.tests, (time.monotonic() - began) / (plan.minutes * 60))
            if done < plan.attacks and share > (done + 1) / (plan.attacks + 1):
                done += 1
                if disk is not None and disk.mounted:
                    self._fill(monitors, disk)
                elif server is not None:
                    self._restart(monitors, server, fast=done % 2 == 0)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                rate = len(monitors.told) / (said - began + 0.001)
                self._say(
                    f"{len(monitors.told)} tests, {rate:.1f} a second, {monitors.killed} kills, {dict(self.attacks)}"
                )

    def _fill(self, monitors: Monitors, disk: Disk) -> None:
        """Until somebody noticed, and one is killed meanwhile."""
        before, deadline = monitors.full, time.monotonic() + 60
        disk.fill()
        while monitors.full < before + 4 and time.monotonic() < deadline:
            time.sleep(0.1)
            monitors.step()
        self.found.hold(monitors.full > before, "nobody noticed the full disk")
        monitors.kill(self._chance.choice(NAMES))
        self._wait(monitors, 2.0)
        disk.relieve()
        self.attacks["disk full"] += 1

    def _restart(self, monitors: Monitors, server: Server, *, fast: bool) -> None:
        server.stop(fast=fast)
        self._wait(monitors, self._chance.uniform(0.2, 2.0))
        server.start()
        self.attacks[f"database restarted, {'fast' if fast else 'immediate'}"] += 1

    def _wait(self, monitors: Monitors, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.05)
            monitors.step()

    def _calm_down(self, monitors: Monitors, url: str, trouble: Trouble) -> None:
        """Nothing goes wrong any more: every connection gets the verdict that its key deserves."""
        since, deadline, left = utc_now(), time.monotonic() + 120, ["all"]
        with contextlib.closing(open_store(url)) as store:
            while left and time.monotonic() < deadline:
                self._wait(monitors, 0.5)
                left = [one.id for one in store.connections() if not _as_documented(one, trouble, since)]
                left += [name for name in NAMES if name not in monitors.pids]
        self.found.hold(not left, f"not as documented in the end: {left}")
        self.found.counts["verdicts as documented in the end"] = len(_ids(url)) - len(left)

    # -- the look

    def _judge(
        self, monitors: Monitors, url: str, trouble: Trouble, simulator: Simulator, server: Server | None
    ) -> None:
        found = self.found
        self._say("looking at what is left")
        folders = [self._folder, *([server.home] if server is not None else [])]
        with contextlib.closing(open_store(url)) as store:
            of = {connection.id: connection for connection in store.connections()}
            runs = judge.look_at_rows(found, store, monitors.told, EVERY)
        judge.look_at_verdicts(found, runs, judge.read_journal(self._folder / "journal.jsonl"), of)
        if server is None:
            judge.look_into_sqlite(found, Path(url.removeprefix("sqlite:///")))
        else:
            judge.look_into_postgres(found, server, DATABASE)
        judge.look_for_crashes(found, sorted(self._folder.glob("*.log")), monitors.codes, (0, -9, NOT_NOW))
        secrets = [PASSWORD] if server is None else [PASSWORD, DATABASE_PASSWORD]
        for exchange, accounts in simulator.accounts.items():
            for name in accounts:
                secrets += credentials(simulator, exchange, name).secrets()
        judge.look_for_secrets(found, sorted(set(filter(None, secrets))), set(trouble.signatures), folders)


def _ids(url: str) -> list[str]:
    with contextlib.closing(open_store(url)) as store:
        return [connection.id for connection in store.connections()]


def _as_documented(connection: Connection, trouble: Trouble, since: datetime) -> bool:
    verdicts = VERDICTS[connection.target.exchange][connection.target.market]
    fresh = connection.last_tested_at is not None and connection.last_tested_at > since
    return fresh and connection.status.value in verdicts[trouble.kind(connection.id)]["status"]


def _furnish(store: Store, simulator: Simulator, targets: dict[str, tuple[Target, str]]) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    now = utc_now()
    for id_, (target, name) in targets.items():
        keys = credentials(simulator, target.exchange, name)
        connection = Connection(id=id_, name=id_, target=target, key_hint=keys.hint, created_at=now, key_since=now)
        store.add_connection(connection, vault.seal(id_, keys), vault.fingerprint(target.exchange, keys.api_key))
        store.set_schedule(id_, EVERY, now, now)


def table(found: judge.Findings) -> str:
    width = max(map(len, found.counts))
    lines = [f"{name:<{width}}  {_shown(value)}" for name, value in found.counts.items()]
    wrong = [f"WRONG: {what}" for what in found.wrong] or ["nothing is wrong"]
    return "\n".join((*lines, *wrong))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def run(plan: Plan, folder: Path | None = None, say: Callable[[str], object] = print) -> judge.Findings:
    """Does it in this folder, or in one that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="bfai-chaos-") if folder is None else contextlib.nullcontext(folder) as home
    ):
        return Run(plan, Path(home), say).go()
