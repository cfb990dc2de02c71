"""Gettext: marks and renders the workbench's texts, and writes numbers, dates and times the reader's way.

Texts are whole English sentences with `{name}` placeholders; the sentence is the message id. The catalogues in
`locales/` are read once a process and language, as `.po`, so nothing has to be compiled. `tools/i18n.py` keeps them
current and checks them.
"""

from __future__ import annotations

import datetime as dt
import gettext
import io
import logging
import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from bfai.model import Message

LANGUAGES: Mapping[str, str] = {"en": "English", "nl": "Nederlands", "hr": "Hrvatski", "de": "Deutsch"}
DEFAULT_LANGUAGE = "en"
LOCALES = Path(__file__).parent / "locales"

# English as Europe writes it: day before month, 24 hours.
_CLDR = {"en": "en_GB", "nl": "nl_NL", "hr": "hr_HR", "de": "de_DE"}
_PLURAL = "\x1f"
_FIELD = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_NBSP = "\u00a0"
_LARGEST = 60  # decimal places on either side of the point that are ever written out
# Assets that are counted in cents. Everything else is shown with up to eight decimals.
CENTS = frozenset({"USDT", "USDC", "USD", "EUR", "DAI", "FDUSD", "TUSD", "PYUSD", "USDE", "GBP"})

log = logging.getLogger(__name__)


def N_(text: str) -> str:
    """Mark a text for translation without translating it here."""
    return text


def NN_(singular: str, plural: str) -> str:
    """Mark a text that counts: `Message(text=NN_("{count} day", "{count} days"), params={"count": days})`."""
    return f"{singular}{_PLURAL}{plural}"


def fill(text: str, params: Mapping[str, object]) -> str:
    """Put values where the `{name}` placeholders stand. A placeholder without a value stays visible; nothing raises.

    Only plain names are looked up, never attributes, and an inserted value is not read again: it may hold braces.
    """
    if "{" not in text and "}" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]
        return _plain(params[name]) if name in params else match[0]

    return _FIELD.sub(value, text)


