"""A real PostgreSQL for tests: a cluster of its own on loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

USER, PASSWORD = "bfai", "the-secret-of-the-app"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


def binaries() -> Path | None:
    """Where PostgreSQL's programs are, the newest ones."""
    found = [place.parent for place in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda place: int(place.parent.name) if place.parent.name.isdigit() else 0)
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


class Server:
    """A running PostgreSQL with an ordinary user `bfai`, who owns the databases that are made here."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._home = Path(tempfile.mkdtemp(prefix="bfai-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL does not run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            import pwd

            names = {user.pw_name for user in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self._home, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        word = self._home / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        command = [programs / "initdb", "-D", self._data, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={word}"]
        options = ["--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([*command, *options], check=True, capture_output=True, cwd=self._home, **self._as)
        word.unlink()
        self.port = 0
        self.start()
        with self.admin() as db:
            db.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def home(self) -> Path:
        """Where its files are, the log among them."""
        return self._home

    def check(self, database: str) -> str:
        """What is damaged in a database, by pg_amcheck; nothing in a sound one."""
        command = [self._programs / "pg_amcheck", "--install-missing", "--heapallindexed", "--parent-check"]
        said = subprocess.run(
            [*command, self.url(database, "postgres")], capture_output=True, text=True, check=False, cwd=self._home
        )
        return said.stdout + said.stderr if said.returncode or said.stdout else ""

    def start(self) -> None:
        """On the same port as before."""
        if not self.port:
            with contextlib.closing(socket.socket()) as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        settings = [f"-c{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port)}.items()]
        with (self._home / "log").open("ab") as log:
            command = [self._programs / "postgres", "-D", self._data, *settings]
            self._process = process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home, **self._as)
        until = time.monotonic() + 60
        while True:
            try:
                self.admin().close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError((self._home / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, *, fast: bool = False) -> None:
        """At once: connections break, and what was not committed is lost. `fast` ends in order, without waiting."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if fast else signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def admin(self, database: str = "postgres") -> Any:
        """As a superuser, whom no row-level security stops."""
        return psycopg.connect(self.url(database, "postgres"), autocommit=True)

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self, name: str, owner: str = USER) -> Iterator[str]:
        """The URL of a new, empty database."""
        with self.admin() as db:
            db.execute(f"CREATE DATABASE {name} OWNER {owner}")
        try:
            yield self.url(name)
        finally:
            with self.admin() as db:
                db.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, database: str) -> None:
        """Take every row out of the tables of a database that was opened before."""
        with self.admin(database) as db:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'bfai' AND tablename <> 'migration'"
            tables = ", ".join(f"bfai.{row[0]}" for row in db.execute(query))
            if tables:
                db.execute("SET session_replication_role = replica")  # without triggers
                db.execute(f"TRUNCATE {tables} RESTART IDENTITY")
