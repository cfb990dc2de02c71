"""The page's address: it says what the page shows, so that a reload and a bookmark show the same.

The browser sends its address with every click and every look of a fragment. One that it sent before it learned the
page's newest address is stale, and would undo the click that came before it: a strategy that was just saved would be
a new one again. So the address that the page wrote last holds. The browser's counts on another page, after Back and
Forward, and for a link of ours to the page itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_KEPT = "location"
_PLACE = "place"
_LINKED = "go"  # marks a link to the page itself: nothing else tells it from a stale address


class _Location(MutableMapping[str, str]):
    def __getitem__(self, name: str) -> str:
        self.settle()
        return st.query_params[name]

    def __iter__(self) -> Iterator[str]:
        self.settle()
        return iter(st.query_params)

    def __len__(self) -> int:
        self.settle()
        return len(st.query_params)

    def __setitem__(self, name: str, value: str) -> None:
        if self.get(name) != value:
            st.query_params[name] = value
            self._keep()

    def __delitem__(self, name: str) -> None:
        self.settle()
        del st.query_params[name]
        self._keep()

    def take_out(self, *names: str) -> None:
        for name in names:
            self.pop(name, None)

    def settle(self) -> None:
        """Puts the address right where the browser brought a stale one."""
        run = get_script_run_ctx()
        if run is None:
            return
        page, kept = st.session_state.get(_KEPT, (None, {}))
        brought = st.query_params.to_dict()
        if _LINKED in brought:
            del st.query_params[_LINKED]
        elif page == run.page_script_hash and not run.is_history_navigation and brought != kept:
            st.query_params.from_dict(kept)
        self._keep()

    def _keep(self) -> None:
        run = get_script_run_ctx()
        if run is not None:
            st.session_state[_KEPT] = (run.page_script_hash, st.query_params.to_dict())


location = _Location()


def open_place(file: str) -> None:
    """A page of ours begins."""
    st.session_state[_PLACE] = file
    location.settle()


def link(file: str, label: str, icon: str, asked: Mapping[str, str] | None = None, *, wide: bool = False) -> None:
    """A link to a page of ours, which may be the one that is open."""
    params = dict(asked or {})
    if st.session_state.get(_PLACE) == file:
        params[_LINKED] = "1"
    st.page_link(file, label=label, icon=icon, query_params=params, width="stretch" if wide else "content")
