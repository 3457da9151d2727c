"""How long a change takes to be in the report: ``launcher watch`` beside a polling loop.

Makes a VM of two accounts and three links, and breaks and mends it in random ways (mv, rm, ln -sfn,
chmod, a swap by rename, an edit of the inventory, as root a bind mount). Every change is timed to
two reports at once: the watch's, and that of a loop which looks at the links once a second, as goss
with a retry does. Half of the changes come while 50 writers append to transcripts at full
speed. Before, the watch's processor time is taken while these writers run and nothing else happens.

    python -m benchmarks.watch --runs 500
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from inotify_simple import INotify, flags

from benchmarks.side_by_side import arguments

LINKS = ("session-env", "file-history", "projects")
ACCOUNTS = ("primary", "backup")

_POLLER = """\
import json, os, stat, sys, time
root, accounts, links = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
while True:
    bad = []
    for account in accounts:
        home = os.path.join(root, "home-" + account)
        try:
            if os.stat(home).st_mode & 0o022:
                bad.append(account)
        except OSError:
            bad.append(account)
        for link in links:
            try:
                text = os.readlink(os.path.join(home, link))
            except OSError:
                text = None
            if text != os.path.join(root, "shared", link) or not os.path.isdir(text):
                bad.append(account + link)
    report = os.path.join(root, "polled", "report.json")
    with open(report + ".new", "w") as file:
        json.dump({"failover": {"verdict": "red" if bad else "green"}}, file)
    os.rename(report + ".new", report)
    time.sleep(1)
"""

_WRITERS = """\
import sys, threading
def write(path):
    line = b'{"type":"assistant","message":"' + b"x" * 400 + b'"}\\n'
    with open(path, "ab", buffering=0) as file:
        while True:
            file.write(line)
            if file.tell() > 4_000_000:
                file.truncate(0)
for number in range(int(sys.argv[2])):
    threading.Thread(target=write, args=[f"{sys.argv[1]}/{number}.jsonl"], daemon=True).start()
print("at work", flush=True)
sys.stdin.read()
"""


class Vm:
    """The VM, and the ways to break it; each gives back how to mend it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "polled").mkdir()
        (root / "elsewhere").mkdir()
        (root / "over").mkdir(mode=0o700)
        for link in LINKS:
            (root / "shared" / link).mkdir(mode=0o700, parents=True)
        for account in ACCOUNTS:
            (root / f"home-{account}").mkdir(mode=0o700)
            for link in LINKS:
                (root / f"home-{account}" / link).symlink_to(root / "shared" / link)
        self.inventory = root / "failover.toml"
        head = '[shared]\nroot = "shared"\n[launcher]\nstate = "state"\n[watch]\ninterval = 3600\n'
        self.text = head + "".join(
            f'[[accounts]]\nname = "{name}"\nhome = "home-{name}"\n' for name in ACCOUNTS
        )
        self._write(self.text)

    def _write(self, text: str) -> None:
        beside = self.root / "failover.new"
        beside.write_text(text)
        beside.chmod(0o600)
        beside.rename(self.inventory)

    def ways(self) -> dict[str, Callable[[], Callable[[], object]]]:
        """Return the ways by name."""
        ways = {
            "mv": self._mv,
            "rm": self._rm,
            "ln -sfn": self._turn_away,
            "chmod": self._chmod,
            "swap": self._swap,
            "mv target": self._mv_target,
            "inventory": self._edit,
        }
        return {**ways, "mount --bind": self._mount} if os.geteuid() == 0 else ways

    def _entry(self) -> Path:
        return self.root / f"home-{random.choice(ACCOUNTS)}" / random.choice(LINKS)

    def _mv(self) -> Callable[[], object]:
        entry = self._entry()
        away = entry.rename(entry.with_name("away"))
        return lambda: away.rename(entry)

    def _mv_target(self) -> Callable[[], object]:
        target = self.root / "shared" / random.choice(LINKS[:2])  # the writers are in the third
        away = target.rename(target.with_name("away"))
        return lambda: away.rename(target)

    def _rm(self) -> Callable[[], object]:
        entry = self._entry()
        text = os.readlink(entry)
        entry.unlink()
        return lambda: entry.symlink_to(text)

    def _turn_away(self) -> Callable[[], object]:
        entry = self._entry()
        text = os.readlink(entry)
        self._turn(entry, str(self.root / "elsewhere"))
        return lambda: self._turn(entry, text)

    def _swap(self) -> Callable[[], object]:
        entry = self._entry()
        text = os.readlink(entry)
        beside = entry.with_name("beside")
        beside.symlink_to(self.root / "elsewhere")
        beside.rename(entry)

        def back() -> None:
            beside.symlink_to(text)
            beside.rename(entry)

        return back

    def _turn(self, entry: Path, text: str) -> None:
        entry.unlink()
        entry.symlink_to(text)

    def _chmod(self) -> Callable[[], object]:
        home = self.root / f"home-{random.choice(ACCOUNTS)}"
        home.chmod(0o777)
        return lambda: home.chmod(0o700)

    def _edit(self) -> Callable[[], object]:
        self._write(self.text + '[[accounts]]\nname = "third"\nhome = "home-third"\n')
        return lambda: self._write(self.text)

    def _mount(self) -> Callable[[], object]:
        home = self.root / f"home-{random.choice(ACCOUNTS)}"
        subprocess.run(["mount", "--bind", self.root / "over", home], check=True)
        return lambda: subprocess.run(["umount", home], check=True)


