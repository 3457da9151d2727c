"""Own invariants under watch: no report is green without them, nor while they take their time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm import Vm
from tests.watch.conftest import Watcher

Watching = Callable[..., Watcher]
TEST = """
import os, time

def test_flag_is_away():
    until = time.monotonic() + {seconds}
    while os.path.exists({slow!r}) and time.monotonic() < until:
        time.sleep(0.01)
    assert not os.path.exists({flag!r})
"""


def write(vm: Vm, seconds: float = 0) -> tuple[Path, Path]:
    """Give the VM an own invariant; return what breaks it, and what slows it down."""
    own, flag, slow = vm.root / "own", vm.root / "flag", vm.root / "slow"
    own.mkdir(mode=0o700)
    file = own / "test_flag.py"
    file.write_text(TEST.format(seconds=seconds, slow=str(slow), flag=str(flag)))
    file.chmod(0o600)
    vm.write(invariants=[str(own)], more="[watch]\ninterval = 3600")
    return flag, slow


def test_watch_judges_them_with_the_rest(vm: Vm, watching: Watching) -> None:
    flag, _ = write(vm)
    flag.touch()
    watcher = watching(vm)
    watcher.until("red")
    assert ["flag_is_away"] == [failure["invariant"] for failure in vm.report["failures"]]
    flag.unlink()
    watcher.process.send_signal(signal.SIGHUP)
    watcher.until("green")
    assert (22, 22) == (vm.report["expected"], vm.report["passed"])


@pytest.mark.thorough
def test_a_change_is_heard_while_they_run(vm: Vm, watching: Watching) -> None:
    _, slow = write(vm, seconds=20)
    watcher = watching(vm)
    watcher.until("green")
    slow.touch()
    vm.diverge()
    watcher.until("unknown", "a green that may be wrong by now is taken back")
    assert "not judged yet" in vm.report["reason"]
    slow.unlink()
    watcher.until("red")
    assert ["link_is_shared"] == [failure["invariant"] for failure in vm.report["failures"]]


def test_edit_of_a_file_is_seen(vm: Vm, watching: Watching) -> None:
    write(vm)
    watcher = watching(vm)
    watcher.until("green")
    file = vm.root / "own" / "test_flag.py"
    before = file.read_text()
    file.write_text("def test_flag_is_away():\n    assert [] == [1]\n")
    watcher.until("red", "the file says something else")
    file.write_text(before)
    watcher.until("green", "it says what it did")
