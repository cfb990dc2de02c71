"""Who hears of what: channels, what is told when, and an outbox that survives being killed.

An event is written together with a delivery to each channel that hears its kind (`bfai.store`). `deliver_due` decides
for each delivery from what is stored whether it is sent now, waits, or has nothing to tell any more; then it claims it,
sends it and writes down what became of it. It may be called from anywhere, at any time, by several programs at once: a
delivery is claimed by one of them. One that was killed between claiming and writing down leaves a message of which
nobody knows whether it arrived. That message is sent again, and says so: at least once.

Security alarms know neither grace nor quiet hours. Everything else is in `docs/alerts.md`.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, time, timedelta
from enum import Enum
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from bfai import settings
from bfai.events import EVENT_NAMES, heading
from bfai.i18n import LANGUAGES, N_, Translator, best_language, translator
from bfai.model import (
    BfaiError,
    Cause,
    Channel,
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    Message,
    Status,
    StrategyState,
    utc_now,
)
from bfai.sending import (
    SEND_SECONDS,
    SERVICES,
    Address,
    BadAddress,
    Note,
    Outcome,
    Send,
    clean,
    is_service,
    load,
    read_address,
    send_by_apprise,
)
from bfai.store import BadName, Store, UnknownChannel
from bfai.transport import redact
from bfai.vault import Vault, VaultError, VaultLocked

CLAIM_HOLDS: Final = timedelta(minutes=2)
"""After this a delivery that is still being sent was left by a program that is gone."""
PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
"""Between the attempts. After the last one a delivery is given up."""


class AlertsNotHere(BfaiError):
    """The demo and the tour send nothing."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("In the demo and in the tour nothing is sent, so there are no channels.")))


DELIVERY_NAMES: Mapping[DeliveryState, str] = {
    DeliveryState.WAITING: N_("Waits"),
    DeliveryState.SENDING: N_("Being sent"),
    DeliveryState.FAILED: N_("Tried again"),
    DeliveryState.SENT: N_("Sent"),
    DeliveryState.GIVEN_UP: N_("Given up"),
    DeliveryState.DROPPED: N_("Not needed"),
}


class LogLine(NamedTuple):
    """A delivery, and what it waits for where it waits."""

    delivery: Delivery
    waits_for: Message | None


class _Verdict(Enum):
    SEND = "send"
    WAIT = "wait"
    DROP = "drop"


class _Judged(NamedTuple):
    verdict: _Verdict
    why: Message | None = None


_SEND = _Judged(_Verdict.SEND)
_BAD = (EventKind.STATUS_FAILED, EventKind.BLOCKED, EventKind.WITHDRAW_APPEARED)
_STATUS = (*_BAD, EventKind.RECOVERED)
_STRATEGY = (EventKind.STRATEGY_SUSPENDED, EventKind.STRATEGY_RESUMED)
_BACKUP = (EventKind.BACKUP_FAILED, EventKind.BACKUP_WORKS)
_COUNTING = frozenset(Cause) - {Cause.LOCAL_NETWORK}
_NO_HOST = N_(
    "This workbench runs on a server, which sends to these only: {schemes}, and ntfy:// with nothing but a topic. For a"
    " host of your own run it on your own computer."
)
_ENDS_WELL = (EventKind.RECOVERED, EventKind.STRATEGY_RESUMED, EventKind.BACKUP_WORKS)
_AT_A_TIME = 20  # of the events of a line, which may be long


