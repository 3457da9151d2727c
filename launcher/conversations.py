"""Which conversation a session has, and how Claude Code is told to begin or to resume it.

The first id is made from the user, the session's name and its directory, so that no record can be
lost that would be needed to find it: a session that was deleted and is back goes on where it was.
In the client ``/clear`` and ``/resume`` go over to another conversation. The client's own note
says so (:mod:`launcher.notes`), and the launcher's record keeps it, with the process's identity
beside it: a note that outlived a power cut still has the last word.

Turns in the shared ``projects`` decide between ``--session-id`` and ``--resume``, not files.
2.0.76 leaves an empty transcript if nobody typed anything, and neither option takes such an id
again (docs/claude-code.md): then the next id, made from it, is used.

The record also keeps whether the conversation has had turns. If it has, and they are gone, the
next id is used as well, and never the same one: a transcript that comes back from a backup is not
mixed with what was said since. What a session leaves behind is a :class:`Left`; whoever starts it
notes that (:mod:`launcher.left`), so that no conversation is begun anew in silence.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from invariants.background import Worker
from invariants.model import Inventory, Session
from invariants.programs import has_conversation
from launcher.background import of_sessions
from launcher.bounded import bounded
from launcher.errors import LauncherError, NotJudged, Unavailable
from launcher.interrupts import Interrupts, Waiting
from launcher.left import Left, Why
from launcher.left import note as note_left
from launcher.notes import Note, live_notes, note_of
from launcher.processes import Process
from launcher.remembered import Remembered, recall, remember
from launcher.sessions import Kept
from launcher.sessions.survey import Survey
from launcher.transcripts import Transcript, is_begun, look_for, make_reachable

_PATIENCE = 5.0


class Conversation(NamedTuple):
    """A conversation's id, whether it has turns that can be resumed, and what it is in place of.

    ``old_path`` is what its directory was called then, if that was renamed.
    """

    id: str
    begun: bool
    left: tuple[Left, ...] = ()
    old_path: str | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """What Claude Code is started with. Never ``--continue``: it may begin another one."""
        return ("--resume" if self.begun else "--session-id", self.id)

    @property
    def remark(self) -> str | None:
        """What a person must know of a start with it, or None."""
        if self.left:
            why = "; ".join(one.found for one in self.left)
            return f"it goes on with conversation {self.id}: {why}"
        if self.old_path is not None:
            return f"it goes on with conversation {self.id} of {self.old_path}, renamed since"
        return None


def first_id(session: Session, uid: int | None = None) -> str:
    """Return the id of the first conversation of *session*: always the same for the user *uid*.

    Without one it is the user who asks.
    """
    from uuid import NAMESPACE_URL, uuid5  # brings hashlib: for those only that start something

    ours = uuid5(NAMESPACE_URL, "https://github.com/claude-failover")
    user = os.geteuid() if uid is None else uid
    return str(uuid5(ours, f"{user}\n{session.name}\n{session.directory}"))


def projects_of(inventory: Inventory, session: Session) -> str:
    """Return the directory in which the transcripts of *session* are, whoever's it is."""
    return projects_under(inventory, session.account)


def projects_under(inventory: Inventory, account: str) -> str:
    """Return the directory in which the transcripts of what runs under *account* are."""
    for link in inventory.links:
        if link.name == "projects":
            return link.target
    return os.path.join(inventory.account(account).home, "projects")


