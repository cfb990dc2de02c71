"""BackFuture AI Workbench: is this API key safe for a bot, and does the connection work?

`Workbench` is the one object to start with:

    with bfai.Workbench.local() as workbench:
        workbench.unlock(password)
        run = workbench.start_test(workbench.find("MEXC Spot Main").id).wait()

`read_key` needs nothing but a ccxt instance, synchronous or not:

    report = await bfai.read_key(ccxt.async_support.okx({"apiKey": …, "secret": …, "password": …}))
    report.state(bfai.Permission.WITHDRAW)      # "granted", "denied" (told by the exchange itself) or "unknown"

`ladder` works out a ladder of add-ons as a DataFrame, a row for each order:

    bfai.ladder({"type": "spot", "tick_size": "0.1", "step_size": "0.00001", "maker": "0.001", "taker": "0.001"},
                {"side": "long", "entry_price": "60000", "base_order_quote": "100", "safety_order_quote": "100",
                 "step_pct": "1.5", "max_safety_orders": 6, "take_profit_pct": "1.2"})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bfai.model import Connection, Credentials, KeyReport, Market, Permission, Status, Target, TestRun

if TYPE_CHECKING:
    from bfai.ccxt_key import KeyRefused, read_key, read_key_sync
    from bfai.strategy.ladder import ladder
    from bfai.workbench import Workbench

__all__ = [
    "Connection",
    "Credentials",
    "KeyRefused",
    "KeyReport",
    "Market",
    "Permission",
    "Status",
    "Target",
    "TestRun",
    "Workbench",
    "ladder",
    "read_key",
    "read_key_sync",
]
__version__ = "0.1.0"


_LATER = {
    "Workbench": "bfai.workbench",
    "ladder": "bfai.strategy.ladder",
    "KeyRefused": "bfai.ccxt_key",
    "read_key": "bfai.ccxt_key",
    "read_key_sync": "bfai.ccxt_key",
}
"""Imported when they are first asked for: a script that needs the nouns only starts at once."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(name)
