"""What the history costs with a million runs: each page view's figures, the Overview, one more run, retention, room.

    python benchmarks/history.py [--runs 1000000] [--connections 50] [--rounds 7] [--json] [--file bench.db]

Runs that were really made against the simulator are spread over ninety days, and written with the store's own packing,
a few rows a transaction, in the order of time over all connections, as tests of many connections write them. Beside it,
in the same run, the obvious way: load all runs of the view into pandas, group them, draw every point.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from common import machine, spread, table

from bfai.exchanges import get_exchange
from bfai.history import ALL, History, Scope
from bfai.model import (
    BfaiError,
    Cause,
    Check,
    CheckName,
    Connection,
    Credentials,
    Diagnosis,
    Environment,
    Outcome,
    Status,
    Target,
    TestRun,
    new_run_id,
)
from bfai.simulator import Simulator
from bfai.store import Store, open_store
from bfai.store.packing import (
    clock_place,
    pack,
    pack_numbers,
    run_key,
    shorten_texts,
    timed_checks,
    unpack_numbers,
)
from bfai.store.sql import _micros
from bfai.store.sqlite import SqliteStore
from bfai.transport import Gateway
from bfai.workbench import Workbench

NOW = datetime(2026, 11, 21, 9, 17, 3, tzinfo=UTC)
DAYS = 90
ZONE = ZoneInfo("Europe/Zagreb")
PAGE_MS, OVERVIEW_MS, APPEND_RATIO, MEGABYTES = 300, 150, 5, 150
RANGES = {"24 h": timedelta(hours=24), "7 d": timedelta(days=7), "30 d": timedelta(days=30), "all": None}
STRIP, BUCKETS = 96, 1000
BAD = (Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED, Cause.LOCAL_NETWORK)


# -- a database --------------------------------------------------------------------------------------------------------


def sample_runs() -> list[tuple[Target, TestRun]]:
    """A real run of a good key on every exchange and market."""
    found: list[tuple[Target, TestRun]] = []
    with Simulator() as simulator:
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        with Workbench.local("sqlite://:memory:", gateway=gateway) as workbench:
            for exchange, accounts in simulator.accounts.items():
                for market in get_exchange(exchange).markets:
                    keys = accounts["good"]
                    region = get_exchange(exchange).regions[0].id
                    target = Target(exchange=exchange, market=market, region=region, environment=Environment.SIMULATOR)
                    credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                    with contextlib.suppress(BfaiError):
                        run = workbench.check(target, credentials)
                        if run.status.ok and len(run.receipt) > 2:
                            found.append((target, run))
    return found


class Life:
    """Runs of one connection as a trader's would be: good ones, outages of an exchange and of the own network."""

    def __init__(self, target: Target, run: TestRun, connection_id: str, seed: int) -> None:
        self.target, self.run, self.connection_id = target, run, connection_id
        self.random = random.Random(seed)
        self.balance = 4210.0

    def good(self, at: datetime) -> TestRun:
        slow, chance = self.slowness(at), self.random.random
        sent = [
            line.model_copy(
                update={
                    "at": at + timedelta(microseconds=int((place + 1) * 1000 * (0.6 + chance()))),
                    "latency_ms": round(90 * slow * (0.8 + 0.4 * chance()), 1),
                }
            )
            for place, line in enumerate(self.run.receipt)
        ]
        latencies = iter([line.latency_ms for line in sent] * 3)
        checks = [
            check if check.latency_ms is None else check.model_copy(update={"latency_ms": next(latencies)})
            for check in self.run.checks
        ]
        values = {
            "id": new_run_id(at),
            "connection_id": self.connection_id,
            "started_at": at,
            "duration_ms": round(max(line.latency_ms or 0 for line in sent) + 6 + chance(), 1),
            "checks": tuple(checks),
            "receipt": tuple(sent),
            "balances": {**self.run.balances, "USDT": f"{self.balance:.2f}"},
            "clock_offset_ms": round(self.random.gauss(3, 8), 1),
        }
        return self.run.model_copy(update=values)

    def bad(self, cause: Cause, at: datetime) -> TestRun:
        latency = round(3000 * self.slowness(at), 1)
        check = Check(name=CheckName.REACH, outcome=Outcome.FAIL, latency_ms=latency)
        said = "503 maintenance" if cause is Cause.EXCHANGE_UNAVAILABLE else None
        values = {
            "id": new_run_id(at),
            "connection_id": self.connection_id,
            "started_at": at,
            "status": Status.FAILED,
            "diagnosis": Diagnosis(cause=cause, candidates=(cause,), exchange_said=said),
            "checks": (check,),
            "key_report": None,
            "receipt": (self.run.receipt[0].model_copy(update={"at": at, "latency_ms": latency}),),
            "balances": {},
            "clock_offset_ms": None,
            "advice": (),
            "duration_ms": latency + 10,
        }
        return self.run.model_copy(update=values)

    def slowness(self, at: datetime) -> float:
        return math.exp(self.random.gauss(0, 0.25)) * (1.5 if at.hour in (13, 14) else 1.0)


