"""The way of a key into the workbench: where, how to make it, paste, test, name.

A pasted key goes from the submit callback straight to the Workbench as a draft, and every box that held a part of it is
emptied in the same callback. What this module keeps in the session is the draft's id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Cause, Connection, Message, Status, Target, TestRun, utc_now
from bfai.ui.addresses import bind_address
from bfai.ui.guide_parts import guide_steps, key_form, life, shown_once
from bfai.ui.language import _, say
from bfai.ui.pieces import (
    ENVIRONMENT_NAMES,
    Action,
    account_lines,
    action_button,
    advice_list,
    attempting,
    chip,
    countdown,
    exchange_name,
    guide_link,
    is_shared,
    market_name,
    receipt,
    remedy_box,
    result_head,
    result_tables,
    target_facts,
    tell,
    thief_sentence,
    watch,
)
from bfai.workbench import Draft, Exchange, Mode, Pasted, Workbench

_STATE = "wizard"
_NAME = "name_chosen"
_PASTE = "secret_paste"
_BOXES = {"api_key": "secret_api_key", "secret": "secret_secret", "passphrase": "secret_passphrase"}
SECRET_KEYS = (_PASTE, *_BOXES.values())


@dataclass(frozen=True, slots=True)
class Echo:
    """What was found in a paste, without a letter of it but the key's last four characters."""

    found: tuple[str, ...] = ()
    hint: str = ""
    problems: tuple[Message, ...] = ()
    doubts: tuple[Message, ...] = ()
    other_exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Wizard:
    """Where the trader stands. `keeps`: the key is to be stored. `replaces`: the connection that gets the new key."""

    step: int = 1
    target: Target = field(default_factory=lambda: Target(exchange=""))
    keeps: bool = True
    replaces: str | None = None
    draft_id: str | None = None
    job_id: str | None = None
    echo: Echo | None = None
    saves_failed: bool = False


def open_wizard(wizard: Wizard) -> None:
    st.session_state[_STATE] = wizard


def current_wizard() -> Wizard | None:
    return st.session_state.get(_STATE)


def leave_wizard() -> None:
    st.session_state.pop(_STATE, None)
    _empty_boxes()


def resume(workbench: Workbench, draft_id: str) -> None:
    """Goes on with a key that waits, with a new test of it."""
    draft = workbench.get_draft(draft_id)
    if draft is not None:
        open_wizard(Wizard(step=3, target=draft.target, replaces=draft.replaces, draft_id=draft.id))
        _test(workbench)


def _change(**changes: object) -> None:
    wizard = current_wizard()
    if wizard is not None:
        st.session_state[_STATE] = replace(wizard, **changes)  # pyright: ignore[reportArgumentType]


def _empty_boxes() -> None:
    for key in SECRET_KEYS:
        if key in st.session_state:
            st.session_state[key] = ""


def draw_wizard(workbench: Workbench, *, on_leave: Callable[[], None]) -> None:
    """The step that is due. `on_leave` is what the first Back and the end of a check without saving do."""
    wizard = current_wizard() or Wizard()
    exchange = workbench.exchanges().get(wizard.target.exchange)
    draft = workbench.get_draft(wizard.draft_id) if wizard.draft_id else None
    run = draft.run if draft else None
    job = workbench.job(wizard.job_id) if wizard.job_id else None
    testing = job is not None and not job.done
    naming = wizard.step == 3 and run is not None and not testing and wizard.keeps
    naming = naming and run is not None and (run.status.ok or wizard.saves_failed)
    step = 4 if naming else wizard.step
    _head(wizard, step, exchange)
    if exchange is None or wizard.step == 1:
        _where(workbench, on_leave)
    elif wizard.step == 2:
        _make_and_paste(workbench, wizard, exchange, on_leave)
    elif draft is None:
        st.warning(_("This key is forgotten: it was kept for ten minutes. Paste it again."))
        action_button(Action(_("Paste it again"), _paste_again, "paste_again", primary=True))
    elif testing and job is not None:
        _echo_box(exchange, Echo(found=tuple(spec.name for spec in exchange.fields), hint=draft.key_hint))
        watch(job)
    elif run is None:
        if job is not None and job.error is not None:
            st.warning(say(job.error))
        action_button(Action(_("Test this key"), lambda: _test(workbench), "test_draft", primary=True))
    else:
        _result(workbench, wizard, run, on_leave)


