"""Mutation testing of the two modules that a verdict hangs on: ``make mutation``.

cosmic-ray makes the mutants, one change each. Each module's own tests run against all of its
mutants in a copy of the checkout, both modules side by side. A survivor that is not listed in
``EQUIVALENT`` with a reason fails the run.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

CHECKOUT = Path(__file__).resolve().parents[1]
TESTS = {
    "launcher/verdict.py": "tests/test_verdict.py",
    "invariants/links.py": "tests/test_links.py",
}
CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""

_SINGLETON = "CPython has one object for each small integer, bool and constant string"
_ALONE = "the flags have no bit in common"
_RAISED = "an OSError of a system call has a number"
_PATIENCE = "how often an entry that changes is looked at again is a choice"
_FLAGS = "flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK"
_OPEN = "descriptor = os.open(path, flags | os.O_NOATIME)"
_ERRNO = "if error.errno in _NOWHERE or error.errno == errno.ELOOP:"
_UNKNOWN = 'return Entry(LinkState.UNREADABLE, f"unreadable: {os.strerror(error.errno or 0)}")'
_STATE = "if all(failure.finding.state == NOT_JUDGED for failure in failures):"
_COUNT = 'if len(tests) != len(document["tests"]):'
_CONTRADICTS = "if (not failures) != (exit_status == 0):"

EQUIVALENT: dict[tuple[str, str], str] = {
    **{
        (_FLAGS, _FLAGS.replace(f"| os.{name}", f"{sign} os.{name}")): _ALONE
        for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK")
        for sign in "+^"
    },
    **{(_OPEN, _OPEN.replace("|", sign)): _ALONE for sign in "+^"},
    ("if count == 0:", "if count <= 0:"): "a count is never negative",
    (
        'noun = "entry" if count == 1 else "entries"',
        'noun = "entry" if count <= 1 else "entries"',
    ): "the count is at least one here",
    (_ERRNO, _ERRNO.replace("==", "is")): _SINGLETON,
    ("if error.errno == errno.ELOOP:", "if error.errno is errno.ELOOP:"): _SINGLETON,
    ("_ATTEMPTS = 4", "_ATTEMPTS = 5"): _PATIENCE,
    ("_ATTEMPTS = 4", "_ATTEMPTS = 3"): _PATIENCE,
    (_UNKNOWN, _UNKNOWN.replace("or 0", "or 1")): _RAISED,
    (_UNKNOWN, _UNKNOWN.replace("or 0", "or -1")): _RAISED,
    (_STATE, _STATE.replace("==", "is")): _SINGLETON,
    (_COUNT, _COUNT.replace("!=", "<")): "there are never more names than tests",
    (_COUNT, _COUNT.replace("!=", "is not")): _SINGLETON,
    (
        'if document.get("exitcode") != exit_status:',
        'if document.get("exitcode") is not exit_status:',
    ): _SINGLETON,
    (_CONTRADICTS, _CONTRADICTS.replace("== 0", "<= 0")): "the status is 0 or 1 here",
    (_CONTRADICTS, _CONTRADICTS.replace("!=", "is not")): _SINGLETON,
    ("if exit_status < 0:", "if exit_status <= 0:"): "the status is not 0 here",
    ("if exit_status < 0:", "if exit_status < 1:"): "the status is not 0 here",
}
"""Survivors that change nothing: the line before and after the change, and the reason."""


class Outcome(NamedTuple):
    """What became of a module's mutants; *survivors* are lines before and after the change."""

    module: str
    killed: int
    survivors: list[tuple[str, str]]


def run(module: str, every: int) -> Outcome:
    """Test every *every*-th mutant of *module*, in a copy of what git knows of the checkout."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as copy:
        files = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT,
            text=True,
        )
        for name in filter(None, files.split("\0")):
            destination = Path(copy, name)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, destination)
        config, session = Path(copy, "mutation.toml"), Path(copy, "mutation.sqlite")
        text = CONFIG.format(module=module, python=sys.executable, tests=TESTS[module])
        config.write_text(text)
        program = [sys.executable, "-m", "cosmic_ray.cli"]
        subprocess.run([*program, "init", config.name, session.name], cwd=copy, check=True)
        with use_db(session, WorkDB.Mode.open) as database:
            _skip(database, (CHECKOUT / module).read_text(), every)
        subprocess.run([*program, "exec", config.name, session.name], cwd=copy, check=True)
        with use_db(session, WorkDB.Mode.open) as database:
            return _outcome(module, database)


def _skip(database: WorkDB, source: str, every: int) -> None:
    """Leave out what cannot change the program, and all but every *every*-th of the rest."""
    annotations = list(_annotations(source))
    kept = 0
    for item in list(database.work_items):
        (mutation,) = item.mutations
        idle = any(start <= mutation.start_pos <= end for start, end in annotations)
        kept += not idle
        if idle or kept % every:
            skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
            database.set_result(item.job_id, skipped)


def _annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where annotations start and end: they are never evaluated (PEP 563)."""
    for node in ast.walk(ast.parse(source)):
        for found in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(found, ast.expr):
                end = (found.end_lineno or 0, found.end_col_offset or 0)
                yield (found.lineno, found.col_offset), end


def _outcome(module: str, database: WorkDB) -> Outcome:
    killed, survivors = 0, []
    for _, result in database.completed_work_items:
        if result.worker_outcome is WorkerOutcome.SKIPPED:
            continue
        if result.test_outcome is TestOutcome.SURVIVED:
            survivors.append(_changed(result.diff))
        else:
            killed += 1
    return Outcome(module, killed, survivors)


def _changed(diff: str) -> tuple[str, str]:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return before, after


def main() -> int:
    """Run the sample, print the survivors, return 1 where one is not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="test every Nth mutant")
    every = parser.parse_args().every
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda module: run(module, every), TESTS))
    unexplained = 0
    for outcome in outcomes:
        print(f"{outcome.module}: {outcome.killed} killed, {len(outcome.survivors)} survived")
        for before, after in outcome.survivors:
            reason = EQUIVALENT.get((before, after))
            unexplained += reason is None
            print(f"  - {before}\n  + {after}\n    {reason or 'NOT EXPLAINED'}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
