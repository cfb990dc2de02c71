"""May this strategy be enabled, what does it cost, what is wrong, and what is the smallest change that mends it.

Pure: everything comes in as `Facts`, nothing is fetched or stored. A missing minimum or balance is unknown and said so,
never taken for zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import MAX_EMAX, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from bfai.diagnosis import CAUSE_NAMES
from bfai.exchanges import get_exchange
from bfai.i18n import CENTS, N_, NN_
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
from bfai.strategy.ladder import Ladder, LadderError, LadderMarket, LadderPlan, Level, Tier, after_recovery, build
from bfai.strategy.limits import PairRules, liquidation_rule
from bfai.strategy.parameters import Fix, Parameters, Problem, Severity, check, shown, written

FEE_ASSUMED: Final = Decimal("0.002")
"""Where neither exchange nor ccxt tells a fee: more than any of the ten takes of a newcomer on spot, Coinbase apart."""
_CENT: Final = Decimal("0.01")
_TENTH: Final = Decimal("0.1")
_ONE: Final = Decimal(1)
_HUNDRED: Final = Decimal(100)
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})
_WIDE: Final = Context(prec=400, Emax=MAX_EMAX)  # a steep ladder of a hundred add-ons needs absurd sums of money


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gate has to know. `rules`: None is a pair that the exchange does not know, an absent one could not be
    fetched. Money is quote currency: `free` on the account as the last test saw it, `committed` what the other enabled
    strategies of the connection need when all their ladders fill; `equity` None counts as `free`. `connections` are the
    ids of all connections, None where nobody looked.
    """

    connection: Connection | None
    run: TestRun | None
    rules: Mapping[str, PairRules | None]
    now: datetime
    rules_error: Message | None = None
    free: Decimal | None = None
    equity: Decimal | None = None
    committed: Decimal = Decimal(0)
    connections: frozenset[str] | None = None
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
    if rule is not None and fee is None:
        fee = FEE_ASSUMED
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
    if not fixes or told.ok:
        return told
    bench = _Bench(parameters, facts, told)
    return replace(told, problems=tuple(bench.mended(problem) for problem in told.problems))


def fixes_of(parameters: Parameters, facts: Facts, problem: Problem) -> tuple[Fix, ...]:
    """What would mend this one problem of the review."""
    return _Bench(parameters, facts, _judge(parameters, facts)).mended(problem).fixes


def gate(parameters: Parameters, facts: Facts) -> tuple[Problem, ...]:
    """The reasons against enabling it: all of them, each with what would mend it. Empty: it may be enabled."""
    return review(parameters, facts).errors


def _judge(parameters: Parameters, facts: Facts, only: Collection[str] | None = None) -> Review:
    """`only`: the pairs that are looked at, where the others cannot matter; Recovery Mode is then left out."""
    limit = _group_limit(parameters, facts.worth)
    ladders: dict[tuple[str, str], Ladder] = {}
    recovery: dict[tuple[str, str], Ladder] = {}
    problems = [*_connection(parameters, facts), *check(parameters)]
    for pair in parameters.pairs:
        if only is not None and pair not in only:
            continue
        rules = facts.rules.get(pair)
        problems += _pair(parameters, facts, pair, rules)
        if rules is None or rules.price is None:
            continue
        market = ladder_market(rules, parameters.leverage)
        for direction in parameters.directions:
            if direction == "short" and parameters.market is Market.SPOT:
                continue
            try:
                ladder = build(market, ladder_plan(parameters, direction, rules.price, limit_quote=limit or None))
            except LadderError as error:
                if not any(problem.code == "steps_not_rising" for problem in problems):
                    problems.append(Problem("no_ladder", Severity.ERROR, "addon_mode", error.message, pair=pair))
                continue
            ladders[pair, direction] = ladder
            problems += _ladder(parameters, pair, ladder, rules)
            level = recovery_level(parameters) if only is None else None
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
    groups = _groups(parameters)
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


