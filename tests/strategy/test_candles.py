"""Candles and signals from files of every kind, the nasty ones too; indicators; the sample data."""

from __future__ import annotations

import gzip
import io
import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfai.strategy import candles as module
from bfai.strategy.candles import (
    SAMPLES,
    Candles,
    CandlesError,
    SignalRow,
    SignalsError,
    ema,
    interval_name,
    read_candles,
    read_signals,
    rsi,
    sample,
)

ROOT = Path(__file__).parent.parent.parent
T0 = 1_767_225_600  # 2026-01-01 00:00 UTC
ROWS = [(T0 + 300 * n, 100 + n, 102.5 + n, 99.25 + n, 101 + n, 5.5 * n) for n in range(6)]


def lines(rows: list[Any] = ROWS, mark: str = ",", **more: Any) -> str:
    return "".join(mark.join(str(cell) for cell in row) + "\n" for row in rows)


def ms(factor: int) -> list[tuple[Any, ...]]:
    return [(at * factor, *rest) for at, *rest in ROWS]


def dated(form: Callable[[datetime], str]) -> list[tuple[Any, ...]]:
    return [(form(datetime.fromtimestamp(at, UTC)), *rest) for at, *rest in ROWS]


def frame(**time: Any) -> pd.DataFrame:
    columns = dict(
        zip(("open", "high", "low", "close", "volume"), zip(*(row[1:] for row in ROWS), strict=True), strict=True)
    )
    return pd.DataFrame({**time, **columns})


def feather(table: pd.DataFrame, **how: Any) -> bytes:
    file = io.BytesIO()
    table.to_feather(file, **how)
    return file.getvalue()


def parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