def _plain(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


_AMOUNT = re.compile(r"-?\d{1,40}(\.\d{1,40})?")


class Translator:
    """One language: its sentences, and its way to write numbers and times. Immutable, shared by all threads.

    Values are inserted as they are: write a number with `number`, `money` or `percent` first where it is more than a
    small count.
    """

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else DEFAULT_LANGUAGE
        self._locale = _CLDR.get(self.language, self.language)
        self._catalogue = _catalogue(self.language)

    def __repr__(self) -> str:
        return f"Translator({self.language!r})"

    # --- sentences ---------------------------------------------------------------------------------------------

    def t(self, text: str, **params: object) -> str:
        """The sentence in this language, its placeholders filled."""
        return fill(self._catalogue.gettext(text), params) if text else ""

    def n(self, singular: str, plural: str, count: int, **params: object) -> str:
        """The sentence that fits `count`, which also fills `{count}` unless it is given in words."""
        return fill(self._catalogue.ngettext(singular, plural, count), {"count": self.number(count), **params})

    def render(self, message: Message) -> str:
        """A stored sentence in this language.

        Parameters are inserted as they are, except those whose name begins with `t_`: they are texts of ours (the name
        of a permission, say) and are translated first, those with `m_`: an amount and its asset, "1234.5 USDT", those
        with `q_`: names for quotation marks, one a line, those with `d_`: a day, "2026-11-21", and numbers with
        decimals. A text marked by `NN_` counts by its parameter `count`.
        """
        params: dict[str, object] = {name: self._inserted(name, value) for name, value in message.params.items()}
        singular, counts, plural = message.text.partition(_PLURAL)
        if not counts:
            return self.t(message.text, **params)
        count = message.params.get("count")
        if not isinstance(count, int):
            return self.t(plural, **params)
        return fill(self._catalogue.ngettext(singular, plural, count), {**params, "count": self.number(count)})

    def _inserted(self, name: str, value: str | float) -> object:
        if isinstance(value, float):
            return self.number(value)
        if not isinstance(value, str):
            return value
        if name.startswith("t_"):
            return self.t(value)
        if name.startswith("m_"):
            amount, _, asset = value.partition(" ")
            return self.money(Decimal(amount), asset) if _AMOUNT.fullmatch(amount) else value
        if name.startswith("q_"):
            return self.quoted(*value.splitlines())
        if name.startswith("d_"):
            return self._day(value)
        return value

    def _day(self, value: str) -> str:
        try:
            return self.date(dt.datetime.fromisoformat(value))
        except ValueError:
            return value

    def quoted(self, *names: str) -> str:
        """Names that others gave, such as the boxes of a page, in this language's quotation marks."""
        return ", ".join(self.t(N_("“{name}”"), name=name) for name in names)

    # --- numbers -----------------------------------------------------------------------------------------------

    def number(self, value: Decimal | float, digits: int | None = None) -> str:
        """A number with this language's separators: exactly `digits` decimals, or all that it has."""
        from babel.numbers import format_decimal

        exact = Decimal(str(value))
        if not exact.is_finite() or abs(exact.adjusted()) > _LARGEST:
            return str(value)  # an exchange may send anything; a million digits are not written out
        pattern = None if digits is None else "#,##0." + "0" * digits if digits else "#,##0"
        with localcontext(prec=2 * _LARGEST):
            exact = exact if exact else abs(exact)  # no "-0"
            return format_decimal(exact, pattern, self._locale, decimal_quantization=digits is not None)

    def money(self, amount: Decimal, asset: str) -> str:
        """An amount and its asset: cents for dollars and euros, up to eight decimals for the rest.

        What exists is never written as nothing: 0.000000001 BTC keeps its digits.
        """
        places = 2 if asset in CENTS else 8
        rounded = amount
        if amount.is_finite() and abs(amount.adjusted()) <= _LARGEST:
            with localcontext(prec=2 * _LARGEST):
                rounded = amount.quantize(Decimal(1).scaleb(-places))
                if places != 2:
                    rounded = rounded.normalize()
        vanished = amount and not rounded
        shown = self.number(amount) if vanished else self.number(rounded, 2 if places == 2 else None)
        return f"{shown}{_NBSP}{asset}"

    def percent(self, share: Decimal | float, digits: int = 1) -> str:
        """A share of one, 0.995 being 99.5 %. Rounded towards zero: only the whole is 100 %."""
        from babel.numbers import format_percent

        exact = Decimal(str(share))
        if not exact.is_finite() or abs(exact) > 10**9:
            return str(share)
        floored = exact.quantize(Decimal(1).scaleb(-digits - 2), rounding=ROUND_DOWN)
        blank = _NBSP if self.language in ("hr", "de") else ""
        pattern = f"#,##0{'.' + '0' * digits if digits and floored not in (0, 1) else ''}{blank}%"
        return format_percent(floored if floored else abs(floored), format=pattern, locale=self._locale)

    # --- times -------------------------------------------------------------------------------------------------

    def date(self, when: dt.datetime, tz: str | dt.tzinfo | None = None) -> str:
        """The day, in the reader's time zone; without one, in UTC."""
        from babel.dates import format_date

        return format_date(_local(when, tz)[0].date(), "medium", locale=self._locale)

    def month(self, day: dt.date) -> str:
        """Month and year: "November 2026"."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", dt.datetime(day.year, day.month, 1), locale=self._locale)  # noqa: DTZ001

    def datetime(self, when: dt.datetime, tz: str | dt.tzinfo | None = None, *, seconds: bool = False) -> str:
        """Day and time in the reader's time zone. Without one it is UTC and says so."""
        from babel.dates import format_date

        local, is_utc = _local(when, tz)
        day = format_date(local.date(), "medium", locale=self._locale)
        clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        glue = " " if self.language == "hr" else ", "
        return f"{day}{glue}{clock}{' UTC' if is_utc else ''}"

    def ago(self, when: dt.datetime, now: dt.datetime | None = None) -> str:
        """How long ago, roughly: "2 min ago", or "in 5 days" for what is to come."""
        from babel.dates import format_timedelta

        gap = _aware(when) - (_aware(now) if now else dt.datetime.now(dt.UTC))
        if abs(gap) < dt.timedelta(seconds=5):
            return self.t(N_("just now"))
        return format_timedelta(gap, add_direction=True, format="short", locale=self._locale)

    def duration(self, seconds: float) -> str:
        """A length of time in its two largest units: "312 ms", "1.3 s", "2 min 5 s", "3 h 20 min"; days in words."""
        if seconds < 0.9995:
            return f"{self.number(round(max(0.0, seconds) * 1000), 0)}{_NBSP}ms"
        if seconds < 9.95:
            return f"{self.number(seconds, 1)}{_NBSP}s"
        whole = round(seconds)
        if whole < 60:
            return f"{whole}{_NBSP}s"
        if whole < 3600:
            return _two(whole // 60, "min", whole % 60, "s")
        minutes = round(seconds / 60)
        if minutes < 24 * 60:
            return _two(minutes // 60, "h", minutes % 60, "min")
        return self.days(seconds / 86400)

    def days(self, count: float) -> str:
        """A number of days in words: "1 day", "21 days"."""
        from babel.dates import format_timedelta

        # No threshold is reached, so it never turns into weeks or months.
        gap = dt.timedelta(days=round(count))
        return format_timedelta(gap, granularity="day", threshold=1e9, format="long", locale=self._locale)


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    head = f"{large}{_NBSP}{large_unit}"
    return f"{head} {small}{_NBSP}{small_unit}" if small else head


def _aware(when: dt.datetime) -> dt.datetime:
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _local(when: dt.datetime, tz: str | dt.tzinfo | None) -> tuple[dt.datetime, bool]:
    """The moment there, and whether it is plain UTC because no usable zone was given: a browser may send any."""
    try:
        zone = ZoneInfo(tz) if isinstance(tz, str) else tz
        if zone is not None:
            return _aware(when).astimezone(zone), False
    except (ValueError, OSError, KeyError, OverflowError):
        log.debug("Unknown time zone, showing UTC")
    return _aware(when).astimezone(dt.UTC), True


@cache
def translator(language: str) -> Translator:
    """The translator of a language, English for one that is not known. The first call reads its catalogue."""
    return Translator(language) if language in LANGUAGES else translator(DEFAULT_LANGUAGE)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == DEFAULT_LANGUAGE:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import PoFileError, read_po

    try:
        with (LOCALES / language / "LC_MESSAGES" / "bfai.po").open("rb") as source:
            catalogue = read_po(source, locale=language)
    except (OSError, ValueError, PoFileError):
        log.warning("The catalogue of %s cannot be read; its texts stay English", language, exc_info=True)
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def best_language(*candidates: str | None) -> str:
    """The first language that we speak, from `hr-HR`, `nl_NL.UTF-8`, an Accept-Language header …; else English.

    Candidates are asked in order, and within a header by its weights.
    """
    for candidate in candidates:
        weighted = [_weighted(part) for part in (candidate or "").split(",")]
        for _, tag in sorted(weighted, key=lambda item: -item[0]):
            if tag in LANGUAGES:
                return tag
    return DEFAULT_LANGUAGE


def _weighted(part: str) -> tuple[float, str]:
    tag, _, weight = part.partition(";")
    match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight)
    share = float(match[1]) if match else (0.0 if weight else 1.0)
    language = re.split(r"[-_.@]", tag.strip())[0].lower()
    return share, language if share else ""
