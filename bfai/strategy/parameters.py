"""What a strategy does, as data: its parameters, the presets that fill them, and what is wrong with them by themselves.

Percent, money and factors are `Decimal` and are written as decimal text, so that saving and reading again changes
nothing. Hard ranges refuse a value, soft ones warn. Whether a set of parameters fits an exchange, a pair and a balance
is `bfai.strategy.gate`'s to say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from bfai.i18n import N_
from bfai.model import BfaiError, Market, Message

FORMAT: Final = "bfai.strategy/1"
MAX_TEXT: Final = 200_000  # characters of an imported file
MAX_SCALAR: Final = 1000  # bytes of one value in it
MAX_DEPTH: Final = 20


class RiskLevel(StrEnum):
    CONSERVATIVE = "conservative"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fix:
    """The smallest change that mends a problem: `field` set to `value` (as JSON holds it)."""

    field: str
    value: Any
    text: Message


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong (`error`) or unwise (`warning`), the field that it is about, and what would mend it.

    `level` is the level of the ladder and `pair` the pair that it concerns, where it concerns one.
    """

    code: str
    severity: Severity
    field: str
    text: Message
    pair: str | None = None
    level: int | None = None
    fixes: tuple[Fix, ...] = ()


class StrategyError(BfaiError):
    """What was asked of a strategy cannot be done. `problems` are all reasons, not only the first."""

    def __init__(self, message: Message, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


# -- values ------------------------------------------------------------------------------------------------------------


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError("no number")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        raise ValueError("no number") from None
    if not number.is_finite() or (number and abs(number.adjusted()) > 20) or len(number.as_tuple().digits) > 40:
        raise ValueError("no number")
    return number


def written(number: Decimal) -> str:
    """A number without needless zeros and without an exponent."""
    return format(number.normalize(), "f") if number else "0"


def shown(number: Decimal) -> int | float:
    """A number as a sentence's parameter: written as the reader's language writes it."""
    return int(number) if number == number.to_integral_value() else float(number)


Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    PlainSerializer(written, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?$"}),
]


def _range(low: str, high: str) -> Any:
    return Field(ge=Decimal(low), le=Decimal(high), json_schema_extra={"minimum": float(low), "maximum": float(high)})


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in the quote currency, or a share of the connection's equity: "500" or "30%"."""

    value: Decimal
    is_percent: bool = False

    def __str__(self) -> str:
        return f"{written(self.value)}%" if self.is_percent else written(self.value)

    def quote(self, equity: Decimal | None) -> Decimal | None:
        """The money that it comes to, or None where it is a share of an equity that nobody knows."""
        if not self.is_percent:
            return self.value
        return None if equity is None else equity * self.value / 100


def _amount(value: object) -> Amount:
    if isinstance(value, Amount):
        return value
    is_percent = isinstance(value, str) and value.strip().endswith("%")
    number = _number(cast("str", value).strip()[:-1] if is_percent else value)
    if number <= 0 or (is_percent and number > 100):
        raise ValueError("no amount")
    return Amount(number, is_percent)


AmountField = Annotated[
    Amount,
    BeforeValidator(_amount),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?%?$"}),
]


def _pair(value: object) -> str:
    """`BTC/USDT`, from whatever stands between the two."""
    parts = str(value).strip().upper().replace("-", "/").replace("_", "/").partition(":")[0].split("/")
    if len(parts) != 2 or not all(part.isalnum() and part.isascii() and len(part) <= 20 for part in parts):
        raise ValueError("no pair")
    return "/".join(parts)


Pair = Annotated[str, BeforeValidator(_pair), WithJsonSchema({"type": "string", "pattern": "^[A-Z0-9]+/[A-Z0-9]+$"})]
Direction = Literal["long", "short"]
OrderType = Literal["market", "limit"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ClockTime = Annotated[str, Field(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class CustomStep(_Part):
    """One add-on of its own: how far from the first order (percent), and how large (quote currency)."""

    deviation_pct: Annotated[Number, _range("0.01", "99")]
    size: Annotated[Number, _range("0.00000001", "100000000")]


class Trailing(_Part):
    """The target follows the price: from `activation_pct` of profit on, it closes `delta_pct` below the best price."""

    activation_pct: Annotated[Number, _range("0.1", "100")]
    delta_pct: Annotated[Number, _range("0.05", "50")]


class SessionWindow(_Part):
    """Days and hours (UTC) in which new groups may open. Add-ons and exits always run."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    start: ClockTime
    end: ClockTime


class Recovery(_Part):
    """When a group is handled by stricter rules, and what these are."""

    enabled: bool = True
    drawdown_pct: Annotated[Number, _range("1", "50")] = Decimal(5)
    addons_left: Annotated[int, Field(ge=0, le=20)] = 1
    margin_used_pct: Annotated[Number, _range("30", "100")] = Decimal(75)
    max_group_age_h: Annotated[int, Field(ge=1, le=8760)] | None = None
    liq_distance_pct: Annotated[Number, _range("1", "50")] | None = None
    on_worsening_signal: bool = True
    on_uncertain_market: bool = True
    cautious: bool = False
    cautious_drawdown_pct: Annotated[Number, _range("0.5", "20")] = Decimal(3)
    addons: Literal["strict", "none"] = "strict"
    step_factor: Annotated[Number, _range("1", "10")] = Decimal("1.5")
    size_factor: Annotated[Number, _range("0.05", "1")] = Decimal("0.5")
    take_profit_pct: Annotated[Number, _range("0", "100")] = Decimal("0.3")
    margin_cap_pct: Annotated[Number, _range("50", "100")] = Decimal(90)
    trim: bool = False
    trim_pct: Annotated[Number, _range("0.5", "50")] = Decimal(4)
    trim_every_h: Annotated[int, Field(ge=1, le=720)] = 24
    loss_allowance_pct: Annotated[Number, _range("0.1", "20")] = Decimal("0.5")
    separate_connection_id: str | None = None
    return_mode: Literal["never", "manual", "auto"] = "never"
    red_drawdown_pct: Annotated[Number, _range("1", "90")] | None = None


class Parameters(_Part):
    """Everything that is set up for a strategy, apart from its name and connection. Money is quote currency."""

    risk_level: RiskLevel = RiskLevel.BALANCED
    market: Market = Market.SPOT
    pairs: Annotated[tuple[Pair, ...], Field(min_length=1, max_length=50)]
    directions: Annotated[tuple[Direction, ...], Field(min_length=1, max_length=2)] = ("long",)
    leverage: Annotated[int, Field(ge=1, le=20)] = 1
    margin_mode: Literal["isolated"] = "isolated"
    amount_basis: Literal["notional", "margin"] = "notional"

    margin_limit_total: AmountField = Amount(Decimal(30), True)
    margin_limit_pair: AmountField | None = None
    deposit_load_max: Annotated[Number, _range("1", "100")] = Decimal(50)
    reserve_mode: Literal["full", "filled"] = "full"

    first_entry_size: Annotated[Number, _range("0.00000001", "100000000")]
    addon_mode: Literal["off", "ladder", "zones", "strict"] = "ladder"
    addon_size: Annotated[Number, _range("0.00000001", "100000000")] | None = None
    addon_multiplier: Annotated[Number, _range("0.1", "10")] = Decimal("1.3")
    addon_step_pct: Annotated[Number, _range("0.1", "50")] = Decimal("1.5")
    addon_step_multiplier: Annotated[Number, _range("0.1", "10")] = Decimal("1.2")
    addon_step_reference: Literal["base", "previous", "average"] = "base"
    addon_max_count: Annotated[int, Field(ge=0, le=100)] = 6
    addon_resting: Annotated[int, Field(ge=1, le=100)] = 1
    addon_cooldown: Annotated[int, Field(ge=0, le=86_400)] = 300
    zone_width_pct: Annotated[Number, _range("0", "10")] = Decimal(1)
    require_avg_improvement: bool = True
    custom_steps: Annotated[tuple[CustomStep, ...], Field(min_length=1, max_length=100)] | None = None

    take_profit_pct: Annotated[Number, _range("0.1", "100")] = Decimal("1.2")
    take_profit_basis: Literal["average_net", "average_gross", "margin_net"] = "average_net"
    trailing: Trailing | None = None
    stop_loss_pct: Annotated[Number, _range("0.1", "99")] | None = None
    stop_loss_basis: Literal["average", "base"] = "average"
    entry_order_type: OrderType = "market"
    addon_order_type: OrderType = "limit"
    exit_order_type: OrderType = "limit"

    start_condition: Literal["immediate", "signal", "price", "rsi"] = "immediate"
    start_price: Annotated[Number, _range("0.000000000001", "1000000000")] | None = None
    start_rsi: Annotated[int, Field(ge=1, le=99)] | None = None
    max_groups: Annotated[int, Field(ge=1, le=199)] = 3
    cooldown_after_close: Annotated[int, Field(ge=0, le=2_592_000)] = 60
    max_daily_loss_pct: Annotated[Number, _range("0.5", "50")] | None = Decimal(4)
    max_loss_streak: Annotated[int, Field(ge=1, le=50)] | None = None
    session: Annotated[tuple[SessionWindow, ...], Field(max_length=21)] = ()
    min_volume_24h: Annotated[Number, _range("0", "1000000000000")] | None = None
    max_spread_pct: Annotated[Number, _range("0", "50")] | None = Decimal("0.5")
    reinvest_pct: Annotated[Number, _range("0", "100")] = Decimal(0)
    on_stop: Literal["keep", "close"] = "keep"

    recovery: Recovery = Recovery()

    @property
    def quote(self) -> str:
        """The quote currency of the first pair."""
        return self.pairs[0].partition("/")[2]

    @property
    def addons(self) -> int:
        """How many add-ons a group may get."""
        if self.addon_mode == "off":
            return 0
        return len(self.custom_steps) if self.custom_steps else self.addon_max_count

    @property
    def is_custom(self) -> bool:
        """Whether a field of its risk level was changed since."""
        mine = flat(self)
        return any(mine[name] != value for name, value in flat_preset(self.risk_level, self.market).items())

    def canonical(self) -> str:
        """The one JSON text of these parameters; equal parameters have equal texts."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal. Names a revision."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def changed(self, **fields: Any) -> Parameters:
        """These parameters with other values; `recovery__trim=True` reaches a field of a part. Raises StrategyError."""
        data: dict[str, Any] = self.model_dump(mode="json")
        for name, value in fields.items():
            holder, (*parts, last) = data, name.split("__")
            for part in parts:
                if part in holder and holder[part] is None:
                    holder[part] = {}
                if not isinstance(holder.get(part), dict):
                    raise _unreadable(_told({"type": "extra_forbidden", "loc": name.split("__")}))
                holder = holder[part]
            holder[last] = value
        return read(data)


# -- presets -----------------------------------------------------------------------------------------------------------

_LEVELS = (RiskLevel.CONSERVATIVE, RiskLevel.BALANCED, RiskLevel.AGGRESSIVE)
_PRESETS: Mapping[str, tuple[Any, Any, Any]] = {
    "addon_step_pct": ("2", "1.5", "1"),
    "addon_step_multiplier": ("1.15", "1.2", "1.25"),
    "addon_max_count": (7, 6, 6),
    "addon_multiplier": ("1.1", "1.3", "1.6"),
    "take_profit_pct": ("1.5", "1.2", "1"),
    "margin_limit_total": ("20%", "30%", "50%"),
    "max_groups": (2, 3, 5),
    "deposit_load_max": ("35", "50", "70"),
    "max_daily_loss_pct": ("2", "4", "6"),
    "recovery.drawdown_pct": ("6", "5", "4"),
    "recovery.addons_left": (2, 1, 1),
    "recovery.margin_used_pct": ("60", "75", "85"),
}
_PRESETS_FUTURES: Mapping[str, tuple[Any, Any, Any]] = {"leverage": (2, 3, 5), "stop_loss_pct": ("18", "12", "8")}
"""No exchange or bot publishes a whole preset; these numbers are ours, between what the better known ones offer."""


def flat_preset(level: RiskLevel, market: Market) -> dict[str, Any]:
    """The fields that a risk level fills, by their dotted names, as JSON holds them."""
    place = _LEVELS.index(level)
    values = {name: of_levels[place] for name, of_levels in _PRESETS.items()}
    futures = {name: of_levels[place] for name, of_levels in _PRESETS_FUTURES.items()}
    return values | (futures if market is Market.FUTURES else {"leverage": 1, "stop_loss_pct": None})


def with_risk_level(parameters: Mapping[str, Any], level: RiskLevel) -> Parameters:
    """The parameters with the fields of a risk level filled in. Raises StrategyError."""
    market = Market(parameters.get("market", Market.SPOT))
    data: dict[str, Any] = {**parameters, "risk_level": level.value}
    recovery: dict[str, Any] = dict(data.get("recovery") or {})
    for name, value in flat_preset(level, market).items():
        part, _, inner = name.partition(".")
        if inner:
            recovery[inner] = value
        else:
            data[part] = value
    return read({**data, "recovery": recovery})


def preset(
    level: RiskLevel | str, market: Market | str, pairs: tuple[str, ...] | list[str], size: Decimal | str
) -> Parameters:
    """A whole strategy of a risk level for some pairs, its first order `size` of quote currency. Or StrategyError."""
    scope: dict[str, Any] = {"market": Market(market).value, "pairs": list(pairs), "first_entry_size": str(size)}
    if Market(market) is Market.FUTURES:
        scope["amount_basis"] = "margin"
    return with_risk_level(scope, RiskLevel(level))


# -- reading and writing -----------------------------------------------------------------------------------------------


def read(data: object) -> Parameters:
    """Parameters from what JSON or YAML held. Raises StrategyError with every field that is wrong."""
    try:
        return Parameters.model_validate(data)
    except ValidationError as error:
        told = [_told(one) for one in error.errors(include_url=False, include_input=False)]
        inner = {problem.field.rpartition(".")[0] for problem in told}
        problems = tuple(problem for problem in told if problem.code != "too_short" or problem.field not in inner)
        raise _unreadable(*problems) from None


def _unreadable(*problems: Problem) -> StrategyError:
    return StrategyError(Message(text=N_("These parameters cannot be read.")), problems)


_KINDS: Mapping[str, str] = {
    "missing": N_("{field} is missing."),
    "extra_forbidden": N_("There is no parameter {field}."),
    "greater_than_equal": N_("{field} must be at least {least}."),
    "less_than_equal": N_("{field} must be at most {most}."),
    "literal_error": N_("{field} must be one of: {words}."),
    "enum": N_("{field} must be one of: {words}."),
    "too_short": N_("{field} needs at least one entry."),
    "too_long": N_("{field} has too many entries."),
    "model_type": N_("{field} must be an object."),
    "tuple_type": N_("{field} must be a list."),
    "int_type": N_("{field} must be a whole number."),
    "int_parsing": N_("{field} must be a whole number."),
    "int_from_float": N_("{field} must be a whole number."),
    "bool_type": N_("{field} must be yes or no."),
    "bool_parsing": N_("{field} must be yes or no."),
    "string_pattern_mismatch": N_("{field} must be a time such as 08:30."),
}


def _told(error: Mapping[str, Any]) -> Problem:
    name = ".".join(str(part) for part in error["loc"]) or "parameters"
    context: Mapping[str, Any] = error.get("ctx") or {}
    text = _KINDS.get(error["type"])
    params: dict[str, str | int | float] = {"field": name}
    if text is None:
        part = name.split(".")[0]
        text = N_("{field} must be a pair such as BTC/USDT.") if part == "pairs" else N_("{field} must be a number.")
        if part.startswith("margin_limit"):
            text = N_("{field} must be money, such as 500, or a share, such as 30%.")
        elif error["type"] == "string_type":
            text = _KINDS["string_pattern_mismatch"] if part == "session" else N_("{field} must be text.")
    for given, told in (("ge", "least"), ("le", "most")):
        if given in context:
            params[told] = shown(Decimal(re.sub(r"Decimal\('(.*)'\)", r"\1", str(context[given]))))
    if "expected" in context:
        params["words"] = str(context["expected"]).replace("'", "").replace(" or ", ", ")
    return Problem(str(error["type"]), Severity.ERROR, name, Message(text=text, params=params))


def flat(parameters: Parameters) -> dict[str, Any]:
    """Every field by its dotted name, as JSON holds it."""
    return dict(_flat(parameters.model_dump(mode="json"), ""))


def _flat(data: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict) and name == "recovery":
            yield from _flat(cast("dict[str, Any]", value), f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def differences(old: Parameters, new: Parameters) -> list[tuple[str, Any, Any]]:
    """The fields in which two revisions differ: name, old value, new value."""
    before, after = flat(old), flat(new)
    return [(name, before[name], after[name]) for name in after if before[name] != after[name]]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the parameters."""
    return Parameters.model_json_schema(mode="serialization")


def export_text(name: str, parameters: Parameters, revision: int, *, as_yaml: bool = False) -> str:
    """A file that `import_text` reads. Holds no key and no account."""
    data = {
        "format": FORMAT,
        "name": name,
        "revision": revision,
        "digest": parameters.digest,
        "parameters": parameters.model_dump(mode="json"),
    }
    if as_yaml:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _is_modest(text: str) -> bool:
    """Whether a YAML text holds nothing that costs far more than its length: an alias makes a small text huge, and deep
    nesting and long numbers take a time that grows with the square of theirs. ValueError for half a letter ("\\ud800").
    """
    depth = 0
    for event in cast("Any", yaml).parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        long = isinstance(event, yaml.ScalarEvent) and len(event.value.encode()) > MAX_SCALAR
        if long or depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            return False
    return True


def import_text(text: str) -> tuple[str, Parameters]:
    """Name and parameters from an exported file, JSON or YAML, or from bare parameters. Raises StrategyError."""
    broken = StrategyError(Message(text=N_("This is no strategy: it is neither JSON nor YAML that can be read.")))
    if len(text) > MAX_TEXT:
        raise broken
    try:
        if not _is_modest(text):
            raise broken
        data: Any = yaml.safe_load(text)  # reads JSON too
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        raise broken from None
    if not isinstance(data, dict):
        raise broken
    fields = cast("dict[str, Any]", data)
    told = fields.get("format")
    if told is None:
        return "", read(fields)
    if told != FORMAT:
        text = N_("This file is of another kind: {format}. A strategy says {wanted}.")
        raise StrategyError(Message(text=text, params={"format": str(told)[:40], "wanted": FORMAT}))
    return str(fields.get("name") or "")[:60], read(fields.get("parameters"))


# -- what is wrong by itself -------------------------------------------------------------------------------------------

_SOFT: Mapping[str, tuple[Decimal | None, str]] = {
    "leverage": (Decimal(5), N_("Leverage above {most} leaves little room before liquidation.")),
    "addon_multiplier": (
        Decimal(2),
        N_("Add-ons that grow to more than {most} times the one before need money very fast."),
    ),
    "addon_step_multiplier": (
        Decimal(2),
        N_("Steps that grow to more than {most} times the one before leave wide gaps."),
    ),
    "addon_max_count": (Decimal(15), N_("More than {most} add-ons are rarely all carried by a balance.")),
}


def check(parameters: Parameters) -> tuple[Problem, ...]:
    """What is wrong or unwise about these parameters whatever the exchange: contradictions between fields, soft
    ranges.
    """
    return (*_contradictions(parameters), *_unwise(parameters))


def _error(code: str, field: str, text: str, *fixes: Fix, **params: str | int | float) -> Problem:
    return Problem(code, Severity.ERROR, field, Message(text=text, params=params), fixes=fixes)


def _fix(field: str, value: Any, text: str, **params: str | int | float) -> Fix:
    return Fix(field, value, Message(text=text, params=params))


def _contradictions(p: Parameters) -> Iterator[Problem]:
    quotes = {pair.partition("/")[2] for pair in p.pairs}
    if len(quotes) > 1:
        kept = [pair for pair in p.pairs if pair.endswith(f"/{p.quote}")]
        text = N_("All pairs need the same quote currency; these have {quotes}.")
        fix = _fix("pairs", kept, N_("Keep the pairs in {quote}"), quote=p.quote)
        yield _error("quote_mismatch", "pairs", text, fix, quotes=", ".join(sorted(quotes)))
    if len(set(p.pairs)) < len(p.pairs):
        fix = _fix("pairs", list(dict.fromkeys(p.pairs)), N_("Name each pair once"))
        yield _error("pair_twice", "pairs", N_("A pair stands here twice."), fix)
    if p.market is Market.SPOT:
        if "short" in p.directions:
            fix = _fix("directions", ["long"], N_("Only long"))
            yield _error(
                "short_on_spot", "directions", N_("On spot nobody can sell what they do not hold: long only."), fix
            )
        if p.leverage > 1:
            fix = _fix("leverage", 1, N_("Leverage 1"))
            yield _error("leverage_above_limit", "leverage", N_("There is no leverage on spot."), fix)
        if p.amount_basis == "margin":
            fix = _fix("amount_basis", "notional", N_("Count sizes as money spent"))
            yield _error("margin_on_spot", "amount_basis", N_("On spot a size is the money that is spent."), fix)
    total, pair = p.margin_limit_total, p.margin_limit_pair
    if pair is not None and pair.is_percent == total.is_percent and pair.value > total.value:
        fix = _fix("margin_limit_pair", str(total), N_("Set it to {limit}"), limit=str(total))
        yield _error(
            "pair_limit_above_total", "margin_limit_pair", N_("The limit of one group is above the limit of all."), fix
        )
    if p.custom_steps:
        steps = [step.deviation_pct for step in p.custom_steps]
        if any(one >= other for one, other in pairwise(steps)):
            yield _error("steps_not_rising", "custom_steps", N_("Each step must lie further away than the one before."))
    if p.trailing is not None and p.trailing.delta_pct >= p.trailing.activation_pct:
        text = N_("The trailing distance must be smaller than the profit at which it begins.")
        yield _error("trailing_too_wide", "trailing", text)
    if p.start_condition == "price" and p.start_price is None:
        yield _error("start_price_missing", "start_price", N_("Say at which price to start."))
    if p.start_condition == "rsi" and p.start_rsi is None:
        fix = _fix("start_rsi", 30, N_("Start below RSI 30"))
        yield _error("start_rsi_missing", "start_rsi", N_("Say below which RSI to start."), fix)
    if any(window.start >= window.end for window in p.session):
        yield _error(
            "session_backwards", "session", N_("A session must end after it begins. Split one that spans midnight.")
        )
    r = p.recovery
    if r.enabled and r.cautious and r.cautious_drawdown_pct >= r.drawdown_pct:
        text = N_("The cautious drawdown must be smaller than the usual one.")
        yield _error("cautious_not_smaller", "recovery.cautious_drawdown_pct", text)


def _unwise(p: Parameters) -> Iterator[Problem]:
    values: Mapping[str, Decimal] = {
        "leverage": Decimal(p.leverage),
        "addon_multiplier": p.addon_multiplier,
        "addon_step_multiplier": p.addon_step_multiplier,
        "addon_max_count": Decimal(p.addons),
    }
    for field, (most, text) in _SOFT.items():
        if most is not None and values[field] > most:
            message = Message(text=text, params={"most": written(most)})
            yield Problem(f"{field}_high", Severity.WARNING, field, message)
    if p.market is Market.FUTURES and p.stop_loss_pct is None:
        text = N_("Without a stop a futures group can be liquidated.")
        yield Problem("stop_off", Severity.WARNING, "stop_loss_pct", Message(text=text))
    red = p.recovery.red_drawdown_pct
    if p.recovery.enabled and red is not None:
        text = N_("At a drawdown of {percent} % of the equity all groups are closed at a loss.")
        told = Message(text=text, params={"percent": shown(red)})
        yield Problem("red_closes_all", Severity.WARNING, "recovery.red_drawdown_pct", told)
    if p.addons and p.addon_resting > p.addons:
        text = N_("More add-ons are to rest than there are.")
        yield Problem("resting_above_count", Severity.WARNING, "addon_resting", Message(text=text))