def zipped(**files: str | bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.csv", data)
    return file.getvalue()


def refusal(data: bytes | str, name: str = "a.csv") -> str:
    with pytest.raises(CandlesError) as caught:
        read_candles(data, name, "BTC/USDT")
    return str(caught.value)


HEAD = "time,open,high,low,close,Volume\n"
DATES = pd.to_datetime([row[0] for row in ROWS], unit="s", utc=True)
UNITED: dict[str, bytes | str] = {
    "TradingView, UNIX time": HEAD + lines(),
    "TradingView with an indicator": "time,open,high,low,close,Plot,Volume,Volume MA\n"
    + "".join(f"{','.join(map(str, row[:5]))},1.5,{row[5]},\n" for row in ROWS),
    "TradingView, ISO time of a zone": HEAD
    + lines(dated(lambda at: at.astimezone(ZoneInfo("Europe/Zagreb")).isoformat())),
    "dates without a zone": HEAD + lines(dated(lambda at: f"{at:%Y-%m-%d %H:%M}")),
    "dates with seconds and UTC": HEAD + lines(dated(lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC")),
    "dates with Z": HEAD + lines(dated(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.000Z}")),
    "columns in another order": "Close,LOW,high,Open,vol,Date\n"
    + lines([(c, lo, h, o, v, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}") for at, o, h, lo, c, v in ROWS]),
    "semicolons": HEAD.replace(",", ";") + lines(mark=";"),
    "tabs and quotes": '"time"\t"open"\t"high"\t"low"\t"close"\t"volume"\n' + lines(mark="\t"),
    "BOM, CRLF and blank lines": ("\ufeff" + HEAD + lines() + "\n\n").replace("\n", "\r\n"),
    "UTF-16": (HEAD + lines()).encode("utf-16"),
    "blank lines between": (HEAD + lines()).replace("\n", "\n\n"),
    "lines above the table": "https://www.example.org\nmade by hand\n\n" + HEAD + lines(),
    "newest first": HEAD + lines(ROWS[::-1]),
    "rows twice": HEAD + lines([*ROWS, *ROWS[2:4]]),
    "Binance's public data": lines([(*row, row[0] + 299_999, 0, 10, 0, 0, 0) for row in ms(1000)]),
    "Binance's public data since 2025": lines([(*row, 0, 0, 10, 0, 0, 0) for row in ms(1_000_000)]),
    "Binance's newer head": "open_time,open,high,low,close,volume,close_time,quote_volume\n"
    + lines([(*row, 0, 0) for row in ms(1000)]),
    "nanoseconds": lines(ms(1_000_000_000)),
    "floating seconds": lines([(float(at), *rest) for at, *rest in ROWS]),
    "CryptoDataDownload": "https://www.CryptoDataDownload.com\n"
    "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT\n"
    + lines([(at * 1000, "2026-01-01", "BTCUSDT", o, h, lo, c, v, 1) for at, o, h, lo, c, v in ROWS[::-1]]),
    "ccxt and Freqtrade": json.dumps(ms(1000)),
    "numbers as texts": json.dumps([[str(cell) for cell in row] for row in ms(1000)]),
    "objects": json.dumps([dict(zip(("t", "o", "h", "l", "c", "v"), row, strict=True)) for row in ROWS]),
    "an answer of Bybit": json.dumps({"retCode": 0, "result": {"list": ms(1000)[::-1]}}),
    "columns": json.dumps(
        dict(zip(("time", "open", "high", "low", "close", "vol"), zip(*ROWS, strict=True), strict=True))
    ),
    "Freqtrade's feather": feather(frame(date=DATES)),
    "feather without compression": feather(frame(date=DATES.as_unit("ns")), compression="uncompressed"),
    "feather, numbers": feather(frame(timestamp=[row[0] * 1000 for row in ROWS])),
    "feather, dates without a zone": feather(frame(date=DATES.tz_localize(None))),
    "parquet": parquet(frame(date=DATES)),
    "parquet, texts": parquet(frame(time=[f"{at:%Y-%m-%d %H:%M}" for at in DATES]).astype({"open": str})),
    "gzip": gzip.compress((HEAD + lines()).encode()),
    "gzip of JSON": gzip.compress(json.dumps(ms(1000)).encode()),
    "zip": zipped(candles=HEAD + lines()),
}


@pytest.mark.parametrize("kind", UNITED)
def test_files_of_every_kind(kind: str) -> None:
    found = read_candles(UNITED[kind], "a file", "BTC/USDT")
    assert list(zip(*(column.tolist() for column in found.columns), strict=True)) == ROWS
    assert (found.pair, found.interval, found.source, found.gaps) == ("BTC/USDT", timedelta(minutes=5), "file", 0)
    assert [column.dtype for column in found.columns] == [np.dtype("int64"), *[np.dtype("float64")] * 5]
    assert found.digest == read_candles(HEAD + lines(), "x", "BTC/USDT").digest


def test_volume_may_be_missing() -> None:
    plain = read_candles("time,open,high,low,close\n" + lines([row[:5] for row in ROWS]), "x", "A/B")
    empty = read_candles(HEAD + lines([(*row[:5], "") for row in ROWS]), "x", "A/B")
    words = read_candles(HEAD + lines([(*row[:5], "NaN") for row in ROWS]), "x", "A/B")
    short = read_candles(json.dumps([row[:5] for row in ms(1000)]), "x", "A/B")
    nothing = read_candles(json.dumps([(*row[:5], None) for row in ms(1000)]), "x", "A/B")
    holes = read_candles(parquet(frame(date=DATES).assign(volume=[None, 1.0, None, 2.0, 3.0, None])), "x", "A/B")
    for found in (plain, empty, words, short, nothing):
        assert found.volume.tolist() == [0.0] * 6
    assert holes.volume.tolist() == [0, 1, 0, 2, 3, 0]


def test_prices_come_as_they_were_written() -> None:
    price = "0.12345678901234567"
    found = read_candles(HEAD + lines([(row[0], *[price] * 4, "0.1") for row in ROWS]), "x", "A/B")
    assert found.close[0] == float(price) and found.volume[0] == 0.1


def test_gaps_are_allowed_and_counted() -> None:
    rows = [ROWS[0], ROWS[1], ROWS[4], ROWS[5]]
    found = read_candles(lines(rows), "x", "A/B")
    assert found.gaps == 2 and found.interval == timedelta(minutes=5)
    assert found.begins == datetime(2026, 1, 1, tzinfo=UTC) and found.ends == datetime(2026, 1, 1, 0, 30, tzinfo=UTC)


def row_with(place: int, value: Any, number: int = 3) -> str:
    rows = [list(row) for row in ROWS]
    rows[number][place] = value
    return HEAD + lines(rows)


BAD: list[tuple[str, bytes | str, str]] = [
    ("nothing", "", "holds no candles. Export it again"),
    ("blanks", " \n\n", "holds no candles"),
    ("head only", HEAD, "holds no candles"),
    ("no rows", "[]", "holds no candles"),
    ("an empty table", feather(frame(date=DATES).iloc[:0]), "holds no candles"),
    ("words", "Dear diary,\nthe market fell today.\n", "neither CSV nor JSON, feather or parquet"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither CSV nor JSON"),
    ("columns without end", HEAD.rstrip() + ",more" * 20_000 + "\n1,1,1,1,1\n", "neither CSV nor JSON"),
    ("half a JSON", '[[1767225600000,"1"', "neither CSV nor JSON"),
    ("a JSON of something else", '{"name":"x"}', "neither CSV nor JSON"),
    ("deep JSON", "[" * 100_000, "neither CSV nor JSON"),
    ("columns of two lengths", '{"t":[1],"o":[1],"h":[1],"l":[1],"c":[1,2]}', "neither CSV nor JSON"),
    ("half a parquet", UNITED["parquet"][:-20] + b"PAR1", "neither CSV nor JSON"),  # type: ignore[operator]
    ("half a feather", UNITED["Freqtrade's feather"][:200], "neither CSV nor JSON"),
    ("half a gzip", UNITED["gzip"][:-10], "broken archive"),
    ("half a zip", UNITED["zip"][:60], "broken archive"),
    ("two files in a zip", zipped(a="1", b="2"), "exactly one file in it. Unpack it"),
    ("no time", "open,high,low,close,volume\n" + lines([row[1:] for row in ROWS]), "no column for time. It needs"),
    ("other columns", "a,b,c,d,e\n1,2,3,4,5\n", "no column for time, open, high, low. It needs"),
    (
        "decimal commas",
        "time;open;high;low;close\n1767225600;1,5;1,75;1,2;1,5\n",
        "row 2: 1,5 is written with a decimal",
    ),
    ("thousands", HEAD + '1767225600,"1,234.5",2,1,1,1\n', "row 2: 1,234.5 is no number for open"),
    ("a word for a price", row_with(2, "high"), "row 5: high is no number for high. Remove the row"),
    ("NaN", row_with(4, "NaN"), "row 5: NaN is no number for close"),
    ("infinite", row_with(1, "inf"), "row 5: inf is no number for open"),
    ("nothing for a price", row_with(3, ""), "row 5: – is no number for low"),
    ("NaN in JSON", json.dumps([[T0, 1, 2, 1, 1], [T0 + 60, 1, math.nan, 1, 1]]), "row 2: nan is no number for high"),
    ("true in JSON", json.dumps([[T0, 1, 2, True, 1]]), "row 1: (True) is no number for low"),
    ("zero", row_with(3, 0), "row 5: the price 0 for low is not above zero"),
    ("negative", row_with(1, -5), "row 5: the price -5 for open is not above zero"),
    ("negative volume", row_with(5, -1), "row 5: -1 is no volume"),
    ("a word for a volume", row_with(5, "much"), "row 5: much is no volume"),
    ("upside down", row_with(2, 1), "row 5: the high 1 is below the low 102.25"),
    ("close outside", row_with(4, 500), "row 5: open and close must lie between high and low"),
    ("columns in KuCoin's order", lines([(at, o, c, h, lo) for at, o, h, lo, c, _ in ROWS]), "below the low"),
    ("another date", row_with(0, "01/02/2026 10:00"), "row 5: the time 01/02/2026 10:00 cannot be read"),
    ("dates with and without a zone", HEAD + "2026-01-01T00:00Z,1,1,1,1,1\n2026-01-01 00:05,1,1,1,1,1\n", "row 3: the"),
    ("no date", row_with(0, ""), "row 5: the time – cannot be read"),
    ("years ago", lines([(at - 10**9, *rest) for at, *rest in ROWS]), "row 1: the time 767225600 cannot be read"),
    ("the far future", lines([(at * 10**6 * 10**4, *rest) for at, *rest in ROWS]), "cannot be read"),
    ("two units of time", lines([*ROWS[:3], *ms(1000)[3:]]), "row 1: the time 1767225600 cannot be read"),
    ("split seconds", lines([(at * 1000 + 500, *rest) for at, *rest in ROWS]), "does not open at a whole second"),
    ("two at once", HEAD + lines([*ROWS, (*ROWS[2][:4], 102, 1)]), "two different candles for 2026-01-01 00:10 (UTC)."),
    ("one only", HEAD + lines(ROWS[:1]), "holds one candle only"),
    ("one, twice", HEAD + lines([ROWS[0], ROWS[0]]), "holds one candle only"),
    (
        "another number of cells",
        HEAD + lines() + "1767229200,1,1,1,1,1,1\n",
        "row 8: this row has another number of cells",
    ),
    ("short rows in JSON", json.dumps([ROWS[0], ROWS[1][:4]]), "row 2: this row has another number of cells"),
    ("months apart", HEAD + lines([ROWS[0], (T0 + 86_400 * 40, *ROWS[1][1:])]), "more than a month apart"),
]


@pytest.mark.parametrize(("what", "data", "why"), BAD, ids=[one[0] for one in BAD])
def test_bad_files_are_refused_with_cause_and_remedy(what: str, data: bytes | str, why: str) -> None:
    told = refusal(data, "my file.csv")
    assert "my file.csv" in told and why in told and told.endswith(".")
    assert told.count(". ") >= 1, "a cause and a remedy"


def grid(step: int, count: int, begin: int = T0) -> list[tuple[float, ...]]:
    return [(begin + step * n, 1, 2, 0.5, 1, 0) for n in range(count)]


def test_one_interval() -> None:
    assert "mixes candles of 5m and of 1m, from 2026-01-01 08:20" in refusal(
        lines(grid(300, 100) + grid(60, 50, T0 + 30_000))
    )
    assert "mixes candles of 1m and of 5m, from 2026-01-01 01:40" in refusal(
        lines(grid(60, 101) + grid(300, 50, T0 + 6300))
    )
    assert "2026-01-01 00:31 (UTC) does not fit between others that are 2m apart" in refusal(
        lines(grid(120, 15) + grid(120, 15, T0 + 31 * 60))
    )
    assert read_candles(lines(grid(7200, 5)), "x", "A/B").interval == timedelta(hours=2)
    assert [interval_name(timedelta(seconds=size)) for size in (60, 900, 14_400, 86_400, 604_800, 90)] == [
        "1m", "15m", "4h", "1d", "7d", "90s",
    ]  # fmt: skip


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CANDLES", 5)
    for data in (HEAD + lines(), json.dumps(ms(1000)), feather(frame(date=DATES)), parquet(frame(date=DATES))):
        assert "has 6 candles; at most 5 are taken. Choose a longer interval" in refusal(data)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    for data in ("x" * 1001, gzip.compress(b"x" * 100_000), zipped(a=b"x" * 100_000)):
        assert "too large" in refusal(data)


# -- fuzz --------------------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "1,5",
            '"',
            "'",
            "2026-01-01",
            "2026-01-01T00:00:00+25:00",
            "0001-01-01",
            "9999-12-31T23:59:59Z",
            "1767225600",
            "99999999999999999999",
            "é",
            "\x0b",
            "\u2028",
            "0x10",
            "1_0",
            "time",
            "open",
        ]
    ),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.text(max_size=8),
)
HEADS = st.lists(
    st.one_of(st.sampled_from(["time", "open", "high", "low", "close", "volume", "Date", ""]), CELLS), max_size=8
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    mark = draw(st.sampled_from([",", ";", "\t", "|"]))
    table = [draw(HEADS), *draw(st.lists(st.lists(CELLS, max_size=8), max_size=6))]
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(mark.join(row) for row in table)


JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=7),
        st.dictionaries(
            st.sampled_from(["time", "open", "high", "low", "close", "data", "t", "o", "h", "l", "c"]), inner
        ),
    ),
    max_leaves=40,
).map(json.dumps)


def never_surprised(data: bytes | str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_BYTES", 1_000_000)
        for read, error in (
            (lambda: read_candles(data, "f", "A/B"), CandlesError),
            (lambda: read_signals(data, "f"), SignalsError),
        ):
            try:
                found = read()
            except error as refused:
                assert refused.message.params["name"] == "f" and str(refused)
                continue
            if isinstance(found, Candles):
                sound(found)
            else:
                assert found and all(row.side in ("long", "short") and row.time > 0 for row in found)


def sound(found: Candles) -> None:
    assert len(found) >= 2 and (np.diff(found.time) > 0).all() and (np.diff(found.time) % found.step == 0).all()
    assert (found.low > 0).all() and (found.volume >= 0).all() and np.isfinite(np.array(found.columns[1:])).all()
    assert (found.low <= np.minimum(found.open, found.close)).all() and (
        found.high >= np.maximum(found.open, found.close)
    ).all()
    assert found.gaps >= 0 and found.digest


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(texts(), st.text(max_size=200), JSONS))
def test_no_text_surprises(text: str) -> None:
    never_surprised(text)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(UNITED)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=4),
    st.floats(0.2, 1),
)
def test_no_damaged_file_surprises(kind: str, changes: list[tuple[float, bytes]], kept: float) -> None:
    data = UNITED[kind]
    raw = bytearray(data.encode() if isinstance(data, str) else data)
    for where, new in changes:
        place = int(where * (len(raw) - 1))
        raw[place : place + len(new)] = new
    never_surprised(bytes(raw[: int(len(raw) * kept)]))
    never_surprised(bytes(raw))


