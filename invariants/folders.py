"""What Claude Code keeps of a session's conversation in the targets, and whether it can be written.

In ``projects`` the conversations of a directory have one folder. It is named after the working
directory as the kernel resolves it: each character but letters and digits becomes a hyphen
(measured, docs/claude-code.md). In the other targets each conversation has a folder of its own.
Claude Code makes what is missing; what is there and cannot be written it leaves, without a word.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from invariants.access import user_name
from invariants.documents import Unreadable, read_object
from invariants.finding import Finding, quoted
from invariants.fixes import as_root, is_immutable, look, noted, set_aside
from invariants.inputs import Input, Part
from invariants.model import Inventory, Session
from invariants.places import is_same_place
from invariants.programs import keeps_turns

if TYPE_CHECKING:
    from invariants.judges import Judges
    from invariants.warning import Warned

INVARIANT = "session_folder_is_writable"
PROJECTS = "projects"
RECORDS = "conversations"
"""The directory of the launcher's records of conversations, in the state directory."""

_LONGEST = 200  # a longer name is cut, and a hash added that only the client knows
_OTHER = re.compile(r"[^A-Za-z0-9]")


class Store(NamedTuple):
    """A directory, or a file, that Claude Code writes for a session if it is there.

    ``link`` names the link whose target it is in.
    """

    path: str
    link: str
    is_file: bool = False


class _Fault(NamedTuple):
    """What keeps a store from being written: a state, words, and what mends it.

    ``command`` is a command line's first words, to which paths are added, or a whole line.
    """

    path: str
    state: str
    words: str
    command: str
    takes_paths: bool = False


def folder_of(directory: str) -> str | None:
    """Return the name of the folder for sessions in *directory*, or None if it is not known.

    >>> folder_of("/proc/.a b")
    '-proc--a-b'
    """
    name = _name(directory)
    return name if len(name) <= _LONGEST else None


def is_folder_of(folder: str, directory: str) -> bool:
    """Return whether *folder* is, or may be, the name of the folder for sessions in *directory*.

    >>> is_folder_of("-proc", "/proc"), is_folder_of("-proc-x", "/proc")
    (True, False)
    """
    name = _name(directory)
    return folder == name or (len(name) > _LONGEST and folder.startswith(name[:_LONGEST]))


def _name(directory: str) -> str:
    return _OTHER.sub("-", os.path.realpath(directory))


def record_path(state: str, kind: str, session: str) -> str:
    """Return where the launcher's record of a *kind* about the session of a name is."""
    return os.path.join(state, kind, f"{session}.json")


def stores(inventory: Inventory, session: Session) -> Iterator[Store]:
    """Yield what Claude Code writes for *session*, whether or not it is there yet.

    That is the folder of its directory in ``projects``; and of the conversation that is on record,
    or that the inventory names, the transcript and each folder. What it has gone over to since is
    on record after the next look at the sessions. Never raises an OSError.
    """
    targets = {link.name: link.target for link in inventory.links}
    home = inventory.account(session.account).home
    projects = targets.pop(PROJECTS, os.path.join(home, PROJECTS))
    conversation, directory = _conversation(inventory, session)
    for one in dict.fromkeys([session.directory, directory]):
        if (folder := folder_of(one)) is None:
            continue
        path = os.path.join(projects, folder)
        yield Store(path, PROJECTS)
        if conversation is not None:
            yield Store(os.path.join(path, f"{conversation}.jsonl"), PROJECTS, is_file=True)
            yield Store(os.path.join(path, conversation), PROJECTS)
    if conversation is not None:
        for name, target in targets.items():
            yield Store(os.path.join(target, conversation), name)


def _conversation(inventory: Inventory, session: Session) -> tuple[str | None, str]:
    """Return the conversation of *session*, if it is known, and in which directory it had that."""
    if session.conversation not in ("auto", "off"):
        return session.conversation, session.directory
    record = _record(inventory, session) if session.conversation == "auto" else {}
    before = record.get("directory")
    if not isinstance(before, str):
        return None, session.directory
    if _is_of(record, before, session.directory):
        return _known(record), before
    elsewhere = record.get("elsewhere")
    there = elsewhere.get(session.directory) if isinstance(elsewhere, dict) else None
    return _known(there), session.directory


def _known(record: object) -> str | None:
    conversation = record.get("conversation") if isinstance(record, Mapping) else None
    return conversation if isinstance(conversation, str) and "/" not in conversation else None


def _record(inventory: Inventory, session: Session) -> Mapping[str, Any]:
    try:
        return read_object(record_path(inventory.settings.state, RECORDS, session.name)) or {}
    except Unreadable:  # nothing is started by it either: whoever tries says why
        return {}


