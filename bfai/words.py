"""A result in plain sentences: the rights with their evidence, what a thief could do, what to do next.

Everything here is derived from a stored run, so it always speaks the reader's language and today's wording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bfai.diagnosis import PERMISSION_NAMES, sentence
from bfai.exchanges.base import CountedFrom, Exchange
from bfai.i18n import N_, NN_
from bfai.model import (
    Advice,
    Cause,
    CheckName,
    Connection,
    Evidence,
    ExpiryEvidence,
    Grant,
    GrantState,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    TestRun,
    utc_now,
)

IDLE_WARNING = timedelta(days=7)

STATUS_NAMES: Mapping[Status, str] = {
    Status.ONLINE: N_("Online"),
    Status.CONNECTED: N_("Connected"),
    Status.BLOCKED: N_("Blocked"),
    Status.FAILED: N_("Failed"),
    Status.UNTESTED: N_("Untested"),
}
CHECK_NAMES: Mapping[CheckName, str] = {
    CheckName.REACH: N_("Reach"),
    CheckName.CLOCK: N_("Clock"),
    CheckName.KEY: N_("Key"),
    CheckName.PERMISSIONS: N_("Rights"),
    CheckName.WITHDRAW_OFF: N_("Withdrawal off"),
    CheckName.BALANCE: N_("Balance"),
    CheckName.STATUS: N_("Orders"),
    CheckName.TRADE: N_("Trade"),
    CheckName.FUTURES: N_("Futures"),
    CheckName.IP_RESTRICTION: N_("Addresses"),
    CheckName.EXPIRY: N_("Expiry"),
    CheckName.LEAST_PRIVILEGE: N_("No surplus rights"),
    CheckName.SUB_ACCOUNT: N_("Sub-account"),
}


@dataclass(frozen=True, slots=True)
class RightRow:
    """One line of "what this key may do". `permission` is None for the addresses and the expiry below the rights."""

    permission: Permission | None
    label: Message
    state: GrantState
    shown_state: Message
    evidence: Message
    boxes: tuple[str, ...] = ()


STATE_NAMES: Mapping[GrantState, str] = {
    GrantState.GRANTED: N_("on"),
    GrantState.DENIED: N_("off"),
    GrantState.UNKNOWN: N_("not told"),
}
_NEEDED: Mapping[Market, frozenset[Permission]] = {
    Market.SPOT: frozenset({Permission.READ, Permission.SPOT_TRADE}),
    Market.FUTURES: frozenset({Permission.READ, Permission.FUTURES_TRADE}),
}


def rights_table(run: TestRun, exchange: Exchange) -> list[RightRow]:
    """The rights of the tested key, withdrawal first, then its addresses and its end. Empty without a key report."""
    report = run.key_report
    if report is None:
        return []
    order = (*PERMISSION_NAMES,)
    rows = [
        RightRow(
            permission=permission,
            label=Message(text=PERMISSION_NAMES[permission]),
            state=report.state(permission),
            shown_state=Message(text=STATE_NAMES[report.state(permission)]),
            evidence=_evidence(permission, report.grant(permission), run, exchange),
            boxes=exchange.boxes(permission),
        )
        for permission in order
    ]
    return [*rows, _address_row(run, exchange), _expiry_row(run, exchange)]


def _evidence(permission: Permission, grant: Grant, run: TestRun, exchange: Exchange) -> Message:
    name: dict[str, str | int | float] = {"exchange": exchange.name}
    if permission is Permission.WITHDRAW and grant.state is GrantState.UNKNOWN and run.confirmed_at is not None:
        return Message(
            text=N_("not told; you confirmed that it is off on {d_date}"),
            params={"d_date": f"{run.confirmed_at:%Y-%m-%d}"},
        )
    match grant.state, grant.evidence:
        case GrantState.GRANTED, Evidence.DECLARED:
            words = " ".join(f"`{word}`" for word in grant.words)
            return Message(text=N_("{exchange} says {words}"), params={**name, "words": words})
        case GrantState.DENIED, Evidence.DECLARED if grant.words:
            words = " ".join(f"`{word}`" for word in grant.words)
            return Message(text=N_("{exchange} says no to {words}"), params={**name, "words": words})
        case GrantState.DENIED, Evidence.DECLARED:
            return Message(text=N_("not in {exchange}'s list; all its words are known"), params=name)
        case GrantState.GRANTED, _:
            return Message(text=N_("seen by a harmless call"))
        case GrantState.DENIED, _:
            return Message(text=N_("a harmless call was refused for it"))
        case _:
            return Message(text=N_("no report, no harmless call tells it"))


def _address_row(run: TestRun, exchange: Exchange) -> RightRow:
    assert run.key_report is not None
    restriction = run.key_report.ip_restriction
    name: dict[str, str | int | float] = {"exchange": exchange.name}
    match restriction.state:
        case GrantState.GRANTED:
            shown = ", ".join((*restriction.addresses, *restriction.masked))
            told = Message(text=N_("{exchange} says {words}"), params={**name, "words": f"`{shown}`"})
            untold = Message(text=N_("{exchange} does not tell the list of addresses"), params=name)
            state, evidence = N_("bound"), told if shown else untold
        case GrantState.DENIED:
            state, evidence = (
                N_("open to any"),
                Message(text=N_("{exchange}'s list of addresses is empty"), params=name),
            )
        case GrantState.UNKNOWN:
            state, evidence = (
                N_("not told"),
                Message(text=N_("{exchange} does not tell the list of addresses"), params=name),
            )
    return RightRow(None, Message(text=N_("Addresses")), restriction.state, Message(text=state), evidence)


def _expiry_row(run: TestRun, exchange: Exchange) -> RightRow:
    report = run.key_report
    assert report is not None
    label, name = Message(text=N_("Expiry")), exchange.name
    if report.expires_at is not None:
        days = max(0, (report.expires_at - utc_now()).days)
        state = Message(text=NN_("{count} day", "{count} days"), params={"count": days})
        if report.expiry_evidence is ExpiryEvidence.RULE:
            return RightRow(
                None,
                label,
                GrantState.GRANTED,
                state,
                Message(text=N_("worked out from {exchange}'s rule"), params={"exchange": name}),
            )
        date = f"{report.expires_at:%Y-%m-%d}"
        evidence = Message(text=N_("{exchange} says {d_date}"), params={"exchange": name, "d_date": date})
        return RightRow(None, label, GrantState.GRANTED, state, evidence)
    unused_until = idle_end(run, exchange)
    if unused_until is not None:
        state = Message(text=N_("{d_date}, if unused"), params={"d_date": f"{unused_until:%Y-%m-%d}"})
        return RightRow(None, label, GrantState.UNKNOWN, state, Message(text=exchange.expiry_rule or ""))
    if report.expiry_evidence is ExpiryEvidence.FIELD:
        evidence = Message(text=N_("{exchange} says that the key does not expire"), params={"exchange": name})
        return RightRow(None, label, GrantState.DENIED, Message(text=N_("never")), evidence)
    rule = exchange.expiry_rule
    open_to_any = report.ip_restriction.state is not GrantState.GRANTED
    evidence = Message(text=rule) if rule and open_to_any else Message(text=N_("no expiry date told"))
    return RightRow(None, label, GrantState.UNKNOWN, Message(text=N_("not told")), evidence)


def idle_end(run: TestRun, exchange: Exchange) -> datetime | None:
    """When the exchange takes an open key away unless something uses it before. The test itself was a use."""
    report = run.key_report
    if report is None or report.ip_restriction.state is not GrantState.DENIED:
        return None
    ends = (rule.end(report, run.started_at) for rule in exchange.expiry_rules if rule.counted is CountedFrom.LAST_USE)
    return min((end for end in ends if end is not None), default=None)


# -- the thief's view --------------------------------------------------------------------------------------------------

_FROM_ANYWHERE = "anywhere"
_FROM_LIST = "list"
_FROM_UNKNOWN = "unknown"

_TRADE: Mapping[str, tuple[str, str]] = {
    _FROM_ANYWHERE: (
        N_("From any address someone with this key could trade your {m_amount}."),
        N_("From any address someone with this key could trade what is on the account."),
    ),
    _FROM_LIST: (
        N_("Only from the addresses on its list could someone with this key trade your {m_amount}."),
        N_("Only from the addresses on its list could someone with this key trade what is on the account."),
    ),
    _FROM_UNKNOWN: (
        N_("Someone with this key could trade your {m_amount}, perhaps from any address."),
        N_("Someone with this key could trade what is on the account, perhaps from any address."),
    ),
}
_READ: Mapping[str, str] = {
    _FROM_ANYWHERE: N_("From any address someone with this key could see your account, but not trade."),
    _FROM_LIST: N_("Only from the addresses on its list could someone with this key see your account, and not trade."),
    _FROM_UNKNOWN: N_("Someone with this key could see your account, but not trade."),
}
_WITHDRAW: Mapping[GrantState, str] = {
    GrantState.GRANTED: N_("They could also withdraw it."),
    GrantState.DENIED: N_("They could not withdraw it."),
    GrantState.UNKNOWN: N_("Whether they could withdraw it, nobody here can tell."),
}


def thief_view(run: TestRun) -> tuple[Message, ...]:
    """What a stolen key could do, in two sentences, from grants, addresses and balance. Empty without a key report."""
    report = run.key_report
    if report is None:
        return ()
    place = {
        GrantState.GRANTED: _FROM_LIST,
        GrantState.DENIED: _FROM_ANYWHERE,
        GrantState.UNKNOWN: _FROM_UNKNOWN,
    }[report.ip_restriction.state]
    trading = (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.MARGIN)
    amount = _amount(run.balances)
    if any(report.state(right) is not GrantState.DENIED for right in trading):
        with_amount, without = _TRADE[place]
        first = Message(text=with_amount, params={"m_amount": amount}) if amount else Message(text=without)
    else:
        first = Message(text=_READ[place])
    return first, Message(text=_WITHDRAW[report.state(Permission.WITHDRAW)])


def _amount(balances: Mapping[str, str]) -> str | None:
    """The first of the kept balances, which stand in the order of what traders count in."""
    for asset, free in balances.items():
        number = Decimal(free)
        return f"{number:.2f} {asset}" if number >= 1 else f"{number.normalize():f} {asset}"
    return None


def is_exposed(run: TestRun, exchange: Exchange) -> bool:
    """Usable, but open to any address or able to change its own limits."""
    report = run.key_report
    if report is None or not run.status.ok:
        return False
    return report.ip_restriction.state is GrantState.DENIED or any(
        right.exposes for word in report.words if (right := exchange.right(word)) is not None
    )


# -- advice and the next step ------------------------------------------------------------------------------------------

_ADVICE: Mapping[Advice, str] = {
    Advice.NO_IP_RESTRICTION: N_("Bind the key to your address at {exchange}: then a stolen key is useless elsewhere."),
    Advice.IP_RESTRICTION_UNKNOWN: N_(
        "{exchange} does not tell whether the key is bound to addresses. Look there, and bind it."
    ),
    Advice.EXPIRES_SOON: NN_(
        "The key expires in {count} day. Make the next one, then rotate to it.",
        "The key expires in {count} days. Make the next one, then rotate to it.",
    ),
    Advice.TRANSFER_ALLOWED: N_(
        "The key may transfer between your accounts. A bot does not need that: untick {q_boxes}."
    ),
    Advice.FUTURES_NOT_NEEDED: N_("The key may trade futures, and this connection is for spot. Untick {q_boxes}."),
    Advice.MARGIN_NOT_NEEDED: N_("The key may trade on margin. Untick {q_boxes} unless you use it."),
    Advice.CLOCK_CORRECTED: N_("This computer's clock is off by {seconds} s. Set it by the internet."),
    Advice.WITHDRAW_CONFIRMED: N_(
        "You confirmed that the key cannot withdraw. We ask again in 30 days, or when the key changes."
    ),
    Advice.RIGHT_UNKNOWN: N_(
        "{exchange} does not tell everything about this key. What is not told counts as possible."
    ),
}
_SURPLUS: Mapping[Advice, Permission] = {
    Advice.TRANSFER_ALLOWED: Permission.TRANSFER,
    Advice.FUTURES_NOT_NEEDED: Permission.FUTURES_TRADE,
    Advice.MARGIN_NOT_NEEDED: Permission.MARGIN,
}


def advice(run: TestRun, exchange: Exchange) -> list[Message]:
    """What to better on a connection that works, one sentence each."""
    report = run.key_report
    messages: list[Message] = []
    for item in run.advice:
        params: dict[str, str | int | float] = {"exchange": exchange.name}
        match item:
            case Advice.ESCALATION:
                messages.extend(Message(text=text) for text in (report.escalations if report else ()))
                continue
            case Advice.EXPIRES_SOON:
                ends = report.expires_at if report else None
                params["count"] = max(0, (ends - utc_now()).days) if ends else 0
            case Advice.CLOCK_CORRECTED:
                params["seconds"] = round(abs(run.clock_offset_ms or 0) / 1000, 1)
                if run.tested_from is not None:
                    text = N_("The clock of the computer where the bot runs is off by {seconds} s.")
                    messages.append(Message(text=text, params=params))
                    continue
            case _ if item in _SURPLUS:
                params["q_boxes"] = "\n".join(_ticked(_SURPLUS[item], report, exchange))
            case _:
                pass
        messages.append(Message(text=_ADVICE[item], params=params))
    return messages


def _ticked(permission: Permission, report: KeyReport | None, exchange: Exchange) -> tuple[str, ...]:
    """The boxes of the key page that give this key the permission; all that could, where its words do not tell."""
    rights = [exchange.right(word) for word in report.words] if report else []
    giving = [right for right in rights if right is not None and permission in right.grants]
    shown = [right.box for right in giving if right.shown] or [right.box for right in giving]
    return tuple(dict.fromkeys(shown)) or exchange.boxes(permission)


def tested_from(run: TestRun) -> Message | None:
    """Where a test was made, where that was not here."""
    if run.tested_from is None:
        return None
    if not run.tested_from:
        return Message(text=N_("tested where the bot runs"))
    return Message(text=N_("tested from {address}"), params={"address": run.tested_from})


def alarms(run: TestRun) -> tuple[Message, ...]:
    """What the tripwire says."""
    found: list[Message] = []
    for text, names in (
        (N_("An asset that you did not list is on the account: {names}."), run.stranger_assets),
        (N_("An order is open in a pair that you did not list: {names}."), run.stranger_orders),
    ):
        if names:
            shown = ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
            found.append(Message(text=text, params={"names": shown}))
    return tuple(found)


def account_notes(
    exchange: Exchange, market: Market, account_id: str | None, is_sub: bool | None, same: Sequence[Connection]
) -> tuple[Message, ...]:
    """Whose account a key belongs to: the connections that share it (`same`), and whether it is a sub-account."""
    notes: list[Message] = []
    if same:
        if len(same) == 1:
            text = N_("This key belongs to the same {exchange} account as “{names}”.")
        else:
            text = N_("This key belongs to the same {exchange} account as these: {names}.")
        names = ", ".join(one.name for one in same)
        notes.append(Message(text=text, params={"exchange": exchange.name, "names": names}))
        if any(one.target.market is market for one in same):
            text = N_("Bots there share one balance and see each other's orders.")
            notes.append(Message(text=text))
    if is_sub:
        notes.append(_sub_account(account_id))
    return tuple(notes)


def _sub_account(account_id: str | None) -> Message:
    if account_id is None:
        return Message(text=N_("It is a key of a sub-account."))
    return Message(text=N_("It is a key of sub-account {id}."), params={"id": account_mark(account_id)})


def account_marks(account_id: str | None, is_sub: bool | None, same: Sequence[Connection]) -> tuple[Message, ...]:
    """The same in as few words as a card has room for."""
    marks: list[Message] = []
    if is_sub:
        text = N_("sub-account {id}") if account_id is not None else N_("sub-account")
        marks.append(Message(text=text, params={"id": account_mark(account_id)} if account_id is not None else {}))
    if same:
        more = NN_("same account as “{name}” and {count} other", "same account as “{name}” and {count} others")
        text = N_("same account as “{name}”") if len(same) == 1 else more
        marks.append(Message(text=text, params={"name": same[0].name, "count": len(same) - 1}))
    return tuple(marks)


def account_mark(account_id: str) -> str:
    """Enough of an account's number to tell it from others."""
    return account_id if len(account_id) <= 5 else f"{account_id[:4]}…"


