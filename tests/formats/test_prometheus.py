"""Prometheus: what the client's parser and promtool make of the metrics."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from benchmarks.fleets import report
from invariants.inventory import InventoryError
from launcher.formats.prometheus import INVENTORY, show, show_fleet
from launcher.metrics import inventory_of
from launcher.reading import without_inventory
from tests.fleet.fetched import fleet_of
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Caller, Told
from tests.vm import LINKS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return every sample by its name, without the prefix, and its labels but the inventory."""
    return {
        (
            one.name.removeprefix("claude_failover_"),
            frozenset(label for label in one.labels.items() if label[0] != INVENTORY),
        ): one.value
        for family in parsed(text)
        for one in family.samples
    }


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return (name, frozenset(labels.items()))


def told_samples(told: Told) -> Samples:
    return samples(show(told.reading()).text)


@pytest.mark.parametrize("case", CASES)
def test_verdict_is_exactly_one_of_three(told: Told, case: str) -> None:
    told.case(case)
    seen = told_samples(told)
    verdict = case if case in ("green", "red") else "unknown"
    assert {"green": 0.0, "red": 0.0, "unknown": 0.0, verdict: 1.0} == {
        colour: seen[of("verdict", verdict=colour)] for colour in ("green", "red", "unknown")
    }


@pytest.mark.parametrize("case", CASES)
def test_every_sample_names_the_inventory(told: Told, case: str) -> None:
    told.case(case)
    labels = [one.labels for family in parsed(show(told.reading()).text) for one in family.samples]
    assert 3 <= len(labels)
    assert {str(told.vm.inventory)} == {each.get(INVENTORY) for each in labels}


def test_wrong_inventory_is_named_and_of_none_there_is_no_name(told: Told, call: Caller) -> None:
    """Prometheus takes a label without a value for none."""
    told.vm.inventory.write_text("typo = 1\n")
    name = str(told.vm.inventory)
    seen = call("status", "--format", "prometheus").text
    assert 3 == seen.count(f'{{inventory="{name}",verdict="')
    error = InventoryError(["/a/failover.toml", "/b/failover.toml"], ["no inventory"])
    assert 3 == show(without_inventory(error)).text.count('{inventory="",verdict="')


@pytest.mark.parametrize(
    "name", ['a"b\\c', "line\nend", "é 日本"], ids=["quotes", "line", "letters"]
)
def test_path_of_any_characters_is_a_label(told: Told, name: str) -> None:
    reading = told.reading()
    assert reading.inventory is not None
    path = f"/{name}/failover.toml"
    text = show(reading._replace(inventory=reading.inventory._replace(path=path))).text
    (family, *_) = parsed(text)
    assert path.replace("\n", "\\n") == family.samples[0].labels[INVENTORY] == inventory_of(text)


HELP = {
    "claude_failover_verdict": "1 for the verdict that counts now. "
    "A report that does not count is unknown.",
    "claude_failover_last_run_timestamp_seconds": "Unix time when the last gate finished. "
    "Alert on its age: a file never looks old.",
    "claude_failover_gate_duration_seconds": "Duration of the last gate, in seconds.",
    "claude_failover_checks_expected": "Number of checks that the inventory calls for.",
    "claude_failover_checks_passed": "Number of checks that passed.",
    "claude_failover_checks_failed": "Number of checks that did not pass.",
    "claude_failover_invariant_failures": "Number of checks of an invariant that did not pass.",
    "claude_failover_home_usable": "1 if an account's home is usable, else 0.",
    "claude_failover_target_usable": "1 if a link's target is usable, else 0.",
    "claude_failover_link_shared": "1 if an account reaches a link's target "
    "by a usable home and link, else 0.",
    "claude_failover_session_state": "1 for the state that a session is in.",
    "claude_failover_warnings": "Number of warnings. They do not change the verdict.",
    "claude_failover_warning": "Number of warnings by invariant and place. "
    "An empty label names nothing.",
    "claude_failover_fleet_read_timestamp_seconds": "Unix time when the reports were read. "
    "Alert on its age: a file never looks old.",
    "claude_failover_fleet_vms": "Number of VMs by state. not_up means green with a session down.",
    "claude_failover_fleet_vm_verdict": "1 for the verdict of a VM that counts now. "
    "A VM without a report is unknown.",
    "claude_failover_fleet_vm_last_run_timestamp_seconds": "Unix time when the last gate "
    "of a VM finished.",
    "claude_failover_fleet_vm_checks_failed": "Number of checks that did not pass on a VM.",
    "claude_failover_fleet_vm_sessions_failed": "Number of sessions of a VM that should run "
    "and do not.",
    "claude_failover_fleet_vm_warnings": "Number of warnings of a VM.",
    "claude_failover_fleet_invariant_vms_failing": "Number of VMs on which an invariant "
    "does not hold.",
}


