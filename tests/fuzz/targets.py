"""Every place where a byte from outside is read, as a function of bytes that must never be surprised.

What is promised of each: a result or a refusal in words, no other exception, in every language; nothing that
is shown holds a secret; time and memory stay within bounds. `python -m tests.fuzz` looks for inputs that break it;
`test_fuzz_corpus.py` replays those that did once, and one of every kind of outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import random
import signal
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast

import click
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from yarl import URL

from bfai import cli, diagnosis, pairing, report, sealed_file, vault, words
from bfai import settings as bfai_settings
from bfai.backup import FORMAT, BackupError, BackupFile, Backups, write_rows
from bfai.bots import find_in_texts
from bfai.connection_test import run_test
from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Answer, Exchange
from bfai.explain import explain_text, report_in
from bfai.i18n import LANGUAGES, best_language, translator
from bfai.model import BfaiError, Credentials, Market, Message, Target, TestRun
from bfai.paste import read_paste
from bfai.sealed_file import CHUNK, MAGIC, OWN, SealedWriter
from bfai.sending import BadAddress, clean, read_address
from bfai.simulator import Simulator
from bfai.store import Store, StoreError, Wrap, open_store
from bfai.store.migrations import MIGRATIONS
from bfai.store.move import TABLES
from bfai.store.sql import SqlStore
from bfai.strategy.candles import CandlesError, SignalsError, read_candles, read_signals
from bfai.strategy.limits import Markets, MarketsError
from bfai.strategy.parameters import StrategyError, check, export_text, import_text
from bfai.transport import Gateway, Transport, redact
from bfai.tripwire import read_names
from bfai.vault import Cost, Vault, file_key, wrap_key

DATA = Path(__file__).parent.parent / "data"
CANARY = "c4nArYs3cr3tv4lu3x9q7zk2Lw8tq5mp0"
"""A secret as exchanges make them. Wherever an input holds it in a place of secrets, nothing that is shown may."""
SHOWN_OF_IT = 20
"""So many letters of a secret in a row count as shown: what an input cuts to pieces may show a piece."""
SECONDS = 2.0
"""Of processor time for one input; the longest input is some 300 kB."""
MEGABYTES = 300
"""By which one input may make the process larger."""
MOST_LINES = 5000
FIXED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def pieces(secret: str) -> list[str]:
    """What nobody may see of it."""
    return [secret[at : at + SHOWN_OF_IT] for at in range(len(secret) - SHOWN_OF_IT + 1)]


class Broken(AssertionError):
    """A promise that an input broke."""


class Outcome(NamedTuple):
    """`kind` tells apart what happened; `shown` is everything that a person may see of it."""

    kind: str
    shown: str = ""
    secrets: tuple[str, ...] = (CANARY,)


@dataclass(frozen=True)
class Reader:
    """`seeds` are good inputs to begin with; `words` are put in where that hurts most."""

    read: Callable[[bytes], Outcome]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[str, ...] = ()


def text_of(data: bytes) -> str:
    """As a terminal gives it: what is no UTF-8 comes as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def headed(data: bytes) -> tuple[list[str], str]:
    """The words of the first line, and the rest."""
    head, _, rest = text_of(data).partition("\n")
    return head.split(), rest


def told(*messages: Message) -> str:
    """As they are shown, in every language."""
    return "\n".join(translator(language).render(message) for message in messages for language in LANGUAGES)


def refused(error: BfaiError) -> Outcome:
    return Outcome(error.message.text, f"{error}\n{error!r}\n{told(error.message)}")


# -- the watch -----------------------------------------------------------------------------------------------------------


def attempt(reader: Reader, data: bytes, *, patience: float = 10 * SECONDS) -> Outcome:
    """Reads one input. Raises Broken, or what the reader should not have raised."""
    before, began = _largest(), time.thread_time()
    with _not_for_ever(patience):
        outcome = reader.read(data)
    seconds, grown = time.thread_time() - began, _largest() - before
    if seconds > SECONDS:
        raise Broken(f"took {seconds:.1f} s of processor time for {len(data)} bytes")
    if grown > MEGABYTES:
        raise Broken(f"took {grown:.0f} MB for {len(data)} bytes")
    if _is_text(data):
        (outcome.kind + outcome.shown).encode()  # what came as text goes as text: to a screen, into the store
    for secret in outcome.secrets:
        if any(piece in outcome.shown for piece in pieces(secret)):
            raise Broken(f"shows a secret: {outcome.shown[:400]!r}")
    return outcome


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _largest() -> float:
    """The most memory that this process ever had, in megabytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def _not_for_ever(patience: float) -> Iterator[None]:
    """Ends what takes far too long, so that it can be named; not where the system has no such alarm."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Broken(f"still not done after {patience:.0f} s of processor time")

    kept = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, patience)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, kept)


