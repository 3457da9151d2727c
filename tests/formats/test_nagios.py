"""Nagios: what the guidelines of the Monitoring Plugins project ask of a plugin's output."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from launcher.formats.nagios import show
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told

_NUMBER = r"-?\d+(\.\d+)?"
_PERFORMANCE = re.compile(
    rf"[a-z_]+={_NUMBER}(s|%|B|c)?(;({_NUMBER})?(;({_NUMBER})?(;({_NUMBER})?(;({_NUMBER})?)?)?)?)?"
)
_FIRST = re.compile(r"CLAUDE_FAILOVER (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+) \|(.*)")

FIRST_LINES = {
    "green": "CLAUDE_FAILOVER OK - all 24 invariants hold",
    "red": "CLAUDE_FAILOVER CRITICAL - 1 of 24 invariants does not hold"
    " (backup projects: divergent)",
    "unknown": "CLAUDE_FAILOVER UNKNOWN - no verdict within 30 s, hung at backup projects",
    "stale": "CLAUDE_FAILOVER UNKNOWN - it is 960 s old, 900 s at most were asked for",
    "missing": "CLAUDE_FAILOVER UNKNOWN - no report yet at {path}: launcher check writes one",
}


def has_perl() -> bool:
    """Tell whether the guidelines' own parser is here (Debian: libmonitoring-plugin-perl)."""
    perl = shutil.which("perl")
    asked = ["perl", "-MMonitoring::Plugin::Performance", "-e", "1"]
    return bool(perl) and subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("case", CASES)
def test_first_line_says_it_all(told: Told, case: str) -> None:
    told.case(case)
    first = re.sub(r"\b96\d(\.\d)? s", "960 s", show(told.reading()).text.splitlines()[0])
    expected = FIRST_LINES[case].format(path=told.vm.report_path)
    assert expected == re.split(r" \| ?", first)[0].rstrip(" |")


@pytest.mark.parametrize("case", ["green", "red", "unknown", "stale"])
def test_performance_data_is_of_the_guidelines_grammar(told: Told, case: str) -> None:
    told.case(case)
    match = _FIRST.fullmatch(show(told.reading()).text.splitlines()[0])
    assert match is not None
    numbers = match[3].split()
    assert numbers
    for number in numbers:
        assert _PERFORMANCE.fullmatch(number), number


def test_numbers_of_a_red_report(told: Told) -> None:
    told.case("red")
    first = show(told.reading()).text.splitlines()[0]
    assert first.endswith(
        "s;;;0 passed=23;;;0;24 failures=1;;0;0 sessions_failed=0;;0;0 warnings=0;0;;0"
    )
    assert re.search(r"\| age=\d(\.\d)?s;;900;0 duration=0\.25", first)


def test_numbers_that_do_not_count_are_not_told(told: Told) -> None:
    told.case("stale")
    first = show(told.reading()).text.splitlines()[0]
    assert re.fullmatch(r".* \| age=96\d(\.\d)?s;;900;0", first)


@pytest.mark.skipif(not has_perl(), reason="needs perl's Monitoring::Plugin (Debian)")
@pytest.mark.parametrize("case", ["green", "red", "unknown", "stale"])
def test_plugins_own_parser_reads_the_performance_data(told: Told, case: str) -> None:
    told.case(case)
    first = show(told.reading()).text.splitlines()[0]
    data = first.partition("|")[2].strip()
    program = (
        "use Monitoring::Plugin::Performance; my @all = "
        "Monitoring::Plugin::Performance->parse_perfstring($ARGV[0]); "
        "print map { $_->label . ' ' . $_->value . \"\\n\" } @all;"
    )
    read = subprocess.check_output(["perl", "-e", program, data], text=True)
    values = [re.split(r"[=;]", number)[:2] for number in data.split()]
    assert [(label, float(value.removesuffix("s"))) for label, value in values] == [
        (label, float(value)) for label, value in map(str.split, read.splitlines())
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_makes_no_performance_data(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), text))
    first, *rest = show(told.reading()).text.splitlines()
    assert 1 == first.count("|")
    assert not [line for line in rest if "|" in line]


def test_many_failures_are_counted(told: Told) -> None:
    document = told.document("red")
    document["failover"]["failures"] *= 50
    told.tell(document)
    text = show(told.reading()).text
    assert ", 47 more) |" in text.splitlines()[0]
    assert "and 30 more" == text.splitlines()[-1]
    assert 22 == len(text.splitlines())


def test_without_a_bound_there_is_no_threshold(told: Told) -> None:
    told.case("green")
    assert "s;;;0 duration=" in show(told.reading(float("inf"))).text
