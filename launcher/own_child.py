"""What the gate runs for own invariants: each file of them in a process of its own.

Started as ``child.py`` is, with the inventory and the files instead of the inventory alone. What
one file does to its process (patches pytest, ends it, leaves a thread) reaches neither the
other files nor the families of ``invariants/``, which have been judged in another process by now.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from time import monotonic
from typing import Any

if __name__ == "__main__":  # isolated mode leaves this file's own directory out of sys.path
    sys.path.insert(0, sys.argv[1])

from launcher.child import ARGUMENTS, Recorder, keep_only, prepare, word_to_go_on

_MAX_TEXT = 2000
_FAULT = 70
_NOT_HERE = frozenset(
    {"--continue-on-collection-errors"}
    | {f"-pno:{name}" for name in ("capture", "tmpdir", "monkeypatch", "recwarn", "skipping")}
)
"""What our own invariants are run with, and an operator's are not: they may use these plugins."""


class OwnRecorder(Recorder):
    """Names each check by its file's whole path, and keeps the document bounded."""

    def __init__(self, inventory: Any, current: int, file: Any, proof: Any) -> None:
        super().__init__(inventory, current)
        self._file = file
        self._proof = proof
        self._pid = os.getpid()

    def pytest_configure(self, config: Any) -> None:
        """Put the inventory and the file where the plugins look."""
        from invariants.own.plugin import OWN, PROOF

        super().pytest_configure(config)
        config.stash[OWN] = self._file
        config.stash[PROOF] = self._proof

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the check that starts."""
        super().pytest_runtest_logstart(self._whole(nodeid))

    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Take the document, unless this is a copy of the process that a test has forked."""
        if os.getpid() != self._pid:
            os._exit(_FAULT)
        super().pytest_json_modifyreport(json_report)
        for test in json_report["tests"]:
            test["nodeid"] = self._whole(test["nodeid"])
            for stage in ("setup", "call", "teardown"):
                _cut(test.get(stage, {}))

    def _whole(self, nodeid: str) -> str:
        return os.path.join(os.path.dirname(self._file.path), nodeid)


def _cut(stage: dict[str, Any]) -> None:
    """Bound what a test says: the report is read by monitors, and a message may hold a file."""
    stage.pop("traceback", None)
    if "longrepr" in stage:
        stage["longrepr"] = str(stage["longrepr"])[:_MAX_TEXT]
    if isinstance(crash := stage.get("crash"), dict):
        crash["message"] = str(crash.get("message"))[:_MAX_TEXT]


def run_file(inventory: Any, file: Any, current: int, document: int, run: str = "") -> int:
    """Run pytest over one file, write its document, and return pytest's exit code.

    In the document, ``own`` is beside what pytest tells: this very *run*, the tests that came to
    their end, and what of pytest's or the launcher's the file has replaced, if anything.
    """
    import pytest

    from invariants.own.proof import Proof, as_loaded

    proof, untouched = Proof(inventory), as_loaded()
    recorder = OwnRecorder(inventory, current, file, proof)
    folder = os.path.dirname(file.path)
    pinned = ["-c", os.devnull, f"--rootdir={folder}", f"--confcutdir={folder}"]
    # A file that does not load ends its run, with the reason in the exit code.
    pinned += [word for word in ARGUMENTS if word not in _NOT_HERE]
    plugins = ["-p", "invariants.own.plugin"]
    code = int(pytest.main([file.path, *plugins, *pinned], plugins=[recorder]))
    own = {"run": run, "ran": proof.ran, "replaced": untouched.replaced()}
    os.pwrite(document, json.dumps({**recorder.document, "own": own}).encode(), 0)
    return code


def judge_file(inventory: Any, file: Any, current: int, limit: int, hidden: list[int]) -> Any:
    """Run one file in a process of its own; return its path, exit status and document.

    The process does not get the descriptors in *hidden*, and ends after *limit* seconds.
    """
    os.pwrite(current, file.path.encode() + b"\n", 0)
    document, run = os.memfd_create("claude-failover-own"), os.urandom(16).hex()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = _FAULT
        try:
            signal.alarm(max(1, limit))  # fork(2) clears the parent's
            for descriptor in hidden:
                os.close(descriptor)
            code = run_file(inventory, file, current, document, run)
            sys.stdout.flush()
        finally:
            os._exit(code)  # nothing of the parent's may run twice
    _, status = os.waitpid(child, 0)
    content = os.pread(document, os.fstat(document).st_size, 0).decode(errors="replace")
    os.close(document)
    if run not in content:  # some code of the file's has written it
        content = ""
    code = os.waitstatus_to_exitcode(status)
    return {"path": file.path, "status": code, "document": content}


def main(arguments: list[str]) -> int:
    """Judge all files, one after another; leave a line of JSON for each as soon as it is done.

    *arguments*: the directory that holds both packages, the numbers of three descriptors (the
    pickled inventory and files, the lines, the current check), and the site directories.
    """
    root, given, made, current, *sites = arguments
    keep_only(map(int, (given, made, current)))
    prepare(root, sites)
    import pickle

    import invariants.own.plugin  # noqa: F401  # once, and not in each file's process
    from invariants.own.proof import as_loaded

    as_loaded()
    limit = word_to_go_on()
    if limit is None:
        return 0
    until = monotonic() + limit + 5
    with open(int(given), "rb", closefd=False) as read:
        inventory, files = pickle.load(read)
    for file in files:
        left = int(until - monotonic())
        result = judge_file(inventory, file, int(current), left, [int(given), int(made)])
        os.write(int(made), json.dumps(result).encode() + b"\n")
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
