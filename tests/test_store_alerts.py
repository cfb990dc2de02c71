"""The store's contract for events, channels and deliveries; the same for every database."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

import bfai.store.sqlite
from bfai.model import (
    Before,
    Cause,
    Channel,
    Connection,
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    KeyReport,
    Message,
    Status,
    StrategyState,
    TestRun,
)
from bfai.store import (
    BadName,
    ChannelNameTaken,
    Sealed,
    Store,
    StoreError,
    StrategyChanged,
    UnknownChannel,
    migrations,
    open_store,
)
from tests.test_store import (
    SECOND,
    T0,
    MakeStore,
    a_report,
    a_run,
    actions,
    add,
    cut_short,
    enable,
    file,
    make_store,
    plain,
    plan,
    sealed,
    store,
    url_of,
)

__all__ = ["file", "make_store", "store"]  # fixtures

ADDRESS = Sealed(1, b"n" * 12, b"an address, sealed")


def an_event(
    connection: Connection | None = None, kind: EventKind = EventKind.STATUS_FAILED, after: float = 1, **more: Any
) -> Event:
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection_id": connection and connection.id,
        "at": T0 + after * SECOND,
        "run_id": "r1",
        "text": Message(text="{name} failed", params={"name": "Main {x}", "n": 1, "f": 1.0}),
        "details": (Message(text="why"),),
        "todo": (Message(text="wait"),),
        "facts": {"cause": "ip_not_allowed"},
        **more,
    }
    return Event(kind=kind, **values)


def a_channel(name: str = "Phone", **more: Any) -> Channel:
    return Channel(name=name, **{"id": uuid.uuid4().hex, "hint": "ntfy://…", "created_at": T0, **more})


def happen(store: Store, connection: Connection, *events: Event, after: float = 1, **more: Any) -> Connection:
    return store.add_run(a_run(connection, after, **more), lambda _: events)


def states(store: Store, **more: Any) -> list[str]:
    return [delivery.state.value for delivery in store.deliveries(**more)]


# -- events ------------------------------------------------------------------------------------------------------------


def test_an_event_comes_back_as_it_was_kept_with_its_run(store: Store) -> None:
    connection = add(store)
    event = an_event(connection)
    run = a_run(connection, 1)
    store.add_run(run, lambda _: [event])
    assert store.events() == [event]
    assert store.run(run.id) == run


def test_an_event_is_kept_once_whoever_finds_it(store: Store) -> None:
    connection = add(store)
    store.add_channel(a_channel(), ADDRESS)
    event = an_event(connection)
    happen(store, connection, event, event)
    happen(store, connection, event.model_copy(update={"run_id": "r2", "at": T0 + 9 * SECOND}), after=2)
    assert store.events() == [event]
    assert len(store.deliveries()) == 1


def test_events_are_found_by_their_place_beside_another(store: Store) -> None:
    connection = add(store)
    events = [an_event(connection, id=f"e{number}", at=T0) for number in range(5)]  # all of one moment
    happen(store, connection, *events)
    assert store.events(newest_first=False) == events
    assert store.events(after="e1", newest_first=False, limit=2) == events[2:4]
    assert store.events(before="e3", limit=2) == [events[2], events[1]]
    assert store.events(after="e4") == [] == store.events(before="e0") == store.events(after="nobody")


@pytest.mark.parametrize("muted", ["not [ json", "7", '{"status_failed": 1}', ""])
def test_a_damaged_channel_keeps_no_test_from_being_kept_and_hears_everything(tmp_path: Path, muted: str) -> None:
    file = tmp_path / "bfai.db"
    with contextlib.closing(open_store(f"sqlite:///{file}")) as store:
        connection = add(store)
        store.add_channel(a_channel(muted=frozenset({EventKind.STATUS_FAILED})), ADDRESS)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("UPDATE channel SET muted = ?", (muted,))
        happen(store, connection, an_event(connection))
        assert len(store.runs()) == 1
        with contextlib.closing(sqlite3.connect(file)) as db:
            assert db.execute("SELECT state FROM delivery").fetchall() == [("waiting",)]


def test_an_event_that_no_test_tells_of_is_kept_once_and_goes_to_the_channels(store: Store) -> None:
    store.add_channel(a_channel(), Sealed(1, b"n" * 12, b"c"))
    event = an_event(kind=EventKind.BACKUP_FAILED, run_id=None)
    store.add_events([event])
    store.add_events([event])
    assert store.events() == [event]
    assert states(store) == ["waiting"]


def test_events_are_found_by_connection_kind_and_time_newest_first(store: Store) -> None:
    one, other = add(store), add(store, "Other")
    first = an_event(one, EventKind.STATUS_FAILED, 1)
    second = an_event(other, EventKind.RECOVERED, 2)
    third = an_event(one, EventKind.EXPIRED, 3)
    for event, connection in ((first, one), (second, other), (third, one)):
        happen(store, connection, event, after=(event.at - T0).total_seconds())
    assert store.events() == [third, second, first]
    assert store.events(limit=1) == [third]
    assert store.events(connection_id=one.id) == [third, first]
    assert store.events(connection_id="nobody") == []
    assert store.events(kinds=[EventKind.RECOVERED, EventKind.EXPIRED]) == [third, second]
    assert store.events(kinds=[]) == []
    assert store.events(since=second.at) == [third, second]
    assert store.events(until=second.at) == [first]


def test_the_clock_set_back_does_not_change_what_came_after_what(store: Store) -> None:
    connection = add(store)
    late, early = an_event(connection, after=100), an_event(connection, after=50)
    happen(store, connection, late, early)
    assert store.events() == [early, late]


def test_a_run_that_cannot_be_kept_leaves_no_event_and_a_judge_that_breaks_no_run(store: Store) -> None:
    connection = add(store)
    run = a_run(connection, 1)
    happen(store, connection, after=0.5)
    store.add_run(run)
    with pytest.raises(StoreError):
        store.add_run(run, lambda _: [an_event(connection)])

    def broken(before: Before) -> Sequence[Event]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.add_run(a_run(connection, 2, Status.FAILED), broken)
    assert store.events() == []
    assert store.count_runs() == 2
    found = store.connection(connection.id)
    assert found is not None
    assert found.status is Status.ONLINE


def test_a_deleted_connection_takes_its_events_and_their_deliveries_along(store: Store) -> None:
    one, other = add(store), add(store, "Other")
    store.add_channel(a_channel(), ADDRESS)
    happen(store, one, an_event(one))
    kept = an_event(other)
    happen(store, other, kept)
    about_strategy = an_event(None, EventKind.STRATEGY_SUSPENDED)
    store.delete_connection(one.id, events=[about_strategy])
    assert store.events() == [about_strategy, kept]
    assert [delivery.event for delivery in store.deliveries()] == [about_strategy, kept]


# -- what was known before ---------------------------------------------------------------------------------------------


class Watch:
    """A judge that keeps what it was shown."""

    def __init__(self, *events: Event) -> None:
        self.seen: list[Before] = []
        self.events = events

    def __call__(self, before: Before) -> Sequence[Event]:
        self.seen.append(before)
        return self.events


def shown(store: Store, run: TestRun) -> Before:
    watch = Watch()
    store.add_run(run, watch)
    (before,) = watch.seen
    return before


def test_a_run_is_judged_by_what_was_known_before_it(store: Store) -> None:
    connection = add(store)
    before = shown(store, a_run(connection, 1, Status.ONLINE, key_report=a_report("one")))
    assert before == Before(connection=connection, status=Status.UNTESTED)
    before = shown(store, a_run(connection, 2, Status.FAILED, key_report=a_report("one")))
    assert (before.status, before.reports) == (Status.ONLINE, (a_report("one"),))
    assert before.connection.last_tested_at == T0 + SECOND
    before = shown(store, a_run(connection, 3, Status.FAILED))
    assert (before.status, before.reports) == (Status.FAILED, (a_report("one"),))
    before = shown(store, a_run(connection, 4, key_report=a_report("two")))
    assert before.reports[0] == a_report("one")
    before = shown(store, a_run(connection, 5, key_report=a_report("three")))
    assert before.reports[0] == a_report("two")
    assert a_report("one") in before.reports


def test_our_own_dead_network_is_looked_through(store: Store) -> None:
    connection = add(store)
    store.add_run(a_run(connection, 1, Status.CONNECTED))
    for after in (2, 3):
        before = shown(store, a_run(connection, after, Status.FAILED, cause=Cause.LOCAL_NETWORK))
        assert before.status is Status.CONNECTED
    assert shown(store, a_run(connection, 4, Status.FAILED)).status is Status.CONNECTED
    assert shown(store, a_run(connection, 5, Status.FAILED, cause=Cause.LOCAL_NETWORK)).status is Status.FAILED
    assert shown(store, a_run(connection, 6)).status is Status.FAILED


def test_a_connection_that_only_saw_our_dead_network_is_untested(store: Store) -> None:
    connection = add(store)
    store.add_run(a_run(connection, 1, Status.FAILED, cause=Cause.LOCAL_NETWORK))
    assert shown(store, a_run(connection, 2)).status is Status.UNTESTED


def test_a_late_run_is_not_judged(store: Store) -> None:
    connection = add(store)
    store.add_run(a_run(connection, 10))
    watch = Watch(an_event(connection))
    store.add_run(a_run(connection, 5, Status.FAILED), watch)
    assert store.events() == []


def test_what_was_told_of_the_end_is_the_present_keys(store: Store) -> None:
    connection = add(store)
    told = an_event(connection, EventKind.EXPIRY_7, 1)
    happen(store, connection, told, an_event(connection, EventKind.BLOCKED, 1))
    assert shown(store, a_run(connection, 2, key_report=a_report())).told == (told,)
    since = T0 + 5 * SECOND
    run = a_run(connection, 5, Status.CONNECTED, key_report=a_report("new"))
    watch = Watch()
    store.replace_credentials(connection.id, sealed(b"y"), b"f", "NEWK", since, run, watch)
    assert (watch.seen[0].status, watch.seen[0].reports, watch.seen[0].told) == (Status.ONLINE, (), ())
    before = shown(store, a_run(connection, 6))
    assert (before.told, before.reports) == ((), (a_report("new"),))


def test_a_new_key_that_works_again_is_an_event(store: Store) -> None:
    connection = add(store)
    store.add_run(a_run(connection, 1, Status.FAILED))
    event = an_event(connection, EventKind.RECOVERED, 2)
    watch = Watch(event)
    store.replace_credentials(
        connection.id, sealed(b"y"), b"f", "NEWK", T0 + 2 * SECOND, a_run(connection, 2, Status.ONLINE), watch
    )
    assert watch.seen[0].status is Status.FAILED
    assert watch.seen[0].connection.key_since == T0 + 2 * SECOND
    assert store.events() == [event]


def test_two_programs_that_test_at_once_are_judged_one_after_the_other(make_store: MakeStore) -> None:
    """Both saw it online before they began; only one of them finds it failed first."""
    first = make_store()
    stores = [first, *(make_store() for _ in range(3))]
    connection = add(first)
    first.add_run(a_run(connection, 1))
    began = threading.Barrier(len(stores))

    def test(one: Store, after: float) -> None:
        def judge(before: Before) -> Sequence[Event]:
            return [an_event(connection, after=after)] if before.status is not Status.FAILED else []

        began.wait()
        one.add_run(a_run(connection, after, Status.FAILED), judge)

    # The clocks of several programs differ a little: the last one to begin is not the last one to write.
    threads = [threading.Thread(target=test, args=(one, 2 + n / 1000)) for n, one in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(first.events()) == 1


# -- strategies --------------------------------------------------------------------------------------------------------


def test_a_strategys_state_and_its_event_are_kept_together_or_not_at_all(store: Store) -> None:
    connection = add(store)
    strategy = enable(store, plan(store, connection))
    event = an_event(connection, EventKind.STRATEGY_SUSPENDED)
    change = {"action": "strategy_suspended", "events": [event]}
    store.set_strategy_state(strategy.id, StrategyState.ENABLED, StrategyState.SUSPENDED, **change)
    assert store.events() == [event]
    late = an_event(connection, EventKind.STRATEGY_SUSPENDED)
    with pytest.raises(StrategyChanged):
        store.set_strategy_state(
            strategy.id, StrategyState.ENABLED, StrategyState.SUSPENDED, action="strategy_suspended", events=[late]
        )
    assert store.events() == [event]


# -- channels ----------------------------------------------------------------------------------------------------------


def test_a_channel_comes_back_as_it_was_added(store: Store) -> None:
    plain_one = a_channel()
    every = a_channel(
        "Night {desk}",
        muted=frozenset({EventKind.RECOVERED, EventKind.EXPIRY_30}),
        quiet_from=time(23, 30),
        quiet_until=time(7, 0),
        grace_minutes=0,
        repeat_hours=6,
    )
    assert store.add_channel(plain_one, ADDRESS) == plain_one
    assert store.add_channel(every, ADDRESS._replace(nonce=b"m" * 12)) == every
    assert store.channels() == [every, plain_one]
    assert store.channel_address(plain_one.id) == ADDRESS
    assert actions(store) == ["channel_added", "channel_added"]
    assert b"sealed" not in repr(store.audit_entries()).encode()


def test_a_channel_is_changed_with_or_without_its_address(store: Store) -> None:
    channel = store.add_channel(a_channel(), ADDRESS)
    changed = channel.model_copy(update={"name": "Mail", "grace_minutes": 3, "muted": frozenset({EventKind.BLOCKED})})
    assert store.change_channel(changed) == changed
    assert store.channel_address(channel.id) == ADDRESS
    other = Sealed(1, b"o" * 12, b"other")
    store.change_channel(changed, other)
    assert store.channel_address(channel.id) == other
    assert store.channels() == [changed]
    assert actions(store) == ["channel_added", "channel_changed", "channel_changed"]


def test_names_of_channels_are_one_of_a_kind_whatever_their_case(store: Store) -> None:
    phone, mail = store.add_channel(a_channel("Phone"), ADDRESS), store.add_channel(a_channel("Mail"), ADDRESS)
    with pytest.raises(ChannelNameTaken):
        store.add_channel(a_channel("pHONE "), ADDRESS)
    with pytest.raises(ChannelNameTaken):
        store.change_channel(mail.model_copy(update={"name": "PHONE"}))
    with pytest.raises(BadName):
        store.change_channel(mail.model_copy(update={"name": " "}))
    store.change_channel(phone.model_copy(update={"name": "PHONE"}))
    assert [channel.name for channel in store.channels()] == ["Mail", "PHONE"]


def test_a_channel_that_is_gone_is_named(store: Store) -> None:
    for act in (
        lambda: store.change_channel(a_channel()),
        lambda: store.remove_channel("x"),
        lambda: store.channel_address("x"),
    ):
        with pytest.raises(UnknownChannel):
            act()


def test_a_removed_channel_takes_its_deliveries_along_and_leaves_the_events(store: Store) -> None:
    connection = add(store)
    gone, stays = store.add_channel(a_channel("Gone"), ADDRESS), store.add_channel(a_channel("Stays"), ADDRESS)
    event = an_event(connection)
    happen(store, connection, event)
    store.remove_channel(gone.id)
    assert store.events() == [event]
    assert [delivery.channel_id for delivery in store.deliveries()] == [stays.id]
    assert actions(store)[-1] == "channel_removed"


# -- deliveries --------------------------------------------------------------------------------------------------------


def one_delivery(store: Store) -> Delivery:
    connection = add(store)
    store.add_channel(a_channel(), ADDRESS)
    happen(store, connection, an_event(connection))
    (delivery,) = store.deliveries()
    return delivery


def test_an_event_goes_to_each_channel_that_hears_it_from_then_on(store: Store) -> None:
    connection = add(store)
    all_ears = store.add_channel(a_channel("All"), ADDRESS)
    deaf = store.add_channel(a_channel("Deaf", muted=frozenset({EventKind.STATUS_FAILED})), ADDRESS)
    failed, ended = an_event(connection), an_event(connection, EventKind.EXPIRED)
    happen(store, connection, failed, ended)
    store.add_channel(a_channel("Late"), ADDRESS)
    assert [delivery.event for delivery in store.deliveries(channel_id=all_ears.id)] == [ended, failed]
    assert [delivery.event for delivery in store.deliveries(channel_id=deaf.id)] == [ended]
    assert len(store.deliveries()) == 3
    found = store.deliveries(event_ids=[failed.id])
    assert [(one.channel_id, one.channel_name) for one in found] == [(all_ears.id, "All")]
    assert found[0] == Delivery(
        id=found[0].id, event=failed, channel_id=all_ears.id, channel_name="All", due_at=failed.at
    )  # fmt: skip
    assert store.deliveries(limit=1) == [store.deliveries()[0]]


def test_a_delivery_is_claimed_sent_and_done(store: Store) -> None:
    delivery = one_delivery(store)
    claimed = store.move_delivery(delivery, DeliveryState.SENDING, T0 + 5 * SECOND, holder="me")
    assert claimed is not None
    assert (claimed.attempts, claimed.holder, claimed.claimed_at) == (1, "me", T0 + 5 * SECOND)
    assert states(store, open_only=True) == ["sending"]
    sent = store.move_delivery(claimed, DeliveryState.SENT, T0 + 6 * SECOND)
    assert sent is not None
    assert (sent.state, sent.done_at, sent.attempts) == (DeliveryState.SENT, T0 + 6 * SECOND, 1)
    assert store.deliveries(open_only=True) == []
    assert store.deliveries() == [sent]


def test_a_delivery_that_failed_waits_and_says_why(store: Store) -> None:
    claimed = store.move_delivery(one_delivery(store), DeliveryState.SENDING, T0, holder="me")
    assert claimed is not None
    why, again = Message(text="HTTP {status}", params={"status": 500}), T0 + timedelta(minutes=1)
    failed = store.move_delivery(claimed, DeliveryState.FAILED, T0, due_at=again, doubtful=True, reason=why)
    assert failed is not None
    assert (failed.due_at, failed.doubtful, failed.reason, failed.done_at) == (again, True, why, None)
    assert states(store, open_only=True) == ["failed"]
    second = store.move_delivery(failed, DeliveryState.SENDING, again, holder="you")
    assert second is not None
    assert (second.attempts, second.doubtful, second.reason) == (2, True, None)


def test_of_those_who_claim_a_delivery_one_wins(make_store: MakeStore) -> None:
    delivery = one_delivery(make_store())
    stores = [make_store() for _ in range(4)]
    began, won = threading.Barrier(len(stores)), list[Delivery | None]()

    def claim(one: Store) -> None:
        began.wait()
        won.append(one.move_delivery(delivery, DeliveryState.SENDING, T0, holder="x"))

    threads = [threading.Thread(target=claim, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in won) == 1


def test_whoever_lost_a_delivery_meanwhile_writes_nothing(store: Store) -> None:
    first = store.move_delivery(one_delivery(store), DeliveryState.SENDING, T0, holder="slow")
    assert first is not None
    second = store.move_delivery(first, DeliveryState.SENDING, T0 + timedelta(minutes=3), holder="other", doubtful=True)
    assert second is not None
    assert store.move_delivery(first, DeliveryState.SENT, T0) is None
    assert states(store) == ["sending"]
    assert store.move_delivery(second, DeliveryState.SENT, T0) is not None


def test_a_delivery_is_repeated_once_a_number(store: Store) -> None:
    delivery = one_delivery(store)
    assert store.repeat_delivery(delivery, T0 + 60 * SECOND)
    assert not store.repeat_delivery(delivery, T0 + 61 * SECOND)
    again = store.deliveries()[0]
    assert (again.number, again.event, again.due_at, again.attempts) == (1, delivery.event, T0 + 60 * SECOND, 0)


# -- owners and files --------------------------------------------------------------------------------------------------


def test_owners_never_meet_over_alerts(make_store: MakeStore) -> None:
    ann, bob = make_store("ann"), make_store("bob")
    connection, mine = add(ann), add(bob)
    channel = ann.add_channel(a_channel(), ADDRESS)
    his = bob.add_channel(a_channel(), ADDRESS)  # the same name is no matter
    event = an_event(connection)
    happen(ann, connection, event)
    (delivery,) = ann.deliveries()
    assert bob.events() == bob.deliveries() == []
    assert bob.channels() == [his]
    assert bob.move_delivery(delivery, DeliveryState.SENT, T0) is None
    assert not bob.repeat_delivery(delivery, T0)
    for act in (
        lambda: bob.channel_address(channel.id),
        lambda: bob.remove_channel(channel.id),
        lambda: bob.change_channel(channel),
    ):
        with pytest.raises(UnknownChannel):
            act()
    twin = event.model_copy(update={"connection_id": mine.id})  # ids are each owner's own
    happen(bob, mine, twin)
    assert bob.events() == [twin]
    assert [one.channel_id for one in bob.deliveries()] == [his.id]
    assert len(ann.deliveries()) == 1


def test_an_event_never_changes(file: Path) -> None:
    store = open_store(url_of(file))
    connection = add(store)
    happen(store, connection, an_event(connection))
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        plain(file).execute("UPDATE event SET kind = 'recovered'")


def test_an_address_that_was_replaced_or_removed_is_not_in_the_files_any_more(file: Path) -> None:
    with contextlib.closing(open_store(url_of(file))) as store:
        channel = store.add_channel(a_channel(), Sealed(1, b"n" * 12, b"first-address-in-here"))
        store.change_channel(channel, Sealed(1, b"n" * 12, b"second-address-in-here"))
        here = b"".join(part.read_bytes() for part in file.parent.iterdir())
        assert b"first-address" not in here
        assert b"second-address" in here
        store.remove_channel(channel.id)
    assert b"second-address" not in b"".join(part.read_bytes() for part in file.parent.iterdir())


def test_a_database_without_alerts_is_brought_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = [one.name for one in migrations.MIGRATIONS].index("0004_alerts")
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:count])
        past.setattr(bfai.store.sqlite.SqliteStore, "_put_events", lambda *_: None)
        old = open_store(url_of(file))
        connection = add(old)
        old.add_run(a_run(connection, 1, key_report=KeyReport(label="x")))
        old.close()
    with monkeypatch.context() as past:
        cut_short(past, "0004_alerts", 2)
        with pytest.raises(StoreError):
            open_store(url_of(file))
    with contextlib.closing(open_store(url_of(file))) as store:
        store.add_channel(a_channel(), ADDRESS)
        event = an_event(connection, after=2)
        happen(store, connection, event, after=2, status=Status.FAILED)
        assert store.events() == [event]
        assert len(store.deliveries()) == 1
