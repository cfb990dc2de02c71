"""A trader changes the master password and the lock; the old password opens nothing, and the keys still work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bfai.model import Target
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.browser.talk import settled
from tests.browser.test_strategy_walk import run_test
from tests.browser.test_walks import choose, click
from tests.helpers import sample

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "tall green lamp post"


def test_the_password_and_the_lock_are_changed_and_hold(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator, gateway: Gateway, tmp_path: Path
) -> None:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as workbench:
        workbench.create_vault(PASSWORD)
        draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "no_futures"))
        workbench.start_draft_test(draft.id).wait(30)
        workbench.save_draft(draft.id, name="MEXC Spot Main")
    page = open_app(serve(), "/settings")
    unlock(page, PASSWORD)
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    settled(page)

    choose(page, "The vault locks without a click after", "30 min")
    expect(page.get_by_text("Locks after 30 minutes without a click.")).to_be_visible()
    settled(page)

    page.get_by_label("Present master password").fill(PASSWORD)
    page.get_by_label("New master password", exact=True).fill(NEW_PASSWORD)
    expect(page.get_by_text("hard to guess", exact=False).first).to_be_visible()
    page.get_by_label("New master password, again").fill(NEW_PASSWORD)
    click(page, "Change the password")
    expect(page.get_by_text("The master password is changed.")).to_be_visible()
    for label in ("Present master password", "New master password, again"):
        expect(page.get_by_label(label)).to_have_value("")

    click(page, "Lock now")
    unlock(page, PASSWORD)
    expect(page.get_by_text("That is not the password.")).to_be_visible()
    unlock(page, NEW_PASSWORD)
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    run_test(page, "Online")
    expect(page.get_by_text("2 tests so far")).to_be_visible()


def unlock(page: Page, password: str) -> None:
    page.get_by_label("Master password", exact=True).fill(password)
    click(page, "Unlock")
