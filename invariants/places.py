"""Where homes and targets really are: which are one directory, and which lie in one another.

The inventory's validation compares their paths as texts, without touching the disk; what a
symlink on the way hides from it is seen here. What a bind mount shows of another directory is
not: its parents are those of the mount point.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from invariants.model import Account, Link

_Id = tuple[int, int]


class Place(NamedTuple):
    """A home or a target, where the inventory says that it is."""

    kind: str
    name: str
    path: str

    def __str__(self) -> str:
        """Name it as a person does."""
        return f"the {self.kind} of {self.name}"


class Clash(NamedTuple):
    """How a place lies to an earlier one: a state (``inside-home``), and what was found.

    ``other`` is the earlier one's path.
    """

    state: str
    found: str
    other: str = ""


class Places:
    """Compares each place with those before it: the homes in the inventory's order, then targets.

    So of two that clash the later one tells, and it alone, whichever checks are run; and in a
    gate no path is touched before its own check has its turn, which names what hangs. Each
    place is looked at once.
    """

    def __init__(self, accounts: Iterable[Account] = (), links: Iterable[Link] = ()) -> None:
        """Take all that the inventory names; one that is not among them comes when it is asked."""
        self.accounts, self.links = tuple(accounts), tuple(links)
        self._waiting = deque(home_of(account) for account in self.accounts)
        self._waiting.extend(target_of(link) for link in self.links)
        self._clashes: dict[Place, Clash | None] = {}
        self._ids: dict[str, _Id | None] = {}
        self._there: dict[_Id, Place] = {}
        self._inside: dict[_Id, Place] = {}

    def clash(self, place: Place) -> Clash | None:
        """Return how *place* clashes with an earlier one, or None; never raises an OSError.

        The state is ``same-``, ``inside-`` or ``around-``, with ``home`` or ``target``; or
        ``unreadable``, where a parent cannot be looked at. A place that does not exist yet is
        inside whatever it would be made in.
        """
        while place not in self._clashes:
            self._look(self._waiting.popleft() if self._waiting else place)
        return self._clashes[place]

    def _look(self, place: Place) -> None:
        try:
            own = _identity(place.path)
            parents = list(self._parents(os.path.realpath(place.path)))
        except OSError as error:
            self._clashes[place] = Clash("unreadable", f"unreadable: {error.strerror}")
            return
        self._clashes[place] = self._compared(own, parents)
        if own is not None:
            self._there.setdefault(own, place)
        for parent in parents:
            self._inside.setdefault(parent, place)

    def _compared(self, own: _Id | None, parents: list[_Id]) -> Clash | None:
        if own is not None and (other := self._there.get(own)):
            return Clash(f"same-{other.kind}", f"the same directory as {other}", other.path)
        for parent in parents:
            if other := self._there.get(parent):
                return Clash(f"inside-{other.kind}", f"inside {other}", other.path)
        if own is not None and (other := self._inside.get(own)):
            return Clash(f"around-{other.kind}", f"{other} lies inside it", other.path)
        return None

    def _parents(self, real: str) -> Iterator[_Id]:
        """Yield the parents of a path without symlinks, the innermost first, those that exist."""
        while (above := os.path.dirname(real)) != real:
            if above not in self._ids:
                self._ids[above] = _identity(above)
            if (identity := self._ids[above]) is not None:
                yield identity
            real = above


def home_of(account: Account) -> Place:
    """Return the place of an account's home."""
    return Place("home", account.name, account.home)


def target_of(link: Link) -> Place:
    """Return the place of a link's target."""
    return Place("target", link.name, link.target)


def is_same_place(one: str, other: str) -> bool:
    """Tell whether two paths lead to one place: by their text, else by device and inode.

    A path that leads nowhere, or that may not be looked at, is the same as its own text only. On a
    mount that is dead this hangs: who asks where nothing was asked before bounds it.

    >>> is_same_place("/usr/../usr", "/usr"), is_same_place("/no such", "/usr")
    (True, False)
    """
    if one == other:
        return True
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except (OSError, ValueError):
        return False


def is_below(path: str, directory: str) -> bool:
    """Tell whether *path* is *directory* or lies in it, by the text of two real paths.

    >>> is_below("/a/b", "/a"), is_below("/ab", "/a"), is_below("/a", "/")
    (True, False, True)
    """
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def _identity(path: str) -> _Id | None:
    """Return what tells a file from all others, or None where there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
