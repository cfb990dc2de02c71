"""What the app is where it runs, and whom it takes a signed-in person for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bfai import addresses, sending
from bfai.hosting import SIGN_IN_HOLDS, Kind, Person, is_loopback, judge, owner_of, person
from bfai.model import BfaiError, Message
from bfai.store import StoreError, open_store
from bfai.workbench import Mode, Workbench
from tests.postgres import Server

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
POSTGRES = "postgresql://bfai:secret@db.example.com/bfai"
GOOGLE = "https://accounts.google.com/.well-known/openid-configuration"
AUTH: Mapping[str, Any] = {
    "redirect_uri": "https://workbench.example.com/oauth2callback",
    "cookie_secret": "c" * 32,
    "client_id": "id",
    "client_secret": "secret",
    "server_metadata_url": GOOGLE,
}


def kind(**given: Any) -> Kind:
    return judge(**{"database_url": None, "auth": None, "loopback": False, **given}).kind


def test_without_any_setting_it_is_the_demo_and_on_loopback_the_local_app() -> None:
    assert kind() is Kind.DEMO
    assert kind(loopback=True) is Kind.LOCAL
    assert kind(allowed=True) is Kind.LOCAL
    assert kind(loopback=True, database_url=POSTGRES) is Kind.LOCAL
    assert kind(database_url="sqlite:///data/bfai.db") is Kind.DEMO, "a file that others could reach is not opened"


def test_with_a_database_and_sign_in_it_is_hosted_wherever_it_listens() -> None:
    for loopback in (False, True):  # a proxy on the same computer makes every visitor a local one
        assert kind(database_url=POSTGRES, auth=AUTH, loopback=loopback) is Kind.HOSTED
    found = judge(database_url=POSTGRES, auth=AUTH, loopback=False)
    assert found.providers == (None,) and found.database_url == POSTGRES and "secret" not in repr(found)


def test_several_providers_are_offered_by_name() -> None:
    shared = {name: AUTH[name] for name in ("redirect_uri", "cookie_secret")}
    one = {name: AUTH[name] for name in ("client_id", "client_secret", "server_metadata_url")}
    found = judge(database_url=POSTGRES, auth={**shared, "google": one, "okta": one}, loopback=False)
    assert found.kind is Kind.HOSTED and found.providers == ("google", "okta")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"database_url": POSTGRES}, "nobody can sign in"),
        ({"auth": AUTH}, "no database"),
        ({"auth": AUTH, "loopback": True}, "no database"),
        ({"auth": AUTH, "database_url": "sqlite:///x.db"}, "no database"),
        ({"auth": {}, "database_url": POSTGRES}, "redirect_uri, cookie_secret"),
        ({"auth": {**AUTH, "client_secret": " "}, "database_url": POSTGRES}, "has no client_secret"),
        ({"auth": {**AUTH, "cookie_secret": "c" * 31}, "database_url": POSTGRES}, "too short"),
        ({"auth": {**AUTH, "redirect_uri": "https://x.example.com/"}, "database_url": POSTGRES}, "/oauth2callback"),
        (
            {"auth": {**AUTH, "redirect_uri": "http://x.example.com/oauth2callback"}, "database_url": POSTGRES},
            "begins with https://",
        ),
        ({"auth": {**AUTH, "server_metadata_url": "http://x.example.com"}, "database_url": POSTGRES}, "https://"),
        ({"auth": AUTH, "database_url": POSTGRES, "authlib": False}, "Authlib"),
        ({"auth": AUTH, "database_url": POSTGRES, "headers": {"X-User": "sub"}}, "trustedUserHeaders"),
        (
            {"auth": {**AUTH, "my_provider": {"client_id": "x"}}, "database_url": POSTGRES},
            "letters, digits and hyphens",
        ),
        ({"unreadable": True}, "cannot be read"),
    ],
)
def test_what_is_half_set_up_says_what_is_missing(given: dict[str, Any], words: str) -> None:
    found = judge(**{"database_url": None, "auth": None, "loopback": False, **given})
    assert found.kind is Kind.UNFINISHED and found.problem is not None
    told = str(BfaiError(found.problem))
    assert words in told
    assert not any(secret in told for secret in ("secret@", "db.example.com"))


def test_broken_secrets_do_not_matter_at_home() -> None:
    assert kind(unreadable=True, loopback=True) is Kind.LOCAL


@pytest.mark.parametrize(
    ("address", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("", False), ("0.0.0.0", False), ("192.168.1.5", False)],
)
def test_loopback(address: str, alone: bool) -> None:
    assert is_loopback(address) is alone


# -- who it is ---------------------------------------------------------------------------------------------------------


def claims(**changes: Any) -> dict[str, Any]:
    given = {"is_logged_in": True, "iss": "https://a", "sub": "s", "iat": NOW.timestamp(), "email": "a@example.com"}
    return {**given, **changes}


def test_a_person_is_issuer_and_subject_and_never_the_mail_address() -> None:
    first, moved = person(claims(), NOW), person(claims(email="new@example.com"), NOW)
    assert isinstance(first, Person) and isinstance(moved, Person)
    assert first.owner == moved.owner and first.name == "a@example.com"
    assert first.owner != owner_of("https://b", "s")
    assert owner_of("https://a", "bs") != owner_of("https://ab", "s"), "where one ends and the other begins counts"
    assert "example" not in first.owner


@pytest.mark.parametrize("given", [{}, {"is_logged_in": False}, {"is_logged_in": "true"}, {"iss": "a", "sub": "b"}])
def test_nobody_is_nobody(given: dict[str, Any]) -> None:
    assert person(given, NOW) is None


@pytest.mark.parametrize(
    "changes", [{"iss": None}, {"sub": ""}, {"sub": 7}, {"iat": None}, {"iat": "x"}, {"iat": True}]
)
def test_claims_that_name_nobody_are_refused(changes: dict[str, Any]) -> None:
    assert isinstance(person(claims(**changes), NOW), Message)


@pytest.mark.parametrize("late", [SIGN_IN_HOLDS, timedelta(days=29), -timedelta(minutes=6), timedelta(days=-4000)])
def test_a_sign_in_expires_before_its_cookie(late: timedelta) -> None:
    found = person(claims(iat=(NOW - late).timestamp()), NOW)
    assert isinstance(found, Message) and "expired" in found.text


@pytest.mark.parametrize("at", [1e300, -1e300])
def test_an_absurd_time_is_refused(at: float) -> None:
    assert isinstance(person(claims(iat=at), NOW), Message)


# -- what a server must not be used for --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "public"),
    [
        ("socks5://8.8.8.8:1080", True),
        ("http://[2606:4700::1111]:3128", True),
        ("socks5://127.0.0.1:5432", False),
        ("socks5://10.0.0.5:5432", False),
        ("http://169.254.169.254:80", False),
        ("http://[::1]:80", False),
        ("http://[::ffff:127.0.0.1]:80", False),
        ("http://[64:ff9b::7f00:1]:80", False),
        ("http://[2002:7f00:1::]:80", False),
        ("socks5://localhost:5432", False),
        ("socks5://rebinding.example.com:80", False),
        ("http://2130706433:80", False),
        ("http://0x7f.1:80", False),
    ],
)
def test_a_way_out_of_a_server_leads_to_the_internet_only(proxy: str, public: bool) -> None:
    assert addresses.is_public(proxy) is public


@pytest.mark.parametrize(
    ("url", "fixed"),
    [
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", True),
        ("tgram://123456789:AAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/12315544/", True),
        ("ntfy://my-topic", True),
        ("ntfy://my-topic?mode=private", False),
        ("ntfy://127.0.0.1/topic", False),
        ("json://127.0.0.1:5432/", False),
        ("jsons://example.com/", False),
        ("mailto://user:password@10.0.0.5", False),
        ("gotify://169.254.169.254/token", False),
        ("nonsense", False),
    ],
)
def test_a_server_sends_alerts_to_known_services_only(url: str, fixed: bool) -> None:
    assert sending.is_service(url) is fixed


@pytest.fixture
def alice(postgres_url: str) -> Workbench:
    return Workbench.hosted(postgres_url, owner_of("https://a", "alice"))


def test_a_hosted_workbench_tells_nothing_of_its_server(alice: Workbench) -> None:
    with alice:
        assert alice.mode is Mode.HOSTED
        assert alice.place() is None and alice.environment() == []
        for forbidden in (lambda: alice.engines, lambda: alice.find_bot_keys("/etc")):
            with pytest.raises(BfaiError, match="server"):
                forbidden()
        alice.create_vault("correct horse battery staple")
        with pytest.raises(BfaiError, match="sends to these only"):
            alice.alerts.add("Mine", "json://127.0.0.1:5432/")


def test_logging_out_ends_every_sign_in_up_to_then_and_none_after(alice: Workbench, postgres_url: str) -> None:
    with alice, Workbench.hosted(postgres_url, owner_of("https://a", "bob")) as bob:
        assert alice.begin_visit(NOW) and bob.begin_visit(NOW)
        later = NOW + timedelta(hours=1)
        assert alice.begin_visit(later) and alice.begin_visit(NOW), "two browsers"
        alice.end_visits()
        assert not alice.begin_visit(NOW) and not alice.begin_visit(later)
        assert alice.begin_visit(later + timedelta(seconds=1))
        assert bob.begin_visit(NOW), "nobody else is logged out"
        actions = [entry.action for entry in alice.audit_entries()]
        assert actions.count("signed_in") == 3 and actions.count("signed_out") == 1


def test_what_goes_wrong_with_a_shared_database_names_neither_host_nor_user(
    postgres: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for url in (
        postgres.url("nowhere"),
        postgres.url("shared", "mallory", "guess"),
        postgres.url("shared", "postgres"),  # a superuser
        "postgresql://bfai:x@127.0.0.1:1/bfai",
    ):
        with pytest.raises(StoreError) as caught:
            open_store(url, owner="oidc-x", discreet=True)
        told = str(caught.value)
        assert "this workbench" in told or "Try again" in told
        assert not any(
            word in told for word in ("127.0.0.1", "mallory", "shared", "nowhere", "postgres", str(postgres.port))
        )
    assert "127.0.0.1" in caplog.text, "whoever runs it finds the reason in the log"
