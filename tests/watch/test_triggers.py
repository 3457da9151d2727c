"""What makes the report change: each thing that an invariant depends on, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from invariants.folders import folder_of
from tests import client
from tests.vm import Vm
from tests.watch.conftest import Watcher
from tests.watch.rich import mode

Watching = Callable[..., Watcher]


@pytest.fixture
def watcher(vm: Vm, watching: Watching) -> Watcher:
    """Return a watch that re-checks only when something changes."""
    vm.write(more="[watch]\ninterval = 3600")
    return watching(vm)


@contextmanager
def moved(path: Path) -> Iterator[None]:
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    yield
    away.rename(path)


@contextmanager
def removed(link: Path) -> Iterator[None]:
    text = os.readlink(link)
    link.unlink()
    yield
    link.symlink_to(text)


@contextmanager
def turned(link: Path, to: Path) -> Iterator[None]:
    text = os.readlink(link)
    subprocess.run(["ln", "-sfn", to, link], check=True)
    yield
    subprocess.run(["ln", "-sfn", text, link], check=True)


@contextmanager
def swapped(link: Path, by: Path) -> Iterator[None]:
    """Put another entry in a link's place by one rename, as an attacker or a tool would."""
    text = os.readlink(link)
    beside = link.with_name(f"{link.name}.beside")
    beside.symlink_to(by)
    beside.rename(link)
    yield
    beside.symlink_to(text)
    beside.rename(link)


@contextmanager
def replaced_by_directory(link: Path) -> Iterator[None]:
    text = os.readlink(link)
    link.unlink()
    link.mkdir()
    yield
    link.rmdir()
    link.symlink_to(text)


def changes(vm: Vm) -> dict[str, Callable[[], object]]:
    """Return ways to turn the VM red and green again."""
    entry, target, home = vm.entry("backup", "projects"), vm.target("projects"), vm.home("backup")
    elsewhere = vm.root / "elsewhere"
    elsewhere.mkdir()
    return {
        "mv of an entry": lambda: moved(entry),
        "rm of an entry": lambda: removed(entry),
        "ln -sfn": lambda: turned(entry, elsewhere),
        "swap of an entry": lambda: swapped(entry, elsewhere),
        "directory in an entry's place": lambda: replaced_by_directory(entry),
        "mv of a home": lambda: moved(home),
        "chmod of a home": lambda: mode(home, 0o777),
        "mv of a target": lambda: moved(target),
        "mv of the targets' parent": lambda: moved(vm.shared),
        "link that led over a name": lambda: moved(target),
    }


@pytest.mark.thorough
def test_every_change_is_seen_and_its_end_too(vm: Vm, watcher: Watcher) -> None:
    assert "green" == watcher.verdict
    assert "parts" not in json.loads(vm.report_path.read_text())
    for name, change in changes(vm).items():
        with change():  # type: ignore[attr-defined]  # they are context managers
            watcher.until("red", name)
        watcher.until("green", name)


