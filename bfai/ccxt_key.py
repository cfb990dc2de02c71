"""`read_key`: what may the key in a ccxt instance do? For anybody's own instance, which stays as it is.

Works on a copy with the caller's settings (proxy, hosts, headers, rate limit) and sends nothing but the declared reads
of the exchange's adapter: the key's own report, and harmless reads that prove more.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from bfai.connection_test import Facts
from bfai.diagnosis import sentence
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Call, Exchange, Role
from bfai.i18n import N_
from bfai.model import (
    BfaiError,
    Cause,
    Credentials,
    Diagnosis,
    Environment,
    KeyReport,
    Market,
    Message,
    Sent,
    Target,
    utc_now,
)
from bfai.transport import UndeclaredRequest

_ASKED = frozenset({Role.KEY_INFO, Role.ACCOUNT, Role.PROBE})


class KeyRefused(BfaiError):
    """The exchange gave no report on this key. `diagnosis` says why, as far as it can be told."""

    def __init__(self, diagnosis: Diagnosis, exchange: Exchange) -> None:
        super().__init__(sentence(diagnosis, exchange))
        self.diagnosis = diagnosis


async def read_key(exchange: Any) -> KeyReport:
    """What the key of this ccxt instance may do, with evidence. Takes synchronous and asynchronous instances.

    Raises KeyRefused (with `.diagnosis`) where the exchange gives no report, BfaiError for an exchange that is not
    supported. Costs one to four reads; never places, changes or moves anything.
    """
    if not _is_async(exchange):
        return await asyncio.to_thread(read_key_sync, exchange)
    adapter = _adapter(exchange)
    with _twin(exchange, adapter) as twin:
        steps = _steps(adapter, exchange)
        try:
            call, params = next(steps)
            while True:
                heard = _Heard(call, params, twin)
                try:
                    await getattr(twin, call.implicit)(heard.params)
                except UndeclaredRequest:
                    raise
                except Exception as error:  # ccxt's class is no diagnosis: the answer was caught before it was raised
                    heard.failed(error)
                call, params = steps.send(heard.answer())
        except StopIteration as done:
            return done.value
        finally:
            if exchange.session is None and twin.session is not None:
                twin.timeout_on_exit = 0
                await twin.close()


def read_key_sync(exchange: Any) -> KeyReport:
    """The same without `await`, for a synchronous instance. Raises TypeError for an asynchronous one."""
    if _is_async(exchange):
        raise TypeError("this ccxt instance is asynchronous: use `await bfai.read_key(exchange)`")
    adapter = _adapter(exchange)
    with _twin(exchange, adapter) as twin:
        steps = _steps(adapter, exchange)
        try:
            call, params = next(steps)
            while True:
                heard = _Heard(call, params, twin)
                try:
                    getattr(twin, call.implicit)(heard.params)
                except UndeclaredRequest:
                    raise
                except Exception as error:  # as above
                    heard.failed(error)
                call, params = steps.send(heard.answer())
        except StopIteration as done:
            return done.value


def _is_async(exchange: Any) -> bool:
    return inspect.iscoroutinefunction(getattr(exchange, "fetch", None))


def _adapter(exchange: Any) -> Exchange:
    """The adapter for this instance's class or the one that it derives from: `okxus` is an `okx`."""
    by_ccxt = {adapter.ccxt_id: adapter for adapter in all_exchanges().values()}
    for kind in type(exchange).__mro__:
        if kind.__name__ in by_ccxt:
            return by_ccxt[kind.__name__]
    text = N_("{exchange} is not supported. Supported are: {names}.")
    names = ", ".join(adapter.name for adapter in all_exchanges().values())
    raise BfaiError(Message(text=text, params={"exchange": type(exchange).__name__, "names": names}))


@contextmanager
def _twin(exchange: Any, adapter: Exchange) -> Generator[Any]:
    """A copy that may be changed. It gives back what it shares, so that its end does not close the caller's session."""
    twin = copy.copy(exchange)
    twin.options = copy.deepcopy(exchange.options)
    twin.headers = dict(exchange.headers or {})
    twin.verbose = False  # it would print the key
    twin.clients = {}
    twin.secret = adapter.normalise(_credentials(exchange)).secret
    try:
        yield twin
    finally:
        twin.session = None


