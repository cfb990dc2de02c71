"""Who hears of what, and when: scripted days with an injected clock, over real sockets to a receiver of our own."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time as clocks
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfai.alerts import CLAIM_HOLDS, PAUSES, Alerts, AlertsNotHere
from bfai.events import backup_event, events_of, strategy_event
from bfai.model import (
    BfaiError,
    Cause,
    Channel,
    Connection,
    DeliveryState,
    EventKind,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Message,
    Permission,
    Status,
    StrategyState,
)
from bfai.sending import SCHEMES, BadAddress, Note, Outcome, read_address, send_by_apprise
from bfai.store import BadName, ChannelNameTaken, Store, UnknownChannel, open_store
from bfai.vault import Vault, VaultLocked
from tests.test_store import a_run, add, enable, plan

ROOT = Path(__file__).parent.parent
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ON = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED)
OFF = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED)
SAFE = KeyReport(
    grants={Permission.READ: ON, Permission.WITHDRAW: OFF, Permission.TRANSFER: OFF},
    words=("read",),
    ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",)),
)
THIEF = SAFE.with_grant(Permission.WITHDRAW, ON)


# -- the other side ----------------------------------------------------------------------------------------------------


class Receiver:
    """Takes what is posted to it. `answer` is the status that it gives; 0 takes the message and says nothing."""

    def __init__(self) -> None:
        receiver, self.messages, self.answer, self.release = self, list[dict[str, Any]](), 200, threading.Event()
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    as_json = "json" in self.headers["Content-Type"]
                    receiver.messages.append(json.loads(body) if as_json else {})
                    receiver.keys.append(self.headers["Idempotency-Key"])
                if receiver.answer == 0:
                    receiver.release.wait(30)
                    return
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self._server.server_port}/hook-secret-token-1234"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


class Killed(BaseException):
    """Ends a program at once, as SIGKILL does: nothing catches it."""


# -- a day, scripted ---------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A store, a vault and a clock of which only the test disposes."""

    store: Store
    vault: Vault | None
    alerts: Alerts = field(init=False)
    now: datetime = T0
    sent: list[Note] = field(default_factory=list[Note])
    answer: Callable[[str, Note], Outcome] | None = None

    def __post_init__(self) -> None:
        self.alerts = Alerts(self.store, lambda: self.vault, lambda: self.now)

    def by_hand(self) -> World:
        """Messages are kept in `sent` instead of leaving; `answer` says what became of each."""

        def send(address: str, note: Note) -> Outcome:
            outcome = self.answer(address, note) if self.answer else Outcome()
            if outcome.problem is None or outcome.uncertain:
                self.sent.append(note)
            return outcome

        self.alerts = Alerts(self.store, lambda: self.vault, lambda: self.now, send)
        return self

    def at(self, moment: str | timedelta, step: timedelta = MINUTE) -> World:
        """Lets time pass, and what is due be sent once a minute."""
        target = T0.replace(**dict(zip(("hour", "minute"), map(int, moment.split(":")), strict=True))) if isinstance(
            moment, str
        ) else T0 + moment  # fmt: skip
        while self.now < target:
            self.now = min(target, self.now + step)
            self.deliver()
        return self

    def deliver(self) -> None:
        """As often as a program that sends is killed, another one starts."""
        while True:
            try:
                self.alerts.deliver_due()
                return
            except Killed:
                continue

    def test(self, connection: Connection, status: Status = Status.ONLINE, **more: Any) -> None:
        more.setdefault("key_report", SAFE if status is not Status.FAILED else None)
        run = a_run(connection, status=status, started_at=self.now, **more)
        self.store.add_run(run, lambda before: events_of(before, run))
        self.deliver()

    def states(self, channel: Channel | None = None) -> list[str]:
        found = self.store.deliveries(channel_id=channel.id if channel else None)
        return [f"{one.event.kind.value}:{one.state.value}" for one in reversed(found)]

    @property
    def titles(self) -> list[str]:
        return [note.title for note in self.sent]


@pytest.fixture
def world() -> Iterator[World]:
    store = open_store("sqlite://:memory:")
    yield World(store, Vault("v", os.urandom(32)))
    store.close()


def connected(world: World, name: str = "MEXC Main") -> Connection:
    connection = add(world.store, name, created_at=T0 - DAY, key_since=T0 - DAY)
    world.test(connection)
    return connection


FAILED, WORKS = "MEXC Main · Connection failed", "MEXC Main · Connection works again"
THEFT = "MEXC Main · Withdrawal appeared"


# -- grace and recovery ------------------------------------------------------------------------------------------------


