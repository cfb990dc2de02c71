"""What a person does to run a strategy: replay, export, start with paper money, reload, stop; on a laptop and a phone.

A small program stands in Freqtrade's place.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bfai.simulator import Simulator
from bfai.strategy.export import CONFIG, STRATEGY_FILE
from bfai.strategy.running import Engines
from tests.browser.talk import settled
from tests.browser.test_history_walk import wait_for_address
from tests.browser.test_walks import add, click, make_vault, shows_no_secret
from tests.engines import stand_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script"),
]


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """Those of the app under test; none is left behind."""
    found = Engines(tmp_path / "engines", python=stand_in(tmp_path))
    yield found
    for strategy_id in found.known():
        found.stop(strategy_id, seconds=1)


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["laptop", "phone"])
def test_from_a_replay_to_an_engine_that_runs(
    serve: Callable[..., Any],
    open_app: Callable[..., Page],
    simulator: Simulator,
    engines: Engines,
    tmp_path: Path,
    width: int,
    height: int,
) -> None:
    server = serve(BFAI_FREQTRADE_PYTHON=str(engines.python), BFAI_ENGINE_HOME=str(engines.home))
    page = open_app(server, viewport={"width": 1280, "height": 900})
    make_vault(page)
    secrets = add(page, simulator, "mexc", "no_futures")
    click(page, "Save the connection")
    expect(page.get_by_text("MEXC Spot Main is saved.")).to_be_visible()
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{server.address}/strategies")
    settled(page)

    # A new strategy, saved, and replayed.
    click(page, "New strategy")
    expect(page.get_by_text("Covers a fall of").first).to_be_visible()
    click(page, "Save draft")
    page.get_by_role("radio", name="Replay").click()
    settled(page)
    expect(page.get_by_test_id("stMetric")).to_have_count(8)

    # What is different in Freqtrade is told; the files can be had at once, and no key is in them.
    page.get_by_role("radio", name="Run", exact=True).click()
    settled(page)
    expect(page.get_by_text("What is different in Freqtrade")).to_be_visible()
    expect(page.get_by_text("It is not enabled.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download for Freqtrade").click()
    given = tmp_path / "given.zip"
    download.value.save_as(given)
    with zipfile.ZipFile(given) as archive:
        assert sorted(archive.namelist()) == [CONFIG, STRATEGY_FILE]
        whole = b"".join(archive.read(name) for name in archive.namelist())
        assert json.loads(archive.read(CONFIG))["dry_run"] is True
    for secret in secrets:
        assert secret.encode() not in whole

    # Enabled and started. It holds a group, and says so.
    page.get_by_test_id("stMain").get_by_role("button", name="Enable", exact=True).click()
    click(page, "Start with paper money")
    expect(page.get_by_text("runs with paper money.")).to_be_visible()
    expect(page.get_by_text("It may open new groups.")).to_be_visible()
    groups = page.get_by_test_id("stTable").filter(has_text="BTC/USDT")
    expect(groups).to_be_visible()
    settled(page)
    page.get_by_text("Log", exact=True).click()
    expect(page.get_by_text("Bot heartbeat")).to_be_visible()
    expect(page.get_by_text("mx0-test-key")).to_have_count(0)
    shows_no_secret(page, secrets)
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # What it does is followed without a click.
    address = wait_for_address(page, "strategy", "view")
    (strategy_id,) = engines.known()
    assert address["strategy"] == strategy_id and engines.runs(strategy_id)
    pid = engines.status(strategy_id).pid
    with (engines.folder(strategy_id) / "engine.log").open("a") as log:
        log.write("Something new happened.\n")
    expect(page.get_by_text("Something new happened.")).to_be_visible()

    # The page is loaded anew: the engine goes on, and is found.
    page.reload()
    settled(page)
    expect(page.get_by_text("It may open new groups.")).to_be_visible()
    expect(groups).to_be_visible()
    assert engines.status(strategy_id).pid == pid
    click(page, "All strategies")
    expect(page.get_by_text("Runs with paper money")).to_be_visible()
    click(page, "Open")
    page.get_by_role("radio", name="Run", exact=True).click()
    settled(page)

    # Stopped: its group stays in the paper book.
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()  # Streamlit has one, too
    expect(page.get_by_text("1 group is open in its paper book.")).to_be_visible()
    expect(page.get_by_role("button", name="Start with paper money")).to_be_visible()
    assert not engines.runs(strategy_id)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for path in engines.folder(strategy_id).rglob("*"):
        if path.is_file():
            for secret in secrets:
                assert secret.encode() not in path.read_bytes(), path
