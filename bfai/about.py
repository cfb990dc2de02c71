"""What this program is made of: its version, and the packages that run with it, each with its licence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from bfai import __version__

VERSION: Final = __version__
LICENCE: Final = "MIT"
_REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements.txt"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST: Final = 60


class Package(NamedTuple):
    """An installed package; `licence` is empty where its metadata does not tell."""

    name: str
    version: str
    licence: str


@cache
def packages() -> tuple[Package, ...]:
    """What this program needs to run, and what that needs in turn, by name. Read from the packages' own metadata."""
    found: dict[str, Package] = {}
    asked: set[str] = set()
    waiting = _wanted()
    while waiting:
        name = _plain(waiting.pop())
        if name in asked:
            continue
        asked.add(name)
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # meant for another system or another Python
            continue
        found[name] = Package(one.metadata["Name"], one.version, _licence(one.metadata))
        waiting += _names(line for line in one.requires or () if "extra ==" not in line.replace("'", '"'))
    return tuple(found[name] for name in sorted(found))


def _wanted() -> list[str]:
    if _REQUIREMENTS.is_file():
        return _names(_REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    try:
        return _names(line for line in metadata.requires("bfai") or () if "extra ==" not in line)
    except metadata.PackageNotFoundError:
        return []


def _names(lines: Iterable[str]) -> list[str]:
    return [found[0] for line in lines if (found := _NAME.match(line.strip()))]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(said: metadata.PackageMetadata) -> str:
    """The expression where there is one, else what the classifiers say, else a short text of its own."""
    expression = str(said["License-Expression"] or "") if "License-Expression" in said else ""
    kinds = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License :: ")]
    own = str(said["License"] or "").strip() if "License" in said else ""
    own = own if len(own) <= _LONGEST and "\n" not in own else ""
    return expression or ", ".join(sorted(set(kinds))) or own
