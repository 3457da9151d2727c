"""Processes: told apart by more than a pid."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from launcher.processes import _has_kill, boot_id, identify
from tests.leaders import Leaders
from tests.vm import wait_until


def test_process_is_alive_until_it_ends(leaders: Leaders) -> None:
    process = leaders.run("sleep", "300")
    assert process.is_alive()
    assert process == identify(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    leaders.started[0].wait()
    assert not process.is_alive()
    assert identify(process.pid) is None


def test_kill_that_a_process_cannot_take_yet_is_seen(leaders: Leaders) -> None:
    """The second is of a stat(1) that was killed on a FUSE mount whose server does not answer."""
    process = leaders.run("sleep", "300")
    assert not process.is_killed()
    status = [b"State:\tD (disk sleep)\n", b"SigPnd:\t0000000000000100\n", b"ShdPnd:\t0\n"]
    assert _has_kill(status)
    os.kill(process.pid, signal.SIGKILL)
    leaders.started[0].wait()
    assert not process.is_killed()


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


def test_boot_has_an_id() -> None:
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() == boot_id()


def test_boot_has_no_id_where_the_kernel_tells_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.processes._BOOT_ID", str(tmp_path / "boot_id"))
    assert boot_id() is None
