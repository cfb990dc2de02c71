"""The command `ladder` against cases worked out beforehand, and against a second calculation on random ladders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bfai.cli import main
from tests.strategy.oracle import ladder

ROOT = Path(__file__).parent.parent.parent
CASES: list[dict[str, Any]] = json.loads((ROOT / "tests" / "data" / "ladder_cases.json").read_text(encoding="utf-8"))[
    "cases"
]
EXACT = {"level", "kind", "reachable", "price", "contracts", "take_profit_price", "stop_loss_price", "orders", "valid"}
TOLERANCE = Decimal("0.00000001")

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def run(given: dict[str, Any]) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["ladder"], input=json.dumps(given))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


def same(field: str, got: Any, wanted: Any) -> bool:
    if field in EXACT or got is None or wanted is None:
        return got == wanted and type(got) is type(wanted)
    return isinstance(got, str) and abs(Decimal(got) - Decimal(wanted)) <= TOLERANCE


def differences(got: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What is wrong, figure by figure; nothing when all is well."""
    found = [] if set(got) == set(wanted) else [f"parts: {sorted(got)}"]
    if got["violations"] != wanted["violations"]:
        found.append(f"violations: {got['violations']} instead of {wanted['violations']}")
    if len(got["rows"]) != len(wanted["rows"]):
        found.append(f"{len(got['rows'])} rows instead of {len(wanted['rows'])}")
    pairs = [*zip(got["rows"], wanted["rows"], strict=False), (got["summary"], wanted["summary"])]
    for mine, theirs in pairs:
        where = f"level {theirs['level']}" if "level" in theirs else "summary"
        found += [f"{where}: {field} is missing" for field in theirs if field not in mine]
        found += [f"{where}: {field} does not belong there" for field in mine if field not in theirs]
        found += [
            f"{where}: {field} is {mine[field]!r} instead of {value!r}"
            for field, value in theirs.items()
            if field in mine and not same(field, mine[field], value)
        ]
    return found


# -- the cases ---------------------------------------------------------------------------------------------------------


@each_case
def test_second_calculation(case: dict[str, Any]) -> None:
    assert ladder(case["input"]) == case["expected"]


@each_case
def test_worked_by_hand(case: dict[str, Any]) -> None:
    for worked in case.get("worked", []):
        assert case["expected"]["rows"][worked["level"]].get(worked["field"]) == worked["value"], worked["how"]


@each_case
def test_command(case: dict[str, Any]) -> None:
    assert differences(run(case["input"]), case["expected"]) == []


def test_command_in_a_process() -> None:
    case = CASES[0]
    done = subprocess.run(
        [sys.executable, "-m", "bfai", "ladder"],
        input=json.dumps(case["input"]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert differences(json.loads(done.stdout), case["expected"]) == []


# -- random ladders ----------------------------------------------------------------------------------------------------


def decimals(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Numbers from low to high, counted in units of the last place, as text."""
    return st.integers(low, high).map(lambda units: format(Decimal(units).scaleb(-places), "f"))


@st.composite
def tiers(draw: st.DrawFn) -> list[dict[str, str]]:
    """Ascending tiers whose amounts keep the maintenance continuous."""
    rate, cum, found = Decimal(draw(decimals(3, 12, 3))), Decimal(0), []
    for start in [0, *sorted(draw(st.sets(st.integers(1000, 50_000), max_size=3)))]:
        if start:
            more = Decimal(draw(decimals(1, 10, 3)))
            rate, cum = rate + more, cum + start * more
        found.append({"min_notional": str(start), "mmr": str(rate), "cum": str(cum)})
    return found


@st.composite
def ladders(draw: st.DrawFn) -> dict[str, Any]:
    swap = draw(st.booleans())
    side = draw(st.sampled_from(["long", "short"])) if swap else "long"
    places = draw(st.integers(0, 6))
    market: dict[str, Any] = {
        "type": "linear_swap" if swap else "spot",
        "tick_size": format(Decimal(1).scaleb(-places), "f"),
        "step_size": "1" if swap else format(Decimal(1).scaleb(-draw(st.integers(0, 8))), "f"),
        "min_amount": draw(decimals(0, 20, 1)),
        "min_cost": draw(decimals(0, 20, 0)),
        "maker": draw(decimals(-2, 20, 4)),
        "taker": draw(decimals(0, 20, 4)),
    }
    leverage = 1
    if swap:
        leverage = draw(st.integers(1, 12))
        market |= {
            "contract_size": draw(st.sampled_from(["0.0001", "0.001", "0.01", "1", "10"])),
            "liquidation_model": draw(st.sampled_from(["mark_maintenance", "entry_maintenance"])),
            "tiers": draw(tiers()),
        }
        if draw(st.booleans()):
            market["liquidation_fee"] = draw(decimals(0, 10, 4))
    elif draw(st.booleans()):
        market["fee_side"] = draw(st.sampled_from(["base", "quote"]))
    if draw(st.booleans()):
        market["max_amount"] = draw(decimals(1, 5000, 0))
    plan: dict[str, Any] = {
        "side": side,
        "entry_price": draw(st.one_of(decimals(200, 2_000_000, places), decimals(20_000, 2_000_000, places + 2))),
        "base_order_quote": draw(decimals(500, 500_000, 2)),
        "safety_order_quote": draw(decimals(500, 500_000, 2)),
        "volume_scale": draw(decimals(50, 250, 2)),
        "step_pct": draw(decimals(10, 1500, 2)),
        "step_scale": draw(decimals(50, 200, 2)),
        "step_reference": draw(st.sampled_from(["base", "previous", "average"])),
        "max_safety_orders": draw(st.integers(0, 8)),
        "amount_basis": draw(st.sampled_from(["notional", "margin"])) if swap else "notional",
        "take_profit_pct": draw(decimals(1, 500, 2)),
        "take_profit_basis": draw(st.sampled_from(["average_net", "average_gross", "margin_net"])),
        "stop_loss_basis": draw(st.sampled_from(["average", "base"])),
        **{f"{order}_order_type": draw(st.sampled_from(["market", "limit"])) for order in ("base", "safety", "exit")},
    }
    if swap:
        plan["leverage"] = str(leverage)
    if draw(st.booleans()):
        plan["stop_loss_pct"] = draw(decimals(100, 4000, 2))
    if draw(st.booleans()):
        plan["margin_limit_quote"] = draw(decimals(10, 20_000, 0))
    return {"market": market, "strategy": plan}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(ladders())
def test_two_calculations_agree(given: dict[str, Any]) -> None:
    market, plan = given["market"], given["strategy"]
    size = Decimal(plan["base_order_quote"])
    if plan["amount_basis"] == "margin":
        size *= int(plan["leverage"])
    one = Decimal(plan["entry_price"]) * Decimal(market.get("contract_size", "1")) * Decimal(market["step_size"])
    assume(size >= one)  # a base order that buys nothing has no average
    assert differences(run(given), ladder(given)) == []
