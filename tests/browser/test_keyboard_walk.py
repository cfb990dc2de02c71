"""From the first start to a saved connection without a mouse: Tab, Enter, blank, arrows, and typing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bfai.simulator import Simulator
from tests.browser.talk import settled
from tests.browser.test_walks import MASTER

pytestmark = pytest.mark.browser

NAME_OF_THE_FOCUS = """() => {
    const one = document.activeElement.cloneNode(true);
    one.querySelectorAll('[data-testid=stIconMaterial]').forEach(icon => icon.remove());
    const label = document.activeElement.labels && document.activeElement.labels[0];
    return (one.getAttribute('aria-label') || (label && label.textContent) || one.textContent).trim().slice(0, 80);
}"""


def focused(page: Page) -> str:
    """What the keyboard acts on, by the name that is on the screen."""
    return page.evaluate(NAME_OF_THE_FOCUS)


def tab_to(page: Page, name: str, *, key: str = "Tab") -> None:
    """Presses Tab until what has this name has the focus."""
    settled(page)  # what is not drawn yet has no place in the order
    met: list[str] = []
    while len(met) < 60:
        page.keyboard.press(key)
        met.append(focused(page))
        if met[-1] == name:
            return
    raise AssertionError(f"Tab never came to {name!r}, only to {met}")


def test_from_first_start_to_a_saved_connection_without_a_mouse(
    serve: Callable[..., Any], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    page = open_app(serve())
    keys = page.keyboard
    expect(page.get_by_role("heading", name="Is this API key safe for a bot?")).to_be_visible()
    settled(page)

    tab_to(page, "Open a vault")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Open a vault")).to_be_visible()
    tab_to(page, "Master password")
    keys.type(MASTER)
    expect(page.get_by_text("Very hard to guess")).to_be_visible()
    settled(page)
    tab_to(page, "Master password, again")
    keys.type(MASTER)
    tab_to(page, "Open the vault")
    keys.press("Space")
    expect(page.get_by_role("heading", name="Add your first connection")).to_be_visible()
    settled(page)

    tab_to(page, "Add a connection")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Choose the exchange")).to_be_visible()
    settled(page)
    tab_to(page, "Binance")
    while focused(page) != "MEXC":
        keys.press("ArrowRight")
    keys.press("Space")
    expect(page.get_by_text("1 · Tick these boxes")).to_be_visible()
    settled(page)

    account = simulator.accounts["mexc"]["no_futures"]
    tab_to(page, "Access Key, Secret Key, in any order")
    keys.insert_text(f"{account['apiKey']} {account['secret']}")  # as a paste does
    tab_to(page, "Test this key")
    keys.press("Enter")
    expect(page.get_by_text("The key works, and it cannot withdraw.")).to_be_visible()
    settled(page)

    tab_to(page, "Name")
    keys.press("ControlOrMeta+a")
    keys.type("By keyboard")
    tab_to(page, "Save the connection")
    settled(page)
    tab_to(page, "Note (you may leave this empty)", key="Shift+Tab")  # and back again
    tab_to(page, "Save the connection")
    keys.press("Enter")
    expect(page.get_by_text("By keyboard is saved.")).to_be_visible()
    expect(page.get_by_text("Online").first).to_be_visible()
