"""What the app is where it runs: at home, a demo, or hosted for people who sign in. And who a signed-in person is.

All of it is decided from what the program was started with and from the claims that the sign-in provider made. Nothing
is looked up here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bfai.i18n import N_
from bfai.model import Message

SIGN_IN_HOLDS: Final = timedelta(hours=12)
"""How long after it a sign-in counts. The cookie that proves it lives for 30 days, which is longer than is good."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far the provider's clock may be ahead of this computer's."""
SHORTEST_COOKIE_SECRET: Final = 32

_CALLBACK = "/oauth2callback"
_SHARED_KEYS = ("redirect_uri", "cookie_secret")
_PROVIDER_KEYS = ("client_id", "client_secret", "server_metadata_url")
_CLAIMS = frozenset({"is_logged_in", "iss", "sub", "iat"})


class Kind(StrEnum):
    LOCAL = "local"
    """One person, one vault."""
    DEMO = "demo"
    """Simulated exchanges, and nothing is kept."""
    HOSTED = "hosted"
    """Each person who signs in has a vault of their own."""
    UNFINISHED = "unfinished"
    """It was to be hosted, and something is missing."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """`database_url` is None for the usual file and where nothing is kept. `providers` are the names to sign in with,
    None being the one without a name. `problem` says what is missing where it is unfinished.
    """

    kind: Kind
    database_url: str | None = field(default=None, repr=False)
    providers: tuple[str | None, ...] = ()
    problem: Message | None = None


def judge(
    *,
    database_url: str | None,
    auth: Mapping[str, Any] | None,
    loopback: bool,
    allowed: bool = False,
    authlib: bool = True,
    headers: Mapping[str, str] | None = None,
    unreadable: bool = False,
) -> Hosting:
    """What the app is. `auth` is the section of that name in the secrets, None where there is none; `loopback`: only
    this computer reaches the app; `allowed`: its owner said that a proxy guards it; `authlib`: the package that signs
    people in is there; `headers` are request headers that Streamlit was told to believe, with the claim of each;
    `unreadable`: there are secrets, and nobody can read them.
    """
    shared = _is_postgresql(database_url)
    if auth is not None:
        problem = _auth_problem(auth, authlib=authlib, headers=headers or {})
        if problem is None and not shared:
            text = N_(
                "Sign-in is set up, but there is no database for what people keep. Set BFAI_DATABASE_URL to a"
                " PostgreSQL database, or take [auth] out of the secrets."
            )
            problem = Message(text=text)
        if problem is not None:
            return Hosting(Kind.UNFINISHED, problem=problem)
        return Hosting(Kind.HOSTED, database_url, _providers(auth))
    if loopback or allowed:
        return Hosting(Kind.LOCAL, database_url)
    if unreadable:
        text = N_("The secrets cannot be read. The log of the app says where they are broken.")
        return Hosting(Kind.UNFINISHED, problem=Message(text=text))
    if shared:
        text = N_(
            "There is a database, but nobody can sign in, so nobody could be told from anybody else. Put a section"
            " [auth] into the secrets, or take BFAI_DATABASE_URL away for the demo."
        )
        return Hosting(Kind.UNFINISHED, problem=Message(text=text))
    return Hosting(Kind.DEMO)


def is_loopback(address: str) -> bool:
    """Whether only this computer reaches who listens on this address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_postgresql(url: str | None) -> bool:
    return (url or "").lower().startswith(("postgresql://", "postgres://"))


def _providers(auth: Mapping[str, Any]) -> tuple[str | None, ...]:
    named = tuple(str(name) for name, value in auth.items() if isinstance(value, Mapping) and name != "client_kwargs")
    return named or (None,)


def _auth_problem(auth: Mapping[str, Any], *, authlib: bool, headers: Mapping[str, str]) -> Message | None:
    """What keeps people from signing in safely, in words."""
    if not authlib:
        return Message(text=N_("Sign-in needs the package Authlib. Install what requirements.txt lists."))
    if _CLAIMS & set(headers.values()):
        text = N_(
            "server.trustedUserHeaders lets a request header say who somebody is. Take that setting away: people sign"
            " in here."
        )
        return Message(text=text)
    parts: list[tuple[str, Mapping[str, Any], tuple[str, ...]]] = [("auth", auth, _SHARED_KEYS)]
    for name in _providers(auth):
        section = auth if name is None else auth[name]
        parts.append(("auth" if name is None else f"auth.{name}", section, _PROVIDER_KEYS))
        if name is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
            text = N_("A provider's name has letters, digits and hyphens only: rename [{section}] in the secrets.")
            return Message(text=text, params={"section": f"auth.{name}"})
    for section, values, keys in parts:
        missing = [key for key in keys if not str(values.get(key) or "").strip()]
        if missing:
            text = N_("Sign-in is not set up yet: [{section}] in the secrets has no {keys}.")
            return Message(text=text, params={"section": section, "keys": ", ".join(missing)})
    if len(str(auth["cookie_secret"])) < SHORTEST_COOKIE_SECRET:
        text = N_(
            "cookie_secret in [auth] is too short: whoever guesses it is let in as anybody. Take {count} random signs"
            ' or more, such as `python -c "import secrets; print(secrets.token_hex(32))"` prints.'
        )
        return Message(text=text, params={"count": SHORTEST_COOKIE_SECRET})
    if not str(auth["redirect_uri"]).endswith(_CALLBACK) or not _is_safe(str(auth["redirect_uri"])):
        text = N_("redirect_uri in [auth] is the address of this app with {end} behind it, and begins with https://.")
        return Message(text=text, params={"end": _CALLBACK})
    for section, values, keys in parts:
        if "server_metadata_url" in keys and not _is_safe(str(values["server_metadata_url"])):
            text = N_("server_metadata_url in [{section}] begins with https://.")
            return Message(text=text, params={"section": section})
    return None


def _is_safe(url: str) -> bool:
    """Whether nobody in between can read it. `{port}` stands for the app's own."""
    try:
        parts = urlsplit(url.replace("{port}", "1"))
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


# -- who it is ---------------------------------------------------------------------------------------------------------


class Person(NamedTuple):
    """Somebody who signed in. `owner` names their rows, and nothing about them can be read from it."""

    owner: str
    name: str
    signed_in_at: datetime


def owner_of(issuer: str, subject: str) -> str:
    """The same for a person each time, another for each other one, whatever their mail address is today."""
    return "oidc-" + hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()


def person(claims: Mapping[str, Any], now: datetime) -> Person | Message | None:
    """Who these claims are about; None for nobody, or a message that says why a sign-in does not count any more."""
    if claims.get("is_logged_in") is not True:
        return None
    issuer, subject, at = claims.get("iss"), claims.get("sub"), claims.get("iat")
    told = all(isinstance(one, str) and one for one in (issuer, subject))
    if not told or isinstance(at, bool) or not isinstance(at, int | float):
        text = N_("The sign-in provider did not say who you are. Tell whoever runs this workbench.")
        return Message(text=text)
    try:
        signed_in_at = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        signed_in_at = datetime.fromtimestamp(0, UTC)
    if not now - SIGN_IN_HOLDS < signed_in_at <= now + CLOCKS_DIFFER:
        text = N_("Your sign-in has expired. Sign in again; nothing is lost.")
        return Message(text=text)
    name = next((str(claims[one]) for one in ("email", "preferred_username", "name") if claims.get(one)), "")
    return Person(owner_of(str(issuer), str(subject)), name[:80], signed_in_at)
