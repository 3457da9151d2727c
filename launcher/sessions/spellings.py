"""Paths that the inventory names, recognised by whatever other path name leads to them.

A run keeps the path that its home had in the inventory when it was started. If a symlink or a bind
mount has given that home another name since, it is the same home all the same: device and inode
say so.
"""

from __future__ import annotations

from collections.abc import Iterable

from invariants.places import is_same_place
from launcher.bounded import bounded
from launcher.errors import NotJudged
from launcher.interrupts import Interrupts

_SECONDS = 3.0


class Spellings:
    """Answers which of *ours* a path leads to; each other path is looked at once."""

    def __init__(self, ours: Iterable[str]) -> None:
        """Take the paths as the inventory has them."""
        self._ours = list(ours)
        self._known: dict[str, str | None] = {path: path for path in self._ours}

    def look_at(self, paths: Iterable[str]) -> None:
        """Look at *paths* that are none of ours by their text, for some seconds in all.

        Where nothing is to be looked at this costs nothing. A mount that is dead is given up on:
        the paths of that call are nobody's then.
        """
        unknown = [path for path in dict.fromkeys(paths) if path and path not in self._known]
        if not unknown:
            return

        def look() -> dict[str, str | None]:
            return {path: self._look(path) for path in unknown}

        try:
            with Interrupts(signals=()) as waiting:
                self._known |= bounded(look, _SECONDS, waiting)
        except NotJudged:
            self._known |= dict.fromkeys(unknown)

    def ours(self, path: str) -> str | None:
        """Return what the inventory calls the place at *path*, or None for a stranger's."""
        return self._known.get(path)

    def _look(self, path: str) -> str | None:
        return next((one for one in self._ours if is_same_place(path, one)), None)