class Alerts:
    """The channels of one person, and the messages to them. Thread-safe. Use `Workbench.alerts`."""

    def __init__(
        self,
        store: Store,
        vault: Callable[[], Vault | None],
        clock: Callable[[], datetime] = utc_now,
        send: Send | None = None,
        *,
        sends: bool = True,
        only_services: bool = False,
    ) -> None:
        """`vault` gives the open vault, None while it is locked: then nothing is sent. `sends` False: nor ever.
        `only_services`: to services with an address of their own only, never to a host that the owner names.
        """
        self._store = store
        self._vault = vault
        self._clock = clock
        self._send = send or send_by_apprise
        self._sends = sends
        self._only_services = only_services
        self._holder = f"{socket.gethostname()[:40]} {os.getpid()} {uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._again = False
        self._rounds: dict[str, bool] = {}
        """The channels on which a thread is sending, and whether another one has asked for more meanwhile."""

    # -- channels ------------------------------------------------------------------------------------------------------

    @property
    def sends(self) -> bool:
        """Whether messages leave from here at all."""
        return self._sends

    def channels(self) -> list[Channel]:
        """All, by name."""
        return self._store.channels()

    def find(self, name: str) -> Channel | None:
        """The channel of this name, or of this id; upper and lower case count as equal."""
        return next((one for one in self.channels() if one.id == name or one.name.casefold() == name.casefold()), None)

    def add(
        self,
        name: str,
        address: str,
        *,
        kinds: Collection[EventKind] | None = None,
        quiet: tuple[time, time] | None = None,
        grace_minutes: int = 10,
        repeat_hours: int | None = None,
    ) -> Channel:
        """A channel that hears of what happens from now on: of all kinds, or of those given.

        Raises BadAddress, ChannelNameTaken, BadName, VaultLocked, AlertsNotHere.
        """
        if not self._sends:
            raise AlertsNotHere
        found, channel_id = self._read(address), uuid.uuid4().hex
        values = _values(name, kinds, quiet, grace_minutes, repeat_hours)
        channel = _channel({**values, "id": channel_id, "hint": found.hint, "created_at": self._clock()})
        with self._store.together():  # nobody renews the vault's key meanwhile
            return self._store.add_channel(channel, self._open_vault().seal_address(channel_id, found.url))

    def change(
        self,
        channel_id: str,
        *,
        name: str,
        address: str = "",
        kinds: Collection[EventKind] | None = None,
        quiet: tuple[time, time] | None = None,
        grace_minutes: int = 10,
        repeat_hours: int | None = None,
    ) -> Channel:
        """Everything about a channel anew; an empty address leaves the one that is there. Raises as `add` does."""
        old = self._channel(channel_id)
        found = self._read(address) if address.strip() else None
        values = _values(name, kinds, quiet, grace_minutes, repeat_hours)
        hint = found.hint if found is not None else old.hint
        changed = _channel({**values, "id": channel_id, "hint": hint, "created_at": old.created_at})
        with self._store.together():
            sealed = self._open_vault().seal_address(channel_id, found.url) if found is not None else None
            return self._store.change_channel(changed, sealed)

    def remove(self, channel_id: str) -> None:
        """With its address and its part of the log."""
        self._store.remove_channel(channel_id)

    def test(self, channel_id: str) -> Message | None:
        """Sends a test message at once. None where the other side took it, else why not."""
        if not self._sends:
            raise AlertsNotHere
        channel, words = self._channel(channel_id), self.words
        address = self._open_vault().open_address(channel_id, self._store.channel_address(channel_id))
        title = words.t(N_("Test message for {name}"), name=channel.name)
        lines = [words.t(N_("Alerts arrive here. Nothing happened.")), self._when(self._clock(), words)]
        return self._sent(address, Note(title, "\n\n".join(lines))).problem

    def _channel(self, channel_id: str) -> Channel:
        found = next((one for one in self.channels() if one.id == channel_id), None)
        if found is None:
            raise UnknownChannel
        return found

    def _read(self, address: str) -> Address:
        found = read_address(address)
        if self._only_services and not is_service(found.url):
            raise BadAddress(Message(text=_NO_HOST, params={"schemes": ", ".join(SERVICES)}))
        return found

    def _open_vault(self) -> Vault:
        vault = self._vault()
        if vault is None:
            raise VaultLocked
        return vault

    # -- the owner -----------------------------------------------------------------------------------------------------

    @property
    def language(self) -> str:
        """In which messages are written."""
        return best_language(
            self._spoken().get("language"), settings.read(self._store).language, os.environ.get("BFAI_LANGUAGE")
        )

    @property
    def zone(self) -> str | None:
        """The owner's time zone, such as Europe/Zagreb. None until somebody said it: then it is UTC."""
        return self._spoken().get("zone") or settings.read(self._store).time_zone

    @property
    def words(self) -> Translator:
        return translator(self.language)

    def speak(self, language: str, zone: str | None) -> None:
        """Messages are written in this language, and times, also quiet hours, are those of this zone.

        Raises BfaiError for a zone or a language that does not exist.
        """
        if language not in LANGUAGES or (zone is not None and _zone(zone) is None):
            text = N_("There is no language {language}, or no time zone {zone}. A zone is named like Europe/Zagreb.")
            raise BfaiError(Message(text=text, params={"language": language, "zone": zone or ""}))
        self._store.set_setting("alerts", {"language": language, "zone": zone})

    def _spoken(self) -> dict[str, str | None]:
        return self._store.setting("alerts", {})

    def _local(self, at: datetime) -> datetime:
        found = _zone(self.zone or "UTC")
        return at.astimezone(found) if found else at

    def _when(self, at: datetime, words: Translator) -> str:
        zone = self.zone
        when = words.datetime(at, zone)
        return words.t(N_("{when} ({zone})"), when=when, zone=zone) if zone else when

    # -- what happened -------------------------------------------------------------------------------------------------

    def events(self, *, connection_id: str | None = None, limit: int | None = None) -> list[Event]:
        """The newest first."""
        return self._store.events(connection_id=connection_id, limit=limit)

    def log(self, limit: int | None = 100) -> list[LogLine]:
        """The newest deliveries first."""
        at, channels = self._clock(), {channel.id: channel for channel in self.channels()}
        lines: list[LogLine] = []
        for delivery in self._store.deliveries(limit=limit):
            channel = channels.get(delivery.channel_id)
            waits = delivery.state in (DeliveryState.WAITING, DeliveryState.FAILED) and channel is not None
            lines.append(LogLine(delivery, self._judge(delivery, channel, at).why if waits and channel else None))
        return lines

    def unheard(self) -> list[EventKind]:
        """The security alarms that no channel hears, the gravest first; all of them where there is no channel."""
        channels = self.channels()
        return [kind for kind in EVENT_NAMES if kind.security and not any(one.hears(kind) for one in channels)]

    # -- sending -------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Sends what is due, in the background. For whoever has just stored something."""
        if not self._sends or self._vault() is None or not self._store.deliveries(open_only=True, limit=1):
            return
        with self._lock:
            if self._worker is not None:
                self._again = True
                return
            self._worker = threading.Thread(target=self._work, name="bfai-alerts", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            with suppress(BfaiError):  # a vault that was locked, a store that was closed: somebody else goes on
                self.deliver_due()
            with self._lock:
                if not self._again:
                    self._worker = None
                    return
                self._again = False

    def close(self) -> None:
        """Waits for what is being sent, as long as one message may take."""
        with self._lock:
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(SEND_SECONDS + 5)

    def deliver_due(self, now: datetime | None = None) -> int:
        """Sends what is due at `now`, security alarms first; gives how many messages were sent.

        Call it after each test and every minute. Sends nothing while the vault is locked. Blocks as long as sending
        takes: the channels at the same time, the messages of one after the other. A channel on which another thread is
        sending is left to that one.
        """
        vault = self._vault()
        if not self._sends or vault is None:
            return 0
        clock = self._clock if now is None else lambda: now
        channels = {channel.id: channel for channel in self.channels()}
        if not channels:
            return 0
        self._plan_repeats(channels.values(), clock())
        waiting = {delivery.channel_id for delivery in self._store.deliveries(open_only=True)}
        rounds = [channel for channel_id, channel in channels.items() if channel_id in waiting]

        def one_round(channel: Channel) -> int:
            return self._round(vault, channel, clock)

        if len(rounds) < 2:
            return sum(map(one_round, rounds))
        with ThreadPoolExecutor(min(8, len(rounds)), thread_name_prefix="bfai-alerts") as pool:
            return sum(pool.map(one_round, rounds))

    def _round(self, vault: Vault, channel: Channel, clock: Callable[[], datetime]) -> int:
        """What is due on one channel, by one thread at a time: who comes meanwhile has it look once more, and goes.

        Where the channel does not take one message, the rest waits, but no alarm does.
        """
        with self._lock:
            if channel.id in self._rounds:
                self._rounds[channel.id] = True
                return 0
            self._rounds[channel.id] = False
        sent, refused = 0, False
        try:
            while True:
                for delivery in self._open_on(channel):
                    if refused and not delivery.event.security:
                        break
                    done = self._handle(vault, channel, delivery, clock)
                    sent += done is True
                    refused = refused or done is False
                    if done is not None and self._rounds[channel.id]:
                        break  # what is new may be an alarm
                with self._lock:
                    if not self._rounds[channel.id]:
                        del self._rounds[channel.id]
                        return sent
                    self._rounds[channel.id] = False
        except BaseException as error:
            with self._lock:
                del self._rounds[channel.id]
            if isinstance(error, VaultLocked):
                return sent
            raise

    def _open_on(self, channel: Channel) -> list[Delivery]:
        """What waits on a channel: alarms first, then what happened first."""
        found = reversed(self._store.deliveries(channel_id=channel.id, open_only=True))
        return sorted(found, key=lambda one: not one.event.security)

    def _handle(self, vault: Vault, channel: Channel, delivery: Delivery, clock: Callable[[], datetime]) -> bool | None:
        """True where it was sent, False where it was refused, None where it was not tried."""
        judged = self._judge(delivery, channel, clock())
        if judged.verdict is _Verdict.DROP:
            self._store.move_delivery(delivery, DeliveryState.DROPPED, clock(), reason=judged.why)
        return self._deliver(vault, channel, delivery, clock) if judged.verdict is _Verdict.SEND else None

    def _deliver(
        self, vault: Vault, channel: Channel, delivery: Delivery, clock: Callable[[], datetime]
    ) -> bool | None:
        """Claims, sends, writes down. True where it was sent, False where not, None where somebody else has it."""
        left = delivery.state is DeliveryState.SENDING
        if delivery.attempts > len(PAUSES):  # whoever claimed it last was killed each time
            text = Message(text=N_("The program ended each time while it was being sent."))
            self._store.move_delivery(delivery, DeliveryState.GIVEN_UP, clock(), doubtful=True, reason=text)
            return False
        try:
            address = vault.open_address(channel.id, self._store.channel_address(channel.id))
        except VaultLocked:
            raise
        except VaultError as error:
            self._store.move_delivery(delivery, DeliveryState.GIVEN_UP, clock(), reason=error.message)
            return False
        load(address)  # a program that is killed meanwhile has not begun to send
        claimed = self._store.move_delivery(
            delivery, DeliveryState.SENDING, clock(), holder=self._holder, doubtful=True if left else None
        )
        if claimed is None:
            return None
        note = self._note(claimed)
        outcome = self._sent(address, note)
        if outcome.problem is None:
            self._store.move_delivery(claimed, DeliveryState.SENT, clock())
            return True
        over = claimed.attempts > len(PAUSES)
        self._store.move_delivery(
            claimed,
            DeliveryState.GIVEN_UP if over else DeliveryState.FAILED,
            clock(),
            due_at=None if over else clock() + PAUSES[claimed.attempts - 1],
            doubtful=True if outcome.uncertain else None,
            reason=outcome.problem,
        )
        return False

    def _sent(self, address: str, note: Note) -> Outcome:
        if self._only_services and not is_service(address):  # of a vault that was brought here from home
            return Outcome(Message(text=_NO_HOST, params={"schemes": ", ".join(SERVICES)}))
        try:
            outcome = self._send(address, note._replace(title=redact(note.title), body=redact(note.body)))
        except Exception as error:
            text = N_("Sending broke off: {kind}.")
            return Outcome(Message(text=text, params={"kind": type(error).__name__}), uncertain=True)
        if outcome.problem is None:
            return outcome
        problem = outcome.problem
        params = {
            name: clean(value, address) if isinstance(value, str) else value for name, value in problem.params.items()
        }
        return outcome._replace(problem=problem.model_copy(update={"params": params}))

    # -- what is told, and when ----------------------------------------------------------------------------------------

    def _judge(self, delivery: Delivery, channel: Channel, at: datetime) -> _Judged:
        event = delivery.event
        if delivery.state is DeliveryState.SENDING:
            # A claim from the future is one from before the clock was set back.
            held = delivery.claimed_at is not None and abs(at - delivery.claimed_at) < CLAIM_HOLDS
            return _Judged(_Verdict.WAIT) if held else _SEND
        if delivery.state is DeliveryState.FAILED and timedelta(0) < delivery.due_at - at <= PAUSES[-1]:
            text = N_("It is tried again at {when}.")
            return _Judged(_Verdict.WAIT, Message(text=text, params={"when": self._hour(delivery.due_at)}))
        if delivery.number > 0 and not self._lasts(event):
            return _Judged(_Verdict.DROP, Message(text=N_("It was over before it was told again.")))
        if event.security:
            return _SEND
        if delivery.number == 0 and delivery.attempts == 0:
            judged = self._worth_telling(event, channel, at)
            if judged is not _SEND:
                return judged
        if channel.quiet_for(self._local(at)) is not None:
            text = N_("Quiet hours last until {when}.")
            return _Judged(_Verdict.WAIT, Message(text=text, params={"when": f"{channel.quiet_until:%H:%M}"}))
        return _SEND

    def _hour(self, at: datetime) -> str:
        return f"{self._local(at):%H:%M}"

    def _worth_telling(self, event: Event, channel: Channel, at: datetime) -> _Judged:
        if event.kind in _ENDS_WELL:
            return self._answer(event, channel)
        by_itself = event.kind is EventKind.STRATEGY_SUSPENDED and "needs_person" not in event.facts
        if event.kind is EventKind.STATUS_FAILED or by_itself:
            return self._grace(event, channel, at)
        return _SEND

    def _grace(self, event: Event, channel: Channel, at: datetime) -> _Judged:
        """A failure is told when it has lasted for the grace, or when a second test failed; whenever this is asked."""
        grace = timedelta(minutes=channel.grace_minutes)
        after = self._after(event)
        lasted = (after.at if after else at) - event.at
        if lasted >= grace or lasted < timedelta(0):  # less than nothing: the clock was set back
            return _SEND
        failed = 0
        if event.connection_id is not None:
            until = after.at if after else None
            failed = self._store.count_runs(
                event.connection_id, since=event.at, until=until, statuses={Status.FAILED}, causes=_COUNTING
            )
        if failed >= 2:
            return _SEND
        if after is not None:
            return _Judged(_Verdict.DROP, Message(text=N_("It was over before the grace ended.")))
        text = N_("It is told at {when}, or after the second failed test, unless it is over by then.")
        return _Judged(_Verdict.WAIT, Message(text=text, params={"when": self._hour(event.at + grace)}))

    def _answer(self, event: Event, channel: Channel) -> _Judged:
        """The good end of something is told where that was told."""
        ended = [one.id for one in self._ended_by(event)]
        states = [
            one.state
            for one in self._store.deliveries(channel_id=channel.id, event_ids=ended)
            if one.number == 0 or one.state.open
        ]
        if any(state.open for state in states):
            return _Judged(_Verdict.WAIT, Message(text=N_("The message about the beginning goes first.")))
        if DeliveryState.SENT in states:
            return _SEND
        return _Judged(_Verdict.DROP, Message(text=N_("Its beginning was not told here.")))

    def _line(self, event: Event, *, later: bool) -> Iterator[Event]:
        """The events of the same connection's status, of the same strategy or of backups that came after it, or before
        it, the nearest first.
        """
        if event.kind in _BACKUP:
            return self._walk(_BACKUP, None, None, event, later=later)
        if event.kind in _STRATEGY:
            return self._walk(_STRATEGY, event.connection_id, event.facts.get("strategy"), event, later=later)
        return self._walk(_STATUS, event.connection_id, None, event, later=later)

    def _walk(
        self,
        kinds: Collection[EventKind],
        connection_id: str | None,
        strategy_id: str | None,
        last: Event | None = None,
        *,
        later: bool = False,
    ) -> Iterator[Event]:
        """All of these after or before `last`, the nearest first; without it the newest first."""
        while True:
            known = last.id if last else None
            found = self._store.events(
                connection_id=connection_id,
                kinds=kinds,
                after=known if later else None,
                before=None if later else known,
                newest_first=not later,
                limit=_AT_A_TIME,
            )
            yield from (one for one in found if strategy_id is None or one.facts.get("strategy") == strategy_id)
            if len(found) < _AT_A_TIME:
                return
            last = found[-1]

    def _after(self, event: Event) -> Event | None:
        """What came next."""
        return next(self._line(event, later=True), None)

    def _ended_by(self, event: Event) -> list[Event]:
        """What a good end ended: everything since the good end before, newest first."""
        return list(takewhile(lambda one: one.kind not in _ENDS_WELL, self._line(event, later=False)))

    def _lasts(self, event: Event) -> bool:
        """Whether it is the newest word, and still so."""
        if event.connection_id is None or (event.kind not in _BAD and event.kind is not EventKind.STRATEGY_SUSPENDED):
            return False
        if self._after(event) is not None:
            return False
        if event.kind is EventKind.STRATEGY_SUSPENDED:
            strategy = self._store.strategy(event.facts.get("strategy", ""))
            return strategy is not None and strategy.state is StrategyState.SUSPENDED
        connection = self._store.connection(event.connection_id)
        return connection is not None and connection.status in (Status.FAILED, Status.BLOCKED)

    def _plan_repeats(self, channels: Collection[Channel], at: datetime) -> None:
        """One more delivery of what lasts, where the channel asked for it and the last one is long enough ago."""
        if all(channel.repeat_hours is None for channel in channels):
            return
        lasting = [event for event in self._newest_words() if self._lasts(event)]
        for channel in channels:
            if channel.repeat_hours is None or not lasting:
                continue
            told: dict[str, Delivery] = {}
            for one in self._store.deliveries(channel_id=channel.id, event_ids=[event.id for event in lasting]):
                if one.event.id not in told or one.number > told[one.event.id].number:
                    told[one.event.id] = one
            for last in told.values():
                ended = last.state in (DeliveryState.SENT, DeliveryState.GIVEN_UP) and last.done_at is not None
                if ended and last.done_at and at - last.done_at >= timedelta(hours=channel.repeat_hours):
                    self._store.repeat_delivery(last, at)

    def _newest_words(self) -> list[Event]:
        """Of each connection and strategy that is not well, the last event about that."""
        words: list[Event] = []
        for connection in self._store.connections():
            if connection.status in (Status.FAILED, Status.BLOCKED):
                words += self._store.events(connection_id=connection.id, kinds=_STATUS, limit=1)
        for strategy in self._store.strategies():
            if strategy.state is StrategyState.SUSPENDED and strategy.connection_id is not None:
                words += islice(self._walk(_STRATEGY, strategy.connection_id, strategy.id), 1)
        return words

    # -- the words -----------------------------------------------------------------------------------------------------

    def _note(self, delivery: Delivery) -> Note:
        """Which connection, what happened, what to do, when; never a key or an amount."""
        event, words = delivery.event, self.words
        title = words.render(heading(event))
        lines = [words.render(line) for line in (event.text, *event.details)]
        if event.kind in _ENDS_WELL and (ended := self._ended_by(event)):
            lines.append(words.t(N_("The problem had lasted since {when}."), when=self._when(ended[-1].at, words)))
        if event.todo:
            lines.append("\n".join(words.render(step) for step in event.todo))
        lines.append(self._when(event.at, words))
        if delivery.number:
            lines.append(words.t(N_("It still lasts: this is a repeated alert.")))
        if delivery.doubtful:
            lines.append(words.t(N_("This may be a repetition: the first attempt broke off and may have arrived.")))
        key = f"{event.id}-{delivery.number}"
        return Note(title, "\n\n".join(lines), _mood(event.kind), key)


def _mood(kind: EventKind) -> str:
    if kind in _ENDS_WELL:
        return "success"
    if kind.security or kind is EventKind.EXPIRED:
        return "failure"
    return "info" if kind is EventKind.EXPIRY_30 else "warning"


def _values(
    name: str,
    kinds: Collection[EventKind] | None,
    quiet: tuple[time, time] | None,
    grace_minutes: int,
    repeat_hours: int | None,
) -> dict[str, Any]:
    start, end = quiet or (None, None)
    return {
        "name": name,
        "muted": frozenset(EventKind) - frozenset(EventKind if kinds is None else kinds),
        "quiet_from": start,
        "quiet_until": end,
        "grace_minutes": grace_minutes,
        "repeat_hours": repeat_hours,
    }


def _channel(values: Mapping[str, Any]) -> Channel:
    try:
        return Channel.model_validate(values)
    except ValidationError as error:
        if any("name" in problem["loc"] for problem in error.errors()):
            raise BadName from None
        text = N_("A grace has 0 to 1440 minutes, and a repetition comes after 1 to 168 hours.")
        raise BfaiError(Message(text=text)) from None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None
