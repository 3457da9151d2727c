"""Who besides its owner can write a file or directory."""

from __future__ import annotations

import grp
import os
import pwd
import stat


def user_name(uid: int) -> str:
    """Return the login name of *uid*, or ``uid N`` where nobody has it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def other_writers(status: os.stat_result) -> str | None:
    """Name who besides the owner can write, or None where nobody can.

    Only the mode counts: a POSIX ACL that grants more shows in the group bits, which hold
    its mask (acl(5)). The owner's private group is not "others": Debian and Red Hat give
    every user one, and set its write bit by default (umask 002).

    >>> other_writers(os.stat("/etc/passwd")) is None
    True
    """
    if status.st_mode & stat.S_IWOTH:
        return "everyone"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        try:
            return f"group {grp.getgrgid(status.st_gid).gr_name}"
        except KeyError:
            return f"group {status.st_gid}"
    return None


def _is_private(gid: int, uid: int) -> bool:
    """Tell whether nobody but *uid* is in the group *gid*."""
    try:
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    if owner.pw_gid != gid or not set(group.gr_mem) <= {owner.pw_name}:
        return False
    return all(user.pw_uid == uid for user in pwd.getpwall() if user.pw_gid == gid)
