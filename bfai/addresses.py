"""By which address exchanges see this computer: asked of an exchange, and compared with what was and with a key's list.

Only an exchange is ever asked, by its declared call of `Role.ADDRESS`, by IPv4 and by IPv6 apart. Where none has such a
call or none answers, the address is not known here. Nothing in this file keeps anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Exchange, Role
from bfai.i18n import N_, NN_
from bfai.model import BfaiError, GrantState, IpRestriction, Message, Sent, Sighting, Target
from bfai.transport import Client, Transport, prepare

HOLDS: Final = timedelta(minutes=5)
"""How long an address is believed before it is asked for again."""
ASK_SECONDS: Final = 2.0
"""How long an answer may take, by each family: a line may swallow IPv6 without a word."""
LOOKED_BACK: Final = timedelta(days=30)
_SLACK: Final = timedelta(seconds=10)
"""An address is asked for beside a test, so it may come in a moment after the test's end."""


class Kind(StrEnum):
    """Whose address it is, as far as this computer can tell."""

    SIMULATED = "simulated"
    SHARED = "shared"
    PROXY = "proxy"
    OWN = "own"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the exchanges told: each address with the id of the exchange. `receipt` is what was sent for it."""

    told: tuple[tuple[str, str], ...]
    receipt: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class AddressView:
    """The address by which exchanges see a connection's requests, and what is to be said of it.

    `now` is what they tell at present, IPv4 first; `before` what they told last, where they tell nothing now.
    `told_by` are names of exchanges. A warning asks the trader to act; a note does not.
    """

    now: tuple[Sighting, ...]
    before: tuple[Sighting, ...]
    told_by: tuple[str, ...]
    kind: Kind
    warnings: tuple[Message, ...] = ()
    notes: tuple[Message, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(sighting.address for sighting in self.now)


def way(target: Target, *, simulated: bool) -> str:
    """How the requests of a target leave: what goes the same way is seen by the same address. Holds no proxy's name."""
    if simulated:
        return "simulator"
    if target.egress_proxy is None:
        return "direct"
    return f"proxy/{hashlib.sha256(target.egress_proxy.encode()).hexdigest()[:12]}"


def tellers() -> tuple[Exchange, ...]:
    """The exchanges that have a call by which anybody learns the own address."""
    return tuple(one for one in all_exchanges().values() if any(call.role is Role.ADDRESS for call in one.calls))


async def ask(transport: Transport, target: Target) -> Heard:
    """The addresses that exchanges see of requests for this target, IPv4 first; none where nobody tells.

    Its own exchange is asked where that tells it, else the others that do, through the target's proxy. By IPv4 and by
    IPv6 apart, but a proxy chooses its way out itself. Takes up to `ASK_SECONDS`.
    """
    asked = sorted(tellers(), key=lambda exchange: exchange.id != target.exchange)
    families = (socket.AF_INET, socket.AF_INET6) if target.egress_proxy is None else (socket.AF_UNSPEC,)
    receipt: list[Sent] = []

    async def by(family: socket.AddressFamily) -> tuple[str, str] | None:
        for exchange in asked:
            place = target if exchange.id == target.exchange else Target(exchange=exchange.id)
            place = place.model_copy(update={"egress_proxy": target.egress_proxy})
            client = Client(transport, exchange, place, family=family)
            for call in exchange.calls:
                if call.role is not Role.ADDRESS or call.host not in client.site.hosts:
                    continue
                address = exchange.seen_address(await client.ask(call))
                receipt.extend(client.receipt)
                if address is not None:
                    return address, exchange.id
        return None

    async def in_time(family: socket.AddressFamily) -> tuple[str, str] | None:
        try:
            return await asyncio.wait_for(by(family), ASK_SECONDS)
        except TimeoutError:
            return None

    for exchange in asked:
        await asyncio.to_thread(prepare, exchange.ccxt_id)
    found = await asyncio.gather(*(in_time(family) for family in families))
    told = {6 if ":" in one[0] else 4: one for one in reversed(found) if one is not None}
    return Heard(tuple(told[version] for version in sorted(told)), tuple(receipt))


def local_address(version: int) -> str | None:
    """The address that this computer itself has on its way to the internet. Sends nothing."""
    family, far = (socket.AF_INET6, "2001:db8::1") if version == 6 else (socket.AF_INET, "192.0.2.1")
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.connect((far, 9))  # a datagram socket only looks up the route
            return str(probe.getsockname()[0])
    except OSError:
        return None


def kind(known: Sequence[Sighting], target: Target, *, simulated: bool, shared: bool) -> Kind:
    """Whose address it is. `shared`: the program runs on a host that is everybody's."""
    if shared:
        return Kind.SHARED
    if simulated:
        return Kind.SIMULATED
    if target.egress_proxy is not None:
        return Kind.PROXY
    own = bool(known) and all(local_address(one.version) == one.address for one in known)
    return Kind.OWN if own else Kind.LINE


# -- what is to be said of it ------------------------------------------------------------------------------------------


