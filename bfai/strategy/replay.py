"""What a strategy would have done on candles: its deals, its decisions with their reasons, and its equity.

    found = replay(parameters, {"BTC/USDT": market}, {"BTC/USDT": candles}, balance=Decimal(10_000))
    found.summary.profit, found.deals[0].fills, found.equity

The rules stand in docs/replay.md; `bfai.strategy.recovery` decides, `bfai.strategy.ladder` rounds. It is quick because
nothing is looked at between events: numpy finds the next candle that reaches a level, a target, a stop or a threshold.
Prices are counted in ticks, amounts in steps and money in ticks times steps, all whole numbers, so nothing is lost.
For short groups prices are negated, and the rules of long ones hold: entries below, exits above.

It is not the market: there is no order book, no funding and no delay in it, and the past promises nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.strategy import ladder as ladders
from bfai.strategy import recovery as rules_of_group
from bfai.strategy.candles import Candles, ema, np, pd, rsi
from bfai.strategy.gate import ladder_plan
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Parameters
from bfai.strategy.recovery import (
    CALM,
    Difficulty,
    Exit,
    Group,
    Guard,
    Order,
    Outcome,
    Reason,
    Rules,
    Side,
    State,
    Step,
    World,
)
from bfai.strategy.recovery import Fill as Filled
from bfai.strategy.recovery import Signal as Asked

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

NEAR_LIMIT: Final = Decimal("0.8")  # of the margin limit: a day above it is one near the limit

_DAY: Final = 86_400
_FAR: Final = 2**62
_NEVER: Final = 2**62
_CHUNK: Final = 128
_LARGEST_CHUNK: Final = 16_384
_LASTING: Final = frozenset({Difficulty.ADDON_LIMIT_NEAR, Difficulty.MARGIN_USED})
_BLUR: Final = 1e-9  # equal in exact numbers may differ by that in floats
_ZERO: Final = Decimal(0)
_HUNDRED: Final = Decimal(100)

Whole: TypeAlias = int | Fraction
"""A count of the smallest unit; a fraction only of what is left after a part was sold."""


class ReplayError(BfaiError):
    """There is nothing to replay: no candles of a pair, or no market of it."""


# -- what asks for entries ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Always:
    """In the market at all times: at each candle."""


@dataclass(frozen=True, slots=True)
class Rsi:
    """While the RSI of the last closed candle is below `below` (short: above 100 − `below`)."""

    below: int = 30
    period: int = 14


@dataclass(frozen=True, slots=True)
class PriceBelow:
    """While the last closed candle is at this price or below it (short: above)."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class Crossing:
    """When the fast average of closes crosses the slow one: upwards asks for long, downwards for short."""

    fast: int = 9
    slow: int = 21


@dataclass(frozen=True, slots=True)
class Listed:
    """At given times: seconds since 1970 UTC, pair (None: each), side."""

    rows: tuple[tuple[int, str | None, Side], ...] = ()


Signals: TypeAlias = Always | Rsi | PriceBelow | Crossing | Listed


def signals_of(parameters: Parameters) -> Signals:
    """What the strategy's own start condition asks for."""
    if parameters.start_condition == "price" and parameters.start_price is not None:
        return PriceBelow(parameters.start_price)
    if parameters.start_condition == "rsi" and parameters.start_rsi is not None:
        return Rsi(parameters.start_rsi)
    return Listed() if parameters.start_condition == "signal" else Always()


# -- what comes out ----------------------------------------------------------------------------------------------------


class Fill(NamedTuple):
    """An order that was filled: `level` 0 is the first entry. `amount` in coins, `cost` and `fee` in quote."""

    at: datetime
    level: int
    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Decimal


class Deal(NamedTuple):
    """A group from its first entry to its exit. `profit` is after all fees, None while it is open; `fees` are its own
    so far; `capital` the most that it committed.
    """

    pair: str
    side: Side
    opened_at: datetime
    closed_at: datetime | None
    exit: Exit | None
    fills: tuple[Fill, ...]
    exit_price: Decimal | None
    profit: Decimal | None
    fees: Decimal
    capital: Decimal
    recovery_at: datetime | None
    difficulties: tuple[Difficulty, ...]

    @property
    def addons(self) -> int:
        return len(self.fills) - 1


