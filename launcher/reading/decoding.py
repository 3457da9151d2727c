"""From the report's document to a reading of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from invariants.finding import Finding, shown
from invariants.inventory import Inventory, InventoryError
from invariants.warning import Warned, in_order
from launcher.errors import NotJudged
from launcher.processes import Process, boot_id
from launcher.reading.matrix import called_for
from launcher.reading.model import MAX_AGE, Outcome, Reading
from launcher.report import read_document
from launcher.sessions import SessionState, SessionStatus
from launcher.verdict import STAGES, Colour, Failure, has_passed

CLOCKS_APART = 60.0
"""How many seconds the clock of another machine may be ahead of this one's."""


def read_report(inventory: Inventory, max_age: float = MAX_AGE) -> Reading:
    """Return what the report of *inventory* says; one older than *max_age* seconds is unknown."""
    path = inventory.settings.report
    try:
        return reading_of(read_document(path), inventory, max_age)
    except NotJudged as error:
        problem = str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        problem = f"not a report of this version: {path}"
    return Reading(path, inventory, problem=problem, max_age=max_age)


def without_inventory(error: InventoryError, max_age: float = MAX_AGE) -> Reading:
    """Return the reading where the inventory, which tells where the report is, is wrong."""
    problem = "the inventory is wrong or missing: " + "; ".join(error.problems)
    return Reading(error.report or "", None, problem=problem, max_age=max_age)


def reading_of(
    document: Mapping[str, Any], inventory: Inventory, max_age: float = MAX_AGE
) -> Reading:
    """Return what a report's *document* says; keys that this version does not know are passed over.

    Raises KeyError, TypeError, ValueError or AttributeError where it is not as a report is.
    """
    reading = _decoded(document, inventory.settings.report, inventory, max_age, _outcome)
    return reading._replace(problem=_problem(reading, document["failover"], inventory))


def reading_elsewhere(document: Mapping[str, Any], path: str, max_age: float = MAX_AGE) -> Reading:
    """Return what the report of another machine says, whose *document* came to *path*.

    Whether that machine has booted since, or its watch has ended, cannot be seen from here: only
    the report's age bounds it. Raises as :func:`reading_of` does.
    """
    reading = _decoded(document, path, None, max_age, _untimed)
    return reading._replace(problem=_problem_elsewhere(reading))


def _decoded(
    document: Mapping[str, Any],
    path: str,
    inventory: Inventory | None,
    max_age: float,
    outcome: Callable[[Mapping[str, Any]], Outcome],
) -> Reading:
    failover = document["failover"]
    finished = _number(failover["finished"])
    return Reading(
        path=path,
        inventory=inventory,
        said=Colour(failover["verdict"]),
        reason=_text_or_none(failover["reason"]),
        age=round(time.time() - finished, 1),
        host=_text(failover["host"]),
        started=_number(failover["started"]),
        finished=finished,
        expected=int(_number(failover["expected"])),
        passed=int(_number(failover["passed"])),
        failures=tuple(map(_failure, _list(failover["failures"]))),
        sessions=tuple(map(_session, _list(failover["sessions"]))),
        warned=in_order(*map(_warned, _list(failover.get("warnings", [])))),
        outcomes={test["nodeid"]: outcome(test) for test in document.get("tests", ())},
        max_age=max_age,
        document=document,
    )


def _problem(reading: Reading, failover: Mapping[str, Any], inventory: Inventory) -> str | None:
    """Say why the report cannot be about the machine as it is now."""
    age = reading.age or 0.0
    if failover["inventory"] != inventory.path:
        return f"it is about another inventory: {shown(_text(failover['inventory']))}"
    if failover["boot_id"] != boot_id():
        return "it is from before the last reboot"
    if age < -1:
        return "it is from the future: the clock was set back"
    if _is_read_only(os.path.dirname(os.path.realpath(reading.path))):
        return "it is on a read-only file system: nothing can replace it any more"
    keeper = failover.get("keeper")
    if reading.said is not Colour.UNKNOWN and keeper is not None and not _lives(keeper):
        return "the launcher watch that kept it true has ended"
    return _too_old(reading) or _contradiction(reading)


