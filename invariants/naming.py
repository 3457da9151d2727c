"""The name of a finding's place, which is the same wherever it is told: one function makes it.

So a history that another version wrote is shown in this version's words too: it keeps what a
finding is about, and no name.
"""

from __future__ import annotations

from invariants.checks import FAMILIES

BROKEN = "broken"
"""The state of an own invariant that does not hold: what is wrong is in the finding's words."""

NOT_JUDGED = "not-judged"
"""The state of a check that did not say whether its invariant holds."""


def place_of(
    invariant: str, state: str, account: str | None, link: str | None, session: str | None
) -> str:
    """Return a place as a person names it: what is looked at there, and whose it is.

    An invariant of the operator's own is named itself: its subject does not tell which it is. So is
    one that is about the machine. What a verb of the launcher's looked at is ``launcher``: such a
    finding has the verb for an invariant, whose names are of several words.

    >>> place_of("link_is_shared", "missing", "backup", "projects", None)
    'backup projects'
    >>> place_of("session_directory_exists", "missing", "backup", None, "api")
    'session api'
    >>> place_of("session_can_start_unattended", "untrusted", "backup", None, "api")
    'session api of backup'
    >>> place_of("no_home_is_left_out", "stray", None, None, None)
    'no_home_is_left_out'
    >>> place_of("home_is_local", BROKEN, "backup", None, None)
    'home_is_local backup'
    """
    family = FAMILIES.get(invariant)
    if state == BROKEN or (state == NOT_JUDGED and family is None):
        names = (invariant, account, link, session)
        return " ".join(name for name in names if name is not None)
    if session is not None:
        pair = family is not None and family.subject == "start" and account is not None
        return f"session {session} of {account}" if pair else f"session {session}"
    if account is not None:
        return f"{account} {link}" if link is not None else f"home of {account}"
    if link is not None:
        return f"target of {link}"
    return invariant if "_" in invariant else "launcher"


def title_of(
    invariant: str, state: str, account: str | None, link: str | None, session: str | None
) -> str:
    """Return a finding in a few words: its place and its state, and always its account.

    >>> title_of("session_directory_exists", "missing", "backup", None, "api")
    'session api: missing (backup)'
    >>> title_of("link_is_shared", "missing", "backup", "projects", None)
    'backup projects: missing'
    """
    place = place_of(invariant, state, account, link, session)
    whose = f" ({account})" if account is not None and place == f"session {session}" else ""
    return f"{place}: {state}{whose}"
