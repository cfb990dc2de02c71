"""The pages of a hosted workbench: who signed in sees their own and nothing else, by whatever address they come."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bfai.delegation import WorkerKey, fingerprint
from bfai.hosting import owner_of
from bfai.model import BfaiError, Connection, Target, utc_now
from bfai.simulator import Simulator
from bfai.store.postgres import WorkerDesk
from bfai.strategy.parameters import Parameters
from bfai.ui.session import Keeper, hosting
from bfai.workbench import VaultState, Workbench
from tests.app.conftest import APP, PAGES, PASSWORD, captions, go, labels, press, problems, texts
from tests.helpers import sample
from tests.oidc import COOKIE_SECRET
from tests.postgres import Server

ISSUER = "https://issuer.example.com"
PLAN = Parameters.model_validate({"pairs": ["BTC/USDT"], "first_entry_size": "10"})
AUTH: Mapping[str, str] = {
    "redirect_uri": "https://workbench.example.com/oauth2callback",
    "cookie_secret": COOKIE_SECRET,
    "client_id": "id",
    "client_secret": "secret",
    "server_metadata_url": f"{ISSUER}/.well-known/openid-configuration",
}


@pytest.fixture
def url(postgres_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The app as it is hosted."""
    monkeypatch.delenv("BFAI_ALLOW_NON_LOOPBACK")
    monkeypatch.setenv("BFAI_DATABASE_URL", postgres_url)
    monkeypatch.setenv("BFAI_GATEWAY", simulator.gateway)
    monkeypatch.setenv("BFAI_GATEWAY_CA", str(simulator.ca_file))
    return postgres_url


def visit(person: str | None = None, *, at: float | None = None, auth: Mapping[str, str] | None = AUTH) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=30)
    app.query_params["lang"] = "en"
    if auth is not None:
        app.secrets["auth"] = dict(auth)
    if person is not None:
        signed = at if at is not None else utc_now().timestamp()
        mail = f"{person}@example.com"
        app.user = {"is_logged_in": True, "iss": ISSUER, "sub": person, "iat": signed, "email": mail}
    return app.run()


def shown(app: AppTest) -> str:
    """All that reaches the browser, but for names that are new each time."""
    return re.sub(r"\b[0-9a-f]{32}\b", "…", texts(app) + "\n".join(labels(app)) + "\n".join(captions(app)))


def unlocked(person: str) -> AppTest:
    app = visit(person)
    app.text_input(key="master_password").set_value(PASSWORD)
    return press(app, "unlock_button")


def filled(url: str, simulator: Simulator, person: str, exchange: str, account: str) -> tuple[Connection, str, str]:
    """A vault with a connection that was tested, and a strategy: their owner's connection, strategy and run."""
    with Workbench.hosted(url, owner_of(ISSUER, person)) as workbench:
        workbench.create_vault(PASSWORD)
        draft = workbench.draft(Target(exchange=exchange), sample(simulator, exchange, account))
        workbench.start_draft_test(draft.id).wait(20)
        connection = workbench.save_draft(draft.id, name=f"Desk of {person}")
        strategy = workbench.strategies.create(f"Plan of {person}", connection.id, PLAN)
        run = workbench.latest_run(connection.id)
        assert run is not None
        return connection, strategy.id, run.id


def test_nobody_sees_a_page_before_signing_in(url: str) -> None:
    del url
    app = visit()
    for page in PAGES:
        go(app, page)
        assert not problems(app)
        assert app.title[0].value == "Is this API key safe for a bot?", page
        assert labels(app) == ["Sign in", "Look around with the simulator"], page
        assert not app.sidebar.button
    press(app, "welcome_tour")
    assert any("This is the tour" in text for text in captions(app))
    press(app, "leave_tour")
    assert "Sign in" in labels(app)


