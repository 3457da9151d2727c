"""Who holds a session: a lock that the kernel drops with its holder, and a record of the place.

Pids, notes and sockets say nothing about a process in another container or on another host. A lock
does: the session's program has the file ``holders/NAME.lock`` of the state directory open and
locked (:mod:`launcher.sessions.trampoline`), and the kernel, or the file server, drops that lock
with the last process that has the file open. A lock that is free proves that the session is over,
whoever started it and whatever its record says; one that is held proves that it runs, here or out
of sight.

Claude Code keeps the descriptor to its end, and does not hand it to the commands that it runs
(measured with four versions: tests/claude/test_holding.py). A program that closes its descriptors,
or a file system without locks, leaves a record that proves nothing: then the record of another
machine is believed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from launcher import records
from launcher.directories import make_readable
from launcher.errors import LauncherError, Unavailable
from launcher.processes import Process, identify
from launcher.sessions.place import Place

KIND = "holders"
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_USUAL = 9  # the descriptor that the trampoline opens


class Lock(Enum):
    """What became of the lock of a session."""

    FREE = "free"
    HELD = "held"
    NONE = "none"  # none was ever made, it was removed, or the file system has no locks


class Hold(NamedTuple):
    """The lock of one session as it is now, and where its last holder was started, if known.

    ``proved`` tells whether that holder was seen with the lock: only then a free one is over.
    ``path`` is the lock's file, and ``file`` are its device and inode.
    """

    lock: Lock
    path: str
    place: Place | None = None
    proved: bool = False
    file: tuple[int, int] | None = None

    def is_of(self, process: Process) -> bool:
        """Tell whether *process* has the lock's file open."""
        return self.file is not None and has_open(process, self.file)

    def holders(self) -> list[Process]:
        """Return the processes that are seen to have the lock's file open, but this one."""
        return [] if self.file is None else _visible_holders(self.file)

    def may_run_elsewhere(self, here: Place) -> bool:
        """Tell whether the record of another machine is all there is to go by."""
        if self.lock is Lock.HELD or self.place is None:
            return False
        is_over = self.lock is Lock.FREE and self.proved
        return not is_over and here.is_another_machine(self.place)


def path_of(state: str, name: str) -> str:
    """Return where the lock of the session *name* is."""
    return os.path.join(state, KIND, f"{name}.lock")


def look(state: str, name: str) -> Hold:
    """Look at the lock of the session *name*, and write nothing. Raises Unavailable.

    The lock is shared for a moment, which a start waits for.
    """
    path = path_of(state, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return _recorded(state, name, Lock.NONE, None)
    except OSError as error:
        raise Unavailable(f"who holds it cannot be seen: {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        file = status.st_dev, status.st_ino
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _recorded(state, name, Lock.HELD, file)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise Unavailable(
                    f"who holds it cannot be seen: {path}: {error.strerror}"
                ) from error
            return _recorded(state, name, Lock.NONE, file)
        return _recorded(state, name, Lock.FREE, file)
    finally:
        os.close(descriptor)


def _recorded(state: str, name: str, lock: Lock, file: tuple[int, int] | None) -> Hold:
    path = path_of(state, name)
    try:
        record = records.read(state, KIND, name)
    except LauncherError:
        record = None  # it only says where; the lock is what counts
    if record is None:
        return Hold(lock, path, file=file)
    # A file that replaced the one that was locked says nothing of its holder.
    proved = record.get("inode") is not None and (file or (0, None))[1] == record["inode"]
    return Hold(lock, path, Place.of(record), proved, file)


def make(state: str, name: str) -> str | None:
    """Make the lock of the session *name* where it is missing; return its path.

    Return None where the file system has no locks. Raises Unavailable.
    """
    path = path_of(state, name)
    try:
        make_readable(os.path.dirname(path))
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file: move it away")
            return path if _has_locks(descriptor) else None
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(f"its lock cannot be made: {path}: {error.strerror}") from error


def prepare(state: str, name: str) -> str | None:
    """Do what :func:`make` does, and note durably where the session *name* is started.

    What is noted proves nothing before :func:`confirm`. A note that cannot be written is no reason
    not to start what holds a lock. Raises Unavailable.
    """
    path = make(state, name)
    try:
        _write(state, name, None)
    except OSError as error:
        if path is None:
            raise Unavailable(f"who starts it cannot be noted: {error.strerror}") from error
    return path


def _has_locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def confirm(state: str, name: str, processes: Iterable[Process]) -> None:
    """Note that the session *name* holds its lock, if one of its *processes* does.

    Raises OSError and Unavailable.
    """
    hold = look(state, name)
    if hold.lock is Lock.HELD and hold.file and any(map(hold.is_of, processes)):
        _write(state, name, hold.file[1])


def forget(state: str, name: str) -> None:
    """Remove what is noted of the last holder; the lock's file stays. Raises OSError."""
    records.remove(state, KIND, name)


def _write(state: str, name: str, inode: int | None) -> None:
    records.write(state, KIND, name, {**Place.here().as_record(), "inode": inode})


def has_open(process: Process, file: tuple[int, int]) -> bool:
    """Tell whether *process* has *file* (device and inode) open; yes, where that cannot be seen.

    One whose first thread has ended shows its descriptors with its other threads alone.
    """
    top = f"/proc/{process.pid}"
    if _is(f"{top}/fd/{_USUAL}", file):
        return True
    try:
        places = [f"{top}/fd"]
        if not os.listdir(places[0]):
            places = [f"{top}/task/{thread}/fd" for thread in os.listdir(f"{top}/task")]
        return any(_is(f"{place}/{name}", file) for place in places for name in os.listdir(place))
    except PermissionError:
        return True
    except OSError:
        return False


def _is(path: str, file: tuple[int, int]) -> bool:
    with suppress(OSError):
        status = os.stat(path)
        return (status.st_dev, status.st_ino) == file
    return False


def _visible_holders(file: tuple[int, int]) -> list[Process]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and os.access(f"/proc/{name}/fd", os.R_OK):
            process = identify(int(name))
            if process is not None and has_open(process, file):
                found.append(process)
    return found