def set_aside(run: TestRun) -> Message | None:
    """Why a test does not count that failed for the place where it was made."""
    if not run.set_aside:
        return None
    text = N_(
        "This test was made here, and it says nothing about the place where the bot runs. A test from there that is"
        " less than a day old says more, so the status stays."
    )
    return Message(text=text)


_SHOWN_NAMES = 12


def next_step(connection: Connection, run: TestRun | None, exchange: Exchange) -> Message:
    """The one sentence on a card."""
    if run is None or connection.status is Status.UNTESTED:
        return Message(text=N_("Not tested with its present key. Test it once."))
    if run.diagnosis is not None and run.diagnosis.cause is Cause.WITHDRAW_ENABLED:
        text = N_("This key can withdraw. Take that right away at {exchange}, then test again.")
        return Message(text=text, params={"exchange": exchange.name})
    alarm = alarms(run)
    if alarm:
        return alarm[0]
    if run.diagnosis is not None:
        return sentence(run.diagnosis, exchange, run.market, run.key_report)
    unused_until = idle_end(run, exchange)
    if unused_until is not None and unused_until - utc_now() < IDLE_WARNING:
        text = N_("{exchange} takes unused keys away. Use or test this one before {d_date}.")
        return Message(text=text, params={"exchange": exchange.name, "d_date": f"{unused_until:%Y-%m-%d}"})
    first = advice(run, exchange)
    return first[0] if first else Message(text=N_("Nothing to do."))
