"""A directory on ``PYTHONPATH`` has a package that is called like one of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm import Vm

COMMAND = Path(sys.executable).with_name("launcher")


@pytest.mark.parametrize("name", ["launcher", "invariants", "plumbum"])
@pytest.mark.parametrize("text", ["", "raise SystemExit(0)\n"], ids=["empty", "says green"])
@pytest.mark.thorough
def test_command_runs_its_own_code(vm: Vm, name: str, text: str) -> None:
    package = vm.root / "path" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    (package / "__main__.py").write_text(text)
    vm.diverge()
    done = subprocess.run(
        [COMMAND, "--inventory", vm.inventory, "check"],
        env={**vm.environ, "PYTHONPATH": str(package.parent)},
        cwd=vm.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 1 == done.returncode, done.stderr
    assert "red: 1 of" in done.stdout
