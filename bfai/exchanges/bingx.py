"""BingX. Sources: the official REST documents and BingX's own API notes for agents, two maintained SDKs, ccxt 4.5.90.

Three calls report on a key, in shapes of their own that differ between documents: with fields, with numbers, flat or
wrapped. All three are asked and joined: what one grants is granted, and a number that nobody knows leaves everything
open. Only the longer form has a field for withdrawal. ccxt takes the clock's code 100421 for an unknown symbol and the
rate's code 100410 for a failed operation.
"""

from __future__ import annotations

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
    address_list,
    free_balances,
    grants_from_fields,
    grants_from_words,
    positive_int,
    same_key,
    text_or_none,
    time_ms,
)
from bfai.i18n import N_
from bfai.model import Cause, Environment, GrantState, IpRestriction, KeyReport, Market, Permission

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)


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
    host_pattern = r"\bbingx\b|X-BX-APIKEY|/openApi/"
    body_pattern = r'"code"\s*:\s*1004\d\d\b|"debugMsg"\s*:|"apiInfos"\s*:'
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
            pool="five",
        ),
    )
    limits = MappingProxyType(
        {
            "public": Limit(100, 10, each=True),
            "two": Limit(2, 1, by="account", each=True),
            "five": Limit(5, 1, by="account", each=True),
            "ten": Limit(10, 1, by="account", each=True),
        }
    )
    rights = (
        Right("enableReading", "Read", (Permission.READ,), BOTH, aliases=("2",)),
        Right("enableSpotAndMarginTrading", "Spot Trading", (Permission.SPOT_TRADE,), SPOT, aliases=("1",)),
        Right("enableFutures", "Perpetual Futures Trading", (Permission.FUTURES_TRADE,), FUTURES, aliases=("3",)),
        Right("permitsUniversalTransfer", "Universal Transfer", (Permission.TRANSFER,), aliases=("4",)),
        Right(
            "enableInternalTransfer",
            "Manage Subaccounts",
            (Permission.TRANSFER,),
            aliases=("7",),
            escalation=N_("The key may move money between sub-accounts."),
        ),
        Right("enableWithdrawals", "Withdraw", (Permission.WITHDRAW,), aliases=("5",)),
        Right("enableVanillaOptions", "Options", shown=False),
    )
    error_rules = (
        ErrorRule((Cause.INVALID_KEY,), ("100413", "-2014", "-2008")),
        ErrorRule((Cause.INVALID_SECRET,), ("100001", "100412", "-1022")),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("100419",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"futures|perpetual", permission=Permission.FUTURES_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"spot", permission=Permission.SPOT_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004",), r"\bread\b", permission=Permission.READ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("100004", "100403", "80012")),
        ErrorRule(
            (Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED), ("100421",), r"pair|symbol|restricted|api trading"
        ),
        ErrorRule((Cause.CLOCK_SKEW,), ("100421", "-1021")),
        ErrorRule((Cause.CLOCK_SKEW,), ("109400", "80014", "109414"), r"timestamp|recv_?window"),
        ErrorRule((Cause.RATE_LIMITED,), ("100410", "109429", "429", "-1003")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("100414", "109403", "100441", "101210", "80049")),
        ErrorRule((Cause.LOCATION_RESTRICTED,), ("101484",)),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("100500", "109500", "110500", "100503", "80020", "109419")),
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
            return self.read_report(body) is not None
        return body.get("code") == 0 and "data" in body

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(_fields(answer.object.get("data")).get("serverTime"))

    def values(self, answer: Answer) -> dict[str, str]:
        uid = positive_int(_fields(answer.object.get("data")).get("uid"))
        return {"uid": str(uid)} if uid is not None and answer.role == Role.ACCOUNT else {}

    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        del received_at
        outer = _fields(body)
        if outer.get("code", 0) not in (0, "0"):
            return None
        fields = _fields(outer.get("data")) or outer
        rows = fields.get("apiInfos", fields.get("apiKeyList"))
        if isinstance(rows, list):
            fields = _own_row(cast("list[object]", rows), api_key)
        if "permissions" in fields:
            return self._from_numbers(fields, api_key)
        if "enableReading" in fields:
            return self._from_fields(fields)
        return None

    def _from_fields(self, fields: dict[str, Any]) -> KeyReport:
        named = {name: value for name, value in fields.items() if name.startswith(("enable", "permits"))}
        bound = {True: GrantState.GRANTED, False: GrantState.DENIED}
        told = fields.get("ipRestrict")
        state = bound[told] if isinstance(told, bool) else GrantState.UNKNOWN
        return grants_from_fields(self, named).model_copy(
            update={"ip_restriction": IpRestriction(state=state), "created_at": time_ms(fields.get("createTime"))}
        )

    def _from_numbers(self, fields: dict[str, Any], api_key: str | None) -> KeyReport | None:
        if not same_key(fields.get("apiKey"), api_key):
            return None
        numbers = fields["permissions"]
        items = cast("list[object]", numbers) if isinstance(numbers, list) else []
        whole = bool(items) and all(isinstance(item, (int, str)) and not isinstance(item, bool) for item in items)
        report = grants_from_words(self, [str(item).strip() for item in items], whole=whole)
        return report.model_copy(
            update={
                "ip_restriction": address_list(fields.get("ipAddresses")),
                "label": text_or_none(fields.get("note")),
                "created_at": time_ms(fields.get("createTime")),
            }
        )

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        data = answer.object.get("data")
        if market is Market.SPOT:
            return free_balances(_fields(data).get("balances"), "asset", "free")
        return free_balances(data, "asset", "availableMargin")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        data: object = answer.object.get("data")
        rows: object = _fields(data).get("orders", data)
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_proves(self, answer: Answer) -> bool:
        """These judge the order: balance, price, amount, mode of the position."""
        return self.error_code(answer.object) in self.ORDER_JUDGED

    ORDER_JUDGED = frozenset(
        "80001 80016 101204 101205 101209 101211 101400 101414 101415 101460 110400 110424".split()
    )


def _fields(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _own_row(rows: list[object], api_key: str | None) -> dict[str, Any]:
    """The row of the calling key in a list that shows keys in part; empty where it is not clear which it is."""
    items = [_fields(row) for row in rows]
    if api_key is not None:
        items = [item for item in items if _may_be(item.get("apiKey"), api_key)]
    return items[0] if len(items) == 1 else {}


def _may_be(shown: object, api_key: str) -> bool:
    if not isinstance(shown, str) or not shown:
        return False
    first, _, last = shown.partition("*")
    return shown == api_key if "*" not in shown else api_key.startswith(first) and api_key.endswith(last.lstrip("*"))


EXCHANGE = Bingx()
