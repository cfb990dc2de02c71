"""One connection's settings: a test from where its bot runs, its way out, the tripwire, and who tests it while the
vault is locked.
"""

from __future__ import annotations

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Message, utc_now
from bfai.ui.addresses import way_out
from bfai.ui.language import _, ago, moment, plain, say
from bfai.ui.location import link, location
from bfai.ui.pieces import HISTORY, attempt, attempting, calm, countdown, exchange_name, facts, head, tell, window
from bfai.workbench import LONGEST_REPORT, Pairing, PairingError, Workbench, Worker, fingerprint

QUERY = "settings"
_REPORT_EXAMPLE, _PAIRS_EXAMPLE = '{"format": "bfai.report/1", …', "BTC/USDT, ETH/USDT"
_TEXT, _FILE, _TAKEN = "report_text", "report_file", "report_taken"


def open_settings(connection_id: str) -> None:
    """For a button: the page shows this connection's settings, also after a reload."""
    location[QUERY] = connection_id


def leave_settings() -> None:
    location.take_out(QUERY)


def current_settings(workbench: Workbench) -> Connection | None:
    """The connection whose settings the address asks for."""
    asked = location.get(QUERY)
    return workbench.connection(asked) if asked else None


def draw_settings(workbench: Workbench, connection: Connection) -> None:
    taken: Message | None = st.session_state.pop(_TAKEN, None)
    if taken is not None:
        tell(taken)  # only now: it is for the page that comes next
        st.switch_page(HISTORY, query_params={"connection": connection.id})
    with head(plain(connection.name), facts(workbench, connection)):
        st.button(_("All connections"), icon=":material/arrow_back:", key="leave_settings", on_click=leave_settings)
    _where_the_bot_runs(workbench, connection)
    way_out(workbench, connection)
    _tripwire(workbench, connection)
    _delegation(workbench, connection)
    link("pages/audit.py", _("What was done to this connection"), ":material/receipt_long:", {"about": connection.id})


# -- where the bot runs ------------------------------------------------------------------------------------------------


def _where_the_bot_runs(workbench: Workbench, connection: Connection) -> None:
    with st.container(border=True):
        st.header(_("Test it where the bot runs"), anchor=False)
        st.write(
            _(
                "A key that is bound to your server's address cannot pass a test from here. Test it on the server with"
                " one command, and bring the report here: it counts like any other test."
            )
        )
        away = workbench.tested_away(connection.id)
        where = workbench.tested_from(away) if away is not None else None
        if away is not None and where is not None:
            st.caption(f"{say(where)} · {ago(away.asked_at)}")
            st.caption(
                _(
                    "For a day, tests from here that fail because of the address, the country or your own network do"
                    " not change the status. After that, bring a new report."
                )
            )
        pairing = workbench.pairing(connection.id)
        if pairing is None:
            st.button(
                _("Make a pairing code"),
                icon=":material/dns:",
                type="primary",
                key="pair",
                on_click=_pair,
                args=(workbench, connection.id),
            )
            return
        _command(workbench, connection, pairing)
        _report(workbench, connection)


def _pair(workbench: Workbench, connection_id: str) -> None:
    attempt(lambda: workbench.pair(connection_id))


def _command(workbench: Workbench, connection: Connection, pairing: Pairing) -> None:
    st.markdown("**" + _("1. Run this where the bot runs") + "**")
    st.code(pairing.command, language=None, wrap_lines=True)
    name = exchange_name(workbench, connection.target.exchange)
    st.caption(
        _(
            "This program must be installed there. It asks for the key, tests it at {exchange} from there, and prints a"
            " report. The report holds what the key may do and the balances, and no key.",
            exchange=name,
        )
    )

    def seconds_left() -> float:
        return (pairing.ends_at - utc_now()).total_seconds()

    with st.container(horizontal=True, vertical_alignment="center"):
        countdown(N_("The code in it is good for one report, for another {left}."), seconds_left)
        st.button(
            _("Make a new code"), type="tertiary", key="pair_again", on_click=_pair, args=(workbench, connection.id)
        )


def _report(workbench: Workbench, connection: Connection) -> None:
    st.markdown("**" + _("2. Bring the report here") + "**")
    st.text_area(_("Paste what the command printed"), key=_TEXT, height=140, placeholder=_REPORT_EXAMPLE)
    st.file_uploader(_("Or the file that it was sent to"), type=["json", "txt"], key=_FILE, max_upload_size=1)
    st.button(
        _("Take in the report"),
        icon=":material/login:",
        type="primary",
        key="take_report",
        on_click=_take,
        args=(workbench, connection),
    )


def _take(workbench: Workbench, connection: Connection) -> None:
    file, text = st.session_state.get(_FILE), str(st.session_state.get(_TEXT) or "").strip()
    given = text or (file.getvalue() if file is not None else "")

    def take() -> None:
        if not given:
            raise PairingError(N_("Paste the report, or choose its file."))
        workbench.take_report(connection.id, given)
        st.session_state[_TAKEN] = Message(text=N_("The report is taken in. It counts like any other test."))

    if attempt(take):
        st.session_state[_TEXT] = ""
    elif len(given) > LONGEST_REPORT:
        st.session_state[_TEXT] = ""  # it would be sent again with every click


