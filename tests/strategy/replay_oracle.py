"""What a strategy would have done on candles, worked out a second time: slowly, plainly and in exact fractions.

Candle by candle and slot by slot; nothing is skipped, nothing is worked out beforehand, no decision is asked of
`bfai.strategy.recovery`. Only the parameters and the ladder's market come from `bfai`. Every number is a `Fraction`,
times are seconds since 1970 (UTC), and the time of anything that happens is the open time of its candle.

    replay = slow_replay(parameters, {"BTC/USDT": market}, {"BTC/USDT": rows}, balance=Decimal(1000))
    replay.deals[0].profit

Each candle time goes: 1 a new day; then for each slot (pair and direction) in order 2 a trim, 3 an entry, 4 an add-on
at a signal, 5 add-ons of the ladder, 6 liquidation and stop, 7 target and trailing, 8 Recovery Mode at the close; 9 the
mark.

Where the words of the rules leave something open, this is what was chosen. A comparison that fails is either a mistake
or another choice, and the choices have numbers so that they can be talked about.

Candles and time
 1. Prices are rounded to the nearest tick (of two equally near ones to the even one), never below one tick; signals are
    worked out from rounded closes too.
 2. All times are open times of candles: age, cooldowns and the half hour of calm count between open times, also for
    what happens at a candle's close.
 3. A new day begins before the first slot of its first candle time, once for the strategy. The mark is taken once,
    after the last slot. Steps 2 to 8 are gone through slot by slot.
 4. A session's window holds from its start up to, not including, its end.

Signals
 5. A source that is given takes the place of the start condition.
 6. RSI: the first averages are plain means of the first `period` changes, then Wilder's. A candle gives a signal
    wherever its RSI is below the threshold, not only where it falls below. Where nothing ever moved it is 50.
 7. EMA: begins with the plain mean of the first closes, as many as its length. A cross is a candle whose difference
    lies beyond zero while that of the candle before did not; both need both averages.
 8. RSI and EMA are compared with a tolerance of 1e-9 (of the price, for averages), so that who counts in floats agrees.
 9. A signal of a list acts at the pair's first candle at or after it; what came before the first candle is dropped; of
    several for one slot at one candle one acts. What comes while it cannot be used is spent. Signals of an open group
    count in the modes `zones` and `strict` only; what lasts (always, price, RSI) asks for an add-on inside an unused
    zone only, and has no say in what worsens outside.

Decisions
10. `below_minimum` is the last reason. It holds for the first order too. Largest amounts are not judged.
11. While a group is in Recovery Mode, a group of the other direction on its pair is blocked: `recovery_same_pair`.
12. A signal for an open group is an event of its own: exits are looked at first (then it waits, and the exit follows in
    this candle), then Recovery Mode is judged at the open with the signal, then the add-on in the state that results.
    An order of the ladder that is touched is none of that: only its reasons are judged.
13. Once the trailing exit is armed no signal is judged for the group and nothing is logged.
14. An order of the ladder is judged at the price at which it would fill, with the size that was ordered.
15. What is refused is judged again after another fill, exit, trim or return of the strategy, a change of the group's
    state, the end of a cooldown that was a reason, the begin of a session, and on a new day; a signal that acts once is
    always judged. It is logged again only with other reasons. What lies behind a level that is blocked is not reached.
16. A signal outside every zone is judged with the size of the lowest unused zone, or of the last one.
17. A zone is all from D_k - width to D_k percent, both counted. Recovery Mode does not move zones, it only makes their
    sizes smaller.
18. A reserve counts for the limits of the strategy and of the account. Recovery Mode and the limit of one group look at
    the group's own capital; an opening is judged with the whole ladder.
19. Sizes of first orders and add-ons are those of the order on the grid, with its fee.

The ladder
20. The first entry is a fill: with a cooldown no add-on rests before it is over. When it is over, as many rest as may.
21. Gaps go on from the last order, wider in Recovery Mode: those of `build`, and of `after_recovery` from the level at
    which it began.
22. A trim that the exchange would refuse is none, and is tried again at the next candle.

Exits
23. An exit by trailing is a `take_profit` that pays the taker's fee. It comes before the stop, and before liquidation
    unless the candle opens beyond that.
24. A liquidation's price is the estimate, off the grid.
25. A candle on which a signal's add-on was filled at the open is one that filled an add-on.

Money
26. The loss of a day is what was realised since midnight, gains set against it, trims counted at once. The 30 days of
    trims add up losses only, and do not include what happened exactly 30 days ago. A deal that won or lost nothing ends
    a streak.
27. A pause lasts until the first candle of the next day.
28. The starting balance counts as the first mark. The equity stop works without Recovery Mode as well.
29. A fill's amount is what was bought, before any fee in coins, and its fee is told in quote currency however it was
    taken: coins at the price of the fill. Capital counts fees in quote currency only.
30. A day is near the limit when the committed capital was above 80 % of the total limit at any time of it. The longest
    time in a group counts one that is open until the last candle.
31. A deal is listed when it opens. Its difficulties are all that were ever found, its `recovery_at` is the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Amount, Parameters

DAY = 86_400
HOUR = 3_600
CALM = 1_800
BLUR = Fraction(1, 10**9)

REASONS = (
    "connection direction addon_limit outside_zone worsens_average margin_limit deposit_load cooldown below_minimum"
).split()
OPENING = "connection guard direction session recovery_same_pair group_limit margin_limit deposit_load cooldown".split()
SOFT = ("signal_worsens", "market_uncertain")


# -- what comes out ----------------------------------------------------------------------------------------------------


@dataclass
class Fill:
    at: int
    level: int
    price: Fraction
    amount: Fraction
    cost: Fraction
    fee: Fraction
    fee_coins: Fraction = Fraction(0)


@dataclass
class Trim:
    at: int
    price: Fraction
    amount: Fraction
    fee: Fraction
    profit: Fraction


@dataclass
class Deal:
    pair: str
    side: str
    opened_at: int
    closed_at: int | None = None
    exit: str | None = None
    fills: list[Fill] = field(default_factory=list[Fill])
    trims: list[Trim] = field(default_factory=list[Trim])
    exit_price: Fraction | None = None
    profit: Fraction | None = None
    fees: Fraction = Fraction(0)
    recovery_at: int | None = None
    difficulties: tuple[str, ...] = ()


@dataclass
class Entry:
    """Of the log. `outcome`: opened, add_on, blocked, waiting, closed, recovery, returned, trimmed, or of the guard:
    paused, resumed, stopped (these without pair and side).
    """

    at: int
    pair: str | None
    side: str | None
    price: Fraction | None
    outcome: str
    reasons: tuple[str, ...] = ()
    state: str | None = None
    difficulties: tuple[str, ...] = ()
    exit: str | None = None
    level: int | None = None


@dataclass
class Mark:
    t: int
    equity: Fraction
    committed: Fraction


@dataclass
class Summary:
    """`profit` is what was realised. `peak_capital` without reserves, `peak_committed` with them."""

    deals: int
    open_deals: int
    profit: Fraction
    fees: Fraction
    equity: Fraction
    fills: dict[int, int]
    longest_s: int
    peak_capital: Fraction
    peak_committed: Fraction
    dip_quote: Fraction
    dip_pct: Fraction
    days_near_limit: int
    recovery_entries: int
    liquidations: int


@dataclass
class OracleReplay:
    deals: list[Deal]
    log: list[Entry]
    summary: Summary
    equity: list[Mark]


# -- numbers -----------------------------------------------------------------------------------------------------------


def exact(value: Any) -> Fraction:
    """The number as it is written: 0.1 is a tenth, also as a float."""
    if isinstance(value, Fraction | int | Decimal | str):
        return Fraction(value)
    return Fraction(repr(float(value)))


def down(value: Fraction, grid: Fraction) -> Fraction:
    return (value / grid).__floor__() * grid


def up(value: Fraction, grid: Fraction) -> Fraction:
    return (value / grid).__ceil__() * grid


def quote_of(amount: Amount, balance: Fraction) -> Fraction:
    return balance * exact(amount.value) / 100 if amount.is_percent else exact(amount.value)


# -- candles and signals -----------------------------------------------------------------------------------------------


@dataclass
class Candle:
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction


def candle_of(row: Sequence[Any], tick: Fraction) -> Candle:
    """From (time, open, high, low, close, volume)."""
    return Candle(*(max(round(exact(price) / tick), 1) * tick for price in row[1:5]))


def rows_of(candles: Any) -> list[Sequence[Any]]:
    """Rows as they are, or out of an object with one array a column."""
    if hasattr(candles, "time"):
        names = ("time", "open", "high", "low", "close", "volume")
        return list(zip(*(getattr(candles, name) for name in names), strict=True))
    return list(candles)


class Rsi:
    """Wilder's, of the closes so far."""

    def __init__(self, period: int) -> None:
        self.period = period
        self.last: Fraction | None = None
        self.changes = 0
        self.gain = self.loss = Fraction(0)

    def close(self, price: Fraction) -> None:
        if self.last is not None:
            gain, loss = max(price - self.last, Fraction(0)), max(self.last - price, Fraction(0))
            self.changes += 1
            if self.changes <= self.period:
                self.gain += gain / self.period
                self.loss += loss / self.period
            else:
                self.gain += (gain - self.gain) / self.period
                self.loss += (loss - self.loss) / self.period
        self.last = price

    @property
    def value(self) -> Fraction | None:
        if self.changes < self.period:
            return None
        if self.gain + self.loss == 0:
            return Fraction(50)
        return 100 * self.gain / (self.gain + self.loss)


