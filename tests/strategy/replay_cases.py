"""Small but nasty strategies, markets and candles, for comparing replays with each other.

`cases()` draws them. Candles are drawn one after another while the slow replay looks on: many prices lie exactly
on a level, a target, a stop or a liquidation price of the group that is open, or one tick beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from replay_oracle import DAY, Oracle, OracleReplay, Slot, candle_of, exact

from bfai.strategy.ladder import LadderMarket, Tier
from bfai.strategy.parameters import Parameters, Severity, StrategyError, check, read

D = Decimal
Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
PAIRS = ("BTC/USDT", "ETH/USDT", "XRP/USDT")
MONDAY = 1_780_272_000  # 2026-06-01, 00:00 UTC
INTERVALS = (60, 300, 900, 3_600, 14_400, DAY)


@dataclass(frozen=True)
class Case:
    """The arguments of a replay. `candles`: rows of time (seconds), open, high, low, close, volume."""

    parameters: Parameters
    markets: Mapping[str, LadderMarket]
    candles: Mapping[str, list[Row]]
    balance: Decimal
    signals: Any
    interval: int

    @property
    def times(self) -> list[int]:
        return sorted({row[0] for rows in self.candles.values() for row in rows})


class Choices:
    """Reads choices off a row of bytes; where it has ended, and for zeros, the first value is taken.

    One row, and not one draw for each choice: hypothesis would mostly try what lies next to a case that it has
    tried already, by copying one draw over another.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw, self.place = raw, 0

    def bytes(self, count: int) -> bytes:
        found = self.raw[self.place : self.place + count]
        self.place += count
        return found.ljust(count, b"\0")

    def one_of(self, *values: Any) -> Any:
        return values[self.bytes(1)[0] % len(values)]

    def mostly(self, usual: Any, *others: Any) -> Any:
        """Three times out of four the usual value: many nasty values at once make a case of nothing."""
        return self.one_of(*(usual,) * (3 * len(others)), *others)

    def between(self, least: int, most: int) -> int:
        return least + self.bytes(1)[0] % (most - least + 1)


# -- strategies --------------------------------------------------------------------------------------------------------


def recoveries(draw: Choices) -> dict[str, Any]:
    if draw.one_of(False, False, False, True):
        return {"enabled": False, "red_drawdown_pct": draw.one_of(None, None, "2", "20")}
    drawdown = draw.one_of("5", "1", "2", "3", "8", "12", "50")
    cautious = Decimal(drawdown) > 1 and draw.one_of(False, False, True)
    return {
        "drawdown_pct": drawdown,
        "addons_left": draw.mostly(0, 1, 2, 20),
        "margin_used_pct": draw.mostly("100", "75", "30"),
        "max_group_age_h": draw.mostly(None, 1, 12, 48),
        "liq_distance_pct": draw.one_of(None, "1", "10", "30"),
        "on_worsening_signal": draw.one_of(True, True, False),
        "cautious": cautious,
        "cautious_drawdown_pct": "0.7" if cautious else "3",
        "addons": draw.one_of("strict", "strict", "strict", "none"),
        "step_factor": draw.one_of("1.5", "1", "3"),
        "size_factor": draw.one_of("0.5", "1", "0.1"),
        "take_profit_pct": draw.one_of("0.3", "0", "10", "10"),
        "margin_cap_pct": draw.one_of("90", "50", "100"),
        "trim": draw.one_of(False, True),
        "trim_pct": draw.one_of("4", "0.5", "50", "10"),
        "trim_every_h": draw.one_of(1, 1, 4, 24),
        "loss_allowance_pct": draw.one_of("0.5", "0.1", "20"),
        "return_mode": draw.one_of("never", "auto", "auto", "auto", "manual"),
        "red_drawdown_pct": draw.one_of(None, None, None, "2", "10", "40"),
    }