AN_AMOUNT = st.floats(0, 1e9)
A_SHARE = st.floats(0, 1)
A_CANDLE = st.tuples(st.integers(0, 400), st.floats(1e-6, 1e9), st.floats(0, 3), A_SHARE, A_SHARE, AN_AMOUNT)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(A_CANDLE, min_size=2, max_size=30, unique_by=lambda row: row[0]), st.randoms())
def test_what_is_written_is_read(rows: list[tuple[Any, ...]], dice: Any) -> None:
    told: list[tuple[Any, ...]] = []
    for place, low, reach, first, last, volume in rows:
        high = low * (1 + reach)
        span = high - low
        told.append((T0 + 60 * place, min(low + span * first, high), high, low, min(low + span * last, high), volume))
    dice.shuffle(told)
    try:
        found = read_candles(HEAD + "".join(",".join(map(repr, row)) + "\n" for row in told), "f", "A/B")
    except CandlesError as refused:
        assert "mixes" in str(refused) or "does not fit" in str(refused)
        return
    sound(found)
    assert list(zip(*(column.tolist() for column in found.columns), strict=True)) == sorted(told)


# -- candles -----------------------------------------------------------------------------------------------------------


def test_a_digest_tells_every_number() -> None:
    found = read_candles(HEAD + lines(), "x", "BTC/USDT")
    same = Candles("BTC/USDT", found.interval, *(column.copy() for column in found.columns), source="okx")
    assert same.digest == found.digest and len(found.digest) == 64
    others = [
        Candles("ETH/USDT", found.interval, *found.columns),
        Candles("BTC/USDT", found.interval * 2, *found.columns),
    ]
    for place in range(6):
        columns = [column.copy() for column in found.columns]
        columns[place][3] += 1
        others.append(Candles("BTC/USDT", found.interval, *columns))
    others.append(found.between(until=found.ends - found.interval))
    assert len({found.digest, *(other.digest for other in others)}) == 10
    assert repr(found) == "Candles('BTC/USDT', 5m, 6 from file)"


