"""The one way out: declared calls, one shared session, a limiter, a gateway for the simulator, and redaction.

ccxt signs and this module sends. Nothing that is not a declared `Call` of the exchange leaves: the signed address is
compared
with the declaration before a byte is sent, and redirects are never followed, so a signature cannot travel to another
host.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import ipaddress
import logging
import os
import re
import socket
import ssl
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bfai.exchanges.base import Answer, Call, Exchange, Limit, Region
from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Message, Sent, Target, utc_now

MAX_BODY = 2 * 1024 * 1024  # bytes; the largest documented answer of a test is some 100 kB
CALL_SECONDS = 8.0
CONNECT_SHARE = 0.6  # of the time of a call: connecting and TLS
MAX_RETRY_AFTER = 3600.0
SHARE_OF_LIMIT = 0.95  # of a published rate that is used

logging.getLogger("ccxt").setLevel(logging.WARNING)  # at DEBUG it prints headers with the key


# -- redaction ---------------------------------------------------------------------------------------------------------

HIDDEN = "…"
_PRIVATE_KEY = re.compile(r"-----BEGIN[A-Z ]*PRIVATE KEY.*?(?:-----END[A-Z ]*(?:-----)?|$)", re.DOTALL)
_SECRET_NAMES = (
    r"(?<![\w-])[\w-]{0,40}(?:key|secret|pass(?:phrase|word|wd)?|pwd|token|signature|hmac)(?:[-_]?id)?"
    r"|(?<![\w-])(?:(?:[\w-]{0,40}[-_])?sign|sig|authorization|kc-api-partner)"
)
_PLAIN_WORDS = (
    "invalid|mismatch|incorrect|missing|required|wrong|expired|unknown|not|error|please|empty|failed|none|null|true"
    "|false|must|is|was|should|denied|does|doesn|has|verification|check|str|string|permission|for|and|or"
)
_NAMED_SECRETS = re.compile(
    rf"""(?ix)
    (?P<name> (?:{_SECRET_NAMES}) \\*["']?
        (?: \s{{0,3}} (?: => | := | : \s? str \s? = | [=:] ) \s{{0,3}} | ["'] \s? , \s? (?=["']) )
        (?: bearer \s | [br](?=["']) )? )
    (?: (?P<quote> \\+["'] ) (?: (?! (?P=quote) ) . ){{1,4000}}
      | (?P<plain> ["'] ) (?: \\. | (?! (?P=plain) ) [^\\\r\n] ){{1,4000}}
      | (?! (?:{_PLAIN_WORDS}) \b ) [^\s"'&,;}}\]<>]{{6,}} )
    """
)
_FLAGS = re.compile(
    r"""(?i)(--(?:[\w-]{0,40}(?:key|secret)|pass(?:phrase|word)?|token)["']?(?:\s{1,3}|\s?,\s?))(["']?)[^\s"']+"""
)
_LONG_RUN = re.compile(
    r"(?<![\w+-])(?:(?=[A-Za-z+_-]*\d)(?=[\d+_-]*[A-Za-z])[\w+-]{20,}(?![\w+-])"
    r"|(?=[A-Za-z]*\d)(?=[\da-z]*[A-Z])(?=[\dA-Z]*[a-z])[A-Za-z\d]{18,19}(?![\w+-])"
    r"|(?<!/)(?=[A-Za-z+/_-]*\d)(?=[\da-z+/_-]*[A-Z])(?=[\dA-Z+/_-]*[a-z])[\w+/-]{40,})={0,2}",
    re.ASCII,
)
"""Letters and digits mixed, longer than any word: a key that stands there without its name."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these secrets, in any encoding they travel in, and without what is named or looks like one."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        raw = secret.encode("utf-8", "surrogatepass")  # a secret that came from a terminal may be no UTF-8
        forms = {secret, quote(raw, safe=""), quote_plus(raw), secret.replace("\n", "\\n")}
        for form in forms | {form.replace("/", "\\/") for form in forms}:
            if len(form) >= 3:
                text = text.replace(form, HIDDEN)
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _NAMED_SECRETS.sub(_without_value, text)
    text = _FLAGS.sub(rf"\1\2{HIDDEN}", text)
    return _LONG_RUN.sub(lambda match: match[0] if _is_slug(match[0]) else HIDDEN, text)


def _without_value(match: re.Match[str]) -> str:
    return f"{match['name']}{match['quote'] or match['plain'] or ''}{HIDDEN}"


def _is_slug(run: str) -> bool:
    """Whether it is words and numbers, such as a pair with its date, and no key."""
    return all(part.isdigit() or (part.isalpha() and len(part) < 15) for part in re.split("[-_+]", run))


# -- the gateway -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where exchange hosts are sent instead: an address on this machine, with TLS verified against its own CA."""

    host: str
    port: int
    ca_file: Path

    @classmethod
    def parse(cls, address: str, ca_file: str | Path) -> Gateway:
        """From "127.0.0.1:PORT". Raises BfaiError for anything that is not loopback or has no readable CA."""
        host, _, port = address.rpartition(":")
        try:
            loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
            number = int(port)
        except ValueError:
            loopback, number = False, 0
        if not loopback or not 0 < number < 65536:
            raise BfaiError(
                Message(
                    text=N_(
                        "BFAI_GATEWAY must be an address on this computer, such as 127.0.0.1:8443. It is {address}."
                    ),
                    params={"address": address},
                )
            )
        path = Path(ca_file)
        if not path.is_file():
            raise BfaiError(
                Message(
                    text=N_("BFAI_GATEWAY_CA names no readable file: {path}. The simulator prints the right one."),
                    params={"path": str(path)},
                )
            )
        return cls("127.0.0.1" if host == "localhost" else host.strip("[]"), number, path)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Gateway | None:
        address = environment.get("BFAI_GATEWAY", "").strip()
        return cls.parse(address, environment.get("BFAI_GATEWAY_CA", "")) if address else None


class _GatewayResolver(AbstractResolver):
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        own = socket.AF_INET if ipaddress.ip_address(self._gateway.host).version == 4 else socket.AF_INET6
        other = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return [
            ResolveResult(
                hostname=host,
                host=self._gateway.host if family in (own, socket.AF_UNSPEC) else other,
                port=self._gateway.port,
                family=own if family == socket.AF_UNSPEC else family,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


# -- the limiter -------------------------------------------------------------------------------------------------------


class _Window:
    """The calls of one pool by one address or account that may lie in the exchange's present window of time.

    A call reaches the exchange at some moment between its start and its end, so it counts until a window has passed
    since its end: however late a busy computer sends or hears, no window at the exchange holds more than the limit.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._turn = asyncio.Lock()  # first come, first served
        self._changed = asyncio.Event()
        self._ended: deque[tuple[float, int]] = deque()
        self._under_way = 0
        self._counted = 0

    async def enter(self, limit: Limit, weight: int) -> None:
        room = max(weight, int(limit.weight * SHARE_OF_LIMIT))
        async with self._turn:
            while (wait := self._until_room(limit, room - weight)) != 0:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait)
            self._under_way += weight

    def _until_room(self, limit: Limit, left: int) -> float | None:
        """0 where there is room, else seconds until the oldest call leaves the window; None: when one ends."""
        now = self._monotonic()
        while self._ended and self._ended[0][0] <= now - limit.seconds:
            self._counted -= self._ended.popleft()[1]
        if self._under_way + self._counted <= left:
            return 0
        return max(0.001, self._ended[0][0] + limit.seconds - now) if self._ended else None

    def leave(self, weight: int) -> None:
        self._under_way -= weight
        self._counted += weight
        self._ended.append((self._monotonic(), weight))
        self._changed.set()


class Limiter:
    """Keeps calls below the exchanges' published rates, by pool and by address or account."""

    def __init__(self, *, enabled: bool = True, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self._monotonic = monotonic
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._closed_until: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def slot(self, key: tuple[str, ...], limit: Limit, weight: int = 1) -> AsyncGenerator[None]:
        """Waits until a call of this weight may go; the call is made inside."""
        if not self.enabled:
            yield
            return
        window = self._windows.setdefault(key, _Window(self._monotonic))
        await window.enter(limit, weight)
        try:
            yield
        finally:
            window.leave(weight)

    def close(self, key: str, seconds: float) -> None:
        """The exchange asked for silence."""
        self._closed_until[key] = self._monotonic() + min(seconds, MAX_RETRY_AFTER)

    def closed_for(self, key: str) -> float:
        """Seconds until this exchange may be asked again."""
        return max(0.0, self._closed_until.get(key, 0.0) - self._monotonic())


# -- signing -----------------------------------------------------------------------------------------------------------


@cache
def _prototype(ccxt_id: str) -> Any:
    import ccxt  # pyright: ignore[reportMissingTypeStubs]

    return getattr(ccxt, ccxt_id)({"enableRateLimit": False})


def prepare(ccxt_id: str) -> None:
    """Loads what signing needs. The first time in a process it takes half a second or more: not for an event loop."""
    _prototype(ccxt_id)


class UndeclaredRequest(Exception):
    """A request that no adapter declares was about to be sent. It was not."""


class Client:
    """Signs and sends the declared calls of one exchange with one key. One instance a test; never shared between
    tests.
    """

    def __init__(
        self,
        transport: Transport,
        exchange: Exchange,
        target: Target,
        credentials: Credentials | None = None,
        *,
        clock_offset_ms: float = 0.0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> None:
        """`family` goes by IPv4 or by IPv6 only."""
        self.exchange = exchange
        self.site: Region = exchange.site(target.region, target.environment)
        self.values: dict[str, str] = {}
        """What other answers of the same test gave, for calls that need it."""
        self.clock_offset_ms = clock_offset_ms
        self.receipt: list[Sent] = []
        self._transport = transport
        self._credentials = credentials
        self._proxy = target.egress_proxy
        self._family = family
        self._account = uuid.uuid4().hex if credentials is None else credentials.api_key
        signer = copy.copy(_prototype(exchange.ccxt_id))
        signer.options = dict(signer.options)
        signer.milliseconds = self._milliseconds
        signer.seconds = lambda: self._milliseconds() // 1000
        if credentials is not None:
            sent = exchange.normalise(credentials)
            signer.apiKey, signer.secret, signer.password = sent.api_key, sent.secret, sent.passphrase or ""
        signer.request = self._only_sign
        exchange.prepare_signer(signer, self.site)
        self._signer = signer

    def elsewhere(self, target: Target) -> Client:
        """The same key at another region, with the same clock and on the same receipt."""
        other = Client(self._transport, self.exchange, target, self._credentials, clock_offset_ms=self.clock_offset_ms)
        other.receipt = self.receipt
        return other

    def _only_sign(self, path: str, api: Any, method: str, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Stands where ccxt's own request would be sent: an implicit method then gives what it would send."""
        return {"method": method, **self._signer.sign(path, api, method, params)}

    def _milliseconds(self) -> int:
        return int(self.seconds() * 1000 + self.clock_offset_ms)

    def seconds(self) -> float:
        """Since 1970, by the clock with which it signs before that is corrected."""
        return self._transport.seconds()

    def redact(self, text: str) -> str:
        return redact(text, self._credentials.secrets() if self._credentials else ())

    async def ask(self, call: Call) -> Answer:
        """Sends one declared call. Never raises for anything that the network or the exchange does."""
        if call not in self.exchange.calls:
            raise UndeclaredRequest(f"{call.method} {call.path} is not declared by {self.exchange.id}")
        if not call.share_seconds:
            return await self._send(call)
        where = (self.exchange.id, self.site.hosts[call.host], call.path, self._proxy or "direct")
        answer = await self._transport.shared(where, call.share_seconds, lambda: self._send(call))
        return replace(answer, call=call)  # it may have been asked for in another market

    async def _send(self, call: Call) -> Answer:
        host = self.site.hosts[call.host]
        limit = self.exchange.limits[call.pool]
        counted_by = self._account if limit.by == "account" else (self._proxy or "direct")
        counted = f"{host}{call.path}" if limit.each else call.pool
        async with self._transport.limiter.slot((self.exchange.id, counted, counted_by), limit, call.weight):
            return await self._send_now(call, host)

    async def _send_now(self, call: Call, host: str) -> Answer:
        silence_key = f"{self.exchange.id}|{self._proxy or 'direct'}"
        silence = self._transport.limiter.closed_for(silence_key)
        if silence > 0:
            return Answer(role=call.role, status=429, headers={"Retry-After": f"{silence:.0f}"}, call=call)
        try:
            url, headers, body = self._sign(call, host)
        except UndeclaredRequest:
            raise
        except Exception as error:  # ccxt and cryptography raise many kinds for a secret that is no key
            return Answer(role=call.role, transport_error="unsigned", error_text=type(error).__name__, call=call)
        at, began = self._transport.now(), time.perf_counter()
        answer = await self._transport.fetch(call.method, url, headers, body, self._proxy, family=self._family)
        latency = (time.perf_counter() - began) * 1000
        sent = Sent(
            method=call.method,
            host=host,
            path=call.path,
            purpose=call.purpose,
            at=at,
            status=answer.status,
            latency_ms=round(latency, 1),
            dry_run=call.dry_run,
        )
        self.receipt.append(sent)
        if answer.status in (418, 429):
            self._transport.limiter.close(silence_key, retry_after_seconds(answer.headers) or 1.0)
        return Answer(
            role=call.role,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            transport_error=answer.transport_error,
            error_text=self.redact(answer.error_text),
            sent=sent,
            latency_ms=round(latency, 1),
            call=call,
        )

    def _sign(self, call: Call, host: str) -> tuple[URL, dict[str, str], str | None]:
        if not call.implicit:
            return URL(f"https://{host}{call.path}"), dict(self.site.headers), None
        path, params = self._fill(call.path), {name: self._fill(value) for name, value in call.params.items()}
        signed: dict[str, Any] = getattr(self._signer, call.implicit)(params)
        parts = urlsplit(str(signed["url"]))
        if (signed["method"], parts.scheme, parts.path) != (call.method, "https", path):
            raise UndeclaredRequest(f"ccxt would send {signed['method']} {parts.path} for {call.method} {call.path}")
        url = URL(f"https://{host}{parts.path}{'?' + parts.query if parts.query else ''}", encoded=True)
        given: dict[str, Any] = signed.get("headers") or {}
        headers = {name: str(value) for name, value in given.items()}
        return url, {**headers, **self.site.headers}, signed.get("body")

    def _fill(self, value: Any) -> Any:
        """A declared parameter or path with its placeholders filled in."""
        if not isinstance(value, str) or "{" not in value:
            return value
        key = self._credentials.api_key if self._credentials else ""
        for name, filling in (*self.values.items(), ("api_key", key), ("nonce", uuid.uuid4().hex)):
            value = value.replace(f"{{{name}}}", filling)
        return value


# -- the session -------------------------------------------------------------------------------------------------------


class Transport:
    """The shared HTTP session of one event loop. Use it only from the loop on which it first sent something.

    `clock` tells the time in place of this computer's clock: requests are signed with it, and the pauses that an
    exchange asks for are as long as it says.
    """

    def __init__(
        self,
        gateway: Gateway | None = None,
        *,
        rate_limit: bool = True,
        call_seconds: float = CALL_SECONDS,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.gateway = gateway
        self._clock = clock
        self.limiter = Limiter(enabled=rate_limit, monotonic=self._monotonic)
        self._timeout = aiohttp.ClientTimeout(total=call_seconds, sock_connect=call_seconds * CONNECT_SHARE)
        self._sessions: dict[tuple[str, int], aiohttp.ClientSession] = {}
        self._ssl: ssl.SSLContext | None = None
        self._shared: dict[tuple[str, ...], tuple[float, asyncio.Task[Answer]]] = {}

    def now(self) -> datetime:
        return utc_now() if self._clock is None else self._clock()

    def seconds(self) -> float:
        """Since 1970."""
        return time.time() if self._clock is None else self._clock().timestamp()

    def _monotonic(self) -> float:
        """Seconds for lengths: a clock that is set changes none."""
        return time.monotonic() if self._clock is None else self._clock().timestamp()

    async def shared(
        self, where: tuple[str, ...], seconds: float, send: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """An answer that several tests may use: the one that is under way, a fresh one, or a new one."""
        since, task = self._shared.get(where, (0.0, None))
        if task is None or self._monotonic() - since > seconds or (task.done() and not _is_good(task)):
            task = asyncio.create_task(send())
            self._shared[where] = (self._monotonic(), task)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def fetch(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None = None,
        *,
        max_body: int = MAX_BODY,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> Answer:
        """One HTTP exchange. Every way to fail becomes an `Answer` with a `transport_error`.

        An answer of more than `max_body` bytes comes back without its body.
        """
        try:
            return await self._once(method, url, headers, body, proxy, max_body, family)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # A kept-alive connection may have been closed just now; all declared calls are safe to repeat.
            return await _as_answer(lambda: self._once(method, url, headers, body, proxy, max_body, family))
        except Exception as error:  # every kind is named below
            return _failure(error)

    async def _once(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None,
        max_body: int,
        family: socket.AddressFamily,
    ) -> Answer:
        session = self._session(proxy, family)
        via = proxy if proxy and proxy.startswith("http") and self.gateway is None else None
        async with session.request(
            method, url, headers=headers, data=body, proxy=via, allow_redirects=False, timeout=self._timeout
        ) as response:
            raw = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                raw += chunk
                if len(raw) > max_body:
                    response.close()
                    return Answer(
                        status=response.status,
                        headers=dict(response.headers),
                        error_text=f"answer larger than {max_body // 1024} kB",
                    )
            return Answer(status=response.status, headers=dict(response.headers), body=raw.decode("utf-8", "replace"))

    def _session(self, proxy: str | None, family: socket.AddressFamily = socket.AF_UNSPEC) -> aiohttp.ClientSession:
        socks = proxy if proxy and proxy.startswith("socks") and self.gateway is None else ""
        session = self._sessions.get((socks, family))
        if session is None or session.closed:
            session = self._sessions[socks, family] = aiohttp.ClientSession(
                connector=self._connector(socks, family),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "bfai"},
                trust_env=False,
            )
        return session

    def _connector(self, socks: str, family: socket.AddressFamily) -> aiohttp.TCPConnector:
        if self._ssl is None:
            self._ssl = ssl.create_default_context(cafile=str(self.gateway.ca_file) if self.gateway else None)
        options: dict[str, Any] = {"ssl": self._ssl, "limit": 0, "keepalive_timeout": 20, "family": family}
        if socks:
            from aiohttp_socks import ProxyConnector

            return ProxyConnector.from_url(socks, rdns=True, **options)
        if self.gateway is not None:
            options["resolver"] = _GatewayResolver(self.gateway)
            options["use_dns_cache"] = False
        return aiohttp.TCPConnector(**options)


def _is_good(task: asyncio.Task[Answer]) -> bool:
    """A failure is asked for again by the next test."""
    return not task.cancelled() and task.exception() is None and task.result().status == 200


async def _as_answer(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await attempt()
    except Exception as error:  # every kind is named below
        return _failure(error)


def _failure(error: Exception) -> Answer:
    """Names what went wrong below HTTP, in the words that the diagnosis knows."""
    text = redact(f"{type(error).__name__}: {error}")[:300]
    match error:
        case aiohttp.ClientConnectorDNSError():
            kind = "dns"
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            kind = "proxy"
        case aiohttp.ClientSSLError():
            kind = "tls"
        case aiohttp.ConnectionTimeoutError():
            kind = "connect_timeout"
        case TimeoutError():
            kind = "read_timeout"
        case aiohttp.ClientConnectorError():
            kind = "network_unreachable" if error.errno in (101, 113, 10051, 10065) else "refused"
        case aiohttp.ClientPayloadError():
            kind = "truncated"
        case aiohttp.ServerDisconnectedError() | OSError():
            kind = "reset"
        case _ if type(error).__module__.startswith("python_socks") or "Proxy" in type(error).__name__:
            kind = "proxy"
        case _:
            kind = "protocol"
    return Answer(transport_error=kind, error_text=text)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the exchange asks to wait: `Retry-After` in seconds, or KuCoin's reset in milliseconds."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after", 1.0), ("gw-ratelimit-reset", 0.001)):
        try:
            seconds = float(lower[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 1e6:
            return seconds
    return None