def parameter_set(draw: Choices, interval: int, price: Decimal) -> Parameters:
    futures = draw.one_of(False, True)
    fields: dict[str, Any] = {
        "market": "futures" if futures else "spot",
        "pairs": list(PAIRS[: draw.one_of(1, 1, 2, 3)]),
        "directions": draw.one_of(["long"], ["short"], ["long", "short"], ["short", "long"]) if futures else ["long"],
        "leverage": draw.mostly(2, 1, 3, 10, 20) if futures else 1,
        "amount_basis": draw.one_of("notional", "margin") if futures else "notional",
        "reserve_mode": draw.mostly("filled", "full"),
        "deposit_load_max": draw.mostly("100", "50", "12"),
        "first_entry_size": draw.mostly("100", "37.5", "250"),
        "addon_mode": draw.one_of(*["ladder"] * 4, *["zones"] * 3, "strict", "strict", "off"),
        "addon_size": draw.one_of(None, "100", "20", "300"),
        "addon_multiplier": draw.one_of("1", "1.3", "0.5", "2"),
        "addon_step_pct": draw.one_of("2", "1.5", "0.1", "1", "5", "10", "40"),
        "addon_step_multiplier": draw.one_of("1", "1.2", "0.5", "2"),
        "addon_step_reference": draw.one_of("base", "previous", "average"),
        "addon_max_count": draw.mostly(3, 0, 1, 2, 6, 9),
        "addon_resting": draw.one_of(1, 1, 2, 3, 10),
        "addon_cooldown": min(draw.one_of(0, 0, interval, 2 * interval - 1, 3 * interval), DAY),
        "zone_width_pct": draw.one_of("1", "0", "3", "10"),
        "require_avg_improvement": draw.one_of(True, True, False),
        "take_profit_pct": draw.one_of("1.2", "1.2", "5", "5", "0.1", "30", "95"),
        "take_profit_basis": draw.one_of("average_net", "average_gross", "margin_net"),
        "trailing": draw.one_of(
            None,
            None,
            {"activation_pct": "1", "delta_pct": "0.5"},
            {"activation_pct": "5", "delta_pct": "2.5"},
            {"activation_pct": "20", "delta_pct": "15"},
        ),
        "stop_loss_pct": draw.one_of(None, None, "50", "10", "3", "99"),
        "stop_loss_basis": draw.one_of("average", "base"),
        "entry_order_type": draw.one_of("market", "limit"),
        "addon_order_type": draw.one_of("limit", "market"),
        "exit_order_type": draw.one_of("limit", "market"),
        "max_groups": draw.mostly(6, 1, 2, 3),
        "cooldown_after_close": min(draw.one_of(0, 0, interval, 2 * interval + 1, 5 * interval), 2_592_000),
        "max_daily_loss_pct": draw.one_of(None, None, "0.5", "4", "50"),
        "max_loss_streak": draw.one_of(None, None, 1, 2, 3),
        "reinvest_pct": draw.one_of("0", "0", "50", "100"),
        "recovery": recoveries(draw),
    }
    total = draw.mostly("100000", "100%", "30%", "900", "350")
    of_one = {"100%": ("100%", None, "20%", "7%"), "30%": ("20%", None, "5%")}
    fields["margin_limit_total"] = total
    fields["margin_limit_pair"] = draw.one_of(*of_one.get(total, ("340", "100%", None, "50%", "120", "260")))
    if draw.mostly(False, True):
        away, steps = D(0), []
        for _ in range(draw.between(1, 5)):
            away += D(draw.one_of("1", "0.01", "7", "22"))
            if away <= 99:
                steps.append({"deviation_pct": str(away), "size": draw.one_of("100", "20", "333.33", "1")})
        fields["custom_steps"] = steps
    if draw.one_of(*[False] * 7, True):
        fields["session"] = draw.one_of(
            [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "00:00", "end": "24:00"}],
            [{"days": ["mon", "wed", "sun"], "start": "08:30", "end": "23:45"}],
            [
                {"days": ["mon", "tue", "sat"], "start": "23:40", "end": "24:00"},
                {"days": ["tue", "wed", "sun"], "start": "00:00", "end": "00:05"},
            ],
        )
    condition = draw.mostly("immediate", "price", "rsi", "signal")
    fields["start_condition"] = condition
    if condition == "price":
        fields["start_price"] = str(price * draw.one_of(D(1), D("0.95"), D("1.05")))
    if condition == "rsi":
        fields["start_rsi"] = draw.one_of(30, 50, 70, 99)
    return read(fields)


# -- markets -----------------------------------------------------------------------------------------------------------


