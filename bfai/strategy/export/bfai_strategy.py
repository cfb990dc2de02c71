# MIT License. Part of the BackFuture AI Workbench. It runs inside Freqtrade, in Freqtrade's own environment.
"""A DCA strategy with Recovery Mode for Freqtrade. Everything that it does is said by the block `bfai` of the config.

The same file serves every strategy: it is never generated. It imports Freqtrade, pandas and the standard library only.
Prices, amounts and sums are exact (`Decimal`) up to the moment at which Freqtrade gets them.

What it is made of: the ladder's arithmetic, then one group (a Freqtrade trade), then Freqtrade's callbacks.
Add-ons are resting limit orders, one at a time, tagged `so1`, `so2` …; the target is the return at which Freqtrade
closes (`custom_roi`); the stop counts from the average (`custom_stoploss`, renewed after each fill).
"""

import json
import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from pathlib import Path
from typing import Any

from freqtrade.exchange import timeframe_to_seconds
from freqtrade.persistence import Order, Trade
from freqtrade.strategy import IStrategy, stoploss_from_absolute
from pandas import DataFrame, Timedelta, Timestamp

FORMAT = "bfai.freqtrade/1"
logger = logging.getLogger(__name__)

CONTEXT = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)
ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
CALM = timedelta(minutes=30)
NEVER = 1000.0  # a return that no trade reaches
EPOCH = Timestamp(0, tz="UTC")
REASONS = (
    "connection guard direction session recovery_same_pair group_limit addon_limit outside_zone worsens_average "
    "margin_limit deposit_load cooldown below_minimum leverage spread volume"
).split()
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else str(value))


def optional(value: Any) -> Decimal | None:
    return None if value is None else number(value)


def utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# -- arithmetic --------------------------------------------------------------------------------------------------------


def on_grid(numerator: Decimal, denominator: Decimal, tick: Decimal, *, up: bool) -> Decimal | None:
    """The fraction on the tick grid; None where that is zero or less."""
    if numerator <= 0:
        return None
    unit = denominator * tick
    count = numerator // unit
    if up and count * unit != numerator:
        count += 1
    return count * tick if count else None


