"""What is shipped, from which files, and what is known against it: `python tools/supply.py COMMAND`.

lock [--upgrade]  write requirements.txt and requirements-dev.txt from their .in files: every package with its version
                  and the hashes of its files, for every system. Versions stay as they are unless an .in file or
                  --upgrade asks for others
check             say whether both files belong to their .in files and are whole; asks nobody, changes nothing
resolve           ask the package index whether both files are what `lock` would write now, and whether every system
                  gets ready-made files, Streamlit Community Cloud first. Downloads no package
sbom [FILE]       write the list of parts in CycloneDX 1.6 (sbom.cdx.json), with the licences of what is installed here
audit             ask for known vulnerabilities. Ends with 1 for a finding, with 2 where the advisories cannot be had
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# Each lock and what it is made from.
LOCKS: Mapping[str, tuple[str, ...]] = {
    "requirements.txt": ("requirements.in",),
    "requirements-dev.txt": ("requirements-dev.in", "requirements.in"),
}
SHIPPED = "requirements.txt"
OLDEST = "3.11"
# Where what is shipped must install from ready-made files. The first two are Streamlit Community Cloud.
SYSTEMS = (
    ("3.12", "x86_64-manylinux_2_28"),
    ("3.13", "x86_64-manylinux_2_28"),
    ("3.13", "x86_64-pc-windows-msvc"),
    ("3.13", "aarch64-apple-darwin"),
)
# Not shipped. Dozens of advisories name it: a database that has nothing to say about it knows nothing.
KNOWN_BAD = ("django", "1.8")

LICENCE_FIELDS = ("License-Expression", "License", "Classifier")

_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[0-9][0-9A-Za-z.!+-]*)(?: ; (?P<marker>[^\\\n]+?))? \\\n"
    r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
    r"(?P<via>(?:    #[^\n]*\n)*)",
    re.MULTILINE,
)


class Trouble(Exception):
    """What is wrong and how to mend it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a lock. `via` names the packages that want it; none where an .in file names it alone."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]


def read_lock(text: str) -> list[Part]:
    """The packages of a lock. Trouble where a line is anything but a pinned package with its hashes."""
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    rest = _ENTRY.sub("", body).strip()
    if rest:
        raise Trouble(f"not a pinned package with hashes: {rest.splitlines()[0]!r}. Run `make lock`.")
    return [
        Part(
            name=found["name"],
            version=found["version"],
            marker=found["marker"] or "",
            hashes=tuple(re.findall(r"sha256:([0-9a-f]{64})", found["hashes"])),
            via=tuple(re.findall(r"^    #(?:  | via) ([a-z0-9][a-z0-9-]*)$", found["via"], re.MULTILINE)),
        )
        for found in _ENTRY.finditer(body)
    ]


def heading(lock: str, root: Path = ROOT) -> str:
    """The first lines of a lock: what it was made from, so that a change there is seen without asking anybody."""
    digest = hashlib.sha256()
    for name in LOCKS[lock]:
        digest.update((root / name).read_text(encoding="utf-8").encode())  # the same whatever the line ends are
    made_from = LOCKS[lock][0]
    return (
        f"# Written by `make lock` from {made_from}, the file to edit. Every package, pinned, with the hashes of its\n"
        "# files, for every system. Streamlit Community Cloud reads requirements.txt.\n"
        f"# made from: sha256:{digest.hexdigest()}\n"
    )


def compiled(lock: str, *, upgrade: bool = False) -> str:
    """A lock as it would be written now. Packages keep the version that they have where nothing speaks against it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / lock
        if (ROOT / lock).exists() and not upgrade:
            target.write_bytes((ROOT / lock).read_bytes())
        options = ["--universal", "--python-version", OLDEST, "--generate-hashes", "--no-header", "--no-config"]
        _uv("pip", "compile", LOCKS[lock][0], *options, "--output-file", str(target))
        return heading(lock) + target.read_text(encoding="utf-8")


def _uv(*arguments: str) -> None:
    done = subprocess.run(  # nosec B603 # no shell
        [sys.executable, "-m", "uv", *arguments, "--quiet"],
        cwd=ROOT,
        env={**os.environ, "UV_PYTHON": sys.executable},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Trouble(f"uv {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}")


def lock(*, upgrade: bool) -> None:
    for name in LOCKS:
        text = compiled(name, upgrade=upgrade)
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {len(read_lock(text))} packages")


def check(root: Path = ROOT) -> None:
    """Trouble where a lock is not of its .in files or not whole, or where they disagree: tests use what is shipped."""
    parts: dict[str, list[Part]] = {}
    for name in LOCKS:
        text = (root / name).read_text(encoding="utf-8")
        if not text.startswith(heading(name, root)):
            raise Trouble(f"{name} was not made from {' and '.join(LOCKS[name])} as they are now: run `make lock`.")
        parts[name] = read_lock(text)
    shipped, tested = ({(part.name, part.version) for part in parts[name]} for name in LOCKS)
    if shipped - tested:
        odd = ", ".join(f"{name} {version}" for name, version in sorted(shipped - tested))
        raise Trouble(
            f"The tests would run without what is shipped: {odd}. Pin a version in requirements.in that both accept."
        )


def resolve() -> None:
    """Trouble where the index would give something else, or where a system has no ready-made file of a package."""
    for name in LOCKS:
        if compiled(name) != (ROOT / name).read_text(encoding="utf-8"):
            raise Trouble(f"{name} is not what the index gives for {LOCKS[name][0]}: run `make lock`.")
        print(f"{name}: current")
    with tempfile.TemporaryDirectory() as folder:
        for version, system in SYSTEMS:
            place = ["--target", folder, "--python-version", version, "--python-platform", system]
            strict = ["--dry-run", "--no-config", "--require-hashes", "--only-binary", ":all:"]
            _uv("pip", "install", *strict, *place, "--requirement", SHIPPED)
            print(f"{SHIPPED}: Python {version} on {system}")


# --- the list of parts -------------------------------------------------------------------------------------------


def licence_of(name: str) -> str:
    """The licence that a package names, installed here; "" where it is not installed or names none."""
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    expression, words, classifiers = (about.get_all(field) or [] for field in LICENCE_FIELDS)
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    short = [word for word in words if 0 < len(word) <= 60 and "\n" not in word]
    return next(iter([*expression, *short]), " and ".join(named))


def bill_of_materials(parts: Sequence[Part]) -> dict[str, Any]:
    """CycloneDX 1.6. The same lock on the same system gives the same document."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    root = f"{about['name']}@{about['version']}"
    references = {part: f"pkg:pypi/{part.name}@{part.version}" for part in parts}
    wanted: dict[str, set[str]] = {reference: set() for reference in (root, *references.values())}
    for part, reference in references.items():
        for wanting in part.via:
            for parent in [other for other in parts if other.name == wanting]:
                wanted[references[parent]].add(reference)
    direct = _named_in((ROOT / "requirements.in").read_text(encoding="utf-8"))
    wanted[root] = {reference for part, reference in references.items() if part.name in direct}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ' '.join(sorted(references.values())))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": about["name"],
                "version": about["version"],
                "licenses": [{"expression": about["license"]}],
            }
        },
        "components": [_component(part, reference) for part, reference in references.items()],
        "dependencies": [{"ref": reference, "dependsOn": sorted(on)} for reference, on in sorted(wanted.items())],
    }


