"""The Alerts page as Streamlit runs it: a channel is added, tested, changed, deleted; its address never comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time

import pytest
from streamlit.testing.v1 import AppTest

from bfai.i18n import LANGUAGES
from bfai.model import EventKind
from bfai.simulator import Simulator
from bfai.ui.session import keeper
from bfai.workbench import Workbench
from tests.app.conftest import captions, go, labels, open_app, opened_vault, press, problems, settle, texts, toured
from tests.app.test_strategies_page import at_home, connect
from tests.test_alerts import Receiver, refusing_port

__all__ = ["at_home"]  # a fixture

PAGE = "pages/alerts.py"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def opened(language: str = "en") -> tuple[AppTest, Workbench]:
    at = go(opened_vault(language), PAGE)
    assert not problems(at)
    return at, keeper().workbench


def fill(at: AppTest, mark: str, *, name: str, address: str = "") -> AppTest:
    at.text_input(key=f"channel_name_{mark}").set_value(name)
    at.text_input(key=f"channel_address_{mark}").set_value(address)
    return press(at, f"save_{mark}")


def test_an_empty_page_says_what_it_is_for() -> None:
    at, _ = opened()
    shown = texts(at)
    assert "Nothing here yet. A channel tells your telephone" in shown
    assert "Nothing yet. Each test is compared with the one before it." in shown
    assert labels(at).count("Add a channel") == 1
    assert not at.warning


def test_a_channel_is_added_tested_changed_and_deleted(receiver: Receiver) -> None:
    at, workbench = opened()
    press(at, "add_channel")
    fill(at, "new", name="Phone", address=receiver.address)
    (channel,) = workbench.alerts.channels()
    assert (channel.name, channel.hint, channel.grace_minutes, channel.muted) == (
        "Phone",
        "json://127.0.0.1",
        10,
        set(),
    )
    assert "Phone is saved." in texts(at)
    assert "json://127.0.0.1" in " ".join(captions(at))

    press(at, f"test_{channel.id}")
    assert receiver.titles == ["Test message for Phone"]
    assert "The other side took it." in " ".join(item.value for item in at.success)

    press(at, f"edit_{channel.id}")
    at.toggle(key=f"channel_all_{channel.id}").set_value(False).run()
    at.multiselect(key=f"channel_kinds_{channel.id}").set_value([EventKind.BLOCKED, EventKind.EXPIRED])
    at.toggle(key=f"channel_silent_{channel.id}").set_value(True).run()
    at.time_input(key=f"channel_end_{channel.id}").set_value(time(6, 30))
    at.number_input(key=f"channel_grace_{channel.id}").set_value(3)
    at.selectbox(key=f"channel_repeat_{channel.id}").set_value(6)
    fill(at, channel.id, name="Night phone")
    (changed,) = workbench.alerts.channels()
    assert (changed.name, changed.quiet_from, changed.quiet_until) == ("Night phone", time(23), time(6, 30))
    assert (changed.grace_minutes, changed.repeat_hours) == (3, 6)
    assert [kind for kind in EventKind if changed.hears(kind)] == [EventKind.BLOCKED, EventKind.EXPIRED]
    assert workbench.alerts.test(channel.id) is None, "the address stayed"
    heard = f"hears 2 kinds of {len(EventKind)}"
    assert f"{heard} · quiet 23:00–06:30 · failures after 3 minutes · again after 6 hours" in texts(at)
    assert "No channel hears these security alarms: Withdrawal appeared" in texts(at)

    press(at, f"delete_{channel.id}")
    press(at, "delete_yes")
    assert workbench.alerts.channels() == []
    assert not problems(at)


def test_an_address_is_never_shown_again_and_what_else_was_typed_stays(receiver: Receiver) -> None:
    at, workbench = opened()
    press(at, "add_channel")
    fill(at, "new", name="Phone", address="nonsense-secret-token://x")
    assert "An address that begins" not in texts(at)
    assert "is not among the ways to send" in texts(at)
    assert workbench.alerts.channels() == []
    assert at.text_input(key="channel_name_new").value == "Phone"
    assert at.session_state["channel_address_new"] == ""
    fill(at, "new", name="Phone", address=receiver.address)
    (channel,) = workbench.alerts.channels()
    press(at, f"edit_{channel.id}")
    placeholder = at.text_input(key=f"channel_address_{channel.id}").proto.placeholder
    assert placeholder == "Leave it empty to keep json://127.0.0.1"
    shown = texts(at) + repr(at.session_state) + str(at._tree)
    assert "hook-secret" not in shown


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("", "ntfy://x", "A name has 1 to 60 characters"),
        ("Phone", "", "Put in an address"),
        ("Phone", "me@example.com", "login of its mail server"),
        ("Phone", "syslog://localhost", "not among the ways"),
        ("TAKEN", "ntfy://x", "A channel named TAKEN exists already"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(name: str, address: str, said: str) -> None:
    at, workbench = opened()
    workbench.alerts.add("Taken", "ntfy://x")
    press(at, "add_channel")
    fill(at, "new", name=name, address=address)
    assert said in " ".join(item.value for item in at.warning)
    assert len(workbench.alerts.channels()) == 1
    assert not problems(at)


def test_a_test_that_does_not_arrive_says_why() -> None:
    at, workbench = opened()
    channel = workbench.alerts.add("Dead", f"json://127.0.0.1:{refusing_port()}/x")
    press(at.run(), f"test_{channel.id}")
    assert "The other side could not be reached." in " ".join(item.value for item in at.warning)


def test_each_way_shows_an_example_and_where_to_get_it() -> None:
    at, _ = opened()
    press(at, "add_channel")
    assert "ntfy://a-long-topic" in texts(at)
    for way, example in (("telegram", "tgram://BOT-TOKEN/CHAT-ID"), ("mail", "mailtos://"), ("webhook", "https://ex")):
        at.segmented_control(key="channel_way_new").set_value(way).run()
        assert example in texts(at)
        assert at.get("link_button")
    press(at, "close_new")
    assert "Add a channel" in labels(at)


def test_a_withdrawal_that_appears_is_told_after_the_manual_test(
    at_home: Simulator, receiver: Receiver, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    at, workbench = opened()
    workbench.alerts.add("Phone", receiver.address)
    connection = connect(at_home, "mexc", "no_futures")
    at_home.change_account("mexc", "no_futures", permissions="SPOT_ACCOUNT_READ,SPOT_DEAL_WRITE,SPOT_WITHDRAW_WRITE")
    workbench.start_test(connection.id).wait(30)
    eventually(lambda: len(receiver.messages) == 1)
    assert receiver.titles == ["mexc spot · Withdrawal appeared"]
    eventually(lambda: workbench.alerts.log()[0].delivery.state.value == "sent")
    at.run()
    shown = table_texts(at)
    assert "The key of mexc spot can withdraw now. Before, it could not." in shown
    assert "mexc spot · Withdrawal appeared" in shown
    assert "Sent" in shown
    assert not problems(at)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so that another thread does, and fails where it is not in time."""
    import time as clocks

    def wait(so: Callable[[], bool]) -> None:
        deadline = clocks.monotonic() + 15
        while not so():
            assert clocks.monotonic() < deadline
            clocks.sleep(0.02)

    return wait


