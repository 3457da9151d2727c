"""Whether a session finds the same hooks and permissions under each account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from invariants.client import Clients, settings_of
from invariants.documents import Unreadable
from invariants.finding import Finding
from invariants.fixes import look
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory
from invariants.readiness import unreadable

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "settings_are_equal"
_LISTED = 5


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to compare the settings, if the inventory asks for that."""
    if inventory.demands.parity:
        for account in inventory.accounts:
            part = Part(account.name, partial(_compared, account), "hooks and permissions")
            yield Input(settings_of(account), part, content=True)


def _compared(account: Account, judges: Judges) -> object:
    return _flat(account, judges.clients)


class Parity:
    """Compares `hooks` and `permissions` of each home's settings with the first account's."""

    def __init__(self, first: Account, clients: Clients) -> None:
        """Take the account that the others are compared with."""
        self._first = first
        self._clients = clients

    def judge(self, account: Account) -> Finding | None:
        """Return which keys differ from the first account's, or None.

        Only where they differ is told, not what stands there: a hook's command line can hold a
        token. A home's own path in a value is equal to the other's in its place, and the order
        of a list of permission rules does not matter.
        """
        try:
            own = _flat(account, self._clients)
        except Unreadable as error:
            return unreadable(INVARIANT, account, error)
        try:
            first = _flat(self._first, self._clients)
        except Unreadable:  # told by that account's own check
            return None
        keys = sorted(key for key in {*first, *own} if first.get(key) != own.get(key))
        if not keys:
            return None
        more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
        paths = settings_of(self._first), settings_of(account)
        return Finding(
            invariant=INVARIANT,
            account=account.name,
            state="different",
            expected=f"hooks and permissions as {self._first.name} has them",
            found=f"different: {', '.join(keys[:_LISTED])}{more}",
            fix=look("diff", *paths, note="make the two agree"),
        )


def _flat(account: Account, clients: Clients) -> dict[str, object]:
    """Return the values of an account's hooks and permissions by the path of their keys."""
    shared = clients.settings(settings_of(account)).shared
    text = json.dumps(shared).replace(json.dumps(account.home)[1:-1], "$CLAUDE_CONFIG_DIR")
    return dict(_values(json.loads(text), ""))


def _values(table: Mapping[str, Any], place: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        path = f"{place}.{key}" if place else key
        if isinstance(value, dict):
            yield from _values(value, path)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            if value:
                yield path, frozenset(value)
        else:
            yield path, value
