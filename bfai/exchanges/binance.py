"""Binance. Sources: the official spot, wallet and futures documents with their tables of error codes, ccxt 4.5.90.

-2015 means one of three: key, address or right. Only calls that got through part them, and only the futures host names
the address that it saw. `canTrade` and `canWithdraw` of `/api/v3/account` describe the account, are true for read-only
keys as well, and are never looked at here. A right that the report leaves out is unknown, not off. Testnet and demo
have no `sapi`, so they tell nothing about a key. Binance.US is another company with keys of its own.
"""

from __future__ import annotations

import json
import re
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
    Fees,
    Field,
    Guide,
    Limit,
    Refusal,
    Region,
    Right,
    Role,
    Tier,
    as_object,
    decimal,
    fees,
    free_balances,
    grants_from_fields,
    objects,
    only,
    positive_int,
    tiers,
    time_ms,
)
from bfai.i18n import N_
from bfai.model import (
    Cause,
    Environment,
    ExpiryEvidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Permission,
)

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)

LIVE_API, US_API = "api.binance.com", "api.binance.us"

RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
TRADING_STATUS = "/sapi/v1/account/apiTradingStatus"
ACCOUNT_STATUS = "/sapi/v1/account/status"
SYSTEM_STATUS = "/sapi/v1/system/status"
SPOT_ACCOUNT = "/api/v3/account"
FUTURES_BALANCE = "/fapi/v3/balance"
FUTURES_CONFIG = "/fapi/v1/accountConfig"
SPOT_FEES = "/api/v3/account/commission"
FUTURES_FEES = "/fapi/v1/commissionRate"

# Fields of the key report that are no rights.
NO_RIGHTS = frozenset({"ipRestrict", "createTime", "tradingAuthorityExpirationTime", "apiKey", "apiName"})
DEAD_ACCOUNT = re.compile(
    r"\b(?:lock|froz|freez|suspend|disabl|bann|restrict|abnormal|forbid|clos|inactive|terminat)", re.IGNORECASE
)
# A far price: were such an order ever placed, it would lie deep below the market.
TRIAL_ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}


def _read(
    role: Role,
    host: str,
    path: str,
    implicit: str,
    purpose: str,
    weight: int,
    market: Market | None = None,
    **params: str,
) -> Call:
    return Call(
        role,
        "GET",
        host,
        path,
        implicit,
        purpose,
        market,
        params=params,
        right=Permission.READ,
        word="enableReading",
        pool={"spot": "spot", "futures": "futures"}.get(host, "wallet"),
        weight=weight,
    )


def _time(market: Market, path: str, implicit: str) -> Call:
    purpose = N_("read the exchange's clock")
    return Call(Role.TIME, "GET", market.value, path, implicit, purpose, market, signed=False, pool=market.value)


def _trial(market: Market, path: str, implicit: str, right: Permission, word: str, **params: str) -> Call:
    return Call(
        Role.DRY_RUN,
        "POST",
        market.value,
        path,
        implicit,
        N_("ask whether an order would be allowed, without placing one"),
        market,
        params={**TRIAL_ORDER, **params},
        right=right,
        word=word,
        dry_run=True,
        pool=market.value,
    )


