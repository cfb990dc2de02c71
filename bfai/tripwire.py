"""The tripwire: says when a test sees an asset, or an open order in a pair, that the trader did not list.

It looks at nothing but the answers that a test gets anyway, so it sees what they tell: free balances of the account
that the test reads, and the open orders that it asks for (`blind_spots`). What was there before is no stranger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from bfai.exchanges.base import Exchange
from bfai.i18n import N_
from bfai.model import BfaiError, CheckName, Message, Outcome, Target, TestRun

MOST = 200
"""Names on one list."""

_ASSET = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,29}")
_PAIR = re.compile(r"[A-Z0-9][A-Z0-9._:/-]{2,39}")
_BETWEEN = re.compile(r"[/_.-]")


@dataclass(frozen=True, slots=True)
class Tripwire:
    """What the bot may touch: assets ("USDT"), and pairs ("BTC/USDT", or as the exchange writes them)."""

    on: bool = False
    assets: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"on": self.on, "assets": list(self.assets), "pairs": list(self.pairs)}

    @classmethod
    def from_json(cls, value: object) -> Tripwire:
        """From `as_json`; anything else is a tripwire that is off."""
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        lists: list[tuple[str, ...]] = []
        for name in ("assets", "pairs"):
            items: list[object] = fields.get(name) or []
            lists.append(tuple(item for item in items if isinstance(item, str)))
        return cls(fields.get("on") is True, *lists)


class NotAName(BfaiError):
    """A list holds something that is no asset or pair."""

    def __init__(self, word: str) -> None:
        text = N_("“{word}” is no asset or pair. Write them like USDT and BTC/USDT, with commas between.")
        super().__init__(Message(text=text, params={"word": word[:40]}))


class TooMany(BfaiError):
    """A list is longer than `MOST`."""

    def __init__(self) -> None:
        text = N_("A list holds up to {count} names. Leave out what the bot does not touch.")
        super().__init__(Message(text=text, params={"count": MOST}))


def read_names(text: str, *, pairs: bool) -> tuple[str, ...]:
    """A list as a trader types it: names with commas, blanks or lines between. Raises `NotAName`, `TooMany`."""
    words = tuple(dict.fromkeys(word.upper() for word in re.split(r"[,;\s]+", text) if word))
    for word in words:
        if not (_PAIR if pairs else _ASSET).fullmatch(word):
            raise NotAName(word)
    if len(words) > MOST:
        raise TooMany
    return words


def same_pair(name: str) -> str:
    """A pair's name without what exchanges add or leave out: BTC/USDT:USDT, BTC-USDT-SWAP, btcusdt and XBTUSDTM are
    one. What is traded on spot and as a perpetual contract counts as one pair.
    """
    word = _BETWEEN.sub("", name.upper().partition(":")[0])
    word = word.removesuffix("SWAP")
    contract = re.fullmatch(r"(.+USD[TC]?)M", word)  # KuCoin's contracts
    word = contract[1] if contract else word
    return f"BTC{word[3:]}" if word.startswith("XBT") else word


def assets_seen(run: TestRun) -> frozenset[str] | None:
    """The assets with a free balance, or None where the run did not read them."""
    check = run.check(CheckName.BALANCE)
    if check is None or check.outcome is not Outcome.PASS:
        return None
    return frozenset(name.upper() for name in (*run.balances, *run.other_assets))


def strangers(
    listed: Tripwire, before: TestRun | Iterable[TestRun] | None, run: TestRun
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Assets, and pairs with open orders, in this run that are not listed and were not there before: sorted.

    `before` is the last run before it, or all of them, the newest first: of each kind the newest counts that read it,
    and without one there is nothing to compare with. A stranger stays one until it is gone, or listed.
    """
    if not listed.on:
        return (), ()
    earlier = [before] if isinstance(before, TestRun) else list(before or ())
    assets = _strange_assets(listed, next((one for one in earlier if assets_seen(one) is not None), None), run)
    pairs = _strange_pairs(listed, next((one for one in earlier if one.order_pairs is not None), None), run)
    return assets, pairs


def _strange_assets(listed: Tripwire, before: TestRun | None, run: TestRun) -> tuple[str, ...]:
    now, then = assets_seen(run), assets_seen(before) if before is not None else None
    if now is None or then is None or before is None:
        return ()
    known = {asset.upper() for asset in listed.assets}
    for pair in listed.pairs:
        known.update(part for part in _BETWEEN.split(pair.upper().partition(":")[0]) if part)
    return tuple(sorted(name for name in now - known if name not in then or name in before.stranger_assets))


def _strange_pairs(listed: Tripwire, before: TestRun | None, run: TestRun) -> tuple[str, ...]:
    if run.order_pairs is None or before is None or before.order_pairs is None:
        return ()
    known = {same_pair(pair) for pair in listed.pairs}
    then = {same_pair(pair) for pair in before.order_pairs}
    strange = {same_pair(pair) for pair in before.stranger_orders}
    return tuple(
        name
        for name in sorted(run.order_pairs)
        if (word := same_pair(name)) not in known and (word not in then or word in strange)
    )


def news(before: TestRun | Iterable[TestRun] | None, run: TestRun) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The strangers of this run that none of the runs before it had yet: what an alarm is raised for, once.

    `before` is what `strangers` was given.
    """
    earlier = [before] if isinstance(before, TestRun) else list(before or ())
    assets = next((one for one in earlier if assets_seen(one) is not None), None)
    pairs = next((one for one in earlier if one.order_pairs is not None), None)
    had = {same_pair(pair) for pair in pairs.stranger_orders} if pairs is not None else set[str]()
    return (
        tuple(name for name in run.stranger_assets if assets is None or name not in assets.stranger_assets),
        tuple(name for name in run.stranger_orders if same_pair(name) not in had),
    )


def blind_spots(exchange: Exchange, target: Target) -> Message:
    """What the tripwire cannot see on such a connection, in one sentence."""
    one = exchange.one_pair_asked(target)
    if one is not None:
        text = N_(
            "It does not see open orders in other pairs than {pair}, because a test asks {exchange} for that one"
            " only, nor assets that lie wholly in orders, in positions or in other accounts, nor what comes and goes"
            " between two tests."
        )
        return Message(text=text, params={"pair": one, "exchange": exchange.name})
    text = N_(
        "It does not see assets that lie wholly in orders, in positions or in other accounts, open orders beyond the"
        " first page that {exchange} gives, nor what comes and goes between two tests."
    )
    return Message(text=text, params={"exchange": exchange.name})
