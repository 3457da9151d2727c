"""Processes, told apart from later ones with the same pid, watched and ended (proc(5))."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
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
    group: int
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
        return _Stat(fields[0], int(fields[2]), int(fields[3]), int(fields[19]))
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

    SIGTERM to everything in each one's session first; after *grace* seconds SIGKILL to what is
    left of it. A child that outlives the leader counts: it may be the one that writes. Return
    those of which something is alive even then.
    """
    left = [process for process in processes if process.is_alive()]
    for process in left:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)  # a stopped one cannot end politely
    left = _wait(left, interrupts, grace)
    for process in left:
        _signal(process, signal.SIGKILL)
    return _wait(left, interrupts, _SURE)


def _wait(processes: list[Process], interrupts: Interrupts, seconds: float) -> list[Process]:
    until = monotonic() + seconds
    left = _with_members(processes)
    while left and monotonic() < until:
        interrupts.sleep(_PAUSE)
        left = _with_members(left)
    return left


def _signal(leader: Process, number: signal.Signals) -> None:
    """Send a signal to everything in the session that *leader* leads, to its own group at once."""
    others = [pid for pid, stat in _running() if stat.session == leader.pid != stat.group]
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, number)
    for pid in others:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _with_members(leaders: list[Process]) -> list[Process]:
    """Return those that are alive, or whose session is not empty.

    The kernel gives no pid away while it is the id of a session: a stranger that has it proves
    the session empty.
    """
    if not leaders:
        return []
    sessions = {stat.session for _, stat in _running()}
    return [
        leader
        for leader in leaders
        if leader.is_alive() or (leader.pid in sessions and identify(leader.pid) in (leader, None))
    ]


def _running() -> Iterator[tuple[int, _Stat]]:
    """Yield the pid of every process that runs, zombies left out."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = _stat(int(name))
            if found is not None and found.state not in "ZX":
                yield int(name), found
