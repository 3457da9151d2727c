"""One watch for one inventory: a second one is refused, and changes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from invariants.inventory import load
from launcher.processes import Process
from launcher.report import living_keeper
from launcher.watch.claim import DIRECTORY, Claim, watcher
from tests.vm import Vm, snapshot, wait_until
from tests.watch.conftest import Watcher

Watching = Callable[..., Watcher]
LONG = "[watch]\ninterval = 3600"


def claims(vm: Vm) -> list[Path]:
    return sorted((vm.state / DIRECTORY).iterdir())


def other_inventory(vm: Vm, **launcher: object) -> Path:
    """Return a copy of the inventory, with something else under ``[launcher]``."""
    path = vm.root / "other.toml"
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in launcher.items())
    path.write_text(vm.inventory.read_text().replace("[launcher]", f"[launcher]\n{lines}"))
    path.chmod(0o600)
    return path


def refused(vm: Vm, first: Watcher, inventory: Path | None = None) -> str:
    """Start a second watch, which is refused and names the first; return what it says."""
    option = ["--inventory", str(inventory or vm.inventory)]
    done = vm.run(*option, "watch", "--listen", inventory=False)
    assert (75, "") == (done.returncode, done.stdout), done.stderr
    assert f"(pid {first.process.pid})" in done.stderr
    return done.stderr


@pytest.mark.thorough
def test_second_watch_is_refused_and_changes_nothing(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG, prometheus=str(vm.root / "metrics.prom"))
    first = watching(vm, "--listen")
    before = snapshot(vm.root)
    said = refused(vm, first)
    assert 0 == vm.run("watch", "--ended").returncode  # as its unit does then
    del before[str(vm.root)], before[str(vm.state / DIRECTORY)]
    after = snapshot(vm.root)
    assert before == {path: after[path] for path in before}
    assert f"keeps the report of this inventory (pid {first.process.pid}): {vm.inventory}" in said
    assert "launcher status" in said
    assert f"kill {first.process.pid}" in said
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(vm.state / "listen.sock"))  # is still the first one's
        client.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b"green" in client.makefile("rb").read()
    vm.diverge()
    first.until("red")


def test_of_many_that_start_at_once_one_stays(vm: Vm) -> None:
    vm.write(more=LONG)
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "watch"]
    started = [
        subprocess.Popen(command, env=vm.environ, cwd=vm.root, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        wait_until(lambda: 3 == sum(one.poll() is not None for one in started), "three have ended")
        (left,) = [one for one in started if one.poll() is None]
        assert [75, 75, 75] == [one.returncode for one in started if one is not left]
        wait_until(lambda: vm.report_path.exists() and "keeper" in vm.report, "it publishes")
        assert left.pid == vm.report["keeper"]["pid"]
    finally:
        for one in started:
            one.terminate()
            one.communicate()


@pytest.mark.parametrize("how", ["symlink", "symlinked directory", "hard link", "another HOME"])
@pytest.mark.thorough
def test_inventory_by_another_path_name_is_the_same_one(
    vm: Vm, watching: Watching, how: str
) -> None:
    vm.write(more=LONG)
    first = watching(vm)
    path = vm.root / "by-another-name.toml"
    if how == "symlink":
        path.symlink_to(vm.inventory)
    elif how == "symlinked directory":
        (vm.root / "by").symlink_to(vm.root)
        path = vm.root / "by" / vm.inventory.name
    elif how == "hard link":
        path.hardlink_to(vm.inventory)
    else:
        path = vm.inventory
        vm.environ["HOME"] = str(vm.root / "another-home")
    refused(vm, first, path)


@pytest.mark.thorough
def test_inventory_that_an_editor_replaced_is_still_claimed(vm: Vm, watching: Watching) -> None:
    """Its file is another one, and a link to the new one is of no use to the claim's old words."""
    vm.write(more=LONG)
    first = watching(vm)
    new = vm.root / "new.toml"
    new.write_text(vm.inventory.read_text().replace("settle = 0.05", "settle = 0.06"))
    new.chmod(0o600)
    before = first.runs()
    new.rename(vm.inventory)
    first.wait(lambda: first.runs() != before, "it is read anew")
    path = vm.root / "by-another-name.toml"
    path.hardlink_to(vm.inventory)
    refused(vm, first, path)


