"""The rules of one group of orders, from its first entry to its exit, with Recovery Mode. Pure: no clock, no network.

A *group* is a first entry with its add-ons, one average price and one exit. Everything here takes frozen values and
gives new ones; who calls it (the replay, an engine) knows the time, the price and the rest of the account and says so
in a `World`. What is decided is told with **all** its reasons, always in the same order.

    step = on_signal(rules, group, Signal("long", Decimal(2850)), world)
    step.outcome, step.reasons            # "add_on", ()   or   "blocked", ("outside_zone", "worsens_average")
    group = filled(rules, step.group, price, amount, fee, used, world).group

Order on each event: exit, then entry into Recovery Mode, then the signal, then (after a fill) entry once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from bfai.strategy.parameters import Parameters, Recovery

Side = Literal["long", "short"]

_ZERO: Final = Decimal(0)
_HUNDRED: Final = Decimal(100)
CALM: Final = timedelta(minutes=30)
"""For so long nothing may speak for Recovery Mode before a group returns from it by itself."""


class State(StrEnum):
    NORMAL = "normal"
    RECOVERY = "recovery"
    CLOSED = "closed"


class Guard(StrEnum):
    """Of the whole strategy: paused opens no new groups; stopped was stopped by a person or by its equity stop."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


class Outcome(StrEnum):
    OPENED = "opened"
    ADD_ON = "add_on"
    BLOCKED = "blocked"
    WAITING = "waiting"


class Reason(StrEnum):
    """Why a signal is blocked, in the order in which reasons are told."""

    CONNECTION = "connection"
    GUARD = "guard"
    DIRECTION = "direction"
    SESSION = "session"
    RECOVERY_SAME_PAIR = "recovery_same_pair"
    GROUP_LIMIT = "group_limit"
    ADDON_LIMIT = "addon_limit"
    OUTSIDE_ZONE = "outside_zone"
    WORSENS_AVERAGE = "worsens_average"
    MARGIN_LIMIT = "margin_limit"
    DEPOSIT_LOAD = "deposit_load"
    COOLDOWN = "cooldown"
    BELOW_MINIMUM = "below_minimum"


class Difficulty(StrEnum):
    """Why a group is in Recovery Mode. The soft ones count only for a group that has an add-on."""

    DRAWDOWN = "drawdown"
    ADDON_LIMIT_NEAR = "addon_limit_near"
    MARGIN_USED = "margin_used"
    SIGNAL_WORSENS = "signal_worsens"
    MARKET_UNCERTAIN = "market_uncertain"
    USER_CAUTIOUS = "user_cautious"
    GROUP_AGE = "group_age"
    LIQUIDATION_NEAR = "liquidation_near"


SOFT: Final = frozenset({Difficulty.SIGNAL_WORSENS, Difficulty.MARKET_UNCERTAIN})


class Exit(StrEnum):
    TAKE_PROFIT = "take_profit"
    STOP = "stop"
    LIQUIDATION = "liquidation"
    EQUITY_STOP = "equity_stop"
    MANUAL = "manual"


class Zone(NamedTuple):
    """Where an add-on is allowed: so many percent against the group, counted from its first price. One fill each."""

    low: Decimal
    high: Decimal
    size: Decimal
    """Committed capital of its add-on, quote currency."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every group of a strategy on one pair. Money is quote currency, None is no limit."""

    side_allowed: frozenset[Side]
    first_size: Decimal
    zones: tuple[Zone, ...]
    max_addons: int
    take_profit_pct: Decimal
    take_profit_net: bool
    stop_pct: Decimal | None
    stop_from_base: bool
    exit_fee: Decimal
    pair_limit: Decimal | None
    total_limit: Decimal | None
    deposit_load_pct: Decimal
    max_groups: int
    addon_cooldown: timedelta
    close_cooldown: timedelta
    improve_only: bool
    recovery: Recovery

    @property
    def recovers(self) -> bool:
        return self.recovery.enabled


class World(NamedTuple):
    """What the rest of the account looks like at this moment. Money is quote currency.

    `used` is the committed capital of all open groups of the strategy, `committed` that of everything on the
    connection. `equity` None is not known, and then no share of it is judged. `pair_recovers`: another group of this
    pair on this connection is in Recovery Mode.
    """

    now: datetime
    connection_ok: bool = True
    guard: Guard = Guard.ACTIVE
    in_session: bool = True
    uncertain: bool = False
    groups: int = 0
    used: Decimal = _ZERO
    committed: Decimal = _ZERO
    equity: Decimal | None = None
    closed_at: datetime | None = None
    pair_recovers: bool = False
    separate_connection_ok: bool = False
    liquidation_price: Decimal | None = None


