"""The pytest plugin of the invariants: the option, the parameters, and how a failure is told.

``conftest.py`` loads it for ``pytest invariants``; the gate loads it by name.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from invariants.checks import FAMILIES, cases_of, directory
from invariants.client import Clients
from invariants.finding import Finding
from invariants.homes import Homes
from invariants.inventory import (
    Account,
    Inventory,
    InventoryError,
    inventory_option,
    load,
    locate,
)
from invariants.places import Places
from invariants.targets import Targets

INVENTORY = pytest.StashKey[Inventory]()
"""The inventory under test. Whoever puts one here before the collection spares the file a read."""

_ERROR = pytest.StashKey[InventoryError]()


class Broken(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # pytest types it as Any
    """An invariant does not hold. Raised by its test; carries the finding for the report.

    An exception of pytest's own rather than an ``assert``: it holds under ``python -O``, it
    prints the finding without a traceback, and the report gets fields instead of a text.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding), pytrace=False)
        self.finding = finding


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--inventory PATH``."""
    parser.getgroup("claude-failover").addoption(
        "--inventory",
        metavar="PATH",
        help="the inventory to check (default: as for the launcher)",
    )


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str) -> list[pytest.Item] | None:
    """Collect no test for a family without subjects, say sessions where none is named."""
    if not _is_invariant(collector.path.parent, name):
        return None
    return None if _parameters(collector.config, name) else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each invariant's test its accounts, links and sessions."""
    name = metafunc.definition.originalname
    if not _is_invariant(metafunc.definition.path.parent, name):
        return
    arguments = FAMILIES[name.removeprefix("test_")].arguments
    if arguments:
        metafunc.parametrize(arguments, _parameters(metafunc.config, name))


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """End with a usage error, and all problems, where the inventory was wrong or missing."""
    error = config.stash.get(_ERROR, None)
    if error is not None:
        raise pytest.UsageError("the inventory is wrong or missing", *str(error).splitlines())


@pytest.hookimpl(optionalhook=True)
def pytest_json_runtest_metadata(call: pytest.CallInfo[None]) -> Mapping[str, Any]:
    """Put the finding of a broken invariant into pytest-json-report's document."""
    if call.excinfo is None or not isinstance(call.excinfo.value, Broken):
        return {}
    return {"finding": call.excinfo.value.finding.as_json()}


# Nothing here asks for `request` that can do without: pytest makes a new one, with a look at its
# signature, for each fixture and each test that comes by it, cached or not.


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> Inventory:
    """Return the inventory under test."""
    return _inventory(pytestconfig)


@pytest.fixture(scope="session")
def option(inventory: Inventory) -> str:
    """Return what a pasted ``launcher`` command needs to reach the same inventory."""
    return inventory_option(inventory.path, os.environ)


@pytest.fixture(scope="session")
def places(inventory: Inventory) -> Places:
    """Return the places of all homes and targets, whichever of them are checked in this run."""
    return Places(inventory.accounts, inventory.links)


@pytest.fixture(scope="session")
def homes(option: str, places: Places) -> Homes:
    """Return the judge of homes, one for the whole run."""
    return Homes(option, places)


@pytest.fixture(scope="session")
def targets(option: str, places: Places) -> Targets:
    """Return the judge of targets, one for the whole run."""
    return Targets(option, places)


class Judged(NamedTuple):
    """Which homes, targets and sessions' directories have their own check in this run.

    ``-k`` may leave some out.
    """

    homes: frozenset[str]
    targets: frozenset[str]
    directories: frozenset[str]


@pytest.fixture(scope="session")
def judged(request: pytest.FixtureRequest) -> Judged:
    """Return the names of those whose home, target or directory is checked in this run."""
    names: dict[str, set[str]] = {
        "test_home_is_usable": set(),
        "test_target_is_usable": set(),
        "test_session_directory_exists": set(),
    }
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname in names:
            subject: Any = next(iter(item.callspec.params.values()))
            names[item.originalname].add(subject.name)
    return Judged(*(frozenset(found) for found in names.values()))


@pytest.fixture(scope="session")
def clients() -> Clients:
    """Return what reads Claude Code's files in the homes, one for the whole run."""
    return Clients()


@pytest.fixture(scope="session")
def reachable(homes: Homes, judged: Judged) -> Callable[[Account], bool]:
    """Return what tells whether anything in an account's home can be judged.

    Where not, the home's own check tells why; it raises that where this run has no such check.
    """

    def tell(account: Account) -> bool:
        fault = homes.fault(account)
        if fault is None or not fault.hides_entries:
            return True
        if account.name not in judged.homes:
            raise Broken(fault.finding)
        return False

    return tell


@pytest.fixture(scope="session")
def told() -> dict[tuple[str | None, str], str]:
    """Return which check tells of what was found at an account, by its node id."""
    return {}


@pytest.fixture
def expose(
    told: dict[tuple[str | None, str], str], request: pytest.FixtureRequest
) -> Callable[[Finding | None], None]:
    """Return what raises a finding, where there is one.

    Several checks can meet one cause, say a file that cannot be read. It is told once: by the
    check that meets it first, and by that one again should it be repeated.
    """

    def tell(finding: Finding | None) -> None:
        if finding is None:
            return
        cause, check = (finding.account, finding.found), request.node.nodeid
        if told.setdefault(cause, check) == check:
            raise Broken(finding)

    return tell


def _is_invariant(folder: os.PathLike[str], name: str) -> bool:
    known = name.startswith("test_") and name.removeprefix("test_") in FAMILIES
    return known and os.fspath(folder) == directory()


def _parameters(config: pytest.Config, name: str) -> list[Any]:
    try:
        inventory = _inventory(config)
    except InventoryError as error:
        config.stash[_ERROR] = error
        return []
    invariant = name.removeprefix("test_")
    return [
        pytest.param(*case.values, id=case.id)
        for case in cases_of(inventory, invariant, os.environ)
    ]


def _inventory(config: pytest.Config) -> Inventory:
    if INVENTORY not in config.stash:
        config.stash[INVENTORY] = load(locate(config.getoption("inventory"), os.environ))
    return config.stash[INVENTORY]