@pytest.mark.thorough
def test_two_inventories_with_one_state_directory_have_a_watch_each(
    vm: Vm, watching: Watching
) -> None:
    vm.write(more=LONG)
    watching(vm)
    other = other_inventory(vm, report=str(vm.root / "other.json"))
    vm.inventory, own = other, vm.inventory
    second = subprocess.Popen(
        [sys.executable, "-m", "launcher", "--inventory", str(other), "watch"],
        env=vm.environ,
        cwd=vm.root,
    )
    try:
        wait_until((vm.root / "other.json").exists, "it publishes too")
        assert second.poll() is None
    finally:
        second.terminate()
        second.wait()
    vm.inventory = own


@pytest.mark.thorough
def test_state_directory_that_moves_takes_the_claim_along(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG, report=str(vm.root / "report.json"))
    first = watching(vm)
    vm.state = vm.root / "moved"
    vm.write(more=LONG, report=str(vm.root / "report.json"))
    refused(vm, first)  # at once: the claim at the user's default place stays all the time
    first.wait(lambda: (vm.state / DIRECTORY).is_dir() and claims(vm), "it is claimed there")
    vm.environ["HOME"] = str(vm.root / "another-home")
    refused(vm, first)


@pytest.mark.thorough
def test_claim_outlives_an_upgrade(vm: Vm, watching: Watching) -> None:
    """The watch becomes the new program: nobody gets in before, meanwhile or after it."""
    code = vm.deploy()
    vm.write(more=LONG)
    first = watching(vm, cwd=code)
    zygote = first.zygote
    homes = code / "invariants" / "homes.py"
    homes.with_suffix(".new").write_text(homes.read_text() + "\n")
    homes.with_suffix(".new").rename(homes)
    first.send(signal.SIGHUP)
    ended = []

    def began_anew() -> bool:
        ended.append(vm.run("watch").returncode)
        with suppress(ValueError):
            return first.zygote != zygote
        return False

    first.wait(began_anew, "the watch has begun anew")
    first.until("green")
    assert {75} == set(ended)
    assert first.process.pid == vm.report["keeper"]["pid"]
    refused(vm, first)


@pytest.mark.thorough
def test_what_a_killed_watch_leaves_behind_holds_no_claim(vm: Vm, watching: Watching) -> None:
    hook = vm.root / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {vm.root}/hooked\nexec sleep 60\n")
    hook.chmod(0o700)
    vm.write(more=f'{LONG}\non_change = ["{hook}"]')
    first = watching(vm)
    vm.diverge()
    first.wait((vm.root / "hooked").exists, "the hook runs")
    first.end(signal.SIGKILL)
    second = watching(vm)
    assert second.process.pid == vm.report["keeper"]["pid"]


@pytest.mark.parametrize("removed", ["file", "directory"])
@pytest.mark.thorough
def test_claim_that_is_removed_is_made_again(vm: Vm, watching: Watching, removed: str) -> None:
    vm.write(more=LONG)
    first = watching(vm)
    (before,) = claims(vm)
    inode = before.stat().st_ino
    held = before.open()  # so that its inode is not given to the next one
    before.unlink()
    if removed == "directory":
        before.parent.rmdir()
    first.wait(before.exists, "it is claimed again")
    assert inode != before.stat().st_ino
    held.close()
    vm.report_path.unlink()  # which would name the first, too
    refused(vm, first)


@pytest.mark.thorough
def test_watch_whose_claim_was_taken_meanwhile_ends(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    first = watching(vm)
    first.send(signal.SIGSTOP)
    for path in (*claims(vm), *vm.user_home.rglob("*.lock"), vm.report_path):
        path.unlink()
    second = vm.root / "second.log"
    with second.open("w") as log:
        command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "watch"]
        usurper = subprocess.Popen(command, env=vm.environ, cwd=vm.root, stderr=log)
    try:
        wait_until(lambda: vm.report_path.exists() and "keeper" in vm.report, second.read_text())
        first.send(signal.SIGCONT)
        assert 75 == first.process.wait(20)
        assert f"(pid {usurper.pid})" in first.said()
        assert ("green", usurper.pid) == (vm.report["verdict"], vm.report["keeper"]["pid"])
    finally:
        usurper.terminate()
        usurper.wait()


