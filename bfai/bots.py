"""Keys that lie in the files of other bots: found, named, compared, and never shown.

Knows the files of Freqtrade, OctoBot, Hummingbot and passivbot, environment files, and the `keys.json` that ccxt's
examples use. Nothing is sent: whoever wants the keys tested says so afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, cast

from bfai.exchanges import all_exchanges
from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Environment, Market, Message, Target

MAX_FILE = 2 * 1024 * 1024  # bytes
MAX_FILES = 20_000
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages", "proc", "sys"})
_FILE_NAMES = re.compile(r"(?i)(?:\.(?:json|jsonc|ya?ml|env)|(?:^|[/\\])\.env(?:\.\w+)?)$")
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
    """What a search found. `unread` are files that could not be read, or were too large."""

    keys: tuple[BotKey, ...]
    files: int
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class _Raw:
    """What a reader of one kind of file gives."""

    bot: str
    entry: str
    exchange: str
    values: Mapping[str, str]
    futures: bool = False
    sandbox: bool = False


def find_keys(path: Path | str) -> Findings:
    """The keys in a file, or in a folder and what is below it. Links are not followed. BfaiError if there is none."""
    root = Path(path).expanduser()
    if not root.exists():
        raise BfaiError(Message(text=N_("There is no file or folder {path}."), params={"path": str(path)}))
    keys: list[BotKey] = []
    unread: list[str] = []
    count = 0
    for file in _files(root):
        shown = file.name if root.is_file() else str(file.relative_to(root))
        try:
            if file.stat().st_size > MAX_FILE:
                raise OSError("too large")
            text = file.read_text(encoding="utf-8-sig", errors="replace")
            open_to_others = os.name == "posix" and bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            unread.append(shown)
            continue
        count += 1
        keys.extend(keys_in(shown, text, open_to_others=open_to_others))
    return Findings(_with_doubles(keys), count, tuple(unread))


def find_in_texts(files: Iterable[tuple[str, str]]) -> Findings:
    """The same for files whose names and texts are at hand, such as uploaded ones."""
    given = list(files)
    keys = [key for name, text in given if len(text) <= MAX_FILE for key in keys_in(name, text)]
    return Findings(_with_doubles(keys), len(given), tuple(name for name, text in given if len(text) > MAX_FILE))


def keys_in(name: str, text: str, *, open_to_others: bool = False) -> list[BotKey]:
    """The keys in the text of one file. What cannot be read as such a file holds none."""
    readers = _ENV_READERS if _is_environment_file(name) else _READERS
    for reader in readers:
        found = [key for raw in reader(name, text) if (key := _key(raw, name, open_to_others)) is not None]
        if found:
            return found
    return []


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    seen = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if _FILE_NAMES.search(name) and not file.is_symlink() and file.is_file():
                seen += 1
                if seen > MAX_FILES:
                    return
                yield file


def _is_environment_file(name: str) -> bool:
    last = PurePath(name.replace("\\", "/")).name.lower()
    return last.startswith(".env") or last.endswith(".env")


def _key(raw: _Raw, file: str, open_to_others: bool) -> BotKey | None:
    api_key, secret = raw.values.get("api_key", "").strip(), raw.values.get("secret", "").strip()
    if _PLACEHOLDER.match(api_key) or _PLACEHOLDER.match(secret) or min(len(api_key), len(secret)) < 8:
        return None
    kept = _kept(secret) if _kept(api_key) is Kept.PLAIN else _kept(api_key)
    exchange = exchange_of(raw.exchange)
    passphrase = raw.values.get("passphrase", "").strip()
    return BotKey(
        id=hashlib.sha256(f"{file}\0{raw.entry}\0{raw.exchange}".encode()).hexdigest()[:10],
        bot=raw.bot,
        file=file,
        entry=raw.entry,
        exchange=exchange,
        exchange_name=all_exchanges()[exchange].name if exchange else raw.exchange or "?",
        region=_region(raw, exchange),
        market=_market(raw, exchange),
        environment=_environment(raw, exchange),
        kept=kept,
        open_to_others=open_to_others,
        credentials=Credentials(api_key, secret, passphrase or None) if kept is Kept.PLAIN else None,
    )


def _kept(value: str) -> Kept:
    if _FERNET.fullmatch(value):
        return Kept.PUBLIC_KEY
    return Kept.PASSWORD if _KEYFILE.fullmatch(value.strip("\"'")) else Kept.PLAIN


def exchange_of(name: str) -> str | None:
    """Our id of an exchange that a bot names in its own way (`gateio`, `binance_perpetual`, `KUCOINFUTURES`)."""
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

_NAMES = {
    "api_key": ("key", "apikey", "accesskey", "apikeyid"),
    "secret": ("secret", "apisecret", "secretkey", "apisecretkey", "privatekey"),
    "passphrase": ("password", "passphrase", "apipassword", "apipassphrase", "apipass"),
}


def _fields(entry: Mapping[str, Any]) -> dict[str, str]:
    """Key, secret and passphrase of an object, whatever a bot calls them."""
    plain = {re.sub(r"[^a-z]", "", str(name).lower()): value for name, value in entry.items()}
    found: dict[str, str] = {}
    for name, spellings in _NAMES.items():
        value = next((plain[spelling] for spelling in spellings if isinstance(plain.get(spelling), str)), None)
        if value is not None:
            found[name] = value
    return found


_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def _json(text: str) -> dict[str, Any]:
    """A JSON object, with the comments and last commas that bots allow in it; empty where it is none."""
    bare = _COMMENT.sub(lambda match: match[1] or "", text)
    for candidate in (text, _LAST_COMMA.sub(lambda match: match[1] or "", bare)):
        try:
            parsed: Any = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    return {}


def _objects(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        for name, item in cast("dict[Any, Any]", value).items():
            if isinstance(item, dict):
                yield str(name), cast("dict[str, Any]", item)


def _freqtrade(_: str, text: str) -> Iterator[_Raw]:
    """`{"exchange": {"name", "key", "secret", "password"}, "trading_mode"}`."""
    config = _json(text)
    exchange = config.get("exchange")
    if not isinstance(exchange, dict):
        return
    entry = cast("dict[str, Any]", exchange)
    values = _fields(entry)
    for name in ("ccxt_config", "ccxt_sync_config", "ccxt_async_config"):
        more = entry.get(name)
        if isinstance(more, dict):
            values = {**_fields(cast("dict[str, Any]", more)), **values}
    futures = config.get("trading_mode") == "futures"
    yield _Raw("Freqtrade", "exchange", str(entry.get("name", "")), values, futures, bool(entry.get("sandbox")))


def _octobot(_: str, text: str) -> Iterator[_Raw]:
    """`{"exchanges": {"binance": {"api-key", "api-secret", "api-password", "exchange-type", "sandboxed"}}}`."""
    for name, entry in _objects(_json(text).get("exchanges")):
        futures = str(entry.get("exchange-type", "")).lower() in ("future", "futures")
        yield _Raw("OctoBot", name, name, _fields(entry), futures, bool(entry.get("sandboxed")))


def _by_account(name: str, text: str) -> Iterator[_Raw]:
    """passivbot's `{"account": {"exchange", "key", "secret", "passphrase"}}`, ccxt's `{"binance": {"apiKey", …}}`."""
    for entry_name, entry in _objects(_json(text)):
        exchange = entry.get("exchange")
        if isinstance(exchange, str):
            yield _Raw("passivbot", entry_name, exchange, _fields(entry), futures=True)
        elif exchange_of(entry_name) is not None:
            yield _Raw(PurePath(name).name, entry_name, entry_name, _fields(entry))


def _single(name: str, text: str) -> Iterator[_Raw]:
    """A file with one key in it, such as `{"exchange": "okx", "apiKey", "secret"}` or Coinbase's key file."""
    config = _json(text)
    exchange = config.get("exchange", config.get("exchange_id", ""))
    values = _fields(config)
    if isinstance(config.get("name"), str) and str(config["name"]).startswith("organizations/"):
        exchange, values = "coinbase", {**values, "api_key": str(config["name"])}
    if isinstance(exchange, str) and values:
        yield _Raw(PurePath(name).name, exchange or "key", exchange, values)


