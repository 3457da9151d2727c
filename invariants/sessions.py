"""Whether a session can be started in its directory, and live without a terminal."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from invariants.finding import Finding, quoted
from invariants.fixes import as_root, look
from invariants.inputs import Input
from invariants.model import Inventory, Session
from invariants.mounts import unmounted
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
        fix=_fix(directory, state),
    )


def _fix(directory: str, state: str) -> str:
    """Return how the directory is got back; an empty one is not made in its place unasked."""
    other = "or correct the session's `directory` in the inventory"
    if state == "missing":
        if (point := unmounted(directory)) is not None:
            return as_root("mount", point)
        note = f"bring it back; for a new one: {quoted('mkdir', '-p', directory)}; {other}"
        return look("namei", "-l", directory, note=note)
    if state == "no-access" and os.stat(directory).st_uid == os.geteuid():
        return quoted("chmod", "u+rwx", directory)
    what = "what stands there" if state == "not-a-directory" else "what on the way may not be read"
    return look("namei", "-l", directory, note=f"{what}; mend that, {other}")


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
        fix=look("command", "-v", "tmux", note="install tmux"),
    )
