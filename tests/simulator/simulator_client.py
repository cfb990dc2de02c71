"""A client of the simulated exchanges with signers of its own, written from the exchanges' documents."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from bfai.simulator import Simulator

Keys = dict[str, str | None]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        return self.json.get("code")


class _Connection(http.client.HTTPSConnection):
    def __init__(self, host: str, gateway: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, context=context, timeout=timeout)
        self._gateway = gateway.rpartition(":")
        self._tls = context

    def connect(self) -> None:
        bare = socket.create_connection((self._gateway[0], int(self._gateway[2])), self.timeout)
        self.sock = self._tls.wrap_socket(bare, server_hostname=self.host)


class Client:
    """Calls the exchanges of one simulator by their true host names, over TLS."""

    def __init__(self, sim: Simulator, timeout: float = 5) -> None:
        self.sim = sim
        self.timeout = timeout
        self.tls = ssl.create_default_context(cafile=str(sim.ca_file))

    def call(
        self, method: str, host: str, target: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        connection = _Connection(host, self.sim.gateway, self.tls, self.timeout)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.sim.control + path, data=data, method=method)
        try:
            with urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except Exception as error:
            return error.code, json.loads(error.read())  # type: ignore[attr-defined]

    def keys(self, exchange: str, account: str, **changes: str | None) -> Keys:
        return {**self.sim.accounts[exchange][account], **changes}

    # MEXC, spot: the query and the form body are signed together
    def mexc(
        self, keys: Keys, method: str, path: str, query: str = "", body: str = "", *, time_ms: int | None = None,
        window: int | None = None, headers: dict[str, str] | None = None, sign: str | None = None,
    ) -> Answer:  # fmt: skip
        stamp = int(time.time() * 1000) if time_ms is None else time_ms
        parts = [query, f"timestamp={stamp}"] + ([] if window is None else [f"recvWindow={window}"])
        signed = "&".join(part for part in parts if part)
        mac = hmac.new(str(keys["secret"]).encode(), (signed + body).encode(), hashlib.sha256).hexdigest()
        head = {"X-MEXC-APIKEY": str(keys["apiKey"])} if headers is None else headers
        if body:
            head = {**head, "Content-Type": "application/x-www-form-urlencoded"}
        return self.call(method, "api.mexc.com", f"{path}?{signed}&signature={sign or mac}", head, body or None)

    # MEXC, futures: key, time and sorted parameters are signed, and travel in headers
    def contract(
        self, keys: Keys, path: str, query: str = "", *, time_ms: int | None = None, host: str = "contract.mexc.com",
        window: str | None = None,
    ) -> Answer:  # fmt: skip
        stamp = str(int(time.time() * 1000) if time_ms is None else time_ms)
        text = str(keys["apiKey"]) + stamp + "&".join(sorted(query.split("&")))
        mac = hmac.new(str(keys["secret"]).encode(), text.encode(), hashlib.sha256).hexdigest()
        head = {"ApiKey": str(keys["apiKey"]), "Request-Time": stamp, "Signature": mac}
        if window is not None:
            head["Recv-Window"] = window
        return self.call("GET", host, path + (f"?{query}" if query else ""), head)

    # KuCoin: time, method, un-encoded endpoint and body are signed
    def kucoin(
        self, keys: Keys, method: str, target: str, body: str = "", *, host: str = "api.kucoin.com",
        time_ms: int | None = None, version: str | None = "2", signed: str | None = None,
        more: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        secret, stamp = str(keys["secret"]).encode(), str(int(time.time() * 1000) if time_ms is None else time_ms)

        def mac(text: str) -> str:
            return base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()

        phrase = str(keys["password"])
        head = {
            "KC-API-KEY": str(keys["apiKey"]),
            "KC-API-TIMESTAMP": stamp,
            "KC-API-SIGN": mac(stamp + method + (signed or target) + body),
            "KC-API-PASSPHRASE": phrase if version in (None, "1") else mac(phrase),
            **({} if version is None else {"KC-API-KEY-VERSION": version}),
            **({"Content-Type": "application/json"} if body else {}),
            **(more or {}),
        }
        return self.call(method, host, target, head, body or None)

    def futures(self, keys: Keys, method: str, target: str, body: str = "") -> Answer:
        return self.kucoin(keys, method, target, body, host="api-futures.kucoin.com")
