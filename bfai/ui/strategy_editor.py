"""The editor of one strategy: its fields in four steps, what is wrong beside the field it is about, the preview.

What was typed lives in the session as long as the visit, field by field, until it is saved or thrown away; a change of
page or language loses nothing. Whether a strategy may be enabled is asked of `workbench.strategies`, not decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bfai.i18n import N_
from bfai.model import (
    BfaiError,
    Connection,
    Market,
    Message,
    Strategy,
    StrategyState,
    Target,
)
from bfai.strategy.desk import STATE_WORDS
from bfai.strategy.gate import FEE_ASSUMED, Facts, Review, engine, review, smallest_first_entry, suggest_first_entry
from bfai.strategy.limits import FeesFrom, MarketsError, PairRules
from bfai.strategy.parameters import (
    Fix,
    Parameters,
    Problem,
    RiskLevel,
    Severity,
    StrategyError,
    flat_preset,
    preset,
)
from bfai.ui import ladder_view
from bfai.ui.language import _, ago, n_, plain, say, words
from bfai.ui.location import location
from bfai.ui.pieces import (
    Look,
    exchange_name,
    facts,
    market_name,
    moved,
    start,
    tell,
    widget_key,
)
from bfai.ui.session import admit
from bfai.ui.strategy_fields import (
    BY_NAME,
    FIELDS,
    GROUPS,
    RISK_IN_SENTENCE,
    RISK_LEVELS,
    STEPS,
    Field,
    Raw,
    applies,
    as_float,
    field_of,
    number_text,
    parameters_of,
    raw_of,
    tidy_pairs,
)
from bfai.workbench import STATUS_NAMES, Workbench

NEW: Final = "new"
STATE_LOOKS: Final[Mapping[StrategyState, Look]] = {
    StrategyState.DRAFT: Look(STATE_WORDS[StrategyState.DRAFT], "gray", "edit_note"),
    StrategyState.ENABLED: Look(STATE_WORDS[StrategyState.ENABLED], "green", "play_circle"),
    StrategyState.SUSPENDED: Look(STATE_WORDS[StrategyState.SUSPENDED], "orange", "pause_circle"),
}
_EDITORS = "strategy_editors"
_THROWN = "strategy_thrown_away"
_CACHE = "strategy_cache"
_REFUSED = "strategy_refused"
_FACTS_HOLD = 60.0  # seconds; enabling asks anew whatever is kept here
_PAIRS_HOLD = 600.0
_USUAL = ("BTC/USDT", "BTC/USDC", "BTC/USD", "BTC/EUR")
_MOST_TRIED = 12
_FEW_LADDERS = 2
_NOW = timedelta(0)


KnownPairs = tuple[tuple[str, ...], Message | None]
"""The pairs of a market, and why they are not known or not all."""


@dataclass(slots=True)
class Editor:
    """What is typed and not saved. `expected` is the revision that it began from, 0 for a new strategy."""

    strategy_id: str | None
    name: str
    connection_id: str | None
    expected: int
    raw: Raw
    saved: Raw
    step: int = 1
    begins: bool = False
    resize: bool = False
    suggested: str | None = None
    good: Parameters | None = None
    shown: tuple[str, str] | None = None
    suggestion: Message | None = None
    enabled: bool = False
    saved_name: str = ""
    on_screen: int = 0
    opened: set[str] = field(default_factory=set[str])
    asked_twice: Raw = field(default_factory=dict[str, Any])
    asked: str = ""

    @property
    def id(self) -> str:
        return self.strategy_id or NEW

    @property
    def unsaved(self) -> bool:
        return self.strategy_id is None or self.raw != self.saved or self.name != self.saved_name

    @property
    def quote(self) -> str:
        """The quote currency of the first pair, as far as one is chosen."""
        pairs: Sequence[str] = self.raw.get("pairs") or ()
        return pairs[0].partition("/")[2] if pairs else "USDT"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known about what stands in the fields. Without `parameters` they cannot be read."""

    parameters: Parameters | None
    review: Review | None
    facts: Facts | None
    problems: tuple[Problem, ...] = ()
    error: Message | None = None
    cure: Fix | None = None


