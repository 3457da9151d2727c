"""Which conversation a command line of Claude Code opens, as the client itself reads it.

The client's options are commander's (npm): ``--resume ID``, ``--resume=ID``, ``-r ID``, ``-rID``,
short ones joined as in ``-pr ID``, and nothing behind ``--``. Each form was tried with 2.1.332
(tests/claude/test_run.py).
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESUMING = ("--resume", "--from-pr")
_FLAGS = "chpv"  # the short options without a value
_SHORT = re.compile(rf"-([{_FLAGS}]*)(r?)(.*)", re.DOTALL)

_CLIENTS = frozenset({"claude", "claude.exe", "claude-code"})
_PLACES = ("@anthropic-ai/claude-code/", "/claude/versions/")
_IN_FRONT = frozenset(
    {"bun", "bunx", "chrt", "doas", "env", "ionice", "nice", "node", "nohup", "npx", "setpriv"}
    | {"setsid", "stdbuf", "strace", "sudo", "systemd-run", "taskset", "time", "timeout", "unshare"}
)
"""Programs that run the one that their arguments name."""


class Opened(NamedTuple):
    """What a command line opens: the id that it names, or a conversation that it does not name.

    ``unnamed`` is the word that leaves the choice to the client or to a person: ``--continue``, or
    ``--resume`` without an id. Both are None for a new conversation or a branch of another one.
    """

    conversation: str | None = None
    unnamed: str | None = None


def opened_by(words: Sequence[str]) -> Opened:
    """Return what a command line of Claude Code opens, its program's name included or not.

    >>> opened_by(["claude", "--resume", "1B4E28BA-2FA1-11D2-883F-0016D3CCA427"]).conversation
    '1b4e28ba-2fa1-11d2-883f-0016d3cca427'
    >>> opened_by(["claude", "-pc", "go on"])
    Opened(conversation=None, unnamed='-pc')
    """
    forks = "--fork-session" in _until_end(words)
    unnamed = None
    for word, option, value in _choices(words):
        if option == "--session-id" or not forks:
            if (conversation := _named(value)) is not None:
                return Opened(conversation)
            if option != "--session-id":
                unnamed = unnamed or word
    return Opened(unnamed=unnamed)


def named_in(words: Sequence[str]) -> str | None:
    """Return the conversation that a command line begins or resumes, unless it only starts from it.

    >>> named_in(["claude", "-r", "/p/1b4e28ba-2fa1-11d2-883f-0016d3cca427.jsonl"])
    '1b4e28ba-2fa1-11d2-883f-0016d3cca427'
    """
    return opened_by(words).conversation


def of_a_client(command: Sequence[str]) -> Sequence[str] | None:
    """Return the words of *command* from Claude Code's name on, or None if it runs something else.

    Programs that run another one, such as ``env`` or ``nice``, are looked through; a line for a
    shell is not, nor is a launcher, which asks for its own command.

    >>> of_a_client(["nice", "claude", "-c"])
    ['claude', '-c']
    >>> of_a_client(["cp", "-r", "claude", "there"]) is None
    True
    """
    for index, word in enumerate(command):
        if is_client(word):
            return command[index:]
        if os.path.basename(command[0]) not in _IN_FRONT or os.path.basename(word) == "launcher":
            return None
    return None


def is_client(path: str) -> bool:
    """Tell whether *path* is Claude Code's program, by its name or by where npm and it put that.

    >>> is_client("/home/me/.local/share/claude/versions/2.1.332")
    True
    """
    return os.path.basename(path) in _CLIENTS or is_installed_client(path)


def is_installed_client(path: str) -> bool:
    """Tell whether *path* is where npm or Claude Code's own installer puts its program.

    >>> is_installed_client("/opt/bin/claude")
    False
    """
    return any(place in path for place in _PLACES)


def _until_end(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _choices(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each word that chooses a conversation, its option in full, and the option's value."""
    words = _until_end(words)
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        option, equals, value = word.partition("=")
        if option in _RESUMING or option == "--session-id":
            yield word, option, value if equals else following
        elif word == "--continue":
            yield word, word, ""
        elif word[:1] == "-" != word[1:2] and (short := _SHORT.fullmatch(word)):
            flags, resume, attached = short.groups()
            if "c" in flags:
                yield word, "--continue", ""
            if resume:
                yield word, "--resume", attached or following


def _named(value: str) -> str | None:
    """Return the id that an option's value is, or that the path of a transcript ends with."""
    if "/" in value or value.endswith(".jsonl"):
        value = os.path.basename(value).removesuffix(".jsonl")
    return value.lower() if _ID.fullmatch(value) else None