@dataclass(frozen=True)
class Market:
    """The exchange's rules for one pair. Amounts are contracts of `size` coins (spot: 1)."""

    tick: Decimal
    step: Decimal
    size: Decimal
    maker: Decimal
    taker: Decimal
    min_amount: Decimal | None
    max_amount: Decimal | None
    min_cost: Decimal | None
    max_cost: Decimal | None

    @classmethod
    def read(cls, block: dict[str, Any]) -> "Market":
        names = ("min_amount", "max_amount", "min_cost", "max_cost")
        return cls(
            number(block["tick_size"]),
            number(block["step_size"]),
            number(block["contract_size"]),
            number(block["maker"]),
            number(block["taker"]),
            *(optional(block.get(name)) for name in names),
        )

    @property
    def unit(self) -> Decimal:
        """The smallest difference between two amounts, in coins."""
        return self.step * self.size

    def fee(self, order_type: str) -> Decimal:
        return self.taker if order_type == "market" else self.maker

    def coins(self, notional: Decimal, price: Decimal) -> Decimal:
        return (notional // (price * self.unit)) * self.unit

    def takes(self, coins: Decimal, price: Decimal) -> bool:
        """Whether the exchange takes an order of so many coins."""
        contracts, cost = coins / self.size, coins * price
        return bool(
            coins
            and (self.min_amount is None or contracts >= self.min_amount)
            and (self.max_amount is None or contracts <= self.max_amount)
            and (self.min_cost is None or cost >= self.min_cost)
            and (self.max_cost is None or cost <= self.max_cost)
        )


@dataclass
class Group:
    """A first entry with its add-ons: sums of what is held, and what was realised by trims and by its exit."""

    sign: int
    first: Decimal = ZERO
    cost: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0
    deepest: int = 0
    """The number of the deepest level that has filled."""
    filled_at: datetime | None = None
    realised: list[tuple[datetime | None, Decimal]] = field(default_factory=list)

    def add(self, price: Decimal, coins: Decimal, fee: Decimal, at: datetime | None) -> None:
        if not self.fills:
            self.first = price
        self.cost += price * coins
        self.amount += coins
        self.fees += fee
        self.fills += 1
        self.filled_at = at

    def take(self, price: Decimal, coins: Decimal, fee_rate: Decimal, at: datetime | None) -> None:
        share = min(ONE, coins / self.amount)
        cost, fees = self.cost * share, self.fees * share
        self.realised.append((at, self.sign * (price * coins - cost) - fees - price * coins * fee_rate))
        self.cost, self.fees, self.amount = self.cost - cost, self.fees - fees, self.amount - coins

    @property
    def average(self) -> Decimal:
        return self.cost / self.amount

    def capital(self, leverage: Decimal) -> Decimal:
        return self.cost / leverage + self.fees

    def adverse(self, price: Decimal) -> Decimal:
        return self.sign * (self.average - price) / self.average * HUNDRED

    def worsens(self, price: Decimal) -> bool:
        return self.sign * (price - self.average) >= 0

    def target(self, percent: Decimal, basis: str, leverage: Decimal, fee: Decimal, tick: Decimal) -> Decimal | None:
        sign = self.sign
        whole = HUNDRED * leverage if basis == "margin_net" else HUNDRED
        paid = self.cost if basis == "average_gross" else self.cost + sign * self.fees
        divisor = whole if basis == "average_gross" else whole * (1 - sign * fee)
        return on_grid(paid * (whole + sign * percent), self.amount * divisor, tick, up=sign > 0)


@dataclass(frozen=True)
class Place:
    """How far down the ladder a group is: the sum of its gaps in percent, and the price of its last order."""

    away: Decimal
    last: Decimal


class Ladder:
    """The orders of a group: how far each lies below the one before, in percent, and how large it is."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        p = parameters
        self.spot = p["market"] == "spot"
        self.leverage = ONE if self.spot else number(p["leverage"])
        self.multiple = self.leverage if p["amount_basis"] == "margin" and not self.spot else ONE
        self.orders: list[tuple[Decimal, Decimal]] = [(ZERO, number(p["first_entry_size"]))]
        steps = p["custom_steps"] if p["addon_mode"] != "off" else None
        self.reference = "base" if steps else p["addon_step_reference"]
        if steps:
            before = ZERO
            for step in steps:
                deviation = number(step["deviation_pct"])
                self.orders.append((deviation - before, number(step["size"])))
                before = deviation
        elif p["addon_mode"] != "off":
            gap = number(p["addon_step_pct"])
            size = number(p["first_entry_size"] if p["addon_size"] is None else p["addon_size"])
            for _ in range(p["addon_max_count"]):
                self.orders.append((gap, size))
                gap *= number(p["addon_step_multiplier"])
                size *= number(p["addon_multiplier"])
        r = p["recovery"]
        self.step_factor, self.size_factor = number(r["step_factor"]), number(r["size_factor"])
        self.first_type, self.addon_type = p["entry_order_type"], p["addon_order_type"]

    def gap(self, level: int, recovering: bool) -> Decimal:
        gap = self.orders[level][0]
        return gap * self.step_factor if recovering else gap

    def notional(self, level: int, recovering: bool, scale: Decimal) -> Decimal:
        size = self.orders[level][1] * self.multiple * scale
        return size * self.size_factor if recovering else size

    def price(self, market: Market, group: Group, place: Place, gap: Decimal) -> Decimal | None:
        """Where the next order lies, on the grid; None where no price is so low."""
        sign, tick = group.sign, market.tick
        if self.reference == "average":
            return on_grid(group.cost * (HUNDRED - sign * gap), HUNDRED * group.amount, tick, up=sign < 0)
        if self.reference == "previous":
            return on_grid(place.last * (HUNDRED - sign * gap), HUNDRED, tick, up=sign < 0)
        return on_grid(group.first * (HUNDRED - sign * (place.away + gap)), HUNDRED, tick, up=sign < 0)

    def required(self, market: Market, sign: int, first: Decimal, scale: Decimal) -> Decimal:
        """The capital of the whole ladder from its first price, as if every order had filled."""
        group, place = Group(sign, first), Place(ZERO, first)
        for level, (gap, _) in enumerate(self.orders):
            price = self.price(market, group, place, gap) if level else first
            if price is None:
                break
            place = Place(place.away + gap, price)
            coins = market.coins(self.notional(level, False, scale), price)
            fee = price * coins * market.fee(self.addon_type if level else self.first_type)
            group.add(price, coins, fee, None)
        return group.capital(self.leverage)


@dataclass
class Mode:
    """What a group remembers beyond its orders. Kept in the trade's custom data."""

    recovery: bool = False
    why: list[str] = field(default_factory=list)
    away: str = "0"
    last: str = "0"
    calm: str | None = None
    trimmed: str | None = None
    armed: bool = False
    best: str | None = None
    scale: str = "1"
    reserved: str = "0"
    judged: int = 0

    @property
    def place(self) -> Place:
        return Place(Decimal(self.away), Decimal(self.last))


@dataclass
class Figures:
    """What was realised: every sum with its time, the closes in order, and when a pair and side closed last."""

    realised: list[tuple[datetime | None, Decimal]] = field(default_factory=list)
    closes: list[tuple[datetime, Decimal]] = field(default_factory=list)
    last: dict[tuple[str, bool], datetime] = field(default_factory=dict)
    total: Decimal = ZERO


@dataclass(frozen=True)
class Wanted:
    """The order that should rest now."""

    level: int
    price: Decimal
    coins: Decimal

    @property
    def tag(self) -> str:
        return f"so{self.level}"


@dataclass(frozen=True)
class Candle:
    high: Decimal
    low: Decimal
    close: Decimal


def rsi(closes: list[float], length: int = 14) -> list[float]:
    """Wilder's RSI; NaN until there are enough closes."""
    found = [math.nan] * len(closes)
    up = down = 0.0
    for place in range(1, len(closes)):
        change = closes[place] - closes[place - 1]
        gain, loss = max(change, 0.0), max(-change, 0.0)
        if place <= length:
            up, down = up + gain / length, down + loss / length
        else:
            up, down = (up * (length - 1) + gain) / length, (down * (length - 1) + loss) / length
        if place >= length:
            found[place] = 50.0 if up == down == 0 else 100.0 * up / (up + down)
    return found


# -- the strategy ------------------------------------------------------------------------------------------------------


class BfaiStrategy(IStrategy):
    INTERFACE_VERSION = 3
    can_short = False
    minimal_roi = {"0": NEVER}  # noqa: RUF012 - Freqtrade's way
    stoploss = -1.0
    use_custom_roi = True
    use_custom_stoploss = True
    position_adjustment_enable = True
    process_only_new_candles = True
    startup_candle_count = 0

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        block = config.get("bfai") or {}
        if block.get("format") != FORMAT:
            raise ValueError(f"this config has no block that says {FORMAT}")
        p = self.p = block["parameters"]
        self.r = p["recovery"]
        self.markets = {pair: Market.read(one) for pair, one in block["markets"].items()}
        self.ladder = Ladder(p)
        self.balance = number(block["balance"])
        self.elsewhere = number(block.get("committed", 0))
        self.total_limit, self.pair_limit = number(block["total_limit"]), number(block["pair_limit"])
        self.state_file = block.get("state_file")
        self.state_age = timedelta(seconds=block.get("state_max_age_s", 0))
        self.can_short = "short" in p["directions"]
        self.startup_candle_count = 200 if p["start_condition"] == "rsi" else 0
        self.trailing = p["trailing"]
        self.reset()

    def reset(self) -> None:
        self.candles: dict[str, dict[int, Candle]] = {}
        self.modes: dict[int, Mode] = {}
        self.groups: dict[int, tuple[Any, Group]] = {}
        self.past: dict[int, Group] = {}
        self.trims: dict[int, Decimal] = {}
        self.judged_for: dict[int, int] = {}
        self.scales: dict[str, Decimal] = {}
        self.told: dict[str, str] = {}
        self.changes = 0
        self.day: Any = None
        self.known: Figures | None = None
        self.known_for = -1
        self.stopped = False
        self.peak = self.balance
        self.state: tuple[bool, bool] = (True, True)
        self.stale = True

    # -- where we are

    @property
    def testing(self) -> bool:
        """On past candles: a whole candle is known at once, and nothing is kept."""
        return self.config["runmode"].value not in ("live", "dry_run")

    def folder(self) -> Path:
        return Path(self.config["user_data_dir"])

    def bot_start(self, **kwargs: Any) -> None:
        self.reset()
        kept = self.folder() / "bfai_guard.json"
        if not self.testing and kept.is_file():
            told = json.loads(kept.read_text(encoding="utf-8"))
            self.stopped, self.peak = bool(told["stopped"]), number(told["peak"])

    def keep_guard(self) -> None:
        if self.testing:
            return
        path = self.folder() / "bfai_guard.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"stopped": self.stopped, "peak": str(self.peak)}), encoding="utf-8")
        fresh.replace(path)

    def say(self, pair: str, outcome: str, reasons: list[str] | tuple[str, ...] = ()) -> None:
        """One line a decision; what is blocked again for the same reasons is said once."""
        line = f"{outcome} {','.join(reasons)}".strip()
        if outcome != "blocked" or self.told.get(pair) != line:
            self.told[pair] = line
            logger.info("bfai %s %s", pair, line)

    def market(self, pair: str) -> Market:
        return self.markets[pair]

    def sign(self, trade: Trade) -> int:
        return -1 if trade.is_short else 1

    # -- a trade as a group

    def group(self, trade: Trade) -> Group | None:
        """What is held; None while the first entry has not filled."""
        done = [order for order in trade.orders if not order.ft_is_open and (order.filled or 0) > 0]
        key = tuple((order.order_id, order.filled) for order in done)
        kept = self.groups.get(trade.id)
        if kept is None or kept[0] != key:
            kept = self.groups[trade.id] = (key, self.walk(trade, done))
        return kept[1] if kept[1].fills and kept[1].amount > 0 else None

    def walk(self, trade: Trade, done: list[Order]) -> Group:
        market, group = self.market(trade.pair), Group(self.sign(trade))
        with localcontext(CONTEXT):
            for order in done:
                price, coins = number(float(order.safe_price)), number(float(order.safe_amount_after_fee))
                at = utc(order.order_filled_date) if order.order_filled_date else None
                if order.ft_order_side == trade.entry_side:
                    tag = order.ft_order_tag or ""
                    level = int(tag[2:]) if tag.startswith("so") and tag[2:].isdigit() else 0
                    rate = market.fee(self.ladder.addon_type if level else self.ladder.first_type)
                    fee = ZERO if order.ft_fee_base else price * number(float(order.safe_filled)) * rate
                    group.add(price, coins, fee, at)
                    group.deepest = max(group.deepest, level)
                else:
                    tag = order.ft_order_tag or ""
                    profit = tag == "roi" or (self.trailing is not None and tag.startswith("trailing"))
                    kind = self.p["exit_order_type"] if profit else "market"
                    group.take(price, coins, market.fee(kind), at)
        return group

    def mode(self, trade: Trade) -> Mode:
        found = self.modes.get(trade.id)
        if found is None:
            kept = None if self.testing else trade.get_custom_data("bfai")
            found = Mode(**json.loads(kept)) if kept else Mode()
            self.modes[trade.id] = found
        return found

    def keep(self, trade: Trade, mode: Mode) -> None:
        self.changes += 1
        if not self.testing:
            trade.set_custom_data("bfai", json.dumps(vars(mode)))

    def used_by(self, trade: Trade) -> Decimal:
        group, leverage = self.group(trade), self.ladder.leverage
        if group is None:  # a first entry that waits for its fill
            open_orders = [order for order in trade.orders if order.ft_is_open]
            waiting = sum(
                (number(float(o.ft_price)) * number(float(o.ft_amount or o.amount)) for o in open_orders), ZERO
            )
            return waiting / leverage
        capital = group.capital(leverage)
        return max(capital, number(self.mode(trade).reserved))

    def used(self) -> Decimal:
        return sum((self.used_by(trade) for trade in Trade.get_trades_proxy(is_open=True)), ZERO)

    def figures(self) -> Figures:
        """What trims and exits have come to so far; read again when something has changed."""
        if self.known is None or self.known_for != self.changes:
            known, begin = Figures(), datetime.fromtimestamp(0, UTC)
            for trade in Trade.get_trades_proxy(is_open=False):
                group = self.past.get(trade.id)
                if group is None:
                    done = [order for order in trade.orders if not order.ft_is_open and (order.filled or 0) > 0]
                    group = self.past[trade.id] = self.walk(trade, done)
                known.realised += group.realised
                if trade.close_date_utc:
                    at, key = utc(trade.close_date_utc), (trade.pair, bool(trade.is_short))
                    known.closes.append((at, sum((profit for _, profit in group.realised), ZERO)))
                    known.last[key] = max(at, known.last.get(key, at))
            for trade in Trade.get_trades_proxy(is_open=True):
                group = self.group(trade)
                known.realised += group.realised if group is not None else []
            known.closes.sort(key=lambda one: one[0])
            known.realised.sort(key=lambda one: one[0] or begin)
            known.total = sum((profit for _, profit in known.realised), ZERO)
            self.known, self.known_for = known, self.changes
        return self.known

    def realised(self, since: datetime) -> list[Decimal]:
        """Every realised sum since then, of trims and of exits."""
        return [profit for at, profit in self.figures().realised if at is not None and at >= since]

    def equity(self) -> Decimal:
        return self.balance + self.figures().total

    # -- prices at which it ends

    def target(self, trade: Trade, group: Group, *, activation: bool = False) -> Decimal | None:
        market, p = self.market(trade.pair), self.p
        fee, leverage = market.fee(p["exit_order_type"]), self.ladder.leverage
        if self.mode(trade).recovery:
            return group.target(number(self.r["take_profit_pct"]), "average_net", leverage, fee, market.tick)
        percent = number(self.trailing["activation_pct"] if activation else p["take_profit_pct"])
        return group.target(percent, p["take_profit_basis"], leverage, fee, market.tick)

    def stop(self, trade: Trade, group: Group) -> Decimal | None:
        percent, sign, tick = optional(self.p["stop_loss_pct"]), group.sign, self.market(trade.pair).tick
        if percent is None:
            return None
        if self.p["stop_loss_basis"] == "base":
            return on_grid(group.first * (HUNDRED - sign * percent), HUNDRED, tick, up=sign > 0)
        return on_grid(group.cost * (HUNDRED - sign * percent), HUNDRED * group.amount, tick, up=sign > 0)

    def trail(self, trade: Trade, group: Group) -> Decimal | None:
        """The stop that follows the best price of closed candles, once it is armed."""
        mode = self.mode(trade)
        if not mode.armed or mode.best is None:
            return None
        delta, sign = number(self.trailing["delta_pct"]), group.sign
        return on_grid(number(mode.best) * (HUNDRED - sign * delta), HUNDRED, self.market(trade.pair).tick, up=sign > 0)

    def nearest_stop(self, trade: Trade, group: Group) -> Decimal | None:
        both = [one for one in (self.stop(trade, group), self.trail(trade, group)) if one is not None]
        return (max(both) if group.sign > 0 else min(both)) if both else None

    # -- Recovery Mode

    def difficulties(self, trade: Trade, group: Group, price: Decimal, now: datetime) -> list[str]:
        r, adverse = self.r, group.adverse(price)
        most, addons = len(self.ladder.orders) - 1, group.fills - 1
        age, near = r["max_group_age_h"], optional(r["liq_distance_pct"])
        end = number(float(trade.liquidation_price)) if trade.liquidation_price else None
        capital = group.capital(self.ladder.leverage)
        found = {
            "drawdown": adverse >= number(r["drawdown_pct"]),
            "addon_limit_near": most > 0 and addons >= max(1, most - r["addons_left"]),
            "margin_used": self.pair_limit > 0 and capital / self.pair_limit >= number(r["margin_used_pct"]) / HUNDRED,
            "user_cautious": r["cautious"] and adverse >= number(r["cautious_drawdown_pct"]),
            "group_age": age is not None and now - utc(trade.open_date_utc) >= timedelta(hours=age),
            "liquidation_near": near is not None
            and end is not None
            and group.sign * (price - end) / price * HUNDRED <= near,
        }
        return [name for name, holds in found.items() if holds]

    def judge(self, trade: Trade, group: Group, price: Decimal, now: datetime) -> None:
        """Into Recovery Mode where something speaks for it, or back from it where that is allowed."""
        if not self.r["enabled"]:
            return
        mode = self.mode(trade)
        found = self.difficulties(trade, group, price, now)
        if not mode.recovery:
            if found:
                mode.recovery, mode.why, mode.calm = True, found, None
                mode.armed, mode.best = False, None
                self.say(trade.pair, "recovery", found)
                self.keep(trade, mode)
            return
        new = [one for one in found if one not in mode.why]
        if new:
            mode.why += new
            self.keep(trade, mode)
        if self.r["return_mode"] != "auto":
            return
        if found or group.adverse(price) >= number(self.r["drawdown_pct"]) / 2:
            if mode.calm is not None:
                mode.calm = None
                self.keep(trade, mode)
            return
        since = datetime.fromisoformat(mode.calm) if mode.calm else now
        if now - since >= CALM:
            mode.recovery, mode.why, mode.calm = False, [], None
            self.say(trade.pair, "returned")
            self.keep(trade, mode)
        elif mode.calm is None:
            mode.calm = now.isoformat()
            self.keep(trade, mode)

    def trim(self, trade: Trade, group: Group, now: datetime) -> Decimal:
        """How many coins Recovery Mode sells now; off unless a person switched it on."""
        r, mode = self.r, self.mode(trade)
        if not (r["enabled"] and r["trim"] and mode.recovery):
            return ZERO
        since = datetime.fromisoformat(mode.trimmed) if mode.trimmed else group.filled_at
        if since is None or now - since < timedelta(hours=r["trim_every_h"]):
            return ZERO
        lost = -sum((one for one in self.realised(now - timedelta(days=30)) if one < 0), ZERO)
        if lost >= self.equity() * number(r["loss_allowance_pct"]) / HUNDRED:
            return ZERO
        market, price = self.market(trade.pair), group.average
        coins = (group.amount * number(r["trim_pct"]) / HUNDRED) // market.unit * market.unit
        return coins if market.takes(coins, price) else ZERO

    # -- the guard of the whole strategy

    def guard(self, now: datetime) -> str:
        if self.stopped:
            return "stopped"
        day, streak = optional(self.p["max_daily_loss_pct"]), self.p["max_loss_streak"]
        if day is None and streak is None:
            return "active"
        begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
        figures = self.figures()
        today = [profit for at, profit in figures.realised if at is not None and at >= begin]
        at_begin, sum_so_far, in_a_row = self.equity() - sum(today, ZERO), ZERO, 0
        for profit in today:
            sum_so_far += profit
            if day is not None and -sum_so_far * HUNDRED >= day * at_begin:
                return "paused"
        for at, profit in figures.closes:
            in_a_row = in_a_row + 1 if at >= begin and profit < 0 else 0
            if streak is not None and in_a_row >= streak:
                return "paused"
        return "active"

    def in_session(self, now: datetime) -> bool:
        windows = self.p["session"]
        clock, day = now.strftime("%H:%M"), DAYS[now.weekday()]
        return not windows or any(day in one["days"] and one["start"] <= clock < one["end"] for one in windows)

    def read_state(self, now: datetime) -> None:
        """What the workbench says: whether the connection is well, and whether new groups may begin."""
        if self.testing or not self.state_file:
            return
        state, stale = (False, False), True
        try:
            told = json.loads((self.folder().parent / self.state_file).read_text(encoding="utf-8"))
            at = utc(datetime.fromisoformat(told["at"]))
            stale = not timedelta(minutes=-5) <= now - at <= self.state_age
            state = (bool(told["connection_ok"]) and not stale, bool(told["may_open"]) and not stale)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        if state != self.state or stale != self.stale:
            self.changes += 1
            logger.info("bfai state: connection_ok=%s may_open=%s stale=%s", *state, stale)
        self.state, self.stale = state, stale

    # -- orders

    def entry_size(self, pair: str, side: str, rate: float) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Price and coins of a first entry now, the capital that it takes, and how much its sizes have grown."""
        market, sign = self.market(pair), -1 if side == "short" else 1
        price = on_grid(number(rate), ONE, market.tick, up=sign < 0) or ZERO
        scale, growth = ONE, number(self.p["reinvest_pct"])
        if growth:
            scale = max(ONE, 1 + growth / HUNDRED * (self.equity() - self.balance) / self.balance)
        if not price:
            return ZERO, ZERO, ZERO, scale
        coins = market.coins(self.ladder.notional(0, None, scale), price)
        capital = price * coins / self.ladder.leverage + price * coins * market.fee(self.ladder.first_type)
        if self.p["reserve_mode"] == "full":
            capital = max(capital, self.ladder.required(market, sign, price, scale))
        return price, coins, capital, scale

    def against_opening(self, pair: str, side: str, now: datetime, capital: Decimal) -> list[str]:
        used, closed_at = self.used(), self.figures().last.get((pair, side == "short"))
        cooldown = timedelta(seconds=self.p["cooldown_after_close"])
        load = self.equity() * number(self.p["deposit_load_max"]) / HUNDRED
        found = {
            "connection": not (self.state[0] and self.state[1]),
            "guard": self.guard(now) != "active",
            "direction": side not in self.p["directions"],
            "session": not self.in_session(now),
            "group_limit": len(Trade.get_trades_proxy(is_open=True)) >= self.p["max_groups"],
            "margin_limit": capital > self.pair_limit or used + capital > self.total_limit,
            "deposit_load": self.elsewhere + used + capital > load,
            "cooldown": closed_at is not None and now - closed_at < cooldown,
        }
        found |= self.against_market(pair)
        return [name for name in REASONS if found.get(name)]

    def against_market(self, pair: str) -> dict[str, bool]:
        spread, volume = optional(self.p["max_spread_pct"]), optional(self.p["min_volume_24h"])
        if self.testing or (not spread and not volume):
            return {}
        ticker = self.dp.ticker(pair)
        bid, ask, traded = ticker.get("bid"), ticker.get("ask"), ticker.get("quoteVolume")
        found: dict[str, bool] = {}
        if spread and bid and ask:  # an exchange that tells no book in its ticker is not blocked for ever
            found["spread"] = (number(float(ask)) / number(float(bid)) - 1) * HUNDRED > spread
        if volume:
            found["volume"] = traded is None or number(float(traded)) < volume
        return found

    def wanted(self, trade: Trade, group: Group, now: datetime, *, rests: bool = False) -> Wanted | None:
        """The add-on that should rest now, or None with all reasons told. `rests`: it does already."""
        level, mode = group.deepest + 1, self.mode(trade)
        if level >= len(self.ladder.orders) or mode.armed or self.stopped:
            return None
        market = self.market(trade.pair)
        price = self.ladder.price(market, group, mode.place, self.ladder.gap(level, mode.recovery))
        if price is None:
            return None
        coins = market.coins(self.ladder.notional(level, mode.recovery, number(mode.scale)), price)
        size = price * coins / self.ladder.leverage + price * coins * market.fee(self.ladder.addon_type)
        mine, limit = group.capital(self.ladder.leverage), self.pair_limit
        used = self.used() - (self.used_by(trade) - mine)  # what was reserved for it is not counted twice
        if mode.recovery:
            limit = limit * number(self.r["margin_cap_pct"]) / HUNDRED
        load = self.equity() * number(self.p["deposit_load_max"]) / HUNDRED
        cooldown = timedelta(seconds=self.p["addon_cooldown"])
        found = {
            "connection": not self.state[0],
            "addon_limit": mode.recovery and self.r["addons"] == "none",
            "worsens_average": (self.p["require_avg_improvement"] or mode.recovery) and group.worsens(price),
            "margin_limit": mine + size > limit or used + size > self.total_limit,
            "deposit_load": self.elsewhere + used + size > load,
            "cooldown": not rests and group.filled_at is not None and now - group.filled_at < cooldown,
            "below_minimum": not market.takes(coins, price),
        }
        reasons = [name for name in REASONS if found.get(name)]
        if reasons:
            if reasons != ["cooldown"]:
                self.say(trade.pair, "blocked", reasons)
            return None
        return Wanted(level, price, coins)

    def stake(self, market: Market, coins: Decimal, price: Decimal) -> float:
        """The stake from which Freqtrade cuts exactly these coins: it divides, multiplies and cuts off."""
        return float((coins + market.unit / 4) * price / self.ladder.leverage)

    # -- Freqtrade's callbacks: signals

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        pair = metadata["pair"]
        seconds = ((dataframe["date"] - EPOCH) // Timedelta(seconds=1)).tolist()
        columns = (dataframe[name].tolist() for name in ("high", "low", "close"))
        rows = zip(seconds, *columns, strict=True)
        self.candles[pair] = {at: Candle(number(high), number(low), number(close)) for at, high, low, close in rows}
        if self.p["start_condition"] == "rsi":
            dataframe["rsi"] = rsi(dataframe["close"].tolist())
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        p, closes = self.p, dataframe["close"]
        for side, column in (("long", "enter_long"), ("short", "enter_short")):
            if side not in p["directions"]:
                continue
            if p["start_condition"] == "immediate":
                holds: Any = 1
            elif p["start_condition"] == "price":
                start = float(p["start_price"])
                holds = (closes <= start if side == "long" else closes >= start).astype(int)
            elif p["start_condition"] == "rsi":
                start = float(p["start_rsi"])
                holds = (dataframe["rsi"] < start if side == "long" else dataframe["rsi"] > 100 - start).astype(int)
            else:
                holds = 0
            dataframe[column] = holds
        dataframe["enter_tag"] = "so0"
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        return dataframe

    # -- Freqtrade's callbacks: each turn, before anything else

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        with localcontext(CONTEXT):
            self.turn(utc(current_time))

    def turn(self, now: datetime) -> None:
        self.read_state(now)
        if now.date() != self.day:
            self.day = now.date()
            self.changes += 1
        seconds = self.seconds()
        last = int(now.timestamp()) // seconds * seconds - seconds  # the candle that closed last
        closed_at = datetime.fromtimestamp(last, UTC)
        mark, marked = self.balance, True
        self.trims.clear()
        trades = Trade.get_trades_proxy(is_open=True)
        for trade in trades:
            group, candle = self.group(trade), self.candles.get(trade.pair, {}).get(last)
            if group is None:
                continue
            mode = self.mode(trade)
            if candle is not None and mode.judged < last:
                mode.judged = last
                self.follow(trade, group, candle, closed_at)
                self.judge(trade, group, candle.close, closed_at)
            if candle is None:
                marked = False
            else:
                mark += group.sign * (group.amount * candle.close - group.cost) - group.fees
            if amount := self.trim(trade, group, now):
                self.trims[trade.id] = amount
            self.mend_stop(trade, group, candle)
        red = optional(self.r["red_drawdown_pct"])
        if red is not None and marked and not self.stopped:
            mark += self.figures().total
            if mark > self.peak:
                self.peak = mark
                self.keep_guard()
            elif mark <= self.peak * (HUNDRED - red) / HUNDRED:
                self.stopped = True
                self.changes += 1
                logger.warning("bfai equity stop: %s of at most %s", mark, self.peak)
                self.keep_guard()

    def seconds(self) -> int:
        return timeframe_to_seconds(self.timeframe)

    def follow(self, trade: Trade, group: Group, candle: Candle, at: datetime) -> None:
        """Arms the trailing target and moves its best price, by a closed candle."""
        mode = self.mode(trade)
        if self.trailing is None or mode.recovery:
            return
        sign = group.sign
        best = candle.high if sign > 0 else candle.low
        if not mode.armed:
            activation = self.target(trade, group, activation=True)
            if activation is None or sign * (best - activation) < 0:
                return
            filled = group.fills > 1 and group.filled_at is not None and group.filled_at >= at
            if filled and sign * (candle.close - activation) < 0:
                return
            mode.armed, mode.best = True, str(best)
            self.keep(trade, mode)
        elif sign * (best - number(mode.best)) > 0:
            mode.best = str(best)
            self.keep(trade, mode)

    def mend_stop(self, trade: Trade, group: Group, candle: Candle | None) -> None:
        """Freqtrade keeps the stop as a share of the last fill and puts it on the average again: set it right."""
        stop = self.nearest_stop(trade, group)
        if stop is None or not trade.open_rate:
            return
        base = trade.open_rate
        if group.sign * (float(stop) - base) >= 0:  # a trailing stop that is in profit
            if candle is None or group.sign * (stop - candle.close) >= 0:
                return
            base = float(candle.close)
        share = abs(1 - float(stop) / base) * (trade.leverage or 1.0)
        off = abs(float(stop) - (trade.stop_loss or 0.0)) > float(self.market(trade.pair).tick) / 2
        if off or (base == trade.open_rate and abs(abs(trade.stop_loss_pct or 0.0) - share) > 1e-6):
            trade.adjust_stop_loss(base, -share, allow_refresh=True)

    def share(self, trade: Trade, stop: Decimal) -> float:
        """A stop as Freqtrade counts it from the average."""
        return abs(1 - float(stop) / trade.open_rate) * (trade.leverage or 1.0)

    # -- Freqtrade's callbacks: first entries

    def leverage(self, max_leverage: float, **kwargs: Any) -> float:  # type: ignore[override]
        return min(float(self.ladder.leverage), max_leverage)

    def custom_stake_amount(  # type: ignore[override]
        self,
        pair: str,
        current_time: datetime,
        current_rate: float,
        min_stake: float | None,
        max_stake: float,
        leverage: float,
        side: str,
        **kwargs: Any,
    ) -> float:
        now, market = utc(current_time), self.market(pair)
        with localcontext(CONTEXT):
            price, coins, capital, scale = self.entry_size(pair, side, current_rate)
            reasons = self.against_opening(pair, side, now, capital)
            stake = self.stake(market, coins, price)
            if not market.takes(coins, price) or (min_stake and stake < min_stake):
                reasons.append("below_minimum")  # Freqtrade would make it larger by up to 30 %
            if stake > max_stake and "margin_limit" not in reasons:
                reasons.append("margin_limit")  # Freqtrade would make it smaller
            if number(leverage) != self.ladder.leverage:
                reasons.append("leverage")
        if reasons:
            self.say(pair, "blocked", reasons)
            return 0.0
        self.scales[pair] = scale
        return stake

    def confirm_trade_entry(self, pair: str, current_time: datetime, side: str, **kwargs: Any) -> bool:  # type: ignore[override]
        """The last gate before a new group: what may have changed since its size was worked out."""
        now = utc(current_time)
        self.read_state(now)
        well = self.state[0] and self.state[1] and self.in_session(now) and not self.stopped
        if not well:
            self.say(pair, "blocked", ["connection"] if not (self.state[0] and self.state[1]) else ["session"])
        return well

    def custom_entry_price(  # type: ignore[override]
        self,
        pair: str,
        trade: Trade | None,
        current_time: datetime,
        proposed_rate: float,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> float:
        market, sign = self.market(pair), -1 if side == "short" else 1
        with localcontext(CONTEXT):
            now = on_grid(number(float(proposed_rate)), ONE, market.tick, up=sign < 0)
            group = self.group(trade) if trade is not None else None
            if trade is None or group is None or now is None:
                return float(now or proposed_rate)
            level, mode = int((entry_tag or "so0")[2:]), self.mode(trade)
            gap = self.ladder.gap(level, mode.recovery)
            price = self.ladder.price(market, group, mode.place, gap) if level else now
            if price is None:
                return proposed_rate
            if self.testing:  # a price that was passed already fills at the open, as it does on an exchange
                price = min(price, now) if sign > 0 else max(price, now)
            return float(price)

    # -- Freqtrade's callbacks: add-ons and trims

    def adjust_trade_position(  # type: ignore[override]
        self, trade: Trade, current_time: datetime, current_rate: float, max_stake: float, **kwargs: Any
    ) -> float | tuple[float, str] | None:
        now, market = utc(current_time), self.market(trade.pair)
        with localcontext(CONTEXT):
            group = self.group(trade)
            if group is None:
                return None
            amount = self.trims.pop(trade.id, ZERO)
            if amount:
                share = (amount + market.unit / 4) / number(float(trade.amount))
                return -float(number(float(trade.stake_amount)) * share), "trim"
            if trade.has_open_orders:
                return None
            wanted = self.wanted(trade, group, now)
            if wanted is None:
                return None
            price = wanted.price
            if self.testing:
                here = on_grid(number(float(current_rate)), ONE, market.tick, up=group.sign < 0) or price
                price = min(price, here) if group.sign > 0 else max(price, here)
            stake = self.stake(market, wanted.coins, price)
            if stake > max_stake:
                self.say(trade.pair, "blocked", ["margin_limit"])
                return None
            self.judged_for[trade.id] = self.changes
            return stake, wanted.tag

    def adjust_entry_price(  # type: ignore[override]
        self, trade: Trade, order: Order, current_time: datetime, current_order_rate: float, **kwargs: Any
    ) -> float | None:
        """Takes back an order that should not rest any more; the right one is placed in the same turn."""
        with localcontext(CONTEXT):
            group = self.group(trade)
            if group is None:
                return None  # a first entry that did not fill within a candle: the next signal tries again
            if self.judged_for.get(trade.id) == self.changes:
                return current_order_rate
            wanted = self.wanted(trade, group, utc(current_time), rests=True)
            if wanted is None or wanted.tag != order.ft_order_tag:
                return None
            market = self.market(trade.pair)
            if abs(number(float(current_order_rate)) - wanted.price) > market.tick / 2:
                return None
            if abs(number(float(order.safe_amount)) - wanted.coins) > market.unit / 2:
                return None
            self.judged_for[trade.id] = self.changes
            return current_order_rate

    def order_filled(self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs: Any) -> None:
        self.changes += 1
        now = utc(current_time)
        with localcontext(CONTEXT):
            group, mode = self.group(trade), self.mode(trade)
            if order.ft_order_side != trade.entry_side:
                if group is None:
                    self.say(pair, "closed", [trade.exit_reason or ""])
                else:
                    sold = number(float(order.safe_filled))
                    mode.reserved = str(number(mode.reserved) * group.amount / (group.amount + sold))
                    mode.trimmed = now.isoformat()
                    self.say(pair, "trimmed")
                    self.keep(trade, mode)
                return
            if group is None:
                return
            self.step(pair, group, order, mode)
            self.say(pair, "add_on" if group.fills > 1 else "opened")
            self.judge(trade, group, number(float(order.safe_price)), now)
            self.keep(trade, mode)

    def step(self, pair: str, group: Group, order: Order, mode: Mode) -> None:
        """Where the ladder stands after this fill."""
        market, tag = self.market(pair), order.ft_order_tag or ""
        if group.fills == 1:
            mode.scale, mode.last = str(self.scales.pop(pair, ONE)), str(group.first)
            if self.p["reserve_mode"] == "full":
                mode.reserved = str(self.ladder.required(market, group.sign, group.first, number(mode.scale)))
        elif tag.startswith("so") and self.ladder.reference != "average":
            gap = self.ladder.gap(int(tag[2:]), mode.recovery)
            price = self.ladder.price(market, group, mode.place, gap)
            mode.away, mode.last = str(mode.place.away + gap), str(price)

    # -- Freqtrade's callbacks: exits

    def custom_roi(self, pair: str, trade: Trade, current_time: datetime, **kwargs: Any) -> float | None:  # type: ignore[override]
        """The return at which the group closes: its target as a price on the grid, told as Freqtrade counts it."""
        with localcontext(CONTEXT):
            group = self.group(trade)
            if group is None or (self.trailing is not None and not self.mode(trade).recovery):
                return None
            target = self.target(trade, group)
            if target is None or (self.testing and not self.may_close(trade, group, target, utc(current_time))):
                return None
            nearly = target - group.sign * self.market(pair).tick / 5  # the high may touch the target exactly
            return float(trade.calc_profit_ratio(float(nearly)))

    def may_close(self, trade: Trade, group: Group, target: Decimal, now: datetime) -> bool:
        """Nobody knows what came first within a past candle: then the worse is taken."""
        candle, sign = self.candles[trade.pair].get(int(now.timestamp())), group.sign
        if candle is None:
            return True
        stop = self.stop(trade, group)
        low = candle.low if sign > 0 else candle.high
        if stop is not None and sign * (low - stop) <= 0:
            return False
        return not (group.fills > 1 and group.filled_at == now) or sign * (candle.close - target) >= 0

    def custom_stoploss(  # type: ignore[override]
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, after_fill: bool, **kwargs: Any
    ) -> float | None:
        with localcontext(CONTEXT):
            group = self.group(trade)
            if group is None:
                return None
            stop = self.nearest_stop(trade, group) if after_fill else self.trail(trade, group)
            if stop is None:
                return None
            if after_fill and self.testing and self.filled_at_once(trade, current_time):
                return self.share(trade, stop)
            return stoploss_from_absolute(float(stop), current_rate, trade.is_short, trade.leverage or 1.0) or None

    def filled_at_once(self, trade: Trade, now: datetime) -> bool:
        """Whether the last order was placed on this past candle: Freqtrade then counts the stop from the average."""
        done = [order for order in trade.orders if not order.ft_is_open and order.filled]
        return bool(done) and utc(done[-1].order_date) == utc(now)

    def custom_exit(self, pair: str, trade: Trade, current_rate: float, **kwargs: Any) -> str | None:  # type: ignore[override]
        if self.stopped:
            return "equity_stop"
        with localcontext(CONTEXT):
            group = self.group(trade)
            trail = self.trail(trade, group) if group is not None else None
            if group is not None and trail is not None and group.sign * (number(float(current_rate)) - trail) <= 0:
                return "trailing"
        return None