def market_rules(draw: Choices, parameters: Parameters, tick: Decimal, price: Decimal) -> LadderMarket:
    p = parameters
    # So that an order is some steps or very many of them.
    coins = D(10) ** (p.first_entry_size / price).adjusted() * draw.one_of(D("0.001"), D("0.000001"), D("0.1"))
    fees = {
        "maker": draw.one_of(D(0), D("0.001"), D("0.0002"), D("-0.0003"), D("0.01")),
        "taker": draw.one_of(D(0), D("0.001"), D("0.0006"), D("0.012")),
        "min_cost": draw.mostly(D(5), D(60), None),
    }
    if p.market == "spot":
        return LadderMarket(
            type="spot",
            tick_size=tick,
            step_size=coins,
            min_amount=draw.mostly(coins, None, coins * 40),
            fee_side=draw.one_of("quote", "quote", "base"),
            **fees,
        )
    contract = draw.one_of(D(1), D("0.01"), D(10))
    far = draw.one_of(D(150), D(290), D(1000))
    low, high = D("0.004"), draw.one_of(D("0.01"), D("0.1"))
    return LadderMarket(
        type="linear_swap",
        tick_size=tick,
        step_size=coins / contract,
        contract_size=contract,
        min_amount=draw.mostly(coins / contract, None, coins / contract * 40),
        liquidation_model=draw.one_of("mark_maintenance", "entry_maintenance", "worse", None),
        liquidation_fee=draw.one_of(D(0), D("0.0006")),
        tiers=draw.one_of(
            (Tier(D(0), low),),
            (Tier(D(0), low), Tier(far, high)),
            (Tier(D(0), low), Tier(far, high, far * (high - low))),
            (Tier(D(0), D(0)), Tier(D(90), low), Tier(far, high)),
        ),
        **fees,
    )


# -- signals -----------------------------------------------------------------------------------------------------------


