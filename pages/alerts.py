"""Alerts: who hears of what, a test message, what became of each message, and what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time

import streamlit as st

from bfai.i18n import LANGUAGES, N_
from bfai.model import BfaiError, Channel, Delivery, DeliveryState, EventKind, Message
from bfai.ui import _, calm, moment, n_, open_page, plain, say, zone_name
from bfai.ui.language import zones_of_the_world
from bfai.ui.pieces import Look, attempt, attempting, badge, head, table, tell, window, zone_note
from bfai.workbench import DELIVERY_NAMES, EVENT_NAMES, Alerts, Workbench, heading

SHOWN = 50
NEW = "new"
OPEN = "channel_open"
SAID = "channel_problem"
TESTED = "channel_tested"
REPEATS = (None, 1, 3, 6, 12, 24)
DELIVERY_LOOKS = {
    DeliveryState.WAITING: Look(DELIVERY_NAMES[DeliveryState.WAITING], "gray", "schedule"),
    DeliveryState.SENDING: Look(DELIVERY_NAMES[DeliveryState.SENDING], "gray", "sync"),
    DeliveryState.FAILED: Look(DELIVERY_NAMES[DeliveryState.FAILED], "orange", "replay"),
    DeliveryState.SENT: Look(DELIVERY_NAMES[DeliveryState.SENT], "green", "check_circle"),
    DeliveryState.GIVEN_UP: Look(DELIVERY_NAMES[DeliveryState.GIVEN_UP], "red", "dangerous"),
    DeliveryState.DROPPED: Look(DELIVERY_NAMES[DeliveryState.DROPPED], "gray", "remove_circle_outline"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How messages can be sent: what the address looks like, and how to get one."""

    label: str
    example: str
    how: str
    link: str


WAYS = {
    "ntfy": Way(
        N_("ntfy"),
        "ntfy://a-long-topic-that-nobody-guesses",
        N_("Install the ntfy app and subscribe to a topic that nobody guesses: whoever knows it reads along."),
        "https://ntfy.sh",
    ),
    "telegram": Way(
        N_("Telegram"),
        "tgram://BOT-TOKEN/CHAT-ID",
        N_(
            "Write /newbot to @BotFather and copy the token. Write something to your new bot, and ask @userinfobot for"
            " your chat id."
        ),
        "https://t.me/BotFather",
    ),
    "mail": Way(
        N_("Mail"),
        "mailtos://user:app-password@gmail.com?to=you@example.com",
        N_("Take an app password of your mail service: your own password seldom works, and can do more."),
        "https://support.google.com/accounts/answer/185833",
    ),
    "discord": Way(
        N_("Discord"),
        "https://discord.com/api/webhooks/…",
        N_("Make a webhook in the settings of your channel, and paste its address as it is."),
        "https://support.discord.com/hc/articles/228383668",
    ),
    "webhook": Way(
        N_("Webhook"),
        "https://example.com/hook",
        N_("Title, message and type are posted there as JSON. http:// is for a program on this computer."),
        "https://github.com/caronc/apprise/wiki/Notify_Custom_JSON",
    ),
    "other": Way(
        N_("Others"),
        "gotifys://example.com/TOKEN",
        N_("Gotify, Matrix, Pushover, Signal, Slack and more: the address is written as Apprise writes it."),
        "https://github.com/caronc/apprise/wiki",
    ),
}


def draw(workbench: Workbench) -> None:
    alerts = workbench.alerts
    channels = alerts.channels()
    opened = st.session_state.get(OPEN)
    with head(_("Alerts"), " · ".join((n_("{count} channel", "{count} channels", len(channels)), zone_note()))):
        if alerts.sends and opened != NEW:
            st.button(_("Add a channel"), icon=":material/add:", type="primary", key="add_channel", on_click=open_new)
    if not alerts.sends:
        st.info(_("In the demo and in the tour nothing is sent. At home your channels stand here."))
    else:
        st.caption(
            _(
                "Messages are sent while the vault is open here, or by a monitor without the app. What happens"
                " meanwhile is told then."
            )
        )
        if opened == NEW:
            form(alerts, None)
        elif not channels:
            st.write(
                _(
                    "Nothing here yet. A channel tells your telephone or your mailbox when a key can suddenly withdraw,"
                    " when a connection fails, and when a key is about to expire."
                )
            )
        warn_of_unheard(alerts, channels)
        for channel in channels:
            row(alerts, channel, opened == channel.id)
        if channels:
            spoken(alerts)
            log(alerts)
    events(workbench)


