"""The exchanges in one local TLS server: the demo a new user sees first, and the bench every adapter is tested on.

    with Simulator() as sim:
        sim.gateway, sim.ca_file, sim.control, sim.accounts["mexc"]["good"]

Every signature, timestamp, passphrase, address and scope is verified as the exchange's documents tell; every write that
is no documented dry-run order is refused and kept in `violations`. Loopback only.

Control server (plain HTTP, JSON): `GET /` the first line of `simulator --json`; `GET /seen` the calls and violations,
`DELETE /seen`; `POST /faults` (see `bfai.simulator.faults`), `GET /faults`; `POST /clock {"offset_ms", "exchange"?}`;
`POST /accounts {"exchange", "account", …changes}` or `{…, "reset": true}`; `POST /address {"address"}` (null: the true
one); `POST /reset` puts everything back.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from bfai.simulator.core import Exchange
from bfai.simulator.faults import read_faults
from bfai.simulator.server import LOOPBACK, Mutator, Servers, World

__all__ = ["Simulator", "discover", "serve"]


def discover() -> list[type[Exchange]]:
    """The exchange of every file of this package that names one (`EXCHANGE = …`), in the order of their names."""
    found: list[type[Exchange]] = []
    for module in pkgutil.iter_modules(__path__):
        kind = getattr(importlib.import_module(f"{__name__}.{module.name}"), "EXCHANGE", None)
        if kind is not None:
            found.append(kind)
    return sorted(found, key=lambda kind: kind.name)


class Simulator:
    """The simulated exchanges, on a thread and an event loop of their own. May be used from any thread."""

    def __init__(self, *, port: int = 0, ca: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives the seconds since 1970 by which the exchanges live."""
        self._world = World(discover(), clock)
        self._port = port
        self._ca = ca
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._servers: Servers | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.gateway = ""
        """`127.0.0.1:PORT`, for `BFAI_GATEWAY`."""
        self.control = ""
        """Address of the control server."""
        self.ca_file = Path()
        """Certificate authority that signs for every host, for `BFAI_GATEWAY_CA`."""

    # -- life

    def start(self) -> Simulator:
        """Starts listening and returns when it does; OSError if the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the simulator is running already")
        self._servers = Servers(self._world)
        if self._ca is None:
            self._folder = tempfile.TemporaryDirectory(prefix="bfai-simulator-")
            self.ca_file = Path(self._folder.name) / "ca.pem"
        else:
            self.ca_file = self._ca.absolute()
        self._servers.authority.cert_pem.write_to_path(str(self.ca_file))
        ready: threading.Event = threading.Event()
        failure: list[BaseException] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, ready, failure), name="bfai-simulator", daemon=True
        )
        self._thread.start()
        ready.wait()
        if failure:
            self._thread.join()
            self._tidy()
            raise failure[0]
        self._servers.hello = self.hello()
        return self

    def _run(self, loop: asyncio.AbstractEventLoop, ready: threading.Event, failure: list[BaseException]) -> None:
        assert self._servers is not None
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(_ignore)  # broken connections are what this server is for
        try:
            gateway, control = loop.run_until_complete(self._servers.start(self._port))
            self.gateway, self.control = f"{LOOPBACK}:{gateway}", f"http://{LOOPBACK}:{control}"
        except BaseException as error:
            failure.append(error)
        ready.set()
        if not failure:
            loop.run_forever()
        loop.run_until_complete(self._servers.stop())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1))
        loop.close()

    def stop(self) -> None:
        """Stops listening; `seen` and `violations` stay readable. Nothing happens when it does not run."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._tidy()

    def _tidy(self) -> None:
        self._thread = self._loop = self._servers = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what it is

    @property
    def accounts(self) -> dict[str, dict[str, dict[str, str | None]]]:
        """Exchange -> account -> `apiKey`, `secret`, `password` (None where the exchange has none)."""
        return self._world.credentials()

    @property
    def hosts(self) -> dict[str, str]:
        """Host name -> exchange."""
        return {host: exchange.name for host, (exchange, _) in self._world.hosts.items()}

    @property
    def seen(self) -> list[dict[str, object]]:
        """The latest 10,000 calls: time, exchange, host, method, path, names of parameters, status, account …"""
        return [seen.shown() for seen in tuple(self._world.seen)]

    @property
    def violations(self) -> list[dict[str, object]]:
        """Every call that could have changed something at an exchange. A test suite must end with none."""
        return [seen.shown() for seen in tuple(self._world.violations)]

    @property
    def errors(self) -> list[str]:
        """Defects of the simulator itself (an answer that could not be made); a test suite must end with none."""
        return list(self._world.errors)

    def hello(self) -> dict[str, Any]:
        """What `simulator --json` prints first."""
        return {
            "gateway": self.gateway,
            "ca": str(self.ca_file),
            "control": self.control,
            "accounts": self.accounts,
        }

    # -- what can be done to it

    def set_faults(self, faults: object) -> None:
        """Replaces the faults: a list of them or a whole document (`bfai.simulator.faults`); `[]` clears."""
        self._world.faults.set(read_faults(faults))

    @contextlib.contextmanager
    def faults(self, *faults: Mapping[str, Any]) -> Generator[None, None, None]:
        """These faults while the block runs."""
        self.set_faults(list(faults))
        try:
            yield
        finally:
            self.set_faults([])

    def set_clock(self, offset_ms: int, exchange: str = "*") -> None:
        """Shifts the exchange's clock: its server time and its timestamp window."""
        self._world.set_clock(offset_ms, exchange)

    def set_address(self, address: str | None, address_6: str | None = None) -> None:
        """The address that the exchanges see; None is the true one. `address_6`: the one that they see where they are
        called by IPv6, which otherwise is the true one as well, or fails where only `address` is set."""
        self._world.address, self._world.address_6 = address, address_6

    def set_mutator(self, mutator: Mutator | None) -> None:
        """`mutator(exchange, path, body)` gives the body that is sent instead; called on the simulator's thread."""
        self._world.mutator = mutator

    def change_account(self, exchange: str, account: str, **changes: Any) -> None:
        """Changes a sample key at the exchange: `permissions`, `ip_whitelist`, `passphrase`, `secret`, `status`
        (`active`, `frozen`, `expired`, `deleted`), `expires_in_days`, `label`, `pairs`, `seen_address`, `site`,
        `mask_ips`, `omit`, `is_sub`, `spot`, `futures` (balances), `spot_orders`, `futures_orders` (pairs with an open
        order). ValueError for anything else."""
        self._world.account(exchange, account)
        self._world.exchange(exchange).change_account(account, changes)

    def forget(self) -> None:
        """Forgets the calls seen and the violations, and nothing else."""
        self._world.forget()

    def reset(self) -> None:
        """Clears faults, clock, address, changed accounts, calls seen and violations."""
        self._world.reset()


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    return None


