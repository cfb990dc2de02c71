"""What a strategy's parameters may be, and what they are called when they may not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bfai.i18n import translator
from bfai.model import Market
from bfai.strategy.parameters import (
    Amount,
    Parameters,
    Problem,
    RiskLevel,
    Severity,
    StrategyError,
    check,
    differences,
    export_text,
    flat,
    flat_preset,
    import_text,
    json_schema,
    preset,
    read,
    with_risk_level,
)

SPOT = preset("balanced", "spot", ["BTC/USDT", "ETH/USDT"], "50")
FUTURES = preset("balanced", "futures", ["BTC/USDT"], "50")


def refused(data: object) -> dict[str, str]:
    with pytest.raises(StrategyError) as found:
        read(data)
    return {problem.field: problem.code for problem in found.value.problems}


@pytest.mark.parametrize("level", list(RiskLevel))
@pytest.mark.parametrize("market", list(Market))
def test_a_risk_level_fills_its_fields_and_nothing_is_wrong(level: RiskLevel, market: Market) -> None:
    made = preset(level, market, ["btc-usdt"], "25")
    assert made.pairs == ("BTC/USDT",)
    assert {name: flat(made)[name] for name in flat_preset(level, market)} == flat_preset(level, market)
    assert not made.is_custom
    assert [problem.code for problem in check(made) if problem.severity is Severity.ERROR] == []


def test_touching_a_field_makes_it_custom_and_choosing_again_mends_it() -> None:
    touched = SPOT.changed(addon_step_pct="1.6")
    assert touched.is_custom
    assert not SPOT.changed(first_entry_size="60").is_custom, "a size belongs to no risk level"
    assert with_risk_level(touched.model_dump(mode="json"), RiskLevel.BALANCED) == SPOT


def test_equal_parameters_have_one_text_and_one_digest() -> None:
    data = json.loads(SPOT.canonical())
    data["addon_step_pct"], data["take_profit_pct"] = 1.50, "1.200"
    data["margin_limit_total"] = "30.0%"
    again = read(dict(reversed(data.items())))
    assert (again, again.digest) == (SPOT, SPOT.digest)
    assert SPOT.digest != SPOT.changed(take_profit_pct="1.3").digest


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"addon_step_pct": "0.05"}, "addon_step_pct", "greater_than_equal"),
        ({"addon_step_pct": "50.1"}, "addon_step_pct", "less_than_equal"),
        ({"addon_step_pct": "NaN"}, "addon_step_pct", "value_error"),
        ({"addon_step_pct": "1e400"}, "addon_step_pct", "value_error"),
        ({"addon_step_pct": True}, "addon_step_pct", "value_error"),
        ({"first_entry_size": "-5"}, "first_entry_size", "greater_than_equal"),
        ({"leverage": 21}, "leverage", "less_than_equal"),
        ({"margin_mode": "cross"}, "margin_mode", "literal_error"),
        ({"margin_limit_total": "101%"}, "margin_limit_total", "value_error"),
        ({"margin_limit_total": "much"}, "margin_limit_total", "value_error"),
        ({"pairs": []}, "pairs", "too_short"),
        ({"pairs": ["BTCUSDT"]}, "pairs.0", "value_error"),
        ({"pairs": ["A/B"] * 51}, "pairs", "too_long"),
        ({"colour": "red"}, "colour", "extra_forbidden"),
        ({"recovery": {"step_factor": "0.5"}}, "recovery.step_factor", "greater_than_equal"),
        ({"session": [{"days": ["mon"], "start": "8", "end": "09:00"}]}, "session.0.start", "string_pattern_mismatch"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(change: dict[str, Any], field: str, code: str) -> None:
    data = {**SPOT.model_dump(mode="json"), **change}
    assert refused(data) == {field: code}


@pytest.mark.parametrize("data", [None, [], "text", 5, {}])
def test_what_is_no_strategy_is_refused(data: object) -> None:
    assert refused(data)


def only(parameters: Parameters) -> Problem:
    (problem,) = (problem for problem in check(parameters) if problem.severity is Severity.ERROR)
    return problem


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (SPOT.changed(pairs=["BTC/USDT", "ETH/USDC"]), "quote_mismatch"),
        (SPOT.changed(pairs=["BTC/USDT", "BTC-USDT"]), "pair_twice"),
        (SPOT.changed(directions=["long", "short"]), "short_on_spot"),
        (SPOT.changed(leverage=3), "leverage_above_limit"),
        (SPOT.changed(amount_basis="margin"), "margin_on_spot"),
        (SPOT.changed(margin_limit_pair="40%"), "pair_limit_above_total"),
        (SPOT.changed(start_condition="rsi"), "start_rsi_missing"),
    ],
)
def test_a_contradiction_names_its_field_and_what_mends_it(parameters: Parameters, code: str) -> None:
    problem = only(parameters)
    assert problem.code == code
    (fix,) = problem.fixes
    assert code not in {left.code for left in check(parameters.changed(**{fix.field.replace(".", "__"): fix.value}))}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (SPOT.changed(start_condition="price"), "start_price_missing"),
        (SPOT.changed(trailing={"activation_pct": "1", "delta_pct": "1"}), "trailing_too_wide"),
        (SPOT.changed(custom_steps=[{"deviation_pct": "2", "size": "5"}] * 2), "steps_not_rising"),
        (SPOT.changed(session=[{"days": ["mon"], "start": "20:00", "end": "08:00"}]), "session_backwards"),
        (SPOT.changed(recovery__cautious=True, recovery__cautious_drawdown_pct="5"), "cautious_not_smaller"),
    ],
)
def test_a_contradiction_that_only_a_person_can_settle(parameters: Parameters, code: str) -> None:
    assert only(parameters).code == code


@pytest.mark.parametrize(
    ("parameters", "codes"),
    [
        (FUTURES.changed(leverage=6), {"leverage_high"}),
        (SPOT.changed(addon_multiplier="2.1"), {"addon_multiplier_high"}),
        (SPOT.changed(addon_step_multiplier="2.1"), {"addon_step_multiplier_high"}),
        (SPOT.changed(addon_max_count=16), {"addon_max_count_high"}),
        (FUTURES.changed(stop_loss_pct=None), {"stop_off"}),
        (SPOT.changed(addon_resting=7), {"resting_above_count"}),
        (SPOT.changed(recovery__red_drawdown_pct="20"), {"red_closes_all"}),
        (SPOT.changed(addon_mode="off", addon_max_count=100, addon_resting=7), set[str]()),
    ],
)
def test_soft_ranges_warn(parameters: Parameters, codes: set[str]) -> None:
    found = check(parameters)
    assert {problem.code for problem in found} == codes
    assert all(problem.severity is Severity.WARNING for problem in found)


def test_differences_are_told_field_by_field() -> None:
    new = SPOT.changed(take_profit_pct="2", recovery__trim=True)
    assert differences(SPOT, new) == [("take_profit_pct", "1.2", "2"), ("recovery.trim", False, True)]


@pytest.mark.parametrize("as_yaml", [False, True])
def test_an_export_is_read_again(as_yaml: bool) -> None:
    text = export_text("Nachtwerk", FUTURES, 3, as_yaml=as_yaml)
    assert import_text(text) == ("Nachtwerk", FUTURES)
    assert import_text(yaml.safe_dump(FUTURES.model_dump(mode="json"))) == ("", FUTURES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "- a",
        "x" * 300_000,
        "&a [*a]",
        "a: &a [1]\nb: [*a, *a]",
        "!!python/object/apply:os.system [id]",
        '{"format": "other/1", "parameters": {}}',
        '{"format": "bfai.strategy/1"}',
        "[" * 5000,
        "\x00",
    ],
)
def test_an_import_that_is_no_strategy_is_one_sentence(text: str) -> None:
    with pytest.raises(StrategyError) as found:
        import_text(text)
    assert found.value.message.text


@given(st.text(max_size=300))
def test_no_import_raises_anything_else(text: str) -> None:
    try:
        import_text(text)
    except StrategyError:
        pass
    else:
        pytest.fail("random text is no strategy")


def test_the_schema_describes_what_is_saved() -> None:
    schema, data = json_schema(), SPOT.model_dump(mode="json")
    assert set(schema["properties"]) == set(data)
    assert schema["properties"]["addon_step_pct"]["minimum"] == 0.1
    assert schema["additionalProperties"] is False


def test_the_schema_is_one_and_takes_what_is_read() -> None:
    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json_schema())
    mine = FUTURES.changed(trailing={"activation_pct": "2", "delta_pct": "1"}, margin_limit_pair="10%").model_dump(
        mode="json"
    )
    for data in (mine, {**mine, "take_profit_pct": 1.5, "margin_limit_total": 500}):
        assert list(validator.iter_errors(data)) == []
        assert read(data)
    assert list(validator.iter_errors({**mine, "take_profit_pct": 500}))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("max_groups", 2.5, "max_groups must be a whole number."),
        ("leverage", "x", "leverage must be a whole number."),
        ("recovery", 3, "recovery must be an object."),
        ("pairs", "BTC/USDT", "pairs must be a list."),
        ("trailing", "no", "trailing must be an object."),
        ("session", [{"days": ["mon"], "start": 630, "end": "24:00"}], "session.0.start must be a time such as 08:30."),
        ("first_entry_size", 0, "first_entry_size must be at least 0.00000001."),
        ("addon_step_pct", 0, "addon_step_pct must be at least 0.1."),
    ],
)
def test_a_value_of_another_kind_is_said_by_its_kind(name: str, value: object, sentence: str) -> None:
    with pytest.raises(StrategyError) as found:
        import_text(json.dumps({**SPOT.model_dump(mode="json"), name: value}))
    (problem,) = found.value.problems
    assert translator("en").render(problem.text) == sentence


def test_a_file_without_parameters_says_so() -> None:
    with pytest.raises(StrategyError) as found:
        import_text('{"format": "bfai.strategy/1"}')
    assert [translator("en").render(problem.text) for problem in found.value.problems] == [
        "parameters must be an object."
    ]


def test_a_bound_is_written_as_the_language_does() -> None:
    with pytest.raises(StrategyError) as found:
        SPOT.changed(addon_step_pct="0")
    assert "0,1" in translator("hr").render(found.value.problems[0].text)


@pytest.mark.parametrize("name", ["nope", "nope__x", "pairs__x", "recovery__nope", "take_profit_pct__x", "a__b__c"])
def test_a_parameter_that_does_not_exist_cannot_be_changed(name: str) -> None:
    with pytest.raises(StrategyError) as found:
        SPOT.changed(**{name: 1})
    assert name.replace("__", ".") in str(found.value.problems[0].text.params["field"])


def test_what_is_off_can_be_set_part_by_part() -> None:
    changed = SPOT.changed(trailing__activation_pct="2", trailing__delta_pct="1")
    assert changed.trailing is not None
    assert changed.trailing.delta_pct == 1


def test_an_amount_is_money_or_a_share() -> None:
    assert Amount(Decimal(30), True).quote(Decimal(1000)) == 300
    assert Amount(Decimal(30), True).quote(None) is None
    assert Amount(Decimal("500")).quote(None) == 500
    assert str(SPOT.margin_limit_total) == "30%"
