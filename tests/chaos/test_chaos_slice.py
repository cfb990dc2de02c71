"""A short run of chaos, and that whoever looks at its end sees what is wrong."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from history_store import T0, Past, a_run

from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Role
from bfai.model import Advice, Connection, Market, Status, Target
from tests.chaos.chaos import Plan, run, table
from tests.chaos.judge import Findings, look_at_rows, look_at_verdicts, look_for_crashes, look_for_secrets

TESTS = 120
NOTHING_USABLE = "hardly anything was usable"
NO_THIEF = "no key could withdraw"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_slice_of_chaos_loses_nothing_and_calls_nothing_online_that_is_not() -> None:
    plan = Plan(TESTS, "sqlite", seed=8, minutes=3, most=2, kill_every=(0.5, 1.5), attacks=1, lease_seconds=4.0)
    found = run(plan, say=lambda _: None)
    assert not found.wrong, table(found)
    assert found.counts["tests stored"] >= TESTS
    assert found.counts["kill -9"] and found.counts["keys changed"] and found.counts["files searched"]
    assert sum(name.startswith("fault ") for name in found.counts) > 8, table(found)


# -- that the look is no blind one -------------------------------------------------------------------------------------


def a_line(role: str, **changes: Any) -> dict[str, Any]:
    line = {"at": T0.timestamp() + 0.005, "kind": "good", "withdraws": False, "role": role, "granted": True}
    path = "/api/v3/apiKeyInfo" if role == "key_info" else f"/{role}"
    return {**line, "path": path, "fault": None, "denies": True, **changes}


LINES = {role: a_line(role) for role in ("key_info", "balance", "orders")}


def false_runs(
    lines: list[dict[str, Any]], says: str = "online", exchange: str = "mexc", advice: tuple[Advice, ...] = ()
) -> int:
    """How many of one run are found to be false."""
    connection = Connection(
        id="one",
        name="one",
        target=Target(exchange=exchange, market=Market.SPOT),
        key_hint="",
        created_at=T0,
        key_since=T0,
    )
    found, lines = Findings(), sorted(lines, key=lambda line: line["at"])
    run = a_run("one", T0, says).model_copy(update={"advice": advice})
    look_at_verdicts(found, [run], {"one": lines}, {"one": connection})
    assert (
        len([what for what in found.wrong if what not in (NOTHING_USABLE, NO_THIEF)])
        == found.counts["false Online or Connected"]
    )
    return found.counts["false Online or Connected"]


def test_a_usable_run_with_whole_answers_is_right() -> None:
    assert false_runs(list(LINES.values())) == 0
    assert false_runs([], "failed") == 0
    assert false_runs([a_line("key_info", withdraws=True, denies=False)], "blocked") == 0


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("key_info", {"withdraws": True, "denies": False, "kind": "withdraw"}),
        ("key_info", {"fault": "html"}),
        ("key_info", {"fault": "replace", "denies": False}),
        ("key_info", {"granted": False}),
        ("key_info", {"kind": "read_only"}),
        ("key_info", {"at": T0.timestamp() - 0.5}),
        ("key_info", {"at": T0.timestamp() + 0.5}),
        ("balance", {"fault": "truncate"}),
        ("balance", {"granted": False}),
        ("orders", {"fault": "body"}),
    ],
)
@pytest.mark.parametrize("says", ["online", "connected"])
def test_a_usable_run_without_one_of_them_is_false(role: str, changes: dict[str, Any], says: str) -> None:
    assert false_runs(list({**LINES, role: a_line(role, **changes)}.values()), says) == 1


def test_a_usable_run_that_does_not_tell_of_a_missing_part_is_false() -> None:
    """BingX tells of a key in three places."""
    paths = [call.path for call in all_exchanges()["bingx"].plan(Market.SPOT) if call.role is Role.KEY_INFO]
    rest = [LINES["balance"], LINES["orders"]]
    whole = [a_line("key_info", path=path) for path in paths]
    odd = [*whole[:2], a_line("key_info", path=paths[2], fault="body"), *rest]
    told = (Advice.RIGHT_UNKNOWN,)
    assert false_runs([*whole, *rest], exchange="bingx") == 0
    for lines in (odd, [*whole[:2], *rest]):
        assert false_runs(lines, "online", "bingx", told) == 1
        assert false_runs(lines, "connected", "bingx") == 1
        assert false_runs(lines, "connected", "bingx", told) == 0


def test_an_account_that_thaws_while_its_key_is_tested_may_be_usable() -> None:
    """Binance tells of a frozen account by another call than of the key."""
    path = next(call.path for call in all_exchanges()["binance"].plan(Market.SPOT) if call.role is Role.KEY_INFO)
    rest = [a_line("key_info", path=path, kind="frozen"), LINES["balance"], LINES["orders"]]
    for account, false in (
        (a_line("account", kind="good"), 0),
        (a_line("account", kind="frozen"), 1),
        (a_line("account", kind="good", fault="cut"), 1),
    ):
        assert false_runs([*rest, account], exchange="binance") == false
    assert false_runs(rest, exchange="binance") == 1


def test_what_was_told_and_is_not_there_is_lost() -> None:
    past = Past()
    kept = [past.test(0), past.test(1, "connected")]
    told = [("a", kept[0], Status.ONLINE), ("a", kept[1], Status.CONNECTED)]

    def wrong(told: list[tuple[str, str, Status]], every: timedelta = timedelta(minutes=1)) -> list[str]:
        found = Findings()
        look_at_rows(found, past.store, told, every)
        return [what.partition(":")[0] for what in found.wrong]

    assert wrong(told) == []
    assert wrong([*told, ("a", "0" * 32, Status.ONLINE)]) == ["told and lost"]
    assert wrong([("a", kept[0], Status.FAILED)]) == ["stored other than told"]
    assert wrong([*told, told[0]]) == ["a run was told twice"]
    assert wrong(told, timedelta(hours=2)) == ["times"]
    past.connect("b")
    assert wrong(told) == ["never tested"]


def test_a_crash_and_an_exit_code_that_is_not_ours_are_found(tmp_path: Path) -> None:
    log = tmp_path / "north.log"

    def wrong(text: str, codes: dict[int, int]) -> int:
        log.write_text(text)
        found = Findings()
        look_for_crashes(found, [log], Counter(codes), (0, -9))
        return len(found.wrong)

    assert wrong("WARNING all is well\n", {0: 4, -9: 3}) == 0
    assert wrong("Traceback (most recent call last):\n  …", {0: 4}) == 1
    assert wrong("", {0: 4, -11: 1}) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_secret_in_a_file_is_found(tmp_path: Path, encoding: str) -> None:
    secret, signature = "a secret/with signs", "5f" * 32
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "bfai.db-wal"

    def wrong(text: str) -> int:
        file.write_bytes(b"\xff" * 100 + text.encode(encoding))
        found = Findings()
        look_for_secrets(found, [secret], {signature}, [tmp_path])
        return len(found.wrong)

    assert wrong("a secret of another") == 0
    assert wrong(f"x{secret}x") == 1
    assert encoding != "utf-8" or wrong(f"&signature={signature}") == 1
