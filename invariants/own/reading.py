"""Reads the directories of own invariants. Each file is read once: what was judged is what runs."""

from __future__ import annotations

import os
from collections.abc import Iterable

from invariants.own.contents import MAX_BYTES, content, is_judged
from invariants.own.model import Own, OwnFile, Unjudged
from invariants.own.rules import RuleBroken, read_tests
from invariants.own.trust import Untrusted, trusted


def read_own(directories: Iterable[str]) -> Own:
    """Read all files of the absolute *directories*, in the order of their names.

    Nothing is raised for what they hold: what cannot be judged is part of the answer. May hang
    where a file system does; the caller bounds it.
    """
    files: list[OwnFile] = []
    unjudged: list[Unjudged] = []
    defined: dict[str, str] = {}
    for directory in directories:
        try:
            names = _names(directory)
        except (RuleBroken, Untrusted, OSError) as error:
            unjudged.append(Unjudged(directory, _reason(error)))
            continue
        for name in names:
            path = os.path.join(directory, name)
            try:
                file = _file(path)
                for test in file.tests:
                    if (other := defined.setdefault(test.invariant, path)) != path:
                        raise RuleBroken(f"test_{test.invariant} is defined in {other} already")
            except (RuleBroken, Untrusted, OSError) as error:
                unjudged.append(Unjudged(path, _reason(error)))
            else:
                files.append(file)
    return Own(tuple(files), tuple(unjudged))


def _reason(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def _names(directory: str) -> list[str]:
    """Return the names to judge: all that end in ``.py``, whatever they are.

    Names with a dot in front, and what is no Python (notes, an editor's backups), are left alone.
    """
    with os.scandir(trusted(directory)) as found:
        entries = sorted(
            (one for one in found if not one.name.startswith(".") and one.name != "__pycache__"),
            key=lambda one: one.name,
        )
    for one in entries:
        if _is_directory(one):
            raise RuleBroken(f"holds a directory, {one.name}, which is not looked into: name it")
    names = [one.name for one in entries if is_judged(one.name)]
    if not names:
        raise RuleBroken("holds no test_*.py: write one, or take the directory out")
    return names


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of symlinks, say: told of where it is read
        return False


def _file(path: str) -> OwnFile:
    name = os.path.basename(path)
    if name == "conftest.py":
        raise RuleBroken("is not read: a file of own invariants stands for itself")
    if not name.startswith("test_") or not name.removesuffix(".py").isidentifier():
        raise RuleBroken("would not be run: name it test_*.py, a Python name, or move it away")
    source = content(trusted(path), os.O_NOFOLLOW)  # trusted() has followed all symlinks
    if len(source) > MAX_BYTES:
        raise RuleBroken(f"is too large: at most {MAX_BYTES} bytes are read")
    return OwnFile(path, source, read_tests(source, path))
