"""A nervous owner waits at the lock, where nothing jumps, renews the key, reads what was done, and deletes it all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bfai.model import Target, utc_now
from bfai.simulator import Simulator
from bfai.store import open_store
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.browser.talk import settled
from tests.browser.test_settings_walk import PASSWORD, unlock
from tests.browser.test_walks import click
from tests.helpers import sample

pytestmark = pytest.mark.browser
TOO_MANY = "Too many attempts with a wrong password. Next try in"


def test_the_lock_counts_down_the_key_is_renewed_and_everything_deleted(
    serve: Callable[..., object], open_app: Callable[..., Page], simulator: Simulator, gateway: Gateway, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    with Workbench.local(url, gateway=gateway) as workbench:
        workbench.create_vault(PASSWORD)
        draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "no_futures"))
        workbench.start_draft_test(draft.id).wait(30)
        workbench.save_draft(draft.id, name="MEXC Spot Main")
    server = serve()
    store = open_store(url)
    assert store.set_unlock_failures(0, 12, utc_now())  # a wait of five minutes, from another window
    page = open_app(server, "/settings")
    told = page.get_by_text(TOO_MANY)
    expect(told).to_be_visible()
    button = page.get_by_role("button", name="Unlock", exact=True)
    expect(button).to_be_disabled()
    expect(page.get_by_label("Master password", exact=True)).to_be_visible()  # Streamlit loads what draws it apart
    before, first = button.bounding_box(), told.inner_text()
    expect(told).not_to_have_text(first)
    assert 0 < int(re.findall(r"\d+", told.inner_text())[-1]) < 300
    assert store.set_unlock_failures(12, 1, utc_now())
    expect(page.get_by_text("You can try again now.")).to_be_visible()
    expect(button).to_be_enabled()
    assert button.bounding_box() == before, "nothing moved under the pointer"
    unlock(page, PASSWORD)
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    settled(page)

    page.get_by_label("Master password", exact=True).fill(PASSWORD)
    click(page, "Renew the key")
    expect(page.get_by_text("The key is renewed, and 1 connection is sealed anew.")).to_be_visible()
    page.get_by_role("link", name="To the audit trail").click()
    expect(page.get_by_text("The vault's key was renewed: 1 connection sealed anew.")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
        page.get_by_role("button", name="CSV").click()
    assert "The vault was made." in Path(saved.value.path()).read_text(encoding="utf-8")

    page.get_by_test_id("stSidebar").get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Delete everything", exact=True)).to_be_visible()
    settled(page)
    click(page, "Delete everything…")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Key list at MEXC")).to_have_attribute("href", re.compile("mexc"))
    dialog.get_by_label("Type DELETE to go on").fill("delete")
    dialog.get_by_role("button", name="Delete everything").click()
    expect(dialog.get_by_text("Nothing is deleted.")).to_be_visible()
    dialog.get_by_label("Type DELETE to go on").fill("DELETE")
    dialog.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_text("Is this API key safe for a bot?")).to_be_visible()
    expect(page.get_by_text("Everything is deleted here.")).to_be_visible()
    assert store.vault() is None
    assert store.connections() == []
    store.close()