# -- keys and what is said about them ------------------------------------------------------------------------------------


def _exchange(head: list[str]) -> Exchange:
    known = all_exchanges()
    return known.get(head[0], known["mexc"]) if head else known["mexc"]


def read_pasted(data: bytes) -> Outcome:
    """`EXCHANGE` in the first line, what was pasted below."""
    head, text = headed(data)
    exchange = _exchange(head)
    pasted = read_paste(exchange, text, all_exchanges().values())
    messages = (*pasted.problems, *pasted.doubts)
    kind = (exchange.id, pasted.found, pasted.missing, *(message.text for message in messages), pasted.other_exchange)
    return Outcome(repr(kind), f"{pasted!r}\n{pasted.credentials!r}\n{told(*messages)}")


def pasted_seeds() -> Iterator[bytes]:
    keys = {
        "mexc": "mx0vABCDEFGH123456",
        "kucoin": "6705f5c311545b000157d3eb",
        "coinbase": "organizations/0f3b2c1d-1111-2222-3333-444455556666/apiKeys/0f3b2c1d-1111-2222-3333-444455556667",
    }
    pem = f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----"
    for name in all_exchanges():
        key = keys.get(name, "0123456789abcdef0123456789abcdef")
        secret = pem if name == "coinbase" else CANARY
        yield f"{name}\n{key} {secret} my-pass_1".encode()
        yield f"{name}\nAPI Key: {key}\nSecret Key: {secret}\nPassphrase: my-pass_1\nIP: 203.0.113.7".encode()
        yield f"{name}\n{json.dumps({'apiKey': key, 'secret': secret, 'passphrase': 'x', 'name': key})}".encode()


def read_explained(data: bytes) -> Outcome:
    """`EXCHANGE STATUS` in the first line, each of them or neither; what somebody has of an error below."""
    head, text = headed(data)
    known = all_exchanges()
    exchange = known.get(head[0]) if head else None
    status = int(head[-1]) if head and head[-1].isascii() and head[-1].isdigit() and len(head[-1]) == 3 else None
    found = explain_text(text, known.values(), exchange=exchange, status=status)
    adapter, english = found.exchange, translator("en")
    if found.diagnosis is None:
        assert found.report is not None
        return Outcome(f"a report of {adapter and adapter.id}", _about_key(found.report.model_dump_json()))
    shown = [report.diagnosis(found.diagnosis, adapter, english), told(diagnosis.sentence(found.diagnosis, adapter))]
    kind = f"{adapter and adapter.id} {found.diagnosis.cause} {found.diagnosis.candidates}"
    return Outcome(kind, json.dumps(shown, ensure_ascii=False) + repr(found))


def _about_key(shown: str) -> str:
    """Label and account are shown as the exchange tells them: an input that calls its secret so is not our leak."""
    fields = json.loads(shown)
    return json.dumps({name: value for name, value in fields.items() if name not in ("label", "account_id")})


def explained_seeds() -> Iterator[bytes]:
    for line in _lines("error_responses.jsonl"):
        body = line.get("body") or line.get("error_text") or ""
        head = f"{line['exchange']} {line.get('http_status') or ''}\n"
        yield (head + str(body)).encode()
        url = f"https://api.example.com/v1/account?apiKey={CANARY}&signature={CANARY}"
        yield f"\nccxt.base.errors.AuthenticationError: {line['exchange']} GET {url} 401 {body}".encode()
        yield f"\n{line['exchange']} headers={{'X-API-KEY': '{CANARY}'}} { {'body': body}!r}".encode()


def read_lines(data: bytes) -> Outcome:
    """`explain --jsonl` from end to end: one object a line out, for every line in; of more lines it takes longer."""
    data = b"".join(data.splitlines(keepends=True)[:MOST_LINES])
    done = CliRunner().invoke(cli.main, ["explain", "--jsonl"], input=data.decode("utf-8", "replace"))
    if done.exception is not None:
        raise done.exception
    asked = data.decode("utf-8", "replace")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if len(found) != len(list(_as_lines(asked))):
        raise Broken(f"{len(found)} answers")
    kinds = {str((one.get("diagnosis") or {}).get("cause", "report")) for one in found}
    for one in found:
        one.pop("account", None)
    return Outcome(repr(sorted(kinds)), done.stdout if not found or "account" in done.stdout else json.dumps(found))


