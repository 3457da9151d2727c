"""What runs is seen, whatever became of its leader, its record, or the way to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from launcher.sessions.spellings import Spellings
from tests.sessions.conftest import TMUX_IS_MISSING
from tests.sessions.keeper import Keeper
from tests.vm import CHECKOUT, MARK, Vm, wait_until

ON = {"process": "process", "tmux": "tmux"}
WITHOUT_TMUX = pytest.mark.skipif(shutil.which("tmux") is None, reason=TMUX_IS_MISSING)


def sessions(vm: Vm, verb: str = "status") -> dict[str, dict[str, Any]]:
    document = json.loads(vm.run(verb, "--json").stdout)
    return {session["name"]: session for session in document["sessions"]}


def states(vm: Vm, verb: str = "status") -> dict[str, str]:
    return {name: session["state"] for name, session in sessions(vm, verb).items()}


@pytest.fixture(params=["process", pytest.param("tmux", marks=WITHOUT_TMUX)])
def backend(request: pytest.FixtureRequest) -> str:
    """Return the name of each backend in turn."""
    return str(request.param)


def orphaned(vm: Vm, backend: str, child: str) -> int:
    """Start a session whose leader ends and leaves *child*, a shell line; return its pid."""
    pid = vm.root / "child"
    ended = vm.root / "ended"
    script = f"({child}) & until test -e {pid} -a -e {ended}; do sleep 0.01; done"
    vm.write({"api": ["sh", "-c", script]}, backend=backend)
    assert 0 == vm.run("up").returncode
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the child writes its pid")
    ended.touch()
    wait_until(lambda: states(vm) != {"api": "running"}, "the leader ends")
    return int(pid.read_text())


@pytest.mark.parametrize(
    "child",
    [
        "trap '' HUP; sh -c 'echo $$ > child; exec sleep 600'",
        "setsid sh -c 'echo $$ > child; exec sleep 600'",
        "env -i sh -c 'trap \"\" HUP; echo $$ > child; exec sleep 600'",
    ],
    ids=["in its session", "in a session of its own", "without the mark"],
)
@pytest.mark.thorough
def test_session_whose_child_outlives_its_leader_is_neither_started_again_nor_called_stopped(
    vm: Vm, backend: str, child: str
) -> None:
    """The child may be the one that writes."""
    pid = orphaned(vm, backend, child)
    before = vm.processes()
    result = vm.run("up")
    assert 69 == result.returncode
    told = vm.report["sessions"][0]["detail"]
    assert before == vm.processes()
    assert 69 == vm.run("status").returncode
    if "env -i" in child:
        # Whether it is the session's cannot be proved: another may have had its leader's pid.
        assert f"this may be of it: pid {pid} (sleep); if it is, end it: kill {pid}" in told
        assert {"api": "failed"} == states(vm, "down")
        assert os.path.exists(f"/proc/{pid}")
        os.kill(pid, signal.SIGKILL)
    else:
        assert f"of it still runs: pid {pid} (sleep)" in told
        fix = told.rpartition("this ends what is left: ")[2]
        assert f"launcher down api --inventory {vm.inventory}" == fix
        assert "api  primary  stopped" in vm.shell(fix).stdout
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the child is gone")
    (vm.root / "ended").unlink()
    assert 0 == vm.run("up").returncode


@pytest.mark.sampled(1)
def test_session_is_seen_after_the_state_directory_was_moved(vm: Vm, backend: str) -> None:
    command = {"api": ["sleep", "600"]}
    vm.write(command, backend=backend)
    assert {"api": "started"} == states(vm, "up")
    before = vm.processes()
    moved = str(vm.root / "moved")
    vm.inventory.write_text(vm.inventory.read_text().replace(str(vm.state), moved))
    result = vm.run("up", "--json")
    assert 0 == result.returncode
    [session] = json.loads(result.stdout)["sessions"]
    assert "running" == session["state"]
    assert f"pid {before[0]}, " in session["detail"]
    assert before == vm.processes()
    assert {"api": "stopped"} == states(vm, "down")
    assert [] == vm.processes()


@pytest.mark.sampled(1)
def test_session_of_another_inventory_with_the_same_homes_is_not_touched(
    vm: Vm, backend: str
) -> None:
    vm.write({"api": ["sleep", "600"], "docs": ["sleep", "600"]}, backend=backend)
    assert {"api": "started", "docs": "started"} == states(vm, "up")
    before = vm.processes()
    first, vm.inventory = vm.inventory, vm.root / "another.toml"
    vm.state = vm.root / "moved"
    vm.write({"api": ["sleep", "600"]}, backend=backend)
    assert {"api": "failed"} == states(vm, "up")
    assert f"runs already for the inventory {first} " in vm.report["sessions"][0]["detail"]
    assert {"api": "failed"} == states(vm, "down")
    assert before == vm.processes()
    first.unlink()  # it was moved, and what it started is the new one's
    assert {"api": "running"} == states(vm, "up")
    assert {"api": "stopped", "docs": "stopped"} == states(vm, "down")
    assert [] == vm.processes()


def test_session_of_an_inventory_with_other_homes_is_not_ours(make_vm: Any) -> None:
    one, other = make_vm().link(), make_vm().link()
    for vm in (one, other):
        vm.write({"api": ["sleep", "600"]})
        assert {"api": "started"} == states(vm, "up")
    assert {"api": "stopped"} == states(other, "down")
    assert {"api": "running"} == states(one)


@pytest.mark.sampled(1)
def test_session_that_runs_twice_has_failed_and_both_are_stopped(vm: Vm, backend: str) -> None:
    keepers = [Keeper(vm, backend)]
    keepers[0].start("api")
    vm.state = vm.root / "moved"
    keepers.append(Keeper(vm, backend))
    keepers[1].start("api")
    for keeper in keepers:
        wait_until(lambda keeper=keeper: keeper.backend.kept()[0].alive, "it runs")  # type: ignore[misc]
    wait_until(lambda: len(keepers[0].witnesses()) == 2, "both are marked")
    vm.write({"api": [str(keepers[0].witness)]}, backend=backend)
    before = sorted(keeper.backend.kept()[0].process.pid for keeper in keepers)
    result = vm.run("up")
    assert 69 == result.returncode
    detail = vm.report["sessions"][0]["detail"]
    assert detail.startswith("runs 2 times (pids ")
    assert all(str(pid) in detail for pid in before)
    assert {"api": "stopped"} == states(vm, "down")
    assert [] == vm.processes()


@WITHOUT_TMUX
def test_server_whose_socket_is_gone_is_brought_back_by_the_next_start(vm: Vm) -> None:
    command = ["sleep", "600"]
    vm.write({"api": command}, backend="tmux")
    assert {"api": "started"} == states(vm, "up")
    servers = vm.tmux_servers()
    vm.tmux_socket.unlink()
    assert f"kill -USR1 {servers[0]}" in sessions(vm)["api"]["detail"]
    assert not vm.tmux_socket.exists()  # status writes nothing
    vm.write({"api": command, "docs": command}, backend="tmux")
    assert {"api": "running", "docs": "started"} == states(vm, "up")
    assert servers == vm.tmux_servers()


@WITHOUT_TMUX
def test_server_whose_socket_is_another_s_by_now_hides_nothing_and_is_not_doubled(vm: Vm) -> None:
    command = ["sleep", "600"]
    vm.write({"api": command}, backend="tmux")
    assert {"api": "started"} == states(vm, "up")
    [server] = vm.tmux_servers()
    vm.tmux_socket.unlink()
    stranger = ["tmux", "-L", vm.tmux_socket.name, "-f", os.devnull, "new-session", "-d"]
    subprocess.run([*stranger, "sleep", "600"], env=vm.environ, check=True)
    servers = vm.tmux_servers()
    vm.write({"api": command, "docs": command}, backend="tmux")
    assert 69 == vm.run("up").returncode
    after = {one["name"]: one for one in vm.report["sessions"]}
    assert ("running", "failed") == (after["api"]["state"], after["docs"]["state"])
    assert after["docs"]["detail"].endswith(f"&& kill -USR1 {server}")
    assert servers == vm.tmux_servers()


@WITHOUT_TMUX
def test_session_that_outlives_a_killed_server_is_seen(vm: Vm) -> None:
    ready = vm.root / "ready"
    vm.write({"api": ["sh", "-c", f"trap '' HUP; > {ready}; exec sleep 600"]}, backend="tmux")
    assert {"api": "started"} == states(vm, "up")
    wait_until(ready.exists, "the session ignores the signal")
    before = vm.processes()
    os.kill(vm.tmux_servers()[0], signal.SIGKILL)
    wait_until(lambda: not vm.tmux_servers(), "the server is gone")
    assert {"api": "running"} == states(vm, "up")
    assert before == vm.processes()
    assert {"api": "stopped"} == states(vm, "down")


@pytest.mark.thorough
def test_launcher_inside_a_session_does_not_end_itself(vm: Vm, backend: str) -> None:
    """Claude Code runs commands, and one of them may be ``launcher down``."""
    told, gave_up = vm.root / "told", vm.root / "gave-up"
    # This very Python: the one in PATH need not have what the launcher imports.
    call = f"{sys.executable} -m launcher --inventory {vm.inventory} down api --json"
    # Its shell is of the session, and ends with it: only a launcher that fails gets further.
    script = f"PYTHONPATH={CHECKOUT} {call} > {told} 2>&1; > {gave_up}; exec sleep 600"
    vm.write({"api": ["sh", "-c", f"trap '' TERM; setsid sh -c '{script}'"]}, backend=backend)
    assert 0 == vm.run("up").returncode
    wait_until(lambda: gave_up.exists() or (told.exists() and told.read_text()), "down has ended")
    assert not gave_up.exists(), told.read_text()
    assert ["stopped"] == [one["state"] for one in json.loads(told.read_text())["sessions"]]


def test_mark_is_the_program_s_and_no_window_s(vm: Vm) -> None:
    """A shell that the operator opens beside a session is not ended with it."""
    keeper = Keeper(vm, "process", {"CLAUDE_FAILOVER_SESSION": "1:outer:a:/x"})
    keeper.start("work")
    kept = keeper.kept()
    mark = f"{kept.process.pid}:work:primary:{vm.inventory}"
    assert mark == keeper.seen()["environ"]["CLAUDE_FAILOVER_SESSION"]


def test_stranger_in_the_environment_of_a_session_is_none(vm: Vm) -> None:
    """Whoever carries something else under the mark's name is passed over."""
    environ = {**vm.environ, "CLAUDE_FAILOVER_SESSION": "no mark"}
    assert environ[MARK]
    with subprocess.Popen(["sleep", "600"], env=environ) as stranger:
        vm.write({"api": ["sleep", "600"]})
        assert {"api": "stopped"} == states(vm)
        stranger.kill()


