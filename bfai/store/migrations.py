"""The tables, as migrations of sqlite-utils.

Imported only when a database is new or old: sqlite-utils brings pandas with it, which takes longer than all else here.
Each migration runs in a transaction and ends by setting `user_version`, so that opening can see without sqlite-utils
whether there is anything to do. A migration that was released is never edited; a new one is added below, and
`LATEST` in `bfai.store.sqlite` raised.

Times are whole microseconds since 1970 UTC. Every row carries its owner.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("bfai")


@migrations(name="0001_first")
def first(db: Database) -> None:
    """The vault, connections with their secrets, runs, the audit trail, settings."""
    for statement in _FIRST:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 1")


@migrations(name="0002_strategies")
def strategies(db: Database) -> None:
    """Strategies with their revisions, and what exchanges publish about their markets."""
    for statement in _STRATEGIES:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 2")


@migrations(name="0003_history")
def history(db: Database) -> None:
    """Runs in less room and in the order that they are read in; roll-ups."""
    from bfai.store.packing import repacked

    db.conn.create_function("repacked", 2, repacked, deterministic=True)
    for statement in _HISTORY:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 3")


@migrations(name="0004_alerts")
def alerts(db: Database) -> None:
    """What happened, who hears of it, and what became of each message."""
    for statement in _ALERTS:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 4")


@migrations(name="0005_monitor")
def monitor(db: Database) -> None:
    """When each connection is tested next, who tests it now, and which exchanges are left alone for a while."""
    for statement in _MONITOR:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 5")


@migrations(name="0006_candles")
def candles(db: Database) -> None:
    """Candles of exchanges, packed."""
    for statement in _CANDLES:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 6")


@migrations(name="0007_addresses")
def seen_addresses(db: Database) -> None:
    """By which addresses exchanges saw this computer, and when."""
    for statement in _ADDRESSES:
        db.conn.execute(statement)
    db.conn.execute("PRAGMA user_version = 7")


_FIRST = (
    "CREATE TABLE owner (pk INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    """CREATE TABLE vault (
        owner INTEGER PRIMARY KEY REFERENCES owner (pk),
        id TEXT NOT NULL,
        format INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        failed_at INTEGER
    ) STRICT""",
    """CREATE TABLE wrap (
        owner INTEGER NOT NULL REFERENCES vault (owner) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        format INTEGER NOT NULL,
        salt BLOB NOT NULL,
        memory_kib INTEGER NOT NULL,
        passes INTEGER NOT NULL,
        lanes INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        checksum BLOB NOT NULL,
        PRIMARY KEY (owner, kind)
    ) STRICT""",
    """CREATE TABLE connection (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        exchange TEXT NOT NULL,
        market TEXT NOT NULL,
        region TEXT NOT NULL,
        environment TEXT NOT NULL,
        egress_proxy TEXT,
        used_by TEXT NOT NULL,
        note TEXT NOT NULL,
        key_hint TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        key_since INTEGER NOT NULL,
        status TEXT NOT NULL,
        report INTEGER,
        last_run_id TEXT,
        last_tested_at INTEGER,
        confirmed_at INTEGER,
        confirmed_hash TEXT,
        UNIQUE (owner, id),
        UNIQUE (owner, name_key)
    ) STRICT""",
    "CREATE INDEX connection_by_fingerprint ON connection (owner, fingerprint)",
    """CREATE TABLE secret (
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        field TEXT NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        format INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        PRIMARY KEY (connection, field)
    ) STRICT""",
    # A key report, and a pattern of runs, is stored once for each connection that has it, so that deleting the
    # connection takes them along. `run` points to both without a foreign key: checking one would need two more indexes.
    """CREATE TABLE key_report (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (connection, hash)
    ) STRICT""",
    """CREATE TABLE pattern (
        pk INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        status TEXT NOT NULL,
        cause TEXT,
        body TEXT NOT NULL,
        UNIQUE (connection, hash)
    ) STRICT""",
    # A pattern never gets the number of a deleted one: programs that run remember patterns by number.
    # `change`: 1 = the connection's status changed with this run, 2 = its key report did. Such runs are kept for ever.
    """CREATE TABLE run (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        id BLOB NOT NULL,
        started_at INTEGER NOT NULL,
        duration_ms REAL NOT NULL,
        change INTEGER NOT NULL,
        pattern INTEGER NOT NULL,
        report INTEGER,
        numbers BLOB NOT NULL,
        texts TEXT,
        UNIQUE (owner, id)
    ) STRICT""",
    "CREATE INDEX run_by_connection ON run (connection, started_at)",
    "CREATE INDEX run_by_time ON run (owner, started_at)",
    "CREATE INDEX run_by_change ON run (owner, started_at) WHERE change > 0",
    """CREATE TABLE audit (
        pk INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        at INTEGER NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX audit_by_owner ON audit (owner, pk)",
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE (ABORT, 'append-only'); END",
    "CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE (ABORT, 'append-only'); END",
    """CREATE TABLE setting (
        owner INTEGER NOT NULL REFERENCES owner (pk),
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT""",
)

