"""Whoever changes what is stored, by a bit or by putting rows in each other's place, gets a refusal in words: never a
key in the wrong place, never a verdict that is better than the truth, never a traceback.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfai.history import ALL
from bfai.model import BfaiError, Credentials, Status
from bfai.store import Store, Wrap, open_store
from bfai.vault import AddressTampered, Cost, Tampered, Vault, VaultDamaged, VaultTooNew
from bfai.workbench import Mode, Workbench
from tests.test_rotate import NAMES, PASSWORD, credentials_of, fill
from tests.test_store import MakeStore, a_report, a_run, make_store, plan, url_for

__all__ = ["make_store"]

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
FLIPS = 260  # of the whole file, one bit each

# -- what is sealed, bit by bit ----------------------------------------------------------------------------------------

_VAULT = Vault("00112233445566778899aabbccddeeff", bytes(range(32)))
_SEALED = _VAULT.seal("c1", Credentials("mx0vglTESTTESTTEST", "a-secret-value", "a-passphrase"))
_ADDRESS = _VAULT.seal_address("h1", "tgram://token/chat")


def flipped(value: bytes, bit: int) -> bytes:
    spoiled = bytearray(value)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def bits(value: bytes) -> range:
    return range(len(value) * 8)


def test_every_bit_of_every_sealed_field_is_refused() -> None:
    for field, secret in _SEALED.items():
        for part in ("nonce", "ciphertext"):
            for bit in bits(getattr(secret, part)):
                spoiled = secret._replace(**{part: flipped(getattr(secret, part), bit)})
                with pytest.raises(Tampered):
                    _VAULT.open("c1", {**_SEALED, field: spoiled})
    for part in ("nonce", "ciphertext"):
        for bit in bits(getattr(_ADDRESS, part)):
            with pytest.raises(AddressTampered):
                _VAULT.open_address("h1", _ADDRESS._replace(**{part: flipped(getattr(_ADDRESS, part), bit)}))


@pytest.fixture(scope="module")
def sealed_vault() -> Iterator[tuple[Store, Wrap]]:
    with contextlib.closing(open_store("sqlite://:memory:")) as store:
        Vault.create(store, PASSWORD, cost=CHEAP)
        row = store.vault()
        assert row is not None
        yield store, row.wraps["password"]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_bit_of_the_wrap_is_refused(sealed_vault: tuple[Store, Wrap], data: st.DataObject) -> None:
    """Its bytes and its numbers: a cost that was changed never costs a derivation of four gigabytes either."""
    store, wrap = sealed_vault
    name = data.draw(st.sampled_from(Wrap._fields[1:]))
    value = getattr(wrap, name)
    if isinstance(value, int):
        spoiled: Any = value ^ (1 << data.draw(st.integers(0, 62)))
    else:
        spoiled = flipped(value, data.draw(st.sampled_from(bits(value))))
    store.replace_wrap(wrap._replace(**{name: spoiled}), action="spoiled")
    with pytest.raises((VaultDamaged, VaultTooNew)):
        Vault.unlock(store, PASSWORD, cost=CHEAP)
    store.replace_wrap(wrap, action="mended")
    Vault.unlock(store, PASSWORD, cost=CHEAP)


# -- rows in each other's place ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def by_hand(kind: str, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    """Statements of somebody who may write the database, past the program."""
    if kind == "sqlite":
        with contextlib.closing(
            sqlite3.connect(url_for(kind, request).removeprefix("sqlite:///"), isolation_level=None)
        ) as db:
            yield lambda statement: db.execute(statement).fetchall()
        return
    with request.getfixturevalue("postgres").admin("shared") as db:
        db.execute("SET search_path = bfai; SET session_replication_role = replica")  # without triggers and checks

        def act(statement: str) -> Any:
            found = db.execute(statement)
            return found.fetchall() if found.description else []

        yield act


def swap(
    act: Callable[[str], Any], blob: Callable[[bytes], str], table: str, columns: str, one: str, other: str
) -> None:
    """Puts these columns of two rows, by their conditions, into each other's place."""
    ((first,), (second,)) = (act(f"SELECT {columns} FROM {table} WHERE {where}") for where in (one, other))
    for values, where in ((second, one), (first, other)):
        pairs = zip(columns.split(", "), values, strict=True)
        changes = (f"{name} = {blob(value) if isinstance(value, bytes) else repr(value)}" for name, value in pairs)
        act(f"UPDATE {table} SET {', '.join(changes)} WHERE {where}")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_that_change_places_are_refused(kind: str, request: pytest.FixtureRequest) -> None:
    """Between connections, fields, channels and people; each alone, and mended again."""
    url = url_for(kind, request)
    ann, bob = open_store(url, owner="ann"), open_store(url, owner="bob")
    mine, yours = fill(ann, ["Name 0", "Name 2"]), fill(bob, ["Name 0", "Name 4"])
    first, second = ann.connections()

    def blob(value: bytes) -> str:
        return f"x'{value.hex()}'" if kind == "sqlite" else f"'\\x{value.hex()}'::bytea"

    of = "connection = (SELECT pk FROM connection WHERE id = '{}')"
    secret = "format, nonce, ciphertext"
    theirs = bob.connections()[0]
    hook, mail = ann.channels()

    def nothing_opens(vault: Vault, store: Store, connection_id: str) -> None:
        with pytest.raises(Tampered) as refused:
            vault.open(connection_id, store.sealed(connection_id))
        assert "changed from outside" in str(refused.value)
        bench = Workbench(store, mode=Mode.LOCAL, gateway=None, vault=vault)
        with pytest.raises(BfaiError, match="changed from outside"):
            bench.start_test(connection_id)
        assert store.connection(connection_id).status is Status.ONLINE  # type: ignore[union-attr]

    with by_hand(kind, request) as act:
        for table, columns, here, there, refused in (
            (
                "secret",
                secret,
                of.format(first.id) + " AND field = 'secret'",
                of.format(second.id) + " AND field = 'secret'",
                lambda: [nothing_opens(mine, ann, one.id) for one in (first, second)],
            ),
            (
                "secret",
                secret,
                of.format(first.id) + " AND field = 'secret'",
                of.format(first.id) + " AND field = 'api_key'",
                lambda: nothing_opens(mine, ann, first.id),
            ),
            (
                "secret",
                secret,
                of.format(first.id) + " AND field = 'secret'",
                of.format(theirs.id) + " AND field = 'secret'",
                lambda: [nothing_opens(mine, ann, first.id), nothing_opens(yours, bob, theirs.id)],
            ),
            (
                "channel",
                secret,
                f"id = '{hook.id}'",
                f"id = '{mail.id}'",
                lambda: [refuse_address(mine, ann, one.id) for one in (hook, mail)],
            ),
            (
                "channel",
                secret,
                f"id = '{hook.id}'",
                f"id = '{bob.channels()[0].id}'",
                lambda: refuse_address(mine, ann, hook.id),
            ),
            (
                "wrap",
                "format, salt, memory_kib, passes, lanes, nonce, ciphertext, checksum",
                f"kind = 'password' AND owner = {ann._owner}",  # type: ignore[attr-defined]
                f"kind = 'password' AND owner = {bob._owner}",  # type: ignore[attr-defined]
                lambda: [no_vault(one) for one in (ann, bob)],
            ),
            (
                "vault",
                "id, key_check",
                f"owner = {ann._owner}",  # type: ignore[attr-defined]
                f"owner = {bob._owner}",  # type: ignore[attr-defined]
                lambda: [no_vault(one) for one in (ann, bob)],
            ),
        ):
            swap(act, blob, table, columns, here, there)
            refused()
            swap(act, blob, table, columns, here, there)
            for vault, store in ((mine, ann), (yours, bob)):
                assert Vault.unlock(store, PASSWORD, cost=CHEAP).id == vault.id
                for connection in store.connections():
                    assert vault.open(connection.id, store.sealed(connection.id)) == credentials_of(connection.name)
    ann.close()
    bob.close()


