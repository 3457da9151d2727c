"""The tmux backend against a real server of its own: who shares it, and what it is told."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from launcher.errors import Unavailable
from launcher.sessions.environment import BESIDE, OF_A_CLIENT
from tests.sessions.conftest import TMUX_IS_MISSING
from tests.sessions.keeper import Keeper, environment_of
from tests.sessions.test_backends import KEYS
from tests.vm import Vm, wait_until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason=TMUX_IS_MISSING)


@pytest.fixture
def make_keeper(vm: Vm) -> Callable[..., Keeper]:
    """Return a function that makes a tmux keeper for launchers of a given environment."""
    return lambda environ=None: Keeper(vm, "tmux", environ)


def shell_environment(keeper: Keeper, name: str = "work") -> dict[str, str]:
    """Return what a shell sees that is opened now in the tmux session *name*."""
    seen = keeper.vm.root / f"shell-{monotonic()}"
    script = f"env -0 > {seen}.new; mv {seen}.new {seen}"
    keeper.tmux("new-window", "-d", "-t", f"={name}:", script)
    wait_until(seen.exists, "the shell in a further window answers")
    pairs = (entry.partition("=") for entry in seen.read_text().split("\0") if entry)
    return {variable: value for variable, _, value in pairs}


@contextmanager
def attached(keeper: Keeper, environ: Mapping[str, str]) -> Iterator[None]:
    """Be attached to session ``work`` on a terminal, by the very command that a status shows."""
    master, terminal = os.openpty()
    client = subprocess.Popen(
        shlex.split(keeper.kept().where),
        env={**keeper.vm.environ, "TERM": "xterm", **environ},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    try:
        wait_until(lambda: keeper.tmux("list-clients"), "somebody is attached")
        yield
    finally:
        client.kill()
        client.wait()
        os.close(master)
        os.close(terminal)


def through(vm: Vm, script: str, environ: Mapping[str, str] | None = None) -> Keeper:
    """Return a keeper whose calls pass through a shell script, where ``$tmux`` is the real one."""
    tmux = vm.root / "bin" / "tmux"
    tmux.parent.mkdir()
    tmux.write_text(f"#!/bin/sh\ntmux={shutil.which('tmux')}\n{script}\n")
    tmux.chmod(0o700)
    path = f"{tmux.parent}:{vm.environ['PATH']}"
    return Keeper(vm, "tmux", {**(environ or {}), "PATH": path})


def test_shell_opened_later_has_the_account_s_home_and_no_key(
    make_keeper: Callable[..., Keeper],
) -> None:
    keeper = make_keeper({**KEYS, "CLAUDE_CONFIG_DIR": "/home/of/somebody/else"})
    keeper.start("work")
    seen = shell_environment(keeper)
    assert str(keeper.vm.home("primary")) == seen["CLAUDE_CONFIG_DIR"]
    assert set() == set(KEYS) & set(seen)


def test_key_stands_nowhere_in_the_server(make_keeper: Callable[..., Keeper]) -> None:
    keeper = make_keeper({**KEYS, "CLAUDE_CONFIG_DIR": "/home/of/somebody/else"})
    keeper.start("work")
    lines = keeper.tmux("show-environment", "-t", "=work").splitlines()
    assert set() == {line.partition("=")[0] for line in lines} & set(KEYS)
    assert {f"-{name}" for name in KEYS} <= set(lines)
    everywhere = keeper.tmux("show-environment", "-g")
    assert [] == [name for name in KEYS if name in everywhere]
    assert "CLAUDE_CONFIG_DIR" not in everywhere


def test_tmux_session_has_the_session_s_directory_for_further_windows(keeper: Keeper) -> None:
    directory = keeper.vm.root / "#1 #{pane_id}"
    directory.mkdir()
    keeper.start("work", directory=directory)
    path = keeper.tmux("display-message", "-p", "-t", "=work:", "#{session_path}")
    assert f"{directory}\n" == path


def test_session_has_the_environment_of_its_own_start_and_of_no_other(keeper: Keeper) -> None:
    keeper.start("first", environ={"ONE": "1", "LANG": "C"})
    many = {f"A_RATHER_LONG_NAME_FOR_NUMBER_{number}": str(number) for number in range(1000)}
    keeper.start("second", environ={"TWO": "2", **many})
    first, second = (keeper.seen(name)["environ"] for name in ("first", "second"))
    assert ("1", "C", False) == (first["ONE"], first["LANG"], "TWO" in first)
    assert ("2", "C.UTF-8", False) == (second["TWO"], second["LANG"], "ONE" in second)
    assert many.items() <= second.items()
    assert not many.items() & first.items()


def test_key_that_the_server_was_given_by_hand_does_not_reach_a_session(keeper: Keeper) -> None:
    keeper.tmux("new-session", "-d", "-s", "mine", environ=KEYS)
    assert "sk-" in keeper.tmux("show-environment", "-g")
    keeper.start("work")
    assert set() == set(KEYS) & set(keeper.seen()["environ"])
    assert set() == set(KEYS) & set(shell_environment(keeper))


def test_server_that_was_begun_inside_claude_code_passes_nothing_of_it_on(keeper: Keeper) -> None:
    told = dict.fromkeys(OF_A_CLIENT, "of another session") | BESIDE
    told["CLAUDE_ENV_FILE"] = "/home/a/session-env/1/sessionstart-hook-0.sh"
    keeper.tmux("new-session", "-d", "-s", "mine", environ=told)
    everywhere = keeper.tmux("show-environment", "-g").splitlines()
    assert {f"{name}={value}" for name, value in told.items()} <= set(everywhere)
    keeper.start("work")
    assert set() == set(told) & set(keeper.seen()["environ"])
    assert set() == set(told) & set(shell_environment(keeper))


def test_launcher_inside_claude_code_begins_a_server_that_knows_nothing_of_it(
    make_keeper: Callable[..., Keeper],
) -> None:
    told = dict.fromkeys(OF_A_CLIENT, "of another session") | BESIDE
    keeper = make_keeper(told)
    keeper.start("work")
    names = {line.partition("=")[0] for line in keeper.tmux("show-environment", "-g").splitlines()}
    assert set() == set(told) & names
    server = int(keeper.tmux("display-message", "-p", "#{pid}"))
    assert set() == set(told) & set(environment_of(server))


def test_named_key_reaches_the_shells_of_that_session_alone(
    make_keeper: Callable[..., Keeper],
) -> None:
    keeper = make_keeper(KEYS)
    keeper.start("named", passing=["ANTHROPIC_API_KEY"])
    keeper.start("work")
    key = KEYS["ANTHROPIC_API_KEY"]
    assert key == shell_environment(keeper, "named")["ANTHROPIC_API_KEY"]
    assert "ANTHROPIC_API_KEY" not in shell_environment(keeper, "work")
    assert key not in keeper.tmux("show-environment", "-g")


def test_named_key_stands_on_no_command_line(vm: Vm) -> None:
    calls = vm.root / "calls"
    keeper = through(vm, f'printf "%s\\n" "$@" >> {calls}; exec $tmux "$@"', KEYS)
    keeper.start("work", passing=list(KEYS))
    assert KEYS.items() <= keeper.seen()["environ"].items()
    assert "new-session" in calls.read_text()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    everything = calls.read_bytes() + b"".join(lines)
    assert [] == [value for value in KEYS.values() if value.encode() in everything]


def test_whoever_attaches_leaves_the_environment_as_it_is(keeper: Keeper) -> None:
    keeper.start("work")
    with attached(keeper, {**KEYS, "CLAUDE_CONFIG_DIR": "/home/of/somebody/else"}):
        seen = shell_environment(keeper)
    assert str(keeper.vm.home("primary")) == seen["CLAUDE_CONFIG_DIR"]
    assert set() == set(KEYS) & set(seen)


def test_session_that_the_operator_renamed_is_still_known(keeper: Keeper) -> None:
    keeper.inventory("work")
    keeper.start("work")
    pid = keeper.seen()["pid"]
    keeper.tmux("rename-session", "-t", "=work", "something-else")
    assert (pid, True) == (keeper.kept().process.pid, keeper.kept().alive)
    with attached(keeper, {}):
        assert [("work", "stopped")] == keeper.down()


def test_tmux_session_made_by_hand_under_the_name_is_left_alone(keeper: Keeper) -> None:
    keeper.tmux("new-session", "-d", "-s", "work", "sleep 300")
    before = keeper.tmux("list-panes", "-a", "-F", "#{pane_pid}")
    keeper.inventory("work")
    assert 69 == keeper.vm.run("up").returncode
    session = keeper.vm.report["sessions"][0]
    assert ("failed", True) == (session["state"], "duplicate session" in session["detail"])
    assert [("work", "stopped")] == keeper.down()
    assert before == keeper.tmux("list-panes", "-a", "-F", "#{pane_pid}")
    assert [] == keeper.witnesses()


def test_failed_start_leaves_the_server_s_options_as_they_were(keeper: Keeper) -> None:
    keeper.tmux("new-session", "-d", "-s", "work", "sleep 300")
    before = keeper.tmux("show-options", "-g"), keeper.tmux("show-options", "-gw")
    server = keeper.tmux("show-options", "-s")
    with pytest.raises(Unavailable, match="duplicate session"):
        keeper.start("work")
    assert before == (keeper.tmux("show-options", "-g"), keeper.tmux("show-options", "-gw"))
    assert server == keeper.tmux("show-options", "-s")


def test_window_of_the_operator_neither_hides_nor_hinders_a_session(keeper: Keeper) -> None:
    keeper.inventory("work")
    keeper.start("work", "sleep", "300")
    first = keeper.kept().process.pid
    theirs = keeper.tmux("new-window", "-P", "-F", "#{pane_pid}", "-t", "=work:", "sleep 300")
    assert (first, True) == (keeper.kept().process.pid, keeper.kept().alive)
    assert [("work", "stopped")] == keeper.down()
    assert theirs == keeper.tmux("list-panes", "-a", "-F", "#{pane_pid}")
    keeper.start("work")
    assert keeper.seen()["pid"] == keeper.kept().process.pid


def test_window_of_the_operator_closes_with_its_program(keeper: Keeper) -> None:
    keeper.start("work")
    keeper.tmux("new-window", "-t", "=work:", "true")

    def panes() -> int:
        return len(keeper.tmux("list-panes", "-a").splitlines())

    wait_until(lambda: panes() == 1, "the further window closes")


def test_program_that_gives_up_its_terminal_is_still_alive(keeper: Keeper) -> None:
    ready = keeper.vm.root / "ready"
    script = f"exec <&- >&- 2>&-; > {ready}; while :; do sleep 1; done"
    keeper.start("work", "sh", "-c", f"trap '' HUP; {script}")
    wait_until(ready.exists, "the program has closed its terminal")
    wait_until(lambda: "1" in keeper.tmux("list-panes", "-aF", "#{pane_dead}"), "tmux sees it")
    assert keeper.kept().alive


def test_stranger_with_the_recycled_pid_of_a_dead_pane_is_no_session(vm: Vm) -> None:
    Keeper(vm, "tmux").start("work", "false")
    pid = str(Keeper(vm, "tmux").dead().process.pid)
    keeper = through(vm, f"$tmux \"$@\" | sed 's/\t{pid}\t/\t{os.getpid()}\t/'")
    assert (os.getpid(), False) == (keeper.kept().process.pid, keeper.kept().alive)


def test_configuration_of_the_user_is_not_read(keeper: Keeper) -> None:
    (keeper.vm.user_home / ".tmux.conf").write_text("set -g @read yes\n")
    keeper.start("work")
    assert "@read" not in keeper.tmux("show-options", "-g")


@pytest.mark.parametrize("passing", [(), ("TMUX_TMPDIR",)])
def test_tmux_tmpdir_of_a_login_changes_nothing(
    make_keeper: Callable[..., Keeper], passing: tuple[str, ...], tmp_path: Path
) -> None:
    make_keeper({"TMUX_TMPDIR": str(tmp_path)}).start("work", passing=passing)
    assert make_keeper().kept().alive
    assert [] == list(tmp_path.glob("tmux-*"))


def test_server_that_gives_no_answer_is_told_of_in_time(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.start("work")
    kept = keeper.backend.kept()[0]
    server = int(keeper.tmux("display-message", "-p", "#{pid}"))
    monkeypatch.setattr("launcher.sessions.tmux._SECONDS", 0.3)
    os.kill(server, signal.SIGSTOP)
    before = monotonic()
    with pytest.raises(Unavailable, match="no answer"):
        keeper.backend.kept()
    with pytest.raises(Unavailable, match="no answer"):
        keeper.start("another")
    assert keeper.backend.words(kept) is None
    assert 5 > monotonic() - before
    os.kill(server, signal.SIGCONT)
    assert keeper.kept().alive


def test_call_that_a_ctrl_c_killed_is_made_again(vm: Vm) -> None:
    """A child belongs to the terminal's process group for a moment after it was forked."""
    killed = vm.root / "killed"
    once = f"[ -e {killed} ] || {{ > {killed}; kill -INT $$; }}"
    keeper = through(vm, f'case "$*" in *list-panes*) {once};; esac; exec $tmux "$@"')
    keeper.start("work")
    assert ["work"] == [kept.name for kept in keeper.backend.kept()]
    assert killed.exists()


