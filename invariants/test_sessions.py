"""Sessions: what each needs to be started at all."""

from __future__ import annotations

import os
import stat

from invariants.finding import Finding
from invariants.model import Session
from invariants.plugin import Broken
from invariants.programs import BACKEND_PROGRAMS, find_program, session_program


def test_session_directory_exists(session: Session) -> None:
    """Every session's directory can be entered, since tmux would start it elsewhere in silence."""
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
            return
    raise Broken(
        Finding(
            invariant="session_directory_exists",
            account=session.account,
            session=session.name,
            state=state,
            expected=f"the directory {directory}",
            found=found,
            fix="create the directory, or correct the session's `directory` in the inventory",
        )
    )


def test_session_command_is_found(session: Session) -> None:
    """Every session's program can be executed, since nobody watches a start at boot."""
    if session_program(session, os.environ) is not None:
        return
    name = session.command[0]
    raise Broken(
        Finding(
            invariant="session_command_is_found",
            account=session.account,
            session=session.name,
            state="missing",
            expected=f"the program {name}",
            found="no such executable" if "/" in name else "no such executable in PATH",
            fix="install it, or write its full path in the session's `command` in the inventory",
        )
    )


def test_session_backend_is_there(backend: str) -> None:
    """The program that keeps the sessions is installed, or none of them could be started."""
    program = BACKEND_PROGRAMS[backend]
    if find_program(program, "/", os.environ) is not None:
        return
    raise Broken(
        Finding(
            invariant="session_backend_is_there",
            state="missing",
            expected=f"the program {program}, for backend = {backend!r}",
            found="no such executable in PATH",
            fix=f'install {program}, or set backend = "auto" in the inventory',
        )
    )
