"""A file replaced whole: written beside its place, flushed to the disk, renamed over it.

Whoever reads it, and whatever ends the writer at whatever moment, sees the old or the new.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress

_MODE = 0o644
"""What a monitor of another user's may read."""


def replace_file(path: str, content: bytes, mode: int = _MODE, *, durable: bool = True) -> None:
    """Replace the file at *path* with one that holds *content*, of *mode* whatever the umask is.

    What is not *durable* is not flushed: a power cut may leave it empty. Raises OSError where it
    cannot be done; then the old file stands there as before.
    """
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.{os.getpid()}.new")
    _sweep(directory, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(beside, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        try:
            os.unlink(beside)
        except FileNotFoundError:
            pass
        raise
    if durable:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_own(path: str, content: bytes, opening: bytes) -> None:
    """Replace the file at *path* if it is of this kind: missing, or one that begins with *opening*.

    Raises OSError where something else stands there, which is left alone, or as replace_file().
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        replace_file(path, content, durable=False)
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EEXIST, "something that is no regular file stands there")
        if os.read(descriptor, len(opening)) != opening:
            raise OSError(errno.EEXIST, "a file that this program did not write stands there")
    finally:
        os.close(descriptor)
    replace_file(path, content, durable=False)


def _sweep(directory: str, name: str) -> None:
    """Remove what launchers that were killed between writing and renaming left behind.

    In a sticky directory another user's file stays, and only its own place is lost to this process.
    """
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d+)\.new")
    for entry in os.listdir(directory):
        match = pattern.fullmatch(entry)
        if match and (match[1] == str(os.getpid()) or not os.path.exists(f"/proc/{match[1]}")):
            with suppress(PermissionError):
                os.unlink(os.path.join(directory, entry))
