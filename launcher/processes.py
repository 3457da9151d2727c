"""Processes, told apart from later ones with the same pid, watched and ended (proc(5))."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from launcher.interrupts import Interrupts

GRACE = 5.0
"""Seconds between the polite signal and the sure one."""

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_PAUSE = 0.02
_SURE = 2.0


@dataclass(frozen=True, slots=True)
class Process:
    """A pid and the process's start time in clock ticks since boot: together unique."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Tell whether this very process runs; a zombie does not."""
        found = _stat(self.pid)
        return found is not None and found.start == self.start and found.state not in "ZX"


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int
    start: int


def identify(pid: int) -> Process | None:
    """Return the process that has *pid* now, or None."""
    found = _stat(pid)
    return None if found is None else Process(pid, found.start)


def _stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The second field is the command in parentheses, and may hold any character.
            fields = file.read().rpartition(")")[2].split()
        return _Stat(state=fields[0], session=int(fields[3]), start=int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None


def boot_id() -> str | None:
    """Return the kernel's id of this boot, or None where there is none (random(4))."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def end(
    processes: Iterable[Process], interrupts: Interrupts, grace: float = GRACE
) -> list[Process]:
    """End processes that lead sessions of their own (setsid(2)), all at once.

    SIGTERM to each one's process group first; after *grace* seconds SIGKILL to everything in
    its session. Return those that are alive even then.
    """
    left = [process for process in processes if process.is_alive()]
    for process in left:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            os.killpg(process.pid, signal.SIGCONT)  # a stopped one cannot end politely
    left = _wait(left, interrupts, grace)
    for process in left:
        for member in _members(process):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
    return _wait(left, interrupts, _SURE)


def _wait(processes: list[Process], interrupts: Interrupts, seconds: float) -> list[Process]:
    until = monotonic() + seconds
    left = [process for process in processes if process.is_alive()]
    while left and monotonic() < until:
        interrupts.sleep(_PAUSE)
        left = [process for process in left if process.is_alive()]
    return left


def _members(leader: Process) -> list[int]:
    """Return the pids in the session that *leader* leads, the leader last."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != leader.pid]
    found = ((pid, _stat(pid)) for pid in pids)
    return [pid for pid, stat in found if stat and stat.session == leader.pid] + [leader.pid]
