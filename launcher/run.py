"""``run``: the gate in front of a command that somebody starts by hand, then the command itself."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from invariants.command_line import Opened, is_client, of_a_client, opened_by
from invariants.inventory import Account, Inventory, inventory_option
from invariants.memory_rules import options
from invariants.programs import find_program
from launcher.errors import NotJudged, Refused, Unavailable, WrongUsage
from launcher.interrupts import Interrupts
from launcher.sessions.environment import SECRETS, outside
from launcher.sessions.groups import VARIABLE

if TYPE_CHECKING:
    from launcher.holding import Holder


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


def with_memory(
    program: str, command: Sequence[str], inventory: Inventory, account: Account
) -> list[str]:
    """Return *command* with the rules for its memory, if its own program is Claude Code.

    A program that runs another one keeps its words as they are. What *command* opens is the same.
    """
    is_claude = is_client(command[0]) or is_client(os.path.realpath(program))
    given = options(inventory, command, program, account.name) if is_claude else ()
    return [command[0], *given, *command[1:]]


@contextmanager
def as_the_only_writer(
    program: str,
    command: Sequence[str],
    inventory: Inventory,
    account: Account,
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> Iterator[None]:
    """Hold what keeps others from the conversation that *command* opens, until it has become that.

    A command that is not Claude Code, or begins a new conversation or a branch, is asked nothing.
    Raises Refused where another process has the conversation, or where that is not known, and
    Unavailable where it runs out of sight; Locked.
    """
    words = command if is_client(os.path.realpath(program)) else of_a_client(command)
    opened = Opened() if words is None else opened_by(words)
    if opened == Opened():
        yield
        return
    from launcher.conversations import projects_under
    from launcher.holding import who_has
    from launcher.lock import conversations_locked
    from launcher.sessions.survey import Survey

    with conversations_locked(projects_under(inventory, account.name), interrupts):
        try:
            survey = Survey(inventory, environ)
            holders = who_has(opened.conversation, os.curdir, inventory, survey, interrupts)
        except (NotJudged, Unavailable) as error:
            asked = opened.conversation or "a conversation of this directory"
            raise Refused(
                f"refused: whether {asked} is open is not known, and two would write one "
                f"transcript; nothing was run: {error}"
            ) from error
        if any(holder.hidden is not None for holder in holders):
            raise Unavailable(_in_the_way(opened, holders, inventory, environ))
        if holders:
            raise Refused(_in_the_way(opened, holders, inventory, environ))
        yield


def _in_the_way(
    opened: Opened,
    holders: Sequence[Holder],
    inventory: Inventory,
    environ: Mapping[str, str],
) -> str:
    """Say who has what the command would open, and what may be done about it."""
    if opened.conversation is not None:
        expected = f"no other process at the conversation {opened.conversation}"
    else:
        expected = (
            f"no Claude Code at work in this directory, since {opened.unnamed} may choose its"
        )
    lines = ["refused: two processes would write one transcript; nothing was run"]
    lines += [f"  expected  {expected}"]
    lines += [f"  found     {holder}" for holder in holders]
    option = inventory_option(inventory.path, environ)
    for holder in holders:
        if holder.hidden is not None:
            continue  # it says itself what to do, which is not here
        if holder.session is None and holder.process is not None:
            lines.append(f"  fix       kill {holder.process.pid}  # ends it")
            continue
        lines.append(f"  fix       launcher down {holder.session}{option}  # ends it")
        if holder.where is not None:
            lines.append(f"  look      {holder.where}")
        lines += [
            f"  or        launcher switch {holder.session} {other.name}{option}  # moves it"
            for other in inventory.accounts
            if other.name != holder.account
        ][:1]
    branch = "add --fork-session to the command: it begins a branch with an id of its own"
    return "\n".join([*lines, f"  or        {branch}"])


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
