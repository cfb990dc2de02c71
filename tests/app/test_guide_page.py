"""The guide: a page for each exchange, opened at the section that fits, and the ways to it."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.diagnosis import Section, known_refusals
from bfai.exchanges import all_exchanges
from bfai.model import Cause, Connection, Market, Target
from bfai.simulator import Simulator
from bfai.ui.session import keeper
from bfai.workbench import Workbench
from tests.app.conftest import choose, go, linked, opened_vault, press, problems, texts, toured
from tests.helpers import sample

GUIDE, HISTORY, CONNECTIONS = "pages/guide.py", "pages/history.py", "pages/connections.py"
HOME, NEW = "203.0.113.50", "203.0.113.99"


@pytest.fixture
def gated(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    simulator.set_address(HOME)
    return simulator


def connected(simulator: Simulator, exchange: str, listed: str) -> tuple[AppTest, Workbench, Connection]:
    at, workbench = opened_vault(), keeper().workbench
    simulator.change_account(exchange, "good", ip_whitelist=listed)
    draft = workbench.draft(Target(exchange=exchange), sample(simulator, exchange, "good"))
    workbench.start_draft_test(draft.id).wait(20)
    return at, workbench, workbench.save_draft(draft.id, name="The key")


def links(at: AppTest) -> dict[str, str]:
    """The page links in the page's body, with what they ask for."""
    return {item.proto.label: str(item.proto.query_string) for item in at.main.get("page_link")}


def subheaders(at: AppTest) -> list[str]:
    return [str(item.value) for item in at.header]


# -- the facts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", sorted(all_exchanges()))
def test_every_refusal_of_a_guide_is_understood_here(exchange: str) -> None:
    adapter = all_exchanges()[exchange]
    for market in adapter.markets:
        known = known_refusals(adapter, market)
        assert len(known) == len(adapter.guide.refusals) >= 4
        assert Cause.UNEXPECTED_RESPONSE not in {one.cause for one in known}
        assert len({one.said for one in known}) == len(known)
        assert all(one.said for one in known)
        about_address = {Cause.IP_NOT_ALLOWED, Cause.AMBIGUOUS}
        assert about_address & {one.cause for one in known}, "what is asked most often"
        assert not any("203.0.113" in str(one.text.params) for one in known), "an example is no address of the trader"


# -- the page ----------------------------------------------------------------------------------------------------------


def test_each_exchange_has_its_page_in_each_language() -> None:
    for language in ("en", "nl", "hr"):
        at = go(toured(language), GUIDE)
        for exchange in all_exchanges().values():
            linked(at, exchange=exchange.id, market=exchange.markets[-1].value)
            assert not problems(at)
            assert exchange.name in at.title[0].value
            written = texts(at)
            for right in exchange.rights:
                if right.shown:
                    assert right.box in written, (exchange.id, right.box)
            if language != "en":
                assert exchange.guide.ip_step not in written
            assert len(at.header) == 5
        if language == "en":
            press(at, "all_exchanges")
            choose(at, "guide_exchange", "okx")
            assert at.title[0].value == "The key at OKX"
            press(at, "all_exchanges")
            assert at.title[0].value == "Guide"


def test_it_opens_at_the_section_that_fits(gated: Simulator) -> None:
    at = opened_vault()
    at.query_params["exchange"] = "mexc"
    go(at, GUIDE)
    usual = subheaders(at)
    linked(at, section=Section.ADDRESS.value)
    assert subheaders(at)[0] == "Bind the key to your address"
    assert sorted(subheaders(at)) == sorted(usual)
    assert HOME in [item.value for item in at.code]
    linked(at, section=Section.REFUSALS.value, cause=Cause.CLOCK_SKEW.value)
    assert subheaders(at)[0] == "What can go wrong"
    assert "recvWindow" in str(at.table[0].value.iloc[0, 0])
    linked(at, section="nonsense", cause="nonsense", market="nonsense")
    assert subheaders(at) == usual
    assert "Spot: Trade" in texts(at)


def test_a_box_that_must_stay_empty_is_struck_out_in_the_pages_own_order() -> None:
    at = toured()
    at.query_params["exchange"] = "binance"
    go(at, GUIDE)
    boxes = [item.value for item in at.markdown if "Enable " in item.value]
    assert "~~Enable Withdrawals~~" in "".join(boxes)
    order = [next(n for n, one in enumerate(boxes) if name in one) for name in ("Futures", "Withdrawals", "Options")]
    assert order == sorted(order)


# -- the ways to it, and the address beside them -----------------------------------------------------------------------


def test_a_remedy_leads_to_the_guide_and_shows_the_address_that_the_exchange_keeps_to_itself(gated: Simulator) -> None:
    at, workbench, connection = connected(gated, "bybit", "198.51.100.7,203.0.113.50")
    gated.set_address(NEW)
    workbench.start_test(connection.id).wait(20)
    at.query_params["connection"] = connection.id
    go(at, HISTORY)
    assert not problems(at)
    assert NEW in [item.value for item in at.code]
    assert "This is how KuCoin sees you now. Bybit has no call that tells it" in texts(at)
    assert f"{NEW} is not on the key's list (198.51.100.7, 203.0.113.50)." in texts(at)
    asked = links(at)["Guide for Bybit"]
    for part in ("exchange=bybit", "market=spot", "section=address", "cause=ip_not_allowed"):
        assert part in asked


def test_the_connections_page_warns_of_a_changed_address(gated: Simulator) -> None:
    at, workbench, connection = connected(gated, "mexc", "")
    workbench.start_test(connection.id).wait(20)
    at.query_params["connection"] = connection.id
    go(at, HISTORY)
    assert HOME in [item.value for item in at.code]
    assert "changed since" not in texts(at)
    assert f"settings={connection.id}" in links(at)["Way out"]


def test_the_wizard_leads_to_the_guide(gated: Simulator) -> None:
    at = opened_vault()
    press(go(at, CONNECTIONS), "add")
    choose(at, "wizard_exchange", "kucoin")
    assert HOME in [item.value for item in at.code]
    assert "exchange=kucoin" in links(at)["Guide for KuCoin"]
    with gated.faults({"exchange": "kucoin", "kind": "maintenance"}):
        keeper().workbench._asked.clear()
        at.run()
    assert "Your address is not known right now: KuCoin did not tell it, and nobody else is asked." in texts(at)
    assert f"It was {HOME}," in texts(at)


def test_a_way_out_is_set_and_a_password_in_it_refused(gated: Simulator) -> None:
    at, workbench, connection = connected(gated, "mexc", "")
    at.query_params["settings"] = connection.id
    go(at, CONNECTIONS)
    box: Any = at.text_input(key=f"way_out_{connection.id}")
    box.set_value("http://me:secret-word@192.0.2.1:3128")
    press(at, "save_way_out")
    assert "would stand in the database in clear" in texts(at)
    at.text_input(key=f"way_out_{connection.id}").set_value("192.0.2.1:1080")
    press(at, "save_way_out")
    changed = workbench.connection(connection.id)
    assert changed is not None
    assert changed.target.egress_proxy == "socks5://192.0.2.1:1080"
    assert changed.target.market is Market.SPOT
