"""The fields of a strategy as they are shown: one table, and how what was typed becomes parameters.

What stands in a field is kept as it was typed (`Raw`), so that a wrong value is still there beside the sentence that
says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from bfai.i18n import N_
from bfai.strategy.parameters import Parameters, RiskLevel, flat, read, written

Raw = dict[str, Any]
Kind = Literal[
    "connection",
    "pairs",
    "risk",
    "several",
    "slider",
    "number",
    "typed_twice",
    "amount",
    "choice",
    "switch",
    "steps",
    "windows",
    "other_connection",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `{quote}` in its label is the quote currency; a `group` puts it under "Advanced" of its step.

    `low`, `high` and `by` are a slider's; a value outside moves its ends. An `optional` field may be empty, which means
    what `empty` says. `when` names another field, and with which of its values this one is shown.
    """

    name: str
    label: str
    kind: Kind
    step: int
    help: str = ""
    group: str = ""
    low: str = "0"
    high: str = "100"
    by: str = "1"
    whole: bool = False
    optional: bool = False
    empty: str = N_("off")
    choices: Mapping[str, str] = field(default_factory=dict[str, str])
    when: tuple[str, tuple[Any, ...]] | None = None


STEPS: Final[Mapping[int, str]] = {
    1: N_("Where"),
    2: N_("How much"),
    3: N_("Add-ons and exit"),
    4: N_("Check and enable"),
}
GROUPS: Final[Mapping[str, str]] = {
    "place": N_("Advanced: directions and leverage"),
    "money": N_("Advanced: limits and losses"),
    "addons": N_("Advanced: add-ons"),
    "exit": N_("Advanced: exit and orders"),
    "start": N_("Advanced: when a group may begin"),
    "recovery": N_("Advanced: Recovery Mode"),
}
RISK_LEVELS: Final[Mapping[str, str]] = {
    RiskLevel.CONSERVATIVE.value: N_("Conservative"),
    RiskLevel.BALANCED.value: N_("Balanced"),
    RiskLevel.AGGRESSIVE.value: N_("Aggressive"),
}
RISK_IN_SENTENCE: Final[Mapping[str, str]] = {
    RiskLevel.CONSERVATIVE.value: N_("Custom (from conservative)"),
    RiskLevel.BALANCED.value: N_("Custom (from balanced)"),
    RiskLevel.AGGRESSIVE.value: N_("Custom (from aggressive)"),
}
_ORDERS: Final = {"market": N_("Market order"), "limit": N_("Limit order")}
_FUTURES: Final = ("market", ("futures",))
_RECOVERY: Final = ("recovery.enabled", (True,))
_ADDONS: Final = ("addon_mode", ("ladder", "zones", "strict"))

