"""Keys that lie in the files of other bots: found, named, compared, and never shown.

Knows the files of Freqtrade, OctoBot, Hummingbot and passivbot, environment files and those of Docker Compose, and any
JSON or YAML that keeps a key beside the name of its exchange. Nothing is sent: whoever wants the keys tested says so
afterwards.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, cast

import yaml

from bfai.exchanges import all_exchanges
from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Environment, Market, Message, Target

MAX_FILE = 2 * 1024 * 1024  # bytes
MAX_FILES = 20_000
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages", "proc", "sys"})
# Editors and people put these behind the name of a file when they keep its old state.
_BACKUP = re.compile(r"(?i)(?:[._-](?:(?:bak|backup|old|orig|original|save|saved|copy|prev|tmp|disabled)\d*|\d+)|~)+$")
_FILE_NAMES = re.compile(r"(?i)(?:\.(?:json|jsonc|ya?ml|env)|^\.env(?:rc|[._-].*)?)$")
_ALIASES = {"okex": "okx", "huobi": "htx", "gateio": "gate", "myokx": "okx", "okxus": "okx"}
_FERNET = re.compile(r"gAAAAA[A-Za-z0-9_=-]{60,}")  # what OctoBot writes
_KEYFILE = re.compile(r"7b22[0-9a-f]{200,}", re.IGNORECASE)  # a Web3 key file in hexadecimal, what Hummingbot writes
_PLACEHOLDER = re.compile(
    r"(?i)$|your|xxx|\*\*\*|change|example|insert|placeholder|<.*>|\$\{?\w+|none$|null$|n/?a$|todo|api[-_]?(?:key|secret)$"
)


class Kept(StrEnum):
    """How a bot keeps a key."""

    PLAIN = "plain"
    PUBLIC_KEY = "public_key"  # encrypted with a key that is printed in the bot's source
    PASSWORD = "password"  # encrypted with the bot's own password


KEPT_NAMES: Mapping[Kept, str] = {
    Kept.PLAIN: N_("in plain text"),
    Kept.PUBLIC_KEY: N_("encrypted with a key that everybody knows"),
    Kept.PASSWORD: N_("encrypted with the bot's password"),
}


@dataclass(frozen=True, slots=True)
class BotKey:
    """One key in a bot's file. Only `credentials` hold it, and they show nothing."""

    id: str
    bot: str
    file: str
    entry: str
    exchange: str | None
    exchange_name: str
    region: str
    market: Market
    environment: Environment
    kept: Kept
    open_to_others: bool
    credentials: Credentials | None = field(default=None, repr=False)
    same_as: tuple[str, ...] = ()
    """The ids of other entries that hold the same key."""

    @property
    def hint(self) -> str:
        return self.credentials.hint if self.credentials else ""

    @property
    def target(self) -> Target:
        """What a test of this key is about. Only for a key of a supported exchange."""
        assert self.exchange is not None
        return Target(exchange=self.exchange, market=self.market, region=self.region, environment=self.environment)

    @property
    def testable(self) -> bool:
        return self.exchange is not None and self.credentials is not None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found. `unread` are files and folders that could not be read, or were too large. `limited`: there
    were more than MAX_FILES files, and only so many were looked at.
    """

    keys: tuple[BotKey, ...]
    files: int
    unread: tuple[str, ...] = ()
    limited: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """One name on the way to an entry, and its place among its neighbours, which is shown where the name may not be."""

    name: str
    place: int


_Way = tuple[_Step, ...]


@dataclass(slots=True)
class _Raw:
    """What a reader of one kind of file gives."""

    bot: str
    entry: _Way
    exchange: str
    values: Mapping[str, str]
    futures: bool = False
    sandbox: bool = False


def find_keys(path: Path | str) -> Findings:
    """The keys in a file, or in a folder and what is below it. Links are not followed. BfaiError if there is none."""
    try:
        root = Path(path).expanduser()
        there = root.exists()
    except (OSError, RuntimeError, ValueError):
        root, there = Path(path), False
    if not there:
        raise BfaiError(Message(text=N_("There is no file or folder {path}."), params={"path": str(path)}))
    walk = _Walk(root)
    given: list[_Text] = []
    unread: list[str] = []
    for file in walk.files():
        shown = file.name if root.is_file() else str(file.relative_to(root))
        try:
            if file.stat().st_size > MAX_FILE:
                raise OSError("too large")
            data = file.read_bytes()
            open_to_others = os.name == "posix" and bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            unread.append(shown)
            continue
        given.append(_read(shown, data, open_to_others=open_to_others))
    closed = [str(folder.relative_to(root)) for folder in walk.closed]
    return _findings(given, (*closed, *unread), limited=walk.limited)


def find_in_texts(files: Iterable[tuple[str, str]]) -> Findings:
    """The same for files whose names and texts are at hand, such as uploaded ones.

    A text may be bytes that were decoded with `surrogateescape`: then their own encoding is looked for.
    """
    given: list[_Text] = []
    unread: list[str] = []
    for name, text in files:
        data = _bytes(text)
        if len(data) > MAX_FILE:
            unread.append(name)
        else:
            given.append(_read(name, data))
    return _findings(given, unread)


def keys_in(name: str, text: str, *, open_to_others: bool = False) -> list[BotKey]:
    """The keys in the text of one file. What cannot be read as such a file holds none."""
    return list(_findings([_read_text(name, text, open_to_others=open_to_others)], ()).keys)


@dataclass(slots=True)
class _Text:
    """One file that was read. `unread` where it is no text, or breaks off before any key was found."""

    name: str
    raws: list[_Raw]
    open_to_others: bool
    unread: bool = False


_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONE = re.compile(r"[\ud800-\udfff]")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _read(name: str, data: bytes, *, open_to_others: bool = False) -> _Text:
    mark, encoding = next(((mark, encoding) for mark, encoding in _BOMS if data.startswith(mark)), (b"", "utf-8"))
    return _read_text(name, data[len(mark) :].decode(encoding, "replace"), open_to_others=open_to_others)


def _read_text(name: str, text: str, *, open_to_others: bool) -> _Text:
    if "\0" in text:
        return _Text(name, [], open_to_others, unread=True)
    raws, whole = _raws(name, text)
    held = [raw for raw in raws if _holds_a_key(raw)]
    return _Text(name, held, open_to_others, unread=not whole and not held)


def _findings(given: list[_Text], unread: Iterable[str], *, limited: bool = False) -> Findings:
    every = _Values(value for one in given for raw in one.raws for value in raw.values.values())
    keys: list[BotKey] = []
    taken: set[str] = set()
    for one in given:
        own = _Values(value for raw in one.raws for value in raw.values.values())
        for raw in one.raws:
            key = _key(raw, one, own, every)
            again = 1
            while key.id in taken:
                again += 1
                key = replace(key, id=_id(key.file, key.entry, key.exchange_name, str(again)))
            taken.add(key.id)
            keys.append(key)
    names = (*unread, *(one.name for one in given if one.unread))
    files = sum(not one.unread for one in given)
    return Findings(_with_doubles(keys), files, tuple(every.taken_out_of(name) for name in names), limited)


class _Walk:
    """The files below a folder that may hold keys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.limited = False
        self.closed: list[Path] = []

    def files(self) -> Iterator[Path]:
        if self.root.is_file():
            yield self.root
            return
        seen = 0
        for folder, folders, names in os.walk(self.root, followlinks=False, onerror=self._cannot_open):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
            for name in sorted(names):
                file = Path(folder, name)
                if not _FILE_NAMES.search(_without_backup(name)) or not _is_plain_file(file):
                    continue
                if seen == MAX_FILES:
                    self.limited = True
                    return
                seen += 1
                yield file

    def _cannot_open(self, error: OSError) -> None:
        self.closed.append(Path(error.filename))


