"""The Run view as Streamlit runs it, with a small program in Freqtrade's place: refusals, export, start, stop."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.model import Connection, Market, Status, Strategy, StrategyState, Target
from bfai.simulator import Simulator
from bfai.strategy.export import CONFIG, STRATEGY_FILE, Bundle
from bfai.strategy.running import Engines, EngineState, EngineStatus, OpenGroup
from bfai.ui.run_view import file_stem, result_now, short_line, standing_of, zipped
from bfai.ui.session import keeper
from bfai.workbench import Workbench
from tests.app.conftest import captions, choose, go, labels, linked, opened_vault, press, problems, texts, toured
from tests.app.test_strategies_page import PAGE, connect, made, said
from tests.engines import stand_in

Home = Callable[..., tuple[AppTest, Workbench, Connection]]
needs_shell = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def home(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Home]:
    """The page at home with one tested connection, and something in Freqtrade's place."""
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    monkeypatch.setenv("BFAI_FREQTRADE_PYTHON", str(stand_in(tmp_path)))
    monkeypatch.delenv("BFAI_ENGINE_HOME", raising=False)

    def start(exchange: str = "mexc", account: str = "no_futures", market: Market = Market.SPOT) -> Any:
        at = opened_vault()
        connection = connect(simulator, exchange, account, market)
        return go(at, PAGE), keeper().workbench, connection

    yield start
    engines = Engines(tmp_path / "engines")
    for strategy_id in engines.known():
        engines.stop(strategy_id, seconds=1)


def run_view(at: AppTest, strategy_id: str) -> AppTest:
    linked(at, strategy=strategy_id, view="run")
    assert not problems(at)
    return at


def keys(at: AppTest) -> list[str]:
    return [str(item.key) for item in at.button]


def downloads(at: AppTest) -> list[str]:
    return [item.proto.label for item in at.get("download_button")]


def typed(at: AppTest) -> Any:
    return next(item for item in at.text_input if str(item.key).startswith("run_typed_"))


def metric(at: AppTest, label: str) -> str:
    return next(item.value for item in at.metric if item.label.startswith(label))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def held(workbench: Workbench, strategy_id: str) -> Path:
    """The engine's folder, once it holds its group."""
    folder = workbench.engines.folder(strategy_id)
    until((folder / "ready").exists)
    return folder


# -- what cannot run ---------------------------------------------------------------------------------------------------


def test_what_freqtrade_cannot_do_is_said_first_and_mended_by_a_click(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection, addon_resting=2)
    run_view(at, strategy_id)
    assert "1 thing that Freqtrade cannot do" in said(at)
    assert "Freqtrade rests one add-on at a time." in said(at)
    assert "its makers do not test that" in said(at)  # told, not refused
    assert not downloads(at) and "run_enable" not in keys(at)
    press(at, next(key for key in keys(at) if key.startswith("fix_run_0")))
    assert "cannot do" not in said(at)
    assert not downloads(at)  # what would be exported is not what stands in the fields
    press(at, "run_save")
    assert workbench.strategies.parameters(strategy_id).addon_resting == 1
    assert downloads(at) == ["Download for Freqtrade"]
    assert "run_enable" in keys(at) and "run_start" not in keys(at)


def test_a_market_without_an_engine_says_why_and_what_can_be_done(home: Home) -> None:
    at, workbench, connection = home("kucoin", "good", Market.FUTURES)
    strategy_id = made(workbench, connection)
    run_view(at, strategy_id)
    assert "Freqtrade trades no futures on KuCoin." in said(at)
    assert "plan it and replay it" in said(at)
    assert not downloads(at) and not [key for key in keys(at) if key in ("run_start", "run_enable", "run_install")]
    press(at, "run_replay")
    assert "replay" in at.query_params["view"]
    assert [item for item in at.selectbox if item.label == "What asks for entries"]


