"""What a person does, from the visible texts: first start to online, a refusal mended, and every common failure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bfai.exchanges import all_exchanges
from bfai.simulator import Simulator
from tests.browser.talk import settled

pytestmark = pytest.mark.browser

MASTER = "correct horse battery staple"


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()
    settled(page)


def choose(page: Page, label: str, option: str) -> None:
    """One of a select box, by what stands on the screen."""
    settled(page)  # drawing anew would close the list, and so would scrolling: the keyboard does neither
    box = page.get_by_test_id("stMain").get_by_role("combobox", name=label, exact=True)
    box.focus()
    box.press_sequentially(option.split(maxsplit=1)[0])
    page.get_by_role("option", name=option).first.click()
    settled(page)


def make_vault(page: Page) -> None:
    click(page, "Open a vault")
    page.get_by_label("Master password", exact=True).fill(MASTER)
    page.get_by_label("Master password, again").fill(MASTER)
    click(page, "Open the vault")
    expect(page.get_by_text("Vault open")).to_be_visible()


def to_paste(page: Page, exchange: str, market: str = "Spot") -> None:
    """From the list of connections to the paste box."""
    expect(page.get_by_text(re.compile("^Step 1 of"))).to_be_visible()
    page.get_by_role("radio", name=exchange, exact=True).click()
    expect(page.get_by_text("1 · Tick these boxes")).to_be_visible()
    settled(page)
    if market != "Spot":
        page.get_by_role("radio", name=market, exact=True).click()
        settled(page)


def paste(page: Page, simulator: Simulator, exchange: str, account: str, **changes: str) -> list[str]:
    """Pastes a sample key, as the exchange's page shows it, and gives its secrets."""
    keys = {**simulator.accounts[exchange][account], **changes}
    values = [value for value in (keys["apiKey"], keys["secret"], keys["password"]) if value]
    page.get_by_placeholder("Paste here").fill(" ".join(values))
    page.get_by_role("button", name="Test this key").click()
    return values


def shows_no_secret(page: Page, secrets: list[str]) -> None:
    content = page.content() + "".join(
        str(value) for value in page.eval_on_selector_all("input", "boxes => boxes.map(box => box.value)")
    )
    for secret in secrets:
        assert secret not in content


def add(
    page: Page, simulator: Simulator, exchange: str, account: str, market: str = "Spot", **changes: str
) -> list[str]:
    page.get_by_role("button", name="Add a connection").first.click()
    to_paste(page, all_exchanges()[exchange].name, market)
    return paste(page, simulator, exchange, account, **changes)


def test_the_button_stays_under_the_pointer_while_a_password_is_typed(
    serve: Callable[..., object], open_app: Callable[..., Page]
) -> None:
    """A click is lost where its button moves between press and release."""
    page = open_app(serve())
    click(page, "Open a vault")
    button = page.get_by_role("button", name="Open the vault", exact=True)
    expect(page.get_by_text("At least 10 characters.")).to_be_visible()
    before = button.bounding_box()
    page.get_by_label("Master password", exact=True).fill(MASTER)
    expect(page.get_by_text("Very hard to guess")).to_be_visible()
    settled(page)
    assert button.bounding_box() == before


