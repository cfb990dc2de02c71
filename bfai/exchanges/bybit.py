"""Bybit. Sources: the official v5 documents (repository bybit-exchange/docs) and ccxt 4.5.90.

`readOnly: 1` outweighs every right that is listed beside it, and `1970-01-01` means that the key does not end. A key
with a right to transfer may edit itself. One read, `query-address`, needs the right to withdraw, so its success proves
that right. A page of CloudFront with status 403 and code 10009 both mean the country, which ccxt takes for a rate limit
and for a wrong key. Bybit's own library prints refusals as `(ErrCode: 10003)`, without the JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    OTHER_SITE,
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
    as_object,
    decimal,
    grants_from_words,
    positive_int,
    text_or_none,
    time_ms,
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
GROUPS = frozenset(
    "ContractTrade Spot Wallet Options Derivatives Exchange Earn FiatP2P FiatBitPay FiatConvertBroker FiatGlobalPay "
    "BitCard ByXPost Affiliate BlockTrade NFT CopyTrading".split()
)
PRODUCTION, DEMO = 1, 2  # `env` of the system status
TRADING_SERVICES = frozenset({1, 2})  # of its `serviceTypes`: all of trading, trading by HTTP
FUTURES_PRODUCT, SPOT_PRODUCT = 1, 2  # of its `product`
SELF_EDITING = N_("With a right to transfer the key may change its own rights, and those of sub-account keys.")
SELF_UNBINDING = N_("With a right to transfer a sub-account key may change its own rights and its list of addresses.")
LEAVING = N_("Through peer-to-peer trades, cards or payments, value can leave the account without a withdrawal.")


def _site(id_: str, name: str, host: str, markets: tuple[Market, ...] = BOTH) -> Region:
    """Everywhere one host serves trading ("api") and what demo accounts lack ("user")."""
    return Region(id_, name, {"api": host, "user": host}, markets=markets)


def _coded(causes: tuple[Cause, ...], codes: str, pattern: str | None = None, *, clear: bool = True) -> ErrorRule:
    return ErrorRule(causes, tuple(codes.split()), pattern, clear=clear)


_CODES = (
    _coded((Cause.RATE_LIMITED,), "10003", r"too many sessions"),
    _coded((Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT), "10003"),
    _coded((Cause.INVALID_SECRET,), "10004 790001 -1022"),
    _coded((Cause.INVALID_KEY, Cause.INVALID_SECRET), "10007"),
    _coded((Cause.INVALID_KEY, Cause.INVALID_SECRET), "10001", r"openapi sign|empty value|api_?key"),
    _coded((Cause.ACCOUNT_RESTRICTED,), "10001", r"accountType only support|unified"),
    _coded((Cause.IP_NOT_ALLOWED,), "10010"),
    _coded((Cause.PERMISSION_MISSING,), "10005 10029"),
    _coded(
        (Cause.INVALID_KEY, Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING, Cause.EXPIRED_KEY),
        "-2015",
        r"ip, or permissions",
        clear=False,
    ),
    _coded((Cause.EXPIRED_KEY,), "33004 -2015"),
    _coded((Cause.CLOCK_SKEW,), "10002 -1021"),
    _coded((Cause.CLOCK_SKEW,), "-1", r"expired|timestamp|recv"),
    _coded((Cause.RATE_LIMITED,), "10006 10018 10429 20003 30035 170005 170222 -1003"),
    _coded((Cause.RATE_LIMITED, Cause.EXCHANGE_UNAVAILABLE), "429"),
    _coded((Cause.RATE_LIMITED,), "403", r"frequen|too many|rate limit"),
    _coded((Cause.LOCATION_RESTRICTED, Cause.RATE_LIMITED), "403"),
    _coded((Cause.LOCATION_RESTRICTED, Cause.RATE_LIMITED), "10009", r"banned"),
    _coded((Cause.LOCATION_RESTRICTED,), "10009 110132 170209 170358 170359 180004"),
    _coded((Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED), "10024"),
    _coded((Cause.WRONG_ENVIRONMENT,), "10032 170348"),
    _coded((Cause.ACCOUNT_RESTRICTED,), "10008 10020 10027 10028 100028 110067 110088 110097 181014 182200 500011"),
    _coded((Cause.ACCOUNT_RESTRICTED,), "20096 131004 131065 180022"),  # who they are is not confirmed
    _coded((Cause.ACCOUNT_RESTRICTED,), "110068 110069 110123 110124 110125 131090 131091 131092 131226 141004"),
    _coded((Cause.ACCOUNT_RESTRICTED,), "170219 176134 176201 180003 180010 3100197"),
    _coded((Cause.ACCOUNT_RESTRICTED,), "170201", r"restricted"),
    _coded((Cause.EXCHANGE_UNAVAILABLE, Cause.ACCOUNT_RESTRICTED), "110066"),
    _coded((Cause.EXCHANGE_UNAVAILABLE,), "5004 10000 10016 10019 131001 131003 131200 131201 131230 340099 3400214"),
    _coded((Cause.EXCHANGE_UNAVAILABLE,), "170001 170007 170031 170032 170234 177002 180018 180023 500000 790000"),
)
"""Bybit documents, error codes; ccxt for those that the documents no longer list."""


def _in_text(rule: ErrorRule) -> ErrorRule:
    """The same for text that is no JSON: `(ErrCode: 10003)`, `retCode=10003`, `{'retCode': 10003}`."""
    named = rf"\b(?:ErrCode|ret_?code)\b[^\w-]{{1,4}}(?:{'|'.join(rule.codes)})\b"
    return ErrorRule(rule.causes, pattern=named, clear=rule.clear)


def _leaving(word: str, box: str, *aliases: str) -> Right:
    return Right(word, box, aliases=aliases, escalation=LEAVING, shown=False)


class Bybit(Exchange):
    id = "bybit"
    name = "Bybit"
    ccxt_id = "bybit"
    rights_fields = frozenset({"permissions"})
    host_pattern = r"bybit|bytick|byhkbit|\bmanepa\b|X-BAPI-|(?<!/api)/v5/(?:user|account|order|market|asset|position)/"
    body_pattern = r'"ret(?:Code|_code)"\s*:|\bErrCode: \d'
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
            # Demo accounts have no report on a key, no withdrawals and no dry-run order.
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
            Market.SPOT,
            signed=False,
            pool="address",
            share_seconds=10.0,
        ),
        Call(
            Role.SERVICE,
            "GET",
            "api",
            "/v5/system/status",
            "publicGetV5SystemStatus",
            N_("ask whether trading is open"),
            Market.FUTURES,
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
            "user",
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
        Call(
            Role.FEES,
            "GET",
            "api",
            "/v5/account/fee-rate",
            "privateGetV5AccountFeeRate",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            params={"category": "spot", "symbol": "{pair}"},
            right=Permission.READ,
            word="SpotTrade",
            pool="five",
        ),
        Call(
            Role.FEES,
            "GET",
            "api",
            "/v5/account/fee-rate",
            "privateGetV5AccountFeeRate",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            params={"category": "linear", "symbol": "{pair}"},
            right=Permission.READ,
            word="Order",
            pool="five",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("result.list.*.makerFeeRate", "result.list.*.takerFeeRate"),
            Market.FUTURES: ("result.list.*.makerFeeRate", "result.list.*.takerFeeRate"),
        }
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
        Right("Order", "Unified Trading: Orders", (Permission.FUTURES_TRADE,), FUTURES),
        Right("Position", "Unified Trading: Positions", (), FUTURES),
        Right("DerivativesTrade", "Unified Trading", (Permission.FUTURES_TRADE,), shown=False),
        Right("OptionsTrade", "Unified Trading: USDC derivatives"),
        Right("SpotTrade", "SPOT: Trade", (Permission.SPOT_TRADE,), SPOT),
        Right("AccountTransfer", "Assets: Account Transfer", (Permission.TRANSFER,), exposes=True),
        Right("SubMemberTransfer", "Assets: Subaccount Transfer", (Permission.TRANSFER,), exposes=True),
        Right(
            "SubMemberTransferList", "Assets: Subaccount Transfer", (Permission.TRANSFER,), exposes=True, shown=False
        ),
        Right("Withdraw", "Assets: Withdrawal", (Permission.WITHDRAW,)),
        Right("ExchangeHistory", "Exchange: Convert"),
        Right("Earn", "Earn"),
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
    error_rules = (*_CODES, *(_in_text(rule) for rule in _CODES if rule.pattern is None))
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
        refusals=(
            Refusal(
                200,
                '{"retCode":10010,"retMsg":"Unmatched IP, please check your API key\'s bound IP addresses."}',
            ),
            Refusal(
                200,
                '{"retCode":10005,"retMsg":"Permission denied, please check your API key permissions."}',
            ),
            Refusal(401, '{"retCode":10003,"retMsg":"API key is invalid."}', OTHER_SITE),
            Refusal(401, '{"retCode":10004,"retMsg":"error sign!"}'),
            Refusal(200, '{"retCode":33004,"retMsg":"Your api key has expired."}'),
            Refusal(
                200,
                '{"retCode":10009,"retMsg":"Service Restricted: Access is currently unavailable."}',
            ),
        ),
    )
    expiry_rules = (
        ExpiryRule(
            90,
            CountedFrom.CREATION,
            N_("Without an IP list a Bybit key expires after 90 days. With one it does not expire."),
            "Bybit documents, FAQ",
        ),
        ExpiryRule(
            7,
            CountedFrom.PASSWORD_CHANGE,
            N_("Without an IP list a Bybit key also expires 7 days after you change your password."),
            "Bybit documents, create sub-account API key",
        ),
    )

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return super().error_code({"code": body.get("retCode", body.get("ret_code"))})

    def error_words(self, body: Mapping[str, Any]) -> str:
        return text_or_none(body.get("retMsg")) or text_or_none(body.get("ret_msg")) or ""

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or self.error_code(body) != "0":
            return False
        if not isinstance(body.get("result"), dict):
            return False
        result = _result(body)
        match answer.role:
            case Role.TIME:
                return "timeNano" in result or "timeSecond" in result
            case Role.KEY_INFO:
                return "permissions" in result
            case Role.SERVICE | Role.BALANCE | Role.ORDERS:
                return isinstance(result.get("list"), list)
            case Role.DRY_RUN:
                return "orderId" in result
            case _:  # a probe that is not refused is an alarm whatever it holds
                return True

    def server_time_ms(self, answer: Answer) -> int | None:
        nanoseconds = positive_int(_result(answer.object).get("timeNano"))
        return nanoseconds // 1_000_000 if nanoseconds is not None else positive_int(answer.object.get("time"))

    def service_open(self, answer: Answer) -> bool | None:
        """Closed only while trading is under maintenance for everybody, here and in the market that is asked for."""
        items = _result(answer.object).get("list")
        if self.error_code(answer.object) != "0" or not isinstance(items, list):
            return None
        demo = self.tests[Environment.DEMO].hosts["api"]
        here = DEMO if answer.sent is not None and answer.sent.host == demo else PRODUCTION
        known = [cast("dict[str, Any]", item) for item in cast("list[object]", items) if isinstance(item, dict)]
        return not any(_closes(item, here, answer.call.market if answer.call else None) for item in known)

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at
        outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        fields = _result(outer)
        if self.error_code(outer) != "0" or "permissions" not in fields:
            return None
        words, whole = _words(self, fields["permissions"])
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

    def state_cause(self, body: object, market: Market = Market.SPOT, at: datetime | None = None) -> Cause | None:
        """A key whose end has come, by the exchange's own clock."""
        del market, at
        report = self.read_report(body)
        now = time_ms(cast("dict[str, Any]", body).get("time")) if report is not None else None
        ended = report is not None and report.expires_at is not None and now is not None and report.expires_at <= now
        return Cause.EXPIRED_KEY if ended else None

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        """What no open spot order holds. An account that never held a coin may have none listed."""
        del market
        accounts = _result(answer.object).get("list")
        if not isinstance(accounts, list):
            return None
        free: dict[str, Decimal] = {}
        for account in cast("list[object]", accounts):
            coins = cast("dict[str, Any]", account).get("coin") if isinstance(account, dict) else None
            if not isinstance(coins, list):
                return None
            for row in cast("list[object]", coins):
                item = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
                name, held = item.get("coin"), decimal(item.get("walletBalance"))
                if not isinstance(name, str) or not name or held is None:
                    return None
                left = held - (decimal(item.get("locked")) or Decimal(0))
                if left > 0:
                    free[name] = free.get(name, Decimal(0)) + left
        return free

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = _result(answer.object).get("list")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """It exists for unified accounts in cross or portfolio margin only, and has no document on its refusals."""
        return self.error_code(answer.object) in ("10001", "10017", "10028", "110077", "110079", "3200403")

    def dry_run_proves(self, answer: Answer) -> bool:
        """Codes of this range judge the order: price, amount, balance, position. Some judge the account."""
        code = self.error_code(answer.object) or ""
        if any(rule.fits(code, answer) for rule in _CODES) or self.dry_run_says_nothing(answer):
            return False
        return code in ("30208", "30209", "30228", "30256") or (code.isdigit() and 110001 <= int(code) <= 110199)


