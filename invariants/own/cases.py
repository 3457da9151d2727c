"""Which checks a file of own invariants calls for, with the accounts, links and sessions there are.

As for the families: pytest's parameters and the verdict's expected set both come from here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from invariants.checks import Case, Check
from invariants.model import Account, Inventory, Link, Session
from invariants.own.model import SUBJECTS, OwnFile


def own_cases(arguments: Collection[str], inventory: Inventory) -> Iterator[Case]:
    """Yield the parameter sets of a test with these *arguments*, in the inventory's order.

    Each combination of what it names; but beside a session, the account is the session's own. A
    test that names none has one case, with an empty id. The values come in the order of
    ``SUBJECTS``, and so do the names in an id; no name holds the colon between them.
    """
    sessions: tuple[Session | None, ...] = (None,)
    links: tuple[Link | None, ...] = (None,)
    if "session" in arguments:
        sessions = inventory.sessions
    if "link" in arguments:
        links = inventory.links
    for session in sessions:
        accounts: tuple[Account | None, ...] = (None,)
        if "account" in arguments:
            accounts = inventory.accounts
            if session is not None:
                accounts = (inventory.account(session.account),)
        for account in accounts:
            for link in links:
                yield _case(account, link, session)


def _case(account: Account | None, link: Link | None, session: Session | None) -> Case:
    subjects = [one for one in (account, link, session) if one is not None]
    whose = session.account if session is not None else None
    return Case(
        case_id(subjects),
        tuple(subjects),
        account=account.name if account is not None else whose,
        link=link.name if link is not None else None,
        session=session.name if session is not None else None,
    )


def case_id(subjects: Iterable[Account | Link | Session]) -> str:
    """Return the id of the case with these *subjects*, which are in the order of ``SUBJECTS``."""
    return ":".join(one.name for one in subjects)


def subjects_of(arguments: Collection[str]) -> tuple[str, ...]:
    """Return those of a test's arguments that are parameters, in the order of a case's values."""
    return tuple(name for name in SUBJECTS if name in arguments)


def own_checks(file: OwnFile, inventory: Inventory) -> dict[str, Check]:
    """Return every check that *file* calls for, by its node id: its path, the test, the case."""
    checks = {}
    for test in file.tests:
        for case in own_cases(test.arguments, inventory):
            name = f"test_{test.invariant}" + (f"[{case.id}]" if case.values else "")
            nodeid = f"{file.path}::{name}"
            checks[nodeid] = Check(nodeid, test.invariant, case.account, case.link, case.session)
    return checks