def _is_of(record: Mapping[str, Any], before: str, directory: str) -> bool:
    """Return whether *record*, which is about *before*, is about *directory* by now: a rename."""
    if before == directory:
        return True
    try:
        there = os.stat(directory)
    except OSError:
        return False
    return record.get("identity") == [there.st_dev, there.st_ino] or is_same_place(
        before, directory
    )


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell whether what is kept of the sessions can be written."""
    for session in filter(keeps_turns, inventory.sessions):
        part = Part(session.name, partial(_stored, session), "the conversation on record")
        record = record_path(inventory.settings.state, RECORDS, session.name)
        yield Input(record, part, content=True)
        yield Input(session.directory)
        yield from (Input(store.path) for store in stores(inventory, session))


def _stored(session: Session, judges: Judges) -> object:
    return [store.path for store in stores(judges.inventory, session)]


def alike(sessions: Iterable[Session]) -> dict[str, list[Session]]:
    """Return, by the name of a folder in ``projects``, the *sessions* that have it together.

    Only those of different directories are named: Claude Code takes these for one. Sessions of one
    directory have one folder on purpose.
    """
    found: dict[str, dict[str, Session]] = {}
    for session in filter(keeps_turns, sessions):
        directory = os.path.realpath(session.directory)
        if (folder := folder_of(directory)) is not None:
            found.setdefault(folder, {}).setdefault(directory, session)
    return {name: list(by.values()) for name, by in found.items() if len(by) > 1}


def warn_of_alike(
    session: Session, every: Mapping[str, Sequence[Session]], warn: Callable[[Warned], None]
) -> None:
    """Warn of a folder that *session* has together with another directory's, by :func:`alike`."""
    directory = os.path.realpath(session.directory)
    others = [
        other
        for other in every.get(folder_of(directory) or "", ())
        if os.path.realpath(other.directory) != directory
    ]
    if not others:
        return
    from invariants.warning import Warned  # no check needs it where all is right

    names = " and ".join(f"{other.name} in {other.directory}" for other in others)
    found = (
        f"Claude Code takes {session.directory} for the directory of {names}: both have the folder "
        f"{folder_of(directory)} in projects, so one memory, and a purge of one deletes both"
    )
    note = "give one of them a name that differs in a letter or digit; no other character counts"
    paths = [session.directory, *(other.directory for other in others)]
    fix = look("ls", "-d", *paths, note=note)
    warn(Warned(INVARIANT, found, fix, account=session.account, session=session.name))


def judge_folders(
    session: Session, inventory: Inventory, broken: Collection[str] = ()
) -> Finding | None:
    """Return what of *session*'s conversation is there and cannot be written, or None.

    What may be done is asked of the kernel, for the running user; nothing is tried out, and nothing
    need exist. *broken* are links whose target is at fault, which that target's own check tells.
    """
    faults: list[_Fault] = []
    for store in stores(inventory, session):
        found = None if store.link in broken else _fault_of(store)
        if found is None:
            continue
        inside = any(found.path.startswith(f"{fault.path}/") for fault in faults)
        if not (inside and found.state == "unreadable"):  # else it is the folder's own fault
            faults.append(found)
    if not faults:
        return None
    user = user_name(os.geteuid())
    return Finding(
        invariant=INVARIANT,
        account=session.account,
        session=session.name,
        state=faults[0].state,
        expected=f"what Claude Code keeps of the session can be entered and written by {user}",
        found="; ".join(f"{fault.path}: {fault.words}" for fault in faults),
        fix=_fix(faults),
    )


def _fault_of(store: Store) -> _Fault | None:
    path = store.path
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if store.is_file or not os.path.islink(path):
            return None
        words = f"a symlink to {os.readlink(path)}, which does not exist"
        return _Fault(path, "not-a-directory", words, set_aside(path, "aside"))
    except OSError as error:
        show = look("namei", "-l", path, note="what on the way cannot be read")
        return _Fault(path, "unreadable", f"unreadable: {error.strerror}", show)
    if store.is_file and not stat.S_ISREG(status.st_mode):
        return _Fault(path, "not-a-file", "no regular file", set_aside(path, "aside"))
    if not store.is_file and not stat.S_ISDIR(status.st_mode):
        return _Fault(path, "not-a-directory", "not a directory", set_aside(path, "aside"))
    need = os.R_OK | os.W_OK | (0 if store.is_file else os.X_OK)
    if os.access(path, need, effective_ids=True):
        return None
    return _not_granted(path, status, need)


def _not_granted(path: str, status: os.stat_result, need: int) -> _Fault:
    """Return what keeps the user from a file that is there: the mount, its owner, its mode."""
    try:
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        read_only = 0
    if read_only:
        show = look("findmnt", "-T", path, note="what must be mounted writable")
        return _Fault(path, "read-only", "on a read-only file system", show)
    mode, own = stat.S_IMODE(status.st_mode), os.geteuid()
    words = f"owner {user_name(status.st_uid)}, mode {mode:04o}"
    if is_immutable(path):
        words = f"{words}, immutable (chattr +i)"
        return _Fault(path, "no-access", words, as_root("chattr", "-i"), takes_paths=True)
    if own == status.st_uid and mode >> 6 & need != need:
        return _Fault(path, "no-access", words, "chmod u+rwX", takes_paths=True)
    if own not in (0, status.st_uid):
        command = as_root("chown", "-R", str(own))
        return _Fault(path, "no-access", words, command, takes_paths=True)
    show = look("lsattr", "-d", path, note="an attribute, or a capability that is missing")
    return _Fault(path, "no-access", words, show)


def _fix(faults: Collection[_Fault]) -> str:
    """Return what mends the first of *faults*, and all others that the same command mends."""
    first = next(iter(faults))
    if not first.takes_paths:
        moved = first.state in ("not-a-directory", "not-a-file")
        return noted(first.command, "first end the session") if moved else first.command
    paths = [fault.path for fault in faults if fault.command == first.command]
    return f"{first.command} {quoted(*paths)}"
