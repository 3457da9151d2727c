"""Directories that the launcher makes for what others may read: its state and its report."""

from __future__ import annotations

import os
from contextlib import suppress

_READABLE = 0o755


def make_readable(path: str) -> None:
    """Create the directory *path* and what is missing above it, each with mode 0755.

    The umask does not count: under 077 a monitoring user could not reach the report. What is
    there already is left as it is. Raises OSError where one cannot be created.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        with suppress(FileExistsError):  # somebody was faster; a file is told by what comes next
            os.mkdir(directory)
            os.chmod(directory, _READABLE)
