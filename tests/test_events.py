"""What a run means: which events, for whom, and each of them once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.events import EVENT_NAMES, events_of, last_known, make_event, strategy_event
from bfai.i18n import LANGUAGES, translator
from bfai.model import (
    Before,
    Cause,
    Connection,
    Diagnosis,
    Environment,
    Event,
    EventKind,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    Strategy,
    StrategyState,
    Target,
    TestRun,
)

T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ON = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED)
OFF = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED)
BOUND = IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",))
MOVED = IpRestriction(state=GrantState.GRANTED, addresses=("198.51.100.1",))
OPEN = IpRestriction(state=GrantState.DENIED)
SAFE = KeyReport(
    grants={Permission.READ: ON, Permission.SPOT_TRADE: ON, Permission.TRANSFER: OFF, Permission.WITHDRAW: OFF},
    words=("read", "trade"),
    ip_restriction=BOUND,
    pairs=("BTCUSDT",),
)
CONNECTION = Connection(
    id="c1", name="MEXC Main", target=Target(exchange="mexc"), key_hint="TEST", created_at=T0, key_since=T0
)


def a_run(status: Status = Status.ONLINE, report: KeyReport | None = SAFE, **more: Any) -> TestRun:
    cause = more.pop("cause", Cause.IP_NOT_ALLOWED if status is Status.FAILED else None)
    values: dict[str, Any] = {
        "id": "r1",
        "connection_id": "c1",
        "exchange": "mexc",
        "region": "global",
        "environment": Environment.LIVE,
        "market": Market.SPOT,
        "status": status,
        "diagnosis": cause and Diagnosis(cause=cause, candidates=(cause,), exchange_said="no"),
        "key_report": report,
        "started_at": T0 + DAY,
        "duration_ms": 1.0,
        **more,
    }
    return TestRun(**values)


def known(status: Status = Status.ONLINE, *reports: KeyReport, **more: Any) -> Before:
    connection = CONNECTION.model_copy(update={"status": status, "last_tested_at": T0, **more.pop("of", {})})
    return Before(connection=connection, status=status, reports=reports or (SAFE,), **more)


def kinds(before: Before, run: TestRun) -> list[str]:
    return [event.kind.value for event in events_of(before, run)]


def changed(**values: Any) -> KeyReport:
    return SAFE.model_copy(update=values)


def with_right(permission: Permission, grant: Grant, report: KeyReport = SAFE) -> KeyReport:
    return report.with_grant(permission, grant)


def said(event: Event, language: str = "en") -> str:
    words = translator(language)
    return " ".join(words.render(line) for line in (event.text, *event.details, *event.todo))


# -- status ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        (Status.ONLINE, Status.ONLINE, []),
        (Status.ONLINE, Status.CONNECTED, []),
        (Status.UNTESTED, Status.ONLINE, []),
        (Status.UNTESTED, Status.FAILED, ["status_failed"]),
        (Status.CONNECTED, Status.FAILED, ["status_failed"]),
        (Status.FAILED, Status.FAILED, []),
        (Status.BLOCKED, Status.FAILED, ["status_failed"]),
        (Status.FAILED, Status.CONNECTED, ["recovered"]),
        (Status.BLOCKED, Status.ONLINE, ["recovered"]),
        (Status.ONLINE, Status.BLOCKED, ["blocked"]),
        (Status.FAILED, Status.BLOCKED, ["blocked"]),
        (Status.BLOCKED, Status.BLOCKED, []),
    ],
)
def test_what_a_change_of_status_means(was: Status, now: Status, found: list[str]) -> None:
    cause = {Status.FAILED: Cause.EXCHANGE_UNAVAILABLE, Status.BLOCKED: Cause.WITHDRAW_UNKNOWN}.get(now)
    assert kinds(known(was), a_run(now, cause=cause)) == found


def test_our_own_dead_network_means_nothing() -> None:
    assert kinds(known(), a_run(Status.FAILED, None, cause=Cause.LOCAL_NETWORK)) == []
    ended = with_right(Permission.WITHDRAW, ON).model_copy(update={"expires_at": T0})
    assert kinds(known(), a_run(Status.FAILED, ended, cause=Cause.LOCAL_NETWORK)) == []


def test_a_failure_names_cause_and_remedy() -> None:
    (event,) = events_of(known(), a_run(Status.FAILED, None))
    assert event.facts == {"cause": "ip_not_allowed"}
    assert said(event).startswith("The last test of MEXC Main failed: IP not allowed. Add the address that MEXC saw")
    assert not event.security
    assert event.run_id == "r1"
    assert event.at == T0 + DAY


# -- the key -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "found"),
    [
        (SAFE, []),
        (changed(label="bot"), []),
        (with_right(Permission.WITHDRAW, ON), ["withdraw_appeared"]),
        (changed(ip_restriction=OPEN), ["ip_list_emptied"]),
        (changed(ip_restriction=MOVED), ["ip_list_changed"]),
        (changed(unknown_words=("magic",)), ["unknown_right"]),
        (with_right(Permission.TRANSFER, ON), ["right_appeared"]),
        (with_right(Permission.SPOT_TRADE, OFF), ["right_vanished"]),
        (changed(escalations=("SPOT_ACCOUNT_WRITE",)), ["right_appeared"]),
        (changed(pairs=None), ["right_appeared"]),
        (changed(pairs=("ETHUSDT",)), ["right_vanished"]),
        (
            with_right(Permission.WITHDRAW, ON, changed(ip_restriction=OPEN, unknown_words=("a", "b"))),
            ["withdraw_appeared", "ip_list_emptied", "unknown_right"],
        ),
    ],
)  # fmt: skip
def test_what_a_change_of_the_key_means(report: KeyReport, found: list[str]) -> None:
    assert kinds(known(), a_run(report=report)) == found


def test_a_withdrawal_that_appears_is_told_once_not_as_blocked_too() -> None:
    run = a_run(Status.BLOCKED, with_right(Permission.WITHDRAW, ON), cause=Cause.WITHDRAW_ENABLED)
    assert kinds(known(), run) == ["withdraw_appeared"]
    assert kinds(known(Status.ONLINE, KeyReport()), a_run(Status.BLOCKED, SAFE, cause=Cause.WITHDRAW_UNKNOWN)) == [
        "blocked"
    ]


def test_a_withdrawal_right_that_is_taken_away_is_no_loss() -> None:
    gone = known(Status.BLOCKED, with_right(Permission.WITHDRAW, ON))
    assert kinds(gone, a_run()) == ["recovered"]


def test_half_an_answer_is_no_alarm_and_hides_none() -> None:
    """An exchange that answers in part leaves rights and addresses unknown for a while."""
    half = KeyReport(grants={Permission.READ: Grant(state=GrantState.GRANTED, evidence=Evidence.PROBED)})
    assert kinds(known(Status.ONLINE, SAFE), a_run(report=half)) == []
    assert kinds(known(Status.ONLINE, half, SAFE), a_run(report=SAFE)) == []
    assert kinds(known(Status.ONLINE, half, SAFE), a_run(report=changed(ip_restriction=OPEN))) == ["ip_list_emptied"]
    opened = with_right(Permission.TRANSFER, ON)
    assert kinds(known(Status.ONLINE, half, SAFE), a_run(report=opened)) == ["right_appeared"]
    assert kinds(known(Status.ONLINE, half), a_run(report=opened)) == [], "nobody knew what there was before"
    assert kinds(known(Status.ONLINE, half), a_run(report=with_right(Permission.WITHDRAW, ON))) == ["withdraw_appeared"]


def test_without_an_older_report_nothing_has_changed() -> None:
    before = Before(connection=CONNECTION, status=Status.ONLINE)
    assert kinds(before, a_run(report=with_right(Permission.TRANSFER, ON))) == []


def test_a_changed_list_names_what_came_and_went() -> None:
    (event,) = events_of(known(), a_run(report=changed(ip_restriction=MOVED)))
    assert "198.51.100.1 was added" in said(event)
    assert "203.0.113.7 is no longer" in said(event)
    assert "change your password" in said(event)
    assert event.security


# -- the key's end -----------------------------------------------------------------------------------------------------


def ending(days: float, at: datetime = T0 + DAY) -> KeyReport:
    return changed(expires_at=at + days * DAY)


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (31, []),
        (30, ["expiry_30"]),
        (8, ["expiry_30"]),
        (7, ["expiry_7"]),
        (1.5, ["expiry_7"]),
        (1, ["expiry_1"]),
        (0.1, ["expiry_1"]),
        (0, ["expired"]),
        (-3, ["expired"]),
    ],
)
def test_the_nearest_threshold_alone_is_told(days: float, found: list[str]) -> None:
    assert kinds(known(Status.ONLINE, ending(days)), a_run(report=ending(days))) == found


def lived(ends: list[tuple[float, float]]) -> list[str]:
    """The events of runs at these days after the start, each telling the key's end as days after the start."""
    told: list[Event] = []
    found: list[str] = []
    reports: tuple[KeyReport, ...] = ()
    tested: datetime | None = None
    for number, (day, end) in enumerate(ends):
        run = a_run(report=changed(expires_at=T0 + end * DAY), id=f"r{number}", started_at=T0 + day * DAY)
        before = known(Status.ONLINE, *reports, of={"last_tested_at": tested}, told=tuple(told))
        before = before.model_copy(update={"reports": reports})
        events = [event for event in events_of(before, run) if event.kind.value.startswith("expir")]
        assert len({event.id for event in (*told, *events)}) == len(told) + len(events)
        told += events
        found += [f"{event.kind.value}@{day:g}" for event in events]
        assert run.key_report is not None
        reports, tested = (run.key_report, *reports), run.started_at
    return found