def _groups(parameters: Parameters) -> int:
    """How many can be open at once: one a pair and direction."""
    return min(parameters.max_groups, len(parameters.pairs) * len(parameters.directions))


def planned_total(parameters: Parameters) -> Decimal:
    """What all groups need by their sizes alone, without fees: for where the rules of a pair are not known."""
    p = parameters
    sizes = [p.first_entry_size]
    if p.addons and p.reserve_mode == "full":
        size = p.first_entry_size if p.addon_size is None else p.addon_size
        own = [step.size for step in p.custom_steps or ()]
        sizes += own or [size * p.addon_multiplier**number for number in range(p.addons)]
    needed = sum(sizes, Decimal(0)) * _groups(p)
    return needed / p.leverage if p.market is Market.FUTURES and p.amount_basis == "notional" else needed


def _group_limit(parameters: Parameters, worth: Decimal | None) -> Decimal | None:
    if parameters.margin_limit_pair is not None:
        return parameters.margin_limit_pair.quote(worth)
    total = parameters.margin_limit_total.quote(worth)
    return None if total is None else total / parameters.max_groups


_SET_UP_FOR: Mapping[Market, str] = {Market.SPOT: N_("Set it up for spot"), Market.FUTURES: N_("Set it up for futures")}


def _separate(parameters: Parameters, facts: Facts, connection: Connection) -> Iterator[Problem]:
    """The other connection, on which new groups begin while an old one is in Recovery Mode."""
    name, other = "recovery.separate_connection_id", parameters.recovery.separate_connection_id
    if other is None or not parameters.recovery.enabled:
        return
    fix = Fix(name, None, Message(text=N_("Without another connection")))
    if other == connection.id:
        text = N_("The other connection for new groups must be another one than {name}.")
        yield replace(_problem("separate_same", name, text, name=connection.name), fixes=(fix,))
    elif facts.connections is not None and other not in facts.connections:
        text = N_("The other connection for new groups does not exist. Choose another one.")
        yield replace(_problem("separate_missing", name, text), fixes=(fix,))


