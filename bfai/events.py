"""What a test, a strategy's change of state or a backup means for somebody who does not look: events. Pure.

An event says what happened to which connection or strategy, or to the backups, and what to do. It exists once: its id
is made of what it is about, so that two programs that see the same thing make the same event.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from bfai.diagnosis import CAUSE_NAMES, sentence
from bfai.drift import Drift, DriftKind, drift
from bfai.exchanges import get_exchange
from bfai.i18n import N_, NN_
from bfai.model import (
    Before,
    Cause,
    Connection,
    Event,
    EventKind,
    GrantState,
    KeyReport,
    Message,
    Permission,
    Status,
    Strategy,
    TestRun,
)

__all__ = [
    "EVENT_NAMES",
    "Event",
    "EventKind",
    "backup_event",
    "events_of",
    "heading",
    "last_known",
    "make_event",
    "stranger_events",
    "strategy_event",
]

EVENT_NAMES: Mapping[EventKind, str] = {
    EventKind.WITHDRAW_APPEARED: N_("Withdrawal appeared"),
    EventKind.BLOCKED: N_("Connection blocked"),
    EventKind.IP_LIST_EMPTIED: N_("Address list emptied"),
    EventKind.IP_LIST_CHANGED: N_("Address list changed"),
    EventKind.RIGHT_APPEARED: N_("Right appeared"),
    EventKind.UNKNOWN_RIGHT: N_("Unknown right"),
    EventKind.STRANGER_ASSET: N_("Unexpected asset"),
    EventKind.STRANGER_ORDER: N_("Unexpected order"),
    EventKind.STATUS_FAILED: N_("Connection failed"),
    EventKind.RECOVERED: N_("Connection works again"),
    EventKind.RIGHT_VANISHED: N_("Right vanished"),
    EventKind.EXPIRY_30: N_("Key expires in 30 days"),
    EventKind.EXPIRY_7: N_("Key expires in 7 days"),
    EventKind.EXPIRY_1: N_("Key expires in 1 day"),
    EventKind.EXPIRED: N_("Key expired"),
    EventKind.STRATEGY_SUSPENDED: N_("Strategy suspended"),
    EventKind.STRATEGY_RESUMED: N_("Strategy resumed"),
    EventKind.BACKUP_FAILED: N_("Backup failed"),
    EventKind.BACKUP_WORKS: N_("Backups work again"),
}
"""The gravest first, in which order they are shown."""

_ENDS: tuple[tuple[timedelta, EventKind], ...] = (
    (timedelta(0), EventKind.EXPIRED),
    (timedelta(days=1), EventKind.EXPIRY_1),
    (timedelta(days=7), EventKind.EXPIRY_7),
    (timedelta(days=30), EventKind.EXPIRY_30),
)
_SAME_END = timedelta(hours=36)
"""An exchange that tells whole days left gives another moment each time."""

_NOT_YOU = N_("If you did not change it yourself, delete the key at {exchange} now and change your password there.")
_TODO: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.WITHDRAW_APPEARED: (
        N_("Take the right to withdraw away at {exchange} now, or delete the key."),
        _NOT_YOU,
    ),
    EventKind.IP_LIST_EMPTIED: (N_("Enter your addresses again on the key's page at {exchange}."), _NOT_YOU),
    EventKind.IP_LIST_CHANGED: (_NOT_YOU,),
    EventKind.RIGHT_APPEARED: (_NOT_YOU,),
    EventKind.UNKNOWN_RIGHT: (N_("Look at the key's page at {exchange}: what is this right for?"), _NOT_YOU),
    EventKind.RIGHT_VANISHED: (N_("If a bot needs this right, give it back on the key's page at {exchange}."),),
    EventKind.STRANGER_ASSET: (N_("Look at your account at {exchange}. If that was not you, delete the key now."),),
    EventKind.STRANGER_ORDER: (N_("Look at your account at {exchange}. If that was not you, delete the key now."),),
    EventKind.EXPIRY_30: (N_("Make the next key at {exchange} in time, then rotate it here."),),
    EventKind.EXPIRY_7: (N_("Make the next key at {exchange}, then rotate it here."),),
    EventKind.EXPIRY_1: (N_("Make the next key at {exchange} now, then rotate it here."),),
    EventKind.EXPIRED: (N_("Make a new key at {exchange}, then rotate it here."),),
}


def make_event(
    kind: EventKind,
    connection: Connection,
    run: TestRun,
    text: Message,
    *,
    details: Sequence[Message] = (),
    todo: Sequence[Message] | None = None,
    facts: Mapping[str, str] | None = None,
    once: str = "",
) -> Event:
    """An event of this connection that this run found. `text` gets the connection's name as its parameter `name`.

    There is one event of a kind for a run; or for `once` where that is given, whichever run finds it.
    """
    name = get_exchange(run.exchange).name
    steps = [Message(text=step, params={"exchange": name}) for step in _TODO.get(kind, ())] if todo is None else todo
    return Event(
        id=_once("connection", connection.id, kind.value, once or run.id),
        connection_id=connection.id,
        kind=kind,
        at=run.started_at,
        run_id=run.id,
        text=text.model_copy(update={"params": {"name": connection.name, **text.params}}),
        details=tuple(details),
        todo=tuple(steps),
        facts=dict(facts or {}),
    )


def heading(event: Event) -> Message:
    """Whom it is about, where it is about somebody, and what happened, in one line."""
    what, name = EVENT_NAMES[event.kind], event.text.params.get("name")
    if name is None:
        return Message(text=what)
    return Message(text=N_("{name} · {t_what}"), params={"name": name, "t_what": what})


def _once(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def events_of(before: Before, run: TestRun) -> tuple[Event, ...]:
    """What this run means, the gravest first. A run on our own dead network means nothing."""
    if not run.counts:
        return ()
    changes = tuple(_changes(before, run))
    appeared = any(event.kind is EventKind.WITHDRAW_APPEARED for event in changes)
    return (*changes, *_status(before, run, appeared), *_end(before, run))


def stranger_events(
    connection: Connection, run: TestRun, assets: Sequence[str], pairs: Sequence[str]
) -> tuple[Event, ...]:
    """The alarms of the tripwire: assets, and pairs of open orders, that this run saw first and nobody listed."""
    found = (
        (EventKind.STRANGER_ASSET, N_("The account of {name} holds what you did not list: {what}."), assets),
        (EventKind.STRANGER_ORDER, N_("The account of {name} has open orders that you did not list: {what}."), pairs),
    )
    return tuple(
        make_event(kind, connection, run, Message(text=text, params={"what": ", ".join(names)}))
        for kind, text, names in found
        if names
    )


# -- what changed on the key -------------------------------------------------------------------------------------------


def last_known(reports: Sequence[KeyReport]) -> KeyReport | None:
    """One report of what is known last, from reports newest first: half an answer takes nothing back.

    Where the exchange answered only in part, rights and addresses are unknown for a while. What they become then is
    compared with what they were before.
    """
    if not reports:
        return None
    newest, *older = reports
    whole = next((report for report in reports if report.words or report.unknown_words), newest)
    grants = {
        right: next(
            (g for one in reports if (g := one.grant(right)).state is not GrantState.UNKNOWN), newest.grant(right)
        )
        for right in Permission
    }
    bound = (report.ip_restriction for report in reports)
    return newest.model_copy(
        update={
            "grants": grants,
            "words": whole.words,
            "unknown_words": whole.unknown_words,
            "escalations": whole.escalations,
            "pairs": whole.pairs,
            "ip_restriction": next(
                (one for one in bound if one.state is not GrantState.UNKNOWN), newest.ip_restriction
            ),
            "expires_at": next((one.expires_at for one in (newest, *older) if one.expires_at is not None), None),
        }
    )


def _changes(before: Before, run: TestRun) -> Iterator[Event]:
    old = last_known(before.reports)
    if run.key_report is None or old is None:
        return
    new = last_known((run.key_report, *before.reports))
    assert new is not None
    found = drift(old, new)

    def event(kind: EventKind, text: str, about: Sequence[Drift] = (), more: Sequence[Message] = ()) -> Event:
        facts = {"what": ", ".join(one.what for one in about if one.what)}
        details = [*(one.sentence for one in about), *more]
        return make_event(kind, before.connection, run, Message(text=text), details=details, facts=facts)

    rights = [one for one in found if one.kind is DriftKind.RIGHT and one.after == GrantState.GRANTED.value]
    withdraw = next((one for one in rights if one.what == Permission.WITHDRAW.value), None)
    if withdraw is not None:
        denied = withdraw.before == GrantState.DENIED.value
        text = N_("The key of {name} can withdraw now. Before, it could not.")
        yield event(
            EventKind.WITHDRAW_APPEARED,
            text if denied else N_("The key of {name} can withdraw. Before, nobody could tell."),
        )
    bindings = [one for one in found if one.kind is DriftKind.BINDING]
    addresses = [one for one in found if one.kind is DriftKind.ADDRESS]
    if any(one.before == GrantState.GRANTED.value for one in bindings):
        text = N_("The key of {name} is no longer bound to addresses: it works from anywhere.")
        yield event(EventKind.IP_LIST_EMPTIED, text)
    elif (bindings or addresses) and old.ip_restriction.state is not GrantState.UNKNOWN:
        text = N_("The addresses of the key of {name} changed.")
        yield event(EventKind.IP_LIST_CHANGED, text, [*bindings, *addresses])
    whole = bool(old.words or old.unknown_words)  # else nobody knew what there was before
    pairs = [one for one in found if one.kind is DriftKind.PAIRS and whole]
    gained = [
        *(one for one in rights if one is not withdraw and (whole or one.before == GrantState.DENIED.value)),
        *(one for one in pairs if not one.worse),
    ]
    escalated = [word for word in new.escalations if whole and word not in old.escalations]
    if gained or escalated:
        more = [Message(text=_ESCALATION, params={"word": word}) for word in escalated]
        yield event(EventKind.RIGHT_APPEARED, N_("The key of {name} may do more than before."), gained, more)
    unknown = [one for one in found if one.kind is DriftKind.UNKNOWN_RIGHT and one.after]
    if unknown:
        text = N_("The key of {name} has a right that no document explains.")
        yield event(EventKind.UNKNOWN_RIGHT, text, unknown)
    gone = (DriftKind.RIGHT, GrantState.GRANTED.value, GrantState.DENIED.value)
    lost = [
        *(one for one in found if (one.kind, one.before, one.after) == gone and one.what != Permission.WITHDRAW.value),
        *(one for one in pairs if one.worse),
    ]
    if lost:
        yield event(EventKind.RIGHT_VANISHED, N_("The key of {name} may do less than before."), lost)


_ESCALATION = N_("With “{word}” the key can change itself, or move money inside the account.")


# -- status ------------------------------------------------------------------------------------------------------------


def _status(before: Before, run: TestRun, withdraw_appeared: bool) -> Iterator[Event]:
    """A withdrawal right that appeared says already that the connection is blocked."""
    was, now, connection = before.status, run.status, before.connection
    name = connection.name
    facts = {"cause": run.diagnosis.cause.value} if run.diagnosis else {}
    todo: tuple[Message, ...] = ()
    if run.diagnosis is not None:
        todo = (sentence(run.diagnosis, get_exchange(run.exchange), run.market, run.key_report),)
    if now is Status.FAILED and was is not Status.FAILED:
        cause = CAUSE_NAMES[run.diagnosis.cause] if run.diagnosis else CAUSE_NAMES[Cause.UNEXPECTED_RESPONSE]
        text = Message(text=N_("The last test of {name} failed: {t_cause}."), params={"name": name, "t_cause": cause})
        yield make_event(EventKind.STATUS_FAILED, connection, run, text, todo=todo, facts=facts)
    elif now is Status.BLOCKED and was is not Status.BLOCKED and not withdraw_appeared:
        granted = run.key_report is not None and run.key_report.state(Permission.WITHDRAW) is GrantState.GRANTED
        text = Message(
            text=N_("{name} is blocked: its key can withdraw.")
            if granted
            else N_("{name} is blocked: nobody can tell whether its key can withdraw.")
        )
        yield make_event(EventKind.BLOCKED, connection, run, text, todo=todo, facts=facts)
    elif now.ok and was in (Status.FAILED, Status.BLOCKED):
        yield make_event(
            EventKind.RECOVERED, connection, run, Message(text=N_("{name} works again."), params={"name": name})
        )


# -- the key's end -----------------------------------------------------------------------------------------------------


def _end(before: Before, run: TestRun) -> Iterator[Event]:
    """One event for a key and threshold, the nearest one; told again only where the end was moved past it."""
    now = run.started_at
    old, new = last_known(before.reports), last_known((*([run.key_report] if run.key_report else []), *before.reports))
    was, ends = old.expires_at if old else None, new.expires_at if new else None
    refused = run.diagnosis is not None and run.diagnosis.cause is Cause.EXPIRED_KEY
    kind = EventKind.EXPIRED if refused else _nearest(ends, now)
    if kind is None:
        return
    told = [event for event in before.told if event.kind is kind]
    if told and not _moved_past(told[-1], was, before.connection.last_tested_at, ends):
        return
    name, date = before.connection.name, ends.date().isoformat() if ends else ""
    if kind is not EventKind.EXPIRED:
        assert ends is not None
        days = math.ceil((ends - now) / timedelta(days=1))
        text = Message(text=_ENDS_IN, params={"name": name, "count": days, "d_date": date})
    elif ends is not None and ends <= now:
        text = Message(text=N_("The key of {name} expired on {d_date}."), params={"name": name, "d_date": date})
    else:
        text = Message(text=N_("The key of {name} has expired."), params={"name": name})
    facts = {"expires_at": ends.isoformat()} if ends else {}
    once = f"{before.connection.key_since.isoformat()} {facts.get('expires_at') if told else ''}"
    yield make_event(kind, before.connection, run, text, facts=facts, once=once)


_ENDS_IN = NN_(
    "The key of {name} expires in {count} day, on {d_date}.", "The key of {name} expires in {count} days, on {d_date}."
)


def _nearest(ends: datetime | None, now: datetime) -> EventKind | None:
    return None if ends is None else next((kind for within, kind in _ENDS if ends - now <= within), None)


def _moved_past(told: Event, was: datetime | None, tested_at: datetime | None, ends: datetime | None) -> bool:
    """Whether the key got a later end after this was told, and has come near to that one.

    An end that moves with every test stays as near as it was: that is told once.
    """
    known = told.facts.get("expires_at")
    if known is None or ends is None or ends - datetime.fromisoformat(known) <= _SAME_END:
        return False
    within = next(within for within, kind in _ENDS if kind is told.kind)
    return was is None or tested_at is None or was - tested_at > within or ends - was > _SAME_END


# -- strategies --------------------------------------------------------------------------------------------------------


def strategy_event(
    kind: EventKind,
    strategy: Strategy,
    at: datetime,
    run: TestRun | None = None,
    *,
    reasons: Sequence[Message] = (),
    needs_person: bool = False,
    connection_gone: bool = False,
) -> Event:
    """An event of this strategy, which `run` caused or, without one, somebody at `at`."""
    suspended = kind is EventKind.STRATEGY_SUSPENDED
    if not suspended:
        text, todo = N_("The strategy {name} is enabled again."), ()
    else:
        text = N_("The strategy {name} is suspended: it opens no new groups.")
        todo = () if connection_gone else (_MEND if needs_person else _BY_ITSELF,)
    cause = f"{run.id} {needs_person}" if run is not None else at.isoformat()
    return Event(
        id=_once("strategy", strategy.id, kind.value, cause),
        connection_id=None if connection_gone else strategy.connection_id,
        kind=kind,
        at=at,
        run_id=run.id if run is not None else None,
        text=Message(text=text, params={"name": strategy.name}),
        details=tuple(reasons),
        todo=tuple(Message(text=step) for step in todo),
        facts={"strategy": strategy.id, **({"needs_person": "yes"} if needs_person and suspended else {})},
    )


_MEND = N_("Mend that, then resume the strategy.")
_BY_ITSELF = N_("It resumes by itself when the connection's test passes again.")


# -- backups -----------------------------------------------------------------------------------------------------------


def backup_event(at: datetime, problem: Message | None) -> Event:
    """The scheduled backups begin to fail for this reason or, without one, are made again."""
    kind = EventKind.BACKUP_WORKS if problem is None else EventKind.BACKUP_FAILED
    text = N_("The scheduled backup was not made.")
    return Event(
        id=_once("backup", kind.value, at.isoformat()),
        connection_id=None,
        kind=kind,
        at=at,
        text=Message(text=text if problem is not None else N_("The scheduled backup is made again.")),
        details=() if problem is None else (problem,),
        todo=() if problem is None else (Message(text=N_("It is tried again every hour.")),),
    )
