"""What must be true after programs on one store were killed, worked out from the stored runs in plain steps.

A world in which things happen (`Weather`), the events that the stored runs imply (`implied`), and a look at the store
and at who was told (`look`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from bfai.alerts import PAUSES, Alerts
from bfai.exchanges import get_exchange
from bfai.model import (
    Cause,
    Connection,
    DeliveryState,
    EventKind,
    GrantState,
    Permission,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.simulator import Simulator
from bfai.store import RunRow, Store, open_store
from bfai.vault import Vault
from tests.helpers import sample
from tests.test_alerts import MAYBE, Receiver
from tests.test_store import enable, plan

_log = logging.getLogger(__name__)
MOST_ATTEMPTS = 1 + len(PAUSES)
"""A message is given up after so many, also where somebody was killed each time."""
GRANTED, DENIED, UNKNOWN = GrantState.GRANTED, GrantState.DENIED, GrantState.UNKNOWN


def dice() -> random.Random:
    """Anew each time. The seed is logged, and `BFAI_SEED` repeats its throws, though not the moments."""
    seed = int(os.environ.get("BFAI_SEED") or random.SystemRandom().randrange(2**32))
    _log.warning("BFAI_SEED=%d", seed)
    return random.Random(seed)


def furnish(
    store: Store, vault: Vault, simulator: Simulator, receiver: Receiver, schedules: Mapping[str, timedelta | None]
) -> None:
    """One connection at each exchange, named by it, with an enabled strategy. All that happens is told at once."""
    Alerts(store, lambda: vault).add("Hook", receiver.address, grace_minutes=0)
    now = utc_now()
    for exchange, every in schedules.items():
        credentials = sample(simulator, exchange, "good")
        connection = Connection(
            id=exchange,
            name=exchange,
            target=Target(exchange=exchange, region=get_exchange(exchange).regions[0].id),
            key_hint=credentials.hint,
            created_at=now,
            key_since=now,
        )
        store.add_connection(connection, vault.seal(exchange, credentials), exchange.encode())
        store.set_schedule(exchange, every, now, now)
        enable(store, plan(store, connection, f"Grid on {exchange}"))


# -- what happens ------------------------------------------------------------------------------------------------------

OUTAGES = ("fine", "down", "refused")


class Weather:
    """Exchanges go down and come back; keys get rights and lose them, and so it is with their addresses."""

    def __init__(self, simulator: Simulator, exchanges: Collection[str], chance: random.Random) -> None:
        self._simulator = simulator
        self._chance = chance
        self.now = dict.fromkeys(exchanges, "fine")
        self._kinds = {exchange: self._kinds_of(exchange) for exchange in exchanges}

    def _kinds_of(self, exchange: str) -> dict[str, dict[str, Any]]:
        here, elsewhere = "127.0.0.1", "198.51.100.9"
        accounts = {name: self._simulator._world.account(exchange, name) for name in self._simulator.accounts[exchange]}
        good = {"permissions": accounts["good"].permissions, "ip_whitelist": [here]}
        rights = {
            kind: {**good, "permissions": accounts[account].permissions}
            for kind, account in (("thief", "withdraw"), ("less", "no_futures"), ("strange", "unknown_right"))
            if account in accounts
        }
        addresses = {"open": [], "moved": [here, elsewhere], "refused": [elsewhere]}
        return {
            "fine": good,
            "down": good,
            **rights,
            **{kind: {**good, "ip_whitelist": listed} for kind, listed in addresses.items()},
        }

    def change(self, exchange: str, kinds: Collection[str] = ()) -> None:
        """Something else than now: of these kinds, or anything."""
        other = [kind for kind in kinds or self._kinds[exchange] if kind != self.now[exchange]]
        self._set(exchange, self._chance.choice(other))

    def clear(self) -> None:
        for exchange in self.now:
            self._set(exchange, "fine")

    def _set(self, exchange: str, kind: str) -> None:
        self.now[exchange] = kind
        self._simulator.change_account(exchange, "good", **self._kinds[exchange][kind])
        down = [one for one, weather in self.now.items() if weather == "down"]
        self._simulator.set_faults([{"exchange": one, "kind": "html", "status": 503, "page": "nginx"} for one in down])


# -- what that means ---------------------------------------------------------------------------------------------------


class Happened(NamedTuple):
    """An event by what it is about."""

    connection_id: str | None
    kind: str
    run_id: str | None
    strategy: str = ""


class Known:
    """What the runs so far told of a key: what an answer leaves out stays as it was."""

    def __init__(self) -> None:
        self.rights: dict[Permission, GrantState] = {}
        self.bound = UNKNOWN
        self.addresses: tuple[str, ...] = ()
        self.listed = False  # whether a list of its rights was ever seen
        self.escalations: set[str] = set()
        self.strange: set[str] = set()
        self.read = False

    def hear(self, run: TestRun) -> tuple[set[str], bool]:
        """The kinds of events that this run's key report means, and whether a person has to look at it."""
        report = run.key_report
        if report is None:
            return set(), False
        kinds, strange = set[str](), set(report.unknown_words) - self.strange
        told = {right: report.state(right) for right in Permission if report.state(right) is not UNKNOWN}
        before = {right: self.rights.get(right, UNKNOWN) for right in told}
        gained = {right for right in told if told[right] is GRANTED and before[right] is not GRANTED}
        lost = {right for right in told if told[right] is DENIED and before[right] is GRANTED}
        as_list = bool(report.words or report.unknown_words)
        bound, addresses = report.ip_restriction.state, report.ip_restriction.addresses
        freed = self.bound is GRANTED and bound is DENIED
        if self.read:
            if Permission.WITHDRAW in gained:
                kinds.add("withdraw_appeared")
            if freed:
                kinds.add("ip_list_emptied")
            elif UNKNOWN not in (self.bound, bound) and (bound, addresses) != (self.bound, self.addresses):
                kinds.add("ip_list_changed")
            more = {right for right in gained - {Permission.WITHDRAW} if self.listed or before[right] is DENIED}
            if more or (self.listed and as_list and set(report.escalations) - self.escalations):
                kinds.add("right_appeared")
            if as_list and strange:
                kinds.add("unknown_right")
            if lost - {Permission.WITHDRAW}:
                kinds.add("right_vanished")
        person = self.read and (freed or bool(strange))
        self.read = True
        self.rights |= told
        if bound is not UNKNOWN:
            self.bound, self.addresses = bound, addresses
        if as_list:
            self.listed, self.escalations, self.strange = True, set(report.escalations), set(report.unknown_words)
        return kinds, person


