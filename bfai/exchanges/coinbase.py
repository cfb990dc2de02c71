"""Coinbase (Advanced Trade with CDP keys). Sources: docs.cdp.coinbase.com, the official Python SDK, ccxt 4.5.90.

Keys are private keys: EC in PEM, or Ed25519 in Base64, and copying mangles their line ends. `can_transfer` sends funds
off the platform, so it is the right to withdraw. Neither an address list nor an end is told. A wrong key, a wrong
secret, a wrong clock and a refused address all give the same plain text *Unauthorized*. The sandbox knows no key report
and no signature, so it is not offered here. Tokens are dated a little back, because Coinbase accepts none from its
future and says nothing about why.
"""

from __future__ import annotations

import base64
import binascii
import re
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
    decimal,
    grants_from_fields,
    normalise_pem,
    positive_int,
    text_or_none,
)
from bfai.i18n import N_
from bfai.model import Cause, Credentials, Evidence, Grant, GrantState, KeyReport, Market, Message, Permission

SPOT = (Market.SPOT,)
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ANYTHING_WRONG = (
    Cause.INVALID_KEY,
    Cause.INVALID_SECRET,
    Cause.IP_NOT_ALLOWED,
    Cause.CLOCK_SKEW,
    Cause.PERMISSION_MISSING,
)
_BACKDATED_S = 2  # of the 120 seconds that a token lives
_OLD_KEY = r"[A-Za-z0-9]{16}|[0-9a-f]{32}"  # of the first API, and of Coinbase Pro and Exchange
_VERIFYING = "personal_details_required identity_verification_required jumio_verification_required".split()


