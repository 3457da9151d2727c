"""JUnit's XML, as Jenkins and GitLab read it (junit-10.xsd of Jenkins' xUnit plugin).

pytest's own writer (``--junit-xml``) would do for a run of pytest, not for a verdict: it writes
nothing where the run dies or hangs, lists a skipped check as harmless, and what it wrote says
nothing about its age. It would also have to run in the gate's child, which is closed to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from launcher.formats import Shown
from launcher.formats.words import brief, fields, plain, results, split, warning
from launcher.reading import Reading
from launcher.verdict import NOT_JUDGED, Colour, Failure

_NAME = "claude-failover"


def show(reading: Reading) -> Shown:
    """Return one test suite: a case for each check, one for each session that is not up.

    An unknown verdict is an error of a case of its own: no reader may take it for a pass. Warnings
    are the suite's output: JUnit knows no case that passes and warns.
    """
    cases = [_case(*split(one.nodeid), one.seconds, one.failure) for one in results(reading)]
    for session in reading.failed_sessions:
        case = _case("session_is_up", plain(session.name), 0.0, None)
        _say(case, "failure", session.state.value, plain(session.detail or "it is not up"))
        cases.append(case)
    if reading.verdict is Colour.UNKNOWN:
        case = _case("verdict_is_known", "gate", 0.0, None)
        _say(case, "error", "unknown", plain(reading.summary))
        cases.append(case)
    counts = {
        "tests": str(len(cases)),
        "failures": str(_count(cases, "failure")),
        "errors": str(_count(cases, "error")),
    }
    top = Element("testsuites", {"name": _NAME, **counts})
    suite = SubElement(top, "testsuite", {"name": _NAME, **counts, **_about(reading)})
    suite.extend(cases)
    if reading.warnings:
        SubElement(suite, "system-out").text = "\n".join(map(warning, reading.warnings))
    text = tostring(top, encoding="unicode")
    return Shown(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', reading.code)


def _case(invariant: str, subject: str, seconds: float, failure: Failure | None) -> Element:
    case = Element("testcase", classname=invariant, name=subject, time=f"{seconds:.6f}")
    if failure is not None:
        # What could not be judged is an error: the check did not say anything.
        kind = "error" if failure.finding.state == NOT_JUDGED else "failure"
        lines = [f"{name}: {text}" for name, text in fields(failure.finding)]
        _say(case, kind, failure.finding.state, brief(failure.finding), "\n".join(lines))
    return case


def _say(case: Element, kind: str, state: str, message: str, text: str = "") -> None:
    SubElement(case, kind, message=message, type=plain(state)).text = text


def _count(cases: list[Element], kind: str) -> int:
    return sum(case.find(kind) is not None for case in cases)


def _about(reading: Reading) -> dict[str, str]:
    """Return when and where the gate ran, as far as the report counts."""
    if reading.problem is not None or reading.started is None or reading.finished is None:
        return {}
    at = datetime.fromtimestamp(reading.started, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    seconds = f"{reading.finished - reading.started:.3f}"
    return {"timestamp": at, "time": seconds, "hostname": plain(reading.host)}
