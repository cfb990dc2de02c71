"""What must be true after a run of chaos: worked out from the journal, the logs and the database."""

from __future__ import annotations

import base64
import bisect
import contextlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np

from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Role
from bfai.history import History
from bfai.model import Advice, Cause, Connection, EventKind, Status, TestRun
from bfai.store import RunRow, Store
from tests.chaos.trouble import VERDICTS
from tests.kills import look_at_events, look_at_times
from tests.postgres import Server

NEEDED = (Role.KEY_INFO, Role.BALANCE, Role.ORDERS)
"""What a test must have had an answer to, each by its own signed call. The clock is asked without a key."""
CHUNK = 1 << 24
FAR = timedelta(days=3)
EXPIRY = [kind for kind in EventKind if kind.value.startswith("expir")]


class Findings:
    """Counts, and what is wrong: nothing, in a good run."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.wrong: list[str] = []

    def hold(self, true: object, what: str) -> None:
        if not true:
            self.wrong.append(what)

    def attempt(self, what: str, look: Any, *arguments: Any) -> Any:
        """What a look that asserts gives; None where it found something."""
        try:
            return look(*arguments)
        except AssertionError as error:
            self.wrong.append(f"{what}: {str(error)[:2000]}")
            return None


def read_journal(file: Path) -> dict[str, list[dict[str, Any]]]:
    """The requests of each connection, in their order. Raises ValueError for a line that is none."""
    found = defaultdict[str, list[dict[str, Any]]](list)
    with file.open(encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            if "becomes" not in line:
                found[line["connection"]].append(line)
    return found


# -- no false Online ---------------------------------------------------------------------------------------------------


def look_at_verdicts(
    found: Findings, runs: Iterable[TestRun], journal: Mapping[str, list[dict[str, Any]]], of: Mapping[str, Connection]
) -> None:
    """No run is better than what its exchange truly answered at that time."""
    times = {id_: [line["at"] for line in lines] for id_, lines in journal.items()}
    statuses, causes, thieves, caught, missing = Counter[str](), Counter[str](), 0, 0, 0
    false: list[str] = []
    for run in runs:
        id_ = run.connection_id or ""
        statuses[run.status.value] += 1
        if run.diagnosis is not None:
            causes[run.diagnosis.cause.value] += 1
        began = run.started_at.timestamp()
        first = bisect.bisect_left(times.get(id_, []), began)
        last = bisect.bisect_right(times.get(id_, []), began + run.duration_ms / 1000 + 0.002)
        lines = journal[id_][first:last] if id_ in journal else []
        reports = [line for line in lines if line["role"] == Role.KEY_INFO.value]
        told = [line for line in reports if line["fault"] is None and line["granted"]]
        can_withdraw = any(line["withdraws"] for line in told)
        thieves += can_withdraw
        caught += can_withdraw and not run.status.ok
        if run.status.ok:
            problem = _why_false(run, lines, told, reports, of[id_])
            missing += not problem and bool(_missing(of[id_], reports))
            if problem:
                false.append(f"{problem}: {id_} {run.id} {run.status.value} {lines}")
    found.counts |= {
        "tests by verdict": dict(statuses.most_common()),
        "tests by cause": dict(causes.most_common()),
        "tests whose report listed withdrawal": thieves,
        "of them not called usable": caught,
        "false Online or Connected": len(false),
        "usable, and told that a part of the key report is missing": missing,
    }
    found.wrong += false
    found.hold(statuses["online"] + statuses["connected"] > sum(statuses.values()) / 20, "hardly anything was usable")
    found.hold(thieves, "no key could withdraw")


def _why_false(
    run: TestRun,
    lines: list[dict[str, Any]],
    told: list[dict[str, Any]],
    reports: list[dict[str, Any]],
    connection: Connection,
) -> str | None:
    if any(line["withdraws"] for line in told):
        return "the key could withdraw"
    denying = [line for line in reports if line["granted"] and line["denies"] and line["fault"] in (None, "replace")]
    if not denying:
        return "no answer denied withdrawal"
    for role in NEEDED:
        answered = [line for line in lines if line["role"] == role.value and line["granted"]]
        if not any(line["fault"] in (None, "replace") for line in answered):
            return f"no whole answer of {role.value}"
    missing = _missing(connection, reports)
    if missing and (run.status is Status.ONLINE or Advice.RIGHT_UNKNOWN not in run.advice):
        return f"a part of the key report was lost, and nothing said: {missing}"
    kinds = VERDICTS[connection.target.exchange][connection.target.market]
    allowed = {status for line in denying for status in kinds[line["kind"]]["status"]}
    frozen = {name for name, verdict in kinds.items() if verdict.get("causes") == [Cause.ACCOUNT_RESTRICTED.value]}
    if {line["kind"] for line in denying} <= frozen and any(
        line["role"] == Role.ACCOUNT.value and line["fault"] is None and line["kind"] not in frozen for line in lines
    ):
        return None  # thawed while it was tested: what tells of it came later than the report on the key
    if not allowed & {"online", "connected"} and not missing:
        return "no key that is documented as usable"
    return None


def _missing(connection: Connection, reports: list[dict[str, Any]]) -> list[str]:
    """The places that tell of the key and of which no whole answer came."""
    target = connection.target
    plan = all_exchanges()[target.exchange].plan(target.market, target.region, target.environment)
    whole = {line["path"] for line in reports if line["fault"] in (None, "replace")}
    return [call.path for call in plan if call.role is Role.KEY_INFO and call.path not in whole]


# -- nothing lost ------------------------------------------------------------------------------------------------------


def look_at_rows(
    found: Findings, store: Store, told: Collection[tuple[str, str, str]], every: timedelta
) -> list[TestRun]:
    """All that was told is stored as it was told, once; figures are those of a recount. Gives the runs."""
    rows = defaultdict[str, list[RunRow]](list)
    for row in store.runs(newest_first=False):
        rows[row.connection_id].append(row)
    stored = {row.id: row for of in rows.values() for row in of}
    whole = sum(len(of) for of in rows.values())
    lost = [one for one in told if one[1] not in stored]
    other = [
        one for one in told if one[1] in stored and (stored[one[1]].connection_id, stored[one[1]].status) != one[::2]
    ]
    found.hold(not lost, f"told and lost: {lost[:20]}")
    found.hold(not other, f"stored other than told: {other[:20]}")
    found.hold(whole == len(stored), "a run is stored twice")
    found.hold(len({one[1] for one in told}) == len(told), "a run was told twice")
    for id_, of in rows.items():
        found.attempt("times", look_at_times, id_, of, every)
    connections = store.connections()
    for connection in connections:
        of = rows[connection.id]
        found.hold(of, f"never tested: {connection.id}")
        if of:
            found.hold(connection.last_run_id == of[-1].id, f"not the last run: {connection.id}")
            found.hold(connection.status is of[-1].status, f"not the last status: {connection.id}")
    events = found.attempt("events", look_at_events, store, rows, EXPIRY)
    found.counts |= {
        "tests stored": whole,
        "tests told as stored": len(told),
        "told and not stored": len(lost),
        "stored twice": whole - len(stored),
        "connections": len(connections),
        "connections without a test": sum(not rows[connection.id] for connection in connections),
        "events": sum(events.values()) if events else None,
    }
    look_at_figures(found, store, rows)
    return [run for id_ in stored if (run := store.run(id_)) is not None]


def look_at_figures(found: Findings, store: Store, rows: Mapping[str, list[RunRow]]) -> None:
    """Figures before and after the roll-up, against plain arithmetic."""
    now = max(row.started_at for of in rows.values() for row in of) + FAR
    history = History(store, lambda: now)
    before = history.summary()
    while store.roll_up(now):
        pass
    after = history.summary()
    known = online = timedelta()
    for of in rows.values():
        for row, until in pairwise([*of, None]):
            if row is None or row.cause is Cause.LOCAL_NETWORK:
                continue
            held = min(until.started_at if until else now, row.started_at + timedelta(days=1)) - row.started_at
            known += held
            online += held if row.status.ok else timedelta()
    counting = [row for of in rows.values() for row in of if not row.set_aside]
    failures = sum(row.status is Status.FAILED and row.cause is not Cause.LOCAL_NETWORK for row in counting)
    for name, figures in (("before", before), ("after", after)):
        said = (figures.runs, figures.failures)
        found.hold(said == (len(counting), failures), f"{name} the roll-up: {said}, counted {len(counting), failures}")
        for what, length, counted in (("known", figures.known, known), ("online", figures.online, online)):
            found.hold(abs(length - counted) < timedelta(seconds=1), f"{what} {name}: {length}, counted {counted}")
    found.hold(before.outages == after.outages, f"outages {before.outages}, then {after.outages}")
    found.counts["outages"] = after.outages


def look_into_sqlite(found: Findings, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db:
        found.hold(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "integrity_check")
        found.hold(db.execute("PRAGMA foreign_key_check").fetchall() == [], "foreign_key_check")
    found.counts["database"] = "looked into by integrity_check and foreign_key_check"


def look_into_postgres(found: Findings, server: Server, database: str) -> None:
    said = server.check(database)
    found.hold(not said, f"pg_amcheck: {said}")
    found.counts["database"] = "looked into by pg_amcheck --heapallindexed --parent-check"


# -- no crash ----------------------------------------------------------------------------------------------------------

_CRASH = re.compile(r"Traceback \(most recent call last\)|Fatal Python error|Segmentation fault|core dumped")


def look_for_crashes(found: Findings, logs: Iterable[Path], codes: Counter[int], ours: Collection[int]) -> None:
    crashes = []
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        crashes += [text[match.start() : match.start() + 3000] for match in _CRASH.finditer(text)]
    found.hold(not crashes, f"{len(crashes)} tracebacks, the first: {crashes[:1]}")
    found.hold(set(codes) <= set(ours), f"exit codes: {codes}")
    found.counts |= {"tracebacks": len(crashes), "ends by exit code": dict(codes)}


# -- no secret ---------------------------------------------------------------------------------------------------------


def forms_of(secret: str) -> set[bytes]:
    raw = secret.encode()
    texts = {secret, quote(secret, safe=""), quote_plus(secret), secret.replace("\n", "\\n")}
    return {form.encode() for form in texts} | {secret.encode("utf-16-le"), base64.b64encode(raw), raw.hex().encode()}


def look_for_secrets(found: Findings, secrets: Iterable[str], signatures: Collection[str], folders: list[Path]) -> None:
    wanted = {form for secret in secrets for form in forms_of(secret)}
    wanted |= {signature.encode() for signature in signatures}
    find = _any_of(wanted)
    looked, size, places = 0, 0, list[str]()
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        if not file.is_file() or file.is_symlink():
            continue
        looked += 1
        for part in _parts(file, max(map(len, wanted))):
            size += len(part)
            if (place := find(part)) is not None:
                places.append(f"{file} after {part[max(0, place - 60) : place]!r}")
                break
    found.hold(not places, f"secrets in {places[:10]}")
    found.counts |= {
        "secrets looked for": len(list(secrets)),
        "signatures looked for": len(signatures),
        "files searched": looked,
        "megabytes searched": round(size / 1e6, 1),
        "files with a secret": len(places),
    }


def _any_of(wanted: Collection[bytes]) -> Callable[[bytes], int | None]:
    """Finds the place of any of many texts: by their first eight bytes, eight of which are read as one number."""
    assert min(map(len, wanted)) >= 8
    by_start = defaultdict[bytes, list[bytes]](list)
    for text in wanted:
        by_start[text[:8]].append(text)
    starts = np.array([int.from_bytes(start, "little") for start in by_start], dtype="<u8")
    begins = np.zeros(1 << 16, dtype=bool)
    begins[starts & 0xFFFF] = True

    def find(part: bytes) -> int | None:
        for offset in range(min(8, len(part) - 7)):
            numbers = np.frombuffer(part, "<u8", count=(len(part) - offset) // 8, offset=offset)
            likely = np.flatnonzero(begins[numbers & 0xFFFF])
            for place in (likely[np.isin(numbers[likely], starts)] * 8 + offset).tolist():
                if any(part.startswith(text, place) for text in by_start[part[place : place + 8]]):
                    return place
        return None

    return find


def _parts(file: Path, overlap: int) -> Iterator[bytes]:
    rest = b""
    with file.open("rb") as content:
        while part := content.read(CHUNK):
            yield rest + part
            rest = part[-overlap:]
