"""HTX (formerly Huobi). Sources: the official spot and contract documents, their table of signature codes, ccxt 4.5.90.

One code, `api-signature-not-valid`, stands for a wrong key, secret, address, clock, right and an expired key; only its
bilingual sentence tells which. Newer calls put the refusal as a number into an answer with status 200, which ccxt takes
for success. `trade` covers spot, futures and transfers and cannot be parted. The host is part of what is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
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
    decimal,
    grants_from_words,
    positive_int,
    split_words,
    text_or_none,
    time_ms,
)
from bfai.i18n import N_
from bfai.model import Cause, ExpiryEvidence, KeyReport, Market, Permission

NO_EXPIRY = -1
BOTH = (Market.SPOT, Market.FUTURES)
_KEY = r"[0-9a-z]{6,10}-[0-9a-z]{6,10}-[0-9a-z]{6,10}(-[0-9a-z]{4,12})?"
_ANY_CREDENTIAL = (
    Cause.INVALID_SECRET,
    Cause.INVALID_KEY,
    Cause.IP_NOT_ALLOWED,
    Cause.EXPIRED_KEY,
    Cause.CLOCK_SKEW,
    Cause.PERMISSION_MISSING,
)


def _read(
    role: Role, host: str, path: str, implicit: str, purpose: str, market: Market | None = None, **params: str
) -> Call:
    given = {name.replace("_id", "-id"): value for name, value in params.items()}
    return Call(
        role,
        "GET",
        host,
        path,
        implicit,
        purpose,
        market,
        params=given,
        right=Permission.READ,
        word="readOnly",
        pool=host,
    )


def _public(role: Role, host: str, path: str, implicit: str, purpose: str, market: Market) -> Call:
    return Call(role, "GET", host, path, implicit, purpose, market, signed=False, pool="public")


class Htx(Exchange):
    id = "htx"
    name = "HTX"
    ccxt_id = "htx"
    host_pattern = r"\bhtx\b|\bhuobi\b|\bhbdm\b|AccessKeyId="
    body_pattern = r'"err[-_]code"\s*:|\[Access key错误\]|\[校验失败\]|\[IP地址错误\]'
    fields = (
        Field("api_key", "Access Key", _KEY, N_("three or four groups with dashes between them")),
        Field("secret", "Secret Key", _KEY, N_("three or four groups with dashes between them")),
    )
    regions = (Region("global", "HTX", {"spot": "api.huobi.pro", "futures": "api.hbdm.vn"}),)
    calls = (
        _public(
            Role.TIME,
            "spot",
            "/v1/common/timestamp",
            "spotPublicGetV1CommonTimestamp",
            N_("read the exchange's clock"),
            Market.SPOT,
        ),
        _public(
            Role.TIME,
            "futures",
            "/api/v1/timestamp",
            "contractPublicGetApiV1Timestamp",
            N_("read the exchange's clock"),
            Market.FUTURES,
        ),
        _public(
            Role.SERVICE,
            "spot",
            "/v2/market-status",
            "spotPublicGetV2MarketStatus",
            N_("ask whether trading is open"),
            Market.SPOT,
        ),
        _public(
            Role.SERVICE,
            "futures",
            "/heartbeat/",
            "contractPublicGetHeartbeat",
            N_("ask whether trading is open"),
            Market.FUTURES,
        ),
        _read(
            Role.ACCOUNT,
            "spot",
            "/v2/user/uid",
            "spotPrivateGetV2UserUid",
            N_("read the account number, which the report on the key needs"),
        ),
        _read(
            Role.KEY_INFO,
            "spot",
            "/v2/user/api-key",
            "spotPrivateGetV2UserApiKey",
            N_("read what the key may do"),
            uid="{uid}",
            accessKey="{api_key}",
        ),
        _read(
            Role.ACCOUNT,
            "spot",
            "/v1/account/accounts",
            "spotPrivateGetV1AccountAccounts",
            N_("read which accounts there are"),
            Market.SPOT,
        ),
        _read(
            Role.BALANCE,
            "spot",
            "/v1/account/accounts/{account_id}/balance",
            "spotPrivateGetV1AccountAccountsAccountIdBalance",
            N_("read the spot balance"),
            Market.SPOT,
            account_id="{account_id}",
        ),
        _read(
            Role.ORDERS,
            "spot",
            "/v1/order/openOrders",
            "spotPrivateGetV1OrderOpenOrders",
            N_("read the open spot orders"),
            Market.SPOT,
        ),
        _read(
            Role.BALANCE,
            "futures",
            "/v5/account/balance",
            "contractPrivateGetV5AccountBalance",
            N_("read the futures balance"),
            Market.FUTURES,
        ),
        _read(
            Role.ORDERS,
            "futures",
            "/v5/trade/order/opens",
            "contractPrivateGetV5TradeOrderOpens",
            N_("read the open futures orders"),
            Market.FUTURES,
        ),
    )
    limits = MappingProxyType(
        {
            "public": Limit(10, 1, each=True),
            "spot": Limit(10, 1, by="account", each=True),
            "futures": Limit(10, 1, by="account", each=True),
        }
    )
    rights = (
        Right("readOnly", "Read", (Permission.READ,), BOTH),
        Right("trade", "Trade", (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER), BOTH),
        Right("withdraw", "Withdraw", (Permission.WITHDRAW,)),
    )
    error_rules = (
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("system-maintenance", "gateway-internal-error", "500", "1017")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"maintain|maintenance|系统维护"),
        ErrorRule((Cause.RATE_LIMITED,), ("rate-too-many-requests", "429", "1032", "2004")),
        ErrorRule(
            (Cause.RATE_LIMITED,), pattern=r"request limit|too many requests|exceeded rate limit|access frequency"
        ),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("12005",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"incorrect ip address|IP地址错误|ip (?:is )?not (?:allowed|in)"),
        ErrorRule((Cause.EXPIRED_KEY,), ("12004",)),
        ErrorRule((Cause.EXPIRED_KEY,), pattern=r"api ?key has expired|api key expired|已经?过期"),
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"api ?key has no permission|没有权限"),
        ErrorRule((Cause.CLOCK_SKEW,), ("12001", "12006")),
        ErrorRule(
            (Cause.CLOCK_SKEW,),
            pattern=r"invalid submission time|incorrect time format|无效的提交时间|时间格式错误|invalid timestamp",
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("12007",)),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), pattern=r"incorrect access key|access key错误"),
        ErrorRule((Cause.INVALID_SECRET,), ("12008", "12002", "12003")),
        ErrorRule((Cause.INVALID_SECRET,), pattern=r"verification failure|校验失败"),
        ErrorRule((Cause.INVALID_SECRET, Cause.INVALID_KEY), ("12010", "12011", "1003")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("12009", "account-api-trading-banned-error", "1084", "1220", "1010")),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,), ("account-frozen-balance-insufficient-error", "forbidden-trade-for-open")
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.LOCATION_RESTRICTED), ("1221", "1222", "1223", "1224", "1231")),
        ErrorRule((Cause.INVALID_KEY,), ("login-required",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("base-user-request-not-allowed", "1002", "4002")),
        ErrorRule(_ANY_CREDENTIAL, ("api-signature-not-valid", "401", "403"), clear=False),
    )
    guide = Guide(
        key_page="https://www.htx.com/en-us/apikey",
        steps=(
            N_("Log in at HTX and open API Management."),
            N_(
                "Give the key a note, and tick the boxes shown here and no others. Trade covers spot, futures and "
                "transfers."
            ),
            N_("Bind your IP address, and confirm with your 2FA code."),
            N_("Copy the Access Key and the Secret Key."),
        ),
        ip_step=N_(
            "Paste this address into the IP field. HTX takes up to 20 addresses or ranges, separated by commas."
        ),
        shown_once=N_("HTX shows the Secret Key once. Copy it before you close the window."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-user cannot withdraw at all: a good choice for a bot."),
    )
    expiry_rules = (
        ExpiryRule(
            90,
            CountedFrom.LAST_USE,
            N_(
                "Without an IP address an HTX key that may trade is switched off after 90 days without use. With one "
                "it stays."
            ),
            "HTX, key page",
            rights=(Permission.SPOT_TRADE, Permission.WITHDRAW),
        ),
    )

    def prepare_signer(self, signer: Any, site: Region) -> None:
        """The host that is asked is part of the signed text."""
        signer.hostname = site.hosts["spot"]
        names = {"spot": site.hosts["spot"], "contract": site.hosts["futures"]}
        signer.urls = {**signer.urls, "hostnames": {**signer.urls["hostnames"], **names}}

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        for name in ("err-code", "err_code", "code"):
            value = body.get(name)
            if isinstance(value, (int, str)) and not isinstance(value, bool):
                return str(value)
        return None

    def error_words(self, body: Mapping[str, Any]) -> str:
        for name in ("err-msg", "err_msg", "message", "msg"):
            value = body.get(name)
            if isinstance(value, str) and value:
                return value
        return ""

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or not body:
            return False
        if "err-code" in body or "err_code" in body:
            return False
        fine = body.get("status") == "ok" if "status" in body else body.get("code") == 200
        if answer.role == Role.TIME:
            return fine and ("data" in body or "ts" in body)
        return fine and "data" in body

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("data")) or positive_int(answer.object.get("ts"))

    def service_open(self, answer: Answer) -> bool | None:
        fields = _fields(answer.object.get("data"))
        if "marketStatus" in fields:
            return {1: True, 2: False, 3: False}.get(fields["marketStatus"])
        return {1: True, 0: False}.get(fields.get("linear_swap_heartbeat", -1))

    def values(self, answer: Answer) -> Mapping[str, str]:
        """The account number, and the number of the spot account."""
        data = answer.object.get("data")
        uid = positive_int(data)
        if uid is not None and answer.call is not None and answer.call.path.endswith("/uid"):
            return {"uid": str(uid)}
        rows = cast("list[object]", data) if isinstance(data, list) else []
        spot = [item for row in rows if (item := _fields(row)).get("type") == "spot"]
        number = positive_int(spot[0].get("id")) if spot else None
        return {"account_id": str(number)} if number is not None else {}

    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        fields = _row(body, api_key)
        if "permission" not in fields:
            return None
        words = split_words(fields["permission"])
        report = grants_from_words(self, words or (), whole=words is not None)
        expires_at, evidence = _expiry(fields.get("validDays"), received_at)
        return report.model_copy(
            update={
                "ip_restriction": addresses(fields.get("ipAddresses")),
                "expires_at": expires_at,
                "expiry_evidence": evidence,
                "label": text_or_none(fields.get("note")),
                "created_at": time_ms(fields.get("createTime")),
            }
        )

    def state_cause(self, body: object, market: Market = Market.SPOT) -> Cause | None:
        row = _row(body, None)
        if row.get("status") == "expired" or ("permission" in row and decimal(row.get("validDays")) == 0):
            return Cause.EXPIRED_KEY
        rows = _fields(body).get("data")
        states = [_fields(item) for item in cast("list[object]", rows)] if isinstance(rows, list) else []
        locked = any(item.get("type") == "spot" and item.get("state") == "lock" for item in states)
        return Cause.ACCOUNT_RESTRICTED if locked and market is Market.SPOT else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        fields = _fields(answer.object.get("data"))
        rows = fields.get("list") if market is Market.SPOT else fields.get("details")
        if not isinstance(rows, list):
            return None
        free: dict[str, Decimal] = {}
        for row in cast("list[object]", rows):
            item = _fields(row)
            asset = item.get("currency")
            amount = decimal(item.get("balance") if market is Market.SPOT else item.get("available"))
            if not isinstance(asset, str) or not asset or amount is None:
                return None
            if amount > 0 and (market is Market.FUTURES or item.get("type") == "trade"):
                free[asset.upper()] = free.get(asset.upper(), Decimal(0)) + amount
        return free

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        data = answer.object.get("data")
        if isinstance(data, list):
            return len(cast("list[object]", data))
        lists = [cast("list[object]", value) for value in _fields(data).values() if isinstance(value, list)]
        return len(lists[0]) if lists else None


def _fields(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _row(body: object, api_key: str | None) -> dict[str, Any]:
    """The one row of the key report that is about this key; empty where there is none or it is not clear which."""
    outer = _fields(body)
    rows = outer.get("data")
    if outer.get("code") != 200 or not isinstance(rows, list):
        return {}
    known = [item for row in cast("list[object]", rows) if "permission" in (item := _fields(row))]
    own = [item for item in known if api_key is None or item.get("accessKey") == api_key]
    return own[0] if len(own) == 1 and len(known) == len(cast("list[object]", rows)) else {}


def _expiry(days_left: object, received_at: datetime | None) -> tuple[datetime | None, ExpiryEvidence]:
    """Whole days left, as a date that stays the same for a day."""
    days = decimal(days_left)
    if days == NO_EXPIRY:
        return None, ExpiryEvidence.FIELD
    if days is None or days < 0 or days > 100_000 or received_at is None:
        return None, ExpiryEvidence.NONE
    end = received_at + timedelta(days=int(days))
    return end.replace(hour=0, minute=0, second=0, microsecond=0), ExpiryEvidence.FIELD


EXCHANGE = Htx()