def _is_plain_file(file: Path) -> bool:
    """Whether it is one that may be opened: no link, no device. One that cannot be asked is opened, and fails there."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return True


def _without_backup(name: str) -> str:
    return _BACKUP.sub("", name)


def _is_environment_file(name: str) -> bool:
    last = PurePath(name.replace("\\", "/")).name.lower()
    return last.startswith(".env") or _without_backup(last).endswith(".env")


# -- what may be shown of it -------------------------------------------------------------------------------------------

_LONG = 8  # characters: a found value of this length is not shown even as part of a name
_SUSPECT = 16  # characters: a name of this length is shown only where it reads as words
_LONGEST_NAME = 60
_WORD = re.compile(r"[^\W\d_]{1,19}\d{0,4}|\d{1,4}|")


class _Values:
    """Everything found, to be kept out of every name that is shown. Letters count the same in both cases."""

    def __init__(self, values: Iterable[str]) -> None:
        self._by_length: dict[int, set[str]] = {}
        for value in values:
            for form in (_low(value), _low(value.strip())):
                if form:
                    self._by_length.setdefault(len(form), set()).add(form)

    def taken_out_of(self, text: str) -> str:
        """The name without found values, and without anything that a terminal would take for a command."""
        text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
        place = self._place(text)
        while place is not None:
            text = f"{text[: place[0]]}…{text[place[1] :]}"
            place = self._place(text)
        return text

    def may_show(self, text: str) -> bool:
        """Whether a name that somebody chose is one, and no secret that stands where a name belongs."""
        if not text.isprintable() or len(text) > _LONGEST_NAME:
            return False
        if _low(text.strip()) in self._by_length.get(len(text.strip()), ()) or self._place(text) is not None:
            return False
        return len(text) < _SUSPECT or all(_WORD.fullmatch(part) for part in re.split(r"[\W_]", text))

    def _place(self, text: str) -> tuple[int, int] | None:
        low = _low(text)
        for length, forms in self._by_length.items():
            if length >= _LONG:
                for start in range(len(low) - length + 1):
                    if low[start : start + length] in forms:
                        return start, start + length
        return None


def _low(text: str) -> str:
    """In small letters, and as long as before."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(one.lower() if len(one.lower()) == 1 else one for one in text)


