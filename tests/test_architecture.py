"""Who may know whom and what no page may do, where import-linter cannot see it; the settings that keep keys safe."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")))
UI = tuple(sorted((ROOT / "bfai" / "ui").rglob("*.py")))
PACKAGE = tuple(sorted((ROOT / "bfai").rglob("*.py")))

# Rooms of bfai that a page may enter.
FOR_PAGES = ("bfai.workbench", "bfai.model", "bfai.i18n", "bfai.ui")
HEAVY = ("ccxt", "pandas", "altair", "numpy")
PICTURES = frozenset(
    """
    altair_chart area_chart bar_chart echarts_chart graphviz_chart image line_chart map mermaid_chart plotly_chart
    pydeck_chart pyplot scatter_chart vega_lite_chart dataframe table data_editor
    """.split()
)

Problems = Iterator[tuple[int, str]]
Rule = Callable[[ast.Module], Problems]


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from bfai import store` enters bfai.store.
            names = [f"bfai.{alias.name}" for alias in node.names] if node.module == "bfai" else [node.module]
            yield from ((node.lineno, name) for name in names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """What runs at import: module level, and inside its `if` and `try`, but not under `if TYPE_CHECKING`."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        statement = waiting.pop(0)
        yield statement
        if isinstance(statement, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(statement.test):
                waiting += [*statement.body, *statement.orelse]
        elif isinstance(statement, ast.Try):
            waiting += [*statement.body, *statement.orelse, *statement.finalbody]
        elif isinstance(statement, ast.With | ast.ClassDef):
            waiting += statement.body


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


# --- the rules ---------------------------------------------------------------------------------------------------


def asks_the_workbench_only(tree: ast.Module) -> Problems:
    for line, name in imported(ast.walk(tree)):
        if within(name, "bfai") and not within(name, *FOR_PAGES):
            yield line, f"a page asks the Workbench, not {name}"


def opens_with_open_page(tree: ast.Module) -> Problems:
    """Before it only imports, definitions and constants: a page reached by its address is locked as well."""
    for statement in tree.body:
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if is_docstring or isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            continue
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and called(value) == "open_page":
            return
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _is_constant(statement):
            continue
        yield statement.lineno, "before open_page only imports, definitions and constants"
        return
    yield 1, "open_page is never called"


def _is_constant(statement: ast.Assign | ast.AnnAssign) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    upper = all(isinstance(target, ast.Name) and target.id.isupper() for target in targets)
    return upper and not any(isinstance(node, ast.Name) and node.id == "st" for node in ast.walk(statement))


def shows_no_traceback_and_no_html(tree: ast.Module) -> Problems:
    for call in calls(tree):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "st.exception":
            yield call.lineno, "st.exception shows a traceback whatever the settings say"
        for keyword in call.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in ("unsafe_allow_html", "unsafe_allow_javascript") and not off:
                yield call.lineno, f"{keyword.arg}: names and answers of others are shown here"


def imports_nothing_heavy(tree: ast.Module) -> Problems:
    for line, name in imported(list(top_level(tree))):
        if within(name, *HEAVY):
            yield line, f"{name} is imported where it is used, so that the page opens fast"


def describes_its_pictures(tree: ast.Module) -> Problems:
    for call in calls(tree):
        is_ours = isinstance(call.func, ast.Attribute) and called(call) in PICTURES
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        empty = isinstance(given.get("alt"), ast.Constant) and not getattr(given.get("alt"), "value", None)
        # alt="" is right for an image that only decorates the words beside it.
        if is_ours and ("alt" not in given or (empty and called(call) != "image")):
            yield call.lineno, f"{called(call)} without alt= is silent, or speaks English, to a screen reader"


def fills_no_password_box(tree: ast.Module) -> Problems:
    for call in calls(tree):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        kind = given.get("type")
        if called(call) == "text_input" and isinstance(kind, ast.Constant) and kind.value == "password":
            if "value" in given or len(call.args) > 1:
                yield call.lineno, "a password box is never filled: its value would be sent to the browser"
            if "bind" in given or "persist_state" in given:
                yield call.lineno, "a secret is kept neither in the address nor in the session"


def takes_a_password_from_the_keyboard(tree: ast.Module) -> Problems:
    """Who leaves a password box with Tab comes to its eye first, and Streamlit then forgets to send what was typed."""
    forms = [node for node in ast.walk(tree) if isinstance(node, ast.With) and "st.form(" in ast.unparse(node.items[0])]
    inside = {id(call) for form in forms for call in ast.walk(form)}
    for call in calls(tree):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        kind = given.get("type")
        secret = called(call) == "text_input" and isinstance(kind, ast.Constant) and kind.value == "password"
        if secret and "live" not in given and id(call) not in inside:
            yield call.lineno, "a password box outside a form needs live=, or Tab loses what was typed into it"


def keeps_charts_still(tree: ast.Module) -> Problems:
    """A chart is drawn anew with every look at it; nobody wants it to grow from nothing each time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            given = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if _is_text(key)}
            still = given.get("animation")
            chart = isinstance(given.get("grid"), ast.Dict | ast.List)
            if chart and not (isinstance(still, ast.Constant) and still.value is False):
                yield node.lineno, 'a chart without "animation": False moves'


CHANGES = frozenset(
    """
    add_samples change change_password change_settings confirm_draft confirm_recovery_code confirm_withdraw_off delegate
    delete delete_everything disable download downloaded draft draft_of duplicate enable find_bot_keys
    find_uploaded_keys forget_draft forget_recovery_code import_file move_draft new_recovery_code pair rename restore
    restore_backup revoke_delegation revoke_recovery_code rotate_vault run_strategy save_bot_key save_draft
    set_folder set_schedule set_tripwire set_way_out speak start_draft_test start_test start_tests stop_strategy
    take_found take_report
    """.split()
)
"""Names of what a Workbench and its parts change, or do with a key."""
AT_THE_LOCK = ("_erase", "_visit", "delete_everything", "speak")


def changes_nothing_behind_a_lock(tree: ast.Module) -> Problems:
    """A callback runs before its page looks whether the vault is still open: what changes something goes through
    `attempt`, or asks `admit` itself.
    """
    inside = {id(node) for call in calls(tree) if called(call) in ("attempt", "attempting") for node in ast.walk(call)}
    by_name = {ast.unparse(call.args[0]) for call in calls(tree) if called(call) in ("attempt", "attempting")}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            decorated = any(ast.unparse(one) == "attempting" for one in function.decorator_list)
            asks = any(called(call) == "admit" for call in calls(function))
            if decorated or asks or function.name in (*by_name, *AT_THE_LOCK):
                inside |= {id(node) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CHANGES and id(node) not in inside:
            asked = ast.unparse(node.value)
            if re.search(r"\b(workbench|alerts|backups|strategies)$", asked):
                yield node.lineno, f"{asked}.{node.attr} behind a lock"


def _is_text(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


ON_PAGES: tuple[Rule, ...] = (asks_the_workbench_only, opens_with_open_page)
ON_SCREEN: tuple[Rule, ...] = (
    shows_no_traceback_and_no_html,
    imports_nothing_heavy,
    describes_its_pictures,
    fills_no_password_box,
    takes_a_password_from_the_keyboard,
    keeps_charts_still,
    changes_nothing_behind_a_lock,
)


def broken(rules: tuple[Rule, ...], *files: Path) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{line}: {problem}"
        for file in files
        for rule in rules
        for line, problem in rule(ast.parse(file.read_text(encoding="utf-8")))
    ]


def test_the_pages_are_there() -> None:
    assert PAGES[0].is_file()
    assert len(PAGES) > 1 and UI
    assert all(re.fullmatch(r"[a-z][a-z_]*\.py", page.name) for page in PAGES)


def test_pages_ask_the_workbench_and_begin_with_open_page() -> None:
    assert broken(ON_PAGES, *PAGES) == []


def test_nothing_on_the_screen_breaks_a_rule() -> None:
    assert broken(ON_SCREEN, *PAGES, *UI) == []


def test_the_model_knows_nobody() -> None:
    tree = ast.parse((ROOT / "bfai" / "model.py").read_text(encoding="utf-8"))
    assert [name for _, name in imported(ast.walk(tree)) if within(name, "bfai")] == []


def test_the_simulator_knows_neither_adapters_nor_ccxt() -> None:
    """As import-linter says too; this also sees an import that is made by name."""
    files = sorted((ROOT / "bfai" / "simulator").rglob("*.py"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        names = [name for _, name in imported(ast.walk(ast.parse(text)))]
        assert not [name for name in names if within(name, "ccxt", "bfai.exchanges")], file
        assert not re.search(r"""import_module\(\s*["'](ccxt|bfai\.exchanges)""", text), file


def test_only_the_screen_knows_streamlit() -> None:
    for file in PACKAGE:
        if file not in UI:
            names = [name for _, name in imported(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))]
            assert not [name for name in names if within(name, "streamlit", "bfai.ui")], file


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (asks_the_workbench_only, "from bfai.vault import Vault"),
        (asks_the_workbench_only, "from bfai import store"),
        (asks_the_workbench_only, "def f():\n    import bfai.exchanges.mexc"),
        (opens_with_open_page, "import streamlit as st\nst.title('x')\nopen_page('x')"),
        (opens_with_open_page, "KEYS = st.secrets\nopen_page('x')"),
        (opens_with_open_page, "if True:\n    open_page('x')"),
        (opens_with_open_page, "x = secret()\nopen_page('x')"),
        (opens_with_open_page, "X = 1"),
        (shows_no_traceback_and_no_html, "st.exception(e)"),
        (shows_no_traceback_and_no_html, "st.markdown(x, unsafe_allow_html=flag)"),
        (imports_nothing_heavy, "import pandas as pd"),
        (imports_nothing_heavy, "try:\n    from ccxt.async_support import mexc\nexcept ImportError:\n    pass"),
        (describes_its_pictures, "column.altair_chart(c)"),
        (describes_its_pictures, "st.echarts_chart(x, alt='')"),
        (describes_its_pictures, "st.image(x)"),
        (fills_no_password_box, "st.text_input('x', value=s, type='password')"),
        (fills_no_password_box, "st.text_input('x', s, type='password')"),
        (keeps_charts_still, "spec = {'grid': {}, 'xAxis': {}}"),
        (takes_a_password_from_the_keyboard, "with st.container():\n    st.text_input('x', type='password')"),
        (fills_no_password_box, "st.text_input('x', type='password', persist_state='session')"),
        (changes_nothing_behind_a_lock, "st.button('x', on_click=workbench.forget_draft)"),
        (changes_nothing_behind_a_lock, "def erase():\n    place.workbench.strategies.delete(1)"),
    ],
)
def test_each_rule_can_be_broken(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (asks_the_workbench_only, "from bfai.workbench import Workbench\nfrom bfai.ui.charts import strip"),
        (
            opens_with_open_page,
            '"""Doc."""\nimport x\nWEEK = timedelta(days=7)\ndef f(): ...\nworkbench = open_page("x")',
        ),
        (opens_with_open_page, "open_page('x')\nst.title('x')"),
        (imports_nothing_heavy, "if TYPE_CHECKING:\n    import pandas\ndef f():\n    import altair"),
        (describes_its_pictures, "st.image(x, alt=_('A strip'))"),
        (fills_no_password_box, "st.text_input('x', type='password', key='k')"),
    ],
)
def test_no_rule_complains_about_what_is_right(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source))) == []


