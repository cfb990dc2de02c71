"""The command line as scripts use it: another process, JSON on stdin, exit codes, one JSON object on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bfai.model import utc_now
from bfai.simulator import Simulator
from bfai.store import open_store
from tests.commands import run_bfai
from tests.test_connection_test import ALL

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(simulator: Simulator, tmp_path: Path) -> Cli:
    environment = {
        **os.environ,
        "BFAI_GATEWAY": simulator.gateway,
        "BFAI_GATEWAY_CA": str(simulator.ca_file),
        "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db",
        "BFAI_MASTER_PASSWORD": "correct horse battery staple",
        "BFAI_LANGUAGE": "en",
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        return run_bfai(*arguments, stdin=stdin, env={**environment, **changes}, cwd=tmp_path)

    return run


def keys(simulator: Simulator, exchange: str, account: str) -> str:
    return json.dumps(simulator.accounts[exchange][account])


# -- check -------------------------------------------------------------------------------------------------------------

FEW = [case for case in ALL if case[2] in ("good", "withdraw", "ip_blocked", "read_only")]


@pytest.mark.parametrize(("exchange", "market", "account", "verdict"), FEW, ids=lambda value: str(value)[:12])
def test_check_gives_the_verdict(
    cli: Cli, simulator: Simulator, exchange: str, market: str, account: str, verdict: dict[str, Any]
) -> None:
    done = cli("check", exchange, "--market", market, "--json", stdin=keys(simulator, exchange, account))
    report = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert report["format"] == "bfai.report/1"
    assert report["connection"] is None
    assert (report["exchange"], report["market"], report["environment"]) == (exchange, market, "live")
    assert report["status"] in verdict["status"]
    assert done.returncode == (0 if report["status"] in ("online", "connected") else 1)
    assert set(report["permissions"]) == {"read", "spot_trade", "futures_trade", "margin", "transfer", "withdraw"}
    if "causes" in verdict:
        assert report["diagnosis"]["cause"] in verdict["causes"]
        assert report["diagnosis"]["permission"] == verdict.get("permission")
    else:
        assert report["diagnosis"] is None
    for secret in filter(None, simulator.accounts[exchange][account].values()):
        assert secret not in done.stdout + done.stderr


def test_check_for_people(cli: Cli, simulator: Simulator) -> None:
    done = cli("check", "mexc", stdin=keys(simulator, "mexc", "withdraw"))
    assert done.returncode == 1
    assert "This key can withdraw your money." in done.stdout


def test_check_in_the_built_in_simulator(cli: Cli, simulator: Simulator) -> None:
    done = cli(
        "check", "kucoin", "--environment", "simulator", "--json",
        stdin=keys(simulator, "kucoin", "good"), BFAI_GATEWAY="", BFAI_GATEWAY_CA="",
    )  # fmt: skip
    assert json.loads(done.stdout)["status"] == "connected"
    assert simulator.seen == [], "it started one of its own"


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("check", "nosuch"), "{}"),
        (("check", "mexc"), "not json"),
        (("check", "mexc"), "[1,2]"),
        (("check", "mexc", "--market", "moon"), "{}"),
        (("check", "mexc", "--environment", "testnet"), "{}"),
        (("check", "kucoin", "--region", "mars"), "{}"),
        (("check", "kucoin", "--region", "eu", "--market", "futures"), "{}"),
        (("nosuch",), ""),
        (("test",), ""),
    ],
)
def test_wrong_usage_is_exit_2(cli: Cli, arguments: tuple[str, ...], stdin: str) -> None:
    done = cli(*arguments, stdin=stdin)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_an_empty_secret_is_told_without_a_call(cli: Cli, simulator: Simulator) -> None:
    done = cli("check", "mexc", "--json", stdin='{"apiKey": "mx0vABCDEFGH123456", "secret": ""}')
    assert json.loads(done.stdout)["diagnosis"]["cause"] == "malformed_credentials"
    assert simulator.seen == []


def test_try_regions_finds_the_owner(cli: Cli, simulator: Simulator) -> None:
    simulator.change_account("kucoin", "no_futures", site="europe")
    simulator_keys = keys(simulator, "kucoin", "no_futures")
    without = json.loads(cli("check", "kucoin", "--json", stdin=simulator_keys).stdout)
    assert "wrong_environment" in without["diagnosis"]["candidates"]
    found = json.loads(cli("check", "kucoin", "--json", "--try-regions", stdin=simulator_keys).stdout)
    assert (found["region"], found["diagnosis"]) == ("eu", None)


def test_shape_shows_no_value(cli: Cli, simulator: Simulator) -> None:
    done = cli("check", "kucoin", "--shape", stdin=keys(simulator, "kucoin", "good"))
    shape = json.loads(done.stdout)
    assert shape["key_info"]["data"]["permission"] == "str"
    assert "General" not in done.stdout
    assert "4210" not in done.stdout


def test_a_gateway_elsewhere_is_refused(cli: Cli, simulator: Simulator) -> None:
    done = cli("check", "mexc", stdin=keys(simulator, "mexc", "good"), BFAI_GATEWAY="203.0.113.7:443")
    assert done.returncode == 1
    assert "must be an address on this computer" in done.stderr


# -- explain -----------------------------------------------------------------------------------------------------------


def test_explain_many_keeps_order_and_count(cli: Cli) -> None:
    lines = (DATA / "error_responses.jsonl").read_text(encoding="utf-8").splitlines()
    done = cli("explain", "--jsonl", stdin="\n".join([*lines, "this is no JSON", "[]"]) + "\n")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(results) == len(lines) + 2
    for line, result in zip(map(json.loads, lines), results, strict=False):
        assert result["diagnosis"]["cause"] in (line["truth"], *line.get("also_acceptable", []))
    assert [result["diagnosis"]["cause"] for result in results[-2:]] == ["unexpected_response"] * 2


def test_explain_knows_every_ccxt_name_of_an_exchange(cli: Cli) -> None:
    """ccxt has classes of their own for regions and markets."""
    lines = [
        {"exchange": "myokx", "http_status": 401, "body": '{"code":"50119","msg":"…"}'},
        {"exchange": "kucoinfutures", "http_status": 403, "body": '{"code":"400006","msg":"…"}'},
        {"exchange": "gateeu", "http_status": 401, "body": '{"label":"INVALID_SIGNATURE","message":"…"}'},
        {"exchange": "bybiteu", "http_status": 200, "body": '{"retCode":33004,"retMsg":"…"}'},
    ]
    done = cli("explain", "--jsonl", stdin="\n".join(json.dumps(line) for line in lines))
    causes = [json.loads(line)["diagnosis"]["cause"] for line in done.stdout.splitlines()]
    assert causes == ["invalid_key", "ip_not_allowed", "invalid_secret", "expired_key"]


def test_explain_reads_key_reports(cli: Cli) -> None:
    lines = (DATA / "key_reports.jsonl").read_text(encoding="utf-8")
    for line, result in zip(
        lines.splitlines(), cli("explain", "--jsonl", stdin=lines).stdout.splitlines(), strict=True
    ):
        given, found = json.loads(line), json.loads(result)
        assert found["diagnosis"] is None
        words = {"granted": True, "denied": False, "unknown": None}
        for permission, expected in given["expected"].items():
            if permission in found["permissions"]:
                state = words[found["permissions"][permission]["state"]]
                assert state is expected or state in given.get("also_acceptable", {}).get(permission, [])


@pytest.mark.parametrize(
    ("text", "exchange", "cause"),
    [
        (
            'ccxt.base.errors.AuthenticationError: kucoin {"code":"400006","msg":"Invalid request ip"}',
            "kucoin",
            "ip_not_allowed",
        ),
        ('mexc {"code":700002,"msg":"Signature for this request is not valid."}', "mexc", "invalid_secret"),
        (
            "ccxt.base.errors.RequestTimeout: mexc GET https://api.mexc.com/api/v3/account?signature=0123456789",
            "mexc",
            "exchange_unavailable",
        ),
        ("<html><head><title>451</title></head></html>", None, "unexpected_response"),
        ("getaddrinfo ENOTFOUND api.kucoin.com", "kucoin", "exchange_unavailable"),
    ],
)
def test_explain_takes_what_bots_print(cli: Cli, text: str, exchange: str | None, cause: str) -> None:
    done = cli("explain", "--json", stdin=text)
    result = json.loads(done.stdout)
    assert (result["exchange"], result["diagnosis"]["cause"]) == (exchange, cause)
    assert "0123456789" not in done.stdout


# -- vault, connections, test, history ---------------------------------------------------------------------------------


def test_a_whole_life(cli: Cli, simulator: Simulator) -> None:
    assert cli("connections", "list").stdout == ""
    assert cli("test", "--all").returncode == 3
    assert cli("vault", "init").returncode == 0
    assert cli("vault", "init").returncode == 1
    refused = cli("connections", "add", "Old", "mexc", stdin=keys(simulator, "mexc", "withdraw"))
    assert refused.returncode == 1
    assert "never stored" in refused.stderr
    assert cli("connections", "add", "Main", "mexc", stdin=keys(simulator, "mexc", "no_futures")).returncode == 0
    assert cli("connections", "add", "main", "mexc", stdin=keys(simulator, "mexc", "good")).returncode == 2
    listed = json.loads(cli("connections", "list", "--json").stdout)["connections"]
    assert [(row["name"], row["status"]) for row in listed] == [("Main", "online")]
    assert cli("connections", "rename", "Main", "MEXC Spot Main").returncode == 0

    done = cli("test", "MEXC Spot Main", "--json")
    reports = json.loads(done.stdout)
    assert done.returncode == 0
    assert reports["format"] == "bfai.reports/1"
    assert [report["connection"] for report in reports["reports"]] == ["MEXC Spot Main"]

    simulator.set_address("203.0.113.9")
    assert cli("test", "--all").returncode == 1
    simulator.set_address(None)
    assert cli("connections", "rotate", "MEXC Spot Main", stdin=keys(simulator, "mexc", "good")).returncode == 0

    runs = json.loads(cli("history", "MEXC Spot Main", "--format", "json").stdout)["runs"]
    assert [run["cause"] for run in runs].count("ip_not_allowed") == 1
    assert cli("history", "--since", "1h", "--format", "csv").stdout.count("\n") == len(runs) + 1
    assert cli("history", "--since", "yesterday").returncode == 2
    assert cli("history", "nobody").returncode == 1

    assert cli("test", "--all", BFAI_MASTER_PASSWORD="not the password").returncode == 3
    changed = cli("vault", "change-password", BFAI_NEW_MASTER_PASSWORD="another long password")
    assert changed.returncode == 0
    assert cli("test", "--all").returncode == 3
    assert cli("test", "--all", BFAI_MASTER_PASSWORD="another long password").returncode == 0
    assert cli("connections", "remove", "MEXC Spot Main", "--yes").returncode == 0
    assert cli("connections", "list").stdout == ""


def test_confirmation_on_the_command_line(cli: Cli, simulator: Simulator) -> None:
    cli("vault", "init")
    given = keys(simulator, "mexc", "unknown_right")
    assert cli("connections", "add", "Odd", "mexc", stdin=given).returncode == 1
    assert cli("connections", "add", "Odd", "mexc", "--confirm-withdraw-off", stdin=given).returncode == 0
    simulator.change_account("mexc", "unknown_right", ip_whitelist="")
    assert cli("test", "Odd").returncode == 1
    assert cli("connections", "confirm-withdraw-off", "Odd").returncode == 0
    assert cli("test", "Odd").returncode == 0
    assert cli("connections", "confirm-withdraw-off", "Odd").returncode == 1


def test_history_as_parquet(cli: Cli, simulator: Simulator, tmp_path: Path) -> None:
    import pandas as pd

    cli("vault", "init")
    cli("connections", "add", "Main", "mexc", stdin=keys(simulator, "mexc", "good"))
    done = subprocess.run(
        [sys.executable, "-m", "bfai", "history", "--format", "parquet"],
        capture_output=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db", "PYTHONPATH": str(ROOT)},
    )
    file = tmp_path / "runs.parquet"
    file.write_bytes(done.stdout)
    assert len(pd.read_parquet(file)) == 1


def test_the_simulator_says_where_it_is_and_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bfai", "simulator", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        hello = json.loads(process.stdout.readline())
        assert set(hello) == {"gateway", "ca", "control", "accounts"}
        assert Path(hello["ca"]).is_file()
        process.terminate()
        assert process.wait(10) == 0


def test_the_readme_example_pastes_and_runs(cli: Cli, simulator: Simulator) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = next(line for line in readme.splitlines() if line.startswith("echo '{"))
    given, _, called = command.removeprefix("echo ").partition(" | python3 run.py cli ")
    done = cli(*called.split(), stdin=given.strip("'"), BFAI_GATEWAY="", BFAI_GATEWAY_CA="")
    shown = readme[readme.index(command) :].split("```")[2].strip().splitlines()
    assert done.returncode == 1
    for line in (shown[3], shown[-2], shown[-1]):
        assert line.strip() in done.stdout, line


# -- the trail, the vault's key, and the end ---------------------------------------------------------------------------


def test_the_trail_is_printed_filtered_and_exported(cli: Cli, simulator: Simulator) -> None:
    assert cli("vault", "init").returncode == 0
    added = cli("connections", "add", "Main", "mexc", stdin=keys(simulator, "mexc", "no_futures"))
    assert added.returncode == 0, added.stderr
    assert cli("connections", "rename", "Main", "Grid").returncode == 0
    lines = cli("audit").stdout.splitlines()
    assert "Main is called Grid now." in lines[0]
    assert lines[-1].endswith("The vault was made.")
    for options, count in (
        (("--kind", "vault"), 1),
        (("--connection", "grid", "--kind", "connection"), 2),
        (("--search", "GRID called"), 1),
        (("--since", "1h"), 4),
        (("--kind", "strategy"), 0),
    ):
        assert len(cli("audit", *options).stdout.splitlines()) == count, options
    told = json.loads(cli("audit", "--json").stdout)
    assert told["format"] == "bfai.trail/1"
    assert len(told["entries"]) == 4
    table = cli("audit", "--csv").stdout
    assert table.splitlines()[0] == "at,local,kind,action,what,subject,detail"
    assert "exported" in table
    assert cli("connections", "remove", "Grid", "--yes").returncode == 0
    assert "Grid was deleted" in cli("audit", "--connection", "Grid").stdout
    for wrong in (("--connection", "Nobody"), ("--strategy", "Nobody")):
        assert cli("audit", *wrong).returncode == 1
    for wrong in (("--test",), (".", "--kind", "vault"), ("--connection", "a", "--strategy", "b")):
        assert cli("audit", *wrong).returncode == 2


def test_the_vaults_key_is_renewed_and_everything_deleted(cli: Cli, simulator: Simulator) -> None:
    assert cli("vault", "delete", "--yes").returncode == 1
    assert cli("vault", "init").returncode == 0
    added = cli("connections", "add", "Main", "mexc", stdin=keys(simulator, "mexc", "no_futures"))
    assert added.returncode == 0, added.stderr
    renewed = cli("vault", "rotate")
    assert renewed.returncode == 0, renewed.stderr
    assert "1 connection is sealed anew" in renewed.stderr
    assert cli("test", "Main").returncode == 0
    for _ in range(3):
        wrong = cli("vault", "rotate", BFAI_MASTER_PASSWORD="not the password")
        assert wrong.returncode == 3
    waits = cli("vault", "delete")  # no terminal to type the word in
    assert waits.returncode == 2
    assert "mexc.com" in waits.stderr
    gone = cli("vault", "delete", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert "overwritten in the file" in gone.stderr
    assert "Main (…" in gone.stderr
    assert cli("audit").stdout == ""
    assert "There is no vault yet" in cli("test", "--all").stderr
    assert cli("vault", "init").returncode == 0


def test_every_command_that_asks_for_the_password_waits(cli: Cli, tmp_path: Path) -> None:
    assert cli("vault", "init").returncode == 0
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    assert store.set_unlock_failures(0, 30, utc_now() + timedelta(hours=1)), "and a clock that was set back"
    store.close()
    for command in (
        ("vault", "change-password"),
        ("vault", "rotate"),
        ("test", "--all"),
        ("monitor", "--remember"),
    ):
        done = cli(*command, BFAI_NEW_MASTER_PASSWORD="another long password")
        if "keyring" in done.stderr and "pip install" in done.stderr:
            continue  # it asks for the keyring first
        assert done.returncode == 3, (command, done.stderr)
        assert "Too many attempts with a wrong password. Next try in" in done.stderr
