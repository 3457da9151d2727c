"""Ways that a file system rarely makes an adoption take, one by one, each refused by hand."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.adopt import Adopted, AdoptionRefused, Stopped, adopt, carry, copying, system, work
from launcher.adopt.copying import Copier
from launcher.adopt.plan import Rule
from launcher.adopt.swap import unlink_link
from launcher.adopt.tree import ROOT, Changed, Tree
from launcher.errors import Interrupted, NotJudged
from launcher.interrupts import Interrupts
from tests.adopt.world import World, assert_whole, read

OURS = {b"d/a.jsonl": b"1\n2\n", b"d/new": b"n" * 100_000, b"d/e": None, b"same": b"s"}
THEIRS = {b"d/a.jsonl": b"1\n", b"same": b"s"}

Fail = Callable[..., None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).fill(OURS, THEIRS)


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Return a function that lets a function fail with an error number, always or so often."""

    def failing(module: Any, name: str, number: int, times: int = 10**6) -> None:
        real, left = getattr(module, name), [times]

        def call(*arguments: object, **named: object) -> object:
            if left[0] > 0:
                left[0] -= 1
                raise OSError(number, os.strerror(number))
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, call)

    return failing


def test_file_with_too_many_links_is_copied(world: World, fail: Fail) -> None:
    fail(os, "link", errno.EMLINK)
    assert world.adopt().copied
    world.assert_adopted(linked=False)


def test_one_file_that_must_have_no_second_name_is_the_only_copy(world: World, fail: Fail) -> None:
    """One that chattr(1) made immutable answers as a file system without links does."""
    fail(os, "link", errno.EPERM, times=1)
    world.adopt()
    world.assert_adopted(linked=False)
    paths = [path for path, seen in world.ours.items() if seen.content and path != b"same"]
    now, old = read(world.target), read(world.old)
    assert [False, True] == sorted(now[path].inode == old[path].inode for path in paths)


