"""The way back."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from launcher.adopt import AdoptionRefused, Stopped, swap, system
from launcher.adopt.text import undone_text
from launcher.adopt.tree import Node, Tree
from launcher.errors import NotJudged
from tests.adopt.world import World, assert_whole, read


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    return world.fill({b"d/f": b"x", b"n": b"1", b"e": None}, {b"n": b"2"})


def test_undo_restores_the_home_and_leaves_the_target(world: World) -> None:
    world.adopt(keep_both=True)
    (world.target / "since").write_text("y")
    before = read(world.target)
    assert str(world.old) == world.undo().old
    assert world.inode == world.entry.stat().st_ino
    assert_whole(world.ours, read(world.entry))
    assert before == read(world.target)
    assert [] == world.dated("adopted")


def test_dry_run_of_undo_tells_and_writes_nothing(world: World) -> None:
    world.adopt(keep_both=True)
    before = read(world.home)
    assert str(world.old) == world.undo(dry_run=True).old
    assert before == read(world.home)


def test_newest_of_several_is_put_back(world: World) -> None:
    (world.home / "projects.adopted-20200101T000000Z").mkdir()
    (world.home / "projects.adopted-20990101T000000Z").write_text("no directory")
    world.adopt(keep_both=True)
    old = world.old
    assert str(old) == world.undo().old
    assert_whole(world.ours, read(world.entry))


def test_undo_without_an_old_directory_is_refused(world: World) -> None:
    world.adopt(keep_both=True)
    os.rename(world.old, world.root / "away")
    with pytest.raises(AdoptionRefused) as refusal:
        world.undo()
    assert ["no-old-directory"] == [one.state for one in refusal.value.findings]


def test_undo_of_what_is_not_adopted_is_refused(world: World) -> None:
    with pytest.raises(AdoptionRefused) as refusal:
        world.undo()
    (finding,) = refusal.value.findings
    assert "real-directory" == finding.state
    note = "nothing is left to undo: this adopts it"
    assert f"launcher adopt backup projects  # {note}" == finding.fix


def test_names_that_are_not_surely_on_the_disk_are_unknown_and_not_called_unchanged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.adopt(keep_both=True)

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(NotJudged, match="is in the link's place again; whether the names survive"):
        world.undo()
    assert_whole(world.ours, read(world.entry))


def test_files_that_stay_the_targets_are_told_and_can_be_parted(world: World) -> None:
    world.adopt(keep_both=True)
    with open(world.target / "d" / "f", "a") as file:
        file.write("since")
    assert 1 == world.undo(dry_run=True).common
    undone = world.undo()
    assert 1 == undone.common
    words = undone_text(undone, dry_run=False)
    assert "1 file in it are the target's own" in words
    assert 0 == os.system(words.rpartition("makes them two: ")[2])
    assert "xsince" == (world.entry / "d" / "f").read_text()
    (world.entry / "d" / "f").write_text("apart")
    assert "xsince" == (world.target / "d" / "f").read_text()


def test_nothing_in_common_is_not_told(world: World) -> None:
    world.adopt(keep_both=True)
    os.rename(world.target / "d", world.root / "away")
    undone = world.undo()
    assert 0 == undone.common
    assert undone_text(undone, dry_run=False).endswith("stays as it is\n")


def test_undoing_without_a_target_goes_on(world: World) -> None:
    world.adopt(keep_both=True)
    os.rename(world.target, world.root / "away")
    assert 0 == world.undo().common
    assert_whole(world.ours, read(world.entry))


def test_newest_is_the_last_one_though_the_clock_was_set_back(world: World) -> None:
    (world.home / "projects.adopted-20990101T000000Z-3").mkdir()
    world.adopt(keep_both=True)
    old = world.old
    assert "projects.adopted-20990101T000000Z-4" == old.name
    assert str(old) == world.undo().old


def test_adopting_again_after_an_undo_takes_over_nothing_twice(world: World) -> None:
    world.adopt(keep_both=True)
    world.undo()
    again = world.adopt(keep_both=True)
    assert again.plan is not None
    assert not again.plan.has_work
    assert world.is_shared
    assert 1 == len(world.dated("kept"))


def test_home_that_is_gone_is_told(world: World) -> None:
    os.rename(world.home, world.root / "away")
    with pytest.raises(AdoptionRefused) as refusal:
        world.undo()
    assert ["unreadable"] == [one.state for one in refusal.value.findings]


@pytest.mark.parametrize("undoes", [False, True], ids=["adopt", "undo"])
def test_swap_that_cannot_be_looked_at_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch, undoes: bool
) -> None:
    """What the message says is so: nothing was done."""
    if undoes:
        world.adopt(keep_both=True)
    real, swapped = Tree.look, []

    def exchange(*arguments: Any) -> None:
        system.exchange(*arguments)
        swapped.append(arguments)

    def look(self: Tree, path: bytes) -> Node | None:
        if len(swapped) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, path)

    monkeypatch.setattr(swap, "exchange", exchange)
    monkeypatch.setattr(Tree, "look", look)
    with pytest.raises(Stopped, match="as it was" if undoes else "where it was"):
        world.undo() if undoes else world.adopt(keep_both=True)
    assert world.is_shared is undoes
    world.assert_nothing_lost()
