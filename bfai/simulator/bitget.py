"""Bitget: classic accounts (`/api/v2`) and unified ones (`/api/v3`) on one host, and on an older name of it.

`Account.mode` is empty for a classic account and `unified` for a unified one; each gets an error on the other's paths.
`Account.site` is `global`, or `demo` for a key of demo trading (header `PAPTRADING: 1`).
`Account.permissions` are the short words of classic accounts (`stor` … `wwow`) or, when unified, `uta_mgt`,
`uta_trade`, `withdraw`, …; short words that are left when an account becomes unified are translated.
`Account.spot` is the wallet of a unified account; `Account.futures` is not used there.

Sources are Bitget's documents and answers seen live; where they are silent, the comment says what was chosen. There
is no dry-run order.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Final
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
from bfai.simulator.markets import BEIJING_MS, MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SYMBOLS: Final = by_symbol("")
FUTURES: Final = "USDT-FUTURES"
CATEGORIES: Final = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES", "SUSDT-FUTURES", "SUSDC-FUTURES", "SCOIN-FUTURES")
REGISTERED: Final = "1700000000000"
WINDOW_MS: Final = 30_000
"""Not documented; what clients report."""
READS: Final = ("stor", "coor", "cpor")
TRADES: Final = ("stor", "stow", "coor", "coow", "cpor", "cpow")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)

SPOT: Final = ("stor", "stow")
ORDERS: Final = ("coor", "coow")
FUTURES_READ: Final = ("coor", "coow", "cpor", "cpow")
POSITIONS: Final = ("cpor", "cpow")
MARGIN: Final = ("smor", "smow")
UNIFIED: Final = ("uta_mgt",)
UNIFIED_TRADE: Final = ("uta_trade", "uta_mgt")

_AREA: Final = {
    "stor": "spot order read", "coor": "contract order read", "cpor": "contract position read",
    "smor": "margin order read", "uta_mgt": "UTA mgt. read", "uta_trade": "UTA trade read",
}  # fmt: skip
LIMITS: Final[Mapping[str, int]] = {
    "/api/v2/spot/account/info": 1, "/api/v3/account/info": 5, "/api/v2/spot/account/assets": 10,
    "/api/v2/mix/account/accounts": 10, "/api/v2/mix/order/orders-pending": 10, "/api/v2/common/trade-rate": 10,
}  # fmt: skip
"""Calls per second; 20 otherwise."""
_READ_WORDS: Final = ("stor", "smor", "coor", "cpor", "ttor", "wtor", "taxr", "chor", "p2pr", "pllr")
_IN_UNIFIED: Final = {
    **dict.fromkeys(_READ_WORDS, "uta_mgt"), "wtow": "uta_mgt",
    **dict.fromkeys(("stow", "smow", "coow", "cpow"), "uta_trade"), "wwow": "withdraw", "ttow": "copy_futures_order",
}  # fmt: skip
_KEY: Final = re.compile(r"bg_[0-9a-f]{32}")
_STEPS: Final = {
    "1min": 1, "3min": 3, "5min": 5, "15min": 15, "30min": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360,
    "12h": 720, "1day": 1440, "3day": 4320, "1week": 10_080,
}  # fmt: skip
_UTC_STEPS: Final = {"6Hutc": 360, "12Hutc": 720, "1Dutc": 1440, "3Dutc": 4320, "1Wutc": 10_080}
_SHORT: Final = {"1min": "1m", "3min": "3m", "5min": "5m", "15min": "15m", "30min": "30m", "1day": "1D", "3day": "3D",
                 "1week": "1W"}  # fmt: skip
_FUTURES_STEPS: Final = {_SHORT.get(name, name.upper()): minutes for name, minutes in _STEPS.items()}


def signature(secret: str, timestamp: str, method: str, target: str, body: str | bytes = b"") -> str:
    """Base64 HMAC-SHA256 of time, method, target (query not percent-encoded), body (Bitget docs, signature)."""
    raw = body.encode() if isinstance(body, str) else body
    return base64.b64encode(hmac_sha256(secret, (timestamp + method + target).encode() + raw)).decode()


def _body(call: Call, code: str, msg: str, data: object, status: int) -> Reply:
    return as_json({"code": code, "msg": msg, "requestTime": call.now_ms, "data": data}, status)


def _error(call: Call, code: str, msg: str, status: int = 400) -> Reply:
    return _body(call, code, msg, None, status)


def _data(call: Call, data: object) -> Reply:
    return _body(call, "00000", "success", data, 200)


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    made = Account(
        name=name,
        api_key=f"bg_{sample_hex(32, 'bitget key', name)}",
        secret=sample_hex(64, "bitget secret", name),
        password=f"Sample7{hashlib.sha512(name.encode()).hexdigest()[:10]}",
        permissions=permissions,
        ip_whitelist=HERE,
        uid=1_234_500_000 + int(sample_hex(12, "bitget uid", name), 16),
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


def unified_words(permissions: Iterable[str]) -> tuple[str, ...]:
    """The rights of a unified key; short words of classic ones are put in its terms, unknown ones stay."""
    return tuple(dict.fromkeys(_IN_UNIFIED.get(word, word) for word in permissions))


class Bitget(Exchange):
    """Bitget as its documents describe it."""

    name = "bitget"
    hosts: ClassVar[Mapping[str, str]] = {"api.bitget.com": "main", "capi.bitget.com": "main"}
    forbidden = (
        ("/api/v2/spot/wallet/", "moves money"),
        ("/api/v2/convert/", "moves money"),
        ("/api/v2/earn/", "moves money"),
        ("/api/v2/p2p/", "moves money"),
        ("/api/v3/account/", "changes the account"),
        ("/api/v2/user/create-virtual-subaccount-apikey", "edits a key"),
        ("/api/v2/user/modify-virtual-subaccount-apikey", "edits a key"),
        ("/api/v2/user/batch-create-subaccount-and-apikey", "edits a key"),
        ("/api/v2/user/", "edits a sub-account"),
        ("/api/v3/user/create-sub-api", "edits a key"),
        ("/api/v3/user/update-sub-api", "edits a key"),
        ("/api/v3/user/delete-sub-api", "edits a key"),
        ("/api/v3/user/", "edits a sub-account"),
        ("/api/v2/spot/trade/", "places or cancels an order"),
        ("/api/v2/mix/order/", "places or cancels an order"),
        ("/api/v2/margin/", "places or cancels an order"),
        ("/api/v2/copy/", "places or cancels an order"),
        ("/api/v3/trade/", "places or cancels an order"),
        ("/api/v2/mix/account/", "changes the account"),
        ("/api/v2/mix/position/", "changes a position"),
    )

    def __init__(self, started_ms: int) -> None:
        super().__init__(started_ms)
        self._used: dict[tuple[str, str], tuple[int, int]] = {}

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts, all classic. No `expiring`: Bitget tells no end of a key."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, "wwow"))
        yield _account("read_only", READS)
        yield _account("no_futures", SPOT)
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=())
        yield _account("expired", status="expired")
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "vaow"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("ACCESS-KEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """Bitget docs, error codes. The order of the checks is chosen here, Bitget tells none."""
        key, sign, sent, phrase = (
            call.headers.get(f"ACCESS-{word}", "") for word in ("KEY", "SIGN", "TIMESTAMP", "PASSPHRASE")
        )
        given = {"KEY": (key, "40001"), "SIGN": (sign, "40002"), "TIMESTAMP": (sent, "40003"),
                 "PASSPHRASE": (phrase, "40011")}  # fmt: skip
        for word, (value, code) in given.items():
            if not value:
                return _error(call, code, f"ACCESS_{word} cannot be empty")
        if not _KEY.fullmatch(key):
            return _error(call, "40006", "Invalid ACCESS_KEY")
        account = call.account
        # a key past its life has no code of its own in the documents: taken for deleted
        if account is None or account.status == "deleted" or self.expired(account, call.now_ms):
            return _error(call, "40037", "Apikey does not exist")
        if (account.site == "demo") != (call.headers.get("PAPTRADING") == "1"):
            return _error(call, "40099", "exchange environment is incorrect")
        if not sent.isascii() or not sent.isdigit():
            return _error(call, "40005", "Invalid ACCESS_TIMESTAMP")
        if abs(call.now_ms - int(sent[:20])) > WINDOW_MS:
            return _error(call, "40008", "Request timestamp expired")
        if not same(phrase, account.password or ""):
            return _error(call, "40012", "apikey/password is incorrect")
        target = unquote(call.target) if "%" in call.target else call.target
        if not same(sign, signature(account.secret, sent, call.method, target, call.body)):
            return _error(call, "40009", "sign signature error")
        if not account.allows(call.address):
            return _error(call, "40018", "Invalid IP")
        if account.status == "frozen":
            return _error(call, "40013", "User status is abnormal")
        unified = account.mode == "unified"
        if unified != call.path.startswith("/api/v3/"):
            mine, other = ("Unified", "Classic") if unified else ("Classic", "Unified")
            words = f"You are in {mine} Account mode, and the {other} Account API is not supported at this time"
            return _error(call, "40085" if unified else "40084", words)
        held = unified_words(account.permissions) if unified else account.permissions
        if route.scopes and not any(scope in held for scope in route.scopes):
            # only "need spot order write permissions" is documented; the other areas are worded after it
            area = _AREA[route.scopes[0]]
            return _error(call, "40014", f"Incorrect permissions, need {area} permissions")
        return None

    def finish(self, call: Call, reply: Reply) -> Reply:
        """What is left of the calls of a second: not documented, but clients count on it. It never reaches 0."""
        owner = call.account.name if call.account is not None else call.address
        second, used = self._used.get((owner, call.path), (0, 0))
        used = used + 1 if second == call.now_ms // 1000 else 1
        if call.route is not None:
            self._used[owner, call.path] = call.now_ms // 1000, used
        reply.headers["x-mbx-used-remain-limit"] = str(max(1, LIMITS.get(call.path, 20) - used))
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """As seen live."""
        return _error(call, "40404", "Request URL NOT FOUND", 404)

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        if "transfer" in call.path or "withdraw" in call.path:
            call.violation = "moves money"
        return _error(call, "40014", "Incorrect permissions, need spot order write permissions")

    def rate_limited(self, call: Call) -> Reply:
        """Bitget docs, rate limits."""
        return _error(call, "429", "Too Many Requests", 429)

    def maintenance(self, call: Call) -> Reply:
        """There is no status call. 400 is chosen, the status of Bitget's other errors; 503 is reported too."""
        return _error(call, "40200", "Server upgrade, please try again later")

    # -- public, v2

    @route("GET", "/api/v2/public/time")
    def time(self, call: Call) -> Reply:
        """Server time in ms."""
        return _data(call, {"serverTime": str(call.now_ms)})

    @route("GET", "/api/v2/public/annoucements")
    def announcements(self, call: Call) -> Reply:
        """News: one. The path is misspelt at Bitget."""
        news = {"annId": "12560600000000", "annTitle": "Sample announcement", "annType": "latest_news", "annDesc": "",
                "language": "en_US", "annUrl": "https://www.bitget.com/support", "annSubType": "",
                "cTime": str(self.started_ms - DAY_MS)}  # fmt: skip
        return _data(call, [news])

    @route("GET", "/api/v2/spot/public/coins")
    def coins(self, call: Call) -> Reply:
        """Bitget docs, get coin info: one chain each."""
        name = call.params.get("coin")
        rows = [_coin(number, coin) for number, coin in enumerate(("USDT", "BTC", "ETH", "SOL"), 1)]
        return _data(call, [row for row in rows if name in (None, "", row["coin"])])

    @route("GET", "/api/v2/spot/public/symbols")
    def symbols(self, call: Call) -> Reply:
        """Bitget docs, get symbol info."""
        return self._listed(call, _spot_market)

    @route("GET", "/api/v2/margin/currencies")
    def margin_currencies(self, call: Call) -> Reply:
        """Pairs of margin trading."""
        return self._listed(call, _margin_market)

    @route("GET", "/api/v2/spot/market/tickers")
    def tickers(self, call: Call) -> Reply:
        """24 hours of all pairs or one."""
        return self._listed(call, lambda pair: _ticker(pair, call.now_ms))

    @route("GET", "/api/v2/spot/market/candles")
    @route("GET", "/api/v2/spot/market/history-candles")
    def spot_candles(self, call: Call) -> Reply:
        """Oldest first: ms, open, high, low, close, volume, USDT, quote; at most 1000 (history 200)."""
        return _candles(call, {**_STEPS, **_UTC_STEPS}, call.params.get("granularity", ""), 8)

    @route("GET", "/api/v2/mix/market/contracts")
    def contracts(self, call: Call) -> Reply:
        """Bitget docs, get contract config; only USDT futures are traded here."""
        return self._listed(call, _contract, "productType")

    @route("GET", "/api/v2/mix/market/ticker")
    @route("GET", "/api/v2/mix/market/tickers")
    def futures_tickers(self, call: Call) -> Reply:
        """24 hours of all contracts or one."""
        return self._listed(call, lambda pair: _futures_ticker(pair, call.now_ms), "productType")

    @route("GET", "/api/v2/mix/market/query-position-lever")
    def position_tiers(self, call: Call) -> Reply:
        """Bitget docs, get position tier: bounds in USDT."""
        name = call.params.get("symbol", "")
        if (wrong := _category(call, "productType")) is not None:
            return wrong
        pair = SYMBOLS.get(name)
        if pair is None:
            return _unknown_symbol(call, name)
        levels = (("0", "150000", 125, "0.004"), ("150000", "900000", 75, "0.006"), ("900000", "3000000", 50, "0.01"))
        return _data(
            call,
            [
                {"symbol": name, "level": str(level), "startUnit": start, "endUnit": end,
                 "leverage": str(min(pair.max_leverage, most)), "keepMarginRate": kept}
                for level, (start, end, most, kept) in enumerate(levels, 1)
            ],
        )  # fmt: skip

    @route("GET", "/api/v2/mix/market/candles")
    @route("GET", "/api/v2/mix/market/history-candles")
    def futures_candles(self, call: Call) -> Reply:
        """Oldest first: ms, open, high, low, close, volume, quote."""
        steps = {**_FUTURES_STEPS, **_UTC_STEPS}
        return _category(call, "productType") or _candles(call, steps, call.params.get("granularity", ""), 7)

    # -- public, v3

    @route("GET", "/api/v3/market/instruments")
    def instruments(self, call: Call) -> Reply:
        """The same pairs in the words of the unified API; `category` is required."""
        futures = call.params.get("category") != "SPOT"
        return self._listed(call, lambda pair: _instrument(pair, futures=futures), "category")

    @route("GET", "/api/v3/market/tickers")
    def unified_tickers(self, call: Call) -> Reply:
        """24 hours of a category."""
        kind = call.params.get("category", "")
        return self._listed(call, lambda pair: _unified_ticker(pair, kind, call.now_ms), "category")

    @route("GET", "/api/v3/market/candles")
    @route("GET", "/api/v3/market/history-candles")
    def unified_candles(self, call: Call) -> Reply:
        """Like those of v2 futures, at most 100, newest first."""
        interval = call.params.get("interval", "").removesuffix("utc")
        return _category(call, "category") or _candles(call, _FUTURES_STEPS, interval, 7, most=100)

    def _listed(self, call: Call, row: Callable[[Pair], dict[str, object]], category: str | None = None) -> Reply:
        """The rows of all pairs, or of the one that `symbol` names."""
        if category is not None and (wrong := _category(call, category)) is not None:
            return wrong
        traded = category is None or call.params[category].upper() in ("SPOT", FUTURES)
        name = call.params.get("symbol")
        if name and name not in SYMBOLS:
            return _unknown_symbol(call, name)
        return _data(call, [row(pair) for one, pair in SYMBOLS.items() if traded and name in (None, "", one)])

    # -- classic, signed

    @route("GET", "/api/v2/spot/account/info", private=True)
    def account_info(self, call: Call) -> Reply:
        """The key's report on itself (Bitget docs, get account information).

        Not documented, chosen here: `ips` is empty without a list, `parentId` of a main account is its own number.
        """
        account = call.who
        report: dict[str, object] = {
            "userId": str(account.uid), "inviterId": "", "ips": ",".join(account.ip_whitelist),
            "authorities": list(account.permissions), "parentId": account.uid - account.is_sub,
            "traderType": "not_trader", "channelCode": "", "channel": "", "regisTime": REGISTERED,
            **account.report,
        }  # fmt: skip
        return _data(call, {name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/api/v2/spot/account/assets", scopes=SPOT)
    def spot_assets(self, call: Call) -> Reply:
        """Spot balances; `coin` narrows them."""
        zero, name = dict.fromkeys(("frozen", "locked", "limitAvailable"), "0"), call.params.get("coin")
        rows = [
            {"coin": coin, "available": amount, **zero, "uTime": str(self.started_ms)}
            for coin, amount in call.who.spot.items()
            if name in (None, "", coin)
        ]
        return _data(call, rows)

    @route("GET", "/api/v2/mix/account/accounts", scopes=FUTURES_READ)
    def futures_accounts(self, call: Call) -> Reply:
        """Futures balances of one `productType`, which is required."""
        if (wrong := _category(call, "productType")) is not None:
            return wrong
        held = call.who.futures.items() if call.params["productType"].upper() == FUTURES else ()
        return _data(call, [_margin_account(coin, amount) for coin, amount in held])

    @route("GET", "/api/v2/mix/account/account", scopes=FUTURES_READ)
    def futures_account(self, call: Call) -> Reply:
        """The same for one contract and `marginCoin`."""
        if (wrong := _category(call, "productType")) is not None:
            return wrong
        params, name = call.params, call.params.get("symbol", "").upper()
        if name not in SYMBOLS:
            return _unknown_symbol(call, name)
        coin = params.get("marginCoin", "").upper()
        return _data(call, _margin_account(coin, call.who.futures.get(coin, "0")))

    @route("GET", "/api/v2/common/trade-rate", scopes=(*SPOT, *FUTURES_READ))
    def trade_rate(self, call: Call) -> Reply:
        """Bitget docs, get trade rate: of this account. They name no right; that any to read orders does was chosen."""
        kind = call.params.get("businessType", "")
        if (wrong := _fee_symbol(call)) is not None:
            return wrong
        if not kind:
            return _error(call, "40019", "Parameter businessType cannot be empty")
        if kind not in ("spot", "mix", "margin"):
            return _error(call, "40020", "Parameter businessType error")
        return _fees(call, futures=kind == "mix")

    @route("GET", "/api/v2/spot/trade/unfilled-orders", scopes=SPOT)
    @route("GET", "/api/v2/spot/trade/history-orders", scopes=SPOT)
    @route("GET", "/api/v2/spot/trade/fills", scopes=SPOT)
    @route("GET", "/api/v2/spot/account/bills", scopes=SPOT)
    @route("GET", "/api/v2/spot/wallet/deposit-records", private=True)
    @route("GET", "/api/v2/spot/wallet/withdrawal-records", private=True)
    def lists(self, call: Call) -> Reply:
        """Open spot orders; all else is empty. That any key may read the histories of the wallet is chosen here;
        `wwow` gates no read.
        """
        names = call.who.spot_orders if call.path.endswith("/unfilled-orders") else ()
        one = call.params.get("symbol")
        return _data(call, [_spot_order(call, name) for name in names if one in (None, "", name)])

    @route("GET", "/api/v2/spot/trade/current-plan-order", scopes=SPOT)
    def spot_plans(self, call: Call) -> Reply:
        """Trigger orders: none."""
        return _data(call, {"nextFlag": False, "idLessThan": None, "orderList": []})

    @route("GET", "/api/v2/mix/order/orders-pending", scopes=ORDERS)
    @route("GET", "/api/v2/mix/order/orders-plan-pending", scopes=ORDERS)
    @route("GET", "/api/v2/mix/order/orders-history", scopes=ORDERS)
    def futures_orders(self, call: Call) -> Reply:
        """Open futures orders of one `productType`; no trigger orders and no closed ones."""
        usdt = call.params.get("productType", "").upper() == "USDT-FUTURES"
        names = call.who.futures_orders if usdt and call.path.endswith("/orders-pending") else ()
        rows = [_futures_order(call, name) for name in names]
        listed = {"entrustedList": rows or None, "endId": rows[-1]["orderId"] if rows else None}
        return _category(call, "productType") or _data(call, listed)

    @route("GET", "/api/v2/mix/position/all-position", scopes=POSITIONS)
    def positions(self, call: Call) -> Reply:
        """None."""
        return _category(call, "productType") or _data(call, [])

    @route("GET", "/api/v2/margin/crossed/account/assets", scopes=MARGIN)
    @route("GET", "/api/v2/margin/isolated/account/assets", scopes=MARGIN)
    def margin_assets(self, call: Call) -> Reply:
        """Nothing on margin."""
        return _data(call, [])

    # -- unified, signed

    @route("GET", "/api/v3/account/info", private=True)
    def unified_info(self, call: Call) -> Reply:
        """The report of a unified account's key; needs no right. `permType` is told by the words: only a key with
        nothing but `uta_mgt` reads alone. `parentId` is for sub-accounts."""
        account = call.who
        words = unified_words(account.permissions)
        report: dict[str, object] = {
            "userId": str(account.uid), "inviterId": "", "parentId": str(account.uid - 1) if account.is_sub else "",
            "channelCode": "", "channel": "", "ips": ",".join(account.ip_whitelist),
            "permType": "read-and-write" if set(words) - set(UNIFIED) else "read-only",
            "permissions": list(words), "regisTime": REGISTERED,
            **account.report,
        }  # fmt: skip
        return _data(call, {name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/api/v3/account/settings", scopes=UNIFIED)
    def settings(self, call: Call) -> Reply:
        """How the account is set up."""
        return _data(
            call,
            {"uid": str(call.who.uid), "accountMode": "unified", "assetMode": "multi_assets",
             "accountLevel": "advanced", "holdMode": "one_way_mode", "stpMode": "none", "symbolConfigList": [],
             "coinConfigList": []},
        )  # fmt: skip

    @route("GET", "/api/v3/account/assets", scopes=UNIFIED)
    def unified_assets(self, call: Call) -> Reply:
        """The wallet of all products."""
        rows, total = list[dict[str, str]](), Decimal(0)
        for coin, amount in call.who.spot.items():
            dollars = Decimal(amount) * _dollars(coin, call.now_ms)
            total += dollars
            rows.append(
                {"coin": coin, "equity": amount, "usdValue": str(dollars), "balance": amount, "available": amount,
                 "debt": "0", "locked": "0"}
            )  # fmt: skip
        equity = dict.fromkeys(("accountEquity", "usdtEquity", "effEquity"), str(total))
        zero = dict.fromkeys(("unrealisedPnl", "mmr", "imr", "mgnRatio"), "0")
        return _data(call, {**equity, "btcEquity": "0", **zero, "assets": rows})

    @route("GET", "/api/v3/account/fee-rate", scopes=UNIFIED)
    def unified_fee_rate(self, call: Call) -> Reply:
        """The same of a unified account, by `category`."""
        futures = call.params.get("category", "").upper() in CATEGORIES
        return _category(call, "category") or _fee_symbol(call) or _fees(call, futures=futures)

    @route("GET", "/api/v3/account/funding-assets", scopes=UNIFIED)
    @route("GET", "/api/v3/account/deposit-records", scopes=UNIFIED)
    @route("GET", "/api/v3/account/withdrawal-records", scopes=UNIFIED)
    @route("GET", "/api/v3/account/withdraw-address", scopes=UNIFIED)
    def unified_lists(self, call: Call) -> Reply:
        """All empty; the right to withdraw gates none of them."""
        return _data(call, [])

    @route("GET", "/api/v3/trade/unfilled-orders", scopes=UNIFIED_TRADE)
    @route("GET", "/api/v3/trade/unfilled-strategy-orders", scopes=UNIFIED_TRADE)
    @route("GET", "/api/v3/trade/history-orders", scopes=UNIFIED_TRADE)
    @route("GET", "/api/v3/trade/fills", scopes=UNIFIED_TRADE)
    @route("GET", "/api/v3/position/current-position", scopes=UNIFIED_TRADE)
    def unified_pages(self, call: Call) -> Reply:
        """Open orders; no closed ones, trades or positions. Either right reads them, chosen here."""
        names = (("SPOT", call.who.spot_orders), ("USDT-FUTURES", call.who.futures_orders))
        wanted = call.params.get("category", "").upper()
        rows = [
            _unified_order(call, name, kind)
            for kind, all_ in names
            for name in all_
            if call.path == "/api/v3/trade/unfilled-orders" and wanted in ("", kind)
        ]
        return _data(call, {"list": rows, "cursor": rows[-1]["orderId"] if rows else None})


def _category(call: Call, name: str) -> Reply | None:
    """The refusal of a missing or unknown kind of product."""
    given = call.params.get(name, "").upper()
    if not given:
        return _error(call, "40019", f"Parameter {name} cannot be empty")
    known = given in CATEGORIES or (name == "category" and given in ("SPOT", "MARGIN"))
    return None if known else _error(call, "40020", f"Parameter {name} error")


def _fee_symbol(call: Call) -> Reply | None:
    """The refusal of a missing or unknown symbol."""
    name = call.params.get("symbol", "")
    if not name:
        return _error(call, "40019", "Parameter symbol cannot be empty")
    return None if name in SYMBOLS else _unknown_symbol(call, name)


def _fees(call: Call, *, futures: bool) -> Reply:
    maker, taker = call.who.futures_fees if futures else call.who.spot_fees
    return _data(call, {"makerFeeRate": maker, "takerFeeRate": taker})


def _unknown_symbol(call: Call, name: str) -> Reply:
    return _error(call, "40034", f"Parameter {name} does not exist")


def _candles(call: Call, steps: Mapping[str, int], name: str, width: int, most: int | None = None) -> Reply:
    params = call.params
    pair, minutes = SYMBOLS.get(params.get("symbol", "")), steps.get(name)
    if pair is None:
        return _unknown_symbol(call, params.get("symbol", ""))
    if minutes is None:
        return _error(call, "40020", "Parameter granularity error")
    start, end, limit = (_number(params.get(word)) for word in ("startTime", "endTime", "limit"))
    # Days that do not say UTC are those of Hong Kong. Old candles are told before an end, whatever the begin (ccxt
    # issues 20591 and 20722); of the others a begin is not included (20587).
    history, east = "history" in call.path and not most, 0 if most or name.endswith("utc") else BEIJING_MS
    if history and end is None:
        return _error(call, "40019", "Parameter endTime cannot be empty")
    highest = most or (200 if history else 1000)
    count = min(highest, max(1, int(limit or 100)))
    first, last = (None if at is None else int(at) for at in (start, end))
    if history and last is not None:
        first, last = None, last - 1
    elif first is not None and not most:
        first += 1
    step = minutes * MINUTE_MS
    found = candles(pair, step, call.now_ms, start_ms=first, end_ms=last, limit=count, east_ms=east)
    rows = [
        [str(part) for part in (c.open_ms, c.open, c.high, c.low, c.close, c.volume, c.turnover, c.turnover)][:width]
        for c in found
    ]
    return _data(call, rows[::-1] if most else rows)


def _dollars(coin: str, at_ms: int) -> Decimal:
    return next((price_at(pair, at_ms) for pair in PAIRS if pair.base == coin), Decimal(1))


def _places(step: Decimal) -> str:
    return str(max(0, -int(step.as_tuple().exponent)))


def _coin(number: int, coin: str) -> dict[str, object]:
    chain = {"USDT": "TRC20", "ETH": "ERC20"}.get(coin, coin)
    return {
        "coinId": str(number), "coin": coin, "transfer": "true", "areaCoin": "no",
        "chains": [
            {
                "chain": chain, "needTag": "false", "withdrawable": "true", "rechargeable": "true",
                "withdrawFee": "0.001", "extraWithdrawFee": "0", "depositConfirm": "1", "withdrawConfirm": "3",
                "minDepositAmount": "0.001", "minWithdrawAmount": "0.01", "browserUrl": "", "contractAddress": None,
                "withdrawStep": "0", "withdrawMinScale": "8", "congestion": "normal",
            }
        ],
    }  # fmt: skip


def _spot_order(call: Call, name: str) -> dict[str, str]:
    """Bitget docs v2, get current orders."""
    at = str(call.now_ms - 60_000)
    return {
        "userId": "1", "symbol": name, "orderId": "1111453253721796609", "clientOid": "x", "priceAvg": "1",
        "size": "10", "orderType": "limit", "side": "buy", "status": "live", "basePrice": "0", "baseVolume": "0",
        "quoteVolume": "0", "enterPointSource": "API", "orderSource": "normal", "presetTakeProfitPrice": "",
        "executeTakeProfitPrice": "", "presetStopLossPrice": "", "executeStopLossPrice": "", "triggerPrice": "",
        "tpslType": "normal", "triggerType": "", "cTime": at, "uTime": at,
    }  # fmt: skip


def _futures_order(call: Call, name: str) -> dict[str, str]:
    """Bitget docs v2, get pending orders."""
    at = str(call.now_ms - 60_000)
    return {
        "symbol": name, "size": "10", "orderId": "1111488897767604224", "clientOid": "x", "baseVolume": "0",
        "fee": "0", "price": "1", "priceAvg": "", "status": "live", "side": "buy", "force": "gtc",
        "totalProfits": "0", "posSide": "long", "marginCoin": "USDT", "quoteVolume": "0", "leverage": "20",
        "marginMode": "crossed", "reduceOnly": "NO", "enterPointSource": "api", "tradeSide": "open",
        "posMode": "hedge_mode", "orderType": "limit", "orderSource": "normal", "cTime": at, "uTime": at,
    }  # fmt: skip


def _unified_order(call: Call, name: str, kind: str) -> dict[str, str]:
    """Bitget docs v3, get open orders."""
    at = str(call.now_ms - 60_000)
    return {
        "orderId": "1111488897767604224", "clientOid": "x", "category": kind, "symbol": name, "orderType": "limit",
        "side": "buy", "price": "1", "qty": "10", "amount": "10", "cumExecQty": "0", "cumExecValue": "0",
        "avgPrice": "0", "timeInForce": "gtc", "orderStatus": "live", "posSide": "", "holdMode": "",
        "reduceOnly": "NO", "createdTime": at, "updatedTime": at, "stpMode": "none",
    }  # fmt: skip


def _spot_market(pair: Pair) -> dict[str, object]:
    return {
        "symbol": pair.join(""), "baseCoin": pair.base, "quoteCoin": pair.quote, "minTradeAmount": "0",
        "maxTradeAmount": "900000000000", "takerFeeRate": "0.001", "makerFeeRate": "0.001",
        "pricePrecision": _places(pair.price_step), "quantityPrecision": _places(pair.size_step),
        "quotePrecision": "8", "status": "online" if pair.open else "halt",
        "minTradeUSDT": "" if pair.terse else "1", "buyLimitPriceRatio": "0.05",
        "sellLimitPriceRatio": "0.05", "areaSymbol": "no", "orderQuantity": "200", "openTime": REGISTERED,
        "offTime": "",
    }  # fmt: skip


def _margin_market(pair: Pair) -> dict[str, object]:
    return {
        "symbol": pair.join(""), "baseCoin": pair.base, "quoteCoin": pair.quote, "maxCrossedLeverage": "3",
        "maxIsolatedLeverage": "10", "warningRiskRatio": "0.8", "liquidationRiskRatio": "1",
        "minTradeAmount": format(pair.size_step, "f"), "maxTradeAmount": "10000", "takerFeeRate": "0.001",
        "makerFeeRate": "0.001", "pricePrecision": _places(pair.price_step),
        "quantityPrecision": _places(pair.size_step), "minTradeUSDT": "5", "isBorrowable": True, "userMinBorrow": "1",
        "status": "1", "isIsolatedBaseBorrowable": True, "isIsolatedQuoteBorrowable": True, "isCrossBorrowable": True,
    }  # fmt: skip


def _contract(pair: Pair) -> dict[str, object]:
    empty = ("deliveryTime", "deliveryStartTime", "deliveryPeriod", "launchTime", "maintainTime", "openTime")
    return {
        **dict.fromkeys(empty, ""), "symbol": pair.join(""), "baseCoin": pair.base, "quoteCoin": pair.quote,
        "buyLimitPriceRatio": "0.05", "sellLimitPriceRatio": "0.05", "feeRateUpRatio": "0.005",
        "makerFeeRate": "0.0002", "takerFeeRate": "0.0006", "openCostUpRatio": "0.01",
        "supportMarginCoins": [pair.quote], "minTradeNum": "" if pair.terse else format(pair.contract_size, "f"),
        "priceEndStep": "1",
        "volumePlace": _places(pair.contract_size), "pricePlace": _places(pair.price_step),
        "sizeMultiplier": format(pair.contract_size, "f"), "symbolType": "perpetual",
        "minTradeUSDT": "" if pair.terse else "5",
        "maxSymbolOrderNum": "200", "maxProductOrderNum": "400", "maxPositionNum": "150",
        "symbolStatus": "normal" if pair.open else "maintain",
        "offTime": "-1", "limitOpenTime": "-1", "fundInterval": "8", "minLever": "1",
        "maxLever": str(pair.max_leverage), "posLimit": "0.05", "maxOrderQty": "1200", "maxMarketOrderQty": "220",
    }  # fmt: skip


def _instrument(pair: Pair, *, futures: bool) -> dict[str, object]:
    step = pair.contract_size if futures else pair.size_step
    more = {
        "fundInterval": "8", "minLeverage": "1", "maxLeverage": str(pair.max_leverage), "type": "perpetual",
        "makerFeeRate": "0.0002", "takerFeeRate": "0.0006", "symbolType": "crypto", "maxPositionNum": "150",
    } if futures else {"areaSymbol": "no", "symbolType": "crypto"}  # fmt: skip
    return {
        "symbol": pair.join(""), "category": FUTURES if futures else "SPOT", "baseCoin": pair.base,
        "quoteCoin": pair.quote, "buyLimitPriceRatio": "0.05", "sellLimitPriceRatio": "0.05",
        "minOrderQty": format(step, "f"), "maxOrderQty": "100000", "maxMarketOrderQty": "10000",
        "pricePrecision": _places(pair.price_step), "quantityPrecision": _places(step), "quotePrecision": "8",
        "priceMultiplier": format(pair.price_step, "f"), "quantityMultiplier": format(step, "f"),
        "minOrderAmount": "5", "maxSymbolOrderNum": "400", "maxProductOrderNum": "400",
        "status": "online" if pair.open else "halt",
        "offTime": "", "limitOpenTime": "", "maintainTime": "", "launchTime": "", "deliveryTime": "", **more,
    }  # fmt: skip


def _day(pair: Pair, now_ms: int) -> tuple[Decimal, Decimal, str]:
    price, before = price_at(pair, now_ms), price_at(pair, now_ms - DAY_MS)
    return price, before, str(((price - before) / before).quantize(Decimal("0.00001")))


def _ticker(pair: Pair, now_ms: int) -> dict[str, object]:
    price, before, change = _day(pair, now_ms)
    turnover = str(price * 1200)
    return {
        "symbol": pair.join(""), "open": str(before), "high24h": str(max(price, before)),
        "low24h": str(min(price, before)), "lastPr": str(price), "quoteVolume": turnover, "baseVolume": "1200",
        "usdtVolume": turnover, "bidPr": str(price), "askPr": str(price + pair.price_step), "bidSz": "1.5",
        "askSz": "1.2", "openUtc": str(before), "ts": str(now_ms), "changeUtc24h": change, "change24h": change,
    }  # fmt: skip


def _futures_ticker(pair: Pair, now_ms: int) -> dict[str, object]:
    price = str(price_at(pair, now_ms))
    return {
        **_ticker(pair, now_ms), "indexPrice": price, "markPrice": price, "fundingRate": "0.0001",
        "holdingAmount": "4000", "deliveryStartTime": None, "deliveryTime": None, "deliveryStatus": "",
        "open24h": str(price_at(pair, now_ms - DAY_MS)),
    }  # fmt: skip


def _unified_ticker(pair: Pair, kind: str, now_ms: int) -> dict[str, object]:
    price, before, change = _day(pair, now_ms)
    return {
        "category": kind, "symbol": pair.join(""), "ts": str(now_ms), "lastPrice": str(price),
        "openPrice24h": str(before), "highPrice24h": str(max(price, before)), "lowPrice24h": str(min(price, before)),
        "bid1Price": str(price), "ask1Price": str(price + pair.price_step), "bid1Size": "1.5", "ask1Size": "1.2",
        "price24hPcnt": change, "volume24h": "1200", "turnover24h": str(price * 1200), "indexPrice": str(price),
        "markPrice": str(price), "fundingRate": "0.0001", "openInterest": "4000",
    }  # fmt: skip


def _margin_account(coin: str, amount: str) -> dict[str, object]:
    full = ("available", "crossedMaxAvailable", "isolatedMaxAvailable", "maxTransferOut", "accountEquity", "usdtEquity")
    zero = ("locked", "btcEquity", "crossedRiskRate", "unrealizedPL", "crossedUnrealizedPL", "isolatedUnrealizedPL",
            "coupon", "crossedMargin", "isolatedMargin")  # fmt: skip
    return {
        "marginCoin": coin, **dict.fromkeys(full, amount), **dict.fromkeys(zero, "0"), "crossedMarginLeverage": 20,
        "isolatedLongLever": 20, "isolatedShortLever": 20, "marginMode": "crossed", "posMode": "one_way_mode",
        "assetMode": "single",
    }  # fmt: skip


EXCHANGE = Bitget
