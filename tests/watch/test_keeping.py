"""A watch keeps its report true as long as it is seen at work; readers notice at once, or soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from invariants.inventory import load
from launcher import keeping
from launcher.frozen import is_frozen
from launcher.processes import Process, identify
from launcher.report import published
from launcher.verdict import Colour, Gate, Verdict
from launcher.watch.telling import Telling
from tests.cases.vm import said
from tests.formats.conftest import documents, told
from tests.formats.told import Told
from tests.groups import remove
from tests.test_history import failure
from tests.vm import Vm, wait_until
from tests.watch.conftest import Watcher

__all__ = ["documents", "told"]

Watching = Callable[..., Watcher]
LONG = "[watch]\ninterval = 3600"
GREEN = "CLAUDE_FAILOVER OK - all 21 invariants hold | "
UNKNOWN = "CLAUDE_FAILOVER UNKNOWN - the launcher watch that kept it true "

# Hierarchies of control groups that can freeze: the unified one, and that of version 1.
_TOP = Path("/sys/fs/cgroup")
_FILES = {"cgroup.freeze": ("1", "0"), "freezer.state": ("FROZEN", "THAWED")}
_TOPS = {
    "cgroup.freeze": next((one for one in (_TOP / "unified", _TOP) if one.is_dir()), _TOP),
    "freezer.state": _TOP / "freezer",
}
HIERARCHIES = [name for name, top in _TOPS.items() if (top / "cgroup.procs").exists()]


def status(vm: Vm) -> tuple[int, str]:
    """Return the exit code and the line that a monitor sees."""
    done = vm.run("status", "--format", "nagios")
    return done.returncode, said(done)[0]


def gate(at: float | None = None) -> Gate:
    """Return a red gate that ended at *at*, or now."""
    at = time.time() if at is None else at
    return Gate(Verdict(Colour.RED, None, (failure("backup"),), 21, 20), {}, at, at)


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_removed(made: Path) -> bool:
    """End what is in a group and remove it; tell whether it is gone."""
    remove([made])
    return not made.exists()


@contextmanager
def group(name: str, pid: int) -> Iterator[Path]:
    """Put a process below a new control group in the hierarchy that has the file *name*.

    What is left in it is ended. A manager of systemd's may remove a group that is empty.
    """
    made = _TOPS[name] / f"test-keeping-{os.getpid()}"
    (made / "below").mkdir(parents=True)
    (made / "below" / "cgroup.procs").write_text(str(pid))
    try:
        yield made
    finally:
        (made / name).write_text(_FILES[name][1])
        wait_until(lambda: is_removed(made), "the group is gone")


def test_stopped_watch_keeps_nothing(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    code, line = status(vm)
    assert (0, True) == (code, line.startswith(GREEN)), line
    watcher.send(signal.SIGSTOP)
    wait_until(lambda: process_state(watcher.process.pid) == "T", "it is stopped")
    code, line = status(vm)
    stopped = f"{UNKNOWN}is stopped: kill -CONT {watcher.process.pid} | "
    assert (3, True) == (code, line.startswith(stopped)), line
    watcher.send(signal.SIGCONT)
    watcher.wait(lambda: status(vm)[0] == 0, "it goes on")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups here")
@pytest.mark.skipif(not HIERARCHIES, reason="no hierarchy of control groups is mounted here")
@pytest.mark.parametrize("name", HIERARCHIES)
@pytest.mark.thorough
def test_frozen_watch_keeps_nothing(vm: Vm, watching: Watching, name: str) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    with group(name, watcher.process.pid) as own:
        assert not is_frozen(watcher.process.pid)
        assert 0 == status(vm)[0]
        (own / name).write_text(_FILES[name][0])
        wait_until(lambda: is_frozen(watcher.process.pid), "it is frozen with the group above")
        code, line = status(vm)
        frozen = f"{UNKNOWN}is frozen with its control group (pid {watcher.process.pid}) | "
        assert (3, True) == (code, line.startswith(frozen)), line
        (own / name).write_text(_FILES[name][1])
        watcher.wait(lambda: status(vm)[0] == 0, "it is thawed")
        watcher.end()


@pytest.mark.thorough
def test_time_of_the_report_is_renewed_whatever_the_interval(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    os.utime(vm.report_path, (1, 1))  # somebody touches it: a change of the report, judged anew
    watcher.wait(lambda: vm.report_path.stat().st_mtime > 1, "the report is a new one")
    before, inode = vm.report_path.stat().st_mtime, vm.report_path.stat().st_ino
    # A second: right after it was published its time is set anew as well.
    watcher.wait(lambda: vm.report_path.stat().st_mtime > before + 1, "its time is renewed")
    assert inode == vm.report_path.stat().st_ino, "it is the same report"


SLOW = '''\
import pathlib
import time

def test_slow():
    """It takes as long as a file is there."""
    here = pathlib.Path(__file__).parents[1] / "beside"  # where the watch does not look
    (here / "works").touch()
    while (here / "slow").exists():
        time.sleep(0.01)
    assert here
'''


@pytest.mark.thorough
def test_gate_that_takes_long_lets_nothing_lapse(vm: Vm, watching: Watching) -> None:
    """The report of before is kept while the next gate is at work, as long as nothing changed."""
    own, beside = vm.root / "own", vm.root / "beside"
    beside.mkdir()
    own.mkdir(mode=0o755)
    (own / "test_slow.py").write_text(SLOW)
    # Processes of other tests would have it look, and take its green back where that takes long.
    more = '[watch]\ninterval = 1\n[invariants.off]\nsingle-writer = "a busy machine"'
    vm.write(invariants=[str(own)], timeout=120, more=more)
    watcher = watching(vm)
    (beside / "slow").touch()
    (beside / "works").unlink()
    watcher.wait((beside / "works").exists, "a gate is at work")
    finished, before = vm.report["finished"], vm.report_path.stat().st_mtime
    watcher.wait(lambda: vm.report_path.stat().st_mtime > before + 1, "its time is renewed")
    assert (finished, 0) == (vm.report["finished"], status(vm)[0]), vm.report["reason"]
    (beside / "slow").unlink()
    watcher.wait(lambda: vm.report["finished"] > finished, "the gate has ended")


@pytest.mark.parametrize("copy", ["in place", "over it"])
@pytest.mark.thorough
def test_old_green_of_its_own_over_the_red_report_is_replaced(
    vm: Vm, watching: Watching, copy: str
) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    old = vm.report_path.read_bytes()
    vm.diverge()
    watcher.until("red")
    if copy == "in place":
        vm.report_path.write_bytes(old)
    else:
        (vm.root / "old").write_bytes(old)
        (vm.root / "old").rename(vm.report_path)
    watcher.until("red", "again")


def test_report_that_is_replaced_as_soon_as_it_is_there_is_not_taken_for_the_one_published(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory, me = load(str(vm.inventory)), identify(os.getpid())
    telling = Telling(vm.environ, print, me, print)
    assert telling.publish(inventory, gate(1.0), ())
    old = vm.report_path.read_bytes()

    def published_and_replaced(*arguments: object, **more: object) -> Gate:
        made = published(*arguments, **more)  # type: ignore[arg-type]  # passed through
        vm.report_path.write_bytes(old)
        return made

    monkeypatch.setattr("launcher.report.published", published_and_replaced)
    assert not telling.publish(inventory, gate(2.0), ())
    assert not telling.stands(inventory)
    monkeypatch.setattr("launcher.watch.telling.RENEWAL", 0.0)
    before = vm.report_path.stat().st_mtime_ns
    telling.renew(inventory)
    assert before == vm.report_path.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("age", "problem"),
    [
        (0.0, None),
        (14.0, None),
        (16.0, f"{keeping._WATCH} last said so 16 s ago, and every 5 s if it is well"),
        (3600.0, f"{keeping._WATCH} last said so 3600 s ago, and every 5 s if it is well"),
        (-30.0, f"{keeping._WATCH} said so in the future: the clock was set back"),
    ],
)
@pytest.mark.parametrize("colour", ["green", "red"])
def test_report_that_is_not_kept_does_not_count(
    told: Told, colour: str, age: float, problem: str | None
) -> None:
    keeper = identify(os.getpid())
    assert keeper is not None
    document = told.document(colour)
    document["failover"]["keeper"] = {"pid": keeper.pid, "start": keeper.start}
    told.tell(document)
    kept_at = time.time() - age
    os.utime(told.vm.report_path, (kept_at, kept_at))
    reading = told.reading()
    assert problem == reading.problem
    assert (Colour(colour) if problem is None else Colour.UNKNOWN) is reading.verdict


def test_report_that_nobody_is_said_to_keep_counts_by_its_age_alone(told: Told) -> None:
    """The check timer writes it, and a backup may set its time."""
    told.case("green")
    os.utime(told.vm.report_path, (1, 1))
    assert Colour.GREEN is told.reading().verdict


def test_process_that_was_killed_and_cannot_end_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = identify(os.getpid())
    assert me is not None
    assert keeping.unkept(me, time.time()) is None
    monkeypatch.setattr(Process, "is_killed", lambda _: True)
    assert "was killed, and something keeps it from ending" in str(keeping.unkept(me, time.time()))


def test_traced_process_is_stopped() -> None:
    """What a debugger has stopped does nothing either, whatever its state is called."""
    tracer = """\
