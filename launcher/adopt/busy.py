"""Who lives in a home or in a target, as ``/proc`` tells it (proc(5)).

What cannot be read of a process counts as living there. Processes of other users do not, unless
the launcher is root: nobody but root can read what they have open, so that a non-root adoption
would never be possible, and homes and transcripts are their owner's alone (modes 0700 and 0600).
Kernel threads, zombies and the launcher itself do not count either. What runs in another pid
namespace without being visible in this ``/proc`` cannot be seen at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from launcher.errors import NotJudged
from launcher.interrupts import Interrupts
from launcher.processes import identify

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, the ninth field of /proc/PID/stat
_LOOKS = 4
_PAUSE = 0.05
_VARIABLE = b"CLAUDE_CONFIG_DIR="


class Tenant(NamedTuple):
    """A process that must end first: its pid, its command's name, and what shows that it must.

    ``is_shut`` tells that nothing shows it, but nothing shows the contrary either.
    """

    pid: int
    command: str
    why: str
    is_shut: bool = False


@dataclass(frozen=True, slots=True)
class Premises:
    """What nobody may live in: homes, by path, and directories with all that is below them.

    ``inodes`` are those of the files in the directories, as far as they are known: they show an
    open file whatever path its process knows it by. ``replaced`` are those of files that have no
    name there any more: one that has a name again is another file, with a number that was free.
    """

    homes: Collection[str]
    directories: Collection[str]
    inodes: Collection[tuple[int, int]] = ()
    replaced: Collection[tuple[int, int]] = ()


class _Process(NamedTuple):
    pid: int
    name: str
    uids: frozenset[int]


def tenants(premises: Premises, ignored: Collection[int], interrupts: Interrupts) -> list[Tenant]:
    """Return every process that lives in *premises*, but the *ignored* pids, each once.

    Raises NotJudged where there is no ``/proc`` to be read.
    """
    found: dict[int, Tenant] = {}
    search, own = _Search(premises), os.geteuid()
    left = [
        process
        for process in _processes(interrupts)
        if process.pid not in ignored and process.pid != os.getpid()
        if own == 0 or own in process.uids
    ]
    for look in range(_LOOKS):
        if look > 0 and left:
            interrupts.sleep(_PAUSE)  # what cannot be read may just be starting or ending
        unread = []
        for process in left:
            interrupts.check()
            try:
                why = search.reason(process.pid)
            except OSError as error:
                unread.append(process)
                why = f"what it has open cannot be read ({error.strerror})"
            found.pop(process.pid, None)
            if why is not None:
                is_shut = process in unread
                found[process.pid] = Tenant(process.pid, process.name, why, is_shut)
        left = unread
    for home in premises.homes:
        for pid, why in _registered(home):
            if pid not in ignored and pid not in found:
                found[pid] = Tenant(pid, _command(pid), why)
    return [found[pid] for pid in sorted(found)]


def _processes(interrupts: Interrupts) -> Iterator[_Process]:
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError as error:
        raise NotJudged(f"who is at work cannot be seen: /proc: {error.strerror}") from error
    if os.getpid() not in pids:
        raise NotJudged("who is at work cannot be seen: /proc is not this system's")
    for pid in pids:
        interrupts.check()
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            if fields[0] in (b"Z", b"X") or int(fields[6]) & _KERNEL_THREAD:
                continue
            uids = _uids(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError, ValueError):
            continue  # it ended; or it is another user's, and proc(5) is mounted with hidepid
        except OSError as error:  # no descriptor left, say: then nobody would be seen
            raise NotJudged(f"who is at work cannot be seen: {error}") from error
        yield _Process(pid, _command(pid), uids)


def _uids(pid: int) -> frozenset[int]:
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Uid:"):
                return frozenset(map(int, line.split()[1:]))
    raise ValueError(f"/proc/{pid}/status has no Uid")


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return "?"


class _Search:
    def __init__(self, premises: Premises) -> None:
        self._homes = {_inode(home): home for home in premises.homes}
        self._places = [os.path.realpath(place) for place in premises.directories]
        self._inodes, self._replaced = premises.inodes, premises.replaced
        default = os.path.join(os.environ.get("HOME", ""), ".claude")
        self._default = self._homes.get(_inode(default))

    def reason(self, pid: int) -> str | None:
        """Return what shows that the process lives there, or None; OSError: it cannot be read."""
        looks: tuple[Callable[[int], str | None], ...] = (
            self._environment,
            self._directory,
            self._files,
            self._mapped,
        )
        try:
            return next((why for look in looks if (why := look(pid)) is not None), None)
        except (FileNotFoundError, ProcessLookupError):
            return None  # it ended

    def _environment(self, pid: int) -> str | None:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
        for variable in variables:
            if variable.startswith(_VARIABLE):
                value = os.fsdecode(variable.removeprefix(_VARIABLE))
                place = os.path.join(os.readlink(f"/proc/{pid}/cwd"), value)
                home = self._homes.get(_inode(place)) if value else None
                if home is not None:
                    return f"its CLAUDE_CONFIG_DIR is {home}"
                if value:
                    return None
        if self._default is not None and _is_claude(pid):
            return f"it works for the default home, {self._default}"
        return None

    def _directory(self, pid: int) -> str | None:
        for name, words in (("cwd", "it works in"), ("root", "its root is")):
            place = os.readlink(f"/proc/{pid}/{name}")
            if self._is_inside(place):
                return f"{words} {place}"
        return None

    def _files(self, pid: int) -> str | None:
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            try:
                place = os.readlink(path)
                if place.startswith("/") and (self._is_inside(place) or self._is_known(path)):
                    return f"it has {place} open"
            except FileNotFoundError:
                continue  # it closed it
        return None

    def _mapped(self, pid: int) -> str | None:
        with open(f"/proc/{pid}/maps", "rb") as file:
            content = file.read()
        for place in self._places:
            text = os.fsencode(place).replace(b"\n", b"\\012")
            if b" " + text + b"/" in content:
                return f"it has a file of {place} mapped"
        return None

    def _is_inside(self, path: str) -> bool:
        path = path.removesuffix(" (deleted)")
        return any(f"{path}/".startswith(f"{place}/") for place in self._places)

    def _is_known(self, path: str) -> bool:
        status = os.stat(path)
        inode = status.st_dev, status.st_ino
        return inode in self._inodes or (status.st_nlink == 0 and inode in self._replaced)


def _is_claude(pid: int) -> bool:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().split(b"\0")[:2]
    return any(os.path.basename(word) == b"claude" or b"claude-code/" in word for word in words)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _registered(home: str) -> Iterator[tuple[int, str]]:
    """Yield the processes that Claude Code noted in ``sessions/PID.json`` and that are alive.

    ``procStart`` there is the start time of ``/proc/PID/stat``; one that differs shows a note that
    was left behind by a process whose pid another one has now. A note that cannot be read, or
    tells no start time, counts for whatever has the pid.
    """
    try:
        names = os.listdir(os.path.join(home, "sessions"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise NotJudged(f"who is at work cannot be seen: {error}") from error
    for name in names:
        pid, dot, end = name.partition(".")
        if not (pid.isdecimal() and pid.isascii() and dot + end == ".json"):
            continue
        process = identify(int(pid))
        if process is None or not process.is_alive():
            continue
        start = _noted_start(os.path.join(home, "sessions", name))
        if start is None or start == str(process.start):
            yield process.pid, f"{home}/sessions/{name} names it"


def _noted_start(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            start = json.load(file).get("procStart")
    except (OSError, ValueError, AttributeError):
        return None
    return str(start) if str(start).isdecimal() else None
