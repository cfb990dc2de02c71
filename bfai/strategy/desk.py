"""`Strategies`: what pages, the command line and notebooks do with strategies.

Whether one may be enabled is decided here and nowhere else, from what is stored at that moment: the connection's last
test, the market's rules and what the other strategies of that connection need. A strategy is enabled or suspended in
one step with the row that says why.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from bfai import settings
from bfai.events import strategy_event
from bfai.exchanges import get_exchange
from bfai.i18n import N_
from bfai.model import (
    BfaiError,
    Connection,
    EventKind,
    KeyReport,
    Message,
    Revision,
    Status,
    Strategy,
    StrategyState,
    Target,
    TestRun,
    utc_now,
)
from bfai.store import BadName, Store, StrategyChanged, SurroundingsChanged, account_data, connection_deleted
from bfai.strategy.export import Bundle, freqtrade, unsupported
from bfai.strategy.export.hosted import Hosted, hosted, hosted_unsupported
from bfai.strategy.feed import Ask as AskCandles
from bfai.strategy.feed import Feed
from bfai.strategy.gate import (
    Facts,
    Review,
    gate,
    ladder_market,
    planned_total,
    review,
    smallest_first_entry,
    suggest_first_entry,
    suspension,
)
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.limits import CandlePage, MarketsError, PairRules, PairUnknown
from bfai.strategy.parameters import (
    Parameters,
    Problem,
    RiskLevel,
    StrategyError,
    differences,
    export_text,
    import_text,
    preset,
    read,
)
from bfai.strategy.replays import Replays
from bfai.strategy.running import EngineError, Engines
from bfai.strategy.terms import Terms

_DRAFT = StrategyState.DRAFT
STATE_WORDS: Mapping[StrategyState, str] = {
    StrategyState.DRAFT: N_("Draft"),
    StrategyState.ENABLED: N_("Enabled"),
    StrategyState.SUSPENDED: N_("Suspended"),
}
RULES_HOLD = timedelta(hours=6)
TERMS_HOLD = timedelta(hours=24)
TERMS_ASKED_AGAIN = timedelta(hours=1)
"""After how long an exchange is asked again that did not tell what an account pays."""
PRICE_HOLDS = timedelta(minutes=2)
_TRIES = 25

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MarketData:
    """Reads what an exchange publishes: the rules of all pairs of a target, of one pair with its tiers and price, and
    some windows of its candles.
    """

    pairs: Callable[[Target], tuple[PairRules, ...]]
    pair: Callable[[Target, str], PairRules]
    candles: AskCandles


class Strategies:
    """The strategies of one person. Thread-safe: every change is one step in the store."""

    def __init__(
        self,
        store: Store,
        market_data: Callable[[Target], MarketData],
        here: Callable[[Target], Target],
        terms: Callable[[Connection, PairRules, float], Terms | None],
        clock: Callable[[], datetime] | None = None,
        engines: Engines | None = None,
    ) -> None:
        """Use `Workbench.strategies`."""
        self._engines = engines
        self._store = store
        self._market_data = market_data
        self._here = here
        self._ask_terms = terms
        self._feed = Feed(store, self._ask_candles, self._rules_of_any_age)
        self._clock = clock
        self.replays = Replays()

    @property
    def freshness(self) -> timedelta:
        """How old a connection's last test may be: for enabling, and for an engine to open new groups."""
        return timedelta(hours=settings.read(self._store).freshness_hours)

    def _now(self) -> datetime:
        return utc_now() if self._clock is None else self._clock()

    # -- looking -------------------------------------------------------------------------------------------------------

    def list(self) -> list[Strategy]:
        """All, by name."""
        return self._store.strategies()

    def get(self, strategy_id: str) -> Strategy:
        """Raises StrategyError where there is none."""
        found = self._store.strategy(strategy_id)
        if found is None:
            raise StrategyError(Message(text=N_("This strategy no longer exists.")))
        return found

    def find(self, name: str) -> Strategy | None:
        return self._store.strategy_by_name(name)

    def parameters(self, strategy_id: str, number: int | None = None) -> Parameters:
        """The parameters of the present revision, or of an older one."""
        strategy = self.get(strategy_id)
        found = self._store.revision(strategy_id, number or strategy.revision)
        if found is None:
            raise StrategyError(
                Message(text=N_("There is no revision {number} of this strategy."), params={"number": number or 0})
            )
        return read(json.loads(found.parameters))

    def revisions(self, strategy_id: str) -> Sequence[Revision]:
        """Newest first."""
        return self._store.revisions(strategy_id)

    def compare(self, strategy_id: str, old: int, new: int) -> Sequence[tuple[str, Any, Any]]:
        """The fields in which two revisions differ: name, old value, new value."""
        return differences(self.parameters(strategy_id, old), self.parameters(strategy_id, new))

    # -- writing -------------------------------------------------------------------------------------------------------

    def create(self, name: str, connection_id: str | None, parameters: Parameters, note: str = "") -> Strategy:
        """A new draft. Raises BfaiError where the name is taken."""
        now, connection = self._now(), self._store.connection(connection_id) if connection_id else None
        try:
            strategy = Strategy(
                id=uuid.uuid4().hex,
                name=name,
                connection_id=connection.id if connection else None,
                connection_name=connection.name if connection else "",
                created_at=now,
                updated_at=now,
            )
        except ValidationError:
            raise BadName from None
        return self._store.add_strategy(strategy, _revision(strategy.id, 1, parameters, note, now))

    def suggested(
        self, connection_id: str, level: RiskLevel, pairs: Sequence[str], size: Decimal | str | None = None
    ) -> Parameters:
        """Parameters of a risk level for these pairs. Without a size the largest round first order that the balance
        and all limits carry, or where none fits the smallest that the exchange takes: the review then says what to
        change. Raises StrategyError where nothing is known to go by.
        """
        connection = self._store.connection(connection_id)
        if connection is None:
            raise StrategyError(Message(text=N_("This connection no longer exists.")))
        parameters = preset(level, connection.target.market, [*pairs], size or "1")
        if size is None:
            facts = self.facts(connection_id, parameters)
            found = suggest_first_entry(parameters, facts) or smallest_first_entry(parameters, facts)
            if found is None:
                text = N_("Say how large the first order is: nothing is known to go by.")
                against = review(parameters, facts, fixes=False).errors
                why = tuple(problem for problem in against if problem.field in ("connection", "pairs"))
                raise StrategyError(Message(text=text), why)
            parameters = parameters.changed(first_entry_size=str(found))
        return parameters

    def save(self, strategy_id: str, expected: int, parameters: Parameters, note: str = "") -> Strategy:
        """A new revision, if the present one is still `expected`; saving what is there already changes nothing.

        Open groups keep the revision that they began with. An enabled strategy stays enabled only if the new revision
        passes the gate: StrategyError with all reasons otherwise, and nothing is changed.
        """
        return _until_it_stands(lambda: self._save(strategy_id, expected, parameters, note))

    def _save(self, strategy_id: str, expected: int, parameters: Parameters, note: str) -> Strategy:
        strategy, surroundings = self.get(strategy_id), self._store.surroundings(strategy_id)
        if strategy.state is StrategyState.ENABLED:
            self._pass(strategy, parameters, fresh=False)
        saved = self._store.save_revision(
            strategy_id, expected, _revision(strategy_id, expected + 1, parameters, note, self._now())
        )
        if strategy.state is not StrategyState.ENABLED or saved.revision == strategy.enabled_revision:
            return saved
        return self._store.set_strategy_state(
            strategy_id,
            StrategyState.ENABLED,
            StrategyState.ENABLED,
            action="strategy_enabled",
            revision=saved.revision,
            surroundings=surroundings,
        )

    def restore(self, strategy_id: str, number: int) -> Strategy:
        """An older revision's parameters as the newest revision."""
        strategy = self.get(strategy_id)
        parameters = self.parameters(strategy_id, number)
        return self.save(strategy_id, strategy.revision, parameters, note=f"= {number}")

    def rename(self, strategy_id: str, name: str) -> Strategy:
        return self._store.rename_strategy(strategy_id, name)

    def delete(self, strategy_id: str) -> None:
        """With all that its engine left, but for the book of groups that are open with real money. Raises EngineError
        while its engine runs.
        """
        if self._engines is not None and self._engines.runs(strategy_id):
            raise EngineError(Message(text=N_("This strategy's engine runs. Stop it first.")))
        self._store.delete_strategy(strategy_id)
        if self._engines is not None:
            left = self._engines.status(strategy_id)
            if not (left.live and left.groups):
                self._engines.remove(strategy_id)

    def duplicate(
        self, strategy_id: str, name: str, *, connection_id: str | None = None, pairs: Sequence[str] = ()
    ) -> Strategy:
        """A draft with the same parameters, on this or another connection, for the same or other pairs."""
        strategy, parameters = self.get(strategy_id), self.parameters(strategy_id)
        if pairs:
            parameters = parameters.changed(pairs=[*pairs])
        return self.create(name, connection_id or strategy.connection_id, parameters)

    def export(self, strategy_id: str, *, as_yaml: bool = False) -> str:
        strategy = self.get(strategy_id)
        return export_text(strategy.name, self.parameters(strategy_id), strategy.revision, as_yaml=as_yaml)

    def import_file(self, text: str, connection_id: str | None, name: str = "") -> Strategy:
        """A draft from an exported file. Raises StrategyError with what is wrong with it."""
        told, parameters = import_text(text)
        return self.create(self.free_name(name or told or "Strategy"), connection_id, parameters)

    # -- engines -------------------------------------------------------------------------------------------------------

    def unsupported(self, strategy_id: str) -> tuple[Problem, ...]:
        """What Freqtrade cannot do as the present revision asks: errors refuse the export, warnings are to be read."""
        parameters, facts = self._facts_of(strategy_id)
        if facts.connection is None:
            return ()
        return unsupported(parameters, _market_target(facts.connection, parameters), _markets(parameters, facts))

    def freqtrade(
        self,
        strategy_id: str,
        *,
        interval: timedelta = timedelta(minutes=5),
        number: int | None = None,
        watched: bool = False,
        balance: Decimal | None = None,
    ) -> Bundle:
        """The bundle for Freqtrade of the present revision, or of an older one. Raises StrategyError with all reasons.

        `watched`: it opens new groups only while the workbench says in its `state.json` that it may. `balance` in quote
        currency; None is what the last test found.
        """
        strategy = self.get(strategy_id)
        parameters, facts = self._facts_of(strategy_id, number)
        if facts.connection is None:
            raise StrategyError(Message(text=N_("This strategy has no connection. Choose one.")))
        worth = facts.worth if balance is None else balance
        if worth is None:
            text = N_("Nobody knows what lies on {name}. Test it first.")
            raise StrategyError(Message(text=text, params={"name": facts.connection.name}))
        if not worth:
            text = N_("There is no {quote} on {name}.")
            raise StrategyError(Message(text=text, params={"name": facts.connection.name, "quote": parameters.quote}))
        return freqtrade(
            parameters,
            _markets(parameters, facts),
            _market_target(facts.connection, parameters),
            balance=worth,
            interval=interval,
            name=strategy.name,
            revision=number or strategy.revision,
            committed=facts.committed,
            state_max_age=self.freshness if watched else None,
        )

    def hosted_unsupported(self, strategy_id: str) -> tuple[Problem, ...]:
        """What the ladder that its exchange runs itself cannot do of this strategy."""
        parameters, facts = self._facts_of(strategy_id)
        return hosted_unsupported(parameters, facts.connection.target.exchange if facts.connection else "")

    def hosted(self, strategy_id: str) -> Hosted:
        """The request bodies for the ladder that its exchange runs itself, to look at. Raises StrategyError."""
        parameters, facts = self._facts_of(strategy_id)
        ladders = review(parameters, facts, fixes=False).ladders
        needed = {pair: ladder.summary.required_capital_quote for (pair, _), ladder in ladders.items()}
        missing = [pair for pair in parameters.pairs if pair not in needed]
        if facts.connection is None or missing:
            text = N_("The rules of {pair} are not known.")
            raise StrategyError(Message(text=text, params={"pair": ", ".join(missing)}))
        return hosted(parameters, facts.connection.target.exchange, needed)

    def may_run(self, strategy_id: str, *, takes_up: bool = False) -> tuple[Strategy, Connection]:
        """The strategy in force and its connection, if the gate lets it run at this moment.

        `takes_up`: there are open groups to go on with, whose money is no longer free: then only the connection is
        judged. Raises StrategyError with all reasons.
        """
        strategy = self.get(strategy_id)
        connection = self._store.connection(strategy.connection_id) if strategy.connection_id else None
        params: dict[str, str | int | float] = {"name": strategy.name}
        if strategy.state is StrategyState.SUSPENDED:
            why = strategy.reasons[0] if strategy.reasons else Message(text=N_("{name} is suspended."), params=params)
            raise StrategyError(why)
        if strategy.state is not StrategyState.ENABLED or connection is None or strategy.enabled_revision is None:
            raise StrategyError(Message(text=N_("{name} is not enabled. Enable it first."), params=params))
        parameters = self.parameters(strategy_id, strategy.enabled_revision)
        try:
            self._pass(strategy, parameters, fresh=True)
        except StrategyError as error:
            if not takes_up or any(problem.field == "connection" for problem in error.problems):
                raise
        return strategy, connection

    def tell_engine(self, strategy_id: str) -> None:
        """Writes down for the strategy's engine whether it may open new groups. Without an engine nothing happens."""
        if self._engines is None:
            return
        strategy = self._store.strategy(strategy_id)
        connection = (
            self._store.connection(strategy.connection_id) if strategy is not None and strategy.connection_id else None
        )
        run = self._last_run(connection) if connection is not None else None
        at = datetime.fromtimestamp(0, utc_now().tzinfo) if run is None else run.answered_at or run.started_at
        with suppress(OSError):  # then the engine takes what it has, until that is too old
            self._engines.tell(
                strategy_id,
                connection_ok=connection is not None and run is not None and connection.status.ok,
                may_open=strategy is not None and strategy.state is StrategyState.ENABLED,
                at=at,
            )

    def _facts_of(self, strategy_id: str, number: int | None = None) -> tuple[Parameters, Facts]:
        strategy, parameters = self.get(strategy_id), self.parameters(strategy_id, number)
        return parameters, self.facts(strategy.connection_id, parameters, except_id=strategy_id)

    def free_name(self, name: str) -> str:
        """The name, or the name with the next free number."""
        name, number = name.strip()[:56] or "Strategy", 1
        while self._store.strategy_by_name(name if number == 1 else f"{name} {number}") is not None:
            number += 1
        return name if number == 1 else f"{name} {number}"

    # -- judging -------------------------------------------------------------------------------------------------------

    def pairs(self, target: Target, *, max_age: timedelta = RULES_HOLD) -> tuple[PairRules, ...]:
        """All pairs of a market, from the cache while it is young enough. Raises MarketsError."""
        key = _key(target)
        stored = self._store.market_data(key)
        if stored is not None and self._now() - stored.fetched_at <= max_age and (rules := _rules(stored.rows)):
            return rules
        there = self._here(target)
        found = self._market_data(there).pairs(there)
        self._store.put_market_data(key, json.dumps([rules.to_json() for rules in found]), self._now())
        return found

    def rules(self, target: Target, pair: str, *, max_age: timedelta = RULES_HOLD) -> PairRules:
        """The rules of one pair with tiers and price, from the cache while it is young enough.

        Raises PairUnknown or MarketsError.
        """
        key = f"{_key(target)}/{pair}"
        stored = self._store.market_data(key)
        if stored is not None and self._now() - stored.fetched_at <= max_age and (rules := _rules(stored.rows)):
            return rules[0]
        there = self._here(target)
        found = self._market_data(there).pair(there, pair)
        self._store.put_market_data(key, json.dumps([found.to_json()]), self._now())
        return found

    @property
    def feed(self) -> Feed:
        """Candles from exchanges."""
        return self._feed

    def _ask_candles(
        self, target: Target, rules: PairRules, interval: str, windows: Sequence[tuple[int, int]]
    ) -> list[CandlePage | MarketsError]:
        there = self._here(target)
        return self._market_data(there).candles(there, rules, interval, windows)

    def _rules_of_any_age(self, target: Target, pair: str) -> PairRules:
        return self._known_rules(target, pair) or self.rules(target, pair)

    def facts(
        self,
        connection_id: str | None,
        parameters: Parameters,
        *,
        except_id: str | None = None,
        max_age: timedelta = RULES_HOLD,
        now: datetime | None = None,
    ) -> Facts:
        """What the gate has to know. Rules that cannot be fetched come from the cache, however old they are."""
        connection = self._store.connection(connection_id) if connection_id else None
        run = self._last_run(connection) if connection else None
        rules: dict[str, PairRules | None] = {}
        error: Message | None = None
        for pair in parameters.pairs:
            if connection is None:
                break
            target = _market_target(connection, parameters)
            try:
                found = self.rules(target, pair, max_age=max_age)
            except PairUnknown:
                rules[pair] = None
                continue
            except BfaiError as failure:
                error = failure.message
                found = self._known_rules(target, pair)
            if found is not None:
                rules[pair] = self._of_account(connection, found, run, ask=True)
        free = Decimal(run.balances.get(parameters.quote, "0")) if run is not None and run.status.ok else None
        committed = self._committed(connection, run, parameters.quote, except_id) if connection else Decimal(0)
        return Facts(
            connection=connection,
            run=run,
            rules=rules,
            rules_error=error,
            free=free,
            committed=committed,
            now=now or self._now(),
            connections=frozenset(other.id for other in self._store.connections()),
            freshness=self.freshness,
            market_max_age=RULES_HOLD,
        )

    def _last_run(self, connection: Connection) -> TestRun | None:
        return self._store.run(connection.last_run_id) if connection.last_run_id else None

    def _known_rules(self, target: Target, pair: str) -> PairRules | None:
        """From the cache, however old."""
        stored = self._store.market_data(f"{_key(target)}/{pair}")
        return next(iter(_rules(stored.rows)), None) if stored is not None else None

    def _of_account(self, connection: Connection, rules: PairRules, run: TestRun | None, *, ask: bool) -> PairRules:
        """The rules with what this connection's account pays and must keep, as far as its exchange tells."""
        if not get_exchange(connection.target.exchange).account_calls(
            connection.target.model_copy(update={"market": rules.market})
        ):
            return rules
        name = f"{account_data(connection.id)}{rules.market.value}/{rules.pair}"
        stored, now = self._store.market_data(name), self._now()
        known = _terms(stored.rows) if stored is not None and stored.fetched_at >= connection.key_since else None
        if stored is not None and known is not None:
            holds = TERMS_HOLD if known.fees else TERMS_ASKED_AGAIN
            if now - stored.fetched_at <= holds:
                return known.over(rules)
        if not ask or run is None or not run.status.ok:
            return rules
        try:
            told = self._ask_terms(connection, rules, run.clock_offset_ms or 0.0)
        except BfaiError:
            told = Terms(None, None)
        if told is None:
            return rules
        self._store.put_market_data(name, json.dumps(told.to_json()), now)
        return told.over(rules)

    def _committed(self, connection: Connection, run: TestRun | None, quote: str, except_id: str | None) -> Decimal:
        """What the other enabled strategies of this connection need when all their ladders fill."""
        total = Decimal(0)
        for other in self._store.strategies_of(connection.id):
            if other.id == except_id or other.state is StrategyState.DRAFT:
                continue
            parameters = self.parameters(other.id, other.enabled_revision)
            if parameters.quote == quote:
                total += self._needed(connection, run, parameters)
        return total

    def _needed(self, connection: Connection, run: TestRun | None, parameters: Parameters) -> Decimal:
        """Where the rules of a pair are not known any more they are read; where they cannot be, the sizes count."""
        rules: dict[str, PairRules | None] = {}
        for pair in parameters.pairs:
            target = _market_target(connection, parameters)
            found = self._known_rules(target, pair)
            if found is None or found.price is None:
                with suppress(BfaiError):
                    found = self.rules(target, pair, max_age=timedelta(0))
            if found is not None and found.price is not None:
                rules[pair] = self._of_account(connection, found, run, ask=False)
        facts = Facts(connection=connection, run=run, rules=rules, now=self._now())
        needed = review(parameters, facts, fixes=False).required_total or Decimal(0)
        return needed if len(rules) == len(parameters.pairs) else max(needed, planned_total(parameters))

    def review(self, strategy_id: str) -> Review:
        """Everything about the present revision: its ladders, what they cost, what is wrong."""
        strategy, parameters = self.get(strategy_id), self.parameters(strategy_id)
        return review(parameters, self.facts(strategy.connection_id, parameters, except_id=strategy_id))

    # -- the gate ------------------------------------------------------------------------------------------------------

    def enable(self, strategy_id: str) -> Strategy:
        """Enables it, or resumes it after a suspension. Raises StrategyError with all reasons against it."""
        return _until_it_stands(lambda: self._enable(strategy_id))

    def _enable(self, strategy_id: str) -> Strategy:
        strategy, surroundings = self.get(strategy_id), self._store.surroundings(strategy_id)
        if strategy.state is StrategyState.ENABLED and strategy.enabled_revision == strategy.revision:
            return strategy
        self._pass(strategy, self.parameters(strategy_id), fresh=True)
        resumed = strategy.state is StrategyState.SUSPENDED
        enabled = self._store.set_strategy_state(
            strategy_id,
            strategy.state,
            StrategyState.ENABLED,
            action="strategy_resumed" if resumed else "strategy_enabled",
            revision=strategy.revision,
            surroundings=surroundings,
            events=[strategy_event(EventKind.STRATEGY_RESUMED, strategy, self._now())] if resumed else (),
        )
        self.tell_engine(strategy_id)
        return enabled

    def _pass(self, strategy: Strategy, parameters: Parameters, *, fresh: bool) -> None:
        max_age = PRICE_HOLDS if fresh else RULES_HOLD
        facts = self.facts(strategy.connection_id, parameters, except_id=strategy.id, max_age=max_age)
        if strategy.connection_id is None and strategy.connection_name:
            reasons = (*gate(parameters, facts),)
            raise StrategyError(connection_deleted(strategy.connection_name), reasons)
        reasons = gate(parameters, facts)
        if reasons:
            text = N_("{name} cannot be enabled yet.")
            raise StrategyError(Message(text=text, params={"name": strategy.name}), reasons)

    def disable(self, strategy_id: str) -> Strategy:
        """Back to a draft: no new groups."""
        strategy = self.get(strategy_id)
        if strategy.state is StrategyState.DRAFT:
            return strategy
        disabled = self._store.set_strategy_state(
            strategy_id, strategy.state, StrategyState.DRAFT, action="strategy_disabled"
        )
        self.tell_engine(strategy_id)
        return disabled

    def after_test(self, connection_id: str, old: KeyReport | None = None) -> None:
        """What the connection's last test means for its strategies: suspended, or resumed. `old`: what was known of the
        key before it. Call it together with keeping the test: what it forbids is never seen enabled.
        """
        connection = self._store.connection(connection_id)
        if connection is None:
            return
        run = self._last_run(connection)
        for strategy in self._store.strategies_of(connection_id):
            if strategy.state is not _DRAFT:
                self._settle(strategy, connection, run, old)
            self.tell_engine(strategy.id)

    def _settle(
        self, strategy: Strategy, connection: Connection, run: TestRun | None, old: KeyReport | None = None
    ) -> None:
        """Suspends or resumes it as the last run asks for.

        A run on our own dead network asks for nothing: the next one that counts does.
        """
        if run is not None and not run.counts and connection.status is not Status.UNTESTED:
            return
        found, suspended = suspension(connection, run, old), strategy.state is StrategyState.SUSPENDED
        if found is not None:
            if not suspended or (found.needs_person and not strategy.needs_person):
                self._change(strategy, StrategyState.SUSPENDED, run, (found.text,), found.needs_person)
        elif suspended and not strategy.needs_person:
            if self._edited_since(strategy):
                text = N_("{name} works again. Revision {number} was saved meanwhile: check it, then resume.")
                told = Message(text=text, params={"name": connection.name, "number": strategy.revision})
                self._change(strategy, StrategyState.SUSPENDED, run, (told,), True)
            else:
                self._change(strategy, StrategyState.ENABLED, run)

    def _edited_since(self, strategy: Strategy) -> bool:
        """Whether the newest revision is another than the one in force: the gate has not seen it yet."""
        numbers = {strategy.revision, strategy.enabled_revision or strategy.revision}
        kept = [self._store.revision(strategy.id, number) for number in numbers]
        return len({revision.digest for revision in kept if revision is not None}) > 1

    def _change(
        self,
        strategy: Strategy,
        state: StrategyState,
        run: TestRun | None,
        reasons: tuple[Message, ...] = (),
        needs_person: bool = False,
    ) -> None:
        suspended = state is StrategyState.SUSPENDED
        kind = EventKind.STRATEGY_SUSPENDED if suspended else EventKind.STRATEGY_RESUMED
        at = run.started_at if run is not None else self._now()
        event = strategy_event(kind, strategy, at, run, reasons=reasons, needs_person=needs_person)
        with suppress(StrategyChanged):  # somebody else was quicker, with the same facts or newer ones
            self._store.set_strategy_state(
                strategy.id,
                strategy.state,
                state,
                reasons=reasons,
                needs_person=needs_person,
                action=kind.value,
                events=[event],
            )
        self.tell_engine(strategy.id)


