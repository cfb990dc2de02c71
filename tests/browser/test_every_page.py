"""Every page, door, step and dialog, opened once, and looked at for those who see, hear or use it in another way.

axe-core in the light and in the dark theme, headings in order, a name for every picture and table, nothing wider than a
telephone, nothing that moves where that is not wanted, and no request to any host but the app. One server and one page
of the browser serve all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from bfai.model import utc_now
from bfai.simulator import Simulator
from bfai.store import open_store
from bfai.transport import Gateway
from bfai.ui.frame import PLACES, Place
from bfai.vault import Vault
from bfai.workbench import Workbench
from tests.app.test_history_page import SAFE, UNSAFE, Past
from tests.browser.talk import settled
from tests.browser.test_walks import MASTER, click, paste

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)
SLOW = 60_000
TABS = {
    "Causes": "Choose a bar",
    "Calendar": "Each square is a day",
    "Outages": "Tick a line to look closer",
    "Checks": "Line: median.",
    "More": "Clock offset",
}
STEPS = ("Pairs", "Risk level", "Number of add-ons", "when all")
VIEWS = {"Run": "Run it with Freqtrade", "Revisions": "All revisions", "Replay": "Decisions as CSV"}
"""What is to be read in each, so that what stood there before is not mistaken for it."""


@pytest.fixture
def bench(simulator: Simulator, gateway: Gateway, tmp_path: Path) -> Iterator[Workbench]:
    """Another program on the same database, which fills it while the app shows it."""
    workbench = Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway)
    yield workbench
    workbench.close()


def filled(bench: Workbench, url: str) -> str:
    """More connections with a past, of every status; a channel; a strategy with two revisions, whose id comes back."""
    bench.unlock(MASTER)
    store = open_store(url)
    past = Past(store, Vault.unlock(store, MASTER), utc_now())
    main, other = past.connection("Main"), past.connection("Other", "kucoin")
    past.tests(main, *["online"] * 40, *["failed"] * 3, *["online"] * 17, report=SAFE)
    past.tests(other, *["connected"] * 10, "network", *["online"] * 9, every=3 * HOUR, report=SAFE)
    past.tests(past.connection("Thief", "okx"), *["online"] * 5, "blocked", report=UNSAFE)
    past.tests(past.connection("Broken", "bybit"), *["online"] * 5, "key", report=SAFE)
    past.connection("Quiet")
    store.close()
    (real,) = (one for one in bench.connections() if one.name == "MEXC Spot Main")
    bench.update(real.id, used_by="a bot", note="a note")
    bench.alerts.add("Hook", "http://127.0.0.1:9/hook")
    parameters = bench.strategies.suggested(real.id, "balanced", ["BTC/USDT"])  # type: ignore[arg-type]
    made = bench.strategies.create("Dips", real.id, parameters)
    bench.strategies.save(made.id, 1, parameters.changed(addon_max_count=4))
    return made.id


def crowd(url: str) -> None:
    """So many connections that they stand in a table."""
    store = open_store(url)
    past = Past(store, Vault.unlock(store, MASTER), utc_now())
    for number in range(22):
        past.tests(past.connection(f"One of many {number}"), "online", report=SAFE)
    store.close()


def walk(page: Page, server: Any, simulator: Simulator, bench: Workbench, url: str) -> Iterator[str]:
    """Opens one view after the other and gives the name of each."""
    yield from _beginning(page)
    yield from _wizard(page, simulator)
    strategy = filled(bench, url)
    for place in PLACES:
        visit(page, place)
        yield place.name
    yield from _connections(page, server)
    yield from _history(page, server)
    yield from _strategies(page, server, strategy)
    yield from _alerts(page)
    yield from _care(page)
    crowd(url)
    for place in PLACES[:2]:
        visit(page, place)
        yield f"{place.name}, many"
    visit(page, PLACES[-1])
    page.get_by_label("Master password, to make a code").fill(MASTER)
    click(page, "Make a recovery code")
    drawn(page, "Recovery code of your vault")
    yield "recovery code"
    click(page, "Lock now")
    drawn(page, "The vault is locked")
    page.get_by_text("I forgot the password").click()
    drawn(page, "This vault has no recovery code")
    yield "locked"


def _care(page: Page) -> Iterator[str]:
    """The trail, which the settings lead to, and what asks before everything is deleted."""
    visit(page, PLACES[-1])
    page.get_by_role("link", name="To the audit trail").click()
    drawn(page, "What was done here, the newest first")
    yield "audit trail"
    visit(page, PLACES[-1])
    click(page, "Delete everything…")
    dialog(page)
    yield "delete everything"
    close(page)


def visit(page: Page, place: Place) -> None:
    """By the sidebar. The address stands there before the page does."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=place.label).click()
    page.wait_for_url(lambda address: urlparse(address).path == path_of(place))
    drawn(page)


