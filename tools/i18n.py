"""Keeps the catalogues current: `python tools/i18n.py extract | update | check`.

extract   collect the texts of the sources into bfai/locales/bfai.pot
update    extract, then bring each language up to it (new texts empty, changed ones fuzzy, unused ones gone)
check     say what is missing or wrong, change nothing; exit 1 if there is anything
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bfai.i18n import DEFAULT_LANGUAGE  # noqa: E402
from bfai.i18n import LANGUAGES as SPOKEN  # noqa: E402

LANGUAGES = tuple(language for language in SPOKEN if language != DEFAULT_LANGUAGE)
KEYWORDS = {"_": None, "N_": None, "t": None, "n_": (1, 2), "n": (1, 2), "NN_": (1, 2), "ngettext": (1, 2)}
WIDTH = 110
COMMAND_LINE = "bfai/cli.py"
SHOWN_PROBLEMS = 60

FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
# What may hold letters without being a text to translate: icons and the names of colours in Streamlit's Markdown.
MARKUP = re.compile(r":(?:material/\w+:|[a-z]+(?:-background|-badge)?\[|small\[)|&[a-z]+;|https?://\S+|`[^`]*`")
NAMES = frozenset(
    {"BackFuture AI Workbench", "BackFuture AI", "English", "Nederlands", "Hrvatski", "Deutsch", "UTC", "JSON", "CSV"}
)

# Functions of Streamlit whose first argument is shown; a metric shows three.
SHOWN = frozenset(
    """
    title header subheader caption write markdown text html latex badge metric error warning info success toast spinner
    status expander popover dialog tabs button download_button link_button form_submit_button menu_button text_input
    text_area number_input slider date_input time_input datetime_input checkbox toggle radio selectbox multiselect
    select_slider pills segmented_control color_picker file_uploader camera_input audio_input chat_input
    Column TextColumn NumberColumn CheckboxColumn SelectboxColumn MultiselectColumn DatetimeColumn DateColumn TimeColumn
    ListColumn LinkColumn ImageColumn LineChartColumn BarChartColumn AreaChartColumn ProgressColumn ButtonColumn
    MarkdownColumn JsonColumn
    """.split()
)
CHOICES = frozenset({"radio", "selectbox", "multiselect", "select_slider", "pills", "segmented_control", "menu_button"})
TEXT_KEYWORDS = frozenset(
    "label help placeholder alt title page_title caption body delta_description delta on_label off_label".split()
)
LOGGERS = frozenset({"log", "logger", "logging", "_log", "_logger", "LOG"})


def sources(root: Path = ROOT) -> Iterator[Path]:
    """Every file whose texts a person may read, in a fixed order. The simulator speaks English, as exchanges do."""
    yield from (path for path in (root / "app.py",) if path.exists())
    yield from sorted(path for path in (root / "pages").rglob("*.py"))
    yield from sorted(path for path in (root / "bfai").rglob("*.py") if "simulator" not in path.relative_to(root).parts)


def extract(root: Path = ROOT) -> Catalog:
    catalogue = Catalog(
        project="BackFuture AI Workbench",
        version="1",
        copyright_holder="BackFuture AI Workbench contributors",
        msgid_bugs_address="",
        charset="utf-8",
        fuzzy=False,
        header_comment="# The texts of BackFuture AI Workbench.",
    )
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        for _, message, comments, _ in extract_from_file(
            "python", path, keywords=KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
        ):
            if message:
                catalogue.add(message, None, [(name, 0)], auto_comments=comments)
        if name == COMMAND_LINE:
            for message in command_help(ast.parse(path.read_text(encoding="utf-8"))):
                catalogue.add(message, None, [(name, 0)])
    return catalogue


def command_help(tree: ast.AST) -> Iterator[str]:
    """What click prints as help: the docstrings of commands, and the `help` of options."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(one, ast.Call) and _called(one) in ("command", "group") for one in node.decorator_list
        ):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Call) and _called(node) == "option":
            given = {keyword.arg: keyword.value for keyword in node.keywords}.get("help")
            if isinstance(given, ast.Constant):
                yield str(given.value)


