"""System calls that Python has no name for: renameat2(2) and syncfs(2), by way of the C library."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from functools import cache

_NOREPLACE = 1
_EXCHANGE = 2

NOT_SUPPORTED = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM, errno.ENOTTY}
)
"""What a file system answers that has no such operation (overlay: EXDEV, vfat: EPERM, NFS: EINVAL).

None of them leaves anything half done, so another way may be tried after each.
"""

_CASE_KEPT = "ext2 ext3 ext4 xfs btrfs tmpfs ramfs overlay f2fs zfs bcachefs nfs nfs4 jfs"


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    function = getattr(_library(), name, None)
    if function is None:  # glibc before 2.28, or another C library
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def exchange(directory: int, one: bytes, other: bytes) -> None:
    """Swap two names of the directory behind the descriptor *directory*, in one step.

    Raises OSError, one of ``NOT_SUPPORTED`` where the file system cannot; then nothing changed.
    """
    _call("renameat2", directory, one, directory, other, _EXCHANGE)


def rename_to_free(directory: int, old: bytes, new: bytes) -> None:
    """Rename within a directory, where *new* is free; FileExistsError where it is not."""
    _call("renameat2", directory, old, directory, new, _NOREPLACE)


def sync_file_system(descriptor: int) -> None:
    """Write out all of the file system that *descriptor* is on (syncfs(2)).

    One call for thousands of new names, each of which would cost a journal commit of its own.
    Raises OSError also for a write that failed in the background (Linux 5.8 and later).
    """
    _call("syncfs", descriptor)


def mounts() -> Mapping[str, str]:
    """Return every mount point of this process and the type of what is mounted there (proc(5))."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            left, _, right = line.partition(b" - ")
            point = left.split()[4].decode("unicode_escape").encode("latin-1")
            found[os.fsdecode(point)] = right.split()[0].decode("ascii", "replace")
    return found


def keeps_case(path: str, mounted: Mapping[str, str]) -> bool:
    """Tell whether names that differ only by case are surely two names below *path*.

    Known by the type of the file system; one that is not known to keep them apart counts as one
    that does not, since the only cost is a refusal that an operator can mend.
    """
    while path not in mounted and path != "/":
        path = os.path.dirname(path)
    return mounted.get(path) in _CASE_KEPT.split()