def _head(wizard: Wizard, step: int, exchange: Exchange | None) -> None:
    name = exchange.name if exchange else ""
    titles = {
        1: _("Choose the exchange"),
        2: _("Make the key at {exchange}, then paste it", exchange=name),
        3: _("Test"),
        4: _("Name and save") if wizard.replaces is None else _("Replace the key"),
    }
    if wizard.replaces is not None:
        title = _("Rotate key")
    else:
        title = _("Add a connection") if wizard.keeps else _("Check one key")
    steps = 4 if wizard.keeps else 3
    with st.container(gap="xsmall"):
        st.title(title, anchor=False)
        st.header(_("Step {step} of {steps} · **{title}**", step=step, steps=steps, title=titles[step]), anchor=False)
        st.progress(step / steps)


# -- 1: where ----------------------------------------------------------------------------------------------------------


def _where(workbench: Workbench, on_leave: Callable[[], None]) -> None:
    def choose() -> None:
        exchange_id = st.session_state.get("wizard_exchange")
        if exchange_id:
            to_key(workbench, str(exchange_id))

    exchange_pills(workbench, "wizard_exchange", on_change=choose)
    st.button(_("Back"), icon=":material/arrow_back:", type="tertiary", on_click=on_leave, key="wizard_leave")


def exchange_pills(workbench: Workbench, key: str, on_change: Callable[[], None] | None = None) -> str | None:
    """The exchanges side by side. Gives the id of the chosen one; to choose is to go on, no button follows."""
    exchanges = workbench.exchanges()
    return st.pills(
        _("Exchange"), list(exchanges), format_func=lambda id_: exchanges[id_].name, key=key, on_change=on_change
    )


def to_key(workbench: Workbench, exchange_id: str) -> None:
    """Goes to the step in which the key is made. Market, region and environment begin as most accounts have them."""
    exchange = workbench.exchanges()[exchange_id]
    target = Target(
        exchange=exchange.id,
        market=exchange.markets[0],
        region=exchange.regions[0].id,
        environment=exchange.environments[0],
    )
    open_wizard(replace(current_wizard() or Wizard(), step=2, target=target, draft_id=None, job_id=None, echo=None))


def _where_there(workbench: Workbench, exchange: Exchange, now: Target) -> Target:
    market = st.segmented_control(
        _("Market"),
        list(exchange.markets),
        default=now.market if now.market in exchange.markets else exchange.markets[0],
        required=True,
        format_func=market_name,
        key=f"wizard_market_{exchange.id}",
    )
    region = home = exchange.regions[0].id
    if len(exchange.regions) > 1:
        names = {place.id: place.name for place in exchange.regions}
        chosen = now.region if now.region in names else region
        if len(names) > MANY_REGIONS:
            region = st.selectbox(
                _("Where your account is"),
                list(names),
                index=list(names).index(chosen),
                format_func=lambda id_: names[id_],
                key=f"wizard_region_{exchange.id}",
                width=320,
            )
        else:
            region = st.segmented_control(
                _("Where your account is"),
                list(names),
                default=chosen,
                required=True,
                format_func=lambda id_: names[id_],
                key=f"wizard_region_{exchange.id}",
            )
    first = exchange.environments[0]
    environment = first
    if workbench.mode is not Mode.DEMO and len(exchange.environments) > 1:
        environment = st.segmented_control(
            _("Environment"),
            list(exchange.environments),
            default=now.environment if now.environment in exchange.environments else first,
            required=True,
            format_func=lambda value: _(ENVIRONMENT_NAMES[value]),
            key=f"wizard_environment_{exchange.id}",
        )
    return Target(
        exchange=exchange.id,
        market=market or exchange.markets[0],
        region=region or home,
        environment=environment or first,
    )


