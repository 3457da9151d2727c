"""The names that an adoption gives: dated ones beside the entry, temporary ones in the target.

Both follow a strict pattern, so that what an adoption that was killed left behind can be told from
everything else.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from typing import NamedTuple

from launcher.processes import Process, identify

_TEMPORARY = re.compile(rb"\.claude-failover-adopt\.(\d+)\.(\d+)\.([0-9a-f]{16})\.(\d+)")
_DATE = r"(\d{8}T\d{6}Z)(?:-(\d+))?"

ADOPTED = "adopted"
KEPT = "kept"


class Dated(NamedTuple):
    """When an adoption took place, to be compared, and the name that tells it."""

    date: str
    number: int
    name: str


def dated(names: list[str], link: str, kind: str) -> list[Dated]:
    """Return those of *names* that an adoption of *link* gave for *kind*, oldest first."""
    pattern = re.compile(rf"{re.escape(link)}\.{kind}-{_DATE}", re.ASCII)
    found = []
    for name in names:
        if match := pattern.fullmatch(name):
            found.append(Dated(match[1], int(match[2] or 1), name))
    return sorted(found)


def new_dated(home: str, link: str, kind: str) -> str:
    """Return a name for now that is free in *home*: ``projects.adopted-20260131T235959Z``.

    It comes after all that there are, though the clock was set back meanwhile: by the names
    alone an undoing tells which of them is the last.
    """
    date, number = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), 1
    for last in dated(os.listdir(home), link, kind)[-1:]:
        if last.date >= date:
            date, number = last.date, last.number + 1
    return f"{link}.{kind}-{date}" + (f"-{number}" if number > 1 else "")


class Temporaries:
    """Gives temporary names that say whose they are and which name they are meant for."""

    def __init__(self) -> None:
        me = identify(os.getpid()) or Process(os.getpid(), 0)
        self._prefix = f".claude-failover-adopt.{me.pid}.{me.start}"
        self._given = 0

    def name(self, final: bytes) -> bytes:
        """Return a new temporary name for what is to be called *final*."""
        self._given += 1
        return f"{self._prefix}.{_digest(final)}.{self._given}".encode()


def is_abandoned(name: bytes) -> bool:
    """Tell whether *name* is a temporary one of an adoption that does not run any more."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and not Process(int(match[1]), int(match[2])).is_alive()


def is_temporary(name: bytes) -> bool:
    """Tell whether *name* is a temporary one of any adoption."""
    return _TEMPORARY.fullmatch(name) is not None


def is_meant_for(temporary: bytes, final: bytes) -> bool:
    """Tell whether the temporary name was given for what is to be called *final*."""
    match = _TEMPORARY.fullmatch(temporary)
    return match is not None and match[3].decode() == _digest(final)


def _digest(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()[:16]
