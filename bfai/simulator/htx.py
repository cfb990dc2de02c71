"""HTX (formerly Huobi): spot (`api.huobi.pro`, `api-aws.huobi.pro`, `api.htx.com`) and contracts (`api.hbdm.vn` and
`api.hbdm.com`). Keys have one site, `global`, and work on every host; the host is part of what is signed.

Errors come in three styles, all with status 200: spot v1 in words (`err-code`, `err-msg`), contracts v1 with a number
beside the same words (`err_code`, `err_msg`), v2 and v5 with a number in `code`, which for success is 200.

`Account.mode` holds words: `locked` (the spot account's state), `no_contract` (contracts were never opened),
`v1_errors` and `bare_errors` (v2 refuses in the style of v1, or with 1003 and no cause; no document is clear on it).
`Account.permissions` are `readOnly`, `trade` and `withdraw`. `trade` is one right for spot, contracts and transfers.

Sources are HTX's documents; where they are silent, the comment says what was chosen.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final
from urllib.parse import quote, unquote_plus

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

SPOT: Final = {pair.join("").lower(): pair for pair in LISTED}
CONTRACTS: Final = by_symbol("-")
BASE_FEE: Final = "0.002"
"""Of spot, before anything is deducted."""
CREATED_MS: Final = 1_615_192_704_000
WINDOW_MS: Final = 300_000
LIMIT: Final = 100
"""Calls of a key per 2 s (HTX docs, rate limiting rule)."""
LIMIT_MS: Final = 2_000
READ, TRADE, WITHDRAW = "readOnly", "trade", "withdraw"
TRADES: Final = (READ, TRADE)
HERE: Final = ("127.0.0.1",)
ELSEWHERE: Final = ("198.51.100.7",)

_STEPS: Final = {
    "1min": 1, "5min": 5, "15min": 15, "30min": 30, "60min": 60, "4hour": 240, "1day": 1440, "1week": 10_080,
    "1mon": 43_200, "1year": 525_600,
}  # fmt: skip
_BALANCE: Final = re.compile(r"/v1/account/accounts/([^/]+)/balance")
_LOWER_ESCAPE: Final = re.compile(r"%(?:[0-9A-F]?[a-f]|[a-f][0-9A-Fa-f])")

# What is wrong with a call: the number of the documents' table, and the words of v1 without "Signature not valid: ".
# The words for version and method are in no document.
TIME = (12001, "Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]")
VERSION = (12002, "Incorrect signature version [签名版本错误]")
METHOD = (12003, "Incorrect signature method [签名方法错误]")
EXPIRED = (12004, "API key has expired [API Key已经过期]")
ADDRESS = (12005, "Incorrect IP address [IP地址错误]")
UNKNOWN = (12007, "Incorrect Access key [Access key错误]")
UNSIGNED = (12008, "Verification failure [校验失败]")
DENIED = (1002, "API key has no permission [API Key没有权限]")


def signature(secret: str, method: str, host: str, path: str, query: str) -> str:
    """Base64 HMAC-SHA256 of method, lower-case host, path and the sorted query (HTX docs, authentication)."""
    text = "\n".join((method, host.lower(), path, canonical(query)))
    return base64.b64encode(hmac_sha256(secret, text)).decode()


def canonical(query: str) -> str:
    """The parameters but `Signature`, sorted by ASCII, each encoded anew with upper-case hexadecimal digits."""
    pairs = sorted((name, value) for name, value in _pairs(query) if name != "Signature")
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _pairs(query: str) -> list[tuple[str, str]]:
    pieces = (piece.partition("=") for piece in query.split("&") if piece)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pieces]


def _style(call: Call) -> str:
    if call.group == "contract":
        return "v5" if call.path.startswith("/v5/") else "contract"
    return "v2" if call.path.startswith("/v2/") else "v1"


def _words(code: str, msg: str, status: int = 200) -> Reply:
    return as_json({"status": "error", "err-code": code, "err-msg": msg, "data": None}, status)


def _error(call: Call, number: int, code: str, msg: str, status: int = 200) -> Reply:
    """An error in the style of the API that was called: in words with `code`, in numbers with `number`."""
    style = _style(call)
    if style == "v1":
        return _words(code, msg, status)
    if style == "contract":
        return as_json({"status": "error", "err_code": number, "err_msg": msg, "ts": call.now_ms}, status)
    return as_json({"code": number, "message": msg, **({} if style == "v2" else {"ts": call.now_ms})}, status)


def _ok(data: object) -> Reply:
    return as_json({"status": "ok", "data": data})


def _data(data: object) -> Reply:
    return as_json({"code": 200, "message": "success", "data": data, "ok": True})


def _contract(call: Call, data: object) -> Reply:
    return as_json({"status": "ok", "data": data, "ts": call.now_ms})


def _v5(call: Call, data: object) -> Reply:
    return as_json({"code": 200, "message": "Success", "data": data, "ts": call.now_ms})


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _time_ms(text: str) -> int | None:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _account(name: str, permissions: tuple[str, ...] = TRADES, **more: object) -> Account:
    key, secret = sample_hex(34, "htx key", name), sample_hex(29, "htx secret", name)
    made = Account(
        name=name,
        api_key="-".join((key[:8], key[8:16], key[16:24], key[24:])),
        secret="-".join((secret[:8], secret[8:16], secret[16:24], secret[24:])),
        permissions=permissions,
        ip_whitelist=HERE,
        uid=63_628_000 + int(sample_hex(10, "htx uid", name), 16),
    )
    for field, value in more.items():
        setattr(made, field, value)
    return made


class Htx(Exchange):
    """HTX as its documents describe it."""

    name = "htx"
    hosts: ClassVar[Mapping[str, str]] = {
        "api.huobi.pro": "spot",
        "api-aws.huobi.pro": "spot",
        "api.htx.com": "spot",
        "api.hbdm.vn": "contract",
        "api.hbdm.com": "contract",
    }
    forbidden = (
        ("/v1/dw/", "moves money"),
        ("/v1/account/transfer", "moves money"),
        ("/v2/account/transfer", "moves money"),
        ("/v1/futures/transfer", "moves money"),
        ("/v1/subuser/transfer", "moves money"),
        ("/v2/sub-user/api-key", "edits a key"),
        ("/v2/sub-user/", "edits a sub-account"),
        ("/v1/margin/", "borrows"),
        ("/v1/cross-margin/", "borrows"),
        ("/v1/order/", "places or cancels an order"),
        ("/v1/batch-orders", "places or cancels an order"),
        ("/v2/algo-orders", "places or cancels an order"),
        ("/v5/trade/position", "changes a position"),
        ("/v5/trade/", "places or cancels an order"),
        ("/v5/algo/", "places or cancels an order"),
        ("/v5/position/", "changes a position"),
        ("/v5/account/", "changes the account"),
        ("/api/v1/contract_master_sub_transfer", "moves money"),
        ("/api/v1/contract_", "places or cancels an order"),
        ("/swap-api/v1/swap_master_sub_transfer", "moves money"),
        ("/swap-api/v1/swap_", "places or cancels an order"),
        ("/linear-swap-api/", "places or cancels an order"),
    )

    def sample_accounts(self) -> Iterable[Account]:
        """The sample accounts. A key that trades without addresses lives 90 days (HTX docs, API key)."""
        yield _account("good")
        yield _account("withdraw", (*TRADES, WITHDRAW))
        yield _account("read_only", (READ,))
        yield _account("ip_blocked", ip_whitelist=ELSEWHERE)
        yield _account("ip_open", ip_whitelist=(), expires_in_days=90)
        yield _account("expired", status="expired")
        yield _account("expiring", expires_in_days=5)
        yield _account("sub_account", is_sub=True)
        yield _account("unknown_right", (*TRADES, "vault"))

    # -- who calls

    def key_of(self, call: Call) -> str:
        """The key, which is a parameter of the query."""
        return dict(_pairs(call.query)).get("AccessKeyId", "")

    def find(self, call: Call) -> Route | None:
        """One endpoint has an account number in its middle."""
        if (inside := _BALANCE.fullmatch(call.path)) is not None:
            call.segment = inside[1]
            return self._open.get((call.group, call.method, "/v1/account/accounts/{}/balance"))
        return super().find(call)

    def verify(self, call: Call, route: Route) -> Reply | None:
        """HTX docs, authentication. Parameters, key, time, signature, address, account, right: in this order."""
        given = dict(_pairs(call.query))
        names = ("AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp", "Signature")
        if missing := [name for name in names if not given.get(name)]:
            number = 12006 if missing == ["Timestamp"] else 12007 if "AccessKeyId" in missing else 12008
            return _error(call, number, "login-required", f"Login required, missing {', '.join(missing)}")
        if given["SignatureVersion"] != "2":
            return self._refused(call, VERSION)
        if given["SignatureMethod"] not in ("HmacSHA256", "Ed25519"):
            return self._refused(call, METHOD)
        account = call.account
        if account is None or account.status == "deleted" or account.site != "global":
            return self._refused(call, UNKNOWN)
        if self.expired(account, call.now_ms):
            return self._refused(call, EXPIRED)
        sent = _time_ms(given["Timestamp"])
        if sent is None or abs(call.now_ms - sent) > WINDOW_MS:
            return self._refused(call, TIME)
        host = call.headers.get("Host", "").lower().removesuffix(":443")
        right = signature(account.secret, call.method, host, call.path, call.query)
        # all sample keys are HMAC keys, and the documents ask for upper-case digits in what is signed and sent
        if (
            given["SignatureMethod"] != "HmacSHA256"
            or _lower_escaped(call.query)
            or not same(given["Signature"], right)
        ):
            return self._refused(call, UNSIGNED)
        if not account.allows(call.address):
            return self._refused(call, ADDRESS, call.address)
        if account.status == "frozen":
            # no document has a body: the word of spot v1 and the number of the table were chosen
            return _error(call, 12009, "account-api-trading-banned-error", "Abnormal user status [用户状态异常]")
        if route.scopes and not any(scope in account.permissions for scope in route.scopes):
            return self._refused(call, DENIED)
        if call.group == "contract" and "no_contract" in account.mode.split():
            return _error(call, 1220, "", "You don't have access permission as you have not opened contracts trading.")
        return None

    @staticmethod
    def _refused(call: Call, what: tuple[int, str], address: str = "") -> Reply:
        number, words = what
        style, modes = _style(call), call.account.mode.split() if call.account else []
        if style == "v1" or (style == "v2" and "v1_errors" in modes):
            told = f"{words}:{address}" if address else words
            return _words("api-signature-not-valid", f"Signature not valid: {told}")
        if style == "contract":
            return _error(call, 403, "", words)
        if style == "v5":
            return _error(call, 401, "", words)  # an address is not told here
        if what is DENIED:
            return _error(call, 1002, "", "forbidden")
        if "bare_errors" in modes:
            return _error(call, 1003, "", "invalid signature")
        return _error(call, number, "", words)

    def finish(self, call: Call, reply: Reply) -> Reply:
        """The rate headers of signed calls. The pool never runs dry; a fault with status 429 does that."""
        if call.account is not None:
            left = LIMIT_MS - call.now_ms % LIMIT_MS
            reply.headers["X-HB-RateLimit-Requests-Remain"] = str(LIMIT - 1)
            reply.headers["X-HB-RateLimit-Requests-Expire"] = str(call.now_ms + left)
        return reply

    # -- what is refused or out of order

    def not_found(self, call: Call) -> Reply:
        """A path that answers another method is 405 (HTX docs, error codes); for others the words were chosen."""
        if (call.group, "POST", call.path) in self._exact:
            return _error(call, 405, "method-not-allowed", "Request method 'GET' is not supported", 405)
        return _error(call, 404, "not-found", "Not Found", 404)

    def refuse_write(self, call: Call) -> Reply:
        """A write is refused as if the key lacked the right."""
        if "transfer" in call.path or "withdraw" in call.path:
            call.violation = "moves money"
        return self._refused(call, DENIED)

    def rate_limited(self, call: Call) -> Reply:
        """HTX docs, error codes; with status 429."""
        if call.path.startswith("/market/"):
            body = {"ts": call.now_ms, "status": "error", "err-code": "invalid-parameter", "err-msg": "request limit"}
            return as_json(body, 429)
        return _error(call, 429, "rate-too-many-requests", "Exceeded rate limit", 429)

    def maintenance(self, call: Call) -> Reply:
        """The status calls say so, everything else refuses with status 200."""
        if call.path == "/v2/market-status":
            end = call.now_ms + 3_600_000
            halted = {"haltStartTime": call.now_ms, "haltEndTime": end, "haltReason": 2, "affectedSymbols": "all"}
            return _data({"marketStatus": 2, **halted})
        if call.path.startswith("/heartbeat"):
            return _contract(call, self._beating(0))
        return _error(call, 1004, "system-maintenance", "System is in maintenance!")

    # -- time and service

    @route("GET", "/v1/common/timestamp", groups=("spot",))
    def timestamp(self, call: Call) -> Reply:
        """Server time in ms."""
        return _ok(call.now_ms)

    @route("GET", "/api/v1/timestamp", groups=("contract",))
    def contract_timestamp(self, call: Call) -> Reply:
        """The same of the contract hosts, under another name."""
        return as_json({"status": "ok", "ts": call.now_ms})

    @route("GET", "/v2/market-status", groups=("spot",))
    def market_status(self, _call: Call) -> Reply:
        """1 is normal, 2 halted, 3 cancel-only."""
        return as_json({"code": 200, "message": "success", "data": {"marketStatus": 1}})

    @route("GET", "/heartbeat/", groups=("contract",))
    @route("GET", "/heartbeat", groups=("contract",))
    def heartbeat(self, call: Call) -> Reply:
        """1 is available, 0 is not."""
        return _contract(call, self._beating(1))

    @staticmethod
    def _beating(beat: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for kind in ("", "swap_", "option_", "linear_swap_"):
            found |= {f"{kind}heartbeat": beat, f"{kind}estimated_recovery_time": None}
        return found

    # -- spot, public

    @route("GET", "/v1/common/symbols", groups=("spot",))
    @route("GET", "/v1/settings/common/symbols", groups=("spot",))
    def symbols(self, _call: Call) -> Reply:
        """HTX docs, get all supported trading symbols."""
        return _ok([_spot_market(name, pair) for name, pair in SPOT.items()])

    @route("GET", "/v2/settings/common/symbols", groups=("spot",))
    def settings(self, call: Call) -> Reply:
        """The same in the short names of settings v2."""
        rows = [_spot_setting(name, pair) for name, pair in SPOT.items()]
        return as_json({"status": "ok", "data": rows, "ts": str(call.now_ms), "full": 1})

    @route("GET", "/v1/common/currencys", groups=("spot",))
    def coins(self, _call: Call) -> Reply:
        """Names of all coins."""
        return _ok(["usdt", *(pair.base.lower() for pair in PAIRS)])

    @route("GET", "/v2/reference/currencies", groups=("spot",))
    def currencies(self, _call: Call) -> Reply:
        """HTX docs, chains information."""
        return as_json({"code": 200, "data": [_coin(coin) for coin in ("USDT", *(pair.base for pair in PAIRS))]})

    @route("GET", "/market/tickers", groups=("spot",))
    def tickers(self, call: Call) -> Reply:
        """24 hours of all pairs."""
        rows = [{"symbol": name, **_day(pair, call)} for name, pair in SPOT.items()]
        return as_json({"status": "ok", "ts": call.now_ms, "data": rows})

    @route("GET", "/market/detail/merged", groups=("spot",))
    def merged(self, call: Call) -> Reply:
        """24 hours of one pair with best bid and ask."""
        return self._merged(call, SPOT, "symbol", _words("invalid-parameter", "invalid symbol"))

    @route("GET", "/linear-swap-ex/market/detail/merged", groups=("contract",))
    def contract_merged(self, call: Call) -> Reply:
        """The same for one contract."""
        return self._merged(call, CONTRACTS, "contract_code", _error(call, 1332, "", "The contract doesn't exist."))

    @staticmethod
    def _merged(call: Call, known: Mapping[str, Pair], parameter: str, wrong: Reply) -> Reply:
        name = call.params.get(parameter, "")
        pair = known.get(name)
        if pair is None:
            return wrong
        price = float(price_at(pair, call.now_ms))
        tick = {**_day(pair, call), "id": call.now_ms, "bid": [price, 1.5], "ask": [price + float(pair.price_step), 1]}
        return as_json({"ch": f"market.{name}.detail.merged", "status": "ok", "ts": call.now_ms, "tick": tick})

    @route("GET", "/market/history/kline", groups=("spot",))
    @route("GET", "/market/history/candles", groups=("spot",))
    def klines(self, call: Call) -> Reply:
        """Candles newest first (HTX docs, get klines): the latest, at most 2000.

        No document tells of `candles`, which hears `from` and `to` in seconds and gives 1000 at most (ccxt).
        """
        return self._klines(call, SPOT, "symbol", _words("invalid-parameter", "invalid symbol"))

    @route("GET", "/linear-swap-ex/market/history/kline", groups=("contract",))
    def contract_klines(self, call: Call) -> Reply:
        """Candles of a contract, oldest first; at most 2000. A size puts `from` and `to` out of account (HTX docs)."""
        return self._klines(call, CONTRACTS, "contract_code", _error(call, 1332, "", "The contract doesn't exist."))

    @staticmethod
    def _klines(call: Call, known: Mapping[str, Pair], parameter: str, wrong: Reply) -> Reply:
        params = call.params
        pair, minutes = known.get(params.get(parameter, "")), _STEPS.get(params.get("period", ""))
        if pair is None:
            return wrong
        if minutes is None:
            return _error(call, 1032, "invalid-parameter", "invalid period")
        size, start, end = (_number(params.get(name)) for name in ("size", "from", "to"))
        most = 1000 if call.path.endswith("candles") else 2000
        timeless = bool(size) if parameter == "contract_code" else most == 2000
        first, last = (None if timeless or not at else int(at) * 1000 for at in (start, end))
        count = min(most, max(1, int(size))) if size else 150 if first is None else most
        # Its days begin in Beijing (ccxt pull request 17783).
        step, east = minutes * MINUTE_MS, BEIJING_MS
        found = candles(pair, step, call.now_ms, start_ms=first, end_ms=last, limit=count, east_ms=east)
        rows = [
            {
                "id": c.open_ms // 1000, "open": float(c.open), "close": float(c.close), "low": float(c.low),
                "high": float(c.high), "amount": float(c.volume), "vol": float(c.turnover), "count": 100,
            }
            for c in (found if parameter == "contract_code" else reversed(found))
        ]  # fmt: skip
        channel = f"market.{params[parameter]}.kline.{params['period']}"
        return as_json({"ch": channel, "status": "ok", "ts": call.now_ms, "data": rows})

    # -- spot, signed

    @route("GET", "/v2/user/uid", groups=("spot",), scopes=(READ,))
    def uid(self, call: Call) -> Reply:
        """The account's number."""
        return as_json({"code": 200, "data": call.who.uid})

    @route("GET", "/v2/user/api-key", groups=("spot",), scopes=(READ,))
    def api_key(self, call: Call) -> Reply:
        """Keys of a user; without `accessKey` all of them (HTX docs, API key query).

        Documented for parent users; that a sub-user may read about itself was chosen.
        """
        account, params = call.who, call.params
        if not params.get("uid"):
            return _error(call, 2003, "", "missing mandatory field: uid")
        if params["uid"] != str(account.uid):
            return _error(call, 1002, "", "forbidden")
        asked = params.get("accessKey")
        if asked and asked != account.api_key:
            return _data([])
        end = self.expires_ms(account)
        report: dict[str, object] = {
            "accessKey": account.api_key,
            "status": "normal",
            "note": account.label,
            "permission": ",".join(account.permissions),
            "ipAddresses": ",".join(account.ip_whitelist),
            "validDays": -1 if end is None else math.ceil((end - call.now_ms) / DAY_MS),
            "createTime": CREATED_MS,
            "updateTime": CREATED_MS,
        }
        report |= account.report
        report = {name: value for name, value in report.items() if name not in account.omit}
        other = sample_hex(34, "htx other key", account.name)
        another = {
            **report, "accessKey": "-".join((other[:8], other[8:16], other[16:24], other[24:])), "note": "another",
            "permission": "readOnly,withdraw", "ipAddresses": "203.0.113.7", "validDays": 7,
        }  # fmt: skip
        return _data([report] if asked else [another, report])

    @route("GET", "/v1/account/accounts", groups=("spot",), scopes=(READ,))
    def accounts_of(self, call: Call) -> Reply:
        """The spot account is not the first."""
        state = "lock" if "locked" in call.who.mode.split() else "working"
        rows = ((_number_of(call.who, kind), kind) for kind in ("point", "spot"))
        return _ok([{"id": number, "type": kind, "subtype": "", "state": state} for number, kind in rows])

    @route("GET", "/v1/account/accounts/{}/balance", groups=("spot",), scopes=(READ,))
    def balance(self, call: Call) -> Reply:
        """Two rows for each coin: what can be traded and what is frozen."""
        who = call.who
        kind = next((kind for kind in ("spot", "point") if call.segment == str(_number_of(who, kind))), None)
        if kind is None:
            words = f"Account for id `{call.segment}` and user id `{who.uid}` does not exist"
            return _words("account-get-balance-account-inexistent-error", words)
        held = who.spot.items() if kind == "spot" else ()
        rows = [
            {"currency": coin.lower(), "type": part, "balance": amount if part == "trade" else "0", "seq-num": "477"}
            for coin, amount in held
            for part in ("trade", "frozen")
        ]
        state = "lock" if "locked" in who.mode.split() else "working"
        return _ok({"id": int(call.segment), "type": kind, "state": state, "list": rows})

    @route("GET", "/v1/order/openOrders", groups=("spot",), scopes=(READ,))
    @route("GET", "/v1/order/orders", groups=("spot",), scopes=(READ,))
    @route("GET", "/v1/order/history", groups=("spot",), scopes=(READ,))
    @route("GET", "/v1/order/matchresults", groups=("spot",), scopes=(READ,))
    def orders(self, call: Call) -> Reply:
        """Open ones; no closed ones and no trades. An account number must be the caller's own."""
        params = call.params
        if params.get("symbol") and params["symbol"] not in SPOT:
            return _words("invalid-parameter", "invalid symbol")
        if params.get("account-id") and params["account-id"] != str(_number_of(call.who, "spot")):
            return _words("invalid-parameter", "account-id is invalid")
        names = call.who.spot_orders if call.path.endswith("/openOrders") else ()
        return _ok([_open_order(call, name) for name in names if params.get("symbol") in (None, "", name)])

    @route("GET", "/v1/query/deposit-withdraw", groups=("spot",), scopes=(READ,))
    def money_history(self, call: Call) -> Reply:
        """Deposits or withdrawals: none; `type` is required."""
        if call.params.get("type") not in ("deposit", "withdraw"):
            return _words("validation-constraints-required", "Field is missing: type.")
        return _ok([])

    @route("GET", "/v2/account/withdraw/address", groups=("spot",), scopes=(READ,))
    def withdraw_addresses(self, call: Call) -> Reply:
        """Saved withdrawal addresses: none; `currency` is required."""
        if not call.params.get("currency"):
            return _error(call, 2003, "", "missing mandatory field: currency")
        return as_json({"code": 200, "data": [], "next-id": 0})

    @route("GET", "/v2/sub-user/user-list", groups=("spot",), scopes=(READ,))
    def sub_users(self, call: Call) -> Reply:
        """For parent users only."""
        return _error(call, 1002, "", "forbidden") if call.who.is_sub else as_json({"code": 200, "data": []})

    @route("GET", "/v2/reference/transact-fee-rate", groups=("spot",), scopes=(READ,))
    def fee_rates(self, call: Call) -> Reply:
        """HTX docs, current fee rate applied to the user: of at most 10 pairs. What is paid is the actual rate."""
        names = [name for name in call.params.get("symbols", "").split(",") if name]
        if not names:
            return _error(call, 2003, "", "missing mandatory field: symbols")
        if len(names) > 10 or not all(name in SPOT for name in names):
            return _error(call, 2002, "", "invalid field value in `symbols`")
        maker, taker = call.who.spot_fees
        rates = {"makerFeeRate": BASE_FEE, "takerFeeRate": BASE_FEE, "actualMakerRate": maker, "actualTakerRate": taker}
        return as_json({"code": 200, "data": [{"symbol": name, **rates} for name in names], "success": True})

    # -- contracts

    @route("GET", "/linear-swap-api/v1/swap_contract_info", groups=("contract",))
    def contract_info(self, call: Call) -> Reply:
        """HTX docs, query contract info: linear."""
        asked = call.params.get("contract_code")
        if asked and asked not in CONTRACTS:
            return _error(call, 1332, "", "The contract doesn't exist.")
        return _contract(
            call, [_contract_market(pair) for name, pair in CONTRACTS.items() if asked in (None, "", name)]
        )

    @route("GET", "/linear-swap-api/v1/swap_adjustfactor", groups=("contract",))
    def adjust_factors(self, call: Call) -> Reply:
        """HTX docs, query info on tiered adjustment factor: for each leverage, sizes in contracts."""
        asked = call.params.get("contract_code")
        if asked and asked not in CONTRACTS:
            return _error(call, 1332, "", "The contract doesn't exist.")
        return _contract(call, [_factors(pair) for name, pair in CONTRACTS.items() if asked in (None, "", name)])

    @route("GET", "/swap-api/v1/swap_contract_info", groups=("contract",))
    def coin_margined_swaps(self, call: Call) -> Reply:
        """Contracts that are margined and settled in coins."""
        return _contract(call, [_coin_margined(pair) for pair in PAIRS])

    @route("GET", "/api/v1/contract_contract_info", groups=("contract",))
    def coin_margined_futures(self, call: Call) -> Reply:
        """The same with a day of delivery."""
        day = datetime.fromtimestamp(self.started_ms / 1000 + 90 * 86_400, UTC).replace(hour=8, minute=0, second=0)
        delivery: dict[str, object] = {
            "contract_type": "quarter",
            "delivery_date": f"{day:%Y%m%d}",
            "delivery_time": str(int(day.timestamp()) * 1000),
        }
        rows = [{**_coin_margined(pair), **delivery, "contract_code": f"{pair.base}{day:%y%m%d}"} for pair in PAIRS]
        return _contract(call, rows)

    @route("GET", "/v5/account/balance", groups=("contract",), scopes=(READ,))
    def contract_balance(self, call: Call) -> Reply:
        """Balance of USDT-margined contracts (HTX docs, account balance)."""
        held = call.who.futures
        total = held.get("USDT", "0")
        none = dict.fromkeys(("initial_margin", "maintenance_margin", "maintenance_margin_rate", "profit_unreal"), "0")
        times = {"created_time": CREATED_MS, "updated_time": call.now_ms}
        rows = [
            {"currency": coin, "equity": amount, "available": amount, "available_margin": amount,
             "withdraw_available": amount, "initial_margin_rate": "0", "voucher": "", "voucher_value": "", **none,
             **times}
            for coin, amount in held.items()
        ]  # fmt: skip
        whole = {"state": "normal", "equity": total, "available_margin": total, "voucher_value": "", **none, **times}
        return _v5(call, {**whole, "details": rows})

    @route("GET", "/v5/account/asset_mode", groups=("contract",), scopes=(READ,))
    def asset_mode(self, call: Call) -> Reply:
        """0 is one asset for each contract."""
        return _v5(call, {"asset_mode": 0})

    @route("GET", "/v5/trade/order/opens", groups=("contract",), scopes=(READ,))
    @route("GET", "/v5/trade/order/history", groups=("contract",), scopes=(READ,))
    @route("GET", "/v5/trade/order/details", groups=("contract",), scopes=(READ,))
    @route("GET", "/v5/trade/position/opens", groups=("contract",), scopes=(READ,))
    @route("GET", "/v5/algo/order/opens", groups=("contract",), scopes=(READ,))
    def contract_orders(self, call: Call) -> Reply:
        """Open ones; no closed ones, trigger orders or positions."""
        name = call.params.get("contract_code")
        if name and name not in CONTRACTS:
            return _error(call, 1332, "", "The contract doesn't exist.")
        names = call.who.futures_orders if call.path == "/v5/trade/order/opens" else ()
        return _v5(call, [_contract_order(call, one) for one in names if name in (None, "", one)])

    # These read, though they are asked with POST: no order and no balance changes.
    @route("POST", "/linear-swap-api/v1/swap_fee", groups=("contract",), scopes=(READ,), dry_run=True)
    def contract_fees(self, call: Call) -> Reply:
        """HTX docs, query information on contract trading fee: perpetual contracts, all or one."""
        asked = call.data or {}
        name = asked.get("contract_code") or asked.get("pair")
        if name and name not in CONTRACTS:
            return _error(call, 1332, "", "The contract doesn't exist.")
        if asked.get("business_type", "swap") == "futures":
            return _contract(call, [])
        fees = call.who.futures_fees
        return _contract(call, [_fees(one, pair, fees) for one, pair in CONTRACTS.items() if name in (None, "", one)])

    @route("POST", "/api/v1/contract_account_info", groups=("contract",), scopes=(READ,), dry_run=True)
    @route("POST", "/swap-api/v1/swap_account_info", groups=("contract",), scopes=(READ,), dry_run=True)
    def coin_balance(self, call: Call) -> Reply:
        """Balance of coin-margined contracts: nothing."""
        zero = ("margin_balance", "margin_position", "margin_frozen", "margin_available", "profit_real")
        row: dict[str, object] = {"symbol": "BTC", **dict.fromkeys((*zero, "profit_unreal", "withdraw_available"), 0)}
        return _contract(call, [row])


