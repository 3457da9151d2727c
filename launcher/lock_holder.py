"""Who holds a lock: for the message to a launcher that has waited for it in vain."""

from __future__ import annotations

import os
import re

from launcher.lock import NAME
from launcher.processes import Process

_LOCKS = "/proc/locks"


def holder(descriptor: int, state: int | None) -> tuple[int | None, str]:
    """Return the pid of the process that holds the flock(2) of *descriptor*, and words for it.

    *state* is the state directory's descriptor, if it is one of its locks. What the lock file
    says is its holder's word. The directory's holder may have lost its file, which an earlier one
    has signed: there the kernel's list of locks decides (proc_locks(5)). It leaves out holders in
    another pid namespace.
    """
    signed = "" if state is None else _signature(state)
    match = re.match(r"pid (\d+),", signed)
    claimed = int(match[1]) if match else None
    listed = None if claimed and descriptor != state else listed_holder(descriptor)
    if listed not in (None, claimed):
        return listed, f" ({Process(listed, 0)})"
    return claimed, f" ({signed})" if signed else ""


def _signature(state: int) -> str:
    try:
        with open(os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=state), "rb") as file:
            return file.read(200).decode(errors="replace").strip()
    except OSError:
        return ""


def listed_holder(descriptor: int) -> int | None:
    """Return the pid of the process that took the flock(2) of *descriptor*, if it can be seen."""
    status = os.fstat(descriptor)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    place = f"{device}:{status.st_ino}"
    try:
        with open(_LOCKS, encoding="ascii") as file:
            for line in file:
                match line.split():
                    case [_, "FLOCK", _, _, pid, found, *_] if found == place:
                        return int(pid)
    except (OSError, ValueError):
        pass
    return None
