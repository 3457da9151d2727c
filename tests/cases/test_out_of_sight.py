"""A session runs out of a launcher's sight: in another pid namespace, or without ``/proc``.

What is called there must not start the session a second time, and must end or discard nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

import pytest

from launcher.processes import command_line, identify
from tests.cases.vm import Work, said
from tests.places import NEEDS_ROOT, place, without_proc
from tests.vm import Vm, wait_until

HIDDEN = (
    "runs out of sight in another container or pid namespace (host name {host}), and was not "
    "touched; its lock is held: {lock}; stop it there: launcher down work"
)
UNSEEN = (
    "no process can be seen: /proc is not mounted here, or belongs to another pid namespace "
    "(fix: mount -t proc proc /proc)"
)
LINES = {
    "up": "  work  primary  failed   {words}",
    "down": "  work  primary  failed   {words}",
    "switch work backup": "launcher: session work {words}",
}
RED = "  found     no process can be seen: /proc is not mounted here, or is another namespace's"
LINES_UNSEEN = {
    "up": (1, RED),
    "down": (69, f"launcher: {UNSEEN}"),
    "switch work backup": (1, RED),
}
RUNS, STARTED, STOPPED = (
    f"  work  primary  {state}" for state in ("running", "started", "stopped")
)

BACKEND = pytest.mark.parametrize("backend", ["process", "tmux"])


@pytest.fixture
def container(vm: Vm) -> Iterator[list[str]]:
    """Return how a verb is called in a pid namespace that shares all files with this one."""
    with place(vm, "container") as made:
        yield made.prefix


@NEEDS_ROOT
@BACKEND
@pytest.mark.parametrize("verb", LINES)
@pytest.mark.thorough
def test_launcher_in_a_container_leaves_the_session_outside_alone(
    vm: Vm, container: list[str], backend: str, verb: str
) -> None:
    work = Work(vm, backend)
    pid = work.up()
    done = vm.run(*verb.split(), prefix=container)
    assert LINES[verb].format(words=_hidden(vm)) in said(done), said(done)
    assert (69, [pid], ["primary"]) == (done.returncode, work.pids, work.homes)
    work.assert_one_writer_of_all_turns()
    assert 1 == _count(vm.run("status"), RUNS)


@pytest.mark.thorough
@pytest.mark.sampled(2)
@NEEDS_ROOT
@BACKEND
@pytest.mark.parametrize("empty", [False, True], ids=["no proc", "an empty proc"])
@pytest.mark.parametrize("verb", LINES_UNSEEN)
def test_launcher_that_sees_no_process_leaves_the_session_alone(
    vm: Vm, backend: str, empty: bool, verb: str
) -> None:
    work = Work(vm, backend)
    pid = work.up()
    code, line = LINES_UNSEEN[verb]
    done = vm.run(*verb.split(), prefix=without_proc(empty=empty))
    assert any(words.endswith(line.strip()) for words in said(done)), said(done)
    assert (code, [pid], ["primary"]) == (done.returncode, work.pids, work.homes)
    work.assert_one_writer_of_all_turns()
    assert 1 == _count(vm.run("status"), RUNS)


@pytest.mark.sampled(1)
@NEEDS_ROOT
@BACKEND
def test_program_that_is_no_claude_is_not_started_twice_either(
    vm: Vm, container: list[str], backend: str
) -> None:
    vm.write({"work": ["sleep", "613"]}, backend=backend, timeout=60)
    assert 0 == vm.run("up").returncode
    (pid,) = _sleepers(vm)
    done = vm.run("up", prefix=container)
    assert LINES["up"].format(words=_hidden(vm)) in said(done), said(done)
    assert (69, [pid]) == (done.returncode, _sleepers(vm))


@pytest.mark.sampled(1)
@NEEDS_ROOT
@BACKEND
def test_session_of_a_container_that_has_ended_is_started(vm: Vm, backend: str) -> None:
    work = Work(vm, backend)
    with place(vm, "container") as container:
        first = vm.run("up", prefix=container.prefix)
        assert (0, 1) == (first.returncode, _count(first, STARTED)), said(first)
        wait_until(lambda: work.pids, "its client runs")
    wait_until(lambda: not work.pids, "it has ended with the container")
    work.up()
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
@pytest.mark.sampled(1)
@BACKEND
def test_session_in_sight_runs_is_stopped_and_is_started_again(vm: Vm, backend: str) -> None:
    work = Work(vm, backend)
    pid = work.up()
    again = vm.run("up")
    assert (0, [pid], 1) == (again.returncode, work.pids, _count(again, RUNS)), said(again)
    work.down()
    assert 1 == _count(vm.run("status"), STOPPED)
    work.up()
    work.assert_one_writer_of_all_turns()


def _hidden(vm: Vm) -> str:
    lock = vm.state / "holders" / "work.lock"
    with open("/proc/sys/kernel/hostname", encoding="utf-8") as file:
        return HIDDEN.format(host=file.read().strip(), lock=lock)


def _count(done: subprocess.CompletedProcess[str], begin: str) -> int:
    """Return how many lines begin with *begin*."""
    return sum(line.startswith(begin) for line in said(done))


def _sleepers(vm: Vm) -> Sequence[int]:
    found = [process for pid in vm.processes() if (process := identify(pid)) is not None]
    return [one.pid for one in found if command_line(one)[1:] == ["613"]]
