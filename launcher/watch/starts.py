"""``--ensure-sessions``: which sessions may be started once more.

A session that ends soon after each start would be started for ever; it is given up, until somebody
changes the inventory or asks for a reload.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

from launcher.sessions import SessionState, SessionStatus

BURST = 3
"""How many times in a row a session is started that does not last."""
LASTING = 60.0
"""For how many seconds a session must have run to count as one that lasted."""


class Starts:
    """Remembers the starts of each session, by the monotonic clock."""

    def __init__(self) -> None:
        self._tries: dict[str, list[float]] = {}

    def due(self, statuses: Iterable[SessionStatus]) -> list[str]:
        """Return the sessions that are stopped and may be started."""
        stopped = [one.name for one in statuses if one.state is SessionState.STOPPED]
        return [name for name in stopped if len(self._recent(name)) < BURST]

    def given_up(self, statuses: Iterable[SessionStatus]) -> list[str]:
        """Return the sessions that are down and are not started any more."""
        down = (SessionState.STOPPED, SessionState.FAILED, SessionState.HELD)
        names = [one.name for one in statuses if one.state in down]
        return [name for name in names if len(self._recent(name)) >= BURST]

    def note(self, names: Iterable[str]) -> None:
        """Note that *names* are being started."""
        for name in names:
            self._tries[name] = [*self._recent(name), monotonic()]

    def forget(self) -> None:
        """Give every session a fresh start."""
        self._tries.clear()

    def _recent(self, name: str) -> list[float]:
        """Return the starts in a row: one after a run that lasted begins a new row."""
        row: list[float] = []
        for at in self._tries.get(name, []):
            row = [*row, at] if row and at - row[-1] < LASTING else [at]
        return row if row and monotonic() - row[-1] < LASTING else self._given_up_row(row)

    @staticmethod
    def _given_up_row(row: list[float]) -> list[float]:
        """Return the row of a session that was given up; one that lasted is forgiven."""
        return row if len(row) >= BURST else []
