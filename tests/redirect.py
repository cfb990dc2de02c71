"""Runs another program against the simulator: `python tests/redirect.py PROGRAM.py [ARGUMENTS]`.

Names of hosts resolve to the gateway in `BFAI_GATEWAY`, and certificates are verified against `BFAI_GATEWAY_CA` alone,
so that nothing can leave this computer. The program and its libraries stay as they are. For tests and benchmarks only.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0", None, "")


def environment(gateway: str, ca_file: Path | str, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which `python tests/redirect.py` is to be started."""
    inherited = {name: value for name, value in base.items() if not name.lower().endswith("_proxy")}
    return {**inherited, "BFAI_GATEWAY": gateway, "BFAI_GATEWAY_CA": str(ca_file)}


def install(gateway: str, ca_file: str) -> None:
    """Redirects this process. Call it before anything that speaks HTTP is imported."""
    import certifi

    address, _, port = gateway.rpartition(":")
    if address not in LOOPBACK[:2]:
        raise SystemExit(f"the gateway must be on this computer, not {gateway}")
    resolve = socket.getaddrinfo

    def redirected(host: Any, service: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in LOOPBACK:
            return resolve(host, service, *args, **options)
        return resolve(address, int(port), *args, **options)

    socket.getaddrinfo = redirected
    certifi.where = lambda: ca_file
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ[name] = ca_file


if __name__ == "__main__":
    install(os.environ["BFAI_GATEWAY"], os.environ["BFAI_GATEWAY_CA"])
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
