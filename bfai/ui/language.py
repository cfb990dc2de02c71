"""The reader's language, in which every page speaks.

Chosen from the address (`?lang=`), the settings or the browser, changed with one click, which the settings keep. It is
looked up at each call, because a fragment runs on a fresh thread. So is the time zone: that of the settings, else the
browser's.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

import streamlit as st

from bfai.i18n import LANGUAGES, Translator, best_language, translator
from bfai.model import BfaiError, Message
from bfai.ui.location import location
from bfai.ui.session import in_tour, keeper

_STATE = "language"
_ZONE = "time_zone"
_MARKDOWN = re.compile(r"([\\`*\[\]<>$~#|!]|(?<!\w)_|_(?!\w)|:(?=\w+[:\[]))")


@cache
def zones_of_the_world() -> tuple[str, ...]:
    """The names of time zones. Read once: they are some hundred files."""
    return tuple(sorted(available_timezones()))


def choose_language() -> str:
    """Settles the language of this run and keeps it in the session; the address follows a choice that was made."""
    chosen = str(st.session_state.get(_STATE))
    asked = location.get("lang", "")
    if chosen not in LANGUAGES:
        wished = os.environ.get("BFAI_LANGUAGE") or st.context.locale
        kept = _kept_language()
        chosen = asked if asked in LANGUAGES else kept or best_language(wished)
        st.session_state[_STATE] = chosen
        st.session_state["language_by_hand"] = asked in LANGUAGES or kept is not None
    if st.session_state.get("language_by_hand") and asked != chosen:
        location["lang"] = chosen
    return chosen


def _kept_language() -> str | None:
    if in_tour():
        return None
    with suppress(BfaiError):  # no database: the page says so, in the browser's language
        return keeper().workbench.settings.language
    return None


def speak(language: str) -> None:
    """From now on in this language, also at the next visit."""
    st.session_state[_STATE] = language
    st.session_state["language_by_hand"] = True
    if not in_tour():
        with suppress(BfaiError):
            keeper().workbench.change_settings(language=language)


def language_switch(place: str) -> None:
    """One click changes the language of everything."""

    def change() -> None:
        picked = st.session_state.get(key)
        if picked in LANGUAGES:
            speak(str(picked))

    now = st.session_state.get(_STATE, "en")
    key = f"language_{place}_{now}"
    st.segmented_control(
        _("Language"),
        list(LANGUAGES),
        default=now,
        required=True,
        format_func=str.upper,
        key=key,
        on_change=change,
        label_visibility="collapsed",
        help=" · ".join(LANGUAGES.values()),
    )


def chosen_language() -> str:
    """The language of this visit; before there is one, that of the setting."""
    return str(st.session_state.get(_STATE) or best_language(os.environ.get("BFAI_LANGUAGE")))


def words() -> Translator:
    return translator(chosen_language())


def _(text: str, **params: object) -> str:
    return words().t(text, **params)


def n_(one: str, many: str, count: int, **params: object) -> str:
    """The form of the phrase that belongs to this number; `{count}` in it is the number."""
    return words().n(one, many, count, **params)


def say(message: Message) -> str:
    """A message of the package in the reader's language, safe to stand in Markdown."""
    params = {name: value if name.startswith("t_") else _safe(value) for name, value in message.params.items()}
    return words().render(message.model_copy(update={"params": params}))


def _safe(value: str | int | float) -> str | int | float:
    """What the package put into code marks stays as it is."""
    return plain(value) if isinstance(value, str) and not re.fullmatch(r"(`[^`]*`[ ,]*)+", value) else value


def plain(text: str) -> str:
    """Text from outside, such as a name or an exchange's answer, so that Markdown shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", text)


# -- times, in the reader's zone ---------------------------------------------------------------------------------------


def choose_zone(kept: str | None) -> None:
    """Settles the time zone of this run: the one that the settings keep, None for the browser's."""
    st.session_state[_ZONE] = kept


def zone_name() -> str | None:
    """The reader's time zone, such as Europe/Zagreb; None where nobody says it, then it is UTC."""
    return st.session_state.get(_ZONE) or st.context.timezone


def zone() -> str:
    """The same, to be shown."""
    return plain(zone_name() or "UTC")


def day(at: datetime) -> str:
    return words().date(at, zone_name())


def moment(at: datetime) -> str:
    return words().datetime(at, zone_name())


def moment_with_zone(at: datetime) -> str:
    """To the second, and in which zone."""
    when = words().datetime(at, zone_name(), seconds=True)
    return _("{when} ({zone})", when=when, zone=zone()) if zone_name() else when


def ago(at: datetime) -> str:
    return words().ago(at)


def percent(share: float) -> str:
    return words().percent(share)


def duration(seconds: float) -> str:
    return words().duration(max(0.0, seconds))
