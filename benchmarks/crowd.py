"""500 connections over all exchanges at once: do they mix, does memory grow, how many a second, are limits kept?

    python benchmarks/crowd.py [--json] [--connections 500] [--rounds 10] [--seconds 60]

With the limiter off it measures tests per second and the memory of each round, and compares every verdict and account
number with what the sample key must give. With the limiter on it counts what each exchange saw against its published
rates. Everything goes over TLS to the simulator, which is another process on this computer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from common import RemoteSimulator, machine, remote_simulator, spread, table

from bfai.connection_test import run_test
from bfai.engine import Engine, TestJob
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Exchange, Limit
from bfai.model import Market, Target, TestRun
from bfai.transport import Transport

TARGETS = {"tests/s": 150, "memory growth": 1.1}
Case = tuple[str, Market, str]


def cases(simulator: RemoteSimulator, count: int) -> list[Case]:
    """Exchanges, markets and sample keys in turn, until there are enough."""
    lists = [
        [(exchange.id, market, account) for account in simulator.hello["accounts"][exchange.id]]
        for exchange in all_exchanges().values()
        for market in exchange.markets
    ]
    mixed = [case for row in itertools.zip_longest(*lists) for case in row if case is not None]
    return list(itertools.islice(itertools.cycle(mixed), count))


def target(case: Case) -> Target:
    return Target(exchange=case[0], market=case[1], region=all_exchanges()[case[0]].regions[0].id)


def told(run: TestRun) -> tuple[str, str | None, str | None, str | None]:
    """What must be the same whenever this key is tested: verdict, cause, account and the name of the key."""
    report = run.key_report
    cause = run.diagnosis.cause.value if run.diagnosis else None
    return run.status.value, cause, report.account_id if report else None, report.label if report else None


def megabytes_now() -> float | None:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def crowd(hello: dict[str, Any], connections: int, rounds: int) -> dict[str, Any]:
    """The rounds, limiter off. For a process of its own."""
    simulator = RemoteSimulator(hello)
    chosen = cases(simulator, connections)
    engine = Engine(simulator.gateway, rate_limit=False)
    alone: dict[Case, tuple[str, str | None, str | None, str | None]] = {}
    for case in dict.fromkeys(chosen):  # each key by itself first: what it must give in the crowd
        job = TestJob(target(case))
        engine.start(job, simulator.credentials(case[0], case[2]))
        alone[case] = told(job.wait(60))
    rates: list[float] = []
    memory: list[float | None] = []
    mixed: set[str] = set()
    for _ in range(rounds):
        began = time.perf_counter()
        jobs = [(case, TestJob(target(case))) for case in chosen]
        for case, job in jobs:
            engine.start(job, simulator.credentials(case[0], case[2]))
        for case, job in jobs:
            if told(job.wait(300)) != alone[case]:
                mixed.add("/".join(case))
        rates.append(len(jobs) / (time.perf_counter() - began))
        memory.append(megabytes_now())
    engine.close()
    known = [value for value in memory if value is not None]
    return {
        "connections": connections,
        "keys": len(alone),
        "tests_per_second": spread(rates),
        "mixed_up": sorted(mixed),
        "mb_by_round": [round(value) for value in known],
        "growth": round(known[-1] / known[0], 3) if known else None,
    }


# -- limits ------------------------------------------------------------------------------------------------------------


async def flood(simulator: RemoteSimulator, connections: int, seconds: float) -> dict[str, Any]:
    """All connections at once, again and again, limiter on: the closest that any exchange came to a published rate."""
    simulator.control("/reset", {})
    seen: list[dict[str, Any]] = []
    finished = 0
    began = time.monotonic()

    async def again(transport: Transport, case: Case) -> None:
        nonlocal finished
        while time.monotonic() - began < seconds:
            credentials = simulator.credentials(case[0], case[2])
            await run_test(all_exchanges()[case[0]], target(case), credentials, transport)
            finished += 1

    async with Transport(simulator.gateway) as transport:
        tasks = [asyncio.create_task(again(transport, case)) for case in cases(simulator, connections)]
        while (left := seconds - (time.monotonic() - began)) > 0:
            await asyncio.sleep(min(2.0, left))
            collect(simulator, seen)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    collect(simulator, seen)
    return {
        "seconds": seconds,
        "calls": len(seen),
        "tests_per_second": round(finished / seconds, 1),
        "share_of_limit": shares(seen),
    }


def collect(simulator: RemoteSimulator, seen: list[dict[str, Any]]) -> None:
    """Appends what was seen since the last time. The simulator keeps the latest 10,000 and counts them all."""
    now = simulator.control("/seen")
    new = now["total"] - len(seen)
    if new > len(now["calls"]):
        raise SystemExit("calls were forgotten before they could be counted")
    seen += now["calls"][len(now["calls"]) - new :]


def shares(seen: list[dict[str, Any]]) -> dict[str, float]:
    """The most weight in any window, as a share of the published limit: by exchange and pool, or call."""
    by_exchange: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in seen:
        by_exchange[call["exchange"]].append(call)
    found: dict[str, float] = {}
    for exchange in all_exchanges().values():
        for pool, limit in exchange.limits.items():
            rows = counted(exchange, pool, limit, by_exchange[exchange.id])
            for name, times in rows.items():
                share = round(most(times, limit.seconds) / limit.weight, 2)
                label = f"{exchange.id} {name}".strip()
                found[label] = max(found.get(label, 0.0), share)
    return found


def counted(
    exchange: Exchange, pool: str, limit: Limit, seen: list[dict[str, Any]]
) -> dict[str, list[tuple[float, float]]]:
    """The moments and weights of one pool, for its busiest address or account."""
    hosts = {region.hosts.get(call.host): call.host for region in exchange.regions for call in exchange.calls}
    weights = {(call.method, call.host, call.path): call for call in exchange.calls if call.pool == pool}
    rows: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for entry in seen:
        call = weights.get((entry["method"], hosts.get(entry["host"], ""), entry["path"]))
        if call is not None:
            name = call.path if limit.each else pool
            owner = str(entry["account"]) if limit.by == "account" else "address"
            rows[name, owner].append((entry["time"], float(call.weight)))
    busiest: dict[str, list[tuple[float, float]]] = {}
    for (name, _), times in rows.items():
        if len(times) > len(busiest.get(name, [])):
            busiest[name] = times
    return busiest


def most(rows: list[tuple[float, float]], window: float) -> float:
    """The largest sum within any time as long as the window (s)."""
    rows = sorted(rows)
    largest = total = 0.0
    start = 0
    for at, weight in rows:
        total += weight
        while rows[start][0] <= at - window:
            total -= rows[start][1]
            start += 1
        largest = max(largest, total)
    return largest


# -- the report --------------------------------------------------------------------------------------------------------


def show(result: dict[str, Any]) -> str:
    free, kept = result["crowd"], result["limits"]
    rate = free["tests_per_second"]
    worst = sorted(kept["share_of_limit"].items(), key=lambda item: -item[1])
    return "\n\n".join(
        (
            result["machine"],
            f"{free['connections']} connections with {free['keys']} keys at once, limiter off: {rate['median']:.0f}"
            f" tests/s ({rate['min']:.0f}-{rate['max']:.0f}, {rate['n']} rounds)",
            f"Verdicts or accounts mixed up: {', '.join(free['mixed_up']) or 'none'}",
            f"Memory by round, MB: {', '.join(map(str, free['mb_by_round']))} (last to first: {free['growth']})",
            f"Limiter on, {kept['seconds']:.0f} s: {kept['tests_per_second']} tests/s, {kept['calls']} calls\n\n"
            + table(("exchange, pool or call", "share of its limit"), worst[:12]),
            "Missed: " + (", ".join(result["missed"]) or "nothing"),
        )
    )


def missed(result: dict[str, Any]) -> list[str]:
    free = result["crowd"]
    found: list[str] = []
    if free["tests_per_second"]["median"] < TARGETS["tests/s"]:
        found.append("throughput")
    if free["mixed_up"]:
        found.append("verdicts mixed up")
    if (free["growth"] or 0) > TARGETS["memory growth"]:
        found.append("memory grows")
    over = [name for name, share in result["limits"]["share_of_limit"].items() if share > 1]
    return [*found, *(f"limit of {name}" for name in over)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the flood against the limits lasts")
    chosen = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    with remote_simulator() as simulator:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result["crowd"] = pool.apply(crowd, (simulator.hello, chosen.connections, chosen.rounds))
        result["limits"] = asyncio.run(flood(simulator, chosen.connections, chosen.seconds))
    result["missed"] = missed(result)
    print(json.dumps(result) if chosen.json else show(result))


if __name__ == "__main__":
    main()
