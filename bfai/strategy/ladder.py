"""The arithmetic of a DCA ladder: a first order, its add-ons, one average price and one exit.

`build(market, plan)` gives every level as the exchange would fill it: the price on the tick grid, the amount on the
step grid, fees, average, break-even, target, stop, margin and the estimated liquidation price after that fill.

    market = LadderMarket(type="spot", tick_size=Decimal("0.1"), step_size=Decimal("0.00001"), maker=Decimal("0.001"),
                          taker=Decimal("0.001"))
    plan = LadderPlan(side="long", entry_price=Decimal(60000), base_order_quote=Decimal(100),
                      safety_order_quote=Decimal(100), step_pct=Decimal(1), max_safety_orders=6,
                      take_profit_pct=Decimal(1))
    build(market, plan).summary.required_capital_quote

Money, prices and amounts are `Decimal`. Names ending in `_pct` are percent, in `_quote` the quote currency, in `_base`
coins; fee and maintenance rates are fractions (0.001 is 0.1 %). Nothing is rounded but prices and amounts, which lie on
the exchange's grid; only `Ladder.as_json` rounds for output, to 8 decimals, half to even.

Liquidation prices are estimates: the exchange's mark price, funding and risk limits decide. Only isolated margin is
worked out.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from bfai.i18n import N_
from bfai.model import BfaiError, Message

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - only for the name of its DataFrame

MarketType: TypeAlias = Literal["spot", "linear_swap"]
Side: TypeAlias = Literal["long", "short"]
OrderType: TypeAlias = Literal["market", "limit"]
FeeSide: TypeAlias = Literal["quote", "base"]
StepReference: TypeAlias = Literal["base", "previous", "average"]
AmountBasis: TypeAlias = Literal["notional", "margin"]
TakeProfitBasis: TypeAlias = Literal["average_net", "average_gross", "margin_net"]
StopLossBasis: TypeAlias = Literal["average", "base"]
LiquidationModel: TypeAlias = Literal["mark_maintenance", "entry_maintenance", "worse"]
ViolationCode: TypeAlias = Literal[
    "duplicate_price",
    "price_not_positive",
    "below_min_amount",
    "above_max_amount",
    "below_min_cost",
    "above_max_cost",
    "margin_limit_exceeded",
    "liquidated_before_level",
    "stop_inside_ladder",
    "tp_not_above_fees",
]

MOST_LEVELS: Final = 500
LARGEST_SCALE: Final = Decimal(100)

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_HUNDRED: Final = Decimal(100)
_MAGNITUDE: Final = 30  # powers of ten on either side of 1: no price, amount or sum of money lies beyond
_LARGEST_RATE: Final = Decimal("0.5")

# 60 digits hold every product of a usual price, amount and rate exactly, so that a price which lies on the grid is
# found there; fewer digits are not faster. The exponent is free because a steep ladder of hundreds of levels needs it.
CONTEXT: Final = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[InvalidOperation, DivisionByZero, Overflow])


class LadderError(BfaiError, ValueError):
    """A market or a plan that means nothing: a tick below zero, a price that is no number, an unknown word."""


# What goes in


@dataclass(frozen=True, slots=True)
class Tier:
    """One maintenance tier: from this notional on, the rate `mmr` holds and `cum` (quote) is taken off.

    `cum` is the maintenance amount that Binance publishes beside each bracket; exchanges without one have zero.
    """

    min_notional: Decimal
    mmr: Decimal
    cum: Decimal = _ZERO

    def __post_init__(self) -> None:
        _check("tiers.min_notional", self.min_notional, zero=True)
        _check("tiers.mmr", self.mmr, zero=True)
        _check("tiers.cum", self.cum, negative=True)


@dataclass(frozen=True, slots=True)
class LadderMarket:
    """An exchange's rules for one market, as the exchange publishes them.

    On swaps amounts (`step_size`, `min_amount`, `max_amount`) are contracts of `contract_size` coins. A limit that is
    None is unknown or does not exist, and is not checked. A negative fee is a rebate. `fee_side` "base": the fee of a
    purchase is taken in coins. `liquidation_model` None, or no `tiers`: no liquidation figure is given; "worse" takes
    the nearer of the two models where it is uncertain which one an exchange uses. Raises LadderError for nonsense.
    """

    type: MarketType
    tick_size: Decimal
    step_size: Decimal
    maker: Decimal
    taker: Decimal
    contract_size: Decimal = _ONE
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    fee_side: FeeSide = "quote"
    liquidation_model: LiquidationModel | None = None
    liquidation_fee: Decimal = _ZERO
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        _choice("type", self.type, get_args(MarketType))
        _choice("fee_side", self.fee_side, get_args(FeeSide))
        if self.liquidation_model is not None:
            _choice("liquidation_model", self.liquidation_model, get_args(LiquidationModel))
        for name in ("tick_size", "step_size", "contract_size"):
            _check(name, getattr(self, name))
        for name in ("min_amount", "max_amount", "min_cost", "max_cost"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), zero=True)
        for name in ("maker", "taker", "liquidation_fee"):
            _check(name, getattr(self, name), negative=True, within=_LARGEST_RATE)
        floors = [tier.min_notional for tier in self.tiers]
        if any(one >= other for one, other in pairwise(floors)):
            raise LadderError(Message(text=N_("The maintenance tiers must rise from one to the next.")))

    @property
    def tells_liquidation(self) -> bool:
        """Whether a liquidation price can be worked out here."""
        return self.type == "linear_swap" and self.liquidation_model is not None and bool(self.tiers)


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """The six numbers of a ladder and its exits.

    `step_pct` is the first gap, every next one is `step_scale` times as wide; `safety_order_quote` is the first add-on,
    every next one is `volume_scale` times as large. `step_reference` tells from where a gap is measured: exchanges
    differ (KuCoin: the previous order; Bybit: the average; OKX and 3Commas: the first order). Sizes are quote currency:
    notional, or margin with `amount_basis` "margin" on swaps. `custom_steps`, pairs of (percent from the first order,
    size), take the place of all step and scale fields and of the count. `stop_loss_pct` and `margin_limit_quote` None:
    there is none. `leverage` counts on swaps only. Raises LadderError for nonsense.
    """

    side: Side
    entry_price: Decimal
    base_order_quote: Decimal
    safety_order_quote: Decimal = _ZERO
    volume_scale: Decimal = _ONE
    step_pct: Decimal = _ONE
    step_scale: Decimal = _ONE
    step_reference: StepReference = "base"
    max_safety_orders: int = 0
    take_profit_pct: Decimal = _ONE
    take_profit_basis: TakeProfitBasis = "average_net"
    stop_loss_pct: Decimal | None = None
    stop_loss_basis: StopLossBasis = "average"
    base_order_type: OrderType = "market"
    safety_order_type: OrderType = "limit"
    exit_order_type: OrderType = "limit"
    amount_basis: AmountBasis = "notional"
    leverage: Decimal = _ONE
    margin_limit_quote: Decimal | None = None
    custom_steps: tuple[tuple[Decimal, Decimal], ...] | None = None

    def __post_init__(self) -> None:
        for name, words in _PLAN_WORDS.items():
            _choice(name, getattr(self, name), words)
        for name in ("entry_price", "volume_scale", "step_scale", "leverage"):
            _check(name, getattr(self, name))
        for name in ("base_order_quote", "safety_order_quote", "step_pct", "take_profit_pct"):
            _check(name, getattr(self, name), zero=True)
        for name in ("volume_scale", "step_scale"):
            _check(name, getattr(self, name), within=LARGEST_SCALE)
        for name in ("stop_loss_pct", "margin_limit_quote"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name))
        if self.leverage < 1:
            raise LadderError(Message(text=N_("{field} must be at least {least}."), params=_field("leverage", least=1)))
        steps = self.custom_steps or ()
        for deviation, size in steps:
            _check("custom_steps", deviation)
            _check("custom_steps", size, zero=True)
        if any(one[0] > other[0] for one, other in pairwise(steps)):
            raise LadderError(Message(text=N_("Each custom step must lie further from the first order than the last.")))
        if not 0 <= self.max_safety_orders <= MOST_LEVELS or len(steps) > MOST_LEVELS:
            text = N_("A ladder has from 0 to {most} add-ons.")
            raise LadderError(Message(text=text, params={"most": MOST_LEVELS}))


_PLAN_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "side": get_args(Side),
    "step_reference": get_args(StepReference),
    "take_profit_basis": get_args(TakeProfitBasis),
    "stop_loss_basis": get_args(StopLossBasis),
    "base_order_type": get_args(OrderType),
    "safety_order_type": get_args(OrderType),
    "exit_order_type": get_args(OrderType),
    "amount_basis": get_args(AmountBasis),
}


def _field(name: str, **params: str | int | float) -> dict[str, str | int | float]:
    return {"field": name, **params}


def _choice(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        text = N_("{field} must be one of: {words}.")
        raise LadderError(Message(text=text, params=_field(name, words=", ".join(words))))


def _check(
    name: str, value: object, *, zero: bool = False, negative: bool = False, within: Decimal | None = None
) -> None:
    """Refuse what is no sensible number: `zero` and `negative` tell what is allowed, `within` the largest size."""
    if not isinstance(value, Decimal) or not value.is_finite():
        raise LadderError(Message(text=N_("{field} must be a number."), params=_field(name)))
    if not negative and (value < 0 or (value == 0 and not zero)):
        text = N_("{field} must not be below zero.") if zero else N_("{field} must be more than zero.")
        raise LadderError(Message(text=text, params=_field(name)))
    if (within is not None and abs(value) > within) or (value and abs(value.adjusted()) > _MAGNITUDE):
        raise LadderError(Message(text=N_("{field} is out of all proportion."), params=_field(name)))


# What comes out


@dataclass(frozen=True, slots=True)
class Level:
    """One row: an order, and the whole position after it has filled.

    A level that cannot be reached (its price would be zero or less) has `reachable` false, no price and no figures
    after it. A figure is also None where it does not apply (no stop, no margin limit, no liquidation figures on this
    market), where nothing is held, and where the price that it stands for would be zero or less (a position that cannot
    be liquidated). Figures at a price are taken at this level's price.
    """

    level: int
    kind: Literal["base", "safety"]
    step_pct: Decimal
    cumulative_step_pct: Decimal
    order_quote_target: Decimal
    price: Decimal | None = None
    reachable: bool = False
    effective_deviation_pct: Decimal | None = None
    contracts: Decimal | None = None
    amount_base: Decimal | None = None
    cost_quote: Decimal | None = None
    fee_quote: Decimal | None = None
    fee_base: Decimal | None = None
    total_amount_base: Decimal | None = None
    sellable_amount_base: Decimal | None = None
    total_cost_quote: Decimal | None = None
    total_fee_quote: Decimal | None = None
    average_price: Decimal | None = None
    average_price_with_fees: Decimal | None = None
    break_even_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    rebound_to_break_even_pct: Decimal | None = None
    rebound_to_take_profit_pct: Decimal | None = None
    profit_at_take_profit_quote: Decimal | None = None
    unrealized_pnl_quote: Decimal | None = None
    margin_quote: Decimal | None = None
    capital_used_quote: Decimal | None = None
    margin_limit_use_pct: Decimal | None = None
    stop_loss_price: Decimal | None = None
    loss_at_stop_quote: Decimal | None = None
    maintenance_margin_rate: Decimal | None = None
    maintenance_cum: Decimal | None = None
    liquidation_price: Decimal | None = None
    distance_to_liquidation_pct: Decimal | None = None
    margin_ratio_pct: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that the ladder breaks, and the level that breaks it. Rows are worked out as if it were accepted."""

    code: ViolationCode
    level: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The ladder after its last reachable fill. Prices are None where nothing is held."""

    orders: int
    max_deviation_covered_pct: Decimal
    total_cost_quote: Decimal
    total_fee_quote: Decimal
    required_capital_quote: Decimal
    average_price: Decimal | None
    break_even_price: Decimal | None
    take_profit_price: Decimal | None
    liquidation_price: Decimal | None
    valid: bool


_ALWAYS: Final = (
    "price",
    "effective_deviation_pct",
    "contracts",
    "amount_base",
    "cost_quote",
    "fee_quote",
    "fee_base",
    "total_amount_base",
    "sellable_amount_base",
    "total_cost_quote",
    "total_fee_quote",
    "average_price",
    "average_price_with_fees",
    "break_even_price",
    "take_profit_price",
    "rebound_to_break_even_pct",
    "rebound_to_take_profit_pct",
    "profit_at_take_profit_quote",
    "unrealized_pnl_quote",
    "margin_quote",
    "capital_used_quote",
)
_WITH_LIMIT: Final = ("margin_limit_use_pct",)
_WITH_STOP: Final = ("stop_loss_price", "loss_at_stop_quote")
_WITH_LIQUIDATION: Final = (
    "maintenance_margin_rate",
    "maintenance_cum",
    "liquidation_price",
    "distance_to_liquidation_pct",
    "margin_ratio_pct",
)
# On the exchange's grid, or as the exchange gave it: written as it is, with no zeros behind.
_AS_IT_IS: Final = frozenset(
    """
    price contracts amount_base total_amount_base sellable_amount_base take_profit_price stop_loss_price
    maintenance_margin_rate maintenance_cum
    """.split()
)


def _written(name: str, value: Decimal | None) -> str | None:
    if value is None:
        return None
    return format(value.normalize(), "f") if name in _AS_IT_IS else format(value, "z.8f")


def _row(level: Level, figures: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"level": level.level, "kind": level.kind}
    for name in ("step_pct", "cumulative_step_pct", "order_quote_target", "price"):
        row[name] = _written(name, getattr(level, name))
    row["reachable"] = level.reachable
    if level.reachable:
        row |= {name: _written(name, getattr(level, name)) for name in figures if name != "price"}
    return row


@dataclass(frozen=True, slots=True)
class Ladder:
    """A market, a plan, and what they come to."""

    market: LadderMarket
    plan: LadderPlan
    levels: tuple[Level, ...]
    violations: tuple[Violation, ...]
    summary: Summary

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of the figures that this market and plan have, in the order of a table."""
        return (
            *_ALWAYS,
            *(_WITH_LIMIT if self.plan.margin_limit_quote is not None else ()),
            *(_WITH_STOP if self.plan.stop_loss_pct is not None else ()),
            *(_WITH_LIQUIDATION if self.market.tells_liquidation else ()),
        )

    def as_json(self) -> dict[str, Any]:
        """`{"rows", "violations", "summary"}` with decimal strings, ready for `json.dumps`.

        Prices, amounts and maintenance figures are written as they are, everything else with 8 decimals, rounded half
        to even. A row holds only the figures that this market and plan have; one that cannot be reached ends after
        `reachable`.
        """
        summary: dict[str, Any] = {"orders": self.summary.orders}
        names = ["max_deviation_covered_pct", "total_cost_quote", "total_fee_quote", "required_capital_quote"]
        names += ["average_price", "break_even_price", "take_profit_price"]
        if self.market.tells_liquidation:
            names.append("liquidation_price")
        with localcontext(CONTEXT):
            figures = self.figures
            rows = [_row(level, figures) for level in self.levels]
            summary |= {name: _written(name, getattr(self.summary, name)) for name in names}
        return {
            "rows": rows,
            "violations": [{"code": broken.code, "level": broken.level} for broken in self.violations],
            "summary": {**summary, "valid": self.summary.valid},
        }

    def frame(self) -> pd.DataFrame:
        """One row a level, for charts and notebooks: `level` (index), `kind` (text), `reachable` (bool), figures.

        Figures are floats, NaN where there is none; the exact ones are in `levels`.
        """
        pandas: Any = importlib.import_module("pandas")  # here, because it takes a third of a second
        columns: dict[str, Any] = {
            "kind": [level.kind for level in self.levels],
            "reachable": [level.reachable for level in self.levels],
        }
        for name in ("step_pct", "cumulative_step_pct", "order_quote_target", *self.figures):
            values: list[Decimal | None] = [getattr(level, name) for level in self.levels]
            columns[name] = [float("nan") if value is None else float(value) for value in values]
        return cast("pd.DataFrame", pandas.DataFrame(columns, index=pandas.RangeIndex(len(self.levels), name="level")))