def test_directory_that_somebody_creates_meanwhile_keeps_its_mode(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = os.mkdir, world.target / "d" / "e"

    def mkdir(path: Any, *arguments: Any, **named: Any) -> None:
        real(made, 0o700)
        real(path, *arguments, **named)

    monkeypatch.setattr(os, "mkdir", mkdir)
    world.adopt()
    assert world.is_shared
    assert 0o750 == stat.S_IMODE((world.old / "d" / "e").stat().st_mode)
    assert 0o700 == stat.S_IMODE(made.stat().st_mode)


def test_where_no_rename_spares_what_is_there_a_link_does(world: World, fail: Fail) -> None:
    fail(os, "link", errno.EXDEV, times=1)
    fail(carry, "rename_to_free", errno.EINVAL)
    world.adopt()
    world.assert_adopted(linked=False)


@pytest.mark.parametrize("refused", [1, 2])
def test_bytes_are_copied_some_other_way(
    world: World, fail: Fail, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    fail(os, "link", errno.EXDEV)
    fail(os, "copy_file_range", errno.EXDEV)
    if refused == 2:
        fail(os, "sendfile", errno.EINVAL)
    monkeypatch.setattr(copying, "_CHUNK", 1000)
    world.adopt()
    world.assert_adopted(linked=False)


def test_zero_from_the_kernel_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", lambda *arguments: 0)
    (tmp_path / "f").write_bytes(b"content")
    with open(tmp_path / "f", "rb") as source, open(tmp_path / "g", "wb") as to:
        assert 7 == Copier(Interrupts()).copy(source.fileno(), to.fileno(), 9)
    assert b"content" == (tmp_path / "g").read_bytes()


def test_copy_that_reads_back_otherwise_stops_it(
    world: World, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(os, "link", errno.EXDEV)
    monkeypatch.setattr(carry, "begin_alike", lambda *arguments: False)
    with pytest.raises(Stopped, match="reads back as something else"):
        world.adopt()
    world.assert_nothing_lost()
    names = [path.rpartition(b"/")[2] for path in read(world.target)]
    assert not any(name.startswith(b".claude") for name in names)
    monkeypatch.undo()
    world.adopt()
    world.assert_adopted()


def test_source_that_shrinks_while_it_is_copied_stops_it(
    world: World, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(os, "link", errno.EXDEV)
    monkeypatch.setattr(Copier, "copy", lambda *arguments: 0)
    with pytest.raises(Stopped, match="changed meanwhile"):
        world.adopt()
    world.assert_nothing_lost()


def test_name_of_a_directory_that_somebody_takes_stops_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.mkdir

    def mkdir(path: Any, *arguments: Any, **named: Any) -> None:
        (world.target / "d" / "e").write_text("somebody's")
        real(path, *arguments, **named)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(Stopped, match="changed meanwhile"):
        world.adopt()
    assert "somebody's" == (world.target / "d" / "e").read_text()


def test_hard_link_that_cannot_be_remade_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path).fill({b"a": b"x", b"b": b"x", b"c": b"x"}, {b"c": b"x"})
    os.unlink(world.entry / "b")
    os.link(world.entry / "a", world.entry / "b")
    world.remember()

    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    world.adopt()
    world.assert_adopted(linked=False)


def test_hard_link_to_what_is_there_already_is_remade(tmp_path: Path, fail: Fail) -> None:
    """As after an adoption across file systems that was killed in between."""
    world = World(tmp_path).fill({b"a": b"x"}, {b"a": b"x"})
    os.link(world.entry / "a", world.entry / "b")
    for place in (world.entry, world.target):
        os.utime(place / "a", ns=(10**18, 10**18))
        os.chmod(place / "a", 0o640)
    world.remember()
    fail(os, "link", errno.EXDEV, times=1)
    world.adopt()
    world.assert_adopted(linked=False)
    assert (world.target / "a").samefile(world.target / "b")


def test_adopted_but_not_surely_on_the_disk_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(NotJudged, match="survive a power cut is not known"):
        world.adopt()
    monkeypatch.undo()
    world.assert_adopted()


def test_interrupt_during_the_last_look_puts_the_directory_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> int:
        raise Interrupted(2, "SIGINT")

    monkeypatch.setattr(work.Work, "_take_what_came_late", interrupt)
    with pytest.raises(Interrupted, match="SIGINT: backup projects: 2 files done; nothing is lost"):
        world.adopt()
    assert world.inode == world.entry.stat().st_ino
    world.assert_nothing_lost()


def test_entry_that_cannot_be_opened_is_refused(world: World, fail: Fail) -> None:
    from launcher.adopt import adoption

    fail(adoption, "Tree", errno.EACCES)
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert ["unreadable"] == [one.state for one in refusal.value.findings]


def test_home_or_target_that_is_not_usable_is_refused(world: World) -> None:
    os.rename(world.target, world.root / "aside")
    world.target.write_text("no directory")
    world.home.chmod(0o777)
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert ["writable-by-others", "not-a-directory"] == [
        one.state for one in refusal.value.findings
    ]
    os.rename(world.home, world.root / "gone")
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert ["missing"] == [one.state for one in refusal.value.findings]


def test_target_inside_the_entry_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, tmp_path / "home" / "projects" / "x").fill({b"f": b"x"}, {})
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert "nested" in [one.state for one in refusal.value.findings]


def test_what_cannot_be_compared_is_refused(world: World, fail: Fail) -> None:
    fail(Tree, "open", errno.EIO)
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert {"unreadable"} == {one.state for one in refusal.value.findings}


def test_second_adoption_stops_where_the_first_one_changed_what_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is done and told, the second stops safe."""
    one, two = World(tmp_path / "one", tmp_path / "s"), World(tmp_path / "two", tmp_path / "s")
    one.fill({b"f": b"x"}, {})
    two.fill({b"g": b"y"}, {})
    real = work.Work.carry_out

    def carry_out(self: work.Work, *, replan: bool) -> Any:
        if replan:
            (two.target / "g").write_text("somebody's")
        return real(self, replan=replan)

    monkeypatch.setattr(work.Work, "carry_out", carry_out)
    done: list[Adopted] = []
    with pytest.raises(Stopped, match="something changed"):
        adopt([one.subject, two.subject], one.how(note=done.append))
    assert [one.subject] == [outcome.subject for outcome in done]
    assert one.is_shared
    assert_whole(two.ours, read(two.entry))


def test_only_a_link_to_the_target_is_swept(world: World) -> None:
    (world.home / "projects.adopted-20200101T000000Z").symlink_to(world.target)
    (world.home / "projects.adopted-20200102T000000Z").symlink_to("nonexistent")
    (world.home / "projects.adopted-yesterday").symlink_to(world.target)
    world.adopt()
    left = {path.name for path in world.home.iterdir() if path.is_symlink()}
    assert {
        "projects",
        "projects.adopted-20200102T000000Z",
        "projects.adopted-yesterday",
    } == left
    with Tree(str(world.home)) as home:
        assert not unlink_link(home, b"nothing", world.link)


def test_tree_lets_nobody_lead_it_outside(tmp_path: Path) -> None:
    (tmp_path / "tree" / "d").mkdir(parents=True)
    (tmp_path / "tree" / "d" / "f").write_text("x")
    (tmp_path / "outside").mkdir()
    with Tree(str(tmp_path / "tree")) as tree:
        node = tree.look(b"d/f")
        assert node is not None
        os.rename(tmp_path / "tree" / "d", tmp_path / "aside")
        (tmp_path / "tree" / "d").symlink_to(tmp_path / "outside")
        tree.forget()
        assert tree.look(b"d/f") is None
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            tree.directory(b"d")
        (tmp_path / "tree" / "g").write_text("longer than that")
        with pytest.raises(Changed):
            tree.open(b"g", node)
        assert str(tmp_path / "tree") == tree.shown(ROOT)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        Tree(str(tmp_path / "tree" / "d"))


def test_rules_that_write_are_all_but_those_that_find(world: World) -> None:
    planned = world.adopt(dry_run=True)
    assert (2, 100_004) == planned.count(Rule.TAKE, Rule.LONGER)
    assert system.NOT_SUPPORTED.isdisjoint({errno.ENOSPC, errno.EIO, errno.EEXIST})
