"""Gate.io. Sources: the official API v4 documents and SDKs, ccxt 4.5.90.

No documented word stands for the right to withdraw, so nobody can know it of a key: always unknown, unless a word that
names it appears. Two calls tell about a key: one its addresses and pairs, the other its rights, in two shapes that
contradict each other. A refused address and a missing right share the label FORBIDDEN; only the sentence tells.
Gate EU tells its time to signed calls only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    Answer,
    Call,
    CountedFrom,
    ErrorRule,
    Exchange,
    ExpiryRule,
    Field,
    Guide,
    Limit,
    Refusal,
    Region,
    Right,
    Role,
    address_list,
    free_balances,
    grants_from_words,
    positive_int,
    text_or_none,
)
from bfai.i18n import N_
from bfai.model import Cause, Environment, Evidence, Grant, GrantState, KeyReport, Market, Permission

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)
NORMAL, LOCKED, FROZEN = 1, 2, 3
_PROBED = Grant(state=GrantState.GRANTED, evidence=Evidence.PROBED)
_NO_RIGHT = r"does not have (?:\S+ ){0,4}permission|no permission|permission denied"
DETAIL, MAIN_KEYS = "/api/v4/account/detail", "/api/v4/account/main_keys"


def _lacks(group: str) -> str:
    return rf"does not have \W{{0,3}}(?:{group})\b.{{0,20}} permission"


def _read(
    role: Role, host: str, path: str, implicit: str, purpose: str, market: Market | None, word: str, **params: str
) -> Call:
    return Call(
        role,
        "GET",
        host,
        path,
        implicit,
        purpose,
        market,
        params=params,
        right=Permission.READ,
        word=word,
        pool="account" if role is Role.KEY_INFO else "trade",
    )


def _group(word: str, box: str, grants: tuple[Permission, ...] = (), needed_for: tuple[Market, ...] = ()) -> Right:
    """A group of the key page, with the right to write. Without it the same group only reads."""
    return Right(word, f"{box}: Read And Write", grants, needed_for)


def _reading(word: str, box: str) -> Right:
    return Right(f"{word} (read only)", box, (Permission.READ,), shown=False)


_GROUPS = {
    "spot": "Spot/Margin",
    "futures": "Perpetual Futures",
    "account": "Account",
    "wallet": "Wallet",
    "delivery": "Delivery Futures",
    "margin": "Margin",
    "unified": "Unified Account",
    "options": "Options",
    "earn": "Earn",
    "loan": "Loan",
    "copy": "Copy Trading",
    "custody": "Custody",
    "pilot": "Pilot",
    "otc": "OTC",
    "alpha": "Alpha",
    "crossx": "CrossEx",
    "quant": "Bots",
    "rebate": "Rebate",
}


class Gate(Exchange):
    id = "gate"
    name = "Gate.io"
    ccxt_id = "gate"
    rights_fields = frozenset({"perms"})
    host_pattern = r"\bgate(?:io|eu|\.io|\.com)?\b(?!way)|gateapi|X-Gate-"
    body_pattern = r'"label"\s*:\s*"[A-Z_]+"'
    fields = (
        Field("api_key", "API Key", r"[0-9a-f]{32}", N_("32 characters, 0-9 and a-f")),
        Field("secret", "API Secret", r"[0-9a-f]{64}", N_("64 characters, 0-9 and a-f")),
    )
    regions = (
        Region("global", "Gate.io", {"api": "api.gateio.ws", "futures": "api.gateio.ws", "clock": "api.gateio.ws"}),
        # Futures calls of ccxt's class for Gate EU would go to the global company: they have no host here.
        Region("eu", "Gate EU", {"api": "api.gateeu.com", "clock": "api.gateeu.com"}, markets=SPOT),
    )
    tests = MappingProxyType(
        {
            Environment.TESTNET: Region(
                "testnet",
                "Gate.io testnet",
                dict.fromkeys(("api", "futures", "clock"), "api-testnet.gateapi.io"),
            )
        }
    )
    calls = (
        Call(
            Role.TIME,
            "GET",
            "clock",
            "/api/v4/spot/time",
            "publicSpotGetTime",
            N_("read the exchange's clock"),
            signed=False,
            pool="public",
        ),
        _read(
            Role.KEY_INFO,
            "api",
            DETAIL,
            "privateAccountGetDetail",
            N_("read the addresses and pairs of the key"),
            None,
            "account",
        ),
        _read(
            Role.KEY_INFO,
            "api",
            MAIN_KEYS,
            "privateAccountGetMainKeys",
            N_("read what the key may do"),
            None,
            "account",
        ),
        _read(
            Role.BALANCE,
            "api",
            "/api/v4/spot/accounts",
            "privateSpotGetAccounts",
            N_("read the spot balance"),
            Market.SPOT,
            "spot",
        ),
        _read(
            Role.ORDERS,
            "api",
            "/api/v4/spot/open_orders",
            "privateSpotGetOpenOrders",
            N_("read the open spot orders"),
            Market.SPOT,
            "spot",
        ),
        _read(
            Role.BALANCE,
            "futures",
            "/api/v4/futures/usdt/accounts",
            "privateFuturesGetSettleAccounts",
            N_("read the futures balance"),
            Market.FUTURES,
            "futures",
            settle="usdt",
        ),
        _read(
            Role.ORDERS,
            "futures",
            "/api/v4/futures/usdt/orders",
            "privateFuturesGetSettleOrders",
            N_("read the open futures orders"),
            Market.FUTURES,
            "futures",
            settle="usdt",
            status="open",
        ),
        _read(
            Role.FEES,
            "api",
            "/api/v4/spot/fee",
            "privateSpotGetFee",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            "spot",
            currency_pair="{pair}",
        ),
        _read(
            Role.FEES,
            "futures",
            "/api/v4/futures/usdt/fee",
            "privateFuturesGetSettleFee",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            "futures",
            settle="usdt",
            contract="{pair}",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("maker_fee", "taker_fee"),
            Market.FUTURES: ("*.maker_fee", "*.taker_fee"),
        }
    )
    order_pair_fields = MappingProxyType({Market.SPOT: "currency_pair", Market.FUTURES: "contract"})
    limits = MappingProxyType(
        {
            "public": Limit(200, 10, each=True),
            "account": Limit(150, 10, by="account", each=True),
            "trade": Limit(200, 10, by="account", each=True),
        }
    )
    rights = (
        # Gate parts spot and margin trading by no group: `margin` is the older isolated margin alone.
        _group("spot", _GROUPS["spot"], (Permission.SPOT_TRADE, Permission.MARGIN), SPOT),
        _group("futures", _GROUPS["futures"], (Permission.FUTURES_TRADE,), FUTURES),
        Right("account (read only)", "Account: Read Only", (Permission.READ,), BOTH),
        _group("wallet", _GROUPS["wallet"], (Permission.TRANSFER,)),
        _group("margin", _GROUPS["margin"], (Permission.MARGIN,)),
        *(_group(word, box) for word, box in _GROUPS.items() if word not in ("spot", "futures", "wallet", "margin")),
        Right(
            "sub_accounts",
            "Sub-Account: Read And Write",
            escalation=N_("The key may make and edit keys of sub-accounts."),
            exposes=True,
        ),
        Right("withdrawal", "Withdraw", (Permission.WITHDRAW,), aliases=("withdraw", "withdrawals")),
        *(_reading(word, box) for word, box in _GROUPS.items() if word != "account"),
        Right("sub_accounts (read only)", "Sub-Account", (Permission.READ,), shown=False),
        Right(
            "withdrawal (read only)",
            "Withdraw",
            aliases=("withdraw (read only)", "withdrawals (read only)"),
            shown=False,
        ),
    )
    error_rules = (
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("IP_FORBIDDEN",)),
        ErrorRule(
            (Cause.IP_NOT_ALLOWED,), ("FORBIDDEN", "INVALID_KEY"), r"\bip\b.{0,40}(?:white ?-?list|bound)|request ip"
        ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("READ_ONLY",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("FORBIDDEN",), _lacks("spot"), permission=Permission.SPOT_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING,), ("FORBIDDEN",), _lacks("margin"), permission=Permission.MARGIN),
        ErrorRule(
            (Cause.PERMISSION_MISSING,),
            ("FORBIDDEN",),
            _lacks("futures|delivery|perpetual"),
            permission=Permission.FUTURES_TRADE,
        ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("FORBIDDEN",), _lacks("account"), permission=Permission.READ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("FORBIDDEN", "UNAUTHORIZED"), rf"{_NO_RIGHT}|read[ -]?only"),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED,),
            pattern=r"(?:not|un)[ ]?(?:available|supported|allowed) in your (?:country|region|area|jurisdiction)"
            r"|restricted (?:country|region|area|jurisdiction|location)",
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            ("FORBIDDEN", "INVALID_PARAM_VALUE", "BAD_REQUEST"),
            r"(?:account|user|key)\b.{0,30}\b(?:locked|frozen|banned|disabled|suspended|restricted|abnormal)"
            r"|\bkyc\b|identity verification|risk control",
        ),
        ErrorRule(
            (Cause.PERMISSION_MISSING, Cause.IP_NOT_ALLOWED, Cause.ACCOUNT_RESTRICTED), ("FORBIDDEN",), clear=False
        ),
        ErrorRule((Cause.EXPIRED_KEY, Cause.INVALID_KEY), ("INVALID_KEY", "FORBIDDEN"), r"\bkey\b.{0,20}expired"),
        ErrorRule((Cause.INVALID_KEY, Cause.MALFORMED_CREDENTIALS), ("INVALID_KEY",), r"missing required header"),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT), ("INVALID_KEY",)),
        ErrorRule((Cause.CLOCK_SKEW,), ("REQUEST_EXPIRED",)),
        ErrorRule((Cause.INVALID_KEY, Cause.MALFORMED_CREDENTIALS), ("MISSING_REQUIRED_HEADER",)),
        ErrorRule((Cause.INVALID_SECRET,), ("INVALID_SIGNATURE",)),
        ErrorRule(
            (Cause.INVALID_KEY, Cause.INVALID_SECRET), ("INVALID_CREDENTIALS", "AUTHENTICATION_FAILED", "UNAUTHORIZED")
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("ACCOUNT_LOCKED", "SUB_ACCOUNT_LOCKED", "ACCOUNT_EXCEPTION")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("USER_NOT_FOUND", "TRADE_RESTRICTED", "API_WITHDRAW_DISABLED")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("CROSS_ACCOUNT_NOT_FOUND", "SUB_ACCOUNT_NOT_FOUND")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("KYC_REQUIRED", "RISK_CONTROL", "INELIGIBLE")),
        ErrorRule((Cause.RATE_LIMITED,), ("TOO_MANY_REQUESTS", "TOO_FAST")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("INTERNAL", "SERVER_ERROR", "TOO_BUSY", "MAINTENANCE")),
        # the same sentences without their label, as bots show them
        ErrorRule((Cause.IP_NOT_ALLOWED,), pattern=r"request ip not in white ?-?list"),
        ErrorRule(
            (Cause.PERMISSION_MISSING,), pattern=r"api key does not have (?:\S+ ){0,3}permission|api key is read-only"
        ),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY, Cause.WRONG_ENVIRONMENT), pattern=r"invalid key provided"),
        ErrorRule((Cause.INVALID_SECRET,), pattern=r"signature mismatch"),
        ErrorRule((Cause.CLOCK_SKEW,), pattern=r"gap between request timestamp and server time"),
    )
    guide = Guide(
        key_page="https://www.gate.io/myaccount/apiv4keys",
        steps=(
            N_("Log in at Gate.io, open API Key Management and create an API v4 key."),
            N_("Set Account to Read Only. Only then can the workbench read what the key may do."),
            N_(
                "Set the boxes shown here and no others. Leave Withdraw empty: Gate.io does not tell us later whether "
                "it is."
            ),
            N_("Enter your IP address and confirm with your 2FA code."),
            N_("Copy the API Key and the API Secret."),
        ),
        ip_step=N_("Paste this address into the IP whitelist. Gate.io takes up to 20 single addresses."),
        shown_once=N_("Gate.io shows the API Secret once. Copy it before you close the window."),
        max_ips=20,
        sub_accounts=N_("A key of a sub-account cannot withdraw at all: a good choice for a bot."),
        takes_ipv6=False,
        refusals=(
            Refusal(403, '{"label":"FORBIDDEN","message":"Request IP not in whitelist: 203.0.113.7"}'),
            Refusal(403, '{"label":"FORBIDDEN","message":"Request API key does not have spot permission"}'),
            Refusal(403, '{"label":"READ_ONLY","message":"API key is read-only"}'),
            Refusal(401, '{"label":"INVALID_KEY","message":"Invalid key provided"}'),
            Refusal(401, '{"label":"INVALID_SIGNATURE","message":"Signature mismatch"}'),
            Refusal(
                400,
                '{"label":"USER_NOT_FOUND","message":"please transfer funds first to create futures account"}',
                N_("Move a small amount to your futures account at {exchange}: only then does it exist."),
            ),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            90,
            CountedFrom.CREATION,
            N_("Without an IP address a Gate.io key expires 90 days after it was made. With one it does not expire."),
            "Gate help centre, article 17521; the API documents name no end",
        ),
    )

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return text_or_none(body.get("label"))

    def error_words(self, body: Mapping[str, Any]) -> str:
        return text_or_none(body.get("message")) or text_or_none(body.get("detail")) or ""

    def succeeded(self, answer: Answer) -> bool:
        body: object = answer.json
        if _date_of_eu(answer) is not None:
            return True
        if answer.status is None or not 200 <= answer.status < 300 or "label" in answer.object:
            return False
        path, rows, fields = answer.call.path if answer.call else "", _rows(body), answer.object
        all_keys = bool(rows) and path != DETAIL and all("perms" in row for row in rows or ())
        shapes: Mapping[str, bool] = {
            Role.TIME: positive_int(fields.get("server_time")) is not None,
            Role.KEY_INFO: all_keys or self.read_report(body) is not None,
            Role.BALANCE: "available" in fields or (rows is not None and all("currency" in row for row in rows)),
            Role.ORDERS: rows is not None,
        }
        return shapes.get(answer.role, bool(fields) or rows is not None)

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("server_time")) or _date_of_eu(answer)

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at
        fields = _own(body, api_key)
        if "label" in fields:
            return None
        if "perms" in fields:
            report = self._from_groups(fields["perms"])
        elif "user_id" in fields and isinstance(fields.get("key"), dict):
            report = KeyReport(grants={Permission.READ: _PROBED})
        else:
            return None
        user, pairs = fields.get("user_id"), fields.get("currency_pairs")
        return report.model_copy(
            update={
                "ip_restriction": address_list(fields.get("ip_whitelist")),
                "account_id": str(user) if positive_int(user) is not None else None,
                "label": text_or_none(fields.get("name")),
                "pairs": _pairs(pairs),
                "created_at": _time(fields.get("created_at")),
            }
        )

    def _from_groups(self, perms: object) -> KeyReport:
        """Each group with its right to write, or `read only`. What cannot be read leaves everything open."""
        items = cast("list[object]", perms) if isinstance(perms, list) else []
        words: list[str] = []
        whole = bool(items)
        for item in items:
            entry = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
            name, read_only = entry.get("name"), entry.get("read_only")
            if not isinstance(name, str) or not name.strip() or not isinstance(read_only, bool):
                whole = False
                words.append(f"{str(name)[:40] if name else ''} (?)".strip())
                continue
            word = name.strip().lower()
            words.append(f"{word} (read only)" if read_only else word)
        report = grants_from_words(self, words, whole=whole)
        named = tuple(word for word in report.unknown_words if "withdraw" in word.lower() and "(" not in word)
        if named:
            granted = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=named)
            report = report.with_grant(Permission.WITHDRAW, granted)
        elif (
            report.state(Permission.WITHDRAW) is not GrantState.GRANTED
        ):  # no documented word: its absence says nothing
            report = report.with_grant(Permission.WITHDRAW, Grant())
        if report.state(Permission.READ) is not GrantState.GRANTED:  # every group reads, and this call was a read
            readable = tuple(word for word in words if "(?)" not in word)
            declared = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=readable)
            report = report.with_grant(Permission.READ, declared if readable else _PROBED)
        return report

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        del market
        state = positive_int(_own(body, None).get("state"))
        return Cause.ACCOUNT_RESTRICTED if state in (LOCKED, FROZEN) else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        if market is Market.SPOT:
            return free_balances(answer.json, "currency", "available")
        return free_balances([answer.object], "currency", "available")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        rows = answer.json
        if not isinstance(rows, list):
            return None
        items = cast("list[object]", rows)
        if market is Market.FUTURES:
            return len(items)
        totals = [
            positive_int(cast("dict[str, Any]", item).get("total")) if isinstance(item, dict) else None
            for item in items
        ]
        return sum(total or 0 for total in totals)


def _date_of_eu(answer: Answer) -> int | None:
    """Gate EU tells its time to signed calls only. Its refusal has the date of the web server, to the second (ms)."""
    refused = answer.status == 401 and "missing required header" in answer.body.lower()
    if answer.call is None or answer.call.role is not Role.TIME or not refused:
        return None
    date = next((value for name, value in answer.headers.items() if name.lower() == "date"), "")
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000) + 500
    except ValueError:
        return None


def _own(body: object, api_key: str | None) -> dict[str, Any]:
    """The object about the calling key. In a list of all keys of the account, the one that shows its beginning."""
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        anothers = isinstance(fields.get("key"), str) and api_key is not None and not _begins(fields["key"], api_key)
        return {} if anothers else fields
    items = _rows(body) or []
    if api_key is not None:
        items = [item for item in items if _begins(item.get("key"), api_key)]
    return items[0] if len(items) == 1 else {}


def _rows(body: object) -> list[dict[str, Any]] | None:
    """A list of JSON objects, or None where it is anything else."""
    items = cast("list[object]", body) if isinstance(body, list) else [None]
    rows = [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
    return rows if len(rows) == len(items) else None


def _begins(shown: object, api_key: str) -> bool:
    """`c5dcfbf1f3a7*****` shows twelve characters."""
    begin = shown.partition("*")[0] if isinstance(shown, str) else ""
    return len(begin) >= 8 and api_key.startswith(begin)


def _pairs(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    names = [item for item in cast("list[object]", value) if isinstance(item, str) and item]
    return tuple(names) or None


def _time(value: object) -> datetime | None:
    seconds = positive_int(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None


EXCHANGE = Gate()
