"""BingX. Sources: the official REST documents and BingX's own API notes for agents, two maintained SDKs, ccxt 4.5.90.

Three calls report on a key, in shapes of their own that differ between documents: with fields, with numbers, flat or
wrapped. All three are asked and joined: what one grants is granted, and a number that nobody knows leaves everything
open. Only the longer form has a field for withdrawal. ccxt takes the clock's code 100421 for an unknown symbol and the
rate's code 100410 for a failed operation.
"""

from __future__ import annotations

import re
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
    Refusal,
    Region,
    Right,
    Role,
    Tier,
    address_list,
    as_object,
    free_balances,
    grants_from_fields,
    grants_from_words,
    may_be,
    merge_reports,
    objects,
    positive_int,
    text_or_none,
    tiers,
    time_ms,
)
from bfai.i18n import N_
from bfai.model import Cause, Environment, GrantState, IpRestriction, KeyReport, Market, Permission

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)
_ABOUT_TIME = r'timestamp(?!"\s*:)|recv_?window(?!"\s*:)'  # and not the field that every refusal has
_ABOUT_ACCOUNT = (Role.KEY_INFO, Role.ACCOUNT, Role.BALANCE, Role.ORDERS, Role.DRY_RUN)
_REGION = r"\bregion|countr|jurisdiction"


def _read(
    role: Role,
    path: str,
    implicit: str,
    purpose: str,
    pool: str = "five",
    market: Market | None = None,
    word: str = "2",
    **params: str,
) -> Call:
    return Call(
        role, "GET", "api", path, implicit, purpose, market, params=params, right=Permission.READ, word=word, pool=pool
    )


def _time(path: str, implicit: str, market: Market) -> Call:
    purpose = N_("read the exchange's clock")
    return Call(Role.TIME, "GET", "api", path, implicit, purpose, market, signed=False, pool="public")


