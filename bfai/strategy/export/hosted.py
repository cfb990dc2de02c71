"""The ladders that exchanges run themselves, as request bodies to look at. Nothing is ever sent from here.

Bybit's futures Martingale counts its steps from the average price and knows one step for all; OKX's DCA counts from the
first order and knows both multipliers. Neither knows Recovery Mode, sessions, several pairs or a limit over all groups:
what is lost is told as a warning, what cannot be said at all as an error.

Sources: bybit-exchange.github.io/docs/v5/bot/futures-martingale/create, okx.com/docs-v5 "Place dca algo order".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from bfai.i18n import N_
from bfai.model import Market, Message
from bfai.strategy.parameters import Parameters, Problem, Severity, StrategyError, written

HOSTS: Final = ("bybit", "okx")
PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {"bybit": "POST /v5/fmartingalebot/create", "okx": "POST /api/v5/tradingBot/dca/create"}
)
_HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Hosted:
    """One request a pair and direction: what would have to be sent, and what of the strategy is not in it."""

    exchange: str
    path: str
    bodies: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]

    @property
    def text(self) -> str:
        """For a file or a screen."""
        return json.dumps({"request": self.path, "bodies": list(self.bodies)}, indent=2) + "\n"


def hosted_unsupported(parameters: Parameters, exchange: str) -> tuple[Problem, ...]:
    """What this exchange's own ladder cannot do: errors refuse, warnings tell what is left out."""
    found = [*_never(parameters, exchange), *_left_out(parameters)]
    return tuple(sorted(found, key=lambda problem: problem.severity is not Severity.ERROR))


def hosted(parameters: Parameters, exchange: str, required: Mapping[str, Decimal]) -> Hosted:
    """The request bodies. `required`: the capital that the whole ladder of each pair needs, quote currency.

    Raises StrategyError with all reasons where the exchange's ladder cannot do it.
    """
    problems = hosted_unsupported(parameters, exchange)
    errors = tuple(problem for problem in problems if problem.severity is Severity.ERROR)
    if errors:
        raise StrategyError(Message(text=N_("The exchange's own ladder cannot do this strategy.")), errors)
    body = _bybit if exchange == "bybit" else _okx
    bodies = tuple(
        body(parameters, pair, side, required[pair]) for pair in parameters.pairs for side in parameters.directions
    )
    return Hosted(exchange, PATHS[exchange], bodies, problems)


def _error(code: str, field: str, text: str, **params: Any) -> Problem:
    return Problem(code, Severity.ERROR, field, Message(text=text, params=params))


def _warning(code: str, field: str, text: str) -> Problem:
    return Problem(code, Severity.WARNING, field, Message(text=text))


def _never(p: Parameters, exchange: str) -> Iterator[Problem]:
    if exchange not in HOSTS:
        yield _error("hosted_exchange", "connection", N_("Only Bybit and OKX run such a ladder themselves."))
        return
    if p.addon_mode not in ("ladder", "off"):
        yield _error("hosted_zones", "addon_mode", N_("An exchange's own ladder rests its add-ons: choose the ladder."))
    if p.custom_steps:
        text = N_("An exchange's own ladder has no steps of your own: choose a step and multipliers.")
        yield _error("hosted_custom", "custom_steps", text)
    if p.start_condition == "signal":
        yield _error("hosted_signal", "start_condition", N_("An exchange's own ladder gets no signals from outside."))
    if exchange == "okx":
        if p.addons and p.addon_step_reference != "base":
            text = N_("OKX counts its steps from the first order.")
            yield _error("hosted_reference", "addon_step_reference", text)
        gaps = sum((p.addon_step_pct * p.addon_step_multiplier**number for number in range(p.addons)), Decimal(0))
        if p.stop_loss_pct is not None and p.stop_loss_pct <= gaps:
            text = N_("On OKX the stop must lie deeper than all steps together, {percent} %.")
            yield _error("hosted_stop", "stop_loss_pct", text, percent=float(gaps))
        if p.market is Market.SPOT and p.start_condition == "price":
            text = N_("OKX starts its spot ladder at once or by RSI, not at a price.")
            yield _error("hosted_start", "start_condition", text)
        return
    if p.market is not Market.FUTURES:
        yield _error("hosted_spot", "market", N_("Bybit runs this ladder on futures only."))
    if p.addons and p.addon_step_reference != "average":
        text = N_("Bybit counts its steps from the average price.")
        yield _error("hosted_reference", "addon_step_reference", text)
    if p.addons and p.addon_step_multiplier != 1:
        text = N_("On Bybit every step is as wide as the first.")
        yield _error("hosted_multiplier", "addon_step_multiplier", text)
    first = p.first_entry_size * p.addon_multiplier
    if p.addons and (p.first_entry_size if p.addon_size is None else p.addon_size) != first:
        text = N_("On Bybit the first add-on is the first order times the multiplier: {m_size}.")
        yield _error("hosted_size", "addon_size", text, m_size=f"{written(first)} {p.quote}")
    if p.start_condition == "rsi":
        text = N_("Bybit starts its ladder at once or at a price, not by RSI.")
        yield _error("hosted_start", "start_condition", text)


