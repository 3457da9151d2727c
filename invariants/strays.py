"""Homes of Claude Code that the inventory does not know, and that keep conversations apart."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from invariants.finding import Finding
from invariants.fixes import look
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory, Link
from invariants.mounts import asked, remote_points
from invariants.places import is_below

if TYPE_CHECKING:
    from invariants.judges import Judges
    from invariants.warning import Warned

INVARIANT = "no_home_is_left_out"
_LISTED = 3
_MARKS = (
    ".claude.json",
    ".credentials.json",
    "history.jsonl",
    "settings.json",
    "sessions",
    "shell-snapshots",
    "todos",
)
"""What Claude Code makes in a home, and hardly anything else beside a directory `projects`."""

_Id = tuple[int, int]
_STRAY, _UNREADABLE = 1, 2
_PATIENCE = 0.3  # seconds; a watch waits as long after each change where something hangs


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to find strays: the directories beside the homes, and what marks a home.

    Of each directory that may become a home, the entry `projects` is read, and the rest only if
    that is a directory.
    """
    accounts, user_home = inventory.accounts, os.path.expanduser("~")
    part = Part("strays", _strays, "which directories are homes with conversations")
    for account in accounts:
        yield Input(account.home)
        yield Input(os.path.dirname(account.home), part, names=True)
    for link in inventory.links:
        yield Input(link.target)
    yield Input(user_home, part, names=True)
    known = {_identity(account.home) for account in accounts}
    for path in dict.fromkeys(_candidates(accounts, user_home)[0]):
        if _identity(path) in known:
            continue
        projects = os.path.join(path, "projects")
        yield Input(projects, part, names=True)
        if os.path.isdir(projects):
            for mark in _MARKS:
                yield Input(os.path.join(path, mark), part)


def _strays(judges: Judges) -> object:
    return judges.strays.finding


class Strays(NamedTuple):
    """What is wrong with homes that no account has, and which mounts did not answer."""

    finding: Finding | None
    silent: tuple[str, ...] = ()


def judge_strays(accounts: Sequence[Account], links: Sequence[Link], user_home: str) -> Strays:
    """Return the user's homes of Claude Code beside the configured ones.

    Looked at are the directories beside each configured home, and what is called ``.claude…``
    in *user_home*. A stray has a real directory `projects` that is not empty and no target, and
    something else that Claude Code makes. What belongs to another user is not looked into. What
    another machine or a process has to answer for has a moment for it.
    """
    known = {identity for account in accounts if (identity := _identity(account.home))}
    paths, remote = _candidates(accounts, user_home)
    found = {path: _looked(path, known, links) for path in paths}
    answers = asked(lambda path: _looked(path, known, links)[1], remote, _PATIENCE)
    found |= {path: (None, answer) for path, answer in answers.items() if answer is not None}
    silent = tuple(sorted({remote[path] for path, answer in answers.items() if answer is None}))
    if strays := _once(found, _STRAY):
        return Strays(_finding("stray", strays), silent)
    if unreadable := _once(found, _UNREADABLE):
        return Strays(_finding("unreadable", unreadable), silent)
    return Strays(None, silent)


def _once(found: Mapping[str, tuple[_Id | None, int]], answer: int) -> list[str]:
    """Return the paths of which *answer* was *found*, one for each place."""
    return list(
        {
            identity or path: path for path, (identity, one) in found.items() if one == answer
        }.values()
    )


def warn_of_silence(points: Iterable[str], warn: Callable[[Warned], None]) -> None:
    """Warn of mounts that do not answer: whether they are homes is not known."""
    from invariants.warning import Warned  # no check needs it where all is right

    for point in points:
        found = f"{point} does not answer: whether it is a home was not looked at"
        note = "unmount what hangs, or switch this off with the reason"
        warn(Warned(INVARIANT, found, look("findmnt", point, note=note)))


def _looked(path: str, known: Collection[_Id], links: Sequence[Link]) -> tuple[_Id | None, int]:
    """Return what is at *path*, and whether that is a home that the inventory leaves out."""
    identity = _identity(path)
    if identity is None or identity in known:
        return identity, 0
    try:
        return identity, _STRAY if _is_stray(path, links) else 0
    except OSError:
        return identity, _UNREADABLE if _is_ones_own(path) else 0


def _candidates(accounts: Sequence[Account], user_home: str) -> tuple[list[str], dict[str, str]]:
    """Return the directories that may be homes, and what may not answer, by its path the mount."""
    paths: list[str] = []
    remote: dict[str, str] = {}
    points = remote_points()
    homes = [account.home for account in accounts]
    prefixes = dict.fromkeys(map(os.path.dirname, homes), "")
    prefixes.setdefault(user_home, ".claude")
    for directory, prefix in prefixes.items():
        for entry in _entries(directory, prefix):
            point = None if entry.path in homes else _on_the_way(entry, directory, points)
            if point is not None:
                remote[entry.path] = point
            elif _is_directory(entry):
                paths.append(entry.path)
    return paths, remote


def _entries(directory: str, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            found = [entry for entry in entries if entry.name.startswith(prefix)]
    except OSError:  # nothing to be found there, for Claude Code either
        return []
    return sorted(found, key=lambda entry: entry.name)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of symlinks
        return False


def _on_the_way(entry: os.DirEntry[str], directory: str, points: Collection[str]) -> str | None:
    """Return the mount point that whoever looks at *entry* comes to, if it is one of *points*.

    One that the *directory* itself lies on was passed already.
    """
    if not points:
        return None
    path = entry.path
    if entry.is_symlink():
        path = os.path.normpath(os.path.join(directory, os.readlink(path)))
    passed = (one for one in points if is_below(path, one) and not is_below(directory, one))
    return next(passed, None)


def _is_stray(path: str, links: Sequence[Link]) -> bool:
    projects = os.path.join(path, "projects")
    try:
        status = os.lstat(projects)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    if not any(os.path.lexists(os.path.join(path, mark)) for mark in _MARKS):
        return False
    if any(_identity(link.target) == (status.st_dev, status.st_ino) for link in links):
        return False
    with os.scandir(projects) as entries:
        return next(entries, None) is not None


def _is_ones_own(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _finding(state: str, paths: list[str]) -> Finding:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    shown = ", ".join(paths[:_LISTED]) + more
    if state == "unreadable":
        found = f"unreadable: {shown}"
        note = "let them be read, or move them elsewhere"
    else:
        found = f"conversations of their own in {shown}"
        note = (
            "name each as an account's home in the inventory and adopt its `projects`, "
            'or say why not: [invariants.off] strays = "…"'
        )
    return Finding(
        invariant=INVARIANT,
        state=state,
        expected="every home of Claude Code is an account of the inventory",
        found=found,
        fix=look("ls", "-ld", *paths, note=note),
    )


def _identity(path: str) -> _Id | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
