"""KuCoin: spot and margin (`api.kucoin.com`, `api.kucoin.eu`) and futures (`api-futures.kucoin.com`).

Sources are KuCoin's documents and its official SDK; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
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
from bfai.simulator.markets import LISTED, MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SPOT: Final = by_symbol("-")
FUTURES: Final = {f"{'XBT' if pair.base == 'BTC' else pair.base}USDTM": pair for pair in LISTED}
CREATED_MS: Final = 1_728_443_843_000
WINDOW_MS: Final = 5_000
POOL_MS: Final = 30_000
TRADES: Final = ("General", "Spot", "Futures")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
SITES: Final[Mapping[str, str]] = {"api.kucoin.eu": "europe"}

_STEPS: Final = {
    "1min": 1, "3min": 3, "5min": 5, "15min": 15, "30min": 30, "1hour": 60, "2hour": 120, "4hour": 240,
    "6hour": 360, "8hour": 480, "12hour": 720, "1day": 1440, "1week": 10_080, "1month": 43_200,
}  # fmt: skip
_TRANSFER: Final = re.compile(r"/api/v\d+/(?:accounts/[^/]*transfer|transfer-|withdrawals|deposit-address)")


def signature(secret: str, timestamp: str, method: str, endpoint: str, body: str | bytes = b"") -> str:
    """Base64 HMAC-SHA256 of time, method, endpoint (query not percent-encoded), body (KuCoin docs, authentication)."""
    raw = body.encode() if isinstance(body, str) else body
    return base64.b64encode(hmac_sha256(secret, (timestamp + method + endpoint).encode() + raw)).decode()


def passphrase(secret: str, text: str) -> str:
    """The passphrase header of key versions 2 and 3: base64 HMAC-SHA256 keyed with the secret."""
    return base64.b64encode(hmac_sha256(secret, text)).decode()


def _error(status: int, code: str, msg: str) -> Reply:
    return as_json({"code": code, "msg": msg}, status)


def _data(data: object) -> Reply:
    return as_json({"code": "200000", "data": data})


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    text = sample_hex(32, "kucoin secret", name)
    made = Account(
        name=name,
        api_key=sample_hex(24, "kucoin key", name),
        secret=f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}",
        password=f"Sample.{hashlib.sha512(name.encode()).hexdigest()[:10]}",
        permissions=permissions,
        ip_whitelist=HERE,
        uid=165_111_000 + int(sample_hex(10, "kucoin uid", name), 16),
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


class KuCoin(Exchange):
    """KuCoin as its documents describe it."""

    name = "kucoin"
    hosts: ClassVar[Mapping[str, str]] = {
        "api.kucoin.com": "spot",
        "api.kucoin.eu": "spot",
        "api-futures.kucoin.com": "futures",
    }
    forbidden = (
        ("/api/v1/sub/api-key", "edits a key"),
        ("/api/v3/sub/api-key", "edits a key"),
        ("/api/v1/sub", "edits a sub-account"),
        ("/api/v2/sub", "edits a sub-account"),
        ("/api/v1/hf/orders", "places or cancels an order"),
        ("/api/v3/hf/margin/order", "places or cancels an order"),
        ("/api/v1/order", "places or cancels an order"),
        ("/api/v1/stop-order", "places or cancels an order"),
        ("/api/v1/oco", "places or cancels an order"),
        ("/api/v3/oco", "places or cancels an order"),
        ("/api/v1/position", "changes a position"),
    )

    def __init__(self, started_ms: int) -> None:
        super().__init__(started_ms)
        self._pools: dict[tuple[str, str], list[int]] = {}

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. `Transfer` is KuCoin's historic name for the right to withdraw."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, "Transfer"))
        yield _account("read_only", ("General",))
        yield _account("no_futures", ("General", "Spot"))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=())
        yield _account("expired", status="expired")
        yield _account("expiring", expires_in_days=5)
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "VaultAccess"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("KC-API-KEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """KuCoin docs, authentication and error codes; the passphrase is judged before the signature."""
        headers = call.headers
        sent, sign, phrase = (headers.get(f"KC-API-{name}") for name in ("TIMESTAMP", "SIGN", "PASSPHRASE"))
        if not headers.get("KC-API-KEY") or not sent or not sign or not phrase:
            names = "KC-API-KEY, KC-API-SIGN, KC-API-TIMESTAMP, KC-API-PASSPHRASE"
            return _error(400, "400001", f"Please check the header of your request for {names}")
        version = headers.get("KC-API-KEY-VERSION", "1")
        if version not in ("1", "2", "3"):
            return _error(400, "400007", "Invalid KC-API-KEY-VERSION")
        account = call.account
        if (
            account is None
            or account.status == "deleted"
            or self.expired(account, call.now_ms)
            or account.site != _site(call)
        ):
            return _error(401, "400003", "The API key does not exist or site mismatch.")
        if not sent.isascii() or not sent.isdigit() or abs(call.now_ms - int(sent[:20])) > WINDOW_MS:
            return _error(400, "400002", "Invalid KC-API-TIMESTAMP.")
        word = account.password or ""
        if not same(phrase, word if version == "1" else passphrase(account.secret, word)):
            return _error(401, "400004", "Invalid KC-API-PASSPHRASE")
        endpoint = unquote(call.target) if "%" in call.target else call.target
        right = signature(account.secret, sent, call.method, endpoint, call.body)
        if not same(sign, right) and not (
            endpoint.endswith("?")
            and same(sign, signature(account.secret, sent, call.method, endpoint[:-1], call.body))
        ):
            return _error(401, "400005", "Invalid KC-API-SIGN")
        if not account.allows(call.address):
            return _error(403, "400006", f"Invalid request ip, the current clientIp is:{call.address}")
        if account.status == "frozen":
            return _error(200, "411100", "User are frozen")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _error(403, "400007", "Access denied, require more permission.")
        return None

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers: a pool refills every 30 s. It never runs dry; a fault with status 429 does that."""
        found, account = call.route, call.account
        private = found is not None and found.private
        limit = 4000 if private and call.group == "spot" and "/user" not in call.path else 2000
        owner = account.name if private and account is not None else call.address
        start = call.now_ms // POOL_MS
        pool = self._pools.setdefault((owner, f"{call.group}{limit}{private}"), [start, 0])
        if pool[0] != start:
            pool[:] = start, 0
        pool[1] += found.weight if found is not None else 1
        headers = reply.headers
        headers["gw-ratelimit-limit"] = str(limit)
        headers["gw-ratelimit-remaining"] = str(limit - pool[1] % (limit // 2))
        headers["gw-ratelimit-reset"] = str((start + 1) * POOL_MS - call.now_ms)
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """KuCoin docs, error codes."""
        del call
        return _error(404, "404000", "Url Not Found")

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        if _TRANSFER.match(call.path) or "transfer" in call.path or "withdraw" in call.path:
            call.violation = "moves money"
        return _error(403, "400007", "Access denied, require more permission.")

    def rate_limited(self, call: Call) -> Reply:
        """KuCoin docs, rate limits."""
        del call
        return _error(429, "429000", "Too many requests in a short period of time, please retry--")

    def maintenance(self, call: Call) -> Reply:
        """The status call says so and everything else is 503."""
        if call.path == "/api/v1/status":
            return _data({"status": "close", "msg": "system upgrade"})
        if call.path == "/api/ua/v1/server/status":
            return _data(
                {"tradeType": call.params.get("tradeType", "SPOT"), "serverStatus": "close", "msg": "system upgrade"}
            )
        return _error(503, "503000", "The system is under maintenance, please try again later")

    # -- public, both markets

    @route("GET", "/api/v1/timestamp", weight=3)
    def timestamp(self, call: Call) -> Reply:
        """Server time in ms."""
        return _data(call.now_ms)

    @route("GET", "/api/v1/status", weight=3)
    def status(self, _call: Call) -> Reply:
        """`open`, `close` or `cancelonly`."""
        return _data({"status": "open", "msg": ""})

    @route("GET", "/api/ua/v1/server/status", groups=("spot",))
    def unified_status(self, call: Call) -> Reply:
        """The same for the unified API."""
        return _data({"tradeType": call.params.get("tradeType", "SPOT"), "serverStatus": "open", "msg": ""})

    @route("GET", "/api/v1/my-ip", groups=("spot",), weight=10)
    @route("GET", "/api/ua/v1/user/my-ip", groups=("spot",))
    def my_ip(self, call: Call) -> Reply:
        """The address that the exchange sees."""
        return _data(call.address)

    # -- spot, public

    @route("GET", "/api/v1/symbols", groups=("spot",), weight=4)
    @route("GET", "/api/v2/symbols", groups=("spot",), weight=4)
    def symbols(self, _call: Call) -> Reply:
        """KuCoin docs, get all symbols."""
        return _data([_spot_market(pair) for pair in SPOT.values()])

    @route("GET", "/api/v1/symbols/{}", groups=("spot",), weight=4)
    @route("GET", "/api/v2/symbols/{}", groups=("spot",), weight=4)
    def symbol(self, call: Call) -> Reply:
        """One symbol."""
        pair = SPOT.get(call.segment)
        return _error(200, "900001", "symbol not exists") if pair is None else _data(_spot_market(pair))

    @route("GET", "/api/v3/currencies", groups=("spot",), weight=3)
    def currencies(self, _call: Call) -> Reply:
        """KuCoin docs, get all currencies."""
        return _data([_currency("USDT", "Tether"), *(_currency(pair.base, pair.title) for pair in PAIRS)])

    @route("GET", "/api/v3/margin/symbols", groups=("spot",), weight=3)
    def margin_symbols(self, call: Call) -> Reply:
        """Pairs of cross margin."""
        items = [{**_spot_market(pair), "enableTrading": True} for pair in SPOT.values()]
        return _data({"timestamp": call.now_ms, "items": items})

    @route("GET", "/api/v1/isolated/symbols", groups=("spot",), private=True, weight=20)
    def isolated_symbols(self, _call: Call) -> Reply:
        """Pairs of isolated margin."""
        return _data([_isolated(pair) for pair in SPOT.values()])

    @route("GET", "/api/v1/market/orderbook/level1", groups=("spot",), weight=2)
    def level1(self, call: Call) -> Reply:
        """Best bid, ask and last price; null for an unknown symbol."""
        pair = SPOT.get(call.params.get("symbol", ""))
        return _data(None if pair is None else _tick(pair, call))

    @route("GET", "/api/v1/market/allTickers", groups=("spot",), weight=15)
    def all_tickers(self, call: Call) -> Reply:
        """24 hours of all pairs."""
        return _data({"time": call.now_ms, "ticker": [_day(pair, call) for pair in SPOT.values()]})

    @route("GET", "/api/v1/market/stats", groups=("spot",), weight=15)
    def stats(self, call: Call) -> Reply:
        """24 hours of one pair."""
        pair = SPOT.get(call.params.get("symbol", ""))
        return (
            _error(200, "900001", "symbol not exists")
            if pair is None
            else _data({**_day(pair, call), "time": call.now_ms})
        )

    @route("GET", "/api/v1/market/candles", groups=("spot",), weight=3)
    def market_candles(self, call: Call) -> Reply:
        """Candles newest first: time in seconds, open, close, high, low, volume, turnover; at most 1500."""
        params = call.params
        pair, minutes = SPOT.get(params.get("symbol", "")), _STEPS.get(params.get("type", ""))
        if pair is None:
            return _error(200, "400100", "This pair is not provided at present")
        if minutes is None:
            return _error(200, "400100", "type can not be empty")
        start, end = _number(params.get("startAt")), _number(params.get("endAt"))
        first = None if not start else int(start) * 1000
        last = None if not end else int(end) * 1000 - 1
        count = 1500 if first is not None else 100
        found = candles(pair, minutes * MINUTE_MS, call.now_ms, start_ms=first, end_ms=last, limit=count)
        return _data(
            [
                [str(part) for part in (c.open_ms // 1000, c.open, c.close, c.high, c.low, c.volume, c.turnover)]
                for c in reversed(found)
            ]
        )

    # -- spot, signed

    @route("GET", "/api/v1/user/api-key", groups=("spot",), scopes=("General",), weight=20)
    @route("GET", "/api/ua/v1/user/api-key", groups=("spot",), scopes=("General",), weight=20)
    def api_key(self, call: Call) -> Reply:
        """The key's report on itself (KuCoin docs, get API key info)."""
        account = call.who
        addresses = [_masked(one) for one in account.ip_whitelist] if account.mask_ips else list(account.ip_whitelist)
        report: dict[str, object] = {
            "uid": account.uid,
            "parentUid": account.uid - 1 if account.is_sub else None,
            "region": "NL",
            "kycStatus": 1,
            "remark": account.label,
            "apiKey": account.api_key,
            "apiVersion": 3,
            "permission": ",".join(account.permissions),
            "ipWhitelist": ",".join(addresses),
            "isMaster": not account.is_sub,
            "createdAt": CREATED_MS,
            "expiredAt": self.expires_ms(account),
            "thirdPartyApp": "",
            "siteType": account.site,
        }
        if account.is_sub:
            report["subName"] = "sub01"
        return _data({name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/api/v2/user-info", groups=("spot",), scopes=("General",), weight=20)
    def user_info(self, call: Call) -> Reply:
        """Level and numbers of sub-accounts."""
        names = ("subQuantity", "spotSubQuantity", "marginSubQuantity", "futuresSubQuantity", "optionSubQuantity")
        more = ("maxSpotSubQuantity", "maxMarginSubQuantity", "maxFuturesSubQuantity", "maxOptionSubQuantity")
        count = 0 if call.who.is_sub else 1
        return _data(
            {
                "level": 1,
                **dict.fromkeys(names, count),
                "maxDefaultSubQuantity": 5,
                "maxSubQuantity": 5,
                **dict.fromkeys(more, 0),
            }
        )

    @route("GET", "/api/ua/v1/account/mode", groups=("spot",), scopes=("General",), weight=5)
    def account_mode(self, _call: Call) -> Reply:
        """These are classic accounts, not unified ones."""
        return _data({"selfAccountMode": "CLASSIC", "subAccountMode": []})

    @route("GET", "/api/v1/accounts", groups=("spot",), scopes=("General",), weight=5)
    def accounts_list(self, call: Call) -> Reply:
        """Balances by account type; `type` (`trade_hf` is an older word for `trade`) and `currency` narrow it."""
        params, rows = call.params, list[dict[str, str]]()
        trade = "trade_hf" if params.get("type") == "trade_hf" else "trade"
        for kind, holdings in ((trade, call.who.spot), ("main", {"USDT": "0"})):
            for number, (coin, amount) in enumerate(holdings.items()):
                if params.get("type") in (None, "", kind) and params.get("currency") in (None, "", coin):
                    uid = sample_hex(24, "kucoin account", call.who.name, kind, str(number))
                    rows.append(
                        {
                            "id": uid,
                            "currency": coin,
                            "type": kind,
                            "balance": amount,
                            "available": amount,
                            "holds": "0",
                        }
                    )
        return _data(rows)

    @route("GET", "/api/v3/margin/accounts", groups=("spot",), scopes=("General",), weight=15)
    @route("GET", "/api/v3/isolated/accounts", groups=("spot",), scopes=("General",), weight=15)
    def margin_accounts(self, _call: Call) -> Reply:
        """Nothing on margin."""
        totals = dict.fromkeys(("totalAssetOfQuoteCurrency", "totalLiabilityOfQuoteCurrency", "debtRatio"), "0")
        return _data({**totals, "status": "EFFECTIVE", "accounts": [], "assets": []})

    @route("GET", "/api/v1/hf/accounts/opened", groups=("spot",), scopes=("General",), weight=2)
    def hf_opened(self, _call: Call) -> Reply:
        """High-frequency trading is open on every sample account."""
        return _data(True)

    @route("GET", "/api/v1/hf/orders/active", groups=("spot",), scopes=("General",), weight=2)
    def hf_active(self, call: Call) -> Reply:
        """Open orders of one pair; `symbol` is required."""
        name = call.params.get("symbol")
        if not name:
            return _error(400, "400100", "symbol can not be empty")
        if name not in SPOT:
            return _error(200, "900001", "symbol not exists")
        return _data([_spot_order(call, one) for one in call.who.spot_orders if one == name])

    @route("GET", "/api/v1/hf/orders/active/symbols", groups=("spot",), scopes=("Spot",), weight=2)
    def hf_active_symbols(self, call: Call) -> Reply:
        """Pairs with open orders."""
        return _data({"symbols": list(call.who.spot_orders)})

    @route("GET", "/api/v1/hf/fills", groups=("spot",), scopes=("General",), weight=2)
    @route("GET", "/api/v1/hf/orders/done", groups=("spot",), scopes=("General",), weight=2)
    def hf_done(self, call: Call) -> Reply:
        """Trades and closed orders: none; `symbol` is required."""
        if not call.params.get("symbol"):
            return _error(400, "400100", "symbol can not be empty")
        return _data({"lastId": 0, "items": []})

    @route("GET", "/api/v1/hf/orders/active/page", groups=("spot",), scopes=("General",), weight=2)
    @route("GET", "/api/v1/orders", groups=("spot", "futures"), scopes=("General",), weight=2)
    @route("GET", "/api/v1/stopOrders", groups=("futures",), scopes=("General",), weight=6)
    @route("GET", "/api/v1/fills", groups=("spot", "futures"), scopes=("General",), weight=5)
    @route("GET", "/api/v1/withdrawals", groups=("spot",), scopes=("General",), weight=20)
    @route("GET", "/api/v1/deposits", groups=("spot",), scopes=("General",), weight=5)
    def pages(self, call: Call) -> Reply:
        """Paged lists: open futures orders on one page, all others empty."""
        size = _number(call.params.get("pageSize"))
        wanted = call.path == "/api/v1/orders" and call.group == "futures" and call.params.get("status") == "active"
        items = [_futures_order(call, name) for name in call.who.futures_orders] if wanted else []
        return _data(
            {"currentPage": 1, "pageSize": int(size) if size else 50, "totalNum": len(items),
             "totalPage": int(bool(items)), "items": items}
        )  # fmt: skip

    @route("POST", "/api/v1/hf/orders/test", groups=("spot",), scopes=("Spot",), dry_run=True)
    @route("POST", "/api/v1/orders/test", groups=("spot",), scopes=("Spot",), weight=2, dry_run=True)
    @route("POST", "/api/v3/hf/margin/order/test", groups=("spot",), scopes=("Margin",), weight=5, dry_run=True)
    def spot_order_test(self, call: Call) -> Reply:
        """Validates an order and places none; the order number is made up (KuCoin docs, add order test)."""
        order, wrong = _order(call, SPOT)
        if order is None:
            return wrong
        kind, size, price, funds = (order.get(name) for name in ("type", "size", "price", "funds"))
        if kind not in (None, "limit", "market"):
            return _error(400, "400100", "type is invalid")
        if kind == "market":
            if not _number(size) and not _number(funds):
                return _error(400, "400100", "size or funds can not be empty")
        elif not (_number(size) or 0) > 0 or not (_number(price) or 0) > 0:
            return _error(400, "400100", "size and price can not be empty")
        return _ordered(call, order)

    @route("GET", "/api/v1/trade-fees", groups=("spot",), scopes=("General",), weight=3)
    def trade_fees(self, call: Call) -> Reply:
        """KuCoin docs, get actual fee: of at most 10 pairs. How an unknown pair is refused was chosen."""
        names = [name for name in call.params.get("symbols", "").split(",") if name]
        if not names or len(names) > 10:
            return _error(400, "400100", "symbols can not be empty" if not names else "symbols exceed the limit of 10")
        if not all(name in SPOT for name in names):
            return _error(200, "900001", "symbol not exists")
        return _data([_fees(name, call.who.spot_fees) for name in names])

    # -- futures

    @route("GET", "/api/v1/trade-fees", groups=("futures",), scopes=("General",), weight=3)
    def futures_trade_fees(self, call: Call) -> Reply:
        """The same of one contract, and an object; the documents ask for no right to trade here either."""
        name = call.params.get("symbol")
        if not name:
            return _error(400, "100001", "Symbol parameter cannot be empty.")
        if name not in FUTURES:
            return _error(200, "100001", "Contract does not exist.")
        return _data(_fees(name, call.who.futures_fees))

    @route("POST", "/api/v1/orders/test", groups=("futures",), scopes=("Futures",), weight=2, dry_run=True)
    def futures_order_test(self, call: Call) -> Reply:
        """The same for futures: `size` is a number of contracts (or `qty`, `valueQty`)."""
        order, wrong = _order(call, FUTURES)
        if order is None:
            return wrong
        if not any((_number(order.get(name)) or 0) > 0 for name in ("size", "qty", "valueQty")):
            return _error(400, "100001", "Quantity parameter cannot be empty.")
        if order.get("type", "limit") == "limit" and not (_number(order.get("price")) or 0) > 0:
            return _error(400, "100001", "Price parameter cannot be empty.")
        if order.get("leverage") is not None and not (_number(order["leverage"]) or 0) > 0:
            return _error(400, "100001", "Leverage parameter invalid.")
        return _ordered(call, order)

    @route("GET", "/api/v1/account-overview", groups=("futures",), scopes=("Futures",), weight=5)
    def overview(self, call: Call) -> Reply:
        """Futures balance in one currency (XBT when none is named, as documented)."""
        coin = call.params.get("currency") or "XBT"
        amount = float(call.who.futures.get(coin, "0"))
        zero = dict.fromkeys(("unrealisedPNL", "positionMargin", "orderMargin", "frozenFunds", "riskRatio"), 0)
        return _data(
            {"accountEquity": amount, "marginBalance": amount, "availableBalance": amount, "currency": coin, **zero,
             "maxWithdrawAmount": amount}
        )  # fmt: skip

    @route("GET", "/api/v1/positions", groups=("futures",), scopes=("Futures",), weight=2)
    def positions(self, _call: Call) -> Reply:
        """None."""
        return _data([])

    @route("GET", "/api/v1/contracts/active", groups=("futures",), weight=3)
    def contracts(self, call: Call) -> Reply:
        """KuCoin docs, get all symbols of futures."""
        return _data([_contract(name, pair, call) for name, pair in FUTURES.items()])

    @route("GET", "/api/v1/contracts/risk-limit/{}", groups=("futures",), weight=5)
    def risk_limits(self, call: Call) -> Reply:
        """KuCoin docs, get isolated margin risk limit: what a position may be worth in USDT at each level."""
        pair = FUTURES.get(call.segment)
        if pair is None:
            return _error(200, "100001", "Contract does not exist.")
        levels = ((0, 100_000, 0.008, 0.004), (100_000, 500_000, 0.02, 0.01), (500_000, 2_000_000, 0.05, 0.025))
        return _data(
            [
                {"symbol": call.segment, "level": level, "maxRiskLimit": most, "minRiskLimit": least,
                 "maxLeverage": min(pair.max_leverage, int(1 / initial)), "initialMargin": initial,
                 "maintainMargin": kept}
                for level, (least, most, initial, kept) in enumerate(levels, 1)
            ]
        )  # fmt: skip

    @route("GET", "/api/v1/contracts/{}", groups=("futures",), weight=3)
    def contract(self, call: Call) -> Reply:
        """One contract."""
        pair = FUTURES.get(call.segment)
        return (
            _error(200, "100001", "Contract does not exist.")
            if pair is None
            else _data(_contract(call.segment, pair, call))
        )

    @route("GET", "/api/v1/ticker", groups=("futures",), weight=2)
    def futures_ticker(self, call: Call) -> Reply:
        """Last price of one contract."""
        name = call.params.get("symbol", "")
        pair = FUTURES.get(name)
        if pair is None:
            return _error(200, "100001", "Contract does not exist.")
        price = price_at(pair, call.now_ms)
        return _data(
            {"sequence": call.now_ms, "symbol": name, "side": "buy", "size": 1, "tradeId": "1", "price": str(price),
             "bestBidPrice": str(price), "bestBidSize": 100, "bestAskPrice": str(price + pair.price_step),
             "bestAskSize": 100, "ts": call.now_ms * 1_000_000}
        )  # fmt: skip

    @route("GET", "/api/v1/kline/query", groups=("futures",), weight=3)
    def futures_candles(self, call: Call) -> Reply:
        """Candles oldest first: time (ms), open, high, low, close, contracts; `granularity` in minutes; at most 500."""
        params = call.params
        pair, minutes = FUTURES.get(params.get("symbol", "")), _number(params.get("granularity"))
        if pair is None or minutes is None or int(minutes) not in _STEPS.values():
            return _error(200, "100001", "symbol or granularity is invalid")
        start, end = _number(params.get("from")), _number(params.get("to"))
        first, last = (None if not at else int(at) for at in (start, end))
        limit = 500 if first is not None else 200
        found = candles(pair, int(minutes) * MINUTE_MS, call.now_ms, start_ms=first, end_ms=last, limit=limit)
        return _data(
            [
                [
                    c.open_ms,
                    *(float(part) for part in (c.open, c.high, c.low, c.close)),
                    int(c.volume / pair.contract_size),
                ]
                for c in found
            ]
        )


def _site(call: Call) -> str:
    return SITES.get(call.host) or call.headers.get("X-SITE-TYPE", "").lower() or "global"


def _masked(address: str) -> str:
    parts = address.split(".")
    return f"{parts[0]}.**.{parts[-1]}"


def _order(call: Call, symbols: Mapping[str, Pair]) -> tuple[dict[str, Any] | None, Reply]:
    order = call.data
    if order is None:
        return None, _error(400, "400000", "Bad Request")
    if order.get("symbol") not in symbols:
        return None, _error(400, "900001", "symbol not exists")
    if order.get("side") not in ("buy", "sell"):
        return None, _error(400, "400100", "side is invalid")
    return order, _data(None)


def _ordered(call: Call, order: Mapping[str, Any]) -> Reply:
    number = hashlib.sha256(call.body).hexdigest()
    return _data({"orderId": number[:24], "clientOid": order.get("clientOid") or number[24:56]})


def _fees(name: str, fees: tuple[str, str]) -> dict[str, str]:
    return {"symbol": name, "takerFeeRate": fees[1], "makerFeeRate": fees[0]}


def _grid(places: Decimal) -> str:
    return format(places, "f")


def _spot_order(call: Call, name: str) -> dict[str, object]:
    """KuCoin docs, get open orders (high frequency)."""
    at = call.now_ms - 60_000
    return {
        "id": "67120bbef094e200070976f6", "clientOid": "5c52e11203aa677f33e493fb", "symbol": name, "opType": "DEAL",
        "type": "limit", "side": "buy", "price": "1", "size": "10", "funds": "10", "dealSize": "0", "dealFunds": "0",
        "fee": "0", "feeCurrency": name.partition("-")[2], "stp": None, "timeInForce": "GTC",
        "postOnly": False, "hidden": False, "iceberg": False, "visibleSize": "0", "cancelAfter": 0,
        "channel": "API", "remark": None, "tags": None, "cancelExist": False, "tradeType": "TRADE", "inOrderBook": True,
        "cancelledSize": "0", "cancelledFunds": "0", "remainSize": "10", "remainFunds": "10", "tax": "0",
        "active": True, "createdAt": at, "lastUpdatedAt": at,
    }  # fmt: skip


def _futures_order(call: Call, name: str) -> dict[str, object]:
    """KuCoin docs, get order list (futures)."""
    at = call.now_ms - 60_000
    return {
        "id": "230181737576050688", "symbol": name, "type": "limit", "side": "buy", "price": "1", "size": 10,
        "value": "10", "dealValue": "0", "dealSize": 0, "stp": "", "stop": "", "stopPriceType": "",
        "stopTriggered": False, "stopPrice": None, "timeInForce": "GTC", "postOnly": False, "hidden": False,
        "iceberg": False, "leverage": "3", "forceHold": False, "closeOrder": False, "visibleSize": 0,
        "clientOid": "5c52e11203aa677f33e49", "remark": None, "tags": "", "isActive": True, "cancelExist": False,
        "createdAt": at, "updatedAt": at, "endAt": None, "orderTime": at * 1_000_000, "settleCurrency": "USDT",
        "marginMode": "ISOLATED", "avgDealPrice": "0", "status": "open", "filledSize": 0, "filledValue": "0",
        "reduceOnly": False,
    }  # fmt: skip


def _spot_market(pair: Pair) -> dict[str, object]:
    name = pair.join("-")
    return {
        "symbol": name, "name": name, "baseCurrency": pair.base, "quoteCurrency": pair.quote,
        "feeCurrency": pair.quote, "market": "USDS", "baseMinSize": None if pair.terse else _grid(pair.size_step),
        "quoteMinSize": None if pair.terse else "0.1",
        "baseMaxSize": "10000000000", "quoteMaxSize": "99999999", "baseIncrement": _grid(pair.size_step),
        "quoteIncrement": "0.000001", "priceIncrement": _grid(pair.price_step), "priceLimitRate": "0.1",
        "minFunds": None if pair.terse else "0.1", "isMarginEnabled": True, "enableTrading": pair.open,
        "feeCategory": 1,
        "makerFeeCoefficient": "1.00", "takerFeeCoefficient": "1.00", "st": False, "callauctionIsEnabled": False,
        "callauctionPriceFloor": None, "callauctionPriceCeiling": None, "callauctionFirstStageStartTime": None,
        "callauctionSecondStageStartTime": None, "callauctionThirdStageStartTime": None, "tradingStartTime": None,
    }  # fmt: skip


def _isolated(pair: Pair) -> dict[str, object]:
    name = pair.join("-")
    return {
        "symbol": name, "symbolName": name, "baseCurrency": pair.base, "quoteCurrency": pair.quote, "maxLeverage": 10,
        "flDebtRatio": "0.97", "tradeEnable": True, "autoRenewMaxDebtRatio": "0.96", "baseBorrowEnable": True,
        "quoteBorrowEnable": True, "baseTransferInEnable": True, "quoteTransferInEnable": True,
        "baseBorrowCoefficient": "1", "quoteBorrowCoefficient": "1",
    }  # fmt: skip


def _currency(coin: str, title: str) -> dict[str, object]:
    chain = {"USDT": ("TRC20", "trx"), "ETH": ("ERC20", "eth"), "SOL": ("SOL", "sol")}.get(coin, ("BTC", "btc"))
    return {
        "currency": coin, "name": coin, "fullName": title, "precision": 8, "confirms": None, "contractAddress": None,
        "isMarginEnabled": True, "isDebitEnabled": True,
        "chains": [
            {
                "chainName": chain[0], "withdrawalMinSize": "0.01", "depositMinSize": "0.001", "withdrawFeeRate": "0",
                "withdrawalMinFee": "0.001", "isWithdrawEnabled": True, "isDepositEnabled": True, "confirms": 3,
                "preConfirms": 1, "contractAddress": "", "withdrawPrecision": 8, "maxWithdraw": None,
                "maxDeposit": None, "needTag": False, "chainId": chain[1],
            }
        ],
    }  # fmt: skip


def _tick(pair: Pair, call: Call) -> dict[str, object]:
    price = price_at(pair, call.now_ms)
    return {
        "time": call.now_ms, "sequence": str(call.now_ms), "price": str(price), "size": "0.01",
        "bestBid": str(price), "bestBidSize": "1.5", "bestAsk": str(price + pair.price_step), "bestAskSize": "1.2",
    }  # fmt: skip


def _day(pair: Pair, call: Call) -> dict[str, object]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    return {
        "symbol": pair.join("-"), "symbolName": pair.join("-"), "buy": str(price), "bestBidSize": "1.5",
        "sell": str(price + pair.price_step), "bestAskSize": "1.2",
        "changeRate": str(((price - before) / before).quantize(Decimal("0.0001"))), "changePrice": str(price - before),
        "high": str(max(price, before)), "low": str(min(price, before)), "vol": "1200.5", "volValue": str(price * 1200),
        "last": str(price), "averagePrice": str(price), "takerFeeRate": "0.001", "makerFeeRate": "0.001",
        "takerCoefficient": "1", "makerCoefficient": "1",
    }  # fmt: skip


def _contract(name: str, pair: Pair, call: Call) -> dict[str, object]:
    price, base = float(price_at(pair, call.now_ms)), name.removesuffix("USDTM")
    return {
        "symbol": name, "rootSymbol": pair.quote, "type": "FFWCSX", "firstOpenDate": 1_585_555_200_000,
        "expireDate": None, "settleDate": None, "baseCurrency": base, "quoteCurrency": pair.quote,
        "settleCurrency": pair.quote, "maxOrderQty": 1_000_000, "maxPrice": 1_000_000.0, "lotSize": 1,
        "tickSize": float(pair.price_step), "indexPriceTickSize": float(pair.price_step),
        "multiplier": float(pair.contract_size), "initialMargin": 0.008, "maintainMargin": 0.004,
        "maxRiskLimit": 100_000, "minRiskLimit": 100_000, "riskStep": 50_000, "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0006, "takerFixFee": 0.0, "makerFixFee": 0.0, "settlementFee": None, "isDeleverage": True,
        "isQuanto": True, "isInverse": False, "markMethod": "FairPrice", "fairMethod": "FundingRate",
        "fundingBaseSymbol": f".{base}INT8H", "fundingQuoteSymbol": ".USDTINT8H", "fundingRateSymbol": f".{name}FPI8H",
        "indexSymbol": f".K{base}USDT", "settlementSymbol": "", "status": "Open" if pair.open else "Paused",
        "fundingFeeRate": 0.0001,
        "predictedFundingFeeRate": 0.0001, "fundingRateGranularity": 28_800_000, "openInterest": "400000",
        "turnoverOf24h": 96_000_000.0, "volumeOf24h": 1500.0, "markPrice": price, "indexPrice": price,
        "lastTradePrice": price, "nextFundingRateTime": 28_800_000 - call.now_ms % 28_800_000,
        "maxLeverage": pair.max_leverage, "sourceExchanges": ["kucoin"], "premiumsSymbol1M": f".{name}PI",
        "premiumsSymbol8H": f".{name}PI8H", "fundingBaseSymbol1M": f".{base}INT", "fundingQuoteSymbol1M": ".USDTINT",
        "lowPrice": price, "highPrice": price, "priceChgPct": 0.0, "priceChg": 0.0, "k": 490.0, "m": 300.0, "f": 1.3,
        "mmrLimit": 0.3, "mmrLevConstant": 125.0, "supportCross": True, "buyLimit": price * 1.05,
        "sellLimit": price * 0.95,
    }  # fmt: skip


EXCHANGE = KuCoin
