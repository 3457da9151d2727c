"""A link breaks beside a mishap of the watch or of its files: nobody is told green from then on."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from invariants.inventory import InventoryError, load
from launcher.reading import read_report, without_inventory
from launcher.verdict import Colour
from tests.cases.vm import said
from tests.vm import Vm, wait_until
from tests.watch.conftest import Watcher
from tests.watch.test_service import lock_of

Watching = Callable[..., Watcher]
GREEN = "CLAUDE_FAILOVER OK - "


class Scene:
    """A VM under a watch, that looks again once an hour; ``undo`` ends what a mishap began."""

    def __init__(self, vm: Vm, watching: Watching) -> None:
        vm.write(prometheus=str(vm.root / "x.prom"), more="[watch]\ninterval = 3600")
        self.vm = vm
        self.watcher = watching(vm)
        self.undo = ExitStack()

    def is_green(self) -> bool:
        """Tell whether a reader takes the report for green now."""
        try:
            inventory = load(str(self.vm.inventory))
        except InventoryError as error:
            return without_inventory(error).verdict is Colour.GREEN
        return read_report(inventory).verdict is Colour.GREEN

    def old_green(self) -> Path:
        """Return a copy of the report as it is, beside it."""
        copy = self.vm.root / "old-green.json"
        shutil.copy(self.vm.report_path, copy)
        return copy

    def break_it(self) -> None:
        self.vm.diverge()

    def broken(self) -> None:
        """Break a link, and wait until the watch has said so."""
        self.break_it()
        self.watcher.until("red")


Mishap = Callable[[Scene], object]


def nothing(scene: Scene) -> None:
    scene.break_it()


def watch_is_stopped(scene: Scene) -> None:
    scene.watcher.send(signal.SIGSTOP)
    scene.undo.callback(scene.watcher.send, signal.SIGCONT)
    scene.break_it()


def watch_is_killed(scene: Scene) -> None:
    scene.watcher.end(signal.SIGKILL)
    scene.break_it()


def watch_is_killed_without_a_word_while_red(scene: Scene) -> None:
    scene.broken()
    scene.watcher.end(signal.SIGKILL)


def warm_process_is_stopped(scene: Scene) -> None:
    warm = scene.watcher.zygote
    os.kill(warm, signal.SIGSTOP)
    scene.undo.callback(os.kill, warm, signal.SIGCONT)
    scene.break_it()


def warm_process_is_killed(scene: Scene) -> None:
    os.kill(scene.watcher.zygote, signal.SIGKILL)
    scene.break_it()


def second_watch_is_refused(scene: Scene) -> None:
    assert 75 == scene.vm.run("watch").returncode
    scene.break_it()


def second_watch_is_refused_and_the_first_is_killed(scene: Scene) -> None:
    second_watch_is_refused(scene)
    scene.watcher.end(signal.SIGKILL)


def home_is_replaced_by_a_copy(scene: Scene) -> None:
    home = scene.vm.home("backup")
    home.rename(scene.vm.root / "before")
    shutil.copytree(scene.vm.root / "before", home, symlinks=True)
    scene.break_it()


def shared_root_is_moved_away(scene: Scene) -> None:
    scene.vm.shared.rename(scene.vm.root / "away")


def entry_is_renamed(scene: Scene) -> None:
    entry = scene.vm.entry("backup", "projects")
    entry.rename(entry.with_name("projects-2"))


def home_is_open_to_all(scene: Scene) -> None:
    scene.vm.home("backup").chmod(0o777)


def inventory_is_torn(scene: Scene) -> None:
    with scene.vm.inventory.open("a") as file:
        file.write("broken\n")
    scene.break_it()


def inventory_is_gone(scene: Scene) -> None:
    scene.vm.inventory.rename(scene.vm.root / "moved.toml")
    scene.break_it()


def inventory_demands_more(scene: Scene) -> None:
    text = scene.vm.inventory.read_text()
    scene.vm.inventory.write_text(text.replace("[shared]", "[shared]\nretention_days = 3650"))


def link_flips_and_ends_wrong(scene: Scene) -> None:
    for _ in range(200):
        entry = scene.vm.diverge()
        entry.unlink()
        entry.symlink_to(scene.vm.target("projects"))
    scene.break_it()


def lock_is_removed(scene: Scene) -> None:
    (scene.vm.state / "lock").unlink()
    scene.break_it()


def lock_is_held(scene: Scene) -> None:
    scene.undo.enter_context(lock_of(scene.vm))
    scene.break_it()


def claim_is_removed(scene: Scene) -> None:
    shutil.rmtree(scene.vm.state / "watches")
    scene.break_it()


def history_is_garbage(scene: Scene) -> None:
    (scene.vm.state / "history.json").write_text("garbage")
    scene.break_it()


def metrics_are_of_somebody_else(scene: Scene) -> None:
    (scene.vm.root / "x.prom").write_text("node_precious 1\n")
    scene.break_it()


def old_green_is_copied_over_it(scene: Scene) -> None:
    old = scene.old_green()
    scene.broken()
    shutil.copy(old, scene.vm.report_path)


def old_green_is_copied_over_it_with_its_time(scene: Scene) -> None:
    old = scene.old_green()
    scene.broken()
    shutil.copy2(old, scene.vm.report_path)


def old_green_is_moved_over_it(scene: Scene) -> None:
    old = scene.old_green()
    scene.broken()
    old.rename(scene.vm.report_path)


def old_green_is_linked_over_it(scene: Scene) -> None:
    old = scene.old_green()
    scene.broken()
    scene.vm.report_path.unlink()
    scene.vm.report_path.symlink_to(old)


def old_green_is_moved_over_it_and_the_watch_is_killed(scene: Scene) -> None:
    old_green_is_moved_over_it(scene)
    scene.watcher.end(signal.SIGKILL)


def report_becomes_a_directory(scene: Scene) -> None:
    scene.vm.report_path.unlink()
    scene.vm.report_path.mkdir()
    scene.undo.callback(shutil.rmtree, scene.vm.report_path, ignore_errors=True)
    scene.break_it()


MISHAPS = (
    *(nothing, watch_is_stopped, watch_is_killed, watch_is_killed_without_a_word_while_red),
    *(warm_process_is_stopped, warm_process_is_killed),
    *(second_watch_is_refused, second_watch_is_refused_and_the_first_is_killed),
    *(home_is_replaced_by_a_copy, shared_root_is_moved_away, entry_is_renamed),
    *(home_is_open_to_all, inventory_is_torn, inventory_is_gone, inventory_demands_more),
    *(link_flips_and_ends_wrong, lock_is_removed, lock_is_held, claim_is_removed),
    *(history_is_garbage, metrics_are_of_somebody_else),
    *(old_green_is_copied_over_it, old_green_is_copied_over_it_with_its_time),
    *(old_green_is_moved_over_it, old_green_is_linked_over_it),
    *(old_green_is_moved_over_it_and_the_watch_is_killed, report_becomes_a_directory),
)


@pytest.fixture
def scene(vm: Vm, watching: Watching) -> Iterator[Scene]:
    made = Scene(vm, watching)
    with made.undo:
        yield made


@pytest.mark.sampled(2)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_broken_vm_is_not_green_for_long_and_not_again(scene: Scene, mishap: Mishap) -> None:
    """How soon that is, the soak measures, on a machine with nothing else to do."""
    assert scene.is_green()
    mishap(scene)
    wait_until(lambda: not scene.is_green(), f"somebody is told; {scene.watcher.said()}")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert not scene.is_green(), scene.watcher.said()
        time.sleep(0.02)
    line = said(scene.vm.run("status", "--format", "nagios"))[0]
    assert not line.startswith(GREEN), line


def test_there_are_as_many_mishaps_as_it_says() -> None:
    assert 20 <= len(set(MISHAPS)) == len(MISHAPS)
