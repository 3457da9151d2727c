"""Whether others could change a file or directory that the launcher goes by."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from invariants.access import other_writers, user_name
from invariants.finding import quoted


def trusted_users() -> frozenset[int]:
    """Return the uids that may write what this process goes by: root and its own user."""
    return frozenset({0, os.geteuid()})


def unsafe(path: str, status: os.stat_result, file: str | int, users: Collection[int]) -> list[str]:
    """Say why somebody else than *users* could change what is at the absolute *path*.

    *status* is what the path leads to, *file* that or a descriptor of it. A sticky directory
    protects what is in it, as in ``/tmp``: so one is safe, and so is what lies in one. Raises
    OSError.
    """
    problems = []
    if status.st_uid not in users:
        owner = user_name(status.st_uid)
        problems.append(f"belongs to {owner}, who could change what is run as you")
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if not is_sticky and (writers := other_writers(status, file)):
        problems.append(f"can be written by {writers} (fix: {quoted('chmod', 'go-w', path)})")
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in users:
        owner = user_name(link.st_uid)
        problems.append(f"is a symlink of {owner}'s, who could lead it elsewhere")
    # Where the path is a symlink, the link can be replaced as well as what it leads to.
    beside = os.path.realpath(os.path.dirname(path))
    for directory in dict.fromkeys((beside, os.path.dirname(os.path.realpath(path)))):
        above = os.stat(directory)
        if not above.st_mode & stat.S_ISVTX and (writers := other_writers(above, directory)):
            fix = quoted("chmod", "go-w", directory)
            problems.append(f"can be replaced by {writers}, who can write {directory} (fix: {fix})")
    return problems


def is_guarded(path: str, uid: int) -> bool:
    """Return whether nobody but root and *uid* could have made what is at the absolute *path*.

    That takes a path without symlinks, and no directory above it that anybody else can write,
    sticky or not. Raises OSError.
    """
    if os.path.realpath(path) != path:
        return False
    while path != "/":
        path = os.path.dirname(path)
        status = os.stat(path)
        if status.st_uid not in (0, uid) or other_writers(status, path):
            return False
    return True
