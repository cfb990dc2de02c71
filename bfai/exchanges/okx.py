"""OKX. Sources: the official v5 documents with their table of error codes, OKX's help centre, ccxt 4.5.90.

One right, `trade`, gives spot, futures, margin and transfers inside the account: OKX cannot part them. Keys belong to
one of its entities (global, EEA, US) and are unknown (50119) at the others. 50119 and 50120 are missing in ccxt's
tables, so it calls both a mere exchange error. The dry-run order exists in some account modes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    Answer,
    Call,
    CountedFrom,
    ErrorRule,
    Exchange,
    ExpiryRule,
    Field,
    Guide,
    Limit,
    Region,
    Right,
    Role,
    addresses,
    free_balances,
    grants_from_words,
    positive_int,
    split_words,
    text_or_none,
)
from bfai.i18n import N_
from bfai.model import Cause, Environment, KeyReport, Market, Permission

SPOT = (Market.SPOT,)
BOTH = (Market.SPOT, Market.FUTURES)
SPOT_MODE = "1"
TRADING_SERVICE = "5"
TRADING = (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN, Permission.TRANSFER)
PRECHECK = {"side": "buy", "ordType": "limit", "px": "20000"}


def _signed(
    role: Role, path: str, implicit: str, purpose: str, pool: str, market: Market | None = None, **params: str
) -> Call:
    return Call(
        role,
        "GET",
        "api",
        path,
        implicit,
        purpose,
        market,
        params=params,
        right=Permission.READ,
        word="read_only",
        pool=pool,
    )


def _precheck(market: Market, **params: str) -> Call:
    return Call(
        Role.DRY_RUN,
        "POST",
        "api",
        "/api/v5/trade/order-precheck",
        "privatePostTradeOrderPrecheck",
        N_("ask whether an order would be allowed, without placing one"),
        market,
        params={**PRECHECK, **params},
        right=Permission.SPOT_TRADE if market is Market.SPOT else Permission.FUTURES_TRADE,
        word="trade",
        dry_run=True,
        pool="five",
    )


class Okx(Exchange):
    id = "okx"
    name = "OKX"
    ccxt_id = "okx"
    host_pattern = (
        r"\bokx\b|\bmyokx\b|\bokxus\b|\bokex\b|OK-ACCESS-|x-simulated-trading|/api/v5/(?:account|trade|public)/"
    )
    body_pattern = r'"code"\s*:\s*"5[01]\d{3}"|"sCode"\s*:'
    fields = (
        Field(
            "api_key",
            "API key",
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            N_("36 characters with four dashes, 0-9 and a-f"),
        ),
        Field("secret", "Secret key", r"[0-9A-F]{32}", N_("32 characters, 0-9 and A-F")),
        Field("passphrase", "Passphrase", r".{8,32}", N_("8 to 32 characters that you chose yourself")),
    )
    regions = (
        Region("global", "OKX", {"api": "www.okx.com"}),
        Region("eea", "OKX EEA", {"api": "eea.okx.com"}),
        Region("us", "OKX US", {"api": "us.okx.com"}, markets=SPOT),
    )
    tests = MappingProxyType(
        {Environment.DEMO: Region("demo", "OKX demo trading", {}, headers={"x-simulated-trading": "1"})}
    )
    calls = (
        Call(
            Role.TIME,
            "GET",
            "api",
            "/api/v5/public/time",
            "publicGetPublicTime",
            N_("read the exchange's clock"),
            signed=False,
            pool="public",
        ),
        Call(
            Role.SERVICE,
            "GET",
            "api",
            "/api/v5/system/status",
            "publicGetSystemStatus",
            N_("ask whether trading is open"),
            signed=False,
            pool="status",
            share_seconds=30.0,
        ),
        _signed(
            Role.KEY_INFO,
            "/api/v5/account/config",
            "privateGetAccountConfig",
            N_("read what the key may do"),
            "five",
        ),
        _signed(
            Role.BALANCE,
            "/api/v5/account/balance",
            "privateGetAccountBalance",
            N_("read the balance of the trading account"),
            "ten",
        ),
        _signed(
            Role.ORDERS,
            "/api/v5/trade/orders-pending",
            "privateGetTradeOrdersPending",
            N_("read the open orders"),
            "sixty",
        ),
        _precheck(Market.SPOT, instId="BTC-USDT", tdMode="cash", sz="0.001"),
        _precheck(Market.FUTURES, instId="BTC-USDT-SWAP", tdMode="cross", sz="1"),
    )
    limits = MappingProxyType(
        {
            "public": Limit(10, 2, each=True),
            "status": Limit(1, 5, each=True),
            "five": Limit(5, 2, by="account", each=True),
            "ten": Limit(10, 2, by="account", each=True),
            "sixty": Limit(60, 2, by="account", each=True),
        }
    )
    rights = (
        Right("read_only", "Read", (Permission.READ,), BOTH),
        Right("trade", "Trade", TRADING, BOTH),
        Right("withdraw", "Withdraw", (Permission.WITHDRAW,)),
    )
    error_rules = (
        ErrorRule((Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT, Cause.EXPIRED_KEY), ("50119",)),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("50111",)),
        ErrorRule((Cause.INVALID_KEY,), ("50103",)),
        ErrorRule((Cause.INVALID_SECRET,), ("50113", "50106")),
        ErrorRule((Cause.INVALID_PASSPHRASE,), ("50105", "50104")),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("50110",)),
        ErrorRule((Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING), ("50035",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("50120", "50030", "50114", "50032", "50033")),
        ErrorRule((Cause.WRONG_ENVIRONMENT,), ("50101", "50038")),
        ErrorRule((Cause.CLOCK_SKEW,), ("50102", "50112", "50107")),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED,),
            ("50121", "50051", "50052", "50059", "50060", "50067", "50118", "51155", "50122", "50044"),
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            ("50007", "50008", "50009", "50012", "50023", "50027", "50029", "50039", "50100", "4088", "51720", "58207"),
        ),
        ErrorRule((Cause.RATE_LIMITED,), ("50011", "50061", "50040", "51297")),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            ("50001", "50004", "50005", "50013", "50026", "500", "50058", "50050", "50062", "50063"),
        ),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,), pattern=r"service temporarily unavailable|system is busy|server error"
        ),
    )
    guide = Guide(
        key_page="https://www.okx.com/account/my-api",
        steps=(
            N_("Log in at OKX, open API and create a V5 API key for API trading."),
            N_("Give it a name and a passphrase. You need the passphrase here again: OKX cannot show it to you later."),
            N_("Tick the boxes shown here and no others. Trade covers spot, futures and transfers: one box for all."),
            N_("Enter your IP address and confirm with your 2FA code."),
            N_("Copy the API key and the secret key."),
        ),
        ip_step=N_("Paste this address into the IP address field. OKX takes up to 20, separated by commas."),
        shown_once=N_("Copy the secret key before you close the window, and keep it to yourself."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account cannot withdraw at all: a good choice for a bot."),
    )
    expiry_rules = (
        ExpiryRule(
            14,
            CountedFrom.LAST_USE,
            N_(
                "Without an IP address an OKX key that may trade is removed after 14 days without use. With one it "
                "stays."
            ),
            "OKX documents and help centre, API FAQ",
            rights=(Permission.SPOT_TRADE, Permission.WITHDRAW),
        ),
    )

    NO_VERDICT = frozenset({"51010", "51070", "51000", "50014", "50015", "50002", "50024"})
    """Precheck: this account mode has none, or a parameter was refused before anybody looked at the key."""

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        """Codes 1 and 2 say that the answer is in the items."""
        code = super().error_code(body)
        items = body.get("data")
        if code in ("1", "2") and isinstance(items, list) and items and isinstance(items[0], dict):
            return super().error_code({"code": cast("dict[str, Any]", items[0]).get("sCode")}) or code
        return code

    def error_words(self, body: Mapping[str, Any]) -> str:
        item = _first(body)
        return super().error_words(body) or super().error_words({"msg": item.get("sMsg")})

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        return (
            answer.status is not None
            and 200 <= answer.status < 300
            and body.get("code") == "0"
            and isinstance(body.get("data"), list)
            and (answer.role != Role.KEY_INFO or "perm" in _first(body))
        )

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(_first(answer.object).get("ts"))

    def service_open(self, answer: Answer) -> bool | None:
        """Closed only while an upgrade of the trading service itself is under way."""
        body = answer.object
        if body.get("code") != "0" or not isinstance(body.get("data"), list):
            return None
        items = [cast("dict[str, Any]", item) for item in cast("list[object]", body["data"]) if isinstance(item, dict)]
        return not any(
            item.get("state") == "ongoing" and item.get("serviceType") == TRADING_SERVICE and item.get("env") != "2"
            for item in items
        )

    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        del received_at, api_key
        outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        fields = _first(outer)
        if outer.get("code") != "0" or "perm" not in fields:
            return None
        words = split_words(fields["perm"])
        report = grants_from_words(self, words or (), whole=words is not None)
        uid, main = fields.get("uid"), fields.get("mainUid")
        known = isinstance(uid, str) and isinstance(main, str) and bool(uid and main)
        return report.model_copy(
            update={
                "ip_restriction": addresses(fields.get("ip")),
                "account_id": text_or_none(uid),
                "is_sub": uid != main if known else None,
                "label": text_or_none(fields.get("label")),
            }
        )

    def state_cause(self, body: object, market: Market = Market.SPOT) -> Cause | None:
        """An account in spot mode trades no derivatives, whatever its keys may do."""
        fields = _first(cast("dict[str, Any]", body) if isinstance(body, dict) else {})
        spot_only = market is Market.FUTURES and fields.get("acctLv") == SPOT_MODE
        return Cause.ACCOUNT_RESTRICTED if spot_only else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        del market
        return free_balances(_first(answer.object).get("details"), "ccy", "availBal")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = answer.object.get("data")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        return self.error_code(answer.object) in self.NO_VERDICT

    def dry_run_proves(self, answer: Answer) -> bool:
        """Codes from 51001 on judge the order: its amount, price, balance or mode."""
        code = self.error_code(answer.object) or ""
        if code in self.NO_VERDICT or code in ("51155", "51720") or not code.isdigit():
            return False
        return 51001 <= int(code) <= 51999


def _first(body: Mapping[str, Any]) -> dict[str, Any]:
    """The first item of `data`."""
    items = body.get("data")
    first = cast("list[object]", items)[0] if isinstance(items, list) and items else None
    return cast("dict[str, Any]", first) if isinstance(first, dict) else {}


EXCHANGE = Okx()
