"""Monitors to be killed: `python -m tests.chaos.monitors URL SECONDS FOLDER` forks one for each name on its input.

Each writes its own log in the folder: the line of every test as `bfai monitor` writes it, and `run CONNECTION RUN
STATUS` once a result is stored. On the shared output: `pid NAME PID` and `end NAME CODE`. What cannot be opened now
ends with code 3, and is for whoever started it to start again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import ccxt
import filelock  # noqa: F401 - imported here, so that the children need not
import sqlite_utils  # noqa: F401
from apscheduler.schedulers.background import BackgroundScheduler  # noqa: F401

from bfai.cli import _log_line
from bfai.engine import Engine, TestJob
from bfai.exchanges import all_exchanges
from bfai.model import BfaiError, Connection
from bfai.monitor import Monitor
from bfai.store import open_store
from bfai.transport import Gateway, prepare
from bfai.vault import Cost, UnlockBackoff, Vault
from bfai.workbench import Mode, Workbench
from tests.chaos.trouble import CALL_SECONDS
from tests.short_times import shorten

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall-green-lamp-post-4711"
TICK_SECONDS = 0.15
LAST_TESTS_SECONDS = 30.0
NOT_NOW = 3


def opened(url: str) -> Workbench:
    """The password is counted before it is tried, so a kill in between makes the next one wait."""
    store = open_store(url)
    while True:
        try:
            vault = Vault.unlock(store, PASSWORD, cost=CHEAP)
        except UnlockBackoff as error:
            time.sleep(error.seconds)
        else:
            break
    gateway = Gateway.from_environment()
    assert gateway is not None
    workbench = Workbench(store, mode=Mode.LOCAL, gateway=gateway, vault=vault)
    workbench._own_engine = Engine(gateway, call_seconds=CALL_SECONDS)
    return workbench


def work(url: str) -> int:
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())

    def note(connection: Connection, job: TestJob) -> None:
        said = [_log_line(connection, job)]
        if job.run is not None:
            said.append(f"run {connection.id} {job.run.id} {job.run.status.value}")
        os.write(2, "".join(f"{line}\n" for line in said).encode())

    try:
        workbench = opened(url)
    except BfaiError as error:
        os.write(2, f"not now: {error}\n".encode())
        return NOT_NOW
    monitor = Monitor(workbench, on_test=note)
    monitor.start(TICK_SECONDS)
    while not asked.wait(0.2):
        if not workbench.is_open:
            return NOT_NOW
    monitor.stop(LAST_TESTS_SECONDS)
    return 0


def child(name: str, url: str, folder: Path) -> None:
    """Never returns."""
    code = 1
    try:
        log = os.open(folder / f"{name}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdin.close()
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
        code = work(url)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def main() -> None:
    _, url, seconds, folder = sys.argv
    shorten(float(seconds))
    for exchange in all_exchanges().values():
        prepare(exchange.ccxt_id)
    assert ccxt
    assert threading.active_count() == 1
    names: dict[int, str] = {}
    rest = b""
    while True:
        if select.select([0], [], [], 0.05)[0]:
            part = os.read(0, 4096)
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    child(line.decode(), url, Path(folder))
                names[pid] = line.decode()
                os.write(1, f"pid {line.decode()} {pid}\n".encode())
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                os.write(1, f"end {names.pop(ended[0])} {os.waitstatus_to_exitcode(ended[1])}\n".encode())


if __name__ == "__main__":
    main()