class Ema:
    def __init__(self, length: int) -> None:
        self.length = length
        self.closes = 0
        self.sum = Fraction(0)
        self.value: Fraction | None = None

    def close(self, price: Fraction) -> None:
        self.closes += 1
        self.sum += price
        if self.closes == self.length:
            self.value = self.sum / self.length
        elif self.value is not None:
            self.value += (price - self.value) * 2 / (self.length + 1)


class Always:
    def acts(self, side: str, t: int) -> bool:
        return True

    def close(self, price: Fraction) -> None:
        pass


class Never(Always):
    def acts(self, side: str, t: int) -> bool:
        return False


class AtPrice:
    """Wherever the close before is at a price or below it; for short, above it."""

    def __init__(self, price: Fraction) -> None:
        self.price = price
        self.last: Fraction | None = None

    def acts(self, side: str, t: int) -> bool:
        if self.last is None:
            return False
        return self.last <= self.price if side == "long" else self.last >= self.price

    def close(self, price: Fraction) -> None:
        self.last = price


class RsiBelow:
    def __init__(self, period: int, below: Fraction) -> None:
        self.rsi, self.below = Rsi(period), below

    def acts(self, side: str, t: int) -> bool:
        value = self.rsi.value
        if value is None:
            return False
        return value < self.below - BLUR if side == "long" else value > 100 - self.below + BLUR

    def close(self, price: Fraction) -> None:
        self.rsi.close(price)


class EmaCross:
    """Where the fast average passes the slow one, upwards for long."""

    def __init__(self, fast: int, slow: int) -> None:
        self.fast, self.slow = Ema(fast), Ema(slow)
        self.before: int | None = None
        self.now: int | None = None

    def acts(self, side: str, t: int) -> bool:
        if self.before is None or self.now is None:
            return False
        beyond = 1 if side == "long" else -1
        return self.now == beyond and self.before != beyond

    def close(self, price: Fraction) -> None:
        self.fast.close(price)
        self.slow.close(price)
        self.before, self.now = self.now, None
        if self.fast.value is not None and self.slow.value is not None:
            apart = self.fast.value - self.slow.value
            self.now = 0 if abs(apart) <= BLUR * self.slow.value else 1 if apart > 0 else -1