def _entry(way: _Way, values: _Values) -> str:
    return " / ".join(step.name if values.may_show(step.name) else f"#{step.place}" for step in way)


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


# -- from what a file says to what it means ----------------------------------------------------------------------------


def _holds_a_key(raw: _Raw) -> bool:
    api_key, secret = raw.values.get("api_key", "").strip(), raw.values.get("secret", "").strip()
    if _PLACEHOLDER.match(api_key) or _PLACEHOLDER.match(secret) or _LONE.search(api_key + secret):
        return False
    return min(len(api_key), len(secret)) >= 8


def _key(raw: _Raw, one: _Text, own: _Values, every: _Values) -> BotKey:
    api_key, secret = raw.values["api_key"].strip(), raw.values["secret"].strip()
    kept = _kept(secret) if _kept(api_key) is Kept.PLAIN else _kept(api_key)
    exchange = exchange_of(raw.exchange)
    passphrase = raw.values.get("passphrase", "").strip()
    named = raw.exchange if raw.exchange and own.may_show(raw.exchange) else "?"
    file, entry = every.taken_out_of(one.name), every.taken_out_of(_entry(raw.entry, own))
    exchange_name = all_exchanges()[exchange].name if exchange else every.taken_out_of(named)
    return BotKey(
        id=_id(file, entry, exchange_name),
        bot=every.taken_out_of(raw.bot),
        file=file,
        entry=entry,
        exchange=exchange,
        exchange_name=exchange_name,
        region=_region(raw, exchange),
        market=_market(raw, exchange),
        environment=_environment(raw, exchange),
        kept=kept,
        open_to_others=one.open_to_others,
        credentials=Credentials(api_key, secret, passphrase or None) if kept is Kept.PLAIN else None,
    )


def _kept(value: str) -> Kept:
    if _FERNET.fullmatch(value):
        return Kept.PUBLIC_KEY
    return Kept.PASSWORD if _KEYFILE.fullmatch(value.strip("\"'")) else Kept.PLAIN