def _lower_escaped(query: str) -> bool:
    """Whether anything but the signature, which is not signed, is encoded with lower-case digits."""
    pieces = (piece for piece in query.split("&") if not piece.startswith("Signature="))
    return any(_LOWER_ESCAPE.search(piece) for piece in pieces)


def _number_of(account: Account, kind: str) -> int:
    """The number of one of a user's accounts."""
    return int(hashlib.sha256(f"{account.name} {kind}".encode()).hexdigest()[:6], 16) + 10_000_000


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _open_order(call: Call, name: str) -> dict[str, object]:
    """HTX docs, get all open orders."""
    return {
        "id": 357_632_718_898_331, "client-order-id": "a1", "symbol": name, "account-id": _number_of(call.who, "spot"),
        "amount": "10.000000000000000000", "price": "1.000000000000000000", "created-at": call.now_ms - 60_000,
        "type": "buy-limit", "filled-amount": "0.0", "filled-cash-amount": "0.0", "filled-fees": "0.0",
        "source": "api", "state": "submitted",
    }  # fmt: skip


def _contract_order(call: Call, name: str) -> dict[str, object]:
    """HTX docs, contracts v5, query current open orders."""
    at = str(call.now_ms - 60_000)
    return {
        "id": "1362045259389796352", "contract_code": name, "side": "buy", "position_side": "both", "type": "limit",
        "price_match": "", "order_id": "1362045259389796352", "client_order_id": "", "margin_mode": "cross",
        "price": "1", "volume": "10", "lever_rate": 5, "state": "new", "order_source": "api", "reduce_only": False,
        "time_in_force": "gtc", "trade_avg_price": "0", "trade_volume": "0", "trade_turnover": "0", "fee": "0",
        "fee_currency": "USDT", "profit": "0", "contract_type": "swap", "created_time": at, "updated_time": at,
    }  # fmt: skip


