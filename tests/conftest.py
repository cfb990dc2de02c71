"""The simulator that the tests talk to, over real TLS sockets, and the rule that nothing dangerous was ever asked
of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bfai.simulator import Simulator
from bfai.transport import Gateway

DATA = Path(__file__).parent / "data"


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
