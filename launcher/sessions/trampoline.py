"""How a session's process comes to run: a shell that marks it, goes to its directory, and execs.

tmux starts in another directory, in silence, where the one it was given is gone (field notes,
section 5); this ends with an error instead. And an argv of one word reaches tmux as an argv,
not as a line for a shell.
"""

from __future__ import annotations

from launcher.sessions import Start
from launcher.sessions.groups import VARIABLE

SHELL = "/bin/sh"
_ENTER = f'cd -- "$2" || exit 72; export {VARIABLE}="$$:$1"; shift 2; exec "$@"'
_WHEN_RECORDED = f"read -r _ || exit 71; exec </dev/null; {_ENTER}"


def trampoline(start: Start, *, when_recorded: bool = False) -> list[str]:
    """Return the argv that enters the session's directory and execs its program, marked.

    The mark is given here, where the pid is known, and to the program alone: a window that an
    operator opens beside it in tmux is no part of the session.
    With *when_recorded* it waits first for a line on its standard input, and ends without
    having run anything if there is none: whoever starts it writes down its pid before.
    """
    script = _WHEN_RECORDED if when_recorded else _ENTER
    mark = f"{start.session.name}:{start.account.name}:{start.inventory}"
    return [SHELL, "-c", script, "claude-failover", mark, start.session.directory, *start.argv]
