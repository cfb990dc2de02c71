"""May this strategy be enabled, what does it cost, what is wrong, and what is the smallest change that mends it.

Pure: everything comes in as `Facts`, nothing is fetched or stored. A missing minimum or balance is unknown and said so,
never taken for zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from bfai.diagnosis import CAUSE_NAMES
from bfai.exchanges import get_exchange
from bfai.i18n import N_
from bfai.model import (
    Connection,
    GrantState,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    TestRun,
)
from bfai.strategy.ladder import Ladder, LadderMarket, LadderPlan, Level, Tier, after_recovery, build
from bfai.strategy.limits import PairRules, liquidation_rule
from bfai.strategy.parameters import Fix, Parameters, Problem, Severity, check, written

FEE_ASSUMED: Final = Decimal("0.002")
"""Where neither exchange nor ccxt tells a fee: more than any of the ten takes of a newcomer on spot, Coinbase apart."""
_HUNDRED: Final = Decimal(100)
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gate has to know. `rules`: None is a pair that the exchange does not know, an absent one could not be
    fetched. Money is quote currency: `free` on the account as the last test saw it, `committed` what the other enabled
    strategies of the connection need when all their ladders fill; `equity` None counts as `free`.
    """

    connection: Connection | None
    run: TestRun | None
    rules: Mapping[str, PairRules | None]
    now: datetime
    rules_error: Message | None = None
    free: Decimal | None = None
    equity: Decimal | None = None
    committed: Decimal = Decimal(0)
    freshness: timedelta = timedelta(hours=24)
    market_max_age: timedelta = timedelta(hours=6)

    @property
    def worth(self) -> Decimal | None:
        return self.free if self.equity is None else self.equity


@dataclass(frozen=True)
class Review:
    """What a strategy comes to with these facts. Money is quote currency and None where it is not known."""

    problems: tuple[Problem, ...]
    ladders: Mapping[tuple[str, str], Ladder] = field(default_factory=lambda: dict(_NONE))
    recovery: Mapping[tuple[str, str], Ladder] = field(default_factory=lambda: dict(_NONE))
    required_per_group: Decimal | None = None
    groups: int = 0
    required_total: Decimal | None = None
    limit_per_group: Decimal | None = None
    deposit_load_pct: Decimal | None = None

    @cached_property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        return not self.errors


# -- from our words to the ladder's ------------------------------------------------------------------------------------


def ladder_market(rules: PairRules, leverage: int = 1) -> LadderMarket:
    """The ladder's market of a pair. Unknown fees are assumed (`FEE_ASSUMED`); without tiers no liquidation is told."""
    swap = rules.market is Market.FUTURES
    rule = liquidation_rule(rules.exchange) if swap else None
    fee = rule.fee_rate(rules) if rule is not None else None
    return LadderMarket(
        type="linear_swap" if swap else "spot",
        tick_size=rules.tick_size,
        step_size=rules.step_size,
        contract_size=rules.contract_size,
        min_amount=rules.min_amount,
        max_amount=rules.max_amount,
        min_cost=rules.min_cost,
        max_cost=rules.max_cost,
        maker=FEE_ASSUMED if rules.maker is None else rules.maker,
        taker=FEE_ASSUMED if rules.taker is None else rules.taker,
        liquidation_model=rule.family.value if rule is not None else None,
        liquidation_fee=fee or Decimal(0),
        tiers=_tiers(rules, leverage) if rule is not None else (),
    )


def _tiers(rules: PairRules, leverage: int) -> tuple[Tier, ...]:
    """Tiers by notional, rising. Where the exchange publishes no amount to take off, none is."""
    price = rules.price or Decimal(1)
    found: list[Tier] = []
    for told in rules.tiers_at(Decimal(leverage)):
        floor = told.min_notional(rules.contract_size, price) if found else Decimal(0)
        if not found or floor > found[-1].min_notional:
            found.append(Tier(floor, told.mmr, told.cum or Decimal(0)))
    return tuple(found)


