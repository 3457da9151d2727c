"""TAP: what two parsers make of it, Python's and Perl's."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tap.line import Bail, Plan, Result
from tap.parser import Parser

from launcher.formats.tap import show
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told


def points(text: str) -> list[tuple[bool, str]]:
    """Return each test point; fail where they are not as many as planned."""
    lines = list(Parser().parse_text(text))
    assert not [line for line in lines if isinstance(line, Bail) or line.category == "unknown"]
    (plan,) = [line for line in lines if isinstance(line, Plan)]
    found = [line for line in lines if isinstance(line, Result)]
    assert list(range(1, plan.expected_tests + 1)) == [one.number for one in found]
    assert not any(one.skip or one.todo for one in found)
    return [(one.ok, one.description) for one in found]


@pytest.mark.parametrize(
    ("case", "count", "failed"),
    [
        ("green", 24, []),
        ("red", 24, ["- link_is_shared backup-projects"]),
        ("unknown", 1, ["- verdict_is_known"]),
        ("stale", 1, ["- verdict_is_known"]),
        ("missing", 1, ["- verdict_is_known"]),
    ],
)
def test_points_of_every_report(told: Told, case: str, count: int, failed: list[str]) -> None:
    told.case(case)
    text = show(told.reading()).text
    assert text.startswith("TAP version 14\n")
    assert not any(line.endswith(" ") for line in text.splitlines())
    found = points(text)
    assert (count, failed) == (len(found), [what for passed, what in found if not passed])


@pytest.mark.skipif(shutil.which("prove") is None, reason="needs prove (Debian: perl)")
@pytest.mark.parametrize("case", CASES)
def test_prove_agrees(told: Told, case: str) -> None:
    """Debian 12's prove knows the format, but not yet that its version 14 is called so."""
    told.case(case)
    file = told.vm.root / "status.tap"
    file.write_text(show(told.reading()).text.replace("TAP version 14", "TAP version 13"))
    prove = ["prove", "-e", "cat", str(file)]
    done = subprocess.run(prove, text=True, capture_output=True, check=False)
    assert "Parse errors" not in done.stdout
    assert (case == "green") == (done.returncode == 0)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_makes_no_point(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), text))
    found = points(show(told.reading()).text)
    assert 25 == len(found)
    assert ["- link_is_shared backup-projects", "- session_is_up api"] == [
        what for passed, what in found if not passed
    ]


def test_hash_in_a_name_is_no_directive(told: Told) -> None:
    document = told.document("green")
    (session,) = document["failover"]["sessions"]
    document["failover"]["sessions"] += [session | {"state": "failed", "name": "# SKIP \\"}]
    told.tell(document)
    assert "\nnot ok 25 - session_is_up \\# SKIP \\\\\n" in show(told.reading()).text
