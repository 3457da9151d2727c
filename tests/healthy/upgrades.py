"""VMs whose session an earlier build has started, and which have been upgraded under it."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile

import pytest

from tests.healthy.collection import healthy
from tests.healthy.world import World
from tests.vm import CHECKOUT

BUILD = "7cf9872"
"""What operators run today."""


def _started_before(world: World, backend: str) -> None:
    world.write(backend=backend)
    code = world.base / "earlier"
    git = ["git", "-c", "safe.directory=*", "-C", str(CHECKOUT)]
    archive = subprocess.run(
        [*git, "archive", BUILD, "invariants", "launcher", "pyproject.toml", "conftest.py"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"no build {BUILD} here: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(code, filter="data")
    for verb in ("check", "up"):
        done = world.vm.run(verb, cwd=code, python=[sys.executable])
        assert 0 == done.returncode, done.stdout + done.stderr
    assert str(code) == str(world.vm.root_of_report)


@healthy
def session_of_an_earlier_build(world: World) -> None:
    _started_before(world, "process")


@healthy
def session_of_an_earlier_build_with_tmux(world: World) -> None:
    _started_before(world, "tmux")
