"""``judge``: green is earned check by check; whatever is not proved is not green."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invariants.checks import Check
from invariants.finding import Finding
from launcher.verdict import Colour, Verdict, has_passed, judge

HOME = "invariants/test_homes.py::test_home_is_usable[backup]"
LINK = "invariants/test_links.py::test_link_is_shared[backup-projects]"
EXPECTED = {
    HOME: Check(HOME, "home_is_usable", "backup", None, None),
    LINK: Check(LINK, "link_is_shared", "backup", "projects", None),
}
FINDING = Finding(
    invariant="link_is_shared",
    account="backup",
    link="projects",
    state="divergent",
    expected="symlink to /srv/claude/projects",
    found="symlink to /elsewhere",
    fix="launcher ensure",
)

Document = dict[str, Any]


def passed(nodeid: str) -> Document:
    stages = {stage: {"outcome": "passed"} for stage in ("setup", "call", "teardown")}
    return {"nodeid": nodeid, "outcome": "passed", **stages}


def broken(nodeid: str = LINK, finding: Any = None) -> Document:
    metadata = {"finding": finding or FINDING.as_json()}
    stage = {"outcome": "failed", "longrepr": "…"}
    return {**passed(nodeid), "outcome": "failed", "call": stage, "metadata": metadata}


def green() -> Document:
    return {"exitcode": 0, "tests": [passed(HOME), passed(LINK)], "collectors": []}


def red() -> Document:
    return {"exitcode": 1, "tests": [passed(HOME), broken()], "collectors": []}


def test_all_passed_is_green() -> None:
    assert Verdict(Colour.GREEN, None, (), 2, 2) == judge(0, green(), EXPECTED)


def test_a_finding_is_red() -> None:
    verdict = judge(1, red(), EXPECTED)
    assert (Colour.RED, None, 2, 1) == (
        verdict.colour,
        verdict.reason,
        verdict.expected,
        verdict.passed,
    )
    assert [(LINK, FINDING)] == [(one.nodeid, one.finding) for one in verdict.failures]


@pytest.mark.parametrize("state", ["missing", "unreadable", "symlink"])
def test_every_state_of_a_finding_is_red(state: str) -> None:
    document = {
        **red(),
        "tests": [passed(HOME), broken(finding={**FINDING.as_json(), "state": state})],
    }
    assert Colour.RED is judge(1, document, EXPECTED).colour


def test_passed_are_counted() -> None:
    homes = [f"{HOME}{number}" for number in range(6)]
    expected = {**EXPECTED, **dict.fromkeys(homes, EXPECTED[HOME])}
    tests = [passed(HOME), broken(), *map(passed, homes)]
    assert 7 == judge(1, {**red(), "tests": tests}, expected).passed


def test_verdict_without_a_run_counts_nothing() -> None:
    verdict = Verdict(Colour.UNKNOWN, "hung")
    assert (0, 0, ()) == (verdict.expected, verdict.passed, verdict.failures)


def test_order_of_the_tests_does_not_matter() -> None:
    document = green()
    document["tests"].reverse()
    assert Colour.GREEN is judge(0, document, EXPECTED).colour


ENDINGS = [
    (2, "pytest was interrupted, or a test module could not be loaded"),
    (3, "pytest met an internal error"),
    (4, "pytest was called wrongly"),
    (5, "pytest found no test"),
    (6, "the gate's process ended with code 6"),
    (-9, "the gate's process was ended by signal 9"),
    (-1, "the gate's process was ended by signal 1"),
    (255, "the gate's process ended with code 255"),
]


@pytest.mark.parametrize(("status", "reason"), ENDINGS)
@pytest.mark.parametrize("document", [green(), red(), {}, None], ids=["green", "red", "{}", "none"])
def test_any_other_exit_status_is_unknown(status: int, reason: str, document: Any) -> None:
    assert Verdict(Colour.UNKNOWN, reason, (), 2, 0) == judge(status, document, EXPECTED)


def test_collection_errors_are_told() -> None:
    collectors = [
        {"nodeid": "invariants/test_links.py", "outcome": "failed", "longrepr": "a\nE   boom\n\n"},
        {"nodeid": "other", "outcome": "passed", "longrepr": "not told"},
        {"nodeid": "other", "outcome": "error", "longrepr": "not told"},
        "not a collector",
        *({"nodeid": f"{number}", "outcome": "failed"} for number in range(5)),
    ]
    verdict = judge(2, {"collectors": collectors}, EXPECTED)
    assert (
        "pytest was interrupted, or a test module could not be loaded "
        "(invariants/test_links.py: E   boom; 0: no reason given; 1: no reason given)"
    ) == verdict.reason


@pytest.mark.parametrize("collectors", [None, "x", {}, []])
def test_collectors_of_another_shape_are_passed_over(collectors: Any) -> None:
    assert ENDINGS[0][1] == judge(2, {"collectors": collectors}, EXPECTED).reason


@pytest.mark.parametrize("document", [None, [], "x", {}, {"exitcode": 0}, {"tests": {}}])
@pytest.mark.parametrize("status", [0, 1])
def test_no_document_is_unknown(status: int, document: Any) -> None:
    verdict = judge(status, document, EXPECTED)
    assert (Colour.UNKNOWN, "pytest left no document of its run") == (
        verdict.colour,
        verdict.reason,
    )


@pytest.mark.parametrize("code", [1, 5, None, "0"])
def test_document_of_another_exit_code_is_unknown(code: Any) -> None:
    verdict = judge(0, {**green(), "exitcode": code}, EXPECTED)
    reason = "pytest's document and its exit code contradict each other"
    assert Verdict(Colour.UNKNOWN, reason, (), 2, 0) == verdict


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ([passed(HOME)], f"1 of 2 checks did not run: {LINK.rpartition('::')[2]}"),
        (
            [],
            "2 of 2 checks did not run: test_home_is_usable[backup], "
            "test_link_is_shared[backup-projects]",
        ),
        (
            [passed(HOME), passed(LINK), passed("x.py::test_more")],
            "1 ran that the inventory does not call for: test_more",
        ),
        (
            [passed(HOME), passed("x.py::test_else")],
            "1 of 2 checks did not run: test_link_is_shared[backup-projects]; "
            "1 ran that the inventory does not call for: test_else",
        ),
        (
            [passed(HOME), passed(LINK), passed(LINK)],
            "pytest's document holds a check twice, or one without a name",
        ),
        (
            [passed(HOME), passed(LINK), "x"],
            "pytest's document holds a check twice, or one without a name",
        ),
    ],
)
def test_other_checks_than_the_expected_ones_are_unknown(tests: Any, reason: str) -> None:
    verdict = judge(0, {**green(), "tests": tests}, EXPECTED)
    assert Verdict(Colour.UNKNOWN, reason, (), 2, 0) == verdict


def test_only_the_first_of_many_names_are_told() -> None:
    expected = {f"f.py::test_{n}": EXPECTED[HOME] for n in range(8)}
    assert (
        "8 of 8 checks did not run: test_0, test_1, test_2 and 5 more"
        == judge(0, {"exitcode": 0, "tests": []}, expected).reason
    )


def test_nothing_expected_is_never_green() -> None:
    verdict = judge(0, {"exitcode": 0, "tests": []}, {})
    assert Verdict(Colour.UNKNOWN, "the inventory calls for no check", (), 0, 0) == verdict


Change = Callable[[Document], object]


def without(key: str) -> Change:
    return lambda test: test.pop(key)


def setting(key: str, value: Any) -> Change:
    return lambda test: test.update({key: value})


NOT_PASSED: list[tuple[str, Change, str]] = [
    ("no setup", without("setup"), "the check's setup did not run"),
    ("no call", without("call"), "the check's call did not run"),
    ("no teardown", without("teardown"), "the check's teardown did not run"),
    ("no outcome", without("outcome"), "the check did not pass and says nothing: None"),
    (
        "skipped",
        setting("outcome", "skipped"),
        "the check did not pass and says nothing: skipped",
    ),
    (
        "xpassed",
        setting("outcome", "xpassed"),
        "the check did not pass and says nothing: xpassed",
    ),
    (
        "skipped in its call",
        setting("call", {"outcome": "skipped", "longrepr": "('f.py', 3, 'Skipped: later')"}),
        "the check's call ended as skipped: ('f.py', 3, 'Skipped: later')",
    ),
    (
        "crashed",
        setting("call", {"outcome": "failed", "crash": {"message": "a\nZeroDivisionError: b"}}),
        "the check's call ended as failed: ZeroDivisionError: b",
    ),
    (
        "failed in setup",
        setting("setup", {"outcome": "failed", "longrepr": " \n"}),
        "the check's setup ended as failed: no reason given",
    ),
    (
        "failed in setup and not called",
        lambda test: test.update(setup={"outcome": "failed", "longrepr": "first"}, call=None),
        "the check's setup ended as failed: first",
    ),
    (
        "not set up, and failed later",
        lambda test: test.update(setup=None, call={"outcome": "failed", "longrepr": "later"}),
        "the check's setup did not run",
    ),
    ("call of another shape", setting("call", "passed"), "the check's call did not run"),
]


@pytest.mark.parametrize(
    ("change", "found"), [row[1:] for row in NOT_PASSED], ids=[r[0] for r in NOT_PASSED]
)
@pytest.mark.parametrize("status", [0, 1])
def test_check_that_is_not_proved_to_have_passed_is_unknown(
    status: int, change: Change, found: str
) -> None:
    document = {**green(), "exitcode": status}
    change(document["tests"][1])
    verdict = judge(status, document, EXPECTED)
    assert Colour.UNKNOWN is verdict.colour
    assert [found] == [failure.finding.found for failure in verdict.failures]
    assert 1 == verdict.passed
    finding = verdict.failures[0].finding
    assert ("not-judged", "link_is_shared", "backup", "projects", None) == (
        finding.state,
        finding.invariant,
        finding.account,
        finding.link,
        finding.session,
    )


def test_reason_names_the_checks_that_could_not_be_judged() -> None:
    document = {**green(), "exitcode": 1}
    document["tests"][1].pop("call")
    assert (
        "could not be judged: test_link_is_shared[backup-projects]"
        == judge(1, document, EXPECTED).reason
    )


@pytest.mark.parametrize(("status", "document"), [(0, red()), (1, green())])
def test_exit_code_against_the_outcomes_is_unknown(status: int, document: Document) -> None:
    verdict = judge(status, {**document, "exitcode": status}, EXPECTED)
    assert Colour.UNKNOWN is verdict.colour
    failures = 1 - status
    assert f"pytest's exit code {status} contradicts its {failures} failures" == verdict.reason
    assert (failures, 2, 2 - failures) == (len(verdict.failures), verdict.expected, verdict.passed)


def test_red_stays_red_beside_a_check_that_could_not_be_judged() -> None:
    document = red()
    document["tests"][0].pop("call")
    verdict = judge(1, document, EXPECTED)
    assert (Colour.RED, None, 0) == (verdict.colour, verdict.reason, verdict.passed)
    assert ["not-judged", "divergent"] == [one.finding.state for one in verdict.failures]


FOREIGN: list[tuple[str, Any]] = [
    ("another invariant", {**FINDING.as_json(), "invariant": "home_is_usable"}),
    ("another account", {**FINDING.as_json(), "account": "primary"}),
    ("another link", {**FINDING.as_json(), "link": "file-history"}),
    ("a session", {**FINDING.as_json(), "session": "api"}),
    ("a field too many", {**FINDING.as_json(), "more": "x"}),
    ("a field too few", {"invariant": "link_is_shared"}),
    ("no table", "divergent"),
]


@pytest.mark.parametrize("finding", [row[1] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_finding_about_something_else_does_not_count(finding: Any) -> None:
    document = {**red(), "tests": [passed(HOME), broken(finding=finding)]}
    verdict = judge(1, document, EXPECTED)
    assert (Colour.UNKNOWN, "not-judged") == (verdict.colour, verdict.failures[0].finding.state)


@pytest.mark.parametrize(
    "change",
    [
        setting("outcome", "error"),
        setting("call", {"outcome": "passed"}),
        setting("call", {"outcome": "error"}),
        setting("call", "failed"),
        setting("metadata", None),
        without("metadata"),
    ],
)
def test_finding_without_a_failed_call_does_not_count(change: Change) -> None:
    document = red()
    change(document["tests"][1])
    assert Colour.UNKNOWN is judge(1, document, EXPECTED).colour


def test_passed_needs_all_three_stages() -> None:
    assert has_passed(passed(HOME))
    for stage in ("setup", "call", "teardown"):
        assert not has_passed({**passed(HOME), stage: {"outcome": "failed"}})
        assert not has_passed({**passed(HOME), stage: None})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["passed", "failed", HOME, LINK]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "exitcode",
                    "tests",
                    "nodeid",
                    "outcome",
                    "setup",
                    "call",
                    "teardown",
                    "metadata",
                    "finding",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.integers(-20, 10), json_values)
def test_no_document_whatever_makes_it_raise_or_turns_it_green(status: int, document: Any) -> None:
    assert Colour.GREEN is not judge(status, document, EXPECTED).colour or document == green()


@given(st.data())
def test_green_with_anything_changed_is_not_green(data: st.DataObject) -> None:
    """Every single value of a green document matters, or is not looked at."""
    document = copy.deepcopy(green())
    test = document["tests"][data.draw(st.integers(0, 1))]
    key = data.draw(st.sampled_from(["nodeid", "outcome", "setup", "call", "teardown"]))
    value = data.draw(json_values.filter(lambda value: value != test[key]))
    test[key] = value
    verdict = judge(0, document, EXPECTED)
    still = isinstance(value, dict) and value.get("outcome") == "passed"
    assert (verdict.colour is Colour.GREEN) == (still and key in ("setup", "call", "teardown"))
