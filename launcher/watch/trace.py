"""From subjects to inotify watches: every directory on the way to a path, symlinks followed.

A path changes its meaning with any component: a directory above it that is renamed, a symlink on
the way that is turned. So each directory on the way is watched for the one name that matters
there (inotify(7) tells of a directory's entries, and never of what lies deeper). A watch is set
before what it is about is read, so that no change falls between the two.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from inotify_simple import flags

from launcher.watch.subjects import Concern, Subject

_HOPS = 40  # the kernel's own limit, path_resolution(7)
_ALWAYS = flags.ONLYDIR | flags.MASK_ADD | flags.EXCL_UNLINK
_SELF = _ALWAYS | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF
_ENTRIES = _SELF | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_CONTENT = _ENTRIES | flags.CLOSE_WRITE | flags.MODIFY
_FULL = frozenset({errno.ENOSPC, errno.ENOMEM})

Add = Callable[[str, int], int]
"""``INotify.add_watch``: a path and a mask to a watch descriptor, which is one for an inode."""


@dataclass(slots=True)
class Trace:
    """What is watched: by watch descriptor the names that matter, and what for; and the places.

    The name ``""`` is the directory itself. ``places`` are the paths without symlinks that were
    passed, for mounts. ``blind`` says why a directory could not be watched, where one could not.
    """

    names: dict[int, dict[str, set[Concern]]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    blind: str | None = None


def trace(subjects: Iterable[Subject], add: Add) -> Trace:
    """Watch all that the meaning of *subjects* depends on, by *add*; return what that is."""
    walk = _Walk(add)
    for subject in subjects:
        walk.follow(subject)
    return walk.trace


class _Walk:
    def __init__(self, add: Add) -> None:
        self.trace = Trace()
        self._add = add
        self._seen: dict[tuple[str, str, Concern], str | bool] = {}

    def follow(self, subject: Subject) -> None:
        """Go the way of a path as the kernel does, watching each directory that is passed."""
        here, hops = "/", 0
        rest = [part for part in reversed(subject.path.split("/")) if part]
        while rest:
            name = rest.pop()
            if name == "..":
                here = os.path.dirname(here)
                continue
            if name in (".", ""):
                continue
            last = not rest
            key = (here, name, subject.concern)
            if key not in self._seen or (last and subject.content):
                mask = _CONTENT if last and subject.content else _ENTRIES
                self._watch(here, name, mask, subject.concern)
                self._seen[key] = _looked(os.path.join(here, name))
            found = self._seen[key]
            if isinstance(found, str):
                hops += 1
                if hops > _HOPS:
                    return
                if found.startswith("/"):
                    here = "/"
                rest += reversed(found.split("/"))
            elif found:
                here = os.path.join(here, name)
            else:
                self.trace.places.add(os.path.join(here, name))
                return
        self._watch(here, "", _SELF, subject.concern)

    def _watch(self, directory: str, name: str, mask: int, concern: Concern) -> None:
        self.trace.places.add(directory)
        try:
            descriptor = self._add(directory, mask)
        except OSError as error:
            # One that may not be read, or is gone again, is seen by the watch above it.
            if error.errno in _FULL:
                self.trace.blind = f"{directory} cannot be watched: {error.strerror}"
            return
        self.trace.names.setdefault(descriptor, {}).setdefault(name, set()).add(concern)


def _looked(path: str) -> str | bool:
    """Return a symlink's text, or whether there is a directory."""
    try:
        mode = os.lstat(path).st_mode
        return os.readlink(path) if stat.S_ISLNK(mode) else stat.S_ISDIR(mode)
    except OSError:
        return False
