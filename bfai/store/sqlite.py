"""The store in one SQLite file, or in memory.

One connection serves all threads behind one lock: a Streamlit page runs in a thread of its own every time, and every
statement here takes far less than opening a connection would. Other processes are kept apart by SQLite itself (WAL, and
a busy timeout), and while the tables are made or changed by a lock file beside the database.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from bfai.i18n import N_
from bfai.model import Message, utc_now
from bfai.store import (
    Place,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreTooNew,
    StoreUnreachable,
    migrations,
)
from bfai.store.packing import repacked
from bfai.store.sql import Found, SqlStore, insertion

APPLICATION_ID: Final = 0x62666169  # "bfai": says in the file's header whose it is
BUSY_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
COPIES_KEPT: Final = 2
"""So many copies from before migrations stay beside the database."""

_HEADER = b"SQLite format 3\x00"


def open_sqlite(path: str | None, *, owner: str = "local", clock: Callable[[], datetime] = utc_now) -> SqliteStore:
    """Open the file at `path`, or a database in memory for None. Raises `StoreError`; see `bfai.store.open_store`."""
    if sqlite3.sqlite_version_info < (3, 37):
        text = N_("SQLite {found} is too old; 3.37 is needed. Install a newer Python.")
        raise StoreUnreachable(Message(text=text, params={"found": sqlite3.sqlite_version}))
    if path is None:
        return _open(":memory:", None, owner, clock)
    file = Path(path).expanduser().absolute()
    _make_file(file)
    return _open(str(file), file, owner, clock)


def open_old(path: Path, step: int, clock: Callable[[], datetime] = utc_now) -> SqliteStore:
    """A new database as it was after so many migrations, for the rows of an old backup: only `bfai.store.move` can use
    it. `open_sqlite` takes it from there.
    """
    _make_file(path)
    return _open(str(path), path, "local", clock, step)


def _open(
    place: str, file: Path | None, owner: str, clock: Callable[[], datetime], step: int | None = None
) -> SqliteStore:
    with _plainly(file):
        db = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with _plainly(file):
            _make_ready(db, file, step)
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA synchronous = FULL")  # what was said to be saved is saved, also when the power fails
        return SqliteStore(db, file, owner, clock)
    except BaseException:
        db.close()
        raise


# Making the file and its tables


def _make_file(file: Path) -> None:
    """Create what is missing, for nobody else's eyes. SQLite gives its side files the mode of the file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For writing: SQLite would open a read-only file, too, and leave side files that nobody may write.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except (OSError, ValueError) as error:  # a path with a zero character is a ValueError
        refused = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        read_only = refused and not os.path.isdir(file)  # unlike Path.is_dir, false where it may not look
        raise _read_only(file) if read_only else _unreachable(file) from error
    try:
        head = os.read(descriptor, len(_HEADER))
    finally:
        os.close(descriptor)
    if head and head != _HEADER:
        raise _damaged(file)


class _Found(NamedTuple):
    application: int
    version: int
    tables: frozenset[str]
    migrations: int

    @property
    def empty(self) -> bool:
        return not self.tables and self.application in (0, APPLICATION_ID)


def _look(db: sqlite3.Connection) -> _Found:
    tables = frozenset(row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
    application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    migrations = 0
    if application == APPLICATION_ID and "_sqlite_migrations" in tables:
        count = "SELECT count(*) FROM _sqlite_migrations WHERE migration_set = 'bfai'"
        migrations = db.execute(count).fetchone()[0]
    return _Found(application, version, tables, migrations)


def _make_ready(db: sqlite3.Connection, file: Path | None, step: int | None = None) -> None:
    found = _judge(_look(db), file)
    if found.version == (step or len(migrations.MIGRATIONS)):
        if file is not None:
            _hide(file)
        return
    if file is None:
        _migrate(db, step)
        return
    from filelock import FileLock, Timeout

    try:
        # Two processes that start together would both make the tables: sqlite-utils looks first and acts after.
        with FileLock(f"{file}.lock", timeout=MIGRATION_SECONDS, mode=0o600):
            found = _judge(_look(db), file)
            _hide(file)
            db.execute("PRAGMA journal_mode = WAL")
            if 0 < found.version < (step or len(migrations.MIGRATIONS)):
                _copy_aside(db, file, found.version)
            _migrate(db, step)
    except Timeout as error:
        raise _locked(file) from error
    except PermissionError as error:
        raise _read_only(file) from error


def _judge(found: _Found, file: Path | None) -> _Found:
    """Refuse what is not ours, or not ours yet."""
    if found.application != APPLICATION_ID and not found.empty:
        raise _foreign(file)
    if max(found.version, found.migrations) > len(migrations.MIGRATIONS):
        raise _too_new(file)
    return found


def copies(file: Path) -> list[Path]:
    """The copies that were made before migrations, the oldest first."""
    found = (one for one in file.parent.glob(f"{glob.escape(file.name)}.before-*") if one.suffix != ".part")
    return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))