@dataclass(slots=True)
class Cache:
    """What was asked and judged a moment ago in this visit, so that moving a slider asks nobody."""

    pairs: dict[str, tuple[float, KnownPairs]] = field(default_factory=dict[str, tuple[float, KnownPairs]])
    facts_key: object = None
    facts_at: float = 0.0
    facts: Facts | None = None
    review_key: object = None
    review: Review | None = None
    cure: Fix | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done, with all reasons."""

    strategy_id: str
    message: Message
    problems: tuple[Problem, ...]


def _cache() -> Cache:
    return st.session_state.setdefault(_CACHE, Cache())


def forget_facts() -> None:
    """The next look at a strategy asks the store and the exchange again."""
    cache = _cache()
    cache.facts_key = cache.review_key = None


# -- opening and leaving -----------------------------------------------------------------------------------------------


def _editors() -> dict[str, Editor]:
    return st.session_state.setdefault(_EDITORS, {})


def kept_editor(strategy_id: str) -> Editor | None:
    """The editor of this strategy (or of `NEW`), if this visit opened it."""
    return _editors().get(strategy_id)


def editor_of(workbench: Workbench, strategy: Strategy) -> Editor:
    kept = kept_editor(strategy.id)
    if kept is None or (not kept.unsaved and kept.expected != strategy.revision):
        kept = load_editor(workbench, strategy)
    kept.connection_id = strategy.connection_id
    kept.enabled = strategy.state is StrategyState.ENABLED
    return kept


def load_editor(workbench: Workbench, strategy: Strategy) -> Editor:
    """As the newest revision has it; what was typed and not saved is gone."""
    raw = raw_of(workbench.strategies.parameters(strategy.id))
    editor = Editor(strategy.id, strategy.name, strategy.connection_id, strategy.revision, raw, dict(raw))
    editor.saved_name = strategy.name
    before = kept_editor(strategy.id)
    if before is not None:
        editor.step, editor.opened = before.step, before.opened
    _editors()[strategy.id] = editor
    return editor


def new_editor(workbench: Workbench, connections: Sequence[Connection]) -> Editor:
    """A strategy that is not saved yet, on the first connection that works."""
    kept = kept_editor(NEW)
    if kept is not None and any(connection.id == kept.connection_id for connection in connections):
        return kept
    connection = next((one for one in connections if one.status.ok), connections[0])
    editor = Editor(None, "", None, 0, {}, {})
    _editors()[NEW] = editor
    bind(editor, connection)
    return editor


def drop_editor(strategy_id: str) -> None:
    _editors().pop(strategy_id, None)


def throw_away(workbench: Workbench, strategy: Strategy | None) -> None:
    """What was typed and not saved, of this strategy or of a new one. The last one can be brought back."""
    strategy_id = strategy.id if strategy is not None else NEW
    st.session_state[_THROWN] = (strategy_id, kept_editor(strategy_id))
    if strategy is None:
        drop_editor(NEW)
    else:
        load_editor(workbench, strategy)


def was_thrown_away(strategy_id: str) -> bool:
    return st.session_state.get(_THROWN, ("",))[0] == strategy_id


def bring_back() -> None:
    """Undoes the last `throw_away`."""
    strategy_id, thrown = st.session_state.pop(_THROWN)
    _editors()[strategy_id] = thrown


def bind(editor: Editor, connection: Connection) -> None:
    """Puts a new strategy on a connection: its market decides over leverage, stop and what a size means."""
    market = connection.target.market
    old = editor.raw
    level = RiskLevel(old.get("risk_level", RiskLevel.BALANCED))
    if not old or old.get("market") != market.value:
        raw = raw_of(preset(level, market, list(_USUAL[:1]), "1"))
        raw["first_entry_size"] = old.get("first_entry_size")
        editor.raw = raw
    editor.raw["pairs"] = []
    editor.connection_id = connection.id
    editor.begins = True


def _begin(workbench: Workbench, editor: Editor, connection: Connection) -> None:
    """Fills name and pair of a new strategy, where nobody chose others."""
    names, _error = market_pairs(workbench, connection.target)
    usual = [pair for pair in _USUAL if pair in names] or list(names[:1])
    if usual and not editor.raw["pairs"]:
        editor.raw["pairs"] = usual[:1]
    editor.begins = False
    if editor.name == editor.saved_name:
        where = exchange_name(workbench, connection.target.exchange)
        editor.name = editor.saved_name = workbench.strategies.free_name(_("{exchange} strategy", exchange=where))
    _suggest_again(editor)


def _suggest_again(editor: Editor) -> None:
    """A first order that nobody typed goes with what was changed."""
    size = editor.raw.get("first_entry_size")
    editor.resize = editor.strategy_id is None and size in (None, editor.suggested)


def suggest_size(workbench: Workbench, editor: Editor, connection: Connection) -> None:
    """The largest first order that fits, put into its field."""
    editor.suggestion = None
    try:
        parameters = parameters_of(editor.raw | {"first_entry_size": "1"})
        known = known_facts(workbench, editor, connection, parameters)
    except BfaiError:
        return  # what is wrong stands beside its field
    found = suggest_first_entry(parameters, known) or smallest_first_entry(parameters, known)
    if found is None:
        editor.suggestion = Message(text=N_("Say how large the first order is: nothing is known to go by."))
        return
    editor.raw["first_entry_size"] = editor.suggested = number_text(float(found))


# -- what is known -----------------------------------------------------------------------------------------------------


def market_pairs(workbench: Workbench, target: Target, *, again: bool = False) -> KnownPairs:
    """The pairs that can be traded there, the usual quote currencies first, or why they are not known."""
    key = f"{target.exchange}/{target.region}/{target.environment}/{target.market}"
    kept = _cache().pairs.get(key)
    if kept is not None and not again and time.monotonic() - kept[0] < _PAIRS_HOLD:
        return kept[1]
    error: Message | None = None
    names: tuple[str, ...] = ()
    name = exchange_name(workbench, target.exchange)
    with st.spinner(_("Reading which pairs {exchange} has. This takes some seconds.", exchange=name)):
        try:
            rows = workbench.strategies.pairs(target, max_age=_NOW) if again else workbench.strategies.pairs(target)
            names = tuple(
                sorted(
                    (row.pair for row in rows if row.active is not False and row.api_tradable is not False),
                    key=_usual_first,
                )
            )
        except MarketsError as failure:
            error = failure.message
            names = kept[1][0] if kept is not None else ()
    _cache().pairs[key] = (time.monotonic(), (names, error))
    return names, error


def _usual_first(pair: str) -> tuple[int, str]:
    quotes = ("USDT", "USDC", "USD", "EUR")
    quote = pair.partition("/")[2]
    return quotes.index(quote) if quote in quotes else len(quotes), pair


def judge(workbench: Workbench, editor: Editor, connection: Connection | None) -> Judged:
    """Everything about what stands in the fields now. Asks the exchange only for what is not known yet."""
    try:
        parameters = parameters_of(editor.raw)
    except StrategyError as error:
        shown = editor.good
        known = known_facts(workbench, editor, connection, shown) if shown is not None else None
        seen = _reviewed(editor, shown, known) if shown is not None and known is not None else None
        return Judged(None, seen, known, error.problems)
    editor.good = parameters
    try:
        known = known_facts(workbench, editor, connection, parameters)
    except BfaiError as error:
        return Judged(parameters, None, None, (), error.message)
    seen = _reviewed(editor, parameters, known)
    return Judged(parameters, seen, known, seen.problems, known.rules_error, _cache().cure)


def known_facts(workbench: Workbench, editor: Editor, connection: Connection | None, parameters: Parameters) -> Facts:
    cache = _cache()
    tested = (connection.last_run_id, connection.status, connection.confirmed_at) if connection is not None else ()
    key = (editor.id, editor.connection_id, tested, parameters.pairs, parameters.market)
    if key == cache.facts_key and cache.facts is not None and time.monotonic() - cache.facts_at < _FACTS_HOLD:
        return cache.facts
    where = exchange_name(workbench, connection.target.exchange) if connection is not None else ""
    with st.spinner(_("Reading limits and price from {exchange}. This takes a moment.", exchange=where)):
        found = workbench.strategies.facts(editor.connection_id, parameters, except_id=editor.strategy_id)
    cache.facts_key, cache.facts_at, cache.facts = key, time.monotonic(), found
    cache.review_key = None
    return found


def _reviewed(editor: Editor, parameters: Parameters, known: Facts) -> Review:
    """With what would mend it. For many ladders that takes a second and more, so there it is worked out when asked."""
    cache = _cache()
    few = _ladders(parameters) <= _FEW_LADDERS
    asked = editor.asked == parameters.digest
    key = (parameters.digest, id(known), few or asked)
    if key != cache.review_key or cache.review is None:
        with st.spinner(_("Looking for changes that mend it.")) if asked else nullcontext():
            cache.review = review(parameters, known, fixes=few or asked)
        cache.cure = _cure(parameters, known, cache.review)
        cache.review_key = key
    return cache.review


def _ladders(parameters: Parameters) -> int:
    return len(parameters.pairs) * len(parameters.directions)


def _cure(parameters: Parameters, known: Facts, seen: Review) -> Fix | None:
    """The first of the suggested changes after which nothing is wrong any more."""
    tried: dict[tuple[str, str], Fix] = {}
    for problem in seen.errors:
        for fix in problem.fixes:
            tried.setdefault((fix.field, str(fix.value)), fix)
    for fix in list(tried.values())[:_MOST_TRIED]:
        try:
            changed = parameters.changed(**{fix.field.replace(".", "__"): fix.value})
        except StrategyError:
            continue
        if review(changed, known, fixes=False).ok:
            return fix
    return None


def fetch_again(workbench: Workbench, editor: Editor, connection: Connection) -> None:
    """Asks the exchange for pairs, limits and price, whatever is kept."""
    market_pairs(workbench, connection.target, again=True)
    forget_facts()
    if editor.good is not None:
        where = exchange_name(workbench, connection.target.exchange)
        with st.spinner(_("Reading limits and price from {exchange}. This takes a moment.", exchange=where)):
            workbench.strategies.facts(editor.connection_id, editor.good, except_id=editor.strategy_id, max_age=_NOW)


# -- changing ----------------------------------------------------------------------------------------------------------


def apply_fix(editor: Editor, fix: Fix) -> None:
    """Puts the suggested value into its field, as if it had been typed."""
    raw_fix(editor.raw, fix.field, fix.value)


def raw_fix(raw: Raw, name: str, value: Any) -> None:
    if name in ("trailing", "custom_steps", "session"):
        try:
            changed = parameters_of(raw).changed(**{name: value})
        except StrategyError:
            return
        raw.update({one: text for one, text in raw_of(changed).items() if one.partition(".")[0] == name})
        return
    raw[name] = value


def set_risk(editor: Editor, level: str) -> None:
    """Fills the fields of a risk level."""
    editor.raw["risk_level"] = level
    editor.raw.update(flat_preset(RiskLevel(level), Market(editor.raw["market"])))
    _suggest_again(editor)


def changed_from_level(raw: Raw) -> int:
    """How many fields of the risk level were changed since it was chosen."""
    values = flat_preset(RiskLevel(raw["risk_level"]), Market(raw["market"]))
    return sum(raw.get(name) != value for name, value in values.items())


def refuse(strategy_id: str, error: BfaiError) -> None:
    """Keeps why something was not done, until something else is."""
    problems = error.problems if isinstance(error, StrategyError) else ()
    st.session_state[_REFUSED] = Refusal(strategy_id, error.message, problems)


def refusal_of(strategy_id: str) -> Refusal | None:
    kept: Refusal | None = st.session_state.get(_REFUSED)
    return kept if kept is not None and kept.strategy_id == strategy_id else None


def forget_refusal() -> None:
    st.session_state.pop(_REFUSED, None)


def save(workbench: Workbench, editor: Editor, note: str = "") -> Strategy | None:
    """Saves what stands in the fields as a revision. What cannot be saved is said, and stays in the fields."""
    forget_refusal()
    try:
        admit()
        parameters = parameters_of(editor.raw)
        if editor.strategy_id is None:
            strategy = workbench.strategies.create(editor.name, editor.connection_id, parameters, note)
            drop_editor(NEW)
        else:
            strategy = workbench.strategies.save(editor.strategy_id, editor.expected, parameters, note)
            if editor.name.strip() and editor.name != strategy.name:
                strategy = workbench.strategies.rename(strategy.id, editor.name)
    except BfaiError as error:
        refuse(editor.id, error)
        return None
    load_editor(workbench, strategy).step = editor.step
    st.session_state.pop(_THROWN, None)
    location["strategy"] = strategy.id
    return strategy


def enable(workbench: Workbench, strategy: Strategy) -> bool:
    """Enables or resumes it; all reasons against it are kept and shown."""
    forget_refusal()
    try:
        admit()
        workbench.strategies.enable(strategy.id)
    except BfaiError as error:
        refuse(strategy.id, error)
        forget_facts()
        return False
    forget_facts()
    tell(Message(text=N_("{name} is enabled."), params={"name": strategy.name}))
    return True


# -- drawing: the whole ------------------------------------------------------------------------------------------------


def fill(workbench: Workbench, editor: Editor, connections: Sequence[Connection]) -> None:
    """Puts into the fields what nobody chose yet and the exchange has to be asked for."""
    connection = connection_of(editor, connections)
    if editor.begins and connection is not None:
        _begin(workbench, editor, connection)
    if editor.resize and connection is not None:
        editor.resize = False
        suggest_size(workbench, editor, connection)


def connection_of(editor: Editor, connections: Sequence[Connection]) -> Connection | None:
    return next((one for one in connections if one.id == editor.connection_id), None)


def draw_editor(workbench: Workbench, editor: Editor, connections: Sequence[Connection]) -> None:
    """Steps and fields at the left, the preview beside and under them; on a phone one below the other."""
    connection = connection_of(editor, connections)
    judged = judge(workbench, editor, connection)
    _steps(editor, judged)
    with st.container():  # always there, so that what comes and goes in it does not move the fields to new places
        refusal = _still_refused(editor, judged)
        if refusal is not None:
            refusal_box(editor, refusal, "told", listed=editor.step != 4)
        _one_for_all(editor, judged)
    left, right = st.columns([1, 1.35], gap="medium")
    editor.on_screen = editor.step
    with left:
        drawn = _fields(workbench, editor, connections, connection, judged)
        if editor.step == 4:
            _check(workbench, editor, connection, judged)
        _elsewhere(editor, judged, drawn)
        _back_and_on(editor)
    _preview(workbench, editor, connection, judged, right)


def _steps(editor: Editor, judged: Judged) -> None:
    errors: dict[int, int] = {}
    for problem in judged.problems:
        if problem.severity is Severity.ERROR:
            one = field_of(problem.field)
            errors[one.step if one else 4] = errors.get(one.step if one else 4, 0) + 1

    def label(step: int) -> str:
        mark = f" :red[:material/error:] {errors[step]}" if errors.get(step) else ""
        return f"{step} · {_(STEPS[step])}{mark}"

    key = widget_key("strategy_step", editor.step)

    def take() -> None:
        step = st.session_state.get(key)
        if step and moved("strategy_step", key, step):
            editor.step = step

    st.pills(
        _("Step"),
        list(STEPS),
        default=editor.step,
        required=True,
        format_func=label,
        key=key,
        on_change=take,
        label_visibility="collapsed",
        wrap=True,
    )


def _one_for_all(editor: Editor, judged: Judged) -> None:
    """Where several things are wrong and one of the suggestions mends them all, that one comes first."""
    errors = [problem for problem in judged.problems if _is_error(problem)]
    fix, parameters = judged.cure, judged.parameters
    if not errors or parameters is None:
        return

    def ask() -> None:
        editor.asked = parameters.digest

    if fix is not None and len(errors) > 1:
        text = _("{count} things to mend. One change mends them all.", count=len(errors))
        with _needed(text):
            st.button(
                say(fix.text), icon=":material/build:", key="fix_everything", on_click=apply_fix, args=(editor, fix)
            )
    elif _ladders(parameters) > _FEW_LADDERS and editor.asked != parameters.digest:
        with _needed(n_("{count} thing to mend.", "{count} things to mend.", len(errors))):
            st.button(_("Suggest changes"), icon=":material/build:", key="suggest_changes", on_click=ask)


@contextmanager
def _needed(text: str) -> Generator[None]:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="one_for_all"):
        st.markdown(f":red[:material/error:] {text}", width="stretch")
        yield


def _back_and_on(editor: Editor) -> None:
    def move(by: int) -> None:
        editor.step += by

    with st.container(horizontal=True, horizontal_alignment="distribute" if editor.step > 1 else "right"):
        if editor.step > 1:
            st.button(
                _("Back"),
                icon=":material/arrow_back:",
                type="tertiary",
                key="strategy_back",
                on_click=move,
                args=(-1,),
            )
        if editor.step < len(STEPS):
            st.button(
                _("Go on"),
                icon=":material/arrow_forward:",
                icon_position="right",
                type="primary",
                key="strategy_on",
                on_click=move,
                args=(1,),
            )


# -- drawing: fields ---------------------------------------------------------------------------------------------------


def _fields(
    workbench: Workbench,
    editor: Editor,
    connections: Sequence[Connection],
    connection: Connection | None,
    judged: Judged,
) -> set[str]:
    """The fields of this step, each with what is wrong about it. Gives the names of those that are on the screen."""
    here = [one for one in FIELDS if one.step == editor.step and applies(one, editor.raw)]
    about: dict[str, list[Problem]] = {}
    for problem in judged.problems:
        found = field_of(problem.field)
        about.setdefault(found.name if found else "", []).append(problem)
    place = _Place(workbench, editor, connections, connection)
    for one in here:
        if not one.group:
            _field(place, one, about.get(one.name, ()))
    for group, title in GROUPS.items():
        inside = [one for one in here if one.group == group]
        if not inside:
            continue
        wrong = sum(_is_error(problem) for one in inside for problem in about.get(one.name, ()))
        mark = f" :red[:material/error:] {wrong}" if wrong else ""
        if wrong:
            editor.opened.add(group)  # and it stays so, or it would close under the hand that mends it
        opened = group in editor.opened
        with st.expander(f"{_(title)}{mark}", expanded=opened, key=f"group_{group}{'_open' if opened else ''}"):
            for one in inside:
                _field(place, one, about.get(one.name, ()))
    return {one.name for one in here}


def _is_error(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class _Place:
    workbench: Workbench
    editor: Editor
    connections: Sequence[Connection]
    connection: Connection | None

    def name(self, one: Field) -> str:
        return f"strategy_{self.editor.id}_{one.name}"

    def key(self, one: Field) -> str:
        return widget_key(self.name(one), self.editor.raw.get(one.name))

    def label(self, one: Field) -> str:
        return _(one.label, quote=plain(self.editor.quote))


def _field(place: _Place, one: Field, problems: Iterable[Problem]) -> None:
    with st.container(gap="xsmall", key=f"field_{one.name.replace('.', '_')}"):
        _DRAWN[one.kind](place, one)
        for number, problem in enumerate(problems):
            problem_line(place.editor, problem, f"{one.name}_{number}")


def _took(place: _Place, one: Field, key: str, read: Callable[[Any], Any]) -> Callable[[], None]:
    """Keeps what was just put into the widget. Streamlit also calls this for one that left the screen."""

    def take() -> None:
        if one.step != place.editor.on_screen or key not in st.session_state:
            return
        value = read(st.session_state[key])
        if moved(place.name(one), key, value):
            place.editor.raw[one.name] = value

    return take


def _slider(place: _Place, one: Field) -> None:
    key = place.key(one)
    value = as_float(place.editor.raw.get(one.name)) or 0.0
    low, high = min(float(one.low), value), max(float(one.high), value)
    if one.whole:
        st.slider(
            place.label(one),
            int(low),
            int(high),
            int(value),
            step=1,
            key=key,
            help=_(one.help) or None,
            on_change=_took(place, one, key, int),
        )
        return
    st.slider(
        place.label(one),
        low,
        high,
        value,
        step=float(one.by),
        format="%.12g",
        key=key,
        help=_(one.help) or None,
        on_change=_took(place, one, key, number_text),
    )


def _begin_with(key: str, value: float | None) -> None:
    """What a new widget shows first, said so that it can be emptied: one with a default of its own cannot.

    It needs `persist_state`: then Streamlit says it again until the browser shows it. A click that comes before would
    take the field for emptied.
    """
    if key not in st.session_state:
        st.session_state[key] = value


def _number(place: _Place, one: Field) -> None:
    """Without ends: what is out of range is kept and said, not cut off."""
    key = place.key(one)
    value = as_float(place.editor.raw.get(one.name))
    money = "{quote}" in one.label
    whole = one.whole
    _begin_with(key, int(value) if whole and value is not None else value)
    st.number_input(
        place.label(one),
        value=None,
        step=1 if whole else 1.0 if money else 0.1,
        format="%d" if whole else "%.12g",
        key=key,
        persist_state="page",
        placeholder=_(one.empty) if one.optional else _("a number"),
        help=_(one.help, quote=place.editor.quote) or None,
        on_change=_took(place, one, key, (lambda found: found) if whole else number_text),
    )
    if one.name == "first_entry_size" and place.connection is not None and place.editor.raw.get("pairs"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(_("The largest that fits"), key="suggest_size", type="tertiary", icon=":material/straighten:"):
                with st.spinner(_("Working out the largest first order that fits.")):
                    suggest_size(place.workbench, place.editor, place.connection)
                st.rerun()
        if place.editor.suggestion is not None:
            st.caption(say(place.editor.suggestion))


def _typed_twice(place: _Place, one: Field) -> None:
    """A number that counts only once it is typed again: what it switches on costs money by itself."""
    editor = place.editor
    waiting = editor.asked_twice.get(one.name)
    shown = waiting or editor.raw.get(one.name)
    key = widget_key(place.name(one), shown)

    def take() -> None:
        if one.step != editor.on_screen or key not in st.session_state:
            return
        given = number_text(st.session_state[key])
        if not moved(place.name(one), key, given):
            return
        editor.asked_twice.pop(one.name, None)
        if given is None or given == editor.saved.get(one.name):
            editor.raw[one.name] = given
        elif given != editor.raw.get(one.name):
            editor.raw[one.name] = editor.saved.get(one.name)
            editor.asked_twice[one.name] = given

    def again() -> None:
        if as_float(str(st.session_state.get(f"{key}_again") or "").strip().rstrip("% ").replace(",", ".")) == as_float(
            editor.asked_twice.get(one.name)
        ):
            editor.raw[one.name] = editor.asked_twice.pop(one.name)

    _begin_with(key, as_float(shown))
    st.number_input(
        place.label(one),
        value=None,
        step=1.0,
        format="%.12g",
        key=key,
        persist_state="page",
        placeholder=_(one.empty),
        help=_(one.help) or None,
        on_change=take,
    )
    if one.name in editor.asked_twice:
        st.text_input(
            _("Type {number} again to switch it on", number=words().number(Decimal(str(waiting)))),
            key=f"{key}_again",
            on_change=again,
        )
        st.markdown(":orange[:material/warning:] " + _("Not switched on yet: it closes every group at a loss."))


def _amount(place: _Place, one: Field) -> None:
    key = place.key(one)
    st.text_input(
        place.label(one),
        str(place.editor.raw.get(one.name) or ""),
        key=key,
        placeholder=_(one.empty) if one.optional else None,
        help=_(one.help) or None,
        on_change=_took(place, one, key, lambda text: str(text or "").strip() or None),
    )


def _lines(place: _Place, one: Field) -> None:
    key = place.key(one)
    st.text_area(
        place.label(one),
        str(place.editor.raw.get(one.name) or ""),
        key=key,
        height=100,
        placeholder=_(one.empty),
        help=_(one.help) or None,
        on_change=_took(place, one, key, lambda text: str(text or "")),
    )


def _choice(place: _Place, one: Field) -> None:
    key = place.key(one)
    options = list(one.choices)
    st.selectbox(
        place.label(one),
        options,
        index=options.index(place.editor.raw[one.name]),
        format_func=lambda value: _(one.choices[value]),
        key=key,
        help=_(one.help) or None,
        on_change=_took(place, one, key, lambda value: value),
    )


def _switch(place: _Place, one: Field) -> None:
    key = place.key(one)
    st.toggle(
        place.label(one),
        bool(place.editor.raw.get(one.name)),
        key=key,
        help=_(one.help) or None,
        on_change=_took(place, one, key, bool),
    )


def _several(place: _Place, one: Field) -> None:
    key = place.key(one)
    st.pills(
        place.label(one),
        list(one.choices),
        selection_mode="multi",
        default=list(place.editor.raw.get(one.name) or ()),
        format_func=lambda value: _(one.choices[value]),
        key=key,
        help=_(one.help) or None,
        on_change=_took(place, one, key, lambda values: [value for value in one.choices if value in (values or ())]),
    )


def _risk(place: _Place, one: Field) -> None:
    editor, key = place.editor, place.key(one)

    def take() -> None:
        # The same level again must not undo what was changed since.
        level = st.session_state.get(key)
        if level and editor.on_screen == one.step and moved(place.name(one), key, level):
            set_risk(editor, level)

    st.segmented_control(
        place.label(one),
        list(RISK_LEVELS),
        default=editor.raw[one.name],
        required=True,
        format_func=lambda level: _(RISK_LEVELS[level]),
        key=key,
        help=_(one.help) or None,
        on_change=take,
    )
    changed = changed_from_level(editor.raw)
    if changed:
        level = editor.raw["risk_level"]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                n_(
                    "{what}: {count} field changed",
                    "{what}: {count} fields changed",
                    changed,
                    what=_(RISK_IN_SENTENCE[level]),
                ),
                width="content",
            )
            st.button(_("Fill them again"), type="tertiary", key="risk_again", on_click=set_risk, args=(editor, level))


def _pairs(place: _Place, one: Field) -> None:
    editor, key = place.editor, place.key(one)
    names: tuple[str, ...] = ()
    error: Message | None = None
    if place.connection is not None:
        names, error = market_pairs(place.workbench, place.connection.target)
    chosen: list[str] = list(editor.raw.get(one.name) or ())

    def take() -> None:
        typed = st.session_state.get(key)
        if typed is not None and editor.on_screen == one.step and moved(place.name(one), key, list(typed)):
            editor.raw[one.name] = tidy_pairs(typed)
            _suggest_again(editor)

    st.multiselect(
        place.label(one),
        [*names, *(pair for pair in chosen if pair not in names)],
        chosen,
        key=key,
        help=_(one.help) or None,
        accept_new_options=True,
        placeholder=_("Choose or type pairs, such as BTC/USDT"),
        on_change=take,
    )
    if error is not None:
        _not_fetched(place.workbench, editor, place.connection, error, "pairs")


def _not_fetched(workbench: Workbench, editor: Editor, connection: Connection | None, error: Message, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":orange[:material/warning:] {say(error)}", width="stretch")
        if connection is not None and st.button(_("Fetch again"), icon=":material/refresh:", key=f"fetch_{key}"):
            fetch_again(workbench, editor, connection)
            st.rerun()


def _connection(place: _Place, one: Field) -> None:
    editor = place.editor
    by_id = {connection.id: connection for connection in place.connections}
    if editor.strategy_id is not None:
        name = place.connection.name if place.connection else _("none any more")
        st.markdown(_("**Connection:** {name}", name=plain(name)), help=_(one.help))
    else:
        key = widget_key(place.name(one), editor.connection_id)

        def take() -> None:
            chosen = by_id.get(st.session_state.get(key) or "")
            if chosen is not None and editor.on_screen == one.step and moved(place.name(one), key, chosen.id):
                bind(editor, chosen)

        options = list(by_id)
        st.selectbox(
            place.label(one),
            options,
            index=options.index(editor.connection_id or ""),
            format_func=lambda id_: _connection_line(by_id[id_]),
            key=key,
            help=_(one.help),
            on_change=take,
        )
    if place.connection is not None:
        st.caption(facts(place.workbench, place.connection))
        engine_line(place.workbench, place.connection)


def _connection_line(connection: Connection) -> str:
    return f"{connection.name} · {_(STATUS_NAMES[connection.status])}"


def engine_line(workbench: Workbench, connection: Connection) -> None:
    """Which program can run a strategy there, or that none can today."""
    found = engine(connection.target.exchange, connection.target.market)
    icon = ":gray[:material/play_circle:]" if found.name else ":orange[:material/info:]"
    st.markdown(f"{icon} {_(found.text, exchange=exchange_name(workbench, connection.target.exchange))}")


def _other_connection(place: _Place, one: Field) -> None:
    key = place.key(one)
    others = [other for other in place.connections if other.id != place.editor.connection_id]
    names = {"": _("none: they wait")} | {other.id: other.name for other in others}
    now = place.editor.raw.get(one.name) or ""
    names.setdefault(now, _("a connection that is deleted"))
    options = list(names)
    st.selectbox(
        place.label(one),
        options,
        index=options.index(now),
        format_func=lambda id_: names[id_],
        key=key,
        help=_(one.help) or None,
        on_change=_took(place, one, key, lambda value: value or None),
    )


_DRAWN: Final[Mapping[str, Callable[[_Place, Field], None]]] = {
    "connection": _connection,
    "pairs": _pairs,
    "risk": _risk,
    "several": _several,
    "slider": _slider,
    "number": _number,
    "typed_twice": _typed_twice,
    "amount": _amount,
    "choice": _choice,
    "switch": _switch,
    "steps": _lines,
    "windows": _lines,
    "other_connection": _other_connection,
}


# -- drawing: what is wrong --------------------------------------------------------------------------------------------


def problem_text(problem: Problem, quote: str) -> str:
    """The sentence, with the field's name as it stands on the screen."""
    found = field_of(problem.field)
    message = problem.text
    if found is not None and message.params.get("field") is not None:
        label = _(found.label, quote=quote)
        message = message.model_copy(update={"params": {**message.params, "field": label}})
    return say(message)


