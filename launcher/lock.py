"""One launcher at a time works on an inventory's homes and sessions."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from launcher.errors import Locked, NotJudged
from launcher.interrupts import Interrupts

PATIENCE = 10.0
"""Seconds to wait for another launcher: longer than a gate or a start takes when all is well."""


@contextmanager
def locked(state: str, verb: str, interrupts: Interrupts) -> Iterator[None]:
    """Hold the lock of the state directory *state*, made where it is missing.

    Waits up to ``PATIENCE`` seconds for another holder, then raises Locked with its pid and
    verb. The kernel drops the lock with its holder, however that ends, so none is ever stale.
    Raises NotJudged where there can be no lock file.
    """
    path = os.path.join(state, "lock")
    try:
        os.makedirs(state, mode=0o755, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotJudged(f"no lock can be taken: {path}: {error.strerror}") from error
    try:
        _acquire(descriptor, path, interrupts)
        with suppress(OSError):  # a full disk; the lock holds without its holder's name
            if os.pread(descriptor, 4, 0) not in (b"", b"pid "):
                raise NotJudged(f"a file that is no lock stands there: {path}: move it away")
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}, launcher {verb}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: str, interrupts: Interrupts) -> None:
    until = monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= until:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                raise Locked(f"another launcher is at work ({holder}): {path}") from None
            interrupts.sleep(0.05)
