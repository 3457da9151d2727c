"""Whether tmux would start a server: it refuses where its sockets could be somebody else's."""

from __future__ import annotations

import os
import stat

from invariants.access import user_name
from invariants.finding import Finding, quoted
from invariants.fixes import set_aside, set_aside_as_root
from invariants.programs import socket_directory

INVARIANT = "session_backend_is_there"


def judge_sockets(uid: int) -> Finding | None:
    """Return why tmux refuses the directory of the sockets of *uid*'s servers, or None.

    It makes a missing one by itself. Else it must be a directory of the user's that no other may
    read, write or enter; what its group may do tmux does not ask.
    """
    directory = socket_directory(uid)
    try:
        status = os.lstat(directory)
    except OSError:
        return None
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        own = status.st_uid == uid
        fix = set_aside(directory, "aside") if own else set_aside_as_root(directory, "aside")
        return _fault(uid, "not a directory", fix)
    if status.st_uid != uid:
        found = f"a directory of {user_name(status.st_uid)}"
        return _fault(uid, found, set_aside_as_root(directory, "aside"))
    if mode & stat.S_IRWXO:
        return _fault(uid, f"mode {mode:04o}", quoted("chmod", "o-rwx", directory))
    return None


def _fault(uid: int, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        state="unsafe-sockets",
        expected=f"{socket_directory(uid)}, a directory of {user_name(uid)} and of nobody else",
        found=found,
        fix=fix,
    )
