"""Bybit. Sources: the official v5 documents (repository bybit-exchange/docs) and ccxt 4.5.90.

`readOnly: 1` outweighs every right that is listed beside it, and `1970-01-01` means that the key does not end. A key
with a right to transfer may edit itself. One read, `query-address`, needs the right to withdraw, so its success proves
that right. A page of CloudFront with status 403 and code 10009 both mean the country, which ccxt takes for a rate limit
and for a wrong key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
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
    Region,
    Right,
    Role,
    address_list,
    free_balances,
    grants_from_words,
    positive_int,
    same_key,
    text_or_none,
)
from bfai.i18n import N_
from bfai.model import (
    Cause,
    Environment,
    Evidence,
    ExpiryEvidence,
    Grant,
    GrantState,
    KeyReport,
    Market,
    Permission,
)

SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)
NO_END = "1970-01-01T00:00:00Z"
SELF_EDITING = N_("With a right to transfer the key may change its own rights, and those of sub-account keys.")
SELF_UNBINDING = N_("With a right to transfer a sub-account key may change its own rights and its list of addresses.")
LEAVING = N_("By peer-to-peer trade, card or payment value can leave the account without a withdrawal.")


def _site(id_: str, name: str, host: str, markets: tuple[Market, ...] = BOTH) -> Region:
    """Everywhere one host serves trading ("api") and what only real accounts have ("user")."""
    return Region(id_, name, {"api": host, "user": host}, markets=markets)


def _leaving(word: str, box: str, *aliases: str) -> Right:
    return Right(word, box, aliases=aliases, escalation=LEAVING, shown=False)


class Bybit(Exchange):
    id = "bybit"
    name = "Bybit"
    ccxt_id = "bybit"
    host_pattern = r"\bbybit(?:eu|id)?\b|\bbytick\b|X-BAPI-|/v5/(?:user|account|order|market|asset)/"
    body_pattern = r'"retCode"\s*:'
    fields = (
        Field("api_key", "API Key", r"[A-Za-z0-9]{18}", N_("18 letters and digits")),
        Field("secret", "API Secret", r"[A-Za-z0-9]{36}", N_("36 letters and digits"), pem=True),
    )
    regions = (
        _site("global", "Bybit", "api.bybit.com"),
        _site("eu", "Bybit EU", "api.bybit.eu", SPOT),
        _site("nl", "Bybit Netherlands", "api.bybit.nl"),
        _site("tr", "Bybit Türkiye", "api.bybit.tr"),
        _site("kz", "Bybit Kazakhstan", "api.bybit.kz"),
        _site("ge", "Bybit Georgia", "api.bybitgeorgia.ge"),
        _site("ae", "Bybit UAE", "api.bybit.ae"),
        _site("id", "Bybit Indonesia", "api.bybit.id"),
        _site("jp", "Bybit Japan", "api.manepa.jp"),
    )
    tests = MappingProxyType(
        {
            Environment.TESTNET: _site("testnet", "Bybit testnet", "api-testnet.bybit.com"),
            # Demo accounts have no report on a key and no withdrawals.
            Environment.DEMO: Region("demo", "Bybit demo trading", {"api": "api-demo.bybit.com"}),
        }
    )
    calls = (
        Call(
            Role.TIME,
            "GET",
            "api",
            "/v5/market/time",
            "publicGetV5MarketTime",
            N_("read the exchange's clock"),
            signed=False,
            pool="address",
        ),
        Call(
            Role.SERVICE,
            "GET",
            "api",
            "/v5/system/status",
            "publicGetV5SystemStatus",
            N_("ask whether trading is open"),
            signed=False,
            pool="address",
            share_seconds=10.0,
        ),
        Call(
            Role.KEY_INFO,
            "GET",
            "user",
            "/v5/user/query-api",
            "privateGetV5UserQueryApi",
            N_("read what the key may do"),
            right=Permission.READ,
            pool="ten",
        ),
        Call(
            Role.PROBE,
            "GET",
            "user",
            "/v5/asset/withdraw/query-address",
            "privateGetV5AssetWithdrawQueryAddress",
            N_("ask for a list that only a key with the right to withdraw may read"),
            right=Permission.WITHDRAW,
            word="Withdraw",
            pool="five",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "api",
            "/v5/account/wallet-balance",
            "privateGetV5AccountWalletBalance",
            N_("read the balance of the unified account"),
            params={"accountType": "UNIFIED"},
            right=Permission.READ,
            pool="fifty",
        ),
        Call(
            Role.ORDERS,
            "GET",
            "api",
            "/v5/order/realtime",
            "privateGetV5OrderRealtime",
            N_("read the open spot orders"),
            Market.SPOT,
            params={"category": "spot"},
            right=Permission.READ,
            word="SpotTrade",
            pool="fifty",
        ),
        Call(
            Role.ORDERS,
            "GET",
            "api",
            "/v5/order/realtime",
            "privateGetV5OrderRealtime",
            N_("read the open futures orders"),
            Market.FUTURES,
            params={"category": "linear", "settleCoin": "USDT"},
            right=Permission.READ,
            word="Order",
            pool="fifty",
        ),
        Call(
            Role.DRY_RUN,
            "POST",
            "api",
            "/v5/order/pre-check",
            "privatePostV5OrderPreCheck",
            N_("ask whether an order would be allowed, without placing one"),
            Market.FUTURES,
            params={
                "category": "linear",
                "symbol": "BTCUSDT",
                "side": "Buy",
                "orderType": "Limit",
                "qty": "0.001",
                "price": "20000",
            },
            right=Permission.FUTURES_TRADE,
            word="Order",
            dry_run=True,
            pool="ten",
        ),
    )
    limits = MappingProxyType(
        {
            "address": Limit(600, 5),
            "five": Limit(5, 1, by="account", each=True),
            "ten": Limit(10, 1, by="account", each=True),
            "fifty": Limit(50, 1, by="account", each=True),
        }
    )
    rights = (
        Right("SpotTrade", "SPOT: Trade", (Permission.SPOT_TRADE,), SPOT),
        Right("Order", "Unified Trading: Orders", (Permission.FUTURES_TRADE,), FUTURES),
        Right("Position", "Unified Trading: Positions", (), FUTURES),
        Right("DerivativesTrade", "Unified Trading", (Permission.FUTURES_TRADE,), shown=False),
        Right("OptionsTrade", "Unified Trading: USDC derivatives"),
        Right("AccountTransfer", "Assets: Account Transfer", (Permission.TRANSFER,), exposes=True),
        Right("SubMemberTransfer", "Assets: Subaccount Transfer", (Permission.TRANSFER,), exposes=True),
        Right(
            "SubMemberTransferList", "Assets: Subaccount Transfer", (Permission.TRANSFER,), exposes=True, shown=False
        ),
        Right("ExchangeHistory", "Exchange: Convert"),
        Right("Earn", "Earn"),
        Right("Withdraw", "Assets: Withdrawal", (Permission.WITHDRAW,)),
        _leaving("FiatP2POrder", "P2P"),
        _leaving("Advertising", "P2P"),
        _leaving("FaitPayOrder", "Bybit Pay", "FiatPayOrder", "FiatBitPayOrder"),
        _leaving("FiatConvertBrokerOrder", "Fiat convert"),
        _leaving("FiatGlobalPayOrder", "Global pay"),
        _leaving("BitCard", "Bybit Card"),
        Right("ByXPost", "ByX", shown=False),
        Right("Affiliate", "Affiliate", shown=False),
        Right("BlockTrade", "Block trade", shown=False),
        Right("CopyTrading", "Copy trading", shown=False),
        Right("NFTQueryProductList", "NFT", shown=False),
    )
    error_rules = (
        ErrorRule((Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT), ("10003",)),
        ErrorRule((Cause.INVALID_SECRET,), ("10004",)),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET), ("10007",)),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET), ("10001",), r"openapi sign|api_?key"),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("10010",)),
        ErrorRule((Cause.PERMISSION_MISSING,), ("10005", "10029", "3100116", "3500402")),
        ErrorRule((Cause.EXPIRED_KEY,), ("33004", "-2015")),
        ErrorRule((Cause.CLOCK_SKEW,), ("10002",)),
        ErrorRule((Cause.CLOCK_SKEW,), ("-1",), r"expired|timestamp|recv"),
        ErrorRule((Cause.RATE_LIMITED,), ("10006", "10018", "10429", "20003", "3400214")),
        ErrorRule((Cause.RATE_LIMITED,), ("429", "170005", "170222")),
        ErrorRule((Cause.RATE_LIMITED,), statuses=(403,), pattern=r"access too frequent"),
        ErrorRule((Cause.LOCATION_RESTRICTED,), ("10009", "10024", "100028", "170360", "170361")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("10008", "10027", "10028", "131004", "20096", "131084", "181017")),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("110023", "110026", "110066", "170124", "131085", "10020", "10021")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("10000", "10016", "10019", "170001", "170007", "170032")),
    )
    guide = Guide(
        key_page="https://www.bybit.com/app/user/api-management",
        steps=(
            N_("Log in at Bybit, open API and create a new key: system-generated, API transaction."),
            N_("Choose Read-Write, give the key a name, and tick the boxes shown here and no others."),
            N_("Choose “Only IPs with permissions granted” and enter your address."),
            N_("Confirm with your 2FA code, then copy the API Key and the API Secret."),
        ),
        ip_step=N_("Paste this address into the list of permitted IPs. Several are separated by commas."),
        shown_once=N_("Bybit shows the API Secret once. Copy it before you close the window."),
        max_ips=None,
        sub_accounts=N_("A key of a sub-account cannot withdraw at all: a good choice for a bot. Leave transfers off."),
    )
    expiry_rules = (
        ExpiryRule(
            90,
            CountedFrom.CREATION,
            N_("Without an IP list a Bybit key ends after 90 days. With one it does not end."),
            "Bybit documents, FAQ",
        ),
        ExpiryRule(
            7,
            CountedFrom.PASSWORD_CHANGE,
            N_("Without an IP list a Bybit key also ends 7 days after you change your password."),
            "Bybit documents, create sub-account API key",
        ),
    )

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return super().error_code({"code": body.get("retCode", body.get("ret_code"))})

    def error_words(self, body: Mapping[str, Any]) -> str:
        return text_or_none(body.get("retMsg")) or text_or_none(body.get("ret_msg")) or ""

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        result = body.get("result")
        if answer.status is None or not 200 <= answer.status < 300 or self.error_code(body) != "0":
            return False
        return isinstance(result, dict) and (answer.role != Role.KEY_INFO or "permissions" in result)

    def server_time_ms(self, answer: Answer) -> int | None:
        nanoseconds = positive_int(_result(answer.object).get("timeNano"))
        return nanoseconds // 1_000_000 if nanoseconds is not None else positive_int(answer.object.get("time"))

    def service_open(self, answer: Answer) -> bool | None:
        """Closed only while maintenance of the real exchange is under way for everybody."""
        items = _result(answer.object).get("list")
        if self.error_code(answer.object) != "0" or not isinstance(items, list):
            return None
        known = [cast("dict[str, Any]", item) for item in cast("list[object]", items) if isinstance(item, dict)]
        return not any(
            item.get("state") == "ongoing" and item.get("env") in (None, 1) and not item.get("uidSuffix")
            for item in known
        )

    def read_report(
        self, body: object, *, received_at: datetime | None = None, api_key: str | None = None
    ) -> KeyReport | None:
        del received_at
        outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        fields = _result(outer)
        if self.error_code(outer) != "0" or "permissions" not in fields or not same_key(fields.get("apiKey"), api_key):
            return None
        words, whole = _words(fields["permissions"])
        report = grants_from_words(self, words, whole=whole)
        report = report.with_grant(  # any key may ask for its own report
            Permission.READ, Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=("readOnly",))
        )
        report = _as_far_as_allowed(report, fields.get("readOnly"))
        master = fields.get("isMaster")
        if report.state(Permission.TRANSFER) is GrantState.GRANTED:
            editing = SELF_UNBINDING if master is False else SELF_EDITING
            report = report.model_copy(update={"escalations": (editing, *report.escalations)})
        expires_at, evidence = _expiry(fields.get("expiredAt"))
        user = fields.get("userID")
        return report.model_copy(
            update={
                "ip_restriction": address_list(fields.get("ips")),
                "expires_at": expires_at,
                "expiry_evidence": evidence,
                "account_id": str(user) if isinstance(user, (int, str)) and not isinstance(user, bool) else None,
                "is_sub": not master if isinstance(master, bool) else None,
                "label": text_or_none(fields.get("note")),
                "created_at": _time(fields.get("createdAt")),
            }
        )

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        del market
        accounts = _result(answer.object).get("list")
        if not isinstance(accounts, list) or not accounts:
            return None
        account = cast("list[object]", accounts)[0]
        coins = cast("dict[str, Any]", account).get("coin") if isinstance(account, dict) else None
        return free_balances(coins, "coin", "walletBalance")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = _result(answer.object).get("list")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """It exists for unified accounts in cross margin only."""
        return self.error_code(answer.object) in ("10001", "10028", "10017", "110079")

    def dry_run_proves(self, answer: Answer) -> bool:
        """Codes of this range judge the order: price, amount, balance, position."""
        code = self.error_code(answer.object) or ""
        account = {"110023", "110026", "110066"}
        return code.isdigit() and 110001 <= int(code) <= 110199 and code not in account


def _result(body: Mapping[str, Any]) -> dict[str, Any]:
    result = body.get("result")
    return cast("dict[str, Any]", result) if isinstance(result, dict) else {}


def _words(groups: object) -> tuple[list[str], bool]:
    """The words of all groups, and whether every group is a list of texts."""
    if not isinstance(groups, dict):
        return [], False
    words: list[str] = []
    for group, items in cast("dict[str, object]", groups).items():
        if not isinstance(items, list):
            return words, False
        for item in cast("list[object]", items):
            if not isinstance(item, str) or not item.strip():
                return [*words, str(group)], False
            words.append(item.strip())
    return list(dict.fromkeys(words)), True


def _as_far_as_allowed(report: KeyReport, read_only: object) -> KeyReport:
    """With `readOnly: 1` the lists tell what may be read. A listed right to withdraw is believed all the same."""
    if read_only in (0, False):
        return report
    if read_only not in (1, True):
        doubtful = {right: Grant() for right in Permission if report.state(right) is GrantState.DENIED}
        unknown = (*report.unknown_words, "readOnly")
        return report.model_copy(update={"grants": {**report.grants, **doubtful}, "unknown_words": unknown})
    off = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED, words=("readOnly",))
    writing = (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER)
    changed = {right: off for right in writing if report.state(right) is GrantState.GRANTED}
    return report.model_copy(update={"grants": {**report.grants, **changed}, "escalations": ()})


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _expiry(value: object) -> tuple[datetime | None, ExpiryEvidence]:
    if value == NO_END:
        return None, ExpiryEvidence.FIELD
    at = _time(value)
    return at, ExpiryEvidence.FIELD if at is not None else ExpiryEvidence.NONE


EXCHANGE = Bybit()
