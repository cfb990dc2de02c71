"""What can be done with the vault as a whole: a new key for it, and everything deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import streamlit as st

from bfai.hosting import Person
from bfai.i18n import N_, NN_
from bfai.model import BfaiError, Message, utc_now
from bfai.ui.backups import LARGEST_UPLOAD
from bfai.ui.language import _, n_, plain, say
from bfai.ui.pieces import attempting, calm, is_shared, largest_upload, tell, window
from bfai.ui.session import Keeper, admit, keeper, signed_in
from bfai.workbench import LeftKey, Workbench

_PASSWORD = "renew_password"
_SAID = "renew_said"
_WORD, _PROBLEM = "delete_word", "delete_problem"
_MOST_LINES = 12
_FRESH = timedelta(minutes=10)


# -- a new key ---------------------------------------------------------------------------------------------------------


def renew_key(workbench: Workbench) -> None:
    """A card of the settings."""
    with st.container(border=True):
        st.header(_("Key of the vault"), anchor=False)
        st.write(
            _(
                "Every secret is sealed under one random key that the master password opens. Renew it when somebody may"
                " have seen this computer with the vault open. Connections, history and password stay."
            )
        )
        with st.form("renew", border=False, width=420):
            st.text_input(_("Master password"), type="password", key=_PASSWORD, autocomplete="current-password")
            st.form_submit_button(
                _("Renew the key"), icon=":material/autorenew:", key="renew_key", on_click=_renew, args=(workbench,)
            )
        said: tuple[list[Message], bool] | None = st.session_state.pop(_SAID, None)  # here, where it is looked for
        if said is not None:
            (st.success if said[1] else st.warning)(" ".join(say(message) for message in said[0]))
        st.caption(
            _(
                "A recovery code on paper opens nothing afterwards: make a new one. A monitor that runs must be started"
                " again. Copies of your data that were made before still open with their password: delete them, and"
                " give your connections new keys if a copy is lost."
            )
        )


@attempting
def _renew(workbench: Workbench) -> None:
    """Takes what was typed and empties the box, whatever comes of it."""
    password = str(st.session_state.get(_PASSWORD) or "")
    st.session_state[_PASSWORD] = ""
    try:
        done = workbench.rotate_vault(password)
    except BfaiError as error:
        st.session_state[_SAID] = ([error.message], False)
        return
    text = NN_(
        "The key is renewed, and {count} connection is sealed anew.",
        "The key is renewed, and {count} connections are sealed anew.",
    )
    said = [Message(text=text, params={"count": done.connections})]
    if done.code_is_dead:
        said.append(Message(text=N_("The recovery code on paper opens nothing any more.")))
    st.session_state[_SAID] = (said, True)


# -- delete everything -------------------------------------------------------------------------------------------------


def delete_everything(workbench: Workbench) -> None:
    """A card of the settings."""
    with st.container(border=True):
        st.header(_("Delete everything"), anchor=False)
        st.write(
            _(
                "Erases the vault with every key, connection, test, strategy, setting and the audit trail. Nobody can"
                " bring it back."
            )
        )
        st.caption(say(workbench.what_deleting_does()))
        for strategy_id, status in workbench.lost_engines().items():
            money = _("real money") if status.live else _("paper money")
            text = _("An engine runs whose strategy is not here any more ({money}).", money=money)
            st.markdown(f":orange[:material/warning:] {text}")
            if st.button(_("Stop it"), icon=":material/stop:", key=f"stop_lost_{strategy_id}"):
                _ask_stop(workbench, strategy_id)
        if st.button(_("Delete everything…"), icon=":material/delete_forever:", key="delete_everything"):
            _ask(workbench.left_at_exchanges(), _open_keeper)


def _ask_stop(workbench: Workbench, strategy_id: str) -> None:
    @window(_("Stop this engine?"))
    def dialog() -> None:
        with calm():
            st.write(
                _(
                    "It cancels its resting orders. Groups that it holds stay open, and nothing closes them at their"
                    " targets: look after them at the exchange."
                )
            )
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Let it run"), key="stop_lost_no")
                ended = st.button(
                    _("Stop"),
                    type="primary",
                    icon=":material/stop:",
                    key="stop_lost_yes",
                    on_click=attempting(lambda: workbench.stop_strategy(strategy_id)),
                )
            if kept or ended:
                st.rerun()

    dialog()


def delete_forgotten(workbench: Workbench) -> None:
    """At the lock of a shared server, where nobody can move the database away. Nothing of the vault is named."""
    st.write(
        _(
            "Without the password and a recovery code nobody can open this vault, not even whoever runs this workbench."
            " Delete it here and begin anew: a backup of up to {limit} MB that you downloaded can then be restored, and"
            " opens with the password of its day. A larger one can be restored only in a terminal, on a computer of"
            " your own. Else make new keys at your exchanges.",
            limit=largest_upload(LARGEST_UPLOAD),
        )
    )
    st.caption(say(workbench.what_deleting_does()))
    if st.button(_("Delete everything…"), icon=":material/delete_forever:", key="delete_forgotten"):
        _ask([], _keeper_of_who_just_signed_in)


def _open_keeper() -> Keeper:
    """That of this visit. Whoever comes to a page whose vault should be locked by now deletes nothing."""
    admit()
    return keeper()


def _keeper_of_who_just_signed_in() -> Keeper:
    """A sign-in of this morning says little about who sits here now."""
    kept, who = keeper(), signed_in()
    if not isinstance(who, Person) or utc_now() - who.signed_in_at > _FRESH:
        text = N_("Nothing is deleted. Log out and sign in again, then delete it within ten minutes.")
        raise BfaiError(Message(text=text))
    return kept


def _ask(left: list[LeftKey], whose: Callable[[], Keeper]) -> None:
    st.session_state.pop("deleted_all", None)  # of an attempt after which another page was drawn

    @st.dialog(_("Delete everything?"))  # noqa: TID251 # also at the lock; `whose` is asked before anything is deleted
    def dialog() -> None:
        with calm():
            _what_stays(left)
            word = _("DELETE")
            st.text_input(_("Type {word} to go on", word=word), key=_WORD, autocomplete="off")
            problem: Message | None = st.session_state.pop(_PROBLEM, None)
            if problem is not None:
                st.warning(say(problem))
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Keep it"), key="delete_all_no")
                st.button(
                    _("Delete everything"),
                    type="primary",
                    icon=":material/delete_forever:",
                    key="delete_all_yes",
                    on_click=_erase,
                    args=(word, whose),
                )
            if kept or st.session_state.pop("deleted_all", False):
                st.rerun()

    dialog()


def _what_stays(left: list[LeftKey]) -> None:
    if left:
        st.markdown("**" + _("What goes on working until you delete it there:") + "**")
        places = {one.exchange: one.key_page for one in left}
        lines: list[str] = []
        for exchange, page in list(places.items())[:_MOST_LINES]:
            hints = [f"{plain(one.connection)} (…{plain(one.key_hint)})" for one in left if one.exchange == exchange]
            shown = ", ".join(hints[:_MOST_LINES])
            label = _("Key list at {exchange}", exchange=plain(exchange))
            lines.append(f"- [{label}]({page}): {shown}")
        st.markdown("\n".join(lines))
        more = len(places) - _MOST_LINES
        if more > 0:
            st.caption(n_("and at {count} other exchange", "and at {count} other exchanges", more))
    st.markdown("**" + _("What stays where it is:") + "**")
    lines = [
        _("backups and exports that you made: delete those files yourself;"),
        _("orders and positions at the exchange;"),
        _("a password that a monitor keeps in a file or a keyring."),
    ]
    if is_shared():
        kept = _("when you signed in and logged out last: without these two times older sign-ins would count;")
        lines.insert(0, kept)
    st.markdown("\n".join(f"- {line}" for line in lines))


def _erase(word: str, whose: Callable[[], Keeper]) -> None:
    typed = str(st.session_state.get(_WORD) or "").strip()
    if typed != word:
        text = N_("Nothing is deleted. Type {word} as it stands there.")
        st.session_state[_PROBLEM] = Message(text=text, params={"word": word})
        return
    st.session_state[_WORD] = ""
    st.session_state["deleted_all"] = True
    try:
        whose().delete_everything()
    except BfaiError as error:
        tell(error.message, refused=True)
    else:
        tell(Message(text=N_("Everything is deleted here. Keys at your exchanges work until you delete them there.")))
