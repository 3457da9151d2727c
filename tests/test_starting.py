"""The starts behind a gate: what has changed since it, what goes wrong with them, what is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.test_boot import SLEEP, states
from tests.vm import UNPRIVILEGED, Vm, wait_until


def spoil_between_gate_and_start(vm: Vm, statement: str) -> Path:
    """Return a copy of the program in which *statement* runs when the gate has just been green."""
    code = vm.deploy()
    starting = code / "launcher" / "starting.py"
    source = starting.read_text()
    line = "        try:\n            self.start(sessions)\n"
    starting.write_text(source.replace(line, f"        import os; {statement}\n{line}"))
    assert source != starting.read_text()
    return code


def test_link_that_changed_since_the_gate_stops_the_start_and_turns_the_report_red(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    code = spoil_between_gate_and_start(vm, f"os.unlink({str(vm.entry('primary', 'projects'))!r})")
    result = vm.run("up", cwd=code)
    assert 1 == result.returncode
    assert ("red", 23, {"api": "held"}) == (vm.report["verdict"], vm.report["passed"], states(vm))
    assert ["missing"] == [failure["state"] for failure in vm.report["failures"]]
    assert (
        "invariants/test_links.py::test_link_is_shared[primary-projects]"
        == (vm.report["failures"][0]["nodeid"])
    )
    assert "primary projects: missing" in result.stdout
    assert [] == vm.processes()


def test_red_after_a_first_start_does_not_say_that_nothing_was_started(vm: Vm) -> None:
    spoil = f"rm {vm.entry('primary', 'projects')}; exec sleep 600"
    vm.write({"api": ["sh", "-c", spoil], "docs": SLEEP, "web": SLEEP})
    entry = vm.entry("primary", "projects")
    code = vm.deploy()
    starting = code / "launcher" / "starting.py"
    check = "            self._interrupts.check()\n"
    wait = f"            while self._tried and os.path.lexists({str(entry)!r}): pass\n"
    source = starting.read_text().replace(check, f"            import os\n{check}{wait}", 1)
    assert source != starting.read_text()
    starting.write_text(source)
    result = vm.run("up", cwd=code)
    assert 1 == result.returncode
    assert "; 1 were started before, the rest is held (" in result.stdout.splitlines()[-1]
    assert ["started", "held", "held"] == [one["state"] for one in vm.report["sessions"]]


@pytest.mark.thorough
def test_home_that_hangs_since_the_gate_stops_the_start(vm: Vm) -> None:
    vm.write({"api": SLEEP}, timeout=6)
    hang = (
        "import time; from invariants.judgement import judge_all; "
        "judge_all.__globals__['judge_entry'] = lambda *a: time.sleep(999)"
    )
    code = spoil_between_gate_and_start(vm, hang)
    result = vm.run("up", cwd=code)
    assert 70 == result.returncode
    assert ("unknown", {"api": "held"}) == (vm.report["verdict"], states(vm))
    assert "no answer within 6 s" in vm.report["reason"]


@pytest.mark.parametrize("subject", ["home", "target"])
def test_home_or_target_that_changed_since_the_gate_stops_the_start(vm: Vm, subject: str) -> None:
    vm.write({"api": SLEEP})
    path = vm.home("backup") if subject == "home" else vm.target("projects")
    mode = 0o777 if subject == "home" else 0o500
    spoil = f"os.chmod({str(path)!r}, {mode})"
    result = vm.run("up", cwd=spoil_between_gate_and_start(vm, spoil), prefix=UNPRIVILEGED)
    assert 1 == result.returncode
    assert [f"{subject}_is_usable"] == [one["invariant"] for one in vm.report["failures"]]
    assert ("red", {"api": "held"}) == (vm.report["verdict"], states(vm))
    assert [] == vm.processes()


def test_launcher_that_is_killed_at_its_starts_leaves_no_green(vm: Vm) -> None:
    vm.write({"api": SLEEP, "docs": SLEEP})
    code = vm.deploy()
    starting = code / "launcher" / "starting.py"
    line = "        self._backend.start(self._all_about(session, account))\n"
    killed = f"{line}        import os; os.kill(os.getpid(), 9)\n"
    source = starting.read_text().replace(line, killed)
    assert source != starting.read_text()
    starting.write_text(source)
    assert -9 == vm.run("up", cwd=code).returncode
    wait_until(lambda: 1 == len(vm.processes()), "what was started is the program alone")
    assert "unknown" == vm.report["verdict"]
    assert "starting sessions, or was killed at it" in vm.report["reason"]
    assert {"api": "started", "docs": "stopped"} != states(vm)
    assert 0 == vm.run("up").returncode
    assert {"api": "running", "docs": "started"} == states(vm)


@pytest.mark.parametrize(
    ("where", "code", "states_of_both"),
    [
        ("_all_about", 69, ["started", "failed"]),
        ("_still_holds", 70, ["started", "held"]),
        ("see_alive", 70, ["started", "started"]),
    ],
)
@pytest.mark.sampled(2)
def test_fault_of_ours_hides_nothing_that_was_started(
    vm: Vm, where: str, code: int, states_of_both: list[str]
) -> None:
    """An exception that nobody thought of: what runs is in the report all the same."""
    vm.write({"api": SLEEP, "docs": SLEEP})
    fault = f"""

def spoilt(self, *arguments, before=Starting.{where}):
    if self._tried and (len(self._tried) == 2 or "{where}" == "_still_holds"):
        raise RecursionError("nobody thought of this")
    return before(self, *arguments)


Starting.{where} = spoilt
"""
    spoilt = vm.deploy()
    with (spoilt / "launcher" / "starting.py").open("a") as source:
        source.write(fault)
    result = vm.run("up", cwd=spoilt)
    assert code == result.returncode
    assert "nobody thought of this" in result.stdout
    assert states_of_both == [one["state"] for one in vm.report["sessions"]]
    started = states_of_both.count("started")
    wait_until(lambda: started == len(vm.processes()), "no helper of the starts is left")
    assert "Traceback" not in result.stderr


def test_tmux_that_is_gone_since_the_gate_is_unavailable(vm: Vm) -> None:
    path = vm.root / "path"
    path.mkdir()
    for program in ("sleep", "sh", "tmux"):
        (path / program).symlink_to(str(shutil.which(program)))
    vm.write({"api": SLEEP}, backend="tmux")
    spoilt = spoil_between_gate_and_start(vm, f"os.unlink({str(path / 'tmux')!r})")
    result = vm.run("up", cwd=spoilt, environ={"PATH": str(path)})
    assert 69 == result.returncode
    assert "tmux cannot be called: " in vm.report["sessions"][0]["detail"]


def test_program_that_is_gone_since_the_gate_is_unavailable(vm: Vm) -> None:
    program = vm.root / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    vm.write({"api": [str(program)]})
    result = vm.run("up", cwd=spoil_between_gate_and_start(vm, f"os.unlink({str(program)!r})"))
    assert 69 == result.returncode
    assert f"its program {program} is gone since the gate" == vm.report["sessions"][0]["detail"]


def test_report_that_cannot_be_published_after_the_start_is_said_with_what_runs(vm: Vm) -> None:
    report = vm.root / "reports" / "report.json"
    vm.write({"api": SLEEP}, report=str(report))
    statement = f"os.unlink({str(report)!r}); os.mkdir({str(report)!r})"
    result = vm.run("up", cwd=spoil_between_gate_and_start(vm, statement))
    assert 70 == result.returncode
    assert "api  primary  started" in result.stdout
    assert 1 == len(vm.processes())
