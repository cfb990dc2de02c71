"""Tests & history: what the last test of a connection found, and what all of them say together."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from bfai.model import Cause, Connection, Status, TestRun
from bfai.ui import _, calm, moment, open_page, plain
from bfai.ui.addresses import address_part
from bfai.ui.history_view import View, choose_time, draw_history
from bfai.ui.location import location
from bfai.ui.pieces import (
    CONNECTIONS,
    Action,
    account_lines,
    advice_list,
    attempting,
    choose_view,
    exchange_name,
    head,
    moved,
    receipt,
    remedy_box,
    rerun_when_done,
    result_head,
    result_tables,
    start,
    thief_sentence,
    watch,
    widget_key,
    zone_note,
)
from bfai.ui.schedule import schedule_box
from bfai.workbench import CAUSE_NAMES, Scope, Workbench

ALL = "all"
EXCHANGE = "exchange:"


def draw(workbench: Workbench) -> None:
    connections = {
        connection.id: connection
        for connection in sorted(workbench.connections(), key=lambda connection: connection.name.casefold())
    }
    if not connections:
        nothing()
        return
    actions = head(_("Tests & history"), zone_note())
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        chosen = choose(workbench, connections)
        connection = connections.get(chosen)
        view = choose_view({"result": _("Result"), "history": _("History")}) if connection else "history"
    with actions:
        test_buttons(workbench, connections, connection, view)
    if connection is not None and view == "result":
        result(workbench, connection)
    else:
        scope = Scope(connection.id) if connection else Scope(exchange=exchange_of(chosen))
        extent = workbench.history.extent(scope)
        first = extent[0] if extent else None
        with controls:
            shown = choose_time(first)
        draw_history(View(workbench, connections, scope, shown, first))
    rerun_when_done(
        job
        for id_, job in workbench.running().items()
        if connection is None or id_ == connection.id or view != "result"
    )


def nothing() -> None:
    head(_("Tests & history"))
    st.write(_("Results stand here as soon as there is a connection."))
    if st.button(_("Add a connection"), icon=":material/add:", type="primary", key="add"):
        st.switch_page(CONNECTIONS, query_params={"add": "1"})


# -- choosing ----------------------------------------------------------------------------------------------------------


def choose(workbench: Workbench, connections: dict[str, Connection]) -> str:
    """The connection of the address, or the first that needs the trader."""
    asked = location.get("connection")
    run = workbench.run(location["run"]) if "run" in location else None
    exchanges = Counter(connection.target.exchange for connection in connections.values())
    several = [f"{EXCHANGE}{exchange}" for exchange, count in sorted(exchanges.items()) if count > 1]
    options = [ALL, *several, *connections]
    if asked not in options:
        asked = run.connection_id if run is not None and run.connection_id in connections else neediest(connections)

    def label(option: str) -> str:
        if option == ALL:
            return _("All connections")
        exchange = exchange_of(option)
        return (
            _("All at {exchange}", exchange=exchange_name(workbench, exchange))
            if exchange
            else connections[option].name
        )

    key = widget_key("connection", asked)

    def take() -> None:
        picked = st.session_state.get(key)
        if picked and moved("connection", key, picked):
            location["connection"] = picked
            location.take_out("run")

    st.selectbox(
        _("Connection"),
        options,
        index=options.index(asked),
        format_func=label,
        key=key,
        on_change=take,
        width=340,
        label_visibility="collapsed",
    )
    if location.get("connection") != asked:
        location["connection"] = asked
    return asked


def exchange_of(option: str) -> str | None:
    return option.removeprefix(EXCHANGE) if option.startswith(EXCHANGE) else None


def neediest(connections: dict[str, Connection]) -> str:
    order = (Status.BLOCKED, Status.FAILED, Status.UNTESTED, Status.CONNECTED, Status.ONLINE)
    return min(connections.values(), key=lambda connection: order.index(connection.status)).id


def test_buttons(
    workbench: Workbench, connections: dict[str, Connection], connection: Connection | None, view: str
) -> None:
    """A result that failed has its own "Test again", beside what to do."""
    with st.popover(_("Test several"), icon=":material/checklist:"):
        several = st.multiselect(
            _("Connections"),
            list(connections),
            format_func=lambda id_: connections[id_].name,
            key="several",
            placeholder=_("Choose connections"),
        )
        st.button(
            _("Test these"),
            key="test_several",
            disabled=not several,
            on_click=start,
            args=(workbench, list(several or [])),
        )
    if connection is None:
        st.button(
            _("Test all"), icon=":material/sync:", key="test_all", on_click=start, args=(workbench, list(connections))
        )
    elif view == "history" or connection.status not in (Status.BLOCKED, Status.FAILED):
        st.button(
            _("Test"), icon=":material/sync:", key="test_one", on_click=test_and_show, args=(workbench, connection.id)
        )


def test_and_show(workbench: Workbench, connection_id: str) -> None:
    """The new test is what the page shows next."""
    location.take_out("run", "view")
    start(workbench, [connection_id])


# -- one result --------------------------------------------------------------------------------------------------------


def result(workbench: Workbench, connection: Connection) -> None:
    if st.session_state.pop("rotate_next", False):
        st.switch_page(CONNECTIONS, query_params={"rotate": connection.id})
    if st.session_state.pop("settings_next", False):
        st.switch_page(CONNECTIONS, query_params={"settings": connection.id})
    job = workbench.running().get(connection.id)
    if job is not None:
        st.header(plain(connection.name), anchor=False)
        watch(job)
        return
    asked = location.get("run")
    older = workbench.run(asked) if asked else None
    if older is not None and older.connection_id != connection.id:
        older = None
    run = older or workbench.latest_run(connection.id)
    if run is None:
        st.header(plain(connection.name), anchor=False)
        st.write(_("Not tested with its present key. Test it once."))
        st.button(_("Test"), type="primary", key="test_first", on_click=start, args=(workbench, [connection.id]))
        return
    if older is not None and older.id != connection.last_run_id:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("An older test. The newest result may be another one."))
            st.button(_("Show the newest"), type="tertiary", key="newest", on_click=show_newest)
    result_head(workbench, run, connection.name, connection.key_hint)
    if run.id == connection.last_run_id:
        newer_here(workbench, connection)
    again = Action(
        _("Test again"), lambda: test_and_show(workbench, connection.id), "again", icon=":material/sync:", waits=True
    )
    actions = [again]
    if run.diagnosis is not None and run.diagnosis.cause in ROTATED:
        actions.append(Action(_("Rotate key"), lambda: st.session_state.update(rotate_next=True), "rotate"))
    if run.about_this_place or run.tested_from is not None:
        to_settings = Action(
            _("Test it where the bot runs"),
            lambda: st.session_state.update(settings_next=True),
            "away",
            icon=":material/dns:",
        )
        actions.append(to_settings)
    remedy_box(workbench, run, actions)
    if run.diagnosis is not None and run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN:
        confirm(workbench, connection, run)
    if run.tested_from is None:
        address_part(workbench, connection)
    thief_sentence(workbench, run)
    account_lines(workbench, connection.target, run, except_id=connection.id)
    advice_list(workbench, run)
    result_tables(workbench, run)
    receipt(run)
    schedule_box(workbench, connection)


def newer_here(workbench: Workbench, connection: Connection) -> None:
    """A test from here that failed for being made here is no result, but nobody should look for it in vain."""
    newer = workbench.set_aside_since(connection.id)
    if newer is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            _(
                "A test from here failed since then ({when}: {cause}). The test from where the bot runs counts.",
                when=moment(newer.started_at),
                cause=_(CAUSE_NAMES[newer.cause]) if newer.cause else "",
            )
        )
        st.button(_("Show it"), type="tertiary", key="newer_here", on_click=show_run, args=(newer.id,))


def show_run(run_id: str) -> None:
    location["run"] = run_id


ROTATED = frozenset(
    {
        Cause.WITHDRAW_ENABLED,
        Cause.EXPIRED_KEY,
        Cause.INVALID_KEY,
        Cause.INVALID_SECRET,
        Cause.INVALID_PASSPHRASE,
        Cause.MALFORMED_CREDENTIALS,
        Cause.AMBIGUOUS,  # one of its causes is a key that is gone
    }
)


def show_newest() -> None:
    location.take_out("run")


def confirm(workbench: Workbench, connection: Connection, run: TestRun) -> None:
    name = exchange_name(workbench, run.exchange)
    looked = st.checkbox(
        _("I looked at this key's page at {exchange}: the box to withdraw is empty.", exchange=name), key="looked"
    )
    st.button(
        _("Confirm that it cannot withdraw"),
        key="confirm",
        type="primary" if looked else "secondary",
        disabled=not looked,
        on_click=attempting(lambda: workbench.confirm_withdraw_off(connection.id)),
    )


workbench = open_page("history")
with calm():
    draw(workbench)
