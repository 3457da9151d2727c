"""Mounts that come, go or change: inotify does not tell of them.

``/proc/self/mountinfo`` gives POLLPRI and POLLERR when the mounts of this process's namespace have
changed (proc_pid_mountinfo(5)). It can always be read, so it stands behind an epoll descriptor.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Collection

_TABLE = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-7]{3})")
_MOUNT_POINT = 4

Lines = tuple[bytes, ...]


class Mounts:
    """Tells that mounts have changed: poll :meth:`fileno` for input, then ask :meth:`took`."""

    def __init__(self) -> None:
        self._table = os.open(_TABLE, os.O_RDONLY)
        self._epoll = select.epoll()
        self._epoll.register(self._table, select.EPOLLPRI | select.EPOLLERR)

    def fileno(self) -> int:
        """Return the descriptor to poll for input."""
        return self._epoll.fileno()

    def take(self) -> None:
        """Take note of the changes so far: the next one wakes again."""
        self._epoll.poll(0)

    def close(self) -> None:
        """Close the descriptors."""
        self._epoll.close()
        os.close(self._table)


def table() -> Lines:
    """Return the mounts of this process's namespace, a line each."""
    with open(_TABLE, "rb") as file:
        return tuple(file.read().splitlines())


def at(lines: Lines, places: Collection[str]) -> Lines:
    r"""Return those of *lines* whose mount point is one of *places*.

    >>> at((b"36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/x rw",), {"/mnt/a b"})
    (b'36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/x rw',)
    """
    return tuple(line for line in lines if mount_point(line) in places)


def mount_point(line: bytes) -> str:
    """Return the path of the mount point that a line names, its escapes undone."""
    fields = line.split(b" ")
    point = fields[_MOUNT_POINT] if len(fields) > _MOUNT_POINT else b""
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), point))
