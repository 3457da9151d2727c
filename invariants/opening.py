"""Opening a file that anybody may have replaced: by a fifo, a directory, a device."""

from __future__ import annotations

import os
from typing import IO


def open_at_once(path: str, flags: int = 0) -> IO[bytes]:
    """Open *path* to be read, with more *flags* of open(2); nothing waits for a fifo's writer.

    Raises OSError, and leaves no descriptor open then: of a directory, too, which open(2) takes.
    """
    return open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK | flags))
