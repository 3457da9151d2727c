"""Own invariants in the gate: the operator's files, judged beside the families, never instead.

They are run apart from the families of ``invariants/`` and after them, in processes of their own:
Python lets a module change every other one of its process, so a file that replaces a function
of pytest's would otherwise have a say in what is told of the links.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Any

from invariants.checks import Check
from invariants.finding import Finding
from invariants.fixes import look
from invariants.inventory import Inventory
from invariants.own.cases import own_checks
from invariants.own.contents import contents
from invariants.own.model import OwnFile
from invariants.own.reading import read_own
from launcher import pytest_child
from launcher.bounded import bounded
from launcher.early import Started
from launcher.errors import Interrupted, NotJudged
from launcher.gate import TROUBLE
from launcher.interrupts import Waiting
from launcher.pytest_child import Run
from launcher.verdict import NOT_JUDGED, Colour, Failure, Gate, Verdict, judge

_LISTED = 3
_LEAST = 1.0
"""Seconds to read what the files hold, even where no time is left to judge them."""


def with_own(
    gate: Gate,
    inventory: Inventory,
    environ: Mapping[str, str],
    waiting: Waiting,
    until: float,
) -> Gate:
    """Return *gate* with the operator's own invariants judged too, until the clock says *until*.

    *until* is a time of the monotonic clock. Whatever kept a file from being judged is a failure
    "not-judged" of it: alone, such failures turn green to unknown; beside one that is broken the
    verdict is red. Never raises for what goes wrong with the run, or a signal. *waiting* is used
    for all waits.
    """
    verdicts: list[Verdict] = []
    documents: list[dict[str, Any]] = []
    directories = inventory.settings.invariants
    files: Mapping[str, str | None] = {}
    try:
        files = bounded(lambda: contents(directories), max(_LEAST, until - monotonic()), waiting)
        own = bounded(lambda: read_own(directories), _left(until, inventory), waiting)
        files = {**files, **{one.path: one.digest for one in own.files}}  # as they are judged
        verdicts += [_not_judged(one.path, one.reason) for one in own.unjudged]
        # What calls for no check (tests of sessions, and there are none) has nothing to run.
        called_for = [file for file in own.files if own_checks(file, inventory)]
        if called_for:
            limit = _left(until, inventory)
            for verdict, document in _run(called_for, inventory, environ, waiting, limit):
                verdicts.append(verdict)
                documents.append(document)
    except NotJudged as error:
        verdicts += [_not_judged(path, str(error)) for path in directories]
    except Interrupted as error:
        verdicts.append(Verdict(Colour.UNKNOWN, str(error)))
    except TROUBLE as error:
        verdicts.append(Verdict(Colour.UNKNOWN, f"own invariants could not be run: {error!r}"))
    return gate._replace(
        verdict=_joined(gate.verdict, verdicts),
        document=_with_documents(gate.document, documents),
        own=files,
    )


def _left(until: float, inventory: Inventory) -> float:
    left = until - monotonic()
    if left <= 0:
        limit = inventory.settings.timeout
        raise NotJudged(f"no time was left of the gate's {limit:g} s")
    return left


def _run(
    files: Sequence[OwnFile],
    inventory: Inventory,
    environ: Mapping[str, str],
    waiting: Waiting,
    limit: float,
) -> list[tuple[Verdict, dict[str, Any]]]:
    """Run *files*; return for each its verdict and pytest's document, which may be empty."""
    with Started(environ, "own_child.py") as child:
        run = pytest_child.run(child, pickle.dumps((inventory, files)), limit, waiting)
    results = _results(run.document)
    judged: list[tuple[Verdict, dict[str, Any]]] = []
    for file in files:
        expected = own_checks(file, inventory)
        if (result := results.get(file.path)) is None:
            reason = _unfinished(file, run, inventory.settings.timeout)
            judged.append((_not_judged(file.path, reason, len(expected)), {}))
            continue
        document, status = _parsed(result.get("document")), result.get("status")
        own = document.pop("own", None) or {}
        verdict = judge(status if isinstance(status, int) else -1, document, expected)
        if (name := own.get("replaced")) is not None:
            reason = f"it replaces {name}, by which the gate judges: leave that as it is"
            judged.append((_not_judged(file.path, reason, len(expected)), {}))
            continue
        verdict = _proved(verdict, file.path, expected, own.get("ran", []))
        if verdict.colour is Colour.UNKNOWN and not verdict.failures:
            verdict = _not_judged(file.path, verdict.reason or "", len(expected))
        judged.append((_blamed_on(file.path, verdict), document))
    return judged


def _proved(
    verdict: Verdict, path: str, expected: Mapping[str, Check], ran: Collection[str]
) -> Verdict:
    """Return *verdict*, with a failure for each check that passed though its test is not in *ran*.

    *ran* are the tests of the file at *path* whose code, as it was read, has come to its end.
    """
    failed = {failure.nodeid: failure for failure in verdict.failures}
    if verdict.colour is Colour.UNKNOWN and not failed:
        return verdict
    unproved = {
        nodeid: Failure(nodeid, _replaced(path, check))
        for nodeid, check in expected.items()
        if nodeid not in failed and nodeid.removeprefix(f"{path}::") not in ran
    }
    if not unproved:
        return verdict
    every = failed | unproved
    return verdict._replace(
        colour=Colour.UNKNOWN if verdict.colour is Colour.GREEN else verdict.colour,
        reason=verdict.reason or "a test did not run as it was read",
        failures=tuple(every[nodeid] for nodeid in expected if nodeid in every),
        passed=verdict.passed - len(unproved),
    )


