"""The VM changes once the gate has looked at it, before the verdict is published or acted on."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "case 41 of an audit of this program"
SLOW = '''\
import os, time

def test_slow():
    """It takes its time."""
    open({reached!r}, "w").close()
    while not os.path.exists({go!r}):
        time.sleep(0.01)
    assert os.path.exists({go!r})
'''
Done = subprocess.CompletedProcess[str]


class Slow:
    """A VM with an own invariant that waits; what is told while it does comes behind the gate."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.ran = vm.root / "ran"
        self._reached, self._go = vm.root / "reached", vm.root / "go"
        own = vm.root / "own"
        own.mkdir(mode=0o755)
        text = SLOW.format(reached=str(self._reached), go=str(self._go))
        (own / "test_slow.py").write_text(text)
        vm.write({"api": ["sh", "-c", f"touch {self.ran}; exec sleep 600"]}, invariants=[str(own)])

    def call(self, verb: str, change: Callable[[Vm], object]) -> Done:
        """Call *verb*, and *change* the VM while the own invariant is judged."""
        words = {"run": ["run", "backup", "--", "touch", str(self.ran)]}.get(verb, [verb])
        with ThreadPoolExecutor() as pool:
            done = pool.submit(self.vm.run, *words)
            wait_until(lambda: self._reached.exists() or done.done(), "the own invariant runs")
            change(self.vm)
            self._go.touch()
            return done.result()


def turned(vm: Vm) -> None:
    vm.diverge()


def home_moved(vm: Vm) -> None:
    vm.home("backup").rename(vm.root / "moved-home")


def home_open_to_all(vm: Vm) -> None:
    vm.home("primary").chmod(0o777)


def target_moved(vm: Vm) -> None:
    vm.target("projects").rename(vm.shared / "away")


CHANGES = {
    "link": (turned, "  backup projects: divergent"),
    "home moved": (home_moved, "  home of backup: missing"),
    "home open": (home_open_to_all, "  home of primary: writable-by-others"),
    "target moved": (target_moved, "  target of projects: missing"),
}
VERBS = ["check", "up", "run"]


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.sampled(2)
def test_change_behind_the_gate_is_no_green_and_starts_nothing(
    vm: Vm, verb: str, what: str
) -> None:
    change, line = CHANGES[what]
    slow = Slow(vm)
    done = slow.call(verb, change)
    lines = [one.removeprefix("launcher: ") for one in said(done)]
    assert (1, "red") == (done.returncode, vm.report["verdict"]), lines
    assert line in lines
    assert lines[lines.index(line) + 3].startswith("    fix       "), lines
    assert not slow.ran.exists()
    assert {"held"} == {session["state"] for session in vm.report["sessions"]}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.thorough
def test_change_that_nothing_depends_on_leaves_it_green(vm: Vm, verb: str) -> None:
    slow = Slow(vm)
    done = slow.call(verb, lambda vm: (vm.target("projects") / "-another").mkdir())
    assert (0, "green") == (done.returncode, vm.report["verdict"]), said(done)
    assert (verb != "check") == slow.ran.exists()


@contextmanager
def conversations_held(vm: Vm) -> Iterator[None]:
    """Hold the lock of conversations, as another launcher does that looks who has one open."""
    descriptor = os.open(vm.target("projects"), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def meanwhile(vm: Vm, change: Callable[[Vm], object], *words: str) -> Done:
    """Call a verb that is green and then waits for a lock; *change* the VM while it waits."""
    before = vm.report["started"] if vm.report_path.exists() else 0.0
    with ThreadPoolExecutor() as pool:
        with conversations_held(vm):
            done: Future[Done] = pool.submit(vm.run, *words)
            wait_until(lambda: done.done() or _is_green(vm, before), "green is published")
            change(vm)
        return done.result()


def _is_green(vm: Vm, before: float) -> bool:
    report = vm.report if vm.report_path.exists() else {}
    return report.get("verdict") == "green" and report["started"] > before


def client(vm: Vm) -> Path:
    program = vm.root / "hand" / "claude"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {vm.root}/ran\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(("change", "code"), [(turned, 1), (lambda vm: None, 0)])
def test_command_that_waited_for_a_conversation_s_lock_is_judged_again(
    vm: Vm, change: Callable[[Vm], object], code: int
) -> None:
    done = meanwhile(vm, change, "run", "backup", "--", str(client(vm)), "--resume", str(uuid4()))
    assert code == done.returncode, said(done)
    assert ["green", "red"][code] == vm.report["verdict"]
    assert (code == 0) == (vm.root / "ran").exists()


@pytest.mark.parametrize(("change", "code"), [(turned, 1), (lambda vm: None, 0)])
@pytest.mark.thorough
def test_session_is_not_ended_for_a_switch_that_is_no_longer_green(
    vm: Vm, change: Callable[[Vm], object], code: int
) -> None:
    work = Work(vm)
    pid = work.up()
    done = meanwhile(vm, change, "switch", "work", "backup")
    assert code == done.returncode, said(done)
    assert ["green", "red"][code] == vm.report["verdict"]
    assert (code == 1) == (work.pids == [pid])
    if code:
        assert "work: primary -> backup: not switched; the gate is not green" in said(done)
    work.assert_one_writer_of_all_turns()
