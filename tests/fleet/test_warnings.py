"""Warnings of many VMs: counted for each, told once for all, and no VM stands worse for them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from benchmarks.fleets import report
from launcher.fleet import Standing
from launcher.formats import nagios, prometheus
from launcher.page.fleet import fleet_page
from tests.fleet.fetched import Caller, Fetched, fleet_of
from tests.formats.hostile import TEXTS
from tests.formats.test_nagios import _FIRST, _PERFORMANCE
from tests.formats.test_prometheus import of, samples
from tests.schema import validated
from tests.test_page import Tags

FIX = "launcher down old"


def reports(*kinds: str) -> list[dict[str, Any]]:
    return [report(f"vm-{n}", kind, time.time() - n) for n, kind in enumerate(kinds)]


def warned(kind: str, host: str = "vm-0", **changes: Any) -> dict[str, Any]:
    """Return the report of a VM of a kind, with a warning that is changed so."""
    document = report(host, kind, time.time() - 1)
    (warning,) = report(host, "warned", 1.0)["failover"]["warnings"]
    document["failover"]["warnings"] = [{**warning, **changes}]
    return document


def test_simulated_warning_is_as_the_schema_has_it() -> None:
    validated(report("vm-1", "warned", 1.7e9))


def test_vm_with_warnings_stands_green() -> None:
    fleet = fleet_of(*reports("green", "warned"))
    assert (Standing.GREEN, 0) == (fleet.standing, fleet.standing.code)
    assert "all of 2 VMs are green" == fleet.summary


@pytest.mark.parametrize("kind", ["red", "unknown", "session"])
def test_warning_makes_nothing_better_or_worse(kind: str) -> None:
    (without,), (vm,) = fleet_of(*reports(kind)).vms, fleet_of(warned(kind)).vms
    assert (without.standing, without.failing, without.reading.code) == (
        vm.standing,
        vm.failing,
        vm.reading.code,
    )


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["warned"], 1),
        (["green", "warned"], 1),
        (["warned", "unknown"], 3),
        (["warned", "red"], 2),
        (["warned", "session"], 2),
    ],
)
def test_nagios_takes_a_warning_for_the_least(kinds: list[str], state: int) -> None:
    shown = nagios.show_fleet(fleet_of(*reports(*kinds)))
    name = {1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}[state]
    assert state == shown.code
    assert shown.text.startswith(f"CLAUDE_FAILOVER {name} - ")


def test_nagios_names_the_vm_and_the_warning() -> None:
    first, *lines = nagios.show_fleet(fleet_of(*reports("green", "warned"))).text.splitlines()
    match = _FIRST.fullmatch(first)
    assert match is not None
    assert "all of 2 VMs are green (vm-1)" == match[2].rstrip()
    assert all(_PERFORMANCE.fullmatch(number) for number in match[3].split())
    assert "warned=1;0;;0;2" in match[3].split()
    assert [
        "vm-1: green: all 24 invariants hold; 1 warning",
        "warning: session old: 1 VMs, first vm-1",
    ] == lines


def test_metrics_count_the_warnings_of_each_vm_that_is_known() -> None:
    stale = report("vm-9", "warned", time.time() - 5000)
    seen = samples(prometheus.show_fleet(fleet_of(*reports("green", "warned"), stale)).text)
    assert [0, 1, None] == [
        seen.get(of("fleet_vm_warnings", vm=vm)) for vm in ("vm-0", "vm-1", "vm-9")
    ]


def test_text_counts_them_and_tells_each_once(fetched: Fetched, call: Caller) -> None:
    for name, kind in (("vm-1", "warned"), ("vm-2", "warned"), ("vm-3", "green")):
        fetched.add(name, kind)
    answer = call()
    assert 0 == answer.code
    assert answer.line("vm-1").endswith("24 hold; sessions: 1 running; 1 warning")
    assert "warning" not in answer.line("vm-3")
    block = answer.text.partition("\nwarnings\n")[2]
    assert "  session old  2 VMs: vm-1, vm-2\n    found     it runs, but" in block
    assert f"    fix       {FIX}\n" in block


def test_fix_that_differs_says_whose_it_is(fetched: Fetched, call: Caller) -> None:
    for number in range(2):
        fetched.write(
            fetched.path(f"vm-{number}"),
            json.dumps(warned("green", f"vm-{number}", fix=f"{FIX} {number}")),
        )
    assert f"fix       {FIX} 0 (on vm-0; on others it differs)\n" in call().text


def test_json_has_them_for_each_vm_and_for_all(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1", "warned")
    fetched.add("vm-2", "green")
    document = json.loads(call("--json").text)
    (one,) = document["warnings"]
    assert (["vm-1"], True, FIX, "old") == (one["vms"], one["alike"], one["fix"], one["session"])
    assert {"vm-1": 1, "vm-2": 0} == {vm["vm"]: len(vm["warnings"]) for vm in document["vms"]}
    assert [] == document["failures"]


def test_report_of_an_earlier_version_has_none(fetched: Fetched, call: Caller) -> None:
    document = report("vm-1", "green", time.time() - 1)
    del document["failover"]["warnings"]
    fetched.write(fetched.path("vm-1"), json.dumps(document))
    answer = call("--json")
    (vm,) = json.loads(answer.text)["vms"]
    assert (0, "green", []) == (answer.code, vm["standing"], vm["warnings"])


def test_malformed_warnings_make_a_vm_unknown_and_never_green(
    fetched: Fetched, call: Caller
) -> None:
    fetched.add("vm-1", "green", warnings=[{"found": "x"}])
    answer = call()
    assert 70 == answer.code
    assert "it is not as a report is" in answer.line("vm-1")


@pytest.mark.parametrize("kind", ["stale", "twice"])
def test_report_that_does_not_count_warns_of_nothing(
    fetched: Fetched, call: Caller, kind: str
) -> None:
    fetched.add("vm-1", "warned", age=5000 if kind == "stale" else 1)
    if kind == "twice":
        fetched.add("vm-1", "warned", at=fetched.root / "again" / "report.json")
    document = json.loads(call("--json").text)
    (vm,) = document["vms"]
    assert ("unknown", [], []) == (vm["standing"], vm["warnings"], document["warnings"])


def test_page_tells_each_once_below_the_verdict() -> None:
    text = fleet_page(fleet_of(*reports("warned", "warned", "green")))
    verdict, _, rest = text.partition('<h2 id="warnings">Warnings</h2>')
    assert '<header class="green">' in verdict
    assert 1 == rest.count("<h3>session old</h3>")
    assert "on 2 VMs: vm-0, vm-1" in rest
    assert f"<code>{FIX}</code>" in rest


@pytest.mark.parametrize("text", [text for text in TEXTS if text])
def test_hostile_warning_stays_text(fetched: Fetched, call: Caller, text: str) -> None:
    def shown(text: str) -> tuple[list[str], int, int]:
        document = warned("green", found=text, fix=text, session=text)
        fetched.write(fetched.path("vm-0"), json.dumps(document))
        fleet = fleet_of(document)
        plugin = nagios.show_fleet(fleet).text
        printed = call().text
        assert 1 == plugin.count("|")
        assert all(one.isprintable() or one == "\n" for one in f"{plugin}{printed}")
        return Tags(fleet_page(fleet)).tags, len(plugin.split("\n")), len(printed.split("\n"))

    assert shown("harmless") == shown(text)
