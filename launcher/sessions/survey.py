"""What runs now, across all backends, held against what the inventory asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invariants.inventory import Inventory, Session
from launcher.errors import Unavailable
from launcher.sessions import (
    Backend,
    Kept,
    SessionState,
    SessionStatus,
    all_backends,
)


class Survey:
    """One look at every backend: what each keeps, alive or dead.

    Raises Unavailable where a backend cannot be asked: what is not seen might be running.
    """

    def __init__(self, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._inventory = inventory
        self.backends: dict[str, Backend] = all_backends(inventory.settings, environ)
        self.kept: dict[str, list[Kept]] = {}
        self.look()

    def look(self) -> None:
        """Ask every backend again."""
        kept: dict[str, list[Kept]] = {}
        for backend in self.backends.values():
            for found in backend.kept():
                kept.setdefault(found.name, []).append(found)
        self.kept = kept

    def alive(self, name: str) -> Kept | None:
        """Return the running session called *name*, or None."""
        return next((kept for kept in self.kept.get(name, []) if kept.alive), None)

    def dead(self, name: str) -> list[Kept]:
        """Return what is left of sessions called *name* that have died."""
        return [kept for kept in self.kept.get(name, []) if not kept.alive]

    def foreign(self) -> list[Kept]:
        """Return running sessions of the launcher's that the inventory does not name (any more)."""
        named = {session.name for session in self._inventory.sessions}
        return [
            kept
            for every in self.kept.values()
            for kept in every
            if kept.alive and kept.name not in named
        ]

    def status(self, session: Session, otherwise: SessionState) -> SessionStatus:
        """Return the state of *session*: running, failed for another account's, or *otherwise*."""
        kept = self.alive(session.name)
        if kept is None:
            endings = [dead.ending for dead in self.dead(session.name) if dead.ending]
            return SessionStatus(
                session.name, session.account, otherwise, endings[0] if endings else None
            )
        home = self._inventory.account(session.account).home
        if (kept.account, kept.home) != (session.account, home):
            detail = (
                f"runs already under account {kept.account} ({kept.home}, pid {kept.process.pid}), "
                "and was not touched"
            )
            return SessionStatus(session.name, session.account, SessionState.FAILED, detail)
        return SessionStatus(session.name, session.account, SessionState.RUNNING, kept.where)

    def statuses(self, otherwise: SessionState) -> list[SessionStatus]:
        """Return the states of all sessions of the inventory."""
        return [self.status(session, otherwise) for session in self._inventory.sessions]


def unseen(sessions: Sequence[Session], error: Unavailable) -> list[SessionStatus]:
    """Return the states of *sessions* where a backend could not be asked."""
    return [
        SessionStatus(session.name, session.account, SessionState.FAILED, str(error))
        for session in sessions
    ]
