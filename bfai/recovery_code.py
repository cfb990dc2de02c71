"""The recovery code on paper: letters that open a vault whose password is forgotten, and how they are read back.

Eight groups of five letters out of nineteen, none of which looks like another letter or a digit. Four of each group are
random, 135 bits in all. The fifth says whether they are right: because 19 is a prime, one wrong letter, two letters of
a group that changed places, and two whole groups that did are always told, with the group to look at.
"""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

from bfai.i18n import N_
from bfai.model import BfaiError, Message

LETTERS: Final = "ABCDEFHJKMNPRSTWXYZ"
GROUPS: Final = 8
_RANDOM: Final = 4  # letters of a group; one more checks them


class BadCode(BfaiError):
    """These letters are no recovery code: something was mistyped. Says where to look."""


def new_code() -> str:
    """A fresh code, as it is printed: groups of letters with hyphens between them."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(_RANDOM)) for _ in range(GROUPS))
    return "-".join(group + _check(number, group) for number, group in enumerate(groups))


def read_code(typed: str) -> str:
    """The code as `new_code` wrote it, from what a person typed: case, blanks and hyphens do not matter.

    Raises `BadCode`.
    """
    letters = "".join(one for one in unicodedata.normalize("NFKC", typed).upper() if one.isalnum())
    size = _RANDOM + 1
    groups = [letters[start : start + size] for start in range(0, len(letters), size)]
    for number, group in enumerate(groups[:GROUPS]):
        if len(group) < size:  # the last one
            break
        if not set(group) <= set(LETTERS) or _check(number, group[:_RANDOM]) != group[_RANDOM]:
            text = N_("A letter of group {group} is not right. Compare that group with the paper.")
            raise BadCode(Message(text=text, params={"group": number + 1}))
    if len(letters) != GROUPS * size:
        text = N_("A recovery code has {needed} letters, in {groups} groups; these are {found}. Type all of them.")
        params: dict[str, str | int | float] = {"needed": GROUPS * size, "groups": GROUPS, "found": len(letters)}
        raise BadCode(Message(text=text, params=params))
    return "-".join(groups)


def _check(number: int, group: str) -> str:
    """The letter behind the random ones of this group."""
    weighted = sum(weight * LETTERS.index(letter) for weight, letter in enumerate(group, 1))
    return LETTERS[(weighted + 5 * number) % len(LETTERS)]
