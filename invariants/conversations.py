"""Which conversations are live in which processes, as /proc and the homes tell it.

A running Claude Code notes its conversation in its home's ``sessions/PID.json``; without that it
is the one of its command line. 2.0.76 has neither: there a writer cannot be seen (measured).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from invariants.background import workers
from invariants.command_line import named_in
from invariants.documents import Unreadable, read_object
from invariants.model import Account

_PROGRAMS = ("claude", "claude.exe")  # the second is what its daemon starts
_FORKED = 0x40  # PF_FORKNOEXEC of the flags in proc(5), as linux/sched.h has it
_MAX_BYTES = 256 * 1024


class Process(NamedTuple):
    """A process that runs: its pid, its parent's, its name, and its start in clock ticks.

    ``forked`` tells that it has executed nothing yet: its command line is its parent's. ``image``
    is where its command line is in memory, another place for each program that it executes; for
    another user's process it is 0.
    """

    pid: int
    parent: int
    name: str
    start: str
    forked: bool
    image: str = "0"


class Writer(NamedTuple):
    """A process at a conversation; ``home`` is None where it cannot be told.

    ``job`` names the background session that it is, if it is one.
    """

    conversation: str
    process: Process
    home: str | None
    noted: bool
    job: str | None = None


def running(proc: str = "/proc") -> dict[int, Process]:
    """Return the processes that run, by pid; zombies are none."""
    found = {}
    for name in os.listdir(proc):
        if name.isdigit() and (process := _process(proc, name)) is not None:
            found[process.pid] = process
    return found


def clients(proc: str = "/proc") -> frozenset[Process]:
    """Return the processes that run Claude Code, by their names, and have begun to.

    Costs two microseconds for each other process: only its name is read.
    """
    found = set()
    for name in os.listdir(proc):
        if name.isdigit() and _comm(proc, name) in _PROGRAMS:
            process = _process(proc, name)
            if process is not None and not process.forked:
                found.add(process)
    return frozenset(found)


def _comm(proc: str, name: str) -> str:
    try:
        descriptor = os.open(f"{proc}/{name}/comm", os.O_RDONLY)
        try:
            return os.fsdecode(os.read(descriptor, 64)).removesuffix("\n")
        finally:
            os.close(descriptor)
    except OSError:
        return ""


def any_client() -> bool:
    """Tell whether any Claude Code runs on this machine, by the names of processes."""
    return any(process.name in _PROGRAMS for process in running().values())


def _process(proc: str, name: str) -> Process | None:
    try:
        with open(f"{proc}/{name}/stat", "rb", buffering=0) as file:
            # The second field is the name in parentheses, and may hold any byte (proc(5)).
            head, _, tail = file.read(4096).rpartition(b")")
        fields = tail.split()
        state, parent, flags, threads, start = (fields[at].decode() for at in (0, 1, 6, 17, 19))
        image = fields[45].decode() if len(fields) > 45 else "0"  # not every kernel has it
    except (OSError, IndexError):
        return None
    if state in "ZX" and threads == "1":
        return None
    forked = bool(int(flags) & _FORKED)
    its_name = os.fsdecode(head.partition(b"(")[2])
    return Process(int(name), int(parent), its_name, start, forked, image)


def writers(
    accounts: Iterable[Account], processes: Mapping[int, Process], proc: str = "/proc"
) -> Iterator[Writer]:
    """Yield what of *processes* is at a conversation. Raises Unreadable for a home's records."""
    noted = set()
    for account in accounts:
        for process, conversation, job in _records(account.home, processes, proc):
            noted.add(process.pid)
            yield Writer(conversation, process, account.home, noted=True, job=job)
        for worker in workers(account.home):
            its = processes.get(worker.pid)
            if its is not None and its.start == worker.start and its.pid not in noted:
                noted.add(its.pid)
                noted_itself = not worker.is_terminal
                yield Writer(
                    worker.conversation, its, account.home, noted=noted_itself, job=worker.job
                )
    for process in processes.values():
        if process.name not in _PROGRAMS or process.pid in noted:
            continue
        words = _words(proc, process.pid, "cmdline")
        if process.forked and words == _words(proc, process.parent, "cmdline"):
            continue  # a copy of its parent, and at nothing of its own
        if (named := named_in(words)) is not None:
            environ = _words(proc, process.pid, "environ")
            yield Writer(named, process, _home(environ), noted=False)


def _records(
    home: str, processes: Mapping[int, Process], proc: str
) -> Iterator[tuple[Process, str, str | None]]:
    """Yield the home's records of processes that are the very ones that wrote them."""
    directory = os.path.join(home, "sessions")
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise Unreadable(f"{directory} is unreadable: {error.strerror}") from error
    for name in names:
        pid, dot, suffix = name.partition(".")
        is_record = pid.isdecimal() and dot + suffix == ".json"
        process = processes.get(int(pid)) if is_record else None
        if process is None:
            continue
        try:
            record = read_object(os.path.join(directory, name))
        except Unreadable:  # half written, or none of Claude Code's: its command line tells
            continue
        started = (record or {}).get("procStart", process.start)
        conversation = (record or {}).get("sessionId")
        if str(started) == process.start and isinstance(conversation, str):
            if (record or {}).get("status") is None:
                # 2.1.150 notes a new one before that, in place of the one that it resumes.
                conversation = named_in(_words(proc, process.pid, "cmdline")) or conversation
            job = (record or {}).get("jobId")
            yield process, conversation.lower(), job if isinstance(job, str) else None


def _home(words: list[str]) -> str | None:
    """Return the home that an environment names, or None where it could not be read."""
    variables = dict(word.partition("=")[::2] for word in words)
    if home := variables.get("CLAUDE_CONFIG_DIR"):
        return home
    return os.path.join(variables["HOME"], ".claude") if variables.get("HOME") else None


def _words(proc: str, pid: int, file: str) -> list[str]:
    try:
        with open(f"{proc}/{pid}/{file}", "rb") as content:
            return [os.fsdecode(word) for word in content.read(_MAX_BYTES).split(b"\0")]
    except OSError:
        return []
