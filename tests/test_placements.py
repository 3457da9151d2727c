"""Where sessions have been switched to: kept, applied, and told where it cannot be known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from invariants.inventory import Inventory, load
from launcher.errors import NotJudged
from launcher.placements import moved, place, placed
from launcher.records import path_of, read, remove, write
from launcher.sessions import SessionState
from launcher.sessions.survey import Survey
from tests.vm import Vm, snapshot


@pytest.fixture
def inventory(vm: Vm) -> Inventory:
    vm.write({"api": ["sleep", "600"], "web": ["sleep", "600"]})
    return load(str(vm.inventory))


def whose(inventory: Inventory) -> list[tuple[str, str | None]]:
    return [(session.account, session.wanted) for session in inventory.sessions]


def record(inventory: Inventory) -> Path:
    return Path(path_of(inventory.settings.state, "placements", "api"))


def test_placement_is_applied_until_the_session_is_home_again(inventory: Inventory) -> None:
    assert inventory == placed(inventory)
    place(inventory, inventory.sessions[0], "backup")
    there = placed(inventory)
    assert [("backup", "primary"), ("primary", None)] == whose(there)
    assert ("primary", there) == (there.sessions[0].home_account, moved(inventory, "api", "backup"))
    place(there, there.sessions[0], "primary")
    assert (inventory, False) == (placed(inventory), record(inventory).exists())
    place(there, there.sessions[0], "primary")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no record of this version"),
        ('{"schema": 2, "account": "backup"}', "is no record of this version"),
        ('{"schema": 1, "account": "gone"}', "switched to gone, which the inventory does not have"),
        ('{"schema": 1}', "switched to None, which the inventory does not have"),
    ],
)
def test_placement_that_cannot_be_followed_fails_the_session_and_starts_nothing(
    vm: Vm, inventory: Inventory, content: str, words: str
) -> None:
    record(inventory).parent.mkdir(parents=True)
    record(inventory).write_text(content)
    session = placed(inventory).sessions[0]
    assert ("primary", True) == (session.account, words in str(session.misplaced))
    assert "launcher switch api --home" in str(session.misplaced)
    statuses = Survey(placed(inventory), vm.environ).statuses(SessionState.STOPPED)
    assert [("failed", session.misplaced), ("stopped", None)] == [
        (status.state, status.detail) for status in statuses
    ]


def test_torn_placement_holds_its_session_alone_until_a_switch_says_where(
    vm: Vm, inventory: Inventory
) -> None:
    record(inventory).parent.mkdir(parents=True)
    record(inventory).write_text("torn")
    assert 69 == vm.run("up").returncode
    assert ["failed", "started"] == [one["state"] for one in vm.report["sessions"]]
    assert 0 == vm.run("switch", "api", "--home").returncode
    assert ["running", "running"] == [
        one["state"] for one in json.loads(vm.run("status", "--json").stdout)["sessions"]
    ]


def test_placement_of_another_inventory_is_none_of_this_one_s(vm: Vm, inventory: Inventory) -> None:
    place(inventory, inventory.sessions[0], "backup")
    other = vm.root / "other.toml"
    other.write_text(vm.inventory.read_text())
    other.chmod(0o600)
    assert [("primary", None)] * 2 == whose(placed(load(str(other))))
    vm.inventory.unlink()  # it was moved
    assert ("backup", "primary") == whose(placed(load(str(other))))[0]


def test_record_that_cannot_be_read_is_told(vm: Vm, inventory: Inventory) -> None:
    record(inventory).parent.mkdir(parents=True)
    record(inventory).symlink_to(record(inventory))
    with pytest.raises(NotJudged, match="cannot be read: Too many levels"):
        read(inventory.settings.state, "placements", "api")


def test_record_that_cannot_be_replaced_stays(vm: Vm) -> None:
    state = str(vm.state)
    write(state, "placements", "api", {"account": "backup"})
    before = snapshot(vm.state)
    (vm.state / "placements" / f".api.json.{os.getpid()}.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(state, "placements", "api", {"account": "primary"})
    (vm.state / "placements" / f".api.json.{os.getpid()}.new").rmdir()
    path = path_of(state, "placements", "api")
    assert before[path] == snapshot(vm.state)[path]
    remove(state, "placements", "api")
    remove(state, "placements", "api")
    assert read(state, "placements", "api") is None
