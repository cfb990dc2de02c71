"""`python -m bfai …` in a process of its own that need not import everything first.

Each command is a child of one process that has imported the package already: its own descriptors, folder, environment
and exit code, in a tenth of the time. Where a system cannot fork, it is a new Python.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

_METHODS = multiprocessing.get_all_start_methods()
_CONTEXT = multiprocessing.get_context("forkserver" if "forkserver" in _METHODS else "spawn")
if "forkserver" in _METHODS:
    _CONTEXT.set_forkserver_preload(["bfai.cli", "ccxt"])


def run_bfai(
    *arguments: str, env: Mapping[str, str], cwd: Path, stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """What the command said and its exit code. TimeoutExpired where it does not end; then it is killed."""
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / stream for stream in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin.encode())
        process = _CONTEXT.Process(target=_command, args=(arguments, dict(env), str(cwd), [*map(str, files)]))
        _start(process)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["bfai", *arguments], timeout)
        said = [file.read_bytes().decode() if file.exists() else "" for file in files[1:]]
        return subprocess.CompletedProcess(["bfai", *arguments], process.exitcode, *said)


def _start(process: multiprocessing.process.BaseProcess) -> None:
    """A child runs its parent's main module first, which may be a page here: Streamlit's tests leave theirs there."""
    main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main


def _command(arguments: Sequence[str], env: Mapping[str, str], cwd: str, files: list[str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    if hasattr(time, "tzset"):
        time.tzset()
    sys.path[:0] = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
    os.chdir(cwd)
    for number, (file, flags) in enumerate(
        zip(files, (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        opened = os.open(file, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 # as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ["bfai", *arguments]
    runpy.run_module("bfai", run_name="__main__", alter_sys=True)
