"""The page of many VMs as text: what stands in it, and that no value can become part of it."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.fleets import report
from launcher.page import LISTED, OPENING
from launcher.page.fleet import fleet_page
from tests.fleet.fetched import fleet_of
from tests.formats.hostile import TEXTS, spoil
from tests.page.pages import MANY_VMS, drawn_fleet
from tests.test_page import Tags


def test_verdict_first_then_failures_and_then_the_vms() -> None:
    text = drawn_fleet("fleet")
    assert text.startswith(OPENING)
    assert '<header class="red">' in text
    words = Tags(text).words
    parts = ["Red", "What does not hold", "on 2 VMs: vm-004, vm-005", "vm-torn", "VMs × invariants"]
    places = [words.index(part) for part in parts]
    assert sorted(places) == places
    assert "reports/vm-torn/report.json: it is torn" in words
    assert "no report: hosts.txt names it" in words
    assert "not expected: vm-001, vm-002" in words


def test_only_green_is_painted_green() -> None:
    assert '<header class="green">' in drawn_fleet("fleet-green")
    assert "<details>" not in drawn_fleet("fleet-green")
    for kind, tone in (("session", "unknown"), ("unknown", "unknown"), ("red", "red")):
        documents = [report("vm-1", "green", time.time()), report("vm-2", kind, time.time())]
        assert f'<header class="{tone}">' in fleet_page(fleet_of(*documents))


def test_cell_of_each_vm_and_invariant() -> None:
    fresh, stale = time.time(), time.time() - 5000
    documents = [report("vm-1", "red", fresh), report("vm-2", "green", stale)]
    documents.append(report("vm-3", "green", fresh))
    without = [
        test for test in documents[2]["tests"] if "test_link_is_shared" not in test["nodeid"]
    ]
    documents[2]["tests"] = without
    documents[2]["failover"] |= {"expected": len(without), "passed": len(without)}
    text = fleet_page(fleet_of(*documents))
    rows = {row.partition("</th>")[0]: row for row in text.split('<tr><th scope="row">')[1:]}
    column = [*fleet_of(*documents).invariants].index("link_is_shared")
    cells = {vm: row.split("<td")[4 + column] for vm, row in rows.items()}
    assert "1</span>" not in cells["vm-1"]
    assert ' 1<span class="unseen"> does not hold' in cells["vm-1"]
    assert "not known" in cells["vm-2"]
    assert "not called for" in cells["vm-3"]
    assert 10 == rows["vm-1"].count(">holds<")
    assert 11 == rows["vm-2"].count(">not known<")


def test_green_vms_are_folded_away_where_they_are_many() -> None:
    text = drawn_fleet("fleet-many")
    before, _, after = text.partition("<details>")
    green = MANY_VMS * 15 // 20
    assert f"<summary>{green} VMs are green</summary>" in after
    assert LISTED == after.count('<tr><th scope="row">')
    assert green - LISTED == after.partition("<p>and ")[2].partition("</p>")[0].count("vm-")
    assert MANY_VMS - green + 2 == before.partition("VMs × invariants")[2].count('scope="row"')


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(text: str) -> None:
    def tags(what: str) -> list[str]:
        document = spoil(report(f"vm{what}", "red", time.time()), what)
        document["failover"]["sessions"][0]["name"] = what
        other = report(f"vm-2{what}", "unknown", time.time())
        other["failover"] |= {"reason": f"r{what}", "off": {what: what}}
        documents = json.loads(json.dumps([document, other]))
        page = fleet_page(fleet_of(*documents))
        assert all(line.isprintable() for line in page.split("\n"))
        return Tags(page).tags

    assert tags("harmless") == tags(text or "empty")


def test_more_failures_than_can_be_read_are_counted() -> None:
    document = report("vm-1", "red", time.time())
    (failure,) = document["failover"]["failures"]
    document["failover"]["failures"] = [
        failure | {"account": f"account-{n}", "nodeid": str(n)} for n in range(LISTED + 5)
    ]
    assert "and 5 more: <code>launcher fleet</code>" in fleet_page(fleet_of(document))