def problem_line(editor: Editor, problem: Problem, key: str) -> None:
    """What is wrong, and a button for each change that mends it."""
    icon = ":red[:material/error:]" if _is_error(problem) else ":orange[:material/warning:]"
    with st.container(gap="xsmall"):
        st.markdown(f"{icon} {problem_text(problem, plain(editor.quote))}")
        if problem.fixes:
            with st.container(horizontal=True, gap="xsmall"):
                for number, fix in enumerate(problem.fixes):
                    st.button(
                        say(fix.text),
                        icon=":material/build:",
                        key=f"fix_{key}_{number}",
                        on_click=apply_fix,
                        args=(editor, fix),
                    )


def _elsewhere(editor: Editor, judged: Judged, drawn: set[str]) -> None:
    """Counts what is wrong about fields that are not on the screen."""
    if editor.step == 4:
        return
    hidden = [
        problem
        for problem in judged.problems
        if _is_error(problem) and ((found := field_of(problem.field)) is None or found.name not in drawn)
    ]
    if hidden:

        def look() -> None:
            editor.step = 4

        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                n_(
                    "{count} more to mend, not on this step",
                    "{count} more to mend, not on this step",
                    len(hidden),
                ),
                width="content",
            )
            st.button(_("Show all"), type="tertiary", key="show_all", on_click=look)


