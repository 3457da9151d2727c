"""Each VM of the collection stays green under a watch while Claude Code writes all day."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.healthy import logins, machines, places, upgrades, users  # noqa: F401  # fill it
from tests.healthy.collection import HEALTHY, Builder
from tests.healthy.world import World
from tests.vm import Vm, wait_until

ROUNDS = 24
DAY = f"""
import json, os, sys

def write(path, document):
    with open(path + ".tmp", "w") as file:
        json.dump(document, file)
    os.chmod(path + ".tmp", 0o600)
    os.rename(path + ".tmp", path)

def read(path):
    with open(path) as file:
        return json.load(file)

for number in range({ROUNDS}):
    for home in sys.argv[1:]:
        state, login = os.path.join(home, ".claude.json"), os.path.join(home, ".credentials.json")
        known = read(state) if os.path.exists(state) else {{}}
        write(state, {{**known, "numStartups": number}})
        if os.path.exists(login):
            write(login, {{**read(login), "renewed": number}})
        os.makedirs(os.path.join(home, "sessions"), exist_ok=True)
        write(os.path.join(home, "sessions", f"{{2**30 + number % 3}}.json"), {{"status": "idle"}})
        with open(os.path.join(home, "history.jsonl"), "a") as file:
            file.write("{{}}\\n")
        project = os.path.join(home, "projects", f"project{{number % 5}}")
        os.makedirs(project, exist_ok=True)
        with open(os.path.join(project, "one.jsonl"), "a") as file:
            file.write("{{}}\\n")
"""


@contextmanager
def watch(vm: Vm, log: Path) -> Iterator[None]:
    """Run ``launcher watch`` where the VM's launchers run, until the block is over."""
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "watch"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*vm.prefix, *command], env=vm.environ, cwd="/", stdout=file, stderr=file
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("build", [pytest.param(one, id=name) for name, one in HEALTHY.items()])
@pytest.mark.thorough
def test_healthy_vm_stays_green_through_a_busy_day(
    world: World, build: Builder, tmp_path: Path
) -> None:
    build(world)
    vm, log = world.vm, tmp_path / "log"
    vm.inventory.write_text(vm.inventory.read_text() + "\n[watch]\ninterval = 3600\n")
    with watch(vm, log):
        wait_until(lambda: "green" in log.read_text(), "green")
        homes = [str(vm.home(account)) for account in vm.accounts]
        for command in ((sys.executable, "-c", DAY, *homes), ("rm", f"{homes[1]}/projects")):
            subprocess.run([*vm.prefix, *command], env=vm.environ, cwd="/", check=True)
        wait_until(lambda: "missing" in log.read_text(), "what is heard after all that")
    green, red = log.read_text().splitlines()
    assert "green: all" in green
    assert "projects: missing" in red