# --- settings ----------------------------------------------------------------------------------------------------


def _flat(table: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def settings() -> dict[str, object]:
    return dict(_flat(tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))))


def test_every_setting_exists_in_this_streamlit() -> None:
    from streamlit import config

    assert set(settings()) <= set(config.get_config_options())


def test_the_settings_that_keep_secrets() -> None:
    kept = settings()
    assert kept["client.showErrorDetails"] == "none"
    assert kept["client.showErrorLinks"] is False
    assert kept["client.showSidebarNavigation"] is False
    assert kept["runner.magicEnabled"] is False
    assert kept["browser.gatherUsageStats"] is False
    assert kept["server.enableAgentApi"] is False
    assert kept["server.enableXsrfProtection"] is True
    assert kept["server.enableCORS"] is True
    assert not {name for name in kept if "trustedUserHeaders" in name or "unsafeMetrics" in name}
    # Community Cloud reads this file: an address here would cut the app off there. run.py gives it at home.
    assert not {"server.address", "server.port", "server.allowedHosts"} & set(kept)


def test_light_and_dark_set_the_same_things() -> None:
    names = set(settings())
    light = {name.removeprefix("theme.light.") for name in names if name.startswith("theme.light.")}
    dark = {name.removeprefix("theme.dark.") for name in names if name.startswith("theme.dark.")}
    assert light == dark and light


