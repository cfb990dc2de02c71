"""`Workbench`: the one object that pages, the command line and notebooks talk to.

Every rule about keys stands behind it: a key that can withdraw is never stored, a key is stored only with the test
that it
passed, and what a page shows of a secret is at most the last four characters of the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import threading
import unicodedata
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bfai import addresses, bots, monitor, pairing, paste, tripwire, words
from bfai import names as naming
from bfai import settings as setting_up
from bfai import trail as trailing
from bfai.about import LICENCE, VERSION, Package, packages
from bfai.addresses import AddressView
from bfai.alerts import DELIVERY_NAMES, Alerts, LogLine
from bfai.backup import LEFT_OUT, BackupFile, Backups, Contents, Made, Preview, default_folder
from bfai.bots import KEPT_NAMES, BotKey, Findings, Kept
from bfai.connection_test import CONFIRMATION_HOLDS, Confirmation, confirm
from bfai.delegation import FORMAT as DELEGATION_FORMAT
from bfai.delegation import WorkerKey, fingerprint, is_genuine, seal_to
from bfai.diagnosis import (
    CAUSE_NAMES,
    PERMISSION_NAMES,
    KnownRefusal,
    Remedy,
    Section,
    known_refusals,
    other_regions,
    remedy,
    sentence,
)
from bfai.engine import Beside, Engine, TestJob
from bfai.events import EVENT_NAMES, events_of, heading, last_known, stranger_events, strategy_event
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, Exchange, Right, Tick
from bfai.explain import Explanation, explain_text
from bfai.history import History, Scope, Summary
from bfai.i18n import N_
from bfai.model import (
    AuditEntry,
    Before,
    BfaiError,
    Cause,
    Connection,
    Credentials,
    Environment,
    Event,
    EventKind,
    GrantState,
    KeyReport,
    Market,
    Message,
    Permission,
    Sent,
    Status,
    StrategyState,
    Target,
    TestRun,
    html_table,
    new_run_id,
    utc_now,
)
from bfai.monitor import TestLease
from bfai.pairing import CODE_LIFE, LONGEST_REPORT, Code, Pairing, PairingError
from bfai.paste import Pasted
from bfai.recovery_code import new_code, read_code
from bfai.sending import BadAddress
from bfai.settings import Settings, Variable
from bfai.store import (
    VISITS,
    AccountFacts,
    Delegation,
    Pause,
    Place,
    RowDamaged,
    RunEnd,
    RunRow,
    Schedule,
    Sealed,
    Store,
    StoreError,
    UnknownConnection,
    UnknownWorker,
    Worker,
    connection_deleted,
    open_store,
)
from bfai.store.move import erase, move
from bfai.strategy.candles import SAMPLES, Candles, SignalRow, interval_name, read_candles, read_signals, sample
from bfai.strategy.desk import MarketData, Strategies
from bfai.strategy.feed import CandlesStopped
from bfai.strategy.limits import Markets, PairRules, declared
from bfai.strategy.running import ENGINE_STATES, EngineError, Engines, EngineState, EngineStatus, OpenGroup
from bfai.strategy.terms import Terms
from bfai.strategy.terms import ask as ask_terms
from bfai.trail import KIND_NAMES, Kind, Wanted, describe, kind_of
from bfai.transport import Gateway, Transport
from bfai.tripwire import Tripwire
from bfai.vault import Vault, WrongPassword, has_recovery_code, revoke_recovery_code, strength, unlock_wait
from bfai.words import CHECK_NAMES, STATE_NAMES, STATUS_NAMES, RightRow

if TYPE_CHECKING:
    from bfai.simulator import Simulator

__all__ = [
    "CAUSE_NAMES",
    "CHECK_NAMES",
    "CONFIRMATION_HOLDS",
    "DELIVERY_NAMES",
    "DRAFT_LIFE",
    "ENGINE_STATES",
    "EVENT_NAMES",
    "KEPT_NAMES",
    "KIND_NAMES",
    "LEFT_OUT",
    "LICENCE",
    "LONGEST_REPORT",
    "PERMISSION_NAMES",
    "SAMPLES",
    "STATE_NAMES",
    "STATUS_NAMES",
    "VERSION",
    "AddressView",
    "Alerts",
    "AlreadyConnected",
    "BackupFile",
    "Backups",
    "BadAddress",
    "BotKey",
    "Candles",
    "CandlesStopped",
    "Contents",
    "Draft",
    "EngineError",
    "EngineState",
    "EngineStatus",
    "Engines",
    "Exchange",
    "Explanation",
    "Findings",
    "FoundKey",
    "History",
    "Kept",
    "Kind",
    "KnownRefusal",
    "LeftKey",
    "LogLine",
    "Made",
    "Mode",
    "NotSavable",
    "OpenGroup",
    "Package",
    "Pairing",
    "PairingError",
    "Pasted",
    "Place",
    "Preview",
    "Reached",
    "Remedy",
    "Renewed",
    "Right",
    "RightRow",
    "RunRow",
    "Schedule",
    "Scope",
    "Section",
    "Settings",
    "SignalRow",
    "Summary",
    "TestJob",
    "Tick",
    "Tripwire",
    "Variable",
    "VaultState",
    "Wanted",
    "Workbench",
    "Worker",
    "WrongPassword",
    "describe",
    "fingerprint",
    "heading",
    "interval_name",
    "kind_of",
    "read_candles",
    "read_signals",
    "sample",
]

DEFAULT_DATABASE = "sqlite:///data/bfai.db"
DRAFT_LIFE = timedelta(minutes=10)
CODE_WAITS = timedelta(minutes=15)
MAX_DRAFTS = 20
SIMULATOR_SECONDS = 30.0
FOLLOW_SECONDS = 0.25
"""How often a test that another program runs is looked after."""
_TRAIL_AT_ONCE = 5000
_RECOVERY = "recovery"
"""The kind of wrap that a recovery code on paper opens."""
CANDLES_SECONDS = 60.0
"""How long some pages of candles may take, with the time until the exchange's limits let them go."""
TERMS_SECONDS = 8.0
"""How long a page waits for the fees of an account before it goes on with those that everybody pays."""


class Mode(StrEnum):
    LOCAL = "local"
    DEMO = "demo"
    HOSTED = "hosted"
    """On a server, for one of many who sign in: nothing of the server or of the others is told."""


class VaultState(StrEnum):
    NONE = "none"
    LOCKED = "locked"
    OPEN = "open"


class VaultIsLocked(BfaiError):
    """The vault has to be open for this."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("The vault is locked. Unlock it with the master password.")))


class VaultIsRenewed(VaultIsLocked):
    """Another program renewed the vault's key, or deleted the vault, since it was opened here."""

    def __init__(self) -> None:
        text = N_("The vault was changed by another program, so it is locked here. Unlock it again.")
        BfaiError.__init__(self, Message(text=text))


class AlreadyConnected(BfaiError):
    """This key is stored already, under `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        text = N_("This key is connected already, as {name}. One key is for one connection: make another key.")
        super().__init__(Message(text=text, params={"name": name}))


class NotSavable(BfaiError):
    """The key may not be stored, for the reason in its message."""


class DraftGone(BfaiError):
    """The ten minutes are over, or the key was forgotten."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This key is forgotten: it was kept for ten minutes. Paste it again.")))


@dataclass(frozen=True, slots=True)
class Draft:
    """A key that is not stored. Sealed in memory, for ten minutes; this is only what may be shown of it."""

    id: str
    target: Target
    key_hint: str
    expires_at: datetime
    replaces: str | None = None
    run: TestRun | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key from another bot's file without its secrets: they wait sealed, as a draft, or `problem` says why not."""

    key: BotKey
    draft_id: str | None
    problem: Message | None


@dataclass(slots=True, repr=False)
class _HeldKey:
    draft: Draft
    sealed: Mapping[str, Sealed]
    timer: threading.Timer


@cache
def _engine(gateway: Gateway | None) -> Engine:
    """One event loop and one session a process, shared by everybody who goes the same way out."""
    return Engine(gateway)


@cache
def _simulator_engine() -> Engine:
    """Patient: exchanges, tests and pages share one process here, and its first seconds are busy."""
    return Engine(simulator_gateway(), call_seconds=SIMULATOR_SECONDS)


@cache
def _shared_simulator() -> Simulator:
    from bfai.simulator import Simulator

    simulator = Simulator()
    simulator.start()
    return simulator


def simulator_gateway() -> Gateway:
    """The gateway to a simulator in this process, started on first use."""
    simulator = _shared_simulator()
    return Gateway.parse(simulator.gateway, simulator.ca_file)


class Renewed(NamedTuple):
    """How many connections and alert channels were sealed anew, and whether a recovery code opens nothing any more."""

    connections: int
    channels: int
    code_is_dead: bool


class LeftKey(NamedTuple):
    """A key that an exchange still has: the name of its connection, of the exchange, its last four characters, and the
    exchange's page with its keys.
    """

    connection: str
    exchange: str
    key_hint: str
    key_page: str


class RequestMade(NamedTuple):
    """A request that the program can make. `purpose` is a message id, `market` None where it serves both."""

    exchange: str
    market: Market | None
    method: str
    path: str
    purpose: str
    signed: bool


class Reached(NamedTuple):
    """What the program may ask an exchange: at which hosts, how many requests, how many of these with a key.

    `used`: a connection of this workbench is there.
    """

    exchange: str
    hosts: tuple[str, ...]
    requests: int
    signed: int
    used: bool


