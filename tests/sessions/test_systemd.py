"""What only sessions in units of systemd's have: a unit, limits, a word when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from launcher.cli import main
from launcher.errors import Unavailable
from launcher.manager import Manager
from launcher.sessions.systemd import SystemdBackend, leave_session
from launcher.sessions.tmux import server_label
from tests.sessions.keeper import Keeper
from tests.vm import Vm, wait_until

SECRET = "sk-of-the-session"


@pytest.fixture(params=["systemd"])
def make_keeper(make_keeper: Callable[..., Keeper]) -> Callable[..., Keeper]:
    """Return the one for this backend alone."""
    return make_keeper


def unit(keeper: Keeper, name: str = "work") -> str:
    assert isinstance(keeper.backend, SystemdBackend)
    return keeper.backend.unit(name)


def show(keeper: Keeper, *names: str, name: str = "work") -> dict[str, str]:
    (shown,) = Manager.own({}).units(unit(keeper, name), names)
    return shown


def socket_of(keeper: Keeper, name: str = "work") -> Path:
    return keeper.vm.tmux_socket.with_name(f"{keeper.vm.tmux_socket.name}.{name}")


def word(keeper: Keeper, name: str = "work") -> Path:
    return keeper.vm.state / "died" / name


def test_limits_are_the_unit_s(keeper: Keeper) -> None:
    limits = {"MemoryMax": "200M", "CPUWeight": "idle", "TasksMax": "64", "CPUQuota": "150%"}
    keeper.start("work", limits=limits)
    wanted = {"MemoryMax": str(200 * 1024**2), "CPUWeight": "idle", "TasksMax": "64"}
    wanted["CPUQuotaPerSecUSec"] = "1.500000s"
    assert wanted == show(keeper, *wanted)


def test_limit_that_systemd_refuses_starts_nothing(keeper: Keeper) -> None:
    with pytest.raises(Unavailable, match=r"systemd does not start it: .*MemoryMax"):
        keeper.start("work", limits={"MemoryMax": "much"})
    assert ([], []) == (keeper.backend.kept(), keeper.witnesses())


def test_key_of_a_session_is_no_property_of_its_unit(make_keeper: Callable[..., Keeper]) -> None:
    keeper = make_keeper({"ANTHROPIC_API_KEY": SECRET})
    keeper.start("work", passing=["ANTHROPIC_API_KEY"])
    assert SECRET == keeper.seen()["environ"]["ANTHROPIC_API_KEY"]
    manager = Manager.own({})
    for verb in ("show", "cat"):
        told = manager.call("systemctl", verb, unit(keeper))
        assert (0, False) == (told.returncode, SECRET in told.stdout)
    for pid in keeper.vm.processes():
        assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()


def test_unit_that_is_there_already_is_not_started_again(keeper: Keeper) -> None:
    keeper.start("work")
    keeper.seen()
    with pytest.raises(Unavailable, match="already"):
        keeper.start("work")
    assert keeper.kept().alive
    assert 1 == len(keeper.witnesses())


def test_unit_that_is_unloaded_only_while_it_is_asked_for_is_started(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manager unloads one that has ended when it comes to it, and may do so in between."""
    call = Manager.call
    refusals = ["Failed to start: Unit x.service was already loaded or has a fragment file."]

    def slow(manager: Manager, *words: str) -> subprocess.CompletedProcess[str]:
        if words[0] == "systemd-run" and refusals:
            return subprocess.CompletedProcess(words, 1, "", refusals.pop())
        return call(manager, *words)

    monkeypatch.setattr(Manager, "call", slow)
    keeper.start("work")
    assert (keeper.kept().alive, refusals) == (True, [])


@pytest.mark.parametrize(
    ("ends", "state", "status"),
    [("exit 3", "failed", "3"), ("exit 0", "active", "0"), ("kill -TERM $$", "failed", "143")],
)
def test_unit_ends_as_its_session_does(keeper: Keeper, ends: str, state: str, status: str) -> None:
    keeper.start("work", "sh", "-c", ends)
    ending = f"exited with status {status}"
    assert ending == keeper.dead().ending
    shown = show(keeper, "ActiveState", "ExecMainStatus")
    assert {"ActiveState": state, "ExecMainStatus": status} == shown
    assert ("primary", ending) == (keeper.kept().account, keeper.kept().ending)


def test_unit_s_leader_leaves_the_umask_and_core_files_of_the_session_alone(
    keeper: Keeper,
) -> None:
    found = keeper.vm.root / "found"
    keeper.start(
        "work", "sh", "-c", f"{{ umask; ulimit -c; }} > {found}.new; mv {found}.new {found}"
    )
    wait_until(found.exists, "it has run")
    manager = Manager.own({})
    plain = ["--quiet", "--collect", "--wait", "--pipe", "--", "sh", "-c", "umask; ulimit -c"]
    assert manager.call("systemd-run", *plain).stdout == found.read_text()
    keeper.dead()
    assert 0o600 == (keeper.vm.state / "sessions" / "work.words").stat().st_mode & 0o777