def look_up(inventory: Inventory, session: Session) -> Conversation | str:
    """Return the conversation that *session* is to be started with, or why that is not known."""
    projects, record = projects_of(inventory, session), None
    try:
        record = recall(inventory.settings.state, session.name)
        found, its_own = _wanted(session, record), [session.directory]
        if record is not None:
            its_own.append(record.directory)
        if record is not None and found == record.last_word() and (fork := record.fork()):
            # What was handed over to the background counts once something was said there.
            found = fork if look_for(projects, fork, its_own) is Transcript.BEGUN else found
        had_turns = record.had_turns if record else frozenset()
        missed = []
        transcript = look_for(projects, found, its_own)
        if transcript is not Transcript.BEGUN and (back := _come_back(projects, session, record)):
            missed = [found] if found in had_turns else []
            found, transcript = back, Transcript.BEGUN
        while transcript is not Transcript.BEGUN:
            if found in had_turns:
                missed.append(found)
            elif transcript is Transcript.ABSENT:
                break
            elif session.conversation != "auto":
                pattern = f"{projects}/*/{found}.jsonl"
                return (
                    f"its conversation {found} can neither be begun nor resumed: the transcript "
                    f"is there and has no turn ({pattern}); move it away"
                )
            found = _after(found)
            transcript = look_for(projects, found, its_own)
        begun, known = transcript is Transcript.BEGUN, record.gone if record else {}
        left = [Left(one, Why.GONE, session.directory) for one in missed if one not in known]
        if session.conversation == "auto":  # else it is the operator who leaves what there was
            left += _of_another(inventory, session, record, projects, found, begun=begun)
    except (OSError, LauncherError) as error:
        stranger = record is not None and record.uid not in (None, os.geteuid())
        whose = f" (user id {record.uid} had it last)" if record and stranger else ""
        return f"its conversation is not known: {error}{whose}"
    return Conversation(found, begun, tuple(left), _old_path(session, record, found))


def _wanted(session: Session, record: Remembered | None) -> str:
    """Return the id of the conversation that *session* has, or had last in its directory."""
    if session.conversation != "auto":
        return session.conversation
    if record is None:
        return first_id(session)
    if record.is_of(session.directory):
        return record.last_word()
    before = record.elsewhere.get(session.directory)
    return before[0] if before else first_id(session)


def _old_path(session: Session, record: Remembered | None, found: str) -> str | None:
    """Return what the directory of *session* was called when it had the conversation *found*."""
    if record is None or session.conversation != "auto" or record.directory == session.directory:
        return None
    return record.directory if record.last_word() == found else None


def _after(conversation: str) -> str:
    """Return the id that is used where *conversation* cannot be."""
    from uuid import UUID, uuid5

    return str(uuid5(UUID(conversation), "after an empty one"))


def _come_back(projects: str, session: Session, record: Remembered | None) -> str | None:
    """Return a conversation of *session* that was missed once and has its turns again, or None."""
    if session.conversation != "auto" or record is None:
        return None
    for one in reversed(list(record.gone)):
        if record.gone[one] == session.directory and look_for(projects, one) is Transcript.BEGUN:
            return one
    return None


def _of_another(
    inventory: Inventory,
    session: Session,
    record: Remembered | None,
    projects: str,
    found: str,
    *,
    begun: bool,
) -> list[Left]:
    """Return what has turns elsewhere and may be what *session* was to go on with."""
    if record is None:
        if begun:
            return []
        from launcher.orphans import of_other_users, of_removed_sessions  # at a first start only

        removed = of_removed_sessions(inventory, session, projects)
        return [*removed, *of_other_users(session, projects, first_id)]
    if record.is_of(session.directory) or (last := record.last_word()) == found:
        return []
    if last in record.had_turns or look_for(projects, last) is Transcript.BEGUN:
        return [Left(last, Why.DIRECTORY, record.directory)]
    return []


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
    """Return the id of the conversation that *session* has, or had last.

    Raises NotJudged, Unavailable.
    """
    return _wanted(session, recall(inventory.settings.state, session.name))


def prepare(
    inventory: Inventory, session: Session, conversation: Conversation, waiting: Waiting
) -> None:
    """Do what must be done before *session* is started with *conversation*.

    What it leaves behind is noted; raises Unavailable if that cannot be done. An older client is
    let find a transcript that is of another directory. A newer one finds it anyway, so that it is
    no error if that cannot be done.
    """
    projects, seconds = projects_of(inventory, session), inventory.settings.timeout
    if conversation.left:
        try:
            note_left(inventory, session, conversation.left, conversation.id, projects)
        except (OSError, NotJudged) as error:
            raise Unavailable(f"what it leaves behind cannot be noted: {error}") from error

    def reach() -> None:
        with suppress(OSError):
            make_reachable(projects, session.directory, conversation.id)

    if conversation.begun:
        with suppress(NotJudged):
            bounded(reach, seconds, waiting)


