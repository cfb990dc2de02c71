"""KuCoin. Sources: the official universal SDK and documents, ccxt 4.5.90, and live captures by third parties.

The trap of this exchange: the word `Transfer` (newer: `Withdrawal`) is the right to withdraw, `InnerTransfer`
(newer: `FlexTransfers`) is the right to transfer inside the account.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
    Field,
    Guide,
    Limit,
    Refusal,
    Region,
    Right,
    Role,
    addresses,
    decimal,
    free_balances,
    grants_from_words,
    positive_int,
    split_words,
    text_or_none,
    time_ms,
)
from bfai.i18n import N_
from bfai.model import Cause, ExpiryEvidence, KeyReport, Market, Permission

SUCCESS = "200000"
NOT_SERVED = "400302"
SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)


class Kucoin(Exchange):
    id = "kucoin"
    name = "KuCoin"
    ccxt_id = "kucoin"
    rights_fields = frozenset({"permission"})
    host_pattern = r"\bkucoin\b|KC-API-|\bkucoinfutures\b"
    body_pattern = r'"code"\s*:\s*"(?:200000|4\d{5}|900001)"'
    fields = (
        Field("api_key", "API Key", r"[0-9a-f]{24}", N_("24 characters, 0-9 and a-f")),
        Field(
            "secret", "API Secret", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", N_("36 characters with four dashes")
        ),
        Field("passphrase", "API Passphrase", r"\S{7,32}", N_("7 to 32 characters that you chose yourself")),
    )
    regions = (
        Region("global", "KuCoin", {"spot": "api.kucoin.com", "futures": "api-futures.kucoin.com"}),
        Region("eu", "KuCoin EU", {"spot": "api.kucoin.eu"}, markets=SPOT),
        Region(
            "au",
            "KuCoin Australia",
            {"spot": "api.kucoin.com", "futures": "api-futures.kucoin.com"},
            headers={"X-SITE-TYPE": "australia"},
        ),
    )
    calls = (
        Call(
            Role.TIME,
            "GET",
            "spot",
            "/api/v1/timestamp",
            "publicGetTimestamp",
            N_("read the exchange's clock"),
            Market.SPOT,
            signed=False,
            pool="public",
            weight=3,
        ),
        Call(
            Role.TIME,
            "GET",
            "futures",
            "/api/v1/timestamp",
            "futuresPublicGetTimestamp",
            N_("read the exchange's clock"),
            Market.FUTURES,
            signed=False,
            pool="public",
            weight=2,
        ),
        Call(
            Role.SERVICE,
            "GET",
            "spot",
            "/api/v1/status",
            "publicGetStatus",
            N_("ask whether trading is open"),
            Market.SPOT,
            signed=False,
            pool="public",
            weight=3,
        ),
        Call(
            Role.SERVICE,
            "GET",
            "futures",
            "/api/v1/status",
            "futuresPublicGetStatus",
            N_("ask whether trading is open"),
            Market.FUTURES,
            signed=False,
            pool="public",
            weight=4,
        ),
        Call(
            Role.ADDRESS,
            "GET",
            "spot",
            "/api/v1/my-ip",
            "",
            N_("ask which address the exchange sees"),
            signed=False,
            pool="public",
            weight=20,
        ),
        Call(
            Role.KEY_INFO,
            "GET",
            "spot",
            "/api/v1/user/api-key",
            "privateGetUserApiKey",
            N_("read what the key may do"),
            right=Permission.READ,
            word="General",
            pool="management",
            weight=20,
        ),
        Call(
            Role.BALANCE,
            "GET",
            "spot",
            "/api/v1/accounts",
            "privateGetAccounts",
            N_("read the spot balance"),
            Market.SPOT,
            params={"type": "trade"},
            right=Permission.READ,
            word="General",
            pool="management",
            weight=5,
        ),
        Call(
            Role.ORDERS,
            "GET",
            "spot",
            "/api/v1/hf/orders/active",
            "privateGetHfOrdersActive",
            N_("read the open spot orders"),
            Market.SPOT,
            params={"symbol": "BTC-USDT"},
            right=Permission.READ,
            word="General",
            pool="spot",
            weight=2,
        ),
        Call(
            Role.DRY_RUN,
            "POST",
            "spot",
            "/api/v1/hf/orders/test",
            "privatePostHfOrdersTest",
            N_("ask whether an order would be allowed, without placing one"),
            Market.SPOT,
            params={
                "clientOid": "{nonce}",
                "symbol": "BTC-USDT",
                "side": "buy",
                "type": "limit",
                "price": "20000",
                "size": "0.001",
            },
            right=Permission.SPOT_TRADE,
            word="Spot",
            dry_run=True,
            pool="spot",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "futures",
            "/api/v1/account-overview",
            "futuresPrivateGetAccountOverview",
            N_("read the futures balance"),
            Market.FUTURES,
            params={"currency": "USDT"},
            right=Permission.FUTURES_TRADE,
            word="Futures",
            pool="futures",
            weight=5,
        ),
        Call(
            Role.ORDERS,
            "GET",
            "futures",
            "/api/v1/orders",
            "futuresPrivateGetOrders",
            N_("read the open futures orders"),
            Market.FUTURES,
            params={"status": "active"},
            right=Permission.READ,
            word="General",
            pool="futures",
            weight=2,
        ),
        Call(
            Role.DRY_RUN,
            "POST",
            "futures",
            "/api/v1/orders/test",
            "futuresPrivatePostOrdersTest",
            N_("ask whether an order would be allowed, without placing one"),
            Market.FUTURES,
            params={
                "clientOid": "{nonce}",
                "symbol": "XBTUSDTM",
                "side": "buy",
                "type": "limit",
                "leverage": 1,
                "price": "20000",
                "size": 1,
            },
            right=Permission.FUTURES_TRADE,
            word="Futures",
            dry_run=True,
            pool="futures",
            weight=2,
        ),
        Call(
            Role.FEES,
            "GET",
            "spot",
            "/api/v1/trade-fees",
            "privateGetTradeFees",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            params={"symbols": "{pair}"},
            right=Permission.READ,
            word="General",
            pool="spot",
            weight=3,
        ),
        Call(
            Role.FEES,
            "GET",
            "futures",
            "/api/v1/trade-fees",
            "futuresPrivateGetTradeFees",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            params={"symbol": "{pair}"},
            right=Permission.READ,
            word="General",
            pool="futures",
            weight=3,
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("data.*.makerFeeRate", "data.*.takerFeeRate"),
            Market.FUTURES: ("data.makerFeeRate", "data.takerFeeRate"),
        }
    )
    limits = MappingProxyType(
        {
            "public": Limit(2000, 30),
            "spot": Limit(4000, 30, by="account"),
            "futures": Limit(2000, 30, by="account"),
            "management": Limit(2000, 30, by="account"),
        }
    )
    rights = (
        Right("General", "General", (Permission.READ,), BOTH),
        Right(
            "Spot",
            "Spot Trading",
            (Permission.SPOT_TRADE,),
            SPOT,
            escalation=N_("Older transfer calls let a key with Spot move money between your own accounts."),
        ),
        Right("Margin", "Margin Trading", (Permission.MARGIN,)),
        Right("Futures", "Futures Trading", (Permission.FUTURES_TRADE,), FUTURES),
        Right("Earn", "Earn"),
        Right("InnerTransfer", "Flex Transfers", (Permission.TRANSFER,), aliases=("FlexTransfers",)),
        Right("Transfer", "Withdrawal", (Permission.WITHDRAW,), aliases=("Withdrawal",)),
        Right("LeadtradeFutures", "Lead trading", shown=False),
    )
    error_rules = (
        ErrorRule((Cause.INVALID_KEY,), pattern=r"KC-API-KEY-VERSION"),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT), ("400003",)),
        ErrorRule((Cause.INVALID_PASSPHRASE, Cause.INVALID_SECRET), ("400004",)),
        ErrorRule((Cause.INVALID_SECRET,), ("400005",)),
        ErrorRule((Cause.INVALID_KEY,), ("400001", "400401")),
        ErrorRule((Cause.CLOCK_SKEW,), ("400002",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("400006",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"not in the api whitelist|invalid request ip"),
        ErrorRule((Cause.PERMISSION_MISSING,), ("400007",)),
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"require more permission"),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED,),
            ("400302", "400500", "600004", "126046", "126045", "126021", "126037", "130315"),
        ),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED,), pattern=r"unavailable in your current area|country/region is currently not"
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("411100", "130201", "130302", "126002", "400303", "400700", "260210")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("112010", "126047", "126048", "126005", "101030", "400200", "130310")),
        ErrorRule((Cause.RATE_LIMITED,), ("429000", "429", "1015")),
        ErrorRule((Cause.RATE_LIMITED,), ("200002", "403"), r"too many|frequen|rate"),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,), ("500000", "500", "503", "503000", "408000", "230005", "520000", "504000")
        ),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"maintenance|system upgrade|service (is )?unavailable"),
    )
    guide = Guide(
        key_page="https://www.kucoin.com/account/api",
        steps=(
            N_("Log in at KuCoin, open API Management and choose Create API, type API Trading."),
            N_(
                "Give the key a name and choose a passphrase. You need it here again: KuCoin cannot show it to you "
                "later."
            ),
            N_("Tick the boxes shown here and no others."),
            N_("Choose “Yes” at IP restriction and enter your address, then confirm with your 2FA code."),
            N_("Copy the API Key and the API Secret."),
        ),
        ip_step=N_("Paste this address into the IP restriction. KuCoin takes up to 20."),
        shown_once=N_("KuCoin shows the API Secret once. Copy it before you close the window."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account cannot withdraw at all: a good choice for a bot."),
        refusals=(
            Refusal(403, '{"code":"400006","msg":"Invalid request ip, the current clientIp is:203.0.113.9"}'),
            Refusal(403, '{"code":"400007","msg":"Access denied, require more permission."}'),
            Refusal(401, '{"code":"400004","msg":"Invalid KC-API-PASSPHRASE"}'),
            Refusal(401, '{"code":"400003","msg":"The API key does not exist or site mismatch."}', OTHER_SITE),
            Refusal(400, '{"code":"400002","msg":"Invalid KC-API-TIMESTAMP."}'),
            Refusal(
                403,
                '{"code":"400302","msg":"Sorry, the service is unavailable in your current area. IP: 203.0.113.9"}',
            ),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            30,
            CountedFrom.LAST_USE,
            N_(
                "Without an IP restriction a KuCoin key that may trade is removed after 30 days without use. With one "
                "it stays."
            ),
            "KuCoin help centre, article 360015102174",
            rights=(Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN),
        ),
    )

    # A refusal for one of these judged the order itself (amount, price, balance, mode), so the key was let through.
    ORDER_JUDGED = frozenset(
        "200004 210021 230003 300000 300003 300009 300011 300012 330005 330008 330012 400100 400330 400350 400370 "
        "400600 "
        "400760 600100 600101 126003 126013 126022 126029 126030 126033 126044 130203".split()
    )

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        return (
            answer.status is not None and 200 <= answer.status < 300 and body.get("code") == SUCCESS and "data" in body
        )

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("data"))

    def seen_address(self, answer: Answer) -> str | None:
        body = answer.object
        told = body.get("data")
        if body.get("code") == NOT_SERVED:  # it names the address that it does not serve
            words = re.search(r"\bIP:\s*([0-9A-Fa-f.:]+)", self.error_words(body))
            told = words[1] if words else None
        elif body.get("code") != SUCCESS:
            return None
        seen = addresses(told).addresses
        return seen[0] if len(seen) == 1 and "/" not in seen[0] else None

    def service_open(self, answer: Answer) -> bool | None:
        data = answer.object.get("data")
        status = cast("dict[str, Any]", data).get("status") if isinstance(data, dict) else None
        return {"open": True, "close": False, "cancelonly": False}.get(status) if isinstance(status, str) else None

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        if not isinstance(body, dict):
            return None
        outer = cast("dict[str, Any]", body)
        data = outer.get("data")
        if outer.get("code") != SUCCESS or not isinstance(data, dict):
            return None
        fields = cast("dict[str, Any]", data)
        if "permission" not in fields:
            return None
        words = split_words(fields["permission"])
        report = grants_from_words(self, words or (), whole=words is not None)
        expires_at, evidence = _expiry(fields)
        uid, parent = fields.get("uid"), fields.get("parentUid")
        master = fields.get("isMaster")
        return report.model_copy(
            update={
                "ip_restriction": addresses(fields.get("ipWhitelist")),
                "expires_at": expires_at,
                "expiry_evidence": evidence,
                "account_id": str(uid) if isinstance(uid, (int, str)) and not isinstance(uid, bool) else None,
                "is_sub": not master if isinstance(master, bool) else (True if parent else None),
                "label": text_or_none(fields.get("remark")),
                "created_at": time_ms(fields.get("createdAt")),
            }
        )

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        report = self.read_report(body)
        now = at or datetime.now(UTC)
        expired = report is not None and report.expires_at is not None and report.expires_at <= now
        return Cause.EXPIRED_KEY if expired else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        body = answer.object
        if body.get("code") != SUCCESS:
            return None
        data = body.get("data")
        if market is Market.SPOT:
            return free_balances(data, "currency", "available")
        return free_balances([data], "currency", "availableBalance")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        body = answer.object
        rows: object = body.get("data") if body.get("code") == SUCCESS else None
        if market is Market.FUTURES:
            total = cast("dict[str, Any]", rows).get("totalNum") if isinstance(rows, dict) else None
            number = decimal(total)
            return int(number) if number is not None and number >= 0 else None
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_proves(self, answer: Answer) -> bool:
        return self.error_code(answer.object) in self.ORDER_JUDGED


def _expiry(fields: dict[str, Any]) -> tuple[datetime | None, ExpiryEvidence]:
    """A missing field is unknown; `null` says that the key does not end."""
    if "expiredAt" not in fields:
        return None, ExpiryEvidence.NONE
    if fields["expiredAt"] is None:
        return None, ExpiryEvidence.FIELD
    at = time_ms(fields["expiredAt"])
    return at, ExpiryEvidence.FIELD if at is not None else ExpiryEvidence.NONE


EXCHANGE = Kucoin()