# -- drawing: step 4 ---------------------------------------------------------------------------------------------------


def _still_refused(editor: Editor, judged: Judged) -> Refusal | None:
    """The last refusal with those of its reasons that hold still; none where none does any more."""
    refusal = refusal_of(editor.id)
    if refusal is None or not refusal.problems:
        return refusal
    now = {_same(problem) for problem in judged.problems}
    left = tuple(problem for problem in refusal.problems if _same(problem) in now)
    if not left:
        forget_refusal()
        return None
    return Refusal(refusal.strategy_id, refusal.message, left)


def refusal_box(editor: Editor | None, refusal: Refusal, key: str, *, listed: bool = True) -> None:
    """Why it was not done: every reason, each with what mends it, unless they are listed elsewhere."""
    with st.container(border=True, key=f"refusal_{key}"):
        count = len(refusal.problems)
        title = n_("{count} reason", "{count} reasons", count) if count else None
        st.warning(say(refusal.message), title=title, icon=":material/warning:")
        for number, problem in enumerate(refusal.problems if listed else ()):
            if editor is not None:
                problem_line(editor, problem, f"{key}_{number}")
            else:
                st.markdown(f":red[:material/error:] {problem_text(problem, '')}")


def _check(workbench: Workbench, editor: Editor, connection: Connection | None, judged: Judged) -> None:
    key = widget_key("strategy_name", editor.name)

    def renamed() -> None:
        name = st.session_state.get(key)
        if name is not None and editor.on_screen == 4 and moved("strategy_name", key, str(name)):
            editor.name = str(name)

    st.text_input(_("Name"), editor.name, max_chars=60, key=key, on_change=renamed)
    errors = [problem for problem in judged.problems if _is_error(problem)]
    warnings = [problem for problem in judged.problems if not _is_error(problem)]
    if errors:
        st.markdown("**" + n_("{count} thing to mend", "{count} things to mend", len(errors)) + "**")
    for number, problem in enumerate(errors):
        problem_line(editor, problem, f"all_{number}")
    if warnings:
        st.markdown("**" + n_("{count} thing to consider", "{count} things to consider", len(warnings)) + "**")
    for number, problem in enumerate(warnings):
        problem_line(editor, problem, f"unwise_{number}")
    if not judged.problems and judged.review is not None:
        st.markdown(":green[:material/check_circle:] " + _("Nothing to mend."))
    if connection is not None and any(problem.field == "connection" for problem in judged.problems):
        running = connection.id in workbench.running()
        st.button(
            _("The connection is being tested") if running else _("Test the connection"),
            icon=":material/sync:",
            key="strategy_test",
            disabled=running,
            on_click=start,
            args=(workbench, [connection.id]),
        )
    _sums(editor, judged)
    _enable_button(workbench, editor, connection, judged)


