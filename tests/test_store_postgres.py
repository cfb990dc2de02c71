"""What is PostgreSQL's own in the store: its walls, its migrations, and what can go wrong with a server."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bfai.model import BfaiError, KeyReport, Status
from bfai.store import (
    Delegation,
    Pause,
    RunEnd,
    Sealed,
    Store,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreTooNew,
    StoreUnreachable,
    VaultRow,
    migrations,
    open_store,
    postgres,
)
from bfai.store.postgres import MOST_CONNECTIONS, PostgresStore, WorkerDesk, in_postgresql, read_address
from tests.postgres import PASSWORD, Server
from tests.test_store import SECOND, T0, WRAP, a_run, add, cut_short, plan, save
from tests.test_store_alerts import a_channel, an_event, happen


@pytest.fixture
def fresh(postgres: Server) -> Iterator[str]:
    """The address of a database that nobody has opened yet."""
    with postgres.database(f"fresh_{uuid.uuid4().hex[:12]}") as url:
        yield url


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    found = open_store(postgres_url)
    yield found
    found.close()


def fill(store: Store) -> None:
    """A row in every table."""
    connection = add(store)
    store.create_vault(VaultRow("id", 1, T0, 0, None, {"password": WRAP}))
    store.add_channel(a_channel(), Sealed(1, b"n" * 12, b"c"))
    happen(store, connection, an_event(connection, after=2), after=2, status=Status.FAILED, key_report=KeyReport())
    for n in range(3, 6):
        store.add_run(a_run(connection, n, key_report=KeyReport()))
    store.roll_up(T0 + 7200 * SECOND)
    save(store, plan(store, connection), 1, "{}")
    store.put_market_data("mexc", "[]", T0)
    store.put_candle_chunks("okx/BTC", {1: b"x"}, T0, 1000)
    store.see_address("mexc", "203.0.113.7", "mexc", T0)
    store.set_setting("s", 1)
    store.see_address("straight", "203.0.113.7", "mexc", T0)
    end = RunEnd("me", T0, timedelta(hours=1), T0, "mexc", Pause(1, T0, T0 + SECOND))
    store.add_run(a_run(connection, 6), end=end)


# The second wall


def tables(db: Any) -> list[str]:
    """Those with an owner."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'bfai' ORDER BY 1"
    return [row[0] for row in db.execute(query) if row[0] not in ("migration", "worker")]


@contextlib.contextmanager
def as_owner(db: Any, number: int | None) -> Iterator[Any]:
    """A transaction of the app's own user, begun for an owner or for none; taken back at the end."""
    with db.transaction(force_rollback=True):
        db.execute("SET LOCAL search_path = bfai")
        if number is not None:
            db.execute(f"SET LOCAL bfai.owner = '{number}'")
        yield db


