"""Strategies: the list with their states, and the editor of one."""

from __future__ import annotations

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Message, Strategy, StrategyState
from bfai.ui import _, calm, moment, n_, open_page, plain, say, zone
from bfai.ui.location import location
from bfai.ui.pieces import (
    CONNECTIONS,
    attempt,
    attempting,
    badge,
    choose_view,
    download_button,
    head,
    rerun_when_done,
    table,
    tell,
    window,
    zone_note,
)
from bfai.ui.replay_view import ADDRESS, draw_replay
from bfai.ui.run_view import draw_run, file_stem, runs_badge
from bfai.ui.session import admit
from bfai.ui.strategy_editor import (
    NEW,
    STATE_LOOKS,
    bring_back,
    connection_of,
    draw_editor,
    drop_editor,
    editor_of,
    enable,
    exchange_spinner,
    field_label,
    fill,
    forget_refusal,
    import_refusal,
    kept_editor,
    load_editor,
    new_editor,
    refusal_box,
    refusal_of,
    refuse,
    save,
    strategy_facts,
    throw_away,
    value_text,
    was_thrown_away,
)
from bfai.workbench import Workbench

PER_PAGE = 20
MAX_FILE_MB = 1
_EXAMPLE = '{"format": "bfai.strategy/1", …}'
MORE = ("duplicate", "rename", "export", "delete")


def draw(workbench: Workbench) -> None:
    connections = sorted(workbench.connections(), key=lambda connection: connection.name.casefold())
    strategies = workbench.strategies.list()
    opened = location.get("strategy", "")
    strategy = next((one for one in strategies if one.id == opened), None)
    if opened == NEW and connections:
        edit_new(workbench, connections)
    elif strategy is not None:
        edit(workbench, strategy, connections)
    else:
        location.take_out("strategy")
        overview(workbench, strategies, connections)
    running = workbench.running()
    place = kept.connection_id if (kept := kept_editor(opened)) is not None else None
    rerun_when_done(job for id_, job in running.items() if not opened or id_ == place)


def open_strategy(strategy_id: str) -> None:
    location["strategy"] = strategy_id


def leave() -> None:
    location.take_out("strategy", "view", *ADDRESS)
    forget_refusal()


# -- the list ----------------------------------------------------------------------------------------------------------


def overview(workbench: Workbench, strategies: list[Strategy], connections: list[Connection]) -> None:
    suspended = sum(strategy.state is StrategyState.SUSPENDED for strategy in strategies)
    caption = n_("{count} strategy", "{count} strategies", len(strategies))
    if suspended:
        caption = " · ".join((caption, n_("{count} suspended", "{count} suspended", suspended)))
    with head(_("Strategies"), f"{caption} · {zone_note()}"):
        st.button(_("Import"), icon=":material/upload:", key="import_strategy", on_click=open_import)
        if connections:
            st.button(
                _("New strategy"),
                icon=":material/add:",
                type="secondary" if st.session_state.get("strategy_import") else "primary",
                key="new_strategy",
                on_click=open_strategy,
                args=(NEW,),
            )
    if not connections:
        no_connection()
    if st.session_state.get("strategy_import"):
        importer(workbench, connections)
    elif was_thrown_away(NEW):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_("The new strategy is thrown away. Nothing of it was saved."), width="stretch")
            st.button(_("Bring it back"), icon=":material/undo:", key="bring_back", on_click=bring_new_back)
    if connections and not strategies:
        st.write(
            _(
                "Nothing here yet. A strategy says what to buy on which connection, how large, how often again, and"
                " when to sell. It is checked against the exchange's limits and your balance before it may run."
            )
        )
    pages = -(-len(strategies) // PER_PAGE)
    page = st.pagination(pages, key="strategy_page") if pages > 1 else 1
    for strategy in strategies[((page or 1) - 1) * PER_PAGE :][:PER_PAGE]:
        row(workbench, strategy, connections)


def bring_new_back() -> None:
    bring_back()
    open_strategy(NEW)


def no_connection() -> None:
    with st.container(border=True, width=640):
        st.write(_("A strategy needs a connection to trade on. There is none yet."))
        if st.button(_("Add a connection"), icon=":material/add:", type="primary", key="add"):
            st.switch_page(CONNECTIONS, query_params={"add": "1"})


def row(workbench: Workbench, strategy: Strategy, connections: list[Connection]) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"strategy_row_{strategy.id}"):
        with st.container(gap="xsmall", width="stretch"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(strategy.name)}**", width="content")
                badge(STATE_LOOKS[strategy.state])
                runs_badge(workbench, strategy)
            st.caption(strategy_facts(workbench, strategy))
            why(strategy)
            kept = kept_editor(strategy.id)
            if kept is not None and kept.unsaved:
                st.caption(":material/edit: " + _("There are changes that are not saved."))
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
            state_button(workbench, strategy)
            st.button(_("Open"), key=f"open_{strategy.id}", on_click=open_strategy, args=(strategy.id,))
            names = {
                "duplicate": _("Duplicate"),
                "rename": _("Rename"),
                "export": _("Export"),
                "delete": _("Delete"),
            }
            chosen = st.menu_button(
                _("More"),
                list(MORE),
                format_func=lambda one: names[one],
                key=f"more_{strategy.id}",
                type="tertiary",
            )
        refusal = refusal_of(strategy.id)
    if refusal is not None and not refusal.problems:
        refusal_box(None, refusal, f"row_{strategy.id}")
    if chosen == "duplicate":
        duplicate(workbench, strategy, connections)
    elif chosen == "rename":
        rename(workbench, strategy)
    elif chosen == "export":
        export(workbench, strategy)
    elif chosen == "delete":
        delete(workbench, strategy)