# The grid


def _whole(numerator: Decimal, unit: Decimal) -> Decimal:
    """How many whole units fit. Exact, as no quotient is rounded before it is cut off."""
    try:
        return numerator // unit
    except InvalidOperation:  # more than 60 digits in front of the point: there is nothing to cut off
        return (numerator / unit).to_integral_value()


def _on_grid(numerator: Decimal, denominator: Decimal, tick: Decimal, *, up: bool) -> Decimal | None:
    """The fraction put on the tick grid, or None where that is zero or less.

    A fraction, because a price such as 1659.36 ÷ 0.028 × 0.98 lies on the grid although its average does not end.
    """
    if numerator <= 0:
        return None
    unit = denominator * tick
    count = _whole(numerator, unit)
    if up and count * unit != numerator:
        count += 1
    return count * tick if count else None


# Liquidation


def _tier(market: LadderMarket, cost: Decimal) -> Tier:
    """By the entry cost of the whole position, as exchanges do; below the first tier, the first."""
    found = market.tiers[0]
    for tier in market.tiers[1:]:
        if cost < tier.min_notional:
            break
        found = tier
    return found


def _liquidation(
    market: LadderMarket, sign: int, cost: Decimal, amount: Decimal, margin: Decimal, tier: Tier
) -> Decimal | None:
    found: list[Decimal] = []
    if market.liquidation_model != "entry_maintenance":
        share = sign - tier.mmr - market.liquidation_fee
        if share * sign > 0:
            found.append((sign * cost - margin - tier.cum) / (amount * share))
    if market.liquidation_model != "mark_maintenance":
        found.append((cost - sign * (margin - cost * tier.mmr + tier.cum)) / amount)
    if not found:
        return None
    nearest = max(found) if sign > 0 else min(found)
    return nearest if nearest > 0 else None