def _as_lines(text: str) -> Iterator[str]:
    yield from io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def line_seeds() -> Iterator[bytes]:
    for name in ("error_responses.jsonl", "key_reports.jsonl"):
        for line in _lines(name):
            yield json.dumps(line).encode() + b"\n"


def read_reported(data: bytes) -> Outcome:
    """`EXCHANGE METHOD /path` in the first line, the body of the key report below."""
    head, _, body = data.decode("utf-8", "replace").partition("\n")  # as an answer is decoded
    head = head.split()
    exchange = _exchange(head)
    found = report_in(" ".join(head[1:]), body, exchange)
    answer = Answer(status=200, body=body)
    own = exchange.read_report(answer.json, received_at=FIXED, api_key=CANARY)
    kinds: list[str] = []
    shown = ""
    for one in (found, own):
        kinds.append(repr(one and [(right.value, one.state(right).value) for right in one.grants]))
        if one is not None:
            shown += json.dumps([report.permissions(one), report.ip_restriction(one)])
            one.model_validate_json(one.model_dump_json())
    return Outcome(f"{exchange.id} {kinds}", shown)


def reported_seeds() -> Iterator[bytes]:
    for line in _lines("key_reports.jsonl"):
        yield f"{line['exchange']} {line['endpoint']}\n{line['body']}".encode()


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


# -- the exchanges' answers ----------------------------------------------------------------------------------------------


