"""Identity: whose login each home has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.identity import Identity
from invariants.inventory import Inventory
from invariants.model import Account


@pytest.fixture(scope="module")
def identity(inventory: Inventory, clients: Clients) -> Identity:
    """Return the judge of logins, one for the whole run."""
    return Identity(inventory.accounts, clients)


def test_login_is_its_own(
    account: Account,
    identity: Identity,
    reachable: Callable[[Account], bool],
    expose: Callable[[Finding | None], None],
) -> None:
    """No two homes are logged in as the same account, or a failover meets the same limit again.

    Why: a limit belongs to a login, in one organization. A home without a login is right here.
    Source: `oauthAccount` in the home's `.claude.json`; clausona's report #16. The file is read
    once, and of the login only ids are compared: neither name nor address is in a report.
    To do: log out in one of the two and in as somebody else.
    """
    if reachable(account):
        expose(identity.judge(account))
