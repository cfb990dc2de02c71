"""The quick replay and the slow one, which was written without looking at it, say the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from replay_cases import Case, Row, cases
from replay_oracle import OracleReplay, slow_replay

from bfai.strategy.candles import Candles
from bfai.strategy.recovery import Guard, Outcome
from bfai.strategy.replay import Always, Crossing, Decision, Listed, Replay, Rsi, Signals, replay

GUARDS = {Guard.ACTIVE: "resumed", Guard.PAUSED: "paused", Guard.STOPPED: "stopped"}


def played(case: Case) -> Replay:
    candles = {pair: columns(pair, rows, case.interval) for pair, rows in case.candles.items()}
    return replay(case.parameters, case.markets, candles, balance=case.balance, signals=asked(case.signals))


def columns(pair: str, rows: list[Row], interval: int) -> Candles:
    times = np.array([row[0] for row in rows], dtype=np.int64)
    prices = (np.array([float(row[place]) for row in rows]) for place in range(1, 6))
    return Candles(pair, timedelta(seconds=interval), times, *prices, source="file")


def asked(signals: Any) -> Signals | None:
    if signals is None:
        return None
    if isinstance(signals, list):
        return Listed(tuple(signals))
    kind, *rest = signals
    if kind == "rsi":
        return Rsi(below=rest[1], period=rest[0])
    return Crossing(*rest) if kind == "ema" else Always()


def number(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def same(one: Fraction | Decimal | None, other: Fraction | None, what: str) -> None:
    """Exact but for what does not end in decimals."""
    assert (one is None) == (other is None), what
    if one is not None and other is not None:
        assert abs(Fraction(one) - other) <= Fraction(1, 10**30) * max(1, abs(other)), (what, float(one), float(other))


def at(when: datetime | None) -> int | None:
    return None if when is None else int(when.timestamp())


def line(one: Decision) -> tuple[Any, ...]:
    """A line of the log as the slow replay words it."""
    if one.guard is not None:
        word: str = GUARDS[one.guard]
    elif one.exit is not None:
        word = "closed"
    elif one.trimmed is not None:
        word = "trimmed"
    elif one.returned:
        word = "returned"
    elif one.entered:
        word = "recovery"
    else:
        assert one.outcome is not None
        word = one.outcome.value
    level = one.level if one.outcome in (Outcome.OPENED, Outcome.ADD_ON) else None
    return (at(one.at), one.pair, one.side, word, tuple(one.reasons), one.exit, level)


def lines_of(told: OracleReplay) -> list[tuple[Any, ...]]:
    return [
        (
            entry.at,
            entry.pair,
            entry.side,
            entry.outcome,
            entry.reasons,
            entry.exit,
            entry.level if entry.outcome in ("opened", "add_on") else None,
        )
        for entry in told.log
    ]


def compare(found: Replay, told: OracleReplay) -> None:
    # What is added to the difficulties of a group that recovers already is a line of ours only.
    first = [line(one) for one in found.log if not (one.entered and not begins(found, one))]
    assert first == lines_of(told)
    assert len(found.deals) == len(told.deals)
    for deal, other in zip(found.deals, told.deals, strict=True):
        assert (deal.pair, deal.side, at(deal.opened_at), at(deal.closed_at), deal.exit) == (
            other.pair,
            other.side,
            other.opened_at,
            other.closed_at,
            other.exit,
        )
        assert [(at(fill.at), fill.level) for fill in deal.fills] == [(fill.at, fill.level) for fill in other.fills]
        for fill, theirs in zip(deal.fills, other.fills, strict=True):
            for name in ("price", "amount", "cost", "fee"):
                same(getattr(fill, name), getattr(theirs, name), name)
        same(deal.exit_price, other.exit_price, "exit price")
        same(deal.profit, other.profit, "profit")
        same(deal.fees, other.fees, "fees")
        assert at(deal.recovery_at) == other.recovery_at
        assert set(deal.difficulties) == set(other.difficulties)
    figures = found.summary
    same(figures.profit, told.summary.profit, "realised")
    same(figures.peak_capital, told.summary.peak_capital, "peak capital")
    same(figures.fees, told.summary.fees, "all fees")
    assert figures.recoveries == told.summary.recovery_entries
    assert figures.days_near_limit == told.summary.days_near_limit
    assert {level: count for level, count in enumerate(figures.fills_by_level) if count} == told.summary.fills
    frame = found.equity
    assert len(frame) == len(told.equity)
    for row, mark in zip(frame.itertuples(), told.equity, strict=True):
        near(row.equity, mark.equity, mark.t)
        near(row.committed, mark.committed, mark.t)
    near(figures.worst_dip, told.summary.dip_quote, "dip")
    near(figures.worst_dip_pct, told.summary.dip_pct, "dip in percent")


def near(one: Any, other: Fraction, what: object) -> None:
    """As near as floats are."""
    assert abs(float(one) - float(other)) <= 1e-6 * max(1.0, abs(float(other))), (what, one, float(other))


def begins(found: Replay, one: Decision) -> bool:
    """Whether Recovery Mode began with this line."""
    before = [other for other in found.log[: found.log.index(one)] if (other.pair, other.side) == (one.pair, one.side)]
    for other in reversed(before):
        if other.returned or other.outcome is Outcome.OPENED:
            return True
        if other.entered:
            return False
    return True


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(cases())
def test_both_say_the_same(case: Case) -> None:
    markets: Mapping[str, Any] = case.markets
    told = slow_replay(case.parameters, markets, case.candles, balance=case.balance, signals=case.signals)
    compare(played(case), told)