def _result(body: Mapping[str, Any]) -> dict[str, Any]:
    return as_object(body.get("result"))


def _closes(item: Mapping[str, Any], here: int, market: Market | None) -> bool:
    """Whether this maintenance stops trading by HTTP in this market, as far as its fields tell."""
    product = {Market.SPOT: SPOT_PRODUCT, Market.FUTURES: FUTURES_PRODUCT}.get(market) if market else None
    return (
        item.get("state") == "ongoing"
        and positive_int(item.get("env")) in (None, here)
        and not item.get("uidSuffix")
        and not TRADING_SERVICES.isdisjoint(_numbers(item.get("serviceTypes"), TRADING_SERVICES))
        and (product is None or product in _numbers(item.get("product"), {product}))
    )


def _numbers(value: object, otherwise: Collection[int]) -> set[int]:
    """Whole numbers from a JSON array; `otherwise` where it has none."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return {number for item in items if (number := positive_int(item)) is not None} or set(otherwise)


def _words(exchange: Exchange, groups: object) -> tuple[list[str], bool]:
    """The words of all groups, and whether every group is a list of texts and the one with withdrawal is there.

    What a word of this page means in a group that no document names is not known: then the group counts as a word.
    """
    if not isinstance(groups, dict):
        return [], False
    found = cast("dict[str, object]", groups)
    words: list[str] = []
    for group, items in found.items():
        if not isinstance(items, list):
            return words, False
        for item in cast("list[object]", items):
            if not isinstance(item, str) or not item.strip():
                return [*words, group], False
            words.append(item.strip())
            if group not in GROUPS and exchange.right(item) is not None:
                words.append(f"{group}: {item.strip()}")
    return list(dict.fromkeys(words)), "Wallet" in found


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
    """The beginning of time, of Unix or of the language Go, stands for a key that does not end."""
    at = _time(value)
    if at is None:
        return None, ExpiryEvidence.NONE
    return at if at.year > 1970 else None, ExpiryEvidence.FIELD


EXCHANGE = Bybit()