def test_a_part_of_candles() -> None:
    found = read_candles(HEAD + lines(), "x", "BTC/USDT")
    part = found.between(found.begins + timedelta(minutes=5), found.begins + timedelta(minutes=14))
    assert part.time.tolist() == [T0 + 300, T0 + 600] and part.source == "file"
    assert len(found.between(found.ends)) == 0 and found.between(found.ends).gaps == 0
    assert found.between().digest == found.digest


@pytest.mark.parametrize("pair", SAMPLES)
def test_the_sample_data(pair: str) -> None:
    found = sample(pair)
    assert (found.pair, found.source, found.interval, found.gaps) == (pair, "sample", timedelta(minutes=5), 0)
    assert len(found) == 60 * 288 and found.begins == datetime(2026, 1, 1, tzinfo=UTC)
    sound(found)
    assert (found.open[1:] == found.close[:-1]).all() and (found.volume > 0).all()
    crash = min(
        found.low[place : place + 576].min() / found.high[place] - 1 for place in range(0, len(found) - 576, 36)
    )
    assert crash < -0.2, "it falls by a fifth and more within two days"
    bottom = int(np.argmin(found.low))
    assert found.close[-1] > found.low[bottom] * 1.1 and found.high[:bottom].max() > found.close[0] * 1.12
    assert sample(pair) is found


