"""What is mounted, and what ``/etc/fstab`` says should be."""

from __future__ import annotations

import os
import re

from invariants.places import is_below

TABLE = "/proc/self/mountinfo"
FSTAB = "/etc/fstab"
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


def _named(line: bytes) -> str | None:
    """Return the mount point of a line of fstab(5), or None for a comment and for swap."""
    fields = line.split()
    if len(fields) < 2 or fields[0].startswith(b"#") or not fields[1].startswith(b"/"):
        return None
    return _unescaped(fields[1])


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field))
