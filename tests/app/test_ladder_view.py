"""The preview of a ladder as Streamlit runs it: figures with their formulas, table, charts, a price to try."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.i18n import LANGUAGES
from tests.app.conftest import captions, choose, problems, texts


def preview() -> None:
    """A page of its own, told by the session which ladder to draw."""
    from dataclasses import replace
    from decimal import Decimal

    import streamlit as st

    from bfai.strategy.ladder import LadderMarket, LadderPlan, Tier, after_recovery, build
    from bfai.ui import ladder_view

    kind = st.session_state.get("kind", "spot")
    market = LadderMarket(
        type="spot",
        tick_size=Decimal("0.1"),
        step_size=Decimal("0.00000001"),
        maker=Decimal("0.001"),
        taker=Decimal("0.001"),
    )
    plan = LadderPlan(
        side="long",
        entry_price=Decimal(60000),
        base_order_quote=Decimal(100),
        safety_order_quote=Decimal(100),
        volume_scale=Decimal("1.5"),
        step_pct=Decimal(1),
        step_scale=Decimal("1.2"),
        max_safety_orders=st.session_state.get("count", 6),
        take_profit_pct=Decimal(1),
        stop_loss_pct=Decimal(9) if kind == "stop" else None,
    )
    recovery = None
    if kind in ("swap", "untold"):
        market = replace(market, type="linear_swap", step_size=Decimal(1), contract_size=Decimal("0.001"))
        plan = replace(plan, amount_basis="margin", leverage=Decimal(5))
        if kind == "swap":
            tiers = (Tier(Decimal(0), Decimal("0.004")),)
            market = replace(market, liquidation_model="mark_maintenance", tiers=tiers)
    if kind == "nothing":
        plan = replace(plan, entry_price=Decimal("0.01"))
    ladder = build(market, plan)
    if kind == "swap":
        half = Decimal("0.5")
        recovery = after_recovery(
            ladder, 3, step_factor=Decimal("1.5"), size_factor=half, take_profit_pct=Decimal("0.3")
        )
    ladder_view.draw(
        ladder,
        quote="USDT",
        base="BTC",
        price_now=Decimal(59800),
        limit_quote=st.session_state.get("limit"),
        recovery=recovery,
        groups=3,
        key="preview",
    )


def open_preview(kind: str = "spot", language: str = "en", **state: Any) -> AppTest:
    at = AppTest.from_function(preview, default_timeout=30)
    at.session_state["kind"] = kind
    at.session_state["language"] = language
    for name, value in state.items():
        at.session_state[name] = value
    at.run()
    assert not problems(at)
    return at


def names(at: AppTest) -> list[Any]:
    return [item for item in at.markdown if item.value.startswith(":small[")]


def figures(at: AppTest) -> dict[str, str]:
    """Value by label; the label stands above its figure."""
    labels = [item.value.removeprefix(":small[").removesuffix("]") for item in names(at)]
    return dict(zip(labels, [item.value for item in at.metric], strict=True))


def charts(at: AppTest) -> list[Any]:
    return [item.proto for item in at.get("echarts_chart")]


def test_the_figures_of_a_spot_ladder() -> None:
    at = open_preview()
    found = figures(at)
    assert found["Covers a fall of"] == "9.93%"
    assert found["Capital, USDT"] == "2,180.30"
    assert found["Share of the limit"] == "unknown"
    assert found["Liquidation, USDT"] == "none"
    assert found["Break-even, USDT"] == "56,091.2"
    assert found["Rebound to target"] == "4.83%"
    assert found["Loss at stop, USDT"] == "no stop"
    assert found["Errors"] == "none"
    assert any("6,540.90" in text for text in captions(at))


@pytest.mark.parametrize("kind", ["spot", "stop", "swap", "untold"])
def test_every_figure_says_how_it_comes_about(kind: str) -> None:
    at = open_preview(kind)
    assert len(at.metric) == 12
    assert all(item.proto.help for item in names(at))


def test_the_stop_and_the_limit() -> None:
    from decimal import Decimal

    at = open_preview("stop", limit=Decimal(2000))
    assert figures(at)["Loss at stop, USDT"] == "-200.19"
    assert figures(at)["Share of the limit"] == "109.0%"
    assert any("above 2,000.00" in text for text in captions(at))


def test_a_swap_tells_its_liquidation_as_an_estimate() -> None:
    at = open_preview("swap")
    assert figures(at)["Liquidation, USDT"] != "none"
    help_ = next(item.proto.help for item in names(at) if "Liquidation" in item.value)
    assert "estimate" in help_
    assert figures(at)["Margin ratio"].endswith("%")
    assert "Recovery Mode begins after 3 add-ons" in texts(at)


def test_what_is_not_known_is_said() -> None:
    at = open_preview("untold")
    assert figures(at)["Liquidation, USDT"] == "unknown"
    assert figures(at)["Margin ratio"] == "unknown"


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("kind", ["spot", "swap"])
def test_every_chart_is_described(kind: str, language: str) -> None:
    at = open_preview(kind, language)
    found = charts(at)
    assert len(found) == 3
    for chart in found:
        assert len(chart.alt) > 60 and "{" not in chart.alt
        assert json.loads(chart.spec)["series"]
    number = "54.042,0" if language != "en" else "54,042.0"
    assert number in found[0].alt


def test_the_table_shows_what_was_asked_on_request() -> None:
    at = open_preview("swap")
    assert "Average" in at.dataframe[0].value.columns
    choose(at, "preview_view", "asked")
    table = at.dataframe[0].value
    assert table["Size asked"].iloc[0] == "500.00"
    assert table["Cost"].iloc[0] == "480.00"
    before = list(table["Price sent"])
    choose(at, "preview_which", "recovery")
    after = list(at.dataframe[0].value["Price sent"])
    assert before[:4] == after[:4] and before[4:] != after[4:]


def test_a_price_can_be_tried() -> None:
    at = open_preview()
    assert figures(at)["Add-ons filled"] == "0 of 6"
    at.slider[0].set_value(55000.0).run()
    found = figures(at)
    assert found["Add-ons filled"] == "5 of 6"
    assert found["Unrealised, USDT"].startswith("-")
    assert "55,000.0" in texts(at)
    at.slider[0].set_value(at.slider[0].max).run()
    assert "Result, USDT" in figures(at)
    assert "The target at" in texts(at)


def test_the_tried_price_outlives_a_change_of_the_ladder() -> None:
    at = open_preview()
    at.slider[0].set_value(57000.0).run()
    at.session_state["count"] = 8
    at.run()
    assert not problems(at)
    assert abs(float(str(at.slider[0].value)) - 57000) <= 50
    at.session_state["count"] = 0
    at.run()
    assert not problems(at)
    assert at.slider[0].min <= at.slider[0].value <= at.slider[0].max


def test_a_ladder_without_a_level_is_said_and_not_drawn() -> None:
    at = open_preview("nothing")
    assert not charts(at)
    assert "No level can be filled" in at.warning[0].value
    assert figures(at)["Errors"] == "7"
