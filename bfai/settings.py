"""What the owner may set, each with its range, kept in the store; and what the environment says instead.

A setting that was never made has its usual value. One that the environment gives holds while the program runs, and
cannot be changed in it. A stored value that no longer fits counts as never made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bfai.i18n import LANGUAGES, N_
from bfai.model import AuditEntry, BfaiError, Message
from bfai.store import Store

SHORTEST_INTERVAL: Final = 5
"""Minutes between two tests of a connection."""
LONGEST_PATH: Final = 1000


def _language(name: str | None) -> str | None:
    if name is not None and name not in LANGUAGES:
        raise ValueError(name)
    return name


def _zone(name: str | None) -> str | None:
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, OSError):  # a zone that is not there, a folder of zones
            raise ValueError(name) from None
    return name


def _folder(path: str | None) -> str | None:
    if path is not None:
        short = 0 < len(path) <= LONGEST_PATH and path.isprintable()
        if not short or not Path(os.path.expanduser(path)).is_absolute():  # noqa: PTH111 - raises nothing
            raise ValueError(path)
    return path


def _interval(minutes: int) -> int:
    if 0 < minutes < SHORTEST_INTERVAL:
        raise ValueError(minutes)
    return minutes


class Settings(BaseModel):
    """`language` and `time_zone` are those of the reader; None is the browser's."""

    model_config = ConfigDict(frozen=True, strict=True)

    language: Annotated[str | None, AfterValidator(_language)] = None
    time_zone: Annotated[str | None, AfterValidator(_zone)] = None
    freshness_hours: int = Field(default=24, ge=1, le=720)
    """How old a connection's passed test may be when a strategy on it is enabled, or its engine opens a group."""
    keep_runs_days: int = Field(default=90, ge=1, le=3650)
    """How long a whole test is kept that changed nothing."""
    schedule_minutes: Annotated[int, AfterValidator(_interval)] = Field(default=60, ge=0, le=7 * 24 * 60)
    """How often a new connection is tested by itself; 0 is off, else 5 at least."""
    lock_minutes: int = Field(default=15, ge=0, le=24 * 60)
    """After how long without a click the app locks the vault; 0 is never."""
    backup_days: int = Field(default=0, ge=0, le=30)
    """Every how many days a backup is made by itself; 0 is never."""
    backups_kept: int = Field(default=10, ge=1, le=1000)
    """How many of those are kept."""
    backup_folder: Annotated[str | None, AfterValidator(_folder)] = None
    """Where backups are put; None is beside the database, where that is a file."""


NAMES: Final = tuple(Settings.model_fields)
WORDS: Final[Mapping[str, str]] = {
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "freshness_hours": N_("A passed test holds for (hours)"),
    "keep_runs_days": N_("Whole tests are kept for (days)"),
    "schedule_minutes": N_("A new connection is tested every (minutes, 0 is off)"),
    "lock_minutes": N_("The vault locks after (minutes without a click, 0 is never)"),
    "backup_days": N_("A backup is made every (days, 0 is never)"),
    "backups_kept": N_("So many scheduled backups are kept"),
    "backup_folder": N_("Backups are put into (a folder)"),
}
"""What each is called where a line has to do."""
FROM_ENVIRONMENT: Final[Mapping[str, str]] = {
    "freshness_hours": "BFAI_TEST_HOLDS_HOURS",
    "lock_minutes": "BFAI_LOCK_AFTER_MINUTES",
}
AUDITED: Final = frozenset({"freshness_hours", "lock_minutes"})
"""A change of these makes the workbench more or less strict."""


class SettingRefused(BfaiError):
    """There is no such setting, its value does not fit, or the environment says it."""


class Variable(NamedTuple):
    """An environment variable that the program reads, and what it holds: None where it is not set.

    `what` is a message id. `shown` of a secret only says that it is set.
    """

    name: str
    what: str
    shown: str | None


_SECRET: Final = "…"
_VARIABLES: Final[Mapping[str, str]] = {
    "BFAI_DATABASE_URL": N_("where connections, sealed keys and history are kept"),
    "BFAI_ENGINE_HOME": N_("where engines are kept"),
    "BFAI_FREQTRADE_PYTHON": N_("the Python that has Freqtrade"),
    "BFAI_MASTER_PASSWORD": N_("opens the vault on the command line; other programs of yours can read it"),
    "BFAI_MASTER_PASSWORD_FILE": N_("a file with the password, for the command line"),
    "BFAI_BACKUP_PASSWORD": N_("opens a backup on the command line, where that is not the master password"),
    "BFAI_WORKER_KEY_FILE": N_("a file with a worker's key, which tests what was delegated to it"),
    "BFAI_LANGUAGE": N_("the language where none was chosen"),
    "BFAI_LOCK_AFTER_MINUTES": N_("after how many minutes without a click the vault locks"),
    "BFAI_TEST_HOLDS_HOURS": N_("for how many hours a passed test holds"),
    "BFAI_GATEWAY": N_("sends every request for an exchange to the simulator instead"),
    "BFAI_GATEWAY_CA": N_("the certificate of that simulator"),
    "BFAI_ALLOW_NON_LOOPBACK": N_("opens the vault although other computers may reach the app"),
}
_SECRETS: Final = frozenset({"BFAI_MASTER_PASSWORD", "BFAI_BACKUP_PASSWORD"})


