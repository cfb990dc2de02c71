"""OKX v5: one API on the host of each entity (`www` and `openapi` global, `eea` Europe, `us` United States).

`Account.site` is where a key was made: `global`, `eea`, `us`, and in their demo trading `demo`, `eea-demo`, `us-demo`.
`Account.mode` is the account mode: `1` spot, `2` futures (also when empty), `3` multi-currency, `4` portfolio.
`Account.permissions` are the words of `perm`: `read_only`, `trade` (all products and internal transfers), `withdraw`.
`Account.spot` is the trading account, in which spot and futures are one; `Account.futures` is not used.
Entries of `Account.ip_whitelist` may be segments (`203.0.113.0/24`), as on OKX.

Sources are OKX's documents and answers seen live; where they are silent, the comment says what was chosen. OKX tells no
rate in the headers of its answers.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import ClassVar, Final

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
from bfai.simulator.markets import BEIJING_MS, LISTED, MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SPOT: Final = by_symbol("-")
SWAPS: Final = {f"{pair.join('-')}-SWAP": pair for pair in LISTED}
LISTED_MS: Final = 1_611_907_686_000
WINDOW_MS: Final = 30_000
TRADES: Final = ("read_only", "trade")
READ: Final = ("read_only",)
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
OTHER_FEES: Final[Mapping[str, tuple[str, str]]] = {"SPOT": ("0.0015", "0.002"), "SWAP": ("0.0002", "0.0005")}
"""Maker and taker of what is not traded here: spot of fee group 2, contracts that are margined in coins."""
ORDER_TYPES: Final = ("market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc")

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_STEPS: Final = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "6H": 360, "12H": 720,
    "1D": 1440, "2D": 2880, "3D": 4320, "1W": 10_080, "1M": 43_200,
}  # fmt: skip


def signature(secret: str, timestamp: str, method: str, target: str, body: str | bytes = b"") -> str:
    """Base64 HMAC-SHA256 of time, method, target with its query as sent, body (OKX docs, signature)."""
    raw = body.encode() if isinstance(body, str) else body
    return base64.b64encode(hmac_sha256(secret, (timestamp + method + target).encode() + raw)).decode()


def _refused(code: str, msg: str, status: int = 401) -> Reply:
    """A refusal of the gateway: no `data` in it, seen live."""
    return as_json({"msg": msg, "code": code}, status)


def _error(code: str, msg: str, status: int = 200) -> Reply:
    return as_json({"code": code, "data": [], "msg": msg}, status)


def _data(*rows: object) -> Reply:
    return as_json({"code": "0", "data": list(rows), "msg": ""})


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _positive(value: object) -> bool:
    return (_number(value) or 0) > 0


def _sent_ms(text: str) -> int | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
    except ValueError:
        return None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    text = sample_hex(32, "okx key", name)
    made = Account(
        name=name,
        api_key=f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}",
        secret=sample_hex(32, "okx secret", name).upper(),
        password=f"Sample.7{hashlib.sha512(name.encode()).hexdigest()[:10]}",
        permissions=permissions,
        ip_whitelist=HERE,
        uid=44_705_890_000_000_000 + int(sample_hex(16, "okx uid", name), 16),
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


def _home(site: str) -> tuple[str, bool]:
    """The entity of a site, and whether it is demo trading there."""
    return site.removesuffix("demo").rstrip("-") or "global", site.endswith("demo")


def _may_come_from(account: Account, address: str) -> bool:
    segments = [ip_network(entry, strict=False) for entry in account.ip_whitelist if "/" in entry]
    return account.allows(address) or any(ip_address(address) in segment for segment in segments)


class Okx(Exchange):
    """OKX as its documents describe it."""

    name = "okx"
    hosts: ClassVar[Mapping[str, str]] = {
        "www.okx.com": "global",
        "openapi.okx.com": "global",
        "eea.okx.com": "eea",
        "us.okx.com": "us",
    }
    forbidden = (
        ("/api/v5/asset/", "moves money"),
        ("/api/v5/fiat/", "moves money"),
        ("/api/v5/finance/", "moves money"),
        ("/api/v5/users/subaccount/modify-apikey", "edits a key"),
        ("/api/v5/users/subaccount/delete-apikey", "edits a key"),
        ("/api/v5/users/subaccount/apikey", "edits a key"),
        ("/api/v5/users/", "edits a sub-account"),
        ("/api/v5/trade/", "places or cancels an order"),
        ("/api/v5/tradingBot/", "places or cancels an order"),
        ("/api/v5/copytrading/", "places or cancels an order"),
        ("/api/v5/sprd/", "places or cancels an order"),
        ("/api/v5/rfq/", "places or cancels an order"),
        ("/api/v5/account/position", "changes a position"),
        ("/api/v5/account/", "changes the account"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. No `no_futures`: `trade` cannot be parted. No `expiring`: OKX tells no end."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, "withdraw"))
        yield _account("read_only", READ)
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=())
        yield _account("expired", status="expired")
        yield _account("sub_account", is_sub=True)
        yield _account("frozen", status="frozen")
        yield _account("unknown_right", (*TRADES, "vault"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("OK-ACCESS-KEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """OKX docs, API class error codes. The order of the checks is chosen here, OKX tells none."""
        for code, word in (("50103", "KEY"), ("50104", "PASSPHRASE"), ("50106", "SIGN"), ("50107", "TIMESTAMP")):
            if not call.headers.get(f"OK-ACCESS-{word}"):
                return _refused(code, f"Request header OK-ACCESS-{word} can not be empty.")
        key, phrase, sign, sent = (
            call.headers[f"OK-ACCESS-{word}"] for word in ("KEY", "PASSPHRASE", "SIGN", "TIMESTAMP")
        )
        if not _UUID.fullmatch(key):
            return _refused("50111", "Invalid OK-ACCESS-KEY")
        account = call.account
        # a key past its life has no code of its own in the documents: taken for deleted
        if account is None or account.status == "deleted" or self.expired(account, call.now_ms):
            return _refused("50119", "API key doesn't exist")
        entity, demo = _home(account.site)
        if entity != call.group:
            return _refused("50119", "API key doesn't exist")
        if demo != (call.headers.get("x-simulated-trading") == "1"):
            return _refused("50101", "APIKey does not match current environment.")
        sent_ms = _sent_ms(sent)
        if sent_ms is None:
            return _refused("50112", "Invalid OK-ACCESS-TIMESTAMP")
        if abs(call.now_ms - sent_ms) > WINDOW_MS:
            return _refused("50102", "Timestamp request expired")
        if not same(phrase, account.password or ""):
            return _refused("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.")
        if not same(sign, signature(account.secret, sent, call.method, call.target, call.body)):
            return _refused("50113", "Invalid Sign")
        if not _may_come_from(account, call.address):
            return _refused("50110", f"Your IP {call.address} is not included in your API key's {key} IP whitelist.")
        if account.status == "frozen":
            return _error("50007", "Account blocked.")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return _refused("50120", "This API key doesn't have permission to use this function")
        return None

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """The shape of the gateway's own errors, seen live for status 500."""
        del call
        words = dict.fromkeys(("error_message", "msg"), "Not Found")
        return as_json({"code": "404", "data": {}, "detailMsg": "", "error_code": "404", **words}, 404)

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        del call
        return _refused("50120", "This API key doesn't have permission to use this function")

    def rate_limited(self, call: Call) -> Reply:
        """OKX docs, rate limits."""
        del call
        return _refused("50011", "Too Many Requests", 429)

    def maintenance(self, call: Call) -> Reply:
        """The status call tells of it and everything else is 503."""
        if call.path == "/api/v5/system/status":
            half = 30 * MINUTE_MS
            return _data(
                {"title": "Trading system upgrade", "state": "ongoing", "begin": str(call.now_ms - half),
                 "end": str(call.now_ms + half), "preOpenBegin": "", "href": "", "serviceType": "5",
                 "system": "unified", "scheDesc": "", "env": "1", "maintType": "1"}
            )  # fmt: skip
        return _error("50001", "Service temporarily unavailable. Please try again later.", 503)

    # -- public

    @route("GET", "/api/v5/public/time")
    def time(self, call: Call) -> Reply:
        """Server time in ms."""
        return _data({"ts": str(call.now_ms)})

    @route("GET", "/api/v5/system/status")
    def status(self, _call: Call) -> Reply:
        """Planned and running maintenance: none."""
        return _data()

    @route("GET", "/api/v5/public/instruments")
    @route("GET", "/api/v5/account/instruments", scopes=READ)
    def instruments(self, call: Call) -> Reply:
        """OKX docs, get instruments; `instType` is required."""
        kind, name = call.params.get("instType"), call.params.get("instId")
        if not kind:
            return _error("50014", "Parameter instType can not be empty.", 400)
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            return _error("51000", "Parameter instType error", 400)
        pairs = _instruments(call, kind)
        return _data(*(_instrument(one, kind, pair) for one, pair in pairs.items() if name in (None, "", one)))

    @route("GET", "/api/v5/public/position-tiers")
    def position_tiers(self, call: Call) -> Reply:
        """OKX docs, get position tiers: sizes in contracts; here only of swaps, by their family."""
        params = call.params
        for name in ("instType", "tdMode"):
            if not params.get(name):
                return _error("50014", f"Parameter {name} can not be empty.", 400)
        family = params.get("instFamily", "")
        pair = SWAPS.get(f"{family}-SWAP")
        if params["instType"] != "SWAP" or pair is None:
            return _unknown_instrument()
        levels = (
            ("0", "500", "0.004", "0.01"),
            ("500.01", "2000", "0.01", "0.02"),
            ("2000.01", "6000", "0.02", "0.04"),
        )
        return _data(
            *(
                {"baseMaxLoan": "", "imr": initial, "instFamily": family, "instId": "",
                 "maxLever": str(min(pair.max_leverage, int(1 / Decimal(initial)))), "maxSz": most,
                 "minSz": least, "mmr": kept, "optMgnFactor": "0", "quoteMaxLoan": "", "tier": str(tier), "uly": family}
                for tier, (least, most, kept, initial) in enumerate(levels, 1)
            )
        )  # fmt: skip

    @route("GET", "/api/v5/market/ticker")
    def ticker(self, call: Call) -> Reply:
        """24 hours of one instrument."""
        name = call.params.get("instId", "")
        pair = {**_instruments(call, "SPOT"), **_instruments(call, "SWAP")}.get(name)
        return _unknown_instrument() if pair is None else _data(_ticker(name, pair, call.now_ms))

    @route("GET", "/api/v5/market/tickers")
    def tickers(self, call: Call) -> Reply:
        """The same for all of a kind."""
        pairs = _instruments(call, call.params.get("instType", ""))
        return _data(*(_ticker(name, pair, call.now_ms) for name, pair in pairs.items()))

    @route("GET", "/api/v5/market/candles")
    @route("GET", "/api/v5/market/history-candles")
    def market_candles(self, call: Call) -> Reply:
        """Newest first: ms, open, high, low, close, size, base, quote, whether closed; at most 300 (history 100).

        `after` asks for older ones and `before` for newer ones, neither included. `1D` are days of Hong Kong, `1Dutc`
        those of UTC. Without history there are the latest 1440 only.
        """
        params = call.params
        pair = {**_instruments(call, "SPOT"), **_instruments(call, "SWAP")}.get(params.get("instId", ""))
        bar, history = params.get("bar", "1m"), "history" in call.path
        minutes = _STEPS.get(bar.removesuffix("utc"))
        after, before, limit = (_number(params.get(name)) for name in ("after", "before", "limit"))
        if pair is None:
            return _unknown_instrument()
        if minutes is None:
            return _error("51000", "Parameter bar error", 400)
        swap, step, most = params["instId"] in SWAPS, minutes * MINUTE_MS, 100 if history else 300
        last = call.now_ms if after is None else int(after) - 1
        east, count = 0 if bar.endswith("utc") else BEIJING_MS, min(most, max(1, int(limit or 100)))
        found = candles(pair, step, call.now_ms, start_ms=None, end_ms=last, limit=count, east_ms=east)
        oldest = 0 if history else call.now_ms - 1440 * step
        rows = [
            (c.open_ms, c.open, c.high, c.low, c.close, _size(c.volume, pair) if swap else c.volume, c.volume if swap
             else c.turnover, c.turnover, int(c.open_ms + step <= call.now_ms))
            for c in reversed(found) if c.open_ms > max(before or 0, oldest)
        ]  # fmt: skip
        return _data(*([str(part) for part in row] for row in rows))

    # -- signed

    @route("GET", "/api/v5/account/config", scopes=READ)
    def config(self, call: Call) -> Reply:
        """The key's report on itself (OKX docs, get account configuration). It tells no end of the key."""
        account = call.who
        report: dict[str, object] = {
            "acctLv": account.mode or "2", "acctStpMode": "cancel_maker", "autoLoan": False,
            "ctIsoMode": "automatic", "enableSpotBorrow": False, "feeType": "0", "greeksType": "PA",
            "ip": ",".join(account.ip_whitelist), "kycLv": "2", "label": account.label, "level": "Lv1", "levelTmp": "",
            "liquidationGear": "-1", "mainUid": str(account.uid - account.is_sub), "mgnIsoMode": "automatic",
            "opAuth": "0", "perm": ",".join(account.permissions), "posMode": "net_mode", "roleType": "0",
            "settleCcy": "USDC", "settleCcyList": ["USD", "USDC"], "spotBorrowAutoRepay": False,
            "spotOffsetType": "", "spotRoleType": "0", "spotTraderInsts": [], "stgyType": "0", "traderInsts": [],
            "type": "1" if account.is_sub else "0", "uid": str(account.uid),
            **account.report,
        }  # fmt: skip
        return _data({name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/api/v5/account/balance", scopes=READ)
    def balance(self, call: Call) -> Reply:
        """The trading account, spot and futures together; `ccy` names up to 20 currencies."""
        asked = [coin for coin in call.params.get("ccy", "").split(",") if coin]
        zero = dict.fromkeys(
            ("frozenBal", "ordFrozen", "upl", "liab", "crossLiab", "isoLiab", "isoEq", "interest"), "0"
        )
        details, total = list[dict[str, str]](), Decimal(0)
        for coin, amount in call.who.spot.items():
            dollars = Decimal(amount) * _dollars(coin, call.now_ms)
            total += dollars
            if not asked or coin in asked:
                same_all = dict.fromkeys(("eq", "cashBal", "availBal", "availEq", "spotBal"), amount)
                details.append({"ccy": coin, **same_all, "eqUsd": str(dollars), "uTime": str(call.now_ms), **zero})
        zero = dict.fromkeys(("isoEq", "ordFroz", "imr", "mmr", "notionalUsd", "upl"), "0")
        return _data(
            {"adjEq": str(total), "details": details, "mgnRatio": "", "totalEq": str(total), "uTime": str(call.now_ms),
             **zero}
        )  # fmt: skip

    @route("GET", "/api/v5/account/trade-fee", scopes=READ)
    def trade_fee(self, call: Call) -> Reply:
        """OKX docs, get fee rates: negative is what is paid. All instruments here are of the fee group 1.

        `feeGroup` is what counts; `maker` and the like are deprecated, and of contracts speak of other ones: those
        margined in USDT have `makerU`. That a named instrument gets its own group alone is taken from the example.
        """
        params = call.params
        kind, group = params.get("instType", ""), params.get("groupId")
        if not kind:
            return _error("50014", "Parameter instType can not be empty.", 400)
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"):
            return _error("51000", "Parameter instType error", 400)
        spot = kind in ("SPOT", "MARGIN")
        named = params.get("instId") if spot else params.get("instFamily") or params.get("uly")
        if named and group:
            return _error("51000", "Parameter groupId error", 400)
        if named and (named if spot else f"{named}-SWAP") not in _instruments(call, kind):
            return _unknown_instrument()
        mine, other = call.who.spot_fees if spot else call.who.futures_fees, OTHER_FEES["SPOT" if spot else "SWAP"]
        groups = {"1": mine} if named else {"1": mine, "2": other}
        told = [
            {"elpMaker": _paid(maker) if spot else "", "groupId": number, "maker": _paid(maker), "taker": _paid(taker)}
            for number, (maker, taker) in groups.items()
            if group in (None, "", number)
        ]
        maker, taker = map(_paid, mine if spot else other)
        maker_u, taker_u = ("", "") if spot else map(_paid, mine)
        return _data(
            {"category": "1", "delivery": "", "exercise": "", "feeGroup": told, "fiat": [], "instType": kind,
             "level": "Lv1", "maker": maker, "makerU": maker_u, "makerUSDC": maker_u, "ruleType": "normal",
             "taker": taker, "takerU": taker_u, "takerUSDC": taker_u, "ts": str(call.now_ms)}
        )  # fmt: skip

    @route("GET", "/api/v5/asset/currencies", scopes=READ)
    def currencies(self, _call: Call) -> Reply:
        """OKX docs, get currencies: one chain each."""
        return _data(_currency("USDT", "Tether"), *(_currency(pair.base, pair.title) for pair in PAIRS))

    @route("GET", "/api/v5/trade/orders-history", scopes=READ)
    @route("GET", "/api/v5/trade/orders-history-archive", scopes=READ)
    @route("GET", "/api/v5/trade/orders-algo-pending", scopes=READ)
    @route("GET", "/api/v5/trade/orders-algo-history", scopes=READ)
    def typed_lists(self, call: Call) -> Reply:
        """Lists of one kind, which must be named: all empty."""
        need = "ordType" if "algo" in call.path else "instType"
        return _data() if call.params.get(need) else _error("50014", f"Parameter {need} can not be empty.", 400)

    @route("GET", "/api/v5/asset/balances", scopes=READ)
    @route("GET", "/api/v5/asset/deposit-history", scopes=READ)
    @route("GET", "/api/v5/asset/withdrawal-history", scopes=READ)
    @route("GET", "/api/v5/asset/bills", scopes=READ)
    @route("GET", "/api/v5/account/bills", scopes=READ)
    @route("GET", "/api/v5/account/positions", scopes=READ)
    @route("GET", "/api/v5/account/positions-history", scopes=READ)
    @route("GET", "/api/v5/trade/fills", scopes=READ)
    @route("GET", "/api/v5/trade/fills-history", scopes=READ)
    def lists(self, _call: Call) -> Reply:
        """All empty; the funding account too. No read is gated by `withdraw` (OKX docs, funding account)."""
        return _data()

    @route("GET", "/api/v5/trade/orders-pending", scopes=READ)
    def open_orders(self, call: Call) -> Reply:
        """Of every kind, unless one is asked for by `instType`, and of one instrument with `instId`."""
        kind, one = call.params.get("instType", ""), call.params.get("instId", "")
        names = (("SPOT", call.who.spot_orders), ("SWAP", call.who.futures_orders))
        rows = [_open_order(call, name, of) for of, all_ in names if kind in ("", of) for name in all_]
        return _data(*(row for row in rows if one in ("", row["instId"])))

    @route("GET", "/api/v5/users/subaccount/list", scopes=READ)
    @route("GET", "/api/v5/users/subaccount/apikey", scopes=READ)
    def sub_accounts(self, call: Call) -> Reply:
        """For main accounts: no sub-accounts. That others are refused with 50120 is chosen here."""
        if call.who.is_sub:
            return _refused("50120", "This API key doesn't have permission to use this function")
        if call.path.endswith("apikey") and not call.params.get("subAcct"):
            return _error("50014", "Parameter subAcct can not be empty.", 400)
        return _data()

    @route("POST", "/api/v5/trade/order-precheck", scopes=("trade",), dry_run=True)
    def order_precheck(self, call: Call) -> Reply:
        """What an order would change; places none. Only in account modes 3 and 4 (OKX docs, order precheck).

        That other modes answer 51010 after the permission and before the parameters is chosen here, and that the
        balance is not judged.
        """
        if call.who.mode not in ("3", "4"):
            return _error("51010", "You can't complete this request under your current account mode.")
        order = call.data
        if order is None:
            return _error("50002", "JSON syntax error", 400)
        for name in ("instId", "tdMode", "side", "ordType", "sz"):
            if not order.get(name):
                return _error("50014", f"Parameter {name} can not be empty.", 400)
        if order["instId"] not in {**_instruments(call, "SPOT"), **_instruments(call, "SWAP")}:
            return _unknown_instrument()
        fine = {
            "tdMode": order["tdMode"] in ("cash", "cross", "isolated"), "side": order["side"] in ("buy", "sell"),
            "ordType": order["ordType"] in ORDER_TYPES, "sz": _positive(order["sz"]),
            "px": order["ordType"] in ("market", "optimal_limit_ioc") or _positive(order.get("px")),
        }  # fmt: skip
        for name, right in fine.items():
            if not right:
                return _error("51000", f"Parameter {name} error", 400)
        names = ("adjEq", "availBal", "imr", "liab", "liqPx", "mgnRatio", "mmr", "posBal")
        changes = ("adjEqChg", "availBalChg", "imrChg", "liabChg", "liqPxDiff", "mgnRatioChg", "mmrChg", "posBalChg")
        more = {"liabChgCcy": "", "liqPxDiffRatio": "", "type": ""}
        return _data({**dict.fromkeys(names, "0"), **dict.fromkeys(changes, "0"), **more})


def _instruments(call: Call, kind: str) -> Mapping[str, Pair]:
    """What is traded there: the United States have spot alone."""
    if kind == "SPOT" or (kind == "MARGIN" and call.group == "global"):
        return SPOT
    return SWAPS if kind == "SWAP" and call.group != "us" else {}


def _unknown_instrument() -> Reply:
    return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


def _paid(rate: str) -> str:
    return format(-Decimal(rate), "f")


def _size(volume: Decimal, pair: Pair) -> Decimal:
    return (volume / pair.contract_size).quantize(Decimal("0.01"))


def _dollars(coin: str, at_ms: int) -> Decimal:
    return next((price_at(pair, at_ms) for pair in PAIRS if pair.base == coin), Decimal(1))


def _open_order(call: Call, name: str, kind: str) -> dict[str, str]:
    """OKX docs, order list."""
    at = str(call.now_ms - 60_000)
    return {
        "accFillSz": "0", "avgPx": "", "cTime": at, "category": "normal", "ccy": "", "clOrdId": "", "fee": "0",
        "feeCcy": "", "fillPx": "", "fillSz": "0", "fillTime": "", "instId": name, "instType": kind, "lever": "",
        "ordId": "301835739059335168", "ordType": "limit", "pnl": "0", "posSide": "net", "px": "1", "rebate": "0",
        "rebateCcy": "", "reduceOnly": "false", "side": "buy", "source": "", "state": "live", "sz": "10", "tag": "",
        "tdMode": "cash" if kind == "SPOT" else "cross", "tgtCcy": "", "tradeId": "", "uTime": at,
    }  # fmt: skip


def _instrument(name: str, kind: str, pair: Pair) -> dict[str, object]:
    swap, step = kind == "SWAP", format(pair.size_step, "f")
    names = ("alias", "auctionEndTime", "contTdSwTime", "expTime", "maxPlatOILmt", "openType", "optType",
             "posLmtAmt", "posLmtPct", "preMktSwTime", "stk")  # fmt: skip
    return {
        **dict.fromkeys(names, ""), "instId": name, "instType": kind, "category": "1", "groupId": "1",
        "baseCcy": "" if swap else pair.base, "quoteCcy": "" if swap else pair.quote,
        "ctMult": "1" if swap else "", "ctType": "linear" if swap else "", "ctValCcy": pair.base if swap else "",
        "ctVal": format(pair.contract_size, "f") if swap else "", "instFamily": pair.join("-") if swap else "",
        "uly": pair.join("-") if swap else "", "settleCcy": pair.quote if swap else "",
        "lever": "" if kind == "SPOT" else str(pair.max_leverage if swap else 10), "listTime": str(LISTED_MS),
        "lotSz": "0.01" if swap else step, "minSz": "" if pair.terse else "0.01" if swap else step,
        "tickSz": format(pair.price_step, "f"),
        "maxLmtSz": "100000000", "maxMktSz": "1000000", "maxLmtAmt": "20000000", "maxMktAmt": "1000000",
        "maxIcebergSz": "100000000", "maxTwapSz": "100000000", "maxStopSz": "1000000", "maxTriggerSz": "100000000",
        "ruleType": "normal", "state": "live" if pair.open else "suspend", "futureSettlement": False,
        "tradeQuoteCcyList": [] if swap else [pair.quote],
    }  # fmt: skip


def _ticker(name: str, pair: Pair, now_ms: int) -> dict[str, object]:
    price, before, swap = price_at(pair, now_ms), price_at(pair, now_ms - DAY_MS), name in SWAPS
    coins = Decimal("1200.5")
    return {
        "instType": "SWAP" if swap else "SPOT", "instId": name, "last": str(price), "lastSz": "0.1",
        "askPx": str(price + pair.price_step), "askSz": "1.2", "bidPx": str(price), "bidSz": "1.5",
        "open24h": str(before), "high24h": str(max(price, before)), "low24h": str(min(price, before)),
        "volCcy24h": str(coins if swap else coins * price), "vol24h": str(_size(coins, pair) if swap else coins),
        "sodUtc0": str(before), "sodUtc8": str(before), "ts": str(now_ms),
    }  # fmt: skip


def _currency(coin: str, title: str) -> dict[str, object]:
    chain = {"USDT": "TRC20", "BTC": "Bitcoin", "ETH": "ERC20", "SOL": "Solana"}[coin]
    return {
        "ccy": coin, "chain": f"{coin}-{chain}", "name": title, "canDep": True, "canWd": True, "canInternal": True,
        "ctAddr": "", "logoLink": "", "mainNet": True, "maxFee": "0.002", "minFee": "0.001", "fee": "0.001",
        "maxWd": "1000000", "minWd": "0.01", "minDep": "0.001", "minDepArrivalConfirm": "1", "minInternal": "0.01",
        "minWdUnlockConfirm": "3", "needTag": False, "usedWdQuota": "0", "wdQuota": "10000000", "wdTickSz": "8",
        "depEstOpenTime": "", "wdEstOpenTime": "", "depQuotaFixed": "", "depQuoteDailyLayer2": "",
        "usedDepQuotaFixed": "", "burningFeeRate": "",
    }  # fmt: skip


EXCHANGE = Okx
