"""What a person does with the history: choose a time, look closer, export, open one test; on a laptop and a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlparse
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from bfai.model import utc_now
from bfai.store import open_store
from bfai.vault import Vault
from tests.app.conftest import PASSWORD
from tests.app.test_history_page import SAFE, Past
from tests.browser.talk import settled

pytestmark = pytest.mark.browser

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def past(tmp_path: Path) -> Past:
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    past = Past(store, Vault.create(store, PASSWORD), utc_now())
    main, other = past.connection("Main"), past.connection("Other", "kucoin")
    past.tests(main, *["online"] * 40, *["failed"] * 3, *["online"] * 17, report=SAFE)
    past.tests(other, *["connected"] * 10, "network", *["online"] * 9, every=3 * HOUR, report=SAFE)
    past.connection("Quiet")
    return past


def unlock(page: Page) -> None:
    page.get_by_label("Master password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Unlock").click()
    settled(page)


def asked(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def chart(page: Page, name: str) -> Locator:
    """By the beginning of its description."""
    return page.locator(f"[aria-label^='{name}']").first


def wait_for_address(page: Page, *names: str) -> dict[str, str]:
    page.wait_for_function(
        "names => names.every(name => new URLSearchParams(location.search).has(name))", arg=list(names), timeout=15_000
    )
    settled(page)
    return asked(page)


def draw_over(page: Page, picture: Locator, left: float, right: float) -> None:
    """Presses the frame in a chart and draws from one share of its width to another."""
    picture.scroll_into_view_if_needed()
    before = page.url
    for _ in range(6):  # the chart draws itself after the script, and takes no click before
        box = picture.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] - 44, box["y"] + 23)  # the frame
        page.mouse.move(box["x"] + box["width"] * left, box["y"] + 150)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * (left + right) / 2, box["y"] + 150, steps=5)
        page.mouse.move(box["x"] + box["width"] * right, box["y"] + 150, steps=5)
        page.mouse.up()
        page.wait_for_timeout(1000)
        if page.url != before:
            return


def choose_bar(page: Page, picture: Locator, place: int, places: int) -> None:
    """Clicks the bar at that place of a category axis."""
    expect(picture.locator("canvas")).to_be_visible()
    picture.scroll_into_view_if_needed()
    before = page.url
    for _ in range(6):
        box = picture.bounding_box() or {"x": 0, "y": 0, "width": 1, "height": 1}  # just being drawn anew
        left, right = box["x"] + 22, box["x"] + box["width"] - 16  # between the labels of the axis and the edge
        page.mouse.click(left + (right - left) * (place + 0.5) / places, box["y"] + box["height"] * 0.6)
        page.wait_for_timeout(2000)
        if page.url != before:
            return


def test_choosing_looking_closer_exporting_and_opening_a_test(
    past: Past, serve: Callable[..., object], open_app: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_app(serve(), "/history?connection=main&view=history&range=24h")
    unlock(page)
    expect(page.get_by_text("The last 24 hours")).to_be_visible()
    expect(page.get_by_text("3 of 24 tests failed")).to_be_visible()

    # The range stands in the address and outlives a reload.
    page.get_by_role("radio", name="7 d", exact=True).click()
    expect(page.get_by_text("The last 7 days")).to_be_visible()
    assert asked(page)["range"] == "7d"
    page.reload()
    expect(page.get_by_text("The last 7 days")).to_be_visible()
    expect(page.get_by_text("3 of 60 tests failed")).to_be_visible()

    # Drawing over the chart asks the server for that stretch.
    expect(chart(page, "Response time of Key at Main")).to_be_visible()
    draw_over(page, page.locator("[class*='st-key-latency_main_7d']"), 0.8, 0.9)
    closer = wait_for_address(page, "from", "to")
    assert "range" not in closer
    span = pd.Timestamp(closer["to"]) - pd.Timestamp(closer["from"])
    assert timedelta(hours=12) < span < timedelta(hours=24)  # a tenth of seven days
    expect(page.get_by_text("The last 7 days")).to_have_count(0)
    page.reload()
    settled(page)
    assert asked(page) == closer

    # So do the buttons, and the way back.
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_function("before => location.search !== before", arg=urlparse(page.url).query)
    settled(page)
    page.get_by_role("radio", name="7 d", exact=True).click()
    expect(page.get_by_text("The last 7 days")).to_be_visible()

    # A bar of the causes leads into its day.
    zone = ZoneInfo("Europe/Zagreb")
    days = [at.astimezone(zone).date() for at in (past.now - 7 * DAY, past.now - 18.5 * HOUR, past.now)]
    choose_bar(page, page.locator("[class*='st-key-causes_main_7d']").last, (days[1] - days[0]).days, 8)
    day = wait_for_address(page, "from")
    assert "range" not in day
    assert pd.Timestamp(day["from"]).tz_convert(zone) == pd.Timestamp(days[1], tz=zone)
    page.get_by_role("radio", name="7 d", exact=True).click()
    expect(page.get_by_text("The last 7 days")).to_be_visible()
    settled(page)

    # The exports open in pandas with the documented types.
    frames = exported(page, tmp_path)
    for name, frame in frames.items():
        assert len(frame) == 60, name
        assert list(frame["status"].value_counts().to_dict().items()) == [("online", 57), ("failed", 3)], name
    parquet = frames["Parquet"]
    assert str(parquet["started_at"].dtype) == "datetime64[us, UTC]"
    assert parquet["duration_ms"].dtype == parquet["key_ms"].dtype == "float64"
    assert parquet["local_network"].dtype == "bool"
    assert parquet["started_at"].is_monotonic_increasing
    assert pd.to_datetime(frames["CSV"]["started_at"], utc=True).equals(parquet["started_at"]) or set(
        frames["CSV"]["id"]
    ) == set(parquet["id"])

    # A line of the list opens that test whole; here without a mouse.
    page.get_by_test_id("stMultiSelect").first.click()
    page.get_by_role("option", name="Failed", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_text("1 to 3 of 3.", exact=False)).to_be_visible()
    table = page.locator("[class*='st-key-runs_']").get_by_test_id("stDataFrame")
    table.locator("canvas").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("MEXC is not available")).to_be_visible()
    expect(page.get_by_text("An older test.", exact=False)).to_be_visible()
    opened = wait_for_address(page, "run")
    assert opened["connection"] == "main"
    assert past.store.run(opened["run"]) is not None


def exported(page: Page, folder: Path) -> dict[str, pd.DataFrame]:
    page.get_by_test_id("stPopover").filter(has_text="Export").get_by_role("button").click()
    found: dict[str, pd.DataFrame] = {}
    for label, ending in (("CSV", "csv"), ("JSON", "json"), ("Parquet", "parquet")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=label, exact=True).click()
        file = folder / waiting.value.suggested_filename
        waiting.value.save_as(file)
        assert file.name == f"bfai-tests-main.{ending}"
        assert b"mx0history" not in file.read_bytes()
        if ending == "csv":
            found[label] = pd.read_csv(file)
        elif ending == "json":
            found[label] = pd.DataFrame(json.loads(file.read_text(encoding="utf-8"))["runs"])
        else:
            found[label] = pd.read_parquet(file)
    page.keyboard.press("Escape")
    return found


def test_every_chart_says_what_it_shows(
    past: Past, serve: Callable[..., object], open_app: Callable[..., Page]
) -> None:
    page = open_app(serve(), "/history?connection=main&view=history", locale="hr-HR")
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("input[type=password]").press("Enter")
    settled(page)
    expect(page.get_by_text("Zadnjih 7 dana")).to_be_visible()
    expect(chart(page, "Vrijeme odziva")).to_be_visible()
    expect(chart(page, "Uzroci: Burza nije dostupna 3")).to_be_visible()
    images = page.get_by_test_id("stImage").locator("img")
    described = [alt for alt in images.evaluate_all("all => all.map(one => one.alt)") if alt]
    assert any("stupac" in alt or "stupca" in alt or "stupaca" in alt for alt in described)
