"""The Replay view as Streamlit runs it: where candles come from, what is shown, what goes wrong and what to do."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bfai.i18n import LANGUAGES
from bfai.model import Connection, Market
from bfai.simulator import Simulator
from bfai.strategy.candles import sample
from bfai.strategy.recovery import Difficulty, Exit, Guard, Outcome, Reason
from bfai.ui.replay_charts import MARK_NAMES, MARKS
from bfai.ui.replay_view import DIFFICULTIES, EXITS, REASONS, WHATS
from bfai.ui.session import keeper
from bfai.ui.strategy_editor import Editor
from bfai.workbench import Workbench
from tests.app.conftest import captions, choose, go, labels, linked, opened_vault, press, problems
from tests.app.test_strategies_page import PAGE, connect, made, said

Home = Callable[..., tuple[AppTest, Workbench, Connection]]


@pytest.fixture
def home(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The page at home with one tested connection."""
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))

    def start(
        exchange: str = "mexc", account: str = "no_futures", market: Market = Market.SPOT, language: str = "en"
    ) -> Any:
        at = opened_vault(language)
        connection = connect(simulator, exchange, account, market)
        return go(at, PAGE), keeper().workbench, connection

    return start


def replayed(at: AppTest, strategy_id: str, **address: str) -> AppTest:
    """The Replay view of a strategy, by its address, when its replay is through."""
    return through(linked(at, **{"strategy": strategy_id, "view": "replay", **address}))


def through(at: AppTest, seconds: float = 20.0) -> AppTest:
    """Runs the page until nothing goes on in the background."""
    deadline = time.monotonic() + seconds
    while at.get("progress") and time.monotonic() < deadline:
        time.sleep(0.05)
        at.run()
    assert not problems(at) and not at.get("progress")
    return at


def key_of(at: AppTest, end: str) -> str:
    """The key of the widget of this strategy's replay whose name ends so."""
    return next(
        key
        for kind in ("button", "selectbox", "multiselect", "number_input", "checkbox", "file_uploader")
        for item in at.get(kind)
        if (key := str(getattr(item, "key", None) or "")).startswith("replay_") and key.endswith(end)
    )


def drawn(at: AppTest) -> list[str]:
    """The pictures in words."""
    return [item.proto.alt for item in at.get("echarts_chart")]


def spec(at: AppTest, number: int = 0) -> dict[str, Any]:
    return json.loads(at.get("echarts_chart")[number].proto.spec)


def metric(at: AppTest, label: str) -> str:
    return next(item.value for item in at.metric if item.label.startswith(label))


def editor(at: AppTest, strategy_id: str) -> Editor:
    return at.session_state["strategy_editors"][strategy_id]


