"""What the Overview and the history cost the server with many connections and a long past, and what unlocking costs.

    python benchmarks/pages.py [--json] [--rounds 15] [--database URL]

Builds databases in a temporary folder, with runs that were really made against the simulator and then spread over
thirty days, and runs the pages as Streamlit's own test bench does: the whole script, without a browser. With
`--database` it looks at the pages of a database that is there, whose password is the one below: a million runs, say.
Take a copy: the schedules of its connections are switched off.
What goes to the browser is counted as the bytes of the messages that draw the page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import ROOT, machine, spread, table

from bfai.model import Connection, Credentials, Environment, Market, Target, TestRun, utc_now
from bfai.simulator import Simulator
from bfai.store import Store, open_store
from bfai.transport import Gateway
from bfai.vault import Vault
from bfai.workbench import Workbench

PASSWORD = "correct horse battery staple"
DAYS = 30
SIZES = ((1, 100), (24, 100), (100, 100))
"""Connections, and runs of each. Up to 24 connections are drawn as cards, more as a table."""
TARGET_MS = 150
HISTORY_TARGET_MS = 300
HISTORY_TARGET_KB = 300
HISTORY_VIEWS = ("24h", "30d", "1y", "all")
TABS = ("Calendar", "Outages", "Checks", "More")
SAMPLES = (
    ("good", Market.FUTURES),
    ("no_futures", Market.SPOT),
    ("ip_open", Market.SPOT),
    ("withdraw", Market.SPOT),
    ("ip_blocked", Market.SPOT),
    ("expiring", Market.FUTURES),
)


def sample_runs() -> list[tuple[Target, TestRun]]:
    """One real run of each kind of key, on every exchange that has it."""
    found: list[tuple[Target, TestRun]] = []
    with Simulator() as simulator:
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        with Workbench.local("sqlite://:memory:", gateway=gateway) as workbench:
            for exchange, (account, market) in itertools.product(simulator.accounts, SAMPLES):
                keys = simulator.accounts[exchange].get(account)
                if keys is None or market not in workbench.exchanges()[exchange].markets:
                    continue
                target = Target(exchange=exchange, market=market, environment=Environment.SIMULATOR)
                credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                found.append((target, workbench.check(target, credentials)))
    return found


def fill(store: Store, samples: Sequence[tuple[Target, TestRun]], connections: int, runs: int) -> None:
    """A vault, and connections with a history. Every ninth run is one of another kind, so that statuses change."""
    vault = Vault.create(store, PASSWORD)
    now = utc_now()
    step = timedelta(days=DAYS) / runs
    for number in range(connections):
        target, usual = samples[number % len(samples)]
        other = samples[(number + len(SAMPLES)) % len(samples)][1]
        credentials = Credentials(f"mx0benchmark{number:05d}", uuid.uuid4().hex, "no passphrase")
        began = now - timedelta(days=DAYS + 1)
        connection = Connection(
            id=uuid.uuid4().hex,
            name=f"Connection {number + 1}",
            target=target,
            key_hint=credentials.hint,
            created_at=began,
            key_since=began,
        )
        fingerprint = vault.fingerprint(target.exchange, credentials.api_key)
        store.add_connection(connection, vault.seal(connection.id, credentials), fingerprint)
        for at in range(runs):
            kind = other if at % 9 == 4 else usual
            made = {
                "id": uuid.uuid4().hex,
                "connection_id": connection.id,
                "exchange": target.exchange,
                "market": target.market,
                "started_at": now - step * (runs - at - 0.5),
                "duration_ms": kind.duration_ms + at % 7 * 13.1,
            }
            store.add_run(kind.model_copy(update=made))
    vault.lock()


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def unlocking(urls: Sequence[str], rounds: int) -> list[dict[str, float]]:
    """Milliseconds to unlock each of these databases, taken in turn, so that a busy moment does not hit one alone."""
    stores = [open_store(url) for url in urls]
    took: list[list[float]] = [[] for _ in stores]
    for _, (times, store) in itertools.product(range(rounds), zip(took, stores, strict=True)):
        began = time.perf_counter()
        vault = Vault.unlock(store, PASSWORD)
        times.append((time.perf_counter() - began) * 1000)
        vault.lock()
    for store in stores:
        store.close()
    return [spread(times) for times in took]


def quieten(url: str) -> None:
    """No test on a schedule begins when the vault opens."""
    store, now = open_store(url), utc_now()
    for connection in store.connections():
        store.set_schedule(connection.id, None, now, now)
    store.close()


def opened(url: str) -> tuple[Any, float]:
    """The app with this database after the click that unlocks, and the milliseconds that it took."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    for name in logging.root.manager.loggerDict:
        if name.startswith("streamlit"):
            logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.update(BFAI_DATABASE_URL=url, BFAI_ALLOW_NON_LOOPBACK="1", BFAI_LOCK_AFTER_MINUTES="0")
    st.cache_resource.clear()
    st.cache_data.clear()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.query_params["lang"] = "en"
    page.run()
    page.text_input(key="master_password").set_value(PASSWORD)
    return page, milliseconds(lambda: page.button(key="unlock_button").click().run())


