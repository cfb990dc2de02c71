"""Sets the workbench up on this machine and starts it. Needs Python 3.11 or later and nothing else.

python3 run.py [--port N] [--no-browser]    start the workbench, on this machine only
python3 run.py test [--fast] [PYTEST ARGS]  check everything; --fast leaves the linters out
python3 run.py parity [PYTEST ARGS]         compare with the real Freqtrade; installs it in .freqtrade first (800 MB)
python3 run.py cli ARGS                     the command line: the same as `python -m bfai ARGS`

(On Windows: py run.py)
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "This needs Python 3.11 or later; this is Python %d.%d. "
        "Install a newer one (https://www.python.org/downloads/) and start run.py with it." % sys.version_info[:2]
    )

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "bfai-installed.json"
HOST = "127.0.0.1"
FIRST_PORT = 8501
USAGE = (__doc__ or "").strip()
START_SECONDS = 60
STOP_SECONDS = 10


class Stop(Exception):
    """Something that the person at the keyboard must mend; its text says what and how."""


# --- the environment ---------------------------------------------------------------------------------------------


def venv_python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def venv_version() -> str:
    """The Python version that .venv was made with, or nothing where there is no usable one."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = next((line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "version"), "")
    return found if venv_python().exists() else ""


def fingerprint(requirements: Path, python_version: str) -> str:
    """What decides whether an installation is current: the files' contents, nested ones too, and the Python version."""
    digest = hashlib.sha256(python_version.encode())
    waiting, seen = [requirements], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        content = path.read_bytes()
        digest.update(content)
        nested = re.findall(rb"^\s*-r\s+(\S+)", content, re.MULTILINE)
        waiting += [path.parent / name.decode() for name in nested]
    return digest.hexdigest()


def read_stamps() -> dict[str, str]:
    try:
        stamps = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in stamps.items()} if isinstance(stamps, dict) else {}


def is_current(requirements: str) -> bool:
    """Whether .venv already holds these requirements, on their own or as part of those for tests."""
    version, stamps = venv_version(), read_stamps()
    return bool(version) and any(
        stamps.get(name) == fingerprint(ROOT / name, version)
        for name in {requirements, "requirements-dev.txt"}
        if (ROOT / name).exists()
    )


def prepare(requirements: str, say: TextIO) -> Path:
    """The Python of a .venv that holds these requirements, made and filled where it is not."""
    if is_current(requirements):
        return venv_python()
    if not _usable_venv():
        make_venv(say)
    install(requirements, say)
    return venv_python()


def _usable_venv() -> bool:
    version = tuple(int(part) for part in re.findall(r"\d+", venv_version())[:2])
    if version < (3, 11):
        return False
    try:
        pip = subprocess.run([venv_python(), "-I", "-m", "pip", "--version"], capture_output=True, check=False)  # nosec B603 # no shell
    except OSError:
        return False
    return pip.returncode == 0


