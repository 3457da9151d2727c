"""What an adoption costs, beside the tools that an operator would take instead.

Builds a home's ``projects`` (20,000 files, 2 GB in all, by default) and a target that has the same
directories, and merges the one into the other: with ``launcher adopt``, with ``mv -n`` (a call for
each directory, since mv merges none), and with ``rsync -a --remove-source-files``; then, with the
target on another file system, with ``launcher adopt`` and with ``cp -a`` and ``sync``. All in turn
in one run, each from the same state, so that a slow moment of the machine falls on all alike.
Prints medians of wall seconds, ratios, and peak memory.

    python -m benchmarks.adopt --files 20000 --megabytes 2000 --runs 3 --elsewhere /dev/shm
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.side_by_side import (
    Goal,
    Outcome,
    Run,
    arguments,
    clean_environment,
    in_turn,
    launcher,
    run,
)

DIRECTORIES = 200
ADOPT, MOVE, RSYNC, COPY = "launcher adopt", "mv -n", "rsync", "cp -a, sync"
LIMITS = {MOVE: 3.0, RSYNC: 0.2, COPY: 1.3}


class Place(NamedTuple):
    """A home with a real directory, and a target."""

    root: Path
    target: Path

    @property
    def source(self) -> Path:
        """The account's directory."""
        return self.root / "home" / "projects"

    @property
    def inventory(self) -> Path:
        """The inventory."""
        return self.root / "failover.toml"


def build(place: Place, files: int, size: int) -> None:
    """Write the account's tree, the directories of the target, and the inventory."""
    block = os.urandom(size)
    place.source.parent.mkdir(mode=0o700)
    for number in range(DIRECTORIES):
        (place.source / f"-home-project-{number}").mkdir(parents=True)
        (place.target / f"-home-project-{number}").mkdir(parents=True)
    for number in range(files):
        directory = place.source / f"-home-project-{number % DIRECTORIES}"
        with open(directory / f"{number}.jsonl", "wb") as file:
            file.write(b"%d\n" % number + block)
    place.inventory.write_text(
        f"[shared]\nroot = {json.dumps(str(place.target.parent))}\nlinks = ['projects']\n"
        '[[accounts]]\nname = "one"\nhome = "home"\n[launcher]\nstate = "state"\n'
    )
    place.inventory.chmod(0o600)


def contestants(place: Place, ignored: Sequence[int], across: bool) -> dict[str, list[str]]:
    """Return the commands, the launcher's first."""
    source, target = str(place.source), str(place.target)
    adopt = [launcher(), "--inventory", str(place.inventory), "adopt", "one", "projects"]
    adopt += [word for pid in ignored for word in ("--ignore-process", str(pid))]
    if across:
        line = f"cp -a {source}/. {target}/ && sync -f {target}"
        return {ADOPT: adopt, COPY: ["sh", "-c", line]}
    move = f"cd {source} && for d in *; do mv -n -- $d/* {target}/$d/; done"
    copy = ["rsync", "-a", "--remove-source-files", f"{source}/", f"{target}/"]
    found = {ADOPT: adopt, MOVE: ["sh", "-c", move]}
    return {**found, RSYNC: copy} if shutil.which("rsync") else found


def measure(
    options: argparse.Namespace, across: bool, ignored: Sequence[int]
) -> dict[str, list[Run]]:
    """Let every contestant run on a tree of its own, in turn."""
    names = contestants(Place(Path(), Path()), ignored, across)
    return in_turn(
        {name: partial(once, name, options, across, ignored) for name in names},
        options.runs,
        warm=False,
    )


def once(name: str, options: argparse.Namespace, across: bool, ignored: Sequence[int]) -> Run:
    """Build a tree, and let one contestant run on it; only the run is counted."""
    size = options.megabytes * 1_000_000 // options.files
    root = Path(tempfile.mkdtemp(prefix="claude-failover-bench-", dir=options.directory))
    place_of_target = options.elsewhere if across else root
    shared = Path(tempfile.mkdtemp(prefix="shared-", dir=place_of_target))
    try:
        place = Place(root, shared / "projects")
        build(place, options.files, size)
        os.sync()
        command = contestants(place, ignored, across)[name]
        return run(command, environ=clean_environment(root))
    finally:
        shutil.rmtree(root)
        shutil.rmtree(shared, ignore_errors=True)


def main() -> int:
    """Measure on one file system and on two, and tell."""
    parser = arguments(__doc__, runs=3)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=2000, help="in all")
    parser.add_argument("--directory", help="where to build the home; default: /tmp")
    parser.add_argument("--elsewhere", default="/dev/shm", help="another file system")
    parser.add_argument("--ignore-process", type=int, action="append", default=[], metavar="PID")
    options = parser.parse_args()
    outcome = Outcome("adopt")
    if shutil.which("rsync") is None:
        outcome.missing.append("rsync: not installed (apt install rsync)")
    for across in (False, True):
        at = "two file systems" if across else "one file system"
        seen = measure(options, across, options.ignore_process)
        goals = [
            Goal(f"`launcher adopt`, {at}, over `{name}`", ADOPT, name, LIMITS[name])
            for name in seen
            if name != ADOPT
        ]
        outcome.add(seen, goals, at=at)
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
