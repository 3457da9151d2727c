"""Fixtures of the scenarios: trees, and machines that are gone with their test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.boot.deployed import Deployed
from tests.boot.machine import Machine
from tests.boot.page import installation
from tests.boot.tree import Tree, bare, cache, digest, installed, locked, mounted
from tests.vm import CHECKOUT

_PROGRAMS = ("systemd-nspawn", "debootstrap", "nsenter", "mount")
_WHEELS = "/var/lib/wheels"


def missing() -> str | None:
    """Return why no machine can be booted here, or None where one can."""
    if os.geteuid() != 0:
        return "a machine is booted by root only"
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


@pytest.fixture(scope="session", autouse=True)
def _able() -> None:
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, _able: None) -> Path:
    """Return the wheel of the checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(directory), str(CHECKOUT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def wheels(wheel: Path) -> Path:
    """Return a directory with all that the wheel needs, fetched with this machine's own settings.

    So the machines need neither a network nor what the settings of this one name.
    """
    wanted = [(CHECKOUT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    directory = cache() / f"wheels-{digest(*wanted)}"
    with locked(cache()):
        if not directory.is_dir():
            _fetch(wheel, directory)
    return directory


def _fetch(wheel: Path, directory: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="new-wheels.", dir=cache()) as scratch:
        unfinished = Path(scratch) / "wheels"
        fetch = ["download", "-q", "--only-binary=:all:", "--python-version=3.11"]
        fetch += ["--disable-pip-version-check", "--dest", str(unfinished), str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", *fetch], check=True)
        for own in unfinished.glob("claude_failover-*"):
            own.unlink()
        unfinished.rename(directory)


@pytest.fixture(scope="session")
def new_machine(wheel: Path, wheels: Path) -> Callable[[Path], Machine]:
    """Return a function that makes a machine of a mounted tree, the wheel in its ``/root``."""

    def make(root: Path) -> Machine:
        shutil.copy(wheel, root / "root")
        (root / "etc/pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {_WHEELS}\n")
        return Machine(root, binds={wheels: _WHEELS})

    return make


@pytest.fixture(scope="session")
def tree(wheel: Path, new_machine: Callable[[Path], Machine]) -> Tree:
    """Return a Debian on which the page's installation has been carried out."""

    def make(below: Tree, layer: Path) -> None:
        with mounted(below, layer) as root:
            machine = new_machine(root)
            try:
                machine.boot()
                for line in installation():
                    machine.shell(line)
            finally:
                machine.poweroff()

    below = bare()
    recipe = digest(below.layers[0].name, wheel.read_bytes(), *installation())
    return installed(below, f"installed-{recipe}", make)


@pytest.fixture
def bare_machine(new_machine: Callable[[Path], Machine]) -> Iterator[Machine]:
    """Return a machine on which nothing has been installed; the test boots it."""
    yield from _machine(bare(), new_machine)


@pytest.fixture
def machine(tree: Tree, new_machine: Callable[[Path], Machine]) -> Iterator[Machine]:
    """Return a machine with the project installed, and no unit of it; the test boots it."""
    yield from _machine(tree, new_machine)


def _machine(tree: Tree, new_machine: Callable[[Path], Machine]) -> Iterator[Machine]:
    with mounted(tree) as root:
        machine = new_machine(root)
        try:
            yield machine
        finally:
            machine.kill()


@pytest.fixture(params=["system", "user"])
def manager(request: pytest.FixtureRequest) -> str:
    """Return whose units they are: the system's for one user, or the user's own."""
    return str(request.param)


@pytest.fixture(params=["tmux", "systemd"])
def backend(request: pytest.FixtureRequest) -> str:
    """Return what keeps the sessions; ``process``, where a test asks for it (EVERY_BACKEND)."""
    return str(request.param)


@pytest.fixture
def deployed(machine: Machine, manager: str, backend: str) -> Deployed:
    """Return the project deployed on a machine that is not booted yet."""
    return Deployed(machine, manager, backend)
