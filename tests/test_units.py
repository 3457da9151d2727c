"""systemd's units as text. ``tests/boot`` shows what systemd makes of them."""

from __future__ import annotations

import pwd
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from invariants.inventory import Inventory, load
from launcher.units import UNITS, Owner, rendered, writer
from tests.vm import LINKS, Vm

SYSTEM = Owner("claude", "/home/claude", by_user=False)
USER = Owner("claude", "/home/claude", by_user=True)
LAUNCHER = "claude-failover.service"


@pytest.fixture
def inventory(vm: Vm) -> Inventory:
    vm.write({"api": ["sleep", "600"]}, backend="tmux")
    return load(str(vm.inventory))


def settings(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def unit(inventory: Inventory, owner: Owner, name: str = LAUNCHER, **more: bool) -> str:
    environ: Mapping[str, str] = {}
    return rendered(inventory, owner, environ, **more)[name]


@pytest.mark.parametrize("owner", [SYSTEM, USER], ids=["system", "user"])
def test_every_slot_is_filled(inventory: Inventory, owner: Owner) -> None:
    units = rendered(inventory, owner, {}, network=True)
    assert set(UNITS) == set(units)
    for text in units.values():
        assert not re.search(r"@[A-Z_]+@", text)
        assert "claude" == writer(text)


def test_command_is_this_interpreter_and_this_inventory(inventory: Inventory) -> None:
    (command,) = settings(unit(inventory, SYSTEM), "ExecStart")
    wanted = [sys.executable, "-I", "-m", "launcher", "--inventory", inventory.path, "up"]
    assert wanted == shlex.split(command)


def test_every_place_of_the_inventory_has_to_be_mounted(vm: Vm, inventory: Inventory) -> None:
    places = settings(unit(inventory, SYSTEM), "RequiresMountsFor")
    wanted = [vm.inventory, vm.state, vm.root, *map(vm.home, vm.accounts), *map(vm.target, LINKS)]
    assert {str(path) for path in wanted} <= set(places)
    assert [] == settings(unit(inventory, USER), "RequiresMountsFor")


def test_place_behind_a_symlink_has_to_be_mounted_too(vm: Vm) -> None:
    disk = vm.root / "disk"
    vm.home("backup").rename(disk)
    vm.home("backup").symlink_to(disk)
    places = settings(unit(load(str(vm.inventory)), SYSTEM), "RequiresMountsFor")
    assert {str(disk), str(vm.home("backup"))} <= set(places)


def test_what_lies_inside_another_writable_place_is_not_named(vm: Vm, inventory: Inventory) -> None:
    (places,) = settings(unit(inventory, replace(SYSTEM, home=str(vm.root))), "ReadWritePaths")
    assert f"/tmp -{vm.root}" == places
    (places,) = settings(unit(inventory, SYSTEM), "ReadWritePaths")
    assert {"/tmp", "-/home/claude", f"-{vm.state}", f"-{vm.home('backup')}"} <= set(places.split())


def test_only_the_systems_units_name_their_user(inventory: Inventory) -> None:
    assert ["claude"] == settings(unit(inventory, SYSTEM), "User")
    assert [] == settings(unit(inventory, USER), "User")
    socket = "claude-failover-spawn.socket"
    assert ["claude"] == settings(unit(inventory, SYSTEM, socket), "SocketUser")
    assert [] == settings(unit(inventory, USER, socket), "SocketUser")


def test_network_is_waited_for_only_where_it_is_asked_for(inventory: Inventory) -> None:
    assert "network-online" not in unit(inventory, SYSTEM)
    assert "After=network-online.target" in unit(inventory, SYSTEM, network=True)


def test_launcher_is_not_closed_off_where_sessions_would_inherit_it(vm: Vm) -> None:
    vm.write(backend="process")
    inventory = load(str(vm.inventory))
    text = unit(inventory, SYSTEM)
    assert [] == settings(text, "NoNewPrivileges") + settings(text, "Environment")
    assert ["process"] == settings(text, "KillMode")
    check = unit(inventory, SYSTEM, "claude-failover-check.service")
    assert ["yes"] == settings(check, "NoNewPrivileges")


def test_manager_that_keeps_the_sessions_runs_before_the_launcher(vm: Vm) -> None:
    vm.write(backend="systemd")
    inventory = load(str(vm.inventory))
    nobody = Owner("nobody", str(vm.user_home), by_user=False)
    manager = f"user@{pwd.getpwnam('nobody').pw_uid}.service"
    for name in (LAUNCHER, "claude-failover-check.service", "claude-failover-died.service"):
        assert manager in settings(unit(inventory, nobody, name), "After")
        for other in (USER, replace(nobody, name="root")):
            assert "user@" not in unit(inventory, other, name)


def test_path_unit_waits_for_the_very_directory(vm: Vm) -> None:
    vm.state = vm.root / "100% mine"
    vm.write()
    text = unit(load(str(vm.inventory)), SYSTEM, "claude-failover-died.path")
    assert [f"{vm.root}/100%% mine/died"] == settings(text, "DirectoryNotEmpty")


@pytest.mark.parametrize(
    "name", ["a b", "100%", "$HOME", 'say "x"', "back\\slash", "it's", "new\nline"], ids=ascii
)
def test_any_path_is_one_word_of_a_unit(inventory: Inventory, name: str) -> None:
    path = f"/srv/{name}/failover.toml"
    (command,) = settings(unit(inventory._replace(path=path), SYSTEM), "ExecStart")
    word = command.partition(" --inventory ")[2].removesuffix(" up")
    read = word.replace("%%", "%").replace("$$", "$")
    if read.startswith('"'):
        read = read[1:-1].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    assert path == read


def test_watch_has_the_network_only_for_a_hook(vm: Vm, inventory: Inventory) -> None:
    name = "claude-failover-watch.service"
    assert ["yes"] == settings(unit(inventory, SYSTEM, name), "PrivateNetwork")
    vm.write(more='[watch]\non_change = ["/usr/bin/logger"]')
    text = unit(load(str(vm.inventory)), SYSTEM, name)
    assert ["yes", "no"] == settings(text, "PrivateNetwork")
    assert ["any", ""] == settings(text, "IPAddressDeny")


def test_time_limit_of_the_unit_is_longer_than_the_gates(vm: Vm) -> None:
    vm.write(timeout=100)
    (limit,) = settings(unit(load(str(vm.inventory)), SYSTEM), "TimeoutStartSec")
    assert 300 < int(limit.removesuffix("s"))


def test_text_that_somebody_changed_is_nobodys(inventory: Inventory) -> None:
    text = unit(inventory, SYSTEM)
    assert "claude" == writer(text)
    assert writer(text.replace("RestartSec=20", "RestartSec=1")) is None
    assert writer("[Unit]\n") is None
    assert writer("") is None