def _connection(parameters: Parameters, facts: Facts) -> Iterator[Problem]:
    connection, run = facts.connection, facts.run
    if connection is None:
        yield _problem("connection_missing", "connection", N_("This strategy has no connection. Choose one."))
        return
    exchange = get_exchange(connection.target.exchange)
    names: dict[str, Any] = {"name": connection.name, "exchange": exchange.name}
    if connection.target.market is not parameters.market:
        text = N_("{name} is a connection for another market. Choose one for this market, or change the market.")
        fix = Fix("market", connection.target.market.value, Message(text=_SET_UP_FOR[connection.target.market]))
        yield replace(_problem("market_mismatch", "market", text, **names), fixes=(fix,))
    yield from _separate(parameters, facts, connection)
    if run is None or connection.status is Status.UNTESTED:
        yield _problem("connection_not_tested", "connection", N_("{name} was not tested yet. Test it."), **names)
        return
    asked_at = run.answered_at or run.started_at
    if asked_at < connection.key_since:
        text = N_("The key of {name} is newer than its test. Test it.")
        yield _problem("connection_stale", "connection", text, **names)
    elif facts.now - asked_at > facts.freshness:
        hours = int(facts.freshness.total_seconds() // 3600)
        text = N_("The last test of {name} is older than {hours} hours. Test it again.")
        yield _problem("connection_stale", "connection", text, hours=hours, **names)
    report = run.key_report or KeyReport()
    moves_money = connection.target.environment.touches_money or exchange.tests_take_live_keys
    if moves_money and report.state(Permission.WITHDRAW) is GrantState.GRANTED:
        text = N_("The key of {name} can withdraw. Take that right away at {exchange}, then test again.")
        yield _problem("withdraw_enabled", "connection", text, **names)
    elif Status.BLOCKED in (connection.status, run.status):
        text = N_("{exchange} does not tell whether the key of {name} can withdraw. Look there, then confirm it.")
        yield _problem("withdraw_unknown", "connection", text, **names)
    elif not (connection.status.ok and run.status.ok):
        cause = CAUSE_NAMES[run.diagnosis.cause] if run.diagnosis else N_("Unknown answer")
        text = N_("The last test of {name} failed: {t_cause}. Mend that, then test again.")
        yield _problem("connection_failed", "connection", text, t_cause=cause, **names)
    right = Permission.FUTURES_TRADE if parameters.market is Market.FUTURES else Permission.SPOT_TRADE
    code = "no_futures_permission" if right is Permission.FUTURES_TRADE else "no_trade_permission"
    if run.key_report is not None and report.state(right) is GrantState.DENIED:
        text = N_(
            "The key of {name} may not trade here. Tick {q_boxes} at {exchange}, leave the right to withdraw off, test"
            " again."
        )
        yield _problem(code, "connection", text, q_boxes="\n".join(exchange.boxes(right)), **names)
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
        told = facts.rules_error
        if told is None:
            text = N_("The rules of {pair} could not be fetched from {exchange}. Fetch them again.")
            told = Message(text=text, params={"pair": pair, "exchange": name})
        yield Problem("market_data_missing", Severity.ERROR, "pairs", told, pair=pair)
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
    if most is None and parameters.market is Market.FUTURES:
        most = max((tier.leverage for tier in rules.tiers or () if tier.leverage is not None), default=None)
    if most is not None and parameters.leverage > most:
        text = N_("{pair} allows at most {most}× leverage.")
        yield _problem("leverage_above_limit", "leverage", text, pair=pair, most=shown(most))
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
    "below_min_amount": ("size", N_("{pair}: add-on {level} is smaller than {exchange} takes.")),
    "above_max_amount": ("size", N_("{pair}: add-on {level} is larger than {exchange} takes.")),
    "below_min_cost": (
        "size",
        N_("{pair}: add-on {level} costs less than {m_least}, the least that {exchange} takes."),
    ),
    "above_max_cost": ("size", N_("{pair}: add-on {level} costs more than {exchange} takes.")),
    "margin_limit_exceeded": (
        "margin_limit_pair",
        N_("{pair}: a whole ladder needs {m_needed}; one group may use {m_limit}."),
    ),
    "liquidated_before_level": ("leverage", N_("{pair}: liquidation comes before add-on {level} is reached.")),
    "stop_inside_ladder": ("stop_loss_pct", N_("{pair}: the stop comes before add-on {level} is reached.")),
    "tp_not_above_fees": ("take_profit_pct", N_("{pair}: the target does not cover the fees.")),
}
_FIRST: Mapping[str, str] = {
    "price_not_positive": N_("{pair}: the price is below the grid of {exchange}."),
    "below_min_amount": N_("{pair}: the first order is smaller than {exchange} takes."),
    "above_max_amount": N_("{pair}: the first order is larger than {exchange} takes."),
    "below_min_cost": N_("{pair}: the first order costs less than {m_least}, the least that {exchange} takes."),
    "above_max_cost": N_("{pair}: the first order costs more than {exchange} takes."),
}
"""The same, where it is the first order."""


def _cents(quote: str) -> Decimal:
    """The smallest sum that is named in this currency."""
    return _CENT if quote in CENTS else Decimal("0.00000001")


def money(amount: Decimal, quote: str, rounding: str = ROUND_HALF_EVEN) -> str:
    """An amount as a sentence's parameter: cents for what is counted in cents, else eight decimals at most."""
    return f"{_rounded(amount, _cents(quote), rounding)} {quote}"


def _rounded(number: Decimal, to: Decimal, rounding: str = ROUND_HALF_EVEN) -> str:
    found = number.quantize(to, rounding=rounding, context=_WIDE)
    return f"{found.normalize(_WIDE):f}" if found else "0"


