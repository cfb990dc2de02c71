"""From a test on a real connection to a message: what the workbench writes down, and the command line's side of it."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest

from bfai.model import Connection, EventKind, Market, Status
from bfai.sending import Note, Outcome
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Workbench
from tests.helpers import sample
from tests.strategy.test_desk import again_tested, connect, database, made, workbench
from tests.test_alerts import Receiver, everything_logged, receiver, refusing_port
from tests.test_cli import Cli, cli, keys
from tests.test_workbench import make_draft

__all__ = ["cli", "database", "everything_logged", "receiver", "workbench"]  # fixtures

WITHDRAWS = "SPOT_ACCOUNT_READ,SPOT_DEAL_WRITE,SPOT_WITHDRAW_WRITE"


def happened(workbench: Workbench, connection: Connection | None = None) -> list[str]:
    """Oldest first."""
    found = workbench.alerts.events(connection_id=connection.id if connection else None)
    return [event.kind.value for event in reversed(found)]


# -- what is written down ----------------------------------------------------------------------------------------------


def test_saving_a_key_is_no_event_and_neither_is_a_test_that_passes(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    assert again_tested(workbench, connection).ok
    assert happened(workbench) == []


def test_an_outage_and_its_end(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    assert again_tested(workbench, connection) is Status.FAILED
    assert again_tested(workbench, connection) is Status.FAILED
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    assert happened(workbench, connection) == ["status_failed", "recovered"]
    (recovered, failed) = workbench.alerts.events()
    assert failed.facts == {"cause": "exchange_unavailable"}
    assert workbench.run(failed.run_id or "") is not None
    assert recovered.at > failed.at


def test_our_own_dead_network_is_no_event(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    simulator.set_faults([{"kind": "reset"}])
    assert again_tested(workbench, connection) is Status.FAILED
    simulator.set_faults([])
    assert again_tested(workbench, connection).ok
    assert happened(workbench) == []


def test_a_key_that_learns_to_withdraw_suspends_its_strategy_and_both_are_events(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "kucoin", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.change_account("kucoin", "good", permissions=["General", "Spot", "Futures", "Transfer"])
    assert again_tested(workbench, connection) is Status.BLOCKED
    assert happened(workbench) == ["withdraw_appeared", "strategy_suspended"]
    suspended = workbench.alerts.events()[0]
    assert suspended.facts["needs_person"] == "yes"
    assert suspended.connection_id == connection.id
    simulator.reset()
    assert again_tested(workbench, connection).ok
    assert happened(workbench)[-1] == "recovered"
    workbench.strategies.enable(strategy.id)
    assert happened(workbench)[-1] == "strategy_resumed"


def test_a_suspension_that_ends_by_itself_is_two_events(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    strategy = made(workbench, connection)
    workbench.strategies.enable(strategy.id)
    simulator.set_faults([{"exchange": "mexc", "kind": "html", "status": 503, "page": "nginx"}])
    again_tested(workbench, connection)
    workbench.strategies.list()
    simulator.set_faults([])
    again_tested(workbench, connection)
    assert happened(workbench) == ["status_failed", "strategy_suspended", "recovered", "strategy_resumed"]
    suspended = workbench.alerts.events()[2]
    assert "needs_person" not in suspended.facts
    assert suspended.run_id == workbench.alerts.events()[3].run_id


def test_a_deleted_connection_leaves_the_event_of_its_strategy(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    enabled, draft = made(workbench, connection, "Enabled"), made(workbench, connection, "Draft")
    workbench.strategies.enable(enabled.id)
    workbench.delete(connection.id)
    (event,) = workbench.alerts.events()
    assert (event.kind, event.connection_id) == (EventKind.STRATEGY_SUSPENDED, None)
    assert event.facts["strategy"] == enabled.id != draft.id
    assert "was deleted" in event.details[0].text


def test_a_confirmation_and_its_end(workbench: Workbench, simulator: Simulator) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT, "unknown_right")
    rights = "SPOT_ACCOUNT_READ,SPOT_DEAL_READ,SPOT_DEAL_WRITE,SPOT_OTHER_WRITE"
    simulator.change_account("mexc", "unknown_right", permissions=rights)
    assert again_tested(workbench, connection) is Status.BLOCKED
    assert workbench.confirm_withdraw_off(connection.id) is not None
    assert happened(workbench) == ["unknown_right", "blocked", "recovered"]


def test_a_rotated_key_ends_the_outage_and_is_not_compared_with_the_old_one(
    workbench: Workbench, simulator: Simulator
) -> None:
    connection = connect(workbench, simulator, "mexc", Market.SPOT)
    simulator.change_account("mexc", "good", ip_whitelist=["198.51.100.9"])
    assert again_tested(workbench, connection) is Status.FAILED
    workbench.save_draft(make_draft(workbench, simulator, "sub_account", replaces=connection.id), name="")
    assert happened(workbench) == ["status_failed", "recovered"]
    assert again_tested(workbench, connection).ok
    assert happened(workbench) == ["status_failed", "recovered"]


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_a_manual_test_sends_what_it_found_off_its_own_path(
    workbench: Workbench, simulator: Simulator, receiver: Receiver
) -> None:
    workbench.alerts.add("Phone", receiver.address)
    connection = connect(workbench, simulator, "mexc", Market.SPOT, "no_futures")
    simulator.change_account("mexc", "no_futures", permissions=WITHDRAWS)
    receiver.answer = 0  # the other side takes it and says nothing
    run = workbench.start_test(connection.id).wait(5)  # a hanging receiver does not hold the test up
    assert run.status is Status.BLOCKED
    receiver.answer = 200
    receiver.release.set()
    workbench.alerts.close()
    assert receiver.titles[0] == "mexc spot · Withdrawal appeared"


def test_closing_waits_for_what_is_being_sent(
    database: str, gateway: Gateway, simulator: Simulator, receiver: Receiver
) -> None:
    with Workbench.local(database, gateway=gateway) as found:
        found.create_vault("correct horse battery staple")
        found.alerts.add("Phone", receiver.address)
        connection = connect(found, simulator, "mexc", Market.SPOT, "no_futures")
        simulator.change_account("mexc", "no_futures", permissions=WITHDRAWS)
        found.start_test(connection.id).wait(20)
    assert receiver.titles == ["mexc spot · Withdrawal appeared"]
    with Workbench.local(database, gateway=gateway) as again:
        assert [line.delivery.state.value for line in again.alerts.log()] == ["sent"]


def test_one_who_waits_to_be_woken_is_woken_once_more(workbench: Workbench, simulator: Simulator) -> None:
    """What is stored while messages are being sent is sent in the same go."""
    going, on = threading.Event(), threading.Event()
    sent: list[str] = []

    def send(_: str, note: Note) -> Outcome:
        sent.append(note.title)
        going.set()
        assert on.wait(20)
        return Outcome()

    workbench.alerts._send = send
    workbench.alerts.add("Phone", "json://127.0.0.1:9/x")
    first = connect(workbench, simulator, "mexc", Market.SPOT, "no_futures")
    workbench.rename(first.id, "First")
    second = connect(workbench, simulator, "mexc", Market.SPOT, "sub_account")
    for account in ("no_futures", "sub_account"):
        simulator.change_account("mexc", account, permissions=WITHDRAWS)
    workbench.start_test(first.id).wait(20)
    assert going.wait(20)
    workbench.start_test(second.id).wait(20)
    on.set()
    workbench.alerts.close()
    assert sorted(title for title in sent if "Withdrawal" in title) == [
        "First · Withdrawal appeared",
        "mexc spot · Withdrawal appeared",
    ]


def test_an_address_is_nowhere_in_the_clear(
    database: str,
    tmp_path: Path,
    gateway: Gateway,
    simulator: Simulator,
    receiver: Receiver,
    everything_logged: io.StringIO,
) -> None:
    canary = "hook-secret-token"
    found: list[str] = []
    with Workbench.local(database, gateway=gateway) as workbench:
        workbench.create_vault("correct horse battery staple")
        channel = workbench.alerts.add("Phone", receiver.address)
        connection = connect(workbench, simulator, "mexc", Market.SPOT, "no_futures")
        simulator.change_account("mexc", "no_futures", permissions=WITHDRAWS)
        for answer in (500, 200):
            receiver.answer = answer
            found.append(repr(workbench.alerts.test(channel.id)))
            workbench.start_test(connection.id).wait(20)
            workbench.alerts.deliver_due()
        found += [repr(workbench.alerts.log()), repr(workbench.alerts.channels()), repr(workbench.audit_entries())]
    found += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    found.append(everything_logged.getvalue())
    assert len(receiver.messages) >= 3
    for text in found:
        assert canary not in text


# -- the command line --------------------------------------------------------------------------------------------------


def test_channels_on_the_command_line(cli: Cli, receiver: Receiver) -> None:
    assert cli("vault", "init").returncode == 0
    options = ("--quiet", "23:00-07:00", "--grace", "5", "--repeat", "6", "--zone", "Europe/Zagreb", "--language", "nl")
    done = cli("alerts", "add", "Phone", *options, stdin=receiver.address + "\n")
    assert done.returncode == 0, done.stderr
    assert "hook-secret" not in done.stdout + done.stderr
    assert cli("alerts", "add", "Mail", "--only", "expired", stdin="ntfy://x").returncode == 0
    listed = json.loads(cli("alerts", "list", "--json").stdout)
    assert listed["format"] == "bfai.channels/1"
    assert listed["unheard_alarms"] == []
    mail, phone = listed["channels"]
    assert (mail["name"], mail["kinds"], mail["quiet"], mail["repeat_hours"]) == ("Mail", ["expired"], None, None)
    assert (phone["address"], phone["quiet"], phone["grace_minutes"]) == ("json://127.0.0.1", "23:00-07:00", 5)
    assert len(phone["kinds"]) == len(EventKind)
    assert cli("alerts", "test", "phone").returncode == 0
    assert receiver.titles == ["Testbericht voor Phone"]
    assert "Europe/Zagreb" in receiver.messages[0]["message"]
    receiver.answer = 403
    refused = cli("alerts", "test", "Phone")
    assert (refused.returncode, refused.stderr.strip()) == (1, "The other side answered with HTTP 403.")
    assert cli("alerts", "remove", "Phone", "--yes").returncode == 0
    assert "Withdrawal appeared" not in cli("alerts", "list").stdout
    assert "No channel hears these security alarms: withdraw_appeared" in cli("alerts", "list").stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("add", "X"), "syslog://localhost", 1, "not among the ways"),
        (("add", "X"), "", 1, "Put in an address"),
        (("add", "X", "--quiet", "late"), "ntfy://x", 2, "--quiet"),
        (("add", "X", "--zone", "Mars/Olympus"), "ntfy://x", 1, "no time zone Mars/Olympus"),
        (("add", "X", "--only", "nothing"), "ntfy://x", 2, "--only"),
        (("test", "nobody"), "", 1, "There is no channel named nobody."),
        (("remove", "nobody", "--yes"), "", 1, "There is no channel named nobody."),
    ],
)
def test_what_the_command_line_refuses(cli: Cli, arguments: tuple[str, ...], stdin: str, code: int, said: str) -> None:
    cli("vault", "init")
    done = cli("alerts", *arguments, stdin=stdin)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_locked_vault_is_exit_three(cli: Cli) -> None:
    cli("vault", "init")
    done = cli("alerts", "add", "X", stdin="ntfy://x", BFAI_MASTER_PASSWORD="not the password")
    assert done.returncode == 3


def test_a_test_on_the_command_line_tells_before_it_ends(cli: Cli, simulator: Simulator, receiver: Receiver) -> None:
    cli("vault", "init")
    assert cli("connections", "add", "Main", "mexc", stdin=keys(simulator, "mexc", "no_futures")).returncode == 0
    cli("alerts", "add", "Phone", stdin=receiver.address)
    cli("alerts", "add", "Dead", stdin=f"json://127.0.0.1:{refusing_port()}/x")
    simulator.change_account("mexc", "no_futures", permissions=WITHDRAWS)
    assert cli("test", "Main").returncode == 1
    assert receiver.titles == ["Main · Withdrawal appeared"]
    log = json.loads(cli("alerts", "log", "--json").stdout)
    assert log["format"] == "bfai.deliveries/1"
    found = {row["channel"]: row for row in log["deliveries"]}
    assert (found["Phone"]["state"], found["Phone"]["attempts"], found["Phone"]["security"]) == ("sent", 1, True)
    assert found["Dead"]["state"] == "failed"
    assert "could not be reached" in found["Dead"]["reason"]
    assert "tried again" in found["Dead"]["waits_for"]
    table = cli("alerts", "log").stdout
    assert "Main · Withdrawal appeared" in table
    assert sample(simulator, "mexc", "no_futures").api_key not in table