def implied(runs: Iterable[TestRun], strategies: Sequence[str]) -> Iterator[Happened]:
    """The events of one connection, from its runs, the oldest first. Its strategies were enabled before them.

    A run on our own dead network says nothing.
    """
    known, status = Known(), Status.UNTESTED
    state = dict.fromkeys(strategies, "enabled")
    for run in runs:
        if run.diagnosis is not None and run.diagnosis.cause is Cause.LOCAL_NETWORK:
            continue
        kinds, person = known.hear(run)
        if run.status is Status.FAILED and status is not Status.FAILED:
            kinds.add("status_failed")
        elif run.status is Status.BLOCKED and status is not Status.BLOCKED and "withdraw_appeared" not in kinds:
            kinds.add("blocked")
        elif run.status.ok and status in (Status.FAILED, Status.BLOCKED):
            kinds.add("recovered")
        status = run.status
        yield from (Happened(run.connection_id, kind, run.id) for kind in kinds)
        if run.status is Status.BLOCKED or person:
            now = "waits for a person"
        else:
            now = "enabled" if run.status.ok else "suspended"
        for strategy, was in state.items():
            if was != now and was != "waits for a person":
                kind = "strategy_resumed" if now == "enabled" else "strategy_suspended"
                yield Happened(run.connection_id, kind, run.id, strategy)
                state[strategy] = now


