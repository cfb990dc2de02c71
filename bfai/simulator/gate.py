"""Gate: API v4 on `api.gateio.ws` (futures also on `fx-api.gateio.ws`), Gate EU and the testnet.

`Account.site` is `global`, `eu` or `testnet`; a key is unknown at the hosts of another site. `Account.permissions` are
Gate's groups (`spot`, `futures`, `wallet`, `account`, …); `spot:r` is a group that may only read. `Account.mode` is
`object` where `account/main_keys` describes the calling key alone, as Gate's schema says; empty: the list of all keys,
as Gate's example shows. `Account.report` and `Account.omit` change the key's entry there; a name that begins with
`detail.` changes that field of `account/detail` instead.
Sources are Gate's documents and its official SDK; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from bfai.simulator.core import DAY_MS, Account, Call, Exchange, Reply, Route, as_json, route, same, sample_hex
from bfai.simulator.markets import LISTED, MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

SYMBOLS: Final = by_symbol("_")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
READS: Final = ("account:r", "wallet:r", "unified:r")
TRADES: Final = (*READS, "spot", "futures")
WINDOW_S: Final = 60
POOL_MS: Final = 10_000
CREATED_S: Final = 1_753_030_929
SITES: Final[Mapping[str, str]] = {"eu": "eu", "testnet": "testnet"}

_V4: Final = "/api/v4"
_ALL: Final = ("main", "eu", "testnet")
_FUTURES: Final = ("main", "futures", "testnet")
_LIMITS: Final = {f"{_V4}/account/detail": 150, f"{_V4}/wallet/total_balance": 80}
_RECENT: Final = "Maximum 10000 points recently are allowed"
_STEPS: Final = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "8h": 480, "1d": 1440, "7d": 10_080, "30d": 43_200,
}  # fmt: skip


def signature(secret: str, method: str, path: str, query: str, body: bytes, timestamp: str) -> str:
    """HMAC-SHA512 of method, path with `/api/v4`, query, SHA-512 of the body and time (Gate docs, authentication)."""
    text = "\n".join((method, path, query, hashlib.sha512(body).hexdigest(), timestamp))
    return hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha512").hex()


def _error(status: int, label: str, message: str) -> Reply:
    return as_json({"label": label, "message": message}, status)


def _whole(text: str | None) -> int | None:
    return int(text[:15]) if text and text.isascii() and text.isdigit() else None


def _seconds(text: str) -> float | None:
    """Gate docs ask for whole seconds; the official SDK sends a fraction too."""
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text) else None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    made = Account(
        name=name,
        api_key=sample_hex(32, "gate key", name),
        secret=sample_hex(64, "gate secret", name),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=16_000_000 + int(sample_hex(13, "gate uid", name), 16),
    )
    for key, value in more.items():
        setattr(made, key, value)
    return made


class Gate(Exchange):
    """Gate as its documents describe it."""

    name = "gate"
    hosts: ClassVar[Mapping[str, str]] = {
        "api.gateio.ws": "main",
        "fx-api.gateio.ws": "futures",
        "api.gateeu.com": "eu",
        "api-testnet.gateapi.io": "testnet",
    }
    forbidden = (
        (f"{_V4}/withdrawals", "moves money"),
        (f"{_V4}/wallet", "moves money"),
        (f"{_V4}/earn", "moves money"),
        (f"{_V4}/loan", "moves money"),
        (f"{_V4}/unified/loans", "moves money"),
        (f"{_V4}/unified", "changes the account"),
        (f"{_V4}/account", "changes the account"),
        (f"{_V4}/sub_accounts", "edits a sub-account"),
        (f"{_V4}/spot", "places or cancels an order"),
        (f"{_V4}/futures/usdt/positions", "changes a position"),
        (f"{_V4}/futures", "places or cancels an order"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. `withdraw` looks like `good`: no word of Gate's stands for that right."""
        yield _account("good")
        yield _account("ip_open", ip_whitelist=())
        yield _account("withdraw")
        yield _account("read_only", (*READS, "spot:r", "futures:r"))
        yield _account("sub_account", is_sub=True)
        yield _account("no_futures", (*READS, "spot"))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("frozen", status="frozen")

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key header."""
        return call.headers.get("KEY", "")

    def verify(self, call: Call, route: Route) -> Reply | None:
        """Gate docs, authentication and error labels."""
        sent = {name: call.headers.get(name, "") for name in ("KEY", "Timestamp", "SIGN")}
        if missing := [name for name, value in sent.items() if not value]:
            return _error(401, "MISSING_REQUIRED_HEADER", f"Missing required header: {missing[0]}")
        account, time = call.account, _seconds(sent["Timestamp"])
        if (
            account is None
            or account.status == "deleted"
            or self.expired(account, call.now_ms)
            or account.site != SITES.get(call.group, "global")
        ):
            return _error(401, "INVALID_KEY", "Invalid key provided")
        if time is None or abs(call.now_ms / 1000 - time) > WINDOW_S:  # Gate has answered 401 as well
            return _error(403, "REQUEST_EXPIRED", "gap between request Timestamp and server time exceeds 60")
        queries = dict.fromkeys((call.query, unquote(call.query)))  # not URL-encoded, say the docs; both forms are sent
        if not any(
            same(sent["SIGN"], signature(account.secret, call.method, call.path, query, call.body, sent["Timestamp"]))
            for query in queries
        ):
            return _error(401, "INVALID_SIGNATURE", "Signature mismatch")
        if not account.allows(call.address):  # formerly 401 with the label IP_FORBIDDEN
            return _error(403, "FORBIDDEN", f"Request IP not in whitelist: {call.address}")
        if account.status == "frozen":
            label = "SUB_ACCOUNT_LOCKED" if account.is_sub else "ACCOUNT_LOCKED"
            return _error(403, label, "Account is locked")
        if route.scopes and not any(scope in _groups(account) for scope in route.scopes):
            return _lacks(route.scopes[0])
        return None

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers and both times in µs. The limit never runs dry; a fault with status 429 does that."""
        limit = _LIMITS.get(call.path, 200)
        reply.headers["X-Gate-RateLimit-Limit"] = str(limit)
        reply.headers["X-Gate-RateLimit-Requests-Remain"] = str(limit - 1)
        reply.headers["X-Gate-RateLimit-Reset-Timestamp"] = str((call.now_ms // POOL_MS + 1) * POOL_MS // 1000)
        reply.headers["X-In-Time"] = reply.headers["X-Out-Time"] = str(call.now_ms * 1000)
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """Chosen: the usual form with a label of its own; Gate documents none."""
        del call
        return _error(404, "NOT_FOUND", "Request path not found")

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key could only read, or lacked the group."""
        if call.path.startswith(f"{_V4}/sub_accounts/") and "/keys" in call.path:
            call.violation = "edits a key"
        group = call.path.removeprefix(f"{_V4}/").partition("/")[0]
        if call.account is not None and group not in _groups(call.account):
            return _lacks("withdrawal" if group == "withdrawals" else group)
        return _error(403, "READ_ONLY", "API key is read-only")

    def rate_limited(self, call: Call) -> Reply:
        """Gate docs, error labels."""
        del call
        return _error(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")

    def maintenance(self, call: Call) -> Reply:
        """Chosen: the label for a server that cannot answer; Gate documents none for maintenance."""
        del call
        return _error(503, "SERVER_ERROR", "System is under maintenance, please try again later")

    # -- the key

    @route("GET", f"{_V4}/account/detail", groups=_ALL, scopes=("account",))
    def detail(self, call: Call) -> Reply:
        """Gate docs, retrieve user account information: addresses and pairs of the calling key, no permissions."""
        account = call.who
        told: dict[str, object] = {
            "user_id": account.uid,
            "ip_whitelist": list(account.ip_whitelist),
            "currency_pairs": list(account.pairs),
            "key": {"mode": 1},
            "tier": 2,
            "tier_expire_time": "0001-01-01T00:00:00Z",
            "copy_trading_role": 0,
        }
        start = "detail."
        told |= {k.removeprefix(start): value for k, value in account.report.items() if k.startswith(start)}
        return as_json({name: value for name, value in told.items() if start + name not in account.omit})

    @route("GET", f"{_V4}/account/main_keys", groups=_ALL, scopes=("account",))
    def main_keys(self, call: Call) -> Reply:
        """Gate docs, query all main account key information. Chosen: a sub-account sees its own keys."""
        account = call.who
        alone = account.mode == "object"
        own = _entry(account)
        if alone:
            times = {"created_at": CREATED_S, "updated_at": own.pop("update_at"), "last_access": CREATED_S}
            own |= {"key": {"mode": 1}, **{name: str(at) for name, at in times.items()}}  # the SDK has them as text
        own |= {name: value for name, value in account.report.items() if not name.startswith("detail.")}
        own = {name: value for name, value in own.items() if name not in account.omit}
        if alone:
            return as_json(own)
        more = {"uid": account.uid, "ip_whitelist": ()}
        reader = _account(f"{account.name} reader", ("account:r", "spot:r"), label="reader", **more)
        mighty = _account(f"{account.name} mighty", ("spot", "futures", "wallet", "account"), label="old", **more)
        return as_json([_entry(reader), own, {**_entry(mighty), "state": 2}])

    @route("GET", f"{_V4}/unified/unified_mode", groups=_ALL, scopes=("unified",))
    def unified_mode(self, _call: Call) -> Reply:
        """All sample accounts are classic."""
        return as_json({"mode": "classic", "settings": {}})

    @route("GET", f"{_V4}/sub_accounts", groups=_ALL, scopes=("sub_accounts",))
    def sub_accounts(self, _call: Call) -> Reply:
        """None."""
        return as_json([])

    # -- money and orders

    @route("GET", f"{_V4}/spot/accounts", groups=_ALL, scopes=("spot",))
    def spot_accounts(self, call: Call) -> Reply:
        """Gate docs, list spot accounts."""
        wanted = call.params.get("currency")
        return as_json(
            [
                {"currency": coin, "available": amount, "locked": "0", "update_id": 1}
                for coin, amount in call.who.spot.items()
                if wanted in (None, "", coin)
            ]
        )

    @route("GET", f"{_V4}/spot/orders", groups=_ALL, scopes=("spot",))
    @route("GET", f"{_V4}/futures/usdt/orders", groups=_FUTURES, scopes=("futures",))
    def orders(self, call: Call) -> Reply:
        """Open ones, no closed ones; `status` is required, on spot `currency_pair` as well."""
        params = call.params
        name = params.get("contract") if "/futures/" in call.path else params.get("currency_pair", "")
        if name == "" or not params.get("status"):
            missing = "currency_pair" if name == "" else "status"
            return _error(400, "MISSING_REQUIRED_PARAM", f"Missing required parameter: {missing}")
        if name is not None and name not in SYMBOLS:
            return _no_pair(call, name)
        names = call.who.futures_orders if "/futures/" in call.path else call.who.spot_orders
        row = _futures_order if "/futures/" in call.path else _spot_order
        names = names if params["status"] == "open" else ()
        return as_json([row(call, one) for one in names if name in (None, one)])

    @route("GET", f"{_V4}/spot/open_orders", groups=_ALL, scopes=("spot",))
    def open_orders(self, call: Call) -> Reply:
        """By pair (Gate docs, list all open orders)."""
        return as_json(
            [{"currency_pair": one, "total": 1, "orders": [_spot_order(call, one)]} for one in call.who.spot_orders]
        )

    @route("GET", f"{_V4}/spot/my_trades", groups=_ALL, scopes=("spot",))
    @route("GET", f"{_V4}/spot/price_orders", groups=_ALL, scopes=("spot",))
    @route("GET", f"{_V4}/margin/accounts", groups=_ALL, scopes=("spot", "margin"))
    @route("GET", f"{_V4}/wallet/deposits", groups=_ALL, scopes=("wallet",))
    @route("GET", f"{_V4}/wallet/withdrawals", groups=_ALL, scopes=("wallet",))
    @route("GET", f"{_V4}/futures/usdt/positions", groups=_FUTURES, scopes=("futures",))
    @route("GET", f"{_V4}/futures/usdt/my_trades", groups=_FUTURES, scopes=("futures",))
    @route("GET", f"{_V4}/futures/usdt/price_orders", groups=_FUTURES, scopes=("futures",))
    def nothing(self, _call: Call) -> Reply:
        """Trigger orders, trades, positions, deposits and withdrawals: none."""
        return as_json([])

    @route("GET", f"{_V4}/futures/usdt/accounts", groups=_FUTURES, scopes=("futures",))
    def futures_accounts(self, call: Call) -> Reply:
        """Gate docs, query futures account. It exists once money was moved there."""
        amount = call.who.futures.get("USDT")
        if amount is None:
            return _error(400, "USER_NOT_FOUND", "please transfer funds first to create futures account")
        zero = (
            "unrealised_pnl", "position_margin", "order_margin", "point", "bonus", "position_initial_margin",
            "maintenance_margin", "cross_initial_margin", "cross_maintenance_margin", "cross_order_margin",
            "cross_unrealised_pnl", "isolated_position_margin",
        )  # fmt: skip
        return as_json(
            {"user": call.who.uid, "currency": "USDT", "total": amount, "available": amount, "cross_available": amount,
             **dict.fromkeys(zero, "0"), "in_dual_mode": False, "enable_credit": False, "margin_mode": 0}
        )  # fmt: skip

    # Gate's own tools ask for reading `wallet` for the second of these; the rights of the others were chosen after it.
    @route("GET", f"{_V4}/spot/fee", groups=_ALL, scopes=("spot",))
    def spot_fee(self, call: Call) -> Reply:
        """Fees of this account, for a pair where one is named; deprecated for `/wallet/fee`."""
        name = call.params.get("currency_pair")
        if name and name not in SYMBOLS:
            return _no_pair(call, name)
        return as_json({**_fees(call.who), "currency_pair": name or "BTC_USDT"})

    @route("GET", f"{_V4}/wallet/fee", groups=_ALL, scopes=("wallet",))
    def wallet_fee(self, call: Call) -> Reply:
        """The same with futures (Gate docs, query personal trading fees)."""
        name, (maker, taker) = call.params.get("currency_pair"), call.who.futures_fees
        if name and name not in SYMBOLS:
            return _no_pair(call, name)
        contracts = {"futures_taker_fee": taker, "futures_maker_fee": maker, "futures_rpi_maker_fee": "-0.00175",
                     "delivery_taker_fee": "0.00016", "delivery_maker_fee": "-0.00015"}  # fmt: skip
        return as_json({**_fees(call.who), **contracts})

    @route("GET", f"{_V4}/futures/usdt/fee", groups=_FUTURES, scopes=("futures",))
    def futures_fee(self, call: Call) -> Reply:
        """An object with a field for each contract, or for the one that is named (Gate docs, futures fee rates)."""
        name, (maker, taker) = call.params.get("contract"), call.who.futures_fees
        if name and name not in SYMBOLS:
            return _no_pair(call, name)
        names = [name] if name else list(SYMBOLS)
        return as_json({one: {"taker_fee": taker, "maker_fee": maker} for one in names})

    @route("GET", f"{_V4}/wallet/total_balance", groups=_ALL, scopes=("wallet",))
    def total_balance(self, call: Call) -> Reply:
        """Everything in USDT at the present prices."""
        spot = sum((Decimal(amount) * _worth(coin, call.now_ms) for coin, amount in call.who.spot.items()), Decimal(0))
        parts = {"spot": spot, "futures": Decimal(call.who.futures.get("USDT", "0"))}
        details = {name: _money(amount) for name, amount in parts.items()}
        return as_json({"total": _money(sum(parts.values(), Decimal(0))), "details": details})

    # -- public

    @route("GET", f"{_V4}/spot/time", groups=_ALL)
    def time(self, call: Call) -> Reply:
        """Server time in ms. Gate EU asks for the signed headers; chosen: it does not judge them here."""
        if call.group == "eu":
            for name in ("Timestamp", "KEY", "SIGN"):
                if not call.headers.get(name):
                    return _error(401, "INVALID_KEY", f"Missing required header: {name}")
        return as_json({"server_time": call.now_ms})

    @route("GET", f"{_V4}/spot/currencies", groups=_ALL)
    def currencies(self, _call: Call) -> Reply:
        """Gate docs, query all currency information."""
        return as_json([_currency("USDT", "Tether"), *(_currency(pair.base, pair.title) for pair in PAIRS)])

    @route("GET", f"{_V4}/spot/currency_pairs", groups=_ALL)
    def currency_pairs(self, _call: Call) -> Reply:
        """Gate docs, query all supported currency pairs."""
        return as_json([_spot_market(pair) for pair in LISTED])

    @route("GET", f"{_V4}/spot/currency_pairs/{{}}", groups=_ALL)
    def currency_pair(self, call: Call) -> Reply:
        """One pair."""
        pair = SYMBOLS.get(call.segment)
        return _no_pair(call, call.segment) if pair is None else as_json(_spot_market(pair))

    @route("GET", f"{_V4}/margin/currency_pairs", groups=_ALL)
    @route("GET", f"{_V4}/margin/uni/currency_pairs", groups=_ALL)
    @route("GET", f"{_V4}/futures/btc/contracts", groups=_FUTURES)
    @route("GET", f"{_V4}/delivery/usdt/contracts", groups=_FUTURES)
    @route("GET", f"{_V4}/delivery/btc/contracts", groups=_FUTURES)
    @route("GET", f"{_V4}/options/underlyings", groups=("main",))
    def not_simulated(self, _call: Call) -> Reply:
        """Markets of other kinds: none."""
        return as_json([])

    @route("GET", f"{_V4}/futures/usdt/contracts", groups=_FUTURES)
    def contracts(self, call: Call) -> Reply:
        """Gate docs, query all futures contracts."""
        return as_json([_contract(pair, call) for pair in LISTED])

    @route("GET", f"{_V4}/futures/usdt/contracts/{{}}", groups=_FUTURES)
    def contract(self, call: Call) -> Reply:
        """One contract."""
        pair = SYMBOLS.get(call.segment)
        return _no_pair(call, call.segment) if pair is None else as_json(_contract(pair, call))

    @route("GET", f"{_V4}/futures/usdt/risk_limit_tiers", groups=_FUTURES)
    def risk_limits(self, call: Call) -> Reply:
        """Gate docs, query risk limit tiers: limits in USDT; `deduction` is taken off the maintenance margin."""
        name = call.params.get("contract", "")
        pair = SYMBOLS.get(name)
        if pair is None:
            return _no_pair(call, name)
        levels = (
            ("1000000", "0.005", "0.01", "0"),
            ("2000000", "0.01", "0.02", "5000"),
            ("4000000", "0.02", "0.04", "25000"),
        )
        return as_json(
            [
                {"tier": tier, "risk_limit": most, "initial_rate": initial, "maintenance_rate": kept,
                 "leverage_max": str(min(pair.max_leverage, int(1 / Decimal(initial)))), "contract": name,
                 "deduction": deduction}
                for tier, (most, kept, initial, deduction) in enumerate(levels, 1)
            ]
        )  # fmt: skip

    @route("GET", f"{_V4}/spot/tickers", groups=_ALL)
    @route("GET", f"{_V4}/futures/usdt/tickers", groups=_FUTURES)
    def tickers(self, call: Call) -> Reply:
        """Of one market or of all."""
        futures = "/futures/" in call.path
        name = call.params.get("contract" if futures else "currency_pair")
        if name and name not in SYMBOLS:
            return _no_pair(call, name)
        return as_json([_ticker(pair, call, futures) for pair in LISTED if name in (None, "", pair.join("_"))])

    @route("GET", f"{_V4}/spot/candlesticks", groups=_ALL)
    @route("GET", f"{_V4}/futures/usdt/candlesticks", groups=_FUTURES)
    def candlesticks(self, call: Call) -> Reply:
        """Candles oldest first, times in seconds; on spot lists of text, on futures objects with contracts in `v`.

        What is refused is told in its own words (ccxt issues 17464 and 27861).
        """
        params, futures = call.params, "/futures/" in call.path
        name = params.get("contract" if futures else "currency_pair", "")
        pair, minutes = SYMBOLS.get(name), _STEPS.get(params.get("interval", "5m" if futures else "30m"))
        if pair is None:
            return _no_pair(call, name)
        start, end, limit = (_whole(params.get(word)) for word in ("from", "to", "limit"))
        if minutes is None or (limit or 100) > (2000 if futures else 1000):
            return _error(400, "INVALID_PARAM_VALUE", "Invalid parameter: interval or limit")
        if limit is not None and (start is not None or end is not None):  # Gate docs: such a request is rejected
            return _error(400, "INVALID_PARAM_VALUE", "limit conflicts with from and to")
        most, step = limit or (100 if start is None else 2000 if futures else 1000), minutes * MINUTE_MS
        first, last = (None if at is None else at * 1000 for at in (start, end))
        if first is not None and first < call.now_ms - 10_000 * step:
            return _error(400, "INVALID_PARAM_VALUE", f"Candlestick too long ago. {_RECENT}")
        if first is not None and (last or call.now_ms) // step - first // step > most:
            told = f"Candlestick range too broad. Maximum {most} data points are allowed per request"
            return _error(400, "INVALID_PARAM_VALUE", told)
        rows = candles(pair, step, call.now_ms, start_ms=first, end_ms=last, limit=most)
        if futures:
            return as_json(
                [
                    {"t": c.open_ms // 1000, "v": int(c.volume / pair.contract_size), "c": str(c.close),
                     "h": str(c.high), "l": str(c.low), "o": str(c.open), "sum": str(c.turnover)}
                    for c in rows
                ]
            )  # fmt: skip
        return as_json(
            [
                [str(c.open_ms // 1000), str(c.turnover), str(c.close), str(c.high), str(c.low), str(c.open),
                 str(c.volume), str(c.open_ms + step <= call.now_ms).lower()]
                for c in rows
            ]
        )  # fmt: skip


def _groups(account: Account) -> set[str]:
    return {word.partition(":")[0] for word in account.permissions}


def _fees(account: Account) -> dict[str, object]:
    """Nothing is paid in GT: its rates are 0 then, which is no fee. RPI rates are for makers whom Gate chose."""
    maker, taker = account.spot_fees
    return {
        "user_id": account.uid, "taker_fee": taker, "maker_fee": maker, "rpi_maker_fee": "-0.00175",
        "gt_discount": False, "gt_taker_fee": "0", "gt_maker_fee": "0", "loan_fee": "0.18", "point_type": "1",
        "debit_fee": 3, "rpi_mm": 2,
    }  # fmt: skip


def _lacks(group: str) -> Reply:
    return _error(403, "FORBIDDEN", f"Request API key does not have {group} permission")


def _no_pair(call: Call, name: str) -> Reply:
    if "/futures/" in call.path:
        return _error(400, "CONTRACT_NOT_FOUND", f"Contract {name} not found")
    return _error(400, "INVALID_CURRENCY_PAIR", f"Invalid currency pair {name}")


def _entry(account: Account) -> dict[str, Any]:
    words = (word.partition(":") for word in account.permissions)
    return {
        "state": 1,
        "mode": 1,
        "name": account.label,
        "user_id": account.uid,
        "perms": [{"name": name, "read_only": how == "r"} for name, _, how in words],
        "ip_whitelist": list(account.ip_whitelist),
        "currency_pairs": list(account.pairs),
        "key": f"{account.api_key[:12]}*****",
        "created_at": CREATED_S,
        "update_at": CREATED_S + 3_269_638,
        "last_access": CREATED_S,
    }


def _worth(coin: str, now_ms: int) -> Decimal:
    pair = next((pair for pair in PAIRS if pair.base == coin), None)
    return Decimal(1) if pair is None else price_at(pair, now_ms)


def _money(amount: Decimal) -> dict[str, str]:
    return {"currency": "USDT", "amount": str(amount.quantize(Decimal("0.01"))), "unrealised_pnl": "0", "borrowed": "0"}


def _places(step: Decimal) -> int:
    return -int(step.normalize().as_tuple().exponent)


def _currency(coin: str, title: str) -> dict[str, object]:
    chain = {"USDT": "TRX", "ETH": "ETH", "SOL": "SOL"}.get(coin, "BTC")
    off = ("delisted", "withdraw_disabled", "withdraw_delayed", "deposit_disabled", "trade_disabled")
    switches = dict.fromkeys(off, False)
    place = {"name": chain, "addr": "", **dict.fromkeys(off[1:4], False)}
    return {"currency": coin, "name": title, **switches, "chain": chain, "chains": [place]}


def _spot_order(call: Call, name: str) -> dict[str, object]:
    """Gate docs, an order on spot."""
    at = call.now_ms - 60_000
    return {
        "id": "1852454420", "text": "t-abc123", "create_time": str(at // 1000), "update_time": str(at // 1000),
        "create_time_ms": at, "update_time_ms": at, "currency_pair": name, "status": "open", "type": "limit",
        "account": "spot", "side": "buy", "amount": "10", "price": "1", "time_in_force": "gtc", "left": "10",
        "filled_amount": "0", "filled_total": "0", "fee": "0", "fee_currency": name.partition("_")[0],
        "point_fee": "0", "gt_fee": "0", "gt_discount": False, "rebated_fee": "0", "finish_as": "open",
    }  # fmt: skip


def _futures_order(call: Call, name: str) -> dict[str, object]:
    """Gate docs, an order on futures; times are seconds."""
    return {
        "id": 15_675_394, "user": 100_000, "contract": name, "create_time": (call.now_ms - 60_000) / 1000, "size": 10,
        "iceberg": 0, "left": 10, "price": "1", "fill_price": "0", "mkfr": "-0.00025", "tkfr": "0.00075", "tif": "gtc",
        "refu": 0, "is_reduce_only": False, "is_close": False, "is_liq": False, "text": "t-my-custom-id",
        "status": "open", "finish_as": "", "stp_act": "-", "stp_id": 0,
    }  # fmt: skip


def _spot_market(pair: Pair) -> dict[str, object]:
    least = {} if pair.terse else {"min_base_amount": format(pair.size_step, "f"), "min_quote_amount": "3"}
    return {
        "id": pair.join("_"), "base": pair.base, "base_name": pair.title, "quote": pair.quote, "quote_name": "Tether",
        "fee": "0.2", **least, "max_quote_amount": "5000000",
        "amount_precision": _places(pair.size_step), "precision": _places(pair.price_step),
        "trade_status": "tradable" if pair.open else "untradable",
        "sell_start": 0, "buy_start": 0, "delisting_time": 0, "type": "normal", "trade_url": "", "st_tag": False,
    }  # fmt: skip


def _contract(pair: Pair, call: Call) -> dict[str, object]:
    price = str(price_at(pair, call.now_ms))
    return {
        "name": pair.join("_"), "type": "direct", "quanto_multiplier": str(pair.contract_size),
        "ref_discount_rate": "0",
        "order_price_deviate": "0.5", "maintenance_rate": "0.005", "mark_type": "index", "last_price": price,
        "mark_price": price, "index_price": price, "funding_rate_indicative": "0.0001", "funding_rate": "0.0001",
        "mark_price_round": format(pair.price_step, "f"), "funding_offset": 0, "in_delisting": not pair.open,
        "status": "trading",
        "risk_limit_base": "1000000", "interest_rate": "0.0003", "order_price_round": format(pair.price_step, "f"),
        **({} if pair.terse else {"order_size_min": 1}), "order_size_max": 1_000_000, "ref_rebate_rate": "0.2",
        "funding_interval": 28_800,
        "risk_limit_step": "1000000", "leverage_min": "1", "leverage_max": str(pair.max_leverage),
        "risk_limit_max": "8000000", "maker_fee_rate": "-0.0001", "taker_fee_rate": "0.00075",
        "funding_next_apply": (call.now_ms // 28_800_000 + 1) * 28_800, "orders_limit": 100, "trade_size": 1_000_000,
        "position_size": 100_000, "short_users": 100, "long_users": 100, "trade_id": 1, "orderbook_id": 1,
        "enable_bonus": True, "enable_credit": True, "create_time": 1_546_272_000, "launch_time": 1_546_272_000,
        "config_change_time": 1_609_899_548, "funding_cap_ratio": "0.75", "voucher_leverage": "0",
    }  # fmt: skip


def _ticker(pair: Pair, call: Call, futures: bool) -> dict[str, object]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    told: dict[str, object] = {
        "last": str(price), "lowest_ask": str(price + pair.price_step), "lowest_size": "1.2",
        "highest_bid": str(price), "highest_size": "1.5", "high_24h": str(max(price, before)),
        "low_24h": str(min(price, before)),
        "change_percentage": str(((price - before) * 100 / before).quantize(Decimal("0.01"))),
    }  # fmt: skip
    if not futures:
        volume = {"base_volume": "1200.5", "quote_volume": str(price * 1200)}
        return {"currency_pair": pair.join("_"), **told, **volume}
    size = str(int(1200 / pair.contract_size))
    rates = {"funding_rate": "0.0001", "funding_rate_indicative": "0.0001", "quanto_base_rate": ""}
    volume = {"volume_24h": size, "volume_24h_base": "1200", "volume_24h_quote": str(price * 1200), "total_size": size}
    prices = {"mark_price": str(price), "index_price": str(price), "quanto_multiplier": str(pair.contract_size)}
    return {"contract": pair.join("_"), **told, **rates, **volume, **prices}


EXCHANGE = Gate