def overview(url: str, said: str, rounds: int) -> dict[str, Any]:
    """The page after the click that unlocks (it pays for caches and imports), and its reruns. Its head says `said`."""
    import streamlit as st

    page, first = opened(url)
    if page.exception or not any(said in item.value for item in page.caption):
        raise SystemExit(f"the Overview was not drawn: {[item.value for item in (*page.exception, *page.caption)]}")
    reruns = [milliseconds(page.run) for _ in range(rounds)]
    st.cache_resource.clear()
    return {"first_ms": round(first, 1), "rerun_ms": spread(reruns)}


def kilobytes(block: Any) -> float:
    """The messages that draw this block and what is in it."""
    total, waiting = 0, [block]
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "children", {}).values()
        total += one.proto.ByteSize() if hasattr(one.proto, "ByteSize") else 0
    return round(total / 1024, 1)


def history(url: str, rounds: int) -> list[dict[str, Any]]:
    """The history of the connection with the first name and of all, for short and long times, and the tabs of each."""
    import streamlit as st

    store = open_store(url)
    connection = min(store.connections(), key=lambda one: one.name)
    store.close()
    page, _ = opened(url)
    found: list[dict[str, Any]] = []

    def look(subject: str, view: str) -> None:
        reruns = [milliseconds(page.run) for _ in range(rounds)]
        said = [item.value for item in (*page.exception, *page.error)]
        if said or len(page.metric) != 4:
            raise SystemExit(f"the history was not drawn: {said}")
        sent = kilobytes(page.main)
        found.append({"of": subject, "view": view, "rerun_ms": spread(reruns), "sent_kb": sent})

    for subject, asked in (("one", connection.id), ("all", "all")):
        for name in HISTORY_VIEWS:
            page.query_params.update({"connection": asked, "view": "history", "range": name})
            page.session_state["details"] = "Causes"
            page.switch_page("pages/history.py").run()
            look(subject, name)
        for tab in TABS:
            page.session_state["details"] = tab
            look(subject, f"{name}, {tab}")
    st.cache_resource.clear()
    return found


def measure(rounds: int) -> dict[str, Any]:
    samples = sample_runs()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bfai-benchmark-") as folder:
        urls = {connections: f"sqlite:///{Path(folder) / f'{connections}.db'}" for connections, _ in SIZES}
        for connections, runs in SIZES:
            url = urls[connections]
            store = open_store(url)
            built = milliseconds(lambda store=store, size=(connections, runs): fill(store, samples, *size))
            assert store.count_runs() == connections * runs
            quieten(url)
            reads = {
                "connections()": spread([milliseconds(store.connections) for _ in range(rounds)]),
                "recent_runs()": spread([milliseconds(store.recent_runs) for _ in range(rounds)]),
            }
            store.close()
            found.append(
                {
                    "connections": connections,
                    "runs": connections * runs,
                    "one_run_kept_ms": round(built / (connections * runs), 2),
                    "reads_ms": reads,
                    **overview(url, f"{connections} connection", rounds),
                }
            )
        for row, unlock in zip(found, unlocking(list(urls.values()), rounds), strict=True):
            row["unlock_ms"] = unlock
        return {"overview": found, "history": history(urls[SIZES[-1][0]], rounds)}


def missed(result: dict[str, Any]) -> list[str]:
    late = [f"Overview, {row['connections']}" for row in result["overview"] if row["rerun_ms"]["median"] > TARGET_MS]
    for row in result["history"]:
        if row["rerun_ms"]["median"] > HISTORY_TARGET_MS or row["sent_kb"] > HISTORY_TARGET_KB:
            late.append(f"History of {row['of']}, {row['view']}")
    return late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--database", help="look at the pages of this one; nothing is built")
    chosen = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    if chosen.database:
        quieten(chosen.database)
        store = open_store(chosen.database)
        size = {"connections": len(store.connections()), "runs": store.count_runs()}
        store.close()
        result["overview"] = [{**size, **overview(chosen.database, "", chosen.rounds)}]
        result["history"] = history(chosen.database, chosen.rounds)
    else:
        result |= measure(chosen.rounds)
    result["missed"] = missed(result)
    if chosen.json:
        print(json.dumps(result))
        return
    rows = [
        (
            row["connections"],
            row["runs"],
            *(middle(row.get(name)) for name in ("rerun_ms", "unlock_ms")),
            row["first_ms"],
            *(reads["median"] for reads in row.get("reads_ms", {}).values()),
            *([row["one_run_kept_ms"]] if "one_run_kept_ms" in row else []),
        )
        for row in result["overview"]
    ]
    head = ("connections", "runs", "rerun ms", "unlock ms", "first page ms")
    if not chosen.database:
        head = (*head, "connections()", "recent_runs()", "add_run()")
    views = [(row["of"], row["view"], middle(row["rerun_ms"]), row["sent_kb"]) for row in result["history"]]
    print(result["machine"], "\n\nOverview\n\n" + table(head, rows))
    print("\nHistory\n\n" + table(("of", "time", "rerun ms", "to the browser, KB"), views))
    print("\nMissed:", ", ".join(result["missed"]) or "nothing")


def middle(value: dict[str, float] | None) -> str:
    return f"{value['median']} ({value['min']}-{value['max']})" if value else "–"


if __name__ == "__main__":
    main()
