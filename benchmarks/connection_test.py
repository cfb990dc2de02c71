"""How long a connection test takes, how many fit into a second, and whether the published limits are kept.

    python benchmarks/connection_test.py [--json] [--passes 3] [--seconds 35] [--only verdict|throughput|limits]

Everything goes over TLS to the simulator, which is another process on this computer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import ssl
import statistics
import time
from collections import defaultdict
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from common import RemoteSimulator, machine, peak_megabytes, remote_simulator, spread, table

from bfai.connection_test import MAX_TESTS_IN_FLIGHT, run_test
from bfai.engine import Engine, TestJob
from bfai.exchanges import all_exchanges
from bfai.model import Market, Target
from bfai.transport import Gateway, Transport

LATENCY_MS = 100
CLOCK_MS = 60_000
CASES = [(exchange, market) for exchange in ("mexc", "kucoin") for market in Market]
TARGETS = {"one round ms": 160, "two rounds ms": 260, "ratio to ccxt": 5, "tests/s": 200, "MB": 250}


async def judge(transport: Transport, simulator: RemoteSimulator, exchange: str, market: Market) -> float:
    """Milliseconds to the verdict on a sound key."""
    began = time.perf_counter()
    target = Target(exchange=exchange, market=market)
    run = await run_test(all_exchanges()[exchange], target, simulator.credentials(exchange), transport)
    took = (time.perf_counter() - began) * 1000
    if not run.status.ok:
        raise SystemExit(f"{exchange} {market}: {run.status}, {run.diagnosis}")
    return took


# -- time to verdict ---------------------------------------------------------------------------------------------------


async def verdicts(simulator: RemoteSimulator, passes: int) -> list[dict[str, Any]]:
    ours: dict[tuple[str, Market], list[float]] = defaultdict(list)
    corrected: dict[tuple[str, Market], list[float]] = defaultdict(list)
    plain: dict[tuple[str, Market], list[float]] = defaultdict(list)
    unlimited: dict[tuple[str, Market], list[float]] = defaultdict(list)
    requests: dict[tuple[str, Market], int] = {}
    for _, case in itertools.product(range(passes), CASES):
        # A new transport each time: at most 15 tests of one key, so that our own limiter never has to wait.
        async with Transport(simulator.gateway) as transport:
            for _ in range(2):
                await judge(transport, simulator, *case)
            simulator.latency(LATENCY_MS)
            ours[case] += [await judge(transport, simulator, *case) for _ in range(5)]
            simulator.clock(CLOCK_MS)
            corrected[case] += [await judge(transport, simulator, *case) for _ in range(4)]
            simulator.clock(0)
            simulator.latency(0)
        async with aiohttp.ClientSession(connector=_connector(simulator.gateway)) as session:
            await obvious(session, simulator, *case)
            simulator.latency(LATENCY_MS)
            before = simulator.control("/seen")["total"]
            plain[case].append(await obvious(session, simulator, *case))
            requests[case] = simulator.control("/seen")["total"] - before
            plain[case].append(await obvious(session, simulator, *case))
            unlimited[case].append(await obvious(session, simulator, *case, enableRateLimit=False))
            simulator.latency(0)
    return [
        {
            "exchange": case[0],
            "market": case[1].value,
            "one_round_ms": spread(ours[case]),
            "two_rounds_ms": spread(corrected[case]),
            "ccxt_ms": spread(plain[case]),
            "ccxt_unlimited_ms": spread(unlimited[case]),
            "ccxt_requests": requests[case],
            "ratio": round(statistics.median(plain[case]) / statistics.median(ours[case]), 1),
            "ratio_unlimited": round(statistics.median(unlimited[case]) / statistics.median(ours[case]), 1),
        }
        for case in CASES
    ]


async def obvious(
    session: aiohttp.ClientSession, simulator: RemoteSimulator, exchange: str, market: Market, **options: Any
) -> float:
    """Milliseconds that a fresh ccxt instance needs for clock, balance and open orders, over a warm session."""
    import ccxt.async_support as ccxt

    futures = market is Market.FUTURES
    keys = simulator.hello["accounts"][exchange]["good"]
    name = "kucoinfutures" if futures and exchange == "kucoin" else exchange
    if futures and exchange == "mexc":
        options["options"] = {"defaultType": "swap"}
    client = getattr(ccxt, name)({**keys, **options, "session": session})
    began = time.perf_counter()
    await client.fetch_time()
    await client.fetch_balance()
    await client.fetch_open_orders("BTC/USDT:USDT" if futures else "BTC/USDT")
    took = (time.perf_counter() - began) * 1000
    await client.close()
    return took


class _Resolver(AbstractResolver):
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        import socket

        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._gateway.port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _connector(gateway: Gateway) -> aiohttp.TCPConnector:
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    return aiohttp.TCPConnector(ssl=context, resolver=_Resolver(gateway), use_dns_cache=False)


# -- throughput --------------------------------------------------------------------------------------------------------


def throughput(hello: dict[str, Any], rounds: int, tests: int) -> dict[str, Any]:
    """Tests as the app runs them, in rounds: how many a second, computing time and memory. For a process of its own."""
    simulator = RemoteSimulator(hello)
    engine = Engine(simulator.gateway, rate_limit=False)
    rates: list[float] = []
    cpu: list[float] = []
    for number in range(rounds + 1):
        cases = itertools.islice(itertools.cycle(CASES), tests if number else 32)
        jobs = [TestJob(Target(exchange=exchange, market=market)) for exchange, market in cases]
        began, computed = time.perf_counter(), time.process_time()
        for job in jobs:
            engine.start(job, simulator.credentials(job.target.exchange))
        bad = [run.status for run in (job.wait(120) for job in jobs) if not run.status.ok]
        if bad:
            raise SystemExit(f"sound keys were judged {set(bad)}")
        if number:  # the first one only warms up
            rates.append(len(jobs) / (time.perf_counter() - began))
            cpu.append((time.process_time() - computed) / len(jobs) * 1000)
    engine.close()
    megabytes = peak_megabytes()
    return {
        "tests_per_second": spread(rates),
        "cpu_ms_per_test": spread(cpu, 2),
        "in_flight": MAX_TESTS_IN_FLIGHT,
        "peak_mb": None if megabytes is None else round(megabytes),
    }


def measure_throughput(simulator: RemoteSimulator, rounds: int) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(throughput, (simulator.hello, rounds, 400))


# -- limits ------------------------------------------------------------------------------------------------------------

WINDOW = {"mexc": 10.0, "kucoin": 30.0}
"""Seconds over which the exchange counts."""

# KuCoin counts weights in pools that refill every 30 s (documents, "Rate Limit"; weights as in its official SDK).
KUCOIN_POOLS = {"public": 2000, "management": 2000, "spot": 4000, "futures": 2000}
KUCOIN_WEIGHTS = {
    ("api.kucoin.com", "/api/v1/timestamp"): ("public", 3),
    ("api.kucoin.com", "/api/v1/status"): ("public", 3),
    ("api-futures.kucoin.com", "/api/v1/timestamp"): ("public", 2),
    ("api-futures.kucoin.com", "/api/v1/status"): ("public", 4),
    ("api.kucoin.com", "/api/v1/user/api-key"): ("management", 20),
    ("api.kucoin.com", "/api/v1/accounts"): ("management", 5),
    ("api.kucoin.com", "/api/v1/hf/orders/active"): ("spot", 2),
    ("api.kucoin.com", "/api/v1/hf/orders/test"): ("spot", 1),
    ("api-futures.kucoin.com", "/api/v1/account-overview"): ("futures", 5),
    ("api-futures.kucoin.com", "/api/v1/orders"): ("futures", 2),
    ("api-futures.kucoin.com", "/api/v1/orders/test"): ("futures", 2),
}


async def flood(simulator: RemoteSimulator, *, one_key: bool, seconds: float) -> dict[str, Any]:
    """Tests without a pause, our limiter on: how many come through, and the closest that any call came to its limit."""
    finished = 0

    async def worker(transport: Transport, exchange: str, market: Market, accounts: list[str]) -> None:
        nonlocal finished
        for account in itertools.cycle(accounts):
            target = Target(exchange=exchange, market=market)
            await run_test(all_exchanges()[exchange], target, simulator.credentials(exchange, account), transport)
            finished += 1

    simulator.control("/reset", {})
    calls: list[dict[str, Any]] = []
    tasks: list[asyncio.Task[None]] = []
    async with Transport(simulator.gateway) as transport:
        # Connections first, so that no handshake comes between our count and the exchange's; then full buckets.
        await asyncio.gather(*(judge(transport, simulator, *case) for case in CASES for _ in range(8)))
        await asyncio.sleep(12)
        began = time.monotonic()
        for (exchange, market), number in itertools.product(CASES, range(16)):
            names = ["good"] if one_key else list(simulator.hello["accounts"][exchange])
            turned = names[number % len(names) :] + names[: number % len(names)]
            tasks.append(asyncio.create_task(worker(transport, exchange, market, turned)))
        while (left := seconds - (time.monotonic() - began)) > 0:
            await asyncio.sleep(min(5.0, left))
            await asyncio.to_thread(_collect, simulator, calls)
        took = time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _collect(simulator, calls)
    return {
        "tests_per_second": round(finished / took, 1),
        "calls": len(calls),
        "refused_429": sum(call["status"] == 429 for call in calls),
        "share_of_limit": _shares(calls),
        "share_of_kucoin_pool": _pool_shares(calls),
    }


def _collect(simulator: RemoteSimulator, calls: list[dict[str, Any]]) -> None:
    """Appends what was seen since the last time. The simulator keeps the latest 10,000 and counts them all."""
    seen = simulator.control("/seen")
    new = seen["total"] - len(calls)
    if new > len(seen["calls"]):
        raise SystemExit("calls were forgotten before they could be counted")
    calls += seen["calls"][len(seen["calls"]) - new :]


def _shares(calls: list[dict[str, Any]]) -> dict[str, float]:
    """The most calls of a kind in any window, as a share of the published limit, by exchange and call."""
    shares: dict[str, float] = {}
    for exchange_id, window in WINDOW.items():
        exchange = all_exchanges()[exchange_id]
        for call in exchange.calls:
            limit = exchange.limits[call.pool]
            if not limit.each:
                continue
            times: dict[object, list[tuple[float, float]]] = defaultdict(list)
            hosts = {region.hosts.get(call.host) for region in exchange.regions}
            for seen in calls:
                if (seen["method"], seen["path"]) == (call.method, call.path) and seen["host"] in hosts:
                    owner = seen["account"] if limit.by == "account" else "ip"
                    times[owner].append((seen["time"], float(call.weight)))
            if times:
                most = max(_most(rows, window) for rows in times.values())
                shares[f"{exchange.id} {call.host} {call.path}"] = round(
                    most / (limit.weight * window / limit.seconds), 2
                )
    return shares


def _pool_shares(calls: list[dict[str, Any]]) -> dict[str, float]:
    times: dict[tuple[str, object], list[tuple[float, float]]] = defaultdict(list)
    for seen in calls:
        if (found := KUCOIN_WEIGHTS.get((seen["host"], seen["path"]))) is not None:
            pool, weight = found
            times[pool, "ip" if pool == "public" else seen["account"]].append((seen["time"], weight))
    return {
        name: round(max(_most(rows, WINDOW["kucoin"]) for (pool, _), rows in times.items() if pool == name) / limit, 2)
        for name, limit in KUCOIN_POOLS.items()
        if any(pool == name for pool, _ in times)
    }


def _most(rows: list[tuple[float, float]], window: float) -> float:
    """The largest sum within any time as long as the window (s)."""
    rows = sorted(rows)
    most = total = 0.0
    start = 0
    for at, weight in rows:
        total += weight
        while rows[start][0] <= at - window:
            total -= rows[start][1]
            start += 1
        most = max(most, total)
    return most


# -- the report --------------------------------------------------------------------------------------------------------


def show(result: dict[str, Any]) -> str:
    parts = [result["machine"]]
    if "verdict" in result:
        rows = [
            (
                f"{row['exchange']} {row['market']}",
                _ms(row["one_round_ms"]),
                _ms(row["two_rounds_ms"]),
                f"{_ms(row['ccxt_ms'])}, {row['ccxt_requests']} requests",
                f"{row['ratio']} x",
                f"{row['ratio_unlimited']} x",
            )
            for row in result["verdict"]
        ]
        head = ("ms, median (min-max)", "verdict", "clock wrong", "plain ccxt", "ratio", "its limiter off")
        parts.append(f"Time to verdict, every answer takes {LATENCY_MS} ms\n\n" + table(head, rows))
    if "throughput" in result:
        found = result["throughput"]
        rate, cpu = found["tests_per_second"], found["cpu_ms_per_test"]
        parts.append(
            f"Throughput, limiter off, {found['in_flight']} in flight: {rate['median']:.0f} tests/s"
            f" ({rate['min']:.0f}-{rate['max']:.0f}, {rate['n']} rounds),"
            f" {cpu['median']} ms of computing each, peak {found['peak_mb']} MB"
        )
    for name, found in result.get("limits", {}).items():
        worst = sorted(found["share_of_limit"].items(), key=lambda item: -item[1])
        parts.append(
            f"Limiter on, {name}: {found['tests_per_second']} tests/s, {found['calls']} calls\n\n"
            + table(("call", "share of its limit"), worst[:6])
            + "\n\n"
            + table(("KuCoin pool", "share of its limit"), list(found["share_of_kucoin_pool"].items()))
        )
    parts.append("Missed: " + (", ".join(result["missed"]) or "nothing"))
    return "\n\n".join(parts)


def _ms(values: dict[str, float]) -> str:
    return f"{values['median']:.0f} ({values['min']:.0f}-{values['max']:.0f})"


def missed(result: dict[str, Any]) -> list[str]:
    """What falls short of its target."""
    found: list[str] = []
    for row in result.get("verdict", []):
        name = f"{row['exchange']} {row['market']}"
        if row["one_round_ms"]["median"] > TARGETS["one round ms"]:
            found.append(f"{name} one round")
        if row["two_rounds_ms"]["median"] > TARGETS["two rounds ms"]:
            found.append(f"{name} two rounds")
        if row["ratio"] < TARGETS["ratio to ccxt"]:
            found.append(f"{name} ratio {row['ratio']}")
    if (flow := result.get("throughput")) is not None:
        if flow["tests_per_second"]["median"] < TARGETS["tests/s"]:
            found.append("throughput")
        if (flow["peak_mb"] or 0) > TARGETS["MB"]:
            found.append("memory")
    for name, flow in result.get("limits", {}).items():
        shares = {**flow["share_of_limit"], **flow["share_of_kucoin_pool"]}
        found += [f"{name}: {call} {share} of its limit" for call, share in shares.items() if share > 1]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--passes", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=35.0, help="how long each flood against the limits lasts")
    parser.add_argument("--only", choices=("verdict", "throughput", "limits"))
    chosen = parser.parse_args()
    parts = (chosen.only,) if chosen.only else ("verdict", "throughput", "limits")
    result: dict[str, Any] = {"machine": machine()}
    with remote_simulator() as simulator:
        if "throughput" in parts:
            result["throughput"] = measure_throughput(simulator, chosen.passes + 2)
        if "verdict" in parts:
            result["verdict"] = asyncio.run(verdicts(simulator, chosen.passes))
        if "limits" in parts:
            result["limits"] = {
                name: asyncio.run(flood(simulator, one_key=one, seconds=chosen.seconds))
                for name, one in (("one key an exchange", True), ("11 keys an exchange", False))
            }
    result["missed"] = missed(result)
    print(json.dumps(result) if chosen.json else show(result))


if __name__ == "__main__":
    main()