@pytest.mark.thorough
def test_watch_of_an_older_version_is_not_joined(vm: Vm, watching: Watching) -> None:
    """It claims nothing, but its report names it."""
    vm.write(more=LONG)
    first = watching(vm)
    first.send(signal.SIGSTOP)
    for path in (*claims(vm), *vm.user_home.rglob("*.lock")):
        path.unlink()
    refused(vm, first)
    assert 0 == vm.run("watch", "--ended").returncode
    assert "green" == vm.report["verdict"]
    first.send(signal.SIGCONT)


def test_ended_leaves_the_report_of_a_living_watch(vm: Vm, watching: Watching) -> None:
    """Also one that ``check`` has just written, which names no keeper."""
    vm.write(more=LONG)
    first = watching(vm)
    first.send(signal.SIGSTOP)
    assert 0 == vm.run("check").returncode
    assert "keeper" not in vm.report
    assert 0 == vm.run("watch", "--ended").returncode
    assert "green" == vm.report["verdict"]
    first.send(signal.SIGCONT)
    first.wait(lambda: "keeper" in vm.report, "it goes on")


@pytest.mark.thorough
def test_ended_takes_back_what_a_killed_watch_has_left(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watching(vm).end(signal.SIGKILL)
    assert "green" == vm.report["verdict"]
    assert 0 == vm.run("watch", "--ended").returncode
    assert "unknown" == vm.report["verdict"]


def test_watch_that_dies_and_hangs_at_it_keeps_nothing_true(
    vm: Vm, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is dropped when the dead mount lets it die; a new watch cannot wait for that."""
    vm.write(more=LONG)
    first = watching(vm)
    inventory = load(str(vm.inventory))
    assert first.process.pid == watcher(inventory)
    monkeypatch.setattr(Process, "is_killed", lambda self: self.pid == first.process.pid)
    assert living_keeper(inventory) is None
    assert watcher(inventory) is None
    claim = Claim()
    claim.take(inventory, time.sleep)
    claim.close()


@pytest.mark.parametrize("start", ["1e999", '"x"', "null", "[]"])
def test_keeper_that_is_none_keeps_no_watch_out(vm: Vm, start: str) -> None:
    vm.run("check")
    text = vm.report_path.read_text()
    keeper = f'{{"failover": {{"keeper": {{"pid": 1, "start": {start}}}, '
    vm.report_path.write_text(text.replace('{"failover": {', keeper, 1))
    assert living_keeper(load(str(vm.inventory))) is None


@pytest.mark.thorough
def test_state_directory_that_takes_no_claim_is_said(vm: Vm, watching: Watching) -> None:
    vm.state.mkdir(mode=0o700)
    (vm.state / DIRECTORY).touch()
    first = watching(vm)
    first.until("green")
    first.wait(lambda: "no claim can be kept" in first.said(), "it is said")
    (vm.state / DIRECTORY).unlink()
    first.wait(lambda: (vm.state / DIRECTORY).is_dir() and claims(vm), "it is claimed later")
    assert 1 == first.said().count("no claim can be kept")


def test_claim_is_not_closed_twice_where_two_places_are_one(vm: Vm) -> None:
    place = vm.user_home / ".local" / "state"
    place.mkdir(parents=True)
    vm.state.mkdir()
    (place / "claude-failover").symlink_to(vm.state)
    before = os.listdir("/proc/self/fd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(vm.user_home))
        claim, second = Claim(), Claim()
        inventory = load(str(vm.inventory))
        claim.take(inventory, time.sleep)
        assert claim.stands()
        assert 1 == len(claims(vm))
        claim.take(inventory, time.sleep)  # as after a reload
        claim.close()
        second.close()
    assert before == os.listdir("/proc/self/fd")
