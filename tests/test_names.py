"""Names that still help in half a year, and whose account a key belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bfai.model import Environment, KeyReport, Market, Status, Target
from bfai.names import free, hint, suggestions
from bfai.simulator import Simulator
from bfai.store import AccountFacts
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

PASSWORD = "correct horse battery staple"
EXCHANGES = ("Binance", "Bybit", "Gate.io", "KuCoin", "MEXC", "OKX")
SPOT, FUTURES = Target(exchange="mexc"), Target(exchange="mexc", market=Market.FUTURES)
ACCOUNT = 1_448_001


def said(name: str, target: Target = SPOT, others: tuple[str, ...] = ()) -> str:
    found = hint(name, "MEXC", target, EXCHANGES, others, "MEXC Spot Main")
    return found.text.format(**found.params) if found is not None else ""


@pytest.mark.parametrize(
    "name",
    [
        "MEXC Spot Main",
        "Recovery PRO Connection",
        "BTC ETH New Groups",
        "MEXC Spot Main 2",
        "grid Zagreb",
        "MEXC Štednja",
    ],
)
def test_a_name_that_says_something_is_left_alone(name: str) -> None:
    assert said(name) == ""


@pytest.mark.parametrize("name", ["test", "key1", "API key", "my key 2", "Mijn sleutel", "MEXC", "MEXC 3", "12", "a b"])
def test_a_name_that_says_little_gets_an_example(name: str) -> None:
    assert said(name) == "A clear name says exchange, market and purpose, such as “MEXC Spot Main”."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MEXC Withdraw Bot", "speaks of withdrawing"),
        ("MEXC za povlačenje", "speaks of withdrawing"),
        ("MEXC opnames", "speaks of withdrawing"),
        ("KuCoin Spot Main", "The name says KuCoin, but this key is for MEXC."),
        ("gate spot grid", "The name says Gate.io, but this key is for MEXC."),
        ("from KuCoin to MEXC", ""),
        ("MEXC Futures Grid", "The name says futures, but this connection is for spot."),
        ("MEXC Spot and Futures", ""),
        ("MEXC demo grid", "play money"),
        ("mx0vglAB12cd34EF56gh78", "looks like part of a key"),
        ("MEXC-spot-main", "Almost the same as MEXC Spot Main."),
    ],
)
def test_a_name_that_says_something_else_than_the_key_is(name: str, words: str) -> None:
    found = said(name, others=("MEXC Spot Main", "Other"))
    assert (words in found) if words else (found == "")


def test_the_market_and_the_account_of_the_target_count() -> None:
    assert "says spot" in said("MEXC spot grid", FUTURES)
    assert said("MEXC Perp Grid", FUTURES) == ""
    demo = SPOT.model_copy(update={"environment": Environment.DEMO})
    assert said("MEXC demo grid", demo) == ""


def test_suggestions_know_what_is_taken_and_what_the_exchange_calls_the_key() -> None:
    taken = {"mexc spot main"}
    free_ones = ["MEXC Spot Main 2", "MEXC Spot Grid", "MEXC Spot DCA", "MEXC Spot Recovery"]
    assert suggestions("MEXC", SPOT, None, taken) == free_ones
    report = KeyReport(label="MEXC arbitrage", is_sub=True)
    own = ["MEXC Spot arbitrage", "MEXC Spot Sub"]
    assert suggestions("MEXC", SPOT, report, ()) == ["MEXC Spot Main", *own, "MEXC Spot Grid"]
    assert suggestions("MEXC", SPOT, report, taken) == [*own, "MEXC Spot Main 2", "MEXC Spot Grid"]
    for label in ("key1", "test", "for withdrawals", "mx0vglAB12cd34EF56gh78", "a\u202eb words", "x" * 40):
        assert suggestions("MEXC", SPOT, KeyReport(label=label), taken) == free_ones, label
    assert free("A", {"a", "a 2"}) == "A 3"


def test_a_suggestion_never_gets_a_hint() -> None:
    for target, market in ((SPOT, Market.SPOT), (FUTURES, Market.FUTURES)):
        assert target.market is market
        for name in suggestions("MEXC", target, KeyReport(label="bot-7 grid", is_sub=True), {"mexc spot main"}):
            assert said(name, target, others=("MEXC Spot Main",)) == "", name


# -- one account, several keys -----------------------------------------------------------------------------------------


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault(PASSWORD)
        yield found


def drafted(workbench: Workbench, simulator: Simulator, account: str, market: Market = Market.SPOT) -> str:
    draft = workbench.draft(Target(exchange="bybit", market=market), sample(simulator, "bybit", account))
    workbench.start_draft_test(draft.id).wait(20)
    return draft.id


def notes(workbench: Workbench, draft_id: str) -> list[str]:
    draft = workbench.get_draft(draft_id)
    assert draft is not None
    assert draft.run is not None
    found = workbench.account_notes(draft.target, draft.run.key_report)
    return [note.text.format(**note.params) for note in found]


def test_keys_of_one_account_are_recognised(workbench: Workbench, simulator: Simulator) -> None:
    simulator.change_account("bybit", "good", uid=ACCOUNT)
    simulator.change_account("bybit", "no_futures", uid=ACCOUNT)
    first = drafted(workbench, simulator, "good")
    assert notes(workbench, first) == []
    main = workbench.save_draft(first, name="Bybit Spot Main")
    second = drafted(workbench, simulator, "no_futures")
    assert notes(workbench, second) == [
        "This key belongs to the same Bybit account as “Bybit Spot Main”.",
        "Bots there share one balance and see each other's orders.",
    ]
    grid = workbench.save_draft(second, name="Bybit Spot Grid")
    other = workbench.save_draft(drafted(workbench, simulator, "ip_open"), name="Bybit Spot DCA")
    marks = {id_: [note.text.format(**note.params) for note in found] for id_, found in workbench.accounts().items()}
    assert marks == {
        main.id: ["same account as “Bybit Spot Grid”"],
        grid.id: ["same account as “Bybit Spot Main”"],
    }
    assert other.id not in marks
    workbench.delete(grid.id)
    assert workbench.accounts() == {}


def test_a_sub_account_is_told_with_the_beginning_of_its_number(workbench: Workbench, simulator: Simulator) -> None:
    simulator.change_account("bybit", "sub_account", uid=ACCOUNT)
    draft_id = drafted(workbench, simulator, "sub_account")
    assert notes(workbench, draft_id) == ["It is a key of sub-account 1448…."]
    connection = workbench.save_draft(draft_id, name="Bybit Spot Sub")
    assert [note.params["id"] for note in workbench.accounts()[connection.id]] == ["1448…"]
    assert workbench._store.account_facts() == {connection.id: AccountFacts(str(ACCOUNT), True)}


def test_the_same_number_in_another_environment_is_another_account(workbench: Workbench, simulator: Simulator) -> None:
    for account in ("good", "no_futures"):
        simulator.change_account("bybit", account, uid=ACCOUNT)
    workbench.save_draft(drafted(workbench, simulator, "good"), name="Bybit Spot Main")
    draft = workbench.get_draft(drafted(workbench, simulator, "no_futures"))
    assert draft is not None
    assert draft.run is not None
    assert draft.run.status in (Status.ONLINE, Status.CONNECTED)
    demo = draft.target.model_copy(update={"environment": Environment.DEMO})
    assert workbench.account_notes(demo, draft.run.key_report) == ()
    assert workbench.account_notes(draft.target, None) == ()
