"""A group from its first entry to its exit: the published example, then what must always hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.strategy.parameters import Parameters, Recovery, read
from bfai.strategy.recovery import (
    Difficulty,
    Exit,
    Fill,
    Group,
    Guard,
    Outcome,
    Reason,
    Rules,
    Signal,
    State,
    Step,
    World,
    closed,
    filled,
    guard_after,
    on_new_group_beside,
    on_price,
    on_signal,
    opened,
    returned_to_normal,
    rules_of,
    target,
    trim_due,
)

T0 = datetime(2026, 11, 21, tzinfo=UTC)
CENT = Decimal("0.01")


def example(limit: str, **recovery: Any) -> Rules:
    """The example of the product's page: ETH/USDT, every order 300 USDT, no fees."""
    told = {"drawdown_pct": "7", "addons_left": 1, "margin_used_pct": "80", "margin_cap_pct": "90", "size_factor": "1"}
    parameters = read(
        {
            "pairs": ["ETH/USDT"],
            "first_entry_size": "300",
            "addon_mode": "zones",
            "addon_max_count": 3,
            "addon_cooldown": 0,
            "zone_width_pct": "2",
            "take_profit_pct": "3",
            "margin_limit_total": "100000",
            "margin_limit_pair": limit,
            "recovery": {**told, "take_profit_pct": "3", **recovery},
        }
    )
    return rules_of(parameters, [(Decimal(away), Decimal(300)) for away in (6, 11, 16)])


def bought(price: Decimal, size: Decimal) -> Fill:
    return Fill(price, size / price, size, Decimal(0), size)


class Course:
    """Plays signals and prices, and fills what is allowed, 300 USDT at the signal's price."""

    def __init__(self, rules: Rules, **world: Any) -> None:
        self.rules, self.world = rules, World(T0, **world)
        self.group: Group | None = None
        self.steps: list[Step] = []

    def signal(self, price: int | str, side: Any = "long") -> Step:
        at = Decimal(price)
        step = on_signal(self.rules, self.group, Signal(side, at), self.world)
        self.steps.append(step)
        if step.outcome is Outcome.OPENED:
            self.group = opened(self.rules, side, bought(at, step.size), self.world).group
        elif step.outcome is Outcome.ADD_ON and step.group is not None:
            self.group = filled(self.rules, step.group, bought(at, step.size), self.world, step.zone).group
        else:
            self.group = step.group
        return step

    def price(self, price: int | str) -> Step:
        assert self.group is not None
        step = on_price(self.rules, self.group, Decimal(price), self.world)
        self.group = step.group
        return step

    @property
    def open(self) -> Group:
        assert self.group is not None
        return self.group

    @property
    def average(self) -> str:
        return str(self.open.average.quantize(CENT))


def test_case_a_a_signal_at_every_price() -> None:
    course = Course(example("1000"))
    assert course.signal(3000).outcome is Outcome.OPENED
    assert course.signal(2850).outcome is Outcome.ADD_ON
    assert (course.average, course.open.used, course.open.state) == ("2923.08", Decimal(600), State.NORMAL)
    assert course.open.adverse_pct(Decimal(2850)).quantize(CENT) == Decimal("2.50")
    step = course.signal(2700)
    assert (step.outcome, step.entered) == (Outcome.ADD_ON, (Difficulty.DRAWDOWN,))
    assert (course.average, course.open.state) == ("2844.73", State.RECOVERY)
    assert set(course.open.difficulties) == {
        Difficulty.DRAWDOWN,
        Difficulty.ADDON_LIMIT_NEAR,
        Difficulty.MARGIN_USED,
    }
    step = course.signal(2900)
    assert step.outcome is Outcome.BLOCKED
    assert step.reasons == (Reason.OUTSIDE_ZONE, Reason.WORSENS_AVERAGE, Reason.MARGIN_LIMIT)
    assert target(course.rules, course.open).quantize(CENT) == Decimal("2930.07")
    assert course.price("2930.06").exit is None
    done = course.price("2930.08")
    assert done.exit is Exit.TAKE_PROFIT
    assert (course.open.amount * Decimal("2930.07") - course.open.cost).quantize(Decimal(1)) == 27


