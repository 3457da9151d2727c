"""Where reports come from: files, directories as they were fetched, or standard input.

Nothing is passed over in silence: what cannot be a report is a source too, that says why.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from itertools import pairwise

from launcher.fleet.lines import lines
from launcher.fleet.source import LIMIT, Source
from launcher.interrupts import Waiting

STANDARD_INPUT = "-"
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_TOP = frozenset(
    {"bin", "boot", "data", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root"}
    | {"run", "sbin", "srv", "sys", "tmp", "usr", "var"}
)
"""What stands in the root directory of a VM (hier(7)): the name of the VM comes before it."""

_BESIDE = re.compile(r"\.[^/]+\.\d+\.new")
"""A report that is being written (launcher.replacing); the whole one is, or was, beside it."""


def sources(paths: Iterable[str], waiting: Waiting) -> Iterator[Source]:
    """Yield what is found at *paths*, each read when its turn comes; ``-`` is standard input.

    A symlink to a directory is followed where it is one of *paths*, and told of elsewhere. Raises
    Interrupted where a signal ends the wait for standard input.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            yield from lines(waiting)
            continue
        parts = [part for part in os.path.abspath(path).split("/") if part]
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            yield Source(path, filed(parts[-2:]), problem=_no_report(error))
            continue
        if stat.S_ISDIR(mode):
            yield from _below(path, parts[-1:])
        elif stat.S_ISREG(mode):
            yield _file(path, parts[-2:])
        else:
            yield Source(path, filed(parts[-2:]), problem=_SPECIAL)


_SPECIAL = "it is no regular file"
_NOTHING = "no report: the directory is empty"
_LINKED = "it is a symlink to a directory: name what it leads to as a PATH of its own"


def filed(parts: list[str]) -> str:
    """Return the VM's name from *parts*: the name of a PATH, and of all below it.

    >>> filed(["reports", "vm-7", "home", "me", "report.json"])
    'vm-7'
    >>> filed(["reports", "prod", "vm-7", "report.json"]), filed(["reports", "vm-7.json"])
    ('vm-7', 'vm-7')
    """
    for name, following in pairwise(parts):
        if following in _TOP:
            return name
    stem = parts[-1].removesuffix(".json") if parts else ""
    return parts[-2] if len(parts) > 2 or (stem == "report" and len(parts) > 1) else stem


def _below(top: str, above: list[str]) -> Iterator[Source]:
    """Yield what is below the directory *top*, whose own name is the last of *above*."""
    waiting = [(top, above)]
    while waiting:
        directory, parts = waiting.pop()
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Source(directory, _directory(parts), problem=_no_report(error))
            continue
        # No name of a host begins with a dot (RFC 1123); below one, `.local` is on the way.
        entries = [entry for entry in entries if not _is_passed_over(entry.name, parts is above)]
        if not entries:
            yield Source(directory, _directory(parts), problem=_NOTHING)
        directories = []
        for entry in entries:
            here = [*parts, entry.name]
            if _is_directory(entry):
                directories.append((entry.path, here))
            else:
                yield _entry(entry, here)
        waiting += reversed(directories)


def _is_passed_over(name: str, at_top: bool) -> bool:
    return (at_top and name.startswith(".")) or _BESIDE.fullmatch(name) is not None


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Tell whether *entry* is a directory itself; what cannot be looked at is told of later."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _directory(parts: list[str]) -> str:
    """Return the name of the VM that a directory is of, as if its report stood in it."""
    return filed([*parts, "report.json"])


def _entry(entry: os.DirEntry[str], parts: list[str]) -> Source:
    try:
        if entry.is_file():
            return _file(entry.path, parts)
        linked = entry.is_dir()
        entry.stat()  # a symlink that leads nowhere says so
    except OSError as error:
        return Source(entry.path, filed(parts), problem=_no_report(error))
    return Source(entry.path, filed(parts), problem=_LINKED if linked else _SPECIAL)


def _file(path: str, parts: list[str]) -> Source:
    name = filed(parts)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return Source(path, name, problem=_SPECIAL)
            if status.st_size > LIMIT:
                return Source(path, name, problem=_too_large(status.st_size))
            content = _read(descriptor, status.st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Source(path, name, problem=_no_report(error))
    return Source(path, name, content) if content else Source(path, name, problem="it is empty")


def _read(descriptor: int, size: int) -> bytes:
    """Return what a file of *size* bytes holds; one that grows meanwhile is read as far."""
    blocks = []
    while size > 0 and (block := os.read(descriptor, size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _no_report(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no report: there is no such file"
    return f"it cannot be read: {error.strerror or error}"


def _too_large(size: int) -> str:
    return f"it has {size / 1e6:.0f} MB: no report is larger than {LIMIT / 1e6:.0f} MB"
