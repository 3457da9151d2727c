"""The build that operators ran before this one: for what it has started, and left on the disk."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.vm import CHECKOUT

BUILD = "7cf9872"
"""Its sessions hold no lock."""


def unpacked(place: Path) -> Path:
    """Unpack the earlier build into the directory *place*, which is made; return that."""
    git = ["git", "-c", "safe.directory=*", "-C", str(CHECKOUT)]
    archive = subprocess.run(
        [*git, "archive", BUILD, "invariants", "launcher", "pyproject.toml", "conftest.py"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"no build {BUILD} here: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(place, filter="data")
    return place
