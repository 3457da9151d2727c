"""The sessions as they are while the gate runs: looked at in a process that may be given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from invariants.inventory import Inventory
from invariants.warning import Warned
from launcher import boot
from launcher.bounded import Look
from launcher.errors import NotJudged
from launcher.sessions import SessionState, SessionStatus
from launcher.verdict import Colour

_SECONDS = 3.0


class Seen:
    """A look at all sessions of an inventory, under way; :meth:`end` lets go of it."""

    def __init__(self, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._inventory = inventory
        self._look: Look[tuple[list[SessionStatus], tuple[Warned, ...]]] | None = None
        self.warnings: tuple[Warned, ...] = ()
        """What the look warns of, once :meth:`statuses` has returned."""
        if not inventory.sessions:
            return
        try:
            self._look = Look(
                lambda: boot.seen_sessions(inventory, environ, Colour.GREEN), _SECONDS
            )
        except NotJudged:
            pass  # told for each session, below

    def statuses(
        self, colour: Colour, wait: Callable[[list[int], float], object]
    ) -> list[SessionStatus]:
        """Return what the report says of each session where the verdict is *colour*.

        *wait* waits for a descriptor until a moment of the monotonic clock.
        """
        if self._look is None:
            return self._unseen("no process to spare")
        wait([self._look.descriptor], self._look.limit)
        try:
            statuses, self.warnings = self._look.result()
        except NotJudged as error:
            return self._unseen(str(error))
        return statuses if colour is Colour.GREEN else [status.held() for status in statuses]

    def _unseen(self, why: str) -> list[SessionStatus]:
        return [
            SessionStatus(one.name, one.account, SessionState.FAILED, why)
            for one in self._inventory.sessions
        ]

    def end(self) -> None:
        """End the look."""
        if self._look is not None:
            self._look.end()