class Canned(Transport):
    """A transport to which no network belongs: each path has its answer, and any other is not there."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(None, call_seconds=1.0)
        self._answers = answers

    async def fetch(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None = None,
        *,
        max_body: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> Answer:
        found = self._answers.get(url.path) or {"transport_error": "read_timeout"}
        text = found.get("body")
        raw = found.get("headers")
        status = found.get("status")
        error = found.get("transport_error")
        return Answer(
            status=status if isinstance(status, int) and 100 <= status < 600 and not error else None,
            headers={str(name): str(value) for name, value in raw.items()} if isinstance(raw, dict) else {},
            body=text if isinstance(text, str) and not error else "",
            transport_error=str(error) if error else None,
        )


class Recorded(Transport):
    """The true transport to the simulator; keeps what came."""

    answers: dict[str, dict[str, Any]]

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.answers = {}

    async def fetch(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        proxy: str | None = None,
        *,
        max_body: int = 2**21,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> Answer:
        answer = await super().fetch(method, url, headers, body, proxy, max_body=max_body, family=family)
        text = answer.body if len(answer.body) < 20_000 else ""
        self.answers[url.path] = {"status": answer.status, "headers": dict(answer.headers), "body": text}
        return answer


def _object(text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _case(data: bytes) -> tuple[dict[str, Any], Exchange, Target, dict[str, dict[str, Any]]]:
    case = _object(data.decode("utf-8", "replace"))
    exchange = all_exchanges().get(str(case.get("exchange")), all_exchanges()["mexc"])
    market = Market.FUTURES if case.get("market") == "futures" else Market.SPOT
    given = case.get("answers")
    answers = {path: one for path, one in given.items() if isinstance(one, dict)} if isinstance(given, dict) else {}
    return case, exchange, Target(exchange=exchange.id, market=market, region=exchange.regions[0].id), answers


def read_answers(data: bytes) -> Outcome:
    """A whole connection test on the answers of a file, and everything that is ever said about its result."""
    case, exchange, target, answers = _case(data)
    if not answers:
        return Outcome("no case")
    key, secret, phrase = (str(case.get(name) or "") for name in ("key", "secret", "passphrase"))

    async def run() -> TestRun:
        async with Canned(answers) as transport:
            return await run_test(exchange, target, Credentials(key, secret, phrase or None), transport)

    found = asyncio.run(run())
    again = TestRun.model_validate_json(found.model_dump_json())
    if again != found:
        raise Broken("what is stored is not what was found")
    cause = found.diagnosis.cause if found.diagnosis else None
    secrets = tuple(one for one in (secret, phrase) if not one.isdigit())  # a balance may be the same number
    return Outcome(f"{exchange.id} {found.status} {cause}", everything_about(found, exchange), secrets)


def everything_about(run: TestRun, exchange: Exchange) -> str:
    messages = [*words.thief_view(run), *words.advice(run, exchange), *words.alarms(run)]
    messages += [check.detail for check in run.checks]
    if run.diagnosis is not None:
        messages += [diagnosis.sentence(run.diagnosis, exchange, run.market, run.key_report)]
    messages += [one for one in (words.tested_from(run), words.set_aside(run)) if one is not None]
    shown = [report.report(run, exchange, translator(language)) for language in ("en", "nl", "hr")]
    remedy = (
        diagnosis.remedy(run.diagnosis, exchange, run.market, run.key_report, stored=True) if run.diagnosis else None
    )
    return "\n".join(
        (
            json.dumps(shown),
            told(*messages),
            repr(words.rights_table(run, exchange)),
            repr(remedy),
            run.model_dump_json(),
        )
    )


def answer_seeds() -> Iterator[bytes]:
    with Simulator() as simulator:
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        for exchange in all_exchanges().values():
            for account in ("good", "withdraw", "ip_blocked", "expired", "unknown_right"):
                keys = simulator.accounts[exchange.id].get(account)
                for market in Market:
                    if keys is None or (exchange.id == "coinbase" and market is Market.FUTURES):
                        continue
                    credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                    target = Target(exchange=exchange.id, market=market, region=exchange.regions[0].id)

                    async def run(
                        exchange: Exchange = exchange, target: Target = target, credentials: Credentials = credentials
                    ) -> dict[str, dict[str, Any]]:
                        async with Recorded(gateway) as transport:
                            await run_test(exchange, target, credentials, transport)
                            return transport.answers

                    case = {"exchange": exchange.id, "market": market.value, "key": credentials.api_key}
                    case |= {"secret": credentials.secret, "passphrase": credentials.passphrase}
                    yield json.dumps({**case, "answers": asyncio.run(run())}).encode()


HOUR = (1_767_225_600, 1_767_225_600 + 3600)


def read_markets(data: bytes) -> Outcome:
    """The rules of a pair, its price and an hour of its candles, from the answers of a file."""
    _, exchange, target, answers = _case(data)
    if not answers or not exchange.serves(target.region, target.market, target.environment):
        return Outcome("no case")

    async def run() -> Outcome:
        async with Canned(answers) as transport:
            markets = Markets(transport)
            try:
                rules = await markets.complete(target, "BTC/USDT")
                rules.from_json(json.loads(json.dumps(rules.to_json())))
                pages = await markets.candles(target, rules, "5m", [HOUR])
            except MarketsError as error:
                return refused(error)
            return Outcome("; ".join(type(page).__name__ for page in pages), repr((rules, pages))[:100_000])

    kind, shown, _ = asyncio.run(run())
    return Outcome(f"{exchange.id} {target.market} {kind}", shown)


def market_seeds() -> Iterator[bytes]:
    with Simulator() as simulator:
        gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
        for exchange in all_exchanges().values():
            for market in Market:
                target = Target(exchange=exchange.id, market=market, region=exchange.regions[0].id)
                if not exchange.serves(target.region, market, target.environment):
                    continue

                async def run(target: Target = target) -> dict[str, dict[str, Any]]:
                    async with Recorded(gateway) as transport:
                        markets = Markets(transport)
                        with contextlib.suppress(MarketsError):
                            rules = await markets.complete(target, "BTC/USDT")
                            await markets.candles(target, rules, "5m", [HOUR])
                        return transport.answers

                case = {"exchange": exchange.id, "market": market.value}
                yield json.dumps({**case, "answers": asyncio.run(run())}).encode()


# -- files ---------------------------------------------------------------------------------------------------------------


def read_strategy(data: bytes) -> Outcome:
    try:
        name, parameters = import_text(text_of(data))
    except StrategyError as error:
        return Outcome(error.message.text, refused(error).shown, ())
    for as_yaml in (False, True):
        export_text(name, parameters, 1, as_yaml=as_yaml).encode()
        if import_text(export_text(name, parameters, 1, as_yaml=as_yaml)) != (name, parameters):
            raise Broken("what is exported is not what is imported")
    problems = check(parameters)
    fixes = [fix.text for problem in problems for fix in problem.fixes]
    return Outcome(
        repr([problem.code for problem in problems]), told(*(problem.text for problem in problems), *fixes), ()
    )


def strategy_seeds() -> Iterator[bytes]:
    from bfai.strategy.parameters import RiskLevel, preset

    for market in Market:
        for level in RiskLevel:
            for as_yaml in (False, True):
                yield export_text(
                    "Mine", preset(level, market, ["BTC/USDT", "ETH/USDT"], "50"), 3, as_yaml=as_yaml
                ).encode()
    yield preset("balanced", "spot", ["BTC/USDT"], "50").model_dump_json().encode()


def read_candle_file(data: bytes) -> Outcome:
    try:
        found = read_candles(data, "a file", "BTC/USDT")
    except CandlesError as error:
        return Outcome(error.message.text, refused(error).shown, ())
    low, high = found.low, found.high
    if not (len(found) >= 2 and (found.time[1:] > found.time[:-1]).all() and (low > 0).all() and (high >= low).all()):
        raise Broken(f"candles that are none: {found!r}")
    return Outcome(f"candles, gaps {found.gaps > 0}", f"{found!r} {found.begins} {found.ends} {found.digest}", ())


def read_signal_file(data: bytes) -> Outcome:
    try:
        found = read_signals(data, "a file")
    except SignalsError as error:
        return Outcome(error.message.text, refused(error).shown, ())
    if not found or any(row.side not in ("long", "short") for row in found):
        raise Broken(f"signals that are none: {found[:3]!r}")
    return Outcome(f"signals {sorted({row.side for row in found})}", repr(found), ())


def candle_seeds() -> Iterator[bytes]:
    from tests.strategy.test_candles import UNITED

    files = [data.encode() if isinstance(data, str) else data for data in UNITED.values()]
    yield from (*files, gzip.compress(files[0]))


def signal_seeds() -> Iterator[bytes]:
    yield b"time,pair,side\n2026-01-01 00:00,BTC/USDT,long\n1767225600,ETH/USDT,sell\n2026-01-01T00:05:00Z,X/Y,exit\n"
    yield b"Trade #,Type,Signal,Date/Time,Price USDT\n1,Entry long,Buy,2026-01-01 00:00,90\n1,Exit long,Close,2026-01-01 01:00,91\n"
    yield b"Alert ID,Ticker,Name,Description,Time\n1,BINANCE:BTCUSDT.P,x,go long now,2026-01-01T00:00:00Z\n"


BOT_FILES = ("config.json", ".env", "docker-compose.yml", "conf.yml", "api-keys.json", "bot.py", "user.json", "x.txt")


def read_bot_file(data: bytes) -> Outcome:
    """A name of `BOT_FILES` in the first line, the file below."""
    head, text = headed(data)
    name = head[0] if head and head[0] in BOT_FILES else BOT_FILES[0]
    found = find_in_texts([(name, text)])
    rows = [(key.bot, key.exchange, key.market.value, key.environment.value, key.kept.value) for key in found.keys]
    shown = [repr(found), *(f"{key.entry} {key.exchange_name} {key.hint} {key.file}" for key in found.keys)]
    # A key may be called what its neighbour's secret is, and is then shown by its place: `secrets` says what is one.
    return Outcome(f"{name} {rows[:3]} {bool(found.unread)}", "\n".join(shown))


def bot_seeds() -> Iterator[bytes]:
    key, phrase = "mx0vTESTKEY000000001", "correct-horse"
    freqtrade = {
        "trading_mode": "futures",
        "exchange": {"name": "mexc", "key": key, "secret": CANARY},
        "dry_run": False,
    }
    passivbot = {"main": {"exchange": "kucoin", "key": key, "secret": CANARY, "passphrase": phrase}}
    compose = {
        "services": {"bot": {"image": "x", "environment": [f"BINANCE_API_KEY={key}", f"BINANCE_SECRET={CANARY}"]}}
    }
    yield f"config.json\n{json.dumps(freqtrade, indent=1)}".encode()
    yield f"api-keys.json\n{json.dumps(passivbot)}".encode()
    yield f"docker-compose.yml\n{json.dumps(compose)}".encode()
    yield f"conf.yml\nokx_api_key: {key}\nokx_secret_key: {CANARY}\nokx_passphrase: '{phrase}'\n".encode()
    yield f"conf.yml\nexchanges:\n  okx:\n    api-key: {key}\n    api-secret: {CANARY}\n    sandboxed: true\n".encode()
    yield f".env\nexport MEXC_API_KEY='{key}'\nMEXC_API_SECRET=\"{CANARY}\"\n# no\nBYBIT_SECRET={CANARY}\n".encode()
    yield f"bot.py\nexchange = ccxt.mexc({{'apiKey': '{key}', 'secret': '{CANARY}'}})\n".encode()


# -- reports from elsewhere ----------------------------------------------------------------------------------------------

CODE = pairing.Code(bytes(range(16)))
KEY = Credentials("mx0vABCDEFGH123456", CANARY)


def read_paired(data: bytes) -> Outcome:
    """`sealed` in the first line: the report below is sealed anew, as a server that has code and key could."""
    head, text = headed(data)
    mexc = all_exchanges()["mexc"]
    try:
        found = pairing.read_report(text if head == ["sealed"] else data)
        part = {name: value for name, value in found["pairing"].items() if name != "seal"}
        if head == ["sealed"]:
            part["proof"] = CODE.proof(mexc, KEY)
            try:
                part["seal"] = CODE.seal(mexc, KEY, {**found, "pairing": part})
            except UnicodeEncodeError:
                return Outcome("cannot be sealed")
            found = {**found, "pairing": part}
        pairing.run_id_of(found)
        pairing.check_target(found, Target(exchange="mexc", region=mexc.regions[0].id), all_exchanges())
        run = pairing.take(found, CODE, KEY, mexc, FIXED, FIXED + timedelta(minutes=5))
    except pairing.PairingError as error:
        return refused(error)
    return Outcome(f"taken {run.status} {run.diagnosis and run.diagnosis.cause}", everything_about(run, mexc))


def paired_seeds() -> Iterator[bytes]:
    mexc, english = all_exchanges()["mexc"], translator("en")
    for data in answer_seeds():
        case = json.loads(data)
        if case["exchange"] == "mexc" and case["market"] == "spot":

            async def run(case: dict[str, Any] = case) -> TestRun:
                async with Canned(case["answers"]) as transport:
                    target = Target(exchange="mexc", region=mexc.regions[0].id)
                    return await run_test(mexc, target, Credentials(case["key"], case["secret"]), transport)

            found = asyncio.run(run()).model_copy(update={"started_at": FIXED + timedelta(minutes=1)})
            paired = pairing.with_pairing(report.report(found, mexc, english), found, CODE, KEY, mexc, FIXED)
            yield json.dumps(paired).encode()
            yield b"sealed\n" + json.dumps(paired).encode()


# -- backups -------------------------------------------------------------------------------------------------------------

CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
ROOT, FILE_ID = bytes(range(32)), bytes(32)
HEAD = {"made_at": FIXED.isoformat(), "version": "1.0", "step": len(MIGRATIONS), "vault": "id"}


def read_backup(data: bytes) -> Outcome:
    """A file as it comes; or, as the first line says, one that is genuine to its last byte:

    - `lines`: with these in it, a list of JSON; a text in it is a line as it stands;
    - `text`: with these bytes in it;
    - `header`: with this header, whole in itself;
    - `chunks`: with its chunks in this order, numbers; a text in it is put there as it stands.

    What opens is read to its end and put into an empty database, where everything must be readable or refused in words.
    """
    head, _, rest = data.partition(b"\n")
    whole: bool | None = None
    try:
        match head.decode("latin-1"):
            case "lines":
                found = json.loads(rest)
                data = _sealed(b"".join(_as_line(one) for one in found) if isinstance(found, list) else b"")
            case "text":
                data = _sealed(rest)
            case "header":
                data = _with_header(json.loads(rest))
            case "chunks":
                data, whole = _in_order(json.loads(rest))
            case _:
                pass
    except (ValueError, RecursionError):
        return Outcome("no file")
    try:
        found = BackupFile.open(io.BytesIO(data), CANARY)
        there, rows = found.look_through()
    except BackupError as error:
        if whole:
            raise Broken("one that is whole is refused") from error
        return refused(error)
    if whole is False:
        raise Broken("one that is not whole is taken")
    if whole:
        return Outcome("whole")
    shown = f"{found!r} {found.made_at} {found.version} {rows} {there}"
    with contextlib.closing(open_store("sqlite://:memory:")) as store:
        try:
            Backups(store, lambda: None).restore(found)
        except (BackupError, StoreError) as error:
            if store.vault() is not None or store.connections() or store.audit_entries():
                raise Broken("something of what was refused is here") from error
            return Outcome(f"not put back: {error.message.text}", f"{shown}{refused(error).shown}", ())
        return Outcome(f"put back, {', '.join(_looked_at(store))}", shown, ())


def _looked_at(store: Store) -> Iterator[str]:
    """What of it cannot be read any more. Only words may be the reason."""
    looks: dict[str, Callable[[], object]] = {
        "vault": store.vault,
        "connections": store.connections,
        "runs": store.runs,
        "schedules": store.schedules,
        "pauses": store.pauses,
        "strategies": store.strategies,
        "channels": store.channels,
        "events": store.events,
        "deliveries": store.deliveries,
        "trail": store.audit_entries,
        "settings": lambda: bfai_settings.read(store),
        "backups": lambda: Backups(store, lambda: None).last,
        "locked": lambda: Vault.unlock(store, CANARY, cost=CHEAP),
    }
    for name, look in looks.items():
        try:
            look()
        except BfaiError:
            yield name


def _as_line(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass") + b"\n"


def _own_wrap() -> Wrap:
    return wrap_key(FILE_ID.hex(), ROOT, CANARY, CHEAP, salt=b"s" * 16, nonce=b"n" * 12, kind=OWN)


def _sealed(content: bytes) -> bytes:
    """A file that opens, whoever wrote what is in it."""
    file = io.BytesIO()
    key = file_key(ROOT, FILE_ID)
    writer = SealedWriter(file, id=FILE_ID.hex(), file_id=FILE_ID, wraps={OWN: _own_wrap()}, key=key)
    writer.write(content)
    writer.close()
    return file.getvalue()


def _with_header(header: Any) -> bytes:
    """What a hostile writer can make: digest and checksums are right, whatever they are of."""
    rows: Any = header.get("wraps") if isinstance(header, dict) else None
    for row in rows if isinstance(rows, list) else []:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, OverflowError):
            row["checksum"] = vault._checksum(str(header["id"]), *sealed_file._wrap(row)[:-1]).hex()
    body = json.dumps(header).encode("utf-8", "surrogatepass")
    start = sealed_file._prelude(1, body) + body
    packed, digest = zlib.compress(_one_setting("a")), hashlib.sha256(start).digest()
    return start + AESGCM(file_key(ROOT, FILE_ID)).encrypt(sealed_file._nonce(0, True), packed, digest)


@cache
def _chunks() -> tuple[bytes, tuple[bytes, ...]]:
    """A backup that is larger than a chunk: its header, and its chunks."""
    whole = _sealed(_one_setting(random.Random(1).randbytes(2 * CHUNK).hex()))  # of which zlib makes a bit over half
    start = whole.index(b"}]}") + 3
    size = CHUNK + 16
    return whole[:start], tuple(whole[at : at + size] for at in range(start, len(whole), size))


def _in_order(order: Any) -> tuple[bytes, bool]:
    """And whether that is as it was."""
    header, chunks = _chunks()
    asked = order if isinstance(order, list) else [order]
    parts = [
        chunks[one % len(chunks)] if isinstance(one, int) else str(one).encode("utf-8", "surrogatepass")
        for one in asked[:12]
    ]
    return header + b"".join(parts), b"".join(parts) == b"".join(chunks)


def _one_setting(value: str) -> bytes:
    head = {"format": FORMAT, **HEAD, "tables": {"setting": ["name", "value"]}}
    lines = (head, {"table": "setting"}, ["s", json.dumps(value)], {"rows": {"setting": 1}})
    return b"".join(map(_as_line, lines))


@cache
def _content() -> bytes:
    """What is in a backup of a database with a row in every table."""
    from tests.test_store_postgres import fill

    lines: list[bytes] = []
    with contextlib.closing(open_store("sqlite://:memory:")) as store:
        fill(store)
        with cast("SqlStore", store).long_look() as source:
            write_rows(lines.append, source, HEAD, TABLES)
    return b"".join(lines)


def backup_seeds() -> Iterator[bytes]:
    yield b"lines\n" + json.dumps([json.loads(line) for line in _content().splitlines()]).encode()
    yield b"text\n" + _content()
    yield b"header\n" + json.dumps(_header_of(_sealed(b""))).encode()
    yield b"chunks\n" + json.dumps(list(range(len(_chunks()[1])))).encode()
    yield _sealed(_content())
    with contextlib.closing(open_store("sqlite://:memory:")) as store:
        opened = Vault.create(store, CANARY, cost=CHEAP)
        made = Backups(store, lambda: opened).download().content
    yield made
    yield b"header\n" + json.dumps(_header_of(made)).encode()


def _header_of(content: bytes) -> Any:
    length = int.from_bytes(content[len(MAGIC) + 2 : len(MAGIC) + 6], "big")
    return json.loads(content[len(MAGIC) + 38 :][:length])


# -- settings and addresses ----------------------------------------------------------------------------------------------


def read_setting(data: bytes) -> Outcome:
    """What is read in the first line, what was typed below."""
    head, text = headed(data)
    what = head[0] if head else ""
    text = text.rstrip("\n")
    try:
        match what:
            case "gateway":
                Gateway.parse(text, __file__)
            case "language":
                best_language(text)
            case "interval":
                cli._interval(text)
            case "assets" | "pairs":
                told_names = read_names(text, pairs=what == "pairs")
                return Outcome(f"{what} {len(told_names)}", repr(told_names), ())
            case "code":
                pairing.Code.read(text)
            case "database" if not text.startswith("sqlite:"):
                open_store(text)
            case "redact":
                return Outcome("redacted", redact(f"secret={CANARY} {text}", [CANARY]))
            case _:
                return _read_address(text)
    except BfaiError as error:
        shown = refused(error)
        if what == "database":  # a host or a database that is none is told as it was typed
            told_whole = text.rpartition("@")[2].partition("?")[0]
            return shown._replace(secrets=()) if any(piece in told_whole for piece in pieces(CANARY)) else shown
        return shown if what == "code" else shown._replace(secrets=())  # as it was typed
    except click.BadParameter as error:
        return Outcome("no interval", error.format_message())
    return Outcome(f"{what} taken")


def _read_address(text: str) -> Outcome:
    try:
        address = read_address(text)
    except BadAddress as error:
        shown = refused(error)
        return shown._replace(secrets=()) if "mail" in error.message.params else shown  # a mail address is no secret
    said = clean(f"POST {address.url} failed: {text}", address.url)
    return Outcome(address.hint.partition("://")[0], f"{address.hint}\n{said}")


def setting_seeds() -> Iterator[bytes]:
    for line in (
        "gateway\n127.0.0.1:8443",
        "gateway\n[::1]:8443",
        "gateway\nlocalhost:1",
        "language\nnl-NL,hr;q=0.8,en;q=0.5",
        "interval\n15m",
        "assets\nBTC, eth; USDT",
        "pairs\nBTC/USDT:USDT ETHUSDT XBTUSDTM",
        f"code\n{CODE.text}",
        f"database\npostgresql://me:{CANARY}@example.com/bfai",
        "redact\nhello",
        f"address\nntfys://{CANARY}@example.com/topic",
        f"address\nmailtos://me:{CANARY}@example.com?to=you@example.com",
        f"address\ntgram://123456789:{CANARY}/12345",
        f"address\nhttps://discord.com/api/webhooks/1234567890/{CANARY}{CANARY}",
        f"address\njsons://me:{CANARY}@example.com:8443/path?token={CANARY}&+X-Key={CANARY}",
        f"address\nhttps://example.com/hook/{CANARY}",
        "address\nyou@example.com",
    ):
        yield line.encode()


# ruff: noqa: E501
# -- all of them ---------------------------------------------------------------------------------------------------------

READERS: Mapping[str, Reader] = {
    "paste": Reader(
        read_pasted,
        pasted_seeds,
        ("Secret Key", "API Key:", "passphrase=", "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----", "…", "***", CANARY),
    ),
    "explain": Reader(
        read_explained,
        explained_seeds,
        ('{"code":', "HTTP 403", "File \"x.py\", line 3", "<html>", "ExchangeError:", "\\\"", "ip 203.0.113.7", CANARY, f"&signature={CANARY}", f"'secret': '{CANARY}'"),
    ),
    "explain_lines": Reader(read_lines, line_seeds, ('"http_status":', '"headers":', '"endpoint":', '"transport_error":"dns"', "\n", "\r")),
    "key_report": Reader(read_reported, reported_seeds, ('"withdraw"', '"permissions":', '"ipWhitelist":', '"expiredTime":', "0.0.0.0/0", CANARY)),
    "answers": Reader(read_answers, answer_seeds, ('"body":', '"status":429', '"Retry-After":"', '"transport_error":"tls"', "<html>")),
    "markets": Reader(read_markets, market_seeds, ('"body":', '"0.00000001"', '"1e-400"', '"-1"', '"USDT"')),
    "strategy": Reader(read_strategy, strategy_seeds, ('"format":', "bfai.strategy/1", "pairs:", "- ", "10%", "&a", "*a", "!!python/object:os.system")),
    "candles": Reader(read_candle_file, candle_seeds, ("time,open,high,low,close\n", "2026-01-01T00:00:00+99:00", "1e308", "9999-12-31", "PAR1", "ARROW1", "PK\x03\x04")),
    "signals": Reader(read_signal_file, signal_seeds, ("long", "BINANCE:", "exit", "9999-12-31 23:59", "\t", ";")),
    "bot_file": Reader(read_bot_file, bot_seeds, ("${", "&a", "*a", "<<:", "//", "/*", "api_key", "secret:", "- ", "!!python/name:os.system", CANARY)),
    "pairing": Reader(read_paired, paired_seeds, ('"pairing":', '"run":', '"grants":', '"started_at":"', '"seal":')),
    "backup": Reader(read_backup, backup_seeds, ('{"table":"', '{"rows":{', '"tables":', '["', '"step":1', "lines\n", "\n", "bfai.backup/2", MAGIC.decode("latin-1"))),
    "settings": Reader(read_setting, setting_seeds, ("://", "@", "?to=", "&", ":", "%2F", "template=", CANARY)),
}  # fmt: skip
