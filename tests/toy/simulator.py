"""Toybit as its documents would describe it: the shortest complete simulated exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from bfai.simulator.core import Account, Call, Exchange, Reply, Route, as_json, hmac_sha256, route, same, sample_hex


def _error(code: int, words: str, status: int = 403) -> Reply:
    return as_json({"errorCode": code, "error": words}, status)


def _account(name: str, *rights: str, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Account:
    key, secret = f"toy-{sample_hex(24, 'toy key', name)}", sample_hex(64, "toy secret", name)
    return Account(name=name, api_key=key, secret=secret, permissions=rights, ip_whitelist=addresses)


class Toybit(Exchange):
    name = "toybit"
    hosts: ClassVar[Mapping[str, str]] = {"api.toybit.example": "api"}
    forbidden = (("/v2/withdrawal", "moves money"), ("/v2/order", "places or cancels an order"))

    def sample_accounts(self) -> Iterable[Account]:
        yield _account("good", "view", "trade")
        yield _account("withdraw", "view", "trade", "withdraw")
        yield _account("read_only", "view")
        yield _account("ip_blocked", "view", "trade", addresses=("198.51.100.7",))
        yield _account("ip_open", "view", "trade", addresses=())
        yield _account("unknown_right", "view", "trade", "juggle")

    def key_of(self, call: Call) -> str:
        return call.headers.get("Bitvavo-Access-Key", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        account, sent = call.account, call.headers.get("Bitvavo-Access-Timestamp", "")
        if account is None:
            return _error(305, "No active API key found.")
        if not sent.isdigit() or abs(call.now_ms - int(sent)) > 10_000:
            return _error(304, "Request was not received within the access window.")
        right = hmac_sha256(account.secret, sent + call.method + call.target + call.body.decode()).hex()
        if not same(call.headers.get("Bitvavo-Access-Signature", ""), right):
            return _error(309, "The signature is invalid.")
        if not account.allows(call.address):
            return _error(307, f"This key does not allow access from {call.address}.")
        if not any(scope in account.permissions for scope in route.scopes):
            return _error(311, "This key does not allow to view.")
        return None

    def not_found(self, call: Call) -> Reply:
        return _error(110, "Invalid endpoint.", 404)

    def refuse_write(self, call: Call) -> Reply:
        return _error(310, "This key does not allow it.")

    def rate_limited(self, call: Call) -> Reply:
        return _error(105, "Rate limit exceeded.", 429)

    def maintenance(self, call: Call) -> Reply:
        return _error(108, "Under maintenance.", 503)

    @route("GET", "/v2/time")
    def time(self, call: Call) -> Reply:
        return as_json({"time": call.now_ms})

    @route("GET", "/v2/account", scopes=("view",))
    def account(self, call: Call) -> Reply:
        return as_json({"rights": list(call.who.permissions), "addresses": list(call.who.ip_whitelist)})

    @route("GET", "/v2/balance", scopes=("view",))
    def balance(self, call: Call) -> Reply:
        return as_json([{"symbol": name, "available": amount} for name, amount in call.who.spot.items()])

    @route("GET", "/v2/ordersOpen", scopes=("view",))
    def orders(self, call: Call) -> Reply:
        del call
        return as_json([])


EXCHANGE = Toybit
