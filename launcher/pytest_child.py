"""One run of the gate's child process, under a time limit."""

import os
from time import monotonic
from typing import NamedTuple

from launcher.early import Shared, Started
from launcher.interrupts import Waiting

TAIL = 4096
"""How much of what a child prints is kept, in bytes: its last words."""

_HERE = os.path.dirname(os.path.abspath(__file__))


def root() -> str:
    """Return the directory that holds ``launcher/`` and the ``invariants/`` that are judged.

    Raises ValueError where these are another copy's, by PYTHONPATH or a leftover: what is judged
    would not be what is run.
    """
    from invariants.checks import directory

    above = os.path.dirname(_HERE)
    if directory() != os.path.join(above, "invariants"):
        raise ValueError(f"invariants stand in {directory()}, and not beside {_HERE}")
    return above


class Run(NamedTuple):
    """How a child ended: its exit status (None: the time limit), and what it left."""

    status: int | None
    document: bytes
    current: str
    output: str


def run(child: Started, given: bytes, limit: float, waiting: Waiting) -> Run:
    """Let *child* run on what it is *given*; return how that ended, within *limit* seconds.

    What is left of the child afterwards is killed. Raises what *waiting* raises, OSError or
    ValueError where there could be no run.
    """
    try:
        root()
        child.shared.give(given)
        child.go_on(limit)
        tail = _waited(child, limit, waiting)
        status = None if tail is None else child.status()
        child.kill()  # whoever is left of its group writes nothing more from here on
        return ended(child.shared, status, tail or b"")
    finally:
        child.end()


def ended(shared: Shared, status: int | None, tail: bytes) -> Run:
    """Return the run that ended with *status*, and printed *tail* last."""
    output = "" if status is None else _last_line(tail)
    return Run(status, shared.document(), shared.check(), output)


def _waited(child: Started, limit: float, waiting: Waiting) -> bytes | None:
    """Wait for the child's end; return what it printed last, or None when time is over."""
    os.set_blocking(child.output, False)
    tail = b""
    until = monotonic() + limit
    watched = [child.ending, child.output]
    while (left := until - monotonic()) > 0:
        ready = waiting.poll(watched, left)
        if child.output in ready:
            chunk = read_some(child.output)
            tail = (tail + chunk)[-TAIL:]
            if not chunk:
                watched = [child.ending]
        if child.ending in ready:
            return tail
    return None


def read_some(pipe: int) -> bytes:
    """Return what *pipe*, which does not block, has to give; nothing at its end, or for now."""
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _last_line(content: bytes) -> str:
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
