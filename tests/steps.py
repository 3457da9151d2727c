"""Lets a launcher be killed at a step of a switch: right before it, or right after."""

from __future__ import annotations

import sys
from collections.abc import Sequence

STEPS = [
    f"{when} {step}"
    for step in ("end", "place", "start", "see_ready", "publish")
    for when in ("before", "after")
]

_KILLED = """\
import os, signal, sys
from launcher.switch import Move
when, step = {at!r}.split()
inner = getattr(Move, step)
def stepped(self, *arguments):
    if when == "after":
        inner(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(Move, step, stepped)
sys.argv = sys.argv[2:]  # -c, -m
from launcher.__main__ import main
sys.exit(main())
"""


def killed_at(step: str) -> Sequence[str]:
    """Return how to run Python so that ``-m launcher`` is killed at *step*, one of `STEPS`."""
    return [sys.executable, "-c", _KILLED.format(at=step)]