def test_fields_that_are_no_strategy_are_sent_back_to_the_editor(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    run_view(at, strategy_id)
    at.session_state["strategy_editors"][strategy_id].raw["first_entry_size"] = None
    at.run()
    assert "has to be mended before it can run" in said(at)
    press(at, "run_fields_mend")
    assert "edit" in at.query_params["view"]


def test_a_new_strategy_says_what_comes_first_and_runs_once_it_is_saved(home: Home) -> None:
    at, workbench, _connection = home()
    press(at, "new_strategy")
    linked(at, view="run")
    assert "Save the draft first" in said(at) and not downloads(at)
    press(at, "save")
    (strategy,) = workbench.strategies.list()
    assert at.query_params["strategy"] == strategy.id
    assert "Save the draft first" not in said(at) and "run_enable" in keys(at)


def test_in_the_tour_nothing_runs() -> None:
    at = press(press(go(toured(), PAGE), "new_strategy"), "save")
    run_view(at, at.query_params["strategy"])  # pyright: ignore[reportArgumentType]
    assert "An engine needs a computer of your own" in said(at)
    assert not [key for key in keys(at) if key in ("run_start", "run_enable", "run_install")]


def test_the_exchanges_own_ladder_is_shown_and_never_sent(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home("okx", "good")
    strategy_id = made(workbench, connection, addon_step_reference="average")
    run_view(at, strategy_id)
    assert "OKX counts its steps from the first order." in said(at)
    workbench.strategies.save(
        strategy_id, 1, workbench.strategies.parameters(strategy_id).changed(addon_step_reference="base")
    )
    sent = len(workbench.requests_made())
    run_view(at, strategy_id)
    assert "POST /api/v5/tradingBot/dca/create" in texts(at)
    assert "never sent" in said(at)
    assert "Download the request" in downloads(at)
    assert len(workbench.requests_made()) == sent


# -- running -----------------------------------------------------------------------------------------------------------


@needs_shell
def test_it_is_enabled_started_seen_and_stopped(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    run_view(at, strategy_id)
    assert "It is not enabled." in said(at)
    press(at, "run_enable")
    assert workbench.strategies.get(strategy_id).state is StrategyState.ENABLED
    assert "sends no order" in said(at)
    choose(at, f"run_interval_{strategy_id}", timedelta(minutes=1))  # pyright: ignore[reportArgumentType]
    press(at, "run_start")
    assert "Dips runs with paper money." in said(at)
    folder = held(workbench, strategy_id)
    assert '"timeframe": "1m"' in (folder / CONFIG).read_text()

    at.run()  # a page that is opened anew finds it
    shown = said(at)
    assert "Running" in shown and "Paper money" in shown and "revision 1" in shown
    assert "It may open new groups." in shown
    assert metric(at, "Open groups") == "1" and metric(at, "Closed groups") == "1"
    assert metric(at, "Their profit") == "2.50"
    price = workbench.strategies.rules(connection.target, "BTC/USDT").price
    assert price is not None and metric(at, "Result now") not in ("–", "0.00")
    (row,) = [item for item in at.table if "Fills" in item.value.columns]
    assert row.value["Fills"].tolist() == ["2"] and "BTC/USDT" in row.value["Pair"].iloc[0]
    log = "\n".join(item.value for item in at.code)
    assert "Bot heartbeat" in log and "mx0-test-key" not in log
    assert "run_start" not in keys(at)
    assert "Open groups stay in its paper book" in said(at)

    press(go(at, PAGE), "leave_strategy")
    assert "Runs with paper money" in said(at)

    press(run_view(at, strategy_id), "run_stop")
    assert "Dips is stopped." in said(at)
    assert workbench.engine_status(strategy_id).state is EngineState.STOPPED
    assert "1 group is open in its paper book" in said(at)
    assert "run_start" in keys(at)
    press(at, "run_forget")
    assert metric(at, "Open groups") == "1", "it asks first"
    press(at, "run_forget_yes")
    assert metric(at, "Open groups") == "0"


@needs_shell
def test_an_engine_whose_strategy_is_gone_is_stopped_where_everything_is_deleted(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    assert "stop_lost" not in " ".join(keys(go(at, "pages/settings.py")))
    workbench.run_strategy(strategy_id)
    held(workbench, strategy_id)
    workbench._store.delete_strategy(strategy_id)
    at.run()
    assert "An engine runs whose strategy is not here any more (paper money)." in said(at)
    press(press(at, f"stop_lost_{strategy_id}"), "stop_lost_no")
    assert workbench.engines.runs(strategy_id), "it asks first"
    press(at, "delete_everything")
    at.text_input(key="delete_word").set_value("DELETE")
    press(at, "delete_all_yes")
    assert "Stop it in the settings" in said(at) and workbench.is_open
    press(at, f"stop_lost_{strategy_id}")
    assert "Groups that it holds stay open" in said(at)
    press(at, "stop_lost_yes")
    assert not workbench.engines.runs(strategy_id)
    assert "stop_lost" not in " ".join(keys(at))


@needs_shell
def test_a_suspended_one_opens_nothing_new_and_one_that_ends_says_so(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    workbench.run_strategy(strategy_id)
    folder = held(workbench, strategy_id)
    rights = "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE"
    simulator.change_account("mexc", "no_futures", permissions=f"{rights},SPOT_WITHDRAW_WRITE")
    workbench.start_test(connection.id).wait(30)
    run_view(at, strategy_id)
    assert "Suspended: it opens no new groups. Targets and stops of open ones go on." in said(at)
    assert "no add-ons are placed either" in said(at)
    assert "run_stop" in keys(at)
    (folder / "ends").touch()
    until(lambda: not workbench.engines.runs(strategy_id))
    at.run()
    assert "Ended by itself" in said(at) and "Once it is resumed it can be started." in said(at)
    assert "run_stop" not in keys(at) and "run_start" not in keys(at)


@needs_shell
def test_the_gate_refuses_with_all_reasons_and_what_mends_them(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    simulator.change_account("mexc", "no_futures", spot={"USDT": "200"})  # the money went elsewhere meanwhile
    workbench.start_test(connection.id).wait(30)
    press(run_view(at, strategy_id), "run_start")
    assert not workbench.engines.runs(strategy_id)
    assert "Dips cannot start yet." in said(at) and ":red[:material/error:]" in said(at)
    assert [key for key in keys(at) if key.startswith("fix_run_")]
    press(at, "run_fields_refused")
    assert "edit" in at.query_params["view"]


@needs_shell
def test_real_money_needs_the_name_and_a_real_account(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    press(run_view(at, strategy_id), "run_live")
    shown = said(at)
    assert "places real orders" in shown and "You can lose all that it uses." in shown
    assert "stands in no file and no log" in shown
    typed(at).set_value("dips")
    press(at, "run_live_yes")
    assert at.session_state["run_live_problem"].text.startswith("The name is")  # the dialog says it
    assert not workbench.engines.runs(strategy_id)
    press(at, "run_live")
    typed(at).set_value("Dips")
    press(at, "run_live_yes")
    assert "Only a connection to a real account can go live." in said(at)
    assert not workbench.engines.runs(strategy_id)


def test_freqtrade_is_installed_on_request(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BFAI_FREQTRADE_PYTHON")
    at, workbench, connection = home()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")  # nobody listens there
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "0" if name == "PIP_NO_INDEX" else "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    run_view(at, strategy_id)
    assert "about 800 MB" in said(at) and "run_start" not in keys(at)
    press(at, "run_install")
    assert "Installing Freqtrade" in said(at) and "Stop installing" in labels(at)
    press(at, "run_install_stop")
    job = workbench.engines.installation
    assert job is not None and job.wait(60)
    at.run()
    assert "Stopped. Freqtrade is not installed." in captions(at)
    press(at, "run_install")
    job = workbench.engines.installation
    assert job is not None and job.wait(120)
    at.run()
    assert "Install" in str(labels(at)) and job.error is not None
    assert "Use Python 3.11 to 3.13, then try again." in said(at) or "package index cannot be reached" in said(at)


# -- helpers -----------------------------------------------------------------------------------------------------------


def test_the_zip_holds_the_files_and_is_the_same_each_time() -> None:
    bundle = Bundle({CONFIG: "{}", STRATEGY_FILE: "pass"})
    found = zipped(bundle)
    assert found == zipped(bundle)
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert archive.namelist() == [CONFIG, STRATEGY_FILE] and archive.read(CONFIG) == b"{}"


@pytest.mark.parametrize(("name", "stem"), [("Dips", "Dips"), ("a/b: c", "a-b--c"), ("…", "strategy")])
def test_a_name_becomes_a_file(name: str, stem: str) -> None:
    assert file_stem(name) == stem


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            "2026-11-21 22:03:02,583 - bfai_strategy - INFO - bfai BTC/USDT add_on",
            "11-21 22:03:02 bfai BTC/USDT add_on",
        ),
        ("2026-11-21 22:03:02,583 - freqtrade.worker - ERROR - Lost - it", "11-21 22:03:02 ERROR - Lost - it"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_a_line_of_the_log_is_shortened_and_keeps_what_it_says(written: str, shown: str) -> None:
    assert short_line(written) == shown


@pytest.mark.parametrize(("side", "price", "result"), [("long", 110, 20), ("short", 110, -20), ("long", None, None)])
def test_what_a_group_would_bring_now(side: str, price: int | None, result: int | None) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    group = OpenGroup("BTC/USDT", side, at, Decimal(100), Decimal(2), Decimal(200), 1, recovery=False)
    found = result_now(group, None if price is None else Decimal(price))
    assert found == (None if result is None else Decimal(result))


@pytest.mark.parametrize(
    ("state", "status", "hours", "may", "words"),
    [
        (StrategyState.ENABLED, Status.ONLINE, 1, True, ["may open"]),
        (StrategyState.ENABLED, Status.ONLINE, 25, False, ["older than"]),
        (StrategyState.ENABLED, Status.ONLINE, None, False, ["older than"]),
        (StrategyState.DRAFT, Status.ONLINE, 1, False, ["Disabled"]),
        (StrategyState.SUSPENDED, Status.FAILED, 1, False, ["Suspended", "no add-ons"]),
    ],
)
def test_why_it_opens_nothing_new(
    state: StrategyState, status: Status, hours: int | None, may: bool, words: list[str]
) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    strategy = Strategy(
        id="s", name="Dips", connection_id="c", connection_name="Mine", state=state, created_at=now, updated_at=now
    )
    connection = Connection(
        id="c",
        name="Mine",
        target=Target(exchange="mexc"),
        key_hint="B4F2",
        status=status,
        created_at=now,
        key_since=now,
    )
    tested = None if hours is None else now - timedelta(hours=hours)
    running = EngineStatus(EngineState.RUNNING, may_open=may)
    found, texts = standing_of(strategy, connection, running, tested, timedelta(hours=24), now)
    assert found is may and len(texts) == len(words)
    for text, word in zip(texts, words, strict=True):
        assert word in text
