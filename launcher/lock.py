"""One launcher at a time works on an inventory's homes and sessions."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic

from launcher.directories import make_readable
from launcher.errors import Locked, NotJudged
from launcher.interrupts import Interrupts

PATIENCE = 10.0
"""Seconds to wait for another launcher: longer than a gate or a start takes when all is well."""

NAME = "lock"
"""The lock file, in the state directory."""


@contextmanager
def locked(
    state: str,
    verb: str,
    interrupts: Interrupts,
    also: str | None = None,
    *,
    patience: float | None = None,
) -> Iterator[None]:
    """Hold the lock of the state directory *state*, which is created if it is missing.

    Two things are locked. The directory itself stays as long as there is anything in it, so a
    launcher whose lock file is removed while it works still keeps the others out. The file
    ``lock`` names the holder, keeps out launchers of older versions, which lock nothing else, and
    on NFS those of other hosts: the client sends a file's flock(2) to the server (nfs(5),
    ``local_lock``), and keeps a directory's to its own host.

    *also* is a second state directory that is locked if it can be: the user's default place, so
    that launchers exclude each other even while somebody moves the state directory.

    Waits *patience* seconds (None: ``PATIENCE``) for another holder, then raises Locked with its
    pid and verb. The kernel drops the lock with its holder, however that ends, so none is ever
    stale. Raises NotJudged if no lock file can be made or locked.
    """
    until = monotonic() + (PATIENCE if patience is None else patience)
    with ExitStack() as held:
        default = None
        if also is not None and os.path.isabs(also):
            with suppress(NotJudged):
                default = held.enter_context(_held(also, verb, interrupts, until))
        held.enter_context(_held(state, verb, interrupts, until, default))
        yield


@contextmanager
def conversations_locked(projects: str, interrupts: Interrupts) -> Iterator[None]:
    """Hold the lock of all conversations whose transcripts are in the directory *projects*.

    Launchers of other inventories, or under another HOME, have a lock of their own; what they
    share is the directory itself, so that this is the lock (flock(2) takes a directory). Nothing
    is written. A file system that cannot lock a directory leaves only the locks of
    :func:`locked`. Raises Locked.
    """
    try:
        descriptor = os.open(projects, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # whoever starts a session there says what is wrong with it
        return
    try:
        with suppress(OSError):
            _acquire(descriptor, projects, interrupts, monotonic() + PATIENCE)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _held(
    state: str,
    verb: str,
    interrupts: Interrupts,
    until: float,
    default: os.stat_result | None = None,
) -> Iterator[os.stat_result]:
    """Hold directory and file of *state*; yield the directory's status.

    If the directory is *default*, this launcher holds it already, and would wait for itself.
    """
    path = os.path.join(state, NAME)
    with ExitStack() as opened:
        try:
            make_readable(state)
            status = os.stat(state)
            if default is None or not os.path.samestat(status, default):
                _sign(_taken(state, interrupts, until, opened), path, verb)
        except OSError as error:
            raise NotJudged(f"no lock can be taken: {path}: {error.strerror}") from error
        yield status


def _taken(state: str, interrupts: Interrupts, until: float, opened: ExitStack) -> int:
    """Lock the directory *state* and the file in it, which is returned; *opened* closes both.

    What counts is what is at the path once it is locked. A directory or file that was removed or
    replaced meanwhile keeps nobody out, so the one that is there now is tried.
    """
    path = os.path.join(state, NAME)
    while True:
        interrupts.check()
        make_readable(state)
        with ExitStack() as tried:
            directory = _open_directory(state)
            tried.callback(os.close, directory)
            with suppress(OSError):  # it cannot be read, or there are no such locks
                _acquire(directory, path, interrupts, until, directory)
            file = os.open(NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=directory)
            tried.callback(os.close, file)
            _acquire(file, path, interrupts, until, directory)
            if _is_at(file, path) and _is_at(directory, state):
                opened.push(tried.pop_all())
                return file


def _open_directory(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # it may still be entered; only its own lock cannot be had
        return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _is_at(descriptor: int, path: str) -> bool:
    """Return whether *descriptor* is what is at *path* now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(file: int, path: str, verb: str) -> None:
    """Write into the lock file who holds it."""
    with suppress(OSError):  # a full disk; the lock holds without its holder's name
        if os.pread(file, 4, 0) not in (b"", b"pid "):
            raise NotJudged(f"a file that is no lock stands there: {path}: move it away")
        os.ftruncate(file, 0)
        os.pwrite(file, f"pid {os.getpid()}, launcher {verb}\n".encode(), 0)


def _acquire(
    descriptor: int, path: str, interrupts: Interrupts, until: float, state: int | None = None
) -> None:
    """Lock *descriptor*, called *path*, which is the state directory *state* or the file in it.

    Raises Locked if another launcher holds it until *until*, by the monotonic clock, and OSError
    if the file system has no such locks.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= until:
                from launcher.lock_holder import holder  # only a launcher that is refused needs it

                pid, who = holder(descriptor, state)
                look = "" if pid is None else f", or see what it does with: ps -fp {pid}"
                raise Locked(
                    f"another launcher is at work{who}: {path}: wait for it{look}; the lock is "
                    "never stale: the kernel drops it when its holder ends, so do not remove it"
                ) from None
            interrupts.sleep(0.05)
