"""The bytes of one file into another, as fast as the kernel can."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from launcher.interrupts import Interrupts

_CHUNK = 1 << 23
_ANOTHER_WAY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}
)


class Copier:
    """Copies between two file systems, and remembers which way is open between them."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._ways: list[Callable[[int, int, int, int], int]] = [_within, _sent, _through]

    def copy(self, source: int, destination: int, size: int) -> int:
        """Copy the first *size* bytes of *source* to an empty *destination*; return how many.

        Fewer where the source ends before. Within the kernel where it can (copy_file_range(2),
        which may even share the blocks; else sendfile(2)), through this process where it cannot.
        """
        offset = 0
        while offset < size:
            self._interrupts.check()
            wanted = min(_CHUNK, size - offset)
            try:
                count = self._ways[0](source, destination, wanted, offset)
            except OSError as error:
                if error.errno not in _ANOTHER_WAY or len(self._ways) == 1:
                    raise
                del self._ways[0]
                continue
            # Some file systems say 0 where they mean that they cannot.
            count = count or _through(source, destination, wanted, offset)
            if count == 0:
                break
            offset += count
        return offset


def _within(source: int, destination: int, count: int, offset: int) -> int:
    return os.copy_file_range(source, destination, count, offset, offset)


def _sent(source: int, destination: int, count: int, offset: int) -> int:
    os.lseek(destination, offset, os.SEEK_SET)
    return os.sendfile(destination, source, offset, count)


def _through(source: int, destination: int, count: int, offset: int) -> int:
    return os.pwrite(destination, os.pread(source, min(count, 1 << 20), offset), offset)
