"""JSON files of a home: read whole, bounded, and in words that tell nothing of what they hold."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

MAX_BYTES = 32 * 1024 * 1024
"""The largest file that is read; the `.claude.json` of a home that is used for years has a few."""

NO_FILE = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
"""What stands in a file's place."""

DANGLING = "is a symlink that leads nowhere"
_ATTEMPTS = 4


class Unreadable(Exception):
    """A file is there, and what it says cannot be told: ``str()`` names the file, and says why.

    ``path`` is where it is, if that need not be in an account's home; ``large`` is where it is, if
    all that is wrong with it is its size.
    """

    def __init__(self, text: str, path: str | None = None, large: str | None = None) -> None:
        super().__init__(text)
        self.path = path
        self.large = large


def read_object(path: str, *, blank: bool = False) -> Mapping[str, Any] | None:
    """Return the JSON object in the file at *path*, or None where there is none.

    A file of nothing but white space is an empty object where it may be *blank*. Symlinks are
    followed, as Claude Code does. Opening never waits, so a named pipe in the file's place
    cannot hang its reader. A file that is replaced or written to meanwhile is read again. Raises
    Unreadable for whatever is no file with an object in it; no part of the file is in the
    message.
    """
    name = os.path.basename(path)
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.islink(path):
                raise Unreadable(f"{name} {DANGLING}") from error
            return None
        except OSError as error:
            raise Unreadable(f"{name} is unreadable: {error.strerror}") from error
        try:
            before = os.fstat(descriptor)
            text = _content(descriptor, before, path)
            after = os.fstat(descriptor)
        except OSError as error:
            raise Unreadable(f"{name} is unreadable: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            continue
        return {} if blank and not text.strip() else _object(text, name)
    raise Unreadable(f"{name} keeps changing while it is read")


def _content(descriptor: int, status: os.stat_result, path: str) -> str:
    name = os.path.basename(path)
    if not stat.S_ISREG(status.st_mode):
        what = NO_FILE.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise Unreadable(f"{name} is {what}")
    if status.st_size > MAX_BYTES:
        size = f"{status.st_size} bytes, at most {MAX_BYTES} are read"
        raise Unreadable(f"{name} is too large: {size}", large=path)
    with open(descriptor, "rb", closefd=False) as file:
        content = file.read(MAX_BYTES + 1)
    # A byte order mark, and bytes that are not UTF-8, are nothing to Claude Code (measured).
    return content.decode("utf-8-sig", errors="replace")


def _object(text: str, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        # Without its cause: that holds the whole text.
        raise Unreadable(f"{name} is not JSON ({where})") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{name} is JSON that cannot be taken in") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{name} holds no JSON object")
    return value
