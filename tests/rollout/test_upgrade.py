"""What changes on a machine that is in use: as a dry run tells it, and no session ends."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tests.boot.deployed import HOME, INVENTORY, Deployed
from tests.boot.tree import Tree
from tests.rollout.conftest import INVENTORY as EVERYWHERE
from tests.rollout.conftest import Booted, variables
from tests.rollout.control import Control
from tests.vm import snapshot

_ACCOUNT = {"name": "third", "home": f"{HOME}/.claude-third"}


def _with_a_third_account(wheel: Path) -> dict[str, Any]:
    inventory = copy.deepcopy(EVERYWHERE)
    inventory["accounts"].append(_ACCOUNT)  # type: ignore[attr-defined]
    return {**variables(wheel), "claude_failover_inventory": inventory}


def _seen(deployed: Deployed) -> dict[str, tuple[object, ...]]:
    """Return all files that a run could change, as they are."""
    places = ("/etc/claude-failover", "/etc/systemd/system", "/usr/local", HOME)
    found = snapshot(*(deployed.machine.path(place) for place in places))
    return {path: seen for path, seen in found.items() if "/.local/state/" not in path}


def test_upgrade_keeps_sessions_running(
    control: Control, boot: Booted, rolled_out: Tree, wheel: Path, next_wheel: Path
) -> None:
    vm = boot("vm", 1, rolled_out).settled()
    pids = vm.pids()
    assert 2 == len(pids)
    control.inventory({"vm": 1}, variables(next_wheel))
    before = _seen(vm)
    dry = control.play("rollout.yml", "--check", "--diff")
    assert 0 == dry.code, dry.output
    assert "Change over to the new environment" in dry.changed["vm"]
    assert before == _seen(vm)

    upgraded = control.play("rollout.yml")
    assert 0 == upgraded.code, upgraded.output
    assert set(dry.changed["vm"]) <= set(upgraded.changed["vm"])
    assert pids == vm.pids()
    assert "claude-failover 1000." in vm.machine.run("launcher", "--version").stdout
    assert "Start what does not run" not in upgraded.changed["vm"]
    again = control.play("rollout.yml")
    assert (0, {}) == (again.code, again.changed), again.output
    assert 0 == vm.restart(), vm.errors()
    assert pids == vm.pids()

    # Back again: the next thing to be installed is whatever the variables name.
    control.inventory({"vm": 1}, variables(wheel))
    assert 0 == control.play("rollout.yml").code
    assert "1000." not in vm.machine.run("launcher", "--version").stdout
    assert pids == vm.pids()


def test_account_is_added_as_the_dry_run_says_and_a_wrong_inventory_replaces_nothing(
    control: Control, boot: Booted, rolled_out: Tree, wheel: Path
) -> None:
    vm = boot("vm", 1, rolled_out).settled()
    pids = vm.pids()
    control.inventory({"vm": 1}, _with_a_third_account(wheel))
    before = _seen(vm)
    dry = control.play("rollout.yml", "--check", "--diff")
    assert 0 == dry.code, dry.output
    assert f'+home = "{_ACCOUNT["home"]}"' in dry.output
    assert before == _seen(vm)
    assert f'\n+home = "{_ACCOUNT["home"]}"' in dry.output

    added = control.play("rollout.yml")
    assert 2 == added.code, added.output
    assert "account third" in added.output  # nobody has logged in yet
    assert dry.changed["vm"][:2] == added.changed["vm"]
    assert ["Write the inventory", "Create missing targets and links"] == added.changed["vm"]
    home = _ACCOUNT["home"]
    vm.as_user(f"CLAUDE_CONFIG_DIR={home} claude")
    green = control.play("rollout.yml")
    assert 0 == green.code, green.output
    assert dry.changed["vm"] == [*added.changed["vm"], *green.changed.get("vm", [])]
    assert pids == vm.pids()

    wrong = _with_a_third_account(wheel)
    wrong["claude_failover_inventory"]["launcher"]["bakend"] = "tmux"
    wrong["claude_failover_inventory"]["accounts"].append({"name": "third"})
    control.inventory({"vm": 1}, wrong)
    right = vm.machine.path(INVENTORY).read_bytes()
    for options in ((), ("--check",)):
        refused = control.play("rollout.yml", *options)
        assert 2 == refused.code, refused.output
        assert {"launcher.bakend", "accounts[3]"} <= {
            word for word in ("launcher.bakend", "accounts[3]") if word in refused.output
        }, refused.output
        assert right == vm.machine.path(INVENTORY).read_bytes()
    assert pids == vm.pids()
