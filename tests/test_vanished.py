"""Targets that were there before and are not: what holds them is not mounted."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from invariants.mounts import unmounted
from launcher import records
from tests.places import NEEDS_ROOT
from tests.vm import LINKS, Vm


def refused(vm: Vm, **popen: Any) -> list[dict[str, str]]:
    """Let ``ensure`` refuse; it creates nothing. Return its findings."""
    before = standing(vm)
    done = vm.run("ensure", "--json", **popen)
    assert 1 == done.returncode, done.stdout + done.stderr
    assert before == standing(vm), "a refusal created something"
    findings: list[dict[str, str]] = json.loads(done.stdout)["refused"]
    return findings


def standing(vm: Vm) -> list[str]:
    places = [vm.shared, *(vm.home(account) for account in vm.accounts)]
    return sorted(
        str(path) for place in places for path in (place, *place.rglob("*")) if path.exists()
    )


def forget(vm: Vm) -> None:
    """Leave nothing of targets and links, as on a VM whose homes are on the same volume."""
    shutil.rmtree(vm.shared)
    for account in vm.accounts:
        for link in LINKS:
            vm.entry(account, link).unlink()


def conversation(vm: Vm, *, begun: bool) -> None:
    record = {
        "conversation": "11111111-2222-4333-8444-555555555555",
        "directory": str(vm.root),
        "begun": begun,
    }
    records.write(str(vm.state), records.CONVERSATIONS, "api", record)


def test_root_that_links_lead_to_is_not_built_anew(vm: Vm) -> None:
    shutil.rmtree(vm.shared)
    findings = refused(vm)
    assert ["vanished"] * len(LINKS) == [finding["state"] for finding in findings]
    assert (
        "nothing, though links in the homes of primary, backup lead there" == findings[0]["found"]
    )
    assert f"mkdir -p -m 700 {vm.target(LINKS[0])}" in findings[0]["fix"]


def test_an_empty_mount_point_does_not_count_as_what_was_mounted_there(vm: Vm) -> None:
    shutil.rmtree(vm.shared)
    vm.shared.mkdir()
    assert {"vanished"} == {finding["state"] for finding in refused(vm)}


def test_gate_says_so_too_and_its_fix_is_no_ensure(vm: Vm) -> None:
    shutil.rmtree(vm.shared)
    assert 1 == vm.run("check").returncode
    failures = vm.report["failures"]
    assert {"vanished"} == {failure["state"] for failure in failures}
    assert all("launcher ensure" not in failure["fix"] for failure in failures)


def test_one_target_beside_others_that_are_there_is_created(vm: Vm) -> None:
    shutil.rmtree(vm.target("session-env"))
    assert 0 == vm.run("ensure").returncode
    assert 0 == vm.run("check").returncode


def test_beginning_anew_is_what_a_person_does_by_hand(vm: Vm) -> None:
    shutil.rmtree(vm.shared)
    assert refused(vm)
    vm.target("projects").mkdir(mode=0o700, parents=True)
    assert 0 == vm.run("ensure").returncode
    assert 0 == vm.run("check").returncode


def test_root_of_which_records_tell_is_not_built_anew(vm: Vm) -> None:
    forget(vm)
    conversation(vm, begun=True)
    findings = refused(vm)
    assert {"vanished"} == {finding["state"] for finding in findings}
    assert "session api has had a conversation" in findings[0]["found"]


def test_record_of_a_conversation_without_turns_tells_of_nothing(vm: Vm) -> None:
    forget(vm)
    conversation(vm, begun=False)
    assert 0 == vm.run("ensure").returncode


def test_records_do_not_keep_a_new_link_from_its_target(vm: Vm) -> None:
    conversation(vm, begun=True)
    more = f"[shared.targets]\ntasks = {json.dumps(str(vm.root / 'elsewhere' / 'tasks'))}\n"
    links = json.dumps([*LINKS, "tasks"])
    text = vm.inventory.read_text().replace(
        "[[accounts]]", f"links = {links}\n{more}[[accounts]]", 1
    )
    vm.inventory.write_text(text)
    done = vm.run("ensure")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert (vm.root / "elsewhere" / "tasks").is_dir()


def with_fstab(vm: Vm, *, mounted: bool) -> list[str]:
    """Return the prefix of a launcher with an ``/etc`` of its own, whose fstab names the root."""
    line = (
        'cp -a /etc "$1" && echo "tmpfs $2 tmpfs noauto 0 0" >"$1/fstab" && mount --bind "$1" /etc'
    )
    line += ' && mount "$2"' if mounted else ""
    script = f'{line}; shift 2; exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(vm.root / "etc"), str(vm.shared)]


@NEEDS_ROOT
@pytest.mark.parametrize("mounted", [False, True], ids=["not mounted", "mounted"])
def test_mount_point_of_fstab_decides(vm: Vm, mounted: bool) -> None:
    forget(vm)
    vm.shared.mkdir()
    vm.prefix = with_fstab(vm, mounted=mounted)
    done = vm.run("ensure", "--json")
    findings = json.loads(done.stdout)["refused"]
    if mounted:
        assert (0, []) == (done.returncode, findings)
        return
    assert 1 == done.returncode
    assert [("vanished", f"mount {vm.shared}")] * len(LINKS) == [
        (finding["state"], finding["fix"]) for finding in findings
    ]
    assert [] == os.listdir(vm.shared)


@NEEDS_ROOT
def test_targets_below_a_mount_point_without_a_mount_are_told_and_stay_green(vm: Vm) -> None:
    vm.prefix = with_fstab(vm, mounted=False)
    done = vm.run("check")
    assert 0 == done.returncode, done.stdout + done.stderr
    told = f"{vm.shared} is a mount point by /etc/fstab, and nothing is mounted there"
    assert [("target_is_usable", link, told) for link in sorted(LINKS)] == [
        (one["invariant"], one["link"], one["found"]) for one in vm.report["warnings"]
    ]


def test_fstab_is_read_as_mount_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = tmp_path / "fstab"
    place = tmp_path / "a b"
    written = str(place).replace(" ", "\\040")
    fstab.write_text(
        f"# {written}\n\nUUID=1 none swap sw 0 0\n/dev/x / ext4 ro 0 1\nx {written}/ y\n"
    )
    monkeypatch.setattr("invariants.mounts.FSTAB", str(fstab))
    assert f"{place}/" == unmounted(str(place / "projects"))
    assert f"{place}/" == unmounted(str(place))
    assert unmounted(str(tmp_path / "a")) is None
    fstab.unlink()
    assert unmounted(str(place)) is None


@pytest.mark.parametrize("where", ["inside", "around", "packages"])
@pytest.mark.thorough
def test_target_where_the_program_is_installed_is_refused(vm: Vm, where: str) -> None:
    copy = vm.deploy()
    target = {
        "inside": Path(sys.prefix) / "claude-shared" / "projects",
        "around": Path(sys.prefix).parent,
        "packages": copy / "launcher" / "data",
    }[where]
    more = f"[shared.targets]\nprojects = {json.dumps(str(target))}\n"
    text = vm.inventory.read_text().replace("[[accounts]]", f"{more}[[accounts]]", 1)
    vm.inventory.write_text(text)
    done = vm.run("check", cwd=copy)
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "with-program" in {failure["state"] for failure in vm.report["failures"]}
    assert "with-program" in {finding["state"] for finding in refused(vm, cwd=copy)}
