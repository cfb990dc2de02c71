"""What is installed is what was chosen: the locks, the list of parts, and an audit that never passes by not asking."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOWHERE = "http://127.0.0.1:9"  # nobody listens on the port for discarding


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply", ROOT / "tools" / "supply.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["supply"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


supply = _load()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "supply.py", *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=110,
    )


# --- the locks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("requirements.in", "requirements-dev.in", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_locks_are_whole_and_belong_to_what_was_chosen(place: Path) -> None:
    supply.check(place)
    parts = supply.read_lock((place / "requirements.txt").read_text(encoding="utf-8"))
    assert len(parts) > 50 and all(part.hashes for part in parts)
    for name in ("requirements.in", "requirements-dev.in"):
        lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
        wanted = [line for line in lines if line and not line.startswith("-r ")]
        chosen = r"[A-Za-z0-9_.-]+(\[[a-z]+\])?==[0-9][0-9A-Za-z.]*"
        assert wanted and all(re.fullmatch(chosen, line) for line in wanted)


def test_line_ends_of_windows_change_nothing(place: Path) -> None:
    for name in ("requirements.in", "requirements.txt"):
        (place / name).write_bytes((place / name).read_bytes().replace(b"\n", b"\r\n"))
    supply.check(place)


def _replace(file: Path, pattern: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    changed = re.sub(pattern, new, text, count=1)
    assert changed != text
    file.write_text(changed, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "pattern", "new", "said"),
    [
        ("requirements.in", r"click==.*", "click==1.0", "requirements.txt was not made from requirements.in"),
        ("requirements-dev.in", r"ruff==.*\n", "", "requirements-dev.txt was not made from requirements-dev.in"),
        ("requirements.txt", r"( \\\n    --hash=\S+)+", "", "not a pinned package with hashes: 'aiohappyeyeballs=="),
        ("requirements.txt", r"sha256:[0-9a-f]{63}[0-9a-f] ", "sha256:0 ", "not a pinned package with hashes"),
        ("requirements.txt", r"click==", "click>=", "not a pinned package with hashes: 'click>="),
        ("requirements.txt", r"\Z", "--index-url http://example.com/simple\n", "'--index-url http://example.com"),
        ("requirements.txt", r"\Z", "evil @ http://example.com/evil.whl\n", "'evil @ "),
        (
            "requirements-dev.txt",
            r"(?m)^click==[\d.]+",
            "click==1.0",
            "The tests would run without what is shipped: click",
        ),
    ],
)
def test_a_lock_that_is_not_current_or_not_whole_is_named(
    place: Path, name: str, pattern: str, new: str, said: str
) -> None:
    _replace(place / name, pattern, new)
    with pytest.raises(supply.Trouble) as found:
        supply.check(place)
    assert said in str(found.value)


def test_everything_resolves_for_community_cloud_and_every_system_of_run_py() -> None:
    """Asks the package index; downloads no package. Fails where there is no index: it must not pass by not asking."""
    done = run("resolve")
    assert done.returncode == 0, done.stderr
    for version in ("3.12", "3.13"):
        assert f"Python {version} on x86_64-manylinux_2_28" in done.stdout


def test_without_an_index_nothing_is_said_to_resolve(tmp_path: Path) -> None:
    done = run("resolve", UV_DEFAULT_INDEX=f"{NOWHERE}/simple", UV_CACHE_DIR=str(tmp_path), UV_HTTP_RETRIES="0")
    assert done.returncode == 2 and "uv pip compile failed" in done.stderr


# --- the list of parts -------------------------------------------------------------------------------------------


def test_the_list_of_parts_names_every_package_its_licence_and_who_wants_it(tmp_path: Path) -> None:
    done = run("sbom", str(tmp_path / "sbom.json"))
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    parts = supply.read_lock((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert [(part["name"], part["version"]) for part in document["components"]] == [
        (part.name, part.version) for part in parts
    ]
    references = {part["bom-ref"] for part in document["components"]}
    wanted = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    reached, waiting = set[str](), [document["metadata"]["component"]["bom-ref"]]
    while waiting:
        for reference in wanted[waiting.pop()]:
            if reference not in reached:
                reached.add(reference)
                waiting.append(reference)
    assert reached == references, "a package that nobody wants"
    by_name = {part["name"]: part for part in document["components"]}
    assert by_name["streamlit"]["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert len(by_name["click"]["properties"]) >= 1 and by_name["click"]["purl"].startswith("pkg:pypi/click@")
    again = run("sbom", str(tmp_path / "again.json"))
    assert again.returncode == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "sbom.json").read_bytes()


def test_the_list_of_parts_is_valid_cyclonedx() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    parts = supply.read_lock((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    text = json.dumps(supply.bill_of_materials(parts))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"library"', '"libary"')) is not None


def test_every_shipped_package_has_a_licence_that_lets_it_be_shipped() -> None:
    """Each of them may be used beside MIT without opening what uses it; MPL and LGPL ask that of themselves only."""
    parts = supply.read_lock((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    told = {part.name: supply.licence_of(part.name) for part in parts}
    open_to_all = r"\b(MIT|BSD|Apache|ISC|PSF|Python|MPL|LGPL|Mozilla|HPND|CMU|Zlib|Unlicense|0BSD|Public Domain)"
    strange = {name: words for name, words in told.items() if words and not re.search(open_to_all, words)}
    assert not strange
    # What only other systems install tells nothing here.
    silent = {part.name for part in parts if not told[part.name] and not part.marker}
    assert not silent


# --- the audit ---------------------------------------------------------------------------------------------------

ASKED = {"django": "1.8", "one": "1.0"}
BAD = {"name": "Django", "version": "1.8", "vulns": [{"id": "PYSEC-2015-10", "fix_versions": ["1.8.3"]}]}


def _answer(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies), "fixes": []}


def test_an_audit_that_cannot_reach_the_advisories_fails() -> None:
    done = run("audit", HTTPS_PROXY=NOWHERE, https_proxy=NOWHERE, ALL_PROXY=NOWHERE, NO_PROXY="", no_proxy="")
    assert done.returncode == 2
    assert done.stderr.startswith("Not audited: the advisory database") and "Traceback" not in done.stderr


def test_nothing_known_is_told_apart_from_something() -> None:
    clean = {"name": "One", "version": "1.0", "vulns": []}
    assert supply.judge(_answer(clean, BAD), ASKED) == []
    bad = {**clean, "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2"]}, {"id": "PYSEC-2", "fix_versions": []}]}
    assert supply.judge(_answer(bad, BAD), ASKED) == [
        "one 1.0: PYSEC-1, mended in 1.1, 2",
        "one 1.0: PYSEC-2, mended in no version yet",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        _answer({"name": "one", "skip_reason": "Dependency not found on PyPI"}, BAD),  # a mirror without advisories
        _answer({"name": "one", "version": "0.9", "vulns": []}, BAD),
        _answer({"name": "one", "version": "1.0", "vulns": []}, {**BAD, "vulns": []}),  # one that knows of none at all
        _answer(),
        {},
        [],
        None,
    ],
)
def test_an_answer_that_does_not_speak_of_everything_is_no_audit(answer: object) -> None:
    with pytest.raises(supply.Trouble, match=r"^Not audited"):
        supply.judge(answer, ASKED)


def test_two_versions_of_one_package_are_both_asked_for() -> None:
    groups = supply._one_version_each([("numpy", "1"), ("one", "1"), ("numpy", "2")])
    assert groups == [{"django": "1.8", "numpy": "1", "one": "1"}, {"django": "1.8", "numpy": "2"}]
