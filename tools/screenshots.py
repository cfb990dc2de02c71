"""Takes the pictures of the documentation from the simulator tour: `python tools/screenshots.py [FOLDER] [--all]`.

Without `--all` only those that the documentation shows; with it every page, light and dark, on a laptop and a phone.
`BFAI_LANGUAGE=de-DE` takes them in that language: what is clicked is found by its key, or by a name that stays.
The history is that of a database made for it: tests that were really made against the simulator, spread over a month.
A strategy that runs is run by the real Freqtrade on the simulator; `BFAI_FREQTRADE` names its environment, as for
`run.py parity`, and without it that picture stays as it is. So do those of people who sign in, without PostgreSQL.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bfai.hosting import owner_of  # noqa: E402
from bfai.model import (  # noqa: E402
    Cause,
    Connection,
    Credentials,
    Diagnosis,
    Environment,
    GrantState,
    IpRestriction,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.simulator import Simulator  # noqa: E402
from bfai.store import open_store  # noqa: E402
from bfai.transport import Gateway  # noqa: E402
from bfai.vault import Vault  # noqa: E402
from bfai.workbench import Workbench  # noqa: E402
from tests.engines import PYTHON, Price, quick, redirected  # noqa: E402
from tests.oidc import PEOPLE, Provider  # noqa: E402
from tests.postgres import Server as Database  # noqa: E402
from tests.postgres import binaries  # noqa: E402

PASSWORD = "correct horse battery staple"
PAST = (("MEXC Spot Main", "mexc"), ("KuCoin Spot Grid", "kucoin"), ("OKX Spot DCA", "okx"))
SHOWN = {
    ("overview", "light", 1280),
    ("refused", "light", 1280),
    ("history", "dark", 1280),
    ("history", "light", 390),
    ("history-all", "light", 1280),
    ("wizard", "light", 1280),
    ("strategies", "light", 1280),
    ("strategies", "dark", 390),
    ("replay", "light", 1280),
    ("replay", "dark", 390),
    ("run", "light", 1280),
    ("alerts", "light", 1280),
    ("guide", "light", 1280),
    ("settings", "light", 1280),
    ("demo", "light", 1280),
    ("sign-in", "light", 1280),
    ("sign-in", "dark", 390),
    ("hosted", "light", 1280),
}
SIZES = {1280: 900, 390: 844}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_past(url: str) -> None:
    """A vault whose connections were tested every three hours for a month: outages, silence, addresses that changed."""
    chance, now, days, count = random.Random(5), utc_now(), 30, 240  # nosec B311 # made-up data
    store = open_store(url)
    vault = Vault.create(store, PASSWORD)
    with Simulator() as simulator:
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        with Workbench.local("sqlite://:memory:", gateway=gateway) as workbench:
            for number, (name, exchange) in enumerate(PAST):
                accounts = simulator.accounts[exchange]
                keys = accounts.get("no_futures") or accounts["good"]
                credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                target = Target(exchange=exchange, environment=Environment.SIMULATOR)
                good = workbench.check(target, credentials)
                began = now - timedelta(days=days + 1)
                connection = Connection(
                    id=f"past{number}",
                    name=name,
                    target=target,
                    key_hint=credentials.hint,
                    created_at=began,
                    key_since=began,
                )
                fingerprint = vault.fingerprint(exchange, credentials.api_key)
                store.add_connection(connection, vault.seal(connection.id, credentials), fingerprint)
                store.set_schedule(connection.id, None, now, now)  # nothing is tested while we look
                down, cause = 0, Cause.EXCHANGE_UNAVAILABLE
                for place in range(count):
                    if number == 1 and 100 < place < 130:
                        continue  # nobody tested
                    if not down and chance.random() < 0.03:
                        down = chance.randrange(1, 4)
                        cause = chance.choice((Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED, Cause.LOCAL_NETWORK))
                    at = now - timedelta(days=days) * (1 - (place + 0.6) / count)
                    store.add_run(_past_run(good, connection.id, at, place / count, chance, cause if down else None))
                    down = max(0, down - 1)
    vault.lock()
    store.close()
    with Workbench.local(url) as workbench:
        workbench.unlock(PASSWORD)
        workbench.alerts.add("Phone", "ntfy://bfai-of-somebody", quiet=(datetime.time(23), datetime.time(7)))
        workbench.alerts.add("Desk", "discord://4711/example", repeat_hours=6)


def _past_run(
    good: TestRun, connection_id: str, at: object, share: float, chance: random.Random, cause: Cause | None
) -> TestRun:
    pace = 0.8 + 0.25 * math.sin(share * 30) + 0.3 * chance.random() + (chance.random() < 0.04)
    checks = [
        check.model_copy(update={"latency_ms": (110 + 35 * place) * pace if check.latency_ms is not None else None})
        for place, check in enumerate(good.checks)
    ]
    changes: dict[str, object] = {"checks": tuple(checks)}
    if cause is not None:
        diagnosis = Diagnosis(cause=cause, candidates=(cause,))
        changes = {"status": Status.FAILED, "diagnosis": diagnosis, "checks": (checks[0],), "key_report": None}
    elif good.key_report is not None:
        addresses = ("203.0.113.7",) if share < 0.6 else ("203.0.113.7", "198.51.100.23")
        bound = IpRestriction(state=GrantState.GRANTED, addresses=addresses)
        ends = utc_now() + timedelta(days=71)
        changes["key_report"] = good.key_report.model_copy(update={"ip_restriction": bound, "expires_at": ends})
    made = {"id": uuid.uuid4().hex, "connection_id": connection_id, "started_at": at, "duration_ms": 300 * pace}
    return good.model_copy(update={**made, **changes})


@contextlib.contextmanager
def engine_that_runs(folder: Path) -> Generator[str]:
    """The address of the view of a strategy which Freqtrade runs: one group was closed, and one has added."""
    with Simulator() as simulator:
        price = Price(simulator, "64000.0")
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        database = f"sqlite:///{folder / 'bfai.db'}"
        os.environ["BFAI_FREQTRADE_PYTHON"] = str(redirected(folder, simulator))
        with Workbench.local(database, gateway=gateway) as workbench:
            workbench.create_vault(PASSWORD)
            keys = simulator.accounts["binance"]["no_futures"]
            draft = workbench.draft(Target(exchange="binance"), Credentials(keys["apiKey"] or "", keys["secret"] or ""))
            workbench.start_draft_test(draft.id).wait(60)
            connection = workbench.save_draft(draft.id, name="Binance Spot Main")
            made = workbench.strategies.create("Dips", connection.id, quick("BTC/USDT"))
            workbench.strategies.enable(made.id)
            extra = {"exchange": {"enable_ws": False}, "internals": {"process_throttle_secs": 1}}
            workbench.run_strategy(made.id, interval=timedelta(minutes=1), extra=extra)
            try:
                for change, closed, fills in ((0, 0, 1), (-400, 0, 2), (+700, 1, 1), (-400, 1, 2)):
                    price.now += change
                    _until(lambda: _told(workbench, made.id) == (closed, fills))  # noqa: B023
                port = free_port()
                process = start(port, database, BFAI_GATEWAY=simulator.gateway, BFAI_GATEWAY_CA=str(simulator.ca_file))
                try:
                    yield f"http://127.0.0.1:{port}/strategies?strategy={made.id}&view=run"
                finally:
                    process.terminate()
            finally:
                workbench.stop_strategy(made.id)


def _told(workbench: Workbench, strategy_id: str) -> tuple[int, int]:
    """Closed groups, and fills of the open one."""
    status = workbench.engine_status(strategy_id)
    return status.closed_groups, sum(group.fills for group in status.groups)


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.3)
    raise RuntimeError("Freqtrade did not do it")


@contextlib.contextmanager
def deployed(folder: Path) -> Generator[dict[str, str]]:
    """The addresses of the app as it is deployed: `demo`, and `hosted` where people can sign in."""
    programs = binaries()
    with contextlib.ExitStack() as stack:
        ports = {"demo": free_port()}
        processes = [start(ports["demo"], local=False)]
        if programs is not None:
            server = Database(programs)
            stack.callback(server.remove)
            url = stack.enter_context(server.database("shared"))
            provider = stack.enter_context(Provider())
            simulator = stack.enter_context(Simulator())
            secrets = provider.secrets(folder / "secrets.toml")
            gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
            with Workbench.hosted(url, owner_of(provider.issuer, PEOPLE["alice"]["sub"]), gateway=gateway) as workbench:
                workbench.create_vault(PASSWORD)
                for exchange, account in (("mexc", "no_futures"), ("kucoin", "good"), ("okx", "good")):
                    keys = simulator.accounts[exchange][account]
                    credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                    draft = workbench.draft(Target(exchange=exchange), credentials)
                    workbench.start_draft_test(draft.id).wait(60)
                    workbench.save_draft(draft.id, name=workbench.suggest_name(draft.target))
            ports["hosted"] = free_port()
            settings = {"BFAI_GATEWAY": simulator.gateway, "BFAI_GATEWAY_CA": str(simulator.ca_file)}
            options = ("--secrets.files", str(secrets))
            processes.append(start(ports["hosted"], url, *options, local=False, **settings))
        try:
            yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        finally:
            for process in processes:
                process.terminate()
                process.wait(20)


def take_deployed(browser: Browser, at: dict[str, str], folder: Path, theme: str, width: int, wanted: set[str]) -> None:
    scheme, size = ("dark" if theme == "dark" else "light"), {"width": width, "height": SIZES[width]}
    context = browser.new_context(color_scheme=scheme, viewport=size, locale="en-GB", timezone_id="Europe/Zagreb")  # type: ignore[arg-type]
    page = context.new_page()

    def shoot(name: str) -> None:
        if name in wanted:
            settled(page)
            page.screenshot(path=folder / f"{name}-{theme}-{width}.png")

    page.goto(at["demo"])
    page.locator("[class*='st-key-card_']").nth(7).wait_for(timeout=120_000)
    page.wait_for_timeout(3000)
    shoot("demo")
    if "hosted" in at:
        page.goto(at["hosted"])
        page.locator(".st-key-sign_in_0").wait_for()
        shoot("sign-in")
        page.locator(".st-key-sign_in_0 button").click()
        page.get_by_role("link", name="alice").click()
        page.locator("input[type=password]").fill(PASSWORD)
        page.locator("input[type=password]").press("Enter")
        page.locator("[class*='st-key-card_']").nth(2).wait_for()
        shoot("hosted")
    context.close()


def start(
    port: int, database: str = "sqlite://:memory:", *more: str, local: bool = True, **settings: str
) -> subprocess.Popen[bytes]:
    """The app on loopback; without a database the tour is what there is to see. Not `local`: as it is deployed."""
    options = ["--server.port", str(port), "--server.headless", "true", *more]
    options += ["--server.address", "127.0.0.1"] if local else []
    process = subprocess.Popen(  # nosec B603 # no shell
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT,
        env={**os.environ, "BFAI_DATABASE_URL": database, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):  # nosec B310 # http to this machine
                return process
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the app did not start")


def settled(page: Page) -> None:
    for _ in range(2):  # the first look may come before a click has begun to work
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=120_000)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=120_000)
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


def take(
    browser: Browser, port: int, past: int, runs: str | None, folder: Path, theme: str, width: int, wanted: set[str]
) -> None:
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": SIZES[width]},
        locale=os.environ.get("BFAI_LANGUAGE", "en-GB"),
        timezone_id="Europe/Zagreb",
    )
    context.set_default_timeout(120_000)
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

    def unlock() -> None:
        lock = page.locator("input[type=password]")
        expect(lock.or_(page.locator(".st-key-lock_now")).first).to_be_attached(timeout=60_000)
        if lock.is_visible():
            lock.fill(PASSWORD)
            lock.press("Enter")

    page.goto(f"http://127.0.0.1:{port}/")
    page.locator(".st-key-door_0").wait_for()
    shoot("first-start")
    page.locator(".st-key-door_0 button").click()
    page.locator("[class*='st-key-card_']").nth(7).wait_for(timeout=120_000)
    page.wait_for_timeout(3000)
    shoot("overview")
    page.locator("[class*='st-key-main_']").get_by_test_id("stBaseButton-primary").first.click()
    page.wait_for_url("**/history*")
    shoot("refused")
    go(page, "connections")
    shoot("connections")
    page.locator(".st-key-add button").click()
    settled(page)
    page.get_by_role("radio", name="MEXC", exact=True).click()
    settled(page)
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
    page.locator("[class*='st-key-choose_view']").get_by_role("radio").nth(1).click()
    settled(page)
    page.wait_for_timeout(1500)
    shoot("replay", ".st-key-replay_levels" if width > 700 else "[class*='st-key-choose_part']")
    page.locator(".st-key-save button").click()
    settled(page)
    page.locator("[class*='st-key-choose_view']").get_by_role("radio").nth(2).click()
    shoot("run")
    go(page, "guide")
    page.get_by_role("radio", name="MEXC", exact=True).click()
    page.wait_for_url("**exchange=mexc**")
    shoot("guide")
    page.goto(f"http://127.0.0.1:{past}/alerts")
    unlock()
    page.get_by_text("Phone").first.wait_for(timeout=120_000)
    shoot("alerts")
    go(page, "settings")
    shoot("settings", ".st-key-settings_password" if width > 700 else "")
    page.goto(f"http://127.0.0.1:{past}/history?connection=past0&view=history&range=30d")
    unlock()
    for name, address in (("history", ""), ("history-all", "connection=all&range=30d")):
        if address:
            page.goto(f"http://127.0.0.1:{past}/history?{address}")
        expect(page.get_by_test_id("stMetric")).to_have_count(4, timeout=120_000)
        page.wait_for_timeout(1500)
        shoot(name, ".st-key-export")
    if runs is not None:
        page.goto(runs)
        unlock()
        expect(page.get_by_test_id("stTable")).to_be_visible(timeout=20_000)
        page.get_by_text("Log", exact=True).click()
        shoot("run", "text=Freqtrade can do all of it.")
    context.close()


def main(arguments: list[str]) -> None:
    everything = "--all" in arguments
    names = [argument for argument in arguments if not argument.startswith("--")]
    folder = Path(names[0]) if names else ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    home = tempfile.TemporaryDirectory(prefix="bfai-past-")
    database = f"sqlite:///{Path(home.name) / 'past.db'}"
    make_past(database)
    port, past = free_port(), free_port()
    processes = [start(port), start(past, database)]
    try:
        with sync_playwright() as playwright, contextlib.ExitStack() as stack:
            runs = None
            if PYTHON is not None:
                shim = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfai-runs-")))
                runs = stack.enter_context(engine_that_runs(shim))
            path = os.environ.get("BFAI_CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            every = {"first-start", "overview", "refused", "connections", "wizard", "strategies", "replay"}
            every |= {"alerts", "guide", "settings", "history", "history-all", "run", "demo", "sign-in", "hosted"}
            elsewhere = stack.enter_context(deployed(Path(home.name)))
            for theme in ("light", "dark"):
                for width in SIZES:
                    wanted = every if everything else {n for n, t, w in SHOWN if (t, w) == (theme, width)}
                    if wanted:
                        take(browser, port, past, runs, folder, theme, width, wanted)
                        take_deployed(browser, elsewhere, folder, theme, width, wanted)
            browser.close()
    finally:
        for process in processes:
            process.terminate()
        home.cleanup()


if __name__ == "__main__":
    main(sys.argv[1:])
