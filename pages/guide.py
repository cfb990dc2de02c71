"""Guide: how to make a safe key, what can go wrong, and everything that this program may ask an exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from bfai.model import Cause, Market, Target
from bfai.ui import _, calm, open_page, plain, say
from bfai.ui.addresses import bind_address
from bfai.ui.guide_parts import asked, guide_steps, key_form, life, refusals, shown_once
from bfai.ui.location import location
from bfai.ui.pieces import (
    CONNECTIONS,
    choose_by_address,
    guide_link,
    head,
    is_shared,
    market_name,
    named,
    on_paper,
    table,
)
from bfai.workbench import CAUSE_NAMES, PERMISSION_NAMES, STATE_NAMES, Exchange, Explanation, Section, Workbench

READING_WIDTH = 760
_CHOSEN = "guide_exchange"
_PASTED = "explain_text"
_WHERE = "explain_exchange"
_EXPLAINED = "explained"
_EXAMPLE = 'ccxt.base.errors.AuthenticationError: binance {"code":-2015,"msg":"Invalid API-key, IP, …"}'


def draw(workbench: Workbench) -> None:
    exchanges = workbench.exchanges()
    asked_for = exchanges.get(location.get("exchange", ""))
    if asked_for is not None:
        exchange_guide(workbench, asked_for)
        return
    with head(_("Guide")):
        if st.button(_("Add a connection"), icon=":material/add:", type="primary", key="add"):
            st.switch_page(CONNECTIONS, query_params={"add": "1"})
    with st.container(width=READING_WIDTH):
        nine_steps()
        choose_exchange(exchanges)
    st.divider()
    with st.container(width=READING_WIDTH):
        permissions()
        errors()
        explain_box(workbench)
        principles()
        names()
    st.divider()
    whole_list(workbench)


def nine_steps() -> None:
    st.header(_("From key to bot in nine steps"), anchor=False)
    st.write(
        _(
            "A connection joins one account at an exchange to a bot through an API key. Your money stays at the"
            " exchange, and the bot can do only what the key allows."
        )
    )
    steps = (
        _("Log in at your exchange and open its page for API keys."),
        _("Make a new key. The exchange asks for a name, and confirms by mail, phone or 2FA code."),
        _("Leave the right to withdraw off. This is the one rule without an exception."),
        _("Allow reading of balance and orders, and trading in the one market that the bot uses."),
        _("Bind the key to your address where the exchange offers it."),
        _("Copy the key and the secret. The exchange shows the secret once."),
        _("Add the connection here: exchange, market, key, and a clear name."),
        _("Run the test. It checks the key, its rights, the balance and the orders."),
        _("Online or Connected? Then enable the bot. Not before."),
    )
    st.markdown("\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)))


def permissions() -> None:
    st.header(_("What a bot's key may do"), anchor=False)
    rows = (
        (_("Read"), ":green[:material/check_box:]", _("yes"), _("balances, orders, positions, status")),
        (_("Trade"), ":green[:material/check_box:]", _("yes"), _("open, add to and close positions")),
        (
            _("Futures"),
            ":material/indeterminate_check_box:",
            _("only for futures"),
            _("for a bot that trades futures, else no"),
        ),
        (
            _("Transfer"),
            ":material/check_box_outline_blank:",
            _("no"),
            _("no bot needs to move money between your accounts"),
        ),
        (
            "**" + _("Withdraw") + "**",
            ":red[:material/disabled_by_default:]",
            "**" + _("never") + "**",
            _("such a key is refused here"),
        ),
        (
            _("Address list"),
            ":green[:material/lock:]",
            _("recommended"),
            _("a stolen key is useless from anywhere else"),
        ),
    )
    columns = list(zip(*rows, strict=True))
    table(
        {_("Right"): columns[0], " ": columns[1], _("Tick it?"): columns[2], _("Why"): columns[3]},
        alt=_("What a bot's key may do"),
    )


def errors() -> None:
    st.header(_("When a test fails"), anchor=False)
    rows = (
        (
            _("Invalid key"),
            _("The key or the secret was cut off or mistyped."),
            _("Copy both again, whole. Is the secret no longer shown? Make a new key."),
        ),
        (
            _("No trading permission"),
            _("The right to trade is off."),
            _("Turn trading on at the exchange. Leave the right to withdraw off."),
        ),
        (
            _("IP not allowed"),
            _("Your address is not on the key's list."),
            _("Add the address that the result shows to the list."),
        ),
        (_("Exchange unavailable"), _("The exchange does not answer right now."), _("Wait a while, then test again.")),
    )
    columns = list(zip(*rows, strict=True))
    table(
        {_("What it says"): [f"**{name}**" for name in columns[0]], _("Cause"): columns[1], _("Remedy"): columns[2]},
        alt=_("When a test fails"),
    )
    st.caption(_("There are more causes than these four; every result names its own, with the steps out of it."))


def explain_box(workbench: Workbench) -> None:
    st.header(_("Explain an error"), anchor="explain")
    st.write(
        _(
            "Paste what a bot or an exchange printed: an answer, an exception, a line of a log, a page. It is read on"
            " this computer, and nothing of it is kept."
        )
    )
    exchanges = workbench.exchanges()
    with st.form("explain", border=False):
        st.text_area(
            _("The text"),
            key=_PASTED,
            height=110,
            placeholder=_EXAMPLE,
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.selectbox(
                _("Exchange"),
                list(exchanges),
                index=None,
                key=_WHERE,
                format_func=lambda id_: exchanges[id_].name,
                placeholder=_("from the text"),
                width=220,
            )
            st.form_submit_button(
                _("Explain"),
                type="primary",
                icon=":material/troubleshoot:",
                key="explain_button",
                on_click=_explain,
                args=(workbench,),
            )
    explained: Explanation | None = st.session_state.get(_EXPLAINED)
    if explained is not None:
        _explanation(workbench, explained)


def _explain(workbench: Workbench) -> None:
    """Takes the text and empties the box: a log may hold a key."""
    text = str(st.session_state.get(_PASTED) or "")[:200_000]
    st.session_state[_PASTED] = ""
    st.session_state[_EXPLAINED] = workbench.explain(text, st.session_state.get(_WHERE)) if text.strip() else None


def _explanation(workbench: Workbench, explained: Explanation) -> None:
    name = explained.exchange.name if explained.exchange else _("an exchange that the text does not name")
    with st.container(border=True):
        if explained.report is not None:
            st.markdown("**" + _("A report on a key of {exchange}", exchange=name) + "**")
            rights = list(PERMISSION_NAMES)
            table(
                {
                    _("Right"): [_(PERMISSION_NAMES[right]) for right in rights],
                    _("State"): [_(STATE_NAMES[explained.report.state(right)]) for right in rights],
                },
                alt=_("What the key may do"),
            )
            return
        remedy = workbench.remedy_of(explained)
        if explained.diagnosis is None or remedy is None:
            return
        title = say(remedy.title)
        st.markdown(f"**{title}**" + ("" if name in title else f" · {plain(name)}"))
        st.write(say(remedy.text))
        if remedy.value:
            st.code(remedy.value, language=None)
        if remedy.steps:
            st.markdown("\n".join(f"{number}. {say(step)}" for number, step in enumerate(remedy.steps, start=1)))
        others = [_(CAUSE_NAMES[cause]) for cause in explained.diagnosis.candidates[1:]]
        if others:
            st.caption(_("Also possible: {causes}.", causes=", ".join(others)))
        if remedy.said:
            st.caption(_("It says: {words}", words=f"“{plain(remedy.said)}”"))
        if remedy.link and explained.exchange is not None:
            st.link_button(_("Open key list at {exchange}", exchange=name), remedy.link, icon=":material/open_in_new:")
        if explained.exchange is not None:
            market = explained.exchange.markets[0]
            guide_link(workbench, explained.exchange.id, market, remedy.section, cause=explained.diagnosis.cause)


def principles() -> None:
    st.header(_("Keeping a key safe"), anchor=False)
    rules = (
        _("**Your money stays at the exchange.** No strategy needs it anywhere else."),
        _("**No right to withdraw, ever.** It is checked at every test, and a key that has it is refused."),
        _("**As few rights as possible,** and only the market in use."),
        _("**Bind the key to your address.** Then a stolen key is worthless elsewhere."),
        _("**One key for one connection.** Then one can be revoked without stopping the others."),
        _("**Secrets are hidden after saving.** Nobody can read them back, you neither."),
        _("**Rotate keys on a schedule,** every few months, and at once on any suspicion."),
        _("**2FA on the exchange and on your mail.** Who reads your mail can make keys."),
        _("**Never send a key to anyone,** not by mail, not by chat, not to support."),
        _("**Delete at the exchange what you delete here.** Until then the key still works."),
        _("**Test before you enable,** and again from time to time."),
    )
    st.markdown("\n".join(f"- {rule}" for rule in rules))


def names() -> None:
    st.header(_("Names that still help in half a year"), anchor=False)
    st.write(_("Exchange, market, purpose:"))
    table(
        {
            _("Name"): [
                "MEXC Spot Main",
                "KuCoin Futures Conservative",
                "Recovery PRO Connection",
                "BTC ETH New Groups",
            ],
            _("Meaning"): [
                _("the main spot account at MEXC"),
                _("a futures account with a careful strategy"),
                _("a connection of its own for recovery"),
                _("a connection of its own for new groups in two pairs"),
            ],
        },
        alt=_("Names that still help in half a year"),
    )


# -- per exchange ------------------------------------------------------------------------------------------------------


def choose_exchange(exchanges: Mapping[str, Exchange]) -> None:
    """The way from the general guide to the page of each exchange."""
    st.header(_("The key, exchange by exchange"), anchor=False)
    st.write(_("A page for each: its boxes, the address, what it asks, what can go wrong. Made to be printed."))
    st.pills(
        _("Exchange"),
        list(exchanges),
        format_func=lambda id_: exchanges[id_].name,
        key=_CHOSEN,
        label_visibility="collapsed",
        on_change=_open_guide,
    )


def _open_guide() -> None:
    """Into the address, so that a reload shows the same; and nothing is chosen when the trader comes back."""
    chosen = st.session_state.get(_CHOSEN)
    if chosen:
        st.session_state[_CHOSEN] = None
        location["exchange"] = chosen


def exchange_guide(workbench: Workbench, exchange: Exchange) -> None:
    """Everything about this exchange's keys on one page. The section that the address asks for stands first."""
    on_paper()
    with head(_("The key at {exchange}", exchange=exchange.name)), st.container(key="screen_only", horizontal=True):
        st.button(_("All exchanges"), icon=":material/arrow_back:", key="all_exchanges", on_click=leave)
        st.link_button(
            _("Open the key page at {exchange}", exchange=exchange.name),
            exchange.guide.key_page,
            icon=":material/open_in_new:",
        )
    market = choose_market(exchange)
    asked_for = named(Cause, location.get("cause"))
    sections: dict[Section, Callable[[], None]] = {
        Section.BOXES: lambda: boxes_section(workbench, exchange, market),
        Section.STEPS: lambda: steps_section(exchange),
        Section.ADDRESS: lambda: address_section(workbench, exchange, market),
        Section.LIFE: lambda: life_section(exchange),
        Section.REFUSALS: lambda: refusals_section(workbench, exchange, market, asked_for),
    }
    first = named(Section, location.get("section"))
    if first is not None:
        with st.container(border=True):
            sections.pop(first)()
    last = sections.pop(Section.REFUSALS, None)
    left, right = st.columns(2, gap="medium")
    for section, draw_section in sections.items():
        with left if section in (Section.BOXES, Section.LIFE) else right:
            draw_section()
    if last is not None:
        last()