class Coinbase(Exchange):
    id = "coinbase"
    name = "Coinbase"
    ccxt_id = "coinbase"
    host_pattern = r"coinbase|/api/v3/brokerage|CB-ACCESS-|organizations/[0-9a-f-]{36}/apiKeys"
    body_pattern = (
        r'"can_(?:view|trade|transfer)"\s*:|"error_details"\s*:|"preview_failure_reason"\s*:'
        r'|"errors"\s*:\s*\[\s*\{\s*"id"\s*:\s*"[a-z]'
    )
    fields = (
        Field(
            "api_key",
            "API key name",
            rf"organizations/{_UUID}/apiKeys/{_UUID}|{_UUID}",
            N_("a text that starts with organizations/, or 36 characters with four dashes"),
        ),
        Field(
            "secret",
            "Private key",
            r"[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{43}=",
            N_("several lines from -----BEGIN to -----END, or 88 characters that end with =="),
            pem=True,
        ),
    )
    regions = (Region("global", "Coinbase", {"api": "api.coinbase.com"}, markets=SPOT),)
    markets = SPOT
    calls = (
        Call(
            Role.TIME,
            "GET",
            "api",
            "/api/v3/brokerage/time",
            "v3PublicGetBrokerageTime",
            N_("read the exchange's clock"),
            signed=False,
            pool="public",
        ),
        Call(
            Role.KEY_INFO,
            "GET",
            "api",
            "/api/v3/brokerage/key_permissions",
            "v3PrivateGetBrokerageKeyPermissions",
            N_("read what the key may do"),
            pool="private",
        ),
        Call(
            Role.BALANCE,
            "GET",
            "api",
            "/api/v3/brokerage/accounts",
            "v3PrivateGetBrokerageAccounts",
            N_("read the spot balance"),
            params={"limit": 250},
            right=Permission.READ,
            word="can_view",
            pool="private",
        ),
        Call(
            Role.ORDERS,
            "GET",
            "api",
            "/api/v3/brokerage/orders/historical/batch",
            "v3PrivateGetBrokerageOrdersHistoricalBatch",
            N_("read the open spot orders"),
            params={"order_status": "OPEN"},
            right=Permission.READ,
            word="can_view",
            pool="private",
        ),
        Call(  # whether it needs the right to trade is not documented, so it proves nothing
            Role.DRY_RUN,
            "POST",
            "api",
            "/api/v3/brokerage/orders/preview",
            "v3PrivatePostBrokerageOrdersPreview",
            N_("ask for the preview of an order, without placing one"),
            params={
                "product_id": "BTC-USD",
                "side": "BUY",
                "order_configuration": {"limit_limit_gtc": {"base_size": "0.001", "limit_price": "20000"}},
            },
            dry_run=True,
            pool="private",
        ),
        Call(
            Role.FEES,
            "GET",
            "api",
            "/api/v3/brokerage/transaction_summary",
            "v3PrivateGetBrokerageTransactionSummary",
            N_("read the fees of this account for one pair"),
            Market.SPOT,
            params={"product_type": "SPOT"},
            right=Permission.READ,
            word="can_view",
            pool="private",
        ),
    )
    fee_fields = MappingProxyType(
        {
            Market.SPOT: ("fee_tier.maker_fee_rate", "fee_tier.taker_fee_rate"),
        }
    )
    order_pair_fields = MappingProxyType({Market.SPOT: "product_id"})
    limits = MappingProxyType({"public": Limit(10, 1), "private": Limit(30, 1, by="account")})
    rights = (
        Right("can_view", "View", (Permission.READ,), SPOT),
        Right("can_trade", "Trade", (Permission.SPOT_TRADE, Permission.FUTURES_TRADE), SPOT),
        Right("can_transfer", "Transfer", (Permission.WITHDRAW, Permission.TRANSFER)),
    )
    rights_fields = frozenset([*(right.word for right in rights), "can_withdraw"])
    error_rules = (
        ErrorRule((Cause.EXPIRED_KEY, Cause.INVALID_KEY), ("expired_token",)),
        ErrorRule(
            (Cause.CLOCK_SKEW,),
            pattern=r"request timestamp expired|timestamp (?:is )?(?:invalid|expired)|invalid timestamp"
            r"|(?:jwt|token)[^.\"]{0,20}(?:expired|not yet valid|used before)",
        ),
        ErrorRule(
            (Cause.IP_NOT_ALLOWED,),
            pattern=r"\bip\b[^.\"]{0,30}(?:blocked|not (?:allowed|authorized|in)|(?:white|allow)[ -]?list)",
        ),
        ErrorRule(
            (Cause.INVALID_SECRET,), pattern=r"invalid signature|signature[^.\"]{0,20}(?:invalid|mismatch|verif)"
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), ("invalid_authentication_method",)),
        ErrorRule(
            (Cause.INVALID_KEY,), pattern=r"invalid api key|api key[^.\"]{0,20}(?:not found|disabled|revoked|deleted)"
        ),
        ErrorRule((Cause.INVALID_KEY,), ("revoked_token", "invalid_token", "invalid_api_key")),
        ErrorRule((Cause.PERMISSION_MISSING,), pattern=r"missing required scopes?|insufficient scope|invalid_scope"),
        ErrorRule((Cause.RATE_LIMITED,), ("rate_limit_exceeded", "RESOURCE_EXHAUSTED", "resource_exhausted", "8")),
        ErrorRule(
            (Cause.LOCATION_RESTRICTED, Cause.ACCOUNT_RESTRICTED),
            pattern=r"target is not enabled for trading"
            r"|not (?:available|supported)[^.\"]{0,20} (?:region|country|state|location)",
        ),
        ErrorRule(
            (Cause.ACCOUNT_RESTRICTED,),
            pattern=r"user is not allowed"
            r"|account (?:is |has been )?(?:frozen|locked|closed|suspended|disabled|restricted)",
        ),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), pattern=r"verification_required|verify your (?:identity|account)"),
        ErrorRule((Cause.ACCOUNT_RESTRICTED,), (*_VERIFYING, "unverified_email", "two_factor_required")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE, Cause.ACCOUNT_RESTRICTED), pattern=r"account is not available"),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED), ("PERMISSION_DENIED", "7")),
        ErrorRule((Cause.PERMISSION_MISSING, Cause.INVALID_KEY), ("unauthorized",), statuses=(403,)),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("internal_server_error", "INTERNAL", "UNAVAILABLE", "13", "14")),
        ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), ("UNKNOWN", "DEADLINE_EXCEEDED", "internal", "2", "4")),
        ErrorRule(_ANYTHING_WRONG, ("authentication_error", "unauthorized", "UNAUTHENTICATED", "16"), clear=False),
        ErrorRule(_ANYTHING_WRONG, statuses=(401,), clear=False),
        ErrorRule(_ANYTHING_WRONG, pattern=r"^\s*unauthorized\s*$|\b401\b[^\n]{0,24}unauthorized", clear=False),
    )
    guide = Guide(
        key_page="https://portal.cdp.coinbase.com/projects/api-keys",
        steps=(
            N_("Log in at the Coinbase Developer Platform, open API keys and create a secret API key."),
            N_("Give it a name and choose the portfolio that the bot may use."),
            N_("Tick View and Trade. Leave Transfer empty: it sends funds off the platform."),
            N_("Enter your IP address in the allowlist."),
            N_("Create the key and download its file. You can paste the whole text of the file here."),
        ),
        ip_step=N_("Paste this address into the IP allowlist. Coinbase does not tell us later whether one is set."),
        shown_once=N_("Coinbase shows the private key once. Download it before you close the window."),
        max_ips=None,
        sub_accounts=N_("A key is tied to one portfolio. A portfolio of its own is a good choice for a bot."),
        asked=(N_("A choice between Ed25519 and ECDSA. Either works here."),),
        refusals=(
            Refusal(
                401,
                "Unauthorized",
                N_("{exchange} says the same of a wrong key, address or clock. Check all three."),
            ),
            Refusal(
                403,
                '{"error":"PERMISSION_DENIED","message":"Missing required scopes"}',
            ),
            Refusal(
                400,
                '{"error":"INVALID_ARGUMENT","message":"account is not available"}',
            ),
            Refusal(429, '{"error":"rate_limit_exceeded"}'),
        ),
    )

    # -- answers

    def error_code(self, body: Mapping[str, Any]) -> str | None:
        return text_or_none(body.get("error")) or text_or_none(_error(body).get("id")) or super().error_code(body)

    def error_words(self, body: Mapping[str, Any]) -> str:
        for found in (body.get("message"), body.get("error_details"), _error(body).get("message")):
            if isinstance(found, str) and found:
                return found
        return ""

    def succeeded(self, answer: Answer) -> bool:
        body = answer.object
        if answer.status is None or not 200 <= answer.status < 300 or not body or "errors" in body or "error" in body:
            return False
        match answer.role:
            case Role.TIME:
                return "epochMillis" in body
            case Role.KEY_INFO:
                return _is_report(body)
            case Role.BALANCE:
                return isinstance(body.get("accounts"), list)
            case Role.ORDERS:
                return isinstance(body.get("orders"), list)
            case Role.DRY_RUN:
                return isinstance(body.get("errs"), list) or "order_total" in body
            case _:
                return True

    def server_time_ms(self, answer: Answer) -> int | None:
        return positive_int(answer.object.get("epochMillis"))

    def report_in(self, body: object, received_at: datetime | None, api_key: str | None) -> KeyReport | None:
        del received_at, api_key
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if not _is_report(fields):
            return None
        report = grants_from_fields(self, {name: value for name, value in fields.items() if name.startswith("can_")})
        whole = isinstance(fields.get("can_view"), bool)
        # No document has a field of withdrawal: what one says is believed when it says yes, and else leaves it open.
        named = {name: value for name, value in fields.items() if "withdraw" in name.lower() and value is not False}
        if yes := tuple(name for name, value in named.items() if value is True):
            granted = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=yes)
            report = report.with_grant(Permission.WITHDRAW, granted)
        elif (named or not whole) and report.state(Permission.WITHDRAW) is GrantState.DENIED:
            report = report.with_grant(Permission.WITHDRAW, Grant())
        return report.model_copy(update={"account_id": text_or_none(fields.get("portfolio_uuid"))})

    def read_balances(self, market: Market, answer: Answer) -> dict[str, Decimal] | None:
        del market
        rows = answer.object.get("accounts")
        if not isinstance(rows, list):
            return None
        free: dict[str, Decimal] = {}
        for row in cast("list[object]", rows):
            item = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
            available = item.get("available_balance")
            asset = item.get("currency")
            amount = decimal(cast("dict[str, Any]", available).get("value")) if isinstance(available, dict) else None
            if not isinstance(asset, str) or not asset or amount is None:
                return None
            if amount > 0:
                free[asset] = free.get(asset, Decimal(0)) + amount
        return free

    def read_orders(self, market: Market, answer: Answer) -> int | None:
        del market
        rows = answer.object.get("orders")
        return len(cast("list[object]", rows)) if isinstance(rows, list) else None

    def dry_run_says_nothing(self, answer: Answer) -> bool:
        """The pair of the preview is not sold everywhere: a complaint about the order is none about the key."""
        return answer.status in (400, 404, 422) or self.error_code(answer.object) == "INVALID_ARGUMENT"

    def prepare_signer(self, signer: Any, site: Region) -> None:
        del site
        told = signer.seconds
        signer.seconds = lambda: told() - _BACKDATED_S

    # -- credentials

    def normalise(self, credentials: Credentials) -> Credentials:
        """An Ed25519 key in PEM becomes the Base64 form that Coinbase gives, because ccxt signs with no other."""
        return Credentials(credentials.api_key.strip().strip("\"'"), _as_coinbase_gives(credentials.secret))

    def check_credentials(self, credentials: Credentials) -> tuple[Message, ...]:
        given = self.normalise(credentials)
        if "-----BEGIN" in given.api_key:
            return (Message(text=N_("The key and the secret seem to be swapped.")),)
        problems = super().check_credentials(given)
        if problems or _is_signing_key(given.secret):
            return problems
        if re.fullmatch(_OLD_KEY, given.api_key):
            text = N_("This is a key of an older Coinbase product. Make one at the Coinbase Developer Platform.")
            return (Message(text=text),)
        text = N_("{field} is no whole private key. Copy everything, from the first character to the last.")
        return (Message(text=text, params={"field": self.fields[1].label}),)


