"""What stands before an open vault: the three doors of the first start, making a vault, the lock.

One narrow column, no sidebar and no page link, so that nothing of a locked workbench shows.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import streamlit as st

from bfai.hosting import Kind, Person
from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.ui.backups import recover, restore_backup
from bfai.ui.language import _, language_switch, n_, say
from bfai.ui.pieces import attempt, calm, tell, told
from bfai.ui.session import Keeper, hosting, leave_tour, log_out, signed_in, start_tour
from bfai.ui.vault_care import delete_forgotten
from bfai.ui.wizard import Wizard, draw_wizard, leave_wizard, open_wizard
from bfai.workbench import Mode, Workbench, WrongPassword

_DOOR, _STILL_IN = "door", "still_logged_in"
_HARD = 3  # from here on there is nothing to better
_STRENGTH_WORDS = (
    N_("Guessed at once"),
    N_("Guessed quickly"),
    N_("Guessed sooner or later"),
    N_("Hard to guess"),
    N_("Very hard to guess"),
)


@contextmanager
def column(width: int = 420) -> Generator[None]:
    """A narrow column in the middle of the page, the language switch at its end."""
    with st.container(horizontal_alignment="center"), st.container(width=width), calm():
        told()
        yield
        st.space("small")
        language_switch("column")


def first_start(keeper: Keeper) -> None:
    """Nothing is here yet: three ways to begin."""
    workbench = keeper.workbench
    match st.session_state.get(_DOOR):
        case "check":
            _check_one(workbench)
        case "vault":
            with column():
                _make_vault(workbench)
        case "restore":
            with column(560):
                _bring_back(workbench)
        case _:
            with column():
                _doors(workbench)
                if workbench.mode is Mode.HOSTED:
                    account()


def _doors(workbench: Workbench) -> None:
    st.title(_("Is this API key safe for a bot?"), anchor=False)
    st.write(_("The workbench reads what a key may do, refuses one that can withdraw, and tests that it works."))
    doors = (
        (
            _("Look around with the simulator"),
            _("Simulated exchanges with sample keys, good ones and bad ones. Nothing is kept."),
            ":material/explore:",
            start_tour,
        ),
        (
            _("Check one key, store nothing"),
            _("Paste a key, see what it may do. It is forgotten afterwards, after ten minutes at the latest."),
            ":material/fact_check:",
            _choose_check,
        ),
        (
            _("Open a vault"),
            _("Keep connections here, sealed with a master password that only you know, and test them again and again.")
            if workbench.mode is Mode.HOSTED
            else _("Keep connections on this computer, sealed with a master password, and test them again and again."),
            ":material/lock:",
            _choose_vault,
        ),
    )
    first = 2 if workbench.mode is Mode.HOSTED else 0  # who signed in has come for the vault
    for number in sorted(range(len(doors)), key=lambda number: number != first):
        label, text, icon, act = doors[number]
        with st.container(border=True):
            st.write(text)
            st.button(
                label,
                icon=icon,
                on_click=act,
                key=f"door_{number}",
                width="stretch",
                type="primary" if number == first else "secondary",
            )


def _choose_check() -> None:
    st.session_state[_DOOR] = "check"
    open_wizard(Wizard(keeps=False))


def _choose_vault() -> None:
    st.session_state[_DOOR] = "vault"


def _choose_restore() -> None:
    st.session_state[_DOOR] = "restore"


def _bring_back(workbench: Workbench) -> None:
    st.title(_("Restore a backup"), anchor=False)
    st.write(_("Everything that was in the vault comes back: connections, sealed keys, history, strategies."))
    restore_backup(workbench, _back_to_doors)
    st.button(_("Back"), icon=":material/arrow_back:", type="tertiary", on_click=_choose_vault, key="restore_back")


def _back_to_doors() -> None:
    st.session_state.pop(_DOOR, None)
    leave_wizard()


def _check_one(workbench: Workbench) -> None:
    with st.container(horizontal_alignment="center"), st.container(width=960), calm():
        told()
        draw_wizard(workbench, on_leave=_back_to_doors)
        language_switch("column")


# -- a new vault -------------------------------------------------------------------------------------------------------


def _make_vault(workbench: Workbench) -> None:
    st.title(_("Open a vault"), anchor=False)
    hosted = workbench.mode is Mode.HOSTED
    if hosted:
        st.write(
            _("Your keys are sealed with one master password before they are stored. Signing in does not open them.")
        )
        st.caption(
            _(
                "While the vault is open, this server can read what is in it. Use it only if you trust whoever runs it;"
                " otherwise run the workbench on your own computer."
            )
        )
    else:
        st.write(_("Your keys are sealed on this computer with one master password."))
    password = st.text_input(_("Master password"), type="password", key="new_password", live="300ms")
    password_strength(workbench, password)
    with st.form("vault", border=False):
        st.text_input(_("Master password, again"), type="password", key="new_password_again")
        st.caption(
            _(
                "Nobody can open the vault without this password, and nobody can bring it back. Write it on paper and"
                " keep that away from this computer."
            )
        )
        minutes = workbench.settings.lock_minutes
        st.caption(
            open_while(minutes)
            if hosted
            else n_(
                "On this computer the opened vault stays open across reloads and locks after {count} minute without a"
                " click.",
                "On this computer the opened vault stays open across reloads and locks after {count} minutes without a"
                " click.",
                minutes,
            )
            if minutes
            else _("On this computer the opened vault stays open until you lock it or end the program.")
        )
        st.form_submit_button(
            _("Open the vault"),
            type="primary",
            icon=":material/lock:",
            on_click=_create,
            args=(workbench,),
            key="create_vault",
            width="stretch",
        )
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.button(_("Back"), icon=":material/arrow_back:", type="tertiary", on_click=_back_to_doors, key="vault_back")
        st.button(
            _("Restore a backup"),
            icon=":material/settings_backup_restore:",
            type="tertiary",
            on_click=_choose_restore,
            key="vault_restore",
        )
    problem = st.session_state.pop("vault_problem", None)
    if problem:
        st.warning(problem)


def password_strength(workbench: Workbench, password: str) -> None:
    """Its place is always taken: what appeared while typing would push the button from under the pointer."""
    if not password:
        st.progress(0.0, text=_("At least 10 characters."))
        return
    score, hint = workbench.password_strength(password)
    word = _(_STRENGTH_WORDS[score])
    text = _("{strength}. {hint}", strength=word, hint=say(hint)) if score < _HARD else word
    st.progress((score + 1) / 5, text=text)


def _create(workbench: Workbench) -> None:
    password = str(st.session_state.get("new_password") or "")
    again = str(st.session_state.get("new_password_again") or "")
    st.session_state["new_password"] = st.session_state["new_password_again"] = ""
    if password != again:
        st.session_state["vault_problem"] = _("The two are not the same. Type the master password twice.")
        return
    try:
        workbench.create_vault(password)
    except BfaiError as error:
        st.session_state["vault_problem"] = say(error.message)
        return
    text = N_("The vault is made. For a day on which you forget its password, make a recovery code under Settings.")
    tell(Message(text=text))
    _back_to_doors()


# -- the lock ----------------------------------------------------------------------------------------------------------


def lock_screen(keeper: Keeper) -> None:
    with column():
        st.title(_("The vault is locked"), anchor=False)
        if keeper.locked_by_itself:
            st.caption(
                n_(
                    "Locked because nobody clicked for {count} minute. Nothing is lost.",
                    "Locked because nobody clicked for {count} minutes. Nothing is lost.",
                    keeper.locked_after,
                )
            )
        elif keeper.workbench.mode is Mode.HOSTED:
            st.caption(_("Here the opened vault lives only as long as the page: a reload locks it. Nothing is lost."))
        waits = keeper.workbench.unlock_wait() > 0
        with st.form("unlock", border=False):
            st.text_input(_("Master password"), type="password", key="master_password", autocomplete="current-password")
            st.form_submit_button(
                _("Unlock"),
                type="primary",
                icon=":material/lock_open:",
                on_click=_unlock,
                args=(keeper,),
                disabled=waits,
                key="unlock_button",
                width="stretch",
            )
        if waits:
            _back_off(keeper)
        elif st.session_state.pop("wait_over", False):  # in the place of what counted down, so that nothing moves
            st.info(_("You can try again now."))
        elif st.session_state.get("unlock_problem"):
            st.warning(st.session_state["unlock_problem"])
        with st.expander(_("I forgot the password"), icon=":material/help:"):
            hosted = keeper.workbench.mode is Mode.HOSTED
            if keeper.workbench.has_recovery_code:
                recover(keeper, _refused)
            elif not hosted:
                st.write(
                    _(
                        "This vault has no recovery code, so nobody can open it. An older backup opens with the"
                        " password of its day. Else move the database away, begin anew, and make new keys at your"
                        " exchanges."
                    )
                )
            if hosted:
                delete_forgotten(keeper.workbench)
        if hosted:
            account()


def _unlock(keeper: Keeper) -> None:
    password = str(st.session_state.get("master_password") or "")
    st.session_state["master_password"] = ""
    st.session_state.pop("unlock_problem", None)
    try:
        keeper.workbench.unlock(password)
    except BfaiError as error:
        _refused(error)
        return
    keeper.locked_by_itself = False


def _refused(error: BfaiError) -> None:
    st.session_state["unlock_problem"] = say(error.message)
    st.session_state["was_wrong"] = isinstance(error, WrongPassword)


@st.fragment(run_every=1.0)  # noqa: TID251 # at the lock
def _back_off(keeper: Keeper) -> None:
    """Counts down. It asks each time: somebody may have typed the right password elsewhere."""
    left = keeper.workbench.unlock_wait()
    if left <= 0:
        st.session_state["wait_over"] = True
        st.session_state.pop("unlock_problem", None)
        st.rerun()
    if st.session_state.get("was_wrong"):
        told = n_(
            "That is not the password. Next try in {count} second.",
            "That is not the password. Next try in {count} seconds.",
            left,
        )
    else:
        told = n_(
            "Too many attempts with a wrong password. Next try in {count} second.",
            "Too many attempts with a wrong password. Next try in {count} seconds.",
            left,
        )
    st.warning(told)


def cannot_open(error: BfaiError) -> None:
    """The database cannot be used: say so and let the trader try again or look around."""
    with column():
        st.title(_("The workbench cannot open its database"), anchor=False)
        st.warning(say(error.message))
        with st.container(horizontal=True):
            st.button(_("Try again"), type="primary", key="database_again")
            st.button(_("Look around with the simulator"), on_click=start_tour, key="database_tour")
        if hosting().kind is Kind.HOSTED:
            account()


# -- signing in --------------------------------------------------------------------------------------------------------


def welcome(problem: Message | None) -> None:
    """Nobody is signed in. `problem` says why one who was is not any more."""
    with column():
        st.title(_("Is this API key safe for a bot?"), anchor=False)
        st.write(_("The workbench reads what a key may do, refuses one that can withdraw, and tests that it works."))
        if problem is not None:
            st.info(say(problem))
        with st.container(border=True):
            st.write(
                _(
                    "Signing in tells people apart and gives you a vault of your own. What is in it is sealed with a"
                    " master password, which you choose next."
                )
            )
            for number, provider in enumerate(hosting().providers):
                label = _("Sign in") if provider is None else _("Sign in with {provider}", provider=provider.title())
                st.button(
                    label,
                    icon=":material/login:",
                    type="primary" if number == 0 else "secondary",
                    on_click=st.login,
                    args=(provider,),
                    key=f"sign_in_{number}",
                    width="stretch",
                )
        _look_around()
        st.caption(shared_server())


def _look_around() -> None:
    with st.container(border=True):
        st.write(_("Simulated exchanges with sample keys, good ones and bad ones. Nothing is kept."))
        st.button(
            _("Look around with the simulator"),
            icon=":material/explore:",
            on_click=start_tour,
            key="welcome_tour",
            width="stretch",
        )


def unfinished(problem: Message | None) -> None:
    """It was to be hosted, and something is missing."""
    with column():
        st.title(_("This workbench is not set up yet"), anchor=False)
        if problem is not None:
            st.warning(say(problem))
        st.caption(_("Until then nothing is kept. The guide is docs/community-cloud.md."))
        _look_around()


def account() -> None:
    """Who is signed in, and the way out."""
    who = signed_in()
    if isinstance(who, Person) and who.name:
        st.caption(_("Signed in as {name}.", name=f"`{who.name.replace('`', '')}`"))  # as code it is no mail link
    icon = ":material/logout:"
    st.button(_("Log out"), icon=icon, width="stretch", on_click=_log_out, key="log_out")
    if st.session_state.get(_STILL_IN):
        st.button(
            _("Log out in this browser alone"),
            icon=icon,
            width="stretch",
            on_click=_log_out,
            kwargs={"here_alone": True},
            key="log_out_here",
        )


def _log_out(*, here_alone: bool = False) -> None:
    try:
        log_out(here_alone=here_alone)
    except BfaiError as error:
        st.session_state[_STILL_IN] = True
        text = N_("You are not logged out, as your visits elsewhere could not be ended. {problem}")
        tell(Message(text=text, params={"problem": say(error.message)}), refused=True)


def open_while(minutes: int) -> str:
    """For how long the vault of a visit stays open; `minutes` without a click, 0 being for ever."""
    if not minutes:
        return _("Stays open as long as this page. A reload locks it.")
    return n_(
        "Stays open as long as this page. A reload locks it, and so does {count} minute without a click.",
        "Stays open as long as this page. A reload locks it, and so do {count} minutes without a click.",
        minutes,
    )


def shared_server() -> str:
    """What anybody should know who uses a key on a server."""
    return _(
        "A server's address is shared by all who use it, so binding a key to it protects little. In the United States,"
        " where Community Cloud runs, Binance (451) and Bybit (403) refuse every request."
    )


def end_tour() -> None:
    """Back to the doors; a key that was pasted in the tour goes with it."""
    leave_wizard()
    leave_tour()


def lock_now(keeper: Keeper) -> None:
    attempt(keeper.lock)
