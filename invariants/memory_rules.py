"""The rules that let Claude Code write its memory behind a linked ``projects`` without a question.

Since 2.1 it keeps a memory in ``projects/FOLDER/memory`` and writes there unasked, but not if
``projects`` is a symlink: then a rule must allow the path in the home and the path that it leads
to. After a switch the conversation still names the home in which it began, so a session needs the
rules of every home. ``--settings`` can bring them, and all that the user's settings say counts
beside it. Of two ``--settings`` only one counts, so a command that has its own is left alone.
All of this is measured: docs/claude-code.md, tests/claude/test_settings.py and test_memory.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence

from invariants.model import Inventory, Session
from invariants.programs import has_conversation, runs_claude
from invariants.wrappers import is_client_itself

OPTION = "--settings"

ROOM = 6000
"""Bytes for a command and the rules. tmux takes 16 KB in one call, with much else beside them."""

_SPECIAL = re.compile(r"[*?\[\]\\\x00-\x1f\x7f]|\s(/|$)")
"""What means something else in a rule, or is matched by no version (measured)."""


def rules(inventory: Inventory, *first: str, room: int = ROOM) -> tuple[str, ...]:
    """Return the rules for the target of ``projects`` and for each home.

    The homes of the accounts *first* come first, since the rules may take *room* bytes only. There
    are none if ``projects`` is not linked, no rule can spell its target, or not one home fits.
    """
    target = target_of(inventory)
    if target is None or not can_spell(target):
        return ()
    accounts = sorted(inventory.accounts, key=lambda one: one.name not in first)
    homes = [os.path.join(one.home, "projects") for one in accounts]
    found: list[str] = []
    for directory in [target, *filter(can_spell, homes)]:
        if len(settings([*found, _rule(directory)])) > room:
            break
        found.append(_rule(directory))
    return tuple(found) if len(found) > 1 else ()


def link_of(inventory: Inventory) -> str | None:
    """Return the target of ``projects`` as the inventory spells it; None if it is not linked."""
    return next((link.target for link in inventory.links if link.name == "projects"), None)


def target_of(inventory: Inventory) -> str | None:
    """Return the same as the kernel resolves it, which is the path that a rule must match."""
    link = link_of(inventory)
    return None if link is None else os.path.realpath(link)


def can_spell(directory: str) -> bool:
    """Tell whether a rule for *directory* matches it, and nothing else.

    >>> can_spell("/home/me/my claude (2)"), can_spell("/home/me/claude[2]")
    (True, False)
    """
    try:
        directory.encode()
    except UnicodeEncodeError:
        return False
    return _SPECIAL.search(directory) is None


def settings(allow: Sequence[str]) -> str:
    """Return the value of ``--settings`` that brings the rules *allow*.

    >>> settings(["Edit(//srv/projects/*/memory/**)"])
    '{"permissions":{"allow":["Edit(//srv/projects/*/memory/**)"]}}'
    """
    return json.dumps({"permissions": {"allow": list(allow)}}, separators=(",", ":"))


def why_not(command: Sequence[str], program: str) -> str | None:
    """Return why *command*, whose program is at *program*, can be given no ``--settings``."""
    if any(word.partition("=")[0] == OPTION for word in command[1:]):
        return f"its command has {OPTION} itself, and of two only one counts"
    if not is_client_itself(program):
        return f"{program} is not Claude Code itself, and may have {OPTION} of its own"
    return None


def options(
    inventory: Inventory, command: Sequence[str], program: str, *first: str
) -> tuple[str, ...]:
    """Return the options that bring the rules to *command*, whose program is at *program*.

    There are none if they are switched off, or the command must be left as it is. *first* is as
    for :func:`rules`.
    """
    if not inventory.settings.memory_rules or why_not(command, program) is not None:
        return ()
    room = ROOM - sum(len(os.fsencode(word)) + 1 for word in command)
    found = rules(inventory, *first, room=room)
    return (OPTION, settings(found)) if found else ()


def options_of(inventory: Inventory, session: Session, program: str) -> tuple[str, ...]:
    """Return the same for *session*: none for one whose command is run as it is written."""
    if not runs_claude(session) or not has_conversation(session):
        return ()
    return options(inventory, session.command, program, session.account, session.home_account)


def _rule(directory: str) -> str:
    return f"Edit(/{directory}/*/memory/**)"
