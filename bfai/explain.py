"""From a text that somebody has to a cause: what a bot, ccxt or an exchange printed, whole, cut off or quoted.

Every way to read the text is tried, the surest one wins. Works offline, never raises, keeps none of the text.
"""

from __future__ import annotations

import ast
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from bfai.diagnosis import Sure, address_in, below_http, by_rule, first_rule, words_of
from bfai.exchanges.base import Answer, ErrorRule, Exchange, Role
from bfai.model import Cause, Diagnosis, Evidence, Grant, GrantState, KeyReport

_NO_ANSWER = re.compile(
    r"(?P<dns>no such host|name or service not known|getaddrinfo|nodename nor servname"
    r"|temporary failure in name resolution"
    r"|ENOTFOUND|EAI_AGAIN|could not contact dns|cannot connect to host .* ssl:default \[(?:name|domain))"
    r"|(?P<refused>connection refused|ECONNREFUSED)"
    r"|(?P<network_unreachable>network is unreachable|ENETUNREACH|no route to host|EHOSTUNREACH)"
    r"|(?P<reset>connection reset|ECONNRESET|server disconnected|remote end closed|connection aborted"
    r"|broken pipe|EPIPE)"
    r"|(?P<tls>certificate verify failed|SSLError|ssl: wrong_version|CERTIFICATE_VERIFY)"
    r"|(?P<proxy>proxyerror|tunnel connection failed|cannot connect to proxy)"
    r"|(?P<read_timeout>timed? ?out|ETIMEDOUT|RequestTimeout|deadline exceeded)",
    re.IGNORECASE,
)


def recognise(text: str, exchanges: Iterable[Exchange]) -> Exchange | None:
    """The exchange that a pasted text speaks of: by its hosts, its names and headers, or the shape of its JSON.

    Where several are named, the one that is named first.
    """
    return next(iter(_named(text, exchanges)), None)


