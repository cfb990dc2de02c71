"""Running a strategy: what Freqtrade cannot do of it, its files, start and stop, and what runs now.

An engine is a process of its own, so nothing of it is kept here: each drawing asks the package what runs.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Environment, Message, Strategy, StrategyState, utc_now
from bfai.strategy.export import INTERVALS, Bundle, refused, unsupported
from bfai.strategy.export.hosted import HOSTS
from bfai.strategy.gate import ladder_market
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Parameters, Problem, Severity, StrategyError, check
from bfai.strategy.running import ENGINE_STATES, EngineState, EngineStatus, OpenGroup, read_state
from bfai.ui.language import _, duration, moment, n_, plain, say, words
from bfai.ui.location import location
from bfai.ui.pieces import (
    Look,
    attempt,
    attempting,
    badge,
    calm,
    download_button,
    exchange_name,
    part,
    redraw,
    start,
    table,
    tell,
    window,
)
from bfai.ui.session import admit
from bfai.ui.strategy_editor import (
    Editor,
    enable,
    exchange_spinner,
    forget_facts,
    forget_refusal,
    judge,
    known_facts,
    problem_line,
    problem_text,
    refusal_box,
    refusal_of,
    refuse,
    save,
)
from bfai.ui.strategy_fields import parameters_of
from bfai.workbench import Mode, Workbench

EVERY: Final = 3.0
"""Seconds between two looks at an engine that runs."""
PRICE_HOLDS: Final = 60.0
LOG_LINES: Final = 25
_LOG_HEAD: Final = re.compile(r"^\d{4}-(\d\d-\d\d \d\d:\d\d:\d\d),\d+ - \S+ - (?:INFO - )?")
NOWHERE: Final = ("engine_region", "engine_no_futures")
"""Freqtrade does not trade this market: nothing in the fields mends that."""
USUAL: Final = timedelta(minutes=5)

LOOKS: Final[Mapping[EngineState, Look]] = {
    EngineState.RUNNING: Look(ENGINE_STATES[EngineState.RUNNING], "green", "play_circle"),
    EngineState.ENDED: Look(ENGINE_STATES[EngineState.ENDED], "orange", "warning"),
    EngineState.STOPPED: Look(ENGINE_STATES[EngineState.STOPPED], "gray", "stop_circle"),
}
PAPER: Final = Look(N_("Paper money"), "gray", "description")
REAL: Final = Look(N_("Real money"), "blue", "payments")
RUNS_ON_PAPER: Final = Look(N_("Runs with paper money"), "gray", "play_circle")
RUNS_LIVE: Final = Look(N_("Runs with real money"), "blue", "play_circle")


@dataclass(frozen=True, slots=True)
class Place:
    """Whose engine this is."""

    workbench: Workbench
    strategy: Strategy
    editor: Editor
    connection: Connection | None

    @property
    def exchange(self) -> str:
        return exchange_name(self.workbench, self.connection.target.exchange) if self.connection is not None else ""


def runs_badge(workbench: Workbench, strategy: Strategy) -> None:
    """For the list: that its engine runs, and with which money."""
    live = workbench.engine_runs(strategy.id)
    if live is not None:
        badge(RUNS_LIVE if live else RUNS_ON_PAPER)


def draw_run(workbench: Workbench, strategy: Strategy, editor: Editor, connection: Connection | None) -> None:
    place = Place(workbench, strategy, editor, connection)
    status = workbench.engine_status(strategy.id)
    if status.state is not EngineState.NONE:
        _what_runs(place, status)
    with st.container():  # always there, so that what comes and goes in it moves nothing below
        refusal = refusal_of(strategy.id)
        if refusal is not None:
            refusal_box(editor, refusal, "run")
            with st.container(horizontal=True):
                if refusal.problems:
                    _to_fields("refused")
                if connection is not None and any(problem.field == "connection" for problem in refusal.problems):
                    _test_button(place, connection)
    if connection is None:
        st.caption(_("Without a connection nothing can run it: an engine needs an exchange."))
        return
    parameters = _readable(editor)
    if parameters is None:
        return
    problems = unsupported(
        parameters,
        connection.target.model_copy(update={"market": parameters.market}),
        _markets(place, parameters),
    )
    nowhere = [problem for problem in problems if problem.code in NOWHERE]
    if nowhere:
        _no_engine(nowhere, parameters)
    else:
        _differences(place, problems)
        if not refused(problems):
            _begin(place, status)
    _hosted(place, connection)


def _go(view: str) -> Callable[[], None]:
    def call() -> None:
        location["view"] = view

    return call


def _to_fields(key: str) -> None:
    st.button(_("Open the fields"), icon=":material/edit:", key=f"run_fields_{key}", on_click=_go("edit"))


def _test_button(place: Place, connection: Connection) -> None:
    running = connection.id in place.workbench.running()
    st.button(
        _("The connection is being tested") if running else _("Test the connection"),
        icon=":material/sync:",
        key="run_test",
        disabled=running,
        on_click=start,
        args=(place.workbench, [connection.id]),
    )


# -- what Freqtrade cannot do ------------------------------------------------------------------------------------------


def _readable(editor: Editor) -> Parameters | None:
    """What stands in the fields; None, with the reasons said, where that is no strategy."""
    try:
        parameters = parameters_of(editor.raw)
        wrong: Sequence[Problem] = [one for one in check(parameters) if one.severity is Severity.ERROR]
    except StrategyError as error:
        parameters, wrong = None, error.problems
    if parameters is not None and not wrong:
        return parameters
    with st.container(border=True):
        st.warning(_("Something in the fields has to be mended before it can run."))
        for problem in wrong:
            st.markdown(f":red[:material/error:] {problem_text(problem, plain(editor.quote))}")
        _to_fields("mend")
    return None


def _markets(place: Place, parameters: Parameters) -> dict[str, LadderMarket]:
    """The exchange's rules of each pair, as far as they are known; why not is said."""
    try:
        facts = known_facts(place.workbench, place.editor, place.connection, parameters)
    except BfaiError as error:
        st.warning(say(error.message))
        return {}
    if facts.rules_error is not None:
        st.warning(say(facts.rules_error))
    return {
        pair: ladder_market(rules, parameters.leverage)
        for pair, rules in facts.rules.items()
        if rules is not None and rules.market is parameters.market
    }


