"""Ten tasks, each done by what a stranger reads on the screen, and counted: `docs/tasks.md` has the numbers.

The walks know no code of the pages: roles, labels and texts only. What an exchange's owner would do there is done to
the simulator, and is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from bfai.simulator import Simulator
from tests.browser.talk import settled
from tests.test_alerts import Receiver

pytestmark = pytest.mark.browser

TABLE = Path(__file__).parent.parent.parent / "docs" / "tasks.md"
MASTER = "correct horse battery staple"
LONG = 30_000  # a test of a key on a machine that has much else to do
Count = tuple[int, int]


class Steps:
    """Does as a person does, and counts: clicks, and boxes filled. The Enter that ends a box belongs to it."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.fields = page, 0, 0

    @property
    def count(self) -> Count:
        return self.clicks, self.fields

    def link(self, name: str) -> None:
        self._click(self.page.get_by_role("link", name=name, exact=True).first)

    def button(self, name: str) -> None:
        self._click(self.page.get_by_role("button", name=name, exact=True).first)

    def choose(self, name: str) -> None:
        self._click(self.page.get_by_role("radio", name=name, exact=True))

    def pick(self, opener: Locator, choice: Locator) -> None:
        """Opens a list and takes from it, which is one."""
        opener.click()
        choice.click()
        self.clicks += 1
        quiet(self.page)

    def fill(self, box: Locator, text: str, *, enter: bool = False) -> None:
        box.fill(text)
        if enter:
            expect(self.page.get_by_test_id("InputInstructions")).to_be_visible()  # the page has noticed what was typed
            box.press("Enter")
        self.fields += 1
        quiet(self.page)

    def paste(self, keys: dict[str, str | None]) -> None:
        """A key, as the exchange shows it."""
        text = " ".join(value for value in (keys["apiKey"], keys["secret"], keys["password"]) if value)
        self.fill(self.page.get_by_placeholder("Paste here"), text, enter=True)

    def _click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1
        quiet(self.page)


def quiet(page: Page) -> None:
    """The page has drawn what was asked for; a person waits for that as well."""
    settled(page, LONG / 1000)


