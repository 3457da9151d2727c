"""A directory that reports were fetched into, and ``launcher fleet`` called on it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.fleets import FETCHED, report
from launcher.cli import main
from launcher.fleet import Fleet, Gathering, Source, Vm, told


class Answer(NamedTuple):
    """What a call printed, and its exit code."""

    code: int
    text: str
    errors: str

    def line(self, vm: str) -> str:
        """Return the one line of a VM."""
        lines = self.text.partition("\n\n")[0].splitlines()[1:]
        (found,) = [line for line in lines if line[9:].startswith(f"{vm} ")]
        return found


class Fetched:
    """Reports of VMs, each below a directory with the VM's name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, vm: str) -> Path:
        """Return where the report of a VM is."""
        return self.root / vm / FETCHED

    def add(
        self, vm: str, kind: str = "green", age: float = 10, at: Path | None = None, **key: Any
    ) -> dict[str, Any]:
        """Write the report of *vm*, *age* seconds old, its ``failover`` changed by *key*."""
        document = report(vm, kind, time.time() - age)
        document["failover"] |= key
        self.write(at or self.path(vm), json.dumps(document) + "\n")
        return document

    def write(self, path: Path, content: str) -> Path:
        """Write a file and the directories that it needs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path


class Caller:
    """Calls the command line without a process of its own."""

    def __init__(self, fetched: Fetched, capfd: pytest.CaptureFixture[str]) -> None:
        self._fetched = fetched
        self._capfd = capfd

    def __call__(self, *options: str, paths: Sequence[str | Path] | None = None) -> Answer:
        """Run ``fleet`` on *paths*, by default on the whole directory."""
        self._capfd.readouterr()
        named = [str(path) for path in paths or [self._fetched.root]]
        code = main(["fleet", *options, *named])
        return Answer(code, *self._capfd.readouterr())


def vm_of(document: dict[str, Any], max_age: float = 900.0, filed: str = "") -> Vm:
    """Return the VM that a report's *document* tells of."""
    return told(Source("report.json", filed, json.dumps(document).encode()), max_age)


def fleet_of(*documents: dict[str, Any]) -> Fleet:
    """Return the fleet that these reports tell of."""
    gathering = Gathering(900.0)
    for document in documents:
        gathering.add(vm_of(document))
    return gathering.fleet()
