"""The languages: how texts, numbers and times are written, and that no text is missing, broken or past gettext."""

from __future__ import annotations

import datetime as dt
import importlib.util
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from bfai import i18n
from bfai.i18n import LANGUAGES, N_, NN_, Translator, best_language, fill, translator
from bfai.model import Message

ROOT = Path(__file__).parent.parent
NOW = dt.datetime(2026, 11, 21, 9, 5, 7, tzinfo=dt.UTC)


def _load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("i18n_tool", ROOT / "tools" / "i18n.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load_tool()

PO = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: hr\\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) "
"? 1 : 2);\\n"

msgid "{exchange} says {t_state}"
msgstr "{exchange} kaže {t_state}"

msgid "off"
msgstr "isključeno"

msgid "{count} connection"
msgid_plural "{count} connections"
msgstr[0] "{count} veza"
msgstr[1] "{count} veze"
msgstr[2] "{count} veza (mn.)"
"""


@pytest.fixture
def croatian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Translator:
    """A Croatian translator on a small catalogue of its own."""
    path = tmp_path / "hr" / "LC_MESSAGES" / "bfai.po"
    path.parent.mkdir(parents=True)
    path.write_text(PO, encoding="utf-8")
    monkeypatch.setattr(i18n, "LOCALES", tmp_path)
    monkeypatch.setattr(i18n, "_catalogue", i18n._catalogue.__wrapped__)
    return Translator("hr")


# --- sentences ---------------------------------------------------------------------------------------------------


def test_a_sentence_is_translated_and_filled(croatian: Translator) -> None:
    assert croatian.t("{exchange} says {t_state}", exchange="MEXC", t_state="x") == "MEXC kaže x"
    assert croatian.t("Not in the catalogue, {name}", name="Ana") == "Not in the catalogue, Ana"
    assert croatian.t("") == ""  # not gettext's header


def test_money_in_a_stored_sentence_is_written_as_the_language_does(croatian: Translator) -> None:
    message = Message(text="{m_needed}; {m_left}; {needed}", params={"m_needed": "6882.47 USDT", "m_left": "0.5 BTC"})
    assert croatian.render(message) == "6.882,47\u00a0USDT; 0,5\u00a0BTC; {needed}"
    odd = Message(text="{m_needed}", params={"m_needed": "much money"})
    assert translator("en").render(odd) == "much money"


@pytest.mark.parametrize(("language", "shown"), [("en", "31 Oct 2026"), ("hr", "31. lis 2026."), ("de", "31.10.2026")])
def test_a_day_in_a_stored_sentence_is_written_as_the_language_does(language: str, shown: str) -> None:
    message = Message(text="{d_date}; {d_none}; {date}", params={"d_date": "2026-10-31", "d_none": "", "date": "2026"})
    assert translator(language).render(message) == f"{shown}; ; 2026"


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", "Tick “Spot: Trade”, “Read”."),
        ("nl", "Tick “Spot: Trade”, “Read”."),
        ("hr", "Tick „Spot: Trade”, „Read”."),
        ("de", "Tick „Spot: Trade“, „Read“."),
    ],
)
def test_names_stand_in_the_quotation_marks_of_the_language(language: str, shown: str) -> None:
    message = Message(text="Tick {q_boxes}.", params={"q_boxes": "Spot: Trade\nRead"})
    assert translator(language).render(message) == shown


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 veza"), (2, "2 veze"), (5, "5 veza (mn.)"), (11, "11 veza (mn.)"), (21, "21 veza"), (1002, "1.002 veze")],
)
def test_croatian_has_three_plurals(croatian: Translator, count: int, text: str) -> None:
    assert croatian.n("{count} connection", "{count} connections", count) == text
    stored = Message(text=NN_("{count} connection", "{count} connections"), params={"count": count})
    assert croatian.render(stored) == text
    assert croatian.render(Message.model_validate_json(stored.model_dump_json())) == text


def test_only_parameters_named_t_are_translated(croatian: Translator) -> None:
    message = Message(text=N_("{exchange} says {t_state}"), params={"exchange": "off", "t_state": "off"})
    assert croatian.render(message) == "off kaže isključeno"


@pytest.mark.parametrize(
    ("text", "params", "shown"),
    [
        ("{a} and {b}", {"a": 1}, "1 and {b}"),
        ("{{a}} {a}", {"a": "{b}", "b": "never"}, "{a} {b}"),
        ("{a.__class__} {a[0]} {a!r} {0} {", {"a": "x"}, "{a.__class__} {a[0]} {a!r} {0} {"),
        ("{a}", {"a": Decimal("1E+3")}, "1000"),
        ("{a}", {"a": 1234567}, "1234567"),
    ],
)
def test_filling_never_raises_and_looks_up_plain_names_only(text: str, params: dict[str, object], shown: str) -> None:
    assert fill(text, params) == shown


def test_a_broken_catalogue_leaves_the_texts_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nl" / "LC_MESSAGES" / "bfai.po"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'msgid "\xff\xfe\nmsgstr')
    monkeypatch.setattr(i18n, "LOCALES", tmp_path)
    monkeypatch.setattr(i18n, "_catalogue", i18n._catalogue.__wrapped__)
    assert Translator("nl").t("off") == "off"
    assert Translator("hr").t("off") == "off"  # no file at all


def test_a_translator_is_made_once_and_unknown_languages_are_english() -> None:
    assert translator("hr") is translator("hr")
    assert translator("xx") is translator("en")
    assert translator("en").n("{count} day", "{count} days", 1) == "1 day"


# --- numbers and times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "money", "number", "percent", "day", "moment", "ago", "ahead", "days"),
    [
        ("en", "2,178.13 USDT", "1,234.5", "99.5%", "21 Nov 2026", "21 Nov 2026, 10:05", "2 min ago",
         "in 5 days", "1 day"),
        ("nl", "2.178,13 USDT", "1.234,5", "99,5%", "21 nov 2026", "21 nov 2026, 10:05", "2 min. geleden",
         "over 5 dgn", "1 dag"),
        ("hr", "2.178,13 USDT", "1.234,5", "99,5 %", "21. stu 2026.", "21. stu 2026. 10:05", "prije 2 min",
         "za 5 dana", "1 dan"),
        ("de", "2.178,13 USDT", "1.234,5", "99,5 %", "21.11.2026", "21.11.2026, 10:05", "vor 2 Min.",
         "in 5 Tagen", "1 Tag"),
    ],
)  # fmt: skip
def test_each_language_writes_its_own_way(
    language: str, money: str, number: str, percent: str, day: str, moment: str, ago: str, ahead: str, days: str
) -> None:
    own = translator(language)
    shown = [
        own.money(Decimal("2178.13"), "USDT"),
        own.number(Decimal("1234.5")),
        own.percent(Decimal("0.995")),
        own.date(NOW),
        own.datetime(NOW, "Europe/Zagreb"),
        own.ago(NOW - dt.timedelta(minutes=2), NOW),
        own.ago(NOW + dt.timedelta(days=5), NOW),
        own.days(1),
    ]
    assert [text.replace("\u00a0", " ") for text in shown] == [money, number, percent, day, moment, ago, ahead, days]


@pytest.mark.parametrize(
    ("amount", "asset", "shown"),
    [
        ("4210", "USDT", "4,210.00 USDT"),
        ("0.001", "USDT", "0.001 USDT"),  # something is never written as nothing
        ("0", "USDT", "0.00 USDT"),
        ("1.50000000", "BTC", "1.5 BTC"),
        ("1E+3", "BTC", "1,000 BTC"),
        ("0.123456789", "BTC", "0.12345679 BTC"),
        ("0.000000001", "BTC", "0.000000001 BTC"),
        ("-12.345", "EUR", "-12.34 EUR"),
        ("NaN", "BTC", "NaN BTC"),
        ("1E+999999", "SHIB", "1E+999999 SHIB"),
        ("1E-999999", "USDT", "1E-999999 USDT"),
        ("1E+40", "SHIB", "10" + ",000" * 13 + " SHIB"),
    ],
)
def test_money(amount: str, asset: str, shown: str) -> None:
    assert translator("en").money(Decimal(amount), asset).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1, "100%"), (0.99996, "99.9%"), (Decimal("0.9999999"), "99.9%"), (0.5, "50.0%"), (0, "0%"),
        (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_only_the_whole_is_a_hundred_percent(share: float, shown: str) -> None:
    assert translator("en").percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 ms"), (0, "0 ms"), (0.312, "312 ms"), (0.9999, "1.0 s"), (1.34, "1.3 s"), (9.96, "10 s"),
        (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (12_000, "3 h 20 min"), (86_390, "1 day"),
        (90_000 * 30, "31 days"),
    ],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert translator("en").duration(seconds).replace("\u00a0", " ") == shown


def test_a_time_without_a_usable_zone_is_utc_and_says_so() -> None:
    own = translator("en")
    assert own.datetime(NOW) == "21 Nov 2026, 09:05 UTC"
    for forged in ("../../etc/passwd", "", "Nowhere/Land", "a" * 5000, "\0"):
        assert own.datetime(NOW, forged, seconds=True) == "21 Nov 2026, 09:05:07 UTC"
    assert own.datetime(NOW.replace(tzinfo=None)) == "21 Nov 2026, 09:05 UTC"
    assert own.date(NOW, "Pacific/Kiritimati") == "21 Nov 2026"
    assert own.date(NOW.replace(hour=23), "Pacific/Kiritimati") == "22 Nov 2026"


@pytest.mark.parametrize(
    ("candidates", "language"),
    [
        ((None, "hr-HR"), "hr"),
        (("nl_NL.UTF-8",), "nl"),
        (("fr-FR,nl;q=0.7,en;q=0.8",), "en"),
        (("fr-FR, nl;q=0.9, en;q=0.8",), "nl"),
        (("de-AT, nl;q=0.9",), "de"),
        (("hr;q=0, nl;q=0.1",), "nl"),
        (("fr", "hr"), "hr"),
        (("", None), "en"),
        ((";;q=,,=", "\0", "hr;q=high"), "en"),
        ((), "en"),
    ],
)
def test_best_language(candidates: tuple[str | None, ...], language: str) -> None:
    assert best_language(*candidates) == language


# --- the catalogues ----------------------------------------------------------------------------------------------


def test_all_texts_are_marked_and_translated() -> None:
    assert tool.check() == []


def test_there_is_a_catalogue_for_every_language() -> None:
    assert {*tool.LANGUAGES, "en"} == set(LANGUAGES)


@pytest.mark.parametrize(
    ("text", "translation", "problem"),
    [
        ("Hello {name}", "Hallo", "lost {name}"),
        ("Hello {name}", "Hallo {naam}", "{naam}, which nobody fills"),
        ("Hello", "Hallo ", "blank"),
        ("**Bold** word", "**Vet woord", "** is not closed"),
        ("**Bold** word", "Vet woord", "0 ** here"),
        ("`code`", "code", "backticks"),
        ("[a](b)", "a", "links"),
        ("Hello {name}", "Hallo {name!r}", "plain {name}"),
        ("Hello", "Hallo {", "plain {name}"),
        ("a\n\nb", "a b", "line breaks"),
    ],
)
def test_a_bad_translation_is_found(text: str, translation: str, problem: str) -> None:
    found = "; ".join(tool.differences(text, translation))
    assert problem.replace("0 ** here", "0 here") in found


def test_a_good_translation_is_not_reported() -> None:
    assert list(tool.differences("**{a}** of `{b}`, {{x}}", "`{b}`: **{a}**, {{x}}")) == []


def _project(root: Path, page: str, module: str = "") -> Path:
    (root / "pages").mkdir()
    (root / "bfai").mkdir()
    (root / "app.py").write_text("", encoding="utf-8")
    (root / "pages" / "page.py").write_text(page, encoding="utf-8")
    (root / "bfai" / "module.py").write_text(module, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "line",
    [
        'st.title("Hello")',
        'st.title(f"Hello {name}")',
        'left.button(label="Save")',
        'st.metric(_("Uptime"), "two days")',
        'st.text_input(_("Name"), placeholder="Your name")',
        'st.selectbox(_("Kind"), ["spot", "futures"])',
        'st.write("no" if x else _("yes"))',
        'st.write("**Hello** " + name)',
        'st.caption("Hello {}".format(name))',
        'st.tabs([_("One"), "Two"])',
        'chart(spec, alt="A chart")',
        'st.markdown(":green[Passed]")',
        'st.write(_(f"Hello {name}"))',
        'st.write(_("Hello " + name))',
        'st.write(_("Hello {name}"))',
        'st.write(n_("{count} of {all}", "{count} of {all}", 2))',
        'show(Message(text="Hello"))',
        'show(Message(text=N_("Hello {name}"), params={"nmae": 1}))',
    ],
)
def test_a_text_that_goes_past_gettext_is_found(tmp_path: Path, line: str) -> None:
    found = list(tool.bypasses(_project(tmp_path, f"import streamlit as st\n{line}\n")))
    assert found and all(problem.startswith("pages/page.py:2: ") for problem in found)


@pytest.mark.parametrize(
    "line",
    [
        'st.title(_("Hello {name}", name=name))',
        'st.write(n_("{count} day", "{count} days", 3))',
        'st.write("—")',
        'st.write(f":material/{icon}: :{colour}[{word}]")',
        'st.button(_("Save"), icon=":material/save:", key="save", type="primary")',
        'st.code("print(1)")',
        'st.selectbox(_("Kind"), ["spot", "futures"], format_func=kind_name)',
        'st.page_link("pages/history.py", label=_("History"))',
        'st.write(", ".join(names))',
        'log.warning("Hello")',
        'st.title("BackFuture AI Workbench")',
        'show(Message(text=N_("Hello {name}"), params={"name": 1}))',
        'show(Message(text=N_("Hello {name}"), params={**name}))',
    ],
)
def test_a_text_that_is_marked_is_not_reported(tmp_path: Path, line: str) -> None:
    assert list(tool.bypasses(_project(tmp_path, f"import streamlit as st\n{line}\n"))) == []


def test_update_and_check_from_empty_to_complete(tmp_path: Path) -> None:
    root = _project(tmp_path, 'st.write(_("Hello {name}", name=1))\n', 'X = NN_("{count} day", "{count} days")\n')
    assert any("bfai.pot is missing" in problem for problem in tool.check(root))

    assert tool.update(root) == [f"{language}: 0 of 2 translated" for language in tool.LANGUAGES]
    assert len(tool.check(root)) == 2 * len(tool.LANGUAGES) and all(
        "not translated" in problem for problem in tool.check(root)
    )

    for language, hello, days in (
        ("nl", "Hallo {name}", ["{count} dag", "{count} dagen"]),
        ("hr", "Bok {name}", ["{count} dan"] * 3),
        ("de", "Hallo, {name}", ["{count} Tag", "{count} Tage"]),
    ):
        catalogue = tool.read(tool.po_path(language, root), language)
        catalogue.get("Hello {name}").string = hello
        catalogue.get(("{count} day", "{count} days")).string = days
        tool.save(tool.po_path(language, root), catalogue)
    assert tool.check(root) == []
    before = tool.po_path("hr", root).read_bytes()
    assert tool.update(root) == [f"{language}: 2 of 2 translated" for language in tool.LANGUAGES]
    assert tool.po_path("hr", root).read_bytes() == before

    (root / "pages" / "page.py").write_text('st.write(_("Hello, {name}", name=1))\n', encoding="utf-8")
    assert any("not current: 1 new texts, 1 gone" in problem for problem in tool.check(root))
    tool.update(root)
    fuzzy = ["fuzzy, look at it and remove the mark"] * len(tool.LANGUAGES)
    assert [problem.split(": ")[-1] for problem in tool.check(root)] == fuzzy

    catalogue = tool.read(tool.po_path("hr", root), "hr")
    catalogue.get(("{count} day", "{count} days")).string = ["{count} dan", "{count} dana", ""]
    tool.save(tool.po_path("hr", root), catalogue)
    assert any("needs 3 plural forms" in problem for problem in tool.check(root))


def test_the_tool_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "i18n.py", "nonsense"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2 and "extract | update | check" in done.stdout


def test_a_text_inside_an_f_string_is_found(tmp_path: Path) -> None:
    """Babel does not collect it before Python 3.12, so it would stay English without a word."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "bfai").mkdir()
    (tmp_path / "app.py").write_text("")
    (tmp_path / "pages" / "x.py").write_text("st.markdown(f\"**{_('Tour')}**\")\n")
    assert any("f-string" in problem for problem in tool.bypasses(tmp_path))
