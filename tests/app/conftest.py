"""Pages as Streamlit runs them, without a browser: on a fresh database at home, or in the tour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bfai.ui.pieces import REDRAWN

APP = str(Path(__file__).parents[2] / "app.py")
PASSWORD = "correct horse battery staple"
PAGES = (
    "app.py",
    "pages/connections.py",
    "pages/history.py",
    "pages/strategies.py",
    "pages/alerts.py",
    "pages/guide.py",
    "pages/settings.py",
    "pages/audit.py",
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No vault, no cached Workbench; by default the app listens on loopback, as at home.

    A page that breaks says so in one calm sentence and logs where; here that fails the test.
    """
    monkeypatch.setenv("BFAI_DATABASE_URL", f"sqlite:///{tmp_path}/bfai.db")
    monkeypatch.setenv("BFAI_ALLOW_NON_LOOPBACK", "1")
    monkeypatch.delenv("BFAI_LANGUAGE", raising=False)
    yield
    st.cache_resource.clear()
    st.cache_data.clear()
    broken = [record.getMessage() for record in caplog.get_records("call") if record.name == "bfai.ui"]
    assert not broken, broken


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is reachable from elsewhere."""
    monkeypatch.delenv("BFAI_ALLOW_NON_LOOPBACK")


def open_app(language: str = "en") -> AppTest:
    at = AppTest.from_file(APP, default_timeout=30)
    at.query_params["lang"] = language
    return at.run()


def go(at: AppTest, page: str) -> AppTest:
    return at.switch_page(page).run()


def linked(at: AppTest, **asked: str) -> AppTest:
    """The open page, as a link to this address of its own shows it."""
    at.query_params.update({**asked, "go": "1"})
    return at.run()


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


def settle(at: AppTest, seconds: float = 20.0) -> AppTest:
    """Draws the page anew, as it does by itself, until no test is running any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        at.session_state[REDRAWN] = True
        at.run()
        said = [*captions(at), *(item.proto.text for item in at.get("progress"))]
        badges = [item.value for item in at.markdown if "material/sync: Testing" in item.value]
        if not badges and not any("checks so far" in text for text in said):
            return at
        time.sleep(0.05)
    raise AssertionError("the tests did not end")


def choose(at: AppTest, key: str, value: str) -> AppTest:
    """Picks one of pills, of a segmented control or of a select box, by the beginning of its key."""
    for kind in ("pills", "segmented_control", "selectbox"):
        for item in at.get(kind):
            if str(getattr(item, "key", None) or "").startswith(key):
                cast("Any", item).set_value(value).run()
                return at
    raise KeyError(key)


def captions(at: AppTest) -> list[str]:
    return [item.value for item in at.caption]


def texts(at: AppTest) -> str:
    """Everything that is written on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "warning", "error", "info", "code")
    return "\n".join(str(item.value) for kind in kinds for item in getattr(at, kind))


def labels(at: AppTest) -> list[str]:
    return [item.label for item in at.button]


def opened_vault(language: str = "en") -> AppTest:
    """An app at home whose vault was just made."""
    at = press(open_app(language), "door_2")
    at.text_input(key="new_password").set_value(PASSWORD)
    at.text_input(key="new_password_again").set_value(PASSWORD)
    return press(at, "create_vault")


def toured(language: str = "en") -> AppTest:
    """An app at home, in the tour, its sample tests through."""
    return settle(press(open_app(language), "door_0"))


def problems(at: AppTest) -> list[str]:
    """Tracebacks on the page."""
    return [str(item.value) for item in at.exception]
