"""Scheduled tests by several processes, of what its owners delegated, while their vaults are locked.

What is due stands in the schedules. Each worker looks every other second and puts a job for each into the queue of its
key, once; any process with that key takes it. The queue is procrastinate's, which hands a job to one process by
PostgreSQL's own locks and tells who died with one. The wall against doing a test twice is the lease, as everywhere: a
job whose test is not due any more, or which somebody else tests, does nothing, and so does one whose delegation was
taken back. A job holds two ids and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import signal
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from importlib.metadata import version
from typing import Any, Final

from bfai.delegation import WorkerKey
from bfai.engine import TestJob
from bfai.model import utc_now
from bfai.monitor import TICK_SECONDS, offline_after
from bfai.store import Pause
from bfai.store.postgres import WorkerDesk
from bfai.workbench import Workbench

AT_ONCE: Final = 8
"""Tests of one process. Each waits for its exchange nearly all of the time."""
MOST_QUEUED: Final = 500
"""So many jobs are put into the queue at a time."""
HEARTBEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 30.0
AGAIN_SECONDS = 5.0
"""After the database went away."""

_log = logging.getLogger("bfai.worker")


class Worker:
    """One process that tests what was delegated to a key. Any number may share one database and one key.

    `on_test` hears of every test that ended: owner, connection, job; on a thread of the worker. `clock` is this
    computer's, which need not be right.
    """

    def __init__(
        self,
        url: str,
        key: WorkerKey,
        *,
        name: str = "",
        at_once: int = AT_ONCE,
        clock: Callable[[], datetime] = utc_now,
        on_test: Callable[[str, str, TestJob], None] | None = None,
    ) -> None:
        """Raises StoreError. Makes what is missing in the database, and registers the key there."""
        from procrastinate.schema import SchemaManager

        self._url = url
        self._key = key
        self._at_once = at_once
        self._clock = clock
        self._on_test = on_test
        self._offline: Pause | None = None
        self._maintained: dict[str, date] = {}
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="bfai-worker")
        self._desk = WorkerDesk(url, key.id)
        self._desk.make_queue(SchemaManager.get_schema(), version("procrastinate"))
        self._desk.register(name or platform.node() or key.id[:8], key.public, clock())
        self._desk.clear_queues()
        self._set_clock()

    def close(self) -> None:
        self._threads.shutdown()
        self._desk.close()

    def _set_clock(self) -> None:
        """The database's clock is that of all workers: with one six minutes ahead, a test each five minutes is due at
        once for it, and its result comes from the future for the others.
        """
        self._ahead = self._clock() - self._desk.clock()

    def _now(self) -> datetime:
        return self._clock() - self._ahead

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, and then until the tests that run have ended; a second one does not wait."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        asked, loop = asyncio.Event(), asyncio.get_running_loop()

        def stop(number: int, _: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            loop.call_soon_threadsafe(asked.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        asking = asyncio.create_task(asked.wait())
        while not asked.is_set():
            working = asyncio.create_task(self._work())
            await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()  # ends the tests that run first
            (error,) = await asyncio.gather(working, return_exceptions=True)
            if not asked.is_set():
                _log.warning("The queue cannot be used just now: %s", type(error).__name__)
                await asyncio.wait({asking}, timeout=AGAIN_SECONDS)

    async def _work(self) -> None:
        from procrastinate import App, PsycopgConnector
        from procrastinate.exceptions import UniqueViolation
        from procrastinate.jobs import Job
        from procrastinate.manager import JobManager

        worker = self

        class Jobs(JobManager):
            async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
                if worker._is_offline():
                    return None  # whoever has a network does it
                try:
                    return await super().fetch_job(queues, worker_id)
                except UniqueViolation:  # somebody else took one with the same lock in this moment
                    return None

            async def update_heartbeat(self, worker_id: int) -> None:
                """procrastinate's heart never beats again after a beat that failed, and it does not notice."""
                try:
                    await super().update_heartbeat(worker_id)
                except Exception as error:
                    _log.warning("The heartbeat could not be written: %s", type(error).__name__)

        connector = PsycopgConnector(conninfo=self._desk.queue_address, min_size=1, max_size=4)
        app, loop = App(connector=connector), asyncio.get_running_loop()
        app.job_manager = Jobs(connector)

        ended: dict[int, float] = {}  # when a job's test was over

        @app.task(name="test", queue=self._key.id, pass_context=True)
        async def test(context: Any, owner: str, connection: str) -> None:
            await loop.run_in_executor(self._threads, self._test, owner, connection)
            ended[context.job.id] = loop.time()

        async with app.open_async():
            looking = asyncio.create_task(self._look(app, test, ended))
            try:
                await app.run_worker_async(
                    queues=[self._key.id],
                    concurrency=self._at_once,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    listen_notify=False,  # a listener that ended is not noticed either, and what is due can wait a tick
                    fetch_job_polling_interval=TICK_SECONDS,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=DEAD_AFTER_SECONDS,
                )
            finally:
                looking.cancel()

    async def _look(self, app: Any, test: Any, ended: dict[int, float]) -> None:
        while True:
            try:
                await asyncio.to_thread(self._set_clock)
                await self._queue_due(test)
                await self._clear(app.job_manager, ended)
            except Exception as error:
                _log.warning("Nothing could be queued just now: %s", type(error).__name__)
            await asyncio.sleep(TICK_SECONDS)

    async def _clear(self, queued: Any, ended: dict[int, float]) -> None:
        """Jobs that nobody does any more need only get out of the way: what is due is queued again."""
        dead = await queued.get_stalled_jobs(queue=self._key.id, seconds_since_heartbeat=DEAD_AFTER_SECONDS)
        before = asyncio.get_running_loop().time() - DEAD_AFTER_SECONDS
        over = {job for job, at in ended.items() if at < before}
        if over:  # tests of this process: their jobs are there only where their end could not be written
            dead += [job for job in await queued.list_jobs_async(queue=self._key.id, status="doing") if job.id in over]
        for job in dead:
            await queued.finish_job(job, status=_failed(), delete_job=True)
        for job in over:
            del ended[job]

    async def _queue_due(self, test: Any) -> None:
        from procrastinate.exceptions import AlreadyEnqueued

        if self._is_offline():
            return
        most = MOST_QUEUED if self._offline is None else 1  # tries whether our own network is back
        for owner, connection in await asyncio.to_thread(self._desk.due, self._now(), most):
            # Locks hold for the queues of all keys. One runs for each lock: for an owner as many as half of the places
            # at once, so that one whose tests have to wait leaves places to the others.
            whose = f"{self._key.id} {owner}"
            place = zlib.crc32(connection.encode()) % max(1, self._at_once // 2)
            once = test.configure(lock=f"{whose} {place}", queueing_lock=f"{whose} {connection}")
            # Row-level security keeps the details of an error to itself, and procrastinate asserts that it has them.
            with contextlib.suppress(AlreadyEnqueued, AssertionError):
                await once.defer_async(owner=owner, connection=connection)

    def _is_offline(self) -> bool:
        offline = self._offline  # which another thread may end meanwhile
        return offline is not None and offline.holds(self._now())

    def _test(self, owner: str, connection_id: str) -> None:
        """One job. Whatever goes wrong, what is due is still due, and queued again."""
        if self._is_offline():
            return
        began = self._now()
        try:
            with self._acting_for(owner) as workbench:
                job = workbench.start_delegated_test(connection_id, self._key, self._now)
                if job is None:
                    return
                job.ended()
                if job.run is not None:
                    proxied, now = job.target.egress_proxy is not None, self._now()
                    self._offline = offline_after(job.run, self._offline, now, began=began, proxied=proxied)
                if self._on_test is not None:
                    self._on_test(owner, connection_id, job)
                if self._maintained.get(owner) != self._now().date():
                    self._maintained[owner] = self._now().date()
                    workbench.maintain()
        except Exception as error:
            _log.warning("connection=%s could not be tested: %s", connection_id, type(error).__name__)

    def _acting_for(self, owner: str) -> Workbench:
        """The workbench of an owner, its vault locked."""
        return Workbench.local(self._url) if owner == "local" else Workbench.hosted(self._url, owner)


def _failed() -> Any:
    from procrastinate.jobs import Status

    return Status.FAILED