def path_of(place: Place) -> str:
    return "/" if place.file == "app.py" else "/" + Path(place.file).stem


def open_address(page: Page, server: Any, address: str) -> None:
    page.goto(server.address + address)
    expect(page.get_by_test_id("stSidebar").get_by_test_id("stPageLink").first).to_be_visible(timeout=SLOW)
    drawn(page)


def drawn(page: Page, text: str = "") -> None:
    """Waits for this text, and until nothing that is on the screen waits to be drawn anew."""
    if text:
        expect(page.get_by_text(text).first).to_be_visible(timeout=SLOW)
    settled(page)
    expect(page.locator("[data-testid=stSkeleton], [data-stale=true]")).to_have_count(0, timeout=SLOW)


def dialog(page: Page) -> None:
    expect(page.get_by_role("dialog").get_by_role("button").nth(1)).to_be_visible(timeout=SLOW)
    drawn(page)


def close(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def _beginning(page: Page) -> Iterator[str]:
    expect(page.locator(".st-key-door_0")).to_be_visible(timeout=SLOW)
    yield "first start"
    click(page, "Open a vault")
    drawn(page, "At least 10 characters.")
    yield "a new vault"
    click(page, "Restore a backup")
    drawn(page, "Look into the backup")
    yield "a backup comes back"
    click(page, "Back")
    page.get_by_label("Master password", exact=True).fill(MASTER)
    page.get_by_label("Master password, again").fill(MASTER)
    click(page, "Open the vault")
    drawn(page, "Vault open")
    for place in PLACES[:-1]:  # the guide is never empty
        visit(page, place)
        yield f"{place.name}, empty"


def _wizard(page: Page, simulator: Simulator) -> Iterator[str]:
    visit(page, PLACES[1])
    click(page, "Add a connection")
    drawn(page, "Choose the exchange")
    yield "wizard, where"
    page.get_by_role("radio", name="MEXC", exact=True).click()
    drawn(page, "1 · Tick these boxes")
    page.get_by_text("Type the fields one by one").click()
    drawn(page)
    yield "wizard, paste"
    paste(page, simulator, "mexc", "withdraw")
    drawn(page, "This key can withdraw your money.")
    yield "wizard, refused"
    click(page, "Paste a new key")
    drawn(page, "1 · Tick these boxes")
    paste(page, simulator, "mexc", "good")
    drawn(page, "What uses it")
    page.get_by_text("Receipt:").click()
    drawn(page, "Sent")
    yield "wizard, name"
    click(page, "Save the connection")
    drawn(page, "is saved.")


def _connections(page: Page, server: Any) -> Iterator[str]:
    visit(page, PLACES[1])
    for label in ("Edit", "Delete"):
        page.get_by_role("button", name=label, exact=True).first.click()
        dialog(page)
        yield f"connections, {label}"
        close(page)
    click(page, "Import from a bot")
    drawn(page, "Or give the files here")
    yield "connections, import"
    open_address(page, server, "/connections?settings=main")
    click(page, "Make a pairing code")
    drawn(page, "Bring the report here")
    yield "connections, settings"


def _history(page: Page, server: Any) -> Iterator[str]:
    for name in ("broken", "quiet"):
        open_address(page, server, f"/history?connection={name}&view=result")
        yield f"history, result of {name}"
    page.get_by_role("button", name="Test several").click()
    drawn(page, "Test these")
    yield "history, several"
    open_address(page, server, "/history?connection=main&view=history")
    for tab, text in TABS.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        drawn(page, text)
        yield f"history, {tab}"
    page.get_by_test_id("stPopover").filter(has_text="From").get_by_role("button").click()
    expect(page.get_by_role("button", name="Show", exact=True)).to_be_visible()
    drawn(page)
    yield "history, time"
    open_address(page, server, "/history?connection=all&view=history")
    yield "history, all"


def _strategies(page: Page, server: Any, strategy: str) -> Iterator[str]:
    visit(page, PLACES[3])
    click(page, "Import")
    drawn(page, "Or its text")
    yield "strategies, import"
    for item in ("Duplicate", "Delete"):
        page.get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name=item).or_(page.get_by_role("option", name=item)).click()
        dialog(page)
        yield f"strategies, {item}"
        close(page)
    open_address(page, server, f"/strategies?strategy={strategy}")
    for step, text in enumerate(STEPS, start=1):
        drawn(page, text)
        yield f"strategies, step {step}"
        if step < len(STEPS):
            click(page, "Go on")
    for view, text in VIEWS.items():
        page.get_by_role("radio", name=view, exact=True).click()
        drawn(page, text)
        yield f"strategies, {view}"
    page.get_by_role("radio", name="Try other values").click()
    drawn(page, "combinations")
    yield "strategies, grid"


