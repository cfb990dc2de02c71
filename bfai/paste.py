"""Reads what an exchange shows when it made a key, pasted in any order, and says what is wrong with it before any
call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from bfai.exchanges.base import Exchange
from bfai.i18n import N_
from bfai.model import Credentials, Message

MAX_PASTE = 64 * 1024  # characters; a key with secret and passphrase has some 150

_LABELS = re.compile(
    r"""(?ix)(?<![A-Za-z0-9])(?:
      (?P<secret> (?:api[ _-]?)? secret (?:[ _-]?key)? | private[ _-]?key )
    | (?P<passphrase> (?:api[ _-]?)? pass[ _-]?(?:phrase|word) )
    | (?P<api_key> (?:api|access)[ _-]?key (?:[ _-]?id)? | apikey | accesskey )
    | (?P<other> permissions? | ip(?:[ ]address)? | notes? | remarks? | created | expir\w* )
    )(?![A-Za-z0-9]) [ \t]* ["']? [ \t]* [:=]? \s*"""
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"), None) | {0xA0: " ", 0x202F: " "}
_QUOTES = "\"'`“”‘’,;<>()[]{}"
_FILLERS = frozenset(
    "key keys api access id copy note your my and is the name of for - – mexc kucoin binance okx bitget bybit coinbase"
    " gate gate.io htx bingx".split()
)
_SHORTENED = re.compile(r"…|\.\.\.|\*{3,}|•{2,}")
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_JSON_NAMES = {
    "apikey": "api_key",
    "accesskey": "api_key",
    "key": "api_key",
    "secret": "secret",
    "secretkey": "secret",
    "apisecret": "secret",
    "privatekey": "secret",
    "passphrase": "passphrase",
    "password": "passphrase",
    "apipassphrase": "passphrase",
}


@dataclass(frozen=True, slots=True, repr=False)
class Pasted:
    """`credentials` are there when nothing is missing and nothing stops. `doubts` are shown, and the test may go on."""

    credentials: Credentials | None
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[Message, ...] = ()
    doubts: tuple[Message, ...] = ()
    other_exchange: str | None = None

    def __repr__(self) -> str:
        return f"Pasted(found={self.found}, missing={self.missing})"


def read_paste(exchange: Exchange, text: str, others: Iterable[Exchange] = ()) -> Pasted:
    """Credentials for this exchange in a pasted text. Never raises; what cannot be used is named in `problems`."""
    if len(text) > MAX_PASTE:
        return _stop(N_("That is too much text for a key. Paste only what the exchange shows of this key."))
    clean = text.translate(_INVISIBLE).strip()
    if not clean:
        return _stop(N_("Nothing was pasted yet."))
    return judge_fields(exchange, _from_json(exchange, clean) or _from_text(exchange, clean), others)


def judge_fields(exchange: Exchange, values: Mapping[str, str], others: Iterable[Exchange] = ()) -> Pasted:
    """The same for fields that came one by one."""
    wanted = [spec.name for spec in exchange.fields]
    trimmed = {
        name: value.translate(_INVISIBLE).strip().strip("\"'`“”")
        for name, value in values.items()
        if name in wanted and value.strip()
    }
    found = tuple(name for name in wanted if name in trimmed)
    missing = tuple(name for name in wanted if name not in trimmed)
    given = Credentials(trimmed.get("api_key", ""), trimmed.get("secret", ""), trimmed.get("passphrase"))
    credentials = exchange.normalise(given)
    problems = tuple(exchange.check_credentials(credentials)) + _shortened(exchange, trimmed)
    other = _other_exchange(exchange, trimmed.get("api_key", ""), others)
    return Pasted(
        credentials=None if problems or missing else credentials,
        found=found,
        missing=missing,
        problems=problems,
        doubts=() if problems else _doubts(exchange, credentials, other),
        other_exchange=other.id if other else None,
    )


def _stop(text: str) -> Pasted:
    return Pasted(None, problems=(Message(text=text),))


def _doubts(exchange: Exchange, credentials: Credentials, other: Exchange | None) -> tuple[Message, ...]:
    if other is None:
        return exchange.doubts(credentials)
    text = N_("This looks like a key of {other}, not of {exchange}.")
    return (Message(text=text, params={"other": other.name, "exchange": exchange.name}),)


def _shortened(exchange: Exchange, values: Mapping[str, str]) -> tuple[Message, ...]:
    text = N_("{field} is shortened: the page shows only a part of it. Use the copy button there.")
    return tuple(
        Message(text=text, params={"field": spec.label})
        for spec in exchange.fields
        if spec.name != "passphrase" and _SHORTENED.search(values.get(spec.name, ""))
    )


def _other_exchange(exchange: Exchange, api_key: str, others: Iterable[Exchange]) -> Exchange | None:
    if not api_key or re.fullmatch(exchange.fields[0].pattern, api_key):
        return None
    fitting = [other for other in others if other.id != exchange.id and re.fullmatch(other.fields[0].pattern, api_key)]
    return fitting[0] if len(fitting) == 1 else None


def _from_json(exchange: Exchange, text: str) -> dict[str, str]:
    if not text.startswith("{"):
        return {}
    try:
        parsed: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for name, value in cast("dict[str, Any]", parsed).items() if isinstance(parsed, dict) else ():
        field = _JSON_NAMES.get(re.sub(r"[^a-z]", "", name.lower()))
        if field is None and name in ("name", "id") and isinstance(value, str):  # Coinbase's file of a key
            field = "api_key" if re.fullmatch(exchange.fields[0].pattern, value) else None
        if field and isinstance(value, str):
            found.setdefault(field, value)
    return found


def _from_text(exchange: Exchange, text: str) -> dict[str, str]:
    """A private key in PEM first, then values behind labels, then loose words by their form, then what is left."""
    pem = _PEM.search(text) if any(spec.pem for spec in exchange.fields) else None
    if pem is not None:
        text = f"{text[: pem.start()].rstrip().removesuffix(':')} {text[pem.end() :]}"
    found: dict[str, str] = {"secret": pem[0]} if pem is not None else {}
    labels = list(_LABELS.finditer(text))
    loose: list[str] = _words(text[: labels[0].start()] if labels else text)
    ends = [label.start() for label in labels[1:]] + [len(text)]
    for label, end in zip(labels, ends, strict=False):
        value = _words(text[label.end() : end])
        field = label.lastgroup
        if field != "other" and field is not None and value and field not in found:
            found[field] = value.pop(0)
        if field != "other":
            loose.extend(value)
    patterns = [(spec.name, spec.pattern) for spec in exchange.fields if spec.name != "passphrase"]
    for name, pattern in patterns:
        fitting = [word for word in loose if re.fullmatch(pattern, word)]
        if name not in found and fitting:
            found[name] = fitting[0]
            loose.remove(fitting[0])
    for spec in exchange.fields:
        if spec.name not in found and loose:
            found[spec.name] = loose.pop(0)
    return found


def _words(text: str) -> list[str]:
    words = (raw.strip(_QUOTES).lstrip(":=").rstrip(":") for raw in text.split())
    return [word for word in words if word and word.lower() not in _FILLERS]
