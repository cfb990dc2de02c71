"""Colours: what is written can be read in both themes, and nothing is told apart by its hue alone."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import pytest

from bfai.i18n import LANGUAGES, translator
from bfai.ui import charts, ladder_view, replay_charts
from bfai.ui.charts import BLUE, GRAY, GREEN, ORANGE, RED, VIOLET, Beat, DayClass, bars_spec, day_svg, strip_svg
from bfai.ui.frame import CHOSEN
from bfai.ui.pieces import OWN_NETWORK, STATUS_LOOKS, TESTING

Colour = tuple[float, float, float]

THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
THEMES = ("light", "dark")
FAMILIES = ("green", "blue", "red", "orange", "yellow", "violet", "gray")
TEXT, SHAPE = 4.5, 3.0
"""What WCAG 2.2 AA asks of text, and of borders, icons and marks."""
CAPTION = 0.6
"""How much of the text colour is left in a caption, and in tints below, is Streamlit's."""
TINTS = (0.1, 0.2)


def rgb(text: str) -> Colour:
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def over(front: Colour, ground: Colour, share: float) -> Colour:
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(front, ground, strict=True))
    return red, green, blue


def linear(colour: Colour) -> Colour:
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    light, dark = sorted(
        (sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear(each), strict=True)) for each in (one, other)),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


def pairs(theme: str) -> Iterator[tuple[str, Colour, Colour, float]]:
    """Everything that is read in this theme: its name, its colour, its ground, and the contrast that it needs."""
    main = THEME[theme]
    colours = {name: rgb(value) for name, value in main.items() if isinstance(value, str)}
    sidebar = {name: rgb(value) for name, value in main["sidebar"].items()}
    white = rgb("#FFFFFF")
    text, primary, chosen = colours["textColor"], colours["primaryColor"], rgb(CHOSEN[THEMES.index(theme)])
    yield "label of a primary button", white, primary, TEXT
    yield "code", colours["codeTextColor"], colours["codeBackgroundColor"], TEXT
    for place, own in (("page", colours), ("sidebar", colours | sidebar)):
        ground = own["backgroundColor"]
        for name in ("backgroundColor", "secondaryBackgroundColor"):
            yield f"text, {place}, {name}", text, own[name], TEXT
            yield f"caption, {place}, {name}", over(text, own[name], CAPTION), own[name], TEXT
        yield f"link, {place}", colours["linkColor"], ground, TEXT
        for tint in TINTS:
            yield f"chosen of several, {place}", chosen, over(primary, ground, tint), TEXT
        yield f"slider's value, {place}", chosen, ground, TEXT
        yield f"border, {place}", own["borderColor"], ground, SHAPE
        yield f"button, switch and focus, {place}", primary, ground, SHAPE
        for family in FAMILIES:
            yield f"{family} words, {place}", colours[f"{family}TextColor"], ground, TEXT
    for family in FAMILIES:
        yield f"{family} badge", colours[f"{family}TextColor"], colours[f"{family}BackgroundColor"], TEXT
    for mark in (GREEN, BLUE, ORANGE, RED, GRAY, VIOLET):
        yield f"mark {mark}", rgb(mark), colours["backgroundColor"], SHAPE
    for mark in main["chartCategoricalColors"]:
        yield f"chart {mark}", rgb(mark), colours["backgroundColor"], SHAPE


@pytest.mark.parametrize("theme", THEMES)
def test_everything_can_be_read(theme: str) -> None:
    poor = {name: round(contrast(a, b), 2) for name, a, b, needed in pairs(theme) if contrast(a, b) < needed}
    assert poor == {}


def test_the_ruler_measures_as_the_guidelines_do() -> None:
    assert contrast(rgb("#000000"), rgb("#FFFFFF")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#FFFFFF")) == pytest.approx(4.48, abs=0.005)


# -- without hue -------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes 2009, full strength, on linear light.
BLINDNESS: Mapping[str, tuple[Colour, Colour, Colour]] = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
ALIKE = 20.0
"""Colours that are nearer to each other than this, in CIE Lab, are not told apart at a glance."""


def lab(colour: Colour) -> Colour:
    """Of linear light."""
    red, green, blue = (min(1.0, max(0.0, one)) for one in colour)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    x, y, z = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen_by(kind: str, colour: str) -> Colour:
    light = linear(rgb(colour))
    red, green, blue = (sum(a * b for a, b in zip(row, light, strict=True)) for row in BLINDNESS[kind])
    return lab((red, green, blue))


def fall_together(one: str, other: str) -> bool:
    return any(math.dist(seen_by(kind, one), seen_by(kind, other)) < ALIKE for kind in BLINDNESS)


def painted(svg: str) -> tuple[str, str]:
    """A picture's colour, and its shape."""
    colours = re.findall(r"#[0-9A-Fa-f]{6}", svg)
    assert len(set(colours)) == 1
    return colours[0], re.sub(r"#[0-9A-Fa-f]{6}|[#']b\d+", "", svg)


def styles(module: object, *names: str) -> dict[str, tuple[str, str]]:
    found = {name: getattr(module, name) for name in names}
    return {name: (one.colour, f"{one.symbol} {one.dash} {one.width}") for name, one in found.items()}


def marks() -> dict[str, dict[str, tuple[str, str]]]:
    """What stands together in a picture: the colour and the shape of each."""
    bars = bars_spec(["1"], [(str(number), [1]) for number in range(charts.MOST_CAUSES)])["series"]
    return {
        "strip": {state.value: painted(strip_svg([state])) for state in Beat},
        "calendar": {kind.value: painted(day_svg(kind)) for kind in DayClass},
        "causes": {one["name"]: (one["itemStyle"]["color"], str(one["itemStyle"].get("decal"))) for one in bars},
        "ladder": styles(ladder_view, "LEVEL", "AVERAGE", "TARGET", "STOP", "LIQUIDATION", "NOW"),
        "capital": styles(ladder_view, "CAPITAL", "LIMIT", "FREE", "TRIED"),
        "candles": styles(replay_charts, "AVERAGE", "TARGET", "AVERAGE_SHORT", "TARGET_SHORT", "RECOVERY"),
        "equity": styles(replay_charts, "EQUITY", "OTHER"),
        "deals": {
            name: (one.colour, f"{one.symbol} {one.turn} {one.hollow} {one.size}")
            for name, one in replay_charts.MARKS.items()
        },
    }


def test_colours_that_fall_together_have_shapes_that_do_not() -> None:
    assert fall_together(GREEN, RED), "the reason for all this"
    for picture, kinds in marks().items():
        for one, other in combinations(kinds, 2):
            (colour, shape), (other_colour, other_shape) = kinds[one], kinds[other]
            assert shape != other_shape or not fall_together(colour, other_colour), (picture, one, other)


def test_a_status_is_told_by_its_word_and_its_icon() -> None:
    looks = [*STATUS_LOOKS.values(), TESTING, OWN_NETWORK]
    assert len({look.icon for look in looks}) == len(looks)
    for language in LANGUAGES:
        assert len({translator(language).t(look.word) for look in looks}) == len(looks), language
