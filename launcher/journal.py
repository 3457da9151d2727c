"""The journal as a place for output: a priority for each line, and a failure on one line.

systemd tells a service by ``$JOURNAL_STREAM`` that its output goes to the journal
(systemd.exec(5)). A line there is an entry, and ``<3>`` at its start its priority (sd-daemon(3)).
"""

import os
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from invariants.finding import shown


class Priority(IntEnum):
    """How much an entry matters, as syslog(3) counts."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


class Entry(NamedTuple):
    """One entry of the journal."""

    priority: Priority
    text: str


def is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Tell whether what is written to *descriptor* becomes entries of the journal.

    The variable alone does not: it is inherited by a child whose output goes elsewhere.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def lines(entries: Iterable[Entry]) -> str:
    r"""Return *entries* as the journal's stream takes them.

    >>> lines([Entry(Priority.ERROR, "two\nlines")])
    "<3>'two\\nlines'\n"
    """
    return "".join(f"<{entry.priority:d}>{shown(entry.text)}\n" for entry in entries)