def _spot_market(name: str, pair: Pair) -> dict[str, object]:
    return {
        "symbol": name, "state": "online" if pair.open else "suspend", "base-currency": pair.base.lower(),
        "quote-currency": pair.quote.lower(),
        "price-precision": _places(pair.price_step), "amount-precision": _places(pair.size_step),
        "symbol-partition": "main", "value-precision": 8,
        **({} if pair.terse else {"min-order-amt": float(pair.size_step), "min-order-value": 10}),
        "max-order-amt": 10_000, "limit-order-min-order-amt": float(pair.size_step),
        "limit-order-max-order-amt": 10_000, "sell-market-min-order-amt": float(pair.size_step),
        "sell-market-max-order-amt": 1000, "buy-market-max-order-value": 1_000_000,
        "api-trading": "enabled" if pair.by_api else "disabled",
        "tags": "",
    }  # fmt: skip


def _spot_setting(name: str, pair: Pair) -> dict[str, object]:
    return {
        "sc": name, "dn": pair.join("/"), "bc": pair.base.lower(), "bcdn": pair.base, "qc": pair.quote.lower(),
        "qcdn": pair.quote, "state": "online", "whe": False, "cd": False, "te": True, "toa": 1_514_779_200_000,
        "sp": "main", "w": 999_400_000, "ttp": _places(pair.price_step), "tap": _places(pair.size_step),
        "tpp": _places(pair.price_step), "fp": 8, "tags": "", "d": None, "elr": None,
    }  # fmt: skip


