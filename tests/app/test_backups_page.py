"""Backups and the recovery code on the pages: made, looked into, put back, and every refusal in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pytest
from streamlit.testing.v1 import AppTest

from bfai.backup import Backups
from bfai.recovery_code import new_code
from bfai.ui.session import Keeper, keeper
from bfai.workbench import Made, Workbench
from tests.app.conftest import PASSWORD, choose, go, open_app, opened_vault, press, problems, texts

PAGE = "pages/settings.py"
NEW = "tall green lamp post"


def warned(at: AppTest) -> str:
    assert not problems(at)
    return " ".join(item.value for item in at.warning)


def upload(at: AppTest, content: bytes, password: str) -> AppTest:
    at.file_uploader[0].set_value(("a.bfaibackup", content, "application/octet-stream")).run()
    at.text_input(key="backup_password").set_value(password)
    return press(at, "open_backup")


def test_a_backup_is_made_and_put_back_and_every_refusal_is_said(tmp_path: Path) -> None:
    at = go(opened_vault(), PAGE)
    assert "There is no backup yet" in texts(at)
    press(at, "make_backup")
    assert not problems(at)
    made: Made = at.session_state["backup_made"]
    assert made.path is not None
    assert made.path.parent == tmp_path / "backups"
    assert "It was read again and is whole" in at.success[0].value
    assert "The last backup was made" in texts(at)
    content = made.path.read_bytes()

    at.toggle(key="backup_has_own").set_value(True).run()
    at.text_input(key="backup_own").set_value(NEW)
    at.text_input(key="backup_own_again").set_value(NEW + "!")
    press(at, "make_backup")
    assert "not the same" in warned(at)
    assert at.session_state["backup_own"] == ""
    at.text_input(key="backup_own").set_value("short")
    at.text_input(key="backup_own_again").set_value("short")
    assert "at least 10" in warned(press(at, "make_backup"))

    for spoiled, password, said in (
        (content, NEW, "does not open this backup"),
        (content[:-1], PASSWORD, "damaged or cut short"),
        (b"PK\x03\x04" * 30, PASSWORD, "no backup of the workbench"),
    ):
        assert said in warned(upload(at, spoiled, password))
        assert not [item for item in at.button if item.key in ("restore_backup", "replace_vault")]
    keeper().workbench.change_settings(keep_runs_days=30)
    upload(at, content, PASSWORD)
    assert not warned(at)
    assert at.session_state["backup_password"] == ""
    press(press(at, "replace_vault"), "replace_no")
    assert keeper().workbench.settings.keep_runs_days == 30
    press(press(at, "replace_vault"), "replace_yes")
    workbench = keeper().workbench
    assert not workbench.is_open
    assert "Unlock the vault with the master password that it had then" in " ".join(item.value for item in at.info)
    at.text_input(key="master_password").set_value(PASSWORD)
    press(at, "unlock_button")
    assert workbench.is_open
    assert workbench.settings.keep_runs_days == 90
    assert len(list((tmp_path / "backups").glob("*-before-restore.bfaibackup"))) == 1


def test_one_that_is_too_large_to_be_uploaded_again_says_so_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    at = go(opened_vault(), PAGE)
    assert "Prices fetched from exchanges are in no backup." in texts(at)
    real = Backups._write

    def large(backups: Backups, file: BinaryIO, password: str | None) -> int:
        rows = real(backups, file, password)
        file.truncate(file.seek(25_000_001))
        return rows

    monkeypatch.setattr(Backups, "_write", large)
    press(at, "make_backup")
    assert "The pages take files of up to 25 MB" in warned(at)
    assert "python3 run.py cli backup restore FILE" in warned(at)
    assert "keep whole tests for a shorter time" in warned(at)
    monkeypatch.setattr(Backups, "folder", None)  # as where it can only be downloaded
    press(at, "make_backup")
    assert "The pages take files of up to 25 MB" in warned(at)
    monkeypatch.undo()
    press(at, "make_backup")
    assert not warned(at)


def test_a_new_computer_begins_with_a_backup(tmp_path: Path) -> None:
    with Workbench.local(f"sqlite:///{tmp_path}/elsewhere.db") as lost:
        lost.create_vault(NEW)
        lost.change_settings(keep_runs_days=30)
        content = lost.backups.download().content
    at = press(press(open_app(), "door_2"), "vault_restore")
    upload(at, content, NEW)
    assert not warned(at)
    press(at, "restore_backup")
    assert not problems(at)
    at.text_input(key="master_password").set_value(NEW)
    press(at, "unlock_button")
    assert keeper().workbench.is_open
    assert keeper().workbench.settings.keep_runs_days == 30


def test_the_schedule_and_its_folder_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "run_tests", lambda _: None)  # no other backup is made beside those of this test
    at = choose(go(opened_vault(), PAGE), "setting_backup_days", 7)  # type: ignore[arg-type]
    choose(at, "setting_backups_kept", 3)  # type: ignore[arg-type]
    box: Any = next(item for item in at.text_input if str(item.key).startswith("setting_backup_folder"))
    assert box.value == str(tmp_path / "backups")
    box.set_value("somewhere").run()
    assert "whole path" in warned(at)
    box = next(item for item in at.text_input if str(item.key).startswith("setting_backup_folder"))
    box.set_value(str(tmp_path / "disk")).run()
    workbench = keeper().workbench
    assert (workbench.settings.backup_days, workbench.settings.backups_kept) == (7, 3)
    assert workbench.backups.folder == tmp_path / "disk"
    workbench.alerts.add("Phone", "json://127.0.0.1:9/x")
    (tmp_path / "disk").rmdir()
    with pytest.raises(Exception, match="is not there"):
        workbench.backups.run_due()
    said = "The scheduled backup was not made."
    assert said in texts(at.run())
    assert "There is no backup yet" in texts(at)
    go(at, "pages/alerts.py")
    messages, happened = (item.value.to_string(max_colwidth=None) for item in at.table)
    assert "Backup failed" in messages
    assert said in happened
    assert "Connect its disk" in happened


def test_a_forgotten_password_is_replaced_with_the_code_on_paper() -> None:
    at = opened_vault()
    assert "make a recovery code under Settings" in " ".join(item.value for item in at.info)
    at = go(at, PAGE)
    workbench = keeper().workbench
    at.text_input(key="recovery_password").set_value(NEW)
    assert "not the password" in warned(press(at, "make_code"))
    at.text_input(key="recovery_password").set_value(PASSWORD)
    press(at, "make_code")
    code = workbench.waiting_code
    assert code is not None
    for group in code.split("-"):
        assert group in texts(at)
    assert not [item for item in at.selectbox if str(item.key).startswith("setting_")], "only the sheet is drawn"
    for typed, said in ((code[:-1], "has 40 letters"), (new_code(), "another code")):
        at.text_input(key="typed_code").set_value(typed)
        assert said in warned(press(at, "confirm_code_button"))
    at.text_input(key="typed_code").set_value(code.lower())
    press(at, "confirm_code_button")
    assert workbench.has_recovery_code
    assert "From now on this code opens the vault" in at.success[0].value
    assert code not in repr(at.session_state)
    press(at, "lock_now")

    def recover(typed: str, new: str, again: str) -> AppTest:
        for key, value in (("recovery_code", typed), ("recovered_password", new), ("recovered_password_again", again)):
            at.text_input(key=key).set_value(value)
        return press(at, "recover_button")

    for values, said in (
        ((code, NEW, NEW + "!"), "not the same"),
        ((code[:-1] + "Ä", NEW, NEW), "group 8"),
        ((code, "short", "short"), "at least 10"),
        ((new_code(), NEW, NEW), "Only the newest paper"),
    ):
        assert said in warned(recover(*values))
        assert at.session_state["recovered_password"] == ""
    recover(code, NEW, NEW)
    assert workbench.is_open
    assert not any(word in repr(at.session_state) for word in (code, NEW))
    go(at, PAGE)
    press(at, "revoke_code")
    assert not workbench.has_recovery_code
    press(at, "lock_now")
    assert "no recovery code, so nobody can open it" in texts(at)
