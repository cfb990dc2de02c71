"""What stands in Freqtrade's place in tests: a small program, or the real Freqtrade on a simulated exchange."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from bfai.model import Market
from bfai.simulator import Simulator
from bfai.strategy.parameters import Parameters, preset

_PROGRAM = """
    import json, os, sqlite3, time
    from pathlib import Path
    options = json.loads(Path("run.json").read_text())
    log = Path(options["log_config"]["handlers"]["file"]["filename"])
    log.write_text("Bot heartbeat. state=RUNNING\\nX-MEXC-APIKEY: mx0-test-key-AAAABBBBCCCC\\n")
    with sqlite3.connect("dry.sqlite") as book:
        book.executescript('''
            create table if not exists trades (id integer primary key, pair text, is_open int, is_short int,
              open_date text, close_date text, open_rate real, amount real, stake_amount real, leverage real,
              close_profit_abs real);
            create table if not exists orders (ft_trade_id integer, filled real, ft_is_open int, ft_order_side text);
            create table if not exists trade_custom_data (ft_trade_id integer, cd_key text, cd_value text);
            insert or ignore into trades values
              (1, 'BTC/USDT', 0, 0, '2026-01-01 00:00:00', '2026-01-02', 1, 1, 1, 1, 2.5),
              (2, 'BTC/USDT', 1, 0, '2026-01-03 04:05:06', null, 50000, 0.5, 25000, 1, null);
            delete from orders;
            insert into orders values (2, 0.25, 0, 'buy'), (2, 0.25, 0, 'buy');
        ''')
    book.close()
    Path("ready").touch()
    while not Path("ends").exists():
        time.sleep(0.05)
"""


def stand_in(folder: Path) -> Path:
    """The `python` of an environment in which "Freqtrade" holds one group of BTC/USDT and has closed another.

    It ends by itself when there is a file `ends` in its folder. For BFAI_FREQTRADE_PYTHON; a shell script.
    """
    program, python = folder / "stand_in.py", folder / "stand_in_python"
    program.write_text(textwrap.dedent(_PROGRAM))
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    return python


# -- the real one ------------------------------------------------------------------------------------------------------


def freqtrade_python() -> Path | None:
    """Only where somebody asked for it: what needs it takes minutes."""
    home = os.environ.get("BFAI_FREQTRADE")
    places = (Path(home) / "bin/python", Path(home) / "Scripts/python.exe") if home else ()
    return next((path for path in places if path.exists()), None)


PYTHON = freqtrade_python()
parity = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(PYTHON is None, reason="needs Freqtrade: python3 run.py parity installs it and runs this"),
]
"""Marks of tests that run Freqtrade."""
needs_shell = pytest.mark.skipif(sys.platform == "win32", reason="the redirect is a shell script")


def redirected(folder: Path, simulator: Simulator, **settings: str) -> Path:
    """The `python` of Freqtrade's environment, every host of which is the simulator. For BFAI_FREQTRADE_PYTHON.

    Freqtrade has its own HTTP stack: a `sitecustomize` sends it there. `settings` are variables that it reads, which
    no engine inherits.
    """
    place, script = folder / "shim", folder / "freqtrade_python"
    place.mkdir()
    shutil.copy(Path(__file__).parent / "redirect.py", place / "redirect.py")
    code = f"import os, redirect; redirect.install({simulator.gateway!r}, {str(simulator.ca_file)!r})\n"
    (place / "sitecustomize.py").write_text(f"{code}os.environ.update({settings!r})\n")
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{PYTHON}" "$@"\n')
    script.chmod(0o755)
    return script


class Price:
    """What simulated Binance asks and bids, set by the test."""

    def __init__(self, simulator: Simulator, first: str) -> None:
        self.now = Decimal(first)
        simulator.set_mutator(self)

    def __call__(self, exchange: str, path: str, body: bytes) -> bytes:
        bid, ask = str(self.now), str(self.now + Decimal("0.1"))
        if path.endswith("/depth"):
            rows = {"lastUpdateId": 1, "bids": [[bid, "50"]], "asks": [[ask, "50"]]}
            return json.dumps(rows).encode()
        if "/ticker/" in path and body.startswith(b"{"):
            told = {**json.loads(body), "bidPrice": bid, "askPrice": ask, "lastPrice": bid, "price": bid}
            return json.dumps(told).encode()
        return body


def quick(pair: str) -> Parameters:
    """A strategy whose group opens at once and adds and closes within a percent."""
    return preset("balanced", Market.SPOT, [pair], "50").changed(
        addon_step_pct="0.5", addon_step_multiplier="1", addon_max_count=3, addon_multiplier="1.5", addon_cooldown=0,
        take_profit_pct="0.3", recovery__enabled=False, margin_limit_total="60%", deposit_load_max="90", max_groups=1,
        cooldown_after_close=0,
    )  # fmt: skip


def holding(what: str, secrets: Iterable[str]) -> set[int]:
    """The processes of this computer in whose `cmdline` or `environ` one of the secrets stands. Linux only."""
    found: set[int] = set()
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
            text = path.read_bytes()
            found |= {int(path.parent.name)} if any(secret.encode() in text for secret in secrets) else set()
    return found


def in_no_file(folder: Path, secrets: Iterable[str]) -> None:
    """Asserts that none of the secrets stands in clear in any file below the folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in text], path