def _same(problem: Problem) -> tuple[str, str, str | None, int | None]:
    return problem.code, problem.field, problem.pair, problem.level


def _sums(editor: Editor, judged: Judged) -> None:
    """What it needs, and of what."""
    seen, known = judged.review, judged.facts
    if seen is None or known is None:
        return
    quote = editor.quote
    if seen.required_total is not None:
        st.markdown(
            n_(
                "{count} group needs {sum} when all its add-ons fill.",
                "{count} groups need {sum} when all their add-ons fill.",
                seen.groups,
                sum=plain(words().money(seen.required_total, quote)),
            )
        )
    if known.free is not None:
        st.caption(
            _(
                "{free} are free there; other strategies of this connection need {committed}.",
                free=plain(words().money(known.free, quote)),
                committed=plain(words().money(known.committed, quote)),
            )
        )


def _enable_button(workbench: Workbench, editor: Editor, connection: Connection | None, judged: Judged) -> None:
    if editor.enabled and not editor.unsaved:
        return
    strategy = workbench.strategies.get(editor.strategy_id) if editor.strategy_id else None
    suspended = strategy is not None and strategy.state is StrategyState.SUSPENDED
    if suspended:
        label = _("Save and resume") if editor.unsaved else _("Resume")
    elif editor.enabled:
        label = _("Save and put in force")
    else:
        label = _("Save and enable") if editor.unsaved else _("Enable")
    wrong = any(map(_is_error, judged.problems))
    if st.button(
        label,
        type="secondary" if wrong else "primary",
        icon=":material/play_arrow:",
        key="strategy_enable",
    ):
        where = exchange_name(workbench, connection.target.exchange) if connection is not None else ""
        with st.spinner(_("Reading limits and price from {exchange}. This takes a moment.", exchange=where)):
            saved = save(workbench, editor) if editor.unsaved else strategy
            if saved is not None:
                enable(workbench, saved)
        st.rerun()