class Binance(Exchange):
    id = "binance"
    name = "Binance"
    ccxt_id = "binance"
    host_pattern = r"binance|\bX-MBX-|/sapi/v\d|/[fd]api/v\d|\bAPIError\(code=-\d{4,5}\)"
    body_pattern = (
        r'"code"\s*:\s*-(?:10(?:0[0-9]|1[0-9]|2[0-2]|99)|20(?:08|1[0-57])|3022|4109|440[0-3])\s*,\s*"msg"'
        r'|"(?:enableMargin|enablePortfolioMarginTrading|enableFixApiTrade|tradingAuthorityExpirationTime)"\s*:'
    )
    fields = (
        Field("api_key", "API Key", r"[A-Za-z0-9]{64}", N_("64 letters and digits")),
        Field(
            "secret",
            "Secret Key",
            r"[A-Za-z0-9]{64}",
            N_("64 letters and digits, or a private key that starts with -----BEGIN"),
            pem=True,
        ),
    )
    regions = (
        Region(
            "global",
            "Binance",
            {"spot": LIVE_API, "wallet": LIVE_API, "account": LIVE_API, "futures": "fapi.binance.com"},
        ),
        Region("us", "Binance.US", {"spot": US_API, "wallet": US_API}, markets=SPOT),
    )
    tests = MappingProxyType(
        {
            Environment.TESTNET: Region("testnet", "Binance Testnet", {"spot": "testnet.binance.vision"}, markets=SPOT),
            Environment.DEMO: Region(
                "demo", "Binance Demo", {"spot": "demo-api.binance.com", "futures": "demo-fapi.binance.com"}
            ),
        }
    )
    calls = (
        _time(Market.SPOT, "/api/v3/time", "publicGetTime"),
        _time(Market.FUTURES, "/fapi/v1/time", "fapiPublicGetTime"),
        Call(
            Role.SERVICE,
            "GET",
            "wallet",
            SYSTEM_STATUS,
            "sapiGetSystemStatus",
            N_("ask whether trading is open"),
            signed=False,
            pool="wallet",
        ),
        _read(
            Role.KEY_INFO,
            "wallet",
            RESTRICTIONS,
            "sapiGetAccountApiRestrictions",
            N_("read what the key may do"),
            1,
        ),
        _read(
            Role.ACCOUNT,
            "account",
            TRADING_STATUS,
            "sapiGetAccountApiTradingStatus",
            N_("ask whether the account may trade by API"),
            1,
        ),
        _read(
            Role.ACCOUNT,
            "account",
            ACCOUNT_STATUS,
            "sapiGetAccountStatus",
            N_("ask whether the account is in order"),
            1,
        ),
        _read(
            Role.BALANCE,
            "spot",
            SPOT_ACCOUNT,
            "privateGetAccount",
            N_("read the spot balance"),
            20,
            Market.SPOT,
            omitZeroBalances="true",
        ),
        _read(
            Role.ORDERS,
            "spot",
            "/api/v3/openOrders",
            "privateGetOpenOrders",
            N_("read the open spot orders"),
            6,
            Market.SPOT,
            symbol="BTCUSDT",
        ),
        _trial(
            Market.SPOT,
            "/api/v3/order/test",
            "privatePostOrderTest",
            Permission.SPOT_TRADE,
            "enableSpotAndMarginTrading",
            quantity="0.001",
            price="30000",
        ),
        _read(
            Role.BALANCE,
            "futures",
            FUTURES_BALANCE,
            "fapiPrivateV3GetBalance",
            N_("read the futures balance"),
            5,
            Market.FUTURES,
        ),
        _read(
            Role.ORDERS,
            "futures",
            "/fapi/v1/openOrders",
            "fapiPrivateGetOpenOrders",
            N_("read the open futures orders"),
            1,
            Market.FUTURES,
            symbol="BTCUSDT",
        ),
        _trial(
            Market.FUTURES,
            "/fapi/v1/order/test",
            "fapiPrivatePostOrderTest",
            Permission.FUTURES_TRADE,
            "enableFutures",
            quantity="0.01",
            price="30000",
        ),
        _read(
            Role.FEES,
            "spot",
            SPOT_FEES,
            "privateGetAccountCommission",
            N_("read the fees of this account for one pair"),
            20,
            Market.SPOT,
            symbol="{pair}",
        ),
        _read(
            Role.FEES,
            "futures",
            FUTURES_FEES,
            "fapiPrivateGetCommissionRate",
            N_("read the fees of this account for one pair"),
            20,
            Market.FUTURES,
            symbol="{pair}",
        ),
        _read(
            Role.TIERS,
            "futures",
            "/fapi/v1/leverageBracket",
            "fapiPrivateGetLeverageBracket",
            N_("read the maintenance margin of one pair for this account"),
            1,
            Market.FUTURES,
            symbol="{pair}",
        ),
        Call(
            Role.SECOND_OPINION,
            "GET",
            "futures",
            FUTURES_CONFIG,
            "fapiPrivateGetAccountConfig",
            N_("ask which address the exchange sees"),
            pool="futures",
            weight=5,
        ),
    )
    limits = MappingProxyType(
        {
            "spot": Limit(6000, 60),
            "wallet": Limit(12000, 60),
            "futures": Limit(2400, 60),
        }
    )
    rights = (
        Right("enableReading", "Enable Reading", (Permission.READ,), BOTH),
        Right("enableSpotAndMarginTrading", "Enable Spot & Margin Trading", (Permission.SPOT_TRADE,), SPOT),
        Right("enableMargin", "Enable Margin Loan, Repay & Transfer", (Permission.MARGIN,)),
        Right("enableFutures", "Enable Futures", (Permission.FUTURES_TRADE,), FUTURES),
        Right("permitsUniversalTransfer", "Permits Universal Transfer", (Permission.TRANSFER,)),
        Right("enableInternalTransfer", "Enable Internal Transfer", (Permission.TRANSFER,), shown=False),
        Right("enableWithdrawals", "Enable Withdrawals", (Permission.WITHDRAW,)),
        Right("enableVanillaOptions", "Enable European Options"),
        Right("enablePortfolioMarginTrading", "Enable Portfolio Margin Trading"),
        Right("enableFixApiTrade", "Enable FIX API Trade", shown=False),
        Right("enableFixReadOnly", "Enable FIX API Read Only", shown=False),
    )
    rights_fields = frozenset([*(right.word for right in rights), "tradingAuthorityExpirationTime"])
    error_rules = (
        # what the sentence tells more exactly than its code
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"not whitelisted for (?:this )?api"),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            pattern=r"this account may not place or cancel orders|action (?:is )?disabled (?:is )?on this account"
            r"|api keys are locked|account'?s trading is banned|banned for this account"
            r"|(?:enable|bind) 2fa first|2fa is not opened|identity verification"
            r"|agreement (?:is )?not (?:confirmed|signed)|account is inactive"
            r"|user can not place order currently|can only place reduce ?only order"
            r"|reduceonly order is allowed|only available for invited users",
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED, Cause.LOCATION_RESTRICTED),
            pattern=r"symbol is (?:not permitted|restricted) for this account",
        ),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED,),
            pattern=r"blacklist country|not (?:currently )?(?:available|supported) in your (?:region|location|country)"
            r"|restricted location",
        ),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"system_maintenance|system abnormality"),
        ErrorRule((Cause.RATE_LIMITED,), pattern=r"ip banned until|too much request weight|too many new requests"),
        # the key
        ErrorRule(
            (
                Cause.IP_NOT_ALLOWED,
                Cause.PERMISSION_MISSING,
                Cause.INVALID_KEY,
                Cause.EXPIRED_KEY,
                Cause.WRONG_ENVIRONMENT,
            ),
            ("-2015",),
            clear=False,
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.MALFORMED_CREDENTIALS), ("-2014",)),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT), ("-2008",)),
        ErrorRule((Cause.INVALID_SECRET, Cause.MALFORMED_CREDENTIALS), ("-1022", "400002")),
        ErrorRule((Cause.CLOCK_SKEW,), ("-1021",)),
        ErrorRule((Cause.CLOCK_SKEW, Cause.EXCHANGE_UNAVAILABLE), ("-5028", "-4188")),
        ErrorRule((Cause.UNEXPECTED_RESPONSE,), ("-1131",)),
        ErrorRule((Cause.IP_NOT_ALLOWED, Cause.LOCATION_RESTRICTED), ("-1005", "-1011")),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.IP_NOT_ALLOWED, Cause.INVALID_KEY), ("-1002",)),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.INVALID_KEY, Cause.ACCOUNT_RESTRICTED), ("-1099",), clear=False),
        ErrorRule((Cause.INVALID_KEY,), ("-4056", "-4057"), r"invalid api"),
        # the account
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            (
                *("-2017", "-2023", "-4109", "-4192", "-4400", "-4401", "-1109", "-4080"),
                *("-3001", "-3003", "-3004", "-3014", "-3018", "-3019", "-3022", "-3023", "-3036", "-3999"),
                *("-21001", "100001003", "200003903"),
            ),
        ),
        ErrorRule((Cause.LOCATION_RESTRICTED,), ("-4402", "-4403", "-10047")),
        # the exchange
        ErrorRule((Cause.RATE_LIMITED,), ("-1003", "-1015", "-1034", "-6009", "-12014")),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            ("-1000", "-1001", "-1004", "-1006", "-1007", "-1008", "-1016", "-3000", "-3044"),
        ),
        # the same sentences without their code, as bots and older interfaces show them
        ErrorRule(
            (
                Cause.IP_NOT_ALLOWED,
                Cause.PERMISSION_MISSING,
                Cause.INVALID_KEY,
                Cause.EXPIRED_KEY,
                Cause.WRONG_ENVIRONMENT,
            ),
            pattern=r"invalid api-?key, ip, or permissions|\bcode[=:\s]+-2015\b",
            clear=False,
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.MALFORMED_CREDENTIALS), pattern=r"api-?key format invalid"),
        ErrorRule(
            (Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT),
            pattern=r"invalid api-?key id|api key does not exist|don't login or auth",
        ),
        ErrorRule(
            (Cause.INVALID_SECRET, Cause.MALFORMED_CREDENTIALS), pattern=r"signature for this request is not valid"
        ),
        ErrorRule(
            (Cause.CLOCK_SKEW,),
            pattern=r"timestamp for this request (?:is outside|was \d+ ?ms ahead)|ahead of the server",
        ),
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"no such ip has been white|this ip cannot access"),
        ErrorRule(
            (Cause.PERMISSION_MISSING, Cause.IP_NOT_ALLOWED, Cause.INVALID_KEY),
            pattern=r"not authorized to execute this request",
        ),
        ErrorRule(
            (Cause.PERMISSION_MISSING,),
            pattern=r'"msg"\s*:\s*"you don\'t have permission|no operation privilege|rest api trading is not enabled',
        ),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), pattern=r"server is (?:busy|currently overloaded)"),
    )
    guide = Guide(
        key_page="https://www.binance.com/en/my/settings/api-management",
        steps=(
            N_("Log in at Binance, open API Management and choose Create API, type “System generated”."),
            N_(
                "For futures, open your futures account at Binance first: a key that is older than the account cannot "
                "trade futures."
            ),
            N_("Give the key a name, confirm with your 2FA code and copy the API Key and the Secret Key at once."),
            N_("Choose “Edit restrictions”, then “Restrict access to trusted IPs only”, and enter your address."),
            N_("Tick the boxes shown here and no others, and save."),
        ),
        ip_step=N_("Choose “Restrict access to trusted IPs only”, paste this address and confirm."),
        shown_once=N_("Binance shows the Secret Key once. Copy it before you leave the page."),
        max_ips=None,
        sub_accounts=N_("A key of a sub-account reaches only what you moved there: a good choice for a bot."),
        refusals=(
            Refusal(401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
            Refusal(401, '{"code":-2014,"msg":"API-key format invalid."}'),
            Refusal(400, '{"code":-1022,"msg":"Signature for this request is not valid."}'),
            Refusal(400, '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}'),
            Refusal(
                400,
                '{"code":-2010,"msg":"Symbol not whitelisted for API key."}',
                N_("A Binance key may have a list of pairs. Add the pair to it, or leave the list empty."),
            ),
            Refusal(
                451,
                '{"code":0,"msg":"Service unavailable from a restricted location according to \'b. Eligibility\'."}',
            ),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            30,
            CountedFrom.CREATION,
            N_(
                "Without an IP restriction the right to trade spot ends 30 days after you ticked its box. With one it "
                "stays."
            ),
            "Binance announcement of 2021-07-08, Updates to API Key Permission Rules",
            rights=(Permission.SPOT_TRADE, Permission.MARGIN),
        ),
        ExpiryRule(
            30,
            CountedFrom.LAST_USE,
            N_("Without an IP restriction a Binance key may be deleted after 30 days without use."),
            "Uncertain: help centre of a bot maker (Bitsgap, article 6838861), not said by Binance",
        ),
    )

    # A refusal for one of these judged the order itself (price, amount, margin, position mode), so the key was let
    # through. On the spot host only -1013 and -2010 occur.
    ORDER_JUDGED = frozenset(
        "-1013 -2018 -2019 -2020 -2021 -2022 -2024 -2025 -2027 -2028 -4001 -4002 -4003 -4004 -4005 -4013 -4014 -4016 "
        "-4023 -4024 -4045 -4061 -4118 -4131 -4164 -4183 -4184 -4210 -4211 -5021 -5022".split()
    )

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return super().error_code(_innermost(body))

    def error_words(self, body: Mapping[str, Any]) -> str:
        inner = _innermost(body)
        words = inner.get("errorMessage")
        return super().error_words(inner) or (words if isinstance(words, str) else "")

    def succeeded(self, answer: Answer) -> bool:
        if answer.status is None or not 200 <= answer.status < 300:
            return False
        if answer.role is Role.TIERS:
            return isinstance(_bracket_row(answer).get("brackets"), list)
        path = answer.call.path if answer.call else ""
        body = answer.json
        if isinstance(body, list):
            rows = cast("list[object]", body)
            is_list = not path or path == FUTURES_BALANCE or path.endswith("/openOrders")
            return is_list and all(isinstance(row, dict) and "code" not in row for row in rows)
        if not isinstance(body, dict):
            return False
        fields = cast("dict[str, Any]", body)
        if self.error_code(fields) not in (None, "0", "200") or fields.get("success") is False:
            return False
        if not path:
            return self.service_open(answer) is not False
        if path.endswith("/order/test"):
            return not fields or bool(fields.keys() & {"symbol", "orderId", "standardCommissionForOrder"})
        if path.endswith("/time"):
            return positive_int(fields.get("serverTime")) is not None
        shapes: Mapping[str, bool] = {
            SYSTEM_STATUS: self.service_open(answer) is True,
            RESTRICTIONS: self.read_report(fields) is not None,
            TRADING_STATUS: isinstance(_in(fields.get("data")).get("isLocked"), bool),
            ACCOUNT_STATUS: isinstance(fields.get("data"), str),
            SPOT_ACCOUNT: isinstance(fields.get("balances"), list),
            FUTURES_CONFIG: "canTrade" in fields,
            SPOT_FEES: isinstance(fields.get("standardCommission"), dict),
            FUTURES_FEES: "takerCommissionRate" in fields,
        }
        return shapes.get(path, False)

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("serverTime"))

    def service_open(self, answer: Answer) -> bool | None:
        status = answer.object.get("status")
        return {0: True, 1: False}.get(status) if isinstance(status, int) and not isinstance(status, bool) else None

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        if not isinstance(body, dict):
            return None
        outer = cast("dict[str, Any]", body)
        told = {name: value for name, value in outer.items() if name not in NO_RIGHTS}
        if "code" in outer or not any(self.right(name) for name in told):
            return None
        report = grants_from_fields(self, told)
        partial = not all(isinstance(outer.get(name), bool) for name in ("enableReading", "enableWithdrawals"))
        doubtful = partial or any("withdraw" in name.lower() and value is not False for name, value in outer.items())
        if doubtful and report.state(Permission.WITHDRAW) is GrantState.DENIED:
            report = report.with_grant(Permission.WITHDRAW, Grant())
        ends = time_ms(outer.get("tradingAuthorityExpirationTime"))
        bound = {True: GrantState.GRANTED, False: GrantState.DENIED}
        restricted = outer.get("ipRestrict")
        state = bound[restricted] if isinstance(restricted, bool) else GrantState.UNKNOWN
        return report.model_copy(
            update={
                "ip_restriction": IpRestriction(state=state),
                "expires_at": ends,
                "expiry_evidence": ExpiryEvidence.FIELD if ends is not None else ExpiryEvidence.NONE,
                "created_at": time_ms(outer.get("createTime")),
            }
        )

    def with_counted_end(self, report: KeyReport, at: datetime | None = None) -> KeyReport:
        """Never counted: the days run from when the right was ticked, and the report tells their end itself."""
        return report

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        data = _in(body).get("data")
        dead = isinstance(data, str) and DEAD_ACCOUNT.search(data) is not None
        return Cause.ACCOUNT_RESTRICTED if dead or _in(data).get("isLocked") is True else None

    def values(self, answer: Answer) -> Mapping[str, str]:
        uid = positive_int(answer.object.get("uid"))
        return {"uid": str(uid)} if uid is not None and answer.call and answer.call.path == SPOT_ACCOUNT else {}

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        if market is Market.SPOT:
            return free_balances(answer.object.get("balances"), "asset", "free")
        return free_balances(answer.json, "asset", "availableBalance")

    def read_fees(self, market: Market, quote: str, answer: Answer) -> Fees | None:
        """On spot the rate is the sum of its parts; of buying and selling the dearer one counts."""
        body = answer.object
        if market is Market.FUTURES:
            return fees(*(decimal(body.get(name)) for name in ("makerCommissionRate", "takerCommissionRate")))
        if decimal(only(body, "standardCommission.maker")) is None:
            return None
        total = {"maker": Decimal(0), "taker": Decimal(0)}
        for part in ("standardCommission", "specialCommission", "taxCommission"):
            rates = {name: decimal(value) for name, value in as_object(body.get(part)).items()}
            if None in rates.values():
                return None
            side = max(rates.get("buyer") or Decimal(0), rates.get("seller") or Decimal(0))
            for name in total:
                total[name] += (rates.get(name) or Decimal(0)) + side
        return fees(total["maker"], total["taker"])

    def read_tiers(self, answer: Answer) -> tuple[Tier, ...] | None:
        row = _bracket_row(answer)
        if decimal(row.get("notionalCoef", 1)) != 1:  # tiers of this account's own, whose amounts are not documented
            return None
        return tiers(
            objects(row.get("brackets")), "notionalFloor", "notionalCap", "maintMarginRatio", "cum", "initialLeverage"
        )

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        rows: object = answer.json
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_proves(self, answer: Answer) -> bool:
        body = answer.object
        code = self.error_code(body)
        if code == "-2010":
            judged = r"insufficient balance|filter failure|immediately|market is closed"
            return re.search(judged, self.error_words(body), re.IGNORECASE) is not None
        return code in self.ORDER_JUDGED

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """The pair of the trial order may be closed to this key or country while others are open."""
        closed = r"not whitelisted for|symbol is (?:not permitted|restricted) for"
        return re.search(closed, self.error_words(answer.object), re.IGNORECASE) is not None


def _in(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one where it is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _bracket_row(answer: Answer) -> dict[str, Any]:
    """What the answer about one pair's brackets says: a row, or a list of it."""
    return answer.object or as_object(only(answer.json, "*"))


def _innermost(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The error itself: the WebSocket API wraps it in `error`, an old interface hides it as text in `msg`."""
    error, message = body.get("error"), body.get("msg")
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    if isinstance(message, str) and message.startswith("{"):
        try:
            parsed: object = json.loads(message)
        except (ValueError, RecursionError):
            return body
        return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else body
    return body


EXCHANGE = Binance()
