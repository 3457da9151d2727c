"""The proof that a test which passed is the one that was read, and ran to its end.

pytest calls what a module holds under a test's name when it comes to it, and tells an outcome by
functions that any module can replace. So each test tells by itself that it is done: its code, as
it was read, is compiled with a context manager around it. Code that takes the test's place has
none, and a test that is left by an exception does not say so, whatever pytest makes of it.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from invariants.model import Inventory
from invariants.own.cases import case_id, subjects_of
from invariants.own.model import OwnFile

NAME = "@proof"
"""What the context manager is called in a module of tests: no name that Python's grammar knows."""

_KEPT = ("pytest", "_pytest", "pluggy", "pytest_jsonreport", "invariants", "launcher")
"""The packages that an outcome is made by."""


class Proof:
    """Collects which tests of a file have come to their end, for the subjects of an inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self.ran: list[str] = []
        """The tests, each by its name and case, as in a node id."""
        self._inventory = inventory
        self._pid = os.getpid()

    def __call__(self, name: str, **given: Any) -> _Run:
        """Return the context manager for the test *name* with the arguments that it was *given*."""
        subjects = subjects_of(given)
        real = all(self._is_real(key, one) for key, one in given.items())
        case = case_id(given[key] for key in subjects) if real else ""
        return _Run(self, f"{name}[{case}]" if subjects else name, real)

    def _is_real(self, key: str, given: object) -> bool:
        known: Collection[object] = {
            "account": self._inventory.accounts,
            "link": self._inventory.links,
            "session": self._inventory.sessions,
            "inventory": (self._inventory,),
        }[key]
        return any(given is one for one in known)

    def note(self, test: str) -> None:
        """Note that *test* has come to its end: in this process, and not in a copy of it."""
        if os.getpid() == self._pid:
            self.ran.append(test)


class _Run:
    def __init__(self, proof: Proof, test: str, real: bool) -> None:
        self._proof = proof
        self._test = test
        self._real = real

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._real:
            self._proof.note(self._test)


def with_proof(tree: ast.Module, file: OwnFile) -> ast.Module:
    """Put the context manager around the body of each test of *file*, in its *tree*."""
    arguments = {f"test_{test.invariant}": test.arguments for test in file.tests}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in arguments:
            docs = 1 if ast.get_docstring(node, clean=False) is not None else 0
            node.body[docs:] = [_guarded(node, arguments[node.name], node.body[docs:])]
    return tree


def _guarded(node: ast.FunctionDef, arguments: Collection[str], body: list[ast.stmt]) -> ast.With:
    given = [ast.keyword(arg=name, value=ast.Name(name, ast.Load())) for name in arguments]
    call = ast.Call(ast.Name(NAME, ast.Load()), [ast.Constant(node.name)], given)
    guarded = ast.With([ast.withitem(call)], body)
    ast.copy_location(guarded, node)
    return ast.fix_missing_locations(guarded)


class Untouched:
    """The functions and classes that an outcome is made by, as they were before a file ran."""

    def __init__(self) -> None:
        modules = {
            name: module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in _KEPT
        }
        self._modules = modules
        self._parts = [part for name, one in modules.items() for part in _parts(name, one)]

    def replaced(self) -> str | None:
        """Return the name of one that is not what it was, or None."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                return name
        for name, whole, key, part in self._parts:
            if vars(whole).get(key) is not part:
                return f"{name}.{key}"
        return None


def _parts(name: str, module: ModuleType) -> Iterator[tuple[str, Any, str, object]]:
    """Yield what a module is made of: where it is, in which module or class, its key, itself."""
    for key, part in list(vars(module).items()):
        if callable(part):
            yield name, module, key, part
        if isinstance(part, type) and part.__module__ == name:
            for inner, function in list(vars(part).items()):
                if isinstance(function, FunctionType | classmethod | staticmethod | property):
                    yield f"{name}.{key}", part, inner, function


@cache
def as_loaded() -> Untouched:
    """Return what there was when this was called first: before any file has run."""
    return Untouched()
