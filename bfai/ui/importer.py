"""Keys that lie in other bots' files: look, choose, test with consent, store those that pass. No key is ever drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from bfai.i18n import N_
from bfai.model import BfaiError, Message, TestRun
from bfai.ui.language import _, n_, plain, say
from bfai.ui.pieces import TESTING, attempting, badge, chip, market_name, rerun_when_done, tell
from bfai.workbench import KEPT_NAMES, Findings, FoundKey, Kept, Mode, TestJob, Workbench

_STATE = "importer"
_PATH = "import_path"
_FILES = "import_files"
_EXAMPLE = "~/freqtrade/user_data/config.json"


@dataclass(frozen=True, slots=True)
class Importer:
    """What was found, and which of it is being tested. Holds no key: those wait sealed in the workbench."""

    found: tuple[FoundKey, ...] = ()
    files: int = 0
    unread: tuple[str, ...] = ()
    limited: bool = False
    looked: bool = False
    tested: tuple[str, ...] = field(default=())


def open_importer() -> None:
    st.session_state[_STATE] = Importer()


def current_importer() -> Importer | None:
    return st.session_state.get(_STATE)


@attempting
def leave_importer(workbench: Workbench) -> None:
    """Forgets every found key that was not stored."""
    importer = st.session_state.pop(_STATE, None)
    for item in importer.found if importer else ():
        if item.draft_id:
            workbench.forget_draft(item.draft_id)


def draw_importer(workbench: Workbench) -> None:
    importer = current_importer() or Importer()
    st.title(_("Import from a bot"), anchor=False)
    if not importer.looked:
        _look(workbench)
    elif not importer.found:
        st.write(n_("No key in {count} file.", "No key in {count} files.", importer.files))
    else:
        _list(workbench, importer)
    for name in importer.unread:
        st.caption(_("{file} could not be read.", file=plain(name)))
    if importer.limited:
        st.warning(
            _("Not every file was looked at: there are too many for one search. Search smaller folders, one at a time.")
        )
    with st.container(horizontal=True):
        if importer.looked:
            st.button(_("Look somewhere else"), key="import_again", on_click=_again, args=(workbench,))
        st.button(
            _("Back"),
            icon=":material/arrow_back:",
            type="tertiary",
            key="import_leave",
            on_click=leave_importer,
            args=(workbench,),
        )


def _again(workbench: Workbench) -> None:
    leave_importer(workbench)
    open_importer()


# -- where -------------------------------------------------------------------------------------------------------------


def _look(workbench: Workbench) -> None:
    st.write(
        _(
            "Finds keys in the files of Freqtrade, OctoBot, Hummingbot and passivbot, and in .env files. Nothing is"
            " sent, and no key is ever shown."
        )
    )
    if workbench.mode is Mode.LOCAL:
        with st.form("import_folder", border=True):
            st.text_input(_("A file or folder on this computer"), key=_PATH, placeholder=_EXAMPLE)
            st.form_submit_button(
                _("Look for keys"),
                type="primary",
                icon=":material/search:",
                key="look_folder",
                on_click=attempting(lambda: _take(workbench, workbench.find_bot_keys(_path()))),
            )
    with st.form("import_upload", border=True):
        st.file_uploader(
            _("Or give the files here"),
            accept_multiple_files=True,
            key=_FILES,
            help=_("They are read once, in memory, and not kept."),
        )
        st.form_submit_button(
            _("Look into these files"),
            icon=":material/search:",
            key="look_files",
            on_click=attempting(lambda: _take(workbench, workbench.find_uploaded_keys(_uploaded()))),
        )


def _path() -> str:
    return str(st.session_state.get(_PATH) or ".")


def _uploaded() -> list[tuple[str, str]]:
    files: list[Any] = st.session_state.get(_FILES) or []
    return [(file.name, file.getvalue().decode("utf-8", "surrogateescape")) for file in files]


@attempting
def _take(workbench: Workbench, findings: Findings) -> None:
    found = tuple(workbench.take_found(findings))
    st.session_state[_STATE] = Importer(found, findings.files, findings.unread, findings.limited, looked=True)


# -- what was found ----------------------------------------------------------------------------------------------------


def _list(workbench: Workbench, importer: Importer) -> None:
    st.write(n_("{count} key was found.", "{count} keys were found.", len(importer.found)))
    jobs = [job for item in importer.found if (job := _job(workbench, item)) is not None]
    for item in importer.found:
        _row(workbench, importer, item)
    untested = [item for item in importer.found if item.draft_id and item.draft_id not in importer.tested]
    chosen = [item for item in untested if st.session_state.get(f"import_{item.key.id}", True)]
    if untested:
        st.caption(_("A test shows the key to its exchange, and to nobody else."))
        st.button(
            n_("Test {count} key", "Test {count} keys", len(chosen)),
            type="primary",
            icon=":material/play_arrow:",
            key="import_test",
            disabled=not chosen,
            on_click=_test,
            args=(workbench, importer, chosen),
        )
    passed = [item for item in importer.found if _may_be_stored(workbench, item)]
    if passed and workbench.mode is not Mode.DEMO:
        st.button(
            n_("Store {count} key that passed", "Store {count} keys that passed", len(passed)),
            type="secondary" if untested else "primary",
            icon=":material/lock:",
            key="import_store",
            on_click=attempting(lambda: _store(workbench, importer, passed)),
        )
    rerun_when_done([job for job in jobs if not job.done])


def _job(workbench: Workbench, item: FoundKey) -> TestJob | None:
    return workbench.draft_job(item.draft_id) if item.draft_id else None


def _run(workbench: Workbench, item: FoundKey) -> TestRun | None:
    draft = workbench.get_draft(item.draft_id) if item.draft_id else None
    return draft.run if draft else None


def _may_be_stored(workbench: Workbench, item: FoundKey) -> bool:
    draft = workbench.get_draft(item.draft_id) if item.draft_id else None
    return draft is not None and draft.run is not None and workbench.can_save(draft) is None


def _row(workbench: Workbench, importer: Importer, item: FoundKey) -> None:
    key, run = item.key, _run(workbench, item)
    job = _job(workbench, item)
    with st.container(border=True, gap="xsmall", key=f"found_{key.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(key.exchange_name)}** · {plain(key.bot)}", width="content")
            if job is not None and not job.done:
                badge(TESTING)
            elif run is not None:
                chip(run.status, cause=run.diagnosis.cause if run.diagnosis else None)
        st.caption(f"{market_name(key.market)} · {plain(key.file)} ({plain(key.entry)})")
        for icon, text in _worries(importer, item):
            st.markdown(f"{icon} {text}")
        if run is not None:
            thief = " ".join(say(message) for message in workbench.thief_view(run))
            remedy = workbench.remedy(run)
            if remedy is not None:
                st.markdown(f"**{say(remedy.title)}** {say(remedy.text)}")
            if thief:
                st.markdown(":material/visibility: " + thief)
        elif item.draft_id and item.draft_id not in importer.tested:
            st.checkbox(_("Test this one"), value=True, key=f"import_{key.id}")
        elif item.problem is not None:
            st.caption(say(item.problem))


def _worries(importer: Importer, item: FoundKey) -> list[tuple[str, str]]:
    key = item.key
    good = key.kept is Kept.PASSWORD
    icon = ":green[:material/lock:]" if good else ":orange[:material/lock_open:]"
    rows = [(icon, _("The key lies there {how}.", how=_(KEPT_NAMES[key.kept])))]
    if key.open_to_others:
        rows.append(
            (
                ":orange[:material/group:]",
                _("Other users of this computer may read the file: chmod 600 mends that."),
            )
        )
    if key.same_as:
        places = {other.key.id: f"{other.key.file} ({other.key.entry})" for other in importer.found}
        shown = ", ".join(plain(places[other]) for other in key.same_as if other in places)
        rows.append(
            (":orange[:material/content_copy:]", _("The same key lies at another place: {places}.", places=shown))
        )
    return rows


@attempting
def _test(workbench: Workbench, importer: Importer, chosen: list[FoundKey]) -> None:
    tested = importer.tested
    for item in chosen:
        if item.draft_id is None:
            continue
        try:
            workbench.start_draft_test(item.draft_id)
        except BfaiError as error:
            tell(error.message, refused=True)
        tested = (*tested, item.draft_id)
    st.session_state[_STATE] = replace(importer, tested=tested)


@attempting
def _store(workbench: Workbench, importer: Importer, passed: list[FoundKey]) -> None:
    names: list[str] = []
    for item in passed:
        if item.draft_id is not None:
            names.append(workbench.save_bot_key(item.draft_id, item.key).name)
    left = tuple(item for item in importer.found if item not in passed)
    st.session_state[_STATE] = replace(importer, found=left)
    text = N_(
        "Stored: {names}. Now take the keys out of the bots' files, or make new ones: a copy there is still a risk."
    )
    tell(Message(text=text, params={"names": ", ".join(names)}))
