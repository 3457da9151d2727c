"""The rules of ``failover.toml``: its tables become the objects of :mod:`invariants.model`."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, NamedTuple

from invariants.decoding import Table
from invariants.finding import shown
from invariants.links import REQUIRED_SHARED
from invariants.model import Account, Inventory, Link, Session, Settings

BACKENDS = ("auto", "tmux", "process")
DEFAULT_STATE = "~/.local/state/claude-failover"
MAX_NAME = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LINK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Claim(NamedTuple):
    """A path that something of the inventory has to itself, and where the file says so."""

    path: str
    kind: str  # home, target, report or state
    place: str
    owner: str


def decode(document: dict[str, Any], path: str) -> tuple[Inventory, list[str]]:
    """Turn a parsed TOML document into an inventory, and list everything wrong with it.

    *path* is the file's absolute path, which relative paths start from. Where the list is not
    empty the inventory holds only what could be made sense of.
    """
    problems: list[str] = []
    claims: list[_Claim] = []
    paths = _Paths(os.path.dirname(path))
    top = Table(document, "", problems)
    links = _links(top.table("shared"), paths, claims)
    names: set[str] = set()
    accounts = _accounts(top, paths, names, claims)
    sessions = _sessions(top, paths, names)
    settings = _settings(top.table("launcher"), paths, claims)
    top.refuse_unknown()
    problems += _overlaps(claims)
    return Inventory(path, links, accounts, sessions, settings), problems


class _Paths:
    """Makes the paths of a file absolute: ``~`` is the user's home, the rest is beside the file."""

    def __init__(self, base: str) -> None:
        self._base = base

    def take(self, table: Table, key: str, *, required: bool = False) -> str | None:
        """Take the path at *key*, absolute, with ``.`` and ``..`` resolved by their text."""
        text = table.text(key, required=required)
        if text is None:
            return None
        if os.path.expanduser(text).startswith("~"):
            table.problem(key, _homeless(text))
            return None
        encoding = sys.getfilesystemencoding()
        if not text.isascii() and encoding != "utf-8":
            table.problem(key, f"cannot be spelled in this locale ({encoding}): set LC_ALL=C.UTF-8")
            return None
        return self.absolute(text)

    def absolute(self, text: str) -> str:
        """Return *text* as an absolute path."""
        joined = os.path.join(self._base, os.path.expanduser(text))
        # normpath leaves a leading "//", to which POSIX gives a meaning that Linux has no use for.
        return "/" + os.path.normpath(joined).lstrip("/")


def _links(table: Table, paths: _Paths, claims: list[_Claim]) -> tuple[Link, ...]:
    targets = table.table("targets")
    elsewhere = {name: paths.take(targets, name) for name in targets.names()}
    names = table.texts("links") if "links" in table else REQUIRED_SHARED
    root = paths.take(table, "root", required=not names or not set(names) <= set(elsewhere))
    table.refuse_unknown()
    if names is None:
        return ()
    links = []
    taken: set[str] = set()
    for index, name in enumerate(names):
        place = f"links[{index}]"
        if not _LINK_NAME.fullmatch(name) or len(name) > MAX_NAME:
            table.problem(place, _misnamed(name, "letters, digits, '.', '_' and '-'"))
        elif name in taken:
            table.problem(place, f"the link {name!r} is named twice")
        elif (
            target := elsewhere.get(name)
            if name in elsewhere
            else root and os.path.join(root, name)
        ):
            where = targets.place(name) if name in elsewhere else table.place(place)
            links.append(Link(name, target))
            claims.append(_Claim(target, "target", where, name))
        taken.add(name)
    for name in elsewhere:
        if name not in taken:
            known = ", ".join(map(shown, names))
            targets.problem(name, f"there is no link {name!r}; links are {known}")
    return tuple(links)


def _accounts(
    top: Table, paths: _Paths, names: set[str], claims: list[_Claim]
) -> tuple[Account, ...]:
    accounts = []
    tables = top.tables("accounts")
    for table in tables:
        name = _name(table, names, "account")
        home = paths.take(table, "home", required=True)
        table.refuse_unknown()
        if home is not None:
            claims.append(_Claim(home, "home", table.place("home"), name or "another account"))
            if name is not None:
                accounts.append(Account(name, home))
    if not tables and not top.is_wrong("accounts"):
        top.problem("accounts", "there is none; write at least one [[accounts]] table")
    return tuple(accounts)