def _replaced(path: str, check: Check) -> Finding:
    """Return the finding on a test that passed, but not by the code that was read."""
    return Finding(
        invariant=check.invariant,
        account=check.account,
        link=check.link,
        session=check.session,
        state=NOT_JUDGED,
        expected="the test as it was read from its file, run to its end",
        found=f"{path}: test_{check.invariant} passed, but its code did not run to its end: "
        "something in the file takes its place, or gives it other arguments",
        fix=_correct(path),
    )


def _unfinished(file: OwnFile, run: Run, timeout: float) -> str:
    """Say why a file has no result: its process hung, or one before it, or all were ended."""
    if run.status is not None:
        return f"it was not run: own invariants' process ended with {run.status} ({run.output})"
    path, _, check = run.current.partition("::")
    late = f"no verdict within {timeout:g} s"
    if path == file.path:
        return f"{late}, hung at {check or 'its import'}"
    return f"{late}, it was not run: {run.current or 'pytest'} hung before"


def _results(content: bytes) -> dict[str, dict[str, Any]]:
    results = {}
    for line in content.splitlines():
        try:
            result = json.loads(line)
        except ValueError:
            continue  # torn: its writer was ended at it
        if isinstance(result, dict) and isinstance(result.get("path"), str):
            results[result["path"]] = result
    return results


def _parsed(content: object) -> dict[str, Any]:
    try:
        document = json.loads(str(content))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _not_judged(path: str, reason: str, expected: int = 1) -> Verdict:
    """Return the verdict on what could not be judged, a file or a directory, as one failure."""
    finding = Finding(
        invariant=os.path.basename(path),
        state=NOT_JUDGED,
        expected="own invariants that can be judged",
        found=f"{path}: {reason}",
        fix=_correct(path),
    )
    return Verdict(Colour.UNKNOWN, reason, (Failure(path, finding),), expected)


def _correct(path: str) -> str:
    return look("ls", "-l", path, note="correct what is found, then launcher check")


def _blamed_on(path: str, verdict: Verdict) -> Verdict:
    """Return *verdict* with the file, and its fix, in what could not be judged."""
    return verdict._replace(
        failures=tuple(
            failure._replace(finding=_in_file(path, failure.finding))
            for failure in verdict.failures
        )
    )


def _in_file(path: str, finding: Finding) -> Finding:
    if finding.state != NOT_JUDGED or finding.found.startswith(path):
        return finding
    return finding._replace(found=f"{path}: {finding.found}", fix=_correct(path))


def _joined(verdict: Verdict, others: Sequence[Verdict]) -> Verdict:
    """Return one verdict on all: green where all are, and unknown where the families' was.

    Red needs something that is broken for certain, in the families or in an own invariant.
    """
    failures = tuple(failure for one in (verdict, *others) for failure in one.failures)
    own = tuple(failure for one in others for failure in one.failures)
    broken = any(failure.finding.state != NOT_JUDGED for failure in failures)
    reasons = [verdict.reason] if verdict.reason else []
    reasons += [one.reason or "" for one in others if not one.failures and one.reason]
    if unjudged := [one.finding for one in own if one.finding.state == NOT_JUDGED]:
        more = f" and {len(unjudged) - _LISTED} more" if len(unjudged) > _LISTED else ""
        said = "; ".join(finding.found for finding in unjudged[:_LISTED])
        reasons.append(f"own invariants could not be judged: {said}{more}")
    if all(one.colour is Colour.GREEN for one in (verdict, *others)):
        colour = Colour.GREEN
    elif broken and verdict.colour is not Colour.UNKNOWN:
        colour = Colour.RED
    else:
        colour = Colour.UNKNOWN
    return Verdict(
        colour,
        "; ".join(reasons) if colour is Colour.UNKNOWN else None,
        failures,
        sum(one.expected for one in (verdict, *others)),
        sum(one.passed for one in (verdict, *others)),
    )


def _with_documents(
    document: dict[str, Any], others: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return pytest's document with the tests of *others* in it, as one run would have had them."""
    if not document or not others:
        return document
    whole = dict(document)
    whole["summary"] = dict(document.get("summary", {}))
    for other in others:
        for key in ("tests", "collectors"):
            whole[key] = [*whole.get(key, []), *other.get(key, [])]
        for name, count in other.get("summary", {}).items():
            whole["summary"][name] = whole["summary"].get(name, 0) + count
        whole["exitcode"] = max(whole.get("exitcode", 0), other.get("exitcode", 0))
        whole["duration"] = whole.get("duration", 0.0) + other.get("duration", 0.0)
    return whole
