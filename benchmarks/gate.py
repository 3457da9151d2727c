"""What a small gate costs: two accounts with three links, beside what nobody can do without.

The floor of a gate on pytest is ``import pytest``. ``launcher check`` is the whole process, from
the command line to the published report; the child is what runs pytest in it, started and told
to go on by the launcher's own code; ``pytest -q invariants`` is the same checks by hand, with all
of pytest's defaults.

    python -m benchmarks.gate --runs 15
"""

from __future__ import annotations

import pickle
import resource
import sys
import time
from pathlib import Path

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
from invariants.checks import directory
from invariants.inventory import Inventory, load
from launcher.bounded import bounded
from launcher.early import Started
from launcher.interrupts import Interrupts
from launcher.pytest_child import run as run_child

FLOOR, CHECK, CHILD = "import pytest", "launcher check", "the gate's child"
BY_HAND = "pytest -q invariants"
GOALS = (
    Goal("`launcher check`, 2 accounts × 3 links, over `import pytest`", CHECK, FLOOR, 1.45),
    Goal("the gate's child alone, over `import pytest`", CHILD, FLOOR, 1.20),
    Goal("`launcher check` over `pytest -q invariants`, all defaults", CHECK, BY_HAND, 0.80),
    Goal("`pytest -q invariants` over `import pytest`", BY_HAND, FLOOR),
)


def contestants(vm: Vm) -> dict[str, Contestant]:
    """Return who runs on *vm*."""
    inventory, option = load(str(vm.inventory)), ["--inventory", str(vm.inventory)]
    root = Path(directory()).parent
    by_hand = [sys.executable, "-m", "pytest", "-q", "invariants", *option]
    return {
        FLOOR: lambda: run([sys.executable, "-c", "import pytest"], environ=vm.environ),
        CHECK: lambda: run([launcher(), *option, "check"], environ=vm.environ),
        CHILD: lambda: child_alone(inventory, vm),
        BY_HAND: lambda: run(by_hand, environ=vm.environ, cwd=root),
    }


def child_alone(inventory: Inventory, vm: Vm) -> Run:
    """Let the gate's child run, and nothing else of the launcher.

    In a fork of this process, since the kernel tells the peak of all children together only.
    """

    def measure() -> Run:
        started = time.perf_counter()
        with Interrupts(signals=()) as nothing, Started(vm.environ) as child:
            given = pickle.dumps(inventory)
            ended = run_child(child, given, inventory.settings.timeout, nothing)
        seconds = time.perf_counter() - started
        if ended.status != 0:
            raise SystemExit(f"the child ended with {ended.status}: {ended.output}")
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    with Interrupts(signals=()) as nothing:
        return bounded(measure, inventory.settings.timeout, nothing)


def main() -> int:
    """Measure, and tell."""
    options = arguments(__doc__).parse_args()
    outcome = Outcome("gate")
    with built(2) as vm:
        outcome.add(in_turn(contestants(vm), options.runs), GOALS)
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