def make_venv(say: TextIO) -> None:
    print("Making .venv …", file=say, flush=True)
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise Stop(_no_venv())
    try:
        made = subprocess.run(  # nosec B603 # no shell
            [sys.executable, "-m", "venv", "--clear", VENV],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Stop(f"Python could not be started to make .venv: {error}.") from None
    if made.returncode:
        raise Stop(explain(made.stdout + made.stderr, "Making .venv failed"))


def install(requirements: str, say: TextIO) -> None:
    print(f"Installing packages ({requirements}), about a minute …", file=say, flush=True)
    started = time.monotonic()
    pip = [str(venv_python()), "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    environment = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    done = subprocess.run(  # nosec B603 # no shell
        [*pip, "-r", requirements],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise Stop(explain(done.stdout + done.stderr, "Installing the packages failed"))
    stamps = {**read_stamps(), requirements: fingerprint(ROOT / requirements, venv_version())}
    try:
        STAMP.write_text(json.dumps(stamps, indent=1), encoding="utf-8")
    except OSError as error:
        raise Stop(explain(str(error), "Installing the packages failed")) from None
    print(f"Installed in {time.monotonic() - started:.0f} s.", file=say, flush=True)


def _no_venv() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"This Python cannot make virtual environments. On Debian and Ubuntu install python{version}-venv "
        f"(sudo apt install python{version}-venv), elsewhere Python from https://www.python.org/downloads/. "
        "Then start again."
    )


# The first pattern that is found names the trouble; the order is from the surest sign to the vaguest.
TROUBLES: tuple[tuple[str, str], ...] = (
    (
        r"DO NOT MATCH THE HASHES",
        "A package is not the file that was checked for this version, so nothing of it was run: something between here "
        "and the package index changed it, or a download broke off. Try another network, then start again.",
    ),
    (
        r"No space left on device|Errno 28\b|not enough space",
        "The disk is full: free about 1 GB where {root} lies, then start again.",
    ),
    (r"ensurepip is not|No module named '?(?:ensurepip|venv)", ""),
    (
        r"Read-only file system|Errno 30\b",
        "{root} is read-only: copy the folder to a place where you may write, then start again.",
    ),
    (
        r"NewConnectionError|NameResolutionError|name resolution|getaddrinfo|Network is unreachable|ProxyError"
        r"|ConnectTimeout|Read timed out|Connection refused|Connection to .+ timed out",
        "The package index cannot be reached: check your internet connection or proxy, then start again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate is not trusted here, as happens behind a company proxy: "
        "set PIP_CERT to its certificate file, then start again.",
    ),
    (
        r"Permission denied|Errno 13\b|Access is denied|PermissionError",
        "{root} may not be written by you: copy the folder to a place that is yours, then start again.",
    ),
    (
        r"No matching distribution found for ([^\s(]+)",
        "{0} is not to be had for Python {python} on this machine: try another Python (3.11 to 3.13 are sure), "
        "delete .venv and start again.",
    ),
    (
        r"Failed building wheel for (\S+)|Failed to build",
        "A package has no ready-made build for Python {python} on this machine: try another Python (3.11 to 3.13 are "
        "sure), delete .venv and start again.",
    ),
    (r"No module named '?pip\b", "The folder .venv is damaged: delete it and start again."),
)


def explain(output: str, what: str) -> str:
    """One plain sentence with its remedy for the output of a tool that failed; its last words where it is unknown."""
    for pattern, remedy in TROUBLES:
        if found := re.search(pattern, output):
            words = [group or "" for group in found.groups()]
            return remedy.format(*words, root=ROOT, python=platform.python_version()) if remedy else _no_venv()
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.lstrip().startswith("WARNING")]
    errors = [line for line in lines if line.lower().startswith("error")] or lines[-3:]
    return (
        f"{what}. Delete .venv and start again; if it stays so, this is what was said: {' '.join(errors) or 'nothing'}"
    )


# --- run ---------------------------------------------------------------------------------------------------------


def free_port(first: int = FIRST_PORT) -> int:
    return next((port for port in range(first, first + 100) if _is_free(port)), 0) or _any_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def streamlit_command(python: Path, port: int) -> list[str]:
    """Streamlit on this machine only: nobody else may connect, and no other name may point at it."""
    return [
        str(python), "-m", "streamlit", "run", str(ROOT / "app.py"),
        f"--server.address={HOST}", f"--server.port={port}",
        "--server.allowedHosts=localhost", f"--server.allowedHosts={HOST}",
        "--server.headless=true", "--server.fileWatcherType=none", "--server.maxUploadSize=200",
        "--logger.level=warning",
    ]  # fmt: skip


