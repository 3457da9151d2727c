"""Prometheus: what the client's parser and promtool make of the metrics."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from launcher.formats.prometheus import show
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told
from tests.vm import LINKS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return every sample by its name, without the prefix, and its labels."""
    return {
        (one.name.removeprefix("claude_failover_"), frozenset(one.labels.items())): one.value
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