def test_an_outage_shorter_than_the_grace_is_not_told(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    world.at("9:12").test(connection)
    world.at("12:00")
    assert receiver.titles == []
    assert world.states() == ["status_failed:dropped", "recovered:dropped"]
    assert [line.delivery.reason and line.delivery.reason.text for line in world.alerts.log()] == [
        "Its beginning was not told here.",
        "It was over before the grace ended.",
    ]


def test_an_outage_longer_than_the_grace_is_told_and_so_is_its_end(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    world.at("9:14")
    assert receiver.titles == []
    world.at("9:15")
    assert receiver.titles == [FAILED]
    world.at("9:40").test(connection)
    world.at("12:00")
    assert receiver.titles == [FAILED, WORKS]
    assert receiver.messages[0]["message"] == (
        "The last test of MEXC Main failed: IP not allowed.\n\n"
        "Add the address that MEXC saw to the key's list, then test again.\n\n"
        "21 Nov 2026, 09:05 UTC"
    )
    assert receiver.messages[1]["message"] == (
        "MEXC Main works again.\n\nThe problem had lasted since 21 Nov 2026, 09:05 UTC.\n\n21 Nov 2026, 09:40 UTC"
    )
    assert [message["type"] for message in receiver.messages] == ["warning", "success"]


def test_the_second_failed_test_is_told_before_the_grace_ends(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    world.at("9:06").test(connection, Status.FAILED, cause=Cause.LOCAL_NETWORK)
    world.at("9:08")
    assert receiver.titles == [], "our own network says nothing about the exchange"
    world.test(connection, Status.FAILED)
    assert receiver.titles == [FAILED]
    world.at("9:09").test(connection)
    assert receiver.titles == [FAILED, WORKS]


def test_what_is_told_does_not_depend_on_when_somebody_looks(world: World) -> None:
    """A program that slept through an outage tells of it as one that was awake would have."""
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection = connected(world)
    for start, end in (("9:05", "9:12"), ("10:00", "10:30")):
        for moment, status in ((start, Status.FAILED), (end, Status.ONLINE)):
            hour, minute = map(int, moment.split(":"))
            world.now = T0.replace(hour=hour, minute=minute)
            run = a_run(connection, status=status, started_at=world.now, key_report=None)
            world.store.add_run(run, lambda before, run=run: events_of(before, run))
    world.now = T0.replace(hour=15)
    world.alerts.deliver_due()
    assert world.titles == [FAILED, WORKS]
    assert "10:00 UTC" in world.sent[0].body


def test_a_channel_without_grace_hears_at_once(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address, grace_minutes=0)
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    assert receiver.titles == [FAILED]


def test_a_failure_that_turns_into_an_alarm_is_the_alarm(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    world.at("9:06").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    world.at("9:30").test(connection)
    assert world.titles == [THEFT, WORKS]


def test_a_recovery_is_told_only_where_the_failure_was(world: World) -> None:
    world.by_hand().alerts.add("All", "json://127.0.0.1:9/x")
    world.alerts.add("Good news", "json://127.0.0.1:9/y", kinds=[EventKind.RECOVERED])
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    world.at("9:20")
    world.alerts.add("Late", "json://127.0.0.1:9/z")
    world.test(connection)
    assert world.titles == [FAILED, WORKS]
    assert world.states() == ["status_failed:sent", "recovered:sent", "recovered:dropped", "recovered:dropped"]


# -- quiet hours -------------------------------------------------------------------------------------------------------

NIGHT = (time(23, 0), time(7, 0))


def test_a_withdrawal_that_appears_in_quiet_hours_is_told_at_once(world: World, receiver: Receiver) -> None:
    world.alerts.speak("en", "Europe/Zagreb")
    world.alerts.add("Hook", receiver.address, quiet=NIGHT)
    connection = connected(world)
    world.at(17 * HOUR).test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)  # 3 o'clock
    assert receiver.titles == [THEFT]
    message = receiver.messages[0]
    assert message["type"] == "failure"
    assert message["message"] == (
        "The key of MEXC Main can withdraw now. Before, it could not.\n\n"
        "Take the right to withdraw away at MEXC now, or delete the key.\n"
        "If you did not change it yourself, delete the key at MEXC now and change your password there.\n\n"
        "22 Nov 2026, 03:00 (Europe/Zagreb)"
    )


def test_everything_else_waits_until_quiet_hours_end(world: World, receiver: Receiver) -> None:
    world.alerts.speak("en", "Europe/Zagreb")
    world.alerts.add("Hook", receiver.address, quiet=NIGHT)
    connection = connected(world)
    world.at(17 * HOUR).test(connection, Status.FAILED)
    world.at(17 * HOUR + 30 * MINUTE)
    (line,) = world.alerts.log()
    assert line.waits_for is not None
    assert (line.waits_for.text, line.waits_for.params) == ("Quiet hours last until {when}.", {"when": "07:00"})
    world.at(20 * HOUR).test(connection)
    world.at(21 * HOUR - MINUTE)
    assert receiver.titles == []
    world.at(21 * HOUR)  # seven o'clock in Zagreb
    assert receiver.titles == [FAILED, WORKS]


def test_quiet_hours_follow_the_clock_on_the_wall_when_summer_ends(world: World) -> None:
    """On 25 October 2026 the clocks in Zagreb go back: seven o'clock is at 5:00 UTC on the day before, 6:00 after."""
    world.by_hand().alerts.speak("hr", "Europe/Zagreb")
    channel = world.alerts.add("Hook", "json://127.0.0.1:9/x", quiet=NIGHT, grace_minutes=0)
    connection = add(world.store, created_at=T0 - 60 * DAY, key_since=T0 - 60 * DAY)
    first = datetime(2026, 10, 24, 2, 0, tzinfo=UTC)
    for day, told in ((0, 5), (1, 6)):
        world.sent.clear()
        world.now = first + day * DAY
        world.test(connection)
        world.now += MINUTE
        world.test(connection, Status.FAILED)
        while not world.sent:
            world.now += MINUTE
            world.alerts.deliver_due()
        assert (world.now.hour, world.now.minute) == (told, 0)
    assert channel.quiet_for(datetime(2026, 10, 25, 3, 30)) == 3.5 * HOUR  # noqa: DTZ001 - a clock on the wall


def test_the_log_names_the_end_of_quiet_hours_by_the_clock_on_the_wall(world: World) -> None:
    """Half past two in Zagreb, an hour before summer ends: seven o'clock is five and a half hours away, not four."""
    world.by_hand().alerts.speak("en", "Europe/Zagreb")
    world.alerts.add("Hook", "json://127.0.0.1:9/x", quiet=NIGHT, grace_minutes=0)
    connection = add(world.store, created_at=T0 - 60 * DAY, key_since=T0 - 60 * DAY)
    world.now = datetime(2026, 10, 25, 0, 29, tzinfo=UTC)
    world.test(connection)
    world.now += MINUTE
    world.test(connection, Status.FAILED)
    (line,) = world.alerts.log()
    assert line.waits_for is not None
    assert line.waits_for.params == {"when": "07:00"}


@pytest.mark.parametrize(
    ("start", "end", "clock", "left"),
    [
        ("23:00", "07:00", "22:59", None),
        ("23:00", "07:00", "23:00", 480),
        ("23:00", "07:00", "00:00", 420),
        ("23:00", "07:00", "06:59", 1),
        ("23:00", "07:00", "07:00", None),
        ("13:00", "14:30", "13:30", 60),
        ("13:00", "14:30", "14:30", None),
        ("08:00", "08:00", "08:00", None),
    ],
)
def test_quiet_hours(start: str, end: str, clock: str, left: int | None) -> None:
    channel = Channel(
        id="c",
        name="x",
        hint="",
        created_at=T0,
        quiet_from=time.fromisoformat(start),
        quiet_until=time.fromisoformat(end),
    )
    found = channel.quiet_for(datetime.combine(T0, time.fromisoformat(clock)))
    assert found == (None if left is None else left * MINUTE)


# -- repetitions -------------------------------------------------------------------------------------------------------


def test_what_lasts_is_told_again_on_request(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address, repeat_hours=3)
    world.alerts.add("Once", receiver.address.replace("hook", "once"))
    connection = connected(world)
    world.at(5 * MINUTE).test(connection, Status.FAILED)
    world.at(9 * HOUR)
    # Told at 9:15 to both, then at 12:15 and 15:15 to the one that wants it.
    assert receiver.titles == [FAILED] * 4
    assert sum("It still lasts: this is a repeated alert." in message["message"] for message in receiver.messages) == 2
    (failed,) = world.store.events()
    assert sorted(key or "" for key in receiver.keys) == [f"{failed.id}-{number}" for number in (0, 0, 1, 2)]
    world.test(connection)
    world.at(20 * HOUR)
    assert receiver.titles == [FAILED] * 4 + [WORKS] * 2


def test_an_alarm_is_repeated_at_night_too_and_ends_with_its_cause(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x", repeat_hours=4, quiet=NIGHT)
    connection = connected(world)
    world.at(14 * HOUR).test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    world.at(23 * HOUR)
    assert world.titles == [THEFT] * 3
    world.test(connection)
    world.at(40 * HOUR)
    assert world.titles == [THEFT] * 3 + [WORKS]


def test_a_repetition_that_waited_too_long_is_dropped(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x", repeat_hours=1, quiet=NIGHT, grace_minutes=0)
    connection = connected(world)
    world.at(13 * HOUR + 30 * MINUTE).test(connection, Status.FAILED)  # 22:30
    world.at(16 * HOUR).test(connection)
    world.at(23 * HOUR)
    assert world.titles == [FAILED, WORKS]
    assert world.states() == ["status_failed:sent", "status_failed:dropped", "recovered:sent"]


# -- other events ------------------------------------------------------------------------------------------------------


def test_what_changes_on_a_key_is_told(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    opened = SAFE.model_copy(update={"ip_restriction": IpRestriction(state=GrantState.DENIED)})
    world.at("9:10").test(connection, Status.CONNECTED, key_report=opened)
    world.at("9:20").test(connection, Status.CONNECTED, key_report=opened.with_grant(Permission.TRANSFER, ON))
    world.at("9:30").test(connection, key_report=SAFE)
    assert receiver.titles == [
        "MEXC Main · Address list emptied",
        "MEXC Main · Right appeared",
        "MEXC Main · Address list changed",
        "MEXC Main · Right vanished",
    ]


def test_a_keys_end_is_told_at_its_thresholds(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    ending = SAFE.model_copy(update={"expires_at": T0 + 40 * DAY})
    for day in range(1, 43):
        world.now = T0 + day * DAY
        world.test(connection, Status.CONNECTED, key_report=ending)
    ends = [title.partition(" · ")[2] for title in receiver.titles]
    assert ends == ["Key expires in 30 days", "Key expires in 7 days", "Key expires in 1 day", "Key expired"]
    assert "expires in 30 days, on 31 Dec 2026" in receiver.messages[0]["message"]


def test_a_suspension_that_ends_by_itself_has_the_grace_of_its_cause(world: World) -> None:
    world.by_hand().alerts.add(
        "Hook", "json://127.0.0.1:9/x", kinds=[EventKind.STRATEGY_SUSPENDED, EventKind.STRATEGY_RESUMED]
    )
    connection = connected(world)
    strategy = enable(world.store, plan(world.store, connection))

    def turn(status: Status, state: StrategyState, needs_person: bool = False) -> None:
        nonlocal strategy
        run = a_run(connection, status=status, started_at=world.now, key_report=None)
        world.store.add_run(run, lambda before: events_of(before, run))
        kind = EventKind.STRATEGY_SUSPENDED if state is StrategyState.SUSPENDED else EventKind.STRATEGY_RESUMED
        event = strategy_event(kind, strategy, world.now, run, needs_person=needs_person)
        change = {"action": kind.value, "events": [event], "needs_person": needs_person}
        strategy = world.store.set_strategy_state(strategy.id, strategy.state, state, **change)
        world.alerts.deliver_due()

    world.at("9:05")
    turn(Status.FAILED, StrategyState.SUSPENDED)
    world.at("9:09")
    turn(Status.ONLINE, StrategyState.ENABLED)
    world.at("9:30")
    assert world.titles == []
    turn(Status.FAILED, StrategyState.SUSPENDED)
    world.at("9:41")
    assert world.titles == ["Grid · Strategy suspended"]
    turn(Status.ONLINE, StrategyState.ENABLED)
    assert world.titles == ["Grid · Strategy suspended", "Grid · Strategy resumed"]
    world.at("10:00")
    turn(Status.BLOCKED, StrategyState.SUSPENDED, needs_person=True)
    assert world.titles[2:] == ["Grid · Strategy suspended"], "a person is needed: at once"


def test_a_backup_that_fails_is_told_once_at_once_and_its_end_where_it_was(world: World) -> None:
    hook = world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x", quiet=(time(23), time(7)))
    problem = Message(text="The disk of {path} is full. Free some space.", params={"path": "/home/ann/backups"})
    world.store.add_events([backup_event(T0, problem)])
    world.at("9:01")
    late = world.alerts.add("Late", "json://127.0.0.1:9/x")
    assert world.titles == ["Backup failed"]
    assert "The disk of /home/ann/backups is full. Free some space." in world.sent[0].body
    world.store.add_events([backup_event(T0, problem)])  # whoever saw the same
    world.at("9:30").store.add_events([backup_event(world.now, None)])
    world.at("9:31")
    assert world.titles == ["Backup failed", "Backups work again"]
    assert "The problem had lasted since" in world.sent[1].body
    assert world.states(hook) == ["backup_failed:sent", "backup_works:sent"]
    assert world.states(late) == ["backup_works:dropped"]


def test_messages_speak_the_owners_language(world: World, receiver: Receiver) -> None:
    world.alerts.speak("nl", "Europe/Amsterdam")
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    world.at("9:10").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert "21 nov 2026, 10:10 (Europe/Amsterdam)" in receiver.messages[0]["message"]
    assert "can withdraw" not in receiver.messages[0]["message"]


def test_nothing_secret_is_told(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    secret = "mx0vglAbCdEfGh123456789QqZz"
    connection = connected(world, f"api key={secret}")
    world.at("9:10").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert len(world.sent) == 1
    assert secret not in repr(world.sent)
    assert "4210" not in repr(world.sent), "a run has balances; a message has none"


# -- an address that fails ---------------------------------------------------------------------------------------------


def refusing_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return closed.getsockname()[1]


def test_an_address_that_refuses_is_tried_four_times_then_given_up(world: World) -> None:
    world.alerts.add("Hook", f"json://127.0.0.1:{refusing_port()}/token-that-nobody-sees")
    connection = connected(world)
    world.at("9:05").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    (delivery,) = world.store.deliveries()
    began = [delivery.claimed_at]
    for _ in range(60):
        world.at(world.now + MINUTE - T0)
        (delivery,) = world.store.deliveries()
        if delivery.claimed_at != began[-1]:
            began.append(delivery.claimed_at)
    gaps = [(after - before) // MINUTE for before, after in pairwise(began) if before and after]
    assert gaps == [1, 5, 30]
    assert delivery.state is DeliveryState.GIVEN_UP
    assert not delivery.doubtful, "nothing can have arrived"
    assert delivery.reason is not None
    assert delivery.reason.text.startswith("The other side could not be reached.")
    assert "token-that" not in repr(world.store.deliveries()) + repr(world.alerts.log())


def test_an_error_of_the_other_side_is_named_and_tried_again(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    receiver.answer = 500
    world.at("9:05").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    (line,) = world.alerts.log()
    assert line.delivery.reason == Message(text="The other side answered with HTTP {status}.", params={"status": 500})
    assert line.waits_for == Message(text="It is tried again at {when}.", params={"when": "09:06"})
    receiver.answer = 200
    world.at("9:06")
    assert receiver.titles == [THEFT, THEFT]
    assert world.states() == ["withdraw_appeared:sent"]
    assert "repetition" not in receiver.messages[1]["message"], "it said itself that it did not take the first"


def test_an_other_side_that_hangs_costs_ten_seconds_and_the_next_one_says_so(world: World, receiver: Receiver) -> None:
    world.alerts.add("Hook", receiver.address)
    connection = connected(world)
    receiver.answer = 0
    world.at("9:05")
    began = clocks.monotonic()
    world.test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert clocks.monotonic() - began < 12
    (delivery,) = world.store.deliveries()
    assert delivery.reason is not None
    assert delivery.reason.text == "There was no answer within {seconds} seconds."
    assert delivery.doubtful
    receiver.answer = 200
    world.at("9:06")
    assert len(receiver.messages) == 2
    assert "This may be a repetition" in receiver.messages[1]["message"]


def test_one_channel_that_hangs_does_not_hold_back_the_others(world: World) -> None:
    hanging, arrived = threading.Event(), threading.Event()

    def send(address: str, note: Note) -> Outcome:
        if "slow" in address:
            assert arrived.wait(10), "the other channel waits for this one"
            hanging.set()
            return Outcome(Message(text="late"))
        arrived.set()
        return Outcome()

    world.alerts = Alerts(world.store, lambda: world.vault, lambda: world.now, send)
    world.alerts.add("A slow one", "json://slow.example/x")
    world.alerts.add("B", "json://quick.example/x")
    world.test(connected(world), Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert hanging.is_set()


def test_behind_a_message_that_fails_the_rest_waits_but_no_alarm_does(world: World) -> None:
    tried: list[str] = []

    def send(_: str, note: Note) -> Outcome:
        tried.append(note.title)
        return Outcome(Message(text="no"))

    world.alerts = Alerts(world.store, lambda: world.vault, lambda: world.now, send)
    world.alerts.add("Hook", "json://127.0.0.1:9/x", grace_minutes=0)
    one, other, third = (connected(world, name) for name in ("One", "Other", "Third"))
    for connection in (one, other):
        run = a_run(connection, status=Status.FAILED, started_at=world.now + MINUTE)
        world.store.add_run(run, lambda before, run=run: events_of(before, run))
    world.now += MINUTE
    world.test(third, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert tried == ["Third · Withdrawal appeared"], "the alarm goes first, and shows that the channel is down"
    world.now += MINUTE
    world.alerts.deliver_due()
    assert tried[1:] == ["Third · Withdrawal appeared"]


def test_whoever_sends_may_break(world: World) -> None:
    def send(_: str, __: Note) -> Outcome:
        raise ZeroDivisionError("with a secret in it")

    world.alerts = Alerts(world.store, lambda: world.vault, lambda: world.now, send)
    world.alerts.add("Hook", "json://127.0.0.1:9/x")
    world.test(connected(world), Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    (delivery,) = world.store.deliveries()
    assert delivery.reason == Message(text="Sending broke off: {kind}.", params={"kind": "ZeroDivisionError"})


def test_an_address_that_was_changed_from_outside_is_given_up_and_named(world: World) -> None:
    one, other = (world.by_hand().alerts.add(name, f"json://127.0.0.1:9/{name}") for name in ("one", "other"))
    world.store.change_channel(one, world.store.channel_address(other.id))
    world.test(connected(world), Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    assert world.states(one) == ["withdraw_appeared:given_up"]
    assert world.states(other) == ["withdraw_appeared:sent"]


# -- killed ------------------------------------------------------------------------------------------------------------


def test_a_message_left_by_a_program_that_was_killed_is_sent_again_and_says_so(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    run = a_run(connected(world), status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    (delivery,) = world.store.deliveries()
    world.store.move_delivery(delivery, DeliveryState.SENDING, world.now, holder="killed")
    world.at(CLAIM_HOLDS - MINUTE)
    assert world.sent == []
    world.at(CLAIM_HOLDS)
    (note,) = world.sent
    assert "This may be a repetition" in note.body
    assert world.states() == ["withdraw_appeared:sent"]


def test_a_message_that_kills_every_time_is_given_up(world: World) -> None:
    def send(_: str, __: Note) -> Outcome:
        world.sent.append(Note("", ""))
        raise Killed

    world.alerts = Alerts(world.store, lambda: world.vault, lambda: world.now, send)
    world.alerts.add("Hook", "json://127.0.0.1:9/x")
    run = a_run(connected(world), status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    for _ in range(10):
        with suppress(Killed):
            world.alerts.deliver_due()
        world.now += CLAIM_HOLDS
    assert len(world.sent) == 1 + len(PAUSES)
    assert world.states() == ["withdraw_appeared:given_up"]


_TELL_AND_DIE = """
import os, signal, sys
from datetime import datetime
from bfai.alerts import Alerts
from bfai.sending import send_by_apprise
from bfai.store import open_store
from bfai.vault import Vault

database, key, moment = sys.argv[1:]

def send(address, note):
    send_by_apprise(address, note)
    os.kill(os.getpid(), signal.SIGKILL)

vault = Vault("v", bytes.fromhex(key))
Alerts(open_store(database), lambda: vault, lambda: datetime.fromisoformat(moment), send).deliver_due()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_that_is_killed_before_it_can_write_it_down_loses_no_message(
    tmp_path: Path, receiver: Receiver
) -> None:
    key, database = os.urandom(32), f"sqlite:///{tmp_path}/bfai.db"
    world = World(open_store(database), Vault("v", key))
    world.alerts.add("Hook", receiver.address)
    run = a_run(connected(world), status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    arguments = [sys.executable, "-c", _TELL_AND_DIE, database, key.hex(), world.now.isoformat()]
    died = subprocess.run(
        arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert receiver.titles == [THEFT]
    assert world.states() == ["withdraw_appeared:sending"]
    world.at(CLAIM_HOLDS + MINUTE)
    assert receiver.titles == [THEFT, THEFT]
    assert ["repetition" in message["message"] for message in receiver.messages] == [False, True]
    assert receiver.keys == [f"{world.store.events()[0].id}-0"] * 2, "a receiver can tell that it is the same"
    world.store.close()


_WHEN_CLAIMED = """
import sys
from datetime import datetime
from bfai.alerts import Alerts
from bfai.store import open_store
from bfai.vault import Vault

database, key, moment = sys.argv[1:]
store, vault = open_store(database), Vault("v", bytes.fromhex(key))
store._db.set_trace_callback(lambda sql: print("apprise" in sys.modules) if sql.startswith("UPDATE delivery") else None)
Alerts(store, lambda: vault, lambda: datetime.fromisoformat(moment)).deliver_due()
"""


def test_what_takes_long_is_done_before_a_message_is_claimed(tmp_path: Path, receiver: Receiver) -> None:
    """Else a program that is killed in its first second leaves a claim behind, although it has sent nothing."""
    key, database = os.urandom(32), f"sqlite:///{tmp_path}/bfai.db"
    world = World(open_store(database), Vault("v", key))
    world.alerts.add("Hook", receiver.address)
    run = a_run(connected(world), status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    arguments = [sys.executable, "-c", _WHEN_CLAIMED, database, key.hex(), world.now.isoformat()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr  # claimed, sent
    assert receiver.titles == [THEFT]
    world.store.close()


@pytest.mark.parametrize("scheme", ["json", "form", "xml"])
def test_a_program_of_ones_own_can_tell_a_repetition(receiver: Receiver, scheme: str) -> None:
    address = receiver.address.replace("json:", f"{scheme}:")
    for _ in range(2):
        assert send_by_apprise(address, Note("Title", "Body", key="event-0")).problem is None
    assert receiver.keys == ["event-0"] * 2


def test_several_programs_send_each_message_once(tmp_path: Path, receiver: Receiver) -> None:
    key, database = os.urandom(32), f"sqlite:///{tmp_path}/bfai.db"
    worlds = [World(open_store(database), Vault("v", key)) for _ in range(4)]
    worlds[0].alerts.add("Hook", receiver.address)
    for number in range(6):
        connection = add(worlds[0].store, f"Number {number}", created_at=T0 - DAY, key_since=T0 - DAY)
        for status, report in ((Status.ONLINE, SAFE), (Status.BLOCKED, THIEF)):
            run = a_run(connection, status=status, started_at=T0, key_report=report, cause=None)
            worlds[0].store.add_run(run, lambda before, run=run: events_of(before, run))
    began = threading.Barrier(len(worlds))

    def deliver(world: World) -> None:
        began.wait()
        world.alerts.deliver_due()

    threads = [threading.Thread(target=deliver, args=(world,)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receiver.titles) == [f"Number {number} · Withdrawal appeared" for number in range(6)]
    for world in worlds:
        world.store.close()


def test_two_threads_of_one_program_keep_the_order_and_an_alarm_goes_first(world: World) -> None:
    """After a test both the monitor and whoever stored the run ask for what is due to be sent."""
    failing, thieves = connected(world), connected(world, "Thieves")

    def while_it_is_sent(_: str, note: Note) -> Outcome:
        if note.title == FAILED:
            run = a_run(thieves, status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
            world.store.add_run(run, lambda before: events_of(before, run))
        if note.title in (FAILED, THEFT.replace("MEXC Main", "Thieves")):
            other = threading.Thread(target=world.alerts.deliver_due)
            other.start()
            other.join(30)
            assert not other.is_alive(), "it waits for nobody"
        return Outcome()

    world.by_hand().answer = while_it_is_sent
    world.alerts.add("Hook", "json://127.0.0.1:9/x", grace_minutes=0)
    for status in (Status.FAILED, Status.ONLINE):
        world.now += MINUTE
        run = a_run(failing, status=status, started_at=world.now, key_report=None)
        world.store.add_run(run, lambda before, run=run: events_of(before, run))
    sent = world.alerts.deliver_due()
    assert world.titles == [FAILED, THEFT.replace("MEXC Main", "Thieves"), WORKS]
    assert sent == 3
    assert world.alerts.deliver_due() == 0


# -- the clock set back ------------------------------------------------------------------------------------------------


def test_a_clock_set_back_holds_nothing_for_ever(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection = connected(world)
    world.at("9:05").test(connection, Status.FAILED)
    run = a_run(connected(world, "Other"), status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    blocked = world.store.deliveries()[0]
    world.store.move_delivery(blocked, DeliveryState.SENDING, world.now, holder="killed")
    world.now -= 5 * DAY
    world.alerts.deliver_due()
    assert sorted(world.titles) == [FAILED, "Other · Withdrawal appeared"]


# -- the vault ---------------------------------------------------------------------------------------------------------


def test_while_the_vault_is_locked_messages_wait(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection = connected(world)
    kept, world.vault = world.vault, None
    world.at("9:05").test(connection, Status.BLOCKED, key_report=THIEF, cause=Cause.WITHDRAW_ENABLED)
    world.at("9:30")
    assert world.states() == ["withdraw_appeared:waiting"]
    world.vault = kept
    world.at("9:31")
    assert world.titles == [THEFT]
    assert "09:05 UTC" in world.sent[0].body


def test_a_vault_that_locks_meanwhile_stops_sending_without_a_claim(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection = connected(world)
    run = a_run(connection, status=Status.BLOCKED, started_at=world.now, key_report=THIEF, cause=None)
    world.store.add_run(run, lambda before: events_of(before, run))
    assert world.vault is not None
    world.vault.lock()
    assert world.alerts.deliver_due() == 0
    assert world.states() == ["withdraw_appeared:waiting"]
    with pytest.raises(VaultLocked):
        world.alerts.add("Other", "json://127.0.0.1:9/x")


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """Every logger at DEBUG, into memory."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    names = ("", "urllib3", "urllib3.connectionpool", "requests")
    before = {name: logging.getLogger(name).level for name in names}
    logging.getLogger().addHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_an_address_is_sealed_and_never_shown(world: World, receiver: Receiver, everything_logged: io.StringIO) -> None:
    channel = world.alerts.add("Hook", receiver.address)
    assert channel.hint == "json://127.0.0.1"
    assert world.alerts.test(channel.id) is None
    receiver.answer = 500
    assert world.alerts.test(channel.id) is not None
    sealed = world.store.channel_address(channel.id)
    shown = (
        repr(world.alerts.channels()) + repr(world.store.audit_entries()) + repr(sealed) + everything_logged.getvalue()
    )
    assert "hook-secret" not in shown


# -- channels ----------------------------------------------------------------------------------------------------------


def test_a_test_message_says_how_it_went(world: World, receiver: Receiver) -> None:
    channel = world.alerts.add("Hook", receiver.address)
    assert world.alerts.test(channel.id) is None
    assert receiver.titles == ["Test message for Hook"]
    assert "Nothing happened" in receiver.messages[0]["message"]
    dead = world.alerts.add("Dead", f"json://127.0.0.1:{refusing_port()}/x")
    problem = world.alerts.test(dead.id)
    assert problem is not None
    assert problem.text.startswith("The other side could not be reached.")
    with pytest.raises(UnknownChannel):
        world.alerts.test("x")


def test_a_channel_is_changed_and_keeps_its_address_where_none_is_given(world: World, receiver: Receiver) -> None:
    channel = world.alerts.add("Hook", receiver.address, quiet=NIGHT)
    changed = world.alerts.change(channel.id, name="Phone", kinds=[EventKind.BLOCKED], repeat_hours=2)
    assert (changed.name, changed.hint, changed.quiet_from, changed.repeat_hours) == ("Phone", channel.hint, None, 2)
    assert [kind for kind in EventKind if changed.hears(kind)] == [EventKind.BLOCKED]
    assert world.alerts.test(channel.id) is None
    moved = world.alerts.change(channel.id, name="Phone", address="ntfy://a-topic-of-mine")
    assert moved.hint == "ntfy://…mine"
    assert world.alerts.find("PHONE") == moved
    world.alerts.remove(channel.id)
    assert world.alerts.channels() == []


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"name": " "}, BadName),
        ({"name": "x" * 61}, BadName),
        ({"name": "TAKEN"}, ChannelNameTaken),
        ({"address": ""}, BadAddress),
        ({"grace_minutes": -1}, BfaiError),
        ({"grace_minutes": 5000}, BfaiError),
        ({"repeat_hours": 0}, BfaiError),
    ],
)
def test_what_a_channel_cannot_be_is_named(world: World, values: dict[str, Any], refused: type[BfaiError]) -> None:
    world.alerts.add("Taken", "ntfy://x")
    with pytest.raises(refused):
        world.alerts.add(**{"name": "New", "address": "ntfy://y", **values})
    assert [channel.name for channel in world.alerts.channels()] == ["Taken"]


def test_alarms_that_nobody_hears_are_named(world: World) -> None:
    assert world.alerts.unheard()[0] is EventKind.WITHDRAW_APPEARED
    world.alerts.add("Some", "ntfy://x", kinds=[kind for kind in EventKind if kind is not EventKind.BLOCKED])
    assert world.alerts.unheard() == [EventKind.BLOCKED]
    world.alerts.add("Rest", "ntfy://x", kinds=[EventKind.BLOCKED])
    assert world.alerts.unheard() == []


def test_a_language_or_a_zone_that_does_not_exist_is_refused(world: World) -> None:
    for language, zone in (("xx", None), ("nl", "Mars/Olympus"), ("nl", "../../etc/passwd")):
        with pytest.raises(BfaiError):
            world.alerts.speak(language, zone)
    world.alerts.speak("hr", None)
    assert (world.alerts.language, world.alerts.zone) == ("hr", None)


def test_the_demo_sends_nothing(world: World) -> None:
    quiet = Alerts(world.store, lambda: world.vault, sends=False)
    channel = world.alerts.add("Hook", "ntfy://x")
    for act in (lambda: quiet.add("New", "ntfy://y"), lambda: quiet.test(channel.id)):
        with pytest.raises(AlertsNotHere):
            act()
    assert quiet.deliver_due() == 0


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("json://127.0.0.1:8080/path/token", "json://127.0.0.1"),
        ("jsons://user:pass@example.com/x", "jsons://example.com"),
        (" http://[::1]:8080/x ", "json://::1"),
        ("https://example.com/hook/abcdef", "jsons://example.com"),
        ("ntfy://my-secret-topic", "ntfy://…opic"),
        ("ntfy://short", "ntfy://…"),
        ("ntfys://ntfy.example.com/topic", "ntfys://ntfy.example.com"),
        ("mailtos://me:password@gmail.com?to=you@example.com", "mailtos://gmail.com"),
        ("tgram://123456789:AAbbccddeeffgghhiijjkkllmmnnooppqqr/987654", "tgram://…7654"),
        ("TGRAM://123456789:AAbbccddeeffgghhiijjkkllmmnnooppqqr/987654", "tgram://…7654"),
        (f"https://discord.com/api/webhooks/123456789012345678/{'a1B2' * 17}", "discord://…a1B2"),
        ("gotify://host.example/ABCDEFGHIJKLMNO", "gotify://host.example"),
    ],
)
def test_an_address_is_read_and_shown_in_part(text: str, hint: str) -> None:
    assert read_address(text).hint == hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Put in an address"),
        ("   ", "Put in an address"),
        ("json://a b", "no blanks"),
        ("json://a\x00b", "no blanks"),
        ("json://" + "x" * 3000, "2000"),
        ("me@example.com", "login of its mail server"),
        ("hello", "begins with the way to send"),
        ("://", "begins with the way to send"),
        ("tgram://123", "no whole tgram:// address"),
        ("mailtos://example.com", "no whole mailtos:// address"),
        ("json://:80", "no whole json:// address"),
        ("nonsense://x", "not among the ways"),
        ("syslog://localhost", "not among the ways"),
        ("dbus://x", "not among the ways"),
        ("gnome://x", "not among the ways"),
        ("windows://x", "not among the ways"),
        ("macosx://x", "not among the ways"),
        ("file:///etc/passwd", "not among the ways"),
        ("exec://rm", "not among the ways"),
        ("growl://localhost", "not among the ways"),
        ("fcm://project@apikey/?keyfile=/etc/passwd", "would open a file"),
        (f"discord://123456789012345678/{'a1B2' * 17}?template=/etc/passwd", "would open a file"),
        (f"discord://123456789012345678/{'a1B2' * 17}?x=1&TEMPLATE=/etc/passwd", "would open a file"),
        (f"discord://123456789012345678/{'a1B2' * 17}?%74emplate=/etc/passwd", "would open a file"),
        (f"https://discord.com/api/webhooks/123456789012345678/{'a1B2' * 17}?template=x", "would open a file"),
        ("mailtos://me:pw@gmail.com?pgp=yes&pgpprv=/etc/key", "would open a file"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BadAddress) as refused:
        read_address(text)
    assert said in str(refused.value)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80) | st.from_regex(r"[a-z]{2,10}://[^\s]{0,60}", fullmatch=True))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = read_address(text)
    except BadAddress:
        return
    assert found.hint.partition("://")[0] in SCHEMES


def test_the_documentation_names_every_kind_state_and_way() -> None:
    told = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    table = {line.rpartition("| ")[0] for line in told.splitlines() if line.endswith("| yes |")}
    for kind in EventKind:
        assert f"`{kind.value}`" in told
        assert kind.security == any(f"`{kind.value}`" in row for row in table)
    for state in DeliveryState:
        assert f"| `{state.value}` |" in told
    listed = told.partition("Allowed are ways over a network: `")[2].partition("`")[0].split()
    assert set(listed) == {one for one in SCHEMES if not (one.endswith("s") and one[:-1] in SCHEMES)}


# -- any day -----------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.integers(1, 8) | st.integers(1, 200),  # minutes that pass before it
        st.sampled_from(["online", "failed", "failed", "blocked", "thief", "own_network", "opened"]),
        st.integers(0, 1),  # which connection
    ),
    max_size=15,
)
AGAIN, MAYBE = "It still lasts: this is a repeated alert.", "This may be a repetition"
OPENED = SAFE.model_copy(update={"ip_restriction": IpRestriction(state=GrantState.DENIED)})
TESTS: dict[str, tuple[Status, dict[str, Any]]] = {
    "online": (Status.ONLINE, {}),
    "failed": (Status.FAILED, {}),
    "blocked": (Status.BLOCKED, {"cause": Cause.WITHDRAW_UNKNOWN}),
    "thief": (Status.BLOCKED, {"cause": Cause.WITHDRAW_ENABLED, "key_report": THIEF}),
    "own_network": (Status.FAILED, {"cause": Cause.LOCAL_NETWORK}),
    "opened": (Status.CONNECTED, {"key_report": OPENED}),
}


QUIET = st.integers(0, 23).map(lambda hour: (time(hour), time((hour + 8) % 24)))
WEATHER = st.lists(st.sampled_from(["taken", "taken", "refused", "silent", "killed"]), max_size=40)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(0, 30), st.none() | QUIET, st.none() | st.integers(1, 12), WEATHER)
def test_whatever_happens_each_message_is_told_once_and_no_alarm_waits(
    steps: list[tuple[int, str, int]],
    grace: int,
    quiet: tuple[time, time] | None,
    repeat: int | None,
    weather: list[str],
) -> None:
    store = open_store("sqlite://:memory:")
    world = World(store, Vault("v", os.urandom(32))).by_hand()
    left = list(weather)

    def answer(_: str, note: Note) -> Outcome:
        what = left.pop() if left else "taken"
        if what == "killed":
            world.sent.append(note)
            raise Killed
        problem = None if what == "taken" else Message(text=what)
        return Outcome(problem, uncertain=what == "silent")

    world.answer = answer
    world.alerts.add("Hook", "json://127.0.0.1:9/x", grace_minutes=grace, quiet=quiet, repeat_hours=repeat)
    connections = [connected(world, name) for name in ("One", "Two")]
    lives: list[list[tuple[datetime, Status]]] = [[], []]
    for minutes, what, which in steps:
        world.at(world.now + minutes * MINUTE - T0, 15 * MINUTE)
        status, more = TESTS[what]
        world.test(connections[which], status, **more)
        if what != "own_network":
            lives[which].append((world.now, status))
        waiting = [one.event.kind for one in store.deliveries(open_only=True) if one.state is DeliveryState.WAITING]
        assert not any(kind.security for kind in waiting), "an alarm was held back"
    left.clear()
    world.at(world.now + 2 * DAY - T0, 35 * MINUTE)

    # Each test was in another minute, which the message names: so title and text say which event it was.
    times = Counter((note.title, note.body) for note in world.sent if MAYBE not in note.body and AGAIN not in note.body)
    assert all(count == 1 for count in times.values())
    assert repeat is not None or not any(AGAIN in note.body for note in world.sent)
    firsts = [one for one in store.deliveries() if one.number == 0]
    assert len(firsts) == len(store.events())
    for delivery in firsts:
        over = delivery.state in (DeliveryState.SENT, DeliveryState.GIVEN_UP)
        assert over or delivery.state is DeliveryState.DROPPED, "two days later nothing waits any more"
        assert over or not delivery.event.security
        if delivery.event.kind is EventKind.STATUS_FAILED:
            life = lives[[connection.id for connection in connections].index(delivery.event.connection_id or "")]
            assert over == worth_telling(life, delivery.event.at, grace, world.now)
    store.close()


def worth_telling(life: list[tuple[datetime, Status]], began: datetime, grace: int, now: datetime) -> bool:
    """By the rule in words: it lasted for the grace, or a second test failed."""
    after = [(at, status) for at, status in life if at >= began]
    end = next((at for at, status in after if status is not Status.FAILED), now)
    return end - began >= grace * MINUTE or sum(at < end for at, _ in after) >= 2


def test_what_a_locked_vault_kept_back_is_told_however_much_it_is(world: World) -> None:
    world.by_hand().alerts.add("Hook", "json://127.0.0.1:9/x")
    connection, vault = connected(world), world.vault
    world.vault = None  # while a worker tests
    for number in range(120):
        long = number == 0  # the first outage lasts longer than the grace, and the others do not
        world.now = T0 + timedelta(hours=number + 1)
        world.test(connection, Status.FAILED)
        world.now += timedelta(minutes=30 if long else 5)
        world.test(connection)
    world.vault = vault
    world.now += HOUR
    world.deliver()
    world.deliver()  # an end waits for its beginning
    assert world.titles == [FAILED, WORKS]
