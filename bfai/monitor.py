"""Tests on a schedule: who is due, and how long an exchange that does not answer is left alone.

Every decision is a function of what is stored and of the time (`due`, `after`, `next_test`), so that a test can ask it
any time of day. What is stored is shared by all programs on one store, which is how two monitors divide the work:
whoever takes the lease of a connection tests it. APScheduler only wakes `Monitor.step` every other second.

Times are UTC and lengths are seconds, so daylight saving changes nothing. A clock that is set back is noticed by
times that were set in its future: what waits goes on waiting as long as it had to. A clock that is set forward makes
every test due once, and `due` lets few begin at a time.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from bfai.i18n import N_
from bfai.model import BfaiError, Cause, Connection, Message, Target, TestRun, utc_now
from bfai.store import KEEP, SET_BACK, Keep, Pause, RunEnd, Schedule, Store

if TYPE_CHECKING:
    from bfai.engine import TestJob
    from bfai.workbench import Workbench

SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(weeks=1)
JITTER: Final = 0.1
"""Up to this share of the interval is waited longer, so that connections do not all ask in the same second."""
LONGEST_JITTER: Final = timedelta(minutes=5)
LEASE: Final = timedelta(seconds=90)
"""How long a test that says nothing may run: five calls in a row that all time out, and as much again. Whoever tests
says so anew every third of it, so a test may take longer; after a kill the connection is free when it ends."""
MOST_AT_ONCE: Final = 4
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
LONGEST_ASKED: Final = timedelta(days=3)
"""The longest ban that an exchange documents (Binance). A Retry-After beyond it is not believed."""
FIRST_OFFLINE: Final = timedelta(seconds=30)
LONGEST_OFFLINE: Final = timedelta(minutes=5)
TICK_SECONDS: Final = 2.0
DOWN: Final = frozenset({Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED, Cause.LOCATION_RESTRICTED})
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_BACKUP_LOOK = timedelta(minutes=5)

_log = logging.getLogger("bfai.monitor")


# -- decisions ---------------------------------------------------------------------------------------------------------


def check_interval(every: timedelta | None) -> None:
    """Raises BfaiError for an interval under five minutes or over a week. None is off."""
    if every is not None and not SHORTEST <= every <= LONGEST:
        text = N_("A connection is tested every 5 minutes at most, and once a week at least. Choose another interval.")
        raise BfaiError(Message(text=text))


def place(target: Target) -> str:
    """What is down together: an exchange's region and environment, seen from one address."""
    name = f"{target.exchange}/{target.region}/{target.environment}"
    if target.egress_proxy is None:
        return name
    return f"{name}/{hashlib.sha256(target.egress_proxy.encode()).hexdigest()[:12]}"


def later(every: timedelta, now: datetime, jitter: float) -> datetime:
    """The next time on a schedule: an interval from now, never less. `jitter` is from 0 to 1."""
    return now + every + min(every * JITTER, LONGEST_JITTER) * jitter


def after(
    run: TestRun, every: timedelta | None, pause: Pause | None, now: datetime, jitter: float
) -> tuple[datetime, Pause | Literal[Keep.KEEP] | None]:
    """When the connection is tested next, and what becomes of the pause of its exchange (KEEP: it stays as it is).

    While an exchange is down its pause doubles up to an hour; a Retry-After may be longer. The first test that the
    exchange answers ends it, whatever the test says about the key. A test that our own network failed says nothing.
    """
    cause = run.diagnosis.cause if run.diagnosis else None
    if cause is Cause.LOCAL_NETWORK:
        return now + min(every or LONGEST, _MINUTE), KEEP
    next_at = later(every or LONGEST, now, jitter)
    if cause in DOWN:
        failures = pause.failures + 1 if pause else 1
        asked = timedelta(seconds=run.diagnosis.retry_after_s or 0.0) if run.diagnosis else timedelta()
        return next_at, _pause(failures, now, FIRST_PAUSE, LONGEST_PAUSE, min(asked, LONGEST_ASKED))
    return next_at, KEEP if cause is Cause.UNEXPECTED_RESPONSE else None