def test_the_sample_data_is_made_up_and_says_so() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "tools/sample_candles.py", "check"], check=False, capture_output=True, text=True
    )
    assert (made.returncode, made.stdout) == (0, "")
    files = [ROOT / "data" / name for name in SAMPLES.values()]
    assert sum(file.stat().st_size for file in files) < 600_000
    for file in files:
        assert gzip.decompress(file.read_bytes()).startswith(b"# Made up by tools/sample_candles.py")
    ignored = subprocess.run(["git", "check-ignore", *files], check=False, cwd=ROOT, capture_output=True)
    assert ignored.stdout == b""


def test_another_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CandlesError, match=r"no sample data of SOL/USDT. Choose one of BTC/USDT, ETH/USDT"):
        sample("SOL/USDT")
    monkeypatch.setattr(module, "_DATA", tmp_path)
    module._sample.cache_clear()
    with pytest.raises(CandlesError, match=r"is missing. Get the whole program again"):
        sample()
    monkeypatch.undo()
    assert len(sample()) == 17_280


# -- indicators --------------------------------------------------------------------------------------------------------

# Closes of the worked example in many textbooks after Wilder, and its RSI of 14 days.
CLOSES = """
    44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 45.89 46.03 45.61 46.28 46.28 46.00 46.03 46.41 46.22
    45.64 46.21 46.25 45.71 46.45 45.78 45.35 44.03 44.18 44.22 44.57 43.42 42.66 43.13
"""
STRENGTH = """
    70.46 66.25 66.48 69.35 66.29 57.92 62.88 63.21 56.01 62.34 54.67 50.39 40.02 41.49 41.90 45.50 37.32 33.09 37.79
"""