def _sums(needed: Decimal, limit: Decimal, quote: str) -> tuple[str, str]:
    """What is needed and what there is, so rounded that the first stays the larger."""
    return money(needed, quote, ROUND_CEILING), money(limit, quote, ROUND_FLOOR)


def _ladder(parameters: Parameters, pair: str, ladder: Ladder, rules: PairRules) -> Iterator[Problem]:
    name = get_exchange(rules.exchange).name
    told: set[tuple[str, str]] = set()
    for violation in ladder.violations:
        where, text = _VIOLATIONS[violation.code]
        if where == "size":
            where = "first_entry_size"
            if violation.level and parameters.custom_steps:
                where = "custom_steps"
            elif violation.level and parameters.addon_size is not None:
                where = "addon_size"
        elif parameters.custom_steps and where in ("addon_step_pct", "addon_max_count"):
            where = "custom_steps"
        if (violation.code, where) in told:
            continue
        told.add((violation.code, where))
        if not violation.level:
            text = _FIRST.get(violation.code, text)
        params: dict[str, str | int | float] = {"exchange": name, "pair": pair, "level": violation.level}
        if violation.code == "below_min_cost" and rules.min_cost is not None:
            params["m_least"] = money(rules.min_cost, rules.quote)
        if violation.code == "margin_limit_exceeded":
            limit = ladder.plan.margin_limit_quote or Decimal(0)
            params["m_needed"], params["m_limit"] = _sums(ladder.summary.required_capital_quote, limit, rules.quote)
        message = Message(text=text, params=params)
        yield Problem(violation.code, Severity.ERROR, where, message, pair=pair, level=violation.level)
    yield from _tier_leverage(parameters, pair, ladder, rules)


def _tier_leverage(parameters: Parameters, pair: str, ladder: Ladder, rules: PairRules) -> Iterator[Problem]:
    """Large positions are allowed less leverage."""
    if parameters.market is not Market.FUTURES or rules.price is None:
        return
    cost = ladder.summary.total_cost_quote
    reached = [
        tier
        for tier in rules.tiers_at(Decimal(parameters.leverage))
        if tier.min_notional(rules.contract_size, rules.price) <= cost
    ]
    most = reached[-1].max_leverage if reached else None
    if most is not None and parameters.leverage > most and (rules.max_leverage is None or most < rules.max_leverage):
        text = N_("{pair}: a position of {m_size} may have at most {most}× leverage.")
        least = shown(most.quantize(_TENTH, ROUND_FLOOR))
        size = money(cost, rules.quote)
        yield _problem("leverage_above_limit", "leverage", text, pair=pair, m_size=size, most=least)


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
        text = NN_(
            "{count} group needs {m_needed}, more than the limit of all groups, {m_limit}.",
            "{count} groups need {m_needed}, more than the limit of all groups, {m_limit}.",
        )
        needed, most = _sums(total, total_limit, quote)
        yield _problem("margin_limit_exceeded", "margin_limit_total", text, count=groups, m_needed=needed, m_limit=most)
    if limit is not None and limit and per_group <= limit and per_group > limit * Decimal("0.8"):
        text = N_("One group needs more than 80 % of its limit.")
        yield _warning("near_limit", "margin_limit_pair", text)
    if facts.free is not None and total > facts.free - facts.committed:
        left = max(Decimal(0), facts.free - facts.committed)
        text = NN_(
            "{count} group needs {m_needed}; {m_left} is free for it.",
            "{count} groups need {m_needed}; {m_left} is free for them.",
        )
        needed, there = _sums(total, left, quote)
        yield _problem("insufficient_balance", "first_entry_size", text, count=groups, m_needed=needed, m_left=there)
    if load is not None and load > parameters.deposit_load_max:
        text = N_("With all enabled strategies {load} % of the account would be committed, more than {most} %.")
        told = shown(load.quantize(_TENTH, ROUND_CEILING, context=_WIDE))
        most = shown(parameters.deposit_load_max)
        yield _problem("deposit_load_exceeded", "deposit_load_max", text, load=told, most=most)
    if facts.worth and per_group > facts.worth / 4:
        yield _warning("group_large", "first_entry_size", N_("One group takes more than a quarter of the account."))