def test_help_texts_never_change(told: Told) -> None:
    """Two versions on one machine write two files: with two texts, node_exporter drops a file's."""
    told.case("red")
    texts = show(told.reading()).text, show_fleet(fleet_of(report("vm-1", "red", time.time()))).text
    seen = dict(re.findall(r"^# HELP (\w+) (.*)$", "".join(texts), re.MULTILINE))
    assert HELP == {name: text for name, text in seen.items() if name in HELP}


def test_one_gauge_for_each_account_and_link(told: Told) -> None:
    told.case("red")
    seen = told_samples(told)
    values = {
        (account, link): seen[of("link_shared", account=account, link=link)]
        for account in ("primary", "backup")
        for link in LINKS
    }
    assert 6 == len(values)
    assert {("backup", "projects")} == {key for key, value in values.items() if value == 0}


def test_counts_times_and_sessions(told: Told) -> None:
    told.case("red")
    seen = told_samples(told)
    assert (24, 23, 1) == tuple(seen[of(f"checks_{it}")] for it in ("expected", "passed", "failed"))
    assert 0.25 == pytest.approx(seen[of("gate_duration_seconds")], abs=1e-3)
    assert time.time() == pytest.approx(seen[of("last_run_timestamp_seconds")], abs=60)
    labels = {"account": "primary", "session": "api"}
    states = {name[1]: value for name, value in seen.items() if name[0] == "session_state"}
    assert 5 == len(states)
    assert 1 == seen[of("session_state", state="held", **labels)] == sum(states.values())


def test_entry_below_a_missing_home_is_not_shared(told: Told) -> None:
    """One cause is one failure: the report has the entries of that home as passed."""
    document = told.document("red")
    name = "invariants/test_homes.py::test_home_is_usable[primary]"
    failure = {"nodeid": name, "invariant": "home_is_usable", "link": None, "account": "primary"}
    document["failover"]["failures"][0] |= failure | {"state": "missing"}
    told.tell(document)
    seen = told_samples(told)
    assert 0 == seen[of("home_usable", account="primary")]
    assert {0} == {seen[of("link_shared", account="primary", link=link)] for link in LINKS}
    assert 1 == seen[of("link_shared", account="backup", link="session-env")]


@pytest.mark.parametrize("case", ["unknown", "stale", "missing"])
def test_what_is_not_known_has_no_sample(told: Told, case: str) -> None:
    told.case(case)
    names = {name for name, _ in told_samples(told)}
    assert not names & {"link_shared", "home_usable", "target_usable"}
    assert ("checks_passed" in names) == (case == "unknown")
    assert ("last_run_timestamp_seconds" in names) == (case != "missing")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
@pytest.mark.parametrize("case", CASES)
def test_promtool_finds_nothing_wrong(told: Told, case: str) -> None:
    told.case(case)
    text = show(told.reading()).text
    check = ["promtool", "check", "metrics"]
    done = subprocess.run(check, input=text, text=True, capture_output=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_makes_no_sample(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), "harmless"))
    names = {name for name, _ in told_samples(told)}
    document = spoil(told.document("red"), text)
    document["failover"]["sessions"][0] |= {"name": text, "account": text}
    document["failover"]["warnings"][0] |= {"invariant": text, "account": text, "session": text}
    told.tell(document)
    assert names == {name for name, _ in told_samples(told)}
