"""Own invariants that an operator writes by accident, and that cannot fail: none is green."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm import Vm

ACCIDENTS = {
    'assert (link.target == "/nowhere", "not there")': "asserts a tuple, which is always true: "
    'leave out the parentheses: assert condition, "message"',
    'link.target == "/nowhere" and link.name == "x"': "compares without an assert: "
    "it could not fail",
    "return": "has nothing that could fail: assert what must hold",
    "not link.target": "compares without an assert: it could not fail",
    'assert "target must be /nowhere"': "asserts a constant, which is always true: "
    "write what must hold",
}
LINES = {"return": 1}
"""Where what is wrong is the test as a whole."""


@pytest.fixture
def own(vm: Vm) -> Path:
    directory = vm.root / "own"
    directory.mkdir(mode=0o700)
    vm.write({"s": ["sleep", "600"]}, invariants=[str(directory)])
    return directory / "test_x.py"


def check(vm: Vm, own: Path, body: str) -> tuple[int, str]:
    own.write_text(f"def test_x(link):\n    {body}\n")
    own.chmod(0o600)
    done = vm.run("check")
    return done.returncode, done.stdout


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.thorough
def test_an_accident_is_unknown_with_its_file_and_line(vm: Vm, own: Path, accident: str) -> None:
    code, text = check(vm, own, accident)
    line = LINES.get(accident, 2)
    reason = f"{own}: line {line}: test_x {ACCIDENTS[accident]}"
    assert 70 == code
    assert f"  own invariants could not be judged: {reason}" in text.splitlines()
    assert f"    found     {reason}" in text.splitlines()
    assert "  test_x.py: not-judged" in text.splitlines()


def test_what_was_meant_is_red_where_it_does_not_hold_and_green_where_it_does(
    vm: Vm, own: Path
) -> None:
    code, text = check(vm, own, 'assert link.target == "/nowhere", "not there"')
    assert 1 == code
    assert "not there" in text
    code, text = check(vm, own, f'assert link.target.startswith("{vm.root}"), "not there"')
    assert (0, "green: all 27 invariants hold") == (code, text.splitlines()[-1].split(" (")[0])
