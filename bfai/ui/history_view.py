"""The history of a connection, of an exchange or of all: figures, strip, changes of the key, charts, list, export.

Everything is asked from `workbench.history` for one stretch of time, which the address names; what is folded away is
not asked at all. Zooming changes the address, and the figures are asked again.
"""

from __future__ import annotations

import heapq
import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import islice
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import streamlit as st

from bfai.i18n import N_
from bfai.model import Cause, CheckName, Connection, ExpiryEvidence, Status, utc_now
from bfai.ui import time_range
from bfai.ui.charts import (
    DAY_FROM,
    OTHERS,
    Beat,
    Bucket,
    ChartWords,
    DayClass,
    band_spec,
    bars_spec,
    beats_of,
    buckets_of,
    day_classes,
    day_svg,
    days_left_spec,
    last_beats,
    legend_svg,
    month_svg,
    spark_svg,
    stacked,
    strip_svg,
)
from bfai.ui.frame import is_simulated
from bfai.ui.language import _, day, duration, moment, n_, percent, plain, say, words, zone_name
from bfai.ui.language import zone as zone_text
from bfai.ui.location import location
from bfai.ui.pieces import (
    BEAT_NAMES,
    CHECK_NAMES,
    OWN_NETWORK,
    STATUS_LOOKS,
    bars_alt,
    download_button,
    facts,
    milliseconds,
    moved,
    part,
    strip,
    table,
    widget_key,
)
from bfai.ui.time_range import TimeRange
from bfai.workbench import CAUSE_NAMES, RunRow, Scope, Summary, Workbench

FOLLOWED = "selections_followed"
PER_PAGE = 10
MOST_PAGES = 100
STRIP_PLACES = 96
TABLE_PLACES = 20
MOST_STRIPS = 12
SPARK_PLACES = 60
MOST_MONTHS = 12
SHOWN_CHANGES = 6
SMALLEST_SHARE = 0.001
WORTH_SAYING = 0.05
MEASURED = (
    CheckName.KEY,
    CheckName.REACH,
    CheckName.BALANCE,
    CheckName.STATUS,
    CheckName.TRADE,
    CheckName.FUTURES,
    CheckName.CLOCK,
    CheckName.PERMISSIONS,
)
RANGE_NAMES = {
    "24h": N_("24 h"),
    "7d": N_("7 d"),
    "30d": N_("30 d"),
    "90d": N_("90 d"),
    "1y": N_("1 y"),
    "all": N_("all"),
}
RANGE_TITLES = {
    "24h": N_("The last 24 hours"),
    "7d": N_("The last 7 days"),
    "30d": N_("The last 30 days"),
    "90d": N_("The last 90 days"),
    "1y": N_("The last 365 days"),
    "all": N_("All tests"),
}
CAUSE_TITLES = {
    1: N_("Failed or blocked tests by day and cause"),
    7: N_("Failed or blocked tests by week and cause"),
    28: N_("Failed or blocked tests by four weeks and cause"),
}
DAY_NAMES = {DayClass.LITTLE: N_("less"), DayClass.UNKNOWN: N_("unknown")}


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: whose history, and which stretch of it. `first` is the time of the oldest test."""

    workbench: Workbench
    connections: Mapping[str, Connection]
    scope: Scope
    shown: TimeRange
    first: datetime | None

    @property
    def connection(self) -> Connection | None:
        return self.connections.get(self.scope.connection_id or "")

    @property
    def members(self) -> list[Connection]:
        """The connections that are looked at."""
        if self.connection is not None:
            return [self.connection]
        exchange = self.scope.exchange
        return [one for one in self.connections.values() if exchange in (None, one.target.exchange)]

    @property
    def title(self) -> str:
        """Whose history it is, for a picture's description and a file's name."""
        if self.connection is not None:
            return self.connection.name
        exchange = self.workbench.exchanges().get(self.scope.exchange or "")
        return exchange.name if exchange else _("All connections")

    @property
    def history(self) -> Any:
        return self.workbench.history

    @property
    def key(self) -> str:
        """Names widgets that belong to this stretch. A selection that was followed leaves new ones behind: the browser
        would tell the old one again when the stretch comes back.
        """
        subject = self.scope.connection_id or self.scope.exchange or "all"
        return "_".join((subject, *self.shown.address.values(), str(st.session_state.get(FOLLOWED, 0))))

    @property
    def asked(self) -> tuple[Scope, datetime, datetime]:
        return self.scope, self.shown.since, self.shown.until


def draw_history(view: View) -> None:
    if view.connection is not None:
        st.caption(" · ".join((facts(view.workbench, view.connection), key_end(view))))
    if view.first is None:
        st.caption(_("No test yet. The history begins with the first one."))
        return
    summary: Summary = view.history.summary(view.scope, max(view.shown.since, view.first), view.shown.until)
    metrics(view, summary)
    if view.connection is None:
        comparison(view)
    heartbeat(view)
    key_changes(view)
    if view.connection is not None:
        response_times(view)
    details(view)
    run_list(view, summary.runs)


def show(shown: TimeRange) -> None:
    """Puts a stretch of time into the address."""
    location.take_out("range", "from", "to")
    location.update(shown.address)


def follow(shown: TimeRange) -> None:
    """Goes to the stretch that was selected in a picture or a table."""
    forget_selections()
    show(shown)
    st.rerun()


def forget_selections() -> None:
    st.session_state[FOLLOWED] = st.session_state.get(FOLLOWED, 0) + 1


# -- choosing the time -------------------------------------------------------------------------------------------------


def choose_time(first: datetime | None) -> TimeRange:
    """The usual stretches, and a box for any other. Nothing to choose where there is no test yet."""
    params = {name: location[name] for name in ("range", "from", "to") if name in location}
    shown = time_range.read(params, utc_now(), first)
    if first is None:
        return shown
    key = widget_key("range", shown.preset or None)

    def take() -> None:
        picked = str(st.session_state.get(key))
        if picked in time_range.PRESETS and moved("range", key, picked):
            show(time_range.preset(picked, utc_now(), first))

    with st.container(horizontal=True, width="content", vertical_alignment="bottom"):
        st.segmented_control(
            _("Time"),
            list(RANGE_NAMES),
            default=shown.preset or None,
            required=True,
            format_func=lambda name: _(RANGE_NAMES[name]),
            key=key,
            on_change=take,
            label_visibility="collapsed",
        )
        with st.popover(_("From … to …"), icon=":material/date_range:", key="own_range"):
            own_range(shown)
    return shown


def own_range(shown: TimeRange) -> None:
    """Two moments, in the reader's zone."""
    zone = zone_of()
    began, ended = (at.astimezone(zone).replace(tzinfo=None) for at in (shown.since, shown.until))
    mark = "_".join(shown.address.values())
    with st.form(f"own_{mark}", border=False):
        since = st.datetime_input(_("From"), began, key=f"own_since_{mark}", format="YYYY-MM-DD", max_value="now")
        until = st.datetime_input(_("To"), ended, key=f"own_until_{mark}", format="YYYY-MM-DD")
        if st.form_submit_button(_("Show"), icon=":material/check:"):
            follow(time_range.own(since.replace(tzinfo=zone), until.replace(tzinfo=zone), utc_now()))


