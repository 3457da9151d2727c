"""What a session needs of the machine: the same answer for the check and for the start."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from invariants.inputs import Input
from invariants.model import Inventory, Session

BACKEND_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "tmux": ("tmux",),
    "process": ("/bin/sh",),
    "systemd": ("systemctl", "systemd-run", "tmux"),
}
"""What each backend has to find; ``auto`` takes tmux where it is there."""

_SECONDS = 5.0


def find_program(name: str, directory: str, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of the program *name*, or None where it cannot be executed.

    As execvp(3): a name with a slash is a path, from *directory*; another is looked up in
    ``PATH``. Entries of ``PATH`` that are relative are passed over, since they would mean
    something else in each session.
    """
    for candidate in candidates(name, directory, environ):
        if _is_program(candidate):
            return candidate
    return None


def candidates(name: str, directory: str, environ: Mapping[str, str]) -> list[str]:
    """Return the paths at which the program *name* is looked for, in their order."""
    if "/" in name:
        return [os.path.join(directory, name)]
    path = environ.get("PATH", os.defpath)
    return [os.path.join(entry, name) for entry in path.split(":") if entry[:1] == "/"]


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK, effective_ids=True)


def looked_at(name: str, directory: str, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield where :func:`find_program` looks: no further than the first that is there."""
    for candidate in candidates(name, directory, environ):
        yield Input(candidate)
        if _is_program(candidate):
            return


def of_backend(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield where the programs of the sessions' backend are looked for, and systemd's socket."""
    if not inventory.sessions:
        return
    if inventory.settings.backend == "auto":
        yield from looked_at("tmux", "/", environ)
    backend = chosen_backend(inventory.settings.backend, environ)
    for program in BACKEND_PROGRAMS[backend]:
        yield from looked_at(program, "/", environ)
    if "tmux" in BACKEND_PROGRAMS[backend]:
        yield Input(socket_directory(os.geteuid()))
    if backend == "systemd":
        yield Input(manager_socket(manager_directory(os.geteuid())))


def session_program(session: Session, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of the program that *session* runs, or None."""
    return find_program(session.command[0], session.directory, environ)


def runs_claude(session: Session) -> bool:
    """Tell whether *session* runs Claude Code: its program is called ``claude``, wherever it is.

    >>> runs_claude(Session("api", "primary", "/src/api", ("/opt/bin/claude", "--verbose")))
    True
    """
    return os.path.basename(session.command[0]) == "claude"


def asks_questions(session: Session) -> bool:
    """Tell whether *session* is a Claude Code in a terminal: with ``-p`` it asks nothing."""
    return runs_claude(session) and not {"-p", "--print"} & set(session.command)


def chosen_backend(setting: str, environ: Mapping[str, str]) -> str:
    """Return the backend that the inventory's *setting* means on this machine."""
    if setting != "auto":
        return setting
    return "tmux" if find_program("tmux", "/", environ) else "process"


def socket_directory(uid: int) -> str:
    """Return where tmux has the sockets of a user's servers, without ``TMUX_TMPDIR`` (tmux(1))."""
    return f"/tmp/tmux-{uid}"


def manager_directory(uid: int) -> str:
    """Return where systemd's manager for *uid* has its socket: the system's, or the user's own."""
    return "/run" if uid == 0 else f"/run/user/{uid}"


def manager_socket(directory: str) -> str:
    """Return the path of the socket that a manager listens at, given its directory."""
    return f"{directory}/systemd/private"


def manager_answers(directory: str) -> bool:
    """Tell whether a manager listens at its own socket, ``systemd/private`` in *directory*."""
    path = manager_socket(directory)
    if not os.path.exists(path):
        return False
    import socket  # as long to import as all of this module

    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def has_conversation(session: Session) -> bool:
    """Tell whether *session* has a conversation that the launcher begins and resumes."""
    if session.conversation == "auto":
        return runs_claude(session)
    return session.conversation != "off"


def keeps_turns(session: Session) -> bool:
    """Tell whether *session* is a Claude Code, which stores what is said in it.

    >>> keeps_turns(Session("api", "a", "/", ("./wrapper",), conversation="off"))
    False
    """
    return runs_claude(session) or has_conversation(session)


_HOME = re.compile(r"""(^|[\s;&|("'])(CLAUDE_CONFIG_DIR=|unset\s.*\bCLAUDE_CONFIG_DIR\b)""")
_UNSET = re.compile(r"(-u|--unset=)?CLAUDE_CONFIG_DIR")
_EMPTY = ("-", "-i", "--ignore-environment")


def other_homes(session: Session) -> Iterator[tuple[int, str]]:
    """Yield the words of a command that give its program another home, with their index.

    They are looked for in front of a `claude`, with env(1) and in what a shell is to run. What a
    script does by itself is not seen.

    >>> list(other_homes(Session("api", "a", "/", ("env", "CLAUDE_CONFIG_DIR=/x", "claude"))))
    [(1, 'CLAUDE_CONFIG_DIR=/x')]
    """
    names = [os.path.basename(word) for word in session.command]
    before = names.index("claude") if "claude" in names else len(names)
    for index, word in enumerate(session.command[:before]):
        is_emptied = word in _EMPTY and before < len(names)
        is_taken_away = names[0] == "env" and (is_emptied or _UNSET.fullmatch(word))
        if _HOME.search(word) or is_taken_away:
            yield index, word


_CHOICE = re.compile(
    r"-[a-z]*[cr]|--(continue|resume|session-id|fork-session|from-pr|teleport)(=.*)?"
)


def own_choices(session: Session) -> Iterator[tuple[int, str]]:
    """Yield the words of a command that choose a conversation themselves, with their index.

    >>> list(own_choices(Session("api", "a", "/", ("claude", "--verbose", "-c", "--", "-r"))))
    [(2, '-c')]
    """
    for index, word in enumerate(session.command):
        if word == "--":
            return
        if index and _CHOICE.fullmatch(word):
            yield index, word