class Signal(NamedTuple):
    side: Side
    price: Decimal


class Order(NamedTuple):
    """The order that would be placed, where the caller knows better than the rules.

    `size` is its capital. `zone` is the level that it was made for: no band is looked at. One that `rests` at the
    exchange waited already. `too_small`: the exchange would refuse it.
    """

    size: Decimal
    zone: int | None = None
    rests: bool = False
    too_small: bool = False


class Fill(NamedTuple):
    """What an order came to: `amount` in coins that are held now, `cost` and `fee` in quote, `used` the capital."""

    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Decimal
    used: Decimal


class Group(NamedTuple):
    """One group. `cost` and `fees` in quote, `amount` in coins, `used` is the capital that it commits."""

    side: Side
    first_price: Decimal
    cost: Decimal
    amount: Decimal
    fees: Decimal
    used: Decimal
    fills: int
    opened_at: datetime
    filled_at: datetime
    zones_used: frozenset[int] = frozenset()
    state: State = State.NORMAL
    difficulties: tuple[Difficulty, ...] = ()
    calm_since: datetime | None = None
    trimmed_at: datetime | None = None
    exit: Exit | None = None

    @property
    def addons(self) -> int:
        return self.fills - 1

    @property
    def sign(self) -> int:
        return 1 if self.side == "long" else -1

    @property
    def average(self) -> Decimal:
        return self.cost / self.amount

    def adverse_pct(self, price: Decimal) -> Decimal:
        """How far the price stands against the group, in percent of its average; below zero it is winning."""
        return self.sign * (self.average - price) / self.average * _HUNDRED

    def stands_against(self, price: Decimal, percent: Decimal) -> bool:
        """Whether `adverse_pct` is so much or more. Exact: nothing is divided."""
        return self.sign * (self.cost - price * self.amount) * _HUNDRED >= percent * self.cost

    def distance_pct(self, price: Decimal) -> Decimal:
        """How far the price stands against the group, in percent of its first price."""
        return self.sign * (self.first_price - price) / self.first_price * _HUNDRED

    def worsens(self, price: Decimal) -> bool:
        """Whether an add-on at this price would not better the average. Its size does not matter."""
        return self.sign * (price * self.amount - self.cost) >= 0

    def break_even(self, exit_fee: Decimal) -> Decimal:
        """The price at which closing gives back exactly what was paid, all fees counted."""
        with_fees = (self.cost + self.sign * self.fees) / self.amount
        return with_fees / (1 - self.sign * exit_fee)


class Step(NamedTuple):
    """What an event came to. `group` None: there is none. `zone`: the number of the zone that an add-on fills, `size`
    the capital that it or a first entry takes.
    """

    group: Group | None
    outcome: Outcome | None = None
    reasons: tuple[Reason, ...] = ()
    exit: Exit | None = None
    entered: tuple[Difficulty, ...] = ()
    returned: bool = False
    zone: int | None = None
    size: Decimal = _ZERO


def rules_of(
    parameters: Parameters,
    levels: Iterable[tuple[Decimal, Decimal]],
    *,
    equity: Decimal | None = None,
    exit_fee: Decimal = _ZERO,
) -> Rules:
    """The rules of a strategy. `levels` are its add-ons: how far from the first price in percent, and how much capital
    each takes. The zone of an add-on begins at its level and is `zone_width_pct` wide, towards the first price; a
    strict one is everything from its level on.
    """
    p = parameters
    total = p.margin_limit_total.quote(equity)
    pair = p.margin_limit_pair.quote(equity) if p.margin_limit_pair is not None else None
    if pair is None and total is not None:
        pair = total / p.max_groups
    strict, wide = p.addon_mode == "strict", p.zone_width_pct
    zones = (Zone(away, Decimal("inf"), size) if strict else Zone(away - wide, away, size) for away, size in levels)
    return Rules(
        side_allowed=frozenset(p.directions),
        first_size=p.first_entry_size,
        zones=tuple(zones) if p.addons else (),
        max_addons=p.addons,
        take_profit_pct=p.take_profit_pct / p.leverage if p.take_profit_basis == "margin_net" else p.take_profit_pct,
        take_profit_net=p.take_profit_basis != "average_gross",
        stop_pct=p.stop_loss_pct,
        stop_from_base=p.stop_loss_basis == "base",
        exit_fee=exit_fee,
        pair_limit=pair,
        total_limit=total,
        deposit_load_pct=p.deposit_load_max,
        max_groups=p.max_groups,
        addon_cooldown=timedelta(seconds=p.addon_cooldown),
        close_cooldown=timedelta(seconds=p.cooldown_after_close),
        improve_only=p.require_avg_improvement,
        recovery=p.recovery,
    )


