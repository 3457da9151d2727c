"""``down``: stops sessions, and says so only of those whose process is proved dead."""

from __future__ import annotations

from collections.abc import Mapping

from invariants.inventory import Inventory
from launcher.errors import WrongUsage
from launcher.interrupts import Interrupts
from launcher.processes import end
from launcher.sessions import SessionState, SessionStatus
from launcher.sessions.survey import Survey


def down(
    inventory: Inventory,
    names: list[str],
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> list[SessionStatus]:
    """Stop sessions, politely first, then for sure, and prove each one's process dead.

    *names* may be sessions that the inventory no longer holds but that still run; none means
    all. Returns each one's state: stopped, or failed where it could not be ended.
    """
    survey = Survey(inventory, environ)
    known = {session.name: session.account for session in inventory.sessions}
    known.update((kept.name, kept.account) for kept in survey.foreign())
    if unknown := [name for name in names if name not in known]:
        raise WrongUsage(f"there is no session {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = list(dict.fromkeys(names)) or list(known)
    running = [kept for name in wanted for kept in survey.kept.get(name, []) if kept.alive]
    left = end([kept.process for kept in running], interrupts)
    statuses = []
    for name in wanted:
        undead = [kept for kept in survey.kept.get(name, []) if kept.process in left]
        for kept in survey.kept.get(name, []):
            if kept not in undead:
                survey.backends[kept.backend].discard(kept)
        detail = f"pid {undead[0].process.pid} does not end" if undead else None
        state = SessionState.FAILED if undead else SessionState.STOPPED
        statuses.append(SessionStatus(name, known[name], state, detail))
    return statuses
