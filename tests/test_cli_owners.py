"""The command line is one owner's, "local", also on a database of many: no command shows or changes another's rows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bfai.backup import SUFFIX, BackupFile
from bfai.cli import main
from bfai.model import Credentials
from bfai.recovery_code import new_code
from bfai.simulator import Simulator
from bfai.store import open_store
from bfai.store.move import erase
from bfai.vault import Cost
from bfai.workbench import Workbench
from tests.postgres import Server
from tests.test_store import a_connection, a_report, a_run, enable, plan
from tests.test_store_alerts import an_event, happen
from tests.test_store_postgres import tables

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
PASSWORD, NEW = "tall green lamp post", "quiet blue window frame"
OTHERS = {"oidc-ann": "Annabel", "oidc-bob": "Bobolink"}
"""Owners, with the word that stands in everything of theirs."""
ELSEWHERE = ["check", "explain", "strategy schema", "ladder", "simulator"]
"""The commands that open no database."""

AIMED = [
    "audit --connection {c}",
    "audit --strategy {s} --csv",
    "connections rotate {c}",
    "connections rename {c} Mine-now",
    "connections remove {c} --yes",
    "connections confirm-withdraw-off {c}",
    "connections pair {c}",
    "connections take {c}",
    "test {c}",
    "history {c} --format csv",
    "monitor {c} --once --every 15m",
    "alerts remove {a} --yes",
    "alerts test {a}",
    "strategy new Copy --connection {c} --pair BTC/USDT",
    "strategy edit {s} --set close_on=-1",
    "strategy engine-export {s} --to {folder}/engine",
    "strategy validate {s}",
    "strategy enable {s}",
    "strategy disable {s}",
    "strategy export {s}",
    "run {s} --status",
    "run {s} --stop",
]
"""At something by its name or its id: at another's as at one that nobody has."""
GENERAL = [
    "audit --json",
    "audit --search Annabel",
    "vault init",
    "vault change-password",
    "vault rotate",
    "vault delete --yes",
    "vault move --to sqlite:///{folder}/moved.db",
    "vault move --to {url}",
    "vault recovery-code --revoke",
    "vault recover",
    "backup make --to {folder}/made",
    "backup check {folder}/before",
    "backup restore {folder}/before",
    "backup restore --replace {folder}/before",
    "settings",
    "settings set keep_runs_days 5",
    "connections list --json",
    "connections add Fresh mexc",
    "test --all --json",
    "history --format json",
    "worker --new-key {folder}/worker.pem --name desk",
    "monitor --once --every 15m",
    "alerts list --json",
    "alerts add Another",
    "alerts log --json",
    "strategy list --json",
]
ONE = (
    "vault init",
    "vault move --to {url}",
    "backup restore {folder}/before",
    "test --all --json",
    "monitor --once --every 15m",
)
"""Those that end in exit code 1: there is a vault already, and the key may not trade."""


def key_of(simulator: Simulator, name: str = "good") -> Credentials:
    account = simulator.accounts["mexc"][name]
    return Credentials(account["apiKey"] or "", account["secret"] or "")


def live(bench: Workbench, word: str, channel: str, credentials: Credentials) -> None:
    """A vault with a tested connection, an enabled strategy, a channel that heard something, and a setting."""
    bench.create_vault(PASSWORD)
    store, vault = bench._store, bench._open_vault()
    connection = a_connection(f"{word}-connection", note=f"{word}'s note")
    sealed, fingerprint = vault.seal(connection.id, credentials), vault.fingerprint("mexc", credentials.api_key)
    store.add_connection(connection, sealed, fingerprint, a_run(connection, key_report=a_report()))
    bench.alerts.add(f"{word}-channel", channel)
    happen(store, connection, an_event(connection), after=2)
    enable(store, plan(store, connection, f"{word}-strategy"))
    store.set_setting(f"{word} setting", word)


@pytest.fixture(scope="module", autouse=True)
def _cheap() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place in ("bfai.vault.DEFAULT_COST", "bfai.backup.DEFAULT_COST"):
            patch.setattr(place, CHEAP)
        yield


@pytest.fixture(scope="module")
def url(postgres: Server, _simulator: Simulator) -> Iterator[str]:
    """A database on which two people live. Both have the key that will be added on the command line."""
    with postgres.database("owners") as found:
        for owner, word in OTHERS.items():
            with Workbench.hosted(found, owner) as bench:
                live(bench, word, f"ntfy://{word}-topic-that-nobody-guesses", key_of(_simulator))
        yield found


