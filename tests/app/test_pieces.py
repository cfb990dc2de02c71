"""Widgets that the program moves as well as the person."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.app.conftest import problems


def switch() -> None:
    import streamlit as st

    from bfai.ui.location import location
    from bfai.ui.pieces import choose_view

    def back() -> None:
        del location["view"]

    st.text(choose_view({"one": "One", "two": "Two"}))
    st.button("Back", key="back", on_click=back)


def test_a_view_stays_the_same_widget_when_it_is_clicked_and_is_another_when_the_program_turns_it() -> None:
    """A widget that changes under the mouse swallows the next click."""
    at = AppTest.from_function(switch).run()
    first = at.segmented_control[0]
    assert (first.key, at.text[0].value) == ("choose_view", "one")
    first.set_value("two").run()
    assert not problems(at)
    assert (at.segmented_control[0].key, at.text[0].value, at.query_params["view"]) == ("choose_view", "two", "two")
    at.button(key="back").click().run()
    assert (at.segmented_control[0].value, at.text[0].value) == ("one", "one")
    assert at.segmented_control[0].key != "choose_view"
    at.segmented_control[0].set_value("two").run()
    assert at.text[0].value == "two"


def moves() -> None:
    import streamlit as st

    from bfai.ui.pieces import moved, widget_key

    old = widget_key("size", 1)
    new = widget_key("size", 2)
    st.text(f"{moved('size', old, 1)} {moved('size', old, 3)} {moved('size', new, 2)} {moved('size', new, 3)}")
    st.text(widget_key("size", 3) == new)


def test_what_an_older_widget_still_holds_is_nobodys_change() -> None:
    """Sent by a click that came before the browser had drawn the new one."""
    at = AppTest.from_function(moves).run()
    assert [text.value for text in at.text] == ["False False False True", "True"]


def places() -> None:
    import streamlit as st

    from bfai.ui.location import link, location, open_place

    def show(what: str) -> None:
        location["shows"] = what

    open_place("pages/strategies.py")
    st.button("New", key="new", on_click=show, args=("new",))
    st.button("Save", key="save", on_click=show, args=("saved",))
    st.text(location.get("shows", "list"))
    link("pages/strategies.py", "List", ":material/list:")


def test_an_address_that_the_browser_sent_too_early_undoes_nothing() -> None:
    at = AppTest.from_function(places).run()
    at.button(key="new").click().run()
    at.button(key="save").click().run()
    at.query_params["shows"] = "new"
    at.run()
    assert at.text[0].value == "saved" and at.query_params["shows"] in ("saved", ["saved"])
    at.query_params.clear()
    at.button(key="new").click().run()
    assert at.text[0].value == "new"
    at.query_params.clear()
    at.query_params["go"] = "1"
    at.run()
    assert at.text[0].value == "list" and not at.query_params, "a link to the page itself is no stale address"
