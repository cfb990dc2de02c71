"""Small things that several tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bfai.connection_test import Confirmation, run_test
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer
from bfai.model import Check, Credentials, Environment, Market, Target, TestRun
from bfai.simulator import Simulator
from bfai.transport import Gateway, Transport


def sample(simulator: Simulator, exchange: str, account: str) -> Credentials:
    keys = simulator.accounts[exchange][account]
    return Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])


def run_once(
    gateway: Gateway,
    exchange: str,
    credentials: Credentials,
    *,
    market: str = "spot",
    environment: Environment = Environment.LIVE,
    region: str | None = None,
    try_regions: bool = False,
    confirmation: Confirmation | None = None,
    on_check: Callable[[Check], None] | None = None,
    on_answer: Callable[[Answer], None] | None = None,
    call_seconds: float = 8.0,
    **options: Any,
) -> TestRun:
    """One test on a fresh transport, over real sockets."""

    async def run() -> TestRun:
        home = region or all_exchanges()[exchange].regions[0].id
        async with Transport(gateway, call_seconds=call_seconds, **options) as transport:
            return await run_test(
                all_exchanges()[exchange],
                Target(exchange=exchange, market=Market(market), region=home, environment=environment),
                credentials,
                transport,
                others=[other for other in all_exchanges().values() if other.id != exchange],
                confirmation=confirmation,
                try_regions=try_regions,
                on_check=on_check,
                on_answer=on_answer,
            )

    return asyncio.run(run())
