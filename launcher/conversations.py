"""Which conversation a session has, and how Claude Code is told to begin or to resume it.

The first id is made from the user, the session's name and its directory, so that no record can be
lost that would be needed to find it: a session that was deleted and is back goes on where it was.
In the client ``/clear`` and ``/resume`` go over to another conversation. Its own note tells
(:mod:`launcher.notes`), and the launcher's record keeps it; with the process's identity beside it,
so that a note which outlived a power cut still tells the last word.

What stands in the shared ``projects`` decides between ``--session-id`` and ``--resume``: turns,
not files. 2.0.76 leaves an empty transcript where nobody typed anything, and neither option takes
such an id again (docs/claude-code.md): the next one, made from it, is used then. Transcripts are
looked for in every folder, since the CLI's name for a directory is its own affair.
"""

import json
import os
import stat
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from invariants.finding import quoted
from invariants.model import Inventory, Session
from invariants.opening import open_at_once
from invariants.programs import has_conversation
from launcher import records
from launcher.bounded import bounded
from launcher.errors import LauncherError, NotJudged, Unavailable
from launcher.interrupts import Interrupts, Waiting
from launcher.notes import Note, as_id, live_notes, note_of
from launcher.processes import Process
from launcher.sessions import Kept
from launcher.sessions.survey import Survey

KIND = "conversations"
_TURNS = ("user", "assistant")
_PATIENCE = 5.0


class Conversation(NamedTuple):
    """A conversation's id, and whether it has turns that can be resumed."""

    id: str
    begun: bool

    @property
    def options(self) -> tuple[str, ...]:
        """What Claude Code is started with. Never ``--continue``: it may begin another one."""
        return ("--resume" if self.begun else "--session-id", self.id)


class _Transcript(Enum):
    ABSENT = "absent"
    EMPTY = "empty"
    BEGUN = "begun"


def first_id(session: Session) -> str:
    """Return the id of the first conversation of *session*: always the same for this user."""
    from uuid import NAMESPACE_URL, uuid5  # brings hashlib: for those only that start something

    ours = uuid5(NAMESPACE_URL, "https://github.com/claude-failover")
    return str(uuid5(ours, f"{os.geteuid()}\n{session.name}\n{session.directory}"))


def projects_of(inventory: Inventory, session: Session) -> str:
    """Return the directory in which the transcripts of *session* are, whoever's it is."""
    for link in inventory.links:
        if link.name == "projects":
            return link.target
    return os.path.join(inventory.account(session.account).home, "projects")


def look_up(inventory: Inventory, session: Session) -> Conversation | str:
    """Return the conversation that *session* is to be started with, or why that is not known."""
    projects = projects_of(inventory, session)
    try:
        found = current_id(inventory, session)
        while (transcript := _transcript(projects, found)) is _Transcript.EMPTY:
            if session.conversation != "auto":
                pattern = f"{projects}/*/{found}.jsonl"
                return (
                    f"its conversation {found} can neither be begun nor resumed: the transcript "
                    f"is there and has no turn ({pattern}); move it away"
                )
            found = _after(found)
    except (OSError, LauncherError) as error:
        return f"its conversation is not known: {error}"
    return Conversation(found, transcript is _Transcript.BEGUN)


def _after(conversation: str) -> str:
    """Return the id that is used where *conversation* cannot be."""
    from uuid import UUID, uuid5

    return str(uuid5(UUID(conversation), "after an empty one"))


def look_up_within(
    inventory: Inventory, session: Session, interrupts: Interrupts
) -> Conversation | str:
    """Return what :func:`look_up` does, or that it took longer than the inventory's ``timeout``."""
    seconds = inventory.settings.timeout
    try:
        return bounded(lambda: look_up(inventory, session), seconds, interrupts)
    except NotJudged as error:
        return f"its conversation is not known: {error}"


