"""The command line: `python -m bfai`. Thin: it reads arguments, asks the workbench, prints.

Exit codes: 0 online or connected (or done), 1 not, 2 wrong usage, 3 vault locked or wrong password.
With `--json` exactly one JSON object goes to stdout; everything else goes to stderr.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from time import sleep
from typing import Any, BinaryIO, NoReturn, TextIO, TypeVar, cast

import click

from bfai import diagnosis as diagnosing
from bfai import explain as explaining
from bfai import report as reporting
from bfai.bots import exchange_of
from bfai.engine import TestJob
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Exchange
from bfai.i18n import N_, NN_, Translator, best_language, translator
from bfai.model import (
    BfaiError,
    Channel,
    Connection,
    Credentials,
    DeliveryState,
    Environment,
    EventKind,
    Market,
    Message,
    Outcome,
    Status,
    Strategy,
    Target,
    TestRun,
    utc_now,
)
from bfai.monitor import Monitor, check_interval
from bfai.pairing import Code, with_pairing
from bfai.paste import judge_fields
from bfai.sealed_file import WrongBackupPassword, read_header
from bfai.settings import WORDS as SETTING_WORDS
from bfai.settings import Settings, from_text
from bfai.strategy import ladder as laddering
from bfai.strategy.desk import STATE_WORDS
from bfai.strategy.parameters import Problem, RiskLevel, Severity, StrategyError, import_text, json_schema
from bfai.vault import UnlockBackoff, VaultError, VaultLocked, WrongPassword
from bfai.words import alarms, set_aside, tested_from
from bfai.workbench import (
    CHECK_NAMES,
    DELIVERY_NAMES,
    ENGINE_STATES,
    EVENT_NAMES,
    KEPT_NAMES,
    KIND_NAMES,
    LEFT_OUT,
    LONGEST_REPORT,
    STATE_NAMES,
    STATUS_NAMES,
    BotKey,
    EngineStatus,
    Findings,
    Kept,
    Kind,
    PairingError,
    Preview,
    Scope,
    VaultIsLocked,
    VaultState,
    Wanted,
    Workbench,
    describe,
    heading,
    kind_of,
)

OK, NOT_OK, USAGE, LOCKED = 0, 1, 2, 3

_MARKS = {"pass": "✓", "warn": "!", "fail": "✗", "skip": "–"}


def _words() -> Translator:
    return translator(best_language(os.environ.get("BFAI_LANGUAGE")))


def _say(message: Message) -> str:
    return _words().render(message)


def _stop(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


_english: dict[click.Command | click.Option, str] = {}


def _speak(command: click.Command) -> None:
    """Puts the help of a command, of its options and of the commands below it into the reader's language.

    The texts are the docstrings and the `help` of options; `tools/i18n.py` collects both.
    """
    words = _words()
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    for one in (command, *options):
        if one.help:
            one.help = words.t(_english.setdefault(one, inspect.cleandoc(one.help)))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _speak(below)


class _Group(click.Group):
    """Turns every refusal of the workbench into its sentence and an exit code; nobody sees a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _speak(self)
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (VaultIsLocked, VaultLocked, WrongPassword, WrongBackupPassword, UnlockBackoff) as error:
            _stop(_say(error.message), LOCKED)
        except BfaiError as error:
            _stop(_say(error.message), LOCKED if isinstance(error, VaultError) else NOT_OK)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(OK)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Is this API key safe for a bot, and does the connection work?"""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast("Any", stream).reconfigure(encoding="utf-8", errors="replace")


# -- shared options ----------------------------------------------------------------------------------------------------

_F = TypeVar("_F", bound=Callable[..., Any])
_exchange = click.Choice(sorted(all_exchanges()))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def _target_options(command: _F) -> _F:
    for option in (
        click.option(
            "--market", type=click.Choice([market.value for market in Market]), default="spot", show_default=True
        ),
        click.option("--region", default=None, help="Where the key was made, for exchanges with several regions."),
        click.option(
            "--environment",
            type=click.Choice([environment.value for environment in Environment]),
            default="live",
            show_default=True,
        ),
    ):
        command = option(command)
    return command


def _target(exchange: str, market: str, region: str | None, environment: str) -> Target:
    adapter = all_exchanges()[exchange]
    chosen = region or adapter.regions[0].id
    if chosen not in {known.id for known in adapter.regions}:
        raise click.BadParameter(
            f"{adapter.name}: {', '.join(known.id for known in adapter.regions)}", param_hint="--region"
        )
    if Market(market) not in adapter.markets:
        raise click.BadParameter(f"{adapter.name}: {', '.join(adapter.markets)}", param_hint="--market")
    if Environment(environment) not in adapter.environments:
        raise click.BadParameter(f"{adapter.name}: {', '.join(adapter.environments)}", param_hint="--environment")
    if not adapter.serves(chosen, Market(market), Environment(environment)):
        raise click.BadParameter(f"{adapter.name} {chosen}: {market}", param_hint="--market")
    return Target(exchange=exchange, market=Market(market), region=chosen, environment=Environment(environment))


def _read_credentials(exchange: Exchange) -> Credentials:
    """From JSON on stdin, or by prompts that do not show what is typed."""
    if sys.stdin.isatty():
        values = {
            spec.name: click.prompt(spec.label, hide_input=spec.name != "api_key", err=True) for spec in exchange.fields
        }
    else:
        values = _credentials_from_json(sys.stdin.read(1_000_000))
    pasted = judge_fields(exchange, values)
    return pasted.credentials or Credentials(
        values.get("api_key", ""), values.get("secret", ""), values.get("passphrase")
    )


def _credentials_from_json(text: str) -> dict[str, str]:
    names = {"apiKey": "api_key", "secret": "secret", "password": "passphrase"}
    try:
        parsed: Any = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise click.UsageError('stdin: {"apiKey": "…", "secret": "…", "password": "…"}')
    given = cast("dict[str, Any]", parsed)
    return {field: value for name, field in names.items() if isinstance(value := given.get(name), str)}


# -- check -------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("exchange", type=_exchange)
@_target_options
@click.option(
    "--try-regions", is_flag=True, help="Where the key is unknown, ask the other regions: they will see the key."
)
@click.option("--shape", is_flag=True, help="Print field names and types of the answers, without any value.")
@click.option(
    "--pair",
    metavar="CODE",
    default=None,
    help="Where the bot runs: add to the JSON report what the workbench that made this code needs to take it in.",
)
@_as_json
def check(
    exchange: str,
    market: str,
    region: str | None,
    environment: str,
    try_regions: bool,
    shape: bool,
    pair: str | None,
    as_json: bool,
) -> None:
    """Test one key and store nothing. The key comes as JSON on stdin, or by prompts."""
    target = _target(exchange, market, region, environment)
    code = _pairing_code(pair) if pair is not None else None
    adapter = all_exchanges()[exchange]
    credentials = _read_credentials(adapter)
    answers: list[Answer] = []
    with _throw_away() as workbench:
        run = workbench.check(target, credentials, try_regions=try_regions, on_answer=answers.append)
        owner = run.diagnosis.region if run.diagnosis else None
        if owner is not None and adapter.serves(owner, target.market, target.environment):
            click.echo(_words().t(N_("{region} knows this key."), region=adapter.region(owner).name), err=True)
            run = workbench.check(target.model_copy(update={"region": owner}), credentials)
        if code is not None:
            here = None if target.environment is Environment.SIMULATOR else workbench.own_address()
            run = run.model_copy(update={"tested_from": run.seen_ip or here or ""})
    if shape:
        _print_json(_shapes(answers))
    elif code is not None:
        found = reporting.report(run, adapter, _words())
        _print_json(with_pairing(found, run, code, credentials, adapter, utc_now()))
    elif as_json:
        _print_json(reporting.report(run, adapter, _words()))
    else:
        _print_run(run, workbench)
    sys.exit(OK if run.status.ok else NOT_OK)


def _pairing_code(text: str) -> Code:
    try:
        return Code.read(text)
    except PairingError as error:
        _stop(_say(error.message), USAGE)


def _throw_away() -> Workbench:
    return Workbench.local("sqlite://:memory:")


def _shapes(answers: list[Answer]) -> dict[str, Any]:
    """By what was asked; with the path where several calls ask the same."""
    roles = [answer.role for answer in answers]
    names = [
        f"{answer.role} {answer.call.path}" if roles.count(answer.role) > 1 and answer.call else answer.role
        for answer in answers
    ]
    return {name: _shape(answer.json) for name, answer in zip(names, answers, strict=True)}


def _shape(value: Any) -> Any:
    """Names and types only: safe to show to anybody."""
    if isinstance(value, dict):
        return {str(name): _shape(item) for name, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_shape(item) for item in cast("list[Any]", value)[:1]]
    return type(value).__name__


def _print_run(run: TestRun, workbench: Workbench, name: str | None = None) -> None:
    words = _words()
    exchange = all_exchanges()[run.exchange]
    status = words.t(STATUS_NAMES[run.status])
    click.echo(f"{name or exchange.name} · {run.market} · {run.environment}: {status}  ({run.duration_ms:.0f} ms)")
    for item in run.checks:
        milliseconds = f"{item.latency_ms:6.0f} ms" if item.latency_ms is not None else " " * 9
        label = words.t(CHECK_NAMES[item.name])
        click.echo(f"  {_MARKS[item.outcome]} {label:<20} {milliseconds}  {words.render(item.detail)}")
    remedy = workbench.remedy(run)
    if remedy is not None:
        click.echo()
        click.echo(words.render(remedy.title))
        click.echo(words.render(remedy.text) + (f" {remedy.value}" if remedy.value else ""))
        for number, step in enumerate(remedy.steps, 1):
            click.echo(f"  {number}. {words.render(step)}")
        if remedy.link:
            click.echo(f"  {remedy.link}")
        if remedy.said:
            click.echo(words.t(N_("{exchange} said: {words}"), exchange=exchange.name, words=remedy.said))
    for message in workbench.advice(run):
        click.echo(f"  → {words.render(message)}")
    for message in workbench.thief_view(run):
        click.echo(words.render(message))
    for message in (*alarms(run), tested_from(run), set_aside(run)):
        if message is not None:
            click.echo(words.render(message))


# -- explain -----------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("exchange", type=_exchange, required=False)
@click.option("--status", type=int, default=None, help="The HTTP status of the answer.")
@click.option("--endpoint", default=None, help='What was called, such as "GET /api/v3/account".')
@click.option("--jsonl", is_flag=True, help="Read one JSON object a line, write one object a line.")
@_as_json
def explain(exchange: str | None, status: int | None, endpoint: str | None, jsonl: bool, as_json: bool) -> None:
    """Say what a refusal means: an exchange's answer, a ccxt exception or a log line on stdin. Works offline."""
    if jsonl:
        for line in sys.stdin:
            click.echo(json.dumps(_explain_line(line), ensure_ascii=False))
        return
    known = all_exchanges()
    found = explaining.explain_text(
        sys.stdin.read(1_000_000),
        known.values(),
        exchange=known[exchange] if exchange else None,
        status=status,
        endpoint=endpoint or "",
    )
    words, adapter = _words(), found.exchange
    if as_json:
        shown = adapter.id if adapter else None
        if found.diagnosis is None:
            _print_json({"exchange": shown, **_report_fields(found.report)})
        else:
            _print_json({"exchange": shown, "diagnosis": reporting.diagnosis(found.diagnosis, adapter, words)})
    elif found.diagnosis is not None:
        click.echo(f"{adapter.name if adapter else '?'}: {words.t(diagnosing.CAUSE_NAMES[found.diagnosis.cause])}")
        click.echo(words.render(diagnosing.sentence(found.diagnosis, adapter)))
    elif found.report is not None and adapter is not None:
        click.echo(words.t(N_("A report on a key of {exchange}"), exchange=adapter.name))
        for permission, label in diagnosing.PERMISSION_NAMES.items():
            click.echo(f"  {words.t(label):<16} {words.t(STATE_NAMES[found.report.state(permission)])}")


