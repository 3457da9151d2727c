"""What the watch costs on a healthy VM, and how long a broken input stays green in its report.

Makes a VM in which every family of invariants has something to read, and takes, one after another:

- the processor time of ``launcher watch``, its children included, with stand-in sessions and other
  processes beside it and nothing else happening; the same with the invariant about processes
  switched off; and the same while each session notes every second that it is busy or idle;
- for each input that a family declares, broken in each way: the time until the report is no longer
  green, from the last system call that breaks it to the modification time of the report.

A stand-in session is a process called `claude` with a note in its home's `sessions`, as Claude Code
leaves it; the others are `sleep`. Other processes called `claude` on the machine cost the watch
something too: measure where there are none, as root for instance behind
``unshare --pid --fork --mount-proc``.

    python -m benchmarks.hearing --runs 3
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.side_by_side import arguments
from benchmarks.watch import Report, processor_seconds, running
from tests.vm import Vm
from tests.watch.rich import Rich

_OFF = '[invariants.off]\nsingle-writer = "to be compared with"\n'


@contextmanager
def built() -> Iterator[Rich]:
    """Make the VM in a temporary directory, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="claude-failover-bench-") as directory:
        root = Path(directory) / "vm"
        root.mkdir(mode=0o700)
        rich = Rich(Vm(root).link())
        try:
            yield rich
        finally:
            rich.close()
            rich.vm.close()


@contextmanager
def watched(rich: Rich) -> Iterator[tuple[subprocess.Popen[bytes], Report]]:
    """Run a watch until the report is green, and while entered."""
    rich.vm.report_path.unlink(missing_ok=True)
    report = Report(rich.vm.report_path)
    command = ["-m", "launcher", "--inventory", str(rich.vm.inventory), "watch"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(*command, env=rich.vm.environ, **quiet) as service:
        report.wait("green")
        yield service, report


class Sessions:
    """Stand-in sessions of both accounts, each with a conversation of its own and a note."""

    def __init__(self, rich: Rich, count: int) -> None:
        self._rich = rich
        self._pids = [rich.start() for _ in range(count)]
        self.note("idle")

    def note(self, status: str) -> None:
        """Let each session note *status*."""
        for number, pid in enumerate(self._pids):
            account = self._rich.vm.accounts[number % 2]
            self._rich.note(account, pid, sessionId=str(UUID(int=number + 1)), status=status)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let each session note once a second that it is busy or idle."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.5):
                self.note("busy")
                ended.wait(0.5)
                self.note("idle")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def share(rich: Rich, seconds: float) -> dict[str, Any]:
    """Return the share of a core that a watch takes for *seconds* of a VM as it is."""
    with watched(rich) as (service, report):
        time.sleep(2)  # for the gate that is collected beforehand
        before, inode = processor_seconds(service.pid), os.stat(report.path).st_ino
        begun = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begun
        return {
            "seconds": round(took, 1),
            "percent_of_a_core": round(100 * (processor_seconds(service.pid) - before) / took, 3),
            "rechecks": int(os.stat(report.path).st_ino != inode),
        }


def processes() -> int:
    """Return how many processes the machine has."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


def costs(rich: Rich, sessions: int, others: int, seconds: float) -> dict[str, Any]:
    """Return what a watch takes beside *sessions*, on a machine with *others* processes in all."""
    made = Sessions(rich, sessions)
    with ExitStack() as stack:
        for _ in range(max(0, others - processes())):
            process = stack.enter_context(subprocess.Popen(["sleep", "100000"]))
            stack.callback(process.kill)
        text = rich.vm.inventory.read_text()
        result: dict[str, Any] = {"sessions": sessions, "processes": processes()}
        result["idle"] = share(rich, seconds)
        rich.vm.inventory.write_text(text + _OFF)
        result["without_processes"] = share(rich, seconds)
        rich.vm.inventory.write_text(text)
        with made.at_work():
            result["notes_every_second"] = share(rich, seconds)
    return result


def latencies(rich: Rich, runs: int) -> dict[str, list[float]]:
    """Break each input in each way *runs* times; return the seconds until not green, by family."""
    found: dict[str, list[float]] = {}
    with watched(rich) as (_, report):
        for _ in range(runs):
            for way in rich.ways():
                with way.broken():
                    begun = time.time()
                    while report.verdict() == "green":
                        report.inotify.read(timeout=100)
                    seconds = os.stat(report.path).st_mtime - begun
                    found.setdefault(way.invariant, []).append(max(0.0, seconds))
                report.wait("green")
    return found


def main() -> int:
    """Measure, and print the figures."""
    parser = arguments(__doc__, runs=1)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--processes", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    result: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    with built() as rich:
        result["costs"] = costs(rich, options.sessions, options.processes, options.seconds)
    rows: dict[str, list[float]] = {}
    for _ in range(options.runs):
        with built() as rich:  # one of the ways can be gone only once
            for invariant, seconds in latencies(rich, 1).items():
                rows.setdefault(invariant, []).extend(seconds)
    result["stays_green"] = {
        invariant: {
            "ways": len(seconds),
            "median_ms": round(1000 * statistics.median(seconds), 1),
            "max_ms": round(1000 * max(seconds), 1),
        }
        for invariant, seconds in rows.items()
    }
    result["load_after"] = os.getloadavg()[0]
    if options.json is not None:
        options.json.mkdir(parents=True, exist_ok=True)
        (options.json / "hearing.json").write_text(json.dumps(result, indent=1) + "\n")
    tell(result)
    return 0


def tell(result: dict[str, Any]) -> None:
    """Print the figures."""
    costs = result["costs"]
    print(f"{costs['sessions']} sessions, {costs['processes']} processes:")
    for name in ("idle", "without_processes", "notes_every_second"):
        one = costs[name]
        print(
            f"  {name:<20} {one['percent_of_a_core']:>6} % of a core over {one['seconds']} s,"
            f" {one['rechecks']} re-checks"
        )
    print(f"{'':<32} ways   median      max  ms that the report stays green")
    for invariant, row in result["stays_green"].items():
        print(f"{invariant:<32} {row['ways']:>4} {row['median_ms']:>8} {row['max_ms']:>8}")
    print(f"load {result['load_before']:.1f} - {result['load_after']:.1f}")


if __name__ == "__main__":
    sys.exit(main())