def test_a_warning_looks_like_a_failed_connection() -> None:
    kept = settings()
    for theme in ("light", "dark"):
        for part in ("Color", "TextColor", "BackgroundColor"):
            assert kept[f"theme.{theme}.yellow{part}"] == kept[f"theme.{theme}.orange{part}"]


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: object, other: object) -> float:
    darker, lighter = sorted((_luminance(str(one)), _luminance(str(other))))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read(theme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the borders of inputs."""
    kept = {name.removeprefix(f"theme.{theme}."): value for name, value in settings().items()}
    for ground in (
        "backgroundColor",
        "secondaryBackgroundColor",
        "sidebar.backgroundColor",
        "sidebar.secondaryBackgroundColor",
    ):
        assert contrast(kept["textColor"], kept[ground]) >= 4.5
        assert contrast(kept["linkColor"], kept[ground]) >= 4.5
    assert contrast("#FFFFFF", kept["primaryColor"]) >= 4.5
    assert contrast(kept["borderColor"], kept["backgroundColor"]) >= 3
    for colour in ("green", "blue", "red", "orange", "yellow", "violet", "gray"):
        assert contrast(kept[f"{colour}TextColor"], kept[f"{colour}BackgroundColor"]) >= 4.5
        assert contrast(kept[f"{colour}TextColor"], kept["backgroundColor"]) >= 4.5


def test_community_cloud_reads_requirements_txt_and_nothing_else() -> None:
    """It would take any of these first."""
    assert not [name for name in ("uv.lock", "Pipfile", "environment.yml") if (ROOT / name).exists()]


# --- what people share in one process ----------------------------------------------------------------------------

SHARED = {
    "bfai/about.py: packages": "what is installed",
    "bfai/exchanges/__init__.py: all_exchanges": "facts about exchanges",
    "bfai/i18n.py: _catalogue": "texts",
    "bfai/i18n.py: translator": "texts",
    "bfai/sending.py: _apprise": "a library",
    "bfai/sending.py: _asset": "its settings",
    "bfai/store/packing.py: _doubles": "how numbers lie in bytes",
    "bfai/store/postgres.py: _sent": "statements without values",
    "bfai/strategy/candles.py: _sample": "made-up candles",
    "bfai/strategy/limits.py: _judge": "an instance of ccxt without keys, which sends nothing",
    "bfai/strategy/limits.py: _kind": "a class of ccxt",
    "bfai/transport.py: _prototype": "an instance of ccxt without keys: each test works on a copy of it",
    "bfai/ui/session.py: _has_authlib": "whether a package is there",
    "bfai/ui/session.py: _keeper": "the one workbench of somebody's own computer, never opened where people sign in",
    "bfai/ui/session.py: warm_up": "a thread that imports packages",
    "bfai/workbench.py: _engine": "an event loop with open connections to exchanges, which keeps no key and no answer",
    "bfai/workbench.py: _shared_simulator": "made-up accounts",
    "bfai/workbench.py: _simulator_engine": "the same event loop for made-up accounts",
    "bfai/ui/language.py: zones_of_the_world": "names of time zones",
}
"""What is kept for everybody in the process, and why nobody learns of anybody by it."""


def kept_for_all(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if (
                    re.search(r"\b(cache|lru_cache|cache_data|cache_resource)\b", text)
                    and "scope='session'" not in text
                ):
                    yield node.name


def test_what_is_kept_for_all_people_of_a_process_is_known() -> None:
    found = {
        f"{file.relative_to(ROOT).as_posix()}: {name}"
        for file in (*PACKAGE, *PAGES)
        if "simulator" not in file.parts
        for name in kept_for_all(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == set(SHARED)
    assert list(kept_for_all(ast.parse("@st.cache_data(ttl=5)\ndef figures(): ...")))
    assert not list(kept_for_all(ast.parse("@st.cache_data(scope='session')\ndef figures(): ...")))


def test_files_are_given_out_in_one_place() -> None:
    """Streamlit serves them to whoever knows their address: `pieces.download_button` makes one that nobody guesses."""
    for file in (*PAGES, *UI):
        calls = re.findall(r"\bst\.download_button\b", file.read_text(encoding="utf-8"))
        assert len(calls) == (file.name == "pieces.py"), file