# -- prices at which it ends -------------------------------------------------------------------------------------------


def target(rules: Rules, group: Group) -> Decimal:
    """The price at which the group closes with profit; in Recovery Mode its smaller one. Not on the exchange's grid."""
    recovering = group.state is State.RECOVERY
    share = (rules.recovery.take_profit_pct if recovering else rules.take_profit_pct) / _HUNDRED
    base = group.break_even(rules.exit_fee) if rules.take_profit_net or recovering else group.average
    return base * (1 + group.sign * share)


def stop(rules: Rules, group: Group) -> Decimal | None:
    if rules.stop_pct is None:
        return None
    base = group.first_price if rules.stop_from_base else group.average
    return base * (1 - group.sign * rules.stop_pct / _HUNDRED)


def exit_at(rules: Rules, group: Group, price: Decimal, world: World) -> Exit | None:
    """What this price means for the group: liquidation, stop, target, or nothing. The worst comes first."""
    end, limit = world.liquidation_price, stop(rules, group)
    if end is not None and group.sign * (price - end) <= 0:
        return Exit.LIQUIDATION
    if limit is not None and group.sign * (price - limit) <= 0:
        return Exit.STOP
    return Exit.TAKE_PROFIT if group.sign * (price - target(rules, group)) >= 0 else None


# -- Recovery Mode -----------------------------------------------------------------------------------------------------


def difficulties(
    rules: Rules, group: Group, price: Decimal, world: World, *, signal: bool = False
) -> tuple[Difficulty, ...]:
    """Everything that speaks for Recovery Mode at this price. `signal`: it is the price of a signal for this group."""
    r, end = rules.recovery, world.liquidation_price
    near = None if end is None else group.sign * (price - end) / price * _HUNDRED
    found = {
        Difficulty.DRAWDOWN: group.stands_against(price, r.drawdown_pct),
        Difficulty.ADDON_LIMIT_NEAR: rules.max_addons > 0 and group.addons >= max(1, rules.max_addons - r.addons_left),
        Difficulty.MARGIN_USED: bool(rules.pair_limit)
        and group.used / (rules.pair_limit or 1) >= r.margin_used_pct / _HUNDRED,
        Difficulty.SIGNAL_WORSENS: signal and r.on_worsening_signal and group.worsens(price),
        Difficulty.MARKET_UNCERTAIN: world.uncertain and r.on_uncertain_market,
        Difficulty.USER_CAUTIOUS: r.cautious and group.stands_against(price, r.cautious_drawdown_pct),
        Difficulty.GROUP_AGE: r.max_group_age_h is not None
        and world.now - group.opened_at >= timedelta(hours=r.max_group_age_h),
        Difficulty.LIQUIDATION_NEAR: r.liq_distance_pct is not None and near is not None and near <= r.liq_distance_pct,
    }
    return tuple(one for one, holds in found.items() if holds and (one not in SOFT or group.addons >= 1))


def judged(rules: Rules, group: Group, price: Decimal, world: World, *, signal: bool = False) -> Step:
    """The group in Recovery Mode where something speaks for it, or back from it where that is allowed."""
    if not rules.recovers or group.state is State.CLOSED:
        return Step(group)
    found = difficulties(rules, group, price, world, signal=signal)
    if group.state is State.NORMAL:
        if not found:
            return Step(group)
        return Step(group._replace(state=State.RECOVERY, difficulties=found, calm_since=None), entered=found)
    new = tuple(one for one in found if one not in group.difficulties)
    if new:
        group = group._replace(difficulties=(*group.difficulties, *new))
    if rules.recovery.return_mode != "auto":
        return Step(group, entered=new)
    hard = any(one not in SOFT for one in found)
    if hard or group.stands_against(price, rules.recovery.drawdown_pct / 2):
        return Step(group if group.calm_since is None else group._replace(calm_since=None), entered=new)
    since = group.calm_since or world.now
    if world.now - since < CALM:
        return Step(group._replace(calm_since=since), entered=new)
    return Step(returned_to_normal(group), returned=True)


def returned_to_normal(group: Group) -> Group:
    """As a person does it by hand where the strategy allows that, and time does where it allows that."""
    if group.state is not State.RECOVERY:
        return group
    return group._replace(state=State.NORMAL, difficulties=(), calm_since=None)