def test_rsi_of_the_textbook() -> None:
    closes = np.array([float(word) for word in CLOSES.split()])
    found = rsi(closes, 14)
    assert np.isnan(found[:14]).all() and found.dtype == np.float64 and len(found) == len(closes)
    assert found[14:] == pytest.approx([float(word) for word in STRENGTH.split()], abs=0.08)


def test_rsi_of_markets_that_only_do_one_thing() -> None:
    assert rsi(np.arange(1.0, 30), 14)[14:].tolist() == [100.0] * 15
    assert rsi(np.arange(30.0, 1, -1), 14)[14:].tolist() == [0.0] * 15
    assert rsi(np.full(20, 7.0), 14)[14:].tolist() == [50.0] * 6
    assert np.isnan(rsi(np.arange(14.0), 14)).all() and len(rsi(np.array([]), 14)) == 0


def test_ema_by_hand() -> None:
    found = ema(np.array([1.0, 2.0, 6.0, 4.0, 8.0]), 3)
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [3.0, 3.5, 5.75], "the mean of three, then half of the way"
    assert ema(np.array([5.0, 7.0]), 1).tolist() == [5.0, 7.0]
    assert np.isnan(ema(np.array([5.0, 7.0]), 3)).all()
    for read in (rsi, ema):
        with pytest.raises(ValueError, match="a period"):
            read(np.array([1.0]), 0)


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1e6), max_size=60), st.integers(1, 20))
def test_indicators_as_their_words_say(closes: list[float], period: int) -> None:
    """Written again, as slowly as they are told."""
    found, strength = ema(np.array(closes), period), rsi(np.array(closes), period)
    for place in range(len(closes)):
        if place < period - 1:
            assert math.isnan(found[place])
        elif place == period - 1:
            assert found[place] == pytest.approx(sum(closes[:period]) / period)
        else:
            assert found[place] == pytest.approx(
                found[place - 1] + (closes[place] - found[place - 1]) * 2 / (period + 1)
            )
        changes = [after - before for before, after in pairwise(closes[: place + 1])]
        if place < period:
            assert math.isnan(strength[place])
            continue
        up = sum(max(change, 0) for change in changes[:period]) / period
        down = sum(max(-change, 0) for change in changes[:period]) / period
        for change in changes[period:]:
            up = (up * (period - 1) + max(change, 0)) / period
            down = (down * (period - 1) + max(-change, 0)) / period
        wanted = (100.0 if up else 50.0) if down == 0 else 100 - 100 / (1 + up / down)
        assert strength[place] == pytest.approx(wanted, abs=1e-6)


