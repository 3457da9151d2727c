"""Word of sessions that died, for who brings them back: a file each, in a directory of the state.

A path unit of systemd's starts ``launcher up --died`` while the directory holds anything. What
brings a session back is the launcher behind its gate, never ``Restart=`` or tmux.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from invariants.inventory import Session
from launcher.errors import Unavailable
from launcher.sessions import Kept
from launcher.sessions.process import ending

_BY_ITSELF = ending(0)


def directory(state: str) -> str:
    """Return where the files are, for a state directory."""
    return os.path.join(state, "died")


def command(state: str, name: str) -> str:
    """Return the shell's line that leaves word of the death of the session *name*."""
    return f": > {shlex.quote(os.path.join(directory(state), name))}"


def expect(state: str) -> None:
    """Make the directory. Raises Unavailable where it cannot be made."""
    try:
        os.makedirs(directory(state), mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{directory(state)}: {error.strerror}") from error


def take(state: str) -> None:
    """Remove all word: what it is about is looked at now. What cannot be removed stays."""
    with suppress(OSError):
        for name in os.listdir(directory(state)):
            os.unlink(os.path.join(directory(state), name))


def is_brought_back(session: Session, dead: list[Kept]) -> bool:
    """Tell whether the policy of *session* asks for it again, by what is left of its runs.

    Not where nothing is left: then ``down`` stopped it, or it was never started.
    """
    if session.restart == "no":
        return False
    return any(not kept.over and kept.ending != _BY_ITSELF for kept in dead)
