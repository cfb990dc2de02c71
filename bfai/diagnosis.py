"""From an answer to its cause, and from a cause to its remedy.

The cause is judged from HTTP status, headers and raw body, never from a ccxt exception class: `PermissionDenied` is an
`AuthenticationError` there, clock skew a `NetworkError`, and a page of HTML with status 200 a success.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bfai.exchanges.base import Answer, ErrorRule, Exchange, Role
from bfai.i18n import N_
from bfai.model import (
    Cause,
    CheckName,
    Diagnosis,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    TestRun,
)
from bfai.transport import redact, retry_after_seconds

MAX_SAID = 240  # characters of the exchange's own words that are kept
_MAX_PAGE = 20_000  # characters of a page in which its words are looked for

_GENERAL: tuple[ErrorRule, ...] = (
    ErrorRule((Cause.RATE_LIMITED,), statuses=(429, 418)),
    ErrorRule(
        (Cause.RATE_LIMITED,),
        pattern=r"error(?: code)?:?\s*1015|you are being rate limited|too many requests"
        r"|access too frequent|request limit\b",
    ),
    ErrorRule((Cause.LOCATION_RESTRICTED,), statuses=(451,)),
    ErrorRule(
        (Cause.LOCATION_RESTRICTED, Cause.EXCHANGE_UNAVAILABLE),
        pattern=r"block access from your country|restricted location"
        r"|not available in your (?:country|region|current area)"
        r"|unavailable (?:in|for|from) your (?:current )?(?:country|region|area|location)|service restricted"
        r"|country(?:/| or )region|error(?: code)?:?\s*1009|banned the country",
    ),
    ErrorRule(
        (Cause.EXCHANGE_UNAVAILABLE,),
        pattern=r"under maintenance|in maintenance|system maintenance|scheduled maintenance|system upgrade",
    ),
    ErrorRule((Cause.EXCHANGE_UNAVAILABLE,), statuses=(500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530)),
)
"""What every exchange's network edge says alike."""

_PHRASES: tuple[ErrorRule, ...] = (
    ErrorRule(
        (Cause.INVALID_KEY, Cause.IP_NOT_ALLOWED, Cause.PERMISSION_MISSING),
        pattern=r"api[ -]?key, (?:request )?ip,? or permissions?",
        clear=False,
    ),
    ErrorRule(
        (Cause.IP_NOT_ALLOWED,),
        pattern=r"\bip\b[^.]{0,60}(?:white ?-?list|not allowed|not match|not bound|invalid|incorrect|forbidden)"
        r"|white ?-?list[^.]{0,40}\bip\b|invalid (?:request )?ip\b",
    ),
    ErrorRule(
        (Cause.INVALID_KEY, Cause.INVALID_PASSPHRASE),
        pattern=r"api ?key ?(?:/|or|and) ?pass(?:word|phrase)",
        clear=False,
    ),
    ErrorRule((Cause.INVALID_PASSPHRASE, Cause.INVALID_SECRET), pattern=r"passphrase"),
    ErrorRule(
        (Cause.CLOCK_SKEW,),
        pattern=r'recv_?window|timestamp(?:[^."]|\\"){0,60}(?:outside|expired|ahead|invalid|window)'
        r'|invalid(?:[^."]|\\"){0,20}timestamp|invalid nonce',
    ),
    ErrorRule((Cause.EXPIRED_KEY,), pattern=r"(?:api ?-?key|key|token)[^.]{0,30}expired|expired (?:api )?key"),
    ErrorRule(
        (Cause.INVALID_SECRET, Cause.INVALID_KEY),
        pattern=r"signature|\bsign\b[^.]{0,20}(?:error|invalid)|invalid[^.]{0,20}\bsign\b",
    ),
    ErrorRule(
        (Cause.PERMISSION_MISSING,),
        pattern=r"permission|not authorized|no authority|missing required scopes?|insufficient scope",
    ),
    ErrorRule(
        (Cause.ACCOUNT_RESTRICTED,),
        pattern=r"(?:account|user)[^.]{0,40}(?:frozen|suspended|banned|abnormal|restricted|disabled|locked|\bban\b)"
        r"|transactions? (?:are|is) banned|unified account mode|classic account",
    ),
    ErrorRule(
        (Cause.INVALID_KEY, Cause.EXPIRED_KEY),
        pattern=r"(?:api|access)[ _-]?key[^.]{0,40}(?:invalid|not exist|not found|incorrect|unknown|error|wrong)"
        r"|(?:invalid|incorrect|unknown|wrong)[^.]{0,12}(?:api|access)[ _-]?key|not logged in",
    ),
    ErrorRule(
        (Cause.INVALID_KEY, Cause.INVALID_SECRET),
        pattern=r"(?:key|header)[^.]{0,40}(?:can ?not be empty|is empty|missing|required)|missing required header"
        r"|authentication failed",
    ),
    ErrorRule(
        (Cause.EXCHANGE_UNAVAILABLE,),
        pattern=r"(?:internal )?server error|system (?:exception|error|busy)|service unavailable|server is busy",
    ),
)
"""Last resort for a JSON error whose code no document names: what its sentence says."""