def _explain_line(line: str) -> dict[str, Any]:
    words = _words()
    try:
        parsed: Any = json.loads(line)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        found = explaining.explain(Answer(body=line[:10_000], status=200), None)
        return {"exchange": None, "diagnosis": reporting.diagnosis(found, None, words)}
    fields = cast("dict[str, Any]", parsed)
    name, endpoint = fields.get("exchange"), fields.get("endpoint")
    known = all_exchanges()
    answer = explaining.answer_from_line(fields)
    adapter = known.get(exchange_of(name) or "") if isinstance(name, str) else None
    if adapter is None and name in (None, "any"):
        adapter = explaining.recognise(f"{answer.body} {answer.error_text}", known.values())
    shown = adapter.id if adapter else (name if isinstance(name, str) else None)
    if isinstance(endpoint, str) and adapter is not None:
        key = explaining.report_in(endpoint, answer.body, adapter)
        if key is not None:
            return {"exchange": shown, **_report_fields(key)}
    return {"exchange": shown, "diagnosis": reporting.diagnosis(explaining.explain(answer, adapter), adapter, words)}


def _report_fields(key: Any) -> dict[str, Any]:
    return {
        "diagnosis": None,
        "permissions": reporting.permissions(key),
        "ip_restriction": reporting.ip_restriction(key),
        "expires_at": reporting.iso(key.expires_at) if key.expires_at else None,
    }


# -- keys in other bots' files -----------------------------------------------------------------------------------------


