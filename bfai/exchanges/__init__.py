"""The registry: every module of this package that defines `EXCHANGE` is an exchange."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bfai.exchanges.base import Exchange


@cache
def all_exchanges() -> dict[str, Exchange]:
    """Every supported exchange by id, in alphabetical order of their names."""
    found: list[Exchange] = []
    for module in pkgutil.iter_modules(__path__):
        exchange = getattr(importlib.import_module(f"{__name__}.{module.name}"), "EXCHANGE", None)
        if isinstance(exchange, Exchange):
            found.append(exchange)
    return {exchange.id: exchange for exchange in sorted(found, key=lambda exchange: exchange.name.lower())}


def get_exchange(exchange_id: str) -> Exchange:
    """The exchange of this id. Raises KeyError where there is none."""
    return all_exchanges()[exchange_id]