_STATUSES: tuple[ErrorRule, ...] = (
    ErrorRule((Cause.LOCATION_RESTRICTED, Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED), statuses=(403,)),
    ErrorRule((Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.PERMISSION_MISSING), statuses=(401,), clear=False),
)
"""Last resort for any other answer: its status alone."""


# -- one answer --------------------------------------------------------------------------------------------------------


def diagnose(answer: Answer, exchange: Exchange | None = None, *, secrets: Iterable[str] = ()) -> Diagnosis | None:
    """Why this answer is a failure, or None where it is the exchange's documented success.

    Without an exchange only what all network edges have in common is known. The exchange's words come back redacted.
    """
    if answer.transport_error is not None:
        return below_http(answer)
    if exchange is not None and exchange.succeeded(answer):
        return None
    _, rule = first_rule(answer, exchange)
    return by_rule(rule, answer, words_of(answer, exchange, secrets))


def by_rule(rule: ErrorRule | None, answer: Answer, said: str | None) -> Diagnosis:
    if rule is None:
        return Diagnosis(
            cause=Cause.UNEXPECTED_RESPONSE,
            candidates=(Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK),
            exchange_said=said,
        )
    cause = rule.causes[0] if rule.clear else Cause.AMBIGUOUS
    permission = None
    if Cause.PERMISSION_MISSING in rule.causes[:1]:
        permission = rule.permission or (answer.call.right if answer.call else None)
        if permission is Permission.WITHDRAW:
            permission = None
    return Diagnosis(
        cause=cause,
        candidates=rule.causes,
        permission=permission,
        exchange_said=said,
        seen_ip=address_in(answer.body) if Cause.IP_NOT_ALLOWED in rule.causes else None,
        retry_after_s=retry_after_seconds(answer.headers) if cause is Cause.RATE_LIMITED else None,
    )


_BELOW_HTTP: Mapping[str | None, tuple[Cause, ...]] = {
    "unsigned": (Cause.MALFORMED_CREDENTIALS, Cause.INVALID_SECRET),
    "proxy": (Cause.LOCAL_NETWORK,),
    "tls": (Cause.LOCAL_NETWORK, Cause.EXCHANGE_UNAVAILABLE),
    "truncated": (Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK),
    "protocol": (Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK),
}


def below_http(answer: Answer) -> Diagnosis:
    """No whole answer came. From one exchange's silence alone nobody can tell whether it is them or us."""
    causes = _BELOW_HTTP.get(answer.transport_error, (Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK))
    return Diagnosis(cause=causes[0], candidates=causes)


class Sure(IntEnum):
    """What a rule rests on: smaller is surer."""

    DOCUMENTED = 0
    WORDS = 1
    NETWORK_EDGE = 2
    SENTENCE = 3
    STATUS = 4
    NOTHING = 5


