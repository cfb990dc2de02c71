"""By which address exchanges see this computer: asked over real sockets, remembered, and held against a key's list."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bfai import addresses
from bfai.addresses import Kind
from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer
from bfai.model import (
    BfaiError,
    Cause,
    Connection,
    GrantState,
    IpRestriction,
    Market,
    Message,
    Sent,
    Sighting,
    Status,
    Target,
    TestRun,
)
from bfai.simulator import Simulator
from bfai.store import migrations, open_store
from bfai.transport import Gateway, Transport
from bfai.workbench import Mode, Workbench
from tests.helpers import sample

HOME, NEW, HOME_6 = "203.0.113.50", "203.0.113.99", "2001:db8::50"
PASSWORD = "correct horse battery staple"
HERE = Target(exchange="mexc")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workbench(tmp_path: Path, gateway: Gateway, clock: Clock, simulator: Simulator) -> Iterator[Workbench]:
    simulator.set_address(HOME)
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    with Workbench(store, mode=Mode.LOCAL, gateway=gateway, clock=clock) as found:
        found.create_vault(PASSWORD)
        yield found


def connect(workbench: Workbench, simulator: Simulator, listed: str, exchange: str = "mexc") -> Connection:
    simulator.change_account(exchange, "good", ip_whitelist=listed)
    draft = workbench.draft(Target(exchange=exchange, market=Market.SPOT), sample(simulator, exchange, "good"))
    assert workbench.start_draft_test(draft.id).wait(20).status.ok
    return workbench.save_draft(draft.id, name=f"{exchange} main")


def asked(simulator: Simulator) -> list[tuple[object, object]]:
    return [(call["host"], call["path"]) for call in simulator.seen if "my-ip" in str(call["path"])]


def said(found: tuple[object, ...]) -> str:
    return "\n".join(str(message.text.format_map(message.params)) for message in found)  # type: ignore[attr-defined]


# -- asking ------------------------------------------------------------------------------------------------------------


def hear(gateway: Gateway | None, target: Target = HERE) -> addresses.Heard:
    async def ask() -> addresses.Heard:
        async with Transport(gateway) as transport:
            return await addresses.ask(transport, target)

    return asyncio.run(ask())


def test_ipv4_and_ipv6_are_asked_apart_and_of_an_exchange_only(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address(HOME, HOME_6)
    heard = hear(gateway)
    assert heard.told == ((HOME, "kucoin"), (HOME_6, "kucoin"))
    assert [(sent.host, sent.path) for sent in heard.receipt] == [("api.kucoin.com", "/api/v1/my-ip")] * 2
    assert {call["exchange"] for call in simulator.seen} == {"kucoin"}


def test_a_line_without_ipv6_has_one_address(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address(HOME)
    assert hear(gateway).told == ((HOME, "kucoin"),)


def test_an_exchange_that_tells_is_asked_at_its_own_hosts(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address(HOME)
    assert hear(gateway, Target(exchange="kucoin", region="eu")).told == ((HOME, "kucoin"),)
    assert {host for host, _ in asked(simulator)} == {"api.kucoin.eu"}


def test_where_nobody_tells_nobody_else_is_asked(simulator: Simulator, gateway: Gateway) -> None:
    with simulator.faults({"exchange": "kucoin", "kind": "maintenance"}):
        assert hear(gateway).told == ()
    assert {call["exchange"] for call in simulator.seen} == {"kucoin"}


def test_a_country_that_is_not_served_is_told_its_address_all_the_same() -> None:
    kucoin = get_exchange("kucoin")
    words = "Sorry, the service is unavailable in your current area. IP: 203.0.113.9"
    body = f'{{"code":"400302","msg":"{words}","detectedArea":"US"}}'
    assert kucoin.seen_address(Answer(status=400, body=body)) == "203.0.113.9"
    assert kucoin.seen_address(Answer(status=400, body='{"code":"400302","msg":"Sorry 1.2.3.4"}')) is None
    assert kucoin.seen_address(Answer(status=200, body='{"code":"200000","data":"203.**.113"}')) is None


@contextlib.asynccontextmanager
async def connect_proxy(port: int, used: list[str]) -> AsyncGenerator[int]:
    """An HTTP proxy on loopback that leads every CONNECT to this port."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        used.append(head.split(b"\r\n")[0].decode())
        there = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_connection_with_a_way_out_is_asked_for_through_it(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.set_address(NEW)
    monkeypatch.setenv("SSL_CERT_FILE", str(simulator.ca_file))
    used: list[str] = []

    async def ask() -> addresses.Heard:
        port = int(simulator.gateway.rpartition(":")[2])
        async with connect_proxy(port, used) as proxy, Transport() as transport:
            target = HERE.model_copy(update={"egress_proxy": f"http://127.0.0.1:{proxy}"})
            return await addresses.ask(transport, target)

    assert asyncio.run(ask()).told == ((NEW, "kucoin"),)
    assert used == ["CONNECT api.kucoin.com:443 HTTP/1.1"], "once: a proxy chooses its way out itself"


def test_each_way_out_is_remembered_by_itself() -> None:
    proxied = HERE.model_copy(update={"egress_proxy": "socks5://192.0.2.1:1080"})
    ways = {addresses.way(HERE, simulated=False), addresses.way(HERE, simulated=True)}
    ways |= {addresses.way(proxied, simulated=False)}
    assert len(ways) == 3
    assert not any("192.0.2.1" in one for one in ways)


# -- remembering -------------------------------------------------------------------------------------------------------


def test_a_database_without_addresses_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/bfai.db"
    count = [one.name for one in migrations.MIGRATIONS].index("0007_addresses")
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:count])
        open_store(url).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "bfai.db")) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'address'").fetchone() == (0,)
    with contextlib.closing(open_store(url)) as store:
        store.see_address("direct", HOME, "kucoin", datetime(2026, 11, 3, tzinfo=UTC))
        assert [one.address for one in store.sightings("direct")] == [HOME]


