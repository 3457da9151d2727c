"""What the gate's child process runs: pytest over the invariants, its document into a file.

Started by path in isolated mode and without the interpreter's start-up files (``python -I -S``),
so that no variable of Python's, no user site, no working directory, no ``sitecustomize`` and no
code in a ``.pth`` file has a say in what is imported, or in what pytest is told. Everything it
reads and writes besides the VM goes through descriptors that its parent made for this very run.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

_OFF = (
    *("cacheprovider", "doctest", "unittest", "junitxml", "pastebin", "stepwise", "setuponly"),
    *("setupplan", "faulthandler", "unraisableexception", "threadexception", "logging"),
    *("debugging", "warnings", "tmpdir", "monkeypatch", "recwarn", "skipping", "subtests"),
    *("terminalreporter", "capture"),
)
"""Plugins of pytest that no invariant needs. Without the one for skips, a mark skips nothing.

The terminal's reporter prints what nobody reads, and keeps three reports of every test for it.
"""

_EARLY = ("pytest", "pytest_jsonreport.plugin", "invariants.plugin")
"""What can be imported before the word to go on."""

_GARBAGE = 50_000
"""How many new objects make the collector look: at Python's 700 it looks 40 times in vain."""

ARGUMENTS = (
    "-q",
    "--disable-plugin-autoload",
    "--noconftest",
    "--import-mode=append",
    "--assert=plain",
    "--strict-markers",
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


def keep_only(descriptors: Iterable[int]) -> None:
    """Close all that was inherited but *descriptors* and the standard ones; work in ``/``."""
    low = 3
    for descriptor in sorted(descriptors):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")


def find_installed(directories: Iterable[str]) -> None:
    """Let packages in the site *directories* be imported, and what their ``.pth`` files name.

    The interpreter's own module ``site`` would do so, but would also execute code that it finds
    there. Here a line of a ``.pth`` file is a path, or it is passed over.
    """
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue  # Python names directories that need not exist
        found = [directory]
        for name in names:
            if name.endswith(".pth") and not name.startswith("."):
                found += _paths_in(os.path.join(directory, name))
        sys.path += [path for path in dict.fromkeys(found) if path not in sys.path]


def _paths_in(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return []
    named = [line for line in lines if line and not line.startswith(("#", "import ", "import\t"))]
    paths = [os.path.normpath(os.path.join(os.path.dirname(path), line)) for line in named]
    return [one for one in paths if os.path.exists(one)]


def forget_variables() -> None:
    """Take out of the environment what the launcher did not put there.

    The interpreter that was started may be a script which sets variables before it runs Python.
    """
    from launcher.early import gate_environment

    kept = gate_environment(os.environ)
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]


def prepare(root: str, sites: Iterable[str] = ()) -> None:
    """Import what can be had before there is anything to run, from *root* what is ours.

    *sites* are the directories that packages are installed in, for an interpreter without them.
    """
    if root not in sys.path:
        sys.path.insert(0, root)
    find_installed(sites)
    forget_variables()
    gc.disable()  # what is imported stays: looking for garbage in it costs a tenth of the run
    for name in _EARLY:
        importlib.import_module(name)
    gc.freeze()
    gc.set_threshold(_GARBAGE, 10, 10)
    gc.enable()


def word_to_go_on(descriptor: int = 0) -> float | None:
    """Wait for the launcher's word, a line on *descriptor*; return the time limit in seconds.

    None where the launcher has nothing to run, or is gone. From the word on the process ends by
    itself once the limit is well over: the parent enforces it, but may have been killed.
    """
    line = os.read(descriptor, 64)
    if not line:
        return None
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), descriptor)
    limit = float(line)
    signal.alarm(int(limit) + 5)
    return limit


def run(root: str, inventory: int, document: int, current: int, *plugins: object) -> int:
    """Run the invariants; return pytest's exit code.

    *root* is the directory that holds ``invariants/``; *plugins* are pytest's, beside our own;
    the rest are descriptors: the pickled inventory, the document, and the current check.
    """
    import pickle

    import pytest

    with open(inventory, "rb") as file:
        recorder = Recorder(pickle.load(file), current)
    tests = os.path.join(root, "invariants")
    pinned = ["-c", os.devnull, f"--rootdir={root}", f"--confcutdir={tests}"]
    code = int(pytest.main([tests, *pinned, *ARGUMENTS], plugins=[recorder, *plugins]))
    with open(document, "w", encoding="ascii") as file:
        file.write(json.dumps(recorder.document, separators=(",", ":")))  # dump() is not in C
    return code


def main(arguments: list[str]) -> int:
    """Get ready, wait for the word, run.

    *arguments* are those of :func:`run` but for plugins, and the site directories.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # as in the launcher: it may have been ignored
    root, given, document, current, *sites = arguments
    descriptors = (int(given), int(document), int(current))
    keep_only(descriptors)
    prepare(root, sites)
    return 0 if word_to_go_on() is None else run(root, *descriptors)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # taking the interpreter apart, object by object, is of no use to anybody