def _describe(sim: Simulator) -> str:
    lines = [
        "The simulated exchanges are listening.",
        f"  gateway  {sim.gateway}",
        f"  CA file  {sim.ca_file}",
        f"  control  {sim.control}",
        "",
        "To send the workbench there:",
    ]
    setter = "set" if os.name == "nt" else "export"
    lines += [f"  {setter} BFAI_GATEWAY={sim.gateway}", f"  {setter} BFAI_GATEWAY_CA={sim.ca_file}"]
    for exchange, accounts in sim.accounts.items():
        lines += ["", f"Sample keys on {exchange} (worth nothing anywhere else):"]
        for name, keys in accounts.items():
            words = (keys["apiKey"], keys["secret"], keys["password"])
            lines.append(f"  {name:<14}" + "  ".join(word for word in words if word))
    return "\n".join([*lines, "", "Ctrl+C stops it."])


def serve(port: int = 0, ca: Path | None = None, faults: Path | None = None, as_json: bool = False) -> None:
    """Runs the simulator until SIGTERM or SIGINT; `as_json` prints one JSON line first, otherwise a text for people.

    OSError when the port is taken or a file cannot be used, ValueError when the faults are no fault document.
    """
    document: object = json.loads(faults.read_text(encoding="utf-8")) if faults is not None else []
    sim = Simulator(port=port, ca=ca)
    sim.set_faults(document)
    done = threading.Event()

    def finish(_number: int, _frame: FrameType | None) -> None:
        done.set()

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, finish) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with sim:
            sys.stdout.write((json.dumps(sim.hello()) if as_json else _describe(sim)) + "\n")
            sys.stdout.flush()
            while not done.wait(0.5):  # a timeout, so that Windows delivers Ctrl+C
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
