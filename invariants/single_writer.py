"""Whether a conversation has one process that writes it: two fork it, and one side is lost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from invariants.background import ROSTER, stopping
from invariants.conversations import Process, Writer, running, writers
from invariants.documents import Unreadable
from invariants.finding import Finding
from invariants.fixes import as_root, look, noted
from invariants.inputs import PROCESSES, Input, Part
from invariants.model import Account, Inventory

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "conversation_has_one_writer"
_LISTED = 3


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell who writes the conversations: processes, and the homes' notes."""
    part = Part("writers", _writers, "which conversations are live in two processes")
    yield Input(PROCESSES, part)
    for account in inventory.accounts:
        yield Input(os.path.join(account.home, "sessions"), part, content=True, names=True)
        yield Input(os.path.join(account.home, ROSTER), part, content=True)
        yield Input(os.path.join(account.home, "projects"), part)


def _writers(judges: Judges) -> object:
    return judges.writers


def judge_writers(accounts: Sequence[Account], proc: str = "/proc") -> Finding | None:
    """Return which conversations of *accounts* are live in two processes, or None.

    A process of another user's counts where its command line names the conversation. One whose
    home is elsewhere, with transcripts of its own, does not: it writes another file.
    """
    processes = running(proc)
    if os.getpid() not in processes:
        unseen = f"no process can be seen: {proc} is not mounted here, or is another namespace's"
        return _finding("unreadable", unseen, as_root("mount", "-t", "proc", "proc", proc))
    try:
        found = list(writers(accounts, processes, proc))
    except Unreadable as error:
        homes = [account.home for account in accounts]
        fix = look("ls", "-la", *homes, note="let the user read it: what runs there is not known")
        return _finding("unreadable", str(error), fix)
    doubled = []
    for conversation, group in sorted(_by_conversation(found, accounts).items()):
        alone = _without_wrappers(group, processes)
        if len(alone) > 1:
            doubled.append((conversation, alone))
    if not doubled:
        return None
    shown = "; ".join(_shown(name, group, accounts) for name, group in doubled[:_LISTED])
    more = f"; and {len(doubled) - _LISTED} more" if len(doubled) > _LISTED else ""
    return _finding(
        "two-writers", shown + more, _fix([one for _, group in doubled for one in group])
    )


def _fix(found: Sequence[Writer]) -> str:
    """Return the command that ends the background sessions, or one that shows what there is.

    The daemon brings a worker back that was killed.
    """
    stops = [stopping(one.home, one.job) for one in found if one.job and one.home]
    if stops:
        return noted(" && ".join(stops), "end all of a conversation but one")
    pids = ",".join(str(one.process.pid) for one in found)
    return look("ps", "-fp", pids, note="end all of a conversation but one")


def _by_conversation(
    found: Iterable[Writer], accounts: Iterable[Account]
) -> Mapping[str, list[Writer]]:
    """Group the writers whose transcripts are, or may be, those of *accounts*."""
    stores: dict[str, str] = {}

    def store(home: str) -> str:
        if home not in stores:
            stores[home] = os.path.realpath(os.path.join(home, "projects"))
        return stores[home]

    own = {store(account.home) for account in accounts}
    groups: dict[str, list[Writer]] = {}
    for writer in found:
        if writer.home is None or store(writer.home) in own:
            groups.setdefault(writer.conversation, []).append(writer)
    return {
        conversation: group
        for conversation, group in groups.items()
        if any(writer.home is not None for writer in group)
    }


def _without_wrappers(group: list[Writer], processes: Mapping[int, Process]) -> list[Writer]:
    """Leave out what only started another of the group: a script that is called claude as well."""
    pids = {writer.process.pid for writer in group}
    above: set[int] = set()
    for pid in pids:
        parent = processes[pid].parent
        while parent in processes and parent not in above:
            above.add(parent)
            parent = processes[parent].parent
    return [writer for writer in group if writer.noted or writer.process.pid not in above]


def _shown(conversation: str, group: list[Writer], accounts: Iterable[Account]) -> str:
    names = {account.home: account.name for account in accounts}
    places = (
        f"pid {one.process.pid} ({_whose(one, names)})"
        for one in sorted(group, key=lambda writer: writer.process.pid)
    )
    return f"{conversation} in {' and '.join(places)}"


def _whose(one: Writer, names: Mapping[str, str]) -> str:
    whose = names.get(one.home or "", one.home or "unknown home")
    return f"{whose}, background session {one.job}" if one.job else whose


def _finding(state: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        state=state,
        expected="one process at most for each conversation",
        found=found,
        fix=fix,
    )
