"""The sessions as they are while the gate runs: looked at in a process that may be given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self

from invariants.inventory import Inventory
from invariants.warning import Warned
from launcher import boot
from launcher.bounded import Look
from launcher.errors import NotJudged
from launcher.sessions import SessionState, SessionStatus
from launcher.verdict import Colour

_SECONDS = 3.0


class Seen:
    """A look at all sessions of an inventory. A context manager, which ends it."""

    def __init__(self, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._inventory = inventory
        self._environ = environ
        self._look: Look[tuple[list[SessionStatus], tuple[Warned, ...]]] | None = None
        self.warnings: tuple[Warned, ...] = ()
        """What the look warns of, once :meth:`statuses` has returned."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._look is not None:
            self._look.end()

    def begin(self) -> None:
        """Begin, unless it has begun, or there is no session."""
        if self._look is None and self._inventory.sessions:
            with suppress(NotJudged):  # told for each session, later
                self._look = Look(self._seen, _SECONDS)

    def _seen(self) -> tuple[list[SessionStatus], tuple[Warned, ...]]:
        return boot.seen_sessions(self._inventory, self._environ, Colour.GREEN)

    def statuses(
        self, colour: Colour, wait: Callable[[list[int], float], object]
    ) -> list[SessionStatus]:
        """Return what the report says of each session where the verdict is *colour*.

        It begins now if it has not. *wait* waits for a descriptor until a moment of the monotonic
        clock.
        """
        self.begin()
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
