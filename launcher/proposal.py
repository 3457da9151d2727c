"""A first inventory, proposed from the homes that are there. Reads, and writes nothing."""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from invariants.claims import Claim, overlaps
from invariants.links import REQUIRED_SHARED, LinkState, observe
from invariants.opening import open_at_once
from invariants.schema import MAX_NAME
from launcher.errors import Unavailable
from launcher.processes import Table, identify

VARIABLE = "CLAUDE_CONFIG_DIR"
DEFAULT_ROOT = "~/.local/share/claude-shared"
MORE_LINKS = ("tasks", "todos", "plans")
"""What some versions keep beside the required entries (field notes, section 1)."""

SIGNS = frozenset(
    {".claude.json", ".credentials.json", "settings.json", "history.jsonl", "sessions"}
    | set(REQUIRED_SHARED)
)
"""Entries of which a home has at least one, if it was ever used."""

_MAX_RECORD = 65536


@dataclass(frozen=True, slots=True)
class ProposedAccount:
    """A home that was found, the name it gets, and what its entries are now."""

    name: str
    home: str
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProposedSession:
    """A Claude Code that runs now: the account that it runs for, and its directory."""

    name: str
    account: str
    directory: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an inventory could say. ``left_out`` are directories that are not in it, and why."""

    root: str
    links: tuple[str, ...]
    targets: Mapping[str, str]
    accounts: tuple[ProposedAccount, ...]
    sessions: tuple[ProposedSession, ...]
    left_out: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``init --json``."""
        return {
            "root": self.root,
            "links": list(self.links),
            "targets": dict(self.targets),
            "accounts": [
                {"name": one.name, "home": one.home, "entries": dict(one.entries)}
                for one in self.accounts
            ],
            "sessions": [
                {"name": one.name, "account": one.account, "directory": one.directory}
                for one in self.sessions
            ],
            "left_out": dict(self.left_out),
        }


def propose(environ: Mapping[str, str]) -> Proposal:
    """Find homes and propose an inventory of them; ``accounts`` is empty where there is none.

    Looked at are ``~/.claude``, ``~/.claude-*``, ``~/.config/claude``, and what this process and
    the running ones of this user have in ``CLAUDE_CONFIG_DIR``. *environ* is this process's; by
    its ``HOME`` it tells which processes are the user's.
    """
    homes, left_out = _homes(environ)
    names = _names(homes)
    found = {link: _destination(link, homes) for link in (*REQUIRED_SHARED, *MORE_LINKS)}
    links = tuple(link for link in found if link in REQUIRED_SHARED or found[link])
    roots = Counter(
        os.path.dirname(path)
        for link, path in found.items()
        if path and os.path.basename(path) == link
    )
    root = roots.most_common(1)[0][0] if roots else os.path.expanduser(DEFAULT_ROOT)
    targets = {
        link: path for link in links if (path := found[link]) and path != os.path.join(root, link)
    }
    accounts = [
        ProposedAccount(name, home, _entries(home, links, targets, root))
        for home, name in names.items()
    ]
    return Proposal(root, links, targets, tuple(accounts), tuple(_sessions(accounts)), left_out)


