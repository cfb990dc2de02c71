"""What a person does with a strategy, by the visible texts: risk level, slider, a mistake mended, states, revisions."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from bfai.simulator import Simulator
from tests.browser.talk import settled
from tests.browser.test_walks import add, click, make_vault

pytestmark = pytest.mark.browser


def visit(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=name).click()
    settled(page)


def connected(page: Page, simulator: Simulator) -> Page:
    """A new vault with one good connection."""
    make_vault(page)
    add(page, simulator, "mexc", "no_futures")
    expect(page.get_by_text("The key works, and it cannot withdraw.")).to_be_visible()
    click(page, "Save the connection")
    expect(page.get_by_text("MEXC Spot Main is saved.")).to_be_visible()
    return page


def run_test(page: Page, status: str) -> None:
    """Tests the one connection there is, to its new status."""
    visit(page, "Overview")
    click(page, "Test all")
    expect(page.get_by_test_id("stMain").get_by_text(f"{status} 1")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Reading what the key may do.")).to_have_count(0)
    settled(page)


def test_a_strategy_from_risk_level_to_revisions(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    page = connected(open_app(serve()), simulator)

    # A quick hand on a slow line: a number that the browser has not drawn yet is not taken for emptied.
    visit(page, "Strategies")
    click(page, "New strategy")
    expect(page.get_by_text("Freqtrade runs on MEXC spot")).to_be_visible()
    expect(page.get_by_text("Covers a fall of").first).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/NumberInput.*.js", hold)
    page.get_by_role("radio", name=re.compile("Add-ons and exit")).click()
    slider = page.get_by_role("slider", name="Number of add-ons")
    slider.press("ArrowLeft")
    expect(slider).to_have_value("5")
    expect(page.get_by_role("img", name="A ladder of 5 add-ons")).to_be_visible()
    settled(page)
    assert held
    page.unroute("**/NumberInput.*.js")  # it arrives
    page.get_by_text("Advanced: when a group may begin").click()
    for field, value in (("Widest spread (%)", "0.5"), ("Wait after a group has closed (s)", "60")):
        expect(page.get_by_label(field, exact=True)).to_have_value(value)
    slider.press("ArrowRight")
    expect(page.get_by_role("img", name="A ladder of 6 add-ons")).to_be_visible()
    expect(page.get_by_label("Widest spread (%)", exact=True)).to_have_value("0.5")

    # A risk level fills the fields; a slider that moves makes it custom, and the preview moves with it.
    click(page, "Back")
    page.get_by_role("radio", name="Aggressive").click()
    expect(page.get_by_role("textbox", name="Margin limit: USDT")).to_have_value("50%")
    click(page, "Go on")
    expect(slider).to_have_value("6")
    expect(page.get_by_role("img", name="A ladder of 6 add-ons")).to_be_visible()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(slider).to_have_value("4")
    expect(page.get_by_role("img", name="A ladder of 4 add-ons")).to_be_visible()
    settled(page)
    click(page, "Back")
    expect(page.get_by_text("Custom (from aggressive): 1 field changed")).to_be_visible()

    # Too large a first order: said beside the field, mended by the suggested change.
    first = page.get_by_role("spinbutton", name="First order (USDT)")
    first.fill("2000")
    first.press("Enter")
    expect(page.get_by_text(re.compile("things to mend. One change mends them all."))).to_be_visible()
    expect(page.get_by_text(re.compile("is free for")).first).to_be_visible()
    page.locator(".st-key-fix_everything").get_by_role("button").click()
    expect(page.get_by_text(re.compile("things? to mend"))).to_have_count(0)
    expect(first).not_to_have_value("2000")

    # Enabled.
    page.get_by_role("radio", name=re.compile("Check and enable")).click()
    settled(page)
    name = page.get_by_label("Name", exact=True)
    name.fill("Dips")
    name.press("Tab")
    settled(page)
    click(page, "Save and enable")
    expect(page.get_by_text("Dips is enabled.")).to_be_visible()

    # A test that fails suspends it and says why; the next one that passes resumes it.
    simulator.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ")
    run_test(page, "Failed")
    visit(page, "Strategies")
    expect(page.get_by_text(re.compile("Suspended$"))).to_be_visible()
    expect(page.get_by_text(re.compile("The last test of MEXC Spot Main failed"))).to_be_visible()
    expect(page.get_by_text("It resumes by itself")).to_be_visible()
    simulator.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE")
    run_test(page, "Online")
    visit(page, "Strategies")
    expect(page.get_by_text(re.compile("Enabled$"))).to_be_visible()

    # A name that is taken is said where it is typed.
    click(page, "More")
    page.get_by_role("menuitem", name="Duplicate").or_(page.get_by_role("option", name="Duplicate")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("dips")
    dialog.get_by_label("Name", exact=True).press("Tab")
    dialog.get_by_role("button", name="Duplicate").click()
    expect(dialog.get_by_text("A strategy named Dips exists already.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    # A second revision, compared with the first and taken back.
    click(page, "Open")
    page.get_by_role("radio", name=re.compile("Add-ons and exit")).click()
    expect(slider).to_have_value("4")
    slider.press("ArrowLeft")
    expect(page.get_by_text("changes not saved")).to_be_visible()
    click(page, "Save revision 2")
    expect(page.get_by_text("changes not saved")).to_have_count(0)
    page.get_by_role("radio", name="Revisions").click()
    row = page.get_by_test_id("stTable").get_by_role("row").filter(has_text="Number of add-ons")
    expect(row).to_contain_text("4")
    expect(row).to_contain_text("3")
    click(page, "Restore")
    expect(page.get_by_text("Revision 1 stands again, as revision 3.")).to_be_visible()
    page.get_by_role("radio", name="Edit").click()
    page.get_by_role("radio", name=re.compile("Add-ons and exit")).click()
    expect(slider).to_have_value("4")
    expect(page.get_by_text(re.compile("Enabled$"))).to_be_visible()


def at_once(page: Page, *names: tuple[str, str]) -> None:
    """Clicks one after another before the program has answered the first."""
    page.evaluate(
        """(names) => {
            const found = names.map(([role, name]) => [...document.querySelectorAll(role)].find(
                (one) => one.textContent.trim().endsWith(name)));
            for (const one of found) one.click();
        }""",
        [list(name) for name in names],
    )
    settled(page)


def test_clicks_in_quick_succession_undo_nothing(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    page = connected(open_app(serve()), simulator)
    visit(page, "Strategies")
    click(page, "New strategy")
    expect(page.get_by_text("Covers a fall of").first).to_be_visible()
    settled(page)

    # Saved, and gone to another part before the page has learned its new address.
    at_once(page, ("button", "Save draft"), ("[role=radio]", "Run"))
    expect(page.get_by_text("What is different in Freqtrade")).to_be_visible()
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("MEXC strategy")
    expect(page.get_by_text("A new strategy, not saved yet")).to_have_count(0)
    assert "strategy=new" not in page.url

    # The link of the page itself leads to its list; Back and Forward go where they say.
    opened = page.url
    visit(page, "Strategies")
    expect(page.get_by_role("button", name="New strategy")).to_be_visible()
    page.wait_for_url(re.compile("/strategies$"))
    page.go_back()
    expect(title).to_have_text("MEXC strategy")
    assert page.url == opened
    page.go_forward()
    expect(page.get_by_role("button", name="New strategy")).to_be_visible()
    settled(page)

    # Opened, and the page's clock asks at the same time: the list does not come back.
    click(page, "Open")
    expect(title).to_have_text("MEXC strategy")
    page.reload()
    expect(title).to_have_text("MEXC strategy")
