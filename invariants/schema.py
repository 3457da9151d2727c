"""The rules of ``failover.toml``: its tables become the objects of :mod:`invariants.model`."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from invariants.checks import KEPT_ON, switchable
from invariants.claims import Claim, overlaps
from invariants.decoding import Table, near
from invariants.finding import shown
from invariants.limits import limits
from invariants.links import REQUIRED_SHARED
from invariants.model import Account, Demands, Inventory, Link, Session, Settings, Watch
from invariants.programs import has_conversation, other_homes, own_choices

BACKENDS = ("auto", "tmux", "process", "systemd")
RESTARTS = ("no", "on-failure")
DEFAULT_STATE = "~/.local/state/claude-failover"
RECORDS = ("sessions", "placements", "conversations", "left")
"""The directories of the launcher's records, in its state directory."""
MAX_NAME = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LINK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def decode(document: dict[str, Any], path: str) -> tuple[Inventory, list[str]]:
    """Turn a parsed TOML document into an inventory, and list everything wrong with it.

    *path* is the file's absolute path, which relative paths start from. Where the list is not
    empty the inventory holds only what could be made sense of.
    """
    problems: list[str] = []
    claims = [Claim(path, "inventory", "", "")]
    paths = _Paths(os.path.dirname(path))
    top = Table(document, "", problems)
    shared = top.table("shared")
    retention_days = shared.days("retention_days")
    links = _links(shared, paths, claims)
    names: set[str] = set()
    accounts = _accounts(top, paths, names, claims)
    launcher = top.table("launcher")
    sessions = _sessions(top, paths, names, launcher.raw("backend"))
    settings = _settings(launcher, paths, claims)
    watch = _watch(top.table("watch"))
    demands = _demands(top.table("invariants"), retention_days)
    top.refuse_unknown()
    problems += overlaps(claims)
    return Inventory(path, links, accounts, sessions, settings, watch, demands), problems


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
        if (problem := _unexpanded(text)) is not None:
            table.problem(key, problem)
            return None
        if not _is_spelled(table, key, text):
            return None
        return self.absolute(text)

    def take_all(self, table: Table, key: str) -> dict[str, str]:
        """Take the array of paths at *key*, each by its place; what is wrong is left out."""
        texts = table.texts(key, empty=True) or ()
        each = table.beside({f"{key}[{index}]": text for index, text in enumerate(texts)})
        taken = {each.place(place): self.take(each, place) for place in each.names()}
        return {place: path for place, path in taken.items() if path is not None}

    def absolute(self, text: str) -> str:
        """Return *text* as an absolute path."""
        joined = os.path.join(self._base, os.path.expanduser(text))
        # normpath leaves a leading "//", to which POSIX gives a meaning that Linux has no use for.
        return "/" + os.path.normpath(joined).lstrip("/")


def _unexpanded(path: str) -> str | None:
    """Say what to write where a component of *path* is a shell's variable: none is expanded.

    >>> _unexpanded("$HOME/.claude-a"), _unexpanded("/mnt/c/$RECYCLE.BIN")
    ("variables are not expanded here: write '~/.claude-a'", None)
    """
    first, *rest = path.split("/")
    if first in ("$HOME", "${HOME}"):
        right = "/".join(["~", *rest])
        return _unexpanded(right) or f"variables are not expanded here: write {right!r}"
    found = next((part for part in (first, *rest) if _VARIABLE.fullmatch(part)), None)
    return f"variables are not expanded here: write out what {found} is" if found else None


def _is_spelled(table: Table, key: str, text: str) -> bool:
    """Tell whether the system takes *text* in this locale; note it where it does not."""
    encoding = sys.getfilesystemencoding()
    if text.isascii() or encoding == "utf-8":
        return True
    table.problem(key, f"cannot be spelled in this locale ({encoding}): set LC_ALL=C.UTF-8")
    return False


