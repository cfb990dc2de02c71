"""The image: an ordinary user, a read-only root, nothing in it that does not belong. There need be no Docker here."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
Step = tuple[str, str]


def steps() -> list[Step]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def told(name: str) -> list[str]:
    return [rest for instruction, rest in steps() if instruction == name]


def copied() -> list[str]:
    return [source for rest in told("COPY") for source in rest.split()[:-1]]


def test_the_image_follows_the_rules() -> None:
    (base,) = told("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base), "a whole version, no latest"
    assert told("USER") == ["10001:10001"]
    order = [name for name, _ in steps()]
    assert max(place for place, name in enumerate(order) if name in ("RUN", "COPY")) < order.index("USER")
    assert "ADD" not in order and len(told("HEALTHCHECK")) == len(told("CMD")) == len(told("VOLUME")) == 1
    (pip,) = [rest for rest in told("RUN") if "pip" in rest]
    assert all(option in pip for option in ("--require-hashes", "--only-binary=:all:", "--no-cache-dir"))
    assert not any(word in rest for rest in told("RUN") for word in ("sudo", "curl", "wget", "chmod 777", "apt-get"))
    assert not any(re.search(r"(?i)password|secret|token|ALLOW_NON_LOOPBACK", rest) for rest in told("ENV"))


def test_only_what_is_named_goes_into_the_image() -> None:
    sources = copied()
    assert not {".", "./", "*", "data", "tests", ".git", ".streamlit"} & set(sources)
    assert all((ROOT / source).exists() for source in sources)
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n") if line[:1] not in "#"]
    assert ignored[0] == "*"
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert all(any(fnmatch.fnmatch(source, pattern) for pattern in allowed) for source in sources)
    for private in (
        "data/bfai.db",
        ".git",
        "tests",
        ".streamlit/secrets.toml",
        ".env",
        "requirements-dev.txt",
        ".venv",
    ):
        assert not any(fnmatch.fnmatch(private, pattern) for pattern in allowed)


def test_the_guides_speak_of_this_image() -> None:
    version = told("FROM")[0]
    for guide in ("monitor.md", "settings.md"):
        text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
        assert "Dockerfile" in text and not re.search(r"^FROM (?!" + re.escape(version) + ")", text, re.MULTILINE)


def _is_read_only_possible() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@functools.cache
def _as_ordinary_user() -> list[str]:
    """The words before a command that make it the image's user, where this is root and Python is open to others."""
    words = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs", "--"]
    if os.name == "nt" or os.geteuid() != 0 or not shutil.which("setpriv"):
        return []
    tried = subprocess.run([*words, sys.executable, "-c", "import streamlit"], capture_output=True, check=False)
    return words if tried.returncode == 0 else []


@pytest.fixture
def image() -> Iterator[Path]:
    """What the image's /app holds, where the image's user may read it, and places to write that are its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield _laid_out(Path(folder))


def _laid_out(tmp_path: Path) -> Path:
    for rest in told("COPY"):
        *sources, target = rest.split()
        for source in sources:
            place = tmp_path / "app" / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir(mode=0o700)
        if _as_ordinary_user():
            os.chown(tmp_path / name, 10001, 10001)
    return tmp_path


def _read_only(image: Path, command: list[str]) -> list[str]:
    """The command where everything is read-only but the volume and /tmp, as far as this test may arrange that."""
    volumes = " ".join(f"&& mount --bind {place} {place}" for place in (image / "data", image / "tmp"))
    script = (
        f"mount --make-rprivate / {volumes} && mount -o remount,ro,bind / && cd {image / 'app'}"
        f" && ! touch {image / 'app' / 'touched'} 2>/dev/null && exec {shlex.join([*_as_ordinary_user(), *command])}"
    )
    return ["unshare", "--mount", "sh", "-ec", script]


@pytest.fixture
def running(image: Path) -> Iterator[tuple[Path, int, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', told("CMD")[0])
    command = [sys.executable if word == "python" else word.replace("8501", str(port)) for word in words]
    process = subprocess.Popen(_read_only(image, command), env=_environment(image))
    yield image, port, process
    process.terminate()
    process.wait(20)


def _environment(image: Path) -> dict[str, str]:
    given = dict(pair.split("=", 1) for pair in shlex.split(told("ENV")[0]))
    moved = {name: value.replace("/data", f"{image}/data").replace("=/tmp", "") for name, value in given.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BFAI_")}
    return {**kept, **moved, "HOME": str(image / "tmp"), "TMPDIR": str(image / "tmp")}


@pytest.mark.skipif(not _is_read_only_possible(), reason="this user may not make a read-only root")
def test_the_app_starts_and_keeps_its_vault_on_a_read_only_root(
    running: tuple[Path, int, subprocess.Popen[bytes]],
) -> None:
    image, port, process = running
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < until
        try:
            assert opener.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=4).status == 200
            break
        except OSError:
            time.sleep(0.1)
    environment = {**_environment(image), "BFAI_MASTER_PASSWORD": "correct horse battery staple"}
    command = _read_only(image, [sys.executable, "-m", "bfai", "vault", "init"])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = (image / "data" / "bfai.db").stat()
    assert kept.st_size > 0 and kept.st_mode & 0o777 == 0o600
    assert kept.st_uid == (10001 if _as_ordinary_user() else os.geteuid())
    assert sorted(path.name for path in (image / "app").rglob("*.pyc")) == []