def see(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible(timeout=LONG)


def home(page: Page) -> Steps:
    """Every task but the first begins on the first page."""
    page.get_by_role("link", name="Overview", exact=True).first.click()
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    quiet(page)
    return Steps(page)


def all_tested(page: Page, result: str) -> None:
    """What the schedule does every hour, now. Not counted."""
    page.get_by_role("button", name="Test all", exact=True).click()
    see(page, result)
    quiet(page)


def open_vault(page: Page, steps: Steps) -> None:
    steps.button("Open a vault")
    steps.fill(page.get_by_label("Master password", exact=True), MASTER)
    steps.fill(page.get_by_label("Master password, again"), MASTER, enter=True)
    see(page, "Vault open")
    quiet(page)


# -- the tasks ---------------------------------------------------------------------------------------------------------


def connect_first(page: Page, keys: dict[str, str | None]) -> tuple[Count, Count]:
    """From the very first screen, and what of it is left where the vault is open already."""
    first, ready = Steps(page), Steps(page)
    open_vault(page, first)
    ready.choose("Binance")
    ready.paste(keys)
    see(page, "The key works, and it cannot withdraw.")
    ready.button("Save the connection")
    see(page, "Binance Spot Main is saved.")
    return (first.clicks + ready.clicks, first.fields + ready.fields), ready.count


def refused(page: Page, steps: Steps, exchange: str, keys: dict[str, str | None]) -> Count:
    steps.choose(exchange)
    steps.paste(keys)
    see(page, "This key can withdraw your money.")
    see(page, "nothing was saved, nothing was moved")
    return steps.count


def find_wrong_address(page: Page, simulator: Simulator) -> Count:
    home(page)
    simulator.set_address("203.0.113.77")
    all_tested(page, "MEXC saw 203.0.113.77, which is not on this key's list.")
    simulator.set_address(None)  # the trader mends it at the exchange
    steps = Steps(page)
    steps.button("Test all")
    expect(page.get_by_text("not on this key's list")).to_have_count(0, timeout=LONG)
    see(page, "nothing to do")
    return steps.count


def rotate(page: Page, keys: dict[str, str | None]) -> Count:
    steps = home(page)
    steps.link("Connections")
    steps.button("Rotate key")
    steps.paste(keys)
    see(page, "Binance Spot Main has its new key.")
    see(page, f"…{str(keys['apiKey'])[-4:]}")
    return steps.count


def all_histories(page: Page) -> Steps:
    steps = home(page)
    steps.link("Tests & history")
    everything = page.get_by_role("option", name="All connections")
    steps.pick(page.get_by_role("combobox", name="Connection", exact=True).first, everything)
    return steps


def compare(page: Page) -> Count:
    steps = all_histories(page)
    side_by_side = page.get_by_role("region", name="The connections side by side, the least online first")
    expect(side_by_side).to_be_visible(timeout=LONG)
    return steps.count


def set_up_alert(page: Page, receiver: Receiver) -> Count:
    steps = home(page)
    steps.link("Alerts")
    steps.button("Add a channel")
    steps.choose("Webhook")
    steps.fill(page.get_by_label("Name", exact=True), "My server")
    steps.fill(page.get_by_label("Address", exact=True), receiver.address)
    steps.button("Save")
    see(page, "My server is saved.")
    steps.button("Send a test")
    see(page, "The other side took it.")
    assert len(receiver.messages) == 1
    return steps.count


def enable_strategy(page: Page) -> Count:
    steps = home(page)
    steps.link("Strategies")
    steps.button("New strategy")
    steps.button("Remove BTC/USDT")
    steps.pick(page.get_by_role("combobox", name="Pairs"), page.get_by_role("option", name="ETH/USDT", exact=True))
    page.keyboard.press("Escape")  # away from the list
    steps.choose("2 · How much")
    steps.fill(page.get_by_role("spinbutton", name="First order (USDT)"), "20")
    steps.choose("4 · Check and enable")
    steps.button("Save and enable")
    see(page, "is enabled.")
    return steps.count


def state_of_strategy(page: Page, state: str) -> None:
    page.get_by_role("link", name="Strategies", exact=True).first.click()
    see(page, state)
    quiet(page)


def resume_by_address(page: Page, simulator: Simulator) -> Count:
    home(page)
    simulator.set_address("203.0.113.77")
    all_tested(page, "MEXC saw 203.0.113.77")
    state_of_strategy(page, "1 suspended")
    see(page, "It resumes by itself when the connection's test passes again.")
    simulator.set_address(None)
    steps = home(page)
    steps.button("Test all")
    see(page, "nothing to do")
    state_of_strategy(page, "Enabled since")
    return steps.count


def resume_by_new_key(page: Page, keys: dict[str, str | None]) -> Count:
    """The exchange has deleted the key of the strategy's connection."""
    home(page)
    all_tested(page, "Binance refuses and does not say why.")
    state_of_strategy(page, "1 suspended")
    steps = home(page)
    steps.button("How to fix")
    see(page, "Binance refuses and does not say why.")
    steps.button("Rotate key")
    steps.paste(keys)
    see(page, "Binance Spot Main has its new key.")
    state_of_strategy(page, "Enabled since")
    return steps.count


def export_history(page: Page) -> Count:
    steps = all_histories(page)
    expect(page.get_by_role("button", name="Export")).to_be_visible(timeout=LONG)
    quiet(page)
    with page.expect_download() as download:
        steps.pick(page.get_by_role("button", name="Export"), page.get_by_role("button", name="CSV", exact=True))
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("id,connection_id,started_at,status,cause")
    assert any("ip_not_allowed" in line for line in lines)
    page.keyboard.press("Escape")
    return steps.count


def export_strategy(page: Page) -> Count:
    steps = home(page)
    steps.link("Strategies")
    see(page, "1 strategy")
    steps.pick(page.get_by_role("button", name="More"), page.get_by_role("menuitem", name="Export"))
    with page.expect_download() as download:
        steps.button("Download JSON")
    assert "ETH/USDT" in download.value.path().read_text()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    return steps.count


def change_language(page: Page) -> Count:
    steps = home(page)
    steps.choose("NL")
    expect(page.get_by_role("heading", name="Overzicht")).to_be_visible(timeout=LONG)
    return steps.count


# -- the table ---------------------------------------------------------------------------------------------------------


def read_table() -> dict[str, tuple[Count, dict[str, str]]]:
    """Ours and the peers' cells by the number of the task, as the document has them."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    head = rows[0]
    found = {row[0]: (parsed(row[2]), dict(zip(head[3:], row[3:], strict=True))) for row in rows[2:]}
    return {number: (ours, peers) for number, (ours, peers) in found.items() if ours is not None}


def parsed(cell: str) -> Count | None:
    numbers = re.match(r"(\d+) \+ (\d+)", cell)
    return (int(numbers[1]), int(numbers[2])) if numbers else None


@pytest.mark.timeout(300)  # ten walks on one server
def test_the_ten_tasks_take_as_many_steps_as_the_document_says(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    account = {"uid": 354900001, "permissions": "enableReading,enableSpotAndMarginTrading"}
    for name in ("no_futures", "good", "sub_account"):  # three keys of one account, one after the other
        simulator.change_account("binance", name, **account)
    binance, mexc = simulator.accounts["binance"], simulator.accounts["mexc"]
    page = open_app(serve())
    counts: dict[str, Count] = {}
    counts["1a"], counts["1b"] = connect_first(page, binance["no_futures"])

    steps = home(page)
    steps.button("Add a connection")
    counts["2"] = refused(page, steps, "MEXC", mexc["withdraw"])
    simulator.change_account("mexc", "withdraw", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE")
    steps.button("I changed it, test again")
    see(page, "The key works, and it cannot withdraw.")
    steps.button("Save the connection")
    see(page, "MEXC Spot Main is saved.")

    counts["3"] = find_wrong_address(page, simulator)
    counts["4"] = rotate(page, binance["good"])
    counts["5"] = compare(page)
    with closing(Receiver()) as receiver:
        counts["6"] = set_up_alert(page, receiver)
    counts["7"] = enable_strategy(page)
    counts["8a"] = resume_by_address(page, simulator)
    simulator.change_account("binance", "good", status="deleted")
    counts["8b"] = resume_by_new_key(page, binance["sub_account"])
    counts["9a"] = export_history(page)
    counts["9b"] = export_strategy(page)
    counts["10"] = change_language(page)

    table = read_table()
    assert counts == {number: ours for number, (ours, _) in table.items() if number != "2a"}


def test_a_first_key_that_can_withdraw_is_refused_and_forgotten(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator
) -> None:
    page = open_app(serve())
    open_vault(page, Steps(page))
    steps = home(page)
    assert refused(page, steps, "OKX", simulator.accounts["okx"]["withdraw"]) == read_table()["2a"][0]
    steps.button("Forget it now")
    see(page, "Forgotten. The key still works at OKX: delete it there.")
    home(page)
    see(page, "Add your first connection")


def test_every_peer_that_needs_no_more_steps_is_marked_in_the_document() -> None:
    for number, (ours, peers) in read_table().items():
        for peer, cell in peers.items():
            theirs = parsed(cell)
            assert theirs is None or (sum(theirs) <= sum(ours)) == cell.endswith("°"), (number, peer)
