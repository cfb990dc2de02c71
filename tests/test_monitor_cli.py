"""`python -m bfai monitor` as a service runs it: another process, a password from somewhere, signals, exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest

from bfai.cli import _interval
from bfai.model import Target, utc_now
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.vault import FREE_FAILURES
from bfai.workbench import Workbench
from tests.commands import run_bfai
from tests.helpers import sample

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery staple"
NEVER_IMPORTED = "raise ImportError"
KEYRING = """
import json, pathlib
_file = pathlib.Path(__file__).with_name("kept.json")
def _kept(): return json.loads(_file.read_text()) if _file.exists() else {}
def set_password(service, name, password): _file.write_text(json.dumps({**_kept(), f"{service} {name}": password}))
def get_password(service, name): return _kept().get(f"{service} {name}")
"""
BROKEN_KEYRING = """
def get_password(service, name): raise RuntimeError("no backend, and a secret")
set_password = get_password
"""


@pytest.fixture
def environment(simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "BFAI_GATEWAY": simulator.gateway,
        "BFAI_GATEWAY_CA": str(simulator.ca_file),
        "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db",
        "BFAI_MASTER_PASSWORD": PASSWORD,
        "BFAI_LANGUAGE": "en",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def bench(simulator: Simulator, gateway: Gateway, tmp_path: Path) -> Iterator[Workbench]:
    """A vault with two connections that are due now: one works, one may not trade."""
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault(PASSWORD)
        for exchange, account in (("mexc", "good"), ("kucoin", "ip_blocked")):
            draft = found.draft(Target(exchange=exchange), sample(simulator, exchange, account))
            found.start_draft_test(draft.id).wait(20)
            found.save_draft(draft.id, name=f"{exchange} {account}")
        make_due(found)
        yield found


def make_due(bench: Workbench) -> None:
    for schedule in bench.schedules():
        bench._store.set_schedule(schedule.connection_id, timedelta(hours=1), utc_now(), utc_now())


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def monitor(environment: dict[str, str], tmp_path: Path) -> Run:
    def run(*options: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return run_bfai("monitor", *options, env={**environment, **changes}, cwd=tmp_path)

    return run


def test_once_tests_what_is_due_and_says_a_line_each(bench: Workbench, monitor: Run, simulator: Simulator) -> None:
    done = monitor("--once")
    assert done.returncode == 1, "one of them did not pass"
    assert done.stdout == ""
    lines = sorted(done.stderr.splitlines(), key=lambda line: line.split(" ", 1)[1])
    assert len(lines) == 2
    start = r"[-\dT:.]+Z connection="
    assert re.fullmatch(start + r'"kucoin ip_blocked" status=failed ms=\d+ cause=ip_not_allowed', lines[0])
    assert re.fullmatch(start + r'"mexc good" status=(online|connected) ms=\d+', lines[1])
    for secret in (*sample(simulator, "mexc", "good").secrets(), PASSWORD):
        assert secret not in done.stderr
    assert bench.count_runs() == 4
    again = monitor("--once")
    assert (again.returncode, again.stderr) == (0, ""), "nothing is due"


def test_once_cares_for_the_named_only(bench: Workbench, monitor: Run) -> None:
    done = monitor("--once", "MEXC good")
    assert done.returncode == 0
    assert done.stderr.count("connection=") == 1
    assert monitor("--once", "nobody").returncode == 1


def test_the_interval_is_set_for_the_named_or_for_all(bench: Workbench, monitor: Run) -> None:
    def intervals() -> dict[str, timedelta | None]:
        names = {connection.id: connection.name for connection in bench.connections()}
        return {names[schedule.connection_id]: schedule.every for schedule in bench.schedules()}

    assert monitor("--once", "--every", "15m", "mexc good").returncode == 0
    assert intervals() == {"mexc good": timedelta(minutes=15), "kucoin ip_blocked": timedelta(hours=1)}
    monitor("--once", "--every", "off")
    assert set(intervals().values()) == {None}
    assert monitor("--every", "4m").returncode == 2
    assert set(intervals().values()) == {None}


@pytest.mark.parametrize("text", ["4m", "8d", "soon", "15", "-5m", "1y", "", "0h", "1.5h"])
def test_an_interval_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        _interval(text)


def test_without_the_password_nothing_is_tested(bench: Workbench, monitor: Run, tmp_path: Path) -> None:
    assert monitor("--once", BFAI_MASTER_PASSWORD="").returncode == 3
    assert monitor("--once", BFAI_MASTER_PASSWORD="wrong password").returncode == 3
    missing = monitor("--once", BFAI_MASTER_PASSWORD="", BFAI_MASTER_PASSWORD_FILE=str(tmp_path / "nothing"))
    assert missing.returncode == 3
    assert "BFAI_MASTER_PASSWORD_FILE" in missing.stderr
    assert bench.count_runs() == 2


def test_the_password_may_come_in_a_file(bench: Workbench, monitor: Run, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    done = monitor("--once", "mexc good", BFAI_MASTER_PASSWORD="", BFAI_MASTER_PASSWORD_FILE=str(file))
    assert done.returncode == 0
    assert "connection=" in done.stderr


def test_it_waits_where_somebody_else_has_guessed_passwords(bench: Workbench, monitor: Run) -> None:
    """A service that ended instead would not be started again: 3 is for a password that is wrong."""
    assert bench._store.set_unlock_failures(0, FREE_FAILURES + 2, utc_now())
    done = monitor("--once", "mexc good")
    assert done.returncode == 0
    assert "Next try in" in done.stderr
    assert "connection=" in done.stderr


@pytest.fixture
def with_keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """What makes `import keyring` run this source in the other process."""

    def make(source: str) -> dict[str, str]:
        folder = tmp_path / "other packages"
        folder.mkdir(exist_ok=True)
        (folder / "keyring.py").write_text(source)
        return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}

    return make


def test_the_password_may_come_from_the_keyring(
    bench: Workbench, monitor: Run, with_keyring: Callable[[str], dict[str, str]]
) -> None:
    keyring = with_keyring(KEYRING)
    unknown = monitor("--once", "--keyring", BFAI_MASTER_PASSWORD="", **keyring)
    assert unknown.returncode == 3
    assert "--remember" in unknown.stderr
    remembered = monitor("--remember", **keyring)
    assert (remembered.returncode, remembered.stdout) == (0, "")
    assert PASSWORD not in remembered.stderr
    done = monitor("--once", "--keyring", "mexc good", BFAI_MASTER_PASSWORD="", **keyring)
    assert done.returncode == 0
    assert "connection=" in done.stderr


def test_a_keyring_that_cannot_be_used_is_said(
    bench: Workbench, monitor: Run, with_keyring: Callable[[str], dict[str, str]]
) -> None:
    missing = monitor("--once", "--keyring", **with_keyring(NEVER_IMPORTED))
    assert missing.returncode == 2
    assert "pip install keyring" in missing.stderr
    broken = monitor("--once", "--keyring", **with_keyring(BROKEN_KEYRING))
    assert broken.returncode == 3
    assert "RuntimeError" in broken.stderr
    assert "a secret" not in broken.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a program without asking it")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_tests_that_run(
    bench: Workbench, simulator: Simulator, environment: dict[str, str], tmp_path: Path, number: int
) -> None:
    simulator.set_faults([{"latency_ms": 1500}])
    with subprocess.Popen(
        [sys.executable, "-m", "bfai", "monitor"], stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        assert "Ctrl+C" in process.stderr.readline()
        deadline = time.monotonic() + 30
        while not all(schedule.is_held(utc_now()) for schedule in bench.schedules()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(30) == 0
        said = process.stderr.read()
    assert said.count("connection=") == 2
    assert "Traceback" not in said
    assert bench.count_runs() == 4
    assert not any(schedule.is_held(utc_now()) for schedule in bench.schedules())
