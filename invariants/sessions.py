"""Whether a session can be started in its directory, and live without a terminal."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from invariants.finding import Finding
from invariants.fixes import noted
from invariants.inputs import Input
from invariants.model import Inventory, Session
from invariants.programs import asks_questions

DIRECTORY, BACKEND = "session_directory_exists", "session_backend_is_there"


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


def judge_terminal(sessions: Iterable[Session]) -> Finding | None:
    """Return which of *sessions* needs the terminal that no backend gives it, or None."""
    names = [session.name for session in sessions if asks_questions(session)]
    if not names:
        return None
    return Finding(
        invariant=BACKEND,
        state="no-terminal",
        expected=f"a terminal for {', '.join(names)}: without one Claude Code ends",
        found="tmux is not installed, and backend = 'auto' takes processes without a terminal then",
        fix=noted("apt-get install tmux", "as root; or as this machine installs programs"),
    )