def zone_of() -> Any:
    """The reader's zone; UTC where it is none that we know."""
    try:
        return ZoneInfo(zone_name() or "UTC")
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


def day_start(day: date) -> datetime:
    return datetime.combine(day, time(), zone_of())


def range_title(shown: TimeRange) -> str:
    if shown.preset:
        return _(RANGE_TITLES[shown.preset])
    if shown.open:
        return _("{start} to now", start=moment(shown.since))
    return _("{start} to {end}", start=moment(shown.since), end=moment(shown.until))


def go(shown: TimeRange, move: Callable[[TimeRange, datetime], TimeRange]) -> None:
    show(move(shown, utc_now()))


def zoom_bar(view: View) -> None:
    moves: tuple[tuple[str, str, Callable[[TimeRange, datetime], TimeRange]], ...] = (
        ("earlier", "‹ " + _("Earlier"), time_range.earlier),
        ("wider", "− " + _("Zoom out"), time_range.wider),
        ("closer", "+ " + _("Zoom in"), time_range.closer),
        ("later", _("Later") + " ›", time_range.later),
    )
    with st.container(horizontal=True, width="content", gap="small", key="zoom_bar"):
        for key, label, move in moves:
            st.button(
                label,
                key=f"zoom_{key}",
                type="tertiary",
                disabled=(key == "later" and view.shown.open)
                or (key == "closer" and view.shown.span <= time_range.SHORTEST),
                on_click=go,
                args=(view.shown, move),
            )


# -- figures -----------------------------------------------------------------------------------------------------------


