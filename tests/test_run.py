"""The launcher as a person meets it: a process in a folder of its own, with stand-ins for pip and Streamlit."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent

FAKE_PIP = """
import os, pathlib, sys
log = pathlib.Path(os.environ["FAKE_LOG"])
with log.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if "install" in sys.argv and os.environ.get("FAKE_PIP_SAYS"):
    sys.exit(os.environ["FAKE_PIP_SAYS"])
"""

FAKE_STREAMLIT = """
import http.server, json, os, pathlib, sys
if os.environ.get("FAKE_STREAMLIT_EXIT"):
    sys.exit(int(os.environ["FAKE_STREAMLIT_EXIT"]))
print("You can now view your Streamlit app in your browser.")
pathlib.Path(os.environ["FAKE_LOG"]).write_text(json.dumps({"argv": sys.argv[1:], "pid": os.getpid()}))
port = int(next(word for word in sys.argv if word.startswith("--server.port=")).partition("=")[2])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()
    def log_message(self, *args):
        pass
try:
    http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
except KeyboardInterrupt:
    sys.exit(7)
"""

FAKE_BFAI = """
import json, os, sys
database = os.environ["BFAI_DATABASE_URL"]
print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "stdin": sys.stdin.read(), "database": database}))
sys.exit(3)
"""


def load(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"launcher_{folder.name}", folder / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Place:
    """A copy of the launcher in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        (folder / "run.py").write_bytes((ROOT / "run.py").read_bytes())
        (folder / "app.py").write_text("", encoding="utf-8")
        (folder / "requirements.txt").write_text("one==1\n", encoding="utf-8")
        (folder / "requirements-dev.txt").write_text("-r requirements.txt\ntwo==2\n", encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PIP_", "FAKE_", "BFAI_"))
        }
        return {**kept, "CI": "true", "BFAI_CHROMIUM": sys.executable, "FAKE_LOG": str(self.log), "PYTHONUTF8": "1"}

    def make_venv(self) -> None:
        """A .venv with a stand-in for pip."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / ".venv"], check=True)
        self.add_module("pip", FAKE_PIP)

    def add_module(self, name: str, main: str) -> None:
        python = load(self.folder).venv_python()
        found = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        package = Path(subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip()) / name
        package.mkdir()
        (package / "__init__.py").write_text("", encoding="utf-8")
        (package / "__main__.py").write_text(main, encoding="utf-8")

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, self.folder / "run.py", *arguments],
            check=False,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env={**self.environment, **environment},
            timeout=60,
        )

    def installs(self) -> int:
        return self.log.read_text(encoding="utf-8").count("install ") if self.log.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def ready(place: Place) -> Place:
    """A place with stand-ins for pip, Streamlit and the package."""
    place.make_venv()
    place.add_module("streamlit", FAKE_STREAMLIT)
    package = place.folder / "bfai"
    package.mkdir()
    (package / "__main__.py").write_text(FAKE_BFAI, encoding="utf-8")
    return place


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["rnu"], ["--prot", "1"], ["--port"], ["--port", "http"], ["--port=70000"]])
def test_what_is_not_understood_gets_the_usage(place: Place, arguments: list[str]) -> None:
    done = place.run(*arguments)
    assert done.returncode == 2
    assert "python3 run.py test" in done.stderr and "Traceback" not in done.stderr
    assert not (place.folder / ".venv").exists()


def test_help(place: Place) -> None:
    done = place.run("--help")
    assert done.returncode == 0 and "--no-browser" in done.stdout


def test_an_older_python_is_told_so(place: Place) -> None:
    script = place.folder / "run.py"
    text = script.read_text(encoding="utf-8")
    assert "sys.version_info < (3, 11)" in text
    script.write_text(text.replace("sys.version_info < (3, 11)", "sys.version_info < (9, 0)"), encoding="utf-8")
    done = place.run()
    assert done.returncode == 1
    assert done.stderr.startswith("This needs Python 3.11 or later") and "Traceback" not in done.stderr


def test_the_version_check_comes_before_anything_an_older_python_lacks() -> None:
    head = (ROOT / "run.py").read_text(encoding="utf-8").split("sys.version_info <")[0]
    assert [line for line in head.splitlines() if line.startswith(("import ", "from "))] == [
        "from __future__ import annotations",
        "import sys",
    ]


# --- installing --------------------------------------------------------------------------------------------------


def test_packages_are_installed_once_and_again_when_their_list_changes(ready: Place) -> None:
    for _ in range(2):
        assert ready.run("cli").returncode == 3
    assert ready.installs() == 1

    (ready.folder / "requirements.txt").write_text("one==2\n", encoding="utf-8")
    assert ready.run("cli").returncode == 3
    assert ready.installs() == 2


def test_the_list_for_tests_covers_the_list_for_running(ready: Place) -> None:
    launcher = load(ready.folder)
    launcher.STAMP.write_text(
        json.dumps(
            {
                "requirements-dev.txt": launcher.fingerprint(
                    ready.folder / "requirements-dev.txt", launcher.venv_version()
                )
            }
        )
    )
    assert launcher.is_current("requirements.txt") and launcher.is_current("requirements-dev.txt")
    # A change of the nested list makes both old.
    (ready.folder / "requirements.txt").write_text("one==2\n", encoding="utf-8")
    assert not launcher.is_current("requirements.txt") and not launcher.is_current("requirements-dev.txt")


def test_another_python_makes_the_installation_old(ready: Place) -> None:
    launcher = load(ready.folder)
    requirements = ready.folder / "requirements.txt"
    assert launcher.fingerprint(requirements, "3.11.1") != launcher.fingerprint(requirements, "3.12.1")


@pytest.mark.parametrize("stamp", ["", "[]", "{", "null", '{"requirements.txt": 1}', "\0"])
def test_a_damaged_stamp_only_costs_an_installation(ready: Place, stamp: str) -> None:
    load(ready.folder).STAMP.write_text(stamp, encoding="utf-8")
    assert ready.run("cli").returncode == 3
    assert ready.installs() == 1


def test_a_venv_without_a_python_is_made_anew(place: Place) -> None:
    (place.folder / ".venv").mkdir()
    (place.folder / ".venv" / "pyvenv.cfg").write_text("version = 3.11.1\n", encoding="utf-8")
    assert load(place.folder).venv_version() == ""


def test_pips_warnings_are_not_shown_when_all_is_well(ready: Place) -> None:
    done = ready.run("cli")
    assert done.stderr.splitlines()[0].startswith("Installing packages")
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying … NewConnectionError … [Errno -2] Name or service not known", "internet connection"),
        (
            "[Errno -3] Temporary failure in name resolution\nERROR: No matching distribution found for one",
            "internet connection",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("ERROR: No matching distribution found for one==1", "one==1 is not to be had for Python"),
        ("ERROR: Failed building wheel for one", "no ready-made build"),
        ("OSError: [Errno 30] Read-only file system: '/x'", "is read-only"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "may not be written by you"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    one==1 …:\n",
            "not the file that was checked",
        ),
        ("ERROR: Something never seen", "Something never seen"),
    ],
)  # fmt: skip
def test_when_pip_fails_one_sentence_says_what_to_do(ready: Place, said: str, remedy: str) -> None:
    done = ready.run(FAKE_PIP_SAYS="WARNING: Location 'x' is ignored\n" + said)
    assert done.returncode == 1
    assert remedy in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr and "WARNING" not in done.stderr
    assert "Starting" not in done.stdout
    # Nothing is taken for installed.
    assert not load(ready.folder).is_current("requirements.txt")


def test_a_python_without_venv_says_what_to_install(place: Place) -> None:
    """As Debian has it without python3-venv: the module is there, ensurepip is not."""
    broken = place.folder / "broken"
    broken.mkdir()
    (broken / "venv.py").write_text(
        "import sys; sys.exit('The virtual environment was not created because ensurepip is not available.')",
        encoding="utf-8",
    )
    done = place.run(PYTHONPATH=str(broken))
    assert done.returncode == 1 and "-venv" in done.stderr and "Traceback" not in done.stderr


def test_ensurepip_is_looked_for_before_anything_is_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = load(place.folder)
    monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(launcher.Stop, match="-venv"):
        launcher.make_venv(sys.stderr)
    assert not (place.folder / ".venv").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(place: Place) -> None:
    place.folder.chmod(0o555)
    try:
        done = place.run()
    finally:
        place.folder.chmod(0o755)
    assert done.returncode == 1 and "may not be written by you" in done.stderr and "Traceback" not in done.stderr


# --- starting ----------------------------------------------------------------------------------------------------


class Started:
    def __init__(self, place: Place, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, place.folder / "run.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=place.environment,
        )
        self.lines: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if "http://" in line:
                break
        assert self.lines and "http://" in self.lines[-1], self.process.communicate()
        self.address = self.lines[-1].split()[4]
        seen = json.loads(place.log.read_text(encoding="utf-8"))
        self.arguments: list[str] = seen["argv"]
        self.server_pid: int = seen["pid"]

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def started(ready: Place) -> Iterator[Started]:
    started = Started(ready)
    yield started
    if started.process.poll() is None:
        started.stop(signal.SIGTERM)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX has them")
def test_it_starts_on_this_machine_only_and_names_each_wait(started: Started) -> None:
    assert started.lines[0].startswith("Installing packages") and started.lines[-2] == "Starting …"
    assert started.address.startswith("http://127.0.0.1:85")
    assert urllib.request.urlopen(started.address + "/_stcore/health").status == 200
    assert "--server.address=127.0.0.1" in started.arguments
    assert [word for word in started.arguments if "allowedHosts" in word] == [
        "--server.allowedHosts=localhost",
        "--server.allowedHosts=127.0.0.1",
    ]
    assert "--server.fileWatcherType=none" in started.arguments
    assert "--server.maxUploadSize=200" in started.arguments, "backups come back at home; elsewhere memory is shared"


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_it_ends_the_server(started: Started, number: signal.Signals) -> None:
    assert started.stop(number) is not None
    deadline = time.monotonic() + 5
    while alive(started.server_pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(started.server_pid)


def test_the_servers_exit_code_is_ours(ready: Place) -> None:
    assert ready.run("--no-browser", FAKE_STREAMLIT_EXIT="5").returncode == 5


def test_a_taken_port_is_passed_over_and_a_taken_port_that_was_asked_for_is_named(ready: Place) -> None:
    launcher = load(ready.folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert launcher.free_port(port) != port
        done = ready.run("--port", str(port))
    assert done.returncode == 1 and f"Port {port} is taken" in done.stderr
    assert launcher.free_port(port) == port


def test_the_health_check_does_not_ask_a_proxy(ready: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502)

    proxy = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    monkeypatch.setenv("no_proxy", "")
    try:
        started = Started(ready)
        started.stop(signal.SIGTERM)
    finally:
        proxy.shutdown()
        proxy.server_close()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a display there")
@pytest.mark.parametrize(
    ("environment", "opens"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":0", "CI": "1"}, False),
    ],
)
def test_a_browser_opens_only_where_it_would_be_seen(environment: dict[str, str], opens: bool) -> None:
    assert load(ROOT).can_open_browser(environment) is opens


# --- the other verbs ---------------------------------------------------------------------------------------------


def test_the_command_line_gets_its_words_its_folder_and_a_clean_stdout(ready: Place) -> None:
    done = ready.run("cli", "check", "mexc", "--json", stdin="a secret", BFAI_DATABASE_URL="sqlite:///mine.db")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "argv": ["check", "mexc", "--json"],
        "cwd": str(Path.cwd()),
        "stdin": "a secret",
        "database": "sqlite:///mine.db",
    }


def test_the_command_line_sees_the_apps_database_from_any_folder(ready: Place) -> None:
    place = json.loads(ready.run("cli").stdout)["database"]
    assert place == f"sqlite:///{(ready.folder / 'data' / 'bfai.db').as_posix()}"


def test_all_stages_run_and_one_that_failed_is_remembered(ready: Place) -> None:
    (ready.folder / "tools").mkdir()
    (ready.folder / "tools" / "i18n.py").write_text(
        "print('one text is missing'); raise SystemExit(1)", encoding="utf-8"
    )
    for name in ("exchanges.py", "supply.py"):
        (ready.folder / "tools" / name).write_text("", encoding="utf-8")
    for name in ("ruff", "basedpyright", "bandit", "playwright"):
        ready.add_module(name, "")
    ready.add_module("importlinter", "")
    purelib = next((ready.folder / ".venv").rglob("importlinter"))
    (purelib / "cli.py").write_text("def lint_imports(no_logo):\n    return 0\n", encoding="utf-8")
    ready.add_module("pytest", "import sys; print('pytest', *sys.argv[1:])")

    done = ready.run("test", "-x", "tests/test_vault.py")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.split()[-3:-2] for line in lines if line.endswith(" s") and "Install" not in line] == [
        ["ok"], ["ok"], ["ok"], ["ok"], ["FAILED"], ["ok"], ["ok"], ["ok"],
    ]  # fmt: skip
    assert "one text is missing" in lines
    assert lines[-1] == "pytest -x tests/test_vault.py"

    fast = ready.run("test", "--fast")
    assert fast.returncode == 0
    assert fast.stdout.splitlines() == ["Now pytest.", "pytest -n auto --dist loadfile --no-loadscope-reorder"]
