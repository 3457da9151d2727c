"""A VM whose report is what a test wants it to be, and ``status`` called in this process."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from invariants.inventory import load
from launcher.cli import main
from launcher.demands import digest_now
from launcher.reading import MAX_AGE, Reading, read_report
from tests.vm import Vm

CASES = ("green", "red", "unknown", "stale", "missing")
WARNING = {
    "invariant": "session_is_in_inventory",
    "account": "primary",
    "link": None,
    "session": "old",
    "found": "it runs | <still>",
    "fix": "launcher down old",
}
LINE = "warning: session old: it runs | <still>; fix: launcher down old"
"""The warning as every format has it that shows lines."""


class Answer(NamedTuple):
    """What a call of ``status`` printed, and its exit code."""

    code: int
    text: str
    errors: str


@cache
def left_by_gates() -> dict[str, dict[str, Any]]:
    """Return the reports that a green and a red gate left: they are run once, for all modules."""
    left = {}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "vm"
        root.mkdir(mode=0o700)
        vm = Vm(root).link()
        vm.write({"api": ["sleep", "600"]})
        for colour, code in (("green", 0), ("red", 1)):
            if colour == "red":
                vm.diverge()
            assert code == vm.run("check").returncode
            left[colour] = json.loads(vm.report_path.read_text())
    return left


class Told:
    """Two accounts, a session, and a report that a real gate has left."""

    def __init__(self, vm: Vm, documents: Mapping[str, dict[str, Any]]) -> None:
        self.vm = vm
        self._documents = documents

    def document(self, colour: str) -> dict[str, Any]:
        """Return the report of a gate that has just ended, to be changed and told."""
        document = deepcopy(self._documents[colour])
        now = time.time()
        document["failover"] |= {"started": now - 0.25, "finished": now}
        inventory = load(str(self.vm.inventory))
        document["failover"] |= {"inventory": inventory.path, "demands": digest_now(inventory)}
        return document

    def tell(self, document: Mapping[str, Any]) -> None:
        """Make *document* the report."""
        self.vm.state.mkdir(exist_ok=True)
        self.vm.report_path.write_text(json.dumps(document))

    def case(self, name: str) -> None:
        """Make the report one of ``CASES``."""
        if name == "missing":
            return
        document = self.document("green" if name in ("stale", "unknown") else name)
        if name == "stale":
            document["failover"]["finished"] -= MAX_AGE + 60
            document["failover"]["started"] -= MAX_AGE + 60
        if name == "unknown":
            reason = "no verdict within 30 s, hung at backup projects"
            failover = document["failover"] | {"verdict": "unknown", "reason": reason}
            document = {"failover": failover | {"passed": 0}}
        self.tell(document)

    def warned(self, colour: str, *warnings: Mapping[str, Any]) -> None:
        """Make the report a green or a red one with *warnings*, by default with one."""
        document = self.document(colour)
        document["failover"]["warnings"] = list(warnings or [WARNING])
        self.tell(document)

    def reading(self, max_age: float = MAX_AGE) -> Reading:
        """Read the report."""
        return read_report(load(str(self.vm.inventory)), max_age)


class Caller:
    """Calls the command line without a process of its own."""

    def __init__(self, told: Told, capfd: pytest.CaptureFixture[str]) -> None:
        self._told = told
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Answer:
        """Run a verb on the VM's inventory."""
        self._capfd.readouterr()
        code = main(["--inventory", str(self._told.vm.inventory), *arguments])
        return Answer(code, *self._capfd.readouterr())
