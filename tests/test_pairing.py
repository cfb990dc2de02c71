"""A test made where the bot runs: over real sockets and another process, and every way in which a report is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from bfai import history, pairing, report
from bfai.exchanges import all_exchanges
from bfai.i18n import translator
from bfai.model import (
    AWAY_HOLDS,
    BfaiError,
    Cause,
    Credentials,
    Diagnosis,
    GrantState,
    Status,
    Target,
    TestRun,
    utc_now,
)
from bfai.pairing import CODE_LIFE, Code, PairingError
from bfai.simulator import Simulator
from bfai.strategy.gate import Facts
from bfai.transport import Gateway
from bfai.workbench import VaultIsLocked, Workbench
from tests.helpers import run_once, sample

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery staple"
SERVER = "198.51.100.7"
"""On the list of every `ip_blocked` account."""
KEY_WITH_ALL = ("SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_DEAL_WRITE", "SPOT_WITHDRAW_WRITE")


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(f"sqlite:///{tmp_path}/bfai.db", gateway=gateway) as found:
        found.create_vault(PASSWORD)
        yield found


def stored(workbench: Workbench, simulator: Simulator, account: str = "ip_blocked", exchange: str = "mexc") -> str:
    """A connection whose key was tested from here. Gives its id."""
    draft = workbench.draft(Target(exchange=exchange), sample(simulator, exchange, account))
    workbench.start_draft_test(draft.id).wait(10)
    return workbench.save_draft(draft.id, name=f"{exchange} {account}").id


def on_the_server(simulator: Simulator, command: str, keys: Credentials, folder: Path) -> Any:
    """Runs the command that the workbench shows, in a process of its own whose address the exchange sees as SERVER."""
    words = command.split()
    assert words[:2] == ["python", "-m"]
    simulator.set_address(SERVER)
    done = subprocess.run(
        [sys.executable, *words[1:]],
        check=False,
        input=json.dumps({"apiKey": keys.api_key, "secret": keys.secret, "password": keys.passphrase}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        cwd=folder,
        env={
            **os.environ,
            "BFAI_GATEWAY": simulator.gateway,
            "BFAI_GATEWAY_CA": str(simulator.ca_file),
            "BFAI_DATABASE_URL": f"sqlite:///{folder}/never.db",
            "BFAI_LANGUAGE": "nl",
            "PYTHONPATH": str(ROOT),
        },
    )
    simulator.set_address(None)
    return done


def report_for(
    workbench: Workbench,
    gateway: Gateway,
    connection_id: str,
    keys: Credentials,
    *,
    now: datetime | None = None,
    changes: dict[str, Any] | None = None,
) -> str:
    """What `check --pair` prints there for the code that waits, made in this process. `changes` are lies about the
    run, told by somebody who has key and code.
    """
    connection = workbench.connection(connection_id)
    waiting = workbench.pairing(connection_id, now=now)
    assert connection is not None
    assert waiting is not None
    target = connection.target
    run = run_once(gateway, target.exchange, keys, market=target.market.value).model_copy(
        update={"tested_from": SERVER}
    )
    run = run.model_copy(update=changes or {})
    exchange = all_exchanges()[target.exchange]
    plain = report.report(run, exchange, translator("en"))
    sealed = pairing.with_pairing(plain, run, Code.read(waiting.code), keys, exchange, utc_now())
    return json.dumps(sealed)


def as_seen_from_server(simulator: Simulator) -> Any:
    class Seen:
        def __enter__(self) -> None:
            simulator.set_address(SERVER)

        def __exit__(self, *_: object) -> None:
            simulator.set_address(None)

    return Seen()


def refusal(act: Any) -> str:
    with pytest.raises(PairingError) as caught:
        act()
    return str(caught.value)


# -- the way through ---------------------------------------------------------------------------------------------------


def test_a_key_bound_to_the_server_is_tested_there_and_counts(
    workbench: Workbench, simulator: Simulator, tmp_path: Path
) -> None:
    id_, keys = stored(workbench, simulator), sample(simulator, "mexc", "ip_blocked")
    failed = workbench.latest_run(id_)
    assert failed is not None
    assert failed.diagnosis is not None
    assert failed.diagnosis.cause is Cause.IP_NOT_ALLOWED
    remedy = workbench.remedy(failed)
    assert remedy is not None
    assert "where the bot runs" in remedy.steps[-1].text
    made = workbench.pair(id_)
    assert made.command.startswith("python -m bfai check mexc --market spot --pair ")
    assert workbench.pairing(id_) == made, "a page that is reloaded shows the same code"
    done = on_the_server(simulator, made.command, keys, tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["format"] == "bfai.report/1"
    assert (answer["status"], answer["connection"]) == ("connected", None)
    for secret in (*keys.secrets(), made.code, made.code.replace("-", "")):
        assert secret not in done.stdout + done.stderr
    run = workbench.take_report(id_, done.stdout)
    connection = workbench.connection(id_)
    assert connection is not None
    assert (run.status, run.tested_from, run.connection_id) == (Status.CONNECTED, SERVER, id_)
    assert (connection.status, connection.last_run_id) == (Status.CONNECTED, run.id)
    assert workbench.latest_run(id_) == run
    assert workbench.tested_away(id_) == run
    assert workbench.count_runs(id_) == 2
    assert [sent.host for sent in run.receipt]
    assert workbench.pairing(id_) is None
    assert not (tmp_path / "never.db").exists()
    assert {entry.action for entry in workbench.audit_entries()} >= {"pairing_code", "report_taken"}


@pytest.mark.parametrize("exchange", sorted(all_exchanges()))
def test_every_exchange(
    exchange: str, workbench: Workbench, simulator: Simulator, gateway: Gateway, tmp_path: Path
) -> None:
    """Also where the refusal from here has several possible reasons, and where withdrawal is never told."""
    keys = sample(simulator, exchange, "ip_blocked")
    with as_seen_from_server(simulator):
        draft = workbench.draft(Target(exchange=exchange), keys)
        workbench.start_draft_test(draft.id).wait(10)
        if workbench.can_save(workbench.get_draft(draft.id) or draft):
            workbench.confirm_draft(draft.id)
        id_ = workbench.save_draft(draft.id, name=exchange).id
    workbench.pair(id_)
    with as_seen_from_server(simulator):
        text = report_for(workbench, gateway, id_, keys)
    run = workbench.take_report(id_, text)
    assert run.status.ok
    here = workbench.start_test(id_).wait(10)
    assert here.status is Status.FAILED
    assert here.set_aside
    connection = workbench.connection(id_)
    assert connection is not None
    assert (connection.status, connection.last_run_id) == (run.status, run.id)


def test_the_command_line_pairs_and_takes(workbench: Workbench, simulator: Simulator, tmp_path: Path) -> None:
    stored(workbench, simulator, exchange="bybit")

    def cli(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {
            **os.environ,
            "BFAI_DATABASE_URL": f"sqlite:///{tmp_path}/bfai.db",
            "BFAI_MASTER_PASSWORD": PASSWORD,
            "BFAI_LANGUAGE": "en",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "bfai", *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, timeout=60, cwd=tmp_path, env=environment, check=False
        )

    made = cli("connections", "pair", "bybit ip_blocked")
    code, command = made.stdout.decode().split("\n")[:2]
    assert made.returncode == 0
    assert f"--pair {code}" in command
    assert "--region global" in command
    done = on_the_server(simulator, command, sample(simulator, "bybit", "ip_blocked"), tmp_path)
    assert done.returncode == 0, done.stderr
    junk = cli("connections", "take", "bybit ip_blocked", stdin=b"\xff\xfe{")
    assert (junk.returncode, junk.stderr.count(b"\n")) == (1, 1)
    wide = b"\xff\xfe" + done.stdout.encode("utf-16-le")  # as PowerShell writes a file
    taken = cli("connections", "take", "bybit ip_blocked", stdin=wide)
    assert taken.returncode == 0, taken.stderr
    assert f"tested from {SERVER}" in taken.stdout.decode()
    again = cli("connections", "take", "bybit ip_blocked", stdin=done.stdout.encode())
    assert again.returncode == 1
    assert b"taken in already" in again.stderr


def test_a_mistyped_code_is_refused_before_anything_is_asked(simulator: Simulator, tmp_path: Path) -> None:
    text = Code(os.urandom(16)).text
    wrong = text.replace(text[5], "A" if text[5] != "A" else "B")
    done = on_the_server(
        simulator, f"python -m bfai check mexc --pair {wrong}", sample(simulator, "mexc", "good"), tmp_path
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert simulator.seen == []


# -- codes -------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(some.binary(min_size=16, max_size=16))
def test_a_code_is_read_as_people_copy_it(raw: bytes) -> None:
    code = Code(raw)
    text = code.text
    assert [len(group) for group in text.split("-")] == [4] * 7
    for typed in (text, text.lower(), text.replace("-", ""), text.replace("-", " "), f" {text}\n"):
        assert Code.read(typed).text == text
    assert Code.read(text.replace("O", "0").replace("I", "1").replace("B", "8")).text == text
    assert raw.hex() not in repr(code)


@settings(deadline=None)
@given(some.text(max_size=60))
def test_what_is_no_code_is_refused_in_words(text: str) -> None:
    try:
        assert Code.read(text).text
    except PairingError as error:
        assert "Copy it whole" in str(error)


def test_codes_differ_and_stand_nowhere(workbench: Workbench, simulator: Simulator, tmp_path: Path) -> None:
    one, other = stored(workbench, simulator), stored(workbench, simulator, "good")
    codes = {workbench.pair(id_).code for id_ in (one, other) for _ in range(20)}
    assert len(codes) == 40
    last = workbench.pair(one).code
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("bfai.db"))
    for form in (last, last.replace("-", ""), last.lower()):
        assert form.encode() not in data
    workbench.lock()
    with pytest.raises(VaultIsLocked):
        workbench.pairing(one)
    workbench.unlock(PASSWORD)
    found = workbench.pairing(one)
    assert found is not None
    assert found.code == last


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.fixture
def taken(workbench: Workbench, simulator: Simulator, gateway: Gateway) -> tuple[str, str]:
    """A connection, and a report for it that waits to be taken in."""
    id_ = stored(workbench, simulator)
    workbench.pair(id_)
    with as_seen_from_server(simulator):
        return id_, report_for(workbench, gateway, id_, sample(simulator, "mexc", "ip_blocked"))


def test_a_report_is_good_once(workbench: Workbench, taken: tuple[str, str]) -> None:
    id_, text = taken
    workbench.take_report(id_, text)
    assert "taken in already" in refusal(lambda: workbench.take_report(id_, text))
    workbench.pair(id_)
    assert "taken in already" in refusal(lambda: workbench.take_report(id_, text))
    assert workbench.count_runs(id_) == 2


def test_a_report_that_comes_twice_at_once_is_kept_once(workbench: Workbench, taken: tuple[str, str]) -> None:
    id_, text = taken
    results: list[object] = []
    ready = threading.Barrier(4)

    def take() -> None:
        ready.wait()
        try:
            results.append(workbench.take_report(id_, text).status)
        except PairingError as error:
            results.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(Status.CONNECTED) == 1
    assert workbench.count_runs(id_) == 2


def test_a_code_expires(workbench: Workbench, simulator: Simulator, gateway: Gateway) -> None:
    id_, old = stored(workbench, simulator), utc_now() - timedelta(minutes=29)
    workbench.pair(id_, now=old)
    with as_seen_from_server(simulator):
        text = report_for(workbench, gateway, id_, sample(simulator, "mexc", "ip_blocked"))
    late = old + CODE_LIFE + timedelta(seconds=1)
    assert "expired" in refusal(lambda: workbench.take_report(id_, text, now=late))
    assert workbench.pairing(id_, now=late) is None
    assert workbench.take_report(id_, text, now=late - timedelta(seconds=2)).status.ok


def test_only_the_last_code_counts(workbench: Workbench, taken: tuple[str, str]) -> None:
    id_, text = taken
    workbench.pair(id_)
    assert "another pairing code" in refusal(lambda: workbench.take_report(id_, text))


def test_without_a_code_nothing_is_taken(
    workbench: Workbench, simulator: Simulator, gateway: Gateway, taken: tuple[str, str]
) -> None:
    other = stored(workbench, simulator, "good")
    assert "No pairing code waits" in refusal(lambda: workbench.take_report(other, taken[1]))
    workbench.pair(other)
    assert "another pairing code" in refusal(lambda: workbench.take_report(other, taken[1]))


def test_another_keys_report(workbench: Workbench, simulator: Simulator, gateway: Gateway) -> None:
    """The code is right, and the key that was typed on the server is another one, or has another secret."""
    id_ = stored(workbench, simulator)
    workbench.pair(id_)
    own = sample(simulator, "mexc", "ip_blocked")
    with as_seen_from_server(simulator):
        for keys in (sample(simulator, "mexc", "ip_open"), Credentials(own.api_key, "0" * 32)):
            text = report_for(workbench, gateway, id_, keys)
            assert "another key" in refusal(lambda text=text: workbench.take_report(id_, text))


def test_a_report_from_before_the_key_was_replaced(
    workbench: Workbench, simulator: Simulator, taken: tuple[str, str]
) -> None:
    id_, text = taken
    connection = workbench.connection(id_)
    assert connection is not None
    draft = workbench.draft(connection.target, sample(simulator, "mexc", "good"), replaces=id_)
    workbench.start_draft_test(draft.id).wait(10)
    workbench.save_draft(draft.id, name=connection.name)
    assert "before the key was replaced" in refusal(lambda: workbench.take_report(id_, text))


def test_another_exchanges_or_markets_report(
    workbench: Workbench, simulator: Simulator, gateway: Gateway, taken: tuple[str, str]
) -> None:
    kucoin = stored(workbench, simulator, exchange="kucoin")
    workbench.pair(kucoin)
    assert "is about MEXC, and this connection is at KuCoin" in refusal(lambda: workbench.take_report(kucoin, taken[1]))
    parsed = json.loads(taken[1])
    parsed["pairing"]["run"]["market"] = "futures"
    assert "another market" in refusal(lambda: workbench.take_report(taken[0], json.dumps(parsed)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no report"),
        ("{", "no report"),
        ("[]", "no report"),
        ("null", "no report"),
        ('{"format":"bfai.reports/1"}', "no report"),
        ('{"format":"bfai.report/1"}', "without the pairing code"),
        ('{"format":"bfai.report/1","pairing":[1]}', "without the pairing code"),
        ('{"format":"bfai.report/1","pairing":{"format":"bfai.pairing/9"}}', "another version"),
        ('{"format":"bfai.report/1","x":NaN}', "no report"),
        ('{"format":"bfai.report/1","x":' + "9" * 5000 + "}", "no report"),
        ("[" * 100_000, "no report"),
        (b"\xff\xfe\x00", "no report"),
        (b"\x80\x81", "no report"),
        ("x" * 300_000, "too long"),
        (b"\x00" * 300_000, "too long"),
        ('{"format":"bfai.report/1","pairing":{"format":"bfai.pairing/1","run":{"exchange":"mexc"}}}', "market"),
        ('{"format":"bfai.report/1","pairing":{"format":"bfai.pairing/1","run":"\\ud800"}}', "This is no report"),
    ],
)
def test_junk_is_refused_in_one_sentence(
    workbench: Workbench, simulator: Simulator, given: str | bytes, said: str
) -> None:
    id_ = stored(workbench, simulator)
    workbench.pair(id_)
    assert said in refusal(lambda: workbench.take_report(id_, given))
    assert workbench.count_runs(id_) == 1


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in items for place in _places(item, (*path, name)))]


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_whatever_is_changed_is_refused_or_means_the_same(
    workbench: Workbench, taken: tuple[str, str], data: some.DataObject
) -> None:
    """Any field with any value, any character, anything left out: never a run that is another than the one made."""
    id_, text = taken
    parsed = json.loads(text)
    match data.draw(some.sampled_from(["field", "drop", "flip"])):
        case "field":
            place = data.draw(some.sampled_from(_places(parsed)))
            junk = some.recursive(
                some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=9),
                lambda inner: (
                    some.lists(inner, max_size=2) | some.dictionaries(some.text(max_size=5), inner, max_size=2)
                ),
                max_leaves=4,
            )
            known = some.sampled_from(["online", "denied", "pass", "live", "mexc", None, 0, 0.0, [], {}])
            given_text = json.dumps(_changed(parsed, place, data.draw(junk | known)))
        case "drop":
            place = data.draw(some.sampled_from([place for place in _places(parsed) if place]))
            inside = parsed
            for name in place[:-1]:
                inside = inside[name]
            del inside[place[-1]]
            given_text = json.dumps(parsed)
        case _:
            at = data.draw(some.integers(0, len(text) - 1))
            given_text = text[:at] + chr(ord(text[at]) ^ (1 << data.draw(some.integers(0, 6)))) + text[at + 1 :]
    try:
        same = _judge(workbench, id_, given_text)
    except BfaiError:
        return
    assert same == _judge(workbench, id_, text)


def _judge(workbench: Workbench, id_: str, text: str) -> TestRun:
    """What `take_report` would store, without using the code up."""
    connection, waiting = workbench.connection(id_), workbench.pairing(id_)
    assert connection is not None
    assert waiting is not None
    exchanges = all_exchanges()
    found = pairing.read_report(text)
    pairing.check_target(found, connection.target, exchanges)
    code = Code.read(waiting.code)
    if pairing.run_id_of(found) != code.run_id:
        raise PairingError("another code")
    credentials = workbench._open_vault().open(id_, workbench._store.sealed(id_))
    later = waiting.made_at + timedelta(minutes=1)
    return pairing.take(found, code, credentials, exchanges["mexc"], waiting.made_at, later)


@pytest.mark.parametrize("known", ["code", "key"])
def test_nobody_can_seal_who_knows_only_one_of_code_and_key(
    workbench: Workbench, simulator: Simulator, taken: tuple[str, str], known: str
) -> None:
    id_, text = taken
    waiting = workbench.pairing(id_)
    assert waiting is not None
    keys, exchange = sample(simulator, "mexc", "ip_blocked"), all_exchanges()["mexc"]
    parsed = json.loads(text)
    run = TestRun.model_validate(parsed["pairing"]["run"]).model_copy(update={"status": Status.ONLINE, "advice": ()})
    code = Code.read(waiting.code) if known == "code" else Code(os.urandom(16))
    keys = keys if known == "key" else Credentials(keys.api_key, "f" * 32)
    forged = pairing.with_pairing(parsed, run, code, keys, exchange, utc_now())
    forged["pairing"]["run"]["id"] = parsed["pairing"]["run"]["id"]
    assert refusal(lambda: workbench.take_report(id_, json.dumps(forged)))
    forged["pairing"]["proof"] = parsed["pairing"]["proof"]
    assert "changed" in refusal(lambda: workbench.take_report(id_, json.dumps(forged)))


def test_a_report_survives_a_tool_that_writes_numbers_its_own_way(workbench: Workbench, taken: tuple[str, str]) -> None:
    def shorter(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shorter(item) for name, item in reversed(value.items())}
        if isinstance(value, list):
            return [shorter(item) for item in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    given_text = json.dumps(shorter(json.loads(taken[1])), indent=2, ensure_ascii=False)
    assert workbench.take_report(taken[0], given_text).status.ok


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_server_whose_clock_is_wrong_is_set_by_the_exchange(
    workbench: Workbench, simulator: Simulator, gateway: Gateway, ahead_s: int
) -> None:
    id_ = stored(workbench, simulator)
    made = workbench.pair(id_)
    told = utc_now() + timedelta(seconds=ahead_s)
    with as_seen_from_server(simulator):
        wrong = {"started_at": told, "clock_offset_ms": -1000.0 * ahead_s}
        text = report_for(workbench, gateway, id_, sample(simulator, "mexc", "ip_blocked"), changes=wrong)
    run = workbench.take_report(id_, text)
    assert made.made_at <= run.started_at <= utc_now()
    connection = workbench.connection(id_)
    assert connection is not None
    assert connection.last_run_id == run.id


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_time_that_cannot_be_is_refused(
    workbench: Workbench, simulator: Simulator, gateway: Gateway, hours: int
) -> None:
    id_ = stored(workbench, simulator)
    workbench.pair(id_)
    with as_seen_from_server(simulator):
        wrong = {"started_at": utc_now() + timedelta(hours=hours)}
        text = report_for(workbench, gateway, id_, sample(simulator, "mexc", "ip_blocked"), changes=wrong)
    assert "clocks" in refusal(lambda: workbench.take_report(id_, text))


# -- the verdict -------------------------------------------------------------------------------------------------------


def test_a_key_that_can_withdraw_is_blocked_by_its_report(
    workbench: Workbench, simulator: Simulator, gateway: Gateway
) -> None:
    id_ = stored(workbench, simulator)
    simulator.change_account("mexc", "ip_blocked", permissions=KEY_WITH_ALL)
    workbench.pair(id_)
    with as_seen_from_server(simulator):
        text = report_for(workbench, gateway, id_, sample(simulator, "mexc", "ip_blocked"))
    run = workbench.take_report(id_, text)
    connection = workbench.connection(id_)
    assert connection is not None
    assert (run.status, connection.status) == (Status.BLOCKED, Status.BLOCKED)
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.WITHDRAW_ENABLED
    here = workbench.start_test(id_).wait(10)
    connection = workbench.connection(id_)
    assert connection is not None
    assert (here.set_aside, connection.status) == (True, Status.BLOCKED), "a refused address hides no withdrawal"


# -- tests from here, afterwards ---------------------------------------------------------------------------------------


def at(run: TestRun, minutes: float, **changes: Any) -> TestRun:
    update = {"id": os.urandom(16).hex(), "started_at": run.started_at + timedelta(minutes=minutes), **changes}
    return run.model_copy(update=update)


@pytest.fixture
def away(workbench: Workbench, taken: tuple[str, str]) -> TestRun:
    return workbench.take_report(*taken)


def refused(run: TestRun, minutes: float, cause: Cause = Cause.IP_NOT_ALLOWED, *candidates: Cause) -> TestRun:
    """A test from here that was refused, `minutes` after `run`."""
    return at(
        run,
        minutes,
        tested_from=None,
        status=Status.FAILED,
        key_report=None,
        diagnosis=Diagnosis(cause=cause, candidates=candidates or (cause,)),
    )


def status_of(workbench: Workbench, run: TestRun) -> tuple[Status, str | None]:
    connection = workbench.connection(run.connection_id or "")
    assert connection is not None
    return connection.status, connection.last_run_id


@pytest.mark.parametrize(
    ("cause", "candidates", "yields"),
    [
        (Cause.IP_NOT_ALLOWED, (), True),
        (Cause.AMBIGUOUS, (Cause.INVALID_KEY, Cause.IP_NOT_ALLOWED), True),
        (Cause.AMBIGUOUS, (Cause.INVALID_KEY, Cause.EXPIRED_KEY), False),
        (Cause.LOCATION_RESTRICTED, (), True),
        (Cause.LOCAL_NETWORK, (), True),
        (Cause.INVALID_KEY, (Cause.INVALID_KEY, Cause.IP_NOT_ALLOWED), False),
        (Cause.EXPIRED_KEY, (), False),
        (Cause.EXCHANGE_UNAVAILABLE, (), False),
    ],
)
def test_only_what_is_about_this_place_is_set_aside(
    workbench: Workbench, away: TestRun, cause: Cause, candidates: tuple[Cause, ...], yields: bool
) -> None:
    run = refused(away, 5, cause, *candidates)
    workbench._store.add_run(run)
    assert status_of(workbench, away) == ((away.status, away.id) if yields else (Status.FAILED, run.id))
    kept = workbench.run(run.id)
    assert kept is not None
    assert kept.set_aside is yields
    newest = workbench.set_aside_since(away.connection_id or "")
    assert (newest.id if newest else None) == (run.id if yields else None)
    assert kept.counts is not yields


def test_what_is_set_aside_is_no_time_offline(workbench: Workbench, away: TestRun) -> None:
    """The time from a test where the bot runs to one from here, and after it, is time online."""
    id_ = away.connection_id or ""
    for minutes in (-30, -20, -10):  # the key worked before
        workbench._store.add_run(at(away, minutes, tested_from=None))
    before = workbench._store.runs(id_)
    for minutes in (5, 10, 15):
        workbench._store.add_run(refused(away, minutes))
    rows = workbench._store.runs(id_)
    assert sum(row.set_aside for row in rows) == 3
    now = away.started_at + timedelta(minutes=20)
    failed = {row.id for row in before if not row.status.ok}
    counted = [row for row in rows if row.id not in failed]
    seen = history.History(workbench._store, lambda: now)
    scope = history.Scope(connection_id=id_)
    assert seen.summary(scope, away.started_at, now).share == 1.0
    assert seen.failures(scope, away.started_at, now).empty
    assert not any(history.failed(row) for row in counted)


def test_it_is_set_aside_for_a_day_and_no_longer(workbench: Workbench, away: TestRun) -> None:
    assert Facts(None, None, {}, utc_now()).freshness == AWAY_HOLDS, "the gate forgets it at the same moment"
    day = AWAY_HOLDS.total_seconds() / 60
    workbench._store.add_run(refused(away, day - 1))
    assert status_of(workbench, away) == (away.status, away.id)
    late = refused(away, day)
    workbench._store.add_run(late)
    assert status_of(workbench, away) == (Status.FAILED, late.id)


def test_it_does_not_matter_which_came_first(workbench: Workbench, away: TestRun) -> None:
    """A test from here ran while the report was on its way."""
    workbench._store.add_run(at(away, 1, tested_from=None))
    here = refused(away, 10)
    workbench._store.add_run(here)
    assert status_of(workbench, away) == (Status.FAILED, here.id)
    late_report = at(away, 9)
    workbench._store.add_run(late_report)
    assert status_of(workbench, away) == (late_report.status, late_report.id)


def test_a_key_that_works_from_anywhere_and_is_refused_here_is_news(workbench: Workbench, away: TestRun) -> None:
    assert away.key_report is not None
    loose = away.key_report.ip_restriction.model_copy(update={"state": GrantState.DENIED})
    free = at(away, 1, key_report=away.key_report.model_copy(update={"ip_restriction": loose}))
    workbench._store.add_run(free)
    here = refused(free, 5)
    workbench._store.add_run(here)
    assert status_of(workbench, away) == (Status.FAILED, here.id)


def test_a_test_from_here_that_reads_the_key_counts(workbench: Workbench, away: TestRun, simulator: Simulator) -> None:
    """Whatever is seen of the key itself is never set aside: least of all a right to withdraw."""
    partly = refused(away, 3).model_copy(update={"key_report": away.key_report})
    workbench._store.add_run(partly)
    assert status_of(workbench, away) == (Status.FAILED, partly.id)
    workbench._store.add_run(at(away, 4))
    simulator.change_account("mexc", "ip_blocked", ip_whitelist=("127.0.0.1",), permissions=KEY_WITH_ALL)
    run = workbench.start_test(away.connection_id or "").wait(10)
    assert run.status is Status.BLOCKED
    assert not run.set_aside


def test_a_test_without_a_report_from_elsewhere_is_never_set_aside(workbench: Workbench, simulator: Simulator) -> None:
    id_ = stored(workbench, simulator)
    run = workbench.start_test(id_).wait(10)
    assert (run.status, run.set_aside) == (Status.FAILED, False)
    assert workbench.set_aside_since(id_) is None
