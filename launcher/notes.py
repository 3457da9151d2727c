"""Who has a conversation open: what Claude Code notes of itself, and what it was started with.

Since 2.1 each process notes itself in its home's ``sessions/PID.json`` once it is at its prompt
(not while it asks for trust or a login), with its start time and the conversation that it has:
after ``/clear`` and ``/resume`` another one (docs/claude-code.md). The file outlives a SIGKILL,
so that it counts only for a process with that very start time.
"""

import json
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from invariants.background import Worker, fork_of, workers
from invariants.command_line import named_in
from invariants.documents import Unreadable
from invariants.opening import open_at_once
from launcher.bounded import bounded
from launcher.errors import Unavailable
from launcher.interrupts import Waiting
from launcher.processes import Process, command_line, identify, is_copy

_MAX_BYTES = 65536


class Note(NamedTuple):
    """What a process noted: the conversation, or None where that is not one; itself; where.

    ``directory`` is its working directory, or None where the note names none. ``fork`` is the
    conversation that it handed over to a background session; ``job`` names the one that it is.
    """

    process: Process
    conversation: str | None
    path: str
    directory: str | None = None
    fork: str | None = None
    job: str | None = None


def note_of(home: str, process: Process) -> Note | None:
    """Return what *process*, alive or dead, noted in *home*; None for nothing or a stranger's."""
    note = _read(home, process.pid)
    return note if note is not None and note.process == process else None


def live_notes(home: str) -> list[Note]:
    """Return the notes in *home* of processes that are alive. Raises Unavailable.

    A note without a start time counts for whatever has the pid.
    """
    try:
        names = os.listdir(os.path.join(home, "sessions"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unavailable(f"{home}/sessions: {error.strerror}") from error
    live = []
    for name in names:
        pid = name.removesuffix(".json")
        if name == pid or not (pid.isascii() and pid.isdecimal()):
            continue
        process, note = identify(int(pid)), _read(home, int(pid))
        if process is None or note is None or not process.is_alive():
            continue
        if note.process.start in (process.start, _UNKNOWN):
            live.append(note._replace(process=process))
    return live


def writers(conversation: str, homes: Iterable[str], own: int | None = None) -> list[Process]:
    """Return the processes that have *conversation* open. Raises Unavailable.

    They say so in a note of one of *homes*, its daemon's roster does, or their command line does
    and no note of theirs says otherwise. A 2.0 that was started by hand is not seen: it overwrites
    its command line. *own* is the process that asks, where this one looks on its behalf.
    """
    homes = list(homes)
    noted = {note.process: note.conversation for home in homes for note in live_notes(home)}
    found = [process for process, named in noted.items() if named in (conversation, None)]
    for worker in _workers(homes):
        process = identify(worker.pid)
        if process is None or process in noted or str(process.start) != worker.start:
            continue
        if process.is_alive():
            noted[process] = worker.conversation
            found += [process] if worker.conversation == conversation else []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == (own or os.getpid()):
            continue
        process = identify(int(name))
        if process is None or process in noted or not process.is_alive():
            continue
        words = command_line(process)
        if named_in(words) == conversation and not _only_asks(words) and not is_copy(process):
            found.append(process)
    return found


def _workers(homes: Iterable[str]) -> list[Worker]:
    try:
        return [worker for home in homes for worker in workers(home)]
    except Unreadable as error:
        raise Unavailable(str(error)) from error


def writers_within(
    conversation: str, homes: Iterable[str], seconds: float, waiting: Waiting
) -> list[Process]:
    """Return what :func:`writers` does. Raises NotJudged where that takes more than *seconds*."""
    own = os.getpid()
    return bounded(lambda: writers(conversation, homes, own), seconds, waiting)


_UNKNOWN = -1


def _only_asks(words: Sequence[str]) -> bool:
    """Tell whether *words* call ``launcher run``, itself or through ``timeout``, say.

    It opens nothing before it has become its command.
    """
    names = [os.path.basename(word) for word in words]
    return "launcher" in names and "run" in names[names.index("launcher") :]


def _read(home: str, pid: int) -> Note | None:
    path = os.path.join(home, "sessions", f"{pid}.json")
    try:
        with open_at_once(path) as file:
            told = json.loads(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    except ValueError:
        told = None  # it is being written, or torn: the process is there all the same
    if not isinstance(told, dict):
        told = {}
    start = str(told.get("procStart"))
    known = start.isascii() and start.isdecimal()
    process = Process(pid, int(start) if known else _UNKNOWN)
    directory, job = told.get("cwd"), told.get("jobId")
    where = directory if isinstance(directory, str) else None
    fork = as_id(fork_of(home, told))
    job = job if isinstance(job, str) else None
    conversation = as_id(told.get("sessionId"))
    if told.get("status") is None:
        conversation = _before_a_status(process, conversation)
    return Note(process, conversation, path, where, fork, job)


def _before_a_status(process: Process, noted: str | None) -> str | None:
    """Return the conversation of *process*, whose note has no status: what its words name, if any.

    For up to a second 2.1.150 notes a new conversation in place of the one that it resumes; with
    ``-p`` only 2.1.332 ever notes a status (measured). A process that ended before it noted one
    has gone over to nothing.
    """
    if process.start == _UNKNOWN:
        return noted
    if not process.is_alive():
        return None
    return named_in(command_line(process)) or noted


def as_id(value: object) -> str | None:
    """Return *value* if it is the id of a conversation (a UUID), else None."""
    from uuid import UUID

    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