def test_no_statement_of_the_app_reaches_the_rows_of_another_owner(postgres: Server, postgres_url: str) -> None:
    with contextlib.closing(WorkerDesk(postgres_url, "w")) as desk:
        desk.register("server", b"x", T0)
    for owner in ("ann", "bob"):
        with contextlib.closing(open_store(postgres_url, owner=owner)) as store:
            fill(store)
            store.delegate(store.connections()[0].id, Delegation("w", 1, b"x", T0))
    with postgres.admin("shared") as god, psycopg.connect(postgres_url, autocommit=True) as app:
        god.execute("SET search_path = bfai")
        names = tables(god)
        assert len(names) > 20
        numbers = dict(god.execute("SELECT name, pk FROM owner").fetchall())
        ann, bob = numbers["ann"], numbers["bob"]
        app_db: Any = app
        for table in names:
            key = "pk" if table == "owner" else "owner"
            held = dict(god.execute(f"SELECT {key}, count(*) FROM {table} GROUP BY 1").fetchall())
            assert held.get(bob), f"the test has no row in {table}"
            with as_owner(app_db, None):
                assert app_db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
            with as_owner(app_db, ann):
                found = app_db.execute(f"SELECT {key}, count(*) FROM {table} GROUP BY 1").fetchall()
                assert found == [(ann, held[ann])], table
                query = f"SELECT count(*) FROM {table} WHERE {key} = {bob}"
                assert app_db.execute(query).fetchone()[0] == 0, table
            column = key if table == "owner" else god.execute(f"SELECT * FROM {table}").description[-1].name
            for change in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
                with as_owner(app_db, ann):
                    assert app_db.execute(f"{change} WHERE {key} = {bob}").rowcount == 0, (table, change)
                with as_owner(app_db, None):
                    assert app_db.execute(change).rowcount == 0, (table, change)
            row = god.execute(f"SELECT * FROM {table} WHERE {key} = {bob} LIMIT 1")
            columns = [one.name for one in row.description]
            marks = ", ".join(["%s"] * len(columns))
            insertion = f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({marks})"
            values = row.fetchone()
            for number in (ann, None):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(app_db, number):
                    app_db.execute(insertion, values)
            with pytest.raises(psycopg.errors.RaiseException, match="never emptied"), as_owner(app_db, ann):
                app_db.execute(f"TRUNCATE {table} CASCADE")
            if table not in ("owner", "audit", "revision", "event"):  # an own row given away
                with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(app_db, ann):
                    app_db.execute(f"UPDATE {table} SET {key} = {bob}")


def test_a_row_cannot_hang_on_a_row_of_another_owner(postgres: Server, postgres_url: str) -> None:
    """Nor can be learned from trying which of them there are."""
    for owner in ("ann", "bob"):
        with contextlib.closing(open_store(postgres_url, owner=owner)) as store:
            fill(store)
    with postgres.admin("shared") as god, psycopg.connect(postgres_url, autocommit=True) as app:
        (ann,) = god.execute("SELECT pk FROM bfai.owner WHERE name = 'ann'").fetchone()
        query = "SELECT c.pk FROM bfai.connection c JOIN bfai.owner o ON o.pk = c.owner WHERE o.name = 'bob'"
        (theirs,) = god.execute(query).fetchone()
        for there in (theirs, 10**9):
            for statement in (
                f"INSERT INTO secret (connection, field, owner, format, nonce, ciphertext)"
                f" VALUES ({there}, 'api_key', {ann}, 1, '', '')",
                f"UPDATE secret SET connection = {there}",
                f"UPDATE strategy SET connection = {there}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(app, ann):
                    app.execute(statement)  # pyright: ignore


def test_every_table_with_an_owner_has_its_wall_and_a_new_one_gets_it(
    fresh: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = migrations.Migration(
        "0099_later",
        (
            "CREATE TABLE later (pk INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner (pk), x TEXT) STRICT",
            "INSERT INTO later (owner, x) SELECT owner, name FROM connection",  # sees the rows of all
        ),
    )
    for owner in ("ann", "bob"):
        with contextlib.closing(open_store(fresh, owner=owner)) as store:
            add(store, owner)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, later))
    open_store(fresh, owner="ann").close()
    with postgres.admin(name_of(fresh)) as god, psycopg.connect(fresh, autocommit=True) as app:
        assert god.execute("SELECT x FROM bfai.later ORDER BY x").fetchall() == [("ann",), ("bob",)]
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'bfai'::regnamespace AND relkind = 'r'"
        bare = [row[0] for row in god.execute(f"{query} AND NOT (relrowsecurity AND relforcerowsecurity)")]
        assert bare == ["migration"]
        with as_owner(app, 1):
            assert app.execute("SELECT x FROM later").fetchall() == [("ann",)]
        god.execute("ALTER TABLE bfai.secret DISABLE ROW LEVEL SECURITY")
        open_store(fresh).close()  # puts it up again
        assert not god.execute(f"{query} AND relname = 'secret' AND NOT relrowsecurity").fetchall()