def _named(text: str, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Every exchange that a text speaks of, the one that most likely is meant first."""
    known = list(exchanges)
    named: list[Exchange] = []
    for find in (_host_in, _name_in, _shape_in):
        if find is _shape_in:
            text = "\n".join((text, *_objects(text[:_MAX_PASTED])))
        found = [(place, exchange) for exchange in known if (place := find(text, exchange)) is not None]
        named += [exchange for _, exchange in sorted(found, key=lambda pair: pair[0]) if exchange not in named]
    return named


def _host_in(text: str, exchange: Exchange) -> int | None:
    sites = (*exchange.regions, *exchange.tests.values())
    places = [text.find(host) for site in sites for host in site.hosts.values()]
    return min((place for place in places if place >= 0), default=None)


def _name_in(text: str, exchange: Exchange) -> int | None:
    match = re.search(exchange.host_pattern, text, re.IGNORECASE)
    glued = re.search(rf"(?<![A-Za-z])(?i:{exchange.id}|{exchange.ccxt_id})(?=[A-Z_][A-Za-z])", text)
    return min((found.start() for found in (match, glued) if found), default=None)  # glued: as in OkxAPIException


def _shape_in(text: str, exchange: Exchange) -> int | None:
    match = re.search(exchange.body_pattern, text)
    return match.start() if match else None


class _Kind(IntEnum):
    """How a text was read: smaller is closer to what the exchange sent."""

    OBJECT = 0
    PAIRS = 1
    CODE = 2
    NO_ANSWER = 3
    PROSE = 4


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read a pasted text. `code` is an error code that stands outside of JSON."""

    kind: _Kind
    answer: Answer
    code: str | None = None


_MAX_PASTED = 100_000  # characters that are looked at
_MAX_OBJECTS = 40
_OBJECT = re.compile(r"\{(?=\s{0,9}[\"'}])|\A\s*(?=\[)")
_PAIR = re.compile(
    r"""(?P<quote>["']?)(?P<name>[A-Za-z][\w-]{0,40})(?P=quote)\s?[:=]\s?"""
    r"""(?:"(?P<text>[^"]{0,2000})"?|'(?P<single>[^']{0,2000})'?|(?P<bare>-?[\w.-]{1,60}))"""
)
_WORD = re.compile(r"(?<![\w.:/-])-?\w[\w-]{0,60}(?![\w])")
_FRAME = re.compile(r'^[ \t]*File "[^"\n]*", line \d+[^\n]*\n(?:[ \t]+[^\n]*\n?){0,2}', re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)
_QUERY = re.compile(r"(?<=[\w/])\?[\w%.~-]+=[^\s\"'<>\\]*")
_RAISED = re.compile(
    r"^[ \t]*(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Timeout|NotAvailable|Disconnected))\b", re.M
)
_OF_PYTHON = frozenset(
    "ArithmeticError AssertionError AttributeError EOFError FileExistsError FileNotFoundError ImportError IndexError"
    " IndentationError IsADirectoryError KeyError LookupError MemoryError ModuleNotFoundError NameError"
    " NotADirectoryError NotImplementedError OverflowError PermissionError RecursionError SyntaxError TypeError"
    " UnboundLocalError UnicodeDecodeError UnicodeError ValueError ZeroDivisionError".split()
)


def _readings(text: str, exchange: Exchange | None, status: int | None, role: str) -> Iterator[_Reading]:
    """Everything that a text may be: the objects in it as JSON or as a program prints them, its pairs of name and
    value, its error codes, its sentences. Where an object carries the exchange's own code, nothing else counts.
    """
    status = status or _status_in(text)
    text = _COMMENT.sub("", _FRAME.sub("", text[:_MAX_PASTED]))
    found = [Answer(role=role, status=status, body=body) for body in _objects(text)]
    coded = [answer for answer in found if exchange is not None and exchange.error_code(answer.object)]
    for answer in coded or found:
        yield _Reading(_Kind.OBJECT, answer)
    if coded:
        return
    text = _what_was_said(text)
    page = re.search(r"(?i)<html|<!doctype|<body|<div", text) is not None
    whole = Answer(role=role, status=status, body=text)
    if exchange is not None and not page:
        documented = {code for rule in exchange.error_rules for code in rule.codes}
        pairs = _pairs(text)
        if pairs and exchange.error_code(pairs) in documented:
            yield _Reading(_Kind.PAIRS, Answer(role=role, status=status, body=json.dumps(pairs)))
        for code in _codes_in(text, exchange, documented):
            yield _Reading(_Kind.CODE, whole, code)
    missing = None if page or status else _NO_ANSWER.search(text)
    if missing is not None:
        yield _Reading(_Kind.NO_ANSWER, Answer(role=role, transport_error=missing.lastgroup, error_text=text[:300]))
    yield _Reading(_Kind.OBJECT if page else _Kind.PROSE, whole)


def _what_was_said(text: str) -> str:
    """The text without the parameters of addresses, which speak of signatures whatever went wrong, and from the last
    exception on. Of an error that Python itself raised nothing is left.
    """
    text = _QUERY.sub("", text)
    raised = list(_RAISED.finditer(text))
    if not raised:
        return "" if "[Errno 13]" in text else text
    return "" if raised[-1][1] in _OF_PYTHON else text[raised[-1].start() :]


def _objects(text: str) -> list[str]:
    """The outermost objects in a text, as JSON, whether they stand there as JSON, within a JSON text, or as Python
    prints them.
    """
    escaped = '\\"' in text
    return [*_plain_objects(text), *(_plain_objects(text.replace('\\"', '"')) if escaped else ())]


def _plain_objects(text: str) -> Iterator[str]:
    decoder, at, tried = json.JSONDecoder(), 0, 0
    while tried < _MAX_OBJECTS and (match := _OBJECT.search(text, at)):
        start, at, tried = match.end() if not match[0].startswith("{") else match.start(), match.end() or 1, tried + 1
        try:
            value, at = decoder.raw_decode(text, start)
            yield text[start:at]
        except (ValueError, RecursionError):
            end = _end_of_object(text, start)
            try:
                value = ast.literal_eval(text[start:end]) if end else None
                if isinstance(value, dict):
                    yield json.dumps(value, default=str)
                    at = end
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue


_MARK = re.compile(r"""[{}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|["']""", re.DOTALL)


def _end_of_object(text: str, start: int) -> int:
    """Behind the brace that closes the one at `start`, quotes respected; 0 where it is not within reach."""
    depth = 0
    for found in _MARK.finditer(text, start, start + 4000):
        mark = found[0]
        if mark in "\"'":  # a quote that nothing closes
            return 0
        if mark in "{}":
            depth += 1 if mark == "{" else -1
            if depth == 0:
                return found.end()
    return 0


def _pairs(text: str) -> dict[str, object]:
    """What is left of an answer that was cut off, or that a program printed as `name=value`."""
    found: dict[str, object] = {}
    for match in _PAIR.finditer(text):
        value = match["text"] or match["single"] or match["bare"] or ""
        number = match["bare"] is not None and re.fullmatch(r"-?\d{1,15}", value)
        found.setdefault(match["name"], int(value) if number else value)
    return {"message": text, **found} if found else {}


def _codes_in(text: str, exchange: Exchange, documented: set[str]) -> list[str]:
    """The exchange's documented error codes that stand in a text by themselves: words such as INVALID_KEY anywhere,
    numbers only where something says that they are codes. Each once, in the order of their last places.
    """
    names = "|".join(map(re.escape, {exchange.id, exchange.ccxt_id, exchange.name}))
    says_code = re.compile(
        rf"(?i)(?:code|err(?:or)?|exception|label|status|ret|\(\d{{3}},|\[|\b(?:{names}))\W{{0,4}}\Z"
    )
    found = [
        match[0]
        for match in _WORD.finditer(text)
        if match[0] in documented
        and (
            re.search(r"[A-Za-z][_-]", match[0]) is not None
            or says_code.search(text, max(0, match.start() - 20), match.start())
        )
    ]
    return list(dict.fromkeys(reversed(found)))[::-1]


def _status_in(text: str) -> int | None:
    """An HTTP status that the text names, as in `HTTP 403` or ccxt's `GET https://… 403 Forbidden`."""
    match = re.search(
        r"(?:\bHTTP(?:/[\d.]+)?[ :]+|status(?:[ _]code)?[ =:]+|https://\S+ )([1-5]\d\d)\b", text, re.IGNORECASE
    )
    return int(match[1]) if match else None


def explain(answer: Answer, exchange: Exchange | None) -> Diagnosis:
    """A cause for any answer. What is a documented success, or nothing known, is `unexpected_response`."""
    reading = _Reading(_Kind.OBJECT, answer)
    found = _explained(reading, _ruled(reading, exchange)[1], exchange)
    text = answer.body or answer.error_text
    if found.cause is Cause.UNEXPECTED_RESPONSE and text and answer.transport_error is None:
        return _surest(text, exchange, answer.status, answer.role)[1]
    return found


def _ruled(reading: _Reading, exchange: Exchange | None) -> tuple[Sure, ErrorRule | None]:
    """How sure a reading is, and by which rule."""
    answer = reading.answer
    if answer.transport_error is not None:
        return Sure.WORDS, None
    if exchange is not None and exchange.succeeded(answer):
        return Sure.NOTHING, None
    sure, rule = first_rule(answer, exchange, code=reading.code, prose=reading.kind is _Kind.PROSE)
    return (Sure.NOTHING if rule is None else sure), rule


def _explained(reading: _Reading, rule: ErrorRule | None, exchange: Exchange | None) -> Diagnosis:
    answer = reading.answer
    if answer.transport_error is not None:
        return below_http(answer)
    found = by_rule(rule, answer, words_of(answer, exchange, ()))
    if rule is None:
        found = found.model_copy(update={"candidates": (Cause.UNEXPECTED_RESPONSE,)})
    if found.seen_ip is not None and reading.kind is not _Kind.OBJECT:
        found = found.model_copy(update={"seen_ip": _address_told(answer.body)})
    return found


_AT_HOME = [ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]


def _address_told(text: str) -> str | None:
    """An address that a sentence about an IP names. Any other in a log line is somebody else's."""
    for match in re.finditer(r"(?i)\bips?\b[^\n]{0,60}", text):
        address = address_in(match[0])
        if address is not None and not any(ipaddress.ip_address(address) in home for home in _AT_HOME):
            return address
    return None


def _surest(
    text: str, exchange: Exchange | None, status: int | None, role: str = "any"
) -> tuple[tuple[Sure, _Kind], Diagnosis]:
    """The surest of all that a text may mean, and how sure. Of two objects that are as sure the later, for the request
    stands before its answer.
    """
    judged = [(*_ruled(reading, exchange), reading) for reading in _readings(text, exchange, status, role)]
    sure, rule, reading = min(reversed(judged), key=lambda one: (one[0], one[2].kind))
    return (sure, reading.kind), _explained(reading, rule, exchange)  # of one: its words take time


def report_in(endpoint: str, body: str, exchange: Exchange) -> KeyReport | None:
    """What a body that `endpoint` ("GET /path") answered says about the key, or None where it is no success.

    Any other call than the key report proves no more than the right that gates it: flags of the account are no rights.
    """
    answer = Answer(status=200, body=body)
    method, _, path = endpoint.strip().partition(" ")
    calls = [call for call in exchange.calls if (call.method, call.path) == (method, path)]
    if not endpoint or any(call.role is Role.KEY_INFO for call in calls):
        return exchange.read_report(answer.json)
    if not exchange.succeeded(answer):
        return None
    probed = Grant(state=GrantState.GRANTED, evidence=Evidence.PROBED)
    return KeyReport(grants={call.right: probed for call in calls if call.right is not None})


def answer_from_line(line: Mapping[str, Any]) -> Answer:
    """An answer as `explain --jsonl` takes it. Fields of another type than documented count as absent."""
    status, headers, body = line.get("http_status"), line.get("headers"), line.get("body")
    transport_error, error_text = line.get("transport_error"), line.get("error_text")
    role = line.get("request")
    text = body if isinstance(body, str) else (json.dumps(body) if isinstance(body, (dict, list)) else "")
    is_status = isinstance(status, int) and not isinstance(status, bool)
    return Answer(
        role=role if isinstance(role, str) else "any",
        status=status if is_status else None,
        headers={str(k): str(v) for k, v in cast("dict[Any, Any]", headers).items()}
        if isinstance(headers, dict)
        else {},
        body=text,
        transport_error=transport_error if isinstance(transport_error, str) and transport_error else None,
        error_text=error_text if isinstance(error_text, str) else "",
    )


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a pasted text means: a refusal with its cause, or a key report with its rights. Holds none of the text."""

    exchange: Exchange | None
    diagnosis: Diagnosis | None
    report: KeyReport | None = None


def explain_text(
    text: str,
    exchanges: Iterable[Exchange],
    *,
    exchange: Exchange | None = None,
    status: int | None = None,
    endpoint: str = "",
) -> Explanation:
    """Explains what a bot, ccxt or an exchange printed. Recognises the exchange where none is given. Never raises."""
    known = list(exchanges)
    named = [exchange] if exchange else _named(text, known)
    for body in _objects(text[:_MAX_PASTED]):
        for candidate in named or known:
            report = report_in(endpoint, body, candidate)
            if report is not None:
                return Explanation(candidate, None, report)
    judged = [(candidate, *_surest(text, candidate, status)) for candidate in named or [None]]
    adapter, _, found = min(judged, key=lambda one: one[1])
    return Explanation(adapter, found)
