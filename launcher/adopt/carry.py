"""A plan, carried out: nothing leaves the account's directory, nothing in the target is replaced.

Within a file system a file gets a second name, by link(2), which fails where the name is taken.
Elsewhere it is copied to a temporary name, written out, read back and compared, and only then
given its name, again by a call that fails where that is taken. The one thing that does go is a
transcript of which the account's continues every byte (:mod:`replace`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from launcher.adopt.compare import Comparison, begin_alike
from launcher.adopt.copying import Copier
from launcher.adopt.lease import is_open_elsewhere
from launcher.adopt.metadata import carry_metadata
from launcher.adopt.names import Temporaries, is_meant_for
from launcher.adopt.plan import Rule, Step
from launcher.adopt.replace import discard, replace
from launcher.adopt.system import NOT_SUPPORTED, rename_to_free, sync_file_system
from launcher.adopt.target import UNFINISHED
from launcher.adopt.tree import ROOT, Changed, Node, Tree, joined, parent_of
from launcher.interrupts import Interrupts

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_BATCH_FILES = 1000
_BATCH_BYTES = 256 << 20
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Report:
    """How far the writing came, and what could not be kept."""

    files: int = 0
    size: int = 0
    copied: int = 0
    notes: set[str] = field(default_factory=set)
    tell: Callable[[int, int], None] = lambda files, size: None

    def count(self, node: Node) -> None:
        """Note that one more file is where it belongs."""
        self.files += 1
        self.size += node.size
        self.tell(self.files, self.size)


class Carrier:
    """Brings files from one tree into another, and the directories that they are in."""

    def __init__(
        self,
        source: Tree,
        destination: Tree,
        comparison: Comparison,
        interrupts: Interrupts,
        report: Report,
    ) -> None:
        self._source, self._to = source, destination
        self._comparison, self._interrupts, self._report = comparison, interrupts, report
        self._temporaries, self._copier = Temporaries(), Copier(interrupts)
        self._links = True
        self._waiting: list[tuple[Step, bytes, Node]] = []
        self._waiting_bytes = 0
        self._unfinished: dict[bytes, Node] = {}
        self._first: dict[tuple[int, int], bytes] = {}
        self._again: list[Step] = []

    def carry(self, steps: list[Step]) -> None:
        """Carry out *steps*, parents before children, and write everything out to the disk.

        Raises OSError, Changed or Interrupted; then what is done is done, and a second run
        finishes.
        """
        for step in steps:
            self._interrupts.check()
            if step.node.is_directory:
                self._directory(step)
            else:
                self._file(step)
        self._flush()
        for step in self._again:
            self._link_again(step)
        self._flush()
        for path, node in reversed(self._unfinished.items()):
            self._interrupts.check()
            self._finish(path, node)
        sync_file_system(self._to.directory(ROOT))

    def discard(self) -> None:
        """Remove the temporary names that are left where :meth:`carry` raised."""
        for step, temporary, copied in self._waiting:
            with suppress(OSError):
                discard(self._to.directory(parent_of(step.path)), temporary, copied)

    def remember(self, step: Step) -> None:
        """Let later hard links of a file that is there already be links to that one."""
        seen, node = step.seen, step.node
        if seen is None or node.nlink < 2 or seen.inode == node.inode:
            return
        if (seen.mode, seen.gid, seen.mtime) == (node.mode, node.gid, node.mtime):
            self._first.setdefault(node.inode, step.path)

    def sweep(self, abandoned: list[bytes]) -> None:
        """Remove temporary names of killed adoptions whose bytes are surely elsewhere.

        For a file: each byte is in the one that the temporary one was meant to become, in the
        target or in the account's directory. Of directories only an empty one goes, by rmdir(2).
        Everything else stays.
        """
        for path in abandoned:
            self._interrupts.check()
            with suppress(OSError, Changed):  # then it is not sure, and it stays
                node, name = self._to.look(path), path.rpartition(b"/")[2]
                if node is not None and node.is_directory:
                    os.rmdir(name, dir_fd=self._to.directory(parent_of(path)))
                elif node is not None and node.is_file and self._is_elsewhere(path, node):
                    os.unlink(name, dir_fd=self._to.directory(parent_of(path)))

    def _is_elsewhere(self, path: bytes, node: Node) -> bool:
        parent, _, temporary = path.rpartition(b"/")
        ours = self._to.open(path, node)
        try:
            for tree in (self._to, self._source):
                for name in tree.names(parent) if tree.look(parent) else ():
                    if name == temporary or not is_meant_for(temporary, name):
                        continue
                    if self._begins_with(tree, joined(parent, name), ours, node):
                        return True
        finally:
            os.close(ours)
        return False

    def _begins_with(self, tree: Tree, path: bytes, ours: int, node: Node) -> bool:
        whole = tree.look(path)
        if whole is None or not whole.is_file or whole.size < node.size:
            return False
        if whole.inode == node.inode:
            return True
        if is_open_elsewhere(ours):  # from the lease on nobody adds to it
            return False
        descriptor = tree.open(path, whole)
        try:
            return begin_alike(ours, descriptor, node.size, self._interrupts)
        finally:
            os.close(descriptor)

    # directories

    def _directory(self, step: Step) -> None:
        """Create a directory, marked as unfinished from its first moment under its own name."""
        parent, _, name = step.path.rpartition(b"/")
        to = self._to.directory(parent)
        if self._to.look(step.path) is None:
            temporary = self._temporaries.name(name)
            os.mkdir(temporary, 0o700, dir_fd=to)
            try:
                self._mark(temporary, to)
                _rename_directory(to, temporary, name)
            except OSError as error:
                os.rmdir(temporary, dir_fd=to)
                if error.errno not in _TAKEN:
                    raise
            else:  # one that somebody else created meanwhile keeps what it has
                self._unfinished[step.path] = step.node
        there = self._to.look(step.path)
        if there is None or not there.is_directory:
            raise Changed(self._to.shown(step.path))
        if UNFINISHED in _attributes(self._to.directory(step.path)):
            self._unfinished[step.path] = step.node

    def _mark(self, name: bytes, to: int) -> None:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=to)
        try:
            os.setxattr(descriptor, UNFINISHED, b"")
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:  # else: no such attributes here
                raise
        finally:
            os.close(descriptor)

    def _finish(self, path: bytes, node: Node) -> None:
        """Give a directory that was created, now full, what its source has.

        Who may not write to a directory may not remove its mark either (xattr(7)): one that its
        owner may not write is that from the last call on.
        """
        descriptor = self._to.directory(path)
        writable = node._replace(mode=node.mode | stat.S_IWUSR)
        carry_metadata(self._source.directory(path), writable, descriptor, self._report.notes)
        if UNFINISHED in _attributes(descriptor):
            os.removexattr(descriptor, UNFINISHED)
        if writable.mode != node.mode:
            with suppress(PermissionError):  # no modes here, as was noted
                os.fchmod(descriptor, stat.S_IMODE(node.mode))

    # files

    def _file(self, step: Step) -> None:
        name = step.path.rpartition(b"/")[2]
        replaces = step.rule is Rule.LONGER
        if self._links:
            final = self._temporaries.name(name) if replaces else name
            if self._linked(step, final):
                if replaces:
                    self._replace(step, final, step.node)
                self._report.count(step.node)
                return
        if step.node.inode in self._first and not replaces:
            self._again.append(step)
        else:
            self._copy(step)

    def _linked(self, step: Step, name: bytes) -> bool:
        """Give the file a second name in the destination; False where only a copy can be made."""
        parent, _, old = step.path.rpartition(b"/")
        source, to = self._source.directory(parent), self._to.directory(parent)
        try:
            os.link(old, name, src_dir_fd=source, dst_dir_fd=to, follow_symlinks=False)
        except FileExistsError:
            pass  # somebody else's, or the same file: what it is decides
        except FileNotFoundError:
            raise Changed(self._source.shown(step.path)) from None
        except OSError as error:
            if error.errno not in NOT_SUPPORTED | {errno.EMLINK}:
                raise
            # EPERM may be about this file alone: one that must not change, chattr(1).
            self._links = error.errno in (errno.EMLINK, errno.EPERM)
            return False
        else:
            if step.rule is not Rule.LONGER:
                return True  # that it is the file that was planned, the last look tells
        there = Node.of(os.stat(name, dir_fd=to, follow_symlinks=False))
        if there.print != step.node.print:
            raise Changed(self._to.shown(joined(parent, name)))
        return True

    def _copy(self, step: Step) -> None:
        """Copy a file to a temporary name; it gets its own with the rest of its batch."""
        if step.node.nlink > 1:
            self._first.setdefault(step.node.inode, step.path)
        parent, _, name = step.path.rpartition(b"/")
        temporary = self._temporaries.name(name)
        source = self._source.open(step.path, step.node)
        try:
            to = os.open(temporary, _WRITE, 0o600, dir_fd=self._to.directory(parent))
            try:
                size = self._copier.copy(source, to, step.node.size)
                if size != step.node.size or _node(source).print != step.node.print:
                    raise Changed(self._source.shown(step.path))
                carry_metadata(source, step.node, to, self._report.notes)
                copied = _node(to)
            except BaseException:
                discard(self._to.directory(parent), temporary, _node(to))
                raise
            finally:
                os.close(to)
        finally:
            os.close(source)
        self._waiting.append((step, temporary, copied))
        self._waiting_bytes += step.node.size
        if len(self._waiting) >= _BATCH_FILES or self._waiting_bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write out what was copied, read it back, and give each file its name."""
        if not self._waiting:
            return
        sync_file_system(self._to.directory(ROOT))
        for step, temporary, copied in self._waiting:
            self._interrupts.check()
            self._verify(step, temporary, copied)
            if step.rule is Rule.LONGER:
                self._replace(step, temporary, copied)
            else:
                self._name(step, temporary)
            there = self._to.look(step.path)
            if there is None or there.print != copied.print:
                raise Changed(self._to.shown(step.path))
            self._comparison.remember_same(step.node, there)
            self._report.copied += step.node.size
            self._report.count(step.node)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _verify(self, step: Step, temporary: bytes, copied: Node) -> None:
        parent = parent_of(step.path)
        source = self._source.open(step.path, step.node)
        try:
            copy = self._to.open(joined(parent, temporary), copied)
            try:
                size = step.node.size
                if copied.size != size or not begin_alike(source, copy, size, self._interrupts):
                    place = self._to.shown(joined(parent, temporary))
                    raise OSError(errno.EIO, "what was written reads back as something else", place)
            finally:
                os.close(copy)
        finally:
            os.close(source)

    def _name(self, step: Step, temporary: bytes) -> None:
        """Rename to a free name, or link and unlink where the file system has no such rename."""
        parent, _, name = step.path.rpartition(b"/")
        to = self._to.directory(parent)
        try:
            try:
                rename_to_free(to, temporary, name)
            except OSError as error:
                if error.errno not in NOT_SUPPORTED:
                    raise
                os.link(temporary, name, src_dir_fd=to, dst_dir_fd=to, follow_symlinks=False)
                os.unlink(temporary, dir_fd=to)
        except FileExistsError:
            raise Changed(self._to.shown(step.path)) from None

    def _replace(self, step: Step, temporary: bytes, longer: Node) -> None:
        """Put the *longer* one in the place of the shorter one that it continues."""
        parent, _, name = step.path.rpartition(b"/")
        to, shown = self._to.directory(parent), self._to.shown(step.path)
        replace(to, temporary, name, longer, step.seen, shown)

    def _link_again(self, step: Step) -> None:
        """Make a further name of a file that was copied, as it has in the source."""
        first = self._first[step.node.inode]
        parent, _, name = step.path.rpartition(b"/")
        try:
            with _also(self._to.directory(parent_of(first))) as old:
                to = self._to.directory(parent)
                last = first.rpartition(b"/")[2]
                os.link(last, name, src_dir_fd=old, dst_dir_fd=to, follow_symlinks=False)
        except FileExistsError:
            raise Changed(self._to.shown(step.path)) from None
        except OSError as error:
            if error.errno not in NOT_SUPPORTED | {errno.EMLINK}:
                raise
            self._copy(step)
        else:
            self._report.count(step.node)


def _rename_directory(directory: int, old: bytes, new: bytes) -> None:
    """Rename a new directory; one of ``_TAKEN`` where the name is not free.

    Where there is no rename that spares what is there (NFS), rename(2) is as good: it replaces
    nothing but an empty directory.
    """
    try:
        rename_to_free(directory, old, new)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


@contextmanager
def _also(descriptor: int) -> Iterator[int]:
    """Keep a directory open while its tree is asked for others."""
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


def _node(descriptor: int) -> Node:
    return Node.of(os.fstat(descriptor))


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError:
        return []
