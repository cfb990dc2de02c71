"""A strategy in the form that an engine reads: Freqtrade's config with one fixed strategy file, and the request bodies
of the ladders that exchanges run themselves.

    problems = unsupported(parameters, target)             # errors refuse, warnings are to be read
    bundle = freqtrade(parameters, markets, target, balance=Decimal(1000))
    bundle.write(folder)

Nothing here knows a key: no bundle holds one, and what it writes says `dry_run: true`. What an engine cannot do is said
before anything is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bfai.i18n import N_
from bfai.model import Environment, Market, Message, Target
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import Fix, Parameters, Problem, Severity, StrategyError, written

FORMAT: Final = "bfai.freqtrade/1"
STRATEGY: Final = "BfaiStrategy"
CONFIG: Final = "config.json"
STRATEGY_FILE: Final = "user_data/strategies/bfai_strategy.py"
STATE_FILE: Final = "state.json"
TESTED_WITH: Final = "2026.9"
"""The version of Freqtrade that all of this was compared with."""

NAMES: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("binance", "global"): "binance",
        ("binance", "us"): "binanceus",
        ("bingx", "global"): "bingx",
        ("bitget", "global"): "bitget",
        ("bybit", "global"): "bybit",
        ("bybit", "eu"): "bybiteu",
        ("coinbase", "global"): "coinbase",
        ("gate", "global"): "gate",
        ("gate", "eu"): "gateeu",
        ("htx", "global"): "htx",
        ("kucoin", "global"): "kucoin",
        ("mexc", "global"): "mexc",
        ("okx", "global"): "okx",
        ("okx", "eea"): "myokx",
        ("okx", "us"): "okxus",
    }
)
"""Exchange and region as Freqtrade calls them. A region that is not here has no name there."""
FUTURES: Final = frozenset({"binance", "bitget", "bybit", "gate", "okx"})
"""Where Freqtrade trades futures (isolated margin)."""
OFFICIAL: Final = frozenset(
    {"binance", "binanceus", "bingx", "bitget", "bybit", "bybiteu", "gate", "gateeu", "htx", "myokx", "okx"}
)
STOP_ON_EXCHANGE: Final = frozenset({"binance", "bingx", "bitget", "bybit", "gate", "htx", "kucoin", "okx"})
"""Where Freqtrade can leave the stop with the exchange, so that it works while the engine does not."""
INTERVALS: Final[Mapping[timedelta, str]] = MappingProxyType(
    {
        timedelta(minutes=minutes): word
        for minutes, word in (
            (1, "1m"), (3, "3m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "1h"), (120, "2h"), (240, "4h"),
            (360, "6h"),
            (480, "8h"), (720, "12h"), (1440, "1d"),
        )
    }
)  # fmt: skip
YEAR: Final = 525_600  # minutes
FIRST_ORDER_RESERVE: Final = Decimal("1.5")
"""Freqtrade opens on spot only with so many times the exchange's smallest cost."""
_NAMES_SHOWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "binance": "Binance", "bingx": "BingX", "bitget": "Bitget", "bybit": "Bybit", "coinbase": "Coinbase",
        "gate": "Gate", "htx": "HTX", "kucoin": "KuCoin", "mexc": "MEXC", "okx": "OKX",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of an export: path below its folder -> text. No key is in any of them."""

    files: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    """The warnings that went with it."""

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.files[CONFIG])

    def write(self, folder: Path) -> None:
        """Writes them, for the owner alone. Files of the same name are replaced. Raises OSError."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, text)


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step; readable by its owner alone. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


# -- what the engine cannot do -----------------------------------------------------------------------------------------


def unsupported(
    parameters: Parameters, target: Target, markets: Mapping[str, LadderMarket] = MappingProxyType({})
) -> tuple[Problem, ...]:
    """What Freqtrade cannot do as this strategy asks: errors refuse the export, warnings tell of a difference.

    `markets` by pair, where they are known, add what depends on an exchange's smallest orders.
    """
    found = [
        *_exchange(parameters, target),
        *_refused(parameters),
        *_minimum(parameters, markets),
        *_different(parameters, target),
    ]
    return tuple(sorted(found, key=lambda problem: problem.severity is not Severity.ERROR))


