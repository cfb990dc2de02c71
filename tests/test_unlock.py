"""Guessing at the lock: everybody waits together, in all programs and after a restart, and nobody for anybody else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bfai.recovery_code import new_code
from bfai.store import Store, open_store
from bfai.vault import (
    LONGEST_WAIT_S,
    Cost,
    UnlockBackoff,
    Vault,
    VaultError,
    WrongPassword,
    unlock_wait,
    wait_after,
)
from bfai.workbench import Mode, Workbench
from tests.test_store import MakeStore, make_store, url_for

__all__ = ["make_store"]

ROOT = Path(__file__).parent.parent
CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD, WRONG = "tall green lamp post", "not the password"
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = T0

    def __call__(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def guess(store: Store, clock: Callable[[], datetime], times: int = 1) -> int:
    """The wait after the last of so many wrong attempts."""
    seconds = 0
    for _ in range(times):
        with pytest.raises(WrongPassword) as wrong:
            Vault.unlock(store, WRONG, now=clock, cost=CHEAP)
        seconds = wrong.value.seconds
    return seconds


def test_every_way_to_the_password_waits_and_none_looks_at_it(make_store: MakeStore) -> None:
    """Another program has the vault open, and asks for the password again: it waits like the lock."""
    store, other, clock = make_store(), make_store(), Clock()
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    assert guess(store, clock, 3) == 1
    workbench = Workbench(other, mode=Mode.LOCAL, gateway=None, clock=clock)
    assert unlock_wait(other, now=clock) == workbench.unlock_wait() == 1
    before = other.vault()
    for attempt in (
        lambda: Vault.unlock(other, PASSWORD, now=clock, cost=CHEAP),
        lambda: workbench.unlock(PASSWORD),
        lambda: vault.change_password(other, PASSWORD, "another password", now=clock, cost=CHEAP),
        lambda: vault.rotate(other, PASSWORD, now=clock, cost=CHEAP),
    ):
        with pytest.raises(UnlockBackoff) as refused:
            attempt()
        assert refused.value.seconds == 1
        assert "Next try in 1 second." in str(refused.value)
    assert other.vault() == before, "an attempt that was refused is no attempt"
    clock.sleep(1)
    assert workbench.unlock_wait() == 0
    vault.change_password(other, PASSWORD, "another password", now=clock, cost=CHEAP)
    assert guess(store, clock, 3) == 1, "a success clears the count"
    workbench.close()


def test_an_attempt_costs_a_tenth_of_a_second_of_computing(make_store: MakeStore) -> None:
    """With the cost that a vault has when nobody says otherwise, right or wrong, with a password or a code."""
    store = make_store()
    vault = Vault.create(store, PASSWORD)
    code = new_code()
    vault.set_recovery_code(store, code)
    for attempt in (
        lambda: Vault.unlock(store, PASSWORD),
        lambda: Vault.unlock(store, WRONG),
        lambda: Vault.recover(store, new_code(), "another password"),
    ):
        began = time.process_time()
        with contextlib.suppress(WrongPassword):
            attempt()
        assert time.process_time() - began >= 0.1


def test_trying_on_during_the_wait_does_not_make_it_longer(make_store: MakeStore) -> None:
    """Whoever hammers at the lock cannot keep its owner out for ever."""
    store, clock = make_store(), Clock()
    Vault.create(store, PASSWORD, cost=CHEAP)
    for _ in range(12):
        clock.sleep(guess(store, clock))
    seconds = guess(store, clock)
    assert seconds == LONGEST_WAIT_S
    for left in range(seconds, 0, -1):
        assert unlock_wait(store, now=clock) == left
        with pytest.raises(UnlockBackoff):
            Vault.unlock(store, WRONG, now=clock, cost=CHEAP)
        clock.sleep(1)
    Vault.unlock(store, PASSWORD, now=clock, cost=CHEAP)


def test_a_clock_that_is_set_back_opens_nothing_and_waits_no_longer(make_store: MakeStore) -> None:
    store, clock = make_store(), Clock()
    Vault.create(store, PASSWORD, cost=CHEAP)
    for _ in range(5):
        clock.sleep(guess(store, clock))
    assert guess(store, clock) == 8
    clock.sleep(-365 * 86400)
    assert unlock_wait(store, now=clock) == 8
    with pytest.raises(UnlockBackoff):
        Vault.unlock(store, PASSWORD, now=clock, cost=CHEAP)
    clock.sleep(8)
    Vault.unlock(store, PASSWORD, now=clock, cost=CHEAP)


def test_attempts_of_others_meanwhile_are_no_clock_that_was_set_back(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other, clock = make_store(), make_store(), Clock()
    Vault.create(store, PASSWORD, cost=CHEAP)

    def others_first() -> object:
        monkeypatch.undo()
        clock.sleep(5)
        guess(other, clock, 3)
        return store.vault()

    monkeypatch.setattr(store, "vault", others_first)
    with pytest.raises(UnlockBackoff):
        Vault.unlock(store, PASSWORD, now=clock, cost=CHEAP)
    clock.sleep(0.5)
    assert unlock_wait(store, now=clock) == 1


def test_one_persons_attempts_never_touch_anothers(make_store: MakeStore) -> None:
    ann, bob, clock = make_store("ann"), make_store("bob"), Clock()
    Vault.create(ann, PASSWORD, cost=CHEAP)
    Vault.create(bob, PASSWORD, cost=CHEAP)
    for _ in range(9):
        clock.sleep(guess(ann, clock))
    guess(ann, clock)
    assert unlock_wait(ann, now=clock) == 128
    assert unlock_wait(bob, now=clock) == 0
    Vault.unlock(bob, PASSWORD, now=clock, cost=CHEAP)
    assert unlock_wait(ann, now=clock) == 128


def guess_as_another_program(url: str) -> None:
    """In a process of its own: says that it is ready, waits for the word, guesses, and says what came of it."""
    store = open_store(url)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for _ in range(10):
        try:
            Vault.unlock(store, WRONG, now=lambda: T0, cost=CHEAP)
        except VaultError as error:
            sys.stdout.write(f"{type(error).__name__}\n")


def guess_by_another_clock(url: str, seconds: float) -> None:
    """In a process whose clock is ahead by so much: guesses once for each line that it reads."""
    from bfai import model

    # What was imported already is given the clock by hand; the rest finds it in `bfai.model`.
    ahead = lambda: datetime.now(UTC) + timedelta(seconds=seconds)  # noqa: E731
    for module in [one for name, one in sys.modules.items() if name.startswith("bfai.")]:
        if hasattr(module, "utc_now"):
            module.utc_now = ahead  # pyright: ignore
    with Workbench(open_store(url, clock=model.utc_now), mode=Mode.LOCAL, gateway=None) as workbench:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            try:
                workbench.unlock(WRONG)
            except VaultError as error:
                sys.stdout.write(f"{type(error).__name__}\n")
                sys.stdout.flush()


def test_servers_whose_clocks_differ_wait_by_one_clock(postgres_url: str) -> None:
    """One is six minutes ahead, longer than any wait."""
    store = open_store(postgres_url)
    Vault.create(store, PASSWORD, cost=CHEAP)
    children = [talk(f"guess_by_another_clock({postgres_url!r}, {seconds})") for seconds in (0, 360)]
    began, said = time.monotonic(), list[str]()
    for _ in range(25):
        for child in children:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write("guess\n")
            child.stdin.flush()
            said.append(child.stdout.readline().strip())
    took = time.monotonic() - began
    for child in children:
        child.communicate(timeout=60)
    assert set(said) == {"WrongPassword", "UnlockBackoff"}
    guesses = said.count("WrongPassword")
    assert sum(map(wait_after, range(guesses))) <= took, "each waited as if all were one program"
    assert abs((store.now() - datetime.now(UTC)).total_seconds()) < 60, "the server's clock, which is this computer's"
    store.close()


def talk(call: str) -> subprocess.Popen[str]:
    """Another process that does this, once it has said that it is ready."""
    code = f"import tests.test_unlock as here; here.{call}"
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_programs_that_guess_at_the_same_time_are_counted_together(kind: str, request: pytest.FixtureRequest) -> None:
    url = url_for(kind, request)
    store = open_store(url)
    Vault.create(store, PASSWORD, cost=CHEAP)
    children = [talk(f"guess_as_another_program({url!r})") for _ in range(2)]
    said: list[str] = []
    for child in children:  # both go on at once: what the first says is read after the second was told
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        said += child.communicate(timeout=60)[0].split()
    assert said.count("WrongPassword") == 3
    assert said.count("UnlockBackoff") == 17
    assert unlock_wait(store, now=lambda: T0) == 1
    store.close()
    again = open_store(url)
    with pytest.raises(UnlockBackoff):
        Vault.unlock(again, PASSWORD, now=lambda: T0, cost=CHEAP)
    again.close()