@pytest.mark.parametrize("right", ["SUPERUSER", "BYPASSRLS"])
def test_a_user_for_whom_there_is_no_wall_is_refused(fresh: str, postgres: Server, right: str) -> None:
    with postgres.admin() as god:
        god.execute(f"CREATE ROLE mighty LOGIN {right} PASSWORD '{PASSWORD}'")
    try:
        with pytest.raises(StoreUnreachable, match=r"The user mighty of .* neither a superuser nor has BYPASSRLS"):
            open_store(postgres.url(name_of(fresh), "mighty"))
    finally:
        with postgres.admin() as god:
            god.execute("DROP ROLE mighty")


def test_the_trail_is_append_only(store: Store, postgres: Server) -> None:
    fill(store)
    with postgres.admin("shared") as god:
        for statement, why in (
            ("UPDATE bfai.audit SET action = 'x'", "append-only"),
            ("DELETE FROM bfai.audit", "append-only"),
            ("UPDATE bfai.revision SET parameters = 'x'", "never changes"),
            ("UPDATE bfai.event SET kind = 'recovered'", "never changes"),
        ):
            with pytest.raises(psycopg.errors.RaiseException, match=why):
                god.execute(statement)


# Migrations


def test_processes_that_start_together_make_one_database(fresh: str, postgres: Server) -> None:
    code = (
        "import sys; from bfai.store import open_store, postgres\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"open_store({fresh!r}).set_setting(sys.argv[1], 1)\n"
        "print('done')"
    )
    root = Path(__file__).parent.parent
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=root, text=True, **pipes) for n in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        out, errors = child.communicate(timeout=100)
        assert out == "done\n", errors
    with contextlib.closing(open_store(fresh)) as store:
        assert [store.setting(str(n)) for n in range(3)] == [1, 1, 1]
    with postgres.admin(name_of(fresh)) as god:
        steps = god.execute("SELECT number, name FROM bfai.migration ORDER BY 1").fetchall()
        assert steps == [(number, one.name) for number, one in enumerate(migrations.MIGRATIONS, 1)]