def _maintenance(market: LadderMarket, cost: Decimal, notional: Decimal, tier: Tier) -> Decimal:
    """Quote currency that must remain. `notional` is the position at the price that is looked at."""
    if market.liquidation_model == "entry_maintenance":
        return cost * tier.mmr - tier.cum
    at_mark = notional * (tier.mmr + market.liquidation_fee) - tier.cum
    return at_mark if market.liquidation_model == "mark_maintenance" else max(at_mark, cost * tier.mmr - tier.cum)


def liquidation(
    market: LadderMarket, side: Side, *, cost_quote: Decimal, amount_base: Decimal, leverage: Decimal
) -> Decimal | None:
    """The price at which an isolated position is estimated to be liquidated. Fees and funding are not taken off.

    Two families. Maintenance at the mark price: margin + profit = amount × price × (rate + liquidation fee) − cum
    (Binance; KuCoin since its announcement of 20 May 2025; OKX, Gate and Bitget with the taker fee as liquidation fee).
    Maintenance at entry: margin + profit = cost × rate − cum (Bybit; MEXC's and KuCoin's earlier help pages). The tier
    is the one of the entry cost, not of the margin. None on spot, where the market's model or tiers are unknown, where
    nothing is held and where no price above zero liquidates.
    """
    if not market.tells_liquidation or amount_base <= 0:
        return None
    with localcontext(CONTEXT):
        tier, margin = _tier(market, cost_quote), cost_quote / leverage
        return _liquidation(market, _sign(side), cost_quote, amount_base, margin, tier)


