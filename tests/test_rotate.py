"""A new key for the vault, and everything deleted: whole or not at all, and nothing of the old is left in the files."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bfai.model import Credentials, Market, Target
from bfai.recovery_code import new_code
from bfai.store import KeyReplaced, Store, open_store
from bfai.vault import (
    Cost,
    NoRecoveryCode,
    NotRotated,
    Tampered,
    Vault,
    VaultDamaged,
    WrongPassword,
    has_recovery_code,
    key_check,
)
from bfai.workbench import Mode, VaultIsRenewed, VaultState, Workbench
from tests.test_kill import killed_at_each_statement
from tests.test_store import MakeStore, a_connection, a_report, a_run, enable, make_store, plan

__all__ = ["make_store"]

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD = "tall green lamp post"
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
CODE = new_code()
NAMES = [f"Name {number}" for number in range(40)]


def credentials_of(name: str) -> Credentials:
    return Credentials(f"key of {name}", f"secret of {name}", f"passphrase of {name}" if name[-1] in "02468" else None)


def fill(store: Store, names: list[str] = NAMES) -> Vault:
    """A vault with connections that were tested, alert channels and a recovery code."""
    vault = Vault.create(store, PASSWORD, cost=CHEAP)
    for name in names:
        made, credentials = a_connection(name), credentials_of(name)
        fingerprint = vault.fingerprint("mexc", credentials.api_key)
        store.add_connection(made, vault.seal(made.id, credentials), fingerprint, a_run(made, key_report=a_report()))
    bench = opened(store, vault)
    for name in ("Hook", "Mail"):
        bench.alerts.add(name, f"json://127.0.0.1:9/{name}")
    vault.set_recovery_code(store, CODE, cost=CHEAP)
    return vault


def opened(store: Store, vault: Vault) -> Workbench:
    return Workbench(store, mode=Mode.LOCAL, gateway=None, vault=vault)


def look_whole(store: Store, password: str = PASSWORD) -> Vault:
    """Everything opens, and is what it was."""
    vault = Vault.unlock(store, password, cost=CHEAP)
    for connection in store.connections():
        credentials = credentials_of(connection.name)
        assert vault.open(connection.id, store.sealed(connection.id)) == credentials
        found = store.connection_by_fingerprint(vault.fingerprint("mexc", credentials.api_key))
        assert found is not None
        assert found.id == connection.id
    for channel in store.channels():
        assert channel.name in vault.open_address(channel.id, store.channel_address(channel.id))
    return vault


def ciphertexts(store: Store) -> list[bytes]:
    """Everything in the database that hangs on the data key."""
    row = store.vault()
    assert row is not None
    found = [part for wrap in row.wraps.values() for part in (wrap.ciphertext, wrap.nonce)]
    for connection in store.connections():
        found += [part for one in store.sealed(connection.id).values() for part in (one.ciphertext, one.nonce)]
    for channel in store.channels():
        address = store.channel_address(channel.id)
        found += [address.ciphertext, address.nonce]
    return found


# -- a new key ---------------------------------------------------------------------------------------------------------


def test_everything_is_sealed_anew_and_all_else_stays(make_store: MakeStore) -> None:
    store = make_store()
    vault = fill(store)
    connections, runs, strategies = store.connections(), store.runs(), store.strategies()
    old, before = set(ciphertexts(store)), store.vault()
    done = vault.rotate(store, PASSWORD, cost=CHEAP)
    assert (done.connections, done.channels, done.dead) == (len(NAMES), 2, ("recovery",))
    after = store.vault()
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert set(after.wraps) == {"password"}, "a code on paper opens nothing any more"
    assert after.key_check == done.vault.key_check != before.key_check
    assert old.isdisjoint(ciphertexts(store))
    assert (store.connections(), store.runs(), store.strategies()) == (connections, runs, strategies)
    assert look_whole(store).key_check == done.vault.key_check
    (entry,) = store.audit_entries(actions=["vault_rotated"])
    assert entry.detail == {"connections": len(NAMES), "channels": 2, "gone": "recovery"}
    with pytest.raises(Tampered):
        vault.open(connections[0].id, store.sealed(connections[0].id))


def test_the_code_on_paper_dies_with_the_key_and_a_new_one_can_be_made(make_store: MakeStore) -> None:
    store = make_store()
    fill(store, NAMES[:1])
    vault = Vault.recover(store, CODE, PASSWORD, cost=CHEAP)
    wraps = store.vault().wraps  # type: ignore[union-attr]
    fresh = vault.rotate(store, PASSWORD, cost=CHEAP).vault
    assert not has_recovery_code(store)
    with pytest.raises(NoRecoveryCode):
        Vault.recover(store, CODE, "another password", cost=CHEAP)
    look_whole(store)
    store.replace_wrap(wraps["recovery"], action="spoiled")  # put in again by somebody who has the old row
    with pytest.raises(VaultDamaged):
        Vault.recover(store, CODE, "another password", cost=CHEAP)
    code = new_code()
    fresh.set_recovery_code(store, code, cost=CHEAP)
    Vault.recover(store, code, PASSWORD, cost=CHEAP)
    look_whole(store)


def test_whoever_has_the_old_key_open_is_locked_and_seals_nothing_with_it(make_store: MakeStore) -> None:
    store, other = make_store(), make_store()
    fill(store, NAMES[:2])
    here, there = (opened(one, Vault.unlock(one, PASSWORD, cost=CHEAP)) for one in (store, other))
    stale = Vault.unlock(other, PASSWORD, cost=CHEAP)
    waits = there.draft(Target(exchange="kucoin", market=Market.SPOT), Credentials("k" * 24, "s" * 36, "pass"))
    here.rotate_vault(PASSWORD)
    assert here.vault_state is VaultState.OPEN
    for act in (
        lambda: there.alerts.add("Third", "json://127.0.0.1:9/x"),
        lambda: there.save_draft(waits.id, name="New"),
        lambda: there.start_test(store.connections()[0].id),
        lambda: there.change_password(PASSWORD, "another password"),
    ):
        there._vault = stale
        with pytest.raises(Exception, match="locked"):
            act()
        assert there.vault_state is VaultState.LOCKED
    there._vault = fresh = Vault.unlock(other, PASSWORD, cost=CHEAP)
    fresh.lock()
    assert len(store.channels()) == 2
    assert len(store.connections()) == 2
    here.close()
    there.close()


def test_a_password_that_is_changed_beside_it_never_wraps_the_old_key(make_store: MakeStore) -> None:
    store = make_store()
    vault = fill(store, NAMES[:1])
    wrap = store.vault().wraps["password"]  # type: ignore[union-attr]
    vault.rotate(store, PASSWORD, cost=CHEAP)
    with pytest.raises(KeyReplaced):
        store.replace_wrap(wrap, action="password_changed", key_check=vault.key_check)
    with pytest.raises(VaultDamaged):
        vault.rotate(store, PASSWORD, cost=CHEAP)
    store.replace_wrap(wrap, action="spoiled")  # a wrap of another time, put in by hand
    with pytest.raises(VaultDamaged):
        Vault.unlock(store, PASSWORD, cost=CHEAP)


def test_a_wrong_password_and_what_does_not_open_change_nothing(make_store: MakeStore) -> None:
    store = make_store()
    vault = fill(store, NAMES[:3])
    before, row = ciphertexts(store), store.vault()
    with pytest.raises(WrongPassword):
        vault.rotate(store, "not the password", cost=CHEAP)
    assert store.vault() != row, "it counts as an attempt"
    assert ciphertexts(store) == before
    spoiled = store.connections()[1]
    swapped = store.sealed(store.connections()[2].id)
    store.replace_credentials(spoiled.id, swapped, b"", "", T0)
    before = ciphertexts(store)
    with pytest.raises(NotRotated, match=spoiled.name):
        vault.rotate(store, PASSWORD, cost=CHEAP)
    assert ciphertexts(store) == before
    store.delete_connection(spoiled.id)
    hook, mail = store.channels()
    store.change_channel(mail, store.channel_address(hook.id))
    before = ciphertexts(store)
    with pytest.raises(NotRotated, match=mail.name):
        vault.rotate(store, PASSWORD, cost=CHEAP)
    assert ciphertexts(store) == before


def test_pairing_codes_end_with_the_key(make_store: MakeStore) -> None:
    store = make_store()
    bench = opened(store, fill(store, NAMES[:1]))
    (connection,) = store.connections()
    bench.pair(connection.id)
    assert bench.pairing(connection.id) is not None
    bench.rotate_vault(PASSWORD)
    assert bench.pairing(connection.id) is None
    bench.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_rotation_that_is_killed_leaves_the_old_vault_whole(tmp_path: Path) -> None:
    old: list[bytes] = []

    def prepare(store: Store) -> None:
        fill(store, NAMES[:3])
        old.extend(ciphertexts(store))

    def act(bench: Workbench) -> None:
        Vault.unlock(bench._store, PASSWORD, cost=CHEAP).rotate(bench._store, PASSWORD, cost=CHEAP)

    for killed, store in killed_at_each_statement(tmp_path, prepare, act):
        done = set(old).isdisjoint(ciphertexts(store))
        assert done or (killed and ciphertexts(store) == old)
        assert done == bool(store.audit_entries(actions=["vault_rotated"]))
        look_whole(store)


def left_in(folder: Path, marks: list[bytes]) -> list[bytes]:
    found = [path.read_bytes() for path in folder.iterdir()]
    return [mark for mark in marks if any(mark in data for data in found)]


def test_nothing_of_the_old_ciphertexts_is_left_in_the_files(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    vault = fill(store)
    old = ciphertexts(store)
    assert left_in(tmp_path, old) == old
    vault.rotate(store, PASSWORD, cost=CHEAP)
    assert left_in(tmp_path, old) == []
    store.close()
    assert left_in(tmp_path, old) == []


# -- everything deleted ------------------------------------------------------------------------------------------------


def test_everything_of_one_person_goes_and_nothing_of_another(make_store: MakeStore) -> None:
    ann, bob = make_store("ann"), make_store("bob")
    mine, _yours = opened(ann, fill(ann, NAMES[:2])), fill(bob, NAMES[:3])
    ann.set_setting("language", "nl")
    enable(ann, plan(ann, ann.connections()[0]))
    mine.pair(ann.connections()[0].id)
    assert mine.begin_visit(T0)
    mine.end_visits()
    kept = (bob.connections(), bob.runs(), bob.audit_entries(), bob.channels())
    mine.delete_everything()
    assert mine.vault_state is VaultState.NONE
    assert ann.vault() is None
    assert [ann.connections(), ann.runs(), ann.strategies(), ann.channels(), ann.events()] == [[]] * 5
    assert ann.audit_entries() == []
    assert ann.setting("language") is None
    assert not mine.begin_visit(T0), "a cookie from before stays logged out"
    assert ann.audit_entries() == []
    assert (bob.connections(), bob.runs(), bob.audit_entries(), bob.channels()) == kept
    look_whole(bob)
    fill(ann, NAMES[:1])
    look_whole(ann)
    mine.close()


def test_what_was_deleted_with_everything_is_not_in_the_files(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    bench = opened(store, fill(store))
    row = store.vault()
    assert row is not None
    marks = [*ciphertexts(store), *(name.encode() for name in NAMES), row.id.encode(), b"enableWithdrawals"]
    marks += [connection.id.encode() for connection in store.connections()]
    assert left_in(tmp_path, marks) == marks
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    bench.delete_everything()
    assert left_in(tmp_path, marks) == []
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < size
    bench.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_deleting_everything_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    def prepare(store: Store) -> None:
        fill(store, NAMES[:2])

    for killed, store in killed_at_each_statement(tmp_path, prepare, lambda bench: bench.delete_everything()):
        if store.vault() is None:
            assert (store.connections(), store.audit_entries(), store.channels()) == ([], [], [])
        else:
            assert killed
            assert len(store.connections()) == len(store.channels()) == 2
            look_whole(store)


def test_a_program_that_goes_on_after_everything_was_deleted_stores_no_key(make_store: MakeStore) -> None:
    store, other = make_store(), make_store()
    fill(store, NAMES[:1])
    there = opened(other, Vault.unlock(other, PASSWORD, cost=CHEAP))
    Workbench(store, mode=Mode.LOCAL, gateway=None).delete_everything()
    with pytest.raises(VaultIsRenewed):
        there.change_password(PASSWORD, "another password")
    assert there.vault_state is VaultState.NONE
    there.close()


# -- the key in memory -------------------------------------------------------------------------------------------------

_LOOK = """
import gc, sys
from bfai.model import Credentials
from bfai.store import open_store
from bfai.ui.session import Keeper, Times
from bfai.vault import Cost, Vault, _subkey
from bfai.workbench import Mode, Workbench