def first_rule(
    answer: Answer, exchange: Exchange | None, *, code: str | None = None, prose: bool = False
) -> tuple[Sure, ErrorRule | None]:
    """The rule that fits best. `code`: an error code that stands outside the JSON. `prose`: sentences count although
    no JSON holds them.
    """
    body = answer.object
    if exchange is not None:
        code = code or exchange.error_code(body)
        for rule in exchange.error_rules:
            if rule.fits(code, answer):
                return (Sure.DOCUMENTED if rule.codes else Sure.WORDS), rule
    for rule in _GENERAL:
        if rule.fits(None, answer):
            return Sure.NETWORK_EDGE, rule
    if body or prose:
        rule = next((rule for rule in _PHRASES if rule.fits(None, answer)), None)
        if rule is not None or body:
            return Sure.SENTENCE, rule
    for rule in _STATUSES:
        if rule.fits(None, answer):
            return Sure.STATUS, rule
    return Sure.NOTHING, None


_TITLE = re.compile(r"<(title|h1)[^<>]*>([^<]*)</\1>", re.IGNORECASE)


def words_of(answer: Answer, exchange: Exchange | None, secrets: Iterable[str]) -> str | None:
    """The exchange's own words, short and redacted: code and sentence of a JSON error, or the title of a page."""
    body = answer.object
    if body and exchange is not None:
        words = f"{exchange.error_code(body) or ''} {exchange.error_words(body)}".strip()
    elif body:
        words = json.dumps(body, default=str)
    else:
        page = answer.body[:_MAX_PAGE]
        title = _TITLE.search(page)
        words = title[2] if title else re.sub(r"<[^<>]*>", " ", page)
    words = re.sub(r"\s+", " ", redact(words or answer.error_text, secrets)).strip()
    words = "".join(character for character in words if character.isprintable())
    return (words[: MAX_SAID - 1] + "…" if len(words) > MAX_SAID else words) or None


# The end of a word is no group of an address: in "not allowed:2001:db8::7" it would make another one of it.
_ADDRESS_LIKE = re.compile(r"(?:(?<![0-9A-Za-z])[0-9a-fA-F]+|(?<![0-9])[0-9]{1,3}(?=\.))?[:.][0-9a-fA-F:.]*")
_STOPS = ":."  # what stands around an address in a sentence


def address_in(text: str) -> str | None:
    """The first IP address in a refusal: the one that the exchange saw. An IPv4 one that is written as IPv6 is told as
    the page of a key takes it.
    """
    for match in _ADDRESS_LIKE.finditer(text):
        if match[0].count(".") < 3 and match[0].count(":") < 2:  # most of a long text: no address has so few
            continue
        told = match[0].rstrip(_STOPS)
        for candidate in (match[0], told, told.removeprefix(":"), told.lstrip(_STOPS)):
            try:
                address = ipaddress.ip_address(candidate)
            except ValueError:
                continue
            if isinstance(address, ipaddress.IPv6Address):
                address = address.ipv4_mapped or address
            if not address.is_unspecified:
                return str(address)
    return None


# -- many answers about one key ----------------------------------------------------------------------------------------

KEY_CAUSES = frozenset(
    {
        Cause.INVALID_KEY,
        Cause.INVALID_SECRET,
        Cause.INVALID_PASSPHRASE,
        Cause.MALFORMED_CREDENTIALS,
        Cause.EXPIRED_KEY,
        Cause.WRONG_ENVIRONMENT,
        Cause.IP_NOT_ALLOWED,
        Cause.CLOCK_SKEW,
        Cause.ACCOUNT_RESTRICTED,
        Cause.AMBIGUOUS,
    }
)
"""Causes that are about the key as a whole, not about one call."""


