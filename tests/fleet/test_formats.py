"""Many VMs for Nagios and Prometheus, as their own parsers take them."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from benchmarks.fleets import report
from launcher.fleet import Gathering
from launcher.formats import FLEET_FORMATS, fleet_shower, nagios, prometheus
from tests.fleet.fetched import Caller, Fetched, fleet_of, vm_of
from tests.formats.hostile import TEXTS
from tests.formats.test_nagios import _FIRST, _PERFORMANCE
from tests.formats.test_prometheus import of, samples

KINDS = ("green", "session", "unknown", "red")


def reports(*kinds: str) -> list[dict[str, object]]:
    return [report(f"vm-{n}", kind, time.time() - n) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["green"], 0),
        (["green", "session"], 2),
        (["green", "red"], 2),
        (["green", "unknown"], 3),
        (["unknown", "red"], 2),
        (["unknown", "session"], 2),
        ([], 3),
    ],
)
def test_worst_vm_is_nagios_state(kinds: list[str], state: int) -> None:
    shown = nagios.show_fleet(fleet_of(*reports(*kinds)))
    name = {0: "OK", 2: "CRITICAL", 3: "UNKNOWN"}[state]
    assert state == shown.code
    assert shown.text.startswith(f"CLAUDE_FAILOVER {name} - ")


def test_first_line_for_nagios_says_it_all() -> None:
    text = nagios.show_fleet(fleet_of(*reports(*KINDS, "red"))).text
    first, *lines = text.splitlines()
    match = _FIRST.fullmatch(first)
    assert match is not None
    assert (
        "2 of 5 VMs are red, 1 unknown, 1 not up, 1 green (vm-3, vm-4, vm-2, 1 more)"
        == match[2].rstrip()
    )
    numbers = match[3].split()
    assert all(_PERFORMANCE.fullmatch(number) for number in numbers)
    assert ["vms=5;;;0", "red=2;;0;0;5", "unknown=1;;0;0;5", "not_up=1;;0;0;5"] == numbers[:4]
    assert "vm-1: not up: all 24 invariants hold, but a session is not up: api" in lines
    assert "backup projects: divergent: 2 VMs, first vm-3" == lines[-1]


def test_nagios_is_told_of_no_more_than_it_takes() -> None:
    documents = [report(f"vm-{n:05}", "red", time.time()) for n in range(300)]
    text = nagios.show_fleet(fleet_of(*documents)).text
    assert "and 280 more" in text
    assert len(text) < 8192


def test_unknown_vm_with_a_failed_session_tells_both() -> None:
    document = report("vm-1", "session", time.time())
    document["failover"] |= {"verdict": "unknown", "reason": "hung"}
    shown = nagios.show_fleet(fleet_of(document))
    assert (3, "vm-1: unknown: hung; a session is not up: api") == (
        shown.code,
        shown.text.splitlines()[1],
    )


def test_metrics_of_a_fleet() -> None:
    documents = [*reports(*KINDS), report("vm-9", "green", time.time() - 5000)]
    seen = samples(prometheus.show_fleet(fleet_of(*documents)).text)
    for standing, count in {"red": 1, "unknown": 2, "not_up": 1, "green": 1}.items():
        assert count == seen[of("fleet_vms", standing=standing)]
    for number, kind in enumerate(KINDS):
        verdict = "green" if kind == "session" else kind
        for colour in ("green", "red", "unknown"):
            value = seen[of("fleet_vm_verdict", vm=f"vm-{number}", verdict=colour)]
            assert (colour == verdict) == value
    assert 1 == seen[of("fleet_vm_verdict", vm="vm-9", verdict="unknown")]
    assert 1 == seen[of("fleet_vm_checks_failed", vm="vm-3")]
    assert 1 == seen[of("fleet_vm_sessions_failed", vm="vm-1")]
    assert of("fleet_vm_checks_failed", vm="vm-9") not in seen
    assert time.time() - 5000 == pytest.approx(
        seen[of("fleet_vm_last_run_timestamp_seconds", vm="vm-9")], abs=30
    )
    assert time.time() == pytest.approx(seen[of("fleet_read_timestamp_seconds")], abs=30)
    assert 1 == seen[of("fleet_invariant_vms_failing", invariant="link_is_shared")]
    assert 0 == seen[of("fleet_invariant_vms_failing", invariant="home_keeps_transcripts")]


def test_vm_without_a_report_has_a_verdict_and_nothing_else() -> None:
    gathering = Gathering(900.0)
    gathering.add(vm_of(report("vm-1", "green", time.time())))
    text = prometheus.show_fleet(gathering.fleet(["vm-1", "vm-2"], "hosts.txt")).text
    told = [line for line in text.splitlines() if 'vm="vm-2"' in line]
    assert 3 == len(told)
    assert 'claude_failover_fleet_vm_verdict{verdict="unknown",vm="vm-2"} 1.0' in told


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_finds_nothing_wrong() -> None:
    documents = [report(text, "red", time.time()) for text in (*TEXTS, *KINDS)]
    text = prometheus.show_fleet(fleet_of(*documents, *reports(*KINDS))).text
    check = ["promtool", "check", "metrics"]
    done = subprocess.run(check, input=text, text=True, capture_output=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_names_that_look_alike_once_escaped_make_one_series_each() -> None:
    documents = [report(name, "red", time.time()) for name in ("a\n", "a\\n", "b", "c")]
    for document, name in zip(documents[2:], ("a\n", "a\\n"), strict=True):
        document["failover"]["failures"][0]["invariant"] = name
    text = prometheus.show_fleet(fleet_of(*documents)).text
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#"]
    assert sorted(set(lines)) == sorted(lines)


@pytest.mark.parametrize("name", FLEET_FORMATS)
def test_verb_prints_what_the_format_shows(fetched: Fetched, call: Caller, name: str) -> None:
    fetched.add("vm-1", "red")
    answer = call("--format", name)
    assert fleet_shower(name)(fleet_of(report("vm-1", "red", time.time()))).code == answer.code
    assert "vm-1" in answer.text
