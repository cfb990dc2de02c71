"""What a person sees of backups and of the recovery code: on the settings page, at the first start and at the lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.ui.language import _, moment, n_, plain, say, words
from bfai.ui.pieces import (
    attempting,
    calm,
    download_button,
    head,
    largest_upload,
    on_paper,
    size_of,
    table,
    tell,
    window,
)
from bfai.ui.session import Keeper
from bfai.workbench import LEFT_OUT, BackupFile, Made, Preview, Workbench

LARGEST_UPLOAD = 200
"""Megabytes, where the server takes as many. What is larger is restored in a terminal."""
OWN_BOXES = ("backup_own", "backup_own_again")
_MADE, _OPENED, _SAID, _ROUND = "backup_made", "backup_opened", "backup_said", "backup_round"
_SAVED = "backup_saved"
_CODE_SAID = "recovery_said"


# -- making ------------------------------------------------------------------------------------------------------------


def last_backup(workbench: Workbench) -> None:
    last = workbench.backups.last
    if last.problem is not None:
        problem = say(last.problem)
        st.markdown(":orange[:material/warning:] " + _("The scheduled backup was not made. {problem}", problem=problem))
    if last.made_at is None:
        st.markdown(":orange[:material/warning:] " + _("There is no backup yet. A lost disk loses everything."))
    else:
        when = moment(last.made_at)
        st.markdown(":green[:material/check_circle:] " + _("The last backup was made on {time}.", time=when))


def make_backup(workbench: Workbench) -> None:
    """A button that makes one, and what was made."""
    own = st.toggle(_("Give it a password of its own"), key="backup_has_own")
    if own:
        with st.container(width=420):
            st.text_input(_("Password of the backup"), type="password", key=OWN_BOXES[0], live="300ms")
            st.text_input(_("Password of the backup, again"), type="password", key=OWN_BOXES[1], live="300ms")
    st.caption(
        _("Both passwords are needed then: this one opens the file, the master password opens the vault in it.")
        if own
        else _("It opens with the master password, or the recovery code, that the vault has now.")
    )
    st.caption(_(LEFT_OUT))
    st.button(_("Make a backup"), icon=":material/archive:", key="make_backup", on_click=_make, args=(workbench, own))
    _show_said(_SAID)
    made: Made | None = st.session_state.get(_MADE)
    if made is not None:
        st.success(
            n_(
                "{count} row is in it, {size}. It was read again and is whole.",
                "{count} rows are in it, {size}. It was read again and is whole.",
                made.rows,
                size=size_of(made.size),
            )
        )
        if made.path is not None:
            st.code(str(made.path), language=None, wrap_lines=True)
        _download(workbench, made)


@attempting
def _make(workbench: Workbench, own: bool) -> None:
    """Takes what was typed and empties the boxes, whatever comes of it."""
    password, again = (str(st.session_state.get(key) or "") for key in OWN_BOXES)
    for key in OWN_BOXES:
        st.session_state[key] = ""
    st.session_state.pop(_MADE, None)
    try:
        if own and password != again:
            raise BfaiError(Message(text=N_("The two are not the same. Type the backup's password twice.")))
        backups, chosen = workbench.backups, password if own else None
        made = backups.download(password=chosen) if backups.folder is None else backups.make(password=chosen)
        st.session_state[_MADE] = made
    except BfaiError as error:
        st.session_state[_SAID] = (error.message, False)


def _download(workbench: Workbench, made: Made) -> None:
    """One that is too large to be uploaded again says so while there is time. One in a folder then stays there."""
    limit = largest_upload(LARGEST_UPLOAD)
    too_large = made.size > limit * 1_000_000
    if too_large:
        st.warning(
            _(
                "The pages take files of up to {limit} MB, so this one can be restored only in a terminal, on a"
                " computer of your own: `python3 run.py cli backup restore FILE`. For a smaller one, keep whole tests"
                " for a shorter time in the settings, and make it a day later.",
                limit=limit,
            )
        )
    if made.path is not None and (too_large or not made.path.exists()):
        return
    download_button(
        _("Download the backup"),
        made.content if made.path is None else made.path.read_bytes(),  # a file that is read later can be missed
        file_name=made.name,
        mime="application/octet-stream",
        on_click=attempting(workbench.backups.downloaded),
        key="download_backup",
    )


# -- putting back ------------------------------------------------------------------------------------------------------


def restore_backup(workbench: Workbench, done: Callable[[], None]) -> None:
    """Upload, password, what is in it, and the choice. `done` is called when all of it is here."""
    number = st.session_state.get(_ROUND, 0)
    upload = st.file_uploader(
        _("Backup file"),
        type=["bfaibackup"],
        key=f"backup_file_{number}",
        max_upload_size=largest_upload(LARGEST_UPLOAD),
        on_change=lambda: st.session_state.pop(_OPENED, None),
    )
    with st.container(width=420):
        st.text_input(_("Password of the backup"), type="password", key="backup_password", live="300ms")
        st.caption(_("Its own, or the master password or the recovery code that the vault had when it was made."))
    st.button(
        _("Look into the backup"),
        icon=":material/search:",
        key="open_backup",
        on_click=_open,
        args=(workbench, upload),
        disabled=upload is None,
    )
    _show_said(f"{_SAID}_restore")
    opened: tuple[BackupFile, Preview] | None = st.session_state.get(_OPENED)
    if opened is not None and upload is not None:
        _preview(workbench, *opened, done)


def _open(workbench: Workbench, upload: Any) -> None:
    password = str(st.session_state.get("backup_password") or "")
    st.session_state["backup_password"] = ""
    st.session_state.pop(_OPENED, None)
    try:
        st.session_state[_OPENED] = workbench.backups.open(upload, password)
    except BfaiError as error:
        st.session_state[f"{_SAID}_restore"] = (error.message, False)


def _preview(workbench: Workbench, found: BackupFile, preview: Preview, done: Callable[[], None]) -> None:
    made = _("Made on {time} by version {version}.", time=moment(preview.made_at), version=preview.version)
    st.write(made)
    there, here = preview.there, preview.here
    counts = [
        (_("Connections"), len(there.connections), here and len(here.connections)),
        (_("Tests"), there.tests, here and here.tests),
        (_("Strategies"), len(there.strategies), here and len(here.strategies)),
        (_("Alert channels"), there.channels, here and here.channels),
    ]
    columns = {
        _("What"): [label for label, _there, _now in counts],
        _("In the backup"): [words().number(count) for _label, count, _now in counts],
    }
    if here is not None:
        columns[_("Here now")] = [words().number(now or 0) for _label, _there, now in counts]
    table(columns, alt=_("What is in the backup"))
    st.caption(_(LEFT_OUT))
    if here is None:
        st.button(
            _("Restore it"),
            type="primary",
            icon=":material/settings_backup_restore:",
            key="restore_backup",
            on_click=_restore,
            args=(workbench, found, False, done),
        )
        return
    if preview.warning is not None:
        st.markdown(":orange[:material/warning:] " + say(preview.warning))
    for text, names in (
        (N_("Only in the backup: {names}"), preview.only_there),
        (N_("Only here now: {names}"), preview.only_here),
    ):
        if names:
            st.markdown(_(text, names=", ".join(f"**{plain(name)}**" for name in names)))
    folder = workbench.backups.folder
    if folder is None and not st.session_state.get(_SAVED):
        st.write(_("Download a backup of what is here now first."))
        st.button(
            _("Make a backup of it"), icon=":material/archive:", key="save_first", on_click=_save, args=(workbench,)
        )
        return
    made_now: Made | None = st.session_state.get(_SAVED)
    if made_now is not None:
        _download(workbench, made_now)
    if st.button(_("Replace what is here"), icon=":material/settings_backup_restore:", key="replace_vault"):
        _ask(workbench, found, done)


@attempting
def _save(workbench: Workbench) -> None:
    try:
        st.session_state[_SAVED] = workbench.backups.download()
    except BfaiError as error:
        st.session_state[f"{_SAID}_restore"] = (error.message, False)


def _ask(workbench: Workbench, found: BackupFile, done: Callable[[], None]) -> None:
    @window(_("Replace everything that is here?"))
    def dialog() -> None:
        with calm():
            if workbench.backups.folder is not None:
                st.write(_("What is here now is backed up first, beside your other backups."))
            st.write(
                _("Then all of it goes, but for the audit trail, and the backup takes its place. The vault is locked.")
            )
            with st.container(horizontal=True, horizontal_alignment="right"):
                left = st.button(_("Leave it"), key="replace_no")
                gone = st.button(
                    _("Replace it"),
                    type="primary",
                    key="replace_yes",
                    on_click=_restore,
                    args=(workbench, found, True, done),
                )
            if left or gone:
                st.rerun()

    dialog()


@attempting
def _restore(workbench: Workbench, found: BackupFile, replace: bool, done: Callable[[], None]) -> None:
    try:
        workbench.restore_backup(found, replace=replace)
    except BfaiError as error:
        st.session_state[f"{_SAID}_restore"] = (error.message, False)
        return
    for key in (_OPENED, _MADE, _SAVED):
        st.session_state.pop(key, None)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    text = N_("All of it is here and compared. Unlock the vault with the master password that it had then.")
    tell(Message(text=text))
    done()


def _show_said(key: str) -> None:
    said: tuple[Message, bool] | None = st.session_state.pop(key, None)
    if said is not None:
        (st.success if said[1] else st.warning)(say(said[0]))


# -- the recovery code -------------------------------------------------------------------------------------------------


def recovery_code(workbench: Workbench) -> None:
    """Whether there is one, and how to make or revoke it. The new code itself is drawn by `recovery_sheet`."""
    has = workbench.has_recovery_code
    if has:
        st.markdown(":green[:material/check_circle:] " + _("There is a recovery code. Keep its paper safe."))
    else:
        st.markdown(
            ":gray[:material/info:] "
            + _("There is none. If you forget the master password, your keys and history cannot be opened.")
        )
    st.caption(_("A code for paper that opens the vault when the password is forgotten."))
    with st.container(width=420):
        label = _("Master password, to make a code")
        st.text_input(label, type="password", key="recovery_password", autocomplete="current-password", live="300ms")
    with st.container(horizontal=True):
        st.button(
            _("Make a new code") if has else _("Make a recovery code"),
            icon=":material/print:",
            key="make_code",
            on_click=_make_code,
            args=(workbench,),
        )
        if has:
            st.button(_("Revoke it"), icon=":material/block:", key="revoke_code", on_click=_revoke, args=(workbench,))
    _show_said(_CODE_SAID)


@attempting
def _make_code(workbench: Workbench) -> None:
    password = str(st.session_state.get("recovery_password") or "")
    st.session_state["recovery_password"] = ""
    try:
        workbench.new_recovery_code(password)
    except BfaiError as error:
        st.session_state[_CODE_SAID] = (error.message, False)


@attempting
def _revoke(workbench: Workbench) -> None:
    try:
        workbench.revoke_recovery_code()
    except BfaiError as error:
        st.session_state[_CODE_SAID] = (error.message, False)
        return
    text = N_("The recovery code opens nothing any more. Destroy the paper.")
    st.session_state[_CODE_SAID] = (Message(text=text), True)


def recovery_sheet(workbench: Workbench, code: str) -> None:
    """The code that waits, to be printed or written down, and the box to type it back."""
    on_paper()
    head(_("Recovery code of your vault"), _("Print this page or write the code on paper. It is shown this once."))
    groups = code.split("-")
    with st.container(border=True, width=420, gap=None):
        for start in range(0, len(groups), 2):
            st.markdown("## `" + "  ".join(groups[start : start + 2]) + "`")
    st.caption(
        _(
            "Who has it and a copy of your data has your keys: keep it where you keep money, away from this computer."
            " It opens vault {vault} on the page that asks for the master password.",
            vault=workbench.vault_id[:8],
        )
    )
    with st.container(key="screen_only"):
        with st.form("confirm_code", border=False), st.container(width=420):
            st.text_input(_("Type it once, from the paper"), key="typed_code", autocomplete="off")
            st.form_submit_button(
                _("I have it on paper"), type="primary", key="confirm_code_button", on_click=_confirm, args=(workbench,)
            )
        _show_said(_CODE_SAID)
        st.button(
            _("Leave it"), icon=":material/arrow_back:", type="tertiary", key="leave_code",
            on_click=attempting(workbench.forget_recovery_code),
        )  # fmt: skip


@attempting
def _confirm(workbench: Workbench) -> None:
    typed = str(st.session_state.get("typed_code") or "")
    try:
        workbench.confirm_recovery_code(typed)
    except BfaiError as error:
        st.session_state[_CODE_SAID] = (error.message, False)
        return
    st.session_state["typed_code"] = ""
    text = N_("From now on this code opens the vault, and no earlier one does.")
    st.session_state[_CODE_SAID] = (Message(text=text), True)


# -- at the lock -------------------------------------------------------------------------------------------------------


def recover(keeper: Keeper, failed: Callable[[BfaiError], None]) -> None:
    """The form for who forgot the password."""
    with st.form("recover", border=False):
        st.text_input(_("Recovery code"), key="recovery_code", autocomplete="off")
        st.text_input(_("New master password"), type="password", key="recovered_password")
        st.text_input(_("New master password, again"), type="password", key="recovered_password_again")
        st.form_submit_button(
            _("Open the vault with the code"),
            icon=":material/lock_open:",
            key="recover_button",
            on_click=_recover,
            args=(keeper, failed),
            width="stretch",
        )


def _recover(keeper: Keeper, failed: Callable[[BfaiError], None]) -> None:
    """The passwords are emptied, whatever comes of it; the code stays where it was mistyped."""
    boxes = ("recovery_code", "recovered_password", "recovered_password_again")
    code, new, again = (str(st.session_state.get(key) or "") for key in boxes)
    for key in boxes[1:]:
        st.session_state[key] = ""
    try:
        if new != again:
            raise BfaiError(Message(text=N_("The two new ones are not the same. Type the new password twice.")))
        keeper.workbench.recover(code, new)
    except BfaiError as error:
        failed(error)
        return
    st.session_state["recovery_code"] = ""
    keeper.locked_by_itself = False
    tell(Message(text=N_("The vault has its new password. The recovery code stays good.")))
