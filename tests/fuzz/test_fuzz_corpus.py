"""What once surprised a reader, and one input of every kind of outcome, read again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz import corpus
from tests.fuzz.targets import CANARY, READERS, Broken, Outcome, Reader, attempt


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_was_kept_surprises(name: str) -> None:
    kept = corpus.read(name)
    assert kept
    for entry in kept:
        attempt(READERS[name], entry.data)


def test_every_outside_byte_has_its_reader() -> None:
    assert {"paste", "explain", "key_report", "backup", "strategy", "answers", "markets"} <= set(READERS)


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
