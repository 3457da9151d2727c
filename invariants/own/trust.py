"""Whether a path can be trusted: nobody but root and this user can change what it leads to."""

from __future__ import annotations

import errno
import os
import stat

from invariants.access import other_writers, user_name
from invariants.finding import quoted

_MOST_LINKS = 40  # the kernel's own limit, path_resolution(7)


class Untrusted(Exception):
    """Others could change what stands at the path; the text says who, where, and the fix."""


def trusted(path: str) -> str:
    """Follow the absolute *path* step by step; return where it leads, free of symlinks.

    Each directory on the way, each symlink and the end must be root's or this user's, and none
    of them may be open to others for writing: whoever can write a directory can replace what is
    in it. A sticky directory on the way (``/tmp``) protects what it holds; as the end it does not,
    since others could add to it. Raises Untrusted; OSError where the path cannot be followed.
    """
    left = path.split("/")[::-1]
    here, links = "/", 0
    status = os.lstat(here)
    _refuse_other_owner(here, status)
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        _refuse_other_writers(here, status, on_the_way=True)
        if name == "..":
            here = os.path.dirname(here)
            status = os.lstat(here)
            continue
        step = os.path.join(here, name)
        found = os.lstat(step)
        _refuse_other_owner(step, found)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            text = os.readlink(step)
            left += text.split("/")[::-1]
            if text.startswith("/"):
                here = "/"
                status = os.lstat(here)
            continue
        here, status = step, found
    _refuse_other_writers(here, status, on_the_way=False)
    return here


def _refuse_other_owner(path: str, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise Untrusted(f"{path} belongs to {user_name(status.st_uid)}, who could change it")


def _refuse_other_writers(path: str, status: os.stat_result, *, on_the_way: bool) -> None:
    if on_the_way and stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return
    if writers := other_writers(status, path):
        fix = quoted("chmod", "go-w", path)
        raise Untrusted(f"{path} can be written by {writers} (fix: {fix})")
