"""`bfai.read_key` on a stranger's own ccxt instances, in a process of their own, against the simulator."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ccxt
import pytest

import bfai
from bfai.exchanges import all_exchanges
from bfai.simulator import Simulator
from tests.redirect import environment

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def read(simulator: Simulator, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, HERE / "redirect.py", HERE / "clients" / "read_key.py"],
        input=json.dumps(jobs),
        env={**environment(simulator.gateway, simulator.ca_file), "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for keys in simulator.accounts.values():
        for account in keys.values():
            assert (account["secret"] or "?" * 9) not in done.stdout + done.stderr
    return json.loads(done.stdout)


def job(simulator: Simulator, exchange: str, account: str, mode: str, **settings: Any) -> dict[str, Any]:
    keys = {name: value for name, value in simulator.accounts[exchange][account].items() if value is not None}
    return {"class": all_exchanges()[exchange].ccxt_id, "mode": mode, "settings": {**keys, **settings}}


@pytest.mark.parametrize("exchange", list(all_exchanges()))
def test_rights_of_a_good_and_a_dangerous_key(simulator: Simulator, exchange: str) -> None:
    jobs = [job(simulator, exchange, account, mode) for account in ("good", "withdraw") for mode in ("sync", "async")]
    good, good_again, bad, bad_again = read(simulator, *jobs)

    assert good == good_again and bad == bad_again, "both kinds of instance tell the same"
    tells = "unknown" if exchange == "gate" else "denied"
    assert good["grants"]["withdraw"] == tells
    assert bad["grants"]["withdraw"] == ("unknown" if exchange == "gate" else "granted")
    assert good["grants"]["read"] == good["grants"]["spot_trade"] == "granted"
    assert good["changed"] == bad["changed"] == [], "the caller's instance stays as it was"
    assert good["still works"]
    assert not simulator.violations


def test_a_refused_key_says_why(simulator: Simulator) -> None:
    wrong = job(simulator, "mexc", "good", "async", apiKey="mx0vNOBODYKNOWSTHIS")
    closed = job(simulator, "kucoin", "ip_blocked", "sync")
    unknown, blocked = read(simulator, wrong, closed)
    assert unknown["candidates"][0] == "invalid_key"
    assert blocked["candidates"] == ["ip_not_allowed"]


def test_only_declared_reads_leave(simulator: Simulator) -> None:
    read(simulator, *(job(simulator, exchange, "good", "async") for exchange in all_exchanges()))
    declared = {(call.method, call.path) for adapter in all_exchanges().values() for call in adapter.calls}
    private = [call for call in simulator.seen if call["account"] is not None]
    assert private
    assert {str(call["method"]) for call in private} == {"GET"}
    paths = {path for _, path in declared if "{" not in path}
    assert {str(call["path"]) for call in private} <= paths


def test_a_class_that_nobody_supports_is_named() -> None:
    with pytest.raises(bfai.model.BfaiError, match="bitstamp is not supported"):
        bfai.read_key_sync(ccxt.bitstamp({"apiKey": "a", "secret": "b"}))


def test_a_subclass_of_the_callers_own_is_known(simulator: Simulator) -> None:
    (found,) = read(simulator, {**job(simulator, "kucoin", "good", "sync"), "class": "kucoinfutures"})
    assert found["grants"]["withdraw"] == "denied"


def test_what_is_no_key_is_refused_before_a_call() -> None:
    with pytest.raises(bfai.model.BfaiError, match="is empty"):
        bfai.read_key_sync(ccxt.mexc({"apiKey": "mx0vABCDEFGH123456", "secret": ""}))


def test_an_asynchronous_instance_needs_await() -> None:
    import ccxt.async_support

    with pytest.raises(TypeError, match="await"):
        bfai.read_key_sync(ccxt.async_support.mexc())


def blocks() -> list[str]:
    page = (HERE.parent / "docs" / "read-key.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_the_programs_in_the_document_run(simulator: Simulator, tmp_path: Path, number: int) -> None:
    keys = simulator.accounts["kucoin"]["good"]
    program = tmp_path / "program.py"
    program.write_text(blocks()[number])
    own = {"KEY": keys["apiKey"] or "", "SECRET": keys["secret"] or "", "PASSPHRASE": keys["password"] or ""}
    done = subprocess.run(
        [sys.executable, HERE / "redirect.py", program],
        env={**environment(simulator.gateway, simulator.ca_file), **own, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = ("withdraw denied declared", "", "KuCoin ip_not_allowed 203.0.113.9")[number]
    assert expected in done.stdout
    assert len(blocks()) == 3
