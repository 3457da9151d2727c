"""What a gate costs as the VM grows: all green, one red, all red, side by side.

Builds VMs of some sizes in a temporary directory and runs ``launcher check`` on each of them in
turn, so that a slow moment of the machine falls on all alike. Prints medians and ranges of whole
processes, ratios, and peak memory; ``--json`` gives the same to a program.

    python benchmarks/scale.py --accounts 250 500 1000 --runs 5
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

LINKS = ("session-env", "file-history", "projects")


class Run(NamedTuple):
    """One whole process: wall seconds, and the largest resident set of it and its children."""

    seconds: float
    peak_bytes: int


@contextmanager
def built(accounts: int) -> Iterator[Path]:
    """Make a VM with *accounts* accounts whose links are all right; yield its inventory."""
    root = Path(tempfile.mkdtemp(prefix="claude-failover-bench-"))
    try:
        tables = []
        for link in LINKS:
            (root / "shared" / link).mkdir(mode=0o700, parents=True)
        for number in range(accounts):
            home = root / f"home{number}"
            home.mkdir(mode=0o700)
            for link in LINKS:
                (home / link).symlink_to(root / "shared" / link)
            tables.append(f'[[accounts]]\nname = "account{number}"\nhome = "home{number}"\n')
        inventory = root / "failover.toml"
        head = '[shared]\nroot = "shared"\n[launcher]\nstate = "state"\ntimeout = 600\n'
        inventory.write_text(head + "".join(tables))
        yield inventory
    finally:
        shutil.rmtree(root)


def red(inventory: Path, accounts: int) -> None:
    """Remove the links of the first *accounts* homes; put back those of the others."""
    root = inventory.parent
    for home in root.glob("home*"):
        for link in LINKS:
            (home / link).unlink(missing_ok=True)
            if int(home.name.removeprefix("home")) >= accounts:
                (home / link).symlink_to(root / "shared" / link)


def check(inventory: Path) -> Run:
    """Run ``launcher check`` once and return what it cost."""
    command = [sys.executable, "-m", "launcher", "--inventory", str(inventory), "check"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"launcher check ended with {process.returncode}")
    return Run(seconds, usage.ru_maxrss * 1024)


def measure(accounts: int, runs: int) -> dict[str, list[Run]]:
    """Measure the three contestants in turn on one VM."""
    contestants: dict[str, Callable[[Path], None]] = {
        "all green": lambda inventory: red(inventory, 0),
        "one red": lambda inventory: red(inventory, 1),
        "all red": lambda inventory: red(inventory, accounts),
    }
    seen: dict[str, list[Run]] = {name: [] for name in contestants}
    with built(accounts) as inventory:
        check(inventory)
        for _ in range(runs):
            for name, prepare in contestants.items():
                prepare(inventory)
                seen[name].append(check(inventory))
    return seen


def main() -> int:
    """Measure every size and print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accounts", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--runs", type=int, default=5, help="of each contestant")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for accounts in arguments.accounts:
        seen = measure(accounts, arguments.runs)
        base = statistics.median(run.seconds for run in seen["all green"])
        for name, runs in seen.items():
            seconds = [run.seconds for run in runs]
            rows.append(
                {
                    "accounts": accounts,
                    "checks": accounts * (1 + len(LINKS)) + len(LINKS),
                    "contestant": name,
                    "median_s": statistics.median(seconds),
                    "min_s": min(seconds),
                    "max_s": max(seconds),
                    "over_all_green": statistics.median(seconds) / base,
                    "peak_bytes": max(run.peak_bytes for run in runs),
                }
            )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print("accounts  checks  contestant  median [min - max] s     / all green   ms/check  peak MB")
    for row in rows:
        spread = f"{row['median_s']:.2f} [{row['min_s']:.2f} - {row['max_s']:.2f}]"
        print(
            f"{row['accounts']:>8}  {row['checks']:>6}  {row['contestant']:<10}  {spread:<24}"
            f" {row['over_all_green']:>8.2f}  {1000 * row['median_s'] / row['checks']:>12.2f}"
            f"  {row['peak_bytes'] / 1e6:>7.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
