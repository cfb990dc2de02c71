"""What a strategy would have done on candles: where they come from, figures, pictures, every decision, other values.

What stands in the fields now is replayed, saved or not, in the background; what was asked before is there at once.
Which stretch is looked at stands in the address, and looking closer asks for the picture again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple, cast

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Connection, Market, Message, utc_now
from bfai.strategy.candles import (
    SAMPLES,
    Candles,
    SignalRow,
    interval_name,
    read_candles,
    read_signals,
)
from bfai.strategy.gate import Facts, ladder_market
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.limits import PairRules
from bfai.strategy.parameters import Parameters, Problem, Severity, StrategyError, check
from bfai.strategy.recovery import Difficulty, Exit, Reason
from bfai.strategy.replay import Always, Crossing, Deal, Decision, Listed, Replay, Rsi, Signals, Summary
from bfai.strategy.replays import (
    Cell,
    Grid,
    GridPlan,
    Job,
    Question,
    assumed_market,
    axis_of,
    deals_csv,
    grid_axes,
    log_csv,
    result_of,
    stand_in,
    stretches,
    what_of,
    with_values,
)
from bfai.ui import replay_charts as charts
from bfai.ui import time_range
from bfai.ui.history_view import FOLLOWED, choose_line, forget_selections, no_list, zone_of
from bfai.ui.ladder_view import LIMIT, Pen, digits_of, figure_card, sample_svg
from bfai.ui.language import _, duration, moment, n_, plain, say, words
from bfai.ui.location import location
from bfai.ui.pieces import calm, choose_by_address, download_button, exchange_name, largest_upload, part, redraw, table
from bfai.ui.strategy_editor import Editor, field_label, known_facts, problem_text, raw_fix
from bfai.ui.strategy_fields import parameters_of, raw_of
from bfai.ui.time_range import TimeRange
from bfai.workbench import Workbench

ADDRESS: Final = ("part", "from", "to")
"""The parameters of the page's address that belong to this view."""
BALANCE: Final = Decimal(10_000)
QUICK: Final = 0.4
"""So many seconds the page waits for a replay before it shows how far it is."""
PER_PAGE: Final = 12
PICTURE: Final = "picture"
"""Where a link below the picture leads back to."""
MAX_FILE_MB: Final = 60
SECOND_PART: Final = 0.7
WHY_WIDTH: Final = 400
"""Pixels of the column with reasons; longer ones take two lines."""
_KEPT = "replay_kept"

SOURCES: Final[Mapping[str, str]] = {
    "sample": N_("Sample data"),
    "exchange": N_("From the exchange"),
    "file": N_("From a file"),
}
DAYS: Final[Mapping[int, str]] = {
    7: N_("7 days"),
    30: N_("30 days"),
    60: N_("60 days"),
    90: N_("90 days"),
    365: N_("1 year"),
}
ASKS: Final[Mapping[str, str]] = {
    "own": N_("The strategy's own start condition"),
    "always": N_("Always in: a new group as soon as one may begin"),
    "rsi": N_("RSI: while the price is oversold"),
    "cross": N_("Averages: when the fast one crosses the slow one"),
    "file": N_("A file of signals, such as TradingView's"),
}
WHATS: Final[Mapping[str, str]] = {
    "opened": N_("First entry"),
    "add_on": N_("Add-on"),
    "blocked": N_("Blocked"),
    "waiting": N_("Waiting"),
    "closed": N_("Closed"),
    "recovery": N_("Recovery Mode begins"),
    "returned": N_("Recovery Mode ends"),
    "trimmed": N_("Trimmed"),
    "active": N_("Strategy goes on"),
    "paused": N_("Strategy pauses"),
    "stopped": N_("Strategy stopped"),
}
REASONS: Final[Mapping[Reason, str]] = {
    Reason.CONNECTION: N_("the connection is not ready"),
    Reason.GUARD: N_("the strategy is paused or stopped"),
    Reason.DIRECTION: N_("this direction is not allowed"),
    Reason.SESSION: N_("outside the hours in which groups may begin"),
    Reason.RECOVERY_SAME_PAIR: N_("a group of this pair is in Recovery Mode"),
    Reason.GROUP_LIMIT: N_("as many groups as allowed are open"),
    Reason.ADDON_LIMIT: N_("all add-ons are used"),
    Reason.OUTSIDE_ZONE: N_("the price is in no free zone"),
    Reason.WORSENS_AVERAGE: N_("it would worsen the average price"),
    Reason.MARGIN_LIMIT: N_("it would exceed the margin limit"),
    Reason.DEPOSIT_LOAD: N_("too much of the balance would be in use"),
    Reason.COOLDOWN: N_("the wait is not over"),
    Reason.BELOW_MINIMUM: N_("the order is smaller than the exchange takes"),
}
CURES: Final[Mapping[Reason, str]] = {
    Reason.MARGIN_LIMIT: N_("Make the first order smaller, or raise the margin limit or the balance."),
    Reason.DEPOSIT_LOAD: N_("Make the first order smaller, or let more of the balance be used."),
    Reason.BELOW_MINIMUM: N_("Make the first order larger."),
    Reason.SESSION: N_("Widen the hours in which groups may begin."),
    Reason.DIRECTION: N_("Choose signals of an allowed direction."),
}
DIFFICULTIES: Final[Mapping[Difficulty, str]] = {
    Difficulty.DRAWDOWN: N_("the price stands far against the group"),
    Difficulty.ADDON_LIMIT_NEAR: N_("few add-ons are left"),
    Difficulty.MARGIN_USED: N_("much of the group's margin is in use"),
    Difficulty.SIGNAL_WORSENS: N_("a signal would worsen the average"),
    Difficulty.MARKET_UNCERTAIN: N_("the market is uncertain"),
    Difficulty.USER_CAUTIOUS: N_("the cautious setting asks for it earlier"),
    Difficulty.GROUP_AGE: N_("the group has been open for long"),
    Difficulty.LIQUIDATION_NEAR: N_("the liquidation price is near"),
}
EXITS: Final[Mapping[Exit, str]] = {
    Exit.TAKE_PROFIT: N_("at its target"),
    Exit.STOP: N_("at its stop"),
    Exit.LIQUIDATION: N_("liquidated"),
    Exit.EQUITY_STOP: N_("by the equity stop"),
    Exit.MANUAL: N_("by hand"),
}
GRID_FIGURES: Final[Mapping[str, str]] = {
    "result": N_("Result"),
    "dip": N_("Worst dip"),
}


