"""Takes the lock of a session, for the shell that is about to become the session's program.

The shell runs this file with the lock file open at a descriptor, whose number is the argument. A
lock (flock(2)) belongs to the open file and not to a process: it stays with the shell, and then
with the program, after this has ended. It imports little, since every start waits for it.
"""

import fcntl
import sys
import time

SECONDS = 5.0
"""How long to wait: whoever only looks whether the lock is held, shares it for a moment."""

_PAUSE = 0.01


def main() -> int:
    """Return 0 once the lock is taken, 75 if somebody else holds it."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return 0
        except BlockingIOError:
            if time.monotonic() > until:
                print("claude-failover: another process holds this session", file=sys.stderr)
                return 75
            time.sleep(_PAUSE)


if __name__ == "__main__":
    raise SystemExit(main())
