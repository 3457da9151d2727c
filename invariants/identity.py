"""Whether each home is logged in as somebody else: one login twice has one limit."""

from __future__ import annotations

from collections.abc import Iterable

from invariants.client import Clients, ClientState
from invariants.documents import Unreadable
from invariants.finding import Finding
from invariants.fixes import noted
from invariants.model import Account
from invariants.readiness import home_assignment, unreadable

INVARIANT = "login_is_its_own"


class Identity:
    """Compares each account's login with those before it, so that the later one tells."""

    def __init__(self, accounts: Iterable[Account], clients: Clients) -> None:
        """Take all accounts of the inventory, and what reads their homes."""
        self._waiting = iter(list(accounts))
        self._clients = clients
        self._findings: dict[str, Finding | None] = {}
        self._known: dict[str, list[tuple[str | None, Account]]] = {}

    def judge(self, account: Account) -> Finding | None:
        """Return whose login *account* has as well, or None where it has its own, or none yet."""
        while account.name not in self._findings:
            one = next(self._waiting)
            self._findings[one.name] = self._compare(one)
        return self._findings[account.name]

    def _compare(self, account: Account) -> Finding | None:
        try:
            state = self._clients.state(account)
        except Unreadable as error:
            return unreadable(INVARIANT, account, error)
        if state.login is None:
            return None
        earlier = self._known.setdefault(state.login, [])
        same = [other for organization, other in earlier if _is_same(organization, state)]
        earlier.append((state.organization, account))
        if not same:
            return None
        return Finding(
            invariant=INVARIANT,
            account=account.name,
            state="same-login",
            expected=f"a login in {account.home} that no other home has",
            found=f"the same login as {same[0].name}",
            fix=noted(
                f"{home_assignment(account)} claude", "/logout, /login as somebody else, /exit"
            ),
        )


def _is_same(organization: str | None, state: ClientState) -> bool:
    """Tell whether a login is the same: of one person each organization has its own limit."""
    return None in (organization, state.organization) or organization == state.organization
