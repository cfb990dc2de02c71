"""When connections are tested automatically: a line on the overview, and the interval of one connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from bfai.model import Connection, utc_now
from bfai.ui.language import _, ago, duration, n_, plain
from bfai.ui.pieces import attempt, part, redraw
from bfai.ui.session import in_tour, keeper
from bfai.workbench import Mode, Workbench

INTERVALS: tuple[int, ...] = (0, 5 * 60, 15 * 60, 30 * 60, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
"""Seconds; 0 is off."""


def next_test_line(workbench: Workbench, connections: Sequence[Connection]) -> None:
    """Which test is next. Draws the page anew when a test has ended that the page does not show yet."""
    drawn = _newest(connections)
    names = {connection.id: connection.name for connection in connections}

    @part(run_every=15.0)
    def draw() -> None:
        if not workbench.is_open:
            return
        if _newest(workbench.connections()) != drawn:
            redraw()
        coming = [(connection_id, at) for connection_id, at in workbench.next_tests().items() if connection_id in names]
        if not coming:
            st.caption(_("No connection is tested automatically."))
            return
        connection_id, at = coming[0]
        name = plain(names[connection_id])
        if at > utc_now() + timedelta(seconds=5):
            text = _("Next test {when}: {name}", when=ago(at), name=name)
        else:
            text = _("The next test begins in a moment: {name}", name=name)
        st.caption(text, help=tests_run_while())

    draw()


def _newest(connections: Sequence[Connection]) -> datetime | None:
    return max((one.last_tested_at for one in connections if one.last_tested_at is not None), default=None)


def schedule_box(workbench: Workbench, connection: Connection) -> None:
    """How often this connection is tested automatically, and when it is next."""
    schedule = workbench.schedule(connection.id)
    if schedule is None:
        return
    now = round(schedule.every.total_seconds()) if schedule.every else 0
    key = f"schedule_{connection.id}_{now}"

    def save() -> None:
        picked = int(st.session_state.get(key) or 0)
        attempt(lambda: workbench.set_schedule(connection.id, timedelta(seconds=picked) if picked else None))

    with st.container(border=True, key=f"schedule_box_{connection.id}"):
        options = sorted({*INTERVALS, now})
        labels = {seconds: duration(seconds) if seconds else _("off") for seconds in options}
        st.selectbox(
            _("Interval of automatic tests"),
            options,
            index=options.index(now),
            format_func=labels.__getitem__,
            key=key,
            on_change=save,
            width=260,
        )
        if now:
            _next_test(workbench, connection.id)
        st.caption(tests_run_while())


@part(run_every=15.0)
def _next_test(workbench: Workbench, connection_id: str) -> None:
    at = workbench.next_tests().get(connection_id) if workbench.is_open else None
    if at is None:
        return
    if at > utc_now() + timedelta(seconds=5):
        st.markdown(_("Next test {when}", when=ago(at)))
    else:
        st.markdown(_("The next test begins in a moment."))


def tests_run_while() -> str:
    """For how long automatic tests go on."""
    if in_tour():
        return _("Tests run while this page is open. Closing it ends them.")
    kept = keeper()
    minutes = round(kept.idle_minutes)
    if kept.workbench.mode is Mode.HOSTED:
        return _("Tests run while this page is open and the vault unlocked. Closing it ends them.")
    if not minutes:
        return _(
            "Tests run until you lock the vault or end the program; `python -m bfai monitor` goes on without them."
        )
    return n_(
        "Tests run while the vault is open. It locks after {count} minute without a click, and stops them;"
        " `python -m bfai monitor` goes on without it.",
        "Tests run while the vault is open. It locks after {count} minutes without a click, and stops them;"
        " `python -m bfai monitor` goes on without it.",
        minutes,
    )