def table_texts(at: AppTest) -> str:
    return " ".join(item.value.to_string(max_colwidth=None) for item in at.table)


def test_language_and_zone_of_the_messages_are_chosen() -> None:
    at, workbench = opened()
    workbench.alerts.add("Phone", "ntfy://x")
    at.run()
    at.selectbox(key="alert_zone").set_value("Europe/Zagreb").run()
    at.selectbox(key="alert_language").set_value("hr").run()
    assert (workbench.alerts.language, workbench.alerts.zone) == ("hr", "Europe/Zagreb")


def test_the_tour_shows_what_happened_and_sends_nothing(simulator: Simulator) -> None:
    del simulator
    at = settle(go(toured(), PAGE))
    assert "In the demo and in the tour nothing is sent." in " ".join(item.value for item in at.info)
    assert "Add a channel" not in labels(at)
    assert "is blocked: its key can withdraw." in table_texts(at)


def test_the_page_is_locked_cold() -> None:
    at, workbench = opened()
    workbench.alerts.add("A name that nobody sees", "ntfy://x")
    workbench.lock()
    at = go(open_app(), PAGE)
    assert "A name that nobody sees" not in texts(at)
    assert "Add a channel" not in labels(at)


@pytest.mark.parametrize("language", list(LANGUAGES)[1:])
def test_the_page_speaks_the_readers_language(language: str) -> None:
    at, workbench = opened(language)
    workbench.alerts.add("Phone", "ntfy://x", quiet=(time(23), time(7)), repeat_hours=3)
    press(at.run(), "add_channel")
    shown = texts(at) + " ".join(labels(at)) + " ".join(item.label for item in at.text_input)
    for english in ("Alerts", "Add a channel", "What happened", "hears everything", "Send a test", "Save"):
        assert english not in shown
    assert not problems(at)