def test_who_signed_in_still_needs_the_password_and_a_new_visit_is_locked(url: str) -> None:
    del url
    app = visit("alice")
    assert labels(app)[0] == "Open a vault", "who signed in has come for the vault"
    press(app, "door_2")
    assert "this server can read what is in it" in texts(app)
    app.text_input(key="new_password").set_value(PASSWORD)
    app.text_input(key="new_password_again").set_value(PASSWORD)
    press(app, "create_vault")
    assert "Vault open" in texts(app) and "`alice@example.com`" in texts(app)
    assert "Binance (451) and Bybit (403)" in texts(app)
    go(app, "pages/settings.py")
    assert not problems(app)
    said = texts(app)
    assert "Everything is in the database of whoever runs this workbench." in said
    for word in ("postgresql", "BFAI_", "server.address", "127.0.0.1", "kB", "MB"):
        assert word not in said, word
    st.cache_resource.clear()  # the end of the visit
    assert visit("alice").title[0].value == "The vault is locked"
    other = visit("bob")
    assert other.title[0].value != "The vault is locked", "nobody is told that somebody else has a vault"


def test_another_persons_address_is_as_good_as_one_that_was_made_up(url: str, simulator: Simulator) -> None:
    """By every page and every thing that an address can name."""
    connection, strategy, run = filled(url, simulator, "alice", "mexc", "no_futures")
    filled(url, simulator, "bob", "kucoin", "good")
    bob = unlocked("bob")
    assert "Desk of bob" in texts(bob)
    asked = {
        "pages/connections.py": [("rotate", connection.id), ("settings", connection.id)],
        "pages/history.py": [("connection", connection.id), ("run", run)],
        "pages/strategies.py": [("strategy", strategy)],
        "pages/alerts.py": [("channel", connection.id)],
        "pages/guide.py": [("exchange", connection.id)],
        "pages/settings.py": [("connection", connection.id)],
        "pages/audit.py": [("about", connection.id)],
        "app.py": [("connection", connection.id)],
    }
    assert set(asked) == set(PAGES)
    for page, names in asked.items():
        for name, theirs in names:
            seen: list[str] = []
            for value in (theirs, uuid.uuid4().hex):
                for left in list(bob.query_params):
                    del bob.query_params[left]
                bob.query_params.update({"lang": "en", "go": "1"})
                bob.query_params[name] = value
                go(bob, page)
                assert not problems(bob), page
                said = shown(bob)
                for word in ("alice", connection.key_hint, "MEXC Spot", theirs):
                    assert word not in said, (page, name, word)
                seen.append(said)
            assert seen[0] == seen[1], (page, name)


def test_what_the_workbench_is_asked_for_by_name_is_its_owners(url: str, simulator: Simulator) -> None:
    connection, strategy, run = filled(url, simulator, "alice", "mexc", "no_futures")
    with Workbench.hosted(url, owner_of(ISSUER, "bob")) as bob:
        bob.create_vault(PASSWORD)
        assert bob.connections() == [] and bob.connection(connection.id) is None and bob.find(connection.name) is None
        assert bob.run(run) is None and bob.runs(connection.id) == [] and bob.count_runs() == 0
        assert bob.schedule(connection.id) is None and bob.audit_entries()[0].action != "connection_added"
        assert bob.strategies.list() == []
        with pytest.raises(BfaiError):
            bob.strategies.get(strategy)
        assert connection.id not in repr((bob.recent_runs(), bob.next_tests(), bob.pauses()))
        # Nobody learns by their own key that somebody else has it, too.
        again = bob.draft(Target(exchange="mexc"), sample(simulator, "mexc", "no_futures"))
        bob.start_draft_test(again.id).wait(20)
        assert bob.save_draft(again.id, name=connection.name).name == connection.name


def test_logging_out_locks_forgets_and_holds_for_every_visit(url: str, simulator: Simulator) -> None:
    filled(url, simulator, "alice", "mexc", "no_futures")
    app, other = unlocked("alice"), visit("alice")
    assert "Desk of alice" in texts(app) and "Desk of alice" in texts(other)
    press(app, "log_out")
    assert "Sign in" in labels(app) and "Desk of alice" not in texts(app)
    other.run()
    assert "You are logged out." in texts(other) and "Desk of alice" not in texts(other)