def ladder_plan(
    parameters: Parameters, direction: str, entry_price: Decimal, *, limit_quote: Decimal | None = None
) -> LadderPlan:
    """The ladder's plan of a strategy for one direction from a price."""
    p = parameters
    steps = tuple((step.deviation_pct, step.size) for step in p.custom_steps) if p.custom_steps and p.addons else None
    return LadderPlan(
        side="short" if direction == "short" else "long",
        entry_price=entry_price,
        base_order_quote=p.first_entry_size,
        safety_order_quote=p.first_entry_size if p.addon_size is None else p.addon_size,
        volume_scale=p.addon_multiplier,
        step_pct=p.addon_step_pct,
        step_scale=p.addon_step_multiplier,
        step_reference=p.addon_step_reference,
        max_safety_orders=p.addons,
        take_profit_pct=p.take_profit_pct,
        take_profit_basis=p.take_profit_basis,
        stop_loss_pct=p.stop_loss_pct,
        stop_loss_basis=p.stop_loss_basis,
        base_order_type=p.entry_order_type,
        safety_order_type=p.addon_order_type,
        exit_order_type=p.exit_order_type,
        amount_basis=p.amount_basis if p.market is Market.FUTURES else "notional",
        leverage=Decimal(p.leverage if p.market is Market.FUTURES else 1),
        margin_limit_quote=limit_quote,
        custom_steps=steps,
    )


def recovery_level(parameters: Parameters) -> int | None:
    """The add-on after which Recovery Mode begins at the latest, or None where it never does."""
    if not parameters.recovery.enabled or parameters.addons == 0:
        return None
    return max(1, parameters.addons - parameters.recovery.addons_left)


# -- the review --------------------------------------------------------------------------------------------------------


def review(parameters: Parameters, facts: Facts, *, fixes: bool = True) -> Review:
    """Everything that is wrong or unwise, and what the strategy costs. `fixes` False leaves the suggestions out."""
    told = _judge(parameters, facts)
    if not fixes:
        return told
    mended = tuple(
        replace(problem, fixes=_fixes(parameters, facts, problem)) if _mendable(problem) else problem
        for problem in told.problems
    )
    return replace(told, problems=mended)


def gate(parameters: Parameters, facts: Facts) -> tuple[Problem, ...]:
    """The reasons against enabling it: all of them, each with what would mend it. Empty: it may be enabled."""
    return review(parameters, facts).errors


def _judge(parameters: Parameters, facts: Facts) -> Review:
    limit = _group_limit(parameters, facts.worth)
    ladders: dict[tuple[str, str], Ladder] = {}
    recovery: dict[tuple[str, str], Ladder] = {}
    problems = [*_connection(parameters, facts), *check(parameters)]
    for pair in parameters.pairs:
        rules = facts.rules.get(pair)
        problems += _pair(parameters, facts, pair, rules)
        if rules is None or rules.price is None:
            continue
        market = ladder_market(rules, parameters.leverage)
        for direction in parameters.directions:
            if direction == "short" and parameters.market is Market.SPOT:
                continue
            ladder = build(market, ladder_plan(parameters, direction, rules.price, limit_quote=limit))
            ladders[pair, direction] = ladder
            problems += _ladder(parameters, pair, ladder, rules)
            level = recovery_level(parameters)
            if level is not None and level < len(ladder.levels) and ladder.levels[level].reachable:
                r = parameters.recovery
                recovery[pair, direction] = after_recovery(
                    ladder,
                    level,
                    step_factor=r.step_factor,
                    size_factor=r.size_factor,
                    take_profit_pct=r.take_profit_pct,
                )
    per_group = max((ladder.summary.required_capital_quote for ladder in ladders.values()), default=None)
    groups = min(parameters.max_groups, len(parameters.pairs) * len(parameters.directions))
    total = None if per_group is None else per_group * groups
    if parameters.reserve_mode == "filled" and total is not None:
        firsts = [ladder.levels[0].capital_used_quote or Decimal(0) for ladder in ladders.values()]
        problems += _filled(facts, total)
        total = max(firsts) * groups
    load = None
    if total is not None and facts.worth:
        load = (total + facts.committed) / facts.worth * _HUNDRED
    problems += _money(parameters, facts, per_group, groups, total, limit, load)
    for (pair, _), ladder in ladders.items():
        problems += _unwise(parameters, facts, pair, ladder, groups)
    return Review(_ordered(problems), ladders, recovery, per_group, groups, total, limit, load)


