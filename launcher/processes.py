"""Processes: told apart from later ones with the same pid, and seen all at once (proc(5))."""

import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from launcher.errors import Unavailable

_FORKED = 0x40  # PF_FORKNOEXEC of the flags in proc(5), as linux/sched.h has it
_MACHINE = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h: the machine's own pid namespace
_SECONDS = 5.0
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Process(NamedTuple):
    """A pid and the process's start time in clock ticks since boot: together unique."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Tell whether this very process runs; a zombie does not."""
        found = _stat(self.pid)
        return found is not None and found.start == self.start and found.runs

    def is_stopped(self) -> bool:
        """Tell whether it is stopped, by a signal or a tracer (proc(5)): it does nothing then."""
        found = _stat(self.pid)
        return found is not None and found.start == self.start and found.state in "Tt"

    def is_killed(self) -> bool:
        """Tell whether SIGKILL waits for it: it dies as soon as its system call ends (proc(5))."""
        try:
            with open(f"/proc/{self.pid}/status", "rb") as file:
                return _has_kill(file)
        except OSError:
            return False

    def __str__(self) -> str:
        """Say the pid, and what the process calls itself: ``pid 12 (node)``."""
        try:
            with open(f"/proc/{self.pid}/comm", encoding="utf-8", errors="replace") as file:
                return f"pid {self.pid} ({ascii(file.read().strip())[1:-1]})"
        except OSError:
            return f"pid {self.pid}"


class _Stat(NamedTuple):
    name: bytes
    state: str
    parent: int
    group: int
    session: int
    flags: int
    threads: int
    start: int

    @property
    def runs(self) -> bool:
        """Whether any of its threads does: one whose first thread has ended looks like a zombie."""
        return self.state not in "ZX" or self.threads > 1


def identify(pid: int) -> Process | None:
    """Return the process that has *pid* now, or None."""
    found = _stat(pid)
    return None if found is None else Process(pid, found.start)


def parent_of(process: Process) -> int | None:
    """Return the pid of the parent of *process*, or None if it does not run any more."""
    found = _stat(process.pid)
    return found.parent if found is not None and found.start == process.start else None


def _stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The second field is the command in parentheses, and may hold any byte.
            head, _, tail = file.read(4096).rpartition(b")")
        fields = tail.split()
        name = head.partition(b"(")[2]
        return _Stat(name, fields[0].decode(), *(int(fields[at]) for at in (1, 2, 3, 6, 17, 19)))
    except (OSError, IndexError, ValueError):
        return None


def _sees_itself() -> bool:
    """Tell whether ``/proc`` is there, and counts the pids as this process does (proc(5))."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _has_kill(status: Iterable[bytes]) -> bool:
    """Tell whether SIGKILL is among the pending signals in the lines of ``/proc/PID/status``."""
    masks = [line.split()[1] for line in status if line.startswith((b"SigPnd:", b"ShdPnd:"))]
    return any(int(mask, 16) >> (signal.SIGKILL - 1) & 1 for mask in masks)


def boot_id() -> str | None:
    """Return the kernel's id of this boot, or None where there is none (random(4))."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def container_uptime() -> float | None:
    """Return how long the machine has been up, in seconds, where this is a container of it.

    None where this is the machine itself, whose boot id changes with each start. That of a
    container is often the machine's, and stays when the container is started again.
    """
    try:
        if os.stat("/proc/self/ns/pid").st_ino == _MACHINE:
            return None
    except OSError:
        pass  # then it is not known to be the machine
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def first_process_start() -> float | None:
    """Return when pid 1 was started, in seconds of the machine's uptime; None if it is not seen.

    In a container that is when the container was started.
    """
    first = identify(1)
    return None if first is None else first.start / os.sysconf("SC_CLK_TCK")