_STRATEGIES = (
    # `connection_name` is the last name of a connection that was deleted. `reasons` is JSON.
    """CREATE TABLE strategy (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        connection INTEGER REFERENCES connection (pk) ON DELETE SET NULL,
        connection_name TEXT NOT NULL,
        state TEXT NOT NULL,
        reasons TEXT NOT NULL,
        needs_person INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        enabled_revision INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        enabled_at INTEGER,
        UNIQUE (owner, id),
        UNIQUE (owner, name_key)
    ) STRICT""",
    "CREATE INDEX strategy_by_connection ON strategy (connection)",
    """CREATE TABLE revision (
        strategy INTEGER NOT NULL REFERENCES strategy (pk) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        digest TEXT NOT NULL,
        parameters TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (strategy, number)
    ) STRICT""",
    "CREATE TRIGGER revision_never_changes BEFORE UPDATE ON revision BEGIN SELECT RAISE (ABORT, 'never changes'); END",
    """CREATE TABLE market_data (
        owner INTEGER NOT NULL REFERENCES owner (pk),
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        fetched_at INTEGER NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT""",
)

_MONITOR = (
    # `every_s` is NULL where the schedule is off. `set_at` is when `next_at` was set: a clock that shows less was set
    # back. `holder` tests the connection until `held_until`, unless it says again that it still does.
    """CREATE TABLE schedule (
        connection INTEGER PRIMARY KEY REFERENCES connection (pk) ON DELETE CASCADE,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        every_s INTEGER,
        set_at INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        holder TEXT,
        held_at INTEGER,
        held_until INTEGER
    ) STRICT""",
    """INSERT INTO schedule (connection, owner, every_s, set_at, next_at)
        SELECT pk, owner, 3600, coalesce(last_tested_at, created_at), coalesce(last_tested_at, created_at) + 3600000000
        FROM connection""",
    # A new key has just been tested.
    """CREATE TRIGGER connection_has_a_schedule AFTER INSERT ON connection BEGIN
        INSERT INTO schedule (connection, owner, every_s, set_at, next_at)
        VALUES (NEW.pk, NEW.owner, 3600, NEW.key_since, NEW.key_since + 3600000000); END""",
    # `place` is an exchange with region and environment.
    """CREATE TABLE pause (
        owner INTEGER NOT NULL REFERENCES owner (pk),
        place TEXT NOT NULL,
        failures INTEGER NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (owner, place)
    ) STRICT""",
)

