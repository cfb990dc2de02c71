"""Connections: the list, and the way of a new key into it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Message, utc_now
from bfai.ui import _, calm, duration, moment, n_, open_page, plain, say, zone
from bfai.ui.connection_settings import current_settings, draw_settings, open_settings
from bfai.ui.importer import current_importer, draw_importer, open_importer
from bfai.ui.location import location
from bfai.ui.pieces import (
    HISTORY,
    TESTING,
    age,
    attempt,
    attempting,
    badge,
    chip,
    exchange_name,
    facts,
    head,
    market_name,
    rerun_when_done,
    tell,
    window,
)
from bfai.ui.wizard import Wizard, current_wizard, draw_wizard, leave_wizard, name_line, open_wizard, resume, to_key
from bfai.workbench import Draft, Workbench

PER_PAGE = 20


def draw(workbench: Workbench) -> None:
    take_orders_from_address(workbench)
    if current_wizard() is not None:
        draw_wizard(workbench, on_leave=leave_wizard)
        return
    if current_importer() is not None:
        draw_importer(workbench)
        return
    chosen = current_settings(workbench)
    if chosen is not None:
        draw_settings(workbench, chosen)
        return
    connections = sorted(workbench.connections(), key=lambda connection: connection.name.casefold())
    with head(_("Connections"), n_("{count} connection", "{count} connections", len(connections))):
        st.button(_("Import from a bot"), icon=":material/move_to_inbox:", on_click=open_importer, key="import")
        st.button(_("Add a connection"), icon=":material/add:", type="primary", on_click=add, key="add")
    for draft in workbench.drafts():
        waiting(workbench, draft)
    if not connections:
        st.write(_("Nothing here yet. A connection joins one account at an exchange to your bots through one API key."))
        return
    searched = ""
    if len(connections) > PER_PAGE:
        searched = st.text_input(
            _("Search"), type="search", key="connection_search", placeholder=_("Name, exchange, what uses it")
        )
    found = [connection for connection in connections if matches(workbench, connection, searched or "")]
    pages = -(-len(found) // PER_PAGE)
    page = st.pagination(pages, key="connection_page") if pages > 1 else 1
    accounts = workbench.accounts()
    for connection in found[((page or 1) - 1) * PER_PAGE :][:PER_PAGE]:
        row(workbench, connection, accounts.get(connection.id, ()))
    if not found:
        st.caption(_("No connection fits."))
    rerun_when_done(workbench.running().values())


def take_orders_from_address(workbench: Workbench) -> None:
    """`?add=1`, `?add=kucoin` and `?rotate=…` open the wizard, once."""
    asked = location.pop("add", None)
    if asked:
        add()
        if asked in workbench.exchanges():
            to_key(workbench, asked)
    rotated = location.pop("rotate", None)
    connection = workbench.connection(rotated) if rotated else None
    if connection is not None:
        rotate(connection)


def add() -> None:
    open_wizard(Wizard())


def rotate(connection: Connection) -> None:
    open_wizard(Wizard(step=2, target=connection.target, replaces=connection.id))


def matches(workbench: Workbench, connection: Connection, text: str) -> bool:
    target = connection.target
    hay = (connection.name, exchange_name(workbench, target.exchange), connection.used_by, connection.note)
    return text.strip().casefold() in " ".join((*hay, market_name(target.market))).casefold()


def waiting(workbench: Workbench, draft: Draft) -> None:
    """A key that was pasted and is neither saved nor forgotten."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            _(
                "A key for {exchange} waits {left} more, sealed in memory.",
                exchange=exchange_name(workbench, draft.target.exchange),
                left=duration((draft.expires_at - utc_now()).total_seconds() // 60 * 60 or 60),
            ),
            width="stretch",
        )
        st.button(_("Test again"), key=f"resume_{draft.id}", on_click=resume, args=(workbench, draft.id))
        forget = attempting(lambda: workbench.forget_draft(draft.id))
        st.button(_("Forget it now"), key=f"forget_{draft.id}", on_click=forget)