def why(strategy: Strategy) -> None:
    """Why it is in this state."""
    if strategy.state is StrategyState.ENABLED and strategy.enabled_at is not None:
        st.caption(_("Enabled since {when}.", when=moment(strategy.enabled_at)))
    elif strategy.state is StrategyState.DRAFT and strategy.connection_id is not None:
        st.caption(_("Not enabled: it does nothing yet."))
    for reason in strategy.reasons:
        st.markdown(":orange[:material/warning:] " + say(reason))
    if strategy.state is StrategyState.SUSPENDED and strategy.connection_id is not None:
        if strategy.needs_person:
            st.caption(_("It waits for you: mend that, then resume."))
        else:
            st.caption(_("It resumes by itself when the connection's test passes again."))
    if strategy.connection_id is None and not strategy.reasons:
        st.markdown(
            ":orange[:material/warning:] "
            + _(
                "The connection {name} was deleted. Duplicate this strategy for another connection.",
                name=plain(strategy.connection_name),
            )
        )


def state_button(workbench: Workbench, strategy: Strategy) -> None:
    """The one step that changes its state."""
    if strategy.state is StrategyState.ENABLED or (
        strategy.state is StrategyState.SUSPENDED and not strategy.needs_person
    ):
        st.button(
            _("Disable"),
            icon=":material/stop:",
            key=f"disable_{strategy.id}",
            on_click=attempting(lambda: workbench.strategies.disable(strategy.id)),
        )
        return
    if strategy.connection_id is None:
        return
    resume = strategy.state is StrategyState.SUSPENDED
    if st.button(_("Resume") if resume else _("Enable"), icon=":material/play_arrow:", key=f"enable_{strategy.id}"):
        with exchange_spinner(workbench, strategy):
            done = enable(workbench, strategy)
        if not done and (refusal := refusal_of(strategy.id)) is not None and refusal.problems:
            editor_of(workbench, strategy).step = 4
            open_strategy(strategy.id)
        st.rerun()


# -- the editor --------------------------------------------------------------------------------------------------------


def edit_new(workbench: Workbench, connections: list[Connection]) -> None:
    editor = new_editor(workbench, connections)
    fill(workbench, editor, connections)

    def discard() -> None:
        throw_away(workbench, None)
        leave()

    title_row(editor.name or _("New strategy"), None, _("A new strategy, not saved yet"))
    with st.container(horizontal=True, vertical_alignment="center"):
        back_to_list()
        view = choose_view({"edit": _("Edit"), "replay": _("Replay"), "run": _("Run")})
        st.button(_("Throw away"), type="tertiary", key="discard", on_click=discard)
        saves = attempting(lambda: save(workbench, editor))
        st.button(_("Save draft"), icon=":material/save:", key="save", on_click=saves)
    if view == "replay":
        draw_replay(workbench, editor, connection_of(editor, connections))
    elif view == "run":
        st.markdown(":material/info: " + _("Save the draft first: only what is saved can be enabled and run."))
    else:
        draw_editor(workbench, editor, connections)


