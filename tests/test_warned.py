"""Warnings: they come from a check or from a look, and no verdict depends on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import load
from invariants.warning import Warned, in_order
from launcher import boot
from launcher.interrupts import Interrupts
from launcher.sessions import warned
from launcher.sessions.survey import Survey
from launcher.verdict import Colour, Gate, Verdict, judge
from launcher.warned import warned_of
from tests.formats.hostile import TEXTS
from tests.patching import patch
from tests.test_verdict import EXPECTED, HOME, LINK, Document, green, red
from tests.vm import Vm

WARNED = Warned("home_is_usable", "a fact", "launcher status", account="backup")
OF_LINK = Warned("link_is_shared", "b", "c", account="backup", link="projects")
UNREADABLE = Warned(
    "home_is_usable",
    "the check left a warning that cannot be read",
    "launcher check  # look: if it stays, this is a fault of claude-failover: report it",
    account="backup",
)
MALFORMED: tuple[Any, ...] = (
    *(None, 1, "text", {}, {"invariant": "home_is_usable"}, [None], [["x"]], ["text"], [{}]),
    [{**WARNED.as_json(), "more": 1}],
    [{**WARNED.as_json(), "found": 1}],
    [{**WARNED.as_json(), "fix": None}],
    [{**WARNED.as_json(), "account": ["backup"]}],
    [{**WARNED.as_json(), "link": {}}],
    [{**WARNED.as_json(), "session": 0}],
    [{**WARNED.as_json(), "invariant": None}],
    [{**WARNED.as_json(), "invariant": "link_is_shared"}],
    [{**WARNED.as_json(), "account": "primary"}],
    [{**WARNED.as_json(), "account": None}],
    [{"found": "a", "fix": "b"}],
)


def with_warnings(document: Document, warnings: object) -> Document:
    """Return *document* with *warnings* left by its first check, that of the home."""
    first, *others = document["tests"]
    metadata = {**first.get("metadata", {}), "warnings": warnings}
    return {**document, "tests": [{**first, "metadata": metadata}, *others]}


def gate(**fields: Any) -> Gate:
    return Gate(Verdict(Colour.GREEN, None, (), 2, 2), {}, 1.0, 2.0, **fields)


@pytest.mark.parametrize(
    ("names", "place"),
    [
        ({}, "it_holds"),
        ({"account": "a"}, "home of a"),
        ({"link": "tasks"}, "target of tasks"),
        ({"account": "a", "link": "tasks"}, "a tasks"),
        ({"account": "a", "session": "api"}, "session api"),
    ],
)
def test_place_is_named_as_a_failures_is(names: dict[str, str], place: str) -> None:
    one = Warned("it_holds", "found", "fix", **names)
    assert (place, f"{place}: found; fix: fix") == (one.place, str(one))


@pytest.mark.parametrize("text", TEXTS)
def test_warning_is_one_line_whatever_it_holds(text: str) -> None:
    line = str(Warned("it_holds", text, text, session=text))
    assert line.isprintable()
    assert 1 == len(line.splitlines())


def test_json_of_a_warning_makes_it_again() -> None:
    fields: Any = OF_LINK.as_json()
    assert OF_LINK == Warned(**fields)


def test_each_warning_is_told_once_and_in_one_order() -> None:
    others = [WARNED._replace(account=None), WARNED._replace(found="A fact"), OF_LINK]
    expected = (others[0], others[1], WARNED, OF_LINK)
    assert expected == in_order(WARNED, *others, WARNED)
    assert expected == in_order(OF_LINK, *others, WARNED)


def test_warnings_of_a_gate_are_added() -> None:
    once = gate().warned([WARNED]).warned([OF_LINK, WARNED])
    assert (WARNED, OF_LINK) == once.warnings
    assert gate().verdict == once.verdict


def test_look_at_the_sessions_replaces_what_the_look_before_warned_of() -> None:
    before = Warned("sessions", "before", "", session="api")
    after = before._replace(found="after")
    looked = gate(told=(WARNED,)).with_seen([before])
    assert (WARNED, before) == looked.warnings
    assert (WARNED, after) == looked.with_seen([after, after]).warnings
    assert (WARNED,) == looked.with_seen([]).warnings


def test_unknown_gate_keeps_its_warnings() -> None:
    assert (WARNED,) == gate().warned([WARNED]).unknown("why").warnings


def test_warnings_of_checks_are_taken_from_the_document() -> None:
    document = with_warnings(green(), [WARNED.as_json()])
    document["tests"][1]["metadata"] = {"warnings": [OF_LINK.as_json(), OF_LINK.as_json()]}
    assert (WARNED, OF_LINK, OF_LINK) == warned_of(document, EXPECTED)


def test_check_may_warn_of_a_place_within_its_subject() -> None:
    entry = {**WARNED.as_json(), "link": "projects", "session": "api"}
    found = warned_of(with_warnings(green(), [entry]), EXPECTED)
    assert (WARNED._replace(link="projects", session="api"),) == found


@pytest.mark.parametrize("warnings", MALFORMED)
def test_malformed_warning_is_told_as_one(warnings: object) -> None:
    assert (UNREADABLE,) == warned_of(with_warnings(green(), warnings), EXPECTED)


def test_malformed_warning_costs_no_other(tmp_path: Path) -> None:
    entries = ["x", WARNED.as_json()]
    assert (UNREADABLE, WARNED) == warned_of(with_warnings(green(), entries), EXPECTED)


@pytest.mark.parametrize("status", [0, 1, 2, -9])
@pytest.mark.parametrize("make", [green, red], ids=["green", "red"])
@pytest.mark.parametrize("warnings", [*MALFORMED, [WARNED.as_json()]])
def test_no_warning_changes_a_verdict(make: Any, status: int, warnings: object) -> None:
    expected = judge(status, make(), EXPECTED)
    for document in (make(), {**make(), "exitcode": status}):
        expected = judge(status, document, EXPECTED)
        assert expected == judge(status, with_warnings(document, warnings), EXPECTED)


def test_warning_in_place_of_a_finding_leaves_the_check_failed() -> None:
    document = red()
    document["tests"][1]["metadata"] = {"warnings": [OF_LINK.as_json()]}
    verdict = judge(1, document, EXPECTED)
    assert (Colour.UNKNOWN, [LINK]) == (verdict.colour, [one.nodeid for one in verdict.failures])
    assert (OF_LINK,) == warned_of(document, EXPECTED)


@pytest.mark.parametrize(
    "document",
    [
        *({}, {"tests": None}, {"tests": {}}, {"tests": ["x", None]}, {"tests": [{}]}),
        {"tests": [{"nodeid": HOME, "metadata": ["warnings"]}]},
        {"tests": [{"nodeid": [HOME], "metadata": {"warnings": [WARNED.as_json()]}}]},
        {"tests": [{"nodeid": "another", "metadata": {"warnings": [WARNED.as_json()]}}]},
    ],
)
def test_document_of_any_shape_is_no_error(document: Document) -> None:
    assert () == warned_of(document, EXPECTED)


WARNS = """    from invariants.warning import Warned
    vm.warn(Warned({invariant!r}, {found!r}, 'launcher status', account=account.name))