@contextmanager
def built() -> Iterator[Vm]:
    """Make a VM in a temporary directory, and leave none behind."""
    root = Path(tempfile.mkdtemp(prefix="claude-failover-bench-"))
    try:
        yield Vm(root)
    finally:
        shutil.rmtree(root)


@contextmanager
def running(*command: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process while entered."""
    with subprocess.Popen([sys.executable, *command], **more) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


class Report:
    """A report, and when it begins to say something."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        self.inotify = INotify()
        self.inotify.add_watch(path.parent, flags.MOVED_TO)

    def verdict(self) -> str | None:
        """Return the verdict, or None where there is none."""
        with suppress(FileNotFoundError):
            return str(json.loads(self.path.read_bytes())["failover"]["verdict"])
        return None

    def wait(self, verdict: str, seconds: float = 30) -> float:
        """Return the moment at which the report says *verdict*, by the monotonic clock."""
        until = time.monotonic() + seconds
        while self.verdict() != verdict:
            left = until - time.monotonic()
            if left <= 0:
                raise SystemExit(f"{self.path} does not say {verdict} within {seconds:g} s")
            self.inotify.read(timeout=int(1000 * min(left, 1)))
        return time.monotonic()


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, its children, and the children that it had."""
    total = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) == pid or int(fields[1]) == pid:
                total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def latencies(
    vm: Vm, watch: Report, poller: Report, changes: int
) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Break and mend the VM until there were *changes*; return how long each report took."""
    watched: list[float] = []
    polled: list[float] = []
    by_way: dict[str, list[float]] = {}
    ways = vm.ways()
    while len(watched) < changes:
        name = random.choice(list(ways))
        mend: Callable[[], object] = int
        for verdict in ("red", "green"):
            time.sleep(random.uniform(0.05, 0.15))
            begun = time.monotonic()
            if verdict == "red":
                mend = ways[name]()
            else:
                mend()
            seconds = watch.wait(verdict) - begun
            watched.append(seconds)
            by_way.setdefault(name, []).append(seconds)
            if name != "inventory":  # the loop knows its links by heart
                polled.append(poller.wait(verdict) - begun)
    return watched, polled, by_way


def summary(seconds: list[float]) -> dict[str, float]:
    """Return the figures of a list of seconds, in milliseconds."""
    ordered = sorted(1000 * one for one in seconds)
    return {
        "changes": len(ordered),
        "median_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
        "max_ms": round(ordered[-1], 1),
    }


def measure(changes: int, writers: int, idle: float) -> dict[str, Any]:
    """Measure everything on one VM."""
    result: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    launcher = ["-m", "launcher", "--inventory"]
    with ExitStack() as stack:
        vm = stack.enter_context(built())
        watch, poller = (
            Report(vm.root / "state" / "report.json"),
            Report(vm.root / "polled/report.json"),
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        service = stack.enter_context(running(*launcher, str(vm.inventory), "watch", **quiet))
        arguments = [str(vm.root), ",".join(ACCOUNTS), ",".join(LINKS)]
        stack.enter_context(running("-c", _POLLER, *arguments))
        watch.wait("green")
        poller.wait("green")
        half = changes // 2
        result["quiet"] = _phase(vm, watch, poller, half)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        target = str(vm.root / "shared" / "projects")
        with running("-c", _WRITERS, target, str(writers), **pipes) as writing:
            assert writing.stdout is not None
            writing.stdout.readline()
            before = os.stat(watch.path).st_ino
            spent, begun = processor_seconds(service.pid), time.monotonic()
            time.sleep(idle)
            seconds = time.monotonic() - begun
            result["writers"] = {
                "writers": writers,
                "seconds": round(seconds, 1),
                "percent_of_a_core": round(
                    100 * (processor_seconds(service.pid) - spent) / seconds, 2
                ),
                "rechecks": int(os.stat(watch.path).st_ino != before),
            }
            result["beside_writers"] = _phase(vm, watch, poller, changes - half)
    result["load_after"] = os.getloadavg()[0]
    return result


def _phase(vm: Vm, watch: Report, poller: Report, changes: int) -> dict[str, Any]:
    watched, polled, by_way = latencies(vm, watch, poller, changes)
    return {
        "watch": summary(watched),
        "polling": summary(polled),
        "median_ms_by_way": {
            name: round(1000 * statistics.median(some), 1) for name, some in sorted(by_way.items())
        },
    }


def main() -> int:
    """Measure *runs* changes, and tell."""
    parser = arguments(__doc__, runs=500)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--idle", type=float, default=10, help="seconds with writers alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    result = measure(options.runs, options.writers, options.idle)
    if options.json is not None:
        options.json.mkdir(parents=True, exist_ok=True)
        (options.json / "watch.json").write_text(json.dumps(result, indent=1) + "\n")
    print("                    changes   median      p99      max  ms")
    for phase in ("quiet", "beside_writers"):
        for who in ("watch", "polling"):
            row = result[phase][who]
            print(
                f"{phase:<14}  {who:<7}  {row['changes']:>5}  {row['median_ms']:>8}"
                f" {row['p99_ms']:>8} {row['max_ms']:>8}"
            )
    idle = result["writers"]
    print(
        f"{idle['writers']} writers for {idle['seconds']} s:"
        f" {idle['percent_of_a_core']} % of a core, {idle['rechecks']} re-checks;"
        f" load {result['load_before']:.1f} - {result['load_after']:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