def _homes(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the homes that one inventory can hold, and what was left out, with the reason."""
    user = os.path.expanduser("~")
    left_out: dict[str, str] = {}
    candidates = [os.path.join(user, ".claude")]
    try:
        beside = sorted(name for name in os.listdir(user) if name.startswith(".claude-"))
        candidates += [os.path.join(user, name) for name in beside]
    except OSError as error:
        left_out[user] = f"cannot be read: {error.strerror}"
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(user, ".config")
    candidates.append(os.path.join(config, "claude"))
    try:
        named = _named_by_processes(environ)
    except Unavailable as error:
        named, left_out["/proc"] = [], str(error)
    named += _absolute(environ.get(VARIABLE, ""))  # its own, which the look at others passes over
    homes: list[str] = []
    claims: list[Claim] = []
    seen: set[tuple[int, int]] = set()
    for path in dict.fromkeys([*candidates, *named]):
        reason = _no_home(path, seen, sure=path in named)
        claim = Claim(path, "home", "", "another home")
        if reason is None and (overlaps([*claims, claim])):
            reason = "it lies inside another home, or around one"
        if reason is None:
            homes.append(path)
            claims.append(claim)
        elif reason:
            left_out[path] = reason
    return homes, left_out


def _no_home(path: str, seen: set[tuple[int, int]], *, sure: bool) -> str | None:
    """Say why *path* is no home to propose: nothing to be told of where it does not exist."""
    if not path.isprintable():
        return "its name holds a character that cannot be printed"
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            return "no directory"
        entries = set(os.listdir(path))
    except FileNotFoundError:
        return "does not exist, but a process names it" if sure else ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    if entries and not entries & SIGNS and not sure:
        return "does not look like a home: none of " + ", ".join(sorted(SIGNS))
    place = (status.st_dev, status.st_ino)
    if place in seen:
        return "is one of the homes by another name"
    seen.add(place)
    return None


def _named_by_processes(environ: Mapping[str, str]) -> list[str]:
    """Return what this user's processes have as their home, as long as it is an absolute path."""
    named = set()
    for process, variables in Table(VARIABLE).environments.items():
        try:
            mine = os.stat(f"/proc/{process.pid}").st_uid == os.geteuid()
        except OSError:
            continue
        if mine and variables.get("HOME") == environ.get("HOME"):
            named.update(_absolute(variables.get(VARIABLE, "")))
    return sorted(named)


def _absolute(path: str) -> list[str]:
    """Return *path* without ``.`` and ``..``; nothing where it is relative."""
    return ["/" + os.path.normpath(path).lstrip("/")] if os.path.isabs(path) else []


def _names(homes: Iterable[str]) -> dict[str, str]:
    """Return a name for each home: of its directory, without what they all have in front."""
    names: dict[str, str] = {}
    for home in homes:
        base = os.path.basename(home)
        plain = "default" if base == ".claude" else base.removeprefix(".claude-")
        names[home] = _free_name(plain, names.values())
    return names


def _free_name(text: str, taken: Iterable[str]) -> str:
    """Return *text* as a name of an inventory that is not *taken* yet.

    >>> _free_name("my work!", ()), _free_name("a", ["a"]), _free_name("..", ())
    ('my-work', 'a-2', 'unnamed')
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[: MAX_NAME - 10] or "unnamed"
    free, number, others = name, 1, set(taken)
    while free in others:
        number += 1
        free = f"{name}-{number}"
    return free


def _destination(link: str, homes: Sequence[str]) -> str | None:
    """Return where most of the homes' symlinks for *link* lead, if that can be a target."""
    named: Counter[str] = Counter()
    for home in homes:
        entry = os.path.join(home, link)
        try:
            path = os.path.normpath(os.path.join(home, os.readlink(entry)))
        except OSError:
            continue
        outside = not any(f"{path}/".startswith(f"{other}/") for other in homes)
        if outside and path.isprintable() and os.path.isdir(path) and not os.path.islink(path):
            named[path] += 1
    return named.most_common(1)[0][0] if named else None


def _entries(
    home: str, links: Iterable[str], targets: Mapping[str, str], root: str
) -> dict[str, str]:
    """Return the state of each entry, and what is there where it is not right yet."""
    states = {}
    for link in links:
        entry = observe(os.path.join(home, link), targets.get(link, os.path.join(root, link)))
        right = entry.state in (LinkState.SHARED, LinkState.MISSING)
        states[link] = entry.state.value if right else f"{entry.state.value}, {entry.found}"
    return states


def _sessions(accounts: Iterable[ProposedAccount]) -> list[ProposedSession]:
    """Return what runs in the homes, as Claude Code's own ``sessions/PID.json`` tell.

    Those files are internal to it: what is not as expected is passed over.
    """
    sessions: list[ProposedSession] = []
    for account in accounts:
        directory = os.path.join(account.home, "sessions")
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            cwd = _directory_of_session(os.path.join(directory, name))
            if cwd is not None and all(one.directory != cwd for one in sessions):
                taken = [one.name for one in sessions]
                free = _free_name(os.path.basename(cwd) or "root", taken)
                sessions.append(ProposedSession(free, account.name, cwd))
    return sessions


def _directory_of_session(path: str) -> str | None:
    try:
        with open_at_once(path, os.O_NOFOLLOW) as file:
            record = json.loads(file.read(_MAX_RECORD))
        pid, cwd = record["pid"], record["cwd"]
        if isinstance(pid, int) and isinstance(cwd, str) and cwd.isprintable():
            return cwd if identify(pid) is not None and os.path.isdir(cwd) else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
