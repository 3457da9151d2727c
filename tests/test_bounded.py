"""Looks that hang, fail or are interrupted, in a child that can be given up on."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from launcher.bounded import bounded
from launcher.errors import Interrupted, NotJudged, Unavailable
from launcher.interrupts import Interrupts
from launcher.processes import Process, identify
from tests.vm import CHECKOUT, wait_until


class Hang:
    """A look that never ends; the child that it hangs in is told by its file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self) -> None:
        self.file.with_suffix(".new").write_text(str(os.getpid()))
        self.file.with_suffix(".new").rename(self.file)
        while True:
            signal.pause()

    @property
    def child(self) -> Process | None:
        wait_until(self.file.exists, "the look hangs")
        return identify(int(self.file.read_text()))


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_result_of_a_look_is_returned(interrupts: Interrupts) -> None:
    before = descriptors()
    answer = {"entries": ["é\udcff"] * 100_000, "from": Path("/x")}
    assert answer == bounded(lambda: answer, 20, interrupts)
    assert before == descriptors()


def test_look_takes_place_in_another_process(interrupts: Interrupts) -> None:
    child = bounded(os.getpid, 20, interrupts)
    assert os.getpid() != child
    assert not Path(f"/proc/{child}").exists()


def test_look_that_fails_is_not_judged(interrupts: Interrupts) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(NotJudged, match="no answer came"):
        bounded(fail, 20, interrupts)


def test_answer_that_cannot_be_told_is_not_judged(interrupts: Interrupts) -> None:
    with pytest.raises(NotJudged, match="no answer came"):
        bounded(lambda: lambda: None, 20, interrupts)


def test_error_of_ours_is_raised_where_it_was_asked(interrupts: Interrupts) -> None:
    def refuse() -> None:
        raise Unavailable("notes: Permission denied")

    with pytest.raises(Unavailable, match="notes: Permission denied"):
        bounded(refuse, 20, interrupts)


def test_error_of_ours_that_cannot_be_told_is_not_judged(interrupts: Interrupts) -> None:
    def end() -> None:
        raise Interrupted(signal.SIGINT, "SIGINT")

    with pytest.raises(NotJudged, match="no answer came"):
        bounded(end, 20, interrupts)


def test_look_that_is_killed_is_not_judged(interrupts: Interrupts) -> None:
    with pytest.raises(NotJudged, match="no answer came"):
        bounded(lambda: os.kill(os.getpid(), signal.SIGKILL), 20, interrupts)


def test_look_that_hangs_is_given_up_on_in_time(tmp_path: Path, interrupts: Interrupts) -> None:
    hang = Hang(tmp_path / "child")
    before, started = descriptors(), monotonic()
    with pytest.raises(NotJudged, match=r"within 0\.5 s"):
        bounded(hang, 0.5, interrupts)
    assert 0.5 <= monotonic() - started < 5
    assert before == descriptors()
    child = hang.child
    if child is not None:
        wait_until(lambda: not child.is_alive(), "the child is killed", seconds=3)


def test_look_ends_with_a_signal_to_the_launcher(tmp_path: Path, interrupts: Interrupts) -> None:
    hang = Hang(tmp_path / "child")
    launcher = os.getpid()

    def interrupt() -> None:
        os.kill(launcher, signal.SIGHUP)
        hang()

    with pytest.raises(Interrupted, match="SIGHUP"):
        bounded(interrupt, 20, interrupts)
    if hang.file.exists():
        child = hang.child
        wait_until(lambda: child is None or not child.is_alive(), "the child is killed")


_LAUNCHER = """\
import sys
from pathlib import Path
from launcher.bounded import bounded
from launcher.interrupts import Interrupts
from launcher.lock import locked
from tests.test_bounded import Hang
with Interrupts() as interrupts, locked(sys.argv[1], "up", interrupts):
    bounded(Hang(Path(sys.argv[2])), float(sys.argv[3]), interrupts)
"""


def test_lock_does_not_stay_with_a_look_that_outlives_its_launcher(tmp_path: Path) -> None:
    hang = Hang(tmp_path / "child")
    command = [sys.executable, "-c", _LAUNCHER, str(tmp_path), str(hang.file), "20"]
    with subprocess.Popen(command, cwd=CHECKOUT) as launcher:
        child = hang.child
        launcher.kill()
    assert child is not None
    assert child.is_alive()
    with open(tmp_path / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.kill(child.pid, signal.SIGKILL)


@pytest.mark.thorough
def test_look_that_outlives_its_launcher_ends_by_itself(tmp_path: Path) -> None:
    """It has five seconds more than its launcher would have given it."""
    hang = Hang(tmp_path / "child")
    command = [sys.executable, "-c", _LAUNCHER, str(tmp_path), str(hang.file), "0.9"]
    with subprocess.Popen(command, cwd=CHECKOUT) as launcher:
        child = hang.child
        launcher.kill()
    assert child is not None
    wait_until(lambda: not child.is_alive(), "the look ends", seconds=8)


@pytest.mark.parametrize("call", ["os.fork", "os.memfd_create", "os.pidfd_open"])
def test_machine_without_a_process_to_spare_is_not_judged(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refused(*arguments: object) -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(call, refused)
    with pytest.raises(NotJudged, match="looking at the VM failed: Resource temporarily"):
        bounded(lambda: 1, 5, interrupts)