def _coin(coin: str) -> dict[str, object]:
    name = {"USDT": "trc20usdt"}.get(coin, coin.lower())
    chain: dict[str, object] = {
        "chain": name, "displayName": coin, "baseChain": "", "baseChainProtocol": "", "isDynamic": False,
        "depositStatus": "allowed", "maxTransactFeeWithdraw": "1", "maxWithdrawAmt": "280000.000000000000000000",
        "minDepositAmt": "0.1", "minTransactFeeWithdraw": "0.1", "minWithdrawAmt": "0.01", "numOfConfirmations": 6,
        "numOfFastConfirmations": 3, "withdrawFeeType": "fixed", "transactFeeWithdraw": "0.001",
        "withdrawPrecision": 8, "withdrawQuotaPerDay": "280000", "withdrawQuotaPerYear": "2800000",
        "withdrawQuotaTotal": "2800000", "withdrawStatus": "allowed",
    }  # fmt: skip
    return {"currency": coin.lower(), "assetType": 1, "chains": [chain], "instStatus": "normal"}


def _day(pair: Pair, call: Call) -> dict[str, Any]:
    price, before = price_at(pair, call.now_ms), price_at(pair, call.now_ms - DAY_MS)
    return {
        "open": float(before), "close": float(price), "high": float(max(price, before)),
        "low": float(min(price, before)), "amount": 1200.5, "vol": float(price * 1200), "count": 9000,
        "bid": float(price), "bidSize": 1.5, "ask": float(price + pair.price_step), "askSize": 1.2,
    }  # fmt: skip


