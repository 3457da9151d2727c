"""Fixtures of the fleet's tests: a directory of reports, and ``fleet`` called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.fetched import Caller, Fetched


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    """Return an empty directory that reports are fetched into."""
    root = tmp_path / "reports"
    root.mkdir()
    return Fetched(root)


@pytest.fixture
def call(fetched: Fetched, capfd: pytest.CaptureFixture[str]) -> Caller:
    """Return what calls ``launcher fleet`` in this process."""
    return Caller(fetched, capfd)
