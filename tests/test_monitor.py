"""When tests begin by themselves: decided by clocks of ours, done on the simulator, shared by several on one store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from apscheduler.executors.base import BaseExecutor
from hypothesis import given
from hypothesis import strategies as st

from bfai import workbench as workbench_module
from bfai.engine import TestJob
from bfai.exchanges import get_exchange
from bfai.model import (
    BfaiError,
    Cause,
    Connection,
    Diagnosis,
    Environment,
    Market,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.monitor import (
    LEASE,
    LONGEST,
    LONGEST_JITTER,
    MOST_AT_ONCE,
    SHORTEST,
    Monitor,
    _woken_every,
    after,
    check_interval,
    due,
    later,
    next_test,
    offline_after,
    place,
)
from bfai.simulator import Simulator
from bfai.store import KEEP, Pause, RunEnd, Schedule, Store, open_store
from bfai.transport import Gateway
from bfai.vault import Cost, Vault
from bfai.workbench import Mode, Workbench
from tests.helpers import sample

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall green lamp post"
T0 = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)  # five hours before Europe sets its clocks back
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Clock:
    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def run_with(cause: Cause | None = None, retry_after_s: float | None = None, connection_id: str = "c") -> TestRun:
    diagnosis = Diagnosis(cause=cause, candidates=(cause,), retry_after_s=retry_after_s) if cause else None
    return TestRun(
        id="r",
        connection_id=connection_id,
        exchange="mexc",
        region="global",
        environment=Environment.LIVE,
        market=Market.SPOT,
        status=Status.FAILED if cause else Status.ONLINE,
        diagnosis=diagnosis,
        started_at=T0,
        duration_ms=1.0,
    )


# -- decisions ---------------------------------------------------------------------------------------------------------


@given(st.timedeltas(SHORTEST, LONGEST), st.floats(0, 1))
def test_an_interval_is_never_shorter_and_a_little_longer_at_most(every: timedelta, jitter: float) -> None:
    waited = later(every, T0, jitter) - T0
    assert every <= waited <= every + min(every / 10, LONGEST_JITTER) + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("every", "allowed"),
    [
        (None, True),
        (SHORTEST, True),
        (HOUR, True),
        (LONGEST, True),
        (SHORTEST - SECOND, False),
        (LONGEST + SECOND, False),
    ],
)
def test_an_interval_is_from_five_minutes_to_a_week_or_off(every: timedelta | None, allowed: bool) -> None:
    if allowed:
        check_interval(every)
    else:
        with pytest.raises(BfaiError, match="5 minutes"):
            check_interval(every)


def lengths(*runs: TestRun) -> list[timedelta | None]:
    """How long the exchange is left alone after each of these runs."""
    pause: Pause | None = None
    found: list[timedelta | None] = []
    for run in runs:
        changed = after(run, HOUR, pause, T0, 0.0)[1]
        pause = pause if changed is KEEP else changed  # pyright: ignore[reportAssignmentType]
        found.append(pause.until - pause.since if pause else None)
    return found


@pytest.mark.parametrize("cause", [Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED, Cause.LOCATION_RESTRICTED])
def test_the_pause_doubles_up_to_an_hour_and_ends_with_the_first_answer(cause: Cause) -> None:
    down = run_with(cause)
    minutes = [MINUTE * number for number in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert lengths(*[down] * 8) == minutes
    assert lengths(down, down, run_with(), down) == [*minutes[:2], None, minutes[0]]
    assert lengths(down, down, run_with(Cause.INVALID_KEY)) == [*minutes[:2], None], "it answered"


def test_what_tells_nothing_about_the_exchange_leaves_its_pause_as_it_is() -> None:
    down = run_with(Cause.EXCHANGE_UNAVAILABLE)
    for cause in (Cause.LOCAL_NETWORK, Cause.UNEXPECTED_RESPONSE):
        assert lengths(down, run_with(cause), down) == [MINUTE, MINUTE, 2 * MINUTE]


def test_a_retry_after_is_obeyed_and_an_absurd_one_is_not_believed() -> None:
    assert lengths(run_with(Cause.RATE_LIMITED, 5.0)) == [MINUTE], "our own pause is longer"
    assert lengths(run_with(Cause.RATE_LIMITED, 7200.0)) == [2 * HOUR]
    assert lengths(run_with(Cause.RATE_LIMITED, 1e9)) == [3 * DAY]


def test_our_own_network_pauses_everything_briefly() -> None:
    offline: Pause | None = None
    found: list[float] = []
    for _ in range(6):
        offline = offline_after(run_with(Cause.LOCAL_NETWORK), offline, T0, began=T0 + SECOND, proxied=False)
        assert offline is not None
        found.append((offline.until - offline.since).total_seconds())
    assert found == [30, 60, 120, 240, 300, 300]
    for proxied in (False, True):
        back = offline_after(run_with(Cause.EXCHANGE_UNAVAILABLE), offline, T0, began=T0, proxied=proxied)
        assert back is None
    assert after(run_with(Cause.LOCAL_NETWORK), DAY, None, T0, 1.0)[0] == T0 + MINUTE, "it did not count"


def test_our_own_network_is_not_down_because_of_a_way_out_and_not_more_because_of_tests_side_by_side() -> None:
    down = run_with(Cause.LOCAL_NETWORK)
    assert offline_after(down, None, T0, began=T0 - SECOND, proxied=True) is None
    offline = offline_after(down, None, T0, began=T0 - SECOND, proxied=False)
    assert offline == Pause(1, T0, T0 + 30 * SECOND)
    assert offline_after(down, offline, T0 + SECOND, began=T0 - SECOND, proxied=False) == offline, "side by side"
    after_it = T0 + 31 * SECOND
    assert offline_after(down, offline, after_it, began=after_it, proxied=True) == offline
    assert offline_after(down, offline, after_it, began=after_it, proxied=False) == Pause(
        2, after_it, after_it + MINUTE
    )


def planned(*next_in: float, every: timedelta | None = HOUR) -> list[Schedule]:
    return [Schedule(f"c{n}", every, T0 - HOUR, T0 + SECOND * seconds) for n, seconds in enumerate(next_in)]


def test_who_is_due() -> None:
    schedules = planned(-5, 1, -10, 0)
    places = {f"c{n}": f"exchange {n}" for n in range(4)}
    assert due(schedules, places, {}, T0) == ["c2", "c0", "c3"], "the longest overdue first, not who is to come"
    assert due(schedules, {"c0": "x"}, {}, T0) == ["c0"], "those that this monitor cares for"
    assert due(planned(-5, every=None), places, {}, T0) == []
    held = schedules[2]._replace(holder="other", held_at=T0 - SECOND, held_until=T0 + SECOND)
    assert due([held], places, {}, T0) == []
    assert due([held], places, {}, T0 + SECOND) == ["c2"], "a lease ends by itself"
    paused = {"exchange 2": Pause(1, T0 - SECOND, T0 + SECOND)}
    assert due(schedules, places, paused, T0) == ["c0", "c3"]
    assert due(schedules, places, paused, T0 + SECOND) == ["c2", "c0", "c3", "c1"]
    assert due(schedules, dict.fromkeys(places, "same"), {}, T0) == ["c2"], "one at a time at one exchange"
    assert due(schedules, dict.fromkeys(places, "same"), {}, T0, running=["c1"]) == []
    offline = Pause(1, T0 - SECOND, T0 + SECOND)
    assert due(schedules, places, {}, T0, offline=offline) == []
    assert due(schedules, places, {}, T0 + SECOND, offline=offline) == ["c2"], "one tries"
    assert due(schedules, places, {}, T0 + SECOND, offline=offline, running=["c1"]) == []


@given(st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 5)), max_size=30), st.sets(st.integers(0, 29)))
def test_few_begin_at_once_and_one_at_each_place(rows: list[tuple[int, int]], running: set[int]) -> None:
    schedules = planned(*(seconds for seconds, _ in rows))
    places = {f"c{n}": f"p{there}" for n, (_, there) in enumerate(rows)}
    going = [f"c{n}" for n in running if n < len(rows)]
    chosen = due(schedules, places, {}, T0, running=going)
    assert len(chosen) <= max(0, MOST_AT_ONCE - len(going))
    assert len({places[one] for one in chosen}) == len(chosen)
    assert {places[one] for one in chosen}.isdisjoint(places[one] for one in going)
    overdue = {f"c{n}" for n, (seconds, _) in enumerate(rows) if seconds <= 0}
    assert set(chosen) <= overdue
    if overdue - set(going) and not going:
        assert chosen, "somebody always begins"


def test_the_next_test_waits_for_the_pause() -> None:
    (schedule,) = planned(60)
    assert next_test(schedule, None) == T0 + MINUTE
    assert next_test(schedule, Pause(1, T0, T0 + HOUR)) == T0 + HOUR
    assert next_test(schedule._replace(every=None), None) is None


def test_what_is_down_together() -> None:
    here = Target(exchange="okx")
    proxied = here.model_copy(update={"egress_proxy": "http://name:password@proxy:1"})
    others = [
        here.model_copy(update={"region": "eea"}),
        here.model_copy(update={"environment": Environment.DEMO}),
        here.model_copy(update={"exchange": "mexc"}),
        proxied,
    ]
    assert len({place(target) for target in (here, *others)}) == 5
    assert place(here.model_copy(update={"market": Market.FUTURES})) == place(here)
    assert "password" not in place(proxied)


# -- the store ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bfai.db"


@pytest.fixture(params=["file", "memory", "postgresql"])
def store(request: pytest.FixtureRequest, url: str) -> Iterator[Store]:
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    store = open_store("sqlite://:memory:" if request.param == "memory" else url)
    yield store
    store.close()


def add(store: Store, name: str = "Main", at: datetime = T0) -> Connection:
    found = Connection(id=name, name=name, target=Target(exchange="mexc"), key_hint="", created_at=at, key_since=at)
    return store.add_connection(found, {}, name.encode())


def schedule_of(store: Store, connection_id: str = "Main") -> Schedule:
    found = store.schedule(connection_id)
    assert found is not None
    return found


def test_a_new_connection_is_tested_every_hour_from_its_first_test_on(store: Store) -> None:
    add(store)
    assert schedule_of(store) == Schedule("Main", HOUR, T0, T0 + HOUR)
    assert store.schedules() == [schedule_of(store)]
    assert store.schedule("nobody") is None


def test_a_schedule_is_changed_audited_and_gone_with_its_connection(store: Store) -> None:
    add(store)
    store.set_schedule("Main", None, T0, T0)
    assert schedule_of(store).every is None
    store.set_schedule("Main", DAY, T0 + SECOND, T0 + HOUR)
    assert schedule_of(store) == Schedule("Main", DAY, T0 + SECOND, T0 + HOUR)
    entries = [entry for entry in store.audit_entries() if entry.action == "scheduled"]
    assert [entry.detail["every_s"] for entry in entries] == [86400, None]
    store.delete_connection("Main")
    assert store.schedules() == []
    with pytest.raises(BfaiError):
        store.set_schedule("Main", DAY, T0, T0)


def test_a_lease_has_one_holder_and_ends_by_itself(store: Store) -> None:
    add(store)
    now = T0 + MINUTE
    assert store.take_lease("Main", "one", now, now + LEASE)
    assert not store.take_lease("Main", "two", now, now + LEASE)
    assert not store.take_lease("Main", "one", now, now + LEASE), "one test at a time, also of one holder"
    assert store.renew_lease("Main", "one", now + SECOND, now + SECOND + LEASE)
    assert not store.renew_lease("Main", "two", now, now + DAY)
    store.free_lease("Main", "two", now)
    assert not store.take_lease("Main", "two", now + LEASE, now + 2 * LEASE), "it was renewed"
    assert store.take_lease("Main", "two", now + LEASE + SECOND, now + 2 * LEASE)
    store.free_leases("one")
    assert schedule_of(store).holder == "two"
    store.free_lease("Main", "two", now)
    assert store.take_lease("Main", "one", now, now + LEASE)
    store.free_leases("one")
    assert schedule_of(store).held_until is None


def test_a_test_is_taken_on_schedule_only_when_it_is_due(store: Store) -> None:
    add(store)
    early, on_time = T0 + HOUR - SECOND, T0 + HOUR
    assert not store.take_lease("Main", "one", early, early + LEASE, due_at="p")
    assert store.take_lease("Main", "one", on_time, on_time + LEASE, due_at="p")
    store.free_lease("Main", "one", on_time, on_time + DAY)
    assert not store.take_lease("Main", "one", on_time, on_time + LEASE, due_at="p")
    store.set_schedule("Main", None, on_time, on_time)
    assert not store.take_lease("Main", "one", on_time, on_time + LEASE, due_at="p"), "it is off"
    assert store.take_lease("Main", "one", on_time, on_time + LEASE), "but may be tested by hand"


def test_the_end_of_a_test_frees_the_lease_and_moves_the_next_with_the_run(store: Store) -> None:
    add(store)
    now = T0 + HOUR
    store.take_lease("Main", "one", now, now + LEASE)
    pause = Pause(2, now, now + MINUTE)
    run = run_with(connection_id="Main").model_copy(update={"started_at": now})
    store.add_run(run, end=RunEnd("one", now, HOUR, now + 2 * HOUR, "p", pause))
    assert schedule_of(store) == Schedule("Main", HOUR, now, now + 2 * HOUR)
    assert store.pauses() == {"p": pause}
    later_run = run.model_copy(update={"id": "r2", "started_at": now + SECOND})
    store.add_run(later_run, end=RunEnd("one", now, HOUR, now + 9 * HOUR, "p", KEEP))
    assert schedule_of(store).next_at == now + 2 * HOUR, "not its lease any more"
    assert store.pauses() == {"p": pause}
    store.take_lease("Main", "one", now, now + LEASE)
    store.set_schedule("Main", DAY, now, now + DAY)
    last_run = run.model_copy(update={"id": "r3", "started_at": now + 2 * SECOND})
    store.add_run(last_run, end=RunEnd("one", now, HOUR, now + HOUR, "p", None))
    assert schedule_of(store) == Schedule("Main", DAY, now, now + DAY), "the trader has changed it meanwhile"
    assert store.pauses() == {}


def test_one_at_a_time_tries_whether_an_exchange_is_back(store: Store) -> None:
    for name in ("Main", "Other"):
        add(store, name)
    now = T0 + HOUR
    store.take_lease("Main", "one", now, now + LEASE)
    run = run_with(connection_id="Main")
    store.add_run(run, end=RunEnd("one", now, HOUR, now, "p", Pause(1, now, now + MINUTE)))
    assert not store.take_lease("Other", "two", now + SECOND, now + LEASE, due_at="p")
    assert store.take_lease("Other", "two", now + SECOND, now + LEASE, due_at="q"), "another place"
    store.free_lease("Other", "two", now)
    over = now + MINUTE
    assert store.take_lease("Other", "two", over, over + LEASE, due_at="p")
    assert not store.take_lease("Main", "one", over, over + LEASE, due_at="p")
    assert store.take_lease("Main", "one", over + LEASE, over + 2 * LEASE, due_at="p"), "who tried was killed"


def test_a_clock_set_back_moves_what_waits(store: Store) -> None:
    add(store)
    now = T0 + HOUR
    store.take_lease("Main", "one", now, now + LEASE)
    run = run_with(connection_id="Main")
    store.add_run(run, end=RunEnd("one", now, HOUR, now + HOUR, "p", Pause(3, now, now + 4 * MINUTE)))
    store.take_lease("Main", "one", now, now + LEASE)
    back = now - 30 * DAY
    assert not store.take_lease("Main", "two", back, back + LEASE), "who tests goes on testing"
    store.mend_clock(back)
    assert schedule_of(store) == Schedule("Main", HOUR, back, back + HOUR, "one", back, back + LEASE)
    assert store.pauses() == {"p": Pause(3, back, back + 4 * MINUTE)}
    store.mend_clock(back + SECOND)
    assert schedule_of(store).next_at == back + HOUR, "a clock that goes on changes nothing"


def test_who_looked_at_the_time_and_waited_for_the_database_moves_nothing(store: Store) -> None:
    """It would bring every test that ended meanwhile forward by as long as it waited."""
    for name in ("Main", "Other"):
        add(store, name)
    now = T0 + HOUR
    store.take_lease("Main", "one", now, now + LEASE)
    run = run_with(connection_id="Main").model_copy(update={"started_at": now})
    store.add_run(run, end=RunEnd("one", now, HOUR, now + HOUR, "p", Pause(1, now, now + MINUTE)))
    before = schedule_of(store), store.pauses()
    looked = now - 5 * SECOND
    assert store.take_lease("Other", "two", looked, looked + LEASE)
    store.mend_clock(looked)
    assert (schedule_of(store), store.pauses()) == before


# -- a monitor by a clock of ours --------------------------------------------------------------------------------------


@pytest.fixture
def bench(url: str, gateway: Gateway) -> Iterator[Workbench]:
    store = open_store(url)
    with Workbench(store, mode=Mode.LOCAL, gateway=gateway, vault=Vault.create(store, PASSWORD, cost=CHEAP)) as found:
        yield found


@pytest.fixture
def second(url: str, gateway: Gateway, bench: Workbench) -> Iterator[Workbench]:
    """As another program on the same store."""
    store = open_store(url)
    with Workbench(store, mode=Mode.LOCAL, gateway=gateway, vault=Vault.unlock(store, PASSWORD, cost=CHEAP)) as found:
        yield found


def connect(
    bench: Workbench,
    simulator: Simulator,
    exchange: str,
    every: timedelta | None,
    account: str = "good",
    at: datetime = T0,
) -> str:
    """A connection whose first test is due now."""
    credentials = sample(simulator, exchange, account)
    vault, store = bench._open_vault(), bench._store
    connection = Connection(
        id=f"{exchange} {account}",
        name=f"{exchange} {account}",
        target=Target(exchange=exchange, region=get_exchange(exchange).regions[0].id),
        key_hint=credentials.hint,
        created_at=at,
        key_since=at,
    )
    fingerprint = vault.fingerprint(exchange, credentials.api_key)
    store.add_connection(connection, vault.seal(connection.id, credentials), fingerprint)
    store.set_schedule(connection.id, every, at, at)
    return connection.id


class Watch:
    """A monitor, the clock that it lives by, and what it did when."""

    def __init__(self, bench: Workbench, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.seen: list[tuple[timedelta, str, Cause | None]] = []
        self.monitor = Monitor(bench, clock=self.clock, on_test=self._note)

    def _note(self, connection: Connection, job: TestJob) -> None:
        assert job.run is not None, job.error
        cause = job.run.diagnosis.cause if job.run.diagnosis else None
        self.seen.append((self.clock.now - T0, connection.id, cause))

    def live(self, length: timedelta, step: timedelta = 30 * SECOND) -> list[tuple[timedelta, str, Cause | None]]:
        """Passes this time. Gives what was tested meanwhile."""
        before, end = len(self.seen), self.clock.now + length
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            while self.monitor.step():
                self.monitor.settle(30)
        return self.seen[before:]


def gaps(seen: list[tuple[timedelta, str, Cause | None]]) -> list[timedelta]:
    return [there - here for (here, *_), (there, *_) in pairwise(seen)]


def test_a_connection_is_tested_at_its_interval(bench: Workbench, simulator: Simulator) -> None:
    connect(bench, simulator, "mexc", HOUR)
    connect(bench, simulator, "kucoin", None)
    watch = Watch(bench)
    seen = watch.live(6 * HOUR)
    assert {name for _, name, _ in seen} == {"mexc good"}, "off is off"
    assert 5 <= len(seen) <= 6
    assert all(HOUR <= gap <= HOUR + LONGEST_JITTER + MINUTE for gap in gaps(seen))
    assert bench.count_runs() == len(seen)


def test_daylight_saving_changes_nothing(
    bench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Zagreb")
    time.tzset()
    try:
        connect(bench, simulator, "mexc", HOUR)
        watch = Watch(bench)  # from 22:00 in Zagreb over the night in which it is 2:30 twice
        autumn = watch.live(7 * HOUR)
        assert len(autumn) == 7 or len(autumn) == 6
        assert all(HOUR <= gap <= HOUR + LONGEST_JITTER + MINUTE for gap in gaps(autumn))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_missed_tests_are_not_made_up(bench: Workbench, simulator: Simulator) -> None:
    for exchange in ("mexc", "kucoin", "bybit"):
        connect(bench, simulator, exchange, HOUR)
    watch = Watch(bench)
    assert len(watch.live(MINUTE)) == 3
    watch.clock.now += 3 * DAY  # the computer slept, or its clock was set forward
    assert len(watch.live(MINUTE)) == 3, "each once"
    assert watch.live(50 * MINUTE) == []
    assert len(watch.live(20 * MINUTE)) == 3


def test_a_night_asleep_makes_no_burst(bench: Workbench, simulator: Simulator) -> None:
    for exchange, account in [(e, a) for e in ("mexc", "kucoin", "bybit", "okx") for a in ("good", "read_only")]:
        connect(bench, simulator, exchange, HOUR, account)
    simulator.set_faults([{"latency_ms": 200}])
    watch = Watch(bench)
    watch.clock.now += DAY
    assert watch.monitor.step() == MOST_AT_ONCE
    going = bench.running()
    assert sorted(job.target.exchange for job in going.values()) == ["bybit", "kucoin", "mexc", "okx"]
    assert watch.monitor.step() == MOST_AT_ONCE, "no more begin while these run"
    assert bench.running().keys() == going.keys()
    assert len(watch.live(MINUTE)) == 8


@pytest.mark.parametrize("back", [MINUTE, 5 * HOUR, 400 * DAY])
def test_a_clock_set_back_stops_nothing_and_makes_no_burst(
    bench: Workbench, simulator: Simulator, back: timedelta
) -> None:
    for exchange in ("mexc", "kucoin"):
        connect(bench, simulator, exchange, HOUR)
    watch = Watch(bench)
    watch.live(MINUTE)
    watch.clock.now -= back
    assert watch.live(40 * MINUTE) == []
    assert len(watch.live(30 * MINUTE)) == 2


def test_a_clock_that_was_wrong_for_a_while_is_forgiven(bench: Workbench, simulator: Simulator) -> None:
    connect(bench, simulator, "mexc", HOUR)
    watch = Watch(bench)
    watch.live(MINUTE)
    watch.clock.now += 3650 * DAY
    assert len(watch.live(MINUTE)) == 1
    watch.clock.now -= 3650 * DAY
    assert len(watch.live(3 * HOUR)) in (2, 3)


def test_an_exchange_that_is_down_is_left_alone_and_the_others_are_not(bench: Workbench, simulator: Simulator) -> None:
    for account in ("good", "ip_open", "read_only"):
        connect(bench, simulator, "mexc", SHORTEST, account)
    connect(bench, simulator, "kucoin", SHORTEST)
    watch = Watch(bench)
    assert len(watch.live(MINUTE)) == 4
    simulator.set_faults([{"exchange": "mexc", "kind": "status", "status": 503}])
    seen = watch.live(2 * HOUR)
    failed = [at for at, name, cause in seen if name.startswith("mexc")]
    assert {cause for _, name, cause in seen if name.startswith("mexc")} == {Cause.EXCHANGE_UNAVAILABLE}
    # Without a pause it would be asked some 66 times. Pauses: 1, 2, 4, 8, 16, 32, 60 minutes.
    assert 6 <= len(failed) <= 9
    assert failed[-1] - failed[-2] >= 32 * MINUTE
    others = [at for at, name, _ in seen if name.startswith("kucoin")]
    assert 21 <= len(others) <= 25
    (pause,) = bench.pauses().values()
    assert all(at >= pause.until for name, at in bench.next_tests().items() if name.startswith("mexc"))
    simulator.set_faults([])
    recovered = [at for at, name, cause in watch.live(HOUR + MINUTE) if name.startswith("mexc") and cause is None]
    assert bench.pauses() == {}
    assert len(recovered) >= 3, "the first answer ends it, and all are tested again"
    assert sum(at - recovered[0] <= MINUTE for at in recovered) >= 2


def test_a_country_block_is_an_outage_of_its_region(bench: Workbench, simulator: Simulator) -> None:
    connect(bench, simulator, "binance", SHORTEST)
    simulator.set_faults([{"exchange": "binance", "kind": "html", "status": 451}])
    watch = Watch(bench)
    ((_, _, cause),) = watch.live(MINUTE)
    assert cause is Cause.LOCATION_RESTRICTED
    assert list(bench.pauses()) == ["binance/global/live"]


def test_an_exchange_that_asks_for_silence_gets_it(bench: Workbench, simulator: Simulator) -> None:
    workbench_module._engine.cache_clear()  # it will not talk to this exchange for a while
    connect(bench, simulator, "kucoin", SHORTEST)
    simulator.set_faults([{"exchange": "kucoin", "kind": "status", "status": 429, "retry_after": 3000}])
    watch = Watch(bench)
    ((_, _, cause),) = watch.live(MINUTE)
    assert cause is Cause.RATE_LIMITED
    (pause,) = bench.pauses().values()
    assert pause.until - pause.since >= 49 * MINUTE
    assert watch.live(48 * MINUTE) == []
    assert watch.live(5 * MINUTE) != []
    workbench_module._engine.cache_clear()


def test_our_own_network_down_is_tried_with_one_connection(bench: Workbench, simulator: Simulator) -> None:
    for exchange in ("mexc", "kucoin", "bybit", "okx"):
        connect(bench, simulator, exchange, SHORTEST)
    watch = Watch(bench)
    assert len(watch.live(MINUTE)) == 4
    simulator.set_faults([{"kind": "reset"}])
    workbench_module._engine.cache_clear()  # it remembers for some seconds that another exchange has answered
    watch.clock.now += 6 * MINUTE
    watch.live(5 * SECOND, SECOND)
    down = watch.live(HOUR, 10 * SECOND)
    assert {cause for *_, cause in down} == {Cause.LOCAL_NETWORK}
    assert 10 <= len(down) <= 20, "without a pause it would be some 240"
    assert len({at for at, *_ in down}) == len(down), "one at a time"
    assert bench.pauses() == {}, "no exchange is blamed"
    simulator.set_faults([])
    back = watch.live(6 * MINUTE, 10 * SECOND)
    assert {cause for *_, cause in back} == {None}
    first = [name for at, name, _ in back if at - back[0][0] <= 20 * SECOND]
    assert len(set(first)) == 4, "all that waited"


def test_two_monitors_share_one_store(bench: Workbench, second: Workbench, simulator: Simulator) -> None:
    for exchange in ("mexc", "kucoin", "bybit"):
        connect(bench, simulator, exchange, SHORTEST)
    clock = Clock()
    one, two = Watch(bench, clock), Watch(second, clock)
    simulator.set_faults([{"latency_ms": 50}])
    for number in range(60):
        clock.now += 30 * SECOND
        both = [one, two] if number % 2 else [two, one]
        for watch in both:
            watch.monitor.step()
        for watch in both:
            watch.monitor.settle(30)
    seen = sorted(one.seen + two.seen)
    assert one.seen
    assert two.seen
    assert bench.count_runs() == len(seen)
    for exchange in ("mexc", "kucoin", "bybit"):
        times = [at for at, name, _ in seen if name.startswith(exchange)]
        assert len(times) in (5, 6)
        assert all(there - here >= SHORTEST for here, there in pairwise(times))


def test_a_manual_test_moves_the_next_and_takes_the_lease(bench: Workbench, simulator: Simulator) -> None:
    now = utc_now()
    name = connect(bench, simulator, "mexc", HOUR, at=now)
    simulator.set_faults([{"latency_ms": 300}])
    job = bench.start_test(name)
    assert bench.schedules()[0].is_held(utc_now())
    monitor = Monitor(bench)
    assert monitor.step() == 0, "it is being tested"
    assert job.wait(20).status.ok
    schedule = bench.schedules()[0]
    assert schedule.holder is None
    assert now + HOUR <= schedule.next_at <= utc_now() + HOUR + LONGEST_JITTER
    assert monitor.step() == 0
    assert bench.count_runs() == 1


def test_a_test_of_another_program_gives_its_result_here(
    bench: Workbench, second: Workbench, simulator: Simulator
) -> None:
    name = connect(bench, simulator, "mexc", HOUR)
    simulator.set_faults([{"latency_ms": 500}])
    theirs, ours = bench.start_test(name), second.start_test(name)
    assert second.start_test(name) is ours
    assert ours.wait(20).id == theirs.wait(20).id
    assert bench.count_runs() == 1
    simulator.set_faults([])
    assert second.start_test(name).wait(20).id != theirs.wait().id


def test_who_waits_for_a_killed_test_tests_after_its_lease(
    bench: Workbench, second: Workbench, simulator: Simulator
) -> None:
    name = connect(bench, simulator, "mexc", HOUR)
    now = utc_now()
    assert bench._store.take_lease(name, "killed", now, now + SECOND)
    job = second.start_test(name)
    assert not job.ended(0.3)
    assert job.wait(20).status.ok
    assert bench.count_runs() == 1


def test_a_test_that_brings_no_result_frees_the_connection(bench: Workbench, simulator: Simulator) -> None:
    now = utc_now()
    name = connect(bench, simulator, "mexc", HOUR, at=now)
    other = sample(simulator, "kucoin", "good")
    sealed = bench._open_vault().seal("another connection", other)  # as if somebody had changed the file
    bench._store.replace_credentials(name, sealed, b"x", "", now)
    assert Monitor(bench).step() == 0
    schedule = bench.schedules()[0]
    assert schedule.holder is None
    assert schedule.next_at >= now + HOUR, "it is not tried in every tick"
    with pytest.raises(BfaiError):
        bench.start_test(name)
    assert bench.schedules()[0].holder is None


def test_a_locked_vault_begins_nothing(bench: Workbench, simulator: Simulator) -> None:
    connect(bench, simulator, "mexc", HOUR)
    bench.lock()
    assert Watch(bench).live(2 * HOUR) == []


def test_closing_gives_back_what_is_held(url: str, bench: Workbench, second: Workbench, simulator: Simulator) -> None:
    name = connect(bench, simulator, "mexc", HOUR)
    simulator.set_faults([{"latency_ms": 400}])
    second.start_test(name)
    second.close()
    assert bench.schedules()[0].holder is None


def test_the_interval_of_a_connection_is_set(bench: Workbench, simulator: Simulator) -> None:
    name = connect(bench, simulator, "mexc", None, at=utc_now())
    assert bench.next_tests() == {}
    bench.set_schedule(name, 15 * MINUTE)
    assert bench.next_tests()[name] <= utc_now(), "it was never tested"
    ended = bench.start_test(name).wait(20).started_at
    bench.set_schedule(name, 6 * HOUR)
    assert bench.next_tests()[name] == ended + 6 * HOUR
    bench.set_schedule(name, None)
    assert bench.next_tests() == {}
    for wrong in (timedelta(), MINUTE, timedelta(days=8)):
        with pytest.raises(BfaiError, match="5 minutes"):
            bench.set_schedule(name, wrong)


# -- errands -----------------------------------------------------------------------------------------------------------


def test_errands_are_done_on_start_daily_and_each_minute(
    bench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, timedelta]] = []
    watch = Watch(bench)

    def errand(name: str) -> Callable[[], None]:
        return lambda: done.append((name, watch.clock.now - T0))

    monkeypatch.setattr(bench, "maintain", errand("maintain"))
    monkeypatch.setattr(bench.alerts, "deliver_due", errand("deliver"))
    watch.live(2 * HOUR)
    assert [at for name, at in done if name == "maintain"] == [30 * SECOND]
    assert len([at for name, at in done if name == "deliver"]) == 120
    watch.live(DAY, HOUR)
    assert len([at for name, at in done if name == "maintain"]) == 2
    watch.clock.now -= 10 * DAY
    done.clear()
    watch.live(10 * MINUTE)
    assert {name for name, _ in done} == {"maintain", "deliver"}, "also after the clock was set back"


def test_an_errand_that_fails_ends_nothing(
    bench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("a secret in here stays out of the log")

    monkeypatch.setattr(bench, "maintain", broken)
    connect(bench, simulator, "mexc", HOUR)
    assert len(Watch(bench).live(MINUTE)) == 1


# -- with real time ----------------------------------------------------------------------------------------------------


def test_a_running_monitor_tests_and_ends(bench: Workbench, simulator: Simulator) -> None:
    names = [connect(bench, simulator, exchange, SECOND, at=utc_now()) for exchange in ("mexc", "kucoin")]
    enough = threading.Event()
    tested: list[str] = []

    def note(connection: Connection, job: TestJob) -> None:
        tested.append(connection.id)
        if min(tested.count(name) for name in names) >= 3:
            enough.set()

    monitor = Monitor(bench, on_test=note)
    monitor.start(0.05)
    monitor.start(0.05)
    assert enough.wait(30)
    monitor.stop(20)
    assert not monitor.started
    count = bench.count_runs()
    assert count == len(tested)
    for name in names:
        starts = sorted(run.started_at for run in bench.runs(name))
        assert all(there - here >= SECOND for here, there in pairwise(starts))
    enough.clear()
    assert not enough.wait(1.5)
    assert bench.count_runs() == count, "it has ended"
    monitor.start(0.05)
    assert enough.wait(30), "and can begin again"
    monitor.stop(20)


def test_what_wakes_the_monitor_survives_a_clock_that_jumps() -> None:
    woken: list[float] = []
    scheduler = _woken_every(0.1, lambda: woken.append(time.monotonic()))
    (job,) = scheduler.get_jobs()
    try:
        for jump in (DAY, -3650 * DAY):  # as if the clock had been set back by a day, then forward by ten years
            job.modify(next_run_time=datetime.now(UTC) + jump)
            before, began = len(woken), time.monotonic()
            while len(woken) < before + 3:
                assert time.monotonic() - began < 10, "it sleeps until the clock is there again"
                time.sleep(0.02)
            assert len(woken) - before <= (time.monotonic() - began) / 0.1 + 3, "every missed tick is made up"
    finally:
        scheduler.shutdown()


def test_what_wakes_the_monitor_ends_quietly_in_the_midst_of_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    scheduler = _woken_every(0.02, lambda: None)
    enders: list[threading.Thread] = []

    class Ending(BaseExecutor):
        def _do_submit_job(self, job: object, run_times: object) -> None:
            """Between a job that is due and its removal somebody ends the scheduler."""
            enders.append(threading.Thread(target=scheduler.shutdown, kwargs={"wait": False}))
            enders[0].start()
            while scheduler.running:
                time.sleep(0.001)

    thread = scheduler._thread
    scheduler.add_executor(Ending(), "ending")
    scheduler.add_job(lambda: None, executor="ending")
    thread.join(20)
    assert not thread.is_alive()
    enders[0].join(20)
    assert died == []


def test_work_that_comes_after_the_end_surprises_nobody() -> None:
    """The thread that looks for work may look once more after it was told to end."""
    scheduler = _woken_every(60.0, lambda: None)
    scheduler.shutdown()
    scheduler.add_job(lambda: None)
    assert scheduler._process_jobs() == 60.0
