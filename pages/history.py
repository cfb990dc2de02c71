"""Tests & history: what the last test of a connection found, and what all of them say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

import streamlit as st

from bfai.model import Cause, CheckName, Connection, ExpiryEvidence, Status, TestRun, utc_now
from bfai.ui import _, calm, duration, is_simulated, moment, n_, open_page, percent, plain
from bfai.ui.charts import Beat, ChartWords, beats_over_time, buckets_of, latency_spec, legend_svg
from bfai.ui.language import words
from bfai.ui.pieces import (
    BEAT_NAMES,
    CHECK_NAMES,
    CONNECTIONS,
    OWN_NETWORK,
    STATUS_LOOKS,
    Action,
    advice_list,
    attempting,
    choose_by_address,
    choose_view,
    exchange_name,
    head,
    milliseconds,
    receipt,
    remedy_box,
    rerun_when_done,
    result_head,
    result_tables,
    start,
    strip,
    table,
    thief_sentence,
    watch,
    zone_note,
)
from bfai.ui.schedule import schedule_box
from bfai.workbench import CAUSE_NAMES, RunRow, Workbench

RANGES = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30), "all": None}
PER_PAGE = 25
STRIP_PLACES = 96
MEASURED = (
    CheckName.REACH,
    CheckName.KEY,
    CheckName.BALANCE,
    CheckName.STATUS,
    CheckName.TRADE,
    CheckName.CLOCK,
    CheckName.PERMISSIONS,
)
ALL = "all"


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
        range_name = choose_range() if view == "history" else ""
    with actions:
        test_buttons(workbench, connections, connection, view)
    if connection is not None and view == "result":
        result(workbench, connection)
    else:
        history(workbench, connection, connections, range_name)
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
    asked = st.query_params.get("connection")
    run = workbench.run(st.query_params["run"]) if "run" in st.query_params else None
    if asked not in connections and asked != ALL:
        asked = run.connection_id if run is not None and run.connection_id in connections else neediest(connections)
    options = [ALL, *connections]
    picked = st.selectbox(
        _("Connection"),
        options,
        index=options.index(asked),
        format_func=lambda id_: _("All connections") if id_ == ALL else connections[id_].name,
        key=f"connection_{asked}",
        width=340,
        label_visibility="collapsed",
    )
    if picked is not None and picked != asked:
        st.query_params["connection"] = picked
        st.query_params.pop("run", None)
        asked = picked
    elif st.query_params.get("connection") != asked:
        st.query_params["connection"] = asked
    return asked


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
    for name in ("run", "view"):
        if name in st.query_params:
            del st.query_params[name]
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
    asked = st.query_params.get("run")
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
    thief_sentence(workbench, run)
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
    st.query_params["run"] = run_id


ROTATED = frozenset(
    {
        Cause.WITHDRAW_ENABLED,
        Cause.EXPIRED_KEY,
        Cause.INVALID_KEY,
        Cause.INVALID_SECRET,
        Cause.INVALID_PASSPHRASE,
        Cause.MALFORMED_CREDENTIALS,
    }
)


def show_newest() -> None:
    if "run" in st.query_params:
        del st.query_params["run"]


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


# -- history -----------------------------------------------------------------------------------------------------------


def history(
    workbench: Workbench, connection: Connection | None, connections: dict[str, Connection], range_name: str
) -> None:
    span = RANGES[range_name]
    now = utc_now()
    since = now - span if span else None
    id_ = connection.id if connection else None
    if connection is not None:
        runs = workbench.runs(connection.id, since=since)
        if runs:
            metrics(workbench, connection, runs, since, span)
            every_test(runs, since or min(run.started_at for run in runs), now, range_name)
            response_times(workbench, connection, runs, since)
            changes(runs)
    run_list(workbench, id_, since, connections)


def choose_range() -> str:
    names = {"24h": _("24 h"), "7d": _("7 d"), "30d": _("30 d"), "all": _("all")}
    return choose_by_address(_("Time"), names, "range", "7d")


def metrics(
    workbench: Workbench, connection: Connection, runs: Sequence[RunRow], since: datetime | None, span: timedelta | None
) -> None:
    last = workbench.latest_run(connection.id)
    share = workbench.share_online(connection.id, span)
    durations = sorted(run.duration_ms for run in runs if not run.local_network)
    failures = [run for run in runs if run.status in (Status.FAILED, Status.BLOCKED) and not run.local_network]
    causes = Counter(run.cause for run in failures if run.cause)
    with st.grid(columns=4, min_column_width=150):
        with st.container(border=True, height="stretch"):
            st.metric(_("Share of time online"), percent(share) if share is not None else "–")
            st.caption(n_("{count} test in this time", "{count} tests in this time", len(runs)))
        with st.container(border=True, height="stretch"):
            st.metric(_("Median test, ms"), milliseconds(median(durations)) if durations else "–")
            if len(durations) >= 20:
                st.caption(_("95 of 100 within {ms} ms", ms=milliseconds(durations[int(len(durations) * 0.95)])))
            elif durations:
                st.caption(_("slowest {ms} ms", ms=milliseconds(durations[-1])))
        with st.container(border=True, height="stretch"):
            st.metric(_("Failed or blocked"), words().number(len(failures)))
            if causes:
                st.caption(_("most often: {cause}", cause=_(CAUSE_NAMES[causes.most_common(1)[0][0]])))
        with st.container(border=True, height="stretch"):
            report = last.key_report if last else None
            ends = report.expires_at if report else None
            if ends is None and report is not None and report.expiry_evidence is ExpiryEvidence.FIELD:
                st.metric(_("Key ends"), _("never"))
                st.caption(_("as the exchange says"))
            elif ends is None:
                st.metric(_("Key ends"), _("not told"))
                st.caption(_("no end date in the key report"))
            else:
                st.metric(_("Key ends in"), words().days(max(0.0, (ends - utc_now()).total_seconds() / 86400)))
                st.caption(words().date(ends))


def every_test(runs: Sequence[RunRow], since: datetime, until: datetime, range_name: str) -> None:
    titles = {
        "24h": _("Every test of the last 24 hours"),
        "7d": _("Every test of the last 7 days"),
        "30d": _("Every test of the last 30 days"),
        "all": _("Every test"),
    }
    since = min(since, until - timedelta(minutes=1))
    middle = since + (until - since) / 2
    beats = beats_over_time(runs, since, until, STRIP_PLACES)
    with st.container(border=True):
        st.markdown(f"**{titles[range_name]}**")
        with st.grid(columns=2, min_column_width=300, gap=None):
            with st.container(gap=None):
                strip(beats[: STRIP_PLACES // 2])
                st.caption(_("{start} to {end}", start=moment(since), end=moment(middle)))
            with st.container(gap=None):
                strip(beats[STRIP_PLACES // 2 :])
                st.caption(_("{start} to now", start=moment(middle)))
        legend(beats)
        if len(runs) > STRIP_PLACES:
            one = duration((until - since).total_seconds() / STRIP_PLACES)
            st.caption(_("One bar stands for {time}, and shows the worst test of it.", time=one))


def legend(beats: Sequence[Beat]) -> None:
    """The same bars, and what they mean."""
    with st.container(horizontal=True, gap="medium"):
        for state in Beat:
            if state in beats:
                with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
                    st.image(legend_svg(state), width=24, alt="")
                    st.caption(_(BEAT_NAMES[state]), width="content")


def response_times(
    workbench: Workbench, connection: Connection, runs: Sequence[RunRow], since: datetime | None
) -> None:
    measured = [name for name in MEASURED if any(name.value in run.latencies for run in runs)]
    if not measured:
        return
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(_("**Response time, ms** (line = median, band = 5th to 95th percentile)"), width="content")
            check = st.selectbox(
                _("Check"),
                measured,
                format_func=lambda name: _(CHECK_NAMES[name]),
                key="latency_check",
                width=200,
                label_visibility="collapsed",
            )
        name = check if check in measured else measured[0]
        if len(runs) < 2:
            st.caption(_("One test is no line yet. Test again, and the chart begins."))
            return
        buckets = buckets_of(workbench.latency(connection.id, name, since, bucket_count(len(runs))).itertuples())
        medians = [bucket.median for bucket in buckets if bucket.median is not None]
        failures = sum(bucket.failures for bucket in buckets)
        if not medians:
            st.caption(_("No answer was measured in this time."))
            return
        st.echarts_chart(
            latency_spec(
                buckets,
                ChartWords(_("5 of 100 below"), _("median"), _("95 of 100 below"), _("failed tests")),
            ),
            height=320,
            key="latency_chart",
            alt=_(
                "Response time of {check} at {name}: median from {lowest} to {highest} ms, failed tests: {failures}.",
                check=_(CHECK_NAMES[name]),
                name=connection.name,
                lowest=milliseconds(min(medians)),
                highest=milliseconds(max(medians)),
                failures=failures,
            ),
        )


def bucket_count(runs: int) -> int:
    """Some twenty tests in each, so that the band says something; as many as a screen can show."""
    return min(1000, max(60, runs // 20))


def changes(runs: Sequence[RunRow]) -> None:
    """The runs that said something new, newest first."""
    changed = [run for run in runs if run.status_changed or run.report_changed][:10]
    if not changed:
        return
    with st.container(border=True):
        st.markdown("**" + _("What changed") + "**")
        table(
            {
                _("When"): [moment(run.started_at) for run in changed],
                _("What"): [f"{status_icon(run)} {change(run)}" for run in changed],
            },
            alt=_("What changed"),
        )


def status_icon(run: RunRow) -> str:
    look = OWN_NETWORK if run.local_network else STATUS_LOOKS[run.status]
    return f":{look.colour}[:material/{look.icon}:]"


def change(run: RunRow) -> str:
    status = _(STATUS_LOOKS[run.status].word)
    if run.status_changed and run.cause:
        return _("**Now {status}**: {cause}", status=status, cause=_(CAUSE_NAMES[run.cause]))
    if run.status_changed:
        return _("**Now {status}**", status=status)
    return _("**The key report changed**; still {status}", status=status)


# -- the list of runs --------------------------------------------------------------------------------------------------


def run_list(
    workbench: Workbench, connection_id: str | None, since: datetime | None, connections: dict[str, Connection]
) -> None:
    st.subheader(_("Tests"), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = st.multiselect(
            _("Status"),
            [status for status in STATUS_LOOKS if status is not Status.UNTESTED],
            format_func=lambda status: _(STATUS_LOOKS[status].word),
            key="filter_status",
            placeholder=_("any"),
            width=260,
        )
        causes = st.multiselect(
            _("Cause"),
            list(CAUSE_NAMES),
            format_func=lambda cause: _(CAUSE_NAMES[cause]),
            key="filter_cause",
            placeholder=_("any"),
            width=320,
        )
        download(workbench, connection_id, since, connections)
    count = workbench.count_runs(connection_id, since=since, statuses=statuses or None, causes=causes or None)
    if not count:
        st.caption(_("No test fits. Choose a longer time, or test now."))
        return
    pages = -(-count // PER_PAGE)
    page = (st.pagination(pages, key="run_page") if pages > 1 else 1) or 1
    rows = workbench.runs(
        connection_id,
        since=since,
        statuses=statuses or None,
        causes=causes or None,
        limit=PER_PAGE,
        offset=(min(page, pages) - 1) * PER_PAGE,
    )
    columns: dict[str, list[str]] = {_("When"): [moment(run.started_at) for run in rows]}
    if connection_id is None:
        columns[_("Name")] = [
            connections[run.connection_id].name if run.connection_id in connections else "" for run in rows
        ]
    columns[_("Status")] = [_(OWN_NETWORK.word if run.local_network else STATUS_LOOKS[run.status].word) for run in rows]
    columns[_("Cause")] = [_(CAUSE_NAMES[run.cause]) if run.cause else "" for run in rows]
    columns[_("ms")] = [milliseconds(run.duration_ms) for run in rows]
    chosen = st.dataframe(
        columns,
        hide_index=True,
        height="content",
        on_select="rerun",
        selection_mode="single-row",
        key=f"runs_{connection_id}_{page}",
        alt=n_("{count} test, the newest first", "{count} tests, the newest first", count),
    )
    selected = chosen.selection.rows  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    if selected:
        run = rows[selected[0]]
        st.switch_page("pages/history.py", query_params={"connection": run.connection_id, "run": run.id})
    st.caption(
        _(
            "{first} to {last} of {count}. Tick a line to open the test.",
            first=words().number((page - 1) * PER_PAGE + 1),
            last=words().number(min(page * PER_PAGE, count)),
            count=words().number(count),
        )
    )


def download(
    workbench: Workbench, connection_id: str | None, since: datetime | None, connections: dict[str, Connection]
) -> None:
    """The table of runs. It holds times, verdicts and milliseconds, nothing of a key."""
    name = connections[connection_id].name if connection_id else "all"
    slug = "-".join("".join(char if char.isalnum() else " " for char in name.lower()).split()) or "connection"
    kind = "simulator-" if is_simulated(workbench) else ""
    st.download_button(
        _("Download CSV"),
        data=lambda: workbench.history_csv(connection_id, since=since),
        file_name=f"bfai-{kind}tests-{slug}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="csv",
    )


workbench = open_page("history")
with calm():
    draw(workbench)
