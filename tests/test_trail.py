"""The audit trail: every action has words, every filter finds what it should, nothing secret is in it, and it is quick
with as many lines as years bring.
"""

from __future__ import annotations

import ast
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bfai.i18n import LANGUAGES, Translator
from bfai.model import AuditEntry, Credentials
from bfai.store import Store
from bfai.trail import WORDS, Kind, Wanted, describe, kind_of
from bfai.workbench import Mode, Workbench
from tests.test_rotate import PASSWORD, credentials_of, fill
from tests.test_store import MakeStore, make_store, plan

__all__ = ["make_store"]

ROOT = Path(__file__).parent.parent
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
RENDER = Translator("en").render


def written_down() -> set[str]:
    """Every action that the program's own text puts into the trail."""
    found = set[str]()
    for file in (ROOT / "bfai").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            said = [word.value for word in node.keywords if word.arg == "action"]
            said += node.args[:1] if called in ("_write_audit", "_audit_strategy") else []
            for one in said:
                found |= {part.value for part in ast.walk(one) if isinstance(part, ast.Constant) and part.value}
    return {str(one) for one in found}


def test_every_action_has_words_in_every_language() -> None:
    made = written_down() - {"store_true"}
    assert len(made) > 20
    assert made <= set(WORDS), made - set(WORDS)
    entry = {"name": "N", "old": "online", "new": "failed", "connections": 2, "count": 3, "from": 1, "to": 2}
    entry |= {"what": "note", "key_hint": "B4F2", "revision": 2, "every_s": 900, "hint": "h", "connection": "C"}
    entry |= {"worker": "W"}
    for language in LANGUAGES:
        words = Translator(language)
        for action in WORDS:
            for more in ({}, {"live": True}):
                line = AuditEntry(at=T0, action=action, subject="lock_minutes", detail={**entry, **more})
                said = words.render(describe(line, {}, words.render))
                assert "{" not in said
                assert said.endswith("."), said
    other = AuditEntry(at=T0, action="strategy_cloned_by_a_newer_version")
    assert kind_of(other) is Kind.STRATEGY
    assert "strategy_cloned" in RENDER(describe(other, {}, RENDER))


def bench_of(store: Store) -> Workbench:
    return Workbench(store, mode=Mode.LOCAL, gateway=None, vault=fill(store, ["Name 0", "Ćevapi = 1"]))


def test_lines_are_found_by_kind_subject_time_and_words(make_store: MakeStore) -> None:
    store = make_store()
    bench = bench_of(store)
    first, second = bench.connections()
    strategy = plan(store, first)
    bench.update(first.id, note="changed")
    bench.rename(second.id, "Grüße")
    bench.change_settings(lock_minutes=30)
    bench.delete(second.id)
    everything, count = bench.trail(Wanted(), RENDER)
    assert count == len(everything) == store.count_audit_entries()
    assert everything == store.audit_entries()

    def actions(wanted: Wanted) -> list[str]:
        entries, total = bench.trail(wanted, RENDER)
        assert total == len(entries)
        return [entry.action for entry in entries]

    assert actions(Wanted((Kind.SETTING,))) == ["setting_changed"]
    assert actions(Wanted((Kind.SETTING, Kind.STRATEGY))) == ["setting_changed", "strategy_added"]
    assert set(actions(Wanted(subject=first.id))) == {"added", "changed", "tested"}
    assert actions(Wanted((Kind.CONNECTION,), second.id)) == ["deleted", "renamed", "added"]
    assert actions(Wanted(subject=strategy.id)) == ["strategy_added"]
    assert actions(Wanted(text="GRÜSSE was deleted")) == ["deleted"]
    assert actions(Wanted(text="grüße")) == ["deleted", "renamed"]
    assert actions(Wanted(text="locks after")) == []
    assert actions(Wanted(text="name 30")) == [], "what stands in braces is no word"
    cut = everything[3].at
    assert [entry for entry in everything if entry.at >= cut] == bench.trail(Wanted(since=cut), RENDER)[0]
    assert [entry for entry in everything if entry.at < cut] == bench.trail(Wanted(until=cut), RENDER)[0]
    pages = [bench.trail(Wanted(text="name"), RENDER, limit=2, offset=at)[0] for at in (0, 2, 4, 6)]
    assert [one for page in pages for one in page] == bench.trail(Wanted(text="name"), RENDER)[0]
    assert bench.trail_names()[second.id] == "Grüße"
    assert bench.deleted_names() == ({second.id: "Grüße"}, {})
    bench.close()


def test_exports_say_the_same_and_are_written_down(make_store: MakeStore) -> None:
    bench = bench_of(make_store())
    wanted = Wanted((Kind.CONNECTION,))
    lines = bench.trail(wanted, RENDER)[0]
    told = json.loads(bench.export_trail(wanted, RENDER, "json", UTC))
    assert told["format"] == "bfai.trail/1"
    assert [row["action"] for row in told["entries"]] == [entry.action for entry in lines]
    assert told["entries"][0]["what"] == "Ćevapi = 1 was added."
    rows = list(csv.DictReader(io.StringIO(bench.export_trail(wanted, RENDER, "csv", UTC))))
    assert [row["what"] for row in rows] == [row["what"] for row in told["entries"]]
    assert json.loads(rows[0]["detail"]) == lines[0].detail
    made = bench.trail(Wanted(text="exported"), RENDER)[0]
    assert [entry.detail for entry in made] == [{"count": 2, "form": "csv"}, {"count": 2, "form": "json"}]
    bench.rename(bench.connections()[0].id, "=cmd()")
    text = bench.export_trail(Wanted(text="cmd"), RENDER, "csv", UTC)
    assert "\n=" not in text
    bench.close()


def test_nothing_secret_is_in_it(make_store: MakeStore) -> None:
    store = make_store()
    bench = bench_of(store)
    bench.rotate_vault(PASSWORD)
    told = bench.export_trail(Wanted(), RENDER, "json", UTC)
    for name in ("Name 0", "Ćevapi = 1"):
        assert not any(secret in told for secret in credentials_of(name).secrets())
    assert PASSWORD not in told
    assert isinstance(credentials_of("Name 0"), Credentials)
    bench.close()


def test_a_hundred_thousand_lines_turn_pages_at_once(make_store: MakeStore) -> None:
    """Counted, not timed: no page asks for more lines than it shows, wherever it is."""
    store = make_store()
    bench = bench_of(store)
    names = ("Name 0", "Main", "Other")
    lines = [
        {
            "at": int((T0 + timedelta(seconds=n)).timestamp() * 1_000_000),
            "action": "tested",
            "subject": f"c{n % 3}",
            "detail": json.dumps({"name": names[n % 3], "old": "online", "new": "failed"}),
        }
        for n in range(100_000)
    ]
    with store.together():
        for start in range(0, len(lines), 5000):
            store.put_rows("audit", lines[start : start + 5000])  # type: ignore[attr-defined]
    last, count = bench.trail(Wanted((Kind.TEST,), "c1"), RENDER, limit=50, offset=33_300)
    assert (len(last), count) == (33, 33_333)
    found, count = bench.trail(Wanted(text="OTHER"), RENDER, limit=50, offset=100)
    assert (len(found), count) == (50, 33_333)
    bench.close()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_a_search_is_in_the_readers_language(language: str, make_store: MakeStore) -> None:
    store = make_store()
    bench = bench_of(store)
    words = Translator(language)
    said = words.t(WORDS["vault_created"].text)
    assert [entry.action for entry in bench.trail(Wanted(text=said.upper()), words.render)[0]] == ["vault_created"]
    bench.close()
