"""By which address exchanges see this computer: in guide and wizard, on a connection's page, in its settings."""

from __future__ import annotations

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Message
from bfai.ui.language import _, ago, n_, say
from bfai.ui.location import link
from bfai.ui.pieces import CONNECTIONS, attempting, code_of, exchange_name, is_shared, tell, told_by
from bfai.workbench import AddressView, Exchange, Workbench

_TUNNEL, _PROXY_EXAMPLE = "ssh -N -D 1080 you@your-server", "socks5://127.0.0.1:1080"


def bind_address(exchange: Exchange, view: AddressView) -> None:
    """The address to copy, where it goes at the exchange, and how long it is likely to stay."""
    st.write(_(exchange.guide.ip_step))
    only_4 = exchange.guide.takes_ipv6 is False
    shown = [one for one in view.now if not only_4 or one.version == 4]
    code_of(shown)
    st.caption(told_by(view, exchange.name))
    _last_known(view)
    lines = [say(note) for note in view.notes]
    if only_4:
        lines.append(_("{exchange} takes IPv4 addresses only.", exchange=exchange.name))
    elif len(shown) > 1:
        text = _(
            "A program may leave by either. Does {exchange} refuse the IPv6 one? Then leave it out.",
            exchange=exchange.name,
        )
        lines.append(text)
    if lines:
        st.caption(" ".join(lines))


def address_part(workbench: Workbench, connection: Connection) -> None:
    """A connection's address and what may be wrong with it."""
    view = workbench.address(connection, shared=is_shared())
    for warning in view.warnings:
        st.warning(say(warning), icon=":material/lan:")
    shown = " · ".join(view.addresses) or _("not known right now")
    with st.expander(_("Seen as {address}", address=shown), icon=":material/lan:"):
        code_of(view.now)
        st.caption(told_by(view, exchange_name(workbench, connection.target.exchange)))
        _last_known(view)
        if view.notes:
            st.caption(" ".join(say(note) for note in view.notes))
        link(CONNECTIONS, _("Way out"), ":material/route:", {"settings": connection.id})


def _last_known(view: AddressView) -> None:
    for one in view.before:
        st.caption(_("It was {address}, {age}.", address=one.address, age=ago(one.last_at)))


def way_out(workbench: Workbench, connection: Connection) -> None:
    """The setting by which a connection leaves through a server with an address that stays."""
    key = f"way_out_{connection.id}"

    @attempting
    def save() -> None:
        try:
            changed = workbench.set_way_out(connection.id, str(st.session_state.get(key) or ""))
        except BfaiError as error:
            st.session_state["way_out_problem"] = error.message
            return
        through = changed.target.egress_proxy
        text = N_("{name} leaves through {proxy}. Test it.") if through else N_("{name} leaves straight. Test it.")
        tell(Message(text=text, params={"name": connection.name, "proxy": through or ""}))

    with st.container(border=True):
        st.header(_("Way out"), anchor=False)
        st.write(
            _(
                "A key that is bound to an address works only from there. Your server's address stays, a home line's"
                " may change: send this connection through the server, and bind the key to the server's address."
            )
        )
        st.caption(_("With an SSH login on the server this makes a way out on this computer, while it runs:"))
        st.code(_TUNNEL, language="bash")
        st.text_input(
            _("Proxy (empty: straight)"),
            value=connection.target.egress_proxy or "",
            key=key,
            placeholder=_PROXY_EXAMPLE,
            autocomplete="off",
        )
        problem: Message | None = st.session_state.pop("way_out_problem", None)
        if problem is not None:
            st.warning(say(problem))
        st.button(_("Save the way out"), key="save_way_out", on_click=save)
        view = workbench.address(connection, shared=is_shared())
        if view.now:
            count = len(view.now)
            text = n_("Exchanges see this address:", "Exchanges see these addresses:", count)
            st.caption(text)
            code_of(view.now)
            st.caption(" ".join(say(note) for note in view.notes[:1]))
