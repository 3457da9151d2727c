"""How conflicting memories differ: what a person has to merge by hand."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence

from invariants.finding import shown
from launcher.adopt.compare import Place
from launcher.adopt.plan import Conflict, described
from launcher.adopt.tree import Changed

_DIFF_LINES = 20
_DIFF_BYTES = 1 << 18


def diffs(conflicts: Sequence[Conflict]) -> str:
    """Return the differences of conflicting memories, some lines of each.

    They are what a person has to merge; a terminal is the only place where they are printed.
    """
    return "".join(
        "\n".join(["", f"{shown(os.fsdecode(one.path))}:", *_diff(one)]) + "\n"
        for one in conflicts
        if one.path.endswith(b"/memory/MEMORY.md")
    )


def _diff(conflict: Conflict) -> Iterator[str]:
    if not (conflict.ours.node.is_file and conflict.theirs.node.is_file):
        yield f"  {described(conflict.ours.node)}, and {described(conflict.theirs.node)}"
        return
    theirs, ours = _lines(conflict.theirs), _lines(conflict.ours)
    names = ("the target's", "the account's")
    lines = list(difflib.unified_diff(theirs, ours, *names, lineterm="", n=1))
    yield from (f"  {shown(line)}" for line in lines[:_DIFF_LINES])
    if len(lines) > _DIFF_LINES:
        yield f"  … {len(lines) - _DIFF_LINES} more lines"


def _lines(place: Place) -> list[str]:
    try:
        descriptor = place.tree.open(place.path, place.node)
    except (OSError, Changed):
        return []
    try:
        return os.pread(descriptor, _DIFF_BYTES, 0).decode(errors="replace").splitlines()
    finally:
        os.close(descriptor)