def session_of_a_stranger(leader: int) -> int:
    """Have a pid that led a session and is gone, while something of the session runs."""
    script = f"""\
import os, time
with open("/proc/sys/kernel/ns_last_pid", "w") as file:
    file.write(str({leader} - 1))
pid = os.fork()
if pid == 0:
    os.setsid()
    child = os.fork()
    if child == 0:
        os.close(1)
        time.sleep(600)
    print(os.getpid(), child, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    while True:  # another process of the machine may be faster
        said = subprocess.check_output([sys.executable, "-c", script], text=True)
        got, child = map(int, said.split())
        if got == leader:
            return child
        os.kill(child, signal.SIGKILL)
        assert got > leader, "the pid is not given away again"
        wait_until(lambda: not os.path.exists(f"/proc/{leader}"), f"pid {leader} is free")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose a pid")
@pytest.mark.parametrize("rebooted", [True, False])
@pytest.mark.thorough
def test_stranger_in_a_session_with_a_recycled_pid_is_never_ended(vm: Vm, rebooted: bool) -> None:
    vm.write({"api": ["sleep", "600"]})
    assert {"api": "started"} == states(vm, "up")
    [leader] = vm.processes()
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{leader}"), "the session ends")
    record = vm.state / "sessions" / "api.json"
    if rebooted:
        written = json.loads(record.read_text())
        record.write_text(json.dumps({**written, "boot_id": "of the boot before"}))
    stranger = session_of_a_stranger(leader)
    try:
        assert {"api": "stopped" if rebooted else "failed"} == states(vm)
        assert {"api": "stopped" if rebooted else "failed"} == states(vm, "down")
        assert os.path.exists(f"/proc/{stranger}")
        assert {"api": "started" if rebooted else "failed"} == states(vm, "up")
    finally:
        os.kill(stranger, signal.SIGKILL)


_CHAIN = """\
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
until = time.monotonic() + 60  # should the test be killed, this is not left for ever
while time.monotonic() < until:
    os.setsid()
    time.sleep(0.002)
    if os.fork():
        os._exit(0)