class Listed:
    """Signals at set times. Each acts once, at the first candle at or after it."""

    def __init__(self, signals: Iterable[tuple[int, str]]) -> None:
        self.waiting = list(signals)
        self.begin: int | None = None  # of the first candle; what came before is not asked of it

    def acts(self, side: str, t: int) -> bool:
        if self.begin is None:
            self.begin = t
        due = [one for one in self.waiting if one[0] <= t and one[1] == side]
        self.waiting = [one for one in self.waiting if one not in due]
        return any(one[0] >= self.begin for one in due)

    def close(self, price: Fraction) -> None:
        pass


def source_of(parameters: Parameters, pair: str, signals: Any) -> Any:
    """The signals of one pair: of the source that is given, or of the strategy's start condition."""
    p = parameters
    if signals is None:
        if p.start_condition == "price" and p.start_price is not None:
            return AtPrice(exact(p.start_price))
        if p.start_condition == "rsi" and p.start_rsi is not None:
            return RsiBelow(14, Fraction(p.start_rsi))
        return Always() if p.start_condition == "immediate" else Never()
    if isinstance(signals, tuple) and signals and isinstance(signals[0], str):
        if signals[0] == "rsi":
            return RsiBelow(int(signals[1]), exact(signals[2]))
        if signals[0] == "ema":
            return EmaCross(int(signals[1]), int(signals[2]))
        assert signals[0] == "always", signals
        return Always()
    return Listed((int(at), side) for at, of, side in signals if of == pair)


# -- the state ---------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    deal: Deal
    sign: int
    market: LadderMarket
    gaps: list[Fraction]  # percent, of the add-ons
    sizes: list[Fraction]  # quote currency as entered, first order and add-ons
    reserve: Fraction
    first: Fraction
    opened_at: int
    filled_at: int
    cost: Fraction = Fraction(0)
    coins: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)  # in quote currency, of what is still held
    levels: set[int] = field(default_factory=set[int])  # add-ons that have filled
    resting: int = 0
    away: Fraction = Fraction(0)  # percent, of the last order from the first
    last: Fraction = Fraction(0)  # its price as ordered
    added_at: int | None = None
    state: str = "normal"
    recovery_level: int = 0
    difficulties: tuple[str, ...] = ()
    calm_since: int | None = None
    trimmed_at: int | None = None
    best: Fraction | None = None  # since the trailing exit was armed
    realised: Fraction = Fraction(0)  # by trims

    @property
    def average(self) -> Fraction:
        return self.cost / self.coins

    @property
    def addons(self) -> int:
        return len(self.levels)


@dataclass
class Slot:
    pair: str
    side: str
    group: Group | None = None
    closed_at: int | None = None
    blocked: tuple[Group | None, tuple[str, ...]] | None = None  # why the last signal was, and for which group
    refused_level: tuple[int, int] | None = None  # version and day of the last refusal of a level
    refused: tuple[int, int, tuple[str, ...]] | None = None  # version, day and reasons of the last refusal
    blocked_level: tuple[Group, int, tuple[str, ...]] | None = None

    @property
    def sign(self) -> int:
        return 1 if self.side == "long" else -1