def _credentials(exchange: Any) -> Credentials:
    return Credentials(exchange.apiKey or "", exchange.secret or "", exchange.password or None)


def _steps(adapter: Exchange, exchange: Any) -> Generator[tuple[Call, Mapping[str, Any]], Answer, KeyReport]:
    """The calls one after the other, each answered by `send`; in the end the report. Knows no network."""
    environment = _environment(exchange, adapter)
    target = Target(exchange=adapter.id, region=adapter.regions[0].id, environment=environment)
    credentials = adapter.normalise(_credentials(exchange))
    facts = Facts(adapter, target, credentials)
    plan = [call for call in adapter.plan(Market.SPOT, environment=environment) if call.role in _ASKED]
    if not any(call.role is Role.KEY_INFO for call in plan):
        text = N_("{exchange} tells nothing about a key on its test accounts.")
        raise BfaiError(Message(text=text, params={"exchange": adapter.name}))
    if problems := adapter.check_credentials(credentials):
        raise BfaiError(problems[0])
    while ready := [call for call in plan if call.name not in facts.answers and call.needs <= facts.values.keys()]:
        for call in ready:
            facts.take(call, (yield call, facts.values))
    for call in adapter.second_opinions(target) if _is_ambiguous(facts) else ():
        facts.take(call, (yield call, facts.values))
    if facts.report() is None:
        refused = facts.problem(Role.KEY_INFO) or facts.lost() or facts.problem(Role.ACCOUNT)
        unexpected = Diagnosis(cause=Cause.UNEXPECTED_RESPONSE, candidates=(Cause.UNEXPECTED_RESPONSE,))
        raise KeyRefused(refused or unexpected, adapter)
    return facts.probed_report()


def _is_ambiguous(facts: Facts) -> bool:
    problem = facts.problem(Role.KEY_INFO)
    return problem is not None and problem.cause is Cause.AMBIGUOUS


def _environment(exchange: Any, adapter: Exchange) -> Environment:
    if not getattr(exchange, "isSandboxModeEnabled", False):
        return Environment.LIVE
    tests = (Environment.TESTNET, Environment.DEMO)
    return next((found for found in tests if found in adapter.tests), Environment.LIVE)


class _Heard:
    """Catches the raw answer to one call before ccxt judges it, and lets no other request out."""

    def __init__(self, call: Call, values: Mapping[str, Any], twin: Any) -> None:
        self.call = call
        self.params = {name: _filled(value, values, twin.apiKey) for name, value in call.params.items()}
        self._path = _filled(call.path, values, "")
        self._at = utc_now()
        self._caught: Answer | None = None
        self._failure: Exception | None = None
        twin.on_rest_response = self._catch
        twin.fetch = self._guarded(partial(cast("Any", type(twin)).fetch, twin))

    def _guarded(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        def send(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if (method, urlsplit(url).path) != (self.call.method, self._path):
                raise UndeclaredRequest(f"ccxt would send {method} {urlsplit(url).path}")
            return fetch(url, method, headers, body)

        return send

    def _catch(self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *_: Any) -> str:
        del reason, url, method
        asked = self.call
        self._caught = Answer(
            role=asked.role,
            status=code,
            headers={str(name): str(value) for name, value in dict(headers).items()},
            body=body,
            sent=Sent(method=asked.method, host="", path=asked.path, purpose=asked.purpose, at=self._at, status=code),
            call=asked,
        )
        return body.strip()

    def failed(self, error: Exception) -> None:
        self._failure = error

    def answer(self) -> Answer:
        if self._caught is not None:
            return self._caught
        name = type(self._failure).__name__
        kind = "read_timeout" if "Timeout" in name else "reset" if _is_network(self._failure) else "unsigned"
        return Answer(role=self.call.role, transport_error=kind, error_text=name, call=self.call)


def _is_network(error: Exception | None) -> bool:
    """By ccxt's own family of errors for what happens below HTTP."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NetworkError", "ExchangeError", "ClientError"})


def _filled(value: Any, values: Mapping[str, Any], api_key: str) -> Any:
    if not isinstance(value, str):
        return value
    for name, filling in {**values, "api_key": api_key}.items():
        value = value.replace(f"{{{name}}}", str(filling))
    return value
