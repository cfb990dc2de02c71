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
    Refusal,
    Region,
    Right,
    Role,
    addresses,
    as_object,
    decimal,
    grants_from_words,
    may_be,
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

_UNTOLD = ("api-signature-not-valid", "api-signature-check-failed", "401", "403")
_CONTRACT = r'"err_code"\s*:'  # the numbers of the contract documents, some of which mean something else in v2
_SETTLING = tuple("1056 1057 1058 1059 1060 1077 1078 1079 1080 1106 1411".split())
_NO_CONTRACTS = tuple(
    "1010 1011 1012 1021 1089 1097 1100 1101 1104 1105 1220 1221 1222 1223 1225 1227 1228 1230 1231".split()
)
_SUB_USER = tuple("1018 1019 1109 1110 1113 1115 1254".split())


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


def _signature_not_valid(why: str) -> str:
    """HTX says almost everything in one code."""
    return f'{{"status":"error","err-code":"api-signature-not-valid","err-msg":"Signature not valid: {why}"}}'


class Htx(Exchange):
    id = "htx"
    name = "HTX"
    ccxt_id = "htx"
    rights_fields = frozenset({"permission"})
    host_pattern = r"\bhtx\b|\bhuobi(?:pro)?\b|\bhbdm\b|AccessKeyId=|api-signature-not-valid"
    body_pattern = (
        r'"err-code"\s*:|"err_code"\s*:\s*\d|"validDays"\s*:|"linear_swap_heartbeat"\s*:'
        r"|\[(?:Access key错误|校验失败|IP地址错误|API Key已经过期|API Key没有权限|无效的提交时间)"
    )
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
        # For futures HTX tells fees to a POST request only, and nothing but dry-run orders is sent by POST.
        _read(
            Role.FEES,
            "spot",
            "/v2/reference/transact-fee-rate",
            "spotPrivateGetV2ReferenceTransactFeeRate",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            symbols="{pair}",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("data.*.actualMakerRate", "data.*.actualTakerRate"),
        }
    )
    order_pair_fields = MappingProxyType({Market.FUTURES: "contract_code"})
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
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            ("system-maintenance", "gateway-internal-error", "base-system-error", "timeout", "500", "1431"),
        ),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("1000", "1001", "1002", "1003", "1004", "1046", "1108"), _CONTRACT),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), _SETTLING, _CONTRACT),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"\bmaintain(?:ed|ing)?\b|\bmaintenance\b|系统维护|系统升级"),
        ErrorRule(
            (Cause.RATE_LIMITED,),
            ("rate-too-many-requests", "too-many-requests", "base-request-exceed-frequency-limit", "429", "1032"),
        ),
        ErrorRule((Cause.RATE_LIMITED,), ("510", "1006", "40403")),
        ErrorRule(
            (Cause.RATE_LIMITED,),
            pattern=r"request limit|too[ .]many[ .](?:request|connection)|exceeded rate limit|access frequency"
            r"|frequency of requests|number of access exceeded|请求(?:过于)?频繁|超出.{0,6}限频",
        ),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("12005",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("2000",), r'"code"\s*:'),
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"incorrect ip|ip地址错误|\bip\b (?:is )?not (?:allowed|in)"),
        ErrorRule((Cause.EXPIRED_KEY,), ("12004",)),
        ErrorRule((Cause.EXPIRED_KEY,), pattern=r"api ?key (?:has |is )?expired|api ?key已?经?过期|已经?过期"),
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"api ?key has no permission|api ?key没有权限"),
        ErrorRule((Cause.CLOCK_SKEW,), ("12001", "12006")),
        ErrorRule(
            (Cause.CLOCK_SKEW,),
            pattern=r"invalid submission time|incorrect time format|submission time is required|invalid timestamp"
            r"|无效的提交时间|时间格式错误|提交时间不能为空",
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("12007",)),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), pattern=r"incorrect access ?key|access ?key错误"),
        ErrorRule((Cause.INVALID_SECRET,), ("12008", "12002", "12003")),
        ErrorRule(
            (Cause.INVALID_SECRET,),
            pattern=r"verification failure|校验失败|incorrect signature (?:version|method)|签名(?:版本|方法)",
        ),
        ErrorRule((Cause.INVALID_SECRET, Cause.INVALID_KEY), ("12010", "1003", "1253")),
        ErrorRule((Cause.INVALID_SECRET, Cause.INVALID_KEY), pattern=r"incorrect private key|private key签名错误"),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET), ("12011",)),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET), pattern=r"incorrect public key|public key错误"),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), ("1224",)),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), pattern=r"your country/region can.?t meet"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("12009", "account-api-trading-banned-error")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.RATE_LIMITED), ("1084",)),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), _NO_CONTRACTS),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.PERMISSION_MISSING), _SUB_USER),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            pattern=r"abnormal user status|用户状态(?:不正常|异常)|api trading (?:is )?banned|尚未开通合约"
            r"|have not (?:opened|activated) contracts? trading",
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET), ("login-required", "1200")),
        ErrorRule((Cause.PERMISSION_MISSING,), ("base-user-request-not-allowed", "base-operation-forbidden", "1002")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"service error|(?:request|service) timeout|abnormal service"),
        # Money that is bound in orders, and no frozen account.
        ErrorRule((Cause.UNEXPECTED_RESPONSE,), ("account-frozen-balance-insufficient-error",)),
        ErrorRule(_ANY_CREDENTIAL, _UNTOLD, clear=False),
        ErrorRule(_ANY_CREDENTIAL, pattern=r"signature not valid|签名无效|auth\.fail", clear=False),
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
        max_keys=20,
        takes_ipv6=True,
        refusals=(
            Refusal(
                200,
                _signature_not_valid("Incorrect IP address [IP地址错误]:203.0.113.7"),
            ),
            Refusal(
                200,
                _signature_not_valid("API key has no permission [API Key没有权限]"),
            ),
            Refusal(
                200,
                _signature_not_valid("Incorrect Access key [Access key错误]"),
            ),
            Refusal(
                200,
                _signature_not_valid("Verification failure [校验失败]"),
            ),
            Refusal(
                200,
                _signature_not_valid("API key has expired [API Key已经过期]"),
            ),
            Refusal(
                200,
                '{"status":"error","err_code":1220,"err_msg":"You have not opened contract trading."}',
            ),
        ),
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
        if "err-code" in body or "err_code" in body or not _is_fine(body):
            return False
        data: object = body.get("data")
        match answer.role:
            case Role.TIME:
                return self.server_time_ms(answer) is not None
            case Role.SERVICE:
                return isinstance(data, dict)
            case Role.KEY_INFO:
                return any("permission" in row for row in _rows(data))
            case Role.ACCOUNT if answer.call is not None and answer.call.path.endswith("/uid"):
                return positive_int(data) is not None
            case Role.ACCOUNT:
                return positive_int(data) is not None or isinstance(data, list)
            case Role.BALANCE:
                return any(isinstance(as_object(data).get(name), list) for name in ("list", "details"))
            case Role.ORDERS:
                return self.read_orders(Market.SPOT, answer) is not None
            case _:
                return "data" in body or "ts" in body

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("data")) or positive_int(answer.object.get("ts"))

    def service_open(self, answer: Answer) -> bool | None:
        """A halt of some pairs is none of the exchange."""
        fields = as_object(answer.object.get("data"))
        status, beat = fields.get("marketStatus"), fields.get("linear_swap_heartbeat")
        if isinstance(status, int):
            some = fields.get("affectedSymbols")
            partly = isinstance(some, str) and some not in ("", "all")
            return {1: True, 2: partly, 3: partly}.get(status)
        return {1: True, 0: False}.get(beat) if isinstance(beat, int) else None

    def values(self, answer: Answer) -> Mapping[str, str]:
        """The account number, and the number of the spot account."""
        data = answer.object.get("data")
        uid = positive_int(data)
        if uid is not None and answer.call is not None and answer.call.path.endswith("/uid"):
            return {"uid": str(uid)}
        spot = [row for row in _rows(data) if row.get("type") == "spot"]
        number = positive_int(spot[0].get("id")) if spot else None
        return {"account_id": str(number)} if number is not None else {}

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
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

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        row = _row(body, None)
        status = row.get("status")
        if status == "expired" or (row and status != "normal" and decimal(row.get("validDays")) == 0):
            return Cause.EXPIRED_KEY
        rows = _rows(as_object(body).get("data"))
        locked = any(item.get("type") == "spot" and item.get("state") == "lock" for item in rows)
        return Cause.ACCOUNT_RESTRICTED if locked and market is Market.SPOT else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        fields = as_object(answer.object.get("data"))
        rows = fields.get("list") if market is Market.SPOT else fields.get("details")
        if not isinstance(rows, list):
            return None
        free: dict[str, Decimal] = {}
        for row in cast("list[object]", rows):
            item = as_object(row)
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
        lists = [cast("list[object]", value) for value in as_object(data).values() if isinstance(value, list)]
        return len(lists[0]) if lists else None