def hidden(key):
    return bytes(byte ^ 0x5A for byte in key)

def copies(secret):
    '''How often it lies in this process's memory; the one to look for with is one of them.'''
    wanted, count = hidden(secret), 0
    with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            if not rights.startswith('rw') or line.rstrip().endswith(']') and '[heap]' not in line:
                continue
            low, high = (int(part, 16) for part in place.split('-'))
            try:
                memory.seek(low)
                data = memory.read(high - low)
            except OSError:
                continue
            count += data.count(wanted)
            del data
    return count

store = open_store('sqlite://:memory:')
Vault.create(store, 'tall green lamp post', cost=Cost(16, 1, 1)).lock()
now = [0.0]
bench = Workbench(store, mode=Mode.LOCAL, gateway=None)
kept = Keeper(bench, 0, clock=lambda: Times(now[0], now[0]))
bench._vault = vault = Vault.unlock(store, 'tall green lamp post', cost=Cost(16, 1, 1))
plain = _subkey(vault._key, 'seal')
key, seal = hidden(vault._key), hidden(plain)
plain[:] = bytes(32)
assert vault.open('c', vault.seal('c', Credentials('k' * 20, 's' * 20))).secret == 's' * 20
del vault
kept.run_tests()
before = copies(key), copies(seal)
how = sys.argv[1]
if how == 'button':
    kept.lock()
