"""Accounts × links as a report has them."""

from collections.abc import Mapping
from typing import NamedTuple

from invariants.checks import FAMILIES, Check, checks_of
from invariants.inventory import Inventory
from launcher.reading.model import Reading

UNKNOWN = "not known"


class Matrix(NamedTuple):
    """What is wrong with each home, target and entry: None where nothing is, or ``UNKNOWN``."""

    homes: Mapping[str, str | None]
    targets: Mapping[str, str | None]
    entries: Mapping[str, Mapping[str, str | None]]

    def reached(self, account: str, link: str) -> bool | None:
        """Tell whether an account reaches a link's target; None where that is not known.

        One cause is one failure, so an entry counts as right below a home that is missing: here
        home, entry and target all have to be right.
        """
        states = (self.homes[account], self.entries[account][link], self.targets[link])
        if any(state not in (None, UNKNOWN) for state in states):
            return False
        return None if UNKNOWN in states else True


def called_for(inventory: Inventory | None) -> list[Check]:
    """Return the checks that *inventory* calls for, as far as its text alone tells.

    Which backend's program is needed takes a look at ``PATH``, which could hang.
    """
    if inventory is None:
        return []
    return [
        check
        for invariant, family in FAMILIES.items()
        if family.subject != "backend"
        for check in checks_of(inventory, invariant, {})
    ]


def matrix_of(reading: Reading) -> Matrix:
    """Return accounts × links as *reading* has them: all unknown where it does not count."""
    states: dict[str, str | None] = {}
    if reading.problem is None:
        states = {nodeid: None for nodeid, one in reading.outcomes.items() if one.passed}
        states |= {failure.nodeid: failure.finding.state for failure in reading.failures}
    homes: dict[str, str | None] = {}
    targets: dict[str, str | None] = {}
    entries: dict[str, dict[str, str | None]] = {}
    for check in called_for(reading.inventory):
        state = states.get(check.nodeid, UNKNOWN)
        match check:
            case Check(invariant="link_is_shared", account=str(account), link=str(link)):
                entries.setdefault(account, {})[link] = state
            case Check(invariant="home_is_usable", account=str(account)):
                homes[account] = state
            case Check(invariant="target_is_usable", link=str(link)):
                targets[link] = state
    return Matrix(homes, targets, entries)