def exchange_of(name: str) -> str | None:
    """Our id of an exchange that a bot names in its own way (`gateio`, `binance_perpetual`, `KUCOINFUTURES`)."""
    if len(name) > _LONGEST_NAME:
        return None
    plain = re.sub(r"[^a-z]", "", name.lower())
    known = {**{exchange_id: exchange_id for exchange_id in all_exchanges()}, **_ALIASES}
    if plain in known:
        return known[plain]
    starts = [word for word in known if plain.startswith(word)]
    longest = max(starts, key=len, default=None)
    rest = plain.removeprefix(longest) if longest else ""
    return known[longest] if longest and re.fullmatch(_KINDS, rest) else None


_KINDS = (
    r"(?:spot|perpetual|perp|futures?|swap|usdm|coinm|linear|us|eu|eea|id|global|main|live|test|testnet|demo|paper"
    r"|advancedtrade|advanced|cloud|v\d)*"
)


def _region(raw: _Raw, exchange: str | None) -> str:
    """The region in the bot's name of an exchange (`binance_us`, `gateeu`, `myokx`); the first one without any."""
    if exchange is None:
        return ""
    plain = re.sub(r"[^a-z]", "", raw.exchange.lower())
    rest = {"myokx": "eea"}.get(plain, plain.removeprefix(exchange))
    regions = [region.id for region in all_exchanges()[exchange].regions]
    return next((region for region in regions if rest.startswith(region)), regions[0])


def _market(raw: _Raw, exchange: str | None) -> Market:
    futures = raw.futures or re.search(r"(?i)perp|future|swap|usdm", raw.exchange) is not None
    offered = all_exchanges()[exchange].markets if exchange else (Market.SPOT,)
    return Market.FUTURES if futures and Market.FUTURES in offered else Market.SPOT


def _environment(raw: _Raw, exchange: str | None) -> Environment:
    if exchange is None or not (raw.sandbox or re.search(r"(?i)testnet|demo|paper|sandbox", raw.exchange)):
        return Environment.LIVE
    tests = all_exchanges()[exchange].tests
    return next((one for one in (Environment.TESTNET, Environment.DEMO) if one in tests), Environment.LIVE)


def _with_doubles(keys: list[BotKey]) -> tuple[BotKey, ...]:
    """The same key at two places means that two bots share its limits, and that one theft ends both."""
    groups: dict[tuple[str | None, str], list[str]] = {}
    for key in keys:
        if key.credentials is not None:
            groups.setdefault((key.exchange, key.credentials.api_key), []).append(key.id)
    doubles = {one: tuple(other for other in ids if other != one) for ids in groups.values() for one in ids}
    return tuple(replace(key, same_as=doubles.get(key.id, ())) for key in keys)


# -- the files ---------------------------------------------------------------------------------------------------------
# Every reader here takes time in proportion to the text, whatever stands in it: no expression may try again from each
# of many places, and nothing is copied where a file names one part of itself many times.

_DEEPEST = 64
_MERGED = 8  # parts that one `<<` takes in
_SECRET_WORDS = re.compile(
    r"(?i)secret|privat|\\u00"
)  # without one of these, or one in JSON's escapes, nothing is found


def _raws(name: str, text: str) -> tuple[list[_Raw], bool]:
    """What stands in a file, and whether all of it could be read."""
    if not _SECRET_WORDS.search(text):
        return [], True
    if _is_environment_file(name):
        return list(_from_names(_assignments(text), name)), True
    tree, whole, is_json = _tree(text)
    raws = list(_Document(name, is_json).raws(tree))
    if not raws and (not whole or isinstance(tree, str)):
        raws = list(_from_names(_assignments(text), name, known_only=True))
    return raws, whole or not _FILE_NAMES.search(_without_backup(name))


def _tree(text: str) -> tuple[object, bool, bool]:
    """The text as JSON or else as YAML, whether it is whole, and whether it is JSON.

    YAML can read JSON too: of a file that breaks off it gives what stands before the break.
    """
    if text.lstrip()[:1] in ("{", "[", "/"):
        bare = _without_comments(text)
        for candidate in (text, bare):
            try:
                return json.loads(candidate), True, True
            except (ValueError, RecursionError):
                continue
        return *_yaml(bare), True
    return *_yaml(text), False


