"""What every test of an exchange may ask for."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.exchanges.common")


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfai.transport.time.time", lambda: 1_700_000_000.0)
