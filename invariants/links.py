"""The state of one entry of a home: whether it is a link to the shared target, or what else.

A link whose text is right counts only if the kernel goes through it: a mount option, a setting or a
permission can keep Claude Code from what a reader of the text would find. So the last word has a
``stat`` through the entry, and access(2) through it.

Everything is read with ``lstat``, ``readlink``, ``stat`` and ``access``; nothing is opened but a
directory whose entries are counted, without touching its access time if the kernel allows that.
"""

import errno
import os
import stat
from enum import StrEnum
from typing import NamedTuple

from invariants.finding import shown

REQUIRED_SHARED = ("session-env", "file-history", "projects")
"""The entries that current Claude Code versions need shared for a conversation to go on."""

_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_REFUSED = frozenset({errno.ELOOP, errno.EACCES, errno.EPERM})
_USE = os.R_OK | os.W_OK | os.X_OK
_ATTEMPTS = 4


class LinkState(StrEnum):
    """What an entry is. Only ``SHARED`` is right."""

    SHARED = "shared"
    MISSING = "missing"
    EMPTY_DIRECTORY = "empty-directory"
    REAL_DIRECTORY = "real-directory"
    FILE = "file"
    SPECIAL = "special"
    DIVERGENT = "divergent"
    CHAINED = "chained"
    LOOP = "loop"
    UNREADABLE = "unreadable"


class Entry(NamedTuple):
    """One look at an entry: its state, and in words what was found there.

    ``is_followed`` is False for a symlink whose text is right, if the kernel does not let this user
    through it to the target. ``is_mounted`` is True for a directory that is the target itself:
    somebody has mounted it there.
    """

    state: LinkState
    found: str
    is_followed: bool = True
    is_mounted: bool = False


class _Changed(Exception):
    """The entry became something else between two system calls."""


def observe(entry: str | os.PathLike[str], target: str | os.PathLike[str]) -> Entry:
    """Say what *entry* is, seen as a link that should lead to the directory *target*.

    Never raises for anything the file system answers: what cannot be read is ``UNREADABLE``,
    and so is an entry that keeps changing while it is looked at. *target* need not exist; then
    an entry that names its path is ``SHARED``, since the missing target is a fault of its own.

    >>> observe("/nonexistent/projects", "/srv/claude/projects").state
    <LinkState.MISSING: 'missing'>
    """
    path, goal = os.fspath(entry), os.fspath(target)
    for _ in range(_ATTEMPTS):
        try:
            return _look(path, goal)
        except _Changed:
            continue
        except OSError as error:
            return Entry(LinkState.UNREADABLE, f"unreadable: {os.strerror(error.errno or 0)}")
    return Entry(LinkState.UNREADABLE, "unreadable: it keeps changing while it is read")


def _look(path: str, target: str) -> Entry:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Entry(LinkState.MISSING, "nothing")
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return _look_at_link(path, target)
    if stat.S_ISDIR(mode):
        if _is_target(status, target):
            words = "the target itself, mounted in the link's place"
            return Entry(LinkState.REAL_DIRECTORY, words, is_mounted=True)
        count = _count_entries(path)
        if count == 0:
            return Entry(LinkState.EMPTY_DIRECTORY, "empty directory")
        noun = "entry" if count == 1 else "entries"
        return Entry(LinkState.REAL_DIRECTORY, f"directory with {count} {noun}")
    if stat.S_ISREG(mode):
        return Entry(LinkState.FILE, "regular file")
    return Entry(LinkState.SPECIAL, _SPECIAL.get(stat.S_IFMT(mode), "special file"))


