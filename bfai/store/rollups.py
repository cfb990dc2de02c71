"""The arithmetic of roll-ups and of figures: what a run counts as, how long it holds, how histograms are merged.

Works on whole columns (numpy) and knows no database. Times are whole microseconds since 1970 UTC, durations whole
microseconds, response times milliseconds.

Two rules hold everywhere. A result holds until the next test of its connection, at most `LONGEST_HOLD`; what comes
after is unknown. A run that failed because our own network was down (`local_network`) says nothing about the exchange.
"""

from __future__ import annotations

import importlib
from typing import Any, Final, NamedTuple

from bfai.model import Cause, CheckName, Status


class _Late:
    """A module that is imported when it is first used: numpy takes a tenth of a second, pandas a third."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


np: Any = _Late("numpy")
pd: Any = _Late("pandas")

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
LONGEST_HOLD: Final = DAY
FOREVER: Final = 2**62

# What is written into roll-ups: nothing here may change its number, new ones are added at the end.
STATUSES: Final = (Status.ONLINE, Status.CONNECTED, Status.BLOCKED, Status.FAILED, Status.UNTESTED)
CAUSES: Final[tuple[Cause | None, ...]] = (
    None,
    Cause.INVALID_KEY,
    Cause.INVALID_SECRET,
    Cause.INVALID_PASSPHRASE,
    Cause.MALFORMED_CREDENTIALS,
    Cause.EXPIRED_KEY,
    Cause.WRONG_ENVIRONMENT,
    Cause.IP_NOT_ALLOWED,
    Cause.PERMISSION_MISSING,
    Cause.WITHDRAW_ENABLED,
    Cause.WITHDRAW_UNKNOWN,
    Cause.CLOCK_SKEW,
    Cause.RATE_LIMITED,
    Cause.EXCHANGE_UNAVAILABLE,
    Cause.LOCATION_RESTRICTED,
    Cause.ACCOUNT_RESTRICTED,
    Cause.LOCAL_NETWORK,
    Cause.AMBIGUOUS,
    Cause.UNEXPECTED_RESPONSE,
)
CHECKS: Final = (
    CheckName.REACH,
    CheckName.CLOCK,
    CheckName.KEY,
    CheckName.PERMISSIONS,
    CheckName.WITHDRAW_OFF,
    CheckName.BALANCE,
    CheckName.STATUS,
    CheckName.TRADE,
    CheckName.FUTURES,
    CheckName.IP_RESTRICTION,
    CheckName.EXPIRY,
    CheckName.LEAST_PRIVILEGE,
    CheckName.SUB_ACCOUNT,
)
CLOCK_OFFSET: Final = 15
"""The number of the metric that is no check: by how much the two clocks differ. A check's number is its place above."""
_CAUSES_MOST: Final = 32

ONLINE, FAILED, BLOCKED, OWN_NETWORK, NOTHING = range(5)
"""States that time is spent in. `NOTHING` is no state: such a run says nothing, and nothing is known after it."""
STATES: Final = 4
WORST_FIRST: Final = ("blocked", "failed", "connected", "online", "own_network", "no_test")


def code(status: Status, cause: Cause | None) -> int:
    """Status and cause in one byte."""
    return STATUSES.index(status) * _CAUSES_MOST + CAUSES.index(cause)


def status_of(code: int) -> Status:
    return STATUSES[code // _CAUSES_MOST]


def cause_of(code: int) -> Cause | None:
    return CAUSES[code % _CAUSES_MOST]


def _state(code: int) -> int:
    status, cause = code // _CAUSES_MOST, code % _CAUSES_MOST
    if status >= len(STATUSES) or cause >= len(CAUSES) or STATUSES[status] is Status.UNTESTED:
        return NOTHING
    if CAUSES[cause] is Cause.LOCAL_NETWORK:
        return OWN_NETWORK
    return {Status.FAILED: FAILED, Status.BLOCKED: BLOCKED}.get(STATUSES[status], ONLINE)


def _badness(code: int) -> int:
    """The place in `WORST_FIRST`."""
    if _state(code) == NOTHING:
        return WORST_FIRST.index("no_test")
    return WORST_FIRST.index("own_network" if _state(code) == OWN_NETWORK else status_of(code).value)


STATE_OF: Final = tuple(_state(number) for number in range(256))
BADNESS_OF: Final = tuple(_badness(number) for number in range(256))


class Held(NamedTuple):
    """Stretches of time with one state each: which window, from when, until when (microseconds), `state`."""

    window: Any
    begin: Any
    end: Any
    state: Any


def hold(window: Any, started_at: Any, state: Any, since: Any, until: Any) -> Held:
    """How long each run holds within its window.

    `window`, `started_at` and `state` are columns of runs, sorted by window and time; a window's first run may have
    started before it. `since` and `until` are the windows' ends.
    """
    following = np.full(len(started_at), FOREVER, dtype=np.int64)
    same = window[1:] == window[:-1]
    following[:-1][same] = started_at[1:][same]
    begin = np.maximum(started_at, since[window])
    end = np.minimum(np.minimum(following, started_at + LONGEST_HOLD), until[window])
    kept = (end > begin) & (state < STATES)
    return Held(window[kept], begin[kept], end[kept], state[kept])


def split(held: Held, edges: Any) -> tuple[Held, Any]:
    """The same stretches cut at `edges` (sorted), and into which of the spaces between edges each piece falls.

    All of them lie between the first edge and the last.
    """
    first = np.searchsorted(edges, held.begin, "right") - 1
    last = np.searchsorted(edges, held.end, "left") - 1
    pieces = last - first + 1
    which = np.repeat(np.arange(len(pieces)), pieces)
    space = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + first[which]
    begin = np.maximum(held.begin[which], edges[space])
    end = np.minimum(held.end[which], edges[space + 1])
    return Held(held.window[which], begin, end, held.state[which]), space
