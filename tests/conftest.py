"""The simulator that the tests talk to, over real TLS sockets, and the rule that nothing dangerous was ever asked
of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bfai.simulator import Simulator
from bfai.transport import Gateway
from tests.postgres import Server, binaries

DATA = Path(__file__).parent / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's files first, which take longest: begun last, one of them would run alone in the end."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator: Simulator) -> Iterator[Simulator]:
    """A simulator in its first state. A request that could move money, place an order or edit a key fails the test."""
    _simulator.reset()
    yield _simulator
    violations = list(_simulator.violations)
    _simulator.reset()
    assert not violations, f"dangerous requests were sent: {violations}"


@pytest.fixture
def gateway(simulator: Simulator) -> Gateway:
    return Gateway.parse(simulator.gateway, simulator.ca_file)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL of this test process, with a database `shared`."""
    programs = binaries()
    if programs is None:
        missing = "no PostgreSQL is installed: the store is tested on SQLite only (apt-get install postgresql)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    server = Server(programs)
    try:
        with server.database("shared"):
            yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The address of a database without rows."""
    postgres.empty("shared")
    return postgres.url("shared")