FIELDS: Final[tuple[Field, ...]] = (
    # -- 1: where
    Field(
        "connection",
        N_("Connection"),
        "connection",
        1,
        N_("The account that it trades on. It stays with the strategy; duplicate the strategy for another one."),
    ),
    Field("pairs", N_("Pairs"), "pairs", 1, N_("All with the same quote currency. Each pair gets groups of its own.")),
    Field(
        "directions",
        N_("Directions"),
        "several",
        1,
        N_("Long earns when the price rises, short when it falls."),
        group="place",
        choices={"long": N_("Long"), "short": N_("Short")},
        when=_FUTURES,
    ),
    Field(
        "leverage",
        N_("Leverage"),
        "slider",
        1,
        N_("Position divided by margin. It is set once and never raised."),
        group="place",
        low="1",
        high="20",
        whole=True,
        when=_FUTURES,
    ),
    Field(
        "amount_basis",
        N_("Sizes are"),
        "choice",
        1,
        N_("On futures a size can be the money put up, or the whole position."),
        group="place",
        choices={"margin": N_("Margin put up"), "notional": N_("Whole position")},
        when=_FUTURES,
    ),
    # -- 2: how much
    Field(
        "risk_level",
        N_("Risk level"),
        "risk",
        2,
        N_("Fills the steps, the sizes, the target and the limits. Every field can be changed afterwards."),
    ),
    Field(
        "first_entry_size",
        N_("First order ({quote})"),
        "number",
        2,
        N_("What a group begins with."),
    ),
    Field(
        "margin_limit_total",
        N_("Margin limit: {quote}, or a share such as 30%"),
        "amount",
        2,
        N_("The most that all open groups of this strategy may use, add-ons still to come included."),
    ),
    Field(
        "margin_limit_pair",
        N_("Limit of one group: {quote}, or a share"),
        "amount",
        2,
        N_("Left empty, the margin limit is divided by the number of groups."),
        group="money",
        optional=True,
        empty=N_("an equal share"),
    ),
    Field(
        "max_groups",
        N_("Groups open at once"),
        "number",
        2,
        N_("A group is one first order with its add-ons and its exit."),
        group="money",
        whole=True,
    ),
    Field(
        "deposit_load_max",
        N_("Most of the account in use (%)"),
        "number",
        2,
        N_("All strategies of the connection together."),
        group="money",
    ),
    Field(
        "reserve_mode",
        N_("Money is reserved for"),
        "choice",
        2,
        N_("Reserved in full, no group ever lacks the money for its add-ons."),
        group="money",
        choices={"full": N_("All add-ons"), "filled": N_("Filled orders only")},
    ),
    Field(
        "reinvest_pct",
        N_("Profit put into the next orders (%)"),
        "number",
        2,
        N_("0 keeps every order at its size."),
        group="money",
    ),
    Field(
        "max_daily_loss_pct",
        N_("Pause after a daily loss of (% of equity)"),
        "number",
        2,
        N_("No new groups until the next day (UTC). Empty is off."),
        group="money",
        optional=True,
    ),
    Field(
        "max_loss_streak",
        N_("Pause after losses in a row"),
        "number",
        2,
        N_("No new groups after so many losing groups. Empty is off."),
        group="money",
        whole=True,
        optional=True,
    ),
    # -- 3: add-ons and exit
    Field(
        "addon_max_count",
        N_("Number of add-ons"),
        "slider",
        3,
        N_("How many add-ons a group may place while the price goes against it."),
        low="0",
        high="15",
        whole=True,
        when=_ADDONS,
    ),
    Field(
        "take_profit_pct",
        N_("Take profit (% from the average)"),
        "slider",
        3,
        N_("Where the whole group is closed with a profit."),
        low="0.1",
        high="5",
        by="0.1",
    ),
    Field(
        "recovery.enabled",
        N_("Recovery Mode"),
        "switch",
        3,
        N_("Handles a group that is in trouble by stricter rules: wider steps, smaller add-ons, a nearer exit."),
    ),
    Field(
        "addon_mode",
        N_("Add-ons"),
        "choice",
        3,
        N_(
            "Ladder: resting limit orders. Zones: on a signal, inside a band. Strict: like the ladder, but only on a"
            " signal."
        ),
        group="addons",
        choices={"ladder": N_("Ladder"), "zones": N_("Zones"), "strict": N_("Strict"), "off": N_("None")},
    ),
    Field(
        "addon_size",
        N_("First add-on ({quote})"),
        "number",
        3,
        N_("Empty is as large as the first order."),
        group="addons",
        optional=True,
        empty=N_("as the first order"),
        when=_ADDONS,
    ),
    Field(
        "addon_multiplier",
        N_("Each add-on times"),
        "slider",
        3,
        N_("How much larger each add-on is than the one before."),
        group="addons",
        low="0.5",
        high="3",
        by="0.05",
        when=_ADDONS,
    ),
    Field(
        "addon_step_pct",
        N_("Step to the first add-on (%)"),
        "slider",
        3,
        N_("How far the price has to go against the group before the first add-on."),
        group="addons",
        low="0.1",
        high="10",
        by="0.1",
        when=_ADDONS,
    ),
    Field(
        "addon_step_multiplier",
        N_("Each step times"),
        "slider",
        3,
        N_("How much longer each step is than the one before."),
        group="addons",
        low="0.5",
        high="3",
        by="0.05",
        when=_ADDONS,
    ),
    Field(
        "addon_step_reference",
        N_("Steps are counted from"),
        "choice",
        3,
        group="addons",
        choices={"base": N_("The first order"), "previous": N_("The add-on before"), "average": N_("The average")},
        when=_ADDONS,
    ),
    Field(
        "custom_steps",
        N_("Own steps, one a line: % from the first order, size in {quote}"),
        "steps",
        3,
        N_("Such as “1.5 100”. They take the place of number, steps and multipliers. Empty is off."),
        group="addons",
        when=_ADDONS,
    ),
    Field(
        "addon_resting",
        N_("Add-ons that rest at the exchange"),
        "number",
        3,
        N_("So many limit orders wait there at once."),
        group="addons",
        whole=True,
        when=_ADDONS,
    ),
    Field(
        "addon_cooldown",
        N_("Wait between add-ons (s)"),
        "number",
        3,
        group="addons",
        whole=True,
        when=_ADDONS,
    ),
    Field(
        "zone_width_pct",
        N_("Width of a zone (%)"),
        "number",
        3,
        N_("A signal inside the band before a level may place its add-on."),
        group="addons",
        when=("addon_mode", ("zones",)),
    ),
    Field(
        "require_avg_improvement",
        N_("Only add-ons that better the average"),
        "switch",
        3,
        group="addons",
        when=_ADDONS,
    ),
    Field(
        "take_profit_basis",
        N_("Take profit counts"),
        "choice",
        3,
        group="exit",
        choices={
            "average_net": N_("From the average, after fees"),
            "average_gross": N_("From the average, before fees"),
            "margin_net": N_("On the margin, after fees"),
        },
    ),
    Field(
        "trailing.activation_pct",
        N_("Trailing begins at a profit of (%)"),
        "number",
        3,
        N_("From there the target follows the price. Empty is off."),
        group="exit",
        optional=True,
    ),
    Field(
        "trailing.delta_pct",
        N_("Trailing distance from the best price (%)"),
        "number",
        3,
        group="exit",
        optional=True,
    ),
    Field(
        "stop_loss_pct",
        N_("Stop loss (%)"),
        "number",
        3,
        N_("Where the whole group is closed with a loss. Empty is off."),
        group="exit",
        optional=True,
    ),
    Field(
        "stop_loss_basis",
        N_("The stop counts from"),
        "choice",
        3,
        group="exit",
        choices={"average": N_("The average"), "base": N_("The first order")},
    ),
    Field("entry_order_type", N_("First order as"), "choice", 3, group="exit", choices=_ORDERS),
    Field("addon_order_type", N_("Add-ons as"), "choice", 3, group="exit", choices=_ORDERS),
    Field("exit_order_type", N_("Exit as"), "choice", 3, group="exit", choices=_ORDERS),
    Field(
        "on_stop",
        N_("When the strategy is disabled, its groups"),
        "choice",
        3,
        group="exit",
        choices={"keep": N_("Stay open"), "close": N_("Are closed")},
    ),
    Field(
        "start_condition",
        N_("A group begins"),
        "choice",
        3,
        group="start",
        choices={
            "immediate": N_("At once"),
            "signal": N_("On a signal"),
            "price": N_("At a price"),
            "rsi": N_("Below an RSI"),
        },
    ),
    Field(
        "start_price",
        N_("Start at a price of ({quote})"),
        "number",
        3,
        group="start",
        optional=True,
        when=("start_condition", ("price",)),
    ),
    Field(
        "start_rsi",
        N_("Start below RSI"),
        "number",
        3,
        group="start",
        whole=True,
        optional=True,
        when=("start_condition", ("rsi",)),
    ),
    Field(
        "cooldown_after_close",
        N_("Wait after a group has closed (s)"),
        "number",
        3,
        group="start",
        whole=True,
    ),
    Field(
        "session",
        N_("Only at these times (UTC), one a line"),
        "windows",
        3,
        N_("Such as “mon-fri 08:00-22:00”. Add-ons and exits always run. Empty is always."),
        group="start",
        empty=N_("always"),
    ),
    Field(
        "min_volume_24h",
        N_("Least volume in 24 hours ({quote})"),
        "number",
        3,
        N_("Empty is off."),
        group="start",
        optional=True,
    ),
    Field(
        "max_spread_pct",
        N_("Widest spread (%)"),
        "number",
        3,
        N_("Wider, and no group begins. Empty is off."),
        group="start",
        optional=True,
    ),
    Field(
        "recovery.drawdown_pct",
        N_("Begins at a drawdown of (% from the average)"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.addons_left",
        N_("Begins when so many add-ons are left"),
        "number",
        3,
        group="recovery",
        whole=True,
        when=_RECOVERY,
    ),
    Field(
        "recovery.margin_used_pct",
        N_("Begins when so much of the limit is used (%)"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.max_group_age_h",
        N_("Begins at a group's age of (h)"),
        "number",
        3,
        N_("Empty is off."),
        group="recovery",
        whole=True,
        optional=True,
        when=_RECOVERY,
    ),
    Field(
        "recovery.liq_distance_pct",
        N_("Begins when liquidation is nearer than (%)"),
        "number",
        3,
        N_("Empty is off."),
        group="recovery",
        optional=True,
        when=_RECOVERY,
    ),
    Field(
        "recovery.on_worsening_signal",
        N_("Begins when a signal would worsen the average"),
        "switch",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.on_uncertain_market",
        N_("Begins when the market is uncertain"),
        "switch",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.cautious",
        N_("Cautious: begins at a smaller drawdown"),
        "switch",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.cautious_drawdown_pct",
        N_("Cautious drawdown (%)"),
        "number",
        3,
        group="recovery",
        when=("recovery.cautious", (True,)),
    ),
    Field(
        "recovery.addons",
        N_("Add-ons in Recovery Mode"),
        "choice",
        3,
        group="recovery",
        choices={"strict": N_("Fewer and stricter"), "none": N_("None")},
        when=_RECOVERY,
    ),
    Field(
        "recovery.step_factor",
        N_("Steps times"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.size_factor",
        N_("Add-on sizes times"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.take_profit_pct",
        N_("Take profit in Recovery Mode (%)"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.margin_cap_pct",
        N_("No add-ons once so much of the limit is used (%)"),
        "number",
        3,
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.trim",
        N_("Close parts of the group at a loss"),
        "switch",
        3,
        N_("Makes the group smaller, within the loss that is allowed."),
        group="recovery",
        when=_RECOVERY,
    ),
    Field(
        "recovery.trim_pct",
        N_("Part that is closed (%)"),
        "number",
        3,
        group="recovery",
        when=("recovery.trim", (True,)),
    ),
    Field(
        "recovery.trim_every_h",
        N_("At most every (h)"),
        "number",
        3,
        group="recovery",
        whole=True,
        when=("recovery.trim", (True,)),
    ),
    Field(
        "recovery.loss_allowance_pct",
        N_("Loss that is allowed (% of equity)"),
        "number",
        3,
        N_("Of all parts that are closed within 30 days."),
        group="recovery",
        when=("recovery.trim", (True,)),
    ),
    Field(
        "recovery.separate_connection_id",
        N_("New groups of the pair meanwhile on another connection"),
        "other_connection",
        3,
        N_("The group in trouble stays where it is and waits for its exit. Without another connection new ones wait."),
        group="recovery",
        optional=True,
        when=_RECOVERY,
    ),
    Field(
        "recovery.return_mode",
        N_("Back to the usual rules"),
        "choice",
        3,
        group="recovery",
        choices={"never": N_("Never"), "manual": N_("By hand"), "auto": N_("By itself")},
        when=_RECOVERY,
    ),
    Field(
        "recovery.red_drawdown_pct",
        N_("Close all groups at a drawdown of (% of equity)"),
        "typed_twice",
        3,
        N_("The last resort: everything is closed at a loss. Empty is off."),
        group="recovery",
        optional=True,
        when=_RECOVERY,
    ),
)
BY_NAME: Final[Mapping[str, Field]] = {one.name: one for one in FIELDS}
_HOLDERS: Final = ("trailing",)


def applies(one: Field, raw: Mapping[str, Any]) -> bool:
    """Whether the field means something beside the values of the others."""
    if one.when is None:
        return True
    name, values = one.when
    holder = BY_NAME.get(name)
    return raw.get(name) in values and (holder is None or applies(holder, raw))


def field_of(name: str) -> Field | None:
    """The field that a problem is about: itself, or the one that holds it."""
    told = name
    while told:
        if told in BY_NAME:
            return BY_NAME[told]
        inner = next((one for one in FIELDS if one.name.startswith(f"{told}.")), None)
        if inner is not None:
            return inner
        told = told.rpartition(".")[0]
    return None


# -- what was typed ----------------------------------------------------------------------------------------------------


def number_text(value: float | None) -> str | None:
    """A number box's value as parameters hold it. Twelve digits: its arrows add up in binary fractions."""
    if value is None:
        return None
    return written(Decimal(f"{value:.12g}"))


def as_float(text: Any) -> float | None:
    try:
        return None if text is None or text == "" else float(Decimal(str(text)))
    except InvalidOperation:
        return None


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def raw_of(parameters: Parameters) -> Raw:
    """What the fields show for these parameters."""
    raw: Raw = dict(flat(parameters))
    trailing: Mapping[str, Any] = raw.pop("trailing") or {}
    raw["trailing.activation_pct"] = trailing.get("activation_pct")
    raw["trailing.delta_pct"] = trailing.get("delta_pct")
    raw["custom_steps"] = steps_text(raw["custom_steps"] or ())
    raw["session"] = windows_text(raw["session"])
    return raw


def steps_text(steps: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{step['deviation_pct']} {step['size']}" for step in steps)


def windows_text(windows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{_days_text(window['days'])} {window['start']}-{window['end']}" for window in windows)


def _days_text(days: Sequence[str]) -> str:
    places = [_DAYS.index(day) for day in days]
    if len(places) > 2 and places == list(range(places[0], places[-1] + 1)):
        return f"{days[0]}-{days[-1]}"
    return ",".join(days)


def _steps(text: str) -> list[dict[str, str]] | None:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    found: list[dict[str, str]] = []
    for parts in lines:
        first, *rest = parts
        found.append({"deviation_pct": _point(first.rstrip("%")), "size": _point(" ".join(rest))})
    return found or None


def _point(text: str) -> str:
    """A decimal comma is a decimal point."""
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def _windows(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        days, _, times = line.strip().lower().partition(" ")
        start, _, end = (part.strip() for part in times.replace("–", "-").partition("-"))
        found.append({"days": _day_list(days), "start": start, "end": end})
    return found


def _day_list(text: str) -> list[str]:
    if text in ("daily", "all"):
        return list(_DAYS)
    days: list[str] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if dash and first in _DAYS and last in _DAYS and _DAYS.index(first) <= _DAYS.index(last):
            days += _DAYS[_DAYS.index(first) : _DAYS.index(last) + 1]
        else:
            days.append(part)
    return days


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "steps": _steps,
    "windows": _windows,
    "amount": lambda text: _point(text.strip()) or None,
}


def parameters_of(raw: Mapping[str, Any]) -> Parameters:
    """The parameters that stand in the fields. Raises StrategyError with every field that is wrong."""
    data: dict[str, Any] = {}
    for name, typed in raw.items():
        holder, _, inner = name.rpartition(".")
        one = BY_NAME.get(name)
        value = _READ[one.kind](str(typed or "")) if one is not None and one.kind in _READ else typed
        if holder:
            data.setdefault(holder, {})[inner] = value
        else:
            data[name] = value
    for holder in _HOLDERS:
        values: dict[str, Any] = data.pop(holder, {})
        told = {name: value for name, value in values.items() if value is not None}
        data[holder] = told or None
    for name in ("first_entry_size", "margin_limit_total"):
        if data.get(name) is None:
            data.pop(name, None)
    if "margin_limit_total" not in data:
        data["margin_limit_total"] = ""  # said to be missing, not silently filled in
    return read(data)


_BLANK: Final = re.compile(r"\s+")


def tidy_pairs(pairs: Sequence[str]) -> list[str]:
    """As they were chosen or typed."""
    return [_BLANK.sub("", pair).upper() for pair in pairs if pair.strip()]
