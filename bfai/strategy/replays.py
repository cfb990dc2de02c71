"""Replays in the background, with progress and an end, and what was worked out before; grids over two parameters.

    job = replays.start(Question(parameters, markets, candles, balance))
    job.wait(0.3); job.progress; job.result

What was asked before is answered at once: the same parameters (saved or not), markets, candles, signals and balance
give the same replay.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import math
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, TypeVar

from bfai.i18n import N_
from bfai.model import BfaiError, Market, Message
from bfai.strategy import recovery as rules_of_group
from bfai.strategy.candles import SAMPLES, Candles, sample
from bfai.strategy.gate import FEE_ASSUMED
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Parameters, Severity, StrategyError, check, flat
from bfai.strategy.recovery import Group, Side, State
from bfai.strategy.replay import Deal, Decision, Replay, Signals, Summary, replay, signals_of

_log = logging.getLogger("bfai.replays")

T = TypeVar("T")

WORKERS: Final = 2
"""So many jobs work at once; others wait."""
MOST_KEPT: Final = 24
MOST_ROWS: Final = 3_000_000
"""Of all the curves that are kept together, one row a candle."""
MOST_CELLS: Final = 81
_ZERO: Final = Decimal(0)


class Cancelled(Exception):
    """Somebody has ended the job."""


class Job(Generic[T]):
    """Work in the background. Read it from any thread.

    `progress` goes from 0 to 1. When it is `done` there is a `result`, or an `error` with cause and remedy, or it was
    `cancelled`.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.progress = 0.0
        self.result: T | None = None
        self.error: Message | None = None
        self._ended = threading.Event()
        self._cancel = threading.Event()

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set() and self.result is None

    def cancel(self) -> None:
        """It ends at its next step. One that has ended stays as it is."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended after so long."""
        return self._ended.wait(seconds)

    def tell(self, progress: float) -> None:
        """For the work itself. Raises Cancelled where somebody has ended it."""
        if self._cancel.is_set():
            raise Cancelled
        self.progress = min(1.0, progress)

    @property
    def stopped(self) -> bool:
        """For the work itself: whether somebody has ended it."""
        return self._cancel.is_set()

    def work(self, do: Callable[[Job[T]], T]) -> None:
        try:
            self.tell(0.0)
            self.result = do(self)
            self.progress = 1.0
        except Cancelled:
            pass  # as somebody asked: there is no result
        except BfaiError as error:
            self.error = error.message
        except MemoryError:
            text = N_("There is not enough memory for that. Choose a shorter time or a longer interval.")
            self.error = Message(text=text)
        except Exception:
            _log.exception("a replay broke")
            self.error = Message(
                text=N_(
                    "The replay did not work. Nothing was changed. Try other candles; if it comes again, report it."
                )
            )
        finally:
            self._ended.set()


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be replayed. Without `signals` the strategy's own start condition asks for entries."""

    parameters: Parameters
    markets: Mapping[str, LadderMarket]
    candles: Mapping[str, Candles]
    balance: Decimal
    signals: Signals | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 over all of it."""
        found = hashlib.sha256(self.parameters.digest.encode())
        for pair in self.parameters.pairs:
            known = self.candles.get(pair)
            found.update(f"|{pair}|{self.markets.get(pair)!r}|{known.digest if known is not None else ''}".encode())
        found.update(f"|{self.balance.normalize()}|{self.asks!r}".encode())
        return found.hexdigest()

    @property
    def asks(self) -> Signals:
        return self.signals if self.signals is not None else signals_of(self.parameters)

    def answer(self, on_progress: Callable[[float], object] | None = None) -> Replay:
        """Raises ReplayError."""
        return replay(
            self.parameters,
            self.markets,
            self.candles,
            balance=self.balance,
            signals=self.signals,
            on_progress=on_progress,
        )

    def between(self, since: datetime | None, until: datetime | None) -> Question:
        """The same on a part of the candles."""
        return replace(self, candles={pair: one.between(since, until) for pair, one in self.candles.items()})


class Replays:
    """The jobs of one person, and what came out of the last ones. Thread-safe; its threads end with the program."""

    def __init__(self, workers: int = WORKERS, most_rows: int = MOST_ROWS) -> None:
        self._slots = threading.Semaphore(workers)
        self._most_rows = most_rows
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, question: Question) -> Job[Replay]:
        """The job of this question; one that has ended already where it was asked before."""
        return self.run(f"replay {question.key}", lambda job: question.answer(job.tell))

    def start_grid(self, plan: GridPlan) -> Job[Grid]:
        return self.run(f"grid {plan.key}", lambda job: plan.answer(job.tell))

    def run(self, key: str, do: Callable[[Job[T]], T]) -> Job[T]:
        """Other work in the background, which tells its job how far it is.

        The same key is the same work: what is running or was kept is given again.
        """
        with self._lock:
            known = self._jobs.get(key)
            if known is not None and not known.cancelled:
                self._jobs.move_to_end(key)
                return known
            job = self._jobs[key] = Job[T](key)
            self._jobs.move_to_end(key)
            self._forget()
        threading.Thread(target=self._work, args=(job, do), name="bfai-replay", daemon=True).start()
        return job

    def forget(self, key: str) -> None:
        """The next time it is worked out again."""
        with self._lock:
            if (known := self._jobs.get(key)) is not None and known.done:
                del self._jobs[key]

    def _work(self, job: Job[T], do: Callable[[Job[T]], T]) -> None:
        with self._slots:
            job.work(do)
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        """Those that were asked longest ago, where there are too many or they are too large. Never the last one."""
        rows = {key: _rows(job) for key, job in self._jobs.items()}
        total = sum(rows.values())
        for key in list(self._jobs)[:-1]:
            if len(self._jobs) <= MOST_KEPT and total <= self._most_rows:
                return
            if self._jobs[key].done:
                del self._jobs[key]
                total -= rows[key]


def _rows(job: Job[Any]) -> int:
    return len(job.result.times) if isinstance(job.result, Replay) else 0


# -- what is replayed on -----------------------------------------------------------------------------------------------


def stand_in(pair: str, price: Decimal | None = None) -> Candles:
    """The sample data of a pair. For one that has none, that of another pair, moved by powers of ten to about `price`:
    what the price does counts, in percent.
    """
    if pair in SAMPLES:
        return sample(pair)
    one = sample(next(iter(SAMPLES)))
    shift = 0 if not price or price <= 0 else round(math.log10(float(price) / float(one.close[-1])))
    first, high, low, last = (column * 10.0**shift for column in (one.open, one.high, one.low, one.close))
    return replace(one, pair=pair, open=first, high=high, low=low, close=last)


def assumed_market(market: Market, price: float) -> LadderMarket:
    """For a pair whose rules nobody knows: fine steps, the usual fee, no smallest order, no liquidation."""
    tick = Decimal(1).scaleb(math.floor(math.log10(price)) - 5)
    return LadderMarket(
        type="linear_swap" if market is Market.FUTURES else "spot",
        tick_size=tick,
        step_size=Decimal("0.00000001"),
        maker=FEE_ASSUMED,
        taker=FEE_ASSUMED,
    )


# -- a group over time -------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A group between two things that happened to it. `target` is where its exit waits, or its trailing exit begins."""

    pair: str
    side: Side
    since: datetime
    until: datetime
    average: Decimal
    target: Decimal
    recovering: bool


