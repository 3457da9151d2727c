"""The lock of a session, and what is believed where there is no lock to go by."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.errors import Unavailable
from launcher.sessions import holders
from launcher.sessions.holders import Lock
from launcher.sessions.place import Place, is_same_namespace
from tests.sessions.test_survey import sessions, states
from tests.vm import Vm, wait_until

SLEEP = ["sleep", "600"]

_WITHOUT_LOCKS = """\
#include <errno.h>
#include <unistd.h>
int flock(int descriptor, int operation)
{
    static const char link[] = "/proc/self/fd/", end[] = ".lock";
    char name[64], path[4096];
    int length = 0, digits = 0, number = descriptor;
    char reversed[16];
    do reversed[digits++] = '0' + number % 10; while (number /= 10);
    while (link[length]) { name[length] = link[length]; length++; }
    while (digits) name[length++] = reversed[--digits];
    name[length] = 0;
    long size = readlink(name, path, sizeof path);
    for (int at = 1; at <= 5; at++)
        if (size < 5 || path[size - at] != end[5 - at])
            return 0;  /* what is no session's lock is none of this test's business */
    errno = ENOLCK;
    return -1;
}
"""


@pytest.fixture
def without_locks(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which a session's lock is on a file system that has none (NFS)."""
    built = tmp_path / "without-locks.so"
    command = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-x", "c", "-", "-o", str(built)]
    try:
        subprocess.run(command, input=_WITHOUT_LOCKS, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("gcc is not installed")
    return {"LD_PRELOAD": str(built)}


def lock_of(vm: Vm) -> Path:
    return vm.state / "holders" / "api.lock"


def record_of(vm: Vm) -> Path:
    return vm.state / "holders" / "api.json"


def as_of(vm: Vm, **keys: object) -> None:
    """Let the record be of another place."""
    record_of(vm).write_text(json.dumps({**json.loads(record_of(vm).read_text()), **keys}))


@pytest.fixture
def holder(vm: Vm) -> Iterator[int]:
    """Return the descriptor of a lock that this process holds, as a session out of sight does."""
    assert holders.make(str(vm.state), "api") is not None
    descriptor = os.open(lock_of(vm), os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_session_holds_its_lock_from_its_start_to_its_end(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    state = str(vm.state)
    assert Lock.NONE is holders.look(state, "api").lock
    assert {"api": "started"} == states(vm, "up")
    hold = holders.look(state, "api")
    assert (Lock.HELD, True) == (hold.lock, hold.proved)
    assert hold.place is not None
    assert Place.here().shares_pids(hold.place)
    assert {"api": "stopped"} == states(vm, "down")
    assert Lock.FREE is holders.look(state, "api").lock
    assert not record_of(vm).exists()


@pytest.mark.thorough
def test_lock_that_another_process_takes_first_keeps_the_program_from_running(vm: Vm) -> None:
    """The launcher looked, and somebody out of sight was faster."""
    witness = vm.root / "ran"
    vm.write({"api": ["touch", str(witness)]}, settle=1)
    code = vm.deploy()
    starting = code / "launcher" / "starting.py"
    source = starting.read_text()
    line = "        self._backend.start(self._all_about(session, account))\n"
    taken = (
        "        import fcntl, os\n"
        "        start = self._all_about(session, account)\n"
        "        self.other = os.open(start.lock, os.O_RDWR)\n"
        "        fcntl.flock(self.other, fcntl.LOCK_EX)\n"
        "        self._backend.start(start)\n"
    )
    assert line in source
    starting.write_text(source.replace(line, taken))
    result = vm.run("up", cwd=code)
    assert 69 == result.returncode
    assert "another process holds this session" in result.stdout
    assert not witness.exists()


def test_start_waits_for_somebody_who_only_looks(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    holders.make(str(vm.state), "api")
    descriptor = os.open(lock_of(vm), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    command = [*vm.prefix, "sleep", "0.5"]
    with subprocess.Popen(command, pass_fds=[descriptor]):
        os.close(descriptor)
        assert {"api": "started"} == states(vm, "up")


def test_process_that_has_the_lock_is_found_without_a_mark(vm: Vm, holder: int) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        hold = holders.look(str(vm.state), "api")
        assert (Lock.HELD, None, False) == (hold.lock, hold.place, hold.proved)
        assert hold.file is not None
        assert [child] == [one.pid for one in hold.holders()]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.thorough
def test_program_that_closes_its_descriptors_proves_nothing(vm: Vm) -> None:
    """As sudo does. On this machine it is seen by its mark; another one asks a person."""
    vm.write({"api": ["sh", "-c", "exec 9>&-; exec sleep 600"]}, settle=0.5)
    assert {"api": "started"} == states(vm, "up")
    hold = holders.look(str(vm.state), "api")
    assert (Lock.FREE, False) == (hold.lock, hold.proved)
    assert {"api": "running"} == states(vm, "up")
    [leader] = vm.processes()
    as_of(vm, machine_id="f" * 32, host="elsewhere")
    entry = sessions(vm)["api"]
    assert "failed" == entry["state"]
    assert "may run on the host elsewhere, which started it last" in entry["detail"]
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: not vm.processes(), "the session ends")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("removed", ["removed", "replaced"])
def test_lock_file_that_somebody_removed_is_no_proof_of_an_end(vm: Vm, removed: str) -> None:
    vm.write({"api": SLEEP})
    assert {"api": "started"} == states(vm, "up")
    lock_of(vm).unlink()
    if removed == "replaced":
        lock_of(vm).touch(mode=0o600)
    assert {"api": "running"} == states(vm, "up")
    as_of(vm, machine_id="f" * 32, host="elsewhere")
    assert "may run on the host elsewhere" in sessions(vm)["api"]["detail"]


@pytest.mark.thorough
def test_file_system_without_locks_believes_another_machine_and_a_person(
    vm: Vm, without_locks: dict[str, str]
) -> None:
    vm.environ.update(without_locks)
    vm.write({"api": SLEEP})
    assert {"api": "started"} == states(vm, "up")
    assert {"api": "running"} == states(vm, "up")
    [leader] = vm.processes()
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: not vm.processes(), "the session ends")
    assert {"api": "started"} == states(vm, "up")  # it ended here, as is plain to see
    [leader] = vm.processes()
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: not vm.processes(), "the session ends")
    as_of(vm, machine_id="f" * 32, host="elsewhere")
    result = vm.run("up")
    assert 69 == result.returncode
    fix = vm.report["sessions"][0]["detail"].rpartition("if that host is gone: ")[2]
    assert f"launcher down api --forget-host elsewhere --inventory {vm.inventory}" == fix
    assert 0 == vm.shell(fix).returncode
    assert {"api": "started"} == states(vm, "up")


def test_person_cannot_forget_what_a_lock_proves(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    assert {"api": "started"} == states(vm, "up")
    as_of(vm, machine_id="f" * 32, host="elsewhere")
    assert 0 == vm.run("down", "api", "--forget-host", "elsewhere").returncode
    assert record_of(vm).exists()
    assert {"api": "running"} == states(vm)


def test_host_that_nothing_is_recorded_of_is_usage(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    assert {"api": "started"} == states(vm, "up")
    result = vm.run("down", "--forget-host", "nowhere")
    assert 2 == result.returncode
    host = os.uname().nodename
    assert f"nothing is recorded of the host nowhere; there are: {host}\n" in result.stderr
    result = vm.run("down", "web", "--forget-host", host)
    assert (2, True) == (result.returncode, "there is no session web" in result.stderr)
    assert {"api": "running"} == states(vm)


def test_record_that_is_torn_hides_no_lock(vm: Vm, holder: int) -> None:
    vm.write({"api": SLEEP})
    record_of(vm).write_text("torn")
    hold = holders.look(str(vm.state), "api")
    assert (Lock.HELD, None) == (hold.lock, hold.place)


def test_what_is_no_lock_file_is_refused_and_left(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    lock_of(vm).parent.mkdir(parents=True)
    lock_of(vm).symlink_to(vm.root / "elsewhere")
    with pytest.raises(Unavailable, match="who holds it cannot be seen"):
        holders.look(str(vm.state), "api")
    assert 69 == vm.run("up").returncode
    assert lock_of(vm).is_symlink()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("4:7", "4:7", True),
        ("4:7", "5:7", False),
        ("4:7", "4:8", False),
        ("4:", "4:8", True),
        (None, "4:8", True),
    ],
)
def test_namespace_is_told_by_number_and_first_process(
    one: str | None, other: str, same: bool
) -> None:
    assert same is is_same_namespace(one, other)
    assert same is is_same_namespace(other, one)


def test_machine_is_told_by_its_id_and_without_one_by_its_name() -> None:
    here = Place("a", "1", "b", "n")
    assert here.is_another_machine(Place("a", "2", "b", "n"))
    assert not here.is_another_machine(Place("renamed", "1", "b", "n"))
    assert here.is_another_machine(Place("b", None, "b", "n"))
    assert not here.is_another_machine(Place("a", None, "b", "n"))