# A string or a comment that never ends is taken to the end of the text: nothing is looked at twice.
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*+"?)|//[^\n]*+|/\*.*?(?:\*/|\Z)', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*+[}\]])', re.DOTALL)


def _without_comments(text: str) -> str:
    """JSON without the comments and last commas that bots allow in it."""
    bare = _COMMENT.sub(lambda match: match[1] or "", text)
    return _LAST_COMMA.sub(lambda match: match[1] or "", bare)


_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_parse: Any = cast("Any", yaml).parse
_YAML_WORDS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "true": True, "yes": True, "on": True, "false": False, "no": False, "off": False,
}  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A list or mapping of YAML that has not ended, and the key whose value comes next."""

    value: list[Any] | dict[str, Any]
    key: str | None = None

    def put(self, item: object) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is None:
            self.key = item if isinstance(item, str) else "?" if item is not None else ""
        else:
            self.value[self.key] = item
            self.key = None


def _yaml(text: str) -> tuple[object, bool]:
    """The documents of a YAML text, and whether it was read to its end.

    Made from the parser's events: numbers stay as they are written, an alias is the thing itself and no copy, and no
    tag makes anything.
    """
    documents = _Open([])
    opened = [documents]
    anchors: dict[str, Any] = {}
    whole = True
    try:
        for event in _parse(text, Loader=_YAML_LOADER):
            if isinstance(event, yaml.ScalarEvent):
                item: Any = _scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                item = anchors.get(event.anchor or "")
            elif isinstance(event, yaml.SequenceStartEvent):
                item = list[Any]()
            elif isinstance(event, yaml.MappingStartEvent):
                item = dict[str, Any]()
            else:
                if isinstance(event, yaml.CollectionEndEvent):
                    opened.pop()
                continue
            if event.anchor and not isinstance(event, yaml.AliasEvent):
                anchors[event.anchor] = item
            opened[-1].put(item)
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(_Open(item))
                if len(opened) > _DEEPEST:
                    whole = False
                    break
    except (yaml.YAMLError, ValueError, RecursionError):
        whole = False
    found = cast("list[Any]", documents.value)
    return (found[0] if len(found) == 1 else found), whole


def _scalar(event: yaml.ScalarEvent) -> str | bool | None:
    if event.tag and not event.tag.startswith("tag:yaml.org"):
        return None  # such as `!secret name`: the value is elsewhere
    if event.implicit[0] and event.value.lower() in _YAML_WORDS:
        return _YAML_WORDS[event.value.lower()]
    return event.value


_NAMES = {
    "api_key": ("key", "apikey", "accesskey", "apikeyid", "apikeyname", "keyname"),
    "secret": ("secret", "apisecret", "secretkey", "apisecretkey", "secretapikey", "apikeysecret", "privatekey"),
    "passphrase": ("password", "passphrase", "apipassword", "apipassphrase", "apikeypassphrase", "apipass"),
}
_EXCHANGE_NAME = re.compile(r"(?i)exchange[_-]?(?:id|name)?|venue")
_FUTURES = re.compile(r"(?i)fut|swap|perp|usdm|linear")
_MARKET_NAMES = ("market", "markettype", "defaulttype", "exchangetype", "tradingmode")
_TEST_NAMES = ("sandbox", "sandboxed", "testnet", "demo")
# The parts of an account that may stand apart from the name of its exchange. What is called otherwise is another
# service's, and must not be shown to that exchange.
_PARTS = re.compile(r"(?i)cred|auth|api|key|account|secret|login|#\d")


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"[^a-z]", "", name.lower()): value for name, value in entry.items()}


def _fields(entry: Mapping[str, Any]) -> dict[str, str]:
    """Key, secret and passphrase of an object, whatever a bot calls them."""
    plain = _plain(entry)
    found: dict[str, str] = {}
    for name, spellings in _NAMES.items():
        value = next((plain[spelling] for spelling in spellings if isinstance(plain.get(spelling), str)), None)
        if value is not None:
            found[name] = value
    named = entry.get("name")
    if isinstance(named, str) and named.startswith(_COINBASE):
        found["api_key"] = named
    return found


_COINBASE = "organizations/"  # the beginning of Coinbase's long names, which stand in the place of a key


def _both(values: Mapping[str, str]) -> bool:
    return "api_key" in values and "secret" in values


_NOTHING: dict[str, Any] = {}  # one object, so that its id is never that of another


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else _NOTHING


def _true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("true", "yes", "on", "1"))


class _Document:
    """The keys in the objects of one JSON or YAML file, each object looked at once, however often it is named."""

    def __init__(self, name: str, is_json: bool) -> None:
        self._name = name
        self._file = PurePath(name).name
        self._is_json = is_json
        self._told: set[int] = set()  # ids of the objects whose own fields were looked at
        self._names: dict[int, str] = {id(_NOTHING): ""}  # the exchanges that objects name, by id

    def raws(self, tree: object) -> Iterator[_Raw]:
        yield from self._at_top(_mapping(tree))
        seen: set[int] = set()
        waiting = deque[tuple[Any, _Way, str]]([(tree, (), "")])
        while waiting:
            value, way, above = waiting.popleft()
            if id(value) in seen or len(way) > _DEEPEST:
                continue
            seen.add(id(value))
            if way and not _PARTS.search(way[-1].name):
                above = ""
            if isinstance(value, list):
                inside = [(f"#{place}", item) for place, item in enumerate(cast("list[Any]", value), 1)]
            else:
                entry = _mapping(value)
                inside = list(entry.items())
                above = self._exchange(entry) or above
                if id(entry) not in self._told:
                    self._told.add(id(entry))
                    yield from self._entry(entry, way, above)
            for place, (name, item) in enumerate(inside, 1):
                if isinstance(item, (dict, list)):
                    waiting.append((cast("Any", item), (*way, _Step(name, place)), above))

    def _at_top(self, config: dict[str, Any]) -> Iterator[_Raw]:
        """What bots write at the top of their files.

        Freqtrade: `{"exchange": {"name", "key", "secret", "password"}, "trading_mode"}`. OctoBot: `{"exchanges":
        {"binance": {"api-key", "api-secret", "api-password", "exchange-type", "sandboxed"}}}`. Hummingbot's
        `conf/connectors/binance.yml`: `connector: binance`, `binance_api_key: …`, `binance_api_secret: …`.
        """
        exchange = _mapping(config.get("exchange"))
        values = _fields(exchange)
        for name in ("ccxt_config", "ccxt_sync_config", "ccxt_async_config"):
            more = _mapping(exchange.get(name))
            values = {**_fields(more), **values}
            self._told.add(id(more))
        if values:
            self._told.add(id(exchange))
            name = exchange.get("name")
            bot = "Freqtrade" if self._is_json else self._file
            futures = config.get("trading_mode") == "futures"
            way = (_Step("exchange", 1),)
            sandbox = _true(exchange.get("sandbox"))
            yield _Raw(bot, way, name if isinstance(name, str) else "", values, futures, sandbox)
        for place, (name, item) in enumerate(_mapping(config.get("exchanges")).items(), 1):
            values = _fields(_mapping(item))
            if _both(values):
                self._told.add(id(item))
                bot = "OctoBot" if self._is_json else self._file
                yield self._raw(bot, _mapping(item), (_Step(name, place),), name, values)
        connector = config.get("connector")
        if isinstance(connector, str) and connector:
            own = {name.removeprefix(f"{connector}_"): item for name, item in config.items() if name != "connector"}
            values = _fields(own)
            if _both(values):
                self._told.add(id(config))
                yield _Raw("Hummingbot", (_Step(connector, 1),), connector, values)

    def _exchange(self, entry: dict[str, Any]) -> str:
        """The exchange that an object names, itself or through YAML's `<<`."""
        merged = entry.get("<<")
        others = cast("list[Any]", merged)[:_MERGED] if isinstance(merged, list) else [merged]
        return next((name for one in (entry, *others) if (name := self._named(_mapping(one)))), "")

    def _named(self, entry: dict[str, Any]) -> str:
        if id(entry) not in self._names:
            name = entry.get("name")
            last = name if isinstance(name, str) and exchange_of(name) else ""
            given = (item for key, item in entry.items() if isinstance(item, str) and _EXCHANGE_NAME.fullmatch(key))
            self._names[id(entry)] = next((item for item in given if item), last)
        return self._names[id(entry)]

    def _entry(self, entry: dict[str, Any], way: _Way, above: str) -> Iterator[_Raw]:
        """passivbot's `{"account": {"exchange", "key", "secret", "passphrase"}}`, ccxt's `{"binance": {"apiKey", …}}`,
        a file with one key in it, such as Coinbase's, and names that say it all, such as `binance_api_key`.
        """
        if any(_SECRET_WORDS.search(name) for name in entry):
            yield from self._own(entry, way, above)
        for place, (name, item) in enumerate(entry.items(), 1):
            if name in ("environment", "env"):
                yield from self._environment(item, (*way, _Step(name, place)))

    def _own(self, entry: dict[str, Any], way: _Way, above: str) -> Iterator[_Raw]:
        values = _fields(entry)
        if _both(values):
            exchange = above or next((step.name for step in reversed(way) if exchange_of(step.name)), "")
            if values["api_key"].startswith(_COINBASE) and not exchange_of(exchange):
                exchange = "coinbase"
            passivbot = self._is_json and len(way) == 1 and "key" in entry and "exchange" in entry
            if exchange or not way:
                raw = self._raw("passivbot" if passivbot else self._file, entry, way, exchange, values)
                raw.futures = raw.futures or passivbot
                yield raw
        yield from _from_names(
            {name: value for name, value in entry.items() if isinstance(value, str)}, self._name, way, known_only=True
        )

    def _raw(self, bot: str, entry: dict[str, Any], way: _Way, exchange: str, values: dict[str, str]) -> _Raw:
        plain = _plain(entry)
        futures = any(_FUTURES.search(str(plain[name])) for name in _MARKET_NAMES if isinstance(plain.get(name), str))
        sandbox = any(_true(plain.get(name)) for name in _TEST_NAMES)
        return _Raw(bot, way or (_Step(exchange or "key", 1),), exchange, values, futures, sandbox)

    def _environment(self, value: object, way: _Way) -> Iterator[_Raw]:
        """Docker Compose's `environment`, as a list or a mapping, and Kubernetes' `env` with `name` and `value`."""
        if not isinstance(value, (dict, list)) or id(cast("object", value)) in self._told:
            return
        self._told.add(id(cast("object", value)))
        variables: dict[str, str] = {}
        if isinstance(value, dict):
            variables = {name: item for name, item in _mapping(cast("object", value)).items() if isinstance(item, str)}
        for item in cast("list[Any]", value) if isinstance(value, list) else ():
            name, given = (_mapping(item).get("name"), _mapping(item).get("value"))
            if isinstance(item, str):
                variables.update(_assignments(item))
            elif isinstance(name, str) and isinstance(given, str):
                variables[name] = given
        yield from _from_names(variables, self._name, way)