# -- what is said of it ------------------------------------------------------------------------------------------------


def test_a_test_asks_beside_and_says_so_on_its_receipt(
    workbench: Workbench, simulator: Simulator, clock: Clock
) -> None:
    connection = connect(workbench, simulator, HOME)
    simulator.forget()
    run = workbench.start_test(connection.id).wait(20)
    assert run.status.ok
    sent = [(one.host, one.path) for one in run.receipt]
    assert ("api.kucoin.com", "/api/v1/my-ip") in sent
    assert len(run.receipt) == len(simulator.seen) + 1, "IPv6 was refused before anything could be written down"
    simulator.forget()
    again = workbench.start_test(connection.id).wait(20)
    assert not asked(simulator), "nobody asks twice in five minutes"
    assert len(again.receipt) == len(simulator.seen)
    kept = workbench.run(run.id)
    assert kept is not None
    assert kept.receipt == run.receipt
    view = workbench.address(workbench.connection(connection.id))
    assert (view.addresses, view.told_by, view.warnings) == ((HOME,), ("KuCoin",), ())
    assert not asked(simulator)


@pytest.mark.parametrize("problem", [BfaiError(Message(text="Refused.")), ValueError("odd")])
def test_what_goes_wrong_beside_a_test_does_not_touch_it(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    connection = connect(workbench, simulator, HOME)

    async def breaks(transport: Transport) -> tuple[Sent, ...]:
        raise problem

    monkeypatch.setattr(workbench, "_beside", lambda target: breaks)
    run = workbench.start_test(connection.id).wait(20)
    assert run.status.ok and run.receipt


def test_what_is_asked_beside_a_test_ends_with_it(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, ended = connect(workbench, simulator, HOME), threading.Event()

    async def waits(transport: Transport) -> tuple[Sent, ...]:
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()
        return ()

    async def breaks(*args: object, **kwargs: object) -> TestRun:
        await asyncio.sleep(0)  # the other has begun
        raise ValueError("odd")

    monkeypatch.setattr(workbench, "_beside", lambda target: waits)
    monkeypatch.setattr("bfai.engine.run_test", breaks)
    job = workbench.start_test(connection.id)
    with pytest.raises(BfaiError, match="broke off"):
        job.wait(20)
    assert ended.is_set()


def test_it_warns_when_the_address_changed_since_the_last_good_test(
    workbench: Workbench, simulator: Simulator, clock: Clock
) -> None:
    connection = connect(workbench, simulator, "")
    workbench.start_test(connection.id).wait(20)
    simulator.set_address(NEW)
    assert workbench.address(connection).warnings == (), "five minutes are not over"
    clock.later(minutes=6)
    view = workbench.address(connection)
    assert view.addresses == (NEW,)
    assert said(view.warnings) == f"Your address changed since the last good test: it was {HOME}, now it is {NEW}."
    assert [one.params["count"] for one in view.notes if "count" in one.params] == [1]
    workbench.start_test(connection.id).wait(20)
    assert workbench.address(connection).warnings == (), "a test passed from the new one"


def test_it_warns_when_the_address_is_not_on_the_keys_list(
    workbench: Workbench, simulator: Simulator, clock: Clock
) -> None:
    connection = connect(workbench, simulator, f"{HOME},198.51.100.7")
    clock.later(minutes=1)
    simulator.set_address(NEW)
    warned = said(workbench.address(connection).warnings)
    assert f"{NEW} is not on the key's list ({HOME}, 198.51.100.7). Add it at MEXC, then test again." in warned
    run = workbench.start_test(connection.id).wait(20)
    assert run.diagnosis is not None
    assert run.diagnosis.cause is Cause.IP_NOT_ALLOWED
    assert f"{NEW} is not on the key's list" in said(workbench.address(connection).warnings)
    simulator.set_address(HOME)
    clock.later(minutes=6)
    assert workbench.address(connection).warnings == ()


def test_after_a_refusal_it_is_asked_anew(workbench: Workbench, simulator: Simulator, clock: Clock) -> None:
    simulator.change_account("kucoin", "good", ip_whitelist=HOME)
    assert workbench.own_address() == HOME
    simulator.set_address(NEW)
    clock.later(minutes=1)
    assert workbench.own_address() == HOME
    draft = workbench.draft(Target(exchange="kucoin"), sample(simulator, "kucoin", "good"))
    assert workbench.start_draft_test(draft.id).wait(20).seen_ip == NEW
    assert workbench.own_address() == NEW


def test_an_ipv6_address_that_is_not_on_the_list_is_named(workbench: Workbench, simulator: Simulator) -> None:
    simulator.set_address(HOME, HOME_6)
    connection = connect(workbench, simulator, HOME)
    view = workbench.address(connection)
    assert (view.addresses, view.warnings) == ((HOME, HOME_6), ())
    assert f"may also leave by {HOME_6}, which is not on the key's list" in said(view.notes)


def test_what_was_told_last_is_kept_for_when_nobody_tells(
    workbench: Workbench, simulator: Simulator, clock: Clock
) -> None:
    assert workbench.own_address() == HOME
    clock.later(minutes=6)
    with simulator.faults({"exchange": "kucoin", "kind": "maintenance"}):
        view = workbench.address()
    assert (view.now, view.told_by, view.notes) == ((), ("KuCoin",), ())
    assert [one.address for one in view.before] == [HOME]


def test_for_a_key_that_was_tested_elsewhere_this_computer_says_nothing(
    workbench: Workbench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(workbench, simulator, HOME)
    run = workbench.latest_run(connection.id)
    assert run is not None
    simulator.set_address(NEW)
    assert workbench.address(connection).warnings
    monkeypatch.setattr(workbench, "tested_away", lambda _: run)
    assert workbench.address(connection).warnings == ()


@pytest.mark.parametrize(
    ("address", "listed", "masked", "expected"),
    [
        (HOME, (HOME,), (), True),
        (HOME, ("203.0.113.0/24",), (), True),
        (HOME, ("198.51.100.7",), (), False),
        (HOME_6, ("2001:db8::/32",), (), True),
        (HOME_6, ("2001:0db8:0:0::0050",), (), True),
        (HOME, ("198.51.100.7",), ("203.**.50",), None),
        (HOME, (), (), None),
    ],
)
def test_on_the_list(address: str, listed: tuple[str, ...], masked: tuple[str, ...], expected: bool | None) -> None:
    restriction = IpRestriction(state=GrantState.GRANTED, addresses=listed, masked=masked)
    assert addresses.on_list(address, restriction) is expected
    assert addresses.on_list(address, IpRestriction(state=GrantState.DENIED)) is None


def test_whose_address_it_is() -> None:
    def kind(address: str, target: Target = HERE, *, simulated: bool = False, shared: bool = False) -> Kind:
        seen = Sighting(
            way="direct", address=address, source="kucoin", first_at=datetime.now(UTC), last_at=datetime.now(UTC)
        )
        return addresses.kind([seen], target, simulated=simulated, shared=shared)

    assert kind(HOME) is Kind.LINE
    assert kind(HOME, simulated=True) is Kind.SIMULATED
    assert kind(HOME, simulated=True, shared=True) is Kind.SHARED
    assert kind(HOME, HERE.model_copy(update={"egress_proxy": "socks5://192.0.2.1:1080"})) is Kind.PROXY
    own = addresses.local_address(4)
    if own is not None:
        assert kind(own) is Kind.OWN


# -- the way out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  ", None),
        ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("socks5h://bastion.example:1080/", "socks5://bastion.example:1080"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
    ],
)
def test_a_way_out_is_read(typed: str, read: str | None) -> None:
    assert addresses.read_proxy(typed) == read


@pytest.mark.parametrize(
    "typed",
    ["socks5://127.0.0.1", "ftp://127.0.0.1:21", "http://a b:80", "http://x:80/path", "http://x:99999", "socks5://:1"],
)
def test_what_is_no_way_out_is_refused(typed: str) -> None:
    with pytest.raises(BfaiError, match="no proxy"):
        addresses.read_proxy(typed)


def test_a_password_is_never_kept_in_clear(workbench: Workbench, simulator: Simulator, tmp_path: Path) -> None:
    connection = connect(workbench, simulator, "")
    with pytest.raises(BfaiError, match="name and a password"):
        workbench.set_way_out(connection.id, "socks5://me:open-sesame-1@192.0.2.1:1080")
    changed = workbench.set_way_out(connection.id, "socks5://192.0.2.1:1080")
    assert changed.target.egress_proxy == "socks5://192.0.2.1:1080"
    assert workbench.set_way_out(connection.id, "").target.egress_proxy is None
    assert changed.status is not Status.FAILED
    files = b"".join(part.read_bytes() for part in tmp_path.iterdir() if part.is_file())
    assert b"open-sesame-1" not in files
