"""Warnings of the watch: in the report as they are, and said once when they appear."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import load
from invariants.warning import Warned
from launcher.verdict import Colour, Gate, Verdict
from launcher.watch.telling import Telling
from tests.vm import Vm
from tests.watch.conftest import Watcher

Watching = Callable[..., Watcher]
ONE, OTHER = Warned("one", "a", "b"), Warned("other", "a\nb", "c", session="api")
GREEN = Verdict(Colour.GREEN, None, (), 2, 2)
UNKNOWN = Verdict(Colour.UNKNOWN, "hung", (), 2, 0)


def told(tmp_path: Path, *gates: Gate) -> tuple[list[str], list[str]]:
    """Tell of *gates*, one after another; return what was said, and what was warned of."""
    vm = Vm(tmp_path)
    said: list[str] = []
    warned: list[str] = []
    telling = Telling({}, said.append, None, warned.append)
    for gate in gates:
        telling.tell(load(str(vm.inventory)), gate)
    telling.close()
    return said, warned


def gate(*warnings: Warned, verdict: Verdict = GREEN) -> Gate:
    return Gate(verdict, {}, 1.0, 2.0, warnings)


def test_warning_is_said_once_while_it_stands(tmp_path: Path) -> None:
    said, warned = told(tmp_path, gate(), gate(ONE), gate(ONE), gate(ONE, OTHER), gate(OTHER))
    assert ["green: all 2 invariants hold"] == said
    assert [f"warning: {ONE}", f"warning: {OTHER}"] == warned
    assert "warning: session api: 'a\\nb'; fix: c" == warned[1]


def test_warning_that_comes_back_is_said_again(tmp_path: Path) -> None:
    _, warned = told(tmp_path, gate(ONE), gate(), gate(ONE))
    assert [f"warning: {ONE}"] * 2 == warned


def test_warning_is_not_said_again_after_a_gate_that_could_not_be_judged(tmp_path: Path) -> None:
    _, warned = told(tmp_path, gate(ONE), gate(verdict=UNKNOWN), gate(ONE))
    assert [f"warning: {ONE}"] == warned


def left_behind(vm: Vm, **keys: Any) -> None:
    """Start two sessions; leave an inventory that names one of them."""
    vm.write({"api": ["sleep", "600"], "old": ["sleep", "600"]}, **keys)
    assert 0 == vm.run("up").returncode
    vm.write({"api": ["sleep", "600"]}, **keys)


def warns_of_old(vm: Vm) -> bool:
    return ["old"] == [one["session"] for one in vm.report["warnings"]]


@pytest.mark.thorough
def test_session_that_is_taken_out_of_the_inventory_is_warned_of(
    vm: Vm, watching: Watching
) -> None:
    vm.write({"api": ["sleep", "600"], "old": ["sleep", "600"]})
    assert 0 == vm.run("up").returncode
    watcher = watching(vm)
    watcher.until("green")
    assert [] == vm.report["warnings"]
    vm.write({"api": ["sleep", "600"]})
    watcher.wait(lambda: warns_of_old(vm), "the report warns")
    assert "green" == watcher.verdict
    watcher.wait(lambda: "launcher: warning: session old: it runs" in watcher.said(), "it is said")
    status = "STATUS=green: all 24 invariants hold; 1 warning"
    watcher.wait(lambda: status in watcher.messages(), "systemd is told")
    assert 0 == vm.run("down", "old").returncode
    watcher.send(signal.SIGHUP)
    watcher.wait(lambda: not vm.report["warnings"], "the warning is over")


def test_watch_that_starts_sessions_warns_as_well(vm: Vm, watching: Watching) -> None:
    left_behind(vm)
    assert 0 == vm.run("down", "api").returncode
    watcher = watching(vm, "--ensure-sessions")
    started = ("started", "running")
    watcher.wait(
        lambda: any(one["state"] in started for one in vm.report["sessions"]),
        "the session is started",
    )
    watcher.until("green")
    watcher.wait(lambda: warns_of_old(vm), "the report warns")
    assert "failed" not in [one["state"] for one in vm.report["sessions"]]


def test_look_at_sessions_that_fails_leaves_no_warning(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    from launcher import boot
    from launcher.errors import Unavailable
    from launcher.interrupts import Interrupts
    from launcher.watch.seen import Seen

    def fails(*_: object) -> object:
        raise Unavailable("tmux does not answer")

    vm.write({"api": ["sleep", "600"]})
    monkeypatch.setattr(boot, "Survey", fails)
    with Seen(load(str(vm.inventory)), os.environ) as seen, Interrupts(signals=()) as waiting:
        (status,) = seen.statuses(Colour.GREEN, lambda fds, until: waiting.poll(fds, 20))
    assert ("failed", ()) == (status.state, seen.warnings)
