"""A day in short: random changes, kills, overflows and mounts under a running watch.

Each round breaks or mends something at random, without waiting for anything; now and then the warm
process is killed, the watch itself is killed and started again, or its queue overflows. A reader
takes the report and the history all the time, as fast as it can. At the end stand: the last report
is right, no reader ever saw a torn or empty file, memory and descriptors are flat, and no report
said green while the VM had been red for over a second.

    python -m tests.watch.soak --changes 50000 --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launcher.errors import NotJudged
from launcher.history import read as read_history
from tests.vm import CHECKOUT, LINKS, Vm
from tests.watch.conftest import Watcher

RULE = 1.0


@dataclass
class Seen:
    """What the reader saw."""

    reports: int = 0
    publications: int = 0
    histories: int = 0
    torn: list[str] = field(default_factory=list)
    worst_green: float = 0.0
    late_greens: int = 0


class Reader:
    """Reads report and history in a loop, and holds each green against what the VM was."""

    def __init__(self, vm: Vm, truth: Truth) -> None:
        self.seen = Seen()
        self._vm = vm
        self._truth = truth
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        last: object = None
        while not self._stop.wait(0.002):
            began = time.monotonic()
            try:
                with self._vm.report_path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    content = file.read()
                document = json.loads(content)["failover"]
            except FileNotFoundError:
                self.seen.torn.append("the report is not there")
                continue
            except (ValueError, KeyError) as error:
                self.seen.torn.append(f"{error!r}: {content[:60]!r}")
                continue
            self.seen.reports += 1
            if (status.st_ino, status.st_mtime_ns) != last:
                last = status.st_ino, status.st_mtime_ns
                self.seen.publications += 1
                self._read_history()
            if document["verdict"] == "green":
                late = self._truth.red_for(began)
                self.seen.worst_green = max(self.seen.worst_green, late)
                self.seen.late_greens += late > RULE

    def _read_history(self) -> None:
        try:
            read_history(str(self._vm.state / "history.json"))
            self.seen.histories += 1
        except NotJudged as error:
            self.seen.torn.append(str(error))


class Truth:
    """Since when the VM has been red without a break, by the monotonic clock."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._excused = False
        self._lock = threading.Lock()

    def set(self, red: bool) -> None:
        """Say what the VM is from now on; while it stays red, the first moment counts."""
        with self._lock:
            if not red:
                self._since = None
            elif self._since is None:
                self._since = time.monotonic()

    def excuse(self, excused: bool) -> None:
        """Leave out, or count again: the watch is dead or stopped, and cannot keep the report."""
        with self._lock:
            self._excused = excused
            if not excused and self._since is not None:
                self._since = time.monotonic()

    def red_for(self, now: float) -> float:
        """Return for how many seconds the VM had been red at *now*."""
        with self._lock:
            return 0.0 if self._since is None or self._excused else now - self._since


class World:
    """The VM with its faults: which there are, and how each comes and goes."""

    def __init__(self, vm: Vm, truth: Truth) -> None:
        self.vm = vm
        self.truth = truth
        self.broken: dict[str, Any] = {}
        (vm.root / "over").mkdir(mode=0o700)
        (vm.root / "elsewhere").mkdir()

    def change(self) -> None:
        """Break something, or mend something."""
        if self.broken and random.random() < 0.5:
            mend = self.broken.pop(random.choice(list(self.broken)))
            mend()
            self.truth.set(bool(self.broken))
            return
        name = random.choice(
            ["entry", "home", "chmod", "target"] + ["mount"] * (random.random() < 0.1)
        )
        if name in self.broken or (name != "chmod" and "mount" in self.broken):
            return
        if name == "mount" and ("home" in self.broken or "entry" in self.broken or os.geteuid()):
            return
        if name == "entry" and "home" in self.broken:
            return
        if name == "home" and "entry" in self.broken:
            return
        self.broken[name] = getattr(self, f"_{name}")()
        self.truth.set(True)

    def mend(self) -> None:
        """Mend everything."""
        while self.broken:
            self.broken.popitem()[1]()
        self.truth.set(False)

    def _entry(self) -> Any:
        entry = self.vm.entry("backup", random.choice(LINKS))
        text = os.readlink(entry)
        if random.random() < 0.5:
            entry.unlink()
            return lambda: entry.symlink_to(text)
        beside = entry.with_name("beside")
        beside.symlink_to(self.vm.root / "elsewhere")
        beside.rename(entry)

        def back() -> None:
            beside.symlink_to(text)
            beside.rename(entry)

        return back

    def _home(self) -> Any:
        home = self.vm.home("backup")
        away = home.rename(home.with_name("away"))
        return lambda: away.rename(home)

    def _chmod(self) -> Any:
        home = self.vm.home("primary")
        home.chmod(0o777)
        return lambda: home.chmod(0o700)

    def _target(self) -> Any:
        target = self.vm.target("file-history")
        away = target.rename(target.with_name("away"))
        return lambda: away.rename(target)

    def _mount(self) -> Any:
        home = self.vm.home("backup")
        subprocess.run(["mount", "--bind", self.vm.root / "over", home], check=True)
        return lambda: subprocess.run(["umount", home], check=True)


