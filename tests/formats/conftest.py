"""Fixtures of the formats' tests: reports that real gates have left, once for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.formats.told import Caller, Told, left_by_gates
from tests.vm import Vm


@pytest.fixture(scope="session")
def documents() -> dict[str, dict[str, Any]]:
    """Return the reports of a green and of a red gate, with a session that is not started."""
    return left_by_gates()


@pytest.fixture
def told(tmp_path: Path, documents: dict[str, dict[str, Any]]) -> Told:
    """Return a VM without homes or targets: who tells a report has no business with them."""
    root = tmp_path / "vm"
    root.mkdir(mode=0o700)
    vm = Vm(root)  # nothing is started on it, so there is nothing to end
    vm.write({"api": ["sleep", "600"]})
    for account in vm.accounts:
        vm.home(account).rmdir()
    return Told(vm, documents)


@pytest.fixture
def call(told: Told, capfd: pytest.CaptureFixture[str]) -> Caller:
    """Return what calls the launcher in this process."""
    return Caller(told, capfd)