def metrics(view: View, summary: Summary) -> None:
    """Four numbers. What is not known is said beside them."""
    figures = (
        (
            _("Share of time online"),
            percent(summary.share) if summary.share is not None else "–",
            unknown_note(view, summary),
        ),
        (
            _("Outages"),
            words().number(summary.outages),
            n_("{count} test, none failed", "{count} tests, none failed", summary.runs)
            if not summary.failures
            else n_(
                "{failed} of {count} test failed",
                "{failed} of {count} tests failed",
                summary.runs,
                failed=words().number(summary.failures),
            ),
        ),
        (
            _("Time to recover"),
            duration(summary.time_to_recover.total_seconds()) if summary.time_to_recover is not None else "–",
            _("the longest outage took {time}", time=duration(summary.longest_outage.total_seconds()))
            if summary.longest_outage is not None
            else _("no outage in this time"),
        ),
        (
            _("Response time, ms"),
            milliseconds(summary.p50),
            _("95 of 100 within {ms} ms", ms=milliseconds(summary.p95))
            if summary.p95 is not None
            else _("no answer was measured"),
        ),
    )
    with st.grid(columns=4, min_column_width=150):
        for label, value, note in figures:
            with st.container(border=True, height="stretch"):
                st.metric(label, value)
                st.caption(note)


def unknown_note(view: View, summary: Summary) -> str:
    """How much of the time nobody knows anything about; and since when there are tests, where that is later."""
    whole = summary.known + summary.unknown
    share = summary.unknown / whole if whole else 1.0
    text = _("nothing unknown") if share < SMALLEST_SHARE else _("unknown {share} of the time", share=percent(share))
    if summary.own_network:
        lost = duration(summary.own_network.total_seconds())
        text = _("{unknown}, {time} of it by your own network", unknown=text, time=lost)
    if view.first is not None and view.first - view.shown.since > view.shown.span * WORTH_SAYING:
        text = _("{unknown}; first test {when}", unknown=text, when=moment(view.first))
    return text


def key_end(view: View) -> str:
    """When the key ends, as the last report told."""
    last = view.workbench.latest_run(view.connection.id) if view.connection else None
    report = last.key_report if last else None
    if report is None:
        return _("expiry not told")
    if report.expires_at is None:
        return _("never expires") if report.expiry_evidence is ExpiryEvidence.FIELD else _("expiry not told")
    left = (report.expires_at - utc_now()).total_seconds() / 86400
    if left <= 0:
        return _("expired on {date}", date=day(report.expires_at))
    return _("expires in {days} ({date})", days=words().days(left), date=day(report.expires_at))


# -- the strip ---------------------------------------------------------------------------------------------------------