def title_row(title: str, strategy: Strategy | None, caption: str) -> None:
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.title(plain(title), anchor=False, width="content")
            badge(STATE_LOOKS[strategy.state if strategy is not None else StrategyState.DRAFT])
        st.caption(caption)


def back_to_list() -> None:
    st.button(_("All strategies"), icon=":material/arrow_back:", type="tertiary", key="leave_strategy", on_click=leave)


def edit(workbench: Workbench, strategy: Strategy, connections: list[Connection]) -> None:
    editor = editor_of(workbench, strategy)
    facts = strategy_facts(workbench, strategy)
    unsaved = [_("changes not saved")] if editor.unsaved else []
    title_row(strategy.name, strategy, " · ".join((facts, *unsaved)))
    with st.container(horizontal=True, vertical_alignment="center"):
        back_to_list()
        view = choose_view({"edit": _("Edit"), "replay": _("Replay"), "run": _("Run"), "revisions": _("Revisions")})
        if editor.unsaved:
            st.button(
                _("Throw changes away"),
                type="tertiary",
                key="discard",
                on_click=attempting(lambda: throw_away(workbench, strategy)),
            )
            st.button(
                _("Save revision {number}", number=editor.expected + 1),
                icon=":material/save:",
                key="save",
                on_click=attempting(lambda: save(workbench, editor)),
            )
        elif was_thrown_away(strategy.id):
            st.button(
                _("Bring the changes back"),
                icon=":material/undo:",
                type="tertiary",
                key="bring_back",
                on_click=bring_back,
            )
    with st.container():
        standing(workbench, strategy, connections, view)
        if editor.expected != strategy.revision:
            changed_elsewhere(workbench, strategy)
    if view == "revisions":
        refusal = refusal_of(strategy.id)
        if refusal is not None:
            refusal_box(None, refusal, "restore")
        revisions(workbench, strategy)
    elif view == "replay":
        draw_replay(workbench, editor, connection_of(editor, connections))
    elif view == "run":
        draw_run(workbench, strategy, editor, connection_of(editor, connections))
    else:
        draw_editor(workbench, editor, connections)


def standing(workbench: Workbench, strategy: Strategy, connections: list[Connection], view: str) -> None:
    """What its state means, and the button that changes it."""
    if strategy.state is StrategyState.SUSPENDED or strategy.connection_id is None:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="suspended"):
            with st.container(width="stretch", gap="xsmall"):
                why(strategy)
            if strategy.connection_id is None:
                if st.button(_("Duplicate for another connection"), key="duplicate_now"):
                    duplicate(workbench, strategy, connections)
            else:
                state_button(workbench, strategy)
    elif strategy.state is StrategyState.ENABLED:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                _("Disabled, it opens no new groups, and exits go on. A saved change counts after stop and start.")
                if view == "run"
                else _(
                    "Changes hold for new groups only. Groups that are open keep the revision that they began with."
                ),
                width="stretch",
            )
            state_button(workbench, strategy)


def changed_elsewhere(workbench: Workbench, strategy: Strategy) -> None:
    """Another tab or program saved a revision while this one was being edited."""
    editor = editor_of(workbench, strategy)

    def keep() -> None:
        editor.expected = strategy.revision

    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            ":orange[:material/warning:] "
            + _("Revision {number} was saved meanwhile, elsewhere.", number=strategy.revision),
            width="stretch",
        )
        st.button(_("Show that one"), key="load_newest", on_click=attempting(lambda: throw_away(workbench, strategy)))
        st.button(_("Go on with mine"), key="keep_mine", on_click=keep)


# -- revisions ---------------------------------------------------------------------------------------------------------


