"""The bookkeeping of engines, with a small program in Freqtrade's place: started once, found again, ended, told."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bfai.model import Credentials, Target
from bfai.strategy import running
from bfai.strategy.export import CONFIG, Bundle, freqtrade
from bfai.strategy.ladder import LadderMarket
from bfai.strategy.parameters import preset
from bfai.strategy.running import EngineError, Engines, EngineState, began, read_state

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")

KEYS = Credentials("mx0-test-key-AAAABBBBCCCC", "s3cret-of-the-test-DDDDEEEE", None)
STAND_IN = """
    import json, os, signal, sys, time
    from pathlib import Path
    given = sys.argv[1:]
    Path("seen.json").write_text(json.dumps({"arguments": given, "environment": dict(os.environ)}))
    print("first words", flush=True)
    options = json.loads(Path("run.json").read_text())
    log = Path(options["log_config"]["handlers"]["file"]["filename"])
    log.write_text("started\\nX-MEXC-APIKEY: mx0-test-key-AAAABBBBCCCC\\n")
    if options.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.get("ends"):
        sys.exit(3)
    Path("ready").touch()
    while True:
        time.sleep(0.05)
"""


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(STAND_IN))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    found = Engines(tmp_path / "home", python=python)
    yield found
    for strategy_id in found.known():
        found.stop(strategy_id, seconds=0.1)


@pytest.fixture
def bundle() -> Bundle:
    market = LadderMarket("spot", Decimal("0.1"), Decimal("0.00001"), Decimal("0.001"), Decimal("0.001"))
    parameters = preset("balanced", "spot", ["BTC/USDT"], "100")
    return freqtrade(parameters, {"BTC/USDT": market}, Target(exchange="binance"), balance=Decimal(10_000))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_an_engine_is_started_found_again_and_stopped(engines: Engines, bundle: Bundle) -> None:
    assert engines.status("one").state is EngineState.NONE
    first = engines.start("one", bundle, revision=3)
    assert first.runs and first.revision == 3 and not first.live
    until((engines.folder("one") / "ready").exists)
    again = Engines(engines.home, python=engines.python)  # another program, later
    assert again.status("one").pid == first.pid
    assert again.known() == ("one",)
    with pytest.raises(EngineError, match="already"):
        again.start("one", bundle, revision=3)
    assert again.stop("one").state is EngineState.STOPPED
    assert first.pid is not None and began(first.pid) is None
    assert again.stop("one").state is EngineState.STOPPED
    assert again.start("one", bundle, revision=4).runs


def test_it_lives_on_when_its_starter_is_gone(engines: Engines, bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bundle")
    code = f"""
        import sys
        from pathlib import Path
        from bfai.strategy.export import Bundle
        from bfai.strategy.running import Engines
        files = {{name: (Path({str(tmp_path / "bundle")!r}) / name).read_text() for name in {[*bundle.files]!r}}}
        engines = Engines(Path({str(engines.home)!r}), python=Path({str(engines.python)!r}))
        print(engines.start("one", Bundle(files), revision=1).pid)
    """
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=root
    )
    assert engines.status("one").pid == int(done.stdout)


def test_a_process_id_that_another_program_got_is_not_taken_for_it(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1)
    engines.stop("one")
    record = engines.folder("one") / "engine.json"
    told = json.loads(record.read_text())
    del told["stopped_at"]
    record.write_text(json.dumps({**told, "pid": os.getpid()}))  # alive, but begun at another time
    assert engines.status("one").state is EngineState.ENDED
    assert engines.stop("one").state is EngineState.ENDED  # and this test goes on


def test_one_that_ends_by_itself_says_why(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1, extra={"ends": True})
    until(lambda: not engines.runs("one"))
    found = engines.status("one")
    assert found.state is EngineState.ENDED and found.pid is None
    assert "started" in engines.log("one")


def test_its_log_is_shown_without_what_it_repeats(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1, extra={"ends": True})
    until(lambda: not engines.runs("one"))
    time_of = "2026-01-01 00:00:00,000"
    turn = f"{time_of} - freqtrade.wallets - INFO - Wallets synced.\n" * 20
    turn += f"{time_of} - freqtrade.freqtradebot - INFO - Found open order for Trade(id=1, pair=BTC/USDT)\n" * 20
    turn += f"{time_of} - freqtrade.rpc.rpc_manager - INFO - Sending rpc message: {{'type': entry, 'trade_id': 1}}\n"
    said = f"{time_of} - bfai_strategy - INFO - bfai BTC/USDT opened\n"
    with (engines.folder("one") / "engine.log").open("a") as log:
        log.write(said + turn)
    assert engines.log("one", 1) == said.strip()


def test_one_that_does_not_listen_is_ended(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1, extra={"deaf": True})
    until((engines.folder("one") / "ready").exists)
    assert engines.stop("one", seconds=0.3).state is EngineState.STOPPED


def test_two_starters_make_one_engine(engines: Engines, bundle: Bundle) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def start(_: int) -> bool:
        try:
            return engines.start("one", bundle, revision=1).runs
        except EngineError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1


def test_keys_are_in_the_environment_of_a_live_one_and_nowhere_else(
    engines: Engines, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFAI_MASTER_PASSWORD", "open-sesame-of-this-test")
    monkeypatch.setenv("FREQTRADE__EXCHANGE__KEY", "left-over")
    started = engines.start("one", bundle, revision=1, credentials=KEYS)
    folder = engines.folder("one")
    until((folder / "ready").exists)
    seen = json.loads((folder / "seen.json").read_text())
    (folder / "seen.json").unlink()
    environment = seen["environment"]
    assert environment["FREQTRADE__EXCHANGE__KEY"] == KEYS.api_key
    assert environment["FREQTRADE__EXCHANGE__SECRET"] == KEYS.secret
    assert environment["FREQTRADE__DRY_RUN"] == "false"
    assert not [name for name in environment if name.startswith("BFAI_")]
    assert KEYS.api_key not in " ".join(seen["arguments"]) and KEYS.secret not in " ".join(seen["arguments"])
    if Path(f"/proc/{started.pid}/cmdline").exists():
        assert KEYS.secret.encode() not in Path(f"/proc/{started.pid}/cmdline").read_bytes()
    (folder / "engine.log").rename(folder.parent / "log")  # the stand-in writes the key there to see it hidden
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert KEYS.secret.encode() not in text and KEYS.api_key.encode() not in text, path
    (folder.parent / "log").rename(folder / "engine.log")
    assert KEYS.api_key not in engines.log("one")
    engines.stop("one")
    engines.start("one", bundle, revision=1)
    until((folder / "seen.json").exists)
    until(lambda: bool((folder / "seen.json").read_text()))
    dry = json.loads((folder / "seen.json").read_text())["environment"]
    assert not [name for name in dry if name.startswith(("FREQTRADE__", "BFAI_"))]


def test_its_folder_is_its_owners_alone(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1)
    folder = engines.folder("one")
    until((folder / "ready").exists)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in (CONFIG, "run.json", "engine.json", "start.log", "seen.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert json.loads((folder / CONFIG).read_text())["dry_run"] is True


@pytest.mark.parametrize("key", ["12345678901234567890", "5e1234567890", "true", "[1]", "1_000"])
def test_a_key_that_freqtrade_would_misread_is_refused(engines: Engines, bundle: Bundle, key: str) -> None:
    with pytest.raises(EngineError, match="another key"):
        engines.start("one", bundle, revision=1, credentials=Credentials(key, KEYS.secret, None))
    assert not engines.runs("one")


def test_what_it_holds_is_read_from_its_own_book(engines: Engines, bundle: Bundle) -> None:
    engines.start("one", bundle, revision=1)
    with sqlite3.connect(engines.folder("one") / "dry.sqlite") as book:
        book.executescript(
            """
            create table trades (id integer, pair text, is_open int, is_short int, open_date text, close_date text,
              open_rate real, amount real, stake_amount real, leverage real, close_profit_abs real);
            create table orders (ft_trade_id integer, filled real, ft_is_open int, ft_order_side text);
            create table trade_custom_data (ft_trade_id integer, cd_key text, cd_value text);
            insert into trades values (1, 'BTC/USDT', 0, 0, '2026-01-01 00:00:00', '2026-01-02', 1, 1, 1, 1, 2.5);
            insert into trades values
              (2, 'BTC/USDT:USDT', 1, 1, '2026-01-03 04:05:06', null, 60000, 0.5, 10000, 3, null);
            insert into trades values (3, 'ETH/USDT', 1, 0, '2026-01-03 04:05:06', null, 3000, 1, 3000, 1, null);
            insert into orders values (2, 0.25, 0, 'sell'), (2, 0.25, 0, 'sell'), (2, 0, 1, 'sell'), (2, 0.1, 0, 'buy');
            insert into trade_custom_data values (2, 'bfai', '{"recovery": true}');
            """
        )
    found = engines.status("one")
    assert found.closed_groups == 1 and found.profit == Decimal("2.5")
    (group,) = found.groups  # the third has not filled yet
    assert (group.pair, group.side, group.fills, group.recovery) == ("BTC/USDT", "short", 2, True)
    assert group.cost == 30_000 and group.opened_at == datetime(2026, 1, 3, 4, 5, 6, tzinfo=UTC)


def test_it_is_told_whether_it_may_open(engines: Engines, bundle: Bundle) -> None:
    now = datetime.now(UTC)
    engines.tell("one", connection_ok=True, may_open=True, at=now)
    assert not engines.folder("one").exists()  # there is nobody to tell
    engines.start(
        "one", bundle, revision=1, prepared=lambda: engines.tell("one", connection_ok=True, may_open=True, at=now)
    )
    assert engines.status("one").may_open is True
    engines.tell("one", connection_ok=False, may_open=True, at=now - timedelta(hours=1))
    assert engines.status("one").may_open is False
    told = read_state(engines.folder("one"))
    assert told is not None and told["at"] == (now - timedelta(hours=1)).isoformat()


def test_a_book_keeps_the_balance_that_it_began_with(engines: Engines, bundle: Bundle) -> None:
    assert engines.balance("one", live=False) is None
    engines.start("one", bundle, revision=1)
    assert engines.balance("one", live=False) is None  # nothing was booked yet
    (engines.folder("one") / "dry.sqlite").touch()
    assert engines.balance("one", live=False) == 10_000
    assert engines.balance("one", live=True) is None
    with pytest.raises(EngineError, match="Stop it first"):
        engines.forget("one")
    engines.stop("one")
    engines.forget("one")
    assert engines.balance("one", live=False) is None


def test_an_id_never_leads_out_of_the_folder(engines: Engines) -> None:
    for wrong in ("../x", "a/b", "", "x" * 65):
        with pytest.raises(ValueError, match="no id"):
            engines.folder(wrong)


def test_an_installation_that_fails_says_why_and_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")  # nobody listens there
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    engines = Engines(tmp_path)
    with pytest.raises(EngineError):
        engines.install()
    assert not engines.installed
    with pytest.raises(EngineError, match="not installed"):
        engines.start("one", Bundle({}), revision=1)


def test_a_process_that_ended_has_no_beginning() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    first = began(child.pid)
    assert first and first == began(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert began(child.pid) is None
    assert running.began(2**22 + 5) is None