def row(workbench: Workbench, connection: Connection, marks: Sequence[Message]) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{connection.id}"):
        with st.container(gap="xsmall", width="stretch"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(connection.name)}**", width="content")
                if connection.id in workbench.running():
                    badge(TESTING)
                else:
                    chip(connection.status)
            st.caption(f"{facts(workbench, connection, marks)} · {age(connection)}")
            if connection.used_by:
                st.markdown(_("Used by {what}", what=plain(connection.used_by)))
            if connection.note:
                st.caption(plain(connection.note))
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
            if st.button(_("Edit"), key=f"edit_{connection.id}"):
                edit(workbench, connection)
            st.button(_("Rotate key"), key=f"rotate_{connection.id}", on_click=rotate, args=(connection,))
            st.button(_("Settings"), key=f"settings_{connection.id}", on_click=open_settings, args=(connection.id,))
            if st.button(_("Delete"), key=f"delete_{connection.id}"):
                delete(workbench, connection)
            if st.button(_("Details"), type="tertiary", key=f"details_{connection.id}"):
                st.switch_page(HISTORY, query_params={"connection": connection.id})


def edit(workbench: Workbench, connection: Connection) -> None:
    keys = {name: f"{name}_{connection.id}" for name in ("name", "used_by", "note")}

    @attempting
    def save() -> None:
        values = {name: str(st.session_state.get(key) or "") for name, key in keys.items()}
        try:
            if values["name"] != connection.name:
                problem = workbench.name_problem(values["name"], except_id=connection.id)
                if problem is not None:
                    raise BfaiError(problem)
                workbench.rename(connection.id, values["name"])
            workbench.update(connection.id, used_by=values["used_by"], note=values["note"])
        except BfaiError as error:
            st.session_state["edit_problem"] = error.message

    @window(_("Edit {name}", name=plain(connection.name)))
    def dialog() -> None:
        with calm():
            name = st.text_input(_("Name"), value=connection.name, max_chars=60, key=keys["name"], live="500ms")
            name_line(workbench, connection.target, name or "", except_id=connection.id)
            st.text_input(_("What uses it"), value=connection.used_by, max_chars=120, key=keys["used_by"])
            st.text_area(_("Note"), value=connection.note, max_chars=300, key=keys["note"])
            st.caption(
                _(
                    "Exchange, market and key stay: for another market add a connection, for another key rotate it."
                    " Added {added} ({zone}), this key since {since}.",
                    added=moment(connection.created_at),
                    zone=zone(),
                    since=moment(connection.key_since),
                )
            )
            saved = st.button(_("Save"), type="primary", key="save_edit", on_click=save)
            problem: Message | None = st.session_state.pop("edit_problem", None)
            if problem is not None:
                st.warning(say(problem))
            elif saved:
                st.rerun()

    dialog()


def delete(workbench: Workbench, connection: Connection) -> None:
    exchange = workbench.exchanges().get(connection.target.exchange)
    where = exchange_name(workbench, connection.target.exchange)

    def erase() -> None:
        if attempt(lambda: workbench.delete(connection.id)):
            text = N_("{name} is deleted here. Delete its key at {exchange} as well.")
            tell(Message(text=text, params={"name": connection.name, "exchange": where}))

    @window(_("Delete {name}?", name=plain(connection.name)))
    def dialog() -> None:
        with calm():
            st.write(
                _(
                    "Its key and its history are erased here. The key still works at {exchange}: delete it there"
                    " as well.",
                    exchange=where,
                )
            )
            st.caption(_("Lines about it stay in the audit trail, and what you exported or backed up."))
            st.caption(say(workbench.what_deleting_does()))
            if exchange is not None:
                st.link_button(
                    _("Open key list at {exchange}", exchange=where),
                    exchange.guide.key_page,
                    icon=":material/open_in_new:",
                )
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Keep it"), key="delete_no")
                erased = st.button(
                    _("Delete"), type="primary", icon=":material/delete:", key="delete_yes", on_click=erase
                )
            if kept or erased:
                st.rerun()

    dialog()


workbench = open_page("connections")
with calm():
    draw(workbench)