def soak(changes: int, pause: float, seed: int) -> dict[str, Any]:
    """Run it; return the figures. Raises AssertionError where the end is not right."""
    random.seed(seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="claude-failover-soak-") as directory:
        vm = Vm(Path(directory)).link()
        vm.write(more="[watch]\ninterval = 3600")
        truth = Truth()
        world, watcher = World(vm, truth), Watcher(vm, cwd=CHECKOUT)
        reader = Reader(vm, truth)
        kills = {"zygote": 0, "watch": 0, "overflow": 0}
        samples: list[tuple[int, int]] = []  # memory and descriptors
        try:
            for number in range(changes):
                world.change()
                time.sleep(random.expovariate(1 / pause))
                if number % 500 == 250:
                    with suppress(ValueError, ProcessLookupError):
                        os.kill(watcher.zygote, signal.SIGKILL)
                        kills["zygote"] += 1
                if number % 2000 == 1000:
                    truth.excuse(True)
                    overflow(vm, watcher)
                    truth.excuse(False)
                    kills["overflow"] += 1
                if number % 5000 in (200, 3999):
                    samples.append(at_rest(watcher))
                if number % 5000 == 4000:
                    truth.excuse(True)
                    watcher.end(signal.SIGKILL)
                    watcher = Watcher(vm, cwd=CHECKOUT)
                    truth.excuse(False)
                    kills["watch"] += 1
                watcher.messages()
                assert watcher.process.poll() is None, watcher.said()[-2000:]
            world.mend()
            watcher.until("green", "all is mended")
            vm.entry("primary", "projects").unlink()
            watcher.until("red", "one entry is missing")
            samples.append(at_rest(watcher))
            reader.stop()
            return figures(changes, time.monotonic() - began, kills, samples, reader.seen)
        finally:
            reader.stop()
            world.mend()
            watcher.end(signal.SIGKILL)
            vm.close()


def at_rest(watcher: Watcher) -> tuple[int, int]:
    """Return memory (kB) and descriptors of the watch, once it has nothing to do."""
    same = 0
    before: tuple[int, int] | None = None
    until = time.monotonic() + 60
    while same < 20 and time.monotonic() < until:
        time.sleep(0.05)
        try:
            now = watcher.memory(), watcher.descriptors()
        except (ValueError, FileNotFoundError, IndexError):  # the warm process begins anew
            now = None
        same = same + 1 if now is not None and now == before else 0
        before = now
    return before or (0, 0)


def overflow(vm: Vm, watcher: Watcher) -> None:
    """Fill the watch's queue, with what concerns no invariant, while it is stopped."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, other = vm.root / "one", vm.root / "other"
    one.touch()
    watcher.send(signal.SIGSTOP)
    try:
        for _ in range(limit // 4 + 10):
            one.rename(other)
            other.rename(one)
    finally:
        watcher.send(signal.SIGCONT)


def figures(
    changes: int,
    seconds: float,
    kills: dict[str, int],
    samples: list[tuple[int, int]],
    seen: Seen,
) -> dict[str, Any]:
    """Return what was measured. A watch is looked at when it is new, and before it is killed."""
    return {
        "changes": changes,
        "seconds": round(seconds, 1),
        "kills": kills,
        "reports_read": seen.reports,
        "publications_seen": seen.publications,
        "histories_read": seen.histories,
        "torn": seen.torn[:5],
        "torn_count": len(seen.torn),
        "worst_green_while_red_s": round(seen.worst_green, 3),
        "greens_later_than_a_second": seen.late_greens,
        "memory_kb": [memory for memory, _ in samples],
        "descriptors": [descriptors for _, descriptors in samples],
        "load": os.getloadavg()[0],
    }


def holds(result: dict[str, Any]) -> bool:
    """Tell whether the figures are as they have to be."""
    memory, descriptors = result["memory_kb"], result["descriptors"]
    return (
        not result["torn_count"]
        and not result["greens_later_than_a_second"]
        and max(memory) <= memory[0] * 1.15
        and max(descriptors) == min(descriptors)
    )


def main() -> int:
    """Run the soak and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--changes", type=int, default=50_000)
    parser.add_argument("--pause", type=float, default=0.02, help="between changes, on average")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    result = soak(arguments.changes, arguments.pause, arguments.seed)
    print(json.dumps(result, indent=2))
    return 0 if holds(result) else 1


if __name__ == "__main__":
    sys.exit(main())