def test_a_migration_that_was_cut_short_is_finished(
    fresh: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        cut_short(past, "0003_history")
        with pytest.raises(StoreError, match="syntax error"):
            open_store(fresh)
    with postgres.admin(name_of(fresh)) as god:
        assert god.execute("SELECT max(number) FROM bfai.migration").fetchone() == (2,)
        assert "rollup" not in tables(god)
    with contextlib.closing(open_store(fresh)) as store:
        fill(store)


def test_a_newer_database_is_refused_as_newer(fresh: str, postgres: Server) -> None:
    open_store(fresh).close()
    with postgres.admin(name_of(fresh)) as god:
        god.execute("INSERT INTO bfai.migration VALUES (99, '0099_later')")
    with pytest.raises(StoreTooNew, match="Update the program"):
        open_store(fresh)


def test_a_schema_of_another_program_is_left_alone(fresh: str) -> None:
    with psycopg.connect(fresh, autocommit=True) as db:
        db.execute("CREATE SCHEMA bfai")
        db.execute("CREATE TABLE bfai.connection (x int)")
    with pytest.raises(StoreForeign, match="belongs to another program"):
        open_store(fresh)
    with psycopg.connect(fresh) as db:
        assert db.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'bfai'::regnamespace").fetchone() == (1,)


def statements_of_the_docs() -> list[list[str]]:
    """The blocks of SQL in docs/postgresql.md."""
    text = (Path(__file__).parent.parent / "docs" / "postgresql.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    return [[one.strip() for one in block.split(";") if one.strip()] for block in blocks]


def test_the_tables_may_belong_to_another_user_than_the_apps(
    fresh: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/postgresql.md says: the app's user cannot even change a table then."""
    open_store(fresh, owner="ann").close()
    url = postgres.url(name_of(fresh), "bfai_app", "another-password")
    with postgres.admin(name_of(fresh)) as god:
        try:
            for statement in statements_of_the_docs()[1]:
                god.execute(statement)
            with contextlib.closing(open_store(url, owner="ann")) as store:
                fill(store)
                assert len(store.connections()) == 1
            with contextlib.closing(open_store(url, owner="bob")) as store:
                assert store.connections() == []
            for forbidden in ("DELETE FROM bfai.migration", "ALTER TABLE bfai.secret DISABLE ROW LEVEL SECURITY"):
                with psycopg.connect(url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(forbidden)
            later = migrations.Migration("0099_later", ("CREATE TABLE later (owner INTEGER NOT NULL) STRICT",))
            monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, later))
            with pytest.raises(StoreReadOnly, match=r"permission denied|must be owner"):
                open_store(url)
            open_store(fresh).close()
            with contextlib.closing(open_store(url, owner="ann")), psycopg.connect(url) as app:
                assert app.execute("SELECT count(*) FROM bfai.later").fetchone() == (0,)
        finally:
            god.execute("DROP OWNED BY bfai_app")
            god.execute("DROP ROLE bfai_app")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            "x NOT IN (SELECT value FROM json_each(:a)) AND y IN (SELECT value FROM json_each(:b))",
            "x <> ALL (:a) AND y = ANY (:b)",
        ),
        (
            "run r INDEXED BY run_by_change WHERE x IS NOT :a AND y IS :b",
            "run r WHERE x IS DISTINCT FROM :a AND y IS NOT DISTINCT FROM :b",
        ),
        ("x IS NULL OR x IS NOT NULL", "x IS NULL OR x IS NOT NULL"),
        (
            "pk INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER) STRICT, WITHOUT ROWID",
            "pk BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n BIGINT)",
        ),
        ("body BLOB, name TEXT", 'body BYTEA, name TEXT COLLATE "C"'),
    ],
)
def test_what_is_only_sqlites_is_translated(ours: str, theirs: str) -> None:
    assert in_postgresql(ours) == theirs


# What can go wrong with a server: each is named, without the password


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hid@den@host/db",
        "postgresql://user:hid/den@host/db",
        "postgresql://user:hid#den@host/db",
        "postgresql://user:h?i@dden@host/db",
        "postgresql://user:h?i@/dden@host/db",
        "postgresql://host?password=x@hidden",
        "postgresql://user:hidden",
        "postgresql://host/db?pasword=hidden",
        "postgresql://host:hidden/db",
        "postgresql://user:hidden@a..b/db",
        f"postgresql://user:hidden@{'x' * 64}.example.com/db",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(StoreUnreachable, match="no address of a PostgreSQL database") as refused:
        open_store(url)
    assert "hid" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_address_shows_no_password() -> None:
    for url in ("postgresql://u:hidden@h:5433/db?sslmode=verify-full", "postgres://h:5433/db?user=u&password=hidden"):
        address = read_address(url)
        assert (address.shown, address.given["password"]) == ("h:5433/db", "hidden")
        assert "hidden" not in repr(address)


def refusal(url: str) -> str:
    with pytest.raises(StoreUnreachable) as refused:
        open_store(url)
    return str(refused.value)


def test_the_authorities_that_a_computer_trusts_are_there_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    system = "postgresql://bfai:x@db.example.com/bfai?sslrootcert=system"
    for url in (system, f"{system}&sslmode=verify-full"):
        given = read_address(url).given
        assert given["sslmode"] == "verify-full"
        assert "BEGIN CERTIFICATE" in Path(given["sslrootcert"]).read_text(encoding="utf-8")
    assert read_address(f"{system}&sslmode=require").given["sslrootcert"] == "system", "libpq refuses the two together"
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert read_address(system).given["sslrootcert"] == "system", "then libpq finds them by itself"


