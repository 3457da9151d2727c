"""How a session's process comes to run: a shell that marks it, goes to its directory, and execs.

tmux starts in another directory, in silence, where the one it was given is gone (field notes,
section 5); this ends with an error instead. And an argv of one word reaches tmux as an argv,
not as a line for a shell.
"""

from __future__ import annotations

import os
import sys

from launcher.processes import Process, command_line
from launcher.sessions import Start
from launcher.sessions.groups import VARIABLE

SHELL = "/bin/sh"
_NAME = "claude-failover"
_HOLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py")
_LOCK = 'exec 9<>"$1"; "$2" -I -S "$3" 9 || exit; shift 3; '
_ENTER = f'cd -- "$2" || exit 72; export {VARIABLE}="$$:$1"; shift 2; exec "$@"'
_WHEN_RECORDED = "read -r _ || exit 71; exec </dev/null; "


def trampoline(start: Start, *, when_recorded: bool = False) -> list[str]:
    """Return the argv that enters the session's directory and execs its program, marked.

    The mark is given here, where the pid is known, and to the program alone: a window that an
    operator opens beside it in tmux is no part of the session. So is the lock of the session, if it
    has one: the program keeps it as descriptor 9, and the kernel drops it with the last process
    that has it.
    With *when_recorded* it waits first for a line on its standard input, and ends without
    having run anything if there is none: whoever starts it writes down its pid before.
    """
    script = _ENTER
    words = [f"{start.session.name}:{start.account.name}:{start.inventory}"]
    words += [start.session.directory, *start.argv]
    if start.lock is not None:
        script = _LOCK + script
        words = [start.lock, sys.executable, _HOLD, *words]
    if when_recorded:
        script = _WHEN_RECORDED + script
    return [SHELL, "-c", script, _NAME, *words]


def is_on_its_way(process: Process) -> bool:
    """Tell whether *process* is a trampoline still, and not yet the program of its session."""
    words = command_line(process)
    return words[:2] == [SHELL, "-c"] and words[3:4] == [_NAME]
