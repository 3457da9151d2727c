"""Which records of trust count for a directory, as Claude Code looks them up.

Measured with 2.0.76, 2.1.197 and 2.1.331, see docs/claude-code.md. Where the versions differ
the strictest counts, which is the newest but for a worktree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from invariants.opening import open_at_once

_MAX_BYTES = 4096


def trust_keys(directory: str) -> list[str]:
    """Return the paths of which one must be trusted for *directory* to be, the nearest first.

    They are the directory as the kernel resolves it and its parents: up to the root of its git
    repository, or of the file system where it is in none. For a worktree it is also the
    repository that it belongs to. Raises an OSError where a symlink leads nowhere.
    """
    keys = list(_up_to_root(os.path.realpath(directory, strict=True)))
    main = _main_repository(keys[-1])
    return keys if main is None else [*keys, main]


def read_for_trust(directory: str) -> Iterator[str]:
    """Yield the files that :func:`trust_keys` reads for *directory*, as it stands now."""
    dot_git = ""
    for path in _up_to_root(os.path.realpath(directory)):
        dot_git = os.path.join(path, ".git")
        yield dot_git
    with suppress(OSError):
        if (inside := _inside(dot_git)) is None:
            return
        for name in ("commondir", "gitdir"):
            path = os.path.join(inside, name)
            yield path
            if (named := _line(path)) is not None:
                yield os.path.join(inside, named)


def _up_to_root(path: str) -> Iterator[str]:
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path or os.path.exists(os.path.join(path, ".git")):
            return
        path = above


def _main_repository(root: str) -> str | None:
    """Return the repository that the worktree at *root* belongs to, if it says so as well.

    ``.git`` is a file then, and names the worktree's directory in the repository
    (gitrepository-layout(5)); there ``gitdir`` names the worktree in turn, and ``commondir`` the
    repository. Without a working tree of its own it counts under its own path.
    """
    dot_git = os.path.join(root, ".git")
    with suppress(OSError):
        if (inside := _inside(dot_git)) is None:
            return None
        common, back = _line(os.path.join(inside, "commondir")), _line(f"{inside}/gitdir")
        if common is None or back is None:
            return None
        if os.path.realpath(os.path.join(inside, back)) != os.path.realpath(dot_git):
            return None
        repository = os.path.realpath(os.path.join(inside, common))
        is_dot_git = os.path.basename(repository) == ".git"
        return os.path.dirname(repository) if is_dot_git else repository
    return None


def _inside(dot_git: str) -> str | None:
    """Return the directory that a worktree's ``.git`` names, or None."""
    named = _line(dot_git)
    if named is None or not named.startswith("gitdir: "):
        return None
    return os.path.join(os.path.dirname(dot_git), named.removeprefix("gitdir: "))


def _line(path: str) -> str | None:
    """Return the first line of a regular file, or None for anything else."""
    if not os.path.isfile(path):
        return None
    with open_at_once(path) as file:
        return os.fsdecode(file.read(_MAX_BYTES)).partition("\n")[0].rstrip("\r")
