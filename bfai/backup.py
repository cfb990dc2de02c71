"""Backups: everything of one owner in one sealed file, made by hand or on a schedule, and put back from it.

What is in the vault stays sealed as it is; the file is sealed around it, under a key that the vault's password and
recovery code give, or under a password of its own. So an open vault is all that making one needs, and a schedule types
nothing. `docs/backup.md` tells the format and the reasons.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from bfai import settings
from bfai.about import VERSION
from bfai.events import backup_event
from bfai.i18n import N_
from bfai.model import AuditEntry, BfaiError, Message, utc_now
from bfai.sealed_file import (
    MOST,
    OWN,
    BackupDamaged,
    BackupError,
    BackupTooNew,
    Header,
    SealedWriter,
    read_header,
    unsealed,
    written_whole,
)
from bfai.store import Store, Wrap
from bfai.store.migrations import MIGRATIONS
from bfai.store.move import CANDLES, POINTED_AT, TABLES, Rows, Table, TargetUsed, carried, put
from bfai.store.sql import SqlStore
from bfai.store.sqlite import open_old, open_sqlite
from bfai.vault import DEFAULT_COST, MINIMUM_LENGTH, Vault, VaultLocked, file_key, fresh_wrap

FORMAT: Final = "bfai.backup/1"
SUFFIX: Final = ".bfaibackup"
LEFT_OUT: Final = N_("Prices fetched from exchanges are in no backup. They are fetched again when they are needed.")
DOWNLOAD_HOLDS: Final = timedelta(minutes=30)
"""For so long a backup that was downloaded counts as one of what is replaced."""
CLAIM_HOLDS: Final = timedelta(hours=1)
"""A scheduled backup that did not work, or was killed, is tried again after this."""

_STATE = "backup"  # the setting that says when the last one was made
_LONGEST_LINE = 64 * 1024 * 1024
_SLACK = timedelta(minutes=30)
_LEFT_BEHIND = timedelta(days=1)


class BackupExists(BackupError):
    """The database holds a vault already, and nobody said that it may be replaced."""

    def __init__(self) -> None:
        text = N_(
            "There is a vault here already, and nothing was changed. Choose to replace it, or restore into an empty"
            " database."
        )
        super().__init__(Message(text=text))


class NotSaved(BackupError):
    """What would be replaced is in no backup."""

    def __init__(self) -> None:
        text = N_("First make and download a backup of what is here now. Nothing was changed.")
        super().__init__(Message(text=text))


class WeakBackupPassword(BackupError):
    def __init__(self) -> None:
        text = N_("A backup's own password has at least {minimum} characters.")
        super().__init__(Message(text=text, params={"minimum": MINIMUM_LENGTH}))


class Made(NamedTuple):
    """A backup that was made and read again. `path` is None for one that is in `content` only."""

    name: str
    path: Path | None
    content: bytes
    rows: int
    size: int


class Contents(NamedTuple):
    """What there is of the things that people count; the first two are names."""

    connections: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    channels: int = 0
    tests: int = 0


class Preview(NamedTuple):
    """What a backup holds, beside what is here: None where that is nothing. `own` has a password of its own.
    `other_key`: it is of this vault, under another key than the present one.
    """

    made_at: datetime
    version: str
    own: bool
    rows: int
    there: Contents
    here: Contents | None
    same_vault: bool
    other_key: bool = False

    @property
    def warning(self) -> Message | None:
        """What somebody who replaces the vault that is here must know."""
        if self.here is not None and not self.same_vault:
            return Message(text=N_("It is of another vault, with its own master password."))
        if self.other_key:
            text = N_(
                "It was made under another key of this vault. That key, and the password and recovery code of then,"
                " hold again when it is restored: renew the key afterwards."
            )
            return Message(text=text)
        return None

    @property
    def only_there(self) -> tuple[str, ...]:
        """Connections that a replacement brings."""
        here = self.here.connections if self.here else ()
        return tuple(name for name in self.there.connections if name not in here)

    @property
    def only_here(self) -> tuple[str, ...]:
        """Connections that a replacement takes away."""
        here = self.here.connections if self.here else ()
        return tuple(name for name in here if name not in self.there.connections)


class Last(NamedTuple):
    """The last backup that was made, and why the last scheduled one was not."""

    made_at: datetime | None
    name: str
    problem: Message | None


# -- the rows in a file ------------------------------------------------------------------------------------------------


def _bytes_as_text(value: Any) -> list[str]:
    """No column holds a list, so a list is what bytes become."""
    return [base64.b64encode(value).decode("ascii")]


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_bytes_as_text).encode("ascii") + b"\n"


def write_rows(out: Callable[[bytes], object], source: Rows, head: dict[str, Any], tables: Sequence[Table]) -> int:
    """Everything of the source as lines, each table behind its name. How many rows.

    Candles are left out: with them a backup could become too large for the pages, and they can be fetched again. Their
    tables are named all the same, so that older versions take the file.
    """
    columns = {
        table.name: [
            name
            for name in source.columns(table.name)
            if name != "owner" and (name != "pk" or table.name in POINTED_AT)
        ]
        for table in tables
    }
    out(_line({"format": FORMAT, **head, "tables": columns}))
    counts: dict[str, int] = {}
    for table in tables:
        out(_line({"table": table.name}))
        count, waiting = 0, bytearray()
        for row in () if table.name in CANDLES else carried(source, table, columns[table.name]):
            waiting += _line(row)
            count += 1
            if len(waiting) > 65536:
                out(bytes(waiting))
                waiting.clear()
        out(bytes(waiting))
        counts[table.name] = count
    out(_line({"rows": counts}))
    return sum(counts.values())


class _Lines:
    """The lines of a sealed file, from its beginning to its genuine end."""

    def __init__(self, file: BinaryIO, header: Header, key: bytes) -> None:
        self._pieces = unsealed(file, header, key)

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._pieces:
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise BackupDamaged()
            yield from lines
        if rest:
            raise BackupDamaged()


class BackupFile:
    """A backup that was opened: its rows, as `bfai.store.move` asks for them. Shows nothing.

    Raises `BackupError` for whatever is wrong with it.
    """

    def __init__(self, file: BinaryIO, header: Header, key: bytes) -> None:
        self._file, self._header, self._key = file, header, key
        self._start = file.tell()
        self._rewind()
        with _as_damage():
            head = self._head
            if head.get("format") != FORMAT:
                raise BackupTooNew() if str(head.get("format")).startswith("bfai.backup/") else BackupDamaged()
            self.made_at = datetime.fromisoformat(head["made_at"])
            self.version = str(head["version"])
            self.vault_id = str(head["vault"])
            self.step = int(head["step"])
            self._columns: dict[str, list[str]] = {
                str(name): [str(column) for column in columns] for name, columns in head["tables"].items()
            }
            if self.made_at.tzinfo is None or self.step < 1:
                raise BackupDamaged()
        if self.step > len(MIGRATIONS):
            raise BackupTooNew()
        known = {table.name: table for table in TABLES}
        if not set(self._columns) <= set(known):
            raise BackupDamaged()
        self.tables = [table for table in TABLES if table.name in self._columns]
        self._places = {table.name: place for place, table in enumerate(self.tables)}
        self.header = header

    def __repr__(self) -> str:
        return "BackupFile(…)"

    @classmethod
    def open(cls, file: BinaryIO, typed: str) -> BackupFile:
        """From the file's beginning, with the password or the recovery code. One derivation, or two.

        Raises `BackupError`, `NoMemory`.
        """
        file.seek(0)
        header = read_header(file)
        return cls(file, header, header.key(typed))

    def columns(self, table: str) -> list[str]:
        with _as_damage():  # one that has not all the tables of its version
            return self._columns[table]

    def all_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[tuple[Any, ...]]:
        """In the order in which they were written, whatever `order` says. Candles, which older versions wrote, are not
        taken.
        """
        if table in CANDLES:
            return
        had = self.columns(table)
        with _as_damage():
            wanted, width = [had.index(name) for name in columns], len(had)
        for line in self._raw(table):
            with _as_damage():
                row = [_value(value) for value in json.loads(line)]
                if len(row) != width:
                    raise BackupDamaged()
            yield tuple(row[place] for place in wanted)

    def key_check(self) -> bytes | None:
        """What tells the vault's key in it from others; None where it does not say."""
        if "key_check" not in self._columns.get("vault", ()):
            return None
        return next((row[0] for row in self.all_rows("vault", ["key_check"], "")), None)

    def look_through(self) -> tuple[Contents, int]:
        """Read all of it, so that every bit is known to be genuine. What is in it, and how many rows."""
        names: dict[str, tuple[str, ...]] = {}
        rows = dict.fromkeys(self._columns, 0)
        for table in self.tables:
            if table.name in ("connection", "strategy"):
                names[table.name] = tuple(str(row[0]) for row in self.all_rows(table.name, ["name"], ""))
                rows[table.name] = len(names[table.name])
            else:
                rows[table.name] = sum(1 for _ in self._raw(table.name))
        if self._end != rows:
            raise BackupDamaged()
        connections, strategies = (tuple(sorted(names.get(name, ()))) for name in ("connection", "strategy"))
        contents = Contents(connections, strategies, rows.get("channel", 0), rows.get("run", 0))
        return contents, sum(rows.values())

    def _raw(self, table: str) -> Iterator[bytes]:
        """The lines of a table, which are not looked into."""
        place = self._places[table]
        if place <= self._at:
            self._rewind()
        while self._at < place:
            self._to_marker()
        for line in self._lines:
            if line[:1] != b"[":
                self._marker(line)
                return
            yield line
        raise BackupDamaged()

    def _rewind(self) -> None:
        self._file.seek(self._start)
        self._lines = iter(_Lines(self._file, self._header, self._key))
        self._at, self._end = -1, None
        with _as_damage():
            head: Any = json.loads(next(self._lines))
            if not isinstance(head, dict):
                raise BackupDamaged()
            self._head = cast("dict[str, Any]", head)

    def _to_marker(self) -> None:
        for line in self._lines:
            if line[:1] != b"[":
                self._marker(line)
                return
        raise BackupDamaged()

    def _marker(self, line: bytes) -> None:
        """Between two tables, or at the end, which must be the end."""
        with _as_damage():
            found = json.loads(line)
            if "rows" in found:
                self._end = {str(name): int(count) for name, count in found["rows"].items()}
                self._at = len(self.tables)
                if next(self._lines, None) is not None:
                    raise BackupDamaged()
                return
            if self._places[found["table"]] != self._at + 1:
                raise BackupDamaged()
            self._at += 1


