"""What Claude Code keeps of a session: which paths, by the record, the inventory, the directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from invariants.folders import folder_of, judge_folders, stores
from invariants.inventory import Inventory, load
from tests.vm import Vm

_OFF = '[invariants.off]\nreadiness = "x"'

ONE, OTHER, GIVEN = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "123")


def inventory(vm: Vm, command: str = "claude", **keys: Any) -> Inventory:
    vm.write({"api": [command]}, **keys)
    return load(str(vm.inventory))


def remember(vm: Vm, **record: object) -> None:
    path = vm.state / "conversations" / "api.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema": 1, "session": "api", **record}))


def paths(vm: Vm, found: Inventory) -> set[str]:
    (session,) = found.sessions
    return {str(Path(store.path).relative_to(vm.root)) for store in stores(found, session)}


def of(directory: Path, *conversations: str) -> set[str]:
    """Return what is kept for *directory*, of a conversation too if one is given."""
    folder = f"shared/projects/{folder_of(str(directory))}"
    kept = {folder}
    for one in conversations:
        kept |= {f"{folder}/{one}.jsonl", f"{folder}/{one}"}
        kept |= {f"shared/session-env/{one}", f"shared/file-history/{one}"}
    return kept


def test_without_a_record_it_is_the_project_s_folder_alone(vm: Vm) -> None:
    assert of(vm.root) == paths(vm, inventory(vm))


def test_conversation_on_record_has_a_folder_in_each_target(vm: Vm) -> None:
    remember(vm, conversation=ONE, directory=str(vm.root))
    assert of(vm.root, ONE) == paths(vm, inventory(vm))


def test_conversation_that_the_inventory_names_comes_before_the_record_s(vm: Vm) -> None:
    remember(vm, conversation=ONE, directory=str(vm.root))
    keys = f'conversation = "{GIVEN}"'
    assert of(vm.root, GIVEN) == paths(vm, inventory(vm, session_keys=keys))


def test_session_without_a_conversation_of_its_own_has_the_folder(vm: Vm) -> None:
    remember(vm, conversation=ONE, directory=str(vm.root))
    off = inventory(vm, session_keys='conversation = "off"')
    assert of(vm.root) == paths(vm, off)


def test_record_of_another_directory_tells_what_was_here_before(vm: Vm) -> None:
    elsewhere = {str(vm.root): {"conversation": OTHER, "begun": True}}
    remember(vm, conversation=ONE, directory=str(vm.shared), elsewhere=elsewhere)
    assert of(vm.root, OTHER) == paths(vm, inventory(vm))
    remember(vm, conversation=ONE, directory=str(vm.shared))
    assert of(vm.root) == paths(vm, inventory(vm))


def test_directory_that_was_renamed_has_two_folders(vm: Vm) -> None:
    there, old = vm.root.stat(), vm.root / "old"
    remember(vm, conversation=ONE, directory=str(old), identity=[there.st_dev, there.st_ino])
    assert of(vm.root, ONE) | of(old, ONE) == paths(vm, inventory(vm))


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"conversation": "../x", "directory": "DIRECTORY"}', "{torn"]
)
def test_record_that_makes_no_sense_names_no_conversation(vm: Vm, content: str) -> None:
    remember(vm)
    record = vm.state / "conversations" / "api.json"
    record.write_text(content.replace("DIRECTORY", str(vm.root)))
    assert of(vm.root) == paths(vm, inventory(vm))


def test_name_that_only_the_client_knows_is_not_guessed(vm: Vm) -> None:
    long = vm.root / ("x" * 201)
    long.mkdir()
    remember(vm, conversation=ONE, directory=str(long))
    found = paths(vm, inventory(vm, directory=long))
    assert {f"shared/session-env/{ONE}", f"shared/file-history/{ONE}"} == found


def test_home_has_the_folder_if_projects_are_not_shared(vm: Vm) -> None:
    vm.write({"api": ["claude"]})
    text = vm.inventory.read_text()
    vm.inventory.write_text(text.replace("[shared]", '[shared]\nlinks = ["session-env"]', 1))
    folder = f"home-primary/projects/{folder_of(str(vm.root))}"
    assert {folder} == paths(vm, load(str(vm.inventory)))


def test_target_that_is_at_fault_itself_tells_alone(vm: Vm) -> None:
    found = inventory(vm)
    (vm.target("projects") / str(folder_of(str(vm.root)))).touch()
    (session,) = found.sessions
    assert judge_folders(session, found, {"projects"}) is None
    told = judge_folders(session, found)
    assert told is not None
    assert ("not-a-directory", "api") == (told.state, told.session)


def test_two_sessions_of_one_folder_tell_it_once(vm: Vm) -> None:
    (vm.target("projects") / str(folder_of(str(vm.root)))).touch()
    vm.write({"api": ["claude"], "docs": ["claude"]}, more=_OFF)
    vm.run("check")
    told = [one for one in vm.report["failures"] if one["state"] == "not-a-directory"]
    assert ["api"] == [one["session"] for one in told]


def test_directories_that_the_client_takes_for_one_are_told(vm: Vm) -> None:
    """It makes a hyphen of each character but letters and digits."""
    one, other, third = (vm.root / name for name in ("仕事", "個人", "仕事2"))
    for directory in (one, other, third):
        directory.mkdir()
    vm.write({"a": ["claude"], "b": ["claude"], "c": ["claude"]}, more=_OFF, directory=one)
    text = vm.inventory.read_text()
    for name, directory in (("b", other), ("c", third)):
        before, after = text.split(f'name = "{name}"')
        text = f'{before}name = "{name}"' + after.replace(
            json.dumps(str(one)), json.dumps(str(directory)), 1
        )
    vm.inventory.write_text(text)
    vm.run("check")
    told = {w["session"]: w["found"] for w in vm.report["warnings"]}
    assert {"a", "b"} == told.keys()
    assert f"takes {one} for the directory of b in {other}" in told["a"]
    assert f"the folder {folder_of(str(one))} in projects" in told["b"]


def test_sessions_of_one_directory_are_not_told_of_each_other(vm: Vm) -> None:
    (vm.root / "other-name").symlink_to(vm.root)
    vm.write({"a": ["claude"], "b": ["claude"]}, more=_OFF)
    vm.run("check")
    assert [] == vm.report["warnings"]