def leave() -> None:
    location.take_out("exchange", "market", "section", "cause")


def choose_market(exchange: Exchange) -> Market:
    if len(exchange.markets) == 1:
        st.caption(market_name(exchange.markets[0]))
        return exchange.markets[0]
    names = {market.value: market_name(market) for market in exchange.markets}
    return Market(choose_by_address(_("Market"), names, "market", exchange.markets[0].value))


def boxes_section(workbench: Workbench, exchange: Exchange, market: Market) -> None:
    st.header(_("Tick these boxes"), anchor="boxes")
    key_form(workbench, exchange, market)


def steps_section(exchange: Exchange) -> None:
    st.header(_("Step by step"), anchor="steps")
    guide_steps(exchange)
    shown_once(exchange)
    fields = ", ".join(spec.label for spec in exchange.fields)
    st.caption(_("{exchange} gives you: {fields}.", exchange=exchange.name, fields=fields))
    st.markdown("**" + _("{exchange} asks for", exchange=exchange.name) + "**")
    asked(exchange)


def address_section(workbench: Workbench, exchange: Exchange, market: Market) -> None:
    st.header(_("Bind the key to your address"), anchor="address")
    bind_address(exchange, workbench.address(Target(exchange=exchange.id, market=market), shared=is_shared()))


def life_section(exchange: Exchange) -> None:
    st.header(_("How long it lives"), anchor="life")
    life(exchange)


def refusals_section(workbench: Workbench, exchange: Exchange, market: Market, cause: Cause | None) -> None:
    st.header(_("What can go wrong"), anchor="refusals")
    refusals(workbench, exchange, market, cause)


# -- the whole list ----------------------------------------------------------------------------------------------------


def whole_list(workbench: Workbench) -> None:
    st.header(_("Every request that this program can make"), anchor=False)
    st.write(
        _(
            "This list is made from the program itself. Anything that is not on it is refused before it leaves this"
            " computer. Nothing on it moves money, places or cancels an order, or changes a key."
        )
    )
    requests = workbench.requests_made()
    st.dataframe(
        {
            _("Exchange"): [request.exchange for request in requests],
            _("Market"): [market_name(request.market) if request.market else _("both") for request in requests],
            _("Method"): [request.method for request in requests],
            _("Path"): [request.path for request in requests],
            _("What for"): [_(request.purpose) for request in requests],
            _("Signed"): [_("yes") if request.signed else _("no") for request in requests],
        },
        hide_index=True,
        alt=_("Every request that this program can make"),
    )


workbench = open_page("guide")
with calm():
    draw(workbench)
