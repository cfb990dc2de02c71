"""Toybit: the shortest complete adapter. It signs as ccxt's bitvavo does and is an exchange that does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    Answer,
    Call,
    ErrorRule,
    Exchange,
    Field,
    Guide,
    Limit,
    Region,
    Right,
    Role,
    address_list,
    free_balances,
    grants_from_words,
    positive_int,
    split_words,
)
from bfai.model import Cause, KeyReport, Market, Permission

SPOT = (Market.SPOT,)


class Toybit(Exchange):
    id = "toybit"
    name = "Toybit"
    ccxt_id = "bitvavo"
    rights_fields = frozenset({"rights"})
    host_pattern = r"\btoybit\b"
    fields = (
        Field("api_key", "Toy Key", r"toy-[0-9a-f]{24}", "toy- and 24 characters"),
        Field("secret", "Toy Secret", r"[0-9a-f]{64}", "64 characters, 0-9 and a-f"),
    )
    regions = (Region("global", "Toybit", {"api": "api.toybit.example"}, markets=SPOT),)
    markets = SPOT
    calls = (
        Call(Role.TIME, "GET", "api", "/v2/time", "publicGetTime", "read the exchange's clock", signed=False),
        Call(
            Role.KEY_INFO,
            "GET",
            "api",
            "/v2/account",
            "privateGetAccount",
            "read what the key may do",
            right=Permission.READ,
            word="view",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "api",
            "/v2/balance",
            "privateGetBalance",
            "read the spot balance",
            right=Permission.READ,
            word="view",
        ),
        Call(
            Role.ORDERS,
            "GET",
            "api",
            "/v2/ordersOpen",
            "privateGetOrdersOpen",
            "read the open spot orders",
            right=Permission.READ,
            word="view",
        ),
    )
    limits = MappingProxyType({"": Limit(1000, 60)})
    rights = (
        Right("view", "View", (Permission.READ,), SPOT),
        Right("trade", "Trade", (Permission.SPOT_TRADE,), SPOT),
        Right("withdraw", "Withdraw", (Permission.WITHDRAW,)),
    )
    error_rules = (
        ErrorRule((Cause.INVALID_KEY,), ("305",)),
        ErrorRule((Cause.INVALID_SECRET,), ("309",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("307",)),
        ErrorRule((Cause.CLOCK_SKEW,), ("304",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("310", "311")),
    )
    guide = Guide(
        key_page="https://toybit.example/keys",
        steps=("Open the toy box.", "Take the key."),
        ip_step="Write your address on it.",
        shown_once="Toybit shows the secret once.",
        max_ips=None,
        sub_accounts="There are none.",
    )

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        code = body.get("errorCode")
        return str(code) if isinstance(code, int) else None

    def succeeded(self, answer: Answer) -> bool:
        body = answer.json
        if answer.status != 200:
            return False
        return isinstance(body, list) or (isinstance(body, dict) and "errorCode" not in body)

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("time"))

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at, api_key
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if "rights" not in fields:
            return None
        words = split_words(fields["rights"])
        report = grants_from_words(self, words or (), whole=words is not None)
        return report.model_copy(update={"ip_restriction": address_list(fields.get("addresses"))})

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        del market
        return free_balances(answer.json, "symbol", "available")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = answer.json
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None


EXCHANGE = Toybit()
