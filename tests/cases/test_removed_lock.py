"""Somebody removes the lock file while a launcher works: the next one waits all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cases.vm import said
from tests.vm import Vm, wait_until

PROGRAM = "work  primary"
STARTED, RUNNING = f"  {PROGRAM}  started", f"  {PROGRAM}  running"
SLOW = '''\
import pathlib
import time

def test_slow():
    """It takes as long as somebody lets it."""
    here = pathlib.Path(__file__).parent
    began = time.monotonic()
    (here / "waits").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    with (here / "gates").open("a") as file:
        file.write(f"{began} {time.monotonic()}\\n")
    assert here
'''


@pytest.fixture
def slow(vm: Vm) -> Vm:
    """Return a VM whose gate lasts until a file ``go`` is there; its lock is the only one."""
    own = vm.root / "own"
    own.mkdir(mode=0o755)
    (own / "test_slow.py").write_text(SLOW)
    vm.state = vm.user_home / ".local/state/claude-failover"  # the default: there is no second lock
    vm.write({"work": ["sleep", "600"]}, invariants=[str(own)], timeout=60)
    return vm


@pytest.fixture
def first(slow: Vm) -> Iterator[subprocess.Popen[str]]:
    """Let an ``up`` hold the lock: its gate waits."""
    command = [sys.executable, "-m", "launcher", "--inventory", str(slow.inventory), "up"]
    with subprocess.Popen(
        command, env=slow.environ, cwd=slow.root, text=True, stdout=subprocess.PIPE
    ) as process:
        wait_until((slow.root / "own" / "waits").exists, "its gate is under way")
        yield process
        process.kill()


@pytest.mark.thorough
@pytest.mark.sampled(1)
@pytest.mark.parametrize("removed", [False, True], ids=["lock", "no lock"])
def test_session_is_started_once_whether_the_lock_is_removed_or_not(
    slow: Vm, first: subprocess.Popen[str], removed: bool
) -> None:
    waits = slow.root / "own" / "waits"
    waits.unlink()
    if removed:
        (slow.state / "lock").unlink()
    command = [sys.executable, "-m", "launcher", "--inventory", str(slow.inventory), "up"]
    with subprocess.Popen(
        command, env=slow.environ, cwd=slow.root, text=True, stdout=subprocess.PIPE
    ) as second:
        wait_until(lambda: _has_open(second.pid, slow.state), "the second one comes to the lock")
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(2)  # time enough for a gate of its own
        assert not waits.exists(), "two gates are at work at the same time"
        (slow.root / "own" / "go").touch()
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (0, 0) == (first.returncode, second.returncode), outputs
    gates = [line.split() for line in (slow.root / "own" / "gates").read_text().splitlines()]
    (_, end), (begin, _) = sorted(gates, key=lambda gate: float(gate[0]))
    assert float(end) < float(begin), "two gates were at work at the same time"
    states = [[line for line in text.splitlines() if PROGRAM in line] for text in outputs]
    assert [STARTED, RUNNING] == [line[: len(STARTED)] for (line,) in states]
    status = slow.run("status")
    assert 1 == sum(line.startswith(RUNNING) for line in said(status)), said(status)


def _has_open(pid: int, directory: Path) -> bool:
    """Tell whether a process has *directory* open, or a file in it."""
    places = Path(f"/proc/{pid}/fd")
    with suppress(OSError):
        return any(os.readlink(place).startswith(str(directory)) for place in places.iterdir())
    return False
