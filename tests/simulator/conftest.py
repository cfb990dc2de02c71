"""One simulator for these tests; every test begins and ends with a clean one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulator_client import Client

from bfai.simulator import Simulator


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator) -> Iterator[Simulator]:
    running.reset()
    yield running
    assert running.errors == []
    running.reset()


@pytest.fixture
def client(sim: Simulator) -> Client:
    return Client(sim)
