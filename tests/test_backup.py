"""Backups: one sealed file, made, checked and put back; and everything that is refused on the way."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import bfai.backup
from bfai import sealed_file
from bfai.backup import SUFFIX, BackupExists, BackupFile, Backups, NotSaved, WeakBackupPassword
from bfai.cli import main
from bfai.events import heading
from bfai.i18n import LANGUAGES, translator
from bfai.model import AuditEntry, BfaiError, Credentials, DeliveryState, Event, EventKind
from bfai.monitor import Monitor
from bfai.recovery_code import new_code
from bfai.sealed_file import (
    CHUNK,
    MAGIC,
    BackupDamaged,
    BackupError,
    BackupTooNew,
    NoBackup,
    SealedWriter,
    WrongBackupPassword,
    read_header,
    unsealed,
)
from bfai.settings import SettingRefused
from bfai.store import KeyReplaced, StoreError, StoreFull, open_store
from bfai.store.migrations import MIGRATIONS
from bfai.store.move import TABLES
from bfai.store.sqlite import copies, open_old
from bfai.vault import (
    Cost,
    NoRecoveryCode,
    Vault,
    VaultLocked,
    WrongPassword,
    file_key,
    fresh_wrap,
    revoke_recovery_code,
)
from bfai.workbench import Mode, Workbench
from tests.test_move import everything
from tests.test_store import actions, add
from tests.test_store_postgres import fill

WORD = "tall green lamp post"
OWN = "quiet blue window frame"
CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
CREDENTIALS = Credentials("mx0vglTESTTESTTEST", "a-secret-value", "a-passphrase")


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost little here, but where a test looks at what they cost."""
    monkeypatch.setattr("bfai.vault.DEFAULT_COST", CHEAP)
    monkeypatch.setattr("bfai.backup.DEFAULT_COST", CHEAP)


class Place:
    """A database with an open vault, and its backups."""

    def __init__(self, url: str, folder: Path, *, full: bool = False, keeps: bool = True) -> None:
        self.clock = Clock()
        self.store = open_store(url)
        self.vault: Vault | None = None
        self.folder = folder
        if full:
            fill(self.store)
            self.store.close()
            forget_vault(url)
            self.store = open_store(url)
            self.vault = Vault.create(self.store, WORD)
        self.backups = Backups(self.store, lambda: self.vault, self.clock, keeps=keeps, home=folder)

    def open(self, content: bytes, typed: str = WORD) -> BackupFile:
        return self.backups.open(io.BytesIO(content), typed)[0]


def forget_vault(url: str) -> None:
    """`fill` brings a vault that nobody has a password for."""
    with contextlib.closing(open_store(url)) as store:
        store_: Any = store
        with store.together():
            for table in ("wrap", "vault"):
                store_.remove_rows(table)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = Place(f"sqlite:///{tmp_path}/here.db", tmp_path / "backups", full=True)
    yield place
    place.store.close()