_SPECIAL = {
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def _count_entries(path: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags | os.O_NOATIME)
        except PermissionError:  # O_NOATIME is for the owner only, open(2)
            descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _NOWHERE or error.errno == errno.ELOOP:
            raise _Changed from error
        raise
    try:
        with os.scandir(descriptor) as entries:
            return sum(1 for _ in entries)
    finally:
        os.close(descriptor)


def _look_at_link(path: str, target: str) -> Entry:
    try:
        text = os.readlink(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, *_NOWHERE):
            raise _Changed from error
        raise
    named = _without_trailing_slash(os.path.join(os.path.dirname(path), text))
    found = f"symlink to {shown(text)}"
    try:
        first = os.lstat(named)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Entry(LinkState.LOOP, f"{found}, a loop")
        if error.errno not in _NOWHERE:
            raise
        is_right, exists = _same_path(named, target), False
        found = f"{found}, which does not exist"
    else:
        if stat.S_ISLNK(first.st_mode):
            return _look_over_hop(named, target, found)
        is_right, exists = _is_target(first, target), True
    if not is_right:
        return Entry(LinkState.DIVERGENT, found)
    return _look_through(path, target, found, exists=exists)


def _look_over_hop(named: str, target: str, found: str) -> Entry:
    try:
        last = os.stat(named)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Entry(LinkState.LOOP, f"{found}, a loop")
        if error.errno not in _NOWHERE:
            raise
        reaches = _same_path(os.path.realpath(named), os.path.realpath(target))
        found = f"{found}, a further symlink that leads nowhere"
    else:
        reaches = _is_target(last, target)
        found = f"{found}, a further symlink"
    return Entry(LinkState.CHAINED if reaches else LinkState.DIVERGENT, found)


def _look_through(path: str, target: str, found: str, *, exists: bool) -> Entry:
    """Return the state of a symlink that names the target: where the kernel goes decides.

    *exists* tells whether the target does. One that nobody can use is a fault of its own.
    """
    try:
        there = os.stat(path)
    except OSError as error:
        if error.errno in _REFUSED:
            return _not_followed(path, f"{found}, which the kernel does not follow", error)
        if error.errno not in _NOWHERE or exists:
            raise _Changed from error
        return Entry(LinkState.SHARED, found)
    if not exists or not _is_target(there, target):
        raise _Changed
    if not _may_use(path) and _may_use(target):
        words = f"{found}, through which {shown(target)} cannot be written"
        return Entry(LinkState.UNREADABLE, words, is_followed=False)
    return Entry(LinkState.SHARED, found)


def _not_followed(path: str, words: str, error: OSError) -> Entry:
    why = os.strerror(error.errno or 0)
    try:
        if is_nosymfollow(os.path.dirname(path)):
            why = "its file system is mounted nosymfollow"
    except OSError:
        pass  # the error says what it can
    return Entry(LinkState.UNREADABLE, f"{words}: {why}", is_followed=False)


def is_nosymfollow(directory: str) -> bool:
    """Return whether the kernel follows no symlink in *directory*. Raises OSError."""
    return bool(os.statvfs(directory).f_flag & 0x2000)  # ST_NOSYMFOLLOW, since Linux 5.10


def _may_use(directory: str) -> bool:
    return os.access(directory, _USE, effective_ids=True)


def _without_trailing_slash(path: str) -> str:
    """Drop what would make the kernel follow a final symlink: ``hop/`` and ``hop/.`` are it."""
    while path.endswith(("/", "/.")) and path.strip("/"):
        path = path[:-1]
    return path or "/"


def _is_target(seen: os.stat_result, target: str) -> bool:
    try:
        goal = os.stat(target)
    except OSError as error:
        if error.errno in _NOWHERE or error.errno == errno.ELOOP:
            return False
        raise
    return os.path.samestat(seen, goal)


def _same_path(one: str, other: str) -> bool:
    """Compare two paths that do not exist: their parents as the kernel resolves them.

    Where *other* does exist, *one* does not lead to it; nor where it climbs (``..``) out of a
    directory that is not there, which the kernel does not resolve.
    """
    if os.path.lexists(other) or _climbs_from_nowhere(one):
        return False
    head, tail = os.path.split(one)
    other_head, other_tail = os.path.split(_without_trailing_slash(other))
    return tail == other_tail and os.path.realpath(head) == os.path.realpath(other_head)


def _climbs_from_nowhere(path: str) -> bool:
    parts = path.split("/")
    return any(
        part == ".." and not os.path.isdir("/".join(parts[:index]) or "/")
        for index, part in enumerate(parts)
    )