def _unwise(parameters: Parameters, facts: Facts, pair: str, ladder: Ladder, groups: int) -> Iterator[Problem]:
    reached: list[Level] = [level for level in ladder.levels if level.reachable and level.price is not None]
    if not reached:
        return
    first, last = reached[0].price, reached[-1]
    assert first is not None
    gaps = [level.step_pct for level in ladder.levels[1:]]
    if gaps and first * min(gaps) / 100 < 3 * ladder.market.tick_size:
        text = N_("{pair}: a step is less than three price ticks.")
        yield _warning("step_few_ticks", "addon_step_pct", text, pair=pair)
    if last.rebound_to_take_profit_pct is not None and last.rebound_to_take_profit_pct > 10:
        text = N_("{pair}: after the last add-on the price must come back {rebound} % to reach the target.")
        rebound = shown(last.rebound_to_take_profit_pct.quantize(_TENTH, context=_WIDE))
        yield _warning("rebound_far", "addon_step_pct", text, pair=pair, rebound=rebound)
    end = last.liquidation_price
    if end is not None and last.price is not None and abs(last.price - end) < first / 10:
        text = N_("{pair}: liquidation lies close behind the last add-on.")
        yield _warning("liquidation_close", "leverage", text, pair=pair)
    sign = 1 if ladder.plan.side == "long" else -1
    ends = [(level.liquidation_price, level.stop_loss_price) for level in reached]
    if any(end is not None and stop is not None and sign * (end - stop) >= 0 for end, stop in ends):
        text = N_("{pair}: liquidation comes before the stop. Set a nearer stop, or less leverage.")
        yield _warning("stop_behind_liquidation", "stop_loss_pct", text, pair=pair)
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
    """A field that may mend a problem: up or down, to which bound at most, in steps of what size, and how it is said.

    Without a step it is money, counted in the smallest sum that is named.
    """

    field: str
    up: bool
    bound: Decimal
    step: Decimal | None
    text: str

    def places(self, now: Decimal, quote: str) -> tuple[Callable[[int], Decimal], int]:
        """The values on the way, nearest first, by their number from 1 on, and how many they are."""
        step = self.step or _cents(quote)
        bound = self.bound if self.up or self.step else step
        if (bound <= now) if self.up else (bound >= now):
            return (lambda _: now), 0
        rounding = ROUND_FLOOR if self.up else ROUND_CEILING
        from_now = (now / step).to_integral_value(rounding)
        count = abs((bound / step).to_integral_value(rounding) - from_now)
        sign = 1 if self.up else -1
        return (lambda number: (from_now + sign * number) * step), int(count)


