"""What is mounted, and what ``/etc/fstab`` says should be."""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Callable, Iterable
from time import monotonic

from invariants.places import is_below

TABLE = "/proc/self/mountinfo"
FSTAB = "/etc/fstab"
_REMOTE = re.compile(rb"fuse|nfs|cifs|smb|9p|ceph|gluster|lustre|afs|autofs|davfs|beegfs|gpfs")
"""How the names of file systems begin for which another machine or a process has to answer."""

_OCTAL = re.compile(rb"\\([0-7]{3})")
_MOUNT_POINT = 4


def mount_point(line: bytes) -> str:
    r"""Return the path of the mount point that a line of :data:`TABLE` names.

    >>> mount_point(b"36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/x rw")
    '/mnt/a b'
    """
    fields = line.split(b" ")
    return _unescaped(fields[_MOUNT_POINT]) if len(fields) > _MOUNT_POINT else ""


def unmounted(path: str) -> str | None:
    """Return a mount point of ``/etc/fstab`` at or above *path* where nothing is mounted.

    None where there is none, or where one of the two tables cannot be read.
    """
    real = os.path.realpath(path)
    try:
        with open(FSTAB, "rb") as file:
            points = [point for line in file if (point := _named(line))]
        named = [point for point in points if is_below(real, os.path.realpath(point))]
        if not named:
            return None
        with open(TABLE, "rb") as file:
            mounted = {mount_point(line) for line in file}
    except OSError:
        return None
    return next((point for point in named if os.path.realpath(point) not in mounted), None)


def remote_points() -> frozenset[str]:
    """Return the mount points of file systems that may never answer; none if that is not told."""
    try:
        with open(TABLE, "rb") as file:
            return frozenset(
                mount_point(line) for line in file if _REMOTE.match(line.partition(b" - ")[2])
            )
    except OSError:
        return frozenset()


def asked(
    question: Callable[[str], int], paths: Iterable[str], seconds: float
) -> dict[str, int | None]:
    """Return the answer to *question*, 0 to 127, for each of *paths*, or None.

    Each is asked in a process of its own. Where that has not ended after *seconds*, it is killed,
    and left to itself if it cannot die.
    """
    children = {path: _asking(question, path) for path in paths}
    until = monotonic() + seconds
    answers: dict[str, int | None] = {}
    for path, pid in children.items():
        descriptor = os.pidfd_open(pid)
        ended, _, _ = select.select([descriptor], [], [], max(0.0, until - monotonic()))
        os.close(descriptor)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0 if ended else os.WNOHANG)[1]
        answers[path] = os.waitstatus_to_exitcode(status) if ended else None
    return answers


def _asking(question: Callable[[str], int], path: str) -> int:
    pid = os.fork()
    if pid == 0:
        answer = 127
        try:
            os.closerange(0, os.sysconf("SC_OPEN_MAX"))
            answer = question(path)
        finally:
            os._exit(answer)
    return pid


def _named(line: bytes) -> str | None:
    """Return the mount point of a line of fstab(5), or None for a comment and for swap."""
    fields = line.split()
    if len(fields) < 2 or fields[0].startswith(b"#") or not fields[1].startswith(b"/"):
        return None
    return _unescaped(fields[1])


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field))