def _sign(side: Side) -> int:
    return 1 if side == "long" else -1


# The ladder


class PlannedOrder(NamedTuple):
    """An order as planned: the gap before it in percent, and its size as entered."""

    gap: Decimal
    size: Decimal


def planned(plan: LadderPlan) -> list[PlannedOrder]:
    """The first order and its add-ons, as planned."""
    orders = [PlannedOrder(_ZERO, plan.base_order_quote)]
    if plan.custom_steps is not None:
        before = _ZERO
        for deviation, size in plan.custom_steps:
            orders.append(PlannedOrder(deviation - before, size))
            before = deviation
        return orders
    gap, size = plan.step_pct, plan.safety_order_quote
    for _ in range(plan.max_safety_orders):
        orders.append(PlannedOrder(gap, size))
        gap, size = gap * plan.step_scale, size * plan.volume_scale
    return orders


def build(market: LadderMarket, plan: LadderPlan) -> Ladder:
    """Work out the whole ladder.

    Never refuses a plan: what an exchange would refuse, or what makes no sense as a strategy, is among `violations`,
    and the rows are worked out as if it were accepted.

    Rounding: entries long down, short up to the tick (never more aggressive than asked); exits and stops the other way;
    amounts down to the step. Fees: market orders pay taker, limit orders maker. Where the fee of a purchase is taken in
    coins, the amount held is smaller and the order has no fee in quote currency. On spot the margin is the cost.
    """
    with localcontext(CONTEXT):
        return _build(market, plan, planned(plan))