def _contract_market(pair: Pair) -> dict[str, object]:
    name = pair.join("-")
    return {
        "symbol": pair.base, "contract_code": name, "contract_size": float(pair.contract_size),
        "price_tick": float(pair.price_step), "delivery_date": "", "delivery_time": "", "create_date": "20201021",
        "contract_status": 1 if pair.open else 3, "settlement_date": "1615192704000", "support_margin_mode": "all",
        "business_type": "swap", "pair": name, "contract_type": "swap", "trade_partition": pair.quote,
    }  # fmt: skip


def _factors(pair: Pair) -> dict[str, object]:
    name = pair.join("-")
    ladders = ((0, 9_999, 0.4), (10_000, 49_999, 0.5), (50_000, None, 0.6))
    rows = [
        {"lever_rate": rate, "ladders": [
            {"ladder": number, "min_size": least, "max_size": most, "adjust_factor": factor}
            for number, (least, most, factor) in enumerate(ladders)
        ]}
        for rate in (20, 10, 5, 1)
    ]  # fmt: skip
    return {
        "symbol": pair.base, "contract_code": name, "margin_mode": "isolated", "trade_partition": pair.quote,
        "list": rows, "business_type": "swap", "contract_type": "swap", "pair": name,
    }  # fmt: skip


def _fees(name: str, pair: Pair, fees: tuple[str, str]) -> dict[str, str]:
    maker, taker = fees
    return {
        "symbol": pair.base, "contract_code": name, "open_maker_fee": maker, "open_taker_fee": taker,
        "close_maker_fee": maker, "close_taker_fee": taker, "fee_asset": pair.quote, "delivery_fee": "0",
        "business_type": "swap", "contract_type": "swap", "pair": name,
    }  # fmt: skip


def _coin_margined(pair: Pair) -> dict[str, object]:
    return {
        "symbol": pair.base, "contract_code": f"{pair.base}-USD", "contract_size": 100 if pair.base == "BTC" else 10,
        "price_tick": float(pair.price_step), "create_date": "20200325", "contract_status": 1, "delivery_time": "",
        "settlement_date": "1615192704000",
    }  # fmt: skip


EXCHANGE = Htx
