"""The last step, and the first one back: a directory and a link change places at once."""

from __future__ import annotations

import os
from contextlib import suppress

from invariants.finding import quoted
from invariants.links import LinkState, observe
from invariants.model import Link
from launcher.adopt.names import ADOPTED, dated, new_dated
from launcher.adopt.system import NOT_SUPPORTED, exchange
from launcher.adopt.tree import ROOT, Changed, Node, Tree
from launcher.errors import NotJudged, Refused


class NoExchange(Refused):
    """The file system cannot swap two names in one step; all is as it was."""


def link_in(home: Tree, link: Link, directory: Node) -> str:
    """Put the link in the place of *directory*, which gets the dated name that is returned.

    Raises NoExchange, Changed or OSError, each with the directory where it was.
    """
    name = os.fsencode(link.name)
    descriptor = home.directory(ROOT)
    new = new_dated(home.path, link.name, ADOPTED)
    aside = os.fsencode(new)
    os.symlink(os.fsencode(link.target), aside, dir_fd=descriptor)
    try:
        _swap(home, aside=aside, name=name, link=link, directory=directory, found=aside)
    except NoExchange as error:
        by_hand = quoted("mv", "-nT", home.shown(name), home.shown(aside))
        by_hand += " && " + quoted("ln", "-sT", link.target, home.shown(name))
        words = f"{error}; while nobody works there, by hand: {by_hand}"
        words += ". The target has everything already; nothing is lost"
        raise NoExchange(words) from error
    finally:
        unlink_link(home, aside, link)
    return new


def link_out(home: Tree, link: Link, aside: str, directory: Node) -> None:
    """Put the *directory* at the dated name *aside* in the link's place, and remove the link.

    Raises NoExchange, Changed or OSError, each with the link where it was; :func:`make_last`
    comes after it.
    """
    name, dated_name = os.fsencode(link.name), os.fsencode(aside)
    _swap(home, aside=dated_name, name=name, link=link, directory=directory, found=name)
    unlink_link(home, dated_name, link)


def make_last(home: Tree, done: str) -> None:
    """Write out the names of *home*. Raises NotJudged where that fails: *done*, so much is sure."""
    try:
        os.fsync(home.directory(ROOT))
    except OSError as error:
        words = f"{done}; whether the names survive a power cut is not known: {error.strerror}"
        raise NotJudged(words) from error


def sweep(home: Tree, link: Link) -> list[str]:
    """Remove the links that an adoption or an undoing that was killed left at a dated name.

    Only a link that leads to the target is one; it holds nothing. Return their names.
    """
    names = [one.name for one in dated(os.listdir(home.directory(ROOT)), link.name, ADOPTED)]
    return [name for name in names if unlink_link(home, os.fsencode(name), link)]


def unlink_link(home: Tree, name: bytes, link: Link) -> bool:
    """Unlink *name* where it is a link to the target; tell whether it was.

    Were a directory swapped into its place in this very moment, unlink(2) would refuse it.
    """
    if observe(home.shown(name), link.target).state is not LinkState.SHARED:
        return False
    with suppress(OSError):
        os.unlink(name, dir_fd=home.directory(ROOT))
        return True
    return False


def _swap(
    home: Tree, *, aside: bytes, name: bytes, link: Link, directory: Node, found: bytes
) -> None:
    """Swap *aside* and *name*; back again unless *directory* is *found* at one of them then.

    And the link at the other. Whatever keeps one from looking counts as not found.
    """
    descriptor = home.directory(ROOT)
    try:
        exchange(descriptor, name, aside)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        words = "the home's file system cannot swap two names in one step"
        raise NoExchange(f"{words} ({error.strerror})") from error
    try:
        there, other = home.look(found), name if found == aside else aside
        state = observe(home.shown(other), link.target).state
        if there is None or there.inode != directory.inode or state is not LinkState.SHARED:
            raise Changed(home.shown(name))
    except BaseException:
        exchange(descriptor, name, aside)
        raise