def test_nothing_is_started_where_tmux_is_gone_but_its_server_runs(keeper: Keeper) -> None:
    keeper.start("work")
    keeper.seen()
    keeper.vm.write({"work": [str(keeper.witness)]}, backend="process")
    nowhere = {"PATH": str(keeper.vm.root / "nowhere")}
    done = keeper.vm.run("up", environ=nowhere)
    assert 69 == done.returncode
    assert "tmux is not in PATH" in keeper.vm.report["sessions"][0]["detail"]
    assert 69 == keeper.vm.run("down", environ=nowhere).returncode
    assert keeper.kept().alive
    assert 1 == len(keeper.witnesses())


def test_server_whose_program_was_upgraded_is_asked_by_its_own(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of another version may wait for an answer for ever."""
    keeper.start("work")
    keeper.seen()
    server = keeper.tmux("display-message", "-p", "#{pid}").strip()
    upgraded = keeper.vm.root / "bin" / "tmux"
    upgraded.parent.mkdir(exist_ok=True)
    upgraded.write_text("#!/bin/sh\ncase $1 in -V) echo tmux 99 ;; *) exec sleep 600 ;; esac\n")
    upgraded.chmod(0o755)
    path = f"{upgraded.parent}:{keeper.environ['PATH']}"
    monkeypatch.setitem(keeper.environ, "PATH", path)
    monkeypatch.setattr("launcher.sessions.tmux._SECONDS", 2.0)
    later = keeper.another_backend()
    (kept,) = later.kept()
    assert kept.alive
    assert f"/proc/{server}/exe" in kept.where
    keeper.inventory("work")
    assert [("work", "stopped")] == keeper.down()


def test_server_ends_with_its_last_session(keeper: Keeper) -> None:
    keeper.inventory("first", "second")
    keeper.start("first")
    keeper.start("second")
    server = int(keeper.tmux("display-message", "-p", "#{pid}"))
    assert [("second", "stopped")] == keeper.down("second")
    assert ["first"] == [kept.name for kept in keeper.backend.kept()]
    assert [("first", "stopped")] == keeper.down("first")
    wait_until(lambda: server not in keeper.vm.processes(), "the server ends")


def test_server_without_a_session_is_no_obstacle(keeper: Keeper) -> None:
    """A launcher that is killed right before its first start leaves one."""
    keeper.tmux("start-server", ";", "set-option", "-s", "exit-empty", "off")
    server = keeper.vm.processes()
    keeper.inventory("work")
    assert [] == keeper.backend.kept()
    assert [("work", "stopped")] == keeper.down()
    keeper.start("work")
    assert [("work", "stopped")] == keeper.down()
    wait_until(lambda: not set(server) & set(keeper.vm.processes()), "the server ends")


def test_killed_server_is_no_obstacle(keeper: Keeper) -> None:
    keeper.start("work")
    os.kill(int(keeper.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    wait_until(lambda: not keeper.vm.processes(), "the session ends with its server")
    assert [] == keeper.backend.kept()
    keeper.backend = keeper.another_backend()
    keeper.start("work")
    assert keeper.kept().alive