# -- 2: make and paste -------------------------------------------------------------------------------------------------


def _make_and_paste(workbench: Workbench, wizard: Wizard, exchange: Exchange, on_leave: Callable[[], None]) -> None:
    if wizard.replaces is None:
        wizard = _choose_where(workbench, wizard, exchange)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(_("1 · Tick these boxes"), anchor=False)
        key_form(workbench, exchange, wizard.target.market)
        st.link_button(
            _("Open the key page at {exchange}", exchange=exchange.name),
            exchange.guide.key_page,
            icon=":material/open_in_new:",
            width="stretch",
        )
        with st.expander(_("Step by step at {exchange}", exchange=exchange.name)):
            guide_steps(exchange)
            shown_once(exchange)
            life(exchange)
        guide_link(workbench, exchange.id, wizard.target.market)
    with right:
        st.subheader(_("2 · Bind the key to your address"), anchor=False)
        bind_address(exchange, workbench.address(_where_it_leaves(workbench, wizard), shared=is_shared()))
        if exchange.expiry_rule:
            st.caption(_(exchange.expiry_rule))
        st.subheader(_("3 · Paste what {exchange} shows", exchange=exchange.name), anchor=False)
        samples = workbench.sample_keys(exchange.id)
        if samples:
            with st.expander(_("Sample keys to paste"), icon=":material/science:"):
                for label, text in samples:
                    st.caption(say(label))
                    st.code(text, language=None)
        _paste_form(workbench, exchange)
        if wizard.echo is not None:
            _echo_box(exchange, wizard.echo)
            if wizard.draft_id and wizard.echo.doubts:
                st.button(
                    _("Test it as it is"),
                    icon=":material/play_arrow:",
                    on_click=_test,
                    args=(workbench,),
                    key="test_anyway",
                )
    st.button(
        _("Back"),
        icon=":material/arrow_back:",
        type="tertiary",
        key="wizard_back",
        on_click=on_leave if wizard.replaces else _to_first_step,
    )


def _choose_where(workbench: Workbench, wizard: Wizard, exchange: Exchange) -> Wizard:
    """Market, region and environment of the key, above what they change. Gives the wizard as it is then."""
    with st.container(gap="xsmall"):
        with st.container(horizontal=True):
            target = _where_there(workbench, exchange, wizard.target)
        st.caption(
            _("Enable only the market that your bot uses. A second market is a second key and a second connection.")
        )
    if target != wizard.target:  # a key that was read for another place waits on Connections
        _change(target=target, draft_id=None, job_id=None, echo=None)
        wizard = current_wizard() or wizard
    return wizard


def _where_it_leaves(workbench: Workbench, wizard: Wizard) -> Connection | Target:
    """A new key has the way out of the connection whose key it replaces."""
    replaced = workbench.connection(wizard.replaces) if wizard.replaces else None
    return replaced or wizard.target


def _to_first_step() -> None:
    _empty_boxes()
    _change(step=1, echo=None)


MANY_REGIONS = 4  # more than these stand in a list, not side by side


def _paste_form(workbench: Workbench, exchange: Exchange) -> None:
    labels = ", ".join(spec.label for spec in exchange.fields)
    with st.form("paste", border=False):
        st.text_input(
            _("{fields}, in any order", fields=labels),
            type="password",
            key=_PASTE,
            placeholder=_("Paste here"),
            autocomplete="off",
            help=_("Copy all of it from the exchange's page. It is read here, sealed in memory, and tested."),
        )
        with st.expander(_("Type the fields one by one")):
            for spec in exchange.fields:
                st.text_input(spec.label, type="password", key=_BOXES[spec.name], autocomplete="off")
        st.form_submit_button(
            _("Test this key"),
            type="primary",
            icon=":material/play_arrow:",
            on_click=_take,
            args=(workbench,),
            key="test_key",
        )