def _component(part: Part, reference: str) -> dict[str, Any]:
    licence = licence_of(part.name)
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": part.name,
        "version": part.version,
        "purl": reference,
        # One package has many files, one for each system: which hash is whose the index knows.
        "properties": [{"name": "python:file:sha256", "value": value} for value in part.hashes],
    }
    if licence:
        found["licenses"] = [{"license": {"name": licence}}]
    if part.marker:
        found["properties"].insert(0, {"name": "python:marker", "value": part.marker})
    return found


def _named_in(text: str) -> set[str]:
    names = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[a-z]+\])?==", text, re.MULTILINE)
    return {str(canonicalize_name(name)) for name in names}


def sbom(target: Path) -> None:
    parts = read_lock((ROOT / SHIPPED).read_text(encoding="utf-8"))
    document = bill_of_materials(parts)
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8", newline="\n")
    silent = [component["name"] for component in document["components"] if "licenses" not in component]
    print(f"{target}: {len(parts)} packages" + (f"; no licence known here: {', '.join(silent)}" if silent else ""))


# --- known vulnerabilities ---------------------------------------------------------------------------------------


def audit() -> int:
    """Asks for every package of every system. 0: none is known to be vulnerable. 1: some are. Trouble: not asked."""
    parts = read_lock((ROOT / SHIPPED).read_text(encoding="utf-8"))
    found: list[str] = []
    for group in _one_version_each((part.name, part.version) for part in parts):
        found += judge(_ask(group), group)
    for line in found:
        print(line)
    print(f"{len(parts)} packages asked for, {len(found) or 'no'} advisories.")
    return int(bool(found))


def _one_version_each(packages: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """pip-audit takes one version of a package at a time, and a lock for all systems may have two."""
    groups: list[dict[str, str]] = []
    for name, version in packages:
        group = next((group for group in groups if name not in group), None)
        if group is None:
            groups.append(group := dict([KNOWN_BAD]))
        group[name] = version
    return groups


def _ask(packages: Mapping[str, str]) -> object:
    with tempfile.TemporaryDirectory() as folder:
        wanted, answer = Path(folder) / "wanted.txt", Path(folder) / "answer.json"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()), encoding="utf-8")
        options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--cache-dir", folder]
        done = subprocess.run(  # nosec B603 # no shell
            [sys.executable, "-m", "pip_audit", "-r", wanted, *options, "--format", "json", "--output", answer],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        try:
            return json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise Trouble(f"Not audited: the advisory database cannot be reached. pip-audit said: {said}") from None


def judge(answer: object, packages: Mapping[str, str]) -> list[str]:
    """A line for each advisory in pip-audit's answer. Trouble where it does not speak of every package, or has
    nothing against one that is known to be bad: then silence about the others means nothing either.
    """
    told: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in answer.get("dependencies", ()) if isinstance(answer, dict) else ():
        if "vulns" in one:
            told[str(canonicalize_name(one["name"])), one["version"]] = one["vulns"]
    silent = [f"{name} {version}" for name, version in packages.items() if (name, version) not in told]
    if silent:
        raise Trouble(
            f"Not audited: the advisory database gave no answer for {len(silent)} of {len(packages)} packages, "
            f"{silent[0]} first. Try it where it can be reached."
        )
    name, version = KNOWN_BAD
    if not told.pop(KNOWN_BAD, None):
        raise Trouble(
            f"Not audited: the advisory database has nothing against {name} {version}, which is known to be "
            "vulnerable. What answers is no advisory database."
        )
    return [
        f"{name} {version}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no version yet'}"
        for (name, version), advisories in told.items()
        for one in advisories
    ]


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["lock"]:
            lock(upgrade=False)
        case ["lock", "--upgrade"]:
            lock(upgrade=True)
        case ["check"]:
            check()
        case ["resolve"]:
            resolve()
        case ["sbom", *target] if len(target) < 2:
            sbom(Path(target[0]) if target else ROOT / "sbom.cdx.json")
        case ["audit"]:
            return audit()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        sys.exit(2)
