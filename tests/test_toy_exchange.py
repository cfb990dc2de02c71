"""An eleventh exchange is two files and no edit anywhere else, as docs/adding-an-exchange.md says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the two files dropped in, and nothing else changed."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "bfai", folder / "bfai", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "toy" / "adapter.py", folder / "bfai" / "exchanges" / "toybit.py")
    shutil.copy(ROOT / "tests" / "toy" / "simulator.py", folder / "bfai" / "simulator" / "toybit.py")
    return folder


def bfai(house: Path, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("BFAI_")}
    return subprocess.run(
        [sys.executable, "-m", "bfai", *arguments],
        cwd=house,
        env={**own, "PYTHONPATH": str(house), "BFAI_LANGUAGE": "en", **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def simulator(house: Path) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bfai", "simulator", "--json", "--port", "0"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("account", "status", "cause"),
    [
        ("good", "online", None),
        ("ip_open", "connected", None),
        ("withdraw", "blocked", "withdraw_enabled"),
        ("unknown_right", "blocked", "withdraw_unknown"),
        ("read_only", "failed", "permission_missing"),
        ("ip_blocked", "failed", "ip_not_allowed"),
    ],
)
def test_a_toy_key_is_judged(
    house: Path, simulator: dict[str, Any], account: str, status: str, cause: str | None
) -> None:
    keys = json.dumps(simulator["accounts"]["toybit"][account])
    gateway = {"BFAI_GATEWAY": simulator["gateway"], "BFAI_GATEWAY_CA": simulator["ca"]}
    done = bfai(house, "check", "toybit", "--json", stdin=keys, **gateway)
    report = json.loads(done.stdout)
    assert report["status"] == status, done.stderr
    assert (report["diagnosis"] or {}).get("cause") == cause
    assert done.returncode == (0 if status in ("online", "connected") else 1)


def test_a_wrong_secret_is_refused(house: Path, simulator: dict[str, Any]) -> None:
    keys = json.dumps({**simulator["accounts"]["toybit"]["good"], "secret": "0" * 64})
    gateway = {"BFAI_GATEWAY": simulator["gateway"], "BFAI_GATEWAY_CA": simulator["ca"]}
    report = json.loads(bfai(house, "check", "toybit", "--json", stdin=keys, **gateway).stdout)
    assert report["diagnosis"]["cause"] == "invalid_secret"


def test_its_errors_are_explained(house: Path) -> None:
    done = bfai(house, "explain", "--json", stdin='toybit {"errorCode":307,"error":"This key is not for 203.0.113.7"}')
    explained = json.loads(done.stdout)
    assert (explained["exchange"], explained["diagnosis"]["cause"]) == ("toybit", "ip_not_allowed")
    assert explained["diagnosis"]["seen_ip"] == "203.0.113.7"


def test_the_pages_and_the_tour_offer_it(house: Path) -> None:
    program = (
        "from bfai.workbench import Workbench\n"
        "from bfai.model import Market\n"
        "with Workbench.tour() as workbench:\n"
        "    assert 'toybit' in workbench.exchanges()\n"
        "    assert len(workbench.boxes('toybit', Market.SPOT)) == 3\n"
        "    jobs = [job for job in workbench.add_samples() if job.target.exchange == 'toybit']\n"
        "    print(sorted(job.wait().status.value for job in jobs))\n"
        "    assert workbench.sample_keys('toybit')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "online" in done.stdout


def test_nothing_but_two_files_was_added(house: Path) -> None:
    own = {path.relative_to(ROOT / "bfai") for path in (ROOT / "bfai").rglob("*.py")}
    there = {path.relative_to(house / "bfai") for path in (house / "bfai").rglob("*.py")}
    assert there - own == {Path("exchanges/toybit.py"), Path("simulator/toybit.py")}
