"""The VM as one run of pytest judges it: what all its tests share."""

import os
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from invariants.client import MANAGED, Clients
from invariants.finding import Finding
from invariants.homes import Homes
from invariants.identity import Identity
from invariants.inventory import Account, Inventory, inventory_option
from invariants.isolation import Isolation
from invariants.parity import Parity
from invariants.places import Places
from invariants.retention import Retention
from invariants.targets import Targets

if TYPE_CHECKING:
    from invariants.warning import Warned  # loaded only by a check that has something to warn of


class Broken(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # pytest types it as Any
    """An invariant does not hold. Raised by its test; carries the finding for the report.

    An exception of pytest's own rather than an ``assert``: it holds under ``python -O``, it
    prints the finding without a traceback, and the report gets fields instead of a text.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding), pytrace=False)
        self.finding = finding


class Vm:
    """The inventory, its judges, and who has told what: one for a run, given to each test.

    A judge is made, and looks at the VM, when it is first asked. One object rather than a fixture
    for each: pytest goes through all that a test's fixtures stand on again for every test.
    """

    def __init__(self, inventory: Inventory, items: Iterable[pytest.Item]) -> None:
        """Take the inventory under test, and the tests of this run: ``-k`` may leave some out."""
        self.inventory = inventory
        self.check = ""
        """The node id of the test that runs."""
        self.warned: dict[str, list[Warned]] = {}
        """What the tests have warned of so far, by node id."""
        self._told: dict[tuple[str | None, str], str] = {}
        names: dict[str, set[str]] = {
            "test_home_is_usable": set(),
            "test_target_is_usable": set(),
            "test_session_directory_exists": set(),
        }
        for item in items:
            if isinstance(item, pytest.Function) and item.originalname in names:
                subject: Any = next(iter(item.callspec.params.values()))
                names[item.originalname].add(subject.name)
        self.judged_homes, self.judged_targets, self.judged_directories = names.values()
        """The names of those whose home, target or directory has its own check in this run."""

    @cached_property
    def option(self) -> str:
        """What a pasted ``launcher`` command needs to reach the same inventory."""
        return inventory_option(self.inventory.path, os.environ)

    @cached_property
    def places(self) -> Places:
        """The places of all homes and targets, whichever of them are checked in this run."""
        return Places(self.inventory.accounts, self.inventory.links)

    @cached_property
    def homes(self) -> Homes:
        """The judge of homes."""
        return Homes(self.option, self.places)

    @cached_property
    def targets(self) -> Targets:
        """The judge of targets."""
        return Targets(self.option, self.places)

    @cached_property
    def clients(self) -> Clients:
        """What reads Claude Code's files in the homes."""
        return Clients()

    @cached_property
    def identity(self) -> Identity:
        """The judge of logins."""
        return Identity(self.inventory.accounts, self.clients)

    @cached_property
    def isolation(self) -> Isolation:
        """The judge of the files of logins."""
        return Isolation(self.inventory.accounts)

    @cached_property
    def parity(self) -> Parity:
        """The judge of settings."""
        return Parity(self.inventory.accounts[0], self.clients)

    @cached_property
    def retention(self) -> Retention:
        """The judge of how long transcripts live."""
        days = self.inventory.demands.retention_days
        return Retention(self.inventory.accounts, self.clients, days)

    def reachable(self, account: Account) -> bool:
        """Tell whether anything in an account's home can be judged.

        Where not, the home's own check tells why; that is raised where this run has no such check.
        """
        fault = self.homes.fault(account)
        if fault is None or not fault.hides_entries:
            return True
        if account.name not in self.judged_homes:
            raise Broken(fault.finding)
        return False

    def warn(self, warned: "Warned") -> None:
        """Note a warning of the test that runs; it passes or fails as it would without.

        The warning's invariant is the test's. Its account, link and session are those of the
        test's subject; a test without one of them may name it. The launcher replaces a warning
        that is not so by one that says that it could not be read.
        """
        self.warned.setdefault(self.check, []).append(warned)

    def expose(self, finding: Finding | None) -> None:
        """Raise a finding, where there is one.

        Several checks can meet one cause, say a file that cannot be read. It is told once: by the
        check that meets it first, and by that one again should it be repeated. The machine's
        managed settings, where the fix is there, are one cause for all accounts.
        """
        if finding is None:
            return
        cause = None if MANAGED in finding.fix else finding.account, finding.found
        if self._told.setdefault(cause, self.check) == self.check:
            raise Broken(finding)
