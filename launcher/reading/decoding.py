"""From the report's document to a reading of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from invariants.finding import Finding
from invariants.inventory import Inventory, InventoryError
from invariants.warning import Warned, in_order
from launcher.errors import NotJudged
from launcher.processes import Process
from launcher.reading import counting
from launcher.reading.model import MAX_AGE, Origin, Outcome, Reading
from launcher.reading.put_back import put_back
from launcher.reading.values import array, count, number, table, text, text_or_none
from launcher.report import read_file
from launcher.sessions import SessionState, SessionStatus
from launcher.trusted import believed
from launcher.verdict import STAGES, Colour, Failure, has_passed

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What is raised for a document that is not as a report is."""


def read_report(inventory: Inventory, max_age: float = MAX_AGE) -> Reading:
    """Return what the report of *inventory* says; one older than *max_age* seconds is unknown.

    May hang where a file system does: that of the report, or of own invariants.
    """
    path = inventory.settings.report
    try:
        document, status = read_file(path, believed(inventory))
        reading = _decoded(document, path, inventory, max_age, _outcome)
        reading = reading._replace(problem=counting.problem(reading, inventory, status.st_mtime))
        return reading._replace(problem=reading.problem or put_back(reading, inventory))
    except NotJudged as error:
        problem = str(error)
    except MALFORMED:
        problem = f"not a report of this version: {path}"
    return Reading(path, inventory, problem=problem, max_age=max_age)


def without_inventory(error: InventoryError, max_age: float = MAX_AGE) -> Reading:
    """Return the reading where the inventory, which tells where the report is, is wrong."""
    problem = "the inventory is wrong or missing: " + "; ".join(error.problems)
    wrong = error.paths[0] if len(error.paths) == 1 else None
    return Reading(error.report or "", None, problem=problem, max_age=max_age, wrong=wrong)


def reading_of(document: Mapping[str, Any], inventory: Inventory) -> Reading:
    """Return what a report's *document* says that this process is about to publish itself.

    Nothing of the machine is looked at. Raises one of ``MALFORMED`` where the document is not as a
    report is.
    """
    reading = _decoded(document, inventory.settings.report, inventory, math.inf, _outcome)
    return reading._replace(problem=counting.contradiction(reading))


def reading_elsewhere(document: Mapping[str, Any], path: str, max_age: float = MAX_AGE) -> Reading:
    """Return what the report of another machine says, whose *document* came to *path*.

    Whether that machine has booted since, its watch has ended or its inventory has been edited
    cannot be seen from here: only the report's age bounds it. Keys that this version does not know
    are passed over. Raises one of ``MALFORMED`` where the document is not as a report is.
    """
    reading = _decoded(document, path, None, max_age, _untimed)
    return reading._replace(problem=counting.problem_elsewhere(reading))


def _decoded(
    document: Mapping[str, Any],
    path: str,
    inventory: Inventory | None,
    max_age: float,
    outcome: Callable[[Mapping[str, Any]], Outcome],
) -> Reading:
    failover = document["failover"]
    finished = number(failover["finished"])
    return Reading(
        path=path,
        inventory=inventory,
        said=Colour(failover["verdict"]),
        reason=text_or_none(failover["reason"]),
        age=round(time.time() - finished, 1),
        host=text(failover["host"]),
        started=number(failover["started"]),
        finished=finished,
        expected=count(failover["expected"]),
        passed=count(failover["passed"]),
        failures=tuple(map(_failure, array(failover["failures"]))),
        sessions=tuple(map(_session, array(failover["sessions"]))),
        warned=in_order(*map(_warned, array(failover.get("warnings", [])))),
        outcomes={one.nodeid: one for one in map(outcome, array(document.get("tests", [])))},
        off=tuple(map(text, table(failover["off"]))),
        origin=_origin(failover),
        max_age=max_age,
        document=document,
    )


def _origin(failover: Mapping[str, Any]) -> Origin:
    keeper, uptime = failover.get("keeper"), failover.get("uptime")
    return Origin(
        inventory=text(failover["inventory"]),
        boot_id=text_or_none(failover["boot_id"]),
        uptime=None if uptime is None else number(uptime),
        demands=text_or_none(failover.get("demands")),
        keeper=None if keeper is None else Process(count(keeper["pid"]), count(keeper["start"])),
    )


def _failure(entry: Mapping[str, Any]) -> Failure:
    finding = Finding(
        invariant=text(entry["invariant"]),
        state=text(entry["state"]),
        expected=text(entry["expected"]),
        found=text(entry["found"]),
        fix=text(entry["fix"]),
        account=text_or_none(entry["account"]),
        link=text_or_none(entry["link"]),
        session=text_or_none(entry["session"]),
    )
    return Failure(text(entry["nodeid"]), finding)


def _warned(entry: Mapping[str, Any]) -> Warned:
    return Warned(
        invariant=text(entry["invariant"]),
        found=text(entry["found"]),
        fix=text(entry["fix"]),
        account=text_or_none(entry["account"]),
        link=text_or_none(entry["link"]),
        session=text_or_none(entry["session"]),
    )


def _session(entry: Mapping[str, Any]) -> SessionStatus:
    state, detail = SessionState(entry["state"]), text_or_none(entry["detail"])
    return SessionStatus(text(entry["name"]), text(entry["account"]), state, detail)


def _outcome(test: Mapping[str, Any]) -> Outcome:
    stages = [test[stage] for stage in STAGES if isinstance(test.get(stage), dict)]
    seconds = sum(number(stage["duration"]) for stage in stages)
    return Outcome(text(test["nodeid"]), has_passed(test), seconds)


def _untimed(test: Mapping[str, Any]) -> Outcome:
    """Return the outcome alone: of ten thousand VMs nobody is told how long a check took."""
    return Outcome(text(test["nodeid"]), has_passed(test), 0.0)
