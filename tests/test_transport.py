"""The way out: redaction, the gateway, the limiter, one session."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, Call, Limit, Role
from bfai.model import BfaiError, Market, Target
from bfai.simulator import Simulator
from bfai.transport import HIDDEN, Client, Gateway, Limiter, Transport, redact, retry_after_seconds
from tests.helpers import sample

SECRET = "9f8e7d6c5b4a39281706"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://api.mexc.com/api/v3/account?timestamp=1&signature={SECRET}",
        f"accessKey={SECRET}&timestamp=1",
        f"{{'X-MEXC-APIKEY': '{SECRET}'}}",
        f'"KC-API-SIGN": "{SECRET}"',
        f"KC-API-PASSPHRASE={SECRET}",
        f'{{"secret":"{SECRET}","apiKey":"{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
    ],
)
def test_values_named_like_secrets_are_hidden(text: str) -> None:
    assert SECRET not in redact(text)
    assert HIDDEN in redact(text)


@given(st.text(min_size=6, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_known_secrets_are_hidden_in_every_encoding(secret: str, before: str, after: str) -> None:
    from urllib.parse import quote, quote_plus

    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        shown = redact(f"{before}|{form}|{after}", [secret])
        assert f"|{form}|" not in shown or form == HIDDEN


@pytest.mark.parametrize(
    "address", ["203.0.113.7:8443", "example.com:443", "0.0.0.0:1", "127.0.0.1", "127.0.0.1:0", ":1"]
)
def test_a_gateway_that_is_not_loopback_is_refused(address: str, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    with pytest.raises(BfaiError) as refused:
        Gateway.parse(address, ca)
    assert "BFAI_GATEWAY" in refused.value.message.text


def test_a_gateway_without_its_certificate_is_refused() -> None:
    with pytest.raises(BfaiError) as refused:
        Gateway.parse("127.0.0.1:8443", "/no/such/file")
    assert "BFAI_GATEWAY_CA" in refused.value.message.text


def test_the_gateway_comes_from_the_environment(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    assert Gateway.from_environment({}) is None
    found = Gateway.from_environment({"BFAI_GATEWAY": "127.0.0.1:8443", "BFAI_GATEWAY_CA": str(ca)})
    assert found == Gateway("127.0.0.1", 8443, ca)


async def ask(transport: Transport, simulator: Simulator, role: Role = Role.KEY_INFO) -> str | None:
    exchange = get_exchange("mexc")
    client = Client(transport, exchange, Target(exchange="mexc"), sample(simulator, "mexc", "good"))
    call = next(call for call in exchange.plan(Market.SPOT) if call.role is role)
    answer = await client.ask(call)
    return answer.transport_error or str(answer.status)


async def test_tls_is_verified(simulator: Simulator, gateway: Gateway) -> None:
    """Another authority's certificate is not accepted, even on loopback."""
    import trustme

    stranger = Path(gateway.ca_file).with_name("stranger.pem")
    trustme.CA().cert_pem.write_to_path(str(stranger))
    async with Transport(Gateway(gateway.host, gateway.port, stranger)) as transport:
        assert await ask(transport, simulator) == "tls"
    assert simulator.seen == []


async def test_one_session_serves_many_tests(simulator: Simulator, gateway: Gateway) -> None:
    async with Transport(gateway) as transport:
        await ask(transport, simulator)
        session = transport._session(None)
        for _ in range(3):
            await ask(transport, simulator)
        assert transport._session(None) is session
        assert session.cookie_jar.__class__.__name__ == "DummyCookieJar"


async def test_a_redirect_is_not_followed(simulator: Simulator, gateway: Gateway) -> None:
    headers = {"Location": "https://api.kucoin.com/api/v1/timestamp"}
    simulator.set_faults([{"exchange": "mexc", "kind": "body", "body": "", "status": 302, "headers": headers}])
    async with Transport(gateway) as transport:
        assert await ask(transport, simulator) == "302"
    assert {seen["exchange"] for seen in simulator.seen} == {"mexc"}