def test_each_threshold_is_told_once_in_a_keys_life() -> None:
    days = [(day / 2, 90.0) for day in range(190)]
    assert lived(days) == ["expiry_30@60", "expiry_7@83", "expiry_1@89", "expired@90"]


def test_an_end_that_trembles_is_told_once() -> None:
    """An exchange that tells whole days left gives another moment each time."""
    days = [(day / 4, 90 + (day % 4) / 4) for day in range(4 * 90)]
    assert [one.partition("@")[0] for one in lived(days)] == ["expiry_30", "expiry_7", "expiry_1"]


def test_a_key_that_got_a_later_end_is_told_of_again() -> None:
    days = [(float(day), 90.0 if day < 85 else 175.0) for day in range(180)]
    assert lived(days) == [
        "expiry_30@60", "expiry_7@83", "expiry_30@145", "expiry_7@168", "expiry_1@174", "expired@175"
    ]  # fmt: skip
    assert lived([(84, 90), (170, 175)]) == ["expiry_7@84", "expiry_7@170"], "also where nobody tested in between"


def test_an_end_that_moves_with_every_test_is_told_once() -> None:
    assert lived([(float(day), day + 14.0) for day in range(60)]) == ["expiry_30@0"]


def test_the_exchange_may_call_it_ended_earlier() -> None:
    run = a_run(Status.FAILED, None, cause=Cause.EXPIRED_KEY)
    assert kinds(known(Status.ONLINE, ending(40)), run) == ["status_failed", "expired"]
    (_, ended) = events_of(known(Status.ONLINE, ending(40)), run)
    again = known(Status.ONLINE, ending(40), told=(ended,))
    assert kinds(again, run) == ["status_failed"]


