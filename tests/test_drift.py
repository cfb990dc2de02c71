"""What changed on a key between two reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bfai.drift import DriftKind, drift
from bfai.i18n import translator
from bfai.model import Evidence, Grant, GrantState, IpRestriction, KeyReport, Permission

GRANTED = Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED)
DENIED = Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED)
END = datetime(2027, 1, 1, tzinfo=UTC)
SAFE = KeyReport(
    grants={Permission.READ: GRANTED, Permission.SPOT_TRADE: GRANTED, Permission.WITHDRAW: DENIED},
    ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",)),
    expires_at=END,
    pairs=("BTCUSDT", "ETHUSDT"),
    account_id="1",
)


def changed(**values: object) -> list[tuple[DriftKind, str, bool, str]]:
    found = drift(SAFE, SAFE.model_copy(update=values))
    return [(one.kind, one.what, one.worse, translator("en").render(one.sentence)) for one in found]


def test_equal_reports_and_another_label_are_no_drift() -> None:
    assert changed() == []
    assert changed(label="bot", words=("x",)) == []


def test_withdrawal_that_appears_stands_first() -> None:
    grants = {Permission.READ: DENIED, Permission.SPOT_TRADE: GRANTED, Permission.WITHDRAW: GRANTED}
    found = changed(grants=grants)
    assert [(what, worse) for _, what, worse, _ in found] == [("withdraw", True), ("read", True)]
    assert found[0][3] == "Withdraw: off before, on now."


def test_a_right_that_is_no_longer_told_is_worse_and_one_that_is_taken_away_is_not() -> None:
    unknown = {**SAFE.grants, Permission.WITHDRAW: Grant()}
    assert [worse for *_, worse, _ in changed(grants=unknown)] == [True]
    now = SAFE.with_grant(Permission.WITHDRAW, GRANTED)
    assert [one.worse for one in drift(now, SAFE)] == [False]


def test_addresses() -> None:
    other = IpRestriction(state=GrantState.GRANTED, addresses=("198.51.100.9",))
    assert changed(ip_restriction=other) == [
        (DriftKind.ADDRESS, "198.51.100.9", True, "198.51.100.9 was added to the key's addresses."),
        (DriftKind.ADDRESS, "203.0.113.7", False, "203.0.113.7 is no longer among the key's addresses."),
    ]
    found = changed(ip_restriction=IpRestriction(state=GrantState.DENIED))
    assert [(kind, worse) for kind, _, worse, _ in found] == [(DriftKind.BINDING, True), (DriftKind.ADDRESS, False)]


def test_an_end_that_moves_by_a_day_because_days_are_counted_is_none() -> None:
    assert changed(expires_at=END + timedelta(hours=23)) == []
    assert changed(expires_at=END - timedelta(days=30))[0][2:] == (
        True,
        "The key expires on 2 Dec 2026; before, it was 1 Jan 2027.",
    )
    assert changed(expires_at=None)[0][2:] == (
        False,
        "No expiry date of the key is told any more; before, it was 1 Jan 2027.",
    )


def test_the_rest() -> None:
    assert changed(unknown_words=("xx",))[0][:3] == (DriftKind.UNKNOWN_RIGHT, "xx", True)
    assert changed(pairs=("BTCUSDT",))[0][:3] == (DriftKind.PAIRS, "", True)
    assert changed(pairs=None)[0][:3] == (DriftKind.PAIRS, "", False)
    assert changed(account_id="2")[0][3] == "The key belongs to account 2; before, it was 1."
