"""Processes: told apart by more than a pid, and ended with all that they started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from launcher.errors import Interrupted
from launcher.interrupts import Interrupts
from launcher.processes import Process, boot_id, end, identify
from tests.vm import wait_until


class Leaders:
    """Starts programs that lead sessions of their own; all of them are ended with the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, *argv: str) -> Process:
        child = subprocess.Popen(argv, cwd=self.directory, start_new_session=True)
        self.started.append(child)
        found = identify(child.pid)
        assert found is not None
        return found

    def script(self, script: str) -> Process:
        """Run a shell script; return once it has made the file ``ready``."""
        ready = self.directory / "ready"
        process = self.run("sh", "-c", script)
        wait_until(ready.exists, "the script is ready")
        ready.unlink()
        return process

    def pid(self, name: str) -> int:
        """Return the pid that a script wrote down."""
        return int((self.directory / name).read_text())


@pytest.fixture
def leaders(tmp_path: Path) -> Iterator[Leaders]:
    """Return what starts session leaders, and leaves none behind."""
    made = Leaders(tmp_path)
    yield made
    for child in made.started:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if fields[3] == str(child.pid):
                os.kill(int(stat.parent.name), signal.SIGKILL)
        child.wait()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    with Interrupts() as noted:
        yield noted


def is_gone(pid: int) -> bool:
    found = identify(pid)
    return found is None or not found.is_alive()


def test_process_is_alive_until_it_ends(leaders: Leaders) -> None:
    process = leaders.run("sleep", "300")
    assert process.is_alive()
    assert process == identify(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    leaders.started[0].wait()
    assert not process.is_alive()
    assert identify(process.pid) is None


@pytest.mark.parametrize("name", ["two words", "a) Z 1 1", "(", ")) S", "é\nb"])
def test_process_is_known_whatever_its_program_is_called(leaders: Leaders, name: str) -> None:
    program = leaders.directory / name
    shutil.copy(shutil.which("sleep") or "", program)
    process = leaders.run(str(program), "300")
    wait_until(
        lambda: name.encode() in Path(f"/proc/{process.pid}/comm").read_bytes(), "the program runs"
    )
    assert process == identify(process.pid)
    assert process.is_alive()


def test_zombie_is_not_alive(leaders: Leaders) -> None:
    process = leaders.run("true")
    wait_until(lambda: not process.is_alive(), "the process ends")
    assert process == identify(process.pid)


def test_another_process_with_the_same_pid_is_not_taken_for_it(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.run("sleep", "300")
    earlier = Process(process.pid, process.start - 1)
    assert not earlier.is_alive()
    assert [] == end([earlier], interrupts)
    assert process.is_alive()


def test_boot_has_an_id() -> None:
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() == boot_id()


def test_boot_has_no_id_where_the_kernel_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.processes._BOOT_ID", "/not/there")
    assert boot_id() is None


def test_process_is_ended_politely(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done")
    assert [] == end([process], interrupts)
    assert (leaders.directory / "polite").exists()
    assert not process.is_alive()


def test_process_that_ignores_politeness_is_ended_for_sure(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.script("trap '' TERM; > ready; while :; do sleep 1; done")
    before = monotonic()
    assert [] == end([process], interrupts, grace=0.2)
    assert 0.2 <= monotonic() - before < 2
    assert not process.is_alive()


def test_stopped_process_is_ended_politely(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done")
    os.killpg(process.pid, signal.SIGSTOP)
    assert [] == end([process], interrupts)
    assert (leaders.directory / "polite").exists()


def test_all_are_ended_at_once(leaders: Leaders, interrupts: Interrupts) -> None:
    stubborn = "trap '' TERM; > ready; while :; do sleep 1; done"
    processes = [leaders.script(stubborn) for _ in range(4)]
    before = monotonic()
    assert [] == end(processes, interrupts, grace=0.3)
    assert monotonic() - before < 0.9


def test_child_that_outlives_its_leader_is_ended_too(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    """A wrapper dies of the polite signal while what it started goes on writing."""
    child = "trap '' TERM; echo $$ > child; > ready; while :; do sleep 1; done"
    process = leaders.script(f'sh -c "{child.replace("$", chr(92) + "$")}"; true')
    assert [] == end([process], interrupts, grace=0.3)
    assert is_gone(leaders.pid("child"))


def test_child_that_needs_a_while_is_given_it(leaders: Leaders, interrupts: Interrupts) -> None:
    child = "trap 'sleep 0.3; > saved; exit' TERM; > ready; while :; do sleep 0.01; done"
    process = leaders.script(f'sh -c "{child}"; true')
    assert [] == end([process], interrupts)
    assert (leaders.directory / "saved").exists()


def test_child_in_a_group_of_its_own_is_asked_politely_too(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    child = "trap '> polite; exit' TERM; > ready; while :; do sleep 0.01; done"
    python = f"import subprocess as s; s.run(['sh', '-c', {child!r}], process_group=0)"
    (leaders.directory / "wrapper").write_text(python)
    process = leaders.script(f"exec {sys.executable} -ISs wrapper")
    assert [] == end([process], interrupts)
    assert (leaders.directory / "polite").exists()


def test_child_that_left_the_session_is_left_alone(
    leaders: Leaders, interrupts: Interrupts
) -> None:
    process = leaders.script("setsid sh -c 'echo $$ > child; > ready; exec sleep 300' & wait")
    assert [] == end([process], interrupts)
    apart = leaders.pid("child")
    assert not is_gone(apart)
    os.kill(apart, signal.SIGKILL)


def test_wait_for_an_end_can_be_interrupted(leaders: Leaders, interrupts: Interrupts) -> None:
    process = leaders.script("trap '' TERM; > ready; while :; do sleep 1; done")
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        end([process], interrupts)
    assert process.is_alive()


def test_process_that_cannot_be_ended_is_returned(
    leaders: Leaders, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that does not get through stands for one that the process cannot take."""
    process = leaders.run("sleep", "300")
    monkeypatch.setattr("launcher.processes._SURE", 0.1)

    def refused(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr("os.killpg", refused)
        assert [process] == end([process], interrupts, grace=0.1)
    assert process.is_alive()
