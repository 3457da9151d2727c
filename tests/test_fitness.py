"""What keeps a session from being switched, beside what the other account lacks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.finding import Finding
from invariants.inventory import Inventory
from launcher.fitness import unfit
from launcher.interrupts import Interrupts
from launcher.sessions.survey import Survey
from tests.switching import Switching
from tests.vm import Vm, wait_until


def found(api: Switching, inventory: Inventory | None = None) -> list[Finding]:
    inventory = inventory or api.inventory
    (session,), to = inventory.sessions, inventory.account("backup")
    survey = Survey(inventory, api.vm.environ)
    with Interrupts() as interrupts:
        return unfit(inventory, session, to, survey, api.vm.environ, interrupts)


def states(findings: list[Finding]) -> list[str]:
    return [finding.state for finding in findings]


def test_nothing_is_in_the_way(vm: Vm) -> None:
    api = Switching(vm)
    assert [] == found(api)
    api.up()
    assert [] == found(api)


def test_what_may_be_of_the_session_is_named_and_not_ended(vm: Vm) -> None:
    api = Switching(vm)
    api.write(command=["sh", "-c", "env -i sleep 600 & echo $! > child; exec sleep 600"])
    assert 0 == vm.run("up").returncode
    child = vm.root / "child"
    wait_until(lambda: child.exists() and child.read_text(), "the child runs")
    (kept,) = api.runs
    os.kill(kept.process.pid, signal.SIGKILL)
    wait_until(lambda: not api.runs, "the leader is dead")
    (finding,) = found(api)
    assert ("doubtful", f"kill {child.read_text().strip()}") == (finding.state, finding.fix)
    os.kill(int(child.read_text()), signal.SIGKILL)


def test_server_without_its_socket_is_named(vm: Vm) -> None:
    api = Switching(vm, "tmux")
    api.up()
    (kept,) = api.runs
    os.kill(kept.process.pid, signal.SIGKILL)
    wait_until(lambda: not api.runs, "the leader is dead")
    vm.tmux_socket.unlink()
    finding = found(api)[0]
    assert ("unseen", True) == (finding.state, "kill -USR1" in finding.fix)


def _torn_record(api: Switching) -> None:
    path = api.vm.state / "conversations" / "api.json"
    path.parent.mkdir(parents=True)
    path.write_text("torn")


def _looping_notes(api: Switching) -> None:
    notes: Path = api.vm.home("backup") / "sessions"
    notes.symlink_to(notes)


@pytest.mark.parametrize(
    ("spoil", "state"), [(_torn_record, "unknown-conversation"), (_looping_notes, "unreadable")]
)
def test_what_cannot_be_read_of_a_conversation_is_told(
    vm: Vm, spoil: Callable[[Switching], None], state: str
) -> None:
    api = Switching(vm)
    spoil(api)
    (finding,) = found(api)
    fix = f"launcher status --inventory {vm.inventory}  # look: docs/switch.md says what to do"
    assert (state, True) == (finding.state, finding.fix.startswith(fix))


def test_home_that_hangs_is_given_up(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Switching(vm)
    monkeypatch.setattr("launcher.fitness.judge_login", lambda *_, **__: time.sleep(999))
    inventory = api.inventory
    settings = inventory.settings._replace(timeout=0.2)
    findings = found(api, inventory._replace(settings=settings))
    assert "unreadable" == states(findings)[0]
    assert "no answer within 0.2 s" in findings[0].found