# -- signals -----------------------------------------------------------------------------------------------------------

TRADES = """Trade #,Type,Signal,Date/Time,Price USDT,Position size (qty),Net P&L USDT
2,Exit short,Close entry(s) order Short,2026-01-05 10:00,61000,0.1,5
2,Entry short,Short,2026-01-04 10:00,61500,0.1,5
1,Exit long,TP,2026-01-03 14:00,60900,0.1,12
1,Entry long,"Long, first",2026-01-02 09:30,60000,0.1,12
3,Margin call,Margin call,2026-01-06 10:00,60900,0.1,12
"""
NEWER = "\ufeffTrade #,Type,Date and time,Signal,Price USDT\n1,Entry long,2026-01-02 09:30,Long,60000\n"
ALERTS = """Alert ID,Ticker,Name,Description,Time
11,"BINANCE:BTCUSDT, 5m",x,"My (14, 2): order buy @ 60000 filled. New strategy position is 0.5",2026-01-02T09:30:00Z
12,BINANCE:BTCUSDT,x,My: order sell @ 61000 filled on BTCUSDT. New strategy position is 0,2026-01-03T09:30:00Z
13,BYBIT:ETHUSDT.P,x,"{""action"": ""sell"", ""size"": 1}",2026-01-04T09:30:01Z
14,BYBIT:ETHUSDT.P,x,My: order buy @ 1 filled. New strategy position is -0.25,2026-01-04T10:30:00Z
15,BYBIT:ETHUSDT.P,x,My: order sell @ 1 filled. New strategy position is -1,2026-01-04T11:30:00Z
16,BTCUSDT,Price,BTCUSDT Crossing 60000,2026-01-05T09:30:00Z
17,BTCUSDT,Both,Go long or short,2026-01-05T09:30:00Z
18,BTCUSDT,Out,Exit long,2026-01-05T09:30:00Z
"""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_trades_of_a_strategy_of_tradingview() -> None:
    assert read_signals(TRADES, "t.csv") == (
        SignalRow(at("2026-01-02 09:30"), None, "long"),
        SignalRow(at("2026-01-04 10:00"), None, "short"),
    )
    assert read_signals(NEWER.encode(), "t.csv") == (SignalRow(at("2026-01-02 09:30"), None, "long"),)
    chart = read_signals(NEWER, "t.csv", zone=ZoneInfo("America/New_York"))
    assert chart[0].time == at("2026-01-02 14:30")


