"""Monitors to be killed: `python tests/monitor_children.py URL SECONDS` forks one for each line on its input.

`monitor NAME` is `python -m bfai monitor`, `app NAME` does what the app does: scheduled tests beside tests by hand.
Each child says on the shared output who it is (`pid NAME PID`) and, once it is stored, every result (`run NAME
CONNECTION RUN`).
A fork takes a fraction of what a fresh Python with ccxt takes, which leaves time for fifty kills. Leases and claims end
after SECONDS (`short_times`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback

import ccxt.async_support
import filelock  # noqa: F401 - imported here, so that the children need not
import sqlite_utils  # noqa: F401
from apscheduler.schedulers.background import BackgroundScheduler  # noqa: F401

from bfai import sending
from bfai.engine import TestJob
from bfai.model import Connection
from bfai.monitor import Monitor
from bfai.store import open_store
from bfai.transport import Gateway
from bfai.vault import Cost, UnlockBackoff, Vault
from bfai.workbench import Mode, Workbench
from tests.short_times import shorten

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall green lamp post"


def opened(url: str) -> Workbench:
    """The password is counted before it is tried, so a kill in between makes the next one wait."""
    store = open_store(url)
    while True:
        try:
            vault = Vault.unlock(store, PASSWORD, cost=CHEAP)
        except UnlockBackoff as error:
            time.sleep(error.seconds)
        else:
            return Workbench(store, mode=Mode.LOCAL, gateway=Gateway.from_environment(), vault=vault)


def work(kind: str, name: str, url: str) -> None:
    def say(*words: str) -> None:
        os.write(1, f"{' '.join(words)}\n".encode())

    def note(connection: Connection, job: TestJob) -> None:
        if job.run is not None:
            say("run", name, connection.id, job.run.id)

    say("pid", name, str(os.getpid()))
    workbench = opened(url)
    Monitor(workbench, on_test=note).start(0.05)
    by_hand = [schedule.connection_id for schedule in workbench.schedules() if schedule.every is None]
    while True:
        if kind == "app":
            for connection_id in by_hand:
                run = workbench.start_test(connection_id).wait(60)
                say("run", name, connection_id, run.id)
        time.sleep(0.05)


def main() -> None:
    _, url, seconds = sys.argv
    shorten(float(seconds))
    sending._apprise()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they are not waited for
    assert threading.active_count() == 1
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                sys.stdin.close()
                kind, name = line.split()
                work(kind, name, url)
            except BaseException:
                os.write(1, b"failed " + traceback.format_exc().replace("\n", " | ").encode() + b"\n")
            finally:
                os._exit(1)


if __name__ == "__main__":
    assert ccxt.async_support
    main()
