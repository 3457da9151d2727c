"""Homes of Claude Code that the inventory does not know, and that keep conversations apart."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from invariants.finding import Finding
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory, Link

if TYPE_CHECKING:
    from invariants.judges import Judges

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
    for path in dict.fromkeys(_candidates(accounts, user_home)):
        if _identity(path) in known:
            continue
        projects = os.path.join(path, "projects")
        yield Input(projects, part, names=True)
        if os.path.isdir(projects):
            for mark in _MARKS:
                yield Input(os.path.join(path, mark), part)


def _strays(judges: Judges) -> object:
    return judges.strays


def judge_strays(
    accounts: Sequence[Account], links: Sequence[Link], user_home: str
) -> Finding | None:
    """Return the user's homes of Claude Code beside the configured ones, or None.

    Looked at are the directories beside each configured home, and what is called ``.claude…``
    in *user_home*. A stray has a real directory `projects` that is not empty and no target, and
    something else that Claude Code makes. What belongs to another user is not looked into.
    """
    known = {identity for account in accounts if (identity := _identity(account.home))}
    strays: list[str] = []
    unreadable: list[str] = []
    seen: set[_Id] = set()
    for path in _candidates(accounts, user_home):
        identity = _identity(path)
        if identity is None or identity in known or identity in seen:
            continue
        seen.add(identity)
        try:
            if _is_stray(path, links):
                strays.append(path)
        except OSError:
            if _is_ones_own(path):
                unreadable.append(path)
    if strays:
        return _finding("stray", strays)
    return _finding("unreadable", unreadable) if unreadable else None


def _candidates(accounts: Sequence[Account], user_home: str) -> Iterator[str]:
    beside = dict.fromkeys(os.path.dirname(account.home) for account in accounts)
    for directory in beside:
        yield from _directories(directory, "")
    if user_home not in beside:
        yield from _directories(user_home, ".claude")


def _directories(directory: str, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            paths = [
                entry.path for entry in entries if entry.name.startswith(prefix) and entry.is_dir()
            ]
    except OSError:  # nothing to be found there, for Claude Code either
        return
    yield from sorted(paths)


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
        found, fix = f"unreadable: {shown}", "let them be read, or move them elsewhere"
    else:
        found = f"conversations of their own in {shown}"
        fix = (
            "name each as an account's home in the inventory and adopt its `projects`, "
            'or say why not: [invariants.off] strays = "…"'
        )
    return Finding(
        invariant=INVARIANT,
        state=state,
        expected="every home of Claude Code is an account of the inventory",
        found=found,
        fix=fix,
    )


def _identity(path: str) -> _Id | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