def test_what_keeps_us_out_is_named(postgres: Server, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = "a-wrong-password"
    assert "refused the user or the password" in refusal(postgres.url("shared", password=wrong))
    assert "refused the user or the password" in refusal(postgres.url("shared", "nobody", wrong))
    assert "refused the user or the password" in refusal(postgres.url("shared").replace(f":{PASSWORD}", ""))
    assert f"There is no database 127.0.0.1:{postgres.port}/nothing. Create it" in refusal(postgres.url("nothing"))
    gone = refusal(f"postgresql://u:{wrong}@127.0.0.1:1/db")
    assert "127.0.0.1:1/db cannot be reached: Connection refused. Check the address" in gone
    assert "nowhere.invalid/db cannot be reached" in refusal(f"postgresql://u:{wrong}@nowhere.invalid/db")
    assert "SSL" in refusal(postgres.url("shared") + "?sslmode=require")
    for said in (gone, refusal(postgres.url("shared", password=wrong)), *capfd.readouterr()):
        assert wrong not in said
        assert PASSWORD not in said


def test_no_password_is_in_what_a_store_shows_of_itself(store: Store) -> None:
    assert isinstance(store, PostgresStore)
    shown = [repr(store), str(store), repr(store._pool), repr(store._pool.address), repr(vars(store))]
    for db in store._pool._idle:
        shown += [repr(db), str(db.info.dsn)]
    assert all(PASSWORD not in text for text in shown)


def test_a_restart_of_the_database_is_survived(postgres: Server, postgres_url: str) -> None:
    store = open_store(postgres_url)
    made = add(store)

    def in_two_threads() -> None:  # so that there are two connections
        with store.together():
            thread = threading.Thread(target=store.connections)
            thread.start()
            thread.join()

    in_two_threads()
    postgres.stop()
    try:
        with pytest.raises(StoreUnreachable, match=r"cannot be reached: Connection refused\. Check") as refused:
            store.connections()
        with pytest.raises(StoreUnreachable):
            add(store, "Other")
        assert PASSWORD not in str(refused.value)
    finally:
        postgres.start()
    assert store.connections() == [made]
    in_two_threads()
    postgres.stop()
    postgres.start()
    store.add_run(a_run(made, 1))  # over a connection that broke meanwhile
    lost = pytest.raises(StoreUnreachable, match=r"was lost: .* Look whether the last change is there, then try again")
    with lost, store.together():
        store.add_run(a_run(made, 2))
        postgres.stop()
        postgres.start()
        store.add_run(a_run(made, 3))
    assert store.count_runs() == 1
    store.close()


def test_a_database_that_may_only_be_read_is_named(postgres: Server, postgres_url: str) -> None:
    store = open_store(postgres_url)
    made = add(store)
    store.close()
    url = f"{postgres_url}?options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(StoreReadOnly, match=r"does not allow it: .* read-only transaction"):
        open_store(url)
    with postgres.admin("shared") as god, contextlib.closing(open_store(postgres_url)) as store:
        god.execute("REVOKE INSERT ON bfai.connection FROM bfai")
        try:
            with pytest.raises(StoreReadOnly, match="permission denied for table connection"):
                add(store, "Other")
        finally:
            god.execute("GRANT INSERT ON bfai.connection TO bfai")
        assert store.connections() == [made]


def test_an_owner_whose_rows_are_held_is_named(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "BUSY_SECONDS", 0.1)
    one, other = open_store(postgres_url), open_store(postgres_url, owner="other")
    made = add(one)
    refused: list[BaseException] = []

    def elsewhere() -> None:
        try:
            add(one, "Two")
        except StoreError as error:
            refused.append(error)

    with one.together():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        add(other)  # other people are not held up
    assert isinstance(refused[0], StoreLocked)
    assert "Nothing of this change is stored. Try again in a moment." in str(refused[0])
    assert one.connections() == [made]
    one.close()
    other.close()


def test_a_table_that_is_held_is_named_also_to_who_only_reads(
    postgres: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfai.store.postgres.BUSY_SECONDS", 0.3)
    store = open_store(postgres_url)
    with contextlib.closing(store), contextlib.closing(WorkerDesk(postgres_url, "w")) as desk:
        assert isinstance(store, PostgresStore)
        looks: list[tuple[str, Callable[[], object]]] = [
            ("setting", lambda: store.setting("s")),
            ("connection", store.connections),
            ("migration", lambda: open_store(postgres_url)),
            ("owner", lambda: open_store(postgres_url)),
            ("delegation", lambda: desk.due(T0, 9)),
        ]
        for table, look in looks:
            with postgres.admin("shared") as god, god.transaction():
                god.execute(f"LOCK TABLE bfai.{table} IN ACCESS EXCLUSIVE MODE")
                thread = Refused(look)
                thread.start()
                thread.join(20)
                assert not thread.is_alive(), table
                assert isinstance(thread.error, StoreLocked), table
                assert "busy" in str(thread.error), table
        assert store.connections() == []
        with store._reading():  # takes longer than anybody waits for a lock
            store._execute("SELECT pg_sleep(1)", {})


class Refused(threading.Thread):
    """Does something that fails."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._act()
        except StoreError as error:
            self.error = error


def test_no_error_tells_a_row(store: Store) -> None:
    made = add(store)
    broken: dict[str, Any] = {"api_key": Sealed(1, b"n", b"hidden"), "secret": Sealed(1, b"hidden", None)}  # pyright: ignore
    with pytest.raises(StoreError) as refused:
        store.replace_credentials(made.id, broken, b"hidden", "hidden", T0)
    assert "hidden" not in str(refused.value)


def test_a_pooler_that_forgets_what_was_prepared_costs_one_try(store: Store) -> None:
    assert isinstance(store, PostgresStore)
    made = add(store)
    for n in range(4):
        store.add_run(a_run(made, n))
    (db,) = store._pool._idle
    db.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")  # so that psycopg does not notice
    with pytest.raises(StoreLocked):
        store.add_run(a_run(made, 5))
    for n in range(6, 12):
        store.add_run(a_run(made, n))
    assert store.count_runs() == 10


def test_stores_of_one_database_share_few_connections(postgres: Server, postgres_url: str) -> None:
    stores = [open_store(postgres_url, owner=f"owner {n}") for n in range(12)]
    errors: list[BaseException] = []

    def work(store: Store) -> None:
        try:
            for n in range(5):
                store.set_setting("n", n)
                store.connections()
        except BaseException as error:  # whatever it is, the test is to show it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'bfai' AND application_name = 'bfai'"
    with postgres.admin() as god:
        assert god.execute(count).fetchone()[0] <= MOST_CONNECTIONS
        for store in stores:
            store.close()
        for _ in range(1000):  # the server sees it a moment later
            if god.execute(count).fetchone() == (0,):
                break
        assert god.execute(count).fetchone() == (0,)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("53100", StoreFull, "no space left"),
        ("40001", StoreLocked, "busy"),
        ("40P01", StoreLocked, "busy"),
        ("57P01", StoreUnreachable, "was lost"),
        ("25006", StoreReadOnly, "does not allow it"),
        ("XX001", StoreDamaged, "damaged"),
        ("22003", StoreError, "cannot be used"),
    ],
)
def test_what_the_server_says_becomes_an_error_of_ours(
    code: str, kind: type[BfaiError], says: str, store: Store
) -> None:
    assert isinstance(store, PostgresStore)
    with pytest.raises(kind, match=says) as refused, store.together():
        statement = f"DO $$ BEGIN RAISE EXCEPTION 'because' USING ERRCODE = '{code}'; END $$"
        assert store._here.db is not None
        store._here.db.execute(statement)  # pyright: ignore
    assert len(str(refused.value).split(". ")) >= 2