_LESS_BASE: Final = _Way("first_entry_size", False, Decimal(0), None, N_("Reduce the first order to {m_value}"))
_MORE_BASE: Final = _Way("first_entry_size", True, Decimal(10**7), None, N_("Raise the first order to {m_value}"))
_LESS_ADDON: Final = _Way("addon_size", False, Decimal(0), None, N_("Reduce the add-ons to {m_value}"))
_MORE_ADDON: Final = _Way("addon_size", True, Decimal(10**7), None, N_("Raise the add-ons to {m_value}"))
_LESS_GROUPS: Final = _Way(
    "max_groups", False, _ONE, _ONE, NN_("At most {count} group at a time", "At most {count} groups at a time")
)
_LESS_ADD_ONS: Final = _Way(
    "addon_max_count", False, Decimal(0), _ONE, NN_("At most {count} add-on", "At most {count} add-ons")
)
_LESS_LEVERAGE: Final = _Way("leverage", False, _ONE, _ONE, N_("Leverage {value}"))
_STEPS: Final = N_("Steps of {value} %")
_TARGET: Final = N_("Take profit at {value} %")
_LESS: Final = (_LESS_BASE, _LESS_ADDON, _LESS_ADD_ONS)
_WAYS: Mapping[str, tuple[_Way, ...]] = {
    "below_min_amount": (_MORE_BASE, _MORE_ADDON),
    "below_min_cost": (_MORE_BASE, _MORE_ADDON),
    "above_max_amount": _LESS,
    "above_max_cost": _LESS,
    "margin_limit_exceeded": (*_LESS, _LESS_GROUPS),
    "insufficient_balance": (*_LESS, _LESS_GROUPS),
    "deposit_load_exceeded": (*_LESS, _LESS_GROUPS),
    "price_not_positive": (_LESS_ADD_ONS, _Way("addon_step_pct", False, _TENTH, _TENTH, _STEPS)),
    "duplicate_price": (_Way("addon_step_pct", True, Decimal(50), _TENTH, _STEPS), _LESS_ADD_ONS),
    "stop_inside_ladder": (
        _Way("stop_loss_pct", True, Decimal(99), _TENTH, N_("Stop at {value} %")),
        _LESS_ADD_ONS,
    ),
    "liquidated_before_level": (_LESS_LEVERAGE, _LESS_ADD_ONS),
    "leverage_above_limit": (_LESS_LEVERAGE, *_LESS),
    "tp_not_above_fees": (
        _Way("take_profit_pct", True, _HUNDRED, _CENT, _TARGET),
        _Way("take_profit_pct", False, _TENTH, _CENT, _TARGET),
    ),
}
_MONEY: Final = frozenset({"margin_limit_exceeded", "insufficient_balance", "deposit_load_exceeded"})
_TOO_LITTLE: Final = frozenset({"below_min_amount", "below_min_cost"})
_TOO_MUCH: Final = frozenset({*_MONEY, "above_max_amount", "above_max_cost"})
_WHOLE: Final = frozenset({"addon_max_count", "leverage", "max_groups"})
_HOPELESS: Mapping[tuple[str, bool], str] = {
    ("margin_limit_exceeded", True): N_(
        "{pair}: a whole ladder needs {m_needed}; one group may use {m_limit}. Neither smaller orders nor fewer "
        "add-ons nor fewer groups alone mend that: raise the limit, add money, or choose another pair."
    ),
    ("margin_limit_exceeded", False): N_(
        "All groups together need {m_needed}, more than their limit, {m_limit}. Neither smaller orders nor fewer "
        "add-ons nor fewer groups alone mend that: raise the limit, add money, or choose other pairs."
    ),
    ("insufficient_balance", False): N_(
        "All groups together need {m_needed}; {m_left} is free. Neither smaller orders nor fewer add-ons nor fewer "
        "groups alone mend that: add money, or choose other pairs."
    ),
    ("deposit_load_exceeded", False): N_(
        "With all enabled strategies {load} % of the account would be committed, more than {most} %. Neither smaller "
        "orders nor fewer add-ons nor fewer groups alone mend that: allow more, or add money."
    ),
}
"""What is said where no change of a number helps, by the code and whether it is about one pair."""

_Codes = frozenset[tuple[str, str | None]]


def _size_codes(told: Review) -> _Codes:
    return frozenset((problem.code, problem.pair) for problem in told.errors if problem.code in _WAYS)


def _changed(parameters: Parameters, name: str, value: Decimal) -> Parameters:
    """With another value on a way. Fewer add-ons of one's own are the first ones; none at all switches them off."""
    if name == "addon_max_count" and parameters.custom_steps:
        if not value:
            return parameters.model_copy(update={"addon_mode": "off"})
        return parameters.model_copy(update={"custom_steps": parameters.custom_steps[: int(value)]})
    return parameters.model_copy(update={name: int(value) if name in _WHOLE else value})