def stretches(question: Question, found: Replay, deals: Sequence[Deal] | None = None) -> list[Stretch]:
    """Average and target of these groups (without `deals`, of all) from fill to fill, and when they were in Recovery
    Mode.
    """
    p = question.parameters
    wanted = found.deals if deals is None else deals
    turns: dict[tuple[str, Side], list[tuple[datetime, bool]]] = {}
    for line in found.log:
        if line.pair is not None and line.side is not None and (line.entered or line.returned):
            turns.setdefault((line.pair, line.side), []).append((line.at, not line.returned))
    rules: dict[str, rules_of_group.Rules] = {}
    for pair, market in question.markets.items():
        fee = market.taker if p.exit_order_type == "market" else market.maker
        one = rules_of_group.rules_of(p, (), equity=question.balance, exit_fee=fee)
        if p.trailing is not None:
            share = p.trailing.activation_pct
            one = replace(one, take_profit_pct=share / p.leverage if p.take_profit_basis == "margin_net" else share)
        rules[pair] = one
    out: list[Stretch] = []
    for deal in wanted:
        until = deal.closed_at or found.summary.until
        market = question.markets[deal.pair]
        moments = [(fill.at, None) for fill in deal.fills[1:]]
        own = turns.get((deal.pair, deal.side), [])
        begin, end = bisect_left(own, deal.opened_at, key=_when), bisect_right(own, until, key=_when)
        moments += own[begin:end]
        moments.sort(key=lambda moment: moment[0])
        group, filled, recovering = _group(deal, 1, market), 1, False
        since = deal.opened_at
        for at, turn in [*moments, (until, None)]:
            shown = group._replace(state=State.RECOVERY if recovering else State.NORMAL)
            if at > since or at is until:
                target = rules_of_group.target(rules[deal.pair], shown)
                out.append(Stretch(deal.pair, deal.side, since, at, group.average, target, recovering))
            since = at
            if turn is not None:
                recovering = turn
            elif filled < len(deal.fills):
                filled += 1
                group = _group(deal, filled, market)
    return out


