"""A trader backs everything up, loses the computer and the password, and gets all of it back on an empty one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bfai.model import Target
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.browser.test_strategy_walk import run_test
from tests.browser.test_walks import click, settled
from tests.helpers import sample

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "tall green lamp post"


def test_a_lost_computer_and_a_forgotten_password(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator, gateway: Gateway, tmp_path: Path
) -> None:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as workbench:
        workbench.create_vault(PASSWORD)
        draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "no_futures"))
        workbench.start_draft_test(draft.id).wait(30)
        workbench.save_draft(draft.id, name="MEXC Spot Main")
    page = open_app(serve(), "/settings")
    page.get_by_label("Master password", exact=True).fill(PASSWORD)
    click(page, "Unlock")
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    settled(page)

    page.get_by_label("Master password, to make a code").fill(PASSWORD)
    click(page, "Make a recovery code")
    expect(page.get_by_role("heading", name="Recovery code of your vault")).to_be_visible()
    shown = page.locator("h2 code")
    expect(shown).to_have_count(4)
    code = " ".join(shown.all_inner_texts())
    page.emulate_media(media="print")
    expect(page.get_by_label("Type it once, from the paper")).to_be_hidden()
    expect(shown.first).to_be_visible()
    page.emulate_media(media="screen")
    page.get_by_label("Type it once, from the paper").fill(code)
    click(page, "I have it on paper")
    expect(page.get_by_text("From now on this code opens the vault")).to_be_visible()

    click(page, "Make a backup")
    expect(page.get_by_text("It was read again and is whole.")).to_be_visible()
    with page.expect_download() as download:
        click(page, "Download the backup")
    backup = tmp_path / download.value.suggested_filename
    download.value.save_as(backup)

    page = open_app(serve(BFAI_DATABASE_URL=f"sqlite:///{tmp_path}/empty/bfai.db"))
    click(page, "Open a vault")
    click(page, "Restore a backup")
    page.locator("input[type=file]").set_input_files(backup)
    expect(page.get_by_role("button", name=f"Remove {backup.name}")).to_be_visible()
    page.get_by_label("Password of the backup").fill(NEW_PASSWORD)
    click(page, "Look into the backup")
    expect(page.get_by_text("That does not open this backup.")).to_be_visible()
    page.get_by_label("Password of the backup").fill(code)
    click(page, "Look into the backup")
    click(page, "Restore it")
    expect(page.get_by_role("heading", name="The vault is locked")).to_be_visible()
    expect(page.get_by_text("All of it is here and compared.")).to_be_visible()

    page.get_by_text("I forgot the password").click()
    page.get_by_label("Recovery code").fill(code.lower())
    page.get_by_label("New master password", exact=True).fill(NEW_PASSWORD)
    page.get_by_label("New master password, again").fill(NEW_PASSWORD)
    click(page, "Open the vault with the code")
    expect(page.get_by_text("The vault has its new password.")).to_be_visible()
    run_test(page, "Online")
    expect(page.get_by_text("2 tests so far")).to_be_visible()