def current_id(inventory: Inventory, session: Session) -> str:
    """Return the id of the conversation that *session* has, or had last. Raises NotJudged."""
    if session.conversation != "auto":
        return session.conversation
    record = _record(inventory, session)
    if record is None:
        return first_id(session)
    noted = _noted(record)
    return (noted.conversation if noted else None) or as_id(record["conversation"]) or ""


def remember(
    inventory: Inventory, session: Session, home: str, process: Process, conversation: str
) -> None:
    """Note durably which conversation a *process* of *session* has. Raises OSError, NotJudged."""
    record = {
        "conversation": conversation,
        "directory": session.directory,
        "home": home,
        "pid": process.pid,
        "start": process.start,
    }
    before = _record(inventory, session) or {}
    if any(before.get(key) != value for key, value in record.items()):
        records.write(inventory.settings.state, KIND, session.name, record)


def follow(inventory: Inventory, survey: Survey, waiting: Waiting | None = None) -> None:
    """Note which conversation each running session has gone over to.

    A home that hangs is given up on after some seconds, unless *waiting* is None: then the caller
    has bounded all of this. Raises what remember and :func:`notes_of_runs` do.
    """
    runs = [
        (session, kept)
        for session in inventory.sessions
        if session.conversation == "auto" and has_conversation(session)
        for kept in survey.alive(session.name)
        if kept.elsewhere is None
    ]
    notes = notes_of_runs([kept for _, kept in runs], survey, waiting)
    for (session, kept), note in zip(runs, notes, strict=True):
        if note is not None and note.conversation is not None:
            remember(inventory, session, kept.home, note.process, note.conversation)


def notes_of_runs(
    runs: Sequence[Kept], survey: Survey, waiting: Waiting | None
) -> list[Note | None]:
    """Return what the Claude Code of each run has noted of itself, or None.

    It is looked for in a process that has some seconds for it, or here where there is no
    *waiting*. Raises NotJudged where these are over, Unavailable for what cannot be read.
    """

    def look() -> list[Note | None]:
        return [_note_of_run(kept, survey) for kept in runs]

    return look() if waiting is None or not runs else bounded(look, _PATIENCE, waiting)


def _note_of_run(kept: Kept, survey: Survey) -> Note | None:
    """Return what the Claude Code of a run has noted of itself, or None.

    It need not lead the run: a wrapper may. Of several notes of what it started none counts.
    """
    if (note := note_of(kept.home, kept.process)) is not None:
        return note
    members = set(survey.members(kept))
    notes = [note for note in live_notes(kept.home) if note.process in members]
    return notes[0] if len(notes) == 1 else None


def _record(inventory: Inventory, session: Session) -> dict[str, Any] | None:
    """Return the record of *session* where it is about a conversation in its directory."""
    path = records.path_of(inventory.settings.state, KIND, session.name)
    record = records.read(inventory.settings.state, KIND, session.name)
    if record is None or record.get("directory") != session.directory:
        return None
    if as_id(record.get("conversation")) is None:
        raise Unavailable(f"{path} names no conversation; without it: {quoted('rm', path)}")
    return record


def _noted(record: dict[str, Any]) -> Note | None:
    home, pid, start = record.get("home"), record.get("pid"), record.get("start")
    if not (isinstance(home, str) and isinstance(pid, int) and isinstance(start, int)):
        return None
    return note_of(home, Process(pid, start))


def _transcript(projects: str, conversation: str) -> _Transcript:
    found = _Transcript.ABSENT
    with os.scandir(projects) as folders:
        for folder in folders:
            path = os.path.join(folder.path, f"{conversation}.jsonl")
            try:
                has_turns = _has_turns(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if has_turns:
                return _Transcript.BEGUN
            found = _Transcript.EMPTY
    return found


def _has_turns(path: str) -> bool:
    with open_at_once(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return False
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            if isinstance(record, dict) and record.get("type") in _TURNS:
                return True
    return False
