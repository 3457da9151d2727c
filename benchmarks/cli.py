"""What the command line costs where no gate runs, over an interpreter that does nothing.

python -m benchmarks.cli --runs 15
"""

from __future__ import annotations

import sys

from benchmarks.side_by_side import Goal, Outcome, arguments, in_turn, launcher, run
from benchmarks.vms import built

FLOOR, HELP, STATUS = "python -c pass", "launcher --help", "launcher status --json"
GOALS = (
    Goal("`launcher --help` over `python -c pass`", HELP, FLOOR, 4.0),
    Goal("`launcher status --json` over `python -c pass`", STATUS, FLOOR, 4.0),
)


def main() -> int:
    """Measure, and tell."""
    options = arguments(__doc__).parse_args()
    outcome = Outcome("cli")
    with built(2) as vm:
        command = [launcher(), "--inventory", str(vm.inventory)]
        run([*command, "check"], environ=vm.environ)
        contestants = {
            FLOOR: lambda: run([sys.executable, "-c", "pass"], environ=vm.environ),
            HELP: lambda: run([launcher(), "--help"], environ=vm.environ),
            STATUS: lambda: run([*command, "status", "--json"], environ=vm.environ),
        }
        outcome.add(in_turn(contestants, options.runs), GOALS)
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
