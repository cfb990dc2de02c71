"""The recovery code: what a typo in it says, and what it opens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.model import BfaiError, Credentials, utc_now
from bfai.recovery_code import GROUPS, LETTERS, BadCode, new_code, read_code
from bfai.store import Store, open_store
from bfai.vault import (
    Cost,
    NoRecoveryCode,
    UnlockBackoff,
    Vault,
    WeakPassword,
    WrongCode,
    WrongPassword,
    has_recovery_code,
    revoke_recovery_code,
)
from bfai.workbench import CODE_WAITS, Mode, Workbench
from tests.test_store import actions

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD, NEW = "tall green lamp post", "quiet blue window frame"
CREDENTIALS = Credentials("mx0vglTESTTESTTEST", "a-secret-value")
ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = "sqlite://:memory:" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    found = open_store(url)
    yield found
    found.close()


# -- letters on paper --------------------------------------------------------------------------------------------------


def test_a_code_has_letters_that_look_like_nothing_else_and_enough_of_them() -> None:
    assert not set("IOLQGUV0123456789") & set(LETTERS)
    assert len(set(LETTERS)) == 19
    assert 19 ** (GROUPS * 4) > 2**128
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    for code in codes:
        assert re.fullmatch(f"(?:[{LETTERS}]{{5}}-){{7}}[{LETTERS}]{{5}}", code)
        assert read_code(code.lower().replace("-", "  ")) == code
    assert set("".join(codes)) - {"-"} == set(LETTERS)


@settings(deadline=None)
@given(st.data())
def test_any_wrong_letter_and_any_two_that_changed_places_are_told(data: st.DataObject) -> None:
    code = new_code()
    place = data.draw(st.integers(0, 39))
    letters = list(code.replace("-", ""))
    letters[place] = data.draw(st.sampled_from([one for one in LETTERS + "OI05U" if one != letters[place]]))
    with pytest.raises(BadCode, match=f"group {place // 5 + 1} is"):
        read_code("".join(letters))
    letters = list(code.replace("-", ""))
    group, one, other = data.draw(st.integers(0, 7)), data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    one, other = group * 5 + one, group * 5 + other
    if letters[one] != letters[other]:
        letters[one], letters[other] = letters[other], letters[one]
        with pytest.raises(BadCode, match=f"group {group + 1} is"):
            read_code("".join(letters))
    groups = code.split("-")
    first, second = data.draw(st.lists(st.integers(0, 7), min_size=2, max_size=2, unique=True))
    groups[first], groups[second] = groups[second], groups[first]
    with pytest.raises(BadCode):
        read_code("-".join(groups))


def test_too_few_and_too_many_are_told() -> None:
    code = new_code()
    for typed in ("", "ABC", code[:-1], code + "A", code * 2, "é" * 40, "١" * 40, "ß" * 40):
        with pytest.raises(BadCode):
            read_code(typed)


# -- the second wrap ---------------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_replaced_with_the_code(store: Store) -> None:
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    sealed = vault.seal("c1", CREDENTIALS)
    assert not has_recovery_code(store)
    first, second = new_code(), new_code()
    vault.set_recovery_code(store, first, cost=CHEAP)
    vault.set_recovery_code(store, second, cost=CHEAP)
    assert has_recovery_code(store)
    with pytest.raises(WrongCode, match="Only the newest paper holds"):
        Vault.recover(store, first, NEW, cost=CHEAP)
    with pytest.raises(WeakPassword):
        Vault.recover(store, second, "short", cost=CHEAP)
    with pytest.raises(BadCode):
        Vault.recover(store, second[:-1] + LETTERS[LETTERS.index(second[-1]) - 1], NEW, cost=CHEAP)
    opened = Vault.recover(store, second.lower(), NEW, cost=CHEAP)
    assert opened.open("c1", sealed) == CREDENTIALS
    with pytest.raises(WrongPassword):
        Vault.unlock(store, PASSWORD, cost=CHEAP)
    Vault.unlock(store, NEW, cost=CHEAP).change_password(store, NEW, PASSWORD, cost=CHEAP)
    Vault.recover(store, second, NEW, cost=CHEAP)  # a new password leaves the paper good
    revoke_recovery_code(store)
    with pytest.raises(NoRecoveryCode):
        Vault.recover(store, second, NEW, cost=CHEAP)
    with pytest.raises(NoRecoveryCode):
        revoke_recovery_code(store)
    told = [action for action in actions(store) if action not in ("vault_created", "unlock_failed")]
    assert told == [
        "recovery_code_made",
        "recovery_code_made",
        "recovered",
        "password_changed",
        "recovered",
        "recovery_code_revoked",
    ]


def test_the_two_wraps_cannot_be_put_in_each_others_place() -> None:
    store = open_store("sqlite://:memory:")
    vault, code = Vault.create(store, PASSWORD, cost=CHEAP), new_code()
    vault.set_recovery_code(store, code, cost=CHEAP)
    row = store.vault()
    assert row is not None
    store.replace_wrap(row.wraps["password"]._replace(kind="recovery"), action="swapped")
    with pytest.raises(BfaiError, match="damaged"):
        Vault.recover(store, code, NEW, cost=CHEAP)


def test_guesses_at_the_code_are_counted_with_those_at_the_password() -> None:
    store, at = open_store("sqlite://:memory:"), utc_now()
    Vault.create(store, PASSWORD, cost=CHEAP).set_recovery_code(store, new_code(), cost=CHEAP)

    def guess() -> None:
        Vault.recover(store, new_code(), NEW, now=lambda: at, cost=CHEAP)

    with pytest.raises(WrongPassword):
        Vault.unlock(store, NEW, now=lambda: at, cost=CHEAP)
    for _ in range(2):
        with pytest.raises(WrongCode):
            guess()
    with pytest.raises(UnlockBackoff):
        guess()
    with pytest.raises(UnlockBackoff):
        Vault.unlock(store, PASSWORD, now=lambda: at, cost=CHEAP)


# -- at the workbench --------------------------------------------------------------------------------------------------


def test_a_code_holds_only_once_it_was_typed_back(tmp_path: Path) -> None:
    now = utc_now()

    def clock() -> datetime:
        return now

    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    with Workbench(store, mode=Mode.LOCAL, gateway=None, clock=clock) as workbench:
        workbench.create_vault(PASSWORD)
        with pytest.raises(WrongPassword):
            workbench.new_recovery_code(NEW)
        code = workbench.new_recovery_code(PASSWORD)
        assert workbench.waiting_code == code
        assert not workbench.has_recovery_code
        with pytest.raises(BfaiError, match="another code than the one shown"):
            workbench.confirm_recovery_code(new_code())
        with pytest.raises(BadCode):
            workbench.confirm_recovery_code(code[:-2])
        workbench.confirm_recovery_code(code.lower())
        assert workbench.has_recovery_code
        assert workbench.waiting_code is None
        later = workbench.new_recovery_code(PASSWORD)
        now += CODE_WAITS + timedelta(seconds=1)
        with pytest.raises(BfaiError, match="waited too long"):
            workbench.confirm_recovery_code(later)
        workbench.new_recovery_code(PASSWORD)
        workbench.lock()
        assert workbench.waiting_code is None
        with pytest.raises(BfaiError):
            workbench.revoke_recovery_code()
        workbench.recover(code, NEW)
        assert workbench.is_open
        workbench.revoke_recovery_code()
        assert not workbench.has_recovery_code


def test_the_commands_make_a_code_and_recover_with_it(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db",
        "BFAI_MASTER_PASSWORD": PASSWORD,
        "BFAI_NEW_MASTER_PASSWORD": NEW,
        "BFAI_LANGUAGE": "en",
    }

    def start(*arguments: str) -> Any:
        command = [sys.executable, "-m", "bfai", "vault", *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    def run(*arguments: str, typed: str = "") -> tuple[int, str]:
        process = start(*arguments)
        _, said = process.communicate(typed, timeout=60)
        return process.returncode, said

    assert run("init")[0] == 0
    process = start("recovery-code")
    code = process.stdout.readline().strip()
    _, said = process.communicate(f"{new_code()}\n{code.lower()}\n", timeout=60)
    assert process.returncode == 0
    assert "another code than the one shown" in said
    assert "From now on this code opens the vault" in said
    returned, said = run("recover", typed=f"{code[:-1]}\n")
    assert (returned, "letters" in said) == (1, True)
    returned, said = run("recover", typed=f"{code}\n")
    assert (returned, "The vault has its new password" in said) == (0, True)
    environment["BFAI_MASTER_PASSWORD"] = NEW
    assert run("recovery-code", "--revoke")[0] == 0
    returned, said = run("recover", typed=f"{code}\n")
    assert (returned, "has no recovery code" in said) == (3, True)