def written(catalogue: Catalog) -> bytes:
    """The catalogue as a file, without dates and line numbers: it changes only when a text does."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=WIDTH, include_lineno=False, ignore_obsolete=True, include_previous=True)
    dropped = (b'"POT-Creation-Date', b'"PO-Revision-Date', b'"Generated-By', b'"Last-Translator', b'"Language-Team')
    return b"".join(line for line in buffer.getvalue().splitlines(keepends=True) if not line.startswith(dropped))


def pot_path(root: Path = ROOT) -> Path:
    return root / "bfai" / "locales" / "bfai.pot"


def po_path(language: str, root: Path = ROOT) -> Path:
    return root / "bfai" / "locales" / language / "LC_MESSAGES" / "bfai.po"


def read(path: Path, language: str | None = None) -> Catalog:
    with path.open("rb") as source:
        return read_po(source, locale=language, abort_invalid=True)


def save(path: Path, catalogue: Catalog) -> bool:
    content = written(catalogue)
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def update(root: Path = ROOT) -> list[str]:
    """Write the template and bring every language up to it. Returns one line a language."""
    template = extract(root)
    save(pot_path(root), template)
    lines: list[str] = []
    for language in LANGUAGES:
        path = po_path(language, root)
        if path.exists():
            catalogue = read(path, language)
        else:
            catalogue = Catalog(locale=language, project=template.project, version="1", fuzzy=False, charset="utf-8")
        catalogue.header_comment = template.header_comment
        catalogue.update(template, update_header_comment=False)
        catalogue.fuzzy = False
        save(path, catalogue)
        lines.append(f"{language}: {sum(map(finished, texts(catalogue)))} of {len(texts(catalogue))} translated")
    return lines


def texts(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id]


def forms(message: Message) -> tuple[str, ...]:
    string = message.string
    return tuple(string) if isinstance(string, list | tuple) else (string or "",)


def ids(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, list | tuple) else (message.id,)


def finished(message: Message) -> bool:
    return not message.fuzzy and all(forms(message))


# --- check: catalogues -----------------------------------------------------------------------------------------


def check(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the texts and their translations, one line each."""
    template = extract(root)
    return [
        *_stale(template, root),
        *bypasses(root),
        *(f"{_short(text)}: {fault}" for message in texts(template) for text in ids(message) for fault in faults(text)),
        *(problem for language in LANGUAGES for problem in check_language(language, template, root)),
    ]


def _stale(template: Catalog, root: Path) -> Iterator[str]:
    if not pot_path(root).exists():
        yield "bfai.pot is missing: run `python tools/i18n.py update`"
        return
    kept = {ids(message) for message in texts(read(pot_path(root)))}
    now = {ids(message) for message in texts(template)}
    if kept != now:
        example = _short(min(kept ^ now)[0])
        yield (
            f"bfai.pot is not current: {len(now - kept)} new texts, {len(kept - now)} gone, {example} for one: "
            "run `python tools/i18n.py update`"
        )


def faults(text: str) -> Iterator[str]:
    """What is wrong with an English text in itself."""
    for match in FIELD.finditer(text):
        if match[0] in "{}" or (match[1] is not None and not match[1].isidentifier()):
            yield f"placeholder {match[0]!r} is not a plain {{name}}"
    if text != text.strip():
        yield "begins or ends with a blank: whole phrases, never glued words"
    yield from _unbalanced(text)


def _unbalanced(text: str) -> Iterator[str]:
    if text.count("**") % 2:
        yield "** is not closed"
    if text.count("`") % 2:
        yield "a backtick is not closed"
    if text.count("[") != text.count("]"):
        yield "a bracket is not closed"


def fields(text: str) -> set[str]:
    return {match[1] for match in FIELD.finditer(text) if match[1] is not None}