@pytest.mark.thorough
def test_mount_over_a_target_is_seen(vm: Vm, watcher: Watcher) -> None:
    """The kernel's inotify says nothing of it: the target is another directory, and empty."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    over, home = vm.root / "over", vm.home("backup")
    over.mkdir(mode=0o700)
    subprocess.run(["mount", "--bind", over, home], check=True)
    try:
        watcher.until("red", "mount over a home")
        # What lies on the mount is watched now.
        for link in ("session-env", "file-history", "projects"):
            (over / link).symlink_to(vm.target(link))
        watcher.until("green", "links on the mount")
    finally:
        subprocess.run(["umount", home], check=True)
    (home / "projects").unlink()
    watcher.until("red", "an entry below what was mounted over")


@pytest.mark.thorough
def test_mount_option_that_keeps_the_kernel_from_links_is_seen(vm: Vm, watcher: Watcher) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    home = vm.home("backup")
    subprocess.run(["mount", "--bind", home, home], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,nosymfollow", home], check=True)
        watcher.until("red", "no link is followed")
        (failure,) = vm.report["failures"]
        assert ("home_is_usable", "nosymfollow") == (failure["invariant"], failure["state"])
    finally:
        subprocess.run(["umount", home], check=True)
    watcher.until("green", "links are followed again")


@contextmanager
def made(make: Callable[[Path], object], path: Path) -> Iterator[None]:
    """Put in the place of a folder or a transcript what Claude Code cannot write, be it root."""
    make(path)
    yield
    path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.thorough
def test_what_is_kept_of_a_session_is_watched(vm: Vm, watching: Watching) -> None:
    one, other = (f"{number * 8}-2222-4333-8444-555555555555" for number in "16")
    more = "[watch]\ninterval = 3600"
    vm.write({"api": [str(client.install(vm))]}, more=more)
    folder = vm.target("projects") / str(folder_of(str(vm.root)))
    record = vm.state / "conversations" / "api.json"
    watcher = watching(vm)

    def remember(conversation: str) -> None:
        content = {"schema": 1, "session": "api", "directory": str(vm.root)}
        record.with_suffix(".new").write_text(json.dumps({**content, "conversation": conversation}))
        record.with_suffix(".new").rename(record)

    assert "green" == watcher.verdict
    with made(Path.touch, folder):
        watcher.until("red", "a file in the place of the project's folder")
    watcher.until("green", "no folder")
    record.parent.mkdir()
    remember(one)
    folder.mkdir(mode=0o700)
    places: dict[str, tuple[Callable[[Path], object], Path]] = {
        "transcript": (Path.mkdir, folder / f"{one}.jsonl"),
        "undo": (Path.touch, vm.target("file-history") / one),
        "variables": (Path.touch, vm.target("session-env") / one),
    }
    for what, (make, path) in places.items():
        with made(make, path):
            watcher.until("red", what)
        watcher.until("green", what)
    (vm.target("file-history") / other).touch()
    remember(other)
    watcher.until("red", "the session has gone over to another conversation")


def test_symlinks_on_the_way_are_followed(vm: Vm, watching: Watching) -> None:
    disk = vm.root / "disk"
    disk.mkdir()
    vm.home("backup").rename(disk / "home")
    vm.home("backup").symlink_to("disk/home")
    vm.write(more="[watch]\ninterval = 3600")
    watcher = watching(vm)
    assert "green" == watcher.verdict
    with removed(disk / "home" / "projects"):
        watcher.until("red", "behind a symlink")
    watcher.until("green")
    with moved(disk):
        watcher.until("red", "the symlink leads nowhere")
    watcher.until("green")


@pytest.mark.thorough
def test_home_that_vanishes_and_comes_back_is_watched_again(vm: Vm, watcher: Watcher) -> None:
    home = vm.home("backup")
    shutil.rmtree(home)
    watcher.until("red", "the home is gone")
    home.mkdir(mode=0o700)
    for link in ("session-env", "file-history", "projects"):
        (home / link).symlink_to(vm.target(link))
    watcher.until("green", "the home is back")
    (home / "projects").unlink()
    watcher.until("red", "an entry of the new home")


@pytest.mark.thorough
def test_edit_of_the_inventory_is_seen(vm: Vm, watcher: Watcher) -> None:
    good = vm.inventory.read_text()
    with vm.inventory.open("a") as file:  # in place, as an editor may
        file.write('[[accounts]]\nname = "third"\nhome = "home-third"\n')
    watcher.until("red", "a home that is not there")
    beside = vm.root / "new.toml"
    beside.write_text(good)
    beside.chmod(0o600)
    beside.rename(vm.inventory)
    watcher.until("green", "the inventory is replaced")
    vm.inventory.chmod(0o666)
    watcher.until("unknown", "others can write it")
    assert "the inventory is wrong" in vm.report["reason"]
    vm.inventory.chmod(0o600)
    watcher.until("green", "nobody else can")
    vm.inventory.unlink()
    watcher.until("unknown", "there is none")
    vm.write()
    watcher.until("green", "there is one again")


def test_transcripts_cause_no_recheck(vm: Vm, watcher: Watcher) -> None:
    before = watcher.runs()
    for number in range(300):
        project = vm.target("projects") / f"project{number % 10}"
        project.mkdir(exist_ok=True)
        with (project / "session.jsonl").open("a") as file:
            file.write("{}\n")
        (vm.target("session-env") / f"{number}").mkdir()
        (vm.home("backup") / "history.jsonl").write_text("{}")
        (vm.home("backup") / ".claude.json.tmp").write_text("{}")
        (vm.home("backup") / ".claude.json.tmp").rename(vm.home("backup") / ".claude.json")
    # What is heard after all that shows that nothing of it is still to come.
    with removed(vm.entry("backup", "projects")):
        watcher.until("red")
        assert before < watcher.runs()
    watcher.until("green")
    watcher.end()
    assert 3 == watcher.said().count(" invariants ")


@pytest.mark.thorough
def test_state_that_others_can_write_is_unknown_with_the_next_gate(
    vm: Vm, watching: Watching
) -> None:
    vm.write(more="[watch]\ninterval = 1")
    watcher = watching(vm)
    vm.state.chmod(0o777)
    watcher.until("unknown", "others can write it")
    why = f"launcher.state: {vm.state} can be written by everyone (fix: chmod go-w {vm.state})"
    assert why in vm.report["reason"]
    vm.state.chmod(0o755)
    watcher.until("green", "nobody else can")