def _links(table: Table, paths: _Paths, claims: list[Claim]) -> tuple[Link, ...]:
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
            claims.append(Claim(target, "target", where, name))
        taken.add(name)
    for name in elsewhere:
        if name not in taken:
            known = ", ".join(map(shown, names))
            targets.problem(name, f"there is no link {name!r}; links are {known}")
    return tuple(links)


def _accounts(
    top: Table, paths: _Paths, names: set[str], claims: list[Claim]
) -> tuple[Account, ...]:
    accounts = []
    tables = top.tables("accounts")
    for table in tables:
        name = _name(table, names, "account")
        home = paths.take(table, "home", required=True)
        table.refuse_unknown()
        if home is not None:
            claims.append(Claim(home, "home", table.place("home"), name or "another account"))
            if name is not None:
                accounts.append(Account(name, home))
    if not tables and not top.is_wrong("accounts"):
        top.problem("accounts", "there is none; write at least one [[accounts]] table")
    return tuple(accounts)


def _sessions(top: Table, paths: _Paths, known: set[str], backend: object) -> tuple[Session, ...]:
    sessions = []
    names: set[str] = set()
    conversations: set[str] = set()
    for table in top.tables("sessions"):
        name = _name(table, names, "session")
        account = table.text("account", required=True)
        if account is not None and account not in known:
            table.problem("account", f"there is no account {account!r}")
        directory = paths.take(table, "directory", required=True)
        command = table.texts("command", required=True)
        if command is not None and not command[0]:
            table.problem("command[0]", "must name a program")
        if command and (problem := _unexpanded(command[0])) is not None:
            table.problem("command[0]", problem)
        for index, word in enumerate(command or ()):
            _is_spelled(table, f"command[{index}]", word)
        passed = table.texts("pass_environment", empty=True)
        for index, variable in enumerate(passed or ()):
            if not _VARIABLE_NAME.fullmatch(variable):
                table.problem(f"pass_environment[{index}]", f"not a variable's name: {variable!r}")
        restart, limited = _kept(table, backend)
        failover = table.texts("failover", empty=True)
        for index, other in enumerate(failover or ()):
            if other not in known:
                table.problem(f"failover[{index}]", f"there is no account {other!r}")
        conversation = _conversation(table, conversations)
        agent_view = table.flag("agent_view")
        table.refuse_unknown()
        if name and account and directory and command:
            session = Session(
                name,
                account,
                directory,
                command,
                pass_environment=passed or (),
                restart=restart,
                limits=limited,
                failover=failover,
                conversation=conversation,
                agent_view=agent_view,
            )
            _refuse_choices(table, session)
            _refuse_homes(table, session)
            sessions.append(session)
    return tuple(sessions)


def _kept(table: Table, backend: object) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Take what not every backend can do: to bring a session back, and to limit it."""
    restart = table.text("restart") or "no"
    if restart not in RESTARTS:
        table.problem("restart", f"unknown policy {restart!r}; known are {', '.join(RESTARTS)}")
    elif restart != "no" and backend in (None, "auto", "process"):
        table.problem("restart", 'takes launcher.backend = "tmux" or "systemd": they see it die')
    if "limits" not in table:
        return restart, ()
    if backend in (None, "auto", "process", "tmux"):
        table.problem("limits", 'takes launcher.backend = "systemd": nothing else enforces it')
    return restart, limits(table.table("limits"))


def _conversation(table: Table, taken: set[str]) -> str:
    """Take which conversation a session has: one that no other one of *taken* has."""
    text = table.text("conversation") or "auto"
    if text in ("auto", "off"):
        return text
    from uuid import UUID  # a fifth of what it takes to read an inventory; few name an id

    try:
        conversation = str(UUID(text))  # as Claude Code spells it in the name of a transcript
    except ValueError:
        known = "known are auto, off, and the id of a conversation (a UUID)"
        table.problem("conversation", f"unknown conversation {text!r}; {known}")
        return "off"
    if conversation in taken:
        table.problem("conversation", "another session has that conversation already")
    taken.add(conversation)
    return conversation


def _refuse_choices(table: Table, session: Session) -> None:
    """Refuse a command that chooses its conversation itself: the launcher's would be another."""
    if has_conversation(session):
        for index, word in own_choices(session):
            fix = 'leave it out, or set conversation = "off", or to the id that is meant'
            table.problem(f"command[{index}]", f"{word!r} chooses a conversation itself: {fix}")