def refuse_address(vault: Vault, store: Store, channel_id: str) -> None:
    with pytest.raises(AddressTampered):
        vault.open_address(channel_id, store.channel_address(channel_id))


def no_vault(store: Store) -> None:
    with pytest.raises(VaultDamaged):
        Vault.unlock(store, PASSWORD, cost=CHEAP)


def test_a_wrap_that_was_made_for_another_vault_needs_the_others_password(make_store: MakeStore) -> None:
    """Everything of a vault at once: then it is that vault, and opens with its own password only."""
    ann, bob = make_store("ann"), make_store("bob")
    Vault.create(ann, PASSWORD, cost=CHEAP)
    Vault.create(bob, "short blue lamp post", cost=CHEAP)
    row = bob.vault()
    assert row is not None
    ann.replace_wrap(row.wraps["password"], action="spoiled")
    for password in (PASSWORD, "short blue lamp post"):
        with pytest.raises(VaultDamaged):
            Vault.unlock(ann, password, cost=CHEAP)


# -- the whole file ----------------------------------------------------------------------------------------------------

_NAMES = NAMES[:4]
_STATUSES = (Status.BLOCKED, Status.FAILED, Status.BLOCKED, Status.CONNECTED)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with some of everything, as a program leaves it that ended well."""
    file = tmp_path_factory.mktemp("whole") / "bfai.db"
    with contextlib.closing(open_store(f"sqlite:///{file}")) as store:
        fill(store, list(_NAMES))
        for connection, status in zip(store.connections(), _STATUSES, strict=True):
            for number in range(6):
                after = 60.0 * (number + 1)
                last = status if number == 5 else (Status.ONLINE, Status.FAILED)[number % 2]
                store.add_run(a_run(connection, after, last, key_report=a_report(f"{number % 2}")))
        plan(store, store.connections()[0])
        store.set_setting("language", "nl")
        store._erase_traces()  # type: ignore[attr-defined]
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


def look(url: str) -> None:
    """Reads everything that a page reads. What comes back is true, or nothing comes back."""
    with contextlib.closing(open_store(url)) as store:
        bench = Workbench(store, mode=Mode.LOCAL, gateway=None)
        for read in (
            lambda: look_at_keys(store),
            lambda: look_at_verdicts(store, bench),
            lambda: [store.audit_entries(), store.strategies(), store.events(), store.channels(), store.deliveries()],
            lambda: [store.schedules(), store.pauses(), store.account_facts(), bench.settings, bench.trail_names()],
            lambda: [store.revisions(strategy.id) for strategy in store.strategies()],
            lambda: [bench.history.to_csv(), bench.history.summary(ALL)],
        ):
            with contextlib.suppress(BfaiError):
                read()


def look_at_keys(store: Store) -> None:
    names = {connection.id: connection.name for connection in store.connections()}
    vault = Vault.unlock(store, PASSWORD, cost=CHEAP)
    everybody = [credentials_of(name) for name in _NAMES]
    for connection_id in names:
        with contextlib.suppress(BfaiError):
            found = vault.open(connection_id, store.sealed(connection_id))
            assert found in everybody
            keys.setdefault(connection_id, found)
            assert keys[connection_id] == found, "a key in another's place"


keys: dict[str, Credentials] = {}
verdicts: dict[str, Status] = {}


def look_at_verdicts(store: Store, bench: Workbench) -> None:
    for connection in store.connections():
        if connection.id not in verdicts:
            continue  # it has another id: nobody takes that for a verdict
        true = verdicts[connection.id]
        assert connection.status in (true, Status.UNTESTED), "a verdict that nobody found"
        with contextlib.suppress(BfaiError):
            run = bench.latest_run(connection.id)
            assert run is None or run.status is true, "a verdict that nobody found"
    store.runs()
    store.recent_runs()


def test_any_bit_of_the_file_is_refused_or_harmless(whole_file: Path, tmp_path: Path) -> None:
    """Sampled: the same bits each time, and of every page some."""
    sound = whole_file.read_bytes()
    file, chance = tmp_path / "bfai.db", random.Random(8)
    shutil.copy(whole_file, file)
    keys.clear()
    verdicts.clear()
    with contextlib.closing(open_store(f"sqlite:///{file}")) as store:
        verdicts.update({connection.id: connection.status for connection in store.connections()})
    assert sorted(verdicts.values()) == sorted(_STATUSES)
    look(f"sqlite:///{file}")
    assert len(keys) == len(_NAMES)
    page = int.from_bytes(sound[16:18], "big")
    places = [chance.randrange(start, start + page) for start in range(0, len(sound), page)]
    used = [place for place in range(len(sound)) if sound[place]]
    places += chance.sample(used, FLIPS - len(places)) if len(places) < FLIPS else []
    refused = 0
    for place in places:
        for left in tmp_path.glob("bfai.db*"):
            left.unlink()
        file.write_bytes(flipped(sound, place * 8 + chance.randrange(8)))
        try:
            look(f"sqlite:///{file}")
        except BfaiError:
            refused += 1
    assert refused > 0


def test_errors_of_damage_are_words_and_hold_nothing_of_the_row(tmp_path: Path) -> None:
    file = tmp_path / "bfai.db"
    store = open_store(f"sqlite:///{file}")
    fill(store, ["Name 0"])
    (connection,) = store.connections()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DROP TRIGGER audit_is_never_changed")
        for statement, read in (
            ("UPDATE connection SET status = 'onlinf'", store.connections),
            ("UPDATE pattern SET body = replace(body, 'o', 'p')", lambda: store.run(connection.last_run_id or "")),
            ("UPDATE key_report SET body = 'not { json'", lambda: store.key_report(connection.id)),
            ("UPDATE setting SET value = 'not { json'", lambda: store.setting("marked")),
            ("UPDATE setting SET value = 'not { json'", lambda: store.settings(["marked"])),
            ("UPDATE audit SET detail = 'not { json'", store.audit_entries),
            ("UPDATE vault SET created_at = 9223372036854775807", store.vault),
        ):
            store.set_setting("marked", 1)
            db.execute(statement)
            with pytest.raises(BfaiError, match="damaged") as refused:
                read()
            assert "{" not in str(refused.value)
            assert refused.value.__cause__ is None
    store.close()


def test_a_last_test_that_says_something_else_than_its_connection_is_not_believed(make_store: MakeStore) -> None:
    store = make_store()
    fill(store, ["Name 0"])
    (connection,) = store.connections()
    store.add_run(a_run(connection, 60, Status.FAILED))
    bench = Workbench(store, mode=Mode.LOCAL, gateway=None)
    assert bench.latest_run(connection.id) is not None
    with store.together():
        store._set(store._row(connection.id)["pk"], status="online")  # type: ignore[attr-defined]
    with pytest.raises(BfaiError, match="damaged"):
        bench.latest_run(connection.id)