def test_an_offset_in_hours_alone_counts_and_may_change_with_summer_time() -> None:
    """As PostgreSQL writes times."""
    rows = ("2026-03-29 01:59:00+01,1,1,1,1,1", "2026-03-29 03:00:00+02,1,1,1,1,1", "2026-03-29T01:01:00Z,1,1,1,1,1")
    read = read_candles(HEAD + "\n".join(rows), "a.csv", "BTC/USDT")
    assert list(read.time) == [at(f"2026-03-29 0{time}") for time in ("0:59", "1:00", "1:01")]


def test_a_row_of_thousands_of_cells_is_no_row_of_candles() -> None:
    """pandas would make a column of each."""
    assert "is neither CSV nor JSON" in refusal(HEAD + lines() + "1" + ",1" * 5000)


def test_alerts_of_tradingview() -> None:
    assert read_signals(ALERTS, "alerts.csv") == (
        SignalRow(at("2026-01-02 09:30"), "BTC/USDT", "long"),
        SignalRow(at("2026-01-04 09:30") + 1, "ETH/USDT", "short"),
        SignalRow(at("2026-01-04 11:30"), "ETH/USDT", "short"),
    )


def test_plain_signals() -> None:
    wanted = (SignalRow(T0, "BTC/USDT", "long"), SignalRow(T0 + 60, "ETH/USDT", "short"))
    for text in (
        f"time,pair,side\n{T0},BTC/USDT,long\n{T0 + 60},ETH/USDT,short\n",
        f"Side;Symbol;Timestamp\nBUY;btc-usdt;{T0}000\nSELL;ETHUSDT;{T0 + 60}000\n",
        "time\tticker\taction\n2026-01-01T00:01:00Z\tETH_USDT\tsell\n2026-01-01T00:00:00Z\tKUCOIN:BTCUSDT\tbuy\n",
        f"time,market,side\n{T0},BTC/USDT:USDT,long\n{T0},BTC/USDT,buy\n{T0 + 60},ETH-USDT-SWAP,short\n{T0},X,exit\n",
    ):
        assert read_signals(text, "s.csv") == wanted
    assert read_signals(f"time,side\n{T0}.25,long\n", "s")[0].time == T0 + 1, "never before it was given"
    assert read_signals(gzip.compress(f"time,side\n{T0},long\n".encode()), "s") == (SignalRow(T0, None, "long"),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no entry"),
        ("time,side\n", "holds no entry"),
        (f"time,side\n{T0},exit\n", "holds no entry. Export TradingView's list of trades or its log of alerts"),
        ("hello", "is no CSV file with signals"),
        ("time,side" + ",more" * 20_000 + f"\n{T0},long\n", "is no CSV file with signals"),
        ("a,b\n1,2\n", "no columns for time and side"),
        (f"time,pair,side\n{T0},BTC/USDT,up\n", "row 2: up is neither long nor short"),
        (f"time,pair,side\n{T0},BTC/USDT,long short\n", "row 2: long short is neither long nor short"),
        (f"time,pair,side\n\n{T0},BITCOIN,long\n", "row 3: it cannot be told which pair BITCOIN is"),
        ("time,side\nyesterday,long\n", "row 2: the time yesterday cannot be read"),
        (f"time,side\n{T0},long,extra,cells\n", "another number of cells"),
        (b"\xff\xfe\xff", "is no CSV file"),
        (zipped(a="1", b="2"), "exactly one file"),
    ],
)
def test_bad_signals_are_refused_with_cause_and_remedy(text: str | bytes, why: str) -> None:
    with pytest.raises(SignalsError) as caught:
        read_signals(text, "my signals.csv")
    assert why in str(caught.value) and "my signals.csv" in str(caught.value)


def test_too_many_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIGNALS", 2)
    with pytest.raises(SignalsError, match="has 3 rows; at most 2 are taken"):
        read_signals("time,side\n" + f"{T0},long\n" * 3, "s")