@main.command()
@click.argument("path", required=False)
@click.option("--test", "test_them", is_flag=True, help="Test every key that was found: each is shown to its exchange.")
@click.option("--import", "import_them", is_flag=True, help="Test them, and store those that pass in the vault.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([kind.value for kind in Kind]),
    help="Of the trail: only these kinds.",
)
@click.option("--connection", default=None, help="Of the trail: only this connection, by its name.")
@click.option("--strategy", default=None, help="Of the trail: only this strategy, by its name.")
@click.option("--since", default=None, help="Of the trail: such as 24h, 7d or 4w.")
@click.option("--search", default="", help="Of the trail: only lines with these words.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the trail as CSV.")
@_as_json
def audit(
    path: str | None,
    test_them: bool,
    import_them: bool,
    kinds: tuple[str, ...],
    connection: str | None,
    strategy: str | None,
    since: str | None,
    search: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Without PATH: the audit trail, what was done here, line by line. Needs no password.

    With PATH: find keys in the files of Freqtrade, OctoBot, Hummingbot and passivbot, and in .env, JSON and YAML files,
    also in their backups. Never prints one. Without --test nothing is sent. Exit 1 where a tested key is not in order.
    """
    if path is None:
        if test_them or import_them:
            raise click.UsageError("--test, --import: PATH")
        _print_trail(kinds, connection, strategy, since, search, "csv" if as_csv else "json" if as_json else "")
        return
    if kinds or connection or strategy or since or search or as_csv:
        raise click.UsageError("--kind, --connection, --strategy, --since, --search, --csv: no PATH")
    with _open_workbench() if import_them else _throw_away() as workbench:
        found = workbench.find_bot_keys(path)
        testable = [key for key in found.keys if key.testable]
        if testable and not (test_them or import_them or as_json) and sys.stdin.isatty():
            test_them = click.confirm(
                _words().t(N_("Test them now? Each key is shown to its exchange, and to nobody else.")), err=True
            )
        runs = _test_found(workbench, testable, store=import_them) if test_them or import_them else {}
        if as_json:
            _print_json(_audit_json(found, runs))
        else:
            _print_audit(found, runs, workbench)
    sys.exit(OK if all(run.status.ok for run in runs.values()) else NOT_OK)


def _print_trail(
    kinds: tuple[str, ...], connection: str | None, strategy: str | None, since: str | None, search: str, form: str
) -> None:
    if connection and strategy:
        raise click.UsageError("--connection, --strategy")
    start, words = utc_now() - _span(since) if since else None, _words()
    with Workbench.local() as workbench:
        subject = ""
        if connection or strategy:
            subject = _subject(workbench, connection, strategy)
        wanted = Wanted(tuple(Kind(kind) for kind in kinds), subject, start, None, search)
        if form:
            click.echo(workbench.export_trail(wanted, words.render, form, UTC), nl=form == "json")
            return
        names = workbench.trail_names()
        for entry in workbench.trail(wanted, words.render)[0]:
            kind, what = words.t(KIND_NAMES[kind_of(entry)]), words.render(describe(entry, names, words.render))
            click.echo(f"{reporting.iso(entry.at)}  {kind:<12} {what}")


def _subject(workbench: Workbench, connection: str | None, strategy: str | None) -> str:
    """The id of what is named, also of what is deleted."""
    name = connection or strategy or ""
    found = workbench.find(name) if connection else workbench.strategies.find(name)
    if found is not None:
        return found.id
    gone = workbench.deleted_names()[0 if connection else 1]
    for id_, was in gone.items():
        if was.casefold() == name.casefold():
            return id_
    text = N_("There is no connection named {name}.") if connection else N_("There is no strategy named {name}.")
    _stop(_words().t(text, name=name), NOT_OK)


def _test_found(workbench: Workbench, keys: list[BotKey], *, store: bool) -> dict[str, TestRun]:
    """The results by the id of the found key. A key that lies at two places is tested once."""
    runs: dict[str, TestRun] = {}
    for key in keys:
        twin = next((runs[other] for other in key.same_as if other in runs), None)
        if twin is not None:
            runs[key.id] = twin
            continue
        try:
            draft = workbench.draft_of(key)
            runs[key.id] = workbench.start_draft_test(draft.id).wait()
            if store and workbench.can_save(workbench.get_draft(draft.id) or draft) is None:
                saved = workbench.save_bot_key(draft.id, key)
                click.echo(_words().t(N_("{name} is stored in the vault."), name=saved.name), err=True)
        except BfaiError as error:
            click.echo(f"{key.file}: {_words().render(error.message)}", err=True)
    return runs


def _audit_json(found: Findings, runs: Mapping[str, TestRun]) -> dict[str, Any]:
    return {
        "format": "bfai.audit/1",
        "files": found.files,
        "unread": list(found.unread),
        "limited": found.limited,
        "keys": [
            {
                "id": key.id,
                "bot": key.bot,
                "file": key.file,
                "entry": key.entry,
                "exchange": key.exchange,
                "market": key.market.value,
                "environment": key.environment.value,
                "kept": key.kept.value,
                "open_to_others": key.open_to_others,
                "same_as": list(key.same_as),
                "report": reporting.report(runs[key.id], all_exchanges()[runs[key.id].exchange], _words())
                if key.id in runs
                else None,
            }
            for key in found.keys
        ],
    }


def _print_audit(found: Findings, runs: Mapping[str, TestRun], workbench: Workbench) -> None:
    words = _words()
    if not found.keys:
        click.echo(words.n("No key in {count} file.", "No key in {count} files.", found.files))
    names = {key.id: f"{key.file} ({key.entry})" for key in found.keys}
    for key in found.keys:
        click.echo(f"{key.exchange_name} · {key.bot} · {names[key.id]}")
        good = key.kept is Kept.PASSWORD
        lines = [("✓" if good else "!", words.t(N_("The key lies there {how}."), how=words.t(KEPT_NAMES[key.kept])))]
        if key.open_to_others:
            text = N_("Other users of this computer may read the file: chmod 600 mends that.")
            lines.append(("!", words.t(text)))
        if key.same_as:
            places = ", ".join(names[other] for other in key.same_as)
            lines.append(("!", words.t(N_("The same key lies at another place: {places}."), places=places)))
        if key.exchange is None:
            lines.append(("?", words.t(N_("This exchange is not supported."))))
        for mark, line in lines:
            click.echo(f"  {mark} {line}")
        if key.id in runs:
            run = runs[key.id]
            click.echo(
                f"  {_MARKS[Outcome.PASS if run.status.ok else Outcome.FAIL]} {words.t(STATUS_NAMES[run.status])}"
            )
            for message in (*workbench.thief_view(run), *workbench.advice(run)):
                click.echo(f"    {words.render(message)}")
            remedy = workbench.remedy(run)
            if remedy is not None:
                click.echo(f"    {words.render(remedy.title)} {words.render(remedy.text)}")
    for name in found.unread:
        click.echo(words.t(N_("{file} could not be read."), file=name), err=True)
    if found.limited:
        text = N_(
            "Not every file was looked at: there are too many for one search. Search smaller folders, one at a time."
        )
        click.echo(words.t(text), err=True)


# -- the vault ---------------------------------------------------------------------------------------------------------


def _password(prompt: str, *, confirm: bool = False) -> str:
    given = os.environ.get("BFAI_MASTER_PASSWORD") or _password_in_file()
    if given:
        return given
    if not sys.stdin.isatty():
        _stop(
            _words().t(N_("The vault needs its password: set BFAI_MASTER_PASSWORD, or run this in a terminal.")), LOCKED
        )
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))


def _password_in_file() -> str | None:
    """As systemd and Docker hand over a secret: in a file that only this program may read."""
    name = os.environ.get("BFAI_MASTER_PASSWORD_FILE")
    if not name:
        return None
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        text = N_("The file in BFAI_MASTER_PASSWORD_FILE cannot be read: {file}. Check its path and who may read it.")
        _stop(_words().t(text, file=name), LOCKED)


def _open_workbench() -> Workbench:
    return _unlocked()[0]


def _unlocked(ask: Callable[[Workbench], str] | None = None, *, patient: bool = False) -> tuple[Workbench, str]:
    """The workbench with its vault open, and the password that opened it. `patient`: waits where others guessed."""
    workbench = Workbench.local()
    if workbench.vault_state is VaultState.NONE:
        _stop(_words().t(N_("There is no vault yet. Make one with: python -m bfai vault init")), LOCKED)
    password = ask(workbench) if ask else _password(_words().t(N_("Master password")))
    while True:
        try:
            workbench.unlock(password)
        except UnlockBackoff as error:
            if not patient:
                raise
            click.echo(_say(error.message), err=True)
            sleep(error.seconds)
        else:
            return workbench, password


@main.group()
def vault() -> None:
    """Make the vault, change its password, renew its key, move it to another database, or delete everything."""


@vault.command("init")
def vault_init() -> None:
    """Make the vault. Nobody can recover its password."""
    workbench = Workbench.local()
    if workbench.vault_state is not VaultState.NONE:
        _stop(_words().t(N_("There is a vault already. Unlock it with its password.")), NOT_OK)
    workbench.create_vault(_password(_words().t(N_("New master password")), confirm=True))
    click.echo(_words().t(N_("The vault is made. Its password cannot be recovered: keep it safe.")), err=True)


@vault.command("change-password")
def vault_change_password() -> None:
    """Change the master password. What is sealed stays as it is."""
    words = _words()
    workbench, old = _unlocked()
    new = os.environ.get("BFAI_NEW_MASTER_PASSWORD", "")
    if not new and not sys.stdin.isatty():
        _stop(words.t(N_("Set BFAI_NEW_MASTER_PASSWORD, or run this in a terminal.")), USAGE)
    prompt = words.t(N_("New master password"))
    new = new or str(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    workbench.change_password(old, new)
    click.echo(words.t(N_("The password is changed.")), err=True)


@vault.command("rotate")
def vault_rotate() -> None:
    """Seal everything anew under a new key. Connections, history and the password stay; a recovery code ends."""
    workbench, password = _unlocked()
    with workbench:
        done = workbench.rotate_vault(password)
    text = NN_(
        "The key is renewed, and {count} connection is sealed anew.",
        "The key is renewed, and {count} connections are sealed anew.",
    )
    click.echo(_say(Message(text=text, params={"count": done.connections})), err=True)
    if done.code_is_dead:
        click.echo(_words().t(N_("The recovery code on paper opens nothing any more.")), err=True)
    click.echo(_words().t(N_("Unlock the app again, and restart a monitor that runs.")), err=True)


@vault.command("delete")
@click.option("--yes", is_flag=True, help="Do not ask.")
def vault_delete(yes: bool) -> None:
    """Delete the vault and everything in it: keys, tests, strategies, settings, the audit trail. Needs no password."""
    words = _words()
    with Workbench.local() as workbench:
        if workbench.vault_state is VaultState.NONE:
            _stop(words.t(N_("There is no vault yet. Make one with: python -m bfai vault init")), NOT_OK)
        left = workbench.left_at_exchanges()
        click.echo(_say(workbench.what_deleting_does()), err=True)
        for one in left:
            text = N_("{name} (…{key_hint}) goes on working at {exchange} until you delete it there: {page}")
            told = {"name": one.connection, "key_hint": one.key_hint, "exchange": one.exchange, "page": one.key_page}
            click.echo(words.t(text, **told), err=True)
        click.echo(words.t(N_("Backups and exports that you made stay. Delete those files yourself.")), err=True)
        word = words.t(N_("DELETE"))
        if not yes:
            if not sys.stdin.isatty():
                _stop(words.t(N_("Say --yes, or run this in a terminal.")), USAGE)
            if click.prompt(words.t(N_("Type {word} to go on"), word=word), err=True) != word:
                _stop(words.t(N_("Nothing is deleted. Type {word} as it stands there."), word=word), NOT_OK)
        workbench.delete_everything()
    click.echo(words.t(N_("Everything is deleted here.")), err=True)


@vault.command("move")
@click.option("--to", "url", required=True, metavar="URL", help="The other database, as in BFAI_DATABASE_URL.")
def vault_move(url: str) -> None:
    """Carry everything over to another, empty database, without unsealing it. Stop the app and the monitor first."""
    words, workbench = _words(), Workbench.local()
    if workbench.vault_state is VaultState.NONE:
        _stop(words.t(N_("There is no vault yet. Make one with: python -m bfai vault init")), LOCKED)
    count = workbench.move_to(url)
    moved = NN_("{count} row is moved and compared.", "{count} rows are moved and compared.")
    click.echo(_say(Message(text=moved, params={"count": count})), err=True)
    text = N_(
        "Now set BFAI_DATABASE_URL to the new address, for the app and for the monitor. The old database is as it was:"
        " look whether all is there, then delete it, because it holds your sealed keys, too."
    )
    click.echo(words.t(text), err=True)


@vault.command("recovery-code")
@click.option("--revoke", is_flag=True, help="No code opens the vault any more.")
def vault_recovery_code(revoke: bool) -> None:
    """Make a recovery code for paper: it opens the vault when the password is forgotten. An earlier one ends."""
    words, (workbench, password) = _words(), _unlocked()
    with workbench:
        if revoke:
            workbench.revoke_recovery_code()
            click.echo(words.t(N_("The recovery code opens nothing any more. Destroy the paper.")), err=True)
            return
        click.echo(workbench.new_recovery_code(password))
        text = N_(
            "Write this on paper and keep it away from this computer: whoever has it and a copy of your data has your"
            " keys. It is not shown again."
        )
        click.echo(words.t(text), err=True)
        while True:
            prompt = words.t(N_("Type it once, from the paper"))
            try:
                workbench.confirm_recovery_code(str(click.prompt(prompt, err=True)))
                break
            except BfaiError as error:
                click.echo(_say(error.message), err=True)
        click.echo(words.t(N_("From now on this code opens the vault, and no earlier one does.")), err=True)


@vault.command("recover")
def vault_recover() -> None:
    """Open the vault with its recovery code, and give it a new password."""
    words = _words()
    with Workbench.local() as workbench:
        if workbench.vault_state is VaultState.NONE:
            _stop(words.t(N_("There is no vault yet. Make one with: python -m bfai vault init")), LOCKED)
        code = str(click.prompt(words.t(N_("Recovery code")), err=True))
        new = os.environ.get("BFAI_NEW_MASTER_PASSWORD", "")
        prompt = words.t(N_("New master password"))
        new = new or str(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
        workbench.recover(code, new)
    click.echo(words.t(N_("The vault has its new password. The recovery code stays good.")), err=True)


# -- backups -----------------------------------------------------------------------------------------------------------


@main.group()
def backup() -> None:
    """Make a backup, check one, or put one back. What is in it stays sealed."""


@backup.command("make")
@click.option("--to", "to", type=click.Path(path_type=Path), default=None, help="The file; else one in the folder.")
@click.option("--own-password", is_flag=True, help="Give it a password of its own instead of the vault's.")
def backup_make(to: Path | None, own_password: bool) -> None:
    """Make a backup of everything, and read it again to check it. Its path goes to stdout."""
    words = _words()
    with _open_workbench() as workbench:
        own = _backup_password(words.t(N_("Password of the backup")), confirm=True) if own_password else None
        made = workbench.backups.make(password=own, to=to)
    click.echo(str(made.path))
    text = NN_(
        "{count} row is in it. It was read again and is whole.",
        "{count} rows are in it. It was read again and is whole.",
    )
    click.echo(_say(Message(text=text, params={"count": made.rows})), err=True)
    click.echo(words.t(LEFT_OUT), err=True)


@backup.command("check")
@click.argument("file", type=click.File("rb"))
@_as_json
def backup_check(file: BinaryIO, as_json: bool) -> None:
    """Read a backup to its end, and say what is in it. Changes nothing."""
    with Workbench.local() as workbench:
        _, preview = workbench.backups.open(file, _password_of(file))
    if as_json:
        there = preview.there._asdict() | {"rows": preview.rows}
        _print_json(
            {
                "format": "bfai.backup-check/1",
                "made_at": reporting.iso(preview.made_at),
                "version": preview.version,
                "own_password": preview.own,
                "holds": there,
            }
        )
        return
    _print_preview(preview)


@backup.command("restore")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--replace", is_flag=True, help="Put it in the place of the vault that is here, which is backed up first."
)
def backup_restore(file: BinaryIO, replace: bool) -> None:
    """Put a backup into the database of BFAI_DATABASE_URL. Stop the app and the monitor first."""
    words = _words()
    with Workbench.local() as workbench:
        found, preview = workbench.backups.open(file, _password_of(file))
        _print_preview(preview)
        if replace and preview.here is not None:
            workbench.unlock(_password(words.t(N_("Master password of the vault that is here now"))))
        workbench.restore_backup(found, replace=replace)
    text = N_("All of it is here and compared. The vault opens with the master password that it had then.")
    click.echo(words.t(text), err=True)


def _password_of(file: BinaryIO) -> str:
    """What opens this backup."""
    own = read_header(file).own
    if own:
        return _backup_password(_words().t(N_("Password of the backup")))
    given = os.environ.get("BFAI_BACKUP_PASSWORD")
    return given or _password(_words().t(N_("Master password, or recovery code, of then")))


def _backup_password(prompt: str, *, confirm: bool = False) -> str:
    given = os.environ.get("BFAI_BACKUP_PASSWORD")
    if given:
        return given
    if not sys.stdin.isatty():
        text = N_("The backup needs its password: set BFAI_BACKUP_PASSWORD, or run this in a terminal.")
        _stop(_words().t(text), LOCKED)
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))


def _print_preview(preview: Preview) -> None:
    words = _words()
    text = N_("Made {time} by version {version}.")
    click.echo(words.t(text, time=reporting.iso(preview.made_at), version=preview.version), err=True)
    here = preview.here
    rows = [
        (N_("Connections"), len(preview.there.connections), here and len(here.connections)),
        (N_("Tests"), preview.there.tests, here and here.tests),
        (N_("Strategies"), len(preview.there.strategies), here and len(here.strategies)),
        (N_("Alert channels"), preview.there.channels, here and here.channels),
    ]
    there_head, here_head = words.t(N_("In the backup")), words.t(N_("Here now"))
    click.echo(f"{'':<24}{there_head:>16}{here_head:>16}", err=True)
    for label, there, now in rows:
        click.echo(f"{words.t(label):<24}{there:>16}{'–' if now is None else now:>16}", err=True)
    click.echo(words.t(LEFT_OUT), err=True)
    if preview.warning is not None:
        click.echo(_say(preview.warning), err=True)
    for text, names in (
        (N_("Only in the backup: {names}"), preview.only_there if here else ()),
        (N_("Only here now: {names}"), preview.only_here),
    ):
        if names:
            click.echo(words.t(text, names=", ".join(names)), err=True)


# -- settings ----------------------------------------------------------------------------------------------------------


@main.group("settings", invoke_without_command=True)
@_as_json
@click.pass_context
def settings_command(ctx: click.Context, as_json: bool) -> None:
    """Show what is set and where each value comes from. Needs no password."""
    if ctx.invoked_subcommand is not None:
        return
    with Workbench.local() as workbench:
        now, fixed = workbench.settings.model_dump(), workbench.fixed_settings()
    usual = Settings().model_dump()
    rows = {
        name: {"value": value, "from": fixed.get(name) or ("default" if value == usual[name] else "store")}
        for name, value in now.items()
    }
    if as_json:
        _print_json({"format": "bfai.settings/1", "settings": rows})
        return
    words = _words()
    for name, row in rows.items():
        value = "–" if row["value"] is None else row["value"]
        click.echo(f"{name:<18} {value!s:<16} {words.t(SETTING_WORDS[name])} ({row['from']})")


@settings_command.command("set")
@click.argument("name", type=click.Choice(list(SETTING_WORDS)))
@click.argument("value")
def settings_set(name: str, value: str) -> None:
    """Change a setting: a whole number, a name, `off`, `never`, or `default` for the usual value."""
    wanted = from_text(value)
    with Workbench.local() as workbench:
        if name == "backup_folder":
            workbench.backups.set_folder("" if wanted is None else str(wanted))
        else:
            workbench.change_settings(**{name: wanted})


# -- connections -------------------------------------------------------------------------------------------------------


@main.group()
def connections() -> None:
    """List, add, rename, remove, rotate connections."""


def _named(workbench: Workbench, name: str) -> Connection:
    found = workbench.find(name) or workbench.connection(name)
    if found is None:
        _stop(_words().t(N_("There is no connection named {name}."), name=name), NOT_OK)
    return found


@connections.command("list")
@_as_json
def connections_list(as_json: bool) -> None:
    """Every connection with its status. Needs no password."""
    workbench, words = Workbench.local(), _words()
    rows = [
        {
            "name": connection.name,
            "exchange": connection.target.exchange,
            "market": connection.target.market.value,
            "environment": connection.target.environment.value,
            "key": f"…{connection.key_hint}",
            "status": connection.status,
            "last_tested_at": reporting.iso(connection.last_tested_at) if connection.last_tested_at else None,
            "used_by": connection.used_by,
        }
        for connection in workbench.connections()
    ]
    if as_json:
        _print_json({"format": "bfai.connections/1", "connections": rows})
        return
    for row in rows:
        status = words.t(STATUS_NAMES[Status(str(row["status"]))])
        tested = row["last_tested_at"] or "–"
        click.echo(f"{status:<12} {row['name']:<32} {row['exchange']} {row['market']} {row['key']} {tested}")


@connections.command("add")
@click.argument("name")
@click.argument("exchange", type=_exchange)
@_target_options
@click.option("--used-by", default="", help="What uses this connection.")
@click.option("--confirm-withdraw-off", is_flag=True, help="You looked: this key cannot withdraw.")
def connections_add(
    name: str,
    exchange: str,
    market: str,
    region: str | None,
    environment: str,
    used_by: str,
    confirm_withdraw_off: bool,
) -> None:
    """Test a key, and store it under NAME if it may be stored. The key comes as JSON on stdin, or by prompts."""
    target = _target(exchange, market, region, environment)
    credentials = _read_credentials(all_exchanges()[exchange])
    with _open_workbench() as workbench:
        problem = workbench.name_problem(name)
        if problem is not None:
            _stop(_say(problem), USAGE)
        _hint_at(workbench, name, target)
        _test_and_save(workbench, target, credentials, name, used_by, confirm_withdraw_off, None)


@connections.command("rotate")
@click.argument("name")
@click.option("--confirm-withdraw-off", is_flag=True, help="You looked: this key cannot withdraw.")
def connections_rotate(name: str, confirm_withdraw_off: bool) -> None:
    """Put a new key in the place of the old one, which stays until the new one has passed."""
    with _open_workbench() as workbench:
        connection = _named(workbench, name)
        credentials = _read_credentials(all_exchanges()[connection.target.exchange])
        _test_and_save(
            workbench, connection.target, credentials, connection.name, "", confirm_withdraw_off, connection.id
        )


def _test_and_save(
    workbench: Workbench,
    target: Target,
    credentials: Credentials,
    name: str,
    used_by: str,
    confirmed: bool,
    replaces: str | None,
) -> None:
    draft = workbench.draft(target, credentials, replaces=replaces)
    run = workbench.start_draft_test(draft.id).wait()
    if confirmed:
        run = workbench.confirm_draft(draft.id)
    _print_run(run, workbench, name)
    for note in workbench.account_notes(target, run.key_report, except_id=replaces):
        click.echo(_say(note))
    connection = workbench.save_draft(draft.id, name=name, used_by=used_by)
    click.echo(
        _words().t(N_("Saved as {name}, key …{hint}."), name=connection.name, hint=connection.key_hint), err=True
    )
    sys.exit(OK if run.status.ok else NOT_OK)


@connections.command("rename")
@click.argument("name")
@click.argument("new_name")
def connections_rename(name: str, new_name: str) -> None:
    """Give a connection another name."""
    workbench = Workbench.local()
    connection = _named(workbench, name)
    workbench.rename(connection.id, new_name)
    _hint_at(workbench, new_name, connection.target, connection.id)


def _hint_at(workbench: Workbench, name: str, target: Target, except_id: str | None = None) -> None:
    hint = workbench.name_hint(name, target, except_id=except_id)
    if hint is not None:
        click.echo(_say(hint), err=True)


@connections.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def connections_remove(name: str, yes: bool) -> None:
    """Erase a connection, its key and its history here. The key goes on working at the exchange."""
    workbench, words = Workbench.local(), _words()
    connection = _named(workbench, name)
    exchange = all_exchanges()[connection.target.exchange]
    if not yes:
        click.confirm(words.t(N_("Delete {name}?"), name=connection.name), abort=True, err=True)
    workbench.delete(connection.id)
    text = N_("Deleted here. The key still works at {exchange}: delete it there as well. {link}")
    click.echo(words.t(text, exchange=exchange.name, link=exchange.guide.key_page), err=True)


@connections.command("confirm-withdraw-off")
@click.argument("name")
def connections_confirm(name: str) -> None:
    """You looked at the exchange: this key cannot withdraw. Holds for 30 days or until the key report changes."""
    workbench = Workbench.local()
    run = workbench.confirm_withdraw_off(_named(workbench, name).id)
    if run is None:
        _stop(
            _words().t(
                N_(
                    "There is nothing to confirm: the last test was not blocked for a right that the exchange does not"
                    " tell."
                )
            ),
            NOT_OK,
        )


@connections.command("pair")
@click.argument("name")
def connections_pair(name: str) -> None:
    """Make a one-time code to test NAME where its bot runs, and print it with the command to run there."""
    with _open_workbench() as workbench:
        made = workbench.pair(_named(workbench, name).id)
    click.echo(made.code)
    click.echo(made.command)
    words = _words()
    text = N_(
        "Run this where the bot runs, within 30 minutes. Then: python -m bfai connections take NAME < report.json"
    )
    click.echo(words.t(text), err=True)


@connections.command("take")
@click.argument("name")
def connections_take(name: str) -> None:
    """Take in the report that `check --pair` printed where the bot runs, on stdin. It counts like any other test."""
    given = sys.stdin.buffer.read(LONGEST_REPORT + 1)
    with _open_workbench() as workbench:
        run = workbench.take_report(_named(workbench, name).id, given)
        _print_run(run, workbench, name)
    sys.exit(OK if run.status.ok else NOT_OK)


# -- test and history --------------------------------------------------------------------------------------------------


@main.command("test")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Test every connection.")
@_as_json
def test_command(names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Test stored connections."""
    if not names and not everything:
        raise click.UsageError("NAME … | --all")
    with _open_workbench() as workbench:
        chosen = workbench.connections() if everything else [_named(workbench, name) for name in names]
        jobs = workbench.start_tests([connection.id for connection in chosen])
        runs = [job.wait() for job in jobs]
        if as_json:
            reports = [
                reporting.report(run, all_exchanges()[run.exchange], _words(), name=connection.name)
                for connection, run in zip(chosen, runs, strict=True)
            ]
            _print_json({"format": reporting.MANY_FORMAT, "reports": reports})
        else:
            for connection, run in zip(chosen, runs, strict=True):
                _print_run(run, workbench, connection.name)
        workbench.alerts.deliver_due()
    sys.exit(OK if all(run.status.ok for run in runs) else NOT_OK)


@main.command("history")
@click.argument("name", required=False)
@click.option("--since", default=None, help="Such as 24h, 7d or 4w.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table", show_default=True
)
def history_command(name: str | None, since: str | None, form: str) -> None:
    """Every test of one connection, or of all. Needs no password."""
    start = utc_now() - _span(since) if since else None
    with Workbench.local() as workbench:
        scope = Scope(_named(workbench, name).id if name else None)
        if form == "csv":
            workbench.history.write_csv(sys.stdout, scope, start)
        elif form == "json":
            workbench.history.write_json(sys.stdout, scope, start)
        elif form == "parquet":
            workbench.history.write_parquet(sys.stdout.buffer, scope, start)
        else:
            _print_runs(workbench, scope, start)


def _print_runs(workbench: Workbench, scope: Scope, since: datetime | None) -> None:
    names = {known.id: known.name for known in workbench.connections()}
    words = _words()
    for row in workbench.runs(scope.connection_id, since=since):
        cause = words.t(diagnosing.CAUSE_NAMES[row.cause]) if row.cause else ""
        status = words.t(STATUS_NAMES[row.status])
        click.echo(
            f"{reporting.iso(row.started_at)}  {status:<12} {names.get(row.connection_id, ''):<32}"
            f" {row.duration_ms:7.0f} ms  {cause}"
        )


def _span(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if match is None:
        raise click.BadParameter("24h, 7d, 4w", param_hint="--since")
    return {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[match[2]] * int(match[1])


# -- the monitor -------------------------------------------------------------------------------------------------------

_KEYRING = "bfai"


@main.command("monitor")
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="Test what is due now, then end: for cron. Exit 1 if a test was not OK.")
@click.option("--every", default=None, help="Set the schedule of these connections first: 15m, 6h, 1d, 1w, or off.")
@click.option("--keyring", "from_keyring", is_flag=True, help="Take the password from this computer's keyring.")
@click.option("--remember", is_flag=True, help="Put the password into this computer's keyring, and end.")
def monitor_command(names: tuple[str, ...], once: bool, every: str | None, from_keyring: bool, remember: bool) -> None:
    """Test the connections on their schedules until interrupted: all, or those that are named.

    One line a test goes to stderr. Any number of monitors and the app may work on one database: each test is done once.
    """
    interval = _interval(every) if every is not None else None
    if remember:
        keyring = _keyring()
        workbench, password = _unlocked()
        with workbench:
            _in_keyring(lambda: keyring.set_password(_KEYRING, workbench.vault_id, password))
        click.echo(_words().t(N_("The password is in this computer's keyring.")), err=True)
        return
    with _unlocked(_password_in_keyring if from_keyring else None, patient=True)[0] as workbench:
        chosen = [_named(workbench, name).id for name in names]
        if every is not None:
            for connection_id in chosen or [connection.id for connection in workbench.connections()]:
                workbench.set_schedule(connection_id, interval)
        sys.exit(_watch(workbench, chosen or None, once=once))


def _watch(workbench: Workbench, only: list[str] | None, *, once: bool) -> int:
    """Runs the monitor until a signal, or until nothing is due. A second signal does not wait for tests that run."""
    code, asked = OK, threading.Event()

    def tell(connection: Connection, job: TestJob) -> None:
        nonlocal code
        if job.run is None or not job.run.status.ok:
            code = NOT_OK
        click.echo(_log_line(connection, job), err=True)

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    watch = Monitor(workbench, only=only, on_test=tell)
    if once:
        while watch.step() and not asked.is_set():
            watch.settle(0.2)
        watch.stop(_LAST_TESTS_SECONDS)
        return code
    watch.start()
    text = N_("Tests run on their schedules. End it with Ctrl+C.")
    click.echo(_words().t(text), err=True)
    while not asked.wait(1.0):  # a wait without end hears no signal on Windows
        if not workbench.is_open:
            watch.stop(_LAST_TESTS_SECONDS)
            _stop(_words().t(N_("The vault was changed by another program. Start this one again.")), LOCKED)
    watch.stop(_LAST_TESTS_SECONDS)
    return OK


_LAST_TESTS_SECONDS = 60.0


def _log_line(connection: Connection, job: TestJob) -> str:
    """One test as `name=value` pairs, for people and for log collectors. Holds nothing that an exchange said."""
    return _pairs({"connection": json.dumps(connection.name, ensure_ascii=False), **_outcome(job)})


def _outcome(job: TestJob) -> dict[str, str]:
    run = job.run
    if run is None:
        return {"status": "none", "problem": json.dumps(_say(job.error) if job.error else "")}
    cause = {} if run.diagnosis is None else {"cause": run.diagnosis.cause.value}
    return {"status": run.status.value, "ms": f"{run.duration_ms:.0f}", **cause}


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join((reporting.iso(utc_now()), *(f"{key}={value}" for key, value in values.items())))


def _interval(text: str) -> timedelta | None:
    if text == "off":
        return None
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if match is None:
        raise click.BadParameter("15m, 6h, 1d, 1w, off", param_hint="--every")
    units = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
    every = units[match[2]] * int(match[1])
    try:
        check_interval(every)
    except BfaiError as error:
        raise click.BadParameter(_say(error.message), param_hint="--every") from None
    return every


def _keyring() -> Any:
    try:
        import keyring  # pyright: ignore[reportMissingImports]
    except ImportError:
        text = N_("The keyring needs one more package: pip install keyring. Or set BFAI_MASTER_PASSWORD_FILE.")
        _stop(_words().t(text), USAGE)
    return cast("Any", keyring)


def _password_in_keyring(workbench: Workbench) -> str:
    keyring = _keyring()
    password = _in_keyring(lambda: keyring.get_password(_KEYRING, workbench.vault_id))
    if password is None:
        text = N_("The keyring has no password for this vault. Put it there with: python -m bfai monitor --remember")
        _stop(_words().t(text), LOCKED)
    return str(password)


def _in_keyring(ask: Callable[[], Any]) -> Any:
    """A keyring that is locked, or that a server does not have, is said in words."""
    try:
        return ask()
    except Exception as error:
        text = N_(
            "This computer's keyring cannot be used ({kind}). Unlock it, or set BFAI_MASTER_PASSWORD_FILE instead."
        )
        _stop(_words().t(text, kind=type(error).__name__), LOCKED)


# -- workers -----------------------------------------------------------------------------------------------------------


@main.command("worker")
@click.option("--new-key", "file", type=click.Path(path_type=Path), help="Make a worker's key in a new file, and end.")
@click.option("--name", default="", help="What people see when they delegate: this computer's name if not given.")
def worker_command(file: Path | None, name: str) -> None:
    """Test what was delegated to this server while vaults are locked. Needs PostgreSQL and BFAI_WORKER_KEY_FILE.

    It needs no password, and opens no vault. Any number of workers may share one key and one database.
    """
    from bfai.delegation import WorkerKey, fingerprint

    words = _words()
    url = os.environ.get("BFAI_DATABASE_URL", "")
    if not url.startswith(("postgresql://", "postgres://")):
        text = N_(
            "Workers share a PostgreSQL database. Set BFAI_DATABASE_URL to one: postgresql://user:password@host/name"
        )
        _stop(words.t(text), USAGE)
    given = os.environ.get("BFAI_WORKER_KEY_FILE")
    if file is None and not given:
        text = N_("Set BFAI_WORKER_KEY_FILE to the file with this worker's key. Make one with: --new-key FILE")
        _stop(words.t(text), USAGE)
    from bfai.worker import Worker

    key = WorkerKey.read(Path(given or "")) if file is None else WorkerKey.make(file)
    worker = Worker(url, key, name=name, on_test=_tell_of_worker)
    try:
        if file is not None:
            click.echo(words.t(N_("The key is in {file}. Its fingerprint:"), file=file), err=True)
            click.echo(fingerprint(key.id))
            return
        click.echo(words.t(N_("Works with the key {key}. End it with Ctrl+C."), key=fingerprint(key.id)), err=True)
        worker.run()
    finally:
        worker.close()


def _tell_of_worker(owner: str, connection_id: str, job: TestJob) -> None:
    """One line a test, with ids in the place of names: the names are their owners'."""
    click.echo(_pairs({"owner": owner, "connection": connection_id, **_outcome(job)}), err=True)


# -- alerts ------------------------------------------------------------------------------------------------------------


@main.group()
def alerts() -> None:
    """Who hears of what happens: channels, a test message, the log."""


def _channel(workbench: Workbench, name: str) -> Channel:
    found = workbench.alerts.find(name)
    if found is None:
        _stop(_words().t(N_("There is no channel named {name}."), name=name), NOT_OK)
    return found


def _channel_json(channel: Channel) -> dict[str, Any]:
    quiet = (channel.quiet_from, channel.quiet_until)
    return {
        "name": channel.name,
        "address": channel.hint,
        "kinds": [kind.value for kind in EVENT_NAMES if channel.hears(kind)],
        "quiet": "-".join(f"{one:%H:%M}" for one in quiet if one is not None) or None,
        "grace_minutes": channel.grace_minutes,
        "repeat_hours": channel.repeat_hours,
    }


@alerts.command("list")
@_as_json
def alerts_list(as_json: bool) -> None:
    """Every channel. Needs no password; shows no address."""
    with Workbench.local() as workbench:
        rows = [_channel_json(channel) for channel in workbench.alerts.channels()]
        unheard = [kind.value for kind in workbench.alerts.unheard()]
    if as_json:
        _print_json({"format": "bfai.channels/1", "channels": rows, "unheard_alarms": unheard})
        return
    for row in rows:
        quiet = f" · {row['quiet']}" if row["quiet"] else ""
        click.echo(f"{row['name']:<32} {row['address']}  {len(row['kinds'])}/{len(EVENT_NAMES)}{quiet}")
    if rows and unheard:
        text = N_("No channel hears these security alarms: {kinds}.")
        click.echo(_words().t(text, kinds=", ".join(unheard)), err=True)


_kind = click.Choice([kind.value for kind in EVENT_NAMES])


@alerts.command("add")
@click.argument("name")
@click.option("--only", multiple=True, type=_kind, help="Hear of this kind. Repeatable; all kinds where left out.")
@click.option("--quiet", default=None, metavar="23:00-07:00", help="When all but security alarms wait.")
@click.option("--grace", default=10, show_default=True, help="Minutes that a failure may last before it is told.")
@click.option("--repeat", default=None, type=int, help="Hours after which it is told again while it lasts.")
@click.option("--language", default=None, help="The language of all messages: en, nl, hr or de.")
@click.option("--zone", default=None, help="Your time zone, such as Europe/Zagreb: of times and quiet hours.")
def alerts_add(
    name: str,
    only: tuple[str, ...],
    quiet: str | None,
    grace: int,
    repeat: int | None,
    language: str | None,
    zone: str | None,
) -> None:
    """Add a channel. Its address comes on stdin, or by a prompt that does not show it: it holds a token."""
    hours = _quiet_hours(quiet)
    if sys.stdin.isatty():
        address = str(click.prompt(_words().t(N_("Address")), hide_input=True, err=True))
    else:
        address = sys.stdin.readline(4000)
    with _open_workbench() as workbench:
        if language or zone:
            workbench.alerts.speak(language or workbench.alerts.language, zone or workbench.alerts.zone)
        kinds = [EventKind(kind) for kind in only] or None
        channel = workbench.alerts.add(
            name, address, kinds=kinds, quiet=hours, grace_minutes=grace, repeat_hours=repeat
        )
    text = N_("{name} hears of what happens from now on ({address}).")
    click.echo(_words().t(text, name=channel.name, address=channel.hint), err=True)


def _quiet_hours(text: str | None) -> tuple[time, time] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text.strip())
    if match is None:
        raise click.BadParameter("23:00-07:00", param_hint="--quiet")
    first, second, third, fourth = (int(part) for part in match.groups())
    return time(first, second), time(third, fourth)


@alerts.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def alerts_remove(name: str, yes: bool) -> None:
    """Erase a channel with its address and its part of the log."""
    with Workbench.local() as workbench:
        channel = _channel(workbench, name)
        if not yes:
            click.confirm(_words().t(N_("Delete {name}?"), name=channel.name), abort=True, err=True)
        workbench.alerts.remove(channel.id)


@alerts.command("test")
@click.argument("name")
def alerts_test(name: str) -> None:
    """Send a test message. Exit 1 where the other side does not take it."""
    with _open_workbench() as workbench:
        channel = _channel(workbench, name)
        problem = workbench.alerts.test(channel.id)
    if problem is not None:
        _stop(_say(problem), NOT_OK)
    click.echo(_words().t(N_("Sent to {address}. Look whether it arrived."), address=channel.hint), err=True)


@alerts.command("log")
@click.option("--limit", default=100, show_default=True, help="How many, the newest first.")
@_as_json
def alerts_log(limit: int, as_json: bool) -> None:
    """What became of each message. Needs no password."""
    words = _words()
    with Workbench.local() as workbench:
        lines = workbench.alerts.log(limit)
    if as_json:
        rows = [
            {
                "channel": line.delivery.channel_name,
                "event": line.delivery.event.kind.value,
                "security": line.delivery.event.security,
                "about": line.delivery.event.text.params.get("name"),
                "at": reporting.iso(line.delivery.event.at),
                "state": line.delivery.state.value,
                "attempts": line.delivery.attempts,
                "repetition": line.delivery.number,
                "done_at": reporting.iso(line.delivery.done_at) if line.delivery.done_at else None,
                "reason": _say(line.delivery.reason) if line.delivery.reason else None,
                "waits_for": _say(line.waits_for) if line.waits_for else None,
            }
            for line in lines
        ]
        _print_json({"format": "bfai.deliveries/1", "deliveries": rows})
        return
    for line in lines:
        delivery = line.delivery
        why = " · ".join(_say(one) for one in (delivery.reason, line.waits_for) if one is not None)
        state = words.t(DELIVERY_NAMES[delivery.state])
        about = _say(heading(delivery.event))
        click.echo(
            f"{reporting.iso(delivery.event.at)}  {state:<12} {delivery.channel_name:<20} {about}  {why}".rstrip()
        )
    if any(line.delivery.state is DeliveryState.GIVEN_UP for line in lines):
        click.echo(
            words.t(N_("What was given up is not tried again. Test the channel: python -m bfai alerts test NAME")),
            err=True,
        )


# -- strategies --------------------------------------------------------------------------------------------------------


@main.group()
def strategy() -> None:
    """Set up, check, enable and export strategies. Needs no password."""


def _strategy(workbench: Workbench, name: str) -> Strategy:
    found = workbench.strategies.find(name)
    if found is None:
        _stop(_words().t(N_("There is no strategy named {name}."), name=name), NOT_OK)
    return found


def _problem_json(problem: Problem) -> dict[str, Any]:
    fixes = [{"field": fix.field, "value": fix.value, "text": _say(fix.text)} for fix in problem.fixes]
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "field": problem.field,
        "pair": problem.pair,
        "level": problem.level,
        "text": _say(problem.text),
        "fixes": fixes,
    }


