"""What keeps the sessions has to be there, or nothing is started."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from invariants import test_sessions as family
from invariants.inventory import load
from invariants.programs import BACKEND_PROGRAMS, manager_answers, manager_directory
from invariants.vm import Broken
from invariants.vm import Vm as Judged
from tests.vm import Vm


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a manager's socket would be, on a machine that has every program."""
    for program in BACKEND_PROGRAMS["systemd"]:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(family, "manager_directory", lambda uid: str(tmp_path))
    (tmp_path / "systemd").mkdir()
    return tmp_path / "systemd" / "private"


@pytest.fixture
def judged(vm: Vm) -> Judged:
    """Return a VM as a run of pytest judges it."""
    return Judged(load(str(vm.inventory)), ())


@pytest.mark.parametrize("program", BACKEND_PROGRAMS["systemd"])
def test_systemd_s_programs_have_to_be_there(place: Path, program: str, judged: Judged) -> None:
    (place.parents[1] / program).unlink()
    with pytest.raises(Broken) as broken:
        family.test_session_backend_is_there("systemd", judged)
    assert f"the program {program}, for backend = 'systemd'" in str(broken.value)


@pytest.mark.parametrize(
    ("uid", "whose", "fix"),
    [
        (0, "the systemd manager of the system", "boot with systemd, or set backend"),
        (65534, "the systemd manager of nobody", "loginctl enable-linger nobody"),
    ],
)
def test_manager_has_to_answer(
    place: Path,
    judged: Judged,
    monkeypatch: pytest.MonkeyPatch,
    uid: int,
    whose: str,
    fix: str,
) -> None:
    with socket.socket(socket.AF_UNIX) as manager:
        manager.bind(str(place))
        with monkeypatch.context() as as_somebody:
            as_somebody.setattr(os, "geteuid", lambda: uid)
            with pytest.raises(Broken) as broken:
                family.test_session_backend_is_there("systemd", judged)
        finding = broken.value.finding
        assert ("no-manager", f"nobody who answers at {place}") == (finding.state, finding.found)
        assert whose in finding.expected
        assert fix in finding.fix
        manager.listen()
        family.test_session_backend_is_there("systemd", judged)


def test_manager_is_the_system_s_for_root_and_the_user_s_own_else(tmp_path: Path) -> None:
    assert ("/run", "/run/user/1000") == (manager_directory(0), manager_directory(1000))
    assert not manager_answers(str(tmp_path))


@pytest.mark.parametrize(
    ("backend", "command", "state"),
    [
        ("auto", ["claude"], "no-terminal"),
        ("auto", ["claude", "-p", "say ok"], None),
        ("auto", ["sleep", "600"], None),
        ("process", ["claude"], None),
    ],
)
def test_claude_code_is_not_left_without_a_terminal_for_want_of_tmux(
    vm: Vm, backend: str, command: list[str], state: str | None
) -> None:
    """It ends within seconds there, and had been called started by then."""
    vm.write({"api": command}, backend=backend)
    vm.run("check", environ={"PATH": str(vm.root)})
    told = [one for one in vm.report["failures"] if one["invariant"] == "session_backend_is_there"]
    assert ([state] if state else []) == [one["state"] for one in told]
    assert all("a terminal for api" in one["expected"] for one in told)
