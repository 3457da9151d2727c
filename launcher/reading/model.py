"""What a report says, and whether it counts now."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from invariants.inventory import Inventory
from invariants.warning import Warned
from launcher.errors import ExitCode
from launcher.processes import Process
from launcher.sessions import SessionState, SessionStatus
from launcher.verdict import Colour, Failure

MAX_AGE = 900.0
"""How old a report may be, in seconds, where nobody said: the timer has missed two checks then."""

_MISSED = 3
"""How many gates a watch may miss, in the metrics."""
_SCRAPED = 180.0
"""For how many seconds metrics count at least: they are scraped every minute, say."""

_CODES = {Colour.GREEN: ExitCode.OK, Colour.RED: ExitCode.RED, Colour.UNKNOWN: ExitCode.UNKNOWN}


class Outcome(NamedTuple):
    """One check as pytest's document tells it, and how many seconds it took."""

    nodeid: str
    passed: bool
    seconds: float


class Origin(NamedTuple):
    """What a report says of its publication, which only the machine itself can compare with now.

    ``uptime`` is how long the machine was up then, in seconds, where it was published in a
    container, whose boot id may be the machine's; else None. ``demands`` is the digest of what the
    inventory demanded (:mod:`launcher.demands`), None for a report of a version that had none.
    ``keeper`` is the watch that keeps the report true, if any.
    """

    inventory: str
    boot_id: str | None
    uptime: float | None = None
    demands: str | None = None
    keeper: Process | None = None


class Reading(NamedTuple):
    """What the report at ``path`` says, and whether it can be about the machine as it is now.

    ``said`` is the verdict in it, None where there is none; ``problem`` says why that does not
    count now. ``age``, ``started`` and ``finished`` are in seconds, the latter two since the
    epoch. ``inventory`` is None where it is wrong or missing; then ``wrong`` is its path, or None
    if there is no single one. ``document`` is None where no report of this version is there.
    ``warned`` is empty for a report of a version that had no warnings. ``off`` are
    the families that the inventory switched off.
    """

    path: str
    inventory: Inventory | None
    said: Colour | None = None
    problem: str | None = None
    reason: str | None = None
    age: float | None = None
    host: str = ""
    started: float | None = None
    finished: float | None = None
    expected: int = 0
    passed: int = 0
    failures: tuple[Failure, ...] = ()
    sessions: tuple[SessionStatus, ...] = ()
    warned: tuple[Warned, ...] = ()
    outcomes: Mapping[str, Outcome] = {}
    max_age: float = MAX_AGE
    document: Mapping[str, Any] | None = None
    off: tuple[str, ...] = ()
    origin: Origin | None = None
    wrong: str | None = None

    @property
    def inventory_path(self) -> str:
        """The path of the inventory, wrong or not; empty if none could be found."""
        return self.inventory.path if self.inventory is not None else self.wrong or ""

    @property
    def verdict(self) -> Colour:
        """The verdict that counts now: unknown wherever there is a problem."""
        return Colour.UNKNOWN if self.problem or self.said is None else self.said

    @property
    def failed_sessions(self) -> list[SessionStatus]:
        """The sessions that should run and do not, as far as the report counts."""
        if self.problem:
            return []
        return [session for session in self.sessions if session.state is SessionState.FAILED]

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What the report warns of, as far as it counts. It changes neither verdict nor code."""
        return () if self.problem else self.warned

    @property
    def counts_until(self) -> float | None:
        """When a file with this verdict no longer counts, in seconds since the epoch.

        By then the next gate is long overdue: of the watch, if that keeps it true, or of the timer.
        None where the verdict does not count now.
        """
        if self.problem or self.inventory is None or self.finished is None:
            return None
        if self.origin is None or self.origin.keeper is None:
            return self.finished + MAX_AGE
        return self.finished + max(_MISSED * self.inventory.watch.interval, _SCRAPED)

    @property
    def code(self) -> ExitCode:
        """The exit code that the reading means: the verdict's, or the inventory's."""
        if self.inventory is None:
            return ExitCode.CONFIG
        if self.verdict is Colour.GREEN and self.failed_sessions:
            return ExitCode.UNAVAILABLE
        return _CODES[self.verdict]

    @property
    def summary(self) -> str:
        """The reading in one sentence, without the word for the verdict."""
        if self.verdict is Colour.UNKNOWN:
            return self.problem or self.reason or "the gate could not be judged"
        if self.verdict is Colour.RED:
            count = len(self.failures)
            what = "invariants does not hold" if count == 1 else "invariants do not hold"
            return f"{count} of {self.expected} {what}"
        held = f"all {self.expected} invariants hold"
        names = ", ".join(session.name for session in self.failed_sessions)
        return f"{held}, but a session is not up: {names}" if names else held