def test_the_end_is_told_while_the_exchange_is_silent() -> None:
    run = a_run(Status.FAILED, None, cause=Cause.EXCHANGE_UNAVAILABLE)
    assert kinds(known(Status.FAILED, ending(7)), run) == ["expiry_7"]


def test_days_are_counted_in_words() -> None:
    (event,) = events_of(known(Status.ONLINE, ending(30)), a_run(report=ending(29.5)))
    assert "expires in 30 days, on 21 Dec 2026" in said(event)
    (event,) = events_of(known(Status.ONLINE, ending(30)), a_run(report=ending(0.5)))
    assert "expires in 1 day, on 22 Nov 2026" in said(event)


# -- once --------------------------------------------------------------------------------------------------------------


def test_two_programs_that_see_the_same_make_the_same_event() -> None:
    run = a_run(Status.FAILED, None)
    assert events_of(known(), run) == events_of(known(), run)
    other = a_run(Status.FAILED, None, id="r2")
    assert events_of(known(), run)[0].id != events_of(known(), other)[0].id


def test_a_threshold_is_one_event_whichever_run_finds_it() -> None:
    one, other = (events_of(known(Status.ONLINE, ending(7)), a_run(report=ending(7), id=name)) for name in "ab")
    assert one[0].id == other[0].id


