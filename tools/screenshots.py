"""Takes the pictures of the documentation from the simulator tour: `python tools/screenshots.py [FOLDER] [--all]`.

Without `--all` only those that the documentation shows; with it every page, light and dark, on a laptop and a phone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SHOWN = {
    ("overview", "light", 1280),
    ("refused", "light", 1280),
    ("history", "dark", 1280),
    ("wizard", "light", 1280),
    ("strategies", "light", 1280),
    ("strategies", "dark", 390),
}
SIZES = {1280: 900, 390: 844}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int) -> subprocess.Popen[bytes]:
    """The app on loopback with a database in memory, so that the tour is what there is to see."""
    options = ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT,
        env={**os.environ, "BFAI_DATABASE_URL": "sqlite://:memory:"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                return process
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the app did not start")


def settled(page: Page) -> None:
    for _ in range(2):  # the first look may come before a click has begun to work
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=20_000)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=20_000)
        page.wait_for_timeout(400)  # charts draw after the script


def go(page: Page, place: str) -> None:
    """By the sidebar, which a phone keeps behind a button."""
    expand = page.get_by_test_id("stExpandSidebarButton")
    if expand.is_visible():
        expand.click()
    page.get_by_test_id("stSidebar").locator(f"a[href*='{place}']").click()
    settled(page)
    collapse = page.get_by_test_id("stSidebarCollapseButton").locator("button")
    if (page.viewport_size or {})["width"] < 700 and collapse.is_visible():
        collapse.click()
        page.wait_for_timeout(400)


def take(browser: Browser, port: int, folder: Path, theme: str, width: int, wanted: set[str]) -> None:
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": SIZES[width]},
        locale=os.environ.get("BFAI_LANGUAGE", "en-GB"),
        timezone_id="Europe/Zagreb",
    )
    page = context.new_page()

    def shoot(name: str, end: str = "") -> None:
        """Of the whole page, or of its part above the element `end`."""
        if name in wanted:
            settled(page)
            height = int(page.get_by_test_id("stMainBlockContainer").bounding_box()["height"])  # type: ignore[index]
            page.set_viewport_size({"width": width, "height": max(SIZES[width], min(height + 60, 4000))})
            page.wait_for_timeout(300)
            box = page.locator(end).first.bounding_box() if end else None
            part = {"x": 0, "y": 0, "width": width, "height": box["y"] - 12} if box else None
            page.screenshot(path=folder / f"{name}-{theme}-{width}.png", clip=part)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": SIZES[width]})

    page.goto(f"http://127.0.0.1:{port}/")
    page.locator(".st-key-door_0").wait_for()
    shoot("first-start")
    page.locator(".st-key-door_0 button").click()
    page.locator("[class*='st-key-card_']").nth(7).wait_for(timeout=30_000)
    page.wait_for_timeout(3000)
    shoot("overview")
    page.get_by_test_id("stBaseButton-primary").filter(has_text="fix").first.click()
    shoot("refused")
    go(page, "history")
    shoot("history")
    go(page, "connections")
    shoot("connections")
    page.locator(".st-key-add button").click()
    settled(page)
    page.get_by_role("radio", name="MEXC", exact=True).click()
    settled(page)
    page.locator(".st-key-wizard_where button").click()
    shoot("wizard")
    go(page, "strategies")
    page.locator(".st-key-new_strategy button").click()
    page.locator(".st-key-field_connection").get_by_role("combobox").click()
    page.get_by_role("option", name="Bybit Futures").click()
    settled(page)
    for _ in range(2):
        page.locator(".st-key-strategy_on button").click()
        settled(page)
    page.wait_for_timeout(1500)
    shoot("strategies", ".st-key-ladder_new_long_which" if width > 700 else ".st-key-ladder_new_long_levels")
    go(page, "guide")
    shoot("guide")
    context.close()


def main(arguments: list[str]) -> None:
    everything = "--all" in arguments
    names = [argument for argument in arguments if not argument.startswith("--")]
    folder = Path(names[0]) if names else ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = start(port)
    try:
        with sync_playwright() as playwright:
            path = os.environ.get("BFAI_CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            every = {"first-start", "overview", "refused", "history", "connections", "wizard", "strategies", "guide"}
            for theme in ("light", "dark"):
                for width in SIZES:
                    wanted = every if everything else {n for n, t, w in SHOWN if (t, w) == (theme, width)}
                    if wanted:
                        take(browser, port, folder, theme, width, wanted)
            browser.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    main(sys.argv[1:])
