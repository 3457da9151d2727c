"""Whether a program is Claude Code itself, or may start it with options of its own."""

from __future__ import annotations

import os
import re
import shlex

from invariants.command_line import is_installed_client
from invariants.opening import open_at_once

_EXEC = re.compile(r'exec\s+(?P<program>"[^"$`\\]+"|\'[^\']+\'|[\w@%+=:,./-]+)\s+"\$@"\s*;?')
_SCRIPT = 4096
_SMALLEST = 16 * 1024 * 1024
"""Bytes. Claude Code's own binary has 200 MB and more; one that starts another program is small."""


def is_client_itself(program: str, depth: int = 3) -> bool:
    """Tell whether the file *program* is Claude Code, or a script that does nothing but start it.

    It is if npm or its own installer has put it there, or if it is a binary of its size. A script
    may hold comments and ``exec /path/claude "$@"``, as the installer of 2.0 writes it, and no
    other line. At most *depth* such scripts are followed.
    """
    path = os.path.realpath(program)
    if is_installed_client(path):
        return True
    try:
        with open_at_once(path) as file:
            head = file.read(_SCRIPT + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if head.startswith(b"\x7fELF"):
        return size >= _SMALLEST
    if not head.startswith(b"#!") or len(head) > _SCRIPT or depth == 0:
        return False
    started = _started(os.fsdecode(head))
    return started is not None and is_client_itself(started, depth - 1)


def _started(script: str) -> str | None:
    """Return the program that a *script* of one command becomes, with all of its arguments."""
    lines = [line.strip() for line in script.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    found = _EXEC.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        return None
    (started,) = shlex.split(found["program"])
    return started if started.startswith("/") else None