def source(draw: Choices, parameters: Parameters, times: list[int], interval: int) -> Any:
    kind = draw.one_of(None, None, None, "always", "always", "rsi", "ema", "list")
    if kind is None:
        return None
    if kind == "always":
        return ("always",)
    if kind == "rsi":
        return ("rsi", draw.one_of(2, 3, 5, 14), draw.one_of(30, 50, 65, 90))
    if kind == "ema":
        fast = draw.one_of(1, 2, 4)
        return ("ema", fast, fast + draw.one_of(1, 2, 5))
    asked: list[tuple[int, str, str]] = []
    for _ in range(draw.between(0, 30)):
        at = draw.one_of(*times) + draw.one_of(0, 0, 1 - interval, 1, -3 * interval, interval // 2)
        pair = draw.one_of(*parameters.pairs, parameters.pairs[0], "DOGE/USDT")
        asked.append((at, pair, draw.one_of("long", "long", "short")))
    return sorted(asked)


# -- candles -----------------------------------------------------------------------------------------------------------


def landmarks(oracle: Oracle, pair: str, price: Fraction) -> list[Fraction]:
    """Prices at which something happens to the groups of a pair, or would to a group opened at this price."""
    tick = exact(oracle.markets[pair].tick_size)
    found: list[Fraction | None] = []
    for slot in oracle.slots:
        if slot.pair == pair:
            found += _of_slot(oracle, slot, price)
    on_grid = {round(one / tick) * tick for one in found if one is not None}
    return sorted(one for one in on_grid if one > 0)


def _of_slot(oracle: Oracle, slot: Slot, price: Fraction) -> list[Fraction | None]:
    p, group, sign = oracle.p, slot.group, slot.sign
    if group is None:
        gaps, _ = oracle.plan()
        away = sum(gaps[:1], Fraction(0)) / 100
        stop = exact(p.stop_loss_pct or 0) / 100
        first = oracle.entry_grid(oracle.markets[slot.pair], sign, price * (1 - sign * away))
        return [first, price * (1 - sign * stop), price * (1 + sign * exact(p.take_profit_pct) / 100)]
    found = [oracle.level_price(group, k) for k in range(1, len(group.gaps) + 1) if k not in group.levels][:2]
    found += [oracle.target(group), oracle.stop(group), oracle.liquidation(group), group.average, group.first]
    if p.trailing is not None:
        found.append(oracle.activation(group))
        if group.best is not None:
            found.append(oracle.exit_grid(group, group.best * (1 - sign * exact(p.trailing.delta_pct) / 100)))
    r = p.recovery
    for percent in (r.drawdown_pct, r.drawdown_pct / 2, r.cautious_drawdown_pct if r.cautious else Decimal(0)):
        found.append(group.average * (1 - sign * exact(percent) / 100))
    nearer = [sum(group.gaps[:k], Fraction(0)) - exact(p.zone_width_pct) for k in range(1, len(group.gaps) + 1)]
    return found + [group.first * (1 - sign * away / 100) for away in nearer[:2]]


FLAT, CALM, USUAL, WILD = 0, 1, 4, 15
"""How far prices usually move in a candle, percent."""


class Draughtsman:
    """Makes a candle of six bytes: zeros are a candle on which nothing happens."""

    def __init__(self, oracle: Oracle, pair: str, price: Decimal, scale: int) -> None:
        self.oracle, self.pair, self.scale = oracle, pair, scale
        self.last = exact(price)
        self.tick = exact(oracle.markets[pair].tick_size)

    def near(self, price: Fraction, byte: int, way: int, marks: list[Fraction]) -> Fraction:
        """A price on this side (`way` -1 or 1) of another."""
        kind, detail = byte % 16, byte // 16
        percent = Fraction(0)
        if kind in (4, 5):
            return price + way * self.tick * (1 + detail)
        if kind in (6, 7, 8):
            percent = Fraction(self.scale * (1 + detail), 16)
        elif kind == 9:
            percent = Fraction(self.scale * 2)
        elif kind == 10 and detail < 5 and self.scale == WILD:
            percent = Fraction(60)
        elif kind >= 11:
            there = [one for one in marks if way * (one - price) >= 0]
            there.sort(key=lambda one: abs(one - price))
            if there:
                beside = (0, 0, 0, -1, 1)[kind - 11]
                return there[detail % min(len(there), 4)] + beside * self.tick
        return price * (1 + way * percent / 100)

    def row(self, t: int, raw: bytes) -> Row:
        opened, marks = self.last, landmarks(self.oracle, self.pair, self.last)
        if raw[0] % 4 == 3:  # a gap between candles
            opened = self.grid(self.near(opened, raw[1], -1 if raw[0] < 128 else 1, marks))
        low = min(self.grid(self.near(opened, raw[2], -1, marks)), opened)
        high = max(self.grid(self.near(opened, raw[3], 1, marks)), opened)
        inside = [one for one in marks if low <= one <= high]
        choices = [opened, low, high, self.grid((low + high) / 2), *inside]
        closed = choices[raw[4] % len(choices)]
        self.last = closed
        beside = (D(0), D(0), D(0), D("0.25"), D("-0.25"))[raw[5] % 5 if low > self.tick else 0]
        first, highest, lowest, last = (self.written(price, beside) for price in (opened, high, low, closed))
        return (t, first, highest, lowest, last, D(raw[5]))

    def grid(self, price: Fraction) -> Fraction:
        return max(round(price / self.tick), 1) * self.tick

    def written(self, price: Fraction, beside: Decimal) -> Decimal:
        return (round(price / self.tick) + beside) * self.oracle.markets[self.pair].tick_size


HEAD, ROW = 200, 1 + 6 * len(PAIRS)
"""So many bytes for the parameters, and for each candle time: where it lies, and a candle of each pair."""


def case_of(raw: bytes) -> Case | None:
    """None where the parameters contradict each other."""
    draw, rows = Choices(raw[:HEAD]), [raw[place : place + ROW] for place in range(HEAD, len(raw), ROW)]
    interval = draw.one_of(*INTERVALS)
    tick = draw.one_of(D("0.01"), D("0.1"), D(1), D(5))
    price = tick * draw.one_of(100, 1000, 20, 60_000, 97)
    parameters = parameter_set(draw, interval, price)
    if any(problem.severity is Severity.ERROR for problem in check(parameters)):
        return None
    markets = {pair: market_rules(draw, parameters, tick, price) for pair in parameters.pairs}
    balance = draw.mostly(D(10_000), D(1000), D(333), D(100_000))

    t = MONDAY + DAY * draw.between(0, 6)
    if interval < DAY:
        t += draw.one_of(0, DAY - 5 * interval, DAY // 2)
    times: list[int] = []
    for row in rows:
        t += interval * {254: 4, 253: 4, 252: DAY // interval + 1}.get(row[0], 1)
        times.append(t)
    signals = source(draw, parameters, times, interval)

    oracle = Oracle(parameters, markets, balance=balance, signals=signals)
    hands = {
        pair: Draughtsman(oracle, pair, price * draw.one_of(1, 1, 3), draw.one_of(USUAL, USUAL, CALM, WILD, FLAT))
        for pair in parameters.pairs
    }
    candles: dict[str, list[Row]] = {pair: [] for pair in parameters.pairs}
    sparse = draw.one_of(0, 0, 30, 128)  # of 256 candles, so many are missing
    for t, row in zip(times, rows, strict=True):
        now: dict[str, Row] = {}
        for place, pair in enumerate(parameters.pairs):
            six = row[1 + 6 * place : 7 + 6 * place]
            if t != times[0] and 255 - six[5] < sparse:
                continue
            now[pair] = hands[pair].row(t, six)
            candles[pair].append(now[pair])
        if now:
            oracle.candle(t, {pair: candle_of(row, exact(markets[pair].tick_size)) for pair, row in now.items()})
    return Case(parameters, markets, candles, balance, signals, interval)


@st.composite
def cases(draw: st.DrawFn, most: int = 120) -> Case:
    """Valid parameters with all that a replay needs; up to `most` candle times."""
    times = draw(st.integers(5, min(draw(st.sampled_from((30, 12, 30, 60, most))), most)))
    size = HEAD + times * ROW
    case = case_of(draw(st.binary(min_size=size, max_size=size)))
    assume(case is not None)
    assert case is not None
    return case


# -- making a case small -----------------------------------------------------------------------------------------------

PLAINER: tuple[dict[str, Any], ...] = (
    {"recovery": {"enabled": False}},
    *({f"recovery__{name}": None} for name in ("max_group_age_h", "liq_distance_pct", "red_drawdown_pct")),
    *({f"recovery__{name}": False} for name in ("trim", "cautious", "on_worsening_signal")),
    {"recovery__return_mode": "never"},
    {"recovery__addons_left": 0},
    {"recovery__margin_used_pct": "100"},
    {"recovery__step_factor": "1"},
    {"recovery__size_factor": "1"},
    *({name: None} for name in ("trailing", "stop_loss_pct", "max_daily_loss_pct", "max_loss_streak", "custom_steps")),
    {"session": []},
    {"addon_mode": "off"},
    {"addon_mode": "ladder"},
    {"addon_step_reference": "base"},
    {"addon_multiplier": "1"},
    {"addon_step_multiplier": "1"},
    {"addon_max_count": 1},
    {"addon_cooldown": 0},
    {"addon_resting": 1},
    {"cooldown_after_close": 0},
    {"reinvest_pct": "0"},
    {"reserve_mode": "filled"},
    {"take_profit_basis": "average_net"},
    {"stop_loss_basis": "average"},
    {"require_avg_improvement": True},
    {"deposit_load_max": "100"},
    {"max_groups": 6},
    {"margin_limit_pair": "100000", "margin_limit_total": "100000"},
    {"leverage": 1},
    {"amount_basis": "notional"},
    {"directions": ["long"]},
    {"start_condition": "immediate"},
)
FREE_OF: tuple[dict[str, Any], ...] = (
    {"maker": D(0), "taker": D(0)},
    {"fee_side": "quote"},
    {"min_amount": None, "min_cost": None},
    {"liquidation_model": None},
)


def reduced(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A small case that fails as well: without the candles, pairs and parameters that do not matter.

    Faster, and better at it, than hypothesis, which cannot know what a candle is. `fails` says whether a case does.
    """
    before = None
    while before != case:
        before = case
        count = len(case.times)
        while count := count // 2:
            start = 0
            while start < len(case.times):
                kept = case.times[:start] + case.times[start + count :]
                rows = {pair: [row for row in of_pair if row[0] in kept] for pair, of_pair in case.candles.items()}
                attempt = replace(case, candles=rows)
                if kept and fails(attempt):
                    case = attempt
                else:
                    start += count
        for attempt in _plainer(case):
            merged = attempt(case)
            if merged is not None and merged != case and fails(merged):
                case = merged
    return case


def _plainer(case: Case) -> Iterator[Callable[[Case], Case | None]]:
    for fields in PLAINER:
        yield lambda old, fields=fields: _with(old, fields)
    for pair in case.parameters.pairs:
        yield lambda old, pair=pair: _with(old, {"pairs": [one for one in old.parameters.pairs if one != pair]})
    for fields in FREE_OF:
        yield lambda old, fields=fields: replace(
            old, markets={pair: replace(market, **fields) for pair, market in old.markets.items()}
        )
    for signals in (("always",), None):
        yield lambda old, signals=signals: replace(old, signals=signals)


def _with(case: Case, fields: Mapping[str, Any]) -> Case | None:
    try:
        parameters = case.parameters.changed(**fields)
    except StrategyError:
        return None
    if any(problem.severity is Severity.ERROR for problem in check(parameters)):
        return None
    kept = {pair: rows for pair, rows in case.candles.items() if pair in parameters.pairs}
    return replace(case, parameters=parameters, candles=kept)


def seen_in(examples: int, replay: Callable[..., OracleReplay]) -> Counter[str]:
    """How many of so many cases met each word: outcomes, exits, reasons, difficulties."""
    met: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(cases())
    def look(case: Case) -> None:
        told = replay(case.parameters, case.markets, case.candles, balance=case.balance, signals=case.signals)
        met.update(
            {
                word
                for entry in told.log
                for word in (entry.outcome, entry.exit or "", *entry.reasons, *entry.difficulties)
            }
        )
        met.update({word for deal in told.deals for word in deal.difficulties})

    look()
    return met