# -- the tripwire ------------------------------------------------------------------------------------------------------


def _tripwire(workbench: Workbench, connection: Connection) -> None:
    wire = workbench.tripwire(connection.id)
    unset = not (wire.on or wire.assets or wire.pairs)
    shown = workbench.suggest_tripwire(connection.id) if unset else wire
    keys = {name: f"tripwire_{name}_{connection.id}" for name in ("on", "assets", "pairs")}

    @attempting
    def save() -> None:
        on = bool(st.session_state.get(keys["on"]))
        assets, pairs = (str(st.session_state.get(keys[name]) or "") for name in ("assets", "pairs"))
        try:
            workbench.set_tripwire(connection.id, on=on, assets=assets, pairs=pairs)
        except BfaiError as error:
            st.session_state["tripwire_problem"] = error.message
            return
        text = N_("The tripwire of {name} is on.") if on else N_("The tripwire of {name} is off.")
        tell(Message(text=text, params={"name": connection.name}))

    with st.container(border=True):
        st.header(_("Tripwire"), anchor=False)
        st.write(
            _(
                "Raises the alarm when a test sees an asset, or an open order in a pair, that you did not list and that"
                " was not there in the test before. It asks the exchange nothing more than a test does."
            )
        )
        st.caption(say(workbench.tripwire_blind_spots(connection.id)))
        st.toggle(_("Tripwire on"), value=wire.on, key=keys["on"])
        left, right = st.columns(2, gap="medium")
        with left:
            st.text_area(
                _("Assets that the bot may touch"), value=", ".join(shown.assets), key=keys["assets"], height=100
            )
        with right:
            st.text_area(
                _("Pairs that it may trade"),
                value=", ".join(shown.pairs),
                key=keys["pairs"],
                height=100,
                placeholder=_PAIRS_EXAMPLE,
            )
        if unset and (shown.assets or shown.pairs):
            st.caption(_("Filled in from the last test and from your strategies. Take out what the bot does not need."))
        problem: Message | None = st.session_state.pop("tripwire_problem", None)
        if problem is not None:
            st.warning(say(problem))
        st.button(_("Save the tripwire"), key="save_tripwire", on_click=save)


# -- tests while the vault is locked -----------------------------------------------------------------------------------


def _delegation(workbench: Workbench, connection: Connection) -> None:
    """Only where somebody runs a worker on the database that this workbench is on."""
    given, workers = workbench.delegated_to(connection.id), workbench.workers()
    if not workers:
        return
    with st.container(border=True):
        st.header(_("Tests while the vault is locked"), anchor=False)
        if given is not None:
            worker, at = given
            st.write(
                _(
                    "The worker {name} tests this connection on its schedule, also while your vault is locked. It has"
                    " had a copy of the key since {time}.",
                    name=plain(worker.name),
                    time=moment(at),
                )
            )
            st.caption(
                _("What it finds stands in the history at once. Messages about it leave when your vault is open.")
            )
            st.button(
                _("Take it back"),
                icon=":material/undo:",
                key="take_back",
                on_click=attempting(lambda: workbench.revoke_delegation(connection.id)),
            )
            st.caption(
                _("Whoever ran the server may have kept the key. If you doubt it, make a new key at the exchange.")
            )
            return
        st.write(
            _(
                "A worker on this server can test this connection on its schedule while your vault is locked. For that"
                " it gets a copy of the key which opens without your password."
            )
        )
        worker = workers[0]
        if len(workers) > 1:
            worker = st.selectbox(
                _("Worker"), workers, format_func=lambda one: one.name, key=f"worker_{connection.id}", width=360
            )
        st.caption(
            _("{name} · fingerprint of its key: {key}", name=plain(worker.name), key=f"`{fingerprint(worker.id)}`")
        )
        if not connection.status.ok:
            st.caption(_("Its last test did not pass. Test it first: only a key that cannot withdraw is given away."))
            return
        if st.button(_("Let the server test it"), icon=":material/schedule:", key="delegate"):
            _ask_to_delegate(workbench, connection, worker)


def _ask_to_delegate(workbench: Workbench, connection: Connection, worker: Worker) -> None:
    @window(_("Give the server this key?"))
    def dialog() -> None:
        with calm():
            st.write(
                _(
                    "Whoever runs the server can then read this key and do with it what its rights allow, such as"
                    " trade, until you take it back and make a new one. By its last test the key of {name} cannot"
                    " withdraw.",
                    name=plain(connection.name),
                )
            )
            with st.container(horizontal=True, horizontal_alignment="right"):
                left = st.button(_("Leave it"), key="delegate_no")
                gone = st.button(
                    _("Give it"),
                    type="primary",
                    key="delegate_yes",
                    on_click=attempting(lambda: workbench.delegate(connection.id, worker.id)),
                )
            if left or gone:
                st.rerun()

    dialog()
