"""Candles of one pair: what they are, files of them in every common form, signals from files, sample data, RSI and EMA.

    candles = read_candles(file.read_bytes(), file.name, "BTC/USDT")
    rsi(candles.close, 14)

A file is taken as it is or refused with cause and remedy: nothing is mended in silence. Only the order of rows and rows
that stand twice do not matter. Where candles are missing, they stay missing (`Candles.gaps`).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Self, cast

from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.store.rollups import np, pd

MOST_COLUMNS: Final = 500
"""Of a table. One with thousands is something else, and would be read for minutes."""
MAX_BYTES: Final = 200 * 1024 * 1024
"""Of a file, unpacked."""
MAX_CANDLES: Final = 3_000_000
MAX_SIGNALS: Final = 100_000
INTERVALS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {
        "1m": timedelta(minutes=1),
        "5m": timedelta(minutes=5),
        "15m": timedelta(minutes=15),
        "1h": timedelta(hours=1),
        "4h": timedelta(hours=4),
        "1d": timedelta(days=1),
    }
)
"""What exchanges are asked for; a file may have any other."""
SAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {"BTC/USDT": "sample_btc_usdt_5m.csv.gz", "ETH/USDT": "sample_eth_usdt_5m.csv.gz"}
)
_DATA = Path(__file__).parents[2] / "data"
_FIRST, _LAST = 946_684_800, 4_102_444_800  # the years 2000 to 2100, in seconds
_LONGEST = timedelta(days=31) // timedelta(seconds=1)
_PRICES = ("open", "high", "low", "close")
_NEEDED = ("time", *_PRICES)
_RUN = 20
"""So many gaps of one size in a row are another interval, not gaps."""


class _FileError(BfaiError):
    unreadable = ""

    @classmethod
    def of(cls, text: str, **params: str | int | float) -> Self:
        return cls(Message(text=text, params=params))


class CandlesError(_FileError):
    """Candles cannot be read from a file, or there are none: why, and what to do."""

    unreadable = N_("{name} is neither CSV nor JSON, feather or parquet with candles. Export it again as CSV.")


class SignalsError(_FileError):
    """A file of signals cannot be used: why, and what to do."""

    unreadable = N_("{name} is no CSV file with signals. Export it again as CSV.")


# -- candles -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Candles:
    """Candles of one pair and one interval.

    `time` is when each one opens, in whole seconds since 1970 UTC, strictly rising (int64); prices are in quote, volume
    in coins (float64). `source` is an exchange's id, "file" or "sample".
    """

    pair: str
    interval: timedelta
    time: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    source: str = "file"

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"Candles({self.pair!r}, {interval_name(self.interval)}, {len(self)} from {self.source})"

    @property
    def step(self) -> int:
        """The interval in seconds."""
        return self.interval // timedelta(seconds=1)

    @property
    def begins(self) -> datetime:
        """When the first one opens."""
        return datetime.fromtimestamp(int(self.time[0]), UTC)

    @property
    def ends(self) -> datetime:
        """When the last one closes."""
        return datetime.fromtimestamp(int(self.time[-1]) + self.step, UTC)

    @property
    def gaps(self) -> int:
        """How many candles are missing between the first and the last."""
        return int(self.time[-1] - self.time[0]) // self.step + 1 - len(self) if len(self) else 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 over pair, interval and every number. The same candles have the same one, wherever they come from."""
        found = hashlib.sha256(f"{self.pair} {self.step} {len(self)}\n".encode())
        for column, kind in zip(self.columns, ("<i8", *["<f8"] * 5), strict=True):
            found.update(np.ascontiguousarray(column, dtype=kind).tobytes())
        return found.hexdigest()

    @property
    def columns(self) -> tuple[Any, ...]:
        """Time, open, high, low, close, volume."""
        return self.time, self.open, self.high, self.low, self.close, self.volume

    def between(self, since: datetime | None = None, until: datetime | None = None) -> Candles:
        """Those that open at or after `since` and before `until`."""
        begin = 0 if since is None else int(np.searchsorted(self.time, since.timestamp()))
        end = len(self) if until is None else int(np.searchsorted(self.time, until.timestamp()))
        cut = [column[begin:end] for column in self.columns]
        return Candles(self.pair, self.interval, *cut, source=self.source)