def _sessions(top: Table, paths: _Paths, known: set[str]) -> tuple[Session, ...]:
    sessions = []
    names: set[str] = set()
    for table in top.tables("sessions"):
        name = _name(table, names, "session")
        account = table.text("account", required=True)
        if account is not None and account not in known:
            table.problem("account", f"there is no account {account!r}")
        directory = paths.take(table, "directory", required=True)
        command = table.texts("command", required=True)
        if command is not None and not command[0]:
            table.problem("command[0]", "must name a program")
        passed = table.texts("pass_environment") if "pass_environment" in table else ()
        for index, variable in enumerate(passed or ()):
            if not _VARIABLE_NAME.fullmatch(variable):
                table.problem(f"pass_environment[{index}]", f"not a variable's name: {variable!r}")
        table.refuse_unknown()
        if name and account and directory and command:
            sessions.append(Session(name, account, directory, command, passed or ()))
    return tuple(sessions)


def _settings(table: Table, paths: _Paths, claims: list[_Claim]) -> Settings:
    backend = table.text("backend") or "auto"
    if backend not in BACKENDS:
        table.problem("backend", f"unknown backend {backend!r}; known are {', '.join(BACKENDS)}")
    state = paths.take(table, "state")
    if state is None:
        state = paths.absolute(DEFAULT_STATE)
        if "state" not in table and os.path.expanduser(DEFAULT_STATE) == DEFAULT_STATE:
            table.problem("state", _homeless(DEFAULT_STATE))
    report = paths.take(table, "report") or f"{state}/report.json"
    timeout = table.seconds("timeout", at_most=3600)
    settle = table.seconds("settle", at_most=60, zero=True)
    table.refuse_unknown()
    claims.append(_Claim(state, "state", table.place("state"), "the launcher"))
    claims.append(_Claim(report, "report", table.place("report"), "the launcher"))
    return Settings(
        backend=backend,
        state=state,
        report=report,
        timeout=30.0 if timeout is None else timeout,
        settle=1.0 if settle is None else settle,
    )


def _name(table: Table, taken: set[str], what: str) -> str | None:
    name = table.text("name", required=True)
    if name is None:
        return None
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        table.problem("name", _misnamed(name, "letters, digits, '_' and '-'"))
        return None
    if name in taken:
        table.problem("name", f"the {what} {name!r} is defined twice")
        return None
    taken.add(name)
    return name


def _homeless(text: str) -> str:
    user = text.split("/")[0][1:]
    return f"there is no user {user!r}" if user else "nobody's home is known: set HOME, or no '~'"


def _misnamed(name: str, allowed: str) -> str:
    if len(name) > MAX_NAME:
        return f"a name of {len(name)} characters is too long: at most {MAX_NAME}"
    return f"{name!r} is not a name: it takes {allowed}, and starts with a letter or digit"


def _overlaps(claims: list[_Claim]) -> list[str]:
    """Refuse paths that are one, or one inside another, where that would mix things up.

    Sorted by their components, whatever lies inside a path comes right behind it, and of one
    path what the file names first. The problems are in the order of the file.
    """
    problems = []
    around: list[_Claim] = []
    for index, claim in sorted(enumerate(claims), key=lambda pair: pair[1].path.split("/")):
        while around and not f"{claim.path}/".startswith(around[-1].path.rstrip("/") + "/"):
            around.pop()
        for outer in around:
            if text := _overlap(claim, outer):
                problems.append((index, text))
        # One of a path and kind is enough: a hundred accounts with one home are 99 problems.
        if not any((claim.path, claim.kind) == (outer.path, outer.kind) for outer in around):
            around.append(claim)
    return [text for _, text in sorted(problems)]


def _overlap(inner: _Claim, outer: _Claim) -> str | None:
    if outer.kind not in ("home", "target"):
        return None
    path = shown(inner.path)
    same = inner.path == outer.path
    if same and inner.kind == outer.kind:
        return f"{inner.place}: {path} is the {outer.kind} of {outer.owner} already"
    within = "is" if same else "lies inside"
    return (
        f"{inner.place}: the {_WORDS[inner.kind]} {path} {within} the {outer.kind} of {outer.owner}"
    )


_WORDS = {
    "home": "home",
    "target": "target",
    "report": "report",
    "state": "launcher's state directory",
}