def _ordered(problems: list[Problem]) -> tuple[Problem, ...]:
    """Errors first, in the order in which they were found; the same thing is said once."""
    once = {(problem.code, problem.pair, problem.field): problem for problem in reversed(problems)}
    found = [problem for problem in problems if once.pop((problem.code, problem.pair, problem.field), None)]
    return tuple(sorted(found, key=lambda problem: problem.severity is not Severity.ERROR))


def _problem(
    code: str, name: str, text: str, /, severity: Severity = Severity.ERROR, *, pair: str | None = None,
    level: int | None = None, **params: str | int | float,
) -> Problem:  # fmt: skip
    if pair is not None:
        params["pair"] = pair
    return Problem(code, severity, name, Message(text=text, params=params), pair=pair, level=level)


def _warning(code: str, name: str, text: str, /, *, pair: str | None = None, **params: str | int | float) -> Problem:
    return _problem(code, name, text, Severity.WARNING, pair=pair, level=None, **params)


def _group_limit(parameters: Parameters, worth: Decimal | None) -> Decimal | None:
    if parameters.margin_limit_pair is not None:
        return parameters.margin_limit_pair.quote(worth)
    total = parameters.margin_limit_total.quote(worth)
    return None if total is None else total / parameters.max_groups


def _connection(parameters: Parameters, facts: Facts) -> Iterator[Problem]:
    connection, run = facts.connection, facts.run
    if connection is None:
        yield _problem("connection_missing", "connection", N_("This strategy has no connection. Choose one."))
        return
    exchange = get_exchange(connection.target.exchange)
    names: dict[str, Any] = {"name": connection.name, "exchange": exchange.name}
    if connection.target.market is not parameters.market:
        text = N_("{name} is a connection for another market. Choose one for this market, or change the market.")
        yield _problem("market_mismatch", "market", text, **names)
    if run is None or connection.status is Status.UNTESTED:
        yield _problem("connection_not_tested", "connection", N_("{name} was not tested yet. Test it."), **names)
        return
    if run.started_at < connection.key_since:
        text = N_("The key of {name} is newer than its test. Test it.")
        yield _problem("connection_stale", "connection", text, **names)
    elif facts.now - run.started_at > facts.freshness:
        hours = int(facts.freshness.total_seconds() // 3600)
        text = N_("The last test of {name} is older than {hours} hours. Test it again.")
        yield _problem("connection_stale", "connection", text, hours=hours, **names)
    report = run.key_report or KeyReport()
    if connection.status is Status.BLOCKED and report.state(Permission.WITHDRAW) is GrantState.GRANTED:
        text = N_("The key of {name} can withdraw. Take that right away at {exchange}, then test again.")
        yield _problem("withdraw_enabled", "connection", text, **names)
    elif connection.status is Status.BLOCKED:
        text = N_("{exchange} does not tell whether the key of {name} can withdraw. Look there, then confirm it.")
        yield _problem("withdraw_unknown", "connection", text, **names)
    elif not connection.status.ok:
        cause = CAUSE_NAMES[run.diagnosis.cause] if run.diagnosis else N_("Unknown answer")
        text = N_("The last test of {name} failed: {cause}. Mend that, then test again.")
        yield _problem("connection_failed", "connection", text, cause=cause, **names)
    right = Permission.FUTURES_TRADE if parameters.market is Market.FUTURES else Permission.SPOT_TRADE
    code = "no_futures_permission" if right is Permission.FUTURES_TRADE else "no_trade_permission"
    if run.key_report is not None and report.state(right) is GrantState.DENIED:
        boxes = ", ".join(f"“{box}”" for box in exchange.boxes(right)) or exchange.name
        text = N_("The key of {name} may not trade here. Tick {boxes} at {exchange}, leave withdrawal off, test again.")
        yield _problem(code, "connection", text, boxes=boxes, **names)
    elif run.key_report is not None and report.state(right) is GrantState.UNKNOWN:
        text = N_("{exchange} does not tell whether the key of {name} may trade here.")
        yield _warning("trade_unknown", "connection", text, **names)


def _pair(parameters: Parameters, facts: Facts, pair: str, rules: PairRules | None) -> Iterator[Problem]:
    if facts.connection is None:
        return
    name = get_exchange(facts.connection.target.exchange).name
    report = facts.run.key_report if facts.run is not None else None
    allowed = report.pairs if report is not None else None
    if allowed and pair.replace("/", "") not in {re.sub(r"[^A-Z0-9]", "", one.upper()) for one in allowed}:
        yield _problem(
            "pair_not_allowed", "pairs", N_("This key may not trade {pair}. Add the pair to the key."), pair=pair
        )
    if rules is None and pair in facts.rules:
        text = N_("{exchange} has no {pair} on this market. Choose another pair.")
        yield _problem("pair_unknown", "pairs", text, pair=pair, exchange=name)
        return
    if rules is None:
        text = N_("The rules of {pair} could not be fetched from {exchange}. Fetch them again.")
        yield _problem("market_data_missing", "pairs", text, pair=pair, exchange=name)
        return
    if facts.now - rules.fetched_at > facts.market_max_age:
        yield _problem("market_data_stale", "pairs", N_("The rules of {pair} are old. Fetch them again."), pair=pair)
    if rules.active is False:
        text = N_("{exchange} has halted {pair}. Choose another pair.")
        yield _problem("pair_inactive", "pairs", text, pair=pair, exchange=name)
    elif rules.api_tradable is False:
        text = rules.why_not or N_("{exchange} takes no orders for {pair} by API. Choose another pair.")
        yield _problem("pair_not_api_tradable", "pairs", text, pair=pair, exchange=name)
    if rules.price is None:
        text = N_("{exchange} told no price of {pair}. Fetch it again.")
        yield _problem("market_data_missing", "pairs", text, pair=pair, exchange=name)
    most = rules.max_leverage if parameters.market is Market.FUTURES else None
    if most is not None and parameters.leverage > most:
        text = N_("{pair} allows at most {most}× leverage.")
        yield _problem("leverage_above_limit", "leverage", text, pair=pair, most=written(most))
    if rules.min_amount is None and rules.min_cost is None:
        text = N_("{exchange} tells no minimum for {pair}: a small order may be refused.")
        yield _warning("min_unknown", "first_entry_size", text, pair=pair, exchange=name)
    if rules.maker is None or rules.taker is None:
        text = N_("{exchange} tells no fees for {pair}: {fee} is assumed.")
        yield _warning("fees_unknown", "pairs", text, pair=pair, exchange=name, fee=f"{written(FEE_ASSUMED * 100)} %")
    if parameters.market is Market.FUTURES and not ladder_market(rules, parameters.leverage).tells_liquidation:
        text = N_("Where {pair} would be liquidated cannot be told: {exchange} publishes no rule for it.")
        yield _warning("liquidation_unknown", "leverage", text, pair=pair, exchange=name)


_VIOLATIONS: Mapping[str, tuple[str, str]] = {
    "duplicate_price": (
        "addon_step_pct",
        N_("{pair}: two orders lie on one price, as a step is smaller than the price grid."),
    ),
    "price_not_positive": ("addon_max_count", N_("{pair}: add-on {level} would lie at or below zero.")),
    "below_min_amount": ("first_entry_size", N_("{pair}: order {level} is smaller than {exchange} takes.")),
    "above_max_amount": ("first_entry_size", N_("{pair}: order {level} is larger than {exchange} takes.")),
    "below_min_cost": ("first_entry_size", N_("{pair}: order {level} costs less than {exchange} takes, {least}.")),
    "above_max_cost": ("first_entry_size", N_("{pair}: order {level} costs more than {exchange} takes.")),
    "margin_limit_exceeded": (
        "margin_limit_pair",
        N_("{pair}: a whole ladder needs {needed}; one group may use {limit}."),
    ),
    "liquidated_before_level": ("leverage", N_("{pair}: liquidation comes before add-on {level} is reached.")),
    "stop_inside_ladder": ("stop_loss_pct", N_("{pair}: the stop comes before add-on {level} is reached.")),
    "tp_not_above_fees": ("take_profit_pct", N_("{pair}: the target does not cover the fees.")),
}


def money(amount: Decimal, quote: str) -> str:
    """An amount as sentences name it: cents for what is counted in cents, else eight decimals at most."""
    places = Decimal("0.01") if quote in ("USDT", "USDC", "USD", "EUR", "FDUSD", "DAI") else Decimal("0.00000001")
    return f"{written(amount.quantize(places))} {quote}"


def _ladder(parameters: Parameters, pair: str, ladder: Ladder, rules: PairRules) -> Iterator[Problem]:
    name = get_exchange(rules.exchange).name
    told: set[str] = set()
    for violation in ladder.violations:
        if violation.code in told:
            continue
        told.add(violation.code)
        where, text = _VIOLATIONS[violation.code]
        if where == "first_entry_size" and violation.level > 0 and parameters.addon_size is not None:
            where = "addon_size"
        params: dict[str, str | int | float] = {"exchange": name}
        if violation.code == "below_min_cost" and rules.min_cost is not None:
            params["least"] = money(rules.min_cost, rules.quote)
        if violation.code == "margin_limit_exceeded":
            params["needed"] = money(ladder.summary.required_capital_quote, rules.quote)
            params["limit"] = money(ladder.plan.margin_limit_quote or Decimal(0), rules.quote)
        params["level"] = violation.level
        yield Problem(
            violation.code,
            Severity.ERROR,
            where,
            Message(text=text, params={**params, "pair": pair}),
            pair=pair,
            level=violation.level,
        )


def _filled(facts: Facts, all_ladders: Decimal) -> Iterator[Problem]:
    if facts.free is not None and all_ladders > facts.free - facts.committed:
        text = N_("Only first orders are reserved: if all ladders fill, the money runs out.")
        yield _warning("filled_without_money", "reserve_mode", text)


def _money(
    parameters: Parameters,
    facts: Facts,
    per_group: Decimal | None,
    groups: int,
    total: Decimal | None,
    limit: Decimal | None,
    load: Decimal | None,
) -> Iterator[Problem]:
    quote = parameters.quote
    if facts.free is None and facts.connection is not None:
        text = N_("The free {quote} of this account is not known. Test the connection.")
        yield _warning("balance_unknown", "connection", text, quote=quote)
    if per_group is None or total is None:
        return
    total_limit = parameters.margin_limit_total.quote(facts.worth)
    if total_limit is not None and total > total_limit:
        text = N_("{groups} groups need {needed}, more than the limit of all groups, {limit}.")
        yield _problem(
            "margin_limit_exceeded", "margin_limit_total", text,
            groups=groups, needed=money(total, quote), limit=money(total_limit, quote),
        )  # fmt: skip
    if limit is not None and limit and per_group <= limit and per_group > limit * Decimal("0.8"):
        text = N_("One group needs more than 80 % of its limit.")
        yield _warning("near_limit", "margin_limit_pair", text)
    if facts.free is not None and total > facts.free - facts.committed:
        left = max(Decimal(0), facts.free - facts.committed)
        text = N_("{groups} groups need {needed}; {left} is free for them.")
        yield _problem(
            "insufficient_balance", "first_entry_size", text,
            groups=groups, needed=money(total, quote), left=money(left, quote),
        )  # fmt: skip
    if load is not None and load > parameters.deposit_load_max:
        text = N_("With all enabled strategies {load} % of the account would be committed, more than {most} %.")
        yield _problem(
            "deposit_load_exceeded", "deposit_load_max", text,
            load=written(load.quantize(Decimal("0.1"))), most=written(parameters.deposit_load_max),
        )  # fmt: skip
    if facts.worth and per_group > facts.worth / 4:
        yield _warning("group_large", "first_entry_size", N_("One group takes more than a quarter of the account."))


def _unwise(parameters: Parameters, facts: Facts, pair: str, ladder: Ladder, groups: int) -> Iterator[Problem]:
    reached: list[Level] = [level for level in ladder.levels if level.reachable and level.price is not None]
    if not reached:
        return
    first, last = reached[0].price, reached[-1]
    assert first is not None
    if parameters.addons and first * parameters.addon_step_pct / 100 < 3 * ladder.market.tick_size:
        text = N_("{pair}: a step is less than three price ticks.")
        yield _warning("step_few_ticks", "addon_step_pct", text, pair=pair)
    if last.rebound_to_take_profit_pct is not None and last.rebound_to_take_profit_pct > 10:
        text = N_("{pair}: after the last add-on the price must come back {rebound} % to reach the target.")
        rebound = written(last.rebound_to_take_profit_pct.quantize(Decimal("0.1")))
        yield _warning("rebound_far", "addon_step_pct", text, pair=pair, rebound=rebound)
    end = last.liquidation_price
    if end is not None and last.price is not None and abs(last.price - end) < first / 10:
        text = N_("{pair}: liquidation lies close behind the last add-on.")
        yield _warning("liquidation_close", "leverage", text, pair=pair)
    floor = ladder.market.min_cost
    costs = [level.cost_quote for level in reached if level.cost_quote is not None]
    if floor and any(floor <= cost < floor * Decimal("1.05") for cost in costs):
        text = N_("{pair}: an order is less than 5 % above the smallest that is taken.")
        yield _warning("min_close", "first_entry_size", text, pair=pair)
    loss = None if last.loss_at_stop_quote is None else -last.loss_at_stop_quote
    if loss is not None and facts.worth:
        if parameters.market is Market.FUTURES and loss > facts.worth / 100:
            text = N_("{pair}: a stop after the last add-on would cost more than 1 % of the account.")
            yield _warning("stop_costly", "stop_loss_pct", text, pair=pair)
        if loss * groups > facts.worth / 2:
            text = N_("If all groups are stopped, more than half of the account is gone.")
            yield _warning("stops_ruinous", "stop_loss_pct", text)


# -- what would mend it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Way:
    """A field that may mend a problem: towards which bound, in steps of what size, and how the change is said."""

    field: str
    bound: Decimal
    step: Decimal
    text: str


_SIZE_LESS: Final = N_("Reduce the first order to {value}")
_SIZE_MORE: Final = N_("Raise the first order to {value}")
_FEWER: Final = N_("At most {value} add-ons")
_CENT, _TENTH, _ONE = Decimal("0.01"), Decimal("0.1"), Decimal(1)
_LESS_MONEY: Final = _Way("size", _CENT, _CENT, _SIZE_LESS)
_LESS_GROUPS: Final = _Way("max_groups", _ONE, _ONE, N_("At most {value} groups at a time"))
_LESS_ADD_ONS: Final = _Way("addon_max_count", Decimal(0), _ONE, _FEWER)
_WAYS: Mapping[str, tuple[_Way, ...]] = {
    "below_min_amount": (_Way("size", Decimal(10**7), _CENT, _SIZE_MORE),),
    "below_min_cost": (_Way("size", Decimal(10**7), _CENT, _SIZE_MORE),),
    "above_max_amount": (_LESS_MONEY, _LESS_ADD_ONS),
    "above_max_cost": (_LESS_MONEY, _LESS_ADD_ONS),
    "margin_limit_exceeded": (_LESS_MONEY, _LESS_ADD_ONS, _LESS_GROUPS),
    "insufficient_balance": (_LESS_MONEY, _LESS_ADD_ONS, _LESS_GROUPS),
    "deposit_load_exceeded": (_LESS_MONEY, _LESS_ADD_ONS, _LESS_GROUPS),
    "price_not_positive": (
        _LESS_ADD_ONS,
        _Way("addon_step_pct", _TENTH, _TENTH, N_("Steps of {value} %")),
    ),
    "duplicate_price": (_Way("addon_step_pct", Decimal(50), _TENTH, N_("Steps of {value} %")),),
    "stop_inside_ladder": (
        _Way("stop_loss_pct", Decimal(99), _TENTH, N_("Stop at {value} %")),
        _LESS_ADD_ONS,
    ),
    "liquidated_before_level": (
        _Way("leverage", _ONE, _ONE, N_("Leverage {value}")),
        _LESS_ADD_ONS,
    ),
    "leverage_above_limit": (_Way("leverage", _ONE, _ONE, N_("Leverage {value}")),),
    "tp_not_above_fees": (_Way("take_profit_pct", Decimal(100), _CENT, N_("Take profit at {value} %")),),
}


_WHOLE: Final = frozenset({"addon_max_count", "leverage", "max_groups"})


def _mendable(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR and problem.code in _WAYS and not problem.fixes


def _fixes(parameters: Parameters, facts: Facts, problem: Problem) -> tuple[Fix, ...]:
    found = (_fix(parameters, facts, problem, way) for way in _WAYS[problem.code])
    return tuple(fix for fix in found if fix is not None)


def _fix(parameters: Parameters, facts: Facts, problem: Problem, way: _Way) -> Fix | None:
    """The smallest change of this field that ends the problem, if possible without bringing another one; None where
    none does.
    """
    name = way.field
    if name == "size":
        name = "first_entry_size"
        if parameters.addon_size is not None and (problem.field == "addon_size" or way.text == _SIZE_LESS):
            name = "addon_size"
    step = way.step
    if name in ("first_entry_size", "addon_size") and money(_CENT, parameters.quote).startswith("0.01000000"):
        step = Decimal("0.00000001")
    now = getattr(parameters, name)
    if now is None or (name == "addon_max_count" and parameters.custom_steps):
        return None
    start, bound = Decimal(now), way.bound
    up = bound > start
    if start == bound:
        return None
    before = _ladder_codes(_judge(parameters, facts))

    def mends(value: Decimal) -> bool:
        return (problem.code, problem.pair) not in _ladder_codes(_judge(_changed(parameters, name, value), facts))

    def mends_alone(value: Decimal) -> bool:
        codes = _ladder_codes(_judge(_changed(parameters, name, value), facts))
        return (problem.code, problem.pair) not in codes and codes <= before

    low, high = 1, int(abs(bound - start) / step) + 1

    def at(steps: int) -> Decimal:
        if up:
            return min(bound, (start / step).to_integral_value(ROUND_FLOOR) * step + steps * step)
        least = (start / step).to_integral_value(ROUND_FLOOR) * step
        return max(bound, (least if least < start else start) - (steps - (1 if least < start else 0)) * step)

    reach = _first_that_holds(mends_alone, at, low, high)
    if reach is None:
        reach = _first_that_holds(mends, at, low, high)
    if reach is None:
        return None
    value = at(reach)
    shown = money(value, parameters.quote) if name in ("first_entry_size", "addon_size") else written(value)
    text = way.text
    if name == "addon_size":
        text = N_("Reduce the add-ons to {value}") if text == _SIZE_LESS else N_("Raise the add-ons to {value}")
    whole = name in _WHOLE
    return Fix(name, int(value) if whole else written(value), Message(text=text, params={"value": shown}))


def _first_that_holds(
    holds: Callable[[Decimal], bool], at: Callable[[int], Decimal], low: int, high: int
) -> int | None:
    """The least number of steps at which it holds, found by doubling and then halving; None where it never does.

    Further than the first place where it holds another rule may break, so the search goes up from the start.
    """
    reach = low
    while not holds(at(reach)):
        if reach >= high:
            return None
        reach = min(high, reach * 2)
    least = reach // 2 + 1 if reach > low else low
    while least < reach:
        middle = (least + reach) // 2
        if holds(at(middle)):
            reach = middle
        else:
            least = middle + 1
    return reach


def _changed(parameters: Parameters, name: str, value: Decimal) -> Parameters:
    whole = name in _WHOLE
    return parameters.model_copy(update={name: int(value) if whole else value})


def _ladder_codes(told: Review) -> set[tuple[str, str | None]]:
    return {(problem.code, problem.pair) for problem in told.errors if problem.code in _WAYS}


def suggest_first_entry(parameters: Parameters, facts: Facts) -> Decimal | None:
    """The largest round first order that limits, balance and the exchange's minimums carry; None where none does, or
    nothing is known to go by. Two leading digits.
    """
    if facts.worth is None and _group_limit(parameters, None) is None:
        return None

    def carried(size: Decimal) -> bool:
        told = _judge(parameters.model_copy(update={"first_entry_size": size}), facts)
        return told.required_total is not None and not _ladder_codes(told)

    ceiling = _group_limit(parameters, facts.worth) or facts.worth or Decimal(0)
    digits = ceiling.adjusted() if ceiling else 0
    for power in range(digits, digits - 8, -1):
        for lead in range(95, 5, -5):
            size = Decimal(lead).scaleb(power - 1)
            if size <= ceiling and carried(size):
                return size.normalize() + 0
    return None


def smallest_first_entry(parameters: Parameters, facts: Facts) -> Decimal | None:
    """The smallest first order that the exchange takes with these parameters; None where its rules are not known."""
    least = parameters.model_copy(update={"first_entry_size": _CENT})
    told = review(least, facts)
    fixes = [fix for problem in told.errors for fix in problem.fixes if fix.text.text == _SIZE_MORE]
    return max((Decimal(fix.value) for fix in fixes), default=None) if told.ladders else None


# -- what a finished test means ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why no new groups may open. `needs_person`: a passed test alone does not resume the strategy."""

    text: Message
    needs_person: bool


def suspension(connection: Connection, run: TestRun | None, before: TestRun | None = None) -> Suspension | None:
    """What a connection's last test means for its enabled strategies; None lets them go on.

    `before` is the test before it: a key that lost its address list, or got a right that no document explains, needs a
    person. So does one that can withdraw. After any other failure the next passed test resumes.
    """
    params: dict[str, str | int | float] = {"name": connection.name}
    if connection.status is Status.UNTESTED or run is None:
        return Suspension(Message(text=N_("The key of {name} was changed and not tested since."), params=params), False)
    if connection.status is Status.BLOCKED:
        report = run.key_report
        granted = report is not None and report.state(Permission.WITHDRAW) is GrantState.GRANTED
        text = N_("The key of {name} can withdraw.") if granted else N_("Nobody can tell whether {name} can withdraw.")
        return Suspension(Message(text=text, params=params), True)
    if not connection.status.ok:
        params["cause"] = CAUSE_NAMES[run.diagnosis.cause] if run.diagnosis else N_("Unknown answer")
        return Suspension(Message(text=N_("The last test of {name} failed: {cause}."), params=params), False)
    old, new = (before.key_report if before else None), run.key_report
    if old is not None and new is not None and before is not None and before.id != run.id:
        bound = old.ip_restriction.state is GrantState.GRANTED
        if bound and new.ip_restriction.state is GrantState.DENIED:
            text = N_("The key of {name} is no longer bound to addresses.")
            return Suspension(Message(text=text, params=params), True)
        if set(new.unknown_words) - set(old.unknown_words):
            text = N_("The key of {name} got a right that no document explains.")
            return Suspension(Message(text=text, params=params), True)
    return None


# -- what can run it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a strategy on a market of an exchange today. `name` None: nothing does."""

    name: str | None
    text: str


_FREQTRADE = Engine("Freqtrade", N_("Freqtrade can run this strategy on {exchange}."))
_UNOFFICIAL = Engine("Freqtrade", N_("Freqtrade runs on {exchange} spot, without official support."))
_NO_ENGINE = Engine(None, N_("No engine trades {exchange} futures today: this can be planned, not run."))
_ENGINES: Mapping[tuple[str, Market], Engine] = {
    **{(name, market): _FREQTRADE for name in ("binance", "bybit", "bitget", "gate", "okx") for market in Market},
    ("bingx", Market.SPOT): _FREQTRADE,
    ("htx", Market.SPOT): _FREQTRADE,
    ("kucoin", Market.SPOT): _UNOFFICIAL,
    ("mexc", Market.SPOT): _UNOFFICIAL,
    ("coinbase", Market.SPOT): _UNOFFICIAL,
}
"""By Freqtrade 2026.9's own list of exchanges."""


def engine(exchange_id: str, market: Market) -> Engine:
    """What can run a strategy there. `text` is a message id about `{exchange}`."""
    return _ENGINES.get((exchange_id, market), _NO_ENGINE)