_YAML_LINE = re.compile(r"^\s*([A-Za-z]\w*)\s*:\s*(.*?)\s*$", re.MULTILINE)


def _hummingbot(_: str, text: str) -> Iterator[_Raw]:
    """`conf/connectors/binance.yml`: `connector: binance`, `binance_api_key: …`, `binance_api_secret: …`."""
    lines = {name: value.strip("\"'") for name, value in _YAML_LINE.findall(text)}
    connector = lines.get("connector", "")
    if connector:
        own = {name.removeprefix(f"{connector}_"): value for name, value in lines.items() if name != "connector"}
        yield _Raw("Hummingbot", connector, connector, _fields(own))


_ENV_LINE = re.compile(r"^\s*(?:export\s+|-\s+)?([A-Za-z_]\w*)\s*[=:]\s*(.*?)\s*$", re.MULTILINE)
_ENV_NAME = re.compile(
    r"(?i)^(?P<prefix>.*?)_*(?:(?P<passphrase>(?:api_?)?(?:passphrase|password|pass))"
    r"|(?P<secret>(?:api_?)?secret(?:_?key)?|private_?key)|(?P<api_key>(?:api|access)_?key(?:_?id)?|key))$"
)


def _environment_file(name: str, text: str) -> Iterator[_Raw]:
    """`BINANCE_API_KEY=…` and its like, grouped by what stands before; Freqtrade's `FREQTRADE__EXCHANGE__KEY`."""
    lines = {variable: _unquoted(value) for variable, value in _ENV_LINE.findall(text)}
    upper = {variable.upper(): value for variable, value in lines.items()}
    groups: dict[str, dict[str, str]] = {}
    for variable, value in lines.items():
        match = _ENV_NAME.match(variable)
        if match and match.lastgroup:
            kind = next(group for group in ("passphrase", "secret", "api_key") if match[group])
            groups.setdefault(match["prefix"].upper().strip("_"), {}).setdefault(kind, value)
    common = next((upper[word] for word in ("EXCHANGE", "EXCHANGE_NAME", "EXCHANGE_ID") if upper.get(word)), "")
    for prefix, values in groups.items():
        if prefix == "FREQTRADE__EXCHANGE":
            futures = upper.get("FREQTRADE__TRADING_MODE", "").lower() == "futures"
            yield _Raw("Freqtrade", prefix, upper.get("FREQTRADE__EXCHANGE__NAME", ""), values, futures)
        else:
            named = next((part for part in (prefix, *prefix.split("_")) if exchange_of(part)), "")
            sandbox = re.search(r"TEST|DEMO|SANDBOX", prefix) is not None
            yield _Raw(PurePath(name).name, prefix or "key", named or common, values, sandbox=sandbox)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip()


_Reader = Callable[[str, str], Iterator[_Raw]]
_READERS: tuple[_Reader, ...] = (_freqtrade, _octobot, _hummingbot, _by_account, _single)
_ENV_READERS: tuple[_Reader, ...] = (_environment_file,)
