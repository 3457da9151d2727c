"""A directory tree, reached by descriptors only, one component at a time.

Names are bytes. No path is handed to the kernel but a single name and the descriptor of the
directory that it is in, opened with ``O_NOFOLLOW``: so neither an odd name, nor a nest deeper than
``PATH_MAX``, nor a directory that somebody swaps for a symlink leads anywhere else. Nothing
recurses.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from launcher.interrupts import Interrupts

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPEN_AT_ONCE = 16
_TYPE = 0o170000  # S_IFMT, inode(7)
_SEARCH = stat.S_IRUSR | stat.S_IXUSR
_ABSENT = (errno.ENOENT, errno.ENOTDIR)

ROOT = b""
"""The path of a tree's own directory."""


class Changed(Exception):
    """Something is not what it was when it was looked at; its text says what."""


class Node(NamedTuple):
    """What lstat(2) says of one name. Times are nanoseconds, sizes bytes."""

    mode: int
    uid: int
    gid: int
    dev: int
    ino: int
    nlink: int
    size: int
    atime: int
    mtime: int
    ctime: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the node that *status* describes."""
        return cls(
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_dev,
            status.st_ino,
            status.st_nlink,
            status.st_size,
            status.st_atime_ns,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.mode & _TYPE == stat.S_IFDIR

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode & _TYPE == stat.S_IFREG

    @property
    def inode(self) -> tuple[int, int]:
        """What two names of one file have in common."""
        return self.dev, self.ino

    @property
    def version(self) -> tuple[int, ...]:
        """What does not stay as it is when the content changes, whoever resets the times."""
        return self.dev, self.ino, self.size, self.mtime, self.ctime

    @property
    def print(self) -> tuple[int, ...]:
        """What stays as it is while nobody writes, though the launcher itself adds names to it."""
        if self.is_directory:
            return self.dev, self.ino, self.mode
        return self.dev, self.ino, self.mode, self.size, self.mtime


class Tree:
    """A directory and what is below it, by paths relative to it (``b"a/b"``)."""

    def __init__(self, path: str) -> None:
        """Open the directory *path*; OSError where there is none, or a symlink."""
        self.path = path
        self._root = os.open(path, _DIRECTORY)
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every descriptor."""
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Let go of every descriptor but the root's, so that the next look is a fresh one."""
        while self._open:
            os.close(self._open.popitem()[1])

    def directory(self, path: bytes) -> int:
        """Return a descriptor of the directory *path*, good until some other ones were asked for.

        Raises OSError where one of the components is not a directory.
        """
        left: list[bytes] = []
        while path != ROOT and path not in self._open:
            path, _, name = path.rpartition(b"/")
            left.append(name)
        descriptor = self._root
        if path != ROOT:
            self._open.move_to_end(path)
            descriptor = self._open[path]
        while left:
            name = left.pop()
            path = joined(path, name)
            descriptor = os.open(name, _DIRECTORY, dir_fd=descriptor)
            self._open[path] = descriptor
            if len(self._open) > _OPEN_AT_ONCE:
                os.close(self._open.popitem(last=False)[1])
        return descriptor

    def names(self, path: bytes) -> list[bytes]:
        """Return the names in the directory *path*, sorted."""
        return sorted(os.fsencode(name) for name in os.listdir(self.directory(path)))

    def look(self, path: bytes) -> Node | None:
        """Return what *path* is, or None where there is nothing."""
        parent, _, name = path.rpartition(b"/")
        try:
            if path == ROOT:
                return Node.of(os.fstat(self._root))
            status = os.stat(name, dir_fd=self.directory(parent), follow_symlinks=False)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return Node.of(status)

    def readable(self, path: bytes, node: Node) -> bool:
        """Tell whether the running user may read the file, or list and search the directory."""
        needed = _SEARCH if node.is_directory else stat.S_IRUSR
        if node.uid == os.geteuid() and node.mode & needed == needed:
            return True  # without a call: nothing but the mode's first bits is for the owner
        mode = os.R_OK | (os.X_OK if node.is_directory else 0)
        parent, _, name = path.rpartition(b"/")
        return os.access(name or b".", mode, dir_fd=self.directory(parent), effective_ids=True)

    def writable(self, path: bytes) -> bool:
        """Tell whether the running user may create names in the directory *path*."""
        parent = self.directory(path)
        return os.access(b".", os.W_OK | os.X_OK, dir_fd=parent, effective_ids=True)

    def open(self, path: bytes, node: Node) -> int:
        """Open the regular file *path* for reading. Raises Changed where it is not *node*."""
        parent, _, name = path.rpartition(b"/")
        directory = self.directory(parent)
        try:
            descriptor = os.open(name, _FILE | os.O_NOATIME, dir_fd=directory)
        except PermissionError:  # O_NOATIME is for the owner only, open(2)
            descriptor = os.open(name, _FILE, dir_fd=directory)
        if Node.of(os.fstat(descriptor)).print != node.print:
            os.close(descriptor)
            raise Changed(self.shown(path))
        return descriptor

    def shown(self, path: bytes) -> str:
        """Return the whole path, as text."""
        return os.path.join(self.path, os.fsdecode(path)) if path else self.path


@dataclass(frozen=True, slots=True)
class Listing:
    """All that is below a tree's root, parents before children, and what could not be read."""

    nodes: dict[bytes, Node] = field(default_factory=dict)
    unread: list[tuple[bytes, str]] = field(default_factory=list)

    def differs(self, other: Listing) -> bytes | None:
        """Return a path that is not in *other* as it is here, or None."""
        if self.nodes.keys() != other.nodes.keys():
            return min(self.nodes.keys() ^ other.nodes.keys())
        for path, node in self.nodes.items():
            if node.print != other.nodes[path].print:
                return path
        return None


def listing(tree: Tree, interrupts: Interrupts) -> Listing:
    """Read the whole of *tree*. Another file system that begins below is not entered."""
    found = Listing()
    root = tree.look(ROOT)
    below = [ROOT]
    while below:
        path = below.pop()
        interrupts.check()
        try:
            descriptor, names = tree.directory(path), tree.names(path)
        except OSError as error:
            found.unread.append((path, error.strerror or str(error)))
            continue
        for name in names:
            whole = joined(path, name)
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue  # it went meanwhile
            except OSError as error:
                found.unread.append((whole, error.strerror or str(error)))
                continue
            found.nodes[whole] = node = Node.of(status)
            if node.is_directory and root is not None and node.dev == root.dev:
                below.append(whole)
    return found


def joined(path: bytes, name: bytes) -> bytes:
    """Return the path of *name* in the directory *path*."""
    return path + b"/" + name if path else name


def parent_of(path: bytes) -> bytes:
    """Return the path of the directory that *path* is in."""
    return path.rpartition(b"/")[0]
