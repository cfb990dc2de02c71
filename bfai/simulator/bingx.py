"""BingX: spot, perpetual futures and accounts on one API, for real funds and, on hosts of their own, for VST.

Keys have one site, `global`, and work on every host; on the VST hosts the same key sees virtual funds in the coin VST.

Three endpoints tell about a key, each in its own shape: A `/openApi/v1/account/apiRestrictions` (flat, yes or no),
B `/openApi/v1/account/apiPermissions` (flat, a list of numbers), C `/openApi/account/v1/apiKey/query` (wrapped, the
same numbers, for main accounts only). `Account.report` may be `{"A": {…}, "B": {…}, "C": {…}}`, each put over its
answer, or plain fields that are put over all three. `Account.mode` holds words: `short` (A in its form of 2023, without
`enableWithdrawals`, `enableInternalTransfer` and `enableVanillaOptions`), `wrapped` (A and B inside `code` and `data`).
`Account.permissions` are the numbers of the documents as text: 1 spot trading, 2 read, 3 perpetual futures trading,
4 universal transfer, 5 withdraw, 7 internal transfer of sub-accounts; 6 is in no document.

Sources are BingX's documents; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final
from urllib.parse import unquote_plus

from bfai.simulator.core import (
    DAY_MS,
    Account,
    Call,
    Exchange,
    Reply,
    Route,
    as_json,
    hmac_sha256,
    route,
    same,
    sample_hex,
)
from bfai.simulator.markets import LISTED, MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SYMBOLS: Final = by_symbol("-")
CREATED_MS: Final = 1_702_289_687_000
WINDOW_MS: Final = 5_000
LONGEST_MS: Final = 60_000
"""Newer documents allow 5000 at most, older ones 60000: this is the older."""
LIMIT: Final = 100
LIMIT_MS: Final = 10_000
SPOT, READ, FUTURES, TRANSFER, WITHDRAW, SUB_TRANSFER = "1", "2", "3", "4", "5", "7"
TRADES: Final = (SPOT, READ, FUTURES)
RIGHTS: Final[Mapping[str, str]] = {
    SPOT: "Spot Trading", READ: "Read", FUTURES: "Perpetual Futures Trading", TRANSFER: "Universal Transfer",
    WITHDRAW: "Withdraw", SUB_TRANSFER: "Sub-account internal transfer",
}  # fmt: skip
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
ORDER_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "LIMIT": ("quantity", "price"), "MARKET": ("quantity",), "STOP_MARKET": ("quantity", "stopPrice"),
    "TAKE_PROFIT_MARKET": ("quantity", "stopPrice"), "TRIGGER_MARKET": ("quantity", "stopPrice"),
    "STOP": ("quantity", "stopPrice", "price"), "TAKE_PROFIT": ("quantity", "stopPrice", "price"),
    "TRIGGER_LIMIT": ("quantity", "stopPrice", "price"), "TRAILING_STOP_MARKET": (), "TRAILING_TP_SL": (),
}  # fmt: skip
"""Kinds of orders and what each needs (BingX docs, test order)."""
TIERS: Final = ((0, 150_000, "0.003800"), (150_000, 900_000, "0.004000"), (900_000, 3_000_000, "0.005000"))
"""Worth of a position from and to, and its maintenance margin."""

_STEPS: Final = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
    "12h": 720, "1d": 1440, "3d": 4320, "1w": 10_080, "1M": 43_200,
}  # fmt: skip
_HELP: Final = "https://bingx-api.github.io/docs/#/en-us/spot/account-api.html#Query%20Assets"
_LONG: Final = ("enableWithdrawals", "enableInternalTransfer", "enableVanillaOptions")


def signature(secret: str, text: str | bytes) -> str:
    """Lower-case hex HMAC-SHA256 of `name=value` parameters joined with `&` (BingX docs, signature)."""
    return hmac_sha256(secret, text).hex()


def texts(query: str, body: str, fields: Mapping[str, Any] | None) -> Iterable[str]:
    """Every text whose signature is accepted: of the query, of the body, or of both, without `signature`.

    Values are signed as they were before URL encoding. A query is signed in the order sent and a body sorted; sorted
    queries are accepted too, as some clients send one order and sign the other, and a form body also as it was sent.
    """
    asked = [unquote_plus(piece) for piece in _pieces(query)]
    if fields is None:
        sent = _pieces(body)
        form = [unquote_plus(piece) for piece in sent]
    else:
        sent = form = [f"{name}={_plain(value)}" for name, value in fields.items() if name != "signature"]
    if asked and form:
        yield "&".join(asked) + "&".join(form)
        yield "&".join(sorted((*asked, *form)))
        return
    yield "&".join(asked or form)
    yield "&".join(sorted(asked or form))
    if form:
        yield "&".join(sent)


def _pieces(text: str) -> list[str]:
    return [piece for piece in text.split("&") if piece and not piece.startswith("signature=")]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _say(call: Call, code: int, msg: str, status: int = 200) -> Reply:
    return as_json({"code": code, "msg": msg, "timestamp": call.now_ms}, status)


def _data(call: Call, data: object) -> Reply:
    """A success: the futures API tells no time, the account API does."""
    if call.path.startswith("/openApi/account/"):
        return as_json({"code": 0, "timestamp": call.now_ms, "data": data})
    body: dict[str, object] = {"code": 0, "msg": ""}
    return as_json({**body, **({"debugMsg": ""} if call.path.startswith("/openApi/spot/") else {}), "data": data})


def _denied(call: Call, right: str) -> Reply:
    # two commas of this text are full-width, as the exchange sends them
    return _say(
        call,
        100004,
        "Permission denied as the API key was created without the permission，this api need "
        f"{RIGHTS.get(right, right)} permission， please config it in https://bingx.com/en/account/api",
    )


def _wrong(call: Call, what: str) -> Reply:
    return _say(call, 109400 if "/swap/" in call.path else 100400, f"Invalid parameters, err: {what}")


def _open_order(call: Call, name: str, *, swap: bool) -> dict[str, object]:
    """BingX docs, current open orders: spot has `StopPrice`, contracts have sides of a position."""
    at = call.now_ms - 60_000
    order: dict[str, object] = {
        "symbol": name, "orderId": 1_514_073_325_788_200_960, "side": "BUY", "type": "LIMIT", "executedQty": "0",
        "time": at, "updateTime": at,
    }  # fmt: skip
    if swap:
        return {
            **order, "positionSide": "LONG", "origQty": "10.0000", "price": "1.0", "avgPrice": "0.0", "cumQuote": "",
            "stopPrice": "", "profit": "", "commission": "", "status": "NEW", "clientOrderId": "", "leverage": "",
            "takeProfit": "", "stopLoss": "", "advanceAttr": 0, "positionID": 0, "workingType": "MARK_PRICE",
        }  # fmt: skip
    return {
        **order, "price": "1", "StopPrice": "0", "origQty": "10", "cummulativeQuoteQty": "0", "status": "NEW",
        "origQuoteOrderQty": "0", "clientOrderID": "",
    }  # fmt: skip


def _no_symbol(call: Call, name: str) -> Reply:
    return _say(call, 109425 if "/swap/" in call.path else 100204, f"{name} not exist, please verify it")


def _wrong_symbol(call: Call) -> Reply | None:
    """The refusal of a missing or unknown symbol."""
    name = call.params.get("symbol")
    if not name:
        return _wrong(call, "symbol: This field is required")
    return None if name in SYMBOLS else _no_symbol(call, name)


def _given(call: Call) -> dict[str, str]:
    """All parameters, wherever they came."""
    body = {name: _plain(value) for name, value in (call.data or {}).items()}
    return {**call.params, **body}


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _whole(text: str | None) -> int | None:
    return int(text[:20]) if text and text.isascii() and text.isdigit() else None


def _letters(length: int, *words: str) -> str:
    """Letters and digits that begin with SAMPLE, the same at every start."""
    known = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    digests = (hashlib.sha512(" ".join(("bfai simulator bingx", part, *words)).encode()).digest() for part in "ab")
    return ("SAMPLE" + "".join(known[byte % len(known)] for digest in digests for byte in digest))[:length]


def _account(name: str, permissions: tuple[str, ...] = TRADES, length: int = 64, **more: object) -> Account:
    made = Account(
        name=name,
        api_key=_letters(length, "key", name),
        secret=_letters(length, "secret", name),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=16_844_000 + int(sample_hex(10, "bingx uid", name), 16),
    )
    for field, value in more.items():
        setattr(made, field, value)
    return made


class BingX(Exchange):
    """BingX as its documents describe it."""

    name = "bingx"
    hosts: ClassVar[Mapping[str, str]] = {
        "open-api.bingx.com": "live",
        "open-api.bingx.pro": "live",
        "open-api.bingx.io": "live",
        "open-api-vst.bingx.com": "vst",
        "open-api-vst.bingx.pro": "vst",
    }
    forbidden = (
        ("/openApi/wallets/", "moves money"),
        ("/openApi/api/", "moves money"),
        ("/openApi/account/transfer/", "moves money"),
        ("/openApi/account/v1/innerTransfer", "moves money"),
        ("/openApi/account/v1/apiKey", "edits a key"),
        ("/openApi/subAccount/v1/apiKey", "edits a key"),
        ("/openApi/subAccount/", "edits a sub-account"),
        ("/openApi/swap/v2/trade/leverage", "changes a position"),
        ("/openApi/swap/v2/trade/marginType", "changes a position"),
        ("/openApi/swap/v2/trade/positionMargin", "changes a position"),
        ("/openApi/swap/v1/positionSide", "changes a position"),
        ("/openApi/swap/", "places or cancels an order"),
        ("/openApi/cswap/", "places or cancels an order"),
        ("/openApi/spot/", "places or cancels an order"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. Keys never end; the documents' sample keys have 64 or 83 characters."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, WITHDRAW))
        yield _account("read_only", (READ,))
        yield _account("no_futures", (SPOT, READ))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", length=83, ip_whitelist=())
        yield _account("sub_account", is_sub=True)
        yield _account("unknown_right", (*TRADES, "6"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("X-BX-APIKEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """BingX docs, authentication and error codes. The order was chosen: key, time, signature, address, right."""
        given = _given(call)
        if not self.key_of(call):
            return _say(call, 100413, "Incorrect apiKey")
        if not given.get("signature"):
            return _say(call, 100412, "Null signature")
        account = call.account
        # no document says how a key ends; one that is gone is unknown
        if account is None or account.site != "global" or account.status in ("deleted", "expired"):
            return _say(call, 100413, "Incorrect apiKey")
        sent, asked = _whole(given.get("timestamp")), _whole(given.get("recvWindow"))
        window = min(asked or WINDOW_MS, LONGEST_MS)  # the documents' own sample sends 0
        if sent is None or abs(call.now_ms - sent) > window:
            return _say(
                call,
                100421,
                f"Null timestamp or timestamp mismatch, try to run our sample code from the link {_HELP}",
            )
        body = call.body.decode("utf-8", "replace")
        found = texts(call.query, body, call.data)
        if not any(same(given["signature"], signature(account.secret, text)) for text in found):
            return _say(
                call,
                100001,
                "Signature verification failed due to signature mismatch,please verify our authentication signature "
                f"and try to  run our sample code  from the link {_HELP}",
            )
        if not account.allows(call.address):
            return _say(
                call,
                100419,
                f"your current request IP is {call.address} does not match IP whitelist , "
                "please go to https://bingx.com/en/account/api/ to verify the ip you have set",
            )
        if account.status == "frozen":
            return _say(call, 100414, "risk control check fail")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _denied(call, route.scopes[0])
        return None

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers (BingX docs, rate limits). The pool never runs dry; a fault with status 429 does that."""
        if call.route is not None:
            reply.headers["X-RateLimit-Requests-Remain"] = str(LIMIT - 1)
            reply.headers["X-RateLimit-Requests-Expire"] = str(call.now_ms // LIMIT_MS * LIMIT_MS + LIMIT_MS)
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """With status 200, as nearly everything; outside of the API the status was chosen."""
        status = 200 if call.path.startswith("/openApi/") else 404
        words = "this api is not exist, please refer to the API docs https://bingx-api.github.io/docs"
        return _say(call, 100400, words, status)

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        path = call.path
        if "withdraw" in path:
            return _denied(call, WITHDRAW)
        if "ransfer" in path or "/asset/" in path:
            call.violation = "moves money"
            return _denied(call, TRANSFER)
        return _denied(call, SUB_TRANSFER if "ccount" in path else FUTURES if "swap/" in path else SPOT)

    def rate_limited(self, call: Call) -> Reply:
        """BingX docs, error codes; with status 429."""
        until = call.now_ms + LIMIT_MS
        words = "code:100410:The endpoint trigger frequency limit rule is currently in the disabled period"
        return _say(call, 100410, f"{words} and will be unblocked after {until}", 429)

    def maintenance(self, call: Call) -> Reply:
        """Only announcements tell of maintenance; the code for a busy service was chosen for the rest."""
        if call.path == "/openApi/content/v1/announcement":
            row = {"title": "System Maintenance", "publishTime": call.now_ms, "contentType": "SystemMaintenance"}
            return _data(call, {"total": 1, "list": [row]})
        return _say(call, 100500, "The current system is busy, please try again later", 503)

    # -- time and service

    @route("GET", "/openApi/spot/v1/server/time")
    @route("GET", "/openApi/swap/v2/server/time")
    def server_time(self, call: Call) -> Reply:
        """Server time in ms."""
        return _data(call, {"serverTime": call.now_ms})

    @route("GET", "/openApi/content/v1/announcement")
    def announcements(self, call: Call) -> Reply:
        """None."""
        return _data(call, {"total": 0, "list": []})

    # -- what a key tells about itself

    @route("GET", "/openApi/v1/account/apiRestrictions", scopes=(READ,))
    def restrictions(self, call: Call) -> Reply:
        """A: which rights are on."""
        account = call.who
        has = account.permissions
        report: dict[str, object] = {
            "ipRestrict": bool(account.ip_whitelist),
            "createTime": CREATED_MS,
            "permitsUniversalTransfer": TRANSFER in has,
            "enableReading": READ in has,
            "enableFutures": FUTURES in has,
            "enableSpotAndMarginTrading": SPOT in has,
            "enableWithdrawals": WITHDRAW in has,
            "enableInternalTransfer": SUB_TRANSFER in has,
            "enableVanillaOptions": False,
        }
        if "short" in account.mode.split():
            report = {name: value for name, value in report.items() if name not in _LONG}
        return _flat(call, _reported(account, "A", report))

    @route("GET", "/openApi/v1/account/apiPermissions", scopes=(READ,))
    def permissions(self, call: Call) -> Reply:
        """B: the numbers of the rights; open to main accounts and sub-accounts."""
        account = call.who
        report: dict[str, object] = {
            "apiKey": account.api_key,
            "permissions": _numbers(account.permissions),
            "ipAddresses": _addresses(account),
            "note": account.label,
        }
        return _flat(call, _reported(account, "B", report))

    @route("GET", "/openApi/account/v1/apiKey/query", scopes=(READ,))
    def key_query(self, call: Call) -> Reply:
        """C: all keys of a user, or one. "The user who verifies the signature of this API must be main account"."""
        account, params = call.who, call.params
        if not params.get("uid"):
            return _wrong(call, "uid: This field is required")
        if account.is_sub:
            return _say(call, 100403, "not main account")
        if params["uid"] != str(account.uid):
            return _wrong(call, "uid is no sub-account")
        asked = params.get("apiKey")
        if asked and asked != account.api_key:
            return _data(call, {"apiInfos": []})
        report: dict[str, object] = {
            "apiKey": account.api_key,
            "note": account.label,
            "permissions": _numbers(account.permissions),
            "ipAddresses": _addresses(account) or [""],  # seen like this without addresses
            "status": 0,
            "createTime": CREATED_MS,
            "updateTime": CREATED_MS,
        }
        report = _reported(account, "C", report)
        another = {
            **report, "apiKey": _letters(64, "other key", account.name), "note": "another", "permissions": [2, 5],
            "ipAddresses": ["203.0.113.7"],
        }  # fmt: skip
        return _data(call, {"apiInfos": [report] if asked else [another, report]})

    @route("GET", "/openApi/account/v1/uid", scopes=(READ,))
    def uid(self, call: Call) -> Reply:
        """The account's number."""
        return _data(call, {"uid": call.who.uid})

    @route("GET", "/openApi/subAccount/v1/list", scopes=(READ,))
    def sub_accounts(self, call: Call) -> Reply:
        """For main accounts only."""
        return _say(call, 100403, "not main account") if call.who.is_sub else _data(call, {"result": [], "total": 0})

    # -- balances, orders, history

    @route("GET", "/openApi/spot/v1/account/balance", scopes=(READ,))
    def spot_balance(self, call: Call) -> Reply:
        """The spot wallet."""
        held = _held(call, call.who.spot)
        return _data(call, {"balances": [{"asset": coin, "free": free, "locked": "0"} for coin, free in held]})

    @route("GET", "/openApi/fund/v1/account/balance", scopes=(READ,))
    def fund_balance(self, call: Call) -> Reply:
        """The funding wallet, apart from spot: nothing."""
        return _data(call, {"balances": [], "assets": []})

    @route("GET", "/openApi/account/v1/allAccountBalance", scopes=(READ,))
    def overview(self, call: Call) -> Reply:
        """Worth of each wallet in USDT."""
        worth = {"spot": call.who.spot.get("USDT", "0"), "USDTMPerp": call.who.futures.get("USDT", "0")}
        rows = [{"accountType": kind, "usdtBalance": amount} for kind, amount in worth.items()]
        return as_json({"code": 0, "timestamp": call.now_ms, "data": rows})

    # Reading needs Read alone; only orders need the right to trade futures (BingX docs, trade API).
    @route("GET", "/openApi/swap/v3/user/balance", scopes=(READ,))
    def futures_balance(self, call: Call) -> Reply:
        """A list with one row for each coin."""
        return _data(call, [_margin(call, coin, amount) for coin, amount in _held(call, call.who.futures)])

    @route("GET", "/openApi/swap/v2/user/balance", scopes=(READ,))
    def futures_balance_v2(self, call: Call) -> Reply:
        """The first coin alone."""
        coin, amount = next(iter(_held(call, call.who.futures)), ("USDT", "0"))
        return _data(call, {"balance": _margin(call, coin, amount)})

    @route("GET", "/openApi/cswap/v1/user/balance", scopes=(READ,))
    @route("GET", "/openApi/cswap/v1/user/positions", scopes=(READ,))
    @route("GET", "/openApi/swap/v2/user/positions", scopes=(READ,))
    def positions(self, call: Call) -> Reply:
        """None."""
        return _data(call, [])

    @route("GET", "/openApi/spot/v1/trade/openOrders", scopes=(READ,))
    @route("GET", "/openApi/spot/v1/trade/historyOrders", scopes=(READ,))
    @route("GET", "/openApi/swap/v2/trade/openOrders", scopes=(READ,))
    @route("GET", "/openApi/swap/v2/trade/allOrders", scopes=(READ,))
    @route("GET", "/openApi/cswap/v1/trade/openOrders", scopes=(READ,))
    def orders(self, call: Call) -> Reply:
        """Open ones on spot and USDT contracts; no closed ones."""
        name = call.params.get("symbol")
        if name and name not in SYMBOLS:
            return _no_symbol(call, name)
        spot = call.path == "/openApi/spot/v1/trade/openOrders"
        swap = call.path == "/openApi/swap/v2/trade/openOrders"
        names = call.who.spot_orders if spot else call.who.futures_orders if swap else ()
        rows = [_open_order(call, one, swap=swap) for one in names if name in (None, "", one)]
        return _data(call, {"orders": rows})

    @route("GET", "/openApi/spot/v1/user/commissionRate", scopes=(READ,))
    def spot_fees(self, call: Call) -> Reply:
        """What this account pays for a pair, as numbers (BingX docs, query trading commission rate)."""
        maker, taker = map(float, call.who.spot_fees)
        return _wrong_symbol(call) or _data(call, {"takerCommissionRate": taker, "makerCommissionRate": maker})

    @route("GET", "/openApi/swap/v2/user/commissionRate", scopes=(READ,))
    def futures_fees(self, call: Call) -> Reply:
        """The same for all contracts: it takes no symbol, and is one level deeper."""
        maker, taker = map(float, call.who.futures_fees)
        return _data(call, {"commission": {"takerCommissionRate": taker, "makerCommissionRate": maker}})

    @route("GET", "/openApi/swap/v1/maintMarginRatio", scopes=(READ,))
    def margin_tiers(self, call: Call) -> Reply:
        """BingX docs, position and maintenance margin ratio: all of it text. How a tier is named was chosen."""
        if (wrong := _wrong_symbol(call)) is not None:
            return wrong
        rows, saved, before = list[dict[str, str]](), Decimal(0), Decimal(0)
        for number, (least, most, ratio) in enumerate(TIERS, 1):
            saved += least * (Decimal(ratio) - before)
            before = Decimal(ratio)
            rows.append(
                {"tier": str(number), "symbol": call.params["symbol"], "minPositionVal": str(least),
                 "maxPositionVal": str(most), "maintMarginRatio": ratio, "maintAmount": f"{saved:.6f}"}
            )  # fmt: skip
        return as_json({"code": 0, "msg": "", "timestamp": call.now_ms, "data": rows})

    @route("GET", "/openApi/api/v3/capital/deposit/hisrec", scopes=(READ,))
    @route("GET", "/openApi/api/v3/capital/withdraw/history", scopes=(READ,))
    def money_history(self, _call: Call) -> Reply:
        """Deposits and withdrawals: none, and no wrapper."""
        return as_json([])

    @route("GET", "/openApi/wallets/v1/capital/config/getall", scopes=(READ,))
    def coins(self, call: Call) -> Reply:
        """BingX docs, query currency deposit and withdrawal data."""
        coins = [("USDT", "Tether"), *((pair.base, pair.title) for pair in PAIRS)]
        return _data(call, [_coin(coin, title) for coin, title in coins])

    @route("POST", "/openApi/swap/v2/trade/order/test", scopes=(FUTURES,), dry_run=True)
    def order_test(self, call: Call) -> Reply:
        """Validates an order and places none: "the result is a fake order" (BingX docs, test order)."""
        order = _given(call)
        for name in ("symbol", "type", "side"):
            if not order.get(name):
                return _wrong(call, f"{name}: This field is required")
        if order["symbol"] not in SYMBOLS:
            return _no_symbol(call, order["symbol"])
        if order["side"] not in ("BUY", "SELL"):
            return _wrong(call, "side must be one of [BUY, SELL]")
        if order.get("positionSide", "LONG") not in ("LONG", "SHORT", "BOTH"):
            return _wrong(call, "positionSide must be one of [LONG, SHORT, BOTH]")
        if (needed := ORDER_TYPES.get(order["type"])) is None:
            return _wrong(call, "type is invalid")
        for name in needed:
            if (_number(order.get(name)) or 0) <= 0:
                return _wrong(call, f"{name} must be greater than 0")
        number = int(hashlib.sha256(f"{call.query}{call.body!r}".encode()).hexdigest()[:15], 16)
        made = {
            "symbol": order["symbol"], "orderId": number, "side": order["side"], "type": order["type"],
            "positionSide": order.get("positionSide", "LONG"), "reduceOnly": order.get("reduceOnly") == "true",
            "clientOrderId": order.get("clientOrderId", ""), "price": float(order.get("price") or 0),
            "quantity": float(order.get("quantity") or 0), "stopGuaranteed": "false",
        }  # fmt: skip
        return _data(call, {"order": made})

    # -- markets

    @route("GET", "/openApi/spot/v1/common/symbols")
    def spot_symbols(self, call: Call) -> Reply:
        """BingX docs, spot trading symbols."""
        found = _chosen(call)
        return _data(call, {"symbols": [_spot_market(name, pair) for name, pair in found.items()]})

    @route("GET", "/openApi/swap/v2/quote/contracts")
    def contracts(self, call: Call) -> Reply:
        """BingX docs, futures symbols."""
        return _data(call, [_contract_market(name, pair) for name, pair in _chosen(call).items()])

    @route("GET", "/openApi/cswap/v1/market/contracts")
    def coin_contracts(self, call: Call) -> Reply:
        """Contracts that are margined in coins."""
        rows = [
            {
                "symbol": f"{pair.base}-USD", "pricePrecision": _places(pair.price_step), "minTickSize": "100",
                "minTradeValue": "100", "minQty": "1.00000000", "status": 1, "timeOnline": CREATED_MS,
            }
            for pair in PAIRS
        ]  # fmt: skip
        return as_json({"code": 0, "msg": "", "timestamp": call.now_ms, "data": rows})

    @route("GET", "/openApi/spot/v1/ticker/24hr")
    def spot_tickers(self, call: Call) -> Reply:
        """24 hours of one pair, or all; a list in any case."""
        return _data(call, [_day(name, pair, call) for name, pair in _chosen(call).items()])

    @route("GET", "/openApi/swap/v2/quote/ticker")
    def futures_tickers(self, call: Call) -> Reply:
        """24 hours of one contract, or a list of all."""
        rows = [_day(name, pair, call) for name, pair in _chosen(call).items()]
        name = call.params.get("symbol")
        if name:
            return _data(call, rows[0]) if rows else _no_symbol(call, name)
        return _data(call, rows)

    @route("GET", "/openApi/spot/v1/market/kline")
    @route("GET", "/openApi/spot/v2/market/kline")
    def spot_candles(self, call: Call) -> Reply:
        """Lists, newest first: open time, open, high, low, close, volume, close time, turnover; at most 1440.

        Days begin in Beijing unless `timeZone` says otherwise; those of futures in UTC (ccxt pull request 29395).
        """
        return self._candles(call, spot=True)

    @route("GET", "/openApi/swap/v2/quote/klines")
    @route("GET", "/openApi/swap/v3/quote/klines")
    def futures_candles(self, call: Call) -> Reply:
        """Objects, newest first; at most 1440."""
        return self._candles(call, spot=False)

    @staticmethod
    def _candles(call: Call, *, spot: bool) -> Reply:
        params = call.params
        name = params.get("symbol", "")
        pair, minutes = SYMBOLS.get(name), _STEPS.get(params.get("interval", ""))
        if pair is None:
            return _no_symbol(call, name)
        if minutes is None:
            return _wrong(call, "interval is invalid")
        start, end, limit, zone = (_whole(params.get(key)) for key in ("startTime", "endTime", "limit", "timeZone"))
        count, step = min(limit or 500, 1440), minutes * MINUTE_MS
        east = (8 if spot else 0) if zone is None else zone
        first = None if start is None else start + 1  # it is not included (ccxt, fetchOHLCV)
        found = candles(pair, step, call.now_ms, start_ms=first, end_ms=end, limit=count, east_ms=east * 60 * MINUTE_MS)
        if spot:
            return _data(
                call,
                [
                    [c.open_ms, *map(float, (c.open, c.high, c.low, c.close, c.volume)), c.open_ms + step - 1,
                     float(c.turnover)]
                    for c in reversed(found)
                ],
            )  # fmt: skip
        return _data(
            call,
            [
                {"open": str(c.open), "close": str(c.close), "high": str(c.high), "low": str(c.low),
                 "volume": str(c.volume), "time": c.open_ms}
                for c in reversed(found)
            ],
        )  # fmt: skip


def _reported(account: Account, letter: str, report: Mapping[str, object]) -> dict[str, object]:
    given = account.report
    over = given.get(letter, {}) if given.keys() & {"A", "B", "C"} else given
    return {name: value for name, value in {**report, **over}.items() if name not in account.omit}


def _flat(call: Call, report: Mapping[str, object]) -> Reply:
    wrapped = "wrapped" in call.who.mode.split()
    return as_json({"code": 0, "msg": "", "data": report} if wrapped else report)


def _numbers(permissions: Iterable[str]) -> list[int | str]:
    return sorted((int(text) if text.isdigit() else text for text in permissions), key=str)


def _addresses(account: Account) -> list[str]:
    return list(account.ip_whitelist)


def _held(call: Call, held: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a wallet holds; on the VST hosts dollars are virtual."""
    return [("VST" if coin == "USDT" and call.group == "vst" else coin, amount) for coin, amount in held.items()]


def _margin(call: Call, coin: str, amount: str) -> dict[str, object]:
    zero = dict.fromkeys(("unrealizedProfit", "realisedProfit", "usedMargin", "freezedMargin"), "0")
    whole = dict.fromkeys(("balance", "equity", "availableMargin"), amount)
    return {"userId": str(call.who.uid), "asset": coin, **whole, **zero, "shortUid": str(call.who.uid)}


def _chosen(call: Call) -> dict[str, Pair]:
    name = call.params.get("symbol")
    return {key: pair for key, pair in SYMBOLS.items() if name in (None, "", key)}


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _spot_market(name: str, pair: Pair) -> dict[str, object]:
    least = {} if pair.terse else {"minQty": float(pair.size_step), "minNotional": 1}
    return {
        "symbol": name, **least, "maxQty": 10_000, "maxNotional": 1_000_000,
        "status": 1 if pair.open else 0, "tickSize": float(pair.price_step), "stepSize": float(pair.size_step),
        "apiStateBuy": pair.by_api, "apiStateSell": pair.by_api, "timeOnline": 0, "offTime": 0, "maintainTime": 0,
        "displayName": name,
    }  # fmt: skip


def _contract_market(name: str, pair: Pair) -> dict[str, object]:
    return {
        "contractId": str(100 + LISTED.index(pair)), "symbol": name, "size": str(pair.size_step),
        "quantityPrecision": _places(pair.size_step), "pricePrecision": _places(pair.price_step), "feeRate": 0.0005,
        "makerFeeRate": 0.0002, "takerFeeRate": 0.0005, "tradeMinLimit": 0,
        **({} if pair.terse else {"tradeMinQuantity": float(pair.size_step), "tradeMinUSDT": 2}),
        "maxLongLeverage": pair.max_leverage, "maxShortLeverage": pair.max_leverage,
        "currency": pair.quote, "asset": pair.base, "status": 1 if pair.open else 0,
        "apiStateOpen": str(pair.by_api).lower(), "apiStateClose": str(pair.by_api).lower(),
        "ensureTrigger": True, "triggerFeeRate": "0.00050000", "brokerState": False, "launchTime": 1_586_275_200_000,
        "maintainTime": 0, "offTime": 0, "displayName": name,
    }  # fmt: skip


def _day(name: str, pair: Pair, call: Call) -> dict[str, object]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    change = ((price - before) / before * 100).quantize(Decimal("0.01"))
    return {
        "symbol": name, "openPrice": str(before), "highPrice": str(max(price, before)),
        "lowPrice": str(min(price, before)), "lastPrice": str(price), "priceChange": str(price - before),
        "priceChangePercent": f"{change}%" if "/spot/" in call.path else str(change), "volume": "1200.5",
        "quoteVolume": str(price * 1200), "openTime": call.now_ms - DAY_MS, "closeTime": call.now_ms,
        "bidPrice": str(price), "bidQty": "1.5", "askPrice": str(price + pair.price_step), "askQty": "1.2",
    }  # fmt: skip


def _coin(coin: str, title: str) -> dict[str, object]:
    network = {"USDT": "TRC20", "ETH": "ERC20"}.get(coin, coin)
    return {
        "coin": coin, "name": title,
        "networkList": [
            {
                "name": coin, "network": network, "isDefault": True, "minConfirm": 3, "withdrawEnable": True,
                "depositEnable": True, "withdrawFee": "0.001", "withdrawMax": "1000", "withdrawMin": "0.01",
                "depositMin": "0.001", "withdrawPrecision": 8, "depositPrecision": 8, "contractAddress": "",
                "needTagOrMemo": False,
            }
        ],
    }  # fmt: skip


EXCHANGE = BingX