def test_a_visit_that_was_ended_elsewhere_does_nothing_more(url: str, simulator: Simulator) -> None:
    connection, _, _ = filled(url, simulator, "alice", "mexc", "no_futures")
    app, other = unlocked("alice"), visit("alice")
    go(other, "pages/connections.py")
    press(other, f"delete_{connection.id}")
    press(app, "log_out")
    press(other, "delete_yes")
    assert "You are logged out." in texts(other)
    with Workbench.hosted(url, owner_of(ISSUER, "alice")) as alice:
        assert [one.id for one in alice.connections()] == [connection.id]
        assert alice.audit_entries(1)[0].action == "signed_out"


def people_of(url: str) -> dict[str, tuple[bool, int]]:
    """Whether each has a vault, and how many connections."""
    found: dict[str, tuple[bool, int]] = {}
    for person in ("alice", "bob"):
        with Workbench.hosted(url, owner_of(ISSUER, person)) as workbench:
            found[person] = (workbench.vault_state is not VaultState.NONE, len(workbench.connections()))
    return found


def typed_delete(app: AppTest, button: str, word: str = "DELETE") -> AppTest:
    press(app, button)
    app.text_input(key="delete_word").set_value(word)
    return press(app, "delete_all_yes")


def test_who_deletes_everything_deletes_and_closes_nothing_of_another(
    url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(url, simulator, "alice", "mexc", "no_futures")
    filled(url, simulator, "bob", "kucoin", "good")
    made: list[Keeper] = []
    real = Keeper.__init__

    def kept(self: Keeper, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        made.append(self)

    monkeypatch.setattr(Keeper, "__init__", kept)
    bob, alice = unlocked("bob"), unlocked("alice")
    his, hers = made
    assert his.workbench.is_open and hers.workbench.is_open
    press(go(alice, "pages/settings.py"), "delete_everything")
    assert "without these two times older sign-ins would count" in shown(alice)
    hers.lock()  # it was left alone with the question on it
    alice.text_input(key="delete_word").set_value("DELETE")
    press(alice, "delete_all_yes")
    assert people_of(url) == {"alice": (True, 1), "bob": (True, 1)}
    alice.text_input(key="master_password").set_value(PASSWORD)
    press(alice, "unlock_button")
    typed_delete(go(alice, "pages/settings.py"), "delete_everything")
    assert people_of(url) == {"alice": (False, 0), "bob": (True, 1)}
    assert not hers.workbench.is_open and not hers._monitor.started
    assert his.workbench.is_open, "nobody else's vault is closed"
    assert "Desk of bob" in texts(go(bob, "app.py"))
    assert not problems(bob)


def test_a_forgotten_password_costs_what_is_ones_own_and_needs_nobody(url: str, simulator: Simulator) -> None:
    filled(url, simulator, "alice", "mexc", "no_futures")
    filled(url, simulator, "bob", "kucoin", "good")
    stale = visit("alice", at=utc_now().timestamp() - 3600)
    said = texts(stale)
    assert "not even whoever runs this workbench" in said
    assert "a backup of up to 25 MB that you downloaded" in said
    assert "move the database away" not in said
    typed_delete(stale, "delete_forgotten")
    assert "sign in again" in texts(stale)
    assert people_of(url)["alice"] == (True, 1)
    app = visit("alice")
    typed_delete(app, "delete_forgotten", "no")
    press(app, "delete_forgotten")
    for word in ("Desk of alice", "MEXC", "Key list"):
        assert word not in shown(app), "a locked page names nothing"
    app.text_input(key="delete_word").set_value("DELETE")
    press(app, "delete_all_yes")
    assert not problems(app)
    assert people_of(url) == {"alice": (False, 0), "bob": (True, 1)}
    assert "door_2" in [button.key for button in app.run().button], "and begins anew"


@pytest.mark.parametrize("ago", [13 * 3600, 29 * 86400, -3600])
def test_an_old_sign_in_is_no_sign_in(url: str, ago: float) -> None:
    del url
    app = visit("alice", at=utc_now().timestamp() - ago)
    assert "Your sign-in has expired." in texts(app) and "Sign in" in labels(app)


def test_what_is_half_set_up_is_said_on_the_page(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for auth, words in ((None, "nobody can sign in"), ({**AUTH, "client_id": ""}, "has no client_id")):
        app = visit("alice", auth=auth)
        assert app.title[0].value == "This workbench is not set up yet"
        assert words in texts(app) and url not in texts(app)
    monkeypatch.delenv("BFAI_DATABASE_URL")
    assert "there is no database" in texts(visit("alice"))


def test_a_database_that_is_away_tells_nothing_of_itself(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del url
    monkeypatch.setenv("BFAI_DATABASE_URL", postgres.url("nowhere"))
    app = visit("alice")
    assert app.title[0].value == "The workbench cannot open its database"
    assert "the log says why" in texts(app)
    assert not any(word in texts(app) for word in ("nowhere", "127.0.0.1", str(postgres.port)))


def test_at_home_nothing_of_it_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hosting().kind.value == "local"
    monkeypatch.delenv("BFAI_ALLOW_NON_LOOPBACK")
    monkeypatch.delenv("BFAI_DATABASE_URL")
    assert hosting().kind.value == "demo"


def test_a_key_that_no_exchange_told_of_is_not_offered_to_the_server(
    url: str, simulator: Simulator, tmp_path: Path
) -> None:
    with simulator.faults({"exchange": "mexc", "kind": "maintenance"}):
        connection, _, _ = filled(url, simulator, "alice", "mexc", "withdraw")
    key = WorkerKey.make(tmp_path / "one")
    with contextlib.closing(WorkerDesk(url, key.id)) as desk:
        desk.register("Cellar", key.public, utc_now())
    app = unlocked("alice")
    app.query_params.update({"settings": connection.id, "go": "1"})
    go(app, "pages/connections.py")
    assert "Tests while the vault is locked" in texts(app) and "Let the server test it" not in labels(app)
    assert any("Its last test did not pass" in caption for caption in captions(app))


def test_a_connection_is_given_to_the_server_and_taken_back_on_its_page(
    url: str, simulator: Simulator, tmp_path: Path
) -> None:
    connection, _, _ = filled(url, simulator, "alice", "mexc", "no_futures")
    app = unlocked("alice")
    app.query_params.update({"settings": connection.id, "go": "1"})
    go(app, "pages/connections.py")
    assert app.title[0].value == "Desk of alice" and "while the vault is locked" not in texts(app), "nobody runs one"

    keys = [WorkerKey.make(tmp_path / name) for name in ("one", "two")]
    for name, key in zip(("Cellar", "Attic"), keys, strict=True):
        with contextlib.closing(WorkerDesk(url, key.id)) as desk:
            desk.register(name, key.public, utc_now())
    app.run()
    assert "Tests while the vault is locked" in texts(app) and fingerprint(keys[1].id) in "".join(captions(app))
    app.selectbox(key=f"worker_{connection.id}").select_index(1).run()
    assert fingerprint(keys[0].id) in "".join(captions(app))
    press(app, "delegate")
    assert "Whoever runs the server can then read this key" in texts(app)
    press(app, "delegate_no")
    with Workbench.hosted(url, owner_of(ISSUER, "alice")) as alice:
        assert alice.delegated_to(connection.id) is None
        press(app, "delegate")
        press(app, "delegate_yes")
        given = alice.delegated_to(connection.id)
        assert given is not None and given[0].name == "Cellar" and not problems(app)
        assert "The worker Cellar tests this connection on its schedule" in texts(app)
        press(app, "take_back")
        assert alice.delegated_to(connection.id) is None
        assert "Let the server test it" in labels(app)
        assert [entry.action for entry in alice.audit_entries(2)] == ["delegation_revoked", "delegated"]
