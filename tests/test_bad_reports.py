"""Reports that must not be believed: none is green in any format, on this machine or another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.cli import main
from launcher.formats import FLEET_FORMATS, FORMATS
from launcher.verdict import Colour
from tests.bad_reports import BAD, BadReport
from tests.formats.conftest import documents, told
from tests.formats.told import Told
from tests.listen.test_app import ask

__all__ = ["documents", "told"]

LOOKS_NOW = ("text", "json")
GREEN = re.compile(
    r'CLAUDE_FAILOVER (OK|WARNING) |verdict="green"\} 1|vms\{standing="green"\} 1|</span> Green'
    r'|^green|"(verdict|standing)": "green"',
    re.MULTILINE,
)
"""What a format says of a green verdict."""


@pytest.fixture
def here(told: Told) -> Iterator[Told]:
    """Return a VM on which all is as it must be: the report alone decides."""
    for account in told.vm.accounts:
        told.vm.home(account).mkdir(mode=0o700)
    told.vm.link()
    told.vm.state.mkdir()
    told.vm.report_path.touch()
    yield told
    if told.vm.report_path.is_dir() and not told.vm.report_path.is_symlink():
        told.vm.report_path.rmdir()


def spoiled(told: Told, bad: BadReport) -> None:
    told.vm.report_path.unlink()
    bad.spoil(told.vm.report_path, told.document("green"))


def answers(told: Told, capfd: pytest.CaptureFixture[str], formats: Any) -> dict[str, Any]:
    """Return the exit code and the text of ``status`` in each of *formats*, and of the page."""
    found = {}
    page = told.vm.root / "page.html"
    ways = {name: ["--format", name] for name in formats} | {"html": ["--html", str(page)]}
    for name, options in ways.items():
        capfd.readouterr()
        code = main(["--inventory", str(told.vm.inventory), "status", *options])
        text, errors = capfd.readouterr()
        assert "Traceback" not in errors
        found[name] = code, page.read_text() if name == "html" else text
    return found


def of_fleet(path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the exit code and the text of ``fleet`` in each format, and of its page."""
    found = {}
    page = path.parents[1] / "fleet.html"
    ways = {name: ["--format", name] for name in (*LOOKS_NOW, *FLEET_FORMATS)}
    for name, options in (ways | {"html": ["--html", str(page)]}).items():
        capfd.readouterr()
        code = main(["fleet", *options, str(path)])
        text, errors = capfd.readouterr()
        assert "Traceback" not in errors
        found[name] = code, page.read_text() if name == "html" else text
    return found


def test_good_report_is_green_in_every_format(
    here: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    """Proves that the rows below would notice a green."""
    here.case("green")
    for name, (code, text) in answers(here, capfd, (*LOOKS_NOW, *FORMATS)).items():
        assert 0 == code, name
        assert GREEN.search(text) or name in ("text", "junit", "tap", "markdown"), name
    for name, (code, text) in of_fleet(here.vm.report_path, capfd).items():
        assert 0 == code, name
        assert GREEN.search(text), name
    assert 200 == ask(here, "/healthz").code
    assert GREEN.search(ask(here, "/metrics").body)
    assert GREEN.search(ask(here, "/").body)


every_kind = pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])


@pytest.mark.sampled(12)
@every_kind
def test_bad_report_is_green_in_no_format(
    here: Told, capfd: pytest.CaptureFixture[str], bad: BadReport
) -> None:
    spoiled(here, bad)
    failed = bad.name == "a failed session"
    formats = FORMATS if bad.looks_now else (*LOOKS_NOW, *FORMATS)
    expected = 69 if failed else 70
    nagios = 2 if failed else 3
    for name, (code, text) in answers(here, capfd, formats).items():
        assert (nagios if name == "nagios" else expected) == code, name
        if not failed and name != "json":  # that shows what the report said, and the problem
            assert not GREEN.search(text), name
    assert 503 == ask(here, "/healthz").code
    if not failed:
        assert Colour.UNKNOWN is here.reading().verdict
        assert not GREEN.search(ask(here, "/metrics").body)
        assert not GREEN.search(ask(here, "/").body)


@every_kind
def test_bad_report_is_green_in_no_fleet(
    here: Told, capfd: pytest.CaptureFixture[str], bad: BadReport
) -> None:
    """But for what only its own machine can know: there it counts until it is too old."""
    spoiled(here, bad)
    for name, (code, text) in of_fleet(here.vm.report_path, capfd).items():
        if not bad.elsewhere:
            assert 0 == code, name
            continue
        assert 0 != code, name
        if bad.name != "a failed session":
            assert not GREEN.search(text.replace('"said": "green"', "")), name


def test_table_is_as_long_as_it_says() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD) >= 42
    assert 42 <= sum(bad.elsewhere for bad in BAD)