def _no_engine(problems: Sequence[Problem], parameters: Parameters) -> None:
    """The market has no engine: why, and what can be done all the same."""
    with st.container(border=True):
        for problem in problems:
            st.markdown(f":material/info: {problem_text(problem, parameters.quote)}")
        st.caption(
            _(
                "Here you can plan it and replay it on candles. To run it, duplicate it for a connection that"
                " Freqtrade knows."
            )
        )
        st.button(_("Replay"), icon=":material/replay:", key="run_replay", on_click=_go("replay"))


def _differences(place: Place, problems: Sequence[Problem]) -> None:
    errors = refused(problems)
    warnings = [problem for problem in problems if problem.severity is not Severity.ERROR]
    if errors:
        title = n_("{count} thing that Freqtrade cannot do", "{count} things that Freqtrade cannot do", len(errors))
        st.markdown(f"**{title}**")
        for number, problem in enumerate(errors):
            problem_line(place.editor, problem, f"run_{number}")
        _to_fields("errors")
    if warnings:
        st.markdown("**" + _("What is different in Freqtrade") + "**")
        for number, problem in enumerate(warnings):
            problem_line(place.editor, problem, f"run_told_{number}")
    if not problems:
        st.markdown(":green[:material/check_circle:] " + _("Freqtrade can do all of it."))


# -- export and start --------------------------------------------------------------------------------------------------


def _begin(place: Place, status: EngineStatus) -> None:
    """What Freqtrade gets, and the one step that comes next."""
    workbench, strategy, editor = place.workbench, place.strategy, place.editor
    if editor.unsaved:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("What is exported and what runs is what is saved."), width="stretch")
            st.button(
                _("Save revision {number}", number=editor.expected + 1),
                icon=":material/save:",
                type="primary",
                key="run_save",
                on_click=attempting(lambda: save(workbench, editor)),
            )
        return
    if not status.runs:
        st.header(_("Run it with Freqtrade"), anchor=False)
        ready = _ready(place)
    else:
        st.header(_("For your own Freqtrade"), anchor=False)
        ready = False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        interval = st.selectbox(
            _("Candles"),
            list(INTERVALS),
            index=list(INTERVALS).index(USUAL),
            format_func=lambda step: INTERVALS[step],
            key=f"run_interval_{strategy.id}",
            width=110,
            help=_(
                "They decide when Recovery Mode, trailing and RSI look at the market. Orders are watched all the time."
            ),
        )
        live = False
        if ready:
            if st.button(_("Start with paper money"), icon=":material/play_arrow:", type="primary", key="run_start"):
                with exchange_spinner(workbench, strategy):
                    _started(place, interval)
                st.rerun()
            if place.connection is not None and place.connection.target.environment is Environment.LIVE:
                live = st.button(_("Real money …"), icon=":material/payments:", key="run_live")
        bundle = _bundle(place, interval)
        if bundle is not None:
            download_button(
                _("Download for Freqtrade"),
                partial(zipped, bundle),
                file_name=f"{file_stem(strategy.name)}-freqtrade-{strategy.revision}.zip",
                mime="application/zip",
                key="run_download",
            )
    if ready:
        st.caption(
            _(
                "With paper money Freqtrade follows real prices and sends no order. It goes on when you close this page"
                " or the program."
            )
        )
    if bundle is not None:
        st.caption(
            _(
                "The download holds its config and the strategy file, no key, and says paper money. Revision {number}.",
                number=strategy.revision,
            )
        )
    if live:
        _go_live(place, interval)