def can_open_browser(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser window would be seen: not in CI, not on a machine without a display."""
    if environment.get("CI"):
        return False
    if sys.platform in ("win32", "darwin"):
        return not environment.get("SSH_CONNECTION")
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def run(arguments: Sequence[str]) -> int:
    port, browser = _run_options(arguments)
    if not (ROOT / "app.py").exists():
        raise Stop(f"app.py is missing in {ROOT}: get the whole folder again.")
    python = prepare("requirements.txt", sys.stdout)
    if port and not _is_free(port):
        raise Stop(f"Port {port} is taken: close what uses it or start with another --port.")
    port = port or free_port()
    address = f"http://{HOST}:{port}"
    print("Starting …", flush=True)
    # Streamlit greets on stdout in its own way; what goes wrong it says on stderr.
    server = subprocess.Popen(streamlit_command(python, port), cwd=ROOT, stdout=subprocess.DEVNULL)  # nosec B603 # no shell
    with _stopped_with_us(server):
        if not wait_until_up(server, port):
            return _code(server.wait()) or 1
        print(f"The workbench is at {address}   (Ctrl-C stops it)", flush=True)
        if browser and can_open_browser():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        return _code(server.wait())
    return _code(server.returncode)


def _run_options(arguments: Sequence[str]) -> tuple[int, bool]:
    port, browser, rest = 0, True, list(arguments)
    while rest:
        option, _, value = rest.pop(0).partition("=")
        if option == "--no-browser" and not value:
            browser = False
        elif option == "--port" and (value or rest):
            value = value or rest.pop(0)
            if not value.isdigit() or not 0 < int(value) < 65536:
                raise Usage(f"--port wants a number from 1 to 65535, not {value!r}.")
            port = int(value)
        else:
            raise Usage(f"Unknown: {option}")
    return port, browser


def wait_until_up(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers. False when it ended instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy must not be asked for localhost
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None:
        with contextlib.suppress(OSError):
            if opener.open(f"http://{HOST}:{port}/_stcore/health", timeout=2).status == 200:
                return True
        if time.monotonic() > deadline:
            raise Stop(
                f"The server did not answer within {START_SECONDS} s: look at what it says above, then start again."
            )
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def _stopped_with_us(server: subprocess.Popen[bytes]):
    """End the server when we are ended: by Ctrl-C, by a signal, by an error."""

    def on_signal(number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    kept = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    finally:
        signal.signal(signal.SIGTERM, kept)
        end(server)


def end(server: subprocess.Popen[bytes]) -> None:
    """Let the server end by itself (Ctrl-C reached it too), then ask it, then make it."""
    for wait, push in ((1.0, server.terminate), (STOP_SECONDS, server.kill), (STOP_SECONDS, None)):
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            server.wait(wait)
            return
        if push:
            push()


def _code(returncode: int | None) -> int:
    """An exit code as a shell gives it: 128 + n for a signal."""
    return 128 - returncode if returncode is not None and returncode < 0 else returncode or 0


# --- test --------------------------------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
LINTERS: Mapping[str, Sequence[str]] = {
    "ruff check": ("-m", "ruff", "check", "--quiet", "--output-format", "concise", "."),
    "ruff format": ("-m", "ruff", "format", "--check", "--quiet", "."),
    "pyright": ("-m", "basedpyright", "--level", "error"),
    "lint-imports": (
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_logo=True))",
    ),
    "texts": ("tools/i18n.py", "check"),
    "exchanges": ("tools/exchanges.py", "check"),
    "locks": ("tools/supply.py", "check"),
    "bandit": ("-m", "bandit", "-q", "-c", "pyproject.toml", "-r", "app.py", "pages", "bfai", "run.py", "tools"),
}


def test(arguments: Sequence[str]) -> int:
    fast = "--fast" in arguments
    pytest_arguments = [argument for argument in arguments if argument != "--fast"]
    python = prepare("requirements-dev.txt", sys.stdout)
    environment = {**os.environ, "PYTHONUTF8": "1", **_browser(python)}
    failed: list[str] = []
    if not fast:
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            stages = {
                name: pool.submit(_stage, [str(python), *command], environment) for name, command in LINTERS.items()
            }
            for name, stage in stages.items():
                code, seconds, output = stage.result()
                print(f"{name:<14} {'ok' if code == 0 else 'FAILED':<7} {seconds:5.1f} s", flush=True)
                if code:
                    failed.append(name)
                    print(output.rstrip(), flush=True)
    print(f"Failed so far: {', '.join(failed)}. Now pytest." if failed else "Now pytest.", flush=True)
    # On all processors where everything runs, in the order of tests/conftest.py; exactly as asked where somebody asked.
    parallel = [] if pytest_arguments else ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    tests = subprocess.run(  # nosec B603 # no shell
        [python, "-m", "pytest", *parallel, *pytest_arguments], cwd=ROOT, env=environment, check=False
    )
    return _code(tests.returncode) or int(bool(failed))


INSTALL_FREQTRADE = """
import sys
from pathlib import Path
from bfai.model import BfaiError
from bfai.strategy.running import Engines
engines = Engines(Path(sys.argv[1]))
if not engines.installed:
    print(f"Installing Freqtrade in {engines.venv}, some minutes …", file=sys.stderr, flush=True)
try:
    engines.install()
except BfaiError as error:
    sys.exit(str(error))
print(engines.venv)
"""


def parity(arguments: Sequence[str]) -> int:
    """All that needs the real Freqtrade: some minutes. `BFAI_FREQTRADE` names an environment that has it already."""
    python = prepare("requirements-dev.txt", sys.stdout)
    place = os.environ.get("BFAI_FREQTRADE")
    if not place:
        command = [str(python), "-P", "-c", INSTALL_FREQTRADE, str(ROOT / ".freqtrade")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        made = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)  # nosec B603 # no shell
        if made.returncode:
            return _code(made.returncode)
        place = made.stdout.strip()
    if not any((Path(place) / inside).exists() for inside in ("bin/python", "Scripts/python.exe")):
        raise Stop(f"BFAI_FREQTRADE is {place}, and no Python is there: name an environment that has Freqtrade.")
    environment = {**os.environ, "PYTHONUTF8": "1", "BFAI_FREQTRADE": place, **_browser(python)}
    options = arguments or ["-n", "2"]
    command = [python, "-m", "pytest", "-m", "parity", "tests/browser", "tests/parity", *options]
    return _code(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)  # nosec B603 # no shell


def _stage(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, float, str]:
    started = time.monotonic()
    done = subprocess.run(  # nosec B603 # no shell
        command,
        check=False,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return done.returncode, time.monotonic() - started, done.stdout


def _browser(python: Path) -> dict[str, str]:
    """The browser tests drive an installed Chromium, Chrome or Edge; a machine without one gets Playwright's."""
    if os.environ.get("BFAI_CHROMIUM") or any(map(shutil.which, BROWSERS)):
        return {}
    print("Fetching a browser for the browser tests …", flush=True)
    fetched = subprocess.run([python, "-m", "playwright", "install", "chromium"], capture_output=True, check=False)  # nosec B603 # no shell
    if fetched.returncode:
        print("No browser could be fetched: install Chromium, or name one in BFAI_CHROMIUM.", flush=True)
        return {}
    where = "from playwright.sync_api import sync_playwright as p\nwith p() as d: print(d.chromium.executable_path)"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=False)  # nosec B603 # no shell
    return {"BFAI_CHROMIUM": found.stdout.strip()}


