"""A worker outlives its database: PostgreSQL is restarted at once, or is away for longer, and the same process goes on
testing what is due.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from bfai.model import Connection, utc_now
from bfai.simulator import Simulator
from bfai.store import Worker
from tests.postgres import PASSWORD as DATABASE_PASSWORD
from tests.postgres import Server, binaries
from tests.test_workers import EXCHANGES, OWNERS, SECONDS, Crew, furnish, make_due, runs, schedules

WITHIN = 60.0  # seconds: the queue's pool waits for 30, then AGAIN_SECONDS
MOST_SESSIONS = 13  # docs/scale.md

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals"),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


class Restartable(Server):
    """One of this test alone: whoever else uses the shared one would lose its connections."""

    def restart(self) -> None:
        """With `pg_ctl restart -m immediate`: every connection breaks, and the log is replayed."""
        self._pg_ctl("restart", "-l", str(self.home / "log-of-pg-ctl"))

    def remove(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._pg_ctl("stop")
        super().remove()

    def _pg_ctl(self, *what: str) -> None:
        command = [str(self._programs / "pg_ctl"), *what, "-D", str(self._data), "-m", "immediate", "-w", "-t", "60"]
        with (self.home / "pg_ctl").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=self.home, timeout=90, **self._as)
        if self._process is not None:
            self._process.wait(60)  # the postmaster that we began is gone; the new one is nobody's child


@pytest.fixture
def server() -> Iterator[Restartable]:
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL is installed")
    found = Restartable(programs)
    try:
        with found.admin() as db:
            db.execute("CREATE DATABASE shared OWNER bfai")
        yield found
    finally:
        found.remove()


@pytest.fixture
def crew(server: Restartable, simulator: Simulator, tmp_path: Path) -> Iterator[Crew]:
    found = Crew(server.url("shared"), simulator, tmp_path)
    yield found
    found.close()


def sessions(server: Server) -> list[str]:
    """What each of the app's connections said last."""
    with server.admin("shared") as god:
        query = "SELECT query FROM pg_stat_activity WHERE usename = 'bfai' AND datname = 'shared'"
        return [row[0] for row in god.execute(query)]


def jobs(server: Server) -> list[tuple[str, str]]:
    with server.admin("shared") as god:
        return list(god.execute("SELECT status::text, lock FROM bfai_jobs.procrastinate_jobs"))


def beats(server: Server) -> list[float]:
    """How many seconds ago each worker's heart beat."""
    with server.admin("shared") as god:
        query = "SELECT extract(epoch FROM now() - last_heartbeat) FROM bfai_jobs.procrastinate_workers"
        return [float(row[0]) for row in god.execute(query)]


def since_then(url: str, began: datetime) -> dict[str, int]:
    return {name: sum(at > began for at in times) for name, times in runs(url).items()}


def test_a_worker_goes_on_after_its_database_was_restarted_and_after_it_was_away(
    crew: Crew, server: Restartable, simulator: Simulator
) -> None:
    url = server.url("shared")
    worker = Worker(crew.key.id, "The server", crew.key.public, utc_now())
    theirs: dict[str, list[Connection]] = {one: furnish(url, one, worker, simulator) for one in OWNERS}
    once = {one.id: 1 for those in theirs.values() for one in those}
    crew.start("one")
    for how in ("away", "restarted"):  # in this order: after a restart the server is no child of ours
        simulator.set_faults([{"exchange": one, "latency_ms": 600} for one in EXCHANGES])
        began = make_due(url, theirs)
        crew.wait(lambda: sum(one.is_held(utc_now()) for owner in theirs for one in schedules(url, owner)) >= 4)
        if how == "away":
            server.stop()
            crew.wait(lambda: "cannot be used just now" in crew.said("one"))
            server.start()
        else:
            server.restart()
        simulator.set_faults([])
        crew.wait(lambda began=began: all(since_then(url, began).get(one) for one in once), WITHIN)
        assert since_then(url, began) == once, "no result twice"
        crew.wait(lambda: not jobs(server), 30)  # none is stuck

    # None of its connections is there twice, and its heart beats, every 0.75 seconds.
    assert len(sessions(server)) <= MOST_SESSIONS, sessions(server)
    crew.wait(lambda: any(ago < SECONDS / 2 for ago in beats(server)), 30)
    assert crew.end("one", signal.SIGTERM) == 0
    assert DATABASE_PASSWORD not in crew.said("one")