def _bundle(place: Place, interval: timedelta) -> Bundle | None:
    try:
        return place.workbench.strategies.freqtrade(place.strategy.id, interval=interval)
    except BfaiError as error:
        st.caption(":orange[:material/warning:] " + say(error.message))
        return None


def zipped(bundle: Bundle) -> bytes:
    """Its files as a zip; the same files give the same bytes."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in bundle.files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            archive.writestr(entry, text)
    return found.getvalue()


def file_stem(name: str) -> str:
    """A strategy's name as a file may be called."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "strategy"


def _ready(place: Place) -> bool:
    """Whether it can be started; if not, the step that is missing."""
    workbench, strategy = place.workbench, place.strategy
    if workbench.mode is Mode.DEMO:
        st.markdown(
            ":material/info: "
            + _("An engine needs a computer of your own, which stays on. Here nothing is kept, so none can run.")
        )
        return False
    try:
        engines = workbench.engines
    except BfaiError as error:
        st.markdown(f":material/info: {say(error.message)}")
        return False
    if strategy.state is StrategyState.SUSPENDED:
        st.markdown(":orange[:material/warning:] " + _("It is suspended. Once it is resumed it can be started."))
        return False
    if strategy.state is StrategyState.DRAFT:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                ":material/info: "
                + _("It is not enabled. Enabling checks the connection, the limits and the balance."),
                width="stretch",
            )
            if st.button(_("Enable"), icon=":material/play_arrow:", type="primary", key="run_enable"):
                with exchange_spinner(workbench, strategy):
                    enable(workbench, strategy)
                st.rerun()
        return False
    if not engines.installed:
        _install(workbench)
        return False
    return True


def _install(workbench: Workbench) -> None:
    engines = workbench.engines
    job = engines.installation
    if job is not None and not job.done:

        @part(run_every=1.0)
        def follow() -> None:
            with calm():
                passed = duration(int((utc_now() - job.began).total_seconds()))
                st.markdown(":shimmer[" + _("Installing Freqtrade, for {time} so far.", time=passed) + "]")
                st.caption(f"`{job.line.replace('`', '')[:90] or '…'}`")
            if job.done:
                redraw()

        follow()
        st.button(
            _("It is being stopped") if job.cancelled else _("Stop installing"),
            icon=":material/stop:",
            key="run_install_stop",
            on_click=job.cancel,
            disabled=job.cancelled,
        )
        return
    if job is not None and job.error is not None:
        if job.cancelled:
            st.caption(say(job.error))
        else:
            st.warning(say(job.error))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            ":material/info: "
            + _(
                "Freqtrade is not installed here yet. It gets an environment of its own: about 800 MB, some"
                " minutes, once."
            ),
            width="stretch",
        )
        st.button(
            _("Install Freqtrade"),
            icon=":material/download:",
            type="primary",
            key="run_install",
            on_click=attempting(engines.begin_install),
        )


def _started(place: Place, interval: timedelta, *, live: bool = False, typed: str = "") -> bool:
    """Starts it. Why not is kept and shown."""
    forget_refusal()
    name = place.strategy.name
    try:
        admit()
        place.workbench.run_strategy(place.strategy.id, live=live, typed=typed, interval=interval)
    except BfaiError as error:
        if isinstance(error, StrategyError) and error.problems:
            error = StrategyError(Message(text=N_("{name} cannot start yet."), params={"name": name}), error.problems)
        refuse(place.strategy.id, error)
        forget_facts()
        return False
    text = N_("{name} runs with real money.") if live else N_("{name} runs with paper money.")
    tell(Message(text=text, params={"name": name}))
    return True


