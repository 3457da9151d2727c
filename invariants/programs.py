"""Where a session's program is: the same answer for the check and for the start."""

from __future__ import annotations

import os
from collections.abc import Mapping

from invariants.model import Session

BACKEND_PROGRAMS = {"tmux": "tmux", "process": "/bin/sh"}
"""What each backend has to find; ``auto`` takes tmux where it is there."""


def find_program(name: str, directory: str, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of the program *name*, or None where it cannot be executed.

    As execvp(3): a name with a slash is a path, from *directory*; another is looked up in
    ``PATH``. Entries of ``PATH`` that are relative are passed over, since they would mean
    something else in each session.
    """
    if "/" in name:
        candidates = [os.path.join(directory, name)]
    else:
        path = environ.get("PATH", os.defpath)
        candidates = [os.path.join(entry, name) for entry in path.split(":") if entry[:1] == "/"]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK, effective_ids=True):
            return candidate
    return None


def session_program(session: Session, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of the program that *session* runs, or None."""
    return find_program(session.command[0], session.directory, environ)


def chosen_backend(setting: str, environ: Mapping[str, str]) -> str:
    """Return the backend that the inventory's *setting* means on this machine."""
    if setting != "auto":
        return setting
    return "tmux" if find_program("tmux", "/", environ) else "process"
