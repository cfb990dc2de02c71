"""What the owner sets is kept within its range, and what the environment says holds instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bfai.about import LICENCE, packages
from bfai.cli import main
from bfai.model import Target
from bfai.settings import FROM_ENVIRONMENT, NAMES, WORDS, SettingRefused, Settings, variables
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample

PASSWORD = "correct horse battery staple"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for variable in (*FROM_ENVIRONMENT.values(), "BFAI_LANGUAGE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BFAI_DATABASE_URL", f"sqlite:///{tmp_path}/bfai.db")
    return f"sqlite:///{tmp_path}/bfai.db"


@pytest.fixture
def workbench(url: str, gateway: Gateway) -> Iterator[Workbench]:
    with Workbench.local(url, gateway=gateway) as found:
        yield found


def test_what_was_never_set_has_its_usual_value(workbench: Workbench) -> None:
    assert workbench.settings == Settings()
    assert workbench.settings.lock_minutes == 15
    assert workbench.strategies.freshness == timedelta(hours=24)
    assert workbench.history.keep == timedelta(days=90)


def test_a_setting_is_kept_for_every_program_on_the_store(workbench: Workbench, url: str) -> None:
    workbench.change_settings(time_zone="Europe/Zagreb", language="hr", freshness_hours=6, keep_runs_days=30)
    with Workbench.local(url) as other:
        assert (other.settings.time_zone, other.settings.language) == ("Europe/Zagreb", "hr")
        assert other.strategies.freshness == timedelta(hours=6)
        assert other.history.keep == timedelta(days=30)
        assert (other.alerts.language, other.alerts.zone) == ("hr", "Europe/Zagreb")
        other.change_settings(time_zone=None, freshness_hours=None)
    assert workbench.settings == Settings(language="hr", keep_runs_days=30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lock_minutes", -1),
        ("lock_minutes", 1441),
        ("lock_minutes", True),
        ("lock_minutes", "15"),
        ("freshness_hours", 0),
        ("freshness_hours", 721),
        ("keep_runs_days", 0),
        ("keep_runs_days", 3651),
        ("schedule_minutes", 4),
        ("schedule_minutes", 7 * 24 * 60 + 1),
        ("language", "xx"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../etc/passwd"),
        ("secret_setting", 1),
    ],
)
def test_what_does_not_fit_is_refused_whole(workbench: Workbench, name: str, value: Any) -> None:
    with pytest.raises(SettingRefused):
        workbench.change_settings(**{"keep_runs_days" if name != "keep_runs_days" else "lock_minutes": 20, name: value})
    assert workbench.settings == Settings()


def test_a_damaged_value_counts_as_never_set(workbench: Workbench, tmp_path: Path) -> None:
    workbench.change_settings(lock_minutes=30, language="nl")
    with sqlite3.connect(tmp_path / "bfai.db") as db:
        db.execute("UPDATE setting SET value = '\"soon\"' WHERE name = 'lock_minutes'")
    assert workbench.settings == Settings(language="nl")


def test_the_environment_comes_first_and_cannot_be_changed_here(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.change_settings(lock_minutes=30)
    monkeypatch.setenv("BFAI_LOCK_AFTER_MINUTES", "5")
    assert workbench.settings.lock_minutes == 5
    assert workbench.fixed_settings() == {"lock_minutes": "BFAI_LOCK_AFTER_MINUTES"}
    with pytest.raises(SettingRefused, match="BFAI_LOCK_AFTER_MINUTES"):
        workbench.change_settings(lock_minutes=60)
    monkeypatch.setenv("BFAI_LOCK_AFTER_MINUTES", "soon")
    assert (workbench.settings.lock_minutes, workbench.fixed_settings()) == (30, {})


def test_what_makes_it_more_or_less_strict_is_in_the_audit_trail(workbench: Workbench) -> None:
    workbench.change_settings(lock_minutes=0, language="nl")
    workbench.change_settings(lock_minutes=0)
    changed = [entry for entry in workbench.audit_entries() if entry.action == "setting_changed"]
    assert [(entry.subject, entry.detail) for entry in changed] == [("lock_minutes", {"from": 15, "to": 0})]


@pytest.mark.parametrize(("minutes", "every"), [(15, timedelta(minutes=15)), (0, None), (60, timedelta(hours=1))])
def test_a_new_connection_is_tested_at_the_usual_interval(
    workbench: Workbench, simulator: Simulator, minutes: int, every: timedelta | None
) -> None:
    workbench.create_vault(PASSWORD)
    workbench.change_settings(schedule_minutes=minutes)
    draft = workbench.draft(Target(exchange="mexc"), sample(simulator, "mexc", "good"))
    workbench.start_draft_test(draft.id).wait(20)
    connection = workbench.save_draft(draft.id, name="MEXC Spot Main")
    schedule = workbench.schedule(connection.id)
    assert schedule is not None
    assert schedule.every == every


def test_no_secret_is_shown_of_the_environment() -> None:
    said = {
        "BFAI_MASTER_PASSWORD": "tall green lamp",
        "BFAI_DATABASE_URL": "postgresql://me:hidden-word@host/db",
        "BFAI_NEW_MASTER_PASSWORD": "another lamp",
    }
    shown = {one.name: one.shown for one in variables(said)}
    assert shown["BFAI_MASTER_PASSWORD"] == "…"
    assert shown["BFAI_DATABASE_URL"] == "postgresql://…@host/db"
    assert shown["BFAI_GATEWAY"] is None
    assert not any(word in str(shown) for word in ("lamp", "hidden-word"))


def test_every_setting_and_variable_is_in_the_docs() -> None:
    docs = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert set(WORDS) == set(NAMES)
    for name in (*NAMES, *(one.name for one in variables({}))):
        assert f"`{name}`" in docs, name


def test_every_package_that_is_shipped_tells_its_licence() -> None:
    found = {one.name.lower().replace("_", "-"): one for one in packages()}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = [line.split("==")[0] for line in lines if "==" in line and " ; " not in line]  # those of every system
    assert {name.lower().replace("_", "-") for name in pinned} <= set(found)
    assert "numpy" in found, "what a package needs in turn is shipped as well"
    assert "pytest" not in found
    assert [one.name for one in found.values() if not one.licence] == []
    assert (ROOT / "LICENSE").read_text().startswith(f"{LICENCE} License")


def test_where_the_data_lies(workbench: Workbench, tmp_path: Path) -> None:
    place = workbench.place()
    assert place is not None
    assert Path(place.name) == tmp_path / "bfai.db"
    assert place.size >= (tmp_path / "bfai.db").stat().st_size > 0
    with Workbench.local("sqlite://:memory:") as nowhere:
        assert nowhere.place() is None


def test_what_is_reached_is_made_from_the_declarations(workbench: Workbench) -> None:
    reached = {one.exchange: one for one in workbench.reached()}
    assert set(reached) == {exchange.name for exchange in workbench.exchanges().values()}
    made = workbench.requests_made()
    for name, one in reached.items():
        assert one.requests == sum(request.exchange == name for request in made)
        assert 0 < one.signed <= one.requests
        assert one.hosts
        assert not one.used


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_command_line_shows_and_sets(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    assert run.invoke(main, ["settings", "set", "lock_minutes", "never"]).exit_code == 0
    assert run.invoke(main, ["settings", "set", "time_zone", "Europe/Zagreb"]).exit_code == 0
    monkeypatch.setenv("BFAI_TEST_HOLDS_HOURS", "3")
    shown = run.invoke(main, ["settings"]).output
    assert "Europe/Zagreb" in shown
    assert "BFAI_TEST_HOLDS_HOURS" in shown
    with Workbench.local(url) as workbench:
        assert workbench.settings == Settings(lock_minutes=0, time_zone="Europe/Zagreb", freshness_hours=3)
    as_json = run.invoke(main, ["settings", "--json"])
    assert '"lock_minutes": {"value": 0, "from": "store"}' in as_json.output
    refused = run.invoke(main, ["settings", "set", "lock_minutes", "1441"])
    assert refused.exit_code == 1
    assert "from 0 to 1440" in refused.output
    assert run.invoke(main, ["settings", "set", "lock_minutes", "default"]).exit_code == 0
    with Workbench.local(url) as workbench:
        assert workbench.settings.lock_minutes == 15
