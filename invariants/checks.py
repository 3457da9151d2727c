"""Which checks an inventory calls for: the families, their parameters and their test ids.

pytest's parameters and the verdict's expected set both come from here, and from nothing that
pytest happened to collect.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from invariants.isolation import OWN_FILES
from invariants.model import Inventory, Session
from invariants.programs import asks_questions, chosen_backend, keeps_turns, runs_claude


class Family(NamedTuple):
    """One invariant: the module its test stands in, what the test is given, and what it reads.

    ``reads`` is ``module:function``, in this package: the declaration of the family's inputs (see
    :mod:`invariants.inputs`). It is imported by name, since a gate does not ask for it.
    """

    module: str
    subject: str
    reads: str

    @property
    def name(self) -> str:
        """The family's name, by which the inventory switches it off.

        >>> Family("test_single_writer.py", "machine", "single_writer:inputs").name
        'single-writer'
        """
        return self.module.removeprefix("test_").removesuffix(".py").replace("_", "-")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the test's parameters."""
        return _ARGUMENTS.get(self.subject, (self.subject,))


_ARGUMENTS = {
    "entry": ("account", "link"),
    "own-file": ("account", "name"),
    "start": ("account", "session"),
    "login": ("account", "session"),
    "compared": ("account",),
    "claude": ("session",),
    "conversation": ("session",),
    "machine": (),
}

FAMILIES: Mapping[str, Family] = {
    "home_is_usable": Family("test_homes.py", "account", "homes:inputs"),
    "login_is_its_own": Family("test_identity.py", "account", "identity:inputs"),
    "login_is_isolated": Family("test_isolation.py", "own-file", "isolation:inputs"),
    "link_is_shared": Family("test_links.py", "entry", "entries:inputs"),
    "session_is_logged_in": Family("test_logins.py", "login", "logins:inputs"),
    "settings_are_equal": Family("test_parity.py", "compared", "parity:inputs"),
    "session_can_start_unattended": Family("test_readiness.py", "start", "readiness:inputs"),
    "home_keeps_transcripts": Family("test_retention.py", "account", "retention:inputs"),
    "project_keeps_transcripts": Family("test_retention.py", "claude", "retention:of_projects"),
    "target_is_usable": Family("test_targets.py", "link", "targets:inputs"),
    "session_directory_exists": Family("test_sessions.py", "session", "sessions:inputs"),
    "session_command_is_found": Family("test_sessions.py", "session", "executable:inputs"),
    "session_folder_is_writable": Family("test_sessions.py", "conversation", "folders:inputs"),
    "session_backend_is_there": Family("test_sessions.py", "backend", "programs:of_backend"),
    "conversation_has_one_writer": Family(
        "test_single_writer.py", "machine", "single_writer:inputs"
    ),
    "no_home_is_left_out": Family("test_strays.py", "machine", "strays:inputs"),
}

KEPT_ON = {
    "homes": "nothing in a home can be judged without it",
    "links": "it is what a failover stands on",
    "targets": "it is what a failover stands on",
    "sessions": "a session that cannot start is found out when nobody watches",
}
"""The families that no inventory can switch off, and why."""


def switchable() -> list[str]:
    """Return the names of the families that an inventory can switch off."""
    return sorted({family.name for family in FAMILIES.values()} - set(KEPT_ON))


class Case(NamedTuple):
    """One parameter set of a family: its id, the test's arguments, and the names they have."""

    id: str
    values: tuple[object, ...]
    account: str | None = None
    link: str | None = None
    session: str | None = None


class Check(NamedTuple):
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
    if subject == "backend":
        if inventory.sessions:
            backend = chosen_backend(inventory.settings.backend, environ)
            yield Case(backend, (backend,))
    else:
        yield from _CASES[subject](inventory)


def _accounts(inventory: Inventory) -> Iterator[Case]:
    for account in inventory.accounts:
        yield Case(account.name, (account,), account=account.name)


def _compared(inventory: Inventory) -> Iterator[Case]:
    """Yield the accounts, where the inventory asks that their settings agree."""
    if inventory.demands.parity:
        yield from _accounts(inventory)


def _own_files(inventory: Inventory) -> Iterator[Case]:
    for account in inventory.accounts:
        for name in OWN_FILES:  # a dot is in no account's name, so that the id is unique
            yield Case(f"{account.name}-{name}", (account, name), account=account.name)