# -- channels ----------------------------------------------------------------------------------------------------------


def open_new() -> None:
    st.session_state[OPEN] = NEW


def open_channel(channel_id: str) -> None:
    st.session_state[OPEN] = channel_id


def close() -> None:
    """Closes the form and forgets what was typed into it."""
    for key in (OPEN, SAID):
        st.session_state.pop(key, None)


def warn_of_unheard(alerts: Alerts, channels: list[Channel]) -> None:
    unheard = alerts.unheard() if channels else []
    if unheard:
        names = ", ".join(_(EVENT_NAMES[kind]) for kind in unheard)
        st.warning(_("No channel hears these security alarms: {kinds}.", kinds=names))


def row(alerts: Alerts, channel: Channel, opened: bool) -> None:
    with st.container(border=True, key=f"channel_{channel.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container(gap="xsmall", width="stretch"):
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"**{plain(channel.name)}**", width="content")
                    last = last_done(alerts, channel)
                    if last is not None:
                        badge(DELIVERY_LOOKS[last.state])
                st.caption(" · ".join((f"`{channel.hint}`", *habits(channel))))
                if last is not None and last.reason is not None:
                    st.markdown(":orange[:material/warning:] " + say(last.reason))
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
                asked = st.button(_("Send a test"), key=f"test_{channel.id}", icon=":material/send:")
                st.button(_("Edit"), key=f"edit_{channel.id}", on_click=open_channel, args=(channel.id,))
                if st.button(_("Delete"), key=f"delete_{channel.id}"):
                    delete(alerts, channel)
        if asked:
            with st.spinner(_("Sending a test message")):
                test(alerts, channel)
        tested = st.session_state.get(TESTED)
        if tested is not None and tested[0] == channel.id:
            problem: Message | None = tested[1]
            if problem is None:
                st.success(_("The other side took it. Look whether it arrived."), icon=":material/check_circle:")
            else:
                st.warning(say(problem), title=_("The test message was not sent"))
        if opened:
            form(alerts, channel)


def last_done(alerts: Alerts, channel: Channel) -> Delivery | None:
    """The last delivery that was sent, or was not."""
    tried = (DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.GIVEN_UP)
    lines = (line.delivery for line in alerts.log(SHOWN))
    return next((one for one in lines if one.channel_id == channel.id and one.state in tried), None)


def habits(channel: Channel) -> list[str]:
    """What it hears and when, in a few words."""
    heard = sum(channel.hears(kind) for kind in EVENT_NAMES)
    words = [
        _("hears everything")
        if heard == len(EVENT_NAMES)
        else n_("hears {count} kind of {all}", "hears {count} kinds of {all}", heard, all=len(EVENT_NAMES))
    ]
    if channel.quiet_from is not None and channel.quiet_until is not None:
        begin, end = f"{channel.quiet_from:%H:%M}", f"{channel.quiet_until:%H:%M}"
        words.append(_("quiet {begin}–{end}", begin=begin, end=end))
    if channel.grace_minutes:
        words.append(n_("failures after {count} minute", "failures after {count} minutes", channel.grace_minutes))
    if channel.repeat_hours:
        words.append(n_("again after {count} hour", "again after {count} hours", channel.repeat_hours))
    return words


def test(alerts: Alerts, channel: Channel) -> None:
    try:
        st.session_state[TESTED] = (channel.id, alerts.test(channel.id))
    except BfaiError as error:
        st.session_state[TESTED] = (channel.id, error.message)