# -- names that say what they hold -------------------------------------------------------------------------------------

_KIND = (
    r"(?:(?P<passphrase>(?:api_?)?(?:key_?)?(?:passphrase|password|pass))"
    r"|(?P<secret>(?:api_?)?(?:key_?)?(?:secret(?:_?(?:api_?)?key)?|private_?key))"
    r"|(?P<api_key>(?:api|access)_?key(?:_?(?:id|name))?|key_?name|key))"
)
_KIND_LAST = re.compile(rf"(?i)^(?P<before>.*?)_*{_KIND}$")
_KIND_WITHIN = re.compile(rf"(?i)(?:^|(?<=_)){_KIND}_(?=.)")
_LONGEST_VARIABLE = 100
_OF_NO_SERVICE = re.compile(r"(?:(?:A|MY|THE|BOT|EXCHANGE|CCXT|TRADING|TRADER|MAIN|SUB|LIVE|TEST|TESTNET|DEMO|\d+)_?)*")


def _kind(variable: str) -> tuple[str, str] | None:
    """What a variable holds and which account it belongs to: `BYBIT_API_KEY`, `API_KEY_BYBIT`, `bybitApiKey`."""
    if len(variable) > _LONGEST_VARIABLE:
        return None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]", "_", variable)
    if match := _KIND_LAST.match(name):
        account = match["before"]
    elif match := _KIND_WITHIN.search(name):
        account = f"{name[: match.start()].strip('_')}_{name[match.end() :]}"
    else:
        return None
    return next(kind for kind in ("passphrase", "secret", "api_key") if match[kind]), account.upper().strip("_")