def after_recovery(
    ladder: Ladder, level: int, *, step_factor: Decimal, size_factor: Decimal, take_profit_pct: Decimal
) -> Ladder:
    """The second ladder: what remains when Recovery Mode begins after add-on number `level` has filled.

    Levels up to `level` are the filled ones. The gaps that remain are multiplied by `step_factor`, the sizes by
    `size_factor`, and the target becomes `take_profit_pct` from the average, net of fees (0 is break-even). Rules that
    only filled levels break are not among its violations. The ladder that it gives keeps the fields of the plan that
    describe the first one, but for the target. LadderError where `level` is none that can be filled.
    """
    _check("step_factor", step_factor, zero=True)
    _check("size_factor", size_factor, zero=True)
    _position(ladder, level)
    plan = replace(ladder.plan, take_profit_pct=take_profit_pct, take_profit_basis="average_net")
    with localcontext(CONTEXT):
        orders = [
            order if number <= level else PlannedOrder(order.gap * step_factor, order.size * size_factor)
            for number, order in enumerate(planned(plan))
        ]
        found = _build(ladder.market, plan, orders)
    still = tuple(
        broken
        for broken in found.violations
        if broken.level > level and not (broken.code == "tp_not_above_fees" and not take_profit_pct)
    )
    return replace(found, violations=still, summary=replace(found.summary, valid=not still))