# -- drawing: the preview ----------------------------------------------------------------------------------------------


def _preview(
    workbench: Workbench, editor: Editor, connection: Connection | None, judged: Judged, beside: DeltaGenerator
) -> None:
    """What the fields come to: the figures beside them, the tables and charts that need room under them."""
    seen = judged.review
    with beside:
        if judged.parameters is None and seen is not None:
            st.caption(_("The preview shows the last values that could be read."))
        if judged.error is not None:
            _not_fetched(workbench, editor, connection, judged.error, "rules")
        elif judged.facts is not None and _is_old(judged) and connection is not None:
            fetched = [rules.fetched_at for rules in judged.facts.rules.values() if rules is not None]
            text = N_("Limits and price were read {age}.") if fetched else N_("Limits and price are not known.")
            age: dict[str, str | int | float] = {"age": ago(min(fetched))} if fetched else {}
            _not_fetched(workbench, editor, connection, Message(text=text, params=age), "old")
        if seen is None or not seen.ladders or judged.facts is None:
            with st.container(border=True):
                st.markdown("**" + _("Preview") + "**")
                st.caption(_("It is drawn as soon as connection, pair and first order are known."))
            return
        choice = _shown(editor, list(seen.ladders))
    ladder = seen.ladders[choice]
    pair, side = choice
    base, _slash, quote = pair.partition("/")
    rules = judged.facts.rules.get(pair)
    ladder_view.draw(
        ladder,
        quote=quote,
        base=base,
        price_now=rules.price if rules is not None else None,
        limit_quote=seen.limit_per_group,
        recovery=seen.recovery.get(choice),
        groups=seen.groups if seen.groups > 1 else None,
        free_quote=judged.facts.free,
        beside=beside,
        key=f"ladder_{editor.id}_{side}",
    )
    if rules is not None:
        st.caption(_fees_text(workbench, rules))