@pytest.fixture
def content(here: Place) -> bytes:
    made = here.backups.make()
    assert made.path is not None
    return made.path.read_bytes()


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", ["sqlite to postgresql", "postgresql to sqlite"])
def test_a_backup_gives_the_same_vault_on_another_kind_of_store(
    kinds: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one, other = (
        f"sqlite:///{tmp_path}/bfai.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
        for kind in kinds.split(" to ")
    )
    source = Place(one, tmp_path / "backups", full=True)
    assert source.vault is not None
    connection = add(source.store, "Sealed for real")
    sealed = source.vault.seal(connection.id, CREDENTIALS)
    source.store.replace_credentials(connection.id, sealed, b"f", "TEST", NOW)
    before = everything(source.store)
    assert all(before.values()), "the test backs up something of everything"
    before["candles"] = []  # which are fetched again
    made = source.backups.make()
    source.store.close()
    if one.startswith("sqlite"):  # all that was there is gone
        (tmp_path / "bfai.db").unlink()
    assert made.path is not None

    target = Place(other, tmp_path / "backups")
    with made.path.open("rb") as file:
        found, preview = target.backups.open(file, WORD)
        assert (preview.here, preview.same_vault, preview.own) == (None, False, False)
        assert preview.there.connections == ("Main", "Sealed for real")
        assert preview.there.tests == len(before["runs"])
        assert preview.made_at == NOW
        assert target.backups.restore(found) == made.rows > 30
    after = everything(target.store)
    restored = after["audit"].pop(0)
    assert (restored.action, restored.detail["replaced"]) == ("restored", False)
    doubtful = [one for one in after["deliveries"] if one.doubtful]
    assert len(doubtful) == 1, "what was still to be told may have been told since"
    before["deliveries"] = [
        one.model_copy(update={"doubtful": one.state is DeliveryState.WAITING}) for one in before["deliveries"]
    ]
    assert after == before
    with pytest.raises(WrongPassword):
        Vault.unlock(target.store, OWN)
    opened = Vault.unlock(target.store, WORD)
    assert opened.open(connection.id, target.store.sealed(connection.id)) == CREDENTIALS
    with made.path.open("rb") as file, pytest.raises(BackupExists, match="There is a vault here already"):
        target.backups.restore(target.backups.open(file, WORD)[0])
    target.store.close()


def test_fetched_candles_are_in_no_backup_and_one_that_has_them_is_put_back_without(here: Place) -> None:
    size = here.backups.download().size
    here.store.put_candle_chunks("okx/BTC", {2: os.urandom(1_000_000)}, NOW, 10_000_000)
    made = here.backups.download()
    assert made.size < size + 10_000
    lines = lines_of(made.content)
    tables = json.loads(lines[0])["tables"]
    end = json.loads(lines.pop())
    assert tables["candle_series"] and tables["candle_chunk"] and not end["rows"]["candle_chunk"], "older versions look"
    for name, row in (("candle_series", [1, "okx/BTC", 1, 4]), ("candle_chunk", [1, 2, ["AAAA"]])):
        assert len(row) == len(tables[name])
        at = lines.index(json.dumps({"table": name}, separators=(",", ":")).encode() + b"\n") + 1
        lines.insert(at, json.dumps(row).encode() + b"\n")
        end["rows"][name] = 1
    here.backups.restore(here.open(sealed_lines(here, *lines, end)), replace=True)
    assert here.store.candle_chunks("okx/BTC", 0, 10, NOW) == []
    assert here.store.connections()


def test_a_vault_that_is_here_is_replaced_only_when_asked_and_saved(here: Place, content: bytes) -> None:
    add(here.store, "Only here")
    found, preview = here.backups.open(io.BytesIO(content), WORD)
    assert preview.same_vault
    assert (preview.only_here, preview.only_there) == (("Only here",), ())
    before = everything(here.store)
    with pytest.raises(BackupExists):
        here.backups.restore(found)
    assert everything(here.store) == before
    here.backups.restore(found, replace=True)
    assert [one.name for one in here.store.connections()] == ["Main"]
    trail = actions(here.store)
    assert trail[-1] == "restored"
    assert trail.count("added") == 2, "the trail is never shortened, and nothing stands in it twice"
    (saved,) = here.folder.glob(f"*-before-restore{SUFFIX}")
    again = here.open(saved.read_bytes())
    here.backups.restore(again, replace=True)
    assert "Only here" in [one.name for one in here.store.connections()]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_another_vault_takes_the_place_of_this_one(
    kind: str, here: Place, content: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/other.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    other = Place(url, tmp_path / "elsewhere", full=True, keeps=False)
    assert other.vault is not None
    other.vault.change_password(other.store, WORD, OWN)
    other.store.audit(AuditEntry(at=NOW, action="noted", subject="x"))
    found, preview = other.backups.open(io.BytesIO(content), WORD)
    assert not preview.same_vault
    with pytest.raises(NotSaved):
        other.backups.restore(found, replace=True)
    saved = other.backups.download().content
    other.clock.time += timedelta(hours=1)
    with pytest.raises(NotSaved):
        other.backups.restore(found, replace=True)
    other.backups.download()
    other.backups.restore(found, replace=True)
    with pytest.raises(WrongPassword):
        Vault.unlock(other.store, OWN)
    Vault.unlock(other.store, WORD)
    assert {"noted", "vault_created", "added", "restored"} <= set(actions(other.store))
    assert other.open(saved, OWN).vault_id != found.vault_id
    other.store.close()


def test_what_goes_wrong_while_it_is_put_back_changes_nothing(
    here: Place, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(here.store)
    found = here.open(content)
    store: Any = here.store
    real, calls = store.put_rows, 0

    def breaks(table: str, rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise StoreError(bfai.backup.Message(text="gone"))
        real(table, rows)

    monkeypatch.setattr(store, "put_rows", breaks)
    with pytest.raises(StoreError, match="gone"):
        here.backups.restore(found, replace=True)
    monkeypatch.undo()
    after = everything(here.store)
    assert after["audit"][0].action == "backup_made"
    assert {**after, "audit": 0} == {**before, "audit": 0}


# -- log-outs ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    url = f"sqlite:///{tmp_path}/bfai.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    place = Place(url, tmp_path / "backups", full=True, keeps=False)
    yield place
    place.store.close()


def lines_of(content: bytes) -> list[bytes]:
    file = io.BytesIO(content)
    header = read_header(file)
    return b"".join(unsealed(file, header, header.key(WORD))).splitlines(keepends=True)


def test_a_backup_neither_ends_nor_undoes_a_log_out(hosted: Place) -> None:
    bench = Workbench(hosted.store, mode=Mode.HOSTED, gateway=None, vault=hosted.vault)
    assert bench.begin_visit(NOW)
    content = bench.backups.download().content
    lines = lines_of(content)
    assert not any(b'"visits"' in line for line in lines)
    at = lines.index(b'{"table":"setting"}\n') + 1
    end = json.loads(lines.pop())
    end["rows"]["setting"] += 1
    contents = [content]
    for newest, ended in ((NOW.timestamp(), 0), (9e9, 9e9)):  # as older versions wrote it; and of another provider
        mark = ["visits", json.dumps({"newest": newest, "ended": ended})]
        contents.append(sealed_lines(hosted, *lines[:at], mark, *lines[at:], end))
    copied, later = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    assert bench.begin_visit(copied)
    bench.end_visits()
    assert bench.begin_visit(later)
    for one in contents:
        bench.backups.download()
        bench.restore_backup(bench.backups.open(io.BytesIO(one), WORD)[0], replace=True)
        assert not bench.begin_visit(copied)
        assert bench.begin_visit(later)
        bench.unlock(WORD)
    bench.end_visits()
    assert not bench.begin_visit(later), "what was signed in before is logged out after"
    bench.lock()


def test_whoever_signed_in_can_begin_with_a_backup_also_after_deleting_everything(hosted: Place) -> None:
    bench = Workbench(hosted.store, mode=Mode.HOSTED, gateway=None, vault=hosted.vault)
    bench.change_settings(keep_runs_days=30)
    content = bench.backups.download().content
    before = everything(hosted.store)
    assert bench.begin_visit(NOW)
    bench.end_visits()
    bench.delete_everything()
    assert not bench.begin_visit(NOW), "nor does this undo a log-out"
    assert bench.begin_visit(NOW + timedelta(hours=1))
    bench.change_settings(freshness_hours=1)
    bench.restore_backup(bench.backups.open(io.BytesIO(content), WORD)[0])
    other: dict[str, Any] = {"audit": 0, "deliveries": 0, "candles": 0}
    assert {**everything(hosted.store), **other} == {**before, **other}
    assert actions(hosted.store)[-1] == "restored"
    assert {"signed_in", "vault_created"} <= set(actions(hosted.store))
    assert (bench.settings.keep_runs_days, bench.settings.freshness_hours) == (30, 24)
    assert not bench.begin_visit(NOW)


# -- what opens it -----------------------------------------------------------------------------------------------------


def test_the_vaults_password_and_its_recovery_code_open_it_as_they_were_then(here: Place) -> None:
    code = new_code()
    assert here.vault is not None
    here.vault.set_recovery_code(here.store, code)
    content = here.backups.download().content
    here.vault.change_password(here.store, WORD, OWN)
    revoke_recovery_code(here.store)
    for typed in (WORD, code, code.lower().replace("-", " ")):
        here.open(content, typed)
    for typed in (OWN, new_code(), "", "x" * 10_000):
        with pytest.raises(WrongBackupPassword, match="the master password, or the recovery code, that the vault had"):
            here.open(content, typed)
    here.open(here.backups.download().content, OWN)


def test_a_password_of_its_own_opens_the_file_and_not_the_vault(here: Place, tmp_path: Path) -> None:
    with pytest.raises(WeakBackupPassword, match="at least 10"):
        here.backups.download(password="short")
    content = here.backups.download(password=OWN).content
    with pytest.raises(WrongBackupPassword, match="a password of its own"):
        here.open(content, WORD)
    found, preview = here.backups.open(io.BytesIO(content), OWN)
    assert preview.own
    target = open_store(f"sqlite:///{tmp_path}/target.db")
    Backups(target, lambda: None).restore(found)
    with pytest.raises(WrongPassword):
        Vault.unlock(target, OWN)
    Vault.unlock(target, WORD)
    target.close()


def test_a_locked_vault_makes_no_backup(here: Place) -> None:
    here.vault = None
    with pytest.raises(VaultLocked):
        here.backups.make()
    assert list(here.folder.iterdir()) == []


def test_nothing_can_be_read_in_the_file_and_nobody_else_may_read_it(here: Place) -> None:
    made = here.backups.make()
    assert made.path is not None
    content = made.path.read_bytes()
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(here.folder.stat().st_mode) == 0o700
    assert b"MEXC" not in content
    assert b"Main" not in content
    assert made.size == len(content)
    assert here.backups.last.name == made.name
    assert here.backups.last.made_at == NOW


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_from_before_the_key_was_renewed_brings_the_old_key_and_its_code_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/here.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    here, code = Place(url, tmp_path / "backups", full=True), new_code()
    assert here.vault is not None
    connection, old = add(here.store, "Sealed"), here.vault
    here.store.replace_credentials(connection.id, old.seal(connection.id, CREDENTIALS), b"f", "TEST", NOW)
    with here.store.together():  # what `fill` brought is sealed by nobody
        for other in here.store.connections():
            if other.id != connection.id:
                here.store.delete_connection(other.id)
        for channel in here.store.channels():
            here.store.remove_channel(channel.id)
    old.set_recovery_code(here.store, code)
    content = here.backups.download().content
    assert here.backups.open(io.BytesIO(content), WORD)[1].warning is None
    here.vault = fresh = old.rotate(here.store, WORD).vault
    old.lock()

    found, preview = here.backups.open(io.BytesIO(content), code)
    assert (preview.same_vault, preview.other_key) == (True, True)
    assert preview.warning is not None
    assert "renew the key afterwards" in preview.warning.text
    here.backups.restore(found, replace=True)
    row = here.store.vault()
    assert row is not None
    assert row.key_check == old.key_check != fresh.key_check
    with pytest.raises(VaultLocked):  # the one that was open has another key now
        here.backups.make()
    with pytest.raises(KeyReplaced):
        fresh.set_recovery_code(here.store, new_code())
    opened = Vault.recover(here.store, code, OWN)
    assert opened.open(connection.id, here.store.sealed(connection.id)) == CREDENTIALS
    saved = next(here.folder.glob(f"*-before-restore{SUFFIX}")).read_bytes()
    here.vault = opened
    here.backups.restore(here.open(saved), replace=True)
    assert Vault.unlock(here.store, WORD).key_check == fresh.key_check
    with pytest.raises(NoRecoveryCode):
        Vault.recover(here.store, code, OWN)
    here.store.close()


def test_a_backup_that_does_not_say_which_key_it_has_clears_what_is_said_here(here: Place, tmp_path: Path) -> None:
    """Of a vault from before that was written down. The next unlock does."""
    with contextlib.closing(sqlite3.connect(tmp_path / "here.db")) as db, db:
        db.execute("UPDATE vault SET key_check = NULL")
    content = here.backups.download().content
    old = here.vault
    assert old is not None
    Vault.unlock(here.store, WORD)
    with here.store.together():
        for connection in here.store.connections():
            here.store.delete_connection(connection.id)
        for channel in here.store.channels():
            here.store.remove_channel(channel.id)
    here.vault = old.rotate(here.store, WORD).vault
    found, preview = here.backups.open(io.BytesIO(content), WORD)
    assert preview.warning is None
    here.backups.restore(found, replace=True)
    row = here.store.vault()
    assert row is not None
    assert row.key_check is None
    Vault.unlock(here.store, WORD)
    row = here.store.vault()
    assert row is not None
    assert row.key_check == old.key_check


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A sealed file of several chunks, and its key."""
    root, file_id = os.urandom(32), os.urandom(32)
    wraps = {sealed_file.OWN: fresh_wrap(file_id.hex(), root, OWN, CHEAP, sealed_file.OWN)}
    file, key = io.BytesIO(), file_key(root, file_id)
    writer = SealedWriter(file, id=file_id.hex(), file_id=file_id, wraps=wraps, key=key)
    for _ in range(10):
        writer.write(os.urandom(CHUNK // 4))
    writer.close()
    return file.getvalue(), key


def read(content: bytes) -> bytes:
    """All of a sealed file, by its password."""
    file = io.BytesIO(content)
    header = read_header(file)
    return b"".join(unsealed(file, header, header.key(OWN)))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_refused(sample: tuple[bytes, bytes], data: st.DataObject) -> None:
    content = bytearray(sample[0])
    early = data.draw(st.booleans())
    place = data.draw(st.integers(0, 700 if early else len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((NoBackup, BackupDamaged)):
        read(bytes(content))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_cut_or_longer_file_is_refused(sample: tuple[bytes, bytes], data: st.DataObject) -> None:
    content, _ = sample
    sealed = content.index(b"}]}") + 3
    bounds = [sealed + n * (CHUNK + 16) for n in range(3)]
    cut = data.draw(st.integers(0, len(content) - 1) | st.sampled_from(bounds))
    with pytest.raises((NoBackup, BackupDamaged)):
        read(content[:cut])
    with pytest.raises(BackupDamaged):
        read(content + data.draw(st.binary(min_size=1, max_size=40)))


def test_chunks_in_another_order_or_of_another_file_are_refused(sample: tuple[bytes, bytes], here: Place) -> None:
    content, key = sample
    assert len(read(content)) == 10 * (CHUNK // 4)
    start, size = content.index(b"}]}") + 3, CHUNK + 16
    first, second, rest = content[start : start + size], content[start + size : start + 2 * size], content[start:]
    for mixed in (second + first + rest[2 * size :], first + first + rest[size:], rest[size:]):
        with pytest.raises(BackupDamaged):
            read(content[:start] + mixed)
    other = io.BytesIO()  # the same key, another header
    header = read_header(io.BytesIO(content))
    SealedWriter(other, id="another", file_id=header.file_id, wraps=header.wraps, key=key).close()
    headed = other.getvalue()[: other.getvalue().index(b"}]}") + 3]
    file = io.BytesIO(headed + rest)
    with pytest.raises(BackupDamaged):
        b"".join(unsealed(file, read_header(file), key))


@pytest.mark.parametrize(
    "something_else", [b"", b"PK\x03\x04", b"SQLite format 3\x00" * 10, MAGIC[:5], b"\x00" * 1000, b"{}"]
)
def test_a_file_that_is_something_else_is_named_so(something_else: bytes, here: Place) -> None:
    with pytest.raises(NoBackup, match="no backup of the workbench"):
        here.open(something_else)


def test_one_that_was_sent_as_text_is_called_damaged(content: bytes, here: Place) -> None:
    with pytest.raises(BackupDamaged, match=r"damaged or cut short.*download it again"):
        here.open(content.replace(b"\r\n", b"\n"))


def rewritten(content: bytes, version: int = 1, **changes: Any) -> bytes:
    """With another header that is whole in itself, as a hostile writer makes it."""
    file = io.BytesIO(content)
    read_header(file)
    rest = file.read()
    start = len(MAGIC) + 2 + 4 + 32
    body = json.loads(content[start : len(content) - len(rest)])
    wraps = changes.pop("wraps", {})
    body |= changes
    for wrap in body["wraps"]:
        wrap.update(wraps)
    text = json.dumps(body).encode()
    return sealed_file._prelude(version, text) + text + rest


def test_a_newer_version_is_said_to_be_one(content: bytes, here: Place) -> None:
    for newer in (rewritten(content, version=2), rewritten(content, wraps={"format": 2})):
        with pytest.raises(BackupTooNew, match="Update the program"):
            here.open(newer)
    later = {
        "format": "bfai.backup/1",
        "made_at": NOW.isoformat(),
        "version": "9",
        "step": len(MIGRATIONS) + 1,
        "vault": "x",
        "tables": {"a_new_table": []},
    }
    with pytest.raises(BackupTooNew):
        here.open(sealed_lines(here, later))
    with pytest.raises(BackupTooNew):
        here.open(sealed_lines(here, {"format": "bfai.backup/2"}))


@pytest.mark.parametrize(
    "wraps",
    [
        {"memory_kib": 2**31},
        {"memory_kib": 1024 * 1024},
        {"passes": 17},
        {"lanes": 255},
        {"memory_kib": -1},
        {"memory_kib": True},
        {"passes": "4"},
        {"salt": "zz"},
        {"kind": ["password"]},
    ],
)
def test_a_hostile_header_cannot_eat_memory_or_time(
    wraps: dict[str, Any], content: bytes, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("bfai.vault._derive", lambda *arguments: asked.append(arguments))
    with pytest.raises(BackupDamaged):
        here.open(rewritten(content, wraps=wraps))
    with pytest.raises(BackupDamaged):
        here.open(content[: len(MAGIC) + 2] + b"\xff\xff\xff\xff" + content[len(MAGIC) + 6 :])
    assert not asked


def sealed_lines(here: Place, *lines: Any) -> bytes:
    """A genuine file whose content nobody of ours wrote."""
    file, file_id = io.BytesIO(), os.urandom(32)
    assert here.vault is not None
    row = here.store.vault()
    assert row is not None
    key = here.vault.backup_key(file_id)
    writer = SealedWriter(file, id=here.vault.id, file_id=file_id, wraps=row.wraps, key=key)
    writer.write(b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines))
    writer.close()
    return file.getvalue()


def test_genuine_bytes_that_make_no_sense_are_refused(here: Place, content: bytes, tmp_path: Path) -> None:
    lines = lines_of(content)
    head = json.loads(lines[0])
    vault = lines.index(b'{"table":"vault"}\n')
    target = Backups(open_store(f"sqlite:///{tmp_path}/target.db"), lambda: None)
    whole = sealed_lines(here, *lines)
    target.open(io.BytesIO(whole), WORD)
    evil = {**head, "tables": {**head["tables"], "setting": ["name", "value) SELECT 1 --"]}}
    wrong: list[list[Any]] = [
        [],
        [b"[]\n"],
        [b"\xff\n"],
        [{"format": "bfai.backup/1"}],
        [{"format": "something"}],
        [{**head, "tables": {"sqlite_master": ["sql"]}}, *lines[1:]],
        [{**head, "made_at": "2026-11-21T09:00:00"}, *lines[1:]],
        [{**head, "step": 0}, *lines[1:]],
        [*lines[:-1]],
        [*lines, *lines[-1:]],
        [*lines[:vault], *lines[vault + 2 :]],  # a row less than is counted
        [b"[" * 100_000],
        [*lines[:-1], lines[-1].rstrip()],
    ]
    for case in wrong:
        with pytest.raises(BackupDamaged):
            target.open(io.BytesIO(sealed_lines(here, *case)), WORD)
    few = {**head, "tables": {"setting": head["tables"]["setting"]}}
    found, _ = target.open(io.BytesIO(sealed_lines(here, few, {"table": "setting"}, {"rows": {"setting": 0}})), WORD)
    with pytest.raises(BackupDamaged):  # not all the tables of its version
        target.restore(found)
    unnamed = {**head, "tables": {**head["tables"], "connection": ["id"]}}
    with pytest.raises(BackupDamaged):
        target.open(io.BytesIO(sealed_lines(here, unnamed, *lines[1:])), WORD)
    at = next(n for n, line in enumerate(lines) if line.startswith(b'{"table":"setting"')) + 1
    for row in (["s"], ["s", {"a": 1}], ["s", ["!"]], ["s", [1, 2]], [None, "1"], ["s", 2**70], ["s", "\ud800"]):
        spoiled = sealed_lines(here, *lines[:at], row, *lines[at + 1 :])
        found, _ = target.open(io.BytesIO(spoiled), WORD)
        with pytest.raises((BackupDamaged, StoreError)):
            target.restore(found)
    found, _ = target.open(io.BytesIO(sealed_lines(here, evil, *lines[1:])), WORD)
    with pytest.raises(StoreError):
        target.restore(found)
    assert target._store.vault() is None
    assert target._store.audit_entries() == []
    target._store.close()


def test_a_small_file_does_not_become_a_large_one_in_memory(here: Place) -> None:
    bomb = sealed_lines(here, b"[" + b" " * (200 * 1024 * 1024))
    assert len(bomb) < 1_000_000
    with pytest.raises(BackupDamaged):
        here.open(bomb)


def test_a_full_disk_leaves_no_half_backup(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BackupError) as refused:
        here.backups.make()
    assert translator("en").render(refused.value.message).startswith(f"The disk of {here.folder} is full. Free some")
    monkeypatch.undo()
    assert list(here.folder.iterdir()) == []
    assert here.backups.last.made_at is None


def test_what_was_written_wrong_is_noticed_before_it_has_its_name(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SealedWriter._put

    def put(writer: SealedWriter, chunk: bytes, *, last: bool) -> None:
        real(writer, chunk, last=last)
        file: Any = writer._file
        file.seek(-4, os.SEEK_CUR)
        file.write(b"spot")

    monkeypatch.setattr(SealedWriter, "_put", put)
    with pytest.raises(BackupDamaged):
        here.backups.make()
    monkeypatch.undo()
    assert list(here.folder.iterdir()) == []


# -- older versions ----------------------------------------------------------------------------------------------------


def test_a_backup_of_an_older_version_is_brought_up(here: Place, tmp_path: Path) -> None:
    old = open_old(tmp_path / "old.db", 1)
    tables = [table for table in TABLES if table.name in ("vault", "wrap", "setting", "connection", "secret", "audit")]
    here_: Any = here.store
    with old.together(), here_.together():
        for name in ("vault", "wrap"):
            columns = [column for column in old.columns(name) if column != "owner"]
            for row in here_.all_rows(name, columns, columns[0]):
                old.put_rows(name, [dict(zip(columns, row, strict=True))])
        columns = [name for name in old.columns("connection") if name not in ("pk", "owner")]
        row = next(here_.all_rows("connection", columns, "pk"))
        old.put_row("connection", {**dict(zip(columns, row, strict=True)), "report": None})
        file, file_id = io.BytesIO(), os.urandom(32)
        assert here.vault is not None
        wraps = here.store.vault().wraps  # pyright: ignore[reportOptionalMemberAccess]
        writer = SealedWriter(file, id=here.vault.id, file_id=file_id, wraps=wraps, key=here.vault.backup_key(file_id))
        head = {"made_at": NOW.isoformat(), "version": "0.0.1", "step": 1, "vault": here.vault.id}
        bfai.backup.write_rows(writer.write, old, head, tables)
        writer.close()
    old.close()
    target = open_store(f"sqlite:///{tmp_path}/target.db")
    backups = Backups(target, lambda: None)
    found, preview = backups.open(file, WORD)
    assert preview.version == "0.0.1"
    backups.restore(found)
    assert [one.name for one in target.connections()] == ["Main"]
    assert len(target.schedules()) == 1, "what came since is made for it"
    Vault.unlock(target, WORD)
    target.close()


def test_a_copy_lies_beside_the_database_before_its_tables_change(tmp_path: Path) -> None:
    path = tmp_path / "bfai.db"
    with contextlib.closing(open_old(path, 5)) as old, old.together():
        old.put_rows("setting", [{"name": "s", "value": "1"}])
    assert copies(path) == [], "one that is new has nothing to lose"
    for name in ("0003_x", "0004_y"):
        (tmp_path / f"bfai.db.before-{name}").touch()
    open_store(f"sqlite:///{path}").close()
    kept = copies(path)
    assert [one.name for one in kept] == ["bfai.db.before-0004_y", "bfai.db.before-0006_candles"]
    assert stat.S_IMODE(kept[-1].stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(kept[-1])) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
        assert db.execute("SELECT value FROM setting").fetchall() == [("1",)]
    open_store(f"sqlite:///{path}").close()
    assert copies(path) == kept, "nothing was changed, so nothing was copied"


def test_without_room_for_the_copy_the_tables_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bfai.db"
    open_old(path, 5).close()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreFull, match="no space left"):
        open_store(f"sqlite:///{path}")
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
    assert [one.name for one in tmp_path.iterdir() if ".before-" in one.name] == []
    open_store(f"sqlite:///{path}").close()


# -- the schedule ------------------------------------------------------------------------------------------------------


def change(place: Place, **values: int) -> None:
    bfai.backup.settings.change(place.store, NOW, values)


def automatic(place: Place) -> list[str]:
    return sorted(one.name for one in place.folder.glob(f"*-auto{SUFFIX}")) if place.folder.exists() else []


def test_the_schedule_types_no_password_and_keeps_so_many(here: Place) -> None:
    assert here.backups.run_due() is None, "never, unless it was set"
    change(here, backup_days=1, backups_kept=3)
    mine = here.backups.make().name
    for day in range(5):
        here.clock.time = NOW + timedelta(days=day)
        assert here.backups.run_due() is not None
        here.clock.time += timedelta(hours=5)
        assert here.backups.run_due() is None
    kept = automatic(here)
    assert len(kept) == 3
    assert [name.split("-")[2] for name in kept] == ["20261123", "20261124", "20261125"]
    assert (here.folder / mine).exists(), "one that was made by hand is nobody's to delete"
    here.open((here.folder / kept[-1]).read_bytes())
    here.vault = None
    here.clock.time += timedelta(days=9)
    assert here.backups.run_due() is None
    assert here.backups.last.problem is None


def test_two_programs_make_one_backup(here: Place, tmp_path: Path) -> None:
    change(here, backup_days=7)
    with contextlib.closing(open_store(f"sqlite:///{tmp_path}/here.db")) as store:
        other = Backups(store, lambda: here.vault, here.clock, home=here.folder)
        assert [here.backups.run_due() is None, other.run_due() is None] == [False, True]
        here.clock.time += timedelta(days=6)
        assert other.run_due() is None
        here.clock.time += timedelta(days=1)
        assert other.run_due() is not None
        here.clock.time -= timedelta(days=30)  # the clock was set back
        assert here.backups.run_due() is not None


def test_a_scheduled_backup_that_fails_says_so_and_comes_again(here: Place) -> None:
    change(here, backup_days=1)
    here.folder.write_text("a file where the folder should be")
    with pytest.raises(BackupError):
        here.backups.run_due()
    problem = here.backups.last.problem
    assert problem is not None
    assert "cannot be written" in problem.text
    assert here.backups.run_due() is None
    change(here, backup_days=0)
    assert here.backups.last.problem is None, "who wants none misses none"
    change(here, backup_days=1)
    here.folder.unlink()
    here.clock.time += timedelta(hours=1)
    assert here.backups.run_due() is not None
    assert here.backups.last.problem is None


def told_of(place: Place) -> list[Event]:
    return place.store.events(kinds=(EventKind.BACKUP_FAILED, EventKind.BACKUP_WORKS))[::-1]


def test_that_backups_fail_and_work_again_is_told_once_each(here: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    change(here, backup_days=1)
    here.backups.set_folder(str(disk))
    disk.rmdir()
    for _ in range(3):  # every hour
        with pytest.raises(BackupError):
            here.backups.run_due()
        assert here.backups.run_due() is None
        here.clock.time += timedelta(hours=1)
    assert not disk.exists(), "a disk that is not connected is nobody's to make"
    here.backups.make(to=tmp_path / "by hand")
    (failed,) = told_of(here)
    assert (failed.kind, failed.at, failed.details) == (EventKind.BACKUP_FAILED, NOW, (here.backups.last.problem,))
    disk.mkdir()
    assert here.backups.run_due() is not None
    here.clock.time += timedelta(days=1)
    assert here.backups.run_due() is not None
    works = told_of(here)[1]
    assert [one.kind for one in told_of(here)] == [EventKind.BACKUP_FAILED, EventKind.BACKUP_WORKS]
    for language in LANGUAGES:
        words = translator(language)
        said = [words.render(one) for one in (heading(failed), failed.text, *failed.details, *failed.todo, works.text)]
        assert str(disk) in said[2]
        assert all(said)
    here.clock.time += timedelta(days=1)
    disk.rename(tmp_path / "gone")
    with pytest.raises(BackupError):
        here.backups.run_due()
    assert len(told_of(here)) == 3, "it is another failure"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk of {} is full. Free some space"),
        (errno.EACCES, "may not write to {}. Allow it"),
        (errno.EROFS, "may not write to {}. Allow it"),
        (errno.EIO, "{} cannot be written: "),
        (None, "error in the program: ZeroDivisionError. Make one by hand"),
    ],
)
def test_whatever_keeps_a_scheduled_backup_from_being_made_is_told(
    number: int | None, said: str, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError if number is None else OSError(number, os.strerror(number))

    change(here, backup_days=1)
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ZeroDivisionError if number is None else BackupError):
        here.backups.run_due()
    (failed,) = told_of(here)
    assert said.format(here.folder) in translator("en").render(failed.details[0])


def test_a_vault_that_is_locked_meanwhile_is_no_failure(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it keep another program, whose vault is open, waiting for an hour."""
    change(here, backup_days=1)
    assert here.vault is not None
    dead = Vault(here.vault.id, b"another key" + bytes(21))
    elsewhere = Backups(here.store, lambda: dead, here.clock, home=here.folder)
    assert elsewhere.run_due() is None
    assert (here.backups.last.problem, told_of(here)) == (None, [])
    assert here.backups.run_due() is not None


def test_the_folder_is_tried_when_it_is_chosen(here: Place, tmp_path: Path) -> None:
    with pytest.raises(SettingRefused, match="whole path"):
        here.backups.set_folder("backups")
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="cannot be written"):
        here.backups.set_folder(str(tmp_path / "file" / "x"))
    assert here.backups.folder == here.folder
    here.backups.set_folder(f" {tmp_path}/other ")
    assert here.backups.folder == tmp_path / "other"
    here.backups.set_folder("")
    assert here.backups.folder == here.folder


def test_without_a_disk_it_is_downloaded(here: Place) -> None:
    hosted = Backups(here.store, lambda: here.vault, here.clock, keeps=False, home=here.folder)
    assert hosted.folder is None
    with pytest.raises(BackupError, match="Download the backup"):
        hosted.make()
    made = hosted.download()
    assert made.path is None
    here.open(made.content)
    change(here, backup_days=1)
    assert hosted.run_due() is None


def test_a_backup_keeps_nobody_waiting(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else writes while the rows are read, and the backup holds what was there when it began."""
    real, wrote = zlib.compressobj, False

    def while_it_is_made() -> Any:
        nonlocal wrote
        if not wrote:
            wrote = True
            here.store.set_setting("meanwhile", 1)
        return real()

    monkeypatch.setattr("bfai.sealed_file.zlib.compressobj", while_it_is_made)
    content = here.backups.download().content
    assert wrote
    found = here.open(content)
    assert "meanwhile" not in [row[0] for row in found.all_rows("setting", ["name"], "name")]


def test_every_refusal_is_a_sentence() -> None:
    for refusal in (NoBackup(), BackupDamaged(), BackupTooNew(), WrongBackupPassword(True), BackupExists(), NotSaved()):
        assert isinstance(refusal, BfaiError)
        assert refusal.message.text.endswith(".")


# -- the command line and the monitor ----------------------------------------------------------------------------------


def test_the_commands_make_check_and_restore(tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0, database: str = "here", **environment: str) -> Any:
        given = {
            "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/{database}.db",
            "BFAI_MASTER_PASSWORD": WORD,
            "BFAI_LANGUAGE": "en",
            "BFAI_BACKUP_PASSWORD": None,
            "BFAI_MASTER_PASSWORD_FILE": None,
        }
        found = CliRunner().invoke(main, arguments, env={**given, **environment})
        assert found.exit_code == code, found.output
        return found

    assert "no vault yet" in run("backup", "make", code=3).output
    run("vault", "init")
    done = run("backup", "make")
    made = Path(done.stdout.strip())
    assert "Prices fetched from exchanges are in no backup." in done.stderr
    assert made.parent == tmp_path / "backups"
    to = str(tmp_path / f"own{SUFFIX}")
    run("backup", "make", "--to", to, "--own-password", BFAI_BACKUP_PASSWORD=OWN)
    assert "It is left as it is" in run("backup", "make", "--to", to, code=1).output
    told = json.loads(run("backup", "check", "--json", str(made)).stdout)
    assert (told["format"], told["own_password"], told["holds"]["rows"]) == ("bfai.backup-check/1", False, 3)
    assert "Prices fetched from exchanges are in no backup." in run("backup", "check", str(made)).stderr
    assert "set BFAI_BACKUP_PASSWORD" in run("backup", "check", to, code=3).output
    assert "a password of its own" in run("backup", "check", to, code=3, BFAI_BACKUP_PASSWORD=WORD).output
    assert "does not open" in run("backup", "check", str(made), code=3, BFAI_MASTER_PASSWORD=OWN).output
    run("backup", "check", to, BFAI_BACKUP_PASSWORD=OWN)
    assert "There is a vault here already" in run("backup", "restore", str(made), code=1).output
    assert (
        "not the password"
        in run(
            "backup", "restore", "--replace", str(made), code=3, BFAI_BACKUP_PASSWORD=WORD, BFAI_MASTER_PASSWORD=OWN
        ).output
    )
    run("backup", "restore", "--replace", str(made))
    assert len(list(made.parent.glob(f"*before-restore{SUFFIX}"))) == 1
    assert "Only here" not in run("backup", "restore", to, database="there", BFAI_BACKUP_PASSWORD=OWN).output
    run("backup", "make", database="there")
    made.write_bytes(made.read_bytes()[:-1])
    assert "damaged or cut short" in run("backup", "check", str(made), code=1).output
    (tmp_path / "note.txt").write_text("hello")
    assert "no backup of the workbench" in run("backup", "check", str(tmp_path / "note.txt"), code=1).output


def test_a_monitor_makes_the_scheduled_backup(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    workbench = Workbench(store, mode=Mode.LOCAL, gateway=None, clock=clock, backup_home=tmp_path / "backups")
    with workbench:
        workbench.create_vault(WORD)
        workbench.change_settings(backup_days=1)
        monitor = Monitor(workbench, clock=clock)
        for minutes in (0, 10, 23 * 60, 24 * 60):
            clock.time = NOW + timedelta(minutes=minutes)
            monitor.step()
        assert len(list((tmp_path / "backups").iterdir())) == 2
        workbench.lock()
        clock.time += timedelta(days=2)
        monitor.step()
        assert len(list((tmp_path / "backups").iterdir())) == 2