def check_language(language: str, template: Catalog, root: Path = ROOT) -> Iterator[str]:
    path = po_path(language, root)
    if not path.exists():
        yield f"{language}: there is no catalogue: run `python tools/i18n.py update`"
        return
    catalogue = read(path, language)
    plurals = get_plural(language)
    if catalogue.plural_forms.replace(" ", "") != plurals.plural_forms.replace(" ", ""):
        yield f"{language}: Plural-Forms is {catalogue.plural_forms!r}, not {plurals.plural_forms!r}"
    for wanted in texts(template):
        message = catalogue.get(wanted.id)
        name = f"{language}: {_short(ids(wanted)[0])}"
        if message is None or not any(forms(message)):
            yield f"{name}: not translated"
        elif message.fuzzy:
            yield f"{name}: fuzzy, look at it and remove the mark"
        elif isinstance(wanted.id, list | tuple):
            if len(forms(message)) != plurals.num_plurals or not all(forms(message)):
                yield f"{name}: needs {plurals.num_plurals} plural forms"
            for position, form in enumerate(forms(message)):
                # "One connection" may do without its number where the form stands for 1 and nothing else.
                only_one = plurals.num_plurals == 2 and position == 0
                yield from (f"{name}: {fault}" for fault in differences(wanted.id[0 if only_one else 1], form))
        else:
            yield from (f"{name}: {fault}" for fault in differences(wanted.id, forms(message)[0]))


def differences(text: str, translation: str) -> Iterator[str]:
    """What a translation changes that it must keep."""
    if not translation:
        return
    yield from faults(translation)
    if missing := fields(text) - fields(translation):
        yield f"lost {', '.join(f'{{{field}}}' for field in sorted(missing))}"
    if extra := fields(translation) - fields(text):
        yield f"has {', '.join(f'{{{field}}}' for field in sorted(extra))}, which nobody fills"
    for mark, shown in (
        ("**", "**"),
        ("`", "backticks"),
        ("](", "links"),
        (":material/", "icons"),
        ("\n", "line breaks"),
    ):
        if text.count(mark) != translation.count(mark):
            yield f"{text.count(mark)} {shown} in English, {translation.count(mark)} here"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat if len(flat) <= 60 else flat[:59] + "…"}"'


# --- check: texts that go past gettext --------------------------------------------------------------------------


