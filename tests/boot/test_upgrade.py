"""An upgrade under running sessions: none is ended, and none is started twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.boot.deployed import EVERY_BACKEND, STATE, Deployed
from tests.earlier import unpacked

PACKAGES = ("invariants", "launcher")


@contextmanager
def earlier_build(deployed: Deployed, place: Path) -> Iterator[None]:
    """Have the build from before this one installed, for as long as this is entered."""
    python = deployed.as_user("sed -n '1s/^#!//p' $(command -v launcher)").stdout.strip()
    where = "import launcher, os; print(os.path.dirname(os.path.dirname(launcher.__file__)))"
    site = deployed.machine.path(deployed.as_user(f'{python} -c "{where}"').stdout.strip())
    code = unpacked(place)
    for package in PACKAGES:
        shutil.move(site / package, place / f"new-{package}")
        shutil.copytree(code / package, site / package)
    shutil.copytree(place / "new-launcher" / "systemd", site / "launcher" / "systemd")
    shutil.copy(place / "new-invariants" / "conftest.py", site / "invariants")
    yield
    for package in PACKAGES:
        shutil.rmtree(site / package)
        shutil.move(place / f"new-{package}", site / package)


@EVERY_BACKEND
def test_upgrade_neither_ends_nor_doubles_what_runs(deployed: Deployed, tmp_path: Path) -> None:
    deployed.prepare()
    with earlier_build(deployed, tmp_path / "earlier"):
        deployed.ensure()
        assert 0 == deployed.restart(), deployed.errors()
        before = deployed.pids()
        assert 2 == len(before)
        holders = deployed.machine.path(f"{STATE}/holders")
        assert not os.path.lexists(holders)
    assert 0 == deployed.restart(), deployed.errors()
    assert ("green", before) == (deployed.report["verdict"], deployed.pids())
    assert {"running"} == {one["state"] for one in deployed.report["sessions"]}
    (killed,) = deployed.sessions()["primary"]
    deployed.as_user("launcher down api")
    assert 0 == deployed.restart(), deployed.errors()
    after = deployed.pids()
    assert (2, {killed.pid}) == (len(after), set(before) - set(after))
    assert ["api.json", "api.lock"] == sorted(os.listdir(holders))