class Oracle:
    """Takes candle times one after another; `result` tells what came of them."""

    def __init__(
        self,
        parameters: Parameters,
        markets: Mapping[str, LadderMarket],
        *,
        balance: Decimal,
        signals: Any = None,
    ) -> None:
        p = self.p = parameters
        self.markets = markets
        self.balance = exact(balance)
        self.slots = [Slot(pair, side) for pair in p.pairs for side in p.directions]
        self.sources = {(slot.pair, slot.side): source_of(p, slot.pair, signals) for slot in self.slots}
        self.total_limit = quote_of(p.margin_limit_total, self.balance)
        self.pair_limit = self.total_limit / p.max_groups
        if p.margin_limit_pair is not None:
            self.pair_limit = quote_of(p.margin_limit_pair, self.balance)
        self.closes: dict[str, Fraction] = {}
        self.seen: dict[str, list[int]] = {pair: [] for pair in p.pairs}  # times of the candles of each pair
        self.realised = Fraction(0)
        self.losses: list[tuple[int, Fraction]] = []
        self.day: int | None = None
        self.day_balance = self.balance
        self.day_net = Fraction(0)
        self.streak = 0
        self.version = 0  # grows with each fill, exit, trim and return
        self.guard = "active"
        self.highest = self.balance
        self.deals: list[Deal] = []
        self.log: list[Entry] = []
        self.marks: list[Mark] = []
        self.peak_capital = self.peak_committed = Fraction(0)
        self.recovery_entries = 0
        self.near: set[int] = set()

    # -- money

    @property
    def leverage(self) -> int:
        return self.p.leverage if self.p.market == "futures" else 1

    @property
    def groups(self) -> list[Group]:
        return [slot.group for slot in self.slots if slot.group is not None]

    @property
    def equity(self) -> Fraction:
        """For rules: what was realised counts, what is open does not."""
        return self.balance + self.realised

    def capital(self, group: Group) -> Fraction:
        return group.cost / self.leverage + group.fees

    def used(self, group: Group) -> Fraction:
        return max(self.capital(group), group.reserve)

    @property
    def used_by_all(self) -> Fraction:
        return sum((self.used(group) for group in self.groups), Fraction(0))

    def rate(self, market: LadderMarket, order_type: str) -> Fraction:
        return exact(market.taker if order_type == "market" else market.maker)

    def fee_in_coins(self, market: LadderMarket, sign: int) -> bool:
        return market.fee_side == "base" and sign > 0

    def amount(self, market: LadderMarket, size: Fraction, price: Fraction) -> Fraction:
        """Coins of an order of this size: whole steps of contracts, rounded down."""
        notional = size * self.leverage if self.p.amount_basis == "margin" else size
        contracts = down(notional / (price * exact(market.contract_size)), exact(market.step_size))
        return contracts * exact(market.contract_size)

    def order_capital(self, market: LadderMarket, sign: int, price: Fraction, coins: Fraction, kind: str) -> Fraction:
        cost = price * coins
        fee = Fraction(0) if self.fee_in_coins(market, sign) else cost * self.rate(market, kind)
        return cost / self.leverage + fee

    def below_minimum(self, market: LadderMarket, price: Fraction, coins: Fraction) -> bool:
        contracts = coins / exact(market.contract_size)
        if contracts == 0:
            return True
        if market.min_amount is not None and contracts < exact(market.min_amount):
            return True
        return market.min_cost is not None and price * coins < exact(market.min_cost)

    # -- the ladder

    @property
    def reference(self) -> str:
        if self.p.custom_steps or self.p.addon_mode in ("zones", "strict"):
            return "base"
        return self.p.addon_step_reference

    def plan(self) -> tuple[list[Fraction], list[Fraction]]:
        """The gaps of the add-ons in percent, and the sizes of first order and add-ons, grown by what was won."""
        p = self.p
        grown = max(1 + exact(p.reinvest_pct) / 100 * self.realised / self.balance, Fraction(1))
        gaps: list[Fraction] = []
        sizes = [exact(p.first_entry_size)]
        if p.addon_mode != "off" and p.custom_steps:
            deviations = [Fraction(0), *(exact(step.deviation_pct) for step in p.custom_steps)]
            gaps = [deviations[k] - deviations[k - 1] for k in range(1, len(deviations))]
            sizes += [exact(step.size) for step in p.custom_steps]
        elif p.addon_mode != "off":
            first = exact(p.first_entry_size if p.addon_size is None else p.addon_size)
            for k in range(p.addon_max_count):
                gaps.append(exact(p.addon_step_pct) * exact(p.addon_step_multiplier) ** k)
                sizes.append(first * exact(p.addon_multiplier) ** k)
        return gaps, [size * grown for size in sizes]

    def required(self, market: LadderMarket, sign: int, first: Fraction) -> Fraction:
        """The capital of the whole ladder, every order filled at its own price."""
        gaps, sizes = self.plan()
        in_coins = self.fee_in_coins(market, sign)
        price = first
        cost = coins = fees = Fraction(0)
        for k, size in enumerate(sizes):
            if k:
                origin, away = first, sum(gaps[:k], Fraction(0))
                if self.reference == "previous" or (self.reference == "average" and not coins):
                    origin, away = price, gaps[k - 1]
                elif self.reference == "average":
                    origin, away = cost / coins, gaps[k - 1]
                price = self.entry_grid(market, sign, origin * (1 - sign * away / 100))
                if price <= 0:
                    break
            bought = self.amount(market, size, price)
            rate = self.rate(market, self.p.addon_order_type if k else self.p.entry_order_type)
            cost += price * bought
            coins += bought * (1 - rate) if in_coins else bought
            fees += 0 if in_coins else price * bought * rate
        return cost / self.leverage + fees

    def entry_grid(self, market: LadderMarket, sign: int, price: Fraction) -> Fraction:
        return (down if sign > 0 else up)(price, exact(market.tick_size))

    def exit_grid(self, group: Group, price: Fraction) -> Fraction | None:
        """None where no price above zero is left."""
        found = (up if group.sign > 0 else down)(price, exact(group.market.tick_size))
        return found if found > 0 else None

    def level_price(self, group: Group, k: int) -> Fraction | None:
        """The ladder price of add-on k, or None where there is none above zero. `k` counts from 1."""
        if self.reference == "base" and self.p.addon_mode != "ladder":
            price = group.first * (1 - group.sign * sum(group.gaps[:k], Fraction(0)) / 100)
            price = self.entry_grid(group.market, group.sign, price)
            return price if price > 0 else None
        wider = exact(self.p.recovery.step_factor) if group.state == "recovery" else 1
        away, price = group.away, group.last
        for gap in group.gaps[group.addons : k]:
            away += gap * wider
            if self.reference == "base":
                price = group.first * (1 - group.sign * away / 100)
            elif self.reference == "average":
                price = group.average * (1 - group.sign * gap * wider / 100)
            else:
                price = price * (1 - group.sign * gap * wider / 100)
            price = self.entry_grid(group.market, group.sign, price)
            if price <= 0:
                return None
        return price

    def level_size(self, group: Group, k: int) -> Fraction:
        if group.state == "recovery" and k > (group.recovery_level if self.p.addon_mode == "ladder" else 0):
            return group.sizes[k] * exact(self.p.recovery.size_factor)
        return group.sizes[k]

    # -- prices at which it ends

    def exit_rate(self, market: LadderMarket) -> Fraction:
        return self.rate(market, self.p.exit_order_type)

    def break_even(self, group: Group) -> Fraction:
        with_fees = (group.cost + group.sign * group.fees) / group.coins
        return with_fees / (1 - group.sign * self.exit_rate(group.market))

    def target_at(self, group: Group, percent: Fraction, basis: str) -> Fraction | None:
        origin = group.average if basis == "average_gross" else self.break_even(group)
        share = percent / 100 / (self.leverage if basis == "margin_net" else 1)
        return self.exit_grid(group, origin * (1 + group.sign * share))

    def target(self, group: Group) -> Fraction | None:
        """None as well where trailing takes its place."""
        if group.state == "recovery":
            return self.target_at(group, exact(self.p.recovery.take_profit_pct), "average_net")
        if self.p.trailing is not None:
            return None
        return self.target_at(group, exact(self.p.take_profit_pct), self.p.take_profit_basis)

    def activation(self, group: Group) -> Fraction | None:
        assert self.p.trailing is not None
        return self.target_at(group, exact(self.p.trailing.activation_pct), self.p.take_profit_basis)

    def stop(self, group: Group) -> Fraction | None:
        if self.p.stop_loss_pct is None:
            return None
        origin = group.first if self.p.stop_loss_basis == "base" else group.average
        return self.exit_grid(group, origin * (1 - group.sign * exact(self.p.stop_loss_pct) / 100))

    def liquidation(self, group: Group) -> Fraction | None:
        """Where what is left of the margin is just what must remain."""
        market, sign = group.market, group.sign
        if market.type != "linear_swap" or market.liquidation_model is None or not market.tiers:
            return None
        tier = market.tiers[0]
        for other in market.tiers[1:]:
            if group.cost >= exact(other.min_notional):
                tier = other
        mmr, cum, margin = exact(tier.mmr), exact(tier.cum), group.cost / self.leverage
        found: list[Fraction] = []
        if market.liquidation_model in ("mark_maintenance", "worse"):
            slope = sign - mmr - exact(market.liquidation_fee)
            if sign * slope > 0:
                found.append((sign * group.cost - margin - cum) / (group.coins * slope))
        if market.liquidation_model in ("entry_maintenance", "worse"):
            found.append((group.cost - sign * (margin - group.cost * mmr + cum)) / group.coins)
        if not found:
            return None
        nearest = max(found) if sign > 0 else min(found)
        return nearest if nearest > 0 else None

    # -- the log

    def note(self, t: int, slot: Slot | None, price: Fraction | None, outcome: str, **more: Any) -> Entry:
        pair, side = (None, None) if slot is None else (slot.pair, slot.side)
        entry = Entry(t, pair, side, price, outcome, **more)
        self.log.append(entry)
        return entry

    def note_blocked(
        self, t: int, slot: Slot, price: Fraction, reasons: tuple[str, ...], level: int | None = None
    ) -> None:
        """A signal. Blocked for the same reasons at the candle before, it is the same entry."""
        slot.refused = (self.version, t // DAY, reasons)
        if slot.blocked == (slot.group, reasons) and not self.once(slot):
            return
        slot.blocked = (slot.group, reasons)
        state = None if slot.group is None else slot.group.state
        self.note(t, slot, price, "blocked", reasons=reasons, state=state, level=level)

    def once(self, slot: Slot) -> bool:
        """Whether each signal of this slot acts once. What lasts is refused until a reason may have passed."""
        return isinstance(self.sources[slot.pair, slot.side], (Listed, EmaCross))

    def still_refused(self, slot: Slot, t: int) -> bool:
        if slot.refused is None or self.once(slot):
            return False
        version, day, reasons = slot.refused
        if version != self.version or day != t // DAY:
            return False
        if "session" in reasons and self.in_session(t):
            return False
        if "cooldown" not in reasons:
            return True
        if slot.group is not None:
            return t - slot.group.filled_at < self.p.addon_cooldown
        return slot.closed_at is not None and t - slot.closed_at < self.p.cooldown_after_close

    def note_blocked_level(
        self, t: int, slot: Slot, group: Group, k: int, price: Fraction, why: tuple[str, ...]
    ) -> None:
        if slot.blocked_level != (group, k, why):
            self.note(t, slot, price, "blocked", reasons=why, state=group.state, level=k)
        slot.blocked_level = (group, k, why)

    # -- one candle time

    def candle(self, t: int, candles: Mapping[str, Candle]) -> None:
        """All slots, in order, at this open time; pairs without a candle are left alone."""
        self.begin_day(t)
        self.look_at_limit(t)
        for pair in candles:
            self.seen[pair].append(t)
        for slot in self.slots:
            if slot.pair in candles:
                self.at_slot(slot, t, candles[slot.pair])
        for pair, candle in candles.items():
            self.closes[pair] = candle.close
            for slot in self.slots:
                if slot.pair == pair:
                    self.sources[slot.pair, slot.side].close(candle.close)
        self.mark(t)

    def begin_day(self, t: int) -> None:
        if self.day == t // DAY:
            return
        self.day = t // DAY
        self.day_balance = self.balance + self.realised
        self.day_net = Fraction(0)
        self.streak = 0
        if self.guard == "paused":
            self.guard = "active"
            self.note(t, None, None, "resumed")

    def at_slot(self, slot: Slot, t: int, candle: Candle) -> None:
        signal = self.sources[slot.pair, slot.side].acts(slot.side, t)
        if slot.group is not None and self.guard == "stopped":
            self.close(slot, slot.group, t, candle.open, "equity_stop")
            return
        if slot.group is not None:
            self.trim(slot, slot.group, t, candle)
        signal = signal and not self.still_refused(slot, t)
        if slot.group is None:
            if signal:
                self.entry(slot, t, candle)
        elif signal and self.p.addon_mode in ("zones", "strict") and slot.group.best is None:
            self.signal_addon(slot, slot.group, t, candle)
        if slot.group is not None and self.p.addon_mode == "ladder":
            self.ladder_addons(slot, slot.group, t, candle)
        if slot.group is not None:
            self.liquidation_and_stop(slot, slot.group, t, candle)
        if slot.group is not None:
            self.take_profit(slot, slot.group, t, candle)
        if slot.group is not None:
            self.judge(slot, slot.group, t, candle.close)

    # -- 2. trims

    def trim(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        """Sells a share at a loss, while what was lost in 30 days is below its allowance."""
        r = self.p.recovery
        if not r.enabled or not r.trim or group.state != "recovery":
            return
        lost = sum((loss for at, loss in self.losses if t - at < 30 * DAY), Fraction(0))
        if lost >= self.equity * exact(r.loss_allowance_pct) / 100:
            return
        since = group.filled_at if group.trimmed_at is None else group.trimmed_at
        if t - since < r.trim_every_h * HOUR:
            return
        market = group.market
        unit = exact(market.step_size) * exact(market.contract_size)
        sold = down(exact(r.trim_pct) / 100 * group.coins, unit)
        if self.below_minimum(market, candle.open, sold):
            return
        share = sold / group.coins
        cost, fees = group.cost * share, group.fees * share
        fee = sold * candle.open * exact(market.taker)
        profit = group.sign * (sold * candle.open - cost) - fees - fee
        group.coins -= sold
        group.cost -= cost
        group.fees -= fees
        group.trimmed_at = t
        group.realised += profit
        group.deal.fees += fee
        group.deal.trims.append(Trim(t, candle.open, sold, fee, profit))
        self.realise(t, profit)
        self.note(t, slot, candle.open, "trimmed", state=group.state)
        self.version += 1
        self.judge_guard(t)

    def realise(self, t: int, profit: Fraction) -> None:
        self.realised += profit
        self.day_net += profit
        if profit < 0:
            self.losses.append((t, -profit))

    # -- 3. entries

    def entry(self, slot: Slot, t: int, candle: Candle) -> None:
        """A first order at the open, if nothing speaks against it."""
        p, market, price = self.p, self.markets[slot.pair], candle.open
        gaps, sizes = self.plan()
        coins = self.amount(market, sizes[0], price)
        reserve = self.required(market, slot.sign, price) if p.reserve_mode == "full" else Fraction(0)
        size = self.order_capital(market, slot.sign, price, coins, p.entry_order_type)
        if p.reserve_mode == "full":
            size = reserve
        against = {
            "guard": self.guard != "active",
            "session": not self.in_session(t),
            "recovery_same_pair": any(
                other.pair == slot.pair and other.group is not None and other.group.state == "recovery"
                for other in self.slots
            ),
            "group_limit": len(self.groups) >= p.max_groups,
            "margin_limit": size > self.pair_limit or self.used_by_all + size > self.total_limit,
            "deposit_load": self.used_by_all + size > self.equity * exact(p.deposit_load_max) / 100,
            "cooldown": slot.closed_at is not None and t - slot.closed_at < p.cooldown_after_close,
            "below_minimum": self.below_minimum(market, price, coins),
        }
        reasons = tuple(one for one in (*OPENING, "below_minimum") if against.get(one))
        if reasons:
            self.note_blocked(t, slot, price, reasons)
            return
        deal = Deal(slot.pair, slot.side, t)
        self.deals.append(deal)
        slot.group = Group(deal, slot.sign, market, gaps, sizes, reserve, price, t, t, last=price)
        self.note(t, slot, price, "opened", state="normal", level=0)
        self.fill(slot, slot.group, t, 0, price, coins)

    def in_session(self, t: int) -> bool:
        if not self.p.session:
            return True
        day = "mon tue wed thu fri sat sun".split()[datetime.fromtimestamp(t, UTC).weekday()]
        second = t % DAY
        return any(
            day in window.days and seconds_of(window.start) <= second < seconds_of(window.end)
            for window in self.p.session
        )

    def fill(self, slot: Slot, group: Group, t: int, level: int, price: Fraction, coins: Fraction) -> None:
        """What was bought (or sold short) changes the group, and Recovery Mode is judged at its price."""
        kind = self.p.addon_order_type if level else self.p.entry_order_type
        cost, rate = price * coins, self.rate(group.market, kind)
        taken = coins * rate if self.fee_in_coins(group.market, group.sign) else Fraction(0)
        group.cost += cost
        group.coins += coins - taken
        if not self.fee_in_coins(group.market, group.sign):
            group.fees += cost * rate
        group.filled_at = t
        group.deal.fills.append(Fill(t, level, price, coins, cost, cost * rate, taken))
        group.deal.fees += cost * rate
        if level:
            group.levels.add(level)
            group.added_at = t
        self.peak_capital = max(self.peak_capital, sum((self.capital(one) for one in self.groups), Fraction(0)))
        self.peak_committed = max(self.peak_committed, self.used_by_all)
        self.look_at_limit(t)
        self.version += 1
        self.judge(slot, group, t, price)

    # -- 4. add-ons at a signal

    def signal_addon(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        price = candle.open
        if self.zone(group, price) is None and not self.once(slot):
            return
        if self.ends_at(group, price):
            self.note(t, slot, price, "waiting", state=group.state)
            return
        self.judge(slot, group, t, price, signal=True)
        zone = self.zone(group, price)
        unused = [k for k in range(1, len(group.gaps) + 1) if k not in group.levels]
        judged = zone if zone is not None else unused[0] if unused else len(group.gaps)
        coins = self.amount(group.market, self.level_size(group, judged), price) if judged else Fraction(0)
        reasons = self.against_addon(group, t, price, coins, in_zone=zone is not None, cooling=True)
        if not judged or zone is None:  # there is no order whose amount could be too small
            reasons = tuple(one for one in reasons if one != "below_minimum")
        if reasons or zone is None:
            self.note_blocked(t, slot, price, reasons, zone)
            return
        self.note(t, slot, price, "add_on", state=group.state, level=zone)
        slot.blocked = None
        self.fill(slot, group, t, zone, price, coins)

    def ends_at(self, group: Group, price: Fraction) -> bool:
        """Whether the group is liquidated, stopped or at its target at this price."""
        s, end, stop, target = group.sign, self.liquidation(group), self.stop(group), self.target(group)
        if end is not None and s * (price - end) <= 0:
            return True
        if stop is not None and s * (price - stop) <= 0:
            return True
        return target is not None and s * (price - target) >= 0

    def zone(self, group: Group, price: Fraction) -> int | None:
        """The lowest unused zone that holds the price."""
        distance = group.sign * (group.first - price) / group.first * 100
        for k in range(1, len(group.gaps) + 1):
            far = sum(group.gaps[:k], Fraction(0))
            near = far - exact(self.p.zone_width_pct)
            holds = far <= distance if self.p.addon_mode == "strict" else near <= distance <= far
            if holds and k not in group.levels:
                return k
        return None

    def against_addon(
        self,
        group: Group,
        t: int,
        price: Fraction,
        coins: Fraction,
        *,
        in_zone: bool,
        cooling: bool,
        filled: Fraction | None = None,
    ) -> tuple[str, ...]:
        """Everything that speaks against an add-on at this price, in the order of `REASONS`."""
        p, r, recovering = self.p, self.p.recovery, group.state == "recovery"
        size = self.order_capital(group.market, group.sign, price, coins, p.addon_order_type)
        spare = self.used(group) - self.capital(group)  # what was reserved for it at the opening
        limit = self.pair_limit * exact(r.margin_cap_pct) / 100 if recovering else self.pair_limit
        improves = group.sign * (group.average - (price if filled is None else filled)) > 0
        against = {
            "addon_limit": group.addons >= p.addons or (recovering and r.addons == "none"),
            "outside_zone": not in_zone,
            "worsens_average": (p.require_avg_improvement or recovering) and not improves,
            "margin_limit": self.capital(group) + size > limit or self.used_by_all - spare + size > self.total_limit,
            "deposit_load": self.used_by_all - spare + size > self.equity * exact(p.deposit_load_max) / 100,
            "cooldown": cooling and t - group.filled_at < p.addon_cooldown,
            "below_minimum": self.below_minimum(group.market, price, coins),
        }
        return tuple(one for one in REASONS if against.get(one))

    # -- 5. add-ons of the ladder

    def ladder_addons(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        """Shallow first, as many as the candle touches and as may rest."""
        p = self.p
        if t - group.filled_at >= p.addon_cooldown:
            group.resting = p.addon_resting
        while group.addons < p.addons and group.best is None:
            k = group.addons + 1
            if p.addon_cooldown > 0 and group.resting == 0:
                return
            price = self.level_price(group, k)
            low = candle.low if group.sign > 0 else candle.high
            if price is None or group.sign * (low - price) > 0:
                return
            if slot.refused_level == (self.version, t // DAY):
                return
            coins = self.amount(group.market, self.level_size(group, k), price)
            at = min(candle.open, price) if group.sign > 0 else max(candle.open, price)
            reasons = self.against_addon(group, t, price, coins, in_zone=True, cooling=False, filled=at)
            if reasons:
                slot.refused_level = (self.version, t // DAY)
                self.note_blocked_level(t, slot, group, k, price, reasons)
                return
            wider = exact(p.recovery.step_factor) if group.state == "recovery" else 1
            group.away, group.last = group.away + group.gaps[k - 1] * wider, price
            self.note(t, slot, at, "add_on", state=group.state, level=k)
            if p.addon_cooldown > 0:
                group.resting -= 1
            self.fill(slot, group, t, k, at, coins)

    # -- 6. liquidation and stop

    def liquidation_and_stop(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        s, end, stop = group.sign, self.liquidation(group), self.stop(group)
        if group.best is not None and (end is None or s * (candle.open - end) > 0):
            self.trailing_exit(slot, group, t, candle)  # who falls from above comes to the trailing price first
            if slot.group is None:
                return
        low = candle.low if s > 0 else candle.high
        if end is not None and s * (low - end) <= 0:
            stopped_before = stop is not None and s * (stop - end) > 0 and s * (candle.open - end) > 0
            if not stopped_before:
                self.close(slot, group, t, end, "liquidation")
                return
        if stop is not None and s * (low - stop) <= 0:
            at = min(candle.open, stop) if s > 0 else max(candle.open, stop)
            self.close(slot, group, t, at, "stop")

    # -- 7. target and trailing

    def take_profit(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        s = group.sign
        high = candle.high if s > 0 else candle.low
        added = group.added_at == t
        trailing = self.p.trailing
        if group.state == "recovery" or trailing is None:
            target = self.target(group)
            if target is not None and s * (high - target) >= 0 and (not added or s * (candle.close - target) >= 0):
                at = max(candle.open, target) if s > 0 else min(candle.open, target)
                self.close(slot, group, t, target if added else at, "take_profit")
            return
        if group.best is None:
            begin = self.activation(group)
            if begin is not None and s * (high - begin) >= 0 and (not added or s * (candle.close - begin) >= 0):
                group.best = high
            return
        group.best = max(group.best, high) if s > 0 else min(group.best, high)

    def trailing_exit(self, slot: Slot, group: Group, t: int, candle: Candle) -> None:
        s, trailing = group.sign, self.p.trailing
        assert trailing is not None
        assert group.best is not None
        behind = self.exit_grid(group, group.best * (1 - s * exact(trailing.delta_pct) / 100))
        low = candle.low if s > 0 else candle.high
        if behind is not None and s * (low - behind) <= 0:
            at = min(candle.open, behind) if s > 0 else max(candle.open, behind)
            self.close(slot, group, t, at, "take_profit", order_type="market")

    # -- closing

    def close(
        self, slot: Slot, group: Group, t: int, price: Fraction, how: str, *, order_type: str | None = None
    ) -> None:
        """What is sold, what it brings, and what that means for the guard."""
        market, deal = group.market, group.deal
        if how == "liquidation":
            profit, fee = -group.cost / self.leverage - group.fees, Fraction(0)
        else:
            unit = exact(market.step_size) * exact(market.contract_size)
            sold = down(group.coins, unit)  # less only where fees are taken in coins
            kind = order_type or (self.p.exit_order_type if how == "take_profit" else "market")
            fee = sold * price * self.rate(market, kind)
            profit = group.sign * (sold * price - group.cost) - group.fees - fee
        deal.closed_at, deal.exit, deal.exit_price = t, how, price
        deal.fees += fee
        deal.profit = group.realised + profit
        slot.group, slot.closed_at, slot.blocked, slot.refused = None, t, None, None
        self.realise(t, profit)
        self.streak = self.streak + 1 if deal.profit < 0 else 0
        self.version += 1
        self.note(t, slot, price, "closed", state="closed", difficulties=group.difficulties, exit=how)
        self.judge_guard(t)

    def judge_guard(self, t: int) -> None:
        """Paused by the losses of the day or a streak of them. Who stopped stays stopped."""
        if self.guard != "active":
            return
        day, streak = self.p.max_daily_loss_pct, self.p.max_loss_streak
        paused = day is not None and -self.day_net >= exact(day) / 100 * self.day_balance
        if paused or (streak is not None and self.streak >= streak):
            self.guard = "paused"
            self.note(t, None, None, "paused")

    # -- 8. Recovery Mode

    def difficulties(self, group: Group, t: int, price: Fraction, signal: bool) -> tuple[str, ...]:
        """Everything that speaks for Recovery Mode; what is soft only for a group with an add-on."""
        r = self.p.recovery
        found: list[str] = []
        adverse = group.sign * (group.average - price) / group.average * 100
        if adverse >= exact(r.drawdown_pct):
            found.append("drawdown")
        if self.p.addons and group.addons >= max(1, self.p.addons - r.addons_left):
            found.append("addon_limit_near")
        if self.capital(group) * 100 >= self.pair_limit * exact(r.margin_used_pct):
            found.append("margin_used")
        if signal and r.on_worsening_signal and group.addons and group.sign * (price - group.average) >= 0:
            found.append("signal_worsens")
        if r.cautious and adverse >= exact(r.cautious_drawdown_pct):
            found.append("user_cautious")
        if r.max_group_age_h is not None and t - group.opened_at >= r.max_group_age_h * HOUR:
            found.append("group_age")
        end = self.liquidation(group)
        if r.liq_distance_pct is not None and end is not None:
            away = group.sign * (price - end) / price * 100
            if away <= exact(r.liq_distance_pct):
                found.append("liquidation_near")
        return tuple(found)

    def judge(self, slot: Slot, group: Group, t: int, price: Fraction, *, signal: bool = False) -> None:
        r = self.p.recovery
        if not r.enabled:
            return
        found = self.difficulties(group, t, price, signal)
        deal = group.deal
        known = deal.difficulties
        deal.difficulties += tuple(one for one in found if one not in deal.difficulties)
        if group.state == "normal":
            if not found:
                return
            group.state, group.recovery_level = "recovery", group.addons
            group.difficulties, group.calm_since, group.best = found, None, None
            if deal.recovery_at is None:
                deal.recovery_at = t
            self.recovery_entries += 1
            slot.refused = slot.refused_level = None
            self.note(t, slot, price, "recovery", state="recovery", difficulties=found)
            return
        group.difficulties += tuple(one for one in found if one not in group.difficulties)
        if r.return_mode != "auto":
            return
        adverse = group.sign * (group.average - price) / group.average * 100
        if any(one not in SOFT for one in found) or adverse >= exact(r.drawdown_pct) / 2:
            group.calm_since = None
            return
        if group.calm_since is None:
            group.calm_since = t
        if t - group.calm_since >= CALM:
            group.state, group.difficulties, group.calm_since = "normal", (), None
            deal.difficulties = known  # a lone signal that came with the return is no trouble
            self.note(t, slot, price, "returned", state="normal")
            self.version += 1

    # -- 9. the mark

    def mark(self, t: int) -> None:
        equity = self.balance + self.realised
        for slot in self.slots:
            if slot.group is not None:
                group = slot.group
                equity += group.sign * (group.coins * self.closes[slot.pair] - group.cost) - group.fees
        self.marks.append(Mark(t, equity, sum((self.capital(group) for group in self.groups), Fraction(0))))
        self.look_at_limit(t)
        self.highest = max(self.highest, equity)
        red = self.p.recovery.red_drawdown_pct
        if red is not None and self.guard != "stopped" and equity <= self.highest * (1 - exact(red) / 100):
            self.guard = "stopped"
            self.note(t, None, None, "stopped")

    def look_at_limit(self, t: int) -> None:
        if sum((self.capital(group) for group in self.groups), Fraction(0)) > self.total_limit * Fraction(8, 10):
            self.near.add(t // DAY)

    # -- the end

    def result(self) -> OracleReplay:
        end = self.marks[-1].t if self.marks else 0
        highest = self.balance
        dip_quote = dip_pct = Fraction(0)
        for mark in self.marks:
            highest = max(highest, mark.equity)
            dip_quote = max(dip_quote, highest - mark.equity)
            dip_pct = max(dip_pct, (highest - mark.equity) / highest * 100)
        fills: dict[int, int] = {}
        for deal in self.deals:
            for fill in deal.fills:
                fills[fill.level] = fills.get(fill.level, 0) + 1
        lasted = [(end if deal.closed_at is None else deal.closed_at) - deal.opened_at for deal in self.deals]
        summary = Summary(
            deals=len(self.deals),
            open_deals=sum(deal.closed_at is None for deal in self.deals),
            profit=self.realised,
            fees=sum((deal.fees for deal in self.deals), Fraction(0)),
            equity=self.marks[-1].equity if self.marks else self.balance,
            fills=fills,
            longest_s=max(lasted, default=0),
            peak_capital=self.peak_capital,
            peak_committed=self.peak_committed,
            dip_quote=dip_quote,
            dip_pct=dip_pct,
            days_near_limit=len(self.near),
            recovery_entries=self.recovery_entries,
            liquidations=sum(deal.exit == "liquidation" for deal in self.deals),
        )
        return OracleReplay(self.deals, self.log, summary, self.marks)


def seconds_of(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * HOUR + int(minutes) * 60


def slow_replay(
    parameters: Parameters,
    markets: Mapping[str, LadderMarket],
    candles: Mapping[str, Any],
    *,
    balance: Decimal,
    signals: Any = None,
) -> OracleReplay:
    """Replays a strategy on candles: pair -> rows (time in seconds, open, high, low, close, volume).

    `signals`: None (the strategy's start condition), ("always",), ("rsi", period, below), ("ema", fast, slow), or rows
    (time in seconds, pair, side).
    """
    rows = {pair: {int(row[0]): row for row in rows_of(candles.get(pair, ()))} for pair in parameters.pairs}
    oracle = Oracle(parameters, markets, balance=balance, signals=signals)
    for t in sorted({t for of_pair in rows.values() for t in of_pair}):
        now = {pair: of_pair[t] for pair, of_pair in rows.items() if t in of_pair}
        oracle.candle(t, {pair: candle_of(row, exact(markets[pair].tick_size)) for pair, row in now.items()})
    return oracle.result()