_FEES_FROM: Mapping[FeesFrom, str] = {
    FeesFrom.ACCOUNT: N_("Fees: {maker} as maker, {taker} as taker. That is what {exchange} takes of this account."),
    FeesFrom.EXCHANGE: N_("Fees: {maker} as maker, {taker} as taker. {exchange} names them to all; you may pay less."),
    FeesFrom.TABLE: N_("Fees: {maker} as maker, {taker} as taker. Usual at {exchange}; what you pay is not told."),
}


def _fees_text(workbench: Workbench, rules: PairRules) -> str:
    """The fees that the figures count, and who named them."""
    exchange = exchange_name(workbench, rules.exchange)
    if rules.maker is None or rules.taker is None:
        return _("Fees: {exchange} tells none, {fee} is assumed.", exchange=exchange, fee=_rate(FEE_ASSUMED))
    text = _FEES_FROM[rules.fees_from]
    return _(text, exchange=exchange, maker=_rate(rules.maker), taker=_rate(rules.taker))


def _rate(share: Decimal) -> str:
    """A fee in per cent with all its digits."""
    exponent = share.normalize().as_tuple().exponent
    return words().percent(share, max(0, -exponent - 2) if isinstance(exponent, int) else 0)


def _is_old(judged: Judged) -> bool:
    return any(problem.code in ("market_data_stale", "market_data_missing") for problem in judged.problems)


