"""BackFuture AI Workbench: is this API key safe for a bot, and does the connection work?

`Workbench` is the one object to start with:

    with bfai.Workbench.local() as workbench:
        workbench.unlock(password)
        run = workbench.start_test(workbench.find("MEXC Spot Main").id).wait()

`read_key` needs nothing but a ccxt instance, synchronous or not:

    report = await bfai.read_key(ccxt.async_support.okx({"apiKey": …, "secret": …, "password": …}))
    report.state(bfai.Permission.WITHDRAW)      # "granted", "denied" (told by the exchange itself) or "unknown"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bfai.model import Connection, Credentials, KeyReport, Market, Permission, Status, Target, TestRun

if TYPE_CHECKING:
    from bfai.ccxt_key import KeyRefused, read_key, read_key_sync
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
    "read_key",
    "read_key_sync",
]
__version__ = "0.1.0"


_LATER = {
    "Workbench": "bfai.workbench",
    "KeyRefused": "bfai.ccxt_key",
    "read_key": "bfai.ccxt_key",
    "read_key_sync": "bfai.ccxt_key",
}
"""Imported when they are first asked for: a script that needs the nouns only starts at once."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(name)