def test_word_is_left_of_a_death_and_of_no_other_end(make_keeper: Callable[..., Keeper]) -> None:
    vm = make_keeper().vm
    vm.state = vm.root / """an 'odd' "$HOME" 100% #{pid} \\ state"""
    keeper = make_keeper()
    keeper.start("killed", "sh", "-c", "kill -KILL $$", restart="on-failure")
    keeper.dead("killed")
    wait_until(word(keeper, "killed").exists, "word is left")
    keeper.start("done", "sh", "-c", "exit 0", restart="on-failure")
    keeper.start("alone", "sh", "-c", "exit 1")
    keeper.dead("done"), keeper.dead("alone")
    keeper.start("stopped", restart="on-failure")
    keeper.backend.discard(keeper.kept("stopped"))
    assert [word(keeper, "killed")] == list((vm.state / "died").iterdir())
    socket = vm.tmux_socket.name
    for left in vm.tmux_socket.parent.glob(f"{socket}*"):
        left.unlink()


def test_session_whose_socket_is_gone_is_alive_and_can_be_stopped(keeper: Keeper) -> None:
    keeper.start("work")
    pid = keeper.seen()["pid"]
    socket_of(keeper).unlink()
    kept = keeper.kept()
    assert (pid, True, "primary") == (kept.process.pid, kept.alive, kept.account)
    assert str(keeper.vm.home("primary")) == kept.home
    assert "tmux server does not answer" in kept.where
    keeper.inventory("work")
    assert [("work", "stopped")] == keeper.down("work")
    assert ([], []) == (keeper.backend.kept(), keeper.vm.processes())