async def test_nobody_listens(tmp_path: Path, gateway: Gateway, simulator: Simulator) -> None:
    async with Transport(Gateway("127.0.0.1", 1, gateway.ca_file)) as transport:
        assert await ask(transport, simulator) == "refused"


async def arrivals(limit: Limit, weights: list[int], seconds: float) -> list[tuple[float, int]]:
    """When calls that take this long end, all wanted at once: the latest moment at which they reached the exchange."""
    limiter = Limiter()
    ended: list[tuple[float, int]] = []

    async def call(weight: int) -> None:
        async with limiter.slot(("pool",), limit, weight):
            await asyncio.sleep(seconds)
            ended.append((time.monotonic(), weight))

    await asyncio.gather(*(call(weight) for weight in weights))
    return ended


async def test_the_limiter_keeps_the_published_rate() -> None:
    limit = Limit(20, 0.5)
    ended = await arrivals(limit, [5] * 9, 0.05)
    began = ended[0][0]
    assert [weight for at, weight in ended if at < began + 0.3] == [5, 5, 5], "19 of 20 may go at once"
    assert max(at for at, _ in ended) - began == pytest.approx(1.1, abs=0.3), "three windows, each after the last call"


async def test_a_slow_call_counts_until_it_has_ended() -> None:
    """It may reach the exchange at its very end: two within a second would be one too many."""
    ended = await arrivals(Limit(1, 0.2), [1, 1, 1], 0.4)
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(ended)]
    assert all(gap >= 0.59 for gap in gaps), gaps


async def test_a_call_heavier_than_its_limit_goes_alone() -> None:
    ended = await arrivals(Limit(4, 0.2), [9, 1], 0.01)
    assert [weight for _, weight in ended] == [9, 1]


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    limiter, limit = Limiter(), Limit(1, 0.2)

    async def call() -> None:
        async with limiter.slot(("pool",), limit):
            pass

    await call()
    waiting = asyncio.create_task(call())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(call(), 2)


async def test_the_limiter_can_be_off() -> None:
    limiter = Limiter(enabled=False)

    async def call() -> None:
        async with limiter.slot(("h",), Limit(1, 10)):
            pass

    await asyncio.wait_for(asyncio.gather(*(call() for _ in range(1000))), 1)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"gw-ratelimit-reset": "1500"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


async def test_a_public_answer_serves_many_tests_for_a_while() -> None:
    sent: list[int] = []
    gate = asyncio.Event()

    async def send() -> Answer:
        sent.append(len(sent))
        await gate.wait()
        return Answer(status=200 if len(sent) != 2 else 503)

    async with Transport() as transport:
        waiting = [asyncio.create_task(transport.shared(("okx",), 60, send)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting.pop().cancel()  # one test that ends early takes nothing from the others
        gate.set()
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
        assert (await transport.shared(("okx",), 60, send)).status == 200
        assert sent == [0], "five at once and one later: one request"
        assert (await transport.shared(("elsewhere",), 60, send)).status == 503
        assert (await transport.shared(("elsewhere",), 60, send)).status == 200, "a failure is asked for again"
        assert (await transport.shared(("okx",), 0, send)).status == 200
        assert sent == [0, 1, 2, 3], "what is too old is asked for again"


async def test_another_clock_tells_when_it_is_and_when_an_exchange_may_be_asked_again() -> None:
    now = datetime(2031, 2, 3, tzinfo=UTC)
    transport = Transport(clock=lambda: now)
    assert (transport.now(), transport.seconds()) == (now, now.timestamp())
    transport.limiter.close("mexc", 600)
    answers: list[Answer] = []

    async def send() -> Answer:
        answers.append(Answer(status=200))
        return answers[-1]

    for minutes, left, asked in ((0, 600, 1), (9, 60, 2), (1, 0, 3)):
        now += timedelta(minutes=minutes)
        assert transport.limiter.closed_for("mexc") == left
        for _ in range(2):
            await transport.shared(("mexc", "/time"), 30.0, send)
        assert len(answers) == asked


def test_only_a_public_answer_may_be_shared() -> None:
    with pytest.raises(ValueError, match="public"):
        Call(Role.BALANCE, "GET", "spot", "/x", "privateGetX", "read", share_seconds=5)
