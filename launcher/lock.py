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


@contextmanager
def locked(
    state: str,
    verb: str,
    interrupts: Interrupts,
    also: str | None = None,
    *,
    patience: float | None = None,
) -> Iterator[None]:
    """Hold the lock of the state directory *state*, made where it is missing.

    *also* is a second one that is held where there can be one: the user's default place, so
    that launchers exclude each other even while somebody moves the state directory.

    Waits *patience* seconds (None: ``PATIENCE``) for another holder, then raises Locked with its
    pid and verb. The kernel drops the lock with its holder, however that ends, so none is ever
    stale. Raises NotJudged where there can be no lock file.
    """
    with ExitStack() as held:
        if also is not None and os.path.isabs(also) and also != state:
            with suppress(NotJudged):
                held.enter_context(_held(also, verb, interrupts, patience))
        held.enter_context(_held(state, verb, interrupts, patience))
        yield


@contextmanager
def _held(state: str, verb: str, interrupts: Interrupts, patience: float | None) -> Iterator[None]:
    path = os.path.join(state, "lock")
    try:
        make_readable(state)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotJudged(f"no lock can be taken: {path}: {error.strerror}") from error
    try:
        _acquire(descriptor, path, interrupts, PATIENCE if patience is None else patience)
        with suppress(OSError):  # a full disk; the lock holds without its holder's name
            if os.pread(descriptor, 4, 0) not in (b"", b"pid "):
                raise NotJudged(f"a file that is no lock stands there: {path}: move it away")
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}, launcher {verb}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def conversations_locked(projects: str, interrupts: Interrupts) -> Iterator[None]:
    """Hold the lock of all conversations whose transcripts are in the directory *projects*.

    Launchers of other inventories, or under another HOME, have a lock of their own; what they
    share is the directory itself, so that this is the lock (flock(2) takes a directory). Nothing
    is written. Where there is no such lock (NFS) those of :func:`locked` are all there is.
    Raises Locked.
    """
    try:
        descriptor = os.open(projects, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # whoever starts a session there says what is wrong with it
        return
    try:
        with suppress(OSError):
            _acquire(descriptor, projects, interrupts, PATIENCE)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: str, interrupts: Interrupts, patience: float) -> None:
    until = monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= until:
                raise Locked(f"another launcher is at work{_holder(descriptor)}: {path}") from None
            interrupts.sleep(0.05)


def _holder(descriptor: int) -> str:
    try:
        return f" ({os.pread(descriptor, 200, 0).decode(errors='replace').strip()})"
    except IsADirectoryError:
        return ""
