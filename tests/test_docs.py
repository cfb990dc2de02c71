"""What the documents point at is there: files, headings, tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tools import mutants

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"""(?:\[[^\]]*\]\(|\b(?:src|href)=")([^)"\s]+)""")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FENCE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)  # what is code, is no link


def anchors(page: Path) -> set[str]:
    """The names that a forge gives to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def decorators_of(path: str, name: str) -> set[str]:
    """The last words of the marks on a test, such as `skip` of `pytest.mark.skip`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return {
                found.attr for one in node.decorator_list for found in ast.walk(one) if isinstance(found, ast.Attribute)
            }
    return set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for path, name in TEST.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() and name in functions_in(path), f"{page.name} names {path}::{name}"


SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROMISED = {
    "The key and the exchange": "can withdraw",
    "The lock": "locks by itself|after a restart|100 ms",
    "Tampering": "flipped bit|within bounds",
    "This computer": "yours alone",
    "The web": "foreign origin|logging out|own page|too large",
    "People of one server": "no other rows|no command",
    "Backups": "a cut",
    "Deletion": "not in SQLite's files",
    "What it is made of": "version and hash|fails where it cannot ask",
}
"""The parts of the page, and words of what each must speak of."""


def test_every_claim_of_the_security_page_names_its_test() -> None:
    rows = [line for line in SECURITY.splitlines() if line.startswith("|") and "---" not in line]
    claims = [row for row in rows if not row.endswith("| shown by |")]
    assert len(claims) > 45
    for row in claims:
        who, _what, shown = (cell.strip() for cell in row.strip("|").split("|"))
        assert who.startswith("**"), row
        assert re.fullmatch(rf"{TEST.pattern}(, {TEST.pattern})*", shown), row
        names = TEST.findall(shown)
        assert len(names) == len(set(names)), row
    subjects = [row.split("**")[1] for row in claims]
    assert len(subjects) == len(set(subjects)), "somebody stands there twice"


def test_the_security_page_speaks_of_everything_promised() -> None:
    parts = dict(re.findall(r"^### (.+?)\n(.+?)(?=^##)", SECURITY, re.MULTILINE | re.DOTALL))
    assert parts.keys() == PROMISED.keys()
    for part, words in PROMISED.items():
        for word in words.split("|"):
            assert word in parts[part].lower() or word in parts[part], f"{part}: {word}"


def test_no_test_of_the_security_page_is_left_out() -> None:
    """Named in another way than can be looked up, or always skipped: that is no test that is green."""
    assert len(re.findall(r"tests/", SECURITY)) == len(TEST.findall(SECURITY))
    for path, name in TEST.findall(SECURITY):
        assert not decorators_of(path, name) & {"skip", "xfail"}, f"{path}::{name}"


def test_every_page_is_found_from_the_readme() -> None:
    """Within two steps: a page that nobody links to does not exist for a reader."""
    readme = ROOT / "README.md"
    found, edge = {readme}, [readme]
    for _ in range(2):
        linked = {
            (page.parent / target.partition("#")[0]).resolve()
            for page in edge
            for target in LINK.findall(page.read_text(encoding="utf-8"))
            if target.partition("#")[0].endswith(".md") and "://" not in target
        }
        edge = [page for page in linked - found if page.exists()]
        found |= set(edge)
    assert set(PAGES) <= found, sorted(str(page.relative_to(ROOT)) for page in set(PAGES) - found)


def code_of(module: str, function: str) -> list[str]:
    """The lines of a function, by `name` or `Class.name`, as Python writes them."""
    tree: ast.AST = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    for name in function.split("."):
        (tree,) = [one for one in ast.iter_child_nodes(tree) if getattr(one, "name", None) == name]
    return [line.strip() for line in ast.unparse(tree).splitlines()]


def test_every_change_that_is_explained_can_still_be_made() -> None:
    explained = mutants.explained(mutants.EXPLAINED.read_text(encoding="utf-8"))
    assert explained
    for one in explained:
        assert one.before and one.before != one.after, one
        assert set(one.before) <= set(code_of(one.module, one.function)), one
