"""Each VM of the collection is green, starts its session, and stops it; nothing is told of it."""

from __future__ import annotations

import json

import pytest

from tests.healthy import logins, machines, places, upgrades, users  # noqa: F401  # fill it
from tests.healthy.collection import HEALTHY, Builder
from tests.healthy.world import World


def session(document: str) -> tuple[str, str]:
    """Return the state of the one session, and all that is said of it."""
    (found,) = json.loads(document)["sessions"]
    return found["state"], document


@pytest.mark.sampled(3)
@pytest.mark.parametrize("build", [pytest.param(one, id=name) for name, one in HEALTHY.items()])
def test_healthy_vm_is_green_and_starts_and_stops_its_session(world: World, build: Builder) -> None:
    build(world)
    vm = world.vm
    before = vm.processes()
    check = vm.run("check", "--json")
    assert 0 == check.returncode, check.stdout + check.stderr
    assert "green" == json.loads(check.stdout)["verdict"]
    up = vm.run("up")
    assert 0 == up.returncode, up.stdout + up.stderr
    started = vm.processes()
    assert before in ([], started), "a session that ran already was started again"
    status = vm.run("status", "--json")
    assert 0 == status.returncode, status.stdout + status.stderr
    state, told = session(status.stdout)
    assert "running" == state, told
    again = vm.run("up")
    assert (0, started) == (again.returncode, vm.processes()), again.stdout + again.stderr
    down = vm.run("down", "--json")
    assert 0 == down.returncode, down.stdout + down.stderr
    state, told = session(down.stdout)
    assert "stopped" == state, told
