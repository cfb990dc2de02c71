"""One connection test: what is asked, what each check concludes from it, and the verdict.

Calls that do not depend on each other go out at once: a healthy connection takes one round trip, two where a call needs
a value from another answer. Only a wrong clock needs one more. The verdict is a pure function of the answers: `judge`
can be run again when the trader confirms that withdrawal is off, without asking the exchange.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bfai.diagnosis import KEY_CAUSES, diagnose, may_belong_elsewhere, merge
from bfai.exchanges.base import Answer, Call, Exchange, Role, decimal, merge_reports
from bfai.i18n import N_
from bfai.model import (
    ADVICE_CHECKS,
    REQUIRED_CHECKS,
    Advice,
    Cause,
    Check,
    CheckName,
    Credentials,
    Diagnosis,
    Evidence,
    Grant,
    GrantState,
    KeyReport,
    Market,
    Message,
    Outcome,
    Permission,
    Status,
    Target,
    TestRun,
    new_run_id,
    utc_now,
)
from bfai.transport import Client, Transport

CLOCK_TOLERANCE_MS = 1000.0  # MEXC refuses a timestamp that is a second ahead; the others allow more
EXPIRY_NEAR = timedelta(days=14)
CONFIRMATION_HOLDS = timedelta(days=30)
MAX_TESTS_IN_FLIGHT = 32
KEPT_BALANCES = 30
KEPT_NAMES = 2000
"""Of assets, and of pairs with open orders: more than any account has, and no more than a row can bear."""
_MONEY_FIRST = ("USDT", "USDC", "USD", "EUR", "BTC", "ETH")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The trader looked at the exchange and says that this very key cannot withdraw."""

    at: datetime
    rights_hash: str

    def holds(self, report: KeyReport, now: datetime) -> bool:
        """It ends after 30 days, and at once when the key report says anything else than it did then."""
        return self.rights_hash == report.rights_hash() and self.at <= now <= self.at + CONFIRMATION_HOLDS


def expected_checks(market: Market) -> tuple[CheckName, ...]:
    """The checks of a test for this market, in the order in which they are shown."""
    return tuple(
        name for name in (*REQUIRED_CHECKS, *ADVICE_CHECKS) if name is not CheckName.FUTURES or market is Market.FUTURES
    )


OnCheck = Callable[[Check], None]


