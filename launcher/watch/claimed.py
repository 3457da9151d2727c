"""The files of the claims of watches: one for each inventory, locked as long as its watch lives.

An inventory has as many path names as there are links and mounts that lead to it, so each file
says in several ways which one it is about.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from time import sleep
from typing import Any

from invariants.inventory import Inventory
from launcher.lock_holder import listed_holder
from launcher.processes import Process

_SUFFIX = ".lock"
_TRIES, _PAUSE = 20, 0.05  # a claim takes less than a millisecond


@contextmanager
def alone(directory: str) -> Iterator[None]:
    """Be the only one who claims anything in *directory*, which is created if it is missing."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # no such locks there
            for _ in range(_TRIES):
                if _lock(descriptor):
                    break
                sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def claimant(directory: str, inventory: Inventory, *, sweep: bool = False) -> int | None:
    """Return the pid of another process that claims *inventory* in *directory*, or None.

    With *sweep*, the files of claims that nobody keeps any more are removed.
    """
    own, ways = name(inventory), _ways(inventory)
    for entry in os.listdir(directory):
        path = os.path.join(directory, entry)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue  # just removed, or nothing of ours
        try:
            if _lock(descriptor) or _dies(descriptor):
                if sweep and entry.endswith(_SUFFIX):
                    os.unlink(path)
                continue
            if _holds(os.fstat(descriptor)) is not None:
                continue
            theirs = _read(descriptor)
            if entry == own or _is_one(ways, theirs):
                return int(listed_holder(descriptor) or theirs.get("pid", 0))
        finally:
            os.close(descriptor)
    return None


def _dies(descriptor: int) -> bool:
    """Return whether the holder has been killed, and only a dead mount keeps it from dying."""
    pid = listed_holder(descriptor)
    return pid is not None and Process(pid, 0).is_killed()


def opened(path: str) -> int:
    """Return a descriptor that holds the lock of the file at *path*, which nobody else holds.

    Before this process became this program, it may have held it already (execve(2)).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if _lock(descriptor):
        return descriptor
    status = os.fstat(descriptor)
    os.close(descriptor)
    inherited = _holds(status)
    if inherited is None:
        raise BlockingIOError(errno.EAGAIN, "another watch was faster")
    os.set_inheritable(inherited, False)
    return inherited


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holds(status: os.stat_result) -> int | None:
    """Return the descriptor by which this process holds the lock of the file of *status*."""
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), status) and _lock(number):
                return number
    return None


def name(inventory: Inventory) -> str:
    """Return the name of a claim: the same for all symlinks that lead to the inventory."""
    return sha256(os.fsencode(os.path.realpath(inventory.path))).hexdigest()[:16] + _SUFFIX


def _ways(inventory: Inventory) -> dict[str, Any]:
    """Return what a claim says: who makes it, and which inventory it is about.

    The inventory's file is a new one after each change by an editor, and the same file if it is
    mounted at a second path.
    """
    paths = {os.path.abspath(inventory.path), os.path.realpath(inventory.path)}
    file = None
    with suppress(OSError):
        status = os.stat(inventory.path)
        file = [status.st_dev, status.st_ino]
    return {"pid": os.getpid(), "paths": sorted(paths), "file": file}


def _is_one(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    same_file = ours["file"] is not None and ours["file"] == theirs.get("file")
    return same_file or not set(ours["paths"]).isdisjoint(theirs.get("paths", ()))


def _read(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(descriptor, 65536, 0))
    except ValueError:  # it is being written, or the disk was full
        return {}
    return content if isinstance(content, dict) else {}


def write(descriptor: int, inventory: Inventory) -> None:
    """Say in the file of a claim what it is about."""
    with suppress(OSError):  # a full disk; the file's name and its lock still count
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_ways(inventory)).encode(), 0)


def is_at(descriptor: int, path: str) -> bool:
    """Return whether *descriptor* is what is at *path* now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False