def _left_out(p: Parameters) -> Iterator[Problem]:
    if p.recovery.enabled:
        text = N_("Recovery Mode is left out: the exchange's ladder goes on by its usual rules.")
        yield _warning("hosted_recovery", "recovery.enabled", text)
    if len(p.pairs) * len(p.directions) > 1:
        text = N_("Each pair becomes a ladder of its own: no limit holds over all of them.")
        yield _warning("hosted_groups", "max_groups", text)
    if p.session:
        yield _warning("hosted_session", "session", N_("Sessions are left out: the exchange's ladder always runs."))
    if p.max_daily_loss_pct is not None or p.max_loss_streak is not None:
        text = N_("The pause after losses is left out: the exchange's ladder begins again each time.")
        yield _warning("hosted_pause", "max_daily_loss_pct", text)
    if p.trailing is not None:
        yield _warning("hosted_trailing", "trailing", N_("The trailing target is left out: the fixed one counts."))
    if p.addon_cooldown or p.cooldown_after_close:
        text = N_("Waiting times are left out: the exchange's ladder acts at once.")
        yield _warning("hosted_cooldown", "addon_cooldown", text)
    if p.take_profit_basis != "average_gross":
        text = N_("The exchange counts the target from the average, before fees: set it higher by both fees.")
        yield _warning("hosted_gross", "take_profit_basis", text)


def _share(percent: Decimal) -> str:
    return written(percent / _HUNDRED)


def _leverage(p: Parameters) -> int:
    return p.leverage if p.market is Market.FUTURES else 1


def _bybit(p: Parameters, pair: str, side: str, required: Decimal) -> Mapping[str, Any]:
    body: dict[str, Any] = {
        "symbol": pair.replace("/", ""),
        "martingale_mode": 2 if side == "short" else 1,
        "leverage": str(_leverage(p)),
        "price_float_percent": _share(p.addon_step_pct),
        "add_position_percent": written(p.addon_multiplier),
        "add_position_num": p.addons,
        "init_margin": written(required),
        "round_tp_percent": _share(p.take_profit_pct),
        "auto_cycle_toggle": 1,
    }
    if p.stop_loss_pct is not None:  # of the margin, not of the price
        body["sl_percent"] = _share(p.stop_loss_pct * _leverage(p))
    if p.start_condition == "price" and p.start_price is not None:
        body["entry_price"] = written(p.start_price)
    return body


def _okx(p: Parameters, pair: str, side: str, required: Decimal) -> Mapping[str, Any]:
    futures = p.market is Market.FUTURES
    # A contract ladder is told in margin; ours may be told in notional.
    divisor = _leverage(p) if p.amount_basis == "notional" else 1
    size = p.first_entry_size if p.addon_size is None else p.addon_size
    body: dict[str, Any] = {
        "instId": pair.replace("/", "-") + ("-SWAP" if futures else ""),
        "algoOrdType": "contract_dca" if futures else "spot_dca",
        **(_contract(p, side) if futures else {}),
        "initOrdAmt": written(p.first_entry_size / divisor),
        "maxSafetyOrds": str(p.addons),
        "tpPct": _share(p.take_profit_pct),
        "triggerParams": [_trigger(p, side)],
    }
    if p.addons:
        body |= {
            "safetyOrdAmt": written(size / divisor),
            "pxSteps": _share(p.addon_step_pct),
            "pxStepsMult": written(p.addon_step_multiplier),
            "volMult": written(p.addon_multiplier),
        }
    if p.stop_loss_pct is not None:
        body |= {"slPct": _share(p.stop_loss_pct), "slMode": "market"}
    return body


def _contract(p: Parameters, side: str) -> dict[str, str]:
    # Without the word OKX reinvests.
    return {"direction": side, "lever": str(p.leverage), "allowReinvest": "true" if p.reinvest_pct else "false"}


def _trigger(p: Parameters, side: str) -> dict[str, str]:
    start = {"triggerAction": "start"}
    if p.start_condition == "price" and p.start_price is not None:
        return start | {"triggerStrategy": "price", "triggerPx": written(p.start_price)}
    if p.start_condition == "rsi" and p.start_rsi is not None:
        below = side == "long"
        told = {"thold": str(p.start_rsi if below else 100 - p.start_rsi), "triggerCond": "below" if below else "above"}
        return start | {"triggerStrategy": "rsi", "timeframe": "15m", "timePeriod": "14"} | told
    return start | {"triggerStrategy": "instant"}
