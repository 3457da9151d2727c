"""The pytest plugin of the invariants: the option, the parameters, and how a failure is told.

``conftest.py`` loads it for ``pytest invariants``; the gate loads it by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from invariants.checks import FAMILIES, cases, directory
from invariants.finding import Finding
from invariants.homes import Homes
from invariants.inventory import Inventory, InventoryError, inventory_option, load, locate
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


@pytest.fixture(scope="session")
def homes(request: pytest.FixtureRequest) -> Homes:
    """Return the judge of homes, one for the whole run."""
    return Homes(_option(request.config))


@pytest.fixture(scope="session")
def targets(request: pytest.FixtureRequest) -> Targets:
    """Return the judge of targets, one for the whole run."""
    return Targets(_option(request.config))


@dataclass(frozen=True, slots=True)
class Judged:
    """Which homes and targets have their own check in this run: ``-k`` may leave some out."""

    homes: frozenset[str]
    targets: frozenset[str]


@pytest.fixture(scope="session")
def judged(request: pytest.FixtureRequest) -> Judged:
    """Return the names of the accounts and links whose home or target is checked in this run."""
    names: dict[str, set[str]] = {"test_home_is_usable": set(), "test_target_is_usable": set()}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname in names:
            subject: Any = next(iter(item.callspec.params.values()))
            names[item.originalname].add(subject.name)
    return Judged(*(frozenset(found) for found in names.values()))


@pytest.fixture(scope="session")
def option(request: pytest.FixtureRequest) -> str:
    """Return what a pasted ``launcher`` command needs to reach the same inventory."""
    return _option(request.config)


def _option(config: pytest.Config) -> str:
    return inventory_option(config.stash[INVENTORY].path, os.environ)


def _is_invariant(folder: os.PathLike[str], name: str) -> bool:
    known = name.startswith("test_") and name.removeprefix("test_") in FAMILIES
    return known and os.fspath(folder) == directory()


def _parameters(config: pytest.Config, name: str) -> list[Any]:
    try:
        inventory = _inventory(config)
    except InventoryError as error:
        config.stash[_ERROR] = error
        return []
    subject = FAMILIES[name.removeprefix("test_")].subject
    return [
        pytest.param(*case.values, id=case.id) for case in cases(inventory, subject, os.environ)
    ]


def _inventory(config: pytest.Config) -> Inventory:
    if INVENTORY not in config.stash:
        config.stash[INVENTORY] = load(locate(config.getoption("inventory"), os.environ))
    return config.stash[INVENTORY]
