"""What is brought for Prometheus and Grafana: rules that promtool tries, metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from functools import cache
from typing import Any

import pytest

from benchmarks.fleets import report
from launcher.formats import prometheus
from tests.fleet.fetched import fleet_of
from tests.formats.conftest import documents, told
from tests.formats.told import Told
from tests.vm import CHECKOUT

__all__ = ["documents", "told"]

DIRECTORY = CHECKOUT / "deploy" / "prometheus"
RULES = (DIRECTORY / "claude-failover.rules.yml").read_text()
CASES = (DIRECTORY / "claude-failover.test.yml").read_text()
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)"
)


def promtool(*arguments: str, stdin: str | None = None) -> str:
    """Run promtool where the rules are, and return what it says; fail where it finds fault."""
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=DIRECTORY,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@cache
def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DIRECTORY / "grafana/claude-failover.json").read_text())
    return content


def targets() -> list[str]:
    return [one["expr"] for panel in dashboard()["panels"] for one in panel.get("targets", [])]


def names(text: str) -> set[str]:
    return set(re.findall(r"\bclaude_failover_\w+", text))


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE))


@pytest.fixture
def written(told: Told) -> set[str]:
    """Return the name of every metric that a VM or a fleet tells."""
    told.case("red")
    fleet = fleet_of(report("vm-1", "red", time.time()))
    texts = prometheus.show(told.reading()).text, prometheus.show_fleet(fleet).text
    return {name for text in texts for name in families(text)}


def test_rules_and_dashboard_use_metrics_that_there_are(written: set[str]) -> None:
    assert 15 <= len(written)
    for text in (RULES, CASES, json.dumps(dashboard())):
        used = names(text)
        assert 5 <= len(used)
        assert set() == used - written


def test_labels_that_are_asked_for_are_there(told: Told) -> None:
    """A matcher on a label, or a value of one, that nobody writes never fires."""
    told.case("red")
    fleet = fleet_of(report("vm-1", "red", time.time()))
    text = prometheus.show(told.reading()).text + prometheus.show_fleet(fleet).text
    labels = {
        name: set(re.findall(r"(\w+)=", inside))
        for name, inside in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE)
    }
    for expression in [*re.findall(r"expr: (.*)", RULES), *targets()]:
        for name, inside in re.findall(r"\b(claude_failover_\w+)\{([^}]*)\}", expression):
            asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", inside)) - {"instance"}
            assert asked <= labels.get(name, set()), expression
    states = ("red", "unknown", "green", "failed")
    for value in re.findall(r'(?:verdict|state)="(\w+)"', f"{RULES}{targets()}"):
        assert value in states
    for pattern in re.findall(r'invariant=~"([^"]+)"', RULES):
        from invariants.checks import FAMILIES

        assert 2 == sum(re.fullmatch(pattern, name) is not None for name in FAMILIES)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES)
    assert 15 == len(set(alerts)) == len(alerts)
    quiet = CASES.partition("- name: red, after a minute")[0]
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:", CASES), alert
        assert f"{{alertname: {alert}, " in quiet


@needs_promtool
def test_promtool_takes_the_rules_and_tries_them() -> None:
    assert "15 rules found" in promtool("check", "rules", "claude-failover.rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "claude-failover.test.yml")


@needs_promtool
def test_promtool_takes_every_expression_of_the_dashboard() -> None:
    expressions = [each.replace("$instance", ".*") for each in targets()]
    assert 15 == len(expressions)
    assert not any("$" in each for each in expressions)
    rules = [{"record": f"a:b{n}", "expr": each} for n, each in enumerate(expressions)]
    text = json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})  # JSON is YAML
    assert "15 rules found" in promtool("check", "rules", "/dev/stdin", stdin=text)


def test_dashboard_can_be_provisioned() -> None:
    """It names no data source of anybody's, and no two panels are one or lie on each other."""
    found = dashboard()
    assert found["uid"]
    assert "id" not in found
    assert "__inputs" not in found
    panels = found["panels"]
    assert len(panels) == len({panel["id"] for panel in panels})
    assert {"${datasource}"} == set(re.findall(r'"uid": "(\$[^"]*)"', json.dumps(found)))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith(".")