def trim_due(rules: Rules, group: Group, world: World, *, lost_in_30_days: Decimal) -> Decimal:
    """The share of the position, 0 to 1, that Recovery Mode sells at a loss now. Off unless a person switched it on.

    `lost_in_30_days`: what the strategy has lost by closing, quote currency, as a number above zero.
    """
    r = rules.recovery
    if not r.trim or group.state is not State.RECOVERY or world.equity is None:
        return _ZERO
    if lost_in_30_days >= world.equity * r.loss_allowance_pct / _HUNDRED:
        return _ZERO
    since = group.trimmed_at or group.filled_at
    return r.trim_pct / _HUNDRED if world.now - since >= timedelta(hours=r.trim_every_h) else _ZERO


# -- events ------------------------------------------------------------------------------------------------------------


def on_price(rules: Rules, group: Group, price: Decimal, world: World) -> Step:
    """A new price: closes the group, or moves it into or out of Recovery Mode."""
    if group.state is State.CLOSED:
        return Step(group)
    ends = exit_at(rules, group, price, world)
    return Step(closed(group, ends), exit=ends) if ends is not None else judged(rules, group, price, world)


def on_signal(rules: Rules, group: Group | None, signal: Signal, world: World, order: Order | None = None) -> Step:
    """A signal: a first entry, an add-on to the group that is open, or nothing, with every reason.

    A signal that comes with the group's exit waits: it is judged as a first entry at the next event.
    """
    if group is None or group.state is State.CLOSED:
        reasons = _against_opening(rules, signal, world, order)
        if reasons:
            return Step(None, Outcome.BLOCKED, reasons)
        return Step(None, Outcome.OPENED, size=rules.first_size if order is None else order.size)
    ends = exit_at(rules, group, signal.price, world)
    if ends is not None:
        return Step(closed(group, ends), Outcome.WAITING, exit=ends)
    return on_addon(rules, group, signal, world, order)


def on_addon(rules: Rules, group: Group, signal: Signal, world: World, order: Order | None = None) -> Step:
    """A signal for a group that is open and stays open: first whether it is in trouble, then the add-on."""
    found = judged(rules, group, signal.price, world, signal=signal.side == group.side)
    assert found.group is not None
    return _addon(rules, found.group, signal, world, found, order)


def on_level(rules: Rules, group: Group, signal: Signal, world: World, order: Order) -> Step:
    """The price reached the level of an add-on that lies, or would lie, at the exchange: filled, or why not.

    Nobody judges the group in between: an order that rests is filled before anyone looks.
    """
    return _addon(rules, group, signal, world, Step(group), order)


def on_new_group_beside(rules: Rules, group: Group, signal: Signal, world: World) -> Step:
    """A signal for a group of its own while one of this pair is open: allowed only while that one recovers, and on a
    separate connection that works. The old group is not touched.
    """
    if group.state is not State.RECOVERY:
        return Step(group, Outcome.BLOCKED, (Reason.GROUP_LIMIT,))
    reasons = _against_opening(rules, signal, world, None)
    if rules.recovery.separate_connection_id is None or not world.separate_connection_ok:
        reasons = _in_order({*reasons, Reason.RECOVERY_SAME_PAIR})
    return Step(group, Outcome.BLOCKED, reasons) if reasons else Step(group, Outcome.OPENED, size=rules.first_size)


def opened(rules: Rules, side: Side, fill: Fill, world: World) -> Step:
    """The first entry was filled."""
    group = Group(side, fill.price, fill.cost, fill.amount, fill.fee, fill.used, 1, world.now, world.now)
    return judged(rules, group, fill.price, world)


def filled(rules: Rules, group: Group, fill: Fill, world: World, zone: int | None = None) -> Step:
    """An add-on was filled: the new sums, and whether the group is now in difficulty."""
    if group.state is State.CLOSED:
        return Step(group)
    taken = group.zones_used if zone is None else group.zones_used | {zone}
    grown = group._replace(
        cost=group.cost + fill.cost,
        amount=group.amount + fill.amount,
        fees=group.fees + fill.fee,
        used=group.used + fill.used,
        fills=group.fills + 1,
        filled_at=world.now,
        zones_used=taken,
    )
    return judged(rules, grown, fill.price, world)


def trimmed(group: Group, share: Decimal, now: datetime) -> Group:
    """This share of the position was sold, 0 to 1: what it had cost goes with it."""
    left = 1 - share
    return group._replace(
        cost=group.cost * left,
        amount=group.amount * left,
        fees=group.fees * left,
        used=group.used * left,
        trimmed_at=now,
    )


def closed(group: Group, how: Exit) -> Group:
    return group if group.state is State.CLOSED else group._replace(state=State.CLOSED, exit=how)


