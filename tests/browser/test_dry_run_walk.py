"""The whole way on the page with the real Freqtrade on a simulated exchange: from a pasted key to the stop button.

Minutes of a simulated market: its price is set here, and Freqtrade asks for it every second.
"""

from __future__ import annotations

import json
import re
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from bfai.simulator import Simulator
from bfai.strategy.export import CONFIG, STRATEGY_FILE
from bfai.strategy.parameters import export_text
from bfai.strategy.running import Engines
from tests.browser.talk import settled
from tests.browser.test_strategy_walk import run_test, visit
from tests.browser.test_walks import MASTER, add, choose, click, make_vault, shows_no_secret
from tests.engines import Price, holding, in_no_file, needs_shell, parity, quick, redirected

pytestmark = [pytest.mark.browser, *parity, needs_shell]

SOON = 60_000
"""Freqtrade takes its time: it begins in ten seconds, and leaves a pair alone until its candle is over."""


@pytest.fixture
def engines(tmp_path: Path, simulator: Simulator) -> Iterator[Engines]:
    """Those of the app under test; none is left behind."""
    fast = {"FREQTRADE__EXCHANGE__ENABLE_WS": "false", "FREQTRADE__INTERNALS__PROCESS_THROTTLE_SECS": "1"}
    found = Engines(tmp_path / "engines", python=redirected(tmp_path, simulator, **fast))
    yield found
    for strategy_id in found.known():
        found.stop(strategy_id, seconds=5)


def metric(page: Page, label: str) -> Locator:
    """The value of one of the figures."""
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def to_run(page: Page) -> None:
    """From any page to the Run view of the only strategy."""
    visit(page, "Strategies")
    click(page, "Open")
    page.get_by_role("radio", name="Run", exact=True).click()
    settled(page)


def test_a_group_opens_adds_and_closes_on_the_page(
    serve: Callable[..., Any],
    open_app: Callable[..., Page],
    simulator: Simulator,
    engines: Engines,
    tmp_path: Path,
) -> None:
    price = Price(simulator, "64000.0")
    server = serve(BFAI_FREQTRADE_PYTHON=str(engines.python), BFAI_ENGINE_HOME=str(engines.home))
    page = open_app(server)
    make_vault(page)
    secrets = add(page, simulator, "binance", "no_futures")
    expect(page.get_by_text("The key works, and it cannot withdraw.")).to_be_visible()
    click(page, "Save the connection")
    expect(page.get_by_text("Binance Spot Main is saved.")).to_be_visible()

    # A strategy from a file, replayed; a second revision, beside the first.
    visit(page, "Strategies")
    click(page, "Import")
    page.get_by_label("Or its text").fill(export_text("Quick", quick("BTC/USDT"), 1))
    page.get_by_label("Or its text").press("Tab")
    settled(page)
    click(page, "Import it")
    expect(page.get_by_text("Quick is imported, as a draft.")).to_be_visible()
    page.get_by_role("radio", name=re.compile("Add-ons and exit")).click()
    target = page.get_by_role("slider", name="Take profit")
    expect(target).to_have_value("0.3")
    target.press("ArrowRight")
    click(page, "Save revision 2")
    expect(page.get_by_text("changes not saved")).to_have_count(0)
    page.get_by_role("radio", name="Replay").click()
    expect(page.get_by_test_id("stMetric")).to_have_count(8)
    choose(page, "Compare with", "Revision 1")
    figures = page.get_by_test_id("stTable").filter(has_text="Difference")
    expect(figures.get_by_role("row").filter(has_text="Result, USDT")).to_be_visible()

    # The export holds no key and says paper money.
    page.get_by_role("radio", name="Run", exact=True).click()
    choose(page, "Candles", "1m")
    expect(page.get_by_test_id("stMain").get_by_role("combobox", name="Candles")).to_have_value("1m")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download for Freqtrade").click()
    download.value.save_as(tmp_path / "given.zip")
    with zipfile.ZipFile(tmp_path / "given.zip") as archive:
        assert sorted(archive.namelist()) == [CONFIG, STRATEGY_FILE]
        archive.extractall(tmp_path / "given")
    assert json.loads((tmp_path / "given" / CONFIG).read_text())["dry_run"] is True

    # Started: a group opens.
    began = time.perf_counter()
    page.get_by_test_id("stMain").get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_text("Quick is enabled.")).to_be_visible()
    click(page, "Start with paper money")
    expect(page.get_by_text("Quick runs with paper money.")).to_be_visible()
    group = page.get_by_test_id("stTable").get_by_role("row").filter(has_text="BTC/USDT")
    expect(group).to_be_visible(timeout=SOON)
    expect(group.get_by_role("cell").nth(1)).to_have_text("1")
    (strategy_id,) = engines.known()
    page.get_by_text("Log", exact=True).click()
    log = page.get_by_test_id("stExpander").filter(has_text="without secrets")
    expect(log).to_contain_text("bfai BTC/USDT opened")

    # It adds below the first step, and the page follows.
    price.now = price.now - 400
    expect(group.get_by_role("cell").nth(1)).to_have_text("2", timeout=SOON)
    shows_no_secret(page, secrets)

    # Suspended: its group still closes with profit, and nothing new begins.
    simulator.change_account("binance", "no_futures", status="deleted")
    run_test(page, "Failed")
    to_run(page)
    expect(page.get_by_text("Suspended: it opens no new groups.")).to_be_visible()
    price.now = price.now + 1400
    expect(metric(page, "Closed groups")).to_have_text("1", timeout=SOON)
    expect(metric(page, "Open groups")).to_have_text("0")
    expect(metric(page, "Their profit")).to_have_text(re.compile(r"^[0-9.]+$"))
    page.get_by_text("Log", exact=True).click()
    expect(log).to_contain_text("bfai BTC/USDT blocked connection", timeout=SOON)
    assert not engines.status(strategy_id).groups

    # The key works again, and the engine goes on by itself.
    simulator.change_account("binance", "no_futures", status="active")
    run_test(page, "Online")
    to_run(page)
    expect(page.get_by_text("It may open new groups.")).to_be_visible()
    expect(group).to_be_visible(timeout=SOON)

    # Disabled, it opens nothing new either. The button stops it; what is open stays in the paper book.
    click(page, "Disable")
    expect(page.get_by_text("Disabled: it opens no new groups.")).to_be_visible()
    for what in ("cmdline", "environ"):
        assert holding(what, secrets) == set()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Quick is stopped.")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("1 group is open in its paper book.")).to_be_visible()
    assert not engines.runs(strategy_id)
    sys.stderr.write(f"\non the page: {time.perf_counter() - began:.0f} s\n")

    # No key in any file: of the engine, of Freqtrade, of the app, of the export.
    assert (engines.folder(strategy_id) / "user_data").is_dir()
    in_no_file(tmp_path, [*secrets, MASTER])