def _print_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        click.echo(f"  {'✗' if problem.severity is Severity.ERROR else '!'} {_say(problem.text)}", err=True)
        for fix in problem.fixes:
            click.echo(f"      → {_say(fix.text)}", err=True)


def _refuse(error: StrategyError, as_json: bool = False) -> NoReturn:
    """All reasons against it, not only the first."""
    if as_json:
        problems = [_problem_json(problem) for problem in error.problems]
        _print_json({"format": "bfai.refusal/1", "text": _say(error.message), "problems": problems})
        sys.exit(NOT_OK)
    click.echo(_say(error.message), err=True)
    _print_problems(error.problems)
    sys.exit(NOT_OK)


def _changes(settings: tuple[str, ...]) -> dict[str, Any]:
    """`field=value` and `recovery.field=value`; a value is JSON where it can be read as such, else text."""
    found: dict[str, Any] = {}
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator or not name:
            raise click.BadParameter("field=value", param_hint="--set")
        try:
            value: Any = json.loads(text, parse_float=str)
        except ValueError:
            value = text.split(",") if name in ("pairs", "directions") else text
        found[name.strip().replace(".", "__")] = value
    return found


_set = click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a parameter. Repeatable.")
_file = click.option(
    "--file", "file", type=click.File("r", encoding="utf-8", errors="replace"), help="Parameters as JSON or YAML."
)