def remember_start(
    inventory: Inventory,
    session: Session,
    kept: Kept,
    conversation: Conversation,
    waiting: Waiting,
) -> None:
    """Note durably with which *conversation* a run was started, and whether it has turns by now.

    Raises OSError and what :func:`remember` and :func:`launcher.bounded.bounded` do.
    """
    about = (inventory, session, kept.home, kept.process, conversation.id)
    remember(*about, begun=conversation.begun, left=conversation.left)
    if conversation.begun:
        return
    where = (projects_of(inventory, session), session.directory, conversation.id)
    if bounded(lambda: is_begun(*where), _PATIENCE, waiting):
        remember(*about, begun=True)


def follow(inventory: Inventory, survey: Survey, waiting: Waiting | None = None) -> None:
    """Note which conversation each running session has gone over to, and whether it has turns.

    A home that hangs is given up on after some seconds, unless *waiting* is None: then the caller
    has bounded all of this. Raises what remember and :func:`notes_of_runs` do.
    """
    runs = [
        (session, kept)
        for session in inventory.sessions
        if has_conversation(session)
        for kept in survey.alive(session.name)
        if kept.elsewhere is None
    ]

    def look() -> tuple[list[tuple[Process, str, bool] | None], dict[str, list[Worker]]]:
        followed = [_followed(inventory, session, kept, survey) for session, kept in runs]
        return followed, of_sessions(inventory, [session for session, _ in runs], survey)

    if not runs:
        return
    seen, survey.background = look() if waiting is None else bounded(look, _PATIENCE, waiting)
    for (session, kept), found in zip(runs, seen, strict=True):
        if found is not None:
            process, conversation, begun = found
            remember(inventory, session, kept.home, process, conversation, begun=begun)


def _followed(
    inventory: Inventory, session: Session, kept: Kept, survey: Survey
) -> tuple[Process, str, bool] | None:
    """Return the process of a run, the conversation that it noted, and whether that has turns.

    A client that notes nothing (2.0) has what it was started with. None if nothing is known, or
    the client went over from the inventory's id, which is not left for it. Turns that the record
    knows of are not looked for again.
    """
    note = _note_of_run(kept, survey)
    record = recall(inventory.settings.state, session.name)
    if note is None or note.conversation is None:
        return None if note or record is None else _unnoted(inventory, session, kept, record)
    known = (session.conversation, record.conversation if record else None)
    if session.conversation != "auto" and note.conversation not in known:
        return None
    is_its = record is not None and record.process == note.process
    directory = record.directory if record and is_its else session.directory
    projects = projects_of(inventory, session)
    with suppress(OSError):
        if note.fork is not None and is_begun(projects, directory, note.fork):
            return note.process, note.fork, True
    begun = record is not None and note.conversation in record.had_turns
    if not begun:
        with suppress(OSError):
            begun = is_begun(projects, directory, note.conversation)
    return note.process, note.conversation, begun


def _unnoted(
    inventory: Inventory, session: Session, kept: Kept, record: Remembered
) -> tuple[Process, str, bool] | None:
    """Return what :func:`_followed` does of a run that notes nothing, once that has turns."""
    if record.process != kept.process or record.conversation in record.had_turns:
        return None
    with suppress(OSError):
        if is_begun(projects_of(inventory, session), record.directory, record.conversation):
            return kept.process, record.conversation, True
    return None


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

    It need not lead the run: a wrapper may. Of several notes of what it started none counts; those
    of background sessions are not about the run itself.
    """
    if (note := note_of(kept.home, kept.process)) is not None:
        return note
    members = set(survey.members(kept))
    every = [note for note in live_notes(kept.home) if note.process in members]
    notes = [note for note in every if note.job is None]
    return notes[0] if len(notes) == 1 else None