@attempting
def _take(workbench: Workbench) -> None:
    """Reads the boxes, empties them, and hands the key over. A key that looks right is tested at once."""
    text = str(st.session_state.get(_PASTE) or "")
    fields = {name: str(st.session_state.get(key) or "") for name, key in _BOXES.items()}
    _empty_boxes()
    wizard = current_wizard()
    if wizard is None:
        return
    if wizard.draft_id:
        workbench.forget_draft(wizard.draft_id)
    one_by_one = any(value.strip() for value in fields.values())
    exchange_id = wizard.target.exchange
    try:
        pasted = workbench.check_fields(exchange_id, fields) if one_by_one else workbench.read_paste(exchange_id, text)
        draft_id = None
        if pasted.credentials is not None and not pasted.problems:
            draft_id = workbench.draft(wizard.target, pasted.credentials, replaces=wizard.replaces).id
    except BfaiError as error:
        _change(echo=Echo(problems=(error.message,)), draft_id=None, job_id=None)
        return
    _change(echo=_echo_of(pasted), draft_id=draft_id, job_id=None, saves_failed=False)
    if draft_id and not pasted.doubts:
        _test(workbench)


def _echo_of(pasted: Pasted) -> Echo:
    hint = pasted.credentials.hint if pasted.credentials else ""
    return Echo(pasted.found, hint, pasted.problems, pasted.doubts, pasted.other_exchange)


def _echo_box(exchange: Exchange, echo: Echo) -> None:
    with st.container(border=True, gap="xsmall"):
        for spec in exchange.fields:
            if spec.name not in echo.found:
                if echo.found:
                    st.markdown(":orange[:material/help:] " + _("**{field}** not found", field=spec.label))
                continue
            if spec.name == "api_key" and echo.hint:
                text = _("**{field}** `…{hint}`", field=spec.label, hint=echo.hint)
            else:
                text = _("**{field}** hidden", field=spec.label)
            st.markdown(f":green[:material/check_circle:] {text}")
        lacking = {spec.label for spec in exchange.fields if spec.name not in echo.found} if echo.found else set[str]()
        for problem in echo.problems:
            if problem.params.get("field") in lacking:
                continue  # said above
            st.markdown(f":orange[:material/warning:] {say(problem)}")
        for doubt in echo.doubts:
            st.markdown(f":blue[:material/info:] {say(doubt)}")
        if echo.doubts:
            st.caption(_("Nothing has been sent yet."))


@attempting
def _test(workbench: Workbench, *, try_regions: bool = False) -> None:
    wizard = current_wizard()
    if wizard is None or wizard.draft_id is None:
        return
    draft_id = wizard.draft_id
    try:
        job = workbench.start_draft_test(draft_id, try_regions=try_regions)
    except BfaiError as error:
        tell(error.message, refused=True)
        _change(step=2, draft_id=None, job_id=None, echo=None)
        return
    _change(step=3, job_id=job.id, echo=None, saves_failed=False)


def _paste_again() -> None:
    _change(step=2, echo=None, job_id=None, saves_failed=False)


# -- 3 and 4: result, name ---------------------------------------------------------------------------------------------