@strategy.command("list")
@_as_json
def strategy_list(as_json: bool) -> None:
    """Every strategy, its state, and why it is suspended."""
    workbench, words = Workbench.local(), _words()
    found = workbench.strategies.list()
    if as_json:
        _print_json({"format": "bfai.strategies/1", "strategies": [_strategy_json(one) for one in found]})
        return
    for one in found:
        click.echo(f"{words.t(STATE_WORDS[one.state]):<12} {one.name:<32} {one.connection_name} · {one.revision}")
        for reason in one.reasons:
            click.echo(f"    {_say(reason)}")


def _strategy_json(one: Strategy) -> dict[str, Any]:
    return {
        "name": one.name,
        "connection": one.connection_name or None,
        "state": one.state.value,
        "reasons": [_say(reason) for reason in one.reasons],
        "revision": one.revision,
        "enabled_revision": one.enabled_revision,
        "updated_at": reporting.iso(one.updated_at),
    }


@strategy.command("new")
@click.argument("name")
@click.option("--connection", required=True, help="The connection that it trades on.")
@click.option("--risk", type=click.Choice([level.value for level in RiskLevel]), default="balanced", show_default=True)
@click.option("--pair", "pairs", multiple=True, help="Such as BTC/USDT. Repeatable.")
@click.option("--first", "size", default=None, help="The first order, in quote currency. Suggested if left out.")
@_set
@_file
def strategy_new(
    name: str,
    connection: str,
    risk: str,
    pairs: tuple[str, ...],
    size: str | None,
    settings: tuple[str, ...],
    file: TextIO | None,
) -> None:
    """Set up a draft from a risk level or from a file."""
    with Workbench.local() as workbench:
        there = _named(workbench, connection)
        try:
            if file is not None:
                parameters = import_text(file.read(1_000_000))[1]
            elif pairs:
                parameters = workbench.strategies.suggested(there.id, RiskLevel(risk), pairs, size)
            else:
                raise click.UsageError("--pair, --file")
            parameters = parameters.changed(**_changes(settings)) if settings else parameters
            made = workbench.strategies.create(name, there.id, parameters)
        except StrategyError as error:
            _refuse(error)
        _print_problems(workbench.strategies.review(made.id).problems)


