"""Whether a session could write its memory without a question that nobody would answer.

See :mod:`invariants.memory_rules`. It is never a failure: the question comes late, or never.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from invariants.client import Clients, project_settings, settings_of
from invariants.documents import Unreadable
from invariants.fixes import look, words_only
from invariants.memory_rules import (
    OPTION,
    can_spell,
    link_of,
    options_of,
    rules,
    target_of,
    why_not,
)
from invariants.model import Account, Inventory, Session
from invariants.places import is_below
from invariants.programs import asks_questions, has_conversation, session_program

if TYPE_CHECKING:
    from invariants.warning import Warned  # loaded only where there is something to warn of

INVARIANT = "session_can_start_unattended"
_AROUND = re.compile(r"Edit\(/((?:/[^/*]+)*)/\*\*\)")


def read(inventory: Inventory, session: Session, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is read to judge *session*, beside the settings of homes and of the machine."""
    link = link_of(inventory)
    if inventory.settings.memory_rules and link is not None:
        places = (session_program(session, environ), _own_settings(session)[1])
        yield from (link, *project_settings(session), *filter(None, places))


class Memory:
    """Judges whether sessions can write their memory."""

    def __init__(self, inventory: Inventory, clients: Clients, environ: Mapping[str, str]) -> None:
        """Take *environ*, by which the programs of sessions are found."""
        self._inventory = inventory
        self._clients = clients
        self._environ = environ
        self._target = target_of(inventory) if inventory.settings.memory_rules else None
        self._why: dict[str, str | None] = {}

    def warning(self, account: Account, session: Session) -> Warned | None:
        """Return a warning if *session* would ask under *account* and the launcher cannot help.

        Settings that cannot be read are no matter of it.
        """
        if self._target is None or not asks_questions(session):
            return None
        try:
            told = self._judge(account, session, self._target)
        except Unreadable:
            return None
        if told is None:
            return None
        from invariants.warning import Warned

        why, fix = told
        found = (
            "Claude Code asks before it writes its memory, since projects is a symlink, and the "
            f"launcher cannot give it the rules that allow it: {why}"
        )
        return Warned(INVARIANT, found, fix, account=account.name, session=session.name)

    def _judge(self, account: Account, session: Session, target: str) -> tuple[str, str] | None:
        """Return why it would ask, and what to do about that; or None. Raises Unreadable."""
        managed = {path: self._clients.settings(path) for path in self._clients.managed()}
        others = list(self._others(account, session))
        every = [*(one.shared for one in managed.values()), *others]
        if _asks_nothing(session.command, every):
            return None
        for directory in (target, os.path.join(account.home, "projects")):
            if not can_spell(directory):
                words = f"use a path without * ? [ ] \\ and without a space at the end: {directory}"
                return f"no rule can spell {directory}", words_only(words)
        only = next((path for path, one in managed.items() if one.only_managed_rules), None)
        why = self._why_not(session) if only is None else f"{only} lets no other rules count"
        if why is None:
            return None
        counting = every if only is None else every[: len(managed)]
        allowed = {rule for shared in counting for rule in _allowed(shared)}
        wanted = rules(self._inventory, account.name, session.home_account)
        missing = [rule for rule in wanted if not _is_covered(rule, allowed)]
        if not missing:
            return None
        listed = ", ".join(json.dumps(rule, ensure_ascii=False) for rule in missing)
        home = settings_of(account) if "user" in _sources(session.command) else None
        if (where := only or home) is not None:
            return why, look("cat", where, note=f"add to its permissions.allow: {listed}")
        words = "add to permissions.allow in settings that its --setting-sources reads"
        return why, words_only(f"{words}: {listed}")

    def _others(self, account: Account, session: Session) -> Iterator[Mapping[str, Any]]:
        """Yield what settings beside the managed ones say, the one that counts most first.

        Raises Unreadable for the home's.
        """
        own, path = _own_settings(session)
        yield from own
        sources = _sources(session.command)
        projects = zip(("local", "project"), project_settings(session), strict=True)
        files = [path, *(file for source, file in projects if source in sources)]
        for file in filter(None, files):
            with suppress(Unreadable):
                yield self._clients.settings(file).shared
        if "user" in sources:
            yield self._clients.settings(settings_of(account)).shared

    def _why_not(self, session: Session) -> str | None:
        """Return why the launcher gives *session* no rules, or None if it does."""
        if session.name not in self._why:
            self._why[session.name] = self._why_none(session)
        return self._why[session.name]

    def _why_none(self, session: Session) -> str | None:
        program = session_program(session, self._environ)
        if program is None:  # told by the check of the session's command
            return None
        if not has_conversation(session):
            return 'conversation = "off" leaves its command as it is written'
        if (why := why_not(session.command, program)) is not None:
            return why
        given = options_of(self._inventory, session, program)
        return None if given else "its command is too long for them"


def values(command: Sequence[str], option: str) -> list[str]:
    """Return the values that *option* has in *command*, in either spelling.

    >>> values(["claude", "--settings", "a.json", "--settings=b.json"], "--settings")
    ['a.json', 'b.json']
    """
    found = [after for word, after in pairwise(command) if word == option]
    return found + [word.partition("=")[2] for word in command if word.startswith(f"{option}=")]


def _sources(command: Sequence[str]) -> list[str]:
    """Return whose settings are read: the user's, the project's, or local ones."""
    named = values(command, "--setting-sources")
    return named[-1].split(",") if named else ["user", "project", "local"]


def _own_settings(session: Session) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return what the ``--settings`` of *session* says if it is JSON, and its path if it is none.

    Nothing of two, since the version decides which one counts.
    """
    named = values(session.command, OPTION)
    if len(named) != 1:
        return [], None
    if not named[0].lstrip().startswith("{"):
        return [], os.path.join(session.directory, named[0])
    try:
        content = json.loads(named[0])
    except ValueError:
        return [], None
    return ([content] if isinstance(content, dict) else []), None


def _asks_nothing(command: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a session starts in the mode that asks nothing: its command decides first."""
    if "--dangerously-skip-permissions" in command:
        return True
    modes: list[object] = [*values(command, "--permission-mode")[-1:]]
    modes += [mode for one in settings if (mode := _permissions(one).get("defaultMode"))]
    return modes[:1] == ["bypassPermissions"]


def _permissions(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    permissions = settings.get("permissions")
    return permissions if isinstance(permissions, dict) else {}


def _allowed(settings: Mapping[str, Any]) -> list[str]:
    allow = _permissions(settings).get("allow")
    return [rule for rule in allow if isinstance(rule, str)] if isinstance(allow, list) else []


def _is_covered(rule: str, allowed: set[str]) -> bool:
    """Tell whether *allowed* has *rule*, or a rule for all that is in a directory around it."""
    if rule in allowed:
        return True
    directory = rule.removeprefix("Edit(/").removesuffix("/*/memory/**)")
    around = [found[1] for one in allowed if (found := _AROUND.fullmatch(one))]
    return any(is_below(directory, one) for one in around)
