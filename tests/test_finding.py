"""What does not hold, in the words of a person and of a program."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.finding import Finding, quoted, shown


def finding(**fields: str) -> Finding:
    rest = {"invariant": "i", "state": "s", "expected": "e", "found": "f", "fix": "x"}
    return Finding(**{**rest, **fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"account": "backup", "link": "projects"}, "backup projects"),
        ({"account": "backup"}, "home of backup"),
        ({"link": "projects"}, "target of projects"),
        ({"session": "api"}, "session api"),
        ({"session": "api", "account": "primary"}, "session api"),
        ({}, "launcher"),
    ],
)
def test_place_is_as_a_person_names_it(fields: dict[str, str], expected: str) -> None:
    assert expected == finding(**fields).place


def test_text_says_what_where_expected_found_and_the_fix() -> None:
    fields = {
        "invariant": "link_is_shared",
        "state": "real-directory",
        "expected": "/srv/projects",
        "found": "directory with 412 entries",
        "fix": "launcher adopt backup projects",
    }

    assert (
        "backup projects: real-directory\n"
        "  expected  symlink to /srv/projects\n"
        "  found     directory with 412 entries\n"
        "  fix       launcher adopt backup projects"
    ) == str(finding(account="backup", link="projects", **fields))


@pytest.mark.parametrize(
    ("invariant", "expected", "told"),
    [
        ("link_is_shared", "/srv/a\nb", "symlink to '/srv/a\\nb'"),
        ("link_is_shared", "a check that runs to its end", "a check that runs to its end"),
        ("session_directory_exists", "/src", "the directory /src"),
        ("home_is_usable", "/h, a directory of me's own", "/h, a directory of me's own"),
    ],
)
def test_path_is_bare_for_a_program_and_explained_to_a_person(
    invariant: str, expected: str, told: str
) -> None:
    one = finding(invariant=invariant, expected=expected)
    assert f"  expected  {told}\n" in str(one)
    assert expected == one.as_json()["expected"]


def test_json_has_the_fields_of_the_report() -> None:
    assert {
        "invariant": "i",
        "account": "a",
        "link": None,
        "session": None,
        "state": "s",
        "expected": "e",
        "found": "f",
        "fix": "x",
    } == finding(account="a").as_json()


def test_finding_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        finding().state = "other"  # type: ignore[misc]  # it is frozen: that is the test


@settings(database=None, deadline=None)
@given(st.text(), st.text())
@pytest.mark.thorough
def test_no_found_text_can_add_a_line(expected: str, found: str) -> None:
    """What was found is what others may have left there: a link's text can hold a newline."""
    lines = str(finding(expected=expected, found=found)).split("\n")

    assert 4 == len(lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/a b", "/srv/a b"),
        ("", ""),
        ("/srv/größe", "/srv/größe"),
        ("a\nb", "'a\\nb'"),
        ("\x1b[31m", "'\\x1b[31m'"),
        ("a\udcffb", "'a\\udcffb'"),
    ],
)
def test_shown_text_is_as_it_is_or_escaped(text: str, expected: str) -> None:
    assert expected == shown(text)


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a b", "c"],
        ["it's"],
        ["it's\x1b$(id)!%\\ü\n2", "\udcff"],
        ["a\n"],
        ["$HOME", "`id`", "*"],
        [""],
        ["-x", "~", "a\nb"],
        ["ü;|&"],
    ],
)
def test_shell_takes_quoted_words_as_they_were_meant(words: list[str]) -> None:
    script = f"printf '%s\\0' {quoted(*words)}"
    for shell in ("sh", "bash"):
        child = subprocess.run([shell, "-c", script], capture_output=True, check=True)
        assert words == list(map(os.fsdecode, child.stdout.split(b"\0")[:-1]))


def test_word_that_cannot_be_printed_is_quoted_on_one_line() -> None:
    assert quoted("ls", "a\nb\udcff\x1b").isprintable()