@strategy.command("edit")
@click.argument("name")
@_set
@_file
def strategy_edit(name: str, settings: tuple[str, ...], file: TextIO | None) -> None:
    """Save a new revision. Open groups keep the one that they began with."""
    with Workbench.local() as workbench:
        found = _strategy(workbench, name)
        try:
            parameters = workbench.strategies.parameters(found.id)
            parameters = import_text(file.read(1_000_000))[1] if file is not None else parameters
            parameters = parameters.changed(**_changes(settings)) if settings else parameters
            saved = workbench.strategies.save(found.id, found.revision, parameters)
        except StrategyError as error:
            _refuse(error)
        click.echo(_words().t(N_("Revision {number} is saved."), number=saved.revision), err=True)
        _print_problems(workbench.strategies.review(found.id).problems)


@strategy.command("engine-export")
@click.argument("name")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=None, help="Freqtrade's files."
)
@click.option("--interval", "minutes", type=int, default=5, show_default=True, help="Minutes of a candle.")
@click.option("--hosted", "is_hosted", is_flag=True, help="The request of the exchange's own ladder instead, to read.")
def strategy_engine_export(name: str, folder: Path | None, minutes: int, is_hosted: bool) -> None:
    """Write what Freqtrade needs, without any key, or print the request of the exchange's own ladder. Sends nothing."""
    with Workbench.local() as workbench:
        found = _strategy(workbench, name)
        try:
            if is_hosted:
                request = workbench.strategies.hosted(found.id)
                _print_problems(request.problems)
                click.echo(request.text, nl=False)
                return
            if folder is None:
                raise click.UsageError("--to, --hosted")
            bundle = workbench.strategies.freqtrade(found.id, interval=timedelta(minutes=minutes))
            bundle.write(folder)
        except StrategyError as error:
            _refuse(error)
        except OSError as error:
            text = N_("{file} cannot be written: {words}")
            _stop(_words().t(text, file=str(folder), words=error.strerror or type(error).__name__), NOT_OK)
        _print_problems(bundle.problems)
        click.echo(_words().t(N_("Written to {folder}. It trades with paper money."), folder=str(folder)), err=True)


