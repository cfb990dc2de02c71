"""Freqtrade's backtest of an exported bundle, without any network: `python backtest.py JOB.json`, in Freqtrade's venv.

The job names the bundle's folder, its markets, the fee, the candles (CSV) and the file for the result. Nothing of
Freqtrade is changed: the exchange gets its markets by ccxt's `set_markets`, as its documents tell.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import LocalTrade
from freqtrade.resolvers import ExchangeResolver


def market(told: dict[str, Any], futures: bool) -> dict[str, Any]:
    """As ccxt knows it."""

    def number(name: str) -> float | None:
        return None if told[name] is None else float(told[name])

    base, quote = told["pair"].split("/")
    return {
        "id": base + quote,
        "symbol": f"{base}/{quote}:{quote}" if futures else told["pair"],
        "base": base,
        "quote": quote,
        "settle": quote if futures else None,
        "baseId": base,
        "quoteId": quote,
        "settleId": quote if futures else None,
        "type": "swap" if futures else "spot",
        "spot": not futures,
        "margin": False,
        "swap": futures,
        "future": False,
        "option": False,
        "contract": futures,
        "linear": True if futures else None,
        "inverse": False if futures else None,
        "contractSize": float(told["contract_size"]) if futures else None,
        "active": True,
        "taker": number("taker"),
        "maker": number("maker"),
        "percentage": True,
        "tierBased": False,
        "precision": {"price": number("tick_size"), "amount": number("step_size")},
        "limits": {
            "amount": {"min": number("min_amount"), "max": number("max_amount")},
            "cost": {"min": number("min_cost"), "max": number("max_cost")},
            "price": {"min": None, "max": None},
            "leverage": {"min": 1, "max": 125 if futures else None},
        },
        "info": {},
    }


def store_candles(job: dict[str, Any], folder: Path, futures: bool, timeframe: str) -> None:
    """Feather files as Freqtrade keeps them; futures also need marks and funding, which are nothing here."""
    for told in job["markets"]:
        frame = pd.read_csv(told["candles"])
        frame["date"] = pd.to_datetime(frame.pop("time"), unit="s", utc=True)
        frame = frame[["date", "open", "high", "low", "close", "volume"]]
        name = told["pair"].replace("/", "_")
        if not futures:
            frame.to_feather(folder / f"{name}-{timeframe}.feather")
            continue
        place = folder / "futures"
        place.mkdir(exist_ok=True)
        quote = told["pair"].split("/")[1]
        frame.to_feather(place / f"{name}_{quote}-{timeframe}-futures.feather")
        hours = frame.set_index("date")["close"].resample("1h").first().ffill().reset_index()
        for kind, price in (("mark", hours["close"]), ("funding_rate", 0.0)):
            rows = pd.DataFrame({"date": hours["date"]}).assign(open=price, high=price, low=price, close=price)
            rows["volume"] = 0.0
            rows.to_feather(place / f"{name}_{quote}-1h-{kind}.feather")


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(job["folder"])
    data = folder / "data"
    data.mkdir()
    override = folder / "override.json"
    override.write_text(json.dumps({"fee": job["fee"], "cancel_open_orders_on_exit": False}))
    arguments: dict[str, Any] = {
        "config": [str(folder / "config.json"), str(override)],
        "user_data_dir": str(folder / "user_data"),
        "datadir": str(data),
        "exportdirectory": str(folder),
        "export": "none",
        "backtest_cache": "none",
    }
    config = Configuration(arguments, RunMode.BACKTEST).get_config()
    logging.getLogger().setLevel(logging.WARNING)
    futures = config["trading_mode"] == "futures"
    store_candles(job, data, futures, config["timeframe"])
    exchange = ExchangeResolver.load_exchange(config, validate=False, load_leverage_tiers=False)
    markets = [market(told, futures) for told in job["markets"]]
    exchange._api.set_markets(markets)
    exchange._api_async.set_markets(markets)
    exchange._markets = exchange._api.markets
    if futures:
        exchange.fill_leverage_tiers()
    backtesting = Backtesting(config, exchange=exchange)
    backtesting.start()
    trades = [shown(trade) for trade in [*LocalTrade.bt_trades, *LocalTrade.bt_trades_open]]
    Path(job["out"]).write_text(json.dumps(trades))


def shown(trade: LocalTrade) -> dict[str, Any]:
    orders = [
        {
            "side": order.ft_order_side,
            "tag": order.ft_order_tag,
            "price": order.safe_price,
            "amount": order.safe_filled,
            "at": int(order.order_filled_date.timestamp()) if order.order_filled_date else None,
        }
        for order in trade.orders
        if order.safe_filled
    ]
    return {
        "pair": trade.pair.split(":")[0],
        "short": trade.is_short,
        "opened_at": int(trade.open_date_utc.timestamp()),
        "closed_at": int(trade.close_date_utc.timestamp()) if trade.close_date else None,
        "exit": trade.exit_reason,
        "profit": trade.close_profit_abs,
        "realised": trade.realized_profit,
        "orders": orders,
        "liquidation": trade.liquidation_price,
    }


if __name__ == "__main__":
    main()
