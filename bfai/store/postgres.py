"""The store in PostgreSQL.

Everything lies in a schema of its own, `bfai`, which no other program of the database sees by accident. What a
transaction needs is set for that transaction only (`SET LOCAL`), so that poolers such as PgBouncer may stand between.

Two walls stand between the rows of two owners: every statement names its owner, and row-level security shows a
transaction only the rows of the owner that it was begun for. Without one it sees nothing.

A transaction that writes holds the row of its owner, so that nobody else writes the owner's rows meanwhile: what was
looked at within it still holds when it ends, as in SQLite, and two of them cannot wait for each other. One that reads
sees one state of everything. So none of them fails for having met another one.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, LiteralString, NamedTuple, cast

import psycopg
from psycopg import conninfo, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8Dumper

from bfai.i18n import N_
from bfai.model import Message, utc_now
from bfai.store import (
    SET_BACK,
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
from bfai.store.sql import Found, SqlStore, insertion, micros

SCHEMA: Final = "bfai"
LOWEST: Final = 13  # the oldest PostgreSQL that its makers still mend
MOST_CONNECTIONS: Final = 8  # of one process to one database
BUSY_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0

_log = logging.getLogger("bfai.store")

_MIGRATION_LOCK = 0x62666169  # "bfai"
_PATH = f"SET LOCAL search_path = {SCHEMA}, pg_temp"
# What libpq is told unless the address says otherwise. Times are seconds, but `tcp_user_timeout` milliseconds.
_SETTINGS = {
    "application_name": "bfai",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "tcp_user_timeout": "30000",
}

_Db = psycopg.Connection[Any]


class Address(NamedTuple):
    """Where a database is. `shown` is what may be shown of it: never a password. `discreet`: nothing may, and what goes
    wrong with it stands in the log only.
    """

    given: dict[str, Any]
    shown: str
    discreet: bool = False

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"


def open_postgres(
    url: str, *, owner: str = "local", clock: Callable[[], datetime] = utc_now, discreet: bool = False
) -> PostgresStore:
    """Open the database at `url`; see `bfai.store.open_store`. Raises `StoreError`."""
    address = read_address(url)._replace(discreet=discreet)
    pool = _Pool.of(address)
    try:
        with _plainly(address):
            _make_ready(pool)
            return PostgresStore(pool, owner, clock)
    except BaseException as error:
        pool.leave()
        if isinstance(error, StoreError):
            raise _as_told(error, address) from None
        raise


def read_address(url: str) -> Address:
    """What libpq reads in a URL. Raises `StoreUnreachable`, without the URL, where it reads nothing or where a sign in
    the password could make it take a part of it for something else.
    """
    rest = url.partition("://")[2]
    head = rest.partition("/")[0]
    user = head.partition("@")[0] if "@" in head else ""  # libpq reads on to the first @, whatever stands before it
    place = rest[len(user) :].removeprefix("@").partition("?")[0]
    try:
        if {"?", "#"} & {*user} or "@" in place:
            raise ValueError
        given = {name: value for name, value in conninfo.conninfo_to_dict(url).items() if value is not None}
        port = str(given.get("port", ""))
        if not re.fullmatch(r"[0-9,]*", port):
            raise ValueError
        for host in str(given.get("host", "")).split(","):
            if not host.startswith(("/", "@")):  # those are sockets
                host.encode("idna")  # as it is looked up: with a part that is empty or too long it is no name
    except (ValueError, psycopg.Error):
        text = N_(
            "This is no address of a PostgreSQL database. Write postgresql://user:password@host/database in"
            " BFAI_DATABASE_URL, with the signs @ : / ? # in the password percent-encoded."
        )
        raise StoreUnreachable(Message(text=text)) from None  # what libpq says holds a part of the URL
    server = f"{given.get('host', 'localhost')}{port and ':'}{port}"
    return Address(_with_trust(given), f"{server}/{given.get('dbname', '')}")


_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def _with_trust(given: dict[str, Any]) -> dict[str, Any]:
    """With the authorities that this computer trusts where `sslrootcert=system` asks for them: the OpenSSL within
    psycopg's ready-made package looks for them in a place of its own, where nobody has put any.
    """
    weaker = given.get("sslmode", "verify-full") != "verify-full"  # which libpq refuses by itself
    told = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if given.get("sslrootcert") != "system" or weaker or told:
        return given
    import certifi

    bundle = next((place for place in _BUNDLES if Path(place).is_file()), certifi.where())
    return {**given, "sslmode": "verify-full", "sslrootcert": bundle}


# Connections


def _connect(address: Address) -> _Db:
    info = conninfo.make_conninfo(**{**_SETTINGS, **address.given})
    db: _Db = psycopg.connect(info, autocommit=True)  # every transaction is begun by hand
    # Whole numbers all alike, so that their size never makes another statement.
    db.adapters.register_dumper(int, Int8Dumper)
    return db


class _Pool:
    """The connections of this process to one database, for all stores there.

    psycopg's own pool connects in the background, with a growing pause after each failure: who waits for it never
    learns why there is no connection, and a database that is back would not be found for minutes.
    """

    _all: ClassVar[dict[str, _Pool]] = {}
    _all_lock: ClassVar = threading.Lock()

    @classmethod
    def of(cls, address: Address) -> _Pool:
        """That of the address, for one user more."""
        key = repr((address.discreet, sorted(address.given.items())))
        with cls._all_lock:
            pool = cls._all.setdefault(key, cls(key, address))
            pool._users += 1
            return pool

    def __init__(self, key: str, address: Address) -> None:
        self.address = address
        self._key = key
        self._users = 0
        self.prepares = True
        self._idle: list[_Db] = []
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def leave(self) -> None:
        with self._all_lock:
            self._users -= 1
            if self._users == 0:
                del self._all[self._key]
                while self._idle:
                    self._idle.pop().close()

    @contextlib.contextmanager
    def begun(self, beginning: str) -> Generator[_Db]:
        """A connection on which these statements, which begin a transaction, were run."""
        if not self._room.acquire(timeout=BUSY_SECONDS):
            raise _as_told(_busy(self.address), self.address)
        try:
            db = self._begin(beginning)
            try:
                yield db
            finally:
                self._take_back(db)
        finally:
            self._room.release()

    def _begin(self, beginning: str) -> _Db:
        while True:
            try:
                db, fresh = self._idle.pop(), False
            except IndexError:
                db, fresh = _connect(self.address), True
            try:
                db.prepare_threshold = 2 if self.prepares else None
                _say(db, beginning)
                return db
            except psycopg.Error:
                # One that was idle may have ended long ago, with a restart of the database: nothing was done yet.
                again = db.broken and not fresh
                self._take_back(db)
                if not again:
                    raise

    def _take_back(self, db: _Db) -> None:
        if not db.closed and db.info.transaction_status is not TransactionStatus.IDLE:
            with contextlib.suppress(psycopg.Error):
                _say(db, "ROLLBACK")
        if db.closed or db.info.transaction_status is not TransactionStatus.IDLE or self._users == 0:
            db.close()
        else:
            self._idle.append(db)


def _say(db: _Db, sql: str, values: Sequence[Any] | None = None) -> psycopg.Cursor[Any]:
    """Run statements of ours, several at once where there are no values."""
    return db.execute(cast("LiteralString", sql), values)


def _one(db: _Db, sql: str, values: Sequence[Any] | None = None) -> Sequence[Any]:
    """The one row that these find."""
    row = _say(db, sql, values).fetchone()
    assert row is not None
    return row


def _begin_here() -> str:
    """Where our tables are; and whoever waits for a lock, a reader too, gives up. What only takes long may."""
    return f"{_PATH}; SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"


_SIZE = f"""SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_catalog.pg_class
    WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relkind IN ('r', 'p')"""


# Making the tables


class _State(NamedTuple):
    """What is in the database: which migration it has reached, and how many tables are without their wall."""

    server: int
    role: str
    sees_all: bool
    tables: int
    migration: int | None
    bare: int

    @property
    def ready(self) -> bool:
        return self.migration == len(migrations.MIGRATIONS) and not self.bare


_OWNED = f"""SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('{SCHEMA}')
    AND c.relkind IN ('r', 'p') AND (c.relname = 'owner' OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attname = 'owner' AND NOT a.attisdropped))"""
_STATE = f"""SELECT current_setting('server_version_num')::int / 10000, r.rolname, r.rolsuper OR r.rolbypassrls,
    (SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')
        AND relkind IN ('r', 'p', 'v', 'm', 'f')),
    (SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')
        AND relname = 'migration'),
    (SELECT count(*) FROM ({_OWNED} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)) AS bare)
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user"""


def _look(db: _Db) -> _State:
    (server, role, sees_all, tables, ours, bare), migration = _one(db, _STATE), None
    if ours:
        (migration,) = _one(db, f"SELECT coalesce(max(number), 0) FROM {SCHEMA}.migration")
    return _State(server, role, sees_all, tables, migration, bare)


def _make_ready(pool: _Pool) -> None:
    with pool.begun(f"BEGIN READ ONLY; {_begin_here()}") as db:
        found = _judged(_look(db), pool.address)
    while not found.ready:
        # Each migration by itself. Where PostgreSQL ends it because it met one that reads, it comes again.
        with contextlib.suppress(errors.DeadlockDetected), pool.begun("BEGIN ISOLATION LEVEL READ COMMITTED") as db:
            found = _migrate(db, pool.address)


def _judged(found: _State, address: Address) -> _State:
    """Refuse what is not ours, not ours yet, or cannot keep people apart."""
    if found.server < LOWEST:
        text = N_("PostgreSQL {found} is too old; {needed} is needed. Update the server.")
        raise StoreUnreachable(Message(text=text, params={"found": found.server, "needed": LOWEST}))
    if found.sees_all:
        text = N_(
            "The user {role} of {database} passes over row-level security, which keeps the rows of different people"
            " apart. Put a user in BFAI_DATABASE_URL that is neither a superuser nor has BYPASSRLS."
        )
        raise StoreUnreachable(Message(text=text, params={"role": found.role, "database": address.shown}))
    if found.migration is None and found.tables:
        text = N_(
            "The schema bfai of {database} belongs to another program. It is left as it is. Choose another database in"
            " BFAI_DATABASE_URL."
        )
        raise StoreForeign(Message(text=text, params={"database": address.shown}))
    if found.migration is not None and found.migration > len(migrations.MIGRATIONS):
        text = N_("{file} was written by a newer version of this program. Update the program to open it.")
        raise StoreTooNew(Message(text=text, params={"file": address.shown}))
    return found


def _migrate(db: _Db, address: Address) -> _State:
    """Take one step, or none where somebody else took it meanwhile. What is reached then."""
    _say(db, f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'")
    _say(db, f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    found = _judged(_look(db), address)
    if found.ready:
        return found
    if found.migration is None:
        if _one(db, f"SELECT to_regnamespace('{SCHEMA}')")[0] is None:
            _say(db, f"CREATE SCHEMA {SCHEMA}")
        _say(db, f"CREATE TABLE {SCHEMA}.migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, at TIMESTAMPTZ)")
    _say(db, _PATH)
    number = found.migration or 0
    if number < len(migrations.MIGRATIONS):
        # The tables' own role sees every row while it changes the tables.
        for table in _owned(db):
            _say(db, f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        migration = migrations.MIGRATIONS[number]
        for statement in migration.postgresql:
            _say(db, in_postgresql(statement))
        number += 1
        _say(db, "INSERT INTO migration VALUES (%s, %s, now())", (number, migration.name))
    for table in _owned(db):
        _put_up_wall(db, table)
    _say(db, "COMMIT")
    return found._replace(migration=number, bare=0)


def _owned(db: _Db) -> list[str]:
    return [row[0] for row in _say(db, _OWNED)]


_OWN = "(SELECT nullif(current_setting('bfai.owner', true), '')::bigint)"
_PARENTS = """SELECT a.attname, p.relname, b.attname FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
    WHERE k.contype = 'f' AND k.conrelid = to_regclass(%s) AND p.relname <> 'owner'"""


def _put_up_wall(db: _Db, table: str) -> None:
    """Row-level security, which holds for the role that owns the table, too. A new row hangs on own rows only."""
    own = f"owner = {_OWN}"
    if table == "owner":
        own = f"pk = {_OWN} OR name = current_setting('bfai.owner_name', true)"
    check = own
    for column, parent, key in _say(db, _PARENTS, (f"{SCHEMA}.{table}",)):
        there = f"EXISTS (SELECT 1 FROM {parent} parent WHERE parent.{key} = {table}.{column})"
        check += f" AND ({column} IS NULL OR {there})"
    _say(db, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    _say(db, f"DROP POLICY IF EXISTS own_rows ON {table}")
    _say(db, f"CREATE POLICY own_rows ON {table} USING ({own}) WITH CHECK ({check})")
    # What row-level security does not see.
    _say(db, f"DROP TRIGGER IF EXISTS never_emptied ON {table}")
    _say(
        db,
        f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION refuse('never emptied')",
    )


# SQLite's words

_WORDS: Final = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"NOT IN \(SELECT value FROM json_each\((:\w+)\)\)", r"<> ALL (\1)"),
        (r"IN \(SELECT value FROM json_each\((:\w+)\)\)", r"= ANY (\1)"),
        (
            r"json_each\(:windows\) w",
            "(SELECT value, place - 1 AS key FROM jsonb_array_elements(CAST(:windows AS jsonb))"
            " WITH ORDINALITY AS one (value, place)) w",
        ),
        (r"json_each\((:\w+)\) w", r"unnest(CAST(\1 AS bigint[])) AS w (value)"),
        (r"json_extract\(w\.value, '\$\[(\d)\]'\)", r"CAST(w.value ->> \1 AS bigint)"),
        (r" INDEXED BY \w+", ""),
        (r"IS NOT (:\w+)", r"IS DISTINCT FROM \1"),
        (r"IS (:\w+)", r"IS NOT DISTINCT FROM \1"),
        (r"x'(\w+)'", r"CAST('\\x\1' AS bytea)"),
        # Types and tables
        (r"\bpk INTEGER PRIMARY KEY( AUTOINCREMENT)?", "pk BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        (r"\bINTEGER\b", "BIGINT"),
        (r"\bREAL\b", "DOUBLE PRECISION"),
        (r"\bBLOB\b", "BYTEA"),
        (r"\bTEXT\b(?! COLLATE)", 'TEXT COLLATE "C"'),  # sorted and compared byte by byte
        (r"\) STRICT(, WITHOUT ROWID)?", ")"),
    )
]
_VALUE = re.compile(r":(\w+)")


def in_postgresql(statement: str) -> str:
    """A statement of ours in PostgreSQL's words."""
    for pattern, words in _WORDS:
        statement = pattern.sub(words, statement)
    return statement