def test_case_b_a_smaller_limit() -> None:
    course = Course(example("800"))
    course.signal(3000)
    course.signal(2850)
    step = course.signal(2700)
    assert (step.outcome, step.reasons) == (Outcome.BLOCKED, (Reason.MARGIN_LIMIT,))
    assert (step.entered, course.average) == ((Difficulty.DRAWDOWN,), "2923.08")
    assert course.signal(2900).reasons == (Reason.OUTSIDE_ZONE, Reason.MARGIN_LIMIT)
    assert target(course.rules, course.open).quantize(CENT) == Decimal("3010.77")


def test_case_c_the_zone_blocks_what_would_better_the_average() -> None:
    course = Course(example("2000"))
    course.signal(3000)
    course.signal(2850)
    assert course.price(2700).entered == (Difficulty.DRAWDOWN,)
    assert course.average == "2923.08"
    step = course.signal(2900)
    assert (step.outcome, step.reasons) == (Outcome.BLOCKED, (Reason.OUTSIDE_ZONE,))
    assert (course.open.amount * Decimal("3010.77") - course.open.cost).quantize(Decimal(1)) == 18


def test_case_f_the_last_add_on() -> None:
    course = Course(example("2000"))
    for price in (3000, 2850, 2700, 2550):
        assert course.signal(price).outcome in (Outcome.OPENED, Outcome.ADD_ON)
    assert (course.average, course.open.addons) == ("2764.84", 3)
    assert course.signal(2400).reasons == (Reason.ADDON_LIMIT, Reason.OUTSIDE_ZONE)


def test_case_g_a_signal_that_worsens() -> None:
    course = Course(example("2000"))
    course.signal(3000)
    course.signal(2850)
    step = course.signal(2940)
    assert step.entered == (Difficulty.SIGNAL_WORSENS,)
    assert step.reasons == (Reason.OUTSIDE_ZONE, Reason.WORSENS_AVERAGE)


def test_case_h_a_new_group_beside_one_that_recovers() -> None:
    rules = example("2000")
    course = Course(rules)
    course.signal(3000)
    course.signal(2850)
    course.price(2700)
    before = course.open
    blocked = on_new_group_beside(rules, before, Signal("long", Decimal(2700)), World(T0))
    assert blocked.reasons == (Reason.RECOVERY_SAME_PAIR,)
    apart = example("2000", separate_connection_id="other")
    assert on_new_group_beside(apart, before, Signal("long", Decimal(2700)), World(T0)).outcome is Outcome.BLOCKED
    allowed = on_new_group_beside(apart, before, Signal("long", Decimal(2700)), World(T0, separate_connection_ok=True))
    assert (allowed.outcome, allowed.group) == (Outcome.OPENED, before)
    normal = before._replace(state=State.NORMAL)
    world = World(T0, separate_connection_ok=True)
    assert on_new_group_beside(apart, normal, Signal("long", Decimal(2700)), world).outcome is Outcome.BLOCKED


def test_with_a_near_target_the_last_row_is_never_reached() -> None:
    rules = replace(example("1000", take_profit_pct="1"), take_profit_pct=Decimal(1))
    course = Course(rules)
    for price in (3000, 2850, 2700):
        course.signal(price)
    assert target(rules, course.open).quantize(CENT) == Decimal("2873.18")
    step = course.signal(2900)
    assert (step.outcome, step.exit) == (Outcome.WAITING, Exit.TAKE_PROFIT)
    assert course.signal(2900).outcome is Outcome.OPENED, "judged as a first entry at the next event"


def test_a_short_group_is_the_mirror() -> None:
    rules = replace(example("1000"), side_allowed=frozenset({"short"}))
    course = Course(rules)
    assert course.signal(3000, "long").reasons == (Reason.DIRECTION,)
    assert course.signal(3000, "short").outcome is Outcome.OPENED
    assert course.signal(3150, "short").outcome is Outcome.ADD_ON
    assert course.open.adverse_pct(Decimal(3300)) > 7
    assert course.price(3300).entered == (Difficulty.DRAWDOWN,)
    assert course.signal(3000, "short").reasons == (Reason.OUTSIDE_ZONE, Reason.WORSENS_AVERAGE)
    assert course.signal(3150, "long").reasons[0] is Reason.DIRECTION
    assert course.price(2900).exit is Exit.TAKE_PROFIT