def warnings(
    now: Sequence[Sighting],
    log: Sequence[Sighting],
    exchange: Exchange,
    *,
    good_until: datetime | None,
    restriction: IpRestriction | None,
) -> tuple[Message, ...]:
    """What may stop the key at its next use. `log` is everything that was seen this way, the newest first, `good_until`
    the end of the last good test from here, `restriction` the key's own list.
    """
    found: list[Message] = []
    for one in now:
        old = _at(log, one.version, good_until)
        if old is not None and old != one.address:
            text = N_("Your address changed since the last good test: it was {old}, now it is {new}.")
            found.append(Message(text=text, params={"old": old, "new": one.address}))
    listed = {one.address: on_list(one.address, restriction) for one in now}
    if listed and not any(on is not False for on in listed.values()) and restriction is not None:
        text = N_("{address} is not on the key's list ({list}). Add it at {exchange}, then test again.")
        params = {"list": ", ".join(restriction.addresses), "exchange": exchange.name}
        found.append(Message(text=text, params={"address": now[0].address, **params}))
    return tuple(found)


def notes(
    now: Sequence[Sighting],
    log: Sequence[Sighting],
    of: Kind,
    *,
    restriction: IpRestriction | None,
    at: datetime,
) -> tuple[Message, ...]:
    """How long the address is likely to stay, and how a fixed one is had."""
    if not now:
        return ()
    found: list[Message] = []
    listed = {one: on_list(one.address, restriction) for one in now}
    if True in listed.values():
        text = N_("Requests from here may also leave by {address}, which is not on the key's list. Add it as well.")
        found += [Message(text=text, params={"address": one.address}) for one, on in listed.items() if on is False]
    found.append(Message(text=_KINDS[of]))
    changes = sum(_changes(log, one.version, at) for one in now)
    if changes:
        text = NN_("It changed {count} time in the last 30 days.", "It changed {count} times in the last 30 days.")
        found.append(Message(text=text, params={"count": changes}))
    if of is Kind.LINE:
        text = N_(
            "For an address that stays, send the connection through a server of yours: “Way out” in its settings."
        )
        found.append(Message(text=text))
    return tuple(found)


_KINDS = {
    Kind.SIMULATED: N_("These exchanges are simulated. They see this computer from within."),
    Kind.SHARED: N_("This host shares its address with the programs of many people. Bind no key to it."),
    Kind.PROXY: N_("It is the address of this connection's way out, and stays as long as that one does."),
    Kind.OWN: N_("This computer has the address itself, as a server does. It rarely changes."),
    Kind.LINE: N_("It belongs to your line. On a home line it can change, mostly when the router restarts."),
}


def on_list(address: str, restriction: IpRestriction | None) -> bool | None:
    """Whether the key's list holds the address. None where the list is not known in whole, or there is none."""
    if restriction is None or restriction.state is not GrantState.GRANTED:
        return None
    if not restriction.addresses or restriction.masked:
        return None
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(one, strict=False) for one in restriction.addresses
    )


def _at(log: Sequence[Sighting], version: int, moment: datetime | None) -> str | None:
    """The address of this kind at that moment, as far as anybody looked before."""
    if moment is None:
        return None
    seen = (one for one in log if one.version == version and one.first_at <= moment + _SLACK)
    return next((one.address for one in seen), None)


def _changes(log: Sequence[Sighting], version: int, at: datetime) -> int:
    own = [one for one in log if one.version == version]
    return sum(one.first_at > at - LOOKED_BACK for one in own[:-1])


# -- the way out -------------------------------------------------------------------------------------------------------

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def read_proxy(text: str) -> str | None:
    """A proxy as it was typed, such as `socks5://127.0.0.1:1080`; None for nothing. Raises BfaiError for what is none.

    One with a password is refused: a connection's proxy is kept in clear.
    """
    given = text.strip()
    if not given:
        return None
    try:
        parts = urlsplit(given if "://" in given else f"socks5://{given}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    scheme = {"socks5h": "socks5"}.get(parts.scheme, parts.scheme)
    if parts.username is not None or parts.password is not None:
        text = N_(
            "A proxy with a name and a password is not kept here, because it would stand in the database in clear."
            " Use one that needs none, such as an SSH tunnel to your server."
        )
        raise BfaiError(Message(text=text))
    plain = not parts.query and not parts.fragment and parts.path in ("", "/")
    if scheme not in ("http", "socks5") or not port or not plain or not _is_host(host):
        text = N_("This is no proxy. Write it as socks5://127.0.0.1:1080 or http://192.0.2.10:3128.")
        raise BfaiError(Message(text=text))
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_public(proxy: str) -> bool:
    """Whether a proxy is a public address in figures: names are looked up anew each time, and may lead anywhere."""
    try:
        host = ipaddress.ip_address(urlsplit(proxy).hostname or "")
    except ValueError:
        return False
    wrapped = isinstance(host, ipaddress.IPv6Address) and (
        host.ipv4_mapped or host.sixtofour or host.teredo or any(host in one for one in _WRAPPED)
    )
    return host.is_global and not host.is_multicast and not wrapped


_WRAPPED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""IPv6 addresses that hold an IPv4 one, beside those that Python knows by name."""


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
