"""Overview: which connections need the trader, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from bfai.model import Advice, Connection, Message, Status, TestRun, utc_now, worst_first
from bfai.ui import _, calm, n_, open_page, percent, plain, say
from bfai.ui.charts import last_beats, strip_svg
from bfai.ui.pieces import (
    CONNECTIONS,
    FEW_TESTS,
    HISTORY,
    STATUS_LOOKS,
    TESTING,
    age,
    badge,
    chip,
    exchange_name,
    exposed_badge,
    facts,
    head,
    market_name,
    part,
    progress_text,
    rerun_when_done,
    start,
    strip,
    zone_note,
)
from bfai.ui.schedule import next_test_line
from bfai.ui.wizard import exchange_pills
from bfai.workbench import CAUSE_NAMES, RunRow, TestJob, Workbench

MOST_CARDS = 24
TABLE_BEATS = 30
NEED_NOTHING = (Status.ONLINE, Status.CONNECTED)


def draw(workbench: Workbench) -> None:
    connections = worst_on_top(workbench.connections())
    if not connections:
        empty(workbench)
        return
    running = workbench.running()
    needy = sum(connection.status not in NEED_NOTHING and connection.id not in running for connection in connections)
    count = n_("{count} connection", "{count} connections", len(connections))
    if needy:
        need = n_("{count} needs you", "{count} need you", needy)
    elif running:
        need = n_("{count} is being tested", "{count} are being tested", len(running))
    else:
        need = _("nothing to do")
    with head(_("Overview"), f"{count} · {need} · {zone_note()}"):
        st.button(
            _("Test all"),
            icon=":material/sync:",
            key="test_all",
            on_click=start,
            args=(workbench, [connection.id for connection in connections]),
        )
        if st.button(_("Add a connection"), icon=":material/add:", type="primary", key="add"):
            st.switch_page(CONNECTIONS, query_params={"add": "1"})
    next_test_line(workbench, connections)
    shown = filtered(connections, running)
    recent = workbench.recent_runs(40)
    if len(shown) > MOST_CARDS:
        table(workbench, shown, recent, running)
    else:
        shares = online_shares(tuple((one.id, one.last_run_id) for one in shown), workbench)
        accounts = workbench.accounts()
        with st.grid(min_column_width=300):
            for connection in shown:
                job = running.get(connection.id)
                runs, share = recent.get(connection.id, []), shares.get(connection.id)
                marks, follow = accounts.get(connection.id, ()), len(running) <= FEW_TESTS
                card(workbench, connection, runs, share, job, marks, follow=follow)
    rerun_when_done(running.values())


def worst_on_top(connections: Sequence[Connection]) -> list[Connection]:
    order = worst_first(Status)
    return sorted(connections, key=lambda connection: (order.index(connection.status), connection.name.casefold()))


def filtered(connections: Sequence[Connection], running: dict[str, TestJob]) -> list[Connection]:
    """The status pills. A connection that is being tested counts as Testing."""
    kinds: dict[str, list[Connection]] = {}
    for connection in connections:
        kinds.setdefault("testing" if connection.id in running else connection.status.value, []).append(connection)
    looks = {status.value: look for status, look in STATUS_LOOKS.items()} | {"testing": TESTING}
    options = [kind for kind in ("blocked", "failed", "untested", "testing", "connected", "online") if kind in kinds]

    def label(kind: str) -> str:
        look = looks[kind]
        return f":{look.colour}[:material/{look.icon}:] {_(look.word)} {len(kinds[kind])}"

    chosen = st.pills(
        _("Status"),
        options,
        selection_mode="multi",
        format_func=label,
        key="status_filter",
        label_visibility="collapsed",
    )
    wanted = [kind for kind in chosen or [] if kind in kinds]
    return [connection for kind in (wanted or options) for connection in kinds[kind]] if wanted else list(connections)


def card(
    workbench: Workbench,
    connection: Connection,
    runs: Sequence[RunRow],
    share: float | None,
    job: TestJob | None,
    marks: Sequence[Message],
    *,
    follow: bool,
) -> None:
    last = workbench.latest_run(connection.id)
    exposed = last if last is not None and workbench.is_exposed(last) else None
    with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"card_{connection.id}"):
        with st.container(gap="xsmall"):
            if job is not None:
                testing_head(job, follow=follow)
            else:
                with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                    with st.container(horizontal=True, gap="xsmall", width="content"):
                        chip(connection.status)
                        if exposed is not None:
                            exposed_badge()
                    st.caption(age(connection), width="content")
            st.markdown(f"**{plain(connection.name)}**")
            st.caption(facts(workbench, connection, marks))
            strip(last_beats(runs))
            st.caption(figure(runs, share))
            if job is not None:
                st.markdown(_("Reading what the key may do. You can leave this page."))
            else:
                st.markdown(say(workbench.next_step(connection, last)))
                if exposed is not None:
                    st.caption(" ".join(say(message) for message in workbench.thief_view(exposed)))
        with st.container(horizontal=True, vertical_alignment="center"):
            main_button(workbench, connection, last, testing=job is not None)
            if st.button(_("Details"), key=f"details_{connection.id}", type="tertiary"):
                st.switch_page(HISTORY, query_params={"connection": connection.id})


def testing_head(job: TestJob, *, follow: bool) -> None:
    """That it is being tested; how far, where few are."""

    @part(run_every=0.4 if follow else None)
    def draw_head() -> None:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            badge(TESTING)
            st.caption(progress_text(job), width="content")

    draw_head()


def figure(runs: Sequence[RunRow], share: float | None) -> str:
    """A share of time says something only when there was some time."""
    if not runs:
        return _("No test yet")
    if utc_now() - runs[0].started_at < timedelta(hours=1):
        return n_("{count} test so far", "{count} tests so far", len(runs))
    return _("{share} online, 30 days", share=percent(share)) if share is not None else _("No figure yet")


@st.cache_data(show_spinner=False, scope="session", ttl=300, max_entries=20)
def online_shares(newest: tuple[tuple[str, str | None], ...], _workbench: Workbench) -> dict[str, float | None]:
    """Of these connections, with the last test of each: counted again after each test, and after five minutes."""
    now = utc_now()
    return _workbench.history.shares([id_ for id_, _run in newest], now - timedelta(days=30), now)


def main_button(workbench: Workbench, connection: Connection, last: TestRun | None, *, testing: bool) -> None:
    """The one step that helps."""
    key = f"main_{connection.id}"
    if testing:
        if st.button(_("Watch"), key=key):
            st.switch_page(HISTORY, query_params={"connection": connection.id})
    elif connection.status in (Status.BLOCKED, Status.FAILED):
        blocked = connection.status is Status.BLOCKED
        if st.button(_("How to fix"), key=key, type="primary" if blocked else "secondary"):
            st.switch_page(HISTORY, query_params={"connection": connection.id})
    elif last is not None and Advice.EXPIRES_SOON in last.advice:
        if st.button(_("Rotate key"), key=key):
            st.switch_page(CONNECTIONS, query_params={"rotate": connection.id})
    else:
        st.button(_("Test"), key=key, on_click=start, args=(workbench, [connection.id]))


def table(
    workbench: Workbench, shown: Sequence[Connection], recent: dict[str, list[RunRow]], running: dict[str, TestJob]
) -> None:
    """The same, for many connections: one line each."""
    status, name, exchange, market, beats, tested, cause = (
        _("Status"),
        _("Name"),
        _("Exchange"),
        _("Market"),
        _("Last 30 tests"),
        _("Last test"),
        _("Cause"),
    )
    rows = {
        status: [
            _(TESTING.word if connection.id in running else STATUS_LOOKS[connection.status].word)
            for connection in shown
        ],
        name: [connection.name for connection in shown],
        exchange: [exchange_name(workbench, connection.target.exchange) for connection in shown],
        market: [market_name(connection.target.market) for connection in shown],
        beats: [strip_uri(recent.get(connection.id, [])) for connection in shown],
        cause: [cause_name(recent.get(connection.id, [])) for connection in shown],
        tested: [age(connection) for connection in shown],
    }
    chosen = st.dataframe(
        rows,
        hide_index=True,
        height="content",
        row_height=40,
        column_config={beats: st.column_config.ImageColumn(width=270)},
        on_select="rerun",
        selection_mode="single-row",
        key="connection_table",
        alt=_("All connections, the worst first"),
    )
    selected = chosen.selection.rows  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    if selected:
        st.switch_page(HISTORY, query_params={"connection": shown[selected[0]].id})
    st.caption(_("Tick a line to open the connection."))


def strip_uri(runs: Sequence[RunRow]) -> str:
    from base64 import b64encode

    return (
        "data:image/svg+xml;base64," + b64encode(strip_svg(last_beats(runs, TABLE_BEATS), headroom=7).encode()).decode()
    )


def cause_name(runs: Sequence[RunRow]) -> str:
    return _(CAUSE_NAMES[cause]) if runs and (cause := runs[-1].cause) else ""


def empty(workbench: Workbench) -> None:
    """No connection yet: what this is for, one step, one way to look around, what to have at hand."""
    head(_("Overview"))
    with st.container(border=True, width=640):
        st.header(_("Add your first connection"), anchor=False)
        st.write(
            _(
                "A connection joins one account at an exchange to your bots through one API key. Your money stays at"
                " the exchange, and the key may only do what you allowed it there."
            )
        )
        st.markdown(_("**Have at hand:** your login at the exchange, its 2FA code, and five minutes."))
        chosen = exchange_pills(workbench, "first_exchange")
        if chosen:
            st.switch_page(CONNECTIONS, query_params={"add": chosen})
        with st.container(horizontal=True):
            if st.button(_("Add a connection"), icon=":material/add:", type="primary", key="add_first"):
                st.switch_page(CONNECTIONS, query_params={"add": "1"})
            if st.button(_("Read the guide first"), key="guide_first", type="tertiary"):
                st.switch_page("pages/guide.py")


workbench = open_page("overview")
with calm():
    draw(workbench)
