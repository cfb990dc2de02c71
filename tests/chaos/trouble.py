"""The simulated exchanges on their worst days: each answer may go wrong, each key may change, and a journal tells.

The journal has a line for every request: what the key was truly allowed at that moment, and what became of the answer.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bfai.exchanges import all_exchanges
from bfai.exchanges.base import Role
from bfai.model import Credentials, Environment, Market, Target
from bfai.simulator import Simulator
from bfai.simulator.core import Account, Call, Reply
from bfai.simulator.faults import KINDS, PAGES, Fault, Faults, spoiled
from tests.test_false_online import denies_withdrawal

VERDICTS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "data" / "accounts.json").read_text()
)["verdicts"]
CALL_SECONDS = 2.0
"""How long a monitor of the run waits for an answer, in place of eight seconds."""
ELSEWHERE = "198.51.100.9"
STATUSES = (400, 401, 403, 404, 418, 429, 451, 500, 502, 503, 504, 520, 530)
RETRY_AFTER: tuple[dict[str, Any], ...] = (
    {},
    {"retry_after": 0},
    {"retry_after": 1},
    {"retry_after": 2},
    {"headers": {"Retry-After": "soon"}},
    {"headers": {"Retry-After": "-1"}},
    {"headers": {"Retry-After": "1e300"}},
    {"headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}},
)
JUNK: tuple[Any, ...] = ("null", "true", "0", '"online"', "\x00\xff", {"code": 0, "data": None}, {"error": {"a": []}})
_KEPT = {"name", "api_key", "secret", "password", "uid", "site", "label", "spot", "futures", "spot_fees"}
_STATE = [field.name for field in fields(Account) if field.name not in _KEPT]
_FINE_CODES = {"0", "00000", "200000", "200"}
_WORD = re.compile(r'"[A-Za-z_]{3,}"|\btrue\b|\bfalse\b|\b\d+\b|[{}\[\],:]')


def connections(simulator: Simulator, most: int | None = None) -> dict[str, tuple[Target, str]]:
    """Connection id -> what is tested there, and the simulator's account: one of its own for each, on both markets.

    Two at a time go the same way out, which is what the monitors share the work by.
    """
    found: dict[str, tuple[Target, str]] = {}
    for exchange, markets in VERDICTS.items():
        region = all_exchanges()[exchange].regions[0].id
        accounts = simulator._world.exchange(exchange).accounts
        names = [name for name in next(iter(markets.values())) if accounts[name].site == accounts["good"].site]
        for number, name in enumerate(names[:most]):
            market = list(markets)[number % len(markets)]
            proxy = None if number < 2 else f"http://192.0.2.{number // 2}:3128"  # the gateway stands in its place
            target = Target(exchange=exchange, region=region, market=Market(market), egress_proxy=proxy)
            found[f"{exchange}-{name}"] = target, name
    return found


def role_of(exchange: str, host: str, path: str) -> Role | None:
    """The role of the declared call that this request is."""
    adapter = all_exchanges()[exchange]
    for call in adapter.calls:
        pattern = re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(call.path))
        if re.fullmatch(pattern, path):
            hosts = {adapter.site(region.id, Environment.LIVE).hosts.get(call.host) for region in adapter.regions[:1]}
            if host in hosts:
                return call.role
    return None


class Trouble(Faults):
    """Stands where the simulator keeps its faults, and throws dice for every request.

    `odds` is the share of answers that go wrong, `changes` the share of signed requests after which a key changes.
    """

    def __init__(
        self,
        simulator: Simulator,
        targets: Mapping[str, tuple[Target, str]],
        journal: Path,
        seed: int,
        *,
        odds: float = 0.1,
        changes: float = 0.02,
    ) -> None:
        super().__init__()
        self._world = simulator._world
        self._chance = random.Random(seed)
        self._odds, self._changes = odds, changes
        self._ids = {(target.exchange, name): id_ for id_, (target, name) in targets.items()}
        self._targets = {id_: target for id_, (target, _) in targets.items()}
        self._kinds = dict.fromkeys(targets, "")
        self._roles: dict[tuple[str, str, str], Role | None] = {}
        self._withdrawing: dict[str, set[str]] = {}
        self._reply = Reply(200, b"", {})
        self._journal = journal.open("w", encoding="utf-8")
        self.calm = True
        self.count: Counter[str] = Counter()
        self.signatures: list[str] = []
        for exchange in self._world.exchanges.values():
            self._withdrawing[exchange.name] = set(exchange._samples["withdraw"].permissions) - set(
                exchange._samples["good"].permissions
            )
            exchange.answer = self._heard(exchange.answer)  # pyright: ignore[reportAttributeAccessIssue]
        for id_ in targets:
            self._become(id_, self._drawn_kind(id_))
        self._world.faults = self

    def close(self) -> None:
        self._journal.close()

    def rest(self) -> None:
        """Nothing goes wrong any more, and every key stays as it is from now on: each of any kind."""
        self.calm = True
        self._world.set_clock(0)
        self._world.address = None

    def kind(self, connection_id: str) -> str:
        return self._kinds[connection_id]

    # -- what happens to a key

    def _drawn_kind(self, connection_id: str) -> str:
        target = self._targets[connection_id]
        kinds = VERDICTS[target.exchange][target.market]
        drawn = self._chance.random()
        if drawn < 0.45:
            return "good"
        return "withdraw" if drawn < 0.65 else self._chance.choice(sorted(kinds))

    def _become(self, connection_id: str, kind: str) -> None:
        exchange, name = self._targets[connection_id].exchange, connection_id.partition("-")[2]
        simulated = self._world.exchange(exchange)
        state = {field: getattr(simulated._samples[kind], field) for field in _STATE}
        changed = replace(simulated.accounts[name], **state)
        simulated.accounts[name] = simulated.by_key[changed.api_key] = changed
        if self._kinds[connection_id] != kind:
            self.count["keys changed"] += 1
            before = self._kinds[connection_id]
            self.count["withdrawal appeared"] += kind == "withdraw" and before != ""
            self.count["withdrawal disappeared"] += before == "withdraw"
        self._kinds[connection_id] = kind
        self._write({"at": time.time(), "connection": connection_id, "becomes": kind})

    # -- what happens to an answer

    def _heard(self, answer: Any) -> Any:
        def remember(call: Call) -> Reply:
            self._reply = answer(call)
            return self._reply

        return remember

    def take(self, exchange: str, call: Call) -> tuple[float, Fault | None]:
        self.count["requests"] += 1
        name = call.account.name if call.account is not None else ""
        connection_id = self._ids.get((exchange, name))
        where = (exchange, call.host, call.path)
        if where not in self._roles:
            self._roles[where] = role_of(*where)
        role = self._roles[where]
        wait, fault = (0.0, None) if self.calm else self._drawn(exchange, call)
        if connection_id is None:
            self.count[f"fault {fault.kind if fault else 'none'}"] += 1
            return wait, fault
        account = call.who
        withdraws = bool(self._withdrawing[exchange] & set(account.permissions))
        simulated = self._world.exchange(exchange)
        sent = spoiled(fault, simulated, call, self._reply) if fault is not None else self._reply
        denies = not withdraws
        if fault is not None and fault.kind == "replace" and role is Role.KEY_INFO:
            denies = denies_withdrawal(exchange, sent.status, sent.body.decode("utf-8", "replace"), account.api_key)
            if denies and withdraws:  # a whole report that lies is nothing that anybody could notice
                fault, denies = Fault(kind="truncate"), False
        self._write(
            {
                "at": time.time(),
                "connection": connection_id,
                "kind": self._kinds[connection_id],
                "withdraws": withdraws,
                "role": role.value if role else None,
                "path": call.path,
                "granted": _granted(self._reply),
                "fault": fault.kind if fault else None,
                "denies": denies,
            }
        )
        self.count[f"fault {fault.kind if fault else 'none'}"] += 1
        if len(self.signatures) < 4000 and self._chance.random() < 0.05:
            self._note_signature(call)
        if not self.calm:
            self._weather(exchange, connection_id)
        return wait, fault

    def _weather(self, exchange: str, connection_id: str) -> None:
        drawn = self._chance.random()
        if drawn < self._changes:
            self._become(connection_id, self._drawn_kind(connection_id))
        elif drawn > 0.999:
            self._world.set_clock(self._chance.choice((0, 0, 700, -700, 5000, -5000, 40_000, -40_000)), exchange)
            self.count["clocks set"] += 1
        elif drawn > 0.9985 or (self._world.address is not None and drawn > 0.95):
            self._world.address = None if self._world.address else ELSEWHERE
            self.count["address changed"] += 1

    def _drawn(self, exchange: str, call: Call) -> tuple[float, Fault | None]:
        chance = self._chance
        wait = chance.uniform(0.0, 0.4) if chance.random() < 0.02 else 0.0
        if chance.random() >= self._odds:
            return wait, None
        rare = 0.05
        kind = chance.choice(KINDS)
        if kind in ("hang", "huge") and chance.random() > rare * 4:
            kind = chance.choice(("status", "body", "replace", "truncate"))
        match kind:
            case "hang":
                return wait, Fault(kind=kind, seconds=chance.choice((0.5, CALL_SECONDS + 1)))
            case "truncate" | "cut":
                return wait, Fault(kind=kind, fraction=chance.choice((0.0, 0.1, 0.5, 0.9, 0.99)))
            case "html":
                status = chance.choice((200, 200, 403, 429, 451, 500, 503))
                return wait, Fault(kind=kind, status=status, page=chance.choice(sorted(PAGES)))
            case "status":
                return wait, Fault(kind=kind, status=chance.choice(STATUSES), **chance.choice(RETRY_AFTER))
            case "empty":
                return wait, Fault(kind=kind, status=chance.choice((200, 200, 204, 500)))
            case "huge":
                return wait, Fault(kind=kind, megabytes=2.5)
            case "body":
                refusals = all_exchanges()[exchange].guide.refusals
                if chance.random() < 0.6 and refusals:
                    refusal = chance.choice(refusals)
                    return wait, Fault(kind=kind, status=refusal.status, body=refusal.body)
                return wait, Fault(kind=kind, status=200, body=chance.choice(JUNK))
            case "replace":
                words = _WORD.findall(self._reply.body.decode("utf-8", "replace")) or [" "]
                other = chance.choice((*words, '"Unheard"', "true", "false", "null", "-1", "[]", "{}", ""))
                return wait, Fault(kind=kind, find=chance.choice(words), replacement=other)
            case _:
                return wait, Fault(kind=kind)

    # -- what is written down

    def _write(self, line: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps(line) + "\n")

    def _note_signature(self, call: Call) -> None:
        """Some of what was signed with the secrets: nothing of it may be found anywhere later."""
        for name, value in (*call.params.items(), *call.headers.items()):
            if "sign" in name.lower() and len(value) >= 32:
                self.signatures.append(value)


def _granted(reply: Reply) -> bool:
    """Whether the exchange truly answered what was asked, in any of its ways to say so."""
    try:
        body = json.loads(reply.body)
    except ValueError:
        return False
    if reply.status >= 300:
        return False
    if not isinstance(body, dict):
        return True
    code = str(body.get("code", body.get("retCode", "0")))
    return body.get("success") is not False and body.get("status") != "error" and code in _FINE_CODES


def credentials(simulator: Simulator, exchange: str, name: str) -> Credentials:
    keys = simulator.accounts[exchange][name]
    return Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
