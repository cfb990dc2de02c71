"""The vault: sealing, unlocking, waiting, and its documented format."""

from __future__ import annotations

import copy
import os
import pickle
import re
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, TypeVar, cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import bfai.vault
from bfai.i18n import LANGUAGES, Translator
from bfai.model import Credentials
from bfai.pairing import Code
from bfai.recovery_code import new_code
from bfai.store import KeyReplaced, Sealed, Store, VaultExists, VaultRow, Wrap, open_store
from bfai.vault import (
    DEFAULT_COST,
    LONGEST_WAIT_S,
    AddressTampered,
    Cost,
    NoMemory,
    NoRecoveryCode,
    NotRotated,
    NotThrowAway,
    NoVault,
    Tampered,
    UnlockBackoff,
    Vault,
    VaultDamaged,
    VaultError,
    VaultLocked,
    VaultTooNew,
    WeakPassword,
    WrongCode,
    WrongPassword,
    encode,
    file_key,
    strength,
    unlock_wait,
    unwrap_key,
    wait_after,
    wrap_key,
)

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall green lamp post"
CREDENTIALS = Credentials("mx0vglTESTTESTTEST", "a-secret-value", "a-passphrase")
CODE = new_code()
DOC = Path(__file__).parent.parent / "docs" / "vault.md"

Wraps = Callable[[Vault, Store, Cost | None], object]
WRAPPINGS: dict[str, Wraps] = {
    "unlock": lambda vault, store, cost: Vault.unlock(store, PASSWORD, cost=cost),
    "recover": lambda vault, store, cost: Vault.recover(store, CODE, "another password", cost=cost),
    "change_password": lambda vault, store, cost: vault.change_password(store, PASSWORD, "another password", cost=cost),
    "set_recovery_code": lambda vault, store, cost: vault.set_recovery_code(store, CODE, cost=cost),
    "rotate": lambda vault, store, cost: vault.rotate(store, PASSWORD, cost=cost),
}


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def store() -> Store:
    return open_store("sqlite://:memory:")


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[Cost]:
    """Every derivation that is made."""
    made: list[Cost] = []
    real = bfai.vault._derive

    def counted(password: str, salt: bytes, cost: Cost) -> bytes:
        made.append(cost)
        return real(password, salt, cost)

    monkeypatch.setattr(bfai.vault, "_derive", counted)
    return made


def unlock(store: Store, password: str = PASSWORD, clock: Clock | None = None) -> Vault:
    return Vault.unlock(store, password, now=clock or Clock(), cost=CHEAP)


def spoil(store: Store, **changes: object) -> None:
    """Change the stored wrap by hand."""
    row = store.vault()
    assert row is not None
    store.replace_wrap(row.wraps["password"]._replace(**changes), action="spoiled")


def wrap_of(store: Store, kind: str = "password") -> Wrap:
    row = store.vault()
    assert row is not None
    return row.wraps[kind]


# Opening and sealing


def test_a_vault_opens_with_its_password_and_gives_back_what_was_sealed(store: Store) -> None:
    made = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = made.seal("c1", CREDENTIALS)
    again = unlock(store)
    assert again.id == made.id
    assert re.fullmatch("[0-9a-f]{32}", made.id)
    assert again.open("c1", sealed) == CREDENTIALS
    without = Credentials("key-key-key-key", "secret")
    assert again.open("c2", made.seal("c2", without)) == without