def _problem_elsewhere(reading: Reading) -> str | None:
    """Say why the report cannot be about that machine as it is now."""
    age = reading.age or 0.0
    if age < -CLOCKS_APART:
        return f"it is from the future, by {-age:.0f} s: one of the two clocks is wrong"
    return _too_old(reading) or _contradiction(reading) or _untold(reading)


def _too_old(reading: Reading) -> str | None:
    if (reading.age or 0.0) <= reading.max_age:
        return None
    return f"it is {reading.age:.0f} s old, {reading.max_age:g} s at most were asked for"


def _contradiction(reading: Reading) -> str | None:
    """Say why a green cannot be: by its own numbers, or by what the inventory calls for now."""
    if reading.said is not Colour.GREEN:
        return None
    if reading.failures or not reading.expected or reading.passed != reading.expected:
        return f"it says green, but that {reading.passed} of {reading.expected} checks passed"
    for check in called_for(reading.inventory):
        outcome = reading.outcomes.get(check.nodeid)
        if outcome is None or not outcome.passed:
            name = check.nodeid.rpartition("::")[2]
            return f"it does not tell of {name}, which the inventory calls for by now"
    return None


def _untold(reading: Reading) -> str | None:
    """Say why a verdict cannot be, by what the report tells of its checks and sessions."""
    if reading.said is Colour.RED and not reading.failures:
        return "it says red, but of nothing that does not hold"
    if reading.said is not Colour.GREEN:
        return None
    document = reading.document or {}
    passed = sum(outcome.passed for outcome in reading.outcomes.values())
    if not len(document.get("tests", ())) == len(reading.outcomes) == passed == reading.expected:
        told = f"of {len(reading.outcomes)} checks, {passed} of them passed"
        return f"it says green, but tells {told}, where {reading.expected} are called for"
    if document.get("exitcode") != 0:
        return f"it says green, but that pytest ended with {document.get('exitcode')!r}"
    held = [one.name for one in reading.sessions if one.state is SessionState.HELD]
    if reading.reason is not None or held:
        return "it says green, but that a session was held, or why it is unknown"
    return None


def _lives(keeper: Mapping[str, Any]) -> bool:
    return Process(int(keeper["pid"]), int(keeper["start"])).is_alive()


def _is_read_only(directory: str) -> bool:
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # then the report's age is all that tells


def _failure(entry: Mapping[str, Any]) -> Failure:
    finding = Finding(
        invariant=_text(entry["invariant"]),
        state=_text(entry["state"]),
        expected=_text(entry["expected"]),
        found=_text(entry["found"]),
        fix=_text(entry["fix"]),
        account=_text_or_none(entry["account"]),
        link=_text_or_none(entry["link"]),
        session=_text_or_none(entry["session"]),
    )
    return Failure(_text(entry["nodeid"]), finding)


def _warned(entry: Mapping[str, Any]) -> Warned:
    return Warned(
        invariant=_text(entry["invariant"]),
        found=_text(entry["found"]),
        fix=_text(entry["fix"]),
        account=_text_or_none(entry["account"]),
        link=_text_or_none(entry["link"]),
        session=_text_or_none(entry["session"]),
    )


def _session(entry: Mapping[str, Any]) -> SessionStatus:
    state, detail = SessionState(entry["state"]), _text_or_none(entry["detail"])
    return SessionStatus(_text(entry["name"]), _text(entry["account"]), state, detail)


def _outcome(test: Mapping[str, Any]) -> Outcome:
    stages = [test[stage] for stage in STAGES if isinstance(test.get(stage), dict)]
    seconds = sum(_number(stage["duration"]) for stage in stages)
    return Outcome(_text(test["nodeid"]), has_passed(test), seconds)


def _untimed(test: Mapping[str, Any]) -> Outcome:
    """Return the outcome alone: of ten thousand VMs nobody is told how long a check took."""
    return Outcome(_text(test["nodeid"]), has_passed(test), 0.0)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"not a list: {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"not a number: {value!r}")
    return value
