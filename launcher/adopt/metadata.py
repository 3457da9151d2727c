"""Owner, mode, times and extended attributes, from one open file or directory to another."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Protocol

from launcher.adopt.tree import Node

_NOT_KEPT_HERE = frozenset({errno.EPERM, errno.EOPNOTSUPP})


class Notes(Protocol):
    """Takes what a file system could not keep, in words."""

    def add(self, words: str, /) -> None:
        """Take one sentence; the same one twice counts once."""


def carry_metadata(source: int, node: Node, destination: int, notes: Notes) -> None:
    """Give *destination* what *source* has: owner, attributes, mode, and, last, its times.

    *node* is what was seen at the source. What the file system or the kernel does not let this
    user keep (no such attributes on vfat; a group that the user is not in) goes to *notes*: the
    old directory still has it. Every other error is raised.
    """
    if os.fstat(destination).st_gid != node.gid:
        _try("groups", notes, lambda: os.fchown(destination, -1, node.gid))
    for name in _attributes(source):
        value = os.getxattr(source, name)
        _try("extended attributes", notes, partial(_set, destination, name, value))
    mode = stat.S_IMODE(node.mode)
    if stat.S_IMODE(os.fstat(destination).st_mode) != mode:
        _try("modes", notes, lambda: os.fchmod(destination, mode))
    os.utime(destination, ns=(node.atime, node.mtime))


def keep_younger(descriptor: int, mtime: int, notes: Notes) -> None:
    """Let a file be as young as *mtime* says, in nanoseconds, if it is older.

    What this user may not change goes to *notes*: the file is somebody else's.
    """
    status = os.fstat(descriptor)
    if status.st_mtime_ns < mtime:
        times = (status.st_atime_ns, mtime)
        _try("younger times", notes, lambda: os.utime(descriptor, ns=times))


def _set(descriptor: int, name: str, value: bytes) -> None:
    os.setxattr(descriptor, name, value)


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError as error:
        if error.errno in _NOT_KEPT_HERE:
            return []
        raise


def _try(what: str, notes: Notes, call: Callable[[], object]) -> None:
    try:
        call()
    except OSError as error:
        if error.errno not in _NOT_KEPT_HERE:
            raise
        notes.add(f"some {what} could not be kept ({error.strerror})")