def _value(value: Any) -> Any:
    if isinstance(value, list):
        (text,) = cast("list[Any]", value)
        return base64.b64decode(text, validate=True)
    if isinstance(value, dict):
        raise BackupDamaged()
    return value


@contextlib.contextmanager
def _as_damage() -> Generator[None]:
    """What only a hostile or broken writer leaves behind: genuine bytes that make no sense."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, StopIteration):
        raise BackupDamaged() from None


# -- making, looking, putting back -------------------------------------------------------------------------------------


class Backups:
    """The backups of one owner. `folder` is where they are kept, `home` where if no setting says; both None where
    nothing can be kept and a backup can only be downloaded.
    """

    def __init__(
        self,
        store: Store,
        vault: Callable[[], Vault | None],
        clock: Callable[[], datetime] = utc_now,
        *,
        keeps: bool = True,
        home: Path | None = None,
    ) -> None:
        self._store, self._vault, self._now = store, vault, clock
        self._home = home
        self._keeps = keeps
        self._downloaded: datetime | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def keeps(self) -> bool:
        """Whether there can be a folder; elsewhere backups are downloaded."""
        return self._keeps

    @property
    def folder(self) -> Path | None:
        """Where backups are put."""
        if not self._keeps:
            return None
        chosen = settings.read(self._store).backup_folder
        return Path(chosen).expanduser() if chosen else self._home

    def set_folder(self, typed: str) -> None:
        """Keep backups there from now on; nothing typed is the usual place. Raises `SettingRefused` for what is no
        whole path, `BackupError` where it cannot be written.
        """
        before = settings.read(self._store).backup_folder
        settings.change(self._store, self._now(), {"backup_folder": typed.strip() or None})
        folder = self.folder
        try:
            if folder is not None:
                with _plainly(folder):
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    with tempfile.TemporaryFile(dir=folder):
                        pass
        except BackupError:
            settings.change(self._store, self._now(), {"backup_folder": before})
            raise

    @property
    def last(self) -> Last:
        state = self._state()
        problem = state.get("problem") if settings.read(self._store).backup_days else None
        made_at = state.get("made_at")
        return Last(
            datetime.fromisoformat(made_at) if made_at else None,
            str(state.get("name", "")),
            Message.model_validate(problem) if problem else None,
        )

    def make(self, *, password: str | None = None, to: Path | None = None, mark: str = "") -> Made:
        """Make a backup in the folder, or at `to`; with `password` it opens with that one, else with the vault's.

        The vault has to be open. Raises `BackupError`, `VaultLocked`, `StoreError`; then there is no file.
        """
        if to is None:
            folder = self.folder
            if folder is None:
                raise BackupError(Message(text=N_("There is no folder for backups here. Download the backup instead.")))
            with _plainly(folder):
                if folder == self._home:
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                elif not folder.is_dir():  # one that was chosen may be a disk that is not connected
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            place, to = folder, folder / self.new_name(mark)
        elif to.exists():
            text = N_("There is a file {path} already. It is left as it is: choose another name.")
            raise BackupError(Message(text=text, params={"path": str(to)}))
        else:
            place = to.parent
        with self._one_at_a_time, _plainly(place), written_whole(to) as file:
            rows = self._write(file, password)
            size = file.tell()
        self._note(to.name, rows, mark)
        return Made(to.name, to, b"", rows, size)

    def download(self, *, password: str | None = None) -> Made:
        """The same, in memory, for where there is no folder."""
        with self._one_at_a_time, tempfile.TemporaryFile() as file:
            rows = self._write(file, password)
            file.seek(0)
            content = file.read()
        name = self.new_name()
        self._note(name, rows, "")
        self._downloaded = self._now()
        return Made(name, None, content, rows, len(content))

    def downloaded(self) -> None:
        """Somebody took a backup of this very vault away."""
        self._downloaded = self._now()

    def _write(self, file: BinaryIO, password: str | None) -> int:
        """Write it, and read it again from the disk to its end. How many rows."""
        vault = self._vault()
        if vault is None:
            raise VaultLocked()
        if password is not None and len(password) < MINIMUM_LENGTH:
            raise WeakBackupPassword()
        file_id = os.urandom(32)
        with _sql(self._store).long_look() as source:
            row = source.vault()
            if row is None or row.id != vault.id or row.key_check not in (None, vault.key_check):
                raise VaultLocked()  # of another key, nothing would open the file
            wraps: dict[str, Wrap]
            if password is None:
                id, key = vault.id, vault.backup_key(file_id)
                wraps = {kind: wrap for kind, wrap in row.wraps.items() if kind in ("password", "recovery")}
            else:
                id, root = file_id.hex(), os.urandom(32)
                key, wraps = (
                    file_key(root, file_id),
                    {OWN: fresh_wrap(file_id.hex(), root, password, DEFAULT_COST, OWN)},
                )
            if any(value > most for wrap in wraps.values() for value, most in zip(wrap[3:6], MOST, strict=True)):
                text = N_("The vault's password costs more than a backup may ask. Give the backup its own password.")
                raise BackupError(Message(text=text))
            writer = SealedWriter(file, id=id, file_id=file_id, wraps=wraps, key=key)
            head = {
                "made_at": self._now().isoformat(),
                "version": VERSION,
                "step": len(MIGRATIONS),
                "vault": vault.id,
            }
            count = write_rows(writer.write, source, head, TABLES)
            writer.close()
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if BackupFile(file, read_header(file), key).look_through()[1] != count:
            raise BackupDamaged()
        file.seek(0, os.SEEK_END)
        return count

    def open(self, file: BinaryIO, typed: str) -> tuple[BackupFile, Preview]:
        """Open a backup with its password, read all of it, and say what is in it. Raises `BackupError`, `NoMemory`."""
        found = BackupFile.open(file, typed)
        there, rows = found.look_through()
        row = self._store.vault()
        here = None if row is None else self._here()
        same = row is not None and row.id == found.vault_id
        checks = {None, row.key_check if row else None, found.key_check()}
        other_key = same and len(checks) > 2
        return found, Preview(found.made_at, found.version, found.header.own, rows, there, here, same, other_key)

    def _here(self) -> Contents:
        return Contents(
            tuple(sorted(one.name for one in self._store.connections())),
            tuple(sorted(one.name for one in self._store.strategies())),
            len(self._store.channels()),
            self._store.count_runs(),
        )

    def restore(self, found: BackupFile, *, replace: bool = False) -> int:
        """Put everything of a backup here, in one transaction and compared row by row. How many rows.

        With `replace` a vault that is here goes, all but the audit trail, after it was backed up itself: in the folder,
        for which it has to be open, or by a download of the last half hour. Lock the vault afterwards: another one may
        be here. Raises `BackupExists`, `NotSaved`, `BackupError`, `StoreError`, `VaultLocked`; then nothing changed.
        """
        target = _sql(self._store)
        found.look_through()
        if target.vault() is None:
            replace = False
        elif not replace:
            raise BackupExists()
        elif self.folder is not None:
            self.make(mark="before-restore")
        elif self._downloaded is None or not timedelta() <= self._now() - self._downloaded <= DOWNLOAD_HOLDS:
            raise NotSaved()
        try:
            with contextlib.ExitStack() as stack:
                source: Rows = found
                if found.step < len(MIGRATIONS):
                    source = stack.enter_context(self._brought_up(found))
                stack.enter_context(target.together())
                count = put(source, target, replace=replace)
                target.doubt_deliveries()
                detail: dict[str, str | int | float | bool | None] = {
                    "made_at": found.made_at.isoformat(),
                    "rows": count,
                    "replaced": replace,
                }
                target.audit(AuditEntry(at=self._now(), action="restored", subject=found.vault_id, detail=detail))
        except TargetUsed:
            raise BackupExists() from None
        except (ValueError, TypeError, OverflowError):  # what no column takes
            raise BackupDamaged() from None
        return count

    @contextlib.contextmanager
    def _brought_up(self, found: BackupFile) -> Generator[SqlStore]:
        """The rows of an older version, taken through the migrations that came since."""
        with tempfile.TemporaryDirectory(prefix="bfai-restore-") as folder:
            path = Path(folder) / "old.db"
            with contextlib.closing(open_old(path, found.step, self._now)) as old:
                put(found, old, tables=found.tables)
            with contextlib.closing(open_sqlite(str(path), clock=self._now)) as new, new.long_look() as source:
                yield source

    # The schedule

    def run_due(self) -> Made | None:
        """Make the scheduled backup if it is due, the vault is open and nobody else is at it; then old ones go.

        What goes wrong is kept for `last` and raised; that it begins and that it ends is an event.
        """
        wanted = settings.read(self._store)
        folder = self.folder
        if not wanted.backup_days or folder is None or self._vault() is None:
            return None
        now = self._now()
        with self._store.together():
            state = self._state()
            if not _is_due(state, now, timedelta(days=wanted.backup_days)):
                return None
            self._store.set_setting(_STATE, {**state, "begun_at": now.isoformat()})
        try:
            made = self.make(mark="auto")
        except VaultLocked:  # it was locked meanwhile, or has another key now: whoever has it open is not kept waiting
            with self._store.together():
                self._store.set_setting(_STATE, {**self._state(), "begun_at": state.get("begun_at")})
            return None
        except Exception as error:
            self._fail(error)
            raise
        self._prune(folder, wanted.backups_kept)
        return made

    def _fail(self, error: Exception) -> None:
        """Take note that the scheduled backup was not made. The first time is an event."""
        text = N_("It broke off because of an error in the program: {kind}. Make one by hand, and report the error.")
        params: dict[str, str | int | float] = {"kind": type(error).__name__}
        problem = error.message if isinstance(error, BfaiError) else Message(text=text, params=params)
        with self._store.together():
            state = self._state()
            self._store.set_setting(_STATE, {**state, "problem": problem.model_dump(mode="json")})
            if not state.get("problem"):
                self._store.add_events([backup_event(self._now(), problem)])

    def _note(self, name: str, rows: int, mark: str) -> None:
        now = self._now()
        with self._store.together():
            state = {**self._state(), "made_at": now.isoformat(), "name": name}
            if mark == "auto":
                if state.get("problem"):
                    self._store.add_events([backup_event(now, None)])
                state |= {"auto_at": now.isoformat(), "problem": None}
            self._store.set_setting(_STATE, state)
            self._store.audit(
                AuditEntry(at=now, action="backup_made", subject=name, detail={"rows": rows, "kind": mark or "by hand"})
            )

    def _state(self) -> dict[str, Any]:
        state = self._store.setting(_STATE)
        return cast("dict[str, Any]", state) if isinstance(state, dict) else {}

    def new_name(self, mark: str = "") -> str:
        """A file name that tells which vault and when, and sorts by time."""
        ending = f"-{mark}" if mark else ""
        return f"{self._prefix()}{self._now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}{ending}{SUFFIX}"

    def _prefix(self) -> str:
        row = self._store.vault()
        return f"bfai-{row.id[:8] if row else 'none'}-"

    def _prune(self, folder: Path, keep: int) -> None:
        """The oldest scheduled ones of this vault go, and what a killed program left half written."""
        pattern = re.compile(re.escape(self._prefix()) + r"\d{8}-\d{6}-[0-9a-f]{4}-auto" + re.escape(SUFFIX))
        with contextlib.suppress(OSError):
            names = sorted(one.name for one in folder.iterdir())
            for name in [name for name in names if pattern.fullmatch(name)][:-keep]:
                (folder / name).unlink(missing_ok=True)
            for name in names:
                left = name.startswith(self._prefix()) and f"{SUFFIX}.part-" in name
                if left and self._now().timestamp() - (folder / name).stat().st_mtime > _LEFT_BEHIND.total_seconds():
                    (folder / name).unlink(missing_ok=True)


def _is_due(state: dict[str, Any], now: datetime, every: timedelta) -> bool:
    done, begun = (datetime.fromisoformat(state[key]) if state.get(key) else None for key in ("auto_at", "begun_at"))
    if begun is not None and timedelta() <= now - begun < CLAIM_HOLDS:
        return False
    return done is None or done > now or now - done >= every - _SLACK


def default_folder(database: Path, owner: str) -> Path:
    """Where the backups of a database in a file are kept unless somebody says otherwise."""
    home = database.absolute().parent / "backups"
    return home if owner == "local" else home / hashlib.sha256(owner.encode()).hexdigest()[:16]


def _sql(store: Store) -> SqlStore:
    if not isinstance(store, SqlStore):
        raise TypeError("only what speaks SQL can be backed up")
    return store


_FULL = N_("The disk of {path} is full. Free some space, or choose another folder for backups.")
_FORBIDDEN = N_("This program may not write to {path}. Allow it to your user, or choose another folder for backups.")
_GONE = N_("The folder {path} is not there. Connect its disk, or choose another folder for backups.")
_REASONS: Mapping[int, str] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.ENOENT: _GONE,
}


@contextlib.contextmanager
def _plainly(path: Path) -> Generator[None]:
    """Turn what the system says of a file into what the trader can act on."""
    try:
        yield
    except OSError as error:
        other = N_("{path} cannot be written: {reason}. Choose another folder, or free some space, then try again.")
        text = _REASONS.get(error.errno or 0, other)
        params: dict[str, str | int | float] = {"path": str(path), "reason": error.strerror or type(error).__name__}
        raise BackupError(Message(text=text, params=params)) from error
