"""The VM as one run of pytest judges it: what all its tests share."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from invariants.client import MANAGED
from invariants.finding import Finding
from invariants.inventory import Account, Inventory
from invariants.judges import Judges

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


class Vm(Judges):
    """The inventory, its judges, and who has told what: one for a run, given to each test.

    A judge is made, and looks at the VM, when it is first asked. One object rather than a fixture
    for each: pytest goes through all that a test's fixtures stand on again for every test.
    """

    def __init__(self, inventory: Inventory, items: Iterable[pytest.Item]) -> None:
        """Take the inventory under test, and the tests of this run: ``-k`` may leave some out."""
        super().__init__(inventory)
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

    def reachable(self, account: Account) -> bool:
        """Return whether anything in an account's home can be judged.

        If not, the home's own check says why; that is raised here if this run has no such check.
        """
        if super().reachable(account):
            return True
        fault = self.homes.fault(account)
        if fault is not None and account.name not in self.judged_homes:
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
