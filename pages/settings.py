"""Settings: what the reader may set, where everything lies, and what leaves this computer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import streamlit as st

from bfai.i18n import LANGUAGES, N_
from bfai.model import BfaiError, Message, utc_now
from bfai.ui import _, calm, duration, moment, n_, open_page, plain, say
from bfai.ui.backups import last_backup, make_backup, recovery_code, recovery_sheet, restore_backup
from bfai.ui.first_start import password_strength
from bfai.ui.language import chosen_language, speak, words, zones_of_the_world
from bfai.ui.location import link
from bfai.ui.pieces import attempt, attempting, head, is_shared, size_of, table, window
from bfai.ui.schedule import INTERVALS
from bfai.ui.session import in_tour
from bfai.ui.vault_care import delete_everything, renew_key
from bfai.workbench import LICENCE, VERSION, Kind, Mode, Settings, Wanted, Workbench, describe

READING_WIDTH = 760
FRESH_HOURS = (1, 6, 12, 24, 48, 72, 168, 720)
KEPT_DAYS = (7, 30, 90, 180, 365, 730, 1825, 3650)
LOCK_MINUTES = (5, 10, 15, 30, 60, 120, 240, 480, 0)
BACKUP_DAYS = (0, 1, 7)
BACKUPS_KEPT = (3, 5, 10, 20, 50, 100)
BOXES = ("settings_password", "settings_new_password", "settings_new_password_again")
_SAID = "password_said"
_SHORTER = "keep_shorter"


def draw(workbench: Workbench) -> None:
    code = workbench.waiting_code
    if code is not None and not in_tour():
        with st.container(width=READING_WIDTH):
            recovery_sheet(workbench, code)
        return
    head(_("Settings"), _("Every change holds at once."))
    settings, fixed = workbench.settings, workbench.fixed_settings()
    with st.container(width=READING_WIDTH):
        reader(workbench, settings)
        tests(workbench, settings, fixed)
        alerts(workbench)
        if not in_tour():
            vault(workbench, settings, fixed)
            password(workbench)
            recovery(workbench)
            backups(workbench, settings)
            renew_key(workbench)
        trail(workbench)
        data(workbench)
        leaving(workbench)
        if not is_shared():
            environment(workbench)
        about(workbench)
        if not in_tour():
            delete_everything(workbench)


def choice(
    workbench: Workbench,
    name: str,
    label: str,
    options: Sequence[int],
    now: int,
    word: Callable[[int], str],
    *,
    note: str,
    fixed_by: str | None,
    keep: Callable[[int], None] | None = None,
) -> None:
    """A setting that is a number: the usual ones to choose from, and the present one. Kept when it is chosen."""
    key = f"setting_{name}_{now}_{st.session_state.get(f'setting_{name}', 0)}"

    def take() -> None:
        picked = st.session_state.get(key)
        if picked is None or picked == now:
            return
        if keep is not None:
            keep(int(picked))
        else:
            attempt(lambda: workbench.change_settings(**{name: int(picked)}))

    shown = list(options) if now in options else sorted({*options, now})
    names = {option: word(option) for option in shown}
    st.selectbox(
        label,
        shown,
        index=shown.index(now),
        format_func=names.__getitem__,
        key=key,
        on_change=take,
        disabled=fixed_by is not None,
        width=320,
    )
    st.caption(note)
    if fixed_by is not None:
        st.caption(_("`{variable}` says this. Change it where the program is started.", variable=fixed_by))


# -- the reader --------------------------------------------------------------------------------------------------------


def reader(workbench: Workbench, settings: Settings) -> None:
    with st.container(border=True):
        st.header(_("Language and time"), anchor=False)
        language()
        time_zone(workbench, settings)


def language() -> None:
    now = chosen_language()
    key = f"setting_language_{now}"

    def take() -> None:
        speak(str(st.session_state[key]))

    st.selectbox(
        _("Language"),
        list(LANGUAGES),
        index=list(LANGUAGES).index(now),
        format_func=lambda one: LANGUAGES[one],
        key=key,
        on_change=take,
        width=320,
    )


def time_zone(workbench: Workbench, settings: Settings) -> None:
    zones = ["", *zones_of_the_world()]
    now = settings.time_zone or ""
    key = f"setting_zone_{now}"

    def take() -> None:
        attempt(lambda: workbench.change_settings(time_zone=st.session_state[key] or None))

    browser = st.context.timezone
    usual = _("The browser's: {zone}", zone=browser) if browser else _("The browser's")
    st.selectbox(
        _("Time zone"),
        zones,
        index=zones.index(now) if now in zones else 0,
        format_func=lambda one: one or usual,
        key=key,
        on_change=take,
        width=320,
    )
    st.caption(_("Times on all pages, and in the exports of tests, are in this zone."))


# -- tests -------------------------------------------------------------------------------------------------------------


def tests(workbench: Workbench, settings: Settings, fixed: dict[str, str]) -> None:
    with st.container(border=True):
        st.header(_("Tests"), anchor=False)
        choice(
            workbench,
            "schedule_minutes",
            _("A new connection is tested every"),
            [seconds // 60 for seconds in INTERVALS],
            settings.schedule_minutes,
            lambda minutes: duration(minutes * 60) if minutes else _("off"),
            note=_("Those that you have keep theirs: it stands on the page of each connection."),
            fixed_by=fixed.get("schedule_minutes"),
        )
        link("pages/history.py", _("To the connections and their intervals"), ":material/schedule:")
        choice(
            workbench,
            "freshness_hours",
            _("A passed test holds for"),
            FRESH_HOURS,
            settings.freshness_hours,
            lambda hours: duration(hours * 3600),
            note=_(
                "A strategy is enabled only on a connection that passed a test within this time. An engine that runs"
                " follows at its next start."
            ),
            fixed_by=fixed.get("freshness_hours"),
        )
        choice(
            workbench,
            "keep_runs_days",
            _("Whole tests are kept for"),
            KEPT_DAYS,
            settings.keep_runs_days,
            lambda days: words().days(days),
            note=_("Changes, outages and the figures of every hour stay for ever."),
            fixed_by=fixed.get("keep_runs_days"),
            keep=lambda days: keep_for(workbench, settings, days),
        )
    shorter = st.session_state.pop(_SHORTER, None)
    if shorter is not None:
        ask_shorter(workbench, int(shorter))


def keep_for(workbench: Workbench, settings: Settings, days: int) -> None:
    """Longer holds at once; shorter deletes, so it is asked first."""
    if days < settings.keep_runs_days:
        st.session_state[_SHORTER] = days
        st.session_state["setting_keep_runs_days"] = st.session_state.get("setting_keep_runs_days", 0) + 1
    else:
        attempt(lambda: workbench.change_settings(keep_runs_days=days))


def ask_shorter(workbench: Workbench, days: int) -> None:
    def shorten() -> None:
        attempt(lambda: workbench.change_settings(keep_runs_days=days))

    @window(_("Keep whole tests for a shorter time?"))
    def dialog() -> None:
        with calm():
            older = workbench.count_runs(until=utc_now() - timedelta(days=days))
            st.write(
                n_(
                    "{count} test is older than {time}. It is deleted within a day, unless it changed something or is"
                    " among the newest 500 of its connection. That cannot be undone.",
                    "{count} tests are older than {time}. They are deleted within a day, but for those that changed"
                    " something and the newest 500 of each connection. That cannot be undone.",
                    older,
                    time=words().days(days),
                )
                if older
                else _("No test is older than {time} yet.", time=words().days(days))
            )
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Leave it"), key="keep_longer")
                done = st.button(_("Keep them shorter"), type="primary", key="keep_shorter_yes", on_click=shorten)
            if kept or done:
                st.rerun()

    dialog()


# -- alerts ------------------------------------------------------------------------------------------------------------


def alerts(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("Alerts"), anchor=False)
        channels, unheard = workbench.alerts.channels(), workbench.alerts.unheard()
        if not workbench.alerts.sends:
            st.write(_("In the demo and in the tour nothing is sent."))
        elif not channels:
            st.markdown(":orange[:material/warning:] " + _("No channel yet: nobody hears of anything."))
        elif unheard:
            heard = n_("{count} channel", "{count} channels", len(channels))
            st.markdown(
                ":orange[:material/warning:] "
                + _("{channels}; some security alarms are heard by none.", channels=heard)
            )
        else:
            heard = n_("{count} channel", "{count} channels", len(channels))
            st.markdown(
                ":green[:material/check_circle:] " + _("{channels}; every security alarm is heard.", channels=heard)
            )
        link("pages/alerts.py", _("To the alerts"), ":material/notifications:")


# -- the vault ---------------------------------------------------------------------------------------------------------


def vault(workbench: Workbench, settings: Settings, fixed: dict[str, str]) -> None:
    with st.container(border=True):
        st.header(_("Lock"), anchor=False)
        choice(
            workbench,
            "lock_minutes",
            _("The vault locks without a click after"),
            LOCK_MINUTES,
            settings.lock_minutes,
            lambda minutes: duration(minutes * 60) if minutes else _("never"),
            note=_("Locked, it tests nothing and shows nothing. Its keys stay sealed in any case."),
            fixed_by=fixed.get("lock_minutes"),
        )


def password(workbench: Workbench) -> None:
    old, new, again = BOXES
    with st.container(border=True):
        st.header(_("Master password"), anchor=False)
        with st.container(width=420):
            label = _("Present master password")
            st.text_input(label, type="password", key=old, autocomplete="current-password", live="300ms")
            typed = st.text_input(_("New master password"), type="password", key=new, live="300ms")
            password_strength(workbench, typed)
            st.text_input(_("New master password, again"), type="password", key=again, live="300ms")
        st.button(
            _("Change the password"), icon=":material/key:", key="change_password", on_click=change, args=(workbench,)
        )
        said: tuple[Message, bool] | None = st.session_state.pop(_SAID, None)  # here, where it is looked for
        if said is not None:
            (st.success if said[1] else st.warning)(say(said[0]))
        st.caption(
            _(
                "Every connection opens with the new one then. Nobody can bring it back: write it on paper. A monitor"
                " that reads it from a file or a keyring needs it there as well; older copies of your data keep the old"
                " one."
            )
        )


@attempting
def change(workbench: Workbench) -> None:
    """Takes what was typed and empties the boxes, whatever comes of it."""
    old, new, again = (str(st.session_state.get(key) or "") for key in BOXES)
    for key in BOXES:
        st.session_state[key] = ""
    try:
        if new != again:
            raise BfaiError(Message(text=N_("The two new ones are not the same. Type the new password twice.")))
        workbench.change_password(old, new)
    except BfaiError as error:
        st.session_state[_SAID] = (error.message, False)
        return
    text = N_("The master password is changed. From now on only the new one opens the vault.")
    st.session_state[_SAID] = (Message(text=text), True)


def recovery(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("Recovery code"), anchor=False)
        recovery_code(workbench)


# -- backups -----------------------------------------------------------------------------------------------------------


def backups(workbench: Workbench, settings: Settings) -> None:
    with st.container(border=True):
        st.header(_("Backup"), anchor=False)
        last_backup(workbench)
        make_backup(workbench)
        if workbench.backups.keeps:
            backup_schedule(workbench, settings)
        else:
            st.caption(_("Nothing is kept on this server but your data. Download a backup now and then."))
        with st.expander(_("Restore a backup"), icon=":material/settings_backup_restore:"):
            restore_backup(workbench, lambda: None)


def backup_schedule(workbench: Workbench, settings: Settings) -> None:
    names = {0: _("never"), 1: _("every day"), 7: _("every week")}
    choice(
        workbench,
        "backup_days",
        _("A backup is made by itself"),
        BACKUP_DAYS,
        settings.backup_days,
        lambda days: names.get(days) or n_("every {count} day", "every {count} days", days),
        note=_("While the vault is open, here or in a monitor."),
        fixed_by=None,
    )
    if settings.backup_days:
        choice(
            workbench,
            "backups_kept",
            _("So many of those are kept"),
            BACKUPS_KEPT,
            settings.backups_kept,
            lambda count: words().number(count),
            note=_("What you delete here stays in older backups until they go. Those made by hand stay."),
            fixed_by=None,
        )
    folder = workbench.backups.folder
    key = f"setting_backup_folder_{folder}"

    def take() -> None:
        attempt(lambda: workbench.backups.set_folder(str(st.session_state[key])))

    st.text_input(_("Folder for backups"), value=str(folder or ""), key=key, on_change=take)
    st.caption(
        _("On another disk it outlives this one. Empty is beside your data.")
        if settings.backup_folder or folder is not None
        else _("Name a folder on this computer; without one there is nothing on a schedule.")
    )


# -- the trail ---------------------------------------------------------------------------------------------------------


def trail(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("Audit trail"), anchor=False)
        st.write(_("Everything of consequence that was done here, line by line. Lines are added and never changed."))
        last, _count = workbench.trail(Wanted((Kind.VAULT,)), words().render, limit=1)
        for entry in last:
            told = say(describe(entry, {}, words().render))
            st.caption(_("Last about the vault: {what} ({when})", what=told, when=moment(entry.at)))
        link("pages/audit.py", _("To the audit trail"), ":material/receipt_long:")


# -- where it lies -----------------------------------------------------------------------------------------------------


def data(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("Your data"), anchor=False)
        if workbench.mode is Mode.HOSTED:
            st.write(
                _("Everything is in the database of whoever runs this workbench. Nobody else who signs in sees it.")
            )
            st.caption(
                _(
                    "Keys in it are sealed: whoever has a copy still needs your master password. Names, results and"
                    " strategies are not."
                )
            )
            return
        place = workbench.place()
        if place is None:
            st.write(_("Everything is in memory, and gone when you leave."))
            return
        st.write(_("Everything is in one file of {size}:", size=size_of(place.size)))
        st.code(place.name, language=None, wrap_lines=True)
        st.caption(
            _(
                "Keys in it are sealed: whoever has a copy still needs the master password. A backup, above, is made"
                " while the program runs and says whether it is whole."
            )
        )


# -- what leaves -------------------------------------------------------------------------------------------------------


def leaving(workbench: Workbench) -> None:
    with st.container(border=True):
        hosted = workbench.mode is Mode.HOSTED
        st.header(_("What leaves this server") if hosted else _("What leaves this computer"), anchor=False)
        reached = workbench.reached()
        lines = [
            n_(
                "**To your exchanges:** signed questions about your keys, and public ones. {count} exchange has a"
                " connection of yours.",
                "**To your exchanges:** signed questions about your keys, and public ones. {count} exchanges have"
                " connections of yours.",
                sum(one.used for one in reached),
            ),
            _(
                "**To another exchange:** its public clock, when yours does not answer. And to the ones you choose,"
                " public candles and market rules."
            ),
        ]
        channels = workbench.alerts.channels()
        if channels:
            names = ", ".join(f"{plain(channel.name)} (`{channel.hint}`)" for channel in channels)
            lines.append(_("**To your alert channels:** what happened, never a key. {channels}", channels=names))
        else:
            lines.append(_("**To alert channels:** nothing, as there is none."))
        if hosted:
            lines.append(_("**To the sign-in provider:** that you sign in here, and when. It tells who you are."))
        lines.append(
            _("**To the package index:** requests for what is installed, at the first start and for an engine.")
        )
        st.markdown("\n".join(f"- {line}" for line in lines))
        st.markdown("**" + _("What never does") + "**")
        never = [
            _("The secret of a key, and the master password: they are used here to sign and to open."),
            _("A key, to anybody but the exchange that made it."),
            _("An order, a transfer, a withdrawal: the workbench sends none. Only an engine that you start trades."),
        ]
        if not hosted and not st.get_option("browser.gatherUsageStats"):
            never.append(_("Statistics about you: they are turned off, and there is no account with us."))
        st.markdown("\n".join(f"- {line}" for line in never))
        with st.expander(_("Every exchange and its hosts"), icon=":material/dns:"):
            table(
                {
                    _("Exchange"): [f"**{one.exchange}**" if one.used else one.exchange for one in reached],
                    _("Hosts"): [", ".join(f"`{host}`" for host in one.hosts) for one in reached],
                    _("Requests"): [words().number(one.requests) for one in reached],
                    _("With a key"): [words().number(one.signed) for one in reached],
                },
                alt=_("Every exchange and its hosts"),
            )
            st.caption(_("Made from the program itself. In bold: you have a connection there."))
        link("pages/guide.py", _("Every request that this program can make"), ":material/list:")


# -- from outside ------------------------------------------------------------------------------------------------------


def environment(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("Set where the program is started"), anchor=False)
        st.caption(_("Shown to be known. Change it there, and start the program again."))
        for variable in workbench.environment():
            if variable.shown is not None:
                line(variable.name, variable.shown, _(variable.what), _("environment"))
        address = st.get_option("server.address") or _("every address")
        line("server.address", f"{address}:{st.get_option('server.port')}", _("where the app listens"), "Streamlit")


def line(name: str, value: str, what: str, source: str) -> None:
    with st.container(gap=None):
        st.markdown(f"`{name}` = `{value}`")
        st.caption(f"{what} · {source}")


# -- about -------------------------------------------------------------------------------------------------------------


def about(workbench: Workbench) -> None:
    with st.container(border=True):
        st.header(_("About"), anchor=False)
        st.write(_("BackFuture AI Workbench {version}, under the {licence} licence.", version=VERSION, licence=LICENCE))
        packages = workbench.packages()
        with st.expander(
            n_("{count} package that it is made with", "{count} packages that it is made with", len(packages)),
            icon=":material/license:",
        ):
            st.dataframe(
                {
                    _("Package"): [one.name for one in packages],
                    _("Version"): [one.version for one in packages],
                    _("Licence"): [one.licence or _("not told") for one in packages],
                },
                hide_index=True,
                alt=_("The packages and their licences"),
            )


workbench = open_page("settings")
with calm():
    draw(workbench)
