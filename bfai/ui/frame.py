"""The frame of every page: language, lock, page links, vault box, banner.

A page may be opened cold, by its address, so the lock is checked here and nowhere else: `open_page` gives a Workbench
with an open vault, or draws what has to come first and ends the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from bfai.hosting import Kind
from bfai.i18n import N_
from bfai.model import BfaiError
from bfai.ui.first_start import (
    account,
    cannot_open,
    end_tour,
    first_start,
    lock_now,
    lock_screen,
    open_while,
    shared_server,
    unfinished,
    welcome,
)
from bfai.ui.language import _, choose_language, choose_zone, language_switch, n_
from bfai.ui.location import link, open_place
from bfai.ui.pieces import REDRAWN, part, told
from bfai.ui.session import Keeper, NotSignedIn, hosting, in_tour, keeper, signed_in, tour, warm_up
from bfai.workbench import Mode, VaultState, Workbench

ASSETS = Path(__file__).parent / "assets"

CHOSEN = ("#1D4F91", "#8FBCF3")
"""What is chosen of several, as text: on the light ground and on the dark one."""
STYLE = f"""<style>
[data-testid=stApp] button[data-selected=true] p, [data-testid=stSliderThumbValue] p
{{color: light-dark({CHOSEN[0]}, {CHOSEN[1]})}}
</style>"""
"""The one style that is not the theme's. The primary colour bears a white label, and it is text on the ground as well.
On a dark ground no colour can be read as both, and the theme has no second one.
"""


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    file: str
    label: str
    icon: str


PLACES = (
    Place("overview", "app.py", N_("Overview"), ":material/space_dashboard:"),
    Place("connections", "pages/connections.py", N_("Connections"), ":material/key:"),
    Place("history", "pages/history.py", N_("Tests & history"), ":material/monitor_heart:"),
    Place("strategies", "pages/strategies.py", N_("Strategies"), ":material/show_chart:"),
    Place("alerts", "pages/alerts.py", N_("Alerts"), ":material/notifications:"),
    Place("guide", "pages/guide.py", N_("Guide"), ":material/menu_book:"),
    Place("settings", "pages/settings.py", N_("Settings"), ":material/settings:"),
)
BESIDE = (Place("audit", "pages/audit.py", N_("Audit trail"), ":material/receipt_long:"),)
"""Pages that others lead to."""


def open_page(name: str) -> Workbench:
    """Begins a page. Gives the Workbench, its vault open; ends the run where there is none to give."""
    st.set_option("client.showErrorDetails", "none")
    place = next(place for place in (*PLACES, *BESIDE) if place.name == name)
    open_place(place.file)
    choose_language()
    st.set_page_config(
        page_title=_("{page} · BackFuture", page=_(place.label)),
        page_icon=str(ASSETS / "favicon.png"),
        layout="wide",
    )
    warm_up()
    st.html(STYLE)
    st.logo(str(ASSETS / "logo.png"), size="medium", icon_image=str(ASSETS / "logo.png"))
    redrawn = bool(st.session_state.pop(REDRAWN, False))
    if in_tour():
        workbench = tour()
        _sidebar(None)
        _banner()
    else:
        kept = _opened_keeper(clicked=not redrawn)
        workbench = kept.workbench
        _sidebar(kept)
        if workbench.mode is Mode.HOSTED:
            st.caption(f":material/dns: {shared_server()}")
        _notice_lock()
    choose_zone(workbench.settings.time_zone)
    told(again=redrawn)
    return workbench


def _opened_keeper(*, clicked: bool) -> Keeper:
    if hosting().kind is Kind.UNFINISHED:
        unfinished(hosting().problem)
        st.stop()
    try:
        kept = keeper()
    except NotSignedIn as error:
        welcome(None if signed_in() is None else error.message)
        st.stop()
    except BfaiError as error:
        cannot_open(error)
        st.stop()
    if clicked:
        kept.touch()
    state = kept.workbench.vault_state
    if state is VaultState.LOCKED:
        lock_screen(kept)
    elif state is VaultState.NONE:
        first_start(kept)
    if state is not VaultState.OPEN:
        st.stop()
    kept.run_tests()
    return kept


def _sidebar(kept: Keeper | None) -> None:
    """The links, the vault box, the language. `kept` is None where the visitor has a throw-away Workbench."""
    with st.sidebar:
        with st.container(gap="xxsmall"):
            for place in PLACES:
                link(place.file, _(place.label), place.icon, wide=True)
        st.space("small")
        with st.container(border=True, gap="xsmall"):
            if kept is not None:
                _vault_box(kept)
            elif hosting().kind is not Kind.DEMO:
                st.markdown("**:material/explore: " + _("Tour") + "**")
                st.caption(_("Exchanges are simulated, nothing is kept."))
                st.button(
                    _("Leave the tour"),
                    icon=":material/logout:",
                    width="stretch",
                    on_click=end_tour,
                    key="leave_tour",
                )
            else:
                st.markdown("**:material/home: " + _("Run it at home") + "**")
                st.caption(_("With real keys it runs on your own computer only. One command in the project's folder:"))
                st.code("python3 run.py", language=None)
                st.caption(shared_server())
        language_switch("sidebar")


def _vault_box(kept: Keeper) -> None:
    hosted, minutes = kept.workbench.mode is Mode.HOSTED, round(kept.idle_minutes)
    st.markdown("**:green[:material/lock_open:] " + _("Vault open") + "**")
    st.caption(open_while(minutes) if hosted else _stays_open(minutes))
    st.button(_("Lock now"), icon=":material/lock:", width="stretch", on_click=lock_now, args=(kept,), key="lock_now")
    if hosted:
        account()


def _stays_open(minutes: int) -> str:
    if not minutes:
        return _("Stays open until you lock it or end the program.")
    return n_(
        "Stays open across reloads. Locks after {count} minute without a click.",
        "Stays open across reloads. Locks after {count} minutes without a click.",
        minutes,
    )


def _banner() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(_("Simulator"), icon=":material/science:", color="violet")
        if hosting().kind is not Kind.DEMO:
            st.caption(_("This is the tour. Exchanges are simulated, nothing is kept."), width="stretch")
        else:
            st.caption(
                _("This is the demo. Exchanges are simulated, nothing is kept. Never type a real key here."),
                width="stretch",
            )


@part(run_every=15.0)
def _notice_lock() -> None:
    """Draws the lock on a page that still shows an opened vault: `part` looks."""


def is_simulated(workbench: Workbench) -> bool:
    return workbench.mode is Mode.DEMO
