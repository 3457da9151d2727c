"""The conversations that sessions have left behind, until a person has dealt with each.

A session comes up unattended even if its conversation cannot go on: nothing is lost by that, since
the new one has an id of its own. What it left is noted before the new one begins, and every look
at the sessions warns of it, with what resumes it. A person who does not want it removes the note.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple

from invariants.finding import quoted
from invariants.fixes import look, set_aside
from invariants.model import Inventory, Session
from invariants.warning import Warned
from launcher import records
from launcher.errors import LauncherError

KIND = "left"
INVARIANT = "conversation_goes_on"
_KEPT = 20


class Why(StrEnum):
    """Why a session does not go on with a conversation."""

    GONE = "gone"  # it had turns, and they are not there any more
    DIRECTORY = "directory"  # the inventory names another directory now
    USER = "user"  # another user began it
    NAME = "name"  # it is of a session that the inventory no longer names


class Left(NamedTuple):
    """A conversation that is left behind: in which directory it was, and for USER and NAME whose.

    ``whose`` is a user id, or a session's name.
    """

    conversation: str
    why: Why
    directory: str
    whose: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether its turns are what is missing."""
        return self.why is Why.GONE

    @property
    def found(self) -> str:
        """Say what was found, in words."""
        what = f"conversation {self.conversation}"
        return {
            Why.GONE: f"its {what} had turns, and its transcript is gone",
            Why.DIRECTORY: f"its {what} is of {self.directory}, its directory until now",
            Why.USER: f"its {what} was begun by user id {self.whose}",
            Why.NAME: f"{what} in its directory is of the session {self.whose}, "
            "which the inventory no longer names",
        }[self.why]

    def fix(self, inventory: Inventory, session: str, projects: str) -> str:
        """Return what resumes it, in words for a person."""
        line = f'conversation = "{self.conversation}"'
        resume = f"to resume it write {line} for the session {session} in {inventory.path}"
        if self.why is Why.GONE:
            return f"restore {projects}/*/{self.conversation}.jsonl from a backup; then, {resume}"
        return resume


def note(
    inventory: Inventory, session: Session, left: Sequence[Left], instead: str, projects: str
) -> None:
    """Note durably that *session* goes on with *instead* of what it *left*.

    Raises OSError, NotJudged.
    """
    known = {one["conversation"]: one for one in _noted(inventory, session.name)}
    for one in left:
        if one.conversation not in known:
            known[one.conversation] = {
                "conversation": one.conversation,
                "why": one.why.value,
                "directory": one.directory,
                "whose": one.whose,
                "instead": instead,
                "projects": projects,
                "at": round(time.time(), 3),
            }
    record = {"left": list(known.values())[-_KEPT:]}
    records.write(inventory.settings.state, KIND, session.name, record)


def warnings(inventory: Inventory) -> Iterator[Warned]:
    """Yield a warning for each conversation that a session of *inventory* left behind.

    There is none for one that has been resumed since. Notes that cannot be read are a warning of
    their own.
    """
    for session in inventory.sessions:
        path = records.path_of(inventory.settings.state, KIND, session.name)
        try:
            entries = _noted(inventory, session.name)
        except LauncherError as error:
            found = f"what conversations it left behind is not known: {error}"
            yield Warned(INVARIANT, found, set_aside(path, "aside"), session=session.name)
            continue
        current = _current(inventory, session) if entries else None
        for entry in entries:
            left = _left(entry)
            if left is None or left.conversation == current:
                continue
            found = f"{left.found}; it goes on with {entry.get('instead')}"
            note = left.fix(inventory, session.name, str(entry.get("projects")))
            fix = look("cat", path, note=f"{note}; to leave it behind: {quoted('rm', path)}")
            yield Warned(INVARIANT, found, fix, session=session.name)


def _noted(inventory: Inventory, name: str) -> list[dict[str, Any]]:
    record = records.read(inventory.settings.state, KIND, name)
    entries = (record or {}).get("left")
    if not isinstance(entries, list):
        return []
    return [
        entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("conversation"), str)
    ]


def _current(inventory: Inventory, session: Session) -> str | None:
    """Return the conversation that *session* has as far as that is on record."""
    if session.conversation != "auto":
        return session.conversation
    with suppress(LauncherError):
        record = records.read(inventory.settings.state, records.CONVERSATIONS, session.name)
        return (record or {}).get("conversation")
    return None


def _left(entry: dict[str, Any]) -> Left | None:
    try:
        why = Why(str(entry.get("why")))
    except ValueError:  # of another version
        return None
    whose = entry.get("whose")
    directory = str(entry.get("directory"))
    return Left(entry["conversation"], why, directory, whose if isinstance(whose, str) else None)
