"""``status``: what a person wants to see at a glance. Reads, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invariants.homes import Homes
from invariants.inventory import Inventory
from invariants.links import LinkState, observe
from invariants.targets import Targets
from launcher.bounded import bounded
from launcher.errors import ExitCode, NotJudged, Unavailable
from launcher.interrupts import Interrupts
from launcher.processes import boot_id
from launcher.report import read
from launcher.sessions import SessionState, SessionStatus
from launcher.sessions.survey import Survey, unseen
from launcher.verdict import Colour


@dataclass(frozen=True, slots=True)
class LastReport:
    """The last gate as its report tells it; ``problem`` says why it cannot count as today's.

    ``age`` is in seconds, and None where there is no report to have one.
    """

    path: str
    verdict: str | None = None
    age: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Accounts × links as they are now, the sessions, and the last report.

    ``homes`` and ``targets`` hold what is wrong with each (None: nothing), ``entries`` the state
    of each account's links; ``problem`` says why these could not be read, where they could not.
    """

    homes: Mapping[str, str | None]
    targets: Mapping[str, str | None]
    entries: Mapping[str, Mapping[str, str]]
    sessions: list[SessionStatus]
    foreign: list[str]
    report: LastReport
    problem: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """Red where an entry, home or target is not right, unknown where that is not known."""
        states = [state for row in self.entries.values() for state in row.values()]
        faults = [fault for fault in (*self.homes.values(), *self.targets.values()) if fault]
        if faults or any(state != LinkState.SHARED for state in states):
            return ExitCode.RED
        if self.problem or self.report.problem:
            return ExitCode.UNKNOWN
        return _CODES.get(self.report.verdict or "", ExitCode.UNKNOWN)

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``status --json``."""
        return {
            "homes": dict(self.homes),
            "targets": dict(self.targets),
            "entries": {account: dict(row) for account, row in self.entries.items()},
            "problem": self.problem,
            "sessions": [session.as_report() for session in self.sessions],
            "foreign_sessions": self.foreign,
            "report": {
                "path": self.report.path,
                "verdict": self.report.verdict,
                "age": self.report.age,
                "problem": self.report.problem,
            },
        }


_CODES = {"green": ExitCode.OK, "red": ExitCode.RED}

_Observed = tuple[dict[str, str | None], dict[str, str | None], dict[str, dict[str, str]]]


def overview(inventory: Inventory, environ: Mapping[str, str], interrupts: Interrupts) -> Overview:
    """Look at everything once. What hangs or cannot be asked becomes a problem, not an error."""
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
    try:
        survey = Survey(inventory, environ)
        sessions = survey.statuses(SessionState.STOPPED)
        foreign = [kept.name for kept in survey.foreign()]
    except Unavailable as error:
        sessions = unseen(inventory.sessions, error)
    return Overview(homes, targets, entries, sessions, foreign, last_report(inventory), problem)


def last_report(inventory: Inventory) -> LastReport:
    """Return what the report says, and whether it can be about the machine as it runs now."""
    path = inventory.settings.report
    try:
        failover = read(path)
    except NotJudged as error:
        return LastReport(path, problem=str(error))
    verdict, finished = failover.get("verdict"), failover.get("finished")
    if verdict not in list(Colour) or not isinstance(finished, int | float):
        return LastReport(path, problem=f"not a report of this version: {path}")
    age = time.time() - finished
    problem = None
    if failover.get("inventory") != inventory.path:
        problem = f"it is about another inventory: {failover.get('inventory')}"
    elif failover.get("boot_id") != boot_id():
        problem = "it is from before the last reboot"
    elif age < -1:
        problem = "it is from the future: the clock was set back"
    elif verdict == "unknown":
        problem = str(failover.get("reason"))
    return LastReport(path, verdict, round(age, 1), problem)


def _observe(inventory: Inventory) -> _Observed:
    homes, targets = Homes(), Targets()
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
