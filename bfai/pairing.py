"""Tests made where the bot runs: a one-time code, the report that a server makes with it, and what is believed of one.

The workbench makes a code for one connection and its present key. `python -m bfai check … --pair CODE` on the server
adds to its report the whole run, a proof that it was made with these very credentials, and a seal over everything. Both
are HMACs under keys that come from the code and the credentials, so whoever knows only one of them can make neither.
Nothing here is kept, and no credentials are in the report. `docs/where-the-bot-runs.md` says what is trusted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pydantic import ValidationError

from bfai.connection_test import CLOCK_TOLERANCE_MS, Confirmation, rejudged
from bfai.exchanges.base import Exchange
from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Message, Target, TestRun
from bfai.report import FORMAT as REPORT_FORMAT

FORMAT: Final = "bfai.pairing/1"
CODE_LIFE: Final = timedelta(minutes=30)
CLOCK_SLACK: Final = timedelta(minutes=2)
"""How far a server's clock may be off after it was set by the exchange's."""
LONGEST_REPORT: Final = 256 * 1024
_CODE_BYTES: Final = 16
_CHECK_LETTERS: Final = 2
_GROUP: Final = 4


class PairingError(BfaiError):
    """A code or a report that is not taken, and why."""

    def __init__(self, text: str, **params: str | int | float) -> None:
        super().__init__(Message(text=text, params=params))


class Code:
    """A pairing code: 128 bits, written in base32 with two letters that catch a slip, in groups. Shows nothing."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _CODE_BYTES:
            raise ValueError("a code has 16 bytes")
        self._raw = raw

    def __repr__(self) -> str:
        return "Code(…)"

    @classmethod
    def read(cls, text: str) -> Code:
        """From its text, however it is grouped; 0, 1 and 8 are no letters of it and read as O, I and B.

        Raises PairingError.
        """
        letters = re.sub(r"[\s-]", "", text).upper().translate(str.maketrans("018", "OIB"))
        if re.fullmatch(r"[A-Z2-7]{28}", letters):
            raw = base64.b32decode(letters[:-_CHECK_LETTERS] + "=" * 6)
            if _letters(raw) == letters:
                return cls(raw)
        raise PairingError(N_("This is no pairing code. Copy it whole, as the workbench shows it."))

    @property
    def text(self) -> str:
        """Such as `K7QX-…`, 28 letters in groups of four."""
        letters = _letters(self._raw)
        return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))

    @property
    def run_id(self) -> str:
        """The id of the one run that can be taken in with this code; tells nothing of the code."""
        return self._digest("run").hex()[:32]

    def proof(self, exchange: Exchange, credentials: Credentials) -> str:
        """Shows that whoever made it had this code and these very credentials."""
        return hmac.digest(self._key_for("proof", exchange, credentials), b"proof", "sha256").hex()

    def seal(self, exchange: Exchange, credentials: Credentials, report: Mapping[str, Any]) -> str:
        """Over the whole report."""
        return hmac.digest(self._key_for("seal", exchange, credentials), _canonical(report), "sha256").hex()

    def _key_for(self, purpose: str, exchange: Exchange, credentials: Credentials) -> bytes:
        given = exchange.normalise(credentials).fields()
        return self._digest(purpose, exchange.id, *(given.get(spec.name) or None for spec in exchange.fields))

    def _digest(self, *parts: str | None) -> bytes:
        return hmac.digest(self._raw, _canonical([FORMAT, *parts]), "sha256")


def _letters(raw: bytes) -> str:
    check = base64.b32encode(hashlib.sha256(b"bfai pairing " + raw).digest()[:5]).decode()
    return base64.b32encode(raw).decode().rstrip("=") + check[:_CHECK_LETTERS]