def _rows(value: object) -> list[dict[str, Any]]:
    return [as_object(row) for row in cast("list[object]", value)] if isinstance(value, list) else []


def _is_fine(body: Mapping[str, Any]) -> bool:
    """v1 and contracts say `status`, v2 and v5 `code`. An answer that says both must mean success with both."""
    code = body.get("code", 200 if "status" in body else None)
    return body.get("status", "ok") == "ok" and str(code) == "200"


def _row(body: object, api_key: str | None) -> dict[str, Any]:
    """The one row of the key report that is about this key; empty where there is none or it is not clear which."""
    outer = as_object(body)
    rows = _rows(outer.get("data"))
    if outer.get("code") != 200 or not all("permission" in row for row in rows):
        return {}
    if len(rows) > 1 and not all(text_or_none(row.get("accessKey")) for row in rows):
        return {}
    own = [row for row in rows if may_be(row.get("accessKey"), api_key)]
    return own[0] if len(own) == 1 else {}


def _expiry(days_left: object, received_at: datetime | None) -> tuple[datetime | None, ExpiryEvidence]:
    """Whole days left, as a date that stays the same for a day. A key that answers has not ended yet."""
    days = decimal(days_left)
    if days == NO_EXPIRY:
        return None, ExpiryEvidence.FIELD
    if days is None or days < 0 or days > 100_000 or received_at is None:
        return None, ExpiryEvidence.NONE
    end = received_at + timedelta(days=max(1, int(days)))
    return end.replace(hour=0, minute=0, second=0, microsecond=0), ExpiryEvidence.FIELD


EXCHANGE = Htx()