def revisions(workbench: Workbench, strategy: Strategy) -> None:
    kept = workbench.strategies.revisions(strategy.id)
    numbers = [revision.number for revision in kept]
    names = {revision.number: f"{revision.number} · {moment(revision.created_at)}" for revision in kept}
    st.caption(_("Every saving makes a revision; none is ever changed. Times in {zone}.", zone=zone()))
    if len(kept) > 1:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            old = st.selectbox(
                _("Compare revision"),
                numbers,
                index=1,
                format_func=lambda number: names[number],
                key=f"compare_old_{strategy.revision}",
                width=260,
            )
            new = st.selectbox(
                _("with revision"),
                numbers,
                index=0,
                format_func=lambda number: names[number],
                key=f"compare_new_{strategy.revision}",
                width=260,
            )
        comparison(workbench, strategy, old or numbers[1], new or numbers[0])
    st.header(_("All revisions"), anchor=False)
    for revision in kept:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container(width="stretch", gap=None):
                title = _("Revision {number}", number=revision.number)
                in_force = [_("in force")] if revision.number == strategy.enabled_revision else []
                st.markdown(" · ".join((f"**{title}**", *in_force, moment(revision.created_at))))
                st.caption(plain(f"{revision.digest[:12]} {revision.note}".strip()))
            if revision.number != strategy.revision:
                st.button(
                    _("Restore"),
                    key=f"restore_{revision.number}",
                    icon=":material/history:",
                    on_click=restore,
                    args=(workbench, strategy, revision.number),
                )


def comparison(workbench: Workbench, strategy: Strategy, old: int, new: int) -> None:
    found = workbench.strategies.compare(strategy.id, old, new)
    if not found:
        st.write(_("The two are the same."))
        return
    quote = workbench.strategies.parameters(strategy.id, new).quote
    table(
        {
            _("Field"): [field_label(name, quote) for name, _old, _new in found],
            _("Revision {number}", number=old): [value_text(name, value) for name, value, _new in found],
            _("Revision {number}", number=f"{new}\u200b" if new == old else new): [
                value_text(name, value) for name, _old, value in found
            ],
        },
        alt=_("The fields in which the two revisions differ"),
    )


@attempting
def restore(workbench: Workbench, strategy: Strategy, number: int) -> None:
    forget_refusal()
    try:
        restored = workbench.strategies.restore(strategy.id, number)
    except BfaiError as error:
        refuse(strategy.id, error)
        return
    load_editor(workbench, restored)
    text = N_("Revision {old} stands again, as revision {new}.")
    tell(Message(text=text, params={"old": number, "new": restored.revision}))


# -- import and export -------------------------------------------------------------------------------------------------


def open_import() -> None:
    st.session_state["strategy_import"] = True
    forget_refusal()


def close_import() -> None:
    st.session_state.pop("strategy_import", None)
    forget_refusal()


def importer(workbench: Workbench, connections: list[Connection]) -> None:
    """From a file, or from text that is edited here. What is wrong is said; what was typed stays."""
    with st.container(border=True, key="strategy_importer"):
        st.header(_("Import a strategy"), anchor=False)
        given = st.file_uploader(
            _("A file that was exported, JSON or YAML"),
            type=["json", "yaml", "yml", "txt"],
            key="import_file",
            max_upload_size=MAX_FILE_MB,
        )
        typed = st.text_area(_("Or its text"), key="import_text", height=160, placeholder=_EXAMPLE)
        names = {connection.id: connection.name for connection in connections}
        chosen = st.selectbox(
            _("Connection"), [*names, ""], format_func=lambda id_: names.get(id_) or _("none yet"), key="import_to"
        )
        refusal = refusal_of("import")
        if refusal is not None:
            import_refusal(refusal)
        with st.container(horizontal=True):
            read = st.button(_("Import it"), type="primary", key="import_now")
            st.button(_("Close"), type="tertiary", key="import_close", on_click=close_import)
    if read:
        text = given.getvalue().decode("utf-8", "replace") if given is not None else typed or ""
        take_import(workbench, text, chosen or None)


def take_import(workbench: Workbench, text: str, connection_id: str | None) -> None:
    forget_refusal()
    try:
        admit()
        strategy = workbench.strategies.import_file(text, connection_id)
    except BfaiError as error:
        refuse("import", error)
        st.rerun()
    close_import()
    tell(Message(text=N_("{name} is imported, as a draft."), params={"name": strategy.name}))
    open_strategy(strategy.id)
    st.rerun()


