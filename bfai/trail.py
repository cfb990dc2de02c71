"""The audit trail in words: what was done, to what, of which kind; and what of it fits a search.

Nothing secret is in a line: names, states, numbers of revisions, the last four characters of a key.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bfai.i18n import N_, NN_
from bfai.model import AuditEntry, Message
from bfai.settings import WORDS as SETTING_WORDS
from bfai.words import STATUS_NAMES


class Kind(StrEnum):
    """What a line is about."""

    VAULT = "vault"
    CONNECTION = "connection"
    TEST = "test"
    STRATEGY = "strategy"
    ALERT = "alert"
    SETTING = "setting"


KIND_NAMES: Final[Mapping[Kind, str]] = {
    Kind.VAULT: N_("Vault"),
    Kind.CONNECTION: N_("Connections"),
    Kind.TEST: N_("Tests"),
    Kind.STRATEGY: N_("Strategies"),
    Kind.ALERT: N_("Alerts"),
    Kind.SETTING: N_("Settings"),
}


class Wanted(NamedTuple):
    """Which lines of the trail: of these kinds, about this connection or strategy, in this time, with these words.
    Empty is all. At or after `since`, before `until`.
    """

    kinds: tuple[Kind, ...] = ()
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    @property
    def stored(self) -> dict[str, Any]:
        """The part that a store can answer."""
        return {
            "actions": actions_of(self.kinds) if self.kinds else None,
            "subjects": [self.subject] if self.subject else None,
            "since": self.since,
            "until": self.until,
        }


class Words(NamedTuple):
    """`text` may hold `{name}`, `{old}`, `{new}`, `{t_new}` and what else `detail` says."""

    kind: Kind
    text: str


WORDS: Final[Mapping[str, Words]] = {
    "vault_created": Words(Kind.VAULT, N_("The vault was made.")),
    "unlock_failed": Words(Kind.VAULT, N_("A wrong master password was typed.")),
    "password_changed": Words(Kind.VAULT, N_("The master password was changed.")),
    "cost_raised": Words(Kind.VAULT, N_("Guessing the master password was made harder.")),
    "vault_rotated": Words(
        Kind.VAULT,
        NN_(
            "The vault's key was renewed: {count} connection sealed anew.",
            "The vault's key was renewed: {count} connections sealed anew.",
        ),
    ),
    "recovery_code_made": Words(Kind.VAULT, N_("A recovery code was made; an earlier one opens nothing any more.")),
    "recovery_code_revoked": Words(Kind.VAULT, N_("The recovery code was revoked.")),
    "recovered": Words(Kind.VAULT, N_("The vault was opened with the recovery code and has a new master password.")),
    "backup_made": Words(Kind.VAULT, N_("A backup was made.")),
    "restored": Words(Kind.VAULT, N_("A backup was put back.")),
    "signed_in": Words(Kind.VAULT, N_("Somebody signed in to this account.")),
    "signed_out": Words(Kind.VAULT, N_("This account was logged out everywhere.")),
    "trail_exported": Words(
        Kind.VAULT,
        NN_("The audit trail was exported: {count} line.", "The audit trail was exported: {count} lines."),
    ),
    "added": Words(Kind.CONNECTION, N_("{name} was added.")),
    "changed": Words(Kind.CONNECTION, N_("{name} was changed ({what}).")),
    "renamed": Words(Kind.CONNECTION, N_("{old} is called {new} now.")),
    "rotated": Words(Kind.CONNECTION, N_("{name} has a new key, …{key_hint}.")),
    "deleted": Words(Kind.CONNECTION, N_("{name} was deleted with its key and its history.")),
    "confirmed": Words(Kind.CONNECTION, N_("Confirmed by hand: the key of {name} cannot withdraw.")),
    "confirmation_cleared": Words(Kind.CONNECTION, N_("The confirmation for {name} ended.")),
    "delegated": Words(
        Kind.CONNECTION, N_("{name} was delegated: the worker {worker} may test it while the vault is locked.")
    ),
    "delegation_revoked": Words(Kind.CONNECTION, N_("The delegation of {name} was taken back.")),
    "pairing_code": Words(Kind.CONNECTION, N_("A pairing code was made for {name}.")),
    "tripwire": Words(Kind.CONNECTION, N_("The tripwire of {name} was changed.")),
    "tested": Words(Kind.TEST, N_("{name}: {t_old} became {t_new}.")),
    "scheduled": Words(Kind.TEST, N_("The schedule of {name} was changed: {every}.")),
    "report_taken": Words(Kind.TEST, N_("A report from where the bot runs was taken in for {name}.")),
    "strategy_added": Words(Kind.STRATEGY, N_("{name} was added.")),
    "strategy_saved": Words(Kind.STRATEGY, N_("Revision {revision} of {name} was saved.")),
    "strategy_renamed": Words(Kind.STRATEGY, N_("{old} is called {new} now.")),
    "strategy_deleted": Words(Kind.STRATEGY, N_("{name} was deleted with its revisions.")),
    "strategy_enabled": Words(Kind.STRATEGY, N_("{name} was enabled, revision {revision}.")),
    "strategy_disabled": Words(Kind.STRATEGY, N_("{name} was disabled.")),
    "strategy_suspended": Words(Kind.STRATEGY, N_("{name} was suspended.")),
    "strategy_resumed": Words(Kind.STRATEGY, N_("{name} resumed, revision {revision}.")),
    "strategy_unbound": Words(Kind.STRATEGY, N_("{name} lost its connection, {connection}.")),
    "engine_started": Words(Kind.STRATEGY, N_("The engine of {name} was started with paper money.")),
    "engine_stopped": Words(Kind.STRATEGY, N_("The engine of {name} was stopped.")),
    "channel_added": Words(Kind.ALERT, N_("The channel {name} was added ({hint}).")),
    "channel_changed": Words(Kind.ALERT, N_("The channel {name} was changed ({hint}).")),
    "channel_removed": Words(Kind.ALERT, N_("The channel {name} was removed ({hint}).")),
    "setting_changed": Words(Kind.SETTING, N_("{t_setting}: {from} became {to}.")),
}
"""Every action that is written down."""
_LIVE: Final = N_("The engine of {name} was started with real money.")
_UNKNOWN: Final = N_("Done by another version of this program: {action}.")
_EVERY: Final = NN_("every {count} minute", "every {count} minutes")
_OFF: Final = N_("off")
_NOBODY: Final = "–"
_FIELD = re.compile(r"\{\w+\}")


def actions_of(kinds: Iterable[Kind]) -> list[str]:
    """What is written down about these kinds of things."""
    wanted = set(kinds)
    return [action for action, words in WORDS.items() if words.kind in wanted]


def kind_of(entry: AuditEntry) -> Kind:
    """Of an action that another version wrote: what its name begins with, else the vault."""
    known = WORDS.get(entry.action)
    if known is not None:
        return known.kind
    return Kind.STRATEGY if entry.action.startswith(("strategy", "engine")) else Kind.VAULT


def describe(entry: AuditEntry, names: Mapping[str, str], render: Callable[[Message], str]) -> Message:
    """What was done, as a sentence. `names` are those of connections and strategies now, for lines that have none;
    `render` puts a part of the sentence into the reader's language.
    """
    detail, known = entry.detail, WORDS.get(entry.action)
    if known is None:
        return Message(text=_UNKNOWN, params={"action": entry.action})
    params: dict[str, str | int | float] = {
        name: _NOBODY if value is None else value for name, value in detail.items() if name != "reasons"
    }
    params.setdefault("name", names.get(entry.subject, _NOBODY))
    text = known.text
    match entry.action:
        case "engine_started" if detail.get("live"):
            text = _LIVE
        case "vault_rotated":
            params["count"] = int(detail.get("connections") or 0)
        case "tested":
            params |= {"t_old": _status(detail.get("old")), "t_new": _status(detail.get("new"))}
        case "setting_changed":
            params["t_setting"] = SETTING_WORDS.get(entry.subject, entry.subject)
        case "scheduled":
            minutes = int(detail.get("every_s") or 0) // 60
            every = Message(text=_EVERY, params={"count": minutes}) if minutes else Message(text=_OFF)
            params["every"] = render(every)
        case _:
            pass
    return Message(text=text, params=params)


def _status(value: object) -> str:
    return next((name for status, name in STATUS_NAMES.items() if status.value == value), str(value))


# -- searching ---------------------------------------------------------------------------------------------------------


def folded(text: str) -> str:
    """What searches are compared by: case and compatible characters count as equal."""
    return unicodedata.normalize("NFKC", text).casefold()


def matching(text: str, render: Callable[[Message], str]) -> Callable[[AuditEntry], bool]:
    """Whether a line holds every word of `text`: in its sentence or in its details, such as a name."""
    wanted = folded(text).split()
    sentences = {action: folded(_FIELD.sub(" ", render(Message(text=words.text)))) for action, words in WORDS.items()}

    def fits(entry: AuditEntry) -> bool:
        hay = sentences.get(entry.action, folded(entry.action))
        missing = [word for word in wanted if word not in hay]
        if not missing:
            return True
        values = folded("\n".join(str(value) for value in entry.detail.values()))
        return all(word in values for word in missing)

    return fits


# -- exports -----------------------------------------------------------------------------------------------------------


def rows(
    entries: Iterable[AuditEntry], names: Mapping[str, str], render: Callable[[Message], str], zone: tzinfo
) -> list[dict[str, Any]]:
    """One flat row for each line: times in UTC and in `zone`, the sentence, and what the program wrote itself."""
    return [
        {
            "at": entry.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "local": entry.at.astimezone(zone).isoformat(timespec="seconds"),
            "kind": kind_of(entry).value,
            "action": entry.action,
            "what": render(describe(entry, names, render)),
            "subject": entry.subject,
            "detail": entry.detail,
        }
        for entry in entries
    ]


def to_csv(found: Iterable[Mapping[str, Any]]) -> str:
    """For spreadsheets: what could be taken for a formula is preceded by an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    head = ("at", "local", "kind", "action", "what", "subject", "detail")
    writer.writerow(head)
    for row in found:
        values = {**row, "detail": json.dumps(row["detail"], ensure_ascii=False)}
        writer.writerow([_plain_cell(str(values[name])) for name in head])
    return file.getvalue()


def _plain_cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_json(found: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps({"format": "bfai.trail/1", "entries": list(found)}, ensure_ascii=False, indent=1)
