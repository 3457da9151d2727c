"""Who besides its owner can write a file or directory."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NSSWITCH = "/etc/nsswitch.conf"
_LISTED = frozenset({"files", "compat", "db", "altfiles", "extrausers", "systemd"})
"""The sources of users and groups that list everyone whom they know (nsswitch.conf(5))."""
_DATABASES = ("passwd", "group", "initgroups")
_FILES = ("/etc/passwd", "/etc/group")

_ACCESS_LIST = "system.posix_acl_access"
_HEADER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION = 2
_USER, _GROUP_OBJ, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10
_WRITE = 2


class AccessListError(OSError):
    """An access list has a form that this version does not know."""


class _Entry(NamedTuple):
    """An entry of an access list (acl(5)): a tag, permission bits, a uid or gid for two tags."""

    tag: int
    permissions: int
    number: int


DATABASES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
"""The files that say who is in which group, if nothing else on the machine does."""


def user_name(uid: int) -> str:
    """Return the login name of *uid*, or ``uid N`` where nobody has it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def other_writers(status: os.stat_result, path: str | int | None = None) -> str | None:
    """Name who besides the owner, root and this process's user can write, or None for nobody.

    *path* is a path or a descriptor of what *status* is about. With it, a POSIX access list counts
    entry by entry, each through the list's mask; without it, only the mode counts. A group that is
    the owner's or this user's own is not "others": Debian and Red Hat give every user one, and set
    its write bit by default (umask 002). Raises OSError if the access list cannot be read.

    >>> other_writers(os.stat("/etc/passwd"), "/etc/passwd") is None
    True
    """
    if status.st_mode & stat.S_IWOTH:
        return "everyone"
    if not status.st_mode & stat.S_IWGRP:  # with an access list, these bits hold its mask
        return None
    users = {status.st_uid, os.geteuid()}
    entries = () if path is None else access_list(path)
    if not entries:
        return _group_name(status.st_gid, users)
    return ", ".join(_named(entries, status.st_gid, users)) or None


def access_list(path: str | int) -> tuple[_Entry, ...]:
    """Return the access list of *path*, a path or a descriptor; nothing if it has none.

    A symlink is followed. Raises OSError if the list cannot be read or made sense of.
    """
    try:
        content = os.getxattr(path, _ACCESS_LIST)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return ()
        raise
    if len(content) < _HEADER.size or (len(content) - _HEADER.size) % _ENTRY.size:
        raise AccessListError(errno.EINVAL, "its access list is torn")
    (version,) = _HEADER.unpack_from(content)
    if version != _VERSION:
        raise AccessListError(errno.EINVAL, f"its access list is of version {version}")
    return tuple(map(_Entry._make, _ENTRY.iter_unpack(content[_HEADER.size :])))


def _named(entries: Iterable[_Entry], gid: int, users: set[int]) -> Iterator[str]:
    """Name all whom the *entries* let write. *gid* is the group that owns the file."""
    entries = tuple(entries)
    mask = next((one.permissions for one in entries if one.tag == _MASK), _WRITE)
    for tag, permissions, number in entries:
        if not permissions & mask & _WRITE:
            continue
        if tag == _USER and number not in {0, *users}:
            yield f"user {user_name(number)} (access list)"
        elif tag == _GROUP_OBJ and (name := _group_name(gid, users)):
            yield name
        elif tag == _GROUP and (name := _group_name(number, users)):
            yield f"{name} (access list)"


def _group_name(gid: int, users: set[int]) -> str | None:
    """Name the group *gid*, or return None if it is the own group of one of *users*."""
    unlisted = unlisted_source()
    is_own = gid != 0 and any(_is_own(gid, uid) for uid in users)
    if is_own and unlisted is None:
        return None
    try:
        name = f"group {grp.getgrgid(gid).gr_name}"
    except KeyError:
        return f"group {gid}"
    return f"{name} (whose members in {unlisted} cannot be listed)" if is_own else name


def _is_own(gid: int, uid: int) -> bool:
    """Return whether *gid* is the primary group of *uid*, named like it, with no other member."""
    try:
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    if owner.pw_gid != gid or group.gr_name != owner.pw_name:
        return False
    if not set(group.gr_mem) <= {owner.pw_name}:
        return False
    return all(user.pw_uid == uid for user in pwd.getpwall() if user.pw_gid == gid)


def unlisted_source() -> str | None:
    """Return a source of users or groups that does not list everyone it knows, or None.

    A directory service (``sss``, ``ldap``, ``winbind``) can put users into any group of this
    machine, and does not name them if asked for the group's members. Its mere mention counts:
    whether the service answers changes from one moment to the next.
    """
    try:
        with open(NSSWITCH, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None  # then the C library asks the files only
    except OSError as error:
        return f"{NSSWITCH}, which cannot be read ({error.strerror}),"
    for line in lines:
        database, _, sources = line.partition("#")[0].partition(":")
        if database.strip() not in _DATABASES:
            continue
        for source in re.sub(r"\[[^]]*\]", " ", sources).split():
            if source not in _LISTED:
                return source
            if source == "compat" and any(map(_asks_nis, _FILES)):
                return "nis"
    return None


def _asks_nis(path: str) -> bool:
    """Return whether a file in the form of ``compat`` names more than itself (nsswitch.conf(5))."""
    try:
        with open(path, "rb") as file:
            return any(line.startswith(b"+") for line in file)
    except OSError:
        return True