def export(workbench: Workbench, strategy: Strategy) -> None:
    @window(_("Export {name}", name=plain(strategy.name)))
    def dialog() -> None:
        with calm():
            st.write(_("Revision {number} as a file. It holds no key and no account.", number=strategy.revision))
            stem = file_stem(strategy.name)
            with st.container(horizontal=True):
                for kind, as_yaml in (("json", False), ("yaml", True)):
                    download_button(
                        _("Download {kind}", kind=kind.upper()),
                        workbench.strategies.export(strategy.id, as_yaml=as_yaml).encode(),
                        file_name=f"{stem}.{kind}",
                        mime="application/json" if kind == "json" else "application/yaml",
                        key=f"download_{kind}",
                    )

    dialog()


# -- duplicate, rename, delete -----------------------------------------------------------------------------------------


def duplicate(workbench: Workbench, strategy: Strategy, connections: list[Connection]) -> None:
    names = {connection.id: connection.name for connection in connections}
    parameters = workbench.strategies.parameters(strategy.id)
    keys = {name: f"duplicate_{name}_{strategy.id}" for name in ("name", "connection", "pairs")}

    @attempting
    def copy() -> None:
        pairs = str(st.session_state.get(keys["pairs"]) or "").replace(",", " ").split()
        try:
            made = workbench.strategies.duplicate(
                strategy.id,
                str(st.session_state.get(keys["name"]) or ""),
                connection_id=st.session_state.get(keys["connection"]) or None,
                pairs=pairs,
            )
        except BfaiError as error:
            st.session_state["duplicate_problem"] = error.message
            return
        open_strategy(made.id)

    @window(_("Duplicate {name}", name=plain(strategy.name)))
    def dialog() -> None:
        with calm():
            if not names:
                st.write(_("There is no connection to put it on. Add one first."))
                return
            st.text_input(
                _("Name"), value=workbench.strategies.free_name(strategy.name), max_chars=60, key=keys["name"]
            )
            options = list(names)
            place = options.index(strategy.connection_id) if strategy.connection_id in names else 0
            st.selectbox(
                _("Connection"), options, index=place, format_func=lambda id_: names[id_], key=keys["connection"]
            )
            st.text_input(_("Pairs"), value=", ".join(parameters.pairs), key=keys["pairs"])
            copied = st.button(_("Duplicate"), type="primary", key="duplicate_yes", on_click=copy)
            problem: Message | None = st.session_state.pop("duplicate_problem", None)
            if problem is not None:
                st.warning(say(problem))
            elif copied:
                st.rerun()

    dialog()


def rename(workbench: Workbench, strategy: Strategy) -> None:
    key = f"rename_{strategy.id}"

    @attempting
    def keep() -> None:
        try:
            renamed = workbench.strategies.rename(strategy.id, str(st.session_state.get(key) or ""))
        except BfaiError as error:
            st.session_state["rename_problem"] = error.message
            return
        kept = kept_editor(strategy.id)
        if kept is not None:
            kept.name = renamed.name

    @window(_("Rename {name}", name=plain(strategy.name)))
    def dialog() -> None:
        with calm():
            st.text_input(_("Name"), value=strategy.name, max_chars=60, key=key)
            done = st.button(_("Rename"), type="primary", key="rename_yes", on_click=keep)
            problem: Message | None = st.session_state.pop("rename_problem", None)
            if problem is not None:
                st.warning(say(problem))
            elif done:
                st.rerun()

    dialog()


def delete(workbench: Workbench, strategy: Strategy) -> None:
    def erase() -> None:
        if attempt(lambda: workbench.strategies.delete(strategy.id)):
            drop_editor(strategy.id)
            tell(Message(text=N_("{name} is deleted."), params={"name": strategy.name}))

    @window(_("Delete {name}?", name=plain(strategy.name)))
    def dialog() -> None:
        with calm():
            st.write(
                n_(
                    "It is erased with its {count} revision. Orders and positions at the exchange stay as they are.",
                    "It is erased with its {count} revisions. Orders and positions at the exchange stay as they are.",
                    strategy.revision,
                )
            )
            st.caption(_("Lines about it stay in the audit trail, and what you exported or backed up."))
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Keep it"), key="delete_no")
                erased = st.button(
                    _("Delete"), type="primary", icon=":material/delete:", key="delete_yes", on_click=erase
                )
            if kept or erased:
                st.rerun()

    dialog()


workbench = open_page("strategies")
with calm():
    draw(workbench)