def _hidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Marked texts inside an f-string: before Python 3.12 babel does not see them, so they would stay English."""
    for text in ast.walk(tree):
        if isinstance(text, ast.JoinedStr):
            for call in ast.walk(text):
                literal = isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
                if literal and isinstance(call, ast.Call) and _called(call) in ("_", "n_", "N_", "NN_", "t", "n"):
                    yield call.lineno, "a text inside an f-string is not collected: put it outside"


def bypasses(root: Path = ROOT) -> Iterator[str]:
    """Texts that are shown without having been marked, and calls that do not fill their placeholders."""
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        on_screen = not name.startswith("bfai/") or name.startswith("bfai/ui/")
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=name)
        for line, problem in _hidden(tree):
            yield f"{name}:{line}: {problem}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for line, problem in _call_problems(node, on_screen):
                    yield f"{name}:{line}: {problem}"


def _call_problems(call: ast.Call, on_screen: bool) -> Iterator[tuple[int, str]]:
    called = _called(call)
    if called in KEYWORDS and (isinstance(call.func, ast.Name) or called in ("t", "n")):
        yield from _marked_problems(call, called)
    elif called == "Message":
        yield from _message_problems(call)
    elif on_screen:
        yield from _shown_problems(call, called)


def _called(call: ast.Call) -> str:
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _marked_problems(call: ast.Call, called: str) -> Iterator[tuple[int, str]]:
    wanted = 2 if KEYWORDS[called] else 1
    for argument in call.args[:wanted]:
        if isinstance(argument, ast.JoinedStr) and any(
            isinstance(part, ast.FormattedValue) for part in argument.values
        ):
            yield argument.lineno, f'{called}(f"…") cannot be translated: use a {{name}} and a parameter'
        elif isinstance(argument, ast.BinOp) and list(_unmarked(argument)):
            yield argument.lineno, f"{called}(…) is glued: write one whole phrase"
    if called in ("N_", "NN_") or any(keyword.arg is None for keyword in call.keywords):
        return
    given = {keyword.arg for keyword in call.keywords} | ({"count"} if wanted == 2 else set())
    for argument in call.args[:wanted]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            for field in sorted(fields(argument.value) - given):
                yield call.lineno, f"{_short(argument.value)}: {{{field}}} is not filled"


def _message_problems(call: ast.Call) -> Iterator[tuple[int, str]]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    text = given.get("text")
    if text is None:
        return
    for line, shown in _unmarked(text):
        yield line, f"Message text {shown} is not marked: N_(…)"
    params = given.get("params", ast.Dict([], []))
    if not isinstance(params, ast.Dict) or None in params.keys:
        return
    keys = {key.value for key in params.keys if isinstance(key, ast.Constant)}
    if isinstance(text, ast.Call) and _called(text) in ("N_", "NN_") and len(keys) == len(params.keys):
        for argument in text.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                for field in sorted(fields(argument.value) - keys):
                    yield call.lineno, f"{_short(argument.value)}: {{{field}}} is not filled"


def _shown_problems(call: ast.Call, called: str) -> Iterator[tuple[int, str]]:
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id in LOGGERS:
        return
    shown = [keyword.value for keyword in call.keywords if keyword.arg in TEXT_KEYWORDS]
    # A bare function of such a name is one of ours; a method is Streamlit's, on st or on a container.
    if isinstance(call.func, ast.Attribute):
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if called in SHOWN:
            shown += call.args[: 3 if called == "metric" else 1]
        if called == "metric":
            shown += [named[name] for name in ("value",) if name in named]
        if called == "progress":
            shown += [*call.args[1:2], *(named[name] for name in ("text",) if name in named)]
        if called in CHOICES and "format_func" not in named:
            shown += [*call.args[1:2], *(named[name] for name in ("options",) if name in named)]
    for argument in shown:
        for line, text in _unmarked(argument):
            yield line, f"{text} is shown by {called}() without _(…)"


def _unmarked(node: ast.expr) -> Iterator[tuple[int, str]]:
    """Literal words inside an expression that no call has had a chance to translate."""
    match node:
        case ast.Constant(value=str(text)) if wordy(text):
            yield node.lineno, _short(text)
        case ast.JoinedStr(values=values):
            literal = "\0".join(
                part.value for part in values if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            # An icon's name may be a value: f":material/{icon}: …", f":{colour}[…]".
            if wordy(re.sub(r":material/\x00:", "", literal)):
                yield node.lineno, "f" + _short(literal.replace("\0", "{…}"))
        case ast.BinOp(left=left, right=right):
            yield from _unmarked(left)
            if not (isinstance(node.op, ast.Mod) and isinstance(right, ast.Tuple)):
                yield from _unmarked(right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _unmarked(body)
            yield from _unmarked(orelse)
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            for value in values:
                yield from _unmarked(value)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format" | "join" | "format_map")):
            if wordy(text):
                yield node.lineno, _short(text)
        case _:
            return


def wordy(text: str) -> bool:
    """Whether there are words of a language in it, apart from names and markup."""
    bare = MARKUP.sub("", text)
    return bare.strip() not in NAMES and bool(re.search(r"[^\W\d_]{2,}", bare))


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["extract"]:
            catalogue = extract()
            save(pot_path(), catalogue)
            print(f"{len(texts(catalogue))} texts in bfai/locales/bfai.pot")
            return 0
        case ["update"]:
            print("\n".join(update()))
            return 0
        case ["check"]:
            problems = check()
            print("\n".join(problems[:SHOWN_PROBLEMS]) or "All texts are marked and translated.")
            if len(problems) > SHOWN_PROBLEMS:
                print(f"… and {len(problems) - SHOWN_PROBLEMS} more")
            return 1 if problems else 0
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