@dataclass(slots=True)
class Kept:
    """What was chosen for the replay of one strategy, as long as the visit lasts."""

    source: str = "sample"
    interval: str = "5m"
    days: int = 30
    files: dict[str, Candles] = field(default_factory=dict[str, Candles])
    named: dict[str, str] = field(default_factory=dict[str, str])
    fetched: dict[str, Candles] = field(default_factory=dict[str, Candles])
    fetched_as: tuple[Any, ...] = ()
    fetching: Job[dict[str, Candles]] | None = None
    asks: str = "own"
    rsi: int = 30
    fast: int = 9
    slow: int = 21
    signals: tuple[SignalRow, ...] = ()
    signals_name: str = ""
    balance: Decimal | None = None
    against: int | None = None
    pair: str = ""
    grid_across: str = "take_profit_pct"
    grid_down: str = "addon_step_pct"
    grid_count: int = 5
    grid_split: bool = True
    grid: Job[Grid] | None = None
    grid_cell: tuple[Decimal, Decimal] | None = None
    last: Job[Replay] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Whose replay this is."""

    workbench: Workbench
    editor: Editor
    connection: Connection | None
    kept: Kept
    facts: Facts | None

    def key(self, name: str) -> str:
        return f"replay_{self.editor.id}_{name}"

    @property
    def rules(self) -> Mapping[str, PairRules | None]:
        return self.facts.rules if self.facts is not None else {}

    @property
    def exchange(self) -> str:
        return exchange_name(self.workbench, self.connection.target.exchange) if self.connection is not None else ""


def kept_of(editor: Editor) -> Kept:
    kept: dict[str, Kept] = st.session_state.setdefault(_KEPT, {})
    return kept.setdefault(editor.id, Kept())


def forget_view() -> None:
    """The address names no part and no stretch any more."""
    location.take_out(*ADDRESS)


def draw_replay(workbench: Workbench, editor: Editor, connection: Connection | None) -> None:
    try:
        parameters = parameters_of(editor.raw)
        wrong = [problem for problem in check(parameters) if problem.severity is Severity.ERROR]
    except StrategyError as error:
        parameters, wrong = None, list(error.problems)
    if parameters is None or wrong:
        _to_mend(wrong, plain(editor.quote))
        return
    facts: Facts | None = None
    trouble: Message | None = None
    try:
        facts = known_facts(workbench, editor, connection, parameters)
        trouble = facts.rules_error
    except BfaiError as error:
        trouble = error.message
    place = Place(workbench, editor, connection, kept_of(editor), facts)
    with st.container(border=True, key="replay_setup"):
        candles = _choose_candles(place, parameters)
        signals, asked = _choose_signals(place, parameters)
    if candles is None or not asked:
        return
    markets = _markets(place, parameters, candles)
    _assumptions(place, parameters, candles, markets, trouble)
    balance = place.kept.balance or _balance(facts)
    _replayed(place, Question(parameters, markets, candles, balance, signals))


def _to_mend(problems: Sequence[Problem], quote: str) -> None:
    """The fields hold something that is no strategy."""
    with st.container(border=True):
        st.warning(_("Something in the fields has to be mended before it can be replayed."))
        for problem in problems:
            st.markdown(f":red[:material/error:] {problem_text(problem, quote)}")


# -- where the candles come from ---------------------------------------------------------------------------------------


def _choose_candles(place: Place, parameters: Parameters) -> Mapping[str, Candles] | None:
    kept = place.kept
    sources = [one for one in SOURCES if one != "exchange" or place.connection is not None]
    names = {**{one: _(SOURCES[one]) for one in sources}}
    if "exchange" in names:
        names["exchange"] = _("From {exchange}", exchange=place.exchange)
    source = kept.source if kept.source in sources else "sample"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept.source = st.segmented_control(
            _("Candles"),
            sources,
            default=source,
            required=True,
            format_func=lambda one: names[one],
            key=place.key("source"),
        )
        if kept.source == "exchange":
            return _from_exchange(place, parameters)
    if kept.source == "file":
        return _from_files(place, parameters)
    return _sample(place, parameters)


def _sample(place: Place, parameters: Parameters) -> Mapping[str, Candles]:
    found: dict[str, Candles] = {}
    for pair in parameters.pairs:
        known = place.rules.get(pair)
        found[pair] = stand_in(pair, known.price if known is not None else None)
    others = [pair for pair in parameters.pairs if pair not in SAMPLES]
    text = _("Made-up prices, to see how the strategy behaves: rises, a crash, a recovery. No market ever did this.")
    if others:
        text += " " + _(
            "There are none of {pairs}: those of {other} stand in for them.",
            pairs=plain(", ".join(others[:3] + ["…"] * (len(others) > 3))),
            other=next(iter(SAMPLES)),
        )
    st.caption(":material/science: " + text)
    return found


def _from_exchange(place: Place, parameters: Parameters) -> Mapping[str, Candles] | None:
    kept, connection = place.kept, place.connection
    assert connection is not None
    target = connection.target.model_copy(update={"market": parameters.market})
    told = place.workbench.candle_intervals(target)
    intervals = list(told)
    if kept.interval not in intervals:
        kept.interval = intervals[0]
    kept.interval = st.selectbox(
        _("Interval"),
        intervals,
        index=intervals.index(kept.interval),
        key=place.key("interval"),
        width=110,
    )
    kept.days = st.selectbox(
        _("Time"),
        list(DAYS),
        index=list(DAYS).index(kept.days),
        format_func=lambda days: _(DAYS[days]),
        key=place.key("days"),
        width=130,
    )
    asked = (target.model_dump_json(), parameters.pairs, kept.interval, kept.days)
    job = kept.fetching
    running = job is not None and not job.done

    def fetch() -> None:
        kept.fetching = _fetch(place, parameters.pairs, asked)

    def stop() -> None:
        if kept.fetching is not None:
            kept.fetching.cancel()

    if running:
        st.button(_("Stop"), icon=":material/stop:", key=place.key("stop_fetch"), on_click=stop)
    else:
        st.button(
            _("Get candles"),
            icon=":material/download:",
            type="primary" if kept.fetched_as != asked else "secondary",
            key=place.key("fetch"),
            on_click=fetch,
        )
    return _fetched(place, asked, parameters)


def _fetch(place: Place, pairs: Sequence[str], asked: tuple[Any, ...]) -> Job[dict[str, Candles]]:
    workbench, connection, kept = place.workbench, place.connection, place.kept
    assert connection is not None
    target = connection.target.model_copy(update={"market": Market(parameters_of(place.editor.raw).market)})
    until = utc_now().replace(second=0, microsecond=0)
    since = until - timedelta(days=kept.days)
    interval = kept.interval

    def work(job: Job[dict[str, Candles]]) -> dict[str, Candles]:
        found: dict[str, Candles] = {}
        for number, pair in enumerate(pairs):

            def told(done: int, total: int, number: int = number) -> None:
                job.progress = (number + done / max(1, total)) / len(pairs)

            found[pair] = workbench.candles(
                target, pair, interval, since, until, on_progress=told, stopped=lambda: job.stopped
            )
        kept.fetched, kept.fetched_as = found, asked
        return found

    replays = workbench.strategies.replays
    key = f"candles {connection.id} {asked!r}"
    replays.forget(key)
    return replays.run(key, work)


def _fetched(place: Place, asked: tuple[Any, ...], parameters: Parameters) -> Mapping[str, Candles] | None:
    """What the exchange told, how far it is, or why not."""
    kept = place.kept
    job = kept.fetching
    if job is not None and not job.done:
        _progress(job, N_("Reading candles from {exchange}: {share}. What came is kept."), exchange=place.exchange)
        return None
    if job is not None and job.cancelled:
        st.caption(_("Stopped. What came is kept, so that the next time it goes on from there."))
    elif job is not None and job.error is not None:
        st.warning(say(job.error))
    elif kept.fetched_as == asked:
        return {pair: kept.fetched[pair] for pair in parameters.pairs}
    else:
        st.caption(_("Public prices, asked for without a key. Choose interval and time, then get the candles."))
    return None


def _from_files(place: Place, parameters: Parameters) -> Mapping[str, Candles] | None:
    kept = place.kept
    st.caption(
        _(
            "CSV as TradingView or Binance write it, JSON as Freqtrade keeps it, feather or parquet, also zipped:"
            " time, open, high, low and close. Nothing of it is kept."
        )
    )
    with st.grid(columns=min(3, len(parameters.pairs)), min_column_width=260):
        for pair in parameters.pairs:
            with st.container():
                file = st.file_uploader(
                    _("Candles of {pair}", pair=plain(pair)),
                    key=place.key(f"file_{pair}"),
                    max_upload_size=largest_upload(MAX_FILE_MB),
                )
                _take_file(kept, pair, file)
    missing = [pair for pair in parameters.pairs if pair not in kept.files]
    if missing:
        return None
    steps = {interval_name(kept.files[pair].interval) for pair in parameters.pairs}
    if len(steps) > 1:
        st.warning(
            _(
                "The files have different intervals ({intervals}). Choose files with one interval.",
                intervals=", ".join(sorted(steps)),
            )
        )
        return None
    return {pair: kept.files[pair] for pair in parameters.pairs}


def _take_file(kept: Kept, pair: str, file: Any) -> None:
    """Reads a file once; what is wrong with it stands under its box."""
    mark = f"{pair}:{getattr(file, 'file_id', '')}"
    if file is not None and kept.named.get(f"id {pair}") != mark:
        try:
            with st.spinner(_("Reading {name}. A large file takes some seconds.", name=plain(file.name))):
                kept.files[pair] = read_candles(file.getvalue(), file.name, pair)
        except BfaiError as error:
            kept.files.pop(pair, None)
            st.warning(say(error.message))
            return
        kept.named[pair], kept.named[f"id {pair}"] = file.name, mark
    if (found := kept.files.get(pair)) is not None:
        st.caption(
            ":green[:material/check_circle:] "
            + n_(
                "{name}: {count} candle of {interval}",
                "{name}: {count} candles of {interval}",
                len(found),
                name=plain(kept.named[pair]),
                interval=interval_name(found.interval),
            )
        )


# -- what asks for entries, and with how much --------------------------------------------------------------------------


def _choose_signals(place: Place, parameters: Parameters) -> tuple[Signals | None, bool]:
    """What asks for entries (None: the strategy's own start condition), and whether it is known."""
    kept = place.kept
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept.asks = st.selectbox(
            _("What asks for entries"),
            list(ASKS),
            index=list(ASKS).index(kept.asks),
            format_func=lambda one: _(ASKS[one]),
            key=place.key("asks"),
            width=390,
        )
        if kept.asks == "rsi":
            kept.rsi = int(
                st.number_input(
                    _("RSI below"),
                    1,
                    99,
                    kept.rsi,
                    key=place.key("rsi"),
                    width=130,
                    help=_("RSI over 14 candles. Short groups begin above 100 minus this."),
                )
            )
        elif kept.asks == "cross":
            for name, label in (("fast", _("Fast, candles")), ("slow", _("Slow, candles"))):
                value = cast("Any", st).number_input(label, 2, 500, getattr(kept, name), key=place.key(name), width=130)
                setattr(kept, name, int(value))
        usual = _balance(place.facts)
        number = st.number_input(
            _("Starting balance, {quote}", quote=plain(place.editor.quote)),
            min_value=1.0,
            max_value=1e9,
            value=float(kept.balance or usual),
            step=100.0,
            key=place.key("balance"),
            width=190,
            help=_("Limits in percent are of this balance. It begins with what the last test saw as free."),
        )
        given = Decimal(f"{number:.12g}")
        kept.balance = given if given != usual else None
    if kept.asks == "file":
        return _signals_of_file(place)
    if kept.asks == "own":
        if parameters.start_condition == "signal":
            st.info(_("This strategy waits for signals from outside. Choose here what asks for entries in the replay."))
            return None, False
        return None, True
    if kept.asks == "cross" and kept.fast >= kept.slow:
        st.warning(_("The fast average must have fewer candles than the slow one."))
        return None, False
    made: Mapping[str, Signals] = {
        "always": Always(),
        "rsi": Rsi(kept.rsi),
        "cross": Crossing(kept.fast, kept.slow),
    }
    return made[kept.asks], True


def _balance(facts: Facts | None) -> Decimal:
    """What is known to be free, else a round sum."""
    return facts.free if facts is not None and facts.free is not None and facts.free >= 1 else BALANCE


def _signals_of_file(place: Place) -> tuple[Signals | None, bool]:
    kept = place.kept
    file: Any = st.file_uploader(
        _("Signals, as CSV"),
        key=place.key("signals"),
        max_upload_size=10,
        help=_(
            "TradingView's list of trades or log of alerts, or the columns time, pair and side. Times in your zone."
        ),
    )
    if file is not None and kept.named.get("id signals") != file.file_id:
        try:
            kept.signals = read_signals(file.getvalue(), file.name, zone=zone_of())
        except BfaiError as error:
            kept.signals = ()
            st.warning(say(error.message))
            return None, False
        kept.signals_name, kept.named["id signals"] = file.name, file.file_id
    if not kept.signals:
        return None, False
    st.caption(
        ":green[:material/check_circle:] "
        + n_("{name}: {count} signal", "{name}: {count} signals", len(kept.signals), name=plain(kept.signals_name))
    )
    return Listed(tuple((row.time, row.pair, row.side) for row in kept.signals)), True


# -- what it is replayed with ------------------------------------------------------------------------------------------


def _markets(place: Place, parameters: Parameters, candles: Mapping[str, Candles]) -> dict[str, LadderMarket]:
    """The exchange's rules of each pair, or assumed ones."""
    found: dict[str, LadderMarket] = {}
    for pair in parameters.pairs:
        known = place.rules.get(pair)
        if known is not None and known.market is parameters.market:
            found[pair] = ladder_market(known, parameters.leverage)
        elif pair in candles:
            found[pair] = assumed_market(parameters.market, float(candles[pair].close[-1]))
    return found


def _assumptions(
    place: Place,
    parameters: Parameters,
    candles: Mapping[str, Candles],
    markets: Mapping[str, LadderMarket],
    trouble: Message | None,
) -> None:
    """What is not as it would be: said once, before the figures."""
    unknown = [pair for pair in parameters.pairs if place.rules.get(pair) is None]
    if unknown:
        st.warning(
            " ".join(
                (
                    *([say(trouble)] if trouble is not None else []),
                    _(
                        "The rules of {pairs} are not known, so usual fees and fine steps are assumed.",
                        pairs=plain(", ".join(unknown)),
                    ),
                )
            )
        )
    notes: list[str] = []
    if parameters.market is Market.FUTURES and not all(market.tells_liquidation for market in markets.values()):
        notes.append(_("What liquidates is not known here, so nothing is ever liquidated in this replay."))
    gaps = sum(one.gaps for one in candles.values())
    if gaps:
        notes.append(
            n_(
                "{count} candle is missing; nothing happens there.",
                "{count} candles are missing; nothing happens there.",
                gaps,
            )
        )
    if notes:
        st.caption(":material/info: " + " ".join(notes))


def _progress(job: Job[Any], text: str, **params: str) -> None:
    """How far it is, until it has ended. Holds no button."""

    @part(run_every=0.3)
    def draw() -> None:
        with calm():
            st.progress(job.progress, text=_(text, share=words().percent(job.progress, 0), **params))
        if job.done:
            redraw()

    draw()


# -- the replay --------------------------------------------------------------------------------------------------------


def _replayed(place: Place, question: Question) -> None:
    """The result, how far it is, or why there is none."""
    replays, kept = place.workbench.strategies.replays, place.kept
    if kept.last is not None and not kept.last.done and question.key not in kept.last.key:
        kept.last.cancel()  # the fields have changed meanwhile
    stopped = kept.last is not None and kept.last.cancelled and question.key in kept.last.key

    def again() -> None:
        kept.last = None

    if stopped:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.caption(_("The replay was stopped."), width="stretch")
            st.button(_("Replay"), icon=":material/replay:", key=place.key("again"), on_click=again)
        return
    job = kept.last = replays.start(question)
    job.wait(QUICK)
    if not job.done:
        _progress(job, N_("Replaying: {share}"))
        st.button(_("Stop"), icon=":material/stop:", key=place.key("stop"), on_click=job.cancel)
        return
    if job.error is not None or job.result is None:
        st.warning(say(job.error) if job.error is not None else _("The replay was stopped."))
        return
    other = _against(place, question)
    Shown(place, question, job.result, other).draw()


class Other(NamedTuple):
    """Another revision on the same candles."""

    name: str
    question: Question
    found: Replay


def _against(place: Place, question: Question) -> Other | None:
    """The revision to compare with, if one is chosen."""
    editor, kept = place.editor, place.kept
    if editor.strategy_id is None:
        return None
    strategies = place.workbench.strategies
    names: dict[int, str] = {}
    for revision in strategies.revisions(editor.strategy_id):
        if revision.digest != question.parameters.digest:
            names[revision.number] = _(
                "Revision {number}, {when}", number=revision.number, when=moment(revision.created_at)
            )
            if revision.number == editor.expected:
                names[revision.number] = _("The saved revision {number}", number=revision.number)
    if not names:
        kept.against = None
        return None
    chosen = kept.against if kept.against in names else None
    kept.against = st.selectbox(
        _("Compare with"),
        list(names),
        index=None if chosen is None else list(names).index(chosen),
        format_func=lambda number: names[number],
        placeholder=_("nothing"),
        key=place.key("against"),
        width=330,
    )
    if kept.against is None:
        return None
    parameters = strategies.parameters(editor.strategy_id, kept.against)
    missing = [pair for pair in parameters.pairs if pair not in question.candles]
    if missing or parameters.market is not question.parameters.market:
        st.warning(
            _(
                "That revision trades {pairs}, of which there are no candles here. Choose another one.",
                pairs=plain(", ".join(missing or parameters.pairs)),
            )
        )
        return None
    markets = _markets(place, parameters, question.candles)
    asked = Question(parameters, markets, question.candles, question.balance, question.signals)
    job = strategies.replays.start(asked)
    job.wait(QUICK)
    if not job.done:
        _progress(job, N_("Replaying the other one: {share}"))
        return None
    if job.result is None:
        if job.error is not None:
            st.warning(say(job.error))
        return None
    return Other(_("Revision {number}", number=kept.against), asked, job.result)


class Figure(NamedTuple):
    """A figure of a replay: its name, its text, its number to subtract (None: none), how to write a difference."""

    label: str
    text: str
    number: Decimal | None
    write: Callable[[Decimal], str]
    help: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One replay on the screen, maybe beside another one."""

    place: Place
    question: Question
    found: Replay
    other: Other | None

    @property
    def pair(self) -> str:
        pairs = self.question.parameters.pairs
        return self.place.kept.pair if self.place.kept.pair in pairs else pairs[0]

    @property
    def candles(self) -> Candles:
        return self.question.candles[self.pair]

    @property
    def pen(self) -> Pen:
        base, _slash, quote = self.pair.partition("/")
        market = self.question.markets[self.pair]
        return Pen(
            words(), quote, base, digits_of(market.tick_size), digits_of(market.step_size * market.contract_size)
        )

    @property
    def mark(self) -> str:
        """Names widgets that belong to this replay and this stretch."""
        stretch = "_".join(location.get(name, "") for name in ("from", "to"))
        return f"{self.question.key[:12]}_{self.pair}_{stretch}_{st.session_state.get(FOLLOWED, 0)}"

    def draw(self) -> None:
        self._verdict()
        if self.other is not None:
            self._compared(self.other)
        elif self.found.deals:
            self._figures()
        if self.found.deals or self.other is not None:
            self._picture()
            self._levels()
        parts = {"log": _("Decisions"), "deals": _("Deals"), "grid": _("Try other values")}
        part = choose_by_address(_("Part"), parts, "part", "log")
        if part == "grid":
            _grid(self)
        else:
            _listing(self, part)

    # Figures

    def _verdict(self) -> None:
        """What came out, in one sentence, and what it is not."""
        told, pen = self.found.summary, self.pen
        texts: list[str] = []
        if told.deals:
            texts.append(
                n_(
                    "**{count} deal** was closed, with {sum} after fees.",
                    "**{count} deals** were closed, with {sum} after fees.",
                    told.deals,
                    sum=f"**{plain(signed(told.profit, pen.sum))}**",
                )
            )
        if told.open_groups:
            texts.append(
                n_(
                    "{count} group is still open, at {sum} by the last price.",
                    "{count} groups are still open, at {sum} by the last price.",
                    told.open_groups,
                    sum=f"**{plain(signed(told.open_profit, pen.sum))}**",
                )
            )
        if not texts:
            self._nothing()
        else:
            st.markdown(" ".join(texts))
        st.caption(
            n_(
                "A simulation on {count} candle, {since} to {until}: no order book, no funding, no delay, no promise."
                " What gained here can lose everything tomorrow.",
                "A simulation on {count} candles, {since} to {until}: no order book, no funding, no delay, no promise."
                " What gained here can lose everything tomorrow.",
                told.candles,
                since=moment(told.since),
                until=moment(told.until),
            )
        )

    def _nothing(self) -> None:
        """Why nothing was bought, and what to do."""
        counted: dict[Reason, int] = {}
        for line in self.found.log:
            for reason in line.reasons:
                counted[reason] = counted.get(reason, 0) + 1
        if not counted:
            st.info(
                _("Nothing asked for an entry in this time. Choose a longer time, or something else that asks."),
                icon=":material/info:",
            )
            return
        why = _list([_(REASONS[reason]) for reason in Reason if reason in counted])
        cures = [_(CURES[reason]) for reason in Reason if reason in counted and reason in CURES][:1]
        st.warning(
            " ".join((_("Nothing was bought, because every entry was blocked: {reasons}.", reasons=why), *cures)),
            icon=":material/warning:",
        )

    def _figures(self) -> None:
        with st.grid(columns=4, min_column_width=150):
            for one in figures(self.found, self.question, self.pen):
                figure_card(one.label, one.text, one.help, *([one.note] if one.note else []))

    def _compared(self, other: Other) -> None:
        """Both in two columns, and what is different."""
        mine = figures(self.found, self.question, self.pen)
        theirs = figures(other.found, other.question, self.pen)
        now = (
            _("Fields now") if self.place.editor.unsaved else _("Revision {number}", number=self.place.editor.expected)
        )
        differences: list[str] = []
        for one, that in zip(mine, theirs, strict=True):
            if one.number is None or that.number is None:
                differences.append("")
            else:
                gap = one.number - that.number
                differences.append(plain(signed(gap, one.write)) if gap else "=")
        table(
            {
                _("Figure"): [one.label for one in mine],
                now: [plain(one.text) for one in mine],
                other.name: [plain(one.text) for one in theirs],
                _("Difference"): differences,
            },
            alt=_("The figures of both, side by side"),
        )

    # The picture

    def _picture(self) -> None:
        pairs = self.question.parameters.pairs
        view = self._view()
        with st.container(border=True, key="replay_picture"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.header(_("Prices and equity"), anchor=PICTURE, width="content")
                if len(pairs) > 1:
                    self.place.kept.pair = st.selectbox(
                        _("Pair"),
                        pairs,
                        index=pairs.index(self.pair),
                        key=self.place.key("pair"),
                        width=170,
                        label_visibility="collapsed",
                    )
                else:
                    st.markdown(f"**{plain(self.pair)}**", width="content")
                stretch = _("{start} to {end}", start=moment(view.moment(0)), end=moment(view.moment(view.places)))
                st.caption(no_list(stretch), width="content")
            self._zoom_bar(view)
            picture, crowded = self._drawn(view)
            chosen: Any = st.echarts_chart(
                charts.picture_spec(picture, self.pen, _("Look closer: press here, then draw over the chart")),
                height=charts.HEIGHT,
                key=f"picture_{self.mark}",
                on_select="rerun",
                alt=picture_alt(picture, self.pen, self.found.summary, self.pair),
            )
            self._legend(picture)
            notes = [_("Prices above, equity in the middle, capital in use below.")]
            if crowded:
                notes.append(_("Average and target appear when you look closer."))
            if picture.limit is not None and not picture.limit_fits:
                limit = self.pen.sum(Decimal(f"{picture.limit:.2f}"))
                notes.append(_("The limit ({limit}) lies far above this picture.", limit=plain(limit)))
            notes.append(_("To look closer, press the frame in the chart, then draw over it."))
            st.caption(" ".join(notes))
        areas: list[Any] = chosen.selection.areas if chosen else []
        if areas:
            first, last = (view.moment(float(at)) for at in areas[0]["coord_range"])
            follow(first, last + timedelta(seconds=view.step))

    def _view(self) -> charts.View:
        params = {name: location[name] for name in ("from", "to") if name in location}
        if "from" not in params:
            return charts.view_of(self.candles)
        shown = time_range.read(params, self.candles.ends, None)
        return charts.view_of(self.candles, shown.since, None if shown.open else shown.until)

    def _zoom_bar(self, view: charts.View) -> None:
        ends = self.candles.ends
        least = timedelta(seconds=self.candles.step * charts.FEWEST_CANDLES)
        shown = TimeRange(view.moment(0), view.moment(view.places), open=view.end >= ends.timestamp())
        whole = view.begin <= self.candles.begins.timestamp() and shown.open

        def move(how: Callable[[TimeRange, datetime], TimeRange]) -> None:
            forget_selections()
            show(how(shown, ends))

        moves: tuple[tuple[str, str, Callable[[TimeRange, datetime], TimeRange], bool], ...] = (
            ("earlier", "‹ " + _("Earlier"), time_range.earlier, view.begin <= self.candles.begins.timestamp()),
            ("wider", "− " + _("Zoom out"), time_range.wider, whole),
            ("closer", "+ " + _("Zoom in"), time_range.closer, shown.span <= least),
            ("later", _("Later") + " ›", time_range.later, shown.open),
        )
        with st.container(horizontal=True, width="content", gap="small", key="replay_zoom"):
            for key, label, how, off in moves:
                st.button(label, key=f"replay_zoom_{key}", type="tertiary", disabled=off, on_click=move, args=(how,))
            st.button(_("All"), key="replay_zoom_all", type="tertiary", disabled=whole, on_click=show, args=(None,))

    def _drawn(self, view: charts.View) -> tuple[charts.Picture, bool]:
        """What is in view, and whether there are too many groups for their lines."""
        begin, end = view.moment(0), view.moment(view.places)
        inside = [
            deal
            for deal in self.found.deals
            if deal.pair == self.pair and deal.opened_at < end and (deal.closed_at is None or deal.closed_at >= begin)
        ]
        crowded = len(inside) > charts.MOST_LINES
        if crowded:
            inside = [deal for deal in inside if deal.recovery_at is not None]
        told = stretches(self.question, self.found, inside)
        sides: list[charts.Lines] = []
        for side in sorted(self.question.parameters.directions):  # long comes first
            lines = charts.lines_of([one for one in told if one.side == side], view)
            if crowded:
                nothing: list[float | None] = [None] * view.places
                lines = charts.Lines(nothing, nothing, lines.recovering)
            sides.append(lines)
        limit = self.question.parameters.margin_limit_total.quote(self.question.balance)
        other = self.other.found if self.other is not None else None
        return (
            charts.Picture(
                view,
                charts.bars_of(self.candles, view),
                charts.marks_of(self.found, self.pair, view),
                sides,
                charts.curve_of(self.found.times, self.found.values, view),
                charts.curve_of(self.found.times, self.found.capital, view),
                limit=None if limit is None else float(limit),
                other=None if other is None else charts.curve_of(other.times, other.values, view),
                zone=zone_of(),
            ),
            crowded,
        )

    def _legend(self, picture: charts.Picture) -> None:
        seen = {mark.kind for mark in picture.marks}
        entries: list[tuple[str, int, str]] = [(charts.candle_svg(), 32, _("price, rising hollow, falling filled"))]
        entries += [
            (charts.mark_svg(look), 16, _(charts.MARK_NAMES[kind]))
            for kind, look in charts.MARKS.items()
            if kind in seen
        ]
        if any(value is not None for side in picture.sides for value in side.average):
            trailing = self.question.parameters.trailing is not None
            both = len(picture.sides) > 1
            target = _("trailing exit begins") if trailing else _("target")
            entries.append((sample_svg(charts.AVERAGE), 32, _("average, long") if both else _("average")))
            entries.append((sample_svg(charts.TARGET), 32, _("target, long") if both else target))
            if both:
                entries.append((sample_svg(charts.AVERAGE_SHORT), 32, _("average, short")))
                entries.append((sample_svg(charts.TARGET_SHORT), 32, _("target, short")))
        if any(picture.recovering):
            entries.append((sample_svg(charts.RECOVERY), 32, _("Recovery Mode")))
        entries.append((sample_svg(charts.EQUITY), 32, _("equity")))
        if self.other is not None:
            entries.append((sample_svg(charts.OTHER), 32, _("equity: {other}", other=self.other.name)))
        entries.append((sample_svg(charts.CAPITAL), 32, _("capital in use")))
        if picture.limit_fits:
            entries.append((sample_svg(LIMIT), 32, _("limit")))
        with st.container(horizontal=True, gap="small"):
            for svg, width, name in entries:
                with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
                    st.image(svg, width=width, alt="")
                    st.caption(name, width="content")

    def _levels(self) -> None:
        """How often each level was filled, and how the groups ended."""
        counts = self.found.summary.fills_by_level
        if not any(counts):
            return
        with st.container(key="replay_levels"), st.grid(columns=2, min_column_width=300):
            with st.container(border=True, height="stretch"):
                st.markdown("**" + _("Fills by level") + "**")
                st.echarts_chart(
                    charts.levels_spec(counts, self.pen),
                    height=charts.LEVELS_HEIGHT,
                    key=f"levels_{self.question.key[:12]}",
                    alt=_(
                        "Fills by level, from the first entry on: {counts}.",
                        counts=", ".join(words().number(count) for count in counts),
                    ),
                )
            with st.container(border=True, height="stretch"):
                st.markdown("**" + _("How groups ended") + "**")
                self._ends()

    def _ends(self) -> None:
        columns: dict[str, list[str]] = {
            _("End"): [],
            _("Groups"): [],
            _("Result, {quote}", quote=plain(self.pen.quote)): [],
        }
        ends, counts, sums = columns.values()
        for how in Exit:
            own = [deal for deal in self.found.deals if deal.exit is how]
            if own:
                ends.append(_(EXITS[how]))
                counts.append(words().number(len(own)))
                sums.append(plain(signed(sum((deal.profit or Decimal(0) for deal in own), Decimal(0)), self.pen.money)))
        told = self.found.summary
        if told.open_groups:
            ends.append(_("still open"))
            counts.append(words().number(told.open_groups))
            sums.append(plain(signed(told.open_profit, self.pen.money)))
        table(columns, alt=_("How groups ended"))
        if told.longest_group is not None:
            slow = sorted(self.found.deals, key=lambda deal: _length(deal, told.until), reverse=True)[:1]
            for deal in slow:
                st.caption(
                    _(
                        "The longest one lasted {time}, from {when} on.",
                        time=duration(_length(deal, told.until).total_seconds()),
                        when=moment(deal.opened_at),
                    )
                )


def _mean_length(found: Replay) -> float:
    """Seconds from entry to exit, of groups that are open until now."""
    return sum(_length(deal, found.summary.until).total_seconds() for deal in found.deals) / len(found.deals)


def _length(deal: Deal, until: datetime) -> timedelta:
    return (deal.closed_at or until) - deal.opened_at


def _list(parts: Sequence[str]) -> str:
    return "; ".join(parts)


def signed(value: Decimal, write: Callable[[Decimal], str]) -> str:
    """With a plus where it is a gain."""
    text = write(value)
    return f"+{text}" if value > 0 else text.replace("-", "−", 1)


def show(shown: TimeRange | None) -> None:
    """Puts a stretch of time into the address; None takes it out."""
    location.take_out("from", "to")
    if shown is not None:
        location.update({name: text for name, text in shown.address.items() if name in ("from", "to")})


def follow(since: datetime, until: datetime) -> None:
    """Goes to the stretch that was chosen in a picture or a table."""
    forget_selections()
    show(TimeRange(since, until, open=False))
    st.rerun()


def figures(found: Replay, question: Question, pen: Pen) -> list[Figure]:
    """Eight figures, in the order of what to look at first."""
    told = found.summary
    quote = plain(pen.quote)

    def count(value: Decimal) -> str:
        return words().number(int(value))

    def days(value: Decimal) -> str:
        return duration(float(abs(value))) if value >= 0 else f"-{duration(float(-value))}"

    result, limit = result_of(told), question.parameters.margin_limit_total.quote(question.balance)
    longest = None if told.longest_group is None else Decimal(str(told.longest_group.total_seconds()))
    return [
        Figure(
            _("Result, {quote}", quote=quote),
            signed(result, pen.money),
            result,
            pen.money,
            _("What was gained or lost after all fees. Groups that are still open count at the last price."),
            _("{share} of the balance", share=_percent(pen, result / found.balance * 100)),
        ),
        Figure(
            _("Worst dip, {quote}", quote=quote),
            pen.money(told.worst_dip),
            told.worst_dip,
            pen.money,
            _("The deepest fall of the equity from its highest value before, looked at when each candle closes."),
            _("{share} of the peak", share=pen.percent(told.worst_dip_pct)),
        ),
        Figure(
            _("Peak capital, {quote}", quote=quote),
            pen.money(told.peak_capital),
            told.peak_capital,
            pen.money,
            _("The most that was in use at once, margin and entry fees of all open groups."),
            _("{share} of the limit", share=pen.percent(told.peak_capital / limit * 100, 1))
            if limit
            else _("no limit is set"),
        ),
        Figure(
            _("Longest group"),
            "–" if told.longest_group is None else duration(told.longest_group.total_seconds()),
            longest,
            days,
            _("From the first entry to the exit. For so long this money could do nothing else."),
            _("on average {time}", time=duration(_mean_length(found))) if found.deals else "",
        ),
        Figure(
            _("Days near the limit"),
            words().number(told.days_near_limit),
            Decimal(told.days_near_limit),
            count,
            _("Days (UTC) on which more than 80% of the strategy's limit was in use: add-ons are soon refused then."),
            n_("of {count} day", "of {count} days", _days(told)),
        ),
        Figure(
            _("In Recovery Mode"),
            words().number(told.recoveries),
            Decimal(told.recoveries),
            count,
            _("How often a group got into difficulties and went on more carefully, with Recovery Mode."),
            "" if question.parameters.recovery.enabled else _("it is off"),
        ),
        Figure(
            _("Liquidations"),
            words().number(told.liquidations),
            Decimal(told.liquidations),
            count,
            _("How often the exchange would have taken the position. Its margin and fees are lost then."),
            n_("and {count} stop", "and {count} stops", told.stops),
        ),
        Figure(
            _("Fees, {quote}", quote=quote),
            pen.money(told.fees),
            told.fees,
            pen.money,
            _("All fees that were paid. They are part of the result already."),
            n_("{count} order blocked", "{count} orders blocked", told.blocked),
        ),
    ]


def _percent(pen: Pen, value: Decimal) -> str:
    return signed(value, pen.percent)


def _days(told: Summary) -> int:
    return max(1, (told.until.date() - told.since.date()).days + 1)


def picture_alt(shown: charts.Picture, pen: Pen, told: Summary, pair: str) -> str:
    """The large picture in words."""
    lows, highs = shown.bars.low.tolist(), shown.bars.high.tolist()
    known = [(low, high) for low, high in zip(lows, highs, strict=True) if low == low]
    if not known:
        return _("No candles of {pair} in this time.", pair=pair)
    low, high = min(one[0] for one in known), max(one[1] for one in known)
    texts = [
        _(
            "Candles of {pair} between {low} and {high}.",
            pair=pair,
            low=pen.price(Decimal(f"{low:.10g}")),
            high=pen.price(Decimal(f"{high:.10g}")),
        )
    ]
    counted: dict[str, int] = {}
    for mark in shown.marks:
        counted[mark.kind] = counted.get(mark.kind, 0) + mark.times
    if counted:
        parts = ", ".join(
            f"{_(name)} {words().number(counted[kind])}" for kind, name in charts.MARK_NAMES.items() if kind in counted
        )
        texts.append(_("In view: {parts}.", parts=parts))
    if any(shown.recovering):
        texts.append(_("Recovery Mode is marked."))
    texts.append(
        _(
            "The equity ends at {sum}; its worst dip is {dip}.",
            sum=pen.sum(Decimal(f"{_last(shown.equity.last.tolist()):.2f}")),
            dip=pen.sum(told.worst_dip),
        )
    )
    return " ".join(texts)


def _last(values: Sequence[float]) -> float:
    return next((value for value in reversed(values) if value == value), 0.0)


# -- decisions and deals -----------------------------------------------------------------------------------------------


@part()
def _listing(shown: Shown, part: str) -> None:
    with calm():
        if part == "deals":
            _deals(shown)
        else:
            _decisions(shown)


def _decisions(shown: Shown) -> None:
    """Every decision with all its reasons, page by page. A line that is ticked is looked at in the picture."""
    log = shown.found.log
    place, pairs = shown.place, shown.question.parameters.pairs
    present = {what_of(line) for line in log}
    given = {reason for line in log for reason in line.reasons}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        whats = st.multiselect(
            _("What"),
            [what for what in WHATS if what in present],
            format_func=lambda what: _(WHATS[what]),
            key=place.key("filter_what"),
            placeholder=_("any"),
            width=250,
        )
        only = None
        if len(pairs) > 1:
            only = st.selectbox(
                _("Pair"), pairs, index=None, key=place.key("filter_pair"), placeholder=_("any"), width=160
            )
        reasons: list[Reason] = []
        if given:
            reasons = st.multiselect(
                _("Reason"),
                [reason for reason in Reason if reason in given],
                format_func=lambda reason: _(REASONS[reason]),
                key=place.key("filter_reason"),
                placeholder=_("any"),
                width=320,
            )
        _download(_("Decisions as CSV"), partial(log_csv, shown.found), "decisions")
    rows = [
        line
        for line in log
        if (not whats or what_of(line) in whats)
        and (only is None or line.pair == only)
        and (not reasons or set(reasons) & set(line.reasons))
    ]
    if not rows:
        st.caption(_("No decision fits. Take a filter away.") if log else _("There was nothing to decide."))
        return
    mark = f"{shown.mark}_{hash((tuple(whats), only, tuple(reasons)))}"
    here, offset = _page(rows, f"log_{shown.question.key[:12]}_{hash((tuple(whats), only, tuple(reasons)))}")
    pen = shown.pen
    several = len(pairs) > 1 or len(shown.question.parameters.directions) > 1
    columns: dict[str, list[str]] = {
        _("When"): [moment(line.at) for line in here],
        _("What"): [what_text(line) for line in here],
    }
    if several:
        columns[_("Group")] = [_group_text(line.pair, line.side) for line in here]
    columns[_("Price")] = [pen.price(line.price) for line in here]
    columns[_("Result")] = ["" if line.profit is None else signed(line.profit, pen.money) for line in here]
    columns[_("Why")] = why = [why_text(line) for line in here]
    looks: dict[str, Any] = {
        _("Price"): st.column_config.TextColumn(alignment="right"),
        _("Result"): st.column_config.TextColumn(alignment="right"),
        _("Why"): st.column_config.TextColumn(width=WHY_WIDTH),
    }
    tall = max(map(len, why)) * 6.3 > WHY_WIDTH - 20
    picked = choose_line(
        columns,
        key=f"log_{mark}_{offset}",
        alt=n_("{count} decision, the oldest first", "{count} decisions, the oldest first", len(rows)),
        column_config=looks,
        **({"row_height": 56} if tall else {}),
    )
    _range_caption(offset, len(here), len(rows))
    if picked is not None:
        look_at(shown, here[picked].at, here[picked].at, here[picked].pair)


def _deals(shown: Shown) -> None:
    deals = shown.found.deals
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="right"):
        _download(_("Deals as CSV"), partial(deals_csv, shown.found), "deals")
    if not deals:
        st.caption(_("No group was opened."))
        return
    here, offset = _page(deals, f"deals_{shown.question.key[:12]}")
    pen, until = shown.pen, shown.found.summary.until
    parameters = shown.question.parameters
    columns: dict[str, list[str]] = {_("Opened"): [moment(deal.opened_at) for deal in here]}
    if len(parameters.pairs) > 1 or len(parameters.directions) > 1:
        columns[_("Group")] = [_group_text(deal.pair, deal.side) for deal in here]
    columns[_("Lasted")] = [duration(_length(deal, until).total_seconds()) for deal in here]
    columns[_("Add-ons")] = [words().number(deal.addons) for deal in here]
    columns[_("First price")] = [pen.price(deal.fills[0].price) for deal in here]
    columns[_("Exit")] = [pen.price(deal.exit_price) for deal in here]
    columns[_("End")] = [_("still open") if deal.exit is None else _(EXITS[deal.exit]) for deal in here]
    columns[_("Capital")] = [pen.money(deal.capital) for deal in here]
    columns[_("Result")] = ["–" if deal.profit is None else signed(deal.profit, pen.money) for deal in here]
    right = (_("Add-ons"), _("First price"), _("Exit"), _("Capital"), _("Result"))
    picked = choose_line(
        columns,
        key=f"deals_{shown.mark}_{offset}",
        alt=n_("{count} deal, the oldest first", "{count} deals, the oldest first", len(deals)),
        column_config={name: st.column_config.TextColumn(alignment="right") for name in right},
    )
    _range_caption(offset, len(here), len(deals))
    if picked is not None:
        deal = here[picked]
        look_at(shown, deal.opened_at, deal.closed_at or until, deal.pair)


def _page(rows: Sequence[Any], key: str) -> tuple[Sequence[Any], int]:
    """The rows of the page that is chosen, and how many stand before them."""
    pages = -(-len(rows) // PER_PAGE)
    picked = st.pagination(pages, key=f"page_{key}") if pages > 1 else 1
    offset = (min(picked or 1, pages) - 1) * PER_PAGE
    return rows[offset : offset + PER_PAGE], offset


def _range_caption(offset: int, here: int, count: int) -> None:
    st.caption(
        _(
            "{first} to {last} of {count}. Tick a line to see it in the [picture above]({there}).",
            there=f"#{PICTURE}",
            first=words().number(offset + 1),
            last=words().number(offset + here),
            count=words().number(count),
        )
    )


def _download(label: str, make: Callable[[], str], name: str) -> None:
    download_button(label, make, file_name=f"bfai-replay-{name}.csv", mime="text/csv", key=f"replay_csv_{name}")


def look_at(shown: Shown, since: datetime, until: datetime, pair: str | None) -> None:
    """Shows this stretch in the picture, with some candles around it."""
    if pair is not None and pair != shown.pair:
        shown.place.kept.pair = pair
        st.session_state.pop(shown.place.key("pair"), None)
    room = max((until - since) / 4, shown.candles.interval * 40)
    follow(since - room, until + room)


def what_text(line: Decision) -> str:
    what = what_of(line)
    if what == "add_on":
        return _("Add-on {level}", level=line.level or 0)
    if what == "blocked" and line.level:
        return _("Add-on {level} blocked", level=line.level)
    return _(WHATS[what]) if what else "–"


def why_text(line: Decision) -> str:
    """All reasons in words, in their order."""
    if line.reasons:
        return _list([_(REASONS[reason]) for reason in line.reasons])
    if line.entered:
        return _list([_(DIFFICULTIES[one]) for one in line.entered])
    if line.exit is not None:
        return _(EXITS[line.exit])
    return {
        "opened": _("asked for, and nothing spoke against it"),
        "add_on": _("its price was reached, and nothing spoke against it"),
        "returned": _("nothing speaks for it any more"),
        "trimmed": _("as often as the strategy says"),
        "paused": _("the loss of the day or the losses in a row reached their limit"),
        "stopped": _("the equity stop was reached"),
        "active": _("a new day has begun"),
    }.get(what_of(line), "")


def _group_text(pair: str | None, side: str | None) -> str:
    names = {"long": _("Long"), "short": _("Short")}
    return " · ".join(part for part in (pair or "", names.get(side or "", "")) if part) or "–"


# -- a grid over two parameters ----------------------------------------------------------------------------------------


@part()
def _grid(shown: Shown) -> None:
    with calm():
        _grid_form(shown)


def _grid_form(shown: Shown) -> None:
    """Two parameters, few values each; the answer with an honest word on what it is worth."""
    place, question, kept = shown.place, shown.question, shown.place.kept
    names = grid_axes(question.parameters)
    quote = plain(place.editor.quote)
    st.caption(
        _(
            "Replays every pair of values of two parameters. Look for a calm area, not for the highest number: the best"
            " of many tries is mostly luck until it has been proven on candles that had no say."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):

        def axis(label: str, key: str, chosen: str, choices: Sequence[str]) -> str:
            return st.selectbox(
                label,
                choices,
                index=choices.index(chosen) if chosen in choices else 0,
                format_func=lambda name: field_label(name, quote),
                key=place.key(key),
                width=270,
            )

        kept.grid_across = axis(_("Across"), "grid_across", kept.grid_across, names)
        others = [name for name in names if name != kept.grid_across]
        kept.grid_down = axis(_("Down"), "grid_down", kept.grid_down, others)
        kept.grid_count = st.segmented_control(
            _("Values each"),
            [3, 5, 7],
            default=kept.grid_count,
            required=True,
            key=place.key("grid_count"),
        )
    kept.grid_split = st.checkbox(
        _("Choose on the first 70% of the time, check on the rest"),
        kept.grid_split,
        key=place.key("grid_split"),
        help=_("The check is on candles that had no say in the choice: it shows how much of the best result was luck."),
    )
    plan = GridPlan(
        question,
        axis_of(question.parameters, kept.grid_across, kept.grid_count),
        axis_of(question.parameters, kept.grid_down, kept.grid_count),
        SECOND_PART if kept.grid_split else None,
    )
    job = kept.grid if kept.grid is not None and plan.key in kept.grid.key and not kept.grid.cancelled else None
    count = len(plan.across.values) * len(plan.down.values)

    def begin() -> None:
        kept.grid, kept.grid_cell = place.workbench.strategies.replays.start_grid(plan), None

    if job is None:
        st.button(
            n_("Try {count} combination", "Try {count} combinations", count),
            icon=":material/grid_on:",
            type="primary",
            key=place.key("grid_begin"),
            on_click=begin,
        )
        return
    job.wait(QUICK)
    if not job.done:
        st.button(_("Stop"), icon=":material/stop:", key=place.key("grid_stop"), on_click=job.cancel)
        _progress(job, N_("Trying combinations: {share}"))
        return
    if job.result is None:
        st.warning(say(job.error) if job.error is not None else _("The replay was stopped."))
        return
    _grid_result(shown, job.result)


def _grid_result(shown: Shown, grid: Grid) -> None:
    place, pen = shown.place, shown.pen
    quote = plain(place.editor.quote)
    figure = st.segmented_control(
        _("Show"),
        list(GRID_FIGURES),
        default="result",
        required=True,
        format_func=lambda name: _(GRID_FIGURES[name]),
        key=place.key("grid_figure"),
    )
    worth = result_of if figure == "result" else _less_dip
    ranked = grid.ranked(worth)
    if not ranked:
        st.warning(_("No combination of these values is valid. Choose other parameters."))
        return
    best = ranked[0]
    names = (field_label(grid.across.name, quote), field_label(grid.down.name, quote))
    mine = raw_of(shown.question.parameters)
    now = tuple(Decimal(str(mine[name])).normalize() for name in (grid.across.name, grid.down.name))
    chosen = next((cell for cell in grid.cells if (cell.across, cell.down) == place.kept.grid_cell), None)
    with st.grid(columns=2 if grid.split_at else 1, min_column_width=320):
        parts = (("tried", _("First part: it chooses")), ("checked", _("Second part: it checks")))
        for part, title in parts if grid.split_at else (("tried", _("All candles")),):
            with st.container(border=True):
                st.markdown(f"**{title}** ({quote})")
                told = [getattr(cell, part) for cell in grid.cells]
                values = [None if one is None else worth(one) for one in told]
                known = [value for value in values if value is not None]
                choosing = part == "tried"  # what chose could not check any more
                spec = charts.grid_spec(
                    grid, values, pen, names, now=cast("Any", now), best=best, chosen=chosen, choosing=choosing
                )
                # Named by the choice: what the browser remembers of a click belongs to one drawing.
                at = "" if chosen is None else f"_{chosen.across}_{chosen.down}"
                key = place.key(f"grid_map_{part}_{figure}_{shown.question.key[:12]}{at}")
                st.echarts_chart(
                    spec,
                    height=charts.grid_height(grid),
                    key=key,
                    on_select=partial(_choose_cell, place.kept, grid, spec, key) if choosing else "ignore",
                    alt=_(
                        "{title}: {count} cells between {low} and {high}; the best one of the first part is at"
                        " {across} and {down}.",
                        title=title,
                        count=len(known),
                        low=pen.sum(min(known)),
                        high=pen.sum(max(known)),
                        across=words().number(best.across),
                        down=words().number(best.down),
                    ),
                )
    st.caption(
        " ".join(
            (
                _("Blue gains, orange loses, the stronger the more. Thick frame: the best. Dashed: the values now."),
                _("Click a cell of the first part to choose it.") if grid.split_at else _("Click a cell to choose it."),
            )
        )
    )
    _grid_verdict(shown, grid, best, names, worth)
    _take_values(shown, grid, chosen or best, names, worth, picked=chosen is not None)


def _choose_cell(kept: Kept, grid: Grid, spec: charts.Spec, key: str) -> None:
    """A click on a cell chooses it, and on the chosen one takes that back."""
    selected: list[Any] = st.session_state[key].selection.selected
    if selected:
        cell = charts.cell_at(grid, spec, selected[0]["data_indices"][0])
        kept.grid_cell = None if kept.grid_cell == (cell.across, cell.down) else (cell.across, cell.down)


def _less_dip(summary: Summary) -> Decimal:
    """A dip is a loss: the smaller the better."""
    return -summary.worst_dip


def _grid_verdict(
    shown: Shown, grid: Grid, best: Cell, names: tuple[str, str], worth: Callable[[Summary], Decimal]
) -> None:
    """What the best cell is worth: its neighbours, and how it did where it had no say."""
    pen = shown.pen
    assert best.tried is not None
    top = worth(best.tried)
    around = sorted(worth(cell.tried) for cell in grid.neighbours(best) if cell.tried is not None)
    texts = [
        _(
            "Best of {count}: {across} {x}, {down} {y}, with **{sum}**.",
            count=len(grid.ranked(worth)),
            across=names[0],
            x=words().number(best.across),
            down=names[1],
            y=words().number(best.down),
            sum=plain(signed(top, pen.sum)),
        )
    ]
    if around:
        texts.append(
            _(
                "The cells around it made {low} to {high}.",
                low=plain(signed(around[0], pen.sum)),
                high=plain(signed(around[-1], pen.sum)),
            )
        )
    st.markdown(" ".join(texts))
    warn, good = ":orange[:material/warning:] ", ":blue[:material/info:] "
    middle = around[len(around) // 2] if around else top
    every = [worth(cell.tried) for cell in grid.cells if cell.tried is not None]
    if worth is result_of and top <= 0:
        st.markdown(warn + _("Even the best of them did not gain."))
    if around and top - middle > (max(every) - min(every)) / 4:
        st.markdown(warn + _("It stands out from its neighbours: that is luck more often than skill."))
    elif around:
        st.markdown(good + _("Its neighbours did much the same. That says more than the highest number."))
    if best.checked is not None:
        checked = worth(best.checked)
        rank = next(
            place
            for place, cell in enumerate(grid.ranked(worth, checked=True), start=1)
            if (cell.across, cell.down) == (best.across, best.down)
        )
        count = len(grid.ranked(worth, checked=True))
        text = _(
            "In the second part, which had no say, it made **{sum}**: place {rank} of {count}.",
            sum=plain(signed(checked, pen.sum)),
            rank=rank,
            count=count,
        )
        st.markdown((warn if rank > count / 3 else good) + text)
    else:
        st.markdown(warn + _("Nothing has checked this yet: the same candles chose it. Tick the check above."))


def _take_values(
    shown: Shown, grid: Grid, cell: Cell, names: tuple[str, str], worth: Callable[[Summary], Decimal], *, picked: bool
) -> None:
    """The cell that a click chose, or the best one, and its values for the fields."""
    pen, editor = shown.pen, shown.place.editor
    if picked:
        values = {
            "across": names[0],
            "x": words().number(cell.across),
            "down": names[1],
            "y": words().number(cell.down),
        }
        if cell.tried is None:
            st.markdown(_("Chosen: {across} {x}, {down} {y}. These values cannot stand together.", **values))
            return
        made = plain(signed(worth(cell.tried), pen.sum))
        text = _("Chosen: {across} {x}, {down} {y}, with **{sum}**.", sum=made, **values)
        if cell.checked is not None:
            checked = plain(signed(worth(cell.checked), pen.sum))
            text = " ".join((text, _("In the second part it made **{sum}**.", sum=checked)))
        st.markdown(text)
    if st.button(
        _("Put the chosen values into the fields") if picked else _("Put the best values into the fields"),
        icon=":material/edit:",
        key=shown.place.key("grid_take"),
        help=_("They stay unsaved until you save a revision."),
    ):
        changed = raw_of(
            with_values(parameters_of(editor.raw), {grid.across.name: cell.across, grid.down.name: cell.down})
        )
        for name in (grid.across.name, grid.down.name):
            raw_fix(editor.raw, name, changed[name])
        st.rerun()  # the whole page: the fields are not of this part
