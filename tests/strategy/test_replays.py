"""Replays in the background: jobs that can be ended, what is kept, averages and targets over time, grids, files."""

from __future__ import annotations

import csv
import io
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bfai.model import BfaiError, Market, Message
from bfai.strategy.candles import Candles, sample
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Parameters, preset, read
from bfai.strategy.recovery import Exit
from bfai.strategy.replay import Always, Listed, Rsi
from bfai.strategy.replays import (
    Axis,
    Grid,
    GridPlan,
    Job,
    Question,
    Replays,
    assumed_market,
    axis_of,
    deals_csv,
    grid_axes,
    log_csv,
    result_of,
    stand_in,
    stretches,
    what_of,
)

MARKET = LadderMarket(
    type="spot",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.00000001"),
    maker=Decimal("0.001"),
    taker=Decimal("0.001"),
)
BTC = "BTC/USDT"


def dips(**more: Any) -> Parameters:
    return preset("balanced", Market.SPOT, [BTC], "30").changed(**more)


def question(parameters: Parameters | None = None, **more: Any) -> Question:
    asked = Question(parameters or dips(), {BTC: MARKET}, {BTC: sample(BTC)}, Decimal(10_000))
    return replace(asked, **more)


# -- questions ---------------------------------------------------------------------------------------------------------