import ctypes, os, sys, time
child = os.fork()
if child == 0:
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), 19)
    os._exit(0)
os.waitpid(child, 2)
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)
"""
    with subprocess.Popen(
        [sys.executable, "-c", tracer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        traced = identify(int(process.stdout.readline()))
        assert traced is not None
        assert "t" == process_state(traced.pid)
        assert traced.is_stopped()
        process.communicate("")
    assert not traced.is_stopped()


def test_report_that_could_not_be_published_is_not_renewed(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one that cannot be taken away must not look kept."""
    inventory, me = load(str(vm.inventory)), identify(os.getpid())
    now = time.time()
    telling = Telling(vm.environ, print, me, print)
    red = gate()
    assert telling.publish(inventory, red, ())
    os.utime(vm.report_path, (now, now))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("launcher.report.replace_file", fail)
    monkeypatch.setattr("launcher.report._invalidate", lambda path: "; an older report stands")
    telling.publish(inventory, red, ())
    monkeypatch.setattr("launcher.watch.telling.RENEWAL", 0.0)
    telling.renew(inventory)
    assert now == pytest.approx(vm.report_path.stat().st_mtime, abs=0.001)


def test_report_of_somebody_else_is_not_renewed(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.watch.telling.RENEWAL", 0.0)
    inventory, me = load(str(vm.inventory)), identify(os.getpid())
    telling = Telling(vm.environ, print, me, print)
    red = gate()
    telling.publish(inventory, red, ())
    before = vm.report_path.stat().st_mtime_ns
    telling.renew(inventory)
    assert before < vm.report_path.stat().st_mtime_ns
    published(inventory, red, ())
    before = vm.report_path.stat().st_mtime_ns
    telling.renew(inventory)
    assert before == vm.report_path.stat().st_mtime_ns


def test_time_that_cannot_be_renewed_is_said_once(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.watch.telling.RENEWAL", 0.0)
    words: list[str] = []
    inventory, me = load(str(vm.inventory)), identify(os.getpid())
    telling = Telling(vm.environ, words.append, me, words.append)
    red = gate()
    telling.publish(inventory, red, ())

    def fail(path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr("launcher.watch.telling.renew", fail)
    telling.renew(inventory)
    telling.renew(inventory)
    assert 1 == sum("nobody can see that the report is kept true" in one for one in words)