def _until_it_stands(act: Callable[[], T]) -> T:
    """Judges again what was judged beside something that changed before it was written down."""
    for _ in range(_TRIES - 1):
        with suppress(SurroundingsChanged):
            return act()
    return act()


def _revision(strategy_id: str, number: int, parameters: Parameters, note: str, at: datetime) -> Revision:
    return Revision(
        strategy_id=strategy_id,
        number=number,
        digest=parameters.digest,
        parameters=parameters.canonical(),
        note=note,
        created_at=at,
    )


def _market_target(connection: Connection, parameters: Parameters) -> Target:
    return connection.target.model_copy(update={"market": parameters.market})


def _markets(parameters: Parameters, facts: Facts) -> dict[str, LadderMarket]:
    """The ladder's markets of the pairs whose rules are known."""
    rules = {pair: facts.rules.get(pair) for pair in parameters.pairs}
    return {pair: ladder_market(found, parameters.leverage) for pair, found in rules.items() if found is not None}


def _key(target: Target) -> str:
    """Names a market in the cache."""
    return f"{target.exchange}/{target.region}/{target.environment.value}/{target.market.value}"


def _terms(stored: str) -> Terms | None:
    """Terms from the cache; None where they are of an older form."""
    try:
        return Terms.from_json(cast("Mapping[str, Any]", json.loads(stored)))
    except ValueError:
        return None


def _rules(stored: str) -> tuple[PairRules, ...]:
    """Rules from the cache; none where they are of an older form."""
    try:
        return tuple(PairRules.from_json(cast("Mapping[str, Any]", row)) for row in json.loads(stored))
    except ValueError:
        return ()