class Mould:
    """A packed run, from which others of the same pattern are made by changing its numbers."""

    def __init__(self, store: SqliteStore, key: int, run: TestRun) -> None:
        packed = pack(run)
        self.pattern, usual = store._pattern_row(key, run, packed)
        self.report = None if run.key_report is None else store._report_row(key, run.key_report)
        self.numbers = unpack_numbers(packed.numbers)
        self.timed = len(timed_checks(packed.pattern))
        self.clock, self.sent = clock_place(packed.pattern), len(run.receipt)
        self.usual, self.texts = usual, packed.texts
        self.status, self.counts = run.status, run.counts
        self.balance = packed.texts.index(run.balances["USDT"]) if "USDT" in run.balances else None

    def cast(self, life: Life, at: datetime) -> tuple[bytes, str | None]:
        slow, gauss = life.slowness(at), life.random.gauss
        numbers = [*self.numbers]
        for place in (*range(self.timed + 1), *range(len(numbers) - 2 * self.sent + 1, len(numbers), 2)):
            numbers[place] = round(numbers[place] * slow * (1 + gauss(0, 0.08)), 1)
        for place in range(len(numbers) - 2 * self.sent, len(numbers), 2):
            numbers[place] = round(abs(numbers[place] * (1 + gauss(0, 0.3))), 3)
        if self.clock is not None:
            numbers[self.clock] = round(gauss(3, 8), 1)
        if self.balance is not None:
            self.texts[self.balance] = f"{life.balance:.2f}"
        return pack_numbers(numbers), shorten_texts(self.texts, self.usual)


def add_connections(store: Store, samples: Sequence[tuple[Target, TestRun]], count: int, since: datetime) -> list[Life]:
    lives: list[Life] = []
    for number in range(count):
        target, run = samples[number % len(samples)]
        made = Connection(
            id=uuid.uuid4().hex,
            name=f"Connection {number + 1}",
            target=target,
            key_hint="TEST",
            created_at=since,
            key_since=since,
        )
        store.add_connection(made, {}, made.id.encode())
        lives.append(Life(target, run, made.id, number))
    return lives


