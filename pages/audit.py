"""The audit trail: everything of consequence that was done here, to be filtered, searched and exported."""

from __future__ import annotations

from functools import partial

import streamlit as st

from bfai.model import utc_now
from bfai.ui import _, calm, is_simulated, moment, n_, open_page
from bfai.ui.history_view import RANGE_NAMES, zone_of
from bfai.ui.language import say, words
from bfai.ui.location import link, location
from bfai.ui.pieces import download_button, head, moved, table, widget_key, zone_note
from bfai.ui.time_range import PRESETS
from bfai.workbench import KIND_NAMES, Kind, Wanted, Workbench, describe, kind_of

PER_PAGE = 50
ALL = ""
ABOUT = "about"


def draw(workbench: Workbench) -> None:
    what = _("What was done here, the newest first")
    actions = head(_("Audit trail"), f"{what} · {zone_note()}")
    names = about_names(workbench)
    wanted = choose(names)
    with actions:
        export(workbench, wanted)
        link("pages/settings.py", _("Settings"), ":material/arrow_back:")
    lines(workbench, wanted)


def about_names(workbench: Workbench) -> dict[str, str]:
    """Everything that a line can be about: connections and strategies, then what is deleted."""
    gone_connections, gone_strategies = workbench.deleted_names()
    connections = {one.id: one.name for one in workbench.connections()}
    strategies = {one.id: one.name for one in workbench.strategies.list()}
    gone = {**gone_connections, **gone_strategies}
    return {
        ALL: _("Every connection and strategy"),
        **{id_: _("Connection: {name}", name=name) for id_, name in connections.items()},
        **{id_: _("Strategy: {name}", name=name) for id_, name in strategies.items()},
        **{
            id_: _("Deleted: {name}", name=name) for id_, name in gone.items() if id_ not in (*connections, *strategies)
        },
    }


def choose(names: dict[str, str]) -> Wanted:
    asked = location.get(ABOUT, ALL)
    asked = asked if asked in names else ALL
    key = widget_key("trail_about", asked)

    def take() -> None:
        picked = st.session_state.get(key)
        if picked is not None and moved("trail_about", key, picked):
            if picked:
                location[ABOUT] = picked
            else:
                location.take_out(ABOUT)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            _("Connection or strategy"),
            list(names),
            index=list(names).index(asked),
            format_func=names.__getitem__,
            key=key,
            on_change=take,
            width=340,
        )
        text = st.text_input(
            _("Search"), type="search", key="trail_search", placeholder=_("Name, word, setting"), width=260
        )
        span = st.segmented_control(
            _("Time"),
            list(RANGE_NAMES),
            default="all",
            required=True,
            format_func=lambda name: _(RANGE_NAMES[name]),
            key="trail_time",
        )
    kinds = st.pills(
        _("Kind"),
        list(KIND_NAMES),
        selection_mode="multi",
        format_func=lambda kind: _(KIND_NAMES[kind]),
        key="trail_kinds",
        label_visibility="collapsed",
    )
    length = PRESETS[span or "all"]
    since = (utc_now() - length).replace(second=0, microsecond=0) if length is not None else None
    return Wanted(tuple(Kind(kind) for kind in kinds or ()), asked, since, None, (text or "").strip())


def lines(workbench: Workbench, wanted: Wanted) -> None:
    mark = hash((wanted.kinds, wanted.subject, wanted.text, st.session_state.get("trail_time")))
    place = st.empty()
    page = int(st.session_state.get(f"trail_page_{mark}") or 1)
    entries, count = workbench.trail(wanted, words().render, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
    if not count:
        place.caption(_("Nothing fits. Choose a longer time, or search for less."))
        return
    names = workbench.trail_names()
    with place.container():
        table(
            {
                _("When"): [moment(entry.at) for entry in entries],
                _("What"): [say(describe(entry, names, words().render)) for entry in entries],
                _("Kind"): [_(KIND_NAMES[kind_of(entry)]) for entry in entries],
            },
            alt=n_("{count} line, the newest first", "{count} lines, the newest first", count),
        )
    first = (page - 1) * PER_PAGE + 1
    st.caption(
        _(
            "{first} to {last} of {count}. Lines are added and never changed; no secret is in them.",
            first=words().number(first),
            last=words().number(first + len(entries) - 1),
            count=words().number(count),
        )
    )
    pages = -(-count // PER_PAGE)
    if pages > 1:
        st.pagination(pages, key=f"trail_page_{mark}")


def export(workbench: Workbench, wanted: Wanted) -> None:
    kind = "simulator-" if is_simulated(workbench) else ""
    with st.popover(_("Export"), icon=":material/download:", key="export_trail"):
        st.caption(_("Every line that is chosen here, with its time in UTC and in your zone. No secret is in it."))
        for label, form, mime in (("CSV", "csv", "text/csv"), ("JSON", "json", "application/json")):
            download_button(
                label,
                partial(workbench.export_trail, wanted, words().render, form, zone_of()),
                file_name=f"bfai-{kind}audit.{form}",
                mime=mime,
                icon=None,
                key=f"export_trail_{form}",
                width="stretch",
            )


workbench = open_page("audit")
with calm():
    draw(workbench)