def candle_file(rows: int = 200) -> bytes:
    one = sample()
    lines = ["time,open,high,low,close,volume"]
    lines += [",".join(str(column[row]) for column in one.columns) for row in range(rows)]
    return "\n".join(lines).encode()


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_sample_data_is_replayed_at_once_and_says_what_it_is_not(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    text = said(at)
    assert "No market ever did this." in text
    assert re.search(r"\*\*\d+ deals\*\* were closed, with \*\*[+−][\d.,]+.USDT\*\* after fees", text)
    assert "17,280 candles" in text and "no order book, no funding, no delay, no promise" in text
    shown = [item.label for item in at.metric]
    assert len(shown) == 8 and shown[:2] == ["Result, USDT", "Worst dip, USDT"]
    assert "Candles of BTC/USDT between" in drawn(at)[0] and "In view: first entry" in drawn(at)[0]
    assert "Fills by level" in drawn(at)[1]
    assert at.dataframe[0].value.shape[0] == 12
    assert at.dataframe[0].value["What"].iloc[0] == "First entry"


def test_the_known_balance_is_where_it_starts_and_another_may_be_typed(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    box = at.number_input(key=key_of(at, "_balance"))
    run = workbench.latest_run(connection.id)
    assert run is not None and box.value == float(run.balances["USDT"])
    before = said(at)
    box.set_value(123_456.0).run()
    through(at)
    assert said(at) != before
    replayed(at, strategy_id, view="edit")
    replayed(at, strategy_id)
    assert at.number_input(key=key_of(at, "_balance")).value == 123_456.0, "it outlives a change of view"


def test_what_is_typed_and_not_saved_is_replayed_and_compared_with_what_is_saved(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    before = metric(at, "Result")
    assert not [item for item in at.selectbox if item.label == "Compare with"], "there is only one"
    editor(at, strategy_id).raw["take_profit_pct"] = "2.5"
    replayed(at, strategy_id)
    assert metric(at, "Result") != before
    chosen = next(item for item in at.selectbox if item.label == "Compare with")
    assert chosen.options == ["The saved revision 1"]
    chosen.select("The saved revision 1").run()
    through(at)
    figures = at.table[0].value
    assert list(figures.columns) == ["Figure", "Fields now", "Revision 1", "Difference"]
    row = figures[figures["Figure"] == "Result, USDT"].iloc[0]
    assert row["Revision 1"] == before and row["Difference"][0] in "+−"
    assert "equity: Revision 1" in captions(at)
    assert any(one.get("lineStyle", {}).get("type") == [6, 4] for one in spec(at)["series"] if one["xAxisIndex"] == 1)


def test_two_revisions_stand_side_by_side(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    parameters = workbench.strategies.parameters(strategy_id)
    workbench.strategies.save(strategy_id, 1, parameters.changed(pairs=["BTC/USDT", "ETH/USDT"]))
    workbench.strategies.save(strategy_id, 2, parameters.changed(addon_step_pct="3"))
    replayed(at, strategy_id)
    chosen = next(item for item in at.selectbox if item.label == "Compare with")
    assert len(chosen.options) == 2 and chosen.options[0].startswith("Revision 2, ")
    chosen.select(chosen.options[0]).run()
    through(at)
    assert "That revision trades ETH/USDT, of which there are no candles here." in said(at)
    chosen = next(item for item in at.selectbox if item.label == "Compare with")
    chosen.select(chosen.options[1]).run()
    through(at)
    assert list(at.table[0].value.columns) == ["Figure", "Revision 3", "Revision 1", "Difference"]


def test_the_address_says_which_stretch_is_looked_at(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id, **{"from": "2026-01-10T00:00Z", "to": "2026-01-11T00:00Z"})
    assert "10 Jan 2026, 00:00 UTC to 11 Jan 2026, 00:00 UTC" in captions(at)
    assert len(spec(at)["xAxis"][0]["data"]) == 144
    press(at, "replay_zoom_closer")
    assert at.query_params["from"] == "2026-01-10T06:00Z" and at.query_params["to"] == "2026-01-10T18:00Z"
    press(at, "replay_zoom_earlier")
    assert at.query_params["from"] == "2026-01-10T00:00Z"
    press(at, "replay_zoom_all")
    assert "from" not in at.query_params and "1 Jan 2026, 00:00 UTC to 2 Mar 2026, 00:00 UTC" in captions(at)
    press(at, "leave_strategy")
    assert not {"view", "part", "from", "to"} & set(at.query_params)


def test_several_pairs_and_directions_have_pictures_of_their_own(home: Home) -> None:
    at, workbench, connection = home("bybit", "good", Market.FUTURES)
    parameters = workbench.strategies.suggested(connection.id, "balanced", ["BTC/USDT", "ETH/USDT"])  # type: ignore[arg-type]
    changed = parameters.changed(
        directions=["long", "short"], first_entry_size="40", max_groups=4, margin_limit_total="4000"
    )
    strategy_id = workbench.strategies.create("Both ways", connection.id, changed).id
    replayed(at, strategy_id)
    assert "Candles of BTC/USDT" in drawn(at)[0]
    assert {"average, long", "average, short"} <= set(captions(at)) or "Average and target appear" in said(at)
    groups = set(at.dataframe[0].value["Group"])
    assert {"BTC/USDT · Long", "ETH/USDT · Short"} <= groups
    at.selectbox(key=key_of(at, "_pair")).select("ETH/USDT").run()
    through(at)
    assert "Candles of ETH/USDT" in drawn(at)[0]


@pytest.mark.parametrize("language", list(LANGUAGES)[1:])
@pytest.mark.parametrize("part", ["log", "deals", "grid"])
def test_every_part_is_there_in_every_language(home: Home, language: str, part: str) -> None:
    at, workbench, connection = home(language=language)
    replayed(at, made(workbench, connection), part=part)
    text = said(at)
    for english in ("Nothing", "closed", "promise", "equity", "Tick"):
        assert english not in text
    assert len(at.metric) == 8


# -- decisions and deals -----------------------------------------------------------------------------------------------


def test_decisions_are_filtered_and_turned_page_by_page(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection, first_entry_size="30")
    replayed(at, strategy_id)
    whole = next(text for text in captions(at) if text.startswith("1 to 12 of"))
    next(iter(at.get("pagination"))).set_value(2).run()
    assert any(text.startswith("13 to 24 of") for text in captions(at))
    what = at.multiselect(key=key_of(at, "_filter_what"))
    assert {"First entry", "Add-on", "Closed", "Recovery Mode begins"} <= set(what.options)
    what.select("Recovery Mode begins").run()
    rows = at.dataframe[0].value
    assert set(rows["What"]) == {"Recovery Mode begins"} and all(rows["Why"])
    assert whole not in captions(at)


def test_every_reason_is_told_in_words(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection, first_entry_size="5000")
    replayed(at, strategy_id)
    text = said(at)
    assert "Nothing was bought, because every entry was blocked: it would exceed the margin limit;" in text
    assert "Make the first order smaller" in text
    assert not at.metric and not at.get("echarts_chart"), "figures of nothing say nothing"
    row = at.dataframe[0].value.iloc[0]
    assert row["What"] == "Blocked" and "too much of the balance would be in use" in row["Why"]
    reasons = at.multiselect(key=key_of(at, "_filter_reason"))
    assert "it would exceed the margin limit" in reasons.options
    reasons.select("it would exceed the margin limit").run()
    assert at.dataframe[0].value.shape[0] >= 1


def test_deals_have_a_table_and_both_tables_a_file(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    assert [item.proto.label for item in at.get("download_button")] == ["Decisions as CSV"]
    replayed(at, strategy_id, part="deals")
    assert [item.proto.label for item in at.get("download_button")] == ["Deals as CSV"]
    rows = at.dataframe[0].value
    assert {"Opened", "Lasted", "Add-ons", "First price", "Exit", "End", "Capital", "Result"} == set(rows.columns)
    assert "at its target" in set(rows["End"])


# -- where the candles come from ---------------------------------------------------------------------------------------


def test_candles_of_the_exchange_are_read_in_the_background(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    choose(at, f"replay_{strategy_id}_source", "exchange")
    assert "Public prices, asked for without a key." in said(at) and not at.metric
    at.selectbox(key=key_of(at, "_days")).select("7 days").run()
    at.selectbox(key=key_of(at, "_interval")).select("15m").run()
    press(at, key_of(at, "_fetch"))
    through(at)
    told = next(text for text in captions(at) if "A simulation on" in text)
    count = int(re.search(r"on ([\d,]+) candles", told)[1].replace(",", ""))  # type: ignore[index]
    assert 600 < count <= 672
    at.selectbox(key=key_of(at, "_days")).select("30 days").run()
    assert "Public prices" in said(at) and not at.metric, "other candles were asked for"


def test_an_exchange_that_is_down_is_named_with_what_to_do(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    choose(at, f"replay_{strategy_id}_source", "exchange")
    simulator.set_faults([{"exchange": "mexc", "kind": "maintenance"}])
    press(at, key_of(at, "_fetch"))
    through(at, 60)
    assert any("MEXC" in item.value and "again" in item.value for item in at.warning)
    simulator.set_faults([])
    assert "Get candles" in labels(at)
    press(at, key_of(at, "_fetch"))
    through(at, 60)
    assert len(at.metric) == 8


def test_reading_candles_can_be_stopped_and_goes_on_later(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    choose(at, f"replay_{strategy_id}_source", "exchange")
    simulator.set_faults([{"exchange": "mexc", "latency_ms": 1500}])
    press(at, key_of(at, "_fetch"))
    assert "Reading candles from MEXC: 0%" in at.get("progress")[0].proto.text and "Get candles" not in labels(at)
    assert not at.metric
    press(at, key_of(at, "_stop_fetch"))
    simulator.set_faults([])
    through(at, 60)
    assert "Stopped. What came is kept" in said(at) and not at.warning
    press(at, key_of(at, "_fetch"))
    through(at, 60)
    assert len(at.metric) == 8


def test_without_the_rules_of_the_exchange_they_are_assumed_and_that_is_said(home: Home, simulator: Simulator) -> None:
    at, workbench, connection = home()
    simulator.set_faults([{"exchange": "mexc", "kind": "maintenance"}])
    from bfai.strategy.parameters import preset

    strategy_id = workbench.strategies.create("New", connection.id, preset("balanced", "spot", ["BTC/USDT"], "30")).id
    replayed(at, strategy_id)
    assert any("usual fees and fine steps are assumed" in item.value for item in at.warning)
    assert len(at.metric) == 8


def test_a_file_is_taken_or_refused_with_its_reason(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    choose(at, f"replay_{strategy_id}_source", "file")
    assert "CSV as TradingView or Binance write it" in said(at) and not at.metric
    box = key_of(at, "_file_BTC/USDT")
    at.file_uploader(key=box).upload("wrong.csv", b"a,b\n1,2\n", "text/csv").run()
    assert any("wrong.csv" in item.value and "Export it again" in item.value for item in at.warning)
    at.file_uploader(key=box).upload("mine.csv", candle_file(), "text/csv").run()
    through(at)
    assert any("mine.csv: 200 candles of 5m" in text for text in captions(at))
    assert "A simulation on 200 candles" in said(at) and not at.warning
    choose(at, f"replay_{strategy_id}_source", "sample")
    choose(at, f"replay_{strategy_id}_source", "file")
    assert "A simulation on 200 candles" in said(at), "it is not asked for twice"


# -- what asks for entries ---------------------------------------------------------------------------------------------


def test_other_signals_open_other_groups(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    results = {metric(at, "Result")}
    for name in ("rsi", "cross"):
        choose(at, f"replay_{strategy_id}_asks", name)
        through(at)
        results.add(metric(at, "Result"))
    assert len(results) == 3
    at.number_input(key=key_of(at, "_fast")).set_value(30).run()
    assert "The fast average must have fewer candles than the slow one." in said(at)


def test_a_file_of_signals_asks_at_its_times(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection, start_condition="signal")
    replayed(at, strategy_id)
    assert "This strategy waits for signals from outside." in said(at) and not at.metric
    choose(at, f"replay_{strategy_id}_asks", "file")
    box = key_of(at, "_signals")
    at.file_uploader(key=box).upload("bad.csv", b"x,y\n1,2\n", "text/csv").run()
    assert any("bad.csv" in item.value for item in at.warning)
    rows = b"time,pair,side\n2026-01-03 12:00,BTC/USDT,long\n2026-02-20 12:00,BTC/USDT,long\n"
    at.file_uploader(key=box).upload("good.csv", rows, "text/csv").run()
    through(at)
    assert any("good.csv: 2 signals" in text for text in captions(at))
    assert at.dataframe[0].value["When"].iloc[0] == "3 Jan 2026, 12:00 UTC"
    rows = b"time,pair,side\n2030-01-03 12:00,BTC/USDT,long\n"
    at.file_uploader(key=box).upload("late.csv", rows, "text/csv").run()
    through(at)
    assert "Nothing asked for an entry in this time." in said(at)


def test_what_cannot_be_read_is_mended_first(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id)
    editor(at, strategy_id).raw["take_profit_pct"] = "0"
    replayed(at, strategy_id)
    assert "Something in the fields has to be mended" in said(at) and "must be at least 0.1" in said(at)
    editor(at, strategy_id).raw |= {"take_profit_pct": "1", "start_condition": "price", "start_price": None}
    replayed(at, strategy_id)
    assert "Say at which price to start." in said(at) and not at.metric


def test_a_new_strategy_is_replayed_before_it_is_saved(home: Home) -> None:
    at, workbench, _connection = home()
    press(at, "new_strategy")
    through(linked(at, view="replay"))
    assert len(at.metric) == 8 and not workbench.strategies.list()


# -- other values ------------------------------------------------------------------------------------------------------


def test_a_grid_is_tried_in_the_background_with_an_honest_word(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    replayed(at, strategy_id, part="grid")
    assert "the best of many tries is mostly luck" in said(at)
    choose(at, f"replay_{strategy_id}_grid_count", 3)  # type: ignore[arg-type]
    assert "Try 9 combinations" in labels(at)
    press(at, key_of(at, "_grid_begin"))
    through(at)
    assert sum("9 cells between" in alt for alt in drawn(at)) == 2
    text = said(at)
    assert re.search(r"Best of 9: .*, with \*\*", text) and "The cells around it made" in text
    assert re.search(r"In the second part, which had no say, it made \*\*.*\*\*: place \d of 9\.", text)
    at.checkbox(key=key_of(at, "_grid_split")).uncheck().run()
    press(at, key_of(at, "_grid_begin"))
    through(at)
    assert sum("9 cells between" in alt for alt in drawn(at)) == 1 and "Nothing has checked this yet" in said(at)
    choose(at, f"replay_{strategy_id}_grid_figure", "dip")
    assert re.search(r"Best of 9: .*, with \*\*−", said(at))
    before = dict(editor(at, strategy_id).raw)
    press(at, key_of(at, "_grid_take"))
    assert editor(at, strategy_id).unsaved
    changed = {name for name, value in editor(at, strategy_id).raw.items() if before[name] != value}
    assert changed and changed <= {"take_profit_pct", "addon_step_pct"}


def test_there_are_words_for_everything_that_can_be_logged() -> None:
    assert set(REASONS) == set(Reason) and set(DIFFICULTIES) == set(Difficulty) and set(EXITS) == set(Exit)
    told = {"closed", "recovery", "returned", "trimmed"} | {one.value for one in (*Outcome, *Guard)}
    assert set(WHATS) == told
    assert {one.value for one in Exit} <= set(MARKS) == set(MARK_NAMES)