class _Bench:
    """Tries changes of one strategy. What was tried is kept: many problems lead along the same way."""

    def __init__(self, parameters: Parameters, facts: Facts, told: Review) -> None:
        self._parameters, self._facts = parameters, facts
        self._before = _size_codes(told)
        ladders = told.ladders.items()
        heaviest = max(ladders, key=lambda item: item[1].summary.required_capital_quote, default=None)
        self._heaviest = frozenset({heaviest[0][0]} if heaviest else ())
        self._tried: dict[tuple[str, Decimal, frozenset[str] | None], _Codes] = {}

    def mended(self, problem: Problem) -> Problem:
        """The problem with the smallest changes that end it, or saying that there is none.

        A change that brings another problem along is offered only where every other does too, and never a smaller
        order that the exchange would not take.
        """
        if problem.severity is not Severity.ERROR or problem.code not in _WAYS or problem.fixes:
            return problem
        found = [fix for way in _WAYS[problem.code] if (fix := self._fix(problem, way)) is not None]
        fixes = [fix for fix, brings in found if not brings]
        if not fixes:
            fixes = [fix for fix, brings in found if not (problem.code in _TOO_MUCH and brings & _TOO_LITTLE)]
        hopeless = _HOPELESS.get((problem.code, problem.pair is not None))
        if fixes or hopeless is None:
            return replace(problem, fixes=tuple(fixes))
        return replace(problem, text=Message(text=hopeless, params=problem.text.params))

    def _codes(self, name: str, value: Decimal, only: frozenset[str] | None) -> _Codes:
        key = (name, value, only)
        if key not in self._tried:
            changed = _changed(self._parameters, name, value)
            self._tried[key] = _size_codes(_judge(changed, self._facts, only))
        return self._tried[key]

    def _fix(self, problem: Problem, way: _Way) -> tuple[Fix, frozenset[str]] | None:
        """The first value on this way that ends the problem, and the codes that it brings along; None where none does.

        One pair's problem is looked for in that pair alone, the money in the pair that needs most, and then in all.
        """
        p = self._parameters
        # An order is too small by amount or by cost: what mends one of them alone is no help.
        together = _TOO_LITTLE if problem.code in _TOO_LITTLE else {problem.code}
        mine = {(code, problem.pair) for code in together}
        name = way.field
        now = p.addons if name == "addon_max_count" else getattr(p, name)
        if now is None or (name == "addon_size" and not p.addons):
            return None
        if p.custom_steps and p.addons and name in ("addon_size", "addon_step_pct"):
            return None
        at, count = way.places(Decimal(now), p.quote)
        alone = frozenset({problem.pair}) if problem.pair is not None else self._heaviest
        for only in (alone, None):
            reach = _first_that_holds(
                lambda value, only=only: mine.isdisjoint(self._codes(name, value, only)), at, count
            )
            if reach is None:
                return None
            value = at(reach)
            after = self._codes(name, value, alone | self._heaviest if problem.pair is not None else None)
            if mine.isdisjoint(after):
                return self._said(way, value), frozenset(code for code, _ in after - self._before)
        return None

    def _said(self, way: _Way, value: Decimal) -> Fix:
        name = way.field
        params: dict[str, str | int | float] = {"value": shown(value)}
        if way.step is None:
            params = {"m_value": money(value, self._parameters.quote)}
        elif name in _WHOLE:
            params["count"] = int(value)
        message = Message(text=way.text, params=params)
        if name == "addon_max_count" and self._parameters.custom_steps:
            kept = _changed(self._parameters, name, value)
            if not value:
                return Fix("addon_mode", "off", message)
            return Fix("custom_steps", kept.model_dump(mode="json")["custom_steps"], message)
        return Fix(name, int(value) if name in _WHOLE else written(value), message)


def _first_that_holds(holds: Callable[[Decimal], bool], at: Callable[[int], Decimal], count: int) -> int | None:
    """The least number from 1 to `count` at which it holds, found by doubling and then halving; None where it never
    does.
    """
    if count < 1:
        return None
    before, reach = 0, 1
    while not holds(at(reach)):
        if reach == count:
            return None
        before, reach = reach, min(count, reach * 2)
    while reach - before > 1:
        middle = (before + reach) // 2
        if holds(at(middle)):
            reach = middle
        else:
            before = middle
    return reach