class Terminal:
    """Runs commands as the person who owns the computer does, with an own vault on the same database."""

    def __init__(self, url: str, folder: Path, simulator: Simulator, server: Server) -> None:
        self._url, self._folder, self._server = url, folder, server
        self._code = new_code()
        self._keys = json.dumps({**simulator.accounts["mexc"]["good"]})
        self._environment = {
            "BFAI_DATABASE_URL": url,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "BFAI_MASTER_PASSWORD": PASSWORD,
            "BFAI_NEW_MASTER_PASSWORD": NEW,
            "BFAI_MASTER_PASSWORD_FILE": None,
            "BFAI_BACKUP_PASSWORD": None,
            "BFAI_LANGUAGE": "en",
        }
        with contextlib.closing(open_store(url)) as store:
            erase(store)
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
            for name in ("BFAI_GATEWAY", "BFAI_GATEWAY_CA"):
                patch.setenv(name, str(self._environment[name]))
            bench = stack.enter_context(Workbench.local(url))
            live(bench, "Mine", "json://127.0.0.1:9/x", key_of(simulator, "read_only"))
            bench._open_vault().set_recovery_code(bench._store, self._code)
            bench.change_settings(backup_folder=str(folder))
            bench.backups.make(to=folder / "before")

    def run(self, command: str) -> Result:
        stdin = self._keys
        if command.startswith("alerts add"):
            stdin = "json://127.0.0.1:9/y"
        elif command.startswith("vault recover"):
            stdin = f"{self._code}\n"
        done = CliRunner().invoke(main, command.split(), input=stdin, env=self._environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), command
        return done

    def others(self) -> dict[str, list[str]]:
        """Every row of the two people, as no wall hides it."""
        found: dict[str, list[str]] = {}
        with self._server.admin("owners") as god:
            god.execute("SET search_path = bfai")
            people = [pk for pk, name in god.execute("SELECT pk, name FROM owner") if name in OTHERS]
            assert len(people) == len(OTHERS)
            for table in tables(god):
                key = "pk" if table == "owner" else "owner"
                rows = god.execute(f"SELECT * FROM {table} WHERE {key} = ANY(%s)", [people])
                found[table] = sorted(repr(row) for row in rows)
        assert sum(map(bool, found.values())) > 12
        return found

    def theirs(self) -> dict[str, str]:
        """What Ann has, by the letters of `AIMED`: a name, and an id."""
        with contextlib.closing(open_store(self._url, owner="oidc-ann")) as store:
            return {"c": store.connections()[0].id, "s": store.strategies()[0].id, "a": store.channels()[0].id}

    def written(self) -> str:
        """What the commands left in files, also behind a seal."""
        texts: list[str] = []
        for path in self._folder.rglob("*"):
            if path.is_file():
                texts.append(path.read_bytes().decode("latin-1"))
        for path in self._folder.iterdir():
            if path.name in ("before", "made") or path.suffix == SUFFIX:
                with path.open("rb") as file:
                    backup = BackupFile.open(file, PASSWORD)
                    for table in backup.tables:
                        texts += map(repr, backup.all_rows(table.name, backup.columns(table.name), ""))
        return "\n".join(texts)


@pytest.fixture
def terminal(url: str, tmp_path: Path, simulator: Simulator, postgres: Server) -> Terminal:
    return Terminal(url, tmp_path, simulator, postgres)


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, click.Group) or (command.invoke_without_command and words):
        yield " ".join(words)
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*words, name))


def test_every_command_is_tried() -> None:
    known = sorted(leaves(main), key=len, reverse=True)
    tried = {next(name for name in known if f"{command} ".startswith(f"{name} ")) for command in (*AIMED, *GENERAL)}
    assert tried | set(ELSEWHERE) == set(known)
    assert tried.isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("command", GENERAL)
def test_a_command_shows_and_changes_nothing_of_another_owner(
    command: str, terminal: Terminal, url: str, tmp_path: Path
) -> None:
    before = terminal.others()
    done = terminal.run(command.format(folder=tmp_path, url=url))
    assert done.exit_code == (1 if command in ONE else 0), done.output
    told = done.output.replace(command, "") + terminal.written()
    assert not any(word in told for word in OTHERS.values()), told
    assert terminal.others() == before


@pytest.mark.parametrize("command", AIMED)
def test_what_is_another_owners_is_as_good_as_made_up(command: str, terminal: Terminal, tmp_path: Path) -> None:
    before, answers = terminal.others(), set[tuple[int, str]]()
    names = {"c": "Annabel-connection", "s": "Annabel-strategy", "a": "Annabel-channel"}
    for chosen in (names, terminal.theirs(), dict.fromkeys("csa", "made-up")):
        done = terminal.run(command.format(folder=tmp_path, **chosen))
        told = done.output
        for name in chosen.values():
            told = told.replace(name, "NAME")
        assert not any(word in told for word in OTHERS.values())
        answers.add((done.exit_code, told))
    assert len(answers) == 1
    ((code, told),) = answers
    assert code == 1
    assert "There is no" in told
    assert terminal.others() == before


def test_the_same_commands_reach_what_is_ones_own(terminal: Terminal) -> None:
    """So what the others are spared is not spared by accident."""
    for command, shown in (
        ("connections list --json", "Mine-connection"),
        ("history --format json", "Mine-connection"),
        ("alerts log --json", "Main"),
        ("strategy list --json", "Mine-strategy"),
        ("audit --json", "Mine-channel"),
        ("test Mine-connection", "Mine-connection"),
    ):
        assert shown in terminal.run(command).output, command
    assert terminal.run("connections remove Mine-connection --yes").exit_code == 0
    assert terminal.run("vault delete --yes").exit_code == 0
