"""What the guide to an exchange's keys is made of, on its own page and in the wizard."""

from __future__ import annotations

import streamlit as st

from bfai.i18n import N_
from bfai.model import Cause, Market
from bfai.ui.language import _, n_, plain, say
from bfai.ui.pieces import table
from bfai.workbench import CAUSE_NAMES, Exchange, Tick, Workbench

_TICKS = {
    Tick.NEEDED: (":green[:material/check_box:]", N_("tick"), "green"),
    Tick.EMPTY: (":material/check_box_outline_blank:", N_("leave empty"), "gray"),
    Tick.NEVER: (":red[:material/disabled_by_default:]", N_("never"), "red"),
}


def key_form(workbench: Workbench, exchange: Exchange, market: Market) -> None:
    """The boxes of the exchange's key page in its own words and order, as they must be."""
    with st.container(border=True, gap="xsmall"):
        for right, tick in workbench.boxes(exchange.id, market):
            icon, word, colour = _TICKS[tick]
            box = {Tick.NEEDED: f"**{right.box}**", Tick.EMPTY: right.box, Tick.NEVER: f"~~{right.box}~~"}[tick]
            with st.container(horizontal=True, wrap=False, vertical_alignment="top"):
                st.markdown(f"{icon} {box}", width="stretch")
                st.markdown(f":{colour}[**{_(word)}**]" if tick is not Tick.EMPTY else _(word), width="content")
        st.caption(_("A key with the right to withdraw is refused here."))


def guide_steps(exchange: Exchange) -> None:
    """How to make the key there."""
    st.markdown("\n".join(f"{number}. {_(step)}" for number, step in enumerate(exchange.guide.steps, start=1)))


def asked(exchange: Exchange) -> None:
    """What the exchange asks for while the key is made."""
    guide, lines = exchange.guide, [_(text) for text in exchange.guide.asked]
    if any(spec.name == "passphrase" for spec in exchange.fields):
        lines.append(_("A passphrase that you choose. Write it down: you need it here, and nobody can show it later."))
    if not guide.asked:
        lines.append(_("It may ask for a code from your authenticator app, by mail or by SMS."))
    st.markdown("\n".join(f"- {line}" for line in lines))


def shown_once(exchange: Exchange) -> None:
    st.markdown(f":material/visibility_off: {_(exchange.guide.shown_once)}")


def life(exchange: Exchange) -> None:
    """How long the key lives, and how many there may be."""
    guide = exchange.guide
    for rule in exchange.expiry_rules:
        st.markdown(f":material/schedule: {_(rule.text)}")
    if not exchange.expiry_rules:
        text = _("{exchange} documents no end of a key by itself.", exchange=exchange.name)
        st.markdown(f":material/schedule: {text}")
    if guide.max_keys is not None:
        text = n_("An account has up to {count} key.", "An account has up to {count} keys.", guide.max_keys)
        st.markdown(f":material/key: {text}")
    if guide.sub_accounts:
        st.markdown(f":material/account_tree: {_(guide.sub_accounts)}")


def refusals(workbench: Workbench, exchange: Exchange, market: Market, cause: Cause | None = None) -> None:
    """What can go wrong: the exchange's words, what that is called here, the way out. `cause` stands first."""
    rows = sorted(workbench.known_refusals(exchange.id, market), key=lambda row: row.cause is not cause)
    table(
        {
            _("{exchange} says", exchange=exchange.name): [f"“{plain(row.said)}”" for row in rows],
            _("Here it reads"): [f"**{_(CAUSE_NAMES[row.cause])}**" for row in rows],
            _("What to do"): [say(row.text) for row in rows],
        },
        alt=_("What can go wrong at {exchange}", exchange=exchange.name),
    )
