"""Isolation: the files of a login, account × file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invariants.finding import Finding
from invariants.inventory import Inventory
from invariants.isolation import Isolation
from invariants.model import Account


@pytest.fixture(scope="module")
def isolation(inventory: Inventory) -> Isolation:
    """Return the judge of the files of logins, one for the whole run."""
    return Isolation(inventory.accounts)


def test_login_is_isolated(
    account: Account,
    name: str,
    isolation: Isolation,
    reachable: Callable[[Account], bool],
    expose: Callable[[Finding | None], None],
) -> None:
    """Every login's files are one home's alone: shared, one home logs the others out.

    Why: `.credentials.json` is renewed by replacing it, so that a link becomes a file, or a stale
    token logs everyone out; `.claude.json` holds who is logged in and what is trusted.
    Source: upstream reports #56339, #76561; both files are 0600 where Claude Code makes them.
    To do: what the failure's fix says; then log that account in again. None of the two is opened.
    """
    if reachable(account):
        expose(isolation.judge(account, name))
