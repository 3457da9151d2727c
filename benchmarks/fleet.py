"""What reading the reports of many VMs costs, over a Python that only parses the same files.

Fills a directory with simulated reports of some sizes, mixed verdicts, torn and stale ones among
them, and runs ``launcher fleet`` on it in turn with ``json.loads`` of each file. Told beside it:
when the first line of the output was there, and the first that tells of a VM (a red one is told as
soon as it is read).

    python -m benchmarks.fleet --vms 1000 3000 10000 --runs 5
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.fleets import fetched
from benchmarks.side_by_side import (
    Contestant,
    Goal,
    Outcome,
    arguments,
    clean_environment,
    in_turn,
    launcher,
    run,
)

FLEET, PAGE, PARSED = "launcher fleet", "launcher fleet --html", "json.loads of each file"
GOALS = (
    Goal("`launcher fleet` over parsing the same files", FLEET, PARSED),
    Goal("`launcher fleet --html` over parsing the same files", PAGE, PARSED),
)
_PARSE = """\
import json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/home/claude/*/*/*/report.json")):
    try:
        json.loads(path.read_bytes())
    except ValueError:
        pass
"""
_FEWEST = 3


def contestants(root: Path) -> dict[str, Contestant]:
    """Return who reads what is below *root*."""
    environ = clean_environment(root)
    page = str(root.with_name(f"{root.name}.html"))
    fleet = [launcher(), "fleet", str(root)]
    return {
        FLEET: lambda: run(fleet, codes=(1,), environ=environ),
        PAGE: lambda: run([*fleet, "--html", page], codes=(1,), environ=environ),
        PARSED: lambda: run([sys.executable, "-c", _PARSE, str(root)], environ=environ),
    }


def lines(root: Path) -> tuple[float, float]:
    """Return after how many seconds the first line came, and the first that tells of a VM."""
    started = time.perf_counter()
    with subprocess.Popen(
        [launcher(), "fleet", str(root)], stdout=subprocess.PIPE, env=clean_environment(root)
    ) as process:
        assert process.stdout is not None
        seconds = []
        for _ in range(2):
            process.stdout.readline()
            seconds.append(time.perf_counter() - started)
        process.stdout.read()
    return seconds[0], seconds[1]


def main() -> int:
    """Measure every size, and tell."""
    parser = arguments(__doc__, runs=5)
    parser.add_argument("--vms", type=int, nargs="+", default=[1000, 3000, 10000])
    options = parser.parse_args()
    outcome = Outcome("fleet")
    for count in options.vms:
        runs = max(min(_FEWEST, options.runs), options.runs * options.vms[0] // count)
        with fetched(count) as root:
            outcome.add(in_turn(contestants(root), runs), GOALS, at=count)
            seen = [lines(root) for _ in range(runs)]
            root.with_name(f"{root.name}.html").unlink()
        first, vm = (statistics.median(each) for each in zip(*seen, strict=True))
        outcome.rows[-len(GOALS) - 1] |= {"first_line_s": first, "first_vm_s": vm}
        print(f"{count:>7}  first line after {first:.3f} s, first VM after {vm:.3f} s")
    for row in outcome.rows:
        row["bytes_per_vm"] = row["peak_bytes"] / row["at"]
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
