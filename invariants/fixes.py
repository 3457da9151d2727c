"""The fix of a finding or a warning: one line, which a shell takes as it was meant.

It is one of three. Each can be pasted into sh(1) and bash(1), by the user who was told of it:

========================= ==========================================================================
``COMMAND``               mends it, maybe with a note behind ``  # ``, of what must come first
``COMMAND  # look: WORDS`` changes nothing: it shows what a person must see, and the words say what
                          to do about that
``# WORDS``               only words: a shell does nothing about it
========================= ==========================================================================

So prose stands behind ``#`` and nowhere else. No command removes or overwrites anything, but a
file's further name or an empty directory that the same line has made: what is in the way is moved
to a name that is free. What takes root is asked of sudo(8), unless it is root who is told.
"""

from __future__ import annotations

import os
import pwd
import stat
import struct

from invariants.access import user_name
from invariants.finding import quoted, shown

_GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
"""FS_IOC_GETFLAGS of ioctl_iflags(2), as most machines number it: _IOR('f', 1, long)."""

_IMMUTABLE = 0x10


def noted(command: str, note: str) -> str:
    """Return *command* with *note* behind it, for whoever is about to paste it.

    >>> noted("launcher ensure", "end every session first")
    'launcher ensure  # end every session first'
    """
    return f"{command}  {words_only(note)}"


def look(*words: str, note: str) -> str:
    """Return a command line that mends nothing, and says so: it shows what a person must see.

    >>> look("ls", "-ld", "/a b", note="where it leads")
    "ls -ld '/a b'  # look: where it leads"
    """
    return noted(quoted(*words), f"look: {note}")


def words_only(text: str) -> str:
    r"""Return *text* as a line that a shell takes for a comment, whatever the text holds.

    >>> words_only("free some space"), words_only("a\nrm -r b")
    ('# free some space', "# 'a\\nrm -r b'")
    """
    return f"# {shown(text)}"


def as_root(*words: str) -> str:
    """Return a command line that does as root what *words* say."""
    return quoted(*words) if os.geteuid() == 0 else quoted("sudo", *words)


def set_aside(path: str, suffix: str) -> str:
    """Return a command line that moves what is no directory into a new directory beside it.

    mkdir(1) fails aloud where something has got that name before the line is pasted, even a
    dangling symlink; ``mv -n`` to such a name would do nothing and, before coreutils 9.2, say 0.
    """
    aside = free_name(path, suffix)
    return f"{quoted('mkdir', aside)} && {quoted('mv', '-n', path, f'{aside}/')}"


def set_aside_as_root(path: str, suffix: str) -> str:
    """Return a command line that does as root what :func:`set_aside` does."""
    line = set_aside(path, suffix)
    return line if os.geteuid() == 0 else quoted("sudo", "sh", "-c", line)


def copied_apart(path: str) -> str:
    """Return a command line that makes of a file with several names one that has a single name.

    The other names keep the old file. The new one takes its place at once, with its mode and times.
    """
    new = free_name(path, "own")
    copy = f"{new}/{os.path.basename(path)}"
    return (
        f"{quoted('mkdir', new)} && {quoted('cp', '-p', path, copy)} && "
        f"{quoted('mv', '-f', copy, path)} && {quoted('rmdir', new)}"
    )


def free_name(path: str, suffix: str) -> str:
    """Return ``PATH.SUFFIX``, or the first of ``PATH.SUFFIX-2``, … that nothing has."""
    name, number = f"{path}.{suffix}", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.{suffix}-{number}"
    return name


def given_back(path: str, owner: int) -> str:
    """Return a command line that makes a file the running user's, which it is not.

    What belongs to root, as a fresh volume does, or to nobody is taken. What belongs to another
    user is not taken from them unasked: then the line only looks, and says how.
    """
    take = as_root("chown", str(os.geteuid()), path)
    if is_nobodys(owner):
        return take
    whose = user_name(owner)
    note = f"it belongs to {whose}: run the launcher as {whose}; or, to take it: {take}"
    return look("ls", "-ld", path, note=note)


def is_nobodys(owner: int) -> bool:
    """Return whether a file of *owner*'s is taken from no person: root's, or of an unknown user."""
    if owner == 0:
        return True
    try:
        pwd.getpwuid(owner)
    except KeyError:
        return True
    return False


def is_immutable(path: str) -> bool:
    """Return whether a file or directory has the attribute ``i`` of chattr(1), as far as is known.

    It keeps even root from changing it, and its mode says nothing of it.
    """
    import fcntl  # no check needs it where all is right

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flags = fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0))
    except OSError:
        return False  # the file system has no attributes
    finally:
        os.close(descriptor)
    return bool(struct.unpack("i", flags[:4])[0] & _IMMUTABLE)


def to_get_access(path: str, status: os.stat_result) -> tuple[str, str]:
    """Return what keeps the user from a directory that is there, in words, and what mends that.

    Its mode is its owner's business. *status* is the directory's, which is on no read-only mount.
    """
    found = f"of {user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"
    if is_immutable(path):
        return f"{found}, immutable (chattr +i)", as_root("chattr", "-i", path)
    if status.st_uid != os.geteuid():
        return found, given_back(path, status.st_uid)
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        return found, quoted("chmod", "u+rwx", path)
    return found, look("lsattr", "-d", path, note="an attribute, or a capability that is missing")
