"""What the operator's own files hold, to be read or only compared. It imports next to nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from invariants.digests import hexdigest
from invariants.opening import open_at_once

MAX_BYTES = 1024 * 1024
"""How large a file of own invariants may be."""


def contents(directories: Iterable[str]) -> dict[str, str | None]:
    """Return a digest of what each file of *directories* holds, by its path, in hexadecimal.

    It is None for what cannot be read: a file, or a whole directory. Whether a file can be trusted
    or judged is not asked. May hang where a file system does; the caller bounds it.
    """
    found: dict[str, str | None] = {}
    for directory in directories:
        try:
            names = [name for name in os.listdir(directory) if is_judged(name)]
        except OSError:
            found[directory] = None
            continue
        for path in (os.path.join(directory, name) for name in names):
            try:
                found[path] = digest_of(content(path))
            except OSError:
                found[path] = None
    return found


def is_judged(name: str) -> bool:
    """Tell whether an entry of such a directory is taken for a file of own invariants."""
    return name.endswith(".py") and not name.startswith(".")


def digest_of(source: bytes) -> str:
    """Return the digest of what a file holds, in hexadecimal."""
    return hexdigest(source)


def content(path: str, flags: int = 0) -> bytes:
    """Return what the regular file at *path* holds, a byte more than ``MAX_BYTES`` at most.

    *flags* are more of open(2). Raises OSError.
    """
    with open_at_once(path, flags) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        return file.read(MAX_BYTES + 1)
