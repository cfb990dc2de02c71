"""Widgets that the program moves as well as the person."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.app.conftest import problems


def switch() -> None:
    import streamlit as st

    from bfai.ui.pieces import choose_view

    def back() -> None:
        del st.query_params["view"]

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