def read(store: Store, environment: Mapping[str, str] | None = None) -> Settings:
    """What holds now."""
    given = _given(os.environ if environment is None else environment)
    kept = store.settings([name for name in NAMES if name not in given])
    sound = {name: value for name, value in kept.items() if value is not None and _fits(name, value)}
    return Settings.model_validate({**sound, **given})


def in_force(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings that the environment says, each with the name of its variable."""
    return {name: FROM_ENVIRONMENT[name] for name in _given(os.environ if environment is None else environment)}


def change(store: Store, at: datetime, values: Mapping[str, Any]) -> Settings:
    """Keeps these values, None for the usual one, all or none of them. Raises SettingRefused."""
    fixed, before = in_force(), read(store)
    for name, value in values.items():
        if name not in Settings.model_fields:
            text = N_("There is no setting {name}. There are: {names}.")
            raise SettingRefused(Message(text=text, params={"name": name, "names": ", ".join(NAMES)}))
        if name in fixed:
            text = N_("{variable} says this where the program was started. Change it there, or take it away.")
            raise SettingRefused(Message(text=text, params={"variable": fixed[name]}))
        if value is not None and not _fits(name, value):
            raise SettingRefused(_range(name))
    with store.together():
        for name, value in values.items():
            store.set_setting(name, value)
        after = read(store)
        for name in values:
            old, new = getattr(before, name), getattr(after, name)
            if name in AUDITED and old != new:
                detail: dict[str, str | int | float | bool | None] = {"from": old, "to": new}
                store.audit(AuditEntry(at=at, action="setting_changed", subject=name, detail=detail))
    return after


def from_text(text: str) -> int | str | None:
    """A value as it is typed: a whole number, a name, `off` or `never` for 0, `default` for the usual one."""
    typed = text.strip()
    if typed == "default":
        return None
    if typed in ("off", "never"):
        return 0
    return int(typed) if re.fullmatch(r"[0-9]{1,9}", typed) else typed


def variables(environment: Mapping[str, str] | None = None) -> list[Variable]:
    """What the program reads from its environment. No secret is among what is shown."""
    found = os.environ if environment is None else environment
    return [
        Variable(name, what, None if not found.get(name) else _SECRET if name in _SECRETS else _bare(found[name]))
        for name, what in _VARIABLES.items()
    ]


def _bare(value: str) -> str:
    """An address without the name and password in it."""
    return re.sub(r"://[^/@]*@", f"://{_SECRET}@", value)


def _given(environment: Mapping[str, str]) -> dict[str, int]:
    said = {name: environment.get(variable, "") for name, variable in FROM_ENVIRONMENT.items()}
    return {
        name: int(text) for name, text in said.items() if re.fullmatch(r"[0-9]{1,9}", text) and _fits(name, int(text))
    }


def _fits(name: str, value: Any) -> bool:
    try:
        Settings.model_validate({name: value})
    except ValidationError:
        return False
    return True


def _range(name: str) -> Message:
    if name == "language":
        text = N_("{name} is one of {names}.")
        return Message(text=text, params={"name": name, "names": ", ".join(LANGUAGES)})
    if name == "time_zone":
        return Message(text=N_("There is no such time zone. A zone is named like Europe/Zagreb."))
    if name == "backup_folder":
        return Message(text=N_("A folder is written as its whole path, such as /home/ann/backups."))
    least, most = limits(name)
    if name == "schedule_minutes":
        text = N_("{name} is 0, which is off, or a whole number from {least} to {most}.")
        return Message(text=text, params={"name": name, "least": SHORTEST_INTERVAL, "most": most})
    text = N_("{name} is a whole number from {least} to {most}.")
    return Message(text=text, params={"name": name, "least": least, "most": most})


def limits(name: str) -> tuple[int, int]:
    """The smallest and the largest value of a number."""
    found = {type(bound).__name__: bound for bound in Settings.model_fields[name].metadata}
    return found["Ge"].ge, found["Le"].le
