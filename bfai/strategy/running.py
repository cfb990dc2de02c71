"""The engines that run strategies: Freqtrade's own environment, one process a strategy, what it does, how it ends.

    engines = Engines(home)
    engines.install(print)
    engines.start(strategy_id, "Grid", bundle, revision=3)
    engines.status(strategy_id).state, engines.log(strategy_id), engines.stop(strategy_id)

An engine is a process of its own: it outlives the page, the session, the app and a dropped line, and whoever asks next
finds it by its record (process id and when that process began, so that a reused id is not taken for it). Its folder is
its owner's alone. A key is in the environment of that one process and nowhere else, and only of a live one: dry, there
is none. Whether it may open new groups it reads from `state.json`, which the workbench keeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, cast

from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Message, utc_now
from bfai.strategy.export import CONFIG, STATE_FILE, TESTED_WITH, Bundle, write_private
from bfai.transport import redact

RECORD: Final = "engine.json"
LOG: Final = "engine.log"
FIRST_WORDS: Final = "start.log"
BALANCES: Final = "balances.json"
DRY_DATABASE: Final = "dry.sqlite"
LIVE_DATABASE: Final = "live.sqlite"
STOP_SECONDS: Final = 30.0
LONGEST_LOG: Final = 200_000  # bytes that are read of it
_REPEATED: Final = re.compile(r" - (Wallets synced\.|Found open order for |Sending rpc message: \{.*'trade_id')")
"""What Freqtrade writes every few seconds while an order rests or a group is blocked, and what it says twice."""
_PASSED_ON: Final = frozenset(
    """PATH HOME USER LOGNAME LANG LANGUAGE TZ TMPDIR TEMP TMP SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT APPDATA
    LOCALAPPDATA USERPROFILE PROGRAMDATA NUMBER_OF_PROCESSORS SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY""".split()
)
"""What an engine inherits. Everything else stays here: the master password, other keys, our settings."""


class EngineError(BfaiError):
    """An engine cannot be installed, started or stopped: why, and what to do."""

    @classmethod
    def of(cls, text: str, **params: str | int | float) -> EngineError:
        return cls(Message(text=text, params=params))


class EngineState(StrEnum):
    NONE = "none"
    RUNNING = "running"
    ENDED = "ended"
    """It was started, and is no longer there: nobody stopped it."""
    STOPPED = "stopped"


ENGINE_STATES: Final[Mapping[EngineState, str]] = {
    EngineState.NONE: N_("Never started"),
    EngineState.RUNNING: N_("Running"),
    EngineState.ENDED: N_("Ended by itself: read its log"),
    EngineState.STOPPED: N_("Stopped"),
}


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A group that an engine holds. Prices and money in quote currency; `fills` counts the first entry."""

    pair: str
    side: str
    opened_at: datetime
    average: Decimal
    amount: Decimal
    cost: Decimal
    fills: int
    recovery: bool


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What is known of a strategy's engine. `profit` is what its closed groups came to, None before the first."""

    state: EngineState
    pid: int | None = None
    live: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    revision: int | None = None
    groups: tuple[OpenGroup, ...] = ()
    closed_groups: int = 0
    profit: Decimal | None = None
    may_open: bool | None = None
    """What `state.json` says; None where there is none."""
    folder: Path | None = None

    @property
    def runs(self) -> bool:
        return self.state is EngineState.RUNNING


# -- processes ---------------------------------------------------------------------------------------------------------


def began(pid: int) -> str | None:
    """When this process began, as its system tells it: the same text as long as it lives. None: there is none."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        if stat.parent.parent.is_dir() and Path("/proc/self/stat").exists():
            return None
    if os.name == "nt":
        command = [
            _of_windows("WindowsPowerShell", "v1.0", "powershell.exe"),
            "-NoProfile",
            "-Command",
            f"(Get-Process -Id {pid}).StartTime.Ticks",
        ]
    else:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 # nosec B603 # a number of ours
        return told.stdout.strip() or None
    return None


def _of_windows(*name: str) -> str:
    """A program of Windows by its whole path: by name alone it would look in the present folder first."""
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows")).joinpath("System32", *name))


def _wait(pid: int, start: str, seconds: float) -> bool:
    """Whether the process ended within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _reap(pid)
        if began(pid) != start:
            return True
        time.sleep(0.05)
    return began(pid) != start


