"""A control machine that dies at any moment: the next run completes what it began."""

from __future__ import annotations

import copy
import random
import time
from pathlib import Path

import pytest

from tests.boot.tree import Tree
from tests.rollout.conftest import INVENTORY, Booted, variables
from tests.rollout.control import Control
from tests.rollout.network import Network
from tests.vm import wait_until


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", range(10))
def test_interrupted_run_leaves_a_state_that_the_next_one_completes(
    control: Control,
    network: Network,
    boot: Booted,
    rolled_out: Tree,
    next_wheel: Path,
    seed: int,
) -> None:
    """An upgrade with a session more: each task of the role has something to do."""
    vm = boot("vm", 1, rolled_out).settled()
    pids = vm.pids()
    inventory = copy.deepcopy(INVENTORY)
    more = {**inventory["sessions"][0], "name": "more"}  # type: ignore[index]
    inventory["sessions"].append(more)  # type: ignore[attr-defined]
    control.inventory({"vm": 1}, {**variables(next_wheel), "claude_failover_inventory": inventory})
    running = control.start("rollout.yml")
    # The tenths of a run of about 25 s, each at a random moment within it.
    time.sleep(2.5 * (seed + random.Random(seed).random()))
    network.end_all()
    running.wait(30)
    assert set(pids) <= set(vm.pids())

    completed = control.play("rollout.yml")
    assert 0 == completed.code, completed.output
    assert "green" == control.report("vm")["verdict"]
    assert "claude-failover 1000." in vm.machine.run("launcher", "--version").stdout
    assert set(pids) < set(vm.pids())
    wait_until(lambda: 3 == len(vm.pids()), "each session runs once")
    again = control.play("rollout.yml")
    assert (0, {}) == (again.code, again.changed), again.output
    assert 0 == vm.restart(), vm.errors()
