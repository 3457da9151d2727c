"""Who is brought back: what died, where its policy asks for it, and behind the gate."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from invariants.inventory import load
from invariants.model import Session
from launcher.boot import up
from launcher.errors import Interrupted, Unavailable
from launcher.interrupts import Interrupts
from launcher.processes import Process
from launcher.sessions import Kept, died
from tests.sessions.test_survey import WITHOUT_TMUX, states
from tests.vm import Vm, wait_until

BACK = 'restart = "on-failure"'
WAITS = ["sh", "-c", "while test ! -e $HOME/$CODE; do sleep 0.01; done; exit $CODE"]


def word(vm: Vm) -> list[str]:
    """Return of whom word is left.

    Debian's tmux at times notices a death only when somebody looks: systemd's units see to that,
    and in the waits here `status` does.
    """
    directory = vm.state / "died"
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def up_of_the_died(vm: Vm) -> tuple[int, dict[str, str]]:
    done = vm.run("up", "--died", "--json")
    found = json.loads(done.stdout)["sessions"]
    return done.returncode, {session["name"]: session["state"] for session in found}


@WITHOUT_TMUX
def test_killed_session_is_brought_back_and_nothing_else(vm: Vm) -> None:
    sleep = ["sleep", "600"]
    commands = {"killed": sleep, "stopped": sleep, "stays": sleep, "done": WAITS}
    vm.environ["CODE"] = "0"
    vm.write(commands, backend="tmux", session_keys=BACK)
    assert set(states(vm, "up").values()) == {"started"}
    [stays] = [pid for pid in vm.processes() if name_of(pid) == "stays"]
    assert 0 == vm.run("down", "stopped").returncode
    (vm.user_home / "0").touch()
    [killed] = [pid for pid in vm.processes() if name_of(pid) == "killed"]
    os.kill(killed, signal.SIGKILL)
    ended = {"killed", "done"}
    wait_until(lambda: vm.run("status") and ended <= set(word(vm)), "word is left of both ends")
    states_before = {"done": "stopped", "stays": "running", "stopped": "stopped"}
    assert (0, {**states_before, "killed": "started"}) == up_of_the_died(vm)
    assert [] == word(vm)
    assert "green" == vm.report["verdict"]
    assert name_of(stays) == "stays"


def name_of(pid: int) -> str:
    """Return the session that a process of it is marked with, if it leads one."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_text()
    except OSError:  # it has ended in between
        return ""
    marks = [pair for pair in environ.split("\0") if pair.startswith("CLAUDE_FAILOVER_SESSION=")]
    leader, name = marks[0].partition("=")[2].split(":")[:2] if marks else ("", "")
    return name if leader == str(pid) else ""


@pytest.mark.parametrize(
    ("restart", "ending", "over", "back"),
    [
        ("on-failure", "exited with status 3", False, True),
        ("on-failure", "ended by signal 9", False, True),
        ("on-failure", None, False, True),
        ("on-failure", "exited with status 0", False, False),
        ("on-failure", "ended by signal 9", True, False),
        ("no", "ended by signal 9", False, False),
    ],
)
def test_policy_decides_by_how_a_run_of_this_boot_ended(
    restart: str, ending: str | None, over: bool, back: bool
) -> None:
    session = Session("api", "a", "/", ("claude",), restart=restart)
    process = Process(1, 1)
    dead = Kept("api", "a", "/a", "tmux", process, alive=False, where="", ending=ending, over=over)
    assert back == died.is_brought_back(session, [dead])
    assert not died.is_brought_back(session, [])


LEAVES_ONE = "setsid sh -c 'while kill -0 '$$'; do sleep 0.05; done; sleep 2' & exec sleep 600"
"""A session of which something runs on for two seconds after it was killed."""


@pytest.mark.thorough
@WITHOUT_TMUX
def test_what_a_killed_session_leaves_is_waited_for(vm: Vm) -> None:
    vm.write({"api": ["sh", "-c", LEAVES_ONE]}, backend="tmux", session_keys=BACK)
    assert {"api": "started"} == states(vm, "up")
    wait_until(lambda: len(vm.processes()) == 3, "all of it run")
    [killed] = [pid for pid in vm.processes() if name_of(pid) == "api"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: vm.run("status") and word(vm) == ["api"], "word is left")
    assert (0, {"api": "started"}) == up_of_the_died(vm)


def test_signal_that_comes_while_it_waits_leaves_a_report_all_the_same(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted(signal.SIGINT, "SIGINT")

    vm.write({"api": ["sleep", "600"]})
    monkeypatch.setattr("launcher.boot._await_ends", interrupted)
    with Interrupts() as interrupts:
        up(load(str(vm.inventory)), vm.environ, interrupts, only_died=True)
    assert ("green", "stopped") == (vm.report["verdict"], vm.report["sessions"][0]["state"])


@WITHOUT_TMUX
def test_red_gate_brings_nobody_back(vm: Vm) -> None:
    vm.diverge()
    vm.write({"api": ["sleep", "600"]}, backend="tmux", session_keys=BACK)
    (vm.state / "died").mkdir(parents=True)
    (vm.state / "died" / "api").touch()
    assert (1, {"api": "held"}) == up_of_the_died(vm)
    assert ([], []) == (word(vm), vm.processes())


@WITHOUT_TMUX
def test_odd_state_directory_gets_the_word(vm: Vm) -> None:
    vm.state = vm.root / """an 'odd' "$HOME" 100% #{pid} \\ state"""
    vm.write({"api": ["sh", "-c", "sleep 0.2; exit 3"]}, backend="tmux", session_keys=BACK)
    vm.run("up")
    wait_until(lambda: vm.run("status") and word(vm) == ["api"], "word is left")


def test_word_that_cannot_be_taken_or_expected(vm: Vm) -> None:
    vm.state.mkdir()
    state = str(vm.state)
    died.take(state)
    (vm.state / "died" / "api").mkdir(parents=True)
    died.take(state)
    assert ["api"] == word(vm)
    (vm.state / "died" / "api").rmdir()
    (vm.state / "died").rmdir()
    (vm.state / "died").touch()
    with pytest.raises(Unavailable, match="died: "):
        died.expect(state)