def delete(alerts: Alerts, channel: Channel) -> None:
    def erase() -> None:
        if attempt(lambda: alerts.remove(channel.id)):
            close()
            tell(Message(text=N_("{name} is deleted."), params={"name": channel.name}))

    @window(_("Delete {name}?", name=plain(channel.name)))
    def dialog() -> None:
        with calm():
            st.write(_("Its address and its part of the log are erased here. What waits is not sent to it any more."))
            with st.container(horizontal=True, horizontal_alignment="right"):
                kept = st.button(_("Keep it"), key="delete_no")
                erased = st.button(
                    _("Delete"), type="primary", icon=":material/delete:", key="delete_yes", on_click=erase
                )
            if kept or erased:
                st.rerun()

    dialog()


# -- the form ----------------------------------------------------------------------------------------------------------


def form(alerts: Alerts, channel: Channel | None) -> None:
    """Everything about a channel. The address goes in and never comes out; what else was typed stays."""
    mark = channel.id if channel else NEW
    keys = {
        name: f"channel_{name}_{mark}"
        for name in ("name", "way", "address", "all", "kinds", "silent", "begin", "end", "grace", "repeat")
    }
    with st.container(border=channel is None, key=f"channel_form_{mark}"):
        if channel is None:
            st.header(_("New channel"), anchor=False)
        st.text_input(_("Name"), value=channel.name if channel else "", max_chars=60, key=keys["name"], width=420)
        address(channel, keys)
        heard = [kind for kind in EVENT_NAMES if channel is None or channel.hears(kind)]
        if not st.toggle(_("It hears everything"), value=len(heard) == len(EVENT_NAMES), key=keys["all"]):
            st.multiselect(
                _("What it hears"),
                list(EVENT_NAMES),
                default=heard,
                format_func=kind_name,
                key=keys["kinds"],
                help=_("Security alarms are told at once, also in quiet hours."),
            )
        when(channel, keys)
        problem: Message | None = st.session_state.pop(SAID, None)
        if problem is not None:
            st.warning(say(problem))
        with st.container(horizontal=True):
            st.button(_("Save"), type="primary", key=f"save_{mark}", on_click=saving(alerts, channel, keys))
            st.button(_("Close"), type="tertiary", key=f"close_{mark}", on_click=close)


def kind_name(kind: EventKind) -> str:
    name = _(EVENT_NAMES[kind])
    return _("{kind} (alarm)", kind=name) if kind.security else name


def address(channel: Channel | None, keys: dict[str, str]) -> None:
    chosen = st.segmented_control(
        _("Where to"),
        list(WAYS),
        default=None if channel else "ntfy",
        format_func=lambda name: _(WAYS[name].label),
        key=keys["way"],
    )
    if chosen:
        way = WAYS[chosen]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_(way.how), width="stretch")
            st.link_button(_("How to get one"), way.link, icon=":material/open_in_new:")
        st.code(way.example, language=None)
    st.text_input(
        _("Address"),
        type="password",
        live="300ms",
        key=keys["address"],
        placeholder=_("Leave it empty to keep {hint}", hint=channel.hint) if channel else "",
        help=_("It is sealed in the vault and never shown again: it holds a token or a password."),
    )


