"""What the measurements share: contestants that run in turn, and how what they cost is told.

No absolute time is a goal: two contestants that run in turn on the same machine are compared run
by run, so that a slow moment falls on both. CPU seconds stand beside wall seconds, since on a
machine that others share they move less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Run(NamedTuple):
    """One whole process with all that it waited for: wall and CPU seconds, largest resident set."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


Contestant = Callable[[], Run]
"""Runs once and tells what that cost; what it prepares before is not counted."""


class Goal(NamedTuple):
    """A ratio that is asked for: one contestant over another, at most so much."""

    measure: str
    contestant: str
    over: str
    limit: float | None = None


def launcher() -> str:
    """Return the path of the installed command, as operators call it."""
    return str(Path(sys.executable).with_name("launcher"))


def clean_environment(home: Path) -> dict[str, str]:
    """Return this process's environment for contestants, with *home* as their user's.

    Without what speaks to Python or pytest: a setting that forbids bytecode would make every run
    compile the whole program.
    """
    ours = ("PYTHON", "PYTEST", "COVERAGE", "CLAUDE", "XDG_", "TMUX")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": str(home)}


def run(
    command: Sequence[str],
    *,
    codes: Collection[int] = (0,),
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Run:
    """Run *command* to its end and return what it cost; SystemExit where it ends in no *codes*.

    The peak is that of the largest process, not the sum (getrusage(2)).
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd=cwd,
    )
    assert process.stdout is not None
    words = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        said = words.decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def in_turn(
    contestants: Mapping[str, Contestant], runs: int, *, warm: bool = True
) -> dict[str, list[Run]]:
    """Let all *contestants* run once (not counted, if *warm*), then *runs* times: A B A B …."""
    if warm:
        for contestant in contestants.values():
            contestant()
    seen: dict[str, list[Run]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, contestant in contestants.items():
            seen[name].append(contestant())
    return seen


def summary(name: str, runs: Sequence[Run], **more: Any) -> dict[str, Any]:
    """Return the row of one contestant; *more* says at which size, or else, it ran."""
    seconds = [one.seconds for one in runs]
    return {
        **more,
        "contestant": name,
        "n": len(runs),
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "max_s": max(seconds),
        "cpu_s": statistics.median(one.cpu_seconds for one in runs),
        "peak_bytes": max(one.peak_bytes for one in runs),
    }


def ratio(goal: Goal, seen: Mapping[str, Sequence[Run]], **more: Any) -> dict[str, Any]:
    """Return one contestant over another: the median of the ratios run by run, and their range."""
    pairs = list(zip(seen[goal.contestant], seen[goal.over], strict=True))
    wall = [one.seconds / other.seconds for one, other in pairs]
    cpu = [one.cpu_seconds / max(other.cpu_seconds, 1e-6) for one, other in pairs]
    return {
        **more,
        **goal._asdict(),
        "n": len(pairs),
        "wall": statistics.median(wall),
        "wall_range": [min(wall), max(wall)],
        "cpu": statistics.median(cpu),
        "cpu_range": [min(cpu), max(cpu)],
    }


class Outcome:
    """What one measurement found: a row a contestant, the ratios, and what was not there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[dict[str, Any]] = []
        self.ratios: list[dict[str, Any]] = []
        self.missing: list[str] = []

    def add(
        self, seen: Mapping[str, Sequence[Run]], goals: Iterable[Goal] = (), **more: Any
    ) -> None:
        """Add contestants that ran in turn, and those *goals* whose contestants were there."""
        self.rows += [summary(name, runs, **more) for name, runs in seen.items()]
        for goal in goals:
            if goal.contestant in seen and goal.over in seen:
                self.ratios.append(ratio(goal, seen, **more))

    def as_json(self) -> dict[str, Any]:
        """Return the document: nothing in it names this machine."""
        return {
            "benchmark": self.name,
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "rows": self.rows,
            "ratios": self.ratios,
            "missing": self.missing,
        }

    def tell(self, directory: Path | None) -> int:
        """Print all, and write ``NAME.json`` into *directory* where one is given; return 0."""
        for row in self.rows:
            print(_row(row))
        print()
        for found in self.ratios:
            print(_ratio(found))
        for reason in self.missing:
            print(f"not measured: {reason}")
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            content = json.dumps(self.as_json(), indent=1) + "\n"
            (directory / f"{self.name}.json").write_text(content)
        return 0


def _row(row: Mapping[str, Any]) -> str:
    at = f"{row['at']:>7}  " if "at" in row else ""
    wall = f"{row['median_s']:.3f} [{row['min_s']:.3f} - {row['max_s']:.3f}] s"
    return (
        f"{at}{row['contestant']:<34}  {wall:<28}  CPU {row['cpu_s']:.3f} s"
        f"  peak {row['peak_bytes'] / 1e6:.0f} MB  n {row['n']}"
    )


def _ratio(found: Mapping[str, Any]) -> str:
    at = f" at {found['at']}" if "at" in found else ""
    low, high = found["wall_range"]
    goal = "" if found["limit"] is None else f"  goal {found['limit']:g}"
    return (
        f"{found['contestant']} over {found['over']}{at}:"
        f" wall {found['wall']:.2f} [{low:.2f} - {high:.2f}], CPU {found['cpu']:.2f}{goal}"
    )


def arguments(description: str | None, runs: int = 15) -> argparse.ArgumentParser:
    """Return a parser with what every measurement takes: how often, and where JSON goes."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=runs, help="of each contestant")
    parser.add_argument("--json", type=Path, metavar="DIR", help="write the figures there, too")
    return parser