# --- the command line --------------------------------------------------------------------------------------------


def cli(arguments: Sequence[str]) -> int:
    """`python -m bfai` in the caller's folder. Only what it prints itself goes to stdout."""
    python = str(prepare("requirements.txt", sys.stderr))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.setdefault("BFAI_DATABASE_URL", f"sqlite:///{(ROOT / 'data' / 'bfai.db').as_posix()}")  # the app's
    command = [python, "-P", "-m", "bfai", *arguments]  # -P: what lies in the caller's folder is not imported
    if os.name != "nt":
        # Signals and the exit code are then its own.
        os.execve(python, command, environment)  # nosec B606 # no shell
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.run(command, env=environment, check=False).returncode  # nosec B603 # no shell
    return 130


class Usage(Exception):
    """The command line was not understood."""


def main(arguments: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old Windows console has no "…"
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    try:
        if verb in ("-h", "--help", "help"):
            print(USAGE)
            return 0
        if verb == "test":
            return test(rest)
        if verb == "parity":
            return parity(rest)
        if verb == "cli":
            return cli(rest)
        if verb and not verb.startswith("--"):
            raise Usage(f"Unknown: {verb}")
        return run(arguments)
    except Usage as wrong:
        print(f"{wrong}\n\n{USAGE}", file=sys.stderr)
        return 2
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except OSError as error:
        print(explain(f"{error} {type(error).__name__}", f"{error}"), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
