"""JUnit: what a parser makes of the XML, and whether it holds only what Jenkins takes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from launcher.formats.junit import show
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told

SHAPE: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": (
        {"name"},
        {"classname", "time"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"message", "type"}, set()),
    "error": (set(), {"message", "type"}, set()),
    "system-out": (set(), set(), set()),
}
"""What junit-10.xsd of Jenkins' xUnit plugin allows: attributes that must and may be, elements."""


def assert_is_taken_by_jenkins(text: str) -> None:
    root = ElementTree.fromstring(text)
    assert root.tag in ("testsuites", "testsuite")
    for element in root.iter():
        required, optional, children = SHAPE[element.tag]
        assert required <= set(element.attrib) <= required | optional
        assert {child.tag for child in element} <= children
    for suite in root.iter("testsuite"):
        for name, found in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(suite.attrib.get(name, "0")) == len(list(suite.iter(found)))


def cases(text: str) -> list[TestCase]:
    """Return the cases of the one suite."""
    (suite,) = JUnitXml.fromstring(text.encode())
    assert isinstance(suite, TestSuite)
    return [case for case in suite if isinstance(case, TestCase)]


@pytest.mark.parametrize("case", CASES)
def test_valid_for_jenkins(told: Told, case: str) -> None:
    told.case(case)
    assert_is_taken_by_jenkins(show(told.reading()).text)


def test_red_is_one_failure_among_all_checks(told: Told) -> None:
    told.case("red")
    found = cases(show(told.reading()).text)
    (failed,) = [case for case in found if case.result]
    expected = told.document("red")["failover"]["expected"]
    assert (expected, "link_is_shared", "backup-projects") == (
        len(found),
        failed.classname,
        failed.name,
    )
    (failure,) = failed.result
    assert isinstance(failure, Failure)
    assert ("divergent", "backup projects: divergent") == (failure.type, failure.message)
    assert failure.text is not None
    assert ["expected", "found", "fix"] == [
        line.partition(":")[0] for line in failure.text.splitlines()
    ]


def test_green_has_nothing_but_passes(told: Told) -> None:
    told.case("green")
    found = cases(show(told.reading()).text)
    expected = told.document("green")["failover"]["expected"]
    assert (expected, []) == (len(found), [case.name for case in found if not case.is_passed])


@pytest.mark.parametrize("case", ["unknown", "stale", "missing"])
def test_unknown_is_an_error_and_nothing_passes(told: Told, case: str) -> None:
    told.case(case)
    (only,) = cases(show(told.reading()).text)
    assert "verdict_is_known" == only.classname
    (error,) = only.result
    assert isinstance(error, Error)


def test_check_that_did_not_say_anything_is_an_error(told: Told) -> None:
    document = told.document("red")
    document["failover"]["failures"][0]["state"] = "not-judged"
    told.tell(document)
    (case,) = [case for case in cases(show(told.reading()).text) if case.result]
    assert isinstance(case.result[0], Error)


def test_failure_without_a_run_of_its_own_is_told(told: Told) -> None:
    document = told.document("red")
    del document["tests"]
    told.tell(document)
    (case,) = cases(show(told.reading()).text)
    assert isinstance(case.result[0], Failure)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), text))
    shown = show(told.reading()).text
    assert_is_taken_by_jenkins(shown)
    failed = [case for case in cases(shown) if case.result]
    assert [("link_is_shared", "backup-projects"), ("session_is_up", "api")] == [
        (case.classname, case.name) for case in failed
    ]
