"""A home with a real directory and a target, what they hold, and what must hold afterwards."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from invariants.links import LinkState, observe
from invariants.model import Account, Link
from launcher.adopt import Adopted, Adoption, Undone, adopt, undo
from launcher.adopt.busy import Premises, tenants
from launcher.adopt.names import dated, is_temporary
from launcher.adopt.plan import Subject
from launcher.adopt.target import UNFINISHED
from launcher.interrupts import Interrupts

Contents = Mapping[bytes, bytes | None]
"""Paths, and what they hold; None is a directory."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def at_work(premises: Premises, ignored: Collection[int] = ()) -> dict[int, str]:
    """Return who is at work there, and what shows it."""
    with Interrupts() as interrupts:
        return {one.pid: one.why for one in tenants(premises, ignored, interrupts)}


def unseen() -> list[str]:
    """Return the options that overlook what this machine's root cannot look into."""
    with tempfile.TemporaryDirectory() as nobodys:
        pids = at_work(Premises([], [nobodys]))
    return [word for pid in pids for word in ("--ignore-process", str(pid))]


_unseen = cache(unseen)


def overlooking(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> subprocess.CompletedProcess[str]:
    """Call *run* with those options; again where a process has come that cannot be looked into.

    A refusal writes nothing, so that it can be asked again.
    """
    for _ in range(10):
        result = run(*_unseen())
        if "it has open cannot be read" not in result.stdout + result.stderr:
            break
        _unseen.cache_clear()
    return result


class Everyone(Collection[int]):
    """All pids: for tests that are not about who is at work."""

    def __contains__(self, pid: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 1


class EveryoneBut(Everyone):
    """All pids but one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __contains__(self, pid: object) -> bool:
        return pid != self._pid


class Seen(NamedTuple):
    """One name: everything of it that an adoption must carry over."""

    content: bytes | None
    mode: int
    mtime: int
    xattrs: tuple[tuple[str, bytes], ...]
    inode: tuple[int, int]


def read(root: str | Path) -> dict[bytes, Seen]:
    """Return all that is below *root*, whatever its names and its depth."""
    found: dict[bytes, Seen] = {}
    below = [(os.open(root, _DIRECTORY), b"")]
    while below:
        directory, path = below.pop()
        for text in sorted(os.listdir(directory)):
            name = os.fsencode(text)
            whole = path + b"/" + name if path else name
            found[whole] = seen = _seen(directory, name)
            if stat.S_ISDIR(seen.mode):
                below.append((os.open(name, _DIRECTORY, dir_fd=directory), whole))
        os.close(directory)
    return found


def _seen(directory: int, name: bytes) -> Seen:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    content, xattrs = None, []
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode(os.readlink(name, dir_fd=directory))
    elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOATIME, dir_fd=directory)
        with suppress(OSError):
            xattrs = [(key, os.getxattr(descriptor, key)) for key in os.listxattr(descriptor)]
        if stat.S_ISREG(status.st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read()
        os.close(descriptor)
    inode = status.st_dev, status.st_ino
    return Seen(content, status.st_mode, status.st_mtime_ns, tuple(sorted(xattrs)), inode)


def assert_whole(before: Mapping[bytes, Seen], now: Mapping[bytes, Seen]) -> None:
    """All is there, and as it was; a file that the target has too may be as young as that one."""
    assert before.keys() == now.keys(), "the account's directory is not as it was"
    for path, seen in before.items():
        mtime = seen.mtime if seen.content is None else max(seen.mtime, now[path].mtime)
        assert seen._replace(mtime=mtime) == now[path], path


def write(root: str | Path, contents: Contents) -> None:
    """Create *contents* below *root*, by way of descriptors: no path is too long."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    for path, content in contents.items():
        *parents, name = path.split(b"/")
        directory = os.open(root, _DIRECTORY)
        for parent in parents:
            with suppress(FileExistsError):
                os.mkdir(parent, 0o700, dir_fd=directory)
            lower = os.open(parent, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = lower
        if content is None:
            with suppress(FileExistsError):
                os.mkdir(name, 0o750, dir_fd=directory)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(name, flags, 0o640, dir_fd=directory)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        os.close(directory)


class World:
    """One account with a real ``projects``, and the target that it is to lead to."""

    def __init__(self, root: Path, shared: Path | None = None) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.entry = self.home / "projects"
        self.target = (shared or root / "shared") / "projects"
        self.account = Account("backup", str(self.home))
        self.link = Link("projects", str(self.target))
        self.subject = Subject(self.account, self.link)
        self.ours: dict[bytes, Seen] = {}
        self.theirs: dict[bytes, Seen] = {}
        self.inode = 0

    def fill(self, ours: Contents, theirs: Contents) -> World:
        """Write both trees, with times of their own, and remember them."""
        write(self.entry, ours)
        write(self.target, theirs)
        return self.remember()

    def remember(self) -> World:
        """Remember both trees as they are now."""
        self.ours, self.theirs = read(self.entry), read(self.target)
        self.inode = self.entry.stat().st_ino
        return self

    def how(self, **options: Any) -> Adoption:
        options.setdefault("ignored", Everyone())
        return Adoption(accounts=[self.account], interrupts=Interrupts(), **options)

    def adopt(self, **options: Any) -> Adopted:
        return adopt([self.subject], self.how(**options))[0]

    def undo(self, **options: Any) -> Undone:
        return undo(self.subject, self.how(**options))

    @property
    def is_shared(self) -> bool:
        return observe(self.entry, self.target).state is LinkState.SHARED

    def dated(self, kind: str) -> list[Path]:
        return [self.home / one.name for one in dated(os.listdir(self.home), "projects", kind)]

    @property
    def old(self) -> Path:
        """The account's own directory, wherever it is now."""
        places = [self.entry, *self.dated("adopted")]
        return next(p for p in places if not p.is_symlink() and p.stat().st_ino == self.inode)

    def remember_ours(self) -> World:
        """Remember the account's directory; there is no target."""
        self.ours = read(self.entry)
        self.inode = self.entry.stat().st_ino
        return self

    # what must hold

    def assert_nothing_lost(self) -> None:
        """After whatever happened: the old directory is whole, and so is the target."""
        now = read(self.target) if self.target.exists() else {}
        shared = self._youngest(now).keys()
        old = read(self.old)
        apart = {path: seen for path, seen in self.ours.items() if seen.inode not in shared}
        assert apart == {path: old[path] for path in apart}, "it is not as it was"
        assert_whole(self.ours, old)
        assert self.is_shared or not self.entry.is_symlink()
        for path, seen in self.theirs.items():
            if seen.content is None:
                assert stat.S_ISDIR(now[path].mode)
            elif now[path].content != seen.content:
                assert path.endswith(b".jsonl"), path
                assert (now[path].content or b"").startswith(seen.content), path

    def assert_adopted(self, *, linked: bool = True) -> None:
        """After it came to its end: the link is right, and each file is where it belongs.

        *linked*: names of one inode must be that again, and, within a file system, be the old
        directory's.
        """
        self.assert_nothing_lost()
        assert self.is_shared
        now, kept = read(self.target), self._kept()
        youngest = self._youngest(now)
        for path, seen in self.ours.items():
            if path in now and path not in kept:
                seen = seen._replace(mtime=max(seen.mtime, youngest.get(now[path].inode, 0)))
            if path in kept:
                _assert_carried(seen, kept[path])
            elif path not in self.theirs:
                _assert_carried(seen, now[path])
            elif seen.content is not None:
                assert (now[path].content or b"").startswith(seen.content), path
        if linked:
            self._assert_links_survive(now, kept)
        assert not [path for path in now if is_temporary(path.rpartition(b"/")[2])]
        assert [self.old] == self.dated("adopted"), "something is left at a dated name"
        before = Counter(seen.content for seen in (*self.ours.values(), *self.theirs.values()))
        after = [one.content for one in (*now.values(), *kept.values(), *self.ours.values())]
        for content in before:
            assert any(content == one or _continues(one, content) for one in after)
        if linked and self.ours and self.home.stat().st_dev == self.target.stat().st_dev:
            taken = self.ours.keys() - self.theirs.keys() - kept.keys()
            files = [path for path in taken if self.ours[path].content is not None]
            assert all(now[path].inode == self.ours[path].inode for path in files)

    def _youngest(self, now: dict[bytes, Seen]) -> dict[tuple[int, int], int]:
        """Return, by the inode that the target has now, the younger time of files in both."""
        found: dict[tuple[int, int], int] = {}
        for path in self.ours.keys() & self.theirs.keys() & now.keys():
            if now[path].content is not None:
                times = (self.ours[path].mtime, self.theirs[path].mtime)
                found[now[path].inode] = max(found.get(now[path].inode, 0), *times)
        return found

    def _kept(self) -> dict[bytes, Seen]:
        """Return what was kept apart, without the directories that only lead there."""
        found: dict[bytes, Seen] = {}
        for place in self.dated("kept"):
            for path, seen in read(place).items():
                if seen.content is not None or path not in self.theirs:
                    found[path] = seen
        return found

    def _assert_links_survive(self, now: dict[bytes, Seen], kept: dict[bytes, Seen]) -> None:
        """Names of one inode that were taken over are names of one inode again."""
        groups: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for path, seen in self.ours.items():
            if seen.content is not None and path not in self.theirs and path not in kept:
                groups.setdefault(seen.inode, set()).add(now[path].inode)
        assert all(len(inodes) == 1 for inodes in groups.values())


def _continues(one: bytes | None, content: bytes | None) -> bool:
    return one is not None and content is not None and one.startswith(content)


def _assert_carried(before: Seen, after: Seen) -> None:
    assert before.content == after.content
    assert before.mode == after.mode
    assert before.mtime == after.mtime
    assert before.xattrs == after.xattrs
    assert UNFINISHED not in dict(after.xattrs)