@pytest.mark.parametrize("asked", [None, Cost(memory_kib=24, passes=2, lanes=3)])
@pytest.mark.parametrize("how", WRAPPINGS)
def test_whatever_wraps_the_key_does_it_at_the_cost_that_is_asked_for(
    store: Store, how: str, asked: Cost | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fresh random bytes, and at the default cost where none is asked for."""
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    vault.set_recovery_code(store, CODE, cost=CHEAP)
    kind = "recovery" if how == "set_recovery_code" else "password"
    before = wrap_of(store, kind)
    monkeypatch.setattr(bfai.vault, "DEFAULT_COST", Cost(memory_kib=32, passes=3, lanes=2))
    WRAPPINGS[how](vault, store, asked)
    after = wrap_of(store, kind)
    assert (after.memory_kib, after.passes, after.lanes) == (asked or (32, 3, 2))
    assert not {before.salt, before.nonce} & {after.salt, after.nonce}


def test_the_default_cost_is_used_when_none_is_given(store: Store, derivations: list[Cost]) -> None:
    Vault.create(store, PASSWORD)
    Vault.unlock(store, PASSWORD)
    assert derivations == [DEFAULT_COST, DEFAULT_COST] == [Cost(65536, 4, 4)] * 2


def test_unlocking_costs_one_derivation_however_many_connections_there_are(
    store: Store, derivations: list[Cost]
) -> None:
    made = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = [made.seal(str(n), CREDENTIALS) for n in range(100)]
    derivations.clear()
    vault = unlock(store)
    for n in range(100):
        assert vault.open(str(n), sealed[n]) == CREDENTIALS
        vault.fingerprint("mexc", str(n))
    assert len(derivations) == 1


def test_a_lower_cost_is_raised_at_the_next_unlock_and_only_then(store: Store, derivations: list[Cost]) -> None:
    sealed = Vault.create(store, PASSWORD, cost=CHEAP).seal("c1", CREDENTIALS)
    dearer = Cost(memory_kib=8, passes=2, lanes=1)
    Vault.unlock(store, PASSWORD, cost=dearer)
    row = store.vault()
    assert row is not None
    wrap = row.wraps["password"]
    assert (wrap.memory_kib, wrap.passes, wrap.lanes) == (16, 2, 1)  # the higher of both, each for itself
    derivations.clear()
    assert Vault.unlock(store, PASSWORD, cost=dearer).open("c1", sealed) == CREDENTIALS
    assert derivations == [Cost(16, 2, 1)]
    assert [entry.action for entry in store.audit_entries()] == ["cost_raised", "vault_created"]


def test_the_password_is_the_same_however_a_keyboard_composes_it(store: Store) -> None:
    Vault.create(store, unicodedata.normalize("NFC", "Čačkalica žuta ﬁ"), cost=CHEAP)
    unlock(store, unicodedata.normalize("NFD", "Čačkalica žuta fi"))


def test_nothing_is_shown_pickled_or_copied() -> None:
    vault = Vault("id", bytes(range(32)))
    assert repr(vault) == str(vault) == f"{vault}" == "Vault(…)"
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"^a vault is never pickled or copied$"):
            act(vault)
    assert not hasattr(vault, "__dict__")


def test_a_locked_vault_forgets_its_key(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = vault.seal("c1", CREDENTIALS)
    held = (vault._key, vault._fingerprint_key)
    assert bytes(32) not in held
    vault.lock()
    vault.lock()
    assert vault.locked
    assert held == (bytes(32), bytes(32))
    for use in (
        lambda: vault.seal("c1", CREDENTIALS),
        lambda: vault.open("c1", sealed),
        lambda: vault.fingerprint("mexc", "key"),
        lambda: vault.pairing_code("c1", b"key", b"salt"),
        lambda: vault.change_password(store, PASSWORD, "another password"),
        lambda: vault.check_password(store, PASSWORD),
        lambda: vault.set_recovery_code(store, CODE),
        lambda: vault.rotate(store, PASSWORD),
        lambda: vault.backup_key(b"file"),
    ):
        with pytest.raises(VaultLocked):
            use()


def test_a_key_that_was_made_of_the_data_key_is_wiped_after_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, bytearray] = {}
    real = bfai.vault._subkey

    def kept(data_key: bytes | bytearray, purpose: str) -> bytearray:
        made[purpose] = real(data_key, purpose)
        return made[purpose]

    monkeypatch.setattr(bfai.vault, "_subkey", kept)
    vault = Vault("v", bytes(range(32)))
    vault.pairing_code("c1", b"key", b"salt")
    assert made["seal"] == made["pairing"] == bytes(32) != made["fingerprint"]
    vault.lock()
    assert made["fingerprint"] == bytes(32)


T = TypeVar("T")


class LockAfter:
    """Traces a use of this vault, and locks it after so many lines of the vault's code."""

    def __init__(self, vault: Vault, lines: int) -> None:
        self.vault, self.left = vault, lines

    def __call__(self, frame: FrameType, event: str, argument: Any) -> LockAfter | None:
        if frame.f_code.co_filename != bfai.vault.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                self.vault.lock()
        return self


def locked_at_each_line(use: Callable[[Vault], T]) -> list[T]:
    """What comes of it when another thread locks before the first line of the vault's code, the second, and so on."""
    found: list[T] = []
    for lines in count():
        vault, traced = Vault(VAULT.id, bytes(range(32))), sys.gettrace()
        sys.settrace(LockAfter(vault, lines))
        try:
            found.append(use(vault))
        except VaultLocked:
            pass
        finally:
            sys.settrace(traced)
        if not vault.locked:  # it was through before
            assert len(found) <= lines, "a use of a locked vault is refused"
            return found
    raise AssertionError


@pytest.mark.parametrize(
    "use",
    [
        lambda vault: vault.fingerprint("mexc", "key"),
        lambda vault: vault.pairing_code("c1", b"key", b"salt"),
        lambda vault: vault.backup_key(b"file"),
        lambda vault: vault.open("c1", VAULT.seal("c1", CREDENTIALS)),
        lambda vault: VAULT.open("c1", vault.seal("c1", CREDENTIALS)),
        lambda vault: VAULT.open_address("h1", vault.seal_address("h1", "ntfy://topic")),
    ],
)
def test_a_lock_in_the_midst_of_a_use_never_leaves_it_a_wiped_key(use: Callable[[Vault], object]) -> None:
    right = use(VAULT)
    assert all(found == right for found in locked_at_each_line(use))


@pytest.mark.parametrize("how", ["change_password", "set_recovery_code"])
def test_a_lock_in_the_midst_of_a_new_wrap_never_wraps_a_wiped_key(store: Store, how: str) -> None:
    """It would shut everybody out for ever."""
    wrap = wrap_key(VAULT.id, bytes(range(32)), PASSWORD, CHEAP, salt=bytes(16), nonce=bytes(12))
    store.create_vault(VaultRow(VAULT.id, 1, Clock()(), 0, None, {wrap.kind: wrap}, VAULT.key_check))

    def use(vault: Vault) -> None:
        if how == "change_password":
            vault.change_password(store, PASSWORD, PASSWORD, cost=CHEAP)
        else:
            vault.set_recovery_code(store, CODE, cost=CHEAP)

    assert locked_at_each_line(use)
    assert unlock(store).key_check == VAULT.key_check
    if how == "set_recovery_code":
        assert Vault.recover(store, CODE, PASSWORD, cost=CHEAP).key_check == VAULT.key_check


class Beside:
    """A store in which another program renews the vault's key just before a wrap is written."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def replace_wrap(self, wrap: Wrap, **more: Any) -> None:
        Vault.unlock(self.store, PASSWORD, cost=CHEAP).rotate(self.store, PASSWORD, cost=CHEAP)
        self.store.replace_wrap(wrap, **more)


@pytest.mark.parametrize("how", sorted(WRAPPINGS.keys() - {"rotate"}))
def test_a_key_that_was_renewed_meanwhile_is_never_wrapped_again(store: Store, how: str) -> None:
    """It would open nothing, and whoever has the new password or the paper would be shut out."""
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    vault.set_recovery_code(store, CODE, cost=CHEAP)
    with pytest.raises(KeyReplaced):
        WRAPPINGS[how](vault, cast(Store, Beside(store)), Cost(24, 2, 3))
    row = store.vault()
    assert row is not None
    assert set(row.wraps) == {"password"}
    assert unlock(store).key_check == row.key_check != vault.key_check


# Passwords


def test_there_is_one_vault_and_no_default_password(store: Store) -> None:
    with pytest.raises(NoVault):
        unlock(store)
    assert unlock_wait(store) == 0
    for weak in ("", "short", "ninechars", "ﬁ" * 4 + "x"):
        with pytest.raises(WeakPassword):
            Vault.create(store, weak, cost=CHEAP)
    assert store.vault() is None
    Vault.create(store, "tencharact", cost=CHEAP)
    with pytest.raises(VaultExists):
        Vault.create(store, PASSWORD, cost=CHEAP)


def test_a_password_change_rewraps_one_row_and_leaves_the_secrets_alone(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = vault.seal("c1", CREDENTIALS)
    before = store.vault()
    with pytest.raises(WeakPassword):
        vault.change_password(store, PASSWORD, "short", cost=CHEAP)
    with pytest.raises(WrongPassword):
        vault.change_password(store, "not the password", "a new long password", cost=CHEAP)
    vault.change_password(store, PASSWORD, "a new long password", cost=CHEAP)
    after = store.vault()
    assert before is not None
    assert after is not None
    assert before.wraps["password"].salt != after.wraps["password"].salt
    with pytest.raises(WrongPassword):
        unlock(store)
    assert unlock(store, "a new long password").open("c1", sealed) == CREDENTIALS
    assert [entry.action for entry in store.audit_entries()] == [
        "unlock_failed",
        "password_changed",
        "unlock_failed",
        "vault_created",
    ]


def test_the_password_is_that_of_this_vault_and_of_this_key_only(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    vault.check_password(store, PASSWORD)
    before = store.vault()
    for other in (Vault("another", vault._data_key()), Vault(vault.id, os.urandom(32)), VAULT):
        for act in (
            lambda other: other.check_password(store, PASSWORD),
            lambda other: other.change_password(store, PASSWORD, "a new long password", cost=CHEAP),
            lambda other: other.rotate(store, PASSWORD, cost=CHEAP),
        ):
            with pytest.raises(VaultDamaged):
                act(other)
    assert store.vault() == before
    unlock(store)


@pytest.mark.parametrize(
    ("password", "most", "hint"),
    [
        ("", 0, "too_short"),
        ("Xq7!pL", 2, "too_short"),
        ("password123", 1, "common"),
        ("qwertyuiop", 0, "common"),
        ("iloveyou 77 x", 2, "common"),
        ("bfaibackfuture", 1, "common"),
        ("bfai abcdefg", 2, "sequence"),
        ("workbench 7", 1, "common"),
        ("eXchange abc", 2, "common"),
        ("jennifer1990", 1, "name"),
        ("qzjvwjames", 2, "name"),
        ("qwertyuiop[]", 2, "keyboard"),
        ("aaaaaaaaaaaaaa", 1, "repeat"),
        ("abcdefghijklm", 1, "sequence"),
        ("21-11-2026 21", 2, "date"),
    ],
)
def test_weak_passwords_are_told_why(password: str, most: int, hint: str) -> None:
    found = strength(password)
    assert found.hint == hint
    assert found.score <= most


def test_a_strong_password_has_no_hint_and_a_long_one_costs_no_time() -> None:
    assert strength("tall green lamp post walks by") == (4, "")
    assert strength("correct horse") == (3, "")
    start = datetime.now(UTC)
    strength("aB3$" * 5000)
    assert datetime.now(UTC) - start < timedelta(seconds=2)


# Failures


def test_failed_unlocks_make_everybody_wait(store: Store, derivations: list[Cost]) -> None:
    Vault.create(store, PASSWORD, cost=CHEAP)
    clock = Clock()
    waits: list[int] = []
    for _ in range(14):
        with pytest.raises(WrongPassword) as wrong:
            unlock(store, "not the password", clock)
        waits.append(wrong.value.seconds)
        if not wrong.value.seconds:
            continue
        assert f"Next try in {wrong.value.seconds} seconds." in str(wrong.value)
        derivations.clear()
        clock.sleep(wrong.value.seconds - 0.5)
        with pytest.raises(UnlockBackoff) as refused:  # the right password as well, and without looking at it
            unlock(store, PASSWORD, clock)
        assert refused.value.seconds == 1
        assert derivations == []
        clock.sleep(0.5)
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    unlock(store, PASSWORD, clock)
    row = store.vault()
    assert row is not None
    assert (row.failures, row.failed_at) == (0, None)
    assert sum(entry.action == "unlock_failed" for entry in store.audit_entries()) == 14


def test_the_wait_outlives_the_program(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path}/bfai.db", Clock()
    store = open_store(url)
    Vault.create(store, PASSWORD, cost=CHEAP)
    for _ in range(3):
        with pytest.raises(WrongPassword):
            unlock(store, "not the password", clock)
    store.close()
    with pytest.raises(UnlockBackoff):
        unlock(open_store(url), PASSWORD, clock)


def test_the_wait_begins_when_the_attempt_ends(store: Store) -> None:
    """A derivation takes its time on a slow machine."""
    Vault.create(store, PASSWORD, cost=CHEAP)
    clock = Clock()

    def later() -> datetime:
        clock.sleep(10)
        return clock.time

    for _ in range(3):
        with pytest.raises(WrongPassword):
            Vault.unlock(store, "not the password", now=later, cost=CHEAP)
    row = store.vault()
    assert row is not None
    assert (row.failures, row.failed_at) == (3, clock.time)
    assert unlock_wait(store, now=clock) == 1


def test_a_clock_that_is_set_back_does_not_lock_anybody_out(store: Store) -> None:
    Vault.create(store, PASSWORD, cost=CHEAP)
    clock = Clock()
    for _ in range(3):
        with pytest.raises(WrongPassword):
            unlock(store, "not the password", clock)
    clock.sleep(-86400)
    with pytest.raises(UnlockBackoff):
        unlock(store, PASSWORD, clock)
    clock.sleep(1)
    unlock(store, PASSWORD, clock)


def test_attempts_at_the_same_time_are_all_counted(store: Store) -> None:
    Vault.create(store, PASSWORD, cost=CHEAP)
    clock, outcomes = Clock(), list[type[Exception]]()

    def guess() -> None:
        try:
            unlock(store, "not the password", clock)
        except VaultError as error:
            outcomes.append(type(error))

    threads = [Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(WrongPassword) == 3
    assert outcomes.count(UnlockBackoff) == 17


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_wait_never_exceeds_five_minutes(failures: int) -> None:
    assert 0 <= wait_after(failures) <= LONGEST_WAIT_S == 300


# Damage


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": b"x" * 16},
        {"salt": b"x" * 7},
        {"nonce": b"x" * 12},
        {"ciphertext": b"x" * 48},
        {"ciphertext": b""},
        {"memory_kib": 2**31},
        {"memory_kib": 1},
        {"passes": 0},
        {"lanes": -1},
        {"checksum": b""},
        {"format": 0},
        {"format": -1},
    ],
)
def test_a_damaged_wrap_is_called_damaged_and_counts_as_no_failure(store: Store, changes: dict[str, object]) -> None:
    Vault.create(store, PASSWORD, cost=CHEAP)
    spoil(store, **changes)
    for _ in range(5):
        with pytest.raises(VaultDamaged):
            unlock(store)


def mended(vault_id: str, wrap: Wrap, **changes: Any) -> Wrap:
    """Changed by somebody who knows how the checksum is made."""
    wrap = wrap._replace(**changes)
    return wrap._replace(checksum=bfai.vault._checksum(vault_id, *wrap[:-1]))


@pytest.mark.parametrize("cost", [(8, 1, 1), (16, 1, 2), (32, 2, 3), (32, 1, 1)])
def test_a_wrap_opens_up_to_the_cost_that_is_allowed(cost: tuple[int, int, int]) -> None:
    wrap = wrap_key("v", bytes(32), PASSWORD, Cost(*cost), salt=bytes(16), nonce=bytes(12))
    assert unwrap_key("v", wrap, PASSWORD, most=Cost(32, 2, 3)) == bytes(32)


@pytest.mark.parametrize(
    "changes",
    [
        *({"memory_kib": 33}, {"passes": 3}, {"lanes": 4}, {"passes": 0}, {"format": 0}),
        *({"memory_kib": 7}, {"memory_kib": 15, "lanes": 2}, {"memory_kib": 23, "lanes": 3}, {"lanes": 0}),
        *({"memory_kib": 0}, {"salt": b"x" * 15}, {"nonce": b"x" * 13}, {"ciphertext": b"x" * 47}),
    ],
)
def test_a_wrap_that_no_vault_writes_is_damaged_whatever_its_checksum_says(
    derivations: list[Cost], changes: dict[str, Any]
) -> None:
    wrap = wrap_key("v", bytes(32), PASSWORD, CHEAP, salt=bytes(16), nonce=bytes(12))
    derivations.clear()
    with pytest.raises(VaultDamaged):
        unwrap_key("v", mended("v", wrap, **changes), PASSWORD, most=Cost(32, 2, 3))
    assert derivations == []


class NoRoom:
    """In the place of Argon2id, on a machine without the memory that it needs."""

    def __init__(self, **cost: object) -> None:
        pass

    def derive(self, password: bytes) -> bytes:
        raise MemoryError


@pytest.mark.parametrize("failures", [0, 2])
def test_an_attempt_at_which_nothing_was_tried_is_none(
    store: Store, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Vault.create(store, PASSWORD, cost=CHEAP)
    clock = Clock()
    for _ in range(failures):
        with pytest.raises(WrongPassword):
            unlock(store, "not the password", clock)
    wrap, before = wrap_of(store), store.vault()
    assert before is not None
    clock.sleep(60)

    def refused_as(refusal: type[VaultError], act: Callable[[], object]) -> None:
        with pytest.raises(refusal):
            act()
        row = store.vault()
        assert row is not None
        assert (row.failures, row.failed_at) == (failures, before.failed_at or clock.time)
        assert unlock_wait(store, now=clock) == 0

    refused_as(NoRecoveryCode, lambda: Vault.recover(store, CODE, "another password", now=clock, cost=CHEAP))
    for spoiled, refusal in (({"checksum": b""}, VaultDamaged), ({"format": 2}, VaultTooNew)):
        spoil(store, **spoiled)
        refused_as(refusal, lambda: unlock(store, PASSWORD, clock))
    store.replace_wrap(wrap, action="mended")
    with monkeypatch.context() as patch:
        patch.setattr(bfai.vault, "Argon2id", NoRoom)
        refused_as(NoMemory, lambda: unlock(store, PASSWORD, clock))
    unlock(store, PASSWORD, clock)


def test_too_little_memory_is_told_with_how_much_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfai.vault, "Argon2id", NoRoom)
    with pytest.raises(NoMemory, match="needs 2048 MiB of memory") as refused:
        bfai.vault._derive(PASSWORD, bytes(16), Cost(2048 * 1024 + 1, 1, 1))
    assert refused.value.__suppress_context__


def test_a_vault_from_before_the_key_check_gets_one_at_its_next_unlock(store: Store) -> None:
    wrap = wrap_key(VAULT.id, bytes(range(32)), PASSWORD, CHEAP, salt=bytes(16), nonce=bytes(12))
    store.create_vault(VaultRow(VAULT.id, 1, Clock()(), 0, None, {wrap.kind: wrap}))
    assert unlock(store).key_check == VAULT.key_check
    row = store.vault()
    assert row is not None
    assert row.key_check == VAULT.key_check


def test_a_wrap_of_another_vault_does_not_open() -> None:
    wrap = wrap_key("a" * 32, bytes(32), PASSWORD, CHEAP, salt=bytes(16), nonce=bytes(12))
    with pytest.raises(VaultDamaged):
        unwrap_key("b" * 32, wrap, PASSWORD)
    with pytest.raises(WrongPassword) as wrong:
        unwrap_key("b" * 32, mended("b" * 32, wrap), PASSWORD)
    assert wrong.value.__suppress_context__


def test_newer_formats_are_refused_as_newer(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = vault.seal("c1", CREDENTIALS)
    with pytest.raises(VaultTooNew):
        vault.open("c1", {**sealed, "secret": sealed["secret"]._replace(format=2)})
    spoil(store, format=2)
    with pytest.raises(VaultTooNew):
        unlock(store)
    newer = open_store("sqlite://:memory:")
    newer.create_vault(VaultRow("a" * 32, 2, Clock()(), 0, None, {}))
    with pytest.raises(VaultTooNew):
        unlock(newer)


def test_the_throw_away_vault_stays_in_memory(tmp_path: Path, store: Store, derivations: list[Cost]) -> None:
    vault = Vault.throw_away(store)
    assert vault.open("c1", vault.seal("c1", CREDENTIALS)) == CREDENTIALS
    assert derivations == []
    assert re.fullmatch("[0-9a-f]{32}", vault.id)
    row = store.vault()
    assert row is not None
    assert row == VaultRow(vault.id, 1, row.created_at, 0, None, {}, vault.key_check)
    with pytest.raises(VaultDamaged):
        unlock(store)
    with pytest.raises(NotThrowAway):
        Vault.throw_away(open_store(f"sqlite:///{tmp_path}/bfai.db"))


# Properties of sealing

VAULT = Vault("00112233445566778899aabbccddeeff", bytes(range(32)))
texts = st.text(st.characters(), max_size=200)  # with half surrogate pairs: a paste can hold anything
credentials = st.builds(Credentials, texts, texts, st.none() | texts)


@settings(deadline=None)
@given(texts, credentials)
@example("\udfff", Credentials("\ud800", "é\udfff", "\ud83d"))
def test_sealing_gives_back_what_was_sealed(connection_id: str, given: Credentials) -> None:
    sealed = VAULT.seal(connection_id, given)
    assert VAULT.open(connection_id, sealed) == given
    for secret in sealed.values():
        assert len(secret.nonce) == 12
    assert all(a != b for a, b in zip(sealed.values(), VAULT.seal(connection_id, given).values(), strict=True))


@settings(max_examples=300, deadline=None)
@given(credentials, st.data())
def test_any_flipped_bit_is_refused(given: Credentials, data: st.DataObject) -> None:
    sealed = VAULT.seal("c1", given)
    field = data.draw(st.sampled_from(sorted(sealed)))
    part = data.draw(st.sampled_from(["nonce", "ciphertext"]))
    spoiled = bytearray(getattr(sealed[field], part))
    bit = data.draw(st.integers(0, len(spoiled) * 8 - 1))
    spoiled[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        VAULT.open("c1", {**sealed, field: sealed[field]._replace(**{part: bytes(spoiled)})})


@settings(deadline=None)
@given(credentials, st.sampled_from(["nonce", "ciphertext"]), st.integers(0, 11))
def test_a_shortened_row_is_refused(given: Credentials, part: str, keep: int) -> None:
    sealed = VAULT.seal("c1", given)
    short = sealed["secret"]._replace(**{part: getattr(sealed["secret"], part)[:keep]})
    with pytest.raises(Tampered):
        VAULT.open("c1", {**sealed, "secret": short})


@settings(deadline=None)
@given(texts, texts, credentials)
def test_rows_of_another_connection_are_refused(one: str, other: str, given: Credentials) -> None:
    assume(one != other)
    with pytest.raises(Tampered):
        VAULT.open(other, VAULT.seal(one, given))


@settings(deadline=None)
@given(texts, st.permutations(["api_key", "secret", "passphrase"]))
def test_swapped_fields_are_refused(value: str, order: list[str]) -> None:
    names = ["api_key", "secret", "passphrase"]
    sealed = VAULT.seal("c1", Credentials(value, value, value))
    swapped = {name: sealed[place] for name, place in zip(names, order, strict=True)}
    if order == names:
        assert VAULT.open("c1", swapped) == Credentials(value, value, value)
    else:
        with pytest.raises(Tampered):
            VAULT.open("c1", swapped)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.text(min_size=1), credentials)
def test_rows_of_another_vault_are_refused(data_key: bytes, vault_id: str, given: Credentials) -> None:
    sealed = VAULT.seal("c1", given)
    assume(data_key != bytes(range(32)) and vault_id != VAULT.id)
    for other in (Vault(VAULT.id, data_key), Vault(vault_id, bytes(range(32)))):
        with pytest.raises(Tampered):
            other.open("c1", sealed)


@pytest.mark.parametrize("missing", ["api_key", "secret"])
def test_a_missing_or_unknown_field_is_refused(missing: str) -> None:
    sealed = VAULT.seal("c1", CREDENTIALS)
    with pytest.raises(Tampered):
        VAULT.open("c1", {field: secret for field, secret in sealed.items() if field != missing})
    with pytest.raises(Tampered):
        VAULT.open("c1", {**sealed, "more": sealed["secret"]})
    with pytest.raises(Tampered):
        VAULT.open("c1", {**sealed, "secret": Sealed(0, *sealed["secret"][1:])})


parts = st.lists(st.text() | st.binary() | st.integers(0, 2**32 - 1), max_size=5)


@settings(deadline=None)
@given(parts, parts)
def test_the_encoding_is_unambiguous(one: list[str | bytes | int], other: list[str | bytes | int]) -> None:
    same = [bfai.vault._bytes(part) for part in one] == [bfai.vault._bytes(part) for part in other]
    assert (encode(*one) == encode(*other)) is same


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.text())
def test_fingerprints_are_equal_for_equal_keys_only(exchange: str, key: str, exchange2: str, key2: str) -> None:
    same = (exchange, key) == (exchange2, key2)
    assert (VAULT.fingerprint(exchange, key) == VAULT.fingerprint(exchange2, key2)) is same
    assert VAULT.fingerprint(exchange, key) != Vault("v", bytes(32)).fingerprint(exchange, key)


def test_no_message_holds_a_secret(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = vault.seal("c1", CREDENTIALS)
    with pytest.raises(Tampered) as tampered:
        vault.open("c2", sealed)
    with pytest.raises(WrongPassword) as wrong:
        unlock(store, "my dear wrong guess")
    for error in (tampered.value, wrong.value):
        assert error.__cause__ is None
        for secret in (*CREDENTIALS.secrets(), PASSWORD, "my dear wrong guess"):
            assert secret not in repr(error) + str(error) + repr(error.message)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_is_said_in_every_language(language: str) -> None:
    counted = [refusal(seconds) for refusal in (WrongPassword, WrongCode, UnlockBackoff) for seconds in (1, 7)]
    for error in (
        *counted,
        *(WrongPassword(0), WrongCode(0), NoVault(), VaultLocked(), NoRecoveryCode(), WeakPassword(), VaultDamaged()),
        *(VaultTooNew(), NoMemory(64), Tampered(), AddressTampered(), NotRotated("My key"), NotThrowAway()),
    ):
        said = Translator(language).render(error.message)
        assert "{" not in said
        assert (said == Translator("en").render(error.message)) is (language == "en"), "it has a translation"
    for error in counted:
        assert str(error.seconds) in Translator(language).render(error.message)
        seconds = "1 second" if error.seconds == 1 else f"{error.seconds} seconds"
        assert Translator("en").render(error.message).endswith(f". Next try in {seconds}.")
    assert [error.seconds for error in counted] == [1, 7] * 3
    assert (WrongPassword().seconds, WrongCode(0).seconds) == (0, 0)
    assert "64" in Translator(language).render(NoMemory(64).message)
    assert "My key" in Translator(language).render(NotRotated("My key").message)


# The documented format


def vectors() -> dict[str, str]:
    table = DOC.read_text(encoding="utf-8").partition("## Test vectors")[2]
    return dict(re.findall(r"^\| ([^|]+?) \| `(.*)` \|$", table, re.MULTILINE))


def test_the_code_gives_the_documented_vectors() -> None:
    told = vectors()
    vault_id, data_key, salt = told["vault id"], bytes.fromhex(told["data key"]), bytes.fromhex(told["salt"])
    normal = unicodedata.normalize("NFKC", told["password"])
    assert normal.encode().hex() == told["password, NFKC, UTF-8"]
    assert normal != told["password"]
    assert bfai.vault._derive(told["password"], salt, DEFAULT_COST).hex() == told["derived key"]
    nonce = bytes.fromhex(told["wrap nonce"])
    wrap = wrap_key(vault_id, data_key, told["password"], DEFAULT_COST, salt=salt, nonce=nonce)
    assert told["cost"] == "{} KiB, {} passes, {} lanes".format(*DEFAULT_COST)
    assert wrap.ciphertext.hex() == told["wrap ciphertext"]
    assert wrap.checksum.hex() == told["wrap checksum"]
    assert bfai.vault.key_check(data_key).hex() == told["key check"]
    data = bytes.fromhex(told["wrap associated data"])
    assert AESGCM(bytes.fromhex(told["derived key"])).decrypt(nonce, wrap.ciphertext, data) == data_key
    assert unwrap_key(vault_id, wrap, told["password"]) == data_key


def test_the_documented_secret_opens() -> None:
    told = vectors()
    vault = Vault(told["vault id"], bytes.fromhex(told["data key"]))
    secret = Sealed(1, bytes.fromhex(told["secret nonce"]), bytes.fromhex(told["secret ciphertext"]))
    data = bytes.fromhex(told["secret associated data"])
    plain = AESGCM(bytes.fromhex(told["sealing key"])).decrypt(secret.nonce, secret.ciphertext, data)
    assert plain.decode() == told["plain text"]
    sealed = {**vault.seal(told["connection id"], CREDENTIALS), told["field"]: secret}
    assert vault.open(told["connection id"], sealed).secret == told["plain text"]
    assert vault.fingerprint(told["exchange"], told["api key"]).hex() == told["fingerprint"]
    assert bfai.vault._subkey(bytes.fromhex(told["data key"]), "fingerprint").hex() == told["fingerprint key"]
    salt = bytes.fromhex(told["pairing random bytes"]) + told["pairing time"].encode()
    code = vault.pairing_code(told["connection id"], bytes.fromhex(told["fingerprint"]), salt)
    assert code.hex() == told["pairing code"]
    assert Code(code).text == told["pairing code as text"]


def test_the_documented_address_opens() -> None:
    told = vectors()
    vault = Vault(told["vault id"], bytes.fromhex(told["data key"]))
    sealed = Sealed(1, bytes.fromhex(told["address nonce"]), bytes.fromhex(told["address ciphertext"]))
    data = bytes.fromhex(told["address associated data"])
    plain = AESGCM(bytes.fromhex(told["sealing key"])).decrypt(sealed.nonce, sealed.ciphertext, data)
    assert plain.decode() == told["address"]
    assert vault.open_address(told["channel id"], sealed) == told["address"]


def test_an_address_opens_in_its_own_place_only() -> None:
    vault, other = Vault("v", os.urandom(32)), Vault("w", os.urandom(32))
    sealed = vault.seal_address("h1", "ntfy://topic")
    assert vault.open_address("h1", sealed) == "ntfy://topic"
    assert b"topic" not in sealed.ciphertext
    assert sealed != vault.seal_address("h1", "ntfy://topic"), "a fresh nonce each time"
    secret = vault.seal("h1", CREDENTIALS)["secret"]
    changed = sealed._replace(ciphertext=bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:])
    short = sealed._replace(nonce=b"x")
    for channel_id, found in (("h2", sealed), ("h1", secret), ("h1", changed), ("h1", short)):
        with pytest.raises(AddressTampered):
            vault.open_address(channel_id, found)
    with pytest.raises(AddressTampered):
        other.open_address("h1", sealed)
    with pytest.raises(Tampered):
        vault.open("h1", {**vault.seal("h1", CREDENTIALS), "secret": sealed})
    with pytest.raises(VaultTooNew):
        vault.open_address("h1", sealed._replace(format=2))
    vault.lock()
    for act in (lambda: vault.open_address("h1", sealed), lambda: vault.seal_address("h1", "x")):
        with pytest.raises(VaultLocked):
            act()


def test_the_documented_numbers_come_from_the_standards() -> None:
    """The same numbers by another road: HKDF and HMAC from the standard library."""
    import hashlib
    import hmac

    told = vectors()
    for purpose, name in (("seal", "sealing key"), ("fingerprint", "fingerprint key"), ("pairing", "pairing key")):
        info = b"".join(
            len(part).to_bytes(4, "big") + part for part in (b"bfai", purpose.encode(), bytes([0, 0, 0, 1]))
        )
        block = hmac.digest(bytes.fromhex(told["data key"]), info + b"\x01", hashlib.sha256)
        assert block.hex() == told[name]
    assert encode("ab", 1).hex() == "0000000261620000000400000001"
    info = encode("bfai", "backup", 1, b"file id")
    block = hmac.digest(bytes.fromhex(told["data key"]), info + b"\x01", hashlib.sha256)
    assert Vault("v", bytes.fromhex(told["data key"])).backup_key(b"file id") == block
    assert file_key(bytes.fromhex(told["data key"]), b"file id") == block


def test_many_derivations_at_once_do_not_hang() -> None:
    """Several windows unlock at the same moment, with the real cost and its four lanes."""
    from concurrent.futures import ThreadPoolExecutor

    from bfai.vault import _derive

    with ThreadPoolExecutor(6) as pool:
        keys = list(pool.map(lambda _: _derive("a password", b"0" * 16, DEFAULT_COST), range(6)))
    assert len(set(keys)) == 1
