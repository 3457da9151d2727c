"""The second look: what is green was seen by the launcher itself, whatever pytest says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patching import patch
from tests.test_boot import SLEEP, states
from tests.vm import Vm


def changed(vm: Vm, name: str, old: str, new: str) -> Path:
    """Return a copy of the program in which *old* is *new* in one file."""
    code = vm.deploy()
    patch(code / name, old, new)
    return code


def without_link_tests(vm: Vm) -> Path:
    return changed(vm, "invariants/test_links.py", "    if not vm.", "    return\n    if not vm.")


def test_gate_that_another_program_calls_is_looked_at_again(vm: Vm) -> None:
    code = without_link_tests(vm)
    script = (
        "from invariants.inventory import load; from launcher.gate import validate_all; "
        f"print(validate_all(load({str(vm.inventory)!r})).verdict.colour)"
    )

    def verdict() -> str:
        command = [sys.executable, "-c", script]
        return subprocess.check_output(command, cwd=code, env=vm.environ, text=True).strip()

    assert "green" == verdict()
    vm.diverge()
    assert "red" == verdict()


def test_plan_of_a_switch_is_made_behind_the_second_look(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    code = without_link_tests(vm)
    vm.diverge()
    done = vm.run("switch", "api", "backup", "--dry-run", cwd=code)
    assert 1 == done.returncode
    assert "backup projects: divergent" in done.stdout


def test_exit_code_of_red_is_left_to_what_started_nothing(vm: Vm) -> None:
    """A link that a session turns once it is started is for the next gate to tell."""
    spoil = f"rm {vm.entry('primary', 'projects')}; exec sleep 600"
    vm.write({"api": ["sh", "-c", spoil]}, settle=0.5)
    result = vm.run("up")
    assert (0, {"api": "started"}) == (result.returncode, states(vm)), result.stdout
    assert 1 == vm.run("check").returncode
    assert ["missing"] == [failure["state"] for failure in vm.report["failures"]]


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.thorough
def test_home_that_hangs_since_the_gate_is_unknown_in_time(vm: Vm, verb: str) -> None:
    vm.write(timeout=6)
    line = "        places = Places("
    code = changed(vm, "launcher/second_look.py", line, f"        sleep(999)\n{line}")
    file = code / "launcher" / "second_look.py"
    file.write_text(file.read_text().replace("\n_LEAST", "\nfrom time import sleep\n_LEAST"))
    words = ["run", "backup", "--", "touch", str(vm.root / "ran")] if verb == "run" else [verb]
    begun = time.monotonic()
    result = vm.run(*words, cwd=code)
    assert (70, "unknown") == (result.returncode, vm.report["verdict"])
    assert "a file system may hang" in vm.report["reason"]
    assert time.monotonic() - begun < 30
    assert not (vm.root / "ran").exists()