def _alerts(page: Page) -> Iterator[str]:
    visit(page, PLACES[4])
    click(page, "Add a channel")
    drawn(page, "New channel")
    yield "alerts, new"
    page.get_by_role("button", name="Delete", exact=True).first.click()
    dialog(page)
    yield "alerts, delete"
    close(page)


# -- what is looked at -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Excepted:
    """What axe-core finds in Streamlit itself and no option of Streamlit mends. It is in docs/accessibility.md, too."""

    rule: str
    selector: str
    reason: str


EXCEPTED = (
    Excepted(
        "target-size",
        "[data-testid=stDateTimeInput] [role=spinbutton]",
        "Day, month, hour and minute in Streamlit's box are small; its calendar and the usual times beside it are not.",
    ),
)
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
LAPTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=360, height=800)
RULES: dict[str, dict[str, object]] = {
    "light": {"rules": {"target-size": {"enabled": True}}},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},  # nothing else depends on colours
    "phone": {"rules": {"target-size": {"enabled": True}, "color-contrast": {"enabled": False}}},
}
RUN_AXE = """async ([options, excepted]) => {
    const found = await axe.run({resultTypes: ['violations'], ...options});
    return found.violations.filter(one => ['serious', 'critical'].includes(one.impact)).flatMap(one =>
        one.nodes.map(node => ({
            text: `${one.id}: ${node.html.slice(0, 200)} ${node.failureSummary.slice(0, 300)}`,
            excepted: excepted.findIndex(([rule, selector]) =>
                rule === one.id && document.querySelector(node.target[0]).matches(selector)),
        })));
}"""

# Waits for fades and slides, which are no part of what is looked at. Gives what would never end.
STILL = """async () => {
    const running = () => document.getAnimations().filter(one => one.playState === 'running' && one.effect);
    const ends = one => Number.isFinite(one.effect.getComputedTiming().endTime);
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const still = Promise.allSettled(running().filter(ends).map(one => one.finished));
    await Promise.race([still, new Promise(done => setTimeout(done, 1000))]);
    return running().filter(one => !ends(one)).map(one => 'moves: ' + one.effect.target.outerHTML.slice(0, 200));
}"""

# What is wider than the screen (a table scrolls within itself), and words that are cut off.
TOO_WIDE = """() => {
    const inside = '[data-testid=stMain], [role=dialog]';
    const all = [...document.querySelectorAll(inside)].flatMap(one => [one, ...one.querySelectorAll('*')]);
    const wide = all.some(one => one.matches(inside) && one.scrollWidth > one.clientWidth);
    const beyond = all.filter(one => one.getBoundingClientRect().right > innerWidth + 1);
    const cut = all.filter(one =>
        getComputedStyle(one).textOverflow === 'ellipsis' && one.scrollWidth > one.clientWidth + 1
        && one.checkVisibility() && one.textContent.trim());
    return [
        ...(wide || document.body.scrollWidth > innerWidth ? beyond.slice(0, 3) : [])
            .map(one => 'wide: ' + (one.dataset.testid || one.className)),
        ...cut.map(one => 'cut: ' + one.textContent),
    ];
}"""