class Workbench:
    """Vault, connections, tests and history of one person. Thread-safe; only tests run in the background."""

    def __init__(
        self,
        store: Store,
        *,
        mode: Mode,
        gateway: Gateway | None,
        vault: Vault | None = None,
        clock: Callable[[], datetime] | None = None,
        chance: Callable[[], float] = random.random,
        engine_home: Path | None = None,
        backup_home: Path | None = None,
    ) -> None:
        """Prefer `Workbench.local()` and `Workbench.tour()`.

        `clock` tells the time (UTC) to all that it does, in place of this computer's clock; then it has an engine of
        its own. `chance` gives from 0 to 1 which part of the jitter of a schedule is waited.
        """
        self.mode = mode
        self._store = store
        self._gateway = gateway
        self._vault = vault
        self._lock = threading.RLock()
        self._drafts: dict[str, _HeldKey] = {}
        self._draft_vault = Vault("drafts", os.urandom(32))
        self._jobs: dict[str, TestJob] = {}
        self._holder = uuid.uuid4().hex
        self._closed = threading.Event()
        self._asked: dict[str, datetime] = {}
        self._asking: set[str] = set()
        self._clock = clock
        self._chance = chance
        self._own_engine = Engine(gateway, clock=clock) if clock is not None else None
        self._history = History(store, self._now)
        self._engines = Engines(engine_home) if engine_home is not None else None
        self._strategies = Strategies(store, self._market_data, self._here, self._terms, clock, self._engines)
        hosted = mode is Mode.HOSTED
        self._alerts = Alerts(store, self._vault_if_open, self._now, sends=mode is not Mode.DEMO, only_services=hosted)
        keeps = mode is Mode.LOCAL and not store.ephemeral
        self._backups = Backups(store, self._vault_if_open, self._now, keeps=keeps, home=backup_home)
        self._on_paper: tuple[str, datetime] | None = None  # a recovery code that was not confirmed yet

    def _now(self) -> datetime:
        return utc_now() if self._clock is None else self._clock()

    @property
    def strategies(self) -> Strategies:
        """What can be done with strategies."""
        return self._strategies

    # -- engines -------------------------------------------------------------------------------------------------------

    @property
    def engines(self) -> Engines:
        """The engines that run strategies. Raises EngineError where none can be kept."""
        if self._engines is None:
            text = N_("Here nothing is kept, so no engine can run. Start the workbench on your own computer.")
            if self.mode is Mode.HOSTED:
                text = N_(
                    "No engine runs on a shared server. Download the files below, and run them on your own computer."
                )
            raise EngineError(Message(text=text))
        return self._engines

    def run_strategy(
        self,
        strategy_id: str,
        *,
        live: bool = False,
        typed: str = "",
        interval: timedelta = timedelta(minutes=5),
        extra: Mapping[str, Any] | None = None,
    ) -> EngineStatus:
        """Starts the strategy's engine, dry; with `live` on the account, if `typed` is the strategy's name.

        The gate is asked at this moment. Raises StrategyError, EngineError, and VaultIsLocked where it is to go live.
        """
        engines = self.engines
        before = engines.status(strategy_id)
        strategy, connection = self._strategies.may_run(
            strategy_id, takes_up=bool(before.groups) and before.live == live
        )
        credentials: Credentials | None = None
        if live:
            if self._gateway is not None or connection.target.environment is not Environment.LIVE:
                raise EngineError(Message(text=N_("Only a connection to a real account can go live.")))
            if typed != strategy.name:
                text = N_("Type the name of the strategy, {name}, to let it trade with real money.")
                raise EngineError(Message(text=text, params={"name": strategy.name}))
            credentials = self._open_vault().open(connection.id, self._store.sealed(connection.id))
        number = strategy.enabled_revision
        kept = engines.balance(strategy_id, live=live)
        bundle = self._strategies.freqtrade(strategy_id, interval=interval, number=number, watched=True, balance=kept)
        found = engines.start(
            strategy_id,
            bundle,
            revision=number or 0,
            credentials=credentials,
            extra=extra,
            prepared=lambda: self._strategies.tell_engine(strategy_id),
        )
        detail: dict[str, str | int | float | bool | None] = {"name": strategy.name, "live": live, "revision": number}
        self._store.audit(AuditEntry(at=utc_now(), action="engine_started", subject=strategy_id, detail=detail))
        return found

    def stop_strategy(self, strategy_id: str) -> EngineStatus:
        """Stops its engine: resting orders are cancelled, groups stay open. Raises EngineError."""
        ran = self.engines.runs(strategy_id)
        found = self.engines.stop(strategy_id)
        if ran:
            strategy = self._store.strategy(strategy_id)
            detail: dict[str, str | int | float | bool | None] = {"name": strategy.name if strategy else None}
            self._store.audit(AuditEntry(at=utc_now(), action="engine_stopped", subject=strategy_id, detail=detail))
        return found

    def engine_status(self, strategy_id: str) -> EngineStatus:
        """What its engine does now."""
        return EngineStatus(EngineState.NONE) if self._engines is None else self._engines.status(strategy_id)

    def engine_runs(self, strategy_id: str) -> bool | None:
        """Whether the engine that runs is live; None where none runs. Quicker than `engine_status`."""
        return None if self._engines is None else self._engines.money(strategy_id)

    def lost_engines(self) -> dict[str, EngineStatus]:
        """Engines that run although their strategies are not here, by the ids of these; `stop_strategy` ends one."""
        if self._engines is None:
            return {}
        here = {strategy.id for strategy in self._store.strategies()}
        found = {one: self._engines.status(one) for one in self._engines.known() if one not in here}
        return {one: status for one, status in found.items() if status.runs}

    def _refuse_while_engines_run(self) -> None:
        """Nobody could stop an engine on the page of its strategy once that is gone."""
        lost = next(iter(self.lost_engines()), None)
        if lost is not None:
            text = N_(
                "An engine runs whose strategy is not here any more. Stop it in the settings, at “Delete everything”,"
                " or in a terminal: python3 run.py cli run {id} --stop"
            )
            raise EngineError.of(text, id=lost)
        if self._engines is not None and any(self._engines.runs(one) for one in self._engines.known()):
            raise EngineError(Message(text=N_("An engine runs. Stop every engine first, on the page of its strategy.")))

    @property
    def alerts(self) -> Alerts:
        """Who hears of what happens, and what became of each message."""
        return self._alerts

    def candles(
        self,
        target: Target,
        pair: str,
        interval: str | timedelta,
        since: datetime,
        until: datetime | None = None,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Candles:
        """Closed candles of a pair, from what is kept and from the exchange: see `Feed.candles`.

        Blocks while it asks, so call it from a thread of your own. No key is needed.
        """
        ask = self._strategies.feed.candles
        return ask(target, pair, interval, since, until, on_progress=on_progress, stopped=stopped)

    def candle_intervals(self, target: Target) -> Mapping[str, timedelta | None]:
        """The intervals of this market by name, and how far back each of them is told; None: nobody says."""
        return self._strategies.feed.intervals(target)

    def _market_data(self, target: Target) -> MarketData:
        engine = self._engine(target)
        return MarketData(
            pairs=lambda asked: engine.ask(lambda transport: Markets(transport).pairs(asked)),
            pair=lambda asked, pair: engine.ask(lambda transport: Markets(transport).complete(asked, pair)),
            candles=lambda asked, rules, interval, windows: engine.ask(
                lambda transport: Markets(transport).candles(asked, rules, interval, windows), timeout=CANDLES_SECONDS
            ),
        )

    def _terms(self, connection: Connection, rules: PairRules, clock_offset_ms: float) -> Terms | None:
        """What the account of this connection pays; None while the vault is locked."""
        vault, target = self._vault_if_open(), connection.target.model_copy(update={"market": rules.market})
        if vault is None:
            return None
        credentials = vault.open(connection.id, self._store.sealed(connection.id))
        return self._engine(target).ask(
            lambda transport: ask_terms(transport, target, credentials, rules, clock_offset_ms), timeout=TERMS_SECONDS
        )

    def __repr__(self) -> str:
        return f"Workbench(mode={self.mode.value}, vault={self.vault_state.value})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the connections with what their last test found."""
        rows = [
            [
                connection.name,
                get_exchange(connection.target.exchange).name,
                connection.target.market.value,
                connection.target.environment.value,
                f"…{connection.key_hint}",
                connection.status.value,
                str(connection.last_tested_at or ""),
            ]
            for connection in self.connections()
        ]
        head = ("connection", "exchange", "market", "environment", "key", "status", "last tested (UTC)")
        return html_table(head, rows)

    @classmethod
    def local(
        cls, database_url: str | None = None, *, owner: str = "local", gateway: Gateway | None = None
    ) -> Workbench:
        """The workbench on this computer's database. Raises BfaiError where the database or the gateway cannot be
        used.
        """
        url = database_url or os.environ.get("BFAI_DATABASE_URL") or DEFAULT_DATABASE
        store = open_store(url, owner=owner)
        way = gateway or Gateway.from_environment()
        path = url.removeprefix("sqlite:///")
        file = None if path == url or not path or store.ephemeral else Path(path)
        backups = None if file is None else default_folder(file, owner)
        return cls(store, mode=Mode.LOCAL, gateway=way, engine_home=_engine_home(url, owner), backup_home=backups)

    @classmethod
    def hosted(cls, database_url: str, owner: str, *, gateway: Gateway | None = None) -> Workbench:
        """That of one of many people on a server's PostgreSQL. No engine runs there and no file of the server is read;
        what goes wrong with the database is told without its address. Raises BfaiError.
        """
        store = open_store(database_url, owner=owner, discreet=True)
        return cls(store, mode=Mode.HOSTED, gateway=gateway or Gateway.from_environment())

    @classmethod
    def tour(cls) -> Workbench:
        """A throw-away workbench with an open vault in memory, on simulated exchanges."""
        store = open_store("sqlite://:memory:")
        return cls(store, mode=Mode.DEMO, gateway=None, vault=Vault.throw_away(store))

    @property
    def backups(self) -> Backups:
        """Everything in one sealed file, and back."""
        return self._backups

    def restore_backup(self, found: BackupFile, *, replace: bool = False) -> int:
        """Puts a backup here; see `Backups.restore`. The vault is locked afterwards: it opens with the password that it
        had when the backup was made. How many rows. Raises EngineError where engines of what is replaced run.
        """
        if replace and self.vault_state is not VaultState.NONE:
            self._refuse_while_engines_run()
        given, names = self._store.delegations(), {one.id: one.name for one in self.connections()}
        count = self._backups.restore(found, replace=replace)
        for connection_id in given:  # they went with the connections that were replaced
            gone: dict[str, str | int | float | bool | None] = {"name": names.get(connection_id)}
            entry = AuditEntry(at=self._now(), action="delegation_revoked", subject=connection_id, detail=gone)
            self._store.audit(entry)
        self.lock()
        for draft in self.drafts():
            self.forget_draft(draft.id)
        return count

    def close(self) -> None:
        """Forgets the vault's key and every draft, and closes the store. Waits for messages that are being sent."""
        self._alerts.close()
        self.lock()
        for draft in self.drafts():
            self.forget_draft(draft.id)
        self._closed.set()
        with contextlib.suppress(StoreError):
            self._store.free_leases(self._holder)
        if self._own_engine is not None:
            self._own_engine.close()
        self._store.close()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the vault -----------------------------------------------------------------------------------------------------

    @property
    def vault_state(self) -> VaultState:
        if self._vault is not None:
            return VaultState.OPEN
        return VaultState.NONE if self._store.vault() is None else VaultState.LOCKED

    @property
    def is_open(self) -> bool:
        """Whether the vault is open. Asks nobody."""
        return self._vault is not None

    @property
    def vault_id(self) -> str:
        """Tells this vault from others, also where it is locked; empty where there is none. No secret."""
        row = self._store.vault()
        return row.id if row else ""

    def create_vault(self, password: str) -> None:
        self._vault = Vault.create(self._store, password)

    def unlock(self, password: str) -> None:
        """Raises WrongPassword, UnlockBackoff (`.seconds`) and what else `Vault.unlock` raises."""
        self._vault = Vault.unlock(self._store, password, now=self._clock)

    def unlock_wait(self) -> int:
        """For how many seconds every attempt to unlock is refused, whoever makes it; 0 if it is not."""
        return unlock_wait(self._store, now=self._clock)

    def recover(self, code: str, new: str) -> None:
        """Opens the vault with its recovery code and gives it a new password; see `Vault.recover`."""
        self._vault = Vault.recover(self._store, code, new, now=self._clock)

    @property
    def has_recovery_code(self) -> bool:
        """Whether a recovery code opens the vault."""
        return has_recovery_code(self._store)

    def new_recovery_code(self, password: str) -> str:
        """A code to be written down. It opens nothing until `confirm_recovery_code`; raises what a password raises."""
        self._open_vault().check_password(self._store, password, now=self._clock)
        self._on_paper = (new_code(), self._now())
        return self._on_paper[0]

    @property
    def waiting_code(self) -> str | None:
        """The code that was not confirmed yet, for fifteen minutes."""
        if self._on_paper is None or self._now() - self._on_paper[1] > CODE_WAITS:
            self._on_paper = None
            return None
        return self._on_paper[0]

    def confirm_recovery_code(self, typed: str) -> None:
        """From now on the code opens the vault, and an earlier one does not. Raises BfaiError where what was typed is
        not the code that waits.
        """
        waiting = self.waiting_code
        if waiting is None:
            raise BfaiError(Message(text=N_("This code was thrown away: it waited too long. Make a new one.")))
        if read_code(typed) != waiting:
            text = N_("That is another code than the one shown. Type the one that you have just written down.")
            raise BfaiError(Message(text=text))
        self._open_vault().set_recovery_code(self._store, waiting)
        self._on_paper = None

    def forget_recovery_code(self) -> None:
        """The code that waits is thrown away; the one from before stays good."""
        self._on_paper = None

    def revoke_recovery_code(self) -> None:
        """No code opens the vault any more. Raises NoRecoveryCode, VaultIsLocked."""
        self._open_vault()
        revoke_recovery_code(self._store)

    def lock(self) -> None:
        self._on_paper = None
        vault, self._vault = self._vault, None
        if vault is not None:
            vault.lock()

    def move_to(self, database_url: str) -> int:
        """Carry everything over to another database, which must hold nothing of this owner; sealed as it is. How many
        rows. This one stays as it was. Raises `StoreError`.
        """
        target = open_store(database_url, owner=self._store.owner)
        try:
            return move(self._store, target)
        finally:
            target.close()

    def begin_visit(self, signed_in_at: datetime) -> bool:
        """Whether somebody who signed in at this time, as the provider says, has not logged out since."""
        kept = self._store.setting(VISITS, {})
        at = signed_in_at.timestamp()
        if at <= kept.get("ended", 0.0):
            return False
        if at > kept.get("newest", 0.0):
            with self._store.together():
                kept = self._store.setting(VISITS, {})
                self._store.set_setting(VISITS, {**kept, "newest": max(at, kept.get("newest", 0.0))})
            self._store.audit(AuditEntry(at=self._now(), action="signed_in"))
        return True

    def end_visits(self) -> None:
        """Log out everywhere: no sign-in up to now counts any more, wherever its cookie is.

        The provider's clock is compared with itself, so it need not agree with this computer's.
        """
        with self._store.together():
            newest = self._store.setting(VISITS, {}).get("newest", 0.0)
            self._store.set_setting(VISITS, {"newest": newest, "ended": newest})
        self._store.audit(AuditEntry(at=self._now(), action="signed_out"))

    def change_password(self, old: str, new: str) -> None:
        self._open_vault().change_password(self._store, old, new, now=self._clock)

    def rotate_vault(self, password: str) -> Renewed:
        """Seals everything anew under a new data key, all of it or nothing. Raises what `Vault.rotate` raises.

        Other programs that have the vault open must unlock it again, and pairing codes that wait end.
        """
        old = self._open_vault()
        done = old.rotate(self._store, password, now=self._clock)  # no transaction around it: it counts attempts
        self._vault = done.vault
        old.lock()
        for connection in self._store.connections():
            if self._store.setting(_pairing(connection.id)) is not None:
                self._store.set_setting(_pairing(connection.id), None)
        return Renewed(done.connections, done.channels, _RECOVERY in done.dead)

    def delete_everything(self) -> None:
        """Deletes the vault, every connection, strategy, test, setting and line of the trail of this owner, and what
        engines left. Needs no password: whoever can read the database can delete it. There is no vault afterwards.

        Raises EngineError while an engine runs, and StoreError; then nothing is deleted.
        """
        self._refuse_while_engines_run()
        known = self._engines.known() if self._engines is not None else ()
        erase(self._store)
        self.lock()
        for draft in self.drafts():
            self.forget_draft(draft.id)
        for one in known:
            self.engines.remove(one)

    def left_at_exchanges(self) -> list[LeftKey]:
        """The keys of connections that go on working at their exchanges, whatever is deleted here."""
        exchanges = all_exchanges()
        found = [
            LeftKey(
                one.name,
                exchanges[one.target.exchange].name,
                one.key_hint,
                exchanges[one.target.exchange].guide.key_page,
            )
            for one in self.connections()
            if one.target.environment is not Environment.SIMULATOR
        ]
        return sorted(found, key=lambda one: (one.exchange.casefold(), one.connection.casefold()))

    def what_deleting_does(self) -> Message:
        """How far what is deleted here is gone."""
        if self._store.overwrites:
            return Message(
                text=N_(
                    "It is overwritten in the file. A disk, a file system or a backup may keep older copies that no"
                    " program can reach: in them keys are sealed with the master password."
                )
            )
        return Message(
            text=N_(
                "It is deleted in PostgreSQL, which overwrites it in its own time. Its log and the backups of whoever"
                " runs it may keep older copies: in them keys are sealed with the master password."
            )
        )

    def password_strength(self, password: str) -> tuple[int, Message]:
        """0 (guessed at once) to 4 (very hard to guess), and what would better it."""
        found = strength(password)
        return found.score, Message(text=_STRENGTH_HINTS[found.hint])

    def _open_vault(self) -> Vault:
        """The vault, if it is open and its key is the one that is in force. Within `together()` it stays so."""
        vault = self._vault
        if vault is None:
            raise VaultIsLocked
        row = self._store.vault()
        if row is None or row.id != vault.id or row.key_check not in (None, vault.key_check):
            self.lock()
            raise VaultIsRenewed
        return vault

    def _vault_if_open(self) -> Vault | None:
        try:
            return self._open_vault()
        except VaultIsLocked:
            return None

    # -- settings ------------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """What the owner set, or the environment says."""
        return setting_up.read(self._store)

    def change_settings(self, **values: int | str | None) -> Settings:
        """Keeps these, by the names in `Settings`; None is the usual value. Raises SettingRefused."""
        return setting_up.change(self._store, self._now(), values)

    def fixed_settings(self) -> dict[str, str]:
        """The settings that cannot be changed here: the environment variable that says each."""
        return setting_up.in_force()

    def environment(self) -> list[Variable]:
        """The environment variables that the program reads, without any secret."""
        return [] if self.mode is Mode.HOSTED else setting_up.variables()

    def place(self) -> Place | None:
        """The file that holds everything, and its size in bytes; None where nothing is kept, or it is not the owner's
        business: a shared database.
        """
        return None if self.mode is Mode.HOSTED else self._store.place()

    def packages(self) -> tuple[Package, ...]:
        """The packages that run with this program, with their licences."""
        return packages()

    def reached(self) -> list[Reached]:
        """Every exchange that the program may ask, from its own declarations; nothing else is let out for a test."""
        made, used = self.requests_made(), {connection.target.exchange for connection in self.connections()}
        found: list[Reached] = []
        for exchange in all_exchanges().values():
            sites = (*exchange.regions, *exchange.tests.values())
            asked = [request for request in made if request.exchange == exchange.name]
            hosts = tuple(dict.fromkeys(host for site in sites for host in site.hosts.values()))
            signed = sum(request.signed for request in asked)
            found.append(Reached(exchange.name, hosts, len(asked), signed, exchange.id in used))
        return sorted(found, key=lambda one: (not one.used, one.exchange.lower()))

    # -- facts ---------------------------------------------------------------------------------------------------------

    def exchanges(self) -> Mapping[str, Exchange]:
        return all_exchanges()

    def requests_made(self) -> list[RequestMade]:
        """Every request that this program can make, by exchange."""
        names = {exchange.id: exchange.name for exchange in all_exchanges().values()}
        about_keys = [
            RequestMade(exchange.name, call.market, call.method, call.path, call.purpose, call.signed)
            for exchange in all_exchanges().values()
            for call in exchange.calls
        ]
        about_markets = [
            RequestMade(names[exchange], market, method, path, purpose, False)
            for exchange, market, method, path, purpose in declared()
        ]
        return sorted({*about_keys, *about_markets}, key=lambda request: (request.exchange.lower(), not request.signed))

    def boxes(self, exchange_id: str, market: Market) -> list[tuple[Right, Tick]]:
        """The boxes of the exchange's key page in its own order, each with what to do with it."""
        return [(right, right.tick(market)) for right in get_exchange(exchange_id).rights if right.shown]

    def known_refusals(self, exchange_id: str, market: Market) -> tuple[KnownRefusal, ...]:
        """What the exchange often says to a key, what that is called here, and the way out of it."""
        return known_refusals(get_exchange(exchange_id), market)

    def suggest_name(self, target: Target, purpose: str = "") -> str:
        """Exchange, market and purpose, such as "MEXC Spot Main", with a number where that name is taken."""
        base = f"{get_exchange(target.exchange).name} {naming.MARKETS[target.market]} {purpose.strip() or 'Main'}"
        return naming.free(base, self._names_taken())

    def suggest_names(self, target: Target, report: KeyReport | None = None) -> list[str]:
        """Some free names for a key with this report, the likeliest first."""
        return naming.suggestions(get_exchange(target.exchange).name, target, report, self._names_taken())

    def _names_taken(self) -> set[str]:
        return {connection.name.casefold() for connection in self.connections()}

    def name_problem(self, name: str, *, except_id: str | None = None) -> Message | None:
        clean = unicodedata.normalize("NFKC", name).strip()
        if not clean:
            return Message(text=N_("Give the connection a name."))
        if len(clean) > 60:
            return Message(text=N_("A name has 1 to 60 characters. Choose another name."))
        found = self._store.connection_by_name(clean)
        if found is not None and found.id != except_id:
            return Message(
                text=N_("A connection named {name} exists already. Choose another name."), params={"name": found.name}
            )
        return None

    def name_hint(self, name: str, target: Target, *, except_id: str | None = None) -> Message | None:
        """A gentle word on a name that says little, or something else than the key is."""
        exchange = get_exchange(target.exchange).name
        everywhere = [one.name for one in all_exchanges().values()]
        others = [connection.name for connection in self.connections() if connection.id != except_id]
        example = f"{exchange} {naming.MARKETS[target.market]} Main"
        return naming.hint(name, exchange, target, everywhere, others, example)

    # -- whose account it is -------------------------------------------------------------------------------------------

    def account_notes(
        self, target: Target, report: KeyReport | None, *, except_id: str | None = None
    ) -> tuple[Message, ...]:
        """Which other connections are keys of the same account, and that it is a sub-account, as the report tells."""
        if report is None:
            return ()
        facts, same = AccountFacts(report.account_id, report.is_sub), list[Connection]()
        if facts.account_id is not None:
            known = self._store.account_facts()
            same = [
                one
                for one in self.connections()
                if one.id in known
                and one.id != except_id
                and _account(one.target, known[one.id]) == _account(target, facts)
            ]
        return words.account_notes(get_exchange(target.exchange), target.market, *facts, same)

    def accounts(self) -> dict[str, tuple[Message, ...]]:
        """The same of each connection in as few words as a card has room for; nothing where nothing is to say."""
        known = self._store.account_facts()
        told = [(connection, known[connection.id]) for connection in self.connections() if connection.id in known]
        holders: dict[_Account, list[Connection]] = {}
        for connection, facts in told:
            if facts.account_id is not None:
                holders.setdefault(_account(connection.target, facts), []).append(connection)
        found: dict[str, tuple[Message, ...]] = {}
        for connection, facts in told:
            same = [one for one in holders.get(_account(connection.target, facts), ()) if one.id != connection.id]
            notes = words.account_marks(*facts, same)
            if notes:
                found[connection.id] = notes
        return found

    # -- pasted keys ---------------------------------------------------------------------------------------------------

    def read_paste(self, exchange_id: str, text: str) -> Pasted:
        return paste.read_paste(get_exchange(exchange_id), text, all_exchanges().values())

    def check_fields(self, exchange_id: str, fields: Mapping[str, str]) -> Pasted:
        """The same for `api_key`, `secret` and `passphrase` that came in boxes of their own."""
        return paste.judge_fields(get_exchange(exchange_id), fields, all_exchanges().values())

    # -- drafts --------------------------------------------------------------------------------------------------------

    def draft(self, target: Target, credentials: Credentials, *, replaces: str | None = None) -> Draft:
        """Takes a key to be tested. Raises AlreadyConnected where it is stored under another connection."""
        target = self._here(target)
        vault = self._vault_if_open()
        if vault is not None:
            found = self._store.connection_by_fingerprint(vault.fingerprint(target.exchange, credentials.api_key))
            if found is not None:
                raise AlreadyConnected(found.name)
        draft = Draft(uuid.uuid4().hex, target, credentials.hint, self._now() + DRAFT_LIFE, replaces)
        timer = threading.Timer(DRAFT_LIFE.total_seconds(), self.forget_draft, (draft.id,))
        timer.daemon = True
        with self._lock:
            for oldest in self.drafts()[: max(0, len(self._drafts) + 1 - MAX_DRAFTS)]:
                self.forget_draft(oldest.id)
            self._drafts[draft.id] = _HeldKey(draft, self._draft_vault.seal(draft.id, credentials), timer)
        timer.start()
        return draft

    def drafts(self) -> list[Draft]:
        """The keys that wait, oldest first."""
        with self._lock:
            return [held.draft for held in self._drafts.values() if held.draft.expires_at > self._now()]

    def get_draft(self, draft_id: str) -> Draft | None:
        return next((draft for draft in self.drafts() if draft.id == draft_id), None)

    def forget_draft(self, draft_id: str) -> None:
        with self._lock:
            held = self._drafts.pop(draft_id, None)
            self._jobs.pop(draft_id, None)
        if held is not None:
            held.timer.cancel()

    def start_draft_test(self, draft_id: str, *, try_regions: bool = False) -> TestJob:
        """Tests a key that waits. `try_regions` only after the trader agreed: it shows the key to the other regions."""
        held = self._held(draft_id)

        def keep(run: TestRun) -> TestRun:
            self._doubt_address(run, held.draft.target)
            kept = confirm(run, self._now()) if self._still_confirmed(held.draft, run) else run
            self._change_draft(draft_id, run=kept, confirmed=kept.confirmed_at is not None)
            return kept

        credentials = self._draft_vault.open(draft_id, held.sealed)
        return self._start(draft_id, TestJob(held.draft.target), credentials, None, keep, try_regions=try_regions)

    def draft_job(self, draft_id: str) -> TestJob | None:
        """The last test of a key that waits."""
        with self._lock:
            return self._jobs.get(draft_id)

    def other_regions(self, run: TestRun) -> tuple[str, ...]:
        """Hosts of the exchange that may know a key which this region does not. To ask them shows them the key."""
        return other_regions(run, get_exchange(run.exchange))

    def move_draft(self, draft_id: str, region: str) -> Draft:
        """The same key for another region of the exchange, untested there."""
        held = self._held(draft_id)
        draft = held.draft
        credentials = self._draft_vault.open(draft_id, held.sealed)
        moved = self.draft(draft.target.model_copy(update={"region": region}), credentials, replaces=draft.replaces)
        self.forget_draft(draft_id)
        return moved

    def _still_confirmed(self, draft: Draft, run: TestRun) -> bool:
        """A confirmation holds only while the key report says the same as when it was given."""
        before = draft.run.key_report if draft.run else None
        return (
            draft.confirmed
            and before is not None
            and run.key_report is not None
            and before.rights_hash() == run.key_report.rights_hash()
        )

    def confirm_draft(self, draft_id: str) -> TestRun:
        """The trader looked at the exchange: this very key cannot withdraw."""
        draft = self._held(draft_id).draft
        if draft.run is None:
            raise NotSavable(Message(text=N_("Test the key first.")))
        run = confirm(draft.run, self._now())
        self._change_draft(draft_id, run=run, confirmed=run.confirmed_at is not None)
        return run

    def can_save(self, draft: Draft) -> Message | None:
        """Why this key may not be stored, or None where it may."""
        run = draft.run
        if run is None:
            return Message(text=N_("Test the key first."))
        exchange = get_exchange(draft.target.exchange).name
        if run.status.ok:
            return None
        if _can_withdraw(run):
            return Message(
                text=N_("A key that can withdraw is never stored. Take that right away at {exchange}."),
                params={"exchange": exchange},
            )
        if run.status is Status.BLOCKED:
            return Message(text=N_("Confirm first that this key cannot withdraw."))
        if draft.replaces is not None:
            return Message(text=N_("The new key takes the place of the old one only when it has passed the test."))
        if run.diagnosis is None or not run.diagnosis.cause.may_be_saved:
            return Message(
                text=N_("{exchange} does not accept these credentials, so there is nothing to store."),
                params={"exchange": exchange},
            )
        return None

    def replaces_at_once(self, draft: Draft) -> bool:
        """Whether this key may take the place of the one that it replaces without another look: it is online, and the
        exchange tells that it is of the same account.
        """
        run, replaced = draft.run, draft.replaces
        if replaced is None or run is None or run.status is not Status.ONLINE or run.key_report is None:
            return False
        before = self._store.account_facts().get(replaced)
        return before is not None and before.account_id is not None and before.account_id == run.key_report.account_id

    def save_draft(self, draft_id: str, *, name: str, used_by: str = "", note: str = "") -> Connection:
        """Stores a tested key. Raises NotSavable, NameTaken, AlreadyConnected, VaultIsLocked, StoreError; then it
        stays a draft.
        """
        self._open_vault()
        held = self._held(draft_id)
        draft = held.draft
        refusal = self.can_save(draft)
        if refusal is not None:
            raise NotSavable(refusal)
        credentials = self._draft_vault.open(draft_id, held.sealed)
        with self._store.together():  # nobody renews the vault's key meanwhile
            connection = self._put_away(self._open_vault(), draft, credentials, name, used_by, note)
        self._alerts.wake()
        self.forget_draft(draft_id)
        return connection

    def _put_away(
        self, vault: Vault, draft: Draft, credentials: Credentials, name: str, used_by: str, note: str
    ) -> Connection:
        assert draft.run is not None
        fingerprint = vault.fingerprint(draft.target.exchange, credentials.api_key)
        taken = self._store.connection_by_fingerprint(fingerprint)
        if taken is not None:
            raise AlreadyConnected(taken.name)
        if draft.replaces is not None:
            run = draft.run.model_copy(update={"connection_id": draft.replaces})
            delegated = self.delegated_to(draft.replaces)
            connection = self._store.replace_credentials(
                draft.replaces,
                vault.seal(draft.replaces, credentials),
                fingerprint,
                credentials.hint,
                draft.run.started_at,
                run,
                lambda before: events_of(before, run),
            )
            if draft.confirmed and draft.run.key_report is not None:
                connection = self._store.confirm_withdraw_off(
                    connection.id, self._now(), draft.run.key_report.rights_hash()
                )
            if delegated is not None:  # that of the old key ended with it
                self._delegate(connection.id, delegated[0].id, credentials)
            self._strategies.after_test(connection.id)
            return connection
        return self._add(vault, draft, credentials, fingerprint, name, used_by, note)

    def _add(
        self,
        vault: Vault,
        draft: Draft,
        credentials: Credentials,
        fingerprint: bytes,
        name: str,
        used_by: str,
        note: str,
    ) -> Connection:
        problem = self.name_problem(name)
        if problem is not None:
            raise BfaiError(problem)
        run = draft.run
        assert run is not None
        connection_id = uuid.uuid4().hex
        connection = Connection(
            id=connection_id,
            name=name,
            target=draft.target,
            used_by=used_by.strip(),
            note=note.strip(),
            key_hint=credentials.hint,
            created_at=self._now(),
            key_since=run.started_at,
            confirmed_at=run.confirmed_at if draft.confirmed else None,
            confirmed_hash=run.key_report.rights_hash() if draft.confirmed and run.key_report else None,
        )
        minutes = self.settings.schedule_minutes
        added = self._store.add_connection(
            connection,
            vault.seal(connection_id, credentials),
            fingerprint,
            run.model_copy(update={"connection_id": connection_id}),
        )
        if minutes != Settings().schedule_minutes:
            self.set_schedule(connection_id, timedelta(minutes=minutes) if minutes else None)
        return added

    def _held(self, draft_id: str) -> _HeldKey:
        with self._lock:
            held = self._drafts.get(draft_id)
        if held is None or held.draft.expires_at <= self._now():
            raise DraftGone
        return held

    def _change_draft(self, draft_id: str, *, run: TestRun, confirmed: bool) -> None:
        with self._lock:
            held = self._drafts.get(draft_id)
            if held is not None:
                old = held.draft
                held.draft = Draft(old.id, old.target, old.key_hint, old.expires_at, old.replaces, run, confirmed)

    # -- connections ---------------------------------------------------------------------------------------------------

    def connections(self) -> list[Connection]:
        return self._store.connections()

    def connection(self, connection_id: str) -> Connection | None:
        return self._store.connection(connection_id)

    def find(self, name: str) -> Connection | None:
        """The connection of this name; upper and lower case count as equal."""
        return self._store.connection_by_name(name)

    def rename(self, connection_id: str, name: str) -> Connection:
        return self._store.update_connection(connection_id, name=name)

    def update(self, connection_id: str, *, used_by: str | None = None, note: str | None = None) -> Connection:
        return self._store.update_connection(connection_id, used_by=used_by, note=note)

    def delete(self, connection_id: str) -> None:
        """Erases key and history here. The key goes on working at the exchange until it is deleted there."""
        with self._store.together():
            connection = self._store.connection(connection_id)
            reasons = (connection_deleted(connection.name),) if connection is not None else ()
            suspended = [
                strategy_event(
                    EventKind.STRATEGY_SUSPENDED,
                    strategy,
                    self._now(),
                    reasons=reasons,
                    needs_person=True,
                    connection_gone=True,
                )
                for strategy in self._store.strategies_of(connection_id)
                if strategy.state is StrategyState.ENABLED
            ]
            self._store.delete_connection(connection_id, events=suspended)
            for name in (_pairing(connection_id), _tripwire(connection_id)):
                if self._store.setting(name) is not None:
                    self._store.set_setting(name, None)
        self._alerts.wake()

    def confirm_withdraw_off(self, connection_id: str) -> TestRun | None:
        """The trader looked at the exchange: the key cannot withdraw. Gives the new verdict, None without a run to
        confirm.
        """
        last = self.latest_run(connection_id)
        if last is None or last.key_report is None:
            return None
        now = self._now()
        run = confirm(last, now)
        if run is last:
            return None
        asked_at = last.answered_at or last.started_at
        confirmed = run.model_copy(
            update={
                "id": new_run_id(now),
                "started_at": now,
                "answered_at": asked_at,
                "duration_ms": 0.0,
                "receipt": (),
            }
        )
        with self._store.together():
            self._store.confirm_withdraw_off(connection_id, now, last.key_report.rights_hash())
            self._store.add_run(confirmed, lambda before: events_of(before, confirmed))
            self._strategies.after_test(connection_id)
        self._alerts.wake()
        return confirmed

    # -- keys in other bots' files -------------------------------------------------------------------------------------

    def find_bot_keys(self, path: str) -> Findings:
        """The keys in another bot's file or folder on this computer. Sends nothing. BfaiError where there is none."""
        if self.mode is Mode.HOSTED:
            raise BfaiError(Message(text=N_("The files of this server are not yours. Upload your file instead.")))
        return bots.find_keys(path)

    def find_uploaded_keys(self, files: Sequence[tuple[str, str]]) -> Findings:
        """The same for uploaded files, as pairs of name and text."""
        return bots.find_in_texts(files)

    def take_found(self, found: Findings) -> list[FoundKey]:
        """The found keys, sealed in memory where they can be tested. Nothing is sent. A double is taken once."""
        taken: list[FoundKey] = []
        seen: set[str] = set()
        for key in found.keys:
            bare, draft, problem = replace(key, credentials=None), None, None
            if key.exchange is None:
                problem = Message(text=N_("This exchange is not supported."))
            elif not seen.isdisjoint(key.same_as):
                problem = Message(text=N_("The same key as another one on this list."))
            elif key.target.exchange and not key.testable:
                problem = Message(text=N_("This key cannot be read here. Paste it yourself, or make a new one."))
            else:
                try:
                    draft = self.draft_of(key)
                except BfaiError as error:
                    problem = error.message
            seen.add(key.id)
            taken.append(FoundKey(bare, draft.id if draft else None, problem))
        return taken

    def draft_of(self, key: BotKey) -> Draft:
        """A found key as one that waits for its test, once the trader agreed that its exchange sees it."""
        if not key.testable or key.credentials is None:
            raise NotSavable(Message(text=N_("This key cannot be read here. Paste it yourself, or make a new one.")))
        credentials = get_exchange(key.target.exchange).normalise(key.credentials)
        return self.draft(key.target, credentials)

    def save_bot_key(self, draft_id: str, key: BotKey) -> Connection:
        """Stores a found key that passed its test, named after exchange and bot. Raises as `save_draft` does."""
        name = self.suggest_name(self._held(draft_id).draft.target, key.bot)
        return self.save_draft(draft_id, name=name, used_by=key.bot)

    # -- tests ---------------------------------------------------------------------------------------------------------

    def check(
        self,
        target: Target,
        credentials: Credentials,
        *,
        try_regions: bool = False,
        on_answer: Callable[[Answer], None] | None = None,
    ) -> TestRun:
        """Tests a key and stores nothing. Waits for the result. `on_answer` sees the raw answers, for their shape."""
        job = TestJob(self._here(target))
        self._engine(job.target).start(job, credentials, try_regions=try_regions, on_answer=on_answer)
        return job.wait()

    def start_test(self, connection_id: str) -> TestJob:
        """Starts a test in the background. A connection that is being tested gives the test that runs: also one that
        another program on the same store runs, whose result this job then waits for.
        """
        job = self._begin_test(connection_id, self._now, due=False)
        assert job is not None
        return job

    def start_due_test(self, connection_id: str, clock: Callable[[], datetime] | None = None) -> TestJob | None:
        """Starts the test that is due by the connection's schedule; None where it is not, or somebody else tests it.

        `clock` tells the time for the schedule alone, in place of the workbench's.
        """
        return self._begin_test(connection_id, clock or self._now, due=True)

    def start_delegated_test(
        self, connection_id: str, key: WorkerKey, clock: Callable[[], datetime] | None = None
    ) -> TestJob | None:
        """For a worker: `start_due_test` with what was delegated to it, whether the vault is open or not. None also
        where nothing is delegated to it any more.
        """
        given, connection = self._store.delegation(connection_id), self._store.connection(connection_id)
        if connection is None or given is None or given.worker_id != key.id:
            return None

        def unseal(one: Connection) -> Credentials:
            return key.open(self._store.owner, one.id, self._store.delegation(one.id))

        job = self._begin_test(connection_id, clock or self._now, due=True, unseal=unseal)
        place = monitor.place(connection.target)
        if job is None and place in self._store.pauses():
            self._store.put_off_delegated(connection_id, place)
        return job

    def _by_vault(self) -> Callable[[Connection], Credentials]:
        """Opens the credentials of a connection. Raises VaultIsLocked where the vault is not open."""
        vault = self._open_vault()
        return lambda connection: vault.open(connection.id, self._store.sealed(connection.id))

    def _begin_test(
        self,
        connection_id: str,
        clock: Callable[[], datetime],
        *,
        due: bool,
        unseal: Callable[[Connection], Credentials] | None = None,
    ) -> TestJob | None:
        unseal = unseal or self._by_vault()
        connection = self._existing(connection_id)
        lease = TestLease(self._store, connection, self._holder, clock, self._chance)
        with self._lock:
            running = self._jobs.get(connection_id)
            if running is not None and not running.done:
                return None if due else running
            taken = lease.take(due=due)
            if due and not taken:
                return None
            job = self._jobs[connection_id] = TestJob(connection.target, connection_id)
        if taken:
            self._test(unseal, connection, job, lease)
        else:
            threading.Thread(
                target=self._follow, args=(connection, job, lease), name="bfai-follow", daemon=True
            ).start()
        return job

    def _test(
        self, unseal: Callable[[Connection], Credentials], connection: Connection, job: TestJob, lease: TestLease
    ) -> None:
        """Tests a connection whose lease is ours."""
        confirmation = _confirmation(connection)

        def keep(run: TestRun) -> TestRun:
            self._doubt_address(run, job.target)
            return self._keep(run, lease.end(run))

        try:
            credentials = unseal(connection)
            engine = self._engine(job.target)
        except BfaiError as error:
            with contextlib.suppress(StoreError):
                lease.free()
            job.finish(None, error.message)
            raise
        beside = self._beside(job.target)
        engine.start(job, credentials, confirmation=confirmation, keep=keep, held=lease, beside=beside)

    def _follow(self, connection: Connection, job: TestJob, lease: TestLease) -> None:
        """Waits for the result of another program's test; where that was killed, tests after its lease."""
        try:
            while lease.is_taken() or not lease.take(due=False):
                if self._closed.wait(FOLLOW_SECONDS):
                    raise VaultIsLocked
            now = self._store.connection(connection.id)
            if now is None:
                raise UnknownConnection
            run = self._store.run(now.last_run_id or "") if now.last_run_id != connection.last_run_id else None
            if run is None:
                self._test(self._by_vault(), now, job, lease)
                return
            lease.give_back()
            job.finish(run)
        except BfaiError as error:
            job.finish(None, error.message)

    def _keep(self, run: TestRun, end: RunEnd | None = None) -> TestRun:
        """Stores a run of a stored connection, with what the tripwire finds. Gives it as it is kept."""
        connection_id, old = run.connection_id or "", None
        wire = self.tripwire(connection_id)
        fresh: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        if wire.on:
            earlier = list(self._earlier(connection_id))
            assets, pairs = tripwire.strangers(wire, earlier, run)
            run = run.model_copy(update={"stranger_assets": assets, "stranger_orders": pairs})
            fresh = tripwire.news(earlier, run)

        def judge(before: Before) -> tuple[Event, ...]:
            nonlocal old
            old = last_known(before.reports)
            return (*events_of(before, run), *stranger_events(before.connection, run, *fresh))

        with self._store.together():
            connection = self._store.add_run(run, judge, end)
            self._strategies.after_test(connection_id, old)
            if run.status is Status.BLOCKED and _can_withdraw(run):
                self._store.revoke_delegation(connection_id)
        self._alerts.wake()
        return run if connection.last_run_id == run.id else self._store.run(run.id) or run

    def _earlier(self, connection_id: str) -> Iterator[TestRun]:
        """The last runs of a connection, the newest first, each read when it is asked for."""
        for row in self._store.runs(connection_id, limit=50):
            run = self._store.run(row.id)
            if run is not None:
                yield run

    def start_tests(self, connection_ids: Sequence[str]) -> list[TestJob]:
        return [self.start_test(connection_id) for connection_id in connection_ids]

    # -- schedules -----------------------------------------------------------------------------------------------------

    def schedules(self) -> list[Schedule]:
        """When every connection is tested by itself, the one that is due first first."""
        return self._store.schedules()

    def schedule(self, connection_id: str) -> Schedule | None:
        return self._store.schedule(connection_id)

    def set_schedule(self, connection_id: str, every: timedelta | None) -> None:
        """Tests the connection at this interval from its last test on, or not by itself for None.

        Raises BfaiError for less than five minutes and more than a week.
        """
        monitor.check_interval(every)
        connection = self._store.connection(connection_id)
        if connection is None:
            raise UnknownConnection
        now = self._now()
        last = connection.last_tested_at
        next_at = now if last is None or every is None else max(now, min(last, now) + every)
        self._store.set_schedule(connection_id, every, now, next_at)

    def next_tests(self) -> dict[str, datetime]:
        """When each connection's next test begins by itself, the first first; without those whose schedule is off."""
        pauses = self._store.pauses()
        places = {connection.id: monitor.place(connection.target) for connection in self.connections()}
        found: dict[str, datetime] = {}
        for schedule in self._store.schedules():
            at = monitor.next_test(schedule, pauses.get(places.get(schedule.connection_id, "")))
            if at is not None:
                found[schedule.connection_id] = at
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def pauses(self) -> dict[str, Pause]:
        """The exchanges that did not answer their last test, by `bfai.monitor.place`."""
        return self._store.pauses()

    def mend_clock(self, now: datetime) -> None:
        """For the monitor: the clock was set back to `now`."""
        self._store.mend_clock(now)

    def running(self) -> dict[str, TestJob]:
        """The tests of stored connections that run now, by connection."""
        with self._lock:
            return {key: job for key, job in self._jobs.items() if not job.done and job.connection_id is not None}

    def job(self, job_id: str) -> TestJob | None:
        """A test of this workbench by its id: the last one of each connection and of each draft is known."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.id == job_id), None)

    def _start(
        self,
        key: str,
        job: TestJob,
        credentials: Credentials,
        confirmation: Confirmation | None,
        keep: Callable[[TestRun], TestRun],
        *,
        try_regions: bool = False,
    ) -> TestJob:
        with self._lock:
            running = self._jobs.get(key)
            if running is not None and not running.done:
                return running
            self._jobs[key] = job
        self._engine(job.target).start(job, credentials, confirmation=confirmation, try_regions=try_regions, keep=keep)
        return job

    def _is_simulated(self, target: Target | None) -> bool:
        """Whether its requests stay in this process."""
        simulated = target is not None and target.environment is Environment.SIMULATOR and self._gateway is None
        return simulated or self.mode is Mode.DEMO

    def _engine(self, target: Target | None = None) -> Engine:
        if self._is_simulated(target):
            return _simulator_engine()
        if target is not None:  # of a vault that was brought here from home
            self._check_way_out(target.egress_proxy)
        return self._own_engine or _engine(self._gateway)

    def _here(self, target: Target) -> Target:
        """The target as it can be tested: in the tour every connection is a simulated one, whatever was chosen.

        Raises BfaiError for a market that the region does not have.
        """
        exchange = get_exchange(target.exchange)
        if not exchange.serves(target.region, target.market, target.environment):
            text = N_("{region} does not offer this market. Choose another market, or another region.")
            raise BfaiError(Message(text=text, params={"region": exchange.region(target.region).name}))
        return target.model_copy(update={"environment": Environment.SIMULATOR}) if self.mode is Mode.DEMO else target

    # -- what a worker may test while the vault is locked --------------------------------------------------------------

    def workers(self) -> list[Worker]:
        """The workers of this database that a connection can be delegated to, by name."""
        return [worker for worker in self._store.workers() if is_genuine(worker)]

    def delegated_to(self, connection_id: str) -> tuple[Worker, datetime] | None:
        """Which worker may test the connection while the vault is locked, and since when."""
        given = self._store.delegation(connection_id)
        worker = next((one for one in self.workers() if given is not None and one.id == given.worker_id), None)
        return None if given is None or worker is None else (worker, given.given_at)

    def delegate(self, connection_id: str, worker_id: str) -> None:
        """Seals the connection's key to a worker's, which may test it from then on. Raises VaultIsLocked,
        UnknownWorker, and NotSavable unless the last test passed: whether the key can withdraw is not known otherwise.
        """
        if not self._existing(connection_id).status.ok:
            text = N_(
                "Only a key whose last test passed is given to the server: else nobody knows whether it can withdraw. "
                "Test it here first."
            )
            raise NotSavable(Message(text=text))
        with self._store.together():  # nobody renews the vault's key meanwhile
            credentials = self._by_vault()(self._existing(connection_id))
            self._delegate(connection_id, worker_id, credentials)

    def revoke_delegation(self, connection_id: str) -> None:
        """The worker's wrap of the key is gone, as it is when a test finds that the key can withdraw. One that runs
        already ends as it would.
        """
        self._store.revoke_delegation(connection_id)

    def _delegate(self, connection_id: str, worker_id: str, credentials: Credentials) -> None:
        worker = next((one for one in self.workers() if one.id == worker_id), None)
        if worker is None:
            raise UnknownWorker
        sealed = seal_to(worker, self._store.owner, connection_id, credentials)
        self._store.delegate(connection_id, Delegation(worker.id, DELEGATION_FORMAT, sealed, self._now()))

    # -- where the bot runs --------------------------------------------------------------------------------------------

    def pair(self, connection_id: str, *, now: datetime | None = None) -> Pairing:
        """Makes a code for one report from where the bot runs, in place of an earlier code. Raises VaultIsLocked."""
        made_at, salt = now or self._now(), os.urandom(16)
        connection = self._existing(connection_id)
        code = self._code(connection, salt, made_at)
        self._store.set_setting(_pairing(connection_id), {"salt": salt.hex(), "made_at": made_at.isoformat()})
        self._store.audit(
            AuditEntry(at=made_at, action="pairing_code", subject=connection_id, detail={"name": connection.name})
        )
        return self._pairing_of(connection, code, made_at)

    def pairing(self, connection_id: str, *, now: datetime | None = None) -> Pairing | None:
        """The code that waits for its report, or None. It is never kept: an open vault works it out again."""
        connection = self._existing(connection_id)
        waiting = self._waiting_code(connection)
        if waiting is None or (now or self._now()) >= waiting[1] + CODE_LIFE:
            return None
        return self._pairing_of(connection, *waiting)

    def take_report(self, connection_id: str, given: str | bytes, *, now: datetime | None = None) -> TestRun:
        """Takes in what `check --pair` printed where the bot runs, as a test like any other. Gives the run as kept.

        Raises PairingError where anything about it is not right, and VaultIsLocked.
        """
        vault, now = self._open_vault(), now or self._now()
        connection, report = self._existing(connection_id), pairing.read_report(given)
        pairing.check_target(report, connection.target, all_exchanges())
        run_id = pairing.run_id_of(report)
        self._refuse_used(run_id)
        waiting = self._waiting_code(connection)
        if waiting is None:
            raise PairingError(N_("No pairing code waits for a report here. Make one, and run its command."))
        code, made_at = waiting
        if run_id != code.run_id:
            text = N_(
                "This report was made with another pairing code than the last one, or before the key was replaced."
            )
            raise PairingError(text)
        credentials = vault.open(connection_id, self._store.sealed(connection_id))
        exchange = get_exchange(connection.target.exchange)
        run = pairing.take(report, code, credentials, exchange, made_at, now, _confirmation(connection))
        try:
            kept = self._keep(run.model_copy(update={"connection_id": connection_id}))
        except StoreError:
            self._refuse_used(run_id)  # taken in twice at the same moment
            raise
        self._store.set_setting(_pairing(connection_id), None)
        detail: dict[str, str | int | float | bool | None] = {"name": connection.name, "from": kept.tested_from}
        self._store.audit(AuditEntry(at=now, action="report_taken", subject=connection_id, detail=detail))
        return kept

    def tested_away(self, connection_id: str) -> TestRun | None:
        """The run that gave the connection its status, where it was made where the bot runs."""
        run = self.latest_run(connection_id)
        return run if run is not None and run.tested_from is not None else None

    def set_aside_since(self, connection_id: str) -> RunRow | None:
        """The newest run, where it was made here after a fresh one from where the bot runs, and does not count."""
        newest = next(iter(self._store.runs(connection_id, limit=1)), None)
        return newest if newest is not None and newest.set_aside else None

    def _refuse_used(self, run_id: str) -> None:
        if run_id and self._store.run(run_id) is not None:
            raise PairingError(N_("This report was taken in already. Each pairing code is good for one report."))

    def _waiting_code(self, connection: Connection) -> tuple[Code, datetime] | None:
        kept = self._store.setting(_pairing(connection.id))
        if not isinstance(kept, dict):
            return None
        fields = cast("dict[str, Any]", kept)
        made_at = datetime.fromisoformat(fields["made_at"])
        return self._code(connection, bytes.fromhex(fields["salt"]), made_at), made_at

    def _code(self, connection: Connection, salt: bytes, made_at: datetime) -> Code:
        """The code of this moment for the connection's present key; nobody without the vault can tell it."""
        vault = self._open_vault()
        credentials = vault.open(connection.id, self._store.sealed(connection.id))
        key = vault.fingerprint(connection.target.exchange, credentials.api_key)
        return Code(vault.pairing_code(connection.id, key, salt + made_at.isoformat().encode()))

    def _pairing_of(self, connection: Connection, code: Code, made_at: datetime) -> Pairing:
        command = pairing.command(code, connection.target, get_exchange(connection.target.exchange))
        return Pairing(code.text, command, made_at)

    # -- by which address exchanges see it -----------------------------------------------------------------------------

    def address(self, about: Connection | Target | None = None, *, shared: bool = False) -> AddressView:
        """By which address exchanges see this computer, or a connection's way out, and what is to be said of it.

        Asks at most every five minutes, and after a test that failed for where it was made; takes up to 2 s. `shared`:
        the program runs on a host that is everybody's.
        """
        connection = about if isinstance(about, Connection) else None
        target = about.target if isinstance(about, Connection) else about or Target(exchange="")
        way = addresses.way(target, simulated=self._is_simulated(target))
        asked = self._asked.get(way)
        if asked is None or self._now() - asked > addresses.HOLDS:
            with contextlib.suppress(BfaiError):
                self._engine(target).ask(lambda transport: self._ask_address(transport, target, way))
        return self._address_view(target, way, connection, shared=shared)

    def _doubt_address(self, run: TestRun, target: Target) -> None:
        """After a refusal that may be about the address, it is asked anew."""
        if run.about_this_place:
            self._asked.pop(addresses.way(target, simulated=self._is_simulated(target)), None)

    def own_address(self) -> str | None:
        """This computer's address as an exchange sees it, IPv4 where it has both."""
        return next(iter(self.address().addresses), None)

    def _address_view(self, target: Target, way: str, connection: Connection | None, *, shared: bool) -> AddressView:
        log, asked = self._store.sightings(way), self._asked.get(way)
        newest = {one.version: one for one in reversed(log)}
        known = [newest[version] for version in sorted(newest)]
        now = [one for one in known if asked is not None and one.last_at >= asked]
        kind = addresses.kind(now, target, simulated=self._is_simulated(target), shared=shared)
        exchanges = all_exchanges()
        restriction, warnings = None, ()
        away = self.tested_away(connection.id) if connection is not None else None
        if connection is not None and away is None:
            good = self._last_good(connection)
            reports = [run.key_report for run in (self.latest_run(connection.id), good) if run and run.key_report]
            lists = (report.ip_restriction for report in reports)
            restriction = next((one for one in lists if one.state is not GrantState.UNKNOWN), None)
            until = good.started_at + timedelta(milliseconds=good.duration_ms) if good is not None else None
            exchange = exchanges[target.exchange]
            warnings = addresses.warnings(now, log, exchange, good_until=until, restriction=restriction)
        return AddressView(
            now=tuple(now),
            before=() if now else tuple(known),
            told_by=tuple(dict.fromkeys(exchanges[one.source].name for one in now))
            or tuple(one.name for one in addresses.tellers()),
            kind=kind,
            warnings=warnings,
            notes=addresses.notes(now, log, kind, restriction=restriction, at=self._now()),
        )

    def _last_good(self, connection: Connection) -> TestRun | None:
        """The last test from here that the present key passed."""
        rows = self._store.runs(
            connection.id, since=connection.key_since, statuses=(Status.ONLINE, Status.CONNECTED), limit=20
        )
        found = (self._store.run(row.id) for row in rows)
        return next((run for run in found if run is not None and run.tested_from is None), None)

    def _beside(self, target: Target) -> Beside | None:
        """Asks for the address while a test runs, where nobody did in the last minutes."""
        way = addresses.way(target, simulated=self._is_simulated(target))
        with self._lock:
            asked = self._asked.get(way)
            if way in self._asking or (asked is not None and self._now() - asked <= addresses.HOLDS):
                return None
            self._asking.add(way)

        async def ask(transport: Transport) -> tuple[Sent, ...]:
            try:
                return await self._ask_address(transport, target, way)
            finally:
                self._asking.discard(way)

        return ask

    async def _ask_address(self, transport: Transport, target: Target, way: str) -> tuple[Sent, ...]:
        """Asks, and remembers the answer."""
        heard, at = await addresses.ask(transport, target), self._now()

        def remember() -> None:
            for address, source in heard.told:
                self._store.see_address(way, address, source, at)
            self._asked[way] = at

        await asyncio.to_thread(remember)
        return heard.receipt

    def set_way_out(self, connection_id: str, proxy: str) -> Connection:
        """Sends the connection's requests through this proxy, or straight where it is empty. Raises BfaiError."""
        found = addresses.read_proxy(proxy)
        if found is not None and self.mode is Mode.DEMO:
            raise BfaiError(Message(text=N_("Simulated exchanges are on this computer: no way out is needed here.")))
        self._check_way_out(found)
        return self._store.update_connection(connection_id, egress_proxy=found)

    def _check_way_out(self, proxy: str | None) -> None:
        """On a server a way out leads to the internet, never to what only the server reaches. Raises BfaiError."""
        if self.mode is Mode.HOSTED and proxy is not None and not addresses.is_public(proxy):
            text = N_(
                "This workbench runs on a server: a way out is a public address in figures there, such as"
                " socks5://203.0.113.7:1080."
            )
            raise BfaiError(Message(text=text))

    # -- the tripwire --------------------------------------------------------------------------------------------------

    def tripwire(self, connection_id: str) -> Tripwire:
        """What the trader listed for this connection; off unless it was set."""
        return Tripwire.from_json(self._store.setting(_tripwire(connection_id)))

    def set_tripwire(self, connection_id: str, *, on: bool, assets: str, pairs: str) -> Tripwire:
        """Lists as they were typed. Raises BfaiError for what is no asset or pair."""
        connection = self._existing(connection_id)
        wire = Tripwire(on, tripwire.read_names(assets, pairs=False), tripwire.read_names(pairs, pairs=True))
        if on and not (wire.assets or wire.pairs):
            raise BfaiError(Message(text=N_("List what the bot may touch, or leave the tripwire off.")))
        if wire != self.tripwire(connection_id):
            self._store.set_setting(_tripwire(connection_id), wire.as_json())
            detail: dict[str, str | int | float | bool | None] = {"name": connection.name, "on": on}
            self._store.audit(AuditEntry(at=self._now(), action="tripwire", subject=connection_id, detail=detail))
        return wire

    def suggest_tripwire(self, connection_id: str) -> Tripwire:
        """What the last test saw and what the connection's strategies trade, for a trader who has listed nothing."""
        earlier = list(self._earlier(connection_id))
        assets = next((seen for run in earlier if (seen := tripwire.assets_seen(run)) is not None), frozenset[str]())
        orders = next((run.order_pairs for run in earlier if run.order_pairs is not None), ())
        traded = [
            pair
            for strategy in self._store.strategies_of(connection_id)
            for pair in self._strategies.parameters(strategy.id).pairs
        ]
        return Tripwire(False, tuple(sorted(assets))[: tripwire.MOST], tuple(dict.fromkeys((*traded, *orders))))

    def tripwire_blind_spots(self, connection_id: str) -> Message:
        """What it cannot see on this connection."""
        target = self._existing(connection_id).target
        return tripwire.blind_spots(get_exchange(target.exchange), target)

    def _existing(self, connection_id: str) -> Connection:
        connection = self._store.connection(connection_id)
        if connection is None:
            raise UnknownConnection
        return connection

    # -- results and history -------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> TestRun | None:
        return self._store.run(run_id)

    def latest_run(self, connection_id: str) -> TestRun | None:
        """The run that gave the connection its present status."""
        connection = self._store.connection(connection_id)
        run = self._store.run(connection.last_run_id) if connection and connection.last_run_id else None
        if connection is not None and run is not None and run.status is not connection.status:
            raise RowDamaged  # neither is believed: one of them was changed from outside
        return run

    def runs(
        self,
        connection_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Collection[Status] | None = None,
        causes: Collection[Cause] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Newest first."""
        return self._store.runs(
            connection_id, since=since, until=until, statuses=statuses, causes=causes, limit=limit, offset=offset
        )

    def count_runs(
        self,
        connection_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Collection[Status] | None = None,
        causes: Collection[Cause] | None = None,
    ) -> int:
        return self._store.count_runs(connection_id, since=since, until=until, statuses=statuses, causes=causes)

    def recent_runs(self, n: int = 40) -> dict[str, list[RunRow]]:
        return self._store.recent_runs(n)

    @property
    def history(self) -> History:
        """The figures of all test runs."""
        return self._history

    def maintain(self) -> None:
        """Rolls up past tests and deletes old ones: when a program starts, and daily. See `History.maintain`."""
        self._history.maintain()

    def audit_entries(self, limit: int = 200) -> list[AuditEntry]:
        return self._store.audit_entries(limit)

    def trail(
        self, wanted: Wanted, render: Callable[[Message], str], *, limit: int | None = None, offset: int = 0
    ) -> tuple[list[AuditEntry], int]:
        """The lines of the audit trail that are wanted, newest first, from `offset` on, and how many there are in all.

        `render` puts a sentence into the reader's language: a search looks for words in it.
        """
        if not wanted.text.strip():
            entries = self._store.audit_entries(limit, offset, **wanted.stored)
            return entries, self._store.count_audit_entries(**wanted.stored)
        fits, found, count = trailing.matching(wanted.text, render), list[AuditEntry](), 0
        for start in range(0, self._store.count_audit_entries(**wanted.stored), _TRAIL_AT_ONCE):
            for entry in filter(fits, self._store.audit_entries(_TRAIL_AT_ONCE, start, **wanted.stored)):
                if count >= offset and (limit is None or len(found) < limit):
                    found.append(entry)
                count += 1
        return found, count

    def export_trail(self, wanted: Wanted, render: Callable[[Message], str], form: str, zone: tzinfo) -> str:
        """The lines that are wanted as `csv` or `json`. Audited as `trail_exported`."""
        entries, count = self.trail(wanted, render)
        found = trailing.rows(entries, self.trail_names(), render, zone)
        self._store.audit(AuditEntry(at=self._now(), action="trail_exported", detail={"count": count, "form": form}))
        return trailing.to_csv(found) if form == "csv" else trailing.to_json(found)

    def trail_names(self) -> dict[str, str]:
        """The names of connections and strategies by their ids, also of those that were deleted."""
        gone_connections, gone_strategies = self.deleted_names()
        there = (*self._store.strategies(), *self._store.connections())
        return gone_connections | gone_strategies | {one.id: one.name for one in there}

    def deleted_names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Ids and names of connections, and of strategies, that are in the trail only."""
        found: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for entry in self._store.audit_entries(actions=("deleted", "strategy_deleted")):
            found[entry.action != "deleted"][entry.subject] = str(entry.detail.get("name") or "")
        return found

    # -- a result in words ---------------------------------------------------------------------------------------------

    def remedy(self, run: TestRun) -> Remedy | None:
        """What is wrong and what to do, for a failed or blocked run."""
        if run.diagnosis is None:
            return None
        return remedy(
            run.diagnosis,
            get_exchange(run.exchange),
            run.market,
            run.key_report,
            stored=run.connection_id is not None,
        )

    def thief_view(self, run: TestRun) -> tuple[Message, ...]:
        return words.thief_view(run)

    def explain(self, text: str, exchange_id: str | None = None) -> Explanation:
        """What a pasted answer, exception, log line or page means. Works offline and keeps nothing."""
        exchange = get_exchange(exchange_id) if exchange_id else None
        return explain_text(text, all_exchanges().values(), exchange=exchange)

    def remedy_of(self, explanation: Explanation) -> Remedy | None:
        """Cause, steps and link for an explained refusal."""
        found, exchange = explanation.diagnosis, explanation.exchange
        if found is None:
            return None
        if exchange is None:
            return Remedy(title=Message(text=CAUSE_NAMES[found.cause]), text=sentence(found, None), said=None)
        return remedy(found, exchange, exchange.markets[0], None, stored=False)

    def rights_table(self, run: TestRun) -> list[RightRow]:
        return words.rights_table(run, get_exchange(run.exchange))

    def advice(self, run: TestRun) -> list[Message]:
        return words.advice(run, get_exchange(run.exchange))

    def tested_from(self, run: TestRun) -> Message | None:
        """Where a test was made, where that was not here."""
        return words.tested_from(run)

    def alarms(self, run: TestRun) -> tuple[Message, ...]:
        """What the tripwire says of a run."""
        return words.alarms(run)

    def set_aside(self, run: TestRun) -> Message | None:
        """Why a run does not count that was made in the wrong place."""
        return words.set_aside(run)

    def is_exposed(self, run: TestRun) -> bool:
        return words.is_exposed(run, get_exchange(run.exchange))

    def next_step(self, connection: Connection, run: TestRun | None) -> Message:
        return words.next_step(connection, run, get_exchange(connection.target.exchange))

    # -- the tour ------------------------------------------------------------------------------------------------------

    def add_samples(self) -> list[TestJob]:
        """Adds sample connections of every exchange, on simulated accounts, and starts their tests.

        Unlike a trader's keys they are stored before they are tested, so that refused ones can be looked at as well.
        """
        vault = self._open_vault()
        if self.mode is not Mode.DEMO:
            raise NotSavable(Message(text=N_("Sample connections are for the tour only.")))
        ids: list[str] = []
        for number, exchange in enumerate(all_exchanges().values()):
            accounts = _shared_simulator().accounts.get(exchange.id, {})
            main = next((name for name in _MAIN_ACCOUNTS if name in accounts), None)
            for account, market, purpose in ((main, Market.SPOT, "Main"), _EXTRAS[number % len(_EXTRAS)]):
                if account not in accounts or market not in exchange.markets:
                    continue
                sample = accounts[account]
                credentials = Credentials(sample["apiKey"] or "", sample["secret"] or "", sample["password"])
                target = self._here(Target(exchange=exchange.id, market=market, region=exchange.regions[0].id))
                fingerprint = vault.fingerprint(exchange.id, credentials.api_key)
                if self._store.connection_by_fingerprint(fingerprint) is not None:
                    continue
                now = self._now()
                connection = Connection(
                    id=uuid.uuid4().hex,
                    name=self.suggest_name(target, purpose),
                    target=target,
                    key_hint=credentials.hint,
                    created_at=now,
                    key_since=now,
                )
                self._store.add_connection(connection, vault.seal(connection.id, credentials), fingerprint)
                ids.append(connection.id)
        return self.start_tests(ids)

    def sample_keys(self, exchange_id: str) -> list[tuple[Message, str]]:
        """Keys of simulated accounts to paste, written as an exchange shows them. Empty outside the tour."""
        exchange = all_exchanges().get(exchange_id)
        if self.mode is not Mode.DEMO or exchange is None:
            return []
        accounts = _shared_simulator().accounts.get(exchange_id, {})
        names = {"api_key": "apiKey", "secret": "secret", "passphrase": "password"}
        return [
            (
                Message(text=label),
                "\n".join(f"{spec.label}: {accounts[account][names[spec.name]]}" for spec in exchange.fields),
            )
            for account, label in _TO_PASTE
            if account in accounts
        ]


def _engine_home(url: str, owner: str) -> Path | None:
    """Where engines live: `BFAI_ENGINE_HOME`, else beside the database; nowhere where nothing is kept."""
    given = os.environ.get("BFAI_ENGINE_HOME")
    if given:
        return Path(given)
    path = url.removeprefix("sqlite:///")
    if path == url or not path or ":memory:" in url:
        return None
    home = Path(path).absolute().parent / "engines"
    return home if owner == "local" else home / hashlib.sha256(owner.encode()).hexdigest()[:16]


def _pairing(connection_id: str) -> str:
    """The setting that holds what a pairing code is worked out from."""
    return f"pairing/{connection_id}"


def _tripwire(connection_id: str) -> str:
    """The setting that holds a connection's tripwire."""
    return f"tripwire/{connection_id}"


def _can_withdraw(run: TestRun) -> bool:
    """Whether the exchange listed that right."""
    return run.key_report is not None and run.key_report.state(Permission.WITHDRAW) is GrantState.GRANTED


_Account = tuple[str, str, Environment, str | None]


def _account(target: Target, facts: AccountFacts) -> _Account:
    """Whose key it is: an exchange's number for an account counts within one region and environment."""
    return target.exchange, target.region, target.environment, facts.account_id


def _confirmation(connection: Connection) -> Confirmation | None:
    if connection.confirmed_at is None or connection.confirmed_hash is None:
        return None
    return Confirmation(connection.confirmed_at, connection.confirmed_hash)


_TO_PASTE = (
    ("sub_account", N_("A good key, of a sub-account")),
    ("ip_open", N_("One that works from any address")),
    ("read_only", N_("One that may not trade")),
    ("unknown_right", N_("One whose list of rights has an unknown word")),
)
"""None of the keys that `add_samples` has stored already."""

_MAIN_ACCOUNTS = ("no_futures", "good")
_EXTRAS = (
    ("ip_open", Market.SPOT, "Grid"),
    ("expiring", Market.SPOT, "DCA"),
    ("withdraw", Market.SPOT, "Old Key"),
    ("good", Market.FUTURES, "Conservative"),
    ("ip_blocked", Market.SPOT, "Server"),
)
"""Each exchange shows a good key and one of these, in turn, where it has such a key."""

_STRENGTH_HINTS: Mapping[str, str] = {
    "too_short": N_("At least 10 characters. Four or five unrelated words are good."),
    "common": N_("This is among the first that are guessed. Take four or five unrelated words."),
    "name": N_("Names are guessed early. Add unrelated words."),
    "keyboard": N_("Neighbouring keys are guessed early. Add unrelated words."),
    "repeat": N_("Repeated characters add little. Add unrelated words."),
    "sequence": N_("Sequences such as abc or 6543 add little. Add unrelated words."),
    "date": N_("Dates are guessed early. Add unrelated words."),
    "add_words": N_("Add another word or two."),
    "": N_("Hard to guess."),
}
