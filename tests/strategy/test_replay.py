"""The replay: its fills are the ladder's, its log obeys every limit, and it is the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.strategy.candles import Candles
from bfai.strategy.gate import ladder_plan
from bfai.strategy.ladder import LadderMarket, after_recovery, build
from bfai.strategy.parameters import Parameters, read
from bfai.strategy.recovery import Exit, Outcome, Reason, State
from bfai.strategy.replay import Decision, Listed, Replay, ReplayError, replay

SPOT = LadderMarket(
    type="spot",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.00000001"),
    maker=Decimal("0.001"),
    taker=Decimal("0.001"),
)
T0 = 1_767_225_600  # 2026-01-01
MINUTE = 60


def parameters(**more: Any) -> Parameters:
    """The reference ladder: 100 USDT and six add-ons, no limit that matters, no Recovery Mode."""
    return read(
        {
            "pairs": ["BTC/USDT"],
            "first_entry_size": "100",
            "addon_multiplier": "1.5",
            "addon_step_pct": "1",
            "addon_step_multiplier": "1.2",
            "addon_max_count": 6,
            "take_profit_pct": "1",
            "addon_cooldown": 0,
            "cooldown_after_close": 0,
            "margin_limit_total": "1000000",
            "deposit_load_max": "100",
            "max_daily_loss_pct": None,
            "recovery": {"enabled": False},
            **more,
        }
    )


def rows(*prices: Sequence[float], pair: str = "BTC/USDT", step: int = MINUTE, begin: int = T0) -> Candles:
    """Candles of open, high, low, close."""
    opens, highs, lows, closes = (np.array(column, dtype=np.float64) for column in zip(*prices, strict=True))
    times = begin + step * np.arange(len(prices), dtype=np.int64)
    return Candles(pair, timedelta(seconds=step), times, opens, highs, lows, closes, np.ones(len(prices)))


def line(*closes: float, **more: Any) -> Candles:
    """Candles that go straight from one close to the next."""
    pairs = zip([closes[0], *closes], closes, strict=False)
    return rows(*((begin, max(begin, end), min(begin, end), end) for begin, end in pairs), **more)


def play(p: Parameters, candles: Candles, market: LadderMarket = SPOT, **more: Any) -> Replay:
    return replay(p, {candles.pair: market}, {candles.pair: candles}, balance=Decimal(10_000), **more)


def test_a_straight_fall_fills_the_ladder_and_a_rise_closes_it() -> None:
    p = parameters()
    found = play(p, line(60000, 54000, 58000, 58000))
    ladder = build(SPOT, ladder_plan(p, "long", Decimal(60000)))
    (deal,) = found.deals[:1]
    assert [(fill.level, fill.price, fill.amount) for fill in deal.fills] == [
        (level.level, level.price, level.amount_base) for level in ladder.levels
    ]
    assert deal.exit is Exit.TAKE_PROFIT
    assert deal.exit_price == ladder.summary.take_profit_price == Decimal("56652.2")
    assert deal.profit == ladder.levels[-1].profit_at_take_profit_quote
    assert deal.capital == ladder.summary.required_capital_quote
    assert found.summary.fills_by_level[:7] == (2, 1, 1, 1, 1, 1, 1), "it is in the market again"
    assert found.equity["equity"].iloc[-1] == pytest.approx(
        float(found.balance + found.summary.profit + found.summary.open_profit)
    )


def test_a_short_group_is_the_mirror_with_leverage() -> None:
    market = replace(SPOT, type="linear_swap", step_size=Decimal(1), contract_size=Decimal("0.001"))
    p = parameters(
        market="futures",
        directions=["short"],
        leverage=3,
        amount_basis="margin",
        first_entry_size="200",
        addon_max_count=3,
        stop_loss_pct="20",
    )
    found = play(p, line(60000, 62600, 58000), market)
    ladder = build(market, ladder_plan(p, "short", Decimal(60000)))
    deal = found.deals[0]
    assert [(fill.price, fill.amount) for fill in deal.fills] == [
        (level.price, level.amount_base) for level in ladder.levels[: len(deal.fills)]
    ]
    last = ladder.levels[len(deal.fills) - 1]
    assert (deal.exit_price, deal.profit) == (last.take_profit_price, last.profit_at_take_profit_quote)


def test_a_gap_through_a_level_fills_at_the_open() -> None:
    found = play(parameters(addon_max_count=1), rows((60000, 60000, 60000, 60000), (59000, 59100, 58900, 59000)))
    fill = found.deals[0].fills[1]
    assert fill.price == 59000
    assert fill.amount == Decimal("0.0016835"), "as ordered at 59,400"


def test_on_a_candle_with_an_add_on_the_target_needs_the_close() -> None:
    opening = (60000, 60000, 60000, 60000)
    missed = play(parameters(addon_max_count=1), rows(opening, (60000, 61000, 59400, 60000)))
    assert [deal.closed_at for deal in missed.deals] == [None]
    closed = play(parameters(addon_max_count=1), rows(opening, (60000, 61000, 59400, 60500)))
    assert closed.deals[0].exit is Exit.TAKE_PROFIT


def test_recovery_goes_on_with_its_second_ladder() -> None:
    p = parameters(
        recovery={
            "enabled": True,
            "drawdown_pct": "50",
            "addons_left": 3,
            "margin_used_pct": "100",
            "take_profit_pct": "0.3",
        }
    )
    found = play(p, line(60000, 50000, 58000))
    first = build(SPOT, ladder_plan(p, "long", Decimal(60000)))
    second = after_recovery(
        first, 3, step_factor=Decimal("1.5"), size_factor=Decimal("0.5"), take_profit_pct=Decimal("0.3")
    )
    deal = found.deals[0]
    assert [(fill.price, fill.amount) for fill in deal.fills] == [
        (level.price, level.amount_base) for level in second.levels if level.reachable
    ]
    assert deal.exit_price == second.summary.take_profit_price
    assert deal.difficulties == ("addon_limit_near",)
    assert found.summary.recoveries == 1


def test_what_is_blocked_is_told_once_with_all_its_reasons() -> None:
    p = parameters(margin_limit_total="150", margin_limit_pair="150", reserve_mode="filled", deposit_load_max="1")
    found = play(p, line(60000, 59000, 58900, 58800, 58700))
    told = [one for one in found.log if one.outcome is Outcome.BLOCKED]
    assert [(one.level, one.reasons) for one in told] == [(0, (Reason.DEPOSIT_LOAD,))]
    p = p.changed(deposit_load_max="50")
    found = play(p, line(60000, 59000, 58900, 58800, 58700))
    told = [one for one in found.log if one.outcome is Outcome.BLOCKED]
    assert [(one.level, one.reasons) for one in told] == [(1, (Reason.MARGIN_LIMIT,))]


def test_a_day_of_losses_pauses_until_the_next() -> None:
    p = parameters(max_daily_loss_pct="0.5", stop_loss_pct="1", addon_max_count=0, first_entry_size="8000")
    day = 24 * 60
    closes = [60000, 59000, *[59000] * (day - 2), *[59000] * 10]
    found = play(p, line(*closes))
    assert [one.guard for one in found.log if one.guard] == ["paused", "active"]
    assert [deal.opened_at.day for deal in found.deals] == [1, 2]


def test_nothing_to_replay_is_said() -> None:
    with pytest.raises(ReplayError, match="no candles of BTC/USDT"):
        replay(parameters(), {"BTC/USDT": SPOT}, {}, balance=Decimal(1))
    with pytest.raises(ReplayError, match="more than zero"):
        play_with_nothing = replay(parameters(), {"BTC/USDT": SPOT}, {"BTC/USDT": line(1, 2)}, balance=Decimal(0))
        assert play_with_nothing is None


# -- what always holds -------------------------------------------------------------------------------------------------


@st.composite
def walks(draw: st.DrawFn) -> Candles:
    """Random candles with jumps and flat stretches."""
    count = draw(st.integers(2, 150))
    seed = draw(st.integers(0, 2**32 - 1))
    wild = draw(st.sampled_from([0.001, 0.01, 0.05]))
    r = np.random.default_rng(seed)
    closes = 1000 * np.exp(np.cumsum(r.normal(0, wild, count) * r.integers(0, 2, count)))
    opens = np.concatenate([[1000.0], closes[:-1]]) * np.exp(r.normal(0, wild / 4, count) * r.integers(0, 2, count))
    highs = np.maximum(opens, closes) * np.exp(np.abs(r.normal(0, wild, count)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(r.normal(0, wild, count)))
    return rows(*zip(opens, highs, lows, closes, strict=True), step=draw(st.sampled_from([60, 900, 14400])))


@settings(max_examples=60, deadline=None)
@given(candles=walks(), limit=st.integers(110, 2500), full=st.booleans(), data=st.data())
def test_no_decision_exceeds_a_limit_and_reasons_are_complete(
    candles: Candles, limit: int, full: bool, data: st.DataObject
) -> None:
    p = parameters(
        margin_limit_total=str(limit),
        margin_limit_pair=str(limit),
        reserve_mode="full" if full else "filled",
        deposit_load_max=str(data.draw(st.integers(1, 30))),
        addon_cooldown=data.draw(st.sampled_from([0, 300, 86_400])),
        recovery={"enabled": True, "margin_cap_pct": "60"},
    )
    found = play(p, candles)
    assert found.summary.peak_capital <= limit
    equity = found.balance
    for deal in found.deals:
        assert deal.capital <= limit
    for one in found.log:
        if one.outcome is Outcome.BLOCKED:
            assert one.reasons
            assert list(one.reasons) == [reason for reason in Reason if reason in one.reasons], "in their fixed order"
        elif one.outcome is not None:
            assert not one.reasons
    assert equity > 0
    check_the_log(found.log)


def check_the_log(log: Sequence[Decision]) -> None:
    """Nothing happens to a group after it was closed, and nothing opens while one is open."""
    state: State | None = None
    for one in log:
        if one.guard is not None:
            continue
        if one.outcome is Outcome.OPENED:
            assert state in (None, State.CLOSED)
            state = State.NORMAL
        elif one.exit is not None:
            assert state in (State.NORMAL, State.RECOVERY)
            state = State.CLOSED
        elif one.outcome is Outcome.ADD_ON or one.entered or one.trimmed or one.returned:
            assert state in (State.NORMAL, State.RECOVERY)
            state = one.state or state


@settings(max_examples=40, deadline=None)
@given(candles=walks())
def test_a_replayed_log_is_the_same(candles: Candles) -> None:
    """The entries of a log, given as signals, bring the same deals; and the same input brings the same log."""
    p = parameters(recovery={"enabled": True, "trim": True, "trim_every_h": 1, "loss_allowance_pct": "20"})
    found = play(p, candles)
    assert play(p, candles) == found
    entries = tuple[tuple[int, str | None, Any], ...](
        (int(deal.opened_at.timestamp()), deal.pair, deal.side) for deal in found.deals
    )
    again = play(p, candles, signals=Listed(entries))
    assert again.deals == found.deals
    assert again.summary.profit == found.summary.profit
