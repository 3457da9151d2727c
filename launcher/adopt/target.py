"""The shared target as a plan sees it: what is on the disk, and what earlier plans will add."""

from __future__ import annotations

import fcntl
import os
import struct
import unicodedata
from collections.abc import Container, Iterable, Mapping
from typing import Self

from launcher.adopt.compare import Place
from launcher.adopt.system import keeps_case
from launcher.adopt.tree import ROOT, Node, Tree

UNFINISHED = "user.claude-failover.unfinished"
"""An extended attribute of a directory that an adoption created and has not filled yet."""

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, ioctl_iflags(2)
_CASEFOLD = 0x40000000  # FS_CASEFOLD_FL


class Target:
    """A target directory that may not exist yet, with what is planned for it so far."""

    def __init__(self, path: str, mounted: Mapping[str, str]) -> None:
        """Look at *path*; OSError where it is there and cannot be opened as a directory."""
        self.path = path
        self.tree = Tree(path) if os.path.lexists(path) else None
        self.planned_bytes = 0
        self._planned: dict[bytes, Place] = {}
        self._folded: dict[str, bytes] = {}
        existing = os.path.realpath(path)
        while not os.path.exists(existing):
            existing = os.path.dirname(existing)
        status, system = os.stat(existing), os.statvfs(existing)
        self.device = status.st_dev
        self.longest_name = system.f_namemax
        self.free_bytes = system.f_bavail * system.f_frsize
        self.keeps_case = keeps_case(existing, mounted) and not _is_casefolded(existing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.tree is not None:
            self.tree.close()

    def is_in_place(self) -> bool:
        """Tell whether the target's path still names the directory that was opened."""
        root = self.tree.look(ROOT) if self.tree is not None else None
        try:
            return root is not None and Node.of(os.lstat(self.path)).inode == root.inode
        except FileNotFoundError:
            return False

    def look(self, path: bytes) -> Place | None:
        """Return what is, or will be, at *path*, or None."""
        if (planned := self._planned.get(path)) is not None:
            return planned
        node = self.tree.look(path) if self.tree is not None else None
        return Place(self.tree, path, node) if self.tree is not None and node else None

    def names(self, path: bytes) -> list[bytes]:
        """Return the names that are in the directory *path* on the disk."""
        if self.tree is None or path in self._planned:
            return []
        return self.tree.names(path)

    def look_in(self, names: Container[bytes], path: bytes) -> Place | None:
        """Return what is, or will be, at *path*, where *names* is what its directory holds."""
        if path in self._planned or path.rpartition(b"/")[2] in names:
            return self.look(path)
        return None

    def writable(self, path: bytes) -> bool:
        """Tell whether names can be created in *path*, which may be still to be created."""
        if path in self._planned or self.tree is None:
            return True
        return self.tree.writable(path)

    def planned_like(self, path: bytes) -> bytes | None:
        """Return a planned path that differs from *path* by case only, or None."""
        like = self._folded.get(folded(path))
        return None if like == path else like

    def add(self, places: Iterable[Place], size: int) -> None:
        """Take note of what a plan will put at places, and of the *size* bytes that it copies."""
        self.planned_bytes += size
        for place in places:
            self._planned[place.path] = place
            if not self.keeps_case:
                self._folded[folded(place.path)] = place.path

    def is_elsewhere(self, node: Node) -> bool:
        """Tell whether *node* is on another file system than the target."""
        return node.dev != self.device


def is_unfinished(tree: Tree, path: bytes) -> bool:
    """Tell whether the directory *path* was created by an adoption that did not come to its end."""
    try:
        os.getxattr(tree.directory(path), UNFINISHED)
    except OSError:
        return False
    return True


def folded(path: bytes) -> str:
    """Return what two paths have in common that differ by case or normal form only."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", os.fsdecode(path)).casefold())


def _is_casefolded(path: str) -> bool:
    """Tell whether ext4 or f2fs was told to fold case in this directory (chattr +F)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
    except OSError:  # no such flags on this file system
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("l", answer)[0] & _CASEFOLD)