def _build(market: LadderMarket, plan: LadderPlan, orders: Sequence[PlannedOrder]) -> Ladder:
    sign, tick = _sign(plan.side), market.tick_size
    swap = market.type == "linear_swap"
    leverage = plan.leverage if swap else _ONE
    multiple = leverage if plan.amount_basis == "margin" else _ONE
    reference = "base" if plan.custom_steps is not None else plan.step_reference
    rates = {"market": market.taker, "limit": market.maker}
    base_fee, safety_fee = rates[plan.base_order_type], rates[plan.safety_order_type]
    exit_fee, stop_fee = rates[plan.exit_order_type], market.taker
    fee_in_coins = market.fee_side == "base" and plan.side == "long"
    size_unit = market.step_size * market.contract_size

    # A fraction, so that nothing is rounded before the tick: target = (cost or paid) × factor ÷ (amount × divisor).
    exit_share = 1 - sign * exit_fee
    whole = _HUNDRED * leverage if plan.take_profit_basis == "margin_net" else _HUNDRED
    target_factor = whole + sign * plan.take_profit_pct
    target_divisor = whole if plan.take_profit_basis == "average_gross" else whole * exit_share
    stop_factor = _HUNDRED - sign * plan.stop_loss_pct if plan.stop_loss_pct is not None else None

    levels: list[Level] = []
    violations: list[Violation] = []
    prices: set[Decimal] = set()
    first = last = _ZERO
    reachable = True
    gaps = amount = cost = fees = capital = deepest = _ZERO
    liquidated_at = stopped_at = None

    for number, order in enumerate(orders):
        gaps += order.gap
        notional = order.size * multiple
        kind = "safety" if number else "base"

        # -- the price. What follows a level that is never reached is never reached either.
        price = None
        if not number:
            price = _on_grid(plan.entry_price, _ONE, tick, up=sign < 0)
        elif reachable and reference == "base":
            price = _on_grid(first * (_HUNDRED - sign * gaps), _HUNDRED, tick, up=sign < 0)
        elif reachable and (reference == "previous" or not amount):
            price = _on_grid(last * (_HUNDRED - sign * order.gap), _HUNDRED, tick, up=sign < 0)
        elif reachable:
            price = _on_grid(cost * (_HUNDRED - sign * order.gap), _HUNDRED * amount, tick, up=sign < 0)
        if price is None:
            reachable = False
            violations.append(Violation("price_not_positive", number))
            levels.append(Level(number, kind, order.gap, gaps, notional))
            continue
        if not number:
            first = price

        # -- the order
        contracts = _whole(notional, price * size_unit) * market.step_size
        bought = contracts * market.contract_size
        spent = price * bought
        rate = safety_fee if number else base_fee
        fee_base = bought * rate if fee_in_coins else _ZERO
        fee_quote = _ZERO if fee_in_coins else spent * rate
        codes: list[ViolationCode] = []
        if price in prices:
            codes.append("duplicate_price")
        if not contracts or (market.min_amount is not None and contracts < market.min_amount):
            codes.append("below_min_amount")
        if market.max_amount is not None and contracts > market.max_amount:
            codes.append("above_max_amount")
        if market.min_cost is not None and spent < market.min_cost:
            codes.append("below_min_cost")
        if market.max_cost is not None and spent > market.max_cost:
            codes.append("above_max_cost")
        prices.add(price)
        last = price

        # -- the position
        amount += bought - fee_base
        cost += spent
        fees += fee_quote
        margin = cost / leverage
        capital = margin + fees
        deviation = abs(price / first - 1) * 100
        deepest = max(deepest, deviation)
        limit_use = None
        if plan.margin_limit_quote is not None:
            limit_use = capital / plan.margin_limit_quote * 100
            if capital > plan.margin_limit_quote:
                codes.append("margin_limit_exceeded")
        if liquidated_at is not None and sign * (liquidated_at - price) >= 0:
            codes.append("liquidated_before_level")
        if stopped_at is not None and sign * (stopped_at - price) >= 0:
            codes.append("stop_inside_ladder")

        # -- its exits
        value = amount * price
        profit = sign * (value - cost)
        average = with_fees = break_even = target = stop = None
        to_break_even = to_target = at_target = at_stop = None
        if amount:
            paid = cost + sign * fees
            average, with_fees = cost / amount, paid / amount
            break_even = with_fees / exit_share
            basis = cost if plan.take_profit_basis == "average_gross" else paid
            target = _on_grid(basis * target_factor, amount * target_divisor, tick, up=sign > 0)
            to_break_even = sign * (break_even / price - 1) * 100
            if target is None:
                codes.append("tp_not_above_fees")  # a short whose target is below zero: no price reaches it
            else:
                to_target = sign * (target / price - 1) * 100
                at_target = sign * (amount * target - cost) - fees - amount * target * exit_fee
                if sign * (target - break_even) <= 0:
                    codes.append("tp_not_above_fees")
            if stop_factor is not None:
                if plan.stop_loss_basis == "base":
                    stop = _on_grid(first * stop_factor, _HUNDRED, tick, up=sign > 0)
                else:
                    stop = _on_grid(cost * stop_factor, _HUNDRED * amount, tick, up=sign > 0)
                if stop is not None:
                    at_stop = sign * (amount * stop - cost) - fees - amount * stop * stop_fee
        stopped_at = stop

        # -- its liquidation
        tier = liquidated_at = distance = ratio = None
        if market.tells_liquidation:
            tier = _tier(market, cost)
            if amount:
                liquidated_at = _liquidation(market, sign, cost, amount, margin, tier)
                if liquidated_at is not None:
                    distance = sign * (1 - liquidated_at / price) * 100
                if margin + profit:
                    ratio = _maintenance(market, cost, value, tier) / (margin + profit) * 100

        violations += [Violation(code, number) for code in codes]
        levels.append(
            Level(
                level=number,
                kind=kind,
                step_pct=order.gap,
                cumulative_step_pct=gaps,
                order_quote_target=notional,
                price=price,
                reachable=True,
                effective_deviation_pct=deviation,
                contracts=contracts,
                amount_base=bought,
                cost_quote=spent,
                fee_quote=fee_quote,
                fee_base=fee_base,
                total_amount_base=amount,
                sellable_amount_base=_whole(amount, size_unit) * size_unit,
                total_cost_quote=cost,
                total_fee_quote=fees,
                average_price=average,
                average_price_with_fees=with_fees,
                break_even_price=break_even,
                take_profit_price=target,
                rebound_to_break_even_pct=to_break_even,
                rebound_to_take_profit_pct=to_target,
                profit_at_take_profit_quote=at_target,
                unrealized_pnl_quote=profit,
                margin_quote=margin,
                capital_used_quote=capital,
                margin_limit_use_pct=limit_use,
                stop_loss_price=stop,
                loss_at_stop_quote=at_stop,
                maintenance_margin_rate=tier.mmr if tier else None,
                maintenance_cum=tier.cum if tier else None,
                liquidation_price=liquidated_at,
                distance_to_liquidation_pct=distance,
                margin_ratio_pct=ratio,
            )
        )

    held = [level for level in levels if level.reachable]
    final = held[-1] if held else None
    summary = Summary(
        orders=len(held),
        max_deviation_covered_pct=deepest,
        total_cost_quote=cost,
        total_fee_quote=fees,
        required_capital_quote=capital,
        average_price=final.average_price if final else None,
        break_even_price=final.break_even_price if final else None,
        take_profit_price=final.take_profit_price if final else None,
        liquidation_price=final.liquidation_price if final else None,
        valid=not violations,
    )
    return Ladder(market, plan, tuple(levels), tuple(violations), summary)


# What if


class _Position(NamedTuple):
    amount: Decimal
    cost: Decimal
    fees: Decimal


def _position(ladder: Ladder, fills: int) -> _Position:
    level = ladder.levels[fills] if 0 <= fills < len(ladder.levels) else None
    if (
        level is None
        or level.total_amount_base is None
        or level.total_cost_quote is None
        or level.total_fee_quote is None
    ):
        text = N_("This ladder has no level {level} that can be filled.")
        raise LadderError(Message(text=text, params={"level": fills}))
    return _Position(level.total_amount_base, level.total_cost_quote, level.total_fee_quote)


