"""Conversations that may be a session's own, from when it had another name or another user."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from invariants.model import Inventory, Session
from launcher import records
from launcher.errors import LauncherError
from launcher.left import Left, Why
from launcher.remembered import KIND, recall
from launcher.transcripts import Transcript, begun_by_launchers, look_for

_UIDS = 65536  # login.defs(5) gives no user a higher id, as distributions set it


def of_removed_sessions(inventory: Inventory, session: Session, projects: str) -> list[Left]:
    """Return the conversations in this directory of sessions that the inventory no longer names.

    Raises OSError.
    """
    state, found = inventory.settings.state, []
    for name in sorted({*records.names(state, KIND)} - {one.name for one in inventory.sessions}):
        with suppress(LauncherError):  # whatever it is, it is none of this session's
            record = recall(state, name)
            if record is None or not record.is_of(session.directory):
                continue
            last = record.last_word()
            if last in record.had_turns or look_for(projects, last) is Transcript.BEGUN:
                found.append(Left(last, Why.NAME, record.directory, name))
    return found


def of_other_users(
    session: Session, projects: str, first_id: Callable[[Session, int], str]
) -> list[Left]:
    """Return the first conversation that this session had under another user id.

    There is no record of it, or it would be followed. An id that a launcher made can be recognised;
    only if the directory has any is each user id tried (0.3 s). Raises OSError.
    """
    there = set(begun_by_launchers(projects, session.directory))
    if not there:
        return []
    own = os.geteuid()
    for uid in range(_UIDS):
        if uid != own and (found := first_id(session, uid)) in there:
            return [Left(found, Why.USER, session.directory, str(uid))]
    return []
