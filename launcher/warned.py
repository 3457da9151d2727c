"""The warnings that the gate's checks left in pytest's document. Pure: nothing is read or written.

They say nothing about the verdict, which ``launcher.verdict`` makes without them. Whatever shape
they have, each is a warning or is replaced by one: none is lost, and none is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invariants.checks import Check
from invariants.warning import Warned
from launcher.verdict import once_more

_PLACES = ("account", "link", "session")


def warned_of(
    document: Mapping[str, Any], expected: Mapping[str, Check], option: str = ""
) -> tuple[Warned, ...]:
    """Return what the *expected* checks warned of, by pytest's *document* of any shape.

    A warning counts if it is whole and about its own check: it bears that check's invariant, and
    names no other account, link or session than the check does. *option* is what a pasted
    ``launcher`` command needs to reach the inventory.
    """
    tests = document.get("tests")
    warnings: list[Warned] = []
    for test in tests if isinstance(tests, list) else ():
        metadata = test.get("metadata") if isinstance(test, dict) else None
        if not isinstance(metadata, dict) or "warnings" not in metadata:
            continue
        nodeid = test.get("nodeid")
        check = expected.get(nodeid) if isinstance(nodeid, str) else None
        if check is not None:  # with any other test in it the document is not judged at all
            warnings += _of(check, metadata["warnings"], option)
    return tuple(warnings)


def _of(check: Check, entries: object, option: str) -> list[Warned]:
    if not isinstance(entries, list):
        return [_unreadable(check, option)]
    return [_whole(check, entry) or _unreadable(check, option) for entry in entries]


def _whole(check: Check, entry: object) -> Warned | None:
    """Return the warning that *entry* is, if it is whole and about this very check."""
    if not isinstance(entry, dict):
        return None
    try:
        warned = Warned(**entry)
    except TypeError:
        return None
    if not all(isinstance(text, str) for text in (warned.found, warned.fix)):
        return None
    if warned.invariant != check.invariant:
        return None
    for name in _PLACES:
        named, of_check = getattr(warned, name), getattr(check, name)
        if not isinstance(named, str | None) or of_check not in (None, named):
            return None
    return warned


def _unreadable(check: Check, option: str) -> Warned:
    return Warned(
        invariant=check.invariant,
        found="the check left a warning that cannot be read",
        fix=once_more(option),
        account=check.account,
        link=check.link,
        session=check.session,
    )
