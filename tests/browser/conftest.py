"""A real Chromium in front of the real app, which talks to the simulator over TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bfai.simulator import Simulator
from tests.browser.talk import listen

ROOT = Path(__file__).parent.parent.parent
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")

expect.set_options(timeout=15_000)


def chromium() -> str | None:
    """The browser to drive: the setting, then the usual names."""
    given = os.environ.get("BFAI_CHROMIUM")
    return next((found for name in ([given] if given else NAMES) if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed before any other test: while Playwright runs, its thread can run no other event loop."""
    path = chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("No Chromium: install it, or name it in BFAI_CHROMIUM.")
        pytest.skip("NO BROWSER TESTS: no Chromium found. Install it, or name it in BFAI_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Server:
    """The app as `run.py` starts it, on a free port; `starter` is what Python runs it by."""

    def __init__(self, environment: dict[str, str], *options: str, log: Path, starter: Sequence[str] = ("-m",)) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log = log
        command = [sys.executable, *starter, "streamlit", "run", "app.py", "--server.port", str(port), *options]
        command += ["--server.headless", "true", "--server.fileWatcherType", "none"]
        self._out = log.open("wb")
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=self._out, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=1):
                    return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError(f"the app did not start: {log.read_text()}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._out.close()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


LOOPBACK = ("--server.address", "127.0.0.1")


@pytest.fixture
def serve(simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts the app: `serve()` as on the trader's own machine, `serve(local=False)` as it is deployed. What stands
    before that are options of Streamlit.
    """
    started: list[Server] = []

    def start(*options: str, local: bool = True, **environment: str) -> Server:
        settings = {
            "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db",
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            **environment,
        }
        server = Server(settings, *(LOOPBACK if local else ()), *options, log=tmp_path / f"server{len(started)}.log")
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        assert "Traceback" not in server.text(), server.text()


@pytest.fixture
def open_app(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A page on the app, in a fresh browser profile: `open_app(server, "/history", locale="nl-NL")`."""
    contexts: list[Any] = []

    def start(server: Server, path: str = "/", **options: Any) -> Page:
        settings: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Zagreb"}
        settings |= {"viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(server.address + path)
        return page

    yield start
    for context in contexts:
        context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """What the person saw when it went wrong, beside the report: `BFAI_SCREENSHOTS` names the folder."""
    report = yield
    folder = os.environ.get("BFAI_SCREENSHOTS")
    if folder and report.when == "call" and report.failed and isinstance(item, pytest.Function):
        browser = item.funcargs.get("browser")
        for number, context in enumerate(browser.contexts if isinstance(browser, Browser) else []):
            for page in context.pages:
                page.screenshot(path=Path(folder) / f"{item.name}-{number}.png", full_page=True)
    return report
