"""MEXC. Sources: the official spot v3 and contract v1 documents, ccxt 4.5.90, and live captures by third parties.

MEXC reports on a key at `GET /api/v3/apiKeyInfo` (since 2026). `canWithdraw` of `/api/v3/account` describes the
account,
is true for read-only keys as well, and is never looked at here. The key and a valid signature travel in the query.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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

NO_EXPIRY = -999

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)


def _right(
    area: str,
    verb: str,
    box: str,
    grants: Permission | None = None,
    needed_for: tuple[Market, ...] = (),
    *,
    escalation: str | None = None,
    shown: bool = True,
) -> Right:
    """The documents shorten `_READ` and `_WRITE` to `_R` and `_W` in places: both spellings are one word."""
    return Right(
        word=f"{area}_{verb}",
        box=box,
        grants=(grants,) if grants is not None else (),
        needed_for=needed_for,
        aliases=(f"{area}_{verb[0]}",),
        escalation=escalation,
        exposes=escalation is not None,
        shown=shown,
    )


class Mexc(Exchange):
    id = "mexc"
    name = "MEXC"
    ccxt_id = "mexc"
    rights_fields = frozenset({"permissions"})
    host_pattern = r"\bmexc\b|contract\.mexc\.com|X-MEXC-APIKEY"
    body_pattern = (
        r'"code"\s*:\s*(?:7000\d\d|70011|10072|7307\d\d|60\d|406)\b'
        r'|"mx0[A-Za-z0-9]{10}|_(?:DEAL|ACCOUNT)_(?:READ|WRITE)'
    )
    fields = (
        Field("api_key", "Access Key", r"mx0[A-Za-z0-9]{10,40}", N_("a text that starts with mx0")),
        Field("secret", "Secret Key", r"[0-9a-f]{32}", N_("32 characters, 0-9 and a-f")),
    )
    regions = (
        Region(
            "global",
            "MEXC",
            {"spot": "api.mexc.com", "futures": "api.mexc.com"},
        ),
    )
    calls = (
        Call(
            Role.TIME,
            "GET",
            "spot",
            "/api/v3/time",
            "spotPublicGetTime",
            N_("read the exchange's clock"),
            Market.SPOT,
            signed=False,
            pool="spot",
        ),
        Call(
            Role.TIME,
            "GET",
            "futures",
            "/api/v1/contract/ping",
            "contractPublicGetPing",
            N_("read the exchange's clock"),
            Market.FUTURES,
            signed=False,
            pool="futures",
        ),
        Call(
            Role.KEY_INFO,
            "GET",
            "spot",
            "/api/v3/apiKeyInfo",
            "spotPrivateGetApiKeyInfo",
            N_("read what the key may do"),
            params={"accessKey": "{api_key}"},
            right=Permission.READ,
            word="SPOT_ACCOUNT_READ",
            pool="spot",
        ),
        Call(
            Role.ACCOUNT,
            "GET",
            "spot",
            "/api/v3/uid",
            "spotPrivateGetUid",
            N_("read the account number"),
            right=Permission.READ,
            word="SPOT_ACCOUNT_READ",
            pool="spot",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "spot",
            "/api/v3/account",
            "spotPrivateGetAccount",
            N_("read the spot balance"),
            Market.SPOT,
            right=Permission.READ,
            word="SPOT_ACCOUNT_READ",
            pool="spot",
            weight=10,
        ),
        Call(
            Role.ORDERS,
            "GET",
            "spot",
            "/api/v3/openOrders",
            "spotPrivateGetOpenOrders",
            N_("read the open spot orders"),
            Market.SPOT,
            params={"symbol": "BTCUSDT"},
            right=Permission.READ,
            word="SPOT_DEAL_READ",
            pool="spot",
            weight=3,
        ),
        Call(
            Role.DRY_RUN,
            "POST",
            "spot",
            "/api/v3/order/test",
            "spotPrivatePostOrderTest",
            N_("ask whether an order would be allowed, without placing one"),
            Market.SPOT,
            params={"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "20000"},
            right=Permission.SPOT_TRADE,
            word="SPOT_DEAL_WRITE",
            dry_run=True,
            pool="spot",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "futures",
            "/api/v1/private/account/assets",
            "contractPrivateGetAccountAssets",
            N_("read the futures balance"),
            Market.FUTURES,
            right=Permission.READ,
            word="CONTRACT_ACCOUNT_READ",
            pool="futures",
        ),
        Call(
            Role.ORDERS,
            "GET",
            "futures",
            "/api/v1/private/order/list/open_orders",
            "contractPrivateGetOrderListOpenOrders",
            N_("read the open futures orders"),
            Market.FUTURES,
            params={"page_num": 1, "page_size": 20},
            right=Permission.READ,
            word="CONTRACT_DEAL_READ",
            pool="futures",
        ),
        Call(
            Role.FEES,
            "GET",
            "spot",
            "/api/v3/tradeFee",
            "spotPrivateGetTradeFee",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            params={"symbol": "{pair}"},
            right=Permission.READ,
            word="SPOT_ACCOUNT_READ",
            pool="spot",
            weight=20,
        ),
        Call(
            Role.FEES,
            "GET",
            "futures",
            "/api/v1/private/account/tiered_fee_rate/v2",
            "contractPrivateGetAccountTieredFeeRateV2",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            params={"symbol": "{pair}"},
            right=Permission.READ,
            word="CONTRACT_ACCOUNT_READ",
            pool="futures",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("data.makerCommission", "data.takerCommission"),
            Market.FUTURES: ("data.realMakerFee", "data.realTakerFee"),
        }
    )
    limits = MappingProxyType({"spot": Limit(500, 10, each=True), "futures": Limit(20, 2, each=True)})
    rights = (
        _right("SPOT_ACCOUNT", "READ", "Spot: View Account Details", Permission.READ, BOTH),
        _right("SPOT_DEAL", "READ", "Spot: View Order Details", Permission.READ, SPOT),
        _right("SPOT_DEAL", "WRITE", "Spot: Trade", Permission.SPOT_TRADE, SPOT),
        _right("CONTRACT_ACCOUNT", "READ", "Futures: View Account Details", Permission.READ, FUTURES),
        _right("CONTRACT_DEAL", "READ", "Futures: View Order Details", Permission.READ, FUTURES),
        _right("CONTRACT_DEAL", "WRITE", "Futures: Trade", Permission.FUTURES_TRADE, FUTURES),
        _right("CONTRACT_ACCOUNT", "WRITE", "Futures: Account settings", None),
        _right(
            "SPOT_ACCOUNT",
            "WRITE",
            "Spot: Account settings",
            None,
            escalation=N_("The key may change its own list of allowed addresses (SPOT_ACCOUNT_WRITE)."),
        ),
        _right("SPOT_TRANSFER", "READ", "Read transfer information", None),
        _right("SPOT_TRANSFER", "WRITE", "Transfer", Permission.TRANSFER),
        _right("SPOT_WITHDRAW", "READ", "View Deposit/Withdrawal Details", None),
        _right("SPOT_WITHDRAW", "WRITE", "Withdraw", Permission.WITHDRAW),
        _right("SPOT_DEPOSIT", "READ", "Deposit details", None, shown=False),
        _right("SPOT_DEPOSIT", "WRITE", "Deposit addresses", None, shown=False),
    )
    error_rules = (
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"under maintenance|system is in maintenance"),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("10072", "730706")),
        ErrorRule((Cause.INVALID_KEY,), ("700001", "730707", "10001", "10015")),
        ErrorRule((Cause.INVALID_KEY,), ("400",), r"api key required"),
        ErrorRule((Cause.INVALID_SECRET, Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("700002",)),
        ErrorRule((Cause.INVALID_SECRET,), ("700004",), r"signature"),
        ErrorRule((Cause.CLOCK_SKEW,), ("700004",), r"timestamp"),
        ErrorRule((Cause.INVALID_SECRET, Cause.INVALID_KEY), ("602",)),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("401",)),
        ErrorRule((Cause.INVALID_KEY,), ("1000",)),
        ErrorRule((Cause.EXPIRED_KEY,), ("402",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("700006", "406")),
        ErrorRule((Cause.PERMISSION_MISSING,), ("700007", "511")),
        ErrorRule((Cause.PERMISSION_MISSING,), ("701", "702", "703"), permission=Permission.READ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("704",), permission=Permission.FUTURES_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED), ("30020",), permission=Permission.SPOT_TRADE),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.PERMISSION_MISSING), ("70011",)),
        ErrorRule((Cause.CLOCK_SKEW,), ("700003", "700005", "10073")),
        ErrorRule((Cause.CLOCK_SKEW, Cause.EXCHANGE_UNAVAILABLE), ("513",)),
        ErrorRule((Cause.RATE_LIMITED,), ("429", "510")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("500", "501", "503", "504", "604", "801", "11444", "20002")),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.EXCHANGE_UNAVAILABLE), ("403",), r"region|country|restricted area"),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.PERMISSION_MISSING, Cause.RATE_LIMITED), ("403",), clear=False),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            ("730100", "60005", "6001", "10265", "10098", "10099", "140002"),
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("30018", "30001", "1002", "26")),
    )
    guide = Guide(
        key_page="https://www.mexc.com/user/openapi",
        steps=(
            N_("Log in at MEXC and open API Management."),
            N_("Tick the boxes shown here and no others."),
            N_("Link your IP address, so that nobody else can use the key."),
            N_("Give the key a note, confirm with your 2FA code, and copy the Access Key and the Secret Key."),
        ),
        ip_step=N_("Paste this address into “Link IP Address”. MEXC takes up to 20, separated by commas."),
        shown_once=N_("MEXC shows the Secret Key once. Copy it before you close the window."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account made by API cannot withdraw at all: a good choice for a bot."),
        max_keys=30,
        asked=(N_("One code by mail or SMS, and one from your authenticator app."),),
        refusals=(
            Refusal(400, '{"code":700006,"msg":"IP [203.0.113.9] not in the ip white list"}'),
            Refusal(400, '{"code":700007,"msg":"No permission to access the endpoint."}'),
            Refusal(400, '{"code":700002,"msg":"Signature for this request is not valid."}'),
            Refusal(400, '{"code":10072,"msg":"Api key info invalid"}'),
            Refusal(
                400,
                '{"code":30020,"msg":"no permission for the symbol"}',
                N_("A MEXC key may have a list of pairs. Add the pair to it, or leave the list empty."),
            ),
            Refusal(400, '{"code":700003,"msg":"Timestamp for this request is outside of the recvWindow."}'),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            90,
            CountedFrom.CREATION,
            N_(
                "Without a linked IP address a MEXC key expires 90 days after it was made. With one it does not expire."
            ),
            "MEXC documents, API key creation",
        ),
    )

    # A refusal for one of these judged the order itself (amount, price, balance, pair), so the key was let through.
    ORDER_JUDGED = frozenset(
        "10095 10096 10097 10101 10102 2003 2005 2011 30000 30002 30003 30004 30005 30010 30014 30016 30019 30021 "
        "30025 "
        "30027 30029 30032 30041 30087 88013".split()
    )

    def succeeded(self, answer: Answer) -> bool:
        body = answer.json
        if answer.status is None or not 200 <= answer.status < 300:
            return False
        if isinstance(body, list):
            return True
        if not isinstance(body, dict):
            return False
        fields = cast("dict[str, Any]", body)
        code = self.error_code(fields)
        return fields.get("success") is not False and code in (None, "0", "200")

    def server_time_ms(self, answer: Answer) -> int | None:
        body = answer.object
        return positive_int(body.get("serverTime")) or positive_int(body.get("data"))

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        fields = _unwrap(body)
        if "permissions" not in fields or "canWithdraw" in fields or fields.get("code") not in _NO_ERROR:
            return None
        words = split_words(fields["permissions"])
        report = grants_from_words(self, words or (), whole=words is not None)
        created = _created(fields.get("createTime"))
        restriction = addresses(fields.get("ipWhiteList"))
        expires_at, evidence = _expiry(fields.get("remainingValidity"), created, received_at)
        return report.model_copy(
            update={
                "ip_restriction": restriction,
                "expires_at": expires_at,
                "expiry_evidence": evidence,
                "label": text_or_none(fields.get("note")),
                "created_at": created,
            }
        )

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        fields = _unwrap(body)
        match str(fields.get("status", "")).upper():
            case "FROZEN":
                return Cause.ACCOUNT_RESTRICTED
            case "DELETE" | "DELETED":
                return Cause.INVALID_KEY
            case _:
                left = decimal(fields.get("remainingValidity"))
                return Cause.EXPIRED_KEY if left is not None and left <= 0 and left != NO_EXPIRY else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        body = answer.object
        if market is Market.SPOT:
            return free_balances(body.get("balances"), "asset", "free")
        if body.get("success") is not True:
            return None
        return free_balances(body.get("data"), "currency", "availableBalance")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        rows: object = answer.json
        if market is Market.FUTURES:
            body = answer.object
            rows = body.get("data") if body.get("success") is True else None
            if isinstance(rows, dict):
                rows = cast("dict[str, Any]", rows).get("resultList")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_proves(self, answer: Answer) -> bool:
        return self.error_code(answer.object) in self.ORDER_JUDGED


_NO_ERROR = (None, 0, 200, "0", "200")


def _unwrap(body: object) -> dict[str, Any]:
    """The live answer has no wrapper; futures-style `data` around it is accepted as well."""
    if not isinstance(body, dict):
        return {}
    fields = cast("dict[str, Any]", body)
    inner = fields.get("data")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) and "permissions" not in fields else fields


def _created(value: object) -> datetime | None:
    """ISO 8601 text as MEXC sends it, or milliseconds as its document shows."""
    if isinstance(value, str) and positive_int(value) is None:
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return None
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return time_ms(value)


def _expiry(
    days_left: object, created: datetime | None, received_at: datetime | None
) -> tuple[datetime | None, ExpiryEvidence]:
    """Whole days left, turned into a date that stays the same from one day's report to the next."""
    days = decimal(days_left)
    if days is None or days == NO_EXPIRY or days < 0 or days > 100_000 or received_at is None:
        return None, ExpiryEvidence.FIELD if days == NO_EXPIRY else ExpiryEvidence.NONE
    earliest = received_at + timedelta(days=int(days))
    if created is None or created > received_at:
        return earliest.replace(hour=0, minute=0, second=0, microsecond=0), ExpiryEvidence.FIELD
    whole_days = -((created - earliest) // timedelta(days=1))
    return created + timedelta(days=whole_days), ExpiryEvidence.FIELD


EXCHANGE = Mexc()
