"""No page keeps an English text of ours in another language: every page is drawn, and every word on it is looked up.

A word is English and nothing else where our English texts use it and no text of that language does. What an exchange
says or prints on its own pages stays in its words, and so do names that people gave.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import pytest
from streamlit.testing.v1 import AppTest

from bfai.about import packages
from bfai.exchanges import all_exchanges
from bfai.i18n import DEFAULT_LANGUAGE, LANGUAGES, LOCALES
from bfai.ui.session import keeper
from tests.app.conftest import PAGES, PASSWORD, choose, go, linked, open_app, opened_vault, press, problems, toured

OTHERS = [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]
WORD = re.compile(r"[^\W\d_]{3,}")
# In code marks or quotation marks stand the words of others; links and icons are no words.
QUOTED = re.compile(
    r"<style>.*?</style>|`[^`]*`|“[^”]*”|„[^“”]*[“”]|»[^«]*«|\]\([^)]*\)|:material/\w+:|:[a-z-]+\[|\{\w+\}"
    r"|https?://\S+|(?<!\w)/\S+",
    re.DOTALL,
)
# Fields of Streamlit's messages that nobody reads.
UNREAD = frozenset(
    """
    id form_id icon type page page_script_hash url anchor tag language columns data key color code_text mark_name theme
    autocomplete query_string
    """.split()
)


@cache
def english_only(language: str) -> frozenset[str]:
    from babel.messages.pofile import read_po

    with (LOCALES / language / "LC_MESSAGES" / "bfai.po").open("rb") as source:
        catalogue = read_po(source, locale=language)

    def words(texts: Iterable[str]) -> set[str]:
        return {word.lower() for text in texts for word in WORD.findall(QUOTED.sub(" ", text))}

    def every(text: Any) -> tuple[str, ...]:
        return (text,) if isinstance(text, str) else tuple(text)

    ours = words(text for message in catalogue if message.id for text in every(message.id))
    return frozenset(ours - words(text for message in catalogue if message.id for text in every(message.string)))


@cache
def words_of_others() -> re.Pattern[str]:
    """What exchanges call themselves, their boxes, fields and regions; names in the tour; codes."""
    said = {"GET", "POST", "ccxt.base.errors.AuthenticationError", "code", "Invalid API-key", "Recovery PRO Connection"}
    said |= {"Main", "Grid", "Old Key", "Conservative", "Server", "New Groups"}
    for exchange in all_exchanges().values():
        said |= {exchange.name, *(right.box for right in exchange.rights), *(right.word for right in exchange.rights)}
        said |= {*(spec.label for spec in exchange.fields), *(region.name for region in exchange.regions)}
    longest_first = sorted(said, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


@cache
def whole_texts_of_others() -> frozenset[str]:
    """Names of time zones, of packages and of their licences: they count only where nothing else stands with them."""
    return frozenset(available_timezones()).union(*((one.name, one.licence) for one in packages()))


def read_by_people(node: Any) -> Iterator[str]:
    """Every text that the drawn page holds, charts and tables among it."""
    proto = getattr(node, "proto", None)
    if hasattr(proto, "ListFields"):
        yield from strings(proto)
    for child in getattr(node, "children", {}).values():
        yield from read_by_people(child)


def strings(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_BYTES:
            yield from table(value)
        if field.name in UNREAD or (field.message_type and field.message_type.GetOptions().map_entry):
            continue
        for one in value if field.is_repeated else (value,):
            if field.type == field.TYPE_MESSAGE:
                yield from strings(one)
            elif field.type == field.TYPE_STRING:
                yield from chart(one) if one.startswith("{") else [one]


def table(arrow: bytes) -> Iterator[str]:
    import pyarrow as pa

    frame = pa.ipc.open_stream(arrow).read_all()
    for name, column in zip(frame.column_names, frame.columns, strict=True):
        yield name
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from (text for text in column.to_pylist() if text and not text.startswith("data:"))


def chart(spec: str) -> Iterator[str]:
    """The names, titles and labels in a chart's description."""

    def walk(value: Any, key: str) -> Iterator[str]:
        if isinstance(value, str):
            if key in ("name", "text", "title", "subtext", "formatter", "data", "label", "description"):
                yield value
        elif isinstance(value, dict):
            for name, part in value.items():
                yield from walk(part, name)
        elif isinstance(value, list):
            for part in value:
                yield from walk(part, key)

    yield from walk(json.loads(spec), "")


def leftovers(at: AppTest, language: str) -> list[str]:
    english = english_only(language)
    found = []
    for text in read_by_people(at._tree):  # pyright: ignore[reportPrivateUsage]
        if text in whole_texts_of_others():
            continue
        bare = words_of_others().sub(" ", QUOTED.sub(" ", text))
        if odd := sorted({word for word in WORD.findall(bare) if word.lower() in english}):
            found.append(f"{', '.join(odd)}: {text[:150]!r}")
    return found


def visits(at: AppTest) -> Iterator[str]:
    """Goes to every page and into what opens from it, and names where it is."""
    connections = [key.removeprefix("details_") for item in at.button if (key := str(item.key)).startswith("details_")]
    assert connections
    for page in PAGES:
        go(at, page)
        yield page
    go(at, "pages/history.py")
    for connection in connections:
        linked(at, connection=connection)
        yield f"history of {connection}"
    at.query_params.clear()
    press(go(at, "pages/connections.py"), "add")
    yield "wizard, where"
    for exchange in all_exchanges():
        choose(at, "wizard_exchange", exchange)
        yield f"wizard, key of {exchange}"
        press(at, "wizard_back")
    press(go(at, "pages/strategies.py"), "new_strategy")
    for view in ("edit", "replay", "run"):
        linked(at, view=view)
        yield f"strategy, {view}"
    go(at, "pages/guide.py")
    for exchange in all_exchanges():
        linked(at, exchange=exchange)
        yield f"guide, {exchange}"


@pytest.mark.parametrize("language", OTHERS)
def test_no_page_keeps_english(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFAI_LANGUAGE", language)
    at = toured(language)
    for place in visits(at):
        assert not problems(at), place
        assert not (found := leftovers(at, language)), f"{place}: {found}"


@pytest.mark.parametrize("language", OTHERS)
def test_no_door_keeps_english(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start, an empty vault, the lock."""
    monkeypatch.setenv("BFAI_LANGUAGE", language)
    for door in ("", "door_1", "door_2"):
        at = press(open_app(language), door) if door else open_app(language)
        assert not (found := leftovers(at, language)), f"{door}: {found}"
    assert not (found := leftovers(press(at, "vault_restore"), language)), found
    at = opened_vault(language)
    for page in PAGES:
        assert not (found := leftovers(go(at, page), language)), f"{page}: {found}"
    go(at, "pages/settings.py").text_input(key="recovery_password").set_value(PASSWORD)
    press(at, "make_code")
    assert not (found := leftovers(at, language)), found
    keeper().workbench.confirm_recovery_code(keeper().workbench.waiting_code or "")
    press(at.run(), "make_backup")
    assert not (found := leftovers(at, language)), found
    press(at, "lock_now")
    assert not (found := leftovers(at, language)), found


def english_page() -> None:
    import streamlit as st

    st.caption("Your keys are sealed with a password.")


def test_an_english_text_is_found() -> None:
    assert leftovers(AppTest.from_function(english_page).run(), "nl")
