"""Every sample key of every exchange and market gets the verdict that stands in docs/verdicts.md, and no other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bfai.connection_test import expected_checks
from bfai.exchanges import all_exchanges
from bfai.model import Cause, Market, TestRun
from bfai.simulator import Simulator
from tools.exchanges import VERDICTS, cells, every_sample_key

BOUNDS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "accounts.json").read_text())["verdicts"]


def table() -> list[tuple[str, Market, str, list[str]]]:
    """The rows of the page: exchange, market, account, and what it says of them."""
    names = {exchange.name: exchange.id for exchange in all_exchanges().values()}
    rows: list[tuple[str, Market, str, list[str]]] = []
    market = Market.SPOT
    for line in VERDICTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            market = Market(line[3:].lower())
        parts = [part.strip() for part in line.strip("|").split("|")]
        if line.startswith("| ") and parts[0] in names:
            rows.append((names[parts[0]], market, parts[1], parts[2:]))
    return rows


@pytest.fixture(scope="module")
def runs(_simulator: Simulator) -> dict[tuple[str, Market, str], TestRun]:
    _simulator.reset()
    found = dict(asyncio.run(every_sample_key(_simulator)))
    assert not _simulator.violations
    return found


@pytest.mark.parametrize(("exchange", "market", "account", "says"), table(), ids=lambda value: str(value)[:24])
def test_the_verdict_on_each_sample_key(
    runs: dict[tuple[str, Market, str], TestRun], exchange: str, market: Market, account: str, says: list[str]
) -> None:
    run = runs[exchange, market, account]
    assert cells(run) == says
    bounds = BOUNDS[exchange][market][account]
    assert run.status in bounds["status"]
    assert ("causes" in bounds) is (run.diagnosis is not None)
    if run.diagnosis is not None:
        assert run.diagnosis.cause in bounds["causes"]
        assert run.diagnosis.permission == bounds.get("permission")
    if account == "expired":
        assert run.diagnosis is not None
        assert Cause.EXPIRED_KEY in run.diagnosis.candidates
    assert [check.name for check in run.checks] == list(expected_checks(market))


def test_the_page_leaves_nothing_out(runs: dict[tuple[str, Market, str], TestRun]) -> None:
    shown = {(exchange, market, account) for exchange, market, account, _ in table()}
    assert shown == set(runs)
    listed = {
        (exchange, Market(market), account)
        for exchange, markets in BOUNDS.items()
        for market, accounts in markets.items()
        for account in accounts
    }
    assert listed <= shown
