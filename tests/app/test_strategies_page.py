"""The Strategies page as Streamlit runs it: list, editor, what is refused and what mends it, import, revisions."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from bfai.model import Connection, Credentials, Market, StrategyState, Target
from bfai.simulator import Simulator
from bfai.strategy.parameters import Parameters, export_text, flat, preset
from bfai.ui.session import keeper
from bfai.ui.strategy_fields import FIELDS, field_of, number_text, parameters_of, raw_of
from bfai.workbench import Workbench
from tests.app.conftest import captions, choose, go, labels, opened_vault, press, problems, settle, texts

PAGE = "pages/strategies.py"


@pytest.fixture
def at_home(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    return simulator


def connect(
    simulator: Simulator, exchange: str = "mexc", account: str = "no_futures", market: Market = Market.SPOT
) -> Connection:
    """A connection of the open vault, tested."""
    workbench = keeper().workbench
    keys = simulator.accounts[exchange][account]
    target = Target(exchange=exchange, market=market)
    draft = workbench.draft(target, Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"]))
    workbench.start_draft_test(draft.id).wait(30)
    return workbench.save_draft(draft.id, name=f"{exchange} {market.value}")


Home = Callable[..., tuple[AppTest, Workbench, Connection]]


@pytest.fixture
def home(at_home: Simulator) -> Home:
    """The page at home with one tested connection."""

    def start(exchange: str = "mexc", account: str = "no_futures", market: Market = Market.SPOT) -> Any:
        at = opened_vault()
        connection = connect(at_home, exchange, account, market)
        return go(at, PAGE), keeper().workbench, connection

    return start


def made(workbench: Workbench, connection: Connection, name: str = "Dips", **changes: Any) -> str:
    """A strategy that may be enabled, by its id."""
    parameters = workbench.strategies.suggested(connection.id, cast("Any", "balanced"), ["BTC/USDT"])
    return workbench.strategies.create(name, connection.id, parameters.changed(**changes)).id


def opened(at: AppTest, strategy_id: str, step: int = 1) -> AppTest:
    press(at, f"open_{strategy_id}")
    for _ in range(step - 1):
        press(at, "strategy_on")
    assert not problems(at)
    return at


def more(at: AppTest, strategy_id: str, what: str) -> AppTest:
    next(item for item in at.get("menu_button") if item.key == f"more_{strategy_id}").click(what)
    return at.run()


def field(at: AppTest, name: str) -> Any:
    """A field by its name, whatever version of it is on the screen."""
    for kind in ("number_input", "text_input", "slider", "text_area", "selectbox"):
        for item in at.get(kind):
            if str(getattr(item, "key", None) or "").partition("~")[0] == name:
                return item
    raise KeyError(name)


def said(at: AppTest) -> str:
    return " ".join(texts(at).split())


# -- the table of fields -----------------------------------------------------------------------------------------------


def test_eight_fields_come_first() -> None:
    assert [one.name for one in FIELDS if not one.group] == [
        "connection",
        "pairs",
        "risk_level",
        "first_entry_size",
        "margin_limit_total",
        "addon_max_count",
        "take_profit_pct",
        "recovery.enabled",
    ]


@pytest.mark.parametrize("market", list(Market))
def test_every_parameter_has_a_field_and_comes_back_as_it_was(market: Market) -> None:
    parameters = preset("balanced", market, ["BTC/USDT"], "42.1").changed(
        trailing={"activation_pct": "1.5", "delta_pct": "0.5"},
        custom_steps=[{"deviation_pct": "1.5", "size": "100"}, {"deviation_pct": "3", "size": "150"}],
        session=[
            {"days": ["mon", "tue", "wed"], "start": "08:00", "end": "22:00"},
            {"days": ["sun"], "start": "10:00", "end": "24:00"},
        ],
        margin_limit_pair="250",
    )
    unseen = {name for name in flat(parameters) if field_of(name) is None}
    assert unseen == {"market", "margin_mode"}, "the market is the connection's, and there is one margin mode"
    assert parameters_of(raw_of(parameters)) == parameters


def test_numbers_are_kept_as_they_were_typed() -> None:
    assert [number_text(value) for value in (42.1, 0.1 + 0.2, 1e-8, 100.0, None)] == [
        "42.1",
        "0.3",
        "0.00000001",
        "100",
        None,
    ]


@pytest.mark.parametrize(("typed", "read"), [("30%", "30%"), ("30,5 %", "30.5%"), ("1,250.5", None), ("", None)])
def test_an_amount_may_have_a_decimal_comma(typed: str, read: str | None) -> None:
    from bfai.strategy.parameters import StrategyError

    raw = raw_of(preset("balanced", "spot", ["BTC/USDT"], "10")) | {"margin_limit_total": typed}
    if read is None:
        with pytest.raises(StrategyError) as caught:
            parameters_of(raw)
        assert caught.value.problems[0].field.startswith("margin_limit_total")
    else:
        assert str(parameters_of(raw).margin_limit_total) == read


# -- empty -------------------------------------------------------------------------------------------------------------


def test_without_a_connection_it_leads_there() -> None:
    at = go(opened_vault(), PAGE)
    assert "There is none yet" in said(at)
    assert "New strategy" not in labels(at)
    press(at, "add")
    assert at.title[0].value == "Add a connection"


# -- a new one ---------------------------------------------------------------------------------------------------------


def test_a_new_strategy_is_ready_to_be_enabled(home: Home) -> None:
    at, workbench, connection = home()
    press(at, "new_strategy")
    assert not problems(at)
    assert "Freqtrade runs on MEXC spot" in said(at)
    assert at.multiselect[0].value == ["BTC/USDT"]
    assert "Fees: 0.07% as maker, 0.09% as taker. That is what MEXC takes of this account." in said(at)
    for _ in range(3):
        press(at, "strategy_on")
    assert "to mend" not in said(at)
    press(at, "strategy_enable")
    strategy = workbench.strategies.list()[0]
    assert strategy.state is StrategyState.ENABLED and strategy.connection_id == connection.id
    assert f"{strategy.name} is enabled." in said(at)
    assert "Changes hold for new groups only." in said(at)


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_that_nothing_runs_futures_there_is_said_at_once(home: Home, exchange: str) -> None:
    at, _workbench, _connection = home(exchange, "good", Market.FUTURES)
    press(at, "new_strategy")
    assert "No engine trades" in said(at) and "futures today" in said(at)
    assert any(slider.label == "Leverage" for slider in at.slider)


def test_another_connection_names_a_new_strategy_at_once(home: Home, at_home: Simulator) -> None:
    at, _workbench, _connection = home()
    connect(at_home, "kucoin", "good")
    press(at, "new_strategy")
    assert at.title[0].value == "KuCoin strategy"
    mexc = next(one for one in field(at, "strategy_new_connection").options if one.startswith("mexc"))
    field(at, "strategy_new_connection").select(mexc).run()
    assert at.title[0].value == "MEXC strategy"


def test_a_risk_level_fills_the_fields_and_a_touched_one_says_so(home: Home) -> None:
    at, _workbench, _connection = home()
    press(at, "new_strategy")
    press(at, "strategy_on")
    assert "Custom" not in said(at)
    choose(at, "strategy_new_risk_level", "aggressive")
    assert field(at, "strategy_new_margin_limit_total").value == "50%"
    press(at, "strategy_on")
    assert field(at, "strategy_new_addon_multiplier").value == 1.6
    field(at, "strategy_new_addon_max_count").set_value(4).run()
    field(at, "strategy_new_take_profit_pct").set_value(2.0).run()
    press(at, "strategy_back")
    assert "Custom (from aggressive): 2 fields changed" in captions(at)
    press(at, "risk_again")
    assert "Custom" not in said(at)
    press(at, "strategy_on")
    assert field(at, "strategy_new_addon_max_count").value == 6


def test_a_suggested_first_order_goes_with_the_risk_level_and_a_typed_one_stays(home: Home) -> None:
    at, _workbench, _connection = home()
    press(at, "new_strategy")
    press(at, "strategy_on")
    box = "strategy_new_first_entry_size"
    balanced = field(at, box).value
    choose(at, "strategy_new_risk_level", "aggressive")
    assert field(at, box).value != balanced
    assert ":red[" not in texts(at)
    field(at, box).set_value(11.0).run()
    choose(at, "strategy_new_risk_level", "conservative")
    assert field(at, box).value == 11.0
    press(at, "suggest_size")
    assert field(at, box).value != 11.0
    assert ":red[" not in texts(at)


def test_what_is_typed_outlives_a_change_of_page_and_of_language(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    go(at, PAGE)
    opened(at, strategy_id, 2)
    field(at, f"strategy_{strategy_id}_first_entry_size").set_value(12.34).run()
    go(at, "pages/guide.py")
    choose(at, "language_sidebar_en", "nl")
    choose(at, "language_sidebar_nl", "en")
    go(at, PAGE)
    assert field(at, f"strategy_{strategy_id}_first_entry_size").value == 12.34
    assert workbench.strategies.get(strategy_id).revision == 1
    press(at, "discard")
    assert field(at, f"strategy_{strategy_id}_first_entry_size").value != 12.34
    assert "save" not in [item.key for item in at.button]
    press(at, "bring_back")
    opened_field = field(at, f"strategy_{strategy_id}_first_entry_size")
    assert opened_field.value == 12.34
    assert "bring_back" not in [item.key for item in at.button]


def test_a_new_strategy_that_was_thrown_away_comes_back(home: Home) -> None:
    at, _workbench, _connection = home()
    press(at, "new_strategy")
    press(at, "strategy_on")
    field(at, "strategy_new_first_entry_size").set_value(12.34).run()
    press(at, "discard")
    assert "The new strategy is thrown away." in said(at)
    press(at, "bring_back")
    assert field(at, "strategy_new_first_entry_size").value == 12.34
    assert not problems(at)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_what_is_too_much_is_said_beside_its_field_and_mended_by_a_button(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 2)
    box = f"strategy_{strategy_id}_first_entry_size"
    field(at, box).set_value(2000.0).run()
    assert "is free for" in said(at)
    assert any("2 · How much :red[" in option for option in at.pills[0].options)
    fixes = [item for item in at.button if item.label.startswith("Reduce the first order to")]
    assert len(fixes) > 1
    press(at, "fix_everything")
    assert ":red[" not in texts(at)
    mended = Decimal(str(field(at, box).value))
    assert 0 < mended < 2000
    press(at, "save")
    assert workbench.strategies.parameters(strategy_id).first_entry_size == mended
    assert workbench.strategies.review(strategy_id).ok


def test_what_cannot_be_read_stays_and_is_said_beside_its_field(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 2)
    field(at, f"strategy_{strategy_id}_margin_limit_total").set_value("a third").run()
    field(at, f"strategy_{strategy_id}_deposit_load_max").set_value(300.0).run()
    shown = said(at)
    assert "Margin limit: USDT, or a share such as 30% must be money, such as 500, or a share, such as 30%." in shown
    assert "Most of the account in use (%) must be at most 100." in shown
    assert "The preview shows the last values that could be read." in shown
    assert at.metric, "the last preview stays"
    press(at, "save")
    assert workbench.strategies.get(strategy_id).revision == 1
    assert field(at, f"strategy_{strategy_id}_margin_limit_total").value == "a third"
    press(at, "strategy_on")
    assert "2 more to mend, not on this step" in captions(at)
    press(at, "show_all")
    assert "2 things to mend" in said(at)
    assert "These parameters cannot be read." in said(at)


def test_lines_are_read_and_a_wrong_one_is_named(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 3)
    field(at, f"strategy_{strategy_id}_session").set_value("mon-fri 08:00-22:00\nevery day").run()
    assert "Only at these times (UTC), one a line must be" in said(at)
    field(at, f"strategy_{strategy_id}_session").set_value("mon-fri 08:00-22:00\ndaily 23:00–23:30").run()
    field(at, f"strategy_{strategy_id}_custom_steps").set_value("1,5% 20\n4 30").run()
    press(at, "save")
    saved = workbench.strategies.parameters(strategy_id)
    assert [len(window.days) for window in saved.session] == [5, 7]
    assert [(str(step.deviation_pct), str(step.size)) for step in saved.custom_steps or ()] == [
        ("1.5", "20"),
        ("4", "30"),
    ]


def test_with_many_pairs_changes_are_worked_out_when_asked(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id)
    at.multiselect[0].set_value(["BTC/USDT", "ETH/USDT", "SOL/USDT"]).run()
    press(at, "strategy_on")
    field(at, f"strategy_{strategy_id}_first_entry_size").set_value(900.0).run()
    assert not [label for label in labels(at) if label.startswith("Reduce")]
    press(at, "suggest_changes")
    assert [label for label in labels(at) if label.startswith("Reduce")]
    press(at, "fix_everything")
    assert ":red[" not in texts(at)
    assert field(at, "strategy_shown").options == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    field(at, "strategy_shown").set_value("ETH/USDT long").run()
    assert "ETH" in said(at)


def test_a_pair_that_is_not_there_is_said(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id)
    at.multiselect[0].set_value(["NOPE/USDT"]).run()
    assert "MEXC has no NOPE/USDT on this market" in said(at)
    assert not problems(at)


def test_without_market_data_it_says_so_and_fetches_again(home: Home, at_home: Simulator) -> None:
    at, _workbench, _connection = home()
    at_home.set_faults([{"exchange": "mexc", "kind": "maintenance"}])
    press(at, "new_strategy")
    assert "MEXC does not answer, so its market rules cannot be read." in said(at)
    assert "fetch_pairs" in [item.key for item in at.button]
    at_home.set_faults([])
    press(at, "fetch_pairs")
    assert "does not answer" not in said(at)
    assert "BTC/USDT" in at.multiselect[0].options


# -- states ------------------------------------------------------------------------------------------------------------


def test_enabling_is_refused_with_all_reasons(home: Home, at_home: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection, first_entry_size="0.7")
    at_home.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_WITHDRAW_WRITE")
    workbench.start_test(connection.id).wait(30)
    press(go(at, PAGE), f"enable_{strategy_id}")
    shown = said(at)
    assert "cannot be enabled yet." in shown
    assert "can withdraw" in shown and "may not trade here" in shown and "the least that MEXC takes" in shown
    assert workbench.strategies.get(strategy_id).state is StrategyState.DRAFT
    assert "strategy_test" in [item.key for item in at.button]
    press(at, next(str(item.key) for item in at.button if item.label.startswith("Raise the first order")))
    assert "the least that MEXC takes" not in said(at)
    assert float(parameters_shown(at)["first_entry_size"]) > 1
    at_home.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE")
    settle(press(at, "strategy_test"))
    assert "cannot be enabled yet." not in said(at)
    press(at, "strategy_enable")
    assert workbench.strategies.get(strategy_id).state is StrategyState.ENABLED


def parameters_shown(at: AppTest) -> dict[str, Any]:
    editors: dict[str, Any] = at.session_state["strategy_editors"]
    return next(iter(editors.values())).raw


def test_a_failed_test_suspends_and_a_passed_one_resumes(home: Home, at_home: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    at_home.set_faults([{"exchange": "mexc", "kind": "maintenance"}])
    workbench.start_test(connection.id).wait(60)
    go(at, PAGE)
    assert "1 suspended" in " ".join(captions(at))
    assert "It resumes by itself when the connection's test passes again." in captions(at)
    assert f"enable_{strategy_id}" not in [item.key for item in at.button]
    at_home.set_faults([])
    workbench.start_test(connection.id).wait(60)
    at.run()
    assert "Suspended" not in said(at) and "Enabled" in said(at)


def test_a_key_that_can_withdraw_waits_for_a_person(home: Home, at_home: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    rights = "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE"
    at_home.change_account("mexc", "no_futures", permissions=f"{rights},SPOT_WITHDRAW_WRITE")
    workbench.start_test(connection.id).wait(30)
    opened(go(at, PAGE), strategy_id)
    assert "can withdraw." in said(at)
    assert "It waits for you: mend that, then resume." in captions(at)
    at_home.change_account("mexc", "no_futures", permissions=rights)
    workbench.start_test(connection.id).wait(30)
    at.run()
    assert workbench.strategies.get(strategy_id).state is StrategyState.SUSPENDED
    press(at, f"enable_{strategy_id}")
    assert workbench.strategies.get(strategy_id).state is StrategyState.ENABLED
    press(at, f"disable_{strategy_id}")
    assert workbench.strategies.get(strategy_id).state is StrategyState.DRAFT


def test_an_enabled_one_keeps_its_revision_when_the_new_one_does_not_pass(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.strategies.enable(strategy_id)
    opened(go(at, PAGE), strategy_id, 2)
    field(at, f"strategy_{strategy_id}_first_entry_size").set_value(2000.0).run()
    press(at, "save")
    assert "cannot be enabled yet." in said(at)
    strategy = workbench.strategies.get(strategy_id)
    assert (strategy.revision, strategy.enabled_revision, strategy.state) == (1, 1, StrategyState.ENABLED)
    assert field(at, f"strategy_{strategy_id}_first_entry_size").value == 2000.0


def test_a_deleted_connection_is_said_and_another_one_can_be_chosen(home: Home, at_home: Simulator) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    workbench.delete(connection.id)
    go(at, PAGE)
    assert "The connection mexc spot was deleted. Duplicate this strategy for another connection." in said(at)
    opened(at, strategy_id, 4)
    assert "This strategy has no connection." in said(at)
    press(at, "leave_strategy")
    other = connect(at_home, "kucoin", "no_futures")
    at.run()
    more(at, strategy_id, "duplicate")
    press(at, "duplicate_yes")
    copy = next(one for one in workbench.strategies.list() if one.id != strategy_id)
    assert copy.connection_id == other.id


# -- revisions ---------------------------------------------------------------------------------------------------------


def test_revisions_are_compared_and_restored(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 3)
    field(at, f"strategy_{strategy_id}_addon_max_count").set_value(3).run()
    assert "Save revision 2" in labels(at)
    press(at, "save")
    choose(at, "choose_view", "revisions")
    table = at.table[0].value
    assert list(table["Field"]) == ["Number of add-ons"]
    assert list(table["Revision 1"]) == ["6"] and list(table["Revision 2"]) == ["3"]
    press(at, "restore_1")
    assert "Revision 1 stands again, as revision 3." in said(at)
    assert workbench.strategies.parameters(strategy_id).addon_max_count == 6
    choose(at, "choose_view", "edit")
    assert field(at, f"strategy_{strategy_id}_addon_max_count").value == 6


def test_a_revision_from_elsewhere_is_not_overwritten_unseen(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 3)
    field(at, f"strategy_{strategy_id}_addon_max_count").set_value(3).run()
    other = workbench.strategies.parameters(strategy_id).changed(addon_max_count=2)
    workbench.strategies.save(strategy_id, 1, other)
    press(at, "save")
    assert workbench.strategies.parameters(strategy_id).addon_max_count == 2
    assert "Revision 2 was saved meanwhile, elsewhere." in said(at)
    press(at, "keep_mine")
    press(at, "save")
    assert workbench.strategies.parameters(strategy_id).addon_max_count == 3
    assert workbench.strategies.get(strategy_id).revision == 3


# -- files -------------------------------------------------------------------------------------------------------------


def exported(as_yaml: bool = False) -> str:
    parameters = preset("conservative", "spot", ["ETH/USDT"], "25")
    return export_text("From afar", parameters, 7, as_yaml=as_yaml)


@pytest.mark.parametrize("as_yaml", [False, True])
def test_an_exported_file_is_imported_as_a_draft(home: Home, as_yaml: bool) -> None:
    at, workbench, connection = home()
    press(at, "import_strategy")
    at.file_uploader(key="import_file").upload("strategy.txt", exported(as_yaml).encode(), "text/plain").run()
    at.selectbox(key="import_to").set_value(connection.id)
    press(at, "import_now")
    assert not problems(at)
    strategy = workbench.strategies.list()[0]
    assert (strategy.name, strategy.state, strategy.connection_id) == ("From afar", StrategyState.DRAFT, connection.id)
    assert workbench.strategies.parameters(strategy.id).risk_level.value == "conservative"
    assert at.title[0].value == "From afar"


def test_a_text_that_is_wrong_stays_and_every_field_is_named(home: Home) -> None:
    at, workbench, _connection = home()
    data = json.loads(exported())
    data["parameters"] |= {"leverage": 300, "addon_mode": "sometimes", "colour": "blue"}
    press(at, "import_strategy")
    at.text_area(key="import_text").set_value(json.dumps(data))
    press(at, "import_now")
    shown = said(at)
    assert "leverage must be at most 20." in shown
    assert "addon\\_mode must be one of" in shown or "addon_mode must be one of" in shown
    assert "There is no parameter colour." in shown
    assert "sometimes" in str(at.text_area(key="import_text").value)
    assert not workbench.strategies.list()
    at.text_area(key="import_text").set_value("{")
    press(at, "import_now")
    assert "neither JSON nor YAML" in said(at)


def test_a_strategy_can_be_taken_away_as_a_file(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    more(go(at, PAGE), strategy_id, "export")
    assert {item.label for item in at.get("download_button")} == {"Download JSON", "Download YAML"}
    assert not problems(at)


# -- rename, duplicate, delete -----------------------------------------------------------------------------------------


def test_rename_duplicate_and_delete(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    more(go(at, PAGE), strategy_id, "rename")
    at.text_input(key=f"rename_{strategy_id}").set_value("Third")
    press(at, "rename_yes")
    assert workbench.strategies.get(strategy_id).name == "Third"
    more(at, strategy_id, "duplicate")
    at.text_input(key=f"duplicate_pairs_{strategy_id}").set_value("eth/usdt, SOL-USDT")
    press(at, "duplicate_yes")
    copy = next(one for one in workbench.strategies.list() if one.name == "Third 2")
    assert workbench.strategies.parameters(copy.id).pairs == ("ETH/USDT", "SOL/USDT")
    press(at, "leave_strategy")
    more(at, strategy_id, "delete")
    assert workbench.strategies.find("Third") is not None, "it asks"
    press(at, "delete_yes")
    assert workbench.strategies.find("Third") is None
    assert "Third is deleted." in said(at)


def test_a_name_may_be_changed_in_the_editor(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    opened(go(at, PAGE), strategy_id, 4)
    field(at, "strategy_name").set_value("Night [dips]").run()
    press(at, "save")
    strategy = workbench.strategies.get(strategy_id)
    assert (strategy.name, strategy.revision) == ("Night [dips]", 1)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_any_parameters_can_be_shown(home: Home, step: int) -> None:
    """Also those that a slider does not reach, and everything that is off by default."""
    at, workbench, connection = home()
    parameters = Parameters.model_validate(
        {
            **preset("balanced", "spot", ["BTC/USDT"], "0.0001").model_dump(mode="json"),
            "addon_step_pct": "49.97",
            "addon_max_count": 100,
            "take_profit_pct": "99",
            "addon_mode": "zones",
            "start_condition": "rsi",
            "recovery": {"cautious": True, "trim": True, "separate_connection_id": "gone"},
        }
    )
    strategy_id = workbench.strategies.create("Odd", connection.id, parameters).id
    opened(go(at, PAGE), strategy_id, step)
    assert parameters_of(parameters_shown(at)) == parameters, "looking changes nothing"


def test_what_closes_everything_is_typed_twice(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    at = opened(at.run(), strategy_id, 3)
    key = f"strategy_{strategy_id}_recovery.red_drawdown_pct"
    at.number_input(key=key).set_value(20.0).run()
    assert "Not switched on yet" in said(at)
    assert "save" not in {button.key for button in at.button}, "nothing has changed yet"
    at.text_input(key=f"{key}_again").set_value("21").run()
    assert "Not switched on yet" in said(at)
    at.text_input(key=f"{key}_again").set_value("20 %").run()
    assert "Not switched on yet" not in said(at)
    assert "all groups are closed at a loss" in said(at)
    press(at, "save")
    assert workbench.strategies.parameters(strategy_id).recovery.red_drawdown_pct == 20
    at.number_input(key=key).set_value(None).run()  # off needs no second word
    press(at, "save")
    assert workbench.strategies.parameters(strategy_id).recovery.red_drawdown_pct is None


def test_a_copy_for_another_market_is_set_right_by_its_button(home: Home, at_home: Simulator) -> None:
    at, workbench, connection = home()
    futures = connect(at_home, "okx", "good", Market.FUTURES)
    copy = workbench.strategies.duplicate(made(workbench, connection), "Copy", connection_id=futures.id)
    at = opened(at.run(), copy.id, 4)
    assert "for another market" in said(at)
    press(at, next(button.key or "" for button in at.button if button.label == "Set it up for futures"))
    assert "for another market" not in said(at)
    press(at, "save")
    assert workbench.strategies.parameters(copy.id).market is Market.FUTURES


def test_the_preview_says_how_much_of_the_account_it_takes(home: Home) -> None:
    at, workbench, connection = home()
    strategy_id = made(workbench, connection)
    at = opened(at.run(), strategy_id)
    assert next(item.value for item in at.metric if item.label == "Share of the limit").endswith("%")
    assert any("of what is free" in text for text in captions(at))
