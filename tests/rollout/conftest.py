"""Fixtures of the fleet: a network of its own, a control machine, and machines with an sshd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.boot.conftest import missing, wheel, wheels
from tests.boot.deployed import HOME, SHARED, Deployed, put_claude
from tests.boot.machine import Machine
from tests.boot.tree import Tree, bare, digest, installed, mounted
from tests.patching import patch
from tests.rollout.control import ANSIBLE, Control
from tests.rollout.network import Network, unusable
from tests.vm import CHECKOUT

__all__ = ["wheel", "wheels"]  # the same as the boot's

_PROGRAMS = ("ip", "ssh", "ssh-keygen", str(Path(sys.executable).parent / "ansible-playbook"))
_SERVER = ("openssh-server", "python3", "python3-apt")
_WHEELS = "/var/lib/wheels"
ACCOUNTS = ("primary", "backup")
INVENTORY = {
    "shared": {"root": SHARED},
    "accounts": [{"name": name, "home": f"{HOME}/.claude-{name}"} for name in ACCOUNTS],
    "sessions": [
        {"name": name, "account": account, "directory": HOME, "command": ["claude"]}
        for name, account in (("api", "primary"), ("docs", "backup"))
    ],
    "launcher": {"backend": "tmux", "settle": 0.2, "timeout": 5},
}
"""What all machines have, as the group's variable ``claude_failover_inventory``."""


@pytest.fixture(scope="session")
def _able() -> None:
    """Skip where no fleet can be made; the boot's fixtures ask for it by this name."""
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    reason = missing() or (f"not installed: {', '.join(absent)}" if absent else unusable())
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory, _able: None) -> Path:
    """Return the key that opens every machine of this run."""
    path = tmp_path_factory.mktemp("key") / "id"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(make, check=True)
    return path


@pytest.fixture
def network(_able: None) -> Iterator[Network]:
    """Return a network in which the test's machines are all there is."""
    made = Network()
    yield made
    made.close()


@pytest.fixture
def control(network: Network, key: Path) -> Iterator[Control]:
    """Return the control machine."""
    with tempfile.TemporaryDirectory(prefix="fleet") as directory:  # a socket's path is short
        yield Control(Path(directory), network, key)


@pytest.fixture(scope="session")
def reachable(_able: None) -> Tree:
    """Return a Debian as Ansible finds it: bare, with an sshd and a Python."""

    def make(below: Tree, layer: Path) -> None:
        with mounted(below, layer) as root:
            resolver = root / "etc/resolv.conf"
            resolver.write_bytes(Path("/etc/resolv.conf").read_bytes())
            install = ["chroot", str(root), "apt-get", "install", "-qq", "-y", *_SERVER]
            environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(install, env=environ, check=True, stdout=subprocess.DEVNULL)
            resolver.unlink()

    below = bare()
    return installed(below, f"reachable-{digest(below.layers[0].name, *_SERVER)}", make)


Booted = Callable[[str, int, Tree], Deployed]


def booting(
    stack: ExitStack, network: Network, key: Path, wheels: Path, upper: Path | None = None
) -> Booted:
    """Return what boots a machine by its name, number and tree, and ends it with *stack*."""

    def boot(name: str, number: int, tree: Tree) -> Deployed:
        root = stack.enter_context(mounted(tree, upper))
        machine = Machine(root, binds={wheels: _WHEELS}, network=network.join(number))
        stack.callback(machine.poweroff if upper else machine.kill)
        machine.write("/etc/hostname", f"{name}\n")
        machine.write("/etc/pip.conf", f"[global]\nno-index = true\nfind-links = {_WHEELS}\n")
        machine.write("/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), mode=0o600)
        put_claude(machine)
        machine.boot()
        return Deployed(machine, "system", "tmux")

    return boot


@pytest.fixture
def boot(network: Network, key: Path, wheels: Path) -> Iterator[Booted]:
    """Return what boots a machine; all are gone with the test."""
    with ExitStack() as stack:
        yield booting(stack, network, key, wheels)


def log_in(deployed: Deployed) -> None:
    """Start Claude Code once by hand for each account, as the page says."""
    for account in ACCOUNTS:
        home = deployed.home(account)
        deployed.as_user(f"mkdir -p -m 700 {home}; CLAUDE_CONFIG_DIR={home} claude")


@pytest.fixture(scope="session")
def rolled_out(reachable: Tree, wheel: Path, wheels: Path, key: Path) -> Tree:
    """Return a Debian that the role has brought to green, with this checkout's wheel."""

    def make(below: Tree, layer: Path) -> None:
        with ExitStack() as stack:
            network = Network()
            stack.callback(network.close)
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet"))
            control = Control(Path(directory), network, key)
            deployed = booting(stack, network, key, wheels, layer)("vm", 1, below)
            control.inventory({"vm": 1}, variables(wheel))
            install = control.play("rollout.yml", "--tags", "install,ensure", "-e", _NO_START)
            assert 0 == install.code, install.output
            log_in(deployed)
            green = control.play("rollout.yml")
            assert 0 == green.code, green.output

    role = sorted(path for path in ANSIBLE.rglob("*") if path.is_file())
    recipe = digest(
        reachable.layers[0].name, wheel.read_bytes(), *(path.read_bytes() for path in role)
    )
    return installed(reachable, f"rolled-{recipe}", make)


_NO_START = '{"claude_failover_start": false}'


def variables(wheel: Path) -> dict[str, object]:
    """Return the group's variables."""
    return {"claude_failover_wheel": str(wheel), "claude_failover_inventory": INVENTORY}


@pytest.fixture(scope="session")
def next_wheel(tmp_path_factory: pytest.TempPathFactory, _able: None) -> Path:
    """Return a wheel of the checkout that says of itself that it is the next version."""
    directory = tmp_path_factory.mktemp("next")
    copy = directory / "checkout"
    copy.mkdir()
    for name in ("invariants", "launcher", "deploy"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, copy / name, ignore=ignore)
    for name in ("claude_failover.py", "conftest.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    patch(copy / "launcher" / "__init__.py", '__version__ = "', '__version__ = "1000.')
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(directory), str(copy)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (built,) = directory.glob("*.whl")
    return built