def test_the_same_question_has_the_same_key_and_any_other_has_another() -> None:
    one = question()
    assert one.key == question(dips()).key
    later = sample(BTC).between(sample(BTC).begins + timedelta(days=1))
    others = [
        question(dips(take_profit_pct="1.3")),
        question(balance=Decimal(10_001)),
        question(signals=Rsi(30)),
        question(signals=Rsi(31)),
        question(candles={BTC: later}),
        question(markets={BTC: replace(MARKET, maker=Decimal("0.002"))}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 7
    assert question(signals=Always()).key == one.key, "the strategy's own start condition is always in"


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_what_was_asked_before_is_there_at_once() -> None:
    replays = Replays()
    first = replays.start(question())
    assert first.wait(30) and first.result is not None
    assert first.result.summary.deals > 5
    again = replays.start(question())
    assert again is first and again.done and again.progress == 1.0
    other = replays.start(question(dips(take_profit_pct="3")))
    assert other is not first and other.wait(30)
    assert other.result is not None and other.result.summary.deals < first.result.summary.deals


def test_a_job_tells_how_far_it_is_and_ends_when_told() -> None:
    replays, half, go_on = Replays(), threading.Event(), threading.Event()

    def work(job: Job[str]) -> str:
        job.tell(0.5)
        half.set()
        go_on.wait(10)
        job.tell(0.6)
        return "through"

    job = replays.run("slow", work)
    assert half.wait(10) and job.progress == 0.5 and not job.done
    job.cancel()
    go_on.set()
    assert job.wait(10)
    assert job.cancelled and job.result is None and job.error is None
    again = replays.run("slow", work)
    assert again is not job and again.wait(10) and again.result == "through", "a stopped one is begun anew"


def test_only_so_many_work_at_once_and_a_waiting_one_can_be_ended() -> None:
    replays, go_on = Replays(workers=1), threading.Event()
    first = replays.run("first", lambda job: go_on.wait(10))
    ran: list[int] = []
    second = replays.run("second", lambda job: ran.append(1))
    second.cancel()
    go_on.set()
    assert first.wait(10) and second.wait(10)
    assert first.result is True and second.cancelled and not ran


def test_what_goes_wrong_is_told_and_nothing_of_it_is_a_traceback() -> None:
    replays = Replays()

    def refuse(job: Job[None]) -> None:
        raise BfaiError(Message(text="no"))

    def break_down(job: Job[None]) -> None:
        raise ZeroDivisionError

    refused, broken = replays.run("refused", refuse), replays.run("broken", break_down)
    assert refused.wait(10) and broken.wait(10)
    assert refused.error is not None and refused.error.text == "no"
    assert broken.error is not None and "Nothing was changed" in broken.error.text
    empty = replays.start(question(candles={BTC: sample(BTC).between(until=sample(BTC).begins)}))
    assert empty.wait(10) and empty.error is not None and "no candles" in empty.error.text


def test_the_oldest_are_forgotten_where_they_are_too_large() -> None:
    replays = Replays(most_rows=2 * len(sample(BTC)) + 10)
    asked = [question(dips(take_profit_pct=f"1.{digit}")) for digit in (1, 2, 3)]
    jobs = [replays.start(one) for one in asked]
    assert all(job.wait(30) for job in jobs)
    replays.start(asked[2]).wait(30)
    assert replays.start(asked[2]) is jobs[2]
    assert replays.start(asked[0]) is not jobs[0]


# -- what is replayed on -----------------------------------------------------------------------------------------------


def test_another_pair_gets_sample_data_of_about_its_price() -> None:
    assert stand_in(BTC) is sample(BTC)
    sol = stand_in("SOL/USDT", Decimal("151.2"))
    assert sol.pair == "SOL/USDT" and 15 < sol.close[-1] < 1500
    moves = np.diff(np.log(sol.close))
    assert np.allclose(moves, np.diff(np.log(sample(BTC).close))), "in percent it is the same"
    assert stand_in("SOL/USDT", Decimal("151.9")).digest == sol.digest, "a price that moves changes nothing"


@pytest.mark.parametrize("price", [60_000.0, 1.234, 0.0000123])
def test_assumed_rules_are_fine_enough_for_any_price(price: float) -> None:
    market = assumed_market(Market.FUTURES, price)
    assert market.type == "linear_swap" and not market.tells_liquidation
    assert 10_000 < price / float(market.tick_size) < 1_000_001


# -- a group over time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "changes"),
    [
        (MARKET, {}),
        (replace(MARKET, fee_side="base"), {}),
        (MARKET, {"take_profit_basis": "average_gross"}),
        (replace(MARKET, type="linear_swap"), {"market": "futures", "directions": ["short"], "leverage": 3}),
    ],
    ids=["spot", "fee in coins", "gross", "short"],
)
def test_groups_close_at_the_target_that_is_drawn(market: LadderMarket, changes: dict[str, Any]) -> None:
    asked = question(dips(**changes), markets={BTC: market})
    found = asked.answer()
    told = stretches(asked, found)
    checked = 0
    for deal in found.deals:
        own = [one for one in told if deal.opened_at <= one.since and one.until <= (deal.closed_at or one.until)]
        assert own and own[0].since == deal.opened_at
        assert all(one.until == other.since for one, other in pairwise(own))
        gained = [fill for fill in deal.fills if fill.at == deal.closed_at]
        if deal.exit is Exit.TAKE_PROFIT and not gained and own[-1].until == deal.closed_at:
            assert deal.exit_price is not None
            ahead = (deal.exit_price - own[-1].target) * (1 if deal.side == "long" else -1)
            assert ahead >= 0, "never before the target"
            checked += ahead < Decimal("0.1")
    assert checked > 3, "and on the next tick, but where a candle opens beyond it"


def test_recovery_begins_and_ends_where_the_log_says_so() -> None:
    asked = question()
    found = asked.answer()
    assert found.summary.recoveries
    began = {line.at for line in found.log if line.entered}
    recovering = [one for one in stretches(asked, found) if one.recovering]
    assert recovering and {one.since for one in recovering} & began
    normal = [one for one in stretches(asked, found) if not one.recovering]
    assert all(one.target / one.average > recovering[0].target / recovering[0].average for one in normal)


# -- grids -------------------------------------------------------------------------------------------------------------


def test_the_present_value_is_among_those_that_are_tried() -> None:
    p = dips()
    assert axis_of(p, "take_profit_pct", 5).values == tuple(map(Decimal, ("0.6", "0.85", "1.2", "1.7", "2.4")))
    assert axis_of(p, "addon_max_count", 5).values == tuple(map(Decimal, (4, 5, 6, 7, 8)))
    assert axis_of(dips(addon_max_count=1), "addon_max_count", 5).values == tuple(map(Decimal, range(5)))
    assert min(axis_of(dips(take_profit_pct="0.1"), "take_profit_pct", 5).values) == Decimal("0.1")
    for name in grid_axes(p):
        now = Decimal(str(p.model_dump(mode="json").get(name, "20")))
        assert "." in name or now.normalize() in axis_of(p, name, 3).values


def test_only_what_matters_is_offered() -> None:
    assert "leverage" not in grid_axes(dips()) and "stop_loss_pct" not in grid_axes(dips())
    assert "stop_loss_pct" in grid_axes(dips(stop_loss_pct="9"))
    assert "addon_step_pct" not in grid_axes(dips(addon_mode="off"))
    futures = preset("balanced", Market.FUTURES, [BTC], "30")
    assert {"leverage", "stop_loss_pct"} <= set(grid_axes(futures))


def test_a_cell_is_the_replay_with_its_values() -> None:
    asked = question()
    plan = GridPlan(asked, axis_of(asked.parameters, "take_profit_pct", 3), axis_of(asked.parameters, "leverage", 1))
    plan = replace(plan, down=axis_of(asked.parameters, "addon_step_pct", 3))
    shares: list[float] = []
    grid = plan.answer(shares.append)
    assert len(grid.cells) == 9 and grid.split_at is None
    assert shares == sorted(shares) and shares[0] == 0
    for cell in grid.cells:
        changed = dips(take_profit_pct=str(cell.across), addon_step_pct=str(cell.down))
        assert cell.tried == question(changed).answer().summary and cell.checked is None
    ranked = [result_of(cell.tried) for cell in grid.ranked() if cell.tried is not None]
    assert ranked == sorted(ranked, reverse=True)


def test_the_second_part_has_no_say_in_the_choice() -> None:
    asked = question()
    axes = (axis_of(asked.parameters, name, 3) for name in ("take_profit_pct", "addon_step_pct"))
    grid = GridPlan(asked, *axes, split=0.7).answer()
    assert grid.split_at is not None and grid.split_at == sample(BTC).begins + timedelta(days=42)
    for cell in grid.cells:
        assert cell.tried is not None and cell.checked is not None
        assert cell.tried.until < grid.split_at <= cell.checked.since
        assert cell.tried.candles + cell.checked.candles == len(sample(BTC))


def test_values_that_cannot_stand_together_say_why() -> None:
    asked = question(
        dips(recovery={"enabled": True, "drawdown_pct": "20", "cautious": True, "cautious_drawdown_pct": "15"})
    )
    down = Axis("recovery.drawdown_pct", (Decimal(10), Decimal(20)))
    grid = GridPlan(asked, axis_of(asked.parameters, "take_profit_pct", 3), down).answer()
    wrong = [cell for cell in grid.cells if cell.tried is None]
    assert len(wrong) == 3 and all(cell.down == 10 and cell.problem is not None for cell in wrong)
    assert len(grid.ranked()) == 3
    assert all(other.down == 20 for other in grid.neighbours(grid.ranked()[0]))


def test_a_grid_has_two_parameters_and_few_cells() -> None:
    asked = question()
    one = axis_of(asked.parameters, "take_profit_pct", 3)
    for across, down in ((one, one), (one, Axis("addon_step_pct", ())), (one, Axis("addon_step_pct", one.values * 10))):
        with pytest.raises(BfaiError, match="two different parameters"):
            GridPlan(asked, across, down).answer()


def test_neighbours_touch_at_sides_and_corners() -> None:
    asked = question()
    axes = [axis_of(asked.parameters, name, 3) for name in ("take_profit_pct", "addon_step_pct")]
    grid: Grid = GridPlan(asked, axes[0], axes[1]).answer()
    assert len(grid.neighbours(grid.cells[0])) == 3
    assert len(grid.neighbours(grid.cells[1])) == 5
    assert len(grid.neighbours(grid.cells[4])) == 8


def test_a_grid_runs_in_the_background_and_is_kept() -> None:
    replays, asked = Replays(), question()
    axes = [axis_of(asked.parameters, name, 3) for name in ("take_profit_pct", "addon_step_pct")]
    job = replays.start_grid(GridPlan(asked, axes[0], axes[1]))
    assert job.wait(60) and job.result is not None
    assert replays.start_grid(GridPlan(question(), axes[0], axes[1])) is job
    assert replays.start_grid(GridPlan(asked, axes[0], axes[1], split=0.5)) is not job


# -- as files ----------------------------------------------------------------------------------------------------------


def test_files_hold_every_line_with_its_reasons() -> None:
    found = question(dips(first_entry_size="200")).answer()
    rows = list(csv.DictReader(io.StringIO(log_csv(found))))
    assert len(rows) == len(found.log) and rows[0]["what"] == "blocked"
    assert rows[0]["reasons"] == " ".join(found.log[0].reasons) and rows[0]["time"] == "2026-01-01T00:00:00Z"
    found = question().answer()
    rows = list(csv.DictReader(io.StringIO(log_csv(found))))
    assert [row["what"] for row in rows] == [what_of(line) for line in found.log]
    assert {row["what"] for row in rows} >= {"opened", "add_on", "closed", "recovery"}
    deals = list(csv.DictReader(io.StringIO(deals_csv(found))))
    assert len(deals) == len(found.deals)
    closed = [Decimal(row["profit"]) for row in deals if row["profit"]]
    assert sum(closed) == found.summary.profit and len(closed) == found.summary.deals


def test_a_listed_signal_without_candles_opens_nothing() -> None:
    found = question(signals=Listed(((0, None, "short"),))).answer()
    assert not found.deals and deals_csv(found).count("\n") == 1


def test_parameters_are_told_apart_by_what_they_say_not_by_where_they_came_from() -> None:
    assert question(read(dips().model_dump(mode="json"))).key == question().key


def test_candles_may_be_of_any_object_with_the_same_numbers() -> None:
    one = sample(BTC)
    copy = Candles(one.pair, one.interval, *(np.array(column) for column in one.columns), source="file")
    assert question(candles={BTC: copy}).key == question().key
