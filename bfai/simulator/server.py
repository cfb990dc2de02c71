"""The two loopback servers of the simulator: the exchanges behind TLS, and the plain control server beside them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import trustme
from aiohttp import web

from bfai.simulator.core import WRITE, Account, Call, Exchange, Reply
from bfai.simulator.faults import Fault, Faults, read_faults, spoiled

LOOPBACK: Final = "127.0.0.1"
LOOPBACK_6: Final = "::1"
SEEN_KEPT: Final = 10_000
_log = logging.getLogger("bfai.simulator")
_silent = logging.getLogger("bfai.simulator.http")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False

Mutator = Callable[[str, str, bytes], bytes]


def _plain(word: str) -> str:
    """A word of an address that nobody declared, or a mark where it could be a key."""
    secret = len(word) > 24 or (len(word) > 9 and any(letter.isdigit() for letter in word))
    return "…" if secret else word


class Seen(NamedTuple):
    """One call as it is remembered: no query values, no header, no body."""

    time: float
    exchange: str | None
    host: str
    method: str
    path: str
    params: tuple[str, ...]
    status: int | None
    account: str | None
    fault: str | None
    violation: str | None

    def shown(self) -> dict[str, object]:
        """As a JSON object."""
        return {**self._asdict(), "params": list(self.params)}


class World:
    """What the exchanges are like at the moment: clock, faults, addresses, accounts, and what has been called."""

    def __init__(self, kinds: Iterable[type[Exchange]], clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        started_ms = int(clock() * 1000)
        self.exchanges: dict[str, Exchange] = {kind.name: kind(started_ms) for kind in kinds}
        self.hosts = {host: (e, group) for e in self.exchanges.values() for host, group in e.hosts.items()}
        self.faults = Faults()
        self.offsets: dict[str, int] = {}
        self.address: str | None = None
        self.address_6: str | None = None
        self.mutator: Mutator | None = None
        self.seen: deque[Seen] = deque(maxlen=SEEN_KEPT)
        self.violations: list[Seen] = []
        self.errors: list[str] = []
        self.total = 0

    def reset(self) -> None:
        """Everything as at the start."""
        self.faults.set([])
        self.offsets = {}
        self.address = self.address_6 = None
        self.mutator = None
        for exchange in self.exchanges.values():
            exchange.reset_accounts()
        self.forget()

    def forget(self) -> None:
        """Forgets the calls seen and the violations."""
        self.seen.clear()
        self.violations.clear()
        self.errors.clear()
        self.total = 0

    def exchange(self, name: str) -> Exchange:
        """An exchange by name. ValueError if there is none."""
        if name not in self.exchanges:
            raise ValueError(f"unknown exchange {name!r}; known: {', '.join(self.exchanges)}")
        return self.exchanges[name]

    def account(self, exchange: str, account: str) -> Account:
        """A sample account by name. ValueError if there is none."""
        accounts = self.exchange(exchange).accounts
        if account not in accounts:
            raise ValueError(f"unknown account {account!r}; known: {', '.join(accounts)}")
        return accounts[account]

    def set_clock(self, offset_ms: int, exchange: str = "*") -> None:
        """Shifts the clock of one exchange, or of all."""
        if exchange == "*":
            self.offsets = dict.fromkeys(self.exchanges, offset_ms)
        else:
            self.offsets = {**self.offsets, self.exchange(exchange).name: offset_ms}

    def credentials(self) -> dict[str, dict[str, dict[str, str | None]]]:
        """The sample credentials by exchange and account."""
        return {
            name: {
                account.name: {"apiKey": account.api_key, "secret": account.secret, "password": account.password}
                for account in exchange.accounts.values()
            }
            for name, exchange in self.exchanges.items()
        }

    def remember(self, exchange: str | None, call: Call, status: int | None, fault: str | None = None) -> None:
        """Writes a call down, without anything secret."""
        names = tuple(_plain(part.partition("=")[0]) for part in call.query.split("&")[:40]) if call.query else ()
        path = call.path if call.route else "/".join(map(_plain, call.path.split("/")[:20]))
        account = call.account.name if call.account else None
        now = round(self.clock(), 3)
        seen = Seen(now, exchange, call.host, call.method, path, names, status, account, fault, call.violation)
        self.seen.append(seen)
        self.total += 1
        if call.violation:
            self.violations.append(seen)


class Servers:
    """The listening sockets; lives on one event loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.authority = trustme.CA(organization_name="BackFuture AI Workbench simulator")
        self.hello: dict[str, Any] = {}
        self._closing: list[tuple[asyncio.Server, web.Server]] = []

    async def start(self, port: int) -> tuple[int, int]:
        """Listens on loopback; gives the ports of the gateway and of the control server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        leaf = self.authority.issue_cert(*self.world.hosts, "localhost", LOOPBACK)
        leaf.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        context.set_alpn_protocols(["http/1.1"])
        gateway = await self._listen(self._exchange, port, context)
        with contextlib.suppress(OSError):  # a machine without IPv6
            await self._listen(self._exchange, gateway, context, LOOPBACK_6)
        return gateway, await self._listen(self._control, 0, None)

    async def _listen(
        self, handler: Callable[[Any], Any], port: int, context: ssl.SSLContext | None, at: str = LOOPBACK
    ) -> int:
        server = web.Server(handler, access_log=None, logger=_silent, keepalive_timeout=75.0)
        listening = await asyncio.get_running_loop().create_server(server, at, port, ssl=context, backlog=512)
        self._closing.append((listening, server))
        return int(listening.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes both servers and every connection, also those that hang on purpose."""
        for listening, _ in self._closing:
            listening.close()
        await asyncio.gather(*(server.shutdown(0.05) for _, server in self._closing))
        self._closing.clear()

    async def _exchange(self, request: web.BaseRequest) -> web.StreamResponse:
        world = self.world
        headers = request.headers
        host = headers.get("Host", "").partition(":")[0].lower()
        body = await request.read() if request.body_exists else b""
        by_6 = ":" in (request.remote or "")
        if by_6 and world.address and not world.address_6:
            _reset(request)  # a line without IPv6
            return web.Response(status=500)
        address = (world.address_6 if by_6 else world.address) or request.remote or LOOPBACK
        known = world.hosts.get(host)
        if known is None:
            call = Call(request.method, request.raw_path, headers, body, host, "", address, 0)
            if request.method not in ("GET", "HEAD", "OPTIONS"):
                call.violation = WRITE
            world.remember(None, call, 421)
            return web.Response(status=421, text="this simulator does not know that host\n")
        exchange, group = known
        now_ms = int(world.clock() * 1000) + world.offsets.get(exchange.name, 0)
        call = Call(request.method, request.raw_path, headers, body, host, group, address, now_ms)
        try:
            reply = exchange.answer(call)
        except Exception as error:  # a defect of the simulator must be seen, and must not print a secret
            what = f"{exchange.name} {call.method} {call.route.path if call.route else '?'}: {type(error).__name__}"
            world.errors.append(what)
            _log.error("%s", what)
            reply = Reply(500, b'{"simulator":"defect"}', {"Content-Type": "application/json"})
        if world.mutator is not None:
            reply = Reply(reply.status, world.mutator(exchange.name, call.path, reply.body), reply.headers)
        wait, fault = world.faults.take(exchange.name, call)
        if wait:
            await asyncio.sleep(wait)
        if fault is None:
            world.remember(exchange.name, call, reply.status)
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        reply = spoiled(fault, exchange, call, reply)
        silent = fault.kind in ("reset", "hang")
        world.remember(exchange.name, call, None if silent else reply.status, fault.kind)
        return await _travel(request, fault, reply)

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Host", "").partition(":")[0].lower() not in (LOOPBACK, "localhost"):
            return web.json_response({"error": "loopback only"}, status=421)
        try:
            body: Any = await request.json() if request.body_exists else {}
            answer = self.steer(request.method, request.path, body)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        if answer is None:
            return web.json_response({"error": "no such control"}, status=404)
        return web.json_response(answer)

    def steer(self, method: str, path: str, body: Any) -> Mapping[str, object] | None:
        """One control request: what it does and what it answers. None if there is no such control."""
        world = self.world
        match method, path:
            case "GET", "/":
                return self.hello
            case "GET", "/seen":
                calls = [seen.shown() for seen in tuple(world.seen)]
                violations = [seen.shown() for seen in tuple(world.violations)]
                return {"total": world.total, "calls": calls, "violations": violations, "errors": list(world.errors)}
            case "DELETE", "/seen":
                world.forget()
            case "GET", "/faults":
                return {"faults": world.faults.shown()}
            case "POST", "/faults":
                world.faults.set(read_faults(body))
                return {"faults": world.faults.shown()}
            case "POST", "/clock":
                world.set_clock(int(body["offset_ms"]), str(body.get("exchange", "*")))
            case "POST", "/address":
                world.address, world.address_6 = body.get("address"), body.get("address_6")
            case "POST", "/accounts":
                change = dict(body)
                exchange, name = str(change.pop("exchange")), str(change.pop("account"))
                world.account(exchange, name)
                if change.pop("reset", False):
                    world.exchange(exchange).reset_accounts(name)
                if change:
                    world.exchange(exchange).change_account(name, change)
            case "POST", "/reset":
                world.reset()
            case _:
                return None
        return {"ok": True}


async def _travel(request: web.BaseRequest, fault: Fault, reply: Reply) -> web.StreamResponse:
    """Sends a reply the way the fault wants it to travel."""
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("reset", "hang"):
        _reset(request)
        return web.Response(status=500)
    if fault.kind == "cut":
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: int(len(reply.body) * fault.fraction)])
        if request.transport is not None:
            request.transport.close()
        return response
    if fault.kind == "huge":
        return await _huge(request, fault)
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def _reset(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    bare = transport.get_extra_info("socket")
    if bare is not None:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
    transport.abort()


async def _huge(request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
    part = b"x" * 65_536
    parts = max(1, int(fault.megabytes * 16))
    start, end = json.dumps({"data": ""}).encode().split(b'""')
    response = web.StreamResponse(status=fault.status or 200, headers={"Content-Type": "application/json"})
    response.content_length = len(start) + len(end) + 2 + len(part) * parts
    await response.prepare(request)
    await response.write(start + b'"')
    for _ in range(parts):
        await response.write(part)
    await response.write(b'"' + end)
    await response.write_eof()
    return response
