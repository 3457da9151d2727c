"""The lock: one launcher at a time, named to whoever waits, and never stale."""

from __future__ import annotations

import fcntl
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


def is_locked(path: Path) -> bool:
    """Return whether anybody holds the lock of the file at *path*, as an older version sees it."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.usefixtures("impatient")
def test_second_launcher_is_told_who_is_at_work(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path) as process:
        told = rf"another launcher is at work \(pid {process.pid}, launcher down\): {tmp_path}/lock"
        with pytest.raises(Locked, match=told), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")
    assert 75 == Locked.code


@pytest.mark.usefixtures("impatient")
def test_message_says_that_the_lock_is_never_stale(tmp_path: Path, interrupts: Interrupts) -> None:
    with holder(tmp_path) as process:
        told = (
            rf"/lock: wait for it, or see what it does with: ps -fp {process.pid}; the lock is "
            "never stale: .* so do not remove it$"
        )
        with pytest.raises(Locked, match=told), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("left", ["nothing", "an empty file", "an earlier holder's file"])
def test_lock_file_that_is_removed_lets_nobody_in(
    tmp_path: Path, interrupts: Interrupts, left: str
) -> None:
    with holder(tmp_path) as process:
        (tmp_path / "lock").unlink()
        if left != "nothing":
            content = "" if left == "an empty file" else "pid 1, launcher up\n"
            (tmp_path / "lock").write_text(content)
        told = rf"another launcher is at work \(pid {process.pid} \(\w+.*\)\): {tmp_path}/lock: "
        with pytest.raises(Locked, match=told), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")


@pytest.mark.usefixtures("impatient")
def test_lock_file_at_the_default_place_that_is_removed_lets_nobody_in(
    tmp_path: Path, interrupts: Interrupts
) -> None:
    default, before, after = (str(tmp_path / name) for name in ("default", "before", "after"))
    with locked(before, "up", interrupts, also=default):
        os.unlink(f"{default}/lock")
        with pytest.raises(Locked), locked(after, "up", interrupts, also=default):
            pytest.fail("two launchers are at work")


@pytest.mark.usefixtures("impatient")
def test_launcher_of_an_older_version_keeps_others_out(
    tmp_path: Path, interrupts: Interrupts
) -> None:
    """It locks the file only, and may still be at work while its package is upgraded."""
    with (tmp_path / "lock").open("w") as file:
        file.write("pid 4711, launcher adopt\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        told = r"another launcher is at work \(pid 4711, launcher adopt\)"
        with pytest.raises(Locked, match=told), locked(str(tmp_path), "up", interrupts):
            raise AssertionError("two launchers at once")
    with locked(str(tmp_path), "up", interrupts):
        assert is_locked(tmp_path / "lock")


def test_launcher_that_waited_for_a_removed_file_takes_the_one_at_the_path(
    tmp_path: Path, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (tmp_path / "lock").open("w")
    fcntl.flock(old, fcntl.LOCK_EX)

    def sleep(seconds: float) -> None:
        (tmp_path / "lock").unlink()
        old.close()

    monkeypatch.setattr(interrupts, "sleep", sleep)
    with locked(str(tmp_path), "up", interrupts):
        assert f"pid {os.getpid()}, launcher up\n" == (tmp_path / "lock").read_text()
        assert is_locked(tmp_path / "lock")


def test_state_directory_that_was_replaced_meanwhile_is_locked_where_it_is_now(
    tmp_path: Path, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    old = (state / "lock").open("w")
    fcntl.flock(old, fcntl.LOCK_EX)

    def sleep(seconds: float) -> None:
        state.rename(tmp_path / "gone")
        old.close()

    monkeypatch.setattr(interrupts, "sleep", sleep)
    monkeypatch.setattr("launcher.lock.PATIENCE", 0.2)
    with locked(str(state), "up", interrupts):
        assert (state / "lock").read_text().startswith("pid ")
        with pytest.raises(Locked), locked(str(state), "down", interrupts, patience=0):
            pytest.fail("two launchers are at work")


@pytest.mark.usefixtures("impatient")
def test_default_place_that_leads_to_the_state_directory_is_no_second_lock(
    tmp_path: Path, interrupts: Interrupts
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "default").symlink_to("state")
    with locked(str(tmp_path / "state"), "up", interrupts, also=str(tmp_path / "default")):
        assert (tmp_path / "state" / "lock").exists()


_ROUND = """\
import fcntl, os, sys, time
from launcher.errors import Locked
from launcher.interrupts import Interrupts
from launcher.lock import locked
until = time.monotonic() + float(sys.argv[2])
rounds = 0
with Interrupts() as interrupts, open(sys.argv[1] + "/alone") as alone:
    while time.monotonic() < until:
        try:
            with locked(sys.argv[1], "up", interrupts, patience=0):
                fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if there are two
                time.sleep(0.001)
                fcntl.flock(alone, fcntl.LOCK_UN)
                rounds += 1
        except Locked:
            pass
print(rounds)
"""


@pytest.mark.thorough
def test_no_two_launchers_work_while_the_lock_file_is_removed_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "alone").touch()
    command = [sys.executable, "-c", _ROUND, str(tmp_path), "1.5"]
    launchers = [
        subprocess.Popen(command, cwd=CHECKOUT, text=True, stdout=subprocess.PIPE) for _ in range(3)
    ]
    while any(launcher.poll() is None for launcher in launchers):
        (tmp_path / "lock").unlink(missing_ok=True)
    rounds = [int(launcher.communicate()[0]) for launcher in launchers]
    assert [0, 0, 0] == [launcher.returncode for launcher in launchers]
    assert sum(rounds) > 10


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
