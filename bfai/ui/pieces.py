"""The parts that several pages are made of: chip, strip, tables of checks and rights, the box that says what to do."""

from __future__ import annotations

import functools
import logging
import math
import re
import secrets
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, ParamSpec, TypeVar

import streamlit as st

from bfai.hosting import Kind
from bfai.i18n import N_
from bfai.model import (
    BfaiError,
    Cause,
    Check,
    CheckName,
    Connection,
    Environment,
    GrantState,
    Market,
    Message,
    Outcome,
    Permission,
    Sighting,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.ui.charts import Beat, strip_svg
from bfai.ui.language import _, ago, duration, moment, moment_with_zone, n_, plain, say, words, zone
from bfai.ui.location import link, location
from bfai.ui.session import NotSignedIn, admit, hosting
from bfai.workbench import (
    CHECK_NAMES,
    STATUS_NAMES,
    AddressView,
    Remedy,
    RightRow,
    Section,
    TestJob,
    VaultIsLocked,
    Workbench,
)

HISTORY = "pages/history.py"
CONNECTIONS = "pages/connections.py"
GUIDE = "pages/guide.py"
_Named = TypeVar("_Named", bound=StrEnum)
_P = ParamSpec("_P")
_LIST_NUMBER = re.compile(r"^(\d+)\.")
_log = logging.getLogger("bfai.ui")


@dataclass(frozen=True, slots=True)
class Look:
    word: str
    colour: str
    icon: str


STATUS_LOOKS: dict[Status, Look] = {
    Status.BLOCKED: Look(STATUS_NAMES[Status.BLOCKED], "red", "dangerous"),
    Status.FAILED: Look(STATUS_NAMES[Status.FAILED], "orange", "warning"),
    Status.UNTESTED: Look(STATUS_NAMES[Status.UNTESTED], "gray", "radio_button_unchecked"),
    Status.CONNECTED: Look(STATUS_NAMES[Status.CONNECTED], "blue", "info"),
    Status.ONLINE: Look(STATUS_NAMES[Status.ONLINE], "green", "check_circle"),
}
TESTING = Look(N_("Testing"), "gray", "sync")
OWN_NETWORK = Look(N_("Own network"), "gray", "wifi_off")
_OUTCOMES: dict[Outcome, str] = {
    Outcome.PASS: ":green[:material/check_circle:]",
    Outcome.WARN: ":orange[:material/warning:]",
    Outcome.FAIL: ":orange[:material/warning:]",
    Outcome.SKIP: ":gray[:material/remove_circle_outline:]",
}
MARKET_NAMES = {Market.SPOT: N_("Spot"), Market.FUTURES: N_("Futures")}
ENVIRONMENT_NAMES = {
    Environment.LIVE: N_("Live"),
    Environment.TESTNET: N_("Testnet"),
    Environment.DEMO: N_("Demo account"),
    Environment.SIMULATOR: N_("Simulator"),
}
BEAT_NAMES = {
    Beat.ONLINE: N_("online"),
    Beat.CONNECTED: N_("connected"),
    Beat.FAILED: N_("failed"),
    Beat.BLOCKED: N_("blocked"),
    Beat.OWN_NETWORK: N_("own network, not counted"),
    Beat.HELD: N_("no test, the last result holds"),
    Beat.NO_TEST: N_("no test"),
}

_ON_PAPER = """<style>
@media print {
  @page { margin: 10mm; }
  [data-testid="stSidebar"], [data-testid="stHeader"], .st-key-screen_only { display: none !important; }
  [data-testid="stMainBlockContainer"] { zoom: 0.62; padding: 0 !important; }
}
</style>"""
"""Streamlit prints its sidebar and its buttons as well, and there is no option against it."""


def on_paper() -> None:
    """This page may be printed: without the links, and without what is in the container `screen_only`."""
    st.html(_ON_PAPER)


# -- calm --------------------------------------------------------------------------------------------------------------


@contextmanager
def calm() -> Generator[None]:
    """Whatever goes wrong inside is said in one sentence. Nobody ever sees a traceback, and none holds a message."""
    try:
        yield
    except BfaiError as error:
        st.warning(say(error.message))
    except Exception as error:
        _log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        st.error(
            _("This part of the page did not work. Nothing was changed. Reload the page; if it comes again, report it.")
        )


def attempt(act: Callable[[], object]) -> bool:
    """Does something a trader asked for, unless the vault locked meanwhile. A refusal is kept and shown at the top of
    the next run.
    """
    try:
        admit()
        act()
    except BfaiError as error:
        tell(error.message, refused=True)
        return False
    return True


def attempting(act: Callable[_P, object]) -> Callable[_P, None]:
    """The same as a callback for a button."""

    @functools.wraps(act)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
        attempt(lambda: act(*args, **kwargs))

    return call


def part(run_every: float | None = None) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """`st.fragment` for a part of a page behind the lock: see `_still_admitted`."""
    return lambda draw: st.fragment(_still_admitted(draw), run_every=run_every)  # noqa: TID251


def window(title: str) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """`st.dialog`, likewise."""
    return lambda draw: st.dialog(title)(_still_admitted(draw))  # noqa: TID251


def _still_admitted(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Shows nothing, and has the whole page drawn, where the vault locked meanwhile or its owner logged out elsewhere:
    Streamlit draws a part by itself.
    """

    @functools.wraps(draw)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            admit(clicked=False)
        except (VaultIsLocked, NotSignedIn):
            st.rerun()
        except BfaiError:  # a database that cannot be read just now
            pass
        draw(*args, **kwargs)

    return call


def tell(message: Message, *, refused: bool = False) -> None:
    """Keeps a sentence for `told()`, over a rerun or a page switch."""
    st.session_state["told"] = (message, refused, False)


def told(*, again: bool = False) -> None:
    """Shows what `tell` kept until somebody clicks: a page that draws itself anew, `again`, keeps showing it."""
    kept: tuple[Message, bool, bool] | None = st.session_state.pop("told", None)
    if kept is None:
        return
    message, refused, shown = kept
    if again or not shown:
        (st.warning if refused else st.info)(say(message))
        st.session_state["told"] = (message, refused, True)


# -- what a widget shows -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Shown:
    value: object
    version: int = 0


_SHOWN = "shown"


def _shown(name: str, value: object) -> _Shown:
    kept: dict[str, _Shown] = st.session_state.setdefault(_SHOWN, {})
    return kept.setdefault(name, _Shown(value))


def widget_key(name: str, value: object) -> str:
    """The key of a widget that begins with `value` and may be given another one by the program.

    It stays while a person moves the widget. A value from elsewhere makes it a new widget: one that is told by way of
    the session state misses it when the next click interrupts the drawing, and sends back what it held before.
    """
    shown = _shown(name, value)
    if shown.value != value:
        shown.value, shown.version = value, shown.version + 1
    return f"{name}~{shown.version}" if shown.version else name


def moved(name: str, key: str, value: object) -> bool:
    """In its callback: whether a person just gave this value to the widget that is on the screen now."""
    shown = _shown(name, value)
    if shown.value == value or key != widget_key(name, shown.value):
        return False
    shown.value = value
    return True


def choose_by_address(label: str, names: Mapping[str, str], parameter: str, usual: str) -> str:
    """A choice that stands in the page's address, such as its view."""
    asked = location.get(parameter, usual)
    asked = asked if asked in names else usual
    name = f"choose_{parameter}"
    key = widget_key(name, asked)

    def take() -> None:
        picked = st.session_state.get(key)
        if picked and moved(name, key, picked):
            location[parameter] = picked

    st.segmented_control(
        label,
        list(names),
        default=asked,
        required=True,
        format_func=lambda one: names[one],
        key=key,
        on_change=take,
        label_visibility="collapsed",
    )
    return asked


def choose_view(names: Mapping[str, str]) -> str:
    """Which view of the page is shown; the first where its address names none."""
    return choose_by_address(_("View"), names, "view", next(iter(names)))


REDRAWN = "redrawn"


def redraw() -> None:
    """Draws the page anew although nobody clicked: a vault that locks after idle minutes goes on counting them."""
    st.session_state[REDRAWN] = True
    st.rerun()


# -- chip, facts, strip ------------------------------------------------------------------------------------------------


def badge(look: Look) -> None:
    st.badge(_(look.word), icon=f":material/{look.icon}:", color=look.colour)  # pyright: ignore[reportArgumentType]


def chip(status: Status, *, cause: Cause | None = None) -> None:
    badge(OWN_NETWORK if cause is Cause.LOCAL_NETWORK else STATUS_LOOKS[status])


def exposed_badge() -> None:
    badge(Look(N_("Exposed"), "orange", "visibility"))


def head(title: str, caption: str = "") -> Any:
    """The head that every page has. Gives the container at its right, for the page's actions."""
    row = st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute")
    with row, st.container(width="stretch", gap=None):
        st.title(title, anchor=False)
        if caption:
            st.caption(caption)
    return row.container(horizontal=True, width="content", vertical_alignment="bottom")


def zone_note() -> str:
    return _("times in {zone}", zone=zone())


def market_name(market: Market) -> str:
    return _(MARKET_NAMES[market])


def exchange_name(workbench: Workbench, exchange_id: str) -> str:
    exchange = workbench.exchanges().get(exchange_id)
    return exchange.name if exchange else exchange_id


def guide_link(
    workbench: Workbench,
    exchange_id: str,
    market: Market,
    section: Section | None = None,
    *,
    cause: Cause | None = None,
) -> None:
    """The way to the guide of an exchange, to the section that fits."""
    asked = {"exchange": exchange_id, "market": market.value}
    if section is not None:
        asked["section"] = section.value
    if cause is not None:
        asked["cause"] = cause.value
    label = _("Guide for {exchange}", exchange=exchange_name(workbench, exchange_id))
    link(GUIDE, label, ":material/menu_book:", asked)


def named(kind: type[_Named], value: str | None) -> _Named | None:
    """What the address of the page names, or None for what it does not know."""
    return next((one for one in kind if one.value == value), None)


def download_button(
    label: str,
    make: Callable[[], str | bytes] | bytes,
    *,
    file_name: str,
    mime: str,
    key: str,
    icon: str | None = ":material/download:",
    width: Literal["content", "stretch"] = "content",
    on_click: Callable[[], None] | None = None,
) -> None:
    """A file that is made when it is asked for, or that is here already.

    Streamlit serves it to whoever knows its address, which it works out from the content. So there is an address only
    after the click, for a short time, and a random word in the kind of the file makes it one that nobody can guess.
    What is here already has its address while the page shows it, with a word of the visit.
    """
    word = secrets.token_hex(16)
    if isinstance(make, bytes):
        word = st.session_state.setdefault("download_word", word)
    st.download_button(
        label,
        data=make,
        file_name=file_name,
        mime=f"{mime}; for={word}",
        icon=icon,
        on_click=on_click or "ignore",
        key=key,
        width=width,
    )


def is_shared() -> bool:
    """Whether the program runs on a host that is everybody's."""
    return hosting().kind is not Kind.LOCAL


def code_of(shown: Sequence[Sighting]) -> None:
    """Each address with its copy icon; both kinds are named where there are both."""
    with st.container(gap="xsmall"):
        for one in shown:
            if len(shown) > 1:
                family = f"IPv{one.version}"
                st.caption(family)
            st.code(one.address, language=None)


def told_by(view: AddressView, exchange_name: str) -> str:
    """Who told the address, as a sentence."""
    teller = ", ".join(view.told_by)
    if not view.now:
        return _(
            "Your address is not known right now: {teller} did not tell it, and nobody else is asked.", teller=teller
        )
    if exchange_name in ("", teller):
        return _("This is how {teller} sees you now.", teller=teller)
    return _(
        "This is how {teller} sees you now. {exchange} has no call that tells it, and should see the same.",
        teller=teller,
        exchange=exchange_name,
    )


def target_facts(workbench: Workbench, target: Target, key_hint: str) -> str:
    """Such as "MEXC · Spot · Live · …B4F2"."""
    exchange = workbench.exchanges().get(target.exchange)
    facts = [exchange_name(workbench, target.exchange)]
    if exchange is not None and target.region != exchange.regions[0].id:
        facts.append(exchange.region(target.region).name)
    facts += [market_name(target.market), _(ENVIRONMENT_NAMES[target.environment])]
    if key_hint:
        facts.append(f"…{plain(key_hint)}")
    return " · ".join(facts)


def facts(workbench: Workbench, connection: Connection, marks: Sequence[Message] = ()) -> str:
    """The same of a connection, with what there is to say of its account."""
    return " · ".join((target_facts(workbench, connection.target, connection.key_hint), *map(say, marks)))


def age(connection: Connection) -> str:
    if connection.last_tested_at is None or connection.status is Status.UNTESTED:
        return _("Not tested yet")
    return _("Tested {age}", age=ago(connection.last_tested_at))


def strip_alt(beats: Sequence[Beat]) -> str:
    """The strip in words, for who does not see it."""
    counted = [state for state in Beat if state is not Beat.NO_TEST and state in beats]
    if not counted:
        return _("No test yet.")
    parts = ", ".join(f"{_(BEAT_NAMES[state])} {beats.count(state)}" for state in counted)
    total = sum(beats.count(state) for state in counted)
    return n_("{count} test: {parts}", "{count} tests: {parts}", total, parts=parts)


def bars_alt(beats: Sequence[Beat]) -> str:
    """The same for a strip whose bars are stretches of time."""
    parts = ", ".join(f"{_(BEAT_NAMES[state])} {beats.count(state)}" for state in Beat if state in beats)
    return n_("{count} bar: {parts}", "{count} bars: {parts}", len(beats), parts=parts)


def strip(beats: Sequence[Beat], *, alt: str | None = None) -> None:
    st.image(strip_svg(beats), width="stretch", alt=strip_alt(beats) if alt is None else alt)


# -- tests that run ----------------------------------------------------------------------------------------------------


def progress_text(job: TestJob) -> str:
    return _("{done} of {all} checks so far", done=len(job.checks), all=len(job.expected))


def start(workbench: Workbench, connection_ids: Sequence[str]) -> None:
    """For a button: starts these tests in the background."""
    if attempt(lambda: workbench.start_tests(connection_ids)):
        st.session_state["watching"] = True


FEW_TESTS = 4
"""Up to so many tests show their progress each by itself. More would cost more drawing than testing."""


def rerun_when_done(jobs: Iterable[TestJob]) -> None:
    """Draws the page anew when the last of these tests is through; of many, also for those that are through earlier."""
    watched = list(jobs)
    if not watched:
        return
    drawn = time.monotonic()

    @part(run_every=0.4)
    def wait() -> None:
        done = sum(job.done for job in watched)
        if done == len(watched) or (done and len(watched) > FEW_TESTS and time.monotonic() - drawn > 1.5):
            redraw()

    wait()


def watch(job: TestJob) -> None:
    """Every check as it happens. Holds no buttons, because it draws itself anew three times a second."""

    @part(run_every=0.3)
    def draw() -> None:
        with calm():
            checks = {check.name: check for check in job.checks}
            st.progress(
                len(checks) / max(1, len(job.expected)),
                text=progress_text(job),
            )
            checks_table([checks.get(name, name) for name in job.expected])
            if job.error is not None:
                st.warning(say(job.error))
        if job.done:
            redraw()

    draw()


# -- tables ------------------------------------------------------------------------------------------------------------


def table(columns: Mapping[str, Sequence[str]], *, alt: str) -> None:
    """A quiet table with Markdown cells. One that begins with a date, "21. stu 2026.", is no numbered list."""
    cells = {name: [_LIST_NUMBER.sub(r"\1\.", cell) for cell in column] for name, column in columns.items()}
    st.table(cells, border="horizontal", hide_index=True, alt=alt)  # pyright: ignore[reportUnknownMemberType]


def largest_upload(wanted: int) -> int:
    """So many megabytes, or as many as the server takes: what is larger it would refuse after all was sent."""
    return min(wanted, int(st.get_option("server.maxUploadSize")))


def size_of(count: int) -> str:
    """Bytes in the unit that suits them."""
    kilobytes = count / 1000
    if kilobytes < 1000:
        return _("{number} kB", number=words().number(max(1, round(kilobytes))))
    return _("{number} MB", number=words().number(kilobytes / 1000, 1))


def milliseconds(value: float | None) -> str:
    return "–" if value is None else words().number(round(value))


def checks_table(checks: Sequence[Check | CheckName]) -> None:
    """Outcome, check, what was seen, milliseconds. A bare name is a check that is still being asked."""
    columns: dict[str, list[str]] = {" ": [], _("Check"): [], _("What was seen"): [], _("ms"): []}
    icons, names, seen, times = columns.values()
    for check in checks:
        waiting = isinstance(check, CheckName)
        name = _(CHECK_NAMES[check if isinstance(check, CheckName) else check.name])
        icons.append(":gray[:material/sync:]" if waiting else _outcome_icon(check))
        names.append(f"**{name}**")
        seen.append(":shimmer[" + _("asking") + "]" if waiting else say(check.detail))
        times.append("–" if waiting else milliseconds(check.latency_ms))
    table(columns, alt=_("The checks of this test"))


def _outcome_icon(check: Check) -> str:
    blocked = check.name is CheckName.WITHDRAW_OFF and check.outcome is Outcome.FAIL
    return ":red[:material/dangerous:]" if blocked else _OUTCOMES[check.outcome]


def rights_table(rows: Sequence[RightRow], market: Market) -> None:
    """What the key may do and how that is known; withdrawal first."""
    columns: dict[str, list[str]] = {_("Right"): [], " ": [], _("State"): [], _("How we know"): []}
    rights, icons, states, evidence = columns.values()
    for index, row in enumerate(rows):
        withdraw = row.permission is Permission.WITHDRAW
        strong = "**" if withdraw else ""
        rights.append(f"{strong}{say(row.label)}{strong}")
        icons.append(_right_icon(row, first_below_rights=index == len(rows) - 2))
        states.append(f"{strong}{say(row.shown_state)}{strong}")
        text = say(row.evidence)
        if row.state is GrantState.GRANTED and row.boxes and _surplus(row, market):
            text = _("{evidence}; its box: {boxes}", evidence=text, boxes=words().quoted(*row.boxes))
        evidence.append(text)
    table(columns, alt=_("What this key may do"))


def _surplus(row: RightRow, market: Market) -> bool:
    needed = Permission.SPOT_TRADE if market is Market.SPOT else Permission.FUTURES_TRADE
    return row.permission not in (None, Permission.READ, needed)


def _right_icon(row: RightRow, *, first_below_rights: bool) -> str:
    if row.permission is Permission.WITHDRAW:
        return {
            GrantState.DENIED: ":green[:material/shield:]",
            GrantState.GRANTED: ":red[:material/dangerous:]",
            GrantState.UNKNOWN: ":orange[:material/help:]",
        }[row.state]
    if row.permission is None:
        if not first_below_rights:
            return ":material/schedule:"
        return ":material/lock:" if row.state is GrantState.GRANTED else ":orange[:material/lock_open:]"
    return {
        GrantState.GRANTED: ":material/check:",
        GrantState.DENIED: ":gray[:material/close:]",
        GrantState.UNKNOWN: ":material/question_mark:",
    }[row.state]


# -- what to do --------------------------------------------------------------------------------------------------------


def seconds_left(run: TestRun, remedy: Remedy) -> float:
    """How long it is still wise to wait before the next test."""
    if remedy.wait_s is None:
        return 0.0
    ended = run.started_at + timedelta(milliseconds=run.duration_ms)
    return max(0.0, remedy.wait_s - (utc_now() - ended).total_seconds())


def countdown(sentence: str, seconds: Callable[[], float]) -> None:
    """A sentence with `{left}` that counts down, and the page drawn anew at its end. Holds no buttons."""

    @part(run_every=1.0)
    def draw() -> None:
        left = seconds()
        if left <= 0:
            redraw()
        st.caption(_(sentence, left=duration(math.ceil(left))))

    draw()


@dataclass(frozen=True, slots=True)
class Action:
    label: str
    act: Callable[[], None]
    key: str
    icon: str = ""
    primary: bool = False
    waits: bool = False


def action_button(action: Action, *, disabled: bool = False) -> None:
    st.button(
        action.label,
        key=action.key,
        icon=action.icon or None,
        type="primary" if action.primary else "secondary",
        on_click=action.act,
        disabled=disabled,
    )


def remedy_box(workbench: Workbench, run: TestRun, actions: Sequence[Action]) -> None:
    """Cause, value to copy, steps, the way to the exchange, the exchange's own words."""
    remedy = workbench.remedy(run)
    if remedy is None:
        return
    name = exchange_name(workbench, run.exchange)
    blocked = remedy.severity is Status.BLOCKED
    left = seconds_left(run, remedy)
    with st.container(border=True):
        box = st.error if blocked else st.warning
        look = STATUS_LOOKS[Status.BLOCKED if blocked else Status.FAILED]
        box(say(remedy.text), title=say(remedy.title), icon=f":material/{look.icon}:")
        if remedy.value:
            st.code(remedy.value, language=None)
        elif _is_about_address(run):
            view = workbench.address(_leaving(workbench, run), shared=is_shared())
            code_of(view.now)
            st.caption(told_by(view, name))
        if remedy.steps:
            if blocked:
                st.markdown("**" + _("What to do now") + "**")
            st.markdown("\n".join(f"{number}. {say(step)}" for number, step in enumerate(remedy.steps, start=1)))
        with st.container(horizontal=True, vertical_alignment="center"):
            if remedy.link:
                st.link_button(
                    _("Open key list at {exchange}", exchange=name),
                    remedy.link,
                    type="primary",
                    icon=":material/open_in_new:",
                )
            for action in actions:
                action_button(action, disabled=action.waits and left > 0)
            guide_link(workbench, run.exchange, run.market, remedy.section, cause=run.diagnosis and run.diagnosis.cause)
        if left > 0:
            countdown(N_("Waiting helps here. Test again in {left}."), lambda: seconds_left(run, remedy))
        if remedy.said:
            st.caption(_("{exchange} said: {words}", exchange=name, words=f"“{plain(remedy.said)}”"))


def _is_about_address(run: TestRun) -> bool:
    """Whether the address of this computer may be what was refused."""
    found = run.diagnosis
    if found is None or run.tested_from is not None:
        return False
    return found.cause is Cause.IP_NOT_ALLOWED or (
        found.cause is Cause.AMBIGUOUS and Cause.IP_NOT_ALLOWED in found.candidates
    )


def _leaving(workbench: Workbench, run: TestRun) -> Connection | Target:
    connection = workbench.connection(run.connection_id) if run.connection_id else None
    return connection or Target(
        exchange=run.exchange, market=run.market, region=run.region, environment=run.environment
    )


def advice_list(workbench: Workbench, run: TestRun) -> None:
    advice = workbench.advice(run)
    if advice:
        st.markdown("**" + _("To make it better") + "**")
        st.markdown("\n".join(f"- {say(message)}" for message in advice))


def thief_sentence(workbench: Workbench, run: TestRun) -> None:
    sentences = " ".join(say(message) for message in workbench.thief_view(run))
    if sentences:
        st.markdown(":material/visibility: **" + _("If this key were stolen") + f"** · {sentences}")


def account_lines(workbench: Workbench, target: Target, run: TestRun, *, except_id: str | None = None) -> None:
    """Which other connections are of the same account, and that it is a sub-account."""
    said = " ".join(say(note) for note in workbench.account_notes(target, run.key_report, except_id=except_id))
    if said:
        st.markdown(f":material/account_tree: {said}")


def result_tables(workbench: Workbench, run: TestRun) -> None:
    """Checks and rights side by side; on a phone one below the other."""
    rights = workbench.rights_table(run)
    left, right = st.columns(2, gap="medium") if rights else (st.container(), st.container())
    with left:
        st.subheader(_("Checks"), anchor=False)
        done = sum(check.outcome is not Outcome.SKIP for check in run.checks)
        skipped = len(run.checks) - done
        st.caption(
            _("{done} done, {skipped} skipped", done=done, skipped=skipped)
            if skipped
            else n_("{count} check done", "All {count} checks done", done)
        )
        checks_table(run.checks)
    with right:
        st.subheader(_("What this key may do"), anchor=False)
        if rights:
            st.caption(_("From the key report of {when}", when=moment(run.started_at)))
            rights_table(rights, run.market)
        else:
            name = exchange_name(workbench, run.exchange)
            st.caption(_("{exchange} gave no key report in this test, so nothing is known.", exchange=name))


def receipt(run: TestRun) -> None:
    """What was sent, line by line."""
    dry = sum(sent.dry_run for sent in run.receipt)
    with st.expander(
        n_(
            "Receipt: {count} request, 0 orders, 0 changes",
            "Receipt: {count} requests, 0 orders, 0 changes",
            len(run.receipt),
        ),
        icon=":material/receipt_long:",
    ):
        if not run.receipt:
            st.caption(_("Nothing was sent."))
            return
        table(
            {
                _("Sent"): [f"`{sent.method} {sent.host}{sent.path}`" for sent in run.receipt],
                _("Why"): [_(sent.purpose) for sent in run.receipt],
                _("Answer"): [str(sent.status) if sent.status is not None else "–" for sent in run.receipt],
                _("ms"): [milliseconds(sent.latency_ms) for sent in run.receipt],
            },
            alt=_("Every request of this test"),
        )
        if dry:
            st.caption(_("A dry-run order asks whether an order would be allowed. The exchange places none."))
        link(GUIDE, _("Every request that this program can make"), ":material/list:")


def result_head(workbench: Workbench, run: TestRun, title: str, key_hint: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(plain(title), anchor=False, width="content")
        chip(run.status, cause=run.diagnosis.cause if run.diagnosis else None)
        if workbench.is_exposed(run):
            exposed_badge()
    target = Target(exchange=run.exchange, market=run.market, region=run.region, environment=run.environment)
    where = workbench.tested_from(run)
    facts = [
        target_facts(workbench, target, key_hint),
        moment_with_zone(run.started_at),
        _("{ms} ms", ms=milliseconds(run.duration_ms)),
    ]
    st.caption(" · ".join(facts if where is None else [*facts, say(where)]))
    for alarm in workbench.alarms(run):
        st.error(say(alarm), title=_("Tripwire"), icon=":material/notifications_active:")
    aside = workbench.set_aside(run)
    if aside is not None:
        st.caption(say(aside))
