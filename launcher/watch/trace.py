"""From subjects to inotify watches: every directory on the way to a path, symlinks followed.

A path changes its meaning with any component: a directory above it that is renamed, a symlink on
the way that is turned. So each directory on the way is watched for the one name that matters
there (inotify(7) tells of a directory's entries, and never of what lies deeper). A watch is set
before what it is about is read, so that no change falls between the two. What a path leads to is
watched itself as well: a file may have another name, by which it is changed or linked again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from inotify_simple import flags

from invariants.inputs import PROCESSES
from launcher.watch.subjects import Subject

ANY_NAME = "/"
"""In place of a name: whatever appears in a directory, vanishes or is renamed."""
ANY_CONTENT = "//"
"""In place of a name: the same, and whatever is written to a file of the directory."""

_HOPS = 40  # the kernel's own limit, path_resolution(7)
_FILE = flags.MASK_ADD | flags.EXCL_UNLINK | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF
_SELF = _FILE | flags.ONLYDIR
_ENTRIES = _SELF | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_WRITTEN = flags.CLOSE_WRITE | flags.MODIFY
_FULL = frozenset({errno.ENOSPC, errno.ENOMEM})

Add = Callable[[str, int], int]
"""``INotify.add_watch``: a path and a mask to a watch descriptor, which is one for an inode."""


@dataclass(slots=True)
class Trace:
    """What is watched: by watch descriptor the names that matter, and what each is about.

    The name ``""`` is the directory or file itself. ``places`` are the paths without symlinks that
    were passed, for mounts. ``processes`` is what the processes of the machine are about. ``blind``
    says why a directory could not be watched, where one could not.
    """

    names: dict[int, dict[str, set[str]]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    processes: set[str] = field(default_factory=set)
    blind: str | None = None

    def add(self, more: Trace) -> None:
        """Take in what *more* watches."""
        for descriptor, names in more.names.items():
            for name, about in names.items():
                self.names.setdefault(descriptor, {}).setdefault(name, set()).update(about)
        self.places |= more.places
        self.processes |= more.processes
        self.blind = more.blind or self.blind


def trace(subjects: Iterable[Subject], add: Add) -> Trace:
    """Watch all that the meaning of *subjects* depends on, by *add*; return what that is."""
    walk = _Walk(add)
    for subject in subjects:
        if subject.path == PROCESSES:
            walk.trace.processes.add(subject.about)
        else:
            walk.follow(subject)
    return walk.trace


class _Walk:
    def __init__(self, add: Add) -> None:
        self.trace = Trace()
        self._add = add
        self._watched: dict[str, tuple[int, int | None]] = {}  # the mask and the descriptor
        self._found: dict[str, str | bool | None] = {}
        self._directories: dict[tuple[str, str, int], str | None] = {}

    def follow(self, subject: Subject) -> None:
        """Go the way of a path as the kernel does, watching each directory that is passed."""
        here = self._end(subject.path, subject.about, subject.content, _HOPS)
        if here is None:
            return
        self._watch(here, "", _SELF, subject.about)
        if subject.content:
            self._watch(here, ANY_CONTENT, _ENTRIES | _WRITTEN, subject.about)
        elif subject.names:
            self._watch(here, ANY_NAME, _ENTRIES, subject.about)

    def _end(self, path: str, about: str, content: bool, hops: int) -> str | None:
        """Return the directory that *path* leads to, without symlinks; None if it is to none.

        With *content* what is written to a file there is watched for. Of *hops* over symlinks each
        takes one.
        """
        above, _, name = path.rstrip("/").rpartition("/")
        here = self._directory(above, about, hops) if above else "/"
        if here is None or name in ("", "."):
            return here
        if name == "..":
            return os.path.dirname(here)
        written = _WRITTEN if content else 0
        self._watch(here, name, _ENTRIES | written, about)
        path = os.path.join(here, name)
        if path not in self._found:
            self._found[path] = _looked(path)
        found = self._found[path]
        if isinstance(found, str):
            return self._end(os.path.join(here, found), about, content, hops - 1) if hops else None
        if found:
            return path
        self.trace.places.add(path)
        if found is False:
            self._watch(path, "", _FILE | written | flags.DONT_FOLLOW, about)
        return None

    def _directory(self, path: str, about: str, hops: int) -> str | None:
        """Do the same for a directory on the way, once for all that is *about* the same."""
        known = (path, about, hops)
        if known not in self._directories:
            self._directories[known] = self._end(path, about, False, hops)
        return self._directories[known]

    def _watch(self, path: str, name: str, mask: int, about: str) -> None:
        self.trace.places.add(path)
        before, descriptor = self._watched.get(path, (0, None))
        if mask & ~before:
            try:
                descriptor = self._add(path, mask)
            except OSError as error:
                # One that may not be read, or is gone again, is seen by the watch above it.
                if error.errno in _FULL:
                    self.trace.blind = f"{path} cannot be watched: {error.strerror}"
            self._watched[path] = (before | mask, descriptor)
        if descriptor is not None:
            self.trace.names.setdefault(descriptor, {}).setdefault(name, set()).add(about)


def _looked(path: str) -> str | bool | None:
    """Return a symlink's text, or whether there is a directory; None if there is nothing."""
    try:
        mode = os.lstat(path).st_mode
        return os.readlink(path) if stat.S_ISLNK(mode) else stat.S_ISDIR(mode)
    except OSError:
        return None