_HISTORY = (
    # Every run since `kept_from` is there, and everything before `rolled_until` is rolled up. Both are microseconds.
    "ALTER TABLE connection ADD COLUMN kept_from INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE connection ADD COLUMN rolled_until INTEGER NOT NULL DEFAULT 0",
    # Whether an outage lasts, by the runs that set the status.
    "ALTER TABLE connection ADD COLUMN down INTEGER NOT NULL DEFAULT 0",
    # The texts of the first run with this pattern: a run keeps only those that differ.
    "ALTER TABLE pattern ADD COLUMN usual TEXT",
    # By connection and time, without an index beside the table. `seq` tells runs of the same microsecond apart, in the
    # order in which they came. An `id` of eight bytes is one together with `started_at` (bfai.store.packing.run_key).
    # `change` has a third bit: 4 = an outage began or ended with this run. Bits are why a run is kept for ever.
    """CREATE TABLE new_run (
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        started_at INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id BLOB NOT NULL,
        change INTEGER NOT NULL,
        pattern INTEGER NOT NULL,
        report INTEGER,
        numbers BLOB NOT NULL,
        texts TEXT,
        PRIMARY KEY (connection, started_at, seq)
    ) STRICT, WITHOUT ROWID""",
    """INSERT INTO new_run
        SELECT connection, started_at, row_number() OVER (PARTITION BY connection, started_at ORDER BY pk) - 1, owner,
            id, change, pattern, report, repacked(duration_ms, numbers), texts
        FROM run ORDER BY connection, started_at, pk""",
    "DROP TABLE run",
    "ALTER TABLE new_run RENAME TO run",
    # Which runs set the status is not known any more of older ones: all are taken, by time.
    """UPDATE run SET change = change + 4 WHERE (connection, started_at, seq) IN (
        SELECT connection, started_at, seq FROM (
            SELECT r.*, p.status = 'failed' AS failed, lag(p.status = 'failed', 1, false)
                OVER (PARTITION BY r.connection ORDER BY r.started_at, r.seq) AS before
            FROM run r JOIN pattern p ON p.pk = r.pattern WHERE p.cause IS NOT 'local_network')
        WHERE failed <> before)""",
    "UPDATE connection SET down = (SELECT count(*) % 2 FROM run WHERE connection = connection.pk AND change >= 4)",
    "CREATE UNIQUE INDEX run_by_id ON run (owner, id) WHERE NOT (length(id) = 8 AND id < x'C0')",
    "CREATE INDEX run_by_change ON run (connection, started_at) WHERE change > 0",
    # `bfai.store.rollups` says what the blobs are. A day is counted from 1970, in UTC.
    """CREATE TABLE rollup (
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        day INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        held BLOB NOT NULL,
        counts BLOB NOT NULL,
        PRIMARY KEY (connection, day)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE rollup_hours (
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        metric INTEGER NOT NULL,
        day INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        histograms BLOB NOT NULL,
        PRIMARY KEY (connection, metric, day)
    ) STRICT, WITHOUT ROWID""",
    # These blobs are too long for a page of a table without row ids.
    """CREATE TABLE rollup_day (
        pk INTEGER PRIMARY KEY,
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        day INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        histograms BLOB NOT NULL,
        UNIQUE (connection, day)
    ) STRICT""",
)

_ALERTS = (
    # `id` is made of what the event is about, so that it exists once. `body` is JSON.
    """CREATE TABLE event (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        connection INTEGER REFERENCES connection (pk) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        run_id TEXT,
        body TEXT NOT NULL,
        UNIQUE (owner, id)
    ) STRICT""",
    "CREATE INDEX event_by_time ON event (owner, at)",
    "CREATE INDEX event_by_connection ON event (connection, kind)",
    "CREATE TRIGGER event_never_changes BEFORE UPDATE ON event BEGIN SELECT RAISE (ABORT, 'never changes'); END",
    # `muted` is a JSON list of kinds; quiet hours are HH:MM. The last three are the sealed address.
    """CREATE TABLE channel (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        hint TEXT NOT NULL,
        muted TEXT NOT NULL,
        quiet_from TEXT,
        quiet_until TEXT,
        grace_minutes INTEGER NOT NULL,
        repeat_hours INTEGER,
        created_at INTEGER NOT NULL,
        format INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        UNIQUE (owner, id),
        UNIQUE (owner, name_key)
    ) STRICT""",
    """CREATE TABLE delivery (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        event INTEGER NOT NULL REFERENCES event (pk) ON DELETE CASCADE,
        channel INTEGER NOT NULL REFERENCES channel (pk) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        holder TEXT,
        claimed_at INTEGER,
        done_at INTEGER,
        doubtful INTEGER NOT NULL DEFAULT 0,
        reason TEXT,
        UNIQUE (event, channel, number)
    ) STRICT""",
    "CREATE INDEX delivery_by_channel ON delivery (channel)",
    "CREATE INDEX delivery_open ON delivery (owner) WHERE state IN ('waiting', 'sending', 'failed')",
)

_CANDLES = (
    # `bytes` is what the chunks of a series take together.
    """CREATE TABLE candle_series (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        name TEXT NOT NULL,
        used_at INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        UNIQUE (owner, name)
    ) STRICT""",
    """CREATE TABLE candle_chunk (
        pk INTEGER PRIMARY KEY,
        series INTEGER NOT NULL REFERENCES candle_series (pk) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        body BLOB NOT NULL,
        UNIQUE (series, number)
    ) STRICT""",
)

_ADDRESSES = (
    # `way` tells how requests leave, `version` is 4 or 6, `source` the exchange that told it.
    """CREATE TABLE address (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        way TEXT NOT NULL,
        version INTEGER NOT NULL,
        address TEXT NOT NULL,
        source TEXT NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX address_by_way ON address (owner, way, version)",
)
