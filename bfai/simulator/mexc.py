"""MEXC: spot (`/api/v3`, query signed) and futures (`/api/v1/private`, headers signed).

Sources are MEXC's spot v3 and contract v1 documents; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

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
from bfai.simulator.markets import LISTED, MINUTE_MS, PAIRS, Candle, Pair, by_symbol, candles, price_at

SPOT: Final = by_symbol("")
CONTRACTS: Final = by_symbol("_")
BY_API: Final = tuple(name for name, pair in SPOT.items() if pair.by_api and pair.open)
CREATED_MS: Final = 1_789_412_016_000  # 2026-09-14T18:53:36Z, as in the documents' sample

READS: Final = (
    "SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_TRANSFER_READ", "SPOT_WITHDRAW_READ",
    "CONTRACT_ACCOUNT_READ", "CONTRACT_DEAL_READ",
)  # fmt: skip
TRADES: Final = (*READS, "SPOT_DEAL_WRITE", "CONTRACT_DEAL_WRITE")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)

_WELL_FORMED: Final = re.compile(r"mx0[0-9A-Za-z]{9,40}")
_LOWER_ESCAPE: Final = re.compile(r"%(?:[0-9A-F]?[a-f]|[a-f][0-9A-Fa-f])")
_SPOT_STEPS: Final = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "4h": 240, "1d": 1440, "1W": 10_080, "1M": 43_200,
}  # fmt: skip
_CONTRACT_STEPS: Final = {
    "Min1": 1, "Min5": 5, "Min15": 15, "Min30": 30, "Min60": 60, "Hour4": 240, "Hour8": 480, "Day1": 1440,
    "Week1": 10_080, "Month1": 43_200,
}  # fmt: skip


def spot_signature(secret: str, query: str, body: str | bytes = b"") -> str:
    """Lower-case hex HMAC-SHA256 of the raw query (without the signature) and the raw body (MEXC spot docs, SIGNED)."""
    return hmac_sha256(secret, query.encode() + (body.encode() if isinstance(body, str) else body)).hex()


def contract_signature(secret: str, api_key: str, request_time: str, params: str) -> str:
    """Lower-case hex HMAC-SHA256 of key, time and parameters (MEXC contract docs, authentication method)."""
    return hmac_sha256(secret, api_key + request_time + params).hex()


def contract_params(query: str) -> str:
    """The parameters of a GET as they are signed: the raw pieces sorted by name, a space as `%20`."""
    pieces = [piece for piece in query.split("&") if piece]
    return "&".join(sorted(pieces, key=lambda piece: piece.partition("=")[0])).replace("+", "%20")


def without_signature(text: str) -> tuple[str, str | None]:
    """The text without its `signature` parameter, and that parameter's value (None: there was none)."""
    if "signature=" not in text:
        return text, None
    kept: list[str] = []
    found: str | None = None
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        if name == "signature":
            found = value
        else:
            kept.append(piece)
    return "&".join(kept), found


def _error(status: int, code: int, msg: str) -> Reply:
    return as_json({"code": code, "msg": msg}, status)