elif how == 'idle':
    now[0] = 901.0
    kept._idle_minutes = 15.0
    kept.touch()
elif how == 'closed':
    kept.close()
else:
    bench.close()
assert not bench.is_open
gc.collect()
print(*before, copies(key), copies(seal))
"""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux to look at the memory of a process")
@pytest.mark.parametrize("how", ["button", "idle", "closed", "monitor"])
def test_a_lock_takes_the_key_out_of_memory(how: str) -> None:
    """By the button, after idle minutes, when a visit's page is closed, and when the headless monitor ends."""
    root = Path(__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", _LOOK, how], cwd=root, text=True, capture_output=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr
    before_key, before_seal, key, seal = map(int, found.stdout.split())
    assert min(before_key, before_seal) >= 2, "it looks in the right place"
    assert (key, seal) == (1, 1), "only what it is looked for with"


def test_key_checks_tell_keys_apart_and_nothing_more() -> None:
    one, other = bytes(32), bytes(31) + b"\x01"
    assert key_check(one) == key_check(one) != key_check(other)
    assert len(key_check(one)) == 8
    with contextlib.closing(open_store("sqlite://:memory:")) as store:
        vault = Vault.create(store, PASSWORD, cost=CHEAP)
        row = store.vault()
        assert row is not None
        assert row.key_check == vault.key_check
