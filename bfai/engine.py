"""Runs tests in the background: one event loop on a thread of its own, one transport, and jobs that outlive a click."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol, TypeVar

from bfai.connection_test import MAX_TESTS_IN_FLIGHT, Confirmation, expected_checks, run_test
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer
from bfai.i18n import N_
from bfai.model import BfaiError, Check, CheckName, Credentials, Message, Sent, Target, TestRun
from bfai.transport import CALL_SECONDS, Gateway, Transport, prepare

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
Beside = Callable[[Transport], Coroutine[Any, Any, tuple[Sent, ...]]]


class Held(Protocol):
    """A right to test that is renewed every `seconds` while the test runs, and given back when it is over."""

    @property
    def seconds(self) -> float: ...

    def renew(self) -> None: ...

    def free(self) -> None: ...


class TestJob:
    """A test that runs or has run. Read it from any thread; it never holds the key."""

    __test__ = False

    def __init__(self, target: Target, connection_id: str | None = None) -> None:
        self.id = uuid.uuid4().hex
        self.connection_id = connection_id
        self.target = target
        self.expected: tuple[CheckName, ...] = expected_checks(target.market)
        self.error: Message | None = None
        self._checks: dict[CheckName, Check] = {}
        self._run: TestRun | None = None
        self._finished = threading.Event()

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks concluded so far, in the order in which they are shown."""
        found = dict(self._checks)
        return tuple(found[name] for name in self.expected if name in found)

    @property
    def done(self) -> bool:
        return self._finished.is_set()

    @property
    def run(self) -> TestRun | None:
        return self._run

    def wait(self, timeout: float | None = None) -> TestRun:
        """The finished run. Raises TimeoutError, or BfaiError where the result could not be kept."""
        if not self._finished.wait(timeout):
            raise TimeoutError
        if self.error is not None:
            raise BfaiError(self.error)
        assert self._run is not None
        return self._run

    def ended(self, timeout: float | None = None) -> bool:
        """Waits so long for its end. Gives whether it has ended; raises nothing."""
        return self._finished.wait(timeout)

    def tell(self, check: Check) -> None:
        self._checks[check.name] = check

    def finish(self, run: TestRun | None, error: Message | None = None) -> None:
        self._run, self.error = run, error
        self._finished.set()


class Engine:
    """The event loop and the transport of this process, for one gateway or none. `clock` is the transport's."""

    def __init__(
        self,
        gateway: Gateway | None,
        *,
        rate_limit: bool = True,
        call_seconds: float = CALL_SECONDS,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bfai-engine", daemon=True)
        self._thread.start()
        self._transport = Transport(gateway, rate_limit=rate_limit, call_seconds=call_seconds, clock=clock)
        self._slots = asyncio.Semaphore(MAX_TESTS_IN_FLIGHT)
        atexit.register(self.close)

    def start(
        self,
        job: TestJob,
        credentials: Credentials,
        *,
        confirmation: Confirmation | None = None,
        try_regions: bool = False,
        keep: Callable[[TestRun], TestRun] | None = None,
        on_answer: Callable[[Answer], None] | None = None,
        held: Held | None = None,
        beside: Beside | None = None,
    ) -> None:
        """Starts the job. `keep` stores the finished run, on a thread of its own; what it gives is the job's run.
        `held` is free again when the job is done. What `beside` asks at the same time stands on the run's receipt,
        so the run waits for it.
        """
        self._submit(self._work(job, credentials, confirmation, try_regions, keep, on_answer, held, beside))

    async def _work(
        self,
        job: TestJob,
        credentials: Credentials,
        confirmation: Confirmation | None,
        try_regions: bool,
        keep: Callable[[TestRun], TestRun] | None,
        on_answer: Callable[[Answer], None] | None,
        held: Held | None,
        beside: Beside | None,
    ) -> None:
        kept: TestRun | None = None
        problem: Message | None = None
        renewing = asyncio.create_task(_renew(held)) if held else None
        try:
            async with self._slots:
                exchanges = all_exchanges()
                await asyncio.to_thread(prepare, exchanges[job.target.exchange].ccxt_id)
                test = run_test(
                    exchanges[job.target.exchange],
                    job.target,
                    credentials,
                    self._transport,
                    others=[exchange for exchange in exchanges.values() if exchange.id != job.target.exchange],
                    connection_id=job.connection_id,
                    confirmation=confirmation,
                    try_regions=try_regions,
                    on_check=job.tell,
                    on_answer=on_answer,
                )
                run = await _with_receipt_of(beside(self._transport), test) if beside else await test
            kept = await asyncio.to_thread(keep, run) if keep else run
        except BfaiError as error:
            problem = error.message
        except BaseException as error:
            text = N_("The test broke off: {kind}. Test again.")
            problem = Message(text=text, params={"kind": type(error).__name__})
            if not isinstance(error, Exception):
                raise
        finally:
            try:
                if held is not None and renewing is not None:
                    renewing.cancel()
                    with contextlib.suppress(BfaiError):  # it ends by itself
                        await asyncio.to_thread(held.free)
            finally:
                job.finish(kept, problem)

    def ask(self, work: Callable[[Transport], Coroutine[Any, Any, _T]], timeout: float = 30.0) -> _T:
        """Does something with the transport and waits for it. Raises what it raises, and BfaiError after `timeout`."""
        future = self._submit(work(self._transport))
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise BfaiError(Message(text=N_("No answer came in time. Try again in a moment."))) from None

    def _submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        """Ends what runs and closes the connections."""
        atexit.unregister(self.close)
        if not self._thread.is_alive():
            return
        self._submit(self._transport.aclose()).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _with_receipt_of(beside: Coroutine[Any, Any, tuple[Sent, ...]], test: Awaitable[TestRun]) -> TestRun:
    """The test's run with what was sent beside it. Nothing that goes wrong there touches the test."""
    asking = asyncio.create_task(beside)
    try:
        run = await test
    except BaseException:
        asking.cancel()
        raise
    finally:
        (sent,) = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(sent, BaseException):
        if not isinstance(sent, BfaiError):
            _log.error("What is asked beside a test broke off: %s", type(sent).__name__)
        return run
    return run.model_copy(update={"receipt": tuple(sorted((*run.receipt, *sent), key=lambda one: one.at))})


async def _renew(held: Held) -> None:
    while True:
        await asyncio.sleep(held.seconds)
        with contextlib.suppress(BfaiError):
            await asyncio.to_thread(held.renew)
