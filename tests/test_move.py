"""Moving everything of an owner from one database to another."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bfai.model import Status
from bfai.store import Store, open_store
from bfai.store.move import TABLES, MoveRefused, move
from bfai.vault import Vault
from bfai.workbench import Workbench
from tests.postgres import PASSWORD, Server
from tests.test_store import T0, a_run, actions, add, sealed
from tests.test_store_postgres import fill

WORD = "correct horse battery staple"


@pytest.fixture
def second(postgres: Server) -> Iterator[str]:
    with postgres.database("second") as url:
        yield url


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite", "postgresql to postgresql"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """A full source and a target that is empty but for somebody else, so that numbers differ."""
    one, other = request.param.split(" to ")
    urls = [
        f"sqlite:///{tmp_path}/source.db" if one == "sqlite" else request.getfixturevalue("postgres_url"),
        f"sqlite:///{tmp_path}/target.db" if other == "sqlite" else request.getfixturevalue("second"),
    ]
    with contextlib.closing(open_store(urls[1], owner="somebody else")) as store:
        fill(store)
    with contextlib.closing(open_store(urls[0])) as source, contextlib.closing(open_store(urls[1])) as target:
        add(source, "Gone")
        deleted = source.connection_by_name("gone")
        assert deleted is not None
        source.delete_connection(deleted.id)
        fill(source)
        yield source, target


def everything(store: Store) -> dict[str, Any]:
    """All that the store tells of its owner, without the database's own numbers."""
    connections = store.connections()
    keys = [track.key for track in store.tracks()]
    strategies = store.strategies()
    return {
        "vault": store.vault(),
        "connections": connections,
        "sealed": [store.sealed(one.id) for one in connections],
        "reports": [store.key_report(one.id) for one in connections],
        "tracks": [track._replace(key=0) for track in store.tracks()],
        "rows": store.runs(),
        "runs": [store.run(row.id) for row in store.runs()],
        "rolled": [row[1:] for row in store.rolled(keys, 0, 10**6)],
        "hours": [row[1:] for row in store.rolled_hours(keys, 0, 10**6)],
        "days": [row[1:] for row in store.rolled_days(keys, 0, 10**6)],
        "schedules": store.schedules(),
        "pauses": store.pauses(),
        "strategies": strategies,
        "revisions": [store.revisions(one.id) for one in strategies],
        "events": store.events(),
        "channels": store.channels(),
        "addresses": [store.channel_address(one.id) for one in store.channels()],
        "deliveries": [one.model_copy(update={"id": 0}) for one in store.deliveries()],
        "market": store.market_data("mexc"),
        "candles": store.candle_chunks("okx/BTC", 0, 10, T0),
        "audit": store.audit_entries(),
        "setting": store.setting("s"),
    }


def test_everything_arrives_and_the_source_stays_as_it_was(stores: tuple[Store, Store]) -> None:
    source, target = stores
    before = everything(source)
    assert all(before.values()), "the test moves something of everything"
    count = move(source, target)
    assert count > 30
    assert everything(target) == before
    assert everything(source) == before
    main = before["connections"][0]
    target.add_run(a_run(main, 100, Status.FAILED))  # and goes on there
    assert target.roll_up(T0.replace(day=25))
    assert actions(target)[-1] == "tested"
    with pytest.raises(MoveRefused, match="already holds a vault"):
        move(source, target)
    with pytest.raises(MoveRefused):
        move(source, source)
    target.delete_connection(main.id)
    assert source.sealed(main.id) == sealed()


def test_what_changed_on_its_way_is_noticed_and_nothing_is_left(
    postgres: Server, postgres_url: str, tmp_path: Path
) -> None:
    with contextlib.closing(open_store(postgres_url)) as target:
        source = open_store(f"sqlite:///{tmp_path}/bfai.db")
        fill(source)
        with postgres.admin("shared") as god:
            god.execute(
                "CREATE FUNCTION bfai.spoil() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN NEW.nonce = '\\x00'; RETURN NEW; END $$"
            )
            god.execute("CREATE TRIGGER spoil BEFORE INSERT ON bfai.secret FOR EACH ROW EXECUTE FUNCTION bfai.spoil()")
            try:
                with pytest.raises(MoveRefused, match=r"not what was sent, in secret\. Nothing is moved\."):
                    move(source, target)
            finally:
                god.execute("DROP FUNCTION bfai.spoil CASCADE")
        assert target.vault() is None
        assert target.connections() == []
        assert target.audit_entries() == []
        assert move(source, target) > 0
        source.close()


def test_a_move_keeps_the_later_log_out_of_the_two(stores: tuple[Store, Store]) -> None:
    source, target = stores
    source.set_setting("visits", {"newest": 5.0, "ended": 3.0})
    target.set_setting("visits", {"newest": 4.0, "ended": 4.0})
    move(source, target)
    assert target.setting("visits") == {"newest": 5.0, "ended": 4.0}
    assert source.setting("visits") == {"newest": 5.0, "ended": 3.0}


def test_every_table_is_moved_and_every_number_follows(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/bfai.db").close()
    known = {table.name: table for table in TABLES}
    with contextlib.closing(sqlite3.connect(tmp_path / "bfai.db")) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        ours = {name for name in names if not name.startswith(("sqlite_", "_sqlite"))}
        assert set(known) == ours - {"owner", "worker", "delegation"}, "what is delegated stays where its worker is"
        for name, table in known.items():
            keys = {row[3]: row[2] for row in db.execute(f"PRAGMA foreign_key_list({name})")}
            del keys["owner"]
            assert keys.items() <= table.points.items(), name
    before: set[str] = set()
    for table in TABLES:
        missing = set(table.points.values()) - before - {table.name}
        assert missing <= ({"key_report"} if table.name == "connection" else set()), table.name
        before.add(table.name)


def test_the_command_moves_a_vault_that_its_password_opens(postgres_url: str, tmp_path: Path) -> None:
    here = f"sqlite:///{tmp_path}/bfai.db"
    root = Path(__file__).parent.parent

    def run(*arguments: str, url: str = here) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "bfai", "vault", *arguments],
            cwd=root,
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "BFAI_DATABASE_URL": url, "BFAI_MASTER_PASSWORD": WORD, "BFAI_LANGUAGE": "en"},
        )
        assert PASSWORD not in done.stdout + done.stderr
        return done.returncode, done.stderr

    code, said = run("move", "--to", postgres_url)
    assert (code, "There is no vault yet" in said) == (3, True)
    assert run("init")[0] == 0
    code, said = run("move", "--to", postgres_url)
    assert code == 0, said
    assert "rows are moved and compared." in said
    assert "Now set BFAI_DATABASE_URL to the new address" in said
    with contextlib.closing(open_store(postgres_url)) as store:
        Vault.unlock(store, WORD).lock()
        assert actions(store) == ["vault_created"]
    code, said = run("move", "--to", postgres_url)
    assert (code, "already holds a vault" in said) == (1, True)
    code, said = run("move", "--to", postgres_url.replace(PASSWORD, "wrong"))
    assert (code, "refused the user or the password" in said, "wrong@" in said) == (1, True, False)


def test_the_workbench_works_on_postgresql(postgres_url: str) -> None:
    with Workbench.local(postgres_url) as workbench:
        workbench.create_vault(WORD)
        assert workbench.is_open
        assert workbench.connections() == []
    with Workbench.local(postgres_url) as workbench:
        workbench.unlock(WORD)
        assert workbench.is_open
