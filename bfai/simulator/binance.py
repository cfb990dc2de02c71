"""Binance: spot and wallet (`api.binance.com`), USD-M futures (`fapi.binance.com`), Binance.US, testnet and demo mode.

`Account.site` is `global`, `us`, `testnet` or `demo`: each has keys of its own, and another one's is unknown (-2008).
`Account.permissions` are the names of the fields of the key report that are true. A secret in PEM is the pair of a
self-made key (RSA or Ed25519); the others are HMAC. `Account.report` may add or change fields of the key report.

Sources are the spot documents, the official connectors and error tables; where they are silent, the comment says what
was chosen. Testnet and demo mode serve `/api` and `/fapi` only; COIN-M (`dapi.binance.com`) says it has no markets.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, ClassVar, Final
from urllib.parse import unquote

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
from bfai.simulator.markets import MINUTE_MS, Pair, by_symbol, candles, price_at

SYMBOLS: Final = by_symbol("")
LOTS: Final = ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
CREATED_MS: Final = 1_698_645_219_000
WINDOW_MS: Final = 5_000
MAX_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1_000
MICROSECONDS: Final = 10**15
"""A time at least this large is in µs, which Binance takes, too."""
READ: Final = "enableReading"
SPOT: Final = "enableSpotAndMarginTrading"
FUTURES: Final = "enableFutures"
WITHDRAW: Final = "enableWithdrawals"
TRADES: Final = (READ, SPOT, FUTURES)
FIELDS: Final = (
    READ,
    WITHDRAW,
    "enableInternalTransfer",
    "enableMargin",
    FUTURES,
    "permitsUniversalTransfer",
    "enableVanillaOptions",
    "enableFixApiTrade",
    "enableFixReadOnly",
    SPOT,
    "enablePortfolioMarginTrading",
)
SPOT_SITES: Final = {"api.binance.us": "us", "testnet.binance.vision": "testnet", "demo-api.binance.com": "demo"}
FUTURES_SITES: Final = {"demo-fapi.binance.com": "demo", "testnet.binancefuture.com": "testnet"}
BRACKETS: Final = (
    (0, 50_000, "0.004", 125), (50_000, 600_000, "0.005", 100), (600_000, 3_000_000, "0.01", 75),
    (3_000_000, 12_000_000, "0.025", 20),
)  # fmt: skip
"""Notional from and to, maintenance margin, leverage."""
WORDS_2015: Final = "Invalid API-key, IP, or permissions for action."
DISABLED: Final = "This action is disabled on this account."
_STEPS: Final = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
    "12h": 720, "1d": 1440, "3d": 4320, "1w": 10_080,
}  # fmt: skip
_SIGNATURE: Final = re.compile(r"(?:^|&)signature=([^&]*)")


def signature(secret: str, payload: str) -> str:
    """Lower-case hex HMAC-SHA256 (Binance spot documents, signed request examples)."""
    return hmac_sha256(secret, payload).hex()


def payload(query: str, body: str) -> tuple[str, str]:
    """What is signed, the query and the body without anything between them, and the signature that was left out."""
    given = ""
    parts: list[str] = []
    for part in (query, body):
        found = _SIGNATURE.search(part)
        if found is None or given:
            parts.append(part)
            continue
        given = unquote(found[1])
        parts.append((part[: found.start()] + part[found.end() :]).removeprefix("&"))
    return "".join(parts), given


@cache
def _public_key(pem: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem.encode(), None).public_key()  # pyright: ignore[reportUnknownMemberType]


def _fits(account: Account, text: str, given: str) -> bool:
    if "PRIVATE KEY" not in account.secret:
        return same(given.lower(), signature(account.secret, text))
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = _public_key(account.secret)
    try:
        raw = base64.b64decode(given, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, text.encode())
        else:
            key.verify(raw, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _error(status: int, code: int, msg: str) -> Reply:
    return as_json({"code": code, "msg": msg}, status)


def _missing(name: str) -> Reply:
    return _error(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    made = Account(
        name=name,
        api_key=sample_hex(64, "binance key", name),
        secret=sample_hex(64, "binance secret", name),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=354_900_000 + int(sample_hex(13, "binance uid", name), 16) % 99_999,
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


class Binance(Exchange):
    """Binance as its documents describe it."""

    name = "binance"
    hosts: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("api.binance.com", "api-gcp.binance.com"), "spot"),
        **{f"api{number}.binance.com": "spot" for number in range(1, 5)},
        "api.binance.us": "spot",
        "testnet.binance.vision": "tests",
        "demo-api.binance.com": "tests",
        "data-api.binance.vision": "data",
        "fapi.binance.com": "futures",
        "dapi.binance.com": "coin",
        "demo-fapi.binance.com": "futures",
        "testnet.binancefuture.com": "futures",
    }
    forbidden = (
        ("/sapi/v1/capital/withdraw", "moves money"),
        ("/sapi/v1/localentity/withdraw", "moves money"),
        ("/sapi/v1/asset/transfer", "moves money"),
        ("/sapi/v1/sub-account/subAccountApi", "edits a key"),
        ("/sapi/v1/account/apiRestrictions", "edits a key"),
        ("/sapi/v1/sub-account", "moves money or edits a sub-account"),
        ("/sapi/v1/margin", "moves money or places an order"),
        ("/api/v3/order", "places or cancels an order"),
        ("/api/v3/openOrders", "cancels orders"),
        ("/fapi/v1/", "places or cancels an order, or changes a position"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. Binance knows no expired key: a lost right to trade looks like any other."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, WITHDRAW))
        yield _account("read_only", (READ,))
        yield _account("no_futures", (READ, SPOT))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=())
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "enableVaultAccess"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("X-MBX-APIKEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """Format, key, time, signature, then address and right alike. The order is a choice: documents give none."""
        key, account = self.key_of(call), call.account
        if not key:
            return _error(400, -2014, "API-key format invalid.")
        if not re.fullmatch(r"[A-Za-z0-9]{64}", key):
            return _error(401, -2014, "API-key format invalid.")
        if account is None or account.site != _site(call):
            return _error(401, -2008, "Invalid Api-Key ID.")
        if account.status in ("deleted", "expired"):
            return self._refused(call)
        text, given = payload(call.query, call.body.decode("utf-8", "replace"))
        if not given:
            return _missing("signature")
        params = call.params
        sent, window = _number(params.get("timestamp")), _number(params.get("recvWindow") or WINDOW_MS)
        if sent is None:
            return _missing("timestamp")
        if sent >= MICROSECONDS:
            sent /= 1000
        if window is None or not 0 < window <= MAX_WINDOW_MS:
            return _error(400, -1131, "recvWindow must be less than 60000.")
        if sent >= call.now_ms + AHEAD_MS:
            return _error(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if call.now_ms - sent > window:
            return _error(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        if not _fits(account, text, given):
            return _error(400, -1022, "Signature for this request is not valid.")
        if not account.allows(call.address):
            return self._refused(call)
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return self._refused(call)
        return None

    def _refused(self, call: Call) -> Reply:
        """One code for a deleted key, an address and a missing right; the futures host adds the address it saw."""
        if call.group == "futures":
            return _error(401, -2015, f"{WORDS_2015[:-1]}, request ip: {call.address}")
        return _error(400 if call.path.startswith("/sapi") else 401, -2015, WORDS_2015)

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The weight that was used in this minute, as if nobody else asked."""
        weight = str(call.route.weight if call.route is not None else 1)
        name = "X-SAPI-USED-IP-WEIGHT-1M" if call.path.startswith("/sapi") else "X-MBX-USED-WEIGHT-1M"
        reply.headers[name] = weight
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """A path that is not served: a page of the web server."""
        del call
        return Reply(404, b"<html><body><h1>404 Not Found</h1></body></html>", {"Content-Type": "text/html"})

    def refuse_write(self, call: Call) -> Reply:
        """As if the key lacked the right."""
        return self._refused(call)

    def rate_limited(self, call: Call) -> Reply:
        """Spot documents, limits."""
        del call
        return _error(429, -1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE.")

    def maintenance(self, call: Call) -> Reply:
        """The status call says so; everything else is overloaded."""
        if call.path == "/sapi/v1/system/status":
            return as_json({"status": 1, "msg": "system_maintenance"})
        return _error(
            503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."
        )

    # -- public

    @route("GET", "/api/v3/ping", groups=("spot", "tests", "data"))
    @route("GET", "/fapi/v1/ping", groups=("futures",))
    @route("GET", "/dapi/v1/ping", groups=("coin",))
    def ping(self, _call: Call) -> Reply:
        """Nothing."""
        return as_json({})

    @route("GET", "/api/v3/time", groups=("spot", "tests", "data"))
    @route("GET", "/fapi/v1/time", groups=("futures",))
    @route("GET", "/dapi/v1/time", groups=("coin",))
    def time(self, call: Call) -> Reply:
        """Server time in ms."""
        return as_json({"serverTime": call.now_ms})

    @route("GET", "/sapi/v1/system/status", groups=("spot",))
    def system_status(self, _call: Call) -> Reply:
        """0 normal, 1 maintenance."""
        return as_json({"status": 0, "msg": "normal"})

    @route("GET", "/api/v3/exchangeInfo", groups=("spot", "tests", "data"), weight=20)
    def exchange_info(self, call: Call) -> Reply:
        """Spot markets and their filters; `symbol` narrows it, `showPermissionSets=false` leaves the sets out."""
        asked = call.params.get("symbol")
        if asked and asked not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        rows = [_spot_market(name, pair) for name, pair in SYMBOLS.items() if asked in (None, name)]
        if call.params.get("showPermissionSets") == "false":
            rows = [{**row, "permissionSets": []} for row in rows]
        return as_json(
            {
                "timezone": "UTC",
                "serverTime": call.now_ms,
                "rateLimits": [
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
                ],
                "exchangeFilters": [],
                "symbols": rows,
            }
        )

    @route("GET", "/fapi/v1/exchangeInfo", groups=("futures",))
    @route("GET", "/dapi/v1/exchangeInfo", groups=("coin",))
    def futures_info(self, call: Call) -> Reply:
        """Perpetual contracts; COIN-M is there for clients that load all markets, and has none."""
        pairs = SYMBOLS if call.group == "futures" else {}
        return as_json(
            {
                "timezone": "UTC",
                "serverTime": call.now_ms,
                "rateLimits": [
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
                ],
                "exchangeFilters": [],
                "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
                "symbols": [_contract(name, pair) for name, pair in pairs.items()],
            }
        )

    @route("GET", "/api/v3/klines", groups=("spot", "tests", "data"), weight=2)
    @route("GET", "/fapi/v1/klines", groups=("futures",), weight=2)
    def klines(self, call: Call) -> Reply:
        """Candles oldest first; 500, at most 1000 on spot and 1500 on futures."""
        params = call.params
        pair, minutes = SYMBOLS.get(params.get("symbol", "")), _STEPS.get(params.get("interval", ""))
        if pair is None:
            return _error(400, -1121, "Invalid symbol.")
        if minutes is None:
            return _error(400, -1120, "Invalid interval.")
        start, end, limit = (_number(params.get(name)) for name in ("startTime", "endTime", "limit"))
        found = candles(
            pair,
            minutes * MINUTE_MS,
            call.now_ms,
            start_ms=int(start) if start is not None else None,
            end_ms=int(end) if end is not None else None,
            limit=min(int(limit or 500), 1500 if call.group == "futures" else 1000),
        )
        step = minutes * MINUTE_MS
        return as_json(
            [
                [c.open_ms, *(str(part) for part in (c.open, c.high, c.low, c.close, c.volume)), c.open_ms + step - 1,
                 str(c.turnover), 10, str(c.volume / 2), str(c.turnover / 2), "0"]
                for c in found
            ]
        )  # fmt: skip

    @route("GET", "/api/v3/ticker/24hr", groups=("spot", "tests", "data"), weight=2)
    @route("GET", "/fapi/v1/ticker/24hr", groups=("futures",))
    def day(self, call: Call) -> Reply:
        """24 hours of one pair or of all."""
        name = call.params.get("symbol")
        if name and name not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        rows = [_day(symbol, pair, call) for symbol, pair in SYMBOLS.items() if name in (None, symbol)]
        return as_json(rows[0] if name else rows)

    @route("GET", "/api/v3/ticker/price", groups=("spot", "tests", "data"), weight=2)
    @route("GET", "/fapi/v1/ticker/price", groups=("futures",))
    def price(self, call: Call) -> Reply:
        """The last price of one pair or of all."""
        name = call.params.get("symbol")
        rows = [
            {"symbol": symbol, "price": str(price_at(pair, call.now_ms))}
            for symbol, pair in SYMBOLS.items()
            if name in (None, symbol)
        ]
        if not rows:
            return _error(400, -1121, "Invalid symbol.")
        return as_json(rows[0] if name else rows)

    @route("GET", "/api/v3/ticker/bookTicker", groups=("spot", "tests", "data"), weight=2)
    @route("GET", "/fapi/v1/ticker/bookTicker", groups=("futures",), weight=2)
    def book_ticker(self, call: Call) -> Reply:
        """The best bid and ask of one pair or of all."""
        name = call.params.get("symbol")
        if name and name not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        rows: list[dict[str, object]] = []
        for symbol, pair in SYMBOLS.items():
            if name in (None, symbol):
                now = price_at(pair, call.now_ms)
                ask = now + pair.price_step
                row = {"symbol": symbol, "bidPrice": str(now), "bidQty": "1.5", "askPrice": str(ask), "askQty": "1.2"}
                rows.append({**row, "time": call.now_ms} if call.group == "futures" else dict(row))
        return as_json(rows[0] if name else rows)

    @route("GET", "/api/v3/depth", groups=("spot", "tests", "data"), weight=5)
    @route("GET", "/fapi/v1/depth", groups=("futures",), weight=5)
    def depth(self, call: Call) -> Reply:
        """The order book: the same amount at each of the nearest prices."""
        pair, limit = SYMBOLS.get(call.params.get("symbol", "")), _number(call.params.get("limit"))
        if pair is None:
            return _error(400, -1121, "Invalid symbol.")
        now, step = price_at(pair, call.now_ms), pair.price_step
        rows = range(min(int(limit or 100), 50))
        told: dict[str, object] = {
            "lastUpdateId": call.now_ms,
            "bids": [[str(now - place * step), "5"] for place in rows],
            "asks": [[str(now + (place + 1) * step), "5"] for place in rows],
        }
        return as_json({**told, "E": call.now_ms, "T": call.now_ms} if call.group == "futures" else told)

    # -- the key and its account

    @route("GET", "/sapi/v1/account/apiRestrictions", groups=("spot",), scopes=(READ,))
    def api_restrictions(self, call: Call) -> Reply:
        """What the key may do: one field for each right (wallet documents, get API key permission)."""
        account = call.who
        report: dict[str, object] = {"ipRestrict": bool(account.ip_whitelist), "createTime": CREATED_MS}
        report |= {name: name in account.permissions for name in FIELDS}
        report |= {name: True for name in account.permissions if name not in FIELDS}
        if (end := self.expires_ms(account)) is not None:
            report["tradingAuthorityExpirationTime"] = end
        report |= account.report
        return as_json({name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/sapi/v1/account/status", groups=("spot",), scopes=(READ,))
    def account_status(self, call: Call) -> Reply:
        """`Normal`, or another word; which one is not documented."""
        return as_json({"data": "Locked" if call.who.status == "frozen" else "Normal"})

    @route("GET", "/sapi/v1/account/apiTradingStatus", groups=("spot",), scopes=(READ,))
    def trading_status(self, call: Call) -> Reply:
        """Whether trading by API is locked for the account."""
        locked = call.who.status == "frozen"
        return as_json(
            {
                "data": {
                    "isLocked": locked,
                    "plannedRecoverTime": call.now_ms + DAY_MS if locked else 0,
                    "triggerCondition": {"GCR": 150, "IFER": 150, "UFR": 300},
                    "updateTime": CREATED_MS,
                }
            }
        )

    @route("GET", "/sapi/v1/account/info", groups=("spot",), scopes=(READ,))
    def account_info(self, _call: Call) -> Reply:
        """Level and what is opened."""
        return as_json(
            {"vipLevel": 0, "isMarginEnabled": True, "isFutureEnabled": True, "isOptionsEnabled": False,
             "isPortfolioMarginRetailEnabled": False}
        )  # fmt: skip

    @route("GET", "/sapi/v1/capital/config/getall", groups=("spot",), scopes=(READ,), weight=10)
    @route("GET", "/sapi/v1/capital/withdraw/history", groups=("spot",), scopes=(READ,))
    @route("GET", "/sapi/v1/capital/deposit/hisrec", groups=("spot",), scopes=(READ,))
    @route("GET", "/sapi/v1/margin/allPairs", groups=("spot",))
    @route("GET", "/sapi/v1/margin/isolated/allPairs", groups=("spot",))
    def nothing(self, _call: Call) -> Reply:
        """Empty lists."""
        return as_json([])

    # -- spot

    @route("GET", "/api/v3/account", groups=("spot", "tests"), scopes=(READ,), weight=20)
    def account(self, call: Call) -> Reply:
        """Balances. The three flags describe the account and are true for a key that only reads, too."""
        account = call.who
        maker, taker = account.spot_fees
        rows = [{"asset": coin, "free": amount, "locked": "0.00000000"} for coin, amount in account.spot.items()]
        if call.params.get("omitZeroBalances") != "true":
            rows.append({"asset": "BNB", "free": "0.00000000", "locked": "0.00000000"})
        return as_json(
            {
                "makerCommission": int(Decimal(maker) * 10_000), "takerCommission": int(Decimal(taker) * 10_000),
                "buyerCommission": 0, "sellerCommission": 0, "commissionRates": _commission(maker, taker),
                "canTrade": True, "canWithdraw": True, "canDeposit": True, "brokered": False,
                "requireSelfTradePrevention": False, "preventSor": False, "updateTime": CREATED_MS,
                "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": account.uid,
            }
        )  # fmt: skip

    @route("GET", "/api/v3/account/commission", groups=("spot", "tests"), scopes=(READ,), weight=20)
    def commission(self, call: Call) -> Reply:
        """Spot documents, query commission rates: what is paid is the sum of the three commissions.

        The discount is for fees paid in BNB, of which no sample account has any.
        """
        name, account = call.params.get("symbol"), call.who
        if not name:
            return _missing("symbol")
        if name not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        none = _commission("0", "0")
        discount = {"enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB",
                    "discount": "0.75000000"}  # fmt: skip
        return as_json(
            {"symbol": name, "standardCommission": _commission(*account.spot_fees), "specialCommission": none,
             "taxCommission": none, "discount": discount}
        )  # fmt: skip

    @route("GET", "/api/v3/openOrders", groups=("spot", "tests"), scopes=(READ,), weight=6)
    @route("GET", "/api/v3/allOrders", groups=("spot", "tests"), scopes=(READ,), weight=20)
    @route("GET", "/api/v3/myTrades", groups=("spot", "tests"), scopes=(READ,), weight=20)
    @route("GET", "/fapi/v1/openOrders", groups=("futures",), scopes=(FUTURES,))
    @route("GET", "/fapi/v1/allOrders", groups=("futures",), scopes=(FUTURES,))
    @route("GET", "/fapi/v1/userTrades", groups=("futures",), scopes=(FUTURES,))
    @route("GET", "/fapi/v1/openAlgoOrders", groups=("futures",), scopes=(FUTURES,))
    def orders(self, call: Call) -> Reply:
        """Open orders, of one pair or all; no closed ones and no trades."""
        name = call.params.get("symbol")
        if name not in (None, "", *SYMBOLS):
            return _error(400, -1121, "Invalid symbol.")
        futures = call.group == "futures"
        names = call.who.futures_orders if futures else call.who.spot_orders
        names = names if call.path.endswith("/openOrders") else ()
        return as_json([_open_order(call, one, futures=futures) for one in names if name in (None, "", one)])

    @route("POST", "/api/v3/order/test", groups=("spot", "tests"), scopes=(SPOT,), dry_run=True)
    def order_test(self, call: Call) -> Reply:
        """Validates an order and places none."""
        return self._judge(call) or as_json({})

    # -- futures. A key without the right, or made before the futures account was opened, may not even look.

    @route("POST", "/fapi/v1/order/test", groups=("futures",), scopes=(FUTURES,), dry_run=True)
    def futures_order_test(self, call: Call) -> Reply:
        """The same for a contract; the order that comes back was not placed."""
        return self._judge(call) or as_json(
            {"orderId": 0, "symbol": call.params["symbol"], "status": "NEW", "clientOrderId": "test", "price": "0"}
        )

    def _judge(self, call: Call) -> Reply | None:
        params = call.params
        if call.who.status == "frozen":
            return _error(400, -2010, DISABLED)
        if params.get("symbol") not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        if params.get("side") not in ("BUY", "SELL"):
            return _error(400, -1117, "Invalid side.")
        if params.get("type") not in ("LIMIT", "MARKET"):
            return _error(400, -1116, "Invalid orderType.")
        quantity, price = _number(params.get("quantity")), _number(params.get("price"))
        if not quantity or quantity <= 0:
            return _missing("quantity")
        if params["type"] == "LIMIT":
            if not price or price <= 0:
                return _missing("price")
            if params.get("timeInForce") not in ("GTC", "IOC", "FOK", "GTX", "GTD"):
                return _missing("timeInForce")
            if quantity * price < 5:
                return _error(400, -1013, "Filter failure: NOTIONAL")
        return None

    @route("GET", "/fapi/v2/balance", groups=("futures",), scopes=(FUTURES,), weight=5)
    @route("GET", "/fapi/v3/balance", groups=("futures",), scopes=(FUTURES,), weight=5)
    def balance(self, call: Call) -> Reply:
        """Futures balances by asset."""
        return as_json(
            [
                {
                    "accountAlias": "SgsR", "asset": coin, "balance": amount, "crossWalletBalance": amount,
                    "crossUnPnl": "0.00000000", "availableBalance": amount, "maxWithdrawAmount": amount,
                    "marginAvailable": True, "updateTime": CREATED_MS,
                }
                for coin, amount in call.who.futures.items()
            ]
        )  # fmt: skip

    @route("GET", "/fapi/v2/account", groups=("futures",), scopes=(FUTURES,), weight=5)
    @route("GET", "/fapi/v3/account", groups=("futures",), scopes=(FUTURES,), weight=5)
    def futures_account(self, call: Call) -> Reply:
        """Totals and assets."""
        zero = "0.00000000"
        assets = [
            {"asset": coin, "walletBalance": amount, "unrealizedProfit": zero, "marginBalance": amount,
             "maintMargin": zero, "initialMargin": zero, "positionInitialMargin": zero, "openOrderInitialMargin": zero,
             "crossWalletBalance": amount, "crossUnPnl": zero, "availableBalance": amount,
             "maxWithdrawAmount": amount, "marginAvailable": True, "updateTime": CREATED_MS}
            for coin, amount in call.who.futures.items()
        ]  # fmt: skip
        total = str(sum((Decimal(amount) for amount in call.who.futures.values()), Decimal(0)))
        return as_json(
            {"totalInitialMargin": zero, "totalMaintMargin": zero, "totalWalletBalance": total,
             "totalUnrealizedProfit": zero, "totalMarginBalance": total, "totalPositionInitialMargin": zero,
             "totalOpenOrderInitialMargin": zero, "totalCrossWalletBalance": total, "totalCrossUnPnl": zero,
             "availableBalance": total, "maxWithdrawAmount": total, "assets": assets, "positions": []}
        )  # fmt: skip

    @route("GET", "/fapi/v2/positionRisk", groups=("futures",), scopes=(FUTURES,), weight=5)
    @route("GET", "/fapi/v3/positionRisk", groups=("futures",), scopes=(FUTURES,), weight=5)
    def positions(self, _call: Call) -> Reply:
        """None."""
        return as_json([])

    @route("GET", "/fapi/v1/commissionRate", groups=("futures",), scopes=(FUTURES,), weight=20)
    def futures_commission(self, call: Call) -> Reply:
        """Futures documents, user commission rate; `rpiCommissionRate` is for orders that only retail users meet."""
        name, (maker, taker) = call.params.get("symbol"), call.who.futures_fees
        if not name:
            return _missing("symbol")
        if name not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        rates = {"makerCommissionRate": maker, "takerCommissionRate": taker, "rpiCommissionRate": "0.00005"}
        return as_json({"symbol": name, **rates})

    @route("GET", "/fapi/v1/leverageBracket", groups=("futures",), scopes=(FUTURES,))
    def brackets(self, call: Call) -> Reply:
        """Margin tiers. With `symbol` the documents show one object, but what was seen live is a list of one."""
        asked = call.params.get("symbol")
        if asked and asked not in SYMBOLS:
            return _error(400, -1121, "Invalid symbol.")
        return as_json([_brackets(name, pair) for name, pair in SYMBOLS.items() if asked in (None, "", name)])

    @route("GET", "/fapi/v1/accountConfig", groups=("futures",), scopes=(FUTURES,), weight=5)
    def account_config(self, _call: Call) -> Reply:
        """Flags of the account, not of the key."""
        return as_json(
            {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": False,
             "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1}
        )  # fmt: skip


def _site(call: Call) -> str:
    return (FUTURES_SITES if call.group == "futures" else SPOT_SITES).get(call.host, "global")


def _commission(maker: str, taker: str) -> dict[str, str]:
    rates = {"maker": maker, "taker": taker, "buyer": "0", "seller": "0"}
    return {name: format(Decimal(rate), ".8f") for name, rate in rates.items()}


def _brackets(name: str, pair: Pair) -> dict[str, object]:
    """`cum` is what the lower tiers save. `notionalCoef` is only there for a user whose brackets were changed.

    No document tells whether the amounts have been multiplied by it; here nothing differs but that field.
    """
    rows, saved, before = list[dict[str, object]](), Decimal(0), Decimal(0)
    for number, (least, most, ratio, leverage) in enumerate(BRACKETS, 1):
        saved += least * (Decimal(ratio) - before)
        before = Decimal(ratio)
        rows.append(
            {"bracket": number, "initialLeverage": min(pair.max_leverage, leverage), "notionalCap": most,
             "notionalFloor": least, "maintMarginRatio": float(ratio), "cum": float(saved)}
        )  # fmt: skip
    return {"symbol": name, **({"notionalCoef": 1.5} if pair.base == "ETH" else {}), "brackets": rows}


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _filters(pair: Pair, *kinds: str) -> list[dict[str, object]]:
    """The filters of these kinds; a terse pair has neither a smallest quantity nor a smallest worth."""
    rows = [row for row in _all_filters(pair) if row["filterType"] in kinds]
    if not pair.terse:
        return rows
    kept = [row for row in rows if "NOTIONAL" not in str(row["filterType"])]
    return [{name: value for name, value in row.items() if name != "minQty"} for row in kept]


def _all_filters(pair: Pair) -> list[dict[str, object]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": _plain(pair.price_step), "maxPrice": "1000000.00000000",
         "tickSize": _plain(pair.price_step)},
        {"filterType": "LOT_SIZE", "minQty": _plain(pair.size_step), "maxQty": "9000.00000000",
         "stepSize": _plain(pair.size_step)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": _plain(pair.size_step), "maxQty": "100.00000000",
         "stepSize": _plain(pair.size_step)},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
         "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]  # fmt: skip


def _spot_market(name: str, pair: Pair) -> dict[str, object]:
    return {
        "symbol": name, "status": "TRADING" if pair.open else "BREAK", "baseAsset": pair.base, "baseAssetPrecision": 8,
        "quoteAsset": pair.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True, "ocoAllowed": True, "otoAllowed": True, "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True, "cancelReplaceAllowed": True, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True, "filters": _filters(pair, *LOTS, "NOTIONAL"), "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]], "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }  # fmt: skip


def _open_order(call: Call, name: str, *, futures: bool) -> dict[str, object]:
    """Spot and futures documents, current open orders."""
    at = call.now_ms - 60_000
    order: dict[str, object] = {
        "symbol": name, "orderId": 28_457, "clientOrderId": "x-1", "price": "1.00000000", "origQty": "10.00000000",
        "executedQty": "0.00000000", "status": "NEW", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
        "stopPrice": "0.00000000", "time": at, "updateTime": at, "selfTradePreventionMode": "NONE",
    }  # fmt: skip
    if futures:
        return {
            **order, "avgPrice": "0.00000", "cumQuote": "0", "origType": "LIMIT", "reduceOnly": False,
            "positionSide": "BOTH", "closePosition": False, "workingType": "CONTRACT_PRICE", "priceProtect": False,
            "priceMatch": "NONE", "goodTillDate": 0,
        }  # fmt: skip
    return {
        **order, "orderListId": -1, "cummulativeQuoteQty": "0.00000000", "icebergQty": "0.00000000", "isWorking": True,
        "workingTime": at, "origQuoteOrderQty": "0.000000",
    }  # fmt: skip


def _contract(name: str, pair: Pair) -> dict[str, object]:
    return {
        "symbol": name, "pair": name, "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000, "status": "TRADING" if pair.open else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000", "baseAsset": pair.base, "quoteAsset": pair.quote,
        "marginAsset": pair.quote, "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8,
        "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"], "triggerProtect": "0.0500",
        "liquidationFee": "0.012500", "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
        "filters": _filters(pair, *LOTS, "MIN_NOTIONAL"),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }  # fmt: skip


def _day(name: str, pair: Pair, call: Call) -> dict[str, object]:
    now, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    return {
        "symbol": name, "priceChange": str(now - before),
        "priceChangePercent": str(((now - before) / before * 100).quantize(Decimal("0.001"))),
        "weightedAvgPrice": str(now), "prevClosePrice": str(before), "lastPrice": str(now), "lastQty": "0.01",
        "bidPrice": str(now), "bidQty": "1.5", "askPrice": str(now + pair.price_step), "askQty": "1.2",
        "openPrice": str(before), "highPrice": str(max(now, before)), "lowPrice": str(min(now, before)),
        "volume": "1200.5", "quoteVolume": str(now * 1200), "openTime": call.now_ms - DAY_MS,
        "closeTime": call.now_ms, "firstId": 1, "lastId": 1000, "count": 1000,
    }  # fmt: skip


EXCHANGE = Binance
