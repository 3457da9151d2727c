"""Which checks an inventory calls for: the families, their parameters and their test ids.

pytest's parameters and the verdict's expected set both come from here, and from nothing that
pytest happened to collect.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from invariants.model import Inventory
from invariants.programs import chosen_backend


@dataclass(frozen=True, slots=True)
class Family:
    """One invariant: the module its test stands in, and what the test is given."""

    module: str
    subject: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the test's parameters."""
        return ("account", "link") if self.subject == "entry" else (self.subject,)


FAMILIES: Mapping[str, Family] = {
    "home_is_usable": Family("test_homes.py", "account"),
    "link_is_shared": Family("test_links.py", "entry"),
    "target_is_usable": Family("test_targets.py", "link"),
    "session_directory_exists": Family("test_sessions.py", "session"),
    "session_command_is_found": Family("test_sessions.py", "session"),
    "session_backend_is_there": Family("test_sessions.py", "backend"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One parameter set of a family: its id, the test's arguments, and the names they have."""

    id: str
    values: tuple[object, ...]
    account: str | None = None
    link: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One test that must run and pass for the verdict to be green."""

    nodeid: str
    invariant: str
    account: str | None
    link: str | None
    session: str | None


def cases(inventory: Inventory, subject: str, environ: Mapping[str, str]) -> Iterator[Case]:
    """Yield the parameter sets for one kind of subject, in the inventory's order.

    >>> from invariants.model import Account, Inventory, Link, Settings
    >>> settings = Settings("auto", "/state", "/state/report.json", 30.0, 1.0)
    >>> links, accounts = (Link("projects", "/srv/projects"),), (Account("backup", "/home"),)
    >>> vm = Inventory("/failover.toml", links, accounts, (), settings)
    >>> [case.id for case in cases(vm, "entry", {})]
    ['backup-projects']
    """
    if subject == "account":
        for account in inventory.accounts:
            yield Case(account.name, (account,), account=account.name)
    elif subject == "link":
        for link in inventory.links:
            yield Case(link.name, (link,), link=link.name)
    elif subject == "session":
        for session in inventory.sessions:
            yield Case(session.name, (session,), account=session.account, session=session.name)
    elif subject == "backend":
        if inventory.sessions:
            backend = chosen_backend(inventory.settings.backend, environ)
            yield Case(backend, (backend,))
    else:
        yield from _entries(inventory)


def _entries(inventory: Inventory) -> Iterator[Case]:
    """Yield account × link, each with an id of its own.

    Where two would share one (``a-b`` × ``c`` and ``a`` × ``b-c``) both get a colon instead of
    the hyphen: no name holds a colon, so such an id is unique.
    """
    pairs = [(account, link) for account in inventory.accounts for link in inventory.links]
    plain = Counter(f"{account.name}-{link.name}" for account, link in pairs)
    for account, link in pairs:
        name = f"{account.name}-{link.name}"
        if plain[name] > 1:
            name = f"{account.name}:{link.name}"
        yield Case(name, (account, link), account=account.name, link=link.name)


def expected_checks(inventory: Inventory, environ: Mapping[str, str]) -> dict[str, Check]:
    """Return every check that *inventory* calls for, by its pytest node id."""
    checks = {}
    for invariant, family in FAMILIES.items():
        for case in cases(inventory, family.subject, environ):
            nodeid = f"invariants/{family.module}::test_{invariant}[{case.id}]"
            checks[nodeid] = Check(nodeid, invariant, case.account, case.link, case.session)
    return checks


def directory() -> str:
    """Return the directory that the invariants' tests stand in."""
    return os.path.dirname(os.path.abspath(__file__))