def _when(turn: tuple[datetime, bool]) -> datetime:
    return turn[0]


def _group(deal: Deal, count: int, market: LadderMarket) -> Group:
    """The group as it was after so many fills."""
    fills = deal.fills[:count]
    in_coins = market.fee_side == "base" and deal.side == "long"
    coins = sum((fill.amount - (fill.fee / fill.price if in_coins else _ZERO) for fill in fills), _ZERO)
    fees = _ZERO if in_coins else sum((fill.fee for fill in fills), _ZERO)
    cost = sum((fill.cost for fill in fills), _ZERO)
    first = fills[0]
    return Group(deal.side, first.price, cost, coins, fees, deal.capital, count, deal.opened_at, fills[-1].at)


# -- grids -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter, by its dotted name, and the values that are tried."""

    name: str
    values: tuple[Decimal, ...]


class Cell(NamedTuple):
    """What two values came to: on all candles or on the first part (`tried`), and on the rest (`checked`).

    Without `tried` the two values cannot stand together: `problem` says why.
    """

    across: Decimal
    down: Decimal
    tried: Summary | None
    checked: Summary | None = None
    problem: Message | None = None


def result_of(summary: Summary) -> Decimal:
    """What was gained in all, quote currency: groups that are still open count at the last price."""
    return summary.profit + summary.open_profit


@dataclass(frozen=True)
class Grid:
    """Row by row. `split_at` is where the second part of the candles begins."""

    across: Axis
    down: Axis
    cells: tuple[Cell, ...]
    split_at: datetime | None = None

    def ranked(self, worth: Callable[[Summary], Decimal] = result_of, *, checked: bool = False) -> list[Cell]:
        """Those that could be tried, the one with the most of it first."""
        known = [(worth(told), cell) for cell in self.cells if (told := cell.checked if checked else cell.tried)]
        return [cell for _much, cell in sorted(known, key=lambda pair: pair[0], reverse=True)]

    def neighbours(self, cell: Cell) -> list[Cell]:
        """The cells that touch it, corners too, and could be tried."""
        column, row = self.across.values.index(cell.across), self.down.values.index(cell.down)
        return [
            other
            for other in self.cells
            if other.tried is not None
            and (other.across, other.down) != (cell.across, cell.down)
            and abs(self.across.values.index(other.across) - column) <= 1
            and abs(self.down.values.index(other.down) - row) <= 1
        ]


@dataclass(frozen=True, eq=False)
class GridPlan:
    """A replay for each pair of values. `split`: so much of the time chooses, the rest checks; None takes all of it."""

    question: Question
    across: Axis
    down: Axis
    split: float | None = None

    @cached_property
    def key(self) -> str:
        text = f"{self.question.key}|{self.across!r}|{self.down!r}|{self.split}"
        return hashlib.sha256(text.encode()).hexdigest()

    def answer(self, on_progress: Callable[[float], object] | None = None) -> Grid:
        """Raises ReplayError; BfaiError where two axes are one or there are too many cells."""
        count = len(self.across.values) * len(self.down.values)
        if self.across.name == self.down.name or not 0 < count <= MOST_CELLS:
            text = N_("A grid takes two different parameters and has at most {count} cells. Choose fewer values.")
            raise BfaiError(Message(text=text, params={"count": MOST_CELLS}))
        at = self._split_at()
        parts = [(None, None)] if at is None else [(None, at), (at, None)]
        questions = [self.question.between(*part) for part in parts]
        cells: list[Cell] = []
        for down in self.down.values:
            for across in self.across.values:
                if on_progress is not None:
                    on_progress(len(cells) / count)
                cells.append(self._cell(across, down, questions, on_progress, len(cells) / count))
        return Grid(self.across, self.down, tuple(cells), at)

    def _split_at(self) -> datetime | None:
        if self.split is None:
            return None
        begin = min(candles.begins for candles in self.question.candles.values())
        end = max(candles.ends for candles in self.question.candles.values())
        return begin + (end - begin) * self.split

    def _cell(
        self,
        across: Decimal,
        down: Decimal,
        questions: Sequence[Question],
        on_progress: Callable[[float], object] | None,
        so_far: float,
    ) -> Cell:
        def still(_share: float) -> None:
            if on_progress is not None:
                on_progress(so_far)  # a long replay can be ended in its middle

        fields = {self.across.name: across, self.down.name: down}
        try:
            changed = with_values(self.question.parameters, fields)
        except StrategyError as error:
            why = error.problems[0].text if error.problems else error.message
            return Cell(across, down, None, problem=why)
        wrong = [problem for problem in check(changed) if problem.severity is Severity.ERROR]
        if wrong:
            return Cell(across, down, None, problem=wrong[0].text)
        told = [replace(question, parameters=changed).answer(still).summary for question in questions]
        return Cell(across, down, told[0], told[1] if len(told) > 1 else None)


