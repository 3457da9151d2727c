"""Who has a conversation open, of all that a command might be the second writer of.

Sessions of the inventory count whatever they do: a Claude Code that waits at its account's limit
goes on by itself after the reset, so that it is a writer that sleeps (field notes, section 8).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from invariants.command_line import of_a_client, opened_by
from invariants.inventory import Inventory, Session
from invariants.places import is_same_place
from invariants.programs import has_conversation, runs_claude
from launcher.bounded import bounded
from launcher.conversations import current_id
from launcher.interrupts import Waiting
from launcher.notes import live_notes, writers
from launcher.processes import Process, command_line, identify, is_copy
from launcher.sessions.survey import Survey


class Holder(NamedTuple):
    """Who has a conversation open: a process, or a session that runs out of sight.

    ``where`` shows a session, ``hidden`` says where one that is out of sight runs, and what to do.
    """

    process: Process | None
    session: str | None = None
    account: str | None = None
    where: str | None = None
    hidden: str | None = None

    def __str__(self) -> str:
        """Say the process, the session and the account, and what is known of one out of sight."""
        if self.hidden is not None:
            return f"session {self.session} {self.hidden}"
        words = [str(self.process)] if self.process else []
        words += [f"session {self.session}"] if self.session else []
        words += [f"account {self.account}"] if self.account else []
        return ", ".join(words)


def who_has(
    conversation: str | None,
    directory: str,
    inventory: Inventory,
    survey: Survey,
    waiting: Waiting,
) -> list[Holder]:
    """Return who has *conversation* open; for None, any conversation of *directory*.

    The caller holds the lock of conversations. Homes are looked at for the inventory's ``timeout``
    at most. Raises NotJudged where that takes longer, or a record cannot be read, and Unavailable
    for a home that cannot be read.
    """
    runs, own = _runs(inventory, survey), os.getpid()

    def look() -> list[Holder]:
        """Look in a process of its own."""
        sessions = _of_sessions(conversation, directory, inventory, runs)
        others = _of_homes(conversation, directory, inventory, own)
        own_processes = {one.process for one in sessions}
        return sessions + [one for one in others if one.process not in own_processes]

    found = bounded(look, inventory.settings.timeout, waiting)
    return [_with_session(holder, survey) for holder in found]


def _runs(inventory: Inventory, survey: Survey) -> list[tuple[Session, Holder]]:
    """Return the runs of the inventory's sessions: in sight, where a process is left, or not."""
    runs = []
    for session in inventory.sessions:
        if (hidden := survey.hidden.get(session.name)) is not None:
            out_of_sight = Holder(None, session.name, session.account, hidden=hidden)
            runs.append((session, out_of_sight))
        for process in survey.unmarked(session.name):
            runs.append((session, Holder(process, session.name, session.account)))
        for kept in survey.kept.get(session.name, []):
            left = [kept.process] if kept.alive else survey.members(kept)
            if left and kept.elsewhere is None:
                runs.append((session, Holder(left[0], session.name, kept.account, kept.where)))
    return runs


def _of_sessions(
    conversation: str | None,
    directory: str,
    inventory: Inventory,
    runs: list[tuple[Session, Holder]],
) -> list[Holder]:
    """Return which *runs* have the conversation, by their records: 2.0 notes nothing itself."""
    found = []
    for session, holder in runs:
        if conversation is None:
            has = runs_claude(session) and is_same_place(session.directory, directory)
        else:
            has = has_conversation(session) and current_id(inventory, session) == conversation
        if has:
            found.append(holder)
    return found


def _of_homes(
    conversation: str | None, directory: str, inventory: Inventory, own: int
) -> list[Holder]:
    """Return what has noted itself in a home, or whose command line names the conversation."""
    noted = [
        (note, Holder(note.process, account=account.name))
        for account in inventory.accounts
        for note in live_notes(account.home)
    ]
    known = {note.process: holder for note, holder in noted}
    may_have_any = [Holder(one) for one in _undecided(directory, known, own)]
    if conversation is not None:
        homes = [account.home for account in inventory.accounts]
        found = writers(conversation, homes, own)
        return [known.get(one, Holder(one)) for one in found] + may_have_any
    return may_have_any + [
        holder
        for note, holder in noted
        if note.directory is not None and is_same_place(note.directory, directory)
    ]


def _undecided(directory: str, noted: Collection[Process], own: int) -> list[Process]:
    """Return each Claude Code of *directory* that opens what its command line does not name.

    It notes which conversation that is about a second after its start, and not while a person
    chooses one; until then it may be any one of the directory.
    """
    found = []
    for pid in {int(name) for name in os.listdir("/proc") if name.isdigit()} - {own}:
        process = identify(pid)
        if process is None or process in noted or not process.is_alive():
            continue
        words = of_a_client(command_line(process))
        if not words or opened_by(words).unnamed is None or is_copy(process):
            continue
        if is_same_place(f"/proc/{pid}/cwd", directory):
            found.append(process)
    return found


def _with_session(holder: Holder, survey: Survey) -> Holder:
    """Return *holder* with the session that its process is a part of."""
    if holder.session is not None:
        return holder
    for name, every in survey.kept.items():
        for kept in every:
            if holder.process == kept.process or holder.process in survey.members(kept):
                return holder._replace(session=name, account=kept.account, where=kept.where)
    return holder
