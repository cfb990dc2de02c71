"""Asks `bfai.read_key` about the keys on stdin, as a stranger's program would: through ccxt instances of its own.

Reads a JSON list of `{"class", "mode": "sync"|"async", "settings"}` and prints for each the grants, or the refusal,
and what of the caller's instance changed.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from typing import Any

import ccxt
import ccxt.async_support

import bfai

KEPT = ("apiKey", "secret", "password", "options", "headers", "urls", "hostname", "session", "verbose", "httpProxy")


def state(exchange: Any) -> dict[str, Any]:
    return {name: exchange.session if name == "session" else copy.deepcopy(vars(exchange).get(name)) for name in KEPT}


def changed(exchange: Any, before: dict[str, Any]) -> list[str]:
    return [name for name in KEPT if before.get(name) != vars(exchange).get(name)]


def shown(report: bfai.KeyReport) -> dict[str, Any]:
    return {
        "grants": {right.value: report.state(right).value for right in bfai.Permission},
        "ip": report.ip_restriction.state.value,
        "account": report.account_id,
    }


def refused(error: Exception) -> dict[str, Any]:
    diagnosis = getattr(error, "diagnosis", None)
    return {"refused": str(error), "candidates": [cause.value for cause in diagnosis.candidates] if diagnosis else None}


async def asynchronous(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    exchange = getattr(ccxt.async_support, kind)(settings)
    before = state(exchange)
    try:
        result = shown(await bfai.read_key(exchange))
    except bfai.KeyRefused as error:
        result = refused(error)
    result["changed"] = changed(exchange, before)
    result["still works"] = await exchange.fetch_time() > 0
    await exchange.close()
    return result


def synchronous(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    exchange = getattr(ccxt, kind)(settings)
    before = state(exchange)
    try:
        result = shown(bfai.read_key_sync(exchange))
    except bfai.KeyRefused as error:
        result = refused(error)
    result["changed"] = changed(exchange, before)
    result["still works"] = exchange.fetch_time() > 0
    return result


if __name__ == "__main__":
    jobs = json.load(sys.stdin)
    results = [
        asyncio.run(asynchronous(job["class"], job["settings"]))
        if job["mode"] == "async"
        else synchronous(job["class"], job["settings"])
        for job in jobs
    ]
    sys.stdout.write(json.dumps(results))
