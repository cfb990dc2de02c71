"""What a person does with a replay: look, filter, look closer, try other values, compare; on a laptop and a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bfai.simulator import Simulator
from tests.browser.talk import settled
from tests.browser.test_history_walk import wait_for_address
from tests.browser.test_walks import add, choose, click, make_vault

pytestmark = pytest.mark.browser

MOST_BYTES = 300_000


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["laptop", "phone"])
def test_a_replay_from_sample_data_to_a_better_revision(
    serve: Callable[..., Any], open_app: Callable[..., Page], simulator: Simulator, width: int, height: int
) -> None:
    server = serve()
    page = open_app(server, viewport={"width": 1280, "height": 900})
    make_vault(page)
    add(page, simulator, "mexc", "no_futures")
    click(page, "Save the connection")
    expect(page.get_by_text("MEXC Spot Main is saved.")).to_be_visible()
    page.set_viewport_size({"width": width, "height": height})
    frames: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data))))
    page.goto(f"{server.address}/strategies")
    settled(page)

    # A new strategy, replayed before it is saved.
    click(page, "New strategy")
    expect(page.get_by_text("Covers a fall of").first).to_be_visible()
    page.get_by_role("radio", name="Replay").click()
    expect(page.get_by_text("No market ever did this.")).to_be_visible()
    expect(page.get_by_text(re.compile("no order book, no funding, no delay, no promise"))).to_be_visible()
    expect(page.get_by_role("img", name="Candles of BTC")).to_be_visible()
    expect(page.get_by_test_id("stMetric")).to_have_count(8)
    click(page, "Save draft")
    expect(page.get_by_role("radio", name="Revisions")).to_be_visible()
    wait_for_address(page, "strategy", "view")

    # The log, filtered; a line of it, looked at in the picture; and back.
    page.wait_for_function("() => new URLSearchParams(location.search).get('strategy') !== 'new'")
    told = page.get_by_text(re.compile(r"1 to 12 of \d+\."))
    expect(told).to_be_visible()
    before = told.inner_text()
    expect(page.get_by_test_id("stMetric")).to_have_count(8)
    choose(page, "What", "Add-on")
    page.keyboard.press("Escape")
    expect(told).not_to_have_text(before)
    settled(page)
    page.get_by_test_id("stDataFrame").last.click(position={"x": 17, "y": 35 * 1.5})
    address = wait_for_address(page, "from", "to")
    settled(page)
    expect(page.get_by_role("img", name=re.compile("In view: .*add-on"))).to_be_visible()
    page.get_by_role("link", name="picture above").click()
    expect(page.get_by_role("heading", name="Prices and equity")).to_be_in_viewport()
    click(page, "Later ›")
    page.wait_for_function("before => !location.search.includes(encodeURIComponent(before))", arg=address["from"])
    click(page, "All")
    page.wait_for_function("() => !location.search.includes('from=')")

    # A small grid; a cell that is clicked is chosen, clicked again it is not; the best values into the fields.
    page.get_by_role("radio", name="Try other values").click()
    page.get_by_role("radio", name="3", exact=True).click()
    click(page, "Try 9 combinations")
    expect(page.get_by_text(re.compile("Best of 9: "))).to_be_visible(timeout=60_000)
    expect(page.get_by_text("which had no say, it made", exact=False)).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Second part: it checks: 9 cells"))).to_be_visible()
    part = page.locator("[aria-label^='First part: it chooses']").first
    for chosen in ("Put the chosen values into the fields", "Put the best values into the fields"):
        settled(page)
        part.scroll_into_view_if_needed()
        box = part.bounding_box()
        assert box is not None
        part.click(position={"x": box["width"] - 30, "y": 25})  # the upper right one
        expect(page.get_by_role("button", name=chosen)).to_be_visible()
    click(page, "Put the best values into the fields")
    expect(page.get_by_text("changes not saved")).to_be_visible()
    click(page, "Save revision 2")
    expect(page.get_by_text("changes not saved")).to_have_count(0)

    # Both revisions side by side.
    choose(page, "Compare with", "Revision 1")
    figures = page.get_by_test_id("stTable").filter(has_text="Difference")
    expect(figures.get_by_role("row").filter(has_text="Result, USDT")).to_be_visible()
    expect(page.get_by_text("equity: Revision 1")).to_be_visible()

    # Nothing is wider than the screen, and no picture was large.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert max(frames) < MOST_BYTES
