"""Mounts that come, go or change: inotify does not tell of them.

``/proc/self/mountinfo`` gives POLLPRI and POLLERR when the mounts of this process's namespace have
changed (proc_pid_mountinfo(5)). It can always be read, so it stands behind an epoll descriptor.
"""

from __future__ import annotations

import os
import select
from collections.abc import Collection

from invariants.mounts import TABLE, mount_point

Lines = tuple[bytes, ...]


class Mounts:
    """Tells that mounts have changed: poll :meth:`fileno` for input, then ask :meth:`took`."""

    def __init__(self) -> None:
        self._table = os.open(TABLE, os.O_RDONLY)
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
    with open(TABLE, "rb") as file:
        return tuple(file.read().splitlines())


def at(lines: Lines, places: Collection[str]) -> Lines:
    r"""Return those of *lines* whose mount point is one of *places*.

    >>> at((b"36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/x rw",), {"/mnt/a b"})
    (b'36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/x rw',)
    """
    return tuple(line for line in lines if mount_point(line) in places)