def _result(workbench: Workbench, wizard: Wizard, run: TestRun, on_leave: Callable[[], None]) -> None:
    draft = workbench.get_draft(wizard.draft_id or "")
    if draft is None:
        return
    name = exchange_name(workbench, run.exchange)

    @attempting
    def forget() -> None:
        workbench.forget_draft(draft.id)
        tell(
            Message(
                text=N_("Forgotten. The key still works at {exchange}: delete it there."), params={"exchange": name}
            )
        )
        on_leave()

    again = Action(_("I changed it, test again"), lambda: _test(workbench), "again", icon=":material/sync:", waits=True)
    paste = Action(_("Paste a new key"), _paste_again, "paste_new")
    drop = Action(_("Forget it now"), forget, "forget")
    if workbench.replaces_at_once(draft):
        _save(workbench, draft.id, "")
        if current_wizard() is None:
            st.rerun()
    if wizard.saves_failed or run.status.ok:
        if wizard.keeps:
            _name_form(workbench, wizard, draft.id, run)
        else:
            result_head(workbench, run, target_facts(workbench, draft.target, ""), draft.key_hint)
            thief_sentence(workbench, run)
            account_lines(workbench, draft.target, run)
            advice_list(workbench, run)
            with st.container(horizontal=True):
                action_button(Action(_("Forget the key and end"), forget, "forget_end", primary=True))
                action_button(Action(_("Test again"), lambda: _test(workbench), "again_ok", icon=":material/sync:"))
    else:
        actions = [again, paste, drop]
        if run.diagnosis is not None and run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN:
            remedy_box(workbench, run, actions)
            _confirm(workbench, draft.id, run)
        else:
            if wizard.keeps and workbench.can_save(draft) is None:
                actions.append(Action(_("Save as failed"), lambda: _change(saves_failed=True), "save_failed"))
            remedy_box(workbench, run, actions)
            _elsewhere(workbench, draft.id, run)
        countdown(
            N_("The key waits in memory for {left}, sealed. Then it is forgotten."),
            partial(_seconds_to_live, draft),
        )
        thief_sentence(workbench, run)
    result_tables(workbench, run)
    receipt(run)


def _elsewhere(workbench: Workbench, draft_id: str, run: TestRun) -> None:
    """A key that this region does not know may be at home in another one."""
    exchange = workbench.exchanges()[run.exchange]
    owner = run.diagnosis.region if run.diagnosis else None
    if owner is not None:
        name = exchange.region(owner).name
        if exchange.serves(owner, run.market, run.environment):
            action_button(
                Action(_("Use {region}", region=name), lambda: _move(workbench, draft_id, owner), "move", primary=True)
            )
        return
    hosts = workbench.other_regions(run)
    if hosts:
        with st.container(border=True, gap="xsmall"):
            st.markdown("**" + _("Made in another region?") + "**")
            st.write(
                _(
                    "The other regions of {exchange} can be asked, one after the other, with the same harmless call."
                    " They see the key: {hosts}.",
                    exchange=exchange.name,
                    hosts=", ".join(hosts),
                )
            )
            action_button(Action(_("Ask the other regions"), lambda: _test(workbench, try_regions=True), "try_regions"))


@attempting
def _move(workbench: Workbench, draft_id: str, region: str) -> None:
    """Goes on with the same key in the region that knows it."""
    try:
        draft = workbench.move_draft(draft_id, region)
    except BfaiError as error:
        tell(error.message, refused=True)
        return
    _change(target=draft.target, draft_id=draft.id)
    _test(workbench)


def _seconds_to_live(draft: Draft) -> float:
    return (draft.expires_at - utc_now()).total_seconds()


def _confirm(workbench: Workbench, draft_id: str, run: TestRun) -> None:
    """The exchange does not tell; the trader looks."""
    name = exchange_name(workbench, run.exchange)
    looked = st.checkbox(
        _("I looked at this key's page at {exchange}: the box to withdraw is empty.", exchange=name), key="looked"
    )
    st.button(
        _("Confirm that it cannot withdraw"),
        key="confirm_draft",
        type="primary" if looked else "secondary",
        disabled=not looked,
        on_click=attempting(lambda: workbench.confirm_draft(draft_id)),
    )


