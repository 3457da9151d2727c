"""How long a report counts that a watch keeps true: as long as the watch can be seen at work.

The watch renews the modification time of the report's file. That needs no room on the disk, leaves
the report as it was published, and whoever can read the report can read the time.
"""

from __future__ import annotations

import os
import time

from launcher.frozen import is_frozen
from launcher.processes import Process

RENEWAL = 5.0
"""How often the watch renews the time, in seconds."""
LIMIT = 15.0
"""For how many seconds that counts."""

_WATCH = "the launcher watch that kept it true"


def unkept(keeper: Process, kept_at: float) -> str | None:
    """Say why *keeper* does not keep a report true, or return None where it does.

    *kept_at* is the modification time of the report's file, in seconds since the epoch.
    """
    if not keeper.is_alive():
        return f"{_WATCH} has ended"
    if keeper.is_killed():
        return f"{_WATCH} was killed, and something keeps it from ending: a file system may hang"
    if keeper.is_stopped():
        return f"{_WATCH} is stopped: kill -CONT {keeper.pid}"
    if is_frozen(keeper.pid):
        return f"{_WATCH} is frozen with its control group (pid {keeper.pid})"
    age = time.time() - kept_at
    if age > LIMIT:
        return f"{_WATCH} last said so {age:.0f} s ago, and every {RENEWAL:g} s if it is well"
    if age < -1:
        return f"{_WATCH} said so in the future: the clock was set back"
    return None


def renew(path: str) -> None:
    """Say that the report at *path* is true now. Raises OSError."""
    now = time.time_ns()  # ours: that of a file server may be another
    os.utime(path, ns=(now, now))
