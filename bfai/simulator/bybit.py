"""Bybit v5: one API for spot, derivatives and assets, on a host for each site and environment.

`Account.site` is where a key was made: `global` (api.bybit.com, api.bytick.com), `nl`, `tr`, `kz`, `ge`, `ae`, `eu`,
`id`, `jp`, `hk`, `testnet`, `jp-testnet`, `demo`, `demo-testnet`. `Account.mode` holds words: `read_only` (the switch
over all rights), `classic` (no unified account), `isolated` (margin mode). `Account.permissions` are words of the
documents (`SpotTrade`, `Withdraw`, …) or `Group:Word` for a word whose group no document tells. `Account.spot` is the
wallet of a unified account; a classic one has `Account.futures` beside it.

The page for a blocked country is the fault `{"kind": "html"}`, the text for a whole address over its limit is
`{"kind": "body", "status": 403, "body": "access too frequent", "content_type": "text/plain"}`.

Sources are Bybit's documents; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final

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
from bfai.simulator.markets import MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SYMBOLS: Final = by_symbol("")
CREATED: Final = "2025-10-13T03:20:45Z"
NEVER: Final = "1970-01-01T00:00:00Z"
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "ContractTrade": ("Order", "Position"), "Spot": ("SpotTrade",),
    "Wallet": ("AccountTransfer", "SubMemberTransfer", "SubMemberTransferList", "Withdraw"),
    "Options": ("OptionsTrade",), "Derivatives": ("DerivativesTrade",), "Exchange": ("ExchangeHistory",),
    "Earn": ("Earn",), "CopyTrading": ("CopyTrading",), "BlockTrade": ("BlockTrade",), "NFT": ("NFTQueryProductList",),
    "Affiliate": ("Affiliate",), "FiatP2P": ("FiatP2POrder", "Advertising"),
    "FiatConvertBroker": ("FiatConvertBrokerOrder",), "FiatGlobalPay": ("FiatGlobalPayOrder",),
    "FiatBitPay": ("FaitPayOrder",), "BitCard": ("BitCard",), "ByXPost": ("ByXPost",),
}  # fmt: skip
"""The groups of a key report and the words of each (Bybit docs, get API key information)."""
FEE_RATE: Final = "/v5/account/fee-rate"
DERIVATIVES: Final = ("Order", "Position", "DerivativesTrade")
TRADES: Final = ("SpotTrade", *DERIVATIVES)
GATES: Final[Mapping[str, tuple[str, ...]]] = {
    "spot": ("SpotTrade",), "linear": DERIVATIVES, "inverse": DERIVATIVES, "option": ("OptionsTrade",),
}  # fmt: skip
"""Which words open the orders and trades of a category."""

_STEPS: Final = {
    "1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "240": 240, "360": 360, "720": 720,
    "D": 1440, "W": 10_080, "M": 43_200,
}  # fmt: skip
_SITES: Final[Mapping[str, str]] = {
    "api.bybit.com": "global", "api.bytick.com": "global", "api.bybit.nl": "nl", "api.bybit.tr": "tr",
    "api.bybit-tr.com": "tr", "api.bybit.kz": "kz", "api.bybitgeorgia.ge": "ge", "api.bybit.ae": "ae",
    "api.bybit.eu": "eu", "api.bybit.id": "id", "api.manepa.jp": "jp", "api.byhkbit.com": "hk",
    "api-testnet.bybit.com": "testnet", "api-testnet.manepa.jp": "jp-testnet",
    "api-demo.bybit.com": "demo", "api-demo-testnet.bybit.com": "demo-testnet",
}  # fmt: skip
_FULL: Final = ("main",)
"""What demo trading lacks is served by these hosts only (Bybit docs, demo trading service)."""


def signature(secret: str, timestamp: str, api_key: str, window: str, payload: str | bytes = b"") -> str:
    """Lower-case hex HMAC-SHA256 of time, key, window and the raw query or body (Bybit docs, integration guidance)."""
    raw = payload.encode() if isinstance(payload, str) else payload
    return hmac_sha256(secret, (timestamp + api_key + window).encode() + raw).hex()


def _say(call: Call, code: int, msg: str, result: object = None, status: int = 200) -> Reply:
    empty: dict[str, object] = {}
    body = {"retCode": code, "retMsg": msg, "result": empty if result is None else result, "retExtInfo": empty}
    return as_json({**body, "time": call.now_ms}, status)


def _data(call: Call, result: object) -> Reply:
    return _say(call, 0, "OK", result)


def _params_error(call: Call, what: str) -> Reply:
    return _say(call, 10001, f"params error: {what}")


def _denied(call: Call) -> Reply:
    return _say(call, 10005, "Permission denied, please check your API key permissions.")


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
    digest = hashlib.sha512(" ".join(("bfai simulator bybit", *words)).encode()).digest()
    return ("SAMPLE" + "".join(known[byte % len(known)] for byte in digest))[:length]


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    made = Account(
        name=name,
        api_key=_letters(18, "key", name),
        secret=_letters(36, "secret", name),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=1_448_000 + int(sample_hex(11, "bybit uid", name), 16),
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


class Bybit(Exchange):
    """Bybit as its documents describe it."""

    name = "bybit"
    hosts: ClassVar[Mapping[str, str]] = {
        host: "demo" if site.startswith("demo") else "main" for host, site in _SITES.items()
    }
    forbidden = (
        ("/v5/user/update-", "edits a key"),
        ("/v5/user/delete-api", "edits a key"),
        ("/v5/user/delete-sub-api", "edits a key"),
        ("/v5/user/create-sub-api", "edits a key"),
        ("/v5/user/", "edits a sub-account"),
        ("/v5/asset/", "moves money"),
        ("/v5/earn/", "moves money"),
        ("/v5/lending/", "moves money"),
        ("/v5/crypto-loan", "borrows"),
        ("/v5/spot-margin", "borrows"),
        ("/v5/order/", "places or cancels an order"),
        ("/v5/position/", "changes a position"),
        ("/v5/account/", "changes the account"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. A key without addresses lives 90 days, one after a new password 7 (Bybit docs, FAQ)."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, "Withdraw"))
        yield _account("read_only", mode="read_only")  # lists what it may read, as the documents' sample does
        yield _account("no_futures", ("SpotTrade",))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=(), expires_in_days=90)
        yield _account("expired", status="expired")
        yield _account("expiring", expires_in_days=5)
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "Vault:VaultAccess"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("X-BAPI-API-KEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """Bybit docs, integration guidance and error codes; the order of the checks was chosen."""
        key, sent, sign = (call.headers.get(f"X-BAPI-{name}", "") for name in ("API-KEY", "TIMESTAMP", "SIGN"))
        window = call.headers.get("X-BAPI-RECV-WINDOW", "")
        if not key and not sign:
            return _say(call, 10007, "User authentication failed.")
        at, width = _whole(sent), _whole(window or "5000")
        if not key or not sign or at is None or width is None:
            return _say(call, 10001, "openapi sign params error!")
        account = call.account
        if account is None or account.status == "deleted" or account.site != _SITES[call.host]:
            return _say(call, 10003, "API key is invalid.", status=401)
        if not call.now_ms - width <= at < call.now_ms + 1000:
            words = "invalid request, please check your server timestamp or recv_window param."
            stamps = f"req_timestamp[{at}],server_timestamp[{call.now_ms}],recv_window[{width}]"
            return _say(call, 10002, f"{words} {stamps}")
        raw = call.query.encode() if call.method == "GET" else call.body
        if not same(sign, signature(account.secret, sent, key, window, raw)):
            origin = f"{sent}{key}{window}{raw.decode('utf-8', 'replace')}"
            return _say(call, 10004, f"error sign! origin_string[{origin}]")
        if self.expired(account, call.now_ms):
            return _say(call, 33004, "Your api key has expired.")
        if not account.allows(call.address):
            return _say(call, 10010, "Unmatched IP, please check your API key's bound IP addresses.")
        if account.status == "frozen":
            return _say(call, 10008, "Common banned, please check your account mode")
        if route.dry_run and _read_only(account):
            return _denied(call)
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _denied(call)
        return None

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers of private calls. The limit never runs dry; a fault with status 429 does that."""
        if call.route is not None and call.route.private:
            limit = "5" if call.path == FEE_RATE else "10" if "/user/" in call.path else "50"
            reply.headers["X-Bapi-Limit"] = limit
            reply.headers["X-Bapi-Limit-Status"] = str(int(limit) - 1)
            reply.headers["X-Bapi-Limit-Reset-Timestamp"] = str(call.now_ms)
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """Bybit docs, error codes; a bare 404 outside of `/v5`."""
        if call.path.startswith("/v5/"):
            return _say(call, 10017, "Route not found.")
        return Reply(404, b"404 page not found", {"Content-Type": "text/plain; charset=utf-8"})

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        return _denied(call)

    def rate_limited(self, call: Call) -> Reply:
        """Bybit docs, rate limit of an account."""
        return _say(call, 10006, "Too many visits. Exceeded the API Rate Limit.")

    def maintenance(self, call: Call) -> Reply:
        """The status call says so and everything else is a server error."""
        if call.path == "/v5/system/status":
            begin, end = str(call.now_ms - 60_000), str(call.now_ms + 3_600_000)
            row = {
                "id": "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea", "title": "System maintenance", "state": "ongoing",
                "begin": begin, "end": end, "href": "", "serviceTypes": [2, 3, 4, 5], "product": [1, 2],
                "uidSuffix": [], "maintainType": 1, "env": 2 if call.group == "demo" else 1,
            }  # fmt: skip
            return _say(call, 0, "", {"list": [row]})
        return _say(call, 10016, "Internal System Error.")

    # -- public

    @route("GET", "/v5/market/time")
    def time(self, call: Call) -> Reply:
        """Server time."""
        return _data(call, {"timeSecond": str(call.now_ms // 1000), "timeNano": str(call.now_ms * 1_000_000)})

    @route("GET", "/v5/system/status")
    def status(self, call: Call) -> Reply:
        """Nothing is planned and nothing is broken."""
        return _say(call, 0, "", {"list": []})

    @route("GET", "/v5/market/instruments-info")
    def instruments(self, call: Call) -> Reply:
        """Bybit docs, get instruments info; only spot and linear have some."""

        def row(name: str, pair: Pair, category: str) -> dict[str, object]:
            return _spot_market(name, pair) if category == "spot" else _linear_market(name, pair)

        if call.params.get("status", "Trading") == "PreLaunch":
            return _data(call, {"category": call.params.get("category", ""), "list": [], "nextPageCursor": ""})
        return _per_symbol(call, row)

    @route("GET", "/v5/market/risk-limit")
    def risk_limit(self, call: Call) -> Reply:
        """Bybit docs, get risk limit: rates as fractions; of contracts only."""
        category, name = call.params.get("category", "linear"), call.params.get("symbol", "")
        pair = SYMBOLS.get(name)
        if category != "linear" or (name and pair is None):
            return _params_error(call, "symbol invalid")
        chosen = SYMBOLS if pair is None else {name: pair}
        rows = [row for one, known in chosen.items() for row in _risk_limits(one, known)]
        return _data(call, {"category": category, "list": rows, "nextPageCursor": ""})

    @route("GET", "/v5/market/tickers")
    def tickers(self, call: Call) -> Reply:
        """24 hours of one market, or all of a category."""

        def row(name: str, pair: Pair, category: str) -> dict[str, object]:
            return _ticker(name, pair, category, call.now_ms)

        return _per_symbol(call, row)

    @route("GET", "/v5/market/kline")
    def kline(self, call: Call) -> Reply:
        """Candles newest first, all of it text; 200, at most 1000; linear when no category is named."""
        params = call.params
        pair, minutes = SYMBOLS.get(params.get("symbol", "")), _STEPS.get(params.get("interval", ""))
        category, count = params.get("category", "linear"), _whole(params.get("limit", "200"))
        if category not in ("spot", "linear") or pair is None:
            return _params_error(call, "symbol invalid")
        if minutes is None or not count:
            return _params_error(call, "interval or limit invalid")
        start, end = _whole(params.get("start")), _whole(params.get("end"))
        step, count = minutes * MINUTE_MS, min(count, 1000)
        found = candles(pair, step, call.now_ms, start_ms=start, end_ms=end, limit=count)
        rows = [
            [str(part) for part in (c.open_ms, c.open, c.high, c.low, c.close, c.volume, c.turnover)]
            for c in reversed(found)
        ]
        return _data(call, {"symbol": pair.join(""), "category": category, "list": rows})

    # -- signed, also in demo trading

    @route("GET", "/v5/account/wallet-balance", private=True)
    def wallet(self, call: Call) -> Reply:
        """The wallet of an account type; only a unified account has UNIFIED."""
        kind, account = call.params.get("accountType", ""), call.who
        classic = _classic(account)
        if kind not in (("SPOT", "CONTRACT") if classic else ("UNIFIED",)):
            known = "SPOT, CONTRACT" if classic else "UNIFIED"
            return _params_error(call, f"accountType only support {known}.")
        coins, wanted = account.futures if kind == "CONTRACT" else account.spot, call.params.get("coin")
        rows = [
            _coin(coin, amount, call.now_ms)
            for coin, amount in coins.items()
            if not wanted or coin in wanted.split(",")
        ]
        total = str(sum(Decimal(str(row["usdValue"])) for row in rows))
        sums = ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance")
        zero = ("totalPerpUPL", "totalInitialMargin", "totalMaintenanceMargin", "accountIMRate", "accountMMRate")
        found = {"accountType": kind, **dict.fromkeys(sums, total), **dict.fromkeys((*zero, "accountLTV"), "0")}
        return _data(call, {"list": [{**found, "coin": rows}]})

    @route("GET", "/v5/account/info", private=True)
    def account_info(self, call: Call) -> Reply:
        """Kind of account and margin mode."""
        return _data(
            call,
            {
                "unifiedMarginStatus": 1 if _classic(call.who) else 5, "marginMode": _margin_mode(call.who),
                "isMasterTrader": False, "spotHedgingStatus": "OFF", "updatedTime": "1697078946000", "dcpStatus": "OFF",
                "timeWindow": 10, "smpGroup": 0,
            },
        )  # fmt: skip

    @route("GET", "/v5/order/realtime", private=True)
    @route("GET", "/v5/order/history", private=True)
    @route("GET", "/v5/execution/list", private=True)
    @route("GET", "/v5/position/list", private=True)
    @route("GET", "/v5/position/closed-pnl", private=True)
    def by_category(self, call: Call) -> Reply:
        """Open orders; no closed ones, trades or positions. Chosen: a category opens to the rights of its trades."""
        params = call.params
        category = params.get("category", "")
        if category not in GATES or (category == "spot" and "/position/" in call.path):
            return _params_error(call, "category invalid")
        if not any(word in call.who.permissions for word in GATES[category]):
            return _denied(call)
        named = [params.get(name) for name in ("symbol", "baseCoin", "settleCoin")]
        if category == "linear" and call.path in ("/v5/order/realtime", "/v5/position/list") and not any(named):
            return _say(call, 10001, "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")
        if named[0] and named[0] not in SYMBOLS:
            return _params_error(call, "symbol invalid")
        names = {"spot": call.who.spot_orders, "linear": call.who.futures_orders}.get(category, ())
        names = names if call.path == "/v5/order/realtime" else ()
        rows = [_open_order(call, name) for name in names if named[0] in (None, "", name)]
        return _data(call, {"list": rows, "nextPageCursor": "", "category": category})

    @route("GET", "/v5/account/transaction-log", private=True)
    @route("GET", "/v5/account/borrow-history", private=True)
    def logs(self, call: Call) -> Reply:
        """None."""
        return _data(call, {"list": [], "nextPageCursor": ""})

    # -- signed, not in demo trading

    @route("GET", "/v5/user/query-api", groups=_FULL, private=True)
    def query_api(self, call: Call) -> Reply:
        """The key's report on itself; any right opens it (Bybit docs, get API key information)."""
        account = call.who
        end = self.expires_ms(account)
        report: dict[str, object] = {
            "id": str(2_208_000 + account.uid % 1000), "note": account.label, "apiKey": account.api_key,
            "readOnly": int(_read_only(account)), "secret": "", "permissions": _groups(account.permissions),
            "ips": [_masked(one) if account.mask_ips else one for one in account.ip_whitelist] or ["*"],
            "type": 1,
            # -2 and 1970 where nothing ends; how a part of a day counts is not documented, whole days were chosen
            "deadlineDay": -2 if end is None else (end - call.now_ms) // DAY_MS,
            "expiredAt": NEVER if end is None else _iso(end),
            "createdAt": CREATED, "unified": 0, "uta": int(not _classic(account)), "userID": account.uid,
            "inviterID": 0, "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0, "rsaPublicKey": "",
            "isMaster": not account.is_sub, "parentUid": str(account.uid - 1) if account.is_sub else "0",
            "kycLevel": "LEVEL_1", "kycRegion": "DEU", "userIDInt64": "0", "inviterIDInt64": "0",
            "affiliateIDInt64": "0",
        }  # fmt: skip
        report.update(account.report)
        return _say(call, 0, "", {name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/v5/asset/withdraw/query-address", groups=_FULL, scopes=("Withdraw",))
    def addresses(self, call: Call) -> Reply:
        """The address book: empty. Only a master key that may withdraw may see it (Bybit docs, withdrawal address)."""
        if call.who.is_sub:
            return _denied(call)
        return _data(call, {"rows": [], "nextPageCursor": ""})

    @route("GET", "/v5/asset/withdraw/query-record", groups=_FULL, private=True)
    @route("GET", "/v5/asset/deposit/query-record", groups=_FULL, private=True)
    @route("GET", "/v5/asset/deposit/query-internal-record", groups=_FULL, private=True)
    def records(self, call: Call) -> Reply:
        """Withdrawals and deposits: none."""
        return _data(call, {"rows": [], "nextPageCursor": ""})

    @route("GET", "/v5/asset/transfer/query-inter-transfer-list", groups=_FULL, private=True)
    def transfers(self, call: Call) -> Reply:
        """None."""
        return _data(call, {"list": [], "nextPageCursor": ""})

    @route("GET", "/v5/asset/transfer/query-account-coins-balance", groups=_FULL, private=True)
    def funding(self, call: Call) -> Reply:
        """One wallet, coin by coin; the funding wallet is empty."""
        kind, account = call.params.get("accountType", ""), call.who
        wallets = {"FUND": {"USDT": "0"}, "UNIFIED": account.spot, "SPOT": account.spot, "CONTRACT": account.futures}
        if kind not in (("FUND", "SPOT", "CONTRACT") if _classic(account) else ("FUND", "UNIFIED")):
            return _params_error(call, "accountType invalid")
        rows = [
            {"coin": coin, "transferBalance": amount, "walletBalance": amount, "bonus": ""}
            for coin, amount in wallets[kind].items()
            if call.params.get("coin") in (None, "") or coin in call.params["coin"].split(",")
        ]
        return _say(call, 0, "success", {"memberId": str(account.uid), "accountType": kind, "balance": rows})

    @route("GET", "/v5/asset/coin/query-info", groups=_FULL, private=True)
    def coins(self, call: Call) -> Reply:
        """Coins and their networks."""
        wanted = call.params.get("coin")
        names = {"USDT": "Tether", **{pair.base: pair.title for pair in PAIRS}}
        rows = [_coin_info(coin, title) for coin, title in names.items() if wanted in (None, "", coin)]
        return _say(call, 0, "", {"rows": rows})

    @route("GET", FEE_RATE, groups=_FULL, private=True)
    def fees(self, call: Call) -> Reply:
        """What this account pays in a category, which contracts do not repeat. Bybit names no right: any opens it."""
        category, wanted = call.params.get("category", ""), call.params.get("symbol")
        if category not in GATES:
            return _params_error(call, "category invalid")
        names = list(SYMBOLS) if category in ("spot", "linear") else []
        if wanted and wanted not in names:
            return _params_error(call, "symbol invalid")
        maker, taker = call.who.spot_fees if category == "spot" else call.who.futures_fees
        rates = {"takerFeeRate": taker, "makerFeeRate": maker}
        rows = [{"symbol": name, **rates} for name in names if wanted in (None, "", name)]
        return _data(call, {**({"category": category} if category in ("spot", "option") else {}), "list": rows})

    @route("POST", "/v5/order/pre-check", groups=_FULL, scopes=("Order", "DerivativesTrade"), dry_run=True)
    def pre_check(self, call: Call) -> Reply:
        """Margin before and after an order that is not placed: no spot, no inverse in cross margin, no condition."""
        account, order = call.who, call.data
        if _classic(account):
            return _say(call, 10028, "The API can only be accessed by unified account users.")
        if order is None:
            return _params_error(call, "request body invalid")
        if order.get("category") not in ("linear", "option") or _margin_mode(account) != "REGULAR_MARGIN":
            return _params_error(call, "category or margin mode is not supported")
        pair = SYMBOLS.get(str(order.get("symbol")))
        if pair is None or order["category"] == "option":
            return _params_error(call, "symbol invalid")
        if wrong := _wrong_in(order):
            return _params_error(call, wrong)
        market = order["orderType"] == "Market"
        price = price_at(pair, call.now_ms) if market else _number(order.get("price")) or Decimal(0)
        size, money = _number(order.get("qty")) or Decimal(0), _number(account.spot.get("USDT")) or Decimal(0)
        number = hashlib.sha256(call.body).hexdigest()
        order_id = f"{number[:8]}-{number[8:12]}-4{number[13:16]}-8{number[17:20]}-{number[20:32]}"
        link = str(order.get("orderLinkId") or "")
        margin = price * size / 10  # ten times is the leverage of a new position
        if margin > money:
            more = {"future_order_id": order_id, "future_order_link_id": link}
            body = {"retCode": 110007, "retMsg": "Insufficient available balance", "result": {}, "retExtInfo": more}
            return as_json({**body, "time": call.now_ms})
        after = int(margin * 10_000 / money)
        rates = {"preImrE4": 0, "preMmrE4": 0, "postImrE4": after, "postMmrE4": after // 20}
        return _data(call, {"orderId": order_id, "orderLinkId": link, **rates})


def _read_only(account: Account) -> bool:
    return "read_only" in account.mode.split()


def _classic(account: Account) -> bool:
    return "classic" in account.mode.split()


def _margin_mode(account: Account) -> str:
    return "ISOLATED_MARGIN" if "isolated" in account.mode.split() else "REGULAR_MARGIN"


def _groups(permissions: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    for right in permissions:
        group, _, word = right.rpartition(":")
        # a bare word that no document knows is put where the rights to move money are
        group = group or next((name for name, words in GROUPS.items() if word in words), "Wallet")
        found.setdefault(group, []).append(word)
    return found


def _masked(address: str) -> str:
    parts = address.split(".")
    return f"{parts[0]}.**.{parts[-1]}"


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _wrong_in(order: Mapping[str, Any]) -> str:
    if order.get("side") not in ("Buy", "Sell"):
        return "side invalid"
    if order.get("orderType") not in ("Limit", "Market"):
        return "orderType invalid"
    if not (_number(order.get("qty")) or 0) > 0:
        return "qty invalid"
    if order["orderType"] == "Limit" and not (_number(order.get("price")) or 0) > 0:
        return "price invalid"
    return "conditional orders are not supported" if order.get("triggerPrice") else ""


def _per_symbol(call: Call, row: Callable[[str, Pair, str], dict[str, object]]) -> Reply:
    category, wanted = call.params.get("category", ""), call.params.get("symbol")
    if category not in GATES:
        return _params_error(call, "category invalid")
    pairs = SYMBOLS if category in ("spot", "linear") else {}
    if wanted and wanted not in pairs:
        return _params_error(call, "symbol invalid")
    rows = [row(name, pair, category) for name, pair in pairs.items() if wanted in (None, "", name)]
    return _data(call, {"category": category, "list": rows, "nextPageCursor": ""})


def _coin(coin: str, amount: str, now_ms: int) -> dict[str, object]:
    pair = next((pair for pair in PAIRS if pair.base == coin), None)
    worth = Decimal(amount) * (price_at(pair, now_ms) if pair is not None else 1)
    zero = ("locked", "borrowAmount", "accruedInterest", "totalOrderIM", "totalPositionIM", "totalPositionMM",
            "unrealisedPnl", "cumRealisedPnl", "bonus", "spotHedgingQty", "spotBorrow")  # fmt: skip
    return {
        "coin": coin, "equity": amount, "usdValue": str(worth), "walletBalance": amount, "availableToWithdraw": "",
        "availableToBorrow": "", **dict.fromkeys(zero, "0"), "marginCollateral": True, "collateralSwitch": True,
    }  # fmt: skip


def _coin_info(coin: str, title: str) -> dict[str, object]:
    chain = {"USDT": "TRX", "BTC": "BTC", "ETH": "ETH", "SOL": "SOL"}[coin]
    return {
        "name": title, "coin": coin, "remainAmount": "10000000",
        "chains": [
            {
                "chainType": chain, "confirmation": "3", "withdrawFee": "0.001", "depositMin": "0.001",
                "withdrawMin": "0.01", "chain": chain, "chainDeposit": "1", "chainWithdraw": "1", "minAccuracy": "8",
                "withdrawPercentageFee": "0", "contractAddress": "", "safeConfirmNumber": "10",
            }
        ],
    }  # fmt: skip


def _open_order(call: Call, name: str) -> dict[str, object]:
    """Bybit docs, get open and closed orders."""
    at = str(call.now_ms - 60_000)
    return {
        "orderId": "fd4300ae-7847-404e-b947-b46980a4d140", "orderLinkId": "", "blockTradeId": "", "symbol": name,
        "price": "1", "qty": "10", "side": "Buy", "isLeverage": "", "positionIdx": 0, "orderStatus": "New",
        "cancelType": "UNKNOWN", "rejectReason": "EC_NoError", "avgPrice": "", "leavesQty": "10", "leavesValue": "10",
        "cumExecQty": "0", "cumExecValue": "0", "cumExecFee": "0", "timeInForce": "GTC", "orderType": "Limit",
        "stopOrderType": "", "triggerPrice": "", "takeProfit": "", "stopLoss": "", "reduceOnly": False,
        "closeOnTrigger": False, "createdTime": at, "updatedTime": at,
    }  # fmt: skip


def _spot_market(name: str, pair: Pair) -> dict[str, object]:
    return {
        "symbol": name, "baseCoin": pair.base, "quoteCoin": pair.quote, "innovation": "0",
        "status": "Trading" if pair.open else "Closed",
        "marginTrading": "utaOnly", "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": format(pair.size_step, "f"), "quotePrecision": "0.0000001",
            "minOrderQty": "" if pair.terse else format(pair.size_step, "f"), "maxOrderQty": "9000",
            "minOrderAmt": "" if pair.terse else "5",
            "maxOrderAmt": "4000000", "maxLimitOrderQty": "9000", "maxMarketOrderQty": "4500",
        },
        "priceFilter": {"tickSize": format(pair.price_step, "f")},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }  # fmt: skip


def _linear_market(name: str, pair: Pair) -> dict[str, object]:
    return {
        "symbol": name, "contractType": "LinearPerpetual", "status": "Trading" if pair.open else "Closed",
        "baseCoin": pair.base,
        "quoteCoin": pair.quote, "launchTime": "1584230400000", "deliveryTime": "0", "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": str(pair.max_leverage), "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": format(pair.price_step, "f"), "maxPrice": "1999999.8",
            "tickSize": format(pair.price_step, "f"),
        },
        "lotSizeFilter": {
            "maxOrderQty": "1190", "minOrderQty": "" if pair.terse else str(pair.contract_size),
            "qtyStep": str(pair.contract_size),
            "postOnlyMaxOrderQty": "1190", "maxMktOrderQty": "500", "minNotionalValue": "" if pair.terse else "5",
        },
        "unifiedMarginTrade": True, "fundingInterval": 480, "settleCoin": pair.quote, "copyTrading": "both",
        "upperFundingRate": "0.005", "lowerFundingRate": "-0.005", "isPreListing": False, "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"}, "displayName": "",
    }  # fmt: skip


def _risk_limits(name: str, pair: Pair) -> list[dict[str, object]]:
    levels = (("2000000", "0.005", "0.01", ""), ("2600000", "0.0056", "0.0117", "1200"),
              ("3200000", "0.0062", "0.0134", "2760"))  # fmt: skip
    return [
        {"id": number, "symbol": name, "riskLimitValue": most, "maintenanceMargin": kept, "initialMargin": initial,
         "isLowestRisk": int(number == 1), "mmDeduction": deduction,
         "maxLeverage": str(min(Decimal(pair.max_leverage), (1 / Decimal(initial)).quantize(Decimal("0.01"))))}
        for number, (most, kept, initial, deduction) in enumerate(levels, 1)
    ]  # fmt: skip


def _ticker(name: str, pair: Pair, category: str, now_ms: int) -> dict[str, object]:
    price, before = price_at(pair, now_ms), price_at(pair, now_ms - DAY_MS)
    row: dict[str, object] = {
        "symbol": name, "bid1Price": str(price), "bid1Size": "1.5", "ask1Price": str(price + pair.price_step),
        "ask1Size": "1.2", "lastPrice": str(price), "prevPrice24h": str(before),
        "price24hPcnt": str(((price - before) / before).quantize(Decimal("0.0001"))),
        "highPrice24h": str(max(price, before)), "lowPrice24h": str(min(price, before)),
        "turnover24h": str(price * 1200), "volume24h": "1200",
    }  # fmt: skip
    if category == "linear":
        until = str(now_ms // 28_800_000 * 28_800_000 + 28_800_000)
        row |= {
            "indexPrice": str(price), "markPrice": str(price), "prevPrice1h": str(before), "openInterest": "4000",
            "openInterestValue": str(price * 4000), "fundingRate": "0.0001", "nextFundingTime": until,
        }  # fmt: skip
    return row


EXCHANGE = Bybit