"""


@pytest.mark.thorough
def test_process_that_passes_itself_on_is_never_called_stopped_while_it_runs(vm: Vm) -> None:
    """Each lives for a moment, starts the next, and ends: a single look may see none."""
    vm.write({"api": [sys.executable, "-IS", "-c", _CHAIN]}, settle=1)
    assert 69 == vm.run("up").returncode
    for _ in range(3):
        assert {"api": "failed"} == states(vm)
    state = states(vm, "down")["api"]
    assert "failed" == state or not runs_on(vm)


def runs_on(vm: Vm) -> bool:
    """Tell whether anything of the VM runs, however short each process lives."""
    return any(vm.processes() for _ in range(200))


def test_program_without_its_first_thread_is_alive(vm: Vm) -> None:
    program = """\
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
    vm.write({"api": [sys.executable, "-IS", "-c", program]}, settle=0.5)
    assert {"api": "started"} == states(vm, "up")
    assert {"api": "running"} == states(vm)
    assert {"api": "stopped"} == states(vm, "down")


@WITHOUT_TMUX
def test_session_without_a_mark_in_a_server_without_a_socket_is_not_started_twice(vm: Vm) -> None:
    vm.write({"api": ["env", "-i", str(shutil.which("sleep")), "600"]}, backend="tmux")
    assert {"api": "started"} == states(vm, "up")
    vm.tmux_socket.unlink()
    assert {"api": "failed"} == states(vm)
    assert {"api": "running"} == states(vm, "up")
    assert 1 == len(vm.tmux_servers())
    assert {"api": "stopped"} == states(vm, "down")


