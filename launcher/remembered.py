"""The record of which conversation a session has: what the launcher knows of it beside the client.

It keeps more than the id. That the conversation has had turns is what tells one that was never
begun from one whose transcript is gone. Device and inode of the directory are the same after a
rename. Records of earlier versions lack both, and are read all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from invariants.finding import quoted
from invariants.model import Inventory, Session
from invariants.places import is_same_place
from launcher import records
from launcher.errors import NotJudged, Unavailable
from launcher.left import Left
from launcher.notes import Note, as_id, note_of
from launcher.processes import Process

KIND = records.CONVERSATIONS
_KEPT = 20  # ids and directories that a record keeps at most


class Remembered(NamedTuple):
    """A record: a conversation, and which process of a session had it in which directory and home.

    ``begun`` says that it has had turns, ``gone`` which ids had turns and were missed once, each
    with its directory, ``elsewhere`` which conversation the session had in other directories, and
    whether with turns. ``identity`` is device and inode of the directory, ``uid`` whose it was.
    """

    conversation: str
    directory: str
    home: str | None = None
    process: Process | None = None
    uid: int | None = None
    begun: bool = False
    identity: tuple[int, int] | None = None
    gone: Mapping[str, str] = {}
    elsewhere: Mapping[str, tuple[str, bool]] = {}

    @property
    def had_turns(self) -> frozenset[str]:
        """The ids of conversations that have had turns, as far as that is known."""
        elsewhere = {one for one, begun in self.elsewhere.values() if begun}
        return frozenset({*self.gone, *elsewhere, *([self.conversation] if self.begun else [])})

    def is_of(self, directory: str) -> bool:
        """Tell whether this is about *directory*, whatever its path was then.

        The two paths may also lead to one directory now: an older launcher noted no identity, and
        a file system may have another device number since a reboot.
        """
        if self.directory == directory:
            return True
        if self.identity is not None and self.identity == identity_of(directory):
            return True
        return is_same_place(self.directory, directory)

    def last_word(self) -> str:
        """Return the conversation that its process had last: its note may have outlived it.

        One that it handed over to a background session counts once that was seen to have turns.
        """
        note = self._note()
        if note is None or note.conversation is None or note.fork == self.conversation:
            return self.conversation
        return note.conversation

    def fork(self) -> str | None:
        """Return the conversation that its process handed over to a background session, or None."""
        note = self._note()
        return note.fork if note else None

    def _note(self) -> Note | None:
        return note_of(self.home, self.process) if self.home and self.process else None


def recall(state: str, name: str) -> Remembered | None:
    """Return the record of the session *name*, or None. Raises NotJudged, Unavailable."""
    record = records.read(state, KIND, name)
    if record is None or not isinstance(record.get("directory"), str):
        return None
    conversation = as_id(record.get("conversation"))
    if conversation is None:
        path = records.path_of(state, KIND, name)
        raise Unavailable(f"{path} names no conversation; without it: {quoted('rm', path)}")
    pid, start, home = record.get("pid"), record.get("start"), record.get("home")
    is_process = isinstance(pid, int) and isinstance(start, int)
    return Remembered(
        conversation=conversation,
        directory=record["directory"],
        home=home if isinstance(home, str) else None,
        process=Process(pid, start) if is_process else None,  # type: ignore[arg-type]  # ints
        uid=record.get("uid"),
        begun=record.get("begun") is True,
        identity=_pair(record.get("identity")),
        gone=_gone(record.get("gone")),
        elsewhere=_elsewhere(record.get("elsewhere")),
    )


def begun(state: str) -> str | None:
    """Name a record of a conversation that has had turns, or return None.

    A record that cannot be read is passed over: whoever needs it tells of it.
    """
    with suppress(OSError):
        for name in records.names(state, KIND):
            with suppress(NotJudged, Unavailable):
                if (record := recall(state, name)) is not None and record.had_turns:
                    path = records.path_of(state, KIND, name)
                    return f"session {name} has had a conversation, by {path}"
    return None


def remember(
    inventory: Inventory,
    session: Session,
    home: str,
    process: Process,
    conversation: str,
    *,
    begun: bool = False,
    left: tuple[Left, ...] = (),
) -> None:
    """Note durably which conversation a *process* of *session* has. Raises OSError, NotJudged.

    *begun* says that it has turns, *left* what it is in place of. What had turns once is kept. A
    process stays in the directory where it was started, whatever the inventory names by now.
    """
    state = inventory.settings.state
    before = recall(state, session.name)
    directory, identity = session.directory, None
    gone: dict[str, str] = {}
    elsewhere: dict[str, tuple[str, bool]] = {}
    if before is not None:
        gone, elsewhere = dict(before.gone), dict(before.elsewhere)
        begun = begun or (before.begun and before.conversation == conversation)
        if before.process == process:  # looked at once: its file system may hang later
            directory = before.directory
            identity = before.identity or identity_of(f"/proc/{process.pid}/cwd")
        if before.directory != directory:
            elsewhere[before.directory] = (before.conversation, before.begun)
    gone |= {one.conversation: one.directory for one in left if one.is_gone}
    after = Remembered(
        conversation=conversation,
        directory=directory,
        home=home,
        process=process,
        uid=os.geteuid(),
        begun=begun,
        identity=identity or identity_of(directory),
        gone=dict(list(gone.items())[-_KEPT:]),
        elsewhere=dict(list(elsewhere.items())[-_KEPT:]),
    )
    if after != before:
        records.write(state, KIND, session.name, _document(after))


def remember_turns(inventory: Inventory, session: Session) -> None:
    """Note durably that the conversation on record has had turns. Raises as :func:`remember`."""
    record = recall(inventory.settings.state, session.name)
    if record is not None:
        document = _document(record._replace(begun=True))
        records.write(inventory.settings.state, KIND, session.name, document)


def _document(record: Remembered) -> dict[str, Any]:
    process = record.process
    return {
        "conversation": record.conversation,
        "directory": record.directory,
        "home": record.home,
        "pid": process.pid if process else None,
        "start": process.start if process else None,
        "uid": record.uid,
        "begun": record.begun,
        "identity": record.identity,
        "gone": record.gone,
        "elsewhere": {
            directory: {"conversation": one, "begun": begun}
            for directory, (one, begun) in record.elsewhere.items()
        },
    }


def identity_of(directory: str) -> tuple[int, int] | None:
    """Return device and inode of a directory, which a rename leaves as they are, or None."""
    try:
        there = os.stat(directory)
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _pair(value: object) -> tuple[int, int] | None:
    match value:
        case [int(device), int(inode)]:
            return device, inode
    return None


def _gone(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {one: str(directory) for one, directory in value.items() if as_id(one)}


def _elsewhere(value: object) -> dict[str, tuple[str, bool]]:
    if not isinstance(value, dict):
        return {}
    return {
        directory: (str(entry["conversation"]), entry.get("begun") is True)
        for directory, entry in value.items()
        if isinstance(entry, dict) and as_id(entry.get("conversation"))
    }