def with_values(parameters: Parameters, values: Mapping[str, Decimal]) -> Parameters:
    """The parameters with these, by dotted names. Raises StrategyError."""
    fields = {
        name.replace(".", "__"): int(value) if name in _COUNTS else str(value.normalize())
        for name, value in values.items()
    }
    return parameters.changed(**fields)


_SPREADS: Final[Mapping[str, float]] = {
    "take_profit_pct": 2.0,
    "addon_step_pct": 2.0,
    "addon_multiplier": 1.3,
    "addon_step_multiplier": 1.3,
    "addon_max_count": 0,
    "first_entry_size": 2.0,
    "stop_loss_pct": 2.0,
    "leverage": 0,
    "recovery.drawdown_pct": 2.0,
}
"""How far from the present value a grid goes, as a factor; a count goes one by one."""
_COUNTS: Final = frozenset({"addon_max_count", "leverage"})


def grid_axes(parameters: Parameters) -> list[str]:
    """The parameters that are worth trying for this strategy, those that matter most first."""
    p = parameters
    on_grid = p.addon_mode != "off" and p.custom_steps is None
    holds = {
        "addon_step_pct": on_grid,
        "addon_multiplier": on_grid,
        "addon_step_multiplier": on_grid,
        "addon_max_count": on_grid,
        "stop_loss_pct": p.stop_loss_pct is not None,
        "leverage": p.market is Market.FUTURES,
        "recovery.drawdown_pct": p.recovery.enabled,
    }
    return [name for name in _SPREADS if holds.get(name, True)]


def axis_of(parameters: Parameters, name: str, count: int) -> Axis:
    """So many values around the present one, which is among them; fewer at the end of what is allowed."""
    now = Decimal(str(flat(parameters)[name]))
    half = count // 2
    if name in _COUNTS:
        low = max(0 if name == "addon_max_count" else 1, int(now) - half)
        tried = [Decimal(low + step) for step in range(count)]
    else:
        spread = _SPREADS[name]
        tried = [_rounded(float(now) * spread ** ((step - half) / max(1, half))) for step in range(count)]
        tried[half] = now
    kept: list[Decimal] = []
    for value in sorted({value.normalize() for value in tried}):
        try:
            with_values(parameters, {name: value})
        except StrategyError:
            continue
        kept.append(value)
    return Axis(name, tuple(kept))


def _rounded(value: float) -> Decimal:
    """To two digits, as a person would write it."""
    return Decimal(f"{value:.2g}")


# -- as files ----------------------------------------------------------------------------------------------------------


def what_of(line: Decision) -> str:
    """What a line of the log is about: an outcome, "closed", "recovery", "returned", "trimmed", or a guard."""
    if line.outcome is not None:
        return line.outcome.value
    if line.exit is not None:
        return "closed"
    if line.entered:
        return "recovery"
    if line.returned:
        return "returned"
    if line.trimmed is not None:
        return "trimmed"
    return line.guard.value if line.guard is not None else ""


def log_csv(found: Replay) -> str:
    """Every decision, a line each: times in UTC, reasons by their short names."""
    rows = [
        (
            _time(line.at),
            line.pair or "",
            line.side or "",
            what_of(line),
            "" if line.level is None else line.level,
            _plain(line.price),
            " ".join(line.reasons),
            " ".join(line.entered),
            line.exit or "",
            _plain(line.profit),
        )
        for line in found.log
    ]
    return _csv(("time", "pair", "side", "what", "level", "price", "reasons", "difficulties", "exit", "profit"), rows)


def deals_csv(found: Replay) -> str:
    """Every deal, a line each; one that is still open has no end."""
    rows = [
        (
            _time(deal.opened_at),
            "" if deal.closed_at is None else _time(deal.closed_at),
            deal.pair,
            deal.side,
            deal.addons,
            _plain(deal.fills[0].price),
            _plain(sum((fill.cost for fill in deal.fills), _ZERO)),
            _plain(deal.exit_price),
            deal.exit or "",
            _plain(deal.profit),
            _plain(deal.fees),
            _plain(deal.capital),
            "" if deal.recovery_at is None else _time(deal.recovery_at),
        )
        for deal in found.deals
    ]
    head = "opened closed pair side addons first_price cost exit_price exit profit fees capital recovery_since".split()
    return _csv(head, rows)


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"