def when(channel: Channel | None, keys: dict[str, str]) -> None:
    begin, end = (channel.quiet_from, channel.quiet_until) if channel else (None, None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        silent = st.toggle(
            _("Quiet hours"),
            value=begin is not None,
            key=keys["silent"],
            help=_("All but security alarms wait until they end."),
        )
        if silent:
            st.time_input(_("From"), value=begin or time(23), key=keys["begin"], width=140)
            st.time_input(_("Until"), value=end or time(7), key=keys["end"], width=140)
    with st.container(horizontal=True):
        st.number_input(
            _("Tell a failure after (minutes)"),
            min_value=0,
            max_value=1440,
            value=channel.grace_minutes if channel else 10,
            key=keys["grace"],
            width=260,
            help=_("Or after the second failed test, whichever is first. An outage that is over by then is not told."),
        )
        st.selectbox(
            _("Tell it again"),
            REPEATS,
            index=REPEATS.index(channel.repeat_hours) if channel and channel.repeat_hours in REPEATS else 0,
            format_func=lambda hours: n_("after {count} hour", "after {count} hours", hours) if hours else _("never"),
            key=keys["repeat"],
            width=260,
            help=_("While a connection fails or is blocked, or a strategy is suspended."),
        )


def saving(alerts: Alerts, channel: Channel | None, keys: dict[str, str]) -> Callable[[], None]:
    @attempting
    def save() -> None:
        given = {name: st.session_state.get(key) for name, key in keys.items()}
        st.session_state[keys["address"]] = ""
        begin, end = given["begin"], given["end"]
        values = {
            "name": str(given["name"] or ""),
            "address": str(given["address"] or ""),
            "kinds": None if given["all"] else given["kinds"] or [],
            "quiet": (begin or time(23), end or time(7)) if given["silent"] else None,
            "grace_minutes": int(given["grace"] or 0),
            "repeat_hours": given["repeat"],
        }
        try:
            if channel is None:
                saved = alerts.add(**values)
                if alerts.zone is None and zone_name():
                    alerts.speak(st.session_state.get("language") or alerts.language, zone_name())
            else:
                saved = alerts.change(channel.id, **values)
        except BfaiError as error:
            st.session_state[SAID] = error.message
            return
        close()
        st.session_state.pop(TESTED, None)
        text = N_("{name} is saved. Send a test to see whether messages arrive.")
        tell(Message(text=text, params={"name": saved.name}))

    return save


def spoken(alerts: Alerts) -> None:
    """In which language messages are written, and whose clock quiet hours follow."""

    def keep() -> None:
        attempt(lambda: alerts.speak(str(st.session_state["alert_language"]), st.session_state["alert_zone"]))

    zones = zones_of_the_world()
    with st.container(horizontal=True):
        st.selectbox(
            _("Language of the messages"),
            list(LANGUAGES),
            index=list(LANGUAGES).index(alerts.language),
            format_func=lambda one: LANGUAGES[one],
            key="alert_language",
            on_change=keep,
            width=220,
        )
        st.selectbox(
            _("Time zone of the messages"),
            zones,
            index=zones.index(alerts.zone) if alerts.zone in zones else zones.index("UTC"),
            key="alert_zone",
            on_change=keep,
            width=260,
        )


# -- what became of it -------------------------------------------------------------------------------------------------


def log(alerts: Alerts) -> None:
    lines = alerts.log(SHOWN)
    st.header(_("Messages"), anchor=False)
    if not lines:
        st.caption(_("None yet. A message is made when something happens."))
        return
    columns: dict[str, list[str]] = {" ": [], _("When"): [], _("What"): [], _("What became of it"): []}
    icons, times, whats, fates = columns.values()
    for line in lines:
        delivery = line.delivery
        look = DELIVERY_LOOKS[delivery.state]
        icons.append(f":{look.colour}[:material/{look.icon}:]")
        times.append(moment(delivery.event.at))
        whats.append(say(heading(delivery.event)))
        said = [say(one) for one in (delivery.reason, line.waits_for) if one is not None]
        said += [_("Told again.")] if delivery.number else []
        said += [_("It may have arrived twice.")] if delivery.doubtful and not delivery.state.open else []
        fates.append(" · ".join((plain(delivery.channel_name), f"**{_(look.word)}**", " ".join(said))).rstrip(" ·"))
    table(columns, alt=_("The last messages, and what became of them"))


def events(workbench: Workbench) -> None:
    st.header(_("What happened"), anchor=False)
    found = workbench.alerts.events(limit=SHOWN)
    if not found:
        st.caption(_("Nothing yet. Each test is compared with the one before it."))
        return
    table(
        {
            " ": [":red[:material/shield:]" if event.security else ":gray[:material/info:]" for event in found],
            _("When"): [moment(event.at) for event in found],
            _("Kind"): [_(EVENT_NAMES[event.kind]) for event in found],
            _("What"): [" ".join(say(line) for line in (event.text, *event.details)) for event in found],
        },
        alt=_("The last events, the newest first"),
    )


workbench = open_page("alerts")
with calm():
    draw(workbench)
