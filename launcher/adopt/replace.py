"""A transcript in the place of the shorter one that it continues: the one thing that does go.

The two swap names in one step. Only what came out is looked at, under its temporary name, where
nobody opens it any more; and unless it is surely what was planned, it goes back.
"""

from __future__ import annotations

import os
from contextlib import suppress

from invariants.finding import quoted
from launcher.adopt.lease import is_open_elsewhere
from launcher.adopt.swap import NoExchange
from launcher.adopt.system import NOT_SUPPORTED, exchange
from launcher.adopt.tree import Changed, Node

_SHORTER = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def replace(
    directory: int, temporary: bytes, name: bytes, longer: Node, shorter: Node | None, shown: str
) -> None:
    """Give *longer*, which is at *temporary*, the *name* of *shorter*, and unlink that one.

    Raises Changed where what has the name is not *shorter* or somebody has it open, NoExchange,
    or OSError; then the name is its own again, or whose it became meanwhile. Nothing but *longer*
    and *shorter* is ever unlinked. *shown* is the name's whole path, for messages.
    """
    try:
        exchange(directory, temporary, name)
    except OSError as error:
        discard(directory, temporary, longer)
        if error.errno not in NOT_SUPPORTED:
            raise
        by_hand = quoted("mv", "-nT", shown, f"{shown}.shorter")
        words = f"the target's file system cannot swap two names in one step ({error.strerror}), "
        words += f"and the account's goes on where {shown} ends; nothing is lost. "
        raise NoExchange(f"{words}Move that one away, then run it again: {by_hand}") from error
    try:
        out = os.open(temporary, _SHORTER, dir_fd=directory)
        try:
            if not _is_settled(out, shorter):
                raise Changed(shown)
            os.unlink(temporary, dir_fd=directory)
        finally:
            os.close(out)
    except BaseException:
        _put_back(directory, temporary, name, longer)
        raise


def discard(directory: int, temporary: bytes, ours: Node) -> None:
    """Unlink a temporary name, if it is *ours* that has it."""
    with suppress(OSError):
        status = os.stat(temporary, dir_fd=directory, follow_symlinks=False)
        if Node.of(status).inode == ours.inode:
            os.unlink(temporary, dir_fd=directory)


def _put_back(directory: int, temporary: bytes, name: bytes, longer: Node) -> None:
    exchange(directory, temporary, name)
    status = os.stat(temporary, dir_fd=directory, follow_symlinks=False)
    if Node.of(status).inode == longer.inode:
        discard(directory, temporary, longer)
    else:  # somebody gave the name to another file in that moment: it is that one's
        exchange(directory, temporary, name)


def _is_settled(descriptor: int, seen: Node | None) -> bool:
    """Tell whether a file is what was seen, and, from the lease on, stays so."""
    if seen is None or _print(descriptor) != seen.print or is_open_elsewhere(descriptor):
        return False
    return _print(descriptor) == seen.print


def _print(descriptor: int) -> tuple[int, ...]:
    return Node.of(os.fstat(descriptor)).print
