"""Which small changes to the code would no test notice? `python tools/mutants.py COMMAND`.

run [NAME…]   change the modules of pyproject.toml's [tool.mutmut], one small change at a time, and run the tests that
              touch it; NAME chooses, such as "bfai.vault.*". Takes an hour or two, and goes on where it was stopped
list [NAME…]  what the last run left

Both end with 1 where a change survived that docs/mutants.md does not explain, or where that explains one that no longer
survives.
"""

from __future__ import annotations

import ast
import difflib
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "mutants"
EXPLAINED = ROOT / "docs" / "mutants.md"
SURVIVED = (0, 33)
"""mutmut's codes: every test passed; no test touches the function."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the lines of the function that it takes away, and those that stand there instead."""

    module: str
    function: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"# {self.function}", *(f"-{line}" for line in self.before), *(f"+{line}" for line in self.after)]
        return "\n".join(lines)


def modules() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["mutmut"]["only_mutate"]


def functions(tree: ast.AST) -> dict[str, ast.AST]:
    """Every function of a mutated file by the name that mutmut gave it."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in ast.walk(tree) if isinstance(node, kinds)}


def plain(mangled: str) -> str:
    """`x__gate_futures` -> `_gate_futures`, `xǁVaultǁunlock` -> `Vault.unlock`."""
    return mangled.removeprefix("x_") if mangled.startswith("x_") else mangled.removeprefix("xǁ").replace("ǁ", ".")


def results(names: Sequence[str]) -> Iterator[tuple[Mutant, int | None]]:
    """Each mutant of the last run with mutmut's code, None where it was not tried."""
    for module in modules():
        told = RESULTS / f"{module}.meta"
        if not told.exists():
            continue
        codes = json.loads(told.read_text(encoding="utf-8"))["exit_code_by_key"]
        made = functions(ast.parse((RESULTS / module).read_text(encoding="utf-8")))
        for key, code in codes.items():
            if names and not any(fnmatch.fnmatch(key, name) for name in names):
                continue
            name = key.rpartition(".")[2]
            mangled = name.rpartition("__mutmut_")[0]
            old, new = made[f"{mangled}__mutmut_orig"], made[name]
            original, mutated_lines = (ast.unparse(one).splitlines() for one in (old, new))
            changed = [
                line
                for line in difflib.unified_diff(original, mutated_lines, lineterm="", n=0)
                if "__mutmut_" not in line and line[3:]
            ]
            before, after = (
                tuple(line[1:].strip() for line in changed if line[0] == sign and line[:3] != sign * 3) for sign in "-+"
            )
            yield Mutant(module, plain(mangled), before, after), code


_BLOCK = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def explained(text: str) -> set[Mutant]:
    """What docs/mutants.md explains: under the name of each module, blocks of `# function`, `-` and `+` lines."""
    found: set[Mutant] = set()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        module = section.partition("\n")[0].strip()
        for block in _BLOCK.findall(section):
            for one in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
                function, *lines = [line.strip() for line in one.splitlines() if line.strip()]
                sides = [tuple(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+"]
                found.add(Mutant(module, function, *sides))
    return found


def report(names: Sequence[str]) -> int:
    known, seen = explained(EXPLAINED.read_text(encoding="utf-8")), set[Mutant]()
    counts, open_ones = {module: Counter[str]() for module in modules()}, list[Mutant]()
    for mutant, code in results(names):
        if code is None:
            kind = "not tried"
        elif code not in SURVIVED:
            kind = "found by a test"
        elif mutant in known:
            kind = "explained"
            seen.add(mutant)
        else:
            kind = "SURVIVED"
            open_ones.append(mutant)
        counts[mutant.module][kind] += 1
    for mutant in open_ones:
        print(f"{mutant.module}\n{mutant}\n")
    whole = {module for module, count in counts.items() if count and not count["not tried"] and not names}
    gone = sorted((mutant for mutant in known - seen if mutant.module in whole), key=str)
    for mutant in gone:
        print(f"explained, and no longer there: {mutant.module}\n{mutant}\n")
    for module, count in counts.items():
        print(f"{module}: {count.total()} changes; " + ", ".join(f"{kind} {n}" for kind, n in count.most_common()))
    return int(bool(open_ones or gone or not any(counts.values())))


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] not in ("run", "list"):
        print(__doc__)
        return 2
    command, *names = arguments
    if command == "run":
        mutmut = Path(sys.executable).with_name("mutmut")
        ran = subprocess.run([mutmut, "run", *names], cwd=ROOT, check=False)  # nosec B603 # no shell
        if ran.returncode:
            return ran.returncode
    return report(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