# -- engines -----------------------------------------------------------------------------------------------------------


@main.command("run")
@click.argument("name")
@click.option("--live", is_flag=True, help="With real money. Asks for the strategy's name.")
@click.option("--install", is_flag=True, help="Install Freqtrade first where it is missing (about 800 MB).")
@click.option("--interval", "minutes", type=int, default=5, show_default=True, help="Minutes of a candle.")
@click.option("--status", "show", is_flag=True, help="Say what its engine does, and start nothing.")
@click.option("--log", "lines", type=int, default=0, help="Print so many lines of its log, and start nothing.")
@click.option("--stop", "ends", is_flag=True, help="Stop its engine. Groups stay open.")
@_as_json
def run_strategy(
    name: str, live: bool, install: bool, minutes: int, show: bool, lines: int, ends: bool, as_json: bool
) -> None:
    """Run an enabled strategy with Freqtrade, on paper unless --live. It goes on when this program ends."""
    words = _words()
    workbench = _open_workbench() if live else Workbench.local()
    with workbench:
        if ends and name in workbench.lost_engines():
            _print_engine(name, workbench.stop_strategy(name), as_json)
            return
        found = _strategy(workbench, name)
        if lines:
            click.echo(workbench.engines.log(found.id, lines))
            return
        if ends:
            _print_engine(found.name, workbench.stop_strategy(found.id), as_json)
            return
        if show:
            status = workbench.engine_status(found.id)
            _print_engine(found.name, status, as_json)
            sys.exit(OK if status.runs else NOT_OK)
        _install_engine(workbench, install)
        typed = ""
        if live:
            text = N_("This trades with real money. Type the strategy's name")
            typed = str(click.prompt(words.t(text), err=True))
        try:
            status = workbench.run_strategy(found.id, live=live, typed=typed, interval=timedelta(minutes=minutes))
        except StrategyError as error:
            _refuse(error)
        _print_engine(found.name, status, as_json)


