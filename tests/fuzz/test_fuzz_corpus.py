"""What once surprised a reader, and one input of every kind of outcome, read again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import corpus
from tests.fuzz.targets import CANARY, READERS, Broken, Outcome, Reader, attempt

PACKAGE = Path(__file__).parents[2] / "bfai"


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_was_kept_surprises(name: str) -> None:
    kept = corpus.read(name)
    assert kept
    for entry in kept:
        attempt(READERS[name], entry.data)


PARSERS = re.compile(
    r"json\.loads|\.model_validate_json|ast\.literal_eval|ZipFile|GzipFile|pd\.read_\w+|\.open_file|decompress(?:obj)?"
    r"|yaml\.\w*load|load_pem_private_key|b(?:32|64)decode|unpack_from"
)
READ_BY = {
    "backup.py": "backup",
    "bots.py": "bot_file",
    "cli.py": "explain_lines",
    "exchanges/base.py": "answers",
    "exchanges/binance.py": "answers",
    "exchanges/coinbase.py": "paste",
    "explain.py": "explain",
    "pairing.py": "pairing",
    "paste.py": "paste",
    "sealed_file.py": "backup",
    "strategy/candles.py": "candles",
    "strategy/limits.py": "markets",
    "strategy/parameters.py": "strategy",
}
NOT_FROM_OUTSIDE = {
    "delegation.py": "the key file of a server's own worker",
    "record.py": "rows: tests/test_tampering.py",
    "store/packing.py": "rows",
    "store/sql.py": "rows",
    "strategy/desk.py": "rows",
    "strategy/feed.py": "rows",
    "strategy/export/__init__.py": "what this program wrote",
    "strategy/export/bfai_strategy.py": "files between an engine and this program",
    "strategy/running.py": "the same",
    "ui/run_view.py": "writes only",
}


def test_every_outside_byte_has_its_reader() -> None:
    """Who adds a parser says here by which reader it is tried, or why by none."""
    files = (file for file in PACKAGE.rglob("*.py") if "simulator" not in file.parts)
    parse = {file.relative_to(PACKAGE).as_posix() for file in files if PARSERS.search(file.read_text(encoding="utf-8"))}
    assert parse == READ_BY.keys() | NOT_FROM_OUTSIDE.keys()
    assert set(READ_BY.values()) <= set(READERS)
    assert not READ_BY.keys() & NOT_FROM_OUTSIDE.keys()


def test_real_backups_are_put_back_and_stay_readable() -> None:
    """So that what is made of them reaches every part of the reader."""
    kinds = [attempt(READERS["backup"], seed).kind for seed in READERS["backup"].seeds()]
    assert "put back, " in kinds, "one with a vault, to its last row"
    assert kinds.count("put back, locked") == 3, "of others' vaults, which open with another password"
    assert "whole" in kinds


def _for_ever(data: bytes) -> Outcome:
    while data:
        pass
    return Outcome("never")


def _telling(data: bytes) -> Outcome:
    return Outcome("told", f"failed: {data.decode()}")


@pytest.mark.parametrize(("read", "said"), [(_for_ever, "still not done"), (_telling, "shows a secret")])
def test_the_watch_sees_what_it_is_there_for(read: Callable[[bytes], Outcome], said: str) -> None:
    with pytest.raises(Broken) as found:
        attempt(Reader(read, list), CANARY.encode(), patience=0.2)
    assert said in str(found.value)