def shares_pids(pid: int) -> bool:
    """Tell whether the process *pid* counts pids as this one does; yes, where that is not shown.

    A process in a container that was started from here is seen by another pid than its own.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            lines = [line for line in file if line.startswith(b"NSpid:")]
    except OSError:
        return True
    return all(len(line.split()) == 2 for line in lines)


def shares_mounts(pid: int) -> bool:
    """Tell whether the process *pid* sees the files of this one; no, where that is not shown."""
    try:
        return os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt")
    except OSError:
        return False


class Table:
    """All processes that run at one moment, zombies and the launcher itself left out.

    A process can start another and end while ``/proc`` is read, so that a single pass sees neither:
    the table is read until a pass meets nothing that has just gone, for some seconds at most.
    *variable* names what of the environments is kept. Raises Unavailable if processes come and go
    without an end, or if ``/proc`` does not show this process: then it shows no other either.
    """

    def __init__(self, variable: str) -> None:
        self._stats: dict[int, _Stat] = {}
        self.environments: dict[Process, Mapping[str, str]] = {}
        if not _sees_itself():
            raise Unavailable(
                "no process can be seen: /proc is not mounted here, or belongs to another pid "
                "namespace (fix: mount -t proc proc /proc)"
            )
        needle, seen, until = f"{variable}=".encode(), {os.getpid()}, monotonic() + _SECONDS
        while True:
            new = {int(name) for name in os.listdir("/proc") if name.isdigit()} - seen
            seen |= new
            settled = True
            for pid in new:
                settled &= self._add(pid, needle)
            if settled:
                return
            if monotonic() > until:
                raise Unavailable("processes come and go faster than they can be looked at")

    def _add(self, pid: int, needle: bytes) -> bool:
        """Read a process; tell whether it was there to be read."""
        environment = _environment(pid, needle)
        stat = _stat(pid)
        if stat is None or not stat.runs:
            return False
        self._stats[pid] = stat
        if environment is not None:
            self.environments[self._process(pid)] = environment
        return True

    def __contains__(self, process: Process) -> bool:
        found = self._stats.get(process.pid)
        return found is not None and found.start == process.start

    def parent(self, process: Process) -> Process | None:
        """Return the process that *process* is a child of, or None where it is not to be seen."""
        found = self._stats.get(process.pid)
        return self._process(found.parent) if found and found.parent in self._stats else None

    def has_child(self, process: Process) -> bool:
        """Tell whether a child of *process* runs."""
        return any(stat.parent == process.pid for stat in self._stats.values())

    def group(self, process: Process) -> int:
        """Return the id of the process group of *process*."""
        return self._stats[process.pid].group

    def called(self, name: bytes) -> list[Process]:
        """Return the processes that call themselves *name* (at most 15 bytes, proc(5))."""
        return [self._process(pid) for pid, stat in self._stats.items() if stat.name == name]

    def in_session(self, leader: Process) -> list[Process]:
        """Return what runs in the session (setsid(2)) whose id is the pid of *leader*.

        Nothing, where another process has that pid now: the kernel gives none away while it is
        the id of a session. But where nobody has it, this need not be the session of *leader*: a
        stranger may have had the pid since, led a session, and ended.
        """
        if identify(leader.pid) not in (leader, None):
            return []
        return [
            self._process(pid) for pid, stat in self._stats.items() if stat.session == leader.pid
        ]

    def _process(self, pid: int) -> Process:
        return Process(pid, self._stats[pid].start)


def listed(processes: Sequence[Process]) -> str:
    """Name the first of *processes*, and how many more there are."""
    shown = [str(process) for process in processes[:3]]
    more = len(processes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def command_line(process: Process) -> list[str]:
    """Return the words that *process* was started with; none where they cannot be read."""
    try:
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_copy(process: Process) -> bool:
    """Tell whether *process* was forked, and has executed nothing yet: it is its parent's copy.

    It has the command line of the one that forked it, and is at nothing of its own.
    """
    found = _stat(process.pid)
    if found is None or not found.flags & _FORKED:
        return False
    parent = identify(found.parent)
    return parent is not None and command_line(parent) == command_line(process)


def _environment(pid: int, needle: bytes) -> dict[str, str] | None:
    """Return the environment of a process, where it can be read and holds *needle*."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError:
        return None
    if needle not in content:
        return None
    pairs = (entry.partition(b"=") for entry in content.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