"""


def deployed(vm: Vm, found: str, invariant: str = "home_is_usable") -> dict[str, str]:
    """Let the check of homes warn, in a copy of the program; return the environment for it."""
    copy = vm.deploy()
    file = copy / "invariants" / "test_homes.py"
    line = "    fault = vm.homes"
    text = WARNS.format(invariant=invariant, found=found)
    patch(file, line, f"{text}{line}")
    return {"PYTHONPATH": str(copy)}


@pytest.mark.parametrize("broken", [False, True], ids=["green", "red"])
def test_check_that_warns_passes_or_fails_as_without(vm: Vm, broken: bool) -> None:
    if broken:
        vm.home("backup").rename(vm.root / "gone")
    done = vm.run("check", environ=deployed(vm, "a\nfact"))
    assert int(broken) == done.returncode
    assert [
        WARNED._replace(found="a\nfact", account=name).as_json() for name in ("backup", "primary")
    ] == vm.report["warnings"]
    assert int(broken) == len(vm.report["failures"])


def test_check_that_warns_in_the_name_of_another_is_said_to_be_unreadable(vm: Vm) -> None:
    assert 0 == vm.run("check", environ=deployed(vm, "a fact", "link_is_shared")).returncode
    assert [UNREADABLE.found] * 2 == [one["found"] for one in vm.report["warnings"]]


def test_warnings_are_printed_by_pytest_run_by_hand(vm: Vm) -> None:
    environ = {**vm.environ, **deployed(vm, "a fact")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "invariants"]
    done = subprocess.run(
        [*command, "--inventory", str(vm.inventory)],
        env=environ,
        cwd=vm.root / "deploy",
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    assert "warnings of invariants" in done.stdout
    assert "home of backup: a fact; fix: launcher status\n" in done.stdout


def test_pytest_by_hand_prints_no_section_without_warnings(vm: Vm) -> None:
    assert "warnings of invariants" not in vm.pytest().stdout


def not_in_inventory(vm: Vm, name: str = "old") -> dict[str, Any]:
    """Return the warning of a session that runs though the inventory does not name it."""
    (one,) = [entry for entry in vm.report["warnings"] if entry["session"] == name]
    assert one["invariant"] == "session_is_in_inventory"
    return dict(one)


def left_behind(vm: Vm) -> None:
    """Start two sessions, and take one of them out of the inventory."""
    vm.write({"api": ["sleep", "600"], "old": ["sleep", "600"]})
    assert 0 == vm.run("up").returncode
    assert [] == vm.report["warnings"]
    vm.write({"api": ["sleep", "600"]})


@pytest.mark.parametrize("verb", ["check", "up"])
@pytest.mark.thorough
def test_session_that_the_inventory_does_not_name_is_warned_of(vm: Vm, verb: str) -> None:
    left_behind(vm)
    done = vm.run(verb, "--json")
    assert 0 == done.returncode
    told = not_in_inventory(vm)
    assert json.loads(done.stdout)["warnings"] == [told]
    assert ("green", "primary", None) == (vm.report["verdict"], told["account"], told["link"])
    assert f"it runs, but the inventory does not name it: tail -f {vm.state}" in told["found"]
    assert 0 == vm.shell(told["fix"]).returncode
    assert 0 == vm.run("check").returncode
    assert [] == vm.report["warnings"]


def test_warning_stands_below_red_too_and_red_stays_red(vm: Vm) -> None:
    left_behind(vm)
    vm.diverge()
    assert 1 == vm.run("up").returncode
    assert "red" == vm.report["verdict"]
    not_in_inventory(vm)


def test_start_is_not_stopped_by_a_warning_and_is_told_with_it(vm: Vm) -> None:
    left_behind(vm)
    assert 0 == vm.run("down", "api").returncode
    assert 0 == vm.run("up").returncode
    assert ["started"] == [session["state"] for session in vm.report["sessions"]]
    not_in_inventory(vm)


def test_start_warns_of_what_is_true_after_it(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_what_runs(survey: Survey, option: str) -> list[Warned]:
        return [Warned("sessions", "runs", "launcher status", session=name) for name in survey.kept]

    monkeypatch.setattr(warned, "KINDS", (of_what_runs,))
    vm.write({"api": ["sleep", "600"]})
    with Interrupts() as interrupts:
        gate, statuses = boot.up(load(str(vm.inventory)), vm.environ, interrupts)
    assert ["started"] == [status.state for status in statuses]
    assert ["api"] == [one.session for one in gate.warnings]
    assert ["api"] == [one["session"] for one in vm.report["warnings"]]


def test_look_that_fails_is_a_warning_and_no_verdict(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(survey: Survey, option: str) -> tuple[Warned, ...]:
        raise ValueError("nobody thought of it")

    def works(survey: Survey, option: str) -> tuple[Warned, ...]:
        return (WARNED,)

    monkeypatch.setattr(warned, "KINDS", (fails, works))
    survey = Survey(load(str(vm.inventory)), {**os.environ, **vm.environ})
    broken, whole = survey.warnings()
    assert WARNED == whole
    assert "sessions_are_looked_at" == broken.invariant
    assert "fails could not be told: ValueError('nobody thought of it')" == broken.found
