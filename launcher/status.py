"""``status``: what a person wants to see at a glance. Reads, and writes nothing."""

import time
from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from invariants.checks import FAMILIES
from invariants.homes import Homes
from invariants.inventory import Inventory
from invariants.links import LinkState, observe
from invariants.places import Places
from invariants.targets import Targets
from invariants.warning import Warned, in_order
from launcher import background
from launcher.bounded import bounded
from launcher.errors import ExitCode, NotJudged, Unavailable
from launcher.history import History, place
from launcher.history import read as read_history
from launcher.interrupts import Interrupts
from launcher.reading import read_report
from launcher.sessions import SessionState, SessionStatus
from launcher.sessions.survey import Survey, unseen
from launcher.timeline import marked


class LastReport(NamedTuple):
    """The last gate as its report tells it; ``problem`` says why it cannot count as today's.

    ``age`` is in seconds, and None where there is no report to have one. ``warnings`` are those of
    a report that counts.
    """

    path: str
    verdict: str | None = None
    age: float | None = None
    problem: str | None = None
    warnings: tuple[Warned, ...] = ()


class Overview(NamedTuple):
    """Accounts × links as they are now, the sessions, and the last report.

    ``homes`` and ``targets`` hold what is wrong with each (None: nothing), ``entries`` the state
    of each account's links; ``problem`` says why these could not be read, where they could not.
    ``history`` is empty, and ``history_problem`` says why, where it is not that of the report.
    ``off`` are the families of invariants that the inventory switches off, with the reasons.
    ``warnings`` change no exit code: those of the sessions as they are now, and of the last
    report's checks.
    """

    homes: Mapping[str, str | None]
    targets: Mapping[str, str | None]
    entries: Mapping[str, Mapping[str, str]]
    sessions: list[SessionStatus]
    foreign: list[str]
    report: LastReport
    problem: str | None = None
    history: History = History()
    history_problem: str | None = None
    off: Mapping[str, str] = {}
    warnings: tuple[Warned, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Red where something is not right, unknown where that is not known.

        Where all is green, 69 if a session is not as it should be, or cannot be looked at.
        """
        states = [state for row in self.entries.values() for state in row.values()]
        faults = [fault for fault in (*self.homes.values(), *self.targets.values()) if fault]
        if faults or any(state != LinkState.SHARED for state in states):
            return ExitCode.RED
        if self.problem or self.report.problem:
            return ExitCode.UNKNOWN
        code = _CODES.get(self.report.verdict or "", ExitCode.UNKNOWN)
        failed = any(session.state is SessionState.FAILED for session in self.sessions)
        return ExitCode.UNAVAILABLE if code is ExitCode.OK and failed else code

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``status --json``."""
        return {
            "homes": dict(self.homes),
            "targets": dict(self.targets),
            "entries": {account: dict(row) for account, row in self.entries.items()},
            "problem": self.problem,
            "sessions": [session.as_report() for session in self.sessions],
            "foreign_sessions": self.foreign,
            "warnings": [warned.as_json() for warned in self.warnings],
            "off": dict(self.off),
            "report": {
                "path": self.report.path,
                "verdict": self.report.verdict,
                "age": self.report.age,
                "problem": self.report.problem,
            },
            "history": {
                "since": self.history.since,
                "failures": [
                    marked(one, self.history, time.time()) for one in self.history.standing
                ],
                "problem": self.history_problem,
            },
        }


_CODES = {"green": ExitCode.OK, "red": ExitCode.RED}

_Observed = tuple[dict[str, str | None], dict[str, str | None], dict[str, dict[str, str]]]


def overview(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    max_age: float = inf,
) -> Overview:
    """Look at everything once. What hangs or cannot be asked becomes a problem, not an error.

    A report that is older than *max_age* seconds does not count.
    """
    homes: dict[str, str | None] = {}
    targets: dict[str, str | None] = {}
    entries: dict[str, dict[str, str]] = {}
    problem = None
    try:
        homes, targets, entries = bounded(
            lambda: _observe(inventory), inventory.settings.timeout, interrupts
        )
    except NotJudged as error:
        problem = str(error)
    foreign: list[str] = []
    seen: tuple[Warned, ...] | None = None
    try:
        survey = Survey(inventory, environ)
        background.look(inventory, survey, interrupts)
        sessions = survey.statuses(SessionState.STOPPED)
        foreign = [kept.name for kept in survey.foreign()]
        seen = survey.warnings()
    except Unavailable as error:
        sessions = unseen(inventory.sessions, error)
    report, off = _last_report(inventory, max_age, interrupts), inventory.demands.off
    history, trouble = _history(inventory, report)
    warnings = _warnings(report, seen)
    return Overview(
        homes, targets, entries, sessions, foreign, report, problem, history, trouble, off, warnings
    )


def _warnings(report: LastReport, seen: tuple[Warned, ...] | None) -> tuple[Warned, ...]:
    """Return what the sessions are warned of now, and what only a gate can warn of.

    What the report says of sessions was *seen* then; it counts only if they cannot be seen now.
    """
    if seen is None:
        return report.warnings
    return in_order(*seen, *(one for one in report.warnings if one.invariant in FAMILIES))


def _history(inventory: Inventory, report: LastReport) -> tuple[History, str | None]:
    """Return the history, if it ends with what the report says."""
    try:
        history = read_history(place(inventory))
    except NotJudged as error:
        return History(), str(error)
    if (history.inventory, history.verdict) != (inventory.path, report.verdict):
        return History(), None
    return history, None


def _last_report(inventory: Inventory, max_age: float, interrupts: Interrupts) -> LastReport:
    """Return what the report says, and whether it counts now; a file system may hang at it."""
    try:
        return bounded(
            lambda: last_report(inventory, max_age), inventory.settings.timeout, interrupts
        )
    except NotJudged as error:
        return LastReport(inventory.settings.report, problem=str(error))


def last_report(inventory: Inventory, max_age: float = inf) -> LastReport:
    """Return what the report says, and whether it can be about the machine as it runs now."""
    reading = read_report(inventory, max_age)
    problem = reading.problem or reading.reason
    return LastReport(reading.path, reading.said, reading.age, problem, reading.warnings)


def _observe(inventory: Inventory) -> _Observed:
    places = Places(inventory.accounts, inventory.links)
    homes, targets = Homes(places=places), Targets(places=places)
    faults: dict[str, str | None] = {}
    entries: dict[str, dict[str, str]] = {}
    for account in inventory.accounts:
        fault = homes.fault(account)
        faults[account.name] = None if fault is None else fault.finding.state
        entries[account.name] = {
            link.name: observe(account.entry(link), link.target).state.value
            for link in inventory.links
        }
    ends = {link.name: targets.fault(link) for link in inventory.links}
    return faults, {name: end.state if end else None for name, end in ends.items()}, entries
