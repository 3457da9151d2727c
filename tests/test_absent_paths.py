"""No test counts on a path outside its own directories to be absent: a machine may have it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.vm import CHECKOUT

ABSENT = re.compile(r"(#!)?/(no|not|none|non-?existent|nowhere|missing|absent|gone)(/|\n|$)")


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the strings of a program with their lines; of an f-string only how it begins."""
    later = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values[1:]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in later:
            yield node.lineno, node.value


def counted_on(program: str) -> list[int]:
    """Return the lines of a program with an absolute path whose name says that it is absent."""
    return [line for line, text in literals(ast.parse(program)) if ABSENT.match(text)]


def test_no_path_of_the_machine_is_taken_for_absent() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}"
        for path in sorted(Path(CHECKOUT, "tests").rglob("*.py"))
        for line in counted_on(path.read_text())
    ]
    assert [] == found, "use a path in tmp_path"


def test_path_of_the_machine_is_seen_and_one_below_a_directory_of_the_test_is_not() -> None:
    seen = ["'/nowhere'", "'/no/such/file'", r"'#!/not/there\n'", "f'/missing/{x}'"]
    own = ["f'{x}/nowhere'", "'nowhere'", "'/nobody'", "f'{x}/gone/{y}'"]
    assert [[1]] * len(seen) == [counted_on(program) for program in seen]
    assert [[]] * len(own) == [counted_on(program) for program in own]
