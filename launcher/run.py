"""``run``: the gate in front of a command that somebody starts by hand, then the command itself."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from invariants.inventory import Account
from invariants.programs import find_program
from launcher.errors import Unavailable, WrongUsage
from launcher.interrupts import Interrupts
from launcher.sessions.environment import SECRETS, outside
from launcher.sessions.groups import VARIABLE


def program_of(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the path of the program that *command* starts here. Raises WrongUsage for none."""
    if not command:
        raise WrongUsage("there is no command: launcher run ACCOUNT -- COMMAND …")
    try:
        directory = os.getcwd() if "/" in command[0] else "/"
    except FileNotFoundError:
        raise WrongUsage("the working directory is gone") from None
    program = find_program(command[0], directory, environ)
    if program is None:
        raise WrongUsage(f"there is no such program: {command[0]}")
    return program


def environment(account: Account, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a command for *account* gets: *environ*, its home, and nobody's credentials.

    What a Claude Code in whose Bash tool or hook this runs set for its children stays out.

    >>> environment(Account("a", "/home/a"), {"ANTHROPIC_API_KEY": "sk-…", "TERM": "xterm"})
    {'TERM': 'xterm', 'CLAUDE_CONFIG_DIR': '/home/a'}
    """
    left_out = (*SECRETS, VARIABLE)
    kept = {name: value for name, value in outside(environ).items() if name not in left_out}
    return {**kept, "CLAUDE_CONFIG_DIR": account.home}


def become(
    program: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    interrupts: Interrupts,
) -> NoReturn:
    """Turn this process into *command*. Raises Unavailable where the kernel refuses.

    Its signals are as a shell would give them: Python ignores two, and *interrupts* notes a few;
    Interrupted is raised for one that was noted. The lock is let go: its descriptor does not
    survive. A script that names no interpreter is one for the shell (execvp(3)).
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    environment = dict(environment)
    interrupts.let_go()
    try:
        try:
            os.execve(program, list(command), environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execve("/bin/sh", ["sh", program, *command[1:]], environment)
    except OSError as error:
        raise Unavailable(f"{program} cannot be run: {error.strerror}") from error
