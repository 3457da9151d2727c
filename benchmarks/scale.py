"""What a gate costs as the VM grows: all green, one red, all red, beside tests that check nothing.

Builds VMs of some sizes in a temporary directory and runs ``launcher check`` on each of them in
turn with plain pytest, all its defaults, on as many empty parametrized tests: what pytest itself
takes for so many. The launcher's check of each entry is a real one, and ends in a JSON report.

    python -m benchmarks.scale --accounts 250 500 1000 --runs 5
"""

from __future__ import annotations

import sys

from benchmarks.side_by_side import (
    Contestant,
    Goal,
    Outcome,
    Run,
    arguments,
    in_turn,
    launcher,
    run,
)
from benchmarks.vms import Vm, built

GREEN, ONE, RED, EMPTY = "all green", "one red", "all red", "empty tests, plain pytest"
GOALS = (
    Goal("real checks with JSON over plain pytest on as many empty tests", GREEN, EMPTY, 1.0),
    Goal("all red over all green", RED, GREEN, 2.0),
    Goal("one red over all green", ONE, GREEN),
)
_EMPTY_TESTS = """\
import pytest

@pytest.mark.parametrize("number", range({}))
def test_nothing(number):
    pass
"""


def contestants(vm: Vm) -> dict[str, Contestant]:
    """Return who runs on *vm*."""

    def check(broken: int) -> Run:
        vm.break_links(broken)
        command = [launcher(), "--inventory", str(vm.inventory), "check"]
        return run(command, codes=(1 if broken else 0,), environ=vm.environ)

    tests = vm.root / "test_empty.py"
    tests.write_text(_EMPTY_TESTS.format(vm.checks))
    plain = [sys.executable, "-m", "pytest", "-q", str(tests)]
    return {
        GREEN: lambda: check(0),
        ONE: lambda: check(1),
        RED: lambda: check(vm.accounts),
        EMPTY: lambda: run(plain, environ=vm.environ, cwd=vm.root),
    }


def main() -> int:
    """Measure every size, and tell."""
    parser = arguments(__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[125, 375, 1125, 3750])
    options = parser.parse_args()
    outcome = Outcome("scale")
    for accounts in options.accounts:
        with built(accounts) as vm:
            outcome.add(in_turn(contestants(vm), options.runs), GOALS, at=vm.checks)
    for row in outcome.rows:
        row["bytes_per_check"] = row["peak_bytes"] / row["at"]
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
