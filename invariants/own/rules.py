"""What a file of own invariants may hold, so that it can be said beforehand which tests must run.

Read with :mod:`ast`: nothing is executed. Whatever could hide a test, or make one pass that did
not run, is refused with its line instead of being understood half.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator

from invariants.checks import FAMILIES
from invariants.fixes import look, words_only
from invariants.own.failing import CannotFail, refuse_what_cannot_fail
from invariants.own.model import SUBJECTS, OwnTest
from invariants.own.names import Function as _Function
from invariants.own.names import bindings, inside

ARGUMENTS = (*SUBJECTS, "inventory")
MAX_NAME = 100
_MARKS = ("fix", "command")


class RuleBroken(Exception):
    """A file cannot be judged; the text says in which line, why, and what to write instead."""


def read_tests(source: bytes, path: str) -> tuple[OwnTest, ...]:
    """Return the tests of a file, in its order. Raises RuleBroken at the first that is refused.

    >>> read_tests(b"def test_it_holds(account): assert account.home", "/d/test_a.py")[0].holds
    'it holds'
    """
    before, null, _ = source.partition(b"\0")
    if null:  # which line it is in not every Python tells
        line = before.count(b"\n") + 1
        raise RuleBroken(f"line {line}: source code string cannot contain null bytes")
    try:
        tree = ast.parse(source, path)
    except SyntaxError as error:
        raise RuleBroken(f"line {error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise RuleBroken(f"not Python: {error}") from error
    tests: dict[str, OwnTest] = {}
    for node in ast.walk(tree):
        if isinstance(node, _Function) and node.name.startswith("test"):
            _refuse_if(node not in tree.body, node, "is not at the top of the file")
            _refuse_if(node.name in tests, node, "is defined twice")
            tests[node.name] = _test(node, path)
    if not tests:
        raise RuleBroken("holds no test: write at least one function test_…")
    for node in ast.walk(tree):
        for name in _bound(node):
            hook = name.startswith("pytest_") and not isinstance(node, ast.alias)
            if name in tests or hook:
                line = getattr(node, "lineno", 0)
                what = "a hook of pytest's" if hook else "a test already"
                raise RuleBroken(f"line {line}: {name} is {what}, and may not be defined here")
    try:
        refuse_what_cannot_fail(tree, tests)
    except CannotFail as error:
        raise RuleBroken(str(error)) from error
    except RecursionError as error:
        raise RuleBroken(f"nested too deeply: {error}") from error
    return tuple(tests.values())


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds or deletes, tests themselves left out."""
    if isinstance(node, ast.arg) or (isinstance(node, _Function) and node.name.startswith("test")):
        return
    yield from bindings(node)


def _refuse_if(wrong: bool, node: _Function, reason: str) -> None:
    if wrong:
        raise RuleBroken(f"line {node.lineno}: {node.name} {reason}")


def _test(node: _Function, path: str) -> OwnTest:
    name = node.name.removeprefix("test_")
    _refuse_if(name == node.name or not name, node, "is no test: name it test_…, or not test…")
    _refuse_if(len(name) > MAX_NAME, node, f"is too long a name: at most {MAX_NAME} characters")
    _refuse_if(name in FAMILIES, node, "is an invariant of claude-failover: take another name")
    _refuse_if(isinstance(node, ast.AsyncFunctionDef), node, "is async: pytest would not run it")
    for inner in inside(node.body):
        yields = isinstance(inner, ast.Yield | ast.YieldFrom)
        _refuse_if(yields, node, "yields: it would not run")
        returns = isinstance(inner, ast.Return) and inner.value is not None
        _refuse_if(returns, node, "returns something: assert it instead")
    body = [one for one in node.body if not _says_nothing(one)]
    _refuse_if(not body, node, "does nothing: it could not fail")
    doc = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    shown = f"{node.lineno},{node.end_lineno or node.lineno}p"
    fix = _fix(node) or look("sed", "-n", shown, path, note="what it asks for")
    return OwnTest(name, _arguments(node), doc or name.replace("_", " "), fix)


def _says_nothing(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass)


def _arguments(node: _Function) -> tuple[str, ...]:
    given = node.args
    names = tuple(argument.arg for argument in given.args)
    plain = not (given.posonlyargs or given.vararg or given.kwonlyargs or given.kwarg)
    _refuse_if(not plain or bool(given.defaults), node, "takes more than plain arguments")
    unknown = ", ".join(name for name in names if name not in ARGUMENTS)
    known = ", ".join(ARGUMENTS)
    _refuse_if(bool(unknown), node, f"takes {unknown}: known are {known}; call a function instead")
    return names


def _fix(node: _Function) -> str | None:
    """Return the line that the one decorator says that a test may have.

    ``@pytest.mark.fix("…")`` has words, ``@pytest.mark.command("…")`` a command line.
    """
    line = None
    for decorator in node.decorator_list:
        kind, said = _said(decorator) or ("", "\n")
        wrong = (
            "has a decorator other than @pytest.mark.fix('…') or @pytest.mark.command('…') with "
            "one line of text, once"
        )
        _refuse_if(line is not None or not said.isprintable(), node, wrong)
        if kind == "command":
            _refuse_if(not _is_command(said), node, f"has no command line in {said!r}")
            line = said
        else:
            line = words_only(said)
    return line


def _is_command(line: str) -> bool:
    """Return whether no quote in *line* stays open, and it says anything."""
    try:
        return bool(shlex.split(line, comments=True))
    except ValueError:
        return False


def _said(decorator: ast.expr) -> tuple[str, str] | None:
    """Return the kind and the text of ``pytest.mark.KIND("…")``; None for all else."""
    if not isinstance(decorator, ast.Call):
        return None
    kind = ast.unparse(decorator.func).removeprefix("pytest.mark.")
    if kind not in _MARKS or ast.unparse(decorator.func) != f"pytest.mark.{kind}":
        return None
    match decorator.args, decorator.keywords:
        case [ast.Constant(str(said))], []:
            return kind, said
    return None
