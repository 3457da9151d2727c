"""The manual page: all that the help tells, in a form that man and mandoc take without a word."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.cli import main, parser
from launcher.errors import EXIT_CODES
from launcher.manual import manual
from launcher.verbs import VERBS


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return the page as a file."""
    path = tmp_path / "launcher.1"
    path.write_text(manual(parser()))
    return path


def shown(page: Path) -> str:
    """Return what a reader sees, on lines that are never broken."""
    environ = {**os.environ, "MANWIDTH": "1000", "MANROFFOPT": "-c", "TERM": "dumb"}
    command = ["man", "--warnings", "-E", "UTF-8", "--nh", "--nj", "-l", str(page)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert "" == result.stderr
    plain = subprocess.run(
        ["col", "-b", "-x"], input=result.stdout, capture_output=True, text=True, check=True
    )
    return plain.stdout


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_the_page_tells_all_that_the_help_does(page: Path) -> None:
    text = shown(page)
    for name, told in VERBS.items():
        assert f"launcher {name}\n" in text
        assert f"{told[0].upper()}{told[1:]}.\n" in text
    for code, meaning in EXIT_CODES.items():
        assert f"{code.value}" in text
        assert f"{meaning[0].upper()}{meaning[1:]}." in text
    assert "launcher ensure [ACCOUNT ...] [--create-homes] [--dry-run] [--json]" in text
    assert "launcher fleet PATH ... [--format text,json,nagios,prometheus]" in text
    assert "launcher completion [bash,zsh,fish]\n" in text
    assert "~/.local/state/claude-failover/report.json" in text
    assert "--names" not in text
    assert 1 == text.count("Show this help message")


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_has_nothing_to_say_but_that_there_is_no_date(page: Path) -> None:
    lint = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False
    )
    said = [line for line in lint.stdout.splitlines() if "missing date" not in line]
    assert ([], "") == (said, lint.stderr)


def test_text_that_roff_would_take_for_a_request_is_text() -> None:
    odd = argparse.ArgumentParser("launcher", description=".SH it's \\fB a-b")
    odd.add_argument("--x", choices=["a", "b"], help="'quoted' 100 %%")
    page = manual(odd)
    assert "\n\\&.SH it's \\efB a\\-b\n" in page
    assert "\n.TP\n\\fB\\-\\-x\\fR \\fIa,b\\fR\n\\&'quoted' 100 %.\n" in page


def test_the_page_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["man"])
    assert manual(parser()) == capfd.readouterr().out