def _links(inventory: Inventory) -> Iterator[Case]:
    for link in inventory.links:
        yield Case(link.name, (link,), link=link.name)


def _sessions(inventory: Inventory) -> Iterator[Case]:
    for session in inventory.sessions:
        yield Case(session.name, (session,), account=session.account, session=session.name)


def _claudes(inventory: Inventory) -> Iterator[Case]:
    for session in inventory.sessions:
        if runs_claude(session):
            yield Case(session.name, (session,), account=session.account, session=session.name)


def _conversations(inventory: Inventory) -> Iterator[Case]:
    """Yield the sessions of Claude Code, also those that start it by a wrapper."""
    for session in inventory.sessions:
        if keeps_turns(session):
            yield Case(session.name, (session,), account=session.account, session=session.name)


def _machine(inventory: Inventory) -> Iterator[Case]:
    """Yield the one case without a parameter, and so without an id."""
    yield Case("", ())


def _entries(inventory: Inventory) -> Iterator[Case]:
    """Yield account × link, each with an id of its own."""
    pairs = [(account, link) for account in inventory.accounts for link in inventory.links]
    names = _joined([(account.name, link.name) for account, link in pairs])
    for name, (account, link) in zip(names, pairs, strict=True):
        yield Case(name, (account, link), account=account.name, link=link.name)


def _starts(inventory: Inventory) -> Iterator[Case]:
    """Yield account × session, for each account that the session may be started under."""
    return _moves(inventory, filter(asks_questions, inventory.sessions))


def _logins(inventory: Inventory) -> Iterator[Case]:
    """Yield the same for every Claude Code: a switch must not change which checks there are."""
    return _moves(inventory, filter(runs_claude, inventory.sessions))


def _moves(inventory: Inventory, sessions: Iterable[Session]) -> Iterator[Case]:
    """Yield account × session, each with an id of its own."""
    pairs = [
        (account, session) for session in sessions for account in inventory.accounts_for(session)
    ]
    names = _joined([(account.name, session.name) for account, session in pairs])
    for name, (account, session) in zip(names, pairs, strict=True):
        yield Case(name, (account, session), account=account.name, session=session.name)


def _joined(pairs: list[tuple[str, str]]) -> list[str]:
    """Return an id for each pair of names.

    Where two would share one (``a-b`` × ``c`` and ``a`` × ``b-c``) both get a colon instead of
    the hyphen: no name holds a colon, so such an id is unique.
    """
    plain = Counter(f"{one}-{other}" for one, other in pairs)
    return [
        f"{one}:{other}" if plain[f"{one}-{other}"] > 1 else f"{one}-{other}"
        for one, other in pairs
    ]


_CASES: Mapping[str, Callable[[Inventory], Iterator[Case]]] = {
    "account": _accounts,
    "compared": _compared,
    "own-file": _own_files,
    "link": _links,
    "entry": _entries,
    "session": _sessions,
    "claude": _claudes,
    "conversation": _conversations,
    "start": _starts,
    "login": _logins,
    "machine": _machine,
}


def cases_of(inventory: Inventory, invariant: str, environ: Mapping[str, str]) -> list[Case]:
    """Return the parameter sets of *invariant*: none, where its family is switched off."""
    family = FAMILIES[invariant]
    if family.name in inventory.demands.off:
        return []
    return list(cases(inventory, family.subject, environ))


def expected_checks(inventory: Inventory, environ: Mapping[str, str]) -> dict[str, Check]:
    """Return every check that *inventory* calls for, by its pytest node id."""
    checks = (one for name in FAMILIES for one in checks_of(inventory, name, environ))
    return {check.nodeid: check for check in checks}


def checks_of(inventory: Inventory, invariant: str, environ: Mapping[str, str]) -> list[Check]:
    """Return the checks of one *invariant* that *inventory* calls for."""
    test = f"invariants/{FAMILIES[invariant].module}::test_{invariant}"
    return [
        Check(
            f"{test}[{case.id}]" if case.values else test,
            invariant,
            case.account,
            case.link,
            case.session,
        )
        for case in cases_of(inventory, invariant, environ)
    ]


def directory() -> str:
    """Return the directory that the invariants' tests stand in."""
    return os.path.dirname(os.path.abspath(__file__))