def refused(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those among them that refuse an export."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


def engine_name(target: Target, market: Market) -> str | None:
    """What Freqtrade calls this exchange and region, or None where it does not trade this market there."""
    name = NAMES.get((target.exchange, target.region))
    return None if name is None or (market is Market.FUTURES and name not in FUTURES) else name


def _problem(
    code: str, field: str, text: str, severity: Severity = Severity.ERROR, fixes: Sequence[Fix] = (), **params: Any
) -> Problem:
    return Problem(code, severity, field, Message(text=text, params=params), fixes=tuple(fixes))


def _warning(code: str, field: str, text: str, **params: Any) -> Problem:
    return _problem(code, field, text, Severity.WARNING, **params)


def _fix(field: str, value: Any, text: str) -> tuple[Fix, ...]:
    return (Fix(field, value, Message(text=text)),)


def _exchange(p: Parameters, target: Target) -> Iterator[Problem]:
    shown: dict[str, Any] = {"exchange": _NAMES_SHOWN.get(target.exchange, target.exchange)}
    name = NAMES.get((target.exchange, target.region))
    if name is None:
        text = N_("Freqtrade does not know this region of {exchange}.")
        yield _problem("engine_region", "connection", text, **shown)
    elif p.market is Market.FUTURES and name not in FUTURES:
        text = N_("Freqtrade trades no futures on {exchange}. It can run this on spot, or on another exchange.")
        yield _problem("engine_no_futures", "market", text, **shown)
    elif name not in OFFICIAL:
        text = N_("Freqtrade works with {exchange}, but its makers do not test that. Watch it closely.")
        yield _warning("engine_unofficial", "connection", text, **shown)
    if target.environment in (Environment.TESTNET, Environment.DEMO):
        text = N_("Freqtrade does not trade on test accounts: it can run dry on real prices, and cannot go live here.")
        yield _warning("engine_environment", "connection", text)


def _refused(p: Parameters) -> Iterator[Problem]:
    if len(p.directions) > 1:
        text = N_("Freqtrade holds one group per pair: long and short at once need two strategies.")
        yield _problem("engine_two_directions", "directions", text, fixes=_fix("directions", ["long"], N_("Only long")))
    if p.addon_mode in ("zones", "strict"):
        text = N_("Add-ons on a signal need signals from outside, and Freqtrade gets none. It can rest them as orders.")
        fixes = _fix("addon_mode", "ladder", N_("Rest the add-ons as orders"))
        yield _problem("engine_zones", "addon_mode", text, fixes=fixes)
    if p.addon_resting > 1 and p.addons > 1:
        text = N_("Freqtrade rests one add-on at a time.")
        fixes = _fix("addon_resting", 1, N_("Rest one at a time"))
        yield _problem("engine_resting", "addon_resting", text, fixes=fixes)
    if p.start_condition == "signal":
        text = N_("Freqtrade gets no signals from outside: choose another start.")
        yield _problem("engine_signal", "start_condition", text)


def _minimum(p: Parameters, markets: Mapping[str, LadderMarket]) -> Iterator[Problem]:
    for pair in p.pairs:
        market = markets.get(pair)
        if market is None or p.market is not Market.SPOT or market.min_cost is None:
            continue
        least = market.min_cost * FIRST_ORDER_RESERVE
        if p.first_entry_size < least:
            text = N_("Freqtrade opens {pair} only with {m_least} or more: 1.5 times the exchange's minimum.")
            params: dict[str, Any] = {"pair": pair, "m_least": f"{written(least)} {p.quote}"}
            yield _problem("engine_minimum", "first_entry_size", text, **params)


def _different(p: Parameters, target: Target) -> Iterator[Problem]:
    if p.recovery.enabled and p.recovery.separate_connection_id is not None:
        text = N_("One Freqtrade trades with one key: no new groups begin on the other connection. Start a second one.")
        yield _warning("engine_separate", "recovery.separate_connection_id", text)
    if p.trailing is not None:
        text = N_("The trailing target follows closed candles, so it acts up to one candle later.")
        yield _warning("engine_trailing", "trailing", text)
    if p.addons and p.addon_order_type == "market":
        text = N_("Freqtrade rests the add-ons as limit orders.")
        yield _warning("engine_addon_market", "addon_order_type", text)
    if p.recovery.enabled and p.recovery.return_mode == "manual":
        text = N_("Nobody can end Recovery Mode by hand in Freqtrade: it lasts until the group closes.")
        yield _warning("engine_manual_return", "recovery.return_mode", text)
    if p.on_stop == "close":
        text = N_("Stopping the engine keeps the open groups. Close them at the exchange, or let them run out.")
        yield _warning("engine_on_stop", "on_stop", text)
    name = engine_name(target, p.market)
    if p.stop_loss_pct is not None and name is not None and name not in STOP_ON_EXCHANGE:
        text = N_("Freqtrade watches the stop itself here: it works only while the engine runs.")
        yield _warning("engine_stop_watched", "stop_loss_pct", text)


# -- Freqtrade's bundle ------------------------------------------------------------------------------------------------


def freqtrade(
    parameters: Parameters,
    markets: Mapping[str, LadderMarket],
    target: Target,
    *,
    balance: Decimal,
    interval: timedelta = timedelta(minutes=5),
    name: str = "",
    revision: int = 0,
    committed: Decimal = Decimal(0),
    state_max_age: timedelta | None = None,
) -> Bundle:
    """The config and the strategy file for Freqtrade. Writes nothing.

    `markets` by pair; `balance` is the account's in quote currency, from which every percentage is taken; `committed`
    is what other strategies of the same account need. With `state_max_age` the strategy opens nothing unless
    `state.json` beside the config, which `bfai run` keeps, is younger and says so. Raises StrategyError with all
    reasons where Freqtrade cannot do it.
    """
    problems = unsupported(parameters, target, markets)
    errors = refused(problems)
    if errors:
        raise StrategyError(Message(text=N_("Freqtrade cannot run this strategy as it is.")), errors)
    missing = [pair for pair in parameters.pairs if pair not in markets]
    if missing:
        text = N_("The rules of {pair} are not known.")
        raise StrategyError(Message(text=text, params={"pair": ", ".join(missing)}))
    if interval not in INTERVALS:
        raise StrategyError(Message(text=N_("Freqtrade has no candles of this length.")))
    config = _config(parameters, markets, target, balance, interval, name, revision, committed, state_max_age)
    source = (Path(__file__).parent / "bfai_strategy.py").read_text(encoding="utf-8")
    files = {CONFIG: json.dumps(config, indent=2, ensure_ascii=False) + "\n", STRATEGY_FILE: source}
    return Bundle(MappingProxyType(files), problems)


def symbol(parameters: Parameters, pair: str) -> str:
    """The pair as Freqtrade writes it."""
    return f"{pair}:{parameters.quote}" if parameters.market is Market.FUTURES else pair


def _config(
    p: Parameters,
    markets: Mapping[str, LadderMarket],
    target: Target,
    balance: Decimal,
    interval: timedelta,
    name: str,
    revision: int,
    committed: Decimal,
    state_max_age: timedelta | None,
) -> dict[str, Any]:
    futures = p.market is Market.FUTURES
    leverage = p.leverage if futures else 1
    total = p.margin_limit_total.quote(balance) or balance
    pair_limit = p.margin_limit_pair.quote(balance) if p.margin_limit_pair is not None else None
    exchange = engine_name(target, p.market) or ""
    on_exchange = p.stop_loss_pct is not None and exchange in STOP_ON_EXCHANGE
    entry_side = "other" if p.entry_order_type == "market" else "same"
    block: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "revision": revision,
        "digest": p.digest,
        "balance": written(balance),
        "committed": written(committed),
        "total_limit": written(total),
        "pair_limit": written(total / p.max_groups if pair_limit is None else pair_limit),
        "parameters": p.model_dump(mode="json"),
        "markets": {symbol(p, pair): _market(markets[pair]) for pair in p.pairs},
    }
    if state_max_age is not None:
        block |= {"state_file": STATE_FILE, "state_max_age_s": int(state_max_age.total_seconds())}
    return {
        "dry_run": True,
        "strategy": STRATEGY,
        "timeframe": INTERVALS[interval],
        "trading_mode": "futures" if futures else "spot",
        **({"margin_mode": p.margin_mode, "liquidation_buffer": 0.0} if futures else {}),
        "stake_currency": p.quote,
        "stake_amount": "unlimited",
        "dry_run_wallet": float(balance),
        "available_capital": float(total),
        "tradable_balance_ratio": 1.0,
        "amount_reserve_percent": 0.0,
        "max_open_trades": p.max_groups,
        "position_adjustment_enable": True,
        "max_entry_position_adjustment": p.addons,
        "stoploss": -float(leverage),  # never by itself: the strategy sets the stop from the average
        "use_custom_stoploss": p.stop_loss_pct is not None or p.trailing is not None,
        "use_exit_signal": p.trailing is not None or p.recovery.red_drawdown_pct is not None,
        "custom_price_max_distance_ratio": 0.99,  # else a deep add-on is put 2 % below the price
        "unfilledtimeout": {"entry": YEAR, "exit": 5, "exit_timeout_count": 0, "unit": "minutes"},
        "order_types": {
            "entry": "limit",
            "exit": p.exit_order_type,
            "emergency_exit": "market",
            "force_entry": "limit",
            "force_exit": "market",
            "stoploss": "market",
            "stoploss_on_exchange": on_exchange,
            "stoploss_on_exchange_interval": 60,
        },
        "entry_pricing": {"price_side": entry_side, "use_order_book": True, "order_book_top": 1},
        # Freqtrade sends the exit when the price is there: on the near side it may be left behind.
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exchange": {
            "name": exchange,
            "pair_whitelist": [symbol(p, pair) for pair in p.pairs],
            "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
        "cancel_open_orders_on_exit": True,  # nobody would look after an add-on that fills meanwhile
        "force_entry_enable": False,
        "internals": {"process_throttle_secs": 5},
        "bfai": block,
    }


def _market(market: LadderMarket) -> dict[str, str | None]:
    names = ("tick_size", "step_size", "contract_size", "min_amount", "max_amount", "min_cost", "max_cost")
    told: dict[str, str | None] = {}
    for name in (*names, "maker", "taker"):
        value: Decimal | None = getattr(market, name)
        told[name] = None if value is None else format(value, "f")
    return told