def fill(store: SqliteStore, lives: Sequence[Life], runs: int) -> None:
    """Runs of all connections in turn until `NOW`. The rows are those that `add_run` writes, without its reading."""
    each = runs // len(lives)
    step = timedelta(days=DAYS) / each
    keys = {row["id"]: row["pk"] for row in store._do("SELECT * FROM connection WHERE owner = :owner")}
    good: dict[str, Mould] = {}
    bad: dict[str, dict[Cause, Mould]] = {}
    for life in lives:
        name, key = life.connection_id, keys[life.connection_id]
        good[name] = Mould(store, key, life.good(NOW))
        bad[name] = {cause: Mould(store, key, life.bad(cause, NOW)) for cause in BAD}
    status: dict[str, Status] = dict.fromkeys(keys, Status.UNTESTED)
    down = dict.fromkeys(keys, False)
    failing: dict[str, tuple[Cause, int]] = {}
    for turn in range(each):
        with store._writing():
            for number, life in enumerate(lives):
                name, chance = life.connection_id, life.random.random
                at = NOW - timedelta(days=DAYS) + step * turn + step * number / len(lives)
                cause, left = failing.get(name, (BAD[0], 0))
                if left == 0 and chance() < 0.004:
                    cause, left = life.random.choice(BAD), 1 + int(chance() * 12)
                failing[name] = cause, max(left - 1, 0)
                if chance() < 0.15:  # a bot traded
                    life.balance += life.random.gauss(0, 20)
                mould = bad[name][cause] if left else good[name]
                numbers, texts = mould.cast(life, at)
                micros = _micros(at)
                change = (status[name] is not mould.status) + 2 * (turn == 0)
                if mould.counts and (mould.status is Status.FAILED) != down[name]:
                    down[name] = not down[name]
                    change += 4
                status[name] = mould.status
                run_id = new_run_id(at)
                store._insert(
                    "run",
                    connection=keys[name],
                    started_at=micros,
                    seq=0,
                    id=run_key(run_id, micros),
                    change=change,
                    pattern=mould.pattern,
                    report=mould.report,
                    numbers=numbers,
                    texts=texts,
                )
                if turn == each - 1:
                    last = {"status": mould.status.value, "last_run_id": run_id, "last_tested_at": micros}
                    store._set(keys[name], **last, down=int(down[name]), report=good[name].report)


# -- what is measured --------------------------------------------------------------------------------------------------