# -- a first order -----------------------------------------------------------------------------------------------------


def suggest_first_entry(parameters: Parameters, facts: Facts) -> Decimal | None:
    """The largest round first order that limits, balance and the exchange's minimums carry; None where none does, or
    nothing is known to go by. Two leading digits.
    """
    ceiling = _group_limit(parameters, facts.worth) or facts.worth
    if not ceiling:
        return None
    ceiling = min(ceiling * (parameters.leverage if parameters.amount_basis == "notional" else 1), Decimal(10**8))
    highest = ceiling.adjusted()
    least = _cents(parameters.quote)
    sizes = [Decimal(lead).scaleb(power - 1) for power in range(highest, highest - 8, -1) for lead in range(95, 5, -5)]
    sizes = [size for size in sizes if least <= size <= ceiling]

    def codes(size: Decimal) -> set[str]:
        told = _judge(_changed(parameters, "first_entry_size", size), facts)
        return {problem.code for problem in told.errors} if told.ladders else set(_TOO_MUCH)

    def at(number: int) -> Decimal:
        return sizes[number - 1]

    found = _first_that_holds(lambda size: not codes(size) & _TOO_MUCH, at, len(sizes))
    if found is None or codes(at(found)) & _TOO_LITTLE:
        return None
    return at(found).normalize() + 0


def smallest_first_entry(parameters: Parameters, facts: Facts) -> Decimal | None:
    """The smallest first order that the exchange takes with these parameters; None where its rules are not known."""
    least = _cents(parameters.quote)

    def taken(size: Decimal) -> bool:
        told = _judge(_changed(parameters, "first_entry_size", size), facts)
        return not any(problem.code in _TOO_LITTLE for problem in told.errors)

    if not _judge(parameters, facts).ladders:
        return None
    if taken(least):
        return least
    at, count = _MORE_BASE.places(least, parameters.quote)
    found = _first_that_holds(taken, at, count)
    return None if found is None else at(found)


# -- what a finished test means ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why no new groups may open. `needs_person`: a passed test alone does not resume the strategy."""

    text: Message
    needs_person: bool


def suspension(connection: Connection, run: TestRun | None, old: KeyReport | None = None) -> Suspension | None:
    """What a connection's last test means for its enabled strategies; None lets them go on.

    `old` is what was known of the key before it: a key that lost its address list, or got a right that no document
    explains, needs a person. So does one that can withdraw. After any other failure the next passed test resumes.
    """
    params: dict[str, str | int | float] = {"name": connection.name}
    if connection.status is Status.UNTESTED or run is None:
        return Suspension(Message(text=N_("The key of {name} was changed and not tested since."), params=params), False)
    if connection.status is Status.BLOCKED:
        report = run.key_report
        granted = report is not None and report.state(Permission.WITHDRAW) is GrantState.GRANTED
        text = (
            N_("The key of {name} can withdraw.")
            if granted
            else N_("Nobody can tell whether the key of {name} can withdraw.")
        )
        return Suspension(Message(text=text, params=params), True)
    new = run.key_report
    if old is not None and new is not None:
        bound = old.ip_restriction.state is GrantState.GRANTED
        if bound and new.ip_restriction.state is GrantState.DENIED:
            text = N_("The key of {name} is no longer bound to addresses.")
            return Suspension(Message(text=text, params=params), True)
        if set(new.unknown_words) - set(old.unknown_words):
            text = N_("The key of {name} got a right that no document explains.")
            return Suspension(Message(text=text, params=params), True)
    if not connection.status.ok:
        params["t_cause"] = CAUSE_NAMES[run.diagnosis.cause] if run.diagnosis else N_("Unknown answer")
        return Suspension(Message(text=N_("The last test of {name} failed: {t_cause}."), params=params), False)
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