def _from_names(variables: Mapping[str, str], name: str, way: _Way = (), *, known_only: bool = False) -> Iterator[_Raw]:
    """`BINANCE_API_KEY=…` and its like, grouped by what else the names say; Freqtrade's `FREQTRADE__EXCHANGE__KEY`.

    With `known_only` an account counts only where its name has an exchange in it.
    """
    groups: dict[str, dict[str, str]] = {}
    for variable, value in variables.items():
        found = _kind(variable)
        if found is not None and not _PLACEHOLDER.match(value):
            groups.setdefault(found[1], {}).setdefault(found[0], value)
    accounts = {account: values for account, values in groups.items() if _both(values)}
    upper = {variable.upper(): value for variable, value in variables.items()} if accounts else {}
    common = next((upper[word] for word in ("EXCHANGE", "EXCHANGE_NAME", "EXCHANGE_ID") if upper.get(word)), "")
    for place, (account, values) in enumerate(accounts.items(), 1):
        entry = (*way, _Step(account or "key", place))
        if account == "FREQTRADE__EXCHANGE":
            futures = upper.get("FREQTRADE__TRADING_MODE", "").lower() == "futures"
            yield _Raw("Freqtrade", entry, upper.get("FREQTRADE__EXCHANGE__NAME", ""), values, futures)
            continue
        named = next((part for part in (account, *account.split("_")) if exchange_of(part)), "")
        if named or not known_only:
            if not named and values["api_key"].startswith(_COINBASE):
                named = "coinbase"
            sandbox = re.search(r"TEST|DEMO|SANDBOX", account) is not None
            meant = common if _OF_NO_SERVICE.fullmatch(account) else ""  # TWITTER_API_KEY beside EXCHANGE is Twitter's
            yield _Raw(PurePath(name).name, entry, named or meant, values, sandbox=sandbox)