def offline_after(
    run: TestRun, offline: Pause | None, now: datetime, *, began: datetime, proxied: bool
) -> Pause | None:
    """How long everything waits for our own network; None where it is there. `offline` stays for a failure that tells
    nothing new: of a test that had begun before, or by a way out of its own (`proxied`), which may be what is down.
    """
    if run.counts:
        return None
    if proxied or (offline is not None and began <= offline.since):
        return offline
    return _pause(offline.failures + 1 if offline else 1, now, FIRST_OFFLINE, LONGEST_OFFLINE)


def _pause(failures: int, now: datetime, first: timedelta, longest: timedelta, least: timedelta = timedelta()) -> Pause:
    length = min(first * 2 ** min(failures - 1, 20), longest)
    return Pause(failures, now, now + max(length, least))


def due(
    schedules: Iterable[Schedule],
    places: Mapping[str, str],
    pauses: Mapping[str, Pause],
    now: datetime,
    *,
    running: Collection[str] = (),
    offline: Pause | None = None,
) -> list[str]:
    """The connections whose test begins now, the longest overdue first. `places` are theirs, `running` tests go on.

    One at a time at each place, so that one test finds out that an exchange is down, and few in all: after a night
    asleep everything is due at once. While our own network is down, one in all, when its pause is over.
    """
    most = MOST_AT_ONCE if offline is None else 1 if not offline.holds(now) else 0
    busy = {places[connection_id] for connection_id in running if connection_id in places}
    chosen: list[str] = []
    for schedule in sorted(schedules, key=lambda schedule: schedule.next_at):
        there = places.get(schedule.connection_id)
        if len(running) + len(chosen) >= most:
            break
        if there is None or there in busy or schedule.every is None or schedule.next_at > now or schedule.is_held(now):
            continue
        if there in pauses and pauses[there].holds(now):
            continue
        busy.add(there)
        chosen.append(schedule.connection_id)
    return chosen


def next_test(schedule: Schedule, pause: Pause | None) -> datetime | None:
    """When the next test begins by itself; None where it is off."""
    if schedule.every is None:
        return None
    return max(schedule.next_at, pause.until) if pause else schedule.next_at


# -- one test at a time ------------------------------------------------------------------------------------------------