def clocked(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Milliseconds of computing of this thread: what the neighbours do on a shared computer is not counted."""
    took: list[float] = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        took.append((time.thread_time() - began) * 1000)
    return spread(took)


def page_view(history: History, scope: Scope, since: datetime | None) -> dict[str, Callable[[], Any]]:
    """Every figure that the history page draws for a range."""
    named = {"since": since, "until": NOW}
    days = {**named, "tz": ZONE}
    return {
        "extent": lambda: history.extent(scope),
        "summary": lambda: history.summary(scope, **named),
        "timeline": lambda: history.timeline(scope, **named, places=STRIP),
        "latency": lambda: history.latency(scope, "key", **named, buckets=BUCKETS),
        "percentiles": lambda: history.percentiles(scope, **named),
        "failures": lambda: history.failures(scope, **named),
        "causes": lambda: history.causes(scope, **days),
        "calendar": lambda: history.calendar(scope, **days),
        "outages": lambda: history.outages(scope, **named),
        "drift": lambda: history.drift(scope, **named),
        "expiry": lambda: history.expiry(scope, **named),
        "clock": lambda: history.clock(scope, **named, buckets=BUCKETS),
    }


def views(store: Store, rounds: int) -> list[dict[str, Any]]:
    """Each view with a fresh `History`, as a page's first drawing: figures share what they read within it."""
    one = store.connections()[0].id
    found: list[dict[str, Any]] = []
    for name, scope in (("one connection", Scope(one)), ("all connections", ALL)):
        for range_name, span in RANGES.items():
            took: dict[str, list[float]] = {}
            for _ in range(rounds):
                history = History(store, lambda: NOW)
                for part, work in page_view(history, scope, None if span is None else NOW - span).items():
                    took.setdefault(part, []).append(clocked(work, 1)["median"])
            totals = [sum(parts) for parts in zip(*took.values(), strict=True)]
            parts_ms = {part: round(statistics.median(times), 1) for part, times in took.items()}
            found.append({"scope": name, "range": range_name, "ms": spread(totals), "parts_ms": parts_ms})
    return found


def overview(store: Store, rounds: int) -> dict[str, Any]:
    ids = [connection.id for connection in store.connections()]
    month, day = NOW - timedelta(days=30), NOW - timedelta(hours=24)

    def fresh() -> History:
        return History(store, lambda: NOW)

    def read() -> None:
        store.connections()
        store.recent_runs(40)
        fresh().shares(ids, month, NOW)

    return {
        "last 40 runs of each, share of 30 days": clocked(read, rounds),
        "strips of 24 h": clocked(lambda: fresh().timelines(ids, day, NOW, 40), rounds),
        "comparison over 30 days": clocked(lambda: fresh().compare(ids, month, NOW), rounds),
    }


def obvious(store: Store) -> dict[str, Any]:
    """All runs into pandas, then the same figures from the frame: what a notebook does first."""

    def figures(frame: Any) -> None:
        ordered = frame.sort_values(["connection_id", "started_at"])
        following = ordered.groupby("connection_id")["started_at"].shift(-1).fillna(pd.Timestamp(NOW))
        held = (following - ordered["started_at"]).clip(upper=pd.Timedelta(hours=24))
        known = ~ordered["local_network"]
        ok = ordered["status"].isin(["online", "connected"])
        held[known & ok].sum() / held[known].sum()
        counted = frame[~frame["local_network"]]
        counted.set_index("started_at").groupby(pd.Grouper(freq="1D"))["key_ms"].quantile([0.05, 0.5, 0.95])
        [counted[f"{check.value}_ms"].quantile([0.5, 0.95, 0.99]) for check in CheckName]
        failed = counted[counted["status"] == "failed"]
        failed.groupby([failed["started_at"].dt.tz_convert(ZONE).dt.date, "cause"]).size()
        ordered.assign(day=ordered["started_at"].dt.tz_convert(ZONE).dt.date, held=held).groupby("day")["held"].sum()

    def points(frame: Any) -> int:
        shown = frame[["started_at", "key_ms"]].dropna()
        millis = shown["started_at"].astype("int64") // 1000
        return len(json.dumps(list(zip(millis.tolist(), shown["key_ms"].round(1).tolist(), strict=True))))

    history = History(store, lambda: NOW)
    found: dict[str, Any] = {}
    one = store.connections()[0].id
    for name, scope in (("one connection", Scope(one)), ("all connections", ALL)):
        began = time.thread_time()
        frame = history.runs_frame(scope)
        loaded = time.thread_time()
        figures(frame)
        size = points(frame)
        found[name] = {
            "load_ms": round((loaded - began) * 1000),
            "figures_ms": round((time.thread_time() - loaded) * 1000),
            "rows": len(frame),
            "points_kb": round(size / 1000),
        }
        ours = history.latency(scope, "key", None, NOW, BUCKETS)
        columns = {column: ours[column].round(1).tolist() for column in ("p5", "p50", "p95", "failures")}
        text = json.dumps({"t": (ours["t"].astype("int64") // 1000).tolist(), **columns}).replace("NaN", "null")
        found[name]["bands_kb"] = round(len(text) / 1000)
    return found


def appending(store: Store, lives: Sequence[Life], folder: Path, count: int) -> dict[str, Any]:
    """`add_run` beside a bare insert of a row of the same size, in turn, both to the disk before they return."""
    (folder / "bare.db").unlink(missing_ok=True)
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE run (pk INTEGER PRIMARY KEY, at INTEGER, body BLOB)")
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(count):
        run = lives[number % len(lives)].good(NOW + timedelta(seconds=number))
        began = time.perf_counter()
        store.add_run(run)
        ours.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        bare.execute("INSERT INTO run (at, body) VALUES (?, ?)", (number, os.urandom(90)))
        theirs.append((time.perf_counter() - began) * 1000)
    bare.close()
    ratio = statistics.median(ours) / statistics.median(theirs)
    return {"add_run_ms": spread(ours, 2), "bare_insert_ms": spread(theirs, 2), "ratio": round(ratio, 2)}


def retention(url: str, lives: Sequence[Life], pause: float) -> dict[str, Any]:
    """Delete about a tenth of the runs while tests of other connections go on being kept."""
    cleaner, other = open_store(url), open_store(url)
    before = cleaner.count_runs()
    took: list[float] = []
    done = threading.Event()

    def go_on() -> None:
        number = 0
        while not done.is_set():
            number += 1
            run = lives[number % len(lives)].good(NOW + timedelta(hours=1, seconds=number))
            began = time.perf_counter()
            cleaner.add_run(run) if number % 2 else other.add_run(run)
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(pause)

    writer = threading.Thread(target=go_on)
    writer.start()
    began = time.perf_counter()
    deleted = cleaner.retain(NOW, timedelta(days=DAYS * 0.9), 500)
    seconds = time.perf_counter() - began
    done.set()
    writer.join()
    left = cleaner.count_runs()
    assert left == before - deleted + len(took), (left, before, deleted, len(took))
    cleaner.close()
    other.close()
    return {
        "deleted": deleted,
        "seconds": round(seconds, 1),
        "appended_meanwhile": len(took),
        "append_ms": spread(took, 1),
        "append_p99_ms": round(float(np.quantile(took, 0.99)), 1),
    }


def room(file: Path) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
        found = {"megabytes": round(pages * size / 1e6, 1)}
        with contextlib.suppress(sqlite3.Error):
            for name, bytes_ in db.execute(
                "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 6"
            ):
                found[name] = round(bytes_ / 1e6, 1)
    return found


def measure(file: Path, runs: int, connections: int, rounds: int) -> dict[str, Any]:
    url = f"sqlite:///{file}"
    store = open_store(url)
    assert isinstance(store, SqliteStore)
    samples, began = sample_runs(), time.perf_counter()
    if store.connections():
        lives = [
            Life(made.target, next(run for target, run in samples if target == made.target), made.id, number)
            for number, made in enumerate(store.connections())
        ]
    else:
        lives = add_connections(store, samples, connections, NOW - timedelta(days=400))
        fill(store, lives, runs)
    result: dict[str, Any] = {"runs": store.count_runs(), "connections": len(lives)}
    result["build_s"] = round(time.perf_counter() - began)
    raw = room(file)["megabytes"]
    history = History(store, lambda: NOW)
    one = Scope(store.connections()[0].id)
    result["before_roll_up_ms"] = {
        name: clocked(lambda scope=scope: history.summary(scope, None, NOW), 1)["median"]
        for name, scope in (("one connection", one), ("all connections", ALL))
    }
    began, computing = time.perf_counter(), time.thread_time()
    longest = 0.0
    while True:
        step = time.perf_counter()
        if not store.roll_up(NOW):
            break
        longest = max(longest, time.perf_counter() - step)
    result["roll_up"] = {
        "seconds": round(time.perf_counter() - began, 1),
        "computing_s": round(time.thread_time() - computing, 1),
        "longest_step_ms": round(longest * 1000, 1),
    }
    result["room"] = {**room(file), "runs_alone": raw}
    result["views"] = views(store, rounds)
    result["overview"] = overview(store, rounds)
    result["obvious"] = obvious(store)
    result["append"] = appending(store, lives, file.parent, 1000)
    store.close()
    result["retention"] = retention(url, lives, 0.005)
    return result


def missed(result: dict[str, Any]) -> list[str]:
    late = [f"{row['scope']}, {row['range']}" for row in result["views"] if row["ms"]["median"] > PAGE_MS]
    late += [name for name, took in result["overview"].items() if took["median"] > OVERVIEW_MS]
    late += ["append"] if result["append"]["ratio"] > APPEND_RATIO else []
    return late + (["room"] if result["room"]["megabytes"] > MEGABYTES * result["runs"] / 1e6 else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--file", type=Path, default=None, help="where the database is built, left, and found again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bfai-benchmark-") as folder:
        file = chosen.file or Path(folder) / "history.db"
        result: dict[str, Any] = {"machine": machine()}
        result |= measure(file.absolute(), chosen.runs, chosen.connections, chosen.rounds)
    result["missed"] = missed(result)
    if chosen.json:
        print(json.dumps(result))
        return
    print(result["machine"])
    print(f"{result['runs']} runs, {result['connections']} connections, built in {result['build_s']} s")
    print("room", result["room"], "\nroll up", result["roll_up"], "\nbefore", result["before_roll_up_ms"], "\n")
    names = list(result["views"][0]["parts_ms"])
    rows = [
        (
            row["scope"],
            row["range"],
            f"{row['ms']['median']} ({row['ms']['min']}-{row['ms']['max']})",
            *(row["parts_ms"][name] for name in names),
        )
        for row in result["views"]
    ]
    print(table(("scope", "range", "page view, ms", *names), rows), "\n")
    for part in ("overview", "obvious", "append", "retention"):
        print(part, json.dumps(result[part], indent=1))
    print("\nMissed:", ", ".join(result["missed"]) or "nothing")


if __name__ == "__main__":
    main()
