"""From pytest's document and the expected checks to a verdict. Pure: nothing is read or written.

Green is earned check by check; whatever is not proved to have run and passed is not green
(field notes, section 2: the ways in which pytest says green when it is not).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Self

from invariants.checks import Check
from invariants.finding import Finding
from invariants.fixes import noted
from invariants.naming import NOT_JUDGED as NOT_JUDGED
from invariants.warning import Warned, in_order

STAGES = ("setup", "call", "teardown")
_LISTED = 3
_MEANINGS = {
    2: "pytest was interrupted, or a test module could not be loaded",
    3: "pytest met an internal error",
    4: "pytest was called wrongly",
    5: "pytest found no test",
}


class Colour(StrEnum):
    """The three verdicts. Only green starts anything."""

    GREEN = "green"
    RED = "red"
    UNKNOWN = "unknown"


class Failure(NamedTuple):
    """A check that did not pass: the finding of its invariant, and the check's pytest id."""

    nodeid: str
    finding: Finding


class Verdict(NamedTuple):
    """The judgement of one gate. ``reason`` says why it is unknown, and is None otherwise."""

    colour: Colour
    reason: str | None = None
    failures: tuple[Failure, ...] = ()
    expected: int = 0
    passed: int = 0


class Gate(NamedTuple):
    """One gate: its verdict, pytest's document, and when it ran (seconds since the epoch).

    ``told`` are warnings that stay with it, ``seen`` those of the last look at the sessions. No
    verdict depends on them. ``own`` are the files of own invariants that it judged, each with a
    digest of its content (:mod:`launcher.demands`).
    """

    verdict: Verdict
    document: dict[str, Any]
    started: float
    finished: float
    told: tuple[Warned, ...] = ()
    seen: tuple[Warned, ...] = ()
    own: Mapping[str, str | None] = {}

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """All warnings, each once, in one order."""
        return in_order(*self.told, *self.seen)

    def warned(self, more: Iterable[Warned]) -> Self:
        """Return this gate with *more* warnings."""
        return self._replace(told=(*self.told, *more))

    def with_seen(self, warnings: Iterable[Warned]) -> Self:
        """Return this gate with the *warnings* of a look at the sessions, instead of the last's."""
        return self._replace(seen=tuple(warnings))

    def unknown(self, reason: str) -> Self:
        """Return this gate with the verdict unknown, for that reason."""
        return self._replace(verdict=self.verdict._replace(colour=Colour.UNKNOWN, reason=reason))


def once_more(option: str) -> str:
    """Return the fix of what no operator has caused: *option* reaches the inventory.

    >>> once_more("")
    'launcher check  # look: if it stays, this is a fault of claude-failover: report it'
    """
    note = "look: if it stays, this is a fault of claude-failover: report it"
    return noted(f"launcher check{option}", note)


def judge(
    exit_status: int, document: object, expected: Mapping[str, Check], option: str = ""
) -> Verdict:
    """Judge a run of pytest.

    *exit_status* is the child's own (negative where a signal ended it), *document* what
    pytest-json-report made of the run, *expected* the checks that the inventory calls for,
    *option* what a pasted ``launcher`` command needs to reach the same inventory.
    Green needs exit status 0, exactly the expected checks, and each of them passed in all of
    its stages. A check that failed with a finding makes it red. Everything else is unknown.
    """

    def unknown(reason: str) -> Verdict:
        return Verdict(Colour.UNKNOWN, reason, expected=len(expected))

    if exit_status not in (0, 1):
        return unknown(_ending(exit_status) + _collection_errors(document))
    if not isinstance(document, dict) or not isinstance(document.get("tests"), list):
        return unknown("pytest left no document of its run")
    if document.get("exitcode") != exit_status:
        return unknown("pytest's document and its exit code contradict each other")
    tests = {
        test["nodeid"]: test
        for test in document["tests"]
        if isinstance(test, dict) and isinstance(test.get("nodeid"), str)
    }
    if len(tests) != len(document["tests"]):
        return unknown("pytest's document holds a check twice, or one without a name")
    if mismatch := _mismatch(tests, expected):
        return unknown(mismatch)
    failures = _failures(tests, expected, option)
    passed = len(expected) - len(failures)
    if (not failures) != (exit_status == 0):
        reason = f"pytest's exit code {exit_status} contradicts its {len(failures)} failures"
        return Verdict(Colour.UNKNOWN, reason, failures, len(expected), passed)
    if not failures:
        return Verdict(Colour.GREEN, None, (), len(expected), passed)
    if all(failure.finding.state == NOT_JUDGED for failure in failures):
        reason = f"could not be judged: {_some([failure.nodeid for failure in failures])}"
        return Verdict(Colour.UNKNOWN, reason, failures, len(expected), passed)
    return Verdict(Colour.RED, None, failures, len(expected), passed)


