"""Claude Code's background sessions: the workers of a home's daemon, by its roster.

Since 2.1 a conversation can go on without a terminal: ``claude --bg``, ``/background``, or ``←`` at
an empty prompt. The home's daemon runs a worker for it, and runs another one 12 s after that was
killed; ``claude stop JOB`` ends it for good. A worker that took over a process held in reserve has
no conversation in its command line: the roster, ``daemon/roster.json``, has it (measured, 2.1.332;
docs/claude-code.md).
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from invariants.documents import Unreadable, read_object
from invariants.finding import quoted

ROSTER = os.path.join("daemon", "roster.json")
"""Where a home's daemon keeps its workers, from the home on."""


class Worker(NamedTuple):
    """A background session: its job's name, its conversation, and the process that writes that.

    ``start`` is in clock ticks, as proc(5) has it. For some seconds the roster of a new one names
    only its terminal's process (``is_terminal``), and a child of that writes. The process may have
    ended since the roster was written; while the daemon, ``supervisor``, runs, it then comes back.
    """

    home: str
    job: str
    conversation: str
    pid: int
    start: str
    supervisor: int | None = None
    is_terminal: bool = False

    @property
    def is_spare(self) -> bool:
        """Whether it is held in reserve, with a conversation in which nobody has said anything."""
        return not os.path.exists(os.path.join(self.home, "jobs", self.job, "state.json"))

    @property
    def fix(self) -> str:
        """The command line that ends it for good."""
        return stopping(self.home, self.job)


def stopping(home: str, job: str, program: str = "claude") -> str:
    """Return the command line that ends the background session *job* of *home* for good."""
    return f"CLAUDE_CONFIG_DIR={quoted(home)} {quoted(program, 'stop', job)}"


def workers(home: str) -> Iterator[Worker]:
    """Yield the workers in the roster of *home*, if it has one. Raises Unreadable."""
    roster = read_object(os.path.join(home, ROSTER)) or {}
    entries, daemon = roster.get("workers"), roster.get("supervisorPid")
    supervisor = daemon if isinstance(daemon, int) else None
    for job, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("sessionId"), str):
            continue
        for pid, start in (("replPid", "replProcStart"), ("pid", "procStart")):
            if isinstance(entry.get(pid), int) and entry.get(start) is not None:
                conversation = entry["sessionId"].lower()
                its = entry[pid], str(entry[start])
                yield Worker(home, job, conversation, *its, supervisor, pid == "pid")
                break


def fork_of(home: str, note: Mapping[str, Any]) -> str | None:
    """Return the conversation that a process handed over by ``←``, or None.

    *note* is what the process noted of itself: it lives on, and its note keeps the old id beside
    the job's name. The job's conversation is a fork of the old one, and has a transcript once
    something was said in it.
    """
    job = note.get("parkedJobId")
    if not isinstance(job, str) or not job.isalnum():
        return None
    try:
        state = read_object(os.path.join(home, "jobs", job, "state.json")) or {}
    except Unreadable:
        return None
    conversation = state.get("sessionId")
    return conversation if isinstance(conversation, str) else None
