"""Command lines for the fix of a finding: they can be pasted, and they destroy nothing.

What a person must know before pasting one stands behind it as a shell comment.
"""

from __future__ import annotations

import os

from invariants.finding import quoted


def noted(command: str, note: str) -> str:
    """Return *command* with *note* behind it, for whoever is about to paste it.

    >>> noted("launcher ensure", "end every session first")
    'launcher ensure  # end every session first'
    """
    return f"{command}  # {note}"


def look(*words: str, note: str) -> str:
    """Return a command line that mends nothing, and says so: it shows what a person must see.

    >>> look("ls", "-ld", "/a b", note="where it leads")
    "ls -ld '/a b'  # look: where it leads"
    """
    return noted(quoted(*words), f"look: {note}")


def set_aside(path: str, suffix: str) -> str:
    """Return a command line that moves what is no directory into a new directory beside it.

    mkdir(1) fails aloud where something has got that name before the line is pasted, even a
    dangling symlink; ``mv -n`` to such a name would do nothing and, before coreutils 9.2, say 0.
    """
    aside = free_name(path, suffix)
    return f"{quoted('mkdir', aside)} && {quoted('mv', '-n', path, f'{aside}/')}"


def free_name(path: str, suffix: str) -> str:
    """Return ``PATH.SUFFIX``, or the first of ``PATH.SUFFIX-2``, … that nothing has."""
    name, number = f"{path}.{suffix}", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.{suffix}-{number}"
    return name
