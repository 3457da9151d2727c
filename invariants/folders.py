"""Where Claude Code keeps the conversations of a directory: their folder in ``projects``.

The folder is named after the working directory as the kernel resolves it: each character but
letters and digits becomes a hyphen (measured, docs/claude-code.md).
"""

from __future__ import annotations

import os
import re

_LONGEST = 200  # a longer name is cut, and a hash added that only the client knows
_OTHER = re.compile(r"[^A-Za-z0-9]")


def folder_of(directory: str) -> str | None:
    """Return the name of the folder for sessions in *directory*, or None if it is not known.

    >>> folder_of("/proc/.a b")
    '-proc--a-b'
    """
    name = _name(directory)
    return name if len(name) <= _LONGEST else None


def is_folder_of(folder: str, directory: str) -> bool:
    """Return whether *folder* is, or may be, the name of the folder for sessions in *directory*.

    >>> is_folder_of("-proc", "/proc"), is_folder_of("-proc-x", "/proc")
    (True, False)
    """
    name = _name(directory)
    return folder == name or (len(name) > _LONGEST and folder.startswith(name[:_LONGEST]))


def _name(directory: str) -> str:
    return _OTHER.sub("-", os.path.realpath(directory))