class Decision(NamedTuple):
    """One line of the log: a decision with all its reasons, or what happened to a group or to the strategy.

    A decision that stays the same from candle to candle stands here once. `level` is that of the order, `entered` what
    speaks for Recovery Mode from now on, `profit` what was realised.
    """

    at: datetime
    pair: str | None
    side: Side | None
    price: Decimal | None
    outcome: Outcome | None = None
    reasons: tuple[Reason, ...] = ()
    level: int | None = None
    state: State | None = None
    entered: tuple[Difficulty, ...] = ()
    returned: bool = False
    trimmed: Decimal | None = None
    exit: Exit | None = None
    profit: Decimal | None = None
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a replay. Money is quote currency; `worst_dip` is the deepest fall of the equity from its peak."""

    candles: int
    since: datetime
    until: datetime
    deals: int
    open_groups: int
    won: int
    profit: Decimal
    open_profit: Decimal
    fees: Decimal
    fills_by_level: tuple[int, ...]
    longest_group: timedelta | None
    peak_capital: Decimal
    worst_dip: Decimal
    worst_dip_pct: Decimal
    days_near_limit: int
    recoveries: int
    liquidations: int
    stops: int
    trims: int
    blocked: int


@dataclass(frozen=True)
class Replay:
    """The whole outcome. The same parameters, markets, candles, balance and signals give the same one."""

    deals: tuple[Deal, ...]
    log: tuple[Decision, ...]
    balance: Decimal
    summary: Summary
    times: Any = field(repr=False, compare=False)
    values: Any = field(repr=False, compare=False)
    capital: Any = field(repr=False, compare=False)

    @cached_property
    def equity(self) -> DataFrame:
        """`t` (UTC), `equity` (quote, marked at the close), `committed` (quote, at the close), one row a candle."""
        t = pd.to_datetime(self.times, unit="s", utc=True)
        return pd.DataFrame({"t": t, "equity": self.values, "committed": self.capital})


def replay(
    parameters: Parameters,
    markets: Mapping[str, LadderMarket],
    candles: Mapping[str, Candles],
    *,
    balance: Decimal,
    signals: Signals | None = None,
    on_progress: Callable[[float], object] | None = None,
) -> Replay:
    """Play a strategy on candles of its pairs, which all have one interval.

    `balance` is what lies on the account at the start, quote currency. `on_progress` hears the share that is done, 0 to
    1, now and then, and may raise to end it. Raises ReplayError.
    """
    for pair in parameters.pairs:
        if pair not in markets or pair not in candles or not len(candles[pair].time):
            text = N_(
                "There are no candles of {pair} to replay. Get them from the exchange, or choose a file with them."
            )
            raise ReplayError(Message(text=text, params={"pair": pair}))
    if balance <= 0:
        raise ReplayError(Message(text=N_("The replay needs a balance of more than zero.")))
    with localcontext(ladders.CONTEXT):
        run = _Run(parameters, markets, candles, balance, signals or signals_of(parameters))
        return run.to_the_end(on_progress)


# -- whole numbers -----------------------------------------------------------------------------------------------------


def _scale(*values: Decimal) -> int:
    """The power of ten that makes whole numbers of all of them."""
    places = [-int(value.as_tuple().exponent) for value in values]
    return 10 ** max([0, *places])


def _floor(numerator: Whole, denominator: Whole) -> int:
    return int(numerator // denominator)


def _ceil(numerator: Whole, denominator: Whole) -> int:
    return int(-(-numerator // denominator))


def _decimal(count: Whole) -> Decimal:
    return Decimal(count) if isinstance(count, int) else Decimal(count.numerator) / count.denominator


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class _Share:
    """A percentage as a factor, 1 + sign × percent ÷ whole, in whole numbers."""

    __slots__ = ("above", "below")

    def __init__(self, sign: int, percent: Decimal, whole: Decimal = _HUNDRED) -> None:
        scale = _scale(percent, whole)
        self.below = int(whole * scale)
        self.above = self.below + sign * int(percent * scale)


# -- one pair and direction --------------------------------------------------------------------------------------------


class _Slot:
    """The group of one pair and direction, and where the next thing may happen to it."""

    def __init__(self, run: _Run, order: int, pair: str, side: Side, market: LadderMarket, candles: Candles) -> None:
        p = run.parameters
        self.run, self.order, self.pair, self.market = run, order, pair, market
        self.side: Side = side
        self.sign = sign = 1 if side == "long" else -1
        self.time = candles.time
        ticks = [np.rint(column / float(market.tick_size)).astype(np.int64) for column in candles_of(candles)]
        opens, highs, lows, closes = ticks if sign > 0 else (-ticks[0], -ticks[2], -ticks[1], -ticks[3])
        self.opens, self.highs, self.lows, self.closes = opens, highs, lows, closes
        self.count = len(self.time)

        # Units: a tick of price, a step of coins, and the money that one step costs for each tick.
        self.step = market.step_size * market.contract_size
        self.unit = market.tick_size * self.step
        taker, maker = market.taker, market.maker
        by_type = {"market": taker, "limit": maker}
        self.rates = by_type[p.entry_order_type], by_type[p.addon_order_type], by_type[p.exit_order_type]
        self.fee_scale = _scale(taker, maker)
        self.base_fee, self.addon_fee, self.exit_fee, self.taker = (
            int(rate * self.fee_scale) for rate in (*self.rates, taker)
        )
        self.in_coins = market.fee_side == "base" and sign > 0
        swap = market.type == "linear_swap"
        self.leverage = p.leverage if swap else 1
        multiple = self.leverage if p.amount_basis == "margin" else 1

        plan = ladder_plan(p, side, Decimal(1))
        orders = ladders.planned(plan)
        self.reference = "base" if plan.custom_steps is not None or p.addon_mode != "ladder" else p.addon_step_reference
        self.sizes = [order.size * multiple for order in orders]
        self.whole_sizes = [int(size // self.unit) for size in self.sizes]
        factor = p.recovery.step_factor
        gaps = [order.gap for order in orders]
        scale = _scale(*gaps, *(gap * factor for gap in gaps))
        self.whole = 100 * scale  # a gap of 100 %
        self.gaps = [int(gap * scale) for gap in gaps]
        self.wider = [int(gap * factor * scale) for gap in gaps]

        away, distances = _ZERO, list[tuple[Decimal, Decimal]]()
        for planned in orders[1:]:
            away += planned.gap
            distances.append((away, planned.size))
        self.rules: Rules = rules_of_group.rules_of(p, distances, equity=run.balance, exit_fee=self.rates[2])

        whole = _HUNDRED * self.leverage if p.take_profit_basis == "margin_net" else _HUNDRED
        self.gross = p.take_profit_basis == "average_gross"
        self.target_share = _Share(sign, p.take_profit_pct, whole)
        self.recovery_share = _Share(sign, p.recovery.take_profit_pct)
        self.arming_share = _Share(sign, p.trailing.activation_pct, whole) if p.trailing else None
        self.trail_share = _Share(-sign, p.trailing.delta_pct) if p.trailing else None
        self.stop_share = _Share(-sign, p.stop_loss_pct) if p.stop_loss_pct is not None else None
        r = p.recovery
        self.drawdown_share = _Share(-sign, r.drawdown_pct)
        self.calm_share = _Share(-sign, r.drawdown_pct / 2)
        self.cautious_share = _Share(-sign, r.cautious_drawdown_pct) if r.cautious else None

        self.signals, self.once = run.acting(self)
        self.by_signal = p.addon_mode in ("zones", "strict")
        self.resting = p.addon_resting
        self.addon_cooldown = p.addon_cooldown

        self.group: Group | None = None
        self.best: int | None = None  # the best price since the trailing exit was armed
        self.closed_at: int | None = None
        self.blocked: tuple[Reason, ...] | None = None  # why the entry or the level was refused when last judged
        self.said: tuple[Reason, ...] | None = None
        self.level_blocked = False
        self.ending = False  # the equity stop closes it at the next candle
        self.next = 0
        self.seek(0)

    # What asks

    def asked(self, place: int) -> int:
        """The first candle from `place` on at which something asks for an order."""
        if self.signals is None:
            return place
        at = bisect_left(self.signals, place)
        return self.signals[at] if at < len(self.signals) else _NEVER

    def index_of(self, seconds: int) -> int:
        """The first candle that opens then or later."""
        return int(self.time.searchsorted(seconds))

    # One candle

    def live(self, j: int) -> None:
        """All that happens on candle `j`, and where the next thing may happen."""
        t = int(self.time[j])
        self.run.at(t)
        if self.level_blocked and (t // _DAY > self.blocked_at // _DAY or self.blocked_at < self.cool_at() <= t):
            self.level_blocked = False
        was_open = self.group is not None
        if was_open:
            if self.ending:
                self.close(j, int(self.opens[j]), Exit.EQUITY_STOP, self.taker)
            else:
                self.trim(j)
                if self.group is not None and self.by_signal and self.best is None and self.asked(j) == j:
                    self.signal_addon(j)
        elif self.asked(j) == j:
            self.enter(j)
        if self.group is not None:
            self.candle(j)
        self.seek(j + 1)

    def world(self, t: int, spare: Decimal = _ZERO) -> World:
        """Without `spare` of what the strategy uses."""
        run = self.run
        return World(
            now=_moment(t),
            guard=run.guard,
            in_session=run.in_session(t),
            groups=run.groups,
            used=run.used - spare,
            committed=run.used - spare,
            equity=run.balance + run.realised,
            closed_at=None if self.closed_at is None else _moment(self.closed_at),
            pair_recovers=self.group is None and run.recovers(self.pair),
            liquidation_price=self.liquidation_price if self.group is not None else None,
        )

    def price(self, ticks: int) -> Decimal:
        return abs(ticks) * self.market.tick_size

    def order_of(self, ticks: int, size: Decimal) -> tuple[int, Decimal, bool]:
        """Steps, capital in quote, and whether the exchange would refuse an order of this size at this price."""
        price = abs(ticks)
        steps = int(size // self.unit) // price
        cost = steps * price * self.unit
        return steps, cost, self.too_small(steps, cost)

    def too_small(self, steps: int, cost: Decimal) -> bool:
        market = self.market
        contracts = steps * market.step_size
        return (
            not steps
            or (market.min_amount is not None and contracts < market.min_amount)
            or (market.min_cost is not None and cost < market.min_cost)
        )

    def capital(self, cost: Decimal, rate: Decimal) -> Decimal:
        return cost / self.leverage + (_ZERO if self.in_coins else cost * rate)

    # Entering

    def enter(self, j: int) -> None:
        t, ticks = int(self.time[j]), int(self.opens[j])
        growth = self.run.growth()
        steps, cost, small = self.order_of(ticks, self.sizes[0] * growth)
        capital = self.capital(cost, self.rates[0])
        reserved = self.required(ticks, growth) if self.run.full else _ZERO
        world = self.world(t)
        order = Order(max(capital, reserved), too_small=small)
        step = rules_of_group.on_signal(self.rules, None, Asked(self.side, self.price(ticks)), world, order)
        self.blocked = step.reasons or None
        if step.reasons:
            self.refuse(t, ticks, step, 0)
            return
        self.said = None
        self.growth, self.reserved = growth, reserved
        self.first = self.last = ticks
        self.away, self.level, self.placed = 0, 1, 1
        self.coins: Whole = 0
        self.cost: Whole = 0
        self.fees: Whole = 0
        self.paid: Decimal = _ZERO  # fees of the group, whatever became of them
        self.gained: Decimal = _ZERO  # by trims
        self.most = _ZERO
        self.fills: list[Fill] = []
        self.entered_at: datetime | None = None
        self.difficulties: tuple[Difficulty, ...] = ()
        self.best = None
        self.liquidation_price: Decimal | None = None
        self.run.say(t, self.pair, self.side, self.price(ticks), outcome=Outcome.OPENED, level=0, state=State.NORMAL)
        self.fill(j, world, 0, ticks, steps, self.base_fee)

    def refuse(self, t: int, ticks: int, step: Step, level: int | None) -> None:
        """Log why, unless the log says so already."""
        by_once = self.once and (level == 0 or self.by_signal)
        if self.said != step.reasons or by_once:
            self.run.blocked += 1
            state = self.group.state if self.group else None
            told = {"outcome": step.outcome, "reasons": step.reasons, "level": level, "state": state}
            self.run.say(t, self.pair, self.side, self.price(ticks), **told)
        self.said = step.reasons

    def required(self, ticks: int, growth: Decimal) -> Decimal:
        """The capital of the whole ladder from this price on, as planned."""
        if self.by_signal and self.reference != "base":
            raise AssertionError("zones count from the first price")
        first = last = ticks
        away, cost, fees, coins = 0, 0, 0, 0
        # Whole units of a size: what is cut off would not fill a step at any whole price.
        sizes = self.whole_sizes if growth == 1 else [int(size * growth // self.unit) for size in self.sizes]
        for number, size in enumerate(sizes):
            if number:
                away += self.gaps[number]
                found = self._level(first, last, away, self.gaps[number], cost, coins)
                if found is None:
                    break
                last = found
            price = abs(last)
            steps = size // price
            rate = self.addon_fee if number else self.base_fee
            cost += steps * price
            if self.in_coins:
                coins += steps * (self.fee_scale - rate)
            else:
                coins += steps * self.fee_scale
                fees += steps * price * rate
        return cost * self.unit / self.leverage + fees * self.unit / self.fee_scale

    def _level(self, first: int, last: int, away: int, gap: int, cost: Whole, coins: Whole) -> int | None:
        """The price of a level, or None where it would be zero or less."""
        if self.reference == "base":
            found = _floor(first * (self.whole - self.sign * away), self.whole)
        elif self.reference == "previous" or not coins:
            found = _floor(last * (self.whole - self.sign * gap), self.whole)
        else:
            found = _floor(self.sign * cost * self.fee_scale * (self.whole - self.sign * gap), coins * self.whole)
        return found if self.sign < 0 or found > 0 else None

    # Filling

    def fill(
        self, j: int, world: World, level: int, ticks: int, steps: int, rate: int, zone: int | None = None
    ) -> None:
        t, run, price = int(self.time[j]), self.run, abs(ticks)
        cost = steps * price
        if self.in_coins:
            self.coins += steps * (self.fee_scale - rate)
            fee = 0
        else:
            self.coins += steps * self.fee_scale
            fee = cost * rate
        self.cost += cost
        self.fees += fee
        money, charged = cost * self.unit, cost * rate * self.unit / self.fee_scale
        quote_fee = _ZERO if self.in_coins else charged
        held = (steps * (self.fee_scale - rate) if self.in_coins else steps * self.fee_scale) * self.step
        amount, used = held / self.fee_scale, money / self.leverage + quote_fee
        self.paid += charged
        self.fills.append(Fill(_moment(t), level, self.price(ticks), steps * self.step, money, charged))
        filled = Filled(self.price(ticks), amount, money, quote_fee, used)
        before = self.used_now()
        if self.market.tells_liquidation:
            self.liquidation_price = ladders.liquidation(
                self.market,
                self.side,
                cost_quote=_decimal(self.cost) * self.unit,
                amount_base=_decimal(self.coins) * self.step / self.fee_scale,
                leverage=Decimal(self.leverage),
            )
            world = world._replace(liquidation_price=self.liquidation_price)
        if self.group is None:
            step = rules_of_group.opened(self.rules, self.side, filled, world)
            run.groups += 1
            before = _ZERO
        else:
            step = rules_of_group.filled(self.rules, self.group, filled, world, zone)
        self.filled_at = t
        self.settle(t, step, ticks)
        run.use(self.used_now() - before, t)
        self.most = max(self.most, self.group.used if self.group else _ZERO)
        run.mark(self, t, self.sign * amount, -self.sign * money - quote_fee, used)
        self.level_blocked = False
        run.changed(self, t)
        self.measure()

    def used_now(self) -> Decimal:
        """What the strategy counts as used by this group."""
        if self.group is None:
            return _ZERO
        return max(self.reserved, self.group.used) if self.run.full else self.group.used

    def settle(self, t: int, step: Step, ticks: int) -> None:
        """Take what was judged, and log it."""
        self.group = step.group
        if step.entered:
            if self.entered_at is None:
                self.entered_at = _moment(t)
            self.difficulties = (*self.difficulties, *(one for one in step.entered if one not in self.difficulties))
            first = self.group is not None and self.group.difficulties == step.entered
            if first:
                self.run.recoveries += 1
                self.best = None
            self.run.say(t, self.pair, self.side, self.price(ticks), state=State.RECOVERY, entered=step.entered)
        if step.returned:
            self.run.say(t, self.pair, self.side, self.price(ticks), state=State.NORMAL, returned=True)
            self.run.changed(self, t)

    # The prices that matter now

    def measure(self) -> None:
        """Work out target, stop, liquidation and thresholds of the position as it is."""
        group = self.group
        assert group is not None
        sign, scale, cost, coins = self.sign, self.fee_scale, self.cost, self.coins
        recovering = group.state is State.RECOVERY
        paid = cost * scale + sign * self.fees
        divisor = coins * (scale - sign * self.exit_fee)

        def target(share: _Share) -> int:
            if self.gross and not recovering:
                found = _ceil(sign * cost * scale * share.above, coins * share.below)
            else:
                found = _ceil(sign * paid * scale * share.above, divisor * share.below)
            return found if sign > 0 or found < 0 else _FAR

        self.trailing = self.arming_share is not None and not recovering
        if recovering:
            self.target = target(self.recovery_share)
        else:
            self.target = target(self.arming_share or self.target_share)
        self.stop = -_FAR
        if self.stop_share is not None:
            share = self.stop_share
            if self.run.parameters.stop_loss_basis == "base":
                found = _ceil(self.first * share.above, share.below)
            else:
                found = _ceil(sign * cost * scale * share.above, coins * share.below)
            self.stop = found if sign < 0 or found > 0 else -_FAR
        self.liquidation = -_FAR
        if self.liquidation_price is not None:
            ticks = sign * self.liquidation_price / self.market.tick_size
            self.liquidation = int(ticks.to_integral_value(ROUND_FLOOR))
        self.thresholds()
        self.next_level()

    def _below_average(self, share: _Share) -> int:
        """The highest price that stands so far against the group."""
        return _floor(self.sign * self.cost * self.fee_scale * share.above, self.coins * share.below)

    def thresholds(self) -> None:
        """At which closes somebody has to judge whether the group is in trouble, or out of it."""
        group, r = self.group, self.rules.recovery
        self.trouble, self.calm, self.old_at = -_FAR, _FAR, _FAR
        assert group is not None
        if not self.rules.recovers:
            return
        known, found = group.difficulties, [-_FAR]
        if r.max_group_age_h is not None and Difficulty.GROUP_AGE not in known:
            self.old_at = int(group.opened_at.timestamp()) + r.max_group_age_h * 3600
        prices = {Difficulty.DRAWDOWN: self._below_average(self.drawdown_share)}
        if self.cautious_share is not None:
            prices[Difficulty.USER_CAUTIOUS] = self._below_average(self.cautious_share)
        if r.liq_distance_pct is not None and self.liquidation_price is not None:
            share = 1 - self.sign * r.liq_distance_pct / _HUNDRED
            ticks = self.sign * self.liquidation_price / share / self.market.tick_size
            prices[Difficulty.LIQUIDATION_NEAR] = int(ticks.to_integral_value(ROUND_FLOOR))
        found += [ticks for one, ticks in prices.items() if one not in known]
        self.trouble = max(found)
        if group.state is State.RECOVERY and r.return_mode == "auto":
            # A share of the margin, a count of add-ons and an age do not pass by a price: nothing to wait for.
            world = self.world(self.filled_at)
            lasting = rules_of_group.difficulties(self.rules, group, group.average, world)
            if _LASTING.isdisjoint(lasting) and Difficulty.GROUP_AGE not in known:
                worst = max(self._below_average(self.calm_share), *prices.values())
                if group.calm_since is None:
                    self.calm = worst + 1
                else:
                    self.trouble = max(self.trouble, worst)

    def next_level(self) -> None:
        """Price, steps and capital of the next order of the ladder; none where there is none."""
        self.level_ticks: int | None = None
        if self.by_signal or self.level >= len(self.sizes) or self.run.parameters.addon_mode == "off":
            return
        recovering = self.group is not None and self.group.state is State.RECOVERY
        self.gap = (self.wider if recovering else self.gaps)[self.level]
        found = self._level(self.first, self.last, self.away + self.gap, self.gap, self.cost, self.coins)
        self.level_ticks = found

    def level_size(self, level: int) -> Decimal:
        size = self.sizes[level] * self.growth
        recovering = self.group is not None and self.group.state is State.RECOVERY
        return size * self.rules.recovery.size_factor if recovering else size

    def cool_at(self) -> int:
        return self.filled_at + self.addon_cooldown

    # Add-ons

    def ladder_addons(self, j: int) -> bool:
        """Fill the levels that this candle reaches. Whether one was."""
        t, low, added = int(self.time[j]), int(self.lows[j]), False
        while self.level_ticks is not None and low <= self.level_ticks and not self.level_blocked:
            if t >= self.cool_at():
                self.placed = max(self.placed, self.level + self.resting)
            if self.level >= self.placed:
                break
            assert self.group is not None
            ticks, level = self.level_ticks, self.level
            steps, cost, small = self.order_of(ticks, self.level_size(level))
            order = Order(self.capital(cost, self.rates[1]), level - 1, rests=True, too_small=small)
            at = min(int(self.opens[j]), ticks)
            world, asked = self.judging(t), Asked(self.side, self.price(at))
            step = rules_of_group.on_level(self.rules, self.group, asked, world, order)
            if step.reasons:
                self.level_blocked, self.blocked_at = True, t
                self.refuse(t, ticks, step, level)
                break
            self.said = None
            self.last, self.away, self.level = ticks, self.away + self.gap, level + 1
            self.run.say(
                t, self.pair, self.side, self.price(at), outcome=Outcome.ADD_ON, level=level, state=self.group.state
            )
            self.fill(j, world, level, at, steps, self.addon_fee, level - 1)
            added = True
        return added

    def judging(self, t: int) -> World:
        """The world for an add-on. What was reserved for it at the opening is not counted twice."""
        group, full = self.group, self.run.full
        return self.world(t, max(self.reserved - group.used, _ZERO) if full and group is not None else _ZERO)

    def signal_addon(self, j: int) -> None:
        t, ticks = int(self.time[j]), int(self.opens[j])
        group = self.group
        assert group is not None
        price = self.price(ticks)
        zone = rules_of_group.zone_at(self.rules, group, price)
        if (zone is None or self.level_blocked) and not self.once:
            return  # what asks all the time asks for an add-on inside a zone only
        ends = ticks <= max(self.stop, self.liquidation) or (not self.trailing and ticks >= self.target)
        if ends:  # the exit is this candle's to find
            told = {"outcome": Outcome.WAITING, "state": group.state}
            self.run.say(t, self.pair, self.side, price, **told)
            return
        judged = rules_of_group.judged(self.rules, group, price, self.world(t), signal=True)
        if judged.group is not group:
            self.settle(t, judged, ticks)
            self.measure()
            group = self.open
        free = [number for number in range(len(self.rules.zones)) if number not in group.zones_used]
        level = 1 + (zone if zone is not None else free[0] if free else len(self.rules.zones) - 1)
        steps, cost, small = self.order_of(ticks, self.level_size(level) if level else _ZERO)
        order = Order(self.capital(cost, self.rates[1]), too_small=small and zone is not None)
        world = self.judging(t)
        step = rules_of_group.on_level(self.rules, group, Asked(self.side, price), world, order)
        if step.reasons:
            self.level_blocked, self.blocked_at = True, t
            self.refuse(t, ticks, step, level if zone is not None else None)
            return
        self.said = None
        self.run.say(t, self.pair, self.side, price, outcome=Outcome.ADD_ON, level=level, state=group.state)
        self.added_at = j
        self.fill(j, world, level, ticks, steps, self.addon_fee, zone)

    @property
    def open(self) -> Group:
        assert self.group is not None
        return self.group

    # Exits

    def candle(self, j: int) -> None:
        """Add-ons, liquidation and stop, target, and the judgement at the close."""
        armed = self.best is not None
        added = self.added_at == j
        if not armed:
            added = self.ladder_addons(j) or added
        t, opened, low = int(self.time[j]), int(self.opens[j]), int(self.lows[j])
        high, close = int(self.highs[j]), int(self.closes[j])
        stop, end = self.stop, self.liquidation
        if self.best is not None and opened > end:  # who falls from above comes to the trailing price first
            trail = self.trail(self.best)
            if low <= trail:
                self.close(j, min(opened, trail), Exit.TAKE_PROFIT, self.taker)
                return
        if low <= end and (stop <= end or opened <= end):
            self.close(j, end, Exit.LIQUIDATION, 0)
            return
        if low <= stop:
            self.close(j, min(opened, stop), Exit.STOP, self.taker)
            return
        if armed and self.best is not None:
            self.best = max(self.best, high)
        elif high >= self.target and (not added or close >= self.target):
            if not self.trailing:
                # Its open lies before the add-on, which made this target.
                self.close(j, self.target if added else max(opened, self.target), Exit.TAKE_PROFIT, self.exit_fee)
                return
            self.best = high
        if self.may_change(t, close):
            self.judge(t, close)

    def may_change(self, t: int, close: int) -> bool:
        """Whether this close, or this time, may take the group into Recovery Mode or out of it."""
        if close <= self.trouble or close >= self.calm or t >= self.old_at:
            return True
        return self.group is not None and self.group.calm_since is not None

    def trail(self, best: int) -> int:
        share = self.trail_share
        assert share is not None
        return _ceil(best * share.above, share.below)

    def judge(self, t: int, close: int) -> None:
        before = self.group
        assert before is not None
        if not self.rules.recovers:
            return
        price = self.price(close)
        step = rules_of_group.judged(self.rules, before, price, self.world(t))
        if step.group == before:
            return
        self.settle(t, step, close)
        if step.group is not None and step.group.state is not before.state:
            self.level_blocked = False
            self.measure()
        else:
            self.thresholds()

    def trim(self, j: int) -> None:
        group, t, run = self.open, int(self.time[j]), self.run
        if not self.rules.recovery.trim or group.state is not State.RECOVERY:
            return
        share = rules_of_group.trim_due(self.rules, group, self.world(t), lost_in_30_days=run.lost_since(t - 30 * _DAY))
        if not share:
            return
        scale = self.fee_scale
        part = Fraction(share) * self.coins / scale
        steps, ticks = int(part), int(self.opens[j])
        if self.too_small(steps, steps * abs(ticks) * self.unit):
            return  # the exchange would refuse it
        sold = Fraction(steps * scale) / self.coins
        cost, fees = self.cost * sold, self.fees * sold
        value = steps * abs(ticks)
        charged = value * self.taker
        profit = _decimal((self.sign * (value - cost)) * scale - fees - charged) * self.unit / scale
        self.cost, self.fees, self.coins = self.cost - cost, self.fees - fees, self.coins - steps * scale
        before, used = self.used_now(), group.used
        part_sold = _decimal(sold)
        self.group = rules_of_group.trimmed(group, part_sold, _moment(t))
        self.paid += charged * self.unit / scale
        self.gained += profit
        run.trims += 1
        run.say(t, self.pair, self.side, self.price(ticks), state=group.state, trimmed=steps * self.step, profit=profit)
        run.use(self.used_now() - before, t)
        released = self.sign * _decimal(cost) * self.unit + _decimal(fees) * self.unit / scale
        run.mark(self, t, -self.sign * steps * self.step, released + profit, self.group.used - used)
        if self.market.tells_liquidation:
            self.liquidation_price = ladders.liquidation(
                self.market,
                self.side,
                cost_quote=_decimal(self.cost) * self.unit,
                amount_base=_decimal(self.coins) * self.step / scale,
                leverage=Decimal(self.leverage),
            )
        run.realise(t, profit)
        self.level_blocked = False
        run.changed(self, t)
        self.measure()

    def close(self, j: int, ticks: int, how: Exit, rate: int) -> None:
        t, run, scale = int(self.time[j]), self.run, self.fee_scale
        group = self.open
        if how is Exit.LIQUIDATION:
            profit = -_decimal(self.cost) * self.unit / self.leverage - _decimal(self.fees) * self.unit / scale
        else:
            steps = int(self.coins // scale)  # what is less than a step stays there, and is not counted
            value = steps * abs(ticks)
            charged = value * rate
            profit = _decimal((self.sign * (value - self.cost)) * scale - self.fees - charged) * self.unit / scale
            self.paid += charged * self.unit / scale
        used = self.used_now()
        coins = _decimal(self.coins) * self.step / scale
        tied = self.sign * _decimal(self.cost) * self.unit + _decimal(self.fees) * self.unit / scale
        self.group = None
        price = self.price(ticks)
        if how is Exit.LIQUIDATION and self.liquidation_price is not None:
            price = self.liquidation_price
        run.deals.append(self.deal(_moment(t), how, price, self.gained + profit))
        run.groups -= 1
        run.say(t, self.pair, self.side, price, exit=how, state=State.CLOSED, profit=self.gained + profit)
        run.use(-used, t)
        run.mark(self, t, -self.sign * coins, tied + profit, -group.used)
        self.closed_at, self.said, self.blocked, self.best, self.ending = t, None, None, None, False
        run.realise(t, profit, closed=self.gained + profit)
        run.changed(self, t)

    def deal(self, at: datetime | None, how: Exit | None, price: Decimal | None, profit: Decimal | None) -> Deal:
        return Deal(
            self.pair,
            self.side,
            self.fills[0].at,
            at,
            how,
            tuple(self.fills),
            price,
            profit,
            self.paid,
            self.most,
            self.entered_at,
            self.difficulties,
        )

    # Where to look next

    def seek(self, j: int) -> None:
        """The next candle on which something may happen."""
        self.added_at = -1
        if j >= self.count:
            self.next = _NEVER
        elif self.group is None:
            self.next = self.seek_entry(j)
        else:
            self.next = self.seek_event(j)

    def seek_entry(self, j: int) -> int:
        if self.blocked is None or self.once:
            return self.asked(j)
        # It was refused, and is judged again when a reason may have passed, and on each day.
        soonest = self.next_day(j)
        if Reason.COOLDOWN in self.blocked and self.closed_at is not None:
            cooled = self.closed_at + int(self.rules.close_cooldown.total_seconds())
            soonest = min(soonest, max(self.index_of(cooled), j))
        if Reason.SESSION in self.blocked:
            soonest = min(soonest, self.run.next_session(self, j))
        return self.asked(soonest) if soonest < self.count else _NEVER

    def next_day(self, j: int) -> int:
        return self.index_of((int(self.time[j - 1]) // _DAY + 1) * _DAY)

    def seek_event(self, j: int) -> int:
        group, until = self.open, self.count
        if self.ending:
            return j
        if self.level_blocked:
            until = min(until, self.next_day(j))
            cool = self.index_of(self.cool_at())
            until = min(until, cool) if self.by_signal and cool >= j else until
        r = self.rules.recovery
        if self.rules.recovers:
            if self.old_at < _FAR:
                until = min(until, self.index_of(self.old_at))
            if group.calm_since is not None:
                until = min(until, self.index_of(int((group.calm_since + CALM).timestamp())))
            if r.trim and group.state is State.RECOVERY:
                since = group.trimmed_at or group.filled_at
                until = min(until, self.index_of(int(since.timestamp()) + r.trim_every_h * 3600))
        until = max(until, j)
        if self.by_signal:
            until = self.seek_zone(j, until)
        if self.best is not None:
            found = self.seek_trail(j, until)
        else:
            low = max(self.stop, self.liquidation)
            level = self.level_ticks if not self.level_blocked else None
            if level is not None and self.level >= self.placed:
                # The next order is not placed before the last fill has cooled down.
                cool = min(max(self.index_of(self.cool_at()), j), until)
                found = self.scan(j, cool, low)
                if found < cool:
                    return found
                j = cool
            found = self.scan(j, until, low if level is None else max(low, level))
        return found if found < self.count else _NEVER

    def scan(self, j: int, until: int, low: int) -> int:
        """The first candle that comes as low as that, reaches the target, or closes in or out of trouble."""
        lows, highs, closes, size = self.lows, self.highs, self.closes, _CHUNK
        target, trouble, calm = self.target, self.trouble, self.calm
        while j < until:
            end = min(j + size, until)
            hit = lows[j:end] <= low
            hit |= highs[j:end] >= target
            if trouble > -_FAR:
                hit |= closes[j:end] <= trouble
            if calm < _FAR:
                hit |= closes[j:end] >= calm
            place = int(hit.argmax())
            if hit[place]:
                return j + place
            j, size = end, min(size * 4, _LARGEST_CHUNK)
        return until

    def seek_trail(self, j: int, until: int) -> int:
        assert self.best is not None
        assert self.trail_share is not None
        best, size = self.best, _CHUNK
        while j < until:
            end = min(j + size, until)
            highest = np.maximum.accumulate(np.concatenate([[best], self.highs[j:end]]))
            # One tick more than floats may be wrong by: the candle itself is judged exactly.
            trail = highest[:-1] * (self.trail_share.above / self.trail_share.below) + 2
            hit = self.lows[j:end] <= np.maximum(trail, max(self.stop, self.liquidation))
            hit |= self.closes[j:end] <= self.trouble
            place = int(hit.argmax())
            if hit[place]:
                self.best = int(highest[place])
                return j + place
            best = self.best = int(highest[-1])
            j, size = end, min(size * 4, _LARGEST_CHUNK)
        return until

    def seek_zone(self, j: int, until: int) -> int:
        """The next candle, before `until`, at whose open a signal may add."""
        if self.once:
            return min(until, self.asked(j))
        if self.level_blocked:
            return until
        group = self.open
        free = [zone for number, zone in enumerate(self.rules.zones) if number not in group.zones_used]
        if not free or group.addons >= self.rules.max_addons:
            return until
        first = float(self.first)
        edges = [
            (first * (1 - self.sign * float(zone.low) / 100) + 2, first * (1 - self.sign * float(zone.high) / 100) - 2)
            for zone in free
        ]
        while j < until:
            j = self.asked(j)
            end = min(j + _LARGEST_CHUNK, until)
            if j >= end:
                return until
            opens = self.opens[j:end]
            hit = np.zeros(len(opens), dtype=bool)
            for above, below in edges:
                hit |= (opens <= above) & (opens >= below)
            places = np.flatnonzero(hit)
            for place in places.tolist():
                if self.signals is None or self.asked(j + place) == j + place:
                    return j + place
            j = end
        return until


def candles_of(candles: Candles) -> tuple[Any, Any, Any, Any]:
    return candles.open, candles.high, candles.low, candles.close


# -- the strategy ------------------------------------------------------------------------------------------------------


class _Run:
    """What all groups share: money, guard, log."""

    def __init__(
        self,
        parameters: Parameters,
        markets: Mapping[str, LadderMarket],
        candles: Mapping[str, Candles],
        balance: Decimal,
        signals: Signals,
    ) -> None:
        self.parameters, self.balance, self.signals, self.candles = parameters, balance, signals, candles
        self.full = parameters.reserve_mode == "full"
        self.sessions = _session_seconds(parameters)
        self.realised = self.used = self.committed = self.peak = self.today = _ZERO
        self.balance_today = balance
        self.groups = self.streak = self.blocked = self.recoveries = self.trims = 0
        self.guard = Guard.ACTIVE
        self.paused_until = _FAR
        self.day: int | None = None
        self.lost: list[tuple[int, Decimal]] = []
        self.log: list[Decision] = []
        self.deals: list[Deal] = []
        self.marks: list[tuple[_Slot, int, float, float, float]] = []
        self.near_spans: list[tuple[int, int]] = []
        self.busy_since: int | None = None
        limit = parameters.margin_limit_total.quote(balance)
        self.near_limit = None if limit is None else limit * NEAR_LIMIT
        self.slots: list[_Slot] = []
        for pair in parameters.pairs:
            for side in parameters.directions:
                self.slots.append(_Slot(self, len(self.slots), pair, side, markets[pair], candles[pair]))

    def acting(self, slot: _Slot) -> tuple[list[int] | None, bool]:
        """The candles at which something asks for this slot (None: each), and whether each asks only once."""
        signals, sign = self.signals, slot.sign
        if isinstance(signals, Always):
            return None, False
        if isinstance(signals, Listed):
            begin = int(slot.time[0])  # what came before the first candle is not asked of it
            rows = [
                t for t, pair, side in signals.rows if t >= begin and pair in (None, slot.pair) and side == slot.side
            ]
            return sorted({place for t in rows if (place := slot.index_of(t)) < slot.count}), True
        closes = np.abs(slot.closes).astype(np.float64)
        if isinstance(signals, PriceBelow):
            ticks = int((sign * signals.price / slot.market.tick_size).to_integral_value(ROUND_FLOOR))
            holds = slot.closes <= ticks
        elif isinstance(signals, Rsi):
            values = rsi(closes, signals.period)
            holds = values < signals.below - _BLUR if sign > 0 else values > 100 - signals.below + _BLUR
        else:
            above = sign * (ema(closes, signals.fast) - ema(closes, signals.slow)) / closes
            holds = np.concatenate([[False], (above[1:] > _BLUR) & (above[:-1] <= _BLUR)])
        places: list[int] = (np.flatnonzero(holds[:-1]) + 1).tolist()
        return places, isinstance(signals, Crossing)

    # Time

    def at(self, t: int) -> None:
        day = t // _DAY
        if day == self.day:
            return
        self.day, self.today, self.streak = day, _ZERO, 0
        self.balance_today = self.balance + self.realised
        self.resume(t)

    def resume(self, t: int) -> None:
        """A pause ends with the first candle of the next day, whether anything happens on it or not."""
        if self.guard is Guard.PAUSED and t >= self.paused_until:
            self.turn(self.paused_until, Guard.ACTIVE)

    def turn(self, t: int, guard: Guard) -> None:
        self.guard = guard
        if guard is Guard.PAUSED:
            day = (t // _DAY + 1) * _DAY
            places = [(slot, slot.index_of(day)) for slot in self.slots]
            self.paused_until = min((int(one.time[j]) for one, j in places if j < one.count), default=_FAR)
        self.say(t, None, None, None, guard=guard)

    def in_session(self, t: int) -> bool:
        return not self.sessions or any(begin <= (t - _MONDAY) % _WEEK < end for begin, end in self.sessions)

    def next_session(self, slot: _Slot, j: int) -> int:
        now = int(slot.time[j - 1])
        into = (now - _MONDAY) % _WEEK
        return slot.index_of(now + min((begin - into) % _WEEK or _WEEK for begin, _ in self.sessions))

    # Money

    def growth(self) -> Decimal:
        share = self.parameters.reinvest_pct
        if not share:
            return Decimal(1)
        return max(Decimal(1), 1 + share / _HUNDRED * self.realised / self.balance)

    def recovers(self, pair: str) -> bool:
        return len(self.parameters.directions) > 1 and any(
            slot.pair == pair and slot.group is not None and slot.group.state is State.RECOVERY for slot in self.slots
        )

    def use(self, more: Decimal, t: int) -> None:
        """So much more of the limit is used from now on."""
        self.used += more

    def mark(self, slot: _Slot, t: int, coins: Decimal, cash: Decimal, capital: Decimal) -> None:
        """So many coins, so much cash and committed capital are there more from now on."""
        self.marks.append((slot, t, float(coins), float(cash), float(capital)))
        self.committed += capital
        committed = self.committed
        self.peak = max(self.peak, committed)
        if self.near_limit is None:
            return
        if committed > self.near_limit:
            self.busy_since = t if self.busy_since is None else self.busy_since
        elif self.busy_since is not None:
            self.near_spans.append((self.busy_since, t))
            self.busy_since = None

    def lost_since(self, t: int) -> Decimal:
        return -sum((profit for at, profit in self.lost if at > t and profit < 0), _ZERO)

    def realise(self, t: int, profit: Decimal, closed: Decimal | None = None) -> None:
        """A realised result; `closed` is that of the whole group where it is over."""
        self.realised += profit
        self.today += profit
        self.lost.append((t, profit))
        if closed is not None:
            self.streak = self.streak + 1 if closed < 0 else 0
        lost = max(_ZERO, -self.today) / self.balance_today * _HUNDRED if self.balance_today > 0 else _HUNDRED
        guard = rules_of_group.guard_after(
            self.guard, self.parameters, lost_today_pct=lost, losses_in_a_row=self.streak, drawdown_pct=_ZERO
        )
        if guard is not self.guard and guard is not Guard.ACTIVE:
            self.turn(t, guard)

    # Others

    def changed(self, by: _Slot, t: int) -> None:
        """Something happened that may lift what holds others back."""
        if len(self.slots) == 1:
            return
        for slot in self.slots:
            if slot is by or slot.best is not None or not (slot.blocked if slot.group is None else slot.level_blocked):
                continue
            place = slot.index_of(t if slot.order > by.order else t + 1)
            slot.level_blocked = False
            if slot.group is not None:
                slot.next = min(slot.next, slot.seek_event(place)) if place < slot.count else slot.next
            elif place < slot.count:
                slot.next = min(slot.next, slot.asked(place))

    def say(self, t: int, pair: str | None, side: Side | None, price: Decimal | None, **told: Any) -> None:
        self.log.append(Decision(_moment(t), pair, side, price, **told))

    # To the end

    def to_the_end(self, on_progress: Callable[[float], object] | None) -> Replay:
        slots = self.slots
        watch = _Watch(self) if self.parameters.recovery.red_drawdown_pct is not None else None
        begin = min(int(slot.time[0]) for slot in slots)
        length = max(int(slot.time[-1]) for slot in slots) - begin or 1
        told = 0
        while True:
            slot, at = slots[0], _FAR
            for one in slots:
                if one.next < one.count and one.time[one.next] < at:
                    slot, at = one, int(one.time[one.next])
            if watch is not None and watch.stops_before(at):
                continue
            if at == _FAR:
                self.resume(_FAR - 1)
                break
            slot.live(slot.next)
            if on_progress is not None and (at - begin) * 20 // length > told:
                told = (at - begin) * 20 // length
                on_progress((at - begin) / length)
        return self.outcome()

    def outcome(self) -> Replay:
        slots, fees = self.slots, sum((deal.fees for deal in self.deals), _ZERO)
        open_deals = [slot.deal(None, None, None, None) for slot in slots if slot.group is not None]
        times, values, capital = self.curves()
        peaks = np.maximum.accumulate(np.maximum(values, float(self.balance)))
        dips = peaks - values
        worst = int(dips.argmax())
        orders = {(slot.pair, slot.side): slot.order for slot in slots}
        deals = tuple(
            sorted([*self.deals, *open_deals], key=lambda deal: (deal.opened_at, orders[deal.pair, deal.side]))
        )
        by_level: list[int] = [0] * max((len(slot.sizes) for slot in slots), default=1)
        for deal in deals:
            for fill in deal.fills:
                by_level[fill.level] += 1
        last = _moment(int(times[-1]))
        if self.busy_since is not None:
            self.near_spans.append((self.busy_since, int(times[-1])))
        days: list[int] = np.unique(times // _DAY).tolist() if self.near_spans else []
        near = sum(any(begin // _DAY <= day <= end // _DAY for begin, end in self.near_spans) for day in days)
        open_profit = sum((_open_profit(slot) for slot in slots if slot.group is not None), _ZERO)
        summary = Summary(
            candles=sum({slot.pair: slot.count for slot in slots}.values()),
            since=_moment(int(times[0])),
            until=last,
            deals=len(self.deals),
            open_groups=len(open_deals),
            won=sum(deal.profit is not None and deal.profit > 0 for deal in self.deals),
            profit=self.realised,
            open_profit=open_profit,
            fees=fees + sum((deal.fees for deal in open_deals), _ZERO),
            fills_by_level=tuple(by_level),
            longest_group=max(((deal.closed_at or last) - deal.opened_at for deal in deals), default=None),
            peak_capital=self.peak,
            worst_dip=Decimal(repr(float(dips[worst]))),
            worst_dip_pct=Decimal(repr(float((dips / peaks).max() * 100))),
            days_near_limit=near,
            recoveries=self.recoveries,
            liquidations=sum(deal.exit is Exit.LIQUIDATION for deal in deals),
            stops=sum(deal.exit is Exit.STOP for deal in deals),
            trims=self.trims,
            blocked=self.blocked,
        )
        return Replay(deals, tuple(self.log), self.balance, summary, times, values, capital)

    def curves(self) -> tuple[Any, Any, Any]:
        """Times, equity and committed capital at each close."""
        pairs = {slot.pair: slot for slot in self.slots}
        columns = [self.candles[pair].time for pair in pairs]
        times = columns[0] if len(columns) == 1 else np.unique(np.concatenate(columns))
        values = _held(times, [(mark[1], mark[3]) for mark in self.marks])
        values += float(self.balance)
        for pair, slot in pairs.items():
            own = [(mark[1], mark[2]) for mark in self.marks if mark[0].pair == pair]
            closes = np.abs(slot.closes) * float(slot.market.tick_size)
            if len(columns) > 1:
                closes = closes[np.maximum(np.searchsorted(slot.time, times, "right") - 1, 0)]
            closes *= _held(times, own)
            values += closes
        return times, values, _held(times, [(mark[1], mark[4]) for mark in self.marks])


def _open_profit(slot: _Slot) -> Decimal:
    """What an open group would have gained or lost at the last close, before the fee of its exit."""
    price, scale = abs(int(slot.closes[-1])), slot.fee_scale
    return _decimal(slot.sign * (slot.coins * price - slot.cost * scale) - slot.fees) * slot.unit / scale


def _held(times: Any, changes: Sequence[tuple[int, float]]) -> Any:
    """The running sum of changes, at each of these times."""
    at = np.searchsorted(times, np.array([time for time, _ in changes], dtype=np.int64))
    sums = np.concatenate([[0.0], np.cumsum(np.array([change for _, change in changes], dtype=np.float64))])
    return np.repeat(sums, np.diff(np.concatenate([[0], at, [len(times)]])))


class _Watch:
    """The equity stop: looks at each close whether so much of the highest equity is lost."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        red = run.parameters.recovery.red_drawdown_pct
        assert red is not None
        self.keep = 1 - red / _HUNDRED
        pairs = {slot.pair: slot for slot in run.slots}
        columns = [slot.time for slot in pairs.values()]
        self.times: Any = np.unique(np.concatenate(columns))
        self.closes = {
            pair: slot.closes[np.maximum(np.searchsorted(column, self.times, "right") - 1, 0)]
            for (pair, slot), column in zip(pairs.items(), columns, strict=True)
        }
        self.done: int = 0
        self.peak = run.balance

    def stops_before(self, t: int) -> bool:
        """Look at the closes of candles that open before `t`. Whether the stop was hit, and everything has changed."""
        run = self.run
        until = int(np.searchsorted(self.times, t))
        held = [slot for slot in run.slots if slot.group is not None]
        if run.guard is Guard.STOPPED:
            return False
        # With nothing open one look is enough.
        for place in range(self.done, until if held else min(self.done + 1, until)):
            equity = run.balance + run.realised + sum((self.worth(slot, place) for slot in held), _ZERO)
            self.peak = max(self.peak, equity)
            if equity <= self.peak * self.keep:
                self.done = place + 1
                self.end(held, int(self.times[place]))
                return True
        self.done = max(self.done, until)
        return False

    def worth(self, slot: _Slot, place: int) -> Decimal:
        price, scale = abs(int(self.closes[slot.pair][place])), slot.fee_scale
        return _decimal(slot.sign * (slot.coins * price - slot.cost * scale) - slot.fees) * slot.unit / scale

    def end(self, held: Iterable[_Slot], t: int) -> None:
        self.run.turn(t, Guard.STOPPED)
        for slot in held:
            slot.ending = True
            place = slot.index_of(t + 1)
            slot.next = place if place < slot.count else _NEVER


# -- sessions ----------------------------------------------------------------------------------------------------------

_WEEK: Final = 7 * _DAY
_MONDAY: Final = 4 * _DAY  # 1970-01-05 was the first Monday
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _session_seconds(parameters: Parameters) -> list[tuple[int, int]]:
    """Begin and end of each window, in seconds since Monday."""
    found: list[tuple[int, int]] = []
    for window in parameters.session:
        begin, end = (int(text[:2]) * 3600 + int(text[3:]) * 60 for text in (window.start, window.end))
        found += [(_WEEKDAYS.index(day) * _DAY + begin, _WEEKDAYS.index(day) * _DAY + end) for day in window.days]
    return found