def _reap(pid: int) -> None:
    """Take note of the end of a child of ours; of others the system does."""
    if os.name != "nt":
        with contextlib.suppress(ChildProcessError, OSError):
            os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, *, hard: bool) -> None:
    """To the process and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "nt":
            flags = ["/F"] if hard else []
            command = [_of_windows("taskkill.exe"), "/T", *flags, "/PID", str(pid)]
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603 # nosec B603 # a number of ours
        elif hard:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Nobody else is in here with the same file, in this or another process. Raises EngineError."""
    taken = EngineError.of(N_("Somebody else is starting or stopping this engine right now. Try again in a moment."))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise taken from None
        yield


# -- the environment ---------------------------------------------------------------------------------------------------

_TROUBLES: Final[Mapping[str, str]] = {
    r"No space left|Errno 28\b|not enough space": N_(
        "The disk is full: Freqtrade needs about 1 GB in {folder}. Make room, then try again."
    ),
    r"name resolution|getaddrinfo|Network is unreachable|ConnectTimeout|Read timed out|Connection refused"
    r"|NewConnectionError|ProxyError|NameResolutionError": N_(
        "The package index cannot be reached. Check your internet connection or proxy, then try again."
    ),
    r"CERTIFICATE_VERIFY_FAILED|SSLError": N_(
        "The package index's certificate is not trusted here. Set PIP_CERT to your proxy's certificate file."
    ),
    r"Requires-Python|No matching distribution": N_(
        "Freqtrade {version} is not to be had for this Python. Use Python 3.11 to 3.13, then try again."
    ),
    r"ensurepip is not|No module named '?venv": N_(
        "Python cannot make environments here: install its package python3-venv, then try again."
    ),
}


def _explain(output: str, folder: Path) -> EngineError:
    params: dict[str, str | int | float] = {"folder": str(folder), "version": TESTED_WITH}
    for pattern, text in _TROUBLES.items():
        if re.search(pattern, output):
            return EngineError(Message(text=text, params=params))
    last = [line.strip() for line in output.splitlines() if line.strip()][-1:]
    text = N_("Freqtrade could not be installed in {folder}: {words}")
    return EngineError(Message(text=text, params={**params, "words": redact(last[0])[:300] if last else "?"}))


class Installation:
    """Freqtrade being installed in the background. Read it from any thread.

    `line` is what pip said last. When it is `done` there is an `error` with cause and remedy, or it was `cancelled`, or
    all went well.
    """

    def __init__(self, install: Callable[[Callable[[str], object], Callable[[], bool]], None]) -> None:
        self.began = utc_now()
        self.line = ""
        self.error: Message | None = None
        self._ended, self._cancel = threading.Event(), threading.Event()
        self._install = install
        threading.Thread(target=self._work, name="bfai-install", daemon=True).start()

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def cancel(self) -> None:
        """It ends soon; nothing half-made is taken for whole."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended after so long."""
        return self._ended.wait(seconds)

    def _hear(self, line: str) -> None:
        self.line = line

    def _work(self) -> None:
        try:
            self._install(self._hear, self._cancel.is_set)
        except BfaiError as error:
            self.error = error.message
        except OSError as error:
            self.error = _explain(str(error), Path(error.filename or "?")).message
        finally:
            self._ended.set()


