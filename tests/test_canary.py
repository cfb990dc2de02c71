"""Marked secrets go everywhere a secret goes, and are then looked for everywhere it must not be."""

from __future__ import annotations

import io
import logging
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bfai.model import BfaiError, Credentials, Target
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

MASTER = "canary-master-password-5b1c9e"
SECRET = "c0ffee00c0ffee00c0ffee00c0ffee99"
PASSPHRASE = "canary-phrase-77"

FAULTS: list[list[dict[str, Any]]] = [
    [],
    [{"kind": "reset"}],
    [{"kind": "html", "status": 403}],
    [{"kind": "truncate"}],
    [{"kind": "status", "status": 429, "retry_after": 1}],
    [{"kind": "hang", "seconds": 1}],
    # An exchange that repeats what it was sent, secrets included.
    [{"kind": "body", "status": 400, "body": {"code": 700002, "msg": f"bad secret {SECRET} for signature={SECRET}"}}],
]


@pytest.fixture
def everything_logged() -> Any:
    """Every logger at DEBUG, into memory."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ("", "ccxt", "aiohttp", "asyncio", "urllib3")}
    root.addHandler(handler)
    for name in ("", "aiohttp", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def canaries(credentials: Credentials) -> list[str]:
    values = [*credentials.secrets(), MASTER]
    return [form for value in values for form in {value, quote(value, safe=""), value[:-1]}]


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_no_secret_is_left_anywhere(
    exchange: str, simulator: Simulator, gateway: Gateway, tmp_path: Path, everything_logged: io.StringIO
) -> None:
    secret = SECRET if exchange == "mexc" else "c0ffee00-c0ff-ee00-c0ff-ee00c0ffee99"
    changes = {"secret": secret} | ({"passphrase": PASSPHRASE} if exchange == "kucoin" else {})
    simulator.change_account(exchange, "good", **changes)
    credentials = sample(simulator, exchange, "good")
    assert credentials.secret == secret
    found: list[str] = []
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as workbench:
        workbench.create_vault(MASTER)
        draft = workbench.draft(Target(exchange=exchange), credentials)
        workbench.start_draft_test(draft.id).wait(20)
        connection = workbench.save_draft(draft.id, name="Canary", note="n")
        for faults in FAULTS:
            simulator.set_faults(faults)
            run = workbench.start_test(connection.id).wait(30)
            found.append(run.model_dump_json())
            for shown in (
                workbench.remedy(run),
                workbench.thief_view(run),
                workbench.rights_table(run),
                run,
                workbench,
            ):
                found.append(repr(shown))
            process = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True)
            found.append(process.stdout)
        simulator.set_faults([])
        found.append(workbench.history.to_csv())
        found.extend(repr(entry) for entry in workbench.audit_entries())
        for attempt in (
            lambda: workbench.draft(Target(exchange=exchange), credentials),
            lambda: workbench.unlock("not the " + "password"),
            lambda: workbench.change_password("wrong password", "another password"),
        ):
            try:
                attempt()
            except BfaiError:
                found.append(traceback.format_exc())
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        found.append(data.decode("latin-1"))
        found.append(data.decode("utf-16-le", "ignore"))
    found.append(everything_logged.getvalue())
    for text in found:
        for canary in canaries(credentials):
            assert canary not in text, f"a secret stands in: {text[:200]}"


def test_credentials_show_nothing() -> None:
    credentials = Credentials("mx0vCANARYCANARY", SECRET, PASSPHRASE)
    for text in (repr(credentials), str(credentials), f"{credentials}", f"{[credentials]}"):
        assert SECRET not in text
        assert PASSPHRASE not in text
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
    assert Credentials("short", "x").hint == ""


def test_a_traceback_with_locals_shows_nothing() -> None:
    """As a crash reporter would print it."""
    try:
        credentials = Credentials("mx0vCANARYCANARY", SECRET)
        raise RuntimeError(f"boom {credentials}")
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert SECRET not in text


def test_ccxt_stays_silent_at_debug(simulator: Simulator, gateway: Gateway, tmp_path: Path) -> None:
    """In a process of its own: ccxt prints headers with the key when somebody turns logging up before it is
    imported.
    """
    script = (
        "import logging, json, sys; logging.basicConfig(level=logging.DEBUG)\n"
        "from bfai.workbench import Workbench\nfrom bfai.model import *\n"
        "keys = json.loads(sys.stdin.read())\n"
        "w = Workbench.local('sqlite://:memory:')\n"
        "print(w.check(Target(exchange='mexc'), Credentials(keys['apiKey'], keys['secret'])).status)\n"
    )
    import json
    import os

    keys = simulator.accounts["mexc"]["good"]
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(keys),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env={
            **os.environ,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "PYTHONPATH": str(Path(__file__).parent.parent),
        },
    )
    assert "connected" in done.stdout
    for value in filter(None, keys.values()):
        assert value not in done.stdout + done.stderr
