"""What the gate's child process runs: pytest over the invariants, its document into a file.

Started by path in isolated mode (``python -I``), so that no variable of Python's, no user site
and no working directory has a say in what is imported. Everything it reads and writes besides
the VM goes through descriptors that its parent made for this very run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

_OFF = (
    *("cacheprovider", "doctest", "unittest", "junitxml", "pastebin", "stepwise", "setuponly"),
    *("setupplan", "faulthandler", "unraisableexception", "threadexception", "logging"),
    *("debugging", "warnings"),
)

ARGUMENTS = (
    "-q",
    "--disable-plugin-autoload",
    "--noconftest",
    "--import-mode=append",
    "--assert=plain",
    "--strict-markers",
    "--capture=fd",
    "--tb=line",
    "--no-summary",
    "--no-header",
    "--color=no",
    "--continue-on-collection-errors",
    "--override-ini=empty_parameter_set_mark=fail_at_collect",
    "--override-ini=python_files=test_*.py",
    "--override-ini=python_functions=test_*",
    "--json-report",
    "--json-report-file=none",
    *(f"-pno:{name}" for name in _OFF),
    "-ppytest_jsonreport.plugin",
    "-pinvariants.plugin",
    "--json-report-omit",
    "collectors",
    "log",
    "streams",
    "keywords",
    "warnings",
)
"""pytest's arguments: pinned, and trimmed to what a verdict needs (field notes, section 3)."""


class Recorder:
    """Hands the inventory in, tells which check is under way, and takes the document out."""

    def __init__(self, inventory: Any, current: int) -> None:
        self.document: dict[str, Any] = {}
        self._inventory = inventory
        self._current = current
        self._collectors: list[dict[str, str]] = []

    def pytest_configure(self, config: Any) -> None:
        """Put the inventory where the invariants' plugin looks before it reads the file."""
        from invariants.plugin import INVENTORY

        config.stash[INVENTORY] = self._inventory

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the check that starts: where the time limit ends it, this is the one that hung."""
        os.pwrite(self._current, nodeid.encode() + b"\n", 0)

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what could not be collected; the rest of the collectors is noise here."""
        if report.failed:
            self._collectors.append(
                {"nodeid": report.nodeid, "outcome": "failed", "longrepr": report.longreprtext}
            )

    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Take the document as soon as it is whole."""
        json_report["collectors"] = self._collectors
        json_report.pop("environment", None)
        self.document = json_report


def main(arguments: list[str]) -> int:
    """Run the invariants; return pytest's exit code.

    *arguments*: the directory that holds ``invariants/``, the time limit in seconds, and the
    numbers of three descriptors: the pickled inventory, the document, and the current check.
    """
    root, limit, inventory, document, current = arguments
    # The parent enforces the limit; this ends a child whose parent was killed.
    signal.alarm(int(float(limit)) + 5)
    if root not in sys.path:
        sys.path.insert(0, root)
    import pickle

    import pytest

    with open(int(inventory), "rb") as file:
        recorder = Recorder(pickle.load(file), int(current))
    tests = os.path.join(root, "invariants")
    pinned = ["-c", os.devnull, f"--rootdir={root}", f"--confcutdir={tests}"]
    code = int(pytest.main([tests, *pinned, *ARGUMENTS], plugins=[recorder]))
    with open(int(document), "w", encoding="ascii") as file:
        json.dump(recorder.document, file, separators=(",", ":"))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