def _refuse_homes(table: Table, session: Session) -> None:
    """Refuse a command that gives its program another home than its account's."""
    for index, word in other_homes(session):
        fix = "leave it out: the launcher names the home of the account, wherever it is switched to"
        table.problem(f"command[{index}]", f"{word!r} changes CLAUDE_CONFIG_DIR: {fix}")


def _settings(table: Table, paths: _Paths, claims: list[Claim]) -> Settings:
    backend = table.text("backend") or "auto"
    if backend not in BACKENDS:
        known = f"known are {', '.join(BACKENDS)}"
        table.problem("backend", f"unknown backend {backend!r}; {known}")
    state = paths.take(table, "state")
    if state is None:
        state = paths.absolute(DEFAULT_STATE)
        if "state" not in table and os.path.expanduser(DEFAULT_STATE) == DEFAULT_STATE:
            table.problem("state", _homeless(DEFAULT_STATE))
    report = paths.take(table, "report") or f"{state}/report.json"
    prometheus = paths.take(table, "prometheus")
    if prometheus is not None:
        claims.append(Claim(prometheus, "metrics", table.place("prometheus"), "the launcher"))
        if not prometheus.endswith(".prom"):
            table.problem("prometheus", "must end in .prom: node_exporter reads no other file")
    timeout = table.seconds("timeout", at_most=3600)
    settle = table.seconds("settle", at_most=60, zero=True)
    own = paths.take_all(table, "invariants")
    memory_rules = table.flag("memory_rules", default=True)
    claims += [Claim(path, "invariants", place, "the launcher") for place, path in own.items()]
    table.refuse_unknown()
    for path, kind, key in (
        (state, "state", "state"),
        (os.path.join(state, "lock"), "lock", "state"),
        *((os.path.join(state, name), "records", "state") for name in RECORDS),
        (os.path.join(state, "history.json"), "history", "state"),
        (report, "report", "report"),
    ):
        claims.append(Claim(path, kind, table.place(key), "the launcher"))
    return Settings(
        backend=backend,
        state=state,
        report=report,
        timeout=30.0 if timeout is None else timeout,
        settle=1.0 if settle is None else settle,
        invariants=tuple(own.values()),
        prometheus=prometheus,
        memory_rules=memory_rules,
    )


def _watch(table: Table) -> Watch:
    usual = Watch()
    interval = table.seconds("interval", at_most=3600)
    debounce = table.seconds("debounce", at_most=0.5, zero=True)
    command = table.texts("on_change") if "on_change" in table else ()
    if command and not command[0].startswith("/"):
        table.problem("on_change[0]", f"must be the full path of a program, not {command[0]!r}")
    for index, word in enumerate(command or ()):
        _is_spelled(table, f"on_change[{index}]", word)
    table.refuse_unknown()
    return Watch(
        interval=usual.interval if interval is None else interval,
        debounce=usual.debounce if debounce is None else debounce,
        on_change=command or (),
    )


def _demands(table: Table, retention_days: int | None) -> Demands:
    parity = table.flag("parity")
    off = table.table("off")
    table.refuse_unknown()
    reasons = {}
    for name in off.names():
        if name in KEPT_ON:
            off.problem(name, f"cannot be switched off: {KEPT_ON[name]}")
        elif name not in switchable():
            off.problem(name, f"unknown family{near(name, {*switchable(), *KEPT_ON})}")
        elif (reason := off.text(name)) is not None:
            if reason.isspace():
                off.problem(name, "must say why")
            reasons[name] = reason
    return Demands(reasons, parity, retention_days)


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