class Engines:
    """All engines of one person, below one folder. May be used from several processes at once."""

    def __init__(self, home: Path, *, python: Path | None = None) -> None:
        """`python`: that of an environment with Freqtrade that exists already; None is one of our own below `home`."""
        self.home = home
        given = python or (Path(told) if (told := os.environ.get("BFAI_FREQTRADE_PYTHON")) else None)
        self._python = given
        self._beginning = threading.Lock()
        self.installation: Installation | None = None
        """The last one that was begun by `begin_install`."""

    # Freqtrade

    @property
    def venv(self) -> Path:
        return self.home / f"freqtrade-{TESTED_WITH}"

    @property
    def python(self) -> Path:
        inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return self._python or self.venv.joinpath(*inside)

    @property
    def installed(self) -> bool:
        return self.python.exists() and (self._python is not None or (self.venv / "complete").exists())

    def begin_install(self) -> Installation:
        """The same as `install`, in the background. What is under way already is given again."""
        with self._beginning:
            if self.installation is None or self.installation.done:
                self.installation = Installation(self.install)
            return self.installation

    def install(
        self, on_progress: Callable[[str], object] = lambda _: None, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Freqtrade in an environment of its own: about a minute and 800 MB. Does nothing where it is there already.

        `on_progress` hears pip's lines; once `stopped` says so it ends. Raises EngineError, and leaves nothing
        half-made that would be taken for whole.
        """
        if self.installed:
            return
        with _alone(self.home / "install.lock"):
            if self.installed:
                return
            shutil.rmtree(self.venv, ignore_errors=True)
            inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
            python = str(self.venv.joinpath(*inside))
            pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
            self._do([sys.executable, "-m", "venv", str(self.venv)], on_progress, stopped)
            self._do([*pip, f"freqtrade=={TESTED_WITH}"], on_progress, stopped)
            (self.venv / "complete").write_text(TESTED_WITH, encoding="utf-8")

    def _do(self, command: Sequence[str], on_progress: Callable[[str], object], stopped: Callable[[], bool]) -> None:
        environment = {name: value for name, value in os.environ.items() if not _ours(name)}
        try:
            process = subprocess.Popen(  # noqa: S603 # nosec B603 # no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
            )
        except OSError as error:
            raise _explain(str(error), self.venv) from None
        said: list[str] = []
        with process:
            assert process.stdout is not None
            threading.Thread(target=_end_when, args=(process, stopped), name="bfai-install-end", daemon=True).start()
            for line in process.stdout:
                said = [*said[-200:], line]
                if line.strip():
                    on_progress(line.strip())
        if stopped():
            raise EngineError.of(N_("Stopped. Freqtrade is not installed."))
        if process.returncode:
            raise _explain("".join(said), self.venv)

    # One engine

    def folder(self, strategy_id: str) -> Path:
        """Where everything of one strategy's engine lies."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", strategy_id):
            raise ValueError("no id of a strategy")
        return self.home / "runs" / strategy_id

    def start(
        self,
        strategy_id: str,
        bundle: Bundle,
        *,
        revision: int,
        credentials: Credentials | None = None,
        extra: Mapping[str, Any] | None = None,
        prepared: Callable[[], object] = lambda: None,
    ) -> EngineStatus:
        """Starts it, dry; with `credentials` live. `extra` goes over the config; `prepared` is called when its files
        are written, before it begins. Raises EngineError.

        Groups that an earlier engine of the strategy left open are taken up again.
        """
        if not self.installed:
            raise EngineError.of(N_("Freqtrade is not installed yet. Install it first."))
        folder = self.folder(strategy_id)
        with _alone(folder / "lock"):
            if self._record(strategy_id, alive=True) is not None:
                raise EngineError.of(N_("This strategy's engine runs already."))
            environment = self._environment(credentials)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            bundle.write(folder)
            live = credentials is not None
            write_private(folder / "run.json", json.dumps({"log_config": _log_config(folder / LOG), **(extra or {})}))
            self._keep_balance(strategy_id, live, bundle)
            prepared()
            database = (folder / (LIVE_DATABASE if live else DRY_DATABASE)).resolve().as_posix()
            command = [
                *(str(self.python), "-m", "freqtrade", "trade"),
                *("--config", str((folder / CONFIG).resolve()), "--config", str((folder / "run.json").resolve())),
                *("--userdir", str((folder / "user_data").resolve()), "--db-url", f"sqlite:///{database}"),
            ]
            process = self._spawn(command, folder, environment)
            start = began(process.pid)
            record = {
                "pid": process.pid,
                "began": start,
                "live": live,
                "revision": revision,
                "started_at": utc_now().isoformat(),
            }
            write_private(folder / RECORD, json.dumps(record))
        return self.status(strategy_id)

    def balance(self, strategy_id: str, *, live: bool) -> Decimal | None:
        """What lay on the account when its book was begun, quote currency; None where there is no book.

        Profits since then are in the book: taking today's balance would count them twice.
        """
        folder = self.folder(strategy_id)
        with contextlib.suppress(OSError, ValueError, KeyError, ArithmeticError, TypeError):
            kept = json.loads((folder / BALANCES).read_text("utf-8"))
            if (folder / (LIVE_DATABASE if live else DRY_DATABASE)).exists():
                return Decimal(kept[_book(live)])
        return None

    def _keep_balance(self, strategy_id: str, live: bool, bundle: Bundle) -> None:
        path, kept = self.folder(strategy_id) / BALANCES, dict[str, str]()
        with contextlib.suppress(OSError, ValueError):
            kept = cast("dict[str, str]", json.loads(path.read_text("utf-8")))
        write_private(path, json.dumps({**kept, _book(live): str(bundle.config["bfai"]["balance"])}))

    def forget(self, strategy_id: str) -> None:
        """Deletes the paper book, so that the next dry start begins afresh. Raises EngineError while it runs."""
        with self._at_rest(strategy_id) as folder:
            for path in folder.glob(f"{DRY_DATABASE}*"):
                path.unlink(missing_ok=True)
            (folder / "user_data" / "bfai_guard.json").unlink(missing_ok=True)

    def remove(self, strategy_id: str) -> None:
        """Deletes all that its engine left here: books, logs, configuration. Raises EngineError while it runs."""
        with self._at_rest(strategy_id) as folder:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _at_rest(self, strategy_id: str) -> Generator[Path]:
        """The engine's folder, which may not be there; nobody starts the engine meanwhile. Raises EngineError while
        it runs.
        """
        folder = self.folder(strategy_id)
        with _alone(folder / "lock") if folder.exists() else contextlib.nullcontext():
            if self._record(strategy_id, alive=True) is not None:
                raise EngineError.of(N_("This strategy's engine runs. Stop it first."))
            yield folder

    def _environment(self, credentials: Credentials | None) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name.upper() in _PASSED_ON}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
        environment |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        if credentials is None:
            return environment
        for value in (credentials.api_key, credentials.secret):
            if _read_otherwise(value):
                text = N_("Freqtrade would read this key as a number. Make another key at the exchange.")
                raise EngineError.of(text)
        environment["FREQTRADE__DRY_RUN"] = "false"
        environment["FREQTRADE__EXCHANGE__KEY"] = credentials.api_key
        environment["FREQTRADE__EXCHANGE__SECRET"] = credentials.secret
        if credentials.passphrase:
            environment["FREQTRADE__EXCHANGE__PASSWORD"] = credentials.passphrase
        return environment

    def _spawn(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {"start_new_session": True, "umask": 0o077}
        if os.name == "nt":
            flags = 0x00000008 | 0x00000200 | 0x01000000  # detached, a group of its own, out of our job
            options = {"creationflags": flags}
        words = os.open(folder / FIRST_WORDS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            return subprocess.Popen[bytes](
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                close_fds=True,
                **options,
            )
        except OSError as error:
            text = N_("The engine could not be started: {words}")
            raise EngineError.of(text, words=error.strerror or type(error).__name__) from None
        finally:
            os.close(words)

    def _record(self, strategy_id: str, *, alive: bool = False) -> dict[str, Any] | None:
        """What was written down when it started; with `alive` only of one that runs."""
        try:
            record = cast("dict[str, Any]", json.loads((self.folder(strategy_id) / RECORD).read_text("utf-8")))
            pid = int(record["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not alive:
            return record
        _reap(pid)
        return record if not record.get("stopped_at") and record["began"] and began(pid) == record["began"] else None

    def stop(self, strategy_id: str, *, seconds: float = STOP_SECONDS) -> EngineStatus:
        """Asks it to end, and makes it after so many seconds. It cancels its resting orders and keeps its groups.

        Nothing happens where none runs.
        """
        folder = self.folder(strategy_id)
        if not (folder / RECORD).exists():
            return self.status(strategy_id)
        with _alone(folder / "lock"):
            record = self._record(strategy_id, alive=True)
            if record is not None:
                pid, start = int(record["pid"]), str(record["began"])
                _signal(pid, hard=False)
                if not _wait(pid, start, seconds):
                    _signal(pid, hard=True)
                    if not _wait(pid, start, 5):
                        raise EngineError.of(N_("The engine does not end. Stop process {pid} yourself."), pid=pid)
                ended = {**record, "stopped_at": utc_now().isoformat()}
                write_private(folder / RECORD, json.dumps(ended))
        return self.status(strategy_id)

    def status(self, strategy_id: str) -> EngineStatus:
        """What it does now, by its record, its process and its own database. Never raises for what is missing."""
        folder, record = self.folder(strategy_id), self._record(strategy_id)
        if record is None:
            return EngineStatus(EngineState.NONE)
        runs = self._record(strategy_id, alive=True) is not None
        stopped = record.get("stopped_at")
        state = EngineState.RUNNING if runs else EngineState.STOPPED if stopped else EngineState.ENDED
        groups, closed, profit = _read_database(folder / (LIVE_DATABASE if record["live"] else DRY_DATABASE))
        told = read_state(folder)
        return EngineStatus(
            state,
            pid=int(record["pid"]) if runs else None,
            live=bool(record["live"]),
            started_at=datetime.fromisoformat(record["started_at"]),
            ended_at=datetime.fromisoformat(stopped) if stopped else None,
            revision=int(record["revision"]),
            groups=groups,
            closed_groups=closed,
            profit=profit,
            may_open=None if told is None else bool(told["may_open"] and told["connection_ok"]),
            folder=folder,
        )

    def runs(self, strategy_id: str) -> bool:
        return self._record(strategy_id, alive=True) is not None

    def money(self, strategy_id: str) -> bool | None:
        """Whether the engine that runs is live, by its record alone; None where none runs."""
        record = self._record(strategy_id, alive=True)
        return None if record is None else bool(record["live"])

    def known(self) -> tuple[str, ...]:
        """The strategies that ever had an engine here."""
        place = self.home / "runs"
        return tuple(sorted(path.parent.name for path in place.glob(f"*/{RECORD}"))) if place.is_dir() else ()

    def log(self, strategy_id: str, lines: int = 200, secrets: Sequence[str] = ()) -> str:
        """The last lines that it wrote, without secrets and what it repeats. Where it wrote none, what it said when it
        began.
        """
        folder = self.folder(strategy_id)
        for name in (LOG, FIRST_WORDS):
            with contextlib.suppress(OSError), (folder / name).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - LONGEST_LOG))
                text = file.read().decode("utf-8", "replace")
                if text.strip():
                    told = [line for line in text.splitlines() if not _REPEATED.search(line)]
                    return "\n".join(redact(line, secrets) for line in told[-lines:])
        return ""

    # What it may do

    def tell(self, strategy_id: str, *, connection_ok: bool, may_open: bool, at: datetime) -> None:
        """What holds since the connection's test of that time. Where the strategy has no engine, nothing is written."""
        folder = self.folder(strategy_id)
        if (folder / CONFIG).exists():
            write_state(folder, connection_ok=connection_ok, may_open=may_open, at=at)


def _end_when(process: subprocess.Popen[str], stopped: Callable[[], bool]) -> None:
    """pip is silent while it downloads, so that nobody would look in between its lines."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
            return
        if stopped():
            process.terminate()


def write_state(folder: Path, *, connection_ok: bool, may_open: bool, at: datetime) -> None:
    state = {"format": "bfai.state/1", "at": at.isoformat(), "connection_ok": connection_ok, "may_open": may_open}
    with contextlib.suppress(FileNotFoundError):  # the strategy was deleted meanwhile
        write_private(folder / STATE_FILE, json.dumps(state))


def read_state(folder: Path) -> dict[str, Any] | None:
    try:
        told = cast("dict[str, Any]", json.loads((folder / STATE_FILE).read_text("utf-8")))
    except (OSError, ValueError):
        return None
    return told if {"at", "connection_ok", "may_open"} <= set(told) else None


def _book(live: bool) -> str:
    return "live" if live else "dry"


def _ours(name: str) -> bool:
    return name.startswith(("BFAI_", "FREQTRADE__", "STREAMLIT_"))


def _read_otherwise(value: str) -> bool:
    """Whether Freqtrade would make a number, a truth value or a list of it: it guesses at what a variable means."""
    if value.lower() in ("t", "true", "f", "false") or value.lstrip().startswith("["):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


def _log_config(path: Path) -> dict[str, Any]:
    handler = {
        "class": "logging.handlers.RotatingFileHandler",
        "formatter": "basic",
        "filename": str(path.resolve()),
        "maxBytes": 2_000_000,
        "backupCount": 5,
        "encoding": "utf-8",
    }
    return {
        "version": 1,
        "formatters": {"basic": {"format": "%(asctime)s - %(name)s - %(levelname)s - %(message)s"}},
        "handlers": {"file": handler},
        "root": {"handlers": ["file"], "level": "INFO"},
    }


def _read_database(path: Path) -> tuple[tuple[OpenGroup, ...], int, Decimal | None]:
    """Freqtrade's own book: open groups, how many are closed, and what these came to. Read only."""
    if not path.exists():
        return (), 0, None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as book:
            count, profit = book.execute(
                "select count(*), sum(close_profit_abs) from trades where is_open = 0 and close_date is not null"
            ).fetchone()
            rows = book.execute(
                "select t.id, t.pair, t.is_short, t.open_date, t.open_rate, t.amount, t.stake_amount, t.leverage,"
                " (select count(*) from orders o where o.ft_trade_id = t.id and o.filled > 0 and not o.ft_is_open"
                "  and o.ft_order_side = case when t.is_short then 'sell' else 'buy' end),"
                " (select d.cd_value from trade_custom_data d where d.ft_trade_id = t.id and d.cd_key = 'bfai')"
                " from trades t where t.is_open = 1 order by t.open_date, t.id"
            ).fetchall()
    except sqlite3.Error:  # it is being made right now
        return (), 0, None
    groups = tuple(_group(row) for row in rows if row[8])
    return groups, int(count), None if profit is None else Decimal(repr(profit))


def _group(row: Sequence[Any]) -> OpenGroup:
    _, pair, short, opened, rate, amount, stake, leverage, fills, mode = row
    recovery = False
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        recovery = bool(json.loads(mode)["recovery"])
    return OpenGroup(
        pair=str(pair).partition(":")[0],
        side="short" if short else "long",
        opened_at=datetime.fromisoformat(opened).replace(tzinfo=UTC),
        average=Decimal(repr(rate)),
        amount=Decimal(repr(amount)),
        cost=Decimal(repr(stake)) * Decimal(repr(leverage or 1.0)),
        fills=int(fills),
        recovery=recovery,
    )
