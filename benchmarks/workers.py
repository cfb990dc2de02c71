"""Delegated tests per second with 1, 2 and 4 workers on one PostgreSQL, and whether each test is done once.

    python benchmarks/workers.py [--json] [--connections 200] [--owners 20] [--rounds 3] [--workers 1 2 4]

Workers are processes; so are PostgreSQL and the simulator, all of them on this computer. Every connection is due at
once; the time counts from then until the last result is stored. Our limiter is off, as real exchanges would each see a
fraction of it from many addresses. Needs PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import RemoteSimulator, machine, remote_simulator, spread, table

from bfai import workbench, worker
from bfai.delegation import FORMAT, WorkerKey, seal_to
from bfai.engine import Engine
from bfai.exchanges import all_exchanges
from bfai.model import Connection, Target, utc_now
from bfai.store import Delegation, Worker, open_store
from bfai.transport import Gateway
from bfai.vault import Cost, Vault
from tests import postgres
from tests.postgres import Server, binaries

EVERY = timedelta(weeks=1)


def work(url: str, file: str, ready: Any) -> None:
    """One worker process."""
    logging.disable(logging.CRITICAL)
    one = Engine(Gateway.from_environment(), rate_limit=False)
    unlimited: Any = workbench
    unlimited._engine = lambda gateway: one
    crew = worker.Worker(url, WorkerKey.read(Path(file)))
    ready.release()
    crew.run()
    crew.close()


def furnish(url: str, simulator: RemoteSimulator, to: Worker, connections: int, owners: int) -> dict[str, list[str]]:
    """Vaults with their share of the connections, all delegated and none due. The ids by owner."""
    exchanges, found = list(all_exchanges()), dict[str, list[str]]()
    for number in range(owners):
        owner, now = f"owner{number}", utc_now()
        with contextlib.closing(open_store(url, owner=owner)) as store, store.together():
            vault = Vault.create(store, "a long password", cost=Cost(16, 1, 1))
            for place in range(number, connections, owners):
                exchange = exchanges[(number + place // owners) % len(exchanges)]
                keys = simulator.credentials(exchange)
                connection = Connection(
                    id=f"connection{place}",
                    name=f"Bot {place}",
                    target=Target(exchange=exchange, region=all_exchanges()[exchange].regions[0].id),
                    key_hint=keys.hint,
                    created_at=now,
                    key_since=now,
                )
                store.add_connection(connection, vault.seal(connection.id, keys), connection.id.encode())
                sealed = seal_to(to, owner, connection.id, keys)
                store.delegate(connection.id, Delegation(to.id, FORMAT, sealed, now))
                found.setdefault(owner, []).append(connection.id)
    return found


def counts(god: Any) -> tuple[int, int]:
    """Runs that are stored, and delegated tests that are still due or under way."""
    due = (
        "SELECT count(*) FROM bfai.schedule WHERE next_at <= extract(epoch FROM now()) * 1e6 OR held_until IS NOT NULL"
    )
    return god.execute("SELECT count(*) FROM bfai.run").fetchone()[0], god.execute(due).fetchone()[0]


def timed_out(god: Any) -> int:
    """Runs without an answer in time. An exchange that does not answer is left alone for a minute."""
    query = (
        "SELECT count(*) FROM bfai.run r JOIN bfai.pattern p ON p.pk = r.pattern WHERE p.cause = 'exchange_unavailable'"
    )
    return god.execute(query).fetchone()[0]


def computed(crew: list[Any]) -> float:
    """Seconds of computing of these processes up to now; 0 where the system does not tell."""
    ticks = 0
    for one in crew:
        with contextlib.suppress(OSError):
            ticks += sum(
                map(int, Path(f"/proc/{one.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13])
            )
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def one_round(url: str, god: Any, connections: dict[str, list[str]]) -> tuple[float, int]:
    """Seconds until all are tested, and how many runs that made."""
    before = counts(god)[0]
    now = utc_now()
    for owner, theirs in connections.items():
        with contextlib.closing(open_store(url, owner=owner)) as store, store.together():
            for connection in theirs:
                store.set_schedule(connection, EVERY, now, now)
    began = time.perf_counter()
    while counts(god)[1]:
        if time.perf_counter() - began > 300:
            raise SystemExit("the workers do not come to an end")
        time.sleep(0.05)
    return time.perf_counter() - began, counts(god)[0] - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--owners", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    wanted = parser.parse_args()
    programs = binaries()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    spawn, found, costs = multiprocessing.get_context("spawn"), dict[int, list[float]](), dict[int, float]()
    slow: dict[int, int] = {}
    postgres._SETTINGS["max_connections"] = "200"  # a worker takes up to twelve
    server = Server(programs)
    try:
        with remote_simulator() as simulator, tempfile.TemporaryDirectory() as folder, server.database("bench") as url:
            os.environ["BFAI_GATEWAY"], os.environ["BFAI_GATEWAY_CA"] = (
                simulator.hello["gateway"],
                simulator.hello["ca"],
            )
            key = WorkerKey.make(Path(folder) / "key")
            worker.Worker(url, key).close()
            to = Worker(key.id, "bench", key.public, utc_now())
            connections = furnish(url, simulator, to, wanted.connections, wanted.owners)
            with server.admin("bench") as god:
                for number in wanted.workers:
                    ready = spawn.Semaphore(0)
                    arguments = (url, str(Path(folder) / "key"), ready)
                    crew = [spawn.Process(target=work, args=arguments, daemon=True) for _ in range(number)]
                    for one in crew:
                        one.start()
                    for _ in crew:
                        ready.acquire()
                    one_round(url, god, connections)  # warms ccxt, sessions and pools
                    before = computed(crew)
                    for _ in range(wanted.rounds):
                        seconds, runs = one_round(url, god, connections)
                        if runs != wanted.connections:
                            raise SystemExit(f"{runs} results of {wanted.connections} tests")
                        found.setdefault(number, []).append(wanted.connections / seconds)
                    slow[number] = timed_out(god)
                    costs[number] = 1000 * (computed(crew) - before) / (wanted.rounds * wanted.connections)
                    for one in crew:
                        one.terminate()
                        one.join()
    finally:
        server.remove()
    if wanted.json:
        print(json.dumps({"machine": machine(), "tests/s": found, "computing ms": costs, "timed out": slow}))
        return
    print(machine())
    rows = [
        [number, "{median} ({min}-{max})".format(**spread(rates)), f"{costs[number]:.1f}", slow[number]]
        for number, rates in found.items()
    ]
    print(
        table(
            ["workers", f"tests per second, {wanted.connections} at once", "computing a test, ms", "timed out so far"],
            rows,
        )
    )


if __name__ == "__main__":
    main()
