"""What changed on a key between two key reports: rights, addresses, expiry. Pure.

One order of weight for everybody who asks: the history draws it, alerts are raised from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bfai.diagnosis import PERMISSION_NAMES
from bfai.i18n import N_
from bfai.model import GrantState, KeyReport, Message, Permission
from bfai.words import STATE_NAMES


class DriftKind(StrEnum):
    RIGHT = "right"
    UNKNOWN_RIGHT = "unknown_right"
    BINDING = "binding"
    ADDRESS = "address"
    EXPIRY = "expiry"
    PAIRS = "pairs"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `what` is the permission, the right's word or the address that it is about, empty where the kind
    says it. `before` and `after` are plain texts: a grant's state, an ISO time, a list joined by commas; None is
    absent or not told. `worse`: it lets a thief do more, or the bot less.
    """

    kind: DriftKind
    what: str
    before: str | None
    after: str | None
    worse: bool

    @property
    def sentence(self) -> Message:
        """What to say of it."""
        return _sentence(self)


def drift(old: KeyReport, new: KeyReport) -> tuple[Drift, ...]:
    """Every difference that matters, the gravest kind first. A label that changed is none."""
    return (*_rights(old, new), *_words(old, new), *_addresses(old, new), *_rest(old, new))


def _rights(old: KeyReport, new: KeyReport) -> Iterator[Drift]:
    for permission in (Permission.WITHDRAW, *(one for one in Permission if one is not Permission.WITHDRAW)):
        before, after = old.state(permission), new.state(permission)
        if before is after:
            continue
        needed = permission in (Permission.READ, Permission.SPOT_TRADE, Permission.FUTURES_TRADE)
        worse = before is GrantState.GRANTED if needed else after is not GrantState.DENIED
        yield Drift(DriftKind.RIGHT, permission.value, before.value, after.value, worse)


def _words(old: KeyReport, new: KeyReport) -> Iterator[Drift]:
    for word in new.unknown_words:
        if word not in old.unknown_words:
            yield Drift(DriftKind.UNKNOWN_RIGHT, word, None, word, worse=True)
    for word in old.unknown_words:
        if word not in new.unknown_words:
            yield Drift(DriftKind.UNKNOWN_RIGHT, word, word, None, worse=False)


def _addresses(old: KeyReport, new: KeyReport) -> Iterator[Drift]:
    before, after = old.ip_restriction, new.ip_restriction
    if before.state is not after.state:
        worse = before.state is GrantState.GRANTED
        yield Drift(DriftKind.BINDING, "", before.state.value, after.state.value, worse)
    listed, now = (*before.addresses, *before.masked), (*after.addresses, *after.masked)
    for address in now:
        if address not in listed:
            yield Drift(DriftKind.ADDRESS, address, None, address, worse=before.state is GrantState.GRANTED)
    for address in listed:
        if address not in now:
            yield Drift(DriftKind.ADDRESS, address, address, None, worse=False)


def _rest(old: KeyReport, new: KeyReport) -> Iterator[Drift]:
    if old.expires_at != new.expires_at and (old.expires_at is None or new.expires_at is None or _moved(old, new)):
        before, after = (at.isoformat() if at else None for at in (old.expires_at, new.expires_at))
        sooner = new.expires_at is not None and (old.expires_at is None or new.expires_at < old.expires_at)
        yield Drift(DriftKind.EXPIRY, "", before, after, worse=sooner)
    if set(old.pairs or ()) != set(new.pairs or ()):
        joined = (", ".join(sorted(pairs)) if pairs else None for pairs in (old.pairs, new.pairs))
        before, after = joined
        lost = bool(new.pairs) and (not old.pairs or not set(old.pairs) <= set(new.pairs or ()))
        yield Drift(DriftKind.PAIRS, "", before, after, worse=lost)
    if old.account_id is not None and new.account_id is not None and old.account_id != new.account_id:
        yield Drift(DriftKind.ACCOUNT, "", old.account_id, new.account_id, worse=True)


def _moved(old: KeyReport, new: KeyReport) -> bool:
    """Whether the end is another one: an exchange that tells whole days left gives another moment each time."""
    assert old.expires_at is not None and new.expires_at is not None
    return abs((new.expires_at - old.expires_at).total_seconds()) > 36 * 3600


_RIGHT = N_("{t_right}: {t_before} before, {t_after} now.")
_TEXTS: dict[tuple[DriftKind, bool, bool], str] = {
    (DriftKind.UNKNOWN_RIGHT, False, True): N_("A right that no document explains appeared: {what}."),
    (DriftKind.UNKNOWN_RIGHT, True, False): N_("A right that no document explains is gone: {what}."),
    (DriftKind.ADDRESS, False, True): N_("{what} was added to the key's addresses."),
    (DriftKind.ADDRESS, True, False): N_("{what} is no longer among the key's addresses."),
    (DriftKind.EXPIRY, False, True): N_("The key expires on {d_after}; before, no expiry date was told."),
    (DriftKind.EXPIRY, True, False): N_("No expiry date of the key is told any more; before, it was {d_before}."),
    (DriftKind.EXPIRY, True, True): N_("The key expires on {d_after}; before, it was {d_before}."),
    (DriftKind.PAIRS, False, True): N_("The key may trade these pairs only: {after}."),
    (DriftKind.PAIRS, True, False): N_("The key may trade all pairs; before, these only: {before}."),
    (DriftKind.PAIRS, True, True): N_("The key may trade these pairs: {after}; before, these: {before}."),
    (DriftKind.ACCOUNT, True, True): N_("The key belongs to account {after}; before, it was {before}."),
}
"""By kind, and by whether there is something before and something after."""
_BINDING: dict[str, str] = {
    GrantState.GRANTED.value: N_("The key is now bound to addresses."),
    GrantState.DENIED.value: N_("The key is no longer bound to addresses: it works from anywhere."),
    GrantState.UNKNOWN.value: N_("Whether the key is bound to addresses is no longer told."),
}


def _sentence(one: Drift) -> Message:
    before, after = one.before, one.after
    if one.kind is DriftKind.RIGHT and before and after:
        names = {"t_right": PERMISSION_NAMES[Permission(one.what)]}
        states = {"t_before": STATE_NAMES[GrantState(before)], "t_after": STATE_NAMES[GrantState(after)]}
        return Message(text=_RIGHT, params={**names, **states})
    if one.kind is DriftKind.BINDING:
        return Message(text=_BINDING[after or GrantState.UNKNOWN.value])
    text = _TEXTS[one.kind, before is not None, after is not None]
    if one.kind is DriftKind.EXPIRY:
        return Message(text=text, params={"d_before": (before or "")[:10], "d_after": (after or "")[:10]})
    return Message(text=text, params={"what": one.what, "before": before or "", "after": after or ""})