def _failures(
    tests: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Check], option: str
) -> tuple[Failure, ...]:
    """Return every check that did not pass, with its finding or the reason that it has none."""
    return tuple(
        Failure(nodeid, _finding(tests[nodeid], check) or _not_judged(tests[nodeid], check, option))
        for nodeid, check in expected.items()
        if not has_passed(tests[nodeid])
    )


def has_passed(test: Mapping[str, Any]) -> bool:
    """Tell whether a test of the document ran in all three stages, and passed in each.

    >>> has_passed({"outcome": "passed", "setup": {"outcome": "passed"}})
    False
    """
    stages = [test.get(stage) for stage in STAGES]
    return test.get("outcome") == "passed" and all(
        isinstance(stage, dict) and stage.get("outcome") == "passed" for stage in stages
    )


def _ending(exit_status: int) -> str:
    if exit_status < 0:
        return f"the gate's process was ended by signal {-exit_status}"
    return _MEANINGS.get(exit_status, f"the gate's process ended with code {exit_status}")


def _collection_errors(document: object) -> str:
    collectors = document.get("collectors") if isinstance(document, dict) else None
    if not isinstance(collectors, list):
        return ""
    texts = [
        f"{collector.get('nodeid')}: {_last_line(str(collector.get('longrepr', '')))}"
        for collector in collectors
        if isinstance(collector, dict) and collector.get("outcome") == "failed"
    ]
    return f" ({'; '.join(texts[:_LISTED])})" if texts else ""


def _mismatch(tests: Mapping[str, object], expected: Mapping[str, Check]) -> str | None:
    if not expected:
        return "the inventory calls for no check"
    missing = [nodeid for nodeid in expected if nodeid not in tests]
    extra = [nodeid for nodeid in tests if nodeid not in expected]
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(expected)} checks did not run: {_some(missing)}")
    if extra:
        parts.append(f"{len(extra)} ran that the inventory does not call for: {_some(extra)}")
    return "; ".join(parts) or None


def _some(nodeids: Sequence[str]) -> str:
    names = [nodeid.rpartition("::")[2] for nodeid in nodeids[:_LISTED]]
    more = len(nodeids) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _finding(test: Mapping[str, Any], check: Check) -> Finding | None:
    """Return the finding that a failed test left, if it is whole and about this very check."""
    call, metadata = test.get("call"), test.get("metadata")
    fields = metadata.get("finding") if isinstance(metadata, dict) else None
    if test.get("outcome") != "failed" or not isinstance(fields, dict):
        return None
    if not isinstance(call, dict) or call.get("outcome") != "failed":
        return None
    try:
        finding = Finding(**fields)
    except TypeError:
        return None
    about = (finding.invariant, finding.account, finding.link, finding.session)
    if about != (check.invariant, check.account, check.link, check.session):
        return None
    return finding


def _not_judged(test: Mapping[str, Any], check: Check, option: str) -> Finding:
    found = f"the check did not pass and says nothing: {test.get('outcome')}"
    for stage in STAGES:
        outcome = test.get(stage)
        if not isinstance(outcome, dict):
            found = f"the check's {stage} did not run"
            break
        if outcome.get("outcome") != "passed":
            crash = outcome.get("crash")
            text = crash.get("message") if isinstance(crash, dict) else outcome.get("longrepr")
            found = (
                f"the check's {stage} ended as {outcome.get('outcome')}: {_last_line(str(text))}"
            )
            break
    return Finding(
        invariant=check.invariant,
        account=check.account,
        link=check.link,
        session=check.session,
        state=NOT_JUDGED,
        expected="a check that runs to its end",
        found=found,
        fix=once_more(option),
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
