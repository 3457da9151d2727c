"""The pytest plugin of own invariants: their parameters, and how one that is broken is told.

The gate loads it for each file. By hand, while one is being written::

    pytest -p invariants.plugin -p invariants.own.plugin --inventory PATH test_mine.py
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from invariants.checks import directory
from invariants.finding import Finding
from invariants.inventory import Inventory, InventoryError, load, locate
from invariants.naming import BROKEN
from invariants.own.cases import own_cases, subjects_of
from invariants.own.model import OwnFile
from invariants.own.proof import NAME, Proof, with_proof
from invariants.plugin import INVENTORY

OWN = pytest.StashKey[OwnFile]()
"""The file under test, as it was read. Only the gate puts one here."""

PROOF = pytest.StashKey[Proof]()
"""What the file's tests tell by themselves of their end. The gate puts one beside the file."""

MAX_FOUND = 500


class SourceModule(pytest.Module):
    """A module made from the source that was read and judged, not from what the disk has by now.

    So no bytecode cache has a say, and none is written. ``pytest_plugins`` is not looked at. Each
    test says by itself when it has come to its end (:mod:`invariants.own.proof`).
    """

    def _getobj(self) -> ModuleType:
        import ast

        from _pytest.assertion.rewrite import rewrite_asserts  # the one way to its explanations

        file = self.config.stash[OWN]
        tree = ast.parse(file.source, file.path)
        rewrite_asserts(tree, file.source, file.path, self.config)
        module = ModuleType(f"own_{self.path.stem}")
        module.__file__ = file.path
        vars(module)[NAME] = self.config.stash[PROOF]
        sys.modules[module.__name__] = module  # dataclasses and pickle look there
        code = compile(with_proof(tree, file), file.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
        return module


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known that carry a fix."""
    config.addinivalue_line("markers", "fix(text): what mends what this test finds, in words")
    config.addinivalue_line("markers", "command(line): what does so, to be pasted into a shell")


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir:
    """Take no directory for a package: nothing in it is imported but the files themselves."""
    return pytest.Dir.from_parent(parent, path=path)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Make the gate's module from the source that it was given; by hand, leave it to pytest.

    By hand, a file that the gate would refuse is an error, with the same words.
    """
    own = parent.config.stash.get(OWN, None)
    if own is not None and os.fspath(module_path) == own.path:
        return SourceModule.from_parent(parent, path=module_path)
    if own is None and os.fspath(module_path.parent) != directory():
        from invariants.own.rules import RuleBroken, read_tests  # which the gate does not need here

        try:
            read_tests(module_path.read_bytes(), os.fspath(module_path))
        except RuleBroken as error:
            raise pytest.Collector.CollectError(f"{module_path}: {error}") from error
    return None


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str) -> list[pytest.Item] | None:
    """Collect no test of sessions where the inventory has none."""
    own = collector.config.stash.get(OWN, None)
    for test in own.tests if own is not None else ():
        if name == f"test_{test.invariant}" and not any(
            own_cases(test.arguments, collector.config.stash[INVENTORY])
        ):
            return []
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the accounts, links and sessions that it names."""
    if os.fspath(metafunc.definition.path.parent) == directory():
        return
    if subjects := subjects_of(metafunc.fixturenames):
        inventory = _inventory(metafunc.config)
        cases = own_cases(metafunc.fixturenames, inventory)
        metafunc.parametrize(subjects, [pytest.param(*case.values, id=case.id) for case in cases])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Let what an assert says in a thread of the test's be what the test says.

    Python prints such an error, and the test would pass.
    """
    errors: list[BaseException] = []
    before = threading.excepthook

    def note(given: threading.ExceptHookArgs) -> None:
        before(given)
        errors.extend(filter(None, [given.exc_value]))

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before
    if errors:
        raise errors[0]


@pytest.hookimpl(optionalhook=True)
def pytest_json_runtest_metadata(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Mapping[str, Any]:
    """Put a finding into the document where a test said that its invariant does not hold.

    It says so by an assert or by ``pytest.fail``. Any other error means that it could not tell.
    """
    own, error = item.config.stash.get(OWN, None), call.excinfo
    if own is None or error is None or call.when != "call":
        return {}
    if not isinstance(error.value, AssertionError | pytest.fail.Exception):
        return {}
    name = getattr(item, "originalname", "").removeprefix("test_")
    for test in own.tests:
        if test.invariant == name:
            finding = Finding(
                invariant=test.invariant,
                state=BROKEN,
                expected=test.holds,
                found=said(str(error.value)) or "nothing was said: give the assert a message",
                fix=test.fix,
                **_names(item),
            )
            return {"finding": finding.as_json()}
    return {}


def said(text: str) -> str:
    r"""Return what an exception says on one line, bounded, with pytest's "where" behind it.

    >>> said("assert 3 < 2\n +  where 3 = len([1, 2, 3])")
    'assert 3 < 2; where 3 = len([1, 2, 3])'
    """
    lines = [line.strip().removeprefix("+").strip() for line in text.splitlines()]
    line = "; ".join(line for line in lines if line)
    return line if len(line) <= MAX_FOUND else f"{line[: MAX_FOUND - 1]}…"


def _names(item: pytest.Item) -> dict[str, str | None]:
    given: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    names = {key: one.name for key, one in given.items()}
    if "session" in given:
        names["account"] = given["session"].account
    return {key: names.get(key) for key in ("account", "link", "session")}


def _inventory(config: pytest.Config) -> Inventory:
    if INVENTORY not in config.stash:
        try:
            config.stash[INVENTORY] = load(locate(config.getoption("inventory"), os.environ))
        except InventoryError as error:
            text = str(error).splitlines()
            raise pytest.UsageError("the inventory is wrong or missing", *text) from error
    return config.stash[INVENTORY]