def interval_name(interval: timedelta) -> str:
    """ "5m", "4h", "1d", or seconds as in "90s"."""
    seconds = interval // timedelta(seconds=1)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def as_text(seconds: int) -> str:
    """A time for a message, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


# -- indicators --------------------------------------------------------------------------------------------------------


def rsi(closes: Any, period: int = 14) -> Any:
    """Wilder's relative strength index of each close, 0 to 100; NaN for the first `period` closes.

    The first averages of gains and losses are the plain means of the first `period` changes; after that
    average = (average × (period − 1) + change) ÷ period. RSI = 100 − 100 ÷ (1 + gains ÷ losses): 100 where there was no
    loss, and 50 where the price never moved.
    """
    values = _values(closes, period)
    found = np.full(len(values), np.nan)
    if len(values) <= period:
        return found
    changes = [after - before for before, after in pairwise(values)]
    gain = math.fsum(change for change in changes[:period] if change > 0) / period
    loss = math.fsum(-change for change in changes[:period] if change < 0) / period
    gains, losses = [gain], [loss]
    for change in changes[period:]:
        if change > 0:
            gain, loss = (gain * (period - 1) + change) / period, loss * (period - 1) / period
        else:
            gain, loss = gain * (period - 1) / period, (loss * (period - 1) - change) / period
        gains.append(gain)
        losses.append(loss)
    up, down = np.array(gains), np.array(losses)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found[period:] = np.where(down > 0, 100.0 - 100.0 / (1.0 + up / down), np.where(up > 0, 100.0, 50.0))
    return found


def ema(closes: Any, period: int) -> Any:
    """The exponential average of each close; NaN for the first `period` − 1 closes.

    It begins with the plain mean of the first `period` closes; after that average = average + (close − average) × 2 ÷
    (period + 1).
    """
    values = _values(closes, period)
    found = np.full(len(values), np.nan)
    if len(values) < period:
        return found
    average, share = math.fsum(values[:period]) / period, 2.0 / (period + 1)
    told = [average]
    for value in values[period:]:
        average += (value - average) * share
        told.append(average)
    found[period - 1 :] = told
    return found


def _values(closes: Any, period: int) -> list[float]:
    if period < 1:
        raise ValueError(f"a period is one candle or more: {period}")
    return np.asarray(closes, dtype=np.float64).tolist()


# -- sample data -------------------------------------------------------------------------------------------------------


def sample(pair: str = "BTC/USDT") -> Candles:
    """Sixty days of made-up five-minute candles of a pair of `SAMPLES`: rises, a crash and a recovery.

    No market ever did this: `tools/sample_candles.py` makes them. Raises CandlesError for another pair.
    """
    if pair not in SAMPLES:
        text = N_("There is no sample data of {pair}. Choose one of {pairs}.")
        raise CandlesError.of(text, pair=pair, pairs=", ".join(SAMPLES))
    return _sample(pair)


@cache
def _sample(pair: str) -> Candles:
    file = _DATA / SAMPLES[pair]
    try:
        data = file.read_bytes()
    except OSError:
        text = N_(
            "The sample data is not there: {file} is missing. Get the whole program again, with its data directory."
        )
        raise CandlesError.of(text, file=str(file)) from None
    return replace(read_candles(data, file.name, pair), source="sample")


# -- files -------------------------------------------------------------------------------------------------------------

_TOO_LARGE = N_("{name} is too large: at most {most} MB, unpacked, are taken. Split it into shorter periods.")
_TOO_MANY = N_("{name} has {count} candles; at most {most} are taken. Choose a longer interval or a shorter time.")
_ARCHIVE = N_("{name} is a broken archive, or one without exactly one file in it. Unpack it, and choose one file.")
_EMPTY = N_("{name} holds no candles. Export it again, with the time that you want.")
_ONE = N_("{name} holds one candle only, so its interval is not known. Export a longer time.")
_COLUMNS = N_(
    "{name} has no column for {missing}. It needs time, open, high, low and close; volume may be missing."
    " Found: {found}."
)
_RAGGED = N_("{name}, row {row}: this row has another number of cells than the first one. Remove it, or export again.")
_COMMAS = N_("{name}, row {row}: {value} is written with a decimal comma. Export it with decimal points.")
_NO_NUMBER = N_("{name}, row {row}: {value} is no number for {column}. Remove the row, or export again.")
_NO_PRICE = N_("{name}, row {row}: the price {value} for {column} is not above zero. Remove the row, or export again.")
_NO_VOLUME = N_("{name}, row {row}: {value} is no volume. Remove the row, or export again.")
_UPSIDE_DOWN = N_("{name}, row {row}: the high {high} is below the low {low}. Remove the row, or export again.")
_OUTSIDE = N_(
    "{name}, row {row}: open and close must lie between high and low. Check that the columns are in the right order."
)
_TIME = N_(
    "{name}, row {row}: the time {value} cannot be read. Export with UNIX time, or with dates such as 2026-03-01 14:05."
)
_SPLIT_SECOND = N_("{name}, row {row}: the candle of {value} does not open at a whole second. Export again.")
_TWICE = N_("{name} has two different candles for {time} (UTC). Keep one of them.")
_MIXED = N_("{name} mixes candles of {one} and of {other}, from {time} (UTC) on. Choose a file with one interval.")
_RASTER = N_(
    "{name}: the candle of {time} (UTC) does not fit between others that are {one} apart."
    " Choose a file with one interval."
)
_TOO_LONG = N_("{name}: its candles are more than a month apart. Choose a shorter interval.")

_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "time": """
        unix timestamp unixtime unixtimestamp opentime time datetime dateandtime date ts t start starttime timeutc
    """.split(),
    "open": "open o openprice".split(),
    "high": "high h highprice".split(),
    "low": "low l lowprice".split(),
    "close": "close c closeprice".split(),
    "volume": "volume vol v basevolume".split(),
}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COMMA = re.compile(r"\s*-?[\d.'\s]*\d,\d+\s*")
_UNREAD = (ValueError, OverflowError)  # what pandas raises for a text that is no table, or another one
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_RAGGED_LINE = re.compile(r"Expected \d+ fields in line (\d+)")


@dataclass(slots=True)
class _Table:
    """Columns by our names for them: pandas series whose index counts rows. `first` is what people call row 0."""

    name: str
    columns: dict[str, Any]
    first: int = 1

    def row(self, place: int) -> int:
        return self.first + int(self.columns["time"].index[place])

    def cell(self, word: str, place: int) -> str:
        """A cell for a message."""
        value = self.columns[word].iloc[place]
        if isinstance(value, float):
            return f"{value:.12g}"
        return str(getattr(value, "asm8", value)).strip()[:40] or "–"  # pandas cannot write the year 10,000


def read_candles(data: bytes | str, name: str, pair: str) -> Candles:
    """The candles of a file: CSV as TradingView or an exchange writes it, rows as ccxt and Freqtrade keep them (JSON),
    feather or parquet; also packed with gzip or zip. `name` is for messages only.

    Times are seconds, milliseconds, microseconds or ISO 8601; dates without a zone are meant in UTC. Where no volume is
    told it is 0. Raises CandlesError.
    """
    raw = _unpacked(data, name, CandlesError)
    if raw.startswith(b"ARROW1"):
        return _candles(_arrow(lambda: _feather(raw, name), name), pair)
    if raw.startswith(b"PAR1"):
        return _candles(_arrow(lambda: _parquet(raw, name), name), pair)
    text = _decoded(raw, name, CandlesError)
    if not text.strip():
        raise CandlesError.of(_EMPTY, name=name)
    return _candles(_json(text, name) if text.lstrip()[0] in "[{" else _csv_candles(text, name), pair)


def _unpacked(data: bytes | str, name: str, error: type[_FileError]) -> bytes:
    """What is in a packed file, never more than `MAX_BYTES`."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
    try:
        if raw.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
                raw = packed.read(MAX_BYTES + 1)
        elif raw.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                inside = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX" not in one.filename]
                if len(inside) != 1:
                    raise error.of(_ARCHIVE, name=name)
                with archive.open(inside[0]) as packed:
                    raw = packed.read(MAX_BYTES + 1)
    except _BROKEN as failure:
        raise error.of(_ARCHIVE, name=name) from failure
    if len(raw) > MAX_BYTES:
        raise error.of(_TOO_LARGE, name=name, most=MAX_BYTES // 1024 // 1024)
    return raw


def _decoded(raw: bytes, name: str, error: type[_FileError]) -> str:
    kind = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(kind)
    except UnicodeDecodeError as failure:
        raise error.of(error.unreadable, name=name) from failure
    if "\0" in text:
        raise error.of(error.unreadable, name=name)
    return text.replace("\r\n", "\n").replace("\r", "\n")


# CSV


@dataclass(frozen=True, slots=True)
class _Csv:
    """A text with a table in it: `above` lines stand over it, `mark` stands between its cells."""

    text: str
    name: str
    above: int
    mark: str

    @classmethod
    def of(cls, text: str, name: str, least: int) -> Self | None:
        """None where none of the first lines has `least` cells, or any has more than a table of these."""
        for above, line in enumerate(text[:100_000].split("\n")[:12]):
            # Commas may stand within numbers; the other marks stand between cells only.
            mark = next((mark for mark in "\t;|," if line.count(mark) >= least - 1), None)
            if mark is not None:
                wide = any(len(row) > MOST_COLUMNS and row.count(mark) >= MOST_COLUMNS for row in io.StringIO(text))
                return None if wide else cls(text, name, above, mark)
        return None

    def frame(self, **how: Any) -> Any:
        layout = {"sep": self.mark, "header": None, "skiprows": self.above, "skip_blank_lines": False}
        return pd.read_csv(io.StringIO(self.text), **{**layout, "skipinitialspace": True, "low_memory": False, **how})

    def texts(self, error: type[_FileError]) -> Any:
        """All cells as text, without blank lines."""
        try:
            cells = self.frame(dtype=str, na_filter=False).fillna("")
        except _UNREAD as failure:
            found = _RAGGED_LINE.search(str(failure))
            if found is None:
                raise error.of(error.unreadable, name=self.name) from failure
            raise error.of(_RAGGED, name=self.name, row=int(found[1]) + self.above) from failure
        told = cells[0].str.strip() != ""
        if cells.shape[1] > 1:
            told |= cells[1].str.strip() != ""
        return cells[told]

    def quick(self, places: Mapping[str, int], skip: int) -> dict[str, Any] | None:
        """The columns at these places where all of them are numbers, which is ten times faster; None otherwise."""
        kinds = {place: "float64" for word, place in places.items() if word != "time"}
        try:
            cells = self.frame(dtype=kinds, skiprows=self.above + skip)
            found = {word: cells[place] for word, place in places.items()}
        except (*_UNREAD, KeyError):
            return None
        times = found["time"]
        return found if times.dtype.kind in "iuf" and not any(one.isna().any() for one in found.values()) else None

    def head(self, error: type[_FileError]) -> list[str]:
        """The cells of the first row."""
        try:
            return [str(cell) for cell in self.frame(dtype=str, na_filter=False, nrows=1).fillna("").iloc[0]]
        except (*_UNREAD, IndexError) as failure:
            raise error.of(error.unreadable, name=self.name) from failure


def _csv_candles(text: str, name: str) -> _Table:
    csv = _Csv.of(text, name, len(_NEEDED))
    if csv is None:
        raise CandlesError.of(CandlesError.unreadable, name=name)
    head = csv.head(CandlesError)
    headless = all(_NUMBER.fullmatch(cell) or _COMMA.fullmatch(cell) for cell in head[1:5])
    places = (
        {word: place for place, word in enumerate((*_NEEDED, "volume")[: len(head)])}
        if headless
        else _chosen(head, name)
    )
    skip = 0 if headless else 1
    columns = csv.quick(places, skip)
    if columns is not None:
        return _Table(name, columns, csv.above + skip + 1)
    cells = csv.texts(CandlesError)
    return _Table(name, {word: cells[place].loc[skip:] for word, place in places.items()}, csv.above + 1)


def _plain(word: str) -> str:
    return re.sub(r"[\s_/()\-#\"']+", "", word.strip("\ufeff")).lower()


def _chosen(head: Sequence[str], name: str) -> dict[str, int]:
    """The places of the columns that are needed, by our names for them."""
    plain = [_plain(word) for word in head]
    places: dict[str, int] = {}
    for word, names in _NAMES.items():
        place = next((plain.index(one) for one in names if one in plain), None)
        if place is None and word == "volume":  # such as "Volume BTC"
            place = next((place for place, one in enumerate(plain) if one.startswith("volume")), None)
        if place is not None:
            places[word] = place
    missing = [word for word in _NEEDED if word not in places]
    if missing:
        raise CandlesError.of(_COLUMNS, name=name, missing=", ".join(missing), found=_listed(head))
    return places


def _listed(head: Sequence[str]) -> str:
    return ", ".join(word.strip()[:30] or "–" for word in head[:12])


# JSON


_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a letter, as JSON writes it. Without its other half it is no text, and pandas stumbles over it."""


def _json(text: str, name: str) -> _Table:
    try:
        told: Any = json.loads(text)
        if _HALF.search(text):
            json.dumps(told, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as failure:
        raise CandlesError.of(CandlesError.unreadable, name=name) from failure
    for _ in range(3):  # as exchanges wrap their answers
        if not isinstance(told, dict):
            break
        fields = cast("dict[str, Any]", told)
        if len(fields) >= 5 and all(isinstance(value, list) for value in fields.values()):
            return _of_columns(fields, name)
        told = next((fields[word] for word in ("data", "result", "candles", "list", "rows") if word in fields), None)
    if not isinstance(told, list):
        raise CandlesError.of(CandlesError.unreadable, name=name)
    rows = cast("list[Any]", told)
    if not rows:
        raise CandlesError.of(_EMPTY, name=name)
    _few_enough(len(rows), name)
    if all(isinstance(row, dict) for row in rows):
        head = list(cast("dict[str, Any]", rows[0]))
        found = _chosen(head, name)
        return _Table(name, {word: _series([row.get(head[place]) for row in rows]) for word, place in found.items()})
    sizes = [len(cast("list[Any]", row)) if isinstance(row, list) else 0 for row in rows]
    width = min(sizes)
    if width < len(_NEEDED):
        raise CandlesError.of(_RAGGED, name=name, row=sizes.index(width) + 1)
    named = enumerate((*_NEEDED, "volume")[:width])
    return _Table(name, {word: _series([row[place] for row in rows]) for place, word in named})


def _of_columns(fields: Mapping[str, list[Any]], name: str) -> _Table:
    if len({len(column) for column in fields.values()}) != 1:
        raise CandlesError.of(CandlesError.unreadable, name=name)
    words = list(fields)
    _few_enough(len(fields[words[0]]), name)
    return _Table(name, {word: _series(fields[words[place]]) for word, place in _chosen(words, name).items()})


def _series(values: list[Any]) -> Any:
    """Numbers as they are; everything else as text, of which truth values and lists are no numbers."""
    kinds: set[type] = {type(value) for value in values}
    if kinds <= {int, float}:
        with contextlib.suppress(OverflowError):
            return pd.Series(values, dtype="float64" if float in kinds else "int64")
    return pd.Series([value if isinstance(value, str) else _word(value) for value in values], dtype=str)


def _word(value: object) -> str:
    if value is None:
        return ""
    return str(value)[:40] if type(value) in (int, float) else f"({str(value)[:40]})"


# feather and parquet


def _feather(raw: bytes, name: str) -> Any:
    pa: Any = importlib.import_module("pyarrow")
    file: Any = importlib.import_module("pyarrow.ipc").open_file(pa.BufferReader(raw))
    _few_enough(sum(file.get_batch(place).num_rows for place in range(file.num_record_batches)), name)
    return file.read_all()


def _parquet(raw: bytes, name: str) -> Any:
    pa: Any = importlib.import_module("pyarrow")
    file: Any = importlib.import_module("pyarrow.parquet").ParquetFile(pa.BufferReader(raw))
    _few_enough(file.metadata.num_rows, name)
    known = {one for names in _NAMES.values() for one in names}
    words: list[str] = file.schema_arrow.names
    wanted = [word for word in words if _plain(word) in known or _plain(word).startswith("volume")]
    return file.read(columns=wanted) if wanted else file.schema_arrow.empty_table()


def _arrow(read: Callable[[], Any], name: str) -> _Table:
    pa: Any = importlib.import_module("pyarrow")
    try:
        told = read()
        words = [str(word) for word in told.column_names]
        places = _chosen(words, name)
        return _Table(name, {word: _arrow_series(told.column(place)) for word, place in places.items()})
    except CandlesError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as failure:
        raise CandlesError.of(CandlesError.unreadable, name=name) from failure


def _arrow_series(column: Any) -> Any:
    pa: Any = importlib.import_module("pyarrow")
    kind, types = column.type, pa.types
    if types.is_timestamp(kind) or types.is_date(kind):
        return pd.Series(column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).to_pandas())
    if types.is_integer(kind) and not column.null_count:
        return pd.Series(column.cast(pa.int64()).to_numpy())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return pd.Series(column.cast(pa.float64(), safe=False).to_numpy())
    return pd.Series(["" if value is None else str(value) for value in column.cast(pa.string()).to_pylist()], dtype=str)


def _few_enough(count: int, name: str) -> None:
    if count > MAX_CANDLES:
        raise CandlesError.of(_TOO_MANY, name=name, count=count, most=MAX_CANDLES)


# What a table says


def _candles(table: _Table, pair: str) -> Candles:
    name, count = table.name, len(table.columns["time"])
    if not count:
        raise CandlesError.of(_EMPTY, name=name)
    _few_enough(count, name)
    time = _opening(table)
    prices = {word: _numbers(table, word) for word in _PRICES}
    volume = _volume(table, count)
    for word, values in prices.items():
        _refuse(table, values <= 0, _NO_PRICE, column=word, value=word)
    high, low = prices["high"], prices["low"]
    _refuse(table, high < low, _UPSIDE_DOWN, high="high", low="low")
    least, most = np.minimum(prices["open"], prices["close"]), np.maximum(prices["open"], prices["close"])
    _refuse(table, (least < low) | (most > high), _OUTSIDE)
    columns = (*prices.values(), volume)
    if not (time[1:] > time[:-1]).all():
        order = np.argsort(time, kind="stable")
        time, columns = time[order], tuple(column[order] for column in columns)
        later = np.concatenate([[True], time[1:] > time[:-1]])
        for place in np.flatnonzero(~later).tolist():
            if any(column[place] != column[place - 1] for column in columns):
                raise CandlesError.of(_TWICE, name=name, time=as_text(int(time[place])))
        time, columns = time[later], tuple(column[later] for column in columns)
    return Candles(pair, timedelta(seconds=_interval(time, name)), time, *columns)


def _refuse(table: _Table, wrong: Any, text: str, **shown: str) -> None:
    """Raise where a row is wrong, with its number; `shown` names columns whose values the message tells."""
    if not wrong.any():
        return
    place = int(np.argmax(wrong))
    told = {param: word if param == "column" else table.cell(word, place) for param, word in shown.items()}
    raise CandlesError.of(text, name=table.name, row=table.row(place), **told)


def _as_numbers(column: Any) -> Any:
    """Floats; NaN where a cell holds no number, infinite ones as they are."""
    if column.dtype.kind in "iuf":
        return column.to_numpy(dtype=np.float64)
    if column.dtype.kind == "M" or getattr(column.dtype, "tz", None) is not None:
        return np.full(len(column), np.nan)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _numbers(table: _Table, word: str) -> Any:
    found = _as_numbers(table.columns[word])
    wrong = ~np.isfinite(found)
    if wrong.any():
        comma = _COMMA.fullmatch(table.cell(word, int(np.argmax(wrong))))
        _refuse(table, wrong, _COMMAS if comma else _NO_NUMBER, column=word, value=word)
    return found


def _volume(table: _Table, count: int) -> Any:
    """A volume that is not told is 0."""
    column = table.columns.get("volume")
    if column is None:
        return np.zeros(count)
    found = _as_numbers(column)
    if np.isnan(found).any():
        blank = np.isnan(found)
        if column.dtype.kind not in "iuf":
            blank &= np.array([str(cell).strip().lower() in ("", "nan", "na", "null") for cell in column], dtype=bool)
        found = np.where(blank, 0.0, found)
    _refuse(table, ~(np.isfinite(found) & (found >= 0)), _NO_VOLUME, value="volume")
    return found


def _opening(table: _Table) -> Any:
    """When candles open, in whole seconds since 1970 UTC."""
    micros = _micros(table, UTC, CandlesError)
    _refuse(table, micros % 1_000_000 != 0, _SPLIT_SECOND, value="time")
    return micros // 1_000_000


def _micros(table: _Table, zone: tzinfo, error: type[_FileError]) -> Any:
    """The column `time` in microseconds since 1970 UTC. Dates without a zone are meant in `zone`."""
    column = table.columns["time"]
    if column.dtype.kind == "M" or getattr(column.dtype, "tz", None) is not None:
        micros = _of_dates(column, zone)
    elif column.dtype.kind in "iuf":
        micros = _of_numbers(column.to_numpy())
    else:
        numbers = pd.to_numeric(column, errors="coerce")
        micros = _of_texts(column, zone) if numbers.isna().mean() > 0.5 else _of_numbers(numbers.to_numpy())
    wrong = (micros < _FIRST * 1_000_000) | (micros >= _LAST * 1_000_000)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise error.of(_TIME, name=table.name, row=table.row(place), value=table.cell("time", place))
    return micros


def _of_texts(texts: Any, zone: tzinfo) -> Any:
    texts = texts.str.strip().str.replace(r"(?:UTC|GMT)$", "Z", regex=True)
    aware = texts.str.contains(r"[T ]\d", regex=True) & texts.str.contains(r"(?:Z|[+-]\d[\d:]*)$", regex=True)
    dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    if not aware.any():
        return _of_dates(dates.dt.tz_localize(None), zone)
    # A date without a zone beside others could be meant in any.
    return np.where(aware.to_numpy(dtype=bool), _of_dates(dates, zone), 0)


def _of_dates(dates: Any, zone: tzinfo) -> Any:
    """0 where there is none."""
    if getattr(dates.dtype, "tz", None) is None:
        # An hour that comes twice in a zone is the first one; one that it leaves out is the next that there is.
        dates = dates.dt.tz_localize(zone, ambiguous=np.ones(len(dates), dtype=bool), nonexistent="shift_forward")
    plain = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    micros = plain.to_numpy().astype("datetime64[us]").astype(np.int64)
    return np.where(plain.isna().to_numpy(dtype=bool), 0, micros)


def _of_numbers(numbers: Any) -> Any:
    """The unit shows in the size: seconds, milliseconds, microseconds or nanoseconds since 1970; one unit for all.

    0 where it is no time.
    """
    nothing = np.zeros(len(numbers), dtype=np.int64)
    if numbers.dtype.kind not in "iuf":
        return nothing
    finite = np.isfinite(numbers)
    most = float(np.max(np.where(finite, numbers, 0), initial=0))
    size = next((size for size in (1, 10**3, 10**6, 10**9) if most < _LAST * size), None)
    if size is None:
        return nothing
    kept = np.where(finite & (numbers >= 0), numbers, 0)
    if kept.dtype.kind == "f":
        return np.rint(kept / size * 1_000_000).astype(np.int64)
    return kept.astype(np.int64) // 1000 if size == 10**9 else kept.astype(np.int64) * (10**6 // size)


def _interval(time: Any, name: str) -> int:
    """Seconds between candles, all of which must lie on that raster. Raises CandlesError."""
    if len(time) < 2:
        raise CandlesError.of(_ONE, name=name)
    gaps = np.diff(time)
    sizes, counts = np.unique(gaps, return_counts=True)
    step, usual = int(sizes[0]), int(sizes[np.argmax(counts)])
    if step > _LONGEST:
        raise CandlesError.of(_TOO_LONG, name=name)

    def mixed(one: int, other: int, place: int) -> CandlesError:
        names = {word: interval_name(timedelta(seconds=size)) for word, size in (("one", one), ("other", other))}
        return CandlesError.of(_MIXED, name=name, time=as_text(int(time[place])), **names)

    if usual != step:
        raise mixed(usual, step, int(np.argmax(gaps == step)))
    off = np.flatnonzero(gaps % step)
    if len(off):
        when, one = as_text(int(time[off[0] + 1])), interval_name(timedelta(seconds=step))
        raise CandlesError.of(_RASTER, name=name, time=when, one=one)
    edges = np.flatnonzero(np.concatenate([[True], gaps[1:] != gaps[:-1], [True]]))
    for begin, end in pairwise(edges.tolist()):
        if end - begin >= _RUN and gaps[begin] != step:
            raise mixed(step, int(gaps[begin]), begin)
    return step


# -- signals -----------------------------------------------------------------------------------------------------------


class SignalRow(NamedTuple):
    """A wish to enter: when (seconds since 1970 UTC), the pair (None: every one), the side."""

    time: int
    pair: str | None
    side: Literal["long", "short"]


_NO_SIGNALS = N_(
    "{name} holds no entry. Export TradingView's list of trades or its log of alerts, or write time, pair and side."
)
_SIGNAL_COLUMNS = N_(
    "{name} has no columns for time and side. It is read as TradingView exports a list of trades or alerts, or with the"
    " columns time, pair and side. Found: {found}."
)
_NO_SIDE = N_("{name}, row {row}: {value} is neither long nor short. Write long or short.")
_NO_TICKER = N_("{name}, row {row}: it cannot be told which pair {value} is. Write it as in BTC/USDT.")
_TOO_MANY_SIGNALS = N_("{name} has {count} rows; at most {most} are taken. Split it into shorter periods.")
_WHEN = "unixtime unix timestamp dateandtime datetime time date".split()
_SIDES = "type side direction action signal".split()
_PAIRS = "pair symbol ticker market".split()
_QUOTES = "USDT USDC FDUSD TUSD BUSD USDE DAI USD EUR GBP BRL TRY JPY BTC ETH BNB".split()
_LONG, _SHORT, _EXIT = {"long", "buy"}, {"short", "sell"}, {"exit", "close", "closed", "margin", "liquidation"}
_POSITION = re.compile(r"new strategy position is (-?)([\d.,]+)", re.IGNORECASE)
_PAIR = re.compile(r"[A-Z0-9]{1,20}[/\-_][A-Z0-9]{1,20}")


def read_signals(data: bytes | str, name: str, *, zone: tzinfo = UTC) -> tuple[SignalRow, ...]:
    """The entries of a CSV file, by time, each once: TradingView's list of trades of a strategy, TradingView's log of
    alerts, or columns time, pair (may be missing) and side.

    Exits are left out. In a log of alerts the message must say long, buy, short or sell; alerts that say none of them,
    or both, are left out. Times without a zone are meant in `zone`, that of the chart; a part of a second counts as a
    whole one. Raises SignalsError.
    """
    text = _decoded(_unpacked(data, name, SignalsError), name, SignalsError)
    csv = _Csv.of(text, name, 2)
    if csv is None:
        raise SignalsError.of(SignalsError.unreadable if text.strip() else _NO_SIGNALS, name=name)
    head = csv.head(SignalsError)
    plain = [_plain(word) for word in head]
    alerts = "description" in plain

    def place_of(words: Sequence[str]) -> int | None:
        return next((plain.index(word) for word in words if word in plain), None)

    at, said, pair = place_of(_WHEN), place_of(["description"] if alerts else _SIDES), place_of(_PAIRS)
    if at is None or said is None:
        raise SignalsError.of(_SIGNAL_COLUMNS, name=name, found=_listed(head))
    cells = csv.texts(SignalsError).loc[1:]
    if len(cells) > MAX_SIGNALS:
        raise SignalsError.of(_TOO_MANY_SIGNALS, name=name, count=len(cells), most=MAX_SIGNALS)
    if not len(cells):
        raise SignalsError.of(_NO_SIGNALS, name=name)
    table = _Table(
        name, {"time": cells[at], "side": cells[said], "pair": cells[pair if pair is not None else at]}, csv.above + 1
    )
    times: list[int] = (-(-_micros(table, zone, SignalsError) // 1_000_000)).tolist()
    rows: set[SignalRow] = set()
    for place, (time, words, ticker) in enumerate(
        zip(times, table.columns["side"], table.columns["pair"], strict=True)
    ):
        side = _side_of_alert(words) if alerts else _side(words)
        if side is None and not alerts:
            raise SignalsError.of(_NO_SIDE, name=name, row=table.row(place), value=table.cell("side", place))
        if side is None or side == "exit":
            continue
        known = None if pair is None else _pair_of(ticker)
        if known == "":
            raise SignalsError.of(_NO_TICKER, name=name, row=table.row(place), value=table.cell("pair", place))
        rows.add(SignalRow(time, known, side))
    if not rows:
        raise SignalsError.of(_NO_SIGNALS, name=name)
    return tuple(sorted(rows, key=lambda row: (row.time, row.pair or "", row.side)))


def _side(words: str) -> Literal["long", "short", "exit"] | None:
    found = set(re.findall("[a-z]+", words.lower()))
    if found & _EXIT:
        return "exit"
    if bool(found & _LONG) == bool(found & _SHORT):
        return None
    return "long" if found & _LONG else "short"


def _side_of_alert(words: str) -> Literal["long", "short"] | None:
    """A strategy's own alerts tell the position after the order: an order that leads towards none is an exit."""
    found = set(re.findall("[a-z]+", words.lower()))
    if "exit" in found or bool(found & _LONG) == bool(found & _SHORT):
        return None
    side = "long" if found & _LONG else "short"
    position = _POSITION.search(words)
    if position is None:
        return side
    held = "none" if not position[2].strip("0.,") else "short" if position[1] else "long"
    return side if held == side else None


def _pair_of(ticker: str) -> str | None:
    """`BINANCE:BTCUSDT.P` and `BTC/USDT:USDT` are BTC/USDT; None for nothing, an empty text where it cannot be told."""
    name = ticker.partition(",")[0].strip().upper()  # a chart's interval may follow
    if "/" not in name:
        name = name.rpartition(":")[2]
    name = re.sub(r"(?::[A-Z]+|\.P|[.-]?PERP|-SWAP)$", "", name)
    if not name:
        return None
    if _PAIR.fullmatch(name):
        return re.sub("[-_]", "/", name)
    quote = next((quote for quote in _QUOTES if name.endswith(quote) and len(name) > len(quote)), None)
    return f"{name.removesuffix(quote)}/{quote}" if quote and name.isalnum() and name.isascii() else ""


__all__ = [
    "INTERVALS",
    "SAMPLES",
    "Candles",
    "CandlesError",
    "SignalRow",
    "SignalsError",
    "as_text",
    "ema",
    "interval_name",
    "np",
    "pd",
    "read_candles",
    "read_signals",
    "rsi",
    "sample",
]
