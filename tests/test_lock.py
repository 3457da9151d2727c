"""The lock: one launcher at a time, named to whoever waits, and never stale."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.errors import Interrupted, Locked, NotJudged
from launcher.interrupts import Interrupts
from launcher.lock import locked
from tests.vm import CHECKOUT, UNPRIVILEGED, Vm

_HOLDER = """\
import signal, sys
from launcher.interrupts import Interrupts
from launcher.lock import locked
with Interrupts() as interrupts, locked(sys.argv[1], "down", interrupts):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait long for the lock."""
    monkeypatch.setattr("launcher.lock.PATIENCE", 0.2)


@contextmanager
def holder(state: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock of *state*."""
    command = [sys.executable, "-c", _HOLDER, str(state)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            assert "held\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("impatient")
def test_second_launcher_is_told_who_is_at_work(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path) as process:
        told = rf"another launcher is at work \(pid {process.pid}, launcher down\): {tmp_path}/lock"
        with pytest.raises(Locked, match=told), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")
    assert 75 == Locked.code


def test_second_launcher_waits_for_the_first(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        with locked(str(tmp_path), "up", interrupts):
            text = (tmp_path / "lock").read_text()
    assert f"pid {os.getpid()}, launcher up\n" == text


def test_lock_goes_with_a_holder_that_is_killed(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with locked(str(tmp_path), "up", interrupts):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()


@pytest.mark.usefixtures("impatient")
def test_lock_is_free_behind_a_verb_that_fails(tmp_path: Path, interrupts: Interrupts) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(KeyError), locked(str(tmp_path), "up", interrupts):
        raise KeyError
    with locked(str(tmp_path), "up", interrupts):
        pass
    assert before == os.listdir("/proc/self/fd")


def test_wait_for_the_lock_ends_with_a_signal(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")


@pytest.mark.usefixtures("impatient")
def test_lock_holds_on_a_full_disk(tmp_path: Path, interrupts: Interrupts) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with locked(str(tmp_path), "up", interrupts):
            again = pytest.raises(Locked)
            with again, locked(str(tmp_path), "down", interrupts):
                raise AssertionError("two launchers at once")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("obstacle", ["file", "directory", "link"])
def test_place_that_cannot_be_locked_is_not_judged(
    tmp_path: Path, interrupts: Interrupts, obstacle: str
) -> None:
    state = tmp_path / "state"
    if obstacle == "file":
        state.write_text("")
    elif obstacle == "directory":
        (state / "lock").mkdir(parents=True)
    else:
        state.mkdir()
        (state / "lock").symlink_to(tmp_path / "elsewhere")
    refused = pytest.raises(NotJudged, match=rf"no lock can be taken: {state}/lock: ")
    with refused, locked(str(state), "up", interrupts):
        raise AssertionError("no lock, and no word")
    assert not (tmp_path / "elsewhere").exists()


def test_state_directory_that_cannot_be_written_is_unknown(vm: Vm) -> None:
    vm.state.mkdir(mode=0o500)
    vm.write({"work": ["sleep", "300"]})
    done = vm.run("up", prefix=UNPRIVILEGED)
    assert 70 == done.returncode
    assert f"no lock can be taken: {vm.state}/lock: Permission denied" in done.stderr
    assert [] == vm.processes()


def test_verb_that_writes_waits_and_one_that_reads_does_not(vm: Vm) -> None:
    vm.write({"work": ["sleep", "300"]})
    vm.state.mkdir()
    with holder(vm.state):
        done = vm.run("status", "--json")
        assert ["stopped"] == [one["state"] for one in json.loads(done.stdout)["sessions"]]
        patience = "import launcher.lock, sys; launcher.lock.PATIENCE = 0.1"
        script = f"{patience}; from launcher.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", script, "--inventory", str(vm.inventory)]
        for verb in ("check", "up", "down", "ensure"):
            locked_out = subprocess.run(
                [*command, verb], env=vm.environ, capture_output=True, text=True, check=False
            )
            assert (verb, 75) == (verb, locked_out.returncode)
            assert "launcher: another launcher is at work (pid" in locked_out.stderr
    assert not vm.report_path.exists()
    assert [] == vm.processes()


@pytest.mark.usefixtures("impatient")
def test_launchers_exclude_each_other_while_the_state_directory_is_moved(
    tmp_path: Path, interrupts: Interrupts
) -> None:
    default, before, after = (str(tmp_path / name) for name in ("default", "before", "after"))
    with (
        locked(before, "up", interrupts, also=default),
        pytest.raises(Locked),
        locked(after, "up", interrupts, also=default),
    ):
        pytest.fail("two launchers are at work")


@pytest.mark.parametrize("also", ["file/lock", "~nobody-at-all/x"])
def test_default_place_that_cannot_be_is_passed_over(
    tmp_path: Path, interrupts: Interrupts, also: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    place = also if also.startswith("~") else str(tmp_path / also)
    with locked(str(tmp_path / "state"), "up", interrupts, also=place):
        assert ["file", "state"] == sorted(os.listdir(tmp_path))


def test_default_place_that_is_the_state_directory_is_locked_once(vm: Vm) -> None:
    text = vm.inventory.read_text()
    state = vm.user_home / ".local" / "state" / "claude-failover"
    vm.inventory.write_text(text.replace(str(vm.state), str(state)))
    assert 0 == vm.run("check").returncode
    assert (state / "lock").exists()