def _copy_aside(db: sqlite3.Connection, file: Path, version: int) -> None:
    """A copy of the whole database beside it, before its tables are changed. It has its name once it is whole."""
    name = migrations.MIGRATIONS[version].name  # of the first that is to come
    copy = file.with_name(f"{file.name}.before-{name}")
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as target:
            db.backup(target)
            sound = target.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        if not sound:
            raise _damaged(file)
        os.replace(part, copy)
    except OSError as error:
        raise _full(file) if error.errno in (errno.ENOSPC, errno.EDQUOT) else _read_only(copy) from error
    finally:
        part.unlink(missing_ok=True)
    for old in copies(file)[:-COPIES_KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()


def _migrate(db: sqlite3.Connection, until: int | None = None) -> None:
    # Only where a database is new or old: sqlite-utils brings pandas with it, which takes longer than all else here.
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.create_function("repacked", 2, repacked, deterministic=True)
    steps = Migrations("bfai")
    for number, migration in enumerate(migrations.MIGRATIONS[:until], 1):

        @steps(name=migration.name)
        def step(_: Database, number: int = number, statements: Sequence[str] = migration.sqlite) -> None:
            for statement in statements:
                db.execute(statement)
            # So that opening sees without sqlite-utils whether there is anything to do.
            db.execute(f"PRAGMA user_version = {number}")

        del step
    steps.apply(Database(db, execute_plugins=False))


def _hide(file: Path) -> None:
    """Take everybody else's rights away, where we may."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            place = f"{file}{suffix}"
            if os.stat(place).st_mode & 0o077:
                os.chmod(place, 0o600)


# Errors


@contextlib.contextmanager
def _plainly(file: Path | None) -> Generator[None]:
    """Turn what SQLite says into what the trader can act on."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, file) from error
    except UnicodeDecodeError:  # text that is none any more: its error would hold it
        raise _damaged(file) from None


def _translated(error: sqlite3.Error, file: Path | None) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    makers = {
        sqlite3.SQLITE_BUSY: _locked,
        sqlite3.SQLITE_LOCKED: _locked,
        sqlite3.SQLITE_READONLY: _read_only,
        sqlite3.SQLITE_PERM: _read_only,
        sqlite3.SQLITE_CORRUPT: _damaged,
        sqlite3.SQLITE_NOTADB: _damaged,
        sqlite3.SQLITE_FULL: _full,
        sqlite3.SQLITE_CANTOPEN: _cannot_open,
    }
    if code in makers:
        return makers[code](file)
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:  # the first to need space at an opening
        return _full(file)
    if "decode to UTF-8" in str(error) or "malformed" in str(error):
        return _damaged(file)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreClosed(Message(text=N_("The database is closed. Open the program again.")))
    text = N_("The database {file} cannot be used: {reason}. Nothing of this change is stored.")
    return StoreError(Message(text=text, params={"file": _shown(file), "reason": str(error)}))


def _shown(file: Path | None) -> str:
    return str(file) if file else "memory"


def _damaged(file: Path | None) -> StoreError:
    text = N_(
        "{file} is not a database, or a damaged one. It is left as it is. Put a backup in its place, or move it away."
    )
    return StoreDamaged(Message(text=text, params={"file": _shown(file)}))


def _foreign(file: Path | None) -> StoreError:
    text = N_(
        "{file} is the database of another program. It is left as it is. Choose another file in BFAI_DATABASE_URL."
    )
    return StoreForeign(Message(text=text, params={"file": _shown(file)}))


def _too_new(file: Path | None) -> StoreError:
    text = N_("{file} was written by a newer version of this program. Update the program to open it.")
    return StoreTooNew(Message(text=text, params={"file": _shown(file)}))


def _read_only(file: Path | None) -> StoreError:
    text = N_(
        "This program may not write to {file}. Give yourself the right to write to the file and to its directory."
    )
    return StoreReadOnly(Message(text=text, params={"file": _shown(file)}))


def _full(file: Path | None) -> StoreError:
    text = N_("There is no space left for {file}. Nothing of this change is stored. Free some space, then try again.")
    return StoreFull(Message(text=text, params={"file": _shown(file)}))


def _locked(file: Path | None) -> StoreError:
    text = N_(
        "Another program holds {file}. Nothing of this change is stored. Close the other program, then try again."
    )
    return StoreLocked(Message(text=text, params={"file": _shown(file)}))


def _unreachable(file: Path | None) -> StoreError:
    text = N_("{file} cannot be opened or created. Check the path in BFAI_DATABASE_URL.")
    return StoreUnreachable(Message(text=text, params={"file": _shown(file)}))


def _cannot_open(file: Path | None) -> StoreError:
    """SQLite cannot make its side files in a directory that is read-only."""
    return _read_only(file) if file is not None and os.path.isfile(file) else _unreachable(file)


class SqliteStore(SqlStore):
    """`bfai.store.Store` on one SQLite database. Made by `open_sqlite`."""

    def __init__(
        self, db: sqlite3.Connection, file: Path | None, owner: str, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(owner, clock)
        self._db = db
        self._file = file
        self._traces = self._in_vain = True  # perhaps another program left some; opening waits for nobody
        db.row_factory = sqlite3.Row
        self._owner = self._owner_row(owner)

    def __repr__(self) -> str:
        return f"SqliteStore({_shown(self._file)!r}, owner={self._owner_name!r})"

    @property
    def ephemeral(self) -> bool:
        return self._file is None

    @property
    def overwrites(self) -> bool:
        return True

    def place(self) -> Place | None:
        if self._file is None:
            return None
        size = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):  # a log that was just taken up into the file
                size += os.stat(f"{self._file}{suffix}").st_size
        return Place(str(self._file.absolute()), size)

    def close(self) -> None:
        with self._lock:
            if self._traces:
                self._erase_traces()
            self._db.close()

    def version(self) -> Hashable:
        with self._reading():
            return self._db.execute("PRAGMA data_version").fetchone()[0], self._db.total_changes

    def _owner_row(self, name: str) -> int:
        """The owner's number. Taking the write lock here finds a file that may not be written at once."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO owner (name) VALUES (?)", (name,))
            return self._db.execute("SELECT pk FROM owner WHERE name = ?", (name,)).fetchone()[0]

    @contextlib.contextmanager
    def _writing(self) -> Generator[None]:
        with self._lock, _plainly(self._file):
            part = self._db.in_transaction
            self._db.execute("SAVEPOINT part" if part else "BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("RELEASE part" if part else "COMMIT")
            except BaseException:
                self._forget()
                if self._db.in_transaction:  # else SQLite took all of it back
                    self._db.execute("ROLLBACK TO part" if part else "ROLLBACK")
                    if part:
                        self._db.execute("RELEASE part")
                raise
        if self._traces and not part:
            self._erase_traces()

    @contextlib.contextmanager
    def _reading(self) -> Generator[None]:
        with self._lock, _plainly(self._file):
            yield

    @contextlib.contextmanager
    def _snapshot(self) -> Generator[None]:
        with self._reading():
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")

    @contextlib.contextmanager
    def long_look(self) -> Generator[SqlStore]:
        if self._file is None:
            with self._snapshot():
                yield self
            return
        other = _open(str(self._file), self._file, self._owner_name, self._clock)
        try:
            with contextlib.closing(other), other._snapshot():
                yield other
        finally:
            self._erase_traces()  # what was deleted meanwhile was still to be read

    def _execute(self, sql: str, values: dict[str, Any], *, plain: bool = False) -> Found:
        cursor = self._db.execute(sql, values)
        if plain:
            cursor.row_factory = None
        return cursor

    def all_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE owner = :owner ORDER BY {order}"
        yield from self._execute(query, {"owner": self._owner}, plain=True)

    def put_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        self._db.executemany(insertion(table, rows[0]), ({**row, "owner": self._owner} for row in rows))

    def _list(self, values: Collection[Any]) -> str:
        return json.dumps(list(values))

    def _erase_traces(self) -> None:
        """What was overwritten or deleted must not live on in the write-ahead log. It does while another program reads;
        then every change tries again until it is gone, and only the first try waits for the reader.
        """
        with contextlib.suppress(sqlite3.Error), self._lock:
            self._traces = True
            if self._db.in_transaction:  # at its end
                return
            self._db.execute(f"PRAGMA busy_timeout = {0 if self._in_vain else round(BUSY_SECONDS * 1000)}")
            try:
                (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._traces = self._in_vain = bool(busy)  # a reader is no error
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")

    def forget_all(self) -> None:
        if self._file is not None:
            for copy in copies(self._file):
                copy.unlink(missing_ok=True)
        super().forget_all()  # zeros are written over all of it, and only then the file becomes small
        with contextlib.suppress(sqlite3.Error), self._lock:
            if not self._db.in_transaction:
                self._db.execute("VACUUM")
        self._erase_traces()