def test_from_first_start_to_online_refusal_and_every_failure(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator, tmp_path: Path
) -> None:
    server = serve()
    page = open_app(server)
    expect(page.get_by_role("heading", name="Is this API key safe for a bot?")).to_be_visible()
    make_vault(page)

    # A good key: check by check to Online, saved under the suggested name.
    secrets = add(page, simulator, "mexc", "no_futures")
    expect(page.get_by_text("The key works, and it cannot withdraw.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("MEXC Spot Main")
    shows_no_secret(page, secrets)
    click(page, "Save the connection")
    expect(page.get_by_text("MEXC Spot Main is saved.")).to_be_visible()
    expect(page.get_by_text(f"…{secrets[0][-4:]}").first).to_be_visible()
    shows_no_secret(page, secrets)

    # A key that can withdraw is refused; changed at the exchange it passes by "test again".
    secrets = add(page, simulator, "mexc", "withdraw")
    expect(page.get_by_text("This key can withdraw your money.")).to_be_visible()
    expect(page.get_by_text("nothing was saved, nothing was moved")).to_be_visible()
    expect(page.get_by_text("SPOT_WITHDRAW_WRITE").first).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=False)).to_have_count(0)
    shows_no_secret(page, secrets)
    simulator.change_account("mexc", "withdraw", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE")
    click(page, "I changed it, test again")
    expect(page.get_by_text("The key works, and it cannot withdraw.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Mended key")
    page.get_by_label("Name", exact=True).press("Tab")
    settled(page)
    click(page, "Save the connection")
    expect(page.get_by_text("Mended key is saved.")).to_be_visible()

    # A wrong address: the one that was seen stands there to be copied.
    simulator.set_address("203.0.113.77")
    add(page, simulator, "kucoin", "good")
    expect(page.get_by_text("KuCoin does not accept your address")).to_be_visible()
    expect(page.get_by_text("203.0.113.77").first).to_be_visible()
    expect(page.get_by_role("link", name="Open key list at KuCoin")).to_be_visible()
    page.get_by_role("link", name="Guide for KuCoin").click()
    expect(page.get_by_role("heading", name="The key at KuCoin")).to_be_visible()
    expect(page.get_by_text("203.0.113.77").first).to_be_visible()
    page.get_by_role("link", name="Connections").first.click()
    expect(page.get_by_text("KuCoin does not accept your address")).to_be_visible()
    simulator.set_address(None)
    click(page, "I changed it, test again")
    expect(page.get_by_text("The key works.", exact=False).first).to_be_visible()
    click(page, "Save the connection")

    # A wrong passphrase.
    page.get_by_role("button", name="Add a connection").first.click()
    to_paste(page, "KuCoin", "Futures")
    paste(page, simulator, "kucoin", "no_futures", password="not-the-one")
    expect(page.get_by_text("The passphrase does not fit the key")).to_be_visible()
    click(page, "Forget it now")
    expect(page.get_by_text("Forgotten.")).to_be_visible()

    # The exchange is down; it may be kept, because that passes by itself.
    simulator.set_faults([{"exchange": "kucoin", "kind": "maintenance"}])
    add(page, simulator, "kucoin", "sub_account")
    expect(page.get_by_text("KuCoin is not available")).to_be_visible()
    simulator.set_faults([])
    page.get_by_role("button", name=re.compile("test again", re.IGNORECASE)).click(timeout=40_000)
    expect(page.get_by_text("The key works.", exact=False).first).to_be_visible(timeout=90_000)

    for file in tmp_path.glob("*"):
        assert secrets[1].encode() not in file.read_bytes(), file


def test_the_guide_of_an_exchange_is_one_page_on_paper(
    serve: Callable[..., object], open_app: Callable[..., Page]
) -> None:
    page = open_app(serve(local=False), "/guide")
    expect(page.get_by_role("radio", name="Gate.io")).to_be_visible(timeout=60_000)  # the demo tests its keys first
    settled(page)
    page.get_by_role("radio", name="Gate.io").click()  # the exchange with the most boxes
    expect(page.get_by_role("heading", name="The key at Gate.io")).to_be_visible()
    expect(page.get_by_role("heading", name="What can go wrong")).to_be_visible()
    expect(page.get_by_text("Request IP not in whitelist", exact=False)).to_be_visible()
    settled(page)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1
    page.emulate_media(media="print")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_role("button", name="All exchanges")).to_be_hidden()
    page.emulate_media(media="screen")
    page.reload()
    expect(page.get_by_role("heading", name="The key at Gate.io")).to_be_visible()
    click(page, "All exchanges")
    expect(page.get_by_role("heading", name="The key, exchange by exchange")).to_be_visible()


def test_junk_is_named_before_anything_is_sent(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    page = open_app(serve())
    click(page, "Check one key, store nothing")
    to_paste(page, "KuCoin")
    page.get_by_placeholder("Paste here").fill("6705f5c311545b000157d3eb")
    page.get_by_role("button", name="Test this key").click()
    expect(page.get_by_text("not found").first).to_be_visible()
    assert not [seen for seen in simulator.seen if seen["account"]]
    paste(page, simulator, "kucoin", "good")
    expect(page.get_by_text("They could not withdraw it.")).to_be_visible()
    expect(page.get_by_role("button", name="Save the connection")).to_have_count(0)
    click(page, "Forget the key and end")
    expect(page.get_by_role("heading", name="Is this API key safe for a bot?")).to_be_visible()


def test_the_vault_locks_and_opens(serve: Callable[..., object], open_app: Callable[..., Page]) -> None:
    server = serve()
    page = open_app(server)
    make_vault(page)
    page.reload()
    expect(page.get_by_text("Vault open")).to_be_visible()
    click(page, "Lock now")
    expect(page.get_by_role("heading", name="The vault is locked")).to_be_visible()
    for _ in range(3):
        page.get_by_label("Master password", exact=True).fill("not the password")
        page.get_by_role("button", name="Unlock").click()
        expect(page.get_by_text("That is not the password").first).to_be_visible()
    expect(page.get_by_text("Next try in")).to_be_visible()
    expect(page.get_by_role("button", name="Unlock")).to_be_enabled(timeout=15_000)
    page.get_by_label("Master password", exact=True).fill(MASTER)
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("Vault open")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/connections", "/history", "/strategies", "/guide"])
def test_a_cold_deep_link_shows_nothing_while_locked(
    serve: Callable[..., object], open_app: Callable[..., Page], path: str
) -> None:
    """The very first request of a fresh server goes to this page."""
    server = serve()
    page = open_app(server)
    make_vault(page)
    server.stop()  # type: ignore[attr-defined]
    fresh = serve()
    page = open_app(fresh, path)
    expect(page.get_by_role("heading", name="The vault is locked")).to_be_visible()
    assert page.get_by_test_id("stPageLink").count() == 0
    assert page.get_by_role("button", name="Add a connection").count() == 0


TOUR = {
    "nl-NL": ("Simulator", "Overzicht", "Geblokkeerd"),
    "hr-HR": ("Simulator", "Pregled", "Blokirano"),
    "en-GB": ("Simulator", "Overview", "Blocked"),
}


@pytest.mark.parametrize("locale", list(TOUR))
def test_the_tour_is_one_click(serve: Callable[..., object], open_app: Callable[..., Page], locale: str) -> None:
    simulator, overview, blocked = TOUR[locale]
    page = open_app(serve(BFAI_GATEWAY="", BFAI_GATEWAY_CA=""), locale=locale)
    page.locator(".st-key-door_0 button").click()
    expect(page.get_by_role("heading", name=overview)).to_be_visible()
    expect(page.get_by_text(blocked).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text(simulator).first).to_be_visible()
    for path in ("connections", "history", "guide"):
        page.get_by_test_id("stSidebar").locator(f"a[href*='{path}']").click()
        settled(page)
        expect(page.get_by_text(simulator).first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_deployed_without_settings_it_is_the_demo(
    serve: Callable[..., object], open_app: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_app(serve(local=False, BFAI_GATEWAY="", BFAI_GATEWAY_CA=""))
    expect(page.get_by_text("Never type a real key here.")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("button", name="Open a vault")).to_have_count(0)
    assert list(tmp_path.glob("bfai.db*")) == [], "nothing is kept on a disk"


def test_one_connection_on_each_of_the_ten(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    """From the wizard to a saved connection with its status, exchange by exchange."""
    page = open_app(serve())
    make_vault(page)
    names = {exchange.id: exchange.name for exchange in all_exchanges().values()}
    assert len(names) == 10
    for exchange, name in names.items():
        page.get_by_role("button", name="Add a connection").first.click()
        to_paste(page, name)
        expect(page.get_by_text("never", exact=True).first).to_be_visible()  # beside the box to withdraw
        secrets = paste(page, simulator, exchange, "good")
        if exchange == "gate":  # nobody can tell whether its keys can withdraw: the trader looks
            expect(page.get_by_text("Gate.io does not tell whether this key can withdraw.")).to_be_visible()
            page.get_by_text("the box to withdraw is empty", exact=False).click()
            settled(page)
            click(page, "Confirm that it cannot withdraw")
        expect(page.get_by_label("Name", exact=True)).to_have_value(f"{name} Spot Main")
        shows_no_secret(page, secrets)
        click(page, "Save the connection")
        expect(page.get_by_text(f"{name} Spot Main is saved.")).to_be_visible()
        settled(page)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("10 connections", exact=False).first).to_be_visible()
    for name in names.values():
        expect(page.get_by_text(f"{name} Spot Main", exact=True).first).to_be_visible()
    assert not simulator.violations