def _canonical(value: object) -> bytes:
    """JSON whose bytes do not depend on who wrote it: 312.0 and 312 are one number, and fields have one order."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[object]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class Pairing:
    """A code that waits for its report, and the command that makes one."""

    code: str
    command: str
    made_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.made_at + CODE_LIFE


def command(code: Code, target: Target, exchange: Exchange) -> str:
    """What to run where the bot runs. It holds no credentials: they are typed there, or come on stdin."""
    words = ["python -m bfai check", target.exchange, "--market", target.market.value]
    if len(exchange.regions) > 1:
        words += ["--region", target.region]
    if target.environment.value != "live":
        words += ["--environment", target.environment.value]
    return " ".join([*words, "--pair", code.text, "--json"])


def with_pairing(
    report: Mapping[str, Any], run: TestRun, code: Code, credentials: Credentials, exchange: Exchange, now: datetime
) -> dict[str, Any]:
    """The report of a run made here, with what makes it one for this code. Holds nothing of the credentials."""
    run = run.model_copy(update={"id": code.run_id, "connection_id": None})
    part = {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "proof": code.proof(exchange, credentials),
        "run": run.model_dump(mode="json"),
    }
    whole = {**report, "pairing": part}
    return {**report, "pairing": {**part, "seal": code.seal(exchange, credentials, whole)}}


# -- taking a report in ------------------------------------------------------------------------------------------------


def read_report(given: str | bytes) -> dict[str, Any]:
    """A report as it was pasted or uploaded, of which nothing is believed yet. Raises PairingError."""
    if len(given) > LONGEST_REPORT:
        raise PairingError(N_("This is too long for a report. Take what the command printed, and nothing else."))
    try:
        text = given if isinstance(given, str) else _decoded(given)
        parsed: Any = json.loads(text.strip().lstrip("\ufeff"), parse_constant=_refuse)
        json.dumps(parsed, ensure_ascii=False).encode()  # half a letter, as in "\\ud800", could not be stored
    except (ValueError, RecursionError):
        parsed = None
    report = _object(parsed)
    if report.get("format") != REPORT_FORMAT:
        raise PairingError(N_("This is no report. Take everything that the command printed, and nothing else."))
    part = _object(report.get("pairing"))
    if not part:
        raise PairingError(N_("This report was made without the pairing code. Copy the whole command shown here."))
    if part.get("format") != FORMAT:
        text = N_("This report comes from another version of the program. Use the same one on both computers.")
        raise PairingError(text)
    return report


def _decoded(given: bytes) -> str:
    """Windows writes UTF-16 where a command's output is sent to a file."""
    wide = given.startswith((b"\xff\xfe", b"\xfe\xff"))
    return given.decode("utf-16" if wide else "utf-8-sig")


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def run_id_of(report: Mapping[str, Any]) -> str:
    """The id that a report says its run has."""
    found = _object(_object(report.get("pairing")).get("run")).get("id")
    return found if isinstance(found, str) else ""


def check_target(report: Mapping[str, Any], target: Target, exchanges: Mapping[str, Exchange]) -> None:
    """Refuses a report that is about something else than this connection. Raises PairingError."""
    run = _object(_object(report.get("pairing")).get("run"))
    own = exchanges[target.exchange]
    if run.get("exchange") != target.exchange:
        found = exchanges.get(str(run.get("exchange")))
        text = N_("This report is about {found}, and this connection is at {exchange}.")
        raise PairingError(text, found=found.name if found else "?", exchange=own.name)
    wanted = {
        "market": target.market.value,
        "region": target.region,
        "environment": target.environment.value,
    }
    if any(run.get(name) != value for name, value in wanted.items()):
        text = N_("This report is about another market, region or environment than this connection. Copy the command.")
        raise PairingError(text)


def take(
    report: Mapping[str, Any],
    code: Code,
    credentials: Credentials,
    exchange: Exchange,
    made_at: datetime,
    now: datetime,
    confirmation: Confirmation | None = None,
) -> TestRun:
    """The run in a report for this code, once everything about it was checked. Raises PairingError.

    `made_at` is when the code was made. The run comes with the verdict that its own checks give by today's rules, and
    with its times set by the exchange's clock, where the server's was wrong.
    """
    if now - made_at > CODE_LIFE or now < made_at - CLOCK_SLACK:
        raise PairingError(N_("The pairing code has expired: it is good for 30 minutes. Make a new one."))
    part = dict(_object(report.get("pairing")))
    seal, proof = part.pop("seal", None), part.get("proof")
    if not _same(proof, code.proof(exchange, credentials)):
        text = N_("This report was made with another key, secret or passphrase than the ones stored here.")
        raise PairingError(text)
    if not _same(seal, code.seal(exchange, credentials, {**report, "pairing": part})):
        raise PairingError(N_("This report was changed after it was made. Run the command again, with a new code."))
    try:
        run = TestRun.model_validate(part.get("run"))
    except ValidationError:
        run = None
    judged = rejudged(run, exchange, confirmation, now) if run is not None else None
    try:
        timed = _timed(judged, made_at, now) if judged is not None else None
    except OverflowError:  # a clock that is off by more than there are years
        timed = None
    if judged is None or timed is None:
        text = N_("This report does not hold together. Use the same version of the program on both computers.")
        raise PairingError(text)
    return timed.model_copy(
        update={
            "tested_from": _address(judged.tested_from),
            "stranger_assets": (),
            "stranger_orders": (),
            "set_aside": False,
            "answered_at": None,
        }
    )


def _same(given: object, right: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def _address(given: str | None) -> str:
    try:
        return str(ipaddress.ip_address(given or ""))
    except ValueError:
        return ""


def _timed(run: TestRun, made_at: datetime, now: datetime) -> TestRun:
    """The run with its start between the making of the code and now: nobody had the code before, so it was then."""
    offset = run.clock_offset_ms or 0.0
    began = run.started_at
    if abs(offset) >= CLOCK_TOLERANCE_MS:
        began += timedelta(milliseconds=offset)
    if not made_at - CLOCK_SLACK <= began <= now + CLOCK_SLACK:
        text = N_(
            "This report says that it is older than its code, or from the future. Set the clocks of both computers"
            " right."
        )
        raise PairingError(text)
    shift = min(max(began, made_at), now) - run.started_at
    receipt = tuple(sent.model_copy(update={"at": sent.at + shift}) for sent in run.receipt)
    return run.model_copy(update={"started_at": run.started_at + shift, "receipt": receipt})
