"""Where the Workbench lives between two runs of a page, and when its vault locks by itself.

On the trader's own machine (Streamlit listens on loopback only) one Workbench serves every tab, so an opened vault
survives a reload, and locks after some idle minutes, a setting. Hosted, each visit of somebody who signed in has a
Workbench of its own on that person's rows, which ends with the visit: a reload locks. Everywhere else there is no
vault: each visitor has a throw-away Workbench on simulated exchanges that ends with the visit. The tour is one, too.
Scheduled tests run beside the Workbench while its vault is open, and end with it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import streamlit as st

from bfai.hosting import Hosting, Kind, Person, is_loopback, judge, person
from bfai.i18n import N_
from bfai.model import BfaiError, Message, utc_now
from bfai.monitor import Monitor
from bfai.workbench import Settings, VaultIsLocked, VaultState, Workbench

TOUR = "tour"
_WARM = ("ccxt", "pandas")


class Times(NamedTuple):
    """What two clocks show, in seconds: one that nobody sets, which may stand still while the computer sleeps, and the
    time of day, which does not.
    """

    steady: float
    day: float

    def since(self, before: Times) -> float:
        """How long ago that was, by whichever says longer."""
        return max(self.steady - before.steady, self.day - before.day)


def _times() -> Times:
    return Times(time.monotonic(), time.time())


class Keeper:
    """Holds a Workbench and runs the scheduled tests of its open vault. Locks the vault when nobody clicked for
    `idle_minutes`; 0 is never, None as long as the setting says.
    """

    def __init__(
        self, workbench: Workbench, idle_minutes: float | None = None, clock: Callable[[], Times] = _times
    ) -> None:
        self.workbench = workbench
        self.locked_by_itself = False
        self.locked_after = 0
        self._idle_minutes = idle_minutes
        self._last_limit = (idle_minutes or Settings().lock_minutes) * 60
        self._monitor = Monitor(workbench)
        self._changing = threading.Lock()
        self._clock = clock
        self._used = clock()
        self._closed = threading.Event()
        if idle_minutes != 0:
            threading.Thread(target=self._watch, name="bfai-idle", daemon=True).start()

    @property
    def idle_minutes(self) -> float:
        return self.workbench.settings.lock_minutes if self._idle_minutes is None else self._idle_minutes

    def touch(self) -> None:
        """Somebody clicked. Too late, where the vault should have been locked by now: a computer that slept wakes up
        with a page on its screen.
        """
        self._lock_if_idle()
        self._used = self._clock()

    def run_tests(self) -> None:
        """Begins the scheduled tests if the vault is open."""
        with self._changing:
            if self.workbench.is_open and not self._closed.is_set():
                self._monitor.start()

    def lock(self) -> None:
        """Tests that run are finished and stored; no more begin."""
        self.workbench.lock()  # at once: the monitor may wait for a database
        with self._changing:
            self._monitor.stop()

    def close(self) -> None:
        self._closed.set()
        self.lock()
        self.workbench.close()

    def delete_everything(self) -> None:
        """The vault with all that is in it, see `Workbench.delete_everything`. No test begins meanwhile."""
        with self._changing:
            self._monitor.stop()
            self.workbench.delete_everything()

    def _watch(self) -> None:
        while not self._closed.wait(min(5.0, self._last_limit / 2)):
            self._lock_if_idle()

    def _limit(self) -> float:
        """Idle seconds after which the vault locks."""
        with contextlib.suppress(BfaiError):  # a database that cannot be read just now: what it said last holds
            self._last_limit = self.idle_minutes * 60 or math.inf
        return self._last_limit

    def _lock_if_idle(self) -> None:
        self._lock_after(self._last_limit)  # a database may take its time
        self._lock_after(self._limit())

    def _lock_after(self, limit: float) -> None:
        if self._clock().since(self._used) >= limit and self.workbench.is_open:
            self.lock()
            self.locked_after = round(limit / 60)
            self.locked_by_itself = True


class NotSignedIn(BfaiError):
    """Nobody is signed in here, or not any more."""


def hosting() -> Hosting:
    """What the app is here. The environment says it, and where it says nothing the secrets do."""
    return judge(
        database_url=os.environ.get("BFAI_DATABASE_URL") or _secret("BFAI_DATABASE_URL"),
        auth=_auth(),
        loopback=is_loopback(str(st.get_option("server.address") or "")),
        allowed=os.environ.get("BFAI_ALLOW_NON_LOOPBACK") == "1",
        authlib=_has_authlib(),
        headers=st.get_option("server.trustedUserHeaders"),
        unreadable=not _secrets() and any(Path(file).exists() for file in st.get_option("secrets.files")),
    )


def _secrets() -> Mapping[str, Any]:
    """Empty where there are none, or they cannot be read: Streamlit says so in its log when it starts."""
    try:
        st.secrets.keys()
    except FileNotFoundError:
        return {}
    return st.secrets


def _secret(name: str) -> str | None:
    found = _secrets().get(name)
    return found if isinstance(found, str) else None


def _auth() -> Mapping[str, Any] | None:
    if "auth" not in _secrets():
        return None
    found: object = st.secrets["auth"]
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


@st.cache_resource(show_spinner=False)
def _has_authlib() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("authlib", "httpx"))


def signed_in() -> Person | Message | None:
    """Who has this page open; a message that says why a sign-in does not count any more; None for nobody."""
    return person(cast("Mapping[str, Any]", st.user.to_dict()), utc_now())


def keeper() -> Keeper:
    """The Workbench of this computer, or that of this visit of whoever signed in. Raises BfaiError where its database
    cannot be used, and NotSignedIn.
    """
    found = hosting()
    if found.kind is Kind.LOCAL:
        return _keeper(found.database_url)
    who = signed_in() if found.kind is Kind.HOSTED else found.problem
    if isinstance(who, Person) and found.database_url:
        kept = _own_keeper(found.database_url, who.owner)
        if kept.workbench.begin_visit(who.signed_in_at):
            return kept
        _own_keeper.clear()
        who = Message(text=N_("You are logged out. Sign in again; nothing is lost."))
    raise NotSignedIn(who if isinstance(who, Message) else Message(text=N_("Sign in first.")))


def admit(*, clicked: bool = True) -> None:
    """Before a click changes anything, or a part of a page is drawn by itself: Streamlit does both without the page's
    own beginning. Raises VaultIsLocked where the vault locked meanwhile, NotSignedIn for who logged out elsewhere.
    """
    if in_tour():
        return
    kept = keeper()
    if clicked:
        kept.touch()
    if kept.workbench.vault_state is VaultState.LOCKED:
        raise VaultIsLocked


@st.cache_resource(show_spinner=False, scope="session", on_release=Keeper.close)
def _own_keeper(database_url: str, owner: str) -> Keeper:
    return Keeper(Workbench.hosted(database_url, owner))


def log_out(*, here_alone: bool = False) -> None:
    """Locks, forgets, and ends every visit of this person, in whatever browser it is; `here_alone` only this one.
    Raises BfaiError where the others could not be ended: then this one goes on, locked.
    """
    if not here_alone:
        with contextlib.suppress(NotSignedIn):
            kept = keeper()
            kept.lock()
            kept.workbench.end_visits()
    _own_keeper.clear()
    st.session_state.clear()
    st.logout()


@st.cache_resource(show_spinner=False, on_release=Keeper.close)
def _keeper(database_url: str | None) -> Keeper:
    return Keeper(Workbench.local(database_url))


@st.cache_resource(show_spinner=False, scope="session", on_release=Keeper.close)
def _visit() -> Keeper:
    workbench = Workbench.tour()
    workbench.add_samples()
    return Keeper(workbench, 0)


def tour() -> Workbench:
    """This visit's throw-away Workbench, with sample connections whose tests have begun."""
    kept = _visit()
    kept.run_tests()
    return kept.workbench


def in_tour() -> bool:
    """Whether this visit has a throw-away Workbench."""
    return hosting().kind is Kind.DEMO or bool(st.session_state.get(TOUR))


def start_tour() -> None:
    st.session_state[TOUR] = True


def leave_tour() -> None:
    st.session_state.pop(TOUR, None)
    _visit.clear()


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Pays once a process, behind the first page, for the two imports that the first test and the first table need."""

    def work() -> None:
        time.sleep(1.0)
        for name in _WARM:
            importlib.import_module(name)

    threading.Thread(target=work, name="bfai-warm-up", daemon=True).start()