class TestLease:
    """The right to test one connection now, of one holder."""

    __test__ = False

    def __init__(
        self,
        store: Store,
        connection: Connection,
        holder: str,
        clock: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._id = connection.id
        self._place = place(connection.target)
        self._holder = holder
        self._clock = clock
        self._chance = chance
        self._ended = False
        self._before: Pause | None = None

    @property
    def seconds(self) -> float:
        """How often it has to be renewed."""
        return LEASE.total_seconds() / 3

    def take(self, *, due: bool) -> bool:
        """Whether it is ours now. With `due` only if the connection's test is due and its exchange is not paused."""
        now = self._clock()
        with self._store.together():
            self._before = self._store.pauses().get(self._place)
            return self._store.take_lease(self._id, self._holder, now, now + LEASE, due_at=self._place if due else None)

    def is_taken(self) -> bool:
        schedule = self._store.schedule(self._id)
        return schedule is not None and schedule.is_held(self._clock())

    def renew(self) -> None:
        now = self._clock()
        self._store.renew_lease(self._id, self._holder, now, now + LEASE)

    def end(self, run: TestRun) -> RunEnd:
        """What the run means for the schedule. Storing it frees the lease."""
        now, schedule = self._clock(), self._store.schedule(self._id)
        every = schedule.every if schedule else None
        there = self._store.pauses().get(self._place)
        # Counted from when the test began: tests that fail side by side are one failure of their exchange.
        next_at, pause = after(run, every, there and self._before, now, self._chance())
        if isinstance(pause, Pause) and there and there.failures >= pause.failures and there.until > pause.until:
            pause = KEEP  # one of them was told to wait for longer, or more happened since this one began
        self._ended = True
        return RunEnd(self._holder, now, every, next_at, self._place, pause)

    def free(self) -> None:
        """The test is over. One that brought no result is tried again in its next turn."""
        if not self._ended:
            now, schedule = self._clock(), self._store.schedule(self._id)
            if schedule is not None:
                self._store.free_lease(self._id, self._holder, now, later(schedule.every or LONGEST, now, 0.0))

    def give_back(self) -> None:
        """Somebody else's result is enough: the next test stays when it was."""
        self._store.free_lease(self._id, self._holder, self._clock())


# -- the monitor -------------------------------------------------------------------------------------------------------


class Monitor:
    """Tests what is due, for as long as the vault of its workbench is open. Any number may share one store.

    `start()` and `stop()` run it in the background. `step()` does once what is to be done now: all that happens is in
    it, at the time that `clock` tells. `only` are the connections that it cares for, None for all. `on_test` hears of
    every test that ended, on the monitor's thread.
    """

    def __init__(
        self,
        workbench: Workbench,
        *,
        clock: Callable[[], datetime] = utc_now,
        only: Collection[str] | None = None,
        on_test: Callable[[Connection, TestJob], None] | None = None,
    ) -> None:
        self._workbench = workbench
        self._clock = clock
        self._only = None if only is None else frozenset(only)
        self._on_test = on_test
        self._running: dict[str, tuple[Connection, TestJob, datetime]] = {}
        self._offline: Pause | None = None
        self._maintained: datetime | None = None
        self._delivered: datetime | None = None
        self._backed_up: datetime | None = None
        self._errands: set[str] = set()
        self._stepping = threading.Lock()
        self._scheduler: Any = None

    @property
    def started(self) -> bool:
        return self._scheduler is not None

    def start(self, tick_seconds: float = TICK_SECONDS) -> None:
        """Runs it until `stop`. Does nothing if it runs."""
        if self._scheduler is None:
            self._scheduler = _woken_every(tick_seconds, self._wake)

    def stop(self, wait_seconds: float = 0.0) -> None:
        """Begins no more tests, and waits so long for those that run. They are stored also when nobody waits."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown(wait=False)
        self.settle(wait_seconds)

    def settle(self, seconds: float) -> None:
        """Waits so long for the tests that run."""
        deadline = time.monotonic() + seconds
        with self._stepping:
            for _, job, _ in self._running.values():
                job.ended(max(0.0, deadline - time.monotonic()))
            self._collect()

    def step(self) -> int:
        """What is to be done now. Gives how many tests of this monitor run afterwards."""
        with self._stepping:
            self._collect()
            if self._workbench.is_open:
                self._begin()
                self._do_errands()
            return len(self._running)

    def _wake(self) -> None:
        """A step that only logs what went wrong: the next one comes in two seconds."""
        try:
            if self.started:
                self.step()
        except Exception as error:
            _log.warning("Nothing could be tested just now: %s", type(error).__name__)

    def _collect(self) -> None:
        """Takes note of the tests that ended."""
        for connection_id, (connection, job, began) in list(self._running.items()):
            if not job.done:
                continue
            del self._running[connection_id]
            self._delivered = None
            if job.run is not None:
                proxied, now = job.target.egress_proxy is not None, self._clock()
                self._offline = offline_after(job.run, self._offline, now, began=began, proxied=proxied)
            if self._on_test is not None:
                self._on_test(connection, job)

    def _begin(self) -> None:
        now = self._clock()
        schedules, pauses = self._workbench.schedules(), self._workbench.pauses()
        known = [at for schedule in schedules for at in (schedule.set_at, schedule.held_at) if at is not None]
        if any(at > now + SET_BACK for at in (*known, *(pause.since for pause in pauses.values()))):
            self._workbench.mend_clock(now)
            schedules, pauses = self._workbench.schedules(), self._workbench.pauses()
        if self._offline is not None and self._offline.since > now:
            self._offline = Pause(self._offline.failures, now, now + (self._offline.until - self._offline.since))
        if all(schedule.every is None or schedule.next_at > now for schedule in schedules):
            return
        connections = {
            connection.id: connection
            for connection in self._workbench.connections()
            if self._only is None or connection.id in self._only
        }
        places = {connection.id: place(connection.target) for connection in connections.values()}
        running, offline = self._running.keys(), self._offline
        for connection_id in due(schedules, places, pauses, now, running=running, offline=offline):
            try:
                job = self._workbench.start_due_test(connection_id, self._clock)
            except BfaiError as error:
                _log.warning("A test could not begin: %s", type(error).__name__)
                continue
            if job is not None:
                self._running[connection_id] = (connections[connection_id], job, now)

    def _do_errands(self) -> None:
        """The database is kept small daily, what waits to be told is told each minute and after each test. Every few
        minutes somebody looks whether a backup is due.
        """
        now = self._clock()
        if self._maintained is None or not timedelta() <= now - self._maintained < _DAY:
            self._maintained = now
            self._do("maintain", self._workbench.maintain)
        if self._delivered is None or not timedelta() <= now - self._delivered < _MINUTE:
            self._delivered = now
            self._do("deliver", self._workbench.alerts.deliver_due)
        if self._backed_up is None or not timedelta() <= now - self._backed_up < _BACKUP_LOOK:
            self._backed_up = now
            self._do("back up", self._workbench.backups.run_due)

    def _do(self, name: str, errand: Callable[[], object]) -> None:
        """On a thread of its own where the monitor runs in the background: it must not keep a test waiting."""
        if name in self._errands:
            return
        self._errands.add(name)

        def work() -> None:
            try:
                errand()
            except Exception as error:
                _log.warning("%s did not work: %s", name, type(error).__name__)
            finally:
                self._errands.discard(name)

        if self._scheduler is None:
            work()
        else:
            self._scheduler.add_job(work, misfire_grace_time=None)


def _woken_every(seconds: float, wake: Callable[[], None]) -> Any:
    """A running scheduler of APScheduler that calls `wake`, whatever is done to the clock."""
    from apscheduler.jobstores.base import JobLookupError  # pyright: ignore[reportMissingTypeStubs]
    from apscheduler.schedulers.background import (  # pyright: ignore[reportMissingTypeStubs]
        BackgroundScheduler,
    )
    from apscheduler.triggers.base import BaseTrigger  # pyright: ignore[reportMissingTypeStubs]

    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of every tick that a slow disk delays
    length = timedelta(seconds=seconds)

    class FromNow(BaseTrigger):
        """An interval from now on. APScheduler's own counts every time that was missed, one by one."""

        def get_next_fire_time(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, previous_fire_time: Any, now: datetime
        ) -> datetime:
            return now + length

    class Scheduler(BackgroundScheduler):
        """One that is not put to sleep by a clock that is set back: it looks at the time at every tick."""

        def _process_jobs(self) -> float:
            now, jobs = datetime.now(UTC), cast("Any", self)
            try:
                for job in jobs.get_jobs():
                    due = getattr(job, "next_run_time", None)  # None: it came after the end, and is never done
                    if due is not None and due > now + length:
                        jobs.modify_job(job.id, next_run_time=now)
                waits = super()._process_jobs()
            except JobLookupError:  # it is shut down while it works: from then on it finds no job any more
                if jobs.running:
                    raise
                return seconds
            return seconds if waits is None else min(waits, seconds)

    scheduler: Any = Scheduler(timezone=UTC)
    scheduler.add_job(wake, FromNow(), max_instances=1, coalesce=True, misfire_grace_time=None)
    scheduler.start()
    return scheduler