def _go_live(place: Place, interval: timedelta) -> None:
    strategy, connection = place.strategy, place.connection
    key = f"run_typed_{strategy.id}"

    @attempting
    def begin() -> None:
        typed = str(st.session_state.get(key) or "").strip()
        if typed != strategy.name:
            text = N_("The name is {name}; that is not it. Nothing was started.")
            st.session_state["run_live_problem"] = Message(text=text, params={"name": strategy.name})
            return
        _started(place, interval, live=True, typed=typed)

    @window(_("Trade with real money?"))
    def dialog() -> None:
        with calm():
            review = judge(place.workbench, place.editor, connection).review
            needed = review.required_total if review is not None else None
            where = plain(connection.name) if connection is not None else ""
            lines = [
                _("Freqtrade places real orders on {name}. You can lose all that it uses.", name=where),
                _("When all its add-ons fill it uses {sum}.", sum=plain(words().money(needed, place.editor.quote)))
                if needed is not None
                else "",
                _("The key is opened now, for this one process. It stands in no file and no log."),
                _("It goes on without this page. Only *Stop* ends it; this computer has to stay on and online."),
                _("Keep this program or its monitor running: without a fresh test it opens nothing new."),
            ]
            st.markdown("\n".join(f"- {line}" for line in lines if line))
            st.text_input(_("Type the strategy's name: {name}", name=plain(strategy.name)), key=key, max_chars=60)
            asked = st.button(
                _("Start with real money"),
                icon=":material/payments:",
                type="primary",
                key="run_live_yes",
                on_click=begin,
            )
            problem: Message | None = st.session_state.pop("run_live_problem", None)
            if problem is not None:
                st.warning(say(problem))
            elif asked:
                st.rerun()

    dialog()


# -- what runs ---------------------------------------------------------------------------------------------------------


def _what_runs(place: Place, status: EngineStatus) -> None:
    with st.container(border=True, key="run_now"):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(LOOKS[status.state])
            badge(REAL if status.live else PAPER)
            st.caption(since(status), width="stretch")
            if status.runs:
                _stop_button(place)
            elif not status.live and (status.groups or status.closed_groups):
                _forget_button(place)
        drawn = (place.strategy.state, place.strategy.enabled_revision, status.state)

        @part(run_every=EVERY if status.runs else None)
        def follow() -> None:
            with calm():
                strategy = place.workbench.strategies.get(place.strategy.id)
                now = place.workbench.engine_status(strategy.id)
                if (strategy.state, strategy.enabled_revision, now.state) != drawn:
                    redraw()
                _figures(place, strategy, now)

        follow()
        _after_stop(place, status)


def since(status: EngineStatus) -> str:
    """Such as "since 3 Nov 2026, 12:40 · revision 4"."""
    parts: list[str] = []
    if status.runs and status.started_at is not None:
        parts.append(_("since {when}", when=moment(status.started_at)))
    elif status.ended_at is not None:
        parts.append(_("on {when}", when=moment(status.ended_at)))
    elif status.started_at is not None:
        parts.append(_("started {when}", when=moment(status.started_at)))
    if status.revision is not None:
        parts.append(_("revision {number}", number=status.revision))
    return " · ".join(parts)


def standing_of(
    strategy: Strategy,
    connection: Connection | None,
    status: EngineStatus,
    tested_at: datetime | None,
    holds: timedelta,
    now: datetime,
) -> tuple[bool, list[str]]:
    """Whether an engine that runs may open new groups, and why not. `tested_at`: of the test that it was told of."""
    texts: list[str] = []
    works = connection is not None and connection.status.ok
    if strategy.state is StrategyState.SUSPENDED:
        texts.append(_("Suspended: it opens no new groups. Targets and stops of open ones go on."))
    elif strategy.state is StrategyState.DRAFT:
        texts.append(_("Disabled: it opens no new groups. Targets and stops of open ones go on."))
    if not works:
        texts.append(_("The connection does not pass its test, so no add-ons are placed either."))
    elif tested_at is None or now - tested_at > holds:
        text = _(
            "The connection's last test is older than {time}: no new groups and no add-ons. Test it again.",
            time=duration(holds.total_seconds()),
        )
        texts.append(text)
    if texts:
        return False, texts
    if status.may_open is False:
        return False, [_("It opens no new groups at the moment.")]
    return True, [_("It may open new groups.")]


def _told_at(status: EngineStatus) -> datetime | None:
    told = read_state(status.folder) if status.folder is not None else None
    try:
        return datetime.fromisoformat(str(told["at"])) if told is not None else None
    except ValueError:
        return None


