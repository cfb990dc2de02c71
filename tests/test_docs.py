"""What the documents point at is there: files, headings, tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

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


def test_every_claim_of_the_security_page_names_its_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| **")]
    assert len(rows) > 15
    for row in rows:
        assert TEST.search(row.rsplit("|", 2)[1]), row


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
