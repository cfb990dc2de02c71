"""Two people on one server: Alice and Bob sign in, keep a key each, look for each other's, and log out."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from bfai.hosting import owner_of
from bfai.simulator import Simulator
from bfai.workbench import Workbench
from tests.browser.conftest import Server
from tests.browser.test_walks import MASTER, add, click, make_vault, settled
from tests.oidc import PEOPLE, Provider

pytestmark = pytest.mark.browser


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def sign_in(page: Page, person: str) -> None:
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name=person).click()
    expect(page.get_by_text(f"Signed in as {person}@example.com.")).to_be_visible()


def unlock(page: Page) -> None:
    expect(page.get_by_role("heading", name="The vault is locked")).to_be_visible()
    page.get_by_label("Master password", exact=True).fill(MASTER)
    click(page, "Unlock")
    expect(page.get_by_text("Vault open")).to_be_visible()


def proofs_of(page: Page) -> list[dict[str, Any]]:
    """The cookies that say who somebody is."""
    cookies: list[Any] = list(page.context.cookies())
    return [one for one in cookies if one["name"].startswith("_streamlit_user")]


def fetched(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_two_people_on_one_server_never_meet(
    serve: Callable[..., Server],
    open_app: Callable[..., Page],
    simulator: Simulator,
    postgres_url: str,
    provider: Provider,
    tmp_path: Path,
) -> None:
    secrets = provider.secrets(tmp_path / "secrets.toml")
    server = serve("--secrets.files", str(secrets), local=False, BFAI_DATABASE_URL=postgres_url)
    pages: dict[str, Page] = {}
    for person, exchange in (("alice", "mexc"), ("bob", "kucoin")):
        page = pages[person] = open_app(server, "/history")  # a cold deep link
        expect(page.get_by_text("Binance (451) and Bybit (403)")).to_be_visible()
        expect(page.get_by_text("Tests & history")).to_have_count(0)
        sign_in(page, person)
        make_vault(page)
        add(page, simulator, exchange, "no_futures")
        expect(page.get_by_text(re.compile("^The key works"))).to_be_visible()
        click(page, "Save the connection")
        expect(page.get_by_text(re.compile("Spot Main is saved"))).to_be_visible()
    alice, bob = pages["alice"], pages["bob"]
    proofs = proofs_of(alice)
    assert proofs and all(one["httpOnly"] and one["sameSite"] == "Lax" for one in proofs)

    # Each by the other's address. A reload locks, and neither password nor address opens anything of the other's.
    with Workbench.hosted(postgres_url, owner_of(provider.issuer, PEOPLE["alice"]["sub"])) as hers:
        (connection,) = hers.connections()
        run = hers.latest_run(connection.id)
        assert run is not None and hers.audit_entries()
    with Workbench.hosted(postgres_url, owner_of(provider.issuer, PEOPLE["bob"]["sub"])) as his:
        assert [one.name for one in his.connections()] == ["KuCoin Spot Main"]
    for asked in (
        f"history?connection={connection.id}",
        f"history?run={run.id}",
        f"connections?rotate={connection.id}",
    ):
        bob.goto(f"{server.address}/{asked}")
        unlock(bob)
        settled(bob)
        said = bob.content()
        assert "MEXC Spot Main" not in said and connection.key_hint not in said and "alice" not in said, asked
    assert "KuCoin Spot Main" not in alice.content()

    # A file has an address only once it is asked for, and none that outlives the visit.
    addresses: list[str] = []
    alice.on("request", lambda request: addresses.append(request.url) if "/media/" in request.url else None)
    alice.get_by_role("link", name="Tests & history").click()
    settled(alice)
    alice.get_by_role("radio", name="History").click()
    settled(alice)
    before = len(addresses)
    alice.get_by_role("button", name="Export").click()
    with alice.expect_download() as download:
        alice.get_by_role("button", name="CSV", exact=True).click()
    assert download.value.suggested_filename == "bfai-tests-mexc-spot-main.csv"
    assert b"online" in Path(download.value.path()).read_bytes()
    address = download.value.url
    assert address not in addresses[:before]
    alice.keyboard.press("Escape")

    # Logging out holds in every window, for the cookie that somebody copied, and for the file.
    other, copied = _another_window(alice), alice.context.storage_state()
    other.goto(server.address)
    unlock(other)
    click(alice, "Log out")
    expect(alice.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert not proofs_of(alice)
    expect(other.get_by_text("You are logged out.")).to_be_visible(timeout=30_000)
    settled(other)  # the words come first, and what stood below them goes with the end of the run
    assert "MEXC Spot Main" not in other.content()
    thief = open_app(server, "/history", storage_state=copied)
    expect(thief.get_by_text("You are logged out.")).to_be_visible()
    assert fetched(address) == 404
    expect(bob.get_by_text("Vault open")).to_be_visible()

    # And she comes back to what she left.
    sign_in(alice, "alice")
    unlock(alice)
    expect(alice.get_by_text("MEXC Spot Main").first).to_be_visible()


def _another_window(page: Page) -> Page:
    context: BrowserContext = page.context
    return context.new_page()


def test_an_old_sign_in_expires_and_half_a_setup_says_so(
    serve: Callable[..., Server],
    open_app: Callable[..., Page],
    postgres_url: str,
    provider: Provider,
    tmp_path: Path,
) -> None:
    secrets = provider.secrets(tmp_path / "secrets.toml")
    page = open_app(serve("--secrets.files", str(secrets), local=False, BFAI_DATABASE_URL=postgres_url))
    provider.ago = 13 * 3600
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="bob").click()
    expect(page.get_by_text("Your sign-in has expired.")).to_be_visible()

    page = open_app(serve(local=False, BFAI_DATABASE_URL=postgres_url), "/settings")
    expect(page.get_by_role("heading", name="This workbench is not set up yet")).to_be_visible()
    expect(page.get_by_text("There is a database, but nobody can sign in")).to_be_visible()
    click(page, "Look around with the simulator")
    expect(page.get_by_text("This is the tour.")).to_be_visible()
