"""What the benchmarks share: the machine, the simulator as another process, medians and a table."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bfai.model import Credentials  # noqa: E402
from bfai.transport import Gateway  # noqa: E402


def machine() -> str:
    """The computer that the figures are of, in one line."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {model}, {platform.system()}, {python}{load}"


def peak_megabytes() -> float | None:
    """The most memory that this process has held, or None where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes on macOS
    return None


class RemoteSimulator:
    """The simulator in a process of its own."""

    def __init__(self, hello: dict[str, Any]) -> None:
        self._control: str = hello["control"]
        self.hello = hello
        self.gateway = Gateway.parse(hello["gateway"], hello["ca"])

    def credentials(self, exchange: str, account: str = "good") -> Credentials:
        keys = self.hello["accounts"][exchange][account]
        return Credentials(keys["apiKey"], keys["secret"], keys["password"])

    def control(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._control + path, data=data), timeout=30) as answer:
            return json.load(answer)

    def latency(self, milliseconds: float) -> None:
        """How long every answer takes."""
        self.control("/faults", [{"latency_ms": milliseconds}] if milliseconds else [])

    def clock(self, offset_ms: int) -> None:
        self.control("/clock", {"offset_ms": offset_ms})


@contextlib.contextmanager
def remote_simulator() -> Generator[RemoteSimulator, None, None]:
    command = [sys.executable, "-m", "bfai", "simulator", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield RemoteSimulator(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def spread(values: Sequence[float], digits: int = 1) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