def test_everything_against_a_first_entry_is_told_in_order() -> None:
    rules = replace(example("100"), close_cooldown=timedelta(minutes=1))
    world = World(
        T0,
        connection_ok=False,
        guard=Guard.PAUSED,
        in_session=False,
        groups=99,
        committed=Decimal(900),
        equity=Decimal(1000),
        closed_at=T0 - timedelta(seconds=59),
    )
    step = on_signal(rules, None, Signal("short", Decimal(3000)), world)
    assert step.reasons == (
        Reason.CONNECTION,
        Reason.GUARD,
        Reason.DIRECTION,
        Reason.SESSION,
        Reason.GROUP_LIMIT,
        Reason.MARGIN_LIMIT,
        Reason.DEPOSIT_LOAD,
        Reason.COOLDOWN,
    )


def test_the_worst_end_comes_first() -> None:
    rules = replace(example("1000"), stop_pct=Decimal(10))
    course = Course(rules)
    course.signal(3000)
    course.world = course.world._replace(liquidation_price=Decimal(2000))
    assert on_price(rules, course.open, Decimal(1999), course.world).exit is Exit.LIQUIDATION
    assert on_price(rules, course.open, Decimal(2700), course.world).exit is Exit.STOP
    assert on_price(rules, course.open, Decimal("2700.01"), course.world).exit is None
    from_base = replace(rules, stop_from_base=True, stop_pct=Decimal(20))
    course.signal(2850)
    assert on_price(from_base, course.open, Decimal(2400), course.world).exit is Exit.STOP


def test_age_and_the_distance_to_liquidation_count() -> None:
    rules = example("2000", max_group_age_h=24, liq_distance_pct="10")
    course = Course(rules)
    course.signal(3000)
    later = course.world._replace(now=T0 + timedelta(hours=24))
    assert on_price(rules, course.open, Decimal(3000), later).entered == (Difficulty.GROUP_AGE,)
    near = course.world._replace(liquidation_price=Decimal(2700))
    assert on_price(rules, course.open, Decimal(3000), near).entered == (Difficulty.LIQUIDATION_NEAR,)
    assert on_price(rules, course.open, Decimal(3001), near).entered == ()


def test_soft_signs_need_an_add_on() -> None:
    rules = example("2000")
    course = Course(rules, uncertain=True)
    course.signal(3000)
    assert course.price(2990).entered == ()
    course.signal(2850)
    assert Difficulty.MARKET_UNCERTAIN in course.open.difficulties


def test_a_cautious_trader_recovers_earlier() -> None:
    rules = example("2000", cautious=True, cautious_drawdown_pct="4")
    course = Course(rules)
    course.signal(3000)
    assert course.price(2881).entered == ()
    assert course.price(2880).entered == (Difficulty.USER_CAUTIOUS,)


def test_recovery_without_add_ons_blocks_them_all() -> None:
    course = Course(example("2000", addons="none"))
    course.signal(3000)
    course.price(2790)
    assert course.open.state is State.RECOVERY
    assert course.signal(2700).reasons == (Reason.ADDON_LIMIT,)


def test_return_by_time_and_by_hand() -> None:
    rules = example("2000", return_mode="auto")
    course = Course(rules)
    course.signal(3000)
    course.price(2780)
    assert course.open.state is State.RECOVERY
    for minutes, price, state in (
        (0, 2950, State.RECOVERY),
        (20, 2850, State.RECOVERY),  # half the way is too far: the time begins anew
        (25, 2950, State.RECOVERY),
        (54, 2950, State.RECOVERY),
        (55, 2950, State.NORMAL),
    ):
        course.world = course.world._replace(now=T0 + timedelta(minutes=minutes))
        course.price(price)
        assert course.open.state is state, minutes
    by_hand = returned_to_normal(course.open._replace(state=State.RECOVERY))
    assert by_hand.state is State.NORMAL
    gone = closed(course.open, Exit.MANUAL)
    assert returned_to_normal(gone) == gone


def test_nothing_returns_where_it_is_not_allowed() -> None:
    course = Course(example("2000"))
    course.signal(3000)
    course.price(2780)
    course.world = course.world._replace(now=T0 + timedelta(days=30))
    course.price(2999)
    assert course.open.state is State.RECOVERY