@functools.lru_cache(maxsize=1000)
def _sent(statement: str) -> str:
    """A statement with values, as psycopg takes it."""
    return _VALUE.sub(r"%(\1)s", in_postgresql(statement).replace("%", "%%"))


class _Row:
    """A row, by number or name of the column."""

    __slots__ = ("_places", "_values")

    def __init__(self, values: Sequence[Any], places: dict[str, int]) -> None:
        self._values = values
        self._places = places

    def __getitem__(self, key: int | str) -> Any:
        return self._values[key if isinstance(key, int) else self._places[key]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)


def _named(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], _Row]:
    places: dict[str, int] = {}
    for place, column in enumerate(cursor.description or ()):
        places.setdefault(column.name, place)
    return lambda values: _Row(values, places)


# The store


class _Here(threading.local):
    """The transaction of this thread, if it is in one."""

    db: _Db | None = None
    writing = False
    changed = False


class PostgresStore(SqlStore):
    """`bfai.store.Store` on one PostgreSQL database. Made by `open_postgres`."""

    def __init__(self, pool: _Pool, owner: str, clock: Callable[[], datetime]) -> None:
        super().__init__(owner, clock)
        self._pool = pool
        self._closed = False
        self._here = _Here()
        self._owner = self._owner_row(owner)
        own = f"{_begin_here()}; SET LOCAL bfai.owner = '{self._owner}'"
        self._to_read = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {own}"
        # Who vanishes without a word must not hold the owner's row for ever.
        self._to_write = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; {own};"
            " SET LOCAL idle_in_transaction_session_timeout = '60s';"
            f" SELECT 1 FROM owner WHERE pk = {self._owner} FOR NO KEY UPDATE"
        )

    def __repr__(self) -> str:
        return f"PostgresStore({self._pool.address.shown!r}, owner={self._owner_name!r})"

    @property
    def ephemeral(self) -> bool:
        return False

    @property
    def overwrites(self) -> bool:
        return False

    def now(self) -> datetime:
        with self._reading():
            return self._execute("SELECT clock_timestamp()", {}).fetchone()[0].astimezone(UTC)

    def place(self) -> Place:
        with self._reading():
            size = self._execute(_SIZE, {}).fetchone()[0]
        return Place(self._pool.address.shown, size)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._pool.leave()

    def version(self) -> Hashable:
        with self._reading():
            found = self._do("SELECT changes FROM owner WHERE pk = :owner").fetchone()[0]
            return found, self._here.changed

    def _owner_row(self, name: str) -> int:
        """The owner's number. Taking the lock here finds a database that may not be written at once."""
        find = "SELECT pk FROM owner WHERE name = %s FOR NO KEY UPDATE"
        with self._pool.begun(f"BEGIN ISOLATION LEVEL READ COMMITTED; {_begin_here()}") as db:
            _say(db, "SELECT set_config('bfai.owner_name', %s, true)", (name,))
            if _say(db, find, (name,)).fetchone() is None:
                _say(db, "INSERT INTO owner (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
            (number,) = _one(db, find, (name,))
            _say(db, "COMMIT")
        return number

    @contextlib.contextmanager
    def _transaction(self, beginning: str) -> Generator[_Db]:
        """What is done within is this thread's transaction, which whoever comes out of it has ended."""
        if self._closed:
            raise _closed()
        here = self._here
        with _plainly(self._pool.address), self._pool.begun(beginning) as db:
            here.db = db
            try:
                yield db
            finally:
                here.db, here.writing, here.changed = None, False, False

    @contextlib.contextmanager
    def _writing(self) -> Generator[None]:
        here = self._here
        if here.db is not None:
            with _plainly(self._pool.address), self._part(here.db):
                yield
            return
        with self._transaction(self._to_write) as db:
            here.writing = True
            try:
                yield
                count = f"UPDATE owner SET changes = changes + 1 WHERE pk = {self._owner}; " if here.changed else ""
                _say(db, f"{count}COMMIT")
            except BaseException:
                self._forget()
                raise

    @contextlib.contextmanager
    def _part(self, db: _Db) -> Generator[None]:
        assert self._here.writing, "a transaction that reads cannot write"
        _say(db, "SAVEPOINT part")
        try:
            yield
            _say(db, "RELEASE part")
        except BaseException:
            self._forget()
            if not db.closed:
                _say(db, "ROLLBACK TO part; RELEASE part")
            raise

    @contextlib.contextmanager
    def _reading(self) -> Generator[None]:
        if self._here.db is not None:
            with _plainly(self._pool.address):
                yield
            return
        with self._transaction(self._to_read) as db:
            yield
            _say(db, "COMMIT")

    @contextlib.contextmanager
    def long_look(self) -> Generator[SqlStore]:
        with self._reading():
            yield self

    def _snapshot(self) -> contextlib.AbstractContextManager[None]:
        return self._reading()

    def _execute(self, sql: str, values: dict[str, Any], *, plain: bool = False) -> Found:
        here = self._here
        assert here.db is not None, "a statement outside of a transaction"
        cursor = here.db.cursor(binary=True, row_factory=tuple_row if plain else _named)
        try:
            cursor.execute(cast("LiteralString", _sent(sql)), values)
        except (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement):
            self._pool.prepares = False  # a pooler stands between that forgets what was prepared
            raise
        if here.writing and cursor.rowcount > 0 and not (cursor.statusmessage or "").startswith("SELECT"):
            here.changed = True
        return cursor

    def all_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE owner = %s ORDER BY {order}"
        assert self._here.db is not None, "a statement outside of a transaction"
        with self._here.db.cursor(f"rows_of_{table}", row_factory=tuple_row) as cursor:
            cursor.itersize = 2000
            yield from cursor.execute(cast("LiteralString", query), (self._owner,), binary=True)

    def put_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        assert self._here.db is not None, "a statement outside of a transaction"
        query = cast("LiteralString", _sent(insertion(table, rows[0])))
        self._here.db.cursor().executemany(query, [{**row, "owner": self._owner} for row in rows])
        self._here.changed = True

    def _list(self, values: Collection[Any]) -> list[Any]:
        return list(values)

    def _erase_traces(self) -> None:
        """PostgreSQL overwrites in its own time what was deleted; its log and backups are its keeper's."""


# Workers


QUEUE: Final = "bfai_jobs"
"""The schema in which procrastinate keeps its jobs. Nothing in it is worth keeping: what is due stands elsewhere."""
_WALLS: Final = 3
"""Which walls and trigger of ours the queue has; it is made anew where it has others."""
_ME = (
    "(SELECT nullif(current_setting('bfai.worker', true), '')"
    " WHERE nullif(current_setting('bfai.owner', true), '') IS NULL)"
)
_DUE = f"""SELECT o.name, d.id FROM delegation d JOIN owner o ON o.pk = d.owner
    WHERE d.worker = %s AND (d.due_at <= %s OR d.set_at > %s) AND NOT EXISTS
    (SELECT 1 FROM {QUEUE}.procrastinate_jobs j WHERE j.status = 'todo'
        AND j.queueing_lock = d.worker || ' ' || o.name || ' ' || d.id)
    ORDER BY row_number() OVER (PARTITION BY d.owner ORDER BY d.due_at), d.due_at LIMIT %s"""
_FORGOTTEN = """DELETE FROM procrastinate_jobs j WHERE (j.status = 'todo' OR j.worker_id IS NULL) AND NOT EXISTS
    (SELECT 1 FROM delegation d JOIN owner o ON o.pk = d.owner
    WHERE d.worker = j.queue_name AND o.name = j.args ->> 'owner' AND d.id = j.args ->> 'connection')"""


_FORGETTING = f"""
    CREATE FUNCTION {QUEUE}.forget_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = {QUEUE}, pg_temp AS $$
    DECLARE
        owner text := coalesce(current_setting('bfai.owner', true), '');
        worker text := coalesce(current_setting('bfai.worker', true), '');
        whose text := (SELECT name FROM {SCHEMA}.owner WHERE pk = OLD.owner);
    BEGIN
        PERFORM set_config('bfai.owner', '', true), set_config('bfai.worker', OLD.worker, true);
        DELETE FROM procrastinate_jobs WHERE queue_name = OLD.worker AND status <> 'doing'
            AND args ->> 'owner' = whose AND args ->> 'connection' = OLD.id;
        PERFORM set_config('bfai.owner', owner, true), set_config('bfai.worker', worker, true);
        RETURN NULL;
    END $$;
    CREATE TRIGGER delegation_takes_its_job AFTER DELETE ON {SCHEMA}.delegation
    FOR EACH ROW EXECUTE FUNCTION {QUEUE}.forget_job()"""
"""With a delegation goes the job that waits for it, whoever takes it back: the function acts as that worker, whose jobs
its caller does not see. A job that is under way is cleared away by the worker. Goes with the queue's schema.
"""


class WorkerDesk:
    """What a worker sees before it acts for anybody: what was delegated to it, of all owners, and its queue.

    A transaction of it has a worker (`SET LOCAL bfai.worker`) and no owner, and the second wall shows it nothing else.
    """

    def __init__(self, url: str, worker_id: str) -> None:
        """Raises `StoreError`."""
        address = read_address(url)._replace(discreet=True)
        # The pool of those for whom it acts, which lives as long as the desk does. Where they take all of its
        # connections and wait with them, the desk goes on with one of its own.
        self._theirs = _Pool.of(address)
        name = f"{address.given.get('application_name', 'bfai')} desk"
        self._pool = _Pool.of(address._replace(given={**address.given, "application_name": name}))
        self._id = worker_id
        self._begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_begin_here()}; SET LOCAL bfai.worker = '{worker_id}'"
        try:
            with _plainly(self._pool.address):
                _make_ready(self._pool)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"WorkerDesk({self._pool.address.shown!r}, {self._id})"

    def close(self) -> None:
        self._pool.leave()
        self._theirs.leave()

    @contextlib.contextmanager
    def _transaction(self) -> Generator[_Db]:
        with _plainly(self._pool.address), self._pool.begun(self._begin) as db:
            yield db
            _say(db, "COMMIT")

    def register(self, name: str, public_key: bytes, at: datetime) -> None:
        """From then on people can delegate to this worker."""
        values = {"id": self._id, "name": name, "public_key": public_key, "at": micros(at)}
        query = """INSERT INTO worker (id, name, public_key, registered_at)
            VALUES (:id, :name, :public_key, :at) ON CONFLICT DO NOTHING"""
        with self._transaction() as db:
            db.execute(cast("LiteralString", _sent(query)), values)

    def clock(self) -> datetime:
        """What time it is for the database."""
        with self._transaction() as db:
            return _one(db, "SELECT clock_timestamp()")[0]

    def clear_queues(self) -> None:
        """Delete what waits in any key's queue, also of one that nobody works with any more, and was taken back."""
        with self._transaction() as db:
            _say(db, f"SET LOCAL search_path = {SCHEMA}, {QUEUE}, pg_temp")
            for (worker,) in _say(db, "SELECT id FROM worker").fetchall():
                _say(db, "SELECT set_config('bfai.worker', %s, true)", (worker,))  # the wall shows its queue only
                _say(db, _FORGOTTEN)

    def due(self, now: datetime, most: int) -> list[tuple[str, str]]:
        """The owners and connections whose test is due and does not wait in the queue: owners take turns, and what
        is overdue for longest is the first of its owner's.
        """
        values = (self._id, micros(now), micros(now + SET_BACK), most)
        with self._transaction() as db:
            return [(owner, connection) for owner, connection in _say(db, _DUE, values)]

    @property
    def queue_address(self) -> str:
        """For procrastinate. Holds the password."""
        given = {**_SETTINGS, **self._theirs.address.given}
        own = f"-c search_path={QUEUE} -c bfai.worker={self._id}"
        return conninfo.make_conninfo(**{**given, "options": f"{given.get('options', '')} {own}".strip()})

    def make_queue(self, schema: str, version: str) -> None:
        """Make procrastinate's tables, `schema` being its own statements, where they are missing or of an earlier
        version, or have other walls. Raises `StoreTooNew` where they are of a later one.
        """
        version = f"{version} walls {_WALLS}"
        with self._transaction() as db:
            _say(db, f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'")
            _say(db, f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            query = "SELECT n.oid, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE n.nspname = %s"
            there = _say(db, query, (QUEUE,)).fetchone()
            found = "" if there is None else str(there[1] or "")
            if found == version:
                return
            if found and _age(found) > _age(version):
                text = N_("{file} was written by a newer version of this program. Update the program to open it.")
                raise StoreTooNew(Message(text=text, params={"file": self._pool.address.shown}))
            if there is not None:
                _say(db, f"DROP SCHEMA {QUEUE} CASCADE")
            _say(db, f"CREATE SCHEMA {QUEUE}; SET LOCAL search_path = {QUEUE}, pg_temp")
            _say(db, schema)
            for (table,) in _say(db, "SELECT tablename FROM pg_tables WHERE schemaname = %s", (QUEUE,)).fetchall():
                # Nobody learns from the queue whose tests are due: a worker sees its own, and others nothing.
                own = f"queue_name = {_ME}" if table == "procrastinate_jobs" else f"{_ME} IS NOT NULL"
                _say(db, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
                _say(db, f"CREATE POLICY workers ON {table} USING ({own})")
            _say(db, _FORGETTING)
            _say(db, f"COMMENT ON SCHEMA {QUEUE} IS '{version}'")


def _age(version: str) -> list[list[int]]:
    """Procrastinate's version, then that of the walls; the first ones had none."""
    return [[int(part) for part in re.findall(r"\d+", one)] for one in version.split("walls")]


# Errors


@contextlib.contextmanager
def _plainly(address: Address) -> Generator[None]:
    """Turn what PostgreSQL says into what the trader can act on."""
    try:
        yield
    except psycopg.Error as error:
        raise _as_told(_translated(error, address), address) from error


def _as_told(error: StoreError, address: Address) -> StoreError:
    """What people of a shared database hear of it: what they can do. Its keeper finds what is wrong in the log."""
    if not address.discreet or error.message.text in _TOLD:
        return error
    _log.warning("%s: %s", type(error).__name__, error)
    text = _BUSY if isinstance(error, StoreLocked) else _FULL if isinstance(error, StoreFull) else _UNUSABLE
    return type(error)(Message(text=text))


_BUSY = N_("The database is busy. Nothing of this change is stored. Try again in a moment.")
_FULL = N_("The database is full. Nothing of this change is stored. Tell whoever runs this workbench.")
_UNUSABLE = N_(
    "The database cannot be used just now. Try again in a moment; if it stays so, tell whoever runs this workbench: the"
    " log says why."
)
_TOLD: Final = frozenset({_BUSY, _FULL, _UNUSABLE})


def _translated(error: psycopg.Error, address: Address) -> StoreError:
    code = error.sqlstate or ""
    if not code and isinstance(error, psycopg.OperationalError):
        return _not_connected(str(error), address)
    # The main part only: the details of an error may hold a row.
    params: dict[str, str | int | float] = {
        "database": address.shown,
        "reason": error.diag.message_primary or type(error).__name__,
    }
    if code.startswith(("08", "57P")):
        return _lost(params)
    if code in ("55P03", "40001", "40P01", "57014", "25P03", "26000", "42P05"):
        return _busy(address)
    if code in ("53100", "53200"):
        text = N_(
            "There is no space left for {file}. Nothing of this change is stored. Free some space, then try again."
        )
        return StoreFull(Message(text=text, params={"file": address.shown}))
    if code in ("42501", "25006"):
        text = N_(
            "{database} does not allow it: {reason}. Nothing of this change is stored. Give the user of"
            " BFAI_DATABASE_URL the right to read and write there."
        )
        return StoreReadOnly(Message(text=text, params=params))
    if code.startswith("XX"):
        text = N_("{database} is damaged: {reason}. Put a backup in its place.")
        return StoreDamaged(Message(text=text, params=params))
    text = N_("The database {file} cannot be used: {reason}. Nothing of this change is stored.")
    return StoreError(Message(text=text, params={"file": address.shown, "reason": params["reason"]}))


def _not_connected(said: str, address: Address) -> StoreError:
    """What libpq says without a code: mostly, why there is no connection."""
    reason = _reason(said, address)
    params: dict[str, str | int | float] = {"database": address.shown, "reason": reason}
    if re.search(r"authentication failed|no password supplied|no pg_hba\.conf entry", said):
        text = N_("{database} refused the user or the password: {reason}. Correct them in BFAI_DATABASE_URL.")
    elif re.search(r"database .* does not exist", said):
        text = N_("There is no database {database}. Create it, or correct its name in BFAI_DATABASE_URL.")
    elif re.search(r"too many (clients|connections)|remaining connection slots", said):
        return _busy(address)
    elif "connection failed" in said or "resolve" in said or "timeout" in said or "connection attempt" in said:
        text = N_(
            "{database} cannot be reached: {reason}. Check the address in BFAI_DATABASE_URL, and that PostgreSQL"
            " runs there."
        )
    else:
        return _lost(params)
    return StoreUnreachable(Message(text=text, params=params))


def _reason(said: str, address: Address) -> str:
    """The end of what libpq says, in one line and without a password."""
    first = said.strip().splitlines()[0] if said.strip() else ""
    reason = re.sub(r"^.*(failed: |FATAL: +)", "", first).strip().rstrip(".")
    for name in ("password", "sslpassword"):
        secret = address.given.get(name)
        if secret:
            reason = reason.replace(str(secret), "…")
    return reason


def _lost(params: dict[str, str | int | float]) -> StoreError:
    text = N_("The connection to {database} was lost: {reason}. Look whether the last change is there, then try again.")
    return StoreUnreachable(Message(text=text, params=params))


def _busy(address: Address) -> StoreError:
    text = N_("{database} is busy with other changes. Nothing of this change is stored. Try again in a moment.")
    return StoreLocked(Message(text=text, params={"database": address.shown}))


def _closed() -> StoreError:
    return StoreClosed(Message(text=N_("The database is closed. Open the program again.")))
