"""Bitget. Sources: the official classic (v2) and unified (v3) documents, their lists of error codes, ccxt 4.5.90.

Two kinds of account share one host: each refuses the other's calls with 40084 or 40085, which is no missing right. A
test asks both at once and takes those that answer. Classic accounts list rights in short words of which only a table in
the documents tells the meaning: `wwow` withdraws, `wtow` transfers inside the account. No report tells when a key ends.
Some codes were given a second meaning over the years, and `300xx` a third in the websocket: there the text decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from bfai.exchanges.base import (
    Answer,
    Call,
    ErrorRule,
    Exchange,
    Field,
    Guide,
    Limit,
    Refusal,
    Region,
    Right,
    Role,
    addresses,
    as_object,
    free_balances,
    grants_from_words,
    positive_int,
    split_words,
)
from bfai.i18n import N_
from bfai.model import (
    Cause,
    Environment,
    Evidence,
    Grant,
    GrantState,
    IpRestriction,
    KeyReport,
    Market,
    Permission,
)

SUCCESS = "00000"
OTHER_KIND = ("40084", "40085", "25245")
OLD = tuple(str(code) for code in range(30001, 30040))
CLASSIC, UNIFIED = "classic", "unified"
WITHDRAWING = ("wwow", "withdraw")
PRODUCTS = {"productType": "USDT-FUTURES"}
SPOT, FUTURES = (Market.SPOT,), (Market.FUTURES,)
BOTH = (Market.SPOT, Market.FUTURES)
READ = (Permission.READ,)
WRITING = (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN, Permission.TRANSFER)


def _read(
    role: Role, path: str, implicit: str, purpose: str, market: Market | None, word: str, pool: str, **params: str
) -> Call:
    return Call(
        role, "GET", "api", path, implicit, purpose, market, params=params, right=Permission.READ, word=word, pool=pool
    )


class Bitget(Exchange):
    id = "bitget"
    name = "Bitget"
    ccxt_id = "bitget"
    rights_fields = frozenset({"authorities", "permissions", "permType"})
    host_pattern = (
        r"\bbitget\b|PAPTRADING|(?<![\w-])ACCESS-(?:KEY|SIGN|TIMESTAMP|PASSPHRASE)\b|/api/v2/(?:spot|mix)/"
        r"|/api/v3/account/(?:info|assets|settings)\b"
    )
    body_pattern = (
        r'"code"\s*:\s*"00000"|"code"\s*:\s*"\d{3,6}"[^{}]*"requestTime"\s*:'
        r'|"requestTime"\s*:[^{}]*"code"\s*:\s*"\d{3,6}"'
    )
    fields = (
        Field("api_key", "API Key", r"bg_[0-9a-f]{32}", N_("bg_ and 32 characters, 0-9 and a-f")),
        Field("secret", "Secret Key", r"[0-9a-f]{64}", N_("64 characters, 0-9 and a-f"), pem=True),
        Field("passphrase", "Passphrase", r"\S{8,32}", N_("8 to 32 letters and digits that you chose yourself")),
    )
    regions = (Region("global", "Bitget", {"api": "api.bitget.com"}),)
    tests = MappingProxyType({Environment.DEMO: Region("demo", "Bitget demo trading", {}, headers={"PAPTRADING": "1"})})
    calls = (
        Call(
            Role.TIME,
            "GET",
            "api",
            "/api/v2/public/time",
            "publicCommonGetV2PublicTime",
            N_("read the exchange's clock"),
            signed=False,
            pool="public",
        ),
        _read(
            Role.KEY_INFO,
            "/api/v2/spot/account/info",
            "privateSpotGetV2SpotAccountInfo",
            N_("read what the key may do (classic account)"),
            None,
            "stor",
            "report",
        ),
        _read(
            Role.KEY_INFO,
            "/api/v3/account/info",
            "privateUtaGetV3AccountInfo",
            N_("read what the key may do (unified account)"),
            None,
            "uta_mgt",
            "five",
        ),
        _read(
            Role.BALANCE,
            "/api/v2/spot/account/assets",
            "privateSpotGetV2SpotAccountAssets",
            N_("read the spot balance"),
            Market.SPOT,
            "stor",
            "ten",
        ),
        _read(
            Role.BALANCE,
            "/api/v2/mix/account/accounts",
            "privateMixGetV2MixAccountAccounts",
            N_("read the futures balance"),
            Market.FUTURES,
            "coor",
            "ten",
            **PRODUCTS,
        ),
        _read(
            Role.BALANCE,
            "/api/v3/account/assets",
            "privateUtaGetV3AccountAssets",
            N_("read the balance of a unified account"),
            None,
            "uta_mgt",
            "twenty",
        ),
        _read(
            Role.ORDERS,
            "/api/v2/spot/trade/unfilled-orders",
            "privateSpotGetV2SpotTradeUnfilledOrders",
            N_("read the open spot orders"),
            Market.SPOT,
            "stor",
            "twenty",
        ),
        _read(
            Role.ORDERS,
            "/api/v2/mix/order/orders-pending",
            "privateMixGetV2MixOrderOrdersPending",
            N_("read the open futures orders"),
            Market.FUTURES,
            "coor",
            "ten",
            **PRODUCTS,
        ),
        _read(
            Role.ORDERS,
            "/api/v3/trade/unfilled-orders",
            "privateUtaGetV3TradeUnfilledOrders",
            N_("read the open orders of a unified account"),
            None,
            "uta_trade",
            "twenty",
        ),
        _read(
            Role.FEES,
            "/api/v2/common/trade-rate",
            "privateCommonGetV2CommonTradeRate",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            "stor",
            "ten",
            symbol="{pair}",
            businessType="spot",
        ),
        _read(
            Role.FEES,
            "/api/v2/common/trade-rate",
            "privateCommonGetV2CommonTradeRate",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            "coor",
            "ten",
            symbol="{pair}",
            businessType="mix",
        ),
        _read(
            Role.FEES,
            "/api/v3/account/fee-rate",
            "privateUtaGetV3AccountFeeRate",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            "uta_mgt",
            "ten",
            symbol="{pair}",
            category="SPOT",
        ),
        _read(
            Role.FEES,
            "/api/v3/account/fee-rate",
            "privateUtaGetV3AccountFeeRate",
            N_("read the fees of this account for one pair"),
            Market.FUTURES,
            "uta_mgt",
            "ten",
            symbol="{pair}",
            category="USDT-FUTURES",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("data.makerFeeRate", "data.takerFeeRate"),
            Market.FUTURES: ("data.makerFeeRate", "data.takerFeeRate"),
        }
    )
    limits = MappingProxyType(
        {
            "public": Limit(20, 1),
            "report": Limit(1, 1, by="account", each=True),
            "five": Limit(5, 1, by="account", each=True),
            "ten": Limit(10, 1, by="account", each=True),
            "twenty": Limit(20, 1, by="account", each=True),
        }
    )
    rights = (
        Right("coow", "Futures orders", (Permission.FUTURES_TRADE,), FUTURES, kind=CLASSIC),
        Right("cpow", "Futures holdings", (), FUTURES, kind=CLASSIC),
        Right("stow", "Spot", (Permission.SPOT_TRADE,), SPOT, kind=CLASSIC),
        Right("smow", "Margin", (Permission.MARGIN,), kind=CLASSIC),
        Right("ttow", "Copy trading", kind=CLASSIC),
        Right("wtow", "Transfer", (Permission.TRANSFER,), kind=CLASSIC),
        Right("wwow", "Withdraw", (Permission.WITHDRAW,), kind=CLASSIC),
        Right(
            "chow",
            "Sub-accounts",
            escalation=N_("The key may make sub-accounts and keys for them (chow)."),
            exposes=True,
            kind=CLASSIC,
        ),
        Right("p2p", "P2P", kind=CLASSIC),
        Right("taxw", "Tax", kind=CLASSIC),
        Right("pllw", "Pledge loan", kind=CLASSIC),
        Right(
            "uta_mgt", "UTA management (unified account)", (Permission.READ, Permission.TRANSFER), BOTH, kind=UNIFIED
        ),
        Right(
            "uta_trade",
            "UTA trade (unified account)",
            (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN),
            BOTH,
            kind=UNIFIED,
        ),
        Right("withdraw", "Withdraw", (Permission.WITHDRAW,), shown=False, kind=UNIFIED),
        *(
            Right(word, box, READ, shown=False, kind=CLASSIC)
            for word, box in (
                ("stor", "Spot"),
                ("coor", "Futures orders"),
                ("cpor", "Futures holdings"),
                ("smor", "Margin"),
                ("ttor", "Copy trading"),
                ("wtor", "Transfer"),
                ("chor", "Sub-accounts"),
                ("p2pr", "P2P"),
                ("taxr", "Tax"),
                ("pllr", "Pledge loan"),
            )
        ),
        Right("copy_futures_position", "Copy trading", shown=False, kind=UNIFIED),
        Right("copy_futures_order", "Copy trading", shown=False, kind=UNIFIED),
    )
    error_rules = (
        ErrorRule((Cause.ACCOUNT_RESTRICTED, Cause.PERMISSION_MISSING), OTHER_KIND),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), ("40006", "40037")),
        ErrorRule((Cause.INVALID_KEY,), ("40001", "40041", "40065", "49000")),
        ErrorRule((Cause.CLOCK_SKEW,), ("40003",), r"timestamp"),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("40010",), r"timed? ?out"),
        ErrorRule((Cause.INVALID_SECRET,), ("40009", "40010", "40002", "40003", "40506", "40507")),
        ErrorRule((Cause.CLOCK_SKEW,), ("40004", "40005", "40008", "40078", "40079")),
        ErrorRule((Cause.INVALID_PASSPHRASE, Cause.INVALID_KEY, Cause.INVALID_SECRET), ("40012",)),
        ErrorRule((Cause.INVALID_PASSPHRASE,), ("40011", "40036")),
        ErrorRule((Cause.IP_NOT_ALLOWED,), ("40018", "40038", "22010", "49003")),
        ErrorRule((Cause.PERMISSION_MISSING,), ("40014",), r"\bread\b", permission=Permission.READ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("40014",), r"\btransfer\b", permission=Permission.TRANSFER),
        ErrorRule((Cause.PERMISSION_MISSING,), ("40014",), r"\bmargin\b", permission=Permission.MARGIN),
        ErrorRule(
            (Cause.PERMISSION_MISSING,), ("40014",), r"contract|future|\bmix\b", permission=Permission.FUTURES_TRADE
        ),
        ErrorRule((Cause.PERMISSION_MISSING,), ("40014",), r"\bspot\b", permission=Permission.SPOT_TRADE),
        ErrorRule((Cause.PERMISSION_MISSING,), ("40014", "40040", "25620")),
        ErrorRule(
            (Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED),
            ("40025", "40029", "40048", "40051", "40061", "40068", "40301", "40701", "40702", "49022"),
        ),
        ErrorRule((Cause.WRONG_ENVIRONMENT,), ("40099", "40081", "40110", "40841", "22030", "30017", "30018")),
        ErrorRule((Cause.WRONG_ENVIRONMENT,), pattern=r"exchange environment is incorrect"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("40024",), r"frozen"),
        ErrorRule((Cause.LOCATION_RESTRICTED,), ("40000", "40024", "40100", "32022", "59006")),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED),
            ("40103", "40104", "40111"),
            r"located|country|region|地区",
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            ("40013", "40016", "40022", "40023", "40026", "40031", "40035", "40101", "40199", "40202", "40300"),
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            ("40710", "40752", "40753", "40760", "40807", "40916", "45009", "45019", "45107", "45108", "43136"),
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            (
                "50006",
                "50007",
                "50010",
                "50012",
                "50013",
                "50019",
                "50022",
                "50023",
                "50064",
                "59005",
                "70209",
                "70227",
            ),
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,), ("25005", "25006", "25007", "25008", "25012", "32001", "32026", "32028")
        ),
        ErrorRule((Cause.RATE_LIMITED,), ("429", "50009", "25004", "40047", "59044", "70228")),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,), ("40015", "40200", "40308", "40604", "40725", "40844", "45001", "45043")
        ),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("40910", "25000", "25001", "50008", "50031", "80002", "500", "503")),
        ErrorRule((Cause.RATE_LIMITED,), OLD, r"over limit|too many|frequen"),
        ErrorRule((Cause.INVALID_PASSPHRASE,), OLD, r"passphrase"),
        ErrorRule((Cause.CLOCK_SKEW,), OLD, r"timestamp"),
        ErrorRule((Cause.IP_NOT_ALLOWED,), OLD, r"\bip\b"),
        ErrorRule((Cause.INVALID_SECRET,), OLD, r"sign\b|signature"),
        ErrorRule((Cause.INVALID_KEY, Cause.EXPIRED_KEY), OLD, r"access_key"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), OLD, r"frozen|suspended"),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.INVALID_KEY), OLD, r"unauthorized|authorization"),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), OLD, r"upgraded|offline|unavailable|system error"),
        ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.INVALID_PASSPHRASE), OLD, r"log ?in", clear=False),
        ErrorRule((Cause.INVALID_KEY,), pattern=r"(?:illegal accesskey|accesskey not n\w+)"),
        ErrorRule((Cause.INVALID_SECRET,), pattern=r"illegal sign|sign not null|api signature not valid"),
        ErrorRule((Cause.CLOCK_SKEW,), pattern=r"req_time is too much difference"),
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"permissions not right"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), pattern=r"\buser (?:locked|forbid)|need to bind email or mobile"),
        ErrorRule((Cause.RATE_LIMITED,), pattern=r"request frequency is too high"),
        ErrorRule(
            (Cause.EXCHANGE_UNAVAILABLE,),
            pattern=r"system (?:exception|error|upgrade)|server (?:upgrade|is busy)|under maintenance|系统异常"
            r"|gateway internal error|ring-balancer|contract is being temporarily maintained",
        ),
    )
    guide = Guide(
        key_page="https://www.bitget.com/account/newapi",
        steps=(
            N_("Log in at Bitget, open API keys and create a system-generated key."),
            N_("Give it a note and a passphrase. You need the passphrase here again: Bitget cannot show it later."),
            N_("Choose Read & write, then tick the boxes shown here and no others."),
            N_("Enter your IP address and confirm with your 2FA code."),
            N_("Copy the API Key and the Secret Key."),
        ),
        ip_step=N_("Paste this address into the IP whitelist of the key. Bitget takes about 30."),
        shown_once=N_("Bitget shows the Secret Key once. Copy it before you close the window."),
        max_ips=30,
        sub_accounts=N_("A key of a sub-account reaches that account only: a good choice for a bot."),
        max_keys=10,
        refusals=(
            Refusal(400, '{"code":"40018","msg":"Invalid IP","data":null}'),
            Refusal(
                400, '{"code":"40014","msg":"Incorrect permissions, need spot order write permissions","data":null}'
            ),
            Refusal(400, '{"code":"40012","msg":"apikey/password is incorrect","data":null}'),
            Refusal(400, '{"code":"40009","msg":"sign signature error","data":null}'),
            Refusal(400, '{"code":"40037","msg":"Apikey does not exist","data":null}'),
            Refusal(400, '{"code":"40008","msg":"Request timestamp expired","data":null}'),
        ),
    )

    def prepare_signer(self, signer: Any, site: Region) -> None:
        """ccxt would find out the kind of account by a call of its own, and take every error of it for "classic".

        It knows HMAC only: a key that the trader made has an RSA key for a secret (SHA-256, PKCS #1 v1.5).
        """
        del site
        signer.options = {**signer.options, "uta": False}
        if "-----BEGIN" in (signer.secret or ""):

            def rsa(request: bytes, secret: bytes, *_: object) -> str:
                return signer.rsa(request.decode(), secret.decode())

            signer.hmac = rsa

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return super().error_code(body) or _text(body.get("err_code"))

    def error_words(self, body: Mapping[str, Any]) -> str:
        return super().error_words(body) or _text(body.get("err_msg")) or ""

    def of_other_kind(self, answer: Answer) -> bool:
        return self.error_code(answer.object) in OTHER_KIND

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or body.get("code") != SUCCESS:
            return False
        if body.get("msg", "success") != "success":
            return False
        data, fields = body.get("data"), as_object(body.get("data"))
        unified = answer.call is not None and answer.call.path.startswith("/api/v3/")
        match answer.role:
            case Role.KEY_INFO:
                return "authorities" in fields or "permissions" in fields
            case Role.TIME:
                return "serverTime" in fields
            case Role.BALANCE:
                return isinstance(fields.get("assets"), list) or (isinstance(data, list) and not unified)
            case Role.ORDERS:
                return not {"entrustedList", "list"}.isdisjoint(fields) or (isinstance(data, list) and not unified)
            case _:
                return "data" in body

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(as_object(answer.object.get("data")).get("serverTime"))

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        outer = as_object(body)
        data = as_object(outer.get("data"))
        if outer.get("code") != SUCCESS:
            return None
        unified = "permType" in data or ("permissions" in data and "authorities" not in data)
        listed = data.get("permissions") if unified else data.get("authorities")
        if listed is None:
            return None
        both = "authorities" in data and "permissions" in data  # no document has both: neither is the whole list
        words = split_words(listed)
        report = grants_from_words(self, words or (), whole=words is not None and not both)
        looking = tuple(word for word in words or () if word.lower() not in WITHDRAWING)
        if looking and report.state(Permission.READ) is not GrantState.GRANTED:
            # a right to change something comes with the right to look at it
            reading = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=looking)
            report = report.with_grant(Permission.READ, reading)
        if unified:
            report = _as_far_as_allowed(report, data.get("permType"))
        number, parent = data.get("userId"), data.get("parentId")
        restriction = addresses(data.get("ips"))
        if restriction.state is GrantState.DENIED and not restriction.addresses:
            restriction = IpRestriction()  # how an unbound key reads is not documented
        return report.model_copy(
            update={
                "ip_restriction": restriction,
                "account_id": _text(number),
                "is_sub": _is_sub(number, parent, unified),
            }
        )

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        data = answer.object.get("data")
        if isinstance(data, dict):
            return free_balances(cast("dict[str, Any]", data).get("assets"), "coin", "available")
        return free_balances(data, "coin" if market is Market.SPOT else "marginCoin", "available")

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        data = answer.object.get("data")
        if isinstance(data, list):
            return len(cast("list[object]", data))
        fields = as_object(data)
        for name in ("entrustedList", "list"):
            if name in fields:
                rows = fields[name]
                return 0 if rows is None else len(cast("list[object]", rows)) if isinstance(rows, list) else None
        return None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) and value != "" else None


def _as_far_as_allowed(report: KeyReport, kind: object) -> KeyReport:
    """A unified key that is read-only may not trade whatever it lists. Withdrawal is believed all the same.

    Where the kind cannot be read, nothing is known but that.
    """
    if kind == "read-and-write":
        return report
    if kind == "read-only":
        off = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED, words=("read-only",))
        return report.model_copy(update={"grants": {**report.grants, **dict.fromkeys(WRITING, off)}})
    kept = {right: report.grant(right) for right in (Permission.READ, Permission.WITHDRAW)}
    sure = {right: grant for right, grant in kept.items() if grant.state is GrantState.GRANTED}
    words = (*report.unknown_words, f"permType {kind}"[:40])
    return report.model_copy(update={"grants": sure, "unknown_words": words})


def _is_sub(number: object, parent: object, unified: bool) -> bool | None:
    """A classic main account names itself as its parent, a unified one names nobody."""
    if parent in (None, "", 0, "0"):
        return False if unified and parent == "" else None
    return str(parent) != str(number)


EXCHANGE = Bitget()