def merge(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """One diagnosis for a key that several calls refused: what all of them allow, told by the most definite of them."""
    about_key = [diagnosis for diagnosis in diagnoses if diagnosis.cause in KEY_CAUSES] or list(diagnoses)
    most_definite = min(about_key, key=lambda diagnosis: len(diagnosis.candidates))
    common = tuple(
        cause for cause in most_definite.candidates if all(cause in diagnosis.candidates for diagnosis in about_key)
    )
    if not common or common == most_definite.candidates:
        return _with_address(most_definite, diagnoses)
    cause = most_definite.cause if most_definite.cause in common else common[0]
    if most_definite.cause is Cause.AMBIGUOUS and len(common) > 1:
        cause = Cause.AMBIGUOUS
    return _with_address(most_definite.model_copy(update={"cause": cause, "candidates": common}), diagnoses)


def _with_address(chosen: Diagnosis, all_of_them: Sequence[Diagnosis]) -> Diagnosis:
    """One call may tell the address that the exchange saw while another refuses without a word."""
    seen = chosen.seen_ip or next((diagnosis.seen_ip for diagnosis in all_of_them if diagnosis.seen_ip), None)
    return chosen.model_copy(update={"seen_ip": seen})


# -- the remedy --------------------------------------------------------------------------------------------------------


class Section(StrEnum):
    """The parts of the guide to an exchange's keys."""

    BOXES = "boxes"
    STEPS = "steps"
    ADDRESS = "address"
    LIFE = "life"
    REFUSALS = "refusals"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is wrong and what to do. `value` is something to copy, `wait_s` how long waiting helps, `link` where to go,
    `section` the part of the exchange's guide that tells more.
    """

    title: Message
    text: Message
    steps: tuple[Message, ...] = ()
    value: str | None = None
    link: str | None = None
    wait_s: float | None = None
    severity: Status = Status.FAILED
    said: str | None = None
    section: Section = Section.REFUSALS


@dataclass(frozen=True, slots=True)
class KnownRefusal:
    """What an exchange often says, what it is called here, and the way out of it."""

    said: str
    cause: Cause
    text: Message


def known_refusals(exchange: Exchange, market: Market) -> tuple[KnownRefusal, ...]:
    """The common refusals of the exchange's guide, judged as those of a test are. The commonest first."""
    found: list[KnownRefusal] = []
    for refusal in exchange.guide.refusals:
        diagnosis = diagnose(Answer(status=refusal.status, body=refusal.body), exchange)
        if diagnosis is None:
            continue
        text = sentence(diagnosis.model_copy(update={"seen_ip": None}), exchange, market)
        if refusal.hint:
            text = Message(text=refusal.hint, params={"exchange": exchange.name})
        found.append(KnownRefusal(diagnosis.exchange_said or "", diagnosis.cause, text))
    return tuple(found)


_SECTIONS: Mapping[Cause, Section] = {
    Cause.IP_NOT_ALLOWED: Section.ADDRESS,
    Cause.PERMISSION_MISSING: Section.BOXES,
    Cause.WITHDRAW_ENABLED: Section.BOXES,
    Cause.WITHDRAW_UNKNOWN: Section.BOXES,
    Cause.EXPIRED_KEY: Section.LIFE,
    Cause.INVALID_PASSPHRASE: Section.STEPS,
    Cause.MALFORMED_CREDENTIALS: Section.STEPS,
}

_SENTENCES: Mapping[Cause, str] = {
    Cause.INVALID_KEY: N_("Copy the key again from {exchange}, whole and without blanks, or make a new one."),
    Cause.INVALID_SECRET: N_(
        "Paste the secret again. If it is lost, make a new key: {exchange} shows a secret only once."
    ),
    Cause.INVALID_PASSPHRASE: N_(
        "Type the passphrase that you chose when you made the key. {exchange} says the same when the secret is wrong, "
        "so check both."
    ),
    Cause.MALFORMED_CREDENTIALS: N_("Copy key and secret again, each into its own box."),
    Cause.EXPIRED_KEY: N_(
        "Make a new key at {exchange} and rotate it here. Bind it to your address, so that it lives longer."
    ),
    Cause.WRONG_ENVIRONMENT: N_("Choose the region or environment in which the key was made."),
    Cause.IP_NOT_ALLOWED: N_("Add the address that {exchange} saw to the key's list, then test again."),
    Cause.PERMISSION_MISSING: N_("Tick the missing box of this key at {exchange}. Leave the right to withdraw off."),
    Cause.WITHDRAW_ENABLED: N_(
        "Take the right to withdraw away from the key at {exchange}, or delete the key. Then test again."
    ),
    Cause.WITHDRAW_UNKNOWN: N_(
        "Look at the key's page at {exchange}: is the right to withdraw off? Then confirm it here."
    ),
    Cause.CLOCK_SKEW: N_("Set this computer's clock by the internet, then test again."),
    Cause.RATE_LIMITED: N_(
        "Wait a little, then test again. Another program may be asking {exchange} from your address."
    ),
    Cause.EXCHANGE_UNAVAILABLE: N_("Wait some minutes, then test again. Nothing is wrong with your key."),
    Cause.LOCATION_RESTRICTED: N_(
        "{exchange} does not serve the place from which this program asks. Run it where {exchange} serves you."
    ),
    Cause.ACCOUNT_RESTRICTED: N_("Log in at {exchange} and read what it asks of you, or write to its support."),
    Cause.LOCAL_NETWORK: N_("No exchange answers from here. Check your own connection; this test does not count."),
    Cause.AMBIGUOUS: N_("{exchange} refuses and does not say why. Go through the causes, likeliest first."),
    Cause.UNEXPECTED_RESPONSE: N_("{exchange} answered something that no document describes. Test again in a while."),
}

# No word stands in for the name: languages with cases need each sentence whole.
_NAMELESS: Mapping[Cause, str] = {
    Cause.INVALID_KEY: N_("Copy the key again from the exchange, whole and without blanks, or make a new one."),
    Cause.INVALID_SECRET: N_(
        "Paste the secret again. If it is lost, make a new key: an exchange shows a secret only once."
    ),
    Cause.INVALID_PASSPHRASE: N_(
        "Type the passphrase that you chose when you made the key. Some exchanges say the same when the secret is "
        "wrong, so check both."
    ),
    Cause.EXPIRED_KEY: N_(
        "Make a new key at the exchange and rotate it here. Bind it to your address, so that it lives longer."
    ),
    Cause.IP_NOT_ALLOWED: N_("Add the address that the exchange saw to the key's list, then test again."),
    Cause.PERMISSION_MISSING: N_("Tick the missing box of this key at the exchange. Leave the right to withdraw off."),
    Cause.WITHDRAW_ENABLED: N_(
        "Take the right to withdraw away from the key at the exchange, or delete the key. Then test again."
    ),
    Cause.WITHDRAW_UNKNOWN: N_(
        "Look at the key's page at the exchange: is the right to withdraw off? Then confirm it here."
    ),
    Cause.RATE_LIMITED: N_(
        "Wait a little, then test again. Another program may be asking the exchange from your address."
    ),
    Cause.LOCATION_RESTRICTED: N_(
        "The exchange does not serve the place from which this program asks. Run it where the exchange serves you."
    ),
    Cause.ACCOUNT_RESTRICTED: N_("Log in at the exchange and read what it asks of you, or write to its support."),
    Cause.AMBIGUOUS: N_("The exchange refuses and does not say why. Go through the causes, likeliest first."),
    Cause.UNEXPECTED_RESPONSE: N_("The exchange answered something that no document describes. Test again in a while."),
}

_TITLES: Mapping[Cause, str] = {
    Cause.INVALID_KEY: N_("{exchange} does not know this key"),
    Cause.INVALID_SECRET: N_("The secret does not fit the key"),
    Cause.INVALID_PASSPHRASE: N_("The passphrase does not fit the key"),
    Cause.MALFORMED_CREDENTIALS: N_("These are not a whole key and secret"),
    Cause.EXPIRED_KEY: N_("This key has expired"),
    Cause.WRONG_ENVIRONMENT: N_("This key belongs to another region"),
    Cause.IP_NOT_ALLOWED: N_("{exchange} does not accept your address"),
    Cause.PERMISSION_MISSING: N_("The key lacks a right"),
    Cause.WITHDRAW_ENABLED: N_("This key can withdraw your money."),
    Cause.WITHDRAW_UNKNOWN: N_("{exchange} does not tell whether this key can withdraw."),
    Cause.CLOCK_SKEW: N_("This computer's clock is wrong"),
    Cause.RATE_LIMITED: N_("{exchange} asks us to slow down"),
    Cause.EXCHANGE_UNAVAILABLE: N_("{exchange} is not available"),
    Cause.LOCATION_RESTRICTED: N_("{exchange} does not answer requests from this location"),
    Cause.ACCOUNT_RESTRICTED: N_("{exchange} has restricted this account"),
    Cause.LOCAL_NETWORK: N_("Your own connection is down."),
    Cause.AMBIGUOUS: N_("{exchange} refuses this key and does not say why."),
    Cause.UNEXPECTED_RESPONSE: N_("{exchange} answered in an unknown way"),
}

CAUSE_NAMES: Mapping[Cause, str] = {
    Cause.INVALID_KEY: N_("Invalid key"),
    Cause.INVALID_SECRET: N_("Wrong secret"),
    Cause.INVALID_PASSPHRASE: N_("Wrong passphrase"),
    Cause.MALFORMED_CREDENTIALS: N_("Incomplete credentials"),
    Cause.EXPIRED_KEY: N_("Key expired"),
    Cause.WRONG_ENVIRONMENT: N_("Wrong region or environment"),
    Cause.IP_NOT_ALLOWED: N_("IP not allowed"),
    Cause.PERMISSION_MISSING: N_("Right missing"),
    Cause.WITHDRAW_ENABLED: N_("Withdrawal is on"),
    Cause.WITHDRAW_UNKNOWN: N_("Withdrawal not told"),
    Cause.CLOCK_SKEW: N_("Clock differs"),
    Cause.RATE_LIMITED: N_("Too many requests"),
    Cause.EXCHANGE_UNAVAILABLE: N_("Exchange unavailable"),
    Cause.LOCATION_RESTRICTED: N_("Location restricted"),
    Cause.ACCOUNT_RESTRICTED: N_("Account restricted"),
    Cause.LOCAL_NETWORK: N_("Own network down"),
    Cause.AMBIGUOUS: N_("Several causes possible"),
    Cause.UNEXPECTED_RESPONSE: N_("Unknown answer"),
}
"""Short names for lists and charts."""

_PERMISSION_TITLES: Mapping[Permission | None, str] = {
    Permission.READ: N_("The key may not read"),
    Permission.SPOT_TRADE: N_("No trading permission"),
    Permission.FUTURES_TRADE: N_("No permission to trade futures"),
}

PERMISSION_NAMES: Mapping[Permission, str] = {
    Permission.WITHDRAW: N_("Withdraw"),
    Permission.READ: N_("Read"),
    Permission.SPOT_TRADE: N_("Trade spot"),
    Permission.FUTURES_TRADE: N_("Trade futures"),
    Permission.TRANSFER: N_("Transfer"),
    Permission.MARGIN: N_("Margin"),
}


def sentence(
    diagnosis: Diagnosis, exchange: Exchange | None, market: Market = Market.SPOT, report: KeyReport | None = None
) -> Message:
    """The remedy in one sentence, as the command line and a card give it."""
    if exchange is None:
        return _nameless(diagnosis)
    name = exchange.name
    if diagnosis.cause is Cause.IP_NOT_ALLOWED and diagnosis.seen_ip:
        text = N_("{exchange} saw {ip}, which is not on this key's list. Add it there, then test again.")
        return Message(text=text, params={"exchange": name, "ip": diagnosis.seen_ip})
    boxes = _boxes(exchange, diagnosis, market, report) if diagnosis.cause is Cause.PERMISSION_MISSING else ()
    if boxes:
        text = N_("Tick {q_boxes} of this key at {exchange}. Leave the right to withdraw off. Then test again.")
        return Message(text=text, params={"exchange": name, "q_boxes": "\n".join(boxes)})
    if _is_about_mode(diagnosis):
        text = N_(
            "This {exchange} account is set to a mode without futures. Choose another mode there, then test again."
        )
        return Message(text=text, params={"exchange": name})
    if diagnosis.region is not None:
        text = N_("This key was made at {region}. Choose that region, then test again.")
        return Message(text=text, params={"region": exchange.region(diagnosis.region).name})
    return Message(text=_SENTENCES[diagnosis.cause], params={"exchange": name})


def _nameless(diagnosis: Diagnosis) -> Message:
    """The remedy where the exchange is not known."""
    if diagnosis.cause is Cause.IP_NOT_ALLOWED and diagnosis.seen_ip:
        text = N_("The exchange saw {ip}, which is not on this key's list. Add it there, then test again.")
        return Message(text=text, params={"ip": diagnosis.seen_ip})
    return Message(text=_NAMELESS.get(diagnosis.cause, _SENTENCES[diagnosis.cause]))


def _is_about_mode(diagnosis: Diagnosis) -> bool:
    """Whether the key is fine and the account as a whole trades no futures."""
    return diagnosis.cause is Cause.ACCOUNT_RESTRICTED and diagnosis.check is CheckName.FUTURES


def may_belong_elsewhere(found: Diagnosis) -> bool:
    """Whether the refusal fits a key that was made in another region."""
    return not {Cause.INVALID_KEY, Cause.WRONG_ENVIRONMENT}.isdisjoint(found.candidates)


def other_regions(run: TestRun, exchange: Exchange) -> tuple[str, ...]:
    """The hosts that may be asked for a key that this region does not know. They would see the key."""
    found = run.diagnosis
    if found is None or found.region is not None or not may_belong_elsewhere(found):
        return ()
    call = next(call for call in exchange.calls if call.role is Role.KEY_INFO)
    others = (region for region in exchange.regions if region.id != run.region)
    return tuple(dict.fromkeys(region.hosts[call.host] for region in others if call.host in region.hosts))


def remedy(
    diagnosis: Diagnosis, exchange: Exchange, market: Market, report: KeyReport | None, *, stored: bool
) -> Remedy:
    """What the page shows for a failed or blocked test."""
    params: dict[str, str | int | float] = {"exchange": exchange.name}
    title = _TITLES[diagnosis.cause]
    steps: tuple[str, ...]
    text = sentence(diagnosis, exchange, market, report)
    link = None if diagnosis.cause.passes_by_itself else exchange.guide.key_page
    severity = Status.FAILED
    value: str | None = None
    match diagnosis.cause:
        case Cause.WITHDRAW_ENABLED:
            severity = Status.BLOCKED
            params["q_boxes"] = "\n".join(exchange.boxes(Permission.WITHDRAW))
            text = Message(
                text=N_("{exchange} lists the right to withdraw. No strategy can use this connection until it is gone.")
                if stored
                else N_(
                    "{exchange} lists the right to withdraw. The key was refused: nothing was saved, nothing was moved."
                ),
                params=params,
            )
            steps = (
                N_(
                    "Open the key at {exchange} and choose Edit. Where a key cannot be edited, delete it and make a "
                    "new one."
                ),
                N_("Take the tick away from {q_boxes} and confirm with your 2FA code."),
                N_("Test again here."),
            )
        case Cause.WITHDRAW_UNKNOWN:
            severity = Status.BLOCKED
            params["q_boxes"] = "\n".join(exchange.boxes(Permission.WITHDRAW))
            text = Message(text=N_("Only you can see it. We ask again in 30 days, or when the key changes."))
            steps = (
                N_("Open the key's page at {exchange}."),
                N_("Is {q_boxes} empty? Then confirm it here."),
                N_("Is it ticked? Take the tick away, then test again."),
            )
        case Cause.IP_NOT_ALLOWED:
            value = diagnosis.seen_ip
            text = Message(
                text=N_("The key is bound to a list of addresses. The one that {exchange} saw is not on it:")
                if value
                else N_(
                    "The key is bound to a list of addresses, and yours is not on it. {exchange} does not say which it "
                    "saw."
                ),
                params=params,
            )
            steps = (
                N_("Open the key at {exchange} and choose Edit."),
                N_("Add this address to its list of allowed addresses and confirm with your 2FA code."),
                N_("Test again."),
                N_("Is the key for a bot on a server? Leave its list as it is, and test it where the bot runs.")
                if stored
                else N_(
                    "Is the key for a bot on a server? Leave its list as it is, save the connection, then test it where"
                    " the bot runs."
                ),
            )
        case Cause.PERMISSION_MISSING:
            title = _PERMISSION_TITLES.get(diagnosis.permission, title)
            boxes = _boxes(exchange, diagnosis, market, report)
            params["q_boxes"] = "\n".join(boxes)
            steps = (
                N_("Open the key at {exchange} and choose Edit."),
                N_("Tick {q_boxes}. Leave the right to withdraw off.")
                if boxes
                else N_("Tick the missing box. Leave the right to withdraw off."),
                N_("Test again."),
            )
        case Cause.INVALID_PASSPHRASE:
            steps = (
                N_("Type the passphrase again. Upper and lower case count."),
                N_("Paste the secret again as well: {exchange} checks the passphrase with it."),
                N_("Passphrase forgotten? Make a new key: nobody can show it to you."),
            )
        case Cause.INVALID_SECRET | Cause.INVALID_KEY | Cause.MALFORMED_CREDENTIALS:
            steps = (
                N_("Copy the key and the secret again from {exchange}."),
                N_("Is the secret no longer shown? Delete the key there and make a new one."),
                N_("Test again."),
            )
        case Cause.ACCOUNT_RESTRICTED if _is_about_mode(diagnosis):
            title = N_("This account trades no futures")
            steps = (
                N_("Log in at {exchange} and open the settings of its trading page."),
                N_("Choose an account mode that has futures. Your key may stay as it is."),
                N_("Test again."),
            )
        case Cause.AMBIGUOUS:
            steps = tuple(_SENTENCES[cause] for cause in diagnosis.candidates if cause is not Cause.AMBIGUOUS)
        case _:
            steps = ()
    return Remedy(
        title=Message(text=title, params=params),
        text=text,
        steps=tuple(Message(text=step, params=params) for step in steps),
        value=value,
        link=link,
        wait_s=_wait(diagnosis),
        severity=severity,
        said=diagnosis.exchange_said,
        section=_SECTIONS.get(diagnosis.cause, Section.REFUSALS),
    )


def _boxes(exchange: Exchange, diagnosis: Diagnosis, market: Market, report: KeyReport | None) -> tuple[str, ...]:
    """The boxes to tick, in the exchange's words: exactly the missing ones where the key report tells which are
    there.
    """
    if diagnosis.permission is None:
        return ()
    boxes = exchange.boxes(diagnosis.permission)
    if report is not None and report.words:
        there = {right for word in report.words if (right := exchange.right(word)) is not None}
        kinds = {right.kind for right in there} or {right.kind for right in exchange.rights}
        wanted = [right for right in exchange.rights if market in right.needed_for and right.kind in {*kinds, ""}]
        boxes = tuple(right.box for right in wanted if right not in there) or boxes
    elif diagnosis.permission is Permission.READ:
        boxes = tuple(
            right.box for right in exchange.rights if Permission.READ in right.grants and market in right.needed_for
        )
    return boxes


def _wait(diagnosis: Diagnosis) -> float | None:
    if diagnosis.cause is Cause.RATE_LIMITED:
        return diagnosis.retry_after_s or 30.0
    return 20.0 if diagnosis.cause is Cause.EXCHANGE_UNAVAILABLE else None
