"""Groups: all processes of a run, found by their leader and their mark, and ended."""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic

import pytest

from launcher.errors import Interrupted
from launcher.interrupts import Interrupts
from launcher.processes import Process
from launcher.sessions.groups import Group, end
from tests.leaders import Leaders, is_gone


def test_another_process_with_the_same_pid_is_not_taken_for_it(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.run("sleep", "300")
    earlier = Process(process.pid, process.start - 1)
    assert not earlier.is_alive()
    assert [] == end([Group("work", earlier)], interrupts)
    assert process.is_alive()


def test_process_is_ended_politely(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done")
    assert [] == end([Group("work", process)], interrupts)
    assert (leaders.directory / "polite").exists()
    assert not process.is_alive()


def test_process_that_ignores_politeness_is_ended_for_sure(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.script("trap '' TERM; > ready; while :; do sleep 1; done")
    before = monotonic()
    assert [] == end([Group("work", process)], interrupts, grace=0.2)
    assert 0.2 <= monotonic() - before < 2
    assert not process.is_alive()


def test_stopped_process_is_ended_politely(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done")
    os.killpg(process.pid, signal.SIGSTOP)
    assert [] == end([Group("work", process)], interrupts)
    assert (leaders.directory / "polite").exists()


def test_all_are_ended_at_once(leaders: Leaders, interrupts: Interrupts) -> None:
    stubborn = "trap '' TERM; > ready; while :; do sleep 1; done"
    processes = [leaders.script(stubborn) for _ in range(4)]
    before = monotonic()
    assert [] == end([Group("work", process) for process in processes], interrupts, grace=0.6)
    assert monotonic() - before < 4 * 0.6


def test_child_that_outlives_its_leader_is_ended_too(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    """A wrapper dies of the polite signal while what it started goes on writing."""
    child = "trap '' TERM; echo $$ > child; > ready; while :; do sleep 1; done"
    process = leaders.script(f'sh -c "{child.replace("$", chr(92) + "$")}"; true')
    assert [] == end([Group("work", process)], interrupts, grace=0.3)
    assert is_gone(leaders.pid("child"))


def test_child_that_needs_a_while_is_given_it(leaders: Leaders, interrupts: Interrupts) -> None:
    child = "trap 'sleep 0.3; > saved; exit' TERM; > ready; while :; do sleep 0.01; done"
    process = leaders.script(f'sh -c "{child}"; true')
    assert [] == end([Group("work", process)], interrupts)
    assert (leaders.directory / "saved").exists()


def test_child_in_a_group_of_its_own_is_asked_politely_too(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    child = "trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done"
    python = f"import subprocess as s; s.run(['sh', '-c', {child!r}], process_group=0)"
    (leaders.directory / "wrapper").write_text(python)
    process = leaders.script(f"exec {sys.executable} -ISs wrapper")
    assert [] == end([Group("work", process)], interrupts)
    assert (leaders.directory / "polite").exists()


def test_child_that_left_the_session_is_left_alone(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.script("setsid sh -c 'echo $$ > child; > ready; exec sleep 300' & wait")
    assert [] == end([Group("work", process)], interrupts)
    apart = leaders.pid("child")
    assert not is_gone(apart)
    os.kill(apart, signal.SIGKILL)


def test_wait_for_an_end_can_be_interrupted(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '' TERM; > ready; while :; do sleep 1; done")
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        end([Group("work", process)], interrupts)
    assert process.is_alive()


def test_process_that_cannot_be_ended_is_returned(
    leaders: Leaders, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that does not get through stands for one that the process cannot take."""
    process = leaders.run("sleep", "300")
    monkeypatch.setattr("launcher.sessions.groups._SURE", 0.1)

    def refused(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr("os.killpg", refused)
        assert [Group("work", process)] == end([Group("work", process)], interrupts, grace=0.1)
    assert process.is_alive()