def _shown(editor: Editor, choices: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Which pair and direction are drawn, where there are several."""
    now = editor.shown if editor.shown is not None and editor.shown in choices else choices[0]
    if len(choices) > 1:
        names = {"long": _("Long"), "short": _("Short")}
        several = len({side for _pair, side in choices}) > 1
        options = [f"{pair} {side}" for pair, side in choices]
        key = widget_key("strategy_shown", f"{now[0]} {now[1]}")

        def label(option: str) -> str:
            pair, _blank, side = option.partition(" ")
            return f"{pair} · {names[side]}" if several else pair

        def take() -> None:
            option = str(st.session_state.get(key) or "")
            if moved("strategy_shown", key, option):
                pair, _blank, side = option.partition(" ")
                editor.shown = (pair, side)

        st.selectbox(
            _("Preview of"),
            options,
            index=choices.index(now),
            format_func=label,
            key=key,
            on_change=take,
            width=300,
        )
    return now


# -- values in words ---------------------------------------------------------------------------------------------------


def value_text(name: str, value: Any) -> str:
    """A parameter's value as a person reads it, for comparing revisions."""
    found = BY_NAME.get(name)
    if value is None or value == [] or value == "":
        return _("off")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "market":
        return market_name(Market(value))
    if name == "risk_level":
        return _(RISK_LEVELS[value])
    if found is not None and isinstance(value, str) and value in found.choices:
        return _(found.choices[value])
    if isinstance(value, list):
        choices = dict(found.choices) if found is not None else {}
        parts = [str(part) if isinstance(part, str) else _part(part) for part in cast("list[Any]", value)]
        return plain(", ".join(_(choices[part]) if part in choices else part for part in parts))
    return plain(_part(value))


def _part(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(_part(inner) for inner in cast("Mapping[str, Any]", value).values())
    if isinstance(value, list):
        return ",".join(_part(inner) for inner in cast("list[Any]", value))
    try:
        return words().number(Decimal(str(value)))
    except ArithmeticError:
        return str(value)


def field_label(name: str, quote: str) -> str:
    found = field_of(name)
    return _(found.label, quote=plain(quote)) if found is not None else {"market": _("Market")}.get(name, name)


def strategy_facts(workbench: Workbench, strategy: Strategy) -> str:
    """Such as "MEXC Spot Main · BTC/USDT · Balanced · revision 4"."""
    parameters = workbench.strategies.parameters(strategy.id)
    pairs = [*parameters.pairs[:3], *(["…"] if len(parameters.pairs) > 3 else [])]
    level = parameters.risk_level.value
    parts = [
        plain(strategy.connection_name) or _("no connection"),
        market_name(parameters.market),
        ", ".join(pairs),
        _(RISK_IN_SENTENCE[level]) if parameters.is_custom else _(RISK_LEVELS[level]),
        _("revision {number}", number=strategy.revision),
    ]
    return " · ".join(parts)


def exchange_spinner(workbench: Workbench, strategy: Strategy) -> Any:
    """Shown while an exchange is asked because somebody wants to enable a strategy."""
    connection = workbench.connection(strategy.connection_id) if strategy.connection_id else None
    where = exchange_name(workbench, connection.target.exchange) if connection is not None else ""
    return st.spinner(_("Reading limits and price from {exchange}. This takes a moment.", exchange=where))


def import_refusal(refusal: Refusal) -> None:
    """Why a file cannot be imported: each wrong field, by its name in the file."""
    st.warning(say(refusal.message))
    for problem in refusal.problems:
        st.markdown(f":red[:material/error:] {say(problem.text)}")