def test_trims_are_off_and_keep_to_their_allowance() -> None:
    group = in_recovery().open
    later = World(T0 + timedelta(hours=24), equity=Decimal(10_000))
    assert trim_due(example("2000"), group, later, lost_in_30_days=Decimal(0)) == 0
    on = example("2000", trim=True, trim_pct="4", trim_every_h=24, loss_allowance_pct="0.5")
    assert trim_due(on, group, later, lost_in_30_days=Decimal(0)) == Decimal("0.04")
    assert trim_due(on, group, later, lost_in_30_days=Decimal(50)) == 0
    assert trim_due(on, group, later._replace(now=T0 + timedelta(hours=23)), lost_in_30_days=Decimal(0)) == 0
    assert trim_due(on, group._replace(state=State.NORMAL), later, lost_in_30_days=Decimal(0)) == 0
    assert trim_due(on, group, later._replace(equity=None), lost_in_30_days=Decimal(0)) == 0


def in_recovery() -> Course:
    course = Course(example("2000"))
    course.signal(3000)
    course.price(2780)
    return course


def test_the_guard_of_the_strategy() -> None:
    parameters: Parameters = read(
        {
            "pairs": ["ETH/USDT"],
            "first_entry_size": "300",
            "max_daily_loss_pct": "4",
            "max_loss_streak": 3,
            "recovery": {"red_drawdown_pct": "15"},
        }
    )

    def after(guard: Guard, today: str, row: int, drawdown: str) -> Guard:
        return guard_after(
            guard, parameters, lost_today_pct=Decimal(today), losses_in_a_row=row, drawdown_pct=Decimal(drawdown)
        )

    assert after(Guard.ACTIVE, "3.9", 2, "14.9") is Guard.ACTIVE
    assert after(Guard.ACTIVE, "4", 0, "0") is Guard.PAUSED
    assert after(Guard.ACTIVE, "0", 3, "0") is Guard.PAUSED
    assert after(Guard.PAUSED, "0", 0, "0") is Guard.ACTIVE
    assert after(Guard.ACTIVE, "0", 0, "15") is Guard.STOPPED
    assert after(Guard.STOPPED, "0", 0, "0") is Guard.STOPPED


# -- what always holds -------------------------------------------------------------------------------------------------

PRICES = st.lists(
    st.tuples(st.sampled_from(["signal", "price"]), st.integers(2000, 3400), st.sampled_from(["long", "short"])),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(
    PRICES,
    st.sampled_from(["400", "800", "1000", "2000"]),
    st.sampled_from(["never", "auto"]),
    st.booleans(),
    st.sampled_from(["0.5", "1"]),
)
def test_no_course_of_prices_breaks_a_limit(
    events: list[tuple[str, int, Any]], limit: str, returns: str, both: bool, factor: str
) -> None:
    rules = example(limit, return_mode=returns, size_factor=factor)
    if both:
        rules = replace(rules, side_allowed=frozenset({"long", "short"}))
    course = Course(rules)
    ends: list[Group] = []
    for minute, (kind, price, side) in enumerate(events):
        before = course.group
        course.world = World(T0 + timedelta(minutes=minute), groups=0 if before is None else 1)
        if kind == "signal":
            step = course.signal(price, side)
            assert (step.outcome is Outcome.BLOCKED) == bool(step.reasons)
            assert list(step.reasons) == sorted(step.reasons, key=list(Reason).index)
        elif before is not None:
            course.price(price)
        group = course.group
        if group is None:
            continue
        assert group.used <= (rules.pair_limit or 0)
        assert group.addons <= rules.max_addons
        assert len(group.zones_used) == group.addons
        if group.state is State.CLOSED:
            ends.append(group)
            assert on_price(rules, group, Decimal(price), course.world).group == group
            assert filled(rules, group, bought(Decimal(1), Decimal(1)), course.world).group == group
            course.group = None
        elif before is not None and before.state is State.RECOVERY and returns == "never":
            assert group.state is State.RECOVERY
    for one, other in pairwise(ends):
        assert one.opened_at <= other.opened_at


def test_an_add_on_in_a_zone_always_betters_the_average() -> None:
    course = Course(example("2000"))
    averages = []
    for price in (3000, 2850, 2700, 2550):
        course.signal(price)
        averages.append(course.open.average)
    assert averages == sorted(averages, reverse=True)


@pytest.mark.parametrize("enabled", [True, False])
def test_without_recovery_mode_nothing_enters_it(enabled: bool) -> None:
    rules = replace(example("2000"), recovery=Recovery(enabled=enabled, drawdown_pct=Decimal(7)))
    course = Course(rules)
    course.signal(3000)
    course.price(2000)
    assert (course.open.state is State.RECOVERY) is enabled