def _name_form(workbench: Workbench, wizard: Wizard, draft_id: str, run: TestRun) -> None:
    old = workbench.connection(wizard.replaces) if wizard.replaces else None
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            chip(run.status)
            if run.status is Status.ONLINE:
                st.markdown(_("**The key works, and it cannot withdraw.**"), width="stretch")
            elif run.status is Status.CONNECTED:
                st.markdown(_("**The key works. There is something to make better.**"), width="stretch")
            else:
                st.markdown(_("**The key does not work yet. It is kept, to be mended later.**"), width="stretch")
        thief_sentence(workbench, run)
        account_lines(workbench, wizard.target, run, except_id=wizard.replaces)
        advice_list(workbench, run)
        if old is not None:
            st.write(_("The new key takes the place of the old one. Name and history stay."))
            st.caption(
                _("Delete the old key at {exchange} afterwards.", exchange=exchange_name(workbench, run.exchange))
            )
            action_button(
                Action(_("Replace the key"), lambda: _save(workbench, draft_id, old.name), "replace", primary=True)
            )
            return
        problem = _name_box(workbench, wizard.target, draft_id, run)
        st.text_input(
            _("What uses it (you may leave this empty)"),
            max_chars=120,
            key="connection_used_by",
            placeholder=_("Such as: my grid bot, Freqtrade on the server"),
        )
        st.text_input(_("Note (you may leave this empty)"), max_chars=300, key="connection_note")
        action_button(
            Action(
                _("Save the connection"),
                lambda: _save(workbench, draft_id, str(st.session_state.get(_name_key(draft_id)) or "")),
                "save_connection",
                primary=True,
            ),
            disabled=problem is not None,
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The suggestion that the name box begins with. `times`: how often one was chosen; each makes the box anew."""

    draft_id: str
    name: str = ""
    times: int = 0


def _chosen(draft_id: str) -> _Chosen:
    kept: _Chosen | None = st.session_state.get(_NAME)
    return kept if kept is not None and kept.draft_id == draft_id else _Chosen(draft_id)


def _name_key(draft_id: str) -> str:
    times = _chosen(draft_id).times
    return f"connection_name~{times}" if times else "connection_name"


def _name_box(workbench: Workbench, target: Target, draft_id: str, run: TestRun) -> Message | None:
    """The name, what is to be said about it, and some to choose from. Gives what stands against it."""
    chosen, suggested = _chosen(draft_id), workbench.suggest_names(target, run.key_report)
    picks = f"name_picks_{chosen.times}"

    def pick() -> None:
        picked = st.session_state.get(picks)
        if picked:
            st.session_state[_NAME] = replace(chosen, name=str(picked), times=chosen.times + 1)

    name = st.text_input(
        _("Name"), value=chosen.name or suggested[0], max_chars=60, key=_name_key(draft_id), live="500ms"
    )
    problem = name_line(workbench, target, name or "")
    st.pills(_("Suggestions"), suggested, key=picks, on_change=pick)
    return problem


def name_line(workbench: Workbench, target: Target, name: str, *, except_id: str | None = None) -> Message | None:
    """A line below a box with a name, whatever there is to say, so that nothing moves. Gives what stands against it."""
    problem = workbench.name_problem(name, except_id=except_id)
    hint = problem or workbench.name_hint(name, target, except_id=except_id)
    if hint is None:
        st.caption(_("Other pages, alerts and exports use this name."))
    else:
        icon = ":orange[:material/warning:]" if problem is not None else ":material/lightbulb:"
        st.caption(f"{icon} {say(hint)}")
    return problem


@attempting
def _save(workbench: Workbench, draft_id: str, name: str) -> None:
    """Stores the key and says so, or says why not. A key that replaces another keeps the connection's name."""
    used_by = str(st.session_state.get("connection_used_by") or "")
    note = str(st.session_state.get("connection_note") or "")
    wizard = current_wizard()
    try:
        connection = workbench.save_draft(draft_id, name=name, used_by=used_by, note=note)
    except BfaiError as error:
        tell(error.message, refused=True)
        return
    leave_wizard()
    if wizard is not None and wizard.replaces is not None:
        text = N_("{name} has its new key. Delete the old one at {exchange}.")
    else:
        text = N_("{name} is saved. Its secret is never shown again.")
    where = exchange_name(workbench, connection.target.exchange)
    tell(Message(text=text, params={"name": connection.name, "exchange": where}))