async def run_test(
    exchange: Exchange,
    target: Target,
    credentials: Credentials,
    transport: Transport,
    *,
    others: Iterable[Exchange] = (),
    connection_id: str | None = None,
    confirmation: Confirmation | None = None,
    try_regions: bool = False,
    on_check: OnCheck | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> TestRun:
    """Tests one key. Sends declared calls only, stores nothing, raises for nothing that the network or the exchange
    does.

    `others` are exchanges whose public clock is asked before this one is called unavailable. `on_check` hears of each
    check
    as soon as its answers are there, in the order of completion. Credentials that cannot be a key are not sent at all.
    """
    credentials = exchange.normalise(credentials)
    # The first client of a process imports ccxt: not the test's time.
    client = Client(transport, exchange, target, credentials)
    started_at, began = transport.now(), time.perf_counter()
    facts = Facts(exchange, target, credentials, started_at, exchange.check_credentials(credentials))
    test = _Test(facts, client, confirmation, on_check)
    if not facts.malformed:
        await test.ask_all()
        await test.ask_again_with_exchange_time()
        if try_regions and facts.key_may_belong_elsewhere():
            facts.owner = await test.find_owner()
        if facts.unreachable():
            facts.own_network_down = not await _anyone_answers(transport, others, target)
    test.tell_rest()
    if on_answer is not None:
        for answer in facts.answers.values():
            on_answer(answer)
    verdict = judge(facts, confirmation)
    return TestRun(
        id=new_run_id(started_at),
        connection_id=connection_id,
        exchange=exchange.id,
        region=target.region,
        environment=target.environment,
        market=target.market,
        status=verdict.status,
        diagnosis=verdict.diagnosis,
        checks=verdict.checks,
        advice=verdict.advice,
        key_report=verdict.report,
        confirmed_at=verdict.confirmed_at,
        **facts.kept_assets(),
        order_pairs=facts.order_pairs(),
        seen_ip=verdict.diagnosis.seen_ip if verdict.diagnosis else None,
        clock_offset_ms=round(facts.offset_ms, 1) if facts.offset_ms is not None else None,
        receipt=tuple(sorted(test.client.receipt, key=lambda sent: sent.at)),
        started_at=started_at,
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
    )


def confirm(run: TestRun, at: datetime) -> TestRun:
    """The same run after the trader confirmed that withdrawal is off: `connected`, never better.

    Only a run that was blocked for nothing else than an untold withdrawal right can be confirmed; any other comes
    back as
    it was.
    """
    if run.diagnosis is None or run.diagnosis.cause is not Cause.WITHDRAW_UNKNOWN or run.status is not Status.BLOCKED:
        return run
    checks = tuple(_CONFIRMED if check.name is CheckName.WITHDRAW_OFF else check for check in run.checks)
    return run.model_copy(
        update={
            "status": Status.CONNECTED,
            "diagnosis": None,
            "checks": checks,
            "advice": (*run.advice, Advice.WITHDRAW_CONFIRMED),
            "confirmed_at": at,
        }
    )


def rejudged(
    run: TestRun, exchange: Exchange, confirmation: Confirmation | None = None, now: datetime | None = None
) -> TestRun | None:
    """The run of another computer with the verdict that follows from its own checks, key report and words, at `now`
    (without it, by this computer's clock).

    Never a better verdict than it claims, and `blocked` wherever a right to withdraw is not denied. None where it
    contradicts itself, or is no whole test of today's kind.
    """
    if tuple(check.name for check in run.checks) != expected_checks(run.market):
        return None
    amounts = [decimal(amount) for amount in run.balances.values()]
    if any(amount is None or amount <= 0 for amount in amounts):
        return None
    now = now or utc_now()
    outcomes = {check.name: check.outcome for check in run.checks}
    works = outcomes[CheckName.KEY] is Outcome.PASS
    money_can_leave = run.environment.touches_money or exchange.tests_take_live_keys
    withdrawal = _withdrawal(run.key_report, exchange) if money_can_leave else GrantState.DENIED
    required = {name: outcome for name, outcome in outcomes.items() if name in REQUIRED_CHECKS}
    del required[CheckName.WITHDRAW_OFF]
    found = run.diagnosis
    if withdrawal is GrantState.GRANTED:
        return _blocked(run, Cause.WITHDRAW_ENABLED, Cause.WITHDRAW_ENABLED)
    if Outcome.FAIL in required.values():
        about_withdrawal = found is not None and found.cause in (Cause.WITHDRAW_ENABLED, Cause.WITHDRAW_UNKNOWN)
        return run if found is not None and run.status is Status.FAILED and not about_withdrawal else None
    report = run.key_report
    if report is None or Outcome.SKIP in required.values() or not works:
        return None
    if report.state(_RIGHT_TO_TRADE[run.market]) is GrantState.DENIED:
        return None
    if withdrawal is GrantState.UNKNOWN:
        blocked = _blocked(run, Cause.WITHDRAW_UNKNOWN, Cause.WITHDRAW_UNKNOWN, Cause.WITHDRAW_ENABLED)
        holds = confirmation is not None and confirmation.holds(report, now)
        return confirm(blocked, confirmation.at) if holds and confirmation else blocked
    if not run.status.ok or found is not None or Outcome.FAIL in outcomes.values():
        return None
    must = {
        Advice.NO_IP_RESTRICTION: report.ip_restriction.state is GrantState.DENIED,
        Advice.IP_RESTRICTION_UNKNOWN: report.ip_restriction.state is GrantState.UNKNOWN,
        Advice.EXPIRES_SOON: report.expires_at is not None and report.expires_at - now <= EXPIRY_NEAR,
        Advice.ESCALATION: bool(report.escalations),
        Advice.RIGHT_UNKNOWN: bool(report.unknown_words),
    }
    advice = (*run.advice, *(item for item, there in must.items() if there and item not in run.advice))
    warned = Outcome.WARN in outcomes.values()
    status = run.status if run.status is Status.CONNECTED or not (advice or warned) else Status.CONNECTED
    return run.model_copy(update={"status": status, "advice": advice, "confirmed_at": None})


def _withdrawal(report: KeyReport | None, exchange: Exchange) -> GrantState:
    """What the words of a key report say of withdrawal by today's list of rights, never milder than its grant."""
    if report is None:
        return GrantState.UNKNOWN
    state = report.state(Permission.WITHDRAW)
    known = [exchange.right(word) for word in report.words]
    if any(right is not None and Permission.WITHDRAW in right.grants for right in known):
        return GrantState.GRANTED
    by_absence = state is GrantState.DENIED and not report.grant(Permission.WITHDRAW).words
    return GrantState.UNKNOWN if by_absence and (None in known or report.unknown_words) else state


def _blocked(run: TestRun, cause: Cause, *candidates: Cause) -> TestRun:
    """The run, blocked for this cause; as it is where it is so already."""
    if run.status is Status.BLOCKED and run.diagnosis is not None and run.diagnosis.cause is cause:
        return run
    found = Diagnosis(cause=cause, candidates=tuple(candidates), check=CheckName.WITHDRAW_OFF)
    text = (
        N_("its list of rights says that this key can withdraw")
        if cause is Cause.WITHDRAW_ENABLED
        else N_("its list of rights does not tell whether this key can withdraw")
    )
    failed = Check(name=CheckName.WITHDRAW_OFF, outcome=Outcome.FAIL, detail=Message(text=text))
    checks = tuple(failed if check.name is CheckName.WITHDRAW_OFF else check for check in run.checks)
    advice = tuple(item for item in run.advice if item is not Advice.WITHDRAW_CONFIRMED)
    update = {"status": Status.BLOCKED, "diagnosis": found, "checks": checks, "advice": advice, "confirmed_at": None}
    return run.model_copy(update=update)


_RIGHT_TO_TRADE = {Market.SPOT: Permission.SPOT_TRADE, Market.FUTURES: Permission.FUTURES_TRADE}


# -- asking ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Facts:
    """Everything that the answers of one test say, before the verdict."""

    exchange: Exchange
    target: Target
    credentials: Credentials
    at: datetime = field(default_factory=utc_now)
    """When the test began: dates are held against this."""
    malformed: tuple[Message, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    diagnoses: dict[str, Diagnosis | None] = field(default_factory=dict[str, Diagnosis | None])
    values: dict[str, str] = field(default_factory=dict[str, str])
    offset_ms: float | None = None
    offset_error_ms: float = 0.0
    clock_corrected: bool = False
    own_network_down: bool = False
    owner: str | None = None
    _reports: dict[str, KeyReport] = field(default_factory=dict[str, KeyReport])

    def take(self, call: Call, answer: Answer) -> None:
        """Notes the answer to a call, in place of an earlier one to the same call."""
        diagnosis = diagnose(answer, self.exchange, secrets=self.credentials.secrets())
        self.answers[call.name], self.diagnoses[call.name] = answer, diagnosis
        self._reports.pop(call.name, None)
        if diagnosis is not None:
            return
        found = self.exchange.values(answer)
        self.values.update({name: value for name, value in found.items() if _PLAIN_VALUE.fullmatch(value)})
        if call.role is Role.KEY_INFO and answer.sent is not None:
            report = self.exchange.read_report(
                answer.json, received_at=answer.sent.at, api_key=self.credentials.api_key
            )
            if report is not None:
                self._reports[call.name] = report

    def calls(self) -> tuple[Call, ...]:
        return self.exchange.plan(self.target.market, self.target.region, self.target.environment)

    def asked(self) -> tuple[Call, ...]:
        """The calls that a test of this target may have made, second opinions included."""
        return (*self.calls(), *self.exchange.second_opinions(self.target))

    def heard(self, role: Role) -> list[tuple[Call, Answer, Diagnosis | None]]:
        """The answers to the calls of this role, in the order in which the adapter declares them."""
        return [
            (call, self.answers[call.name], self._narrowed(call, self.diagnoses[call.name]))
            for call in self.asked()
            if call.role is role and call.name in self.answers
        ]

    def answer(self, role: Role) -> Answer | None:
        """The answer that counts for this role: the first successful one, else the first that is no other kind's."""
        heard = self.heard(role)
        good = [answer for _, answer, diagnosis in heard if diagnosis is None]
        own = [answer for _, answer, _ in heard if not self.exchange.of_other_kind(answer)]
        return next(iter((*good, *own, *(answer for _, answer, _ in heard))), None)

    def problem(self, role: Role) -> Diagnosis | None:
        """Why no call of this role succeeded, or None where one did or none was made."""
        heard = self.heard(role)
        if not heard or any(diagnosis is None for _, _, diagnosis in heard):
            return None
        own = [problem for _, answer, problem in heard if not self.exchange.of_other_kind(answer)]
        problems = [problem for problem in own or [problem for _, _, problem in heard] if problem is not None]
        return merge(problems)

    def complete(self, role: Role) -> bool:
        """Whether every planned call of this role has its answer."""
        return all(call.name in self.answers for call in self.calls() if call.role is role)

    def latency(self, role: Role) -> float | None:
        answer = self.answer(role)
        return answer.latency_ms if answer else None

    def signed(self) -> list[tuple[Call, Diagnosis | None]]:
        """The judged answers of the signed calls so far.

        A call for another kind of account says nothing, unless every call was refused as that.
        """
        judged = [
            (call, self._narrowed(call, self.diagnoses[call.name]))
            for call in self.asked()
            if call.signed and call.name in self.diagnoses
        ]
        own = [one for one in judged if not self.exchange.of_other_kind(self.answers[one[0].name])]
        return own or judged

    def _narrowed(self, call: Call, diagnosis: Diagnosis | None) -> Diagnosis | None:
        """A refusal without a reason loses the reasons that the other answers rule out.

        Where the exchange told about the key from here, key and address are fine; where clocks agree, it is not time.
        """
        if diagnosis is None or diagnosis.cause is not Cause.AMBIGUOUS:
            return diagnosis
        ruled_out: frozenset[Cause] = frozenset()
        if self._reports and call.role is not Role.KEY_INFO:
            ruled_out = KEY_CAUSES - {Cause.ACCOUNT_RESTRICTED}
        elif self.offset_ms is not None and abs(self.offset_ms) - self.offset_error_ms < CLOCK_TOLERANCE_MS:
            ruled_out = frozenset({Cause.CLOCK_SKEW})
        left = tuple(cause for cause in diagnosis.candidates if cause not in ruled_out)
        if not left:
            return diagnosis
        cause = left[0] if len(left) == 1 else Cause.AMBIGUOUS
        permission = call.right if cause is Cause.PERMISSION_MISSING and call.right is not Permission.WITHDRAW else None
        return diagnosis.model_copy(update={"cause": cause, "candidates": left, "permission": permission})

    def key_may_belong_elsewhere(self) -> bool:
        """Whether this region does not know the key."""
        problem = self.problem(Role.KEY_INFO)
        return problem is not None and may_belong_elsewhere(problem)

    def unreachable(self) -> bool:
        """Whether nothing at all came back, so that it may be our own network."""
        return bool(self.answers) and all(answer.status is None for answer in self.answers.values())

    def untold(self) -> list[tuple[Diagnosis, Answer]]:
        """Why other key calls than those that told gave no report. One for another kind of account is not among them.

        Where an exchange tells of one key in several places, each may name a right that the others do not.
        """
        found: list[tuple[Diagnosis, Answer]] = []
        for call in self.calls() if self._reports else ():
            if call.role is Role.KEY_INFO and call.name not in self._reports:
                asked = call.name in self.answers
                answer = self.answers[call.name] if asked else self.answer(Role.ACCOUNT)  # it needs a value from there
                problem = (self.diagnoses[call.name] if asked else self.problem(Role.ACCOUNT)) or _UNEXPECTED
                if answer is not None:
                    found.append((problem, answer))
        return [one for one in found if not self.exchange.of_other_kind(one[1])]

    def lost(self) -> Diagnosis | None:
        """What a part of the report on the key was lost in, or None where none was."""
        return next(
            (
                problem
                for problem, answer in self.untold()
                if problem.cause in _WAITING or answer.status is None or (answer.status < 300 and answer.json is None)
            ),
            None,
        )

    def report(self) -> KeyReport | None:
        """The key's own report, or None where it did not arrive whole.

        Half of one counts where it names the right to withdraw: nothing in the other half could take that back.
        """
        merged = merge_reports([self._reports[call.name] for call in self.asked() if call.name in self._reports])
        if merged is None:
            return None
        if self.lost() is not None and merged.state(Permission.WITHDRAW) is not GrantState.GRANTED:
            return None
        return self.exchange.with_counted_end(merged, self.at)

    def probed_report(self) -> KeyReport:
        """The key's own report, completed by what harmless calls proved.

        A probe for withdrawal only ever raises the alarm: its refusal is no better evidence than the report.
        """
        report = self.report() or KeyReport()
        probed = Grant(state=GrantState.GRANTED, evidence=Evidence.PROBED)
        for call, diagnosis in self.signed():
            if call.right is Permission.WITHDRAW and diagnosis is None:
                if report.state(call.right) is not GrantState.GRANTED:
                    report = report.with_grant(call.right, probed.model_copy(update={"words": (call.path,)}))
                continue
            if call.right in (None, Permission.WITHDRAW) or report.state(call.right) is not GrantState.UNKNOWN:
                continue
            if diagnosis is None or self._proved(call):
                report = report.with_grant(call.right, probed)
            elif diagnosis.cause is Cause.PERMISSION_MISSING and call.role is Role.DRY_RUN:
                report = report.with_grant(call.right, Grant(state=GrantState.DENIED, evidence=Evidence.PROBED))
        if report.account_id is None and "uid" in self.values:
            report = report.model_copy(update={"account_id": self.values["uid"]})
        return report

    def _proved(self, call: Call) -> bool:
        return call.dry_run and self.exchange.dry_run_proves(self.answers[call.name])

    def dry_run_problem(self) -> Diagnosis | None:
        """Why the dry-run order was refused, or None where it was let through or says nothing about the key."""
        for call, answer, problem in self.heard(Role.DRY_RUN):
            if problem is not None and not self._proved(call) and not self.exchange.dry_run_says_nothing(answer):
                return problem
        return None

    def dry_run_passed(self) -> bool:
        """Whether a dry-run order was let through that is known to need the right to trade."""
        return any(
            call.right is not None and (problem is None or self._proved(call))
            for call, _, problem in self.heard(Role.DRY_RUN)
        )

    def balances(self) -> dict[str, Decimal] | None:
        answer = self.answer(Role.BALANCE)
        if answer is None or self.problem(Role.BALANCE) is not None:
            return None
        return self.exchange.read_balances(self.target.market, answer)

    def kept_assets(self) -> dict[str, Any]:
        """`balances` and `other_assets` of a run."""
        free = self.balances() or {}
        first = {name: number for number, name in enumerate(_MONEY_FIRST)}
        names = sorted(free, key=lambda name: (first.get(name, len(first)), name))
        kept, others = names[:KEPT_BALANCES], names[KEPT_BALANCES:KEPT_NAMES]
        return {"balances": {name: f"{free[name]:f}" for name in kept}, "other_assets": tuple(others)}

    def order_pairs(self) -> tuple[str, ...] | None:
        """The pairs with open orders, or None where they could not be read."""
        answer = self.answer(Role.ORDERS)
        if answer is None or self.problem(Role.ORDERS) is not None:
            return None
        pairs = self.exchange.order_pairs(self.target.market, answer)
        return None if pairs is None else pairs[:KEPT_NAMES]


_NEEDS: Mapping[CheckName, frozenset[Role]] = {
    CheckName.CLOCK: frozenset(Role),  # any of them may yet refuse the time
    CheckName.BALANCE: frozenset({Role.BALANCE}),
    CheckName.STATUS: frozenset({Role.ORDERS, Role.SERVICE}),
    CheckName.TRADE: frozenset({Role.DRY_RUN}),
    CheckName.FUTURES: frozenset({Role.BALANCE, Role.DRY_RUN}),
}
"""The answers that a check waits for, beside the key report. What the plan does not ask is not waited for."""


class _Test:
    """Sends the calls of one test and tells of each check as soon as it can be concluded."""

    def __init__(
        self, facts: Facts, client: Client, confirmation: Confirmation | None, on_check: OnCheck | None
    ) -> None:
        self.facts = facts
        self.client = client
        self._confirmation = confirmation
        self._on_check = on_check
        self._told: set[CheckName] = set()
        self._planned = {call.role for call in facts.calls()}

    async def ask_all(self) -> None:
        """Every planned call: at once what needs nothing, then what needs a value from an answer."""
        while ready := [call for call in self.facts.calls() if self._is_ready(call)]:
            await self._ask(ready)
        problem = self.facts.problem(Role.KEY_INFO)
        if problem is not None and problem.cause is Cause.AMBIGUOUS:
            await self._ask(self.facts.exchange.second_opinions(self.facts.target))

    def _is_ready(self, call: Call) -> bool:
        return call.name not in self.facts.answers and call.needs <= self.facts.values.keys()

    async def ask_again_with_exchange_time(self) -> None:
        """Once more, with the exchange's clock instead of ours, whatever was or may have been refused for its time."""
        again = [call for call, diagnosis in self.facts.signed() if self._is_about_time(diagnosis)]
        if again and self.facts.offset_ms is not None:
            self.client.clock_offset_ms = self.facts.offset_ms
            self.facts.clock_corrected = True
            await self._ask(again)
            await self.ask_all()

    async def find_owner(self) -> str | None:
        """The region that knows the key, from the same harmless call to one after the other, no further than needed."""
        target, exchange = self.facts.target, self.facts.exchange
        call = next(call for call in exchange.calls if call.role is Role.KEY_INFO)
        for region in exchange.regions:
            if region.id == target.region:
                continue
            elsewhere = self.client.elsewhere(target.model_copy(update={"region": region.id}))
            answer = await elsewhere.ask(call)
            diagnosis = diagnose(answer, exchange)
            known = diagnosis is not None and diagnosis.cause in _KEY_IS_KNOWN
            if diagnosis is None or (known and Cause.INVALID_KEY not in diagnosis.candidates):
                return region.id
        return None

    def _is_about_time(self, diagnosis: Diagnosis | None) -> bool:
        """Also where the time is one of several causes: what agreeing clocks rule out is gone by then."""
        return diagnosis is not None and (
            diagnosis.cause is Cause.CLOCK_SKEW
            or (diagnosis.cause is Cause.AMBIGUOUS and Cause.CLOCK_SKEW in diagnosis.candidates)
        )

    async def _ask(self, calls: Iterable[Call]) -> None:
        async def one(call: Call) -> None:
            began = self.client.seconds() * 1000
            answer = await self.client.ask(call)
            self.facts.take(call, answer)
            self.client.values.update(self.facts.values)
            if call.role is Role.TIME:
                self._measure_clock(answer, began, self.client.seconds() * 1000)
            self._tell(self._concluded())

        await asyncio.gather(*(one(call) for call in calls))

    def _measure_clock(self, answer: Answer, began: float, ended: float) -> None:
        server = self.facts.exchange.server_time_ms(answer) if self.facts.problem(Role.TIME) is None else None
        if server is not None:
            self.facts.offset_ms = server - (began + ended) / 2
            self.facts.offset_error_ms = (ended - began) / 2  # the answer was made at some moment between the two

    def _concluded(self) -> list[CheckName]:
        """The checks whose answers are there and good, so that no later answer changes what they say."""
        if self._on_check is None or self.facts.offset_ms is None:
            return []
        if not self.facts.complete(Role.KEY_INFO) or self.facts.report() is None or self.facts.untold():
            return [CheckName.REACH]
        late = {call.role for call, diagnosis in self.facts.signed() if self._is_about_time(diagnosis)}
        arrived = {role for role in self._planned - late if self.facts.complete(role)}
        waiting = self._planned & {Role.ACCOUNT, Role.PROBE}
        return [
            name
            for name in expected_checks(self.facts.target.market)
            if (_NEEDS.get(name, waiting) & self._planned) <= arrived
        ]

    def tell_rest(self) -> None:
        self._tell(expected_checks(self.facts.target.market))

    def _tell(self, names: Iterable[CheckName]) -> None:
        news = [name for name in names if name not in self._told]
        if self._on_check is None or not news:
            return
        judging = _Judge(self.facts, self._confirmation)
        for name in news:
            self._told.add(name)
            self._on_check(judging.check(name)[0])


async def _anyone_answers(transport: Transport, others: Iterable[Exchange], target: Target) -> bool:
    """Whether another exchange's public clock answers from here, whatever it says. True where there is no other to
    ask.
    """

    async def asks(exchange: Exchange) -> bool:
        elsewhere = Target(exchange=exchange.id, region=exchange.regions[0].id, egress_proxy=target.egress_proxy)
        client = Client(transport, exchange, elsewhere)
        call = next(call for call in exchange.calls if call.role is Role.TIME)
        return (await client.ask(call)).status is not None

    candidates = list(others)[:3]
    return any(await asyncio.gather(*(asks(exchange) for exchange in candidates))) if candidates else True


# -- judging -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    diagnosis: Diagnosis | None
    checks: tuple[Check, ...]
    advice: tuple[Advice, ...]
    report: KeyReport | None
    confirmed_at: datetime | None


def judge(facts: Facts, confirmation: Confirmation | None = None) -> Verdict:
    """The verdict on a finished test. Pure."""
    judging = _Judge(facts, confirmation)
    judged = [judging.check(name) for name in expected_checks(facts.target.market)]
    failures = [replaced for check, diagnosis in judged if (replaced := _about(check, diagnosis)) is not None]
    withdrawing = next((failure for failure in failures if failure.cause is Cause.WITHDRAW_ENABLED), None)
    others = [failure for failure in failures if failure.cause is not Cause.WITHDRAW_UNKNOWN]
    if withdrawing is not None:
        status, diagnosis = Status.BLOCKED, withdrawing
    elif others:
        status, diagnosis = Status.FAILED, _what_is_wanted(others)
    elif failures:
        status, diagnosis = Status.BLOCKED, failures[0]
    else:
        status, diagnosis = (Status.CONNECTED if judging.advice else Status.ONLINE), None
    return Verdict(
        status=status,
        diagnosis=diagnosis,
        checks=tuple(check for check, _ in judged),
        advice=tuple(dict.fromkeys(judging.advice)),
        report=judging.report if judging.key_works else None,
        confirmed_at=judging.confirmed_at,
    )


def _what_is_wanted(failures: list[Diagnosis]) -> Diagnosis:
    """The first failure. Where it is a missing right to read and the right to trade is missing too, the latter is
    named:
    it is what the trader came for, and the remedy lists every box that is missing."""
    first = failures[0]
    missing = [failure for failure in failures if failure.cause is Cause.PERMISSION_MISSING]
    trading = [failure for failure in missing if failure.permission is not Permission.READ]
    return trading[0] if trading and first in missing else first


def _about(check: Check, diagnosis: Diagnosis | None) -> Diagnosis | None:
    return diagnosis.model_copy(update={"check": check.name}) if diagnosis is not None else None


_CONFIRMED = Check(
    name=CheckName.WITHDRAW_OFF,
    outcome=Outcome.WARN,
    detail=Message(text=N_("not told by the exchange; you confirmed that it is off")),
)

Judged = tuple[Check, Diagnosis | None]


class _Judge:
    """Concludes each check from the facts. A check that fails comes with its diagnosis."""

    def __init__(self, facts: Facts, confirmation: Confirmation | None) -> None:
        self.facts = facts
        self.exchange = facts.exchange
        self.advice: list[Advice] = []
        self.confirmed_at: datetime | None = None
        self.report = facts.probed_report()
        self._confirmation = confirmation
        self._key = self._judge_key()
        self._methods: Mapping[CheckName, Callable[[], Judged]] = {
            CheckName.REACH: self._reach,
            CheckName.CLOCK: self._clock,
            CheckName.KEY: lambda: self._key,
            CheckName.PERMISSIONS: self._permissions,
            CheckName.WITHDRAW_OFF: self._withdraw_off,
            CheckName.BALANCE: self._balance,
            CheckName.STATUS: self._status,
            CheckName.TRADE: self._trade,
            CheckName.FUTURES: self._futures,
            CheckName.IP_RESTRICTION: self._ip_restriction,
            CheckName.EXPIRY: self._expiry,
            CheckName.LEAST_PRIVILEGE: self._least_privilege,
            CheckName.SUB_ACCOUNT: self._sub_account,
        }

    def check(self, name: CheckName) -> Judged:
        return self._methods[name]()

    @property
    def key_works(self) -> bool:
        """Where nothing answered, nobody knows: that is no report of unknown rights."""
        return not self._key_failed() or self.facts.report() is not None

    # required

    def _reach(self) -> Judged:
        name, latency = CheckName.REACH, self.facts.latency(Role.TIME)
        diagnosis = self.facts.problem(Role.TIME)
        site = self.exchange.site(self.facts.target.region, self.facts.target.environment)
        if self.facts.malformed:
            return _skipped(name, N_("skipped, nothing was asked"))
        if diagnosis is None and self.facts.offset_ms is not None:
            host = next(site.hosts[call.host] for call in self.facts.calls() if call.role is Role.TIME)
            return _passed(name, latency, N_("{host} answered"), host=host)
        if diagnosis is None:
            diagnosis = Diagnosis(cause=Cause.UNEXPECTED_RESPONSE, candidates=(Cause.UNEXPECTED_RESPONSE,))
        if self.facts.own_network_down:
            diagnosis = diagnosis.model_copy(
                update={"cause": Cause.LOCAL_NETWORK, "candidates": (Cause.LOCAL_NETWORK, Cause.EXCHANGE_UNAVAILABLE)}
            )
        return _failed(name, latency, diagnosis)

    def _clock(self) -> Judged:
        name, offset = CheckName.CLOCK, self.facts.offset_ms
        latency = self.facts.latency(Role.TIME)
        if offset is None:
            return _skipped(name, N_("skipped, no time was told"))
        seconds = round(abs(offset) / 1000, 1)
        if self.facts.clock_corrected or abs(offset) - self.facts.offset_error_ms >= CLOCK_TOLERANCE_MS:
            if abs(offset) < CLOCK_TOLERANCE_MS:
                text = N_("{seconds} s apart; asked again, as {exchange} refused a request for its time")
                return _warned(name, latency, text, seconds=seconds, exchange=self.exchange.name)
            self.advice.append(Advice.CLOCK_CORRECTED)
            text = (
                N_("this computer is {seconds} s behind, corrected")
                if offset > 0
                else N_("this computer is {seconds} s ahead, corrected")
            )
            return _warned(name, latency, text, seconds=seconds)
        return _passed(name, latency, N_("{seconds} s apart"), seconds=seconds)

    def _judge_key(self) -> Judged:
        name, latency = CheckName.KEY, self.facts.latency(Role.KEY_INFO)
        if self.facts.malformed:
            malformed = Diagnosis(cause=Cause.MALFORMED_CREDENTIALS, candidates=(Cause.MALFORMED_CREDENTIALS,))
            problem = self.facts.malformed[0]
            return _failed(name, None, malformed, problem.text, **problem.params)
        ailing = self._ailing(self.facts.target.market, Market.SPOT)
        if ailing is not None:
            return _failed(name, latency, ailing)
        judged = self.facts.signed()
        if not judged:
            return _failed(name, latency, _UNEXPECTED, N_("skipped, nothing was asked"))
        problems = [diagnosis for _, diagnosis in judged if diagnosis is not None]
        if self.facts.owner is not None:
            wrong = Diagnosis(
                cause=Cause.WRONG_ENVIRONMENT, candidates=(Cause.WRONG_ENVIRONMENT,), region=self.facts.owner
            )
            text = N_("refused here; {region} knows this key")
            return _failed(name, latency, wrong, text, region=self.exchange.region(self.facts.owner).name)
        if len(problems) < len(judged) or any(problem.cause is Cause.PERMISSION_MISSING for problem in problems):
            return _passed(name, latency, N_("{exchange} knows the key"), exchange=self.exchange.name)
        if self.facts.unreachable():
            return _skipped(name, N_("skipped, the exchange does not answer"))
        return _failed(name, latency, merge(problems))

    def _ailing(self, *markets: Market) -> Diagnosis | None:
        """What an answer about the key or the account names itself as a hindrance in all of these markets."""
        for role in (Role.KEY_INFO, Role.ACCOUNT):
            for _, answer, problem in self.facts.heard(role):
                causes = [self.exchange.state_cause(answer.json, market, self.facts.at) for market in markets]
                if problem is None and causes[0] is not None and None not in causes:
                    return Diagnosis(cause=causes[0], candidates=(causes[0],))
        return None

    def _key_failed(self) -> bool:
        return self._key[0].outcome is not Outcome.PASS

    def _permissions(self) -> Judged:
        name, latency = CheckName.PERMISSIONS, self.facts.latency(Role.KEY_INFO)
        if self._key_failed() and self.facts.report() is None:
            return _skipped(name, N_("skipped, needs the key"))
        diagnosis = self.facts.problem(Role.KEY_INFO)
        if diagnosis is not None and diagnosis.cause in _WAITING:
            return _failed(name, latency, diagnosis)
        lost = self.facts.lost()
        if lost is not None:
            return _failed(name, latency, lost, N_("a part of the report on the key did not arrive"))
        if self.facts.untold():
            self.advice.append(Advice.RIGHT_UNKNOWN)
            text = N_("{exchange} did not give every part of its report on the key")
            return _warned(name, latency, text, exchange=self.exchange.name)
        report = self.facts.report()
        if report is None or not report.words:
            self.advice.append(Advice.RIGHT_UNKNOWN)
            text = N_("{exchange} gave no readable list of rights; asked by harmless calls")
            return _warned(name, latency, text, exchange=self.exchange.name)
        if report.unknown_words:
            self.advice.append(Advice.RIGHT_UNKNOWN)
            text = N_("unknown right: {words}")
            return _warned(name, latency, text, words=", ".join(report.unknown_words)[:120])
        return _passed(name, latency, N_("rights read: {count}, all of them known"), count=len(report.words))

    def _withdraw_off(self) -> Judged:
        name = CheckName.WITHDRAW_OFF
        if self._key_failed() and self.facts.report() is None:
            return _skipped(name, N_("skipped, needs the key"))
        if not (self.facts.target.environment.touches_money or self.exchange.tests_take_live_keys):
            return _skipped(
                name,
                N_("not needed: no money can leave a {environment} account"),
                environment=self.facts.target.environment.value,
            )
        match self.report.state(Permission.WITHDRAW):
            case GrantState.DENIED:
                text = N_("{exchange} does not list the right to withdraw")
                if self.report.grant(Permission.WITHDRAW).words:
                    text = N_("{exchange} says that the key cannot withdraw")
                return _passed(name, None, text, exchange=self.exchange.name)
            case GrantState.GRANTED:
                diagnosis = Diagnosis(cause=Cause.WITHDRAW_ENABLED, candidates=(Cause.WITHDRAW_ENABLED,))
                words = ", ".join(self._with_its_box(word) for word in self.report.grant(Permission.WITHDRAW).words)
                text = N_("{exchange} lists {words}: this key can withdraw")
                return _failed(name, None, diagnosis, text, exchange=self.exchange.name, words=words)
            case GrantState.UNKNOWN:
                if self._confirmation is not None and self._confirmation.holds(self.report, self.facts.at):
                    self.confirmed_at = self._confirmation.at
                    self.advice.append(Advice.WITHDRAW_CONFIRMED)
                    return _CONFIRMED, None
                diagnosis = Diagnosis(
                    cause=Cause.WITHDRAW_UNKNOWN, candidates=(Cause.WITHDRAW_UNKNOWN, Cause.WITHDRAW_ENABLED)
                )
                text = N_("{exchange} does not tell whether this key can withdraw")
                return _failed(name, None, diagnosis, text, exchange=self.exchange.name)

    def _with_its_box(self, word: str) -> str:
        """The word as the exchange lists it, with its box where that is called otherwise, as BingX's 5 is."""
        right = self.exchange.right(word)
        return word if right is None or right.box == word else f"{word} ({right.box})"

    def _balance(self) -> Judged:
        name, latency = CheckName.BALANCE, self.facts.latency(Role.BALANCE)
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        diagnosis = self.facts.problem(Role.BALANCE)
        if diagnosis is not None:
            return _failed(name, latency, diagnosis)
        balances = self.facts.balances()
        if balances is None:
            return _failed(name, latency, _UNEXPECTED)
        if not balances:
            return _passed(name, latency, N_("read; the account is empty"))
        return _passed(name, latency, N_("read; assets with a free balance: {count}"), count=len(balances))

    def _status(self) -> Judged:
        name, latency = CheckName.STATUS, self.facts.latency(Role.ORDERS)
        service = self.facts.answer(Role.SERVICE)
        if service is not None and self.exchange.service_open(service) is False:
            closed = Diagnosis(cause=Cause.EXCHANGE_UNAVAILABLE, candidates=(Cause.EXCHANGE_UNAVAILABLE,))
            text = N_("{exchange} says that trading is closed now")
            return _failed(name, self.facts.latency(Role.SERVICE), closed, text, exchange=self.exchange.name)
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        diagnosis = self.facts.problem(Role.ORDERS)
        if diagnosis is not None:
            return _failed(name, latency, diagnosis)
        answer = self.facts.answer(Role.ORDERS)
        count = self.exchange.read_orders(self.facts.target.market, answer) if answer is not None else None
        if count is None:
            return _failed(name, latency, _UNEXPECTED)
        return _passed(name, latency, N_("open orders read: {count}"), count=count)

    def _trade_right(self) -> Permission:
        return _RIGHT_TO_TRADE[self.facts.target.market]

    def _trade(self) -> Judged:
        name, latency = CheckName.TRADE, self.facts.latency(Role.DRY_RUN)
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        right = self._trade_right()
        state = self.report.state(right)
        problem = self.facts.dry_run_problem()
        if state is GrantState.DENIED:
            return _failed(name, latency, _missing(right, problem), N_("the right to trade is off"))
        if problem is not None and problem.cause is not Cause.UNEXPECTED_RESPONSE:
            if problem.cause is Cause.PERMISSION_MISSING:
                problem = problem.model_copy(update={"permission": right})
            return _failed(name, latency, problem)
        if problem is not None:
            self.advice.append(Advice.RIGHT_UNKNOWN)
            return _warned(name, latency, N_("the dry-run order got an answer that no document describes"))
        if self.facts.dry_run_passed():
            return _passed(name, latency, N_("a dry-run order was let through; none was placed"))
        if state is GrantState.GRANTED:
            return _passed(name, None, N_("{exchange} lists the right to trade"), exchange=self.exchange.name)
        self.advice.append(Advice.RIGHT_UNKNOWN)
        return _warned(
            name, None, N_("{exchange} does not tell whether this key may trade"), exchange=self.exchange.name
        )

    def _futures(self) -> Judged:
        name = CheckName.FUTURES
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        ailing = self._ailing(Market.FUTURES)
        if ailing is not None:
            return _failed(name, None, ailing, N_("the account is set to a mode without futures"))
        match self.report.state(Permission.FUTURES_TRADE):
            case GrantState.GRANTED:
                return _passed(name, None, N_("the right to trade futures is on"))
            case GrantState.DENIED:
                return _failed(
                    name, None, _missing(Permission.FUTURES_TRADE, None), N_("the right to trade futures is off")
                )
            case GrantState.UNKNOWN:
                self.advice.append(Advice.RIGHT_UNKNOWN)
                text = N_("{exchange} does not tell whether this key may trade futures")
                return _warned(name, None, text, exchange=self.exchange.name)

    # advice

    def _ip_restriction(self) -> Judged:
        name, restriction = CheckName.IP_RESTRICTION, self.report.ip_restriction
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        match restriction.state:
            case GrantState.GRANTED:
                count = len(restriction.addresses) + len(restriction.masked)
                if count == 0:
                    text = N_("bound; {exchange} does not tell to which addresses")
                    return _passed(name, None, text, exchange=self.exchange.name)
                return _passed(name, None, N_("bound; addresses on its list: {count}"), count=count)
            case GrantState.DENIED:
                self.advice.append(Advice.NO_IP_RESTRICTION)
                return _warned(name, None, N_("works from any address"))
            case GrantState.UNKNOWN:
                self.advice.append(Advice.IP_RESTRICTION_UNKNOWN)
                text = N_("{exchange} does not tell whether the key is bound to addresses")
                return _warned(name, None, text, exchange=self.exchange.name)

    def _expiry(self) -> Judged:
        name, expires_at = CheckName.EXPIRY, self.report.expires_at
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        if expires_at is None:
            return _passed(name, None, N_("no expiry date told"))
        left = expires_at - self.facts.at
        if left <= EXPIRY_NEAR:
            self.advice.append(Advice.EXPIRES_SOON)
            return _warned(name, None, N_("days left: {days}"), days=max(0, left.days))
        return _passed(name, None, N_("days left: {days}"), days=left.days)

    def _least_privilege(self) -> Judged:
        name = CheckName.LEAST_PRIVILEGE
        if self._key_failed():
            return _skipped(name, N_("skipped, needs the key"))
        granted = {right for right in Permission if self.report.state(right) is GrantState.GRANTED}
        needed = (self._trade_right(), Permission.READ)
        bound = granted & set[Permission]().union(
            *(self.exchange.inseparable(right, self.report.words) for right in needed)
        )
        bound -= {*needed}
        granted -= bound
        surplus: list[Advice] = []
        if Permission.TRANSFER in granted:
            surplus.append(Advice.TRANSFER_ALLOWED)
        if Permission.FUTURES_TRADE in granted and self.facts.target.market is Market.SPOT:
            surplus.append(Advice.FUTURES_NOT_NEEDED)
        if Permission.MARGIN in granted:
            surplus.append(Advice.MARGIN_NOT_NEEDED)
        if self.report.escalations:
            surplus.append(Advice.ESCALATION)
        self.advice.extend(surplus)
        if surplus:
            return _warned(name, None, N_("rights that are not needed: {count}"), count=len(surplus))
        if bound:
            text = N_("{exchange} cannot separate the right to trade here from other rights")
            return _passed(name, None, text, exchange=self.exchange.name)
        return _passed(name, None, N_("no right that is not needed"))

    def _sub_account(self) -> Judged:
        name = CheckName.SUB_ACCOUNT
        if self._key_failed() or self.report.is_sub is None:
            return _skipped(name, N_("not told"))
        if self.report.is_sub:
            return _passed(name, None, N_("a sub-account"))
        return _passed(name, None, N_("the main account"))


_WAITING = frozenset(
    {Cause.EXCHANGE_UNAVAILABLE, Cause.RATE_LIMITED, Cause.LOCAL_NETWORK, Cause.LOCATION_RESTRICTED}
) | (KEY_CAUSES - {Cause.AMBIGUOUS})
_UNEXPECTED = Diagnosis(
    cause=Cause.UNEXPECTED_RESPONSE, candidates=(Cause.UNEXPECTED_RESPONSE, Cause.EXCHANGE_UNAVAILABLE)
)

_KEY_IS_KNOWN = frozenset(
    {
        Cause.IP_NOT_ALLOWED,
        Cause.PERMISSION_MISSING,
        Cause.INVALID_SECRET,
        Cause.INVALID_PASSPHRASE,
        Cause.ACCOUNT_RESTRICTED,
        Cause.EXPIRED_KEY,
    }
)
"""A refusal for one of these is about a key that the exchange found."""
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_-]{1,80}")

_FAILURES: Mapping[Cause, str] = {
    Cause.INVALID_KEY: N_("refused: the key is not known"),
    Cause.INVALID_SECRET: N_("refused: the secret does not fit"),
    Cause.INVALID_PASSPHRASE: N_("refused: the passphrase does not fit"),
    Cause.MALFORMED_CREDENTIALS: N_("refused: not a whole key"),
    Cause.EXPIRED_KEY: N_("refused: the key has expired"),
    Cause.WRONG_ENVIRONMENT: N_("refused: the key belongs elsewhere"),
    Cause.IP_NOT_ALLOWED: N_("refused: address not on its list"),
    Cause.PERMISSION_MISSING: N_("refused: a right is missing"),
    Cause.CLOCK_SKEW: N_("refused: the time is wrong"),
    Cause.RATE_LIMITED: N_("asked to slow down"),
    Cause.EXCHANGE_UNAVAILABLE: N_("no answer from the exchange"),
    Cause.LOCATION_RESTRICTED: N_("not served at this location"),
    Cause.ACCOUNT_RESTRICTED: N_("refused: the account is restricted"),
    Cause.LOCAL_NETWORK: N_("no network here"),
    Cause.AMBIGUOUS: N_("refused without a reason"),
    Cause.UNEXPECTED_RESPONSE: N_("an answer that no document describes"),
}


def _missing(right: Permission, problem: Diagnosis | None) -> Diagnosis:
    return Diagnosis(
        cause=Cause.PERMISSION_MISSING,
        candidates=(Cause.PERMISSION_MISSING,),
        permission=right,
        exchange_said=problem.exchange_said if problem and problem.cause is Cause.PERMISSION_MISSING else None,
    )


def _check(
    name: CheckName, outcome: Outcome, latency: float | None, text: str, params: Mapping[str, str | int | float]
) -> Check:
    return Check(name=name, outcome=outcome, latency_ms=latency, detail=Message(text=text, params=dict(params)))


def _passed(name: CheckName, latency: float | None, text: str, **params: str | int | float) -> Judged:
    return _check(name, Outcome.PASS, latency, text, params), None


def _warned(name: CheckName, latency: float | None, text: str, **params: str | int | float) -> Judged:
    return _check(name, Outcome.WARN, latency, text, params), None


def _skipped(name: CheckName, text: str, **params: str | int | float) -> Judged:
    return _check(name, Outcome.SKIP, None, text, params), None


def _failed(
    name: CheckName, latency: float | None, diagnosis: Diagnosis, text: str | None = None, **params: str | int | float
) -> Judged:
    return _check(name, Outcome.FAIL, latency, text or _FAILURES[diagnosis.cause], params), diagnosis