def _figures(place: Place, strategy: Strategy, status: EngineStatus) -> None:
    """What it may do, what it holds, what it made, what it says. Holds no button."""
    workbench = place.workbench
    connection = workbench.connection(strategy.connection_id) if strategy.connection_id else None
    parameters = workbench.strategies.parameters(strategy.id, status.revision or None)
    if status.runs:
        may, texts = standing_of(
            strategy, connection, status, _told_at(status), workbench.strategies.freshness, utc_now()
        )
        icon = ":green[:material/check_circle:]" if may else ":orange[:material/pause_circle:]"
        newer = strategy.enabled_revision
        if newer is not None and status.revision is not None and newer != status.revision:
            texts.append(
                _("Revision {new} is in force, and it runs {old}: stop and start it.", new=newer, old=status.revision)
            )
        st.markdown(f"{icon} {' '.join(texts)}")
    prices = _prices(workbench, connection, parameters, status.groups)
    results = {group: result_now(group, prices.get(group.pair)) for group in status.groups}
    known = [result for result in results.values() if result is not None]
    whole = sum(known, Decimal(0)) if known and len(known) == len(results) else None
    quote = plain(parameters.quote)
    before_fees = _("What the open groups would bring at the last price, before fees. Prices are up to a minute old.")
    with st.grid(columns=4, min_column_width=150):
        st.metric(_("Open groups"), words().number(len(status.groups)))
        st.metric(_("Result now, {quote}", quote=quote), _money(whole, parameters.quote), help=before_fees)
        st.metric(_("Closed groups"), words().number(status.closed_groups))
        st.metric(_("Their profit, {quote}", quote=quote), _money(status.profit, parameters.quote))
    with st.container():
        if status.groups:
            groups = status.groups
            table(
                {
                    _("Pair"): [_pair(group) for group in groups],
                    _("Fills"): [words().number(group.fills) for group in groups],
                    _("Average price"): [_number(group.average) for group in groups],
                    _("Result now, {quote}", quote=quote): [
                        _money(results[group], parameters.quote) for group in groups
                    ],
                    _("Open since"): [moment(group.opened_at) for group in groups],
                },
                alt=_("The groups that are open"),
            )
    log = workbench.engines.log(strategy.id, LOG_LINES)
    ended = status.state is EngineState.ENDED  # then the log is what one has to read: another box, which is open
    with st.expander(_("Log"), icon=":material/notes:", key=f"run_log_{ended}", expanded=ended):
        if log:
            st.caption(_("Its last lines, without secrets; times as it writes them."))
            st.code("\n".join(map(short_line, log.splitlines())), language=None)
        else:
            st.caption(_("It has written nothing yet."))


def short_line(line: str) -> str:
    """A line of the log without year, fractions of a second and the part of Freqtrade that wrote it."""
    return _LOG_HEAD.sub(r"\1 ", line)


def _pair(group: OpenGroup) -> str:
    side = _("short") if group.side == "short" else _("long")
    text = f"**{plain(group.pair)}** {side}"
    return f"{text} · Recovery Mode" if group.recovery else text


def _money(value: Decimal | None, quote: str) -> str:
    return "–" if value is None else plain(words().money(value, quote).removesuffix(f"\u00a0{quote}"))


def _number(value: Decimal) -> str:
    return words().number(Decimal(f"{value:.8g}"))


def result_now(group: OpenGroup, price: Decimal | None) -> Decimal | None:
    """What the group would bring at this price, before fees; None where the price is not known."""
    if price is None:
        return None
    gain = (price - group.average) * group.amount
    return -gain if group.side == "short" else gain


def _prices(
    workbench: Workbench, connection: Connection | None, parameters: Parameters, groups: Sequence[OpenGroup]
) -> dict[str, Decimal]:
    """The last price of each pair, asked for once a minute; one that cannot be had is left out."""
    if connection is None:
        return {}
    target = connection.target.model_copy(update={"market": parameters.market})
    kept: dict[tuple[str, str], tuple[float, Decimal | None]] = st.session_state.setdefault("run_prices", {})
    found: dict[str, Decimal] = {}
    for pair in {group.pair for group in groups}:
        key = (target.model_dump_json(), pair)
        at, price = kept.get(key, (0.0, None))
        if not at or time.monotonic() - at > PRICE_HOLDS:
            try:
                price = workbench.strategies.rules(target, pair, max_age=timedelta(seconds=PRICE_HOLDS)).price
            except BfaiError:
                price = None
            kept[key] = (time.monotonic(), price)
        if price is not None:
            found[pair] = price
    return found


