"""Whoever starts the launcher ignores SIGCHLD: then nobody can wait for a child's exit status."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.vm import Vm

FALSE = """
import subprocess

def test_false_is_noticed():
    assert subprocess.run(["false"]).returncode == 0
"""


def ignore() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


@pytest.mark.parametrize("true", [True, False], ids=["true", "false"])
def test_own_invariant_knows_how_its_child_ended(vm: Vm, true: bool) -> None:
    directory = vm.root / "invariants.d"
    directory.mkdir(mode=0o700)
    file = directory / "test_mine.py"
    file.write_text(FALSE.replace('"false"', '"true"') if true else FALSE)
    file.chmod(0o600)
    vm.write(invariants=[str(directory)])
    done = vm.run("check", preexec_fn=ignore)
    assert (0 if true else 1) == done.returncode, done.stdout + done.stderr


def test_session_is_started_and_stopped_and_ignores_nothing(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]}, settle=0.1)
    up = vm.run("up", preexec_fn=ignore)
    assert 0 == up.returncode, up.stdout + up.stderr
    (pid,) = (
        pid for pid in vm.processes() if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigIgn:")
    )
    assert 0 == int(line.split()[1], 16) & 1 << signal.SIGCHLD - 1
    assert 0 == vm.run("down", preexec_fn=ignore).returncode
    assert [] == vm.processes()