def _is_report(body: Mapping[str, Any]) -> bool:
    return any(name in body for name in ("can_view", "can_trade", "can_transfer"))


def _error(body: Mapping[str, Any]) -> dict[str, Any]:
    """The first item of the older `errors` list."""
    errors = body.get("errors")
    first = cast("list[object]", errors)[0] if isinstance(errors, list) and errors else None
    return cast("dict[str, Any]", first) if isinstance(first, dict) else {}


def _as_coinbase_gives(secret: str) -> str:
    """The secret in one of the two forms that ccxt signs with, whatever copying made of it.

    EC keys in PEM, also where the two outer lines are lost, and Ed25519 keys in Base64, also where they came as PEM,
    in the alphabet of addresses or without the signs at the end.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
        load_pem_private_key,
    )

    if "-----BEGIN" in secret:
        text = normalise_pem(secret)
        load, data = load_pem_private_key, text.encode("ascii", "replace")
    else:
        text = "".join(secret.strip().strip("\"'").replace("\\r", "").replace("\\n", "").split())
        usual = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        usual += "=" * (-len(usual) % 4)
        load, data = load_der_private_key, _bytes(usual)
        if len(data) in (32, 64):
            return usual
    try:
        key = load(data, None)
    except Exception:  # it is told by `check_credentials`, in words
        return text
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()
    if isinstance(key, EllipticCurvePrivateKey):
        return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return text


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_signing_key(secret: str) -> bool:
    """An EC key on the curve P-256, or an Ed25519 key: 32 bytes of seed, or 64 with the public key behind it.

    That must fit, because ccxt looks at the seed only, and a damaged end would go unnoticed.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "-----BEGIN" in secret:
        try:
            key = load_pem_private_key(secret.encode("ascii", "replace"), None)
        except Exception:  # the library raises many kinds
            return False
        return isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    raw = _bytes(secret)
    if len(raw) == 32:
        return True
    return len(raw) == 64 and Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key().public_bytes_raw() == raw[32:]


EXCHANGE = Coinbase()
