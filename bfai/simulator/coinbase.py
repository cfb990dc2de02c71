"""Coinbase: Advanced Trade and the older v2 API on `api.coinbase.com`, with CDP keys; and the static sandbox.

`Account.site` is `global`; any other word (a key of Coinbase Exchange or International) is unknown here.
`Account.permissions` are `view`, `trade`, `transfer`; any other word becomes a field of the key report too.
`Account.mode` is the type of the portfolio (`CONSUMER`, `INTX`, …); empty: `DEFAULT`.

A secret is an EC P-256 key as SEC1 PEM, or base64 of an Ed25519 seed with or without its public half. A token is
judged as Coinbase tells: by the type of the registered key, for one method and path, for at most two minutes.
Sources are Coinbase's documents and its official SDK; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, ClassVar, Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bfai.simulator.core import DAY_MS, Account, Call, Exchange, Reply, Route, as_json, route, sample_hex
from bfai.simulator.markets import MINUTE_MS, PAIRS, Pair, by_symbol, candles, price_at

PRODUCTS: Final = by_symbol("-")
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)
RIGHTS: Final = ("view", "trade", "transfer")
TRADES: Final = ("view", "trade")
LIFE_S: Final = 120
CREATED: Final = "2024-03-05T12:00:00.000Z"
FEES: Final = ("0.0035", "0.0065")

_BROKERAGE: Final = "/api/v3/brokerage"
_INNER: Final = re.compile(r"/(products|accounts)/([^/]+)/([a-z]+)$")
_MAIN: Final = ("main",)
_SANDBOX: Final = ("sandbox",)
_STEPS: Final = {
    "ONE_MINUTE": 1, "FIVE_MINUTE": 5, "FIFTEEN_MINUTE": 15, "THIRTY_MINUTE": 30, "ONE_HOUR": 60, "TWO_HOUR": 120,
    "SIX_HOUR": 360, "ONE_DAY": 1440,
}  # fmt: skip

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@lru_cache(maxsize=256)
def public_key(secret: str) -> PublicKey | None:
    """The public half of what a user holds as the secret; None for a text that is no such key."""
    if "-----BEGIN" in secret:
        try:
            private = load_pem_private_key(secret.encode(), None)
        except (ValueError, TypeError):
            return None
        return private.public_key() if isinstance(private, ec.EllipticCurvePrivateKey) else None
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
    return ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key() if len(raw) in (32, 64) else None


def holds(secret: str, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether this is a JWS signature (RFC 7515, RFC 8037) by the key that the secret is."""
    public = public_key(secret)
    try:
        if isinstance(public, ec.EllipticCurvePublicKey) and algorithm == "ES256" and len(signature) == 64:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
            return True
        if isinstance(public, ed25519.Ed25519PublicKey) and algorithm == "EdDSA":
            public.verify(signature, signed)
            return True
    except InvalidSignature:
        return False
    return False


def _decoded(part: str) -> bytes | None:
    if not re.fullmatch(r"[0-9A-Za-z_-]+", part):
        return None
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return None