def heartbeat(view: View) -> None:
    beats = beats_of(view.history.timeline(*view.asked, STRIP_PLACES).itertuples())
    middle = view.shown.since + view.shown.span / 2
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{range_title(view.shown)}**", width="content")
            zoom_bar(view)
        with st.grid(columns=2, min_column_width=280, gap=None):
            with st.container(gap=None):
                strip(half := beats[: STRIP_PLACES // 2], alt=bars_alt(half))
                st.caption(no_list(_("{start} to {end}", start=moment(view.shown.since), end=moment(middle))))
            with st.container(gap=None):
                strip(half := beats[STRIP_PLACES // 2 :], alt=bars_alt(half))
                rest = (
                    _("{start} to now", start=moment(middle))
                    if view.shown.open
                    else _("{start} to {end}", start=moment(middle), end=moment(view.shown.until))
                )
                st.caption(no_list(rest))
        legend(beats)
        one = duration(view.shown.span.total_seconds() / STRIP_PLACES)
        if view.connection is not None:
            st.caption(_("One bar stands for {time} and shows the worst test of it.", time=one))
        else:
            st.caption(_("One bar stands for {time} and shows the worst test of any connection in it.", time=one))


def no_list(text: str) -> str:
    """A line that begins with a date such as "22. stu" and shall not be the 22nd of a Markdown list."""
    return re.sub(r"^(\d+)\.", r"\1\.", text)


def legend(beats: Sequence[Beat]) -> None:
    """The same bars, and what they mean."""
    with st.container(horizontal=True, gap="medium"):
        for state in Beat:
            if state in beats:
                with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
                    st.image(legend_svg(state), width=24, alt="")
                    st.caption(_(BEAT_NAMES[state]), width="content")


# -- what changed on the key -------------------------------------------------------------------------------------------


def key_changes(view: View) -> None:
    """What appeared and what vanished; what lets a thief do more comes in bold."""
    rows = sorted(view.history.drift(*view.asked).itertuples(), key=lambda row: row.t, reverse=True)
    with st.container(border=True):
        st.markdown(
            "**" + _("What changed on the key") + "**"
            if view.connection
            else "**" + _("What changed on the keys") + "**"
        )
        if not rows:
            st.caption(_("Nothing in this time: rights, addresses and expiry are as they were."))
            return
        grave = [row for row in rows if row.worse]
        if grave:
            st.caption(
                n_(
                    "{count} change lets a thief do more, or the bot less.",
                    "{count} changes let a thief do more, or the bot less.",
                    len(grave),
                )
            )
        front = sorted([*grave, *(row for row in rows if not row.worse)][:SHOWN_CHANGES], key=lambda row: row.t)[::-1]
        change_table(view, front)
        if len(rows) > len(front):
            with st.expander(n_("All {count} change", "All {count} changes", len(rows))):
                change_table(view, rows[:200])


def change_table(view: View, rows: Sequence[Any]) -> None:
    columns: dict[str, list[str]] = {_("When"): [], " ": [], _("What"): []}
    whens, icons, texts = columns.values()
    for row in rows:
        whens.append(short_moment(row.t.to_pydatetime()))
        icons.append(":red[:material/gpp_maybe:]" if row.worse else ":gray[:material/info:]")
        text = f"**{say(row.text)}**" if row.worse else say(row.text)
        if view.connection is None:
            text = _("{name}: {change}", name=name_of(view, row.connection_id), change=text)
        texts.append(text)
    table(columns, alt=_("What changed on the key"))


def short_moment(at: datetime) -> str:
    """A moment that breaks between day and time only."""
    day, _blank, clock = moment(at).rpartition(" ")
    return day.replace(" ", "\u00a0") + " " + clock


def name_of(view: View, connection_id: str) -> str:
    """Safe to stand in Markdown; a connection may be gone."""
    found = view.connections.get(connection_id)
    return plain(found.name) if found else "–"


# -- response times ----------------------------------------------------------------------------------------------------


@part()
def response_times(view: View) -> None:
    with st.container(border=True):
        latency(view)


def latency(view: View) -> None:
    """One check over time. What is drawn over in the chart is asked again, closer."""
    found = {CheckName(row.check): row for row in view.history.percentiles(*view.asked).itertuples() if row.n}
    measured = [name for name in MEASURED if name in found]
    if not measured:
        st.caption(_("No answer was measured in this time."))
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(_("**Response time, ms** (line = median, band = 5th to 95th percentile)"), width="content")
        picked = st.selectbox(
            _("Check"),
            measured,
            format_func=lambda name: _(CHECK_NAMES[name]),
            key="latency_check",
            width=200,
            label_visibility="collapsed",
        )
    check = picked if picked in measured else measured[0]
    count = int(found[check].n)
    if count < 2:
        st.caption(_("One test is no line yet. Test again, and the chart begins."))
        return
    buckets = buckets_of(
        view.history.latency(view.scope, check.value, *view.asked[1:], bucket_count(count)).itertuples()
    )
    medians = [bucket.median for bucket in buckets if bucket.median is not None]
    if not medians:
        st.caption(_("No answer was measured in this time."))
        return
    failures = sum(bucket.failures for bucket in buckets)
    chosen: Any = st.echarts_chart(
        band_spec(
            buckets,
            ChartWords(
                _("5 of 100 below"),
                _("median"),
                _("95 of 100 below"),
                _("failed tests"),
                _("Look closer: press here, then draw over the chart"),
            ),
            view.shown.since,
            view.shown.until,
        ),
        height=320,
        key=f"latency_{view.key}_{check}",
        on_select="rerun",
        alt=_(
            "Response time of {check} at {name}: median from {lowest} to {highest} ms, failed tests: {failures}.",
            check=_(CHECK_NAMES[check]),
            name=view.title,
            lowest=milliseconds(min(medians)),
            highest=milliseconds(max(medians)),
            failures=failures,
        ),
    )
    note = n_("Measured by {count} test.", "Measured by {count} tests.", count)
    marks = n_("{count} failed test is marked.", "{count} failed tests are marked.", failures) if failures else ""
    closer = _("To look closer, press the frame in the chart, then draw over it.")
    st.caption(" ".join(part for part in (note, marks, closer) if part))
    areas = chosen.selection.areas
    if areas:
        began, ended = (datetime.fromtimestamp(at / 1000, zone_of()) for at in areas[0]["coord_range"])
        follow(time_range.own(began, ended, utc_now()))


def bucket_count(runs: int) -> int:
    """Some twenty tests in each, so that the band says something; as many as a screen can show."""
    return min(1000, max(60, runs // 20))


# -- what is folded away -----------------------------------------------------------------------------------------------


@part()
def details(view: View) -> None:
    """Tabs of which only the open one is asked and drawn."""
    parts: dict[str, Callable[[View], None]] = {
        _("Causes"): causes,
        _("Calendar"): calendar,
        _("Outages"): outages,
        **({} if view.connection else {_("Response times"): latency}),
        _("Checks"): checks,
        _("More"): more,
    }
    with st.container(border=True):
        for tab, part in zip(st.tabs(list(parts), key="details", on_change="rerun"), parts.values(), strict=True):
            if tab.open:
                with tab:
                    part(view)


def causes(view: View) -> None:
    zone = zone_of()
    first, last = (at.astimezone(zone).date() for at in (view.shown.since, view.shown.until - timedelta(seconds=1)))
    found = stacked(view.history.causes(*view.asked, zone).itertuples(), first, last)
    if not found.causes:
        st.caption(_("Nothing failed in this time."))
        return
    st.markdown("**" + _(CAUSE_TITLES[found.days]) + "**")
    sums = [(cause_name(cause), sum(counts)) for cause, counts in found.causes]
    chosen: Any = st.echarts_chart(
        bars_spec(
            [f"{day.day}.{day.month}." for day in found.starts],
            [(cause_name(cause), counts) for cause, counts in found.causes],
        ),
        height=280,
        key=f"causes_{view.key}",
        on_select="rerun",
        alt=_("Causes: {parts}", parts=", ".join(f"{name} {count}" for name, count in sums)),
    )
    st.caption(_("Choose a bar to look closer."))
    picked: list[dict[str, Any]] = chosen.selection.selected
    if picked:
        start = found.starts[int(picked[0]["data_indices"][0])]
        follow(time_range.own(day_start(start), day_start(start + timedelta(days=found.days)), utc_now()))


def cause_name(cause: str) -> str:
    return _("other causes") if cause == OTHERS else _(CAUSE_NAMES[Cause(cause)])


def calendar(view: View) -> None:
    """A square a day, a picture a month. The name of a month leads into it."""
    since = max(view.shown.since, view.first or view.shown.since)
    frame = view.history.calendar(view.scope, since, view.shown.until, zone_of())
    days = day_classes(frame.itertuples())
    if not days:
        st.caption(_("No test in this time."))
        return
    months = sorted({(day.year, day.month) for day in days}, reverse=True)
    sums: dict[tuple[int, int], tuple[float, float]] = {}
    for row in frame.itertuples():
        online, known = sums.get((row.day.year, row.day.month), (0.0, 0.0))
        sums[row.day.year, row.day.month] = online + row.online_s, known + row.known_s
    shown = months[:MOST_MONTHS][::-1]
    with st.grid(columns=min(6, max(2, len(shown))), min_column_width=130):
        for year, month in shown:
            start, end = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
            online, known = sums[year, month]
            inside = {day: kind for day, kind in days.items() if start <= day < end}
            with st.container(gap="xxsmall"):
                if st.button(words().month(start), key=f"month_{year}_{month}", type="tertiary"):
                    follow(time_range.own(day_start(start), day_start(end), utc_now()))
                st.image(month_svg(year, month, inside), width=130, alt=month_alt(start, inside))
                st.caption(_("{share} online", share=percent(online / known)) if known else _("unknown"))
    if len(months) > MOST_MONTHS:
        st.caption(_("The newest twelve months. Choose another time to see older ones."))
    with st.container(horizontal=True, gap="medium"):
        for kind in DayClass:
            if kind in days.values():
                with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
                    st.image(day_svg(kind), width=18, alt="")
                    st.caption(day_name(kind), width="content")
    st.caption(_("Each square is a day, Monday first: its share of the known time online."))


def day_name(kind: DayClass) -> str:
    if kind in DAY_NAMES:
        return _(DAY_NAMES[kind])
    share = words().percent(DAY_FROM[kind], 0)
    return share if kind is DayClass.WHOLE else _("{share} and more", share=share)


def month_alt(start: date, days: Mapping[date, DayClass]) -> str:
    kinds = list(days.values())
    parts = ", ".join(f"{day_name(kind)}: {kinds.count(kind)}" for kind in DayClass if kind in kinds)
    return n_(
        "{month}, {count} day: {parts}",
        "{month}, {count} days: {parts}",
        len(kinds),
        month=words().month(start),
        parts=parts,
    )


def outages(view: View) -> None:
    rows = sorted(view.history.outages(*view.asked).itertuples(), key=lambda row: row.began, reverse=True)
    if not rows:
        st.caption(_("No outage in this time."))
        return
    columns: dict[str, list[str]] = {_("Began"): [], _("Lasted"): [], _("Cause"): []}
    began, lasted, why = columns.values()
    for row in rows[:100]:
        lasts = row.ended != row.ended  # a missing end
        length = duration(float(row.seconds))
        began.append(moment(row.began.to_pydatetime()))
        lasted.append(_("{time}, and goes on", time=length) if lasts else length)
        why.append(_(CAUSE_NAMES[Cause(row.cause)]) if isinstance(row.cause, str) and row.cause else "–")
    if view.connection is None:
        names = [view.connections.get(row.connection_id) for row in rows[:100]]
        columns[_("Connection")] = [one.name if one else "–" for one in names]
    picked = choose_line(
        columns,
        key=f"outages_{view.key}",
        alt=n_("{count} outage, the newest first", "{count} outages, the newest first", len(rows)),
        height="content" if len(rows) <= 10 else 390,
    )
    note = _("Tick a line to look closer.")
    if len(rows) > 100:
        note = _("The newest 100 of {count}. Tick a line to look closer.", count=words().number(len(rows)))
    st.caption(note)
    if picked is not None:
        row = rows[picked]
        start, length = row.began.to_pydatetime(), timedelta(seconds=float(row.seconds))
        around = max(length, timedelta(minutes=30))
        follow(time_range.own(start - around, start + length + around, utc_now()))


def choose_line(
    columns: Mapping[str, Sequence[Any]],
    *,
    key: str,
    alt: str,
    height: int | Literal["content"] = "content",
    **looks: Any,
) -> int | None:
    """A table of which one line can be ticked. Gives the number of that line."""
    chosen = cast("Any", st).dataframe(
        columns,
        hide_index=True,
        height=height,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        alt=alt,
        **looks,
    )
    lines: list[int] = chosen.selection.rows
    return lines[0] if lines else None


def checks(view: View) -> None:
    """Every check small, on one scale; of many connections only the numbers."""
    found = {CheckName(row.check): row for row in view.history.percentiles(*view.asked).itertuples() if row.n}
    measured = [name for name in MEASURED if name in found]
    if not measured:
        st.caption(_("No answer was measured in this time."))
        return
    if view.connection is None:
        columns = {
            _("Check"): [_(CHECK_NAMES[name]) for name in measured],
            _("Tests"): [words().number(int(found[name].n)) for name in measured],
            _("Median, ms"): [milliseconds(found[name].p50) for name in measured],
            _("P95, ms"): [milliseconds(found[name].p95) for name in measured],
            _("P99, ms"): [milliseconds(found[name].p99) for name in measured],
        }
        table(columns, alt=_("Response times of every check"))
        return
    top = rounded_up(1.5 * max(float(found[name].p95) for name in measured))
    with st.grid(columns=4, min_column_width=135, gap="medium"):
        for name in measured:
            row = found[name]
            buckets = buckets_of(
                view.history.latency(view.scope, name.value, *view.asked[1:], SPARK_PLACES).itertuples()
            )
            buckets = evenly(buckets, view.shown)
            usual, high = milliseconds(row.p50), milliseconds(row.p95)
            with st.container(gap="xxsmall"):
                st.markdown(f"**{_(CHECK_NAMES[name])}**")
                st.image(
                    spark_svg([bucket.median for bucket in buckets], [bucket.hi for bucket in buckets], top),
                    width="stretch",
                    alt=_("{check}: median {ms} ms", check=_(CHECK_NAMES[name]), ms=usual),
                )
                st.caption(_("median {usual} ms, 95 of 100 within {high} ms", usual=usual, high=high))
    st.caption(_("Line: median. Dots: 95th percentile. All on one scale up to {ms} ms.", ms=milliseconds(top)))


def rounded_up(value: float) -> float:
    """To two digits that are easy to read: 751 becomes 760."""
    step = 10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1)
    return math.ceil(value / step) * step


def evenly(buckets: Sequence[Bucket], shown: TimeRange) -> list[Bucket]:
    """As many places as the stretch has, those without a test empty, so that place is time."""
    places = [Bucket(shown.since, None, None, None)] * SPARK_PLACES
    for bucket in buckets:
        at = int((bucket.at - shown.since) / shown.span * SPARK_PLACES)
        if 0 <= at < SPARK_PLACES and bucket.median is not None:
            places[at] = bucket
    return places


def more(view: View) -> None:
    clock = buckets_of(view.history.clock(*view.asked, 300).itertuples())
    medians = [bucket.median for bucket in clock if bucket.median is not None]
    st.markdown(_("**Clock offset, ms** (by how much the exchange's clock is ahead of ours)"))
    if medians:
        st.echarts_chart(
            band_spec(
                clock,
                ChartWords(_("5 of 100 below"), _("median"), _("95 of 100 below")),
                view.shown.since,
                view.shown.until,
                from_zero=False,
            ),
            height=220,
            key=f"clock_{view.key}",
            alt=_(
                "Clock offset: median from {lowest} to {highest} ms",
                lowest=milliseconds(min(medians)),
                highest=milliseconds(max(medians)),
            ),
        )
    else:
        st.caption(_("No clock was compared in this time."))
    ends = list(view.history.expiry(*view.asked).itertuples())
    told = [row for row in ends if row.days_left == row.days_left]
    st.markdown("**" + _("Days until the key expires") + "**")
    if not told:
        st.caption(_("No expiry date was told in this time."))
    elif view.connection is not None:
        st.echarts_chart(
            days_left_spec(ends, _("days left"), view.shown.since, view.shown.until),
            height=220,
            key=f"expiry_{view.key}",
            alt=_(
                "Days until the key expires: from {first} to {last}",
                first=round(told[0].days_left),
                last=round(told[-1].days_left),
            ),
        )
    else:
        newest = {row.connection_id: float(row.days_left) for row in ends}
        order = sorted((left, id_) for id_, left in newest.items() if left == left)
        table(
            {
                _("Connection"): [name_of(view, id_) for _left, id_ in order],
                _("Days left"): [words().number(round(left)) for left, _id in order],
            },
            alt=_("Days until the keys expire, the nearest first"),
        )


# -- comparison --------------------------------------------------------------------------------------------------------


def comparison(view: View) -> None:
    """The connections side by side, to be sorted by any figure."""
    members = {one.id: one for one in view.members}
    frame = view.history.compare(list(members), *view.asked[1:])
    rows = sorted(frame.itertuples(), key=lambda row: row.share if row.share == row.share else 2.0)
    rows = [row for row in rows if row.connection_id in members]
    span = view.shown.span.total_seconds()
    if len(rows) > MOST_STRIPS:
        strips, recent = _("Last tests"), view.workbench.recent_runs(TABLE_PLACES)
        beats = [last_beats(recent.get(row.connection_id, []), TABLE_PLACES) for row in rows]
    else:
        strips = _("Timeline")
        beats = [beats_of(timeline_of(view, row.connection_id).itertuples()) for row in rows]
    columns: dict[str, list[Any]] = {
        _("Name"): [members[row.connection_id].name for row in rows],
        strips: [strip_uri(found) for found in beats],
        _("Online"): [_share(row.share) for row in rows],
        _("Unknown"): [_share(max(0.0, 1 - row.known_s / span)) for row in rows],
        _("Outages"): [int(row.outages) for row in rows],
        _("Failures"): [int(row.failures) for row in rows],
        _("Median, ms"): [_number(row.p50) for row in rows],
        _("P95, ms"): [_number(row.p95) for row in rows],
    }
    share = st.column_config.NumberColumn(format="percent", width=80)
    whole = st.column_config.NumberColumn(format="%.0f", width=72)
    long = st.column_config.NumberColumn(format="%.0f", width=88)  # a header of eleven letters
    picked = choose_line(
        columns,
        key=f"compare_{view.key}",
        alt=_("The connections side by side, the least online first"),
        height="content" if len(rows) <= 12 else 530,
        row_height=40,
        column_config={
            _("Name"): st.column_config.TextColumn(pinned=True),
            strips: st.column_config.ImageColumn(width=170),
            _("Online"): share,
            _("Unknown"): share,
            **dict.fromkeys((_("Outages"), _("P95, ms")), whole),
            **dict.fromkeys((_("Failures"), _("Median, ms")), long),
        },
    )
    st.caption(_("Click a head to sort. Tick a line to open the connection."))
    if picked is not None:
        forget_selections()
        opened = rows[picked].connection_id
        location.update({"connection": opened, "view": "history"})
        st.rerun()


def _share(value: float) -> float | None:
    """To a tenth of a percent, downwards: only the whole is 100 %."""
    return int(value * 1000) / 1000 if value == value else None


def _number(value: float) -> float | None:
    return float(value) if value == value else None


def timeline_of(view: View, connection_id: str) -> Any:
    return view.history.timeline(Scope(connection_id), view.shown.since, view.shown.until, TABLE_PLACES)


def strip_uri(beats: Sequence[Beat]) -> str:
    return "data:image/svg+xml;base64," + b64encode(strip_svg(beats, headroom=7).encode()).decode()


# -- the list of runs --------------------------------------------------------------------------------------------------


@part()
def run_list(view: View, total: int) -> None:
    """`total` is how many tests the figures counted. Of very many, nobody needs to know it to the last one."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.header(_("Tests"), anchor=False, width="content")
        export(view)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        only = None
        if view.connection is None:
            only = st.selectbox(
                _("Connection"),
                [one.id for one in view.members],
                index=None,
                format_func=lambda id_: view.connections[id_].name,
                key=f"filter_connection_{view.scope.exchange}",
                placeholder=_("any"),
                width=240,
            )
        statuses = st.multiselect(
            _("Status"),
            [status for status in STATUS_LOOKS if status is not Status.UNTESTED],
            format_func=lambda status: _(STATUS_LOOKS[status].word),
            key="filter_status",
            placeholder=_("any"),
            width=240,
        )
        found = st.multiselect(
            _("Cause"),
            list(CAUSE_NAMES),
            format_func=lambda cause: _(CAUSE_NAMES[cause]),
            key="filter_cause",
            placeholder=_("any"),
            width=240,
        )
    of = only or view.scope.connection_id
    many = total > MOST_PAGES * PER_PAGE and not (only or statuses or found)
    asked = Asked(view.shown.since, view.shown.until, tuple(statuses), tuple(found), total if many else 0)
    runs_table(view, [of] if of else None if view.scope.exchange is None else [one.id for one in view.members], asked)


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of the list. `known` is how many tests fit, where that need not be counted."""

    since: datetime
    until: datetime
    statuses: tuple[Status, ...]
    causes: tuple[Cause, ...]
    known: int = 0

    @property
    def filters(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "until": self.until,
            "statuses": self.statuses or None,
            "causes": self.causes or None,
        }


def runs_table(view: View, of: Sequence[str] | None, asked: Asked) -> None:
    """The runs of these connections, None for all, page by page. Nobody turns a thousand pages: the oldest are reached
    by choosing another time.
    """
    bench = view.workbench
    count = asked.known or sum(bench.count_runs(id_, **asked.filters) for id_ in of or [None])
    if not count:
        st.caption(_("No test fits. Choose a longer time, or test now."))
        return
    pages = min(MOST_PAGES, -(-count // PER_PAGE))
    mark = f"{view.key}_{hash((tuple(of or ()), asked.statuses, asked.causes))}"
    picked = st.pagination(pages, key=f"run_page_{mark}") if pages > 1 else 1
    offset = (min(picked or 1, pages) - 1) * PER_PAGE
    if of is None or len(of) == 1:
        rows = bench.runs(of[0] if of else None, **asked.filters, limit=PER_PAGE, offset=offset)
    else:
        heads = [bench.runs(id_, **asked.filters, limit=offset + PER_PAGE) for id_ in of]
        merged = heapq.merge(*heads, key=lambda run: run.started_at, reverse=True)
        rows = list(islice(merged, offset, offset + PER_PAGE))
    columns: dict[str, list[str]] = {_("When"): [moment(run.started_at) for run in rows]}
    if of is None or len(of) > 1:
        names = [view.connections.get(run.connection_id) for run in rows]
        columns[_("Name")] = [one.name if one else "–" for one in names]
    columns[_("Status")] = [status_word(run) for run in rows]
    columns[_("Cause")] = [_(CAUSE_NAMES[run.cause]) if run.cause else "" for run in rows]
    columns[_("ms")] = [milliseconds(run.duration_ms) for run in rows]
    line = choose_line(
        columns,
        key=f"runs_{mark}_{offset}",
        alt=n_("{count} test, the newest first", "{count} tests, the newest first", count),
    )
    if line is not None:
        run = rows[line]
        forget_selections()
        location.take_out("view")
        location.update({"connection": run.connection_id, "run": run.id})
        st.rerun()
    first, last = words().number(offset + 1), words().number(offset + len(rows))
    st.caption(
        _(
            "{first} to {last} of {count}. Tick a line to open the test.",
            first=first,
            last=last,
            count=words().number(count),
        )
    )
    if count > MOST_PAGES * PER_PAGE:
        st.caption(
            _(
                "The list shows the newest {count}. Choose a shorter time for older ones.",
                count=words().number(MOST_PAGES * PER_PAGE),
            )
        )


def status_word(run: RunRow) -> str:
    word = _(OWN_NETWORK.word if run.local_network else STATUS_LOOKS[run.status].word)
    return _("{status}, does not count", status=word) if run.set_aside else word


def export(view: View) -> None:
    """The runs of this time as a file. It holds times, verdicts and milliseconds, nothing of a key."""
    slug = "-".join("".join(char if char.isalnum() else " " for char in view.title.lower()).split()) or "connection"
    kind = "simulator-" if is_simulated(view.workbench) else ""
    with st.popover(_("Export"), icon=":material/download:", key="export"):
        st.caption(
            _(
                "Every test of this time, a line each, in UTC and in {zone} (Parquet: UTC). Nothing of a key is in it.",
                zone=zone_text(),
            )
        )
        for label, ending, mime, make in (
            ("CSV", "csv", "text/csv", partial(view.history.to_csv, zone=zone_of())),
            ("JSON", "json", "application/json", partial(view.history.to_json, zone=zone_of())),
            ("Parquet", "parquet", "application/vnd.apache.parquet", view.history.to_parquet),
        ):
            download_button(
                label,
                partial(make, *view.asked),
                file_name=f"bfai-{kind}tests-{slug}.{ending}",
                mime=mime,
                key=f"export_{ending}",
                icon=None,
                width="stretch",
            )
