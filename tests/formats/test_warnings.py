"""Warnings in every format: below each verdict, in its own idiom, and never as a failure."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

import pytest
from tap.parser import Parser

from launcher.formats import FORMATS, shower
from launcher.formats.markdown import show as markdown
from launcher.formats.nagios import show as nagios
from launcher.formats.prometheus import show as prometheus
from launcher.formats.tap import show as tap
from launcher.verdict import Colour
from tests.formats.hostile import TEXTS
from tests.formats.test_junit import assert_is_taken_by_jenkins, cases
from tests.formats.test_nagios import _FIRST, _PERFORMANCE
from tests.formats.test_prometheus import of, samples
from tests.formats.test_tap import points
from tests.formats.told import CASES, LINE, WARNING, Caller, Told

PLACE = {"invariant": "session_is_in_inventory", "account": "primary", "link": "", "session": "old"}
COLOURS = ("green", "red")


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"nagios"}))
@pytest.mark.parametrize("colour", COLOURS)
def test_exit_code_is_that_of_the_verdict(told: Told, name: str, colour: str) -> None:
    told.case(colour)
    without = shower(name)(told.reading())
    told.warned(colour)
    with_it = shower(name)(told.reading())
    assert without.code == with_it.code
    assert without.text != with_it.text


@pytest.mark.parametrize("colour", COLOURS)
def test_reading_has_the_verdict_the_code_and_the_summary_of_one_without(
    told: Told, colour: str
) -> None:
    told.case(colour)
    without = told.reading()
    told.warned(colour)
    warned = told.reading()
    assert (without.verdict, without.code, without.summary) == (
        warned.verdict,
        warned.code,
        warned.summary,
    )
    assert [WARNING] == [one.as_json() for one in warned.warnings]


@pytest.mark.parametrize("case", CASES)
def test_report_of_an_earlier_version_reads_as_one_without_warnings(told: Told, case: str) -> None:
    told.case(case)
    if case != "missing":
        document = json.loads(told.vm.report_path.read_text())
        del document["failover"]["warnings"]
        before = told.reading()
        told.tell(document)
        assert (before.verdict, before.code) == (told.reading().verdict, told.reading().code)
    assert () == told.reading().warnings
    for name in FORMATS:
        assert "warning:" not in shower(name)(told.reading()).text


@pytest.mark.parametrize("colour", COLOURS)
def test_report_that_does_not_count_warns_of_nothing(told: Told, colour: str) -> None:
    told.warned(colour)
    reading = told.reading(max_age=-100.0)
    assert (Colour.UNKNOWN, ()) == (reading.verdict, reading.warnings)
    assert "it runs" not in nagios(reading).text


@pytest.mark.parametrize(
    "warnings", [None, {}, "x", ["x"], [{}], [{**WARNING, "found": 1}], [{**WARNING, "link": 1}]]
)
@pytest.mark.parametrize("colour", COLOURS)
def test_report_with_something_else_for_warnings_is_unknown(
    told: Told, colour: str, warnings: Any
) -> None:
    document = told.document(colour)
    document["failover"]["warnings"] = warnings
    told.tell(document)
    assert (Colour.UNKNOWN, 70) == (told.reading().verdict, told.reading().code)


def test_unknown_keys_of_a_warning_are_passed_over(told: Told) -> None:
    told.warned("green", {**WARNING, "since": 1.0})
    assert [WARNING] == [one.as_json() for one in told.reading().warnings]


def test_nagios_is_warned_where_all_is_well_otherwise(told: Told) -> None:
    told.warned("green")
    shown = nagios(told.reading())
    first, *lines = shown.text.splitlines()
    piped = LINE.replace("|", "\\x7c")
    assert (1, [piped]) == (shown.code, lines)
    assert first.startswith(
        "CLAUDE_FAILOVER WARNING - all 24 invariants hold; "
        "1 warning (session old: it runs \\x7c <still>) | "
    )
    match = _FIRST.fullmatch(first)
    assert match is not None
    assert all(_PERFORMANCE.fullmatch(number) for number in match[3].split())
    assert first.endswith(" warnings=1;0;;0")


def test_nagios_stays_critical_and_tells_the_warning_after_the_failures(told: Told) -> None:
    told.warned("red")
    shown = nagios(told.reading())
    assert 2 == shown.code
    assert shown.text.startswith("CLAUDE_FAILOVER CRITICAL - 1 of 24 invariants does not hold (")
    assert LINE.replace("|", "\\x7c") == shown.text.splitlines()[-1]


def test_nagios_stays_critical_for_a_session_that_is_not_up(told: Told) -> None:
    document = told.document("green")
    document["failover"]["warnings"] = [WARNING]
    document["failover"]["sessions"][0] |= {"state": "failed"}
    told.tell(document)
    assert 2 == nagios(told.reading()).code


def test_nagios_stays_unknown(told: Told) -> None:
    document = told.document("green")
    document["failover"] |= {"verdict": "unknown", "reason": "hung", "warnings": [WARNING]}
    told.tell(document)
    assert 3 == nagios(told.reading()).code
    assert 3 == nagios(told.reading()._replace(inventory=None)).code


def test_nagios_is_told_of_no_more_warnings_than_it_takes(told: Told) -> None:
    told.warned("green", *({**WARNING, "session": f"old-{n:03}"} for n in range(300)))
    text = nagios(told.reading()).text
    assert "and 280 warnings more" == text.splitlines()[-1]
    assert "; 300 warnings (session old-000: it runs \\x7c <still>, …) | " in text
    assert len(text) < 8192


@pytest.mark.parametrize("colour", COLOURS)
def test_metrics_count_warnings_and_name_their_places(told: Told, colour: str) -> None:
    told.case(colour)
    seen = samples(prometheus(told.reading()).text)
    assert 0 == seen[of("warnings")]
    assert not any(name == "warning" for name, _ in seen)
    told.warned(colour, WARNING, {**WARNING, "found": "again"}, {**WARNING, "session": None})
    seen = samples(prometheus(told.reading()).text)
    assert (3, 2, 1) == (
        seen[of("warnings")],
        seen[of("warning", **PLACE)],
        seen[of("warning", **{**PLACE, "session": ""})],
    )


def test_unknown_has_no_sample_of_warnings(told: Told) -> None:
    told.case("stale")
    assert not any(
        name.startswith("warning") for name, _ in samples(prometheus(told.reading()).text)
    )


@pytest.mark.parametrize("colour", COLOURS)
def test_junit_has_no_case_for_a_warning_but_its_suite_says_it(told: Told, colour: str) -> None:
    from launcher.formats.junit import show

    told.case(colour)
    before = [(case.name, case.is_passed) for case in cases(show(told.reading()).text)]
    told.warned(colour)
    text = show(told.reading()).text
    assert_is_taken_by_jenkins(text)
    assert before == [(case.name, case.is_passed) for case in cases(text)]
    suite = ElementTree.fromstring(text).find("testsuite")
    assert suite is not None
    assert ("system-out", LINE) == (suite[-1].tag, suite[-1].text)


@pytest.mark.parametrize("colour", COLOURS)
def test_tap_has_no_point_for_a_warning_but_a_comment(told: Told, colour: str) -> None:
    told.case(colour)
    before = points(tap(told.reading()).text)
    told.warned(colour)
    text = tap(told.reading()).text
    assert before == points(text)
    assert f"# {LINE}" == text.splitlines()[-1]
    assert "diagnostic" == list(Parser().parse_text(text))[-1].category


@pytest.mark.skipif(shutil.which("prove") is None, reason="needs prove (Debian: perl)")
@pytest.mark.parametrize("text", TEXTS)
def test_prove_passes_green_with_a_warning(told: Told, text: str) -> None:
    told.warned("green", {**WARNING, "found": text, "fix": text, "session": text})
    file = told.vm.root / "status.tap"
    shown = tap(told.reading()).text.replace("TAP version 14", "TAP version 13")
    file.write_text(shown, encoding="utf-8")
    prove = ["prove", "-e", "cat", str(file)]
    done = subprocess.run(prove, text=True, capture_output=True, check=False)
    assert 0 == done.returncode, done.stdout
    assert "Parse errors" not in done.stdout


@pytest.mark.parametrize("colour", COLOURS)
def test_markdown_shows_the_warning_below_the_verdict(told: Told, colour: str) -> None:
    told.warned(colour)
    text = markdown(told.reading()).text
    first, _, rest = text.partition("\n\n")
    assert f"**{colour}**" in first
    assert "⚠️ **session old**: `it runs | <still>`\n\n```sh\nlauncher down old\n```\n" in rest


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", TEXTS)
def test_hostile_warning_adds_no_line_and_no_control(told: Told, name: str, text: str) -> None:
    def shown_with(text: str) -> str:
        names = {"invariant": text, "account": text, "link": text, "session": text}
        told.warned("green", {**WARNING, **names, "found": text, "fix": text})
        return shower(name)(told.reading()).text

    lines, shown = shown_with("harmless").split("\n"), shown_with(text)
    assert len(lines) == len(shown.split("\n"))
    assert all(one.isprintable() or one in "\n️" for one in shown)


@pytest.mark.parametrize("verb", ["text", "json"])
def test_status_tells_a_checks_warning_of_the_last_report(
    told: Told, call: Caller, verb: str
) -> None:
    for account in told.vm.accounts:
        told.vm.home(account).mkdir(mode=0o700)
    told.vm.link()
    of_check = {**WARNING, "invariant": "home_is_usable", "session": None}
    told.warned("green", WARNING, of_check)
    shown = call("status", "--format", verb).text
    if verb == "json":
        assert [of_check] == json.loads(shown)["warnings"]
    else:
        line = "  warning: home of primary: it runs | <still>; fix: launcher down old\n"
        assert (1, 1) == (shown.count("warning:"), shown.count(line))