def _claims(part: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(_decoded(part) or b"")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _token(call: Call) -> list[str]:
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    parts = token.strip().split(".")
    return parts if scheme == "Bearer" and len(parts) == 3 and len(token) < 8192 else []


def _error(status: int, error: str, details: str) -> Reply:
    return as_json({"error": error, "error_details": details, "message": details}, status)


def _old_error(status: int, error: str, message: str) -> Reply:
    return as_json({"errors": [{"id": error, "message": message}]}, status)


def _text(status: int, words: str) -> Reply:
    return Reply(status, words.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def _invalid(details: str) -> Reply:
    return _error(400, "INVALID_ARGUMENT", details)


def _old(call: Call) -> bool:
    return call.path.startswith("/v2/")


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _whole(text: str | None) -> int | None:
    return int(text[:18]) if text and text.isascii() and text.isdigit() else None


def _uuid(*words: str) -> str:
    text = sample_hex(32, "coinbase", *words)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _account(name: str, permissions: tuple[str, ...] = TRADES, *, edwards: bool = False, **more: object) -> Account:
    seed = sample_hex(64, "coinbase secret", name)
    if edwards:
        private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key, secret = _uuid("key", name), base64.b64encode(bytes.fromhex(seed) + public).decode()
    else:
        curve = ec.derive_private_key(int(seed, 16), ec.SECP256R1())
        secret = curve.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        key = f"organizations/{_uuid('organization')}/apiKeys/{_uuid('key', name)}"
    made = Account(name=name, api_key=key, secret=secret, permissions=permissions, ip_whitelist=HERE, spot_fees=FEES)
    for field, value in more.items():
        setattr(made, field, value)
    return made


class Coinbase(Exchange):
    """Coinbase as its documents describe it."""

    name = "coinbase"
    hosts: ClassVar[Mapping[str, str]] = {"api.coinbase.com": "main", "api-sandbox.coinbase.com": "sandbox"}
    forbidden = (
        (f"{_BROKERAGE}/orders", "places or cancels an order"),
        (f"{_BROKERAGE}/portfolios/move_funds", "moves money"),
        (f"{_BROKERAGE}/portfolios", "edits a portfolio"),
        (f"{_BROKERAGE}/convert", "moves money"),
        (f"{_BROKERAGE}/cfm", "moves money"),
        (f"{_BROKERAGE}/intx", "moves money"),
        ("/v2/accounts", "moves money"),
        ("/v2/", "edits the account"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. `ip_open` has a key of the newer kind."""
        yield _account("good")
        yield _account("ip_open", edwards=True, ip_whitelist=())
        yield _account("withdraw", RIGHTS)
        yield _account("read_only", ("view",))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("unknown_right", (*TRADES, "vault"))

    def find(self, call: Call) -> Route | None:
        """Also paths that name one product or account in their middle."""
        found = super().find(call)
        if found is None and (inner := _INNER.search(call.path)) is not None:
            call.segment = inner[2]
            path = f"{call.path[: inner.start()]}/{inner[1]}/{{}}/{inner[3]}"
            return self._open.get((call.group, call.method, path))
        return found

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key that the token names."""
        parts = _token(call)
        kid = _claims(parts[0]).get("kid") if parts else None
        return kid if isinstance(kid, str) else ""

    def verify(self, call: Call, route: Route) -> Reply | None:
        """Coinbase docs, authentication: one plain 401 whatever is wrong with the key, the token or the address."""
        account, parts = call.account, _token(call)
        if account is None or account.site != "global" or account.status == "deleted":
            return self._unauthorized(call)
        if self.expired(account, call.now_ms):
            return self._unauthorized(call)
        header, claims = _claims(parts[0]), _claims(parts[1])
        start, end, now = claims.get("nbf"), claims.get("exp"), call.now_ms / 1000
        if not isinstance(start, int | float) or not isinstance(end, int | float):
            return self._unauthorized(call)
        if not start <= now < end or end - start > LIFE_S:
            return self._unauthorized(call, "request timestamp expired")
        signed = f"{parts[0]}.{parts[1]}".encode()
        listed: Any = claims.get("uris")
        targets: list[Any] = cast("list[Any]", listed) if isinstance(listed, list) else [claims.get("uri")]
        if (
            not holds(account.secret, str(header.get("alg")), signed, _decoded(parts[2]) or b"")
            or claims.get("sub") != account.api_key
            or f"{call.method} {call.host}{call.path}" not in targets
            or not account.allows(call.address)
        ):
            return self._unauthorized(call)
        if account.status == "frozen":  # no document has the words; those of an account that may not do something
            return _error(403, "PERMISSION_DENIED", "User is not allowed to use this account")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return self._denied(call)
        return None

    @staticmethod
    def _unauthorized(call: Call, words: str = "invalid api key") -> Reply:
        return _old_error(401, "authentication_error", words) if _old(call) else _text(401, "Unauthorized")

    @staticmethod
    def _denied(call: Call) -> Reply:
        if _old(call):
            return _old_error(403, "invalid_scope", "Invalid scope")
        return _error(403, "PERMISSION_DENIED", "Missing required scopes")

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers of v3. The limit never runs dry; a fault with status 429 does that."""
        if call.path.startswith("/api/v3/"):
            limit = 30 if call.route is not None and call.route.private else 10
            reply.headers["x-ratelimit-limit"] = str(limit)
            reply.headers["x-ratelimit-remaining"] = str(limit - 1)
            reply.headers["x-ratelimit-reset"] = "1"
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """Chosen: v2 knows it in its own words, v3 in a bare text."""
        return _old_error(404, "not_found", "Not found") if _old(call) else _text(404, "Not Found")

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        return self._denied(call)

    def rate_limited(self, call: Call) -> Reply:
        """Coinbase docs, rate limits."""
        if _old(call):
            return _old_error(429, "rate_limit_exceeded", "Too many requests")
        return _error(429, "rate_limit_exceeded", "Too many requests")

    def maintenance(self, call: Call) -> Reply:
        """Chosen: a bare 503; Coinbase tells its state on a page elsewhere."""
        del call
        return _text(503, "Service Unavailable")

    # -- public

    @route("GET", f"{_BROKERAGE}/time", groups=_MAIN)
    def time(self, call: Call) -> Reply:
        """Server time."""
        seconds, millis = str(call.now_ms // 1000), str(call.now_ms)
        return as_json({"iso": _iso(call.now_ms), "epochSeconds": seconds, "epochMillis": millis})

    @route("GET", "/v2/time", groups=_MAIN)
    def old_time(self, call: Call) -> Reply:
        """Server time in seconds."""
        return as_json({"data": {"iso": _iso(call.now_ms), "epoch": call.now_ms // 1000}})

    @route("GET", f"{_BROKERAGE}/market/products", groups=_MAIN)
    @route("GET", f"{_BROKERAGE}/products", groups=_MAIN, scopes=("view",))
    def products(self, call: Call) -> Reply:
        """Pairs; no futures are offered to these accounts."""
        rows = [] if call.params.get("product_type") == "FUTURE" else list(PRODUCTS.items())
        return as_json({"products": [_product(name, pair, call) for name, pair in rows], "num_products": len(rows)})

    @route("GET", f"{_BROKERAGE}/market/products/{{}}", groups=_MAIN)
    @route("GET", f"{_BROKERAGE}/products/{{}}", groups=_MAIN, scopes=("view",))
    def product(self, call: Call) -> Reply:
        """One pair."""
        pair = PRODUCTS.get(call.segment)
        return _no_product() if pair is None else as_json(_product(call.segment, pair, call))

    @route("GET", f"{_BROKERAGE}/market/products/{{}}/ticker", groups=_MAIN)
    @route("GET", f"{_BROKERAGE}/products/{{}}/ticker", groups=_MAIN, scopes=("view",))
    def ticker(self, call: Call) -> Reply:
        """Last trade, best bid and ask."""
        pair = PRODUCTS.get(call.segment)
        if pair is None:
            return _no_product()
        price = price_at(pair, call.now_ms)
        trade = {
            "trade_id": str(call.now_ms // 1000), "product_id": call.segment, "price": str(price), "size": "0.01",
            "time": _iso(call.now_ms), "side": "BUY", "bid": "", "ask": "", "exchange": "",
        }  # fmt: skip
        return as_json({"trades": [trade], "best_bid": str(price), "best_ask": str(price + pair.price_step)})

    @route("GET", f"{_BROKERAGE}/market/products/{{}}/candles", groups=_MAIN)
    @route("GET", f"{_BROKERAGE}/products/{{}}/candles", groups=_MAIN, scopes=("view",))
    def product_candles(self, call: Call) -> Reply:
        """Candles newest first, times in seconds; at most 350."""
        params = call.params
        pair, minutes = PRODUCTS.get(call.segment), _STEPS.get(params.get("granularity", ""))
        start, end = _whole(params.get("start")), _whole(params.get("end"))
        if pair is None:
            return _no_product()
        if minutes is None or start is None or end is None or (end - start) // 60 // minutes > 350:
            return _invalid("start and end argument is invalid - number of candles requested should be less than 350")
        step = minutes * MINUTE_MS
        found = candles(pair, step, call.now_ms, start_ms=start * 1000, end_ms=end * 1000, limit=350)
        names = ("start", "low", "high", "open", "close", "volume")
        rows = [(c.open_ms // 1000, c.low, c.high, c.open, c.close, c.volume) for c in reversed(found)]
        return as_json({"candles": [dict(zip(names, map(str, row), strict=True)) for row in rows]})

    @route("GET", f"{_BROKERAGE}/best_bid_ask", groups=_MAIN, scopes=("view",))
    def best_bid_ask(self, call: Call) -> Reply:
        """Best bid and ask of all pairs."""
        books: list[dict[str, object]] = []
        for name, pair in PRODUCTS.items():
            price = price_at(pair, call.now_ms)
            bids, asks = [{"price": str(price), "size": "1.5"}], [{"price": str(price + pair.price_step), "size": "1"}]
            books.append({"product_id": name, "bids": bids, "asks": asks, "time": _iso(call.now_ms)})
        return as_json({"pricebooks": books})

    @route("GET", "/v2/currencies", groups=_MAIN)
    def currencies(self, _call: Call) -> Reply:
        """Currencies of states."""
        return as_json({"data": [{"id": "USD", "name": "United States Dollar", "min_size": "0.01"}]})

    @route("GET", "/v2/currencies/crypto", groups=_MAIN)
    def crypto(self, _call: Call) -> Reply:
        """The other currencies."""
        names = {"USDT": "Tether", **{pair.base: pair.title for pair in PAIRS}}
        rows = [
            {"code": coin, "name": title, "color": "#F7931A", "sort_index": index, "exponent": 8, "type": "crypto",
             "address_regex": "^.+$", "asset_id": _uuid("asset", coin)}
            for index, (coin, title) in enumerate(names.items())
        ]  # fmt: skip
        return as_json({"data": rows})

    @route("GET", "/v2/exchange-rates", groups=_MAIN)
    def exchange_rates(self, call: Call) -> Reply:
        """How much of each currency a dollar is."""
        rates = {pair.base: str((1 / price_at(pair, call.now_ms)).quantize(Decimal("1e-12"))) for pair in PAIRS}
        return as_json({"data": {"currency": "USD", "rates": {"USD": "1", "USDT": "1", **rates}}})

    # -- signed

    @route("GET", f"{_BROKERAGE}/key_permissions", groups=_MAIN, private=True)
    def key_permissions(self, call: Call) -> Reply:
        """What the key may do. Nothing on addresses, nothing on an end (Coinbase docs, get API key permissions)."""
        account = call.who
        words = dict.fromkeys((*RIGHTS, *account.permissions))
        report: dict[str, object] = {f"can_{word}": word in account.permissions for word in words}
        report |= {"portfolio_uuid": _uuid("portfolio", account.name), "portfolio_type": account.mode or "DEFAULT"}
        report.update(account.report)
        return as_json({name: value for name, value in report.items() if name not in account.omit})

    @route("GET", "/v2/user/auth", groups=_MAIN, private=True)
    def old_auth(self, call: Call) -> Reply:
        """The same in the words of v2 (`rat#` stands for retail advanced trade)."""
        scopes = [f"rat#{word}" for word in call.who.permissions]
        return as_json({"data": {"method": "cdp", "scopes": scopes, "oauth_meta": {}}})

    @route("GET", "/v2/user", groups=_MAIN, scopes=("view",))
    def old_user(self, call: Call) -> Reply:
        """Who the owner is, without a name."""
        uid = _uuid("user", call.who.name)
        return as_json({"data": {"id": uid, "name": "", "resource": "user", "resource_path": f"/v2/users/{uid}"}})

    @route("GET", f"{_BROKERAGE}/accounts", groups=_MAIN, scopes=("view",))
    def wallets(self, call: Call) -> Reply:
        """One wallet per currency, in pages; the cursor is a number here."""
        limit, start = _whole(call.params.get("limit")) or 49, _whole(call.params.get("cursor")) or 0
        coins = list(call.who.spot.items())
        page, more = coins[start : start + limit], start + limit < len(coins)
        rows = [_wallet(call.who, coin, amount) for coin, amount in page]
        cursor = str(start + limit) if more else ""
        return as_json({"accounts": rows, "has_next": more, "cursor": cursor, "size": len(rows)})

    @route("GET", f"{_BROKERAGE}/accounts/{{}}", groups=_MAIN, scopes=("view",))
    def wallet(self, call: Call) -> Reply:
        """One wallet."""
        rows = [_wallet(call.who, coin, amount) for coin, amount in call.who.spot.items()]
        found = next((row for row in rows if row["uuid"] == call.segment), None)
        return _error(404, "NOT_FOUND", "account not found") if found is None else as_json({"account": found})

    @route("GET", f"{_BROKERAGE}/portfolios", groups=_MAIN, scopes=("view",))
    def portfolios(self, call: Call) -> Reply:
        """The one portfolio the key belongs to."""
        kind = call.who.mode or "DEFAULT"
        row = {"name": "Default", "uuid": _uuid("portfolio", call.who.name), "type": kind, "deleted": False}
        return as_json({"portfolios": [row]})

    @route("GET", f"{_BROKERAGE}/transaction_summary", groups=_MAIN, scopes=("view",))
    def summary(self, call: Call) -> Reply:
        """What this account pays (Coinbase docs, get transaction summary), with all that was seen live.

        It asks for no product. The one tier stands for any `product_type`; how an unknown one is refused was chosen.
        """
        if call.params.get("product_type", "SPOT") not in ("", "UNKNOWN_PRODUCT_TYPE", "SPOT", "FUTURE"):
            return _invalid("product_type is invalid")
        maker, taker = call.who.spot_fees
        kinds = ["VOLUME_TYPE_SPOT", "VOLUME_TYPE_US_DERIVATIVES"]
        none = ("usd_from", "usd_to", "perps_vol_from", "perps_vol_to", "futures_vol_from", "futures_vol_to")
        tier = {"pricing_tier": "Intro 2", **dict.fromkeys(none, ""), "taker_fee_rate": taker, "maker_fee_rate": maker,
                "aop_from": "0", "aop_to": "1000000",
                "volume_types_and_range": [{"volume_types": kinds, "vol_from": "0", "vol_to": "10000"}]}  # fmt: skip
        return as_json(
            {"total_volume": 0, "total_fees": 0, "fee_tier": tier, "margin_rate": None,
             "goods_and_services_tax": None, "advanced_trade_only_volume": 0, "advanced_trade_only_fees": 0,
             "coinbase_pro_volume": 0, "coinbase_pro_fees": 0, "total_balance": "", "has_promo_fee": False,
             "volume_breakdown": [{"volume_type": kind, "volume": 0} for kind in kinds],
             "has_cost_plus_commission": False}
        )  # fmt: skip

    @route("GET", f"{_BROKERAGE}/orders/historical/batch", groups=_MAIN, scopes=("view",))
    def orders(self, call: Call) -> Reply:
        """Open ones, also where no status is asked for; no closed ones."""
        names = call.who.spot_orders if call.params.get("order_status", "OPEN") == "OPEN" else ()
        rows = [_open_order(call, name) for name in names]
        return as_json({"orders": rows, "sequence": "0", "has_next": False, "cursor": ""})

    @route("GET", f"{_BROKERAGE}/orders/historical/fills", groups=_MAIN, scopes=("view",))
    def fills(self, _call: Call) -> Reply:
        """None."""
        return as_json({"fills": [], "cursor": ""})

    @route("GET", f"{_BROKERAGE}/cfm/balance_summary", groups=_MAIN, scopes=("view",))
    def futures_balance(self, _call: Call) -> Reply:
        """Nothing: these accounts have no futures."""
        names = ("futures_buying_power", "total_usd_balance", "cbi_usd_balance", "cfm_usd_balance", "unrealized_pnl",
                 "total_open_orders_hold_amount", "daily_realized_pnl", "initial_margin", "available_margin",
                 "liquidation_threshold", "liquidation_buffer_amount")  # fmt: skip
        rows = {name: {"value": "0", "currency": "USD"} for name in names}
        return as_json({"balance_summary": {**rows, "liquidation_buffer_percentage": "1000"}})

    @route("GET", f"{_BROKERAGE}/cfm/positions", groups=_MAIN, scopes=("view",))
    def futures_positions(self, _call: Call) -> Reply:
        """None."""
        return as_json({"positions": []})

    @route("GET", "/v2/accounts", groups=_MAIN, scopes=("view",))
    def old_wallets(self, call: Call) -> Reply:
        """The wallets in the words of v2."""
        rows: list[dict[str, object]] = [
            {"id": _uuid("wallet", call.who.name, coin), "name": f"{coin} Wallet", "primary": True, "type": "wallet",
             "currency": {"code": coin, "name": coin, "type": "crypto"},
             "balance": {"amount": amount, "currency": coin},
             "created_at": CREATED, "updated_at": CREATED, "resource": "account", "allow_deposits": True,
             "allow_withdrawals": True}
            for coin, amount in call.who.spot.items()
        ]  # fmt: skip
        return _old_page(rows)

    @route("GET", "/v2/accounts/{}/deposits", groups=_MAIN, scopes=("view",))
    @route("GET", "/v2/accounts/{}/withdrawals", groups=_MAIN, scopes=("view",))
    @route("GET", "/v2/accounts/{}/transactions", groups=_MAIN, scopes=("view",))
    def old_records(self, _call: Call) -> Reply:
        """None."""
        return _old_page([])

    @route("POST", f"{_BROKERAGE}/orders/preview", groups=_MAIN, scopes=("trade",), dry_run=True)
    def preview(self, call: Call) -> Reply:
        """What an order would cost. Whether seeing this needs `view` or `trade` is not documented; `trade` chosen."""
        order = call.data
        if order is None:
            return _invalid("request body is invalid")
        name, side = str(order.get("product_id")), order.get("side")
        pair = PRODUCTS.get(name)
        if pair is None:
            return _no_product()
        if side not in ("BUY", "SELL"):
            return _invalid("side is invalid")
        terms: Any = order.get("order_configuration")
        kinds = cast("dict[str, Any]", terms) if isinstance(terms, dict) else {}
        kind, value = next(iter(kinds.items()), ("", None))
        if len(kinds) != 1 or not isinstance(value, dict) or not kind.startswith(("market_", "limit_")):
            return _invalid("order configuration is invalid")
        return as_json(_previewed(call, pair, str(side), kind, cast("dict[str, Any]", value)))

    # -- the static sandbox: canned answers, nobody has to sign

    @route("GET", f"{_BROKERAGE}/accounts", groups=_SANDBOX)
    def canned_wallets(self, _call: Call) -> Reply:
        """Always the same wallet."""
        row = _wallet(self.accounts["good"], "BTC", "1.0")
        return as_json({"accounts": [row], "has_next": False, "cursor": "", "size": 1})

    @route("GET", f"{_BROKERAGE}/orders/historical/batch", groups=_SANDBOX)
    def canned_orders(self, _call: Call) -> Reply:
        """Always none."""
        return as_json({"orders": [], "sequence": "0", "has_next": False, "cursor": ""})


def _open_order(call: Call, name: str) -> dict[str, object]:
    """Coinbase docs, list orders."""
    return {
        "order_id": "0000-000000-000000", "product_id": name, "user_id": "2222-000000-000000",
        "order_configuration": {"limit_limit_gtc": {"base_size": "10", "limit_price": "1", "post_only": False}},
        "side": "BUY", "client_order_id": "11111-000000-000000", "status": "OPEN",
        "time_in_force": "GOOD_UNTIL_CANCELLED", "created_time": _iso(call.now_ms - 60_000),
        "completion_percentage": "0", "filled_size": "0", "average_filled_price": "0", "fee": "",
        "number_of_fills": "0", "filled_value": "0", "pending_cancel": False,
        "size_in_quote": False, "total_fees": "0", "size_inclusive_of_fees": False, "total_value_after_fees": "10",
        "trigger_status": "INVALID_ORDER_TYPE", "order_type": "LIMIT", "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": False, "product_type": "SPOT", "reject_message": "", "cancel_message": "",
        "order_placement_source": "RETAIL_ADVANCED", "outstanding_hold_amount": "10", "is_liquidation": False,
    }  # fmt: skip


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _no_product() -> Reply:
    return _invalid("valid product_id is required")


def _old_page(rows: list[dict[str, object]]) -> Reply:
    page = {"ending_before": None, "starting_after": None, "limit": 25, "order": "desc", "previous_uri": None}
    return as_json({"pagination": {**page, "next_uri": None}, "data": rows})


def _wallet(account: Account, coin: str, amount: str) -> dict[str, object]:
    return {
        "uuid": _uuid("wallet", account.name, coin), "name": f"{coin} Wallet", "currency": coin,
        "available_balance": {"value": amount, "currency": coin}, "default": True, "active": True,
        "created_at": CREATED, "updated_at": CREATED, "deleted_at": None, "type": "ACCOUNT_TYPE_CRYPTO", "ready": True,
        "hold": {"value": "0", "currency": coin}, "retail_portfolio_id": _uuid("portfolio", account.name),
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }  # fmt: skip


def _product(name: str, pair: Pair, call: Call) -> dict[str, object]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    off = dict.fromkeys(("is_disabled", "new", "cancel_only", "limit_only", "post_only", "trading_disabled",
                         "auction_mode", "view_only"), False)  # fmt: skip
    if not pair.open:
        off |= {"is_disabled": True, "trading_disabled": True}
    off["view_only"] = not pair.by_api
    return {
        "product_id": name, "price": str(price),
        "price_percentage_change_24h": str(((price - before) / before * 100).quantize(Decimal("0.0001"))),
        "volume_24h": "1200.5", "volume_percentage_change_24h": "0", "base_increment": format(pair.size_step, "f"),
        "quote_increment": format(pair.price_step, "f"), "quote_min_size": "" if pair.terse else "1",
        "quote_max_size": "50000000",
        "base_min_size": "" if pair.terse else format(pair.size_step, "f"), "base_max_size": "3400",
        "base_name": pair.title,
        "quote_name": "Tether", "watched": False, **off, "status": "online" if pair.open else "delisted",
        "product_type": "SPOT",
        "quote_currency_id": pair.quote, "base_currency_id": pair.base, "fcm_trading_session_details": None,
        "mid_market_price": "", "alias": "", "alias_to": [], "base_display_symbol": pair.base,
        "quote_display_symbol": pair.quote, "price_increment": format(pair.price_step, "f"), "display_name": f"{name}",
        "product_venue": "CBE", "approximate_quote_24h_volume": str(price * 1200), "new_at": CREATED,
    }  # fmt: skip


def _previewed(call: Call, pair: Pair, side: str, kind: str, terms: Mapping[str, Any]) -> dict[str, object]:
    now = price_at(pair, call.now_ms)
    price = _number(terms.get("limit_price")) if kind.startswith("limit_") else now
    size, money = _number(terms.get("base_size")), _number(terms.get("quote_size"))
    wrong: list[str] = []
    if price is None or price <= 0:
        wrong, price = ["PREVIEW_INVALID_LIMIT_PRICE"], now
    elif price % pair.price_step:
        wrong = ["PREVIEW_INVALID_PRICE_PRECISION"]
    if size is None:
        size = (money or Decimal(0)) / price
    if size < pair.size_step:
        wrong.append("PREVIEW_INVALID_BASE_SIZE_TOO_SMALL")
    total, held = size * price, call.who.spot
    fee = total * Decimal(call.who.spot_fees[1])
    enough = Decimal(held.get(pair.quote, "0")) >= total + fee
    if not (enough if side == "BUY" else Decimal(held.get(pair.base, "0")) >= size):
        wrong.append("PREVIEW_INSUFFICIENT_FUND")
    number = hashlib.sha256(call.body).hexdigest()
    return {
        "order_total": str(total + fee if side == "BUY" else total - fee), "commission_total": str(fee),
        "errs": wrong, "warning": [], "quote_size": str(total), "base_size": str(size), "best_bid": str(now),
        "best_ask": str(now + pair.price_step), "is_max": False, "order_margin_total": "0", "leverage": "0",
        "long_leverage": "0", "short_leverage": "0", "slippage": "0",
        "preview_id": "" if wrong else f"{number[:8]}-{number[8:12]}-4{number[13:16]}-8{number[17:20]}-{number[20:32]}",
    }  # fmt: skip


EXCHANGE = Coinbase
