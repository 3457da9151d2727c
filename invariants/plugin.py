"""The pytest plugin of the invariants: the option, the parameters, and how a failure is told.

``conftest.py`` loads it for ``pytest invariants``; the gate loads it by name.
"""

import os
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from invariants.checks import FAMILIES, cases_of, directory
from invariants.inventory import Inventory, InventoryError, load, locate
from invariants.vm import Broken, Vm

if TYPE_CHECKING:
    from invariants.warning import Warned

INVENTORY = pytest.StashKey[Inventory]()
"""The inventory under test. Whoever puts one here before the collection spares the file a read."""

VM = pytest.StashKey[Vm]()
"""The VM as this run judges it, once a test has asked for it."""

_ITEMS = pytest.StashKey[Iterable[pytest.Item]]()
_ERROR = pytest.StashKey[InventoryError]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--inventory PATH``."""
    parser.getgroup("claude-failover").addoption(
        "--inventory",
        metavar="PATH",
        help="the inventory to check (default: as for the launcher)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests a fixture ``vm``: the VM as this run judges it.

    It stands on no other fixture, not even on ``request``: pytest goes through all of them, and
    makes a new request for each that asks for one, for every test that comes by it, cached or not.
    """

    def vm() -> Vm:
        """Return the VM as this run judges it."""
        config.stash[VM] = Vm(_inventory(config), config.stash[_ITEMS])
        return config.stash[VM]

    fixtures = ModuleType("claude-failover-vm")
    vars(fixtures)["vm"] = pytest.fixture(scope="session")(vm)
    config.pluginmanager.register(fixtures)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep which tests are run."""
    session.config.stash[_ITEMS] = session.items


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
def pytest_json_runtest_metadata(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Mapping[str, Any]:
    """Put a test's finding and its warnings into pytest-json-report's document."""
    metadata: dict[str, Any] = {}
    if call.excinfo is not None and isinstance(call.excinfo.value, Broken):
        metadata["finding"] = call.excinfo.value.finding.as_json()
    if call.when == "call" and (warned := _warned(item.config).get(item.nodeid)):
        metadata["warnings"] = [one.as_json() for one in warned]
    return metadata


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the warnings below the failures, for ``pytest invariants`` by hand."""
    if every := [one for some in _warned(config).values() for one in some]:
        terminalreporter.section("warnings of invariants", yellow=True)
        for one in every:
            terminalreporter.line(str(one))


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> Inventory:
    """Return the inventory under test."""
    return _inventory(pytestconfig)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Note which check is about to run."""
    if (shared := item.config.stash.get(VM, None)) is not None:
        shared.check = item.nodeid


def _warned(config: pytest.Config) -> Mapping[str, list["Warned"]]:
    shared = config.stash.get(VM, None)
    return {} if shared is None else shared.warned


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