# Headings that are out of order, and what has no name for those who do not see it.
UNNAMED = """() => {
    const told = [], seen = [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].filter(one => one.checkVisibility());
    const levels = seen.filter(one => !one.closest('[role=dialog]')).map(one => Number(one.tagName[1]));
    const inOrder = levels.every((one, at) => one <= (levels[at - 1] || 0) + 1);
    if (!inOrder || levels.filter(one => one === 1).length !== 1) told.push('headings: ' + levels);
    if (!document.title.includes(' · ')) told.push('title: ' + document.title);
    for (const one of document.querySelectorAll('img:not([alt])')) told.push('picture: ' + one.outerHTML.slice(0, 200));
    for (const [part, named] of Object.entries({
        stTable: 'table[aria-label]', stDataFrame: '[aria-label]', stEChartsChart: '[role=img][aria-label]',
    })) {
        for (const one of document.querySelectorAll(`[data-testid=${part}]`)) {
            const inside = one.matches(named) ? one : one.querySelector(named);
            if (!inside || !inside.getAttribute('aria-label').trim()) told.push('no name: ' + part);
        }
    }
    return told;
}"""


@dataclass
class Watch:
    """Looks at one view after the other and keeps what is wrong with it."""

    page: Page
    address: str
    found: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)
    excepted: set[int] = field(default_factory=set)
    themes: list[str] = field(default_factory=lambda: ["light", "dark"])

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked(request.url))
        self.page.on("websocket", lambda socket: self.asked(socket.url))

    def asked(self, url: str) -> None:
        own = (self.address + "/", self.address.replace("http", "ws") + "/", "data:", "blob:")
        if not url.startswith(own):
            self.outside.add(url)

    def look(self, name: str, *, as_phone: bool) -> None:
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE)
        self.note(name, STILL)
        self.note(name, UNNAMED)
        for theme in self.themes:
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            self.page.wait_for_function(
                "theme => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === theme",
                arg=theme,
            )
            self.page.evaluate(STILL)
            self.axe(name, theme)
        self.themes.reverse()  # the next view begins with the theme that is on the screen
        self.page.set_viewport_size(PHONE)
        self.page.evaluate(STILL)
        self.note(f"{name}, phone", TOO_WIDE)
        if as_phone:
            self.axe(name, "phone")
        self.page.set_viewport_size(LAPTOP)

    def note(self, name: str, script: str) -> None:
        self.found += [f"{name}: {told}" for told in self.page.evaluate(script)]

    def axe(self, name: str, how: str) -> None:
        excepted = [[one.rule, one.selector] for one in EXCEPTED]
        for problem in self.page.evaluate(RUN_AXE, [RULES[how], excepted]):
            if problem["excepted"] >= 0:
                self.excepted.add(problem["excepted"])
            else:
                self.found.append(f"{name}, {how}: {problem['text']}")


@pytest.mark.timeout(600)
def test_nothing_is_wrong_with_any_view(
    serve: Callable[..., Any],
    open_app: Callable[..., Page],
    simulator: Simulator,
    bench: Workbench,
    tmp_path: Path,
) -> None:
    server = serve()
    page = open_app(server, reduced_motion="reduce")
    watch = Watch(page, server.address)
    page.reload()  # now from its first request on
    for name in walk(page, server, simulator, bench, f"sqlite:///{tmp_path}/bfai.db"):
        watch.look(name, as_phone="," not in name)
    assert not watch.found, "\n".join(watch.found)
    assert watch.outside == set(), "the browser asks nobody but the app"
    assert watch.excepted == set(range(len(EXCEPTED))), "an exception that does not occur any more is taken out"
