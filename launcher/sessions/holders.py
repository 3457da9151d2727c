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
from typing import Any, NamedTuple, Self

from launcher import records
from launcher.directories import make_readable
from launcher.errors import LauncherError, Unavailable
from launcher.processes import Process, boot_id, identify

KIND = "holders"
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_USUAL = 9  # the descriptor that the trampoline opens
_STOP = "stop it there: launcher down {}"


class Place(NamedTuple):
    """Where a process runs: the machine, its boot, and the namespace that its pid is of.

    ``host`` is for people. Each of the others is None where it is not known.
    """

    host: str
    machine: str | None
    boot: str | None
    namespace: str | None

    @classmethod
    def here(cls) -> Self:
        """Return the place of this process."""
        return cls(os.uname().nodename, machine_id(), boot_id(), pid_namespace())

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the place that a *record* names; what is no text there is not known."""
        machine, boot, namespace = (
            value if isinstance(value, str) else None
            for value in (record.get(key) for key in ("machine_id", "boot_id", "pid_namespace"))
        )
        return cls(str(record.get("host")), machine, boot, namespace)

    def is_another_machine(self, other: Place) -> bool:
        """Tell whether *other* is another machine, by their ids.

        Without these the host names count: a host can be renamed.
        """
        if self.machine is not None and other.machine is not None:
            return self.machine != other.machine
        return self.host != other.host

    def shares_pids(self, other: Place) -> bool:
        """Tell whether a pid means the same process in both, as far as is known."""
        return self.boot == other.boot and is_same_namespace(self.namespace, other.namespace)

    def as_record(self) -> dict[str, Any]:
        """Return what a record keeps of it."""
        return {
            "host": self.host,
            "machine_id": self.machine,
            "boot_id": self.boot,
            "pid_namespace": self.namespace,
        }


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


def runs_out_of_sight(hold: Hold, name: str, here: Place) -> str:
    """Say of the session *name*, which runs where no process of it is seen, where to stop it."""
    place = hold.place
    if place is None:
        where = "in another container, or on another host"
    elif here.is_another_machine(place):
        where = f"on the host {place.host}"
    else:
        where = f"in another container or pid namespace (host name {place.host})"
    proof = f"its lock is held: {hold.path}" if hold.lock is Lock.HELD else "its backend says so"
    return f"runs out of sight {where}, and was not touched; {proof}; {_STOP.format(name)}"


def may_run_elsewhere(hold: Hold, name: str, option: str) -> str:
    """Say of the session *name*, of which only the record of another machine is left, what to do.

    *option* is what a pasted command needs to reach the same inventory.
    """
    host = "?" if hold.place is None else hold.place.host
    return (
        f"may run on the host {host}, which started it last, and no lock proves that it ended; "
        f"{_STOP.format(name)}; if that host is gone: "
        f"launcher down {name} --forget-host {host}{option}"
    )


def machine_id() -> str | None:
    """Return the id of this installation of the system (machine-id(5)), or None."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read(64).strip() or None
    except (OSError, ValueError):
        return None


def pid_namespace() -> str | None:
    """Return what tells this process's pid namespace from any other of this boot, or None.

    The kernel gives the number of a namespace that has ended to another one. So the start time of
    the namespace's first process stands behind it, where that may be read.
    """
    try:
        number = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None
    first = identify(1)
    return f"{number}:{first.start if first is not None else ''}"


def is_same_namespace(one: str | None, other: str | None) -> bool:
    """Tell whether two of :func:`pid_namespace` are one; what is not known counts as the same."""
    if one is None or other is None:
        return True
    number, _, start = one.partition(":")
    other_number, _, other_start = other.partition(":")
    return number == other_number and (not start or not other_start or start == other_start)
