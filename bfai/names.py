"""Names of connections: what is suggested, and a gentle word on a name that will say little, or the wrong thing.

Nothing here forbids a name: whether one can be kept is `Workbench.name_problem`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from bfai.i18n import N_
from bfai.model import Environment, KeyReport, Market, Message, Target

MOST: Final = 4
"""How many names are suggested at once."""
MARKETS: Final = {Market.SPOT: "Spot", Market.FUTURES: "Futures"}
"""As names have them: a name is the same in every language."""
_PURPOSES: Final = {
    Market.SPOT: ("Main", "Grid", "DCA", "Recovery"),
    Market.FUTURES: ("Main", "Conservative", "Grid", "Recovery"),
}
_VAGUE: Final = frozenset(
    "a abc aaa api asdf bla connection default exchange first foo my new old qwerty second temp test the tmp untitled"
    " xxx key keys bot account sleutel nieuw mijn verbinding ključ novi moj veza schlüssel neu mein verbindung".split()
)
_WITHDRAW: Final = re.compile(r"withdraw|pay.?out|opnam|opneem|opneme|povla[cč]|isplat|auszahl|abheb", re.IGNORECASE)
_MARKET_WORDS: Final = {
    Market.SPOT: frozenset({"spot"}),
    Market.FUTURES: frozenset({"futures", "future", "perp", "perps", "perpetual", "swap", "swaps"}),
}
_PLAY: Final = frozenset({"testnet", "demo", "paper", "simulator", "sandbox"})
_KEYLIKE: Final = re.compile(r"(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{18,}")
_LONGEST_LABEL: Final = 24


def suggestions(exchange: str, target: Target, report: KeyReport | None, taken: Collection[str]) -> list[str]:
    """Free names of exchange, market and purpose, the likeliest first: the first key of a market is the main one.

    Others may go by the key's own label at the exchange, where that says something, and by being a sub-account's.
    """
    base = f"{exchange} {MARKETS[target.market]}"
    main, *rest = _PURPOSES[target.market]
    own = [_label(exchange, report), "Sub" if report is not None and report.is_sub else ""]
    first = [purpose for purpose in own if purpose]
    purposes = [*first, main, *rest] if f"{base} {main}".casefold() in taken else [main, *first, *rest]
    return list(dict.fromkeys(free(f"{base} {purpose}", taken) for purpose in purposes))[:MOST]


def free(base: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken. `taken` are casefolded."""
    name, number = base, 2
    while name.casefold() in taken:
        name, number = f"{base} {number}", number + 1
    return name


def _label(exchange: str, report: KeyReport | None) -> str:
    """What the key is called at the exchange, without the words that the name has anyway."""
    known = {exchange.casefold(), *(word for words in _MARKET_WORDS.values() for word in words)}
    label = unicodedata.normalize("NFKC", report.label or "") if report is not None else ""
    said = [word for word in label.split() if word.casefold() not in known]
    short = " ".join(said)
    if not said or len(short) > _LONGEST_LABEL or not all(map(_says_something, said)) or _KEYLIKE.search(short):
        return ""
    return "" if _WITHDRAW.search(short) or not short.isprintable() else short


def hint(
    name: str, exchange: str, target: Target, exchanges: Iterable[str], others: Sequence[str], example: str
) -> Message | None:
    """A gentle word, the gravest first. `exchanges` are all by name, `others` the names that are there already."""
    clean = unicodedata.normalize("NFKC", name)
    words = [word for word in re.split(r"[^\w.]+|_", clean.casefold()) if word]
    if _KEYLIKE.search(clean):
        return Message(text=N_("This looks like part of a key. Names are shown openly: keep keys out of them."))
    if _WITHDRAW.search(clean):
        return Message(text=N_("The name speaks of withdrawing, which no key here may do. Say what the key is for."))
    wrong = _elsewhere(words, exchange, exchanges) or _other_market(words, target)
    if wrong is not None:
        return wrong
    if target.environment is Environment.LIVE and _PLAY.intersection(words):
        return Message(text=N_("The name sounds like play money, but this account is live."))
    twin = next((other for other in others if _bare(other) == _bare(clean) and _bare(clean)), None)
    if twin is not None and twin.casefold() != clean.strip().casefold():
        return Message(text=N_("Almost the same as {name}. Say how they differ."), params={"name": twin})
    if sum(map(_says_something, words)) < 2:
        text = N_("A clear name says exchange, market and purpose, such as “{example}”.")
        return Message(text=text, params={"example": example})
    return None


def _elsewhere(words: Sequence[str], exchange: str, exchanges: Iterable[str]) -> Message | None:
    """The name of another exchange, and not of this one: "Gate.io" is also said as "gate"."""
    said = {part for word in words for part in (word, word.split(".")[0])}
    if _short(exchange) in said:
        return None
    other = next((one for one in exchanges if one != exchange and _short(one) in said), None)
    if other is None:
        return None
    text = N_("The name says {other}, but this key is for {exchange}.")
    return Message(text=text, params={"other": other, "exchange": exchange})


def _short(exchange: str) -> str:
    return exchange.casefold().split(".")[0]


def _other_market(words: Sequence[str], target: Target) -> Message | None:
    said = {market for market, known in _MARKET_WORDS.items() if known.intersection(words)}
    if not said or target.market in said:
        return None
    if target.market is Market.SPOT:
        return Message(text=N_("The name says futures, but this connection is for spot."))
    return Message(text=N_("The name says spot, but this connection is for futures."))


def _says_something(word: str) -> bool:
    """Neither a number nor one of the words that every key could be called by: "key1" says as little as "key"."""
    bare = word.casefold().strip(".-_0123456789#")
    return len(bare) > 1 and bare not in _VAGUE


def _bare(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum())