_ASSIGNED = re.compile(r"(?:(?:export|set|-)[ \t]+)?(\w[\w.]*+)[ \t]*+[=:][ \t]*+(.*)", re.DOTALL)
_PEM_BEGIN, _PEM_END = "-----BEGIN", "-----END"
_PEM_LINES = 100


def _assignments(text: str) -> dict[str, str]:
    """`NAME=value` and `NAME: value`, a line each. Only a PEM key goes on over several lines."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        match = _ASSIGNED.match(lines[at].strip())
        at += 1
        if match is None:
            continue
        value = match[2]
        begins = _PEM_BEGIN in value or (value in ("'", '"') and at < len(lines) and _PEM_BEGIN in lines[at])
        if begins and _PEM_END not in value:
            until = next((one for one in range(at, min(at + _PEM_LINES, len(lines))) if _PEM_END in lines[one]), None)
            if until is not None:
                value = "\n".join((value, *(line.strip() for line in lines[at : until + 1])))
                at = until + 1
        found[match[1]] = _unquoted(value)
    return found


_COMMENT_BEHIND = re.compile(r"(?<=\s)#")


def _unquoted(value: str) -> str:
    begin = value.find(_PEM_BEGIN)
    end = value.find("-----", value.find(_PEM_END, begin) + len(_PEM_END)) if _PEM_END in value[begin:] else -1
    if 0 <= begin < end:
        return value[begin : end + 5]
    if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
        return value[1 : value.find(value[0], 1)]
    behind = _COMMENT_BEHIND.search(value)
    return (value[: behind.start()] if behind else value).strip()