def _missing(name: str) -> Reply:
    return _error(400, 700004, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _contract_error(code: int, message: str) -> Reply:
    return as_json({"success": False, "code": code, "message": message})


def _spot_order(call: Call, name: str) -> dict[str, object]:
    """MEXC spot docs, current open orders."""
    at = call.now_ms - 60_000
    return {
        "symbol": name, "orderId": "C02__413321238354677760043", "orderListId": -1, "clientOrderId": "", "price": "1",
        "origQty": "10", "executedQty": "0", "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": None,
        "type": "LIMIT", "side": "BUY", "stopPrice": None, "icebergQty": None, "time": at, "updateTime": at,
        "isWorking": True, "origQuoteOrderQty": "10",
    }  # fmt: skip


def _contract_order(call: Call, name: str) -> dict[str, object]:
    """MEXC contract docs, the user's current pending orders."""
    at = call.now_ms - 60_000
    return {
        "orderId": "102015012431820288", "symbol": name, "positionId": 0, "price": 1, "vol": 10, "leverage": 20,
        "side": 1, "category": 1, "orderType": 1, "dealAvgPrice": 0, "dealVol": 0, "orderMargin": 0.5, "usedMargin": 0,
        "takerFee": 0, "makerFee": 0, "profit": 0, "feeCurrency": "USDT", "openType": 1, "state": 2,
        "externalOid": "_m_0e9520c256744d64b942985189026d20", "errorCode": 0, "createTime": at, "updateTime": at,
    }  # fmt: skip


def _contract(data: object) -> Reply:
    return as_json({"success": True, "code": 0, "data": data})


def _number(text: str | None) -> Decimal | None:
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    words = hashlib.sha512(f"bfai simulator mexc {name}".encode()).digest()
    tail = base64.b64encode(words).decode().replace("+", "x").replace("/", "y")[:8]
    made = Account(
        name=name,
        api_key=f"mx0vSAMPLE{tail}",
        secret=sample_hex(32, "mexc", name),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=209_302_800 + words[0],
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


class Mexc(Exchange):
    """MEXC as its documents describe it."""

    name = "mexc"
    hosts = {"api.mexc.com": "spot", "contract.mexc.com": "contract"}  # noqa: RUF012
    forbidden = (
        ("/api/v3/apiKeyInfo", "edits a key"),
        ("/api/v3/capital/", "moves money"),
        ("/api/v3/order", "places or cancels an order"),
        ("/api/v3/batchOrders", "places or cancels an order"),
        ("/api/v3/openOrders", "places or cancels an order"),
        ("/api/v3/sub-account", "edits a sub-account"),
        ("/api/v1/private/order", "places or cancels an order"),
        ("/api/v1/private/planorder", "places or cancels an order"),
        ("/api/v1/private/stoporder", "places or cancels an order"),
        ("/api/v1/private/position", "changes a position"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts; without an IP list a key lives 90 days (MEXC spot docs, API key)."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, "SPOT_WITHDRAW_WRITE"))
        yield _account("read_only", READS)
        yield _account("no_futures", tuple(right for right in TRADES if right.startswith("SPOT")))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=(), expires_in_days=82)
        yield _account("expired", status="expired", ip_whitelist=())
        yield _account("expiring", ip_whitelist=(), expires_in_days=5)
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "SPOT_VAULT_WRITE"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header of whichever API is called."""
        return call.headers.get("ApiKey" if call.path.startswith("/api/v1/") else "X-MEXC-APIKEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """MEXC docs, SIGNED and errors; the order of the checks is fixed (headers, key, time, signature, IP, scope)."""
        return (
            self._contract_refusal(call, route) if call.path.startswith("/api/v1/") else self._spot_refusal(call, route)
        )

    def _spot_refusal(self, call: Call, route: Route) -> Reply | None:
        key = self.key_of(call)
        if not key:
            return _error(400, 400, "api key required")
        query, signature = without_signature(call.query)
        body = call.body
        if signature is None and body:
            form, signature = without_signature(body.decode("latin-1"))
            body = form.encode("latin-1")
        params = call.params
        if not signature:
            return _missing("signature")
        if not params.get("timestamp"):
            return _missing("timestamp")
        account = call.account
        if account is None or account.status == "deleted" or self.expired(account, call.now_ms):
            if account is None and not _WELL_FORMED.fullmatch(key):
                # a 32-character stranger is answered as a bad signature, other malformed keys as malformed
                return self._unsigned() if len(key) == 32 else _error(400, 700001, "API-key format invalid.")
            return _error(400, 10072, "Api key info invalid")
        sent, window = _number(params["timestamp"]), _number(params.get("recvWindow", "5000"))
        if window is None or window > 60_000:
            return _error(400, 700005, "recvWindow must less than 60000")
        if sent is None or not (sent < call.now_ms + 1000 and call.now_ms - sent <= window):
            return _error(400, 700003, "Timestamp for this request is outside of the recvWindow.")
        if ("%" in query and _LOWER_ESCAPE.search(query)) or not same(
            signature, spot_signature(account.secret, query, body)
        ):
            return self._unsigned()
        if not account.allows(call.address):
            return _error(400, 700006, f"IP [{call.address}] not in the ip white list")
        if account.status == "frozen" and call.path != "/api/v3/apiKeyInfo":
            return _error(400, 730100, "Unusual user status")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _error(400, 700007, "No permission to access the endpoint.")
        return None

    @staticmethod
    def _unsigned() -> Reply:
        return _error(401, 700002, "Signature for this request is not valid.")

    def _contract_refusal(self, call: Call, route: Route) -> Reply | None:
        headers = call.headers
        key, sent, signature = headers.get("ApiKey"), headers.get("Request-Time"), headers.get("Signature")
        account = call.account
        if not key or not sent or not signature or account is None or account.status == "deleted":
            return _contract_error(401, "Not logged in or login has expired")
        if self.expired(account, call.now_ms):
            return _contract_error(402, "Api key expired!")
        # the unit of Recv-Window is seconds in the documents; more than 60 counts as 60
        window = min(_number(headers.get("Recv-Window")) or Decimal(10), Decimal(60)) * 1000
        at = _number(sent)
        if at is None or abs(call.now_ms - at) > window:
            return _contract_error(513, "Invalid request")
        params = call.body.decode("utf-8", "replace") if call.method == "POST" else contract_params(call.query)
        if not same(signature, contract_signature(account.secret, key, sent, params)):
            return _contract_error(602, "Confirming signature failed")
        if not account.allows(call.address):
            return _contract_error(406, f"IP [{call.address}] not in the ip white list")
        if account.status == "frozen":
            return _contract_error(6001, "Trading forbidden")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _contract_error(route.refusal, "No permission to access the endpoint.")
        return None

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """Spot knows 404 in its own words, futures 1001-style JSON; both with status 404."""
        if call.path.startswith("/api/v1/"):
            return as_json({"success": False, "code": 404, "message": "Not Found"}, 404)
        return _error(404, 404, "Not Found")

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        if call.path.startswith("/api/v1/"):
            return _contract_error(704, "No permission to access the endpoint.")
        return _error(400, 700007, "No permission to access the endpoint.")

    def rate_limited(self, call: Call) -> Reply:
        """MEXC docs, LIMITS."""
        if call.path.startswith("/api/v1/"):
            return _contract_error(510, "Requests are too frequent. Please try again later")
        return _error(429, 429, "Too Many Requests")

    def maintenance(self, call: Call) -> Reply:
        """Seen with status 500."""
        del call
        words = "Under maintenance, please try again later"
        return as_json({"code": 500, "message": words, "announcement": "https://www.mexc.com/support/"}, 500)

    # -- spot, public

    @route("GET", "/api/v3/ping", groups=("spot",))
    def ping(self, _call: Call) -> Reply:
        """MEXC spot docs, market data."""
        return as_json({})

    @route("GET", "/api/v3/time", groups=("spot",))
    def time(self, call: Call) -> Reply:
        """Server time in ms."""
        return as_json({"serverTime": call.now_ms})

    @route("GET", "/api/v3/defaultSymbols", groups=("spot",))
    def default_symbols(self, _call: Call) -> Reply:
        """Pairs that can be traded by API."""
        return as_json({"code": 200, "data": list(BY_API), "msg": None})

    @route("GET", "/api/v3/exchangeInfo", groups=("spot",), weight=10)
    def exchange_info(self, call: Call) -> Reply:
        """MEXC spot docs, exchange information; `symbol` or `symbols` narrow it."""
        wanted = call.params.get("symbol") or call.params.get("symbols")
        pairs = [pair for name, pair in SPOT.items() if not wanted or name in wanted.split(",")]
        if wanted and not pairs:
            return _error(400, 10007, "bad symbol")
        return as_json(
            {
                "timezone": "CST",
                "serverTime": call.now_ms,
                "rateLimits": [],
                "exchangeFilters": [],
                "symbols": [_spot_market(pair) for pair in pairs],
            }
        )

    @route("GET", "/api/v3/ticker/price", groups=("spot",))
    def ticker_price(self, call: Call) -> Reply:
        """One price, or all."""

        def row(pair: Pair) -> dict[str, object]:
            return {"symbol": pair.join(""), "price": str(price_at(pair, call.now_ms))}

        return self._for_symbols(call, row)

    @route("GET", "/api/v3/ticker/bookTicker", groups=("spot",))
    def book_ticker(self, call: Call) -> Reply:
        """Best bid and ask."""

        def row(pair: Pair) -> dict[str, object]:
            price = price_at(pair, call.now_ms)
            ask = str(price + pair.price_step)
            return {"symbol": pair.join(""), "bidPrice": str(price), "bidQty": "1.5", "askPrice": ask, "askQty": "1.2"}

        return self._for_symbols(call, row)

    @route("GET", "/api/v3/ticker/24hr", groups=("spot",))
    def ticker_day(self, call: Call) -> Reply:
        """24 hours of one pair, or all."""

        def row(pair: Pair) -> dict[str, object]:
            price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
            return {
                "symbol": pair.join(""), "priceChange": str(price - before),
                "priceChangePercent": str(((price - before) / before).quantize(Decimal("0.0001"))),
                "prevClosePrice": str(before), "lastPrice": str(price), "bidPrice": str(price), "bidQty": "1.5",
                "askPrice": str(price + pair.price_step), "askQty": "1.2", "openPrice": str(before),
                "highPrice": str(max(price, before)), "lowPrice": str(min(price, before)), "volume": "1200.5",
                "quoteVolume": str(price * 1200), "openTime": call.now_ms - DAY_MS, "closeTime": call.now_ms,
                "count": None,
            }  # fmt: skip

        return self._for_symbols(call, row)

    @staticmethod
    def _for_symbols(call: Call, row: Callable[[Pair], dict[str, object]]) -> Reply:
        name = call.params.get("symbol")
        if name:
            pair = SPOT.get(name)
            return _error(400, 10007, "bad symbol") if pair is None else as_json(row(pair))
        return as_json([row(pair) for pair in SPOT.values()])

    @route("GET", "/api/v3/klines", groups=("spot",))
    def klines(self, call: Call) -> Reply:
        """Candles, oldest first. Documents say at most 1000; 500 come (ccxt, fetchOHLCV).

        A begin without an end is left out of account (ccxt issue 17483), and the end is not included.
        """
        params = call.params
        pair, minutes = SPOT.get(params.get("symbol", "")), _SPOT_STEPS.get(params.get("interval", ""))
        if pair is None:
            return _error(400, 10007, "bad symbol") if params.get("symbol") else _missing("symbol")
        if minutes is None:
            return _error(400, -1121, "Invalid interval.")
        found = _candles(call, pair, minutes, names=("startTime", "endTime"), unit=1, most=500)
        step = minutes * MINUTE_MS
        return as_json(
            [
                [c.open_ms, *map(str, (c.open, c.high, c.low, c.close, c.volume)), c.open_ms + step, str(c.turnover)]
                for c in found
            ]
        )

    # -- spot, signed

    @route("GET", "/api/v3/apiKeyInfo", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",))
    def api_key_info(self, call: Call) -> Reply:
        """The key's report on itself. The report of another key is refused as unknown (the documents are silent)."""
        account, asked = call.who, call.params.get("accessKey")
        if not asked:
            return _error(400, 730707, "accessKey is null")
        if asked != account.api_key:
            return _error(400, 730706, "API KEY information does not exist")
        end = self.expires_ms(account)
        created = datetime.fromtimestamp(CREATED_MS / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")
        report = {
            "note": account.label,
            "accessKey": account.api_key,
            "createTime": created,
            "permissions": ",".join(account.permissions),
            "remainingValidity": -999 if end is None else math.ceil((end - call.now_ms) / DAY_MS),
            "ipWhiteList": ",".join(account.ip_whitelist),
            "status": "FROZEN" if account.status == "frozen" else "VALID",
        }
        return as_json({name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/api/v3/account", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",), weight=10)
    def account(self, call: Call) -> Reply:
        """Balances; the three flags are the account's, true for any key."""
        balances = [{"asset": asset, "free": free, "locked": "0"} for asset, free in call.who.spot.items()]
        return as_json(
            {
                "canTrade": True,
                "canWithdraw": True,
                "canDeposit": True,
                "updateTime": None,
                "accountType": "SPOT",
                "balances": balances,
                "permissions": ["SPOT"],
            }
        )

    @route("GET", "/api/v3/uid", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",))
    def uid(self, call: Call) -> Reply:
        """The account's number, as text."""
        return as_json({"uid": str(call.who.uid)})

    @route("GET", "/api/v3/kyc/status", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",))
    def kyc(self, _call: Call) -> Reply:
        """2 is primary verification."""
        return as_json({"status": "2"})

    @route("GET", "/api/v3/selfSymbols", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",))
    def self_symbols(self, call: Call) -> Reply:
        """The pairs that this key may trade."""
        return as_json({"code": 200, "data": list(call.who.pairs or BY_API), "msg": None})

    @route("GET", "/api/v3/tradeFee", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",), weight=20)
    def trade_fee(self, call: Call) -> Reply:
        """What this account pays for one pair, as numbers (MEXC spot docs, query symbol commission)."""
        name, (maker, taker) = call.params.get("symbol"), call.who.spot_fees
        if name not in SPOT:
            return _error(400, 10007, "bad symbol") if name else _missing("symbol")
        fee = {"makerCommission": float(maker), "takerCommission": float(taker)}
        return as_json({"data": fee, "code": 0, "msg": "success", "timestamp": call.now_ms})

    @route("GET", "/api/v3/sub-account/list", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",))
    def sub_accounts(self, call: Call) -> Reply:
        """For masters only."""
        if call.who.is_sub:
            return _error(400, 140002, "sub account is forbidden")
        return as_json({"subAccounts": []})

    @route("GET", "/api/v3/openOrders", groups=("spot",), scopes=("SPOT_DEAL_READ",), weight=3)
    @route("GET", "/api/v3/allOrders", groups=("spot",), scopes=("SPOT_DEAL_READ",), weight=10)
    @route("GET", "/api/v3/myTrades", groups=("spot",), scopes=("SPOT_ACCOUNT_READ",), weight=10)
    def orders(self, call: Call) -> Reply:
        """Open ones of these pairs, no closed ones, no trades; `symbol` is required, up to five with commas."""
        names = [name for name in call.params.get("symbol", "").split(",") if name]
        if not names:
            return _missing("symbol")
        if not all(name in SPOT for name in names[:5]):
            return _error(400, 10007, "bad symbol")
        open_ones = call.who.spot_orders if call.path.endswith("openOrders") else ()
        return as_json([_spot_order(call, name) for name in open_ones if name in names[:5]])

    @route("GET", "/api/v3/order", groups=("spot",), scopes=("SPOT_DEAL_READ",), weight=2)
    def order(self, _call: Call) -> Reply:
        """There is no order to find."""
        return _error(400, -2013, "Order does not exist.")

    @route("POST", "/api/v3/order/test", groups=("spot",), scopes=("SPOT_DEAL_WRITE",), dry_run=True)
    def order_test(self, call: Call) -> Reply:
        """Validates an order and sends nothing to the book (MEXC spot docs, test new order)."""
        params = call.params
        for name in ("symbol", "side", "type"):
            if not params.get(name):
                return _missing(name)
        pair = SPOT.get(params["symbol"])
        if pair is None:
            return _error(400, 10007, "bad symbol")
        kind, limited = params["type"], params["type"] != "MARKET"
        if params["side"] not in ("BUY", "SELL") or kind not in (
            "LIMIT",
            "MARKET",
            "LIMIT_MAKER",
            "IMMEDIATE_OR_CANCEL",
            "FILL_OR_KILL",
        ):
            return _error(400, -1128, "Combination of optional parameters invalid.")
        quantity, price, amount = (_number(params.get(name)) for name in ("quantity", "price", "quoteOrderQty"))
        if limited and quantity is None:
            return _missing("quantity")
        if limited and price is None:
            return _missing("price")
        if not limited and quantity is None and amount is None:
            return _missing("quantity")
        if call.who.pairs and params["symbol"] not in call.who.pairs:
            return _error(400, 30020, "no permission for the symbol")
        worth = (
            amount if amount is not None and not limited else (quantity or 0) * (price or price_at(pair, call.now_ms))
        )
        if worth < 1:
            return _error(400, 30002, "The minimum transaction volume cannot be less than：1USDT")
        return as_json({})

    @route("GET", "/api/v3/capital/transfer", groups=("spot",), scopes=("SPOT_TRANSFER_READ",))
    def transfers(self, call: Call) -> Reply:
        """Transfers between own accounts: none."""
        for name in ("fromAccountType", "toAccountType"):
            if not call.params.get(name):
                return _missing(name)
        return as_json({"rows": [], "total": 0})

    @route("GET", "/api/v3/capital/withdraw/history", groups=("spot",), scopes=("SPOT_WITHDRAW_READ",))
    @route("GET", "/api/v3/capital/deposit/hisrec", groups=("spot",), scopes=("SPOT_WITHDRAW_READ",))
    def money_history(self, _call: Call) -> Reply:
        """Deposits and withdrawals: none."""
        return as_json([])

    @route("GET", "/api/v3/capital/withdraw/address", groups=("spot",), scopes=("SPOT_WITHDRAW_READ",))
    def withdraw_addresses(self, _call: Call) -> Reply:
        """Saved withdrawal addresses: none."""
        return as_json({"data": [], "totalRecords": 0, "page": 1, "totalPageNum": 0})

    @route("GET", "/api/v3/capital/config/getall", groups=("spot",), scopes=("SPOT_WITHDRAW_READ",), weight=10)
    def coins(self, _call: Call) -> Reply:
        """MEXC spot docs, currency information."""
        coins = [("USDT", "Tether"), *((pair.base, pair.title) for pair in PAIRS)]
        return as_json([_coin(coin, title) for coin, title in coins])

    # -- futures

    @route("GET", "/api/v1/contract/ping")
    def contract_ping(self, call: Call) -> Reply:
        """Server time in ms."""
        return _contract(call.now_ms)

    @route("GET", "/api/v1/contract/detail")
    def contract_detail(self, call: Call) -> Reply:
        """Contracts; with `symbol` one object."""
        name = call.params.get("symbol")
        if name:
            pair = CONTRACTS.get(name)
            return (
                _contract_error(1001, "Contract does not exist") if pair is None else _contract(_contract_market(pair))
            )
        return _contract([_contract_market(pair) for pair in CONTRACTS.values()])

    @route("GET", "/api/v1/contract/ticker")
    def contract_ticker(self, call: Call) -> Reply:
        """Tickers; with `symbol` one object."""
        name = call.params.get("symbol")
        if name:
            pair = CONTRACTS.get(name)
            return (
                _contract_error(1001, "Contract does not exist")
                if pair is None
                else _contract(_contract_tick(pair, call))
            )
        return _contract([_contract_tick(pair, call) for pair in CONTRACTS.values()])

    @route("GET", "/api/v1/contract/kline/{}")
    def contract_klines(self, call: Call) -> Reply:
        """Candles in columns; `start` and `end` in seconds; at most 2000."""
        params = call.params
        pair, minutes = CONTRACTS.get(call.segment), _CONTRACT_STEPS.get(params.get("interval", "Min1"))
        if pair is None:
            return _contract_error(1001, "Contract does not exist")
        if minutes is None:
            return _contract_error(600, "Parameter error")
        found = _candles(call, pair, minutes, names=("start", "end"), unit=1000, most=2000)
        return _contract(
            {
                "time": [c.open_ms // 1000 for c in found],
                "open": [float(c.open) for c in found],
                "close": [float(c.close) for c in found],
                "high": [float(c.high) for c in found],
                "low": [float(c.low) for c in found],
                "vol": [float((c.volume / pair.contract_size).quantize(Decimal(1))) for c in found],
                "amount": [float(c.turnover) for c in found],
            }
        )

    # The official page asks for order reading here, others say account reading: either opens it.
    @route("GET", "/api/v1/private/account/assets", scopes=("CONTRACT_ACCOUNT_READ", "CONTRACT_DEAL_READ"), refusal=701)
    def assets(self, call: Call) -> Reply:
        """Futures balances."""
        return _contract([_asset(coin, float(amount)) for coin, amount in call.who.futures.items()])

    @route(
        "GET", "/api/v1/private/account/asset/{}", scopes=("CONTRACT_ACCOUNT_READ", "CONTRACT_DEAL_READ"), refusal=701
    )
    def asset(self, call: Call) -> Reply:
        """One futures balance."""
        return _contract(_asset(call.segment, float(call.who.futures.get(call.segment, "0"))))

    @route("GET", "/api/v1/private/order/list/open_orders", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    @route("GET", "/api/v1/private/order/list/open_orders/{}", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    @route("GET", "/api/v1/private/order/list/history_orders", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    @route("GET", "/api/v1/private/position/open_positions", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    def contract_orders(self, call: Call) -> Reply:
        """Open orders, of one contract or all; no closed ones and no positions."""
        one = call.segment if "open_orders/" in call.path else ""
        names = call.who.futures_orders if "/open_orders" in call.path else ()
        return _contract([_contract_order(call, name) for name in names if one in ("", name)])

    # Both pages of fees ask for the right to read orders.
    @route("GET", "/api/v1/private/account/tiered_fee_rate", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    def fee_rate(self, call: Call) -> Reply:
        """What this account pays, in the older form; a discount of 1 is none. That a symbol is needed was chosen."""
        maker, taker = map(float, call.who.futures_fees)
        return _fee_symbol(call, needed=True) or _contract(
            {"level": 0, "dealAmount": 0, "walletBalance": float(call.who.futures.get("USDT", "0")), "makerFee": maker,
             "takerFee": taker, "makerFeeDiscount": 1, "takerFeeDiscount": 1}
        )  # fmt: skip

    @route("GET", "/api/v1/private/account/tiered_fee_rate/v2", scopes=("CONTRACT_DEAL_READ",), refusal=703)
    def fee_details(self, call: Call) -> Reply:
        """MEXC contract docs, get fee details: the real rates are what is paid, here half of the original ones."""
        maker, taker = map(Decimal, call.who.futures_fees)
        name = call.params.get("symbol")
        return _fee_symbol(call, needed=False) or _contract(
            {**({"symbol": name} if name else {}), "joinDiscount": True, "enjoyDiscount": True, "discountRate": 0.5,
             "joinDeduct": False, "enjoyDeduct": False, "deductRate": 0, "originalMakerFee": float(maker * 2),
             "originalTakerFee": float(taker * 2), "realMakerFee": float(maker), "realTakerFee": float(taker),
             "dealAmount": 0, "walletBalance": float(call.who.futures.get("USDT", "0")), "inviterKyc": "", "level": 0,
             "feeType": 1,
             "agentFee": False, "feeRateMode": "NORMAL", "leverageFeeRates": [], "tieredFeeRates": []}
        )  # fmt: skip


def _fee_symbol(call: Call, *, needed: bool) -> Reply | None:
    """What is wrong with the symbol of a fee call."""
    name = call.params.get("symbol")
    if not name:
        return _contract_error(600, "Parameter error") if needed else None
    return None if name in CONTRACTS else _contract_error(1001, "Contract does not exist")


def _candles(call: Call, pair: Pair, minutes: int, *, names: tuple[str, str], unit: int, most: int) -> list[Candle]:
    start, end, limit = (_number(call.params.get(name)) for name in (*names, "limit"))
    first, last = (None if at is None else int(at) * unit for at in (start, end))
    if unit == 1:
        first, last = (None, None) if first is None or last is None else (first, last - 1)
    usual = 500 if unit == 1 else most
    wanted = min(most, max(1, int(limit))) if limit is not None else usual
    return candles(pair, minutes * MINUTE_MS, call.now_ms, start_ms=first, end_ms=last, limit=wanted)


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _text(value: Decimal) -> str:
    return format(value, "f")


def _spot_market(pair: Pair) -> dict[str, object]:
    places = _places(pair.price_step)
    least = {} if pair.terse else {"quoteAmountPrecision": "1", "baseSizePrecision": _text(pair.size_step)}
    return {
        "symbol": pair.join(""), "status": "1" if pair.open else "2", "baseAsset": pair.base,
        "baseAssetPrecision": _places(pair.size_step),
        "quoteAsset": pair.quote, "quotePrecision": places, "quoteAssetPrecision": places,
        "baseCommissionPrecision": _places(pair.size_step), "quoteCommissionPrecision": places,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"], "isSpotTradingAllowed": pair.by_api,
        "isMarginTradingAllowed": False,
        **least, "permissions": ["SPOT"], "filters": [],
        "maxQuoteAmount": "2000000", "makerCommission": "0", "takerCommission": "0.0005",
        "quoteAmountPrecisionMarket": "1", "maxQuoteAmountMarket": "100000", "fullName": pair.title,
        "tradeSideType": 1, "contractAddress": "", "st": False,
    }  # fmt: skip


def _risk_mode(pair: Pair) -> dict[str, object]:
    """Two ways to tell risk levels: by equal steps, and one by one."""
    if pair.base != "ETH":
        return {"riskLimitMode": "INCREASE", "riskLimitCustom": []}
    levels = ((50_000, 0.004, 0.01), (200_000, 0.01, 0.02), (1_000_000, 0.025, 0.05))
    rows = [
        {"level": level, "maxVol": most, "mmr": kept, "imr": initial, "maxLeverage": int(1 / initial)}
        for level, (most, kept, initial) in enumerate(levels, 1)
    ]
    return {"riskLimitMode": "CUSTOM", "riskLimitCustom": rows}


def _contract_market(pair: Pair) -> dict[str, object]:
    name = pair.join("_")
    return {
        "symbol": name, "displayName": f"{name}永续", "displayNameEn": f"{name} PERPETUAL", "positionOpenType": 3,
        "baseCoin": pair.base, "quoteCoin": pair.quote, "settleCoin": pair.quote,
        "contractSize": float(pair.contract_size), "minLeverage": 1, "maxLeverage": pair.max_leverage,
        "priceScale": _places(pair.price_step), "volScale": 0, "amountScale": 4, "priceUnit": float(pair.price_step),
        "volUnit": 1, **({} if pair.terse else {"minVol": 1}), "maxVol": 1_000_000, "bidLimitPriceRate": 0.1,
        "askLimitPriceRate": 0.1,
        "takerFeeRate": 0.0004, "makerFeeRate": 0.0001, "maintenanceMarginRate": 0.004, "initialMarginRate": 0.008,
        "riskBaseVol": 10_000, "riskIncrVol": 200_000, "riskIncrMmr": 0.005, "riskIncrImr": 0.004,
        "riskLevelLimit": 5, "priceCoefficientVariation": 0.1, "indexOrigin": ["MEXC"], "state": 0 if pair.open else 4,
        "isNew": False,
        "isHot": True, "isHidden": False, "conceptPlate": [], "riskLimitType": "BY_VOLUME",
        "liquidationFeeRate": 0.0004, **_risk_mode(pair), "apiAllowed": pair.by_api,
    }  # fmt: skip


def _contract_tick(pair: Pair, call: Call) -> dict[str, object]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    return {
        "contractId": LISTED.index(pair) + 10, "symbol": pair.join("_"), "lastPrice": float(price),
        "bid1": float(price), "ask1": float(price + pair.price_step), "volume24": 1_200_000, "amount24": 96_000_000.0,
        "holdVol": 400_000, "lower24Price": float(min(price, before)), "high24Price": float(max(price, before)),
        "riseFallRate": float(((price - before) / before).quantize(Decimal("0.0001"))),
        "riseFallValue": float(price - before), "indexPrice": float(price), "fairPrice": float(price),
        "fundingRate": 0.0001, "maxBidPrice": float(price * 2), "minAskPrice": float(price / 2),
        "timestamp": call.now_ms,
    }  # fmt: skip


def _asset(coin: str, amount: float) -> dict[str, object]:
    return {
        "currency": coin, "positionMargin": 0, "availableBalance": amount, "cashBalance": amount, "frozenBalance": 0,
        "equity": amount, "unrealized": 0, "bonus": 0,
    }  # fmt: skip


def _coin(coin: str, title: str) -> dict[str, object]:
    network = {"USDT": "Tron(TRC20)", "ETH": "Ethereum(ERC20)", "SOL": "Solana(SOL)"}.get(coin, "Bitcoin(BTC)")
    short = {"USDT": "TRX"}.get(coin, coin)
    return {
        "coin": coin, "name": title,
        "networkList": [
            {
                "coin": coin, "depositDesc": None, "depositEnable": True, "minConfirm": 3, "name": title,
                "network": network, "withdrawEnable": True, "withdrawFee": "0.001", "withdrawIntegerMultiple": None,
                "withdrawMax": "1000", "withdrawMin": "0.01", "sameAddress": False, "contract": None,
                "withdrawTips": None, "depositTips": None, "netWork": short,
            }
        ],
    }  # fmt: skip


EXCHANGE = Mexc