def _install_engine(workbench: Workbench, allowed: bool) -> None:
    engines, words = workbench.engines, _words()
    if engines.installed:
        return
    if not allowed:
        text = N_("Freqtrade is not installed yet. Install it with: python -m bfai run NAME --install")
        _stop(words.t(text), NOT_OK)
    click.echo(words.t(N_("Installing Freqtrade in {folder} …"), folder=str(engines.venv)), err=True)
    engines.install(lambda line: click.echo(f"  {line}"[:110], err=True))


def _print_engine(name: str, status: EngineStatus, as_json: bool) -> None:
    words = _words()
    if as_json:
        groups = [
            {
                "pair": group.pair,
                "side": group.side,
                "opened_at": reporting.iso(group.opened_at),
                "average": str(group.average),
                "amount": str(group.amount),
                "cost": str(group.cost),
                "fills": group.fills,
                "recovery": group.recovery,
            }
            for group in status.groups
        ]
        _print_json(
            {
                "format": "bfai.engine/1",
                "strategy": name,
                "state": status.state.value,
                "live": status.live,
                "pid": status.pid,
                "revision": status.revision,
                "started_at": reporting.iso(status.started_at) if status.started_at else None,
                "may_open": status.may_open,
                "open_groups": groups,
                "closed_groups": status.closed_groups,
                "profit": None if status.profit is None else str(status.profit),
            }
        )
        return
    kind = words.t(N_("real money") if status.live else N_("paper money"))
    click.echo(f"{name}: {words.t(ENGINE_STATES[status.state])} · {kind}")
    for group in status.groups:
        click.echo(f"  {group.pair} {group.side} · {group.amount} @ {group.average} · {group.fills}")
    if status.profit is not None:
        text = N_("Closed groups: {count}, together {profit}")
        click.echo("  " + words.t(text, count=status.closed_groups, profit=f"{status.profit:.4f}"))


@strategy.command("validate")
@click.argument("name")
@_as_json
def strategy_validate(name: str, as_json: bool) -> None:
    """Everything that is wrong or unwise, what would mend it, and what the strategy costs. Exit 1 if it cannot run."""
    with Workbench.local() as workbench:
        review = workbench.strategies.review(_strategy(workbench, name).id)
    if as_json:
        _print_json(
            {
                "format": "bfai.review/1",
                "ok": review.ok,
                "problems": [_problem_json(problem) for problem in review.problems],
                "required_per_group": _plain(review.required_per_group),
                "required_total": _plain(review.required_total),
                "groups": review.groups,
            }
        )
    else:
        _print_problems(review.problems)
        if review.ok:
            click.echo(_words().t(N_("Nothing stands against enabling it.")))
    sys.exit(OK if review.ok else NOT_OK)


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


@strategy.command("enable")
@click.argument("name")
@_as_json
def strategy_enable(name: str, as_json: bool) -> None:
    """Enable it, or resume it. Refused with all reasons where the gate does not open."""
    with Workbench.local() as workbench:
        try:
            enabled = workbench.strategies.enable(_strategy(workbench, name).id)
        except StrategyError as error:
            _refuse(error, as_json)
    if as_json:
        _print_json({"format": "bfai.strategy-state/1", **_strategy_json(enabled)})


@strategy.command("disable")
@click.argument("name")
def strategy_disable(name: str) -> None:
    """Back to a draft: no new groups."""
    with Workbench.local() as workbench:
        workbench.strategies.disable(_strategy(workbench, name).id)


@strategy.command("schema")
def strategy_schema() -> None:
    """The JSON Schema of the parameters, for editors and other programs."""
    _print_json(json_schema())


@strategy.command("export")
@click.argument("name")
@click.option("--yaml", "as_yaml", is_flag=True, help="YAML instead of JSON.")
def strategy_export(name: str, as_yaml: bool) -> None:
    """The present revision as a file that another workbench can import. Holds no key."""
    with Workbench.local() as workbench:
        click.echo(workbench.strategies.export(_strategy(workbench, name).id, as_yaml=as_yaml), nl=False)


# -- the ladder --------------------------------------------------------------------------------------------------------


@main.command()
def ladder() -> None:
    """Work out a ladder of add-ons: the market's rules and the plan as JSON on stdin, rows and violations on stdout.

    Works offline. Exit 0 also where rules are broken: see "valid" in the summary.
    """
    try:
        parsed: Any = json.loads(sys.stdin.read(1_000_000), parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation):
        parsed = None
    if not isinstance(parsed, dict):
        raise click.UsageError('stdin: {"market": {…}, "strategy": {…}}')
    given = cast("dict[str, Any]", parsed)
    try:
        market, plan = laddering.from_json(given)
    except laddering.LadderError as error:
        _stop(_say(error.message), USAGE)
    for name in laddering.unknown_fields(given):
        click.echo(_words().t(N_("{field} means nothing here and was left out."), field=name), err=True)
    _print_json(laddering.build(market, plan).as_json())


# -- the simulator -----------------------------------------------------------------------------------------------------


@main.command()
@click.option("--port", default=0, show_default=True, help="0 picks a free one.")
@click.option(
    "--ca", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Where to write its certificate."
)
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None, help="Faults to begin with."
)
@_as_json
def simulator(port: int, ca: Path | None, faults: Path | None, as_json: bool) -> None:
    """Run the simulated exchanges until interrupted."""
    from bfai.simulator import serve

    serve(port=port, ca=ca, faults=faults, as_json=as_json)