def guard_after(
    guard: Guard, parameters: Parameters, *, lost_today_pct: Decimal, losses_in_a_row: int, drawdown_pct: Decimal
) -> Guard:
    """The guard of a strategy with these losses. Stopped stays stopped until a person starts it again.

    Percentages are of the account's equity. The equity stop is off unless a person switched it on.
    """
    red = parameters.recovery.red_drawdown_pct
    if guard is Guard.STOPPED or (red is not None and drawdown_pct >= red):
        return Guard.STOPPED
    day, streak = parameters.max_daily_loss_pct, parameters.max_loss_streak
    paused = (day is not None and lost_today_pct >= day) or (streak is not None and losses_in_a_row >= streak)
    return Guard.PAUSED if paused else Guard.ACTIVE


# -- reasons -----------------------------------------------------------------------------------------------------------


def _in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    there = set(reasons)
    return tuple(reason for reason in Reason if reason in there) if there else ()


def _against_opening(rules: Rules, signal: Signal, world: World, order: Order | None) -> tuple[Reason, ...]:
    size = rules.first_size if order is None else order.size
    cooling = world.closed_at is not None and world.now - world.closed_at < rules.close_cooldown
    return _in_order(
        reason
        for reason, holds in {
            Reason.CONNECTION: not world.connection_ok,
            Reason.GUARD: world.guard is not Guard.ACTIVE,
            Reason.DIRECTION: signal.side not in rules.side_allowed,
            Reason.SESSION: not world.in_session,
            Reason.RECOVERY_SAME_PAIR: world.pair_recovers,
            Reason.GROUP_LIMIT: world.groups >= rules.max_groups,
            Reason.MARGIN_LIMIT: _above(size, rules.pair_limit) or _above(world.used + size, rules.total_limit),
            Reason.DEPOSIT_LOAD: _too_loaded(rules, world, size),
            Reason.COOLDOWN: cooling,
            Reason.BELOW_MINIMUM: order is not None and order.too_small,
        }.items()
        if holds
    )


def _addon(rules: Rules, group: Group, signal: Signal, world: World, before: Step, order: Order | None) -> Step:
    r, recovering = rules.recovery, group.state is State.RECOVERY
    zone = zone_at(rules, group, signal.price) if order is None or order.zone is None else order.zone
    size = next_size(rules, group, zone) if order is None else order.size
    limit = rules.pair_limit
    if limit is not None and recovering:
        limit = limit * r.margin_cap_pct / _HUNDRED
    reasons = _in_order(
        reason
        for reason, holds in {
            Reason.CONNECTION: not world.connection_ok,
            Reason.DIRECTION: signal.side != group.side,
            Reason.ADDON_LIMIT: group.addons >= rules.max_addons or (recovering and r.addons == "none"),
            Reason.OUTSIDE_ZONE: zone is None,
            Reason.WORSENS_AVERAGE: (rules.improve_only or recovering) and group.worsens(signal.price),
            Reason.MARGIN_LIMIT: _above(group.used + size, limit) or _above(world.used + size, rules.total_limit),
            Reason.DEPOSIT_LOAD: _too_loaded(rules, world, size),
            Reason.COOLDOWN: not (order is not None and order.rests)
            and world.now - group.filled_at < rules.addon_cooldown,
            Reason.BELOW_MINIMUM: order is not None and order.too_small,
        }.items()
        if holds
    )
    if reasons:
        return Step(group, Outcome.BLOCKED, reasons, entered=before.entered, returned=before.returned)
    return Step(group, Outcome.ADD_ON, entered=before.entered, returned=before.returned, zone=zone, size=size)


def zone_at(rules: Rules, group: Group, price: Decimal) -> int | None:
    """The unused zone in which this price lies."""
    distance = group.distance_pct(price)
    for number, one in enumerate(rules.zones):
        if number not in group.zones_used and one.low <= distance <= one.high:
            return number
    return None


def next_size(rules: Rules, group: Group, zone: int | None = None) -> Decimal:
    """The capital of the add-on of this zone, or of the next free one; smaller in Recovery Mode."""
    free = [number for number in range(len(rules.zones)) if number not in group.zones_used]
    number = zone if zone is not None else (free[0] if free else None)
    if number is None:
        return rules.zones[-1].size if rules.zones else _ZERO
    size = rules.zones[number].size
    return size * rules.recovery.size_factor if group.state is State.RECOVERY else size


def _above(amount: Decimal, limit: Decimal | None) -> bool:
    return limit is not None and amount > limit


def _too_loaded(rules: Rules, world: World, size: Decimal) -> bool:
    if world.equity is None:
        return False
    return world.committed + size > world.equity * rules.deposit_load_pct / _HUNDRED
