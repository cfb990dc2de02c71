"""The slow replay against cases that were worked out by hand.

Candles are written open, high, low, close. Where nothing else is said they are a minute long and begin at midnight, the
tick is 1, amounts go by thousandths, nothing costs a fee, and every order is 100 USDT: a coin at 100.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from replay_cases import HEAD, ROW, Case, case_of, cases, reduced, seen_in
from replay_oracle import DAY, HOUR, EmaCross, Oracle, OracleReplay, Rsi, down, slow_replay

from bfai.strategy.ladder import LadderMarket, LadderPlan, Tier, after_recovery, build
from bfai.strategy.ladder import liquidation as real_liquidation
from bfai.strategy.parameters import Parameters, read

D, F = Decimal, Fraction
BTC, ETH = "BTC/USDT", "ETH/USDT"
FREE = LadderMarket(type="spot", tick_size=D(1), step_size=D("0.001"), maker=D(0), taker=D(0))
SWAP = replace(FREE, type="linear_swap", liquidation_model="entry_maintenance", tiers=(Tier(D(0), D(0)),))
FLAT = (100, 100, 100, 100)
MONDAY = 1_780_272_000  # 2026-06-01, 00:00 UTC


def plan(*, recovery: dict[str, Any] | None = None, **fields: Any) -> Parameters:
    """Steps of 10 %, no limits, no pauses, no Recovery Mode."""
    plain: dict[str, Any] = {
        "pairs": [BTC],
        "first_entry_size": "100",
        "addon_size": "100",
        "addon_multiplier": "1",
        "addon_step_pct": "10",
        "addon_step_multiplier": "1",
        "addon_max_count": 3,
        "addon_cooldown": 0,
        "take_profit_pct": "10",
        "margin_limit_total": "1000000",
        "deposit_load_max": "100",
        "reserve_mode": "filled",
        "max_groups": 3,
        "cooldown_after_close": 0,
        "max_daily_loss_pct": None,
        "recovery": recovery or {"enabled": False},
    }
    return read({**plain, **fields})


def futures(**fields: Any) -> Parameters:
    return plan(market="futures", amount_basis="notional", **fields)


def recovering(**fields: Any) -> dict[str, Any]:
    """Recovery Mode by drawdown alone, unless told otherwise."""
    alone: dict[str, Any] = {"addons_left": 0, "margin_used_pct": "100", "on_worsening_signal": False}
    return {"drawdown_pct": "8", "step_factor": "2", "take_profit_pct": "0", **alone, **fields}


Prices = Sequence[int | float]


def rows(*candles: Prices | None, begin: int = MONDAY, every: int = 60) -> list[tuple[Any, ...]]:
    """None: no candle at that time."""
    return [(begin + every * k, *row, 1) for k, row in enumerate(candles) if row is not None]


def run(
    parameters: Parameters,
    *candles: Prices | None,
    market: LadderMarket = FREE,
    balance: int = 1_000_000,
    signals: Any = None,
    every: int = 60,
    begin: int = MONDAY,
) -> OracleReplay:
    on = {BTC: rows(*candles, begin=begin, every=every)}
    return slow_replay(parameters, {BTC: market}, on, balance=D(balance), signals=signals)


def fills(replay: OracleReplay, deal: int = 0) -> list[tuple[int, int, Fraction, Fraction]]:
    """Candle, level, price and amount."""
    return [((f.at - MONDAY) // 60, f.level, f.price, f.amount) for f in replay.deals[deal].fills]


def told(replay: OracleReplay) -> list[tuple[Any, ...]]:
    """Minute, what, and why or how."""
    return [((e.at - MONDAY) // 60, e.outcome, *e.reasons, *((e.exit,) if e.exit else ())) for e in replay.log]


# -- deals -------------------------------------------------------------------------------------------------------------


def test_a_deal_and_the_next_one() -> None:
    replay = run(plan(), FLAT, (100, 110, 95, 105), (104, 104, 104, 104))
    first, second = replay.deals
    assert (first.opened_at, first.closed_at, first.exit) == (MONDAY, MONDAY + 60, "take_profit")
    assert (first.exit_price, first.profit, first.fees) == (110, 10, 0)
    assert (second.opened_at, second.closed_at, second.fills[0].price) == (MONDAY + 120, None, 104)
    assert [mark.equity - 1_000_000 for mark in replay.equity] == [0, 10, 10]
    assert told(replay) == [(0, "opened"), (1, "closed", "take_profit"), (2, "opened")]
    assert run(plan(), FLAT, (112, 115, 111, 113)).deals[0].exit_price == 112  # a gap above the target


def test_fees_are_in_the_target_and_in_the_profit() -> None:
    paid = replace(FREE, maker=D("0.001"), taker=D("0.002"))
    # Bought as a taker for 100 + 0.2; break-even 100.2 / 0.999 = 100.30…, a tenth above it 110.33…, on the grid 111.
    replay = run(plan(), FLAT, (100, 110, 100, 110), (110, 111, 110, 110), market=paid)
    deal = replay.deals[0]
    assert (deal.closed_at, deal.exit_price) == (MONDAY + 120, 111)
    assert deal.fees == F("0.2") + F("0.111")
    assert deal.profit == 11 - F("0.311")
    gross = run(plan(take_profit_basis="average_gross"), FLAT, (100, 110, 100, 110), market=paid)
    assert gross.deals[0].exit_price == 110


def test_a_gap_through_a_level_fills_at_the_open_with_the_order_s_amount() -> None:
    replay = run(plan(), FLAT, (85, 88, 82, 86))
    assert fills(replay) == [(0, 0, 100, 1), (1, 1, 85, F("1.111"))]  # 100 / 90, not 100 / 85


def test_several_fill_in_one_candle_and_the_target_waits_for_the_close() -> None:
    # 100 + 99.99 + 100 for 1 + 1.111 + 1.25 coins: average 89.2…, a tenth above it 98.1…, on the grid 99.
    candle = (95, 99, 75, 98)
    replay = run(plan(), FLAT, candle)
    assert fills(replay) == [(0, 0, 100, 1), (1, 1, 90, F("1.111")), (1, 2, 80, F("1.25"))]
    assert replay.deals[0].exit is None
    closed = run(plan(), FLAT, (95, 99, 75, 99)).deals[0]
    assert (closed.closed_at, closed.exit_price) == (MONDAY + 60, 99)
    assert closed.profit == F("3.361") * 99 - F("299.99")
    # Its open lies before the add-ons, which made this target.
    assert run(plan(), (100, 100, 75, 99)).deals[0].exit_price == 99
    later = run(plan(), FLAT, candle, (98, 99, 97, 97)).deals[0]
    assert (later.closed_at, later.exit_price) == (MONDAY + 120, 99)


def test_an_order_is_judged_at_the_price_at_which_it_fills() -> None:
    # At 60 the first add-on fills; 166.66 / 2.111 = 78.9… on average. The next order, at 80, would not better that,
    # but it fills at 60.
    replay = run(plan(), FLAT, (60, 60, 55, 60))
    assert [fill.price for fill in replay.deals[0].fills] == [100, 60, 60, 60]
    # Where it opens at 79.5 and falls to it again, it would: there is nothing to better at 79.
    held = run(plan(addon_cooldown=60), FLAT, (60, 60, 55, 60), (79, 79, 79, 79))
    assert fills(held)[1:] == [(1, 1, 60, F("1.111"))]
    assert told(held)[2:] == [(2, "blocked", "worsens_average")]


@pytest.mark.parametrize(
    ("reference", "prices"),
    [
        ("base", [90, 80, 70]),
        ("previous", [90, 81, 72]),  # 81 × 0.9 = 72.9, down
        ("average", [90, 85, 82]),  # averages 94.7…, 91.2…
    ],
)
def test_where_a_step_is_measured_from(reference: str, prices: list[int]) -> None:
    replay = run(plan(addon_step_reference=reference), FLAT, (95, 95, 60, 60))
    assert [fill.price for fill in replay.deals[0].fills[1:]] == prices


def test_a_short_group_is_the_mirror() -> None:
    # 110 is touched from below: 100 / 110 = 0.909 coins. Average 199.99 / 1.909 = 104.7…, a tenth below it 94.2…, 94.
    replay = run(futures(directions=["short"]), FLAT, (105, 110, 104, 105), (100, 100, 94, 95), market=SWAP)
    deal = replay.deals[0]
    assert fills(replay) == [(0, 0, 100, 1), (1, 1, 110, F("0.909"))]
    assert (deal.side, deal.exit, deal.exit_price) == ("short", "take_profit", 94)
    assert deal.profit == F("199.99") - F("1.909") * 94
    gap = run(futures(directions=["short"]), FLAT, (115, 118, 104, 105), market=SWAP)
    assert fills(gap)[1] == (1, 1, 115, F("0.909"))


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "candle", "ended"),
    [
        # Ten times leverage and no maintenance: liquidated at 90.
        ("5", (100, 100, 80, 85), ("stop", 95, -5)),
        ("5", (94, 95, 80, 85), ("stop", 94, -6)),  # a gap below the stop
        ("5", (90, 95, 80, 85), ("liquidation", 90, -10)),  # a gap below both
        ("20", (100, 100, 80, 85), ("liquidation", 90, -10)),
        (None, (100, 100, 90, 100), ("liquidation", 90, -10)),
        ("5", (100, 112, 95, 112), ("stop", 95, -5)),  # the worst is taken first
        (None, (100, 112, 91, 112), ("take_profit", 111, 11)),  # a tenth from break-even, 110.1…, on the grid
    ],
)
def test_liquidation_stop_and_target(stop: str | None, candle: Prices, ended: tuple[str, int, int]) -> None:
    market = SWAP if ended[0] != "take_profit" else replace(SWAP, maker=D("0.001"))
    replay = run(futures(addon_mode="off", stop_loss_pct=stop, leverage=10), FLAT, candle, market=market)
    deal = replay.deals[0]
    profit = ended[2] - (F("0.111") if ended[0] == "take_profit" else 0)
    assert (deal.exit, deal.exit_price, deal.profit) == (ended[0], ended[1], profit)


def test_a_short_group_is_liquidated_above() -> None:
    short = futures(addon_mode="off", directions=["short"], leverage=10)
    assert run(short, FLAT, (100, 109, 95, 100), market=SWAP).deals[0].exit is None
    deal = run(short, FLAT, (100, 110, 90, 91), market=SWAP).deals[0]
    assert (deal.exit, deal.exit_price, deal.profit) == ("liquidation", 110, -10)


def test_sizes_as_margin_are_multiplied_by_the_leverage() -> None:
    margin = futures(leverage=5, take_profit_basis="margin_net").changed(amount_basis="margin")
    # 5 coins for a margin of 100; 10 % of the margin are 2 % of the price.
    replay = run(margin, FLAT, (100, 102, 99, 100), market=SWAP)
    assert replay.equity[0].committed == 100
    assert (replay.deals[0].exit_price, replay.deals[0].profit) == (102, 10)


def test_the_stop_is_tested_after_the_add_ons_of_the_candle() -> None:
    # From the average of 94.7…, 10 % below is 85.2…, on the grid 86; from the first price it would be 90, as the level.
    average = run(plan(stop_loss_pct="10"), FLAT, (100, 100, 86, 90)).deals[0]
    assert (len(average.fills), average.exit, average.exit_price) == (2, "stop", 86)
    assert average.profit == F("2.111") * 86 - F("199.99")
    base = run(plan(stop_loss_pct="10", stop_loss_basis="base"), FLAT, (100, 100, 90, 95)).deals[0]
    assert (len(base.fills), base.exit, base.exit_price) == (2, "stop", 90)


def test_trailing_follows_the_best_price_from_the_candle_after() -> None:
    follows = plan(trailing={"activation_pct": "10", "delta_pct": "5"})
    # Armed by 110; the best is 112, then 120: 5 % below it 106.4 and 114, on the grid 107 and 114.
    replay = run(follows, FLAT, (100, 112, 90, 108), (111, 120, 108, 119), (119, 119, 114, 115))
    deal = replay.deals[0]
    assert (deal.closed_at, deal.exit, deal.exit_price) == (MONDAY + 180, "take_profit", 114)
    assert len(deal.fills) == 2, "90 was touched before it was armed"
    gap = run(follows, FLAT, (100, 112, 99, 108), (105, 120, 100, 119)).deals[0]
    assert (gap.closed_at, gap.exit_price) == (MONDAY + 120, 105)
    crash = run(follows, FLAT, (100, 112, 99, 108), (108, 108, 60, 61)).deals[0]
    assert (len(crash.fills), crash.exit_price) == (1, 107)
    paid = run(follows, FLAT, (100, 112, 99, 108), (105, 120, 100, 119), market=replace(FREE, taker=D("0.01"))).deals[0]
    assert paid.fees == 1 + F("1.05")
    # On a candle with an add-on it is armed only if the close is high enough: 94.7… and a tenth is 104.2…, 105.
    low = run(follows, FLAT, (100, 105, 90, 104), (104, 104, 70, 80)).deals[0]
    assert [fill.level for fill in low.fills] == [0, 1, 2, 3]


def test_coins_taken_as_a_fee_are_missing_and_dust_is_lost() -> None:
    coins = replace(FREE, fee_side="base", maker=D("0.001"), taker=D("0.001"), step_size=D("0.01"))
    # A coin less a thousandth: 0.999. The target: 100 / 0.999 / 0.999 × 1.1 = 110.2…, 111. Sold are 0.99.
    deal = run(plan(addon_mode="off"), FLAT, (100, 111, 100, 100), market=coins).deals[0]
    assert (deal.fills[0].amount, deal.fills[0].fee, deal.fills[0].fee_coins) == (1, F("0.1"), F("0.001"))
    assert deal.profit == F("0.99") * 111 * (1 - F("0.001")) - 100


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_pause_after_a_close() -> None:
    replay = run(plan(cooldown_after_close=120), FLAT, (100, 110, 100, 110), FLAT, FLAT)
    assert told(replay)[1:] == [
        (1, "closed", "take_profit"),
        (2, "blocked", "cooldown"),
        (3, "opened"),
    ]


def test_the_pause_between_add_ons_and_orders_that_rest_already() -> None:
    drop = (85, 85, 70, 75)
    one = run(plan(addon_cooldown=120), FLAT, drop, drop, drop, drop)
    assert [(at, level) for at, level, _, _ in fills(one)] == [(0, 0), (2, 1), (4, 2)]
    two = run(plan(addon_cooldown=120, addon_resting=2), FLAT, drop, drop, drop, drop)
    assert [(at, level) for at, level, _, _ in fills(two)] == [(0, 0), (2, 1), (2, 2), (4, 3)]


def test_losses_of_the_day_pause_until_the_next_one() -> None:
    crash = (100, 100, 85, 95)
    careful = plan(addon_mode="off", stop_loss_pct="10", max_daily_loss_pct="1")
    # 10 of 1,000 are lost in the hour from 22:00; at midnight it goes on.
    replay = run(careful, FLAT, crash, FLAT, FLAT, FLAT, begin=MONDAY + 21 * HOUR, every=HOUR, balance=1000)
    hours = [((e.at - MONDAY) // HOUR, e.outcome, *e.reasons) for e in replay.log]
    assert hours == [
        (21, "opened"),
        (22, "closed"),
        (22, "paused"),
        (23, "blocked", "guard"),
        (24, "resumed"),
        (24, "opened"),
    ]
    more = run(careful, FLAT, crash, FLAT, begin=MONDAY + 21 * HOUR, every=HOUR, balance=1001)
    assert [e.outcome for e in more.log] == ["opened", "closed", "opened"]
    # 10 of 1,001 on one day and 10 of 991 on the next are not added up; the second is above 1 % by itself.
    days = [FLAT, crash, crash]
    both = run(careful.changed(max_daily_loss_pct="1.5"), *days, begin=MONDAY + 22 * HOUR, every=HOUR, balance=1001)
    assert [e.outcome for e in both.log] == ["opened", "closed", "opened", "closed"]


def test_a_streak_of_losses_pauses_too() -> None:
    crash = (100, 100, 85, 95)
    careful = plan(addon_mode="off", stop_loss_pct="10", max_loss_streak=2)
    assert [e.outcome for e in run(careful, crash, crash, FLAT).log] == [
        *("opened", "closed", "opened", "closed", "paused", "blocked"),
    ]
    replay = run(careful, crash, (100, 110, 100, 100), crash, crash)
    assert "paused" not in [e.outcome for e in replay.log[:6]]
    assert replay.log[-1].outcome == "paused"


def test_a_session_gates_new_groups_only() -> None:
    # Monday's window is over at 00:03: the group may end then, a new one is not opened.
    session = [{"days": ["mon"], "start": "00:00", "end": "00:03"}]
    replay = run(plan(session=session), FLAT, FLAT, (100, 110, 90, 105), FLAT)
    assert told(replay) == [
        (0, "opened"),
        (2, "add_on"),
        (2, "closed", "take_profit"),
        (3, "blocked", "session"),
    ]


# -- Recovery Mode -----------------------------------------------------------------------------------------------------


def test_recovery_mode_begins_at_a_close_and_has_a_ladder_of_its_own() -> None:
    wide = plan(recovery=recovering(size_factor="0.5"))
    # 92 is 8 % below the average. From then on steps are 20 % and orders 50: 80, not 90. Break-even is the goal.
    replay = run(wide, (100, 100, 91, 92), (92, 92, 85, 85), (85, 85, 80, 85), (85, 93, 85, 90))
    deal = replay.deals[0]
    assert fills(replay) == [(0, 0, 100, 1), (2, 1, 80, F("0.625"))]
    assert (deal.recovery_at, deal.difficulties) == (MONDAY, ("drawdown",))
    assert (deal.exit, deal.exit_price) == ("take_profit", 93)  # 150 / 1.625 = 92.3…
    assert deal.profit == F("1.625") * 93 - 150
    assert told(replay) == [
        (0, "opened"),
        (0, "recovery"),
        (2, "add_on"),
        (3, "closed", "take_profit"),
    ]


def test_recovery_mode_that_a_fill_begins_counts_for_the_next_level_of_the_candle() -> None:
    near = plan(recovery=recovering(drawdown_pct="50", addons_left=2, size_factor="1"))
    # The first add-on of three is near enough: the second lies 20 % below the first price's 10 %, at 70.
    replay = run(near, (100, 100, 71, 80), (80, 80, 70, 75))
    assert [(at, level, price) for at, level, price, _ in fills(replay)] == [(0, 0, 100), (0, 1, 90), (1, 2, 70)]
    assert replay.deals[0].difficulties == ("addon_limit_near",)


def test_a_group_returns_after_half_an_hour_of_calm() -> None:
    back = plan(recovery=recovering(return_mode="auto", take_profit_pct="5"))
    quiet = (97, 97, 97, 97)  # less than 4 % below
    replay = run(back, (100, 100, 92, 92), quiet, quiet, quiet, quiet, every=900)
    assert [((e.at - MONDAY) // 900, e.outcome) for e in replay.log] == [
        (0, "opened"),
        (0, "recovery"),
        (3, "returned"),
    ]


def test_no_group_the_other_way_while_one_recovers() -> None:
    limits = {"margin_limit_pair": "120", "margin_limit_total": "150"}
    hedge = futures(directions=["long", "short"], addon_mode="off", recovery=recovering()).changed(**limits)
    # The short group has no room beside the long one at first; then the long one recovers, from 92.
    # What lasts is refused until something has changed, or the next day.
    replay = run(hedge, FLAT, (100, 100, 92, 92), (92, 92, 92, 92), market=SWAP, every=43_200)
    assert [
        (e.side, (e.at - MONDAY) // 43_200, *line[1:]) for e, line in zip(replay.log, told(replay), strict=True)
    ] == [
        ("long", 0, "opened"),
        ("short", 0, "blocked", "margin_limit"),
        ("long", 1, "recovery"),
        ("short", 2, "blocked", "recovery_same_pair", "margin_limit"),
    ]


def test_trims_sell_a_share_while_the_losses_are_allowed() -> None:
    trims = recovering(trim=True, trim_pct="10", trim_every_h=1, loss_allowance_pct="0.2")
    falls = [(100, 100, 90, 90), (90, 90, 90, 90), (80, 80, 80, 80), (80, 80, 80, 80), (80, 100, 80, 80)]
    replay = run(plan(addon_mode="off", recovery=trims), *falls, every=HOUR, balance=1000)
    deal = replay.deals[0]
    # A tenth of a coin at 90, then of what is left at 80; 2.8 lost are more than 0.2 % of 997.2.
    assert [(trim.at, trim.amount, trim.profit) for trim in deal.trims] == [
        (MONDAY + HOUR, F("0.1"), -1),
        (MONDAY + 2 * HOUR, F("0.09"), F("-1.8")),
    ]
    assert (deal.exit, deal.exit_price, deal.profit) == ("take_profit", 100, F("-2.8"))
    assert replay.summary.profit == F("-2.8")
    # With a fee of 1 %: a tenth of the first one goes with the trim, 0.1, beside its own of 0.09.
    paid = run(plan(addon_mode="off", recovery=trims), *falls[:2], every=HOUR, market=replace(FREE, taker=D("0.01")))
    assert paid.deals[0].trims[0].profit == -1 - F("0.1") - F("0.09")
    assert paid.equity[-1].equity - 1_000_000 == paid.deals[0].trims[0].profit - 9 - F("0.9")
    assert paid.equity[-1].committed == 90 + F("0.9")


def test_a_trim_that_the_exchange_would_refuse_is_none() -> None:
    trims = plan(
        addon_mode="off", recovery=recovering(trim=True, trim_pct="10", trim_every_h=1, loss_allowance_pct="20")
    )
    falls = [(100, 100, 90, 90), (90, 90, 90, 90)]
    # A tenth of a coin at 90 is 9.
    assert run(trims, *falls, every=HOUR, market=replace(FREE, min_cost=D(9))).deals[0].trims
    assert not run(trims, *falls, every=HOUR, market=replace(FREE, min_cost=D("9.01"))).deals[0].trims
    assert not run(trims, *falls, every=HOUR, market=replace(FREE, min_amount=D("0.2"))).deals[0].trims


def test_the_equity_stop_closes_everything_at_the_next_open() -> None:
    red = plan(addon_mode="off", recovery={"enabled": False, "red_drawdown_pct": "5"})
    replay = run(red, FLAT, (100, 110, 90, 90), (92, 109, 91, 100), FLAT, balance=200)
    assert replay.deals[0].exit == "take_profit"  # 210, the highest mark
    calm = run(red, FLAT, (100, 105, 91, 91), (92, 109, 91, 100), FLAT, balance=200)
    assert calm.deals[0].exit is None  # 191 is more than 95 % of 200
    stopped = run(red, FLAT, (100, 105, 90, 90), (92, 109, 91, 100), FLAT, FLAT, balance=200)
    assert (stopped.deals[0].exit, stopped.deals[0].exit_price, stopped.deals[0].profit) == ("equity_stop", 92, -8)
    assert told(stopped)[1:] == [
        (1, "stopped"),
        (2, "closed", "equity_stop"),
        (3, "blocked", "guard"),
    ]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_limits_across_two_pairs() -> None:
    both = plan(pairs=[BTC, ETH], margin_limit_total="250", margin_limit_pair="200")
    dip = (95, 95, 90, 95)
    candles = {
        BTC: rows(FLAT, dip, dip, dip),
        ETH: rows(FLAT, FLAT, (100, 110, 100, 109), None),
    }
    markets = {BTC: FREE, ETH: FREE}
    replay = slow_replay(both, markets, candles, balance=D(1000))
    # 100 + 100 + 99.99 are too much for 250, until ETH is gone: seen by BTC, which is judged first, one candle later.
    assert [(e.pair, *line) for e, line in zip(replay.log, told(replay), strict=True)] == [
        (BTC, 0, "opened"),
        (ETH, 0, "opened"),
        (BTC, 1, "blocked", "margin_limit"),
        (ETH, 2, "closed", "take_profit"),
        (BTC, 3, "add_on"),
    ]
    assert replay.log[2].level == 1
    assert replay.equity[-1].committed == F("199.99")
    assert replay.equity[3].equity == 1000 + 10 + F("2.111") * 95 - F("199.99")
    one = slow_replay(both.changed(max_groups=1, margin_limit_total="1000"), markets, candles, balance=D(1000))
    assert told(one)[1] == (0, "blocked", "group_limit")


def test_a_reserved_ladder_counts_from_the_opening_on() -> None:
    # 100 + 99.99 + 100 + 99.96 (1.428 coins at 70) = 399.95
    full = plan(reserve_mode="full", margin_limit_total="399.95", margin_limit_pair="399.95")
    replay = run(full, FLAT, (95, 95, 70, 75))
    assert replay.equity[0].committed == 100
    assert replay.summary.peak_committed == F("399.95")
    assert len(replay.deals[0].fills) == 4
    less = run(full.changed(margin_limit_pair="399.94"), FLAT, FLAT)
    assert told(less) == [(0, "blocked", "margin_limit")]
    load = run(full.changed(deposit_load_max="40"), FLAT, balance=999)  # 399.6
    assert told(load) == [(0, "blocked", "deposit_load")]


def test_sizes_grow_by_what_was_won() -> None:
    grows = plan(addon_mode="off", reinvest_pct="50")
    # 10 of 100 won, half of it reinvested: 105.
    replay = run(grows, (100, 110, 100, 100), FLAT, balance=100)
    assert replay.deals[1].fills[0].amount == F("1.05")


def test_an_order_below_the_minimum_is_blocked() -> None:
    small = replace(FREE, min_cost=D("99.995"))
    replay = run(plan(), FLAT, (95, 95, 80, 80), market=small)
    assert told(replay) == [(0, "opened"), (1, "blocked", "below_minimum")]  # 1.111 × 90 = 99.99
    none = run(plan(first_entry_size="0.09"), FLAT)
    assert told(none) == [(0, "blocked", "below_minimum")]


# -- signals -----------------------------------------------------------------------------------------------------------


def at(price: int) -> tuple[int, int, int, int]:
    return (price, price, price, price)


def test_add_ons_at_signals_inside_zones() -> None:
    zones = plan(addon_mode="zones", zone_width_pct="2")
    # Zones: 90 to 92, 80 to 82, 70 to 72; the ladder itself rests nowhere.
    replay = run(zones, FLAT, at(93), at(92), at(91), at(85), at(79), at(80), signals=("always",))
    assert fills(replay) == [(0, 0, 100, 1), (2, 1, 92, F("1.086")), (6, 2, 80, F("1.25"))]
    assert told(replay)[1:] == [
        (2, "add_on"),
        (6, "add_on"),
    ]
    # What asks at a time of its own is answered.
    once = run(zones, FLAT, at(93), at(92), signals=[(MONDAY + 60 * k, BTC, "long") for k in range(3)])
    assert told(once)[1:] == [(1, "blocked", "outside_zone"), (2, "add_on")]
    strict = run(zones.changed(addon_mode="strict"), FLAT, at(91), at(90), at(75), signals=("always",))
    assert [(k, level, price) for k, level, price, _ in fills(strict)] == [(0, 0, 100), (2, 1, 90), (3, 2, 75)]


def test_the_published_example_in_recovery_mode() -> None:
    # A group at 3,000; add-ons at 2,850 and 2,700, where Recovery Mode begins; 2,900 would worsen and is in no zone.
    example = plan(
        first_entry_size="300", addon_size="300", addon_mode="zones", addon_step_pct="5", zone_width_pct="2",
        take_profit_pct="3", margin_limit_pair="1000", margin_limit_total="100000",
        recovery={"drawdown_pct": "7", "addons_left": 1, "margin_used_pct": "80", "margin_cap_pct": "90",
                  "size_factor": "1", "take_profit_pct": "3"},
    )  # fmt: skip
    fine = replace(FREE, tick_size=D("0.01"), step_size=D("0.00000001"))
    prices = [(3000, 3000, 2900, 2900), (2850, 2860, 2800, 2800), (2700, 2750, 2690, 2750), (2900, 2910, 2900, 2900)]
    asked = [(MONDAY + 60 * k, BTC, "long") for k in range(4)]
    replay = run(example, *prices, (2900, 2931, 2900, 2930), market=fine, signals=asked)
    deal = replay.deals[0]
    assert [line[1:] for line in told(replay)] == [
        ("opened",),
        ("add_on",),
        ("recovery",),
        ("add_on",),
        ("blocked", "outside_zone", "worsens_average", "margin_limit"),
        ("closed", "take_profit"),
    ]
    assert deal.difficulties[0] == "drawdown"
    assert set(deal.difficulties) == {"drawdown", "addon_limit_near", "margin_used", "signal_worsens"}
    assert deal.exit_price == F("2930.08")  # 2844.73… and 3 %, 2930.07…, up
    assert deal.profit is not None and round(deal.profit) == 27


def test_each_signal_of_a_list_acts_once_and_late_ones_at_the_next_candle() -> None:
    asked = [(MONDAY + 30, BTC, "long"), (MONDAY + 31, ETH, "long"), (MONDAY + 90, BTC, "short")]
    win = (100, 110, 100, 100)
    replay = run(plan(), FLAT, None, win, win, signals=asked)
    assert [deal.opened_at for deal in replay.deals] == [MONDAY + 120]


def test_start_conditions_look_at_the_candle_before() -> None:
    below = run(plan(start_condition="price", start_price="90"), at(91), at(90), at(95), at(95))
    assert [deal.opened_at for deal in below.deals] == [MONDAY + 120]
    assert not run(plan(start_condition="signal"), FLAT, FLAT).deals


def test_rsi_and_ema_by_hand() -> None:
    # Changes +2, -1: means 1 and 0.5, RSI 66.7; then -3: 0.5 and 1.75, 22.2.
    rsi, values = Rsi(2), []
    for close in (100, 102, 101, 98):
        rsi.close(F(close))
        values.append(rsi.value)
    assert values == [None, None, F(200, 3), F(200, 9)]
    prices = [at(100), at(102), at(101), at(98), at(98)]
    assert [deal.opened_at for deal in run(plan(), *prices, signals=("rsi", 2, 30)).deals] == [MONDAY + 240]
    assert [deal.opened_at for deal in run(plan(), *prices, signals=("rsi", 2, "66.7")).deals] == [MONDAY + 180]
    # EMA of 1 is the close; of 2, begun with a mean: 100.5, then 100.5 + 2/3 × (close - 100.5).
    prices = [at(101), at(100), at(100), at(102), at(102)]
    assert [deal.opened_at for deal in run(plan(), *prices, signals=("ema", 1, 2)).deals] == [MONDAY + 240]
    cross, crossed = EmaCross(1, 2), []
    for close in (101, 100, 100, 102, 103, 90):
        cross.close(F(close))
        crossed.append((cross.acts("long", 0), cross.acts("short", 0)))
    assert crossed == [(False, False)] * 3 + [(True, False), (False, False), (False, True)]
    assert not run(plan(), *[FLAT] * 6, signals=("rsi", 2, 50)).deals, "what never moved stands at 50"
    assert not run(plan(), *[FLAT] * 6, signals=("ema", 1, 2)).deals


def test_a_signal_that_comes_with_the_exit_waits() -> None:
    zones = plan(addon_mode="zones")
    replay = run(zones, FLAT, at(111), at(100), signals=[(MONDAY + 60 * k, BTC, "long") for k in range(3)])
    assert told(replay) == [
        (0, "opened"),
        (1, "waiting"),
        (1, "closed", "take_profit"),
        (2, "opened"),
    ]


def test_candles_may_be_columns_of_floats() -> None:
    columns = [list(column) for column in zip(*rows(FLAT, (100.2, 110.4, 99.6, 100)), strict=True)]
    names = ("time", "open", "high", "low", "close", "volume")
    floats = SimpleNamespace(
        **{name: [float(one) for one in column] for name, column in zip(names, columns, strict=True)}
    )
    replay = slow_replay(plan(), {BTC: FREE}, {BTC: floats}, balance=D(1000))
    assert replay.deals[0].exit_price == 110  # 110.4 on the grid


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_summary() -> None:
    limited = plan(margin_limit_total="240", stop_loss_pct="30", max_groups=1)
    # Won 10 in the first minute; then 199.99 are in (more than 80 % of 240) and 2.111 coins are worth 80 each.
    candles = [(100, 110, 100, 105), (100, 100, 90, 92), (92, 92, 81, 81)]
    replay = run(limited, *candles, begin=MONDAY + DAY - 120, balance=1000)
    s = replay.summary
    assert (s.deals, s.open_deals, s.profit, s.fills, s.longest_s) == (2, 1, 10, {0: 2, 1: 1}, 60)
    assert s.peak_capital == s.peak_committed == F("199.99")
    value = 1010 + F("2.111") * 81 - F("199.99")
    assert s.equity == value
    assert (s.dip_quote, s.dip_pct) == (1010 - value, (1010 - value) / 1010 * 100)
    assert s.days_near_limit == 2


# -- what always holds -------------------------------------------------------------------------------------------------

PLAYED = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # `reduced` makes cases small, in seconds
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def replayed(case: Case) -> OracleReplay:
    return slow_replay(case.parameters, case.markets, case.candles, balance=case.balance, signals=case.signals)


@PLAYED
@given(cases())
def test_money_is_neither_made_nor_lost_by_the_counting(case: Case) -> None:
    replay = replayed(case)
    p, worth = case.parameters, F(case.balance)
    leverage = p.leverage if p.market == "futures" else 1
    last = {pair: F(str(rows[-1][4])) for pair, rows in case.candles.items() if rows}
    for deal in replay.deals:
        sign, market = (1 if deal.side == "long" else -1), case.markets[deal.pair]
        spent = sum(fill.cost for fill in deal.fills)
        held = sum((fill.amount - fill.fee_coins for fill in deal.fills), F(0))
        worth -= sign * spent + sum(0 if fill.fee_coins else fill.fee for fill in deal.fills)
        for trim in deal.trims:
            held -= trim.amount
            worth += sign * trim.amount * trim.price - trim.fee
        if deal.exit == "liquidation":
            # The margin and the fees are gone, and what trims brought stays.
            assert deal.profit is not None
            if not deal.trims:
                assert deal.profit == -spent / leverage - sum(0 if f.fee_coins else f.fee for f in deal.fills)
            worth += sign * spent + sum(0 if fill.fee_coins else fill.fee for fill in deal.fills) + deal.profit
            worth -= sum(sign * trim.amount * trim.price - trim.fee for trim in deal.trims)
        elif deal.exit is not None:
            sold = down(held, F(market.step_size) * F(market.contract_size))
            assert deal.exit_price is not None
            exit_fee = deal.fees - sum(fill.fee for fill in deal.fills) - sum(trim.fee for trim in deal.trims)
            worth += sign * sold * deal.exit_price - exit_fee
        else:
            tick = F(market.tick_size)
            worth += sign * held * max(round(last[deal.pair] / tick), 1) * tick
    assert replay.equity[-1].equity == worth


@PLAYED
@given(cases())
def test_no_decision_exceeds_a_limit_and_reasons_are_told(case: Case) -> None:
    p, replay = case.parameters, replayed(case)
    total = F(p.margin_limit_total.value)
    if p.margin_limit_total.is_percent:
        total *= F(case.balance) / 100
    assert replay.summary.peak_committed <= total
    for entry in replay.log:
        assert (entry.outcome == "blocked") == bool(entry.reasons)
    for deal in replay.deals:
        levels = [fill.level for fill in deal.fills]
        assert levels[0] == 0
        assert len(set(levels)) == len(levels) <= p.addons + 1
        if p.addon_mode == "ladder":
            assert levels == sorted(levels)
        assert deal.closed_at is None or deal.closed_at >= deal.fills[-1].at
    for one in replay.deals:
        for other in replay.deals:
            if (
                one is not other
                and (one.pair, one.side) == (other.pair, other.side)
                and one.opened_at <= other.opened_at
            ):
                assert one.closed_at is not None and one.closed_at < other.opened_at


@PLAYED
@given(cases())
def test_levels_are_those_of_the_ladder(case: Case) -> None:
    """Prices, amounts, required capital and liquidation, against the calculation that the preview shows."""
    p = case.parameters
    if p.reinvest_pct:
        return
    for deal in replayed(case).deals:
        market = case.markets[deal.pair]
        steps = (
            tuple((step.deviation_pct, step.size) for step in p.custom_steps) if p.custom_steps and p.addons else None
        )
        ladder = build(
            market,
            LadderPlan(
                side="long" if deal.side == "long" else "short",
                entry_price=D(deal.fills[0].price.numerator) / D(deal.fills[0].price.denominator),
                base_order_quote=p.first_entry_size,
                safety_order_quote=p.first_entry_size if p.addon_size is None else p.addon_size,
                volume_scale=p.addon_multiplier,
                step_pct=p.addon_step_pct,
                step_scale=p.addon_step_multiplier,
                step_reference=p.addon_step_reference if p.addon_mode == "ladder" else "base",
                max_safety_orders=p.addons,
                take_profit_pct=p.take_profit_pct,
                base_order_type=p.entry_order_type,
                safety_order_type=p.addon_order_type,
                amount_basis=p.amount_basis,
                leverage=D(p.leverage),
                custom_steps=steps,
            ),
        )
        assert ladder.levels[0].amount_base == deal.fills[0].amount
        sign = 1 if deal.side == "long" else -1
        required = Oracle(p, case.markets, balance=case.balance).required(market, sign, deal.fills[0].price)
        assert abs(required - F(ladder.summary.required_capital_quote)) < F(1, 10**20)
        cost = coins = F(0)
        for fill in deal.fills:
            cost += fill.cost
            coins += fill.amount - fill.fee_coins
            if p.addon_mode != "ladder" or fill.level == 0 or p.addon_step_reference == "average":
                continue
            # In Recovery Mode, from whichever level on; without it, the ladder itself.
            possible = [ladder.levels[fill.level]]
            if deal.recovery_at is not None:
                for level in range(fill.level):
                    second = after_recovery(
                        ladder,
                        level,
                        step_factor=p.recovery.step_factor,
                        size_factor=p.recovery.size_factor,
                        take_profit_pct=p.recovery.take_profit_pct,
                    )
                    possible.append(second.levels[fill.level])
            orders = [(level.price, level.amount_base) for level in possible]
            assert any(
                price is not None and sign * (fill.price - F(price)) <= 0 and amount == fill.amount
                for price, amount in orders
            )
        if deal.exit == "liquidation" and not deal.trims:
            end = real_liquidation(
                market,
                "long" if sign > 0 else "short",
                cost_quote=D(cost.numerator) / D(cost.denominator),
                amount_base=D(coins.numerator) / D(coins.denominator),
                leverage=D(p.leverage),
            )
            assert end is not None and deal.exit_price is not None
            assert abs(F(end) / deal.exit_price - 1) < F(1, 10**20)


def test_a_case_is_made_small() -> None:
    def stopped_after_an_add_on(case: Case) -> bool:
        return any(deal.exit == "stop" and len(deal.fills) == 2 for deal in replayed(case).deals)

    chance = random.Random(1)
    drawn = (case_of(chance.randbytes(HEAD + 40 * ROW)) for _ in range(1000))
    case = next(case for case in drawn if case is not None and stopped_after_an_add_on(case))
    small = reduced(case, stopped_after_an_add_on)
    assert stopped_after_an_add_on(small)
    assert len(small.times) <= 3 < len(case.times)
    assert len(small.parameters.pairs) == 1
    assert not small.parameters.recovery.enabled


def test_the_drawn_cases_meet_everything() -> None:
    """So that a comparison with them is worth something."""
    met = seen_in(250, slow_replay)
    wanted = (
        "opened add_on blocked waiting closed recovery returned trimmed paused resumed stopped "
        "take_profit stop liquidation equity_stop "
        "guard session recovery_same_pair group_limit addon_limit outside_zone worsens_average margin_limit "
        "deposit_load cooldown below_minimum "
        "drawdown addon_limit_near margin_used signal_worsens user_cautious group_age liquidation_near"
    ).split()
    assert [word for word in wanted if not met[word]] == []
