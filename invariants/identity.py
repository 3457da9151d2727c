"""Whether each home is logged in as somebody else: one login twice has one limit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from invariants.client import CREDENTIALS, Clients, ClientState, states_of
from invariants.documents import Unreadable
from invariants.finding import Finding
from invariants.fixes import noted
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory
from invariants.readiness import home_assignment, unreadable

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "login_is_its_own"


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell the logins apart."""
    for account in inventory.accounts:
        words = "the ids of the login, and which homes have its tokens"
        part = Part(account.name, partial(_login, account), words)
        for path in (*states_of(account), os.path.join(account.home, CREDENTIALS)):
            yield Input(path, part, content=True)


def _login(account: Account, judges: Judges) -> object:
    state = judges.clients.state(account)
    return state.login, state.organization, judges.identity.with_its_tokens(account)


class Identity:
    """Compares each account's login with those before it, so that the later one tells."""

    def __init__(self, accounts: Iterable[Account], clients: Clients) -> None:
        """Take all accounts of the inventory, and what reads their homes."""
        self._accounts = list(accounts)
        self._waiting = iter(self._accounts)
        self._clients = clients
        self._findings: dict[str, Finding | None] = {}
        self._known: dict[str, list[tuple[str | None, Account]]] = {}
        self._holders: dict[str, Account] = {}
        self._having: dict[str, list[str]] | None = None

    def judge(self, account: Account) -> Finding | None:
        """Return whose login *account* has as well, or None where it has its own, or none yet."""
        while account.name not in self._findings:
            one = next(self._waiting)
            self._findings[one.name] = self._compare(one)
        return self._findings[account.name]

    def with_its_tokens(self, account: Account) -> list[str]:
        """Return the names of the accounts that have one of this one's tokens, its own among them.

        Raises Unreadable. Another home that cannot be read has none.
        """
        if self._having is None:
            self._having = {}
            for one in self._accounts:
                for mark in self._marks(one):
                    self._having.setdefault(mark, []).append(one.name)
        marks = self._clients.login(account).marks
        return sorted({name for mark in marks for name in self._having.get(mark, ())})

    def _marks(self, account: Account) -> frozenset[str]:
        try:
            return self._clients.login(account).marks
        except Unreadable:
            return frozenset()

    def _compare(self, account: Account) -> Finding | None:
        try:
            state = self._clients.state(account)
        except Unreadable as error:
            return unreadable(INVARIANT, account, error)
        same: list[Account] = []
        if state.login is not None:
            earlier = self._known.setdefault(state.login, [])
            same = [other for organization, other in earlier if _is_same(organization, state)]
            earlier.append((state.organization, account))
        if same:
            found = ("same-login", f"the same login as {same[0].name}")
        elif (other := self._holder_of_its_tokens(account)) is not None:
            found = ("same-tokens", f"the very same tokens as {other.name}")
        else:
            return None
        return Finding(
            invariant=INVARIANT,
            account=account.name,
            state=found[0],
            expected=f"a login in {account.home} that no other home has",
            found=found[1],
            fix=noted(
                f"{home_assignment(account)} claude", "/logout, /login as somebody else, /exit"
            ),
        )

    def _holder_of_its_tokens(self, account: Account) -> Account | None:
        """Return an earlier account with a copy of this one's tokens.

        A file that two homes share is another fault, which is told by the login's isolation. So is
        one that cannot be read, by whoever needs a login there.
        """
        marks = self._marks(account)
        held = [self._holders[mark] for mark in sorted(marks) if mark in self._holders]
        self._holders |= {mark: account for mark in marks if mark not in self._holders}
        copied = (one for one in held if not _is_one_file(one, account))
        return next(copied, None)


def _is_one_file(one: Account, other: Account) -> bool:
    paths = (os.path.join(account.home, CREDENTIALS) for account in (one, other))
    try:
        return os.path.samefile(*paths)
    except OSError:
        return False


def _is_same(organization: str | None, state: ClientState) -> bool:
    """Tell whether a login is the same: of one person each organization has its own limit."""
    return None in (organization, state.organization) or organization == state.organization