@pytest.mark.parametrize("mark", [f"{'1' * 5000}:a:b:/c", "1:\x1b[2J:b:/c", "1:a:b:c", "::::"])
def test_bad_mark_harms_nobody(vm: Vm, mark: str) -> None:
    environ = {**vm.environ, "CLAUDE_FAILOVER_SESSION": mark}
    with subprocess.Popen(["sleep", "600"], env=environ) as stranger:
        vm.write({"api": ["sleep", "600"]})
        result = vm.run("status")
        assert "api  primary  stopped" in result.stdout
        assert "not in the inventory" not in result.stdout
        stranger.kill()


@pytest.fixture
def renamed(vm: Vm, backend: str) -> Vm:
    """Return a VM whose session runs under a home that has another path name since."""
    alias = vm.root / "alias"
    alias.symlink_to(vm.home("primary"))
    vm.write({"api": ["sleep", "600"]}, backend=backend)
    home = json.dumps(str(vm.home("primary")))
    direct = vm.inventory.read_text()
    vm.inventory.write_text(direct.replace(home, json.dumps(str(alias))))
    assert 0 == vm.run("up").returncode
    vm.inventory.write_text(direct)
    assert f"home = {home}" in direct
    return vm


@pytest.mark.thorough
def test_session_whose_home_has_another_path_name_runs(renamed: Vm) -> None:
    before = renamed.processes()
    assert {"api": "running"} == states(renamed)
    assert 0 == renamed.run("up").returncode
    assert before == renamed.processes()
    assert {"api": "stopped"} == states(renamed, "down")


@pytest.mark.thorough
def test_lost_record_of_a_session_whose_home_has_another_path_name_is_no_second_start(
    renamed: Vm,
) -> None:
    """Found by its mark alone, which names the inventory by another path name too."""
    shutil.rmtree(renamed.state / "sessions", ignore_errors=True)
    moved = renamed.root / "moved"
    alias = renamed.root / "failover-alias.toml"
    alias.symlink_to(renamed.inventory)
    state = f"state = {json.dumps(str(renamed.state))}"
    text = renamed.inventory.read_text()
    renamed.inventory.write_text(text.replace(state, f"state = {json.dumps(str(moved))}"))
    before = renamed.processes()
    done = renamed.run("--inventory", str(alias), "up", "--json", inventory=False)
    (session,) = json.loads(done.stdout)["sessions"]
    assert "running" == session["state"], session
    assert before == renamed.processes()
    stopped = renamed.run("--inventory", str(alias), "down", "--json", inventory=False)
    assert 0 == stopped.returncode, stopped.stdout + stopped.stderr


def test_home_that_hangs_is_no_home_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alias").symlink_to(tmp_path)
    ours = Spellings([str(tmp_path)])
    ours.look_at([str(tmp_path / "alias")])
    assert str(tmp_path) == ours.ours(str(tmp_path / "alias"))
    monkeypatch.setattr("launcher.sessions.spellings._SECONDS", 0.3)
    monkeypatch.setattr("launcher.sessions.spellings.is_same_place", lambda *_: time.sleep(600))
    before = time.monotonic()
    ours.look_at(["/on/a/dead/mount", str(tmp_path)])
    assert 20 > time.monotonic() - before
    assert (None, str(tmp_path)) == (ours.ours("/on/a/dead/mount"), ours.ours(str(tmp_path)))
