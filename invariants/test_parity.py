"""Parity: what a session may do, and what happens to it, under each account."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.inventory import Inventory
from invariants.model import Account
from invariants.parity import Parity


@pytest.fixture(scope="module")
def parity(inventory: Inventory, clients: Clients) -> Parity:
    """Return the judge of settings, one for the whole run."""
    return Parity(inventory.accounts[0], clients)


def test_settings_are_equal(
    account: Account,
    parity: Parity,
    reachable: Callable[[Account], bool],
    expose: Callable[[Finding | None], None],
) -> None:
    """Hooks and permissions are those of the first account, or a moved session acts otherwise.

    Why: a session that is moved would ask where it did not, or run without the hook that guards it.
    Source: `settings.json` is the home's own (docs/claude-code.md). Only where the inventory asks
    for it: `[invariants]` `parity = true`. Which keys differ is told, not what stands there.
    To do: make the two files agree.
    """
    if reachable(account):
        expose(parity.judge(account))
