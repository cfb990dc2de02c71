"""The simulated exchanges without sockets: the same signed requests and the same answers, in a millisecond each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from bfai.connection_test import run_test
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer
from bfai.model import Credentials, Environment, Market, Target, TestRun
from bfai.simulator import Simulator
from bfai.simulator.core import Call
from bfai.transport import Transport

Change = Callable[[Call, Answer], Answer]
"""What becomes of an answer on its way."""


class Direct(Transport):
    def __init__(
        self, simulator: Simulator, change: Change | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(rate_limit=False, clock=clock)
        self._world, self._change = simulator._world, change
        self.asked: list[tuple[str, str | None]] = []
        """Host and path of each request, and the proxy that it should have gone through."""

    async def fetch(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None = None,
        **_: Any,
    ) -> Answer:
        exchange, group = self._world.hosts[url.host or ""]
        now_ms = int(self._world.clock() * 1000) + self._world.offsets.get(exchange.name, 0)
        raw = (body or "").encode()
        sent = CIMultiDict({"Host": url.host or "", **headers})
        call = Call(method, url.raw_path_qs, sent, raw, url.host or "", group, "127.0.0.1", now_ms)
        reply = exchange.answer(call)
        assert call.violation is None, call.violation
        self.asked.append((f"{url.host}{url.path}", proxy))
        answer = Answer(status=reply.status, headers=dict(reply.headers), body=reply.body.decode())
        return self._change(call, answer) if self._change else answer


def run_directly(
    simulator: Simulator,
    exchange: str,
    credentials: Credentials,
    *,
    market: str = "spot",
    environment: Environment = Environment.LIVE,
    region: str | None = None,
    change: Change | None = None,
    clock: Callable[[], datetime] | None = None,
    transport: Direct | None = None,
    egress_proxy: str | None = None,
    **options: Any,
) -> TestRun:
    """One test without sockets."""

    async def run() -> TestRun:
        adapter = all_exchanges()[exchange]
        home = region or adapter.regions[0].id
        target = Target(
            exchange=exchange,
            market=Market(market),
            region=home,
            environment=environment,
            egress_proxy=egress_proxy,
        )
        return await run_test(adapter, target, credentials, transport or Direct(simulator, change, clock), **options)

    return asyncio.run(run())