def _after_stop(place: Place, status: EngineStatus) -> None:
    """What becomes of open groups when it stops, or became of them."""
    where = plain(place.strategy.connection_name)
    if status.runs:
        st.caption(
            _(
                "Stop cancels its resting orders. Open groups stay on {name}, without a target until it runs again.",
                name=where,
            )
            if status.live
            else _("Stop cancels its resting orders. Open groups stay in its paper book until it runs again.")
        )
    elif status.groups:
        count = len(status.groups)
        text = (
            n_(
                "{count} group is open on {name}, without a target. Start it again, or close it at the exchange.",
                "{count} groups are open on {name}, without a target. Start it again, or close them at the exchange.",
                count,
                name=where,
            )
            if status.live
            else n_(
                "{count} group is open in its paper book. The next start takes it up.",
                "{count} groups are open in its paper book. The next start takes them up.",
                count,
            )
        )
        st.markdown(f":orange[:material/warning:] {text}" if status.live else f":material/info: {text}")


def _stop_button(place: Place) -> None:
    if not st.button(_("Stop"), icon=":material/stop:", key="run_stop"):
        return
    status = place.workbench.engine_status(place.strategy.id)
    if status.live and status.groups:
        _ask_stop(place, status)
        return
    _stop(place)
    st.rerun()


def _stop(place: Place) -> None:
    forget_refusal()
    with st.spinner(_("Stopping. It cancels its resting orders first.")):
        if attempt(lambda: place.workbench.stop_strategy(place.strategy.id)):
            tell(Message(text=N_("{name} is stopped."), params={"name": place.strategy.name}))


def _ask_stop(place: Place, status: EngineStatus) -> None:
    @window(_("Stop {name}?", name=plain(place.strategy.name)))
    def dialog() -> None:
        with calm():
            st.write(
                n_(
                    "{count} group stays open on {name}, and nothing closes it at its target while it is stopped.",
                    "{count} groups stay open on {name}, and nothing closes them at their targets while it is stopped.",
                    len(status.groups),
                    name=plain(place.strategy.connection_name),
                )
            )
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Let it run"), key="run_stop_no")
                ended = st.button(_("Stop"), type="primary", icon=":material/stop:", key="run_stop_yes")
            if ended:
                _stop(place)
            if kept or ended:
                st.rerun()

    dialog()


def _forget_button(place: Place) -> None:
    def forget() -> None:
        attempt(lambda: place.workbench.engines.forget(place.strategy.id))

    @window(_("Clear the paper book of {name}?", name=plain(place.strategy.name)))
    def dialog() -> None:
        with calm():
            st.write(_("Its paper groups, open and closed, and their profit are erased. No real order is touched."))
            st.write(_("The next start with paper money begins afresh, with today's balance."))
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Keep it"), key="run_forget_no")
                cleared = st.button(
                    _("Clear it"), type="primary", icon=":material/delete:", key="run_forget_yes", on_click=forget
                )
            if kept or cleared:
                st.rerun()

    if st.button(_("Clear the paper book"), icon=":material/delete:", type="tertiary", key="run_forget"):
        dialog()


# -- the ladder that an exchange runs itself ---------------------------------------------------------------------------


def _hosted(place: Place, connection: Connection) -> None:
    """The request for the exchange's own ladder, to look at."""
    if connection.target.exchange not in HOSTS:
        return
    with st.expander(_("The ladder that {exchange} runs itself", exchange=place.exchange), key="run_hosted"):
        st.caption(_("A request to look at, of what is saved. It is never sent from here: that would be a trade."))
        try:
            found = place.workbench.strategies.hosted(place.strategy.id)
        except StrategyError as error:
            st.markdown(say(error.message))
            for problem in error.problems:
                icon = ":red[:material/error:]" if problem.severity is Severity.ERROR else ":orange[:material/warning:]"
                st.markdown(f"{icon} {problem_text(problem, plain(place.editor.quote))}")
            return
        for problem in found.problems:
            st.markdown(f":orange[:material/warning:] {problem_text(problem, plain(place.editor.quote))}")
        st.code(found.text, language=None, height=260)
        text = found.text
        download_button(
            _("Download the request"),
            lambda: text,
            file_name=f"{file_stem(place.strategy.name)}-{found.exchange}.json",
            mime="application/json",
            key="run_hosted_download",
        )
