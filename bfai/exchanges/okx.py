"""OKX. Sources: the official v5 documents with their table of error codes, OKX's help centre, ccxt 4.5.90.

One right, `trade`, gives spot, futures, margin and transfers inside the account: OKX cannot part them. Keys belong to
one of its entities (global, EEA, US) and are unknown (50119) at the others. 50119 and 50120 are missing in ccxt's
tables, so it calls both a mere exchange error. The dry-run order exists in some account modes only, and an account in
spot mode trades no derivatives whatever its keys may do. No report tells when a key ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    OTHER_SITE,
    Answer,
    Call,
    CountedFrom,
    ErrorRule,
    Exchange,
    ExpiryRule,
    Fees,
    Field,
    Guide,
    Limit,
    Refusal,
    Region,
    Right,
    Role,
    addresses,
    as_object,
    decimal,
    fees,
    free_balances,
    grants_from_words,
    only,
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
SUB_ACCOUNTS = ("1", "2", "5", "9", "12")
KEY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
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
    rights_fields = frozenset({"perm", "opAuth", "roleType", "spotRoleType"})
    host_pattern = (
        r"\bokx\b|\bmyokx\b|\bokxus\b|\bokex\b|OK-ACCESS-|x-simulated-trading|/api/v5/(?:account|trade|public)/"
    )
    body_pattern = r'"code"\s*:\s*"5[01]\d{3}"(?![^{}]*"requestTime")|"sCode"\s*:|"acctLv"\s*:'
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
        _signed(
            Role.FEES,
            "/api/v5/account/trade-fee",
            "privateGetAccountTradeFee",
            N_("read the fees of this account for one pair"),
            "five",
            Market.SPOT,
            instType="SPOT",
            instId="{pair}",
        ),
        _signed(
            Role.FEES,
            "/api/v5/account/trade-fee",
            "privateGetAccountTradeFee",
            N_("read the fees of this account for one pair"),
            "five",
            Market.FUTURES,
            instType="SWAP",
            instFamily="{family}",
        ),
    )
    order_pair_fields = MappingProxyType({Market.SPOT: "instId", Market.FUTURES: "instId"})
    limits = MappingProxyType(
        {
            "public": Limit(10, 2, each=True),
            "candles": Limit(20, 2, each=True),
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
        ErrorRule((Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT, Cause.EXPIRED_KEY), ("50119", "60032")),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("50111", "60005")),
        ErrorRule((Cause.INVALID_KEY,), ("50103", "60001")),
        ErrorRule((Cause.INVALID_SECRET,), ("50113", "50106", "60007", "60002")),
        ErrorRule((Cause.INVALID_PASSPHRASE,), ("50105", "50104", "60024", "60003")),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("50110",)),
        ErrorRule((Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING), ("50035",)),
        ErrorRule((Cause.IP_NOT_ALLOWED, Cause.LOCATION_RESTRICTED), ("50118",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("50120", "50030")),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.INVALID_KEY, Cause.INVALID_PASSPHRASE), ("50114",)),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.INVALID_PASSPHRASE), ("60009",), clear=False),
        ErrorRule((Cause.WRONG_ENVIRONMENT,), ("50101", "50038", "50053", "50108", "50109")),
        ErrorRule((Cause.CLOCK_SKEW,), ("50102", "50112", "50107", "50036", "60004", "60006")),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), ("51024",), r"country|region|reside"),
        ErrorRule((Cause.LOCATION_RESTRICTED,), ("50121", "50051", "50052", "51155", "51734", "51773")),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.WRONG_ENVIRONMENT), ("50067",)),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.LOCATION_RESTRICTED), ("50059", "50060", "4088")),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,), ("50007", "50008", "50009", "50012", "50027", "50028", "50029", "50100")
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("50017", "50018", "50019", "50020", "50021", "50022", "50023")),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,), ("51009", "51024", "51037", "51732", "51733", "58004", "59113", "59508")
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.PERMISSION_MISSING), ("50032", "50033", "50041", "51010", "51070")),
        ErrorRule((Cause.RATE_LIMITED,), ("50011", "50040", "50061", "51113", "51115", "58102", "60014")),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            ("50001", "50004", "50005", "50013", "50026", "50046", "50062", "51054", "51149", "51767", "63999", "500"),
        ),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            pattern=r"service temporarily unavailable|systems? (?:is|are) busy|server error|being upgraded",
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
            N_(
                "For futures the account must be in futures mode or higher. OKX shows its mode in the trading settings."
            ),
        ),
        ip_step=N_("Paste this address into the IP address field. OKX takes up to 20, separated by commas."),
        shown_once=N_("Copy the secret key before you close the window, and keep it to yourself."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account cannot withdraw at all: a good choice for a bot."),
        max_keys=50,
        takes_ipv6=True,
        refusals=(
            Refusal(401, '{"msg":"API key doesn\'t exist","code":"50119"}', OTHER_SITE),
            Refusal(
                401, '{"msg":"Your IP 203.0.113.7 is not included in your API key\'s IP whitelist.","code":"50110"}'
            ),
            Refusal(401, '{"msg":"This API key doesn\'t have permission to use this function","code":"50120"}'),
            Refusal(401, '{"msg":"Request header OK-ACCESS-PASSPHRASE incorrect.","code":"50105"}'),
            Refusal(401, '{"msg":"Invalid Sign","code":"50113"}'),
            Refusal(401, '{"msg":"APIKey does not match current environment.","code":"50101"}'),
        ),
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

    NO_VERDICT = frozenset("50000 50002 50014 50015 50016 50024 50025 50038 50046 50062 51000 51010 51070".split())
    """Precheck: this account mode or demo trading has none, or a parameter was refused before the key was looked at."""
    NO_ORDER = frozenset("51009 51024 51037 51054 51113 51115 51149 51155 51732 51733 51734 51767 51773".split())
    """These codes of the range that judges orders are about the account or the service."""

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        """Codes 1 and 2 say that the answer is in the items; a sub-code after `_` tells a case of the same error."""
        code = super().error_code(body)
        if code in ("1", "2"):
            code = super().error_code({"code": _first(body).get("sCode")}) or code
        return code.partition("_")[0] if code is not None else None

    def error_words(self, body: Mapping[str, Any]) -> str:
        """An item tells more than "All operations failed". A refused address is told with the key's id: left out."""
        words = super().error_words({"msg": _first(body).get("sMsg")}) or super().error_words(body)
        return KEY_ID.sub("…", words)

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or body.get("code") != "0":
            return False
        first = _first(body)
        match answer.role:
            case Role.KEY_INFO:
                return "perm" in first
            case Role.TIME:
                return "ts" in first
            case Role.BALANCE:
                return isinstance(first.get("details"), list)
            case Role.DRY_RUN:
                return bool(first) and first.get("sCode", "0") == "0"
            case _:
                return isinstance(body.get("data"), list)

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

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at, api_key
        outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        fields = _first(outer)
        if outer.get("code") != "0" or "perm" not in fields or len(cast("list[object]", outer["data"])) != 1:
            return None
        words = split_words(fields["perm"])
        report = grants_from_words(self, words or (), whole=words is not None)
        uid, main = fields.get("uid"), fields.get("mainUid")
        kind = fields.get("type")
        known = isinstance(uid, str) and isinstance(main, str) and bool(uid and main)
        by_kind = True if kind in SUB_ACCOUNTS else (False if kind == "0" else None)
        return report.model_copy(
            update={
                "ip_restriction": addresses(fields.get("ip")),
                "account_id": text_or_none(uid),
                "is_sub": uid != main if known else by_kind,
                "label": text_or_none(fields.get("label")),
            }
        )

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        """An account in spot mode trades no derivatives, whatever its keys may do."""
        fields = _first(cast("dict[str, Any]", body) if isinstance(body, dict) else {})
        spot_only = market is Market.FUTURES and fields.get("acctLv") == SPOT_MODE
        return Cause.ACCOUNT_RESTRICTED if spot_only else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        del market
        return free_balances(_first(answer.object).get("details"), "ccy", "availBal")

    def pair_values(self, pair_id: str) -> Mapping[str, str]:
        return {"pair": pair_id, "family": pair_id.removesuffix("-SWAP")}

    def read_fees(self, market: Market, quote: str, answer: Answer) -> Fees | None:
        """OKX writes a fee below zero. Newer answers name one group of fees, older ones a field by currency."""
        row = as_object(only(answer.json, "data.*"))
        group = only(row, "feeGroup.*")
        if group is not None:
            told = as_object(group)
            names = ("maker", "taker")
        else:
            told = row
            kind = "USDC" if quote == "USDC" else "U" if market is Market.FUTURES else ""
            names = (f"maker{kind}", f"taker{kind}")
        maker, taker = (decimal(told.get(name)) for name in names)
        return None if maker is None or taker is None else fees(-maker, -taker)

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = answer.object.get("data")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        return self.error_code(answer.object) in self.NO_VERDICT

    def dry_run_proves(self, answer: Answer) -> bool:
        """Codes from 51001 on judge the order: its amount, price, balance or mode."""
        code = self.error_code(answer.object) or ""
        if code in self.NO_VERDICT or code in self.NO_ORDER or not code.isdecimal():
            return False
        return 51001 <= int(code) <= 51999


def _first(body: Mapping[str, Any]) -> dict[str, Any]:
    """The first item of `data`."""
    items = body.get("data")
    first = cast("list[object]", items)[0] if isinstance(items, list) and items else None
    return cast("dict[str, Any]", first) if isinstance(first, dict) else {}


EXCHANGE = Okx()