def profit_at(ladder: Ladder, fills: int, price: Decimal) -> Decimal:
    """Profit in quote currency, after all fees, when the position is closed at `price` by the plan's exit order.

    `fills` is the number of add-ons that have filled, 0 with the first order alone. LadderError where there is no such
    level.
    """
    _check("price", price, zero=True)
    held, plan, market = _position(ladder, fills), ladder.plan, ladder.market
    rate = market.taker if plan.exit_order_type == "market" else market.maker
    with localcontext(CONTEXT):
        value = held.amount * price
        return _sign(plan.side) * (value - held.cost) - held.fees - value * rate


def margin_ratio_at(ladder: Ladder, fills: int, price: Decimal) -> Decimal | None:
    """Maintenance in percent of what is left of the margin when the market is at `price`: 100 means liquidation.

    Below zero, more is lost than the margin. `fills` as in `profit_at`. None where the market tells no liquidation
    figures, where nothing is held, and where exactly nothing is left.
    """
    _check("price", price, zero=True)
    held, market = _position(ladder, fills), ladder.market
    if not market.tells_liquidation:
        return None
    with localcontext(CONTEXT):
        value = held.amount * price
        left = held.cost / ladder.plan.leverage + _sign(ladder.plan.side) * (value - held.cost)
        return _maintenance(market, held.cost, value, _tier(market, held.cost)) / left * 100 if left else None


# Reading


