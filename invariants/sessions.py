"""Whether a session's directory is one that it can be started in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from invariants.finding import Finding
from invariants.inputs import Input
from invariants.model import Inventory, Session

DIRECTORY = "session_directory_exists"


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to judge the sessions' directories."""
    for session in inventory.sessions:
        yield Input(session.directory)


def judge_directory(session: Session) -> Finding | None:
    """Return why the session's directory cannot be entered, or None."""
    directory = session.directory
    try:
        status = os.stat(directory)
    except (FileNotFoundError, NotADirectoryError):
        state, found = "missing", "nothing"
    except OSError as error:
        state, found = "unreadable", f"unreadable: {error.strerror}"
    else:
        if not stat.S_ISDIR(status.st_mode):
            state, found = "not-a-directory", "not a directory"
        elif not os.access(directory, os.X_OK, effective_ids=True):
            state, found = "no-access", "a directory that may not be entered"
        else:
            return None
    return Finding(
        invariant=DIRECTORY,
        account=session.account,
        session=session.name,
        state=state,
        expected=directory,
        found=found,
        fix="create the directory, or correct the session's `directory` in the inventory",
    )