STRATEGY = Strategy(
    id="s1", name="Dips", connection_id="c1", connection_name="MEXC Main", state=StrategyState.ENABLED,
    created_at=T0, updated_at=T0,
)  # fmt: skip


def test_a_strategys_event_says_why_and_what_to_do() -> None:
    reason = Message(text="The key of {name} can withdraw.", params={"name": "MEXC Main"})
    kind = EventKind.STRATEGY_SUSPENDED
    event = strategy_event(kind, STRATEGY, T0, a_run(), reasons=[reason], needs_person=True)
    assert said(event) == (
        "The strategy Dips is suspended: it opens no new groups. The key of MEXC Main can withdraw."
        " Mend that, then resume the strategy."
    )
    assert event.facts == {"strategy": "s1", "needs_person": "yes"}
    waiting = strategy_event(kind, STRATEGY, T0, a_run(), reasons=[reason])
    assert "resumes by itself" in said(waiting)
    assert waiting.id != event.id
    assert strategy_event(kind, STRATEGY, T0, connection_gone=True).connection_id is None


def test_every_kind_has_a_name_and_the_security_alarms_come_first() -> None:
    assert set(EVENT_NAMES) == set(EventKind)
    security = [kind.security for kind in EVENT_NAMES]
    assert security == sorted(security, reverse=True)
    assert EventKind.WITHDRAW_APPEARED.security
    assert not EventKind.STATUS_FAILED.security


def test_an_event_of_ones_own() -> None:
    """As a tripwire makes it."""
    text = Message(text="{name} holds {what}, which is not on your list.", params={"what": "DOGE"})
    event = make_event(EventKind.STRANGER_ASSET, CONNECTION, a_run(), text, facts={"asset": "DOGE"})
    assert said(event).startswith("MEXC Main holds DOGE, which is not on your list. Look at your account at MEXC.")


# -- any past ----------------------------------------------------------------------------------------------------------

states = st.sampled_from([ON, OFF, Grant()])
reports = st.builds(
    KeyReport,
    grants=st.fixed_dictionaries(dict.fromkeys(Permission, states)),
    words=st.sampled_from([(), ("read",)]),
    unknown_words=st.sampled_from([(), ("magic",), ("magic", "more")]),
    ip_restriction=st.sampled_from([IpRestriction(), BOUND, OPEN]),
    expires_at=st.sampled_from([None, T0 + 2 * DAY, T0 + 20 * DAY]),
    pairs=st.sampled_from([None, ("BTCUSDT",)]),
    escalations=st.sampled_from([(), ("write",)]),
)
statuses = st.sampled_from([Status.ONLINE, Status.FAILED, Status.BLOCKED])


@settings(max_examples=100, deadline=None)
@given(st.lists(reports, max_size=4), st.none() | reports, statuses, statuses)
def test_whatever_was_known_a_withdrawal_that_is_on_now_is_an_alarm(
    past: list[KeyReport], now: KeyReport | None, was: Status, status: Status
) -> None:
    before = known(was).model_copy(update={"reports": tuple(past)})
    run = a_run(status, now, cause=Cause.WITHDRAW_ENABLED if status is Status.BLOCKED else None)
    events = events_of(before, run)
    assert len({event.id for event in events}) == len(events)
    assert all("{" not in said(event, language) for event in events for language in LANGUAGES)
    found = {event.kind for event in events}
    old = last_known(past)
    was_on = old is not None and old.state(Permission.WITHDRAW) is GrantState.GRANTED
    is_on = now is not None and now.state(Permission.WITHDRAW) is GrantState.GRANTED
    assert (EventKind.WITHDRAW_APPEARED in found) == (is_on and not was_on and old is not None)
    if status is Status.BLOCKED and was is not Status.BLOCKED:
        assert found & {EventKind.WITHDRAW_APPEARED, EventKind.BLOCKED}
    if old is not None and now is not None and old.ip_restriction.state is GrantState.GRANTED:
        assert (EventKind.IP_LIST_EMPTIED in found) == (now.ip_restriction.state is GrantState.DENIED)