# -- the look ----------------------------------------------------------------------------------------------------------


class Looked(NamedTuple):
    runs: int
    events: Mapping[str, int]
    messages: int
    repetitions: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.events.items()))
        total = sum(self.events.values())
        return f"{self.runs} runs, {total} events ({kinds}), {self.messages} messages, {self.repetitions} repetitions"


def look(url: str, told: Collection[str], every: Mapping[str, timedelta | None], receiver: Receiver | None) -> Looked:
    """All that was `told` is stored, once; no connection was tested twice in its interval, or twice at a time; each
    event that the runs imply is stored once and, with a receiver, was sent once, or says that it may be a repetition.
    """
    with contextlib.closing(open_store(url)) as store:
        rows = defaultdict[str, list[RunRow]](list)
        for row in store.runs(newest_first=False):
            rows[row.connection_id].append(row)
        ids = [row.id for found in rows.values() for row in found]
        assert len(set(ids)) == len(ids)
        assert set(told) <= set(ids), "a result that was told is lost"
        for connection_id, found in rows.items():
            look_at_times(connection_id, found, every[connection_id])
        events = look_at_events(store, rows)
        messages = look_at_messages(store, receiver) if receiver is not None else []
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    return Looked(len(ids), events, len(messages), sum(MAYBE in message for message in messages))


def look_at_times(connection_id: str, rows: Sequence[RunRow], every: timedelta | None) -> None:
    for before, row in pairwise(rows):
        gap = row.started_at - before.started_at
        what = f"{connection_id} at {before.started_at} for {before.duration_ms:.0f} ms, then at {row.started_at}"
        assert gap >= timedelta(milliseconds=before.duration_ms), f"two at a time: {what}"
        assert every is None or gap >= every, f"too early: {what}"


def look_at_events(store: Store, rows: Mapping[str, Sequence[RunRow]], but: Collection[EventKind] = ()) -> Counter[str]:
    """The events that are stored, by kind: those that the runs imply, `but` these, which follow from dates."""
    expected: list[Happened] = []
    for connection_id, found in rows.items():
        runs = [run for row in found if (run := store.run(row.id)) is not None]
        expected += implied(runs, [strategy.id for strategy in store.strategies_of(connection_id)])
    stored = [
        Happened(event.connection_id, event.kind.value, event.run_id, event.facts.get("strategy", ""))
        for event in store.events()
        if event.kind not in but
    ]
    missing, too_many = Counter(expected) - Counter(stored), Counter(stored) - Counter(expected)
    assert not missing and not too_many, f"missing: {missing}, nobody knows why: {too_many}"
    return Counter(event.kind for event in stored)


def look_at_messages(store: Store, receiver: Receiver) -> list[str]:
    """The texts of all that were received."""
    received = defaultdict[str | None, list[str]](list)
    for key, message in zip(receiver.keys, receiver.messages, strict=True):
        received[key].append(message["message"])
    for delivery in store.deliveries():
        bodies = received.pop(f"{delivery.event.id}-{delivery.number}", [])
        what = f"{delivery.event.kind} in {delivery.attempts} attempts: {bodies}"
        assert delivery.state is DeliveryState.SENT or delivery.attempts == MOST_ATTEMPTS, what
        assert 1 <= len(bodies) <= delivery.attempts, what
        assert all(MAYBE in body for body in bodies[1:]), what
        assert delivery.doubtful == (delivery.attempts > 1), what
        assert delivery.attempts > 1 or MAYBE not in bodies[0], what
    assert not received, "a message about nothing"
    assert len(store.deliveries()) == len(store.events()) * len(store.channels())
    return [message["message"] for message in receiver.messages]


def open_deliveries(url: str) -> int:
    with contextlib.closing(open_store(url)) as store:
        return len(store.deliveries(open_only=True))


def newest(url: str) -> dict[str, datetime | None]:
    """When each connection was tested last."""
    with contextlib.closing(open_store(url)) as store:
        return {connection.id: connection.last_tested_at for connection in store.connections()}