def _decimal(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise _no_number(name)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise _no_number(name) from None


def _no_number(name: str) -> LadderError:
    return LadderError(Message(text=N_("{field} must be a number."), params=_field(name)))


def _whole_number(name: str, value: object) -> int:
    number = _decimal(name, value)
    _check(name, number, zero=True)
    if number != number.to_integral_value():
        raise LadderError(Message(text=N_("{field} must be a whole number."), params=_field(name)))
    return int(number)


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise LadderError(Message(text=N_("{field} must be an object."), params=_field(name)))
    return cast("Mapping[str, Any]", value)


def _listed(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise LadderError(Message(text=N_("{field} must be a list."), params=_field(name)))
    return cast("Sequence[object]", value)


_WORDS: Final = frozenset({*_PLAN_WORDS, "type", "fee_side", "liquidation_model"})


def _fields(given: Mapping[str, Any], kind: type[LadderMarket | LadderPlan], required: Sequence[str]) -> dict[str, Any]:
    """The fields of `kind` that were given, numbers as Decimal. What is null counts as absent."""
    for name in required:
        if given.get(name) is None:
            raise LadderError(Message(text=N_("{field} is missing."), params=_field(name)))
    found: dict[str, Any] = {}
    for name in kind.__dataclass_fields__:
        value = given.get(name)
        if value is None:
            continue
        if name == "tiers":
            found[name] = tuple(_tier_from(entry) for entry in _listed(name, value))
        elif name == "custom_steps":
            found[name] = tuple(_step_from(entry) for entry in _listed(name, value))
        elif name == "max_safety_orders":
            found[name] = _whole_number(name, value)
        else:
            found[name] = value if name in _WORDS else _decimal(name, value)
    return found


def _tier_from(entry: object) -> Tier:
    given = _mapping("tiers", entry)
    numbers = {name: _decimal(f"tiers.{name}", given.get(name)) for name in ("min_notional", "mmr")}
    return Tier(**numbers, cum=_decimal("tiers.cum", given.get("cum", 0)))


def _step_from(entry: object) -> tuple[Decimal, Decimal]:
    pair = _listed("custom_steps", entry)
    if len(pair) != 2:
        raise LadderError(Message(text=N_("Each custom step is a pair: percent from the first order, and size.")))
    return _decimal("custom_steps", pair[0]), _decimal("custom_steps", pair[1])


def from_json(given: object) -> tuple[LadderMarket, LadderPlan]:
    """Read `{"market": {…}, "strategy": {…}}` whose fields are named as in `LadderMarket` and `LadderPlan`.

    Numbers are strings or JSON numbers; null counts as absent; a field that is not known is left alone (see
    `unknown_fields`). LadderError says which field is missing or wrong.
    """
    both = _mapping("input", given)
    market, plan = _mapping("market", both.get("market")), _mapping("strategy", both.get("strategy"))
    needed = ["side", "entry_price", "base_order_quote", "take_profit_pct"]
    if plan.get("custom_steps") is None:
        needed.append("max_safety_orders")
        if plan.get("max_safety_orders") not in (0, "0"):
            needed += ["safety_order_quote", "step_pct"]
    return (
        LadderMarket(**_fields(market, LadderMarket, ("type", "tick_size", "step_size", "maker", "taker"))),
        LadderPlan(**_fields(plan, LadderPlan, needed)),
    )


def unknown_fields(given: object) -> list[str]:
    """The names in an input that mean nothing here, such as `market.tick`: most likely typed wrong."""
    both = _mapping("input", given)
    kinds: dict[str, type[LadderMarket | LadderPlan]] = {"market": LadderMarket, "strategy": LadderPlan}
    return [
        f"{part}.{name}"
        for part, kind in kinds.items()
        for name in _mapping(part, both.get(part))
        if name not in kind.__dataclass_fields__
    ]


# How each figure comes about

FORMULAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "step_pct": N_("first gap × step multiplier for every order before this one"),
        "cumulative_step_pct": N_("sum of all gaps so far"),
        "order_quote_target": N_("first size × size multiplier for every order before this one"),
        "price.base": N_("first price × (1 ∓ sum of all gaps), on the tick grid: long −, down; short +, up"),
        "price.previous": N_("previous price × (1 ∓ gap), on the tick grid: long −, down; short +, up"),
        "price.average": N_("average before this order × (1 ∓ gap), on the tick grid: long −, down; short +, up"),
        "effective_deviation_pct": N_("|price ÷ first price − 1|, with prices on the tick grid"),
        "contracts": N_("size ÷ (price × contract size), rounded down to the amount step"),
        "amount_base": N_("contracts × contract size"),
        "cost_quote": N_("price × amount"),
        "fee_quote": N_("cost × fee: taker for market orders, maker for limit orders"),
        "fee_base": N_("amount × fee, where the exchange takes the fee of a purchase in coins"),
        "total_amount_base": N_("sum of all amounts − fees taken in coins"),
        "sellable_amount_base": N_("amount held, rounded down to the amount step"),
        "total_cost_quote": N_("sum of all costs"),
        "total_fee_quote": N_("sum of all fees in quote currency"),
        "average_price": N_("average = total cost ÷ amount held"),
        "average_price_with_fees": N_("(total cost ± fees) ÷ amount held: long +, short −"),
        "break_even_price": N_("average with fees ÷ (1 ∓ exit fee): long −, short +"),
        "take_profit_price.average_net": N_("break-even × (1 ± target), on the tick grid: long +, up; short −, down"),
        "take_profit_price.average_gross": N_("average × (1 ± target), on the tick grid: long +, up; short −, down"),
        "take_profit_price.margin_net": N_(
            "break-even × (1 ± target ÷ leverage), on the tick grid: long +, up; short −, down"
        ),
        "rebound_to_break_even_pct": N_("±(break-even ÷ price of this level − 1): long +, short −"),
        "rebound_to_take_profit_pct": N_("±(take profit ÷ price of this level − 1): long +, short −"),
        "profit_at_take_profit_quote": N_(
            "±(amount × take profit − total cost) − fees − amount × take profit × exit fee: long +, short −"
        ),
        "unrealized_pnl_quote": N_("±(amount × price of this level − total cost): long +, short −"),
        "margin_quote.spot": N_("total cost: on spot nothing is borrowed"),
        "margin_quote.linear_swap": N_("total cost ÷ leverage"),
        "capital_used_quote": N_("margin + entry fees"),
        "required_capital_quote": N_("margin + entry fees after the last fill"),
        "margin_limit_use_pct": N_("capital used ÷ margin limit"),
        "stop_loss_price.average": N_("average × (1 ∓ stop), on the tick grid: long −, up; short +, down"),
        "stop_loss_price.base": N_("first price × (1 ∓ stop), on the tick grid: long −, up; short +, down"),
        "loss_at_stop_quote": N_("±(amount × stop − total cost) − fees − amount × stop × taker fee: long +, short −"),
        "maintenance_margin_rate": N_("rate of the exchange's maintenance tier for the total cost"),
        "maintenance_cum": N_("maintenance amount of that tier, which is taken off"),
        "liquidation_price.mark_maintenance": N_(
            "price where margin + profit = amount × price × (maintenance rate + liquidation fee) − maintenance amount"
        ),
        "liquidation_price.entry_maintenance": N_(
            "price where margin + profit = total cost × maintenance rate − maintenance amount"
        ),
        "liquidation_price.worse": N_("the nearer of two estimates: maintenance at the mark price and at entry"),
        "distance_to_liquidation_pct": N_("±(1 − liquidation price ÷ price of this level): long +, short −"),
        "margin_ratio_pct": N_("maintenance ÷ (margin + profit at this price); liquidation when both are equal"),
        "max_deviation_covered_pct": N_("|deepest price ÷ first price − 1|, with prices on the tick grid"),
    }
)
"""How a figure comes about, by its name; `.` and a word behind it where that depends on the plan or the market."""


def formula(market: LadderMarket, plan: LadderPlan, figure: str) -> str | None:
    """The English formula of a figure for this market and plan, to be translated; None for a name that has none."""
    variants = {
        "price": "base" if plan.custom_steps is not None else plan.step_reference,
        "take_profit_price": plan.take_profit_basis,
        "stop_loss_price": plan.stop_loss_basis,
        "margin_quote": market.type,
        "liquidation_price": market.liquidation_model,
    }
    return FORMULAS.get(f"{figure}.{variants[figure]}" if figure in variants else figure)


def ladder(market: Mapping[str, Any], strategy: Mapping[str, Any]) -> pd.DataFrame:
    """One row an order: what fills where, what it costs, and average, target, stop and liquidation after it.

    Both mappings have the fields of `LadderMarket` and `LadderPlan`, numbers as text or numbers. Raises LadderError,
    which says which field is missing or wrong.
    """
    return build(*from_json({"market": market, "strategy": strategy})).frame()
