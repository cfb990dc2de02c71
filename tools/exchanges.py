"""Writes the pages on the exchanges from the adapters themselves: `python tools/exchanges.py update | check`.

docs/exchanges.md   what each exchange tells about a key, how we know, what stays unknown, and every request we can make
docs/verdicts.md    the verdict on every sample key of the simulator, market by market
README.md           its table of exchanges

`check` changes nothing and says what is out of date; exit 1 if anything is. What an exchange tells is not claimed but
measured: the sample keys are tested against the simulator, and the evidence of each right is looked up in the result.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bfai.connection_test import run_test  # noqa: E402
from bfai.exchanges import all_exchanges  # noqa: E402
from bfai.exchanges.base import CountedFrom, Exchange, Role  # noqa: E402
from bfai.model import (  # noqa: E402
    Credentials,
    Environment,
    Evidence,
    ExpiryEvidence,
    Grant,
    GrantState,
    KeyReport,
    Market,
    Permission,
    Target,
    TestRun,
)
from bfai.simulator import Simulator  # noqa: E402
from bfai.transport import Gateway, Transport  # noqa: E402

README = ROOT / "README.md"
TABLE, TABLE_END = "<!-- exchanges -->\n", "<!-- end of exchanges -->"
MATRIX = ROOT / "docs" / "exchanges.md"
VERDICTS = ROOT / "docs" / "verdicts.md"

Runs = Mapping[tuple[str, Market, str], TestRun]


async def every_sample_key(simulator: Simulator) -> Runs:
    """One test of every sample account on every exchange and market."""
    gateway = Gateway.parse(simulator.gateway, simulator.ca_file)
    runs: dict[tuple[str, Market, str], TestRun] = {}
    async with Transport(gateway, rate_limit=False) as transport:
        for exchange in all_exchanges().values():
            for market in exchange.markets:
                for name, keys in simulator.accounts[exchange.id].items():
                    target = Target(exchange=exchange.id, market=market, region=exchange.regions[0].id)
                    credentials = Credentials(keys["apiKey"] or "", keys["secret"] or "", keys["password"])
                    runs[exchange.id, market, name] = await run_test(exchange, target, credentials, transport)
    return runs


# -- the matrix --------------------------------------------------------------------------------------------------------

_RIGHTS = {
    Permission.READ: "read",
    Permission.SPOT_TRADE: "spot",
    Permission.FUTURES_TRADE: "futures",
    Permission.MARGIN: "margin",
    Permission.TRANSFER: "transfer",
    Permission.WITHDRAW: "**withdraw**",
}


def matrix(runs: Runs) -> str:
    exchanges = list(all_exchanges().values())
    lines = [
        "# What each exchange tells about a key",
        "",
        "Written by `python tools/exchanges.py update` from the adapters and from tests of the sample keys; CI",
        "checks that it is current. A cell never says more than the program can show: *told* means that the",
        "exchange's own report on the key says so, *asked* that a harmless call gated by that right is made, *not",
        "told* that nobody can know. What is not told counts as possible, and a right to withdraw that is not",
        "told blocks the key until you confirm that it is off.",
        "",
        "## Rights",
        "",
        *_table(["", *_RIGHTS.values()], ([e.name, *(_right(e, p, runs) for p in _RIGHTS)] for e in exchanges)),
        "",
        "## About the key",
        "",
        *_table(
            ["", "addresses", "end of the key", "account", "sub-account", "dry-run order", "proof of withdrawal"],
            ([e.name, *_facts(e, runs)] for e in exchanges),
        ),
        "",
        "*Proof of withdrawal*: a read that only a withdrawing key may make. It can only raise the alarm.",
        "",
        "## Keys that end by themselves",
        "",
        *_table(
            ["", "days", "counted from", "only keys", "source"],
            ([e.name, *rule] for e in exchanges for rule in _rules(e) or [["", "", "", "no rule documented"]]),
        ),
        "",
        "## Keys and addresses",
        "",
        *_table(
            ["", "keys of an account", "addresses of a key", "IPv6 on the list", "tells anybody the own address"],
            ([e.name, *_numbers(e)] for e in exchanges),
        ),
        "",
        "What the last column is for: [where the bot runs](where-the-bot-runs.md#by-which-address-exchanges-see-you).",
        "",
        "## Regions and test environments",
        "",
        *_table(["", "region", "markets", "hosts"], (row for e in exchanges for row in _regions(e))),
        "",
        "A key belongs to the region, or to the testnet or demo, in which it was made. `check --try-regions` asks",
        "the other regions, one after the other, with the same harmless call; each one that is asked sees the",
        "key.",
        "",
        "## Confirmed live",
        "",
        "The shape of a key report is known from documents and from other people's captures. It counts as",
        "confirmed once a test of a real key saw it; `python -m bfai check EXCHANGE --shape` prints names and",
        "types only and is safe to share.",
        "",
        *_table(["", "shape confirmed live"], ([e.name, e.confirmed_live or "never"] for e in exchanges)),
        "",
        "## Notes and requests",
        "",
        "Every request that the program can make, exchange by exchange. Nothing else can leave: the transport",
        "refuses it.",
    ]
    for exchange in exchanges:
        lines += ["", f"### {exchange.name}", "", *_notes(exchange), "", *_requests(exchange)]
    return "\n".join(lines) + "\n"


def short(runs: Runs) -> str:
    """The README with its table of exchanges as it is now."""
    rows: list[list[str]] = []
    for exchange in all_exchanges().values():
        addresses, end, _, _, dry, _ = _facts(exchange, runs)
        markets = ", ".join(market.value for market in exchange.markets)
        rows.append([exchange.name, markets, _right(exchange, Permission.WITHDRAW, runs), addresses, end, dry])
    head = ["", "markets", "right to withdraw", "addresses of the key", "end of the key", "dry-run order"]
    before, _, rest = README.read_text(encoding="utf-8").partition(TABLE)
    _, _, after = rest.partition(TABLE_END)
    return before + TABLE + "\n".join([*_table(head, rows), TABLE_END + after])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    shown = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in shown]


def _reports(exchange: Exchange, runs: Runs) -> list[KeyReport]:
    return [
        run.key_report for (owner, _, _), run in runs.items() if owner == exchange.id and run.key_report is not None
    ]


def _right(exchange: Exchange, permission: Permission, runs: Runs) -> str:
    offered = [right for right in exchange.rights if permission in right.grants]
    if permission is Permission.FUTURES_TRADE and Market.FUTURES not in exchange.markets and not offered:
        return "–"
    grants = [report.grant(permission) for report in _reports(exchange, runs)]
    told = _best(grants)
    if told == "not told":
        return "**not told**" if permission is Permission.WITHDRAW else told
    together = {other for right in offered for other in right.grants} - {permission} if len(offered) == 1 else set()
    parted = not together or told != "told"
    return (
        told
        if parted
        else f"told, with {', '.join(_RIGHTS[other].strip('*') for other in _RIGHTS if other in together)}"
    )


def _best(grants: Sequence[Grant]) -> str:
    if any(grant.evidence is Evidence.DECLARED for grant in grants):
        denied = any(grant.state is GrantState.DENIED and grant.evidence is Evidence.DECLARED for grant in grants)
        return "told" if denied or all(grant.state is GrantState.GRANTED for grant in grants) else "told only if on"
    return "asked" if any(grant.evidence is Evidence.PROBED for grant in grants) else "not told"


def _facts(exchange: Exchange, runs: Runs) -> list[str]:
    reports = _reports(exchange, runs)
    bound = [report.ip_restriction for report in reports if report.ip_restriction.state is GrantState.GRANTED]
    addresses = "list" if any(one.addresses or one.masked for one in bound) else "yes or no" if bound else "not told"
    ends = {report.expiry_evidence for report in reports}
    end = "told" if ExpiryEvidence.FIELD in ends else "by rule" if exchange.expiry_rules else "not told"
    account = "told" if any(report.account_id for report in reports) else "not told"
    sub = "told" if any(report.is_sub is not None for report in reports) else "not told"
    dry = [
        market.value for market in exchange.markets if any(call.role is Role.DRY_RUN for call in exchange.plan(market))
    ]
    proof = "yes" if any(call.role is Role.PROBE for call in exchange.calls) else "none"
    return [addresses, end, account, sub, ", ".join(dry) or "none", proof]


_SINCE = {
    CountedFrom.CREATION: "its making",
    CountedFrom.LAST_USE: "its last use",
    CountedFrom.PASSWORD_CHANGE: "a change of password",
}


def _numbers(exchange: Exchange) -> list[str]:
    guide = exchange.guide
    ipv6 = {True: "yes", False: "no", None: "not told"}[guide.takes_ipv6]
    asked = next((f"`{call.path}`" for call in exchange.calls if call.role is Role.ADDRESS), "no")
    return [*(str(most) if most is not None else "not told" for most in (guide.max_keys, guide.max_ips)), ipv6, asked]


def _rules(exchange: Exchange) -> list[list[str]]:
    return [
        [
            str(rule.days),
            _SINCE[rule.counted],
            ", ".join(
                filter(
                    None,
                    (
                        "without addresses" if rule.only_open else "",
                        "with " + " or ".join(_RIGHTS[right].strip("*") for right in rule.rights)
                        if rule.rights
                        else "",
                    ),
                )
            )
            or "all",
            rule.source,
        ]
        for rule in exchange.expiry_rules
    ]


def _regions(exchange: Exchange) -> list[list[str]]:
    live = [
        [
            exchange.name,
            f"{region.name} (`{region.id}`)",
            ", ".join(market.value for market in region.markets if market in exchange.markets),
            _hosts(region.hosts, region.headers),
        ]
        for region in exchange.regions
    ]
    tests = [
        [
            exchange.name,
            environment.value + _missing_there(exchange, environment),
            ", ".join(market.value for market in test.markets if market in exchange.markets),
            _hosts(test.hosts, test.headers),
        ]
        for environment, test in exchange.tests.items()
    ]
    return live + tests


def _missing_there(exchange: Exchange, environment: Environment) -> str:
    """What cannot be known of a key in a testnet or demo."""
    roles = {call.role for call in exchange.plan(Market.SPOT, environment=environment)}
    return "" if Role.KEY_INFO in roles else ", which tells nothing about the key"


def _hosts(hosts: Mapping[str, str], headers: Mapping[str, str]) -> str:
    shown = [f"`{host}`" for host in dict.fromkeys(hosts.values())] or ["the live hosts"]
    return ", ".join(shown + [f"`{name}: {value}`" for name, value in headers.items()])


def _notes(exchange: Exchange) -> list[str]:
    return (inspect.getdoc(importlib.import_module(type(exchange).__module__)) or "").splitlines()


def _requests(exchange: Exchange) -> list[str]:
    return _table(
        ["request", "what for", "right"],
        (
            [
                f"`{call.method} {call.path}`" + (" (dry run)" if call.dry_run else ""),
                call.purpose,
                f"`{call.word}`" if call.word else "none" if not call.signed else "any",
            ]
            for call in exchange.calls
        ),
    )


# -- the verdicts ------------------------------------------------------------------------------------------------------


def verdicts(runs: Runs) -> str:
    accounts = list(dict.fromkeys(name for _, _, name in runs))
    lines = [
        "# The verdict on every sample key",
        "",
        "Written by `python tools/exchanges.py update`, and held against the program by a test. The simulator has",
        "the same sample keys on every exchange, as far as the exchange knows such a key; this is what a test of",
        "each one says, without any earlier confirmation. Where there are several candidates, the likeliest",
        "stands first.",
    ]
    for market in Market:
        exchanges = [exchange for exchange in all_exchanges().values() if market in exchange.markets]
        lines += ["", f"## {market.value.capitalize()}", ""]
        rows = [
            [exchange.name, name, *cells(runs[exchange.id, market, name])]
            for exchange in exchanges
            for name in accounts
            if (exchange.id, market, name) in runs
        ]
        lines += _table(["exchange", "key", "status", "cause", "candidates", "advice"], rows)
    return "\n".join(lines) + "\n"


def cells(run: TestRun) -> list[str]:
    """Status, cause, candidates and advice of a run as they stand in the table."""
    found = run.diagnosis
    missing = f" ({found.permission.value})" if found and found.permission else ""
    return [
        run.status.value,
        f"{found.cause.value}{missing}" if found else "",
        ", ".join(cause.value for cause in found.candidates) if found and len(found.candidates) > 1 else "",
        ", ".join(item.value for item in run.advice),
    ]


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in (["update"], ["check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with Simulator() as simulator:
        runs = asyncio.run(every_sample_key(simulator))
    old = []
    for path, text in ((MATRIX, matrix(runs)), (VERDICTS, verdicts(runs)), (README, short(runs))):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments[0] == "update":
            path.write_text(text, encoding="utf-8")
        old.append(path.relative_to(ROOT))
    if arguments[0] == "check" and old:
        names = ", ".join(map(str, old))
        sys.stderr.write(f"out of date: {names}. Run: python tools/exchanges.py update\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
