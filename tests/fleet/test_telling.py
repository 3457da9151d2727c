"""What the report of another machine is taken for: green only where nothing speaks against it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.fleets import MIX, checks, content, report
from launcher.errors import ExitCode
from launcher.fleet import Standing
from launcher.reading import reading_elsewhere
from tests.fleet.fetched import vm_of
from tests.formats.conftest import documents
from tests.formats.hostile import TEXTS
from tests.schema import validated

__all__ = ["documents"]

Document = dict[str, Any]


def key(**changes: Any) -> Callable[[Document], None]:
    return lambda document: document["failover"].update(changes)


def test_simulated_reports_are_as_real_ones(documents: dict[str, Document]) -> None:
    """What the tests and the benchmark read is what a gate would have written."""
    for kind in set(MIX):
        validated(report("vm-1", kind, 1.7e9))
    real, ours = documents["red"], report("vm-1", "red", 1.7e9)
    assert set(real) - {"collectors"} == set(ours)
    assert set(real["failover"]) - {"uptime"} == set(ours["failover"])
    names = {test["nodeid"].replace("[process]", "[tmux]") for test in real["tests"]}
    assert names == set(checks())
    assert 'schema": 2' in content(150, "vm-1", 1.7e9)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(content(99, "vm-1", 1.7e9))


@pytest.mark.parametrize("colour", ["green", "red"])
def test_report_of_a_real_gate_counts(documents: dict[str, Document], colour: str) -> None:
    document = json.loads(json.dumps(documents[colour]))
    document["failover"]["finished"] = time.time()
    vm = vm_of(document)
    assert colour == vm.standing.key
    assert (11, "link_is_shared" in vm.failing) == (
        len(vm.holds | set(vm.failing)),
        colour == "red",
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (key(passed=23), "says green, but that 23 of 24 checks passed"),
        (key(expected=25), "says green, but that 24 of 25 checks passed"),
        (key(expected=0, passed=0), "says green, but that 0 of 0 checks passed"),
        (key(passed=25, expected=25), "tells of 24 checks, 24 of them passed, where 25"),
        (lambda d: d.pop("tests"), "tells of 0 checks, 0 of them passed, where 24"),
        (lambda d: d["tests"].pop(), "tells of 23 checks, 23 of them passed, where 24"),
        (lambda d: d["tests"].append(d["tests"].pop(0) | {"outcome": "failed"}), "23 of them"),
        (lambda d: d["tests"].insert(0, d["tests"][5] | {"outcome": "failed"}), "tells of 24"),
        (lambda d: d.update(exitcode=1), "says green, but that pytest ended with 1"),
        (lambda d: d.pop("exitcode"), "says green, but that pytest ended with None"),
        (lambda d: d["tests"][3].pop("call"), "tells of 24 checks, 23 of them passed"),
        (
            lambda d: d["failover"].update(failures=report("x", "red", 0)["failover"]["failures"]),
            "says green, but that 24 of 24 checks passed",
        ),
        (key(reason="hung"), "says green, but that it is unknown: hung"),
        (
            lambda d: d["failover"]["sessions"][0].update(state="held"),
            "says green, but that a session was held: api",
        ),
        (key(finished=time.time() + 75_000), "it is from the future, by 7"),
        (key(finished=time.time() - 7200), "s old, 900 s at most were asked for"),
        (key(finished=float("nan")), "it is not as a report is"),
        (key(finished="1"), "it is not as a report is"),
        (key(finished=10**400), "it is not as a report is"),
        (key(verdict="Green"), "it is not as a report is"),
        (key(verdict=["green"]), "it is not as a report is"),
        (key(sessions=None), "it is not as a report is"),
        (key(host=None), "it is not as a report is"),
        (key(off=[]), "it is not as a report is"),
        (key(failures={}), "it is not as a report is"),
        (key(schema=True), "it is of schema True"),
        (key(schema="1"), "it is of schema '1'"),
    ],
)
def test_green_that_cannot_be_is_unknown(
    change: Callable[[Document], object], problem: str
) -> None:
    document = report("vm-1", "green", time.time() - 5)
    assert Standing.GREEN is vm_of(document).standing
    change(document)
    vm = vm_of(document)
    assert Standing.UNKNOWN is vm.standing
    assert problem in (vm.reading.problem or "")
    assert not vm.holds


def test_clock_that_is_ahead_a_little_is_no_matter() -> None:
    assert Standing.GREEN is vm_of(report("vm-1", "green", time.time() + 30)).standing


def test_red_that_names_nothing_is_unknown() -> None:
    document = report("vm-1", "red", time.time())
    document["failover"]["failures"] = []
    assert "says red, but of nothing" in (vm_of(document).reading.problem or "")


def test_stale_red_does_not_count_and_is_said_to_have_been_red() -> None:
    vm = vm_of(report("vm-1", "red", time.time() - 1000))
    assert (Standing.UNKNOWN, "red") == (vm.standing, vm.reading.said)
    assert ({}, ()) == (vm.failing, vm.reading.failures)
    assert Standing.RED is vm_of(report("vm-1", "red", time.time() - 1000), 2000).standing


@pytest.mark.parametrize(
    ("kind", "standing", "code"),
    [
        ("green", Standing.GREEN, ExitCode.OK),
        ("red", Standing.RED, ExitCode.RED),
        ("unknown", Standing.UNKNOWN, ExitCode.UNKNOWN),
        ("session", Standing.NOT_UP, ExitCode.UNAVAILABLE),
    ],
)
def test_code_is_that_of_one_vm(kind: str, standing: Standing, code: ExitCode) -> None:
    vm = vm_of(report("vm-1", kind, time.time()))
    assert (standing, code) == (vm.standing, vm.standing.code)


def test_no_more_is_kept_than_is_shown() -> None:
    vm = vm_of(report("vm-1", "red", time.time()))
    other = vm_of(report("vm-2", "red", time.time()))
    assert (None, {}) == (vm.reading.document, vm.reading.outcomes)
    assert vm.holds is other.holds
    assert "link_is_shared" not in vm.holds


def test_name_is_the_reports_else_the_directorys_else_the_path() -> None:
    document = report("vm-1", "green", time.time())
    assert "vm-1" == vm_of(document, filed="web1").name
    document["failover"]["host"] = ""
    assert "web1" == vm_of(document, filed="web1").name
    assert "report.json" == vm_of(document).name
    document["failover"] |= {"host": "vm-1", "schema": 3}
    assert "vm-1" == vm_of(document, filed="web1").name


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_name_is_one_line(text: str) -> None:
    document = report(text, "green", time.time())
    assert vm_of(document, filed=text).name.isprintable()


def test_keys_that_this_version_does_not_know_are_passed_over() -> None:
    document = report("vm-1", "green", time.time())
    document["failover"]["keeper"] = {"pid": 4194304, "start": 1}  # of that machine, not of this
    document["failover"]["boot_id"] = "another"
    document["other"] = 1
    assert Standing.GREEN is vm_of(document).standing
    assert reading_elsewhere(document, "/r").problem is None