def test_unit_that_cannot_be_looked_into_counts_as_alive(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.sessions.systemd._ENDING_SECONDS", 0.1)
    keeper.start("work", "env", "-i", "sleep", "600")
    wait_until(lambda: keeper.kept().alive, "it runs")
    socket_of(keeper).unlink()
    kept = keeper.kept()
    assert (int(show(keeper, "MainPID")["MainPID"]), True) == (kept.process.pid, kept.alive)


def test_server_without_a_session_is_no_session(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher that is killed right before it starts the session leaves one."""
    monkeypatch.setattr("launcher.sessions.systemd._ENDING_SECONDS", 0.1)
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr("launcher.sessions.tmux.TmuxBackend.start", lambda *_, **__: None)
        keeper.start("work")
    kept = keeper.kept()
    assert not kept.alive
    keeper.backend.discard(kept)
    keeper.start("work")
    assert keeper.kept().alive


def test_failed_start_leaves_no_unit(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable("tmux does not like it")

    monkeypatch.setattr("launcher.sessions.tmux.TmuxBackend.start", fail)
    with pytest.raises(Unavailable, match="tmux does not like it"):
        keeper.start("work")
    assert [] == keeper.backend.kept()
    assert {"LoadState": "not-found"} == show(keeper, "LoadState")


def test_server_that_is_killed_ends_one_session_alone(keeper: Keeper) -> None:
    keeper.start("work", restart="on-failure")
    keeper.start("other")
    os.kill(int(show(keeper, "MainPID")["MainPID"]), signal.SIGKILL)
    assert "ended by signal 9" == keeper.dead().ending
    wait_until(word(keeper).exists, "word is left")
    assert keeper.kept("other").alive


def test_records_that_cannot_be_written_start_nothing(keeper: Keeper) -> None:
    keeper.vm.state.mkdir()
    (keeper.vm.state / "sessions").write_text("in the way")
    with pytest.raises(Unavailable, match="sessions: "):
        keeper.start("work")
    (keeper.vm.state / "died").write_text("in the way")
    with pytest.raises(Unavailable, match="died: "):
        keeper.start("work", restart="on-failure")
    assert [] == keeper.backend.kept()


@pytest.mark.parametrize("inside", [True, False])
def test_launcher_leaves_the_unit_of_a_session_before_it_stops_one(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """``tests/boot`` shows that systemd does not end it then."""
    called: list[list[str]] = []
    unit = "claude-failover-session-work.service" if inside else "claude-failover-spawn.service"
    monkeypatch.setattr("launcher.sessions.systemd._units_of", lambda pid: [unit])
    monkeypatch.setattr(os, "execvpe", lambda file, argv, environ: called.append([file, *argv]))
    leave_session(vm.environ)
    scope = [*Manager.own(vm.environ).options, "--scope", "--quiet", "--collect", "--"]
    whole = ["systemd-run", "systemd-run", *scope, *sys.orig_argv]
    assert ([whole] if inside else []) == called


@pytest.mark.parametrize("words", [["down"], ["switch", "work", "backup"]], ids=["down", "switch"])
def test_verb_that_ends_sessions_leaves_its_own_first(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def execute(file: str, *_: object) -> None:
        raise SystemExit(file)

    unit = "claude-failover-session-work.service"
    monkeypatch.setattr("launcher.sessions.systemd._units_of", lambda pid: [unit])
    monkeypatch.setattr(os, "execvpe", execute)
    with pytest.raises(SystemExit, match="systemd-run"):
        main(["--inventory", str(vm.inventory), *words])
    assert not vm.state.exists()


def test_unit_that_systemd_does_not_stop_is_told_of(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("systemd does not stop it")

    keeper.inventory("work", "other")
    keeper.start("work")
    monkeypatch.setattr(SystemdBackend, "discard", fail)
    assert [("work", "failed"), ("other", "stopped")] == keeper.down()


def test_words_that_nobody_kept_are_none(keeper: Keeper) -> None:
    keeper.start("work")
    (keeper.vm.state / "sessions" / "work.words").unlink()
    dead = keeper.kept()._replace(alive=False)
    assert keeper.backend.words(dead) is None


def test_long_name_is_a_unit_and_a_socket(keeper: Keeper) -> None:
    names = ["n" * 200, "n" * 199]
    for name in names:
        keeper.start(name)
    assert names == sorted((one.name for one in keeper.backend.kept()), reverse=True)
    assert all(one.alive for one in keeper.backend.kept())
    assert f".{'n' * 40}.{zlib.crc32(names[0].encode()):08x}" in server_label("/state", names[0])


def test_manager_that_gives_no_answer_is_told_of_in_time(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.manager._SECONDS", 0.3)
    slow = keeper.vm.root / "slow"
    slow.mkdir()
    (slow / "systemctl").write_text("#!/bin/sh\nexec sleep 600\n")
    (slow / "systemctl").chmod(0o755)
    manager = Manager.own({})._replace(programs=f"{slow}:/usr/bin:/bin")
    before = monotonic()
    with pytest.raises(Unavailable, match="no answer within"):
        SystemdBackend(str(keeper.vm.state), None, {}, manager).kept()
    assert 5 > monotonic() - before


def test_manager_that_refuses_is_told_of(keeper: Keeper) -> None:
    bad = keeper.vm.root / "bad"
    bad.mkdir()
    (bad / "systemctl").write_text("#!/bin/sh\necho no >&2; exit 1\n")
    (bad / "systemctl").chmod(0o755)
    manager = Manager.own({})._replace(programs=f"{bad}:/usr/bin:/bin")
    backend = SystemdBackend(str(keeper.vm.state), None, {}, manager)
    with pytest.raises(Unavailable, match="does not show its units: no"):
        backend.kept()
    keeper.start("work")
    with pytest.raises(Unavailable, match="does not stop it: no"):
        backend.discard(keeper.kept())
    without = manager._replace(programs=str(keeper.vm.root))
    with pytest.raises(Unavailable, match="systemctl cannot be called: No such file"):
        SystemdBackend(str(keeper.vm.state), None, {}, without).kept()


def test_manager_s_programs_are_found_whatever_path_says() -> None:
    for environ in ({}, {"PATH": ""}, {"PATH": os.devnull}):
        assert 0 == Manager.own(environ).call("systemctl", "--version").returncode


def test_manager_that_is_not_there_is_told_of(vm: Vm) -> None:
    nobody = Manager(str(vm.root), ("--user",))
    backend = SystemdBackend(str(vm.state), None, {}, nobody)
    assert not backend.is_there()
    with pytest.raises(Unavailable, match=f"no manager answers in {vm.root}"):
        backend.kept()


def test_manager_that_ends_while_others_keep_the_sessions_keeps_none(vm: Vm) -> None:
    """A user's manager ends with the last login: in the middle of ``up``, for one."""
    nobody = Manager(str(vm.root), ("--user",))
    backend = SystemdBackend(str(vm.state), None, {}, nobody, chosen=False)
    assert [] == backend.kept()


def test_manager_that_gives_no_answer_is_told_of_whoever_keeps_the_sessions(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = Manager.own({})._replace(programs=str(keeper.vm.root / "nowhere"))
    backend = SystemdBackend(str(keeper.vm.state), None, {}, without, chosen=False)
    with pytest.raises(Unavailable, match="systemctl cannot be called"):
        backend.kept()