class Bingx(Exchange):
    id = "bingx"
    name = "BingX"
    ccxt_id = "bingx"
    tests_take_live_keys = True
    host_pattern = r"\bbingx\b|X-BX-APIKEY|/openApi/"
    body_pattern = (
        r'"code"\s*:\s*(?:100001|100004|1004\d\d|1005\d\d|1012\d\d|109[45]\d\d|110[45]\d\d|800[12]\d)\b'
        r'|"debugMsg"\s*:|"api(?:Infos|KeyList)"\s*:'
    )
    fields = (
        Field("api_key", "API Key", r"[A-Za-z0-9]{50,100}", N_("a long text of letters and digits")),
        Field("secret", "Secret Key", r"[A-Za-z0-9]{50,100}", N_("a long text of letters and digits")),
    )
    regions = (Region("global", "BingX", {"api": "open-api.bingx.com"}),)
    tests = MappingProxyType(
        {Environment.DEMO: Region("demo", "BingX virtual funds (VST)", {"api": "open-api-vst.bingx.com"})}
    )
    calls = (
        _time("/openApi/spot/v1/server/time", "spotV1PublicGetServerTime", Market.SPOT),
        _time("/openApi/swap/v2/server/time", "swapV2PublicGetServerTime", Market.FUTURES),
        _read(
            Role.ACCOUNT,
            "/openApi/account/v1/uid",
            "accountV1PrivateGetUid",
            N_("read the account number, which a report on the key needs"),
            "ten",
        ),
        _read(
            Role.KEY_INFO,
            "/openApi/v1/account/apiRestrictions",
            "accountV1PrivateGetAccountApiRestrictions",
            N_("read what the key may do"),
            "two",
        ),
        _read(
            Role.KEY_INFO,
            "/openApi/v1/account/apiPermissions",
            "accountV1PrivateGetAccountApiPermissions",
            N_("read what the key may do, as numbers"),
            "two",
        ),
        _read(
            Role.KEY_INFO,
            "/openApi/account/v1/apiKey/query",
            "accountV1PrivateGetApiKeyQuery",
            N_("read what the key may do, from the list of keys"),
            uid="{uid}",
            apiKey="{api_key}",
        ),
        _read(
            Role.BALANCE,
            "/openApi/spot/v1/account/balance",
            "spotV1PrivateGetAccountBalance",
            N_("read the spot balance"),
            market=Market.SPOT,
        ),
        _read(
            Role.ORDERS,
            "/openApi/spot/v1/trade/openOrders",
            "spotV1PrivateGetTradeOpenOrders",
            N_("read the open spot orders"),
            market=Market.SPOT,
        ),
        _read(
            Role.BALANCE,
            "/openApi/swap/v3/user/balance",
            "swapV3PrivateGetUserBalance",
            N_("read the futures balance"),
            market=Market.FUTURES,
        ),
        _read(
            Role.ORDERS,
            "/openApi/swap/v2/trade/openOrders",
            "swapV2PrivateGetTradeOpenOrders",
            N_("read the open futures orders"),
            market=Market.FUTURES,
        ),
        Call(
            Role.DRY_RUN,
            "POST",
            "api",
            "/openApi/swap/v2/trade/order/test",
            "swapV2PrivatePostTradeOrderTest",
            N_("ask whether an order would be allowed, without placing one"),
            Market.FUTURES,
            params={
                "symbol": "BTC-USDT",
                "side": "BUY",
                "positionSide": "LONG",
                "type": "LIMIT",
                "quantity": "0.001",
                "price": "20000",
            },
            right=Permission.FUTURES_TRADE,
            word="3",
            dry_run=True,
            pool="order",
        ),
        _read(
            Role.FEES,
            "/openApi/spot/v1/user/commissionRate",
            "spotV1PrivateGetUserCommissionRate",
            N_("read the fees of this account for one pair"),
            "two",
            Market.SPOT,
            symbol="{pair}",
        ),
        _read(
            Role.FEES,
            "/openApi/swap/v2/user/commissionRate",
            "swapV2PrivateGetUserCommissionRate",
            N_("read the fees of this account for one pair"),
            "two",
            Market.FUTURES,
        ),
        _read(
            Role.TIERS,
            "/openApi/swap/v1/maintMarginRatio",
            "swapV1PrivateGetMaintMarginRatio",
            N_("read the maintenance margin of one pair for this account"),
            "two",
            Market.FUTURES,
            symbol="{pair}",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("data.makerCommissionRate", "data.takerCommissionRate"),
            Market.FUTURES: ("data.commission.makerCommissionRate", "data.commission.takerCommissionRate"),
        }
    )
    limits = MappingProxyType(
        {
            "public": Limit(100, 10, each=True),
            "two": Limit(2, 1, by="account", each=True),
            "order": Limit(2, 1),
            "five": Limit(5, 1, by="account", each=True),
            "ten": Limit(10, 1, by="account", each=True),
        }
    )
    rights = (
        Right("enableReading", "Read", (Permission.READ,), BOTH, aliases=("2",)),
        Right("enableSpotAndMarginTrading", "Spot Trading", (Permission.SPOT_TRADE,), SPOT, aliases=("1",)),
        Right("enableFutures", "Perpetual Futures Trading", (Permission.FUTURES_TRADE,), FUTURES, aliases=("3",)),
        Right("permitsUniversalTransfer", "Universal Transfer", (Permission.TRANSFER,), aliases=("4",)),
        Right("enableWithdrawals", "Withdraw", (Permission.WITHDRAW,), aliases=("5",)),
        Right(
            "enableInternalTransfer",
            "Manage Subaccounts",
            (Permission.TRANSFER,),
            aliases=("7",),
            escalation=N_("The key may move money between sub-accounts."),
        ),
        Right("enableVanillaOptions", "Options", shown=False),
    )
    rights_fields = frozenset([*(right.word for right in rights), "permissions"])
    error_rules = (
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("100413", "-2014", "-2008", "401")),
        ErrorRule((Cause.INVALID_SECRET,), ("100001", "100412", "-1022")),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("100419",)),
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"does not match ip white ?list"),
        ErrorRule(
            (Cause.PERMISSION_MISSING,), ("100004",), r"futures|perpetual|合约", permission=Permission.FUTURES_TRADE
        ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"\bspot\b|现货", permission=Permission.SPOT_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"\btransfer\b|划转", permission=Permission.TRANSFER),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"\bread(?:ing)?\b|读取", permission=Permission.READ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",)),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED), ("100403",)),
        ErrorRule((Cause.CLOCK_SKEW,), ("100421", "109400", "109414", "80014", "100400"), _ABOUT_TIME),
        ErrorRule((Cause.INVALID_SECRET,), ("80014", "109400", "100400"), r"signature(?!\"\s*:)"),
        ErrorRule(
            (Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED),
            ("100421",),
            r"pair|symbol|restricted|api (?:trad|ord)",
        ),
        ErrorRule((Cause.CLOCK_SKEW,), ("100421", "-1021")),
        ErrorRule((Cause.RATE_LIMITED,), ("100410", "109429", "429", "418", "-1003")),
        ErrorRule((Cause.RATE_LIMITED, Cause.ACCOUNT_RESTRICTED), ("109403",), r"frequen|too (?:many|high)|\brate\b"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.RATE_LIMITED), ("109403",)),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), ("101484", "101210", "100441"), _REGION),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.LOCATION_RESTRICTED), ("101484",), r"kyc|identity|verif"),
        ErrorRule((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), ("101484",)),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.LOCATION_RESTRICTED), ("101210", "100441", "101483")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("100414", "101402", "104414")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.EXCHANGE_UNAVAILABLE), ("80020",), roles=_ABOUT_ACCOUNT),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE, Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), ("80020",)),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("100500", "109500", "110500", "100503", "109701", "500", "504")),
        ErrorRule(
            (Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING, Cause.INVALID_KEY, Cause.EXPIRED_KEY),
            ("-2015",),
            clear=False,
        ),
    )
    guide = Guide(
        key_page="https://bingx.com/en/account/api",
        steps=(
            N_("Log in at BingX, open API Management and create an API key."),
            N_("A new key may only read. Edit it, and tick the boxes shown here and no others."),
            N_("Enter your IP address in the whitelist, and confirm with your 2FA code."),
            N_("Copy the API Key and the Secret Key."),
        ),
        ip_step=N_("Paste this address into the IP whitelist. BingX takes up to 20, separated by commas."),
        shown_once=N_("BingX shows the Secret Key once. Copy it before you close the window."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account reaches that account only: a good choice for a bot."),
        max_keys=20,
        refusals=(
            Refusal(200, '{"code":100419,"msg":"your current request IP is 203.0.113.7 does not match IP whitelist"}'),
            Refusal(
                200,
                '{"code":100004,"msg":"Permission denied, this api need Spot Trading permission"}',
            ),
            Refusal(200, '{"code":100413,"msg":"Incorrect apiKey"}'),
            Refusal(200, '{"code":100001,"msg":"Signature verification failed due to signature mismatch"}'),
            Refusal(200, '{"code":100421,"msg":"Null timestamp or timestamp mismatch"}'),
            Refusal(200, '{"code":100414,"msg":"risk control check fail"}'),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            14,
            CountedFrom.LAST_USE,
            N_(
                "Without an IP whitelist a BingX key that may trade is deleted after 14 days without use. With one it "
                "stays."
            ),
            "BingX help centre, About BingX API",
            rights=(Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER),
        ),
    )

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or not body:
            return False
        if answer.role == Role.KEY_INFO:  # a flat report has no code, and neither has any other JSON
            return _is_fine(body, 0) and any({"permissions", "enableReading"} & row.keys() for row in _rows(body))
        data: object = body.get("data")
        if not _is_fine(body, None):
            return False
        match answer.role:
            case Role.TIME:
                return self.server_time_ms(answer) is not None
            case Role.ACCOUNT:
                return positive_int(as_object(data).get("uid")) is not None
            case Role.BALANCE:
                return isinstance(as_object(data).get("balances", data), list)
            case Role.ORDERS:
                return self.read_orders(Market.SPOT, answer) is not None
            case Role.DRY_RUN:
                return bool({"order", "symbol"} & as_object(data).keys())
            case _:
                return "data" in body

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(as_object(answer.object.get("data")).get("serverTime"))

    def values(self, answer: Answer) -> dict[str, str]:
        uid = positive_int(as_object(answer.object.get("data")).get("uid"))
        return {"uid": str(uid)} if uid is not None and answer.role == Role.ACCOUNT else {}

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at
        outer = as_object(body)
        rows = _rows(outer) if _is_fine(outer, 0) else []
        if _list_of_keys(outer) is not None and not all(text_or_none(row.get("apiKey")) for row in rows):
            return None  # there must be no doubt whose each row is
        own = [row for row in rows if may_be(row.get("apiKey"), api_key)]
        if len(own) != 1:
            return None
        fields = own[0]
        if {"canTrade", "canWithdraw", "balances"} & fields.keys():  # flags of an account are no rights of a key
            return None
        reports = [self._from_numbers(fields)] if "permissions" in fields else []
        reports += (
            [self._from_fields(fields)]
            if any(name.startswith(("enable", "permits")) and self.right(name) for name in fields)
            else []
        )
        return merge_reports(reports)

    def _from_fields(self, fields: dict[str, Any]) -> KeyReport:
        named = {name: value for name, value in fields.items() if name.startswith(("enable", "permits"))}
        bound = {True: GrantState.GRANTED, False: GrantState.DENIED}
        told = fields.get("ipRestrict")
        state = bound[told] if isinstance(told, bool) else GrantState.UNKNOWN
        return grants_from_fields(self, named).model_copy(
            update={"ip_restriction": IpRestriction(state=state), "created_at": time_ms(fields.get("createTime"))}
        )

    def _from_numbers(self, fields: dict[str, Any]) -> KeyReport:
        numbers = fields["permissions"]
        items = cast("list[object]", numbers) if isinstance(numbers, list) else []
        whole = bool(items) and all(isinstance(item, (int, str)) and not isinstance(item, bool) for item in items)
        report = grants_from_words(self, [str(item).strip() for item in items], whole=whole)
        return report.model_copy(
            update={
                "unknown_words": report.unknown_words if whole else (*report.unknown_words, "permissions"),
                "ip_restriction": address_list(fields.get("ipAddresses")),
                "label": text_or_none(fields.get("note")),
                "created_at": time_ms(fields.get("createTime")),
            }
        )

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        data = answer.object.get("data")
        if market is Market.SPOT:
            return free_balances(as_object(data).get("balances"), "asset", "free")
        return free_balances(data, "asset", "availableMargin")

    def read_tiers(self, answer: Answer) -> tuple[Tier, ...] | None:
        rows = objects(answer.object.get("data"))
        return tiers(rows, "minPositionVal", "maxPositionVal", "maintMarginRatio", "maintAmount")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        data: object = answer.object.get("data")
        rows: object = as_object(data).get("orders", data)
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def of_other_kind(self, answer: Answer) -> bool:
        """The list of keys is for main accounts only."""
        code = self.error_code(answer.object)
        return code == "100403" and answer.call is not None and answer.call.path.endswith("/apiKey/query")

    def dry_run_proves(self, answer: Answer) -> bool:
        """These judge the order, by balance, price, amount or mode; rights are judged before, at the gateway."""
        code = self.error_code(answer.object)
        return code in self.ORDER_JUDGED or (
            code in self.UNFIT and re.search(self.JUDGED_WORDS, answer.body, re.IGNORECASE) is not None
        )

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """Whether the order itself was found unfit, for whatever it lacks."""
        about_key = re.search(rf"{_ABOUT_TIME}|signature", answer.body, re.IGNORECASE)
        return self.error_code(answer.object) in self.UNFIT and about_key is None

    ORDER_JUDGED = frozenset(
        "80013 80016 80017 101201 101202 101204 101205 101206 101209 101211 101212 101215 101222 101253 101290 "
        "101400 101412 101413 101414 101415 101419 101429 101434 101460 101461 101479 101481 101485 102201 104103 "
        "104108 104424 109201 110203 110206 110280 110287 110400 110402 110422 110424 110425 110426 112414".split()
    )
    UNFIT = frozenset("80012 80014 100400 100404 109400 109414 109415 109417 109418 109425".split())
    JUDGED_WORDS = r"one-?way|hedge|position ?side|margin is not enough|insufficient"


def _is_fine(body: dict[str, Any], absent: object) -> bool:
    """`absent` is what a body without a code counts as."""
    return str(body.get("code", absent)) == "0"


def _list_of_keys(outer: dict[str, Any]) -> list[object] | None:
    inner = as_object(outer.get("data")) or outer
    rows = inner.get("apiInfos", inner.get("apiKeyList"))
    return cast("list[object]", rows) if isinstance(rows, list) else None


def _rows(outer: dict[str, Any]) -> list[dict[str, Any]]:
    """What a body tells about keys: one object, wrapped or flat, or those of a list of keys."""
    listed = _list_of_keys(outer)
    return [as_object(row) for row in listed] if listed is not None else [as_object(outer.get("data")) or outer]


EXCHANGE = Bingx()
