"""Whose word the launcher takes: who can have written its state, its report, its history.

A report, a record or a history counts only if root, this user or, for root who asks, the user of
the inventory wrote it, and nobody else can. The directory of the report may be anybody's: whoever
can write there can replace the report, and owns what replaces it. The state directory holds locks
and what sessions are started by, so that nobody else may write it at all.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from invariants.access import other_writers, user_name
from invariants.finding import quoted, shown
from invariants.fixes import free_name
from invariants.inventory import Inventory, InventoryError, load
from invariants.opening import open_at_once
from invariants.safety import is_guarded, trusted_users, unsafe
from invariants.schema import RECORDS

_DIRECTORIES = (*RECORDS, "died", "holders", "watches")
"""What the launcher makes in its state directory."""


def loaded(path: str, *, asks: bool = False) -> Inventory:
    """Read the inventory at *path*, and see that nobody else can write its state directory.

    With *asks*, for a verb that only reads, root may ask about the inventory of another user,
    whose home ``~`` is then. Raises InventoryError.
    """
    owner = _owner(path) if asks and os.geteuid() == 0 else None
    with home_is(_home_of(owner)):
        inventory = load(path, () if owner is None else (owner,))
    if problems := unsafe_state(inventory, asks=asks):
        settings = inventory.settings
        raise InventoryError([path], problems, settings.report, settings.prometheus)
    return inventory


def unsafe_state(inventory: Inventory, *, asks: bool = False) -> list[str]:
    """Say why others could change what is in the state directory of *inventory*.

    One that is missing, or cannot be looked at, is safe: whoever needs it says what is wrong.
    """
    state = inventory.settings.state
    try:
        status = os.stat(state)
    except OSError:
        return []
    users = trusted_users()
    if asks and os.geteuid() == 0:
        users |= _state_users(inventory)
    try:
        parts = list(_unsafe_parts(state, status, users))
    except OSError as error:
        parts = [(state, f"cannot be looked at: {error.strerror}")]
    return [f"launcher.state: {shown(path)} {why}" for path, why in parts]


def _unsafe_parts(
    state: str, status: os.stat_result, users: Collection[int]
) -> Iterator[tuple[str, str]]:
    """Yield each path of the state directory that others could change, and why."""
    for why in unsafe(state, status, state, users):
        yield state, why
    for name in _DIRECTORIES:
        with suppress(FileNotFoundError, NotADirectoryError):
            path = os.path.join(state, name)
            for why in _changeable(path, os.stat(path), path, users):
                yield path, why
    if status.st_mode & stat.S_ISVTX and other_writers(status, state):
        with os.scandir(state) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it may be another launcher's, on its way
                    owner = entry.stat(follow_symlinks=False).st_uid
                    if owner in users:
                        continue
                    fix = _aside(entry.path)
                    yield entry.path, f"belongs to {user_name(owner)} (fix: {fix})"


def _aside(path: str) -> str:
    return quoted("mv", path, free_name(path, "aside"))


def _changeable(
    path: str, status: os.stat_result, file: str | int, users: Collection[int]
) -> Iterator[str]:
    if status.st_uid not in users:
        why = f"belongs to {user_name(status.st_uid)}, who could write anything there"
        yield f"{why} (fix: {_aside(path)})"
    elif writers := other_writers(status, file):
        yield f"can be written by {writers} (fix: {quoted('chmod', 'go-w', path)})"


def _state_users(inventory: Inventory) -> set[int]:
    """Return whom root believes of *inventory*: its owner, and whose its state directory is.

    The latter counts only if nobody else could have made that directory.
    """
    owners = set()
    with suppress(OSError):
        owners.add(os.stat(inventory.path).st_uid)
    with suppress(OSError):
        uid = os.stat(inventory.settings.state).st_uid
        if is_guarded(inventory.settings.state, uid):
            owners.add(uid)
    return owners


def believed(inventory: Inventory) -> frozenset[int]:
    """Return the uids whose report of *inventory* counts for this process's user."""
    users = trusted_users()
    return users | _state_users(inventory) if os.geteuid() == 0 else users


def open_trusted(path: str, users: Collection[int]) -> IO[bytes]:
    """Open the file at *path*, which only *users* can have written, to be read.

    A symlink must be one of theirs too. Raises OSError, also for what somebody else could have
    written; its text has the fix.
    """
    refuse_link_of_others(path, users)
    file = open_at_once(path)
    try:
        status = os.fstat(file.fileno())
        for why in _changeable(path, status, file.fileno(), users):
            raise OSError(errno.EPERM, f"it {why}")
    except OSError:
        file.close()
        raise
    return file


def refuse_link_of_others(path: str, users: Collection[int]) -> None:
    """Raise OSError if there is a symlink at *path* that belongs to none of *users*."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in users:
        raise OSError(errno.EPERM, "it is a symlink of another user's")


def users_of(directory: str) -> frozenset[int]:
    """Return the uids whose files in a state *directory* count.

    Its owner is one of them: :func:`loaded` has judged whose it may be. Raises OSError.
    """
    return trusted_users() | {os.stat(directory).st_uid}


def _owner(path: str) -> int | None:
    with suppress(OSError):
        return os.stat(path).st_uid
    return None


def _home_of(uid: int | None) -> str | None:
    """Return the home of *uid* if it is another user than this process's."""
    if uid is None or uid == os.geteuid():
        return None
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None


@contextmanager
def home_is(home: str | None) -> Iterator[None]:
    """Have ``~`` be *home* meanwhile, unless that is None."""
    before = os.environ.get("HOME")
    try:
        if home is not None:
            os.environ["HOME"] = home
        yield
    finally:
        os.environ.pop("HOME", None)
        if before is not None:
            os.environ["HOME"] = before
