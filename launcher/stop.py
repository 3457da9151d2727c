"""``down``: stops sessions, and says so only of those whose every process is proved dead."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from invariants.inventory import Inventory
from launcher import background
from launcher.conversations import follow
from launcher.errors import Interrupted, LauncherError, Unavailable, WrongUsage
from launcher.interrupts import Interrupts
from launcher.processes import Table, listed
from launcher.sessions import Kept, SessionState, SessionStatus, holders
from launcher.sessions.groups import end, look
from launcher.sessions.survey import Survey, told_of_suspects


def down(
    inventory: Inventory,
    names: list[str],
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> list[SessionStatus]:
    """Stop sessions, politely first, then for sure, and prove each one's processes dead.

    *names* may be sessions that the inventory no longer holds but that still run; none means
    all. Returns each one's state: stopped, or failed where something of it is alive, be it
    since a signal came before the end.
    """
    survey = Survey(inventory, environ)
    survey.bring_back_server()
    known = {session.name: session.account for session in inventory.sessions}
    known.update((kept.name, kept.account) for kept in survey.foreign())
    if unknown := [name for name in names if name not in known]:
        raise WrongUsage(f"there is no session {', '.join(unknown)}; there are {', '.join(known)}")
    ours = {
        name: [kept for kept in survey.kept.get(name, []) if kept.elsewhere is None]
        if name not in survey.hidden
        else []
        for name in names or known
    }
    with suppress(OSError, LauncherError):  # once it has ended nobody can tell any more
        follow(inventory, survey, interrupts)
    seen = {name: every for name, every in ours.items() if name not in survey.hidden}
    told = background.tell_all(inventory, seen, environ, interrupts)
    with suppress(Interrupted):
        end([kept.group for every in ours.values() for kept in every], interrupts)
    table = look()
    state = inventory.settings.state
    faults = {
        name: _fault(state, name, ours[name], survey, table)
        or background.fault(told.get(name), interrupts)
        for name in ours
    }
    states = {name: SessionState.FAILED if faults[name] else SessionState.STOPPED for name in ours}
    return [SessionStatus(name, known[name], states[name], faults[name]) for name in ours]


def forget_host(
    inventory: Inventory, names: list[str], host: str, environ: Mapping[str, str]
) -> list[SessionStatus]:
    """Forget that sessions may run on *host*, since a person looked; end nothing.

    *names* as for :func:`down`. A session whose lock is held runs, whatever a person says. Returns
    the state of each session as it is known then. Raises WrongUsage if nothing is recorded of the
    host, Unavailable for a record that cannot be removed.
    """
    state, known = inventory.settings.state, [session.name for session in inventory.sessions]
    if unknown := [name for name in names if name not in known]:
        raise WrongUsage(f"there is no session {', '.join(unknown)}; there are {', '.join(known)}")
    holds = {name: holders.look(state, name) for name in names or known}
    recorded = {name: hold.place.host for name, hold in holds.items() if hold.place is not None}
    if host not in recorded.values():
        hosts = ", ".join(sorted(set(recorded.values()))) or "none"
        raise WrongUsage(f"nothing is recorded of the host {host}; there are: {hosts}")
    for name, hold in holds.items():
        if recorded.get(name) == host and hold.lock is not holders.Lock.HELD:
            try:
                holders.forget(state, name)
            except OSError as error:
                raise Unavailable(f"session {name}: {error.strerror}: {error.filename}") from error
    survey = Survey(inventory, environ)
    return [
        survey.status(session, SessionState.STOPPED)
        for session in inventory.sessions
        if session.name in holds
    ]


def _fault(state: str, name: str, every: list[Kept], survey: Survey, table: Table) -> str | None:
    """Say why a session is not stopped, or None; forget those of its runs that have ended."""
    if name in survey.hidden:
        return survey.hidden[name]
    undead, suspects = [], [one for one in survey.unmarked(name) if one in table]
    for kept in every:
        members, doubtful = kept.group.members(table), kept.group.suspects(table)
        undead += members
        suspects += doubtful
        if not members and not doubtful and kept.backend is not None:
            try:
                survey.backends[kept.backend].discard(kept)
            except OSError:  # a record that cannot be removed names a dead process
                pass
            except Unavailable as error:
                return f"its processes have ended, but {error}"
    if undead:
        return f"still running: {listed(undead)}"
    if suspects:
        return told_of_suspects(suspects)
    if elsewhere := [kept.elsewhere for kept in survey.alive(name) if kept.elsewhere]:
        return f"runs for the inventory {elsewhere[0]}, and was not touched"
    if not every and (lost := survey.lost_server()) is not None:
        return f"whether it runs cannot be seen: {lost}"
    with suppress(OSError):  # another machine then asks a person
        holders.forget(state, name)
    return None
